/* The table as SQLite drives it: savepoints in every shape, commits that fail and are repeated, renames and drops that
** are rolled back, several connections, restored databases, streaming, joins, triggers, refused writes.
**
** After each story the table must agree with itself: an exact search gives all rows in the order of their distances,
** the index holds what the shadow tables hold, and a connection that opens the database anew finds the index current.
*/
#include "story.h"

/* ---- savepoints ---- */

static void savepoint_opened_before_the_first_write(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    host_run(tale->db, "BEGIN; SAVEPOINT a; SAVEPOINT b; DELETE FROM t WHERE rowid = 1; RELEASE b; SAVEPOINT c;"
                       "INSERT INTO t(rowid, v) VALUES(9, '[9,9]'); ROLLBACK TO a");
    check(tale->db, "t");
    host_expect(tale->db, "SELECT count(*) FROM t", "5");
    host_run(tale->db, "INSERT INTO t(rowid, v) VALUES(10, '[9,9]'); COMMIT");
    check_anew(tale, "t");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "1,2,3,4,5,10");
}

static void rollback_to_the_outermost_savepoint(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    host_run(tale->db,
             "SAVEPOINT a; UPDATE t SET v = '[7,7]' WHERE rowid < 3; SAVEPOINT b; DELETE FROM t WHERE rowid = 4;"
             "ROLLBACK TO a");
    check(tale->db, "t");
    host_run(tale->db, "INSERT INTO t(rowid, v) VALUES(6, '[6,6]'); RELEASE a");
    check_anew(tale, "t");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[6,6]' AND k = 2", "6,5");
}

static void nested_savepoints_in_all_orders(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 8);
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 1; SAVEPOINT a; DELETE FROM t WHERE rowid = 2; SAVEPOINT b;"
                       "DELETE FROM t WHERE rowid = 3; SAVEPOINT c; DELETE FROM t WHERE rowid = 4");
    host_run(tale->db, "ROLLBACK TO b");
    check(tale->db, "t");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "3,4,5,6,7,8");
    host_run(tale->db, "DELETE FROM t WHERE rowid = 8; SAVEPOINT c; DELETE FROM t WHERE rowid = 7; ROLLBACK TO c;"
                       "ROLLBACK TO c; DELETE FROM t WHERE rowid = 6; RELEASE b");
    check(tale->db, "t");
    host_run(tale->db, "ROLLBACK TO a");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "2,3,4,5,6,7,8");
    host_run(tale->db, "COMMIT");
    check_anew(tale, "t");
}

static void a_statement_that_fails_leaves_nothing(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 2");
    host_refuse(tale->db, SQLITE_CONSTRAINT, "INSERT INTO t(rowid, v) VALUES(7,'[7,7]'),(8,'[8,8]'),(3,'[0,0]')",
                "UNIQUE constraint failed: t.rowid");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "1,3,4,5");
    check(tale->db, "t");
    host_refuse(tale->db, SQLITE_CONSTRAINT,
                "INSERT OR FAIL INTO t(rowid, v) VALUES(7,'[7,7]'),(3,'[0,0]'),(9,'[8,8]')",
                "UNIQUE constraint failed: t.rowid");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "1,3,4,5,7");
    host_run(tale->db, "INSERT OR IGNORE INTO t(rowid, v) VALUES(10,'[7,7]'),(3,'[0,0]'),(11,'[8,8]')");
    host_run(tale->db, "INSERT OR REPLACE INTO t(rowid, v, s) VALUES(1,'[0.5,0]','new'),(12,'[1,1]','new')");
    host_expect(tale->db, "SELECT group_concat(rowid || s) FROM t WHERE s IS NOT NULL", "1new,3s3,4s4,5s5,12new");
    check(tale->db, "t");
    host_run(tale->db, "COMMIT");
    check_anew(tale, "t");
    host_refuse(tale->db, SQLITE_CONSTRAINT, "INSERT OR ROLLBACK INTO t(rowid, v) VALUES(20,'[7,7]'),(3,'[0,0]')",
                "UNIQUE constraint failed: t.rowid");
    check_anew(tale, "t");
}

/* ---- commits ---- */

static void commit_that_was_busy_is_repeated(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    sqlite3 *reader = host_open(tale->path);
    host_run(reader, "BEGIN; SELECT count(*) FROM t");
    host_run(tale->db, "BEGIN; INSERT INTO t(rowid, v) VALUES(6, '[6,0]'); SAVEPOINT a;"
                       "INSERT INTO t(rowid, v) VALUES(7, '[7,0]')");
    assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY);
    check(tale->db, "t");
    host_run(tale->db, "INSERT INTO t(rowid, v) VALUES(8, '[8,0]')");
    assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY);
    host_run(tale->db, "ROLLBACK TO a; INSERT INTO t(rowid, v) VALUES(9, '[9,0]')");
    check(tale->db, "t");
    host_run(reader, "COMMIT");
    host_run(tale->db, "COMMIT");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "1,2,3,4,5,6,9");
    check(reader, "t");
    host_close(reader);
    check_anew(tale, "t");
}

