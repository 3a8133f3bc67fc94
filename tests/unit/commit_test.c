/* SQLite's rules from many sides at once: databases attached twice and detached in use, schemas that change under a
** running query, settings switched on the fly, unusual ways to open a file.
*/
#include "story.h"

static sqlite3 *open_flags(const char *path, int flags) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_URI, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
    return db;
}

/* A query that stands on its first row. */
static sqlite3_stmt *start(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    return statement;
}

/* Steps to the end; how many further rows there were. */
static int finish(sqlite3_stmt *statement) {
    int rows = 0, rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) rows++;
    assert_int_equal(rc, SQLITE_DONE);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    return rows;
}

static void attached_twice(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 20);
    host_run(tale->db, "ATTACH %Q AS again", tale->path);
    host_expect(tale->db, "SELECT rowid FROM again.t WHERE v MATCH '[3,0]' AND k = 1", "3");
    host_run(tale->db, "BEGIN; DELETE FROM main.t WHERE rowid = 3");
    host_refuse(tale->db, SQLITE_BUSY, "DELETE FROM again.t WHERE rowid = 4", "locked");
    host_expect(tale->db, "SELECT rowid FROM main.t WHERE v MATCH '[3,0]' AND k = 1", "2");
    host_expect(tale->db, "SELECT rowid FROM again.t WHERE v MATCH '[3,0]' AND k = 1", "3");
    host_refuse(tale->db, SQLITE_BUSY, "COMMIT", "locked"); /* by our own reading of the other one */
    host_run(tale->db, "ROLLBACK; DELETE FROM main.t WHERE rowid = 3");
    host_expect(tale->db, "SELECT rowid FROM again.t WHERE v MATCH '[3,0]' AND k = 1", "2");
    host_run(tale->db, "DELETE FROM again.t WHERE rowid = 2; DETACH again");
    host_expect(tale->db, "SELECT count(*) FROM t", "18");
    check_anew(tale, "t");
}

static void detached_in_use(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 20);
    host_run(tale->db, "ATTACH '%q/second.db' AS second; CREATE VIRTUAL TABLE second.u USING shardex(v float[2])",
             tale->folder);
    host_run(tale->db, "INSERT INTO second.u(v) VALUES('[1,1]'), ('[2,2]'), ('[3,3]')");
    sqlite3_stmt *query = start(tale->db, "SELECT rowid FROM second.u WHERE v MATCH '[0,0]' AND k = 3");
    host_refuse(tale->db, SQLITE_ERROR, "DETACH second", "locked");
    assert_int_equal(finish(query), 2);
    host_run(tale->db,
             "DETACH second; ATTACH ':memory:' AS second; CREATE VIRTUAL TABLE second.u USING shardex(v float[2])");
    host_expect(tale->db, "SELECT count(*), shardex_info('second.u') ->> '$.directory' FROM second.u", "0|memory");
    host_run(tale->db, "BEGIN; INSERT INTO second.u(v) VALUES('[1,1]')");
    host_refuse(tale->db, SQLITE_ERROR, "DETACH second", "locked");
    host_run(tale->db, "COMMIT; DETACH second");
    check_anew(tale, "t");
}

/* How many mappings and descriptors this process has of files whose path contains a text. */
static int uses_of(const char *text) {
    char line[8192];
    int uses = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) uses += strstr(line, text) != NULL;
    fclose(maps);
    for (int file = 0; file < 1024; file++) {
        snprintf(line, sizeof line, "/proc/self/fd/%d", file);
        char name[4096];
        ssize_t size = readlink(line, name, sizeof name - 1);
        if (size < 0) continue;
        name[size] = '\0';
        uses += strstr(name, text) != NULL;
    }
    return uses;
}

/* The files of a detached database are let go at the next statement, which need not have to do with any of our tables:
** nothing is mapped or open, and locks are free. */
static void detached_is_let_go(void **context) {
    story *tale = *context;
    for (int used = 0; used < 2; used++) {
        host_run(tale->db, "ATTACH '%q/second.db' AS second", tale->folder);
        if (!used) host_run(tale->db, "CREATE VIRTUAL TABLE second.u USING shardex(v float[2], n, s, x)");
        if (!used) fill(tale->db, "u", 1, 400);
        if (!used) host_run(tale->db, "INSERT INTO second.u(u) VALUES('flush')");
        host_expect(tale->db, "SELECT rowid FROM second.u WHERE v MATCH '[1,0]' AND k = 1", "1");
        assert_true(uses_of("second.db-shardex/") > 0);
        host_run(tale->db, "DETACH second");
        host_run(tale->db, "SELECT 1");
        assert_int_equal(uses_of("second.db"), 0);
    }
    check_anew(tale, "t");
}

