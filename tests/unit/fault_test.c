/* Every call to the store fails in turn, once or from then on, whole or torn, during every piece of work that writes.
** After that a new process with a store that works opens the directory, as after a crash: what was committed before is
** there and right, and later work succeeds. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define DIM 4
#define SLOTS 120

typedef enum work {
    WORK_APPEND,
    WORK_APPEND_LARGE,
    WORK_FLUSH,
    WORK_OPTIMIZE,
    WORK_CONFIRM,
    WORK_RECONCILE,
    WORK_REBUILD,
    WORKS
} work;

static const char *const work_names[] = {"append",  "large append", "flush",  "optimize",
                                         "confirm", "reconcile",    "rebuild"};

static void change(fixture_table *table, fixture_random *random, int operations) {
    for (int i = 0; i < operations; i++) fixture_change(table, random, SLOTS);
}

/* A history with two bases and records beyond the last one. */
static void prepare(fixture_table *table, fixture_random *random, shx_store *store) {
    fixture_open(table, store, NULL);
    for (int round = 0; round < 2; round++) {
        change(table, random, 80);
        fixture_commit(table);
        fixture_flush(table);
        change(table, random, 20);
        fixture_commit(table);
        shx_index_confirm(table->index, &table->tip);
    }
}

static shx_status perform(fixture_table *table, fixture_random *random, work what) {
    switch (what) {
    case WORK_APPEND: change(table, random, 10); return fixture_commit_status(table);
    case WORK_APPEND_LARGE: change(table, random, 12000); return fixture_commit_status(table);
    case WORK_FLUSH: return shx_maintain_flush(table->index, &table->tip, NULL, NULL);
    case WORK_OPTIMIZE: return shx_maintain_optimize(table->index, &table->tip, NULL, NULL);
    case WORK_CONFIRM: shx_index_confirm(table->index, &table->tip); return SHX_OK;
    case WORK_RECONCILE: return fixture_reconcile(table, false, NULL, NULL);
    default: return fixture_reconcile(table, true, NULL, NULL);
    }
}

/* The new process. When the last commit was appended, it must resolve; else it resolves or the database is asked. */
static void recover(fixture_table *table, fixture_random *random, shx_store *store, bool appended) {
    shx_view *view = NULL;
    fixture_close(table);
    fixture_open(table, store, NULL);
    shx_status status = shx_index_view(table->index, &table->tip, &view);
    if (status == SHX_OK) {
        shx_view_release(view);
        fixture_assert_same(table);
    } else {
        assert_false(appended);
        assert_int_equal(status, SHX_NOTFOUND);
        assert_ok(fixture_reconcile(table, false, &view, NULL));
        assert_true(fixture_view_digest(view, DIM) == fixture_model_digest(table));
        shx_view_release(view);
        assert_ok(fixture_reconcile(table, false, NULL, NULL));
        fixture_assert_same(table);
    }
    for (int round = 0; round < 2; round++) {
        change(table, random, 20);
        fixture_commit(table);
        fixture_flush(table);
        shx_index_confirm(table->index, &table->tip);
        fixture_assert_same(table);
    }
    assert_true(fixture_count_files(store, SHX_FILE_BASE) <= 2); /* nothing is left of what failed */
    assert_true(fixture_count_files(store, SHX_FILE_SHARDS) <= 2);
}

/* Answers of the process that met the fault stay right too, once the store works again. */
static void go_on_in_place(fixture_table *table, bool appended) {
    shx_view *view = NULL;
    shx_status status = shx_index_view(table->index, &table->tip, &view);
    if (status == SHX_OK) {
        assert_true(fixture_view_digest(view, DIM) == fixture_model_digest(table));
        shx_view_release(view);
    } else {
        assert_false(appended);
    }
}

static bool fail_nth(work what, faulty_plan plan, uint64_t seed) {
    fixture_random random = {seed};
    fixture_table table = fixture_table_make(SHX_L2, DIM, SLOTS);
    shx_store *store = fixture_heap();
    prepare(&table, &random, store);
    bool behind = what == WORK_RECONCILE;
    if (behind) { /* the database went on without the index */
        change(&table, &random, 10);
        table.tip = shx_pending_commit_id(table.pending, &table.tip);
        shx_pending_truncate(table.pending, 0);
    }
    if (what == WORK_CONFIRM) fixture_optimize(&table);
    if (plan.nth % 2) { /* in a process that must look at everything first */
        fixture_close(&table);
        fixture_open(&table, store, NULL);
        if (what == WORK_CONFIRM) table.index->collect_due = true;
    }
    faulty_store_plan(table.index->store, &plan);
    shx_status status = perform(&table, &random, what);
    bool failed = faulty_store_failures(table.index->store) > 0;
    faulty_store_plan(table.index->store, &(faulty_plan){.nth = 0});
    if (!failed) assert_ok(status);
    bool appended = (what != WORK_APPEND && what != WORK_APPEND_LARGE && !behind) || status == SHX_OK;
    go_on_in_place(&table, appended && plan.status != SHX_CORRUPT && plan.status != SHX_NOTFOUND);
    recover(&table, &random, store, appended);
    fixture_table_free(&table);
    shx_store_close(store);
    return failed;
}

static void fail_each(work what) {
    const shx_status statuses[] = {SHX_FULL, SHX_IO, SHX_READONLY, SHX_CORRUPT, SHX_NOTFOUND, SHX_BUSY};
    fixture_random random = fixture_seed(work_names[what], 1000 + (uint64_t)what);
    uint64_t runs = 0;
    for (int forever = 0; forever < 2; forever++) {
        for (int mutating = 0; mutating < 2; mutating++) {
            bool failed = true;
            for (uint64_t nth = 1, unharmed = 0; unharmed < 2; nth++, runs++) { /* odd and even runs differ in length */
                faulty_plan plan = {.kind = mutating ? FAULTY_MUTATING : FAULTY_ANY,
                                    .nth = nth,
                                    .status = statuses[fixture_below(&random, mutating ? 3 : 6)],
                                    .forever = forever,
                                    .torn = fixture_below(&random, 2)};
                failed = fail_nth(what, plan, fixture_next(&random));
                unharmed = failed ? 0 : unharmed + 1;
            }
        }
    }
    assert_true(runs > 10);
}

static void append(void **state) {
    (void)state;
    fail_each(WORK_APPEND);
}

static void append_large(void **state) {
    (void)state;
    fail_each(WORK_APPEND_LARGE);
}

static void flush(void **state) {
    (void)state;
    fail_each(WORK_FLUSH);
}

static void optimize(void **state) {
    (void)state;
    fail_each(WORK_OPTIMIZE);
}

static void confirm(void **state) {
    (void)state;
    fail_each(WORK_CONFIRM);
}

static void reconcile(void **state) {
    (void)state;
    fail_each(WORK_RECONCILE);
}

static void rebuild(void **state) {
    (void)state;
    fail_each(WORK_REBUILD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append),   cmocka_unit_test(append_large), cmocka_unit_test(flush),
        cmocka_unit_test(optimize), cmocka_unit_test(confirm),      cmocka_unit_test(reconcile),
        cmocka_unit_test(rebuild),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
