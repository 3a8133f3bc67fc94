#include "search.h"

#include "index_state.h"
#include "limits.h"
#include "memory.h"
#include "router.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A posting that may be among the k nearest, with bounds of its squared distance in code space. */
typedef struct search_candidate {
    float lower;
    uint32_t segment, row;
} search_candidate;

struct shx_search_scratch {
    shx_query *query;
    shx_router router;
    search_candidate *candidates;
    uint64_t candidate_count, candidate_capacity;
    float *uppers; /* max-heap of the k smallest upper bounds */
    uint64_t upper_count, upper_capacity;
    shx_search_work work;
};

/* One search. */
typedef struct search_run {
    shx_view *view;
    const shx_base *base;
    const shx_delta *delta;
    const shx_search_params *params;
    shx_search_scratch *scratch;
    const shx_kernels *kernels;
    shx_topk *hits;
    shx_stop_plan plan;
    float sigmas;    /* of the refined bounds */
    float threshold; /* squared distance in code space that is surely enough for the k nearest */
    uint64_t asked, accepted, since_poll;
} search_run;

#define SEARCH_POLL_ROWS 4096
#define SEARCH_FILTER_GAMMA 0.2 /* design 10: how the rank counts under a filter of a selectivity */

shx_status shx_search_scratch_create(shx_search_scratch **ret_scratch) {
    shx_search_scratch *scratch = shx_alloc_zero(1, sizeof *scratch);
    SHX_CHECK(scratch, SHX_NOMEM);
    *ret_scratch = scratch;
    return SHX_OK;
}

void shx_search_scratch_destroy(shx_search_scratch *scratch) {
    if (!scratch) return;
    shx_query_destroy(scratch->query);
    shx_router_free(&scratch->router);
    shx_free(scratch->candidates);
    shx_free(scratch->uppers);
    shx_free(scratch);
}

shx_search_work shx_search_last_work(const shx_search_scratch *scratch) { return scratch->work; }

/* ---- what may be an answer ---- */

static shx_status search_poll(search_run *run, uint64_t rows) {
    run->since_poll += rows;
    if (run->since_poll < SEARCH_POLL_ROWS) return SHX_OK;
    run->since_poll = 0;
    const shx_search_params *params = run->params;
    bool stop = params->interrupted && params->interrupted(params->interrupted_context);
    return stop ? SHX_INTERRUPT : SHX_OK;
}

