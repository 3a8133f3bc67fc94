/* Settings of the process: `shardex_config(name)` reads one, `shardex_config(name, value)` sets it.
**
** They hold for all connections and are never part of a schema, so a database that somebody else made cannot change
** them.
*/
#ifndef SHX_CONFIG_H
#define SHX_CONFIG_H

#include "sqlite_api.h"

typedef enum shx_config_key {
    SHX_CONFIG_ANY_VFS,   /* 0; 1: an index keeps its directory, in plain text, also beside a database whose VFS is not
                          ** one of SQLite's own or whose file is encrypted (location.h) */
    SHX_CONFIG_DIRECTORY, /* where index directories stand: '' = beside the database file, else an absolute path */
    SHX_CONFIG_PROGRESS,  /* progress of long work on stderr: 'auto' (when it is a terminal), 'on', 'off' */
    SHX_CONFIG_KEYS,
} shx_config_key;

/* The present value, as text of sqlite3_malloc; NULL when memory is out. */
char *shx_config_get(shx_config_key key);

/* Registers what is said above; a code of SQLite. */
int shx_config_register(sqlite3 *db);

#endif
