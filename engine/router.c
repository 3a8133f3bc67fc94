#include "router.h"

#include "memory.h"

#include <math.h>
#include <string.h>

#define ROUTER_EPSILON 1.0f  /* standard deviations below its estimate at which a shard is expected */
#define ROUTER_FIRST_CUT 192 /* shards that the first cut aims at; later ones aim at twice as many */
#define ROUTER_AHEAD 3       /* centroids that are fetched before they are measured */
#define ROUTER_SAMPLE 64     /* bounds that a cut is estimated from */

void shx_router_free(shx_router *router) {
    shx_free(router->bounds);
    shx_free(router->heap);
    shx_free(router->picked);
    memset(router, 0, sizeof *router);
}

static void router_scan(shx_router *router) {
    const shx_shards *shards = router->shards;
    size_t block_bytes = shx_block_bytes(shards->code_dim);
    float norm2 = 0;
    shx_bound bound;
    for (uint32_t i = 0; i < shards->code_dim; i++) norm2 += router->query->point[i] * router->query->point[i];
    shx_query_bound(router->query, &shards->scale, norm2, ROUTER_EPSILON, INFINITY, &bound);
    for (uint64_t first = 0; first < shards->count; first += SHX_BLOCK_ROWS) {
        router->kernels->bound_block(shards->blocks + first / SHX_BLOCK_ROWS * block_bytes, router->query->lut,
                                     shards->code_dim, &shards->scale, &bound, router->bounds + first);
    }
}

shx_status shx_router_start(shx_router *router, const shx_shards *shards, const shx_query *query, bool open_only) {
    uint64_t room = shx_blocks_of(shards->count) * (uint64_t)SHX_BLOCK_ROWS;
    SHX_TRY(shx_grow((void **)&router->bounds, &router->capacity, room, sizeof *router->bounds));
    SHX_TRY(shx_grow((void **)&router->heap, &router->heap_capacity, shards->count, sizeof *router->heap));
    SHX_TRY(shx_grow((void **)&router->picked, &router->picked_capacity, shards->count, sizeof *router->picked));
    router->shards = shards;
    router->query = query;
    router->kernels = shx_kernels_get();
    router->heap_count = 0;
    router->left = shards->count;
    router->wanted = ROUTER_FIRST_CUT;
    router->cut = -INFINITY;
    router_scan(router);
    for (uint64_t i = 0; open_only && i < shards->count; i++) {
        if (shards->open[i]) continue;
        router->bounds[i] = NAN;
        router->left--;
    }
    return SHX_OK;
}

/* ---- the heap ---- */

/* Distances are not negative, so their bits order as they do; equal ones order by position. */
static uint64_t router_key(float distance2, uint32_t shard) {
    uint32_t bits;
    memcpy(&bits, &distance2, sizeof bits);
    return (uint64_t)bits << 32 | shard;
}

static void router_push(shx_router *router, uint64_t key) {
    uint64_t *heap = router->heap, i = router->heap_count++;
    for (; i > 0 && heap[(i - 1) / 2] > key; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = key;
}

static uint64_t router_pop(shx_router *router) {
    uint64_t *heap = router->heap, top = heap[0], key = heap[--router->heap_count], i = 0;
    for (uint64_t child = 1; child < router->heap_count; child = 2 * i + 1) {
        if (child + 1 < router->heap_count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= key) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = key;
    return top;
}

static float router_distance_of(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    float distance2;
    memcpy(&distance2, &bits, sizeof distance2);
    return distance2;
}

/* ---- cuts ---- */

/* A bound that about `wanted` of the shards that are left are within, from a sample of them. */
static float router_choose_cut(const shx_router *router) {
    float sample[ROUTER_SAMPLE];
    uint64_t count = router->shards->count, taken = 0;
    if (router->left <= 2 * router->wanted) return INFINITY;
    for (uint64_t s = 0; s < ROUTER_SAMPLE; s++) {
        float bound = router->bounds[s * count / ROUTER_SAMPLE];
        if (!(bound > router->cut)) continue;
        uint64_t i = taken++;
        for (; i > 0 && sample[i - 1] > bound; i--) sample[i] = sample[i - 1];
        sample[i] = bound;
    }
    uint64_t rank = router->wanted * taken / router->left;
    return rank + 1 < taken ? sample[rank] : INFINITY;
}

static const float *router_centroid(const shx_router *router, uint32_t shard) {
    return router->shards->centroids + (uint64_t)shard * router->shards->code_dim;
}

/* Raises the cut and measures what it lets in, fetching a few centroids ahead. */
static void router_raise_cut(shx_router *router) {
    float high = router_choose_cut(router);
    uint64_t count = router->kernels->within(router->bounds, router->shards->count, router->cut, high, router->picked);
    for (uint64_t i = 0; i < count; i++) {
        if (i + ROUTER_AHEAD < count) {
            const char *ahead = (const char *)router_centroid(router, router->picked[i + ROUTER_AHEAD]);
            for (int line = 0; line < 6; line++) __builtin_prefetch(ahead + 64 * line);
        }
        const float *centroid = router_centroid(router, router->picked[i]);
        float distance2 = router->kernels->code_l2_squared(router->query->point, centroid, router->shards->code_dim);
        router_push(router, router_key(distance2, router->picked[i]));
    }
    router->left -= count;
    router->cut = high;
    router->wanted *= 2;
}

bool shx_router_next(shx_router *router, shx_route *ret_route) {
    while (router->heap_count == 0 || router_distance_of(router->heap[0]) > router->cut) {
        if (router->cut == INFINITY) break;
        router_raise_cut(router);
    }
    if (router->heap_count == 0) return false;
    uint64_t key = router_pop(router);
    *ret_route = (shx_route){router_distance_of(key), (uint32_t)key};
    return true;
}
