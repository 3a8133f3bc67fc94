#include "sim_run.h"

#include "sim_copy.h"
#include "sim_fs.h"
#include "sim_store.h"
#include "sim_vfs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIM_FIRST_CHANGES 12 /* changes of the first transaction: each is a row or several */
#define SIM_LOAD_CHANGES 24
#define SIM_SPILL_BYTES 250 /* of a transaction in memory, in every other table: a few rows */

void sim_setup(void) {
    sim_memory_use();
    if (sqlite3_initialize() != SQLITE_OK) abort();
    sim_vfs_register();
    sim_store_use();
    shx_index_use_threads(false);
}

void sim_teardown(void) {
    sim_fs_end();
    sim_vfs_unregister();
}

/* ---- life ---- */

static void sim_run_push(sim_run *run, uint64_t digest) {
    if (run->started + 1 >= run->capacity) {
        run->capacity = 2 * run->capacity + 64;
        run->digests = sim_resize(run->digests, (uint64_t)run->capacity * sizeof *run->digests);
    }
    run->digests[++run->started] = digest;
}

static void sim_run_open(sim_run *run, sim_table *table) {
    int rc = sim_table_open(&run->shape, table);
    if (rc != SQLITE_OK) sim_fail("the database cannot be opened: %d", rc);
}

void sim_run_start(const sim_shape *shape, const sim_image *disk, uint64_t life, sim_run *ret_run) {
    *ret_run = (sim_run){.shape = *shape, .started = -1};
    sim_fs_load(disk);
    sim_vfs_seed(shape->seed << 32 ^ life);
    shx_index_spill_at(shape->seed % 2 ? SIM_SPILL_BYTES : 0);
    sim_run_open(ret_run, &ret_run->one);
    ret_run->one.shape = &ret_run->shape;
    uint64_t digest = 0;
    (void)sim_table_digest(&ret_run->one, &digest); /* there are no tables in a new database */
    sim_run_push(ret_run, digest);
}

void sim_run_close(sim_run *run) {
    if (run->two.db) sim_table_close(&run->two);
    if (run->one.db) sim_table_close(&run->one);
}

void sim_run_free(sim_run *run) {
    free(run->digests);
    run->digests = NULL;
}

void sim_run_recover(sim_run *run) {
    sim_table *tables[] = {&run->one, &run->two};
    for (int i = 0; i < 2; i++) {
        if (tables[i]->db && !sqlite3_get_autocommit(tables[i]->db)) (void)sim_table_run(tables[i], "ROLLBACK");
    }
}

int64_t sim_run_find(const sim_run *run, uint64_t digest, int64_t low, int64_t high) {
    for (int64_t i = high; i >= low && i >= 0; i--) {
        if (run->digests[i] == digest) return i;
    }
    return -1;
}

/* ---- steps ---- */

#define SIM_TRY(call)                                                                                                  \
    do {                                                                                                               \
        int sim_code = (call);                                                                                         \
        if (sim_code != SQLITE_OK) return sim_code;                                                                    \
    } while (0)

static int sim_run_changes(sim_table *table, fixture_random *random, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) SIM_TRY(sim_table_change(table, random));
    return SQLITE_OK;
}

static int sim_run_savepoints(sim_table *table, fixture_random *random) {
    SIM_TRY(sim_table_run(table, "SAVEPOINT a"));
    SIM_TRY(sim_run_changes(table, random, fixture_below(random, 4)));
    SIM_TRY(sim_table_run(table, "SAVEPOINT b"));
    SIM_TRY(sim_run_changes(table, random, fixture_below(random, 4)));
    if (fixture_below(random, 2)) SIM_TRY(sim_table_run(table, "ROLLBACK TO b"));
    if (fixture_below(random, 2)) SIM_TRY(sim_table_run(table, "RELEASE b"));
    if (fixture_below(random, 2)) SIM_TRY(sim_run_changes(table, random, 1));
    if (fixture_below(random, 3) == 0) SIM_TRY(sim_table_run(table, "ROLLBACK TO a"));
    return sim_table_run(table, "RELEASE a");
}

/* COMMIT; where a reader stands in the way it says BUSY, and works when the reader (`other`, may be NULL) is done. */
static int sim_run_commit(sim_run *run, sim_table *table, sim_table *other) {
    uint64_t digest = 0;
    sim_pause(true);
    int rc = sim_table_digest(table, &digest);
    sim_pause(false);
    SIM_TRY(rc);
    sim_run_push(run, digest);
    sim_fs_note_commits(run->started, run->acknowledged);
    rc = sim_table_run(table, "COMMIT");
    if (rc == SQLITE_BUSY && other) {
        SIM_TRY(sim_table_run(other, "COMMIT"));
        rc = sim_table_run(table, "COMMIT");
    }
    if (rc == SQLITE_OK) run->acknowledged = run->started;
    sim_fs_note_commits(run->started, run->acknowledged);
    return rc;
}

static bool sim_run_made(sim_table *table) {
    sim_pause(true);
    bool made = sim_table_exists(table);
    sim_pause(false);
    return made;
}

