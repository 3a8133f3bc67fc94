#include "router.h"

#include "memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUTER_BATCH 128
#define ROUTER_EPSILON 1.0f /* standard deviations below its estimate at which a shard is expected */

void shx_router_free(shx_router *router) {
    shx_free(router->routes);
    memset(router, 0, sizeof *router);
}

shx_status shx_router_start(shx_router *router, const shx_shards *shards, const shx_query *query, bool open_only) {
    SHX_TRY(shx_grow((void **)&router->routes, &router->capacity, shards->count, sizeof *router->routes));
    router->shards = shards;
    router->query = query;
    router->kernels = shx_kernels_get();
    router->count = router->sorted = router->next = 0;
    router->batch = ROUTER_BATCH;
    router->limit = -INFINITY;
    shx_bound bound;
    float norm2 = 0, bounds[SHX_BLOCK_ROWS];
    for (uint32_t i = 0; i < shards->code_dim; i++) norm2 += query->point[i] * query->point[i];
    shx_query_bound(query, &shards->scale, norm2, ROUTER_EPSILON, INFINITY, &bound);
    size_t block_bytes = shx_block_bytes(shards->code_dim);
    for (uint64_t first = 0; first < shards->count; first += SHX_BLOCK_ROWS) {
        uint64_t end = first + SHX_BLOCK_ROWS < shards->count ? first + SHX_BLOCK_ROWS : shards->count;
        router->kernels->bound_block(shards->blocks + first / SHX_BLOCK_ROWS * block_bytes, query->lut,
                                     shards->code_dim, &shards->scale, &bound, bounds);
        for (uint64_t i = first; i < end; i++) {
            if (open_only && !shards->open[i]) continue;
            router->routes[router->count++] = (shx_route){bounds[i - first], (uint32_t)i};
        }
    }
    return SHX_OK;
}

static bool router_before(const shx_route *a, const shx_route *b) {
    return a->distance2 < b->distance2 || (a->distance2 == b->distance2 && a->shard < b->shard);
}

static int router_compare(const void *a, const void *b) { return router_before(a, b) ? -1 : router_before(b, a); }

/* Moves the `wanted` < count smallest routes to the front (Wirth's variant of quickselect). */
static void router_select(shx_route *routes, uint64_t count, uint64_t wanted) {
    int64_t low = 0, high = (int64_t)count - 1, place = (int64_t)wanted;
    while (low < high) {
        shx_route pivot = routes[place];
        int64_t i = low, j = high;
        while (i <= j) {
            while (router_before(&routes[i], &pivot)) i++;
            while (router_before(&pivot, &routes[j])) j--;
            if (i > j) break;
            shx_route swap = routes[i];
            routes[i++] = routes[j];
            routes[j--] = swap;
        }
        if (j < place) low = i;
        if (place < i) high = j;
    }
}

/* Measures the next batch exactly and sorts it into what is waiting. Afterwards the limit is the bound of the nearest shard
** that is not measured: what lies within it can be handed out. */
static void router_refill(shx_router *router) {
    uint64_t left = router->count - router->sorted;
    uint64_t batch = router->batch < left ? router->batch : left;
    shx_route *routes = router->routes + router->sorted;
    uint32_t code_dim = router->shards->code_dim;
    if (batch < left) router_select(routes, left, batch);
    for (uint64_t i = 0; i < batch; i++) {
        const float *centroid = router->shards->centroids + (uint64_t)routes[i].shard * code_dim;
        routes[i].distance2 = router->kernels->code_l2_squared(router->query->point, centroid, code_dim);
    }
    router->sorted += batch;
    qsort(router->routes + router->next, router->sorted - router->next, sizeof *routes, router_compare);
    router->limit = batch < left ? router->routes[router->sorted].distance2 : INFINITY;
    if (router->sorted >= 2 * router->batch) router->batch *= 2;
}

bool shx_router_next(shx_router *router, shx_route *ret_route) {
    if (router->next == router->count) return false;
    while (router->next == router->sorted || router->routes[router->next].distance2 > router->limit) {
        if (router->sorted == router->count) break;
        router_refill(router);
    }
    *ret_route = router->routes[router->next++];
    return true;
}
