/* One INSERT … SELECT of any size in one transaction: what it takes of memory, rolled back wholly, to a savepoint at
** half, and committed; and what is there afterwards. The twin is the generator of the rows itself: the row i is a
** function of i, so its table needs no room.
**
** SHARDEX_SPILL_ROWS and SHARDEX_SPILL_DIM set the size (suite soak: 4,000,000 × 128, 2 GB).
*/
#include "twin.h"

#include "index.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_ROWS 6000
#define SIZE_DIM 64
#define SIZE_LIMIT_MB 300 /* of anonymous memory, of the transaction and of the first build that follows it */
#define SIZE_K 10

static fixture_directory size_place;
static char size_path[400];
static uint64_t size_rows = SIZE_ROWS;
static uint32_t size_dim = SIZE_DIM;

static int size_set_up(void **state) {
    (void)state;
    const char *rows = getenv("SHARDEX_SPILL_ROWS"), *dim = getenv("SHARDEX_SPILL_DIM");
    if (rows) size_rows = strtoull(rows, NULL, 10);
    if (dim) size_dim = (uint32_t)strtoul(dim, NULL, 10);
    if (!rows) shx_index_spill_at(100000);
    size_place = fixture_directory_make();
    snprintf(size_path, sizeof size_path, "%s/size.db", size_place.root);
    return 0;
}

static int size_tear_down(void **state) {
    (void)state;
    shx_index_spill_at(0);
    fixture_directory_remove(&size_place);
    return 0;
}

/* ---- memory ---- */

static atomic_long size_peak;
static atomic_bool size_watching;
static pthread_t size_watcher;

static long size_anonymous_kb(void) {
    char line[200];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "RssAnon:", 8) == 0) value = strtol(line + 8, NULL, 10);
    }
    if (file) fclose(file);
    return value;
}

static void *size_watch(void *context) {
    (void)context;
    while (atomic_load(&size_watching)) {
        long now = size_anonymous_kb();
        if (now > atomic_load(&size_peak)) atomic_store(&size_peak, now);
        usleep(2000);
    }
    return NULL;
}

static void size_begin_watch(void) {
    atomic_store(&size_peak, 0);
    atomic_store(&size_watching, true);
    assert_int_equal(pthread_create(&size_watcher, NULL, size_watch, NULL), 0);
}

/* The peak since the watch began, in MB above `before` (KB). */
static long size_end_watch(const char *what, long before) {
    atomic_store(&size_watching, false);
    assert_int_equal(pthread_join(size_watcher, NULL), 0);
    long taken = (atomic_load(&size_peak) - before) / 1024;
    print_message("             %s: %ld MB of anonymous memory at most\n", what, taken);
    return taken;
}

/* ---- rows ---- */

/* Row i: near one of 1,000 places that rows share. */
static void size_vector(int64_t row, float *vector) {
    fixture_random random = {.state = (uint64_t)row}, place = {.state = UINT64_C(1) << 40 | ((uint64_t)row % 1000)};
    for (uint32_t d = 0; d < size_dim; d++) {
        uint64_t bits = fixture_next(&random), centre = fixture_next(&place);
        vector[d] = (float)(int32_t)(centre >> 40) / 8388608.0F + (float)(int32_t)(bits >> 40) / 33554432.0F;
    }
}

static void size_vector_function(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    float *vector = sqlite3_malloc64(size_dim * sizeof *vector);
    if (vector) size_vector(sqlite3_value_int64(values[0]), vector);
    sqlite3_result_blob64(context, vector, size_dim * sizeof *vector, sqlite3_free);
}

static int64_t size_hash(const void *vector, int64_t row) {
    return (int64_t)(shx_hash64(vector, size_dim * sizeof(float), (uint64_t)row) >> 30); /* sums stay in 64 bits */
}

static void size_hash_function(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    twin_require(sqlite3_value_bytes(values[0]) == (int)(size_dim * sizeof(float)));
    sqlite3_result_int64(context, size_hash(sqlite3_value_blob(values[0]), sqlite3_value_int64(values[1])));
}

static twin_pair size_open(void) {
    twin_pair twin = twin_open(size_path, SHX_L2, size_dim);
    twin_require(sqlite3_create_function(twin.db, "size_vector", 1, SQLITE_UTF8, NULL, size_vector_function, NULL,
                                         NULL) == SQLITE_OK);
    twin_require(sqlite3_create_function(twin.db, "size_hash", 2, SQLITE_UTF8, NULL, size_hash_function, NULL, NULL) ==
                 SQLITE_OK);
    twin_run(&twin, "PRAGMA journal_mode=wal; PRAGMA synchronous=off");
    return twin;
}

