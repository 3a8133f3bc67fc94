#include "kernels_levels.h"

#if SHX_HAVE_NEON

#include <arm_neon.h>
#include <assert.h>
#include <string.h>

/* Eight of the 16 double lanes of the exact kernels. */
typedef struct neon_lanes {
    float64x2_t a, b, c, d;
} neon_lanes;

static inline neon_lanes neon_lanes_zero(void) {
    float64x2_t zero = vdupq_n_f64(0);
    return (neon_lanes){zero, zero, zero, zero};
}

static inline double neon_lanes_fold(neon_lanes low, neon_lanes high) {
    float64x2_t a = vaddq_f64(low.a, high.a), b = vaddq_f64(low.b, high.b);
    float64x2_t c = vaddq_f64(low.c, high.c), d = vaddq_f64(low.d, high.d);
    return vaddvq_f64(vaddq_f64(vaddq_f64(a, c), vaddq_f64(b, d)));
}

static inline float64x2_t neon_widen(const float *at) { return vcvt_f64_f32(vld1_f32(at)); }

static inline float64x2_t neon_add_square64(float64x2_t sum, float64x2_t difference) {
    return vaddq_f64(sum, vmulq_f64(difference, difference));
}

static inline neon_lanes neon_l2_step(neon_lanes sum, const float *a, const float *b) {
    sum.a = neon_add_square64(sum.a, vsubq_f64(neon_widen(a), neon_widen(b)));
    sum.b = neon_add_square64(sum.b, vsubq_f64(neon_widen(a + 2), neon_widen(b + 2)));
    sum.c = neon_add_square64(sum.c, vsubq_f64(neon_widen(a + 4), neon_widen(b + 4)));
    sum.d = neon_add_square64(sum.d, vsubq_f64(neon_widen(a + 6), neon_widen(b + 6)));
    return sum;
}

typedef neon_lanes (*neon_pair_step)(neon_lanes sum, const float *a, const float *b);

/* Takes two steps for every sixteen pairs. The last dim mod 16 go through zero-padded copies: zeros leave every lane as
** it is. Inlined, so that no step is called through its pointer. */
static inline __attribute__((always_inline)) double neon_over_pairs(const float *a, const float *b, size_t dim,
                                                                    neon_pair_step step) {
    neon_lanes low = neon_lanes_zero(), high = low;
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        low = step(low, a + i, b + i);
        high = step(high, a + i + 8, b + i + 8);
    }
    if (i < dim) {
        float tail_a[16] = {0}, tail_b[16] = {0};
        memcpy(tail_a, a + i, (dim - i) * sizeof *a);
        memcpy(tail_b, b + i, (dim - i) * sizeof *b);
        low = step(low, tail_a, tail_b);
        high = step(high, tail_a + 8, tail_b + 8);
    }
    return neon_lanes_fold(low, high);
}

static double neon_l2_squared(const float *a, const float *b, size_t dim) {
    return neon_over_pairs(a, b, dim, neon_l2_step);
}

static inline neon_lanes neon_l1_step(neon_lanes sum, const float *a, const float *b) {
    sum.a = vaddq_f64(sum.a, vabdq_f64(neon_widen(a), neon_widen(b)));
    sum.b = vaddq_f64(sum.b, vabdq_f64(neon_widen(a + 2), neon_widen(b + 2)));
    sum.c = vaddq_f64(sum.c, vabdq_f64(neon_widen(a + 4), neon_widen(b + 4)));
    sum.d = vaddq_f64(sum.d, vabdq_f64(neon_widen(a + 6), neon_widen(b + 6)));
    return sum;
}

static double neon_l1(const float *a, const float *b, size_t dim) { return neon_over_pairs(a, b, dim, neon_l1_step); }

static inline neon_lanes neon_dot_step(neon_lanes sum, const float *a, const float *b) {
    sum.a = vaddq_f64(sum.a, vmulq_f64(neon_widen(a), neon_widen(b)));
    sum.b = vaddq_f64(sum.b, vmulq_f64(neon_widen(a + 2), neon_widen(b + 2)));
    sum.c = vaddq_f64(sum.c, vmulq_f64(neon_widen(a + 4), neon_widen(b + 4)));
    sum.d = vaddq_f64(sum.d, vmulq_f64(neon_widen(a + 6), neon_widen(b + 6)));
    return sum;
}

