/* Tables searched in each way of the router: the wanted recall is met, after changes too, and another process that
** opens the files gives the same rows. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

enum { DIM = 24, ROWS = 26000, FIRST = 21000, QUERIES = 300 };

/* The lowest floor is wide: the rows that crowd make calibration think of easier queries than these. */
static void assert_recall(fixture_table *table, const float *queries, const char *when) {
    static const double recalls[] = {0.8, 0.95, 0.99, 1}, floors[] = {0.76, 0.935, 0.98, 0.999};
    for (int r = 0; r < 4; r++) {
        double recall = fixture_recall(table, queries, QUERIES, 10, recalls[r]);
        if (recall < floors[r]) {
            fail_msg("%s, %s: recall %f where %f was wanted", shx_route_way_name(fixture_stats(table).router), when,
                     recall, recalls[r]);
        }
    }
    fixture_assert_exact(table, queries, 10, 10);
}

/* The answers of default searches, one after the other. */
static uint64_t digest_of_answers(fixture_table *table, const float *queries) {
    shx_search_scratch *scratch;
    shx_view *view = fixture_view(table);
    shx_topk hits = {0};
    uint64_t digest = 0;
    assert_ok(shx_search_scratch_create(&scratch));
    for (uint64_t q = 0; q < QUERIES; q++) {
        shx_search_params params = {.query = queries + q * DIM, .k = 10};
        assert_ok(shx_search(view, &params, scratch, &hits));
        for (uint64_t i = 0; i < hits.count; i++) digest = digest * 31 + (uint64_t)hits.hits[i].rowid;
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    shx_view_release(view);
    return digest;
}

/* Moves the rows from FIRST on to fifty places, where shards must split. */
static void crowd(float *vectors) {
    for (uint64_t i = FIRST; i < ROWS; i++) {
        for (int d = 0; d < DIM; d++) vectors[i * DIM + d] = vectors[i % 50 * DIM + d] + vectors[i * DIM + d] / 16;
    }
}

static void each_way_keeps_its_promise(void **state) {
    const shx_routing_wish *wish = *state;
    fixture_random random = fixture_seed("routing", 31 + wish->way);
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_clustered(&random, ROWS + QUERIES, DIM, 300);
    const float *queries = vectors + (uint64_t)ROWS * DIM;
    shx_store *store = fixture_heap();
    table.config.shard_size = 32;
    table.config.routing = *wish;
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, FIRST, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    shx_index_stats stats = fixture_stats(&table);
    assert_true(stats.shards > 500 && stats.calibrated);
    assert_int_equal(stats.router, wish->way ? wish->way : SHX_ROUTE_FLAT);
    assert_true((stats.router_bytes > 0) == (stats.router != SHX_ROUTE_FLAT));
    assert_recall(&table, queries, "built");

    uint64_t shards = stats.shards;
    crowd(vectors);
    for (uint64_t slot = 0; slot < FIRST; slot += 9) fixture_delete(&table, slot);
    fixture_put_many(&table, FIRST, ROWS - FIRST, vectors + (uint64_t)FIRST * DIM);
    fixture_commit(&table);
    fixture_flush(&table);
    stats = fixture_stats(&table);
    assert_true(stats.splits > 20 && stats.closed_shards + stats.shards > shards && stats.builds == 1);
    assert_int_equal(stats.router, wish->way ? wish->way : SHX_ROUTE_FLAT);
    assert_recall(&table, queries, "changed");

    uint64_t answers = digest_of_answers(&table, queries);
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    assert_int_equal(fixture_stats(&table).router, stats.router);
    assert_true(digest_of_answers(&table, queries) == answers);
    fixture_close(&table);
    shx_store_close(store);
    free(vectors);
    fixture_table_free(&table);
}

/* Small changes: the way is kept up, not made anew; each time the table is sound. */
static void small_changes_are_followed(void **state) {
    const shx_routing_wish *wish = *state;
    enum { COUNT = 5100, STEP = 150, STEPS = 4 };
    fixture_random random = fixture_seed("small changes", 41 + wish->way);
    fixture_table table = fixture_table_make(SHX_COSINE, DIM, COUNT + STEPS * STEP);
    float *vectors = fixture_clustered(&random, COUNT + STEPS * STEP + QUERIES, DIM, 100);
    table.config.shard_size = 16;
    table.config.routing = *wish;
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, COUNT, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    for (uint64_t step = 0; step < STEPS; step++) {
        uint64_t first = COUNT + step * STEP;
        fixture_put_many(&table, first, STEP, vectors + first * DIM);
        for (uint64_t i = 0; i < 20; i++) {
            uint64_t slot = fixture_below(&random, first);
            if (table.alive[slot]) fixture_delete(&table, slot);
        }
        fixture_commit(&table);
        fixture_flush(&table);
        shx_index_stats stats = fixture_stats(&table);
        assert_int_equal(stats.router, wish->way);
        assert_int_equal(stats.builds, 1);
        fixture_assert_exact(&table, vectors + (COUNT + STEPS * STEP) * (uint64_t)DIM, 10, 10);
    }
    fixture_assert_same(&table);
    fixture_close(&table);
    free(vectors);
    fixture_table_free(&table);
}

int main(void) {
    static shx_routing_wish automatic = {0}, flat = {.way = SHX_ROUTE_FLAT}, levels = {.way = SHX_ROUTE_LEVELS},
                            graph = {.way = SHX_ROUTE_GRAPH, .m = 8, .ef = 60};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(each_way_keeps_its_promise, &automatic),
        cmocka_unit_test_prestate(each_way_keeps_its_promise, &levels),
        cmocka_unit_test_prestate(each_way_keeps_its_promise, &graph),
        cmocka_unit_test_prestate(small_changes_are_followed, &flat),
        cmocka_unit_test_prestate(small_changes_are_followed, &levels),
        cmocka_unit_test_prestate(small_changes_are_followed, &graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
