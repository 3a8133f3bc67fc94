/* What hosts do around a table: settings of the connection, limits of SQLite and of the process, files that are
** exchanged, signals, other versions. The ordinary twin goes through the same; afterwards both hold the same rows.
**
** SQLite's memory comes from an allocator here that promises no more than SQLite asks for: blocks begin at multiples of
** 8, and never at one of 16.
*/
#include "story_twin.h"

#include "container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

/* ---- memory ---- */

#define NARROW_HEAD 24 /* in front of a block, which begins at 16 × n + 8 then; holds its size */

static void *narrow_malloc(int size) {
    char *block = malloc((size_t)size + NARROW_HEAD);
    if (!block) return NULL;
    memcpy(block, &size, sizeof size);
    return block + NARROW_HEAD;
}

static void narrow_free(void *block) {
    if (block) free((char *)block - NARROW_HEAD);
}

static int narrow_size(void *block) {
    int size = 0;
    if (block) memcpy(&size, (char *)block - NARROW_HEAD, sizeof size);
    return size;
}

static void *narrow_realloc(void *block, int size) {
    void *moved = narrow_malloc(size);
    int before = narrow_size(block);
    if (!moved) return NULL;
    memcpy(moved, block, (size_t)(before < size ? before : size));
    narrow_free(block);
    return moved;
}

static int narrow_round(int size) { return (size + 7) & ~7; }
static int narrow_init(void *unused) {
    (void)unused;
    return SQLITE_OK;
}
static void narrow_shutdown(void *unused) { (void)unused; }

/* ---- children ---- */

/* Runs in a child; what fails there fails here. */
static void in_child(void (*work)(story *tale), story *tale) {
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work(tale);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("the child ended with status %x", (unsigned)status);
}

/* cmocka's assertions do not end a child: these do. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                      \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static bool child_finds(sqlite3 *db, const char *sql, const char *expected) {
    char *rows = host_rows(db, sql);
    bool found = strcmp(rows, expected) == 0;
    if (!found) (void)fprintf(stderr, "%s\n    gave %s\n    expected %s\n", sql, rows, expected);
    sqlite3_free(rows);
    return found;
}

/* Both have as many rows and the nearest ones are found. */
#define CHILD_COUNTS                                                                                                   \
    "SELECT (SELECT count(*) FROM t) = (SELECT count(*) FROM twin), (SELECT group_concat(rowid) FROM t WHERE v MATCH " \
    "'[30,0]' AND k = 5 AND exact = 1) = (SELECT group_concat(id) FROM (SELECT id FROM twin ORDER BY "                 \
    "vec_distance_l2(v, '[30,0]'), id LIMIT 5))"

/* ---- settings ---- */

static void settings_of_the_connection(void **context) {
    static const int configs[][2] = {{SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0},
                                     {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                     {SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 1}, {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
                                     {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_ENABLE_QPSG, 1},
                                     {SQLITE_DBCONFIG_TRIGGER_EQP, 1},    {SQLITE_DBCONFIG_DEFENSIVE, 1}};
    static const char *const pragmas[] = {"reverse_unordered_selects = ON", "recursive_triggers = ON",
                                          "cell_size_check = ON",           "count_changes = ON",
                                          "full_column_names = ON",         "short_column_names = OFF",
                                          "case_sensitive_like = ON",       "automatic_index = OFF",
                                          "temp_store = MEMORY",            "ignore_check_constraints = ON",
                                          "cache_spill = OFF",              "cache_size = 1"};
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 40), SQLITE_OK);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        assert_int_equal(sqlite3_db_config(tale->db, configs[i][0], configs[i][1], NULL), SQLITE_OK);
        assert_int_equal(both_fill(tale->db, 30 + (int)i, 45 + (int)i), SQLITE_OK);
        same(tale->db);
    }
    for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++) {
        host_run(tale->db, "PRAGMA %s", pragmas[i]);
        assert_int_equal(both_fill(tale->db, 30 + (int)i, 55 + (int)i), SQLITE_OK);
        both(tale->db, "DELETE FROM t WHERE n = 1 AND rowid < 9", "DELETE FROM twin WHERE n = 1 AND id < 9");
        same(tale->db);
    }
    host_run(tale->db, "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t; INSERT INTO t(t) VALUES('optimize')");
    same_anew(tale);
}

