/* Write transactions: what SQLite tells a virtual table about them, and what shardex makes of it.
*/
#ifndef SHX_TRANSACTION_H
#define SHX_TRANSACTION_H

#include "state_row.h"
#include "table.h"

/* Module methods. */
int shx_transaction_begin(sqlite3_vtab *vtab);
int shx_transaction_sync(sqlite3_vtab *vtab);
int shx_transaction_commit(sqlite3_vtab *vtab);
int shx_transaction_rollback(sqlite3_vtab *vtab);
int shx_transaction_savepoint(sqlite3_vtab *vtab, int number);
int shx_transaction_release(sqlite3_vtab *vtab, int number);
int shx_transaction_rollback_to(sqlite3_vtab *vtab, int number);

/* A table that was created in the present transaction takes part in it without shx_transaction_begin. */
int shx_transaction_join(shx_table *table);

/* The table is going away: SQLite will not tell it how the transaction ends. */
void shx_transaction_leave(shx_table *table);

/* To be called before each row operation: the first one of a transaction brings the index up to its parent. */
int shx_transaction_prepare(shx_table *table);

/* To be called by readers with the row that they have read: true when the connection's own uncommitted operations lie
** over state->parent; false: the row's commit is what there is. */
bool shx_transaction_overlays(shx_table *table, const shx_state_row *row);

/* For readers within a transaction of their own: SQLITE_ABORT with a message when what is pending is not what the
** database holds, and the transaction can only be rolled back. */
int shx_transaction_check(shx_table *table);

#endif
