#include "calibrate_bytes.h"

#include "memory.h"

#include <math.h>
#include <string.h>

#define BYTES_MOST (UINT64_C(256) << 20)
#define BYTES_SAMPLE 300 /* rows that tell means and range */
#define BYTES_RANGE 127

/* Of the mean deviation: such a unit rounds a distance of 16 dimensions by 4 %, of 128 by 1. */
#define BYTES_COARSEST 0.6

#define BYTES_ROUND 12582912.0f     /* 1.5 × 2^23 … */
#define BYTES_ROUND_BITS 0x4B400000 /* … and its bits */

typedef struct bytes_work {
    const shx_base *base;
    shx_trace_bytes *bytes;
    uint64_t rows;
    float *means; /* per dimension */
} bytes_work;

static void bytes_decode(const bytes_work *work, uint64_t number, float *ret_floats) {
    const shx_base *base = work->base;
    uint32_t s = 0;
    while (number >= base->segments[s]->row_count) number -= base->segments[s++]->row_count;
    shx_element_decode(base->encoding.element, shx_segment_vector_at(base->segments[s], number), base->encoding.dim,
                       ret_floats);
}

/* Means, and a unit that the sample's range asks for; false when it is too coarse. */
static bool bytes_measure(const bytes_work *work, float *vector) {
    uint64_t count = work->rows < BYTES_SAMPLE ? work->rows : BYTES_SAMPLE;
    uint32_t dim = work->bytes->dim;
    double total = 0, farthest = 0;
    for (uint64_t i = 0; i < count; i++) {
        bytes_decode(work, i * work->rows / count, vector);
        for (uint32_t j = 0; j < dim; j++) work->means[j] += vector[j] / (float)count;
    }
    for (uint64_t i = 0; i < count; i++) {
        bytes_decode(work, i * work->rows / count, vector);
        for (uint32_t j = 0; j < dim; j++) {
            double deviation = fabs((double)vector[j] - work->means[j]);
            total += deviation;
            farthest = fmax(farthest, deviation);
        }
    }
    work->bytes->unit = farthest / BYTES_RANGE;
    return farthest > 0 && isfinite(total) && work->bytes->unit <= BYTES_COARSEST * total / ((double)count * dim);
}

/* Beside a number as large as BYTES_ROUND, a float keeps whole numbers only, and its bits count them; those of positive
** floats stand in the order of the floats, so that what is out of range can be cut off before it is a number again.
** Written so that compilers do many at once. */
static void bytes_round(const float *restrict vector, const float *restrict means, float per_unit, uint32_t dim,
                        int8_t *restrict ret_bytes) {
    for (uint32_t j = 0; j < dim; j++) {
        float value = (vector[j] - means[j]) * per_unit + BYTES_ROUND;
        int32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = bits < BYTES_ROUND_BITS - BYTES_RANGE ? BYTES_ROUND_BITS - BYTES_RANGE : bits;
        bits = bits > BYTES_ROUND_BITS + BYTES_RANGE ? BYTES_ROUND_BITS + BYTES_RANGE : bits;
        ret_bytes[j] = (int8_t)(bits - BYTES_ROUND_BITS);
    }
}

static shx_status bytes_fill(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const bytes_work *work = context;
    uint32_t dim = work->bytes->dim;
    float *vector = shx_alloc_zero(dim, sizeof *vector);
    SHX_CHECK(vector, SHX_NOMEM);
    float per_unit = (float)(1 / work->bytes->unit);
    for (uint64_t i = first; i < end; i++) {
        bytes_decode(work, i, vector);
        int8_t *bytes = work->bytes->vectors + i * work->bytes->stride;
        bytes_round(vector, work->means, per_unit, dim, bytes);
        memset(bytes + dim, 0, work->bytes->stride - dim);
    }
    shx_free(vector);
    return SHX_OK;
}

static shx_status bytes_make(bytes_work *work, shx_pool *pool, float *vector) {
    const shx_base *base = work->base;
    shx_trace_bytes *bytes = work->bytes;
    for (uint32_t s = 0; s < base->segment_count; s++) {
        bytes->first_row[s] = work->rows;
        work->rows += base->segments[s]->row_count;
    }
    if (work->rows == 0 || work->rows > BYTES_MOST / bytes->stride) return SHX_OK;
    if (!bytes_measure(work, vector)) return SHX_OK;
    bytes->vectors = shx_alloc(work->rows * bytes->stride);
    SHX_CHECK(bytes->vectors, SHX_NOMEM);
    return shx_pool_run(pool, work->rows, 4096, bytes_fill, work);
}

shx_status shx_trace_bytes_make(const shx_base *base, shx_pool *pool, shx_trace_bytes *ret_bytes) {
    shx_trace_bytes bytes = {.dim = base->encoding.dim, .stride = (base->encoding.dim + 31) / 32 * 32};
    bytes_work work = {.base = base, .bytes = &bytes};
    *ret_bytes = bytes;
    if (base->encoding.metric != SHX_L1) return SHX_OK;
    float *vector = shx_alloc_zero(bytes.dim, sizeof *vector);
    work.means = shx_alloc_zero(bytes.dim, sizeof *work.means);
    bytes.first_row = shx_alloc_zero((uint64_t)base->segment_count + 1, sizeof *bytes.first_row);
    shx_status status = vector && work.means && bytes.first_row ? bytes_make(&work, pool, vector) : SHX_NOMEM;
    shx_free(vector);
    shx_free(work.means);
    if (status == SHX_OK && bytes.vectors) {
        *ret_bytes = bytes;
    } else {
        shx_trace_bytes_free(&bytes);
    }
    return status;
}

void shx_trace_bytes_free(shx_trace_bytes *bytes) {
    shx_free(bytes->vectors);
    shx_free(bytes->first_row);
    bytes->vectors = NULL;
    bytes->first_row = NULL;
}
