#include "kernels_levels.h"
#include "planted.h"

#if SHX_HAVE_X86

#include <assert.h>
#include <immintrin.h>
#include <string.h>

SHX_TARGET_AVX2

/* The 16 double lanes of the exact kernels. */
typedef struct avx2_lanes {
    __m256d a, b, c, d;
} avx2_lanes;

static inline avx2_lanes avx2_lanes_zero(void) {
    __m256d zero = _mm256_setzero_pd();
    return (avx2_lanes){zero, zero, zero, zero};
}

static inline double avx2_lanes_fold(avx2_lanes lanes) {
    __m256d four = _mm256_add_pd(_mm256_add_pd(lanes.a, lanes.c), _mm256_add_pd(lanes.b, lanes.d));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

static inline __m256d avx2_widen(const float *at) { return _mm256_cvtps_pd(_mm_loadu_ps(at)); }

static inline __m256d avx2_add_square(__m256d sum, const float *a, const float *b) {
    __m256d difference = _mm256_sub_pd(avx2_widen(a), avx2_widen(b));
    return _mm256_add_pd(sum, _mm256_mul_pd(difference, difference));
}

static inline avx2_lanes avx2_l2_step(avx2_lanes sum, const float *a, const float *b) {
    sum.a = avx2_add_square(sum.a, a, b);
    sum.b = avx2_add_square(sum.b, a + 4, b + 4);
    sum.c = avx2_add_square(sum.c, a + 8, b + 8);
    sum.d = avx2_add_square(sum.d, a + 12, b + 12);
    return sum;
}

/* 16 float lanes. */
typedef struct avx2_near {
    __m256 low, high;
} avx2_near;

static inline avx2_near avx2_near_load(const float *at) {
    return (avx2_near){_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)};
}

/* The last 1 … 15 elements; what stands behind them is not read, and zero takes its place. */
static inline avx2_near avx2_near_load_tail(const float *at, size_t count) {
    static const int32_t mask[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    __m256i low = _mm256_loadu_si256((const __m256i *)(mask + 16 - count));
    __m256i high = _mm256_loadu_si256((const __m256i *)(mask + 24 - count));
    return (avx2_near){_mm256_maskload_ps(at, low), _mm256_maskload_ps(at + 8, high)};
}

/* The same with zeros behind, for steps that take sixteen. */
static inline void avx2_copy_tail(const float *at, size_t count, float ret_copy[16]) {
    avx2_near tail = avx2_near_load_tail(at, count);
    _mm256_storeu_ps(ret_copy, tail.low);
    _mm256_storeu_ps(ret_copy + 8, tail.high);
}

typedef avx2_lanes (*avx2_pair_step)(avx2_lanes sum, const float *a, const float *b);

/* Takes a step for every sixteen pairs. The last dim mod 16 go through zero-padded copies: zeros leave every lane as it
** is. Inlined, so that no step is called through its pointer. */
static inline __attribute__((always_inline)) double avx2_over_pairs(const float *a, const float *b, size_t dim,
                                                                    avx2_pair_step step) {
    avx2_lanes sum = avx2_lanes_zero();
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) sum = step(sum, a + i, b + i);
    if (i < dim) {
        float tail_a[16], tail_b[16];
        avx2_copy_tail(a + i, dim - i, tail_a);
        avx2_copy_tail(b + i, dim - i, tail_b);
        sum = step(sum, tail_a, tail_b);
    }
    return avx2_lanes_fold(sum);
}

double shx_avx2_l2_squared(const float *a, const float *b, size_t dim) {
    return avx2_over_pairs(a, b, dim, avx2_l2_step);
}

static inline __m256d avx2_add_magnitude(__m256d sum, const float *a, const float *b) {
    __m256d difference = _mm256_sub_pd(avx2_widen(a), avx2_widen(b));
    return _mm256_add_pd(sum, _mm256_andnot_pd(_mm256_set1_pd(-0.0), difference));
}

