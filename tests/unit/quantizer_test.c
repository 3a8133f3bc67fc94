/* Codes against plain arithmetic in double: the identities of the lifts, the formats, and how far estimates and bounds
** may be from the truth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "quantizer.h"

#include "bytes.h"
#include "memory.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 4242;

static double random_unit(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(random_state >> 12) + 0.5) / 0x1p52;
}

static double random_gauss(void) { return sqrt(-2 * log(random_unit())) * cos(6.283185307179586 * random_unit()); }

static void fill_gauss(float *vector, size_t dim, const float *around, double scale) {
    for (size_t i = 0; i < dim; i++) vector[i] = (float)((around ? (double)around[i] : 0) + scale * random_gauss());
}

static double dot(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static double distance2(const float *a, const float *b, size_t dim) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

/* An encoding with a random mean of the given size. Free the mean. */
static shx_encoding make_encoding(shx_metric metric, uint32_t dim, float ip_bound, double mean_scale) {
    uint32_t code_dim = shx_code_dim(metric, dim);
    float *mean = calloc(code_dim, sizeof *mean);
    fill_gauss(mean, dim, NULL, mean_scale);
    return (shx_encoding){metric, SHX_FLOAT32, dim, code_dim, 77, metric == SHX_IP ? ip_bound : 0, mean};
}

static void free_encoding(shx_encoding *encoding) { free((void *)(uintptr_t)encoding->mean); }

/* One run: postings in code space around a centroid, encoded and packed. */
typedef struct run {
    uint32_t count, code_dim;
    float *points, *centroid;
    uint8_t *bits, *refine, *blocks;
    shx_code *codes;
    shx_factor_scale scale;
} run;

static void run_encode(run *r) {
    size_t refine_bytes = shx_refine_bytes(r->code_dim), bit_bytes = r->code_dim / 8;
    for (uint32_t i = 0; i < r->count; i++) {
        shx_encode(r->points + (size_t)i * r->code_dim, r->centroid, r->code_dim, r->bits + i * bit_bytes,
                   r->refine + i * refine_bytes, &r->codes[i]);
    }
    shx_factor_scale_fit(r->codes, r->count, &r->scale);
    for (uint32_t i = 0; i < r->count; i += 32) {
        uint32_t count = r->count - i < 32 ? r->count - i : 32;
        shx_block_pack(r->bits + i * bit_bytes, r->codes + i, count, r->code_dim, &r->scale,
                       r->blocks + i / 32 * shx_block_bytes(r->code_dim));
    }
}

static run run_create(uint32_t count, uint32_t code_dim) {
    run r = {.count = count, .code_dim = code_dim};
    r.points = calloc((size_t)count * code_dim, sizeof *r.points);
    r.centroid = calloc(code_dim, sizeof *r.centroid);
    r.bits = malloc(count * code_dim / 8);
    r.refine = malloc(count * shx_refine_bytes(code_dim));
    r.blocks = malloc((count + 31) / 32 * shx_block_bytes(code_dim));
    r.codes = malloc(count * sizeof *r.codes);
    return r;
}

static void run_free(run *r) {
    free(r->points);
    free(r->centroid);
    free(r->bits);
    free(r->refine);
    free(r->blocks);
    free(r->codes);
}

/* A run of vectors around a random place of the user's space. */
static run run_gauss(const shx_encoding *encoding, uint32_t count, double spread) {
    run r = run_create(count, encoding->code_dim);
    float *place = malloc(encoding->dim * sizeof *place), *vector = malloc(encoding->dim * sizeof *vector);
    fill_gauss(place, encoding->dim, NULL, 1);
    assert_true(shx_encoding_point(encoding, place, false, r.centroid));
    for (uint32_t i = 0; i < count; i++) {
        fill_gauss(vector, encoding->dim, place, spread);
        assert_true(shx_encoding_point(encoding, vector, false, r.points + (size_t)i * r.code_dim));
    }
    free(place);
    free(vector);
    run_encode(&r);
    return r;
}

