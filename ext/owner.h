/* Which table of a database an index belongs to: the one whose state row holds its uuid.
*/
#ifndef SHX_OWNER_H
#define SHX_OWNER_H

#include "sqlite_api.h"

#include "../engine/bytes.h"

#include <stdbool.h>

/* Does the table `name` say that the index is its own? Not when there is no such table. An SQLite result code. */
int shx_owner_is(sqlite3 *db, const char *schema, const char *name, const shx_id *uuid, bool *ret_is);

/* Is there any table that says so? Whatever could be a table's state row is looked at, within one read transaction;
** a failure to read one of them is the result. */
int shx_owner_exists(sqlite3 *db, const char *schema, const shx_id *uuid, bool *ret_exists);

#endif
