#include "sql.h"

#include "../unit/battery.h"
#include "shardex.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define SQL_STEPS 300
#define SQL_STEP_OPS 1000

static int sql_steps;
static bool sql_trusted; /* the harness's own SQL may do all */

void fuzz_sql_steps(void) { sql_steps = SQL_STEPS; }

static int sql_progress(void *unused) {
    (void)unused;
    return --sql_steps <= 0;
}

static bool sql_is_among(const char *name, const char *const *names) {
    while (*names && sqlite3_stricmp(name, *names) != 0) names++;
    return *names != NULL;
}

static int sql_authorize(void *unused, int action, const char *first, const char *second, const char *third,
                         const char *fourth) {
    static const char *const functions[] = {"load_extension", "shardex_config", "shardex_backup", "fts3_tokenizer",
                                            "randomblob",     "random",         "zeroblob",       NULL};
    static const char *const pragmas[] = {"integrity_check", "quick_check",  "table_info",        "table_xinfo",
                                          "foreign_keys",    "user_version", "writable_schema",   "secure_delete",
                                          "database_list",   "table_list",   "recursive_triggers", "trusted_schema",
                                          "function_list",   NULL};
    static const char *const files[] = {"shardex_npy", "shardex_fvecs", NULL};
    (void)unused, (void)third, (void)fourth;
    if (sql_trusted) return SQLITE_OK;
    bool denied = action == SQLITE_READ && first && sql_is_among(first, files);
    if (action == SQLITE_FUNCTION) denied = second && sql_is_among(second, functions);
    if (action == SQLITE_PRAGMA) denied = first && !sql_is_among(first, pragmas);
    if (action == SQLITE_ATTACH) denied = !first || (first[0] && strcmp(first, ":memory:") != 0);
    return denied ? SQLITE_DENY : SQLITE_OK;
}

sqlite3 *fuzz_sql_open(const char *path) {
    static const int limits[][2] = {
        {SQLITE_LIMIT_LENGTH, 1 << 18},      {SQLITE_LIMIT_SQL_LENGTH, 1 << 14}, {SQLITE_LIMIT_EXPR_DEPTH, 50},
        {SQLITE_LIMIT_VDBE_OP, 25000},       {SQLITE_LIMIT_COLUMN, 64},          {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 64},
        {SQLITE_LIMIT_COMPOUND_SELECT, 8},   {SQLITE_LIMIT_TRIGGER_DEPTH, 4},    {SQLITE_LIMIT_FUNCTION_ARG, 16},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 1000}};
    sqlite3 *db;
    char *message = NULL;
    fuzz_require(sqlite3_open(path, &db) == SQLITE_OK);
    fuzz_require(sqlite3_shardex_init(db, &message, NULL) == SQLITE_OK);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) sqlite3_limit(db, limits[i][0], limits[i][1]);
    sqlite3_set_authorizer(db, sql_authorize, NULL);
    sqlite3_progress_handler(db, SQL_STEP_OPS, sql_progress, NULL);
    fuzz_sql_steps();
    return db;
}

void fuzz_sql_close(sqlite3 *db) {
    if (!sqlite3_get_autocommit(db)) (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    int rc = sqlite3_close(db);
    sqlite3_stmt *left = rc == SQLITE_OK ? NULL : sqlite3_next_stmt(db, NULL);
    if (rc != SQLITE_OK) fprintf(stderr, "%d: %s: %s\n", rc, sqlite3_errmsg(db), left ? sqlite3_sql(left) : "");
    fuzz_require(rc == SQLITE_OK);
}

void fuzz_sql_judge(sqlite3 *db, int rc, const char *sql) {
    if (getenv("FUZZ_VERBOSE")) fprintf(stderr, "%s\n    %d: %s\n", sql, rc, sqlite3_errmsg(db));
    bool lost = (rc & 0xff) == SQLITE_INTERNAL || (rc & 0xff) == SQLITE_MISUSE || (rc & 0xff) == SQLITE_RANGE;
    if (!lost) return;
    fprintf(stderr, "%s\n%d: %s\n", sql, rc, sqlite3_errmsg(db));
    abort();
}

void fuzz_sql_run(sqlite3 *db, const char *sql) {
    while (sql && *sql) {
        sqlite3_stmt *statement = NULL;
        const char *rest = NULL;
        int rc = sqlite3_prepare_v2(db, sql, -1, &statement, &rest);
        if (rc == SQLITE_OK && statement) {
            while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
                for (int i = 0; i < sqlite3_column_count(statement); i++) (void)sqlite3_column_blob(statement, i);
            }
        }
        fuzz_sql_judge(db, rc, sql);
        sqlite3_finalize(statement);
        if (rest == sql || sql_steps <= 0) break;
        sql = rest;
    }
}

int fuzz_sql_try(sqlite3 *db, const char *sql) {
    fuzz_sql_steps();
    sql_trusted = true;
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sql_trusted = false;
    fuzz_sql_judge(db, rc, sql);
    return rc;
}

void fuzz_sql_must(sqlite3 *db, const char *sql) {
    char *message = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
    if (rc == SQLITE_OK) return;
    fprintf(stderr, "%s\n%d: %s\n", sql, rc, message ? message : "");
    abort();
}

void fuzz_sql_bind(sqlite3_stmt *statement, int parameter, fuzz_input *input) {
    size_t size;
    const uint8_t *bytes;
    double real;
    switch (fuzz_number(input, 1) % 5) {
    case 0: sqlite3_bind_null(statement, parameter); break;
    case 1:
        size = 1 + fuzz_number(input, 1) % 8;
        sqlite3_bind_int64(statement, parameter, (int64_t)(fuzz_number(input, (unsigned)size) << (64 - 8 * size)) >>
                                                     (64 - 8 * size));
        break;
    case 2:
        size = 8;
        uint64_t pattern = fuzz_number(input, 8);
        memcpy(&real, &pattern, sizeof real);
        sqlite3_bind_double(statement, parameter, real);
        break;
    case 3:
        bytes = fuzz_bytes(input, fuzz_number(input, 1), &size);
        sqlite3_bind_text(statement, parameter, size ? (const char *)bytes : "", (int)size, SQLITE_TRANSIENT);
        break;
    default:
        bytes = fuzz_bytes(input, fuzz_number(input, 2) % 1024, &size);
        sqlite3_bind_blob(statement, parameter, size ? (const void *)bytes : "", (int)size, SQLITE_TRANSIENT);
    }
}

void fuzz_sql_make_table(sqlite3 *db) {
    fuzz_sql_must(db, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT);"
                      "WITH RECURSIVE i(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM i WHERE i < 12)"
                      "INSERT INTO t(v, n, s, x) SELECT '[' || i || ',1]', i % 3, 's' || i, 'x' FROM i;"
                      "DELETE FROM t WHERE rowid = 11; UPDATE t SET v = '[9,9]' WHERE rowid = 9");
}

void fuzz_sql_battery(sqlite3 *db, uint64_t which) {
    fuzz_sql_steps();
    fuzz_sql_run(db, BATTERY[which % BATTERY_SIZE]);
}
