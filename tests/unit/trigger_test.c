/* Rows that come by way of other tables: triggers of every kind, what they raise, foreign keys; statements that read
** the table which they write, or two tables; statements that are stopped at any of their steps. The ordinary twin goes
** through the same.
*/
#include "story_twin.h"

/* ---- triggers ---- */

/* What is written into `notes` comes into both tables, which have all three kinds of triggers. */
static void make_notes(sqlite3 *db) {
    make_twin(db);
    host_run(db, "CREATE TABLE notes(id INTEGER PRIMARY KEY, q TEXT, raise TEXT);"
                 "CREATE TRIGGER added AFTER INSERT ON notes BEGIN "
                 "INSERT INTO t(rowid, v, x) VALUES(new.id, vec_f32(new.q), new.raise);"
                 "INSERT INTO twin(id, v, x) VALUES(new.id, vec_f32(new.q), new.raise);"
                 "SELECT CASE new.raise WHEN 'ABORT' THEN raise(ABORT, 'a') WHEN 'FAIL' THEN raise(FAIL, 'f') "
                 "WHEN 'ROLLBACK' THEN raise(ROLLBACK, 'r') WHEN 'IGNORE' THEN raise(IGNORE) END; END;"
                 "CREATE TRIGGER changed BEFORE UPDATE ON notes BEGIN "
                 "UPDATE t SET v = vec_f32(new.q), rowid = new.id WHERE rowid = old.id;"
                 "UPDATE twin SET v = vec_f32(new.q), id = new.id WHERE id = old.id;"
                 "SELECT CASE new.raise WHEN 'ABORT' THEN raise(ABORT, 'a') WHEN 'FAIL' THEN raise(FAIL, 'f') "
                 "WHEN 'ROLLBACK' THEN raise(ROLLBACK, 'r') WHEN 'IGNORE' THEN raise(IGNORE) END; END;"
                 "CREATE TRIGGER gone AFTER DELETE ON notes BEGIN "
                 "DELETE FROM t WHERE rowid = old.id; DELETE FROM twin WHERE id = old.id;"
                 "SELECT CASE old.raise WHEN 'never' THEN raise(ABORT, 'never') END; END");
}

/* A trigger ends the row, the statement or the transaction, after it has written to the table. */
static void what_triggers_raise(void **context) {
    static const char *const raises[] = {"ABORT", "FAIL", "ROLLBACK", "IGNORE", "never"};
    static const char *const frames[] = {"SELECT 1", "BEGIN", "SAVEPOINT s",
                                         "BEGIN; DELETE FROM notes WHERE id = 3;"
                                         "SAVEPOINT a; INSERT INTO notes VALUES(400, '[4,4]', ''); SAVEPOINT b"};
    static const char *const statements[] = {
        "INSERT INTO notes VALUES(100, '[1,1]', ''), (101, '[1,2]', '%s'), (102, '[1,3]', '')",
        "INSERT OR REPLACE INTO notes VALUES(100, '[1,1]', ''), (5, '[1,2]', '%s'), (102, '[1,3]', '')",
        "INSERT OR IGNORE INTO notes SELECT id + 200, q, iif(id = 6, '%s', '') FROM notes",
        "INSERT OR FAIL INTO notes VALUES(103, '[1,1]', ''), (7, '[7,1]', '%s'), (104, '[1,3]', '')",
        "INSERT OR ROLLBACK INTO notes VALUES(103, '[1,1]', ''), (7, '[7,1]', '%s'), (104, '[1,3]', '')",
        "UPDATE notes SET q = '[2,2]', raise = iif(id = 4, '%s', '') WHERE id BETWEEN 3 AND 6",
        "UPDATE OR REPLACE notes SET id = id + 1, raise = iif(id = 4, '%s', '') WHERE id BETWEEN 3 AND 6",
        "DELETE FROM notes WHERE raise = '%s' OR id BETWEEN 8 AND 9",
    };
    story *tale = *context;
    make_notes(tale->db);
    for (size_t r = 0; r < sizeof raises / sizeof *raises; r++) {
        for (size_t f = 0; f < sizeof frames / sizeof *frames; f++) {
            for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
                host_run(tale->db, "UPDATE notes SET raise = ''; DELETE FROM notes");
                for (int id = 1; id < 10; id++)
                    host_run(tale->db, "INSERT INTO notes VALUES(%d, '[%d,0]', '')", id, id);
                host_run(tale->db, "%s", frames[f]);
                (void)host_try(tale->db, statements[i], raises[r]);
                same(tale->db);
                if (!sqlite3_get_autocommit(tale->db) && f == 3)
                    host_run(tale->db, i % 2 ? "ROLLBACK TO a" : "RELEASE b");
                (void)host_try(tale->db, "INSERT INTO notes VALUES(300, '[3,3]', '')");
                same(tale->db);
                if (!sqlite3_get_autocommit(tale->db)) host_run(tale->db, i % 3 == 2 ? "ROLLBACK" : "COMMIT");
                same(tale->db);
                host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
            }
        }
    }
    same_anew(tale);
}

