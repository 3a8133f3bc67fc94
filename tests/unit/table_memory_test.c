/* Memory that runs out: the n-th allocation of a story fails, for n = 1, 2, … until the story runs through. Whatever
** fails, the table stays equal to its ordinary twin, and works again once there is memory.
*/
#include "host.h"

#include <stdatomic.h>

/* Every allocation up to this one fails, then every second, every third, … */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_EVERY_UNTIL 200
#else
#define MEMORY_EVERY_UNTIL 800
#endif

static sqlite3_mem_methods memory_real;
static atomic_long memory_left = -1; /* allocations until one fails; negative: none fails */

static int memory_fails(void) { return atomic_load(&memory_left) >= 0 && atomic_fetch_sub(&memory_left, 1) == 0; }
static void *memory_alloc(int size) { return memory_fails() ? NULL : memory_real.xMalloc(size); }
static void *memory_resize(void *block, int size) { return memory_fails() ? NULL : memory_real.xRealloc(block, size); }

static int memory_set_up(void **context) {
    (void)context;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory_real), SQLITE_OK);
    sqlite3_mem_methods failing = memory_real;
    failing.xMalloc = memory_alloc;
    failing.xRealloc = memory_resize;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
}

/* One step: on the table, and on the twin if that worked. NULL for the twin: nothing to do there. */
typedef struct memory_step {
    const char *table, *twin;
} memory_step;

static const memory_step STORY[] = {
    {"BEGIN", NULL},
    {"INSERT INTO t(rowid, v, n, x) VALUES(10, '[1,2]', 1, 'a'), (11, '[2,2]', 2, 'b')",
     "INSERT INTO twin VALUES(10, 1, 'a'), (11, 2, 'b')"},
    {"INSERT INTO t(rowid, v, n, x) VALUES(12, '[3,2]', 3, 'c')", "INSERT INTO twin VALUES(12, 3, 'c')"},
    {"SAVEPOINT s", NULL},
    {"UPDATE t SET n = n + 1, x = 'new' WHERE rowid < 12", "UPDATE twin SET n = n + 1, x = 'new' WHERE id < 12"},
    {"UPDATE t SET rowid = 99 WHERE rowid = 2", "UPDATE twin SET id = 99 WHERE id = 2"},
    {"SELECT count(*), max(distance), max(x) FROM t WHERE v MATCH '[0,0]' AND k = 3 AND n IN (2, 3)", NULL},
    {"SELECT count(*) FROM t WHERE v MATCH '[0,0]' AND (n = 2 OR x = 'c')", NULL},
    {"DELETE FROM t WHERE rowid IN (1, 10)", "DELETE FROM twin WHERE id IN (1, 10)"},
    {"RELEASE s", NULL},
    {"INSERT OR REPLACE INTO t(rowid, v, n) VALUES(3, '[3,2]', 3)", "INSERT OR REPLACE INTO twin VALUES(3, 3, NULL)"},
    {"SELECT shardex_info('t')", NULL},
    {"COMMIT", NULL},
    {"INSERT INTO t(t) VALUES('flush')", NULL},
    {"SELECT count(*), max(distance), max(x) FROM t WHERE v MATCH '[0,0]' AND k = 3 AND n IN (2, 3)", NULL},
    {"INSERT INTO t(t) VALUES('rebuild')", NULL},
    {"ALTER TABLE t RENAME TO u", NULL},
    {"ALTER TABLE u RENAME TO t", NULL},
};

static void memory_check(sqlite3 *db, long round) {
    char *mine = host_rows(db, "SELECT rowid, n, x FROM t ORDER BY rowid");
    char *truth = host_rows(db, "SELECT id, n, x FROM twin ORDER BY id");
    if (strcmp(mine, truth) != 0)
        fail_msg("allocation %ld: the table has\n    %s\n    the twin\n    %s", round, mine, truth);
    sqlite3_free(truth);
    truth = host_rows(db, "SELECT count(*) FROM twin");
    host_expect(db, "SELECT count(*) FROM t WHERE v MATCH '[0,0]' AND k = 100 AND exact = 1", truth);
    sqlite3_free(mine);
    sqlite3_free(truth);
    if (sqlite3_get_autocommit(db)) host_run(db, "INSERT INTO t(t) VALUES('integrity-check')");
}

