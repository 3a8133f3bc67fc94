/* shardex_backup: copies taken while another process writes are of one moment, whole, and current at once. */
#include "twin.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BACKUP_DIM 8
#define BACKUP_ROWS 3000

static fixture_directory backup_place;
static fixture_random backup_random;
static char backup_source[400], backup_copy[400], backup_copy_directory[420];

static int backup_set_up(void **state) {
    (void)state;
    backup_random = fixture_seed("backup", 20260301);
    backup_place = fixture_directory_make();
    snprintf(backup_source, sizeof backup_source, "%s/source.db", backup_place.root);
    snprintf(backup_copy, sizeof backup_copy, "%s/copy.db", backup_place.root);
    snprintf(backup_copy_directory, sizeof backup_copy_directory, "%s-shardex", backup_copy);
    return 0;
}

static int backup_tear_down(void **state) {
    (void)state;
    fixture_directory_remove(&backup_place);
    return 0;
}

static twin_pair backup_open(const char *path) {
    twin_pair twin = twin_open(path, SHX_L2, BACKUP_DIM);
    twin_run(&twin, "PRAGMA synchronous=off");
    sqlite3_busy_timeout(twin.db, 60000);
    return twin;
}

/* A source with segments, tombstones and commits in the WAL. */
static twin_pair backup_make(const char *mode) {
    twin_remove_database(backup_source);
    twin_pair twin = backup_open(backup_source);
    twin_run(&twin, "PRAGMA journal_mode=%s", mode);
    twin_create(&twin, "");
    twin_fill(&twin, &backup_random, 1, BACKUP_ROWS);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    for (int i = 0; i < 5; i++) twin_transaction(&twin, &backup_random, 30, BACKUP_ROWS);
    return twin;
}

static void backup_take(twin_pair *twin) {
    char *path = twin_text(twin, "SELECT shardex_backup(%Q)", backup_copy);
    twin_require(strcmp(path, backup_copy) == 0);
    sqlite3_free(path);
}

/* The copy is of one moment (the twin says so), current at first sight, sound, and lives on. */
static void backup_judge_copy(bool in_directory) {
    twin_pair copy = backup_open(backup_copy);
    twin_require(twin_state_is(&copy, "current"));
    twin_require((access(backup_copy_directory, F_OK) == 0) == in_directory);
    twin_require_right(&copy, &backup_random);
    twin_require_sound(&copy);
    twin_transaction(&copy, &backup_random, 50, BACKUP_ROWS);
    twin_require_right(&copy, &backup_random);
    twin_run(&copy, "INSERT INTO t(t) VALUES('flush')");
    twin_require(twin_state_is(&copy, "current"));
    twin_require_right(&copy, &backup_random);
    twin_close(&copy);
    twin_remove_database(backup_copy);
}

/* ---- while others write ---- */

static void backup_write_on(int stop) {
    fixture_random random = {fixture_next(&backup_random)};
    twin_pair twin = backup_open(backup_source);
    struct timespec pause = {0, 1000000};
    for (int round = 0;; round++) {
        char token;
        if (round > 20 && read(stop, &token, 1) == 1) break;
        twin_transaction(&twin, &random, 25, BACKUP_ROWS);
        if (round % 7 == 3) twin_run(&twin, "INSERT INTO t(t) VALUES(%Q)", round % 2 ? "flush" : "optimize");
        nanosleep(&pause, NULL); /* the other process wants the lock too */
    }
    twin_close(&twin);
}

static void copies_taken_while_another_process_writes(void **state) {
    (void)state;
    static const char *const modes[] = {"wal", "delete"};
    for (int m = 0; m < 2; m++) {
        twin_pair twin = backup_make(modes[m]);
        twin_close(&twin);
        int stop[2];
        twin_require(pipe(stop) == 0 && fcntl(stop[0], F_SETFL, O_NONBLOCK) == 0);
        pid_t writer = twin_fork();
        if (writer == 0) {
            backup_write_on(stop[0]);
            twin_child_done();
        }
        twin = backup_open(backup_source);
        for (int i = 0; i < 4; i++) {
            backup_take(&twin);
            twin_require(twin_find_files(backup_copy, "segment").count > 0); /* copied, not built anew */
            backup_judge_copy(true);
        }
        twin_require(write(stop[1], "x", 1) == 1);
        twin_wait(writer);
        twin_require_right(&twin, &backup_random);
        twin_close(&twin);
        close(stop[0]);
        close(stop[1]);
    }
}

