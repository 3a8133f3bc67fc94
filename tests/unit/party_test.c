/* Several processes at one database, told step by step who does what: checkpoints and VACUUM under old snapshots,
** journal modes that change, tables that are made anew by others, files that move, locks of other kinds; and one
** connection for many threads, one that becomes another database, copies made while it is written. The ordinary twin
** goes through the same.
*/
#include "story_twin.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* ---- parties ---- */

/* Another process with a connection of its own, which does as it is told. */
typedef struct party {
    pid_t process;
    int wire;
} party;

#define PARTY_WORDS 2000

typedef struct party_answer {
    int code;  /* of SQLite */
    bool open; /* a transaction is */
    bool same; /* the table is as its twin */
} party_answer;

/* Is the table as its twin, as this connection sees them? */
static bool alike(sqlite3 *db) {
    static const char *const pairs[][2] = {
        {"SELECT rowid, v, n, s, x FROM t ORDER BY rowid", "SELECT id, v, n, s, x FROM twin ORDER BY id"},
        {"SELECT rowid FROM t WHERE v MATCH '[3.5,1]' AND k = 100000 AND exact = 1",
         "SELECT id FROM twin ORDER BY vec_distance_l2(v, '[3.5,1]'), id"},
    };
    bool same = true;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *own = host_rows(db, pairs[i][0]), *twin = host_rows(db, pairs[i][1]);
        same &= strcmp(own, twin) == 0;
        if (strcmp(own, twin) != 0) (void)fprintf(stderr, "the table: %s\nits twin:  %s\n", own, twin);
        sqlite3_free(own);
        sqlite3_free(twin);
    }
    return same;
}

static void party_live(int wire, const char *path, const char *vfs) {
    char words[PARTY_WORDS];
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs)) _exit(1);
    if (sqlite3_shardex_init(db, NULL, NULL)) _exit(1);
    while (read(wire, words, sizeof words) == sizeof words && strcmp(words, "end") != 0) {
        party_answer answer = {.code = SQLITE_OK, .same = true};
        if (strcmp(words, "look") == 0)
            answer.same = alike(db);
        else
            answer.code = host_try(db, "%s", words) & 0xff;
        answer.open = !sqlite3_get_autocommit(db);
        if (write(wire, &answer, sizeof answer) != sizeof answer) break;
    }
    _exit(sqlite3_close(db) == SQLITE_OK ? 0 : 1);
}

static party_answer party_tell(const party *guest, const char *format, ...) {
    char words[PARTY_WORDS] = {0};
    party_answer answer;
    va_list arguments;
    va_start(arguments, format);
    sqlite3_vsnprintf(sizeof words, words, format, arguments);
    va_end(arguments);
    assert_int_equal(write(guest->wire, words, sizeof words), sizeof words);
    if (read(guest->wire, &answer, sizeof answer) != sizeof answer) fail_msg("the other process ended: %s", words);
    return answer;
}

static party party_begin(const char *path, const char *vfs) {
    int wires[2];
    party guest;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wires), 0);
    (void)fflush(NULL);
    guest.process = fork();
    assert_true(guest.process >= 0);
    if (guest.process == 0) {
        close(wires[0]);
        party_live(wires[1], path, vfs);
    }
    close(wires[1]);
    guest.wire = wires[0];
    (void)party_tell(&guest, "PRAGMA synchronous = OFF"); /* now it is there */
    return guest;
}

static void party_run(const party *guest, const char *words) {
    party_answer answer = party_tell(guest, "%s", words);
    if (answer.code != SQLITE_OK) fail_msg("the other process: %s: %d", words, answer.code);
}

static void party_look(const party *guest) {
    if (!party_tell(guest, "look").same) fail_msg("the other process sees another table than its twin");
}

