/* Progress: what it tells, and that long work asks often enough whether to go on. How often is counted, not timed: the
** kernels are wrapped so that each adds up its multiplications, and no more than WORK_MAX of them may lie between two
** questions. A slow core does a thousand million a second, so WORK_MAX is some 20 of the 50 milliseconds within which
** an interruption has to be answered. */
#include "fixture.h"

#include "cluster.h"
#include "columns.h"
#include "export.h"
#include "kernels.h"
#include "limits.h"
#include "random.h"
#include "reconcile.h"
#include "routing.h"
#include "segment.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WORK_MAX 20000000

static shx_kernels real;
static _Thread_local uint64_t work; /* of this thread since it was asked last */

static double count_l2_squared(const float *a, const float *b, size_t dim) {
    work += dim;
    return real.l2_squared(a, b, dim);
}

static double count_dot(const float *a, const float *b, size_t dim) {
    work += dim;
    return real.dot(a, b, dim);
}

static double count_l2_squared_scaled(const float *a, double scale_a, const float *b, double scale_b, size_t dim) {
    work += dim;
    return real.l2_squared_scaled(a, scale_a, b, scale_b, dim);
}

static float count_near_l2(const float *a, const float *b, size_t dim) {
    work += dim;
    return real.near_l2(a, b, dim);
}

static float count_near_dot(const float *a, const float *b, size_t dim, float *ret_norm2) {
    work += dim;
    return real.near_dot(a, b, dim, ret_norm2);
}

static float count_code_l2_squared(const float *a, const float *b, size_t dim) {
    work += dim;
    return real.code_l2_squared(a, b, dim);
}

static uint32_t count_scan_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                                 const shx_bound *bound, float ret_ip[32]) {
    work += 8 * dim;
    return real.scan_block(block, lut, dim, scale, bound, ret_ip);
}

static void count_bound_block(const uint8_t *block, const uint8_t *lut, size_t dim, const shx_factor_scale *scale,
                              const shx_bound *bound, float ret_bounds[32]) {
    work += 8 * dim;
    real.bound_block(block, lut, dim, scale, bound, ret_bounds);
}

static void count_dot_panel(const float *const *row, size_t rows, const float *panel, size_t dim, float *ret) {
    work += rows * 16 * dim;
    real.dot_panel(row, rows, panel, dim, ret);
}

static void count_score_panel(const uint8_t *const *row, const float *steps, size_t rows, const shx_byte_panel *panel,
                              size_t dim, float *ret, size_t stride) {
    work += rows * 16 * dim;
    real.score_panel(row, steps, rows, panel, dim, ret, stride);
}

static void count_rotate_round(float *point, size_t dim, size_t first, size_t size, const uint64_t *signs) {
    work += 10 * dim;
    real.rotate_round(point, dim, first, size, signs);
}

static shx_code_sums count_scan_code(const float *point, const float *centroid, size_t dim, uint8_t *ret_bits) {
    work += 3 * dim;
    return real.scan_code(point, centroid, dim, ret_bits);
}

static shx_code_sums count_refine_code(const float *point, const float *centroid, size_t dim, double per_step,
                                       uint8_t *ret_refine) {
    work += 4 * dim;
    return real.refine_code(point, centroid, dim, per_step, ret_refine);
}

static int count_start(void **state) {
    (void)state;
    static shx_kernels counting;
    real = *shx_kernels_get();
    counting = real;
    counting.l2_squared = count_l2_squared;
    counting.dot = count_dot;
    counting.l2_squared_scaled = count_l2_squared_scaled;
    counting.near_l2 = count_near_l2;
    counting.near_dot = count_near_dot;
    counting.code_l2_squared = count_code_l2_squared;
    counting.scan_block = count_scan_block;
    counting.bound_block = count_bound_block;
    counting.dot_panel = count_dot_panel;
    counting.score_panel = count_score_panel;
    counting.rotate_round = count_rotate_round;
    counting.scan_code = count_scan_code;
    counting.refine_code = count_refine_code;
    shx_kernels_use(&counting);
    return 0;
}

static int count_end(void **state) {
    (void)state;
    shx_kernels_use(NULL);
    return 0;
}