/* Pages of another size, kept in another way; statistics and indexes made anew. */
static void pages_are_laid_out_anew(void **context) {
    static const char *const changes[] = {
        "PRAGMA page_size = 1024; VACUUM", "PRAGMA auto_vacuum = INCREMENTAL; VACUUM", "PRAGMA incremental_vacuum",
        "ANALYZE",  "REINDEX",             "PRAGMA optimize",  "PRAGMA page_size = 65536; VACUUM",
        "PRAGMA auto_vacuum = FULL; VACUUM"};
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 200), SQLITE_OK);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    sqlite3 *other = host_open(tale->path);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        same(other);
        host_run(tale->db, "%s", changes[i]);
        host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
        assert_int_equal(both_fill(other, 150 + 10 * (int)i, 220 + 10 * (int)i), SQLITE_OK);
        both(tale->db, "DELETE FROM t WHERE rowid % 5 = 2", "DELETE FROM twin WHERE id % 5 = 2");
        same(tale->db);
    }
    host_close(other);
    same_anew(tale);
}

/* What was begun before the session became a reader cannot be committed, and is rolled back as a whole. */
static void commit_of_a_session_that_may_only_read(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 20), SQLITE_OK);
    for (int savepoint = 0; savepoint < 2; savepoint++) {
        host_run(tale->db, "BEGIN");
        if (savepoint) host_run(tale->db, "SAVEPOINT a");
        assert_int_equal(both_fill(tale->db, 18, 25 + savepoint), SQLITE_OK);
        host_run(tale->db, "PRAGMA query_only = ON");
        host_refuse(tale->db, SQLITE_READONLY, "COMMIT", "readonly"); /* the state row is written last */
        host_run(tale->db, "PRAGMA query_only = OFF");
        if (!sqlite3_get_autocommit(tale->db)) host_run(tale->db, "ROLLBACK");
        same(tale->db);
        host_expect(tale->db, "SELECT count(*) FROM t", "20");
    }
    same_anew(tale);
}

/* No page can be added: statements fail as for the twin, rows can be deleted. */
static void no_more_pages(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 100), SQLITE_OK);
    for (int round = 0; round < 6; round++) {
        char *pages = host_rows(tale->db, "PRAGMA page_count");
        host_run(tale->db, "PRAGMA max_page_count = %d", atoi(pages) + round);
        sqlite3_free(pages);
        int rc = host_try(tale->db, "BEGIN; WITH RECURSIVE i(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM i WHERE "
                                    "i < 9000) INSERT INTO t(rowid, v, x) SELECT i, '[1,1]', zeroblob(50) FROM i");
        assert_int_equal(rc & 0xff, SQLITE_FULL);
        if (!sqlite3_get_autocommit(tale->db)) host_run(tale->db, round % 2 ? "COMMIT" : "ROLLBACK");
        same(tale->db);
        char *sql = sqlite3_mprintf("DELETE FROM t WHERE rowid = %d", 10 + round);
        char *twin = sqlite3_mprintf("DELETE FROM twin WHERE id = %d", 10 + round);
        assert_int_equal(both(tale->db, sql, twin), SQLITE_OK);
        sqlite3_free(sql);
        sqlite3_free(twin);
        same(tale->db);
    }
    host_run(tale->db, "PRAGMA max_page_count = 100000");
    same_anew(tale);
}