static inline avx2_lanes avx2_l1_step(avx2_lanes sum, const float *a, const float *b) {
    sum.a = avx2_add_magnitude(sum.a, a, b);
    sum.b = avx2_add_magnitude(sum.b, a + 4, b + 4);
    sum.c = avx2_add_magnitude(sum.c, a + 8, b + 8);
    sum.d = avx2_add_magnitude(sum.d, a + 12, b + 12);
    return sum;
}

double shx_avx2_l1(const float *a, const float *b, size_t dim) { return avx2_over_pairs(a, b, dim, avx2_l1_step); }

static inline __m256d avx2_add_product(__m256d sum, const float *a, const float *b) {
    return _mm256_add_pd(sum, _mm256_mul_pd(avx2_widen(a), avx2_widen(b)));
}

static inline avx2_lanes avx2_dot_step(avx2_lanes sum, const float *a, const float *b) {
    sum.a = avx2_add_product(sum.a, a, b);
    sum.b = avx2_add_product(sum.b, a + 4, b + 4);
    sum.c = avx2_add_product(sum.c, a + 8, b + 8);
    sum.d = avx2_add_product(sum.d, a + 12, b + 12);
    return sum;
}

double shx_avx2_dot(const float *a, const float *b, size_t dim) { return avx2_over_pairs(a, b, dim, avx2_dot_step); }

static inline __m256d avx2_add_scaled(__m256d sum, const float *a, __m256d scale_a, const float *b, __m256d scale_b) {
    __m256d scaled_a = _mm256_mul_pd(avx2_widen(a), scale_a), scaled_b = _mm256_mul_pd(avx2_widen(b), scale_b);
    __m256d difference = _mm256_sub_pd(scaled_a, scaled_b);
    return _mm256_add_pd(sum, _mm256_mul_pd(difference, difference));
}

static inline avx2_lanes avx2_scaled_step(avx2_lanes sum, const float *a, __m256d scale_a, const float *b,
                                          __m256d scale_b) {
    sum.a = avx2_add_scaled(sum.a, a, scale_a, b, scale_b);
    sum.b = avx2_add_scaled(sum.b, a + 4, scale_a, b + 4, scale_b);
    sum.c = avx2_add_scaled(sum.c, a + 8, scale_a, b + 8, scale_b);
    sum.d = avx2_add_scaled(sum.d, a + 12, scale_a, b + 12, scale_b);
    return sum;
}

double shx_avx2_l2_squared_scaled(const float *a, double scale_a, const float *b, double scale_b, size_t dim) {
    avx2_lanes sum = avx2_lanes_zero();
    __m256d all_a = _mm256_set1_pd(scale_a), all_b = _mm256_set1_pd(scale_b);
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) sum = avx2_scaled_step(sum, a + i, all_a, b + i, all_b);
    if (i < dim) {
        float tail_a[16], tail_b[16];
        avx2_copy_tail(a + i, dim - i, tail_a);
        avx2_copy_tail(b + i, dim - i, tail_b);
        sum = avx2_scaled_step(sum, tail_a, all_a, tail_b, all_b);
    }
    return avx2_lanes_fold(sum);
}

static inline float avx2_near_fold(avx2_near lanes) {
    __m256 eight = _mm256_add_ps(lanes.low, lanes.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline avx2_near avx2_near_add_squares(avx2_near sum, avx2_near a, avx2_near b) {
    __m256 low = _mm256_sub_ps(a.low, b.low), high = _mm256_sub_ps(a.high, b.high);
    return (avx2_near){_mm256_add_ps(sum.low, _mm256_mul_ps(low, low)),
                       _mm256_add_ps(sum.high, _mm256_mul_ps(high, high))};
}

static inline avx2_near avx2_near_add_products(avx2_near sum, avx2_near a, avx2_near b) {
    return (avx2_near){_mm256_add_ps(sum.low, _mm256_mul_ps(a.low, b.low)),
                       _mm256_add_ps(sum.high, _mm256_mul_ps(a.high, b.high))};
}

float shx_avx2_near_l2(const float *a, const float *b, size_t dim) {
    avx2_near sum = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) sum = avx2_near_add_squares(sum, avx2_near_load(a + i), avx2_near_load(b + i));
    if (i < dim) {
        sum = avx2_near_add_squares(sum, avx2_near_load_tail(a + i, dim - i), avx2_near_load_tail(b + i, dim - i));
    }
    return avx2_near_fold(sum);
}

float shx_avx2_near_dot(const float *a, const float *b, size_t dim, float *ret_norm2) {
    avx2_near dot = {_mm256_setzero_ps(), _mm256_setzero_ps()}, norm2 = dot;
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        avx2_near row = avx2_near_load(b + i);
        dot = avx2_near_add_products(dot, avx2_near_load(a + i), row);
        norm2 = avx2_near_add_products(norm2, row, row);
    }
    if (i < dim) {
        avx2_near row = avx2_near_load_tail(b + i, dim - i);
        dot = avx2_near_add_products(dot, avx2_near_load_tail(a + i, dim - i), row);
        norm2 = avx2_near_add_products(norm2, row, row);
    }
    *ret_norm2 = avx2_near_fold(norm2);
    return avx2_near_fold(dot);
}

