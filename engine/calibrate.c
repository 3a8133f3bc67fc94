#include "calibrate.h"

#include "index_state.h"
#include "limits.h"
#include "memory.h"
#include "order.h"
#include "router.h"
#include "search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CALIBRATE_QUERIES_MIN 200
#define CALIBRATE_COMPARED 25000000 /* vectors that are compared at most for more queries than that */
#define CALIBRATE_K 100
#define CALIBRATE_FREE_SHARDS 2  /* shards that a search always probes */
#define CALIBRATE_DEEP_EVERY 3   /* of so many queries one is asked for 100 neighbours, the others for 10 */
#define CALIBRATE_PILOT_EVERY 15 /* of so many queries one goes through the whole table; the others go as far … */
#define CALIBRATE_PILOT_BETA 0.3
#define CALIBRATE_PILOT_MARGIN 0.25 /* … as this theta beyond the farthest neighbour that these have found */

/* Queries on which the losses of the bounds are measured: neighbours count, so one in so many. */
static const uint32_t calibrate_loss_every[SHX_CALIBRATION_KS] = {2, 4, 15};

static const double calibrate_betas[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0};

#define CALIBRATE_BETAS (sizeof calibrate_betas / sizeof *calibrate_betas)

/* What is known of one query: its neighbours' places in the order of the shards. */
typedef struct calibrate_query {
    const void *vector;
    int64_t rowid;
    int64_t neighbours[CALIBRATE_K]; /* rowids of the true nearest, itself left out */
    uint32_t position[CALIBRATE_K];  /* of their shards in the query's order; 0: always found */
    double kth2[SHX_CALIBRATION_KS]; /* squared distance of the k-th neighbour */
    uint32_t wanted, count;          /* neighbours asked for, and known */
    float log_nearest2;              /* of the nearest centroid, had the query not been among the rows */
    uint32_t depth;                  /* positions known */
    float *log_distance2;            /* of the centroids in order, `depth` of them */
    float *rank;                     /* rows before each, / SHX_SHARD_TARGET */
    float *log_rank;                 /* log1p of it */
} calibrate_query;

typedef struct calibrate_work {
    shx_view *view;
    const shx_base *base;
    calibrate_query *queries;
    uint64_t count;
    uint32_t *shard_rows; /* per shard of the table: rows in all segments */
    bool piloting;        /* the pilots are being measured */
    shx_progress *progress;
} calibrate_work;

/* ---- the truth ---- */

/* The pilots go through everything; the others stop by the rule that the pilots have given (calibrate_widen). */
static shx_status calibrate_find_neighbours(const calibrate_work *work, calibrate_query *query,
                                            shx_search_scratch *scratch, shx_topk *hits) {
    double recall = work->piloting ? 1 : SHX_RECALL_EXHAUSTIVE;
    shx_search_params params = {.query = query->vector, .k = query->wanted + 1, .recall = recall};
    SHX_TRY(shx_search(work->view, &params, scratch, hits));
    const shx_encoding *encoding = &work->base->encoding;
    double norm = sqrt(shx_norm2(encoding->element, query->vector, encoding->dim));
    for (uint64_t i = 0; i < hits->count && query->count < query->wanted; i++) {
        if (hits->hits[i].rowid == query->rowid) continue;
        query->neighbours[query->count++] = hits->hits[i].rowid;
        for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
            if (query->count != shx_calibration_ks[k]) continue;
            query->kth2[k] = shx_distance_to_code(encoding, norm, hits->hits[i].distance);
        }
    }
    return SHX_OK;
}

static bool calibrate_is_dead(const shx_base *base, uint32_t segment, uint64_t row) {
    if (!base->dead[segment]) return false;
    uint64_t slot = shx_segment_slot(base->segments[segment], row);
    return base->dead[segment][slot / SHX_BLOCK_ROWS] >> (slot % SHX_BLOCK_ROWS) & 1;
}

