/* Kernels of the element types other than float32, all levels side by side: they are short, and integers or exact
** conversions throughout, so that twins agree without care for the order of sums.
*/
#include "kernels_levels.h"

#include "bytes.h"

#include <string.h>

/* ---- scalar ---- */

/* Subnormals are multiples of 2^-24; the exponents 31 are infinity and NaN. */
static float elements_float16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    uint32_t bits = sign | (exponent + 112) << 23 | mantissa << 13;
    if (exponent == 31) bits = sign | 0x7f800000 | mantissa << 13;
    if (exponent == 0) {
        float value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void shx_scalar_decode_float16(const void *vector, size_t count, float *ret_floats) {
    for (size_t i = 0; i < count; i++) ret_floats[i] = elements_float16(shx_get16((const uint8_t *)vector + 2 * i));
}

void shx_scalar_decode_bfloat16(const void *vector, size_t count, float *ret_floats) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)shx_get16((const uint8_t *)vector + 2 * i) << 16;
        memcpy(&ret_floats[i], &bits, sizeof bits);
    }
}

/* The sums of 65,535 squared differences exceed 32 bits; pieces of 256 do not. */
int64_t shx_scalar_int8_l2_squared(const int8_t *a, const int8_t *b, size_t dim) {
    int64_t total = 0;
    for (size_t at = 0; at < dim; at += 256) {
        int32_t sum = 0;
        for (size_t i = at; i < dim && i < at + 256; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
        total += sum;
    }
    return total;
}

int64_t shx_scalar_int8_dot(const int8_t *a, const int8_t *b, size_t dim) {
    int32_t sum = 0;
    for (size_t i = 0; i < dim; i++) sum += a[i] * b[i];
    return sum;
}

int64_t shx_scalar_int8_l1(const int8_t *a, const int8_t *b, size_t dim) {
    int32_t sum = 0;
    for (size_t i = 0; i < dim; i++) sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    return sum;
}

void shx_scalar_int8_l1_rows(const int8_t *a, const int8_t *rows, size_t dim, size_t count, int32_t *ret_sums) {
    for (size_t i = 0; i < count; i++) ret_sums[i] = (int32_t)shx_scalar_int8_l1(a, rows + i * dim, dim);
}

uint32_t shx_scalar_hamming(const uint8_t *a, const uint8_t *b, size_t bytes) {
    uint32_t count = 0;
    size_t i = 0;
    for (; i + 8 <= bytes; i += 8) count += (uint32_t)__builtin_popcountll(shx_get64(a + i) ^ shx_get64(b + i));
    for (; i < bytes; i++) count += (uint32_t)__builtin_popcount((unsigned)(a[i] ^ b[i]));
    return count;
}

/* ---- AVX2, with F16C and POPCNT ---- */

#if SHX_HAVE_X86

#include <immintrin.h>

SHX_TARGET_AVX2

void shx_avx2_decode_float16(const void *vector, size_t count, float *ret_floats) {
    const uint8_t *at = vector;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(at + 2 * i));
        _mm256_storeu_ps(ret_floats + i, _mm256_cvtph_ps(halves));
    }
    shx_scalar_decode_float16(at + 2 * i, count - i, ret_floats + i);
}

void shx_avx2_decode_bfloat16(const void *vector, size_t count, float *ret_floats) {
    const uint8_t *at = vector;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(at + 2 * i)));
        _mm256_storeu_ps(ret_floats + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    shx_scalar_decode_bfloat16(at + 2 * i, count - i, ret_floats + i);
}

static inline __m256i elements_avx2_widen(const int8_t *at) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)at));
}

/* The sum of eight signed 32-bit numbers. */
static inline int64_t elements_avx2_fold(__m256i sum) {
    __m256i zero = _mm256_setzero_si256(), sign = _mm256_cmpgt_epi32(zero, sum);
    __m256i four = _mm256_add_epi64(_mm256_unpacklo_epi32(sum, sign), _mm256_unpackhi_epi32(sum, sign));
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    return _mm_cvtsi128_si64(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
}

/* A lane takes two squares of up to 255² from every 16 elements: below 2^31 for up to 264,000. */
int64_t shx_avx2_int8_l2_squared(const int8_t *a, const int8_t *b, size_t dim) {
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        __m256i difference = _mm256_sub_epi16(elements_avx2_widen(a + i), elements_avx2_widen(b + i));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(difference, difference));
    }
    return elements_avx2_fold(sum) + shx_scalar_int8_l2_squared(a + i, b + i, dim - i);
}

int64_t shx_avx2_int8_dot(const int8_t *a, const int8_t *b, size_t dim) {
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(elements_avx2_widen(a + i), elements_avx2_widen(b + i)));
    }
    return elements_avx2_fold(sum) + shx_scalar_int8_dot(a + i, b + i, dim - i);
}

/* Adding 128 to both makes them unsigned and leaves the difference. */
int64_t shx_avx2_int8_l1(const int8_t *a, const int8_t *b, size_t dim) {
    const __m256i offset = _mm256_set1_epi8((char)0x80);
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(a + i)), offset);
        __m256i y = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(b + i)), offset);
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(x, y));
    }
    return elements_avx2_fold(sum) + shx_scalar_int8_l1(a + i, b + i, dim - i);
}