float shx_avx2_code_l2_squared(const float *a, const float *b, size_t dim) {
    assert(dim % 16 == 0);
    avx2_near sum = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t i = 0; i < dim; i += 16) {
        sum = avx2_near_add_squares(sum, avx2_near_load(a + i), avx2_near_load(b + i));
    }
    return avx2_near_fold(sum);
}

static inline avx2_near avx2_centroid_load(const int8_t *at, __m256 step) {
    __m256i low = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)at));
    __m256i high = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(at + 8)));
    return (avx2_near){_mm256_mul_ps(step, _mm256_cvtepi32_ps(low)), _mm256_mul_ps(step, _mm256_cvtepi32_ps(high))};
}

float shx_avx2_centroid_l2_squared(const float *point, const int8_t *centroid, float step, size_t dim) {
    assert(dim % 16 == 0);
    const __m256 steps = _mm256_set1_ps(step);
    avx2_near sum = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t i = 0; i < dim; i += 16) {
        sum = avx2_near_add_squares(sum, avx2_near_load(point + i), avx2_centroid_load(centroid + i, steps));
    }
    return avx2_near_fold(sum);
}

/* Table sums of 32 postings, eight to a register: u16 while a chunk is added up, u32 after. */
typedef struct avx2_sums {
    __m256i rows0, rows8, rows16, rows24;
} avx2_sums;

/* Adds the table bytes of two groups (32 bytes of block). Registers rows0 and rows16 take whole u16 pairs of bytes,
** rows8 and rows24 only the odd bytes; avx2_add_chunk takes the odd ones out of the pairs again. */
static inline avx2_sums avx2_scan_step(avx2_sums sum, const uint8_t *code, const uint8_t *lut) {
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i bytes = _mm256_loadu_si256((const __m256i *)code), table = _mm256_loadu_si256((const __m256i *)lut);
    __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bytes, nibble));
    __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
    sum.rows0 = _mm256_add_epi16(sum.rows0, low);
    sum.rows8 = _mm256_add_epi16(sum.rows8, _mm256_srli_epi16(low, 8));
    sum.rows16 = _mm256_add_epi16(sum.rows16, high);
    sum.rows24 = _mm256_add_epi16(sum.rows24, _mm256_srli_epi16(high, 8));
    return sum;
}

/* The two halves of a register hold even and odd groups of the same eight postings: adds both, unsigned. */
static inline __m256i avx2_add_chunk(__m256i sum, __m256i chunk) {
    __m128i both = _mm_add_epi16(_mm256_castsi256_si128(chunk), _mm256_extracti128_si256(chunk, 1));
    return _mm256_add_epi32(sum, SHX_PLANTED(43) ? _mm256_cvtepi16_epi32(both) : _mm256_cvtepu16_epi32(both));
}

