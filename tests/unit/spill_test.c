/* Transactions too large for memory: with a limit of a few rows everything here spills many times, and must come out as
** an ordinary table does; through rollbacks, kills, failing directories and commits that are refused.
**
** SHARDEX_SPILL_ROUNDS sets the number of transactions of the random test.
*/
#include "twin.h"

#include "index.h"
#include "os.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SPILL_DIM 16
#define SPILL_LIMIT 1500 /* bytes: some 10 rows */
#define SPILL_ROUNDS 25

static fixture_directory spill_place;
static char spill_path[400];

static int spill_set_up(void **state) {
    (void)state;
    spill_place = fixture_directory_make();
    snprintf(spill_path, sizeof spill_path, "%s/spill.db", spill_place.root);
    shx_index_spill_at(SPILL_LIMIT);
    return 0;
}

static int spill_tear_down(void **state) {
    (void)state;
    shx_index_spill_at(0);
    fixture_directory_remove(&spill_place);
    return 0;
}

static twin_pair spill_create(const char *journal) {
    twin_remove_database(spill_path);
    twin_pair twin = twin_open(spill_path, SHX_L2, SPILL_DIM);
    twin_run(&twin, "PRAGMA journal_mode=%s; PRAGMA synchronous=off", journal);
    twin_create(&twin, ", flush_rows=300");
    return twin;
}

static int spill_count_files(void) { return twin_find_files(spill_path, "wal").count; }

static void spill_changes(twin_pair *twin, fixture_random *random, int count) {
    for (int i = 0; i < count; i++) twin_change(twin, random, 900);
}

/* ---- savepoints ---- */

/* A transaction of changes and savepoints, three deep, some of them rolled back to, some several times. */
static void spill_random_savepoints(twin_pair *twin, fixture_random *random) {
    int depth = 0;
    for (int step = 0; step < 8; step++) {
        spill_changes(twin, random, (int)fixture_below(random, 60));
        if (depth < 3 && fixture_below(random, 2) == 0) {
            twin_run(twin, "SAVEPOINT s%d", depth++);
        } else if (depth > 0 && fixture_below(random, 3) == 0) {
            twin_run(twin, "RELEASE s%d", --depth);
        } else if (depth > 0) {
            int to = (int)fixture_below(random, (uint64_t)depth);
            twin_run(twin, "ROLLBACK TO s%d", to);
            depth = to + 1;
        }
        if (fixture_below(random, 6) == 0) twin_require_right(twin, random);
    }
}

static void random_savepoints(void **state) {
    (void)state;
    const char *given = getenv("SHARDEX_SPILL_ROUNDS");
    uint64_t rounds = given ? strtoull(given, NULL, 10) : SPILL_ROUNDS;
    fixture_random random = fixture_seed("spill savepoints", 41);
    twin_pair twin = spill_create("wal");
    for (uint64_t round = 0; round < rounds; round++) {
        int before = spill_count_files();
        twin_run(&twin, "BEGIN IMMEDIATE");
        spill_random_savepoints(&twin, &random);
        bool commits = fixture_below(&random, 3) > 0;
        twin_run(&twin, commits ? "COMMIT" : "ROLLBACK");
        if (!commits) twin_require(spill_count_files() <= before);
        twin_require(twin_state_is(&twin, "current"));
        twin_require_right(&twin, &random);
        if (fixture_below(&random, 4) > 0) continue;
        twin_close(&twin);
        twin = twin_open(spill_path, SHX_L2, SPILL_DIM);
        twin_require(twin_state_is(&twin, "current"));
    }
    twin_require_sound(&twin);
    twin_close(&twin);
}

/* ---- whole transactions ---- */

/* The file is there while the transaction is under way; a rollback takes it away, a commit leaves the record in it. */
static void a_file_of_its_own(void **state) {
    (void)state;
    fixture_random random = fixture_seed("spill files", 42);
    twin_pair twin = spill_create("wal");
    twin_fill(&twin, &random, 1, 5);
    int before = spill_count_files();
    for (int commits = 0; commits < 2; commits++) {
        twin_run(&twin, "BEGIN IMMEDIATE");
        spill_changes(&twin, &random, 200);
        assert_int_equal(spill_count_files(), before + 1);
        twin_require_right(&twin, &random);
        twin_run(&twin, commits ? "COMMIT" : "ROLLBACK");
        twin_require(twin_state_is(&twin, "current"));
        twin_require_right(&twin, &random);
        assert_int_equal(spill_count_files(), before + commits);
    }
    twin_run(&twin, "BEGIN IMMEDIATE; SAVEPOINT s");
    spill_changes(&twin, &random, 200);
    twin_run(&twin, "ROLLBACK TO s");
    assert_int_equal(spill_count_files(), before + 1);
    spill_changes(&twin, &random, 200);
    twin_run(&twin, "DELETE FROM t; DELETE FROM twin; COMMIT");
    twin_require_right(&twin, &random);
    twin_close(&twin);
}

