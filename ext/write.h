/* Row operations: INSERT, UPDATE and DELETE on the table.
*/
#ifndef SHX_WRITE_H
#define SHX_WRITE_H

#include "sqlite_api.h"

/* Module method xUpdate. */
int shx_write_update(sqlite3_vtab *vtab, int argument_count, sqlite3_value **arguments, sqlite3_int64 *ret_rowid);

#endif
