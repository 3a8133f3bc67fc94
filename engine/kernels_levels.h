/* What the kernel files share and nobody else needs: the table of each level, and the target region macros.
**
** Code between SHX_TARGET_AVX2 or SHX_TARGET_AVX512 and SHX_TARGET_END may use those instructions; everything else in
** the engine is compiled for the baseline, to which NEON belongs on 64-bit ARM. FMA is left out on purpose, and where
** the instruction set brings it along -ffp-contract=off keeps the compiler from it: twins must agree bit for bit.
*/
#ifndef SHX_KERNELS_LEVELS_H
#define SHX_KERNELS_LEVELS_H

#include "kernels.h"

#define SHX_BLOCK_FACTORS 128 /* bytes of factors before the codes of a block (quantizer.h) */

/* What judges a block by its head. */
static inline shx_bound shx_bound_head(const shx_bound *bound) {
    return (shx_bound){.lut_step = bound->head_step,
                       .lut_bias = bound->head_bias,
                       .offset = bound->offset,
                       .shift = bound->head_shift,
                       .threshold = bound->threshold};
}

#if defined(__x86_64__) && defined(__GNUC__)
#define SHX_HAVE_X86 1
#else
#define SHX_HAVE_X86 0
#endif

#if defined(__aarch64__) && defined(__ARM_NEON)
#define SHX_HAVE_NEON 1
#else
#define SHX_HAVE_NEON 0
#endif

#if defined(__clang__)
#define SHX_TARGET_AVX2                                                                                                \
    _Pragma("clang attribute push(__attribute__((target(\"avx2,f16c,popcnt\"))), apply_to = function)")
#define SHX_TARGET_AVX512                                                                                              \
    _Pragma(                                                                                                           \
        "clang attribute push(__attribute__((target(\"avx512bw,avx512vl,avx512dq,avx512vnni\"))), apply_to=function)")
#define SHX_TARGET_END _Pragma("clang attribute pop")
#else
#define SHX_TARGET_AVX2 _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,f16c,popcnt\")")
#define SHX_TARGET_AVX512 _Pragma("GCC push_options") _Pragma("GCC target(\"avx512bw,avx512vl,avx512dq,avx512vnni\")")
#define SHX_TARGET_END _Pragma("GCC pop_options")
#endif

/* u16 sums of table bytes hold this many code dimensions: 1024/4 tables × 255 = 65280. */
#define SHX_SCAN_CHUNK 1024

/* Level and name are always set; the other members are NULL on machines of another architecture. */
extern const shx_kernels shx_kernels_scalar;
extern const shx_kernels shx_kernels_avx2;
extern const shx_kernels shx_kernels_avx512;
extern const shx_kernels shx_kernels_neon;

/* The scalar kernels that make codes; the NEON table takes them over. */
void shx_scalar_rotate_round(float *point, size_t dim, size_t first, size_t size, const uint64_t *signs);
shx_code_sums shx_scalar_scan_code(const float *point, const float *centroid, size_t dim, uint8_t *ret_bits);
shx_code_sums shx_scalar_refine_code(const float *point, const float *centroid, size_t dim, double per_step,
                                     uint8_t *ret_refine);

/* The scalar kernels that the compiler makes good use of vectors for by itself: the NEON table takes them over. */
float shx_scalar_near_l2(const float *a, const float *b, size_t dim);
float shx_scalar_near_dot(const float *a, const float *b, size_t dim, float *ret_norm2);

/* Of kernels_elements.c. */
void shx_scalar_decode_float16(const void *vector, size_t count, float *ret_floats);
void shx_scalar_decode_bfloat16(const void *vector, size_t count, float *ret_floats);
int64_t shx_scalar_int8_l2_squared(const int8_t *a, const int8_t *b, size_t dim);
int64_t shx_scalar_int8_dot(const int8_t *a, const int8_t *b, size_t dim);
int64_t shx_scalar_int8_l1(const int8_t *a, const int8_t *b, size_t dim);
void shx_scalar_int8_l1_rows(const int8_t *a, const int8_t *rows, size_t dim, size_t count, int32_t *ret_sums);
uint32_t shx_scalar_hamming(const uint8_t *a, const uint8_t *b, size_t bytes);

#if SHX_HAVE_NEON
void shx_neon_decode_float16(const void *vector, size_t count, float *ret_floats);
void shx_neon_decode_bfloat16(const void *vector, size_t count, float *ret_floats);
int64_t shx_neon_int8_l2_squared(const int8_t *a, const int8_t *b, size_t dim);
int64_t shx_neon_int8_dot(const int8_t *a, const int8_t *b, size_t dim);
int64_t shx_neon_int8_l1(const int8_t *a, const int8_t *b, size_t dim);
void shx_neon_int8_l1_rows(const int8_t *a, const int8_t *rows, size_t dim, size_t count, int32_t *ret_sums);
uint32_t shx_neon_hamming(const uint8_t *a, const uint8_t *b, size_t bytes);
#endif

#if SHX_HAVE_X86
void shx_avx2_decode_float16(const void *vector, size_t count, float *ret_floats);
void shx_avx2_decode_bfloat16(const void *vector, size_t count, float *ret_floats);
int64_t shx_avx2_int8_l2_squared(const int8_t *a, const int8_t *b, size_t dim);
int64_t shx_avx2_int8_dot(const int8_t *a, const int8_t *b, size_t dim);
int64_t shx_avx2_int8_l1(const int8_t *a, const int8_t *b, size_t dim);
void shx_avx2_int8_l1_rows(const int8_t *a, const int8_t *rows, size_t dim, size_t count, int32_t *ret_sums);
uint32_t shx_avx2_hamming(const uint8_t *a, const uint8_t *b, size_t bytes);

/* The AVX2 kernels that the AVX-512 table takes over as they are: see kernels_avx512.c. */
double shx_avx2_l2_squared(const float *a, const float *b, size_t dim);
double shx_avx2_dot(const float *a, const float *b, size_t dim);
double shx_avx2_l2_squared_scaled(const float *a, double scale_a, const float *b, double scale_b, size_t dim);
float shx_avx2_near_l2(const float *a, const float *b, size_t dim);
float shx_avx2_near_dot(const float *a, const float *b, size_t dim, float *ret_norm2);
float shx_avx2_code_l2_squared(const float *a, const float *b, size_t dim);
float shx_avx2_centroid_l2_squared(const float *point, const int8_t *centroid, float step, size_t dim);
size_t shx_avx2_within(const float *values, size_t count, float low, float high, uint32_t *ret_positions);
void shx_avx2_add(const float *restrict terms, size_t count, float *restrict values);
int32_t shx_avx2_refine_dot(const uint8_t *code, const int8_t *query_low, const int8_t *query_high, size_t bytes);
double shx_avx2_l1(const float *a, const float *b, size_t dim);
void shx_avx2_dot_panel(const float *const *row, size_t rows, const float *panel, size_t dim, float *ret);
size_t shx_avx2_lowest(const float *values, size_t count);
void shx_avx2_rotate_round(float *point, size_t dim, size_t first, size_t size, const uint64_t *signs);
shx_code_sums shx_avx2_scan_code(const float *point, const float *centroid, size_t dim, uint8_t *ret_bits);
shx_code_sums shx_avx2_refine_code(const float *point, const float *centroid, size_t dim, double per_step,
                                   uint8_t *ret_refine);
#endif

#endif