/* So is the memory of an index that has no files. */
static void detached_memory_is_freed(void **context) {
    story *tale = *context;
    sqlite3_int64 before = 0;
    for (int i = 0; i < 10; i++) {
        host_run(tale->db, "ATTACH ':memory:' AS second");
        host_run(tale->db, "CREATE VIRTUAL TABLE second.u USING shardex(v float[2], n, s, x)");
        fill(tale->db, "u", 1, 2000);
        host_expect(tale->db, "SELECT rowid FROM second.u WHERE v MATCH '[1,0]' AND k = 1", "1");
        host_run(tale->db, "DETACH second");
        host_run(tale->db, "SELECT 1");
        if (i == 0) before = sqlite3_memory_used();
    }
    assert_true(sqlite3_memory_used() < before + 9 * 2000 * 8); /* not even the vectors are there nine times */
    check_anew(tale, "t");
}

/* SQLite refuses the drop in the same connection and, with a rollback journal, in another one; in WAL mode the query
** goes on in its snapshot. */
static void dropped_while_a_cursor_is_open(void **context) {
    static const char *const modes[] = {"DELETE", "WAL"};
    story *tale = *context;
    for (int i = 0; i < 2; i++) {
        host_run(tale->db, "PRAGMA journal_mode = %s", modes[i]);
        fill(tale->db, "t", 1, 20);
        sqlite3 *other = host_open(tale->path);
        sqlite3_stmt *query = start(tale->db, "SELECT rowid, n, s, x FROM t WHERE v MATCH '[0,0]' AND k = 20");
        host_refuse(tale->db, SQLITE_LOCKED, "DROP TABLE t", "locked");
        assert_int_equal(host_try(other, "DROP TABLE t"), i ? SQLITE_OK : SQLITE_BUSY);
        if (i) host_run(other, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
        assert_int_equal(finish(query), 19);
        host_expect(tale->db, "SELECT count(*) FROM t", i ? "0" : "20");
        host_run(tale->db, "DELETE FROM t");
        host_close(other);
    }
    fill(tale->db, "t", 1, 20);
    check_anew(tale, "t");
}

/* Whatever others do to the schema, the index stays open: it is the same one afterwards. */
static void the_schema_changes_under_a_query(void **context) {
    story *tale = *context;
    host_run(tale->db, "PRAGMA journal_mode = WAL");
    fill(tale->db, "t", 1, 30);
    sqlite3 *other = host_open(tale->path);
    for (int i = 0; i < 5; i++) {
        sqlite3_stmt *query = start(tale->db, "SELECT rowid, n, x FROM t WHERE v MATCH '[0,0]' AND k = 30");
        host_run(other, "CREATE TABLE more%d(x); ALTER TABLE t RENAME TO w; ALTER TABLE w RENAME TO t", i);
        host_run(other, "INSERT INTO t(rowid, v) VALUES(%d, '[%d,0]')", 100 + i, 100 + i);
        assert_int_equal(finish(query), 29);
        check(tale->db, "t");
        host_run(tale->db, "BEGIN; INSERT INTO t(rowid, v) VALUES(%d, '[1,1]')", 200 + i);
        host_run(tale->db, "CREATE TABLE own%d(x)", i);
        host_run(tale->db, "DELETE FROM t WHERE rowid = %d; COMMIT", 200 + i);
        check(other, "t");
    }
    host_close(other);
    check_anew(tale, "t");
}

/* Journal mode, synchronous, locking mode and caches are changed between and within transactions. */
static void settings_are_switched(void **context) {
    static const char *const settings[] = {
        "journal_mode = WAL",      "synchronous = FULL",      "journal_mode = DELETE",    "synchronous = EXTRA",
        "journal_mode = TRUNCATE", "synchronous = NORMAL",    "locking_mode = EXCLUSIVE", "journal_mode = PERSIST",
        "synchronous = OFF",       "journal_mode = MEMORY",   "locking_mode = NORMAL",    "cache_size = 5",
        "journal_mode = WAL",      "wal_checkpoint(RESTART)", "locking_mode = EXCLUSIVE", "mmap_size = 100000",
        "journal_mode = OFF",      "locking_mode = NORMAL",   "journal_mode = DELETE",    "secure_delete = ON",
    };
    story *tale = *context;
    fill(tale->db, "t", 1, 30);
    for (int i = 0; i < (int)(sizeof settings / sizeof *settings); i++) {
        host_run(tale->db, "PRAGMA %s", settings[i]);
        host_run(tale->db, "BEGIN; INSERT INTO t(rowid, v) VALUES(%d, '[%d,3]')", 100 + i, i);
        host_try(tale->db, "PRAGMA synchronous = FULL");
        host_run(tale->db, "UPDATE t SET n = %d WHERE rowid = %d; COMMIT", i, 1 + i);
        check(tale->db, "t");
        if (i % 5 == 4) host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    }
    host_run(tale->db, "PRAGMA locking_mode = NORMAL; SELECT count(*) FROM t");
    check_anew(tale, "t");
}

/* A file that cannot change is read through its directory; one without locks is not. */
static void immutable_and_nolock(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 30);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    char *uri = sqlite3_mprintf("file:%s?immutable=1", tale->path);
    sqlite3 *db = open_flags(uri, SQLITE_OPEN_READONLY);
    host_expect(db, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "3");
    host_expect(db, "SELECT shardex_info('t') ->> '$.state', shardex_info('t') ->> '$.segments'", "current|1");
    host_refuse(db, SQLITE_READONLY, "DELETE FROM t", "readonly");
    host_close(db);
    sqlite3_free(uri);
    uri = sqlite3_mprintf("file:%s?nolock=1", tale->path);
    db = open_flags(uri, SQLITE_OPEN_READWRITE);
    host_expect(db, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "3");
    host_expect(db, "SELECT shardex_info('t') ->> '$.directory'", "memory");
    host_run(db, "DELETE FROM t WHERE rowid = 3");
    host_expect(db, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "2");
    host_close(db);
    sqlite3_free(uri);
    host_expect(tale->db, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "2");
    host_run(tale->db, "INSERT INTO t(t) VALUES('rebuild')");
    check_anew(tale, "t");
}