static double neon_dot(const float *a, const float *b, size_t dim) { return neon_over_pairs(a, b, dim, neon_dot_step); }

static inline float64x2_t neon_scaled(const float *a, double scale_a, const float *b, double scale_b) {
    return vsubq_f64(vmulq_n_f64(neon_widen(a), scale_a), vmulq_n_f64(neon_widen(b), scale_b));
}

static inline neon_lanes neon_scaled_step(neon_lanes sum, const float *a, double scale_a, const float *b,
                                          double scale_b) {
    sum.a = neon_add_square64(sum.a, neon_scaled(a, scale_a, b, scale_b));
    sum.b = neon_add_square64(sum.b, neon_scaled(a + 2, scale_a, b + 2, scale_b));
    sum.c = neon_add_square64(sum.c, neon_scaled(a + 4, scale_a, b + 4, scale_b));
    sum.d = neon_add_square64(sum.d, neon_scaled(a + 6, scale_a, b + 6, scale_b));
    return sum;
}

static double neon_l2_squared_scaled(const float *a, double scale_a, const float *b, double scale_b, size_t dim) {
    neon_lanes low = neon_lanes_zero(), high = low;
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        low = neon_scaled_step(low, a + i, scale_a, b + i, scale_b);
        high = neon_scaled_step(high, a + i + 8, scale_a, b + i + 8, scale_b);
    }
    if (i < dim) {
        float tail_a[16] = {0}, tail_b[16] = {0};
        memcpy(tail_a, a + i, (dim - i) * sizeof *a);
        memcpy(tail_b, b + i, (dim - i) * sizeof *b);
        low = neon_scaled_step(low, tail_a, scale_a, tail_b, scale_b);
        high = neon_scaled_step(high, tail_a + 8, scale_a, tail_b + 8, scale_b);
    }
    return neon_lanes_fold(low, high);
}

/* Adds the squares of the differences of four dimensions to a sum. */
static inline float32x4_t neon_add_square(float32x4_t sum, const float *point, float32x4_t other) {
    float32x4_t difference = vsubq_f32(vld1q_f32(point), other);
    return vaddq_f32(sum, vmulq_f32(difference, difference));
}

/* Sixteen lanes, four to a register. */
static inline float neon_code_fold(float32x4_t sum0, float32x4_t sum4, float32x4_t sum8, float32x4_t sum12) {
    float32x4_t four = vaddq_f32(vaddq_f32(sum0, sum8), vaddq_f32(sum4, sum12));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static float neon_code_l2_squared(const float *a, const float *b, size_t dim) {
    assert(dim % 16 == 0);
    float32x4_t sum0 = vdupq_n_f32(0), sum4 = sum0, sum8 = sum0, sum12 = sum0;
    for (size_t i = 0; i < dim; i += 16) {
        sum0 = neon_add_square(sum0, a + i, vld1q_f32(b + i));
        sum4 = neon_add_square(sum4, a + i + 4, vld1q_f32(b + i + 4));
        sum8 = neon_add_square(sum8, a + i + 8, vld1q_f32(b + i + 8));
        sum12 = neon_add_square(sum12, a + i + 12, vld1q_f32(b + i + 12));
    }
    return neon_code_fold(sum0, sum4, sum8, sum12);
}

/* Four dimensions of a narrow centroid. */
static inline float32x4_t neon_centroid_part(int16x4_t centroid, float step) {
    return vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(centroid)), step);
}

