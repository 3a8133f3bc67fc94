/* The spill: where a transaction that is too large for memory stands while it is under way.
**
** Its bodies go to a WAL file of its own, whose only record is in the making: they are written behind the place of its
** header as they come and used there, mapped; operations and header follow at xSync. So committing needs no second
** copy, and opening the table later treats the record like any other; the first flush routes and encodes the bodies,
** outside the transaction. Its operations, with what only the transaction needs of them, go to a file without a name
** meanwhile, where they are used in the same way.
**
** - Bodies are written by a thread while the transaction goes on, one batch at a time: of what may stand in the heap
**   half is on its way, and half is filled. Operations, which are few bytes, follow when their batch has arrived.
** - ROLLBACK TO shortens the list of operations, and the next ones overwrite what it has left in the files. What stays
**   is not moved.
** - ROLLBACK removes the file; what a crash leaves is a WAL file without a record, which collection removes. The file
**   is locked until the transaction has ended, so nobody else appends to it, or removes it.
** - A finished record is never overwritten: when COMMIT returns BUSY and more operations come, the record that names
**   them all goes to another file.
** - Any failure (no room, a directory that cannot be written) makes the pending list drop all bodies: the transaction
**   goes on and can commit, its queries are answered from the database, and the index stays behind until it is caught
**   up. The removed file leaves its room to SQLite.
**
** Needs a store whose mappings are not copies in the heap: an index in memory never spills.
*/
#ifndef SHX_SPILL_H
#define SHX_SPILL_H

#include "pending.h"
#include "wal.h"

/* Makes a new WAL file, and an empty file for the operations whose name is removed already (both are taken over, also
** on failure), the spill of the list and moves all of it there. The store must live as long as the list is not
** empty. With `threads` later bodies may be written by a thread. */
shx_status shx_spill_start(shx_pending *pending, shx_store *store, shx_wal_writer *writer, shx_file *operations,
                           bool threads);

/* Has the list a spill to go on with? Not if there is none, or one that is finished. */
bool shx_spill_is_open(const shx_pending *pending);

/* How many bytes in the heap are not on their way to the spill. */
uint64_t shx_spill_waiting(const shx_pending *pending);

/* Sends what is in the heap on its way, after what was sent before has arrived. After a failure, which may be that of
** what was sent before, the list is as it was. */
shx_status shx_spill_advance(shx_pending *pending);

/* Moves what is in the heap to the spill. After a failure the list is as it was. */
shx_status shx_spill_move(shx_pending *pending);

/* Completes the record: all operations of the list, "from parent, these lead to commit". */
shx_status shx_spill_finish(shx_pending *pending, const shx_id *commit, const shx_id *parent, shx_wal_entry *ret_entry);

#endif
