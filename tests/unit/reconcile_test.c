/* Reconciling: from any state of the directory, and from nothing, to exactly what the database has. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define DIM 4
static const shx_packed no_columns;

#define SLOTS 400

/* The database went on without the index: the model and the commit id have changed, the directory has not. */
static void change_behind(fixture_table *table, fixture_random *random, int operations) {
    for (int i = 0; i < operations; i++) fixture_change(table, random, SLOTS);
    table->tip = shx_pending_commit_id(table->pending, &table->tip);
    shx_pending_truncate(table->pending, 0);
}

static void commit_some(fixture_table *table, fixture_random *random, int operations) {
    for (int i = 0; i < operations; i++) fixture_change(table, random, SLOTS);
    fixture_commit(table);
}

static uint64_t hash_names(shx_store *store) {
    fixture_names names = fixture_list(store);
    uint64_t hash = names.count;
    for (uint64_t i = 0; i < names.count; i++) {
        uint64_t size;
        uint8_t *bytes = fixture_read_file(store, names.names[i], &size);
        hash = shx_hash64(bytes, size, shx_hash64(names.names[i], strlen(names.names[i]), hash));
        free(bytes);
    }
    return hash;
}

/* A private view shows the database's state, and leaves directory and index as they were. */
static void check_private(fixture_table *table, shx_store *store, uint64_t *ret_changes) {
    uint64_t before = hash_names(store);
    shx_view *view = NULL;
    assert_ok(fixture_reconcile(table, false, &view, ret_changes));
    assert_int_equal(shx_view_rows(view), table->live);
    assert_true(fixture_view_digest(view, DIM) == fixture_model_digest(table));
    shx_id commit = shx_view_commit(view);
    assert_memory_equal(&commit, &table->tip, sizeof commit);
    shx_view_release(view);
    assert_true(hash_names(store) == before);
}

static void a_private_view(void **state) {
    (void)state;
    fixture_random random = fixture_seed("private", 1);
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_store *store = fixture_heap();
    uint64_t changes;
    fixture_open(&table, store, NULL);
    change_behind(&table, &random, 50); /* there is no directory yet */
    check_private(&table, store, &changes);
    assert_int_equal(changes, table.live);
    assert_ok(fixture_reconcile(&table, false, NULL, NULL));
    fixture_flush(&table);
    change_behind(&table, &random, 7);
    check_private(&table, store, &changes);
    assert_true(changes > 0 && changes <= 7);
    shx_view *view = NULL;
    assert_status(shx_index_view(table.index, &table.tip, &view), SHX_NOTFOUND); /* it was private */
    fixture_table_free(&table);
    shx_store_close(store);
}

/* The row at hand differs in its columns only, in nothing, or is gone: as few changes as that are counted. */
static void only_differences_are_asked_for(void **state) {
    (void)state;
    fixture_random random = fixture_seed("differences", 2);
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_store *store = fixture_heap();
    uint64_t changes;
    float vector[DIM] = {1, 2, 3, 4};
    fixture_open(&table, store, NULL);
    for (uint64_t slot = 0; slot < 100; slot++) fixture_put(&table, slot, vector);
    fixture_commit(&table);
    fixture_flush(&table);
    table.columns[5] = 999999;
    table.tip.bytes[0] ^= 1;
    check_private(&table, store, &changes);
    assert_int_equal(changes, 1);
    table.alive[99] = table.alive[0] = 0;
    table.live -= 2;
    check_private(&table, store, &changes);
    assert_int_equal(changes, 3);
    memset(table.alive, 0, SLOTS);
    table.live = 0;
    check_private(&table, store, &changes);
    assert_int_equal(changes, 100);
    assert_ok(fixture_reconcile(&table, false, NULL, NULL));
    fixture_assert_same(&table);
    (void)random;
    fixture_table_free(&table);
    shx_store_close(store);
}

