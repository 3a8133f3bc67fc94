#include "search.h"

#include "limits.h"
#include "memory.h"
#include "prefetch.h"
#include "search_run.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define SEARCH_LOOKAHEAD 5 /* shards that are known before they are scanned */
#define SEARCH_PREFETCH_BYTES 16384
#define SEARCH_MOST_SHARE 8       /* one row in so many asked for: all are looked at, when vectors are short, … */
#define SEARCH_MANY_SHARE 16      /* … and from here on those of the nearest shards first */
#define SEARCH_ORDERED_ROWS 2000  /* of fewer, none is near enough to be worth finding the nearest shards */
#define SEARCH_EXACT_SHARE 64     /* one row in so many asked for exactly: no bounds spare enough of them */
#define SEARCH_SHORT_DIM 256      /* floats that are looked at in the time of a refine code */
#define SEARCH_WIDE_EPSILON 2.5f  /* bounds as wide, for want of a calibration or by wish, are wide when refined too: */
#define SEARCH_WIDE_SIGMAS 4
#define SEARCH_SIGMAS 3
#define SEARCH_FEW_EPSILON 3      /* wide bounds cost nothing where few rows are refined */
#define SEARCH_AWAY_SHARE 0.5     /* of the rows to expect are admitted: fewer, and the query is away from what is */
#define SEARCH_AWAY_GROWTH 0.2    /* of theta, where 1/e of the usual share is admitted: as words and images call for */
#define SEARCH_SEATS 128          /* vectors that stand side by side in one piece */
#define SEARCH_SEATED_SHARE 0.1   /* of all rows: of fewer, it is quicker to go from one to the next */
#define SEARCH_ONE_IN_CODE 1.999f /* less than a cosine distance of 1 is as a squared distance in code space */
#define SEARCH_RADIUS_SLACK 1e-6f /* more than the rounding of a radius to float */

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
    shx_free(scratch->found.items);
    shx_free(scratch->pieces);
    shx_free(scratch->chunks);
    for (uint64_t i = 0; i < scratch->lane_capacity; i++) shx_free(scratch->lanes[i].items);
    shx_free(scratch->lanes);
    shx_smallest_free(&scratch->uppers);
    for (uint64_t i = 0; i < scratch->match_capacity; i++) shx_match_free(&scratch->matches[i]);
    shx_free(scratch->matches);
    shx_free(scratch);
}

shx_search_work shx_search_last_work(const shx_search_scratch *scratch) { return scratch->work; }

/* ---- choosing shards ---- */

/* What the rows so far count under a predicate: where fewer of them are admitted than of all rows, the query lies away
** from what it asks for, and they count only for so many as would hold the admitted ones elsewhere. */
static double search_fair_share(const shx_search_run *run) {
    if (!run->predicate) return 1;
    double local = (double)(run->matched + 1) / (double)(run->tested + 1);
    return local < run->share ? local / run->share : 1;
}

/* Does the query lie away from what is admitted? Once it does, it goes on to. */
static bool search_is_away(shx_search_run *run, double fair) {
    if (run->away || !run->predicate || !(run->base->calibration.dimensions[0] > 0)) return run->away;
    if (fair < SEARCH_AWAY_SHARE) shx_search_go_away(run);
    return run->away;
}

static bool search_may_stop(shx_search_run *run, float distance2, float nearest2, uint64_t rows) {
    if (run->plan.exhaustive || run->threshold == INFINITY) return false;
    if (run->params->within && rows < run->params->k) return false;
    double fair = search_fair_share(run);
    if (search_is_away(run, fair)) {
        if ((double)run->matched > run->plan.row_cap) return run->work.capped = true;
        return shx_search_away_may_stop(run, distance2);
    }
    double passed = (double)rows * fair, rank = passed * run->live_share / SHX_SHARD_TARGET;
    if (passed > run->plan.row_cap) return run->work.capped = true;
    bool filtered = run->params->accept || run->predicate;
    if (!filtered) return shx_stop_limit_holds(&run->limit, &run->plan.first, distance2, nearest2, rank);
    double selectivity = (double)(run->accepted + 1) / (double)(run->asked + 1) * run->share;
    double theta = run->plan.kth.theta - run->plan.growth * log(selectivity) - SEARCH_AWAY_GROWTH * log(fair);
    shx_stop_rule rule = {run->plan.kth.beta, theta};
    return shx_stop_rule_holds(&rule, distance2, run->threshold, rank);
}