static int bit_of(const uint8_t *bits, size_t d) { return bits[d / 8] >> (d % 8) & 1; }

static int nibble_of(const uint8_t *refine, size_t d, size_t code_dim) {
    return d < code_dim / 2 ? refine[d] & 15 : refine[d - code_dim / 2] >> 4;
}

static void code_dimensions_and_sizes(void **state) {
    (void)state;
    assert_int_equal(shx_code_dim(SHX_L2, 1), 64);
    assert_int_equal(shx_code_dim(SHX_L2, 64), 64);
    assert_int_equal(shx_code_dim(SHX_IP, 64), 80);
    assert_int_equal(shx_code_dim(SHX_COSINE, 100), 112);
    assert_int_equal(shx_code_dim(SHX_L2, 768), 768);
    assert_int_equal(shx_code_dim(SHX_IP, SHX_DIM_MAX), 65536);
    assert_int_equal(shx_block_bytes(128), 4 * 128 + 128);
    assert_int_equal(shx_refine_bytes(112), 64);
    assert_int_equal(shx_refine_bytes(128), 64);
}

static void cosine_lift_gives_twice_the_distance(void **state) {
    (void)state;
    shx_encoding encoding = make_encoding(SHX_COSINE, 100, 0, 0.01);
    float q[100], x[100], tq[112], tx[112];
    for (int round = 0; round < 50; round++) {
        fill_gauss(q, 100, NULL, 3);
        fill_gauss(x, 100, q, round * 0.1);
        double distance = shx_distance(SHX_COSINE, SHX_FLOAT32, q, x, 100);
        double cosine = dot(q, x, 100) / sqrt(dot(q, q, 100) * dot(x, x, 100));
        assert_true(fabs(distance - (1 - cosine)) < 1e-12);
        double code = shx_distance_to_code(&encoding, sqrt(dot(q, q, 100)), distance);
        assert_true(shx_encoding_lift(&encoding, q, true, tq) && shx_encoding_lift(&encoding, x, false, tx));
        assert_true(fabs(distance2(tq, tx, 112) - code) < 1e-6);
        assert_true(shx_encoding_point(&encoding, q, true, tq) && shx_encoding_point(&encoding, x, false, tx));
        assert_true(fabs(distance2(tq, tx, 112) - code) < 2e-5);
    }
    free_encoding(&encoding);
}

static void ip_lift_turns_products_into_distances(void **state) {
    (void)state;
    shx_encoding encoding = make_encoding(SHX_IP, 33, 40, 0.5);
    float q[33], x[33], tq[64], tx[64];
    for (int round = 0; round < 50; round++) {
        fill_gauss(q, 33, NULL, 20);
        fill_gauss(x, 33, NULL, 0.1 * round);
        double q2 = dot(q, q, 33), distance = shx_distance(SHX_IP, SHX_FLOAT32, q, x, 33);
        assert_true(fabs(distance + dot(q, x, 33)) <= 1e-10 * sqrt(q2) * 40);
        double code = shx_distance_to_code(&encoding, sqrt(q2), distance);
        assert_true(fabs(code - (q2 + 1600 + 2 * distance)) <= 1e-12 * (q2 + 1600));
        assert_true(shx_encoding_lift(&encoding, q, true, tq) && shx_encoding_lift(&encoding, x, false, tx));
        assert_true(fabs(distance2(tq, tx, 64) - code) <= 1e-6 * (q2 + 1600));
        assert_true(fabs(dot(tx, tx, 64) - 1600) <= 1e-6 * 1600);
        assert_true(shx_encoding_point(&encoding, q, true, tq) && shx_encoding_point(&encoding, x, false, tx));
        assert_true(fabs(distance2(tq, tx, 64) - code) <= 1e-5 * (q2 + 1600));
    }
    free_encoding(&encoding);
}

