#include "routing.h"

#include "graph_build.h"
#include "limits.h"
#include "memory.h"
#include "order.h"
#include "router.h"

#include <math.h>
#include <string.h>

#define ROUTING_TOLERANCE 0.005
#define ROUTING_GAIN 0.85          /* of the flat way's cost: less is not worth another order and more bytes */
#define ROUTING_LEVELS_FROM 4096   /* shards from which levels are tried: below, a flat scan is a few microseconds */
#define ROUTING_GRAPH_FROM 1000000 /* and the graph, which takes long to make and was never cheaper below */
#define ROUTING_LEVELS_SPREAD 16   /* where trying starts; it doubles */
#define ROUTING_GRAPH_SPREAD 16
#define ROUTING_TRIES 5
#define ROUTING_CHANGES 10 /* a table follows the one before until one in so many shards has changed */

/* Nanoseconds, as measured by the benchmark. */
#define ROUTING_COST_CODE 0.0055        /* of bounding a centroid, for each dimension */
#define ROUTING_COST_MEASURED 30.0      /* of measuring one, and */
#define ROUTING_COST_DIMENSION 0.3      /* for each of its dimensions */
#define ROUTING_COST_PARENT 60.0        /* of opening a parent */
#define ROUTING_COST_NODE 350.0         /* of expanding a node of the graph, and */
#define ROUTING_COST_NODE_DIMENSION 0.6 /* for each dimension of its neighbours' codes */

static void routing_clear(shx_shards *shards) {
    shx_levels_free(&shards->levels);
    shx_graph_free(&shards->graph);
    shards->way = SHX_ROUTE_FLAT;
    shards->spread = shards->changed = 0;
}

/* ---- making ---- */

/* Inserts the shards that the builder has not, and finishes it. */
static shx_status routing_finish_graph(shx_graph_builder *builder, shx_shards *shards, shx_pool *pool) {
    for (uint64_t i = 0; i < shards->count; i++) {
        if (shx_graph_builder_has(builder, (uint32_t)i)) continue;
        SHX_TRY(shx_progress_check(shx_pool_progress(pool)));
        SHX_TRY(shx_graph_builder_insert(builder, (uint32_t)i, shards->ids[i]));
    }
    SHX_TRY(shx_graph_builder_join(builder));
    return shx_graph_builder_finish(builder, pool, &shards->graph);
}

static shx_status routing_make_graph(shx_shards *shards, const shx_centroids *centroids, const shx_routing_wish *wish,
                                     shx_pool *pool) {
    shx_graph_builder *builder;
    uint32_t m = wish->m ? wish->m : SHX_GRAPH_M, ef = wish->ef ? wish->ef : SHX_GRAPH_EF;
    SHX_TRY(shx_graph_builder_create(centroids, m, ef, &builder));
    shx_status status = routing_finish_graph(builder, shards, pool);
    shx_graph_builder_destroy(builder);
    return status;
}

shx_status shx_routing_set(shx_shards *shards, shx_route_way way, const shx_routing_wish *wish, uint64_t seed,
                           shx_pool *pool) {
    routing_clear(shards);
    if (shards->count == 0 || way == SHX_ROUTE_FLAT) return SHX_OK;
    float *centroids = shx_shards_centroids(shards);
    SHX_CHECK(centroids, SHX_NOMEM);
    const shx_centroids all = {centroids, shards->count, shards->code_dim};
    shx_status status = way == SHX_ROUTE_LEVELS ? shx_levels_create(&all, seed, pool, &shards->levels)
                                                : routing_make_graph(shards, &all, wish, pool);
    shx_free_aligned(centroids);
    SHX_TRY(status);
    shards->way = way;
    shards->spread = way == SHX_ROUTE_LEVELS ? ROUTING_LEVELS_SPREAD : ROUTING_GRAPH_SPREAD;
    return SHX_OK;
}

/* ---- measuring ---- */

static inline bool routing_before(const float *a, const float *b) { return *a < *b; }

