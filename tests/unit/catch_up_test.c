/* The directory has missed commits: those of a process without it, of another machine whose pages came over, or the
** last ones before the power went. What the ring of the state row tells is enough to catch up at the cost of the
** change.
*/
#include "twin.h"

#include "index.h"
#include "os.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAG_DIM 8
#define LAG_ROWS 3000
#define LAG_IDS 3200

static fixture_directory lag_place;
static fixture_random lag_random;
static char lag_work[400], lag_directory[420], lag_other[400], lag_kept[420];

static int lag_set_up(void **state) {
    (void)state;
    lag_random = fixture_seed("catch up", 20260301);
    lag_place = fixture_directory_make();
    snprintf(lag_work, sizeof lag_work, "%s/work.db", lag_place.root);
    snprintf(lag_directory, sizeof lag_directory, "%s-shardex", lag_work);
    snprintf(lag_other, sizeof lag_other, "%s/other.db", lag_place.root);
    snprintf(lag_kept, sizeof lag_kept, "%s/kept", lag_place.root);
    return 0;
}

static int lag_tear_down(void **state) {
    (void)state;
    fixture_directory_remove(&lag_place);
    return 0;
}

static twin_pair lag_open(const char *path) {
    twin_pair twin = twin_open(path, SHX_L2, LAG_DIM);
    twin_run(&twin, "PRAGMA synchronous=off");
    return twin;
}

static void lag_make(const char *options) {
    twin_remove_database(lag_work);
    twin_pair twin = lag_open(lag_work);
    twin_create(&twin, options);
    twin_fill(&twin, &lag_random, 1, LAG_ROWS);
    twin_close(&twin);
}

static void lag_commits(twin_pair *twin, int commits, int changes) {
    for (int i = 0; i < commits; i++) twin_transaction(twin, &lag_random, changes, LAG_IDS);
}

/* A commit for sure: random changes may come to nothing. */
static void lag_touch(twin_pair *twin) {
    twin_run(twin, "UPDATE t SET v = v WHERE rowid = (SELECT max(rowid) FROM t)");
}

/* `commits` transactions by a process that has no directory: afterwards the one of before is back. */
static void lag_without_directory(int commits, int changes) {
    twin_remove(lag_kept);
    if (access(lag_directory, F_OK) == 0) twin_require(rename(lag_directory, lag_kept) == 0);
    twin_pair twin = lag_open(lag_work);
    lag_commits(&twin, commits, changes);
    lag_touch(&twin);
    twin_close(&twin);
    twin_remove(lag_directory);
    if (access(lag_kept, F_OK) == 0) twin_require(rename(lag_kept, lag_directory) == 0);
}

/* A reader has an index for what it sees, without touching the directory. */
static void lag_reader_sees(const char *state) {
    uint64_t bytes = twin_directory_bytes(lag_work);
    twin_pair reader = lag_open(lag_work);
    twin_require(twin_state_is(&reader, state));
    twin_require_right(&reader, &lag_random);
    twin_require(twin_state_is(&reader, state));
    twin_require(twin_directory_bytes(lag_work) == bytes);
    twin_close(&reader);
}

static void a_reader_mends_a_gap_in_memory(void **state) {
    (void)state;
    lag_make("");
    lag_without_directory(10, 3);
    lag_reader_sees("reconciled");
    twin_pair one = lag_open(lag_work), two = lag_open(lag_work);
    twin_require_right(&one, &lag_random);
    twin_require_right(&two, &lag_random); /* it shares what the first one made */
    twin_require(twin_state_is(&one, "reconciled") && twin_state_is(&two, "reconciled"));
    twin_close(&one);
    twin_close(&two);
}

