/* A process that opens a database, loads the extension, uses it and closes the database, again and again, has no more
** files, threads or mappings afterwards than after the first few times. The extension is the one that people load:
** SHARDEX_LOADABLE names it.
*/
#include "fixture.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOAD_FIRST 20 /* times until everything has its size */
#define LOAD_TIMES 300
#define LOAD_BUILD 25     /* every so often there is work for all threads */
#define LOAD_SETTLE 20000 /* milliseconds until threads that have ended must be gone */
#define LOAD_SLACK 16     /* mappings of the heap: as many as there were threads at a time */

static fixture_directory load_place;
static char load_path[512];
static int load_alone; /* entries of the folder of threads while there is one */

static int load_set_up(void **state) {
    (void)state;
    load_place = fixture_directory_make();
    snprintf(load_path, sizeof load_path, "%s/load.db", load_place.root);
    return 0;
}

static int load_tear_down(void **state) {
    (void)state;
    fixture_directory_remove(&load_place);
    return 0;
}

/* ---- what the process has ---- */

typedef struct load_figures {
    int files, threads, mappings, of_files, of_place;
} load_figures;

static int load_count_entries(const char *folder) {
    int count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

/* Who has been joined is still listed until the kernel has put it away. A thread that is never joined stays. */
static void load_settle(void) {
    for (int tries = 0; load_count_entries("/proc/self/task") > load_alone && tries < LOAD_SETTLE; tries++) {
        usleep(1000);
    }
}

static load_figures load_look(void) {
    char line[4096];
    load_settle();
    load_figures figures = {load_count_entries("/proc/self/fd"), load_count_entries("/proc/self/task"), 0, 0, 0};
    FILE *file = fopen("/proc/self/maps", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        figures.mappings++;
        figures.of_files += strchr(line, '/') != NULL;
        figures.of_place += strstr(line, load_place.root) != NULL;
    }
    fclose(file);
    return figures;
}

/* ---- one life ---- */

static void load_run(sqlite3 *db, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
}

static void load_use(int turn) {
    sqlite3 *db = NULL;
    char *message = NULL, *sql = sqlite3_mprintf("WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i "
                                                 "WHERE i < 20) INSERT INTO t(v, n) SELECT '[' || i || ',2,%d,4]', %d "
                                                 "FROM i",
                                                 turn, turn);
    assert_int_equal(sqlite3_open(load_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_enable_load_extension(db, 1), SQLITE_OK);
    if (sqlite3_load_extension(db, getenv("SHARDEX_LOADABLE"), NULL, &message) != SQLITE_OK) fail_msg("%s", message);
    load_run(db, "CREATE VIRTUAL TABLE IF NOT EXISTS t USING shardex(v float[4], n integer, threads=2)");
    load_run(db, sql);
    load_run(db, "SELECT rowid, distance FROM t WHERE v MATCH '[1,2,3,4]' AND k = 5 AND n > 0");
    if (turn % LOAD_BUILD == 0) load_run(db, "INSERT INTO t(t) VALUES('optimize')");
    sqlite3_free(sql);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void loaded_and_closed_again_and_again(void **state) {
    (void)state;
    assert_non_null(getenv("SHARDEX_LOADABLE"));
    load_alone = load_count_entries("/proc/self/task");
    for (int turn = 0; turn < LOAD_FIRST; turn++) load_use(turn);
    load_figures before = load_look();
    assert_int_equal(before.of_place, 0);
    for (int turn = LOAD_FIRST; turn < LOAD_TIMES; turn++) load_use(turn);
    load_figures after = load_look();
    assert_int_equal(after.files, before.files);
    assert_int_equal(after.threads, before.threads);
    assert_int_equal(after.of_files, before.of_files);
    assert_int_equal(after.of_place, 0);
#ifndef __SANITIZE_ADDRESS__ /* whose heap keeps what was freed */
    assert_true(after.mappings <= before.mappings + LOAD_SLACK);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(loaded_and_closed_again_and_again)};
    return cmocka_run_group_tests(tests, load_set_up, load_tear_down);
}