static int veto(void *unused) {
    (void)unused;
    return 1;
}

static void commit_that_a_hook_vetoes(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    sqlite3_commit_hook(tale->db, veto, NULL);
    assert_int_equal(host_try(tale->db, "DELETE FROM t WHERE rowid = 1"), SQLITE_CONSTRAINT);
    host_run(tale->db, "BEGIN; UPDATE t SET n = 9");
    assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_CONSTRAINT);
    sqlite3_commit_hook(tale->db, NULL, NULL);
    host_expect(tale->db, "SELECT group_concat(n) FROM t", "1,2,0,1,2");
    check_anew(tale, "t");
    host_run(tale->db, "DELETE FROM t WHERE rowid = 5");
    check_anew(tale, "t");
}

static void a_transaction_that_changes_nothing_keeps_its_commit(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    char *before = host_rows(tale->db, "SELECT shardex_info('t') ->> '$.commit'");
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 77; SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; COMMIT");
    host_expect(tale->db, "SELECT shardex_info('t') ->> '$.commit'", before);
    host_run(tale->db, "UPDATE t SET x = 'other' WHERE rowid = 1");
    char *after = host_rows(tale->db, "SELECT shardex_info('t') ->> '$.commit'");
    assert_string_not_equal(before, after);
    sqlite3_free(before);
    sqlite3_free(after);
    check_anew(tale, "t");
}

/* The same statements give the same commit, whatever the uuid; another value, even of an auxiliary column, another. */
static void commits_depend_on_the_operations_alone(void **context) {
    story *tale = *context;
    host_run(tale->db, "CREATE VIRTUAL TABLE u USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
    fill(tale->db, "t", 1, 20);
    fill(tale->db, "u", 1, 20);
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE n = 1; UPDATE t SET rowid = 100 WHERE rowid = 2; COMMIT");
    host_run(tale->db, "BEGIN; DELETE FROM u WHERE n = 1; SAVEPOINT a; DELETE FROM u; ROLLBACK TO a;"
                       "UPDATE u SET rowid = 100 WHERE rowid = 2; COMMIT");
    host_expect(tale->db, "SELECT shardex_info('t') ->> '$.commit' = shardex_info('u') ->> '$.commit'", "1");
    host_run(tale->db, "UPDATE t SET x = 'one' WHERE rowid = 3; UPDATE u SET x = 'two' WHERE rowid = 3");
    host_expect(tale->db, "SELECT shardex_info('t') ->> '$.commit' = shardex_info('u') ->> '$.commit'", "0");
}

/* ---- schema changes ---- */

static void rename_and_drop_with_rollback(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    host_run(tale->db,
             "BEGIN; DELETE FROM t WHERE rowid = 1; ALTER TABLE t RENAME TO u; DELETE FROM u WHERE rowid = 2");
    check(tale->db, "u");
    host_run(tale->db, "ROLLBACK");
    check(tale->db, "t");
    host_run(tale->db,
             "BEGIN; DELETE FROM t WHERE rowid = 1; ALTER TABLE t RENAME TO \"a b\"; ALTER TABLE \"a b\" RENAME TO c;"
             "COMMIT");
    check_anew(tale, "c");
    host_run(tale->db, "BEGIN; DELETE FROM c WHERE rowid = 2; SAVEPOINT a; ALTER TABLE c RENAME TO d;"
                       "DELETE FROM d WHERE rowid = 3; ROLLBACK TO a; DELETE FROM c WHERE rowid = 4; COMMIT");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM c", "3,5");
    check_anew(tale, "c");
    host_run(tale->db, "BEGIN; DROP TABLE c; ROLLBACK");
    check_anew(tale, "c");
    host_run(tale->db, "ALTER TABLE c RENAME TO t; DROP TABLE t");
    host_expect(tale->db, "SELECT count(*) FROM sqlite_schema", "0");
}

/* Names under which the table could not be connected any more. */
static void rename_to_a_name_of_a_column(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    host_refuse(tale->db, SQLITE_ERROR, "ALTER TABLE t RENAME TO N", "column \"n\": the name is that of the table");
    host_refuse(tale->db, SQLITE_ERROR, "ALTER TABLE t RENAME TO distance", "the name is that of a hidden column");
    host_refuse(tale->db, SQLITE_ERROR, "ALTER TABLE t RENAME TO oid", "the name means the row's id");
    check_anew(tale, "t");
    host_run(tale->db, "ALTER TABLE t RENAME TO u; DROP TABLE u");
    host_expect(tale->db, "SELECT count(*) FROM sqlite_schema", "0");
}

static void drop_undone_by_a_savepoint(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 6);
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 1; SAVEPOINT a; DELETE FROM t WHERE rowid = 2; SAVEPOINT b;"
                       "DROP TABLE t; ROLLBACK TO b");
    check(tale->db, "t");
    host_run(tale->db, "DELETE FROM t WHERE rowid = 3; COMMIT");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "4,5,6");
    check_anew(tale, "t");
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 4; SAVEPOINT a; DELETE FROM t WHERE rowid = 5; SAVEPOINT b;"
                       "DROP TABLE t; ROLLBACK TO a");
    check(tale->db, "t");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "5,6");
    host_run(tale->db, "COMMIT");
    check_at(tale->db, "t", "behind", __LINE__); /* nobody told the table that it was committed */
    host_run(tale->db, "INSERT INTO t(rowid, v) VALUES(9, '[9,9]')");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "5,6,9");
    check_anew(tale, "t");
}