/* It is told so: those that came later hold its wire, too. */
static void party_end(party *guest) {
    static const char words[PARTY_WORDS] = "end";
    int status = 0;
    assert_int_equal(write(guest->wire, words, sizeof words), sizeof words);
    close(guest->wire);
    assert_int_equal(waitpid(guest->process, &status, 0), guest->process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void party_kill(party *guest) {
    int status = 0;
    assert_int_equal(kill(guest->process, SIGKILL), 0);
    assert_int_equal(waitpid(guest->process, &status, 0), guest->process);
    close(guest->wire);
}

/* Rows first … last of both tables in one transaction, or within the one that is open. */
#define PARTY_FILL                                                                                                     \
    "SAVEPOINT both_of_them; "                                                                                         \
    "WITH RECURSIVE i(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM i WHERE i < %d) INSERT OR REPLACE INTO "            \
    "t(rowid, v, n, s, x) SELECT i, vec_f32('[' || i || ',0]'), i %% 3, 's' || i, 'x' || i FROM i; "                   \
    "WITH RECURSIVE i(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM i WHERE i < %d) INSERT OR REPLACE INTO twin "       \
    "SELECT i, vec_f32('[' || i || ',0]'), i %% 3, 's' || i, 'x' || i FROM i; RELEASE both_of_them"

static void party_fill(const party *guest, int first, int last) {
    party_answer answer = party_tell(guest, PARTY_FILL, first, last, first, last);
    if (answer.code != SQLITE_OK) fail_msg("the other process cannot write: %d", answer.code);
}

/* A connection must not be open while a process forks off. */
static void stop(story *tale) {
    host_close(tale->db);
    tale->db = NULL;
}

/* ---- snapshots ---- */

/* A process reads an old snapshot while another one does everything that moves pages and files. */
static void old_snapshots_of_other_processes(void **context) {
    static const char *const deeds[] = {
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "VACUUM",
        "INSERT INTO t(t) VALUES('optimize')",
        "PRAGMA wal_checkpoint(RESTART)",
        "INSERT INTO t(t) VALUES('flush'); INSERT INTO t(t) VALUES('gc')",
        "PRAGMA incremental_vacuum",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t",
        "INSERT INTO t(t) VALUES('rebuild')",
        "PRAGMA wal_checkpoint(FULL)",
        "REINDEX; ANALYZE",
    };
    story *tale = *context;
    make_twin(tale->db);
    host_run(tale->db, "PRAGMA journal_mode = WAL");
    assert_int_equal(both_fill(tale->db, 1, 60), SQLITE_OK);
    stop(tale);
    party reader = party_begin(tale->path, NULL), second = party_begin(tale->path, NULL);
    tale->db = host_open(tale->path);
    for (int i = 0; i < (int)(sizeof deeds / sizeof *deeds); i++) {
        party_run(i % 2 ? &reader : &second, "BEGIN; SELECT count(*) FROM twin"); /* has not looked at t yet, or has */
        if (i % 3) party_look(i % 2 ? &reader : &second);
        assert_int_equal(both_fill(tale->db, 50 + i, 90 + 10 * i), SQLITE_OK);
        (void)host_try(tale->db, "%s", deeds[i]);
        both(tale->db, "DELETE FROM t WHERE rowid % 7 = 3", "DELETE FROM twin WHERE id % 7 = 3");
        (void)host_try(tale->db, "%s", deeds[(size_t)(i + 3) % (sizeof deeds / sizeof *deeds)]);
        party_look(&reader);
        party_look(&second);
        same(tale->db);
        party_run(i % 2 ? &reader : &second, "COMMIT");
        party_fill(&second, 20 + i, 22 + i);
        party_look(&reader);
        same(tale->db);
    }
    party_end(&reader);
    party_end(&second);
    same_anew(tale);
}

/* ---- journals ---- */

/* Three processes in turn do as chance says, and change the journal's mode whenever they are let. */
static void journals_that_change(void **context) {
    static const char *const deeds[] = {
        "PRAGMA journal_mode = WAL",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA journal_mode = TRUNCATE",
        "PRAGMA journal_mode = PERSIST",
        "PRAGMA journal_mode = MEMORY",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA locking_mode = NORMAL; SELECT count(*) FROM twin",
        "BEGIN",
        "BEGIN; SELECT count(*) FROM t",
        "BEGIN IMMEDIATE",
        "SAVEPOINT a",
        "ROLLBACK TO a",
        "ROLLBACK",
        "ROLLBACK",
        "COMMIT",
        "COMMIT",
        "VACUUM",
        "INSERT INTO t(t) VALUES('flush')",
        "INSERT INTO t(t) VALUES('gc')",
        "BEGIN EXCLUSIVE",
        "PRAGMA page_size = 1024; VACUUM",
    };
    story *tale = *context;
    const char *given = getenv("SHARDEX_PARTY_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    print_message("             SHARDEX_PARTY_SEED=%llu\n", (unsigned long long)seed);
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 30), SQLITE_OK);
    stop(tale);
    party guests[3];
    for (int i = 0; i < 3; i++) guests[i] = party_begin(tale->path, NULL);
    int written = 0, refused = 0;
    for (int step = 0; step < 400; step++) {
        const party *guest = &guests[host_random(&seed) % 3];
        int first = (int)(host_random(&seed) % 80), last = first + (int)(host_random(&seed) % 20);
        bool fills = host_random(&seed) % 3 == 0;
        const char *deed = deeds[host_random(&seed) % (sizeof deeds / sizeof *deeds)];
        party_answer answer =
            fills ? party_tell(guest, PARTY_FILL, first, last, first, last) : party_tell(guest, "%s", deed);
        if (fills && answer.code && answer.open) (void)party_tell(guest, "ROLLBACK"); /* half of it was done */
        written += fills && answer.code == SQLITE_OK;
        refused += answer.code != SQLITE_OK;
        if (step % 20 == 19) { /* nobody holds anything for longer */
            for (int i = 0; i < 3; i++) {
                (void)party_tell(&guests[i], "ROLLBACK");
                (void)party_tell(&guests[i], "PRAGMA locking_mode = NORMAL");
                (void)party_tell(&guests[i], "SELECT count(*) FROM twin");
            }
            for (int i = 0; i < 3; i++) party_look(&guests[i]);
        }
    }
    assert_true(written > 20 && refused > 5);
    for (int i = 0; i < 3; i++) party_end(&guests[i]);
    tale->db = host_open(tale->path);
    same_anew(tale);
}

/* A process dies and leaves a log, which somebody removes: the database has lost commits that the directory has. */
static void a_log_that_is_removed(void **context) {
    story *tale = *context;
    char *log = sqlite3_mprintf("%s-wal", tale->path), *shared = sqlite3_mprintf("%s-shm", tale->path);
    make_twin(tale->db);
    host_run(tale->db, "PRAGMA journal_mode = WAL");
    assert_int_equal(both_fill(tale->db, 1, 30), SQLITE_OK);
    for (int round = 0; round < 4; round++) {
        stop(tale);
        party guest = party_begin(tale->path, NULL);
        party_run(&guest, "PRAGMA wal_autocheckpoint = 0");
        if (round == 2) party_run(&guest, "PRAGMA locking_mode = EXCLUSIVE");
        party_fill(&guest, 10, 50 + round);
        if (round == 1) party_run(&guest, "INSERT INTO t(t) VALUES('flush')");
        party_look(&guest);
        if (round == 3) party_run(&guest, "BEGIN; DELETE FROM t; DELETE FROM twin");
        party_kill(&guest);
        assert_int_equal(unlink(log), 0);
        (void)unlink(shared);
        tale->db = host_open(tale->path);
        same(tale->db);
        host_expect(tale->db, "SELECT count(*) FROM t",
                    round == 0   ? "30"
                    : round == 1 ? "31"
                    : round == 2 ? "32"
                                 : "33");
        assert_int_equal(both_fill(tale->db, 31 + round, 31 + round), SQLITE_OK);
        same(tale->db);
        host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
    }
    sqlite3_free(log);
    sqlite3_free(shared);
    same_anew(tale);
}

/* ---- locks ---- */

/* Locks that are files beside the database; and such that let nobody else near it. */
static void other_kinds_of_locks(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 30), SQLITE_OK);
    stop(tale);
    for (int round = 0; round < 4; round++) {
        party one = party_begin(tale->path, "unix-dotfile"), two = party_begin(tale->path, "unix-dotfile");
        party_run(&one, "BEGIN IMMEDIATE");
        party_fill(&one, 20, 40 + round);
        assert_int_equal(party_tell(&two, PARTY_FILL, 50, 51, 50, 51).code, SQLITE_BUSY);
        (void)party_tell(&two, "ROLLBACK");
        party_look(&one);
        party_run(&one, round % 2 ? "COMMIT" : "ROLLBACK");
        party_fill(&two, 15, 18 + round);
        party_look(&one);
        party_look(&two);
        party_end(&one);
        party_end(&two);
        party alone = party_begin(tale->path, "unix-excl");
        party_run(&alone, round > 1 ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE");
        party_fill(&alone, 20, 25 + round);
        party_run(&alone, "BEGIN");
        party_fill(&alone, 24, 28 + round);
        party_look(&alone);
        party_run(&alone, round % 2 ? "COMMIT" : "ROLLBACK");
        party_look(&alone);
        party_run(&alone, "PRAGMA journal_mode = DELETE");
        party_end(&alone);
    }
    tale->db = host_open(tale->path);
    same_anew(tale);
}

