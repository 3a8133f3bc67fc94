#include "kernels_levels.h"

#if SHX_HAVE_X86

#include <assert.h>
#include <immintrin.h>
#include <math.h>

SHX_TARGET_AVX2

/* ---- rotation ---- */

static void wide_flip(float *point, size_t dim, const uint64_t *signs) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256 sign = _mm256_set1_ps(-0.0f);
    for (size_t i = 0; i < dim; i += 8) {
        __m256i bits = _mm256_set1_epi32((int)(signs[i / 64] >> (i % 64) & 255));
        __m256 set = _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(bits, bit), bit));
        _mm256_storeu_ps(point + i, _mm256_xor_ps(_mm256_loadu_ps(point + i), _mm256_and_ps(set, sign)));
    }
}

/* Strides 1 and 2 within a register, the scale, and stride 4. A difference is a sum with one sign flipped. */
static inline __m256 wide_eight(__m256 x, __m256 scale) {
    const __m256 odd = _mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f);
    const __m256 second = _mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f);
    const __m256 high = _mm256_setr_ps(0, 0, 0, 0, -0.0f, -0.0f, -0.0f, -0.0f);
    x = _mm256_add_ps(_mm256_moveldup_ps(x), _mm256_xor_ps(_mm256_movehdup_ps(x), odd));
    __m256 first = _mm256_shuffle_ps(x, x, _MM_SHUFFLE(1, 0, 1, 0));
    x = _mm256_add_ps(first, _mm256_xor_ps(_mm256_shuffle_ps(x, x, _MM_SHUFFLE(3, 2, 3, 2)), second));
    x = _mm256_mul_ps(x, scale);
    __m256 low = _mm256_permute2f128_ps(x, x, 0x00);
    return _mm256_add_ps(low, _mm256_xor_ps(_mm256_permute2f128_ps(x, x, 0x11), high));
}

static inline void wide_butterfly(float *x, float *y, size_t count, __m256 scale) {
    for (size_t i = 0; i < count; i += 8) {
        __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(y + i);
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_add_ps(a, b), scale));
        _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_sub_ps(a, b), scale));
    }
}

/* Two strides of the transform in one pass: quadruples `stride` (a multiple of 8) apart. */
static inline void wide_quad(float *at, size_t stride) {
    for (size_t i = 0; i < stride; i += 8) {
        float *x = at + i, *y = x + stride, *z = y + stride, *w = z + stride;
        __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(y), c = _mm256_loadu_ps(z), d = _mm256_loadu_ps(w);
        __m256 ab = _mm256_add_ps(a, b), a_b = _mm256_sub_ps(a, b), cd = _mm256_add_ps(c, d), c_d = _mm256_sub_ps(c, d);
        _mm256_storeu_ps(x, _mm256_add_ps(ab, cd));
        _mm256_storeu_ps(y, _mm256_add_ps(a_b, c_d));
        _mm256_storeu_ps(z, _mm256_sub_ps(ab, cd));
        _mm256_storeu_ps(w, _mm256_sub_ps(a_b, c_d));
    }
}

static void wide_hadamard(float *point, size_t size) {
    const __m256 scale = _mm256_set1_ps(1.0f / sqrtf((float)size));
    for (size_t i = 0; i < size; i += 8) {
        _mm256_storeu_ps(point + i, wide_eight(_mm256_loadu_ps(point + i), scale));
    }
    size_t stride = 8;
    for (; stride * 4 <= size; stride *= 4) {
        for (size_t i = 0; i < size; i += 4 * stride) wide_quad(point + i, stride);
    }
    if (stride < size) wide_butterfly(point, point + stride, stride, _mm256_set1_ps(1));
}

void shx_avx2_rotate_round(float *point, size_t dim, size_t first, size_t size, const uint64_t *signs) {
    assert(dim % 16 == 0 && size >= 16 && first + size <= dim);
    wide_flip(point, dim, signs);
    wide_hadamard(point + first, size);
    if (size < dim) wide_butterfly(point, point + dim / 2, dim / 2, _mm256_set1_ps(SHX_ROTATE_HALF));
}

/* ---- codes ---- */

/* Lanes 0 to 3 and 4 to 7 of one sum. */
typedef struct wide_lanes {
    __m256d low, high;
} wide_lanes;

