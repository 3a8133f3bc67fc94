/* Kernels of 512 bits, where they are worth it: those that read blocks.
**
** Measured on a Zen 4 (which splits most 512-bit instructions into two halves), gcc 12 and clang 14 at -O3, working set
** in L2, the best of 40 runs; ns a posting, row or element, AVX2 → AVX-512:
**
**                      112 dimensions             128 dimensions             768 dimensions
**                      gcc          clang         gcc          clang         gcc          clang
**     scan_block       0.78 → 0.72  0.89 → 0.75   0.86 → 0.77  0.92 → 0.79   3.07 → 2.80  3.06 → 2.89
**     bound_block      0.69 → 0.63  0.66 → 0.63   0.75 → 0.68  0.72 → 0.69   2.94 → 2.71  2.88 → 2.77
**     l2_squared       16.2 → 18.1  16.5 → 17.7   18.7 → 20.7  19.4 → 20.1    105 → 121    105 → 111
**     dot              12.4 → 15.5  13.5 → 16.2   14.0 → 17.7  15.1 → 18.2   79.3 → 104   79.5 → 105
**     l2_squared_scaled
**                      19.2 → 23.0  18.9 → 23.0   21.6 → 25.9  21.1 → 26.0    109 → 146    110 → 143
**     code_l2_squared   7.6 →  7.8   8.7 →  9.0    8.6 →  8.7   9.8 → 10.2   45.8 → 46.2  48.4 → 51.8
**     refine_dot        3.3 →  4.2   5.7 →  6.0    3.3 →  4.1   5.7 →  6.0   10.6 → 13.8  11.4 → 14.0
**     dot_panel (6)    32.4 → 35.9  37.4 → 35.9   36.6 → 41.2  42.9 → 41.2    215 → 254    254 → 251
**     within           0.08 → 0.09 with 1 in 100 found, 0.25 → 0.14 with 1 in 3, always the same ones; in the router,
**                      where they differ from query to query and branches are guessed wrongly, 0.27 → 0.08
**
** Products of bytes (score_panel, six rows, ns a row with gcc) take 21 → 8, 24 → 9 and 122 → 55 with VNNI, floats
** (dot_panel) four times that.
**
** So the table has its own scan_block, bound_block, within and score_panel and takes most of the rest over from AVX2.
** The sums of floats wait for their 16 lanes whatever the width; half a line of refine code leaves more to fold than to
** multiply. VNNI on 256 bits makes refine_dot 9.3 instead of 10.6 at 768 dimensions and 3.3 of 3.3 below, nothing
** beside the fetch of the code (30 ns and more).
*/
#include "kernels_levels.h"

#if SHX_HAVE_X86

#include <assert.h>
#include <immintrin.h>
#include <string.h>

SHX_TARGET_AVX512

/* Table sums of 32 postings, sixteen u32 to a register. */
typedef struct avx512_sums {
    __m512i rows0, rows16;
} avx512_sums;

/* `pairs` sums whole u16 pairs of table bytes, `odd` their odd bytes: takes the odd ones out of the pairs again, adds
** the four groups of a register and widens, unsigned. */
static inline __m512i avx512_add_chunk(__m512i sum, __m512i pairs, __m512i odd) {
    __m512i even = _mm512_sub_epi16(pairs, _mm512_slli_epi16(odd, 8));
    __m256i rows0 = _mm256_add_epi16(_mm512_castsi512_si256(even), _mm512_extracti64x4_epi64(even, 1));
    __m256i rows8 = _mm256_add_epi16(_mm512_castsi512_si256(odd), _mm512_extracti64x4_epi64(odd, 1));
    __m256i first = _mm256_permute2x128_si256(rows0, rows8, 0x20);
    __m256i second = _mm256_permute2x128_si256(rows0, rows8, 0x31);
    return _mm512_add_epi32(sum, _mm512_cvtepu16_epi32(_mm256_add_epi16(first, second)));
}

