#include "router.h"

#include "heap.h"
#include "memory.h"
#include "prefetch.h"

#include <math.h>
#include <string.h>

#define ROUTER_FIRST 96         /* shards that the first cut aims at; later ones aim at twice as many */
#define ROUTER_FIRST_PARENTS 16 /* parents likewise */
#define ROUTER_FIRST_BEAM 32    /* the graph's first cut */
#define ROUTER_SPREAD_UNIT 16   /* of the graph's beam */
#define ROUTER_DEEP 8           /* past 1/this of the shards the graph gives up */
#define ROUTER_EPSILON 1.0f     /* as in a ranking */
#define ROUTER_PREFETCH_BYTES 4096

void shx_router_free(shx_router *router) {
    shx_ranking_free(&router->ranking);
    shx_ranking_free(&router->parents);
    shx_free(router->frontier);
    shx_free(router->beam);
    shx_free(router->visited);
    memset(router, 0, sizeof *router);
}

/* ---- flat ---- */

static void router_scan_all(shx_router *router) {
    const shx_shards *shards = router->shards;
    shx_ranking *ranking = &router->ranking;
    shx_ranking_scan(ranking, shards->blocks, &shards->scale, ranking->query->norm2, NULL, shards->count);
    for (uint64_t i = 0; router->open_only && i < shards->count; i++) {
        if (!shards->open[i]) shx_ranking_drop(ranking, i);
    }
}

/* ---- levels ---- */

static shx_status router_start_levels(shx_router *router, const shx_query *query) {
    const shx_levels *levels = &router->shards->levels;
    SHX_TRY(shx_ranking_start(&router->parents, query, (shx_ranked){.wide = levels->parents}, levels->parent_count,
                              ROUTER_FIRST_PARENTS));
    shx_ranking_scan(&router->parents, levels->parent_blocks, &levels->scales[0], query->norm2, NULL,
                     levels->parent_count);
    router->opened = 0;
    return SHX_OK;
}

static void router_open_parent(shx_router *router, uint32_t parent, float distance2) {
    const shx_levels *levels = &router->shards->levels;
    shx_ranking *ranking = &router->ranking;
    uint32_t first = levels->first[parent], count = levels->first[parent + 1] - first;
    uint64_t before = ranking->count;
    shx_ranking_scan(ranking, levels->blocks + levels->first_block[parent] * shx_block_bytes(ranking->query->code_dim),
                     &levels->scales[parent + 1], distance2, levels->members + first, count);
    for (uint32_t i = 0; router->open_only && i < count; i++) {
        if (!router->shards->open[levels->members[first + i]]) shx_ranking_drop(ranking, before + i);
    }
    router->opened += count;
    ranking->work.bundles++;
}

/* Everything that was scanned is measured. */
static bool router_used_up(const shx_ranking *ranking) {
    return ranking->cut == INFINITY && ranking->fresh == ranking->count;
}

/* Opens parents until there are enough shards for the next cut, at least one more when all shards are used up. */
static void router_open_parents(shx_router *router) {
    uint64_t count = router->shards->count, enough = router->ranking.wanted * router->shards->spread;
    float distance2;
    uint32_t parent;
    while (router->opened < count && (router->opened < enough || router_used_up(&router->ranking))) {
        if (shx_ranking_take(&router->parents, &distance2, &parent)) {
            router_open_parent(router, parent, distance2);
        } else if (!router_used_up(&router->parents)) {
            shx_ranking_raise(&router->parents, INFINITY);
        } else {
            break;
        }
    }
}

/* ---- graph ---- */

static shx_status router_start_graph(shx_router *router) {
    uint64_t before = router->visited_capacity;
    SHX_TRY(
        shx_grow((void **)&router->visited, &router->visited_capacity, router->shards->count, sizeof *router->visited));
    if (router->visited_capacity > before || ++router->routings == 0) {
        memset(router->visited, 0, router->visited_capacity * sizeof *router->visited);
        router->routings = 1;
    }
    router->frontier_count = router->beam_count = router->met = router->given = 0;
    router->ranking.wanted = ROUTER_FIRST_BEAM;
    router->failed = false;
    return SHX_OK;
}

/* Room for one more key in each heap. */
static bool router_make_room(shx_router *router) {
    shx_status status = shx_grow((void **)&router->frontier, &router->frontier_capacity, router->frontier_count + 1,
                                 sizeof *router->frontier);
    if (status == SHX_OK) {
        status = shx_grow((void **)&router->beam, &router->beam_capacity, router->beam_count + 1, sizeof *router->beam);
    }
    router->failed = status != SHX_OK;
    return !router->failed;
}