/* COMMIT was busy, the table was dropped and came back, and then the transaction was committed, of which nobody told
** the table: what comes next is not part of it. */
static void drop_undone_after_a_busy_commit(void **context) {
    static const char *const drops[] = {
        "SAVEPOINT a; DROP TABLE t; ROLLBACK TO a; RELEASE a",
        "SAVEPOINT a; INSERT INTO t(v) VALUES('[1,1]'); DROP TABLE t; ROLLBACK TO a",
        "DROP TABLE t; ROLLBACK TO z",
    };
    story *tale = *context;
    fill(tale->db, "t", 1, 60);
    sqlite3 *reader = host_open(tale->path);
    for (int round = 0; round < 12; round++) {
        host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = %d; SAVEPOINT z", 2 * round + 1);
        if (round % 2) host_run(tale->db, "DELETE FROM t WHERE rowid = %d; SAVEPOINT z", 2 * round + 2);
        host_run(reader, "BEGIN; SELECT count(*) FROM t");
        assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY);
        host_run(reader, "COMMIT");
        host_run(tale->db, "%s", drops[round % 3]);
        host_run(tale->db, "COMMIT");
        if (round / 6) sqlite3_free(host_rows(tale->db, "SELECT rowid FROM t WHERE v MATCH '[1,1]' AND k = 3"));
        host_run(tale->db, "SAVEPOINT b; INSERT INTO t(rowid, v) VALUES(%d, '[1,2]'); ROLLBACK TO b", 100 + round);
        host_run(tale->db, "INSERT INTO t(rowid, v) VALUES(%d, '[1,3]'); RELEASE b", 200 + round);
        check(tale->db, "t");
    }
    host_close(reader);
    host_expect(tale->db, "SELECT count(*), min(rowid) FROM t", "54|2");
    check_anew(tale, "t");
}

/* What is there has no name yet, and the transaction that would give it one ends without the table, too. */
static void drop_undone_twice(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 6);
    for (int round = 0; round < 2; round++) {
        host_run(tale->db, "SAVEPOINT a; DELETE FROM t WHERE rowid = %d; SAVEPOINT b; DROP TABLE t; ROLLBACK TO b;"
                           "RELEASE a", 2 + round);
        host_run(tale->db, "SAVEPOINT a; INSERT INTO t(rowid, v) VALUES(9, '[9,9]'); ROLLBACK TO a; SAVEPOINT c;"
                           "DROP TABLE t; ROLLBACK TO c; RELEASE a");
        check_at(tale->db, "t", "behind", __LINE__);
    }
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "1,4,5,6");
    host_run(tale->db, "INSERT INTO t(rowid, v) VALUES(9, '[9,9]')");
    check_anew(tale, "t");
}

static void created_and_undone_in_one_transaction(void **context) {
    story *tale = *context;
    host_run(tale->db, "BEGIN; SAVEPOINT a; CREATE VIRTUAL TABLE u USING shardex(v float[2], n, s, +x)");
    fill(tale->db, "u", 1, 5);
    check(tale->db, "u");
    host_run(tale->db, "ROLLBACK TO a; CREATE VIRTUAL TABLE u USING shardex(v float[2], n, s, +x)");
    fill(tale->db, "u", 3, 9);
    check(tale->db, "u");
    host_run(tale->db, "COMMIT");
    check_anew(tale, "u");
    host_run(tale->db, "BEGIN; DROP TABLE u; CREATE VIRTUAL TABLE u USING shardex(v float[2], n, s, +x)");
    fill(tale->db, "u", 1, 3);
    host_run(tale->db, "COMMIT");
    check_anew(tale, "u");
    host_expect(tale->db, "SELECT count(*) FROM u", "3");
    host_run(tale->db, "BEGIN; SAVEPOINT a; DROP TABLE u; ROLLBACK TO a");
    for (int round = 0; round < 3; round++) { /* the one before still takes part while the next one is made */
        host_run(tale->db, "DROP TABLE u; CREATE VIRTUAL TABLE u USING shardex(v float[2], n, s, +x)");
        host_run(tale->db, "INSERT INTO u(rowid, v) VALUES(%d, '[1,1]')", round);
        if (round < 2) host_run(tale->db, "ROLLBACK TO a");
    }
    check(tale->db, "u");
    host_run(tale->db, "COMMIT");
    check_anew(tale, "u");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM u", "2");
}