/* ---- schemas ---- */

/* Another process drops the table and makes another one of its name while statements about it are prepared. */
static void made_anew_by_others(void **context) {
    static const char *const shapes[] = {
        "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)",
        "CREATE VIRTUAL TABLE t USING shardex(+x TEXT, s TEXT, v float[2] distance_metric=l2, n INTEGER)",
        "CREATE VIRTUAL TABLE t USING shardex(v float[2], n TEXT, s TEXT, x TEXT, extra INTEGER)",
    };
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 30), SQLITE_OK);
    stop(tale);
    party guest = party_begin(tale->path, NULL);
    tale->db = host_open(tale->path);
    sqlite3_stmt *query, *insert;
    assert_int_equal(sqlite3_prepare_v2(tale->db,
                                        "SELECT count(*), sum(n) FROM t WHERE v MATCH '[1,0]' AND k = 500 AND "
                                        "exact = 1",
                                        -1, &query, NULL),
                     SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(tale->db, "INSERT INTO t(rowid, v) VALUES(777, vec_f32('[7,7]'))", -1, &insert, NULL),
        SQLITE_OK);
    for (int round = 0; round < 6; round++) {
        char *change = sqlite3_mprintf("BEGIN; DROP TABLE t; DELETE FROM twin; %s; %s", shapes[round % 3],
                                       round == 3 ? "ROLLBACK" : "COMMIT");
        party_run(&guest, change);
        sqlite3_free(change);
        if (round != 4) party_fill(&guest, 1 + round, 20);
        assert_int_equal(sqlite3_step(query), SQLITE_ROW);
        char *count = host_rows(tale->db, "SELECT count(*) FROM twin");
        assert_int_equal(sqlite3_column_int(query, 0), atoi(count));
        sqlite3_free(count);
        sqlite3_reset(query);
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
        host_run(tale->db, "INSERT INTO twin(id, v) VALUES(777, vec_f32('[7,7]'))");
        same(tale->db);
        party_look(&guest);
        both(tale->db, "DELETE FROM t WHERE rowid = 777", "DELETE FROM twin WHERE id = 777");
    }
    sqlite3_finalize(query);
    sqlite3_finalize(insert);
    party_end(&guest);
    same_anew(tale);
}

