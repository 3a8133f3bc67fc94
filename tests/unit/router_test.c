/* The ways of the router over tables of shards: every shard once, by exact distance, the nearest first; the cheapest is
** chosen, and kept up as shards come and go. */
#include "fixture.h"

#include "limits.h"
#include "router.h"
#include "routing.h"
#include "shard_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static float distance_to(const shx_query *query, const shx_shards *table, uint64_t shard) {
    float centroid[CODE_DIM];
    shx_shards_centroid(table, shard, centroid);
    return shx_kernels_get()->code_l2_squared(query->point, centroid, CODE_DIM);
}

/* The exact distance with the handicap; the route says so. */
static float check_route(const shx_shards *table, const float *handicaps, const shx_query *query,
                         const shx_route *route) {
    float exact = distance_to(query, table, route->shard), order2 = exact;
    if (handicaps) order2 += handicaps[route->shard];
    assert_true(route->order2 == order2);
    assert_true(fabsf(route->distance2 - exact) <= (handicaps ? 1e-6f * order2 : 0));
    return order2;
}

/* Routes to all shards: each is given once, with its exact distance, none that is closed when only open ones are
** wanted. Returns the share of the `first` nearest (by brute force, with handicaps) among the first ones given. */
static double judge_routing(shx_router *router, const shx_shards *table, const float *handicaps,
                            const shx_query *query, bool open_only, uint64_t first) {
    uint64_t given_count = 0, wanted = 0, found = 0;
    uint8_t *given = calloc(table->count + 1, 1);
    float *nearest = calloc(table->count + 1, sizeof *nearest), *order = calloc(table->count + 1, sizeof *order);
    assert_ok(shx_router_start(router, table, handicaps, query, open_only));
    for (shx_route route; shx_router_next(router, &route);) {
        assert_true(route.shard < table->count && !given[route.shard]);
        assert_true(!open_only || table->open[route.shard]);
        given[route.shard] = 1;
        order[given_count++] = check_route(table, handicaps, query, &route);
    }
    for (uint64_t i = 0; i < table->count; i++) {
        if (open_only && !table->open[i]) continue;
        nearest[wanted++] = distance_to(query, table, i) + (handicaps ? handicaps[i] : 0);
    }
    assert_int_equal(given_count, wanted);
    qsort(nearest, wanted, sizeof *nearest, compare_floats);
    if (first > wanted) first = wanted;
    for (uint64_t i = 0; i < first; i++) found += order[i] <= nearest[first - 1];
    free(given);
    free(nearest);
    free(order);
    return first ? (double)found / (double)first : 1;
}

/* Different in different places, as scatter is, and no less than distances between neighbours. */
static float *make_handicaps(const shx_shards *table) {
    float *handicaps = calloc(table->count + 1, sizeof *handicaps), centroid[CODE_DIM];
    assert_non_null(handicaps);
    for (uint64_t i = 0; i < table->count; i++) {
        shx_shards_centroid(table, i, centroid);
        handicaps[i] = 8 * centroid[0] * centroid[0];
    }
    return handicaps;
}

/* The mean share over queries near the table's shards and away from them, every fourth with handicaps. */
static double judge_table(const shx_shards *table, fixture_random *random, int queries, uint64_t first) {
    const float mean[CODE_DIM] = {0};
    const shx_encoding encoding = {SHX_L2, SHX_FLOAT32, 20, CODE_DIM, 5, 0, mean};
    shx_router router = {0};
    shx_query *query;
    double share = 0;
    assert_ok(shx_query_create(CODE_DIM, &query));
    for (int q = 0; q < queries; q++) {
        float *vector = fixture_gaussian(random, 1, 20);
        assert_true(shx_query_set(query, &encoding, vector));
        if (q % 3 == 0 && table->count > 0) {
            float centroid[CODE_DIM];
            shx_shards_centroid(table, fixture_below(random, table->count), centroid);
            for (int d = 0; d < CODE_DIM; d++) query->point[d] = centroid[d] + query->point[d] / 8;
            query->norm = 0;
            shx_query_tabulate(query);
        }
        float *handicaps = q % 4 == 1 ? make_handicaps(table) : NULL;
        share += judge_routing(&router, table, handicaps, query, q % 2, first);
        free(handicaps);
        free(vector);
    }
    shx_query_destroy(query);
    shx_router_free(&router);
    return share / queries;
}

/* How wide a way must look to be sure of a share of 0.95. A graph may be led to other clusters than the nearest, unless
** its beam is wide. Over 30 seeds and 120 queries a table, each way found 0.96 at least of 3,000 shards. */
static void widen(shx_shards *table) { table->spread = table->way == SHX_ROUTE_GRAPH ? 512 : 64; }

