/* Who else takes part in a transaction, or is at the database: other virtual tables, another file, foreign keys, a host
** that forbids, other processes that wait for a lock.
*/
#include "story_twin.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- another module ---- */

/* A virtual table that takes rows and forgets them. What its callbacks return is said here. */
static struct {
    int begin, update, savepoint, rollback_to, sync;
    bool dies; /* in xSync, with the process */
} neighbour;

static int neighbour_connect(sqlite3 *db, void *unused, int count, const char *const *arguments,
                             sqlite3_vtab **ret_table, char **ret_message) {
    (void)unused, (void)count, (void)arguments, (void)ret_message;
    *ret_table = sqlite3_malloc(sizeof **ret_table);
    assert_non_null(*ret_table);
    memset(*ret_table, 0, sizeof **ret_table);
    return sqlite3_declare_vtab(db, "CREATE TABLE x(a)");
}

static int neighbour_update(sqlite3_vtab *table, int count, sqlite3_value **values, sqlite3_int64 *ret_rowid) {
    (void)table, (void)count, (void)values;
    *ret_rowid = 1;
    return neighbour.update;
}

static int neighbour_sync(sqlite3_vtab *table) {
    (void)table;
    if (neighbour.dies) (void)raise(SIGKILL);
    return neighbour.sync;
}

static int neighbour_begin(sqlite3_vtab *table) { return (void)table, neighbour.begin; }
static int neighbour_savepoint(sqlite3_vtab *table, int number) {
    return (void)table, (void)number, neighbour.savepoint;
}
static int neighbour_rollback_to(sqlite3_vtab *table, int number) {
    return (void)table, (void)number, neighbour.rollback_to;
}
static int neighbour_nothing(sqlite3_vtab *table) { return (void)table, SQLITE_OK; }
static int neighbour_nothing_to(sqlite3_vtab *table, int number) { return (void)table, (void)number, SQLITE_OK; }

static const sqlite3_module NEIGHBOUR = {
    .iVersion = 2,
    .xConnect = neighbour_connect,
    .xBestIndex = host_table_has_no_plan,
    .xDisconnect = host_table_disconnect,
    .xUpdate = neighbour_update,
    .xBegin = neighbour_begin,
    .xSync = neighbour_sync,
    .xCommit = neighbour_nothing,
    .xRollback = neighbour_nothing,
    .xSavepoint = neighbour_savepoint,
    .xRelease = neighbour_nothing_to,
    .xRollbackTo = neighbour_rollback_to,
};

#define MEET "INSERT INTO neighbour VALUES(1)"

static void move_in(sqlite3 *db) {
    memset(&neighbour, 0, sizeof neighbour);
    assert_int_equal(sqlite3_create_module(db, "neighbour", &NEIGHBOUR, NULL), SQLITE_OK);
}

/* Rows into both, and the neighbour before or after them: SQLite calls the tables of a transaction in this order. */
static void write_with_neighbour(sqlite3 *db, bool first, int from, int to) {
    host_run(db, first ? "BEGIN; " MEET : "BEGIN");
    assert_int_equal(both_fill(db, from, to), SQLITE_OK);
    if (!first) host_run(db, MEET);
}

