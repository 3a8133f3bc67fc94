/* Codes of postings: how vectors become bits, and how a query meets them (RaBitQ, Gao & Long, SIGMOD 2024/2025).
**
** The code space. A user's vector x becomes a point t(x) of the code space, where all search is by squared Euclidean
** distance:
**
**     l2      t(x) = x                              |t(q)-t(x)|² = distance²
**     cosine  t(x) = x / |x|                        |t(q)-t(x)|² = 2 × distance;  x = 0 has no point
**     ip      t(x) = (x, sqrt(M² - |x|²)), t(q) = (q, 0)
**                                                   |t(q)-t(x)|² = |q|² + M² + 2 × distance;  |x| > M has no point
**     hamming t(x) = x, a bit as ±1/2               |t(q)-t(x)|² = distance
**     l1      t(x) = x                              |t(q)-t(x)| ≤ distance, and about distance / sqrt(2 D / π)
**
** Then zeros are appended up to the code dimension (a multiple of 16, at least 64), the mean is subtracted, and the
** whole is rotated (rotation.h). A point whose squared norm is over 1e30 would overflow the float arithmetic of codes
** and counts as none. Vectors without a point go to the overflow shard and are always compared exactly.
**
** Vectors of every element type come in as floats (element.h). For hamming and l1 code space serves to choose shards
** only: bits are as small as their codes would be, and no estimate of an l2 distance bounds an l1 distance tightly.
** Their postings have no codes; the vectors in the shards that are probed are compared exactly.
**
** Codes of a posting o of a shard with centroid c (both in code space), r = o - c, D = code dimension:
**
**     scan code    b = (r > 0), 1 bit a dimension; s = b - 1/2; g = |r|² / <r,s>
**                  add = |r|² + 2 g <s,c>;  mul = -2 g
**                  |q-o|² ≈ add + |q-c|² + mul × (<b,q> - sum(q)/2)
**                  with standard deviation |mul| × 0.302 × (1 + 6/D) × |q-c|: 0.302 is sqrt(1 - 2/π)/2, the share of a
**                  rotated residual that its signs do not tell; the term in D covers its spread between postings
**     refine code  δ = 2 × 3.264 × sqrt(|r|²/D) / 31, t = min(floor(|r|/δ), 15) in each dimension;
**                  u = 16 + t when b, else 15 - t: its top bit is b, its 4 low bits e are stored;
**                  s5 = u - 15.5; g5 = |r|² / <r,s5>;  refine_add, refine_mul as add, mul with s5, g5
**                  |q-o|² ≈ refine_add + |q-c|² + refine_mul × (16 <b,q> + <e,q> - 15.5 sum(q))
**                  error = |r - g5 s5|: the estimate is off by at most 2 × error × |q-c|, with standard deviation
**                  2 × error × |q-c| / sqrt(D-1)
**
** FORMAT of a block of 32 postings (scan codes in fast-scan order, André et al., "Quicker ADC", 2019):
**
**     offset      size       meaning
**     0           64         u16 add[32], posting order: see shx_factor_scale
**     64          64         u16 mul[32]
**     128         4 × D      D/4 groups of 16 bytes. Group m holds dimensions 4m … 4m+3 of all 32 postings: byte j
**                            holds in its low nibble posting p(j), in its high nibble posting p(j)+16, where
**                            p = 0 8 1 9 2 10 3 11 4 12 5 13 6 14 7 15; bit i of the nibble is dimension 4m+i
**
** What a look at the head of a block reads (shx_query_head) is in one piece.
**
** FORMAT of a refine code: D/2 rounded up to a multiple of 32 bytes; byte j holds e of dimension j (low nibble) and of
** dimension j + D/2 (high nibble) for j < D/2, zero after.
*/
#ifndef SHX_QUANTIZER_H
#define SHX_QUANTIZER_H

#include "distance.h"
#include "element.h"
#include "kernels.h"
#include "limits.h"
#include "status.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What all codes of one base have in common. Immutable once made. */
typedef struct shx_encoding {
    shx_metric metric;
    shx_element element;
    uint32_t dim;      /* of the user's vectors */
    uint32_t code_dim; /* of the code space */
    uint64_t seed;     /* of the rotation */
    float ip_bound;    /* M of ip, 0 for the other metrics */
    const float *mean; /* code_dim floats, not rotated, owned by whoever made the encoding */
} shx_encoding;

/* The code dimension of vectors of `dim` dimensions under a metric. */
uint32_t shx_code_dim(shx_metric metric, uint32_t dim);