SHX_DEFINE_ORDER(routing_distances, float, routing_before)

/* The distance of the wanted-th nearest shard of each query. */
typedef struct routing_truth {
    const shx_shards *shards;
    const shx_routing_sample *sample;
    shx_progress *progress; /* of whoever wants it, or NULL */
    uint64_t wanted;
    float *farthest;
} routing_truth;

static shx_status routing_find_truth(void *context, uint64_t begin, uint64_t end, unsigned thread) {
    (void)thread;
    const routing_truth *truth = context;
    const shx_shards *shards = truth->shards;
    const shx_kernels *kernels = shx_kernels_get();
    float *distances = shx_alloc(shards->count * sizeof *distances);
    SHX_CHECK(distances, SHX_NOMEM);
    for (uint64_t q = begin; q < end; q++) {
        const float *point = truth->sample->points + q * shards->code_dim;
        for (uint64_t i = 0; i < shards->count; i++) {
            const int8_t *centroid = shards->centroids + i * shards->code_dim;
            distances[i] = kernels->centroid_l2_squared(point, centroid, shards->steps[i], shards->code_dim);
        }
        routing_distances_select(distances, shards->count, truth->wanted);
        for (uint64_t i = 0; i < truth->wanted; i++) truth->farthest[q] = fmaxf(truth->farthest[q], distances[i]);
    }
    shx_free(distances);
    return SHX_OK;
}

static double routing_cost(const shx_shards *shards, const shx_ranking_work *work) {
    double node = ROUTING_COST_NODE + shards->code_dim * ROUTING_COST_NODE_DIMENSION;
    double bundle = shards->way == SHX_ROUTE_GRAPH ? node : ROUTING_COST_PARENT;
    return (double)work->codes * shards->code_dim * ROUTING_COST_CODE +
           (double)work->measured * (ROUTING_COST_MEASURED + shards->code_dim * ROUTING_COST_DIMENSION) +
           (double)work->bundles * bundle;
}

static shx_status routing_try(const routing_truth *truth, shx_query *query, shx_router *router,
                              shx_routing_figures *ret_figures) {
    const shx_shards *shards = truth->shards;
    shx_routing_figures figures = {0};
    for (uint64_t q = 0; q < truth->sample->count; q++) {
        shx_route route;
        uint64_t found = 0;
        SHX_TRY(shx_progress_check(truth->progress));
        memcpy(query->point, truth->sample->points + q * shards->code_dim, shards->code_dim * sizeof(float));
        query->norm = 0;
        shx_query_tabulate(query);
        SHX_TRY(shx_router_start(router, shards, NULL, query, false));
        for (uint64_t i = 0; i < truth->wanted && shx_router_next(router, &route); i++) {
            found += route.distance2 <= truth->farthest[q];
        }
        shx_ranking_work work = shx_router_work(router);
        figures.share += (double)found / (double)truth->wanted;
        figures.cost += routing_cost(shards, &work);
    }
    figures.share /= (double)truth->sample->count;
    figures.cost /= (double)truth->sample->count;
    *ret_figures = figures;
    return SHX_OK;
}

static shx_status routing_measure(const routing_truth *truth, shx_routing_figures *ret_figures) {
    shx_query *query;
    shx_router router = {0};
    SHX_TRY(shx_query_create(truth->shards->code_dim, &query));
    shx_status status = routing_try(truth, query, &router, ret_figures);
    shx_router_free(&router);
    shx_query_destroy(query);
    return status;
}

static shx_status routing_learn_truth(const shx_shards *shards, const shx_routing_sample *sample, shx_pool *pool,
                                      routing_truth *ret_truth) {
    routing_truth truth = {.shards = shards,
                           .sample = sample,
                           .progress = shx_pool_progress(pool),
                           .wanted = sample->wanted ? sample->wanted : 1};
    if (truth.wanted > shards->count) truth.wanted = shards->count;
    truth.farthest = shx_alloc_zero(sample->count, sizeof *truth.farthest);
    SHX_CHECK(truth.farthest, SHX_NOMEM);
    shx_status status = shx_pool_run(pool, sample->count, 1, routing_find_truth, &truth);
    if (status == SHX_OK) {
        *ret_truth = truth;
    } else {
        shx_free(truth.farthest);
    }
    return status;
}