/* xSync of the one has run or not when that of the other fails; after BUSY the transaction is still there. */
static void a_neighbour_that_cannot_commit(void **context) {
    static const int codes[] = {SQLITE_ERROR,  SQLITE_IOERR,      SQLITE_FULL, SQLITE_NOMEM,
                                SQLITE_LOCKED, SQLITE_CONSTRAINT, SQLITE_BUSY};
    story *tale = *context;
    make_twin(tale->db);
    move_in(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 10), SQLITE_OK);
    for (int first = 0; first < 2; first++) {
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
            write_with_neighbour(tale->db, first, 5, 15 + (int)i);
            neighbour.sync = codes[i];
            assert_int_equal(host_try(tale->db, "COMMIT") & 0xff, codes[i]);
            assert_int_equal(sqlite3_get_autocommit(tale->db), codes[i] != SQLITE_BUSY);
            same(tale->db);
            if (codes[i] == SQLITE_BUSY) {
                assert_int_equal(both(tale->db, "DELETE FROM t WHERE rowid = 7", "DELETE FROM twin WHERE id = 7"), 0);
                assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY);
                host_run(tale->db, "SAVEPOINT a");
                assert_int_equal(both_fill(tale->db, 30, 33), SQLITE_OK);
                assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY);
                host_run(tale->db, "ROLLBACK TO a");
            }
            neighbour.sync = SQLITE_OK;
            if (codes[i] == SQLITE_BUSY) host_run(tale->db, first ? "COMMIT" : "ROLLBACK");
            same(tale->db);
            assert_int_equal(both_fill(tale->db, 40 + (int)i, 41 + (int)i), SQLITE_OK);
            host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
        }
    }
    same_anew(tale);
}

/* A savepoint that the neighbour refuses is announced to us, or not, and is none; its number comes again. */
static void a_neighbour_that_wants_no_savepoints(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    move_in(tale->db);
    for (int first = 0; first < 2; first++) {
        write_with_neighbour(tale->db, first, 1, 9);
        for (int round = 0; round < 3; round++) {
            neighbour.savepoint = SQLITE_ERROR;
            assert_int_equal(host_try(tale->db, "SAVEPOINT a"), SQLITE_ERROR);
            assert_int_equal(host_try(tale->db, "DELETE FROM t WHERE rowid > 3"), SQLITE_ERROR);
            neighbour.savepoint = SQLITE_OK;
            same(tale->db);
            assert_int_equal(both_fill(tale->db, 8, 10 + round), SQLITE_OK);
            host_run(tale->db, "SAVEPOINT a");
            assert_int_equal(both_fill(tale->db, 9, 20), SQLITE_OK);
            host_run(tale->db, "SAVEPOINT b");
            assert_int_equal(both_fill(tale->db, 18, 25), SQLITE_OK);
            neighbour.savepoint = SQLITE_ERROR;
            assert_int_equal(host_try(tale->db, "SAVEPOINT c"), SQLITE_ERROR);
            neighbour.savepoint = SQLITE_OK;
            host_run(tale->db, round == 2 ? "ROLLBACK TO a" : "ROLLBACK TO b");
            same(tale->db);
            host_run(tale->db, "RELEASE a");
        }
        host_run(tale->db, "COMMIT");
        same(tale->db);
    }
    same_anew(tale);
}

/* SQLite has taken the rows back, tells the neighbour first, and tells nobody else when that fails; the transaction
** stays open. What the table then knows is more than what is there: it notices, and the transaction cannot be
** committed. */
static void a_neighbour_that_cannot_roll_back(void **context) {
    static const char *const before[] = {"SAVEPOINT a", "SAVEPOINT z; SAVEPOINT a", "UPDATE t SET n = 7; SAVEPOINT a",
                                         "SAVEPOINT z; DELETE FROM t WHERE rowid = 3; SAVEPOINT a"};
    static const char *const within[] = {"INSERT INTO t(rowid, v) VALUES(100, '[3,1]')",
                                         "UPDATE t SET v = '[8,8]' WHERE rowid = 5; DELETE FROM t WHERE rowid = 4",
                                         "UPDATE t SET s = 'other'", "SAVEPOINT b; DELETE FROM t; RELEASE b"};
    static const char *const after[] = {"SELECT 1", "INSERT INTO t(rowid, v) VALUES(101, '[4,1]')",
                                        "SAVEPOINT c; DELETE FROM t WHERE rowid = 6", "RELEASE a",
                                        "UPDATE t SET n = 8 WHERE rowid > 3"};
    story *tale = *context;
    make_twin(tale->db);
    move_in(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 20), SQLITE_OK);
    for (size_t i = 0; i < 4 * 4 * 5; i++) {
        host_run(tale->db, "BEGIN; " MEET "; %s; %s", before[i % 4], within[i / 4 % 4]);
        neighbour.rollback_to = SQLITE_ERROR;
        assert_int_equal(host_try(tale->db, "ROLLBACK TO a"), SQLITE_ERROR);
        neighbour.rollback_to = SQLITE_OK;
        (void)host_try(tale->db, after[i / 16]);
        assert_int_equal(sqlite3_get_autocommit(tale->db), 0);
        assert_int_equal(host_try(tale->db, "SELECT rowid FROM t WHERE v MATCH '[3,1]' AND k = 5"), SQLITE_ABORT);
        assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_ABORT);
        if (!sqlite3_get_autocommit(tale->db)) host_run(tale->db, "ROLLBACK");
        same(tale->db);
        assert_int_equal(both_fill(tale->db, 10, 21), SQLITE_OK);
        host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
    }
    same_anew(tale);
}

