#include "split.h"

#include "cluster.h"
#include "memory.h"
#include "router.h"

#include <math.h>
#include <string.h>

#define SPLIT_CHECK_ROWS 32 /* between two looks at the progress */
#define SPLIT_NEIGHBOURS 8  /* shards around a split one whose postings are checked */
#define SPLIT_ROUTE_TRIES 3 /* open shards that are compared when a posting is routed past closed ones */
#define SPLIT_FULL 2        /* a shard over this many times its target is split */
#define SPLIT_SPARSE 4      /* one under 1/this of its target is folded */
#define SPLIT_STRANGE 2     /* times a shard's scatter: a posting that far from its centroid is a stranger to it, … */
#define SPLIT_STRANGERS 8   /* … and so many of them get a shard of their own, … */
#define SPLIT_GAIN 2        /* … if that makes their squared distances so many times smaller */

/* The parts of a shard that was split: `count` places from `first` on. */
typedef struct split_parts {
    uint32_t first, count;
} split_parts;

typedef struct split_work {
    shx_rewrite *rewrite;
    const shx_shards *table;
    split_parts *parts;      /* per place of the table */
    float *reach2;           /* per posting that was routed: its squared distance from the centroid */
    uint32_t *order, *first; /* postings by place, as of the last grouping */
    uint32_t *victims;       /* places that are split or folded */
    struct split_result *results;
    uint32_t victim_count;
} split_work;

/* ---- routing ---- */

static const float *split_centroid(const shx_rewrite *rewrite, uint32_t place) {
    return rewrite->centroids + (size_t)place * rewrite->encoding.code_dim;
}

static float split_distance2(const shx_rewrite *rewrite, const float *point, uint32_t place) {
    return shx_kernels_get()->code_l2_squared(point, split_centroid(rewrite, place), rewrite->encoding.code_dim);
}

/* Takes `place`, or the parts that it was split into, as a candidate for the nearest. */
static bool split_consider(const split_work *work, const float *point, uint32_t place, uint32_t *best,
                           float *best_distance2) {
    const split_parts *parts = &work->parts[place];
    uint32_t first = parts->count ? parts->first : place, count = parts->count ? parts->count : 1;
    if (!work->rewrite->open[first]) return false;
    for (uint32_t i = first; i < first + count; i++) {
        float distance2 = split_distance2(work->rewrite, point, i);
        if (*best != SHX_PLACE_NONE && !(distance2 < *best_distance2)) continue;
        *best = i;
        *best_distance2 = distance2;
    }
    return true;
}

/* The nearest open place of the point that stands in query->point, and the squared distance. */
static shx_status split_route(const split_work *work, shx_query *query, shx_router *router, uint32_t *ret_place,
                              float *ret_reach2) {
    uint32_t best = SHX_PLACE_NONE;
    float best_distance2 = INFINITY;
    shx_route route;
    query->norm = 0;
    shx_query_tabulate(query);
    SHX_TRY(shx_router_start(router, work->table, NULL, query, false));
    for (int tries = 0; tries < SPLIT_ROUTE_TRIES && shx_router_next(router, &route);) {
        tries += split_consider(work, query->point, route.shard, &best, &best_distance2);
    }
    *ret_place = best == SHX_PLACE_NONE ? SHX_PLACE_OVERFLOW : best;
    *ret_reach2 = best == SHX_PLACE_NONE ? 0 : best_distance2;
    return SHX_OK;
}

static shx_status split_route_rows(void *context, uint64_t begin, uint64_t end, unsigned thread) {
    (void)thread;
    const split_work *work = context;
    shx_rewrite *rewrite = work->rewrite;
    shx_query *query = NULL;
    shx_router router = {0};
    shx_status status = SHX_OK;
    for (uint64_t i = begin; status == SHX_OK && i < end; i++) {
        if (rewrite->place[i] != SHX_PLACE_NONE) continue;
        if (!query) status = shx_query_create(rewrite->encoding.code_dim, &query);
        if (status != SHX_OK) break;
        if (shx_encoding_point(&rewrite->encoding, shx_rewrite_vector(rewrite, i), false, query->point)) {
            status = split_route(work, query, &router, &rewrite->place[i], &work->reach2[i]);
        } else {
            rewrite->place[i] = SHX_PLACE_OVERFLOW;
        }
    }
    shx_router_free(&router);
    shx_query_destroy(query);
    return status;
}

