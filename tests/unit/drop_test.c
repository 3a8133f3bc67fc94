/* DROP TABLE gives the room in the directory back, soon after it is committed; and whatever was not dropped for good
** keeps its index.
*/
#include "host.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct drop_place {
    char *folder, *path;
    char *directory; /* of the index of `t` */
} drop_place;

static const char *const DROP_JOURNALS[] = {"delete", "wal", "truncate", "persist"};

static bool drop_is_there(const char *path) { return access(path, F_OK) == 0; }

/* The directory of a table's index; sqlite3_free. */
static char *drop_directory(sqlite3 *db, const char *path, const char *name) {
    char *sql = sqlite3_mprintf("SELECT lower(hex(uuid)) FROM %s_state", name), *uuid = host_rows(db, sql);
    char *directory = sqlite3_mprintf("%s-shardex/%s", path, uuid);
    sqlite3_free(sql);
    sqlite3_free(uuid);
    return directory;
}

/* A database with two tables that have files; it is open in nobody. */
static void drop_make(drop_place *place, const char *journal) {
    sqlite3_free(place->directory);
    char *command = sqlite3_mprintf("rm -rf '%s/'*", place->folder);
    assert_int_equal(system(command), 0);
    sqlite3_free(command);
    sqlite3 *db = host_open(place->path);
    host_run(db,
             "PRAGMA journal_mode = %s; PRAGMA synchronous = OFF; CREATE VIRTUAL TABLE t USING shardex(v float[2]);"
             "CREATE VIRTUAL TABLE u USING shardex(v float[2]); INSERT INTO u(v) VALUES ('[1,2]');"
             "INSERT INTO t(v) VALUES ('[1,2]'), ('[3,4]'); INSERT INTO t(t) VALUES ('flush')",
             journal);
    place->directory = drop_directory(db, place->path, "t");
    host_close(db);
    assert_true(drop_is_there(place->directory));
}

static int drop_set_up(void **state) {
    drop_place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    place->folder = host_make_folder();
    place->path = sqlite3_mprintf("%s/drop.db", place->folder);
    *state = place;
    return 0;
}

static int drop_tear_down(void **state) {
    drop_place *place = *state;
    host_remove_folder(place->folder);
    sqlite3_free(place->path);
    sqlite3_free(place->directory);
    free(place);
    return 0;
}

static bool drop_has(const drop_place *place, const char *suffix) {
    char *path = sqlite3_mprintf("%s%s", place->path, suffix);
    bool has = drop_is_there(path);
    sqlite3_free(path);
    return has;
}

/* `t` lives: its directory is there, and says what the table holds. */
static void drop_require_alive(const drop_place *place, sqlite3 *db) {
    assert_true(drop_is_there(place->directory));
    host_expect(db, "SELECT shardex_info('t') ->> '$.state'", "current");
    host_expect(db, "SELECT rowid FROM t WHERE v MATCH '[3,4]' AND k = 1", "2");
}

/* A connection that does nothing else, whether it has looked at the table before or not. */
static void goes_when_the_connection_closes(void **state) {
    drop_place *place = *state;
    for (size_t i = 0; i < 8; i++) {
        drop_make(place, DROP_JOURNALS[i % 4]);
        sqlite3 *db = host_open(place->path);
        if (i / 4) host_expect(db, "SELECT rowid FROM t WHERE v MATCH '[3,4]' AND k = 1", "2");
        host_run(db, "DROP TABLE t");
        host_close(db);
        assert_false(drop_is_there(place->directory));
        assert_false(drop_has(place, "-wal"));
        assert_false(drop_has(place, "-shm"));
        db = host_open(place->path);
        host_expect(db, "SELECT shardex_info('u') ->> '$.state'", "current");
        host_close(db);
    }
}

