/* overhead SHARDEX SET_FOLDER WORK_FOLDER [plain|ready|small|large]: what SQL costs above the engine.
**
** Alone it prints microseconds of CPU a query: ten rows out of an ordinary table, out of a virtual table that has them
** ready (plain_table.h), out of a shardex table of ten rows, and out of the modes' table (session.h), k = 10, recall
** 0.95. With a word it answers OVERHEAD_QUERIES queries of that kind, inside overhead_answer_all, for overhead.py to
** count the instructions of it and of the engine's shx_search, after as many that are not counted. */
#include "plain_table.h"
#include "session.h"

enum { OVERHEAD_QUERIES = 300, OVERHEAD_PASSES = 20, OVERHEAD_KINDS = 4, OVERHEAD_ROWS = 10 };

static const struct {
    const char *name;
    const char *query;
} KINDS[OVERHEAD_KINDS] = {
    {"plain", "SELECT id, length(v) FROM plain WHERE ?1 IS NOT NULL"},
    {"ready", "SELECT rowid, distance FROM plain_table(?1, 10, 2)"},
    {"small", "SELECT rowid, distance FROM small WHERE v MATCH ?1 AND k = 10"},
    {"large", "SELECT rowid, distance FROM " MODES_TABLE " WHERE v MATCH ?1 AND k = 10 AND recall = 0.95"},
};

static void build_small(const session *run) {
    if (session_has(run->db, "small")) return;
    session_run(run->db, "CREATE TABLE plain(id INTEGER PRIMARY KEY, v BLOB)");
    session_run(run->db, "CREATE VIRTUAL TABLE small USING shardex(v float[%zu] distance_metric=%s)",
                run->set.dimensions, run->set.cosine ? "cosine" : "l2");
    session_fill(run, run->db, "INSERT INTO plain VALUES (?1, ?2)", OVERHEAD_ROWS);
    session_fill(run, run->db, "INSERT INTO small(rowid, v) VALUES (?1, ?2)", OVERHEAD_ROWS);
    session_run(run->db, "INSERT INTO small(small) VALUES ('optimize')");
}

/* What the first query of a process and the first look at a row cost is not meant. */
static void warm_up(const session *run, sqlite3_stmt *statement) {
    int64_t row;
    for (size_t i = 0; i < OVERHEAD_QUERIES && i < run->set.query_count; i++) {
        session_bind_vector(run, statement, run->set.queries + i * run->set.dimensions);
        session_rows(statement, 1, &row);
    }
}

/* External, so that it can be named to the counter. */
void overhead_answer_all(const session *run, sqlite3_stmt *statement);
void overhead_answer_all(const session *run, sqlite3_stmt *statement) {
    int64_t rows[ANSWERS];
    for (size_t i = 0; i < OVERHEAD_QUERIES; i++) {
        const float *query = run->set.queries + i % run->set.query_count * run->set.dimensions;
        session_bind_vector(run, statement, query);
        if (session_rows(statement, ANSWERS, rows) != OVERHEAD_ROWS) fail("not ten rows");
    }
}

static void time_kind(const session *run, size_t kind) {
    double passes[OVERHEAD_PASSES];
    sqlite3_stmt *statement = session_prepare(run->db, "%s", KINDS[kind].query);
    warm_up(run, statement);
    for (size_t i = 0; i < OVERHEAD_PASSES; i++) {
        double start = cpu_seconds();
        overhead_answer_all(run, statement);
        passes[i] = 1e6 * (cpu_seconds() - start) / OVERHEAD_QUERIES;
    }
    printf("%s %.2f\n", KINDS[kind].name, session_median(passes, OVERHEAD_PASSES));
    sqlite3_finalize(statement);
}

static void count_kind(const session *run, size_t kind) {
    sqlite3_stmt *statement = session_prepare(run->db, "%s", KINDS[kind].query);
    warm_up(run, statement);
    overhead_answer_all(run, statement);
    sqlite3_finalize(statement);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 4 && argument_count != 5) fail("usage: overhead SHARDEX SET_FOLDER WORK_FOLDER [KIND]");
    session run = session_of(arguments[1], arguments[2], arguments[3]);
    session_open_modes(&run);
    build_small(&run);
    plain_hit hits[OVERHEAD_ROWS] = {{0}};
    plain_source source = {NULL, hits};
    plain_table_add(run.db, &source);
    for (size_t kind = 0; kind < OVERHEAD_KINDS; kind++) {
        if (argument_count == 4) {
            time_kind(&run, kind);
        } else if (strcmp(arguments[4], KINDS[kind].name) == 0) {
            count_kind(&run, kind);
        }
    }
    return sqlite3_close(run.db) != SQLITE_OK;
}