static shx_status split_regroup(split_work *work) {
    shx_free(work->order);
    shx_free(work->first);
    work->order = work->first = NULL;
    return shx_rewrite_group(work->rewrite, work->rewrite->shard_count, &work->order, &work->first);
}

static uint32_t split_rows_of(const split_work *work, uint32_t place) {
    return work->first[place + 1] - work->first[place];
}

/* ---- splitting ---- */

/* A posting that goes to another place. */
typedef struct split_move {
    uint32_t row, place;
} split_move;

/* A victim's postings cut into parts, and the moves that its neighbourhood calls for. */
typedef struct split_result {
    float *centroids;
    uint32_t *part;
    uint32_t parts;
    split_move *moves;
    uint64_t move_count, move_capacity;
} split_result;

static void split_free_results(split_work *work) {
    for (uint32_t i = 0; work->results && i < work->victim_count; i++) {
        shx_free(work->results[i].centroids);
        shx_free(work->results[i].part);
        shx_free(work->results[i].moves);
    }
    shx_free(work->results);
    work->results = NULL;
}

/* The points of a place's first postings; their vectors all have one, or they would be in the overflow shard. */
static shx_status split_points(const split_work *work, uint32_t place, uint32_t rows, float **ret_points) {
    const shx_rewrite *rewrite = work->rewrite;
    uint32_t code_dim = rewrite->encoding.code_dim;
    float *points = shx_alloc_aligned(rows, code_dim * sizeof(float));
    SHX_CHECK(points, SHX_NOMEM);
    shx_status status = SHX_OK;
    for (uint32_t i = 0; status == SHX_OK && i < rows; i++) {
        if (i % SPLIT_CHECK_ROWS == 0) status = shx_progress_check(shx_pool_progress(rewrite->pool));
        const void *vector = shx_rewrite_vector(rewrite, work->order[work->first[place] + i]);
        bool found = shx_encoding_point(&rewrite->encoding, vector, false, points + (size_t)i * code_dim);
        if (!found) memcpy(points + (size_t)i * code_dim, split_centroid(rewrite, place), code_dim * sizeof(float));
    }
    if (status == SHX_OK) {
        *ret_points = points;
    } else {
        shx_free_aligned(points);
    }
    return status;
}

static shx_status split_cut(void *context, uint64_t begin, uint64_t end, unsigned thread) {
    (void)thread;
    const split_work *work = context;
    const shx_rewrite *rewrite = work->rewrite;
    uint32_t code_dim = rewrite->encoding.code_dim;
    for (uint64_t v = begin; v < end; v++) {
        uint32_t place = work->victims[v], rows = split_rows_of(work, place);
        uint32_t wanted = (rows + rewrite->shard_size / 2) / rewrite->shard_size;
        split_result *result = &work->results[v];
        float *points;
        SHX_TRY(split_points(work, place, rows, &points));
        result->centroids = shx_alloc_zero(wanted, code_dim * sizeof(float));
        result->part = shx_alloc_zero(rows, sizeof *result->part);
        shx_status status = result->centroids && result->part ? SHX_OK : SHX_NOMEM;
        if (status == SHX_OK) {
            shx_cluster_parts parts = {.most = wanted, .centroids = result->centroids, .part = result->part};
            status = shx_cluster_split(points, rows, code_dim, rewrite->ids[place], shx_pool_progress(rewrite->pool),
                                       &parts);
            result->parts = parts.count;
        }
        shx_free_aligned(points);
        SHX_TRY(status);
        shx_progress_add(shx_pool_progress(rewrite->pool), 1);
    }
    return SHX_OK;
}

/* Makes shards of a victim's parts. Identical vectors cannot be split: then the shard stays, oversized. */
static shx_status split_open_parts(split_work *work, uint32_t v) {
    shx_rewrite *rewrite = work->rewrite;
    const split_result *result = &work->results[v];
    uint32_t victim = work->victims[v], place = 0;
    if (result->parts < 2) return SHX_OK;
    work->parts[victim] = (split_parts){(uint32_t)rewrite->shard_count, result->parts};
    for (uint32_t p = 0; p < result->parts; p++) {
        SHX_TRY(shx_rewrite_add_shard(rewrite, result->centroids + (size_t)p * rewrite->encoding.code_dim, &place));
    }
    for (uint32_t i = 0; i < split_rows_of(work, victim); i++) {
        rewrite->place[work->order[work->first[victim] + i]] = work->parts[victim].first + result->part[i];
    }
    rewrite->open[victim] = 0;
    rewrite->splits++;
    return SHX_OK;
}