/* ---- what is copied ---- */

/* An index that is not current in the original is so in the copy; nothing is written beside the original. */
static void an_index_that_is_behind_is_current_in_the_copy(void **state) {
    (void)state;
    char directory[420];
    snprintf(directory, sizeof directory, "%s-shardex", backup_source);
    twin_pair twin = backup_make("delete");
    twin_close(&twin);
    twin_remove(directory);
    twin = backup_open(backup_source);
    backup_take(&twin);
    twin_require(access(directory, F_OK) != 0);
    twin_close(&twin);
    backup_judge_copy(true);
}

/* Files that vanish after the view was made are copied from its mappings, or made again. */
static void files_that_vanish_are_no_obstacle(void **state) {
    (void)state;
    char directory[420];
    snprintf(directory, sizeof directory, "%s-shardex", backup_source);
    twin_pair twin = backup_make("delete");
    twin_require(twin_state_is(&twin, "current"));
    twin_remove(directory);
    backup_take(&twin);
    twin_close(&twin);
    backup_judge_copy(true);
}

static void an_attached_database_is_copied_by_name(void **state) {
    (void)state;
    twin_pair twin = backup_make("delete");
    twin_close(&twin);
    twin = twin_open(":memory:", SHX_L2, BACKUP_DIM);
    twin_run(&twin, "ATTACH %Q AS other", backup_source);
    char *path = twin_text(&twin, "SELECT shardex_backup(%Q, 'other')", backup_copy);
    sqlite3_free(path);
    twin_close(&twin);
    backup_judge_copy(true);
}

static void a_table_in_memory_has_no_directory_in_the_copy(void **state) {
    (void)state;
    twin_remove_database(backup_source);
    twin_pair twin = backup_open(backup_source);
    twin_create(&twin, ", memory_only=1");
    twin_fill(&twin, &backup_random, 1, 500);
    backup_take(&twin);
    twin_close(&twin);
    backup_judge_copy(false);
}

/* No table of ours comes and goes with it, so nothing but the copying itself ends what the copying began. */
static void a_database_without_tables_is_copied_and_can_be_closed(void **state) {
    (void)state;
    twin_remove_database(backup_source);
    twin_pair twin = backup_open(backup_source);
    twin_run(&twin, "CREATE TABLE other(x)");
    backup_take(&twin);
    assert_null(sqlite3_next_stmt(twin.db, NULL));
    twin_close(&twin);
    twin_remove_database(backup_copy);
}

/* ---- refusals ---- */

static void backup_refused(twin_pair *twin, const char *sql, const char *message) {
    char *text = NULL;
    int rc = sqlite3_exec(twin->db, sql, NULL, NULL, &text);
    if (rc == SQLITE_OK || !text || !strstr(text, message)) fail_msg("%s gave %d: %s", sql, rc, text ? text : "");
    sqlite3_free(text);
}

