/* Tables of shards, and the ways of the router over them: every shard once, by exact distance, the nearest first; kept
** up as shards come and go; read back from files that may be damaged. */
#include "fixture.h"

#include "limits.h"
#include "router.h"
#include "routing.h"
#include "shards.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME "shards-0000000000000006"
#define FILE_ID UINT64_C(6)
#define CODE_DIM 64

static uint64_t file_checksum; /* of the file that was written last */
static const shx_id uuid = {{8}};

/* `count` shards with ids 2, 5, 8 …, every fourth closed. */
static shx_shards *table_of(const float *centroids, uint64_t count) {
    uint64_t *ids = calloc(count + 1, sizeof *ids);
    uint8_t *open = calloc(count + 1, 1);
    shx_shards *table;
    for (uint64_t i = 0; i < count; i++) {
        ids[i] = 2 + 3 * i;
        open[i] = i % 4 != 3;
    }
    assert_ok(shx_shards_create(CODE_DIM, count, ids, open, centroids, &table));
    free(ids);
    free(open);
    return table;
}

static shx_shards *make_table(fixture_random *random, uint64_t count) {
    float *centroids = fixture_gaussian(random, count + 1, CODE_DIM);
    shx_shards *table = table_of(centroids, count);
    free(centroids);
    return table;
}

static void set_way(shx_shards *table, shx_route_way way, uint32_t m, uint32_t ef) {
    const shx_routing_wish wish = {.m = m, .ef = ef};
    assert_ok(shx_routing_set(table, way, &wish, 5, NULL));
    assert_int_equal(table->way, table->count ? way : SHX_ROUTE_FLAT);
}

static const shx_route_way ways[] = {SHX_ROUTE_FLAT, SHX_ROUTE_LEVELS, SHX_ROUTE_GRAPH};

static shx_status just_open(void *store) {
    shx_shards *table;
    SHX_TRY(shx_shards_open(store, &uuid, FILE_ID, CODE_DIM, &table));
    shx_shards_release(table);
    return SHX_OK;
}

static void tables_there_and_back(void **state) {
    (void)state;
    const uint64_t counts[] = {0, 1, 31, 32, 33, 500};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        fixture_random random = {counts[c]};
        uint64_t count = counts[c];
        shx_store *store = fixture_prepared_heap();
        shx_shards *table = make_table(&random, count), *opened;
        assert_ok(shx_shards_write(store, &uuid, FILE_ID, table, &file_checksum));
        assert_ok(shx_shards_open(store, &uuid, FILE_ID, CODE_DIM, &opened));
        assert_int_equal(opened->count, count);
        assert_true(opened->file == FILE_ID && table->file == 0);
        assert_memory_equal(opened->ids, table->ids, count * sizeof *table->ids);
        assert_memory_equal(opened->open, table->open, count);
        assert_memory_equal(opened->centroids, table->centroids, count * CODE_DIM);
        assert_memory_equal(opened->steps, table->steps, count * sizeof(float));
        assert_memory_equal(opened->blocks, table->blocks, (count + 31) / 32 * shx_block_bytes(CODE_DIM));
        assert_memory_equal(&opened->scale, &table->scale, sizeof table->scale);
        for (uint64_t id = 0; id < 3 * count + 5; id++) {
            uint32_t position;
            bool there = id >= 2 && id % 3 == 2 && (id - 2) / 3 < count;
            assert_int_equal(shx_shards_find(opened, id, &position), there);
            if (there) assert_int_equal(position, (id - 2) / 3);
        }
        shx_shards_retain(opened);
        shx_shards_release(opened);
        shx_shards_release(opened);
        shx_shards_release(table);
        shx_shards_release(NULL);
        shx_store_close(store);
    }
}