/* Asks the filter; a committed posting that the own transaction replaced or deleted is none. */
static shx_status search_accept(search_run *run, int64_t rowid, bool committed, bool *ret_accepted) {
    const shx_search_params *params = run->params;
    *ret_accepted = false;
    if (committed && params->pending && shx_pending_hides(params->pending, rowid)) return SHX_OK;
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

/* Keeps the k smallest upper bounds; the largest of them is the threshold once there are k. */
static shx_status search_add_upper(search_run *run, float upper) {
    shx_search_scratch *scratch = run->scratch;
    uint64_t k = run->params->k, i;
    if (scratch->upper_count < k) {
        SHX_TRY(shx_grow((void **)&scratch->uppers, &scratch->upper_capacity, scratch->upper_count + 1, sizeof(float)));
        i = scratch->upper_count++;
        while (i > 0 && scratch->uppers[(i - 1) / 2] < upper) {
            scratch->uppers[i] = scratch->uppers[(i - 1) / 2];
            i = (i - 1) / 2;
        }
    } else {
        if (!(upper < scratch->uppers[0])) return SHX_OK;
        i = 0;
        for (uint64_t child = 1; child < k; child = 2 * i + 1) {
            if (child + 1 < k && scratch->uppers[child + 1] > scratch->uppers[child]) child++;
            if (scratch->uppers[child] <= upper) break;
            scratch->uppers[i] = scratch->uppers[child];
            i = child;
        }
    }
    scratch->uppers[i] = upper;
    if (scratch->upper_count == k) run->threshold = scratch->uppers[0];
    return SHX_OK;
}

/* Compares a vector exactly and takes it in if it belongs to the k nearest so far. */
static shx_status search_compare(search_run *run, int64_t rowid, const float *vector, bool committed) {
    const shx_encoding *encoding = &run->base->encoding;
    double distance = shx_distance(encoding->metric, run->params->query, vector, encoding->dim);
    bool accepted = false;
    run->scratch->work.verified++;
    if (distance > shx_topk_worst(run->hits)) return SHX_OK;
    SHX_TRY(search_accept(run, rowid, committed, &accepted));
    return accepted ? shx_topk_insert(run->hits, distance, rowid) : SHX_OK;
}

/* ---- scanning vectors ---- */

static shx_status search_scan_pending(search_run *run) {
    const shx_pending *pending = run->params->pending;
    for (size_t i = 0; pending && i < shx_pending_count(pending); i++) {
        if (!shx_pending_is_live(pending, i)) continue;
        const shx_op *op = shx_pending_op(pending, i);
        SHX_TRY(search_compare(run, op->rowid, op->vector, false));
        SHX_TRY(search_poll(run, 1));
    }
    return SHX_OK;
}

static shx_status search_scan_delta(search_run *run) {
    uint32_t limit = run->view->mark.operations;
    for (uint32_t i = 0; i < run->view->mark.rows; i++) {
        const shx_delta_row *row = shx_delta_row_at(run->delta, i);
        if (shx_delta_row_alive(row, limit)) SHX_TRY(search_compare(run, row->rowid, row->vector, true));
        SHX_TRY(search_poll(run, 1));
    }
    run->scratch->work.rows += run->view->mark.rows;
    return SHX_OK;
}

/* Compares every living vector of a run. */
static shx_status search_scan_vectors(search_run *run, shx_place place) {
    shx_segment *segment = run->base->segments[place.segment];
    const shx_run *rows = &segment->runs[place.run];
    SHX_TRY(shx_segment_verify_vectors(segment, place.run));
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint64_t block = rows->first_block + i / SHX_BLOCK_ROWS, row = rows->first_row + i;
        uint32_t dead = shx_delta_dead(run->delta, place.segment, block, run->view->mark.operations);
        if (dead >> (i % SHX_BLOCK_ROWS) & 1) continue;
        SHX_TRY(search_compare(run, segment->rowids[row], segment->vectors + row * segment->dim, true));
    }
    run->scratch->work.rows += rows->rows;
    return search_poll(run, rows->rows);
}

static shx_status search_scan_all_vectors(search_run *run) {
    run->scratch->work.exhaustive = true;
    for (uint32_t s = 0; s < run->base->segment_count; s++) {
        for (uint32_t r = 0; r < run->base->segments[s]->run_count; r++) {
            SHX_TRY(search_scan_vectors(run, (shx_place){s, r}));
        }
    }
    return SHX_OK;
}

/* ---- scanning codes ---- */

/* Turns what is known exactly so far into upper bounds, so that the scan starts with a threshold. */
static shx_status search_seed_uppers(search_run *run) {
    const shx_hit *hits = run->hits->hits;
    for (uint64_t i = 0; i < run->hits->count; i++) {
        double distance2 = shx_distance_to_code(&run->base->encoding, run->scratch->query->norm, hits[i].distance);
        SHX_TRY(search_add_upper(run, (float)distance2));
    }
    return SHX_OK;
}

static shx_status search_refine(search_run *run, shx_place place, uint64_t row, float distance2, float ip) {
    const shx_segment *segment = run->base->segments[place.segment];
    shx_search_scratch *scratch = run->scratch;
    shx_estimate estimate =
        shx_query_refine(scratch->query, run->kernels, segment->refine + row * segment->refine_bytes,
                         segment->factors + row * 3, distance2, ip);
    float lower = estimate.distance2 - run->sigmas * estimate.deviation;
    scratch->work.refined++;
    if (lower > run->threshold) return SHX_OK;
    bool accepted = false;
    SHX_TRY(search_accept(run, segment->rowids[row], true, &accepted));
    if (!accepted) return SHX_OK;
    SHX_TRY(shx_grow((void **)&scratch->candidates, &scratch->candidate_capacity, scratch->candidate_count + 1,
                     sizeof *scratch->candidates));
    scratch->candidates[scratch->candidate_count++] = (search_candidate){lower, place.segment, (uint32_t)row};
    return search_add_upper(run, estimate.distance2 + run->sigmas * estimate.deviation);
}

