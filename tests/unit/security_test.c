/* Hostile and exhausted surroundings: shadow tables that somebody rewrote, schemas that lie, views and triggers that
** call us, limits of memory and length. Right answers or a clear error, never a crash; reading writes nothing.
*/
#include "story.h"

#include "battery.h"
#include "faulty_store.h"

#define ROWS 40

/* ---- hostile rows ---- */

/* What an SQL statement may come to over damaged tables. The rest says that we lost our way. */
static bool is_decent(int rc) {
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ERROR:
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_LOCKED:
    case SQLITE_ABORT: return true;
    default: return false;
    }
}

static void run_decent(sqlite3 *db, const char *sql, const char *what) {
    char *message = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
    bool empty = rc != SQLITE_OK && (!message || !message[0]);
    if (!is_decent(rc) || empty) fail_msg("%s\n    then %s\n    gave %d: %s", what, sql, rc, message ? message : "");
    sqlite3_free(message);
}

/* Everything in order, and another search before the table is dropped. */
static void run_battery(const char *path, const char *what) {
    sqlite3 *db = host_open(path);
    host_run(db, "PRAGMA synchronous = OFF");
    for (size_t i = 0; i < BATTERY_SIZE; i++) {
        if (i + 1 == BATTERY_SIZE) run_decent(db, BATTERY[0], what);
        run_decent(db, BATTERY[i], what);
    }
    if (!sqlite3_get_autocommit(db)) host_run(db, "ROLLBACK");
    host_close(db);
}

/* Copies the story's database to `path`, with or without its directory. */
static void copy_story(const story *tale, const char *path, bool directory) {
    char *command =
        sqlite3_mprintf("rm -rf '%q' '%q-shardex' '%q-journal'; cp '%q' '%q'; %s cp -r '%q-shardex' '%q-shardex'", path,
                        path, path, tale->path, path, directory ? "" : "true ||", tale->path, path);
    assert_int_equal(system(command), 0);
    sqlite3_free(command);
}

/* Does something to the shadow tables of a copy and lets the battery loose on it; skipped when SQLite refuses it. */
static void attack_with(const story *tale, const char *sql, bool directory) {
    char *path = sqlite3_mprintf("%s/copy.db", tale->folder);
    sqlite3 *db;
    copy_story(tale, path, directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK); /* without the extension */
    host_run(db, "PRAGMA synchronous = OFF");
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    if (rc == SQLITE_OK) run_battery(path, sql);
    if (rc != SQLITE_OK && rc != SQLITE_CONSTRAINT && rc != SQLITE_MISMATCH) fail_msg("%s: %d", sql, rc);
    sqlite3_free(path);
}

static void attack(const story *tale, const char *sql) {
    attack_with(tale, sql, false);
    attack_with(tale, sql, true);
}

static const char *const VALUES[] = {"NULL",
                                     "-1",
                                     "9223372036854775807",
                                     "1e300",
                                     "''",
                                     "'text'",
                                     "x''",
                                     "x'00000000'",
                                     "zeroblob(16)",
                                     "randomblob(8)",
                                     "randomblob(16)",
                                     "x'0000c07f0000807f'",
                                     "zeroblob(300000)",
                                     "randomblob(5000)"};

/* The shadow tables and their columns; `%` is every column. */
static const struct {
    const char *table, *columns[9];
} SHADOWS[] = {
    {"t_state", {"id", "uuid", "commit_id", "format", "operations", "ring"}},
    {"t_rows", {"id", "vector_hash", "column_hash", "c0", "c1"}},
    {"t_vectors", {"id", "vector"}},
    {"t_aux", {"id", "a0"}},
};
#define SHADOW_COUNT (sizeof SHADOWS / sizeof *SHADOWS)

static void close_story(story *tale) {
    fill(tale->db, "t", 1, ROWS);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush'); DELETE FROM t WHERE rowid = 7");
    check(tale->db, "t");
    host_close(tale->db);
}

/* `loosely`: the table was made anew without types, keys and constraints first. */
static void attack_values(story *tale, bool loosely, bool all_rows) {
    for (size_t s = 0; s < SHADOW_COUNT; s++) {
        const char *table = SHADOWS[s].table;
        char *prefix = sqlite3_mprintf("CREATE TABLE z AS SELECT * FROM %s; DROP TABLE %s; ALTER TABLE z RENAME TO %s;",
                                       table, table, table);
        for (int c = 0; SHADOWS[s].columns[c]; c++) {
            for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
                char *sql = sqlite3_mprintf("%s UPDATE %s SET %s = %s WHERE %s", loosely ? prefix : "", table,
                                            SHADOWS[s].columns[c], VALUES[i], all_rows ? "1" : "id < 3");
                attack_with(tale, sql, (i + (size_t)c) % 2);
                sqlite3_free(sql);
            }
        }
        sqlite3_free(prefix);
    }
}