/* What a run was asked, and what the progress said meanwhile. */
typedef struct watch {
    shx_index *index;
    uint64_t asked, total, longest;
    bool seen[SHX_PHASE_CALIBRATING + 1];
    bool wrong; /* figures that do not fit together */
} watch;

static bool watch_ask(void *context) {
    watch *watching = context;
    watching->asked++;
    watching->total += work;
    if (work > watching->longest) watching->longest = work;
    work = 0;
    if (!watching->index) return false;
    int phase = atomic_load(&watching->index->progress.phase);
    shx_progress_figures figures = shx_index_progress(watching->index);
    watching->seen[phase] = true;
    watching->wrong |= figures.done > figures.total || figures.remaining < 0 || (phase != 0) != (figures.phase != NULL);
    return false;
}

static void watch_judge(const char *what, const watch *watching, uint64_t work_least) {
    print_message("%s: asked %llu times, %llu of %llu multiplications at most between two\n", what,
                  (unsigned long long)watching->asked, (unsigned long long)watching->longest,
                  (unsigned long long)watching->total);
    assert_true(watching->total >= work_least); /* else the run proves nothing */
    assert_true(watching->longest <= WORK_MAX);
    assert_false(watching->wrong);
}

enum { DIM = 64, ROWS = 22000, MORE = 6000, SAME = 15000 };

static void maintenance_asks(void **state) {
    (void)state;
    fixture_random random = fixture_seed("maintenance asks", 71);
    fixture_table table = fixture_table_make(SHX_COSINE, DIM, ROWS + MORE);
    float *vectors = fixture_clustered(&random, ROWS + MORE, DIM, 40);
    table.config.threads = 1; /* the thread that is asked does all of the work */
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS, vectors);
    fixture_commit(&table);
    watch build = {.index = table.index}, flush = {.index = table.index};
    assert_ok(shx_maintain_optimize(table.index, &table.tip, watch_ask, &build));
    watch_judge("first build", &build, 10 * (uint64_t)WORK_MAX);
    for (int phase = SHX_PHASE_COLLECTING; phase <= SHX_PHASE_CALIBRATING; phase++) {
        assert_true(build.seen[phase] == (phase != SHX_PHASE_SPLITTING));
    }
    /* Many rows in few places, half of them the same: shards burst. */
    for (uint64_t i = 0; i < MORE; i++) {
        uint64_t like = i % 2 ? 0 : fixture_below(&random, 64);
        fixture_put(&table, ROWS + i, vectors + like * DIM);
    }
    fixture_commit(&table);
    assert_ok(shx_maintain_flush(table.index, &table.tip, watch_ask, &flush));
    watch_judge("flush", &flush, WORK_MAX);
    assert_true(flush.seen[SHX_PHASE_SPLITTING] && flush.seen[SHX_PHASE_WRITING]);
    assert_null(shx_index_progress(table.index).phase);
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
}

/* Nothing but copies of one vector: one shard, which no splitting can make smaller. */
static void identical_vectors_ask(void **state) {
    (void)state;
    fixture_table table = fixture_table_make(SHX_L2, DIM, SAME);
    float vector[DIM] = {1, 2, 3};
    watch watching = {0};
    table.config.threads = 1;
    fixture_open(&table, NULL, NULL);
    for (uint64_t i = 0; i < SAME; i++) fixture_put(&table, i, vector);
    fixture_commit(&table);
    watching.index = table.index;
    assert_ok(shx_maintain_optimize(table.index, &table.tip, watch_ask, &watching));
    watch_judge("identical vectors", &watching, WORK_MAX);
    fixture_assert_same(&table);
    fixture_table_free(&table);
}

