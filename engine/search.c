#include "search.h"

#include "limits.h"
#include "memory.h"
#include "search_run.h"

#include <math.h>
#include <string.h>

#define SEARCH_LOOKAHEAD 3 /* shards that are known before they are scanned */
#define SEARCH_PREFETCH_BYTES 4096
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
    shx_smallest_free(&scratch->uppers);
    shx_free(scratch);
}

shx_search_work shx_search_last_work(const shx_search_scratch *scratch) { return scratch->work; }

/* ---- choosing shards ---- */

static bool search_may_stop(const shx_search_run *run, float distance2, float nearest2, uint64_t rows) {
    if (run->plan.exhaustive || run->threshold == INFINITY) return false;
    double rank = (double)rows * run->live_share / SHX_SHARD_TARGET;
    if ((double)rows > run->plan.row_cap) return true;
    if (!run->params->accept) return shx_stop_rule_holds(&run->plan.first, distance2, nearest2, rank);
    double selectivity = (double)(run->accepted + 1) / (double)(run->asked + 1);
    return shx_stop_rule_holds(&run->plan.kth, distance2, run->threshold, rank * pow(selectivity, SEARCH_FILTER_GAMMA));
}

/* Asks for what a shard's scan needs: first where its runs lie, then, one shard later, their codes. */
static void search_prefetch_runs(const shx_search_run *run, uint32_t shard) {
    const shx_base *base = run->base;
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        __builtin_prefetch(&base->segments[base->places[p].segment]->runs[base->places[p].run]);
    }
}

static void search_prefetch_codes(const shx_search_run *run, uint32_t shard) {
    const shx_base *base = run->base;
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        const shx_segment *segment = base->segments[base->places[p].segment];
        const shx_run *rows = &segment->runs[base->places[p].run];
        const uint8_t *codes = segment->blocks + rows->first_block * segment->block_bytes;
        size_t bytes = shx_blocks_of(rows->rows) * segment->block_bytes;
        if (!run->coded) {
            codes = shx_segment_vector_at(segment, rows->first_row);
            bytes = rows->rows * segment->vector_bytes;
        }
        for (size_t at = 0; at < bytes && at < SEARCH_PREFETCH_BYTES; at += 64) __builtin_prefetch(codes + at, 0, 2);
    }
}

/* Without codes the vectors are compared as they come. What the k-th best distance is in code space serves the rule to
** stop only. */
static shx_status search_compare_shard(shx_search_run *run, const shx_route *route, uint64_t *rows) {
    const shx_base *base = run->base;
    for (uint32_t p = base->first_place[route->shard]; p < base->first_place[route->shard + 1]; p++) {
        SHX_TRY(shx_search_scan_vectors(run, base->places[p]));
        *rows += base->segments[base->places[p].segment]->runs[base->places[p].run].rows;
    }
    run->scratch->work.shards++;
    double worst = shx_topk_worst(run->hits);
    run->threshold = (float)shx_distance_to_code(&base->encoding, run->scratch->query->norm, worst);
    return SHX_OK;
}

/* Survivors of the shard before are refined after this one: their codes have arrived by then. */
static shx_status search_scan_shard(shx_search_run *run, const shx_route *route, uint64_t *rows) {
    const shx_base *base = run->base;
    run->survivors_before = run->survivor_count;
    for (uint32_t p = base->first_place[route->shard]; p < base->first_place[route->shard + 1]; p++) {
        SHX_TRY(shx_search_scan_codes(run, base->places[p], route->distance2));
        *rows += base->segments[base->places[p].segment]->runs[base->places[p].run].rows;
    }
    run->scratch->work.shards++;
    uint32_t older = run->survivors_before < run->survivor_count ? run->survivors_before : run->survivor_count;
    return shx_search_settle(run, older);
}

/* The next shards, the nearest first; routes[count] on are none. */
typedef struct search_queue {
    shx_route routes[SEARCH_LOOKAHEAD];
    uint32_t count;
} search_queue;

static void search_queue_fill(shx_search_run *run, search_queue *queue) {
    while (queue->count < SEARCH_LOOKAHEAD && shx_router_next(&run->scratch->router, &queue->routes[queue->count])) {
        search_prefetch_runs(run, queue->routes[queue->count++].shard);
    }
    if (queue->count > 1) search_prefetch_codes(run, queue->routes[1].shard);
}

