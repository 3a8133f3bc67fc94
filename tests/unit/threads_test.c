/* Long searches on several threads, and what a search may cost besides: the same answers on any number of threads, and
** no allocation once a scratch has served a query of its kind. And that no thread of ours takes the host's signals. */
#include "fixture.h"

#include "limits.h"
#include "pool.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 45000
#define DIM 20
#define QUERIES 12

typedef struct threads_state {
    fixture_table table;
    float *vectors;
    const float *queries;
    shx_view *view;
} threads_state;

static int set_up(void **ret_state) {
    static threads_state state;
    fixture_random random = fixture_seed("threads", 1);
    state.table = fixture_table_make(SHX_L2, DIM, ROWS);
    state.table.config.threads = 3;
    state.vectors = fixture_clustered(&random, ROWS + QUERIES, DIM, 40);
    state.queries = state.vectors + ROWS * DIM;
    fixture_open(&state.table, NULL, NULL);
    fixture_put_many(&state.table, 0, ROWS, state.vectors);
    fixture_commit(&state.table);
    fixture_flush(&state.table);
    for (uint64_t slot = 0; slot < ROWS; slot += 31) fixture_delete(&state.table, slot);
    fixture_commit(&state.table);
    state.view = fixture_view(&state.table);
    *ret_state = &state;
    return 0;
}

static int tear_down(void **state) {
    threads_state *threads = *state;
    shx_view_release(threads->view);
    free(threads->vectors);
    fixture_table_free(&threads->table);
    return 0;
}

static int accept_third(void *context, int64_t rowid) {
    (void)context;
    return rowid % 3 == 0;
}

/* Kinds of searches. */
static const shx_search_params KINDS[] = {
    {.k = 10, .exact = true},
    {.k = 700, .exact = true},
    {.k = 20000, .exact = true},
    {.k = 10, .recall = 1},
    {.k = 3000, .recall = 0.99},
    {.k = 10, .recall = 0.95},
    {.k = 50000, .recall = 0.9},
    {.k = 200, .exact = true, .accept = accept_third},
    {.k = 2000, .recall = 1, .accept = accept_third},
};

enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static void any_number_of_threads_gives_the_same_answers(void **state) {
    threads_state *threads = *state;
    shx_search_scratch *alone, *together;
    shx_topk expected = {0}, hits = {0};
    uint64_t longest = 0;
    assert_int_equal(shx_pool_threads(shx_index_pool(threads->table.index)), 3);
    assert_ok(shx_search_scratch_create(&alone));
    assert_ok(shx_search_scratch_create(&together));
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        for (int q = 0; q < QUERIES; q++) {
            shx_search_params params = KINDS[kind];
            params.query = threads->queries + q * DIM;
            assert_ok(shx_search(threads->view, &params, alone, &expected));
            params.index = threads->table.index;
            assert_ok(shx_search(threads->view, &params, together, &hits));
            fixture_assert_hits_equal(&hits, &expected);
            shx_search_work work = shx_search_last_work(together), work_alone = shx_search_last_work(alone);
            assert_int_equal(work.rows, work_alone.rows);
            assert_int_equal(work.refined, work_alone.refined);
            assert_int_equal(work.verified, work_alone.verified);
            if (work.rows > longest) longest = work.rows;
        }
    }
    assert_true(longest >= ROWS); /* or threads had nothing to do */
    shx_search_scratch_destroy(alone);
    shx_search_scratch_destroy(together);
    shx_topk_free(&expected);
    shx_topk_free(&hits);
}

static void the_true_neighbours_on_threads(void **state) {
    threads_state *threads = *state;
    shx_search_scratch *scratch;
    shx_topk expected = {0}, hits = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    for (uint64_t k = 10; k <= 10000; k *= 10) {
        for (int q = 0; q < 3; q++) {
            shx_search_params params = {.k = k, .exact = true, .index = threads->table.index};
            params.query = threads->queries + q * DIM;
            assert_ok(shx_search(threads->view, &params, scratch, &hits));
            fixture_brute_force(&threads->table, params.query, k, &expected);
            fixture_assert_hits_equal(&hits, &expected);
        }
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&expected);
    shx_topk_free(&hits);
}

