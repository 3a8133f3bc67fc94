/* Collect: the removal of files that nobody needs any more. Runs in a foreground writer, which holds SQLite's write
** lock.
**
** Kept are the newest base on the path of a confirmed commit, the base before it with the whole chain of WAL records
** from there on, every base that somebody has open (views and backups hold a shared lock on its file, removal takes the
** exclusive one), and what they name. Everything else is a dead branch, superseded, or left over from a crash.
**
** The commit must not be undone by a power cut any more: the caller has made it durable (index.h).
*/
#ifndef SHX_COLLECT_H
#define SHX_COLLECT_H

#include "index.h"
#include "os.h"

/* Takes the lock that makes this process the directory's only maintainer; closing the file gives it back. SHX_BUSY when
** somebody has it, in this process or another. Whoever creates segments, shards and bases holds it until a base names
** them; who writes a WAL file holds a lock on that. */
shx_status shx_maintenance_lock(shx_index *index, shx_file **ret_lock);

/* Removes every file but the base of a confirmed commit and what it names: what was deleted before is in no file then,
** if that base holds none of it (shx_maintain_optimize). SHX_BUSY when something had to stay because somebody uses it
** or maintains the directory, SHX_NOTFOUND without such a base. */
shx_status shx_index_purge(shx_index *index, const shx_id *commit);

/* Removes the whole directory of an index that no database names any more. SHX_BUSY, with nothing changed, while
** somebody maintains it, writes a WAL file of it or has a base of it open. */
shx_status shx_collect_folder(const char *directory);

#endif