/* A savepoint that came to nothing has left no trace when the next one gets its number. */
static void a_savepoint_that_is_opened_again(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    move_in(tale->db);
    for (int first = 0; first < 2; first++) {
        write_with_neighbour(tale->db, first, 1, 9);
        neighbour.savepoint = SQLITE_ERROR;
        assert_int_equal(host_try(tale->db, "SAVEPOINT a"), SQLITE_ERROR);
        neighbour.savepoint = SQLITE_OK;
        for (int i = 2; i < 5; i++) {
            host_run(tale->db, "DELETE FROM t WHERE rowid = %d; DELETE FROM twin WHERE id = %d", i, i);
        }
        host_run(tale->db, "SAVEPOINT a; DELETE FROM t WHERE rowid = 6; ROLLBACK TO a");
        same(tale->db);
        host_run(tale->db, first ? "COMMIT"
                                 : "RELEASE a; DELETE FROM t WHERE rowid = 7; DELETE FROM twin WHERE id = 7;"
                                   "COMMIT");
        same(tale->db);
    }
    same_anew(tale);
}

/* The neighbour cannot even begin, or refuses the row: in the middle of our transaction, and of a trigger of ours. */
static void a_neighbour_that_refuses(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    move_in(tale->db);
    host_run(tale->db, "CREATE TABLE u(a); CREATE TEMP TRIGGER both_of_us AFTER INSERT ON u BEGIN "
                       "INSERT INTO t(rowid, v) VALUES(new.a, '[9,9]'); INSERT INTO neighbour VALUES(new.a); END");
    for (int transaction = 0; transaction < 2; transaction++) {
        assert_int_equal(both_fill(tale->db, 1 + transaction, 9), SQLITE_OK);
        if (transaction) host_run(tale->db, "BEGIN");
        if (transaction) assert_int_equal(both_fill(tale->db, 8, 12), SQLITE_OK);
        neighbour.begin = SQLITE_ERROR;
        assert_int_equal(host_try(tale->db, "INSERT INTO u VALUES(100)"), SQLITE_ERROR);
        neighbour.begin = SQLITE_OK;
        neighbour.update = SQLITE_CONSTRAINT;
        assert_int_equal(host_try(tale->db, "INSERT INTO u VALUES(101), (102)"), SQLITE_CONSTRAINT);
        neighbour.update = SQLITE_OK;
        same(tale->db);
        if (transaction) host_run(tale->db, "COMMIT");
    }
    same_anew(tale);
}

/* Dies after our xSync, in the neighbour's: the row of the commit stands in the WAL, and nobody names it. */
static void die_in_commit(story *tale) {
    sqlite3 *db = host_open(tale->path);
    move_in(db);
    write_with_neighbour(db, false, 5, 30);
    neighbour.dies = true;
    (void)host_try(db, "COMMIT");
}