shx_status shx_routing_measure(const shx_shards *shards, const shx_routing_sample *sample,
                               shx_routing_figures *ret_figures) {
    routing_truth truth;
    *ret_figures = (shx_routing_figures){.share = 1};
    if (shards->count == 0 || sample->count == 0) return SHX_OK;
    SHX_TRY(routing_learn_truth(shards, sample, NULL, &truth));
    shx_status status = routing_measure(&truth, ret_figures);
    shx_free(truth.farthest);
    return status;
}

/* ---- choosing ---- */

/* The narrowest spread of the table's way that reaches a share, or the widest one tried. */
static shx_status routing_fit_spread(shx_shards *shards, const routing_truth *truth, double share,
                                     shx_routing_figures *ret_figures) {
    for (int i = 0; i < ROUTING_TRIES; i++) {
        if (i > 0) shards->spread *= 2;
        SHX_TRY(routing_measure(truth, ret_figures));
        if (ret_figures->share >= share) break;
    }
    return SHX_OK;
}

/* Puts the way of `shards` aside in `kept` and the other way round. */
static void routing_swap(shx_shards *shards, shx_shards *kept) {
    shx_shards before = {
        .way = shards->way, .spread = shards->spread, .levels = shards->levels, .graph = shards->graph};
    shards->way = kept->way;
    shards->spread = kept->spread;
    shards->levels = kept->levels;
    shards->graph = kept->graph;
    kept->way = before.way;
    kept->spread = before.spread;
    kept->levels = before.levels;
    kept->graph = before.graph;
}

static shx_status routing_compare(shx_shards *shards, const shx_routing_wish *wish, const routing_truth *truth,
                                  uint64_t seed, shx_pool *pool) {
    const struct {
        shx_route_way way;
        uint64_t from;
    } ways[] = {{SHX_ROUTE_LEVELS, ROUTING_LEVELS_FROM}, {SHX_ROUTE_GRAPH, ROUTING_GRAPH_FROM}};
    shx_routing_figures flat = {0}, figures = {0};
    shx_shards best = {.way = SHX_ROUTE_FLAT};
    double best_cost = INFINITY;
    if (!wish->way) {
        SHX_TRY(routing_measure(truth, &flat));
        best_cost = flat.cost * ROUTING_GAIN;
    }
    double share = flat.share - ROUTING_TOLERANCE;
    if (wish->way) share = 1 - 2 * ROUTING_TOLERANCE;
    shx_status status = SHX_OK;
    for (size_t w = 0; status == SHX_OK && w < sizeof ways / sizeof *ways; w++) {
        bool tried = wish->way ? wish->way == ways[w].way : shards->count >= ways[w].from;
        if (!tried) continue;
        status = shx_routing_set(shards, ways[w].way, wish, seed, pool);
        if (status == SHX_OK) status = routing_fit_spread(shards, truth, share, &figures);
        bool better = wish->way || (figures.share >= share && figures.cost < best_cost);
        if (status != SHX_OK || !better) continue;
        best_cost = figures.cost;
        routing_swap(shards, &best);
    }
    routing_clear(shards);
    routing_swap(shards, &best);
    if (status != SHX_OK) routing_clear(shards);
    return status;
}

shx_status shx_routing_choose(shx_shards *shards, const shx_routing_wish *wish, const shx_routing_sample *sample,
                              uint64_t seed, shx_pool *pool) {
    routing_truth truth;
    routing_clear(shards);
    if (shards->count == 0 || wish->way == SHX_ROUTE_FLAT) return SHX_OK;
    if (!wish->way && shards->count < ROUTING_LEVELS_FROM) return SHX_OK;
    if (sample->count == 0) return wish->way ? shx_routing_set(shards, wish->way, wish, seed, pool) : SHX_OK;
    SHX_TRY(routing_learn_truth(shards, sample, pool, &truth));
    shx_status status = routing_compare(shards, wish, &truth, seed, pool);
    shx_free(truth.farthest);
    return status;
}