/* Each of SQLite's limits, low: statements work or fail with a text, and leave nothing half done. */
static void limits_of_sqlite(void **context) {
    static const int limits[][2] = {{SQLITE_LIMIT_SQL_LENGTH, 60},     {SQLITE_LIMIT_COLUMN, 3},
                                    {SQLITE_LIMIT_EXPR_DEPTH, 2},      {SQLITE_LIMIT_COMPOUND_SELECT, 1},
                                    {SQLITE_LIMIT_VDBE_OP, 12},        {SQLITE_LIMIT_FUNCTION_ARG, 1},
                                    {SQLITE_LIMIT_ATTACHED, 0},        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1},
                                    {SQLITE_LIMIT_VARIABLE_NUMBER, 2}, {SQLITE_LIMIT_TRIGGER_DEPTH, 0}};
    static const char *const statements[] = {
        "INSERT INTO t(v) VALUES('[1,2]')",
        "UPDATE t SET n = 9 WHERE rowid = 5",
        "UPDATE t SET v = '[8,8]' WHERE rowid = 6",
        "DELETE FROM t WHERE rowid = 7",
        "SELECT rowid, n, s, x FROM t WHERE v MATCH '[1,2]' AND k = 3 AND n IN (1, 2)",
        "INSERT INTO t(t) VALUES('flush')",
        "INSERT INTO t(t) VALUES('reconcile')",
        "INSERT INTO t(t) VALUES('integrity-check')",
        "SELECT shardex_info('t')",
    };
    story *tale = *context;
    fill(tale->db, "t", 1, 30);
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            sqlite3 *db = host_open(tale->path);
            host_run(db, "PRAGMA synchronous = OFF; BEGIN; SELECT 1");
            int before = sqlite3_limit(db, limits[l][0], limits[l][1]);
            char *message = NULL;
            int rc = sqlite3_exec(db, statements[i], NULL, NULL, &message) & 0xff;
            bool told = rc == SQLITE_ERROR || rc == SQLITE_TOOBIG || rc == SQLITE_NOMEM; /* the last by SQLite */
            bool decent = rc == SQLITE_OK || (told && message && message[0]);
            if (!decent) fail_msg("limit %d: %s gave %d %s", limits[l][0], statements[i], rc, message ? message : "");
            sqlite3_free(message);
            rc = host_try(db, "COMMIT") & 0xff;
            sqlite3_limit(db, limits[l][0], before);
            if (!sqlite3_get_autocommit(db)) host_run(db, "COMMIT");
            host_close(db);
            check_anew(tale, "t");
        }
    }
}

/* ---- files ---- */

/* The database is emptied under its connections. */
static void a_database_that_is_reset(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 50);
    sqlite3 *other = host_open(tale->path);
    host_expect(other, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "3");
    assert_int_equal(sqlite3_db_config(tale->db, SQLITE_DBCONFIG_RESET_DATABASE, 1, NULL), SQLITE_OK);
    host_run(tale->db, "VACUUM");
    assert_int_equal(sqlite3_db_config(tale->db, SQLITE_DBCONFIG_RESET_DATABASE, 0, NULL), SQLITE_OK);
    host_refuse(other, SQLITE_ERROR, "SELECT rowid FROM t WHERE v MATCH '[3,0]' AND k = 1", "no such table");
    host_run(other, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
    make_twin(other);
    assert_int_equal(both_fill(tale->db, 5, 25), SQLITE_OK);
    same(other);
    host_close(other);
    same_anew(tale);
}

static void copy_file(const char *from, const char *to) {
    char *command = sqlite3_mprintf("cp '%q' '%q'", from, to);
    assert_int_equal(system(command), 0);
    sqlite3_free(command);
}