/* Rounding moves no dimension by more than half a step, and a rounded centroid not at all. */
static void rounded_centroids_stay(void **state) {
    (void)state;
    fixture_random random = {7};
    for (int i = 0; i < 2000; i++) {
        float *centroid = fixture_gaussian(&random, 1, CODE_DIM), before[CODE_DIM], after[CODE_DIM], longest = 0;
        float size = ldexpf(1, (int)fixture_below(&random, 200) - 100);
        for (int d = 0; d < CODE_DIM; d++) {
            before[d] = centroid[d] = i % 50 == 0 ? 0 : centroid[d] * size;
            longest = fmaxf(longest, fabsf(centroid[d]));
        }
        shx_centroid_round(centroid, CODE_DIM);
        for (int d = 0; d < CODE_DIM; d++) assert_true(fabsf(centroid[d] - before[d]) <= longest / 127 * 0.50002f);
        memcpy(before, centroid, sizeof before);
        shx_centroid_round(centroid, CODE_DIM);
        assert_memory_equal(centroid, before, sizeof before);
        shx_shards *table;
        assert_ok(shx_shards_create(CODE_DIM, 1, (const uint64_t[]){2}, (const uint8_t[]){1}, centroid, &table));
        shx_shards_centroid(table, 0, after);
        assert_memory_equal(after, before, sizeof before);
        shx_shards_release(table);
        free(centroid);
    }
}

static void every_field_is_judged(void **state) {
    (void)state;
    fixture_random random = {1};
    shx_store *store = fixture_prepared_heap();
    shx_shards *table = make_table(&random, 3);
    uint64_t size;
    assert_ok(shx_shards_write(store, &uuid, FILE_ID, table, &file_checksum));
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t info = fixture_section(bytes, 1), ids = fixture_section(bytes, 2),
                   steps = fixture_section(bytes, 17);
    const float infinity = INFINITY;
    uint32_t infinite;
    memcpy(&infinite, &infinity, sizeof infinite);
    assert_int_equal(shx_get64(bytes + info), 3);
    assert_int_equal(shx_get32(bytes + info + 8), CODE_DIM);
    assert_memory_equal(bytes + info + 16, &table->scale, 16);
    free(bytes);
    const fixture_damage damages[] = {
        {"count", info, 4, 8, true, "section size"},
        {"count", info, UINT64_MAX, 8, true, "shard count"},
        {"count", info, UINT32_MAX - 1, 8, true, "section size"},
        {"code dim", info + 8, 80, 4, true, "dimension of the shards"},
        {"scale", info + 16, infinite, 4, true, "scale of centroids"},
        {"scale", info + 24, UINT32_C(0x7f7fffff), 4, true, "scale of centroids"},
        {"id", ids, 1, 8, true, "order of shards"},
        {"id", ids + 8, 2, 8, true, "order of shards"},
        {"id", ids + 8, 8, 8, true, "order of shards"},
        {"id", ids + 8, 3, 1, false, "section checksum"},
        {"step", steps, infinite, 4, true, "centroid"},
        {"step", steps + 8, UINT32_MAX, 4, true, "centroid"},
        {"step", steps + 4, UINT32_C(0xBF800000), 4, true, "centroid"}, /* -1 */
        {"step", steps, UINT32_C(0x7F7FFFFF), 4, true, "centroid"},     /* the largest float */
    };
    fixture_assert_damages(store, NAME, damages, sizeof damages / sizeof *damages, just_open, store);
    shx_shards *other;
    assert_status(shx_shards_open(store, &uuid, FILE_ID, CODE_DIM + 16, &other), SHX_CORRUPT);
    assert_status(shx_shards_open(store, &uuid, FILE_ID + 1, CODE_DIM, &other), SHX_NOTFOUND);
    shx_shards_release(table);
    shx_store_close(store);
}