/* The record that is made holds the change and no more: nothing was compared, nothing copied. */
static void a_writer_mends_a_gap_for_everybody(void **state) {
    (void)state;
    lag_make("");
    lag_without_directory(10, 3);
    uint64_t bytes = twin_directory_bytes(lag_work);
    twin_pair reader = lag_open(lag_work), writer = lag_open(lag_work);
    twin_require_right(&reader, &lag_random);
    lag_touch(&writer);
    twin_require(twin_state_is(&writer, "current") && twin_state_is(&reader, "current"));
    twin_require_right(&reader, &lag_random);
    twin_close(&reader);
    twin_close(&writer);
    twin_require(twin_directory_bytes(lag_work) < bytes + LAG_ROWS * LAG_DIM * sizeof(float) / 4);
    lag_reader_sees("current");
}

/* What a reader has in memory only must not become the parent of what a writer of the same process appends. */
static void a_writer_after_a_reader_of_its_process(void **state) {
    (void)state;
    lag_make("");
    for (int round = 0; round < 5; round++) {
        lag_without_directory(1 + round, 2);
        twin_pair twin = lag_open(lag_work);
        twin_require_right(&twin, &lag_random);
        twin_require(twin_state_is(&twin, "reconciled"));
        lag_touch(&twin);
        twin_require(twin_state_is(&twin, "current"));
        twin_close(&twin);
        lag_reader_sees("current");
    }
}

static void shardex_catch_up_mends_a_gap(void **state) {
    (void)state;
    lag_make("");
    lag_without_directory(5, 4);
    twin_pair reader = lag_open(lag_work);
    twin_run(&reader, "PRAGMA query_only=on");
    char *text = twin_text(&reader, "SELECT shardex_catch_up('t')");
    twin_require(strcmp(text, "caught up") == 0);
    sqlite3_free(text);
    twin_require(twin_state_is(&reader, "current"));
    twin_close(&reader);
    lag_reader_sees("current");
}

/* A replica gets the pages of each state and keeps a directory of its own, which nobody writes. */
static void a_replica_that_receives_pages(void **state) {
    (void)state;
    lag_make("");
    twin_copy_database(lag_work, lag_other);
    twin_pair primary = lag_open(lag_work);
    for (int round = 0; round < 30; round++) {
        lag_commits(&primary, 1 + (int)fixture_below(&lag_random, 5), 1 + (int)fixture_below(&lag_random, 10));
        lag_touch(&primary);
        twin_require(twin_try(&primary, "PRAGMA wal_checkpoint(TRUNCATE)") == SQLITE_OK);
        twin_copy(lag_work, lag_other);
        uint64_t bytes = twin_directory_bytes(lag_other);
        twin_pair replica = lag_open(lag_other);
        twin_require(twin_state_is(&replica, "reconciled"));
        if (round % 10 == 0) twin_require_right(&replica, &lag_random);
        twin_require(twin_directory_bytes(lag_other) == bytes);
        if (round % 7 == 6) sqlite3_free(twin_text(&replica, "SELECT shardex_catch_up('t')"));
        twin_close(&replica);
    }
    twin_close(&primary);
}

/* The last records never reached the disk. */
static void the_end_of_the_log_is_lost(void **state) {
    (void)state;
    lag_make("");
    for (int round = 0; round < 10; round++) {
        twin_pair twin = lag_open(lag_work);
        lag_commits(&twin, 1, 3);
        lag_touch(&twin);
        twin_close(&twin);
        twin_files files = twin_find_files(lag_work, "wal");
        const char *last = NULL;
        for (int i = 0; i < files.count; i++) {
            if (!last || strcmp(files.paths[i], last) > 0) last = files.paths[i];
        }
        struct stat info;
        twin_require(last && stat(last, &info) == 0);
        twin_require(truncate(last, info.st_size - 1 - (off_t)fixture_below(&lag_random, 100)) == 0);
        lag_reader_sees("reconciled");
        twin = lag_open(lag_work);
        lag_touch(&twin);
        twin_require(twin_state_is(&twin, "current"));
        twin_close(&twin);
        lag_reader_sees("current");
    }
}

