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
    uint32_t segment, row; /* of the base, or SEARCH_DELTA and a row of the delta */
} search_candidate;

#define SEARCH_DELTA UINT32_MAX

/* A posting that passed the scan codes and waits for its refine code, which was asked for when it came. */
typedef struct search_survivor {
    search_candidate candidate;
    float distance2, ip; /* of its run's centroid, and from the scan code */
} search_survivor;

#define SEARCH_SURVIVORS 128
#define SEARCH_LOOKAHEAD 3 /* shards that are known before they are scanned */

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
    bool exact;      /* bounds are certain ones, and everything is refined */
    float sigmas;    /* of the refined bounds, unless exact */
    float norm;      /* |query| in code space */
    float threshold; /* squared distance in code space that is surely enough for the k nearest */
    double live_share;
    search_survivor survivors[SEARCH_SURVIVORS];
    uint32_t survivor_count, survivors_before; /* all, and those from before the present shard */
    uint64_t asked, accepted, since_poll;
} search_run;

#define SEARCH_POLL_ROWS 4096
#define SEARCH_PREFETCH_BYTES 4096
#define SEARCH_FLOAT_ERROR 1e-5f
#define SEARCH_FILTER_GAMMA 0.2 /* how the rank counts under a filter of a selectivity */

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

static shx_status search_compare_delta_row(search_run *run, uint32_t position) {
    const shx_delta_row *row = shx_delta_row_at(run->delta, position);
    if (!shx_delta_row_alive(row, run->view->mark.operations)) return SHX_OK;
    return search_compare(run, row->rowid, row->vector, true);
}

/* Compares the rows of the delta from `first` on. */
static shx_status search_scan_delta(search_run *run, uint32_t first) {
    for (uint32_t i = first; i < run->view->mark.rows; i++) {
        SHX_TRY(search_compare_delta_row(run, i));
        SHX_TRY(search_poll(run, 1));
    }
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

/* What float arithmetic may add to the error of a squared distance d²: points are rotated with a relative error far
** below SEARCH_FLOAT_ERROR, and no longer than |query| + d. */
static float search_slack(const search_run *run, float distance2) {
    float distance = sqrtf(distance2 > 0 ? distance2 : 0);
    return SEARCH_FLOAT_ERROR * distance * (2 * run->norm + distance) + SEARCH_FLOAT_ERROR * SEARCH_FLOAT_ERROR;
}

/* How far the true squared distance may be from an estimate: certainly, or as many standard deviations as were
** asked for. */
static float search_margin(const search_run *run, const shx_estimate *estimate, float distance2) {
    if (!run->exact) return run->sigmas * estimate->deviation;
    return estimate->limit + search_slack(run, distance2) + search_slack(run, estimate->distance2 + estimate->limit);
}

static int64_t search_rowid_of(const search_run *run, const search_candidate *candidate) {
    if (candidate->segment == SEARCH_DELTA) return shx_delta_row_at(run->delta, candidate->row)->rowid;
    return run->base->segments[candidate->segment]->rowids[candidate->row];
}

/* A posting whose refine code says that it may be one of the k nearest. `refine` and `factors` are its codes. */
static shx_status search_refine(search_run *run, search_candidate candidate, const uint8_t *refine,
                                const float factors[3], float distance2, float ip) {
    shx_search_scratch *scratch = run->scratch;
    shx_estimate estimate = shx_query_refine(scratch->query, run->kernels, refine, factors, distance2, ip);
    float margin = search_margin(run, &estimate, distance2);
    bool accepted = false;
    candidate.lower = estimate.distance2 - margin;
    scratch->work.refined++;
    if (candidate.lower > run->threshold) return SHX_OK;
    SHX_TRY(search_accept(run, search_rowid_of(run, &candidate), true, &accepted));
    if (!accepted) return SHX_OK;
    SHX_TRY(shx_grow((void **)&scratch->candidates, &scratch->candidate_capacity, scratch->candidate_count + 1,
                     sizeof *scratch->candidates));
    scratch->candidates[scratch->candidate_count++] = candidate;
    return search_add_upper(run, estimate.distance2 + margin);
}

/* Refines the first `count` survivors; the others move up. */
static shx_status search_settle(search_run *run, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const search_survivor *survivor = &run->survivors[i];
        const shx_segment *segment = run->base->segments[survivor->candidate.segment];
        uint64_t row = survivor->candidate.row;
        SHX_TRY(search_refine(run, survivor->candidate, segment->refine + row * segment->refine_bytes,
                              segment->factors + row * 3, survivor->distance2, survivor->ip));
    }
    run->survivor_count -= count;
    memmove(run->survivors, run->survivors + count, run->survivor_count * sizeof *run->survivors);
    return SHX_OK;
}