/* The shard that holds a posting of the base; SHX_SHARD_NONE for the overflow shard and for postings of the delta. */
static uint32_t calibrate_shard_of(const shx_base *base, int64_t rowid) {
    for (uint32_t s = 0; s < base->segment_count; s++) {
        uint64_t row;
        uint32_t position;
        if (!shx_segment_find(base->segments[s], rowid, &row) || calibrate_is_dead(base, s, row)) continue;
        const shx_run *run = &base->segments[s]->runs[shx_segment_run_of(base->segments[s], row)];
        if (run->shard != SHX_SHARD_OVERFLOW && shx_shards_find(base->shards, run->shard, &position)) return position;
    }
    return SHX_SHARD_NONE;
}

/* The memory for one query's measurement, reused. */
typedef struct calibrate_scratch {
    shx_search_scratch *search;
    shx_topk hits;
    shx_query *query;
    shx_router router;
    shx_route *routes;
    uint32_t *position;
    uint8_t *marked; /* per shard */
} calibrate_scratch;

static shx_status calibrate_keep_order(const calibrate_work *work, calibrate_query *query, const shx_route *routes,
                                       uint32_t depth) {
    query->log_distance2 = shx_alloc_zero(depth, sizeof(float));
    query->rank = shx_alloc_zero(depth, sizeof(float));
    query->log_rank = shx_alloc_zero(depth, sizeof(float));
    SHX_CHECK(query->log_distance2 && query->rank && query->log_rank, SHX_NOMEM);
    query->depth = depth;
    double live_share = shx_base_live_share(work->base);
    uint64_t rows = 0;
    for (uint32_t p = 0; p < depth; p++) {
        query->log_distance2[p] = logf(routes[p].distance2); /* -infinity at a centroid */
        query->rank[p] = (float)((double)rows * live_share / SHX_SHARD_TARGET);
        query->log_rank[p] = log1pf(query->rank[p]);
        rows += work->shard_rows[routes[p].shard];
    }
    return SHX_OK;
}

/* A row has drawn its shard's centroid towards itself, as no query from elsewhere has: without it, the centroid of the
** other n - 1 rows would be n / (n - 1) times as far. */
static void calibrate_leave_out(const calibrate_work *work, calibrate_query *query, const shx_route *routes) {
    float nearest2 = query->log_distance2[0];
    if (routes[0].shard == calibrate_shard_of(work->base, query->rowid)) {
        double rows = work->shard_rows[routes[0].shard];
        if (rows > 1) nearest2 += (float)(2 * log(rows / (rows - 1)));
        if (query->depth > 1 && query->log_distance2[1] < nearest2) nearest2 = query->log_distance2[1];
    }
    query->log_nearest2 = nearest2;
}

/* Notes in which shards the neighbours are; returns in how many. */
static uint32_t calibrate_mark_shards(const calibrate_work *work, const calibrate_query *query, uint32_t *shards,
                                      uint8_t *marked) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < query->count; j++) {
        shards[j] = calibrate_shard_of(work->base, query->neighbours[j]);
        if (shards[j] == SHX_SHARD_NONE || marked[shards[j]]) continue;
        marked[shards[j]] = 1;
        count++;
    }
    return count;
}

/* Orders the shards for a query, as the router does it for searches, and notes where its neighbours' shards stand: as
** far as they go, and as far again. */
static shx_status calibrate_locate(const calibrate_work *work, calibrate_query *query, calibrate_scratch *scratch) {
    uint32_t shards[CALIBRATE_K], count = 0, depth = 2;
    if (!shx_query_set(scratch->query, &work->base->encoding, query->vector)) {
        query->count = 0;
        return SHX_OK;
    }
    uint32_t left = calibrate_mark_shards(work, query, shards, scratch->marked);
    SHX_TRY(shx_router_start(&scratch->router, work->base->shards, scratch->query, false));
    while (count < depth && shx_router_next(&scratch->router, &scratch->routes[count])) {
        uint32_t shard = scratch->routes[count].shard;
        scratch->position[shard] = count++;
        left -= scratch->marked[shard];
        scratch->marked[shard] = 0;
        depth = left > 0 ? UINT32_MAX : depth == UINT32_MAX ? 2 * count : depth;
    }
    for (uint32_t j = 0; j < query->count; j++) {
        query->position[j] = shards[j] == SHX_SHARD_NONE ? 0 : scratch->position[shards[j]];
    }
    SHX_TRY(calibrate_keep_order(work, query, scratch->routes, count));
    calibrate_leave_out(work, query, scratch->routes);
    return SHX_OK;
}