/* Runs the story with the failure armed; true when it ran through without one. A step that fails is left out; a
** failure may end the whole transaction, and with it the twin's. */
static bool memory_run_story(sqlite3 *db, long round) {
    bool failed = false;
    for (size_t i = 0; i < sizeof STORY / sizeof *STORY; i++) {
        if (failed && strstr(STORY[i].table, "INTO t(t)")) continue; /* costly, and nothing new */
        bool before = sqlite3_get_autocommit(db);
        atomic_store(&memory_left, failed ? -1 : round);
        int rc = sqlite3_exec(db, STORY[i].table, NULL, NULL, NULL);
        bool armed = !failed && atomic_load(&memory_left) >= 0;
        round = armed ? atomic_load(&memory_left) : -1;
        failed |= !armed;
        atomic_store(&memory_left, -1);
        bool ended = !before && sqlite3_get_autocommit(db) && strcmp(STORY[i].table, "COMMIT") != 0;
        if (ended) return !failed; /* SQLite rolled back */
        if (rc == SQLITE_OK && STORY[i].twin) host_run(db, STORY[i].twin);
        if (rc != SQLITE_OK && strcmp(STORY[i].table, "COMMIT") == 0) host_try(db, "COMMIT");
        if (rc != SQLITE_OK && strstr(STORY[i].table, "RENAME TO u")) break;
    }
    return !failed;
}

static void every_allocation_may_fail(void **context) {
    (void)context;
    bool through = false;
    for (long round = 0; !through; round += 1 + round / MEMORY_EVERY_UNTIL) {
        sqlite3 *db = host_open(":memory:");
        host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, +x TEXT);"
                     "CREATE TABLE twin(id INTEGER PRIMARY KEY, n INTEGER, x TEXT);"
                     "INSERT INTO t(rowid, v, n, x) VALUES(1,'[0,1]',1,'x'),(2,'[0,2]',2,'y'),(3,'[0,3]',3,'z');"
                     "INSERT INTO twin VALUES(1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')");
        through = memory_run_story(db, round);
        char *renamed = host_rows(db, "SELECT 1 FROM u");
        if (renamed[0] != '!') host_run(db, "ALTER TABLE u RENAME TO t");
        sqlite3_free(renamed);
        memory_check(db, round);
        if (!sqlite3_get_autocommit(db)) host_run(db, "COMMIT");
        memory_check(db, round);
        host_close(db);
    }
}

static void creating_and_connecting_may_fail(void **context) {
    (void)context;
    bool through = false;
    for (long round = 0; !through; round++) {
        sqlite3 *db = host_open(":memory:");
        atomic_store(&memory_left, round);
        int rc =
            sqlite3_exec(db, "CREATE VIRTUAL TABLE t USING shardex(id INTEGER PRIMARY KEY, v float[2], n, +x TEXT)",
                         NULL, NULL, NULL);
        through = atomic_exchange(&memory_left, -1) >= 0;
        if (rc != SQLITE_OK) host_expect(db, "SELECT count(*) FROM sqlite_schema", "0");
        if (rc == SQLITE_OK) host_run(db, "INSERT INTO t VALUES(1, '[1,1]', 2, 'x'); DROP TABLE t");
        host_close(db);
    }
}

/* A table that another connection made is known to gc by its state row alone. */
static void living_tables_are_not_collected(void **context) {
    (void)context;
    char *folder = host_make_folder(), *path = sqlite3_mprintf("%s/gc.db", folder);
    sqlite3 *db = host_open(path);
    host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[2]); CREATE VIRTUAL TABLE u USING shardex(v float[2]);"
                 "INSERT INTO t(v) VALUES('[1,1]'); INSERT INTO u(v) VALUES('[1,1]')");
    char *uuid = host_rows(db, "SELECT lower(hex(uuid)) FROM u_state");
    char *directory = sqlite3_mprintf("%s-shardex/%s", path, uuid);
    host_close(db);
    bool through = false;
    for (long round = 0; !through; round++) {
        db = host_open(path);
        host_expect(db, "SELECT count(*) FROM t WHERE v MATCH '[0,0]' AND k = 1", "1");
        atomic_store(&memory_left, round);
        (void)sqlite3_exec(db, "INSERT INTO t(t) VALUES('gc')", NULL, NULL, NULL);
        through = atomic_exchange(&memory_left, -1) >= 0;
        host_close(db);
        if (access(directory, F_OK) != 0) fail_msg("allocation %ld: the index of a living table is gone", round);
    }
    sqlite3_free(directory);
    sqlite3_free(uuid);
    sqlite3_free(path);
    host_remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(living_tables_are_not_collected),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(creating_and_connecting_may_fail),
    };
    return cmocka_run_group_tests(tests, memory_set_up, NULL);
}