/* ---- strangers ---- */

/* Moves the strangers of a place to the front of its postings; returns how many there are. */
static uint32_t split_gather_strangers(const split_work *work, uint32_t place) {
    float scatter = shx_base_scatter(work->rewrite->view->delta->base, place);
    uint32_t *rows = work->order + work->first[place], count = 0;
    if (!(scatter > 0) || !work->rewrite->open[place]) return 0;
    for (uint32_t i = 0; i < split_rows_of(work, place); i++) {
        uint32_t row = rows[i];
        if (!(work->reach2[row] > SPLIT_STRANGE * scatter)) continue;
        rows[i] = rows[count];
        rows[count++] = row;
    }
    return count;
}

/* The strangers of a place, and the parts that they are cut into. */
typedef struct split_group {
    float *points;
    uint32_t count;
    shx_cluster_parts parts;
} split_group;

static shx_status split_cut_strangers(const split_work *work, uint32_t place, split_group *group) {
    const shx_rewrite *rewrite = work->rewrite;
    uint32_t code_dim = rewrite->encoding.code_dim, wanted = group->count / rewrite->shard_size + 1;
    shx_cluster_parts *parts = &group->parts;
    *parts = (shx_cluster_parts){.most = wanted, .count = 1};
    parts->centroids = shx_alloc_zero(wanted, code_dim * sizeof *parts->centroids);
    parts->part = shx_alloc_zero(group->count, sizeof *parts->part);
    SHX_CHECK(parts->centroids && parts->part, SHX_NOMEM);
    SHX_TRY(split_points(work, place, group->count, &group->points));
    if (wanted > 1) {
        return shx_cluster_split(group->points, group->count, code_dim, rewrite->ids[place],
                                 shx_pool_progress(rewrite->pool), parts);
    }
    for (uint32_t i = 0; i < group->count; i++) {
        const float *point = group->points + (size_t)i * code_dim;
        for (uint32_t d = 0; d < code_dim; d++) parts->centroids[d] += point[d] / (float)group->count;
    }
    return SHX_OK;
}

/* Are they much nearer to their parts? Those that merely surround the place on all sides are not. */
static bool split_gains(const split_work *work, uint32_t place, const split_group *group) {
    uint32_t code_dim = work->rewrite->encoding.code_dim;
    double before = 0, after = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        const float *centroid = group->parts.centroids + (size_t)group->parts.part[i] * code_dim;
        before += work->reach2[work->order[work->first[place] + i]];
        after += shx_kernels_get()->code_l2_squared(group->points + (size_t)i * code_dim, centroid, code_dim);
    }
    return after * SPLIT_GAIN < before;
}

/* Gives a place's strangers shards of their own; the place stays open for those that belong there. */
static shx_status split_open_strangers(split_work *work, uint32_t place, const split_group *group) {
    shx_rewrite *rewrite = work->rewrite;
    uint32_t first = (uint32_t)rewrite->shard_count, opened;
    for (uint32_t p = 0; p < group->parts.count; p++) {
        const float *centroid = group->parts.centroids + (size_t)p * rewrite->encoding.code_dim;
        SHX_TRY(shx_rewrite_add_shard(rewrite, centroid, &opened));
    }
    for (uint32_t i = 0; i < group->count; i++) {
        rewrite->place[work->order[work->first[place] + i]] = first + group->parts.part[i];
    }
    return SHX_OK;
}

static shx_status split_settle_strangers(split_work *work, uint32_t place, uint32_t count) {
    split_group group = {.count = count};
    shx_status status = split_cut_strangers(work, place, &group);
    if (status == SHX_OK && split_gains(work, place, &group)) status = split_open_strangers(work, place, &group);
    shx_free_aligned(group.points);
    shx_free(group.parts.centroids);
    shx_free(group.parts.part);
    return status;
}