/* Another file gets the name of a database that is open: the connection stays with the old one, which is nameless now;
** both have the uuid, and the directory, of the same table, and go different ways. */
static void a_file_that_is_exchanged(void **context) {
    story *tale = *context;
    char *copy = sqlite3_mprintf("%s/copy.db", tale->folder);
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 60), SQLITE_OK);
    copy_file(tale->path, copy);
    assert_int_equal(both_fill(tale->db, 50, 80), SQLITE_OK);
    assert_int_equal(rename(copy, tale->path), 0);
    sqlite3 *other = host_open(tale->path);
    for (int round = 0; round < 4; round++) {
        same(tale->db);
        same(other);
        int rc = both_fill(tale->db, 30 + round, 90 + 10 * round); /* SQLite may notice, and refuse */
        assert_true(rc == SQLITE_OK || rc == SQLITE_READONLY);
        assert_int_equal(both_fill(other, 70 + round, 75 + round), SQLITE_OK);
        if (round == 2) host_run(other, "INSERT INTO t(t) VALUES('optimize'); INSERT INTO t(t) VALUES('gc')");
    }
    same(tale->db);
    same(other);
    host_close(other);
    host_close(tale->db);
    tale->db = host_open(tale->path);
    same_anew(tale);
    sqlite3_free(copy);
}

static void spill_and_die(story *tale) {
    sqlite3 *db = host_open(tale->path);
    REQUIRE(host_try(db, "PRAGMA cache_size = 1; BEGIN") == SQLITE_OK);
    REQUIRE(both_fill(db, 20, 400) == SQLITE_OK);
    REQUIRE(host_try(db, "DELETE FROM t WHERE rowid < 10; DELETE FROM twin WHERE id < 10") == SQLITE_OK);
    (void)raise(SIGKILL);
}

/* A process dies with the transaction half in the file; who rolls it back does not know of the extension. */
static void a_journal_rolled_back_by_a_stranger(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 30), SQLITE_OK);
    same(tale->db);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) spill_and_die(tale);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    char *journal = sqlite3_mprintf("%s-journal", tale->path);
    assert_int_equal(access(journal, F_OK), 0);
    sqlite3 *stranger;
    assert_int_equal(sqlite3_open(tale->path, &stranger), SQLITE_OK);
    host_run(stranger, "INSERT INTO twin SELECT id + 1000, v, n, s, x FROM twin WHERE id = 3");
    assert_int_not_equal(access(journal, F_OK), 0);
    host_run(stranger, "DELETE FROM twin WHERE id = 1003");
    host_close(stranger);
    sqlite3_free(journal);
    host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
    same_anew(tale);
}

/* Without a journal a rollback is undefined in SQLite, and leaves a damaged database: nothing crashes on it. */
static void a_rollback_without_a_journal(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 40);
    host_run(tale->db, "PRAGMA journal_mode = OFF; PRAGMA cache_size = 2");
    for (int i = 0; i < 5; i++) {
        (void)host_try(tale->db, "BEGIN; WITH RECURSIVE i(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM i WHERE i < %d) "
                                 "INSERT INTO t(rowid, v, x) SELECT i, '[2,2]', zeroblob(90) FROM i",
                       100 + 50 * i, 140 + 50 * i);
        (void)host_try(tale->db, "DELETE FROM t WHERE rowid %% 7 = %d", i);
        (void)host_try(tale->db, "ROLLBACK");
        (void)host_try(tale->db, "SELECT rowid FROM t WHERE v MATCH '[1,2]' AND k = 9");
        (void)host_try(tale->db, "INSERT INTO t(v) VALUES('[5,5]')");
    }
    host_close(tale->db);
    tale->db = host_open(tale->path);
    (void)host_try(tale->db, "SELECT rowid FROM t WHERE v MATCH '[1,2]' AND k = 9");
    (void)host_try(tale->db, "INSERT INTO t(t) VALUES('rebuild')");
    (void)host_try(tale->db, "INSERT INTO t(t) VALUES('integrity-check')");
}