/* All of a table is checked when it is opened: a wrong bit is found, or stands in padding. */
static void the_golden_file_and_its_bits(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    const uint64_t ids[] = {2, 3, 10};
    const uint8_t open[] = {1, 0, 1};
    float centroids[3][CODE_DIM];
    shx_shards *table;
    uint64_t size;
    for (int i = 0; i < 3; i++) {
        for (int d = 0; d < CODE_DIM; d++) centroids[i][d] = (float)((i * 5 + d * 3) % 7 - 3) / 2;
    }
    assert_ok(shx_shards_create(CODE_DIM, 3, ids, open, centroids[0], &table));
    assert_ok(shx_shards_write(store, &uuid, FILE_ID, table, &file_checksum));
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    fixture_assert_golden("shards.bin", bytes, size);
    for (uint64_t cut = 0; cut < size; cut += 11) {
        fixture_write_file(store, NAME, bytes, cut);
        assert_status(just_open(store), SHX_CORRUPT);
    }
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        shx_shards *found;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        fixture_write_file(store, NAME, bytes, size);
        shx_status status = shx_shards_open(store, &uuid, FILE_ID, CODE_DIM, &found);
        if (status == SHX_OK) {
            assert_memory_equal(found->ids, ids, sizeof ids);
            assert_memory_equal(found->open, open, sizeof open);
            assert_memory_equal(found->centroids, table->centroids, 3 * CODE_DIM);
            assert_memory_equal(found->steps, table->steps, 3 * sizeof(float));
            assert_memory_equal(found->blocks, table->blocks, shx_block_bytes(CODE_DIM));
            assert_memory_equal(&found->scale, &table->scale, sizeof table->scale);
            shx_shards_release(found);
        } else {
            assert_int_equal(status, SHX_CORRUPT);
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
    shx_shards_release(table);
    shx_store_close(store);
}

/* ---- routing ---- */

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
                table->spread *= 4;
                double share = judge_table(table, &random, 12, 10);
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
    enum { COUNT = 2000 };
    fixture_random random = fixture_seed("limit", 7);
    const float mean[CODE_DIM] = {0};
    const shx_encoding encoding = {SHX_L2, SHX_FLOAT32, 20, CODE_DIM, 5, 0, mean};
    float *centroids = fixture_clustered(&random, COUNT, CODE_DIM, 40), distances[COUNT];
    shx_shards *table = table_of(centroids, COUNT);
    shx_router router = {0};
    shx_query *query;
    assert_ok(shx_query_create(CODE_DIM, &query));
    for (int q = 0; q < 20; q++) {
        float *vector = fixture_gaussian(&random, 1, 20);
        uint8_t given[COUNT] = {0};
        uint64_t within = 0, count = 0;
        shx_route route;
        assert_true(shx_query_set(query, &encoding, vector));
        for (uint64_t i = 0; i < COUNT; i++) distances[i] = distance_to(query, table, i);
        qsort(distances, COUNT, sizeof *distances, compare_floats);
        const float limit = distances[30];
        assert_ok(shx_router_start(&router, table, NULL, query, false));
        for (; shx_router_next_within(&router, limit, &route); given[route.shard]++) {
            within += route.distance2 <= limit;
        }
        assert_true(within >= 25 && shx_router_work(&router).measured < COUNT / 2);
        while (shx_router_next(&router, &route)) given[route.shard]++;
        for (uint64_t i = 0; i < COUNT; i++) count += given[i] == 1;
        assert_int_equal(count, COUNT);
        free(vector);
    }
    shx_query_destroy(query);
    shx_router_free(&router);
    shx_shards_release(table);
    free(centroids);
}

/* ---- the choice ---- */

static shx_routing_sample make_sample(fixture_random *random, const shx_shards *table, float **ret_points) {
    enum { COUNT = 40 };
    *ret_points = fixture_gaussian(random, COUNT, CODE_DIM);
    for (uint64_t i = 0; i < COUNT; i++) {
        float centroid[CODE_DIM];
        shx_shards_centroid(table, fixture_below(random, table->count), centroid);
        float *point = *ret_points + i * CODE_DIM;
        for (int d = 0; d < CODE_DIM; d++) point[d] = centroid[d] + point[d] / 4;
    }
    return (shx_routing_sample){*ret_points, COUNT, 20};
}

static void the_cheapest_way_is_chosen(void **state) {
    (void)state;
    fixture_random random = fixture_seed("choice", 5);
    const uint64_t counts[] = {1, 200, 6000};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        float *centroids = fixture_clustered(&random, counts[c], CODE_DIM, 100), *points;
        shx_shards *table = table_of(centroids, counts[c]);
        const shx_routing_sample sample = make_sample(&random, table, &points);
        const shx_routing_wish none = {0};
        shx_routing_figures flat, chosen;
        assert_ok(shx_routing_measure(table, &sample, &flat));
        assert_ok(shx_routing_choose(table, &none, &sample, 9, NULL));
        assert_ok(shx_routing_measure(table, &sample, &chosen));
        assert_true(chosen.cost <= flat.cost && chosen.share >= flat.share - 0.01);
        if (counts[c] <= 200) assert_int_equal(table->way, SHX_ROUTE_FLAT);
        if (counts[c] == 6000) assert_int_equal(table->way, SHX_ROUTE_LEVELS);
        for (size_t w = 0; w < 3; w++) {
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
        uint8_t alive[ROOM] = {0};
        for (int i = 0; i < 1000; i++) alive[i] = 1;
        shx_shards *before = NULL;
        for (int round = 0; round < 25; round++) {
            uint64_t ids[ROOM], count = 0;
            uint8_t open[ROOM];
            float *rows = malloc(sizeof(float) * ROOM * CODE_DIM);
            for (int i = 0; round > 0 && i < 20; i++) alive[fixture_below(&random, 1000 + 20 * (uint64_t)round)] ^= 1;
            for (uint64_t i = 0; i < ROOM; i++) {
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
                assert_true(followed == (before->changed + 20 <= before->count / 10) || !followed);
                if (followed) assert_true(table->way == ways[w] && table->changed > before->changed);
            } else {
                set_way(table, ways[w], 8, 64);
            }
            if (before && !followed) {
                assert_true(before->changed > 0);
                set_way(table, ways[w], 8, 64);
            }
            table->spread = ways[w] == SHX_ROUTE_LEVELS ? 32 : 64;
            double share = judge_table(table, &random, 6, 10);
            if (share < 0.9) fail_msg("%s, round %d: a share of %f", shx_route_way_name(ways[w]), round, share);
            shx_shards_release(before);
            before = table;
            free(rows);
        }
        shx_shards_release(before);
    }
    free(centroids);
}