static void in_child_that_dies(void (*work)(story *tale), story *tale) {
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work(tale);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void killed_between_two_syncs(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 10), SQLITE_OK);
    for (int round = 0; round < 3; round++) {
        in_child_that_dies(die_in_commit, tale);
        same(tale->db);
        host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
        if (round == 1) assert_int_equal(both_fill(tale->db, 5, 30), SQLITE_OK); /* the very same operations */
    }
    same_anew(tale);
}

/* SQLite's own modules, where it has them. */
static void other_indexes_in_one_transaction(void **context) {
    story *tale = *context;
    if (!sqlite3_compileoption_used("ENABLE_FTS5") || !sqlite3_compileoption_used("ENABLE_RTREE")) skip();
    make_twin(tale->db);
    host_run(tale->db, "CREATE VIRTUAL TABLE words USING fts5(a); CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);"
                       "CREATE TRIGGER all_three AFTER INSERT ON twin BEGIN "
                       "INSERT INTO words(rowid, a) VALUES(new.id, new.s);"
                       "INSERT INTO boxes VALUES(new.id, new.id, new.id); END;"
                       "CREATE TRIGGER none_of_three AFTER DELETE ON twin BEGIN "
                       "DELETE FROM words WHERE rowid = old.id; DELETE FROM boxes WHERE id = old.id; END;"
                       "PRAGMA recursive_triggers = ON");
    for (int i = 0; i < 12; i++) {
        host_run(tale->db, "BEGIN");
        assert_int_equal(both_fill(tale->db, 1 + i, 20 + i), SQLITE_OK);
        host_run(tale->db, "SAVEPOINT a");
        assert_int_equal(both_fill(tale->db, 10 + i, 40 + i), SQLITE_OK);
        assert_int_equal(both(tale->db, "DELETE FROM t WHERE rowid % 5 = 2", "DELETE FROM twin WHERE id % 5 = 2"), 0);
        if (i % 2) host_run(tale->db, "ROLLBACK TO a");
        assert_int_equal(both_fill(tale->db, 15 + i, 17 + i), SQLITE_OK);
        same(tale->db);
        host_run(tale->db, i % 4 == 3 ? "ROLLBACK" : "COMMIT");
        host_expect(tale->db,
                    "SELECT count(*) FROM t, words, boxes WHERE t.rowid = words.rowid AND id = t.rowid AND "
                    "words.a = t.s AND (SELECT count(*) FROM t) = (SELECT count(*) FROM boxes) "
                    "HAVING count(*) <> (SELECT count(*) FROM twin)",
                    "");
    }
    same_anew(tale);
}

/* ---- foreign keys ---- */