static void searches_ask(void **state) {
    (void)state;
    enum { WIDE = 1024, MANY = 30000 };
    fixture_random random = fixture_seed("searches ask", 72);
    fixture_table table = fixture_table_make(SHX_L2, WIDE, MANY);
    float *vectors = fixture_gaussian(&random, MANY, WIDE);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, MANY, vectors);
    fixture_commit(&table);
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    for (int flushed = 0; flushed < 2; flushed++) {
        shx_view *view = fixture_view(&table);
        for (int exact = 0; exact < 2; exact++) {
            watch watching = {0};
            shx_search_params params = {.query = vectors,
                                        .k = exact ? 10 : MANY / 2,
                                        .recall = 1,
                                        .exact = exact,
                                        .interrupted = watch_ask,
                                        .interrupted_context = &watching};
            work = 0;
            assert_ok(shx_search(view, &params, scratch, &hits));
            watch_judge(exact ? "exact search" : "large search", &watching, MANY);
        }
        shx_view_release(view);
        if (!flushed) fixture_flush(&table);
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    free(vectors);
    fixture_table_free(&table);
}

/* How often a search for the k nearest of all asks. */
static uint64_t count_questions(fixture_table *table, const float *query, uint64_t k) {
    watch watching = {0};
    shx_search_params params = {
        .query = query, .k = k, .exact = true, .interrupted = watch_ask, .interrupted_context = &watching};
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    shx_view *view = fixture_view(table);
    assert_ok(shx_search_scratch_create(&scratch));
    assert_ok(shx_search(view, &params, scratch, &hits));
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    shx_view_release(view);
    return watching.asked;
}

/* Not only between waves, and while candidates are compared as well. */
static void searches_ask_all_along(void **state) {
    (void)state;
    enum { SMALL = 4, MANY = 60000, STEP = 4096 };
    fixture_random random = fixture_seed("searches ask all along", 74);
    fixture_table table = fixture_table_make(SHX_L2, SMALL, MANY);
    float *vectors = fixture_gaussian(&random, MANY, SMALL);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, MANY, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    uint64_t few = count_questions(&table, vectors, 10), all = count_questions(&table, vectors, MANY);
    assert_true(few >= MANY / STEP);
    assert_true(all >= 2 * (MANY / STEP));
    free(vectors);
    fixture_table_free(&table);
}

static void searches_of_long_vectors_ask_more_often(void **state) {
    (void)state;
    enum { LONG = 4096, FEW = 2000, WORK = 4096 * 1024 };
    fixture_random random = fixture_seed("long vectors", 75);
    fixture_table table = fixture_table_make(SHX_L2, LONG, FEW);
    float *vector = fixture_gaussian(&random, 1, LONG);
    fixture_open(&table, NULL, NULL);
    for (uint64_t i = 0; i < FEW; i++) fixture_put(&table, i, vector);
    fixture_commit(&table);
    assert_true(count_questions(&table, vector, 10) >= FEW * LONG / WORK);
    free(vector);
    fixture_table_free(&table);
}

/* ---- what is part of maintenance ---- */

typedef struct stop {
    int after;
    uint64_t asked_since; /* the answer was yes */
    pthread_t asker;      /* the last thread that asked */
} stop;

static bool stop_ask(void *context) {
    stop *stopping = context;
    stopping->asker = pthread_self();
    if (stopping->after > 0) {
        stopping->after--;
        return false;
    }
    stopping->asked_since++;
    return true;
}

/* A pool of one thread under a progress that counts what it is asked. */
static shx_pool *watched_pool(shx_progress *progress, watch *watching) {
    shx_pool *pool;
    assert_ok(shx_pool_create(1, &pool));
    shx_progress_open(progress, watch_ask, watching);
    shx_pool_watch(pool, progress);
    return pool;
}

/* The graph is made shard by shard, and each way is tried on queries one by one. */
static void making_a_graph_asks(void **state) {
    (void)state;
    enum { SHARDS = 500, SAMPLE = 20 };
    fixture_random random = fixture_seed("making a graph", 76);
    float *centroids = fixture_gaussian(&random, SHARDS, DIM);
    uint64_t ids[SHARDS];
    uint8_t open[SHARDS];
    for (uint64_t i = 0; i < SHARDS; i++) {
        ids[i] = SHX_SHARD_FIRST + i;
        open[i] = 1;
    }
    shx_shards *shards;
    shx_progress progress = {0};
    watch made = {0};
    shx_pool *pool = watched_pool(&progress, &made);
    const shx_routing_wish wish = {.way = SHX_ROUTE_GRAPH};
    const shx_routing_sample sample = {centroids, SAMPLE, 10};
    assert_ok(shx_shards_create(DIM, SHARDS, ids, open, centroids, &shards));
    assert_ok(shx_routing_set(shards, SHX_ROUTE_GRAPH, &wish, 5, pool));
    assert_true(made.asked >= SHARDS);
    made.asked = 0;
    assert_ok(shx_routing_choose(shards, &wish, &sample, 5, pool));
    assert_true(made.asked >= SHARDS + 2 * SAMPLE);
    shx_shards_release(shards);
    shx_pool_destroy(pool);
    free(centroids);
}

