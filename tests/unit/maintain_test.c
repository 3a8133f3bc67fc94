/* Flush, merge, split, fold and re-clustering: whatever they do, the rows stay the same, none lost and none twice, and
** searches find them as well as in a fresh index. Collect: what it may remove, and what not. */
#include "fixture.h"

#include "collect.h"
#include "limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void a_flush_moves_everything_into_segments(void **state) {
    (void)state;
    const shx_metric metrics[] = {SHX_L2, SHX_COSINE, SHX_IP};
    const uint64_t counts[] = {1, 2, 31, 32, 33, 300};
    for (int m = 0; m < 3; m++) {
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            fixture_random random = {counts[c]};
            fixture_table table = fixture_table_make(metrics[m], 7, 300);
            float *vectors = fixture_gaussian(&random, counts[c], 7);
            fixture_open(&table, NULL, NULL);
            fixture_put_many(&table, 0, counts[c], vectors);
            fixture_commit(&table);
            assert_int_equal(fixture_stats(&table).delta_rows, counts[c]);
            fixture_flush(&table);
            shx_index_stats stats = fixture_stats(&table);
            assert_int_equal(stats.delta_rows, 0);
            assert_int_equal(stats.segment_rows, counts[c]);
            assert_int_equal(stats.rows, counts[c]);
            fixture_assert_same(&table);
            fixture_assert_exact(&table, vectors, counts[c] < 20 ? counts[c] : 20, 5);
            free(vectors);
            fixture_table_free(&table);
        }
    }
}

static void flushing_again_does_nothing(void **state) {
    (void)state;
    fixture_random random = fixture_seed("again", 1);
    fixture_table table = fixture_table_make(SHX_L2, 8, 300);
    float *vectors = fixture_gaussian(&random, 300, 8);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, 300, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    uint64_t generation = fixture_stats(&table).generation;
    for (int i = 0; i < 3; i++) fixture_flush(&table);
    assert_int_equal(fixture_stats(&table).generation, generation);
    free(vectors);
    fixture_table_free(&table);
}

/* A table that becomes empty, and fills again. */
static void everything_deleted(void **state) {
    (void)state;
    fixture_random random = fixture_seed("everything deleted", 2);
    fixture_table table = fixture_table_make(SHX_COSINE, 8, 500);
    float *vectors = fixture_gaussian(&random, 500, 8);
    fixture_open(&table, NULL, NULL);
    for (int round = 0; round < 3; round++) {
        fixture_put_many(&table, 0, 500, vectors);
        fixture_commit(&table);
        if (round != 1) fixture_flush(&table);
        for (uint64_t slot = 0; slot < 500; slot++) fixture_delete(&table, slot);
        fixture_commit(&table);
        fixture_assert_same(&table);
        if (round == 2) {
            fixture_optimize(&table);
        } else {
            fixture_flush(&table);
        }
        fixture_assert_same(&table);
        assert_int_equal(fixture_stats(&table).tombstones, 0);
        fixture_assert_exact(&table, vectors, 3, 10);
    }
    free(vectors);
    fixture_table_free(&table);
}