/* Takes in a survivor and asks for its refine code, which takes longer to come than the next block to scan. */
static shx_status search_survive(search_run *run, const shx_segment *segment, const search_survivor *survivor) {
    const uint8_t *refine = segment->refine + (uint64_t)survivor->candidate.row * segment->refine_bytes;
    for (size_t at = 0; at < segment->refine_bytes && at < SEARCH_PREFETCH_BYTES; at += 64) {
        __builtin_prefetch(refine + at);
    }
    __builtin_prefetch(segment->factors + (uint64_t)survivor->candidate.row * 3);
    if (run->survivor_count == SEARCH_SURVIVORS) SHX_TRY(search_settle(run, SEARCH_SURVIVORS));
    run->survivors[run->survivor_count++] = *survivor;
    return SHX_OK;
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
        bound.threshold = run->exact ? INFINITY : run->threshold;
        uint32_t mask = run->kernels->scan_block(segment->blocks + block * segment->block_bytes, query->lut,
                                                 segment->code_dim, &rows->scale, &bound, ip);
        mask &= search_lanes(rows, i);
        if (mask) mask &= ~shx_delta_dead(run->delta, place.segment, block, run->view->mark.operations);
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            uint32_t lane = (uint32_t)__builtin_ctz(rest);
            search_candidate candidate = {.segment = place.segment, .row = (uint32_t)(first + lane)};
            SHX_TRY(search_survive(run, segment, &(search_survivor){candidate, distance2, ip[lane]}));
        }
        if (run->threshold == INFINITY) SHX_TRY(search_settle(run, run->survivor_count));
    }
    run->scratch->work.rows += rows->rows;
    return search_poll(run, rows->rows);
}

/* One block of the delta's codes, which starts at row `first`. */
static shx_status search_scan_delta_block(search_run *run, uint32_t first, float origin2) {
    const shx_query *query = run->scratch->query;
    const shx_delta_block *block = shx_delta_codes_block(&run->delta->codes, first);
    size_t refine_bytes = shx_refine_bytes(query->code_dim);
    uint32_t left = run->view->mark.rows - first;
    uint32_t lanes = left >= SHX_BLOCK_ROWS ? UINT32_MAX : (UINT32_C(1) << left) - 1;
    shx_bound bound;
    float ip[SHX_BLOCK_ROWS];
    shx_query_bound(query, &block->scale, origin2, run->plan.epsilon, run->exact ? INFINITY : run->threshold, &bound);
    uint32_t mask =
        run->kernels->scan_block(block->codes, query->lut, query->code_dim, &block->scale, &bound, ip) & lanes;
    for (uint32_t rest = mask & ~block->pointless; rest; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        const shx_delta_row *row = shx_delta_row_at(run->delta, first + lane);
        if (!shx_delta_row_alive(row, run->view->mark.operations)) continue;
        search_candidate candidate = {.segment = SEARCH_DELTA, .row = first + lane};
        SHX_TRY(search_refine(run, candidate, block->refine + lane * refine_bytes, block->factors[lane], origin2,
                              ip[lane]));
    }
    for (uint32_t rest = lanes & block->pointless; rest; rest &= rest - 1) {
        SHX_TRY(search_compare_delta_row(run, first + (uint32_t)__builtin_ctz(rest)));
    }
    return search_poll(run, SHX_BLOCK_ROWS);
}

static float search_origin2(const search_run *run) {
    const shx_query *query = run->scratch->query;
    float origin2 = 0;
    for (uint32_t i = 0; i < query->code_dim; i++) origin2 += query->point[i] * query->point[i];
    return origin2;
}

