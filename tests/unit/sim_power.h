/* What a disk may hold after power loss: a log is played back over the image it started from; at each point, what was
** synced is there, and of what was not, any part may be.
**
** The model: writes and truncations of a file reach the disk in any subset, applied in order; a torn write in pieces
** of 512 bytes or 4 KiB. A name takes any of the meanings that it had since its directory was synced last. A sync of a
** file makes its content durable, not its name. A truncation does not overtake the removal of a name: SQLite relies on
** that (it shortens a database when the journal is gone), and file systems keep the order of the two.
*/
#ifndef SHX_TEST_SIM_POWER_H
#define SHX_TEST_SIM_POWER_H

#include "sim_image.h"

typedef struct sim_replay {
    const sim_log *log;
    uint64_t at;       /* operations done */
    sim_image now;     /* what processes saw: what is left when they are killed */
    sim_image durable; /* what is left for sure */
    uint32_t *pending; /* operations that are not durable yet */
    uint32_t pending_count, pending_capacity;
} sim_replay;

/* Image and log stay the caller's and must outlive the replay. */
void sim_replay_open(const sim_image *start, const sim_log *log, sim_replay *ret_replay);
void sim_replay_close(sim_replay *replay);

/* Does the next operation. */
void sim_replay_step(sim_replay *replay);

/* The disk after a kill. */
void sim_replay_killed(const sim_replay *replay, sim_image *ret_image);

/* Up to this many pending operations all subsets are looked at. */
#define SIM_EXHAUSTIVE 8

/* The disk after power loss. Below 2^pending_count and up to SIM_EXHAUSTIVE operations, `variant` is the set of those
** that survived; else the start of a random choice, torn writes included. */
void sim_replay_cut(const sim_replay *replay, uint64_t variant, sim_image *ret_image);

#endif
