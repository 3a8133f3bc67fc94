/* shardex_stats(table [, schema]): the figures of a table as rows (name, value, unit).
*/
#ifndef SHX_STATS_H
#define SHX_STATS_H

#include "connection.h"

/* Registers what is said above; a code of SQLite. */
int shx_stats_register(shx_connection *connection);

#endif