/* Whatever of shardex the connection uses next, after the transaction is over. */
static void goes_with_the_next_statement(void **state) {
    static const char *const next[] = {
        "SELECT count(*) FROM u",
        "SELECT rowid FROM u WHERE v MATCH '[1,2]' AND k = 1",
        "INSERT INTO u(v) VALUES ('[5,6]')",
        "SELECT shardex_info('u')",
        "SELECT count(*) FROM shardex_stats('u')",
        "CREATE VIRTUAL TABLE t USING shardex(v float[2]); SELECT count(*) FROM t",
    };
    drop_place *place = *state;
    for (size_t i = 0; i < 2 * sizeof next / sizeof *next; i++) {
        drop_make(place, DROP_JOURNALS[i % 4]);
        sqlite3 *db = host_open(place->path);
        host_run(db, "INSERT INTO u(v) VALUES ('[3,4]')");
        host_run(db, i % 2 ? "DROP TABLE t" : "BEGIN; DROP TABLE t; SELECT count(*) FROM u");
        assert_true(drop_is_there(place->directory));
        if (i % 2 == 0) host_run(db, "COMMIT");
        host_run(db, "%s", next[i / 2]);
        assert_false(drop_is_there(place->directory));
        host_close(db);
    }
}

static int drop_veto(void *context) {
    (void)context;
    return 1;
}

/* What was undone, in whatever way, has its index still: at the next statement and after the connection is closed. */
static void stays_when_the_drop_is_undone(void **state) {
    static const char *const undone[] = {
        "BEGIN; DROP TABLE t; SELECT count(*) FROM u; ROLLBACK",
        "BEGIN; DROP TABLE t; CREATE VIRTUAL TABLE t USING shardex(v float[2]); ROLLBACK",
        "BEGIN; SAVEPOINT a; DROP TABLE t; SELECT count(*) FROM u; ROLLBACK TO a; SELECT count(*) FROM u; COMMIT",
        "SAVEPOINT a; DROP TABLE t; ROLLBACK TO a; DROP TABLE t; ROLLBACK",
        "BEGIN; ALTER TABLE t RENAME TO w; DROP TABLE w; ROLLBACK",
        "BEGIN; DROP TABLE t", /* and closed */
    };
    drop_place *place = *state;
    for (size_t i = 0; i < 2 * sizeof undone / sizeof *undone; i++) {
        drop_make(place, DROP_JOURNALS[i % 2]);
        sqlite3 *db = host_open(place->path);
        if (i % 4 < 2) host_run(db, "INSERT INTO u(v) VALUES ('[3,4]'); SELECT count(*) FROM t");
        host_run(db, "%s", undone[i / 2]);
        host_run(db, "SELECT count(*) FROM u");
        if (i % 2 && sqlite3_get_autocommit(db)) drop_require_alive(place, db);
        host_close(db);
        db = host_open(place->path);
        drop_require_alive(place, db);
        host_close(db);
    }
}

/* The commit itself fails: by a hook's veto, or as somebody reads. */
static void stays_when_the_commit_fails(void **state) {
    drop_place *place = *state;
    for (int i = 0; i < 4; i++) {
        drop_make(place, "delete");
        sqlite3 *db = host_open(place->path), *reader = host_open(place->path);
        host_run(reader, "BEGIN; SELECT count(*) FROM u");
        if (i % 2) host_run(reader, "COMMIT");
        if (i % 2) sqlite3_commit_hook(db, drop_veto, NULL);
        assert_int_not_equal(host_try(db, i < 2 ? "DROP TABLE t" : "BEGIN; DROP TABLE t; COMMIT"), SQLITE_OK);
        sqlite3_commit_hook(db, NULL, NULL);
        (void)host_try(db, "SELECT count(*) FROM u");
        (void)host_try(db, "ROLLBACK");
        host_run(db, "SELECT count(*) FROM u");
        host_close(reader);
        host_close(db);
        db = host_open(place->path);
        drop_require_alive(place, db);
        host_close(db);
    }
}

/* The transaction of a busy COMMIT goes on, and is committed later. */
static void goes_when_a_busy_commit_is_repeated(void **state) {
    drop_place *place = *state;
    drop_make(place, "delete");
    sqlite3 *db = host_open(place->path), *reader = host_open(place->path);
    host_run(reader, "BEGIN; SELECT count(*) FROM u");
    host_run(db, "BEGIN; DROP TABLE t");
    assert_int_equal(host_try(db, "COMMIT"), SQLITE_BUSY);
    host_run(db, "SELECT count(*) FROM u");
    assert_true(drop_is_there(place->directory));
    host_run(reader, "COMMIT");
    host_run(db, "COMMIT; SELECT count(*) FROM u");
    assert_false(drop_is_there(place->directory));
    host_close(reader);
    host_close(db);
}