static shx_status search_scan_shards(shx_search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    search_queue queue = {.count = 0};
    uint64_t rows = 0;
    SHX_TRY(shx_router_start(&scratch->router, run->base->shards, scratch->query, false));
    search_queue_fill(run, &queue);
    float nearest2 = queue.count > 0 ? queue.routes[0].distance2 : 0;
    while (queue.count > 0) {
        shx_route route = queue.routes[0];
        if (scratch->work.shards >= 2 && search_may_stop(run, route.distance2, nearest2, rows)) break;
        SHX_TRY(run->coded ? search_scan_shard(run, &route, &rows) : search_compare_shard(run, &route, &rows));
        memmove(queue.routes, queue.routes + 1, --queue.count * sizeof *queue.routes);
        search_queue_fill(run, &queue);
    }
    scratch->work.exhaustive = queue.count == 0;
    return shx_search_settle(run, run->survivor_count);
}

/* ---- the whole ---- */

/* The rows of the delta that are coded, as of this search. */
static uint32_t search_coded_rows(const shx_search_run *run) {
    return atomic_load_explicit(&run->delta->codes.coded_rows, memory_order_acquire);
}

/* What must be compared comes first, and gives a threshold to start with; the delta's codes come last, when the
** threshold is near its final value. */
static shx_status search_by_codes(shx_search_run *run) {
    uint32_t coded = search_coded_rows(run);
    shx_stop_plan_make(&run->base->calibration, run->params->k, run->params->recall, &run->plan);
    run->exact = run->params->exact;
    if (run->exact || run->view->mark.live_rows < SHX_ROUTED_ROWS) run->plan.exhaustive = true;
    run->query_norm = run->scratch->query->norm;
    run->norm = sqrtf(shx_search_origin2(run));
    run->live_share = shx_base_live_share(run->base);
    run->sigmas = run->plan.epsilon >= 2.5f ? 4 : 3;
    SHX_TRY(shx_search_scan_delta(run, coded));
    SHX_TRY(shx_search_scan_overflow(run));
    SHX_TRY(shx_search_seed_uppers(run));
    SHX_TRY(search_scan_shards(run));
    SHX_TRY(shx_search_scan_delta_codes(run, coded));
    return shx_search_verify(run);
}

/* The nearest shards' vectors, all of the delta's and those of the overflow shard. */
static shx_status search_by_shards(shx_search_run *run) {
    shx_stop_plan_make(&run->base->calibration, run->params->k, run->params->recall, &run->plan);
    run->live_share = shx_base_live_share(run->base);
    SHX_TRY(shx_search_scan_delta(run, 0));
    SHX_TRY(shx_search_scan_overflow(run));
    return search_scan_shards(run);
}

/* Everything is looked at; nothing but certain bounds decides. */
static shx_status search_by_vectors(shx_search_run *run) {
    const shx_encoding *encoding = &run->base->encoding;
    run->exact = true;
    run->looks = shx_near_set(&run->near, encoding, run->params->query);
    run->query_norm = run->looks ? run->near.norm : 0;
    run->norm = encoding->metric == SHX_COSINE ? 1 : (float)run->query_norm;
    if (run->looks) SHX_TRY(shx_search_seed_uppers(run));
    SHX_TRY(shx_search_scan_delta(run, 0));
    SHX_TRY(shx_search_scan_all_vectors(run));
    return shx_search_verify(run);
}

/* Whether code space can serve: the query must have a point there, the scratch the right size, and without codes there
** must be something to leave out. */
static shx_status search_prepare_query(shx_search_run *run, bool *ret_usable) {
    shx_search_scratch *scratch = run->scratch;
    const shx_encoding *encoding = &run->base->encoding;
    *ret_usable = false;
    run->coded = shx_encoding_coded(encoding);
    bool everything = run->params->exact || run->params->recall > SHX_RECALL_EXHAUSTIVE;
    if (!run->coded && (everything || run->view->mark.live_rows < SHX_ROUTED_ROWS)) return SHX_OK;
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
    shx_search_run run = {.view = view,
                          .base = view->delta->base,
                          .delta = view->delta,
                          .params = params,
                          .scratch = scratch,
                          .kernels = shx_kernels_get(),
                          .hits = ret_hits,
                          .threshold = INFINITY};
    bool usable;
    shx_topk_reset(ret_hits, params->k);
    scratch->candidate_count = 0;
    shx_smallest_reset(&scratch->uppers, params->k);
    scratch->work = (shx_search_work){0};
    if (params->k == 0) return SHX_OK;
    SHX_TRY(search_prepare_query(&run, &usable));
    SHX_TRY(shx_search_scan_pending(&run));
    if (!usable) {
        SHX_TRY(search_by_vectors(&run));
    } else {
        SHX_TRY(run.coded ? search_by_codes(&run) : search_by_shards(&run));
    }
    shx_topk_sort(ret_hits);
    return SHX_OK;
}