/* The lanes of block `i` of a run that hold rows. */
static uint32_t search_lanes(const shx_run *rows, uint32_t i) {
    uint32_t left = rows->rows - i * SHX_BLOCK_ROWS;
    return left >= SHX_BLOCK_ROWS ? UINT32_MAX : (UINT32_C(1) << left) - 1;
}

static shx_status search_scan_codes(search_run *run, shx_place place, float distance2) {
    shx_segment *segment = run->base->segments[place.segment];
    const shx_run *rows = &segment->runs[place.run];
    const shx_query *query = run->scratch->query;
    shx_bound bound;
    float ip[SHX_BLOCK_ROWS];
    SHX_TRY(shx_segment_verify_run(segment, place.run));
    shx_query_bound(query, &rows->scale, distance2, run->plan.epsilon, run->threshold, &bound);
    for (uint32_t i = 0; i < shx_blocks_of(rows->rows); i++) {
        uint64_t block = rows->first_block + i, first = rows->first_row + (uint64_t)i * SHX_BLOCK_ROWS;
        bound.threshold = run->threshold;
        uint32_t mask = run->kernels->scan_block(segment->blocks + block * segment->block_bytes, query->lut,
                                                 segment->code_dim, &rows->scale, &bound, ip);
        mask &= search_lanes(rows, i);
        if (mask) mask &= ~shx_delta_dead(run->delta, place.segment, block, run->view->mark.operations);
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            __builtin_prefetch(segment->refine + (first + (uint64_t)__builtin_ctz(rest)) * segment->refine_bytes);
        }
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            uint32_t lane = (uint32_t)__builtin_ctz(rest);
            SHX_TRY(search_refine(run, place, first + lane, distance2, ip[lane]));
        }
    }
    run->scratch->work.rows += rows->rows;
    return search_poll(run, rows->rows);
}

/* ---- choosing shards ---- */

static bool search_may_stop(const search_run *run, float distance2, float nearest2, uint64_t rows) {
    if (run->plan.exhaustive || run->threshold == INFINITY) return false;
    double rank = (double)rows / SHX_SHARD_TARGET;
    if ((double)rows > run->plan.row_cap) return true;
    if (!run->params->accept) return shx_stop_rule_holds(&run->plan.first, distance2, nearest2, rank);
    double selectivity = (double)(run->accepted + 1) / (double)(run->asked + 1);
    return shx_stop_rule_holds(&run->plan.kth, distance2, run->threshold, rank * pow(selectivity, SEARCH_FILTER_GAMMA));
}

static shx_status search_scan_shards(search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    const shx_base *base = run->base;
    shx_route route;
    float nearest2 = -1;
    uint64_t rows = 0;
    SHX_TRY(shx_router_start(&scratch->router, base->shards, scratch->query, false));
    while (shx_router_next(&scratch->router, &route)) {
        if (nearest2 < 0) nearest2 = route.distance2;
        if (scratch->work.shards >= 2 && search_may_stop(run, route.distance2, nearest2, rows)) return SHX_OK;
        for (uint32_t p = base->first_place[route.shard]; p < base->first_place[route.shard + 1]; p++) {
            SHX_TRY(search_scan_codes(run, base->places[p], route.distance2));
            rows += base->segments[base->places[p].segment]->runs[base->places[p].run].rows;
        }
        scratch->work.shards++;
    }
    scratch->work.exhaustive = true;
    return SHX_OK;
}

/* The overflow shard has no codes: its vectors are compared. */
static shx_status search_scan_overflow(search_run *run) {
    const shx_base *base = run->base;
    uint64_t overflow = base->shards->count;
    for (uint32_t p = base->first_place[overflow]; p < base->first_place[overflow + 1]; p++) {
        SHX_TRY(search_scan_vectors(run, base->places[p]));
    }
    return SHX_OK;
}

/* ---- finishing ---- */

