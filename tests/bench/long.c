/* long SHARDEX SET_FOLDER WORK_FOLDER: searches in which one pass over everything is hard to beat, beside that pass.
**
** Large k, exact search, small tables, radius, and many partitions (rows of one value of a column). Each line gives the
** medians of CPU time of shardex through SQL and of plain.h, both with one thread, in turns, and their ratio (above 1:
** shardex is quicker). Every query of a line is another one. shardex's table has vectors on disk and answers under
** transactions; plain holds normalised floats in memory. */
#include "session.h"

enum { LONG_ROUNDS = 15, LONG_SIZES = 5 };

typedef struct {
    session run;
    plain_rows rows;
    plain_hit *hits;
    int64_t *found;
} long_bench;

/* What a line asks. */
typedef struct {
    sqlite3_stmt *statement; /* ?1 vector, ?2 k, radius or partition */
    const plain_rows *rows;  /* what plain searches */
    size_t k;                /* 0: within the radius of ?2 that holds so many rows: */
    size_t within;
} long_line;

/* The distance of the n-th nearest row, as SQL gives it. */
static double distance_of(long_bench *bench, const float *query, size_t n) {
    int64_t row;
    double distance = 0;
    sqlite3_stmt *statement =
        session_prepare(bench->run.db, "SELECT rowid, distance FROM " MODES_TABLE
                                       " WHERE v MATCH ?1 AND k = 1 AND rowid = ?2 AND exact = 1");
    plain_search(&bench->rows, query, NULL, n, bench->hits);
    row = bench->hits[n - 1].row + 1;
    session_bind_vector(&bench->run, statement, query);
    sqlite3_bind_int64(statement, 2, row);
    session_need(bench->run.db, sqlite3_step(statement));
    distance = sqlite3_column_double(statement, 1);
    sqlite3_finalize(statement);
    return distance;
}

static double time_statement(long_bench *bench, const long_line *line, const float *query, double radius) {
    session_bind_vector(&bench->run, line->statement, query);
    if (line->within)
        sqlite3_bind_double(line->statement, 2, radius);
    else
        sqlite3_bind_int64(line->statement, 2, (sqlite3_int64)line->k);
    double start = cpu_seconds();
    size_t count = session_rows(line->statement, bench->rows.row_count, bench->found);
    double seconds = cpu_seconds() - start;
    if (count == 0) fail("no answer");
    return seconds;
}

static double time_plain(long_bench *bench, const long_line *line, const float *query, double radius) {
    double start = cpu_seconds();
    size_t count = line->within ? plain_within(line->rows, query, radius, bench->hits)
                                : plain_search(line->rows, query, NULL, line->k, bench->hits);
    double seconds = cpu_seconds() - start;
    if (count == 0) fail("no answer");
    return seconds;
}

static void print_line(long_bench *bench, const char *name, const long_line *line) {
    double here[LONG_ROUNDS], plain[LONG_ROUNDS];
    for (size_t i = 0; i < LONG_ROUNDS + 2; i++) {
        const float *query = bench->run.set.queries + i % bench->run.set.query_count * bench->run.set.dimensions;
        double radius = line->within ? distance_of(bench, query, line->within) : 0;
        double shardex_seconds = time_statement(bench, line, query, radius);
        double plain_seconds = time_plain(bench, line, query, radius);
        if (i < 2) continue; /* warms up */
        here[i - 2] = 1e6 * shardex_seconds;
        plain[i - 2] = 1e6 * plain_seconds;
    }
    double shardex_us = session_median(here, LONG_ROUNDS), plain_us = session_median(plain, LONG_ROUNDS);
    printf("%-34s %12.1f %12.1f %8.2f\n", name, shardex_us, plain_us, plain_us / shardex_us);
    fflush(stdout);
}

static void print_large(long_bench *bench, const char *how, size_t most) {
    char name[64];
    for (size_t k = 10; k <= most && k <= bench->rows.row_count; k *= 10) {
        long_line line = {.rows = &bench->rows, .k = k};
        line.statement = session_prepare(
            bench->run.db, "SELECT rowid, distance FROM " MODES_TABLE " WHERE v MATCH ?1 AND k = ?2 AND %s", how);
        snprintf(name, sizeof name, "%s, k = %zu", how, k);
        print_line(bench, name, &line);
        sqlite3_finalize(line.statement);
    }
}