/* The rows of the delta that are coded, as of this search. */
static uint32_t search_coded_rows(const search_run *run) {
    return atomic_load_explicit(&run->delta->codes.coded_rows, memory_order_acquire);
}

static shx_status search_scan_delta_codes(search_run *run, uint32_t coded) {
    float origin2 = search_origin2(run);
    for (uint32_t first = 0; first < coded && first < run->view->mark.rows; first += SHX_BLOCK_ROWS) {
        SHX_TRY(search_scan_delta_block(run, first, origin2));
    }
    run->scratch->work.rows += run->view->mark.rows;
    return SHX_OK;
}

/* ---- choosing shards ---- */

static bool search_may_stop(const search_run *run, float distance2, float nearest2, uint64_t rows) {
    if (run->plan.exhaustive || run->threshold == INFINITY) return false;
    double rank = (double)rows * run->live_share / SHX_SHARD_TARGET;
    if ((double)rows > run->plan.row_cap) return true;
    if (!run->params->accept) return shx_stop_rule_holds(&run->plan.first, distance2, nearest2, rank);
    double selectivity = (double)(run->accepted + 1) / (double)(run->asked + 1);
    return shx_stop_rule_holds(&run->plan.kth, distance2, run->threshold, rank * pow(selectivity, SEARCH_FILTER_GAMMA));
}

/* Asks for what a shard's scan needs: first where its runs lie, then, one shard later, their codes. */
static void search_prefetch_runs(const search_run *run, uint32_t shard) {
    const shx_base *base = run->base;
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        __builtin_prefetch(&base->segments[base->places[p].segment]->runs[base->places[p].run]);
    }
}

static void search_prefetch_codes(const search_run *run, uint32_t shard) {
    const shx_base *base = run->base;
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        const shx_segment *segment = base->segments[base->places[p].segment];
        const shx_run *rows = &segment->runs[base->places[p].run];
        const uint8_t *codes = segment->blocks + rows->first_block * segment->block_bytes;
        size_t bytes = shx_blocks_of(rows->rows) * segment->block_bytes;
        for (size_t at = 0; at < bytes && at < SEARCH_PREFETCH_BYTES; at += 64) __builtin_prefetch(codes + at, 0, 2);
    }
}

/* Survivors of the shard before are refined after this one: their codes have arrived by then. */
static shx_status search_scan_shard(search_run *run, const shx_route *route, uint64_t *rows) {
    const shx_base *base = run->base;
    run->survivors_before = run->survivor_count;
    for (uint32_t p = base->first_place[route->shard]; p < base->first_place[route->shard + 1]; p++) {
        SHX_TRY(search_scan_codes(run, base->places[p], route->distance2));
        *rows += base->segments[base->places[p].segment]->runs[base->places[p].run].rows;
    }
    run->scratch->work.shards++;
    uint32_t older = run->survivors_before < run->survivor_count ? run->survivors_before : run->survivor_count;
    return search_settle(run, older);
}

/* The next shards, the nearest first; routes[count] on are none. */
typedef struct search_queue {
    shx_route routes[SEARCH_LOOKAHEAD];
    uint32_t count;
} search_queue;

static void search_queue_fill(search_run *run, search_queue *queue) {
    while (queue->count < SEARCH_LOOKAHEAD && shx_router_next(&run->scratch->router, &queue->routes[queue->count])) {
        search_prefetch_runs(run, queue->routes[queue->count++].shard);
    }
    if (queue->count > 1) search_prefetch_codes(run, queue->routes[1].shard);
}

