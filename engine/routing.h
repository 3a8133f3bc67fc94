/* Routing: which way a table of shards is searched (router.h), chosen by measured cost, and kept up as shards come and
** go.
**
** Measured are sample queries of the table's own postings that ask for as many shards as searches do on average. The
** yardstick is the share of the nearest shards that is given: a way is as wide (`spread`) as it must be to give as
** large a share as the flat way, less ROUTING_TOLERANCE. Its cost is counted in codes bounded, centroids measured and
** bundles opened, each worth the nanoseconds that a benchmark (tests/bench/router.c) found for it, so that the same
** table gets the same way on every machine and in every process; the choice stands in the table's file.
*/
#ifndef SHX_ROUTING_H
#define SHX_ROUTING_H

#include "pool.h"
#include "shards.h"

/* What the user wishes. Zeros: the cheapest way, the defaults of graph.h. */
typedef struct shx_routing_wish {
    uint32_t way; /* shx_route_way */
    uint32_t m, ef;
} shx_routing_wish;

/* Points in code space (code_dim floats each) that stand for queries, and how many shards they ask for. */
typedef struct shx_routing_sample {
    const float *points;
    uint64_t count, wanted;
} shx_routing_sample;

/* Gives a table that is not shared yet a way, whatever it costs, with the default spread. */
shx_status shx_routing_set(shx_shards *shards, shx_route_way way, const shx_routing_wish *wish, uint64_t seed,
                           shx_pool *pool);

/* The share of the wanted nearest shards among the first ones given, and the nanoseconds of a query. */
typedef struct shx_routing_figures {
    double share, cost;
} shx_routing_figures;

shx_status shx_routing_measure(const shx_shards *shards, const shx_routing_sample *sample,
                               shx_routing_figures *ret_figures);

/* Gives a table that is not shared yet the way that is wished for, or the cheapest. */
shx_status shx_routing_choose(shx_shards *shards, const shx_routing_wish *wish, const shx_routing_sample *sample,
                              uint64_t seed, shx_pool *pool);

/* Gives it the way of the table that it came from, changed by what came and went: *ret_followed is false, and nothing
** has changed, when too much did or the wish is another. */
shx_status shx_routing_follow(shx_shards *shards, const shx_shards *before, const shx_routing_wish *wish,
                              shx_pool *pool, bool *ret_followed);

#endif
