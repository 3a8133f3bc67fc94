/* A host of the extension for tests: connections, files in a folder of their own, SQL that must work or must fail. */
#ifndef SHX_TEST_HOST_H
#define SHX_TEST_HOST_H

#include "../../ext/sqlite_api.h"

#include "../../engine/shardex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Opens a database with the extension. */
static inline sqlite3 *host_open(const char *path) {
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_shardex_init(db, &message, NULL), SQLITE_OK);
    return db;
}

static inline void host_close(sqlite3 *db) { assert_int_equal(sqlite3_close(db), SQLITE_OK); }

/* Runs SQL (a format of sqlite3_mprintf) and returns its code. */
static inline int host_try(sqlite3 *db, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc;
}

/* Runs SQL that must work. */
static inline void host_run(sqlite3 *db, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    char *message = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
    if (rc != SQLITE_OK) fail_msg("%s\n    failed with %d: %s", sql, rc, message ? message : "");
    sqlite3_free(sql);
}

/* The rows of a query as text: columns by '|', rows by ' '; sqlite3_free. "!message" when it fails. */
static inline char *host_rows(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL)) return sqlite3_mprintf("!%s", sqlite3_errmsg(db));
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "");
    int rc;
    for (int row = 0; (rc = sqlite3_step(statement)) == SQLITE_ROW; row++) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *value = (const char *)sqlite3_column_text(statement, i);
            sqlite3_str_appendf(text, "%s%s", i ? "|" : row ? " " : "", value ? value : "NULL");
        }
    }
    if (rc != SQLITE_DONE) sqlite3_str_appendf(text, "!%s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    char *rows = sqlite3_str_finish(text);
    return rows ? rows : sqlite3_mprintf("");
}

static inline void host_expect_at(sqlite3 *db, const char *sql, const char *expected, int line) {
    char *rows = host_rows(db, sql);
    if (strcmp(rows, expected) != 0)
        fail_msg("line %d: %s\n    gave     %s\n    expected %s", line, sql, rows, expected);
    sqlite3_free(rows);
}

/* The query's rows must be these. */
#define host_expect(db, sql, expected) host_expect_at(db, sql, expected, __LINE__)

/* SQL must fail with this primary or extended code; the text holds `message`. */
static inline void host_refuse_at(sqlite3 *db, int code, const char *sql, const char *message, int line) {
    char *text = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &text);
    if ((rc & 0xff) != (code & 0xff) || !text || !strstr(text, message)) {
        fail_msg("line %d: %s\n    gave code %d: %s", line, sql, rc, text ? text : "");
    }
    sqlite3_free(text);
}
#define host_refuse(db, code, sql, message) host_refuse_at(db, code, sql, message, __LINE__)

/* A new folder for databases; host_remove_folder deletes a folder with all that is inside, and frees its path. */
static inline char *host_make_folder(void) {
    const char *parent = getenv("TMPDIR");
    char *path = sqlite3_mprintf("%s/shardex-test-XXXXXX", parent && parent[0] ? parent : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void host_remove_folder(char *path) {
    char *command = sqlite3_mprintf("rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    sqlite3_free(command);
    sqlite3_free(path);
}

/* Pseudo-random numbers (splitmix64), the same on every machine. */
static inline uint64_t host_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* xDisconnect of a test's own module, whose tables sqlite3_malloc has made. */
static inline int host_table_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

/* xBestIndex of a test's own module, whose tables nobody reads. */
static inline int host_table_has_no_plan(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table, (void)info;
    return SQLITE_CONSTRAINT;
}

#endif
