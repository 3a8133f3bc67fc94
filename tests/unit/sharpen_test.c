/* Queries far from the mean, among postings near to each other: what their roundings leave out is told when they are
** sharpened, estimates are as good as the codes then, and the certain limit holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "quantizer.h"

#include "bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POSTINGS = 32, QUERIES = 40, DIM_MOST = 1040 };

static uint64_t random_state = 20261121;

static double random_unit(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(random_state >> 12) + 0.5) / 0x1p52;
}

static double random_gauss(void) { return sqrt(-2 * log(random_unit())) * cos(6.283185307179586 * random_unit()); }

/* A block of postings around a centroid at a distance from the origin, all of them about 1 from it. */
typedef struct block {
    size_t dim;
    float centroid[DIM_MOST], points[POSTINGS][DIM_MOST];
    uint8_t bits[POSTINGS * DIM_MOST / 8], refine[POSTINGS][DIM_MOST], codes[4 * DIM_MOST + 4 * POSTINGS];
    shx_code factors[POSTINGS];
    shx_factor_scale scale;
} block;

static void place_around(const float *place, size_t dim, double distance, float *ret_point) {
    double deviation = distance / sqrt((double)dim);
    for (size_t d = 0; d < dim; d++) {
        ret_point[d] = (float)((place ? (double)place[d] : 0) + deviation * random_gauss());
    }
}

static void make_block(block *b, size_t dim, double distance) {
    b->dim = dim;
    place_around(NULL, dim, distance, b->centroid);
    for (size_t i = 0; i < POSTINGS; i++) {
        place_around(b->centroid, dim, 1, b->points[i]);
        shx_encode(b->points[i], b->centroid, (uint32_t)dim, b->bits + i * dim / 8, b->refine[i], &b->factors[i]);
    }
    shx_factor_scale_fit(b->factors, POSTINGS, &b->scale);
    shx_block_pack(b->bits, b->factors, POSTINGS, (uint32_t)dim, &b->scale, b->codes);
}