/* The same statements lead to the same state row, whatever became of the directory. */
static void the_ring_depends_on_the_operations_only(void **state) {
    (void)state;
    twin_remove_database(lag_work);
    twin_remove_database(lag_other);
    fixture_random random = lag_random;
    const char *const paths[] = {lag_work, lag_other};
    for (int i = 0; i < 2; i++) {
        lag_random = random;
        twin_pair twin = lag_open(paths[i]);
        twin_create(&twin, "");
        for (int round = 0; round < 60; round++) {
            if (i == 1 && round % 20 == 7) { /* this one is reopened, and loses its directory */
                twin_close(&twin);
                twin_files files = twin_find_files(paths[i], "");
                for (int f = 0; f < files.count; f++) twin_remove(files.paths[f]);
                twin = lag_open(paths[i]);
            }
            lag_commits(&twin, 1, round % 30 == 20 ? 2000 : 1 + round % 9);
        }
        twin_close(&twin);
    }
    twin_pair twin = lag_open(lag_work);
    twin_run(&twin, "ATTACH %Q AS other", lag_other);
    twin_require(twin_number(&twin, "SELECT count(*) FROM main.t_state JOIN other.t_state USING (commit_id, ring)") ==
                 1);
    twin_require(twin_number(&twin, "SELECT count(*) FROM main.t_rows") > 1000);
    twin_close(&twin);
}

/* A transaction that was rolled back, in whole or in part, leaves no trace in the ring. */
static void rollbacks_leave_no_trace(void **state) {
    (void)state;
    lag_make("");
    twin_remove(lag_kept);
    twin_copy(lag_directory, lag_kept);
    twin_pair twin = lag_open(lag_work);
    for (int round = 0; round < 20; round++) {
        twin_run(&twin, "BEGIN; SAVEPOINT one");
        for (int i = 0; i < 5; i++) twin_change(&twin, &lag_random, LAG_IDS);
        twin_run(&twin, "SAVEPOINT two");
        for (int i = 0; i < 5; i++) twin_change(&twin, &lag_random, LAG_IDS);
        if (round % 2) twin_run(&twin, "ROLLBACK TO two");
        if (round % 3 == 0) twin_run(&twin, "ROLLBACK TO one");
        twin_run(&twin, round % 5 == 4 ? "ROLLBACK" : "COMMIT");
    }
    lag_touch(&twin);
    twin_close(&twin);
    twin_copy(lag_kept, lag_directory);
    lag_reader_sees("reconciled");
}

/* A table whose index was flushed and then missed more commits than the ring holds. */
static void lag_make_past_the_ring(void) {
    lag_make("");
    twin_pair twin = lag_open(lag_work);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    twin_close(&twin);
    lag_without_directory(300, 1);
}

/* More commits, or larger ones, than the ring holds: everything is compared, and the answers are right all the same. */
static void past_the_ring(void **state) {
    (void)state;
    lag_make_past_the_ring();
    lag_reader_sees("reconciled");
    lag_without_directory(1, 2500);
    twin_pair twin = lag_open(lag_work);
    twin_require_right(&twin, &lag_random);
    lag_touch(&twin);
    twin_require(twin_state_is(&twin, "current"));
    twin_close(&twin);
}

/* A clock of its own, so that no time has to pass. */
static atomic_uint_fast64_t lag_time, lag_step;

static uint64_t lag_clock(void) { return lag_time += lag_step; }

/* A writer compares for a while and no longer; what it gave up leaves no file. Small tables are compared anyway. */
static void a_writer_has_so_much_time(void **state) {
    (void)state;
    shx_clock_use(lag_clock);
    for (int rows = LAG_ROWS; rows <= 5 * LAG_ROWS; rows += 4 * LAG_ROWS) {
        lag_make("");
        twin_pair twin = lag_open(lag_work);
        twin_fill(&twin, &lag_random, LAG_ROWS + 1, rows - LAG_ROWS);
        twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        twin_close(&twin);
        lag_without_directory(1, 2500);
        twin = lag_open(lag_work);
        lag_step = 30000000; /* two looks are too many */
        int files = twin_find_files(lag_work, "wal").count;
        lag_touch(&twin);
        twin_require_right(&twin, &lag_random);
        bool small = rows == LAG_ROWS;
        char *found = twin_text(&twin, "SELECT json_extract(shardex_info('t'), '$.state')");
        twin_require((strcmp(found, "current") == 0) == small);
        sqlite3_free(found);
        if (!small) twin_require(twin_find_files(lag_work, "wal").count <= files + 1); /* of the commit itself */
        lag_step = 0;
        for (int i = 0; i < 3; i++) lag_touch(&twin); /* the next one does not try again, a later one does */
        twin_require(twin_state_is(&twin, "current"));
        twin_require_right(&twin, &lag_random);
        twin_close(&twin);
    }
    shx_clock_use(NULL);
}