/* Asks for what a shard's scan needs, each a shard later than what leads to it: which runs are its own, what they are,
** their codes. */
static void search_prefetch_places(const shx_search_run *run, uint32_t shard) {
    __builtin_prefetch(&run->base->places[run->base->first_place[shard]]);
}

static void search_prefetch_runs(const shx_search_run *run, uint32_t shard) {
    const shx_base *base = run->base;
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        __builtin_prefetch(shx_base_run(base, base->places[p]));
    }
}

/* The first piece of each block, which is all that a look at its head reads. */
static void search_prefetch_heads(const shx_segment *segment, const shx_run *rows, uint32_t head_dim) {
    const uint8_t *block = segment->blocks + rows->first_block * segment->block_bytes;
    for (uint32_t i = 0; i < shx_blocks_of(rows->rows); i++, block += segment->block_bytes) {
        shx_prefetch_later(block, 4 * SHX_BLOCK_ROWS + 4 * (size_t)head_dim, SEARCH_PREFETCH_BYTES);
    }
}

static void search_prefetch_vectors(const shx_segment *segment, const shx_run *rows) {
    size_t bytes = segment->vector_bytes;
    if (!segment->group) {
        shx_prefetch_later(shx_segment_vector_at(segment, rows->first_row), rows->rows * bytes, SEARCH_PREFETCH_BYTES);
        return;
    }
    for (uint32_t i = 0; i < rows->rows && i * bytes < SEARCH_PREFETCH_BYTES; i++) {
        shx_prefetch_later(shx_segment_vector_at(segment, rows->first_row + i), bytes, SEARCH_PREFETCH_BYTES);
    }
}

static void search_prefetch_codes(const shx_search_run *run, uint32_t shard) {
    const shx_base *base = run->base;
    uint32_t head_dim = run->exact ? 0 : run->scratch->query->head_dim;
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        const shx_segment *segment = base->segments[base->places[p].segment];
        const shx_run *rows = &segment->runs[base->places[p].run];
        if (!run->coded) {
            search_prefetch_vectors(segment, rows);
        } else if (head_dim > 0) {
            search_prefetch_heads(segment, rows, head_dim);
        } else {
            shx_prefetch_later(segment->blocks + rows->first_block * segment->block_bytes,
                               shx_blocks_of(rows->rows) * segment->block_bytes, SEARCH_PREFETCH_BYTES);
        }
    }
}

/* Without codes the vectors are compared as they come. What the k-th best distance is in code space serves the rule to
** stop only. */
static shx_status search_compare_shard(shx_search_run *run, const shx_route *route, uint64_t *rows) {
    const shx_base *base = run->base;
    for (uint32_t p = base->first_place[route->shard]; p < base->first_place[route->shard + 1]; p++) {
        SHX_TRY(shx_search_scan_vectors(run, &(shx_piece){base->places[p], route->distance2, 0}));
        *rows += shx_base_run(base, base->places[p])->rows;
    }
    run->work.shards++;
    double worst = shx_topk_worst(run->hits);
    run->threshold = (float)shx_distance_to_code(&base->encoding, run->scratch->query->norm, worst);
    return SHX_OK;
}

/* Survivors of the shard before are refined after this one: their codes have arrived by then. */
static shx_status search_scan_shard(shx_search_run *run, const shx_route *route, uint64_t *rows) {
    const shx_base *base = run->base;
    run->survivors_before = run->survivor_count;
    for (uint32_t p = base->first_place[route->shard]; p < base->first_place[route->shard + 1]; p++) {
        SHX_TRY(shx_search_scan_codes(run, &(shx_piece){base->places[p], route->distance2, 0}));
        *rows += shx_base_run(base, base->places[p])->rows;
    }
    run->work.shards++;
    uint32_t older = run->survivors_before < run->survivor_count ? run->survivors_before : run->survivor_count;
    return shx_search_settle(run, older);
}