static shx_status calibrate_measure_range(const calibrate_work *work, uint64_t first, uint64_t end,
                                          calibrate_scratch *scratch) {
    uint64_t shards = work->base->shards->count;
    SHX_TRY(shx_search_scratch_create(&scratch->search));
    SHX_TRY(shx_query_create(work->base->encoding.code_dim, &scratch->query));
    scratch->routes = shx_alloc_zero(shards + 1, sizeof *scratch->routes);
    scratch->position = shx_alloc_zero(shards, sizeof *scratch->position);
    scratch->marked = shx_alloc_zero(shards, sizeof *scratch->marked);
    SHX_CHECK(scratch->routes && scratch->position && scratch->marked, SHX_NOMEM);
    for (uint64_t i = first; i < end; i++) {
        if ((i % CALIBRATE_PILOT_EVERY == 0) != work->piloting) continue;
        SHX_TRY(calibrate_find_neighbours(work, &work->queries[i], scratch->search, &scratch->hits));
        SHX_TRY(calibrate_locate(work, &work->queries[i], scratch));
        shx_progress_add(work->progress, 1);
        SHX_TRY(shx_progress_check(work->progress));
    }
    return SHX_OK;
}

static shx_status calibrate_measure(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    calibrate_scratch scratch = {0};
    shx_status status = calibrate_measure_range(context, first, end, &scratch);
    shx_search_scratch_destroy(scratch.search);
    shx_query_destroy(scratch.query);
    shx_topk_free(&scratch.hits);
    shx_router_free(&scratch.router);
    shx_free(scratch.routes);
    shx_free(scratch.position);
    shx_free(scratch.marked);
    return status;
}

/* ---- fitting ---- */

/* The score that theta must reach so that shard p is probed: the highest one on the way there. Written for all
** positions. Without a reference (the logarithm of nothing) no shard needs more than the first ones. */
static void calibrate_needs(const calibrate_query *query, float log_reference2, float beta, float *needs) {
    float highest = -INFINITY;
    for (uint32_t p = 0; p < query->depth; p++) {
        if (p >= CALIBRATE_FREE_SHARDS && isfinite(log_reference2)) {
            float score = query->log_distance2[p] - log_reference2 + beta * query->log_rank[p];
            if (score > highest) highest = score;
        }
        needs[p] = highest;
    }
}

static inline bool calibrate_float_before(const float *a, const float *b) { return *a < *b; }

SHX_DEFINE_ORDER(calibrate_floats, float, calibrate_float_before)

/* One candidate rule: form, beta and k, tried on all queries that know so many neighbours. */
typedef struct calibrate_trial {
    bool kth, pilots; /* the pilots alone */
    double beta;
    int k;
    float *needs;  /* of all queries one after the other, `depth` each */
    float *wanted; /* what each (query, neighbour) needs, sorted */
    uint64_t wanted_count, queries;
} calibrate_trial;

/* The share of the neighbours in probed shards that the bounds lose. */
typedef struct calibrate_losses {
    double share[SHX_CALIBRATION_KS][SHX_CALIBRATION_RECALLS];
} calibrate_losses;

static bool calibrate_takes_part(const calibrate_work *work, const calibrate_trial *trial, uint64_t q) {
    const calibrate_query *query = &work->queries[q];
    if (trial->pilots && q % CALIBRATE_PILOT_EVERY != 0) return false;
    return query->count > 0 && query->wanted >= shx_calibration_ks[trial->k];
}

