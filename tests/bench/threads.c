/* threads SHARDEX SET_FOLDER WORK_FOLDER: what a second processor is worth, in wall time.
**
** First: one thread and two threads with a connection each, recall 0.95, k = 10, every thread all queries. Then: one
** connection, exact search in a table declared with threads=1 and one with threads=2. Sides take turns; medians of
** ROUNDS. Only a quiet machine of two processors gives 2; the CPU time of a query tells whether it was quiet. */
#include <pthread.h>

#include "session.h"

enum { EXACT_ROWS = 200000, EXACT_QUERIES = 20, THREADS_MAX = 2 };

typedef struct {
    const session *run;
    sqlite3 *db;
    sqlite3_stmt *statement;
    size_t query_count;
} worker;

static void *work(void *argument) {
    const worker *self = argument;
    const dataset *set = &self->run->set;
    int64_t rows[ANSWERS];
    for (size_t query = 0; query < self->query_count; query++) {
        session_bind_vector(self->run, self->statement, set->queries + query * set->dimensions);
        session_rows(self->statement, ANSWERS, rows);
    }
    return NULL;
}

/* Seconds of wall time and of CPU that so many threads take for a pass each. */
static stopwatch time_threads(worker *workers, size_t count) {
    pthread_t threads[THREADS_MAX];
    stopwatch start = stopwatch_start();
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) fail("cannot start a thread");
    }
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
    stopwatch end = stopwatch_start();
    return (stopwatch){end.wall - start.wall, end.cpu - start.cpu};
}

static void worker_open(worker *self, const session *run, const char *name, size_t queries, const char *sql) {
    *self = (worker){.run = run, .query_count = queries};
    self->db = session_open(run, name, run->extension);
    self->statement = session_prepare(self->db, "%s", sql);
    work(self); /* warms up */
}

static void worker_close(worker *self) {
    sqlite3_finalize(self->statement);
    session_need(self->db, sqlite3_close(self->db));
}

/* Measures two sides in turns: `counts` threads of `sides[0]` and of `sides[1]`. */
static void print_sides(const char *const *names, worker *const *sides, const size_t *counts) {
    double rates[2][ROUNDS], costs[2][ROUNDS], first = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t side = 0; side < 2; side++) {
            stopwatch taken = time_threads(sides[side], counts[side]);
            double queries = (double)(counts[side] * sides[side]->query_count);
            rates[side][round] = queries / taken.wall;
            costs[side][round] = 1e6 * taken.cpu / queries;
        }
    }
    for (size_t side = 0; side < 2; side++) {
        double rate = session_median(rates[side], ROUNDS);
        if (side == 0) first = rate;
        printf("%-40s %12.0f %8.2f %14.1f\n", names[side], rate, rate / first, session_median(costs[side], ROUNDS));
    }
}

static void print_connections(session *run) {
    static const char *const NAMES[] = {"recall 0.95, 1 thread", "recall 0.95, 2 threads, a connection each"};
    static const size_t COUNTS[] = {1, 2};
    worker workers[THREADS_MAX], *const sides[] = {workers, workers};
    for (size_t i = 0; i < THREADS_MAX; i++)
        worker_open(&workers[i], run, "modes.db", run->set.query_count,
                    "SELECT rowid, distance FROM " MODES_TABLE " WHERE v MATCH ?1 AND k = 10 AND recall = 0.95");
    print_sides(NAMES, sides, COUNTS);
    for (size_t i = 0; i < THREADS_MAX; i++) worker_close(&workers[i]);
}

/* Tables one and two: threads=1 and threads=2. */
static void build_exact(const session *run, size_t rows) {
    sqlite3 *db = session_open(run, "threads.db", run->extension);
    for (int threads = 1; threads <= THREADS_MAX; threads++) {
        char insert[128];
        session_run(db,
                    "DROP TABLE IF EXISTS t%d; CREATE VIRTUAL TABLE t%d USING shardex(v float[%zu] "
                    "distance_metric=%s, threads=%d)",
                    threads, threads, run->set.dimensions, run->set.cosine ? "cosine" : "l2", threads);
        snprintf(insert, sizeof insert, "INSERT INTO t%d(rowid, v) VALUES (?1, ?2)", threads);
        session_fill(run, db, insert, rows);
        session_run(db, "INSERT INTO t%d(t%d) VALUES ('optimize')", threads, threads);
    }
    session_need(db, sqlite3_close(db));
}

static void print_exact(session *run) {
    static const char *const NAMES[] = {"exact, one connection, threads=1", "exact, one connection, threads=2"};
    static const size_t COUNTS[] = {1, 1};
    size_t rows = run->set.row_count < EXACT_ROWS ? run->set.row_count : EXACT_ROWS;
    size_t queries = run->set.query_count < EXACT_QUERIES ? run->set.query_count : EXACT_QUERIES;
    worker one, two, *const sides[] = {&one, &two};
    build_exact(run, rows);
    worker_open(&one, run, "threads.db", queries, "SELECT rowid FROM t1 WHERE v MATCH ?1 AND k = 10 AND exact = 1");
    worker_open(&two, run, "threads.db", queries, "SELECT rowid FROM t2 WHERE v MATCH ?1 AND k = 10 AND exact = 1");
    print_sides(NAMES, sides, COUNTS);
    worker_close(&one);
    worker_close(&two);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 4) fail("usage: threads SHARDEX SET_FOLDER WORK_FOLDER");
    session run = session_of(arguments[1], arguments[2], arguments[3]);
    session_open_modes(&run);
    session_need(run.db, sqlite3_close(run.db));
    printf("%-40s %12s %8s %14s\n", "threads", "queries/s", "ratio", "CPU, us/query");
    print_connections(&run);
    print_exact(&run);
    return 0;
}
