#include "quantizer.h"

#include "bytes.h"
#include "memory.h"
#include "rotation.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* Squared norms over this have no point: products of two such points and of a few factors still fit a float. */
#define QUANT_NORM2_MAX 1e30

#define QUANT_HEAD_FROM 320  /* dimensions from which on a block has a head … */
#define QUANT_HEAD_LEAST 192 /* … of so many of them at least */

/* Where 32 uniform levels clip a Gaussian with the least error, in standard deviations. */
#define QUANT_CLIP 3.264

/* More than the relative rounding error of any bound or estimate, in units of the largest term in it. */
#define QUANT_ROUNDING 0x1p-20

/* D × l2² / l1² of Gaussian differences: π/2. */
#define QUANT_L1_SHARE 1.5707963267948966

/* Variance of e - 7.5 of the refine codes of Gaussian residuals, which is what meets the rounding of the int8 query. */
#define QUANT_CODE_VARIANCE 26.0

/* Standard deviation of a decoded 16 <bits, q> + <e, q>, from the rounding of refine codes, for |q - centroid| = 1:
** 1/√12 and what is clipped. */
#define QUANT_CODE_DEVIATION 0.29

/* How much finer a second rounding is; with the rounding of float arithmetic it is off by at most this many steps. */
#define QUANT_FINE_LUT 255
#define QUANT_FINE_INT8 254
#define QUANT_FINE_ERROR 0.53

uint32_t shx_code_dim(shx_metric metric, uint32_t dim) {
    assert(dim >= 1 && dim <= SHX_DIM_MAX);
    uint32_t lifted = dim + (metric == SHX_IP ? 1 : 0);
    uint32_t code_dim = (uint32_t)shx_align(lifted, SHX_CODE_DIM_UNIT);
    return code_dim < SHX_CODE_DIM_MIN ? SHX_CODE_DIM_MIN : code_dim;
}

size_t shx_block_bytes(uint32_t code_dim) { return (size_t)code_dim * 4 + 4 * SHX_BLOCK_ROWS; }

size_t shx_refine_bytes(uint32_t code_dim) { return (size_t)shx_align(code_dim / 2, 32); }

/* ---- vectors and points ---- */

bool shx_encoding_lift(const shx_encoding *encoding, const void *vector, bool as_query, float *ret_lifted) {
    uint32_t dim = encoding->dim;
    shx_element_decode(encoding->element, vector, dim, ret_lifted);
    memset(ret_lifted + dim, 0, (encoding->code_dim - dim) * sizeof *ret_lifted);
    if (encoding->metric == SHX_COSINE) {
        double norm2 = shx_kernels_get()->dot(ret_lifted, ret_lifted, dim);
        if (!(norm2 > 0)) return false;
        double scale = 1 / sqrt(norm2);
        for (uint32_t i = 0; i < dim; i++) ret_lifted[i] = (float)(ret_lifted[i] * scale);
    } else if (encoding->metric == SHX_IP && !as_query) {
        double norm2 = shx_kernels_get()->dot(ret_lifted, ret_lifted, dim);
        double rest2 = (double)encoding->ip_bound * encoding->ip_bound - norm2;
        if (!(rest2 >= 0)) return false;
        ret_lifted[dim] = (float)sqrt(rest2);
    }
    return true;
}

bool shx_encoding_center(const shx_encoding *encoding, const void *vector, bool as_query, float *ret_point) {
    if (!shx_encoding_lift(encoding, vector, as_query, ret_point)) return false;
    for (uint32_t i = 0; i < encoding->code_dim; i++) ret_point[i] -= encoding->mean[i];
    /* The comparison is false for infinity and NaN as well, and a bounded norm bounds every component. */
    return shx_kernels_get()->dot(ret_point, ret_point, encoding->code_dim) <= QUANT_NORM2_MAX;
}

bool shx_encoding_point(const shx_encoding *encoding, const void *vector, bool as_query, float *ret_point) {
    if (!shx_encoding_center(encoding, vector, as_query, ret_point)) return false;
    shx_rotate(ret_point, encoding->code_dim, encoding->seed);
    return true;
}