/* The same sums as in kernels_avx2.c, with four groups to a register instead of two. */
static inline avx512_sums avx512_add_sums(avx512_sums sum, const uint8_t *block, const uint8_t *lut, size_t begin,
                                          size_t end) {
    assert(begin % 16 == 0 && end % 16 == 0 && end <= 65536);
    const __m512i zero = _mm512_setzero_si512(), nibble = _mm512_set1_epi8(15);
    for (size_t at = begin * 4; at < end * 4;) {
        __m512i low_pairs = zero, low_odd = zero, high_pairs = zero, high_odd = zero;
        size_t stop = at + SHX_SCAN_CHUNK * 4 < end * 4 ? at + SHX_SCAN_CHUNK * 4 : end * 4;
        for (; at < stop; at += 64) {
            __m512i bytes = _mm512_loadu_si512(block + at), table = _mm512_loadu_si512(lut + at);
            __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(bytes, nibble));
            __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble));
            low_pairs = _mm512_add_epi16(low_pairs, low);
            low_odd = _mm512_add_epi16(low_odd, _mm512_srli_epi16(low, 8));
            high_pairs = _mm512_add_epi16(high_pairs, high);
            high_odd = _mm512_add_epi16(high_odd, _mm512_srli_epi16(high, 8));
        }
        sum.rows0 = avx512_add_chunk(sum.rows0, low_pairs, low_odd);
        sum.rows16 = avx512_add_chunk(sum.rows16, high_pairs, high_odd);
    }
    return sum;
}

static inline __m512 avx512_ip(__m512i sum, const shx_bound *bound) {
    __m512 scaled = _mm512_mul_ps(_mm512_set1_ps(bound->lut_step), _mm512_cvtepi32_ps(sum));
    return _mm512_add_ps(scaled, _mm512_set1_ps(bound->lut_bias));
}

static inline __m512 avx512_factor(const uint8_t *at, float min, float step) {
    __m512i number = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at));
    return _mm512_add_ps(_mm512_set1_ps(min), _mm512_mul_ps(_mm512_set1_ps(step), _mm512_cvtepi32_ps(number)));
}

/* The bounds of sixteen postings; `factors` points at the add factor of the first one. */
static inline __m512 avx512_bound(const uint8_t *factors, __m512 ip, const shx_factor_scale *scale,
                                  const shx_bound *bound) {
    __m512 add = avx512_factor(factors, scale->add_min, scale->add_step);
    __m512 mul = avx512_factor(factors + 64, scale->mul_min, scale->mul_step);
    __m512 rest = _mm512_mul_ps(mul, _mm512_add_ps(ip, _mm512_set1_ps(bound->shift)));
    return _mm512_add_ps(_mm512_add_ps(add, _mm512_set1_ps(bound->offset)), rest);
}

static inline uint32_t avx512_pass(__m512 value, const shx_bound *bound) {
    return _mm512_cmp_ps_mask(value, _mm512_set1_ps(bound->threshold), _CMP_NGE_UQ);
}

/* Sixteen lanes, folded as in kernels_avx2.c. */
static float avx512_centroid_l2_squared(const float *point, const int8_t *centroid, float step, size_t dim) {
    assert(dim % 16 == 0);
    const __m512 steps = _mm512_set1_ps(step);
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < dim; i += 16) {
        __m512i values = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(centroid + i)));
        __m512 part = _mm512_mul_ps(steps, _mm512_cvtepi32_ps(values));
        __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(point + i), part);
        sum = _mm512_add_ps(sum, _mm512_mul_ps(difference, difference));
    }
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline uint32_t avx512_passing(const uint8_t *factors, avx512_sums sum, const shx_factor_scale *scale,
                                      const shx_bound *bound) {
    uint32_t mask = avx512_pass(avx512_bound(factors, avx512_ip(sum.rows0, bound), scale, bound), bound);
    return mask | avx512_pass(avx512_bound(factors + 32, avx512_ip(sum.rows16, bound), scale, bound), bound) << 16;
}

static uint32_t avx512_scan_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                                  const shx_bound *bound, float ret_ip[32]) {
    const uint8_t *codes = block + SHX_BLOCK_FACTORS;
    avx512_sums sum = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    if (bound->head_dim > 0) {
        shx_bound head = shx_bound_head(bound);
        sum = avx512_add_sums(sum, codes, lut, 0, bound->head_dim);
        if (avx512_passing(block, sum, scale, &head) == 0) return 0;
    }
    sum = avx512_add_sums(sum, codes, lut, bound->head_dim, dim);
    uint32_t mask = avx512_passing(block, sum, scale, bound);
    if (mask == 0) return 0;
    _mm512_storeu_ps(ret_ip, avx512_ip(sum.rows0, bound));
    _mm512_storeu_ps(ret_ip + 16, avx512_ip(sum.rows16, bound));
    return mask;
}

