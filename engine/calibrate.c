#include "calibrate.h"

#include "index_state.h"
#include "limits.h"
#include "memory.h"
#include "router.h"
#include "search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CALIBRATE_QUERIES_MIN 200
#define CALIBRATE_COMPARED 25000000 /* vectors that are compared at most for more queries than that */
#define CALIBRATE_K 100
#define CALIBRATE_CHECKS 3      /* recalls at which the losses of the bounds are measured */
#define CALIBRATE_FREE_SHARDS 2 /* shards that a search always probes */

/* Shares of the way from a recall target to 1 that are aimed at: what is fitted on rows of the table must hold for
** queries that are not in it. */
#define CALIBRATE_MARGIN 0.12

static const double calibrate_betas[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0};

#define CALIBRATE_BETAS (sizeof calibrate_betas / sizeof *calibrate_betas)

/* What is known of one query: its neighbours' places in the order of the shards. */
typedef struct calibrate_query {
    const void *vector;
    int64_t rowid;
    int64_t neighbours[CALIBRATE_K]; /* rowids of the true nearest, itself left out */
    uint32_t position[CALIBRATE_K];  /* of their shards in the query's order; 0: always found */
    double kth2[SHX_CALIBRATION_KS]; /* squared distance of the k-th neighbour */
    uint32_t count;                  /* neighbours known */
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
    shx_progress *progress;
} calibrate_work;

/* ---- the truth ---- */

