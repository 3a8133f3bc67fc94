/* Every kernel against its scalar twin (bit for bit) and against plain arithmetic, over edge dimensions, unaligned
** starts and guarded outputs; and the choice of the level. */
#include "kernel_inputs.h"

#include <math.h>

static const size_t DIMS[] = {1,   3,   8,   15,  16,  17,  31,   32,   33,   64,
                              100, 112, 128, 255, 256, 768, 1024, 1040, 2048, 4096};
#define DIM_COUNT (sizeof DIMS / sizeof *DIMS)
#define WITHIN_MAX 103

/* As in SHARDEX_SIMD. */
static const char *const NAMES[] = {"scalar", "avx2", "avx512", "neon"};

static void assert_same_double(double a, double b) { assert_memory_equal(&a, &b, sizeof a); }
static void assert_same_float(float a, float b) { assert_memory_equal(&a, &b, sizeof a); }

static void check_exact_twins(const shx_kernels *wide, const float *a, const float *b, size_t dim) {
    const shx_kernels *scalar = shx_kernels_at(SHX_SIMD_SCALAR);
    assert_same_double(scalar->l2_squared(a, b, dim), wide->l2_squared(a, b, dim));
    assert_same_double(scalar->dot(a, b, dim), wide->dot(a, b, dim));
    assert_same_double(scalar->l2_squared_scaled(a, 0.3, b, 1.7, dim), wide->l2_squared_scaled(a, 0.3, b, 1.7, dim));
    float norm2_scalar, norm2_wide;
    assert_same_float(scalar->near_l2(a, b, dim), wide->near_l2(a, b, dim));
    assert_same_float(scalar->near_dot(a, b, dim, &norm2_scalar), wide->near_dot(a, b, dim, &norm2_wide));
    assert_same_float(norm2_scalar, norm2_wide);
    if (dim % 16 != 0) return;
    assert_same_float(scalar->code_l2_squared(a, b, dim), wide->code_l2_squared(a, b, dim));
}

/* A narrow centroid is measured as the floats that it stands for, by every level. */
static void check_centroid(const shx_kernels *kernels, const float *point, size_t dim) {
    enum { MOST = 4096 };
    int8_t narrow[MOST];
    float wide[MOST];
    const float step = 0x1.8fp-5f;
    if (dim % 16 != 0 || dim > MOST) return;
    for (size_t d = 0; d < dim; d++) {
        narrow[d] = (int8_t)((int)(d * 37 % 255) - 127);
        wide[d] = step * (float)narrow[d];
    }
    float expected = shx_kernels_at(SHX_SIMD_SCALAR)->code_l2_squared(point, wide, dim);
    assert_same_float(expected, kernels->centroid_l2_squared(point, narrow, step, dim));
}

static void centroids_are_measured_as_floats(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        for (size_t k = 0; kernels && k < DIM_COUNT; k++) check_centroid(kernels, in->a + k % 4, DIMS[k]);
    }
}

static void exact_kernels_agree_bit_for_bit(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR + 1; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *wide = table_at(level);
        for (size_t k = 0; wide && k < DIM_COUNT; k++) {
            for (size_t offset = 0; offset < 4; offset++) {
                check_exact_twins(wide, in->a + offset, in->b + 3 - offset, DIMS[k]);
            }
        }
    }
}

static void check_exact_reference(const shx_kernels *kernels, const float *a, const float *b, size_t dim) {
    long double l2 = 0, dot = 0, scaled = 0, size = 0;
    for (size_t i = 0; i < dim; i++) {
        long double x = a[i], y = b[i];
        l2 += (x - y) * (x - y);
        dot += x * y;
        size += fabsl(x * y);
        scaled += (x * 0.25L - y * 2) * (x * 0.25L - y * 2);
    }
    double tolerance = (double)(dim + 2) * 0x1p-53;
    assert_true(fabsl(kernels->l2_squared(a, b, dim) - l2) <= tolerance * l2);
    assert_true(fabsl(kernels->dot(a, b, dim) - dot) <= tolerance * size);
    assert_true(fabsl(kernels->l2_squared_scaled(a, 0.25, b, 2, dim) - scaled) <= 2 * tolerance * scaled);
    float norm2;
    double near = ((double)dim / 16 + 8) * 0x1p-24;
    assert_true(fabsl(kernels->near_l2(a, b, dim) - l2) <= near * l2);
    assert_true(fabsl(kernels->near_dot(a, b, dim, &norm2) - dot) <= near * size);
    assert_true(fabsl(norm2 - kernels->dot(b, b, dim)) <= 2 * near * norm2);
    if (dim % 16 != 0) return;
    assert_true(fabsl(kernels->code_l2_squared(a, b, dim) - l2) <= (double)(dim + 2) * 0x1p-24 * l2);
}

