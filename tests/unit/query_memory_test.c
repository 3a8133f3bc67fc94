/* A prepared statement that runs again allocates nothing: neither the extension nor the engine, nor SQLite beyond the
** memory that each connection has for small pieces. */
#include "host.h"

#include <math.h>
#include <stdatomic.h>

#define DIM 16
#define ROWS 6000
#define RUNS 40

static sqlite3_mem_methods memory_real;
static atomic_ulong memory_calls;

static void *memory_alloc(int size) {
    atomic_fetch_add(&memory_calls, 1);
    return memory_real.xMalloc(size);
}

static void *memory_resize(void *block, int size) {
    atomic_fetch_add(&memory_calls, 1);
    return memory_real.xRealloc(block, size);
}

/* Of a database in a file, which tells whether it has changed: of others the state row is read each time, by SQLite. */
static char *memory_folder;

static int memory_set_up(void **context) {
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_real), SQLITE_OK);
    sqlite3_mem_methods counting = memory_real;
    counting.xMalloc = memory_alloc;
    counting.xRealloc = memory_resize;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &counting), SQLITE_OK);
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 4096, 500), SQLITE_OK); /* SQLite's own small pieces */
    memory_folder = host_make_folder();
    char *path = sqlite3_mprintf("%s/t.db", memory_folder);
    sqlite3 *db = host_open(path);
    sqlite3_free(path);
    host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[%d], n integer, x text)", DIM);
    sqlite3_stmt *insert;
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO t(rowid, v, n, x) VALUES(?1, ?2, ?1 % 50, 'x' || (?1 % 7))",
                                        -1, &insert, NULL),
                     SQLITE_OK);
    host_run(db, "BEGIN");
    for (int i = 0; i < ROWS; i++) {
        float vector[DIM];
        for (int d = 0; d < DIM; d++) vector[d] = sinf((float)(i * (d + 3)));
        sqlite3_bind_int(insert, 1, i);
        sqlite3_bind_blob(insert, 2, vector, sizeof vector, SQLITE_TRANSIENT);
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    host_run(db, "COMMIT");
    host_run(db, "INSERT INTO t(t) VALUES('optimize')");
    *context = db;
    return 0;
}

static int memory_tear_down(void **context) {
    host_close(*context);
    host_remove_folder(memory_folder);
    return 0;
}

/* Runs the query once more, with another vector each time; how many rows it gave. */
static int run_query(sqlite3_stmt *query, int run) {
    float vector[DIM];
    int rows = 0;
    for (int d = 0; d < DIM; d++) vector[d] = sinf((float)((run % 20) * (d + 5)));
    assert_int_equal(sqlite3_bind_blob(query, 1, vector, sizeof vector, SQLITE_STATIC), SQLITE_OK);
    while (sqlite3_step(query) == SQLITE_ROW) rows += sqlite3_column_double(query, 1) >= 0;
    assert_int_equal(sqlite3_reset(query), SQLITE_OK);
    return rows;
}

/* What SQLite itself allocates for a run when it was built to have no memory for small pieces: its own cursor. */
static unsigned long allowed(void) { return sqlite3_compileoption_used("OMIT_LOOKASIDE") ? RUNS : 0; }

static void check_query(sqlite3 *db, const char *sql, int rows) {
    sqlite3_stmt *query;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &query, NULL), SQLITE_OK);
    for (int run = 0; run < RUNS; run++) run_query(query, run); /* every vector twice */
    unsigned long before = atomic_load(&memory_calls);
    for (int run = 0; run < RUNS; run++) assert_int_equal(run_query(query, run), rows);
    unsigned long calls = atomic_load(&memory_calls) - before;
    if (calls > allowed()) fail_msg("%s: %lu allocations in %d runs", sql, calls, RUNS);
    sqlite3_finalize(query);
}

static void repeated_queries_allocate_nothing(void **context) {
    sqlite3 *db = *context;
    static const char *const QUERIES[] = {
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 ORDER BY distance",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND recall = 0.8",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND exact = 1",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND distance < 100",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND n = 7",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND n BETWEEN 3 AND 40 AND n <> 9",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND n <> 7 AND rowid > 100 AND exact = 1",
        "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND x = 'x3'",
    };
    for (size_t i = 0; i < sizeof QUERIES / sizeof *QUERIES; i++) check_query(db, QUERIES[i], 10);
    check_query(db, "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND rowid = 4321", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_queries_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, memory_set_up, memory_tear_down);
}