static shx_status calibrate_find_neighbours(const calibrate_work *work, calibrate_query *query,
                                            shx_search_scratch *scratch, shx_topk *hits) {
    shx_search_params params = {.query = query->vector, .k = CALIBRATE_K + 1, .recall = 1};
    SHX_TRY(shx_search(work->view, &params, scratch, hits));
    const shx_encoding *encoding = &work->base->encoding;
    double norm = sqrt(shx_norm2(encoding->element, query->vector, encoding->dim));
    for (uint64_t i = 0; i < hits->count && query->count < CALIBRATE_K; i++) {
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

/* Orders the shards for a query, as the router does it for searches, and notes where its neighbours' shards stand. */
static shx_status calibrate_locate(const calibrate_work *work, calibrate_query *query, calibrate_scratch *scratch) {
    uint32_t count = 0, depth = 0;
    if (!shx_query_set(scratch->query, &work->base->encoding, query->vector)) {
        query->count = 0;
        return SHX_OK;
    }
    SHX_TRY(shx_router_start(&scratch->router, work->base->shards, scratch->query, false));
    while (shx_router_next(&scratch->router, &scratch->routes[count])) count++;
    for (uint32_t p = 0; p < count; p++) scratch->position[scratch->routes[p].shard] = p;
    for (uint32_t j = 0; j < query->count; j++) {
        uint32_t shard = calibrate_shard_of(work->base, query->neighbours[j]);
        query->position[j] = shard == SHX_SHARD_NONE ? 0 : scratch->position[shard];
        if (query->position[j] >= depth) depth = query->position[j] + 1;
    }
    if (depth * 2 < count) depth *= 2;
    return calibrate_keep_order(work, query, scratch->routes, depth);
}

static shx_status calibrate_measure_range(const calibrate_work *work, uint64_t first, uint64_t end,
                                          calibrate_scratch *scratch) {
    uint64_t shards = work->base->shards->count;
    SHX_TRY(shx_search_scratch_create(&scratch->search));
    SHX_TRY(shx_query_create(work->base->encoding.code_dim, &scratch->query));
    scratch->routes = shx_alloc_zero(shards + 1, sizeof *scratch->routes);
    scratch->position = shx_alloc_zero(shards, sizeof *scratch->position);
    SHX_CHECK(scratch->routes && scratch->position, SHX_NOMEM);
    for (uint64_t i = first; i < end; i++) {
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

static int calibrate_compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* One candidate rule: form, beta and k, tried on all queries. */
typedef struct calibrate_trial {
    bool kth;
    double beta;
    int k;
    float *needs;  /* of all queries one after the other, `depth` each */
    float *wanted; /* what each (query, neighbour) needs, sorted */
    uint64_t wanted_count;
} calibrate_trial;

static void calibrate_try(const calibrate_work *work, calibrate_trial *trial) {
    float *needs = trial->needs;
    uint32_t k = shx_calibration_ks[trial->k];
    trial->wanted_count = 0;
    for (uint64_t q = 0; q < work->count; q++) {
        const calibrate_query *query = &work->queries[q];
        if (query->count == 0) continue;
        float reference = trial->kth ? (float)log(query->kth2[trial->k]) : query->log_distance2[0];
        calibrate_needs(query, reference, (float)trial->beta, needs);
        for (uint32_t j = 0; j < k && j < query->count; j++) {
            trial->wanted[trial->wanted_count++] = needs[query->position[j]];
        }
        needs += query->depth;
    }
    qsort(trial->wanted, trial->wanted_count, sizeof *trial->wanted, calibrate_compare_floats);
}

/* Mean rows that a search scans when it stops above theta. */
static double calibrate_mean_rows(const calibrate_work *work, const calibrate_trial *trial, double theta) {
    const float *needs = trial->needs;
    double total = 0;
    uint64_t queries = 0;
    for (uint64_t q = 0; q < work->count; q++) {
        const calibrate_query *query = &work->queries[q];
        if (query->count == 0) continue;
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

/* Takes a trial's rule wherever it scans fewer rows than what is there. */
static void calibrate_adopt(const calibrate_work *work, const calibrate_trial *trial, const double *loss,
                            double best[SHX_CALIBRATION_RECALLS], shx_calibration *calibration) {
    for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
        double recall = shx_calibration_recalls[r];
        double target = recall + CALIBRATE_MARGIN * (1 - recall) + loss[r];
        double theta = calibrate_theta(trial, target < 1 ? target : 1);
        double rows = calibrate_mean_rows(work, trial, theta);
        if (rows >= best[r]) continue;
        best[r] = rows;
        shx_stop_rule rule = {trial->beta, theta};
        if (trial->kth) {
            calibration->kth[trial->k][r] = rule;
        } else {
            calibration->first[trial->k][r] = rule;
            calibration->mean_rows[trial->k][r] = rows;
        }
    }
}

/* One form and k are fitted apart from the others: pairs of them are spread over the threads. */
typedef struct calibrate_fitting {
    const calibrate_work *work;
    const double *loss;
    shx_calibration *calibration;
    uint64_t positions;
} calibrate_fitting;

static shx_status calibrate_fit_pairs(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const calibrate_fitting *fitting = context;
    calibrate_trial trial = {.needs = shx_alloc_zero(fitting->positions, sizeof(float)),
                             .wanted = shx_alloc_zero(fitting->work->count * CALIBRATE_K, sizeof(float))};
    shx_status status = trial.needs && trial.wanted ? SHX_OK : SHX_NOMEM;
    for (uint64_t pair = first; status == SHX_OK && pair < end; pair++) {
        trial.kth = pair % 2 == 1;
        trial.k = (int)(pair / 2);
        double best[SHX_CALIBRATION_RECALLS];
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) best[r] = INFINITY;
        for (size_t b = 0; status == SHX_OK && b < CALIBRATE_BETAS; b++) {
            status = shx_progress_check(fitting->work->progress);
            trial.beta = calibrate_betas[b];
            calibrate_try(fitting->work, &trial);
            calibrate_adopt(fitting->work, &trial, fitting->loss, best, fitting->calibration);
        }
    }
    shx_free(trial.needs);
    shx_free(trial.wanted);
    return status;
}

static shx_status calibrate_fit(const calibrate_work *work, shx_pool *pool, const double *loss,
                                shx_calibration *calibration) {
    calibrate_fitting fitting = {.work = work, .loss = loss, .calibration = calibration};
    for (uint64_t q = 0; q < work->count; q++) fitting.positions += work->queries[q].depth;
    return shx_pool_run(pool, 2 * SHX_CALIBRATION_KS, 1, calibrate_fit_pairs, &fitting);
}

/* ---- the bounds' own losses ---- */

typedef struct calibrate_check {
    const calibrate_work *work;
    double recall;
    atomic_ullong found, wanted;
} calibrate_check;

static shx_status calibrate_count_found(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    calibrate_check *check = context;
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    SHX_TRY(shx_search_scratch_create(&scratch));
    shx_status status = SHX_OK;
    for (uint64_t q = first; status == SHX_OK && q < end; q++) {
        const calibrate_query *query = &check->work->queries[q];
        uint32_t wanted = query->count < 10 ? query->count : 10;
        shx_search_params params = {.query = query->vector, .k = 11, .recall = check->recall};
        status = shx_search(check->work->view, &params, scratch, &hits);
        uint64_t found = 0;
        for (uint64_t i = 0; status == SHX_OK && i < hits.count; i++) {
            for (uint32_t j = 0; j < wanted; j++) found += hits.hits[i].rowid == query->neighbours[j];
        }
        atomic_fetch_add(&check->found, found);
        atomic_fetch_add(&check->wanted, wanted);
        shx_progress_add(check->work->progress, 1);
        if (status == SHX_OK) status = shx_progress_check(check->work->progress);
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    return status;
}

/* Searches with the rules just fitted and notes by how much each kind of bound falls short of what the order of the
** shards alone promises. */
static shx_status calibrate_measure_loss(const calibrate_work *work, shx_pool *pool, shx_calibration *fitted,
                                         double loss[SHX_CALIBRATION_RECALLS]) {
    shx_calibration *in_use = &work->view->delta->base->calibration;
    shx_calibration before = *in_use;
    shx_status status = SHX_OK;
    double last = 0;
    *in_use = *fitted;
    for (int r = 0; status == SHX_OK && r < SHX_CALIBRATION_RECALLS; r++) {
        double recall = shx_calibration_recalls[r];
        bool measured = recall == 0.95 || recall == 0.99 || recall == 0.999;
        if (measured) {
            calibrate_check check = {.work = work, .recall = recall};
            status = shx_pool_run(pool, work->count, 50, calibrate_count_found, &check);
            double reached = (double)check.found / (double)(check.wanted ? check.wanted : 1);
            double promised = recall + CALIBRATE_MARGIN * (1 - recall);
            last = promised > reached ? promised - reached : 0;
        }
        loss[r] = last;
    }
    *in_use = before;
    for (int r = 0; r < SHX_CALIBRATION_RECALLS && shx_calibration_recalls[r] < 0.95; r++) loss[r] = loss[2];
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
    for (uint32_t s = 0; s < base->segment_count; s++) total += base->segments[s]->row_count;
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
    double loss[SHX_CALIBRATION_RECALLS] = {0};
    shx_calibration_default(&calibration);
    shx_status status = calibrate_choose_queries(&work);
    shx_progress_begin(work.progress, SHX_PHASE_CALIBRATING, (1 + CALIBRATE_CHECKS) * work.count);
    if (status == SHX_OK) status = shx_pool_run(pool, work.count, 20, calibrate_measure, &work);
    calibration.fitted = 1;
    calibration.sample_size = work.count;
    if (status == SHX_OK) status = calibrate_fit(&work, pool, loss, &calibration);
    if (status == SHX_OK) status = calibrate_measure_loss(&work, pool, &calibration, loss);
    if (status == SHX_OK) status = calibrate_fit(&work, pool, loss, &calibration);
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