static void exact_kernels_match_plain_arithmetic(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        for (size_t k = 0; kernels && k < DIM_COUNT; k++) {
            check_exact_reference(kernels, in->a + 1, in->b, DIMS[k]);
        }
    }
}

static void exact_kernels_survive_the_largest_floats(void **state) {
    (void)state;
    float a[17], b[17];
    for (size_t i = 0; i < 17; i++) {
        a[i] = 3.4e38f;
        b[i] = -3.4e38f;
    }
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        if (!kernels) continue;
        assert_true(isfinite(kernels->l2_squared(a, b, 17)));
        assert_true(isfinite(kernels->dot(a, b, 17)));
    }
}

/* Plain decoding of one posting of a block, by the format of quantizer.h. */
static uint32_t reference_sum(const uint8_t *block, const uint8_t *lut, size_t dim, size_t posting) {
    static const int order[16] = {0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15};
    uint32_t sum = 0;
    for (size_t m = 0; m < dim / 4; m++) {
        for (size_t j = 0; j < 16; j++) {
            uint8_t byte = block[128 + m * 16 + j];
            if ((size_t)order[j] == posting) sum += lut[m * 16 + (byte & 15)];
            if ((size_t)order[j] + 16 == posting) sum += lut[m * 16 + (byte >> 4)];
        }
    }
    return sum;
}

static const shx_factor_scale SCALE = {.add_min = 2, .add_step = 0.001f, .mul_min = -3, .mul_step = 0.00002f};

static shx_bound bound_for(size_t dim) {
    return (shx_bound){.lut_step = 0.01f, .lut_bias = -0.15f * (float)dim, .offset = 3, .shift = -0.2f};
}

static void check_scan_reference(const shx_kernels *kernels, const uint8_t *block, const uint8_t *lut, size_t dim) {
    shx_bound bound = bound_for(dim);
    float ip[32], bounds[32];
    bound.threshold = INFINITY;
    assert_int_equal(kernels->scan_block(block, lut, dim, &SCALE, &bound, ip), 0xFFFFFFFF);
    kernels->bound_block(block, lut, dim, &SCALE, &bound, bounds);
    for (size_t i = 0; i < 32; i++) {
        uint16_t add, mul;
        memcpy(&add, block + 2 * i, 2);
        memcpy(&mul, block + 64 + 2 * i, 2);
        double exact_ip = (double)bound.lut_step * reference_sum(block, lut, dim, i) + (double)bound.lut_bias;
        double exact = (double)SCALE.add_min + (double)SCALE.add_step * add + (double)bound.offset +
                       ((double)SCALE.mul_min + (double)SCALE.mul_step * mul) * (exact_ip + (double)bound.shift);
        assert_true(fabs((double)ip[i] - exact_ip) <= 1e-6 * (double)dim);
        assert_true(fabs((double)bounds[i] - exact) <= 1e-5 * (double)dim);
    }
}

static void scans_match_the_format(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        for (size_t k = 0; kernels && k < DIM_COUNT; k++) {
            if (DIMS[k] % 16 == 0) check_scan_reference(kernels, in->bytes, in->lut, DIMS[k]);
        }
    }
}