/* What is deferred is looked at before anybody is asked to sync; the transaction goes on. */
static void a_foreign_key_that_is_missing_at_commit(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    host_run(tale->db, "PRAGMA foreign_keys = ON; CREATE TABLE p(id INTEGER PRIMARY KEY);"
                       "CREATE TABLE c(id REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
    for (int mended = 0; mended < 2; mended++) {
        host_run(tale->db, "BEGIN; INSERT INTO c VALUES(5)");
        assert_int_equal(both_fill(tale->db, 1, 9 + mended), SQLITE_OK);
        assert_int_equal(host_try(tale->db, "COMMIT") & 0xff, SQLITE_CONSTRAINT);
        assert_int_equal(sqlite3_get_autocommit(tale->db), 0);
        same(tale->db);
        host_run(tale->db, "SAVEPOINT a");
        assert_int_equal(both_fill(tale->db, 5, 20), SQLITE_OK);
        assert_int_equal(host_try(tale->db, "COMMIT") & 0xff, SQLITE_CONSTRAINT);
        host_run(tale->db, "ROLLBACK TO a; INSERT INTO t(t) VALUES('flush')");
        host_run(tale->db, mended ? "INSERT INTO p VALUES(5); COMMIT" : "ROLLBACK");
        same(tale->db);
    }
    host_expect(tale->db, "SELECT count(*) FROM t", "10");
    same_anew(tale);
}

/* ---- two files ---- */

/* Both tables of the second file, through the connection of the first. */
static int fill_second(sqlite3 *db, int first, int last) {
    int rc = SQLITE_OK;
    for (int i = first; rc == SQLITE_OK && i <= last; i++) {
        rc = host_try(db,
                      "REPLACE INTO second.t(rowid, v, n, s, x) VALUES(%d, vec_f32('[%d,0]'), %d, 's%d', 'x%d');"
                      "REPLACE INTO second.twin VALUES(%d, vec_f32('[%d,0]'), %d, 's%d', 'x%d')",
                      i, i, i % 3, i, i, i, i, i % 3, i, i);
    }
    return rc;
}

static sqlite3 *make_second(story *tale) {
    char *path = sqlite3_mprintf("%s/second.db", tale->folder);
    sqlite3 *second = host_open(path);
    host_run(second, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
    make_twin(second);
    assert_int_equal(both_fill(second, 1, 8), SQLITE_OK);
    host_run(tale->db, "ATTACH %Q AS second", path);
    sqlite3_free(path);
    return second;
}

/* One of two files cannot be committed while somebody reads it: after the xSync of both tables. */
static void one_of_two_files_is_busy(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    sqlite3 *second = make_second(tale);
    for (int round = 0; round < 6; round++) {
        sqlite3 *in_the_way = round % 2 ? second : host_open(tale->path);
        host_run(in_the_way, "BEGIN; SELECT count(*) FROM t");
        host_run(tale->db, "BEGIN");
        assert_int_equal(both_fill(tale->db, 1, 10 + round), SQLITE_OK);
        assert_int_equal(fill_second(tale->db, 5, 12 + round), SQLITE_OK);
        assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY);
        assert_int_equal(fill_second(tale->db, 2, 3), SQLITE_OK);
        same(tale->db);
        same(in_the_way);
        host_run(in_the_way, "COMMIT");
        host_run(tale->db, round == 2 ? "ROLLBACK" : "COMMIT");
        same(tale->db);
        same(in_the_way);
        same(second);
        if (in_the_way != second) host_close(in_the_way);
    }
    host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state', shardex_info('second.t') ->> '$.state'",
                "current|current");
    host_close(second);
    same_anew(tale);
}

static int die(void *unused) {
    (void)unused;
    return raise(SIGKILL);
}

static void die_with_two_files(story *tale) {
    sqlite3 *db = host_open(tale->path);
    host_run(db, "ATTACH '%q/second.db' AS second; BEGIN", tale->folder);
    (void)both_fill(db, 3, 30);
    (void)fill_second(db, 4, 20);
    sqlite3_commit_hook(db, die, NULL); /* comes after every xSync */
    (void)host_try(db, "COMMIT");
}

static void killed_in_a_commit_of_two_files(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    sqlite3 *second = make_second(tale);
    for (int round = 0; round < 3; round++) {
        in_child_that_dies(die_with_two_files, tale);
        same(tale->db);
        same(second);
        host_run(tale->db, "BEGIN");
        assert_int_equal(both_fill(tale->db, 3, 6 + round), SQLITE_OK);
        assert_int_equal(fill_second(tale->db, 4, 6 + round), SQLITE_OK);
        host_run(tale->db, "COMMIT");
        same(second);
    }
    host_close(second);
    same_anew(tale);
}

/* ---- ends ---- */

/* Without BEGIN a commit that is busy is a rollback. */
static void a_statement_that_finds_a_reader(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 10), SQLITE_OK);
    sqlite3 *reader = host_open(tale->path);
    for (int round = 0; round < 3; round++) {
        host_run(reader, "BEGIN; SELECT count(*) FROM t");
        assert_int_equal(both_fill(tale->db, 5, 20), SQLITE_BUSY);
        assert_int_equal(sqlite3_get_autocommit(tale->db), 1);
        same(tale->db);
        host_run(reader, "COMMIT");
        assert_int_equal(both_fill(tale->db, 9, 12 + round), SQLITE_OK);
        same(reader);
    }
    host_close(reader);
    same_anew(tale);
}