static float neon_centroid_l2_squared(const float *point, const int8_t *centroid, float step, size_t dim) {
    assert(dim % 16 == 0);
    float32x4_t sum0 = vdupq_n_f32(0), sum4 = sum0, sum8 = sum0, sum12 = sum0;
    for (size_t i = 0; i < dim; i += 16) {
        int8x16_t bytes = vld1q_s8(centroid + i);
        int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
        sum0 = neon_add_square(sum0, point + i, neon_centroid_part(vget_low_s16(low), step));
        sum4 = neon_add_square(sum4, point + i + 4, neon_centroid_part(vget_high_s16(low), step));
        sum8 = neon_add_square(sum8, point + i + 8, neon_centroid_part(vget_low_s16(high), step));
        sum12 = neon_add_square(sum12, point + i + 12, neon_centroid_part(vget_high_s16(high), step));
    }
    return neon_code_fold(sum0, sum4, sum8, sum12);
}

/* Sums of a chunk in u16, in the order of a group's bytes: those of the low nibbles, and of the high ones. */
typedef struct neon_chunk {
    uint16x8_t low0, low8, high0, high8;
} neon_chunk;

static inline neon_chunk neon_scan_step(neon_chunk sum, const uint8_t *code, const uint8_t *lut) {
    uint8x16_t bytes = vld1q_u8(code), table = vld1q_u8(lut);
    uint8x16_t low = vqtbl1q_u8(table, vandq_u8(bytes, vdupq_n_u8(15)));
    uint8x16_t high = vqtbl1q_u8(table, vshrq_n_u8(bytes, 4));
    sum.low0 = vaddw_u8(sum.low0, vget_low_u8(low));
    sum.low8 = vaddw_high_u8(sum.low8, low);
    sum.high0 = vaddw_u8(sum.high0, vget_low_u8(high));
    sum.high8 = vaddw_high_u8(sum.high8, high);
    return sum;
}

/* Adds eight sums, those of postings in order, to two registers of u32. */
static inline void neon_add_chunk(uint32x4_t sum[2], uint16x8_t chunk) {
    sum[0] = vaddw_u16(sum[0], vget_low_u16(chunk));
    sum[1] = vaddw_high_u16(sum[1], chunk);
}

/* Table sums of 32 postings, four to a register. A group's even bytes are postings 0 … 7, its odd ones 8 … 15. */
static inline void neon_add_sums(const uint8_t *block, const uint8_t *lut, size_t begin, size_t end,
                                 uint32x4_t sum[8]) {
    assert(begin % 16 == 0 && end % 16 == 0 && end <= 65536);
    for (size_t at = begin * 4; at < end * 4;) {
        const uint16x8_t zero = vdupq_n_u16(0);
        neon_chunk chunk = {zero, zero, zero, zero};
        size_t stop = at + SHX_SCAN_CHUNK * 4 < end * 4 ? at + SHX_SCAN_CHUNK * 4 : end * 4;
        for (; at < stop; at += 32) {
            chunk = neon_scan_step(chunk, block + at, lut + at);
            chunk = neon_scan_step(chunk, block + at + 16, lut + at + 16);
        }
        neon_add_chunk(sum, vuzp1q_u16(chunk.low0, chunk.low8));
        neon_add_chunk(sum + 2, vuzp2q_u16(chunk.low0, chunk.low8));
        neon_add_chunk(sum + 4, vuzp1q_u16(chunk.high0, chunk.high8));
        neon_add_chunk(sum + 6, vuzp2q_u16(chunk.high0, chunk.high8));
    }
}

static inline float32x4_t neon_ip(uint32x4_t sum, const shx_bound *bound) {
    return vaddq_f32(vmulq_n_f32(vcvtq_f32_u32(sum), bound->lut_step), vdupq_n_f32(bound->lut_bias));
}

static inline float32x4_t neon_factor(const uint8_t *at, float min, float step) {
    float32x4_t number = vcvtq_f32_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(at))));
    return vaddq_f32(vdupq_n_f32(min), vmulq_n_f32(number, step));
}