/* A head only takes away: with it a block gives what it gives without, or 0 when no posting passes by its head. */
static void check_head(const shx_kernels *kernels, const uint8_t *block, const uint8_t *lut, size_t dim,
                       float threshold, int counts[2]) {
    shx_bound bound = bound_for(dim);
    float ip[32], ip_with[32];
    bound.threshold = threshold;
    uint32_t without = kernels->scan_block(block, lut, dim, &SCALE, &bound, ip);
    bound.head_dim = (uint32_t)dim / 2 / 16 * 16;
    bound.head_step = bound.lut_step * (float)dim / (float)bound.head_dim;
    bound.head_bias = bound.lut_bias;
    bound.head_shift = bound.shift + 0.2f;
    uint32_t with = kernels->scan_block(block, lut, dim, &SCALE, &bound, ip_with), passing = 0;
    for (size_t i = 0; i < 32; i++) {
        uint16_t add, mul;
        memcpy(&add, block + 2 * i, 2);
        memcpy(&mul, block + 64 + 2 * i, 2);
        float head_ip = bound.head_step * (float)reference_sum(block, lut, bound.head_dim, i) + bound.head_bias;
        float value = (SCALE.add_min + SCALE.add_step * (float)add + bound.offset) +
                      (SCALE.mul_min + SCALE.mul_step * (float)mul) * (head_ip + bound.head_shift);
        passing += !(value >= threshold);
    }
    assert_int_equal(with, passing > 0 ? without : 0);
    if (with) assert_memory_equal(ip, ip_with, sizeof ip);
    counts[passing > 0]++;
}

static void a_head_only_takes_away(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        int counts[2] = {0};
        for (size_t k = 0; kernels && k < DIM_COUNT; k++) {
            if (DIMS[k] % 16 != 0 || DIMS[k] < 32) continue;
            float bounds[32], least = INFINITY;
            shx_bound bound = bound_for(DIMS[k]);
            kernels->bound_block(in->bytes, in->lut, DIMS[k], &SCALE, &bound, bounds);
            for (size_t i = 0; i < 32; i++) least = fminf(least, bounds[i]);
            for (int step = -20; step <= 20; step++) {
                check_head(kernels, in->bytes, in->lut, DIMS[k], least + (float)step * 0.05f * fabsf(least), counts);
            }
        }
        if (kernels) assert_true(counts[0] > 10 && counts[1] > 10);
    }
}

/* Compares twins at a threshold: equal masks, equal ip exactly when the mask is not 0, nothing past the output. */
static uint32_t check_scan_twins(const shx_kernels *wide, const uint8_t *block, const uint8_t *lut, size_t dim,
                                 shx_bound bound) {
    const shx_kernels *scalar = shx_kernels_at(SHX_SIMD_SCALAR);
    float expected[40], actual[40];
    memset(expected, GUARD, sizeof expected);
    memset(actual, GUARD, sizeof actual);
    uint32_t mask = scalar->scan_block(block, lut, dim, &SCALE, &bound, expected + 4);
    assert_int_equal(mask, wide->scan_block(block, lut, dim, &SCALE, &bound, actual + 4));
    assert_memory_equal(expected, actual, sizeof expected);
    assert_guard(actual, 16);
    assert_guard(actual + 36, 16);
    if (mask == 0) assert_guard(actual, sizeof actual);
    scalar->bound_block(block, lut, dim, &SCALE, &bound, expected + 4);
    wide->bound_block(block, lut, dim, &SCALE, &bound, actual + 4);
    assert_memory_equal(expected, actual, sizeof expected);
    assert_guard(actual, 16);
    assert_guard(actual + 36, 16);
    for (size_t i = 0; i < 32; i++) assert_int_equal((mask >> i) & 1, !(actual[4 + i] >= bound.threshold));
    return mask;
}

static void check_scan_thresholds(const shx_kernels *wide, const uint8_t *block, const uint8_t *lut, size_t dim) {
    shx_bound bound = bound_for(dim);
    float bounds[32];
    shx_kernels_at(SHX_SIMD_SCALAR)->bound_block(block, lut, dim, &SCALE, &bound, bounds);
    bound.threshold = -INFINITY;
    assert_int_equal(check_scan_twins(wide, block, lut, dim, bound), 0);
    bound.threshold = bounds[7];
    assert_int_equal(check_scan_twins(wide, block, lut, dim, bound) >> 7 & 1, 0);
    bound.threshold = nextafterf(bounds[29], INFINITY);
    assert_int_equal(check_scan_twins(wide, block, lut, dim, bound) >> 29 & 1, 1);
    bound.offset = NAN;
    assert_int_equal(check_scan_twins(wide, block, lut, dim, bound), 0xFFFFFFFF);
}

static void scans_agree_bit_for_bit(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR + 1; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *wide = table_at(level);
        for (size_t k = 0; wide && k < DIM_COUNT; k++) {
            if (DIMS[k] % 16 != 0) continue;
            for (size_t offset = 0; offset < 4; offset++) {
                check_scan_thresholds(wide, in->bytes + offset, in->lut + 5 * offset, DIMS[k]);
            }
        }
    }
}