/* Whether postings have scan and refine codes; otherwise the vectors in probed shards are compared. */
static inline bool shx_encoding_coded(const shx_encoding *encoding) {
    return encoding->metric != SHX_L1 && encoding->metric != SHX_HAMMING;
}

/* Bytes of one vector as it is stored. */
static inline size_t shx_encoding_vector_bytes(const shx_encoding *encoding) {
    return shx_element_bytes(encoding->element, encoding->dim);
}

/* How many blocks hold `rows` rows. */
static inline uint32_t shx_blocks_of(uint64_t rows) { return (uint32_t)((rows + SHX_BLOCK_ROWS - 1) / SHX_BLOCK_ROWS); }

/* Bytes of one block, and of one refine code. */
size_t shx_block_bytes(uint32_t code_dim);
size_t shx_refine_bytes(uint32_t code_dim);

/* Puts a vector into code space *before* centring and rotation: t(x), padded with zeros to code_dim floats. False (and
** ret_lifted undefined) when the vector has no point there. `as_query` selects t(q) for ip. */
bool shx_encoding_lift(const shx_encoding *encoding, const void *vector, bool as_query, float *ret_lifted);

/* Lifts and subtracts the mean: a point before it is rotated, which changes no distance. False (and ret_point
** undefined) when the vector has no point. */
bool shx_encoding_center(const shx_encoding *encoding, const void *vector, bool as_query, float *ret_point);

/* The whole way: lift, subtract the mean, rotate. False (and ret_point undefined) when the vector has no point.
** ret_point: code_dim floats. */
bool shx_encoding_point(const shx_encoding *encoding, const void *vector, bool as_query, float *ret_point);

/* A user's distance as a squared distance in the code space of a query (see the table on top). The query norm is |q| of
** the user's vector. Monotonic: a negative l2 distance gives a negative square, which nothing is below. For l1 it is
** the squared l2 distance to expect, which bounds nothing. */
double shx_distance_to_code(const shx_encoding *encoding, double query_norm, double distance);

/* The codes of one posting. */
typedef struct shx_code {
    float add, mul;                             /* of the scan code */
    float refine_add, refine_mul, refine_error; /* of the refine code */
    float distance2;                            /* of posting and centroid */
} shx_code;

/* Encodes one posting against a centroid (both code_dim floats in code space). ret_bits: code_dim/8 bytes, bit i%8 of
** byte i/8 is dimension i; ret_refine: shx_refine_bytes. A zero residual gives factors that make every estimate exact.
*/
void shx_encode(const float *point, const float *centroid, uint32_t code_dim, uint8_t *ret_bits, uint8_t *ret_refine,
                shx_code *ret_code);

/* Chooses the factor scale of a run of `count` postings, so that a decoded factor is off by at most half a step (and
** the rounding of float arithmetic). */
void shx_factor_scale_fit(const shx_code *codes, size_t count, shx_factor_scale *ret_scale);

/* Packs up to 32 postings into one block; lanes from `count` on get zero codes and factors whose bound never matters
** (callers mask them). bits: `count` × code_dim/8 bytes. */
void shx_block_pack(const uint8_t *bits, const shx_code *codes, size_t count, uint32_t code_dim,
                    const shx_factor_scale *scale, uint8_t *ret_block);

/* A query in code space, prepared once and used for shards, centroids and codes alike. The arrays are 64-byte aligned
** and owned by the query; one query object is reused for many searches of the same code dimension. */
typedef struct shx_query {
    uint32_t code_dim;
    double norm;     /* |q| of the user's vector */
    float sum;       /* Σ point */
    float magnitude; /* Σ |point| */
    float norm2;     /* Σ point²: the squared distance to the origin */
    float *point;    /* code_dim floats */
    uint8_t *lut;    /* code_dim/4 tables of 16 bytes */
    float lut_step;  /* <bits, query> = lut_step × Σ lut + lut_bias */
    float lut_bias;
    uint32_t head_dim;    /* dimensions that shx_query_head looks at, 0: none */
    float head_magnitude; /* Σ |point| over them */
    float head_deviation; /* standard deviation of <bits, query> - sum/2 as the head alone lets expect it */
    float lut_error;     /* |error| of a decoded <bits, query> is at most this … */
    double lut_variance; /* … and its variance this */
    int8_t *low, *high; /* int8 query for refine codes, shx_refine_bytes each, zero padded */
    float int8_step;    /* <e, query> = int8_step × <e, int8> + int8_bias */
    float int8_bias;
    size_t refine_bytes;    /* of one refine code */
    double refine_shift;    /* int8_bias - 15.5 sum: what is added to every product with a refine code */
    double refine_spread;   /* 4 / (D-1) */
    float refine_deviation; /* standard deviation of a decoded 16 <bits, query> + <e, query>, from both roundings */
    float refine_limit;     /* and the largest |error| of it */
    bool sharp;             /* what both roundings leave out is told by the following (shx_query_sharpen) */
    uint8_t *fine_lut;      /* as lut: fine_step × Σ fine_lut + fine_bias is to be added to <bits, query> */
    int8_t *fine_low, *fine_high; /* as low and high, in steps of fine_int8_step: to be added to <e, query> */
    float fine_step, fine_bias, fine_int8_step;
} shx_query;