static void vectors_without_a_point_are_refused(void **state) {
    (void)state;
    float x[64] = {0}, point[80];
    shx_encoding l2 = make_encoding(SHX_L2, 64, 0, 0), cosine = make_encoding(SHX_COSINE, 64, 0, 0);
    shx_encoding ip = make_encoding(SHX_IP, 64, 2, 0);
    assert_true(shx_encoding_point(&l2, x, false, point));
    assert_false(shx_encoding_point(&cosine, x, false, point));
    assert_true(shx_encoding_point(&ip, x, false, point));
    x[5] = 2;
    assert_true(shx_encoding_point(&ip, x, false, point));
    x[6] = 0.01f;
    assert_false(shx_encoding_point(&ip, x, false, point));
    assert_true(shx_encoding_point(&ip, x, true, point));
    static const float huge[] = {1.1e15f, 1e30f, FLT_MAX, -FLT_MAX, INFINITY, NAN};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        for (int d = 0; d < 64; d++) x[d] = huge[i];
        assert_false(shx_encoding_point(&l2, x, false, point));
        assert_false(shx_encoding_point(&ip, x, true, point));
        assert_int_equal(shx_encoding_point(&cosine, x, false, point), isfinite(huge[i]));
    }
    ip.ip_bound = FLT_MAX;
    x[5] = 1;
    assert_false(shx_encoding_point(&ip, x, false, point));
    for (int d = 0; d < 64; d++) x[d] = 1e14f;
    assert_true(shx_encoding_point(&l2, x, false, point));
    free_encoding(&l2);
    free_encoding(&cosine);
    free_encoding(&ip);
}

static void distances_of_extreme_vectors_are_finite(void **state) {
    (void)state;
    float zero[3] = {0}, one[3] = {1, 2, 2}, huge[3] = {FLT_MAX, -FLT_MAX, FLT_MAX}, tiny[3] = {0, 1e-45f, 0};
    float back[3] = {-FLT_MAX, FLT_MAX, -FLT_MAX};
    assert_true(shx_distance(SHX_COSINE, SHX_FLOAT32, zero, one, 3) == 1);
    assert_true(shx_distance(SHX_COSINE, SHX_FLOAT32, one, zero, 3) == 1);
    assert_true(shx_distance(SHX_COSINE, SHX_FLOAT32, zero, zero, 3) == 1);
    assert_true(fabs(shx_distance(SHX_COSINE, SHX_FLOAT32, huge, huge, 3)) < 1e-15);
    assert_true(fabs(shx_distance(SHX_COSINE, SHX_FLOAT32, huge, back, 3) - 2) < 1e-15);
    assert_true(fabs(shx_distance(SHX_COSINE, SHX_FLOAT32, tiny, one, 3) - (1 - 2.0 / 3)) < 1e-15);
    assert_true(shx_distance(SHX_L2, SHX_FLOAT32, zero, one, 3) == 3);
    assert_true(isfinite(shx_distance(SHX_L2, SHX_FLOAT32, huge, back, 3)));
    assert_true(shx_distance(SHX_IP, SHX_FLOAT32, one, one, 3) == -9);
    assert_true(isfinite(shx_distance(SHX_IP, SHX_FLOAT32, huge, back, 3)));
}

/* The way back from code space, by the table on top of quantizer.h. */
static double distance_of_code(const shx_encoding *encoding, double query_norm, double code_distance) {
    double bound = encoding->ip_bound;
    switch (encoding->metric) {
    case SHX_L2: return sqrt(code_distance);
    case SHX_COSINE: return code_distance / 2;
    default: return (code_distance - query_norm * query_norm - bound * bound) / 2;
    }
}

static void distances_and_code_distances_round_trip(void **state) {
    (void)state;
    for (int metric = SHX_L2; metric <= SHX_IP; metric++) {
        shx_encoding encoding = make_encoding((shx_metric)metric, 10, 5, 0);
        double last = -INFINITY;
        for (double distance = metric == SHX_IP ? -14 : 0; distance < 20; distance += 0.7) {
            double code = shx_distance_to_code(&encoding, 3, distance);
            assert_true(code > last);
            assert_true(fabs(distance_of_code(&encoding, 3, code) - distance) < 1e-13);
            last = code;
        }
        assert_true(shx_distance_to_code(&encoding, 3, INFINITY) == INFINITY);
        free_encoding(&encoding);
    }
    shx_encoding l2 = make_encoding(SHX_L2, 10, 0, 0);
    assert_true(shx_distance_to_code(&l2, 3, -2) == -4);
    free_encoding(&l2);
}