/* The sums of a chunk reach 65280, which a signed or an unwidened u16 cannot hold across chunks. */
static void scans_do_not_overflow_at_the_largest_sums(void **state) {
    (void)state;
    uint8_t *block = malloc(DIM_MAX * 4 + 128), *lut = malloc(DIM_MAX * 4);
    memset(block, 0xFF, DIM_MAX * 4 + 128);
    memset(lut, 0xFF, DIM_MAX * 4);
    static const size_t dims[] = {512, 528, 1024, 1040, 2048, 4096, 65536};
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        if (!kernels) continue;
        for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
            shx_bound bound = {.lut_step = 1, .threshold = INFINITY};
            float ip[32];
            assert_int_equal(kernels->scan_block(block, lut, dims[k], &SCALE, &bound, ip), 0xFFFFFFFF);
            for (size_t i = 0; i < 32; i++) assert_true(ip[i] == (float)(dims[k] / 4 * 255));
        }
    }
    free(block);
    free(lut);
}

static void refine_dots_are_exact(void **state) {
    inputs *in = *state;
    static const size_t sizes[] = {32, 64, 96, 128, 384, 512, 1024, 2048, 32768};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (size_t offset = 0; offset < 3; offset++) {
            const uint8_t *code = in->bytes + offset;
            const int8_t *low = in->low + 2 * offset, *high = in->high + 7 * offset;
            int64_t expected = 0;
            for (size_t i = 0; i < sizes[k]; i++) expected += (code[i] % 16) * low[i] + (code[i] / 16) * high[i];
            for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
                const shx_kernels *kernels = table_at(level);
                if (kernels) assert_int_equal(kernels->refine_dot(code, low, high, sizes[k]), expected);
            }
        }
    }
}

static void refine_dots_hold_the_extremes(void **state) {
    (void)state;
    size_t size = 32768;
    uint8_t *code = malloc(size);
    int8_t *query = malloc(size);
    memset(code, 0xFF, size);
    for (int sign = -1; sign <= 1; sign += 2) {
        memset(query, sign * 127, size);
        for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
            const shx_kernels *kernels = table_at(level);
            if (kernels) assert_int_equal(kernels->refine_dot(code, query, query, size), sign * 127 * 15 * 2 * 32768);
        }
    }
    free(code);
    free(query);
}

static void check_panel(const shx_kernels *kernels, const float *const *row, size_t rows, const float *panel,
                        size_t dim) {
    float actual[6 * 16 + 8];
    memset(actual, GUARD, sizeof actual);
    kernels->dot_panel(row, rows, panel, dim, actual + 4);
    assert_guard(actual, 16);
    assert_guard(actual + 4 + rows * 16, sizeof actual - (4 + rows * 16) * sizeof *actual);
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < 16; j++) {
            float sum = 0;
            for (size_t d = 0; d < dim; d++) {
                float product = row[r][d] * panel[d * 16 + j];
                sum += product;
            }
            assert_same_float(actual[4 + r * 16 + j], sum);
        }
    }
}

static void panels_sum_in_order(void **state) {
    inputs *in = *state;
    for (size_t k = 0; k < DIM_COUNT; k++) {
        for (size_t rows = 1; rows <= 6; rows++) {
            const float *row[6];
            for (size_t r = 0; r < rows; r++) row[r] = in->b + r * 1031 + r % 3;
            for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
                const shx_kernels *kernels = table_at(level);
                if (kernels) check_panel(kernels, row, rows, in->a + rows % 2, DIMS[k]);
            }
        }
    }
}

static void check_scores(const shx_kernels *kernels, const uint8_t *const *row, const float *steps, size_t rows,
                         const shx_byte_panel *panel, size_t dim) {
    enum { STRIDE = 19 };
    float actual[6 * STRIDE + 8];
    memset(actual, GUARD, sizeof actual);
    kernels->score_panel(row, steps, rows, panel, dim, actual + 4, STRIDE);
    assert_guard(actual, 16);
    size_t end = 4 + (rows - 1) * STRIDE + 16;
    assert_guard(actual + end, sizeof actual - end * sizeof *actual);
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < 16; j++) {
            int64_t sum = -(int64_t)panel->shifts[j];
            for (size_t d = 0; d < dim; d++) sum += row[r][d] * panel->bytes[d / 4 * 64 + j * 4 + d % 4];
            float scale = steps[r] * panel->scales[j], product = scale * (float)sum;
            assert_same_float(actual[4 + r * STRIDE + j], panel->norms[j] + product);
        }
    }
}

