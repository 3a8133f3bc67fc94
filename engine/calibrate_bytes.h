/* The vectors of an l1 table as bytes, for the time of a calibration: walks (calibrate_trace.h) compare each vector
** with a hundred queries and more, and the l1 distance of bytes takes a fifth of the time. Each dimension about its
** mean, all with one unit; what rounding does to a distance is far below the differences that a calibration looks at.
** So is what a damaged vector does: vectors are not verified for it, but as ever before they become an answer.
*/
#ifndef SHX_CALIBRATE_BYTES_H
#define SHX_CALIBRATE_BYTES_H

#include "base.h"
#include "pool.h"

typedef struct shx_trace_bytes {
    int8_t *vectors;     /* stride bytes a row, segment after segment; NULL: there are none */
    uint64_t *first_row; /* per segment */
    double unit;         /* l1 distance of vectors = unit × that of the bytes, but for rounding */
    uint32_t dim, stride; /* the latter up to a multiple of 32; bytes between are 0 */
} shx_trace_bytes;

/* Leaves ret_bytes empty (vectors NULL) when the metric is another one, when the table would take more than 256 MiB,
** or when single values are so large that all others would be rounded away. Owned; free with shx_trace_bytes_free. */
shx_status shx_trace_bytes_make(const shx_base *base, shx_pool *pool, shx_trace_bytes *ret_bytes);

void shx_trace_bytes_free(shx_trace_bytes *bytes);

static inline const int8_t *shx_trace_bytes_at(const shx_trace_bytes *bytes, uint32_t segment, uint64_t row) {
    return bytes->vectors + (bytes->first_row[segment] + row) * bytes->stride;
}

#endif