/* The conflict clause of the outer statement is that of the statements within its triggers. */
static void conflicts_within_triggers(void **context) {
    static const char *const clauses[] = {"", "OR ABORT", "OR FAIL", "OR IGNORE", "OR REPLACE", "OR ROLLBACK"};
    story *tale = *context;
    make_twin(tale->db);
    host_run(tale->db,
             "CREATE TABLE a(id, q); CREATE TABLE b(id, q);"
             "CREATE TRIGGER ta AFTER INSERT ON a BEGIN INSERT INTO t(rowid, v) VALUES(new.id, vec_f32(new.q)); END;"
             "CREATE TRIGGER tb AFTER INSERT ON b BEGIN INSERT INTO twin(id, v) VALUES(new.id, vec_f32(new.q)); END");
    assert_int_equal(both_fill(tale->db, 1, 9), SQLITE_OK);
    for (int frame = 0; frame < 3; frame++) {
        for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++) {
            char *rows[2];
            for (int twin = 0; twin < 2; twin++) {
                rows[twin] = sqlite3_mprintf("INSERT %s INTO %s VALUES(%d, '[1,2]'), (4, '[2,2]'), (%d, '[3,2]')",
                                             clauses[i], twin ? "b" : "a", 100 + (int)i, 200 + (int)i);
            }
            if (frame) host_run(tale->db, frame == 1 ? "BEGIN" : "SAVEPOINT a; SAVEPOINT b");
            if (strcmp(clauses[i], "OR ROLLBACK") == 0 && frame) { /* each would end the transaction of the other */
                assert_int_equal(host_try(tale->db, "%s", rows[frame - 1]), SQLITE_CONSTRAINT);
            } else {
                both(tale->db, rows[0], rows[1]);
            }
            same(tale->db);
            if (!sqlite3_get_autocommit(tale->db)) host_run(tale->db, i % 2 ? "COMMIT" : "ROLLBACK");
            same(tale->db);
            sqlite3_free(rows[0]);
            sqlite3_free(rows[1]);
        }
    }
    same_anew(tale);
}

/* Triggers that fire themselves, triggers of views, temporary ones, ones of another file; they ask the table, too. */
static void triggers_of_triggers(void **context) {
    story *tale = *context;
    make_notes(tale->db);
    host_run(tale->db, "PRAGMA recursive_triggers = ON; ATTACH ':memory:' AS m; CREATE TABLE m.log(id, near);"
                       "CREATE TRIGGER down AFTER INSERT ON notes WHEN new.id %% 10 > 0 BEGIN "
                       "INSERT INTO notes VALUES(new.id - 1, '[' || new.id || ',1]', ''); END;"
                       "CREATE TEMP TRIGGER told AFTER INSERT ON main.notes BEGIN INSERT INTO log SELECT new.id, "
                       "(SELECT rowid FROM main.t WHERE v MATCH new.q AND k = 1 AND exact = 1); END;"
                       "CREATE VIEW seen AS SELECT rowid AS id, v FROM t;"
                       "CREATE TRIGGER seen_added INSTEAD OF INSERT ON seen BEGIN "
                       "INSERT INTO notes VALUES(new.id, new.v, ''); END;"
                       "CREATE TRIGGER seen_gone INSTEAD OF DELETE ON seen BEGIN DELETE FROM notes WHERE id = old.id; "
                       "END");
    for (int round = 0; round < 4; round++) {
        host_run(tale->db, "BEGIN");
        host_run(tale->db, "INSERT INTO seen VALUES(%d, '[2,9]'), (%d, '[5,9]')", 109 + 100 * round, 155 + 100 * round);
        host_run(tale->db, "SAVEPOINT a; INSERT INTO notes VALUES(%d, '[5,5]', ''); DELETE FROM seen WHERE id %% 4 = 2",
                 189 + 100 * round);
        same(tale->db);
        assert_int_equal(host_try(tale->db, "INSERT INTO notes VALUES(%d, '[5,5]', 'ABORT')", 139 + 100 * round),
                         SQLITE_CONSTRAINT);
        if (round == 1) host_run(tale->db, "ROLLBACK TO a");
        same(tale->db);
        host_run(tale->db, round == 3 ? "ROLLBACK" : "COMMIT");
    }
    host_expect(tale->db, "SELECT (SELECT count(*) FROM t) > 30, (SELECT count(near) FROM log) > 30", "1|1");
    same_anew(tale);
}

