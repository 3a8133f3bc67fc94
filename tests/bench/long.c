/* long SHARDEX SQLITE_VEC SET_FOLDER WORK_FOLDER: searches in which one pass over everything is hard to beat, beside
** that pass.
**
** Large k, exact search, small tables, radius, and many partitions: rows of one value of a partition key or of an
** ordinary column, the same one each time, so that all is in the processor's caches, or another one each time. Each
** line gives the medians of CPU time
**
**     shardex   through SQL
**     plain     of plain.h, called from C
**     table     of plain.h as a virtual table, called through SQL (plain_table.h)
**     SQLite    of a virtual table that has the answer ready: what no table can be quicker than
**     SQL       of the quickest pass through SQL: sqlite-vec's table (with a partition key where there are partitions)
**               or its distance function over the rows of an ordinary table (with an index on the partition), all of
**               them in SQLite's cache
**
** with the ratios to shardex's behind them; above 1 shardex is quicker. Each has one thread, and they take turns. Every
** query of a line is another one; short ones come in a row, so that nobody pays for what the others left in the caches,
** nor for the clock. shardex's table has vectors on disk and answers under transactions; plain holds
** normalised floats in memory. Tables that answer from memory do so in the same connection as shardex. */
#include "plain_table.h"
#include "session.h"

enum {
    LONG_ROUNDS = 15,
    LONG_BATCH = 20,        /* short queries that are answered in a row: … */
    LONG_SHORT_ROWS = 5000, /* … those of so few rows at most */
    LONG_SIZES = 5,
    LONG_WAYS = 2,         /* of a pass through SQL: a table of sqlite-vec, an ordinary one */
    LONG_VEC0_MOST = 4096, /* that sqlite-vec gives */
    LONG_ANY = MODES_RANDOM, /* no partition of all: another one each time */
};

typedef struct {
    session run;
    plain_rows rows;
    plain_hit *hits;
    int64_t *found;
    plain_source source;
    sqlite3 *peer; /* with sqlite-vec; NULL: none */
} long_bench;

/* What a line asks. */
typedef struct {
    sqlite3_stmt *statement;       /* ?1 vector, ?2 k or radius */
    sqlite3_stmt *ways[LONG_WAYS]; /* the same of the passes through SQL; NULL: not possible */
    const plain_rows *rows;        /* what plain searches: */
    size_t parts, part;            /* parts > 0: the rows of partition ?3, which is `part`, or another one each time */
    size_t k;                      /* 0: within the radius of ?2 that holds so many rows: */
    size_t within;
    size_t batch; /* queries in a row */
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

/* Of a round; every one is another query until they begin again. */
static const float *query_of(const long_bench *bench, const long_line *line, size_t round, size_t i) {
    const dataset *set = &bench->run.set;
    return set->queries + (round * line->batch + i) % set->query_count * set->dimensions;
}

/* What a query of a round searches: of the partitions of a line, one. */
static size_t part_of(const long_line *line, size_t round, size_t i) {
    return line->part != LONG_ANY ? line->part : (round * line->batch + i) % line->parts;
}

static const plain_rows *rows_of(const long_line *line, size_t round, size_t i) {
    return line->parts ? &line->rows[part_of(line, round, i)] : line->rows;
}

static double time_statement(long_bench *bench, const long_line *line, sqlite3_stmt *statement, size_t round,
                             double radius) {
    if (line->within)
        sqlite3_bind_double(statement, 2, radius);
    else
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)line->k);
    double start = cpu_seconds();
    for (size_t i = 0; i < line->batch; i++) {
        session_bind_vector(&bench->run, statement, query_of(bench, line, round, i));
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)part_of(line, round, i)); /* where there is such a parameter */
        bench->source.rows = rows_of(line, round, i);
        if (session_rows(statement, bench->rows.row_count, bench->found) == 0) fail("no answer");
    }
    return 1e6 * (cpu_seconds() - start) / (double)line->batch;
}

static double time_plain(long_bench *bench, const long_line *line, size_t round, double radius) {
    double start = cpu_seconds();
    for (size_t i = 0; i < line->batch; i++) {
        const float *query = query_of(bench, line, round, i);
        const plain_rows *rows = rows_of(line, round, i);
        size_t count = line->within ? plain_within(rows, query, radius, bench->hits)
                                    : plain_search(rows, query, NULL, line->k, bench->hits);
        if (count == 0) fail("no answer");
    }
    return 1e6 * (cpu_seconds() - start) / (double)line->batch;
}

