#include "near.h"

#include "limits.h"

#include <assert.h>
#include <math.h>

/* Within these bounds of squared norms nothing overflows, and what underflows is less than rounding. */
#define NEAR_NORM2_MIN 1e-24f
#define NEAR_NORM2_MAX 1e30f
#define NEAR_UNIT 0x1p-24f /* rounding of one operation */
#define NEAR_UNDERFLOW 1e-30f
#define NEAR_CUT_SLACK 1e-5 /* more than the rounding of a comparison of squares */

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

static float near_cosine_margin(const shx_near *near) { return 4 * near->error + 16 * NEAR_UNIT; }

/* The dot product is off by at most `error` × |query| × |vector|; each later operation by a unit of its result. */
static bool near_finish(const shx_near *near, float dot, float norm2, float *ret_distance2, float *ret_margin) {
    if (!near_fits(norm2)) return false;
    float scale = (float)near->norm * sqrtf(norm2);
    if (near->metric == SHX_COSINE) {
        *ret_distance2 = 2 - 2 * (dot / scale);
        *ret_margin = near_cosine_margin(near);
    } else {
        *ret_distance2 = near->shift - 2 * dot;
        *ret_margin = 4 * near->error * scale + 4 * NEAR_UNIT * (near->shift + 2 * scale);
    }
    return true;
}

bool shx_near_look(const shx_near *near, const float *vector, float *ret_distance2, float *ret_margin) {
    if (near->metric == SHX_L2) return near_look_l2(near, vector, ret_distance2, ret_margin);
    float norm2, dot = near->kernels->near_dot(near->query, vector, near->dim, &norm2);
    return near_finish(near, dot, norm2, ret_distance2, ret_margin);
}

/* cosine: a vector whose dot product is not above 0, or its square below this times |vector|², is beyond the threshold:
** that takes neither root nor division. 0 where it cannot be said. */
static float near_cut(const shx_near *near, float threshold) {
    double cosine = 1 - ((double)threshold + (double)near_cosine_margin(near)) / 2, length = cosine * near->norm;
    if (near->metric != SHX_COSINE || !(cosine > 0)) return 0;
    return (float)(length * length * (1 - NEAR_CUT_SLACK));
}

/* Marks those that are not beyond the cut, or of which floats cannot tell. A loop that compilers make wide. */
static void near_mark(const float *dots, const float *norms2, uint32_t count, float cut, uint32_t *ret_marks) {
    for (uint32_t i = 0; i < count; i++) {
        float twice = dots[i] + fabsf(dots[i]); /* or 0, of a negative one */
        uint32_t beyond = twice * twice < 4 * cut * norms2[i];
        uint32_t told = norms2[i] >= NEAR_NORM2_MIN, small = norms2[i] <= NEAR_NORM2_MAX;
        ret_marks[i] = 1 - (beyond & told & small);
    }
}

static uint32_t near_look_dots(const shx_near *near, const float *vectors, const uint32_t *seats, uint32_t count,
                               float threshold, shx_near_sight *ret_seen) {
    float dots[SHX_BLOCK_ROWS], norms2[SHX_BLOCK_ROWS];
    uint32_t marks[SHX_BLOCK_ROWS], seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        dots[i] = near->kernels->near_dot(near->query, vectors + (uint64_t)seats[i] * near->dim, near->dim, &norms2[i]);
    }
    near_mark(dots, norms2, count, near_cut(near, threshold), marks);
    for (uint32_t i = 0; i < count; i++) {
        if (!marks[i]) continue;
        shx_near_sight *sight = &ret_seen[seen];
        *sight = (shx_near_sight){.at = i, .margin = INFINITY};
        (void)near_finish(near, dots[i], norms2[i], &sight->distance2, &sight->margin);
        seen += !(sight->distance2 - sight->margin > threshold);
    }
    return seen;
}

uint32_t shx_near_look_all(const shx_near *near, const void *vectors, const uint32_t *seats, uint32_t count,
                           float threshold, shx_near_sight *ret_seen) {
    const float *first = vectors;
    uint32_t seen = 0;
    assert(count <= SHX_BLOCK_ROWS);
    if (near->metric != SHX_L2) return near_look_dots(near, first, seats, count, threshold, ret_seen);
    for (uint32_t i = 0; i < count; i++) {
        shx_near_sight *sight = &ret_seen[seen];
        *sight = (shx_near_sight){.at = i, .margin = INFINITY};
        (void)near_look_l2(near, first + (uint64_t)seats[i] * near->dim, &sight->distance2, &sight->margin);
        seen += !(sight->distance2 - sight->margin > threshold);
    }
    return seen;
}