/* Codes and factors of one posting, from the definition. */
static void check_code(const run *r, uint32_t i) {
    const float *point = r->points + (size_t)i * r->code_dim;
    const uint8_t *bits = r->bits + i * (r->code_dim / 8), *refine = r->refine + i * shx_refine_bytes(r->code_dim);
    double residual2 = 0, rs = 0, sc = 0, rs5 = 0, sc5 = 0, error2 = 0;
    for (size_t d = 0; d < r->code_dim; d++) {
        double c = r->centroid[d], residual = point[d] - c;
        int bit = bit_of(bits, d);
        assert_int_equal(bit, residual > 0);
        double s5 = 16 * bit + nibble_of(refine, d, r->code_dim) - 15.5;
        residual2 += residual * residual;
        rs += residual * (bit - 0.5);
        sc += (bit - 0.5) * c;
        rs5 += residual * s5;
        sc5 += s5 * c;
    }
    double g = residual2 / rs, g5 = residual2 / rs5, tolerance = 1e-6 * (residual2 + fabs(2 * g * sc));
    for (size_t d = 0; d < r->code_dim; d++) {
        double s5 = 16 * bit_of(bits, d) + nibble_of(refine, d, r->code_dim) - 15.5;
        double rest = (double)point[d] - (double)r->centroid[d] - g5 * s5;
        error2 += rest * rest;
    }
    const shx_code *code = &r->codes[i];
    assert_true(fabs((double)code->add - (residual2 + 2 * g * sc)) <= tolerance);
    assert_true(fabs((double)code->mul + 2 * g) <= 1e-6 * g);
    assert_true(fabs((double)code->refine_add - (residual2 + 2 * g5 * sc5)) <= tolerance);
    assert_true(fabs((double)code->refine_mul + 2 * g5) <= 1e-6 * g5);
    assert_true(fabs((double)code->refine_error - sqrt(error2)) <= 1e-5 * sqrt(error2));
    assert_true(sqrt(error2) < 0.2 * sqrt(residual2));
}

static void codes_follow_their_definition(void **state) {
    (void)state;
    static const uint32_t dims[] = {3, 64, 100, 128, 768, 1040};
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        shx_encoding encoding = make_encoding(SHX_L2, dims[k], 0, 1);
        run r = run_gauss(&encoding, 40, 0.7);
        for (uint32_t i = 0; i < r.count; i++) check_code(&r, i);
        run_free(&r);
        free_encoding(&encoding);
    }
}