static void values_of_any_kind_in_shadow_rows(void **context) {
    story *tale = *context;
    close_story(tale);
    attack_values(tale, false, false);
    tale->db = host_open(tale->path);
}

static void values_of_any_kind_in_tables_without_types(void **context) {
    story *tale = *context;
    close_story(tale);
    attack_values(tale, true, true);
    tale->db = host_open(tale->path);
}

static void shadow_tables_that_are_something_else(void **context) {
    static const char *const changes[] = {
        "DROP TABLE %s",
        "DELETE FROM %s",
        "ALTER TABLE %s RENAME TO z; CREATE VIEW %s AS SELECT * FROM z",
        "DROP TABLE %s; CREATE TABLE %s(id INTEGER PRIMARY KEY)",
        "DROP TABLE %s; CREATE TABLE %s(a, b, c)",
        "CREATE TABLE z AS SELECT * FROM %s; DROP TABLE %s; CREATE TABLE %s(id TEXT PRIMARY KEY, uuid, commit_id, "
        "format, "
        "operations, ring, vector_hash, column_hash, c0, c1, vector, a0) WITHOUT ROWID",
        "ALTER TABLE %s ADD COLUMN more DEFAULT 'x'",
        "CREATE TRIGGER z AFTER INSERT ON %s BEGIN DELETE FROM %s; END",
        "CREATE TRIGGER z BEFORE UPDATE ON %s BEGIN SELECT raise(ABORT, 'hostile'); END",
        "CREATE TRIGGER z AFTER INSERT ON %s BEGIN SELECT raise(IGNORE); END",
        "CREATE TRIGGER z AFTER DELETE ON %s BEGIN INSERT INTO t(v) VALUES('[1,1]'); END",
        "CREATE TRIGGER z AFTER UPDATE ON %s BEGIN DELETE FROM t; END",
        "CREATE UNIQUE INDEX z ON %s(1)",
    };
    story *tale = *context;
    close_story(tale);
    for (size_t s = 0; s < SHADOW_COUNT; s++) {
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
            const char *table = SHADOWS[s].table;
            char *sql = sqlite3_mprintf(changes[i], table, table, table);
            attack(tale, sql);
            sqlite3_free(sql);
        }
    }
    tale->db = host_open(tale->path);
}

/* The CREATE statement in the schema says something else than the tables hold. */
static void a_schema_that_lies(void **context) {
    static const char *const declarations[] = {
        "v float[3], n INTEGER, s TEXT, +x TEXT",
        "v float[65535], n INTEGER, s TEXT, +x TEXT",
        "v float[1], n INTEGER, s TEXT, +x TEXT",
        "v float[2] distance_metric=cosine, n INTEGER, s TEXT, +x TEXT",
        "v float[2]",
        "v float[2], n, s, m, o, +x, +y, +z",
        "v float[2], n TEXT NOT NULL, s INTEGER, +x",
        "v float[2], n INTEGER, s TEXT, +x TEXT, memory_only=1",
        "v int8[2], n INTEGER, s TEXT, +x TEXT",
        "v float[2], n INTEGER, s TEXT, +x TEXT, shard_size=1000000",
        "nonsense",
        "",
    };
    story *tale = *context;
    close_story(tale);
    for (size_t i = 0; i < sizeof declarations / sizeof *declarations; i++) {
        char *sql =
            sqlite3_mprintf("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE t USING "
                            "shardex(%s)' WHERE name = 't'",
                            declarations[i]);
        attack(tale, sql);
        sqlite3_free(sql);
    }
    tale->db = host_open(tale->path);
}

/* Shapes of a second table; the last ones have what an index of the first one would not know. */
static const char *const SHAPES[] = {
    "v float[2], n INTEGER, s TEXT, +x TEXT",
    "v float[2]",
    "v float[2], a, b, c, d, +x TEXT, +y, +z",
    "v float[2] distance_metric=cosine, n INTEGER, s TEXT, +x TEXT",
    "v float[40], n INTEGER, s TEXT, +x TEXT",
    "v int8[2], n INTEGER, s TEXT, +x TEXT",
    "v float[2], n INTEGER, s TEXT, +x TEXT, router=graph, memory_only=1",
};