static void what_is_refused(void **state) {
    (void)state;
    char sql[700];
    twin_pair twin = backup_make("delete");
    snprintf(sql, sizeof sql, "SELECT shardex_backup('%s')", backup_source);
    backup_refused(&twin, sql, "exists already");
    backup_refused(&twin, "SELECT shardex_backup('')", "expected the name of a file");
    backup_refused(&twin, "SELECT shardex_backup(NULL)", "expected the name of a file");
    backup_refused(&twin, "SELECT shardex_backup('x.db', 'nowhere')", "there is no database \"nowhere\"");
    backup_refused(&twin, "SELECT shardex_backup('x.db', 'temp')", "has no directory beside it");
    backup_refused(&twin, "SELECT shardex_backup('/nonexistent/x.db')", "cannot be created");
    snprintf(sql, sizeof sql, "SELECT shardex_backup('%s')", backup_copy);
    twin_run(&twin, "BEGIN; DELETE FROM t WHERE rowid = 1");
    backup_refused(&twin, sql, "commit the changes of \"main\" first");
    twin_run(&twin, "ROLLBACK");
    backup_take(&twin);
    backup_refused(&twin, sql, "exists already");
    twin_require(unlink(backup_copy) == 0);
    backup_refused(&twin, sql, "holds files of an earlier copy");
    twin_require(access(backup_copy, F_OK) != 0);
    twin_files files = twin_find_files(backup_copy, "");
    twin_require(files.count > 2); /* which are not ours to remove */
    twin_remove(backup_copy_directory);
    backup_take(&twin);
    twin_run(&twin, "CREATE VIEW hostile AS SELECT shardex_backup('stolen.db')");
    backup_refused(&twin, "SELECT * FROM hostile", "unsafe use of shardex_backup");
    twin_run(&twin, "DROP VIEW hostile");
    twin_close(&twin);
    backup_judge_copy(true);
}

/* A copy that finds no room leaves nothing of itself. */
static void backup_limited(void *context) {
    (void)context;
    twin_pair twin = backup_open(backup_source);
    struct rlimit limit = {100 << 10, 100 << 10};
    signal(SIGXFSZ, SIG_IGN);
    twin_require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    twin_require(twin_try(&twin, "SELECT shardex_backup(%Q)", backup_copy) != SQLITE_OK);
    twin_require(access(backup_copy, F_OK) != 0 && twin_find_files(backup_copy, "").count == 0);
    twin_require_right(&twin, &backup_random);
    twin_close(&twin);
}

static void a_copy_without_room_leaves_nothing(void **state) {
    (void)state;
    twin_pair twin = backup_make("delete");
    twin_close(&twin);
    twin_in_child(backup_limited, NULL);
    twin = backup_open(backup_source);
    backup_take(&twin);
    twin_close(&twin);
    backup_judge_copy(true);
}

/* ---- interrupts ---- */

typedef struct backup_interrupt {
    sqlite3 *db;
    int after;
} backup_interrupt;

static int backup_interrupt_now(void *context) {
    backup_interrupt *interrupt = context;
    if (interrupt->after-- == 0) sqlite3_interrupt(interrupt->db);
    return 0;
}

/* Wherever it is interrupted, in the copying of the directory or of the pages, nothing of the copy is left. */
static void an_interrupted_copy_leaves_nothing(void **state) {
    (void)state;
    twin_pair twin = backup_make("delete");
    int interrupted = 0, rc;
    for (int after = 0;; after++) {
        backup_interrupt interrupt = {twin.db, after};
        sqlite3_progress_handler(twin.db, 1, backup_interrupt_now, &interrupt);
        rc = twin_try(&twin, "SELECT shardex_backup(%Q)", backup_copy);
        sqlite3_progress_handler(twin.db, 0, NULL, NULL);
        if (rc == SQLITE_OK) break;
        twin_require((rc & 0xff) == SQLITE_INTERRUPT);
        if (access(backup_copy, F_OK) == 0) break; /* it was whole already */
        twin_require(access(backup_copy_directory, F_OK) != 0);
        interrupted++;
    }
    print_message("             interrupted %d times\n", interrupted);
    assert_true(interrupted > 10);
    twin_close(&twin);
    backup_judge_copy(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_taken_while_another_process_writes),
        cmocka_unit_test(an_index_that_is_behind_is_current_in_the_copy),
        cmocka_unit_test(files_that_vanish_are_no_obstacle),
        cmocka_unit_test(an_attached_database_is_copied_by_name),
        cmocka_unit_test(a_table_in_memory_has_no_directory_in_the_copy),
        cmocka_unit_test(a_database_without_tables_is_copied_and_can_be_closed),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_copy_without_room_leaves_nothing),
        cmocka_unit_test(an_interrupted_copy_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, backup_set_up, backup_tear_down);
}
