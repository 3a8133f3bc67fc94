#include "sim_fault.h"

#include "sim_copy.h"
#include "sim_fs.h"
#include "sim_power.h"
#include "sim_vfs.h"

#include <stdlib.h>
#include <string.h>

/* The kinds of faults; those of memory come in the first two. */
static const struct {
    const char *name;
    bool forever, of[SIM_ORIGINS], short_writes;
    sim_result error;
} fault_kinds[] = {
    {"once", false, {true, true}, false, SIM_EIO},          {"forever", true, {true, true}, false, SIM_EIO},
    {"full", false, {true, true}, false, SIM_ENOSPC},       {"full-forever", true, {true, true}, true, SIM_ENOSPC},
    {"short", false, {true, true}, true, SIM_EIO},          {"files", false, {true, true}, false, SIM_EMFILE},
    {"index-forever", true, {false, true}, false, SIM_EIO}, {"index-full", true, {false, true}, true, SIM_ENOSPC},
};
#define FAULT_KINDS ((int)(sizeof fault_kinds / sizeof *fault_kinds))
#define FAULT_MEMORY_KINDS 2
#define FAULT_ENDS 4 /* after one of so many faults the process ends */

typedef struct fault_tally {
    uint64_t workloads, steps, calls, faults, by_kind[8], failed, ended;
} fault_tally;

typedef struct fault_walk {
    const sim_fault_plan *plan;
    sim_shape shape;
    fault_tally tally;
    sim_image disk; /* before the step */
    int step;
    sim_step_kind kind;
    int64_t blocks; /* of memory that stay when everything is closed */
} fault_walk;

/* ---- one fault ---- */

static void fault_start(const fault_walk *walk, uint64_t nth, int kind) {
    if (walk->plan->faulty == SIM_FAULTY_MEMORY) {
        sim_memory_plan(nth, fault_kinds[kind].forever);
        return;
    }
    sim_fault fault = {.nth = nth,
                       .forever = fault_kinds[kind].forever,
                       .of = {fault_kinds[kind].of[SIM_SQLITE], fault_kinds[kind].of[SIM_STORE]},
                       .short_writes = fault_kinds[kind].short_writes,
                       .error = fault_kinds[kind].error};
    sim_fs_plan(&fault);
}

/* Is this a code that such a fault may end in? */
static bool fault_sensible(const fault_walk *walk, int rc) {
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_NOMEM: return true;
    case SQLITE_IOERR: return walk->plan->faulty == SIM_FAULTY_CALLS || rc == SQLITE_IOERR_NOMEM || rc == SQLITE_IOERR;
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY: return walk->plan->faulty == SIM_FAULTY_CALLS;
    default: return false;
    }
}

static void fault_need(const sim_run *run, int rc, const char *what) {
    if (rc != SQLITE_OK) sim_fail("%s: %d %s", what, rc, run->one.db ? sqlite3_errmsg(run->one.db) : "");
}

/* What the step came to. A copy for which there is no room fails, and what is there of it goes. */
static void fault_judge_code(const fault_walk *walk, const sim_run *run, int rc, int kind) {
    bool command = walk->kind == SIM_STEP_COMMAND, copy = walk->kind == SIM_STEP_COPY;
    const char *message = run->one.db ? sqlite3_errmsg(run->one.db) : "";
    if (!command && !fault_sensible(walk, rc)) sim_fail("the step ended with %d %s", rc, message);
    bool index_only = sim_fs_failures(SIM_SQLITE) == 0 && sim_memory_failures() == 0;
    if (rc != SQLITE_OK && index_only && !command && !copy)
        sim_fail("a fault of the index failed it: %d %s", rc, message);
    bool once = !fault_kinds[kind].forever; /* then what clears up does not fail */
    const char *left = sim_copy_left();
    if (rc != SQLITE_OK && copy && once && left)
        sim_fail("of a copy that failed there is %s: %d %s", left, rc, message);
}

/* The rows must be those of a commit from `low` to `high`. */
static void fault_judge_rows(sim_run *run, fixture_random *random, int64_t low, int64_t high) {
    uint64_t found = sim_table_judge(&run->one, random, 2);
    if (sim_run_find(run, found, low, high) >= 0) return;
    sim_fail("the rows are those of commit %lld, not of one from %lld to %lld",
             (long long)sim_run_find(run, found, 0, run->started), (long long)low, (long long)high);
}