static int sim_run_write(sim_run *run, sim_table *table, sim_table *other, fixture_random *random, uint64_t changes) {
    SIM_TRY(sim_table_run(table, "BEGIN IMMEDIATE"));
    if (run->shape.fresh && !sim_run_made(table)) SIM_TRY(sim_table_create(table));
    SIM_TRY(sim_run_changes(table, random, changes));
    if (fixture_below(random, 4) == 0) SIM_TRY(sim_run_savepoints(table, random));
    if (fixture_below(random, 10) == 0) return sim_table_run(table, "ROLLBACK");
    return sim_run_commit(run, table, other);
}

int sim_run_transaction(sim_run *run, fixture_random *random, uint64_t changes) {
    return sim_run_write(run, &run->one, NULL, random, changes);
}

/* The second connection stands in a read transaction, whose rows and answers stay what they were, while the first one
** commits. */
static int sim_run_reader(sim_run *run, fixture_random *random) {
    uint64_t before = 0, after = 0;
    if (!run->two.db) SIM_TRY(sim_table_open(&run->shape, &run->two));
    SIM_TRY(sim_table_run(&run->two, "BEGIN; SELECT 1 FROM twin LIMIT 1"));
    sim_pause(true);
    before = sim_table_judge(&run->two, random, 1);
    sim_pause(false);
    bool snapshot = run->shape.mode >= SIM_WAL_FULL;
    SIM_TRY(sim_run_write(run, &run->one, &run->two, random, fixture_below(random, 5) + 1));
    if (fixture_below(random, 3) == 0) shx_index_step();
    if (!snapshot) {
        return sqlite3_get_autocommit(run->two.db) ? SQLITE_OK : sim_table_run(&run->two, "COMMIT");
    }
    sim_pause(true);
    after = sim_table_judge(&run->two, random, 2);
    sim_pause(false);
    if (before != after) sim_fail("a read transaction saw a commit");
    return sim_table_run(&run->two, "COMMIT");
}

static int sim_run_reopen(sim_run *run, fixture_random *random) {
    if (run->two.db && fixture_below(random, 2)) sim_table_close(&run->two);
    if (run->one.db) sim_table_close(&run->one);
    return sim_table_open(&run->shape, &run->one);
}

static int sim_run_command(sim_run *run, fixture_random *random) {
    static const char *const commands[] = {
        "INSERT INTO t(t) VALUES('flush')",     "INSERT INTO t(t) VALUES('flush')",
        "INSERT INTO t(t) VALUES('flush')",     "INSERT INTO t(t) VALUES('optimize')",
        "INSERT INTO t(t) VALUES('reconcile')", "INSERT INTO t(t) VALUES('rebuild')",
        "INSERT INTO t(t) VALUES('purge')",     "INSERT INTO t(t) VALUES('gc')",
        "SELECT shardex_catch_up('t')",
    };
    return sim_table_run(&run->one, commands[fixture_below(random, sizeof commands / sizeof *commands)]);
}

static int sim_run_schema(sim_run *run, fixture_random *random) {
    sim_table *table = &run->one;
    bool anew = fixture_below(random, 2);
    SIM_TRY(sim_table_run(table, "BEGIN IMMEDIATE"));
    if (fixture_below(random, 2)) SIM_TRY(sim_run_changes(table, random, 2));
    SIM_TRY(sim_table_run(table, anew ? "DROP TABLE t; DROP TABLE twin" : "ALTER TABLE t RENAME TO u"));
    SIM_TRY(anew ? sim_table_create(table) : sim_table_run(table, "ALTER TABLE u RENAME TO t"));
    SIM_TRY(sim_run_changes(table, random, anew ? SIM_FIRST_CHANGES : 2));
    if (fixture_below(random, 4) == 0) return sim_table_run(table, "ROLLBACK");
    return sim_run_commit(run, table, NULL);
}

static fixture_random sim_step_random(const sim_shape *shape, int number) {
    return (fixture_random){(shape->seed * SIM_MODES + shape->mode) * 100003 + (uint64_t)number};
}

sim_step_kind sim_step_kind_of(const sim_shape *shape, int number) {
    static const sim_step_kind kinds[] = {
        SIM_STEP_WRITE,      SIM_STEP_WRITE,    SIM_STEP_WRITE,    SIM_STEP_WRITE,    SIM_STEP_WRITE,
        SIM_STEP_WRITE,      SIM_STEP_LOAD,     SIM_STEP_LOAD,     SIM_STEP_COMMAND,  SIM_STEP_COMMAND,
        SIM_STEP_COMMAND,    SIM_STEP_MAINTAIN, SIM_STEP_MAINTAIN, SIM_STEP_MAINTAIN, SIM_STEP_REOPEN,
        SIM_STEP_CHECKPOINT, SIM_STEP_READER,   SIM_STEP_READER,   SIM_STEP_OTHER,    SIM_STEP_VACUUM,
        SIM_STEP_SCHEMA,     SIM_STEP_COPY,
    };
    fixture_random random = sim_step_random(shape, number);
    return kinds[fixture_below(&random, sizeof kinds / sizeof *kinds)];
}

