/* Tables of shards for tests: made from centroids, and searched in any way of the router. */
#ifndef SHX_TEST_SHARD_TABLE_H
#define SHX_TEST_SHARD_TABLE_H

#include "fixture.h"

#include "routing.h"

#include <stdlib.h>

#define CODE_DIM 64

static const shx_route_way ways[] = {SHX_ROUTE_FLAT, SHX_ROUTE_LEVELS, SHX_ROUTE_GRAPH};

/* `count` shards with ids 2, 5, 8 …, every fourth closed. */
static inline shx_shards *table_of(const float *centroids, uint64_t count) {
    uint64_t *ids = calloc(count + 1, sizeof *ids);
    uint8_t *open = calloc(count + 1, 1);
    shx_shards *table;
    assert_true(ids && open);
    for (uint64_t i = 0; i < count; i++) {
        ids[i] = 2 + 3 * i;
        open[i] = i % 4 != 3;
    }
    assert_ok(shx_shards_create(CODE_DIM, count, ids, open, centroids, &table));
    free(ids);
    free(open);
    return table;
}

static inline void set_way(shx_shards *table, shx_route_way way, uint32_t m, uint32_t ef) {
    const shx_routing_wish wish = {.m = m, .ef = ef};
    assert_ok(shx_routing_set(table, way, &wish, 5, NULL));
    assert_int_equal(table->way, table->count ? way : SHX_ROUTE_FLAT);
}

#endif