/* ---- what a connection leaves behind when it closes ---- */

static shx_store *lag_inner, *lag_faulty;

static shx_status lag_open_faulty(const char *path, shx_store **ret_store) {
    SHX_TRY(shx_store_open_posix(path, &lag_inner));
    shx_status status = faulty_store_wrap(lag_inner, &lag_faulty);
    if (status == SHX_OK) *ret_store = lag_faulty;
    return status;
}

/* A connection that is open while another process, which has no directory, makes this many commits; `wrote`: it made
** one before. It has not looked since. */
static twin_pair lag_passed(bool wrote, int commits) {
    int go[2];
    char byte = 'x';
    twin_require(pipe(go) == 0);
    pid_t child = twin_fork();
    if (child == 0) {
        twin_require(read(go[0], &byte, 1) == 1);
        lag_without_directory(commits, 1);
        twin_child_done();
    }
    twin_pair twin = lag_open(lag_work);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    if (wrote) lag_touch(&twin);
    twin_require(write(go[1], &byte, 1) == 1);
    twin_wait(child);
    close(go[0]);
    close(go[1]);
    return twin;
}

/* The same, and in the end it sees them. */
static twin_pair lag_overtaken(bool wrote, int commits) {
    twin_pair twin = lag_passed(wrote, commits);
    twin_require_right(&twin, &lag_random);
    twin_require(twin_state_is(&twin, "reconciled"));
    return twin;
}

/* Whoever opens the database next has right answers at once, and the next writer brings the directory up to date. */
static void lag_next_ones_catch_up(void) {
    lag_reader_sees("reconciled");
    twin_pair writer = lag_open(lag_work);
    lag_touch(&writer);
    twin_close(&writer);
    lag_reader_sees("current");
}

/* When a connection closes SQLite lets nobody look into the database any more: what was not looked at before stays
** behind, whether others have written it, or the connection itself while the directory could not be written. */
static void a_writer_that_closes_without_a_look(void **state) {
    (void)state;
    shx_index_use_threads(false);
    for (int commits = 5; commits <= 300; commits += 295) {
        lag_make("");
        twin_pair twin = lag_passed(true, commits);
        uint64_t bytes = twin_directory_bytes(lag_work);
        twin_close(&twin);
        twin_require(twin_directory_bytes(lag_work) == bytes);
        lag_next_ones_catch_up();
        lag_make("");
        shx_store_use(lag_open_faulty);
        twin = lag_passed(true, commits);
        faulty_plan plan = {.kind = FAULTY_MUTATING, .nth = 1, .status = SHX_READONLY, .forever = true};
        faulty_store_plan(lag_faulty, &plan);
        lag_touch(&twin);
        lag_touch(&twin);
        faulty_store_plan(lag_faulty, &(faulty_plan){0});
        twin_close(&twin);
        shx_store_close(lag_inner);
        shx_store_use(shx_store_open_posix);
        lag_next_ones_catch_up();
    }
    shx_index_use_threads(true);
}

