/* A ranking: centroids in the order of their distance to a query, as far as somebody asks.
**
** Entries may have handicaps: what is said here of distances holds for distances with handicaps.
**
** Scan codes give a lower bound for each centroid (one standard deviation below its estimate). Those whose bound is
** within a cut are measured exactly; those of them that are within the cut are handed out in order, since what is not
** measured is expected to be farther. Then the cut is raised. Who asks for a small part pays one pass over the bounds,
** and exact distances and sorting for little more than that part.
**
** Entries may come in portions (the shards of one parent after the other): those that came since the last cut are
** looked at from the bottom when the next one is made.
*/
#ifndef SHX_RANKING_H
#define SHX_RANKING_H

#include "kernels.h"
#include "quantizer.h"

/* What it cost, in units that do not depend on the machine. */
typedef struct shx_ranking_work {
    uint64_t codes;    /* bounds computed */
    uint64_t measured; /* exact distances */
    uint64_t bundles;  /* parents opened, nodes of the graph expanded */
} shx_ranking_work;

/* What is ranked, query->code_dim dimensions each: rows of floats, or narrow ones with their steps (shards.h). */
typedef struct shx_ranked {
    const float *wide;
    const int8_t *narrow; /* when wide is NULL */
    const float *steps;
    const float *handicaps; /* by name, added to squared distances of narrow ones; NULL: none */
} shx_ranked;

/* Reused from query to query. Zero-initialise; free with shx_ranking_free. */
typedef struct shx_ranking {
    const shx_query *query;
    const shx_kernels *kernels;
    shx_ranked ranked;
    float *bounds;          /* per entry; NaN: left out */
    uint32_t *names;        /* per entry: its row of centroids, when `named`; else the entry's own position */
    uint64_t *waiting;      /* keys (heap.h) of what is measured and beyond the cut, in any order */
    uint64_t *ready;        /* of what is measured and within it, the nearest first */
    uint32_t *picked;       /* the entries that a cut lets in */
    uint64_t bound_capacity, name_capacity, waiting_capacity, ready_capacity, picked_capacity;
    uint64_t count, fresh; /* entries; those from `fresh` on came since the last cut */
    uint64_t waiting_count, ready_count;
    uint64_t given;  /* of the ready ones */
    uint64_t left;   /* entries that are not measured */
    uint64_t wanted; /* how many the next cut aims at: a later one at as many as are measured by then */
    float cut;       /* everything with a bound up to here is measured */
    bool named;
    shx_ranking_work work;
} shx_ranking;

void shx_ranking_free(shx_ranking *ranking);

/* Starts without entries, with room for `most`. The query and the centroids must outlive the ranking. */
shx_status shx_ranking_start(shx_ranking *ranking, const shx_query *query, shx_ranked ranked, uint64_t most,
                             uint64_t wanted);

/* Appends `count` centroids from their blocks: members[i] names the i-th. With members NULL, i does, and there is one
** such call in a ranking and none of the other kind. `distance2` is that of the query and the centre of the codes. */
void shx_ranking_scan(shx_ranking *ranking, const uint8_t *blocks, const shx_factor_scale *scale, float distance2,
                      const uint32_t *members, uint64_t count);

/* Leaves an entry out. */
void shx_ranking_drop(shx_ranking *ranking, uint64_t entry);

/* The exact distance of a centroid, with its handicap, and fetching it ahead. */
float shx_ranking_measure(shx_ranking *ranking, uint32_t name);
void shx_ranking_prefetch(const shx_ranking *ranking, uint32_t name);

static inline float shx_ranking_handicap(const shx_ranking *ranking, uint32_t name) {
    return ranking->ranked.handicaps ? ranking->ranked.handicaps[name] : 0;
}

/* The distance without the handicap, up to rounding. */
static inline float shx_ranking_distance2(const shx_ranking *ranking, float measured, uint32_t name) {
    float distance2 = measured - shx_ranking_handicap(ranking, name);
    return distance2 > 0 ? distance2 : 0;
}

/* Raises the cut, but not above `limit`, and measures what it lets in. Call when all that was ready is taken. */
void shx_ranking_raise(shx_ranking *ranking, float limit);

/* Makes those that wait within the cut ready. Call when all that was ready is taken. */
void shx_ranking_make_ready(shx_ranking *ranking);

/* The nearest measured centroid within the cut; false when the cut must be raised first (or nothing is left). */
bool shx_ranking_take(shx_ranking *ranking, float *ret_measured, uint32_t *ret_name);

#endif