static void vacuum_and_foreign_schema_changes(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 50);
    host_run(tale->db, "DELETE FROM t WHERE rowid < 20; VACUUM");
    check_anew(tale, "t");
    sqlite3 *other = host_open(tale->path);
    host_run(tale->db,
             "BEGIN; INSERT INTO t(v) VALUES('[1,1]'); CREATE TABLE plain(a); INSERT INTO t(v) VALUES('[2,2]')");
    check(tale->db, "t");
    host_run(tale->db, "COMMIT");
    check(other, "t");
    host_run(other, "CREATE TABLE more(a); INSERT INTO t(v) VALUES('[3,3]')");
    check(tale->db, "t");
    host_close(other);
    check_anew(tale, "t");
}

/* ---- other databases ---- */

static void one_name_in_several_databases(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    host_run(tale->db, "ATTACH '%q/second.db' AS second", tale->folder);
    host_run(tale->db, "CREATE VIRTUAL TABLE second.t USING shardex(v float[2], n, s, +x);"
                       "CREATE VIRTUAL TABLE temp.t USING shardex(v float[2])");
    host_run(tale->db,
             "BEGIN; INSERT INTO second.t(rowid, v) VALUES(1, '[1,1]'); INSERT INTO temp.t(v) VALUES('[5,5]');"
             "SAVEPOINT a; DELETE FROM main.t; DELETE FROM second.t; DELETE FROM temp.t; ROLLBACK TO a;"
             "INSERT INTO second.t(rowid, v) VALUES(2, '[2,2]'); DELETE FROM main.t WHERE rowid = 5; COMMIT");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM main.t WHERE v MATCH '[5,0]' AND k = 9", "4,3,2,1");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM second.t WHERE v MATCH '[5,0]' AND k = 9", "2,1");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM temp.t WHERE v MATCH '[5,0]' AND k = 9", "1");
    host_expect(tale->db,
                "SELECT shardex_info('t') ->> '$.directory', shardex_info('second.t') ->> '$.state', "
                "shardex_info('t', 'main') ->> '$.rows'",
                "memory|current|4");
    host_run(tale->db, "DROP TABLE temp.t; DETACH second");
    check_anew(tale, "t");
}

