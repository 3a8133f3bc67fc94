#include "kernels_levels.h"

#include "bytes.h"

#include <assert.h>
#include <math.h>

/* The reference that every other level repeats bit for bit: same lanes, same order. */

static double scalar_fold(double lane[16]) {
    for (size_t width = 8; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) lane[i] += lane[i + width];
    }
    return lane[0];
}

/* One step takes up to 16 elements; a constant count lets the compiler use what vectors the baseline has. */
static inline void scalar_l2_step(double lane[16], const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double difference = (double)a[i] - (double)b[i];
        lane[i] += difference * difference;
    }
}

static double scalar_l2_squared(const float *a, const float *b, size_t dim) {
    double lane[16] = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) scalar_l2_step(lane, a + i, b + i, 16);
    scalar_l2_step(lane, a + i, b + i, dim - i);
    return scalar_fold(lane);
}

static inline void scalar_dot_step(double lane[16], const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++) lane[i] += (double)a[i] * (double)b[i];
}

static double scalar_dot(const float *a, const float *b, size_t dim) {
    double lane[16] = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) scalar_dot_step(lane, a + i, b + i, 16);
    scalar_dot_step(lane, a + i, b + i, dim - i);
    return scalar_fold(lane);
}

static double scalar_l1(const float *a, const float *b, size_t dim) {
    double lane[16] = {0};
    for (size_t i = 0; i < dim; i++) lane[i % 16] += fabs((double)a[i] - (double)b[i]);
    return scalar_fold(lane);
}

static double scalar_l2_squared_scaled(const float *a, double scale_a, const float *b, double scale_b, size_t dim) {
    double lane[16] = {0};
    for (size_t i = 0; i < dim; i++) {
        double difference = (double)a[i] * scale_a - (double)b[i] * scale_b;
        lane[i % 16] += difference * difference;
    }
    return scalar_fold(lane);
}

static float scalar_near_fold(float lane[16]) {
    for (size_t width = 8; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) lane[i] += lane[i + width];
    }
    return lane[0];
}

static inline void scalar_near_l2_step(float lane[16], const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float difference = a[i] - b[i];
        lane[i] += difference * difference;
    }
}

float shx_scalar_near_l2(const float *a, const float *b, size_t dim) {
    float lane[16] = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) scalar_near_l2_step(lane, a + i, b + i, 16);
    scalar_near_l2_step(lane, a + i, b + i, dim - i);
    return scalar_near_fold(lane);
}

static inline void scalar_near_dot_step(float dot[16], float norm2[16], const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        dot[i] += a[i] * b[i];
        norm2[i] += b[i] * b[i];
    }
}

float shx_scalar_near_dot(const float *a, const float *b, size_t dim, float *ret_norm2) {
    float dot[16] = {0}, norm2[16] = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) scalar_near_dot_step(dot, norm2, a + i, b + i, 16);
    scalar_near_dot_step(dot, norm2, a + i, b + i, dim - i);
    *ret_norm2 = scalar_near_fold(norm2);
    return scalar_near_fold(dot);
}

static float scalar_code_l2_squared(const float *a, const float *b, size_t dim) {
    assert(dim % 16 == 0);
    float lane[16] = {0};
    for (size_t i = 0; i < dim; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            float difference = a[i + j] - b[i + j];
            lane[j] += difference * difference;
        }
    }
    return scalar_near_fold(lane);
}

static float scalar_centroid_l2_squared(const float *point, const int8_t *centroid, float step, size_t dim) {
    assert(dim % 16 == 0);
    float lane[16] = {0};
    for (size_t i = 0; i < dim; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            float difference = point[i + j] - step * (float)centroid[i + j];
            lane[j] += difference * difference;
        }
    }
    return scalar_near_fold(lane);
}

/* Byte j of a group holds the postings j/2 (j even) or 8 + j/2 (j odd), and the same + 16. */
static void scalar_add_sums(const uint8_t *block, const uint8_t *lut, size_t begin, size_t end, uint32_t sum[32]) {
    assert(begin % 16 == 0 && end % 16 == 0 && end <= 65536);
    for (size_t at = begin * 4; at < end * 4; at += 16) {
        for (size_t j = 0; j < 16; j++) {
            size_t posting = j / 2 + j % 2 * 8;
            sum[posting] += lut[at + (block[at + j] & 15)];
            sum[posting + 16] += lut[at + (block[at + j] >> 4)];
        }
    }
}

static float scalar_ip(uint32_t sum, const shx_bound *bound) { return bound->lut_step * (float)sum + bound->lut_bias; }

static float scalar_bound(const uint8_t *factors, size_t posting, float ip, const shx_factor_scale *scale,
                          const shx_bound *bound) {
    float add = scale->add_min + scale->add_step * (float)shx_get16(factors + 2 * posting);
    float mul = scale->mul_min + scale->mul_step * (float)shx_get16(factors + 64 + 2 * posting);
    return (add + bound->offset) + mul * (ip + bound->shift);
}