/* Of the last COMMIT that returned, or of one that was given after it. */
static void fault_judge_now(sim_run *run, fixture_random *random) {
    fault_judge_rows(run, random, run->acknowledged, run->started);
}

/* After the fault: the same connections go on, then somebody opens the database anew. */
static void fault_aftermath(const fault_walk *walk, sim_run *run, fixture_random *random) {
    sim_run_recover(run);
    if (!run->one.db) fault_need(run, sim_table_open(&run->shape, &run->one), "opening again");
    fault_judge_now(run, random);
    fault_need(run, sim_run_transaction(run, random, 2), "the next transaction");
    fault_judge_now(run, random);
    sim_run_close(run);
    if (sim_fs_open_files() > 0) sim_fail("%llu files stay open", (unsigned long long)sim_fs_open_files());
    if (sim_memory_blocks() != walk->blocks) {
        sim_fail("%lld blocks of memory are lost", (long long)(sim_memory_blocks() - walk->blocks));
    }
    fault_need(run, sim_table_open(&run->shape, &run->one), "opening anew");
    sim_table_sound(&run->one);
    fault_judge_now(run, random);
    sim_run_close(run);
}

/* What the process leaves if it ends right after the fault. Where only calls of the index failed, the power may go as
** well: SQLite promises nothing about that when its own syncs fail. True if so. */
static bool fault_leave(const fault_walk *walk, int kind, fixture_random *random, sim_image *ret_disk) {
    if (walk->plan->faulty == SIM_FAULTY_MEMORY || fault_kinds[kind].of[SIM_SQLITE]) {
        sim_image_copy(sim_fs_now(), ret_disk);
        return false;
    }
    sim_replay replay;
    sim_replay_open(&walk->disk, sim_fs_log(), &replay);
    while (replay.at < replay.log->count) sim_replay_step(&replay);
    sim_replay_cut(&replay, fixture_below(random, 1u << SIM_EXHAUSTIVE), ret_disk);
    sim_replay_close(&replay);
    return true;
}

/* Somebody opens that: SQLite may have told of a failure, and the commit is there all the same. */
static void fault_revive(const fault_walk *walk, sim_run *run, const sim_image *disk, fixture_random *random,
                         int64_t low, int64_t high) {
    sim_fs_load(disk);
    sim_vfs_seed(walk->shape.seed << 32 ^ fixture_next(random));
    fault_need(run, sim_table_open(&run->shape, &run->one), "opening what is left");
    sim_table_sound(&run->one);
    fault_judge_rows(run, random, low, high);
    fault_need(run, sim_run_transaction(run, random, 2), "a transaction on what is left");
    (void)sim_table_judge(&run->one, random, 2); /* which commit that is nobody has counted */
    sim_run_close(run);
}

static void fault_once(fault_walk *walk, uint64_t nth, int kind) {
    char state[64];
    const char *wanted = sim_variable("SHARDEX_SIM_STATE");
    snprintf(state, sizeof state, "%d.%llu.%s", walk->step, (unsigned long long)nth, fault_kinds[kind].name);
    if (wanted && strcmp(wanted, state) != 0) return;
    sim_note("SHARDEX_SIM_SEED=%llu SHARDEX_SIM_MODE=%s SHARDEX_SIM_STATE=%s", (unsigned long long)walk->shape.seed,
             sim_mode_names[walk->shape.mode], state);
    sim_run run;
    fixture_random random = {nth << 8 ^ (uint64_t)walk->step};
    sim_run_start(&walk->shape, &walk->disk, (uint64_t)walk->step + 3, &run);
    fault_start(walk, nth, kind);
    int rc = sim_run_step(&run, walk->step);
    bool struck = sim_fs_failures(SIM_SQLITE) + sim_fs_failures(SIM_STORE) + sim_memory_failures() > 0;
    sim_pause(true); /* the plan stays for the judge of its effects */
    fault_judge_code(walk, &run, rc, kind);
    sim_fs_plan(&(sim_fault){0});
    sim_memory_plan(0, false);
    sim_pause(false);
    walk->tally.faults += struck;
    walk->tally.by_kind[kind] += struck;
    walk->tally.failed += rc != SQLITE_OK;
    bool ends = fixture_below(&random, FAULT_ENDS) == 0;
    int64_t low = run.acknowledged, high = run.started;
    sim_image left;
    if (ends && fault_leave(walk, kind, &random, &left)) low = 0;
    fault_aftermath(walk, &run, &random);
    if (ends) {
        fault_revive(walk, &run, &left, &random, low, high);
        sim_image_free(&left);
        walk->tally.ended++;
    }
    sim_run_free(&run);
}