/* COMMIT is refused while somebody reads, goes on with more operations, and then works, or is rolled back. */
static void a_refused_commit(void **state) {
    (void)state;
    fixture_random random = fixture_seed("spill busy", 43);
    for (int way = 0; way < 6; way++) {
        twin_pair twin = spill_create("delete"), reader = twin_open(spill_path, SHX_L2, SPILL_DIM);
        twin_fill(&twin, &random, 1, 10);
        twin_run(&twin, "PRAGMA busy_timeout=0; BEGIN IMMEDIATE; SAVEPOINT s");
        spill_changes(&twin, &random, 150);
        twin_run(&reader, "BEGIN; SELECT count(*) FROM t");
        twin_require(twin_try(&twin, "COMMIT") == SQLITE_BUSY);
        twin_require(twin_try(&twin, "COMMIT") == SQLITE_BUSY);
        twin_require_right(&twin, &random);
        twin_run(&reader, "COMMIT");
        if (way == 1) spill_changes(&twin, &random, 5);
        if (way >= 2 && way < 4) spill_changes(&twin, &random, 150);
        if (way == 3) twin_run(&twin, "ROLLBACK TO s");
        if (way == 4) twin_run(&twin, "ROLLBACK TO s");
        if (way >= 3) spill_changes(&twin, &random, 80);
        twin_run(&twin, way == 5 ? "ROLLBACK" : "COMMIT");
        twin_require(twin_state_is(&twin, "current"));
        twin_require_right(&twin, &random);
        twin_close(&twin);
        twin_require_right(&reader, &random);
        twin_require(twin_state_is(&reader, "current"));
        twin_require_sound(&reader);
        twin_close(&reader);
    }
}

/* ---- kills ---- */

static void spill_write_forever(int ready) {
    fixture_random random = fixture_seed("spill child", 44);
    twin_pair twin = twin_open(spill_path, SHX_L2, SPILL_DIM);
    twin_run(&twin, "PRAGMA synchronous=off");
    for (;;) {
        twin_run(&twin, "BEGIN IMMEDIATE");
        spill_random_savepoints(&twin, &random);
        spill_changes(&twin, &random, 100);
        if (write(ready, "x", 1) != 1) _exit(1);
        spill_changes(&twin, &random, 100);
        twin_run(&twin, fixture_below(&random, 3) ? "COMMIT" : "ROLLBACK");
    }
}

static void killed_on_the_way(void **state) {
    (void)state;
    fixture_random random = fixture_seed("spill kills", 45);
    twin_pair made = spill_create("wal");
    twin_close(&made);
    for (int round = 0; round < 6; round++) {
        int pipes[2];
        char byte;
        assert_int_equal(pipe(pipes), 0);
        pid_t child = twin_fork();
        if (child == 0) spill_write_forever(pipes[1]);
        for (int i = 0; i <= round; i++) assert_int_equal(read(pipes[0], &byte, 1), 1);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(pipes[0]);
        close(pipes[1]);
        twin_pair twin = twin_open(spill_path, SHX_L2, SPILL_DIM);
        twin_require_right(&twin, &random);
        twin_transaction(&twin, &random, 20, 900);
        twin_require(twin_state_is(&twin, "current"));
        twin_require_right(&twin, &random);
        twin_require_sound(&twin);
        twin_close(&twin);
    }
}

/* ---- failing directories ---- */

static shx_store *spill_inner, *spill_faulty;

static shx_status spill_open_faulty(const char *path, shx_store **ret_store) {
    SHX_TRY(shx_store_open_posix(path, &spill_inner));
    shx_status status = faulty_store_wrap(spill_inner, &spill_faulty);
    if (status == SHX_OK) *ret_store = spill_faulty;
    return status;
}

/* A large transaction with a rollback to its middle. The nth call fails, or all from there on; nothing shows. */
static uint64_t spill_with_fault(fixture_random *random, const faulty_plan *plan) {
    twin_pair twin = spill_create("wal");
    twin_fill(&twin, random, 1, 10);
    faulty_store_plan(spill_faulty, plan);
    twin_run(&twin, "BEGIN IMMEDIATE");
    spill_changes(&twin, random, 120);
    twin_run(&twin, "SAVEPOINT s");
    spill_changes(&twin, random, 60);
    twin_require_right(&twin, random);
    twin_run(&twin, "ROLLBACK TO s");
    spill_changes(&twin, random, 60);
    twin_run(&twin, "COMMIT");
    uint64_t failures = faulty_store_failures(spill_faulty);
    twin_require_right(&twin, random);
    faulty_store_plan(spill_faulty, &(faulty_plan){0});
    twin_transaction(&twin, random, 10, 900);
    twin_require_right(&twin, random);
    twin_close(&twin);
    shx_store_close(spill_inner);
    return failures;
}