static void print_radius(long_bench *bench) {
    char name[64];
    for (size_t within = 100; within <= 10000 && within <= bench->rows.row_count; within *= 100) {
        long_line line = {.rows = &bench->rows, .within = within};
        line.statement = session_prepare(bench->run.db, "SELECT rowid, distance FROM " MODES_TABLE
                                                        " WHERE v MATCH ?1 AND distance <= ?2");
        snprintf(name, sizeof name, "radius of %zu rows", within);
        print_line(bench, name, &line);
        sqlite3_finalize(line.statement);
    }
}

static void print_small(long_bench *bench) {
    static const size_t SIZES[LONG_SIZES] = {10, 100, 1000, 5000, 20000};
    sqlite3 *db = session_open(&bench->run, "long.db", bench->run.extension);
    for (size_t i = 0; i < LONG_SIZES && SIZES[i] <= bench->rows.row_count; i++) {
        char name[128];
        session_run(db,
                    "DROP TABLE IF EXISTS small; CREATE VIRTUAL TABLE small USING shardex(v float[%zu] "
                    "distance_metric=%s)",
                    bench->rows.dimensions, bench->rows.cosine ? "cosine" : "l2");
        session_fill(&bench->run, db, "INSERT INTO small(rowid, v) VALUES (?1, ?2)", SIZES[i]);
        session_run(db, "INSERT INTO small(small) VALUES ('optimize')");
        plain_rows rows = plain_take(&bench->run.set, SIZES[i]);
        long_line line = {.rows = &rows, .k = 10};
        line.statement = session_prepare(db, "SELECT rowid, distance FROM small WHERE v MATCH ?1 AND k = ?2");
        snprintf(name, sizeof name, "a table of %zu rows, k = 10", SIZES[i]);
        print_line(bench, name, &line);
        sqlite3_finalize(line.statement);
        plain_free(&rows);
    }
    session_need(db, sqlite3_close(db));
}

/* One of MODES_RANDOM partitions; plain gets the rows of that one, side by side. */
static void print_partitions(long_bench *bench) {
    size_t dimensions = bench->rows.dimensions, count = 0;
    float *side_by_side = need(malloc(bench->rows.row_count * dimensions * sizeof(float)));
    for (size_t row = 0; row < bench->rows.row_count; row++) {
        if (bench->run.randoms[row] != 7) continue;
        memcpy(side_by_side + count++ * dimensions, bench->run.set.base + row * dimensions, dimensions * sizeof(float));
    }
    dataset set = bench->run.set;
    set.base = side_by_side;
    plain_rows rows = plain_take(&set, count);
    long_line line = {.rows = &rows, .k = 10};
    line.statement = session_prepare(bench->run.db, "SELECT rowid, distance FROM " MODES_TABLE
                                                    " WHERE v MATCH ?1 AND k = ?2 AND r = 7");
    char name[64];
    snprintf(name, sizeof name, "one of %d partitions, %zu rows", MODES_RANDOM, count);
    if (count > 0) print_line(bench, name, &line);
    sqlite3_finalize(line.statement);
    plain_free(&rows);
    free(side_by_side);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 4) fail("usage: long SHARDEX SET_FOLDER WORK_FOLDER");
    long_bench bench = {.run = session_of(arguments[1], arguments[2], arguments[3])};
    size_t rows = bench.run.set.row_count;
    if (bench.run.set.query_count == 0 || rows == 0) fail("an empty set");
    session_draw_columns(&bench.run);
    bench.rows = plain_take(&bench.run.set, rows);
    bench.hits = need(malloc((rows + 1) * sizeof *bench.hits));
    bench.found = need(malloc(rows * sizeof *bench.found));
    session_open_modes(&bench.run);
    printf("%-34s %12s %12s %8s\n", "search", "shardex, us", "plain, us", "ratio");
    print_large(&bench, "exact = 1", 100000);
    print_large(&bench, "recall = 0.95", 100000);
    print_radius(&bench);
    print_small(&bench);
    print_partitions(&bench);
    return sqlite3_close(bench.run.db) != SQLITE_OK;
}
