/* Cursors: xOpen, xFilter, xNext, xColumn. What a cursor does is said by the plan's text (plan.h).
*/
#ifndef SHX_CURSOR_H
#define SHX_CURSOR_H

#include "sqlite_api.h"

struct shx_cursor;

/* Frees a closed cursor that was kept for the next one (connection.h). */
void shx_cursor_free(struct shx_cursor *cursor);

/* Module methods. */
int shx_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **ret_cursor);
int shx_cursor_close(sqlite3_vtab_cursor *vtab_cursor);
int shx_cursor_filter(sqlite3_vtab_cursor *vtab_cursor, int number, const char *text, int argument_count,
                      sqlite3_value **arguments);
int shx_cursor_next(sqlite3_vtab_cursor *vtab_cursor);
int shx_cursor_eof(sqlite3_vtab_cursor *vtab_cursor);
int shx_cursor_column(sqlite3_vtab_cursor *vtab_cursor, sqlite3_context *context, int column);
int shx_cursor_rowid(sqlite3_vtab_cursor *vtab_cursor, sqlite3_int64 *ret_rowid);

#endif