/* The next shards, the nearest first; routes[count] on are none. */
typedef struct search_queue {
    shx_route routes[SEARCH_LOOKAHEAD];
    uint32_t count;
    float limit; /* the order2 from which on no shard is asked for */
} search_queue;

static void search_queue_fill(shx_search_run *run, search_queue *queue) {
    shx_router *router = &run->scratch->router;
    while (queue->count < SEARCH_LOOKAHEAD &&
           shx_router_next_within(router, queue->limit, &queue->routes[queue->count])) {
        __builtin_prefetch(&run->base->first_place[queue->routes[queue->count++].shard]);
    }
    if (queue->count > 3) search_prefetch_places(run, queue->routes[3].shard);
    if (queue->count > 2) search_prefetch_runs(run, queue->routes[2].shard);
    if (queue->count > 1) search_prefetch_codes(run, queue->routes[1].shard);
}

static shx_route search_queue_take(shx_search_run *run, search_queue *queue) {
    shx_route route = queue->routes[0];
    memmove(queue->routes, queue->routes + 1, --queue->count * sizeof *queue->routes);
    search_queue_fill(run, queue);
    return route;
}

static shx_status search_make_room(shx_search_scratch *scratch, uint64_t pieces) {
    return shx_grow((void **)&scratch->pieces, &scratch->piece_capacity, scratch->piece_count + pieces,
                    sizeof *scratch->pieces);
}

/* Adds the runs of a shard to those that a wave scans, and their rows to *rows. */
static shx_status search_add_pieces(shx_search_run *run, const shx_route *route, uint64_t *rows) {
    const shx_base *base = run->base;
    shx_search_scratch *scratch = run->scratch;
    uint64_t first = base->first_place[route->shard], end = base->first_place[route->shard + 1];
    SHX_TRY(search_make_room(scratch, end - first));
    for (uint64_t p = first; p < end; p++) {
        scratch->pieces[scratch->piece_count++] = (shx_piece){base->places[p], route->distance2, 0};
        *rows += shx_base_run(base, base->places[p])->rows;
    }
    return SHX_OK;
}

/* Scans the next shard, or, when the search has become a long one, a wave of them. */
static shx_status search_scan_next(shx_search_run *run, search_queue *queue, float nearest2, uint64_t *rows) {
    shx_search_scratch *scratch = run->scratch;
    uint64_t before = *rows;
    shx_route route = search_queue_take(run, queue);
    if (!run->coded) return search_compare_shard(run, &route, rows);
    if (before < SHX_WAVE_ROWS) return search_scan_shard(run, &route, rows);
    scratch->piece_count = 0;
    SHX_TRY(search_add_pieces(run, &route, rows));
    for (run->work.shards++; queue->count > 0 && *rows < 2 * before; run->work.shards++) {
        if (search_may_stop(run, queue->routes[0].order2, nearest2, *rows)) break;
        route = search_queue_take(run, queue);
        SHX_TRY(search_add_pieces(run, &route, rows));
    }
    SHX_TRY(shx_search_settle(run, run->survivor_count));
    return shx_search_wave(run, scratch->pieces, scratch->piece_count, shx_search_scan_codes);
}

static shx_status search_scan_shards(shx_search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    search_queue queue = {.limit = INFINITY};
    uint64_t rows = 0;
    SHX_TRY(shx_router_start(&scratch->router, run->base->shards, run->base->handicaps, scratch->query, false));
    search_queue_fill(run, &queue);
    float nearest2 = queue.count > 0 ? queue.routes[0].order2 : 0;
    if (run->coded && queue.count > 0) shx_query_sharpen(scratch->query, queue.routes[0].distance2);
    shx_stop_plan_reach(&run->base->calibration, nearest2, &run->plan);
    while (queue.count > 0) {
        if (run->work.shards >= 2 && search_may_stop(run, queue.routes[0].order2, nearest2, rows)) break;
        /* A limit of the stop rule falls with the rank: what is beyond it now stays there. */
        if (run->limit.distance2 > 0) queue.limit = (float)run->limit.distance2;
        SHX_TRY(search_scan_next(run, &queue, nearest2, &rows));
    }
    run->work.exhaustive = queue.count == 0 && queue.limit == INFINITY;
    return shx_search_settle(run, run->survivor_count);
}