int sim_run_step(sim_run *run, int number) {
    fixture_random random = sim_step_random(&run->shape, number);
    (void)fixture_next(&random); /* what chose the kind */
    sim_table *one = &run->one;
    sim_step_kind kind = sim_step_kind_of(&run->shape, number);
    if (run->shape.fresh && !sim_run_made(one)) kind = SIM_STEP_WRITE; /* makes the tables first */
    switch (kind) {
    case SIM_STEP_WRITE: return sim_run_write(run, one, NULL, &random, fixture_below(&random, 5) + 1);
    case SIM_STEP_LOAD: return sim_run_write(run, one, NULL, &random, SIM_LOAD_CHANGES);
    case SIM_STEP_COMMAND: return sim_run_command(run, &random);
    case SIM_STEP_MAINTAIN: shx_index_step(); return SQLITE_OK;
    case SIM_STEP_CHECKPOINT:
        if (fixture_below(&random, 2)) return sim_table_run(one, "PRAGMA wal_checkpoint");
        return sim_table_run(one, "PRAGMA wal_checkpoint(truncate)");
    case SIM_STEP_VACUUM: return sim_table_run(one, "VACUUM");
    case SIM_STEP_REOPEN: return sim_run_reopen(run, &random);
    case SIM_STEP_READER: return sim_run_reader(run, &random);
    case SIM_STEP_OTHER:
        if (!run->two.db) SIM_TRY(sim_table_open(&run->shape, &run->two));
        return sim_run_write(run, &run->two, NULL, &random, fixture_below(&random, 5) + 1);
    case SIM_STEP_SCHEMA: return sim_run_schema(run, &random);
    case SIM_STEP_COPY: return sim_copy_step(one, &random);
    case SIM_STEP_KINDS: break;
    }
    return SQLITE_ERROR;
}

void sim_run_make(const sim_shape *shape, sim_image *ret_disk) {
    sim_image empty = {0};
    sim_run run;
    sim_op directory = {.kind = SIM_MAKE_DIRECTORY, .inode = 0, .name = sim_name(SIM_DIRECTORY)};
    sim_image_apply(&empty, &directory);
    sim_run_start(shape, &empty, 1, &run);
    sim_image_free(&empty);
    fixture_random random = {shape->seed};
    int rc = sim_table_format(&run.one);
    if (rc == SQLITE_OK && !shape->fresh) rc = sim_table_create(&run.one);
    if (rc == SQLITE_OK && !shape->fresh) rc = sim_run_write(&run, &run.one, NULL, &random, SIM_FIRST_CHANGES);
    if (rc == SQLITE_OK && !shape->fresh) rc = sim_table_run(&run.one, "INSERT INTO t(t) VALUES('flush')");
    if (rc != SQLITE_OK) sim_fail("making a database: %d", rc);
    sim_run_close(&run);
    sim_run_free(&run);
    sim_image_copy(sim_fs_now(), ret_disk);
    sim_image_prune(ret_disk);
}

/* ---- which workloads ---- */

const char *sim_variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

uint64_t sim_number(const char *name, uint64_t otherwise) {
    const char *value = sim_variable(name);
    return value ? strtoull(value, NULL, 10) : otherwise;
}

static bool sim_mode_wanted(sim_mode mode) {
    const char *wanted = sim_variable("SHARDEX_SIM_MODE");
    return !wanted || strcmp(wanted, sim_mode_names[mode]) == 0;
}

bool sim_each_workload(uint64_t seeds, sim_work work, void *context) {
    bool one = sim_variable("SHARDEX_SIM_SEED") != NULL;
    uint64_t first = sim_number(one ? "SHARDEX_SIM_SEED" : "SHARDEX_SIM_FIRST", 1), at = 0;
    uint64_t workloads = SIM_MODES * (one ? 1 : sim_number("SHARDEX_SIM_COUNT", seeds));
    uint64_t seconds = one ? 0 : sim_number("SHARDEX_SIM_SECONDS", 0);
    time_t end = time(NULL) + (time_t)seconds;
    for (; seconds ? time(NULL) < end : at < workloads; at++) {
        sim_mode mode = (sim_mode)(at % SIM_MODES);
        if (sim_mode_wanted(mode)) work(context, first + at / SIM_MODES, mode);
    }
    uint64_t last = first + (at > 0 ? (at - 1) / SIM_MODES : 0);
    print_message("             seeds %llu to %llu\n", (unsigned long long)first, (unsigned long long)last);
    return !one && at >= workloads;
}

bool sim_is_usual(void) {
    static const char *const variables[] = {"SHARDEX_SIM_SEED",  "SHARDEX_SIM_MODE",  "SHARDEX_SIM_COUNT",
                                            "SHARDEX_SIM_STATE", "SHARDEX_SIM_EVERY", "SHARDEX_SIM_FIRST"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (sim_variable(variables[i])) return false;
    }
    return true;
}