/* Adds the dimensions begin … end - 1 of a block. */
static inline avx2_sums avx2_add_sums(avx2_sums sum, const uint8_t *block, const uint8_t *lut, size_t begin,
                                      size_t end) {
    assert(begin % 16 == 0 && end % 16 == 0 && end <= 65536);
    const __m256i zero = _mm256_setzero_si256();
    for (size_t at = begin * 4; at < end * 4;) {
        avx2_sums chunk = {zero, zero, zero, zero};
        size_t stop = at + SHX_SCAN_CHUNK * 4 < end * 4 && !SHX_PLANTED(44) ? at + SHX_SCAN_CHUNK * 4 : end * 4;
        for (; at < stop; at += 64) {
            chunk = avx2_scan_step(chunk, block + at, lut + at);
            chunk = avx2_scan_step(chunk, block + at + 32, lut + at + 32);
        }
        chunk.rows0 = _mm256_sub_epi16(chunk.rows0, _mm256_slli_epi16(chunk.rows8, 8));
        chunk.rows16 = _mm256_sub_epi16(chunk.rows16, _mm256_slli_epi16(chunk.rows24, 8));
        sum.rows0 = avx2_add_chunk(sum.rows0, chunk.rows0);
        sum.rows8 = avx2_add_chunk(sum.rows8, chunk.rows8);
        sum.rows16 = avx2_add_chunk(sum.rows16, chunk.rows16);
        sum.rows24 = avx2_add_chunk(sum.rows24, chunk.rows24);
    }
    return sum;
}

static inline __m256 avx2_ip(__m256i sum, const shx_bound *bound) {
    __m256 scaled = _mm256_mul_ps(_mm256_set1_ps(bound->lut_step), _mm256_cvtepi32_ps(sum));
    return _mm256_add_ps(scaled, _mm256_set1_ps(bound->lut_bias));
}

static inline __m256 avx2_factor(const uint8_t *at, float min, float step) {
    __m256i number = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)at));
    return _mm256_add_ps(_mm256_set1_ps(min), _mm256_mul_ps(_mm256_set1_ps(step), _mm256_cvtepi32_ps(number)));
}

/* The bounds of eight postings; `factors` points at the add factor of the first one. */
static inline __m256 avx2_bound(const uint8_t *factors, __m256 ip, const shx_factor_scale *scale,
                                const shx_bound *bound) {
    __m256 add = avx2_factor(factors, scale->add_min, scale->add_step);
    __m256 mul = avx2_factor(factors + 64, scale->mul_min, scale->mul_step);
    __m256 rest = _mm256_mul_ps(mul, _mm256_add_ps(ip, _mm256_set1_ps(bound->shift)));
    return _mm256_add_ps(_mm256_add_ps(add, _mm256_set1_ps(bound->offset)), rest);
}

static inline uint32_t avx2_pass(__m256 value, const shx_bound *bound) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(value, _mm256_set1_ps(bound->threshold), _CMP_NGE_UQ));
}

static inline uint32_t avx2_passing(const uint8_t *factors, avx2_sums sum, const shx_factor_scale *scale,
                                    const shx_bound *bound) {
    uint32_t mask = avx2_pass(avx2_bound(factors, avx2_ip(sum.rows0, bound), scale, bound), bound);
    mask |= avx2_pass(avx2_bound(factors + 16, avx2_ip(sum.rows8, bound), scale, bound), bound) << 8;
    mask |= avx2_pass(avx2_bound(factors + 32, avx2_ip(sum.rows16, bound), scale, bound), bound) << 16;
    return mask | avx2_pass(avx2_bound(factors + 48, avx2_ip(sum.rows24, bound), scale, bound), bound) << 24;
}

static uint32_t avx2_scan_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                                const shx_bound *bound, float ret_ip[32]) {
    const __m256i zero = _mm256_setzero_si256();
    const uint8_t *codes = block + SHX_BLOCK_FACTORS;
    avx2_sums sum = {zero, zero, zero, zero};
    if (bound->head_dim > 0) {
        shx_bound head = shx_bound_head(bound);
        sum = avx2_add_sums(sum, codes, lut, 0, bound->head_dim);
        if (avx2_passing(block, sum, scale, &head) == 0) return 0;
    }
    sum = avx2_add_sums(sum, codes, lut, bound->head_dim, dim);
    uint32_t mask = avx2_passing(block, sum, scale, bound);
    if (mask == 0) return 0;
    _mm256_storeu_ps(ret_ip, avx2_ip(sum.rows0, bound));
    _mm256_storeu_ps(ret_ip + 8, avx2_ip(sum.rows8, bound));
    _mm256_storeu_ps(ret_ip + 16, avx2_ip(sum.rows16, bound));
    _mm256_storeu_ps(ret_ip + 24, avx2_ip(sum.rows24, bound));
    return mask;
}

