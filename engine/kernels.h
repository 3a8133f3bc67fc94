/* The CPU behind one table: every SIMD kernel of the engine, with a scalar twin.
**
** The table is chosen once (CPUID and XGETBV) and filled scalar first, then upwards. Kernels are called per block or
** per row of work, never per element. Twins agree bit for bit: integer kernels are equal, float kernels use the same
** lanes in the same order without fused multiply-add (-ffp-contract=off), so answers do not depend on the machine.
** The level can be capped for tests by shx_kernels_cap or the environment variable SHARDEX_SIMD (scalar, avx2, avx512,
** neon): the machine's highest level that is not above the cap runs, in the order of shx_simd_level.
*/
#ifndef SHX_KERNELS_H
#define SHX_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef enum shx_simd_level {
    SHX_SIMD_SCALAR = 0,
    SHX_SIMD_AVX2 = 1,
    SHX_SIMD_AVX512 = 2, /* F, BW, VL, DQ and VNNI */
    SHX_SIMD_NEON = 3,   /* 64-bit ARM */
    SHX_SIMD_HIGHEST = SHX_SIMD_NEON,
} shx_simd_level;

/* How a block's two factors are decoded: value = min + step × u16. One for each run. */
typedef struct shx_factor_scale {
    float add_min, add_step;
    float mul_min, mul_step;
} shx_factor_scale;

/* What turns table sums into lower bounds of squared distances, for one query and one run:
** ip = lut_step × sum + lut_bias;  bound = (add + offset) + mul × (ip + shift). */
typedef struct shx_bound {
    float lut_step, lut_bias; /* decode a table sum into <bits, query> */
    float offset;             /* |query - centroid|², less the rounding slack of the factors */
    float shift;              /* -sum(query)/2 + epsilon × deviation × |query - centroid| (see quantizer.h) */
    float threshold;          /* postings whose bound is below it pass */
    /* A look at the first head_dim dimensions (a multiple of 16 below the dimension; 0: none): when by their sums
    ** alone, decoded and shifted by these three in the place of those above, none passes, the rest is not read. */
    uint32_t head_dim;
    float head_step, head_bias, head_shift;
} shx_bound;

/* Sums over the dimensions of one posting while it is encoded (quantizer.h): r its residual, c the centroid, s the code
** of a dimension, ±1/2 or ±(t + 1/2). */
typedef struct shx_code_sums {
    double residual2;     /* Σ r² */
    double residual_code; /* Σ r s */
    double code_centroid; /* Σ s c */
    double code2;         /* Σ s² */
} shx_code_sums;

/* What stands before the bytes of a panel of 16 centroids (byte_panels.h). */
typedef struct shx_byte_panel {
    int32_t shifts[16];
    float scales[16], norms[16];
    int8_t bytes[]; /* bytes[d / 4 × 64 + j × 4 + d mod 4] is dimension d of centroid j */
} shx_byte_panel;

/* What the butterfly between the halves of a point is scaled by: 1/√2. */
#define SHX_ROTATE_HALF 0.70710678118654752f

