#include "search_run.h"

#include "memory.h"
#include "order.h"
#include "planted.h"
#include "prefetch.h"

#include <math.h>
#include <string.h>

#define GATHER_POLL_ROWS 4096 /* between two questions whether to stop, of up to … */
#define GATHER_POLL_DIM 1024  /* … so many dimensions; of more the fewer */
#define GATHER_FIRST 8 /* survivors, and k, that make a first threshold */
#define GATHER_PREFETCH_BYTES 4096
#define GATHER_FLOAT_ERROR 1e-5f

/* ---- what is known exactly ---- */

shx_status shx_search_poll(shx_search_run *run, uint64_t rows) {
    run->since_poll += rows * (1 + run->base->encoding.dim / GATHER_POLL_DIM);
    if (run->since_poll < GATHER_POLL_ROWS || !run->asks) return SHX_OK;
    run->since_poll = 0;
    const shx_search_params *params = run->params;
    bool stop = params->interrupted && params->interrupted(params->interrupted_context) && !SHX_PLANTED(41);
    return stop ? SHX_INTERRUPT : SHX_OK;
}

/* Asks the filter; a committed posting that the own transaction replaced or deleted is none. */
static shx_status gather_accept(shx_search_run *run, int64_t rowid, bool committed, bool *ret_accepted) {
    const shx_search_params *params = run->params;
    *ret_accepted = false;
    if (committed && params->pending && shx_pending_hides(params->pending, rowid) && !SHX_PLANTED(38)) return SHX_OK;
    if (!params->accept) {
        *ret_accepted = true;
        return SHX_OK;
    }
    int verdict = params->accept(params->accept_context, rowid);
    SHX_CHECK(verdict >= 0, SHX_ABORT);
    run->asked++;
    run->accepted += verdict > 0;
    *ret_accepted = verdict > 0;
    return SHX_OK;
}

/* Notes that a posting is within a squared distance; with k of them there is a threshold. */
static shx_status gather_add_upper(shx_search_run *run, float upper) {
    shx_smallest *uppers = &run->scratch->uppers;
    SHX_TRY(shx_smallest_add(uppers, upper));
    if (uppers->threshold < run->threshold) run->threshold = uppers->threshold;
    return SHX_OK;
}

shx_status shx_search_compare(shx_search_run *run, int64_t rowid, const void *vector, bool committed) {
    const shx_encoding *encoding = &run->base->encoding;
    double distance = shx_distance_from(encoding->metric, encoding->element, run->params->query, run->scale, vector,
                                        encoding->dim);
    bool accepted = false;
    run->work.verified++;
    if (distance > shx_topk_worst(run->hits) || shx_search_is_beyond(run, distance)) return SHX_OK;
    SHX_TRY(gather_accept(run, rowid, committed, &accepted));
    return accepted ? shx_topk_insert(run->hits, distance, rowid) : SHX_OK;
}

int64_t shx_search_rowid_of(const shx_search_run *run, const shx_candidate *candidate) {
    if (candidate->segment == SHX_SEARCH_DELTA) return shx_delta_rowid_at(run->delta, candidate->row);
    return run->base->segments[candidate->segment]->rowids[candidate->row];
}

/* ---- what is known with a margin ---- */

static shx_status gather_keep(shx_search_run *run, const shx_candidate *candidate) {
    shx_candidates *found = run->found;
    SHX_TRY(shx_grow((void **)&found->items, &found->capacity, found->count + 1, sizeof *found->items));
    found->items[found->count++] = *candidate;
    return SHX_OK;
}

shx_status shx_search_take(shx_search_run *run, const shx_candidate *candidate) {
    bool accepted = true;
    if (candidate->lower > run->threshold) return SHX_OK;
    if (run->params->accept || run->params->pending) {
        SHX_TRY(gather_accept(run, shx_search_rowid_of(run, candidate), true, &accepted));
    }
    if (!accepted) return SHX_OK;
    SHX_TRY(gather_keep(run, candidate));
    return gather_add_upper(run, candidate->upper);
}

/* A committed posting at about a squared distance. */
static shx_status gather_offer(shx_search_run *run, shx_candidate candidate, float distance2, float margin) {
    candidate.lower = distance2 - margin;
    candidate.upper = distance2 + margin;
    if (candidate.lower > run->threshold) return SHX_OK;
    return run->apart ? gather_keep(run, &candidate) : shx_search_take(run, &candidate);
}

shx_status shx_search_look(shx_search_run *run, uint32_t row, const void *vector) {
    shx_candidate candidate = {.segment = SHX_SEARCH_DELTA, .row = row};
    float distance2, margin;
    if (run->looks && shx_near_look(&run->near, vector, &distance2, &margin)) {
        return gather_offer(run, candidate, distance2, margin);
    }
    return shx_search_compare(run, shx_search_rowid_of(run, &candidate), vector, true);
}

/* All are looked at before any is judged: a judgement that was foreseen wrongly does not wait for a look then. */
shx_status shx_search_look_listed(shx_search_run *run, const shx_listed *listed) {
    const shx_segment *from = run->base->segments[listed->segment];
    shx_near_sight seen[SHX_BLOCK_ROWS];
    if (!run->looks) {
        for (uint32_t i = 0; i < listed->count; i++) {
            const void *vector = shx_segment_vector_in(from, listed->seats[i]);
            SHX_TRY(shx_search_compare(run, from->rowids[listed->rows[i]], vector, true));
        }
        return SHX_OK;
    }
    uint32_t count =
        shx_near_look_all(&run->near, from->vectors, listed->seats, listed->count, run->threshold, seen);
    for (uint32_t i = 0; i < count; i++) {
        shx_candidate candidate = {.segment = listed->segment, .row = listed->rows[seen[i].at]};
        SHX_TRY(gather_offer(run, candidate, seen[i].distance2, seen[i].margin));
    }
    return SHX_OK;
}