/* A temporary table hides the one of the same name; both are written in one transaction. */
static void a_temporary_table_of_the_same_name(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 20), SQLITE_OK);
    for (int round = 0; round < 4; round++) {
        host_run(tale->db,
                 "BEGIN; INSERT INTO main.t(rowid, v) VALUES(%d, vec_f32('[6,6]'));"
                 "INSERT INTO twin(id, v) VALUES(%d, vec_f32('[6,6]'));"
                 "CREATE VIRTUAL TABLE temp.t USING shardex(w float[3], n INTEGER);"
                 "INSERT INTO t(rowid, w) VALUES(1, '[1,2,3]'), (2, '[3,4,5]');"
                 "UPDATE main.t SET n = 5 WHERE rowid = %d; UPDATE twin SET n = 5 WHERE id = %d",
                 100 + round, 100 + round, 3 + round, 3 + round);
        host_expect(tale->db, "SELECT rowid FROM t WHERE w MATCH '[3,4,5]' AND k = 5", "2 1");
        host_run(tale->db, "%s",
                 round % 2 ? "SAVEPOINT a; DROP TABLE t; ROLLBACK TO a; DROP TABLE temp.t" : "SELECT 1");
        host_run(tale->db, round == 2 ? "ROLLBACK" : "COMMIT");
        if (round == 0) host_run(tale->db, "DELETE FROM t; DROP TABLE t");
        same(tale->db);
    }
    same_anew(tale);
}