/* Another connection of the process has the index open, in a snapshot from before: it goes on reading, and the files go
** when it closes. */
static void goes_with_its_last_user(void **state) {
    drop_place *place = *state;
    for (int i = 0; i < 2; i++) {
        drop_make(place, "wal");
        sqlite3 *db = host_open(place->path), *reader = host_open(place->path);
        host_run(reader, "BEGIN; SELECT rowid FROM t WHERE v MATCH '[3,4]' AND k = 1");
        host_run(db, "DROP TABLE t; SELECT count(*) FROM u");
        assert_true(drop_is_there(place->directory));
        if (i) host_close(db);
        host_expect(reader, "SELECT rowid FROM t WHERE v MATCH '[3,4]' AND k = 1", "2");
        host_expect(reader, "SELECT shardex_info('t') ->> '$.state'", "current");
        host_run(reader, "COMMIT");
        host_close(reader);
        assert_false(drop_is_there(place->directory));
        if (i == 0) host_close(db);
    }
}

/* ---- other processes ---- */

static void drop_tell(int to) { assert_int_equal(write(to, "x", 1), 1); }

static void drop_wait(int from) {
    char byte;
    assert_int_equal(read(from, &byte, 1), 1);
}

#define DROP_REQUIRE(condition) \
    do { \
        if (!(condition)) _exit(2); \
    } while (0)

/* Reads in a snapshot until it is told to end. */
static void drop_be_reader(const char *path, int from, int to) {
    char byte;
    sqlite3 *db;
    DROP_REQUIRE(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_shardex_init(db, NULL, NULL) == SQLITE_OK);
    for (int i = 0; i < 2; i++) {
        if (i == 0) DROP_REQUIRE(host_try(db, "BEGIN") == SQLITE_OK);
        char *rows = host_rows(db, "SELECT rowid FROM t WHERE v MATCH '[3,4]' AND k = 1");
        DROP_REQUIRE(strcmp(rows, "2") == 0);
        sqlite3_free(rows);
        DROP_REQUIRE(write(to, "x", 1) == 1 && read(from, &byte, 1) == 1);
    }
    DROP_REQUIRE(host_try(db, "COMMIT") == SQLITE_OK && sqlite3_close(db) == SQLITE_OK);
    _exit(0);
}

static void drop_require_end(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A process that has the index open keeps it, and reads on; once it has closed it the files go. */
static void stays_while_another_process_reads(void **state) {
    drop_place *place = *state;
    int to[2], from[2];
    drop_make(place, "wal");
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t child = fork();
    if (child == 0) drop_be_reader(place->path, to[0], from[1]);
    drop_wait(from[0]);
    sqlite3 *db = host_open(place->path);
    host_run(db, "DROP TABLE t; SELECT count(*) FROM u");
    assert_true(drop_is_there(place->directory));
    drop_tell(to[1]);
    drop_wait(from[0]);
    drop_tell(to[1]);
    drop_require_end(child);
    host_close(db);
    assert_false(drop_is_there(place->directory));
    for (int i = 0; i < 2; i++) {
        close(to[i]);
        close(from[i]);
    }
}

/* The process ends right behind the commit: nothing knows of it any more but gc. */
static void stays_after_a_crash_until_gc(void **state) {
    drop_place *place = *state;
    drop_make(place, "wal");
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *db;
        DROP_REQUIRE(sqlite3_open(place->path, &db) == SQLITE_OK);
        DROP_REQUIRE(sqlite3_shardex_init(db, NULL, NULL) == SQLITE_OK);
        DROP_REQUIRE(host_try(db, "DROP TABLE t") == SQLITE_OK);
        _exit(0);
    }
    drop_require_end(child);
    assert_true(drop_is_there(place->directory));
    sqlite3 *db = host_open(place->path);
    host_run(db, "INSERT INTO u(u) VALUES ('gc')");
    assert_false(drop_is_there(place->directory));
    host_expect(db, "SELECT shardex_info('u') ->> '$.state'", "current");
    host_close(db);
}