static void another_connection_sees_commits_at_once(void **context) {
    story *tale = *context;
    host_run(tale->db, "PRAGMA journal_mode = WAL");
    sqlite3 *other = host_open(tale->path);
    for (int i = 0; i < 20; i++) {
        sqlite3 *writer = i % 2 ? other : tale->db, *reader = i % 2 ? tale->db : other;
        host_run(reader, "BEGIN; SELECT count(*) FROM t");
        char *before = host_rows(reader, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 99");
        host_run(writer, "INSERT INTO t(rowid, v) VALUES(%d, '[%d,0]'); DELETE FROM t WHERE rowid = %d", i + 1, i + 1,
                 i - 3);
        host_expect(reader, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 99", before);
        sqlite3_free(before);
        host_run(reader, "COMMIT");
        check(reader, "t");
        check(writer, "t");
    }
    host_close(other);
}

static void copy_database(sqlite3 *from, sqlite3 *to) {
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    assert_non_null(backup);
    assert_int_equal(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    assert_int_equal(sqlite3_backup_finish(backup), SQLITE_OK);
}

static void backup_into_a_database_in_use(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    char *path = sqlite3_mprintf("%s/copy.db", tale->folder);
    sqlite3 *copy = host_open(path);
    copy_database(tale->db, copy);
    host_expect(copy, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 99", "1,2,3,4,5");
    check_at(copy, "t", "reconciled", __LINE__); /* no directory yet, and reading does not make one */
    fill(tale->db, "t", 6, 9);
    copy_database(tale->db, copy);
    check_at(copy, "t", "reconciled", __LINE__);
    host_run(copy, "DELETE FROM t WHERE rowid = 1");
    check(copy, "t");
    host_run(tale->db, "DELETE FROM t WHERE rowid = 2");
    copy_database(copy, tale->db); /* the original takes the other branch */
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 99", "2,3,4,5,6,7,8,9");
    host_run(tale->db, "DELETE FROM t WHERE rowid = 3");
    check_anew(tale, "t");
    host_run(tale->db, "DROP TABLE t; CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
    fill(tale->db, "t", 1, 3);
    copy_database(tale->db, copy); /* another index under the same name */
    host_expect(copy, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 99", "1,2,3");
    host_close(copy);
    sqlite3_free(path);
}

static void databases_without_a_file(void **context) {
    story *tale = *context;
    static const char *const names[] = {":memory:", "", "file:/shared?vfs=memdb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sqlite3 *db = host_open(names[i]);
        host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
        fill(db, "t", 1, 30);
        host_run(db, "BEGIN; DELETE FROM t WHERE n = 1; SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; COMMIT");
        check(db, "t");
        host_run(db, "INSERT INTO t(t) VALUES('optimize')");
        check(db, "t");
        host_expect(db, "SELECT shardex_info('t') ->> '$.directory'", "memory");
        host_close(db);
    }
    fill(tale->db, "t", 1, 30);
    sqlite3 *db = host_open(":memory:");
    copy_database(tale->db, db);
    check(db, "t");
    host_close(db);
}

static void the_directory_disappears(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 30);
    host_close(tale->db);
    host_remove_folder(sqlite3_mprintf("%s-shardex", tale->path));
    tale->db = host_open(tale->path);
    check_at(tale->db, "t", "reconciled", __LINE__);
    host_expect(tale->db, "SELECT shardex_catch_up('t'), shardex_catch_up('main.t')", "caught up|current");
    check_anew(tale, "t");
    host_close(tale->db);
    host_remove_folder(sqlite3_mprintf("%s-shardex", tale->path));
    tale->db = host_open(tale->path);
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 1");
    check(tale->db, "t");
    host_run(tale->db, "COMMIT");
    check_anew(tale, "t");
}

/* ---- queries ---- */

static void own_changes_are_seen(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 10);
    host_run(tale->db, "BEGIN; UPDATE t SET v = '[100,0]' WHERE rowid = 1; DELETE FROM t WHERE rowid = 2;"
                       "INSERT INTO t(rowid, v, n) VALUES(50, '[0,0]', 1); UPDATE t SET n = 77 WHERE rowid = 3");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 3", "50,3,4");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 3 AND n = 77", "3");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[100,0]' AND k = 1", "1");
    check(tale->db, "t");
    host_run(tale->db, "ROLLBACK");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 3", "1,2,3");
}

static void every_column_can_be_updated(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 4);
    host_run(tale->db,
             "UPDATE t SET n = 10 WHERE rowid = 1; UPDATE t SET s = NULL WHERE rowid = 1;"
             "UPDATE t SET x = 'X' WHERE rowid = 2; UPDATE t SET v = '[9,9]' WHERE rowid = 3;"
             "UPDATE t SET rowid = 40 WHERE rowid = 4; UPDATE t SET _rowid_ = 41, x = 'moved' WHERE rowid = 40");
    host_expect(tale->db, "SELECT rowid, vec_to_json(v), n, s, x FROM t",
                "1|[1.000000,0.000000]|10|NULL|x1 2|[2.000000,0.000000]|2|s2|X 3|[9.000000,9.000000]|0|s3|x3 "
                "41|[4.000000,0.000000]|1|s4|moved");
    check_anew(tale, "t");
    host_refuse(tale->db, SQLITE_CONSTRAINT, "UPDATE t SET rowid = 1 WHERE rowid = 2",
                "UNIQUE constraint failed: t.rowid");
    host_run(tale->db, "UPDATE OR REPLACE t SET rowid = 1 WHERE rowid = 2");
    host_expect(tale->db, "SELECT rowid, n, x FROM t WHERE v MATCH '[2,0]' AND k = 1", "1|2|X");
    check_anew(tale, "t");
    host_run(tale->db, "UPDATE t SET rowid = rowid + 1000");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t", "1001,1003,1041");
    check_anew(tale, "t");
}

static void last_insert_rowid_is_the_rows(void **context) {
    story *tale = *context;
    host_run(tale->db, "CREATE TABLE plain(a); INSERT INTO plain(rowid, a) VALUES(1234, 1)");
    fill(tale->db, "t", 7, 7);
    host_run(tale->db, "INSERT INTO t(v) VALUES('[1,1]')");
    assert_int_equal(sqlite3_last_insert_rowid(tale->db), 8);
    host_run(tale->db, "INSERT INTO plain(rowid, a) VALUES(77, 1); UPDATE t SET rowid = 9 WHERE rowid = 8");
    assert_int_equal(sqlite3_last_insert_rowid(tale->db), 77);
    host_run(tale->db, "DELETE FROM t WHERE rowid = 9; INSERT INTO t(t) VALUES('flush')");
    assert_int_equal(sqlite3_last_insert_rowid(tale->db), 77);
    host_run(tale->db, "CREATE VIRTUAL TABLE u USING shardex(v float[2])");
    assert_int_equal(sqlite3_last_insert_rowid(tale->db), 77);
}

/* Conditions of every kind, with k, with LIMIT and without, against the table's own rows in order. */
static void conditions_come_before_k(void **context) {
    static const char *const conditions[] = {
        "n = 1",
        "n <> 1",
        "n IN (0, 2)",
        "s LIKE 's1%'",
        "s GLOB '*7'",
        "n IS NULL",
        "n IS NOT NULL",
        "x = 'x17'",
        "x IN ('x3', 'x30', 'x31', 'none')",
        "rowid IN (5, 17, 18, 9999)",
        "rowid BETWEEN 20 AND 60 AND n = 2",
        "rowid = 44",
        "n = 1 OR s = 's2'",
        "n + 1 = 2",
        "abs(rowid) % 7 = 3",
        "s COLLATE NOCASE = 'S40'",
        "n = '1'",
        "n = 1.0",
        "s = 12",
        "s < 's2' AND x > 'x15'",
        "NOT n = 1",
        "distance < 20",
        "distance >= 30",
        "n IS 2",
        "distance BETWEEN 10 AND 12.5 AND n = 1",
        "s IN (SELECT 's' || rowid FROM t WHERE n = 2)",
        "s IS NOT 's5'",
        "rowid IN (SELECT rowid FROM t WHERE n < 2) AND rowid > 30",
        "n = NULL",
        "s = x",
    };
    story *tale = *context;
    fill(tale->db, "t", 1, 90);
    host_run(tale->db, "UPDATE t SET n = NULL WHERE rowid %% 11 = 0; INSERT INTO t(t) VALUES('flush')");
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        for (int limit = 0; limit <= 100; limit += 20) {
            char *truth = sqlite3_mprintf("SELECT rowid FROM (SELECT rowid, n, s, x, vec_distance_l2(v, '[40.3,1]') AS "
                                          "distance FROM t) WHERE %s ORDER BY distance, rowid LIMIT %d OFFSET 2",
                                          conditions[i], limit);
            char *rows = host_rows(tale->db, truth);
            char *query =
                sqlite3_mprintf("SELECT rowid FROM t WHERE v MATCH '[40.3,1]' AND (%s) ORDER BY distance LIMIT %d "
                                "OFFSET 2",
                                conditions[i], limit);
            host_expect(tale->db, query, rows);
            sqlite3_free(truth);
            sqlite3_free(query);
            sqlite3_free(rows);
        }
    }
    host_expect(tale->db,
                "SELECT group_concat(rowid) FROM t WHERE v MATCH '[40.3,1]' AND k = 2 AND distance > 5 AND n = 1",
                "46,34");
    host_expect(tale->db, "SELECT count(*) FROM t WHERE v MATCH '[40.3,1]'", "90");
    host_expect(tale->db, "SELECT count(*) FROM t WHERE v MATCH '[40.3,1]' AND k = 0", "0");
    host_expect(tale->db, "SELECT count(*) FROM t WHERE v MATCH '[40.3,1]' AND k = 1000000000000", "90");
    host_expect(tale->db,
                "SELECT group_concat(rowid) FROM (SELECT rowid FROM t WHERE v MATCH '[40.3,1]' AND k = 5 LIMIT 2)",
                "40,41");
    host_expect(tale->db, "SELECT count(*) FROM t WHERE distance > 0", "0");
}

/* More values than a statement has parameters. */
static void long_lists(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 90);
    host_run(tale->db, "CREATE TABLE names(s); WITH RECURSIVE i(i) AS (SELECT 80 UNION ALL SELECT i + 1 FROM i WHERE "
                       "i < 50000) INSERT INTO names SELECT 's' || i FROM i");
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 3 AND s IN names",
                "80,81,82");
    host_expect(tale->db,
                "SELECT group_concat(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 3 AND s IN names AND n = 0 AND "
                "rowid <> 81",
                "84,87,90");
    host_expect(tale->db, "SELECT count(*) FROM t WHERE s IN names", "11");
}

