#include "distance.h"

#include "kernels.h"

#include <assert.h>
#include <math.h>

#define DISTANCE_PIECE 1024 /* elements of a half-precision vector that are converted at a time */

const char *shx_metric_name(shx_metric metric) {
    static const char *const names[] = {"", "l2", "cosine", "ip", "l1", "hamming"};
    assert(metric >= SHX_L2 && metric <= SHX_HAMMING);
    return names[metric];
}

bool shx_metric_fits(shx_metric metric, shx_element element) { return (metric == SHX_HAMMING) == (element == SHX_BIT); }

/* ---- floating point ---- */

/* The sum that a metric is made of. */
typedef enum distance_sum { DISTANCE_L2, DISTANCE_DOT, DISTANCE_L1, DISTANCE_SCALED } distance_sum;

typedef struct distance_pair {
    const void *a, *b;
    double scale_a, scale_b; /* of DISTANCE_SCALED */
} distance_pair;

static double distance_floats(distance_sum sum, const float *a, const float *b, const distance_pair *pair,
                              size_t count) {
    const shx_kernels *kernels = shx_kernels_get();
    switch (sum) {
    case DISTANCE_L2: return kernels->l2_squared(a, b, count);
    case DISTANCE_DOT: return kernels->dot(a, b, count);
    case DISTANCE_L1: return kernels->l1(a, b, count);
    case DISTANCE_SCALED: return kernels->l2_squared_scaled(a, pair->scale_a, b, pair->scale_b, count);
    }
    return NAN;
}

static double distance_halves(distance_sum sum, shx_element element, const distance_pair *pair, uint32_t dim) {
    float a[DISTANCE_PIECE], b[DISTANCE_PIECE];
    double total = 0;
    for (uint32_t at = 0; at < dim; at += DISTANCE_PIECE) {
        uint32_t count = dim - at < DISTANCE_PIECE ? dim - at : DISTANCE_PIECE;
        shx_element_decode(element, (const uint16_t *)pair->a + at, count, a);
        shx_element_decode(element, (const uint16_t *)pair->b + at, count, b);
        total += distance_floats(sum, a, b, pair, count);
    }
    return total;
}

static double distance_total(distance_sum sum, shx_element element, const distance_pair *pair, uint32_t dim) {
    if (element == SHX_FLOAT32) return distance_floats(sum, pair->a, pair->b, pair, dim);
    return distance_halves(sum, element, pair, dim);
}

static double distance_cosine(shx_element element, distance_pair pair, uint32_t dim) {
    pair.scale_b = shx_scale(element, pair.b, dim);
    if (pair.scale_a == 0 || pair.scale_b == 0) return 1;
    return distance_total(DISTANCE_SCALED, element, &pair, dim) / 2;
}

static double distance_of_floats(shx_metric metric, shx_element element, distance_pair pair, uint32_t dim) {
    switch (metric) {
    case SHX_L2: return sqrt(distance_total(DISTANCE_L2, element, &pair, dim));
    case SHX_COSINE: return distance_cosine(element, pair, dim);
    case SHX_IP: return 0 - distance_total(DISTANCE_DOT, element, &pair, dim); /* and no -0.0 */
    case SHX_L1: return distance_total(DISTANCE_L1, element, &pair, dim);
    case SHX_HAMMING: break;
    }
    assert(!"a metric of numbers");
    return NAN;
}

/* ---- integers ---- */

/* 1 - cos from three integers below 2^31, whose products are exact: when cos is near 1, 1 - cos = (1 - cos²) / (1 +
** cos) loses no digits. */
static double distance_int8_cosine(const int8_t *a, const int8_t *b, uint32_t dim) {
    const shx_kernels *kernels = shx_kernels_get();
    int64_t norm2_a = kernels->int8_dot(a, a, dim), norm2_b = kernels->int8_dot(b, b, dim);
    if (norm2_a == 0 || norm2_b == 0) return 1;
    int64_t dot = kernels->int8_dot(a, b, dim), norms2 = norm2_a * norm2_b;
    double norms = sqrt((double)norms2);
    if (dot <= 0) return 1 - (double)dot / norms;
    return (double)(norms2 - dot * dot) / (norms * (norms + (double)dot));
}

static double distance_of_int8(shx_metric metric, const int8_t *a, const int8_t *b, uint32_t dim) {
    const shx_kernels *kernels = shx_kernels_get();
    switch (metric) {
    case SHX_L2: return sqrt((double)kernels->int8_l2_squared(a, b, dim));
    case SHX_COSINE: return distance_int8_cosine(a, b, dim);
    case SHX_IP: return (double)-kernels->int8_dot(a, b, dim);
    case SHX_L1: return (double)kernels->int8_l1(a, b, dim);
    case SHX_HAMMING: break;
    }
    assert(!"a metric of numbers");
    return NAN;
}

double shx_distance(shx_metric metric, shx_element element, const void *a, const void *b, uint32_t dim) {
    bool normed = metric == SHX_COSINE && element != SHX_INT8;
    return shx_distance_from(metric, element, a, normed ? shx_scale(element, a, dim) : 0, b, dim);
}

double shx_distance_from(shx_metric metric, shx_element element, const void *a, double scale, const void *b,
                         uint32_t dim) {
    assert(shx_metric_fits(metric, element));
    if (element == SHX_INT8) return distance_of_int8(metric, a, b, dim);
    if (element == SHX_BIT) return (double)shx_kernels_get()->hamming(a, b, dim / 8);
    return distance_of_floats(metric, element, (distance_pair){.a = a, .b = b, .scale_a = scale}, dim);
}

double shx_scale(shx_element element, const void *vector, uint32_t dim) {
    double norm2 = shx_norm2(element, vector, dim);
    return norm2 == 0 ? 0 : 1 / sqrt(norm2);
}

double shx_norm2(shx_element element, const void *vector, uint32_t dim) {
    if (element == SHX_INT8) return (double)shx_kernels_get()->int8_dot(vector, vector, dim);
    if (element == SHX_BIT) return dim * 0.25;
    return distance_total(DISTANCE_DOT, element, &(distance_pair){.a = vector, .b = vector}, dim);
}