/* The bounds of four postings; `factors` points at the add factor of the first one. */
static inline float32x4_t neon_bound(const uint8_t *factors, float32x4_t ip, const shx_factor_scale *scale,
                                     const shx_bound *bound) {
    float32x4_t add = neon_factor(factors, scale->add_min, scale->add_step);
    float32x4_t mul = neon_factor(factors + 64, scale->mul_min, scale->mul_step);
    float32x4_t rest = vmulq_f32(mul, vaddq_f32(ip, vdupq_n_f32(bound->shift)));
    return vaddq_f32(vaddq_f32(add, vdupq_n_f32(bound->offset)), rest);
}

/* A bit for each of four values that is not at the threshold or above. */
static inline uint32_t neon_pass(float32x4_t value, const shx_bound *bound) {
    static const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vbicq_u32(vld1q_u32(bits), vcgeq_f32(value, vdupq_n_f32(bound->threshold))));
}

static inline uint32_t neon_passing(const uint8_t *factors, const uint32x4_t sum[8], const shx_factor_scale *scale,
                                    const shx_bound *bound) {
    uint32_t mask = 0;
    for (size_t i = 0; i < 8; i++) {
        float32x4_t value = neon_bound(factors + 8 * i, neon_ip(sum[i], bound), scale, bound);
        mask |= neon_pass(value, bound) << 4 * i;
    }
    return mask;
}

static inline void neon_clear_sums(uint32x4_t sum[8]) {
    for (size_t i = 0; i < 8; i++) sum[i] = vdupq_n_u32(0);
}

static uint32_t neon_scan_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                                const shx_bound *bound, float ret_ip[32]) {
    uint32x4_t sum[8];
    neon_clear_sums(sum);
    if (bound->head_dim > 0) {
        shx_bound head = shx_bound_head(bound);
        neon_add_sums(block + SHX_BLOCK_FACTORS, lut, 0, bound->head_dim, sum);
        if (neon_passing(block, sum, scale, &head) == 0) return 0;
    }
    neon_add_sums(block + SHX_BLOCK_FACTORS, lut, bound->head_dim, dim, sum);
    uint32_t mask = neon_passing(block, sum, scale, bound);
    if (mask == 0) return 0;
    for (size_t i = 0; i < 8; i++) vst1q_f32(ret_ip + 4 * i, neon_ip(sum[i], bound));
    return mask;
}

static void neon_bound_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                             const shx_bound *bound, float ret_bounds[32]) {
    uint32x4_t sum[8];
    neon_clear_sums(sum);
    neon_add_sums(block + SHX_BLOCK_FACTORS, lut, 0, dim, sum);
    for (size_t i = 0; i < 8; i++) {
        vst1q_f32(ret_bounds + 4 * i, neon_bound(block + 8 * i, neon_ip(sum[i], bound), scale, bound));
    }
}

/* Four products are at most 4 × 15 × 127, which i16 holds; every step is folded into i32 at once. */
static inline int32x4_t neon_refine_step(int32x4_t sum, const uint8_t *code, const int8_t *query_low,
                                         const int8_t *query_high) {
    uint8x16_t both = vld1q_u8(code);
    int8x16_t low = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
    int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
    int8x16_t factor_low = vld1q_s8(query_low), factor_high = vld1q_s8(query_high);
    int16x8_t products = vmull_s8(vget_low_s8(low), vget_low_s8(factor_low));
    products = vmlal_high_s8(products, low, factor_low);
    products = vmlal_s8(products, vget_low_s8(high), vget_low_s8(factor_high));
    products = vmlal_high_s8(products, high, factor_high);
    return vpadalq_s16(sum, products);
}

static int32_t neon_refine_dot(const uint8_t *code, const int8_t *query_low, const int8_t *query_high, size_t bytes) {
    assert(bytes % 32 == 0 && bytes <= 32768);
    int32x4_t even = vdupq_n_s32(0), odd = even;
    for (size_t i = 0; i < bytes; i += 32) {
        even = neon_refine_step(even, code + i, query_low + i, query_high + i);
        odd = neon_refine_step(odd, code + i + 16, query_low + i + 16, query_high + i + 16);
    }
    return vaddvq_s32(vaddq_s32(even, odd));
}

/* One row's sums with 16 centroids. */
typedef struct neon_panel_row {
    float32x4_t a, b, c, d;
} neon_panel_row;