/* A child that was forked since has nothing to do with it, not even where its parent has looked already. */
static void stays_when_a_forked_child_closes(void **state) {
    drop_place *place = *state;
    drop_make(place, "wal");
    sqlite3 *db = host_open(place->path);
    sqlite3 *user = host_open(place->path);
    host_run(user, "SELECT rowid FROM t WHERE v MATCH '[3,4]' AND k = 1");
    host_run(db, "DROP TABLE t; SELECT count(*) FROM u");
    pid_t child = fork();
    if (child == 0) {
        (void)sqlite3_close(user);
        (void)sqlite3_close(db);
        _exit(0);
    }
    drop_require_end(child);
    assert_true(drop_is_there(place->directory));
    host_close(user);
    host_close(db);
    assert_false(drop_is_there(place->directory));
}

/* ---- other databases ---- */

/* Of an attached database, which is detached at once or stays. */
static void goes_with_an_attached_database(void **state) {
    drop_place *place = *state;
    for (int i = 0; i < 3; i++) {
        drop_make(place, DROP_JOURNALS[i]);
        sqlite3 *db = host_open(":memory:");
        host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[2]); ATTACH '%q' AS other", place->path);
        host_run(db, "DROP TABLE other.t");
        host_run(db, i ? "DETACH other" : "SELECT 1");
        assert_true(drop_is_there(place->directory));
        if (i < 2) host_run(db, "SELECT count(*) FROM t");
        if (i < 2) assert_false(drop_is_there(place->directory));
        host_close(db);
        assert_false(drop_is_there(place->directory));
    }
}

/* An older copy takes the file's place before the connection closes: in that the table lives. */
static void stays_with_an_older_copy(void **state) {
    drop_place *place = *state;
    drop_make(place, "delete");
    char *copy = sqlite3_mprintf("cp '%s' '%s-copy'", place->path, place->path), *name;
    assert_int_equal(system(copy), 0);
    sqlite3 *db = host_open(place->path);
    host_run(db, "DROP TABLE t");
    name = sqlite3_mprintf("%s-copy", place->path);
    assert_int_equal(rename(name, place->path), 0);
    host_close(db);
    db = host_open(place->path);
    drop_require_alive(place, db);
    host_close(db);
    sqlite3_free(copy);
    sqlite3_free(name);
}

/* Settings of the connection that keep others out, or its log in place. */
static void goes_with_any_settings(void **state) {
    drop_place *place = *state;
    drop_make(place, "wal");
    sqlite3 *db = host_open(place->path);
    host_run(db, "PRAGMA locking_mode = exclusive; DROP TABLE t; SELECT count(*) FROM u");
    host_close(db);
    assert_false(drop_is_there(place->directory));
    drop_make(place, "wal");
    db = host_open(place->path);
    int persist = 1;
    assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist), SQLITE_OK);
    host_run(db, "DROP TABLE t");
    host_close(db);
    assert_false(drop_is_there(place->directory));
    assert_true(drop_has(place, "-wal"));
}

int main(void) {
#define DROP_TEST(name) cmocka_unit_test_setup_teardown(name, drop_set_up, drop_tear_down)
    const struct CMUnitTest tests[] = {
        DROP_TEST(goes_when_the_connection_closes),
        DROP_TEST(goes_with_the_next_statement),
        DROP_TEST(stays_when_the_drop_is_undone),
        DROP_TEST(stays_when_the_commit_fails),
        DROP_TEST(goes_when_a_busy_commit_is_repeated),
        DROP_TEST(goes_with_its_last_user),
        DROP_TEST(stays_while_another_process_reads),
        DROP_TEST(stays_after_a_crash_until_gc),
        DROP_TEST(stays_when_a_forked_child_closes),
        DROP_TEST(goes_with_an_attached_database),
        DROP_TEST(stays_with_an_older_copy),
        DROP_TEST(goes_with_any_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