/* Thirty rows, and two connections that share a cache: the tale's own, and the one that is returned. */
static sqlite3 *share_cache(story *tale) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_SHAREDCACHE;
    fill(tale->db, "t", 1, 30);
    host_close(tale->db);
    tale->db = open_flags(tale->path, flags);
    return open_flags(tale->path, flags);
}

/* Connections that share a cache: locks of tables instead of the file's; a reader of what is not committed yet gets an
** answer or is locked out, never an error about damage. */
static void shared_cache(void **context) {
    story *tale = *context;
    sqlite3 *other = share_cache(tale);
    host_expect(other, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "3");
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 3");
    host_expect(other, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "3"); /* from the index alone */
    host_refuse(other, SQLITE_LOCKED, "SELECT n FROM t WHERE v MATCH '[3,0]' AND k = 1", "locked");
    host_refuse(other, SQLITE_LOCKED, "DELETE FROM t WHERE rowid = 4", "locked");
    host_run(other, "PRAGMA read_uncommitted = ON");
    int rc = host_try(other, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1");
    assert_true(rc == SQLITE_OK || (rc & 0xff) == SQLITE_LOCKED);
    host_run(tale->db, "COMMIT");
    host_expect(other, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "2");
    check(other, "t");
    host_close(other);
    check(tale->db, "t");
}

/* A table that, whenever a transaction that wrote to it is committed, lets another connection write to t. */
typedef struct between_table {
    sqlite3_vtab base;
    sqlite3 *other;
} between_table;

static int between_connect(sqlite3 *db, void *other, int count, const char *const *arguments, sqlite3_vtab **ret_table,
                           char **message) {
    (void)count, (void)arguments, (void)message;
    between_table *table = sqlite3_malloc(sizeof *table);
    if (!table) return SQLITE_NOMEM;
    *table = (between_table){.other = other};
    *ret_table = &table->base;
    return sqlite3_declare_vtab(db, "CREATE TABLE between_t(x)");
}

static int between_update(sqlite3_vtab *table, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
    (void)table, (void)count, (void)values, (void)rowid;
    return SQLITE_OK;
}

static int between_begin(sqlite3_vtab *table) {
    (void)table;
    return SQLITE_OK;
}

static int between_commit(sqlite3_vtab *table) {
    host_run(((between_table *)table)->other, "INSERT INTO t(v) VALUES('[3,0.25]')");
    return SQLITE_OK;
}

/* With a shared cache another thread may commit before the first one's tables hear of their commit. */
static void shared_cache_written_between(void **context) {
    static const sqlite3_module module = {.xConnect = between_connect,
                                          .xBestIndex = host_table_has_no_plan,
                                          .xDisconnect = host_table_disconnect,
                                          .xUpdate = between_update,
                                          .xBegin = between_begin,
                                          .xCommit = between_commit};
    story *tale = *context;
    sqlite3 *other = share_cache(tale);
    assert_int_equal(sqlite3_create_module(tale->db, "between_t", &module, other), SQLITE_OK);
    host_expect(other, "SELECT count(*) FROM t", "30");
    for (int i = 0; i < 3; i++) {
        host_run(tale->db, "BEGIN; INSERT INTO between_t VALUES(1); INSERT INTO t(v) VALUES('[9,1]'); COMMIT");
        host_run(tale->db, "INSERT INTO t(v) VALUES('[9,2]')");
        host_expect(tale->db, "SELECT distance FROM t WHERE v MATCH '[3,0.25]' AND k = 1", "0.0");
        check(tale->db, "t");
        check(other, "t");
    }
    host_close(other);
    check_anew(tale, "t");
}

/* Savepoints nested to fifty, with a change in each; every depth is gone back to. */
static void fifty_savepoints(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 10);
    for (int back = 0; back < 50; back += 7) {
        host_run(tale->db, "BEGIN");
        for (int i = 0; i < 50; i++) {
            host_run(tale->db, "SAVEPOINT s%d; INSERT INTO t(rowid, v) VALUES(%d, '[%d,1]')", i, 1000 + i, i);
            if (i % 3 == 0) host_run(tale->db, "DELETE FROM t WHERE rowid = %d", 1000 + i / 2);
        }
        host_run(tale->db, "ROLLBACK TO s%d", back);
        check(tale->db, "t");
        host_run(tale->db, "INSERT INTO t(rowid, v) VALUES(5000, '[9,9]')");
        check(tale->db, "t");
        host_run(tale->db, back % 2 ? "COMMIT" : "ROLLBACK");
        check(tale->db, "t");
        host_run(tale->db, "DELETE FROM t WHERE rowid >= 1000");
    }
    check_anew(tale, "t");
}