static inline neon_panel_row neon_panel_add(neon_panel_row sum, float value, const neon_panel_row *panel) {
    sum.a = vaddq_f32(sum.a, vmulq_n_f32(panel->a, value));
    sum.b = vaddq_f32(sum.b, vmulq_n_f32(panel->b, value));
    sum.c = vaddq_f32(sum.c, vmulq_n_f32(panel->c, value));
    sum.d = vaddq_f32(sum.d, vmulq_n_f32(panel->d, value));
    return sum;
}

static inline neon_panel_row neon_panel_load(const float *at) {
    return (neon_panel_row){vld1q_f32(at), vld1q_f32(at + 4), vld1q_f32(at + 8), vld1q_f32(at + 12)};
}

static inline void neon_panel_store(neon_panel_row sum, float *ret) {
    vst1q_f32(ret, sum.a);
    vst1q_f32(ret + 4, sum.b);
    vst1q_f32(ret + 8, sum.c);
    vst1q_f32(ret + 12, sum.d);
}

static void neon_panel1(const float *row, const float *panel, size_t dim, float *ret) {
    const float32x4_t zero = vdupq_n_f32(0);
    neon_panel_row sum = {zero, zero, zero, zero};
    for (size_t d = 0; d < dim; d++) {
        neon_panel_row values = neon_panel_load(panel + d * 16);
        sum = neon_panel_add(sum, row[d], &values);
    }
    neon_panel_store(sum, ret);
}

/* Two rows share each load of the panel, and their eight sums are enough to hide how long an addition takes. */
static void neon_panel2(const float *row0, const float *row1, const float *panel, size_t dim, float *ret) {
    const float32x4_t zero = vdupq_n_f32(0);
    neon_panel_row sum0 = {zero, zero, zero, zero}, sum1 = sum0;
    for (size_t d = 0; d < dim; d++) {
        neon_panel_row values = neon_panel_load(panel + d * 16);
        sum0 = neon_panel_add(sum0, row0[d], &values);
        sum1 = neon_panel_add(sum1, row1[d], &values);
    }
    neon_panel_store(sum0, ret);
    neon_panel_store(sum1, ret + 16);
}

static void neon_dot_panel(const float *const *row, size_t rows, const float *panel, size_t dim, float *ret) {
    assert(rows >= 1 && rows <= 6);
    size_t r = 0;
    for (; r + 2 <= rows; r += 2) neon_panel2(row[r], row[r + 1], panel, dim, ret + r * 16);
    if (r < rows) neon_panel1(row[r], panel, dim, ret + r * 16);
}

/* Four centroids: each product of bytes fits 16 bits, and each register holds two sums of a centroid. */
typedef struct neon_score4 {
    int32x4_t low, high;
} neon_score4;

static inline neon_score4 neon_score_add(neon_score4 sum, int8x8_t row, const int8_t *bytes) {
    int8x16_t centroids = vld1q_s8(bytes);
    sum.low = vpadalq_s16(sum.low, vmull_s8(row, vget_low_s8(centroids)));
    sum.high = vpadalq_s16(sum.high, vmull_s8(row, vget_high_s8(centroids)));
    return sum;
}

static void neon_score_store(neon_score4 sum, float step, const shx_byte_panel *panel, size_t j, float *ret) {
    int32x4_t dots = vsubq_s32(vpaddq_s32(sum.low, sum.high), vld1q_s32(panel->shifts + j));
    float32x4_t scales = vmulq_n_f32(vld1q_f32(panel->scales + j), step);
    vst1q_f32(ret + j, vaddq_f32(vld1q_f32(panel->norms + j), vmulq_f32(scales, vcvtq_f32_s32(dots))));
}