static void joins_and_subqueries(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 30);
    host_run(tale->db, "CREATE TABLE wanted(id INTEGER PRIMARY KEY, q BLOB, many INTEGER);"
                       "INSERT INTO wanted VALUES(1, vec_f32('[5,0]'), 2), (2, vec_f32('[20.2,0]'), 3)");
    host_expect(tale->db,
                "SELECT w.id, t.rowid FROM wanted w JOIN t ON t.v MATCH w.q AND t.k = w.many ORDER BY w.id, "
                "t.distance",
                "1|5 1|4 2|20 2|21 2|19");
    host_expect(tale->db, "SELECT w.id, t.rowid FROM t, wanted w WHERE t.v MATCH w.q AND t.k = 1", "1|5 2|20");
    host_expect(tale->db, "SELECT id, (SELECT rowid FROM t WHERE v MATCH q ORDER BY distance LIMIT 1) FROM wanted",
                "1|5 2|20");
    host_expect(tale->db,
                "SELECT a.rowid, group_concat(b.rowid) FROM t a JOIN t b ON b.v MATCH a.v AND b.k = 2 "
                "WHERE a.rowid IN (3, 30) GROUP BY a.rowid",
                "3|3,2 30|30,29");
    host_expect(tale->db,
                "WITH near AS (SELECT rowid AS id, distance FROM t WHERE v MATCH '[7,0]' ORDER BY distance LIMIT 3) "
                "SELECT group_concat(near.id || w.id) FROM near JOIN wanted w WHERE w.id = 1",
                "71,61,81");
    host_expect(tale->db, "SELECT w.id, t.rowid FROM wanted w LEFT JOIN t ON t.v MATCH w.q AND t.k = 1 AND t.n = 9",
                "1|NULL 2|NULL");
}