/* Few shards, whole and broken blocks; many; clustered; many of them equal. */
static void every_way_gives_every_shard(void **state) {
    (void)state;
    fixture_random random = fixture_seed("router", 3);
    const uint64_t counts[] = {0, 1, 2, 31, 32, 33, 127, 129, 400, 3000};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int kind = 0; kind < 3; kind++) {
            uint64_t count = counts[c];
            float *centroids = kind == 0 ? fixture_gaussian(&random, count + 1, CODE_DIM)
                                         : fixture_clustered(&random, count + 1, CODE_DIM, 30);
            for (uint64_t i = 0; kind == 2 && i < count; i++) {
                if (i % 3) memcpy(centroids + i * CODE_DIM, centroids + i % 7 * CODE_DIM, CODE_DIM * sizeof(float));
            }
            for (size_t w = 0; w < 3; w++) {
                shx_shards *table = table_of(centroids, count);
                set_way(table, ways[w], 8, 64);
                widen(table);
                double share = judge_table(table, &random, count < 400 ? 12 : 60, 10);
                if (share < 0.95) {
                    fail_msg("%s, kind %d, %d shards: a share of %f", shx_route_way_name(ways[w]), kind, (int)count,
                             share);
                }
                shx_shards_release(table);
            }
            free(centroids);
        }
    }
}

/* All shards at one point, or all but one. */
static void equal_shards_are_all_given(void **state) {
    (void)state;
    fixture_random random = fixture_seed("equal shards", 4);
    float *centroids = fixture_gaussian(&random, 600, CODE_DIM);
    for (uint64_t i = 1; i < 599; i++) memcpy(centroids + i * CODE_DIM, centroids, CODE_DIM * sizeof(float));
    for (size_t w = 0; w < 3; w++) {
        shx_shards *table = table_of(centroids, 600);
        set_way(table, ways[w], 4, 16);
        assert_true(judge_table(table, &random, 4, 700) == 1);
        shx_shards_release(table);
    }
    free(centroids);
}

/* Who asks within a limit gets nearly all shards within it, for less than it costs to know what is beyond, and can go
** on without it. */
static void a_limit_spares_what_lies_beyond(void **state) {
    (void)state;
    enum { COUNT = 2000, QUERIES = 40, WITHIN = 31 };
    fixture_random random = fixture_seed("limit", 7);
    const float mean[CODE_DIM] = {0};
    const shx_encoding encoding = {SHX_L2, SHX_FLOAT32, 20, CODE_DIM, 5, 0, mean};
    float *centroids = fixture_clustered(&random, COUNT, CODE_DIM, 40), distances[COUNT];
    shx_shards *table = table_of(centroids, COUNT);
    shx_router router = {0};
    shx_query *query;
    uint64_t within = 0, measured = 0;
    assert_ok(shx_query_create(CODE_DIM, &query));
    for (int q = 0; q < QUERIES; q++) {
        float *vector = fixture_gaussian(&random, 1, 20);
        uint8_t given[COUNT] = {0};
        uint64_t count = 0;
        shx_route route;
        assert_true(shx_query_set(query, &encoding, vector));
        for (uint64_t i = 0; i < COUNT; i++) distances[i] = distance_to(query, table, i);
        qsort(distances, COUNT, sizeof *distances, compare_floats);
        const float limit = distances[WITHIN - 1];
        assert_ok(shx_router_start(&router, table, NULL, query, false));
        for (; shx_router_next_within(&router, limit, &route); given[route.shard]++) {
            within += route.distance2 <= limit;
        }
        measured += shx_router_work(&router).measured;
        while (shx_router_next(&router, &route)) given[route.shard]++;
        for (uint64_t i = 0; i < COUNT; i++) count += given[i] == 1;
        assert_int_equal(count, COUNT);
        free(vector);
    }
    assert_true(within >= QUERIES * WITHIN * 0.8 && measured < QUERIES * COUNT / 2);
    shx_query_destroy(query);
    shx_router_free(&router);
    shx_shards_release(table);
    free(centroids);
}

/* ---- the choice ---- */

static shx_routing_sample make_sample(fixture_random *random, const shx_shards *table, float **ret_points) {
    enum { COUNT = 200 };
    *ret_points = fixture_gaussian(random, COUNT, CODE_DIM);
    for (uint64_t i = 0; i < COUNT; i++) {
        float centroid[CODE_DIM];
        shx_shards_centroid(table, fixture_below(random, table->count), centroid);
        float *point = *ret_points + i * CODE_DIM;
        for (int d = 0; d < CODE_DIM; d++) point[d] = centroid[d] + point[d] / 4;
    }
    return (shx_routing_sample){*ret_points, COUNT, 20};
}