static void size_insert(twin_pair *twin, uint64_t first, uint64_t last) {
    twin_run(twin,
             "WITH RECURSIVE i(i) AS (SELECT %lld UNION ALL SELECT i + 1 FROM i WHERE i < %lld) "
             "INSERT INTO t(rowid, v, n, s) SELECT i, size_vector(i), i %% 7, 'row ' || i FROM i",
             (long long)first, (long long)last);
}

/* ---- judging ---- */

static void size_brute_force(uint64_t rows, const float *query, shx_topk *best) {
    float *vector = malloc(size_dim * sizeof *vector);
    twin_require(vector != NULL);
    for (uint64_t row = 1; row <= rows; row++) {
        size_vector((int64_t)row, vector);
        double distance = shx_distance(SHX_L2, SHX_FLOAT32, query, vector, size_dim);
        twin_require(shx_topk_insert(best, distance, (int64_t)row) == SHX_OK);
    }
    shx_topk_sort(best, NULL);
    free(vector);
}

/* `t` holds the rows 1 … rows; in the right order where a few queries look. */
static void size_require(twin_pair *twin, uint64_t rows, int queries) {
    twin_require(twin_number(twin, "SELECT count(*) FROM t") == (int64_t)rows);
    int64_t expected = 0, found = twin_number(twin, "SELECT coalesce(sum(size_hash(v, rowid)), 0) FROM t");
    float *vector = malloc(size_dim * sizeof *vector);
    twin_require(vector != NULL);
    for (uint64_t row = 1; row <= rows; row++) {
        size_vector((int64_t)row, vector);
        expected += size_hash(vector, (int64_t)row);
    }
    twin_require(found == expected);
    for (int i = 0; i < queries; i++) {
        shx_topk best = {0}, hits = {0};
        size_vector((int64_t)(rows / 3 * (uint64_t)i + 5), vector);
        vector[0] += 0.25F;
        shx_topk_reset(&best, SIZE_K);
        size_brute_force(rows, vector, &best);
        twin_search(twin, vector, SIZE_K, "AND exact = 1", &hits);
        twin_require(hits.count == best.count);
        for (uint32_t h = 0; h < hits.count; h++) twin_require(hits.hits[h].rowid == best.hits[h].rowid);
        shx_topk_free(&best);
        shx_topk_free(&hits);
    }
    free(vector);
}

static void one_large_transaction(void **state) {
    (void)state;
    uint64_t half = size_rows / 2;
    twin_pair twin = size_open();
    twin_create(&twin, "");
    long before = size_anonymous_kb();
    size_begin_watch();
    twin_run(&twin, "BEGIN");
    size_insert(&twin, 1, size_rows);
    twin_run(&twin, "ROLLBACK");
    assert_true(size_end_watch("rolled back", before) < SIZE_LIMIT_MB);
    size_require(&twin, 0, 0);
    assert_int_equal(twin_find_files(size_path, "wal").count, 0);

    before = size_anonymous_kb();
    size_begin_watch();
    twin_run(&twin, "BEGIN");
    size_insert(&twin, 1, half);
    twin_run(&twin, "SAVEPOINT s");
    size_insert(&twin, half + 1, size_rows);
    twin_run(&twin, "ROLLBACK TO s");
    size_require(&twin, half, 1);
    size_insert(&twin, half + 1, size_rows);
    assert_true(size_end_watch("to a savepoint and on", before) < SIZE_LIMIT_MB);
    size_begin_watch();
    twin_run(&twin, "COMMIT");
    assert_true(size_end_watch("committed, and the first build", before) < SIZE_LIMIT_MB);
    size_begin_watch();
    twin_require(twin_state_is(&twin, "current"));
    size_require(&twin, size_rows, 3);
    twin_close(&twin);
    twin = size_open();
    assert_true(size_end_watch("searched, built and opened again", before) < SIZE_LIMIT_MB);
    twin_require(twin_state_is(&twin, "current"));
    size_require(&twin, size_rows, 3);
    twin_require(twin_number(&twin, "SELECT count(*) FROM t WHERE n = 3") == (int64_t)(size_rows + 4) / 7);
    twin_close(&twin);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_large_transaction)};
    return cmocka_run_group_tests(tests, size_set_up, size_tear_down);
}