/* Reads a block back by the format on top of quantizer.h. */
static void blocks_hold_bits_and_factors(void **state) {
    (void)state;
    static const int order[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
    shx_encoding encoding = make_encoding(SHX_L2, 100, 0, 0);
    run r = run_gauss(&encoding, 32 + 13, 1);
    for (uint32_t b = 0; b < 2; b++) {
        const uint8_t *block = r.blocks + b * shx_block_bytes(112);
        for (size_t d = 0; d < 112; d++) {
            for (size_t j = 0; j < 16; j++) {
                uint32_t low = b * 32 + (uint32_t)order[j], high = low + 16;
                uint8_t byte = block[128 + d / 4 * 16 + j];
                assert_int_equal(byte >> (d % 4) & 1, low < r.count && bit_of(r.bits + low * 14, d));
                assert_int_equal(byte >> (4 + d % 4) & 1, high < r.count && bit_of(r.bits + high * 14, d));
            }
        }
        for (uint32_t i = b * 32; i < (b + 1) * 32 && i < r.count; i++) {
            double add = shx_get16(block + 2 * (i % 32)), mul = shx_get16(block + 64 + 2 * (i % 32));
            add = (double)r.scale.add_min + (double)r.scale.add_step * add;
            mul = (double)r.scale.mul_min + (double)r.scale.mul_step * mul;
            assert_true(fabs(add - (double)r.codes[i].add) <= 0.51 * (double)r.scale.add_step);
            assert_true(fabs(mul - (double)r.codes[i].mul) <= 0.51 * (double)r.scale.mul_step);
        }
    }
    run_free(&r);
    free_encoding(&encoding);
}

static void factor_scales_hold_outliers_and_single_values(void **state) {
    (void)state;
    shx_factor_scale scale;
    shx_factor_scale_fit(NULL, 0, &scale);
    assert_true(scale.add_step == 0 && scale.mul_step == 0);
    shx_code codes[3] = {{.add = 5, .mul = -2}, {.add = 5, .mul = -2}, {.add = 5, .mul = -2}};
    shx_factor_scale_fit(codes, 3, &scale);
    assert_true(scale.add_min == 5 && scale.add_step == 0 && scale.mul_min == -2 && scale.mul_step == 0);
    codes[1] = (shx_code){.add = 3e38f, .mul = -3e38f};
    codes[2] = (shx_code){.add = -3e38f, .mul = -1e-40f};
    shx_factor_scale_fit(codes, 3, &scale);
    uint8_t block[4 * 64 + 128], bits[3 * 8] = {0};
    shx_block_pack(bits, codes, 3, 64, &scale, block);
    for (int i = 0; i < 3; i++) {
        double add = (double)scale.add_min + (double)scale.add_step * shx_get16(block + 2 * i);
        double mul = (double)scale.mul_min + (double)scale.mul_step * shx_get16(block + 64 + 2 * i);
        assert_true(fabs(add - (double)codes[i].add) <= 0.51 * (double)scale.add_step);
        assert_true(fabs(mul - (double)codes[i].mul) <= 0.51 * (double)scale.mul_step);
    }
}

/* What is counted over all pairs of a query and a posting. */
typedef struct tally {
    double pairs, bias, missed19, missed33, refine_far, refine_square;
} tally;

static void check_refine(const run *r, const shx_query *query, uint32_t i, float centroid2, float ip, tally *t) {
    const shx_code *code = &r->codes[i];
    const float factors[3] = {code->refine_add, code->refine_mul, code->refine_error};
    const uint8_t *refine = r->refine + i * shx_refine_bytes(r->code_dim);
    double truth = distance2(query->point, r->points + (size_t)i * r->code_dim, r->code_dim);
    shx_estimate estimate = shx_query_refine(query, shx_kernels_get(), refine, factors, centroid2, ip);
    double error = fabs((double)estimate.distance2 - truth);
    assert_true(error <= (double)shx_query_refine_limit(query, factors, centroid2));
    t->refine_far += error > 3 * (double)estimate.deviation;
    t->refine_square += error * error / ((double)estimate.deviation * (double)estimate.deviation);
}

/* All postings of a run against one query; bounds at two epsilons, the decoded products, the refined estimates. */
static void check_run(const run *r, const shx_query *query, tally *t) {
    const shx_kernels *kernels = shx_kernels_get();
    float centroid2 = (float)distance2(query->point, r->centroid, r->code_dim);
    shx_bound bound0, bound19, bound33;
    shx_query_bound(query, &r->scale, centroid2, 0, INFINITY, &bound0);
    shx_query_bound(query, &r->scale, centroid2, 1.9f, INFINITY, &bound19);
    shx_query_bound(query, &r->scale, centroid2, 3.3f, INFINITY, &bound33);
    for (uint32_t i = 0; i < r->count; i++) {
        const uint8_t *block = r->blocks + i / 32 * shx_block_bytes(r->code_dim);
        float ip[32], bounds[32];
        kernels->scan_block(block, query->lut, r->code_dim, &r->scale, &bound0, ip);
        kernels->bound_block(block, query->lut, r->code_dim, &r->scale, &bound0, bounds);
        double exact_ip = 0, decoded_ip = ip[i % 32], add = r->codes[i].add, mul = r->codes[i].mul;
        for (size_t d = 0; d < r->code_dim; d++) {
            if (bit_of(r->bits + i * (r->code_dim / 8), d)) exact_ip += (double)query->point[d];
        }
        assert_true(fabs(exact_ip - decoded_ip) <= (double)query->lut_error);
        double truth = distance2(query->point, r->points + (size_t)i * r->code_dim, r->code_dim);
        double estimate = add + (double)centroid2 + mul * (decoded_ip + (double)bound0.shift);
        double slack = (double)centroid2 - (double)bound0.offset;
        assert_true((double)bounds[i % 32] <= estimate && estimate - (double)bounds[i % 32] <= 2 * slack);
        assert_true(slack < 0.02 * fabs(mul) * sqrt((double)centroid2));
        t->bias += (estimate - truth) / (0.302 * fabs(mul) * sqrt((double)centroid2));
        kernels->bound_block(block, query->lut, r->code_dim, &r->scale, &bound19, bounds);
        t->missed19 += (double)bounds[i % 32] > truth;
        kernels->bound_block(block, query->lut, r->code_dim, &r->scale, &bound33, bounds);
        t->missed33 += (double)bounds[i % 32] > truth;
        t->pairs++;
        check_refine(r, query, i, centroid2, ip[i % 32], t);
    }
}

static tally check_encoding(const shx_encoding *encoding) {
    tally t = {0};
    shx_query *query;
    float *vector = malloc(encoding->dim * sizeof *vector);
    assert_int_equal(shx_query_create(encoding->code_dim, &query), SHX_OK);
    for (int cluster = 0; cluster < 24; cluster++) {
        run r = run_gauss(encoding, 150, 0.3 + 0.03 * cluster);
        for (int q = 0; q < 4; q++) {
            fill_gauss(vector, encoding->dim, NULL, 1);
            assert_true(shx_query_set(query, encoding, vector));
            assert_true(fabs(query->norm - sqrt(dot(vector, vector, encoding->dim))) < 1e-9);
            check_run(&r, query, &t);
        }
        run_free(&r);
    }
    shx_query_destroy(query);
    free(vector);
    return t;
}

static void estimates_are_unbiased_and_bounds_hold(void **state) {
    (void)state;
    static const struct {
        shx_metric metric;
        uint32_t dim;
    } cases[] = {{SHX_L2, 64}, {SHX_L2, 100}, {SHX_L2, 128}, {SHX_COSINE, 768}, {SHX_IP, 256}, {SHX_L2, 1040}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        shx_encoding encoding = make_encoding(cases[k].metric, cases[k].dim, 40, 0.01);
        tally t = check_encoding(&encoding);
        double bias = t.bias / t.pairs, spread = sqrt(t.refine_square / t.pairs);
        print_message("dim %u: bias %.3f, missed %.4f %.4f, refine over 3 sigma %.4f, spread %.3f\n", cases[k].dim,
                      bias, t.missed19 / t.pairs, t.missed33 / t.pairs, t.refine_far / t.pairs, spread);
        assert_true(fabs(bias) < 0.05);
        assert_true(t.missed19 <= 0.05 * t.pairs);
        assert_true(t.missed33 <= 0.005 * t.pairs);
        assert_true(t.refine_far <= 0.02 * t.pairs);
        assert_true(spread > 0.8 && spread < 1.2);
        free_encoding(&encoding);
    }
}

/* Duplicates share all codes, and postings equal to their centroid are estimated exactly. */
static void zero_residuals_and_duplicates(void **state) {
    (void)state;
    shx_encoding encoding = make_encoding(SHX_L2, 128, 0, 0);
    shx_query *query;
    float vector[128];
    fill_gauss(vector, 128, NULL, 1);
    assert_int_equal(shx_query_create(128, &query), SHX_OK);
    assert_true(shx_query_set(query, &encoding, vector));
    for (int shift = 0; shift < 2; shift++) {
        run r = run_create(40, 128);
        for (int d = 0; d < 128; d++) vector[d] = 3; /* a constant vector, forty times */
        assert_true(shx_encoding_point(&encoding, vector, false, r.centroid));
        for (uint32_t i = 0; i < 40; i++) memcpy(r.points + i * 128, r.centroid, 128 * sizeof *r.points);
        r.centroid[9] += (float)shift;
        run_encode(&r);
        assert_true(r.scale.add_step == 0 && r.scale.mul_step == 0);
        assert_memory_equal(&r.codes[0], &r.codes[39], sizeof r.codes[0]);
        assert_true(shift || (r.codes[0].add == 0 && r.codes[0].mul == 0 && r.codes[0].refine_error == 0));
        float centroid2 = (float)distance2(query->point, r.centroid, 128), bounds[32];
        shx_bound bound;
        shx_query_bound(query, &r.scale, centroid2, 3, INFINITY, &bound);
        shx_kernels_get()->bound_block(r.blocks, query->lut, 128, &r.scale, &bound, bounds);
        double truth = distance2(query->point, r.points, 128);
        for (int i = 0; i < 32; i++) assert_true((double)bounds[i] <= truth * (1 + 1e-6) && bounds[i] == bounds[0]);
        assert_true(shift || (double)bounds[0] >= truth * (1 - 1e-5));
        const float factors[3] = {r.codes[0].refine_add, r.codes[0].refine_mul, r.codes[0].refine_error};
        shx_estimate estimate = shx_query_refine(query, shx_kernels_get(), r.refine, factors, centroid2, 0);
        assert_true(shift || (estimate.distance2 == centroid2 && estimate.deviation == 0));
        run_free(&r);
    }
    shx_query_destroy(query);
    free_encoding(&encoding);
}

/* Very small and very large data give finite factors, bounds that hold, and limits that hold. */
static void extreme_scales_keep_their_bounds(void **state) {
    (void)state;
    static const double scales[] = {1e-44, 1e-38, 1e-30, 1e-20, 1e-10, 1, 1e10, 5e13};
    shx_encoding encoding = make_encoding(SHX_L2, 64, 0, 0);
    shx_query *query;
    assert_int_equal(shx_query_create(64, &query), SHX_OK);
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        run r = run_create(32, 64);
        float vector[64], bounds[32], ip[32];
        fill_gauss(vector, 64, NULL, scales[k]);
        assert_true(shx_encoding_point(&encoding, vector, false, r.centroid));
        for (uint32_t i = 0; i < 32; i++) {
            fill_gauss(vector, 64, NULL, scales[k]);
            assert_true(shx_encoding_point(&encoding, vector, false, r.points + (size_t)i * 64));
        }
        run_encode(&r);
        assert_true(shx_query_set(query, &encoding, vector));
        float centroid2 = (float)distance2(query->point, r.centroid, 64);
        shx_bound bound;
        shx_query_bound(query, &r.scale, centroid2, 6, INFINITY, &bound);
        shx_kernels_get()->bound_block(r.blocks, query->lut, 64, &r.scale, &bound, bounds);
        shx_kernels_get()->scan_block(r.blocks, query->lut, 64, &r.scale, &bound, ip);
        tally t = {0};
        for (uint32_t i = 0; i < 32; i++) {
            double truth = distance2(query->point, r.points + (size_t)i * 64, 64);
            assert_true(isfinite(bounds[i]) && (double)bounds[i] <= truth);
            check_refine(&r, query, i, centroid2, ip[i], &t);
        }
        run_free(&r);
    }
    shx_query_destroy(query);
    free_encoding(&encoding);
}