/* A panel of random heads whose bytes are `from` …, or the extreme where that is 0. */
static shx_byte_panel *make_panel(const int8_t *from, int8_t extreme, size_t dim) {
    shx_byte_panel *panel = malloc(sizeof *panel + 16 * dim);
    for (size_t j = 0; j < 16; j++) {
        panel->shifts[j] = (int32_t)(j * 7919) - 50000;
        panel->scales[j] = -0.37f / (float)(j + 1);
        panel->norms[j] = j == 5 ? INFINITY : 1.7f * (float)j;
    }
    for (size_t i = 0; i < 16 * dim; i++) panel->bytes[i] = extreme ? extreme : from[i % (4 * DIM_MAX)];
    return panel;
}

static void panels_of_bytes_are_exact(void **state) {
    inputs *in = *state;
    static const size_t dims[] = {4, 16, 20, 64, 112, 304, 768, 65536};
    const float steps[6] = {0.25f, 1e-8f, 0, 0.03f, 3, 1e9f};
    static uint8_t bytes[65536 + 64];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = in->bytes[i] % 128;
    for (size_t k = 0; k < 3 * (sizeof dims / sizeof *dims); k++) {
        size_t dim = dims[k / 3];
        shx_byte_panel *panel = make_panel(in->low, (int8_t)(k % 3 == 0 ? 0 : k % 3 == 1 ? 127 : -127), dim);
        if (k % 3) memset(bytes, 127, sizeof bytes);
        for (size_t rows = 1; rows <= 6; rows++) {
            const uint8_t *row[6];
            for (size_t r = 0; r < rows; r++) row[r] = bytes + r * 5;
            for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
                const shx_kernels *kernels = table_at(level);
                if (kernels) check_scores(kernels, row, steps, rows, panel, dim);
            }
        }
        free(panel);
    }
}

static void the_lowest_is_the_first_of_equals(void **state) {
    (void)state;
    float values[16 * 9];
    for (size_t count = 16; count <= 16 * 9; count += 16) {
        for (size_t first = 0; first < count; first++) {
            for (size_t i = 0; i < count; i++) values[i] = i % 7 == 3 ? INFINITY : 2 + (float)(i * 37 % 11);
            for (size_t i = first; i < count; i += 13) values[i] = -1.5f;
            for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
                const shx_kernels *kernels = table_at(level);
                if (kernels) assert_int_equal(kernels->lowest(values, count), first);
            }
        }
        for (size_t i = 0; i < count; i++) values[i] = INFINITY;
        for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
            const shx_kernels *kernels = table_at(level);
            if (kernels) assert_int_equal(kernels->lowest(values, count), 0);
        }
    }
}

/* Every position that plain comparing finds, in order, nothing past them, and no NaN. */
static void check_within(const shx_kernels *kernels, const float *values, size_t count, float low, float high) {
    uint32_t actual[WITHIN_MAX + 4];
    memset(actual, GUARD, sizeof actual);
    size_t found = kernels->within(values, count, low, high, actual), expected = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(values[i] > low && values[i] <= high)) continue;
        assert_true(expected < found);
        assert_int_equal(actual[expected++], i);
    }
    assert_int_equal(found, expected);
    assert_guard(actual + count, sizeof actual - count * sizeof *actual);
}

static void positions_within_are_found(void **state) {
    inputs *in = *state;
    float values[WITHIN_MAX];
    memcpy(values, in->a, sizeof values);
    for (size_t i = 5; i < WITHIN_MAX; i += 11) values[i] = NAN;
    values[0] = values[18] = values[33] = INFINITY;
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        for (size_t count = 0; kernels && count <= WITHIN_MAX - 3; count++) {
            const float *from = values + count % 4;
            check_within(kernels, from, count, -0.9f, 0.2f);
            check_within(kernels, from, count, values[1], values[2]);
            check_within(kernels, from, count, -INFINITY, INFINITY);
            check_within(kernels, from, count, 0.5f, 0.4f);
            check_within(kernels, from, count, NAN, 1);
        }
    }
}