/* ---- foreign keys ---- */

/* Rows that go or change since their parents do; some must not. */
static void foreign_keys_reach_the_table(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    host_run(tale->db,
             "PRAGMA foreign_keys = ON; CREATE TABLE p(id INTEGER PRIMARY KEY);"
             "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);"
             "CREATE TABLE strict(p REFERENCES p ON DELETE RESTRICT);"
             "CREATE TRIGGER c_added AFTER INSERT ON c BEGIN INSERT INTO t(rowid, v, n) VALUES(new.id, "
             "vec_f32('[' || new.id || ',' || new.p || ']'), new.p); INSERT INTO twin(id, v, n) VALUES(new.id, "
             "vec_f32('[' || new.id || ',' || new.p || ']'), new.p); END;"
             "CREATE TRIGGER c_changed AFTER UPDATE ON c BEGIN UPDATE t SET n = new.p, v = vec_f32('[0,' || new.p || "
             "']') WHERE rowid = new.id; UPDATE twin SET n = new.p, v = vec_f32('[0,' || new.p || ']') WHERE id = "
             "new.id; END;"
             "CREATE TRIGGER c_gone AFTER DELETE ON c BEGIN DELETE FROM t WHERE rowid = old.id; DELETE FROM twin WHERE "
             "id = old.id; END");
    for (int round = 0; round < 6; round++) {
        host_run(tale->db, "DELETE FROM strict; DELETE FROM p; INSERT INTO p VALUES(1), (2), (3), (4);"
                           "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 40) "
                           "INSERT INTO c SELECT i, 1 + i %% 4 FROM i; INSERT INTO strict VALUES(3)");
        same(tale->db);
        if (round % 2) host_run(tale->db, "BEGIN; DELETE FROM p WHERE id = 4; SAVEPOINT a");
        host_run(tale->db, "DELETE FROM p WHERE id = 1; UPDATE p SET id = 20 WHERE id = 2");
        assert_int_equal(host_try(tale->db, "DELETE FROM p WHERE id > 0"), SQLITE_CONSTRAINT);
        assert_int_equal(host_try(tale->db, "INSERT INTO c VALUES(99, 77)"), SQLITE_CONSTRAINT);
        same(tale->db);
        if (round % 2) host_run(tale->db, round == 3 ? "ROLLBACK TO a; COMMIT" : round == 5 ? "ROLLBACK" : "COMMIT");
        same(tale->db);
    }
    same_anew(tale);
}

/* ---- the table reads itself ---- */

