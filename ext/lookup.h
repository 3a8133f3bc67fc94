/* Finding the table that an argument of a function names.
*/
#ifndef SHX_LOOKUP_H
#define SHX_LOOKUP_H

#include "table.h"

/* The table `name` (`t` or `schema.t`), or `name` in `schema` when that is not NULL; connects it when it is not yet.
** NULL when there is none. */
shx_table *shx_lookup_table(shx_connection *connection, const char *name, const char *schema);

/* Opens a read of the table that stays open, so that everything until shx_statement_give_back sees one state of the
** database. */
int shx_lookup_hold(shx_table *table, sqlite3_stmt **ret_held);

#endif