static void avx2_bound_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                             const shx_bound *bound, float ret_bounds[32]) {
    const __m256i zero = _mm256_setzero_si256();
    avx2_sums sum = avx2_add_sums((avx2_sums){zero, zero, zero, zero}, block + SHX_BLOCK_FACTORS, lut, 0, dim);
    _mm256_storeu_ps(ret_bounds, avx2_bound(block, avx2_ip(sum.rows0, bound), scale, bound));
    _mm256_storeu_ps(ret_bounds + 8, avx2_bound(block + 16, avx2_ip(sum.rows8, bound), scale, bound));
    _mm256_storeu_ps(ret_bounds + 16, avx2_bound(block + 32, avx2_ip(sum.rows16, bound), scale, bound));
    _mm256_storeu_ps(ret_bounds + 24, avx2_bound(block + 48, avx2_ip(sum.rows24, bound), scale, bound));
}

/* A pair of products is at most 2 × 15 × 127 and i16 holds eight of those; every step is folded into i32 at once. */
int32_t shx_avx2_refine_dot(const uint8_t *code, const int8_t *query_low, const int8_t *query_high, size_t bytes) {
    assert(bytes % 32 == 0 && bytes <= 32768);
    const __m256i nibble = _mm256_set1_epi8(15), one = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    for (size_t i = 0; i < bytes; i += 32) {
        __m256i both = _mm256_loadu_si256((const __m256i *)(code + i));
        __m256i low = _mm256_and_si256(both, nibble), high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
        low = _mm256_maddubs_epi16(low, _mm256_loadu_si256((const __m256i *)(query_low + i)));
        high = _mm256_maddubs_epi16(high, _mm256_loadu_si256((const __m256i *)(query_high + i)));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(low, high), one));
    }
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

/* One row's two registers of sums; twelve of them, the panel's two and a broadcast fill the register file. */
typedef struct avx2_panel_row {
    __m256 low, high;
} avx2_panel_row;

static inline avx2_panel_row avx2_panel_add(avx2_panel_row sum, const float *value, __m256 low, __m256 high) {
    __m256 all = _mm256_broadcast_ss(value);
    sum.low = _mm256_add_ps(sum.low, _mm256_mul_ps(all, low));
    sum.high = _mm256_add_ps(sum.high, _mm256_mul_ps(all, high));
    return sum;
}

static inline void avx2_panel_store(avx2_panel_row sum, float *ret) {
    _mm256_storeu_ps(ret, sum.low);
    _mm256_storeu_ps(ret + 8, sum.high);
}

static void avx2_panel6(const float *const row[6], const float *panel, size_t dim, float *ret) {
    const avx2_panel_row zero = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    avx2_panel_row sum0 = zero, sum1 = zero, sum2 = zero, sum3 = zero, sum4 = zero, sum5 = zero;
    const float *row0 = row[0], *row1 = row[1], *row2 = row[2], *row3 = row[3], *row4 = row[4], *row5 = row[5];
    for (size_t d = 0; d < dim; d++) {
        __m256 low = _mm256_loadu_ps(panel + d * 16), high = _mm256_loadu_ps(panel + d * 16 + 8);
        sum0 = avx2_panel_add(sum0, row0 + d, low, high);
        sum1 = avx2_panel_add(sum1, row1 + d, low, high);
        sum2 = avx2_panel_add(sum2, row2 + d, low, high);
        sum3 = avx2_panel_add(sum3, row3 + d, low, high);
        sum4 = avx2_panel_add(sum4, row4 + d, low, high);
        sum5 = avx2_panel_add(sum5, row5 + d, low, high);
    }
    avx2_panel_store(sum0, ret);
    avx2_panel_store(sum1, ret + 16);
    avx2_panel_store(sum2, ret + 32);
    avx2_panel_store(sum3, ret + 48);
    avx2_panel_store(sum4, ret + 64);
    avx2_panel_store(sum5, ret + 80);
}