static void triggers_write_the_table(void **context) {
    story *tale = *context;
    host_run(tale->db,
             "CREATE TABLE notes(id INTEGER PRIMARY KEY, q TEXT);"
             "CREATE TRIGGER added AFTER INSERT ON notes BEGIN INSERT INTO t(rowid, v) VALUES(new.id, new.q); END;"
             "CREATE TRIGGER changed AFTER UPDATE ON notes BEGIN UPDATE t SET v = new.q WHERE rowid = new.id; END;"
             "CREATE TRIGGER gone AFTER DELETE ON notes BEGIN DELETE FROM t WHERE rowid = old.id; END");
    host_run(tale->db,
             "INSERT INTO notes VALUES(1,'[1,0]'),(2,'[2,0]'),(3,'[3,0]'); UPDATE notes SET q = '[9,0]' WHERE id = 1;"
             "DELETE FROM notes WHERE id = 2");
    assert_int_equal(sqlite3_last_insert_rowid(tale->db), 3);
    assert_int_equal(host_try(tale->db, "INSERT INTO notes VALUES(4,'[4,0]'),(5,'[5]')"), SQLITE_ERROR);
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[9,0]' AND k = 9", "1,3");
    host_expect(tale->db, "SELECT group_concat(id) FROM notes", "1,3");
    check_anew(tale, "t");
}

static void a_row_that_goes_during_the_query(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    sqlite3_stmt *query;
    assert_int_equal(
        sqlite3_prepare_v2(tale->db, "SELECT rowid, s FROM t WHERE v MATCH '[0,0]' AND k = 5", -1, &query, NULL),
        SQLITE_OK);
    for (int i = 1; i <= 3; i++) { /* deleting what was just read is fine */
        assert_int_equal(sqlite3_step(query), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(query, 0), i);
        host_run(tale->db, "DELETE FROM t WHERE rowid = %d", i);
    }
    host_run(tale->db, "DELETE FROM t WHERE rowid = 4");
    assert_int_equal(sqlite3_step(query), SQLITE_ABORT);
    assert_non_null(strstr(sqlite3_errmsg(tale->db), "went away during the query"));
    sqlite3_finalize(query);
    check_anew(tale, "t");
}

/* ---- refusals ---- */

static void writes_that_are_refused(void **context) {
    story *tale = *context;
    host_run(tale->db, "CREATE VIRTUAL TABLE u USING shardex(id INTEGER PRIMARY KEY, v float[2], n INTEGER NOT NULL)");
    host_run(tale->db, "INSERT INTO u VALUES(1, '[1,1]', 1)");
    static const struct {
        int code;
        const char *sql, *message;
    } refusals[] = {
        {SQLITE_ERROR, "INSERT INTO u(v, n) VALUES('[1]', 1)", "Expected 2 dimensions but received 1"},
        {SQLITE_ERROR, "INSERT INTO u(v, n) VALUES(NULL, 1)", "found NULL"},
        {SQLITE_ERROR, "INSERT INTO u(v, n) VALUES('[1,', 1)", "invalid"},
        {SQLITE_ERROR, "INSERT INTO u(v, n, k) VALUES('[1,1]', 1, 5)", "hidden \"k\" column"},
        {SQLITE_ERROR, "INSERT INTO u(v, n, distance) VALUES('[1,1]', 1, 5)", "hidden \"distance\" column"},
        {SQLITE_CONSTRAINT, "INSERT INTO u(v) VALUES('[1,1]')", "NOT NULL constraint failed: u.n"},
        {SQLITE_CONSTRAINT, "UPDATE u SET n = NULL", "NOT NULL constraint failed: u.n"},
        {SQLITE_CONSTRAINT, "INSERT INTO u VALUES(1, '[1,1]', 1)", "UNIQUE constraint failed: u.id"},
        {SQLITE_MISMATCH, "INSERT INTO u VALUES('one', '[1,1]', 1)", "must be an integer"},
        {SQLITE_MISMATCH, "UPDATE u SET id = NULL", "must be an integer"},
        {SQLITE_ERROR, "UPDATE u SET v = NULL", "found NULL"},
        {SQLITE_ERROR, "UPDATE u SET u = 'flush'", "by INSERT"},
        {SQLITE_ERROR, "INSERT INTO u(u) VALUES('nonsense')", "expected 'flush', 'optimize'"},
    };
    char *before = host_rows(tale->db, "SELECT shardex_info('u') ->> '$.commit'");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        host_refuse(tale->db, refusals[i].code, refusals[i].sql, refusals[i].message);
    }
    host_expect(tale->db, "SELECT id, n FROM u", "1|1");
    host_expect(tale->db, "SELECT shardex_info('u') ->> '$.commit'", before);
    sqlite3_free(before);
    host_run(tale->db, "BEGIN; INSERT INTO u(v, n) VALUES('[2,2]', 1)");
    host_refuse(tale->db, SQLITE_ERROR, "INSERT INTO u(u) VALUES('optimize')", "commit the changes");
    host_run(tale->db, "INSERT INTO u(u) VALUES('flush'); COMMIT");
    host_expect(tale->db, "SELECT count(*) FROM u WHERE v MATCH '[0,0]' AND k = 9", "2");
}