static void statements_that_read_what_they_write(void **context) {
    static const struct {
        const char *own, *twin;
    } statements[] = {
        {"INSERT INTO t(rowid, v, n, s) SELECT rowid + 1000, v, n, s FROM t WHERE v MATCH '[5,0]' AND k = 7",
         "INSERT INTO twin(id, v, n, s) SELECT id + 1000, v, n, s FROM twin ORDER BY vec_distance_l2(v, '[5,0]'), id "
         "LIMIT 7"},
        {"INSERT INTO t(rowid, v) SELECT rowid + 2000, v FROM t",
         "INSERT INTO twin(id, v) SELECT id + 2000, v FROM twin"},
        {"DELETE FROM t WHERE rowid IN (SELECT rowid FROM t WHERE v MATCH '[9,0]' AND k = 4)",
         "DELETE FROM twin WHERE id IN (SELECT id FROM twin ORDER BY vec_distance_l2(v, '[9,0]'), id LIMIT 4)"},
        {"UPDATE t SET v = vec_f32('[5,5]') WHERE rowid IN (SELECT rowid FROM t WHERE v MATCH '[5,5]' AND k = 9)",
         "UPDATE twin SET v = vec_f32('[5,5]') WHERE id IN (SELECT id FROM twin ORDER BY vec_distance_l2(v, '[5,5]'), "
         "id LIMIT 9)"},
        {"UPDATE t SET n = (SELECT count(*) FROM t)", "UPDATE twin SET n = (SELECT count(*) FROM twin)"},
        {"UPDATE t SET s = u.s FROM u WHERE u.rowid = t.rowid + 1",
         "UPDATE twin SET s = u.s FROM u WHERE u.rowid = id + 1"},
        {"UPDATE t SET rowid = rowid + 5000 WHERE rowid > 3", "UPDATE twin SET id = id + 5000 WHERE id > 3"},
        {"INSERT INTO t(rowid, v) SELECT 1, vec_f32('[1,1]') FROM t WHERE v MATCH '[0,0]' AND k = 3",
         "INSERT INTO twin(id, v) SELECT 1, vec_f32('[1,1]') FROM twin LIMIT 3"}, /* fails at the second row */
        {"DELETE FROM t", "DELETE FROM twin"},
    };
    story *tale = *context;
    make_twin(tale->db);
    host_run(tale->db, "CREATE VIRTUAL TABLE u USING shardex(v float[2], s TEXT)");
    for (int frame = 0; frame < 3; frame++) {
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            host_run(tale->db, "DELETE FROM u");
            assert_int_equal(both_fill(tale->db, 1 + (int)i % 3, 40), SQLITE_OK);
            if (frame) host_run(tale->db, frame == 1 ? "BEGIN" : "BEGIN; SAVEPOINT a");
            host_run(tale->db, "INSERT INTO u(rowid, v, s) SELECT rowid, v, 'u' || rowid FROM t WHERE rowid < 20");
            both(tale->db, statements[i].own, statements[i].twin);
            same(tale->db);
            if (frame == 2) host_run(tale->db, i % 2 ? "ROLLBACK TO a" : "RELEASE a");
            if (frame) host_run(tale->db, frame == 1 && i % 2 ? "ROLLBACK" : "COMMIT");
            same(tale->db);
            host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state', shardex_info('u') ->> '$.state'",
                        "current|current");
        }
    }
    same_anew(tale);
}

/* A statement that returns rows has done its work at the first of them; its transaction ends with it. */
static void rows_that_are_returned(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    for (int read = 0; read < 4; read++) {
        for (int frame = 0; frame < 2; frame++) {
            sqlite3_stmt *insert = NULL;
            int first = 100 * read + 50 * frame + 1;
            char *sql = sqlite3_mprintf("INSERT INTO t(rowid, v) VALUES(%d, vec_f32('[1,1]')), (%d, vec_f32('[2,2]')), "
                                        "(%d, vec_f32('[3,3]')) RETURNING rowid, v",
                                        first, first + 1, first + 2);
            if (frame) host_run(tale->db, "BEGIN");
            assert_int_equal(sqlite3_prepare_v2(tale->db, sql, -1, &insert, NULL), SQLITE_OK);
            sqlite3_free(sql);
            for (int i = 0; i < read; i++) {
                assert_int_equal(sqlite3_step(insert), SQLITE_ROW);
                assert_int_equal(sqlite3_column_int(insert, 0), first + i);
            }
            if (read && frame) assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY); /* it is under way */
            sqlite3_finalize(insert);
            if (read) {
                host_run(tale->db,
                         "INSERT INTO twin(id, v) VALUES(%d, vec_f32('[1,1]')), (%d, vec_f32('[2,2]')), (%d, "
                         "vec_f32('[3,3]'))",
                         first, first + 1, first + 2);
            }
            same(tale->db);
            if (frame) host_run(tale->db, "COMMIT");
            same(tale->db);
        }
    }
    assert_int_equal(host_try(tale->db, "DELETE FROM t RETURNING rowid"), SQLITE_ERROR); /* SQLite does not */
    assert_int_equal(host_try(tale->db, "INSERT INTO t(rowid, v) VALUES(1, '[1,1]') ON CONFLICT DO NOTHING"),
                     SQLITE_ERROR);
    same_anew(tale);
}

/* ---- stopped anywhere ---- */

static int steps_left;

static int count_down(void *unused) { return (void)unused, steps_left > 0 && --steps_left == 0; }