static void failing_directories(void **state) {
    (void)state;
    fixture_random random = fixture_seed("spill faults", 46);
    uint64_t failures = 1, nth = 1;
    shx_index_use_threads(false);
    shx_store_use(spill_open_faulty);
    for (; failures > 0; nth += 1 + nth / 8) {
        const faulty_plan plans[] = {{.nth = nth, .status = SHX_FULL, .torn = true},
                                     {.kind = FAULTY_MUTATING, .nth = nth, .status = SHX_IO, .forever = true}};
        failures = spill_with_fault(&random, &plans[0]);
        if (failures) spill_with_fault(&random, &plans[1]);
    }
    assert_true(nth > 20);
    shx_store_use(shx_store_open_posix);
    shx_index_use_threads(true);
}

/* Without room the transaction is answered from the database, whether it is committed or rolled back in part. */
static void no_room_at_all(void **state) {
    (void)state;
    fixture_random random = fixture_seed("spill no room", 47);
    shx_store_use(spill_open_faulty);
    for (int way = 0; way < 3; way++) {
        twin_pair twin = spill_create("wal");
        twin_fill(&twin, &random, 1, 200);
        twin_run(&twin, "BEGIN IMMEDIATE");
        spill_changes(&twin, &random, 10);
        twin_run(&twin, "SAVEPOINT s");
        faulty_plan plan = {.kind = FAULTY_MUTATING, .nth = 1, .status = SHX_FULL, .forever = true};
        faulty_store_plan(spill_faulty, &plan);
        spill_changes(&twin, &random, 100);
        twin_require(twin_state_is(&twin, "behind"));
        twin_require_right(&twin, &random);
        if (way == 1) twin_run(&twin, "ROLLBACK TO s");
        twin_require_right(&twin, &random);
        twin_run(&twin, way == 2 ? "ROLLBACK" : "COMMIT");
        twin_require_right(&twin, &random);
        if (way == 2) twin_require(twin_state_is(&twin, "current"));
        faulty_store_plan(spill_faulty, &(faulty_plan){0});
        for (int i = 0; i < 3; i++) twin_transaction(&twin, &random, 1, 900);
        twin_require_right(&twin, &random);
        twin_require(twin_state_is(&twin, "current"));
        twin_close(&twin);
        shx_store_close(spill_inner);
    }
    shx_store_use(shx_store_open_posix);
}

/* ---- the tail ---- */

/* Without a background the tail grows; a writer flushes it when it is four times as long as it should be, and the last
** close when it is twice as long. */
static void a_long_tail_is_flushed_first(void **state) {
    (void)state;
    fixture_random random = fixture_seed("spill tail", 48);
    shx_index_use_threads(false);
    twin_pair twin = spill_create("wal");
    twin_fill(&twin, &random, 1, 500);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    assert_int_equal(twin_figure(&twin, "delta_operations"), 0);
    twin_fill(&twin, &random, 1000, 1199);
    twin_fill(&twin, &random, 3000, 1);
    assert_int_equal(twin_figure(&twin, "delta_operations"), 1200);
    twin_fill(&twin, &random, 3001, 1);
    assert_int_equal(twin_figure(&twin, "delta_operations"), 1);
    twin_require_right(&twin, &random);
    for (int rows = 598; rows <= 599; rows++) {
        twin_fill(&twin, &random, 4000 + 1000 * (rows - 598), rows);
        int64_t before = twin_figure(&twin, "delta_operations");
        twin_close(&twin);
        twin = twin_open(spill_path, SHX_L2, SPILL_DIM);
        assert_int_equal(twin_figure(&twin, "delta_operations"), before < 600 ? before : 0);
    }
    twin_require_right(&twin, &random);
    twin_close(&twin);
    shx_index_use_threads(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_savepoints), cmocka_unit_test(a_file_of_its_own),   cmocka_unit_test(a_refused_commit),
        cmocka_unit_test(killed_on_the_way), cmocka_unit_test(failing_directories), cmocka_unit_test(no_room_at_all),
        cmocka_unit_test(a_long_tail_is_flushed_first),
    };
    return cmocka_run_group_tests(tests, spill_set_up, spill_tear_down);
}