/* Rows first … last of a second table: row i has the vector [-i, 1, 0, 0, …]. */
static int fill_second(sqlite3 *db, const char *shape, int first, int last) {
    const char *zeros = strstr(shape, "[40]") ? "',1' || replace(hex(zeroblob(19)), '00', ',0,0')" : "',1'";
    return host_try(db,
                    "WITH RECURSIVE i(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM i WHERE i < %d) "
                    "REPLACE INTO u(rowid, v) SELECT i, %s('[' || -i || %s || ']') FROM i",
                    first, last, strstr(shape, "int8") ? "vec_int8" : "vec_f32", zeros);
}

static void expect_second(sqlite3 *db) {
    char *rows = host_rows(db, "SELECT rowid FROM u ORDER BY rowid");
    host_expect(db,
                "SELECT rowid FROM (SELECT rowid FROM u WHERE v MATCH (SELECT v FROM u ORDER BY rowid LIMIT 1) "
                "AND k = 1000) ORDER BY rowid",
                rows);
    host_expect(db, "SELECT rowid FROM u WHERE v MATCH (SELECT v FROM u WHERE rowid = 15) AND k = 1", "15");
    sqlite3_free(rows);
    if (sqlite3_get_autocommit(db)) host_run(db, "INSERT INTO u(u) VALUES('integrity-check')");
}

/* The first table has all its rows, nearest first; how far its index is does not matter. */
static void expect_first(sqlite3 *db) {
    char *rows = host_rows(db, "SELECT rowid FROM t ORDER BY vec_distance_l2(v, '[3.5,1]'), rowid");
    host_expect(db, "SELECT rowid FROM t WHERE v MATCH '[3.5,1]' AND k = 1000 AND exact = 1", rows);
    sqlite3_free(rows);
    if (sqlite3_get_autocommit(db)) host_run(db, "INSERT INTO t(t) VALUES('integrity-check')");
}

/* Two state rows that name one index, as somebody copied the name, or chance repeated itself: each table keeps its own
** rows, also in one transaction and after it got another name. */
static void two_tables_that_say_they_are_one(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 40);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        host_run(tale->db,
                 "CREATE VIRTUAL TABLE u USING shardex(%s); "
                 "UPDATE u_state SET uuid = (SELECT uuid FROM t_state)",
                 SHAPES[i]);
        for (int round = 0; round < 3; round++) {
            sqlite3 *db = round == 1 ? host_open(tale->path) : tale->db;
            assert_int_equal(fill_second(db, SHAPES[i], 10, 20 + round), SQLITE_OK);
            host_run(db, "BEGIN; DELETE FROM t WHERE rowid = 30; SAVEPOINT a");
            assert_int_equal(fill_second(db, SHAPES[i], 12, 30), SQLITE_OK);
            host_run(db, "DELETE FROM t WHERE rowid = 12");
            expect_first(db);
            expect_second(db);
            host_run(db, round
                             ? "ROLLBACK TO a; ALTER TABLE t RENAME TO w; INSERT INTO w(rowid, v) VALUES(30, '[1,0]');"
                               "ALTER TABLE w RENAME TO t; DELETE FROM u WHERE rowid = 16"
                             : "INSERT INTO t(rowid, v) VALUES(12, '[1,2]'), (30, '[2,1]')");
            expect_first(db);
            expect_second(db);
            host_run(db, "COMMIT");
            expect_first(db);
            expect_second(db);
            host_run(db, "INSERT INTO u(u) VALUES('%s'); INSERT INTO t(t) VALUES('%s')", round ? "optimize" : "flush",
                     round == 2 ? "rebuild" : "flush");
            if (db != tale->db) host_close(db);
            expect_first(tale->db);
            expect_second(tale->db);
        }
        host_run(tale->db, "DROP TABLE u; INSERT INTO t(t) VALUES('rebuild')");
        check_anew(tale, "t");
    }
}

/* The whole row of another table: the index is not of this one, and perhaps of another shape. */
static void the_state_row_of_another_table(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, ROWS);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush'); DELETE FROM t WHERE rowid = 7");
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        for (int flushed = 0; flushed < 2; flushed++) {
            host_run(tale->db, "DROP TABLE IF EXISTS u; CREATE VIRTUAL TABLE u USING shardex(%s)", SHAPES[i]);
            assert_int_equal(fill_second(tale->db, SHAPES[i], 3, 20), SQLITE_OK);
            if (flushed) host_run(tale->db, "INSERT INTO u(u) VALUES('optimize')");
            host_close(tale->db);
            attack(tale, "UPDATE t_state SET (uuid, commit_id, operations, ring) = "
                         "(SELECT uuid, commit_id, operations, ring FROM u_state)");
            attack(tale, "UPDATE t_state SET (uuid, commit_id) = (SELECT uuid, commit_id FROM u_state)");
            attack(tale, "UPDATE t_state SET uuid = (SELECT uuid FROM u_state)");
            attack(tale, "UPDATE t_state SET commit_id = (SELECT commit_id FROM u_state)");
            tale->db = host_open(tale->path);
        }
    }
}

