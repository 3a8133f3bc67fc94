/* A story whose table `t` has an ordinary twin of the name `twin`, which goes through the same; afterwards both hold
** the same rows.
*/
#ifndef SHX_TEST_STORY_TWIN_H
#define SHX_TEST_STORY_TWIN_H

#include "story.h"

#define STORY_COLUMNS "(rowid, v, n, s, x)"

static inline void make_twin(sqlite3 *db) {
    host_run(db, "CREATE TABLE twin(id INTEGER PRIMARY KEY, v BLOB, n INTEGER, s TEXT, x TEXT)");
}

/* The same for both; the codes must be the same. Returns the primary code. */
static inline int both(sqlite3 *db, const char *on_table, const char *on_twin) {
    int rc = host_try(db, "%s", on_table) & 0xff;
    char *message = sqlite3_mprintf("%s", sqlite3_errmsg(db));
    int twin = host_try(db, "%s", on_twin) & 0xff;
    if (rc != twin) fail_msg("%s\n    gave %d (%s), and %d for the twin", on_table, rc, message, twin);
    sqlite3_free(message);
    return rc;
}

/* Rows first … last for both. */
static inline int both_fill(sqlite3 *db, int first, int last) {
    static const char rows[] =
        "WITH RECURSIVE i(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM i WHERE i < %d) INSERT OR REPLACE INTO %s "
        "SELECT i, vec_f32('[' || i || ',0]'), i %% 3, 's' || i, 'x' || i FROM i";
    char *own = sqlite3_mprintf(rows, first, last, "t" STORY_COLUMNS),
         *twin = sqlite3_mprintf(rows, first, last, "twin");
    int rc = both(db, own, twin);
    sqlite3_free(own);
    sqlite3_free(twin);
    return rc;
}

/* The table holds what the twin holds, and finds it. */
static inline void same(sqlite3 *db) {
    char *rows = host_rows(db, "SELECT id, v, n, s, x FROM twin ORDER BY id");
    host_expect(db, "SELECT rowid, v, n, s, x FROM t ORDER BY rowid", rows);
    sqlite3_free(rows);
    rows = host_rows(db, "SELECT id FROM twin ORDER BY vec_distance_l2(v, '[3.5,1]'), id");
    host_expect(db, "SELECT rowid FROM t WHERE v MATCH '[3.5,1]' AND k = 100000 AND exact = 1", rows);
    sqlite3_free(rows);
}

/* And so for who opens the database anew; a writer makes the index current. */
static inline void same_anew(const story *tale) {
    same(tale->db);
    sqlite3 *db = host_open(tale->path);
    same(db);
    assert_int_equal(both_fill(db, 7001, 7003), SQLITE_OK);
    same(db);
    host_run(db, "INSERT INTO t(t) VALUES('rebuild'); INSERT INTO t(t) VALUES('integrity-check')");
    host_expect(db, "SELECT shardex_info('t') ->> '$.state'", "current");
    host_expect(db, "PRAGMA integrity_check", "ok");
    host_close(db);
    same(tale->db);
}

#endif