/* Where many rows come from a region without shards, the nearest shards are far from them, and so is whoever asks for
** them later from what he looks for. */
static shx_status split_strangers(split_work *work) {
    for (uint32_t place = 0; place < work->table->count; place++) {
        uint32_t count = split_gather_strangers(work, place);
        if (count >= SPLIT_STRANGERS) SHX_TRY(split_settle_strangers(work, place, count));
    }
    return split_regroup(work);
}

/* ---- the neighbourhood of a split ---- */

static shx_status split_add_move(split_result *result, uint32_t row, uint32_t place) {
    SHX_TRY(shx_grow((void **)&result->moves, &result->move_capacity, result->move_count + 1, sizeof *result->moves));
    result->moves[result->move_count++] = (split_move){row, place};
    return SHX_OK;
}

/* (a): postings of the victim that its old centroid was nearer to. */
static shx_status split_check_own(const split_work *work, uint32_t v, const uint32_t *neighbours, uint32_t count,
                                  const float *points) {
    const shx_rewrite *rewrite = work->rewrite;
    uint32_t victim = work->victims[v];
    for (uint32_t i = 0; i < split_rows_of(work, victim); i++) {
        const float *point = points + (size_t)i * rewrite->encoding.code_dim;
        if (i % SPLIT_CHECK_ROWS == 0) SHX_TRY(shx_progress_check(shx_pool_progress(rewrite->pool)));
        uint32_t row = work->order[work->first[victim] + i], best = rewrite->place[row];
        float own2 = split_distance2(rewrite, point, best), best2 = own2;
        if (!(split_distance2(rewrite, point, victim) < own2)) continue;
        for (uint32_t n = 0; n < count; n++) (void)split_consider(work, point, neighbours[n], &best, &best2);
        if (best2 < own2) SHX_TRY(split_add_move(&work->results[v], row, best));
    }
    return SHX_OK;
}

/* (b): postings of a neighbour that one of the new centroids is nearer to. */
static shx_status split_check_neighbour(const split_work *work, uint32_t v, uint32_t neighbour) {
    const shx_rewrite *rewrite = work->rewrite;
    const split_parts *parts = &work->parts[work->victims[v]];
    float *points;
    shx_status status = SHX_OK;
    SHX_TRY(split_points(work, neighbour, split_rows_of(work, neighbour), &points));
    for (uint32_t i = 0; status == SHX_OK && i < split_rows_of(work, neighbour); i++) {
        const float *point = points + (size_t)i * rewrite->encoding.code_dim;
        uint32_t best = neighbour;
        if (i % SPLIT_CHECK_ROWS == 0) status = shx_progress_check(shx_pool_progress(rewrite->pool));
        float own2 = split_distance2(rewrite, point, neighbour), best2 = own2;
        for (uint32_t p = parts->first; p < parts->first + parts->count; p++) {
            float distance2 = split_distance2(rewrite, point, p);
            if (!(distance2 < best2)) continue;
            best = p;
            best2 = distance2;
        }
        if (best2 < own2) status = split_add_move(&work->results[v], work->order[work->first[neighbour] + i], best);
    }
    shx_free_aligned(points);
    return status;
}

static shx_status split_check_one(const split_work *work, uint32_t v, shx_query *query, shx_router *router) {
    const shx_rewrite *rewrite = work->rewrite;
    uint32_t victim = work->victims[v], neighbours[SPLIT_NEIGHBOURS], count = 0;
    shx_route route;
    float *points;
    if (work->parts[victim].count == 0) return SHX_OK;
    memcpy(query->point, split_centroid(rewrite, victim), rewrite->encoding.code_dim * sizeof(float));
    query->norm = 0;
    shx_query_tabulate(query);
    SHX_TRY(shx_router_start(router, work->table, NULL, query, true));
    while (count < SPLIT_NEIGHBOURS && shx_router_next(router, &route)) {
        if (route.shard != victim) neighbours[count++] = route.shard;
    }
    SHX_TRY(split_points(work, victim, split_rows_of(work, victim), &points));
    shx_status status = split_check_own(work, v, neighbours, count, points);
    shx_free_aligned(points);
    for (uint32_t n = 0; status == SHX_OK && n < count; n++) {
        bool whole = work->parts[neighbours[n]].count == 0 && rewrite->open[neighbours[n]];
        if (whole) status = split_check_neighbour(work, v, neighbours[n]);
    }
    return status;
}

