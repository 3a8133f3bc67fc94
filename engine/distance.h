/* Distances that users see, exact to the rounding of double arithmetic: computed from the vectors as they are stored.
**
** float32, float16, bfloat16: the values are converted to float exactly and summed in double; int8: in integers, so
** that only the last root or quotient rounds; bit: counted. Half-precision vectors are converted in pieces that stay in
** the nearest cache and then go through the kernels of float32: converting is the smaller part of the work.
*/
#ifndef SHX_DISTANCE_H
#define SHX_DISTANCE_H

#include "element.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum shx_metric {
    SHX_L2 = 1,
    SHX_COSINE = 2,
    SHX_IP = 3,
    SHX_L1 = 4,
    SHX_HAMMING = 5, /* of bits, and the only metric of bits */
} shx_metric;

/* What vectors are, and how far they are from each other. */
typedef struct shx_space {
    shx_metric metric;
    shx_element element;
    uint32_t dim;
} shx_space;

/* "l2", "cosine", "ip", "l1" or "hamming". */
const char *shx_metric_name(shx_metric metric);

/* Hamming and bits belong together; every other metric goes with every other type. */
bool shx_metric_fits(shx_metric metric, shx_element element);

/* The distance of two vectors: l2 with root, cosine 1 - cos (1 for a zero vector; half the squared difference of the
** normalised vectors, because 1 - dot loses digits), ip -dot, l1 Σ|a-b|, hamming the number of bits that differ. The
** same on every machine and for every caller; finite for finite vectors. */
double shx_distance(shx_metric metric, shx_element element, const void *a, const void *b, uint32_t dim);

/* The same where shx_scale of `a` is known already: for one vector and many others. */
double shx_distance_from(shx_metric metric, shx_element element, const void *a, double scale, const void *b,
                         uint32_t dim);

/* 1 / |vector|, which the cosine distance takes it by; 0 for a zero vector. */
double shx_scale(shx_element element, const void *vector, uint32_t dim);

/* Σ of the squares of the values; a bit counts as ±1/2. */
double shx_norm2(shx_element element, const void *vector, uint32_t dim);

#endif