typedef struct shx_kernels {
    shx_simd_level level;
    const char *name; /* as in SHARDEX_SIMD */

    /* Exact arithmetic, in double, in 16 lanes (lane i sums the elements i mod 16 in order; the lanes are added
    ** pairwise: 8+8, 4+4, 2+2, 1+1). Vectors are unaligned, dim ≥ 1. */
    double (*l2_squared)(const float *a, const float *b, size_t dim); /* Σ (a-b)² */
    double (*dot)(const float *a, const float *b, size_t dim);        /* Σ a·b */
    /* Σ (a·scale_a - b·scale_b)²: twice the cosine distance when the scales are 1/|a| and 1/|b|. */
    double (*l2_squared_scaled)(const float *a, double scale_a, const float *b, double scale_b, size_t dim);

    /* Near arithmetic, in float, in 16 lanes as above: vectors are unaligned, dim ≥ 1. Of a sum of numbers that are not
    ** negative the relative error is at most (dim/16 + 8) × 2^-24 unless it over- or underflows; of a·b it is as much
    ** relative to Σ |a·b|. near_dot gives Σ b·b as well. */
    float (*near_l2)(const float *a, const float *b, size_t dim);
    float (*near_dot)(const float *a, const float *b, size_t dim, float *ret_norm2);

    double (*l1)(const float *a, const float *b, size_t dim); /* Σ |a-b| */

    /* Exact conversion of `count` half-precision numbers (element.h) at any address; infinities and NaN stay what they
    ** are. */
    void (*decode_float16)(const void *vector, size_t count, float *ret_floats);
    void (*decode_bfloat16)(const void *vector, size_t count, float *ret_floats);

    /* Exact integers, dim ≤ 65536: Σ (a-b)², Σ a·b, Σ |a-b|, and the bits in which `bytes` bytes differ. */
    int64_t (*int8_l2_squared)(const int8_t *a, const int8_t *b, size_t dim);
    int64_t (*int8_dot)(const int8_t *a, const int8_t *b, size_t dim);
    int64_t (*int8_l1)(const int8_t *a, const int8_t *b, size_t dim);
    /* int8_l1 of a and each of `count` rows that stand one behind the other. */
    void (*int8_l1_rows)(const int8_t *a, const int8_t *rows, size_t dim, size_t count, int32_t *ret_sums);
    uint32_t (*hamming)(const uint8_t *a, const uint8_t *b, size_t bytes);

    /* Σ (a-b)² over code dimensions (dim a multiple of 16), 16 lanes as above but in float. */
    float (*code_l2_squared)(const float *a, const float *b, size_t dim);

    /* The same of a point and a centroid whose dimension d is step × centroid[d] (shards.h), bit for bit. */
    float (*centroid_l2_squared)(const float *point, const int8_t *centroid, float step, size_t dim);

    /* One block of 32 postings (format: quantizer.h). Returns the mask of postings whose lower bound is below
    ** bound->threshold (bit i = posting i; a NaN bound passes), or 0 if a head is asked for and lets none pass. When it
    ** is not 0, writes <bits, query> of all 32 postings, decoded by the bound's lut members, to ret_ip. dim ≤ 65536;
    ** `lut` holds dim/4 × 16 bytes. */
    uint32_t (*scan_block)(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                           const shx_bound *bound, float ret_ip[32]);

    /* The same block without a threshold: writes the bounds of all 32 postings. */
    void (*bound_block)(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                        const shx_bound *bound, float ret_bounds[32]);

    /* Writes the positions i < count with low < values[i] ≤ high to ret_positions, ascending, and returns how many. A
    ** NaN is never within. There is room for `count` positions, and what stands behind those found is undefined. */
    size_t (*within)(const float *values, size_t count, float low, float high, uint32_t *ret_positions);

    /* values[i] += terms[i]; the arrays do not overlap. */
    void (*add)(const float *terms, size_t count, float *values);

    /* <code, query> of a refine code: `bytes` (a multiple of 32) bytes, each two 4-bit values; query_low goes with the
    ** low nibbles, query_high with the high ones, values -127 … 127. Exact for bytes ≤ 32768. */
    int32_t (*refine_dot)(const uint8_t *code, const int8_t *query_low, const int8_t *query_high, size_t bytes);

    /* Dot products of `rows` (1 … 6) rows with 16 centroids stored interleaved (panel[d × 16 + j] is dimension d of
    ** centroid j): ret[r × 16 + j], each one summed over d = 0 … dim-1 in order, in float. */
    void (*dot_panel)(const float *const *row, size_t rows, const float *panel, size_t dim, float *ret);

    /* Scores of `rows` (1 … 6) rows of bytes 0 … 127 against 16 centroids of bytes -127 … 127: ret[r × stride + j] =
    ** norms[j] + (steps[r] × scales[j]) × (<row r, centroid j> - shifts[j]). dim a multiple of 4, ≤ 65536. */
    void (*score_panel)(const uint8_t *const *row, const float *steps, size_t rows, const shx_byte_panel *panel,
                        size_t dim, float *ret, size_t stride);

    /* The position of the lowest of `count` values, a multiple of 16 above 0 and none of them NaN; of equal ones the
    ** first. */
    size_t (*lowest)(const float *values, size_t count);

    /* One round of a rotation (rotation.h) in place: flips the sign of dimension i where bit i mod 64 of signs[i / 64]
    ** is set; then the fast Hadamard transform, scaled by 1/√size, of `size` dimensions from `first` on; then, when
    ** size < dim, the butterfly of the two halves, scaled. dim a multiple of 16, size a power of two ≥ 16. */
    void (*rotate_round)(float *point, size_t dim, size_t first, size_t size, const uint64_t *signs);

    /* The scan code of a posting against a centroid: dim/8 bytes of bits, and all four sums. dim a multiple of 8. The
    ** sums of both encoders have 8 lanes of double (lane i sums the dimensions i mod 8 in order, those of the two
    ** halves in turn for the refine code), added pairwise: 4+4, 2+2, 1+1. */
    shx_code_sums (*scan_code)(const float *point, const float *centroid, size_t dim, uint8_t *ret_bits);

    /* The refine code, dim/2 bytes; per_step = 1/δ. Σ r² is left 0. dim a multiple of 16. */
    shx_code_sums (*refine_code)(const float *point, const float *centroid, size_t dim, double per_step,
                                 uint8_t *ret_refine);
} shx_kernels;

/* The table for this machine; the same pointer until shx_kernels_cap. */
const shx_kernels *shx_kernels_get(void);

/* The table of one level, or NULL when this machine lacks it: for tests that compare twins. No cap applies. */
const shx_kernels *shx_kernels_at(shx_simd_level level);

/* Caps the level that shx_kernels_get gives from now on. SHARDEX_SIMD caps it as well: the lower one counts. */
void shx_kernels_cap(shx_simd_level level);

/* Makes shx_kernels_get give this table, whatever it is, until it is called again or with NULL: for tests that count
** work. Not while anything else runs. */
void shx_kernels_use(const shx_kernels *kernels);

#endif
