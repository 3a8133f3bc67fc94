/* The k smallest of a stream of floats, for the largest of them: a threshold that k things are within.
**
** A max-heap for a small k; for a large one up to 2k are collected, then the smallest k selected (as topk.h).
*/
#ifndef SHX_SMALLEST_H
#define SHX_SMALLEST_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise; free with shx_smallest_free. */
typedef struct shx_smallest {
    float *values;
    uint64_t count, k, capacity;
    bool heap;
    float threshold; /* +infinity until there are k; for a large k it may lag behind */
} shx_smallest;

/* Empties it and sets k ≥ 1; memory is kept and grows with what is really added. */
void shx_smallest_reset(shx_smallest *smallest, uint64_t k);

/* For who goes on nearly as fast with a threshold that lags behind: fewer k have a heap. Call while it is empty. */
void shx_smallest_relax(shx_smallest *smallest);
void shx_smallest_free(shx_smallest *smallest);

/* Takes in a value; infinity and NaN count for nothing. */
shx_status shx_smallest_add(shx_smallest *smallest, float value);

/* Brings the threshold up to date. */
void shx_smallest_settle(shx_smallest *smallest);

#endif