static void calibrate_try(const calibrate_work *work, calibrate_trial *trial) {
    float *needs = trial->needs;
    uint32_t k = shx_calibration_ks[trial->k];
    trial->wanted_count = trial->queries = 0;
    for (uint64_t q = 0; q < work->count; q++) {
        const calibrate_query *query = &work->queries[q];
        if (!calibrate_takes_part(work, trial, q)) continue;
        float reference = trial->kth ? (float)log(query->kth2[trial->k]) : query->log_nearest2;
        calibrate_needs(query, reference, (float)trial->beta, needs);
        for (uint32_t j = 0; j < k && j < query->count; j++) {
            trial->wanted[trial->wanted_count++] = needs[query->position[j]];
        }
        needs += query->depth;
        trial->queries++;
    }
    calibrate_floats_sort(trial->wanted, trial->wanted_count);
}

/* Mean rows that a search scans when it stops above theta. */
static double calibrate_mean_rows(const calibrate_work *work, const calibrate_trial *trial, double theta) {
    const float *needs = trial->needs;
    double total = 0;
    uint64_t queries = 0;
    for (uint64_t q = 0; q < work->count; q++) {
        const calibrate_query *query = &work->queries[q];
        if (!calibrate_takes_part(work, trial, q)) continue;
        uint32_t low = 0, high = query->depth;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (needs[middle] <= theta) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        total += (double)query->rank[low < query->depth ? low : query->depth - 1] * SHX_SHARD_TARGET;
        needs += query->depth;
        queries++;
    }
    return queries ? total / (double)queries : 0;
}

static double calibrate_theta(const calibrate_trial *trial, double target) {
    if (trial->wanted_count == 0) return 0;
    double place = ceil(target * (double)trial->wanted_count);
    uint64_t i = place < 1 ? 0 : (uint64_t)place - 1;
    float theta = trial->wanted[i < trial->wanted_count ? i : trial->wanted_count - 1];
    return isfinite(theta) ? theta : 0;
}

/* The standard error of the recall that a theta promises: neighbours of one query are found or missed together, so it
** is the queries that count. */
static double calibrate_error(const calibrate_work *work, const calibrate_trial *trial, double theta) {
    const float *needs = trial->needs;
    uint32_t k = shx_calibration_ks[trial->k];
    double sum = 0, squares = 0, queries = (double)trial->queries;
    for (uint64_t q = 0; q < work->count; q++) {
        const calibrate_query *query = &work->queries[q];
        if (!calibrate_takes_part(work, trial, q)) continue;
        uint32_t wanted = query->count < k ? query->count : k, found = 0;
        for (uint32_t j = 0; j < wanted; j++) found += needs[query->position[j]] <= theta;
        double share = (double)found / wanted;
        sum += share;
        squares += share * share;
        needs += query->depth;
    }
    double mean = sum / queries, variance = squares / queries - mean * mean;
    return variance > 0 ? sqrt(variance / queries) : 0;
}

/* The theta for a recall: a standard error more, so that it holds for other queries than these, and what the bounds
** lose. */
static double calibrate_safe_theta(const calibrate_work *work, const calibrate_trial *trial, double recall,
                                   double loss) {
    if (trial->queries == 0) return 0;
    double kept = 1 - loss, error = calibrate_error(work, trial, calibrate_theta(trial, fmin(recall / kept, 1)));
    return calibrate_theta(trial, fmin((recall + error) / kept, 1));
}

/* What each beta would need and cost. */
typedef struct calibrate_menu {
    double theta[CALIBRATE_BETAS][SHX_CALIBRATION_RECALLS];
    double rows[CALIBRATE_BETAS][SHX_CALIBRATION_RECALLS];
} calibrate_menu;