/* ---- who may call us ---- */

static void trusted_schema_matrix(void **context) {
    static const struct {
        const char *use;
        bool trusted, untrusted; /* whether a view may, with trusted_schema on and off */
    } uses[] = {
        {"SELECT vec_distance_l2('[1,2]', '[1,3]')", true, true},
        {"SELECT vec_to_json(vec_f32('[1,2]')), vec_length('[1,2]')", true, true},
        {"SELECT shardex_version()", true, true},
        {"SELECT count(*) FROM t", true, false},
        {"SELECT rowid FROM t WHERE v MATCH '[1,2]' AND k = 1", true, false},
        {"SELECT shardex_info('t')", false, false},
        {"SELECT shardex_recall('t')", false, false},
        {"SELECT shardex_catch_up('t')", false, false},
        {"SELECT shardex_backup('stolen.db')", false, false},
        {"SELECT shardex_config('any_vfs', 1)", false, false},
    };
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        host_run(tale->db, "DROP VIEW IF EXISTS w; CREATE VIEW w AS %s", uses[i].use);
        for (int trusted = 0; trusted < 2; trusted++) {
            host_run(tale->db, "PRAGMA trusted_schema = %d", trusted);
            int rc = host_try(tale->db, "SELECT * FROM w");
            bool allowed = trusted ? uses[i].trusted : uses[i].untrusted;
            if ((rc == SQLITE_OK) != allowed) fail_msg("%s, trusted %d: %d", uses[i].use, trusted, rc);
        }
    }
    host_run(tale->db,
             "CREATE TABLE u(a); CREATE TRIGGER w AFTER INSERT ON u BEGIN INSERT INTO t(v) VALUES(new.a); END");
    host_run(tale->db, "PRAGMA trusted_schema = ON; INSERT INTO u VALUES('[8,8]'); PRAGMA trusted_schema = OFF");
    host_refuse(tale->db, SQLITE_ERROR, "INSERT INTO u VALUES('[9,9]')", "unsafe use of virtual table");
    host_run(tale->db, "DROP TRIGGER w; PRAGMA trusted_schema = ON");
    check_anew(tale, "t");
}

/* DEFENSIVE keeps plain SQL away from the shadow tables, and not us. */
static void defensive_protects_the_shadow_tables(void **context) {
    story *tale = *context;
    int on = 0;
    fill(tale->db, "t", 1, 5);
    assert_int_equal(sqlite3_db_config(tale->db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on), SQLITE_OK);
    for (size_t s = 0; s < SHADOW_COUNT; s++) {
        char *sql = sqlite3_mprintf("DELETE FROM %s", SHADOWS[s].table);
        host_refuse(tale->db, SQLITE_ERROR, sql, "may not be modified");
        sqlite3_free(sql);
    }
    fill(tale->db, "t", 6, 9);
    host_run(tale->db, "UPDATE t SET n = 5; DELETE FROM t WHERE rowid = 2; ALTER TABLE t RENAME TO u;"
                       "ALTER TABLE u RENAME TO t; INSERT INTO t(t) VALUES('rebuild')");
    check_anew(tale, "t");
}

/* ---- limits ---- */

/* SQLite's limit on memory holds for the engine; what fails for want of memory can be done again. */
static void the_heap_limit_counts_our_memory(void **context) {
    story *tale = *context;
    host_run(tale->db, "CREATE VIRTUAL TABLE wide USING shardex(v float[1000])");
    host_run(tale->db, "PRAGMA cache_size = 50");
    const char *load = "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 3000) "
                       "INSERT INTO wide(rowid, v) SELECT i, CAST(zeroblob(4000) AS BLOB) FROM i";
    sqlite3_int64 before = sqlite3_hard_heap_limit64(sqlite3_memory_used() + (4 << 20));
    int rc = host_try(tale->db, load);
    sqlite3_int64 used = sqlite3_memory_used();
    sqlite3_int64 limit = sqlite3_hard_heap_limit64(-1);
    sqlite3_hard_heap_limit64(before);
    assert_int_equal(rc, SQLITE_NOMEM);
    assert_true(used <= limit);
    host_expect(tale->db, "SELECT count(*) FROM wide", "0");
    host_run(tale->db, "%s", load);
    host_expect(tale->db, "SELECT count(*), shardex_info('wide') ->> '$.state' FROM wide", "3000|current");
    host_run(tale->db, "DROP TABLE wide");
    check_anew(tale, "t");
}

