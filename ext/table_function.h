/* Table functions: tables whose rows are computed from arguments, read only, in every schema without being created.
**
** Such a function says what its columns are and what is in them; the rest of the virtual table stands here. An argument
** is an equality on a hidden column, by which SQLite passes `f(x)`.
*/
#ifndef SHX_TABLE_FUNCTION_H
#define SHX_TABLE_FUNCTION_H

#include "sqlite_api.h"

#include <stdbool.h>
#include <stddef.h>

#define SHX_TABLE_ARGUMENTS 2 /* at most */

/* The rows of one call: the first member of what a function keeps for it, which is zeros at first. */
typedef struct shx_rows {
    sqlite3_vtab_cursor base;
    void *owner;             /* what the function was registered with */
    sqlite3_int64 count, at; /* `begin` sets how many there are; the rowid of a row is its number, from 0 */
} shx_rows;

typedef struct shx_table_function {
    const char *name;
    const char *declaration; /* CREATE TABLE x(…): `columns` visible ones, then a hidden one for each argument */
    const char *needs;       /* "NAME needs …" is what one reads who leaves the first argument out */
    int columns, arguments;
    bool innocuous;     /* reads nothing but its arguments; else it is for top-level SQL only (DIRECTONLY) */
    sqlite3_int64 rows; /* a guess, for the planner */
    size_t size;        /* of what is kept for a call */

    /* Computes the rows; an argument that is not there is NULL. A failure may leave a message (sqlite3_mprintf), and
    ** whatever it has begun to `end`. */
    int (*begin)(shx_rows *rows, sqlite3_value *const *arguments, char **ret_message);

    /* Gives a visible column of the row `rows->at`; after a failure the message as above. */
    int (*column)(shx_rows *rows, sqlite3_context *context, int column, char **ret_message);

    /* Frees what `begin` took, if it took anything; the next `begin` finds zeros. */
    void (*end)(shx_rows *rows);
} shx_table_function;

/* Registers a function, which must outlive the connection, as the owner must. */
int shx_table_function_register(sqlite3 *db, const shx_table_function *function, void *owner);

#endif