static void calibrate_price(const calibrate_work *work, calibrate_trial *trial, const calibrate_losses *losses,
                            size_t beta, calibrate_menu *menu) {
    trial->beta = calibrate_betas[beta];
    calibrate_try(work, trial);
    for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
        double recall = shx_calibration_recalls[r], loss = losses->share[trial->k][r];
        menu->theta[beta][r] = calibrate_safe_theta(work, trial, recall, loss);
        menu->rows[beta][r] = calibrate_mean_rows(work, trial, menu->theta[beta][r]);
    }
}

/* The beta that scans the fewest rows, not only for this recall but also for the ones beside it: to take the cheapest
** of several noisy thetas would be to prefer those that are too low. */
static size_t calibrate_choose_beta(const calibrate_menu *menu, int r) {
    double best = INFINITY;
    size_t chosen = 0;
    int low = r > 0 ? r - 1 : 0, high = r + 1 < SHX_CALIBRATION_RECALLS ? r + 1 : r;
    for (size_t b = 0; b < CALIBRATE_BETAS; b++) {
        double cost = 0;
        for (int i = low; i <= high; i++) cost += log1p(menu->rows[b][i]);
        if (cost >= best) continue;
        best = cost;
        chosen = b;
    }
    return chosen;
}

/* The two forms are fitted apart from each other. */
typedef struct calibrate_fitting {
    const calibrate_work *work;
    const calibrate_losses *losses;
    shx_calibration *calibration;
    uint64_t positions;
} calibrate_fitting;

/* From the menus to the rules. One neighbour a query tells too little to choose a beta for k = 1 by: it is that of the
** next k. */
static void calibrate_adopt(const calibrate_menu menus[SHX_CALIBRATION_KS], bool kth, shx_calibration *calibration) {
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            size_t b = calibrate_choose_beta(&menus[k > 0 ? k : 1], r);
            shx_stop_rule rule = {calibrate_betas[b], menus[k].theta[b][r]};
            if (kth) {
                calibration->kth[k][r] = rule;
            } else {
                calibration->first[k][r] = rule;
                calibration->mean_rows[k][r] = menus[k].rows[b][r];
            }
        }
    }
}

static shx_status calibrate_fit_forms(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const calibrate_fitting *fitting = context;
    calibrate_menu menus[SHX_CALIBRATION_KS];
    calibrate_trial trial = {.needs = shx_alloc_zero(fitting->positions, sizeof(float)),
                             .wanted = shx_alloc_zero(fitting->work->count * CALIBRATE_K, sizeof(float))};
    shx_status status = trial.needs && trial.wanted ? SHX_OK : SHX_NOMEM;
    for (uint64_t form = first; status == SHX_OK && form < end; form++) {
        trial.kth = form == 1;
        for (trial.k = 0; trial.k < SHX_CALIBRATION_KS; trial.k++) {
            for (size_t b = 0; status == SHX_OK && b < CALIBRATE_BETAS; b++) {
                status = shx_progress_check(fitting->work->progress);
                calibrate_price(fitting->work, &trial, fitting->losses, b, &menus[trial.k]);
            }
        }
        if (status == SHX_OK) calibrate_adopt(menus, trial.kth, fitting->calibration);
    }
    shx_free(trial.needs);
    shx_free(trial.wanted);
    return status;
}

static shx_status calibrate_fit(const calibrate_work *work, shx_pool *pool, const calibrate_losses *losses,
                                shx_calibration *calibration) {
    calibrate_fitting fitting = {.work = work, .losses = losses, .calibration = calibration};
    for (uint64_t q = 0; q < work->count; q++) fitting.positions += work->queries[q].depth;
    return shx_pool_run(pool, 2, 1, calibrate_fit_forms, &fitting);
}

/* ---- the pilots ---- */