double shx_distance_to_code(const shx_encoding *encoding, double query_norm, double distance) {
    double bound = encoding->ip_bound;
    switch (encoding->metric) {
    case SHX_L2: return distance * fabs(distance);
    case SHX_COSINE: return 2 * distance;
    case SHX_IP: return 2 * distance + (query_norm * query_norm + bound * bound);
    case SHX_L1: return distance * fabs(distance) * QUANT_L1_SHARE / encoding->dim;
    case SHX_HAMMING: return distance;
    }
    assert(!"a metric");
    return NAN;
}

/* ---- codes ---- */

/* The refine code: kernels.h has its sums, here are the scale and the padding. */
static shx_code_sums quant_refine_code(const float *point, const float *centroid, uint32_t code_dim, double residual2,
                                       uint8_t *ret_refine) {
    double deviation = sqrt(residual2 / code_dim);
    double per_step = deviation > 0 ? 31 / (2 * QUANT_CLIP * deviation) : 0;
    shx_code_sums sums = shx_kernels_get()->refine_code(point, centroid, code_dim, per_step, ret_refine);
    memset(ret_refine + code_dim / 2, 0, shx_refine_bytes(code_dim) - code_dim / 2);
    sums.residual2 = residual2;
    return sums;
}

/* g: the length that makes <r,v> ≈ g <s,v> unbiased. Without a residual there is nothing to estimate. */
static double quant_gain(const shx_code_sums *sums) {
    return sums->residual_code > 0 ? sums->residual2 / sums->residual_code : 0;
}

static double quant_add(const shx_code_sums *sums, double gain) {
    return sums->residual2 + 2 * gain * sums->code_centroid;
}

/* |r - g s|, from |r|² = g <r,s>. */
static double quant_error(const shx_code_sums *sums, double gain) {
    double error2 = gain * gain * sums->code2 - sums->residual2;
    return error2 > 0 ? sqrt(error2) : 0;
}

void shx_encode(const float *point, const float *centroid, uint32_t code_dim, uint8_t *ret_bits, uint8_t *ret_refine,
                shx_code *ret_code) {
    assert(code_dim % SHX_CODE_DIM_UNIT == 0);
    shx_code_sums scan = shx_kernels_get()->scan_code(point, centroid, code_dim, ret_bits);
    shx_code_sums refine = quant_refine_code(point, centroid, code_dim, scan.residual2, ret_refine);
    double gain = quant_gain(&scan), refine_gain = quant_gain(&refine);
    ret_code->add = (float)quant_add(&scan, gain);
    ret_code->mul = (float)(-2 * gain);
    ret_code->refine_add = (float)quant_add(&refine, refine_gain);
    ret_code->refine_mul = (float)(-2 * refine_gain);
    ret_code->refine_error = (float)quant_error(&refine, refine_gain);
    ret_code->distance2 = (float)scan.residual2;
}

/* ---- blocks ---- */

static float quant_factor_step(float min, float max) { return (float)(((double)max - (double)min) / UINT16_MAX); }

void shx_factor_scale_fit(const shx_code *codes, size_t count, shx_factor_scale *ret_scale) {
    *ret_scale = (shx_factor_scale){0};
    if (count == 0) return;
    float add_min = codes[0].add, add_max = add_min, mul_min = codes[0].mul, mul_max = mul_min;
    for (size_t i = 1; i < count; i++) {
        add_min = fminf(add_min, codes[i].add);
        add_max = fmaxf(add_max, codes[i].add);
        mul_min = fminf(mul_min, codes[i].mul);
        mul_max = fmaxf(mul_max, codes[i].mul);
    }
    *ret_scale = (shx_factor_scale){
        .add_min = add_min,
        .add_step = quant_factor_step(add_min, add_max),
        .mul_min = mul_min,
        .mul_step = quant_factor_step(mul_min, mul_max),
    };
}

