/* A workload: steps that follow from a seed and their number, and from nothing else, so that any of them can be done
** again from a copy of the disk. Transactions with savepoints and rollbacks, commands, maintenance, VACUUM,
** checkpoints, reopening, a second connection that reads across commits or writes.
*/
#ifndef SHX_TEST_SIM_RUN_H
#define SHX_TEST_SIM_RUN_H

#include "sim_table.h"

#include "sim_image.h"

typedef struct sim_run {
    sim_shape shape;
    sim_table one, two; /* db NULL: not open */
    uint64_t *digests;  /* of the rows after each commit, number 0 is the start */
    int64_t started, acknowledged, capacity;
} sim_run;

/* Registers VFS, store and allocator; maintenance runs in steps only. Once a process, before anything of SQLite. */
void sim_setup(void);
void sim_teardown(void);

/* Makes a database of this shape, with rows and an indexed part, and copies its disk. */
void sim_run_make(const sim_shape *shape, sim_image *ret_disk);

/* Loads a disk and opens the first connection. `life` is where SQLite's randomness starts: it must differ between the
** lives of one disk, or the salt of what an earlier one left in a journal would be valid still. */
void sim_run_start(const sim_shape *shape, const sim_image *disk, uint64_t life, sim_run *ret_run);

/* Closes connections; the digests stay. */
void sim_run_close(sim_run *run);
void sim_run_free(sim_run *run);

/* What a step is. */
typedef enum sim_step_kind {
    SIM_STEP_WRITE,
    SIM_STEP_LOAD, /* many rows at once */
    SIM_STEP_COMMAND,
    SIM_STEP_MAINTAIN,
    SIM_STEP_CHECKPOINT,
    SIM_STEP_VACUUM,
    SIM_STEP_REOPEN,
    SIM_STEP_READER, /* the second connection reads while the first one commits */
    SIM_STEP_OTHER,  /* the second connection writes */
    SIM_STEP_SCHEMA, /* the table gets another name and its own back, or is dropped and made anew */
    SIM_STEP_COPY,   /* shardex_backup */
    SIM_STEP_KINDS,
} sim_step_kind;

sim_step_kind sim_step_kind_of(const sim_shape *shape, int number);

/* Does step `number`. A code of SQLite's; on failure transactions may be open, see sim_run_recover. */
int sim_run_step(sim_run *run, int number);

/* A transaction of the first connection: `changes` of them, perhaps savepoints, now and then a rollback. */
int sim_run_transaction(sim_run *run, fixture_random *random, uint64_t changes);

/* Rolls back what is open. */
void sim_run_recover(sim_run *run);

/* The commit in [low, high] after which the rows had this digest, the latest one; -1 when there is none. */
int64_t sim_run_find(const sim_run *run, uint64_t digest, int64_t low, int64_t high);

/* ---- which workloads ---- */

/* A variable of the environment, NULL when it is not set or empty; a number. */
const char *sim_variable(const char *name);
uint64_t sim_number(const char *name, uint64_t otherwise);

/* Does `work` for seeds in all modes: for `seeds` of them from 1 on, or as the environment says. SHARDEX_SIM_SEED and
** SHARDEX_SIM_MODE: one only; SHARDEX_SIM_FIRST: where seeds start; SHARDEX_SIM_COUNT: how many there are;
** SHARDEX_SIM_SECONDS: as many as can be begun in that time, whatever their number. False when one only was wanted, or
** the time was over before the number was reached. */
typedef void (*sim_work)(void *context, uint64_t seed, sim_mode mode);
bool sim_each_workload(uint64_t seeds, sim_work work, void *context);

/* Does nothing in the environment ask for less than a usual run? Then a test must have shown as much as it promises. */
bool sim_is_usual(void);

/* Faults of files and memory stop for what a test does on its own behalf. */
void sim_pause(bool paused);

/* ---- memory ---- */

/* The nth allocation from now on fails, or that one and all after it; 0: none does. */
void sim_memory_plan(uint64_t nth, bool forever);
uint64_t sim_memory_calls(void);
uint64_t sim_memory_failures(void);

/* Puts the counting allocator under SQLite, before anything else is done with it. */
void sim_memory_use(void);

/* How many blocks are allocated. */
int64_t sim_memory_blocks(void);

#endif