/* ---- following ---- */

/* from[i]: the position in the old table of what stands at i now; to[]: the reverse. Returns how many came and went. */
static uint64_t routing_match(const shx_shards *shards, const shx_shards *before, uint32_t *from, uint32_t *to) {
    uint64_t changed = before->count + shards->count, old = 0;
    for (uint64_t i = 0; i < before->count; i++) to[i] = SHX_SHARD_NONE;
    for (uint64_t i = 0; i < shards->count; i++) {
        from[i] = SHX_SHARD_NONE;
        while (old < before->count && before->ids[old] < shards->ids[i]) old++;
        if (old == before->count || before->ids[old] != shards->ids[i]) continue;
        from[i] = (uint32_t)old;
        to[old] = (uint32_t)i;
        changed -= 2;
    }
    return changed;
}

static shx_status routing_follow_graph(shx_shards *shards, const shx_centroids *centroids, const shx_shards *before,
                                       const shx_routing_wish *wish, const uint32_t *to, shx_pool *pool) {
    shx_graph_builder *builder = NULL;
    uint32_t ef = wish->ef ? wish->ef : SHX_GRAPH_EF;
    float *old = shx_shards_centroids(before);
    shx_status status = old ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) {
        const shx_centroids all = {old, before->count, before->code_dim};
        status = shx_graph_builder_follow(&before->graph, &all, to, ef, centroids, &builder);
    }
    shx_free_aligned(old);
    if (status == SHX_OK) status = routing_finish_graph(builder, shards, pool);
    shx_graph_builder_destroy(builder);
    return status;
}

static bool routing_wishes_same(const shx_shards *before, const shx_routing_wish *wish) {
    if (wish->way && wish->way != (uint32_t)before->way) return false;
    return before->way != SHX_ROUTE_GRAPH || before->graph.m == (wish->m ? wish->m : SHX_GRAPH_M);
}

static shx_status routing_follow_way(shx_shards *shards, const shx_shards *before, const shx_routing_wish *wish,
                                     const uint32_t *from, const uint32_t *to, shx_pool *pool) {
    if (before->way == SHX_ROUTE_FLAT) return SHX_OK;
    float *centroids = shx_shards_centroids(shards);
    SHX_CHECK(centroids, SHX_NOMEM);
    const shx_centroids all = {centroids, shards->count, shards->code_dim};
    shx_status status = before->way == SHX_ROUTE_LEVELS
                            ? shx_levels_follow(&before->levels, from, &all, pool, &shards->levels)
                            : routing_follow_graph(shards, &all, before, wish, to, pool);
    shx_free_aligned(centroids);
    return status;
}

shx_status shx_routing_follow(shx_shards *shards, const shx_shards *before, const shx_routing_wish *wish,
                              shx_pool *pool, bool *ret_followed) {
    uint32_t *from = shx_alloc_zero(shards->count, sizeof *from), *to = shx_alloc_zero(before->count, sizeof *to);
    shx_status status = from && to ? SHX_OK : SHX_NOMEM;
    uint64_t changed = status == SHX_OK ? before->changed + routing_match(shards, before, from, to) : 0;
    bool same = shards->count > 0 && before->count > 0 && changed * ROUTING_CHANGES <= before->count &&
                routing_wishes_same(before, wish);
    if (status == SHX_OK && same) {
        routing_clear(shards);
        status = routing_follow_way(shards, before, wish, from, to, pool);
    }
    if (status == SHX_OK && same) {
        shards->way = before->way;
        shards->spread = before->spread;
        shards->changed = (uint32_t)changed;
    }
    shx_free(from);
    shx_free(to);
    if (status == SHX_OK) *ret_followed = same;
    return status;
}