/* The number that decodes nearest to a factor. */
static uint16_t quant_factor_number(float factor, float min, float step) {
    assert(factor >= min);
    if (!(step > 0)) return 0;
    double number = ((double)factor - (double)min) / (double)step + 0.5;
    return number < UINT16_MAX ? (uint16_t)number : UINT16_MAX;
}

/* Puts one posting's bits into its nibbles of the zeroed groups of a block. */
static void quant_block_put(const uint8_t *bits, size_t posting, uint32_t code_dim, uint8_t *groups) {
    size_t row = posting % 16, byte = row % 8 * 2 + row / 8;
    int shift = posting < 16 ? 0 : 4;
    for (uint32_t k = 0; k < code_dim / 8; k++) {
        uint8_t *group = groups + 32 * (size_t)k + byte;
        group[0] |= (uint8_t)((bits[k] & 15) << shift);
        group[16] |= (uint8_t)((bits[k] >> 4) << shift);
    }
}

void shx_block_pack(const uint8_t *bits, const shx_code *codes, size_t count, uint32_t code_dim,
                    const shx_factor_scale *scale, uint8_t *ret_block) {
    assert(count <= SHX_BLOCK_ROWS);
    memset(ret_block, 0, shx_block_bytes(code_dim));
    for (size_t i = 0; i < count; i++) {
        quant_block_put(bits + i * (code_dim / 8), i, code_dim, ret_block + 4 * SHX_BLOCK_ROWS);
        shx_put16(ret_block + 2 * i, quant_factor_number(codes[i].add, scale->add_min, scale->add_step));
        shx_put16(ret_block + 64 + 2 * i, quant_factor_number(codes[i].mul, scale->mul_min, scale->mul_step));
    }
}

/* ---- queries ---- */

/* A third, but enough dimensions to tell a far block from a near one; short codes have no head. */
static uint32_t quant_head_dim(uint32_t code_dim) {
    if (code_dim < QUANT_HEAD_FROM) return 0;
    uint32_t third = code_dim / 3 / 16 * 16;
    return third > QUANT_HEAD_LEAST ? third : QUANT_HEAD_LEAST;
}

shx_status shx_query_create(uint32_t code_dim, shx_query **ret_query) {
    assert(code_dim % SHX_CODE_DIM_UNIT == 0 && code_dim > 0);
    shx_query *query = shx_alloc_zero(1, sizeof *query);
    SHX_CHECK(query, SHX_NOMEM);
    query->code_dim = code_dim;
    query->head_dim = quant_head_dim(code_dim);
    query->point = shx_alloc_aligned(code_dim, sizeof *query->point);
    query->lut = shx_alloc_aligned(code_dim, 4);
    query->low = shx_alloc_aligned(shx_refine_bytes(code_dim), 1);
    query->high = shx_alloc_aligned(shx_refine_bytes(code_dim), 1);
    query->fine_lut = shx_alloc_aligned(code_dim, 4);
    query->fine_low = shx_alloc_aligned(shx_refine_bytes(code_dim), 1);
    query->fine_high = shx_alloc_aligned(shx_refine_bytes(code_dim), 1);
    bool complete = query->point && query->lut && query->low && query->high;
    if (!complete || !query->fine_lut || !query->fine_low || !query->fine_high) {
        shx_query_destroy(query);
        return SHX_NOMEM;
    }
    *ret_query = query;
    return SHX_OK;
}

void shx_query_destroy(shx_query *query) {
    if (!query) return;
    shx_free_aligned(query->point);
    shx_free_aligned(query->lut);
    shx_free_aligned(query->low);
    shx_free_aligned(query->high);
    shx_free_aligned(query->fine_lut);
    shx_free_aligned(query->fine_low);
    shx_free_aligned(query->fine_high);
    shx_free(query);
}

/* What one pass over the point tells. */
typedef struct quant_extent {
    double sum, magnitude;
    float norm2;
    double head_magnitude; /* of the first head_dim components */
    float largest;       /* max |component| */
    float largest_group; /* max of Σ |component| over groups of four: the widest range of a table */
} quant_extent;