/* ---- files of the ways ---- */

/* Twelve shards in three places. */
static shx_shards *small_table(shx_route_way way) {
    const uint64_t ids[] = {2, 3, 5, 8, 9, 10, 11, 12, 13, 20, 21, 30};
    const uint8_t open[] = {1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1};
    float centroids[12][CODE_DIM];
    shx_shards *table;
    for (int i = 0; i < 12; i++) {
        for (int d = 0; d < CODE_DIM; d++) {
            centroids[i][d] = (float)((i * 5 + d * 3) % 7 - 3) / 2 + (float)(d % 3 == i % 3 ? 20 : 0);
        }
    }
    assert_ok(shx_shards_create(CODE_DIM, 12, ids, open, centroids[0], &table));
    set_way(table, way, 4, 8);
    return table;
}

static void route_everywhere(const shx_shards *table) {
    shx_query *query;
    shx_router router = {0};
    uint8_t given[12] = {0};
    assert_ok(shx_query_create(CODE_DIM, &query));
    for (int q = 0; q < 2; q++) {
        for (int d = 0; d < CODE_DIM; d++) query->point[d] = (float)(d * (q + 1) % 5);
        query->norm = 0;
        shx_query_tabulate(query);
        assert_ok(shx_router_start(&router, table, NULL, query, q == 1));
        memset(given, 0, sizeof given);
        for (shx_route route; shx_router_next(&router, &route);) {
            assert_true(route.shard < table->count && !given[route.shard]);
            given[route.shard] = 1;
        }
    }
    shx_router_free(&router);
    shx_query_destroy(query);
}

/* What is written is read back, equals the golden file, and every wrong byte is found; with the checksums made right
** again it is found or harmless: routing ends and gives no shard twice. */
static void files_of_every_way(void **state) {
    (void)state;
    static const char *const golden[] = {NULL, "shards_levels.bin", "shards_graph.bin"};
    for (size_t w = 1; w < 3; w++) {
        shx_store *store = fixture_prepared_heap();
        shx_shards *table = small_table(ways[w]), *opened;
        uint64_t size, size_again;
        assert_ok(shx_shards_write(store, &uuid, FILE_ID, table, &file_checksum));
        uint8_t *bytes = fixture_read_file(store, NAME, &size);
        fixture_assert_golden(golden[w], bytes, size);
        assert_ok(shx_shards_open(store, &uuid, FILE_ID, CODE_DIM, &opened));
        assert_int_equal(opened->way, ways[w]);
        assert_int_equal(opened->spread, table->spread);
        assert_true(shx_shards_way_bytes(opened) == shx_shards_way_bytes(table) && shx_shards_way_bytes(table) > 0);
        route_everywhere(opened);
        assert_ok(shx_shards_write(store, &uuid, FILE_ID + 1, opened, &file_checksum));
        uint8_t *again = fixture_read_file(store, "shards-0000000000000007", &size_again);
        assert_int_equal(size_again, size);
        shx_shards_release(opened);
        for (uint64_t at = 0; at < size; at++) {
            for (int sealed = 0; sealed < 2; sealed++) {
                uint8_t *damaged = memcpy(malloc(size), bytes, size);
                damaged[at] ^= sealed && at % 2 ? 0xff : 0x41;
                if (sealed) fixture_seal(damaged, size);
                fixture_write_file(store, NAME, damaged, size);
                shx_status status = shx_shards_open(store, &uuid, FILE_ID, CODE_DIM, &opened);
                if (status == SHX_OK) {
                    route_everywhere(opened);
                    shx_shards_release(opened);
                } else {
                    assert_int_equal(status, SHX_CORRUPT);
                }
                free(damaged);
            }
        }
        free(bytes);
        free(again);
        shx_shards_release(table);
        shx_store_close(store);
    }
}