/* Whether code space can serve: the query must have a point there, and the scratch the right size. */
static shx_status search_set_query(shx_search_run *run, bool *ret_usable) {
    shx_search_scratch *scratch = run->scratch;
    const shx_encoding *encoding = &run->base->encoding;
    if (scratch->query && scratch->query->code_dim != encoding->code_dim) {
        shx_query_destroy(scratch->query);
        scratch->query = NULL;
    }
    if (!scratch->query) SHX_TRY(shx_query_create(encoding->code_dim, &scratch->query));
    *ret_usable = shx_query_set(scratch->query, encoding, run->params->query);
    return SHX_OK;
}

/* All runs, those of the nearest shards first. */
static shx_status search_list_by_distance(shx_search_run *run) {
    const shx_base *base = run->base;
    shx_route route, overflow = {.shard = (uint32_t)base->shards->count};
    uint64_t rows = 0;
    SHX_TRY(shx_router_start(&run->scratch->router, base->shards, base->handicaps, run->scratch->query, false));
    while (shx_router_next(&run->scratch->router, &route)) SHX_TRY(search_add_pieces(run, &route, &rows));
    return search_add_pieces(run, &overflow, &rows);
}

static shx_status search_add_seats(shx_search_run *run, uint32_t segment, uint64_t first, uint64_t end) {
    shx_search_scratch *scratch = run->scratch;
    SHX_TRY(search_make_room(scratch, (end - first) / SEARCH_SEATS + 1));
    for (uint64_t seat = first; seat < end; seat += SEARCH_SEATS) {
        uint32_t seats = end - seat < SEARCH_SEATS ? (uint32_t)(end - seat) : SEARCH_SEATS;
        scratch->pieces[scratch->piece_count++] = (shx_piece){{segment, (uint32_t)seat}, 0, seats};
    }
    return SHX_OK;
}

/* The seats of a segment, or those of the values that are asked for. */
static shx_status search_list_seats(shx_search_run *run, uint32_t number) {
    const shx_segment *segment = run->base->segments[number];
    const shx_match *match = run->matches ? &run->matches[number] : NULL;
    uint64_t first, end;
    SHX_TRY(shx_columns_verify(&segment->columns, segment->group - 1));
    if (!match || !shx_match_is_seated(match)) return search_add_seats(run, number, 0, segment->row_count);
    for (uint64_t i = 0; shx_match_seats(match, i, &first, &end); i++) {
        SHX_TRY(search_add_seats(run, number, first, end));
    }
    return SHX_OK;
}

/* Vectors that stand apart from their runs are gone through where they stand, unless another condition leaves few. */
static bool search_goes_by_seats(const shx_search_run *run, uint32_t number) {
    if (!run->base->segments[number]->group) return false;
    return !run->matches || shx_match_is_seated(&run->matches[number]) || run->share > SEARCH_SEATED_SHARE;
}

/* Everything, as it stands in the segments. */
static shx_status search_list_by_place(shx_search_run *run) {
    const shx_base *base = run->base;
    shx_search_scratch *scratch = run->scratch;
    for (uint32_t s = 0; s < base->segment_count; s++) {
        if (search_goes_by_seats(run, s)) {
            SHX_TRY(search_list_seats(run, s));
            continue;
        }
        uint32_t runs = base->segments[s]->run_count;
        SHX_TRY(search_make_room(scratch, runs));
        for (uint32_t r = 0; r < runs; r++) scratch->pieces[scratch->piece_count++] = (shx_piece){{s, r}, 0, 0};
    }
    return SHX_OK;
}

/* When many are asked for, those that are found and fall out again cost more than to go from place to place. */
static shx_status search_list_runs(shx_search_run *run) {
    bool usable = false;
    run->scratch->piece_count = 0;
    uint64_t rows = run->view->mark.live_rows;
    bool many = run->params->k > rows / SEARCH_MANY_SHARE && run->params->k < rows;
    many = many && !(run->base->segment_count > 0 && search_goes_by_seats(run, 0));
    if (many && rows >= SEARCH_ORDERED_ROWS && run->base->shards && run->coded) SHX_TRY(search_set_query(run, &usable));
    return usable ? search_list_by_distance(run) : search_list_by_place(run);
}