/* A rule under which next to no neighbour is missed, from what the pilots have found. */
static shx_status calibrate_widen(const calibrate_work *work, shx_calibration *ret_wide) {
    uint64_t positions = 0;
    double theta = 0;
    for (uint64_t q = 0; q < work->count; q++) positions += work->queries[q].depth;
    calibrate_trial trial = {.pilots = true,
                             .beta = CALIBRATE_PILOT_BETA,
                             .needs = shx_alloc_zero(positions, sizeof(float)),
                             .wanted = shx_alloc_zero(work->count * CALIBRATE_K, sizeof(float))};
    shx_status status = trial.needs && trial.wanted ? SHX_OK : SHX_NOMEM;
    for (trial.k = 0; status == SHX_OK && trial.k < SHX_CALIBRATION_KS; trial.k++) {
        calibrate_try(work, &trial);
        theta = fmax(theta, calibrate_theta(&trial, 1));
    }
    shx_free(trial.needs);
    shx_free(trial.wanted);
    SHX_TRY(status);
    shx_calibration_default(ret_wide);
    ret_wide->fitted = 1;
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            ret_wide->first[k][r] = (shx_stop_rule){CALIBRATE_PILOT_BETA, theta + CALIBRATE_PILOT_MARGIN};
            ret_wide->mean_rows[k][r] = (double)work->view->mark.live_rows;
        }
    }
    return SHX_OK;
}

/* Finds the neighbours of all queries. */
static shx_status calibrate_explore(calibrate_work *work, shx_pool *pool) {
    shx_calibration *in_use = &work->view->delta->base->calibration;
    shx_calibration before = *in_use;
    work->piloting = true;
    shx_status status = shx_pool_run(pool, work->count, 20, calibrate_measure, work);
    work->piloting = false;
    if (status == SHX_OK) status = calibrate_widen(work, in_use);
    if (status == SHX_OK) status = shx_pool_run(pool, work->count, 20, calibrate_measure, work);
    *in_use = before;
    return status;
}

/* ---- the bounds' own losses ---- */

typedef struct calibrate_check {
    const calibrate_work *work;
    int k;
    double recall;
    atomic_ullong found, probed;
} calibrate_check;

/* Neighbours that a search has found, and those in the shards that it probed. */
static void calibrate_count(calibrate_check *check, const calibrate_query *query, const shx_topk *hits,
                            uint64_t shards) {
    uint32_t wanted = shx_calibration_ks[check->k];
    for (uint32_t j = 0; j < query->count && j < wanted; j++) {
        if (query->position[j] >= shards) continue;
        uint64_t i = 0;
        while (i < hits->count && hits->hits[i].rowid != query->neighbours[j]) i++;
        atomic_fetch_add(&check->found, i < hits->count);
        atomic_fetch_add(&check->probed, 1);
    }
}