/* Gives each file of the directory another format version, its header's checksum made right. */
static void change_versions(const char *directory, int by) {
    char path[1200];
    DIR *outer = opendir(directory);
    assert_non_null(outer);
    for (struct dirent *folder; (folder = readdir(outer));) {
        if (folder->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", directory, folder->d_name);
        DIR *inner = opendir(path);
        assert_non_null(inner);
        for (struct dirent *entry; (entry = readdir(inner));) {
            uint8_t header[SHX_HEADER_BYTES];
            snprintf(path, sizeof path, "%s/%s/%s", directory, folder->d_name, entry->d_name);
            int file = entry->d_name[0] == '.' ? -1 : open(path, O_RDWR | O_CLOEXEC);
            if (file >= 0 && pread(file, header, sizeof header, 0) == (ssize_t)sizeof header) {
                shx_put32(header + 8, shx_get32(header + 8) + (uint32_t)by);
                shx_put64(header + 56, shx_hash64(header, 56, 0));
                assert_int_equal(pwrite(file, header, sizeof header, 0), sizeof header);
            }
            if (file >= 0) close(file);
        }
        closedir(inner);
    }
    closedir(outer);
}

/* Processes with other versions of the format in turn: what a newer or older one has written is passed over and stays
** until it is superfluous; nobody is wrong. */
static void versions_in_turn(void **context) {
    story *tale = *context;
    char *directory = sqlite3_mprintf("%s-shardex", tale->path);
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 60), SQLITE_OK);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    for (int round = 0; round < 6; round++) {
        assert_int_equal(both_fill(tale->db, 40 + round, 62 + round), SQLITE_OK);
        host_close(tale->db);
        change_versions(directory, round % 2 ? -1 : 1);
        tale->db = host_open(tale->path);
        same(tale->db);
        both(tale->db, "DELETE FROM t WHERE rowid % 11 = 5", "DELETE FROM twin WHERE id % 11 = 5");
        same(tale->db);
        if (round == 3) host_run(tale->db, "INSERT INTO t(t) VALUES('optimize'); INSERT INTO t(t) VALUES('purge')");
    }
    sqlite3_free(directory);
    same_anew(tale);
}

/* Names so long that the directory's is too long for the file system. */
static void names_as_long_as_can_be(void **context) {
    story *tale = *context;
    for (int length = 235; length <= 250; length += 5) {
        char name[260];
        memset(name, 'n', sizeof name);
        name[length] = '\0';
        char *path = sqlite3_mprintf("%s/%s", tale->folder, name);
        sqlite3 *db = host_open(path);
        host_run(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY");
        host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)");
        make_twin(db);
        assert_int_equal(both_fill(db, 1, 50), SQLITE_OK);
        same(db);
        assert_int_equal(both_fill(db, 40, 60), SQLITE_OK);
        host_close(db);
        db = host_open(path);
        same(db);
        host_close(db);
        sqlite3_free(path);
    }
}

/* ---- the process ---- */