/* What it has brought up to date for itself, by the ring or by comparing everything, is there for all afterwards. */
static void a_writer_that_closes_leaves_what_it_knows(void **state) {
    (void)state;
    for (int commits = 5; commits <= 300; commits += 295) {
        for (int way = 0; way < 4; way++) {
            lag_make("");
            twin_pair twin = lag_overtaken(way > 0, commits);
            twin_files files = twin_find_files(lag_work, "");
            int locks[TWIN_FILES_MAX];
            if (way == 2) sqlite3_interrupt(twin.db);           /* whoever wants to end the process */
            for (int i = 0; way == 3 && i < files.count; i++) { /* others hold all that can be locked */
                locks[i] = open(files.paths[i], O_RDWR | O_CLOEXEC);
                twin_require(locks[i] >= 0);
                (void)flock(locks[i], LOCK_EX | LOCK_NB);
            }
            twin_close(&twin);
            lag_reader_sees(way > 0 ? "current" : "reconciled");
            for (int i = 0; way == 3 && i < files.count; i++) close(locks[i]);
        }
    }
}

/* A directory that cannot be written, from some call on: it stays as it was, or is current; nothing shows. */
static void a_writer_that_closes_over_a_bad_directory(void **state) {
    (void)state;
    shx_index_use_threads(false);
    uint64_t failures = 1;
    for (uint64_t nth = 1; failures > 0; nth++) {
        lag_make("");
        shx_store_use(lag_open_faulty);
        twin_pair twin = lag_overtaken(true, 5), other = lag_open(lag_work);
        twin_require_right(&other, &lag_random); /* it keeps the index open, and is itself no writer */
        faulty_plan plan = {.kind = FAULTY_MUTATING, .nth = nth, .status = SHX_READONLY, .forever = true};
        faulty_store_plan(lag_faulty, &plan);
        twin_close(&twin);
        failures = faulty_store_failures(lag_faulty);
        faulty_store_plan(lag_faulty, &(faulty_plan){0});
        twin_require_right(&other, &lag_random);
        twin_close(&other);
        shx_store_close(lag_inner);
        shx_store_use(shx_store_open_posix);
        lag_reader_sees(failures > 0 ? "reconciled" : "current");
    }
    shx_index_use_threads(true);
}

/* What the log of the application was told of comparisons. */
static int lag_reports, lag_failures;
static char lag_report[600];

static void lag_log(void *context, int code, const char *message) {
    (void)context;
    lag_failures += code == SQLITE_NOTICE && strstr(message, "answers come from the database") != NULL;
    if (code != SQLITE_NOTICE || !strstr(message, "shardex: compared table")) return;
    lag_reports++;
    snprintf(lag_report, sizeof lag_report, "%s", message);
}

/* Once for a state, with its cause, and what it came to. */
static void comparisons_are_logged(void **state) {
    (void)state;
    lag_make("");
    twin_pair twin = lag_open(lag_work);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    long long rows = twin_number(&twin, "SELECT count(*) FROM t");
    twin_close(&twin);
    lag_reports = 0;
    lag_without_directory(300, 1);
    assert_int_equal(lag_reports, 0);
    twin = lag_open(lag_work);
    for (int i = 0; i < 3; i++) twin_require_right(&twin, &lag_random);
    assert_int_equal(lag_reports, 1);
    char expected[100];
    snprintf(expected, sizeof expected, "its present state but one of %lld rows", rows);
    assert_non_null(strstr(lag_report, "table \"t\" of "));
    assert_non_null(strstr(lag_report, expected));
    assert_non_null(strstr(lag_report, "known to this connection"));
    lag_touch(&twin);
    assert_int_equal(lag_reports, 2);
    assert_non_null(strstr(lag_report, "written for all"));
    twin_require_right(&twin, &lag_random);
    assert_int_equal(lag_reports, 2);
    twin_close(&twin);
}

/* The log of the application does not tell of an index that cannot be had, and the next writer tries again at once,
** wherever a comparison was interrupted: here after each of the first statements that the extension runs itself. */
typedef struct lag_interrupt {
    sqlite3 *db;
    int after;
} lag_interrupt;

static int lag_interrupt_now(unsigned type, void *context, void *statement, void *time) {
    (void)type, (void)statement, (void)time;
    lag_interrupt *interrupt = context;
    if (interrupt->after-- == 0) sqlite3_interrupt(interrupt->db);
    return 0;
}

