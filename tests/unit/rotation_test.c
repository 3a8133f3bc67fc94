/* The rotation keeps lengths and angles, spreads what is concentrated, and never changes: stored codes depend on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rotation.h"

#include "bytes.h"

#include <math.h>
#include <stdlib.h>

static const size_t DIMS[] = {16, 48, 64, 80, 112, 128, 256, 304, 768, 1024, 1040, 1536, 4096, 65536};
#define DIM_COUNT (sizeof DIMS / sizeof *DIMS)

static uint64_t random_state = 7;

static float random_float(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)((random_state >> 40) & 0xFFFFFF) / 8388608.0f - 1.0f;
}

static float *random_point(size_t dim) {
    float *point = malloc(dim * sizeof *point);
    for (size_t i = 0; i < dim; i++) point[i] = random_float();
    return point;
}

static double dot(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static void norms_and_inner_products_are_kept(void **state) {
    (void)state;
    for (size_t k = 0; k < DIM_COUNT; k++) {
        size_t dim = DIMS[k];
        float *a = random_point(dim), *b = random_point(dim);
        double aa = dot(a, a, dim), bb = dot(b, b, dim), ab = dot(a, b, dim);
        shx_rotate(a, dim, 99);
        shx_rotate(b, dim, 99);
        assert_true(fabs(dot(a, a, dim) / aa - 1) < 1e-5);
        assert_true(fabs(dot(b, b, dim) / bb - 1) < 1e-5);
        assert_true(fabs(dot(a, b, dim) - ab) < 1e-5 * sqrt(aa * bb));
        free(a);
        free(b);
    }
}

/* A single component ends up everywhere: no component of the result is far over 1/sqrt(dim). */
static void single_components_are_spread(void **state) {
    (void)state;
    for (size_t k = 0; k < DIM_COUNT; k++) {
        size_t dim = DIMS[k];
        float *point = calloc(dim, sizeof *point);
        point[dim - 1] = 1;
        shx_rotate(point, dim, 5);
        for (size_t i = 0; i < dim; i++) assert_true(fabs((double)point[i]) < 6 / sqrt((double)dim));
        free(point);
    }
}

static void seeds_give_different_rotations(void **state) {
    (void)state;
    float *a = random_point(128), *b = malloc(128 * sizeof *b);
    memcpy(b, a, 128 * sizeof *b);
    shx_rotate(a, 128, 1);
    shx_rotate(b, 128, 2);
    double cosine = dot(a, b, 128) / dot(a, a, 128);
    assert_true(fabs(cosine) < 0.5);
    free(a);
    free(b);
}

/* Hashes of the rotation of 1, 2, 3 …: equal on every machine, compiler and version, or stored codes are lost. */
static void the_rotation_never_changes(void **state) {
    (void)state;
    static const struct {
        size_t dim;
        uint64_t hash;
    } golden[] = {
        {64, 0x6558B0863EE24474u},
        {112, 0x1236E753988FA2E2u},
        {768, 0x2A37ACCC1F203D25u},
        {1024, 0x88072B47DB88730Cu},
    };
    for (size_t k = 0; k < sizeof golden / sizeof *golden; k++) {
        float point[1024];
        for (size_t i = 0; i < golden[k].dim; i++) point[i] = (float)(i + 1);
        shx_rotate(point, golden[k].dim, 0x5EED);
        assert_int_equal(shx_hash64(point, golden[k].dim * sizeof *point, 0), golden[k].hash);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_and_inner_products_are_kept),
        cmocka_unit_test(single_components_are_spread),
        cmocka_unit_test(seeds_give_different_rotations),
        cmocka_unit_test(the_rotation_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
