/* The copy that shardex_backup makes of a simulated database: made, judged and removed within one step of a workload,
** so that a crash or a fault can strike at each of its operations.
*/
#ifndef SHX_TEST_SIM_COPY_H
#define SHX_TEST_SIM_COPY_H

#include "sim_table.h"

/* Makes the copy, judges it as the table's own database is, and removes it. A code of SQLite's: of the backup. */
int sim_copy_step(sim_table *table, fixture_random *random);

/* What a crash left of the copy must be a sound database, empty or with the rows of a commit and right answers. Returns
** whether it has tables, and then the hash of their rows. Reads only. */
bool sim_copy_judge(const sim_shape *shape, fixture_random *random, uint64_t *ret_digest);

/* One of the files and directories of a copy, with nothing in it; NULL when there are none. */
const char *sim_copy_left(void);

#endif
