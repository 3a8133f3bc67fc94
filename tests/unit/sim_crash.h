/* Crashes: a workload is recorded once; then the disk is looked at as each crash would have left it. Each time the
** database must open, be sound, hold the rows of some commit that may be there and of no other, answer right without
** writing a file of the index, and be writable; and where that crashes again, the same holds.
*/
#ifndef SHX_TEST_SIM_CRASH_H
#define SHX_TEST_SIM_CRASH_H

#include "sim_power.h"
#include "sim_run.h"

typedef enum sim_crash { SIM_KILLED, SIM_CUT } sim_crash;

/* How much is looked at. */
typedef struct sim_crash_plan {
    sim_crash crash;
    uint64_t seeds;
    int steps;             /* of a workload */
    uint64_t cuts;         /* random states of power loss at each operation */
    uint64_t all_every;    /* at one operation in so many (by chance), all subsets */
    uint64_t deeper_every; /* one state in so many crashes again, and one of those a third time */
    uint64_t least;        /* different disks that a usual run has to open */
} sim_crash_plan;

/* Records the workloads of sim_each_workload and looks at their crashes. SHARDEX_SIM_STATE, as a failure prints it,
** shows one state of a workload again; SHARDEX_SIM_EVERY: looks at one operation in so many, by chance. */
void sim_crash_all(const sim_crash_plan *plan);

#endif