/* Looks at all vectors; in waves, as above, from the second on. */
static shx_status search_scan_all_vectors(shx_search_run *run) {
    const shx_base *base = run->base;
    const shx_search_scratch *scratch = run->scratch;
    uint64_t rows = 0, wave = 0;
    run->work.exhaustive = run->trusted = true;
    SHX_TRY(search_list_runs(run));
    for (uint64_t first = 0, end = 0; first < scratch->piece_count; first = end, wave = rows) {
        for (; end < scratch->piece_count && rows <= 2 * wave + SHX_WAVE_ROWS; end++) {
            const shx_piece *piece = &scratch->pieces[end];
            rows += piece->seats ? piece->seats : shx_base_run(base, piece->place)->rows;
        }
        if (first > 0 && run->looks) {
            SHX_TRY(shx_search_wave(run, scratch->pieces + first, end - first, shx_search_scan_vectors));
            continue;
        }
        for (uint64_t i = first; i < end; i++) SHX_TRY(shx_search_scan_vectors(run, &scratch->pieces[i]));
    }
    return SHX_OK;
}

/* ---- the whole ---- */

/* The rows of the delta that are coded, as of this search. */
static uint32_t search_coded_rows(const shx_search_run *run) {
    return atomic_load_explicit(&run->delta->codes.coded_rows, memory_order_acquire);
}

/* Where few rows are admitted, all of them are looked at. */
static void search_make_plan(shx_search_run *run) {
    shx_stop_plan_make(&run->base->calibration, run->params->k, run->params->recall, &run->plan);
    if (!run->every_block) return;
    run->plan.exhaustive = true;
    if (run->plan.epsilon < SEARCH_FEW_EPSILON) run->plan.epsilon = SEARCH_FEW_EPSILON;
}

/* A radius is a threshold to start with. Call when the norms are known. */
static void search_set_radius(shx_search_run *run) {
    if (!run->params->within) return;
    double radius2 = shx_distance_to_code(&run->base->encoding, run->query_norm, run->params->radius);
    float threshold = radius2 < -(double)FLT_MAX ? -FLT_MAX : (float)radius2; /* ip of vectors beyond floats */
    run->threshold = threshold + SEARCH_RADIUS_SLACK * fabsf(threshold) + shx_search_slack(run, threshold);
}

/* Under cosine the overflow shard holds the zero vectors, all at distance 1: who has found enough within it need not
** look at them, however many they are. */
static bool search_needs_zeros(const shx_search_run *run) {
    return run->exact || run->plan.exhaustive || !(run->threshold < SEARCH_ONE_IN_CODE);
}

/* What must be compared comes first, and gives a threshold to start with; the delta's codes come last, when the
** threshold is near its final value. */
static shx_status search_by_codes(shx_search_run *run) {
    uint32_t coded = search_coded_rows(run);
    search_make_plan(run);
    run->exact = run->params->exact;
    if (run->exact || run->view->mark.live_rows < SHX_ROUTED_ROWS) run->plan.exhaustive = true;
    run->query_norm = run->scratch->query->norm;
    run->norm = sqrtf(run->scratch->query->norm2);
    search_set_radius(run);
    run->live_share = shx_base_live_share(run->base);
    run->sigmas = run->plan.epsilon >= SEARCH_WIDE_EPSILON ? SEARCH_WIDE_SIGMAS : SEARCH_SIGMAS;
    bool zeros = run->base->encoding.metric == SHX_COSINE;
    SHX_TRY(shx_search_scan_delta(run, coded));
    if (!zeros) SHX_TRY(shx_search_scan_overflow(run));
    SHX_TRY(shx_search_seed_uppers(run));
    SHX_TRY(search_scan_shards(run));
    SHX_TRY(shx_search_scan_delta_codes(run, coded));
    if (zeros && search_needs_zeros(run)) SHX_TRY(shx_search_scan_overflow(run));
    return shx_search_verify(run);
}

/* The nearest shards' vectors, all of the delta's and those of the overflow shard. */
static shx_status search_by_shards(shx_search_run *run) {
    search_make_plan(run);
    run->live_share = shx_base_live_share(run->base);
    SHX_TRY(shx_search_scan_delta(run, 0));
    SHX_TRY(shx_search_scan_overflow(run));
    return search_scan_shards(run);
}