/* Files cannot grow, and the process has said nothing about the signal that comes of it. */
static void write_under_a_file_limit(story *tale) {
    sqlite3 *db = host_open(tale->path);
    struct stat info;
    REQUIRE(host_try(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; DROP TABLE t; CREATE VIRTUAL TABLE t "
                         "USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT, flush_rows=100000)") == SQLITE_OK);
    REQUIRE(both_fill(db, 1, 3000) == SQLITE_OK && sqlite3_close(db) == SQLITE_OK && stat(tale->path, &info) == 0);
    uint64_t room = (uint64_t)info.st_size + 200000; /* SQLite's own file does not come near it, the log passes it */
    struct rlimit limit = {room, room};
    REQUIRE(signal(SIGXFSZ, SIG_DFL) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
    db = host_open(tale->path);
    REQUIRE(host_try(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY") == SQLITE_OK);
    for (int i = 0; i < 80; i++) REQUIRE(both_fill(db, 1, 300) == SQLITE_OK);
    REQUIRE(child_finds(db, CHILD_COUNTS, "1|1"));
    (void)host_try(db, "INSERT INTO t(t) VALUES('optimize')");
    REQUIRE(sqlite3_close(db) == SQLITE_OK);
}

static void a_file_limit_kills_nobody(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    in_child(write_under_a_file_limit, tale);
    same_anew(tale);
}

/* No descriptors but those that SQLite has: queries and writes go on. */
static void work_without_descriptors(story *tale) {
    sqlite3 *db = host_open(tale->path);
    REQUIRE(host_try(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = PERSIST") == SQLITE_OK);
    REQUIRE(both_fill(db, 10, 20) == SQLITE_OK);
    struct rlimit limit = {3, 3};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int i = 0; i < 5; i++) {
        REQUIRE(both_fill(db, 10 + i, 50 + i) == SQLITE_OK);
        REQUIRE(child_finds(db, CHILD_COUNTS, "1|1"));
        (void)host_try(db, "INSERT INTO t(t) VALUES('flush')");
        (void)host_try(db, "INSERT INTO t(t) VALUES('optimize')");
        REQUIRE(child_finds(db, CHILD_COUNTS, "1|1"));
    }
    REQUIRE(sqlite3_close(db) == SQLITE_OK);
}

static void without_descriptors(void **context) {
    story *tale = *context;
    make_twin(tale->db);
    assert_int_equal(both_fill(tale->db, 1, 40), SQLITE_OK);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    in_child(work_without_descriptors, tale);
    same_anew(tale);
}

/* Signals all the time, whose handler does not have calls restarted. */
static volatile sig_atomic_t ticks;
static void tick(int number) {
    (void)number;
    ticks++;
}

static void signals_all_the_time(void **context) {
    story *tale = *context;
    struct sigaction action = {.sa_handler = tick}, before;
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    make_twin(tale->db);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(both_fill(tale->db, 1 + i, 100 + i), SQLITE_OK);
        if (i % 5 == 4) host_run(tale->db, "INSERT INTO t(t) VALUES('optimize')");
        host_expect(tale->db, "SELECT shardex_info('t') ->> '$.state'", "current");
        same(tale->db);
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_true(ticks > 0);
    same_anew(tale);
}

/* A connection that is closed while statements are open ends with the last of them. */
static void closed_before_its_statements(void **context) {
    story *tale = *context;
    sqlite3_stmt *query = NULL;
    fill(tale->db, "t", 1, 30);
    sqlite3 *db = host_open(tale->path);
    const char *sql = "SELECT rowid, x FROM t WHERE v MATCH '[0,0]' AND k = 30";
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &query, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(query), SQLITE_ROW);
    assert_int_equal(sqlite3_close(db), SQLITE_BUSY);
    assert_int_equal(sqlite3_close_v2(db), SQLITE_OK);
    for (int i = 0; i < 29; i++) assert_int_equal(sqlite3_step(query), SQLITE_ROW);
    assert_int_equal(sqlite3_finalize(query), SQLITE_OK);
    check_anew(tale, "t");
}

int main(void) {
    static const sqlite3_mem_methods narrow = {narrow_malloc, narrow_free, narrow_realloc,  narrow_size,
                                               narrow_round,  narrow_init, narrow_shutdown, NULL};
    const struct CMUnitTest tests[] = {
        STORY(settings_of_the_connection),
        STORY(pages_are_laid_out_anew),
        STORY(commit_of_a_session_that_may_only_read),
        STORY(no_more_pages),
        STORY(limits_of_sqlite),
        STORY(a_database_that_is_reset),
        STORY(a_file_that_is_exchanged),
        STORY(a_journal_rolled_back_by_a_stranger),
        STORY(a_rollback_without_a_journal),
        STORY(versions_in_turn),
        STORY(names_as_long_as_can_be),
        STORY(a_file_limit_kills_nobody),
        STORY(without_descriptors),
        STORY(signals_all_the_time),
        STORY(closed_before_its_statements),
    };
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &narrow) != SQLITE_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