static void a_query_like_an_earlier_one_allocates_nothing(void **state) {
    threads_state *threads = *state;
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    uint64_t counted[2] = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    for (int pass = 0; pass < 2; pass++) {
        uint64_t before = fixture_allocations();
        for (int i = 0; i < KIND_COUNT * QUERIES; i++) {
            shx_search_params params = KINDS[i / QUERIES];
            params.query = threads->queries + i % QUERIES * DIM;
            assert_ok(shx_search(threads->view, &params, scratch, &hits));
        }
        counted[pass] = fixture_allocations() - before;
    }
    assert_true(counted[0] > 0); /* the counter counts */
    assert_int_equal(counted[1], 0);
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
}

/* The masks of this process's threads, as the kernel tells them: how many of them do not block `signal_number`. */
static unsigned count_receivers(int signal_number, unsigned *ret_threads) {
    unsigned receivers = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    *ret_threads = 0;
    for (struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        char path[300], line[200];
        unsigned long long blocked = 0;
        if (task->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        if (!status) continue; /* it has ended */
        while (fgets(line, sizeof line, status) && sscanf(line, "SigBlk: %llx", &blocked) != 1) {
        }
        fclose(status);
        receivers += !(blocked >> (signal_number - 1) & 1);
        ++*ret_threads;
    }
    closedir(tasks);
    return receivers;
}

/* The keeper's thread stays until its index is released, those of a pool as long as the pool. */
static void our_threads_take_no_signals(void **state) {
    const threads_state *threads = *state;
    fixture_table table = fixture_table_make(SHX_L2, DIM, SHX_ROUTED_ROWS);
    unsigned before, with_keeper;
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL); /* whoever started this process may have blocked them */
    assert_non_null(shx_index_pool(threads->table.index));
    assert_int_equal(count_receivers(SIGALRM, &before), 1);
    fixture_put_many(&table, 0, SHX_ROUTED_ROWS, threads->vectors);
    assert_ok(shx_index_acquire(&table.config, &table.index));
    fixture_commit(&table);
    shx_index_committed(table.index, &table.tip);            /* which calls for the first shards */
    while (fixture_stats(&table).shards == 0) sched_yield(); /* a thread that just starts blocks all for a moment */
    assert_int_equal(count_receivers(SIGALRM, &with_keeper), 1);
    assert_true(before >= 3 && with_keeper > before);
    shx_index_release(table.index);
    table.index = NULL;
    fixture_table_free(&table);
}

typedef struct threads_figures {
    fixture_table *table;
    shx_view *view; /* of the empty table */
    atomic_bool ended;
    uint64_t rows;
} threads_figures;

static void *look_at_figures(void *context) {
    threads_figures *figures = context;
    while (!atomic_load(&figures->ended)) {
        shx_index_stats stats;
        shx_index_stats_get(figures->table->index, figures->view, &stats);
        figures->rows += stats.rows + stats.delta_rows;
    }
    return NULL;
}

/* A view shares its delta with those of later commits, which are added to it: ThreadSanitizer sees who reads it how. */
static void figures_while_others_commit(void **state) {
    const threads_state *threads = *state;
    fixture_table table = fixture_table_make(SHX_L2, DIM, 200);
    fixture_open(&table, NULL, NULL);
    threads_figures figures = {.table = &table, .view = fixture_view(&table)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, look_at_figures, &figures), 0);
    for (uint64_t slot = 0; slot < 200; slot++) {
        fixture_put(&table, slot, threads->vectors + slot * DIM);
        fixture_commit(&table);
    }
    atomic_store(&figures.ended, true);
    pthread_join(thread, NULL);
    assert_int_equal(figures.rows, 0);
    fixture_assert_same(&table);
    shx_view_release(figures.view);
    fixture_table_free(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads_gives_the_same_answers),
        cmocka_unit_test(the_true_neighbours_on_threads),
        cmocka_unit_test(a_query_like_an_earlier_one_allocates_nothing),
        cmocka_unit_test(our_threads_take_no_signals),
        cmocka_unit_test(figures_while_others_commit),
    };
    fixture_count_allocations();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
