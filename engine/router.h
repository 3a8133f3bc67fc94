/* The router: the shards of a base in the order of their centroids' distance to a query, as far as somebody asks.
**
** A flat scan of the centroids' scan codes gives a lower bound for each shard (one standard deviation below its
** estimate). Shards whose bound is within a cut are measured exactly and go into a heap; the nearest one is handed out
** while it is within the cut, since what is not measured is expected to be farther. Then the cut is raised. A query
** that asks for a small part of the shards costs one pass over the bounds, and exact distances and heap work for little
** more than that part.
*/
#ifndef SHX_ROUTER_H
#define SHX_ROUTER_H

#include "quantizer.h"
#include "shards.h"

/* One routed shard: its position in the table and the squared distance of query and centroid. */
typedef struct shx_route {
    float distance2;
    uint32_t shard;
} shx_route;

/* The state of one ranking, reused from query to query. Zero-initialise; free with shx_router_free. */
typedef struct shx_router {
    const shx_shards *shards;
    const shx_query *query;
    const shx_kernels *kernels;
    float *bounds;    /* per shard; infinity: left out */
    uint64_t *heap;   /* measured shards: the distance's bits above the position, nearest on top */
    uint32_t *picked; /* the shards that a cut lets in */
    uint64_t capacity, heap_capacity, heap_count, picked_capacity;
    uint64_t left;   /* shards that are not measured */
    uint64_t wanted; /* how many the next cut aims at */
    float cut;       /* everything with a bound up to here is measured */
} shx_router;

void shx_router_free(shx_router *router);

/* Starts a ranking of all shards (or of the open ones only). The query and the table must outlive it. */
shx_status shx_router_start(shx_router *router, const shx_shards *shards, const shx_query *query, bool open_only);

/* The next shard; false when all were given. */
bool shx_router_next(shx_router *router, shx_route *ret_route);

#endif
