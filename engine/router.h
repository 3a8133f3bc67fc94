/* The router: the shards of a base in the order of their centroids' distance to a query, as far as somebody asks.
**
** A flat scan of the centroids' scan codes gives an estimate for each shard; the nearest ones by estimate are then
** measured
** exactly, in batches that double, and handed out sorted within their batch.
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
    shx_route *routes; /* [0, next) handed out, [next, sorted) measured and sorted, [sorted, count) lower bounds */
    uint64_t capacity, count, sorted, next, batch;
    float limit; /* no shard that is not measured is expected nearer than this */
} shx_router;

void shx_router_free(shx_router *router);

/* Starts a ranking of all shards (or of the open ones only). The query and the table must outlive it. */
shx_status shx_router_start(shx_router *router, const shx_shards *shards, const shx_query *query, bool open_only);

/* The next shard; false when all were given. */
bool shx_router_next(shx_router *router, shx_route *ret_route);

#endif