/* A column of which every value occurs once, in any order. */
static shx_status give_number(const void *context, uint64_t row, uint32_t column, shx_packed *ret_bytes) {
    (void)column;
    *ret_bytes = (shx_packed){(const uint8_t *)context + 9 * row, 9};
    return SHX_OK;
}

static void sorting_the_values_of_columns_asks(void **state) {
    (void)state;
    enum { NUMBERS = 70000, STEP = 4096, PASSES = 4 + 5 }; /* over the rows twice, values, pieces; merges */
    uint8_t *numbers = calloc(NUMBERS, 9);
    shx_progress progress = {0};
    watch made = {0};
    shx_pool *pool = watched_pool(&progress, &made);
    shx_columns_plan *plan;
    for (uint64_t i = 0; i < NUMBERS; i++) {
        shx_value number = {.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)(i * 7919 % NUMBERS)};
        shx_value_put(&number, numbers + 9 * i);
    }
    assert_ok(shx_columns_plan_make(1, NUMBERS, give_number, numbers, pool, &plan));
    assert_true(made.asked >= (PASSES - 1) * (NUMBERS / STEP));
    shx_columns_plan_free(plan);
    stop stopping = {.after = (int)made.asked / 2};
    shx_progress_open(&progress, stop_ask, &stopping);
    assert_status(shx_columns_plan_make(1, NUMBERS, give_number, numbers, pool, &plan), SHX_INTERRUPT);
    shx_pool_destroy(pool);
    free(numbers);
}

/* Points that take long to be read, as those of a table do that are decoded and rotated. */
static void read_dear_point(const void *context, uint64_t row, float *ret_point) {
    (void)context;
    work += WORK_MAX / 1000;
    uint64_t state = row;
    for (int i = 0; i < DIM; i++) ret_point[i] = (float)(shx_random_next(&state) >> 40);
}

static void reading_a_sample_asks(void **state) {
    (void)state;
    const shx_cluster_points from = {NULL, read_dear_point, 20000, DIM};
    shx_progress progress = {0};
    watch made = {0};
    shx_pool *pool = watched_pool(&progress, &made);
    shx_clusters *clusters;
    assert_ok(shx_cluster_train(&from, 100, 7, pool, &clusters));
    watch_judge("reading a sample", &made, 20000 * (uint64_t)(WORK_MAX / 1000));
    shx_clusters_destroy(clusters);
    shx_pool_destroy(pool);
}

/* One run of many rows: each is encoded, and all of them are packed into blocks after that. */
static shx_posting give_posting(const void *context, uint64_t number) {
    return (shx_posting){.rowid = (int64_t)number, .vector = context};
}

static void a_long_run_asks(void **state) {
    (void)state;
    enum { RUN = 200000, PACKED = RUN / 32 / 64, ENCODED = RUN / 256, PASSES = 1 + 3 };
    static const float vector[DIM] = {1}, zeros[DIM];
    static const shx_encoding encoding = {SHX_L2, SHX_FLOAT32, DIM, DIM, 77, 0, zeros};
    const shx_id uuid = {{1}};
    shx_progress progress = {0};
    watch made = {0};
    shx_pool *pool = watched_pool(&progress, &made);
    shx_store *store = fixture_prepared_heap();
    const shx_run_plan run = {.shard = 1, .first = 0, .count = RUN, .centroid = zeros};
    const shx_segment_plan plan = {&encoding, 1, 0, 0, 1, &run, {vector, give_posting}, RUN};
    uint64_t checksum;
    assert_ok(shx_segment_write(store, &uuid, 1, &plan, pool, &checksum));
    assert_true(made.asked >= ENCODED + PACKED + PASSES * (RUN / 65536));
    shx_store_close(store);
    shx_pool_destroy(pool);
}

