/* Settings of the process: `shardex_config(name)` reads one, `shardex_config(name, value)` sets it.
**
** They are never part of a schema, so a database that somebody else made cannot change them.
**
**     any_vfs    0; 1: an index keeps its directory, in plain text, also beside a database whose VFS is not one of
**                SQLite's own or whose file is encrypted (location.h)
*/
#ifndef SHX_CONFIG_H
#define SHX_CONFIG_H

#include "sqlite_api.h"

int shx_config_register(sqlite3 *db);

#endif