/* Four rows together: what is loaded of a, and how sums are folded, serves all of them. Returns how many dimensions. */
static size_t elements_avx2_l1_of_4(const int8_t *a, const int8_t *rows, size_t dim, int32_t ret_sums[4]) {
    const __m256i offset = _mm256_set1_epi8((char)0x80), evens = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(a + i)), offset);
        for (int r = 0; r < 4; r++) {
            __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(rows + (size_t)r * dim + i));
            sums[r] = _mm256_add_epi64(sums[r], _mm256_sad_epu8(x, _mm256_xor_si256(y, offset)));
        }
    }
    __m256i low = _mm256_add_epi64(_mm256_unpacklo_epi64(sums[0], sums[1]), _mm256_unpackhi_epi64(sums[0], sums[1]));
    __m256i high = _mm256_add_epi64(_mm256_unpacklo_epi64(sums[2], sums[3]), _mm256_unpackhi_epi64(sums[2], sums[3]));
    __m256i all =
        _mm256_add_epi64(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
    __m128i narrow = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(all, evens));
    _mm_storeu_si128((__m128i *)(void *)ret_sums, narrow);
    return i;
}

void shx_avx2_int8_l1_rows(const int8_t *a, const int8_t *rows, size_t dim, size_t count, int32_t *ret_sums) {
    size_t r = 0;
    for (; r + 4 <= count; r += 4, rows += 4 * dim) {
        size_t done = elements_avx2_l1_of_4(a, rows, dim, ret_sums + r);
        for (size_t i = 0; done < dim && i < 4; i++) {
            ret_sums[r + i] += (int32_t)shx_scalar_int8_l1(a + done, rows + i * dim + done, dim - done);
        }
    }
    for (; r < count; r++, rows += dim) ret_sums[r] = (int32_t)shx_avx2_int8_l1(a, rows, dim);
}

uint32_t shx_avx2_hamming(const uint8_t *a, const uint8_t *b, size_t bytes) {
    uint64_t even = 0, odd = 0;
    size_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        even += (uint64_t)_mm_popcnt_u64(shx_get64(a + i) ^ shx_get64(b + i));
        odd += (uint64_t)_mm_popcnt_u64(shx_get64(a + i + 8) ^ shx_get64(b + i + 8));
    }
    return (uint32_t)(even + odd) + shx_scalar_hamming(a + i, b + i, bytes - i);
}

SHX_TARGET_END

#endif

/* ---- NEON ---- */

#if SHX_HAVE_NEON

#include <arm_neon.h>

void shx_neon_decode_float16(const void *vector, size_t count, float *ret_floats) {
    const uint8_t *at = vector;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        float16x4_t halves = vreinterpret_f16_u8(vld1_u8(at + 2 * i));
        vst1q_f32(ret_floats + i, vcvt_f32_f16(halves));
    }
    shx_scalar_decode_float16(at + 2 * i, count - i, ret_floats + i);
}

void shx_neon_decode_bfloat16(const void *vector, size_t count, float *ret_floats) {
    const uint8_t *at = vector;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint16x4_t halves = vreinterpret_u16_u8(vld1_u8(at + 2 * i));
        vst1q_f32(ret_floats + i, vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(halves), 16)));
    }
    shx_scalar_decode_bfloat16(at + 2 * i, count - i, ret_floats + i);
}

/* A lane takes four squares of up to 255² from every 16 elements: below 2^32 for up to 264,000. */
int64_t shx_neon_int8_l2_squared(const int8_t *a, const int8_t *b, size_t dim) {
    uint32x4_t sum = vdupq_n_u32(0);
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        uint8x16_t difference = vreinterpretq_u8_s8(vabdq_s8(vld1q_s8(a + i), vld1q_s8(b + i)));
        sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(difference), vget_low_u8(difference)));
        sum = vpadalq_u16(sum, vmull_u8(vget_high_u8(difference), vget_high_u8(difference)));
    }
    return (int64_t)vaddlvq_u32(sum) + shx_scalar_int8_l2_squared(a + i, b + i, dim - i);
}

int64_t shx_neon_int8_dot(const int8_t *a, const int8_t *b, size_t dim) {
    int32x4_t sum = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
        sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
        sum = vpadalq_s16(sum, vmull_s8(vget_high_s8(x), vget_high_s8(y)));
    }
    return vaddlvq_s32(sum) + shx_scalar_int8_dot(a + i, b + i, dim - i);
}

int64_t shx_neon_int8_l1(const int8_t *a, const int8_t *b, size_t dim) {
    uint32x4_t sum = vdupq_n_u32(0);
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        uint8x16_t difference = vreinterpretq_u8_s8(vabdq_s8(vld1q_s8(a + i), vld1q_s8(b + i)));
        sum = vpadalq_u16(sum, vpaddlq_u8(difference));
    }
    return (int64_t)vaddlvq_u32(sum) + shx_scalar_int8_l1(a + i, b + i, dim - i);
}

void shx_neon_int8_l1_rows(const int8_t *a, const int8_t *rows, size_t dim, size_t count, int32_t *ret_sums) {
    for (size_t i = 0; i < count; i++) ret_sums[i] = (int32_t)shx_neon_int8_l1(a, rows + i * dim, dim);
}

uint32_t shx_neon_hamming(const uint8_t *a, const uint8_t *b, size_t bytes) {
    uint32x4_t sum = vdupq_n_u32(0);
    size_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        uint8x16_t counts = vcntq_u8(veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i)));
        sum = vpadalq_u16(sum, vpaddlq_u8(counts));
    }
    return (uint32_t)vaddlvq_u32(sum) + shx_scalar_hamming(a + i, b + i, bytes - i);
}

#endif