static void sums_agree_bit_for_bit(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        for (size_t count = 0; kernels && count <= WITHIN_MAX - 3; count++) {
            float values[WITHIN_MAX];
            const float *terms = in->b + count % 4;
            memcpy(values, in->a, sizeof values);
            kernels->add(terms, count, values);
            for (size_t i = 0; i < WITHIN_MAX; i++) {
                float expected = i < count ? in->a[i] + terms[i] : in->a[i];
                assert_memory_equal(&values[i], &expected, sizeof expected);
            }
        }
    }
}

/* What the compiler's own library says of this machine. */
static bool machine_has(int level) {
#if defined(__x86_64__)
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vnni");
    if (level == SHX_SIMD_AVX2) return __builtin_cpu_supports("avx2");
    if (level == SHX_SIMD_AVX512) return avx512;
#elif defined(__aarch64__)
    if (level == SHX_SIMD_NEON) return true;
#endif
    return level == SHX_SIMD_SCALAR;
}

static void the_level_that_runs_is_the_one_claimed(void **state) {
    (void)state;
    const shx_kernels *scalar = shx_kernels_at(SHX_SIMD_SCALAR);
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = table_at(level);
        assert_int_equal(kernels != NULL, machine_has(level));
        if (!kernels) continue;
        assert_int_equal(kernels->level, level);
        assert_string_equal(kernels->name, NAMES[level]);
        if (level == SHX_SIMD_SCALAR) continue;
        /* No kernel is borrowed from the scalar level. */
        assert_true(kernels->l2_squared != scalar->l2_squared && kernels->dot != scalar->dot);
        assert_true(kernels->l2_squared_scaled != scalar->l2_squared_scaled);
        assert_true(kernels->code_l2_squared != scalar->code_l2_squared && kernels->within != scalar->within);
        assert_true(kernels->scan_block != scalar->scan_block && kernels->bound_block != scalar->bound_block);
        assert_true(kernels->refine_dot != scalar->refine_dot && kernels->dot_panel != scalar->dot_panel);
        assert_true(kernels->score_panel != scalar->score_panel && kernels->lowest != scalar->lowest);
    }
}

/* The best table of this machine that is not above a level. */
static const shx_kernels *best_up_to(int level) {
    const shx_kernels *best = NULL;
    while (!best) best = table_at(level--);
    return best;
}

static void caps_lower_the_level(void **state) {
    (void)state;
    for (int cap = SHX_SIMD_SCALAR; cap <= SHX_SIMD_HIGHEST; cap++) {
        unsetenv("SHARDEX_SIMD");
        shx_kernels_cap((shx_simd_level)cap);
        assert_ptr_equal(shx_kernels_get(), best_up_to(cap));
        setenv("SHARDEX_SIMD", "sse9", 1);
        shx_kernels_cap((shx_simd_level)cap);
        assert_ptr_equal(shx_kernels_get(), best_up_to(cap));
        for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
            setenv("SHARDEX_SIMD", NAMES[level], 1);
            shx_kernels_cap((shx_simd_level)cap);
            assert_ptr_equal(shx_kernels_get(), best_up_to(level < cap ? level : cap));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_kernels_agree_bit_for_bit),
        cmocka_unit_test(centroids_are_measured_as_floats),
        cmocka_unit_test(exact_kernels_match_plain_arithmetic),
        cmocka_unit_test(exact_kernels_survive_the_largest_floats),
        cmocka_unit_test(a_head_only_takes_away),
        cmocka_unit_test(scans_match_the_format),
        cmocka_unit_test(scans_agree_bit_for_bit),
        cmocka_unit_test(scans_do_not_overflow_at_the_largest_sums),
        cmocka_unit_test(refine_dots_are_exact),
        cmocka_unit_test(refine_dots_hold_the_extremes),
        cmocka_unit_test(panels_sum_in_order),
        cmocka_unit_test(panels_of_bytes_are_exact),
        cmocka_unit_test(the_lowest_is_the_first_of_equals),
        cmocka_unit_test(positions_within_are_found),
        cmocka_unit_test(sums_agree_bit_for_bit),
        cmocka_unit_test(the_level_that_runs_is_the_one_claimed),
        cmocka_unit_test(caps_lower_the_level),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