/* A query that stands on the mean has an empty table. */
static void a_query_at_the_mean(void **state) {
    (void)state;
    shx_encoding encoding = make_encoding(SHX_L2, 100, 0, 1);
    run r = run_gauss(&encoding, 32, 1);
    shx_query *query;
    assert_int_equal(shx_query_create(112, &query), SHX_OK);
    assert_true(shx_query_set(query, &encoding, encoding.mean));
    assert_true(query->lut_step == 0 && query->int8_step == 0 && query->sum == 0);
    tally t = {0};
    check_run(&r, query, &t);
    shx_query_destroy(query);
    run_free(&r);
    free_encoding(&encoding);
}

static int allocations_left;

static void *failing_alloc(uint64_t size) { return allocations_left-- > 0 ? malloc((size_t)size) : NULL; }

static void query_creation_survives_every_failed_allocation(void **state) {
    (void)state;
    const shx_allocator failing = {failing_alloc, NULL, free};
    shx_memory_use(&failing);
    for (int allowed = 0;; allowed++) {
        shx_query *query = NULL;
        allocations_left = allowed;
        shx_status status = shx_query_create(64, &query);
        if (status == SHX_OK) {
            shx_query_destroy(query);
            assert_int_equal(allowed, 8);
            return;
        }
        assert_int_equal(status, SHX_NOMEM);
        assert_null(query);
    }
}