/* SQLite asks after each instruction, also of our own statements, whether to go on. */
static void stopped_at_any_step(void **context) {
    static const char *const statements[] = {
        "INSERT INTO notes VALUES(100, '[1,1]', ''), (101, '[1,2]', ''), (102, '[1,3]', '')",
        "INSERT OR REPLACE INTO notes VALUES(3, '[1,1]', ''), (101, '[1,2]', '')",
        "UPDATE notes SET q = '[2,2]', id = id + 50 WHERE id < 4",
        "DELETE FROM notes WHERE id > 5",
    };
    static const char *const frames[] = {"SELECT 1", "BEGIN; DELETE FROM notes WHERE id = 2",
                                         "BEGIN; DELETE FROM notes WHERE id = 2; SAVEPOINT a; SAVEPOINT b"};
    story *tale = *context;
    make_notes(tale->db);
    for (int id = 1; id < 10; id++) host_run(tale->db, "INSERT INTO notes VALUES(%d, '[%d,0]', '')", id, id);
    for (size_t f = 0; f < sizeof frames / sizeof *frames; f++) {
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            bool done = false;
            for (int step = 1; !done; step += 1 + step / 40) {
                host_run(tale->db, "%s", frames[f]);
                steps_left = step;
                sqlite3_progress_handler(tale->db, 1, count_down, NULL);
                int rc = host_try(tale->db, "%s", statements[i]);
                sqlite3_progress_handler(tale->db, 0, NULL, NULL);
                done = rc == SQLITE_OK;
                if (!done && rc != SQLITE_INTERRUPT) fail_msg("%s: %d %s", statements[i], rc, sqlite3_errmsg(tale->db));
                same(tale->db);
                if (!sqlite3_get_autocommit(tale->db)) {
                    assert_int_equal(host_try(tale->db, "INSERT INTO notes VALUES(300, '[3,3]', '')"), SQLITE_OK);
                    same(tale->db);
                    host_run(tale->db, step % 2 ? "ROLLBACK" : "COMMIT");
                }
                same(tale->db);
                host_run(tale->db, "DELETE FROM notes WHERE id > 9; INSERT OR IGNORE INTO notes SELECT id, "
                                   "'[' || id || ',0]', '' FROM (SELECT 1 AS id UNION SELECT 2 UNION SELECT 3 UNION "
                                   "SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)");
                same(tale->db);
                host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
            }
        }
    }
    same_anew(tale);
}

/* A row for both, by statements that open no savepoint of their own. */
static void put_alone(sqlite3 *db, int id) {
    host_run(db, "INSERT INTO t(rowid, v) VALUES(%d, '[%d,2]')", id, id);
    host_run(db, "INSERT INTO twin(id, v) VALUES(%d, vec_f32('[%d,2]'))", id, id);
}

/* The same with SAVEPOINT, which SQLite does not roll the transaction back for: after a COMMIT that was busy, so that
** the state row has to be written. */
static void savepoints_stopped_at_any_step(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    sqlite3 *reader = host_open(tale->path);
    int rc = SQLITE_INTERRUPT;
    for (int step = 1; rc == SQLITE_INTERRUPT; step++) {
        host_run(tale->db, "BEGIN");
        put_alone(tale->db, 2 * step);
        host_run(reader, "BEGIN; SELECT count(*) FROM twin");
        assert_int_equal(host_try(tale->db, "COMMIT"), SQLITE_BUSY);
        host_run(reader, "COMMIT");
        put_alone(tale->db, 2 * step + 1);
        steps_left = step;
        sqlite3_progress_handler(tale->db, 1, count_down, NULL);
        rc = host_try(tale->db, "SAVEPOINT a");
        sqlite3_progress_handler(tale->db, 0, NULL, NULL);
        same(tale->db);
        if (!sqlite3_get_autocommit(tale->db)) host_run(tale->db, "COMMIT");
        same(tale->db);
    }
    assert_int_equal(rc, SQLITE_OK);
    host_close(reader);
    same_anew(tale);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(what_triggers_raise),
        STORY(conflicts_within_triggers),
        STORY(triggers_of_triggers),
        STORY(foreign_keys_reach_the_table),
        STORY(statements_that_read_what_they_write),
        STORY(rows_that_are_returned),
        STORY(stopped_at_any_step),
        STORY(savepoints_stopped_at_any_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