static void an_interrupted_comparison_is_no_failure(void **state) {
    (void)state;
    lag_make_past_the_ring();
    lag_failures = 0;
    for (int after = 0; after < 10; after++) {
        twin_pair twin = lag_open(lag_work);
        twin_run(&twin, "SELECT count(*) FROM t");
        lag_interrupt interrupt = {twin.db, after};
        sqlite3_trace_v2(twin.db, SQLITE_TRACE_PROFILE, lag_interrupt_now, &interrupt);
        int rc = twin_try(&twin, "UPDATE t SET v = v WHERE rowid = (SELECT max(rowid) FROM t)");
        sqlite3_trace_v2(twin.db, 0, NULL, NULL);
        assert_int_equal(rc & 0xff, SQLITE_INTERRUPT);
        assert_int_equal(lag_failures, 0);
        lag_reports = 0;
        lag_touch(&twin);
        assert_int_equal(lag_reports, 1);
        twin_require(twin_state_is(&twin, "current"));
        twin_close(&twin);
        lag_without_directory(300, 1);
    }
}

/* What a state row holds may be anything. */
static void a_damaged_ring_is_no_ring(void **state) {
    (void)state;
    static const char *const rings[] = {"x''", "zeroblob(3840)", "'text'", "randomblob(3840)", "1", "zeroblob(100000)"};
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
        lag_make("");
        lag_without_directory(4, 3);
        twin_pair twin = lag_open(lag_work);
        twin_run(&twin, "UPDATE t_state SET ring = %s", rings[i]);
        twin_require_right(&twin, &lag_random);
        lag_touch(&twin);
        twin_require_right(&twin, &lag_random);
        twin_require(twin_state_is(&twin, "current"));
        twin_close(&twin);
        lag_without_directory(4, 3);
        lag_reader_sees("reconciled");
    }
}

/* Any state of the directory against any later one of the database. */
static void directories_of_any_age(void **state) {
    (void)state;
    lag_make(", flush_rows=300");
    char copies[4][440];
    for (int i = 0; i < 4; i++) {
        snprintf(copies[i], sizeof copies[i], "%s/copy-%d", lag_place.root, i);
        twin_copy(lag_directory, copies[i]);
    }
    for (int round = 0; round < 40; round++) {
        twin_pair twin = lag_open(lag_work);
        lag_commits(&twin, (int)fixture_below(&lag_random, 8), 1 + (int)fixture_below(&lag_random, 30));
        if (fixture_below(&lag_random, 5) == 0) twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        twin_close(&twin);
        uint64_t copy = fixture_below(&lag_random, 4);
        if (fixture_below(&lag_random, 2)) {
            twin_copy(lag_directory, copies[copy]);
        } else {
            twin_copy(copies[copy], lag_directory);
        }
        twin = lag_open(lag_work);
        if (fixture_below(&lag_random, 2)) twin_require_right(&twin, &lag_random);
        lag_commits(&twin, 1, 2);
        if (round % 4 == 0) twin_require_right(&twin, &lag_random);
        twin_close(&twin);
    }
    twin_pair twin = lag_open(lag_work);
    twin_run(&twin, "INSERT INTO t(t) VALUES('reconcile')");
    twin_require(twin_state_is(&twin, "current"));
    twin_require_right(&twin, &lag_random);
    twin_require_sound(&twin);
    twin_close(&twin);
}

/* ---- removal of old files ---- */

/* A VFS that fails, as long as lag_sync_fails, to sync the log of a database. */
static bool lag_sync_fails;
static int lag_syncs;
static sqlite3_io_methods lag_methods;
static sqlite3_vfs lag_vfs;
static const sqlite3_io_methods *lag_real_methods;

static int lag_sync(sqlite3_file *file, int flags) {
    lag_syncs++;
    return lag_sync_fails ? SQLITE_IOERR_FSYNC : lag_real_methods->xSync(file, flags);
}