static void avx512_bound_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                               const shx_bound *bound, float ret_bounds[32]) {
    avx512_sums sum = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    sum = avx512_add_sums(sum, block + SHX_BLOCK_FACTORS, lut, 0, dim);
    _mm512_storeu_ps(ret_bounds, avx512_bound(block, avx512_ip(sum.rows0, bound), scale, bound));
    _mm512_storeu_ps(ret_bounds + 16, avx512_bound(block + 32, avx512_ip(sum.rows16, bound), scale, bound));
}

static inline __m512i avx512_score_add(__m512i sum, const uint8_t *four, __m512i centroids) {
    int32_t values;
    memcpy(&values, four, sizeof values);
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(values), centroids);
}

static inline void avx512_score_store(__m512i sum, float step, const shx_byte_panel *panel, float *ret) {
    __m512 dots = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, _mm512_loadu_si512(panel->shifts)));
    __m512 scales = _mm512_mul_ps(_mm512_set1_ps(step), _mm512_loadu_ps(panel->scales));
    _mm512_storeu_ps(ret, _mm512_add_ps(_mm512_loadu_ps(panel->norms), _mm512_mul_ps(scales, dots)));
}

/* Six sums are as many as it takes to hide how long a product takes. */
static void avx512_score_panel(const uint8_t *const *row, const float *steps, size_t rows, const shx_byte_panel *panel,
                               size_t dim, float *ret, size_t stride) {
    assert(rows >= 1 && rows <= 6 && dim % 4 == 0);
    const uint8_t *six[6];
    for (size_t r = 0; r < 6; r++) six[r] = row[r < rows ? r : 0];
    __m512i zero = _mm512_setzero_si512(), sum0 = zero, sum1 = zero, sum2 = zero, sum3 = zero, sum4 = zero, sum5 = zero;
    for (size_t d = 0; d < dim; d += 4) {
        __m512i centroids = _mm512_loadu_si512(panel->bytes + d * 16);
        sum0 = avx512_score_add(sum0, six[0] + d, centroids);
        sum1 = avx512_score_add(sum1, six[1] + d, centroids);
        sum2 = avx512_score_add(sum2, six[2] + d, centroids);
        sum3 = avx512_score_add(sum3, six[3] + d, centroids);
        sum4 = avx512_score_add(sum4, six[4] + d, centroids);
        sum5 = avx512_score_add(sum5, six[5] + d, centroids);
    }
    const __m512i sums[6] = {sum0, sum1, sum2, sum3, sum4, sum5};
    for (size_t r = 0; r < rows; r++) avx512_score_store(sums[r], steps[r], panel, ret + r * stride);
}

/* Without a branch on what is found: sixteen positions are written at once, and those that count stay. */
static size_t avx512_within(const float *values, size_t count, float low, float high, uint32_t *ret_positions) {
    const __m512 lows = _mm512_set1_ps(low), highs = _mm512_set1_ps(high);
    const __m512i sixteen = _mm512_set1_epi32(16);
    __m512i positions = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    size_t found = 0, i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512 next = _mm512_loadu_ps(values + i);
        __mmask16 above = _mm512_cmp_ps_mask(next, lows, _CMP_GT_OQ);
        __mmask16 within = _mm512_mask_cmp_ps_mask(above, next, highs, _CMP_LE_OQ);
        _mm512_storeu_si512(ret_positions + found, _mm512_maskz_compress_epi32(within, positions));
        found += (size_t)__builtin_popcount(within);
        positions = _mm512_add_epi32(positions, sixteen);
    }
    for (; i < count; i++) {
        if (values[i] > low && values[i] <= high) ret_positions[found++] = (uint32_t)i;
    }
    return found;
}

SHX_TARGET_END

const shx_kernels shx_kernels_avx512 = {
    .level = SHX_SIMD_AVX512,
    .name = "avx512",
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
    .centroid_l2_squared = avx512_centroid_l2_squared,
    .scan_block = avx512_scan_block,
    .bound_block = avx512_bound_block,
    .within = avx512_within,
    .add = shx_avx2_add,
    .refine_dot = shx_avx2_refine_dot,
    .dot_panel = shx_avx2_dot_panel,
    .score_panel = avx512_score_panel,
    .lowest = shx_avx2_lowest,
    .rotate_round = shx_avx2_rotate_round,
    .scan_code = shx_avx2_scan_code,
    .refine_code = shx_avx2_refine_code,
};

#else

const shx_kernels shx_kernels_avx512 = {.level = SHX_SIMD_AVX512, .name = "avx512"};

#endif
