/* The command `purge`: afterwards a deleted row's vector and text are in no file, neither of the directory nor, with
** PRAGMA secure_delete and after a checkpoint, of the database. Files that somebody reads from cannot go, and are told.
*/
#include "twin.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PURGE_DIM 24
#define PURGE_ROWS 600
#define PURGE_ROWID 77
#define PURGE_TEXT "a sentence that nobody is to read again"

static fixture_directory purge_place;
static fixture_random purge_random;
static char purge_path[512];
static float purge_vector[PURGE_DIM];

static int purge_set_up(void **state) {
    (void)state;
    purge_random = fixture_seed("purge", 20260417);
    purge_place = fixture_directory_make();
    snprintf(purge_path, sizeof purge_path, "%s/purge.db", purge_place.root);
    for (int d = 0; d < PURGE_DIM; d++) purge_vector[d] = 1.2345678F + (float)d * 0.0078125F;
    return 0;
}

static int purge_tear_down(void **state) {
    (void)state;
    fixture_directory_remove(&purge_place);
    return 0;
}

/* ---- looking into files ---- */

static int purge_found; /* files that hold the vector or the text */

static int purge_look(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)walk;
    if (type != FTW_F || info->st_size == 0) return 0;
    char *bytes = malloc((size_t)info->st_size);
    FILE *file = fopen(path, "rb");
    twin_require(bytes && file);
    size_t size = fread(bytes, 1, (size_t)info->st_size, file);
    fclose(file);
    purge_found += memmem(bytes, size, purge_vector, sizeof purge_vector) != NULL;
    purge_found += memmem(bytes, size, PURGE_TEXT, strlen(PURGE_TEXT)) != NULL;
    free(bytes);
    return 0;
}

/* How often vector and text are found in the files at `path` and below. */
static int purge_count(const char *path) {
    purge_found = 0;
    twin_require(nftw(path, purge_look, 16, FTW_PHYS) == 0);
    return purge_found;
}

static int purge_count_in_directory(void) {
    char path[600];
    snprintf(path, sizeof path, "%s-shardex", purge_path);
    return purge_count(path);
}

/* ---- rows ---- */

/* A table of several segments and a tail, in which the row to be forgotten was, and was deleted. */
static twin_pair purge_make(void) {
    twin_pair twin = twin_open(purge_path, SHX_L2, PURGE_DIM);
    twin_run(&twin, "PRAGMA journal_mode=wal; PRAGMA secure_delete=on");
    twin_create(&twin, "");
    twin_fill(&twin, &purge_random, 1, PURGE_ROWS);
    twin_put(&twin, PURGE_ROWID, purge_vector, 5);
    twin_run(&twin, "UPDATE t SET s = '" PURGE_TEXT "' WHERE rowid = %d; "
                    "UPDATE twin SET s = '" PURGE_TEXT "' WHERE id = %d",
             PURGE_ROWID, PURGE_ROWID);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    twin_fill(&twin, &purge_random, PURGE_ROWS + 1, 50);
    twin_put(&twin, PURGE_ROWS + 51, purge_vector, 5); /* this one is only in the log */
    twin_delete(&twin, PURGE_ROWS + 51);
    twin_delete(&twin, PURGE_ROWID);
    return twin;
}

static void test_nothing_is_left(void **state) {
    (void)state;
    twin_pair twin = purge_make();
    assert_true(purge_count_in_directory() >= 3); /* a segment and the log */
    twin_run(&twin, "INSERT INTO t(t) VALUES('purge')");
    assert_int_equal(purge_count_in_directory(), 0);
    twin_run(&twin, "PRAGMA wal_checkpoint(truncate)");
    assert_int_equal(purge_count(purge_place.root), 0);
    assert_true(twin_state_is(&twin, "current"));
    twin_require_right(&twin, &purge_random);
    twin_transaction(&twin, &purge_random, 40, PURGE_ROWS);
    twin_close(&twin);
    twin = twin_open(purge_path, SHX_L2, PURGE_DIM);
    assert_true(twin_state_is(&twin, "current"));
    twin_require_right(&twin, &purge_random);
    twin_require_sound(&twin);
    twin_run(&twin, "DROP TABLE t; DROP TABLE twin; VACUUM");
    twin_close(&twin);
    twin_remove_database(purge_path);
}

static void purge_tell(int pipe) { twin_require(write(pipe, "x", 1) == 1); }

static void purge_wait(int pipe) {
    char byte;
    twin_require(read(pipe, &byte, 1) == 1);
}

/* Another process: has the table open as it was, until it is told to close it. */
static void purge_be_reader(int from, int to) {
    purge_wait(from);
    twin_pair twin = twin_open(purge_path, SHX_L2, PURGE_DIM);
    twin_require_right(&twin, &purge_random);
    purge_tell(to);
    purge_wait(from);
    twin_require_right(&twin, &purge_random);
    twin_close(&twin);
    purge_tell(to);
}

/* Another process keeps what it reads from: purge says so, and succeeds once that has closed the table. */
static void test_readers_are_told_of(void **state) {
    (void)state;
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t child = twin_fork();
    if (child == 0) {
        purge_be_reader(to[0], from[1]);
        twin_child_done();
    }
    twin_pair twin = purge_make();
    purge_tell(to[1]);
    purge_wait(from[0]);
    assert_int_equal(twin_try(&twin, "INSERT INTO t(t) VALUES('purge')"), SQLITE_BUSY);
    assert_true(purge_count_in_directory() > 0);
    purge_tell(to[1]);
    purge_wait(from[0]);
    twin_run(&twin, "INSERT INTO t(t) VALUES('purge')");
    assert_int_equal(purge_count_in_directory(), 0);
    twin_require_right(&twin, &purge_random);
    twin_wait(child);
    twin_close(&twin);
    for (int i = 0; i < 2; i++) {
        close(to[i]);
        close(from[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_readers_are_told_of),
    };
    return cmocka_run_group_tests(tests, purge_set_up, purge_tear_down);
}