static shx_status calibrate_check_range(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    calibrate_check *check = context;
    const calibrate_work *work = check->work;
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    SHX_TRY(shx_search_scratch_create(&scratch));
    shx_status status = SHX_OK;
    for (uint64_t i = first; status == SHX_OK && i < end; i++) {
        const calibrate_query *query = &work->queries[i * calibrate_loss_every[check->k]];
        uint32_t k = shx_calibration_ks[check->k];
        if (query->wanted < k) continue;
        shx_search_params params = {.query = query->vector, .k = k + 1, .recall = check->recall};
        status = shx_search(work->view, &params, scratch, &hits);
        if (status == SHX_OK) calibrate_count(check, query, &hits, shx_search_last_work(scratch).shards);
        if (status == SHX_OK) status = shx_progress_check(work->progress);
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    return status;
}

/* Searches with the rules just fitted, once for each width of the bounds: at the highest recall that has it. */
static shx_status calibrate_measure_losses(const calibrate_work *work, shx_pool *pool, const shx_calibration *fitted,
                                           calibrate_losses *ret_losses) {
    shx_calibration *in_use = &work->view->delta->base->calibration;
    shx_calibration before = *in_use;
    shx_status status = SHX_OK;
    *in_use = *fitted;
    for (int k = 0; status == SHX_OK && k < SHX_CALIBRATION_KS; k++) {
        double share = 0, width = 0;
        for (int r = SHX_CALIBRATION_RECALLS - 1; status == SHX_OK && r >= 0; r--) {
            calibrate_check check = {.work = work, .k = k, .recall = shx_calibration_recalls[r]};
            double epsilon = shx_calibration_epsilon(fitted, check.recall);
            if (epsilon != width) {
                uint64_t searches = (work->count - 1) / calibrate_loss_every[k] + 1;
                status = shx_pool_run(pool, searches, 10, calibrate_check_range, &check);
                share = check.probed > 0 ? 1 - (double)check.found / (double)check.probed : 0;
                width = epsilon;
            }
            ret_losses->share[k][r] = share;
        }
    }
    *in_use = before;
    return status;
}

/* ---- all of it ---- */

/* Without codes the truth of one query is a comparison with all vectors: large tables are measured on fewer queries. */
static uint64_t calibrate_query_count(const shx_base *base, uint64_t rows) {
    if (shx_encoding_coded(&base->encoding) || rows * SHX_CALIBRATE_QUERIES <= CALIBRATE_COMPARED) {
        return SHX_CALIBRATE_QUERIES;
    }
    uint64_t count = CALIBRATE_COMPARED / rows;
    return count > CALIBRATE_QUERIES_MIN ? count : CALIBRATE_QUERIES_MIN;
}

static shx_status calibrate_choose_queries(calibrate_work *work) {
    const shx_base *base = work->base;
    uint64_t total = 0;
    for (uint32_t s = 0; s < base->segment_count; s++) {
        SHX_TRY(shx_segment_verify_rowids(base->segments[s]));
        total += base->segments[s]->row_count;
    }
    uint64_t wanted = calibrate_query_count(base, total);
    if (wanted > total) wanted = total;
    work->queries = shx_alloc_zero(wanted, sizeof *work->queries);
    work->shard_rows = shx_alloc_zero(base->shards->count + 1, sizeof *work->shard_rows);
    SHX_CHECK(work->queries && work->shard_rows, SHX_NOMEM);
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t row = i * total / wanted;
        uint32_t s = 0;
        while (row >= base->segments[s]->row_count) row -= base->segments[s++]->row_count;
        if (calibrate_is_dead(base, s, row)) continue;
        calibrate_query *query = &work->queries[work->count++];
        SHX_TRY(shx_segment_vector(base->segments[s], row, &query->vector));
        query->rowid = base->segments[s]->rowids[row];
        query->wanted = (work->count - 1) % CALIBRATE_DEEP_EVERY == 0 ? CALIBRATE_K : CALIBRATE_K / 10;
    }
    for (uint64_t p = 0; p < base->shards->count; p++) {
        for (uint32_t i = base->first_place[p]; i < base->first_place[p + 1]; i++) {
            work->shard_rows[p] += base->segments[base->places[i].segment]->runs[base->places[i].run].rows;
        }
    }
    return SHX_OK;
}

shx_status shx_calibrate(shx_view *view, shx_pool *pool, shx_calibration *ret_calibration) {
    calibrate_work work = {.view = view, .base = view->delta->base, .progress = shx_pool_progress(pool)};
    shx_calibration calibration;
    calibrate_losses losses = {0};
    shx_calibration_default(&calibration);
    shx_status status = calibrate_choose_queries(&work);
    shx_progress_begin(work.progress, SHX_PHASE_CALIBRATING, work.count);
    if (status == SHX_OK) status = calibrate_explore(&work, pool);
    calibration.fitted = 1;
    calibration.sample_size = work.count;
    if (status == SHX_OK) status = calibrate_fit(&work, pool, &losses, &calibration);
    if (status == SHX_OK && work.count > 0) status = calibrate_measure_losses(&work, pool, &calibration, &losses);
    if (status == SHX_OK) status = calibrate_fit(&work, pool, &losses, &calibration);
    for (uint64_t q = 0; q < work.count; q++) {
        shx_free(work.queries[q].log_distance2);
        shx_free(work.queries[q].rank);
        shx_free(work.queries[q].log_rank);
    }
    shx_free(work.queries);
    shx_free(work.shard_rows);
    if (status == SHX_OK) *ret_calibration = calibration;
    return status;
}
