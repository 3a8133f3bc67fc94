/* Faults: each step of a workload is done again and again from the same disk, each time with another call or another
** allocation failing, once or for ever. The step may fail, then with a sensible code; what fails in the index's
** directory only must not make a transaction fail. Afterwards the rows are those before or after, the answers are
** right, the next transaction works, nothing is lost of files and memory; and so it is for who opens the database anew.
** Of some, also for who opens what a process left that ended, or lost its power, right after the fault.
*/
#ifndef SHX_TEST_SIM_FAULT_H
#define SHX_TEST_SIM_FAULT_H

#include "sim_run.h"

typedef enum sim_faulty { SIM_FAULTY_CALLS, SIM_FAULTY_MEMORY } sim_faulty;

typedef struct sim_fault_plan {
    sim_faulty faulty;
    uint64_t seeds;
    int steps;      /* of a workload */
    uint64_t every; /* one call in so many fails, by chance; SHARDEX_SIM_EVERY times as many */
    uint64_t least; /* faults that must strike in a usual run */
} sim_fault_plan;

/* Does the workloads of sim_each_workload with faults. SHARDEX_SIM_STATE, as a failure prints it, shows one again. */
void sim_fault_all(const sim_fault_plan *plan);

#endif