static void neon_score1(const uint8_t *row, float step, const shx_byte_panel *panel, size_t dim, float *ret) {
    const int32x4_t zero = vdupq_n_s32(0);
    neon_score4 a = {zero, zero}, b = a, c = a, d = a;
    for (size_t i = 0; i < dim; i += 4) {
        int32_t four;
        memcpy(&four, row + i, sizeof four);
        int8x8_t all = vreinterpret_s8_s32(vdup_n_s32(four));
        const int8_t *bytes = panel->bytes + i * 16;
        a = neon_score_add(a, all, bytes);
        b = neon_score_add(b, all, bytes + 16);
        c = neon_score_add(c, all, bytes + 32);
        d = neon_score_add(d, all, bytes + 48);
    }
    neon_score_store(a, step, panel, 0, ret);
    neon_score_store(b, step, panel, 4, ret);
    neon_score_store(c, step, panel, 8, ret);
    neon_score_store(d, step, panel, 12, ret);
}

static void neon_score_panel(const uint8_t *const *row, const float *steps, size_t rows, const shx_byte_panel *panel,
                             size_t dim, float *ret, size_t stride) {
    assert(rows >= 1 && rows <= 6 && dim % 4 == 0);
    for (size_t r = 0; r < rows; r++) neon_score1(row[r], steps[r], panel, dim, ret + r * stride);
}

static size_t neon_lowest(const float *values, size_t count) {
    float32x4_t lowest = vld1q_f32(values);
    for (size_t i = 4; i < count; i += 4) lowest = vminq_f32(lowest, vld1q_f32(values + i));
    float least = vminvq_f32(lowest);
    size_t i = 0;
    while (!(values[i] == least)) i++;
    return i;
}

static size_t neon_within(const float *values, size_t count, float low, float high, uint32_t *ret_positions) {
    size_t found = 0, i = 0;
    float32x4_t lows = vdupq_n_f32(low), highs = vdupq_n_f32(high);
    for (; i + 4 <= count; i += 4) {
        float32x4_t four = vld1q_f32(values + i);
        uint32x4_t inside = vandq_u32(vcgtq_f32(four, lows), vcleq_f32(four, highs));
        /* Narrowed to 16 bits a value, so that one scalar register shows all four. */
        uint64_t mask = vget_lane_u64(vreinterpret_u64_u16(vmovn_u32(inside)), 0) & 0x0001000100010001u;
        for (; mask; mask &= mask - 1) ret_positions[found++] = (uint32_t)i + (uint32_t)__builtin_ctzll(mask) / 16;
    }
    for (; i < count; i++) {
        if (values[i] > low && values[i] <= high) ret_positions[found++] = (uint32_t)i;
    }
    return found;
}

static void neon_add(const float *restrict terms, size_t count, float *restrict values) {
    for (size_t i = 0; i < count; i++) values[i] += terms[i];
}

const shx_kernels shx_kernels_neon = {
    .level = SHX_SIMD_NEON,
    .name = "neon",
    .l2_squared = neon_l2_squared,
    .dot = neon_dot,
    .l2_squared_scaled = neon_l2_squared_scaled,
    .near_l2 = shx_scalar_near_l2,
    .near_dot = shx_scalar_near_dot,
    .l1 = neon_l1,
    .decode_float16 = shx_neon_decode_float16,
    .decode_bfloat16 = shx_neon_decode_bfloat16,
    .int8_l2_squared = shx_neon_int8_l2_squared,
    .int8_dot = shx_neon_int8_dot,
    .int8_l1 = shx_neon_int8_l1,
    .int8_l1_rows = shx_neon_int8_l1_rows,
    .hamming = shx_neon_hamming,
    .code_l2_squared = neon_code_l2_squared,
    .centroid_l2_squared = neon_centroid_l2_squared,
    .scan_block = neon_scan_block,
    .bound_block = neon_bound_block,
    .within = neon_within,
    .add = neon_add,
    .refine_dot = neon_refine_dot,
    .dot_panel = neon_dot_panel,
    .score_panel = neon_score_panel,
    .lowest = neon_lowest,
    .rotate_round = shx_scalar_rotate_round,
    .scan_code = shx_scalar_scan_code,
    .refine_code = shx_scalar_refine_code,
};

#else

const shx_kernels shx_kernels_neon = {.level = SHX_SIMD_NEON, .name = "neon"};

#endif
