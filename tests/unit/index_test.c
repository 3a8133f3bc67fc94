/* The index: which commit ids resolve and to what, with branches, several processes on one directory, and directories
** that are missing, old, foreign, read-only or out of order. */
#include "fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIM 4
#define CAPACITY 4000

/* Random operations on a few slots, then a commit. */
static void commit_some(fixture_table *table, fixture_random *random, uint64_t slots, int operations) {
    for (int i = 0; i < operations; i++) fixture_change(table, random, slots);
    fixture_commit(table);
}

static void assert_resolves(shx_index *index, const shx_id *commit, shx_status expected, uint64_t digest) {
    shx_view *view = NULL;
    assert_status(shx_index_view(index, commit, &view), expected);
    if (expected != SHX_OK) {
        assert_null(view);
        return;
    }
    shx_id found = shx_view_commit(view);
    assert_memory_equal(&found, commit, sizeof found);
    assert_true(fixture_view_digest(view, DIM) == digest);
    shx_view_release(view);
}

static void an_empty_index(void **state) {
    (void)state;
    fixture_table table = fixture_table_make(SHX_L2, DIM, 1);
    fixture_open(&table, NULL, NULL);
    fixture_assert_same(&table); /* the genesis resolves without anything */
    shx_id unknown = {{1}};
    assert_resolves(table.index, &unknown, SHX_NOTFOUND, 0);
    fixture_flush(&table);
    fixture_assert_same(&table);
    fixture_optimize(&table);
    fixture_assert_same(&table);
    fixture_table_free(&table);
}

#define HISTORY 60