static double distance2(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

static double exact_ip(const block *b, const float *point, size_t posting) {
    const uint8_t *bits = b->bits + posting * b->dim / 8;
    double sum = 0;
    for (size_t d = 0; d < b->dim; d++) sum += bits[d / 8] >> d % 8 & 1 ? (double)point[d] : 0;
    return sum;
}

/* What is counted over all pairs of a query and a posting. */
typedef struct tally {
    double pairs, ip_most, error2, promised2;
} tally;

static void check_query(const block *b, const shx_query *query, double ip_limit, tally *t) {
    const shx_kernels *kernels = shx_kernels_get();
    float centroid2 = (float)distance2(query->point, b->centroid, b->dim), ip[POSTINGS];
    shx_bound bound;
    shx_query_bound(query, &b->scale, centroid2, 3, INFINITY, &bound);
    assert_int_equal(kernels->scan_block(b->codes, query->lut, b->dim, &b->scale, &bound, ip), UINT32_MAX);
    shx_query_sharpen_block(query, kernels, b->codes, ip);
    for (size_t i = 0; i < POSTINGS; i++) {
        const float factors[3] = {b->factors[i].refine_add, b->factors[i].refine_mul, b->factors[i].refine_error};
        shx_estimate estimate = shx_query_refine(query, kernels, b->refine[i], factors, centroid2, ip[i]);
        double error = (double)estimate.distance2 - distance2(query->point, b->points[i], b->dim);
        double ip_error = fabs((double)ip[i] - exact_ip(b, query->point, i));
        assert_true(ip_error <= ip_limit);
        assert_true(fabs(error) <= (double)shx_query_refine_limit(query, factors, centroid2));
        t->pairs++;
        t->ip_most = fmax(t->ip_most, ip_error);
        t->error2 += error * error;
        t->promised2 += (double)estimate.deviation * (double)estimate.deviation;
    }
}

/* Queries about 1 from the centroid, first as they are and then sharpened. */
static void check_dim(size_t dim, double distance, tally *ret_plain, tally *ret_sharp) {
    block *b = malloc(sizeof *b);
    shx_query *query;
    assert_int_equal(shx_query_create((uint32_t)dim, &query), SHX_OK);
    *ret_plain = *ret_sharp = (tally){0};
    for (int q = 0; q < QUERIES; q++) {
        make_block(b, dim, distance);
        place_around(b->centroid, dim, 1, query->point);
        shx_query_tabulate(query);
        assert_false(query->sharp);
        check_query(b, query, (double)query->lut_error, ret_plain);
        shx_query_sharpen(query, (float)distance2(query->point, b->centroid, dim));
        assert_true(query->sharp);
        double fine_limit = (double)query->fine_step * (double)dim / 4 + 1e-6 * (double)query->magnitude;
        check_query(b, query, fine_limit, ret_sharp);
    }
    shx_query_destroy(query);
    free(b);
}

static double ratio(double a, double b) { return sqrt(a / b); }

static void sharp_queries_are_as_good_as_the_codes(void **state) {
    (void)state;
    static const size_t dims[] = {64, 112, 768, DIM_MOST};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        tally plain, sharp;
        check_dim(dims[i], 30, &plain, &sharp);
        double own = ratio(sharp.error2, sharp.pairs) * sqrt((double)dims[i]);
        print_message("dim %zu: error × √dim %.3f, plain %.3f; over promised %.3f, %.3f; most ip error %.2g, %.2g\n",
                      dims[i], own, ratio(plain.error2, plain.pairs) * sqrt((double)dims[i]),
                      ratio(sharp.error2, sharp.promised2), ratio(plain.error2, plain.promised2), sharp.ip_most,
                      plain.ip_most);
        assert_true(own < 0.16); /* 2 × 0.061 for distances of 1 */
        assert_true(plain.error2 > 9 * sharp.error2);
        assert_true(ratio(sharp.error2, sharp.promised2) > 0.8 && ratio(sharp.error2, sharp.promised2) < 1.25);
        assert_true(ratio(plain.error2, plain.promised2) > 0.8 && ratio(plain.error2, plain.promised2) < 1.25);
    }
}

/* Where the query's rounding is small beside the codes' it stays as it is, and so do products; a query of zeros has
** nothing to be rounded. */
static void other_queries_stay_as_they_are(void **state) {
    (void)state;
    block *b = malloc(sizeof *b);
    shx_query *query;
    float ip[POSTINGS] = {1, 2, 3}, before[POSTINGS];
    assert_int_equal(shx_query_create(128, &query), SHX_OK);
    make_block(b, 128, 1);
    place_around(b->centroid, 128, 1, query->point);
    shx_query_tabulate(query);
    shx_query_sharpen(query, (float)distance2(query->point, b->centroid, 128));
    assert_false(query->sharp);
    memcpy(before, ip, sizeof ip);
    shx_query_sharpen_block(query, shx_kernels_get(), b->codes, ip);
    assert_memory_equal(before, ip, sizeof ip);
    memset(query->point, 0, 128 * sizeof *query->point);
    shx_query_tabulate(query);
    shx_query_sharpen(query, 0);
    tally t = {0};
    check_query(b, query, 1e-6, &t);
    shx_query_destroy(query);
    free(b);
}

/* Tabulating anew takes sharpness away. */
static void a_new_query_is_not_sharp(void **state) {
    (void)state;
    shx_query *query;
    assert_int_equal(shx_query_create(64, &query), SHX_OK);
    place_around(NULL, 64, 10, query->point);
    shx_query_tabulate(query);
    float before = query->refine_deviation, limit = query->refine_limit;
    shx_query_sharpen(query, 1);
    assert_true(query->sharp && query->refine_deviation < before / 100 && query->refine_limit < limit / 50);
    shx_query_tabulate(query);
    assert_true(!query->sharp && query->refine_deviation == before && query->refine_limit == limit);
    shx_query_destroy(query);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sharp_queries_are_as_good_as_the_codes),
        cmocka_unit_test(other_queries_stay_as_they_are),
        cmocka_unit_test(a_new_query_is_not_sharp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
