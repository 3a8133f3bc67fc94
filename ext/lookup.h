/* Finding the table that an argument of a function names.
*/
#ifndef SHX_LOOKUP_H
#define SHX_LOOKUP_H

#include "snapshot.h"
#include "table.h"

/* The table `name` (`t` or `schema.t`), or `name` in `schema` when that argument is there; connects it when it is not
** yet. An SQLite result code; with a message (sqlite3_free) when there is no such table, or when it could not be seen
** whether there is one, unless memory ran out. */
int shx_lookup_table(shx_connection *connection, sqlite3_value *name, sqlite3_value *schema, shx_table **ret_table,
                     char **ret_message);

/* Finds a table likewise and shows `take` what there is to see of it, one state of the database; its result code is
** passed on. */
int shx_lookup_visit(shx_connection *connection, sqlite3_value *name, sqlite3_value *schema,
                     int (*take)(const shx_snapshot *snapshot, void *context), void *context, char **ret_message);

/* Opens a read of the table that stays open, so that everything until shx_statement_give_back sees one state of the
** database. */
int shx_lookup_hold(shx_table *table, sqlite3_stmt **ret_held);

#endif
