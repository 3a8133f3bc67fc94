/* A first look at a vector: its distance to the query in float arithmetic, one pass and a fraction of the exact one's
** cost, with a certain bound of the error. What may be among the nearest by it is compared exactly (shx_distance).
*/
#ifndef SHX_NEAR_H
#define SHX_NEAR_H

#include "quantizer.h"

/* A query as it meets vectors; the vector is borrowed. */
typedef struct shx_near {
    const shx_kernels *kernels;
    const float *query;
    shx_metric metric;
    uint32_t dim;
    double norm; /* |query| */
    float shift; /* ip: what squared distances in code space are larger by (quantizer.h) */
    float error; /* bound of the relative error of a sum */
} shx_near;

/* Prepares for a query. False when its norm is too large or too small for floats, and for other element types and
** metrics than float32 with l2, cosine and ip, whose exact kernels are quick or have no bound: then compare exactly. */
bool shx_near_set(shx_near *near, const shx_encoding *encoding, const void *query);

/* The squared distance in code space between query and vector, off by at most *ret_margin. False when floats cannot
** tell (zero, huge or tiny vectors): then compare exactly. */
bool shx_near_look(const shx_near *near, const float *vector, float *ret_distance2, float *ret_margin);

/* What was seen of a vector, the `at`-th of those that were looked at. */
typedef struct shx_near_sight {
    uint32_t at;
    float distance2, margin;
} shx_near_sight;

/* The same for `count` ≤ SHX_BLOCK_ROWS vectors in these seats of an array. Leaves out, mostly, those that are
** certainly beyond a squared distance; returns how many are left. Where floats cannot tell, the margin is infinite. */
uint32_t shx_near_look_all(const shx_near *near, const void *vectors, const uint32_t *seats, uint32_t count,
                           float threshold, shx_near_sight *ret_seen);

#endif