/* ---- a workload ---- */

/* Does the step without faults; returns the number of calls, and leaves the disk after it. */
static uint64_t fault_step(fault_walk *walk, sim_image *ret_after) {
    sim_run run;
    sim_note("SHARDEX_SIM_SEED=%llu SHARDEX_SIM_MODE=%s, step %d", (unsigned long long)walk->shape.seed,
             sim_mode_names[walk->shape.mode], walk->step);
    sim_run_start(&walk->shape, &walk->disk, (uint64_t)walk->step + 3, &run);
    sim_fs_plan(&(sim_fault){0});
    sim_memory_plan(0, false);
    fault_need(&run, sim_run_step(&run, walk->step), "a step without faults");
    uint64_t calls = walk->plan->faulty == SIM_FAULTY_MEMORY ? sim_memory_calls()
                                                             : sim_fs_calls(SIM_SQLITE) + sim_fs_calls(SIM_STORE);
    sim_run_close(&run);
    sim_run_free(&run);
    walk->blocks = sim_memory_blocks();
    sim_image_copy(sim_fs_now(), ret_after);
    sim_image_prune(ret_after);
    return calls;
}

static void fault_run(void *context, uint64_t seed, sim_mode mode) {
    fault_walk *walk = context;
    bool memory = walk->plan->faulty == SIM_FAULTY_MEMORY;
    uint64_t every = walk->plan->every * sim_number("SHARDEX_SIM_EVERY", 1);
    bool one = sim_variable("SHARDEX_SIM_STATE") != NULL;
    walk->shape = sim_shape_make(seed, mode);
    sim_run_make(&walk->shape, &walk->disk);
    for (walk->step = 0; walk->step < walk->plan->steps; walk->step++) {
        walk->kind = sim_step_kind_of(&walk->shape, walk->step);
        sim_image after;
        uint64_t calls = fault_step(walk, &after);
        fixture_random random = {seed << 16 ^ (uint64_t)walk->step ^ (uint64_t)mode << 60};
        for (uint64_t nth = 1; nth <= calls; nth++) {
            int kind = (int)fixture_below(&random, (uint64_t)(memory ? FAULT_MEMORY_KINDS : FAULT_KINDS));
            if (fixture_below(&random, every) == 0 || one) fault_once(walk, nth, kind);
        }
        sim_image_free(&walk->disk);
        walk->disk = after;
        walk->tally.steps++;
        walk->tally.calls += calls;
    }
    sim_image_free(&walk->disk);
    walk->tally.workloads++;
    sim_fs_end();
}

void sim_fault_all(const sim_fault_plan *plan) {
    fault_walk walk = {.plan = plan};
    bool whole = sim_each_workload(plan->seeds, fault_run, &walk);
    const fault_tally *tally = &walk.tally;
    print_message("             %llu workloads, %llu steps, %llu calls, %llu faults, %llu steps failed, %llu ends:",
                  (unsigned long long)tally->workloads, (unsigned long long)tally->steps,
                  (unsigned long long)tally->calls, (unsigned long long)tally->faults,
                  (unsigned long long)tally->failed, (unsigned long long)tally->ended);
    int kinds = plan->faulty == SIM_FAULTY_MEMORY ? FAULT_MEMORY_KINDS : FAULT_KINDS;
    for (int i = 0; i < kinds; i++) {
        print_message(" %llu %s", (unsigned long long)tally->by_kind[i], fault_kinds[i].name);
        if (whole) assert_true(tally->by_kind[i] > 0);
    }
    print_message("\n");
    if (whole) assert_true(tally->ended > 0);
    if (whole && sim_is_usual()) assert_true(tally->faults >= plan->least);
}
