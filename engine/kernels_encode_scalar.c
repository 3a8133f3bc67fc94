#include "kernels_levels.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The reference of the kernels that make codes. Inner loops of constant length become what vectors the baseline has;
** on 64-bit ARM that is NEON, which has no twin of its own here. */

/* ---- rotation ---- */

/* Flips the sign of each of 16 floats whose bit is set. */
static void encode_flip16(float *at, uint32_t bits) {
    static const uint32_t bit[16] = {1u << 0, 1u << 1, 1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
                                     1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15};
    for (int i = 0; i < 16; i++) {
        uint32_t word;
        memcpy(&word, at + i, sizeof word);
        word ^= (bits & bit[i]) ? 0x80000000u : 0;
        memcpy(at + i, &word, sizeof word);
    }
}

/* (x, y) becomes ((x+y) × scale, (x-y) × scale) for `count` pairs, a multiple of 8. */
static inline void encode_butterfly(float *restrict x, float *restrict y, size_t count, float scale) {
    for (size_t i = 0; i < count; i += 8) {
        for (size_t j = i; j < i + 8; j++) {
            float sum = x[j] + y[j], difference = x[j] - y[j];
            x[j] = sum * scale;
            y[j] = difference * scale;
        }
    }
}

/* Two strides of the fast transform in one pass over `stride` (a multiple of 4) quadruples. */
static inline void encode_quad(float *restrict x, float *restrict y, float *restrict z, float *restrict w,
                               size_t stride) {
    for (size_t i = 0; i < stride; i += 4) {
        for (size_t j = i; j < i + 4; j++) {
            float a = x[j] + y[j], b = x[j] - y[j], c = z[j] + w[j], d = z[j] - w[j];
            x[j] = a + c;
            y[j] = b + d;
            z[j] = a - c;
            w[j] = b - d;
        }
    }
}

/* The transform of four neighbours, scaled: the two shortest strides. */
static inline void encode_four(float *at, float scale) {
    float a = at[0] + at[1], b = at[0] - at[1], c = at[2] + at[3], d = at[2] - at[3];
    at[0] = (a + c) * scale;
    at[1] = (b + d) * scale;
    at[2] = (a - c) * scale;
    at[3] = (b - d) * scale;
}

static void encode_hadamard(float *point, size_t size) {
    float scale = 1.0f / sqrtf((float)size);
    for (size_t i = 0; i < size; i += 4) encode_four(point + i, scale);
    size_t stride = 4;
    for (; stride * 4 <= size; stride *= 4) {
        for (size_t i = 0; i < size; i += 4 * stride) {
            float *at = point + i;
            encode_quad(at, at + stride, at + 2 * stride, at + 3 * stride, stride);
        }
    }
    if (stride < size) encode_butterfly(point, point + stride, stride, 1);
}

void shx_scalar_rotate_round(float *point, size_t dim, size_t first, size_t size, const uint64_t *signs) {
    assert(dim % 16 == 0 && size >= 16 && first + size <= dim);
    for (size_t i = 0; i < dim; i += 16) encode_flip16(point + i, (uint32_t)(signs[i / 64] >> (i % 64)) & 0xFFFF);
    encode_hadamard(point + first, size);
    if (size < dim) encode_butterfly(point, point + dim / 2, dim / 2, SHX_ROTATE_HALF);
}

/* ---- codes ---- */

/* The eight lanes of sums. Signs are random, so they are multiplied in rather than branched on. */
typedef struct encode_lanes {
    double residual2[8], residual_code[8], code_centroid[8], code2[8];
} encode_lanes;

static double encode_fold(const double lane[8]) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static shx_code_sums encode_lanes_fold(const encode_lanes *lanes) {
    return (shx_code_sums){encode_fold(lanes->residual2), encode_fold(lanes->residual_code),
                           encode_fold(lanes->code_centroid), encode_fold(lanes->code2)};
}

static uint8_t encode_bits8(const float *point, const float *centroid) {
    unsigned byte = 0;
    for (unsigned i = 0; i < 8; i++) byte |= (unsigned)(point[i] > centroid[i]) << i;
    return (uint8_t)byte;
}

shx_code_sums shx_scalar_scan_code(const float *point, const float *centroid, size_t dim, uint8_t *ret_bits) {
    encode_lanes lanes = {0};
    for (size_t k = 0; k < dim; k += 8) {
        for (size_t i = 0; i < 8; i++) {
            double c = centroid[k + i], r = point[k + i] - c, code = r > 0 ? 0.5 : -0.5;
            lanes.residual2[i] += r * r;
            lanes.residual_code[i] += r * code;
            lanes.code_centroid[i] += code * c;
        }
        ret_bits[k / 8] = encode_bits8(point + k, centroid + k);
    }
    shx_code_sums sums = encode_lanes_fold(&lanes);
    sums.code2 = 0.25 * (double)dim;
    return sums;
}

/* Eight dimensions of a refine code: their sums, and their codes e in *ret_codes. */
static void encode_refine8(const float *point, const float *centroid, double per_step, encode_lanes *lanes,
                           int32_t ret_codes[8]) {
    for (uint32_t i = 0; i < 8; i++) {
        double c = centroid[i], r = point[i] - c, sign = r > 0 ? 1 : -1;
        double level = fabs(r) * per_step;
        level = level < 15 ? level : 15;
        double code = sign * ((int32_t)level + 0.5);
        lanes->residual_code[i] += r * code;
        lanes->code_centroid[i] += code * c;
        lanes->code2[i] += code * code;
        ret_codes[i] = (int32_t)(code + 15.5) & 15; /* u = code + 15.5 */
    }
}

shx_code_sums shx_scalar_refine_code(const float *point, const float *centroid, size_t dim, double per_step,
                                     uint8_t *ret_refine) {
    size_t half = dim / 2;
    encode_lanes lanes = {0};
    for (size_t k = 0; k < half; k += 8) {
        int32_t low[8], high[8];
        encode_refine8(point + k, centroid + k, per_step, &lanes, low);
        encode_refine8(point + half + k, centroid + half + k, per_step, &lanes, high);
        for (size_t i = 0; i < 8; i++) ret_refine[k + i] = (uint8_t)(low[i] | high[i] << 4);
    }
    return encode_lanes_fold(&lanes);
}
