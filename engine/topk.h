/* The k best so far: a bounded max-heap ordered by (distance, rowid), so that ties break by rowid. */
#ifndef SHX_TOPK_H
#define SHX_TOPK_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* One answer of a search. */
typedef struct shx_hit {
    double distance;
    int64_t rowid;
} shx_hit;

typedef struct shx_topk {
    shx_hit *hits; /* heap of `count` ≤ `k`, the worst on top */
    uint64_t count, k, capacity;
} shx_topk;

/* Empties the heap and sets its size; memory is kept between uses and grows with what is really inserted. */
void shx_topk_reset(shx_topk *topk, uint64_t k);
void shx_topk_free(shx_topk *topk);

/* The distance that a new hit must beat: of the worst when full, else +infinity. k = 0: -infinity. */
double shx_topk_worst(const shx_topk *topk);

/* Inserts unless k better ones are there. A NaN distance is never inserted. */
shx_status shx_topk_insert(shx_topk *topk, double distance, int64_t rowid);

/* Orders hits[0 … count) by (distance, rowid); the heap must be reset before it is used again. */
void shx_topk_sort(shx_topk *topk);

/* The order itself: true when a comes before b. */
bool shx_hit_before(const shx_hit *a, const shx_hit *b);

#endif