shx_status shx_search_seed_uppers(shx_search_run *run) {
    const shx_hit *hits = run->hits->hits;
    for (uint64_t i = 0; i < run->hits->count; i++) {
        double distance2 = shx_distance_to_code(&run->base->encoding, run->query_norm, hits[i].distance);
        SHX_TRY(gather_add_upper(run, (float)distance2));
    }
    return SHX_OK;
}

/* Of a squared distance d²: points are rotated with a relative error far below GATHER_FLOAT_ERROR, and no longer than
** |query| + d. */
float shx_search_slack(const shx_search_run *run, float distance2) {
    float distance = sqrtf(distance2 > 0 ? distance2 : 0);
    return GATHER_FLOAT_ERROR * distance * (2 * run->norm + distance) + GATHER_FLOAT_ERROR * GATHER_FLOAT_ERROR;
}

/* How far the true squared distance may be from an estimate: certainly, or as many standard deviations as were
** asked for. */
static float gather_margin(const shx_search_run *run, const shx_estimate *estimate, const float factors[3],
                           float distance2) {
    if (!run->exact || SHX_PLANTED(35)) return run->sigmas * estimate->deviation;
    float limit = shx_query_refine_limit(run->scratch->query, factors, distance2);
    return limit + shx_search_slack(run, distance2) + shx_search_slack(run, estimate->distance2 + limit);
}

shx_status shx_search_refine(shx_search_run *run, shx_candidate candidate, const uint8_t *refine,
                             const float factors[3], float distance2, float ip) {
    shx_estimate estimate = shx_query_refine(run->scratch->query, run->kernels, refine, factors, distance2, ip);
    float margin = gather_margin(run, &estimate, factors, distance2);
    run->work.refined++;
    return gather_offer(run, candidate, estimate.distance2, margin);
}

static shx_status gather_refine_survivor(shx_search_run *run, const shx_survivor *survivor) {
    const shx_segment *segment = run->base->segments[survivor->candidate.segment];
    uint64_t row = survivor->candidate.row;
    return shx_search_refine(run, survivor->candidate, segment->refine + row * segment->refine_bytes,
                             segment->factors + row * 3, survivor->distance2, survivor->ip);
}

/* The threshold may have come down since a survivor passed it. Certain bounds are none of the scan codes'. */
static bool gather_is_beyond(const shx_search_run *run, const shx_survivor *survivor) {
    return !run->exact && survivor->candidate.lower > run->threshold;
}

shx_status shx_search_settle(shx_search_run *run, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (gather_is_beyond(run, &run->survivors[i])) continue;
        SHX_TRY(gather_refine_survivor(run, &run->survivors[i]));
    }
    run->survivor_count -= count;
    memmove(run->survivors, run->survivors + count, run->survivor_count * sizeof *run->survivors);
    return SHX_OK;
}

static void gather_fetch(const shx_segment *segment, const shx_survivor *survivor) {
    const uint8_t *refine = segment->refine + (uint64_t)survivor->candidate.row * segment->refine_bytes;
    shx_prefetch(refine, segment->refine_bytes, GATHER_PREFETCH_BYTES);
    __builtin_prefetch(segment->factors + (uint64_t)survivor->candidate.row * 3);
}

static inline bool gather_before(const shx_survivor *a, const shx_survivor *b) {
    return a->candidate.lower < b->candidate.lower;
}

SHX_DEFINE_ORDER(gather_survivors, shx_survivor, gather_before)

/* Leaves out the survivors that are beyond the threshold by now, and asks for the refine codes of the others. */
static void gather_keep_near(shx_search_run *run) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < run->survivor_count; i++) {
        const shx_survivor *survivor = &run->survivors[i];
        if (gather_is_beyond(run, survivor)) continue;
        gather_fetch(run->base->segments[survivor->candidate.segment], survivor);
        run->survivors[kept++] = *survivor;
    }
    run->survivor_count = kept;
}

shx_status shx_search_settle_first(shx_search_run *run) {
    uint64_t wanted = run->params->k + GATHER_FIRST;
    if (run->exact || run->apart || wanted >= run->survivor_count) return shx_search_settle(run, run->survivor_count);
    gather_survivors_select(run->survivors, run->survivor_count, wanted);
    for (uint64_t i = 0; i < wanted; i++) {
        gather_fetch(run->base->segments[run->survivors[i].candidate.segment], &run->survivors[i]);
    }
    SHX_TRY(shx_search_settle(run, (uint32_t)wanted));
    if (run->threshold == INFINITY) return shx_search_settle(run, run->survivor_count);
    gather_keep_near(run);
    return SHX_OK;
}

shx_status shx_search_survive(shx_search_run *run, const shx_segment *segment, const shx_survivor *survivor) {
    if (run->threshold < INFINITY) gather_fetch(segment, survivor);
    if (run->survivor_count == SHX_SEARCH_SURVIVORS) {
        SHX_TRY(run->threshold < INFINITY ? shx_search_settle(run, SHX_SEARCH_SURVIVORS)
                                          : shx_search_settle_first(run));
    }
    if (run->survivor_count == SHX_SEARCH_SURVIVORS) SHX_TRY(shx_search_settle(run, SHX_SEARCH_SURVIVORS));
    run->survivors[run->survivor_count++] = *survivor;
    return SHX_OK;
}
