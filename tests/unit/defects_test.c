/* Two earlier projects set out to do this job. Each defect that was found in them has a test here that it would fail:
** first those of the one that was sharded (1.…), then those of the one that had a graph and an archive (2.…). What
** concerns documents, metadata and texts is tested through SQL. */
#include "fixture.h"

#include "collect.h"

#include <stdlib.h>
#include <string.h>

#define DIM 16

/* What a defect would show in: a table, its vectors, and the store in memory that it stands in. */
typedef struct trial {
    fixture_random random;
    fixture_table table;
    float *vectors;
    shx_store *store;
} trial;

/* A table by l2 with room for `rows`, not open yet, and vectors in so many clusters (0: in none). */
static trial trial_begin(const char *name, uint64_t seed, uint64_t rows, uint64_t vectors, uint32_t clusters) {
    trial made = {fixture_seed(name, seed), fixture_table_make(SHX_L2, DIM, rows), NULL, fixture_heap()};
    made.vectors = clusters ? fixture_clustered(&made.random, vectors, DIM, clusters)
                            : fixture_gaussian(&made.random, vectors, DIM);
    return made;
}

/* Opens the table, after fixture_close as another process would. */
static void trial_open(trial *opened) { fixture_open(&opened->table, opened->store, NULL); }

static void trial_end(trial *ended) {
    free(ended->vectors);
    fixture_table_free(&ended->table);
    shx_store_close(ended->store);
}

/* All rows in one transaction, in segments. */
static void trial_load(trial *loaded) {
    fixture_put_many(&loaded->table, 0, loaded->table.capacity, loaded->vectors);
    fixture_commit(&loaded->table);
    fixture_flush(&loaded->table);
}

/* 1.1: a thousand rows into shards of a hundred; a hundred were kept, and every call had said OK. */
static void defect_1_1_full_shards_lose_rows(void **state) {
    (void)state;
    trial t = trial_begin("1.1", 1, 10000, 10000, 7);
    t.table.config.shard_size = 20;
    trial_open(&t);
    for (uint64_t first = 0; first < 10000; first += 1000) {
        fixture_put_many(&t.table, first, 1000, t.vectors + first * DIM);
        fixture_commit(&t.table);
        fixture_flush(&t.table);
    }
    fixture_assert_same(&t.table);
    assert_true(fixture_stats(&t.table).splits > 0 && fixture_stats(&t.table).shards > 100);
    /* Shards are chosen from 10,000 rows on, so recall is what is asked for, to within 0.01. */
    assert_true(fixture_recall(&t.table, t.vectors, 2000, 10, 0.95) >= 0.94);
    fixture_assert_exact(&t.table, t.vectors, 20, 10);
    trial_end(&t);
}

