/* Catching up: bringing the index to a commit that its directory cannot resolve, by comparing it with the database.
*/
#ifndef SHX_CATCH_UP_H
#define SHX_CATCH_UP_H

#include "table.h"

/* A view of `commit`, the state that the database shows now, private to this connection. SQLITE_NOTFOUND when the index
** differs too much; then the database has to be searched. */
int shx_catch_up_private(shx_table *table, const shx_id *commit, shx_view **ret_view);

/* The same from the ring of the state row: the index has one of the commits before this one, and what has changed since
** is read from the database. `durable`: for everybody, else for this process. *ret_status is SHX_OK when the index has
** `commit` now. */
int shx_catch_up_ring(shx_table *table, const shx_id *commit, bool durable, shx_status *ret_status);

/* Makes `commit`, the state that the database shows now, resolvable for everybody; with `from_nothing` without any use
** of what the directory has. Fails with the directory's status. */
int shx_catch_up_durable(shx_table *table, const shx_id *commit, bool from_nothing, shx_status *ret_status);

/* The same for an index in memory, when the table is not too large to do so on the way; else nothing happens. */
int shx_catch_up_memory(shx_table *table, const shx_id *commit);

/* Does the directory resolve this commit, for everybody? */
bool shx_catch_up_is_current(shx_table *table, const shx_id *commit);

/* In a write transaction: makes everything that was committed before it durable; false when that fails. */
bool shx_catch_up_barrier(shx_table *table);

/* Called by a write transaction, which has read its parent from the state row: removes files that nobody needs any
** more, if there are any. Before that the parent is made durable, so that no power cut undoes it: what it needs is what
** is kept. Where that fails everything stays. */
void shx_catch_up_confirm(shx_table *table);

/* Called by a write transaction before its first operation: tells the index that its parent is committed, and catches
** up when the parent does not resolve and that takes little time. Only failures of the database are returned. */
int shx_catch_up_writer(shx_table *table);

/* A commit id for a state that was committed under another state's id: made of that id and of all fingerprints. */
int shx_catch_up_identify(shx_table *table, const shx_id *former, shx_id *ret_commit);

#endif
