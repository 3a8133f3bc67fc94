/* A story: a database in a folder of its own with a table `t`, told through SQL; and what must hold after each. */
#ifndef SHX_TEST_STORY_H
#define SHX_TEST_STORY_H

#include "host.h"

typedef struct story {
    char *folder, *path;
    sqlite3 *db;
} story;

static inline int story_set_up(void **context) {
    story *tale = calloc(1, sizeof *tale);
    assert_non_null(tale);
    tale->folder = host_make_folder();
    tale->path = sqlite3_mprintf("%s/table.db", tale->folder);
    tale->db = host_open(tale->path);
    host_run(tale->db, "PRAGMA synchronous = OFF");
    host_run(tale->db, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
    *context = tale;
    return 0;
}

static inline int story_tear_down(void **context) {
    story *tale = *context;
    host_close(tale->db);
    sqlite3_free(tale->path);
    host_remove_folder(tale->folder);
    free(tale);
    return 0;
}

/* Rows first … last: row i has the vector [i, 0], n = i % 3, s = 's<i>', x = 'x<i>'. */
static inline void fill(sqlite3 *db, const char *table, int first, int last) {
    host_run(db,
             "WITH RECURSIVE i(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM i WHERE i < %d) "
             "INSERT INTO \"%w\"(rowid, v, n, s, x) SELECT i, '[' || i || ',0]', i %% 3, 's' || i, 'x' || i FROM i",
             first, last, table);
}

/* An exact search must give every row, nearest first; and the shadow tables and the index must agree. */
static inline void check_at(sqlite3 *db, const char *table, const char *state, int line) {
    char *sql = sqlite3_mprintf(
        "SELECT rowid, distance FROM \"%w\" WHERE v MATCH '[3.5,1]' AND k = 100000 AND exact = 1", table);
    char *twin = sqlite3_mprintf("SELECT rowid, d FROM (SELECT rowid, vec_distance_l2(v, '[3.5,1]') AS d FROM \"%w\") "
                                 "ORDER BY d, rowid",
                                 table);
    char *rows = host_rows(db, twin);
    host_expect_at(db, sql, rows, line);
    sqlite3_free(sql);
    sqlite3_free(rows);
    sqlite3_free(twin);
    sql = sqlite3_mprintf("SELECT shardex_info('%q') ->> '$.state'", table);
    host_expect_at(db, sql, state, line);
    sqlite3_free(sql);
    if (sqlite3_get_autocommit(db)) host_run(db, "INSERT INTO \"%w\"(\"%w\") VALUES('integrity-check')", table, table);
}
#define check(db, table) check_at(db, table, "current", __LINE__)

/* The same through a connection that knows nothing yet. */
static inline void check_anew_at(const story *tale, const char *table, int line) {
    check_at(tale->db, table, "current", line);
    sqlite3 *db = host_open(tale->path);
    check_at(db, table, "current", line);
    host_close(db);
}
#define check_anew(tale, table) check_anew_at(tale, table, __LINE__)

#define STORY(name) cmocka_unit_test_setup_teardown(name, story_set_up, story_tear_down)

#endif