/* The threshold is the distance of the nearest posting of each block: rarely may the head take that one away. */
static void heads_lose_little(void **state) {
    (void)state;
    for (uint32_t dim = 384; dim <= 1536; dim *= 2) {
        shx_encoding encoding = make_encoding(SHX_L2, dim, 0, 0);
        const shx_kernels *kernels = shx_kernels_get();
        uint32_t found = 0, lost = 0;
        float *vector = malloc(dim * sizeof *vector);
        shx_query *query;
        assert_int_equal(shx_query_create(encoding.code_dim, &query), SHX_OK);
        assert_true(query->head_dim > 0 && query->head_dim % 16 == 0 && query->head_dim < query->code_dim);
        for (int cluster = 0; cluster < 10; cluster++) {
            run r = run_gauss(&encoding, 320, 0.3 + 0.07 * cluster);
            fill_gauss(vector, dim, NULL, 1);
            assert_true(shx_query_set(query, &encoding, vector));
            float centroid2 = (float)distance2(query->point, r.centroid, r.code_dim), ip[32];
            for (uint32_t first = 0; first < r.count; first += 32) {
                const uint8_t *block = r.blocks + first / 32 * shx_block_bytes(r.code_dim);
                double nearest2 = INFINITY;
                for (uint32_t i = first; i < first + 32; i++) {
                    double d2 = distance2(query->point, r.points + (size_t)i * r.code_dim, r.code_dim);
                    if (d2 < nearest2) nearest2 = d2;
                }
                shx_bound bound;
                shx_query_bound(query, &r.scale, centroid2, 2, (float)nearest2, &bound);
                bool passes = kernels->scan_block(block, query->lut, r.code_dim, &r.scale, &bound, ip) != 0;
                shx_query_head(query, 3, &bound);
                found += passes;
                lost += passes && kernels->scan_block(block, query->lut, r.code_dim, &r.scale, &bound, ip) == 0;
            }
            run_free(&r);
        }
        if (found <= 80) fail_msg("%u dimensions: %u blocks pass", dim, found);
        if (lost * 50 > found) fail_msg("%u dimensions: a head takes away %u of %u blocks", dim, lost, found);
        shx_query_destroy(query);
        free(vector);
        free_encoding(&encoding);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_dimensions_and_sizes),
        cmocka_unit_test(cosine_lift_gives_twice_the_distance),
        cmocka_unit_test(ip_lift_turns_products_into_distances),
        cmocka_unit_test(vectors_without_a_point_are_refused),
        cmocka_unit_test(distances_of_extreme_vectors_are_finite),
        cmocka_unit_test(distances_and_code_distances_round_trip),
        cmocka_unit_test(codes_follow_their_definition),
        cmocka_unit_test(blocks_hold_bits_and_factors),
        cmocka_unit_test(heads_lose_little),
        cmocka_unit_test(factor_scales_hold_outliers_and_single_values),
        cmocka_unit_test(estimates_are_unbiased_and_bounds_hold),
        cmocka_unit_test(zero_residuals_and_duplicates),
        cmocka_unit_test(extreme_scales_keep_their_bounds),
        cmocka_unit_test(a_query_at_the_mean),
        cmocka_unit_test(query_creation_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