static quant_extent quant_measure(const float *point, uint32_t code_dim, uint32_t head_dim) {
    quant_extent extent = {0};
    for (uint32_t i = 0; i < code_dim; i += 4) {
        float group = 0;
        if (i == head_dim) extent.head_magnitude = extent.magnitude;
        for (uint32_t j = i; j < i + 4; j++) {
            float size = fabsf(point[j]);
            group += size;
            if (size > extent.largest) extent.largest = size;
            extent.sum += point[j];
            extent.norm2 += point[j] * point[j];
        }
        extent.magnitude += group;
        if (group > extent.largest_group) extent.largest_group = group;
    }
    return extent;
}

/* The table of one group: entry j is the sum of the components whose bits are set in j, in steps above the least, and
** a half. */
static void quant_lut_entries(const float point[4], float per_step, float ret_entry[16]) {
    float least = 0;
    for (int i = 0; i < 4; i++) least += point[i] < 0 ? point[i] : 0;
    ret_entry[0] = 0.5f - least * per_step;
    for (int i = 0; i < 4; i++) {
        float part = point[i] * per_step;
        for (int j = 0; j < 1 << i; j++) ret_entry[(1 << i) + j] = ret_entry[j] + part;
    }
}

static void quant_lut_table(const float point[4], float per_step, uint8_t *ret_table) {
    float entry[16];
    quant_lut_entries(point, per_step, entry);
    for (int j = 0; j < 16; j++) ret_table[j] = (uint8_t)(int)entry[j];
}

/* What the entries are above the table's, and a half. */
static void quant_fine_table(const float point[4], float per_step, uint8_t *ret_table) {
    float entry[16];
    quant_lut_entries(point, per_step, entry);
    for (int j = 0; j < 16; j++) {
        float rest = entry[j] - (float)(int)entry[j];
        ret_table[j] = (uint8_t)(int)(rest * QUANT_FINE_LUT + 0.5f);
    }
}

/* The step in which a query's components are rounded. Denormal steps have no inverse: such a query rounds to zero. */
static float quant_step(float largest, float levels) { return largest / levels >= FLT_MIN ? largest / levels : 0; }

static void quant_query_lut(shx_query *query, const quant_extent *extent) {
    uint32_t groups = query->code_dim / 4;
    query->lut_step = quant_step(extent->largest_group, 255);
    float per_step = query->lut_step > 0 ? 1 / query->lut_step : 0;
    for (uint32_t m = 0; m < groups; m++) quant_lut_table(query->point + m * 4, per_step, query->lut + m * 16);
    query->lut_bias = (float)((extent->sum - extent->magnitude) / 2); /* the sum of the negative components */
    query->lut_variance = (double)query->lut_step * (double)query->lut_step / 12 * groups;
    query->lut_error = (float)(groups * (0.501 * query->lut_step + 255 * FLT_MIN) + QUANT_ROUNDING * extent->magnitude);
}

/* Rounds a half of the point; returns the sum of the numbers. */
static int64_t quant_int8_half(const float *point, uint32_t count, float per_step, int8_t *ret_half) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        int number = (int)(point[i] * per_step + 128.5f) - 128;
        ret_half[i] = (int8_t)number;
        sum += number;
    }
    return sum;
}

/* The codes e lie around 7.5, so 7.5 × the sum of the rounding errors is known and taken out as a bias. */
static void quant_query_int8(shx_query *query, const quant_extent *extent) {
    uint32_t half = query->code_dim / 2;
    size_t padding = shx_refine_bytes(query->code_dim) - half;
    query->int8_step = quant_step(extent->largest, 127);
    float per_step = query->int8_step > 0 ? 1 / query->int8_step : 0;
    int64_t sum = quant_int8_half(query->point, half, per_step, query->low);
    sum += quant_int8_half(query->point + half, half, per_step, query->high);
    memset(query->low + half, 0, padding);
    memset(query->high + half, 0, padding);
    query->int8_bias = (float)(7.5 * (extent->sum - (double)query->int8_step * (double)sum));
}

