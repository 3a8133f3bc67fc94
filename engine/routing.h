/* Routing: which way a table of shards is searched (router.h), chosen by measured cost, and kept up as shards come and
** go.
**
** Measured are sample queries of the table's own postings that ask for as many shards as searches do on average. The
** yardstick is the share of the nearest shards that is given: a way is as wide (`spread`) as it must be to give as
** large a share as the flat way, less ROUTING_TOLERANCE. Its cost is counted in codes bounded, centroids measured and
** bundles opened, each worth the nanoseconds that a benchmark (tests/bench/router.c) found for it, so that the same
** table gets the same way on every machine and in every process; the choice stands in the table's file.
**
** Measured by the benchmark on clustered centroids, microseconds of CPU time a query for the 50 nearest of K shards,
** each way as wide as a share of 0.99 needs (the share in brackets); the graph was made in 0.15 ms a shard at 128
** dimensions, 0.45 ms at 768:
**
**     dimensions  K        flat           levels         graph
**     112         2,500    13.1 (0.996)   14.5 (0.995)
**     112         8,000    21.5 (0.997)   18.8 (0.995)   23.5 (0.994)
**     112         32,000   54.8 (0.998)   20.3 (0.994)   36.5 (0.996)
**     128         2,500    12.6 (0.997)   14.4 (0.996)   23.1 (0.996)
**     128         8,000    19.3 (0.999)   21.2 (0.995)   25.5 (0.995)
**     128         32,000   51.7 (0.998)   18.5 (0.994)   35.0 (0.995)
**     128         128,000  198  (0.999)   35.7 (0.995)   55.5 (0.995)
**     128         10^6     1,661  (0.999)  101  (0.995)   136  (0.996)
**     768         2,500    31.1 (0.999)   35.0 (0.997)   60.8 (0.994)
**     768         8,000    72.4 (0.999)   79.0 (0.997)   89.4 (0.990)
**     768         32,000   171  (1.000)   89.5 (0.996)   123  (0.991)
**
** So flat is the cheapest up to about 10,000 shards (more than a million postings), levels from there on.
** The graph was cheaper than flat from 32,000 shards on, and than levels nowhere, up to a million: its cost hardly
** grows with K, but each of its hops is a wait for memory. So it is tried only from ROUTING_GRAPH_FROM on, where the
** gap has become small and levels need ever more parents, and made where router=graph wishes for it.
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

/* Measures the way that a table has. SHX_NOMEM. */
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
