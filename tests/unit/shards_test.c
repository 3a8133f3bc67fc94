/* Tables of shards as files: written, read back with every way of the router, and judged when they are damaged. */
#include "fixture.h"

#include "limits.h"
#include "router.h"
#include "shard_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME "shards-0000000000000006"
#define FILE_ID UINT64_C(6)

static uint64_t file_checksum; /* of the file that was written last */
static const shx_id uuid = {{8}};

static shx_shards *make_table(fixture_random *random, uint64_t count) {
    float *centroids = fixture_gaussian(random, count + 1, CODE_DIM);
    shx_shards *table = table_of(centroids, count);
    free(centroids);
    return table;
}

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

/* ---- the ways of the router ---- */

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
        cmocka_unit_test(files_of_every_way),
        cmocka_unit_test(every_field_of_the_ways_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