/* Views of all commits, old and new, stay right while later ones are appended and flushed. */
static void every_commit_resolves(void **state) {
    (void)state;
    fixture_random random = fixture_seed("every commit", 1);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_id commits[HISTORY];
    uint64_t digests[HISTORY];
    shx_view *views[HISTORY];
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    for (int i = 0; i < HISTORY; i++) {
        commit_some(&table, &random, 200, 1 + (int)fixture_below(&random, 40));
        commits[i] = table.tip;
        digests[i] = fixture_model_digest(&table);
        views[i] = fixture_view(&table);
        if (i % 13 == 12) fixture_flush(&table);
        int older = (int)fixture_below(&random, (uint64_t)i + 1);
        assert_resolves(table.index, &commits[older], SHX_OK, digests[older]);
    }
    for (int i = 0; i < HISTORY; i++) {
        assert_true(fixture_view_digest(views[i], DIM) == digests[i]);
        shx_view_release(views[i]);
        assert_resolves(table.index, &commits[i], SHX_OK, digests[i]);
    }
    fixture_close(&table);
    fixture_open(&table, store, NULL); /* and in a process that has seen nothing of it */
    for (int i = HISTORY; i-- > 0;) assert_resolves(table.index, &commits[i], SHX_OK, digests[i]);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* Two transactions from one parent: the one that was rolled back is a dead branch, and harmless. */
static void dead_branches(void **state) {
    (void)state;
    fixture_random random = fixture_seed("dead branches", 2);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    commit_some(&table, &random, 50, 30);
    for (int round = 0; round < 30; round++) {
        float vector[DIM] = {(float)round, 0, 0, 0};
        shx_id digest = {{(uint8_t)round, 77}};
        shx_op op = {.kind = SHX_OP_INSERT, .rowid = 100000 + round, .vector = vector};
        op.vector_hash = shx_hash64(vector, sizeof vector, 0);
        for (int lost = 0; lost < 1 + round % 3; lost++) { /* xSync went through, COMMIT did not */
            assert_ok(shx_pending_append(table.pending, &op, &digest));
            shx_id dead = shx_pending_commit_id(table.pending, &table.tip);
            assert_ok(shx_index_append(table.index, &table.tip, &dead, table.pending));
            op.rowid++;
            if (round % 2) {
                shx_view *view;
                assert_ok(shx_index_view(table.index, &dead, &view));
                assert_int_equal(shx_view_rows(view), table.live + (uint64_t)lost + 1);
                shx_view_release(view);
            }
        }
        shx_pending_truncate(table.pending, 0);
        if (round % 10 == 9) fixture_flush(&table);
        commit_some(&table, &random, 50, 10);
        fixture_assert_same(&table);
    }
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* COMMIT may say BUSY after xSync and be tried again: the record is there once. */
static void appending_twice_is_appending_once(void **state) {
    (void)state;
    fixture_table table = fixture_table_make(SHX_L2, DIM, 10);
    fixture_open(&table, NULL, NULL);
    float vector[DIM] = {1, 2, 3, 4};
    fixture_put(&table, 0, vector);
    shx_id commit = shx_pending_commit_id(table.pending, &table.tip);
    for (int i = 0; i < 3; i++) assert_ok(shx_index_append(table.index, &table.tip, &commit, table.pending));
    assert_int_equal(table.index->catalog.entry_count, 1);
    fixture_put(&table, 1, vector); /* more xUpdates in between: a longer transaction from the same parent */
    fixture_commit(&table);
    fixture_assert_same(&table);
    fixture_table_free(&table);
}

/* A transaction without operations has its parent's id; a record from a commit to itself would hide how it came to be.
** */
static void no_operation_no_record(void **state) {
    (void)state;
    fixture_random random = fixture_seed("no operation", 3);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    commit_some(&table, &random, 50, 10);
    shx_id before = table.tip;
    fixture_commit(&table);
    assert_memory_equal(&before, &table.tip, sizeof before);
    assert_int_equal(table.index->catalog.entry_count, 1);
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* ---- several processes ---- */

/* Two index objects on one directory, as in two processes, write in turns (SQLite serialises them). */
static void take_turns(shx_store *store, const char *directory, const char *name, uint64_t seed) {
    fixture_random random = fixture_seed(name, seed);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    fixture_open(&table, store, directory);
    shx_index *processes[3] = {table.index};
    for (int p = 1; p < 3; p++) {
        fixture_table twin = {.config = table.config};
        fixture_open(&twin, store, directory);
        processes[p] = twin.index;
    }
    for (int step = 0; step < 120; step++) {
        table.index = processes[fixture_below(&random, 3)];
        if (fixture_below(&random, 10) == 0) fixture_flush(&table);
        commit_some(&table, &random, 300, 1 + (int)fixture_below(&random, 20));
        if (fixture_below(&random, 5) == 0) shx_index_confirm(table.index, &table.tip);
        table.index = processes[fixture_below(&random, 3)];
        fixture_assert_same(&table);
    }
    for (int p = 1; p < 3; p++) shx_index_destroy(processes[p]);
    table.index = processes[0];
    fixture_assert_same(&table);
    fixture_table_free(&table);
}

static void processes_take_turns_in_memory(void **state) {
    (void)state;
    shx_store *store = fixture_heap();
    take_turns(store, NULL, "turns in memory", 4);
    shx_store_close(store);
}

static void processes_take_turns_on_disk(void **state) {
    (void)state;
    fixture_directory directory = fixture_directory_make();
    take_turns(NULL, directory.path, "turns on disk", 5);
    fixture_directory_remove(&directory);
}

/* A process that has a WAL file open goes on with it after another one has published a base and collected. */
static void a_writer_outlives_a_flush_elsewhere(void **state) {
    (void)state;
    fixture_random random = fixture_seed("outlives", 6);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    shx_index *first = table.index, *second = fixture_index_on(&table.config, store);
    for (int round = 0; round < 12; round++) {
        table.index = first;
        commit_some(&table, &random, 100, 20);
        table.index = second;
        commit_some(&table, &random, 100, 5);
        fixture_flush(&table);
        shx_index_confirm(second, &table.tip);
        fixture_assert_same(&table);
        table.index = first;
        fixture_assert_same(&table);
        commit_some(&table, &random, 100, 3);
    }
    shx_index_destroy(second);
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* ---- directories in every state ---- */

typedef struct copy {
    fixture_names names;
    uint8_t *bytes[FIXTURE_NAMES_MAX];
    uint64_t sizes[FIXTURE_NAMES_MAX];
} copy;

static copy *copy_take(shx_store *store) {
    copy *taken = calloc(1, sizeof *taken);
    taken->names = fixture_list(store);
    for (uint64_t i = 0; i < taken->names.count; i++) {
        taken->bytes[i] = fixture_read_file(store, taken->names.names[i], &taken->sizes[i]);
    }
    return taken;
}

static void copy_free(copy *taken) {
    for (uint64_t i = 0; i < taken->names.count; i++) free(taken->bytes[i]);
    free(taken);
}

static shx_store *copy_restore(const copy *taken) {
    shx_store *store = fixture_heap();
    assert_ok(shx_store_prepare(store));
    for (uint64_t i = 0; i < taken->names.count; i++) {
        fixture_write_file(store, taken->names.names[i], taken->bytes[i], taken->sizes[i]);
    }
    return store;
}

/* The directory of yesterday beside the database of today, and the other way round. */
static void older_copies(void **state) {
    (void)state;
    fixture_random random = fixture_seed("older copies", 7);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    for (int i = 0; i < 5; i++) commit_some(&table, &random, 100, 20);
    fixture_flush(&table);
    commit_some(&table, &random, 100, 20);
    shx_id then = table.tip;
    uint64_t digest_then = fixture_model_digest(&table);
    copy *yesterday = copy_take(store);
    for (int i = 0; i < 5; i++) commit_some(&table, &random, 100, 20);
    uint64_t digest_now = fixture_model_digest(&table);

    shx_store *old_store = copy_restore(yesterday);
    shx_index *old = fixture_index_on(&table.config, old_store);
    assert_resolves(old, &then, SHX_OK, digest_then);
    assert_resolves(old, &table.tip, SHX_NOTFOUND, 0);
    assert_resolves(old, &then, SHX_OK, digest_then);
    assert_resolves(table.index, &then, SHX_OK, digest_then); /* the restored database, today's directory */
    assert_resolves(table.index, &table.tip, SHX_OK, digest_now);
    shx_index_destroy(old);
    shx_store_close(old_store);
    copy_free(yesterday);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* While a directory is in use another copy of it takes its place, where a file of the same name holds another base. */
static void a_copy_takes_the_place(void **state) {
    (void)state;
    fixture_random random = fixture_seed("copy", 21);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    commit_some(&table, &random, 200, 100);
    shx_id before = table.tip;
    commit_some(&table, &random, 200, 100);
    uint64_t digest = fixture_model_digest(&table);
    copy *early = copy_take(store);
    shx_store *other_store = copy_restore(early);
    shx_index *other = fixture_index_on(&table.config, other_store);
    assert_ok(shx_maintain_flush(other, &table.tip, NULL, NULL));
    assert_ok(shx_maintain_flush(table.index, &before, NULL, NULL));
    copy *late = copy_take(other_store);
    fixture_names names = fixture_list(store);
    assert_true(names.count == late->names.count);
    for (uint64_t i = 0; i < names.count; i++) {
        assert_string_equal(names.names[i], late->names.names[i]);
        fixture_write_file(store, names.names[i], late->bytes[i], late->sizes[i]);
    }
    assert_resolves(table.index, &table.tip, SHX_OK, digest);
    shx_index_destroy(other);
    shx_store_close(other_store);
    copy_free(early);
    copy_free(late);
    fixture_table_free(&table);
    shx_store_close(store);
}

static void a_foreign_uuid_is_not_ours(void **state) {
    (void)state;
    fixture_random random = fixture_seed("foreign", 8);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    commit_some(&table, &random, 100, 50);
    fixture_flush(&table);
    commit_some(&table, &random, 100, 50);
    shx_index_config other = table.config;
    other.uuid.bytes[3] = 1;
    shx_index *stranger = fixture_index_on(&other, store);
    assert_resolves(stranger, &table.tip, SHX_NOTFOUND, 0);
    shx_id theirs = {{200}}; /* it can still work there, with files of its own */
    shx_pending *pending;
    assert_ok(shx_pending_create(DIM * sizeof(float), &pending));
    shx_op op = {.kind = SHX_OP_DELETE, .rowid = 1};
    assert_ok(shx_pending_append(pending, &op, &theirs));
    assert_ok(shx_index_append(stranger, &other.genesis, &theirs, pending));
    shx_view *view;
    assert_ok(shx_index_view(stranger, &theirs, &view));
    assert_int_equal(shx_view_rows(view), 0);
    shx_view_release(view);
    shx_pending_destroy(pending);
    shx_index_destroy(stranger);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* Reading touches nothing: not even an empty directory is made. */
static void a_missing_directory(void **state) {
    (void)state;
    fixture_random random = fixture_seed("missing", 9);
    fixture_directory directory = fixture_directory_make();
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_id unknown = {{1, 1}};
    struct stat found;
    fixture_open(&table, NULL, directory.path);
    fixture_assert_same(&table);
    assert_resolves(table.index, &unknown, SHX_NOTFOUND, 0);
    shx_index_confirm(table.index, &unknown);
    assert_int_not_equal(stat(directory.path, &found), 0);
    commit_some(&table, &random, 50, 20);
    assert_int_equal(stat(directory.path, &found), 0);
    uint64_t digest = fixture_model_digest(&table);
    char moved[400];
    snprintf(moved, sizeof moved, "%s-gone", directory.path);
    assert_int_equal(rename(directory.path, moved), 0);       /* removed under a running process */
    assert_resolves(table.index, &table.tip, SHX_OK, digest); /* what is in memory stays good */
    fixture_close(&table);
    fixture_open(&table, NULL, directory.path);
    assert_resolves(table.index, &table.tip, SHX_NOTFOUND, 0);
    assert_ok(fixture_reconcile(&table, false, NULL, NULL));
    fixture_assert_same(&table);
    commit_some(&table, &random, 50, 20);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    fixture_directory_remove(&directory);
}

static void a_read_only_directory(void **state) {
    (void)state;
    fixture_random random = fixture_seed("read-only", 10);
    fixture_directory directory = fixture_directory_make();
    bool root = geteuid() == 0; /* to whom nothing is read-only: somebody else does this, where there is one */
    bool able = !root || (chown(directory.root, 65534, 65534) == 0 && seteuid(65534) == 0);
    if (!able || faccessat(AT_FDCWD, directory.root, W_OK, AT_EACCESS) != 0) {
        if (root) assert_int_equal(seteuid(0), 0);
        fixture_directory_remove(&directory);
        skip();
    }
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    fixture_open(&table, NULL, directory.path);
    commit_some(&table, &random, 50, 20);
    fixture_close(&table);
    char log[400];
    snprintf(log, sizeof log, "%s/wal-0000000000000001", directory.path);
    assert_int_equal(chmod(log, 0400), 0);
    assert_int_equal(chmod(directory.path, 0500), 0);
    fixture_open(&table, NULL, directory.path);
    fixture_assert_same(&table);
    float vector[DIM] = {0};
    shx_id before = table.tip;
    fixture_put(&table, 1, vector);
    assert_status(fixture_commit_status(&table), SHX_READONLY);
    assert_resolves(table.index, &table.tip, SHX_NOTFOUND, 0);
    shx_view *view;
    assert_ok(shx_index_view(table.index, &before, &view));
    shx_view_release(view);
    assert_int_equal(chmod(directory.path, 0700), 0);
    fixture_table_free(&table);
    fixture_directory_remove(&directory);
    if (root) assert_int_equal(seteuid(0), 0);
}

/* Files with names as ours but nothing of ours in them, with extreme ids: work goes on beside them. */
static void strange_files(void **state) {
    (void)state;
    const char *const names[] = {"wal-ffffffffffffffff",     "base-ffffffffffffffff",    "segment-ffffffffffffffff",
                                 "shards-ffffffffffffffff",  "wal-0000000000000000",     "base-0000000000000000",
                                 "segment-0000000000000000", "shards-0000000000000000",  "wal-fffffffffffffffe",
                                 "base-8000000000000000",    "shards-0000000000000001x", "notes.txt"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        fixture_random random = {n * 2 + 1};
        fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
        shx_store *store = fixture_heap();
        assert_ok(shx_store_prepare(store));
        fixture_write_file(store, names[n], (const uint8_t *)"strange", n % 2 ? 7 : 0);
        fixture_open(&table, store, NULL);
        for (int i = 0; i < 3; i++) {
            commit_some(&table, &random, 100, 50);
            fixture_flush(&table);
            fixture_assert_same(&table);
        }
        fixture_close(&table);
        fixture_open(&table, store, NULL);
        fixture_assert_same(&table);
        fixture_table_free(&table);
        shx_store_close(store);
    }
}

/* ---- records that are wrong ---- */

static shx_wal_entry write_deletion(shx_wal_writer *writer, const shx_id *commit, const shx_id *parent) {
    shx_wal_entry entry;
    shx_op op = {.kind = SHX_OP_DELETE, .rowid = 7};
    assert_ok(shx_wal_begin(writer));
    assert_ok(shx_wal_put(writer, &op));
    assert_ok(shx_wal_finish(writer, commit, parent, &entry));
    return entry;
}

/* Records whose parents go round in a circle, or nowhere: resolving ends. */
static void circles_of_parents(void **state) {
    (void)state;
    shx_store *store = fixture_heap();
    fixture_table table = fixture_table_make(SHX_L2, DIM, 1);
    shx_wal_writer *writer;
    const shx_id a = {{1, 1}}, b = {{2, 2}}, c = {{3, 3}}, self = {{4, 4}}, orphan = {{5, 5}}, nobody = {{6, 6}};
    assert_ok(shx_store_prepare(store));
    assert_ok(shx_wal_create(store, &table.config.uuid, 1, DIM * sizeof(float), &writer));
    write_deletion(writer, &a, &b);
    write_deletion(writer, &b, &c);
    write_deletion(writer, &c, &a);
    write_deletion(writer, &self, &self);
    write_deletion(writer, &orphan, &nobody);
    shx_wal_writer_close(writer);
    fixture_open(&table, store, NULL);
    const shx_id *ids[] = {&a, &b, &c, &self, &orphan, &nobody};
    for (size_t i = 0; i < 6; i++) assert_resolves(table.index, ids[i], SHX_NOTFOUND, 0);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* One id twice in the log (a record that was rebuilt): the usable one counts, whichever is older and whichever was
** listed first. */
static void two_records_of_one_id(void **state) {
    (void)state;
    for (int damaged = 1; damaged <= 2; damaged++) {
        for (int last = 1; last <= 2; last++) {
            fixture_random random = {(uint64_t)damaged};
            fixture_table table = fixture_table_make(SHX_L2, DIM, 100);
            shx_store *store = fixture_heap();
            fixture_open(&table, store, NULL);
            commit_some(&table, &random, 100, 60);
            fixture_close(&table);
            fixture_open(&table, store, NULL);
            assert_ok(fixture_reconcile(&table, true, NULL, NULL)); /* the same id, in a file of its own */
            fixture_close(&table);
            assert_int_equal(fixture_count_files(store, SHX_FILE_WAL), 2);
            uint64_t size;
            for (int i = 0; i < 2; i++) { /* what is written last stands last in the listing */
                char name[SHX_FILE_NAME_MAX];
                int which = i == 0 ? 3 - last : last;
                shx_file_name(SHX_FILE_WAL, (uint64_t)which, name);
                uint8_t *bytes = fixture_read_file(store, name, &size);
                if (which == damaged) bytes[64 + 128] ^= 1; /* the first vector */
                fixture_write_file(store, name, bytes, size);
                free(bytes);
            }
            fixture_open(&table, store, NULL);
            fixture_assert_same(&table);
            commit_some(&table, &random, 100, 10);
            fixture_assert_same(&table);
            fixture_table_free(&table);
            shx_store_close(store);
        }
    }
}

/* A base that cannot be used is passed over for an older one and the log. */
static void a_damaged_base_is_passed_over(void **state) {
    (void)state;
    fixture_random random = fixture_seed("damaged base", 12);
    for (int kind = SHX_FILE_SEGMENT; kind <= SHX_FILE_BASE; kind++) {
        fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
        shx_store *store = fixture_heap();
        fixture_open(&table, store, NULL);
        for (int i = 0; i < 2; i++) {
            commit_some(&table, &random, 200, 100);
            fixture_flush(&table);
        }
        commit_some(&table, &random, 200, 10);
        fixture_close(&table);
        fixture_names names = fixture_list(store);
        char newest[48] = "";
        for (uint64_t i = 0; i < names.count; i++) {
            shx_file_kind found;
            uint64_t id;
            if (shx_file_name_parse(names.names[i], &found, &id) && (int)found == kind) strcpy(newest, names.names[i]);
        }
        uint64_t size;
        uint8_t *bytes = fixture_read_file(store, newest, &size);
        fixture_write_file(store, newest, bytes, size / 2);
        free(bytes);
        fixture_open(&table, store, NULL);
        fixture_assert_same(&table);
        fixture_flush(&table);
        fixture_assert_same(&table);
        fixture_table_free(&table);
        shx_store_close(store);
    }
}

static void distrust_forgets_the_bases(void **state) {
    (void)state;
    fixture_random random = fixture_seed("distrust", 13);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    commit_some(&table, &random, 200, 100);
    fixture_flush(&table);
    shx_index_confirm(table.index, &table.tip);
    commit_some(&table, &random, 200, 100);
    fixture_flush(&table);
    shx_view *held = fixture_view(&table);
    shx_index_confirm(table.index, &table.tip);
    shx_index_distrust(table.index);
    shx_view *view = NULL;
    shx_status status = shx_index_view(table.index, &table.tip, &view);
    if (status == SHX_OK) { /* only if the log still reaches back to the beginning */
        assert_true(fixture_view_digest(view, DIM) == fixture_model_digest(&table));
        shx_view_release(view);
    } else {
        assert_int_equal(status, SHX_NOTFOUND);
    }
    assert_true(fixture_view_digest(held, DIM) == fixture_model_digest(&table));
    shx_view_release(held);
    assert_ok(fixture_reconcile(&table, true, NULL, NULL));
    fixture_assert_same(&table);
    fixture_flush(&table);
    commit_some(&table, &random, 200, 10);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* ---- stores that fail ---- */

/* The k-th call fails, once or from then on: what comes back is that status or a right answer, and it comes back. */
static void failing_stores(void **state) {
    (void)state;
    fixture_random random = fixture_seed("failing stores", 14);
    fixture_table table = fixture_table_make(SHX_L2, DIM, CAPACITY);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    for (int i = 0; i < 3; i++) commit_some(&table, &random, 200, 50);
    fixture_flush(&table);
    for (int i = 0; i < 3; i++) commit_some(&table, &random, 200, 50);
    uint64_t digest = fixture_model_digest(&table);
    const shx_status statuses[] = {SHX_IO, SHX_FULL, SHX_NOMEM, SHX_CORRUPT, SHX_NOTFOUND, SHX_BUSY};
    for (size_t s = 0; s < sizeof statuses / sizeof *statuses; s++) {
        for (int forever = 0; forever < 2; forever++) {
            for (uint64_t nth = 1;; nth++) {
                shx_index *index = fixture_index_on(&table.config, store);
                shx_store *faulty = index->store;
                shx_view *view = NULL;
                faulty_plan plan = {.nth = nth, .status = statuses[s], .forever = forever};
                faulty_store_plan(faulty, &plan);
                shx_status status = shx_index_view(index, &table.tip, &view);
                uint64_t failures = faulty_store_failures(faulty);
                if (status == SHX_OK) {
                    assert_true(fixture_view_digest(view, DIM) == digest);
                    shx_view_release(view);
                } else {
                    assert_true(failures > 0);
                }
                plan.nth = 0;
                faulty_store_plan(faulty, &plan);
                if (statuses[s] == SHX_IO || statuses[s] == SHX_NOMEM) {
                    assert_resolves(index, &table.tip, SHX_OK, digest); /* it was passing */
                }
                shx_index_destroy(index);
                if (failures == 0) break;
            }
        }
    }
    fixture_table_free(&table);
    shx_store_close(store);
}

/* ---- the registry ---- */

static void one_index_per_directory(void **state) {
    (void)state;
    fixture_directory directory = fixture_directory_make();
    shx_index_config config = {.directory = directory.path, .metric = SHX_L2, .dim = DIM}, other = config;
    shx_index *one, *two, *memory;
    assert_ok(shx_index_acquire(&config, &one));
    assert_ok(shx_index_acquire(&config, &two));
    assert_ptr_equal(one, two);
    other.dim = DIM + 1;
    assert_status(shx_index_acquire(&other, &two), SHX_MISUSE);
    other = config;
    other.metric = SHX_IP;
    assert_status(shx_index_acquire(&other, &two), SHX_MISUSE);
    other = config;
    other.directory = NULL;
    assert_ok(shx_index_acquire(&other, &memory));
    assert_ok(shx_index_acquire(&other, &two));
    assert_ptr_not_equal(memory, two);
    shx_index_release(memory);
    shx_index_release(two);
    shx_index_release(one);
    shx_index_release(one);
    shx_index_release(NULL);
    const uint32_t bad_dims[] = {0, 65536};
    for (int i = 0; i < 2; i++) {
        other.dim = bad_dims[i];
        assert_status(shx_index_acquire(&other, &one), SHX_MISUSE);
    }
    config.directory = "relative/path";
    assert_status(shx_index_acquire(&config, &one), SHX_MISUSE);
    fixture_directory_remove(&directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index),
        cmocka_unit_test(every_commit_resolves),
        cmocka_unit_test(dead_branches),
        cmocka_unit_test(appending_twice_is_appending_once),
        cmocka_unit_test(no_operation_no_record),
        cmocka_unit_test(processes_take_turns_in_memory),
        cmocka_unit_test(processes_take_turns_on_disk),
        cmocka_unit_test(a_writer_outlives_a_flush_elsewhere),
        cmocka_unit_test(older_copies),
        cmocka_unit_test(a_copy_takes_the_place),
        cmocka_unit_test(a_foreign_uuid_is_not_ours),
        cmocka_unit_test(a_missing_directory),
        cmocka_unit_test(a_read_only_directory),
        cmocka_unit_test(strange_files),
        cmocka_unit_test(circles_of_parents),
        cmocka_unit_test(two_records_of_one_id),
        cmocka_unit_test(a_damaged_base_is_passed_over),
        cmocka_unit_test(distrust_forgets_the_bases),
        cmocka_unit_test(failing_stores),
        cmocka_unit_test(one_index_per_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