/* Allocates the arrays for a code dimension. */
shx_status shx_query_create(uint32_t code_dim, shx_query **ret_query);
void shx_query_destroy(shx_query *query);

/* Whether a scale from a file can be one: a point's factors are below 1e36 and 1e18, as its norm is bounded. Larger
** ones would make bounds that are no numbers, and postings without a bound are never found. */
bool shx_factor_scale_usable(const shx_factor_scale *scale);

/* Prepares the query for a user's vector. False when the vector has no point (a zero vector under cosine, a huge one):
** then the query must not be used, and the answer is an exact scan. */
bool shx_query_set(shx_query *query, const shx_encoding *encoding, const void *vector);

/* The second half of shx_query_set: makes the tables for query->point, which the caller has filled (with a posting's
** point, say, to find its nearest shard). query->norm is the caller's too. */
void shx_query_tabulate(shx_query *query);

/* Tells of each rounding of the query what it leaves out, rounded in turn, if the nearest centroid, at a squared
** distance of distance2, is so near that the roundings, which are in proportion to |query|, would be felt beside the
** error of the refine codes of its postings, which is in proportion to that distance: in tables of few intrinsic
** dimensions, or where some regions are far denser than others. The roundings' part of estimates by refine codes is 255
** times smaller then, for two more products. */
void shx_query_sharpen(shx_query *query, float distance2);

/* What a sharp query adds to the <bits, query> of a block's 32 postings, whose refine codes are to be met; other
** queries add nothing. */
void shx_query_sharpen_block(const shx_query *query, const shx_kernels *kernels, const uint8_t *block, float *ip);

/* How far an estimate by scan codes is off, as a standard deviation for |mul| = 1, by the codes and by the rounding of
** the tables; distance2 = |query - centroid|². */
static inline double shx_scan_deviation(const shx_query *query, double distance2) {
    double share = 0.302 * (1 + 6.0 / (double)query->code_dim);
    return sqrt(share * share * distance2 + query->lut_variance);
}

/* The bound for one run: distance2 = |query - centroid|², epsilon = how many standard deviations a lower bound lies
** below the estimate (calibration.c chooses), threshold in squared distance. The slack for the rounding of factors
** and of float arithmetic is included: a decoded bound is never above the exact one. */
void shx_query_bound(const shx_query *query, const shx_factor_scale *scale, float distance2, float epsilon,
                     float threshold, shx_bound *ret_bound);

/* Adds a look at the head to a bound, for codes of many dimensions: what the rest adds to a table sum is taken to be at
** most `sigmas` standard deviations above what the head lets expect. The rotation makes the head a random choice of the
** dimensions, so that D/h times a sum over h of them estimates the sum over all D, with a deviation of
** sqrt((D-h)/h) |query|/2 (ADSampling: Gao & Long, "High-dimensional approximate nearest neighbor search", SIGMOD 2023,
** with bits in the place of numbers).
** Most blocks of a far shard end there. Not for certain bounds. */
void shx_query_head(const shx_query *query, float sigmas, shx_bound *bound);

/* The refined estimate of |query - posting|² from the posting's refine code (factors: refine_add, refine_mul,
** refine_error of its shx_code), the ip that scan_block and shx_query_sharpen_block gave for it, and distance2 =
** |query - centroid|². */
typedef struct shx_estimate {
    float distance2;
    float deviation; /* standard deviation of the error */
} shx_estimate;

shx_estimate shx_query_refine(const shx_query *query, const shx_kernels *kernels, const uint8_t *refine,
                              const float factors[3], float distance2, float ip);

/* The largest possible |error| of that estimate, as far as distance2 of the centroid is right. */
float shx_query_refine_limit(const shx_query *query, const float factors[3], float distance2);

#endif
