/* Search: the k nearest postings of a view, with the caller's uncommitted changes laid over it.
*/
#ifndef SHX_SEARCH_H
#define SHX_SEARCH_H

#include "index.h"
#include "pending.h"
#include "predicate.h"
#include "progress.h"
#include "topk.h"

/* Decides whether a posting may be an answer: 1 yes, 0 no, negative: stop with SHX_ABORT. Called only for postings
** that are near enough to matter, and never twice for one posting within one search. */
typedef int (*shx_accept)(void *context, int64_t rowid);

typedef struct shx_search_params {
    const void *query; /* a vector of the table's element type, all finite */
    uint64_t k;
    double recall; /* target, 0 < recall ≤ 1; 0 = the default of 0.95 */
    bool exact;    /* the true neighbours: everything is compared */
    bool within;   /* only rows at a distance of at most `radius` */
    double radius;
    const shx_predicate *predicate; /* which postings are admitted; NULL = all */
    shx_accept accept;              /* NULL = all */
    void *accept_context;
    shx_interrupted interrupted; /* NULL = never */
    void *interrupted_context;
    const shx_pending *pending; /* own uncommitted changes, or NULL */
    shx_index *index;           /* lends its threads to long searches; NULL: one thread. The answers are the same. */
} shx_search_params;

/* Memory that searches of one cursor reuse. */
typedef struct shx_search_scratch shx_search_scratch;

/* Empty at first; it grows with what searches need, and is used by one search at a time. */
shx_status shx_search_scratch_create(shx_search_scratch **ret_scratch);
void shx_search_scratch_destroy(shx_search_scratch *scratch);

/* Fills ret_hits (reset by the search; owned by the caller) with the k nearest, sorted by (distance, rowid).
** Distances are those of shx_distance. SHX_CORRUPT: a file is damaged; answer from the database and call
** shx_index_distrust. */
shx_status shx_search(shx_view *view, const shx_search_params *params, shx_search_scratch *scratch, shx_topk *ret_hits);

/* How much work the last search with this scratch did. */
typedef struct shx_search_work {
    uint64_t shards, rows, refined, verified; /* probed, scanned, refined, compared exactly */
    bool exhaustive;
    bool capped; /* ended for having passed too many rows: recall may fall short */
} shx_search_work;

shx_search_work shx_search_last_work(const shx_search_scratch *scratch);

#endif
