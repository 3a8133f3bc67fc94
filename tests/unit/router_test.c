/* Tables of shards, and the router over them: every shard once, by exact distance. */
#include "fixture.h"

#include "router.h"
#include "shards.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME "shards-0000000000000006"
#define FILE_ID UINT64_C(6)
#define CODE_DIM 64

static const shx_id uuid = {{8}};

static shx_store *heap(void) {
    shx_store *store;
    assert_ok(shx_store_open_heap(&store));
    assert_ok(shx_store_prepare(store));
    return store;
}

/* `count` shards with ids 2, 5, 8 …, every fourth closed. */
static shx_shards *make_table(fixture_random *random, uint64_t count) {
    uint64_t *ids = calloc(count + 1, sizeof *ids);
    uint8_t *open = calloc(count + 1, 1);
    float *centroids = fixture_gaussian(random, count + 1, CODE_DIM);
    shx_shards *table;
    for (uint64_t i = 0; i < count; i++) {
        ids[i] = 2 + 3 * i;
        open[i] = i % 4 != 3;
    }
    assert_ok(shx_shards_create(CODE_DIM, count, ids, open, centroids, &table));
    free(ids);
    free(open);
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
        shx_store *store = heap();
        shx_shards *table = make_table(&random, count), *opened;
        assert_ok(shx_shards_write(store, &uuid, FILE_ID, table));
        assert_ok(shx_shards_open(store, &uuid, FILE_ID, CODE_DIM, &opened));
        assert_int_equal(opened->count, count);
        assert_true(opened->file == FILE_ID && table->file == 0);
        assert_memory_equal(opened->ids, table->ids, count * sizeof *table->ids);
        assert_memory_equal(opened->open, table->open, count);
        assert_memory_equal(opened->centroids, table->centroids, count * CODE_DIM * sizeof(float));
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

static void every_field_is_judged(void **state) {
    (void)state;
    fixture_random random = {1};
    shx_store *store = heap();
    shx_shards *table = make_table(&random, 3);
    uint64_t size;
    assert_ok(shx_shards_write(store, &uuid, FILE_ID, table));
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t info = fixture_section(bytes, 1), ids = fixture_section(bytes, 2),
                   centroids = fixture_section(bytes, 4);
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
        {"id", ids, 1, 8, true, "order of shards"},
        {"id", ids + 8, 2, 8, true, "order of shards"},
        {"id", ids + 8, 8, 8, true, "order of shards"},
        {"id", ids + 8, 3, 1, false, "section checksum"},
        {"centroid", centroids, infinite, 4, true, "centroid"},
        {"centroid", centroids + 3 * 4 * CODE_DIM - 4, UINT32_MAX, 4, true, "centroid"},
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
    shx_store *store = heap();
    const uint64_t ids[] = {2, 3, 10};
    const uint8_t open[] = {1, 0, 1};
    float centroids[3][CODE_DIM];
    shx_shards *table;
    uint64_t size;
    for (int i = 0; i < 3; i++) {
        for (int d = 0; d < CODE_DIM; d++) centroids[i][d] = (float)((i * 5 + d * 3) % 7 - 3) / 2;
    }
    assert_ok(shx_shards_create(CODE_DIM, 3, ids, open, centroids[0], &table));
    assert_ok(shx_shards_write(store, &uuid, FILE_ID, table));
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
            assert_memory_equal(found->centroids, centroids, sizeof centroids);
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

/* A ranking is a permutation of the (open) shards with their exact distances, the nearest first as far as estimates of
** neighbouring ranks are told apart: the first one must be the nearest of all. */
static void a_ranking_is_complete(void **state) {
    (void)state;
    fixture_random random = fixture_seed("router", 3);
    const float mean[CODE_DIM] = {0};
    const shx_encoding encoding = {SHX_L2, 20, CODE_DIM, 5, 0, mean};
    const uint64_t counts[] = {0, 1, 127, 128, 129, 400, 3000};
    shx_router router = {0};
    shx_query *query;
    uint64_t first_is_nearest = 0, rankings = 0;
    assert_ok(shx_query_create(CODE_DIM, &query));
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        shx_shards *table = make_table(&random, counts[c]);
        uint8_t *given = calloc(counts[c] + 1, 1);
        for (int q = 0; q < 20; q++) {
            float *vector = fixture_gaussian(&random, 1, 20);
            bool open_only = q % 2;
            uint64_t found = 0, wanted = 0;
            float nearest = INFINITY, first = -1;
            assert_true(shx_query_set(query, &encoding, vector));
            assert_ok(shx_router_start(&router, table, query, open_only));
            memset(given, 0, counts[c]);
            for (shx_route route; shx_router_next(&router, &route); found++) {
                assert_true(route.shard < counts[c] && !given[route.shard]);
                assert_true(!open_only || table->open[route.shard]);
                given[route.shard] = 1;
                float exact = shx_kernels_get()->code_l2_squared(query->point,
                                                                 table->centroids + route.shard * CODE_DIM, CODE_DIM);
                assert_true(route.distance2 == exact);
                if (found == 0) first = exact;
                if (exact < nearest) nearest = exact;
            }
            for (uint64_t i = 0; i < counts[c]; i++) wanted += table->open[i] || !open_only;
            assert_int_equal(found, wanted);
            rankings += found > 0;
            first_is_nearest += found > 0 && first == nearest;
            free(vector);
        }
        free(given);
        shx_shards_release(table);
    }
    if (first_is_nearest * 100 < rankings * 97) {
        fail_msg("the nearest shard comes first in %d of %d rankings", (int)first_is_nearest, (int)rankings);
    }
    shx_query_destroy(query);
    shx_router_free(&router);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_there_and_back),
        cmocka_unit_test(every_field_is_judged),
        cmocka_unit_test(the_golden_file_and_its_bits),
        cmocka_unit_test(a_ranking_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
