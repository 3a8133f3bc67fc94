/* The k best so far, ordered by (distance, rowid), so that ties break by rowid. A bounded max-heap for a small k; a
** heap of many costs a cache miss a level, so for a large k up to 2k hits are collected, then the best k selected.
*/
#ifndef SHX_TOPK_H
#define SHX_TOPK_H

#include "progress.h"
#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* One answer of a search. */
typedef struct shx_hit {
    double distance;
    int64_t rowid;
} shx_hit;

#define SHX_TOPK_HEAP 128 /* the largest k of a heap */

typedef struct shx_topk {
    shx_hit *hits; /* `count` of them: a heap, the worst on top; of a large k as many as 2k, in any order */
    uint64_t count, k, capacity;
    shx_hit worst; /* large k: nothing that does not come before it can be among the best */
} shx_topk;

/* Empties the heap and sets its size; memory is kept between uses and grows with what is really inserted. */
void shx_topk_reset(shx_topk *topk, uint64_t k);
void shx_topk_free(shx_topk *topk);

/* A distance that a new hit must not be above: of the worst when full, else +infinity; k = 0: -infinity. For a large k
** it may lag behind. */
double shx_topk_worst(const shx_topk *topk);

/* Inserts unless k better ones are there. A NaN distance is never inserted. */
shx_status shx_topk_insert(shx_topk *topk, double distance, int64_t rowid);

/* Leaves the best `count` ≤ k hits, in order; reset before the next use. Many hits take time: `stop` (NULL: never) is
** asked meanwhile, and SHX_INTERRUPT leaves them in any order. */
shx_status shx_topk_sort(shx_topk *topk, const shx_stop *stop);

/* The order itself: true when a comes before b. */
bool shx_hit_before(const shx_hit *a, const shx_hit *b);

#endif
