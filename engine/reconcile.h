/* Reconcile: brings the index to a commit that its directory cannot resolve, by comparing fingerprints with the
** database.
**
** The caller walks the database's postings in ascending rowid order and hands in each row's fingerprint; where it
** differs from what the index has, the caller hands in vector and columns too. The result is either a
** private view in memory (readers) or a WAL record from the state it started from to the database's commit id (writers,
** rebuild).
*/
#ifndef SHX_RECONCILE_H
#define SHX_RECONCILE_H

#include "index.h"

typedef struct shx_reconcile shx_reconcile;

/* Starts from the newest state that the directory can give, or with `from_nothing` from an empty index (rebuild).
** `durable`: the differences go to a new WAL file as they come (bounded memory), in one or more records that lead to
** what the database has once shx_reconcile_publish has written the last one; otherwise they are kept in memory for
** shx_reconcile_view. A directory that cannot be read counts as empty; one that cannot be written is SHX_READONLY,
** SHX_FULL or SHX_IO when durable. `stop` (may be NULL) is asked while what the index has is read. */
shx_status shx_reconcile_open(shx_index *index, bool from_nothing, bool durable, const shx_stop *stop,
                              shx_reconcile **ret_reconcile);
void shx_reconcile_close(shx_reconcile *reconcile);

/* The same for a caller who knows which postings have changed since certain commits (the ring of the state row): starts
** from the first of `commits` that resolves, *ret_position; only what has changed since then is handed in, in any
** order, postings by shx_reconcile_row, others by shx_reconcile_gone. SHX_NOTFOUND when none of them resolves, or when
** too much has gathered in memory that way (not durable). */
shx_status shx_reconcile_open_since(shx_index *index, const shx_id *commits, size_t count, bool durable,
                                    size_t *ret_position, shx_reconcile **ret_reconcile);

/* This posting is not there any more. After shx_reconcile_open_since only. */
shx_status shx_reconcile_gone(shx_reconcile *reconcile, int64_t rowid);

/* The next posting of the database. *ret_wanted: its vector and columns are needed; call shx_reconcile_content before
** the next row. With shx_reconcile_open_since they always are. */
shx_status shx_reconcile_row(shx_reconcile *reconcile, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                             bool *ret_wanted);
shx_status shx_reconcile_content(shx_reconcile *reconcile, const void *vector, const shx_packed *columns);

/* How many postings the state had that it started from (0 after shx_reconcile_open_since), and how many differ so far.
*/
uint64_t shx_reconcile_known(const shx_reconcile *reconcile);
uint64_t shx_reconcile_changes(const shx_reconcile *reconcile);

/* All rows were given: a view of `commit` in memory, with a reference. Not durable only. After shx_reconcile_open_since
** the whole process has it from now on (shx_index_supply). */
shx_status shx_reconcile_view(shx_reconcile *reconcile, const shx_id *commit, shx_view **ret_view);

/* All rows were given: the last record becomes valid and shx_index_view resolves `commit` from now on. Durable only. */
shx_status shx_reconcile_publish(shx_reconcile *reconcile, const shx_id *commit);

/* How many differences go into one record, of this process; 0: a million. For tests. */
void shx_reconcile_part_at(uint64_t differences);

#endif