/* ---- places ---- */

/* The database gets another name while it is open, with its directory or without, and a new one the old name. */
static void files_that_move(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 30), SQLITE_OK);
    for (int round = 0; round < 4; round++) {
        char *moved = sqlite3_mprintf("%s/moved%d.db", tale->folder, round);
        char *from = sqlite3_mprintf("%s-shardex", tale->path), *to = sqlite3_mprintf("%s-shardex", moved);
        assert_int_equal(rename(tale->path, moved), 0);
        if (round % 2) assert_int_equal(rename(from, to), 0);
        same(tale->db);
        int rc = both_fill(tale->db, 25, 40 + round); /* SQLite may notice, and refuse */
        assert_true(rc == SQLITE_OK || rc == SQLITE_READONLY);
        same(tale->db);
        sqlite3 *other = host_open(moved);
        same(other);
        assert_int_equal(both_fill(other, 35, 45), SQLITE_OK);
        same(tale->db);
        if (round > 1) { /* somebody makes a new database of the old name */
            sqlite3 *next = host_open(tale->path);
            host_run(next, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
            make_twin(next);
            assert_int_equal(both_fill(next, 5, 9), SQLITE_OK);
            same(tale->db);
            same(other);
            host_run(next, "INSERT INTO t(t) VALUES('gc')");
            host_close(next);
            same(other);
            assert_int_equal(unlink(tale->path), 0);
        }
        host_close(tale->db);
        host_close(other);
        assert_int_equal(rename(moved, tale->path), 0);
        if (round % 2) {
            char *remove = sqlite3_mprintf("rm -rf '%q'", from);
            assert_int_equal(system(remove), 0);
            sqlite3_free(remove);
            assert_int_equal(rename(to, from), 0);
        }
        tale->db = host_open(tale->path);
        same_anew(tale);
        sqlite3_free(moved);
        sqlite3_free(from);
        sqlite3_free(to);
    }
}

/* A connection with a file becomes one of a database in memory, with the same tables, and goes another way. */
static void deserialized_over_an_open_database(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 40), SQLITE_OK);
    for (int round = 0; round < 8; round++) {
        sqlite3 *db = host_open(tale->path);
        sqlite3_stmt *query;
        sqlite3_int64 size = 0;
        same(db);
        assert_int_equal(both_fill(db, 30, 45), SQLITE_OK);
        unsigned char *bytes = sqlite3_serialize(db, "main", &size, 0);
        assert_non_null(bytes);
        char *last = host_rows(db, "SELECT max(id) FROM twin");
        const char *sql = "SELECT rowid FROM t WHERE v MATCH '[999,0]' AND k = 1";
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &query, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(query), SQLITE_ROW);
        sqlite3_reset(query);
        if (round % 2 == 0) assert_int_equal(both_fill(db, 60, 70), SQLITE_OK); /* is not in what was copied */
        unsigned flags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE;
        assert_int_equal(sqlite3_deserialize(db, "main", bytes, size, size, flags), SQLITE_OK);
        for (int i = 0; i < round; i++) assert_int_equal(both_fill(db, 90 + i, 90 + i), SQLITE_OK);
        assert_int_equal(sqlite3_step(query), SQLITE_ROW); /* the new file counts its contents anew */
        assert_int_equal(sqlite3_column_int(query, 0), round ? 89 + round : atoi(last));
        sqlite3_finalize(query);
        sqlite3_free(last);
        same(db);
        same(tale->db);
        host_run(db, "INSERT INTO t(t) VALUES('gc'); INSERT INTO t(t) VALUES('optimize')");
        assert_int_equal(both_fill(tale->db, 80 + round, 85), SQLITE_OK);
        same(db);
        host_close(db);
        host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
        same(tale->db);
    }
    same_anew(tale);
}