static void integrity_check_names_the_damage(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 5);
    host_run(tale->db, "INSERT INTO t(t) VALUES('integrity-check'); BEGIN;"
                       "UPDATE t_vectors SET vector = vec_f32('[7,7]') WHERE id = 2; DELETE FROM t_aux WHERE id = 3;"
                       "DELETE FROM t_vectors WHERE id = 4");
    host_refuse(tale->db, SQLITE_CORRUPT, "INSERT INTO t(t) VALUES('integrity-check')", "has 3 problems");
    host_refuse(tale->db, SQLITE_CORRUPT, "INSERT INTO t(t) VALUES('integrity-check')",
                "the vector of row 2 does not fit its hash\nrow 4 has no vector\nrow 3 has no auxiliary columns");
    host_run(tale->db, "ROLLBACK; INSERT INTO t(t) VALUES('integrity-check')");
    host_run(tale->db, "UPDATE t_state SET commit_id = zeroblob(3)");
    host_refuse(tale->db, SQLITE_CORRUPT, "SELECT rowid FROM t WHERE v MATCH '[1,1]' AND k = 1", "state row");
    host_run(tale->db, "DELETE FROM t_state");
    host_refuse(tale->db, SQLITE_CORRUPT, "INSERT INTO t(v) VALUES('[1,1]')", "state row");
    host_run(tale->db, "DROP TABLE t");
}

static void names_may_be_anything(void **context) {
    story *tale = *context;
    host_run(tale->db,
             "CREATE VIRTUAL TABLE \"it's \"\"quoted\"\" %%s ü\" USING shardex(v float[2], \"a b\" TEXT, +\"c\" TEXT)");
    host_run(tale->db, "INSERT INTO \"it's \"\"quoted\"\" %%s ü\"(v, \"a b\") VALUES('[1,1]', 'yes')");
    host_expect(tale->db,
                "SELECT \"a b\", c FROM \"it's \"\"quoted\"\" %s ü\" WHERE v MATCH '[1,1]' AND k = 1 AND "
                "\"a b\" = 'yes' AND c IS NULL",
                "yes|NULL");
    host_run(tale->db,
             "ALTER TABLE \"it's \"\"quoted\"\" %%s ü\" RENAME TO \"%%w\"; DELETE FROM \"%%w\"; DROP TABLE \"%%w\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(savepoint_opened_before_the_first_write),
        STORY(rollback_to_the_outermost_savepoint),
        STORY(nested_savepoints_in_all_orders),
        STORY(a_statement_that_fails_leaves_nothing),
        STORY(commit_that_was_busy_is_repeated),
        STORY(commit_that_a_hook_vetoes),
        STORY(a_transaction_that_changes_nothing_keeps_its_commit),
        STORY(commits_depend_on_the_operations_alone),
        STORY(rename_and_drop_with_rollback), STORY(rename_to_a_name_of_a_column),
        STORY(drop_undone_by_a_savepoint),
        STORY(drop_undone_after_a_busy_commit),
        STORY(drop_undone_twice),
        STORY(created_and_undone_in_one_transaction),
        STORY(vacuum_and_foreign_schema_changes),
        STORY(one_name_in_several_databases),
        STORY(another_connection_sees_commits_at_once),
        STORY(backup_into_a_database_in_use),
        STORY(databases_without_a_file),
        STORY(the_directory_disappears),
        STORY(own_changes_are_seen),
        STORY(every_column_can_be_updated),
        STORY(last_insert_rowid_is_the_rows),
        STORY(conditions_come_before_k),
        STORY(long_lists),
        STORY(joins_and_subqueries),
        STORY(triggers_write_the_table),
        STORY(a_row_that_goes_during_the_query),
        STORY(writes_that_are_refused),
        STORY(integrity_check_names_the_damage),
        STORY(names_may_be_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