/* The postings whose bound is not at the threshold or above. */
static uint32_t scalar_pass(const uint8_t *factors, const uint32_t sum[32], const shx_factor_scale *scale,
                            const shx_bound *bound) {
    uint32_t mask = 0;
    for (size_t i = 0; i < 32; i++) {
        float value = scalar_bound(factors, i, scalar_ip(sum[i], bound), scale, bound);
        mask |= (uint32_t) !(value >= bound->threshold) << i;
    }
    return mask;
}

static uint32_t scalar_scan_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                                  const shx_bound *bound, float ret_ip[32]) {
    uint32_t sum[32] = {0};
    scalar_add_sums(block + SHX_BLOCK_FACTORS, lut, 0, bound->head_dim, sum);
    if (bound->head_dim > 0) {
        shx_bound head = shx_bound_head(bound);
        if (scalar_pass(block, sum, scale, &head) == 0) return 0;
    }
    scalar_add_sums(block + SHX_BLOCK_FACTORS, lut, bound->head_dim, dim, sum);
    uint32_t mask = scalar_pass(block, sum, scale, bound);
    if (mask == 0) return 0;
    for (size_t i = 0; i < 32; i++) ret_ip[i] = scalar_ip(sum[i], bound);
    return mask;
}

static void scalar_bound_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                               const shx_bound *bound, float ret_bounds[32]) {
    uint32_t sum[32] = {0};
    scalar_add_sums(block + SHX_BLOCK_FACTORS, lut, 0, dim, sum);
    for (size_t i = 0; i < 32; i++) {
        ret_bounds[i] = scalar_bound(block, i, scalar_ip(sum[i], bound), scale, bound);
    }
}

static int32_t scalar_refine_dot(const uint8_t *code, const int8_t *query_low, const int8_t *query_high, size_t bytes) {
    assert(bytes % 32 == 0 && bytes <= 32768);
    int32_t sum = 0;
    for (size_t i = 0; i < bytes; i++) sum += (code[i] & 15) * query_low[i] + (code[i] >> 4) * query_high[i];
    return sum;
}

static void scalar_dot_panel(const float *const *row, size_t rows, const float *panel, size_t dim, float *ret) {
    assert(rows >= 1 && rows <= 6);
    for (size_t r = 0; r < rows; r++) {
        float sum[16] = {0};
        for (size_t d = 0; d < dim; d++) {
            for (size_t j = 0; j < 16; j++) sum[j] += row[r][d] * panel[d * 16 + j];
        }
        memcpy(ret + r * 16, sum, sizeof sum);
    }
}

static void scalar_score_panel(const uint8_t *const *row, const float *steps, size_t rows, const shx_byte_panel *panel,
                               size_t dim, float *ret, size_t stride) {
    assert(rows >= 1 && rows <= 6 && dim % 4 == 0);
    for (size_t r = 0; r < rows; r++) {
        int32_t sum[16] = {0};
        for (size_t d = 0; d < dim; d++) {
            const int8_t *bytes = panel->bytes + d / 4 * 64 + d % 4;
            for (size_t j = 0; j < 16; j++) sum[j] += row[r][d] * bytes[j * 4];
        }
        for (size_t j = 0; j < 16; j++) {
            ret[r * stride + j] = panel->norms[j] + steps[r] * panel->scales[j] * (float)(sum[j] - panel->shifts[j]);
        }
    }
}

static size_t scalar_lowest(const float *values, size_t count) {
    size_t lowest = 0;
    for (size_t i = 1; i < count; i++) {
        if (values[i] < values[lowest]) lowest = i;
    }
    return lowest;
}

static size_t scalar_within(const float *values, size_t count, float low, float high, uint32_t *ret_positions) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (values[i] > low && values[i] <= high) ret_positions[found++] = (uint32_t)i;
    }
    return found;
}

static void scalar_add(const float *restrict terms, size_t count, float *restrict values) {
    for (size_t i = 0; i < count; i++) values[i] += terms[i];
}

const shx_kernels shx_kernels_scalar = {
    .level = SHX_SIMD_SCALAR,
    .name = "scalar",
    .l2_squared = scalar_l2_squared,
    .dot = scalar_dot,
    .l2_squared_scaled = scalar_l2_squared_scaled,
    .near_l2 = shx_scalar_near_l2,
    .near_dot = shx_scalar_near_dot,
    .l1 = scalar_l1,
    .decode_float16 = shx_scalar_decode_float16,
    .decode_bfloat16 = shx_scalar_decode_bfloat16,
    .int8_l2_squared = shx_scalar_int8_l2_squared,
    .int8_dot = shx_scalar_int8_dot,
    .int8_l1 = shx_scalar_int8_l1,
    .int8_l1_rows = shx_scalar_int8_l1_rows,
    .hamming = shx_scalar_hamming,
    .code_l2_squared = scalar_code_l2_squared,
    .centroid_l2_squared = scalar_centroid_l2_squared,
    .scan_block = scalar_scan_block,
    .bound_block = scalar_bound_block,
    .within = scalar_within,
    .add = scalar_add,
    .refine_dot = scalar_refine_dot,
    .dot_panel = scalar_dot_panel,
    .score_panel = scalar_score_panel,
    .lowest = scalar_lowest,
    .rotate_round = shx_scalar_rotate_round,
    .scan_code = shx_scalar_scan_code,
    .refine_code = shx_scalar_refine_code,
};
