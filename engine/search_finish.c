#include "order.h"
#include "prefetch.h"
#include "search_run.h"

#define FINISH_SORTED 2048    /* candidates that are worth sorting, … */
#define FINISH_SORTED_SHARE 8 /* … unless so few more than k that nearly all of them are compared anyway */
#define FINISH_AHEAD 16       /* candidates that are asked for before they are compared */
#define FINISH_PREFETCH_BYTES 1024

/* A total order: what is verified does not depend on the order in which candidates were found. */
static inline bool finish_before(const shx_candidate *a, const shx_candidate *b) {
    if (a->lower != b->lower) return a->lower < b->lower;
    return a->segment != b->segment ? a->segment < b->segment : a->row < b->row;
}

SHX_DEFINE_ORDER(finish_candidates, shx_candidate, finish_before)

static const void *finish_vector_of(const shx_search_run *run, const shx_candidate *candidate) {
    if (candidate->segment == SHX_SEARCH_DELTA) return shx_delta_vector_at(run->delta, candidate->row);
    const shx_segment *segment = run->base->segments[candidate->segment];
    return shx_segment_vector_at(segment, candidate->row);
}

/* Asks for what comparing a candidate reads: first for its rowid and for where its vector stands, … */
static void finish_prefetch_row(const shx_search_run *run, const shx_candidate *candidate) {
    if (candidate->segment == SHX_SEARCH_DELTA) return;
    const shx_segment *segment = run->base->segments[candidate->segment];
    __builtin_prefetch(&segment->rowids[candidate->row]);
    if (segment->seats) __builtin_prefetch(&segment->seats[candidate->row]);
}

/* … then for its vector, and for the hash of one that was not tested. */
static void finish_prefetch(const shx_search_run *run, const shx_candidate *candidate) {
    const shx_encoding *encoding = &run->base->encoding;
    size_t bytes = shx_element_bytes(encoding->element, encoding->dim);
    shx_prefetch(finish_vector_of(run, candidate), bytes, FINISH_PREFETCH_BYTES);
    if (candidate->segment == SHX_SEARCH_DELTA) return;
    const shx_segment *segment = run->base->segments[candidate->segment];
    if (run->trusted || shx_segment_seat_is_verified(segment, shx_segment_seat(segment, candidate->row))) return;
    __builtin_prefetch(&segment->fingerprints[candidate->row]);
}

static bool finish_is_worth_sorting(uint64_t count, uint64_t k) {
    return count <= FINISH_SORTED && count > k && count - k > k / FINISH_SORTED_SHARE;
}

/* Only candidates whose lower bound is within the final threshold can be answers. Returns whether they are sorted. */
static bool finish_prune(shx_search_run *run) {
    shx_candidates *found = run->found;
    shx_smallest *uppers = &run->scratch->uppers;
    uint64_t kept = 0;
    shx_smallest_settle(uppers);
    if (uppers->threshold < run->threshold) run->threshold = uppers->threshold;
    for (uint64_t i = 0; i < found->count; i++) {
        if (found->items[i].lower <= run->threshold) found->items[kept++] = found->items[i];
    }
    found->count = kept;
    bool sorted = finish_is_worth_sorting(kept, run->params->k);
    if (sorted) finish_candidates_sort(found->items, kept);
    for (uint64_t i = 0; i < kept && i < 2 * FINISH_AHEAD; i++) finish_prefetch_row(run, &found->items[i]);
    for (uint64_t i = 0; i < kept && i < FINISH_AHEAD; i++) finish_prefetch(run, &found->items[i]);
    return sorted;
}

static shx_status finish_verify_one(shx_search_run *run, const shx_candidate *candidate) {
    const shx_encoding *encoding = &run->base->encoding;
    const void *vector = finish_vector_of(run, candidate);
    if (candidate->segment != SHX_SEARCH_DELTA && !run->trusted) {
        SHX_TRY(shx_segment_vector(run->base->segments[candidate->segment], candidate->row, &vector));
    }
    double distance = shx_distance_from(encoding->metric, encoding->element, run->params->query, run->scale, vector,
                                        encoding->dim);
    run->work.verified++;
    if (shx_search_is_beyond(run, distance)) return SHX_OK;
    return shx_topk_insert(run->hits, distance, shx_search_rowid_of(run, candidate));
}

shx_status shx_search_verify(shx_search_run *run) {
    const shx_candidates *found = run->found;
    bool sorted = finish_prune(run);
    for (uint64_t i = 0; i < found->count; i++) {
        double worst2 = shx_distance_to_code(&run->base->encoding, run->query_norm, shx_topk_worst(run->hits));
        if (found->items[i].lower > worst2 + (double)shx_search_slack(run, (float)worst2)) {
            if (sorted) break;
            continue;
        }
        if (i + 2 * FINISH_AHEAD < found->count) finish_prefetch_row(run, &found->items[i + 2 * FINISH_AHEAD]);
        if (i + FINISH_AHEAD < found->count) finish_prefetch(run, &found->items[i + FINISH_AHEAD]);
        SHX_TRY(shx_search_poll(run, 1));
        SHX_TRY(finish_verify_one(run, &found->items[i]));
    }
    return SHX_OK;
}