/* Values that are too long are refused; under a limit of less than a page our own rows still fit. */
static void the_length_limit_is_an_error(void **context) {
    static const char *const statements[] = {"INSERT INTO wide(v) SELECT zeroblob(4000)", "SELECT v FROM wide",
                                             "SELECT rowid FROM wide WHERE v MATCH zeroblob(4000) AND k = 1"};
    story *tale = *context;
    fill(tale->db, "t", 1, 30);
    host_run(tale->db, "CREATE VIRTUAL TABLE wide USING shardex(v float[1000], +x)");
    host_run(tale->db, "INSERT INTO wide(rowid, v) VALUES(1, zeroblob(4000))");
    int before = sqlite3_limit(tale->db, SQLITE_LIMIT_LENGTH, 3000);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        int rc = host_try(tale->db, statements[i]);
        if (rc == SQLITE_OK || !is_decent(rc)) fail_msg("%s: %d", statements[i], rc);
    }
    host_expect(tale->db, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "3");
    host_run(tale->db, "CREATE VIRTUAL TABLE small USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
    fill(tale->db, "small", 1, 30);
    fill(tale->db, "small", 31, 60);
    check(tale->db, "small");
    sqlite3_limit(tale->db, SQLITE_LIMIT_LENGTH, before);
    fill(tale->db, "small", 61, 90);
    check_anew(tale, "small");
    host_run(tale->db, "INSERT INTO wide(v) SELECT zeroblob(4000)");
    host_expect(tale->db, "SELECT count(*) FROM wide", "2");
    check_anew(tale, "t");
}

/* ---- reading ---- */

static shx_store *watched[8], *watched_inner[8];
static int watched_count;

static shx_status open_watched(const char *path, shx_store **ret_store) {
    shx_store *inner;
    SHX_TRY(shx_store_open_posix(path, &inner));
    SHX_TRY(faulty_store_wrap(inner, ret_store));
    assert_true(watched_count < 8);
    watched_inner[watched_count] = inner;
    watched[watched_count++] = *ret_store;
    return SHX_OK;
}

/* Neither with a directory nor without one does a session that only reads call anything that writes. */
static void reading_writes_nothing(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, ROWS);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    fill(tale->db, "t", ROWS + 1, ROWS + 20);
    host_close(tale->db);
    shx_store_use(open_watched);
    for (int round = 0; round < 4; round++) {
        if (round == 2) {
            char *command = sqlite3_mprintf("rm -r '%q-shardex'", tale->path);
            assert_int_equal(system(command), 0);
            sqlite3_free(command);
        }
        sqlite3 *db = host_open(tale->path);
        host_run(db, "BEGIN; SELECT rowid FROM t WHERE v MATCH '[3,1]' AND k = 5; SELECT * FROM t; ROLLBACK");
        host_run(db,
                 "SELECT shardex_info('t'), shardex_recall('t', 3, 5); SELECT rowid FROM t WHERE v MATCH '[3,1]' "
                 "AND k = 5 AND exact = 1; PRAGMA integrity_check; PRAGMA query_only = %d",
                 round % 2);
        if (round % 2) host_refuse(db, SQLITE_READONLY, "DELETE FROM t", "readonly");
        host_expect(db, "SELECT shardex_info('t') ->> '$.state'", round < 2 ? "current" : "reconciled");
        assert_int_equal(watched_count, 1);
        if (round < 2) assert_true(faulty_store_calls(watched[0], FAULTY_ANY) > 0);
        assert_int_equal(faulty_store_calls(watched[0], FAULTY_MUTATING), 0);
        host_close(db);
        shx_store_close(watched_inner[0]);
        watched_count = 0;
    }
    shx_store_use(shx_store_open_posix);
    tale->db = host_open(tale->path);
    check_at(tale->db, "t", "reconciled", __LINE__);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(values_of_any_kind_in_shadow_rows),
        STORY(values_of_any_kind_in_tables_without_types),
        STORY(shadow_tables_that_are_something_else),
        STORY(a_schema_that_lies),
        STORY(two_tables_that_say_they_are_one),
        STORY(the_state_row_of_another_table),
        STORY(trusted_schema_matrix),
        STORY(defensive_protects_the_shadow_tables),
        STORY(the_heap_limit_counts_our_memory),
        STORY(the_length_limit_is_an_error),
        STORY(reading_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
