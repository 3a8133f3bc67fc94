/* The state row: which index a table has, and which commit it shows. It is the only judge of what is committed.
*/
#ifndef SHX_STATE_ROW_H
#define SHX_STATE_ROW_H

#include "table.h"

#define SHX_STATE_FORMAT 1

/* Reads the row in the present snapshot. */
int shx_state_row_read(shx_table *table, shx_state_row *ret_row);

/* Reads it, and makes the state of its index the table's (another one after a backup into this database). */
int shx_state_row_open(shx_table *table, shx_state_row *ret_row);

/* The same for queries: what was read before holds as long as the content of the database is the same. */
int shx_state_row_look(shx_table *table, shx_state_row *ret_row);

/* The same for the begin of a write transaction. */
int shx_state_row_begin(shx_table *table, shx_state_row *ret_row);

/* A transaction of the table is about to be committed, and nobody else can commit before it. */
void shx_state_row_syncing(shx_table *table);

/* The transaction was committed, and left this commit in the row. */
void shx_state_row_committed(shx_table *table, const shx_id *commit);

/* For callbacks of a transaction: reads the row of the table's own index, also when ALTER TABLE RENAME or its rollback
** left this object with a name that is not the table's. SQLITE_NOTFOUND: there is no such table. */
int shx_state_row_locate(shx_table *table, shx_state_row *ret_row);

/* Writes the row of a new table. */
int shx_state_row_insert(shx_table *table, const shx_id *uuid, const shx_id *commit);

/* Writes the commit of a ring, and the ring. SQLITE_NOTFOUND when the row is another index's. */
int shx_state_row_write(shx_table *table, const shx_ring *ring);

/* Reads the ring of a row that names `commit`; where it has none that ends there, one that knows nothing else. */
int shx_state_row_ring(shx_table *table, const shx_id *commit, shx_ring *ret_ring);

/* Notes in the row how many operations the transaction under way has so far (transaction.c). */
int shx_state_row_mark(shx_table *table, size_t operations);

/* The commit id of a table of this shape before its first transaction. */
int shx_state_genesis(const shx_declaration *declaration, shx_id *ret_genesis);

#endif