/* Savepoints that come and go while the table is dropped are not announced to it: numbers repeat and mean others. */
static void savepoints_around_a_drop(void **context) {
    story *tale = *context;
    static const char *const between[] = {
        "ROLLBACK TO d; RELEASE d",
        "ROLLBACK TO d",
        "ROLLBACK TO d; RELEASE a; SAVEPOINT x; SAVEPOINT y",
        "ROLLBACK TO d; RELEASE a; SAVEPOINT x",
        "ROLLBACK TO a; RELEASE a; SAVEPOINT x; SAVEPOINT y",
        "ROLLBACK TO a",
    };
    static const char *const after[] = {"ROLLBACK TO z", "ROLLBACK TO y", "ROLLBACK TO x",
                                        "ROLLBACK TO a", "ROLLBACK TO d", "SELECT 1"};
    for (int i = 0; i < 36; i++) {
        host_run(tale->db, "DELETE FROM t");
        fill(tale->db, "t", 1, 9);
        host_run(tale->db,
                 "BEGIN; DELETE FROM t WHERE rowid = 1; SAVEPOINT a; DELETE FROM t WHERE rowid = 2;"
                 "SAVEPOINT d; DROP TABLE t; %s; DELETE FROM t WHERE rowid = 3; SAVEPOINT z;"
                 "INSERT OR REPLACE INTO t(rowid, v) VALUES(4, '[4,5]'), (40, '[4,5]')",
                 between[i / 6]);
        (void)host_try(tale->db, "INSERT INTO t(rowid, v) VALUES(41, '[1,2]'), (4, '[1,2]')"); /* there is a 4 */
        check(tale->db, "t");
        (void)host_try(tale->db, "%s", after[i % 6]); /* of which not all are open */
        check(tale->db, "t");
        host_run(tale->db, "DELETE FROM t WHERE rowid = 5; COMMIT");
        check(tale->db, "t");
        host_run(tale->db, "INSERT INTO t(t) VALUES('integrity-check')");
        check_anew(tale, "t");
    }
}