static shx_status split_check_rows(void *context, uint64_t begin, uint64_t end, unsigned thread) {
    (void)thread;
    const split_work *work = context;
    shx_query *query;
    shx_router router = {0};
    SHX_TRY(shx_query_create(work->rewrite->encoding.code_dim, &query));
    shx_status status = SHX_OK;
    for (uint64_t v = begin; status == SHX_OK && v < end; v++) {
        status = split_check_one(work, (uint32_t)v, query, &router);
        shx_progress_add(shx_pool_progress(work->rewrite->pool), 1);
    }
    shx_router_free(&router);
    shx_query_destroy(query);
    return status;
}

static shx_status split_full_shards(split_work *work) {
    shx_rewrite *rewrite = work->rewrite;
    work->victim_count = 0;
    for (uint32_t p = 0; p < work->table->count; p++) {
        bool full = rewrite->open[p] && split_rows_of(work, p) > SPLIT_FULL * rewrite->shard_size;
        if (full) work->victims[work->victim_count++] = p;
    }
    work->results = shx_alloc_zero(work->victim_count, sizeof *work->results);
    SHX_CHECK(work->results, SHX_NOMEM);
    shx_progress_begin(shx_pool_progress(rewrite->pool), SHX_PHASE_SPLITTING, 2 * (uint64_t)work->victim_count);
    SHX_TRY(shx_pool_run(rewrite->pool, work->victim_count, 1, split_cut, work));
    for (uint32_t v = 0; v < work->victim_count; v++) SHX_TRY(split_open_parts(work, v));
    SHX_TRY(shx_pool_run(rewrite->pool, work->victim_count, 2, split_check_rows, work));
    for (uint32_t v = 0; v < work->victim_count; v++) {
        const split_result *result = &work->results[v];
        for (uint64_t m = 0; m < result->move_count; m++) rewrite->place[result->moves[m].row] = result->moves[m].place;
    }
    return SHX_OK;
}

/* ---- folding ---- */

/* Sparse shards are closed all at once, so that none is folded into another sparse one; at least one shard stays. */
static shx_status split_fold_sparse(split_work *work) {
    shx_rewrite *rewrite = work->rewrite;
    uint64_t left = 0;
    SHX_TRY(split_regroup(work));
    for (uint32_t p = 0; p < rewrite->shard_count; p++) left += rewrite->open[p] && split_rows_of(work, p) > 0;
    for (uint32_t p = 0; p < work->table->count && left > 1; p++) {
        uint32_t rows = split_rows_of(work, p);
        if (!rewrite->open[p] || rows == 0 || rows >= rewrite->shard_size / SPLIT_SPARSE) continue;
        rewrite->open[p] = 0;
        left--;
        for (uint32_t i = work->first[p]; i < work->first[p + 1]; i++) rewrite->place[work->order[i]] = SHX_PLACE_NONE;
    }
    return shx_pool_run(rewrite->pool, rewrite->count, 64, split_route_rows, work);
}

shx_status shx_split_shards(shx_rewrite *rewrite, const shx_shards *table, bool whole) {
    split_work work = {.rewrite = rewrite, .table = table};
    work.parts = shx_alloc_zero(table->count, sizeof *work.parts);
    work.victims = shx_alloc_zero(table->count, sizeof *work.victims);
    work.reach2 = shx_alloc_zero(rewrite->count, sizeof *work.reach2);
    shx_status status = work.parts && work.victims && work.reach2 ? SHX_OK : SHX_NOMEM;
    shx_progress_begin(shx_pool_progress(rewrite->pool), SHX_PHASE_ASSIGNING, rewrite->count);
    if (status == SHX_OK) status = shx_pool_run(rewrite->pool, rewrite->count, 64, split_route_rows, &work);
    if (status == SHX_OK) status = split_regroup(&work);
    if (status == SHX_OK) status = split_strangers(&work);
    if (status == SHX_OK) status = split_full_shards(&work);
    if (status == SHX_OK && whole) status = split_fold_sparse(&work);
    split_free_results(&work);
    shx_free(work.parts);
    shx_free(work.victims);
    shx_free(work.reach2);
    shx_free(work.order);
    shx_free(work.first);
    return status;
}
