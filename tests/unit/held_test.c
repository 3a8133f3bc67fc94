/* Views that connections keep from query to query: the same one while the commit stays, none that was superseded. */
#include "fixture.h"

#include "held.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define DIM 4
#define ROWS 300

static void put_some(fixture_table *table, fixture_random *random, int count) {
    for (int i = 0; i < count; i++) {
        float vector[DIM];
        for (int d = 0; d < DIM; d++) vector[d] = (float)fixture_gauss(random);
        fixture_put(table, fixture_below(random, ROWS), vector);
    }
    fixture_commit(table);
}

static fixture_table make_table(fixture_random *random) {
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    fixture_open(&table, NULL, NULL);
    put_some(&table, random, 100);
    return table;
}

static shx_view *take(shx_held *held, const shx_id *commit) {
    shx_view *view = NULL;
    assert_ok(shx_held_view(held, commit, NULL, &view));
    shx_id found = shx_view_commit(view);
    assert_memory_equal(&found, commit, sizeof found);
    return view;
}

/* Neither an allocation nor the index's mutex: it is locked meanwhile. */
static void a_commit_that_stays_costs_nothing(void **state) {
    (void)state;
    fixture_random random = fixture_seed("held: stays", 1);
    fixture_table table = make_table(&random);
    shx_held held = {0};
    shx_held_open(&held, table.index);
    shx_view *first = take(&held, &table.tip);
    shx_held_return(&held, first);
    pthread_mutex_lock(&table.index->mutex);
    uint64_t before = fixture_allocations();
    for (int i = 0; i < 10; i++) {
        shx_view *view = take(&held, &table.tip);
        assert_ptr_equal(view, first);
        assert_int_equal(atomic_load(&view->references), 1);
        shx_held_return(&held, view);
    }
    assert_int_equal(fixture_allocations(), before);
    pthread_mutex_unlock(&table.index->mutex);
    shx_held_close(&held);
    fixture_table_free(&table);
}

static void another_commit_is_another_view(void **state) {
    (void)state;
    fixture_random random = fixture_seed("held: another", 2);
    fixture_table table = make_table(&random);
    shx_held held = {0};
    shx_held_open(&held, table.index);
    shx_id before = table.tip, unknown = {{1}};
    shx_held_return(&held, take(&held, &before));
    put_some(&table, &random, 5);
    shx_held_return(&held, take(&held, &table.tip));
    shx_held_return(&held, take(&held, &before));
    shx_view *none = NULL;
    assert_status(shx_held_view(&held, &unknown, NULL, &none), SHX_NOTFOUND);
    assert_null(none);
    shx_view *view = take(&held, &table.tip), *again = take(&held, &table.tip); /* two at once */
    assert_ptr_not_equal(view, again);
    shx_held_return(&held, view);
    shx_held_return(&held, again);
    shx_held_return(&held, NULL);
    assert_ptr_equal(atomic_load(&held.view), again);
    shx_held_close(&held);
    fixture_table_free(&table);
}

/* Kept or in use while it happens: neither is there afterwards. */
static void what_is_superseded_is_let_go(void **state) {
    (void)state;
    fixture_random random = fixture_seed("held: superseded", 3);
    fixture_table table = make_table(&random);
    shx_held idle = {0}, busy = {0};
    shx_held_open(&idle, table.index);
    shx_held_open(&busy, table.index);
    shx_held_return(&idle, take(&idle, &table.tip));
    shx_view *used = take(&busy, &table.tip);
    assert_non_null(atomic_load(&idle.view));
    fixture_flush(&table); /* publishes a base */
    assert_null(atomic_load(&idle.view));
    assert_int_equal(used->delta->base->info.generation, 0);
    shx_held_return(&busy, used);
    assert_null(atomic_load(&busy.view));
    shx_view *fresh = take(&busy, &table.tip);
    assert_true(fresh->delta->base->info.generation > 0);
    shx_held_return(&busy, fresh);
    assert_ptr_equal(atomic_load(&busy.view), fresh);
    shx_index_distrust(table.index);
    assert_null(atomic_load(&busy.view));
    shx_held_close(&idle);
    shx_held_close(&busy);
    fixture_table_free(&table);
}

#define THREADS 3

typedef struct query_thread {
    pthread_t thread;
    shx_index *index;
    shx_id commit;
    uint64_t rows;
    atomic_bool *stop;
    unsigned long queries, wrong;
} query_thread;

static void *query_main(void *context) {
    query_thread *self = context;
    shx_held held = {0};
    shx_held_open(&held, self->index);
    while (!atomic_load(self->stop) || self->queries < 100) {
        shx_view *view = NULL;
        shx_status status = shx_held_view(&held, &self->commit, NULL, &view);
        self->wrong += status != SHX_OK || shx_view_rows(view) != self->rows;
        shx_held_return(&held, view);
        self->queries++;
    }
    shx_held_close(&held);
    return NULL;
}

/* Connections come, query and go while bases are published under them. */
static void threads_and_a_publisher(void **state) {
    (void)state;
    fixture_random random = fixture_seed("held: threads", 4);
    fixture_table table = make_table(&random);
    atomic_bool stop = false;
    query_thread threads[THREADS];
    for (int t = 0; t < THREADS; t++) {
        threads[t] = (query_thread){.index = table.index, .commit = table.tip, .rows = table.live, .stop = &stop};
        assert_int_equal(pthread_create(&threads[t].thread, NULL, query_main, &threads[t]), 0);
    }
    for (int round = 0; round < 200; round++) shx_index_adopt(table.index);
    atomic_store(&stop, true);
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_join(threads[t].thread, NULL), 0);
        assert_int_equal(threads[t].wrong, 0);
    }
    assert_null(table.index->held);
    fixture_table_free(&table);
}

static int count_allocations(void **state) {
    (void)state;
    fixture_count_allocations();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_that_stays_costs_nothing),
        cmocka_unit_test(another_commit_is_another_view),
        cmocka_unit_test(what_is_superseded_is_let_go),
        cmocka_unit_test(threads_and_a_publisher),
    };
    return cmocka_run_group_tests(tests, count_allocations, NULL);
}
