/* Collect: the removal of files that nobody needs any more. Runs in a foreground writer, which holds SQLite's write
** lock.
**
** Kept are the newest base on the path of a confirmed commit, the base before it with the whole chain of WAL records
** from there on, and what both name. Everything else is a dead branch, superseded, or left over from a crash. Readers
** of older snapshots keep what they have mapped; what they have not opened yet they answer from the database.
*/
#ifndef SHX_COLLECT_H
#define SHX_COLLECT_H

#include "index.h"
#include "os.h"

/* Takes the lock that makes this process the directory's only maintainer; closing the file gives it back. SHX_BUSY when
** somebody has it, in this process or another. */
shx_status shx_maintenance_lock(shx_index *index, shx_file **ret_lock);

#endif