/* A table that is renamed joins again under its new name, in a savepoint that was opened before its first operation. */
static void savepoints_around_a_rename(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 9);
    for (int i = 0; i < 4; i++) {
        host_run(tale->db,
                 "BEGIN; SAVEPOINT a; UPDATE t SET n = 7 WHERE rowid < 4; UPDATE t SET v = '[7,7]' WHERE n = 7;"
                 "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t; DELETE FROM t WHERE rowid = 5");
        check(tale->db, "t");
        host_run(tale->db, i % 2 ? "ROLLBACK TO a" : "SAVEPOINT b; DELETE FROM t WHERE rowid = 6; ROLLBACK TO a");
        check(tale->db, "t");
        host_run(tale->db, "DELETE FROM t WHERE rowid = %d", 9 - i);
        check(tale->db, "t");
        host_run(tale->db,
                 i < 2 ? "COMMIT" : "RELEASE a; SAVEPOINT c; DELETE FROM t WHERE rowid = 1; ROLLBACK TO c; COMMIT");
        check_anew(tale, "t");
    }
}

/* The header of a file comes last: what its first transaction spills before leaves a hole there. That is no sign of an
** encrypted database, and one table must not come to have two states when the hole is filled. */
static void made_behind_a_hole(void **context) {
    story *tale = *context;
    char *path = sqlite3_mprintf("%s/hole.db", tale->folder);
    sqlite3 *db = host_open(path);
    host_run(db, "PRAGMA cache_size = 2; BEGIN; CREATE TABLE filler(b); INSERT INTO filler VALUES(zeroblob(100000));"
                 "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
    fill(db, "t", 1, 9);
    host_run(db, "COMMIT");
    host_expect(db, "SELECT shardex_info('t') ->> '$.directory' <> 'memory'", "1");
    check(db, "t");
    host_close(db);
    sqlite3_free(path);
}

/* Whether a directory may stand beside the file is told once: when that changes in a transaction, a table that is
** renamed still joins what it has begun. */
static void another_place_in_a_transaction(void **context) {
    story *tale = *context;
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(tale->path, &db, SQLITE_OPEN_READWRITE, "unix-none"), SQLITE_OK);
    assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
    fill(db, "t", 1, 9);
    host_run(db, "BEGIN; UPDATE t SET v = '[7,7]' WHERE rowid < 3; SAVEPOINT a; DELETE FROM t WHERE rowid = 4;"
                 "SAVEPOINT b; SELECT shardex_config('any_vfs', 1);"
                 "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t; DELETE FROM t WHERE rowid = 5");
    check(db, "t");
    host_run(db, "ROLLBACK TO a; DELETE FROM t WHERE rowid = 6");
    check(db, "t");
    host_run(db, "COMMIT; SELECT shardex_config('any_vfs', 0)");
    check(db, "t");
    host_expect(db, "SELECT shardex_info('t') ->> '$.directory', count(*) FROM t", "memory|8");
    host_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(attached_twice),
        STORY(detached_in_use),
        STORY(detached_is_let_go),
        STORY(detached_memory_is_freed),
        STORY(dropped_while_a_cursor_is_open),
        STORY(the_schema_changes_under_a_query),
        STORY(settings_are_switched),
        STORY(immutable_and_nolock),
        STORY(shared_cache),
        STORY(shared_cache_written_between),
        STORY(fifty_savepoints),
        STORY(savepoints_around_a_drop),
        STORY(savepoints_around_a_rename),
        STORY(made_behind_a_hole),
        STORY(another_place_in_a_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
