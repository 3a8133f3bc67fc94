/* Functions about tables: shardex_version, shardex_info, shardex_recall, shardex_catch_up.
*/
#ifndef SHX_INFO_H
#define SHX_INFO_H

#include "connection.h"

/* Registers what is said above; a code of SQLite. */
int shx_info_register(shx_connection *connection);

#endif