/* What a process does with a row when it first comes to it is not what is measured. */
static void ask_all_parts(long_bench *bench, long_line *line) {
    size_t rounds = line->parts / line->batch + 1;
    for (size_t round = 0; line->parts && line->part == LONG_ANY && round < rounds; round++) {
        time_statement(bench, line, line->statement, round, 0);
        for (size_t way = 0; way < LONG_WAYS; way++) {
            if (line->ways[way] != NULL) time_statement(bench, line, line->ways[way], round, 0);
        }
    }
}

/* The times of a line, in microseconds. */
typedef struct {
    double here[LONG_ROUNDS], plain[LONG_ROUNDS], table[LONG_ROUNDS], ready[LONG_ROUNDS];
    double ways[LONG_WAYS][LONG_ROUNDS];
} long_times;

static void time_line(long_bench *bench, long_line *line, long_times *ret_times) {
    sqlite3 *db = sqlite3_db_handle(line->statement);
    sqlite3_stmt *table =
        session_prepare(db, "SELECT rowid, distance FROM plain_table(?1, ?2, %d)", line->within ? 1 : 0);
    sqlite3_stmt *ready = session_prepare(db, "SELECT rowid, distance FROM plain_table(?1, %zu, 2)",
                                          line->within ? line->within : line->k);
    bench->source = (plain_source){line->rows, bench->hits};
    line->batch = line->parts || line->rows->row_count <= LONG_SHORT_ROWS ? LONG_BATCH : 1;
    ask_all_parts(bench, line);
    for (size_t i = 0; i < LONG_ROUNDS + 2; i++) {
        size_t round = i < 2 ? 0 : i - 2; /* the first two warm up */
        double radius = line->within ? distance_of(bench, query_of(bench, line, i, 0), line->within) : 0;
        ret_times->here[round] = time_statement(bench, line, line->statement, i, radius);
        ret_times->plain[round] = time_plain(bench, line, i, radius);
        ret_times->table[round] = time_statement(bench, line, table, i, radius);
        ret_times->ready[round] = time_statement(bench, line, ready, i, radius);
        for (size_t way = 0; way < LONG_WAYS; way++) {
            if (line->ways[way] == NULL) continue;
            ret_times->ways[way][round] = time_statement(bench, line, line->ways[way], i, radius);
        }
    }
    sqlite3_finalize(table);
    sqlite3_finalize(ready);
}

static void print_compared(double microseconds, double here) {
    printf(" %12.1f %8.2f", microseconds, microseconds / here);
}

/* Prints a line, and ends it. */
static void print_line(long_bench *bench, const char *name, long_line *line) {
    long_times times;
    double best = 0;
    time_line(bench, line, &times);
    double here = session_median(times.here, LONG_ROUNDS);
    for (size_t way = 0; way < LONG_WAYS; way++) {
        if (line->ways[way] == NULL) continue;
        double way_us = session_median(times.ways[way], LONG_ROUNDS);
        if (best == 0 || way_us < best) best = way_us;
        sqlite3_finalize(line->ways[way]);
    }
    printf("%-34s %12.1f", name, here);
    print_compared(session_median(times.plain, LONG_ROUNDS), here);
    print_compared(session_median(times.table, LONG_ROUNDS), here);
    print_compared(session_median(times.ready, LONG_ROUNDS), here);
    if (best > 0) print_compared(best, here);
    printf("\n");
    fflush(stdout);
    sqlite3_finalize(line->statement);
}

/* ---- passes through SQL ---- */

static const char *metric_of(const long_bench *bench) { return bench->rows.cosine ? "cosine" : "l2"; }

/* Two tables of the first `rows` rows: NAME_vec0, with some columns before and behind v, and NAME_plain. */
static void fill_peer(long_bench *bench, const char *name, const char *before, const char *behind, size_t rows) {
    char insert[128];
    const char *columns = *behind ? "(rowid, v, r, g) VALUES (?1, ?2, ?3, ?4)" : "(rowid, v) VALUES (?1, ?2)";
    if (bench->peer == NULL) return;
    session_run(bench->peer, "DROP TABLE IF EXISTS %s_vec0; DROP TABLE IF EXISTS %s_plain", name, name);
    session_run(bench->peer, "CREATE VIRTUAL TABLE %s_vec0 USING vec0(%s v float[%zu] distance_metric=%s %s)", name,
                before, bench->rows.dimensions, metric_of(bench), behind);
    session_run(bench->peer, "CREATE TABLE %s_plain(id INTEGER PRIMARY KEY, r INTEGER, g INTEGER, v BLOB)", name);
    snprintf(insert, sizeof insert, "INSERT INTO %s_vec0%s", name, columns);
    session_fill(&bench->run, bench->peer, insert, rows);
    snprintf(insert, sizeof insert, "INSERT INTO %s_plain%s", name, columns);
    session_fill(&bench->run, bench->peer, insert, rows);
    session_run(bench->peer, "CREATE INDEX IF NOT EXISTS %s_r ON %s_plain(r)", name, name);
}

