/* The router: the shards of a base in the order of their centroids' distance to a query, as far as somebody asks.
**
** Shards may have handicaps, squared distances that are added for the order. Searches give each a part of its scatter
** (base.h).
**
** Three ways behind one interface; which one a table uses stands in its file (shards.h; routing.h chooses):
**
**     flat    a ranking (ranking.h) of all shards: one pass over all scan codes
**     levels  the parents are ranked; the nearest are opened until they have `spread` times as many shards as are asked
**             for, and these are ranked. When more is asked for, more parents are opened
**     graph   a beam search (graph.h) that is `spread`/16 times as wide as what is asked for, and goes on where it
**             stopped when more is asked for, by half as much as was given; past an eighth of all shards, or at a dead
**             end, the rest is ranked flat
**
** Every way gives every shard once, with the distance of its centroid (exact where there are no handicaps).
*/
#ifndef SHX_ROUTER_H
#define SHX_ROUTER_H

#include "quantizer.h"
#include "ranking.h"
#include "shards.h"

/* One routed shard: its position in the table, the squared distance of query and centroid, and with the handicap. */
typedef struct shx_route {
    float distance2, order2;
    uint32_t shard;
} shx_route;

/* The state of one routing, reused from query to query. Zero-initialise; free with shx_router_free. */
typedef struct shx_router {
    const shx_shards *shards;
    bool open_only;
    shx_route_way way;   /* the graph's ends as FLAT */
    shx_ranking ranking; /* of shards */
    shx_ranking parents; /* of the way LEVELS */
    uint64_t opened;     /* shards under the parents opened */

    uint64_t *frontier; /* of the way GRAPH: keys of nodes to expand, the nearest on top */
    uint64_t *beam;     /* complements of keys, the farthest on top */
    uint32_t *visited;  /* per shard: the last routing that measured it */
    uint64_t frontier_count, frontier_capacity, beam_count, beam_capacity, visited_capacity;
    uint64_t met, given; /* shards measured, and let through by cuts */
    uint32_t routings;
    bool failed; /* no memory for a wider beam */
} shx_router;

void shx_router_free(shx_router *router);

/* Starts a routing to all shards (or to the open ones only). `handicaps`: one ≥ 0 for each shard, or NULL. The query,
** the table and the handicaps must outlive it. */
shx_status shx_router_start(shx_router *router, const shx_shards *shards, const float *handicaps,
                            const shx_query *query, bool open_only);

/* The next shard; false when all were given. */
bool shx_router_next(shx_router *router, shx_route *ret_route);

/* The same for one who asks for no shard whose order2 is beyond a limit: false as well when the rest is expected to lie
** beyond it, so that it is not measured. What is given may lie beyond. */
bool shx_router_next_within(shx_router *router, float limit, shx_route *ret_route);

/* What the routing has cost so far. */
shx_ranking_work shx_router_work(const shx_router *router);

#endif