/* Tombstones stay beside a large segment that a flush leaves alone, are dropped when it is rewritten, and a row that
** was replaced several times is there once. */
static void tombstones(void **state) {
    (void)state;
    fixture_random random = fixture_seed("tombstones", 3);
    fixture_table table = fixture_table_make(SHX_L2, 8, 4000);
    float *vectors = fixture_gaussian(&random, 4000, 8);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, 4000, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    for (uint64_t slot = 0; slot < 40; slot++) fixture_delete(&table, slot * 3);
    for (int again = 0; again < 3; again++) {
        for (uint64_t slot = 0; slot < 40; slot++) fixture_put(&table, slot * 3 + 1, vectors + slot * 8);
    }
    fixture_commit(&table);
    assert_int_equal(fixture_stats(&table).tombstones, 80);
    fixture_flush(&table);
    assert_int_equal(fixture_stats(&table).tombstones, 80);
    fixture_assert_same(&table);
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    fixture_assert_same(&table);
    for (uint64_t slot = 0; slot < 1500; slot++) { /* over a quarter of the segment */
        if (table.alive[slot]) fixture_delete(&table, slot);
    }
    fixture_commit(&table);
    fixture_flush(&table);
    assert_int_equal(fixture_stats(&table).tombstones, 0);
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* Shards that are crowded split, and ones that were emptied are folded into others. */
static void shards_split_and_fold(void **state) {
    (void)state;
    fixture_random random = fixture_seed("split and fold", 4);
    fixture_table table = fixture_table_make(SHX_L2, 16, 12000);
    float *vectors = fixture_clustered(&random, 12000, 16, 40);
    table.config.shard_size = 32;
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, 1000, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    uint64_t before = fixture_stats(&table).shards;
    fixture_put_many(&table, 1000, 11000, vectors + 1000 * 16);
    fixture_commit(&table);
    fixture_flush(&table);
    shx_index_stats grown = fixture_stats(&table);
    assert_true(grown.splits > 0 && grown.shards > 3 * before);
    fixture_assert_same(&table);
    for (uint64_t slot = 0; slot < 12000; slot++) {
        if (slot % 30) fixture_delete(&table, slot);
    }
    fixture_commit(&table);
    fixture_flush(&table);
    shx_index_stats shrunk = fixture_stats(&table);
    assert_true(shrunk.shards < grown.shards / 2);
    fixture_assert_same(&table);
    fixture_assert_exact(&table, vectors, 30, 10);
    free(vectors);
    fixture_table_free(&table);
}

/* Identical vectors cannot be told apart by a split; vectors without a point have no shard. */
static void duplicates_and_vectors_without_a_point(void **state) {
    (void)state;
    const shx_metric metrics[] = {SHX_L2, SHX_COSINE, SHX_IP};
    for (int m = 0; m < 3; m++) {
        enum { DIM = 6, ROWS = 3000 };
        fixture_random random = fixture_seed("duplicates", 5);
        fixture_table table = fixture_table_make(metrics[m], DIM, ROWS);
        float *vectors = fixture_gaussian(&random, ROWS, DIM);
        for (uint64_t i = 0; i < ROWS; i++) {
            float *vector = vectors + i * DIM;
            if (i % 3 == 0) memcpy(vector, vectors + DIM, DIM * sizeof(float));
            if (i % 10 == 2) memset(vector, 0, DIM * sizeof(float));
            if (i % 50 == 4) vector[i % DIM] = 3e38f;
            if (i % 50 == 5) vector[0] = -1e-42f;
        }
        table.config.shard_size = 16;
        fixture_open(&table, NULL, NULL);
        for (uint64_t first = 0; first < ROWS; first += 500) {
            fixture_put_many(&table, first, 500, vectors + first * DIM);
            fixture_commit(&table);
            fixture_flush(&table);
            fixture_assert_same(&table);
        }
        fixture_assert_exact(&table, vectors, 60, 20);
        fixture_optimize(&table);
        fixture_assert_same(&table);
        fixture_assert_exact(&table, vectors, 60, 20);
        free(vectors);
        fixture_table_free(&table);
    }
}

/* Under ip the bound M moves with the data: rows that had a point lose it, and others get one. */
static void the_bound_of_ip_moves(void **state) {
    (void)state;
    enum { DIM = 5, ROWS = 6000 };
    fixture_random random = fixture_seed("ip bound", 6);
    fixture_table table = fixture_table_make(SHX_IP, DIM, ROWS);
    float *vectors = fixture_gaussian(&random, ROWS, DIM);
    fixture_open(&table, NULL, NULL);
    const float scales[] = {1, 100, 0.01f, 10};
    for (int round = 0; round < 4; round++) {
        for (uint64_t i = 0; i < 1500; i++) {
            float *vector = vectors + ((uint64_t)round * 1500 + i) * DIM;
            for (int d = 0; d < DIM; d++) vector[d] *= scales[round];
        }
        fixture_put_many(&table, (uint64_t)round * 1500, 1500, vectors + (uint64_t)round * 1500 * DIM);
        fixture_commit(&table);
        fixture_flush(&table); /* under the old bound */
        fixture_assert_same(&table);
        double flushed = fixture_recall(&table, vectors, 1000, 10, 0.95);
        if (round % 2) fixture_optimize(&table); /* under a new one */
        fixture_assert_same(&table);
        fixture_assert_exact(&table, vectors, 50, 10);
        double recall = fixture_recall(&table, vectors, 1000, 10, 0.95);
        if (flushed < 0.94 || recall < 0.94) fail_msg("recall %.3f, then %.3f", flushed, recall);
    }
    free(vectors);
    fixture_table_free(&table);
}

/* ---- growth ---- */

#define GROWTH_DIM 16
#define GROWTH_ROWS 40000
#define GROWTH_QUERIES 400

/* Many commits of inserts, updates and deletes with flushes between them, and in the end as good as built anew. */
static void growth_stays_as_good_as_a_fresh_index(void **state) {
    (void)state;
    fixture_random random = fixture_seed("growth", 7);
    fixture_table table = fixture_table_make(SHX_L2, GROWTH_DIM, GROWTH_ROWS);
    float *pool = fixture_clustered(&random, GROWTH_ROWS + GROWTH_QUERIES, GROWTH_DIM, 300);
    const float *queries = pool + (uint64_t)GROWTH_ROWS * GROWTH_DIM;
    fixture_open(&table, NULL, NULL);
    uint64_t filled = 0, operations = 0;
    for (int commit = 0; filled < GROWTH_ROWS; commit++) {
        uint64_t size = commit % 5 ? 1 + fixture_below(&random, 40) : 1000;
        for (uint64_t i = 0; i < size && filled < GROWTH_ROWS; i++, operations++) {
            uint64_t kind = fixture_below(&random, 10), slot = filled ? fixture_below(&random, filled) : 0;
            const float *vector = pool + fixture_below(&random, GROWTH_ROWS) * GROWTH_DIM;
            if (kind == 0 && filled && table.alive[slot]) {
                fixture_delete(&table, slot);
            } else if (kind == 1 && filled) {
                fixture_put(&table, slot, vector); /* an update, or a rowid that is used again */
            } else {
                fixture_put(&table, filled, pool + filled * GROWTH_DIM);
                filled++;
            }
        }
        fixture_commit(&table);
        if (operations < 2500) continue;
        operations = 0;
        fixture_flush(&table);
        if (commit % 4 == 0) fixture_assert_same(&table);
        shx_index_confirm(table.index, &table.tip);
    }
    fixture_assert_same(&table);
    double grown = fixture_recall(&table, queries, GROWTH_QUERIES, 10, 0.95);
    fixture_optimize(&table);
    fixture_assert_same(&table);
    double fresh = fixture_recall(&table, queries, GROWTH_QUERIES, 10, 0.95);
    print_message("             recall grown %.4f, fresh %.4f\n", grown, fresh);
    assert_true(grown >= 0.94 && fresh >= 0.94);
    assert_true(grown >= fresh - 0.01);
    free(pool);
    fixture_table_free(&table);
}

/* Segments do not pile up, and neither do files. */
static void many_small_flushes(void **state) {
    (void)state;
    fixture_random random = fixture_seed("small flushes", 8);
    fixture_table table = fixture_table_make(SHX_COSINE, 8, 5000);
    float *vectors = fixture_gaussian(&random, 5000, 8);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    for (uint64_t slot = 0; slot < 5000;) {
        for (uint64_t i = fixture_below(&random, 60) + 1; i > 0 && slot < 5000; i--, slot++) {
            fixture_put(&table, slot, vectors + slot * 8);
        }
        fixture_commit(&table);
        fixture_flush(&table);
        shx_index_confirm(table.index, &table.tip);
        shx_index_stats stats = fixture_stats(&table);
        assert_true(stats.segments <= 9);
        assert_true(fixture_count_files(store, SHX_FILE_BASE) <= 2);
        assert_true(fixture_count_files(store, SHX_FILE_SEGMENT) <= 20);
        assert_true(fixture_count_files(store, SHX_FILE_SHARDS) <= 2);
        assert_true(fixture_count_files(store, SHX_FILE_WAL) <= 4);
    }
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* ---- locks and interrupts ---- */

static void one_maintainer_at_a_time(void **state) {
    (void)state;
    fixture_random random = fixture_seed("one maintainer", 9);
    fixture_table table = fixture_table_make(SHX_L2, 8, 100);
    float *vectors = fixture_gaussian(&random, 100, 8);
    shx_store *store = fixture_heap();
    shx_file *lock;
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, 100, vectors);
    fixture_commit(&table);
    shx_index *other = fixture_index_on(&table.config, store);
    assert_ok(shx_maintenance_lock(other, &lock));
    assert_status(shx_maintain_flush(table.index, &table.tip, NULL, NULL), SHX_BUSY);
    assert_status(shx_maintain_optimize(table.index, &table.tip, NULL, NULL), SHX_BUSY);
    fixture_put(&table, 1, vectors);
    fixture_commit(&table); /* commits do not wait for maintenance */
    fixture_assert_same(&table);
    shx_file_close(lock);
    fixture_flush(&table);
    shx_index_destroy(other);
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

static bool interrupt_countdown(void *context) { return (*(int *)context)-- == 0; }

static void an_interrupt_changes_nothing(void **state) {
    (void)state;
    fixture_random random = fixture_seed("interrupt", 10);
    fixture_table table = fixture_table_make(SHX_L2, 8, 1000);
    float *vectors = fixture_gaussian(&random, 1000, 8);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, 1000, vectors);
    fixture_commit(&table);
    int interrupted = 0;
    for (int after = 0; after < 20; after++) {
        int countdown = after;
        shx_status status = shx_maintain_optimize(table.index, &table.tip, interrupt_countdown, &countdown);
        assert_true(status == SHX_OK || status == SHX_INTERRUPT);
        interrupted += status == SHX_INTERRUPT;
        fixture_assert_same(&table);
        if (status == SHX_OK) break;
    }
    assert_true(interrupted > 0);
    fixture_flush(&table);
    shx_index_confirm(table.index, &table.tip);
    assert_int_equal(fixture_count_files(store, SHX_FILE_SEGMENT), fixture_stats(&table).segments);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

static void an_unknown_commit_cannot_be_flushed(void **state) {
    (void)state;
    fixture_table table = fixture_table_make(SHX_L2, 8, 10);
    shx_id unknown = {{3}};
    fixture_open(&table, NULL, NULL);
    assert_status(shx_maintain_flush(table.index, &unknown, NULL, NULL), SHX_NOTFOUND);
    fixture_assert_same(&table);
    fixture_table_free(&table);
}

/* ---- collect ---- */

static bool is_there(shx_store *store, shx_file_kind kind, uint64_t id) {
    char name[SHX_FILE_NAME_MAX];
    fixture_names names = fixture_list(store);
    shx_file_name(kind, id, name);
    for (uint64_t i = 0; i < names.count; i++) {
        if (strcmp(names.names[i], name) == 0) return true;
    }
    return false;
}

/* After a collection the directory still opens: at the commits of the newest base and of the one before it, and at one
** between the two, which takes records of the WAL. */
static void collect_keeps_two_bases(void **state) {
    (void)state;
    fixture_random random = fixture_seed("collect", 11);
    fixture_table table = fixture_table_make(SHX_L2, 8, 2000);
    float *vectors = fixture_gaussian(&random, 2000, 8);
    shx_store *store = fixture_heap();
    shx_id kept[3] = {{{0}}};
    uint64_t digests[3] = {0};
    fixture_open(&table, store, NULL);
    for (uint64_t round = 0; round < 10; round++) {
        kept[2] = table.tip;
        digests[2] = fixture_model_digest(&table);
        fixture_put_many(&table, round * 200, 200, vectors + round * 200 * 8);
        fixture_commit(&table);
        fixture_flush(&table);
        kept[round % 2] = table.tip;
        digests[round % 2] = fixture_model_digest(&table);
        fixture_put_many(&table, 0, 5, vectors + round * 8);
        fixture_commit(&table);
        shx_index_confirm(table.index, &table.tip);
        if (round == 0) continue;
        assert_true(fixture_count_files(store, SHX_FILE_BASE) <= 2);
        shx_index *fresh = fixture_index_on(&table.config, store);
        for (int i = 0; i < 3; i++) {
            shx_view *view;
            assert_ok(shx_index_view(fresh, &kept[i], &view));
            assert_true(fixture_view_digest(view, 8) == digests[i]);
            shx_view_release(view);
        }
        shx_index_destroy(fresh);
        fixture_assert_same(&table);
    }
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* Only what is superfluous goes: leftovers of crashes, but nothing foreign and no WAL file that somebody has locked. */
static void collect_removes_only_what_is_superfluous(void **state) {
    (void)state;
    fixture_random random = fixture_seed("superfluous", 12);
    fixture_table table = fixture_table_make(SHX_L2, 8, 2000);
    float *vectors = fixture_gaussian(&random, 2000, 8);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, 10, vectors);
    fixture_commit(&table);
    shx_wal_writer *locked;
    shx_index *elsewhere = fixture_index_on(&table.config, store);
    pthread_mutex_lock(&elsewhere->mutex);
    assert_ok(shx_catalog_refresh(&elsewhere->catalog, elsewhere->store, &table.config.uuid, 8 * sizeof(float)));
    assert_ok(shx_index_new_wal(elsewhere, &locked));
    pthread_mutex_unlock(&elsewhere->mutex);
    uint64_t locked_file = shx_wal_writer_file(locked);
    fixture_write_file(store, "segment-0000000000000100", (const uint8_t *)"crash", 5);
    fixture_write_file(store, "shards-0000000000000101", (const uint8_t *)"crash", 5);
    fixture_write_file(store, "base-0000000000000102", (const uint8_t *)"crash", 5);
    fixture_write_file(store, "notes.txt", (const uint8_t *)"mine", 4);
    for (uint64_t round = 1; round < 6; round++) {
        fixture_put_many(&table, round * 100, 100, vectors + round * 800);
        fixture_commit(&table);
        fixture_flush(&table);
        shx_index_confirm(table.index, &table.tip);
    }
    assert_false(is_there(store, SHX_FILE_SEGMENT, 0x100));
    assert_false(is_there(store, SHX_FILE_SHARDS, 0x101));
    assert_false(is_there(store, SHX_FILE_BASE, 0x102));
    assert_true(is_there(store, SHX_FILE_WAL, locked_file));
    assert_false(is_there(store, SHX_FILE_WAL, 1));
    uint64_t size;
    free(fixture_read_file(store, "notes.txt", &size));
    assert_int_equal(size, 4);
    shx_wal_writer_close(locked);
    fixture_put_many(&table, 700, 100, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    shx_index_confirm(table.index, &table.tip);
    assert_false(is_there(store, SHX_FILE_WAL, locked_file));
    fixture_assert_same(&table);
    shx_index_destroy(elsewhere);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* What has not been confirmed removes nothing, and readers keep what they have mapped. */
/* What another process has open stays, with everything that it names; afterwards it goes. */
static void a_base_that_somebody_has_open_stays(void **state) {
    (void)state;
    fixture_random random = fixture_seed("open base", 15);
    fixture_table table = fixture_table_make(SHX_L2, 8, 2000);
    float *vectors = fixture_gaussian(&random, 2000, 8);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, 100, vectors);
    fixture_commit(&table);
    fixture_optimize(&table);
    shx_id commit = table.tip;
    uint64_t digest = fixture_model_digest(&table);
    shx_index *elsewhere = fixture_index_on(&table.config, store), *third;
    shx_view *view, *later;
    assert_ok(shx_index_view(elsewhere, &commit, &view));
    for (uint64_t round = 1; round < 6; round++) {
        fixture_put_many(&table, round * 100, 100, vectors + round * 800);
        fixture_commit(&table);
        fixture_optimize(&table);
        shx_index_confirm(table.index, &table.tip);
    }
    assert_int_equal(fixture_count_files(store, SHX_FILE_BASE), 3);
    third = fixture_index_on(&table.config, store);
    assert_ok(shx_index_view(third, &commit, &later));
    assert_true(fixture_view_digest(later, 8) == digest);
    shx_view_release(later);
    shx_index_destroy(third);
    shx_view_release(view);
    shx_index_destroy(elsewhere);
    fixture_put_many(&table, 700, 100, vectors);
    fixture_commit(&table);
    fixture_optimize(&table);
    shx_index_confirm(table.index, &table.tip);
    assert_int_equal(fixture_count_files(store, SHX_FILE_BASE), 2);
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* Another process was faster, while this one still has the older base in memory. */
static void a_flush_starts_from_the_newest_base(void **state) {
    (void)state;
    fixture_random random = fixture_seed("newest base", 16);
    fixture_table table = fixture_table_make(SHX_L2, 8, 200);
    float *vectors = fixture_gaussian(&random, 200, 8);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, 200, vectors);
    fixture_commit(&table);
    shx_view *view = fixture_view(&table);
    shx_index *elsewhere = fixture_index_on(&table.config, store);
    assert_ok(shx_maintain_flush(elsewhere, &table.tip, NULL, NULL));
    assert_int_equal(fixture_count_files(store, SHX_FILE_BASE), 1);
    fixture_flush(&table);
    assert_int_equal(fixture_count_files(store, SHX_FILE_BASE), 1);
    assert_int_equal(fixture_count_files(store, SHX_FILE_SEGMENT), 1);
    shx_view_release(view);
    fixture_assert_same(&table);
    shx_index_destroy(elsewhere);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

static void readers_keep_their_files(void **state) {
    (void)state;
    fixture_random random = fixture_seed("readers", 13);
    fixture_directory directory = fixture_directory_make();
    fixture_table table = fixture_table_make(SHX_L2, 8, 2000);
    float *vectors = fixture_gaussian(&random, 2000, 8);
    shx_view *views[8];
    uint64_t digests[8];
    fixture_open(&table, NULL, directory.path);
    for (uint64_t round = 0; round < 8; round++) {
        fixture_put_many(&table, round * 200, 200, vectors + round * 1600);
        fixture_commit(&table);
        fixture_optimize(&table);
        views[round] = fixture_view(&table);
        digests[round] = fixture_model_digest(&table);
        shx_index_confirm(table.index, &table.tip);
    }
    for (int round = 0; round < 8; round++) {
        assert_true(fixture_view_digest(views[round], 8) == digests[round]);
        shx_view_release(views[round]);
    }
    free(vectors);
    fixture_table_free(&table);
    fixture_directory_remove(&directory);
}

/* ---- the thread in the background ---- */

/* Flushes happen by themselves, commits do not wait, and the last release leaves a directory that opens. */
static void the_keeper_flushes_by_itself(void **state) {
    (void)state;
    enum { DIM = 8, ROWS = 30000 };
    fixture_random random = fixture_seed("keeper", 14);
    fixture_directory directory = fixture_directory_make();
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_clustered(&random, ROWS, DIM, 100);
    table.config.directory = directory.path;
    table.config.flush_rows = 1000;
    assert_ok(shx_index_acquire(&table.config, &table.index));
    for (uint64_t first = 0; first < ROWS; first += 500) {
        fixture_put_many(&table, first, 500, vectors + first * DIM);
        if (first > 5000) fixture_delete(&table, first - 3000);
        shx_id parent = table.tip;
        shx_index_confirm(table.index, &parent);
        assert_ok(fixture_commit_status(&table));
        shx_index_committed(table.index, &table.tip);
        if (first % 5000 == 0) fixture_assert_same(&table);
    }
    shx_index_release(table.index);
    assert_ok(shx_index_acquire(&table.config, &table.index));
    shx_index_stats stats = fixture_stats(&table);
    assert_true(stats.flushes > 0 && stats.segments > 0);
    fixture_assert_same(&table);
    fixture_assert_exact(&table, vectors, 10, 10);
    shx_index_release(table.index);
    table.index = NULL;
    free(vectors);
    fixture_table_free(&table);
    fixture_directory_remove(&directory);
}

/* Twice as many rows in each for four times as many in all, between two bounds. */
static void shards_grow_with_the_root_of_the_rows(void **state) {
    (void)state;
    assert_int_equal(shx_maintain_shard_size(0), 128);
    assert_int_equal(shx_maintain_shard_size(250000), 128);
    assert_int_equal(shx_maintain_shard_size(1000000), 256);
    assert_int_equal(shx_maintain_shard_size(4000000), 512);
    assert_int_equal(shx_maintain_shard_size(UINT64_MAX), 512);
    uint32_t before = 0;
    for (uint64_t rows = 1; rows < UINT64_C(1) << 40; rows += rows / 8 + 1) {
        uint32_t size = shx_maintain_shard_size(rows);
        assert_true(size >= before);
        before = size;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flush_moves_everything_into_segments),
        cmocka_unit_test(flushing_again_does_nothing),
        cmocka_unit_test(everything_deleted),
        cmocka_unit_test(tombstones),
        cmocka_unit_test(shards_grow_with_the_root_of_the_rows),
        cmocka_unit_test(shards_split_and_fold),
        cmocka_unit_test(duplicates_and_vectors_without_a_point),
        cmocka_unit_test(the_bound_of_ip_moves),
        cmocka_unit_test(growth_stays_as_good_as_a_fresh_index),
        cmocka_unit_test(many_small_flushes),
        cmocka_unit_test(one_maintainer_at_a_time),
        cmocka_unit_test(an_interrupt_changes_nothing),
        cmocka_unit_test(an_unknown_commit_cannot_be_flushed),
        cmocka_unit_test(collect_keeps_two_bases),
        cmocka_unit_test(collect_removes_only_what_is_superfluous),
        cmocka_unit_test(a_base_that_somebody_has_open_stays),
        cmocka_unit_test(a_flush_starts_from_the_newest_base),
        cmocka_unit_test(readers_keep_their_files),
        cmocka_unit_test(the_keeper_flushes_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