static void open_peer(long_bench *bench, const char *extension) {
    if (*extension == 0) return;
    bench->peer = session_open(&bench->run, "long-peer.db", extension);
    session_run(bench->peer, "PRAGMA cache_size = 1000000"); /* pages of all tables */
    if (session_has(bench->peer, "all_plain")) return;
    fill_peer(bench, "parted", "r integer partition key,", ", g integer, chunk_size=512", bench->rows.row_count);
    session_run(bench->peer, "DROP TABLE parted_plain");
    fill_peer(bench, "all", "", ", r integer, g integer", bench->rows.row_count);
}

/* The k nearest, or those within a radius, of the tables NAME_vec0 and all_plain, where a condition holds. */
static void prepare_ways(const long_bench *bench, const char *vec0, const char *plain, const char *where,
                         long_line *line) {
    const char *select = "SELECT id, vec_distance_%s(v, ?1) AS d FROM %s_plain WHERE %s";
    char sql[512];
    if (bench->peer == NULL) return;
    snprintf(sql, sizeof sql, select, metric_of(bench), plain, where);
    line->ways[0] =
        session_prepare(bench->peer, "%s %s", sql, line->within ? "AND d <= ?2 ORDER BY d" : "ORDER BY d LIMIT ?2");
    if (line->k > LONG_VEC0_MOST || line->within) return;
    line->ways[1] = session_prepare(
        bench->peer, "SELECT rowid, distance FROM %s_vec0 WHERE v MATCH ?1 AND k = ?2 AND %s", vec0, where);
}

/* ---- what is asked ---- */

static void print_large(long_bench *bench, const char *how, size_t most) {
    char name[64];
    for (size_t k = 10; k <= most && k <= bench->rows.row_count; k *= 10) {
        long_line line = {.rows = &bench->rows, .k = k};
        line.statement = session_prepare(
            bench->run.db, "SELECT rowid, distance FROM " MODES_TABLE " WHERE v MATCH ?1 AND k = ?2 AND %s", how);
        prepare_ways(bench, "all", "all", "1", &line);
        snprintf(name, sizeof name, "%s, k = %zu", how, k);
        print_line(bench, name, &line);
    }
}

static void print_radius(long_bench *bench) {
    char name[64];
    for (size_t within = 100; within <= 10000 && within <= bench->rows.row_count; within *= 100) {
        long_line line = {.rows = &bench->rows, .within = within};
        line.statement = session_prepare(bench->run.db, "SELECT rowid, distance FROM " MODES_TABLE
                                                        " WHERE v MATCH ?1 AND distance <= ?2");
        prepare_ways(bench, "all", "all", "1", &line);
        snprintf(name, sizeof name, "radius of %zu rows", within);
        print_line(bench, name, &line);
    }
}

static void print_small(long_bench *bench) {
    static const size_t SIZES[LONG_SIZES] = {10, 100, 1000, 5000, 20000};
    sqlite3 *db = session_open(&bench->run, "long.db", bench->run.extension);
    plain_table_add(db, &bench->source);
    for (size_t i = 0; i < LONG_SIZES && SIZES[i] <= bench->rows.row_count; i++) {
        char name[128];
        session_run(db,
                    "DROP TABLE IF EXISTS small; CREATE VIRTUAL TABLE small USING shardex(v float[%zu] "
                    "distance_metric=%s)",
                    bench->rows.dimensions, metric_of(bench));
        session_fill(&bench->run, db, "INSERT INTO small(rowid, v) VALUES (?1, ?2)", SIZES[i]);
        session_run(db, "INSERT INTO small(small) VALUES ('optimize')");
        fill_peer(bench, "small", "", "", SIZES[i]);
        plain_rows rows = plain_take(&bench->run.set, SIZES[i]);
        long_line line = {.rows = &rows, .k = 10};
        line.statement = session_prepare(db, "SELECT rowid, distance FROM small WHERE v MATCH ?1 AND k = ?2");
        prepare_ways(bench, "small", "small", "1", &line);
        snprintf(name, sizeof name, "a table of %zu rows, k = 10", SIZES[i]);
        print_line(bench, name, &line);
        plain_free(&rows);
    }
    session_need(db, sqlite3_close(db));
}