static int lag_vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags) {
    sqlite3_vfs *real = vfs->pAppData;
    int rc = real->xOpen(real, name, file, flags, ret_flags);
    if (rc != SQLITE_OK || !(flags & SQLITE_OPEN_WAL)) return rc;
    lag_real_methods = file->pMethods;
    lag_methods = *file->pMethods;
    lag_methods.xSync = lag_sync;
    file->pMethods = &lag_methods;
    return rc;
}

static twin_pair lag_open_with_vfs(void) {
    twin_pair twin = twin_open(NULL, SHX_L2, LAG_DIM);
    lag_vfs = *sqlite3_vfs_find(NULL);
    lag_vfs.pAppData = sqlite3_vfs_find(NULL);
    lag_vfs.zName = "lag";
    lag_vfs.xOpen = lag_vfs_open;
    twin_require(sqlite3_vfs_register(&lag_vfs, 0) == SQLITE_OK);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    twin_require(sqlite3_open_v2(lag_work, &twin.db, flags, "lag") == SQLITE_OK);
    twin_register(twin.db);
    twin_run(&twin, "SELECT shardex_config('any_vfs', 1)");
    twin_run(&twin, "PRAGMA journal_mode=wal; PRAGMA synchronous=normal; PRAGMA wal_autocheckpoint=0");
    return twin;
}

/* Commits that a power cut may still undo keep the files of what was before them. */
static void files_go_only_when_the_commit_is_durable(void **state) {
    (void)state;
    twin_remove_database(lag_work);
    twin_pair twin = lag_open_with_vfs();
    twin_create(&twin, "");
    for (int round = 1; round <= 5; round++) {
        lag_sync_fails = round < 5;
        twin_fill(&twin, &lag_random, round * 1000, 100);
        twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        lag_touch(&twin);
        twin_require(twin_find_files(lag_work, "base").count == (round < 5 ? round : 2));
    }
    twin_require(lag_syncs >= 5);
    int syncs = lag_syncs;
    for (int i = 0; i < 20; i++) lag_touch(&twin);
    twin_require(lag_syncs == syncs); /* there is nothing to remove: commits pay nothing for it */
    twin_require_right(&twin, &lag_random);
    twin_run(&twin, "SELECT shardex_config('any_vfs', 0)");
    twin_close(&twin);
    sqlite3_vfs_unregister(&lag_vfs);
}

/* ---- directories of tables that are gone ---- */

static bool lag_has_folder(const char *uuid) {
    char path[500];
    snprintf(path, sizeof path, "%s/%s", lag_directory, uuid);
    return access(path, F_OK) == 0;
}

static char *lag_uuid(twin_pair *twin, const char *table) {
    return twin_text(twin, "SELECT lower(hex(uuid)) FROM \"%w_state\"", table);
}

static void gc_removes_directories_of_dropped_tables(void **state) {
    (void)state;
    lag_make("");
    twin_pair twin = lag_open(lag_work), other = lag_open(lag_work);
    twin_run(&twin, "CREATE VIRTUAL TABLE u USING shardex(v float[2]); INSERT INTO u(v) VALUES ('[1,2]')");
    twin_run(&twin, "CREATE TABLE \"x_state\"(uuid); INSERT INTO x_state VALUES (1); CREATE TABLE y_state(z)");
    char *kept = lag_uuid(&twin, "t"), *dropped = lag_uuid(&twin, "u"), foreign[500];
    snprintf(foreign, sizeof foreign, "%s/notes", lag_directory);
    twin_require(mkdir(foreign, 0700) == 0);
    twin_run(&twin, "INSERT INTO t(t) VALUES('gc')");
    twin_require(lag_has_folder(kept) && lag_has_folder(dropped));
    twin_require(twin_number(&other, "SELECT count(*) FROM u WHERE v MATCH '[1,2]' AND k = 1") == 1);
    twin_run(&twin, "BEGIN; DROP TABLE u; ROLLBACK; INSERT INTO t(t) VALUES('gc')");
    twin_require(lag_has_folder(dropped));
    twin_run(&twin, "DROP TABLE u");
    twin_run(&twin, "BEGIN");
    twin_require(twin_try(&twin, "INSERT INTO t(t) VALUES('gc')") == SQLITE_ERROR);
    twin_run(&twin, "ROLLBACK");
    twin_close(&other);
    twin_close(&twin);
    twin = lag_open(lag_work);
    twin_run(&twin, "INSERT INTO t(t) VALUES('gc')");
    twin_require(lag_has_folder(kept) && !lag_has_folder(dropped) && lag_has_folder("notes"));
    twin_require(twin_state_is(&twin, "current"));
    twin_require_right(&twin, &lag_random);
    twin_close(&twin);
    sqlite3_free(kept);
    sqlite3_free(dropped);
}