/* One copy after the other is put over the same connection, whose statements live on: each new file has the old one's
** address, and has counted as far. */
static void deserialized_one_over_another(void **context) {
    story *tale = *context;
    unsigned char *copies[5];
    sqlite3_int64 sizes[5];
    sqlite3_stmt *query;
    make_twin(tale->db);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(both_fill(tale->db, 1 + 10 * i, 10 + 10 * i), SQLITE_OK);
        copies[i] = sqlite3_serialize(tale->db, "main", &sizes[i], 0);
        assert_non_null(copies[i]);
    }
    sqlite3 *db = host_open(tale->path);
    const char *sql = "SELECT count(*) FROM t WHERE v MATCH '[3,1]' AND k = 100";
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &query, NULL), SQLITE_OK);
    for (int round = 0; round < 20; round++) {
        int i = round * 3 % 5;
        unsigned char *bytes = sqlite3_malloc64((sqlite3_uint64)sizes[i]);
        assert_non_null(bytes);
        memcpy(bytes, copies[i], (size_t)sizes[i]);
        unsigned flags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE;
        assert_int_equal(sqlite3_deserialize(db, "main", bytes, sizes[i], sizes[i], flags), SQLITE_OK);
        assert_int_equal(sqlite3_step(query), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(query, 0), 10 + 10 * i);
        sqlite3_reset(query);
        if (round % 4 == 3) assert_int_equal(both_fill(db, 60 + round, 60 + round), SQLITE_OK);
        if (round % 4 == 3) same(db);
    }
    sqlite3_finalize(query);
    host_close(db);
    for (int i = 0; i < 5; i++) sqlite3_free(copies[i]);
    same_anew(tale);
}

/* ---- copies ---- */

/* A copy is made page by page while this connection, or another one, writes: it begins anew, or takes part. */
static void copied_while_written(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 300), SQLITE_OK);
    for (int round = 0; round < 4; round++) {
        char *path = sqlite3_mprintf("%s/copy%d.db", tale->folder, round);
        sqlite3 *writer = round % 2 ? host_open(tale->path) : tale->db, *target = host_open(path);
        if (round > 1) { /* the target is a database in use */
            host_run(target, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
            make_twin(target);
            assert_int_equal(both_fill(target, 1000, 1100), SQLITE_OK);
            same(target);
        }
        sqlite3_backup *backup = sqlite3_backup_init(target, "main", tale->db, "main");
        assert_non_null(backup);
        int rc = SQLITE_OK;
        for (int step = 0; rc == SQLITE_OK || rc == SQLITE_BUSY; step++) {
            rc = sqlite3_backup_step(backup, 3);
            if (rc == SQLITE_OK && step < 12)
                assert_int_equal(both_fill(writer, 100 * step, 100 * step + 9), SQLITE_OK);
            if (step == 5) host_run(writer, "INSERT INTO t(t) VALUES('flush')");
        }
        assert_int_equal(rc, SQLITE_DONE);
        assert_int_equal(sqlite3_backup_finish(backup), SQLITE_OK);
        same(target);
        assert_int_equal(both_fill(target, 5, 12), SQLITE_OK);
        same(target);
        host_close(target);
        if (writer != tale->db) host_close(writer);
        same(tale->db);
        sqlite3_free(path);
    }
    same_anew(tale);
}

/* ---- threads ---- */

#define PARTY_THREADS 4
#define PARTY_STATEMENTS 40

typedef struct party_thread {
    pthread_t thread;
    sqlite3 *db;
    int number, failed;
} party_thread;

/* One statement writes both tables; now and then somebody begins or ends the transaction of all. */
static void *work_together(void *context) {
    party_thread *own = context;
    for (int i = 0; i < PARTY_STATEMENTS; i++) {
        int id = 1 + (own->number * 37 + i * 11) % 150;
        int rc = host_try(own->db, "INSERT OR REPLACE INTO notes VALUES(%d, '[%d,%d]')", id, id, own->number);
        own->failed += rc != SQLITE_OK;
        if (i % 3 == 1) {
            char *rows = host_rows(own->db, "SELECT rowid, s FROM t WHERE v MATCH '[40,1]' AND k = 5");
            own->failed += rows[0] == '!' && !strstr(rows, "went away");
            sqlite3_free(rows);
        }
        if (own->number == 0 && i % 8 == 2) (void)host_try(own->db, "BEGIN");
        if (own->number == 0 && i % 8 == 6) (void)host_try(own->db, i % 16 == 6 ? "COMMIT" : "ROLLBACK");
        if (own->number == 1 && i % 10 == 9) (void)host_try(own->db, "INSERT INTO t(t) VALUES('flush')");
    }
    return NULL;
}