static void router_widen(shx_router *router, uint64_t key, uint64_t width) {
    if (router->beam_count == width && key > ~router->beam[0]) return;
    if (router->beam_count == width) shx_heap_pop(router->beam, &router->beam_count);
    if (router_make_room(router)) shx_heap_push(router->beam, &router->beam_count, ~key);
}

/* Measures a node that was not measured before. */
static void router_meet(shx_router *router, uint32_t node, uint64_t width) {
    shx_ranking *ranking = &router->ranking;
    uint64_t key = shx_heap_key(shx_ranking_measure(ranking, node), node);
    if (!router_make_room(router)) return;
    router->visited[node] = router->routings;
    router->met++;
    shx_heap_push(router->frontier, &router->frontier_count, key);
    if (router->open_only && !router->shards->open[node]) return;
    ranking->waiting[ranking->waiting_count++] = key;
    router_widen(router, key, width);
}

static void router_enter_graph(shx_router *router, uint64_t width) {
    const shx_graph *graph = &router->shards->graph;
    shx_ranking *ranking = &router->ranking;
    uint64_t best = shx_heap_key(shx_ranking_measure(ranking, graph->entry), graph->entry);
    for (uint32_t layer = graph->tops[graph->entry]; layer > 0; layer--) {
        for (uint64_t before = best + 1; before != best;) {
            uint32_t most;
            const uint32_t *links = shx_graph_links(graph, (uint32_t)best, layer, &most);
            before = best;
            for (uint32_t i = 0; i < most && links[i] != SHX_GRAPH_NONE; i++) shx_ranking_prefetch(ranking, links[i]);
            for (uint32_t i = 0; i < most && links[i] != SHX_GRAPH_NONE; i++) {
                uint64_t key = shx_heap_key(shx_ranking_measure(ranking, links[i]), links[i]);
                if (key < best) best = key;
            }
        }
    }
    router_meet(router, (uint32_t)best, width);
}

/* Measures those neighbours of a node whose bound is within the beam. */
static void router_expand(shx_router *router, uint32_t node, float order2, uint64_t width) {
    const shx_graph *graph = &router->shards->graph;
    shx_ranking *ranking = &router->ranking;
    const uint32_t *links = graph->links + (uint64_t)node * 2 * graph->m;
    uint32_t blocks = shx_blocks_of(2 * graph->m), near[2 * SHX_GRAPH_M_MAX], count = 0;
    size_t block_bytes = shx_block_bytes(graph->code_dim);
    float bounds[SHX_BLOCK_ROWS];
    shx_bound bound;
    float distance2 = shx_ranking_distance2(ranking, order2, node);
    shx_query_bound(ranking->query, &graph->scales[node], distance2, ROUTER_EPSILON, INFINITY, &bound);
    for (uint32_t b = 0; b < blocks; b++) {
        const uint32_t *lanes = links + b * SHX_BLOCK_ROWS;
        uint32_t most = 2 * graph->m - b * SHX_BLOCK_ROWS;
        if (lanes[0] == SHX_GRAPH_NONE) break;
        ranking->kernels->bound_block(graph->blocks + ((uint64_t)node * blocks + b) * block_bytes, ranking->query->lut,
                                      graph->code_dim, &graph->scales[node], &bound, bounds);
        float far = router->beam_count == width ? shx_heap_distance(~router->beam[0]) : INFINITY;
        for (uint32_t i = 0; i < most && i < SHX_BLOCK_ROWS && lanes[i] != SHX_GRAPH_NONE; i++) {
            if (router->visited[lanes[i]] == router->routings) continue;
            if (bounds[i] + shx_ranking_handicap(ranking, lanes[i]) > far) continue;
            shx_ranking_prefetch(ranking, lanes[i]);
            near[count++] = lanes[i];
        }
        ranking->work.codes += SHX_BLOCK_ROWS;
    }
    ranking->work.bundles++;
    for (uint32_t i = 0; i < count && !router->failed; i++) {
        if (router->visited[near[i]] == router->routings) continue; /* a forged file may name a neighbour twice */
        router_meet(router, near[i], width);
    }
}

/* Asks for the node that is next to be expanded. */
static void router_prefetch_node(const shx_router *router) {
    const shx_graph *graph = &router->shards->graph;
    if (router->frontier_count == 0) return;
    uint64_t node = (uint32_t)router->frontier[0];
    size_t node_bytes = shx_blocks_of(2 * graph->m) * shx_block_bytes(graph->code_dim);
    __builtin_prefetch(graph->links + node * 2 * graph->m);
    __builtin_prefetch(&graph->scales[node]);
    shx_prefetch(graph->blocks + node * node_bytes, node_bytes, ROUTER_PREFETCH_BYTES);
}