/* Closing the connection rolls back what is open, savepoints and all. */
static void closed_in_a_transaction(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 10), SQLITE_OK);
    for (int round = 0; round < 3; round++) {
        sqlite3 *db = host_open(tale->path);
        host_run(db, round ? "BEGIN IMMEDIATE" : "SAVEPOINT a");
        assert_int_equal(both_fill(db, 5, 40), SQLITE_OK);
        if (round == 1) host_run(db, "SAVEPOINT b; DELETE FROM t; DELETE FROM twin; SAVEPOINT c");
        if (round == 2) host_run(db, "DROP TABLE t; CREATE VIRTUAL TABLE u USING shardex(v float[2])");
        host_close(db);
        same(tale->db);
        assert_int_equal(both_fill(tale->db, 8, 11 + round), SQLITE_OK);
    }
    same_anew(tale);
}

/* ---- who forbids ---- */

static int forbidden;

/* Forbids one action on the shadow tables. */
static int forbid(void *unused, int action, const char *one, const char *two, const char *schema, const char *within) {
    (void)unused, (void)schema, (void)within;
    const char *table = action == SQLITE_ALTER_TABLE ? two : one;
    return action == forbidden && table && strncmp(table, "t_", 2) == 0 ? SQLITE_DENY : SQLITE_OK;
}

/* A host may forbid what our own statements do: an error that says so, and never half of it. */
static void a_host_that_forbids(void **context) {
    static const int actions[] = {SQLITE_READ, SQLITE_INSERT, SQLITE_DELETE, SQLITE_ALTER_TABLE, SQLITE_DROP_TABLE};
    static const char *const statements[] = {
        "SELECT rowid, x FROM t WHERE v MATCH '[3,0]' AND k = 5",
        "SELECT * FROM t",
        "INSERT INTO t(rowid, v) VALUES(500, '[1,1]')",
        "UPDATE t SET n = 7, x = 'y' WHERE rowid < 5",
        "DELETE FROM t WHERE rowid = 6",
        "INSERT INTO t(t) VALUES('optimize')",
        "INSERT INTO t(t) VALUES('integrity-check')",
        "SELECT shardex_info('t')",
        "ALTER TABLE t RENAME TO other",
        "DROP TABLE t",
    };
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 20), SQLITE_OK);
    int refused = 0;
    for (size_t a = 0; a < sizeof actions / sizeof *actions; a++) {
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            for (int known = 0; known < 2; known++) { /* whether statements are prepared already */
                sqlite3 *db = host_open(tale->path);
                if (known) host_run(db, "BEGIN; REPLACE INTO t(rowid, v, x) VALUES(3, '[1,2]', 'z'); ROLLBACK");
                forbidden = actions[a];
                assert_int_equal(sqlite3_set_authorizer(db, forbid, NULL), SQLITE_OK);
                host_run(db, "BEGIN");
                char *message = NULL;
                int rc = sqlite3_exec(db, statements[i], NULL, NULL, &message);
                if (rc != SQLITE_OK && !(message && message[0])) fail_msg("%s: %d without a text", statements[i], rc);
                refused += rc != SQLITE_OK;
                sqlite3_free(message);
                assert_int_equal(sqlite3_set_authorizer(db, NULL, NULL), SQLITE_OK);
                if (!sqlite3_get_autocommit(db)) host_run(db, "ROLLBACK");
                same(db);
                host_close(db);
            }
        }
    }
    assert_true(refused >= 20);
    same_anew(tale);
}

