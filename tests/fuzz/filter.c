/* Column values and predicates through SQL: a shardex table admits the rows that an ordinary table with the same values
** and the same conditions admits.
**
** An input: rows (a byte, modulo 12) of two values (sql.h), then conditions, each which one (a byte) and two values.
*/
#include "sql.h"

#include <stdlib.h>
#include <string.h>

static const char *const CONDITIONS[] = {
    "n = ?1",
    "n < ?1",
    "n >= ?1 AND n <= ?2",
    "n IN (?1, ?2)",
    "n IS NULL",
    "n IS NOT ?1",
    "n != ?1 AND s > ?2",
    "s = ?1",
    "s BETWEEN ?1 AND ?2",
    "s IN (?1, ?2, 'a')",
    "s LIKE ?1",
    "s GLOB ?1 AND n IS NOT NULL",
    "(n = ?1 OR s = ?2)",
    "rowid IN (?1, ?2)",
    "rowid > ?1 AND s <= ?2",
    "n IS ?1 AND s IS ?2",
    "r = ?1",
    "r < ?1 OR b = ?2",
    "b >= ?1",
    "b IN (?1, ?2) AND r IS NOT NULL",
    "r BETWEEN ?1 AND ?2",
    "x = ?1",
    "x < ?1 AND n > ?2",
};

#define CONDITION_COUNT (sizeof CONDITIONS / sizeof *CONDITIONS)

typedef struct filter_state {
    sqlite3 *db;
    sqlite3_stmt *put, *put_twin, *ours[CONDITION_COUNT], *twins[CONDITION_COUNT];
} filter_state;

static sqlite3_stmt *prepare(sqlite3 *db, const char *format, const char *condition) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf(format, condition);
    fuzz_sql_judge(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL) ? SQLITE_INTERNAL : SQLITE_OK, sql);
    sqlite3_free(sql);
    return statement;
}

static void open_tables(filter_state *state) {
    state->db = fuzz_sql_open(":memory:");
    /* GLOB fails with a longer pattern if it is asked: the scan's never is, SQLite's only for rows that it comes to. */
    sqlite3_limit(state->db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1 << 14);
    fuzz_sql_must(state->db, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, r REAL, b, +x)");
    fuzz_sql_must(state->db, "CREATE TABLE twin(n INTEGER, s TEXT, r REAL, b, x)");
    state->put = prepare(state->db, "INSERT INTO t(v, n, s, r, b, x) VALUES('[1,1]', ?1, ?2, ?1, ?2, ?1)%s", "");
    state->put_twin = prepare(state->db, "INSERT INTO twin(n, s, r, b, x) VALUES(?1, ?2, ?1, ?2, ?1)%s", "");
    for (size_t i = 0; i < CONDITION_COUNT; i++) {
        state->ours[i] =
            prepare(state->db, "SELECT rowid FROM t WHERE v MATCH '[1,2]' AND k = 100 AND (%s) ORDER BY rowid",
                    CONDITIONS[i]);
        state->twins[i] = prepare(state->db, "SELECT rowid FROM twin WHERE (%s) ORDER BY rowid", CONDITIONS[i]);
    }
}

/* The rowids that come, as a mask. */
static int rows_of(filter_state *state, sqlite3_stmt *statement, fuzz_input input, uint64_t *ret_rows) {
    int rc;
    *ret_rows = 0;
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) fuzz_sql_bind(statement, i, &input);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *ret_rows |= UINT64_C(1) << (sqlite3_column_int64(statement, 0) & 63);
    }
    fuzz_sql_judge(state->db, rc, sqlite3_sql(statement));
    sqlite3_reset(statement);
    return rc;
}

static void put_row(filter_state *state, fuzz_input *input) {
    fuzz_input again = *input;
    for (int i = 1; i <= 2; i++) fuzz_sql_bind(state->put, i, input);
    for (int i = 1; i <= 2; i++) fuzz_sql_bind(state->put_twin, i, &again);
    int rc = sqlite3_step(state->put), twin = sqlite3_step(state->put_twin);
    fuzz_sql_judge(state->db, rc == twin ? rc : SQLITE_INTERNAL, "INSERT");
    sqlite3_reset(state->put);
    sqlite3_reset(state->put_twin);
}

static void compare(filter_state *state, size_t which, const fuzz_input *input) {
    uint64_t ours, twins;
    int rc = rows_of(state, state->ours[which], *input, &ours);
    int twin = rows_of(state, state->twins[which], *input, &twins);
    if (rc == SQLITE_INTERRUPT || twin == SQLITE_INTERRUPT) return;
    if (rc != twin || ours != twins) fuzz_sql_judge(state->db, SQLITE_INTERNAL, CONDITIONS[which]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static filter_state state;
    fuzz_input input = {data, size};
    fuzz_setup();
    if (!state.db) open_tables(&state);
    fuzz_sql_steps();
    fuzz_sql_must(state.db, "BEGIN");
    for (uint64_t rows = fuzz_number(&input, 1) % 12; rows > 0; rows--) put_row(&state, &input);
    for (int i = 0; i < 6 && input.left > 0; i++) {
        size_t which = fuzz_number(&input, 1) % CONDITION_COUNT;
        compare(&state, which, &input);
        size_t skipped;
        (void)fuzz_bytes(&input, 4, &skipped); /* the next ones read other values, some of them the same bytes */
    }
    fuzz_sql_must(state.db, sqlite3_get_autocommit(state.db) ? "" : "ROLLBACK");
    fuzz_require((uint64_t)sqlite3_memory_highwater(1) <= FUZZ_MEMORY_MAX);
    return 0;
}
