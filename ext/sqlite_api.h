/* The only include of sqlite3ext.h: every file of ext/ gets SQLite through here.
**
** Built with SQLITE_CORE (statically linked) it is the plain interface; as a loadable extension calls go through the
** table that the host hands to sqlite3_shardex_init. The table itself is defined in extension.c.
*/
#ifndef SHX_SQLITE_API_H
#define SHX_SQLITE_API_H

#include <sqlite3ext.h>

#ifndef SQLITE_CORE
extern const sqlite3_api_routines *sqlite3_api;
#endif

#endif