static void from_nothing(void **state) {
    (void)state;
    fixture_random random = fixture_seed("from nothing", 3);
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_store *store = fixture_heap();
    uint64_t changes;
    fixture_open(&table, store, NULL);
    for (int i = 0; i < 3; i++) {
        commit_some(&table, &random, 100);
        fixture_flush(&table);
    }
    for (int i = 0; i < 2; i++) { /* twice for the same commit, which resolves anyway */
        assert_ok(fixture_reconcile(&table, true, NULL, &changes));
        assert_int_equal(changes, table.live);
        fixture_assert_same(&table);
    }
    fixture_optimize(&table);
    fixture_assert_same(&table);
    shx_index_confirm(table.index, &table.tip);
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    fixture_assert_same(&table);
    commit_some(&table, &random, 10);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* An empty table, rebuilt: nothing to say, and nothing to break. */
static void nothing_from_nothing(void **state) {
    (void)state;
    fixture_random random = fixture_seed("nothing", 4);
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_store *store = fixture_heap();
    fixture_open(&table, store, NULL);
    assert_ok(fixture_reconcile(&table, true, NULL, NULL));
    fixture_assert_same(&table);
    assert_ok(fixture_reconcile(&table, false, NULL, NULL));
    fixture_assert_same(&table);
    commit_some(&table, &random, 10);
    assert_ok(fixture_reconcile(&table, false, NULL, NULL)); /* nothing differs, and the commit is its own start */
    fixture_flush(&table);
    assert_ok(fixture_reconcile(&table, false, NULL, NULL));
    fixture_assert_same(&table);
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* The newest base turns out to be damaged while it is compared with: the older one takes its place, with the log
** between them, and the private view must not mix the two. */
static void the_newest_base_is_damaged(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        fixture_random random = {seed};
        fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
        shx_store *store = fixture_heap();
        fixture_open(&table, store, NULL);
        for (int i = 0; i < 2; i++) {
            commit_some(&table, &random, 60);
            fixture_flush(&table);
        }
        fixture_close(&table);
        fixture_names names = fixture_list(store);
        for (uint64_t i = names.count; i-- > 0;) {
            if (strncmp(names.names[i], "segment-", 8) != 0) continue;
            fixture_write_file(store, names.names[i], (const uint8_t *)"damage", 6); /* of the newest base only */
            break;
        }
        change_behind(&table, &random, 5);
        fixture_open(&table, store, NULL);
        check_private(&table, store, &(uint64_t){0});
        fixture_close(&table);
        fixture_open(&table, store, NULL);
        assert_ok(fixture_reconcile(&table, false, NULL, NULL));
        fixture_assert_same(&table);
        fixture_table_free(&table);
        shx_store_close(store);
    }
}

static void misuse_is_said(void **state) {
    (void)state;
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_reconcile *reconcile;
    shx_view *view = NULL;
    shx_id commit = {{5}};
    float vector[DIM] = {0};
    bool wanted;
    fixture_open(&table, NULL, NULL);
    assert_ok(shx_reconcile_open(table.index, false, false, NULL, &reconcile));
    assert_status(shx_reconcile_content(reconcile, vector, &no_columns), SHX_MISUSE);
    assert_ok(shx_reconcile_row(reconcile, 1, 2, 3, &wanted));
    assert_true(wanted);
    assert_status(shx_reconcile_row(reconcile, 2, 2, 3, &wanted), SHX_MISUSE);
    assert_status(shx_reconcile_view(reconcile, &commit, &view), SHX_MISUSE);
    assert_ok(shx_reconcile_content(reconcile, vector, &no_columns));
    assert_status(shx_reconcile_publish(reconcile, &commit), SHX_MISUSE);
    assert_ok(shx_reconcile_view(reconcile, &commit, &view));
    assert_int_equal(shx_view_rows(view), 1);
    shx_view_release(view);
    shx_reconcile_close(reconcile);
    shx_reconcile_close(NULL);
    fixture_table_free(&table);
}

/* A vector that is not what the database's fingerprint says still makes a readable record. */
static void a_vector_that_contradicts_its_hash(void **state) {
    (void)state;
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_store *store = fixture_heap();
    shx_reconcile *reconcile;
    float vector[DIM] = {4, 3, 2, 1};
    bool wanted;
    fixture_open(&table, store, NULL);
    table.tip.bytes[5] = 5;
    assert_ok(shx_reconcile_open(table.index, false, true, NULL, &reconcile));
    assert_ok(shx_reconcile_row(reconcile, 1, 12345, 3, &wanted));
    assert_ok(shx_reconcile_content(reconcile, vector, &no_columns));
    assert_ok(shx_reconcile_publish(reconcile, &table.tip));
    shx_reconcile_close(reconcile);
    shx_view *view = fixture_view(&table);
    assert_int_equal(shx_view_rows(view), 1);
    shx_view_release(view);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* An unfinished durable reconcile leaves a file that nobody takes for a record, and others go on meanwhile. */
static void an_unfinished_one_is_harmless(void **state) {
    (void)state;
    fixture_random random = fixture_seed("unfinished", 5);
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_store *store = fixture_heap();
    shx_reconcile *reconcile;
    float vector[DIM] = {4, 3, 2, 1};
    bool wanted;
    fixture_open(&table, store, NULL);
    commit_some(&table, &random, 100);
    shx_reconcile_part_at(1); /* a record of it is there when it ends */
    assert_ok(shx_reconcile_open(table.index, true, true, NULL, &reconcile));
    assert_ok(shx_reconcile_row(reconcile, 1, 2, 3, &wanted));
    assert_ok(shx_reconcile_content(reconcile, vector, &no_columns));
    commit_some(&table, &random, 100);
    shx_index *own = table.index, *other = fixture_index_on(&table.config, store);
    table.index = other;
    fixture_assert_same(&table);
    shx_index_destroy(other);
    table.index = own;
    shx_reconcile_close(reconcile);
    shx_reconcile_part_at(0);
    fixture_assert_same(&table);
    fixture_flush(&table);
    commit_some(&table, &random, 10);
    fixture_close(&table);
    fixture_open(&table, store, NULL);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    shx_store_close(store);
}

/* Commits, commits behind the index's back, flushes, reopenings and reconciles, some in many records, in any order:
** always what the model says. */
static void random_differential(void **state) {
    (void)state;
    fixture_random random = fixture_seed("reconcile differential", 6);
    for (int life = 0; life < 12; life++) {
        fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
        shx_store *store = fixture_heap();
        bool behind = false;
        shx_reconcile_part_at(life % 3 == 0 ? 0 : 1 + fixture_below(&random, 40));
        fixture_open(&table, store, NULL);
        for (int step = 0; step < 40; step++) {
            switch (fixture_below(&random, 7)) {
            case 0:
            case 1:
                if (!behind) commit_some(&table, &random, 1 + (int)fixture_below(&random, 30));
                break;
            case 2:
                change_behind(&table, &random, 1 + (int)fixture_below(&random, 30));
                behind = true;
                break;
            case 3:
                if (!behind) fixture_flush(&table);
                break;
            case 4:
                fixture_close(&table);
                fixture_open(&table, store, NULL);
                break;
            case 5: check_private(&table, store, &(uint64_t){0}); break;
            default:
                assert_ok(fixture_reconcile(&table, fixture_below(&random, 4) == 0, NULL, NULL));
                behind = false;
                break;
            }
            if (!behind) {
                fixture_assert_same(&table);
                if (step % 5 == 0) shx_index_confirm(table.index, &table.tip);
            }
        }
        fixture_table_free(&table);
        shx_store_close(store);
    }
    shx_reconcile_part_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_private_view),
        cmocka_unit_test(only_differences_are_asked_for),
        cmocka_unit_test(from_nothing),
        cmocka_unit_test(nothing_from_nothing),
        cmocka_unit_test(the_newest_base_is_damaged),
        cmocka_unit_test(misuse_is_said),
        cmocka_unit_test(a_vector_that_contradicts_its_hash),
        cmocka_unit_test(an_unfinished_one_is_harmless),
        cmocka_unit_test(random_differential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
