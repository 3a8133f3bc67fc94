/* The first look against exact distances: never off by more than it says. */
#include "limits.h"
#include "near.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIM_MAX 1024

static uint64_t test_state;

static float test_float(void) {
    test_state = test_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(test_state >> 11) * 0x1p-53 - 0.5);
}

static void test_fill(float *vector, uint32_t dim, float scale) {
    for (uint32_t i = 0; i < dim; i++) vector[i] = test_float() * scale;
}

/* How many of the looks said that they cannot tell. */
static unsigned check(shx_metric metric, uint32_t dim, float query_scale, float scale) {
    static float query[DIM_MAX], vector[DIM_MAX];
    shx_encoding encoding = {.metric = metric, .dim = dim, .ip_bound = metric == SHX_IP ? 3 : 0};
    shx_near near;
    test_fill(query, dim, query_scale);
    if (!shx_near_set(&near, &encoding, query)) return 1;
    double norm = sqrt(shx_kernels_get()->dot(query, query, dim));
    unsigned passed = 0;
    for (int round = 0; round < 100; round++) {
        float distance2, margin;
        test_fill(vector, dim, scale);
        /* Every third one is the query itself or very near to it, where differences cancel. */
        for (uint32_t i = 0; round % 3 == 0 && i < dim; i++) vector[i] = query[i] * (1 + vector[i] * 1e-6f);
        if (!shx_near_look(&near, vector, &distance2, &margin)) {
            passed++;
            continue;
        }
        double exact = shx_distance_to_code(&encoding, norm, shx_distance(metric, SHX_FLOAT32, query, vector, dim));
        if (!(fabs(exact - (double)distance2) <= (double)margin)) {
            fail_msg("metric %d dim %u scale %g: %g, exactly %g, margin %g", (int)metric, dim, (double)scale,
                     (double)distance2, exact, (double)margin);
        }
    }
    return passed;
}

static void a_look_is_never_off_by_more_than_it_says(void **state) {
    (void)state;
    static const uint32_t dims[] = {1, 2, 3, 15, 16, 17, 100, 384, 1000, DIM_MAX};
    test_state = 7;
    for (shx_metric metric = SHX_L2; metric <= SHX_IP; metric++) {
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
            assert_int_equal(check(metric, dims[i], 1, 1), 0);
            assert_int_equal(check(metric, dims[i], 1000, 1), 0);
            check(metric, dims[i], 1e-9f, 1e-9f);
            check(metric, dims[i], 1e12f, 1e12f);
            check(metric, dims[i], 1, 1e-11f);
        }
    }
}

/* Many rows at once: those that are left out are beyond the threshold, the others are seen as one by one. */
static void check_rows(shx_metric metric, uint32_t dim, float query_scale, float scale) {
    static float vectors[SHX_BLOCK_ROWS * DIM_MAX], query[DIM_MAX];
    shx_encoding encoding = {.metric = metric, .dim = dim, .ip_bound = metric == SHX_IP ? 3 : 0};
    shx_near near;
    shx_near_sight seen[SHX_BLOCK_ROWS];
    uint32_t rows[SHX_BLOCK_ROWS], count = 0;
    test_fill(query, dim, query_scale);
    test_fill(vectors, SHX_BLOCK_ROWS * dim, scale);
    memcpy(vectors + 3 * dim, query, dim * sizeof *query);
    memset(vectors + 6 * dim, 0, dim * sizeof *query);
    assert_true(shx_near_set(&near, &encoding, query));
    double norm = sqrt(shx_kernels_get()->dot(query, query, dim));
    for (uint32_t row = 0; row < SHX_BLOCK_ROWS; row += 1 + row % 2) rows[count++] = row;
    for (uint32_t t = 0; t <= count; t++) {
        float threshold = INFINITY, margin;
        if (t < count) (void)shx_near_look(&near, vectors + rows[t] * dim, &threshold, &margin);
        uint32_t left = shx_near_look_all(&near, vectors, rows, count, threshold, seen), at = 0;
        for (uint32_t i = 0; i < count; i++) {
            const float *vector = vectors + rows[i] * dim;
            float distance2 = 0;
            if (at == left || seen[at].at != i) {
                double distance = shx_distance(metric, SHX_FLOAT32, query, vector, dim);
                assert_true(shx_distance_to_code(&encoding, norm, distance) > (double)threshold);
                continue;
            }
            if (!shx_near_look(&near, vector, &distance2, &margin)) margin = INFINITY;
            assert_true(seen[at].margin == margin);
            assert_true(margin == INFINITY || seen[at].distance2 == distance2);
            at++;
        }
        assert_int_equal(at, left);
        if (t == count) assert_int_equal(left, count);
    }
}

static void rows_that_are_left_out_are_beyond(void **state) {
    (void)state;
    static const uint32_t dims[] = {1, 2, 17, 100, DIM_MAX};
    test_state = 11;
    for (shx_metric metric = SHX_L2; metric <= SHX_IP; metric++) {
        for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
            check_rows(metric, dims[i], 1, 1);
            check_rows(metric, dims[i], 1, 1e-9f);
            check_rows(metric, dims[i], 1, 1e12f);
            if (dims[i] >= 100) check_rows(metric, dims[i], 1e-11f, 1e-11f); /* products of squares vanish */
        }
    }
}

static void what_floats_cannot_tell_is_left_alone(void **state) {
    (void)state;
    float query[4] = {1, 2, 3, 4}, zero[4] = {0}, huge[4] = {1e30f, 1e30f, 0, 0}, distance2, margin;
    for (shx_metric metric = SHX_L2; metric <= SHX_IP; metric++) {
        shx_encoding encoding = {.metric = metric, .dim = 4};
        shx_near near;
        assert_false(shx_near_set(&near, &encoding, zero));
        assert_false(shx_near_set(&near, &encoding, huge));
        assert_true(shx_near_set(&near, &encoding, query));
        assert_false(shx_near_look(&near, huge, &distance2, &margin));
        if (metric != SHX_L2) assert_false(shx_near_look(&near, zero, &distance2, &margin));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_is_never_off_by_more_than_it_says),
        cmocka_unit_test(rows_that_are_left_out_are_beyond),
        cmocka_unit_test(what_floats_cannot_tell_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
