/* Which databases have a directory beside them.
*/
#ifndef SHX_LOCATION_H
#define SHX_LOCATION_H

#include "sqlite_api.h"

#include <stdbool.h>

/* The file of a schema, "" when it has none: which database it is. Valid until the schema is detached. */
const char *shx_location_database(sqlite3 *db, const char *schema);

/* The file of a schema beside which an index may keep its directory; "" when it must stay in memory:
**
** - no file that other processes could open (`:memory:`, temp, memdb, deserialized): no absolute path;
** - a file without locks (nolock=1, the VFS unix-none): nothing tells who writes;
** - a VFS that is not one of SQLite's own for Unix, or a file whose first bytes are not those of a plain database: the
**   content may be encrypted, and plain vectors beside it would give it away. shx_location_allow_any lifts this one.
**
** Valid until the schema is detached. SQLITE_NOMEM, or the error of reading the file: what only fails now must not keep
** the index in memory for as long as the connection lives. */
int shx_location_file(sqlite3 *db, const char *schema, const char **ret_file);

/* The name of the VFS that a schema is opened with; "" when there is no such schema. Valid while that is registered. */
const char *shx_location_vfs(sqlite3 *db, const char *schema);

/* Makes what is committed in a schema, whose file is named, so durable that no power cut undoes it; false when that
** failed. */
bool shx_location_make_durable(sqlite3 *db, const char *schema, const char *file);

/* For the whole process and for databases opened from then on; not allowed at first. */
void shx_location_allow_any(bool allowed);

#endif