static inline double wide_fold(wide_lanes lanes) {
    __m256d four = _mm256_add_pd(lanes.low, lanes.high);
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

typedef struct wide_sums {
    wide_lanes residual2, residual_code, code_centroid, code2;
} wide_sums;

static inline __m256d wide_add_product(__m256d sum, __m256d a, __m256d b) {
    return _mm256_add_pd(sum, _mm256_mul_pd(a, b));
}

static inline __m256d wide_sign(__m256d residual, __m256d size) {
    __m256d positive = _mm256_cmp_pd(residual, _mm256_setzero_pd(), _CMP_GT_OQ);
    return _mm256_xor_pd(size, _mm256_andnot_pd(positive, _mm256_set1_pd(-0.0)));
}

static inline __m256d wide_load(const float *at) { return _mm256_cvtps_pd(_mm_loadu_ps(at)); }

static inline void wide_scan4(const float *point, const float *centroid, __m256d *residual2, __m256d *residual_code,
                              __m256d *code_centroid) {
    __m256d c = wide_load(centroid), r = _mm256_sub_pd(wide_load(point), c);
    __m256d code = wide_sign(r, _mm256_set1_pd(0.5));
    *residual2 = wide_add_product(*residual2, r, r);
    *residual_code = wide_add_product(*residual_code, r, code);
    *code_centroid = wide_add_product(*code_centroid, code, c);
}

shx_code_sums shx_avx2_scan_code(const float *point, const float *centroid, size_t dim, uint8_t *ret_bits) {
    __m256d zero = _mm256_setzero_pd();
    wide_sums sums = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
    for (size_t k = 0; k < dim; k += 8) {
        const float *p = point + k, *c = centroid + k;
        __m256 above = _mm256_cmp_ps(_mm256_loadu_ps(p), _mm256_loadu_ps(c), _CMP_GT_OQ);
        ret_bits[k / 8] = (uint8_t)_mm256_movemask_ps(above);
        wide_scan4(p, c, &sums.residual2.low, &sums.residual_code.low, &sums.code_centroid.low);
        wide_scan4(p + 4, c + 4, &sums.residual2.high, &sums.residual_code.high, &sums.code_centroid.high);
    }
    return (shx_code_sums){wide_fold(sums.residual2), wide_fold(sums.residual_code), wide_fold(sums.code_centroid),
                           0.25 * (double)dim};
}

/* Four dimensions of a refine code; returns u = code + 15.5 of each. */
static inline __m128i wide_refine4(const float *point, const float *centroid, __m256d per_step, __m256d *residual_code,
                                   __m256d *code_centroid, __m256d *code2) {
    __m256d c = wide_load(centroid), r = _mm256_sub_pd(wide_load(point), c);
    __m256d level = _mm256_mul_pd(_mm256_andnot_pd(_mm256_set1_pd(-0.0), r), per_step);
    level = _mm256_min_pd(level, _mm256_set1_pd(15));
    level = _mm256_add_pd(_mm256_round_pd(level, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC), _mm256_set1_pd(0.5));
    __m256d code = wide_sign(r, level);
    *residual_code = wide_add_product(*residual_code, r, code);
    *code_centroid = wide_add_product(*code_centroid, code, c);
    *code2 = wide_add_product(*code2, code, code);
    return _mm256_cvttpd_epi32(_mm256_add_pd(code, _mm256_set1_pd(15.5)));
}

/* The low four bits of eight numbers in bytes. */
static inline __m128i wide_narrow(__m128i first, __m128i second) {
    __m128i words = _mm_and_si128(_mm_packs_epi32(first, second), _mm_set1_epi16(15));
    return _mm_packus_epi16(words, words);
}

shx_code_sums shx_avx2_refine_code(const float *point, const float *centroid, size_t dim, double per_step,
                                   uint8_t *ret_refine) {
    const __m256d zero = _mm256_setzero_pd(), step = _mm256_set1_pd(per_step);
    wide_lanes rs = {zero, zero}, sc = {zero, zero}, ss = {zero, zero};
    size_t half = dim / 2;
    for (size_t k = 0; k < half; k += 8) {
        const float *p = point + k, *c = centroid + k, *q = p + half, *d = c + half;
        __m128i low0 = wide_refine4(p, c, step, &rs.low, &sc.low, &ss.low);
        __m128i low4 = wide_refine4(p + 4, c + 4, step, &rs.high, &sc.high, &ss.high);
        __m128i high0 = wide_refine4(q, d, step, &rs.low, &sc.low, &ss.low);
        __m128i high4 = wide_refine4(q + 4, d + 4, step, &rs.high, &sc.high, &ss.high);
        __m128i high = _mm_slli_epi16(wide_narrow(high0, high4), 4);
        _mm_storel_epi64((__m128i *)(ret_refine + k), _mm_or_si128(wide_narrow(low0, low4), high));
    }
    return (shx_code_sums){0, wide_fold(rs), wide_fold(sc), wide_fold(ss)};
}

SHX_TARGET_END

#endif
