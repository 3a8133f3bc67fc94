/* SQLite's VFS over the simulated file system, with the shared memory that WAL mode needs (one process).
**
** It does what the unix VFS does in the same order: the first sync of a new journal or WAL syncs its directory too. No
** clock and no chance: sleeping takes no time, randomness is a sequence that starts from a seed.
*/
#ifndef SHX_TEST_SIM_VFS_H
#define SHX_TEST_SIM_VFS_H

#include <sqlite3.h>
#include <stdint.h>

/* Registers it as the default VFS. To those who ask a file for the name of its VFS it says "unix". */
void sim_vfs_register(void);
void sim_vfs_unregister(void);

/* Starts SQLite's own randomness over from a seed. */
void sim_vfs_seed(uint64_t seed);

/* What files say of their disk: bytes of a sector that is written as a whole, characteristics (SQLITE_IOCAP_…). */
void sim_vfs_disk(int sector_bytes, int characteristics);

#endif