/* The assignment of a single point is common, so one row does not pay for six. */
static void avx2_panel1(const float *row, const float *panel, size_t dim, float *ret) {
    avx2_panel_row sum = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t d = 0; d < dim; d++) {
        sum = avx2_panel_add(sum, row + d, _mm256_loadu_ps(panel + d * 16), _mm256_loadu_ps(panel + d * 16 + 8));
    }
    avx2_panel_store(sum, ret);
}

void shx_avx2_dot_panel(const float *const *row, size_t rows, const float *panel, size_t dim, float *ret) {
    assert(rows >= 1 && rows <= 6);
    if (rows == 6) {
        avx2_panel6(row, panel, dim, ret);
    } else if (rows == 1) {
        avx2_panel1(row[0], panel, dim, ret);
    } else {
        const float *six[6];
        float sums[6 * 16];
        for (size_t r = 0; r < 6; r++) six[r] = row[r < rows ? r : 0];
        avx2_panel6(six, panel, dim, sums);
        memcpy(ret, sums, rows * 16 * sizeof *ret);
    }
}

/* The scores of eight centroids of one row, by their sums. */
static inline void avx2_score_store(__m256i sum, float step, const shx_byte_panel *panel, size_t j, float *ret) {
    __m256i shifts = _mm256_loadu_si256((const __m256i *)(const void *)(panel->shifts + j));
    __m256 dots = _mm256_cvtepi32_ps(_mm256_sub_epi32(sum, shifts));
    __m256 scales = _mm256_mul_ps(_mm256_set1_ps(step), _mm256_loadu_ps(panel->scales + j));
    _mm256_storeu_ps(ret + j, _mm256_add_ps(_mm256_loadu_ps(panel->norms + j), _mm256_mul_ps(scales, dots)));
}

typedef struct avx2_score_row {
    __m256i low, high;
} avx2_score_row;

/* Two products of bytes are at most 2 × 127 × 127, which fits 16 bits. */
static inline avx2_score_row avx2_score_add(avx2_score_row sum, const uint8_t *four, __m256i low, __m256i high) {
    const __m256i one = _mm256_set1_epi16(1);
    int32_t values;
    memcpy(&values, four, sizeof values);
    __m256i all = _mm256_set1_epi32(values);
    sum.low = _mm256_add_epi32(sum.low, _mm256_madd_epi16(_mm256_maddubs_epi16(all, low), one));
    sum.high = _mm256_add_epi32(sum.high, _mm256_madd_epi16(_mm256_maddubs_epi16(all, high), one));
    return sum;
}

/* Three rows: their six sums, the panel's two registers and what is made of them stay in registers. */
static void avx2_score3(const uint8_t *const row[3], const float steps[3], const shx_byte_panel *panel, size_t dim,
                        float *ret) {
    const avx2_score_row zero = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    avx2_score_row sum0 = zero, sum1 = zero, sum2 = zero;
    for (size_t d = 0; d < dim; d += 4) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(panel->bytes + d * 16));
        __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(panel->bytes + d * 16 + 32));
        sum0 = avx2_score_add(sum0, row[0] + d, low, high);
        sum1 = avx2_score_add(sum1, row[1] + d, low, high);
        sum2 = avx2_score_add(sum2, row[2] + d, low, high);
    }
    const avx2_score_row sums[3] = {sum0, sum1, sum2};
    for (size_t r = 0; r < 3; r++) {
        avx2_score_store(sums[r].low, steps[r], panel, 0, ret + r * 16);
        avx2_score_store(sums[r].high, steps[r], panel, 8, ret + r * 16);
    }
}

static void avx2_score_panel(const uint8_t *const *row, const float *steps, size_t rows, const shx_byte_panel *panel,
                             size_t dim, float *ret, size_t stride) {
    assert(rows >= 1 && rows <= 6 && dim % 4 == 0);
    for (size_t first = 0; first < rows; first += 3) {
        const uint8_t *three[3];
        float three_steps[3], scores[3 * 16];
        size_t count = rows - first < 3 ? rows - first : 3;
        for (size_t r = 0; r < 3; r++) {
            three[r] = row[first + (r < count ? r : 0)];
            three_steps[r] = steps[first + (r < count ? r : 0)];
        }
        avx2_score3(three, three_steps, panel, dim, scores);
        for (size_t r = 0; r < count; r++) memcpy(ret + (first + r) * stride, scores + r * 16, 16 * sizeof *ret);
    }
}