static int search_compare_candidates(const void *a, const void *b) {
    float x = ((const search_candidate *)a)->lower, y = ((const search_candidate *)b)->lower;
    return x < y ? -1 : x > y;
}

/* Only candidates whose lower bound is within the final threshold can be answers. */
static void search_prune(search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < scratch->candidate_count; i++) {
        if (scratch->candidates[i].lower <= run->threshold) scratch->candidates[kept++] = scratch->candidates[i];
    }
    scratch->candidate_count = kept;
    qsort(scratch->candidates, kept, sizeof *scratch->candidates, search_compare_candidates);
    for (uint64_t i = 0; i < kept && i < 32; i++) {
        const search_candidate *candidate = &scratch->candidates[i];
        const shx_segment *segment = run->base->segments[candidate->segment];
        __builtin_prefetch(segment->vectors + (uint64_t)candidate->row * segment->dim);
    }
}

/* Compares candidates exactly, nearest lower bound first, until no further one can be among the k nearest. */
static shx_status search_verify(search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    const shx_encoding *encoding = &run->base->encoding;
    search_prune(run);
    for (uint64_t i = 0; i < scratch->candidate_count; i++) {
        const search_candidate *candidate = &scratch->candidates[i];
        const shx_segment *segment = run->base->segments[candidate->segment];
        double worst = shx_distance_to_code(encoding, scratch->query->norm, shx_topk_worst(run->hits));
        if (candidate->lower > worst * (1 + 1e-5)) break;
        const float *vector;
        SHX_TRY(shx_segment_vector(segment, candidate->row, &vector));
        double distance = shx_distance(encoding->metric, run->params->query, vector, encoding->dim);
        scratch->work.verified++;
        SHX_TRY(shx_topk_insert(run->hits, distance, segment->rowids[candidate->row]));
    }
    return SHX_OK;
}

static shx_status search_by_codes(search_run *run) {
    shx_stop_plan_make(&run->base->calibration, run->params->k, run->params->recall, &run->plan);
    if (run->view->mark.live_rows < SHX_ROUTED_ROWS) run->plan.exhaustive = true;
    run->sigmas = run->plan.epsilon >= 3 ? 4 : 3;
    SHX_TRY(search_scan_overflow(run));
    SHX_TRY(search_seed_uppers(run));
    SHX_TRY(search_scan_shards(run));
    return search_verify(run);
}

/* Whether codes can serve: the query must have a point in code space, and the scratch the right size. */
static shx_status search_prepare_query(search_run *run, bool *ret_usable) {
    shx_search_scratch *scratch = run->scratch;
    const shx_encoding *encoding = &run->base->encoding;
    *ret_usable = false;
    bool exact = run->params->exact || !run->base->shards || run->view->mark.live_rows < SHX_EXACT_ROWS;
    if (exact) return SHX_OK;
    if (scratch->query && scratch->query->code_dim != encoding->code_dim) {
        shx_query_destroy(scratch->query);
        scratch->query = NULL;
    }
    if (!scratch->query) SHX_TRY(shx_query_create(encoding->code_dim, &scratch->query));
    *ret_usable = shx_query_set(scratch->query, encoding, run->params->query);
    return SHX_OK;
}

shx_status shx_search(shx_view *view, const shx_search_params *params, shx_search_scratch *scratch,
                      shx_topk *ret_hits) {
    search_run run = {.view = view,
                      .base = view->delta->base,
                      .delta = view->delta,
                      .params = params,
                      .scratch = scratch,
                      .kernels = shx_kernels_get(),
                      .hits = ret_hits,
                      .threshold = INFINITY};
    bool usable;
    shx_topk_reset(ret_hits, params->k);
    scratch->candidate_count = scratch->upper_count = 0;
    scratch->work = (shx_search_work){0};
    if (params->k == 0) return SHX_OK;
    SHX_TRY(search_prepare_query(&run, &usable));
    SHX_TRY(search_scan_pending(&run));
    SHX_TRY(search_scan_delta(&run));
    SHX_TRY(usable ? search_by_codes(&run) : search_scan_all_vectors(&run));
    shx_topk_sort(ret_hits);
    return SHX_OK;
}