/* The rows of each of MODES_RANDOM partitions side by side: a copy in their order, and what of it belongs to each. */
static plain_rows take_parts(const long_bench *bench, plain_rows *ret_parts) {
    const dataset *from = &bench->run.set;
    size_t dimensions = from->dimensions, first[MODES_RANDOM + 1] = {0}, next[MODES_RANDOM];
    for (size_t row = 0; row < from->row_count; row++) first[bench->run.randoms[row] + 1]++;
    for (size_t part = 0; part < MODES_RANDOM; part++) next[part] = first[part + 1] += first[part];
    dataset set = *from;
    float *copy = need(malloc(from->row_count * dimensions * sizeof *copy));
    set.base = copy;
    for (size_t row = from->row_count; row-- > 0;) {
        size_t to = --next[bench->run.randoms[row]];
        memcpy(copy + to * dimensions, from->base + row * dimensions, dimensions * sizeof *copy);
    }
    plain_rows all = plain_take(&set, from->row_count);
    free(copy);
    for (size_t part = 0; part < MODES_RANDOM; part++) {
        ret_parts[part] = all;
        ret_parts[part].row_count = first[part + 1] - first[part];
        ret_parts[part].vectors += first[part] * dimensions;
        ret_parts[part].squares += first[part];
    }
    return all;
}

static void print_part(long_bench *bench, sqlite3 *db, const char *table, const char *what, long_line line) {
    char name[64];
    line.statement =
        session_prepare(db, "SELECT rowid, distance FROM %s WHERE v MATCH ?1 AND k = ?2 AND r = ?3", table);
    prepare_ways(bench, "parted", "all", "r = ?3", &line);
    snprintf(name, sizeof name, "%s%s", what, line.part == LONG_ANY ? ", others" : "");
    print_line(bench, name, &line);
}

/* One of MODES_RANDOM partitions, and the same rows of an ordinary column; plain gets them side by side. */
static void print_partitions(long_bench *bench) {
    static plain_rows parts[MODES_RANDOM];
    plain_rows all = take_parts(bench, parts);
    sqlite3 *db = session_open(&bench->run, "long.db", bench->run.extension);
    plain_table_add(db, &bench->source);
    session_run(db,
                "DROP TABLE IF EXISTS parted; CREATE VIRTUAL TABLE parted USING shardex(v float[%zu] "
                "distance_metric=%s, r integer partition key, g integer)",
                all.dimensions, metric_of(bench));
    session_fill(&bench->run, db, "INSERT INTO parted(rowid, v, r, g) VALUES (?1, ?2, ?3, ?4)", all.row_count);
    session_run(db, "INSERT INTO parted(parted) VALUES ('optimize')");
    long_line line = {.rows = parts, .k = 10, .parts = MODES_RANDOM, .part = 7};
    for (size_t round = 0; round < 2 && parts[line.part % MODES_RANDOM].row_count > 0; round++, line.part = LONG_ANY) {
        print_part(bench, db, "parted", "one of 1000 partitions", line);
        print_part(bench, bench->run.db, MODES_TABLE, "one of 1000 values", line);
    }
    session_run(db, "DROP TABLE parted");
    session_need(db, sqlite3_close(db));
    plain_free(&all);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 5) fail("usage: long SHARDEX SQLITE_VEC SET_FOLDER WORK_FOLDER");
    long_bench bench = {.run = session_of(arguments[1], arguments[3], arguments[4])};
    size_t rows = bench.run.set.row_count;
    if (bench.run.set.query_count == 0 || rows == 0) fail("an empty set");
    session_draw_columns(&bench.run);
    bench.rows = plain_take(&bench.run.set, rows);
    bench.hits = need(malloc((rows + 1) * sizeof *bench.hits));
    bench.found = need(malloc(rows * sizeof *bench.found));
    session_open_modes(&bench.run);
    plain_table_add(bench.run.db, &bench.source);
    open_peer(&bench, arguments[2]);
    printf("%-34s %12s %12s %8s %12s %8s %12s %8s %12s %8s\n", "search", "shardex, us", "plain, us", "ratio",
           "table, us", "ratio", "SQLite, us", "ratio", "SQL, us", "ratio");
    print_small(&bench);
    print_partitions(&bench);
    print_radius(&bench);
    print_large(&bench, "exact = 1", 100000);
    print_large(&bench, "recall = 0.95", 100000);
    sqlite3_close(bench.peer);
    return sqlite3_close(bench.run.db) != SQLITE_OK;
}