/* Groups of as many shards as a sample query wants, far from each other: levels need not be wide to find them. */
static float *grouped(fixture_random *random, uint64_t count) {
    float *centroids = fixture_gaussian(random, count, CODE_DIM);
    for (uint64_t i = 0; i < count; i++) {
        for (uint64_t d = 0; d < CODE_DIM; d++) {
            float *value = &centroids[i * CODE_DIM + d];
            if (i % 20) *value = centroids[(i - i % 20) * CODE_DIM + d] + *value / 16;
        }
    }
    return centroids;
}

static void the_cheapest_way_is_chosen(void **state) {
    (void)state;
    fixture_random random = fixture_seed("choice", 5);
    const uint64_t counts[] = {1, 200, 3000, 16000};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        bool few = counts[c] <= 3000;
        float *centroids = few ? fixture_clustered(&random, counts[c], CODE_DIM, 100) : grouped(&random, counts[c]);
        float *points;
        shx_shards *table = table_of(centroids, counts[c]);
        const shx_routing_sample sample = make_sample(&random, table, &points);
        const shx_routing_wish none = {0};
        shx_routing_figures flat, chosen;
        assert_ok(shx_routing_measure(table, &sample, &flat));
        assert_ok(shx_routing_choose(table, &none, &sample, 9, NULL));
        assert_ok(shx_routing_measure(table, &sample, &chosen));
        assert_true(chosen.cost <= flat.cost && chosen.share >= flat.share - 0.01);
        assert_int_equal(table->way, few ? SHX_ROUTE_FLAT : SHX_ROUTE_LEVELS);
        for (size_t w = 0; w < 3 && few; w++) {
            const shx_routing_wish wish = {.way = ways[w], .m = 6, .ef = 40};
            assert_ok(shx_routing_choose(table, &wish, &sample, 9, NULL));
            assert_int_equal(table->way, ways[w]);
            assert_ok(shx_routing_measure(table, &sample, &chosen));
            assert_true(chosen.share >= 0.97);
            if (ways[w] == SHX_ROUTE_GRAPH) assert_int_equal(table->graph.m, 6);
        }
        free(points);
        free(centroids);
        shx_shards_release(table);
    }
}

/* Shards go and come, a few at a time; the way follows without being made anew, and finds as much. */
static void every_way_follows_changes(void **state) {
    (void)state;
    enum { ROOM = 1600 };
    fixture_random random = fixture_seed("follow", 6);
    float *centroids = fixture_clustered(&random, ROOM, CODE_DIM, 40);
    for (size_t w = 0; w < 3; w++) {
        const shx_routing_wish wish = {.m = 8, .ef = 64}, other = {.way = ways[(w + 1) % 3], .m = 8};
        uint8_t alive[ROOM] = {0}, alive_before[ROOM];
        for (int i = 0; i < 1000; i++) alive[i] = 1;
        shx_shards *before = NULL;
        for (int round = 0; round < 25; round++) {
            uint64_t ids[ROOM], count = 0, changed = 0;
            uint8_t open[ROOM];
            float *rows = malloc(sizeof(float) * ROOM * CODE_DIM);
            memcpy(alive_before, alive, sizeof alive);
            for (int i = 0; round > 0 && i < 20; i++) alive[fixture_below(&random, 1000 + 20 * (uint64_t)round)] ^= 1;
            for (uint64_t i = 0; i < ROOM; i++) {
                changed += alive[i] != alive_before[i];
                if (!alive[i]) continue;
                ids[count] = i + SHX_SHARD_FIRST;
                open[count] = i % 5 != 0;
                memcpy(rows + count++ * CODE_DIM, centroids + i * CODE_DIM, CODE_DIM * sizeof(float));
            }
            shx_shards *table;
            bool followed = false;
            assert_ok(shx_shards_create(CODE_DIM, count, ids, open, rows, &table));
            if (before) {
                assert_ok(shx_routing_follow(table, before, &other, NULL, &followed));
                assert_false(followed);
                assert_ok(shx_routing_follow(table, before, &wish, NULL, &followed));
                assert_int_equal(followed, (before->changed + changed) * 10 <= before->count);
                if (followed) assert_true(table->way == ways[w] && table->changed == before->changed + changed);
            } else {
                set_way(table, ways[w], 8, 64);
            }
            if (before && !followed) {
                assert_true(before->changed > 0);
                set_way(table, ways[w], 8, 64);
            }
            table->spread = ways[w] == SHX_ROUTE_LEVELS ? 32 : 64;
            double share = judge_table(table, &random, 24, 10);
            if (share < 0.9) fail_msg("%s, round %d: a share of %f", shx_route_way_name(ways[w]), round, share);
            shx_shards_release(before);
            before = table;
            free(rows);
        }
        shx_shards_release(before);
    }
    free(centroids);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_gives_every_shard),
        cmocka_unit_test(equal_shards_are_all_given),
        cmocka_unit_test(a_limit_spares_what_lies_beyond),
        cmocka_unit_test(the_cheapest_way_is_chosen),
        cmocka_unit_test(every_way_follows_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