/* Rounds what is left of a half of the point; returns the sum of the numbers. */
static int64_t quant_fine_half(const float *point, const int8_t *half, uint32_t count, float per_step,
                               int8_t *ret_fine) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        float rest = point[i] * per_step - (float)half[i];
        int number = (int)(rest * QUANT_FINE_INT8 + 128.5f) - 128;
        ret_fine[i] = (int8_t)number;
        sum += number;
    }
    return sum;
}

/* Sets what roundings in these steps make of estimates. */
static void quant_query_rounding(shx_query *query, double lut_step, double int8_step) {
    double dim = query->code_dim;
    double variance = 256 * lut_step * lut_step / 12 * dim / 4 + QUANT_CODE_VARIANCE * int8_step * int8_step / 12 * dim;
    query->refine_shift = query->int8_bias - 15.5 * (double)query->sum;
    query->refine_deviation = (float)sqrt(variance);
}

void shx_query_sharpen(shx_query *query, float distance2) {
    double felt = QUANT_CODE_DEVIATION * sqrt(distance2 > 0 ? distance2 : 0);
    if (query->sharp || query->refine_deviation <= felt) return;
    uint32_t groups = query->code_dim / 4, half = query->code_dim / 2;
    size_t padding = query->refine_bytes - half;
    float per_lut_step = query->lut_step > 0 ? 1 / query->lut_step : 0;
    float per_int8_step = query->int8_step > 0 ? 1 / query->int8_step : 0;
    query->fine_step = query->lut_step / QUANT_FINE_LUT;
    query->fine_int8_step = query->int8_step / QUANT_FINE_INT8;
    for (uint32_t m = 0; m < groups; m++) {
        quant_fine_table(query->point + m * 4, per_lut_step, query->fine_lut + m * 16);
    }
    query->fine_bias = -0.5f * query->lut_step * (float)groups;
    int64_t sum = quant_fine_half(query->point, query->low, half, per_int8_step, query->fine_low);
    sum += quant_fine_half(query->point + half, query->high, half, per_int8_step, query->fine_high);
    memset(query->fine_low + half, 0, padding);
    memset(query->fine_high + half, 0, padding);
    query->int8_bias -= (float)(7.5 * (double)query->fine_int8_step * (double)sum);
    quant_query_rounding(query, query->fine_step, query->fine_int8_step);
    double lut_error = groups * (QUANT_FINE_ERROR * (double)query->fine_step + 255 * FLT_MIN) +
                       QUANT_ROUNDING * (double)query->magnitude;
    double int8_error = query->code_dim * (QUANT_FINE_ERROR * (double)query->fine_int8_step + 127 * FLT_MIN);
    query->refine_limit = (float)(16 * lut_error + 7.5 * int8_error);
    query->sharp = true;
}

void shx_query_sharpen_block(const shx_query *query, const shx_kernels *kernels, const uint8_t *block, float *ip) {
    if (!query->sharp) return;
    const shx_factor_scale itself = {.mul_min = 1};
    const shx_bound fine = {.lut_step = query->fine_step, .lut_bias = query->fine_bias};
    float rests[SHX_BLOCK_ROWS];
    kernels->bound_block(block, query->fine_lut, query->code_dim, &itself, &fine, rests);
    kernels->add(rests, SHX_BLOCK_ROWS, ip);
}

bool shx_query_set(shx_query *query, const shx_encoding *encoding, const void *vector) {
    assert(query->code_dim == encoding->code_dim);
    if (!shx_encoding_point(encoding, vector, true, query->point)) return false;
    query->norm = sqrt(shx_norm2(encoding->element, vector, encoding->dim));
    shx_query_tabulate(query);
    return true;
}

void shx_query_tabulate(shx_query *query) {
    uint32_t rest = query->code_dim - query->head_dim;
    quant_extent extent = quant_measure(query->point, query->code_dim, query->head_dim);
    query->sum = (float)extent.sum;
    query->magnitude = (float)extent.magnitude;
    query->norm2 = extent.norm2;
    query->head_magnitude = (float)extent.head_magnitude;
    query->head_deviation = query->head_dim ? sqrtf((float)rest / (float)query->head_dim * extent.norm2) / 2 : 0;
    quant_query_lut(query, &extent);
    quant_query_int8(query, &extent);
    double dim = query->code_dim, int8_step = query->int8_step;
    query->sharp = false;
    query->refine_bytes = shx_refine_bytes(query->code_dim);
    query->refine_spread = 4 / (dim - 1);
    quant_query_rounding(query, query->lut_step, int8_step);
    query->refine_limit = (float)(16 * (double)query->lut_error + 7.5 * dim * (0.501 * int8_step + 127 * FLT_MIN));
}

