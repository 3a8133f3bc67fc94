/* Queries that lie away from all that their predicate admits: the rows around them are not admitted, and the neighbours
** that they ask for are elsewhere, at distances that no row has to its neighbours.
**
** Calibration has seen rows only, whose neighbours are in the few shards around them. Seen from afar all shards of a
** region are about equally far, and neighbours lie in many of them; how many depends on where the region lies, which
** rows of a shard are admitted and how many are asked for. No rank and no ratio of distances says that. But from afar
** the distances of postings follow a simple law (shx_share_within), whose constant is measured by calibration. So a
** sample of the admitted rows tells how many of the k nearest are to be expected where: a row counts as much as it is
** likely to be within the k-th best distance so far. The search stops when the shards that it has probed make up the
** share that is asked for.
*/
#include "search_run.h"

#include "order.h"

#include <math.h>

#define AWAY_EPSILON 2.6f /* bounds as wide as lose next to nothing: no calibration makes up for it */
#define AWAY_SPREAD 0.63  /* times the quartiles' ratio, in logarithms, where one neighbour in e is missed */

static inline bool away_before(const shx_glimpse *a, const shx_glimpse *b) { return a->order2 < b->order2; }

SHX_DEFINE_ORDER(away_glimpses, shx_glimpse, away_before)

/* False for postings without a shard. */
static bool away_see(const shx_search_run *run, uint64_t shard_id, shx_glimpse *ret_glimpse) {
    const shx_base *base = run->base;
    const shx_shards *shards = base->shards;
    const shx_query *query = run->scratch->query;
    uint32_t shard;
    if (!shx_shards_find(shards, shard_id, &shard)) return false;
    ret_glimpse->distance2 = run->kernels->centroid_l2_squared(
        query->point, shards->centroids + (size_t)shard * query->code_dim, shards->steps[shard], query->code_dim);
    ret_glimpse->order2 = ret_glimpse->distance2 + base->handicaps[shard];
    ret_glimpse->scatter = shx_base_scatter(base, shard);
    return true;
}

/* Rows of a run mostly stand together in the sample. */
static void away_see_rows(const shx_search_run *run, const shx_segment *segment, const uint32_t *rows, uint64_t count) {
    shx_search_scratch *scratch = run->scratch;
    shx_glimpse glimpse = {0};
    uint32_t seen = UINT32_MAX;
    bool has_shard = false;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t number = shx_segment_run_of(segment, rows[i]);
        if (number != seen) has_shard = away_see(run, segment->runs[number].shard, &glimpse);
        seen = number;
        if (has_shard) scratch->glimpses[scratch->glimpse_count++] = glimpse;
    }
}

/* Nobody knows this query's dimension, nor that of each shard: half of the rows are taken to have a low one and half a
** high one, as far apart as calibration's quartiles at a recall of 0.92, and the farther the fewer neighbours may be
** missed, since then the rarer queries decide. (One distance for all recalls: on text, five regions in a hundred, 0.86,
** 0.91 and 0.97 at 0.90, 0.95 and 0.99.) */
static void away_set_dimensions(shx_search_run *run) {
    const double *quartiles = run->base->calibration.dimensions;
    double middle = sqrt(quartiles[0] * quartiles[1]);
    double ratio = pow(quartiles[1] / quartiles[0], AWAY_SPREAD * sqrt(-log(1 - run->plan.recall)) / 2);
    run->away_dimensions[0] = middle / ratio;
    run->away_dimensions[1] = middle * ratio;
}

void shx_search_go_away(shx_search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    uint32_t rows[SHX_GLIMPSES];
    double total = 0;
    run->away = true;
    if (run->plan.epsilon < AWAY_EPSILON) run->plan.epsilon = AWAY_EPSILON;
    away_set_dimensions(run);
    scratch->glimpse_count = 0;
    for (uint32_t s = 0; s < run->base->segment_count; s++) total += (double)run->matches[s].rows;
    for (uint32_t s = 0; s < run->base->segment_count; s++) {
        uint64_t most = (uint64_t)(SHX_GLIMPSES * ((double)run->matches[s].rows / total));
        away_see_rows(run, run->base->segments[s], rows, shx_match_sample(&run->matches[s], most, rows));
    }
    away_glimpses_sort(scratch->glimpses, scratch->glimpse_count);
}

/* Where the share that is asked for is reached, by the threshold of now. */
static float away_limit2(const shx_search_run *run) {
    const shx_search_scratch *scratch = run->scratch;
    uint64_t count = scratch->glimpse_count;
    double sums[SHX_GLIMPSES], sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        const shx_glimpse *glimpse = &scratch->glimpses[i];
        for (int d = 0; d < 2; d++) {
            sum += shx_share_within(run->away_dimensions[d], glimpse->distance2, glimpse->scatter, run->threshold);
        }
        sums[i] = sum;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (sums[i] >= run->plan.recall * sum) return scratch->glimpses[i].order2;
    }
    return INFINITY;
}

/* The threshold falls as the search goes on, and the limit with it: it is looked at again where it is reached, and
** after every fourth more shards. */
bool shx_search_away_may_stop(shx_search_run *run, float order2) {
    uint64_t shards = run->work.shards;
    if (order2 <= run->away_limit2 && shards < run->away_until) return false;
    run->away_limit2 = away_limit2(run);
    run->away_until = shards + shards / 4 + 1;
    return order2 > run->away_limit2;
}