size_t shx_avx2_lowest(const float *values, size_t count) {
    __m256 low = _mm256_loadu_ps(values), high = _mm256_loadu_ps(values + 8);
    for (size_t i = 16; i < count; i += 16) {
        low = _mm256_min_ps(low, _mm256_loadu_ps(values + i));
        high = _mm256_min_ps(high, _mm256_loadu_ps(values + i + 8));
    }
    low = _mm256_min_ps(low, high);
    low = _mm256_min_ps(low, _mm256_permute2f128_ps(low, low, 1));
    low = _mm256_min_ps(low, _mm256_shuffle_ps(low, low, _MM_SHUFFLE(1, 0, 3, 2)));
    low = _mm256_min_ps(low, _mm256_shuffle_ps(low, low, _MM_SHUFFLE(2, 3, 0, 1)));
    for (size_t i = 0;; i += 8) {
        int mask = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(values + i), low, _CMP_EQ_OQ));
        if (mask) return i + (size_t)__builtin_ctz((unsigned)mask);
    }
}

size_t shx_avx2_within(const float *values, size_t count, float low, float high, uint32_t *ret_positions) {
    size_t found = 0, i = 0;
    __m256 lows = _mm256_set1_ps(low), highs = _mm256_set1_ps(high);
    for (; i + 8 <= count; i += 8) {
        __m256 eight = _mm256_loadu_ps(values + i);
        __m256 above = _mm256_cmp_ps(eight, lows, _CMP_GT_OQ), below = _mm256_cmp_ps(eight, highs, _CMP_LE_OQ);
        uint32_t mask = (uint32_t)_mm256_movemask_ps(_mm256_and_ps(above, below));
        for (; mask; mask &= mask - 1) ret_positions[found++] = (uint32_t)i + (uint32_t)__builtin_ctz(mask);
    }
    for (; i < count; i++) {
        if (values[i] > low && values[i] <= high) ret_positions[found++] = (uint32_t)i;
    }
    return found;
}

void shx_avx2_add(const float *restrict terms, size_t count, float *restrict values) {
    for (size_t i = 0; i < count; i++) values[i] += terms[i];
}

SHX_TARGET_END

const shx_kernels shx_kernels_avx2 = {
    .level = SHX_SIMD_AVX2,
    .name = "avx2",
    .l2_squared = shx_avx2_l2_squared,
    .dot = shx_avx2_dot,
    .l2_squared_scaled = shx_avx2_l2_squared_scaled,
    .near_l2 = shx_avx2_near_l2,
    .near_dot = shx_avx2_near_dot,
    .l1 = shx_avx2_l1,
    .decode_float16 = shx_avx2_decode_float16,
    .decode_bfloat16 = shx_avx2_decode_bfloat16,
    .int8_l2_squared = shx_avx2_int8_l2_squared,
    .int8_dot = shx_avx2_int8_dot,
    .int8_l1 = shx_avx2_int8_l1,
    .int8_l1_rows = shx_avx2_int8_l1_rows,
    .hamming = shx_avx2_hamming,
    .code_l2_squared = shx_avx2_code_l2_squared,
    .centroid_l2_squared = shx_avx2_centroid_l2_squared,
    .scan_block = avx2_scan_block,
    .bound_block = avx2_bound_block,
    .within = shx_avx2_within,
    .add = shx_avx2_add,
    .refine_dot = shx_avx2_refine_dot,
    .dot_panel = shx_avx2_dot_panel,
    .score_panel = avx2_score_panel,
    .lowest = shx_avx2_lowest,
    .rotate_round = shx_avx2_rotate_round,
    .scan_code = shx_avx2_scan_code,
    .refine_code = shx_avx2_refine_code,
};

#else

const shx_kernels shx_kernels_avx2 = {.level = SHX_SIMD_AVX2, .name = "avx2"};

#endif