static void assert_never_returned(fixture_table *table, const float *queries, uint64_t count) {
    shx_view *view = fixture_view(table);
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    for (uint64_t q = 0; q < count * 2; q++) {
        shx_search_params params = {.query = queries + q / 2 * DIM, .k = 25, .exact = q % 2};
        assert_ok(shx_search(view, &params, scratch, &hits));
        assert_int_equal(hits.count, table->live < 25 ? table->live : 25);
        for (uint64_t i = 0; i < hits.count; i++) assert_true(table->alive[hits.hits[i].rowid - FIXTURE_FIRST_ROWID]);
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    shx_view_release(view);
}

/* 1.2: deleted rows came back with vectors of NaN and a middling score. */
static void defect_1_2_deleted_rows_are_returned(void **state) {
    (void)state;
    trial t = trial_begin("1.2", 2, 7000, 7000, 0);
    t.table.config.metric = SHX_COSINE;
    trial_open(&t);
    fixture_put_many(&t.table, 0, 7000, t.vectors);
    fixture_commit(&t.table);
    for (int stage = 0; stage < 4; stage++) {
        for (uint64_t slot = (uint64_t)stage; slot < 7000; slot += 9) fixture_delete(&t.table, slot);
        fixture_commit(&t.table);
        assert_never_returned(&t.table, t.vectors, 100);
        if (stage == 2) {
            fixture_optimize(&t.table);
        } else {
            fixture_flush(&t.table);
        }
        assert_never_returned(&t.table, t.vectors, 100);
        fixture_close(&t.table);
        trial_open(&t);
        assert_never_returned(&t.table, t.vectors, 20);
    }
    trial_end(&t);
}

/* 1.3: the log was never trimmed, and replayed in full at every open: 500 rows became 1000, then 1500. */
static void defect_1_3_the_log_is_replayed_again_and_again(void **state) {
    (void)state;
    trial t = trial_begin("1.3", 3, 3000, 3000, 0);
    uint64_t most = 0;
    for (uint64_t round = 0; round < 6; round++) {
        trial_open(&t);
        fixture_put_many(&t.table, round * 500, 500, t.vectors + round * 500 * DIM);
        fixture_commit(&t.table);
        fixture_flush(&t.table);
        shx_index_confirm(t.table.index, &t.table.tip);
        uint64_t bytes = fixture_stats(&t.table).wal_bytes;
        if (round == 1) most = bytes;
        if (round > 1) assert_true(bytes <= 2 * most);
        fixture_close(&t.table);
        for (int reopened = 0; reopened < 3; reopened++) {
            trial_open(&t);
            assert_int_equal(fixture_stats(&t.table).rows, (round + 1) * 500);
            fixture_assert_same(&t.table);
            fixture_close(&t.table);
        }
    }
    trial_end(&t);
}

/* 1.4: when a segment of the log lacked room the rest was dropped silently. */
static void defect_1_4_the_log_stops_silently(void **state) {
    (void)state;
    trial t = trial_begin("1.4", 4, 6000, 6000, 0);
    trial_open(&t);
    for (uint64_t slot = 0; slot < 6000;) { /* sizes of every kind, one after the other */
        uint64_t size = fixture_below(&t.random, 8) ? 1 + fixture_below(&t.random, 30) : 900;
        for (uint64_t i = 0; i < size && slot < 6000; i++, slot++) fixture_put(&t.table, slot, t.vectors + slot * DIM);
        fixture_commit(&t.table);
        if (fixture_below(&t.random, 20)) continue;
        fixture_close(&t.table); /* a crash: nothing was closed in an orderly way */
        trial_open(&t);
        fixture_assert_same(&t.table);
    }
    fixture_close(&t.table);
    trial_open(&t);
    fixture_assert_same(&t.table);
    trial_end(&t);
}

/* 1.5: what replaced a document never entered the log. */
static void defect_1_5_replacements_are_not_logged(void **state) {
    (void)state;
    trial t = trial_begin("1.5", 5, 300, 600, 0);
    trial_open(&t);
    fixture_put_many(&t.table, 0, 300, t.vectors);
    fixture_commit(&t.table);
    fixture_put_many(&t.table, 0, 300, t.vectors + 300 * DIM);
    fixture_commit(&t.table);
    fixture_close(&t.table);
    trial_open(&t);
    fixture_assert_same(&t.table);
    trial_end(&t);
}

/* 1.6: a second open succeeded and both wrote over each other. Here it succeeds too, and nothing is lost. */
static void defect_1_6_a_second_process_destroys(void **state) {
    (void)state;
    fixture_random random = fixture_seed("1.6", 6);
    fixture_directory directory = fixture_directory_make();
    fixture_table table = fixture_table_make(SHX_L2, DIM, 2000);
    float *vectors = fixture_gaussian(&random, 2000, DIM);
    fixture_open(&table, NULL, directory.path);
    shx_index *processes[2] = {table.index};
    assert_ok(shx_index_create(&table.config, &processes[1]));
    for (uint64_t slot = 0; slot < 2000; slot += 100) {
        table.index = processes[slot / 100 % 2];
        fixture_put_many(&table, slot, 100, vectors + slot * DIM);
        fixture_commit(&table);
        if (slot % 500 == 0) fixture_flush(&table);
    }
    shx_file *lock;
    assert_ok(shx_maintenance_lock(processes[0], &lock));
    assert_status(shx_maintain_optimize(processes[1], &table.tip, NULL, NULL), SHX_BUSY);
    shx_file_close(lock);
    shx_index_destroy(processes[1]);
    table.index = processes[0];
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
    fixture_directory_remove(&directory);
}

/* 1.7: shards were ranked by l2 whatever the metric. Norms that differ a lot tell the metrics apart. */
static void defect_1_7_shards_are_ranked_by_another_metric(void **state) {
    (void)state;
    enum { ROWS = 22000, QUERIES = 2000 };
    const shx_metric metrics[] = {SHX_L2, SHX_COSINE, SHX_IP};
    for (int m = 0; m < 3; m++) {
        trial t = trial_begin("1.7", 7, ROWS, ROWS + QUERIES, 200);
        t.table.config.metric = metrics[m];
        for (uint64_t i = 0; i < ROWS + QUERIES; i++) {
            float scale = (float)(0.2 + 5 * fixture_unit(&t.random));
            for (uint64_t d = 0; d < DIM; d++) t.vectors[i * DIM + d] *= scale;
        }
        trial_open(&t);
        trial_load(&t);
        double recall = fixture_recall(&t.table, t.vectors + (uint64_t)ROWS * DIM, QUERIES, 10, 0.95);
        if (recall < 0.94) fail_msg("metric %d: recall %.4f", (int)metrics[m], recall);
        trial_end(&t);
    }
}

/* 1.8: what was written was not found before a flush. */
static void defect_1_8_unflushed_rows_are_invisible(void **state) {
    (void)state;
    trial t = trial_begin("1.8", 8, 200, 200, 0);
    trial_open(&t);
    fixture_put_many(&t.table, 0, 100, t.vectors);
    fixture_commit(&t.table);
    fixture_flush(&t.table);
    for (uint64_t slot = 100; slot < 200; slot++) {
        fixture_put(&t.table, slot, t.vectors + slot * DIM);
        fixture_commit(&t.table);
        fixture_assert_exact(&t.table, t.vectors + slot * DIM, 1, 1);
    }
    trial_end(&t);
}

/* 2.1: clustered data broke the graph: a recall of 0.12. */
static void defect_2_1_clusters_are_not_found(void **state) {
    (void)state;
    enum { ROWS = 22000, QUERIES = 300 };
    const uint32_t clusters[] = {1, 10, 100, 1000};
    for (int c = 0; c < 4; c++) {
        trial t = trial_begin("2.1", 9, ROWS, ROWS + QUERIES, clusters[c]);
        trial_open(&t);
        trial_load(&t);
        double recall = fixture_recall(&t.table, t.vectors + (uint64_t)ROWS * DIM, QUERIES, 10, 0.95);
        if (recall < 0.935) fail_msg("%u clusters: recall %.4f", clusters[c], recall);
        trial_end(&t);
    }
}

/* 2.2: rows that moved into the archive were there twice; ten results were five, and the counts were wrong. */
static void defect_2_2_moved_rows_are_there_twice(void **state) {
    (void)state;
    trial t = trial_begin("2.2", 10, 2000, 2000, 0);
    shx_topk hits = {0};
    shx_search_scratch *scratch;
    assert_ok(shx_search_scratch_create(&scratch));
    trial_open(&t);
    for (uint64_t first = 0; first < 2000; first += 250) {
        fixture_put_many(&t.table, first, 250, t.vectors + first * DIM);
        fixture_put_many(&t.table, 0, 50, t.vectors);
        fixture_commit(&t.table);
        if (first % 500) fixture_flush(&t.table);
        shx_index_stats stats = fixture_stats(&t.table);
        assert_int_equal(stats.rows, first + 250);
        shx_view *view = fixture_view(&t.table);
        uint8_t seen[2000] = {0};
        shx_search_params params = {.query = t.vectors, .k = 2000};
        assert_ok(shx_search(view, &params, scratch, &hits));
        assert_int_equal(hits.count, first + 250);
        for (uint64_t i = 0; i < hits.count; i++) assert_int_equal(seen[hits.hits[i].rowid - FIXTURE_FIRST_ROWID]++, 0);
        shx_view_release(view);
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    trial_end(&t);
}

/* 2.3: a deletion after the move hit only one of the copies. */
static void defect_2_3_deletion_after_the_move(void **state) {
    (void)state;
    trial t = trial_begin("2.3", 11, 1000, 1000, 0);
    trial_open(&t);
    trial_load(&t);
    fixture_put_many(&t.table, 0, 500, t.vectors + 500 * DIM); /* a second version, in the delta */
    fixture_commit(&t.table);
    for (uint64_t slot = 0; slot < 1000; slot += 2) fixture_delete(&t.table, slot);
    fixture_commit(&t.table);
    assert_never_returned(&t.table, t.vectors, 100);
    fixture_flush(&t.table);
    fixture_assert_same(&t.table);
    assert_never_returned(&t.table, t.vectors, 100);
    trial_end(&t);
}

/* 2.4: the loss of one central row made the whole index answer nothing. Here those nearest to everything go, again and
** again. */
static void defect_2_4_central_rows_hold_everything_together(void **state) {
    (void)state;
    trial t = trial_begin("2.4", 12, 6000, 6000, 20);
    const float centre[DIM] = {0};
    shx_topk nearest = {0};
    trial_open(&t);
    trial_load(&t);
    for (int round = 0; round < 5; round++) {
        fixture_brute_force(&t.table, round ? t.vectors + round * 100 * DIM : centre, 500, &nearest);
        for (uint64_t i = 0; i < nearest.count; i++) {
            fixture_delete(&t.table, (uint64_t)(nearest.hits[i].rowid - FIXTURE_FIRST_ROWID));
        }
        fixture_commit(&t.table);
        if (round % 2) {
            fixture_optimize(&t.table);
        } else {
            fixture_flush(&t.table);
        }
        fixture_assert_same(&t.table);
        assert_never_returned(&t.table, t.vectors, 50);
        assert_true(fixture_recall(&t.table, t.vectors, 100, 10, 0.95) >= 0.95);
    }
    shx_topk_free(&nearest);
    trial_end(&t);
}

/* 2.5: a deleted id could not be used again, and vectors could not be updated. */
static void defect_2_5_ids_cannot_be_used_again(void **state) {
    (void)state;
    trial t = trial_begin("2.5", 13, 100, 400, 0);
    trial_open(&t);
    for (uint64_t round = 0; round < 12; round++) {
        fixture_put_many(&t.table, 0, 100, t.vectors + round % 4 * 100 * DIM);
        if (round % 3 == 0) fixture_commit(&t.table);
        for (uint64_t slot = round % 2; slot < 100; slot += 2) fixture_delete(&t.table, slot);
        fixture_commit(&t.table);
        if (round % 4 == 1) fixture_flush(&t.table);
        fixture_assert_same(&t.table);
    }
    trial_end(&t);
}

/* 2.6: ids were cut to 32 bits, so different rows were taken for one. */
static void defect_2_6_ids_that_differ_in_high_bits(void **state) {
    (void)state;
    shx_index_config config = {.metric = SHX_L2, .dim = 1};
    shx_pending *pending;
    shx_index *index;
    shx_view *view;
    const int64_t rowids[] = {1,
                              1 + (INT64_C(1) << 32),
                              1 + (INT64_C(1) << 62),
                              1 - (INT64_C(1) << 32),
                              INT64_MIN + 1,
                              INT64_MAX,
                              INT64_MIN,
                              -1,
                              0,
                              INT64_C(0xffffffff)};
    enum { COUNT = sizeof rowids / sizeof *rowids };
    shx_id parent = config.genesis;
    assert_ok(shx_index_create(&config, &index));
    assert_ok(shx_pending_create(1 * sizeof(float), &pending));
    for (int round = 0; round <= COUNT; round++) { /* all are inserted, then they go one by one */
        for (int i = 0; i < (round ? 1 : COUNT); i++) {
            float value = (float)(i + 1);
            shx_op op = {.kind = round ? SHX_OP_DELETE : SHX_OP_INSERT, .rowid = rowids[round ? round - 1 : i]};
            if (round == 0) op.vector = &value;
            if (round == 0) op.vector_hash = shx_hash64(&value, sizeof value, 0);
            shx_id digest = shx_hash128(&op.rowid, sizeof op.rowid);
            assert_ok(shx_pending_append(pending, &op, &digest));
        }
        shx_id commit = shx_pending_commit_id(pending, &parent);
        assert_ok(shx_index_append(index, &parent, &commit, pending));
        shx_pending_truncate(pending, 0);
        parent = commit;
        assert_ok(shx_index_view(index, &commit, &view));
        assert_int_equal(shx_view_rows(view), COUNT - round);
        shx_view_release(view);
        if (round % 3 == 0) assert_ok(shx_maintain_flush(index, &commit, NULL, NULL));
    }
    shx_pending_destroy(pending);
    shx_index_destroy(index);
}

/* 2.7: an error in a part of the index came out as fewer rows. */
static void defect_2_7_errors_become_fewer_rows(void **state) {
    (void)state;
    trial t = trial_begin("2.7", 14, 6000, 6000, 0);
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    uint64_t size;
    trial_open(&t);
    trial_load(&t);
    shx_index_confirm(t.table.index, &t.table.tip);
    fixture_close(&t.table);
    assert_ok(shx_search_scratch_create(&scratch));
    fixture_names names = fixture_list(t.store);
    for (uint64_t i = 0; i < names.count; i++) {
        if (strncmp(names.names[i], "segment-", 8) != 0) continue;
        uint8_t *bytes = fixture_read_file(t.store, names.names[i], &size);
        for (uint64_t at = fixture_section(bytes, 3); at < size - 6000 * 4 - 64; at += 500) bytes[at] ^= 0x40;
        fixture_write_file(t.store, names.names[i], bytes, size);
        free(bytes);
    }
    trial_open(&t);
    shx_view *view = fixture_view(&t.table);
    for (int exact = 0; exact < 2; exact++) {
        shx_search_params params = {.query = t.vectors, .k = 10, .exact = exact};
        assert_status(shx_search(view, &params, scratch, &hits), SHX_CORRUPT);
    }
    shx_view_release(view);
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    trial_end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defect_1_1_full_shards_lose_rows),
        cmocka_unit_test(defect_1_2_deleted_rows_are_returned),
        cmocka_unit_test(defect_1_3_the_log_is_replayed_again_and_again),
        cmocka_unit_test(defect_1_4_the_log_stops_silently),
        cmocka_unit_test(defect_1_5_replacements_are_not_logged),
        cmocka_unit_test(defect_1_6_a_second_process_destroys),
        cmocka_unit_test(defect_1_7_shards_are_ranked_by_another_metric),
        cmocka_unit_test(defect_1_8_unflushed_rows_are_invisible),
        cmocka_unit_test(defect_2_1_clusters_are_not_found),
        cmocka_unit_test(defect_2_2_moved_rows_are_there_twice),
        cmocka_unit_test(defect_2_3_deletion_after_the_move),
        cmocka_unit_test(defect_2_4_central_rows_hold_everything_together),
        cmocka_unit_test(defect_2_5_ids_cannot_be_used_again),
        cmocka_unit_test(defect_2_6_ids_that_differ_in_high_bits),
        cmocka_unit_test(defect_2_7_errors_become_fewer_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