/* ---- stopping ---- */

/* Wherever it is told to stop, it stops, with as many threads as there are; and nothing has changed. */
static void stopping_anywhere(void **state) {
    (void)state;
    enum { FEW = 6000, SMALL = 16 };
    fixture_random random = fixture_seed("stopping anywhere", 73);
    fixture_table table = fixture_table_make(SHX_L2, SMALL, FEW);
    float *vectors = fixture_gaussian(&random, FEW, SMALL);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, FEW, vectors);
    fixture_commit(&table);
    int stopped = 0;
    for (int after = 0;; after = after * 2 + 1) {
        stop stopping = {.after = after};
        shx_status status = shx_maintain_optimize(table.index, &table.tip, stop_ask, &stopping);
        assert_true(status == (stopping.asked_since ? SHX_INTERRUPT : SHX_OK));
        assert_null(shx_index_progress(table.index).phase);
        if (status == SHX_OK) break;
        stopped++;
    }
    assert_true(stopped >= 3);
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
}

static shx_status do_nothing(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)context, (void)first, (void)end, (void)thread;
    return SHX_OK;
}

static void loops_stop(void **state) {
    (void)state;
    shx_pool *pool;
    shx_progress progress = {0};
    stop stopping = {.after = 100};
    assert_ok(shx_pool_create(4, &pool));
    assert_ok(shx_progress_check(NULL));
    assert_ok(shx_progress_check(&progress));
    shx_progress_open(&progress, stop_ask, &stopping);
    shx_pool_watch(pool, &progress);
    assert_status(shx_pool_run(pool, UINT64_C(1) << 24, 1, do_nothing, &stopping), SHX_INTERRUPT);
    assert_status(shx_pool_run(pool, 10, 1, do_nothing, &stopping), SHX_INTERRUPT);
    assert_true(pthread_equal(stopping.asker, pthread_self())); /* the others only learn what the owner was told */
    shx_progress_open(&progress, NULL, NULL);
    assert_ok(shx_pool_run(pool, 10, 1, do_nothing, &stopping));
    shx_progress_begin(&progress, SHX_PHASE_WRITING, 10);
    shx_progress_add(&progress, 4);
    shx_progress_figures figures = shx_progress_look(&progress);
    assert_string_equal(figures.phase, "writing");
    assert_true(figures.done == 4 && figures.total == 10);
    shx_progress_close(&progress);
    assert_null(shx_progress_look(&progress).phase);
    shx_pool_destroy(pool);
}

/* ---- walks over everything ---- */

static shx_status pass_row(void *context, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                           const void *vector) {
    (void)rowid, (void)vector_hash, (void)column_hash, (void)vector;
    ++*(uint64_t *)context;
    return SHX_OK;
}

static void pass_problem(void *context, const char *problem) {
    (void)context;
    fail_msg("%s", problem);
}

typedef enum walk_kind { WALK_EACH, WALK_CHECK, WALK_RECONCILE, WALK_EXPORT, WALK_KINDS } walk_kind;

/* Does one of the walks over all of a table; `rows` counts for WALK_EACH. */
static shx_status walk_all(fixture_table *table, walk_kind kind, const shx_stop *by, uint64_t *rows) {
    shx_view *view = fixture_view(table);
    shx_status status = SHX_OK;
    shx_reconcile *reconcile = NULL;
    if (kind == WALK_EACH) status = shx_view_each(view, pass_row, rows, by);
    if (kind == WALK_CHECK) status = shx_maintain_check(table->index, view, pass_problem, NULL, by);
    if (kind == WALK_RECONCILE) status = shx_reconcile_open(table->index, false, false, by, &reconcile);
    if (kind == WALK_EXPORT) {
        shx_store *to = fixture_prepared_heap();
        status = shx_index_export(table->index, view, to, by);
        shx_store_close(to);
    }
    shx_reconcile_close(reconcile);
    shx_view_release(view);
    return status;
}