static shx_status search_scan_shards(search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    search_queue queue = {.count = 0};
    uint64_t rows = 0;
    SHX_TRY(shx_router_start(&scratch->router, run->base->shards, scratch->query, false));
    search_queue_fill(run, &queue);
    float nearest2 = queue.count > 0 ? queue.routes[0].distance2 : 0;
    while (queue.count > 0) {
        shx_route route = queue.routes[0];
        if (scratch->work.shards >= 2 && search_may_stop(run, route.distance2, nearest2, rows)) break;
        SHX_TRY(search_scan_shard(run, &route, &rows));
        memmove(queue.routes, queue.routes + 1, --queue.count * sizeof *queue.routes);
        search_queue_fill(run, &queue);
    }
    scratch->work.exhaustive = queue.count == 0;
    return search_settle(run, run->survivor_count);
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

static const float *search_vector_of(const search_run *run, const search_candidate *candidate) {
    if (candidate->segment == SEARCH_DELTA) return shx_delta_row_at(run->delta, candidate->row)->vector;
    const shx_segment *segment = run->base->segments[candidate->segment];
    return segment->vectors + (uint64_t)candidate->row * segment->dim;
}

/* Only candidates whose lower bound is within the final threshold can be answers. */
static void search_prune(search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < scratch->candidate_count; i++) {
        if (scratch->candidates[i].lower <= run->threshold) scratch->candidates[kept++] = scratch->candidates[i];
    }
    scratch->candidate_count = kept;
    if (kept > 1) qsort(scratch->candidates, kept, sizeof *scratch->candidates, search_compare_candidates);
    for (uint64_t i = 0; i < kept && i < 32; i++) __builtin_prefetch(search_vector_of(run, &scratch->candidates[i]));
}

static shx_status search_verify_one(search_run *run, const search_candidate *candidate) {
    const shx_encoding *encoding = &run->base->encoding;
    const float *vector = search_vector_of(run, candidate);
    if (candidate->segment != SEARCH_DELTA) {
        SHX_TRY(shx_segment_vector(run->base->segments[candidate->segment], candidate->row, &vector));
    }
    double distance = shx_distance(encoding->metric, run->params->query, vector, encoding->dim);
    run->scratch->work.verified++;
    return shx_topk_insert(run->hits, distance, search_rowid_of(run, candidate));
}

/* Compares candidates exactly, nearest lower bound first, until no further one can be among the k nearest. */
static shx_status search_verify(search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    search_prune(run);
    for (uint64_t i = 0; i < scratch->candidate_count; i++) {
        double worst = shx_topk_worst(run->hits);
        double worst2 = shx_distance_to_code(&run->base->encoding, scratch->query->norm, worst);
        if (scratch->candidates[i].lower > worst2 + (double)search_slack(run, (float)worst2)) break;
        SHX_TRY(search_verify_one(run, &scratch->candidates[i]));
    }
    return SHX_OK;
}

/* What must be compared comes first, and gives a threshold to start with; the delta's codes come last, when the
** threshold is near its final value. */
static shx_status search_by_codes(search_run *run) {
    uint32_t coded = search_coded_rows(run);
    shx_stop_plan_make(&run->base->calibration, run->params->k, run->params->recall, &run->plan);
    run->exact = run->params->exact;
    if (run->exact || run->view->mark.live_rows < SHX_ROUTED_ROWS) run->plan.exhaustive = true;
    run->norm = sqrtf(search_origin2(run));
    run->live_share = shx_base_live_share(run->base);
    run->sigmas = run->plan.epsilon >= 2.5f ? 4 : 3;
    SHX_TRY(search_scan_delta(run, coded));
    SHX_TRY(search_scan_overflow(run));
    SHX_TRY(search_seed_uppers(run));
    SHX_TRY(search_scan_shards(run));
    SHX_TRY(search_scan_delta_codes(run, coded));
    return search_verify(run);
}

static shx_status search_by_vectors(search_run *run) {
    SHX_TRY(search_scan_delta(run, 0));
    return search_scan_all_vectors(run);
}

/* Whether codes can serve: the query must have a point in code space, and the scratch the right size. */
static shx_status search_prepare_query(search_run *run, bool *ret_usable) {
    shx_search_scratch *scratch = run->scratch;
    const shx_encoding *encoding = &run->base->encoding;
    *ret_usable = false;
    if (!run->base->shards || run->view->mark.live_rows < SHX_EXACT_ROWS) return SHX_OK;
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
    SHX_TRY(usable ? search_by_codes(&run) : search_by_vectors(&run));
    shx_topk_sort(ret_hits);
    return SHX_OK;
}