/* The state row may not be written: noticed by SAVEPOINT, else by COMMIT, which takes all back. */
static void a_host_that_forbids_the_state_row(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 20), SQLITE_OK);
    forbidden = SQLITE_UPDATE;
    for (int round = 0; round < 3; round++) {
        host_run(tale->db, "BEGIN");
        assert_int_equal(both_fill(tale->db, 10, 30), SQLITE_OK);
        for (int i = 10; i < 12; i++) { /* else the row already says how many there are */
            host_run(tale->db, "DELETE FROM t WHERE rowid = %d; DELETE FROM twin WHERE id = %d", i, i);
        }
        assert_int_equal(sqlite3_set_authorizer(tale->db, forbid, NULL), SQLITE_OK);
        if (round == 1) assert_int_equal(host_try(tale->db, "SAVEPOINT a"), SQLITE_AUTH);
        assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_AUTH);
        assert_int_equal(sqlite3_get_autocommit(tale->db), 1);
        if (round == 2) assert_int_equal(host_try(tale->db, "INSERT INTO t(v) VALUES('[1,1]')"), SQLITE_AUTH);
        assert_int_equal(sqlite3_set_authorizer(tale->db, NULL, NULL), SQLITE_OK);
        same(tale->db);
        assert_int_equal(both_fill(tale->db, 20, 21 + round), SQLITE_OK);
    }
    same_anew(tale);
}

/* ---- locks ---- */

static void expect_locked(const story *tale, const char *after) {
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sqlite3 *db;
        if (sqlite3_open(tale->path, &db) != SQLITE_OK) _exit(2);
        _exit(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) == SQLITE_BUSY ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("%s: another process may write", after);
}

/* Whoever closes any descriptor of a file loses the process's locks on it: so nothing of ours may open the database. */
static void locks_of_the_database_are_kept(void **context) {
    static const char *const statements[] = {
        "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 5",
        "SELECT shardex_info('t'), shardex_recall('t', 3, 5)",
        "SELECT shardex_backup('%q/copy.db')",
        "SELECT shardex_catch_up('t')",
        "INSERT INTO t(v) VALUES('[1,1]')",
        "INSERT INTO t(t) VALUES('flush')",
        "INSERT INTO t(t) VALUES('optimize')",
        "INSERT INTO t(t) VALUES('integrity-check')",
        "INSERT INTO t(t) VALUES('reconcile')",
        "INSERT INTO t(t) VALUES('rebuild')",
        "INSERT INTO t(t) VALUES('purge')",
        "INSERT INTO t(t) VALUES('gc')",
        "CREATE VIRTUAL TABLE u USING shardex(v float[2])",
        "DROP TABLE u",
        "PRAGMA integrity_check",
    };
    story *tale = *context;
    fill(tale->db, "t", 1, 60);
    sqlite3 *other = host_open(tale->path); /* its close must not matter either */
    host_expect(other, "SELECT count(*) FROM t", "60");
    for (int writing = 0; writing < 2; writing++) {
        host_run(tale->db, writing ? "BEGIN IMMEDIATE" : "BEGIN; SELECT count(*) FROM t");
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            (void)host_try(tale->db, statements[i], tale->folder); /* some are refused within a transaction */
            expect_locked(tale, statements[i]);
        }
        (void)host_try(other, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 5");
        expect_locked(tale, "a query of another connection");
        host_run(tale->db, "ROLLBACK");
    }
    host_close(other);
    check_anew(tale, "t");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(a_neighbour_that_cannot_commit),
        STORY(a_neighbour_that_wants_no_savepoints),
        STORY(a_neighbour_that_cannot_roll_back),
        STORY(a_savepoint_that_is_opened_again),
        STORY(a_neighbour_that_refuses),
        STORY(killed_between_two_syncs),
        STORY(other_indexes_in_one_transaction),
        STORY(a_foreign_key_that_is_missing_at_commit),
        STORY(one_of_two_files_is_busy),
        STORY(killed_in_a_commit_of_two_files),
        STORY(a_statement_that_finds_a_reader),
        STORY(closed_in_a_transaction),
        STORY(a_host_that_forbids),
        STORY(a_host_that_forbids_the_state_row),
        STORY(locks_of_the_database_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