/* Walking, checking, comparing and copying ask at least every few thousand rows, or megabyte, and stop wherever they
** are told to; then they are done again as if nothing had been. */
static void walks_ask_and_stop(void **state) {
    (void)state;
    enum { WIDTH = 16, MANY = 40000, ROWS_MOST = 4096, BYTES_MOST = 1 << 20 };
    const uint64_t least[WALK_KINDS] = {2 * MANY / ROWS_MOST, 2 * MANY / ROWS_MOST, 2 * MANY / ROWS_MOST,
                                        MANY * WIDTH * sizeof(float) / BYTES_MOST};
    fixture_random random = fixture_seed("walks ask and stop", 76);
    fixture_table table = fixture_table_make(SHX_L2, WIDTH, MANY);
    float *vectors = fixture_gaussian(&random, MANY, WIDTH);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, MANY, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    for (walk_kind kind = 0; kind < WALK_KINDS; kind++) {
        watch watching = {0};
        uint64_t rows = 0;
        assert_ok(walk_all(&table, kind, &(shx_stop){watch_ask, &watching}, &rows));
        assert_int_equal(rows, kind == WALK_EACH ? MANY : 0);
        print_message("walk %d: asked %llu times\n", (int)kind, (unsigned long long)watching.asked);
        assert_true(watching.asked >= least[kind]);
        for (uint64_t after = 0; after < watching.asked; after++) {
            stop stopping = {.after = (int)after};
            assert_status(walk_all(&table, kind, &(shx_stop){stop_ask, &stopping}, &rows), SHX_INTERRUPT);
            assert_int_equal(stopping.asked_since, 1);
        }
        assert_ok(walk_all(&table, kind, NULL, &rows));
    }
    fixture_assert_same(&table);
    free(vectors);
    fixture_table_free(&table);
}

/* After a large transaction, who opens the table reads all of its record. */
static void resolving_asks_and_stops(void **state) {
    (void)state;
    enum { WIDTH = 64, MANY = 40000, BYTES_MOST = 1 << 21 };
    fixture_random random = fixture_seed("resolving asks and stops", 77);
    fixture_table table = fixture_table_make(SHX_L2, WIDTH, MANY);
    float *vectors = fixture_gaussian(&random, MANY, WIDTH);
    shx_store *store = fixture_prepared_heap();
    shx_view *view;
    watch watching = {0};
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, MANY, vectors);
    fixture_commit(&table);
    shx_index *index = fixture_index_on(&table.config, store);
    assert_ok(shx_index_view_until(index, &table.tip, &(shx_stop){watch_ask, &watching}, &view));
    shx_view_release(view);
    shx_index_destroy(index);
    assert_true(watching.asked >= MANY * WIDTH * sizeof(float) / BYTES_MOST + MANY / 8192);
    index = fixture_index_on(&table.config, store);
    for (uint64_t after = 0; after < watching.asked; after++) {
        stop stopping = {.after = (int)after};
        assert_status(shx_index_view_until(index, &table.tip, &(shx_stop){stop_ask, &stopping}, &view), SHX_INTERRUPT);
        assert_int_equal(stopping.asked_since, 1);
    }
    assert_ok(shx_index_view_until(index, &table.tip, NULL, &view));
    assert_int_equal(fixture_view_digest(view, WIDTH), fixture_model_digest(&table));
    shx_view_release(view);
    shx_index_destroy(index);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maintenance_asks),
        cmocka_unit_test(identical_vectors_ask),
        cmocka_unit_test(searches_ask),
        cmocka_unit_test(searches_ask_all_along),
        cmocka_unit_test(searches_of_long_vectors_ask_more_often),
        cmocka_unit_test(making_a_graph_asks),
        cmocka_unit_test(sorting_the_values_of_columns_asks),
        cmocka_unit_test(reading_a_sample_asks),
        cmocka_unit_test(a_long_run_asks),
        cmocka_unit_test(stopping_anywhere),
        cmocka_unit_test(walks_ask_and_stop),
        cmocka_unit_test(resolving_asks_and_stops),
        cmocka_unit_test(loops_stop),
    };
    return cmocka_run_group_tests(tests, count_start, count_end);
}