/* The beam holds the `width` nearest of what was met and not handed out; it is done when nothing to expand is nearer.
** The nearest `wanted` of them may be handed out. */
static void router_search_graph(shx_router *router) {
    shx_ranking *ranking = &router->ranking;
    uint64_t width = ranking->wanted * router->shards->spread / ROUTER_SPREAD_UNIT;
    if (width < ranking->wanted) width = ranking->wanted;
    router->beam_count = 0;
    for (uint64_t i = 0; i < ranking->waiting_count; i++) router_widen(router, ranking->waiting[i], width);
    if (router->met == 0) router_enter_graph(router, width);
    while (router->frontier_count > 0 && !router->failed) {
        if (router->beam_count == width && router->frontier[0] > ~router->beam[0]) break;
        uint64_t key = shx_heap_pop(router->frontier, &router->frontier_count);
        router_prefetch_node(router);
        router_expand(router, (uint32_t)key, shx_heap_distance(key), width);
    }
    while (router->beam_count > ranking->wanted) shx_heap_pop(router->beam, &router->beam_count);
    ranking->cut = router->beam_count > 0 ? shx_heap_distance(~router->beam[0]) : -INFINITY;
    shx_ranking_make_ready(ranking);
    router->given += ranking->wanted;
    if (ranking->wanted < router->given / 2) ranking->wanted = router->given / 2;
}

/* Goes on flat: what was measured keeps its place in the heap, and the rest is ranked. */
static void router_leave_graph(shx_router *router) {
    shx_ranking *ranking = &router->ranking;
    router->way = SHX_ROUTE_FLAT;
    ranking->wanted = ROUTER_FIRST;
    router_scan_all(router);
    for (uint64_t i = 0; i < router->shards->count; i++) {
        bool measured = router->visited[i] == router->routings;
        if (measured && !(router->open_only && !router->shards->open[i])) shx_ranking_drop(ranking, i);
    }
    ranking->cut = -INFINITY;
    shx_ranking_raise(ranking, INFINITY);
}

/* ---- all ---- */

shx_status shx_router_start(shx_router *router, const shx_shards *shards, const float *handicaps,
                            const shx_query *query, bool open_only) {
    router->shards = shards;
    router->open_only = open_only;
    router->way = shards->count > 0 ? shards->way : SHX_ROUTE_FLAT;
    shx_ranked ranked = {.narrow = shards->centroids, .steps = shards->steps, .handicaps = handicaps};
    SHX_TRY(shx_ranking_start(&router->ranking, query, ranked, shards->count, ROUTER_FIRST));
    if (router->way == SHX_ROUTE_LEVELS) return router_start_levels(router, query);
    if (router->way == SHX_ROUTE_GRAPH) return router_start_graph(router);
    router_scan_all(router);
    return SHX_OK;
}

/* Makes more shards ready; false when there are no more, or none within the limit. */
static bool router_raise(shx_router *router, float limit) {
    shx_ranking *ranking = &router->ranking;
    if (router->way == SHX_ROUTE_GRAPH) {
        bool deep = router->met * ROUTER_DEEP > router->shards->count;
        bool ended = router->met > 0 && router->frontier_count == 0;
        if (deep || ended || router->failed) {
            router_leave_graph(router);
        } else {
            router_search_graph(router);
        }
        return true;
    }
    if (router->way == SHX_ROUTE_LEVELS) router_open_parents(router);
    if (router_used_up(ranking)) return false;
    shx_ranking_raise(ranking, limit);
    return true;
}

bool shx_router_next_within(shx_router *router, float limit, shx_route *ret_route) {
    while (!shx_ranking_take(&router->ranking, &ret_route->order2, &ret_route->shard)) {
        if (router->ranking.cut >= limit && limit < INFINITY) return false;
        if (!router_raise(router, limit)) return false;
    }
    ret_route->distance2 = shx_ranking_distance2(&router->ranking, ret_route->order2, ret_route->shard);
    return true;
}

bool shx_router_next(shx_router *router, shx_route *ret_route) {
    return shx_router_next_within(router, INFINITY, ret_route);
}

shx_ranking_work shx_router_work(const shx_router *router) {
    shx_ranking_work work = router->ranking.work;
    if (router->shards->way != SHX_ROUTE_LEVELS) return work;
    work.codes += router->parents.work.codes;
    work.measured += router->parents.work.measured;
    return work;
}