/* Somebody still reads or writes it. */
static void gc_leaves_directories_in_use(void **state) {
    (void)state;
    lag_make("");
    twin_pair twin = lag_open(lag_work);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    twin_run(&twin, "CREATE VIRTUAL TABLE u USING shardex(v float[2]); INSERT INTO u(v) VALUES ('[1,2]')");
    char *uuid = lag_uuid(&twin, "t");
    twin_close(&twin);
    static const char *const kinds[] = {"wal", "base", "lock"};
    twin_copy_database(lag_work, lag_other);
    for (int i = 0; i < 4; i++) {
        twin_copy_database(lag_other, lag_work);
        int held = -1;
        if (i < 3) {
            twin_files files = twin_find_files(lag_work, kinds[i]);
            for (int f = 0; f < files.count && held < 0; f++) {
                if (strstr(files.paths[f], uuid)) held = open(files.paths[f], O_RDONLY | O_CLOEXEC);
            }
            twin_require(held >= 0 && flock(held, LOCK_SH | LOCK_NB) == 0);
        }
        twin = lag_open(lag_work);
        int count = twin_find_files(lag_work, "").count;
        twin_run(&twin, "DROP TABLE t");
        twin_close(&twin);
        twin = lag_open(lag_work);
        twin_run(&twin, "INSERT INTO u(u) VALUES('gc')");
        twin_require(lag_has_folder(uuid) == (i < 3));
        twin_require((twin_find_files(lag_work, "").count >= count) == (i < 3));
        twin_close(&twin);
        if (held >= 0) close(held);
    }
    sqlite3_free(uuid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_mends_a_gap_in_memory),
        cmocka_unit_test(a_writer_mends_a_gap_for_everybody),
        cmocka_unit_test(a_writer_after_a_reader_of_its_process),
        cmocka_unit_test(shardex_catch_up_mends_a_gap),
        cmocka_unit_test(a_replica_that_receives_pages),
        cmocka_unit_test(the_end_of_the_log_is_lost),
        cmocka_unit_test(the_ring_depends_on_the_operations_only),
        cmocka_unit_test(rollbacks_leave_no_trace),
        cmocka_unit_test(past_the_ring),
        cmocka_unit_test(a_writer_has_so_much_time),
        cmocka_unit_test(a_writer_that_closes_leaves_what_it_knows),
        cmocka_unit_test(a_writer_that_closes_over_a_bad_directory),
        cmocka_unit_test(a_writer_that_closes_without_a_look),
        cmocka_unit_test(comparisons_are_logged),
        cmocka_unit_test(an_interrupted_comparison_is_no_failure),
        cmocka_unit_test(a_damaged_ring_is_no_ring),
        cmocka_unit_test(directories_of_any_age),
        cmocka_unit_test(gc_removes_directories_of_dropped_tables),
        cmocka_unit_test(gc_leaves_directories_in_use),
        cmocka_unit_test(files_go_only_when_the_commit_is_durable),
    };
    sqlite3_config(SQLITE_CONFIG_LOG, lag_log, NULL);
    return cmocka_run_group_tests(tests, lag_set_up, lag_tear_down);
}