static void every_field_of_the_ways_is_judged(void **state) {
    (void)state;
    for (size_t w = 1; w < 3; w++) {
        shx_store *store = fixture_prepared_heap();
        shx_shards *table = small_table(ways[w]);
        uint64_t size;
        assert_ok(shx_shards_write(store, &uuid, FILE_ID, table, &file_checksum));
        uint8_t *bytes = fixture_read_file(store, NAME, &size);
        const uint64_t info = fixture_section(bytes, 1);
        if (ways[w] == SHX_ROUTE_LEVELS) {
            const uint64_t parents = fixture_section(bytes, 6), scales = fixture_section(bytes, 8),
                           first = fixture_section(bytes, 9), members = fixture_section(bytes, 10);
            const fixture_damage damages[] = {
                {"way", info + 12, 0, 4, true, "way of the router"},
                {"way", info + 12, 4, 4, true, "way of the router"},
                {"way", info + 12, SHX_ROUTE_GRAPH, 4, true, "missing section"},
                {"spread", info + 32, 1025, 4, true, "spread of the router"},
                {"parents", info + 40, 0, 4, true, "parent count"},
                {"parents", info + 40, 13, 4, true, "parent count"},
                {"parents", info + 40, 2, 4, true, "section size"},
                {"parent", parents, 0x7f800000, 4, true, "parent"},
                {"parent", parents + 4, 0x5b000000, 4, true, "parent"}, /* 3.6e16 */
                {"scale", scales, 0x7fc00000, 4, true, "scale of a parent"},
                {"first", first, 1, 4, true, "first shards"},
                {"first", first + 4, 13, 4, true, "first shards"},
                {"first", first + 4 * table->levels.parent_count, 11, 4, true, "first shards"},
                {"member", members, 12, 4, true, "shards under parents"},
                {"member", members, table->levels.members[1], 4, true, "shards under parents"},
            };
            fixture_assert_damages(store, NAME, damages, sizeof damages / sizeof *damages, just_open, store);
        } else {
            const uint64_t tops = fixture_section(bytes, 12), links = fixture_section(bytes, 13),
                           scales = fixture_section(bytes, 15);
            const fixture_damage damages[] = {
                {"way", info + 12, SHX_ROUTE_LEVELS, 4, true, "parent count"},
                {"m", info + 44, 65, 4, true, "m of the graph"},
                {"m", info + 44, 5, 4, true, "section size"},
                {"entry", info + 48, 12, 4, true, "entry of the graph"},
                {"entry", info + 48, SHX_GRAPH_NONE, 4, true, "entry of the graph"},
                {"upper", info + 56, UINT64_MAX, 8, true, "section size"},
                {"top", tops, 16, 1, true, "layer of a node"},
                {"top", tops, 15, 1, true, "upper links"},
                {"link", links, 12, 4, true, "link of a node"},
                {"link", links, 0, 4, true, "link of a node"},
                {"link", links, SHX_GRAPH_NONE, 4, true, "link of a node"},
                {"scale", scales + 12, 0x7f800000, 4, true, "scale of a node"},
            };
            fixture_assert_damages(store, NAME, damages, sizeof damages / sizeof *damages, just_open, store);
        }
        free(bytes);
        shx_shards_release(table);
        shx_store_close(store);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_there_and_back),
        cmocka_unit_test(rounded_centroids_stay),
        cmocka_unit_test(every_field_is_judged),
        cmocka_unit_test(the_golden_file_and_its_bits),
        cmocka_unit_test(every_way_gives_every_shard),
        cmocka_unit_test(equal_shards_are_all_given),
        cmocka_unit_test(a_limit_spares_what_lies_beyond),
        cmocka_unit_test(the_cheapest_way_is_chosen),
        cmocka_unit_test(every_way_follows_changes),
        cmocka_unit_test(files_of_every_way),
        cmocka_unit_test(every_field_of_the_ways_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