static void one_connection_for_many_threads(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    host_run(tale->db, "CREATE TABLE notes(id INTEGER PRIMARY KEY, q); PRAGMA recursive_triggers = ON;"
                       "CREATE TRIGGER added AFTER INSERT ON notes BEGIN INSERT INTO t(rowid, v) VALUES(new.id, "
                       "vec_f32(new.q)); INSERT INTO twin(id, v) VALUES(new.id, vec_f32(new.q)); END;"
                       "CREATE TRIGGER gone AFTER DELETE ON notes BEGIN DELETE FROM t WHERE rowid = old.id; "
                       "DELETE FROM twin WHERE id = old.id; END");
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX;
    assert_int_equal(sqlite3_open_v2(tale->path, &db, flags, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
    host_run(db, "PRAGMA synchronous = OFF; PRAGMA recursive_triggers = ON");
    party_thread threads[PARTY_THREADS];
    for (int i = 0; i < PARTY_THREADS; i++) {
        threads[i] = (party_thread){.db = db, .number = i};
        assert_int_equal(pthread_create(&threads[i].thread, NULL, work_together, &threads[i]), 0);
    }
    for (int i = 0; i < PARTY_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
        print_message("             thread %d: %d statements failed\n", i, threads[i].failed);
    }
    if (!sqlite3_get_autocommit(db)) host_run(db, "COMMIT");
    same(db);
    host_close(db);
    same_anew(tale);
}

/* ---- functions ---- */

static int nested_mode;

/* A function of the host that writes, or ends the transaction, while a statement writes. */
static void nested(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3 *db = sqlite3_context_db_handle(context);
    int id = sqlite3_value_int(values[0]);
    int rc = SQLITE_OK;
    if (nested_mode == 0) rc = host_try(db, "INSERT OR REPLACE INTO notes VALUES(%d, '[%d,3]')", id + 500, id);
    if (nested_mode == 1) rc = host_try(db, "DELETE FROM notes WHERE id = %d", id + 1);
    if (nested_mode == 2 && id == 5) (void)host_try(db, "PRAGMA shrink_memory");
    if (nested_mode == 3 && id == 5) rc = host_try(db, "INSERT INTO t(t) VALUES('flush')");
    if (nested_mode == 4 && id == 5) (void)host_try(db, "SAVEPOINT a; ROLLBACK TO a; COMMIT");
    if (nested_mode == 5 && id == 5) (void)host_try(db, "INSERT INTO notes VALUES(1000, '[1,1]'), (1, '[1,1]')");
    if (nested_mode == 6 && id == 5)
        sqlite3_result_error(context, "no", -1);
    else if (rc != SQLITE_OK)
        sqlite3_result_error(context, sqlite3_errmsg(db), -1);
    else
        sqlite3_result_text(context, "[8,8]", -1, SQLITE_STATIC);
}

static void functions_that_write(void **context) {
    static const char *const statements[] = {
        "INSERT INTO notes SELECT id + 100, nested(id) FROM notes WHERE id < 9",
        "UPDATE notes SET q = nested(id) WHERE id < 9",
        "DELETE FROM notes WHERE id < 9 AND nested(id) IS NOT NULL",
        "SELECT rowid, nested(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 8",
        "INSERT INTO notes SELECT rowid + 200, nested(rowid) FROM t WHERE v MATCH '[0,0]' AND k = 8",
    };
    story *tale = *context;
    make_twin(tale->db);
    host_run(tale->db, "CREATE TABLE notes(id INTEGER PRIMARY KEY, q); PRAGMA recursive_triggers = ON;"
                       "CREATE TRIGGER added AFTER INSERT ON notes BEGIN INSERT INTO t(rowid, v) VALUES(new.id, "
                       "vec_f32(new.q)); INSERT INTO twin(id, v) VALUES(new.id, vec_f32(new.q)); END;"
                       "CREATE TRIGGER changed AFTER UPDATE ON notes BEGIN UPDATE t SET v = vec_f32(new.q) WHERE rowid "
                       "= new.id; UPDATE twin SET v = vec_f32(new.q) WHERE id = new.id; END;"
                       "CREATE TRIGGER gone AFTER DELETE ON notes BEGIN DELETE FROM t WHERE rowid = old.id; "
                       "DELETE FROM twin WHERE id = old.id; END");
    assert_int_equal(sqlite3_create_function(tale->db, "nested", 1, SQLITE_UTF8, NULL, nested, NULL, NULL), SQLITE_OK);
    for (nested_mode = 0; nested_mode < 7; nested_mode++) {
        for (int frame = 0; frame < 3; frame++) {
            for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
                host_run(tale->db, "DELETE FROM notes");
                for (int id = 1; id < 12; id++) host_run(tale->db, "INSERT INTO notes VALUES(%d, '[%d,0]')", id, id);
                if (frame) host_run(tale->db, frame == 1 ? "BEGIN" : "SAVEPOINT x; DELETE FROM notes WHERE id = 2");
                (void)host_try(tale->db, statements[i]);
                same(tale->db);
                if (!sqlite3_get_autocommit(tale->db)) host_run(tale->db, i % 2 ? "ROLLBACK" : "COMMIT");
                same(tale->db);
                host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
            }
        }
    }
    same_anew(tale);
}

static void ends_it(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    if (sqlite3_value_int(values[0]) == 5) host_run(sqlite3_context_db_handle(context), "ROLLBACK");
    sqlite3_result_text(context, "[8,8]", -1, SQLITE_STATIC);
}

/* A function of the statement rolls the transaction back before the statement writes. SQLite's own tables take what
** comes then into the cache, and forget it or make it part of a later transaction: the table refuses it. */
static void functions_that_roll_back(void **context) {
    static const char *const statements[] = {
        "INSERT INTO t(rowid, v) SELECT rowid + 100, ends_it(rowid) FROM t",
        "INSERT OR IGNORE INTO t(rowid, v) SELECT id + 100, ends_it(id) FROM twin",
        "INSERT INTO t(t) SELECT iif(ends_it(id) IS NULL, '', 'flush') FROM twin WHERE id = 5",
        "UPDATE t SET v = ends_it(rowid)",
        "DELETE FROM t WHERE ends_it(rowid) IS NOT NULL",
        "SELECT ends_it(rowid) FROM t WHERE v MATCH '[1,1]' AND k = 20",
    };
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 30), SQLITE_OK);
    assert_int_equal(sqlite3_create_function(tale->db, "ends_it", 1, SQLITE_UTF8, NULL, ends_it, NULL, NULL),
                     SQLITE_OK);
    for (int frame = 0; frame < 3; frame++) {
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            host_run(tale->db, frame == 0 ? "BEGIN" : frame == 1 ? "SAVEPOINT a; SAVEPOINT b" : "BEGIN");
            if (frame == 2) assert_int_equal(both_fill(tale->db, 40, 45), SQLITE_OK);
            int rc = host_try(tale->db, statements[i]) & 0xff;
            bool reads = statements[i][0] == 'S';
            if (rc != SQLITE_ABORT && !(reads && rc == SQLITE_OK)) fail_msg("%s: %d", statements[i], rc);
            assert_int_equal(sqlite3_get_autocommit(tale->db), 1);
            same(tale->db);
            assert_int_equal(both_fill(tale->db, 20, 31 + (int)i), SQLITE_OK);
            same(tale->db);
            host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
        }
    }
    same_anew(tale);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(old_snapshots_of_other_processes),
        STORY(journals_that_change),
        STORY(a_log_that_is_removed),
        STORY(other_kinds_of_locks),
        STORY(made_anew_by_others),
        STORY(a_temporary_table_of_the_same_name),
        STORY(files_that_move),
        STORY(deserialized_over_an_open_database),
        STORY(deserialized_one_over_another),
        STORY(copied_while_written),
        STORY(one_connection_for_many_threads),
        STORY(functions_that_write),
        STORY(functions_that_roll_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