/* Is there nothing to leave out, so that what a look leaves would be all? (A large table has its waves of looks.) */
static bool search_wants_all(const shx_search_run *run) {
    uint64_t k = run->params->k, rows = run->view->mark.live_rows;
    return !run->params->within && rows < SHX_EXACT_ROWS && rows - rows / 3 <= k;
}

/* Everything is looked at; nothing but certain bounds decides. */
static shx_status search_by_vectors(shx_search_run *run) {
    const shx_encoding *encoding = &run->base->encoding;
    run->exact = true;
    run->looks = !search_wants_all(run) && shx_near_set(&run->near, encoding, run->params->query);
    run->query_norm = run->looks ? run->near.norm : 0;
    run->norm = encoding->metric == SHX_COSINE ? 1 : (float)run->query_norm;
    shx_smallest_relax(&run->scratch->uppers);
    if (run->looks) {
        search_set_radius(run);
        SHX_TRY(shx_search_seed_uppers(run));
    }
    SHX_TRY(shx_search_scan_delta(run, 0));
    SHX_TRY(run->listed ? shx_search_scan_listed(run) : search_scan_all_vectors(run));
    return shx_search_verify(run);
}

/* To read the vectors themselves takes less than their codes and the vectors of what codes leave: in small tables, and
** for the true neighbours when vectors are short or many of them are asked for. Without codes there must be something
** to leave out. */
static bool search_prefers_vectors(const shx_search_run *run) {
    const shx_search_params *params = run->params;
    const shx_encoding *encoding = &run->base->encoding;
    uint64_t rows = run->view->mark.live_rows;
    if (run->listed || rows < SHX_EXACT_ROWS) return true;
    if (!run->coded) return params->exact || params->recall > SHX_RECALL_EXHAUSTIVE || rows < SHX_ROUTED_ROWS;
    bool is_short = encoding->element == SHX_FLOAT32 && encoding->dim <= SEARCH_SHORT_DIM;
    if (is_short && params->k > rows / SEARCH_MOST_SHARE && !params->within) return true;
    return params->exact && (is_short || (params->k > rows / SEARCH_EXACT_SHARE && !params->within));
}

static shx_status search_prepare_query(shx_search_run *run, bool *ret_usable) {
    *ret_usable = false;
    run->coded = shx_encoding_coded(&run->base->encoding);
    if (!run->base->shards || search_prefers_vectors(run)) return SHX_OK;
    return search_set_query(run, ret_usable);
}

static shx_status search_run_through(shx_search_run *run) {
    bool usable;
    SHX_TRY(shx_search_scan_pending(run));
    SHX_TRY(search_prepare_query(run, &usable));
    if (!usable) return search_by_vectors(run);
    return run->coded ? search_by_codes(run) : search_by_shards(run);
}

shx_status shx_search(shx_view *view, const shx_search_params *params, shx_search_scratch *scratch,
                      shx_topk *ret_hits) {
    shx_search_run run = {.view = view,
                          .base = view->delta->base,
                          .delta = view->delta,
                          .params = params,
                          .scratch = scratch,
                          .found = &scratch->found,
                          .kernels = shx_kernels_get(),
                          .hits = ret_hits,
                          .asks = true,
                          .threshold = INFINITY,
                          .share = 1};
    if (run.base->encoding.metric == SHX_COSINE) {
        run.scale = shx_scale(run.base->encoding.element, params->query, run.base->encoding.dim);
    }
    shx_topk_reset(ret_hits, params->k);
    scratch->found.count = 0;
    shx_smallest_reset(&scratch->uppers, params->k);
    scratch->work = (shx_search_work){0};
    if (params->k == 0) return SHX_OK;
    SHX_TRY(shx_search_prepare_filter(&run));
    SHX_TRY(search_run_through(&run));
    SHX_TRY(shx_topk_sort(ret_hits, &(shx_stop){params->interrupted, params->interrupted_context}));
    scratch->work = run.work;
    if (run.work.capped && params->index) atomic_fetch_add(&params->index->capped, 1);
    return SHX_OK;
}
