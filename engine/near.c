#include "near.h"

#include <math.h>

/* Within these bounds of squared norms nothing overflows, and what underflows is less than rounding. */
#define NEAR_NORM2_MIN 1e-24f
#define NEAR_NORM2_MAX 1e30f
#define NEAR_UNIT 0x1p-24f /* rounding of one operation */
#define NEAR_UNDERFLOW 1e-30f

static bool near_fits(float norm2) { return norm2 >= NEAR_NORM2_MIN && norm2 <= NEAR_NORM2_MAX; }

bool shx_near_set(shx_near *near, const shx_encoding *encoding, const void *query) {
    if (encoding->element != SHX_FLOAT32 || !shx_encoding_coded(encoding)) return false;
    const shx_kernels *kernels = shx_kernels_get();
    double norm2 = kernels->dot(query, query, encoding->dim), bound = encoding->ip_bound;
    double shift = encoding->metric == SHX_IP ? norm2 + bound * bound : 0;
    if (!near_fits((float)norm2) || !(shift <= NEAR_NORM2_MAX)) return false;
    *near = (shx_near){.kernels = kernels,
                       .query = query,
                       .metric = encoding->metric,
                       .dim = encoding->dim,
                       .norm = sqrt(norm2),
                       .shift = (float)shift,
                       .error = ((float)encoding->dim / 16 + 8) * NEAR_UNIT};
    return true;
}

/* l2: the terms of the sum are squares, so its relative error is bounded; twice the bound covers the threshold's. */
static bool near_look_l2(const shx_near *near, const float *vector, float *ret_distance2, float *ret_margin) {
    float distance2 = near->kernels->near_l2(near->query, vector, near->dim);
    if (!(distance2 <= NEAR_NORM2_MAX)) return false;
    *ret_distance2 = distance2;
    *ret_margin = 2 * near->error * distance2 + NEAR_UNDERFLOW;
    return true;
}

/* The dot product is off by at most `error` × |query| × |vector|; each later operation by a unit of its result. */
bool shx_near_look(const shx_near *near, const float *vector, float *ret_distance2, float *ret_margin) {
    if (near->metric == SHX_L2) return near_look_l2(near, vector, ret_distance2, ret_margin);
    float norm2, dot = near->kernels->near_dot(near->query, vector, near->dim, &norm2);
    if (!near_fits(norm2)) return false;
    float scale = (float)near->norm * sqrtf(norm2);
    if (near->metric == SHX_COSINE) {
        *ret_distance2 = 2 - 2 * (dot / scale);
        *ret_margin = 4 * near->error + 16 * NEAR_UNIT;
    } else {
        *ret_distance2 = near->shift - 2 * dot;
        *ret_margin = 4 * near->error * scale + 4 * NEAR_UNIT * (near->shift + 2 * scale);
    }
    return true;
}