/* False for NaN. */
static bool quant_is_below(float value, float limit) { return fabsf(value) <= limit; }

bool shx_factor_scale_usable(const shx_factor_scale *scale) {
    float add_max = scale->add_min + UINT16_MAX * scale->add_step,
          mul_max = scale->mul_min + UINT16_MAX * scale->mul_step;
    return quant_is_below(scale->add_min, 1e36f) && quant_is_below(add_max, 1e36f) &&
           quant_is_below(scale->mul_min, 1e18f) && quant_is_below(mul_max, 1e18f);
}

/* The largest magnitude of a decoded factor. */
static double quant_factor_largest(float min, float step) { return fabs((double)min) + (double)step * UINT16_MAX; }

void shx_query_bound(const shx_query *query, const shx_factor_scale *scale, float distance2, float epsilon,
                     float threshold, shx_bound *ret_bound) {
    double width = epsilon * shx_scan_deviation(query, distance2);
    /* The most that ip + shift can be: <b,q> - sum/2 is Σ ±q/2. */
    double reach = (double)query->magnitude / 2 + query->lut_error + fabs(width);
    /* Half a step for each factor. */
    double slack = 0.5 * (double)scale->add_step + 0.5 * (double)scale->mul_step * reach;
    double largest = quant_factor_largest(scale->add_min, scale->add_step) +
                     quant_factor_largest(scale->mul_min, scale->mul_step) * reach + distance2;
    /* FLT_MIN keeps bounds of denormal distances below their threshold. */
    slack += QUANT_ROUNDING * largest + (double)FLT_MIN;
    *ret_bound = (shx_bound){
        .lut_step = query->lut_step,
        .lut_bias = query->lut_bias,
        .offset = (float)(distance2 - slack),
        .shift = (float)(width - 0.5 * (double)query->sum),
        .threshold = threshold,
    };
}

void shx_query_head(const shx_query *query, float sigmas, shx_bound *bound) {
    if (query->head_dim == 0) return;
    float share = (float)query->code_dim / (float)query->head_dim;
    bound->head_dim = query->head_dim;
    bound->head_step = share * bound->lut_step;
    bound->head_bias = -share * query->head_magnitude / 2;
    bound->head_shift = bound->shift + query->sum / 2 + sigmas * query->head_deviation;
}

shx_estimate shx_query_refine(const shx_query *query, const shx_kernels *kernels, const uint8_t *refine,
                              const float factors[3], float distance2, float ip) {
    double add = factors[0], mul = factors[1], error = factors[2];
    int32_t dot = kernels->refine_dot(refine, query->low, query->high, query->refine_bytes);
    double code_ip = 16 * (double)ip + (double)query->int8_step * dot + query->refine_shift;
    if (query->sharp) {
        int32_t fine = kernels->refine_dot(refine, query->fine_low, query->fine_high, query->refine_bytes);
        code_ip += (double)query->fine_int8_step * fine;
    }
    double noise = mul * query->refine_deviation;
    return (shx_estimate){
        .distance2 = (float)(add + distance2 + mul * code_ip),
        .deviation = (float)sqrt(error * error * distance2 * query->refine_spread + noise * noise),
    };
}

float shx_query_refine_limit(const shx_query *query, const float factors[3], float distance2) {
    double add = fabs((double)factors[0]), mul = fabs((double)factors[1]);
    double span = 2 * (double)factors[2] * sqrt(distance2);
    double rounding = add + distance2 + mul * 16 * query->magnitude;
    return (float)(span + mul * query->refine_limit + QUANT_ROUNDING * rounding + (double)FLT_MIN);
}
