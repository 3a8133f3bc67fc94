/* The prepared statements of a table on its shadow tables. Their texts stand in sql/statements.sql.
*/
#ifndef SHX_STATEMENT_H
#define SHX_STATEMENT_H

#include "sqlite_api.h"

#include <stdint.h>

struct shx_table;

/* Statements that are prepared once and run to the end each time. */
typedef enum shx_statement_kind {
    SHX_STATEMENT_READ_STATE,
    SHX_STATEMENT_READ_RING,
    SHX_STATEMENT_WRITE_STATE,
    SHX_STATEMENT_MARK_STATE,
    SHX_STATEMENT_INSERT_ROW,
    SHX_STATEMENT_PUT_ROW,
    SHX_STATEMENT_PUT_AUX,
    SHX_STATEMENT_PUT_VECTOR,
    SHX_STATEMENT_DELETE_ROW,
    SHX_STATEMENT_DELETE_AUX,
    SHX_STATEMENT_DELETE_VECTOR,
    SHX_STATEMENT_READ_ROW,
    SHX_STATEMENT_FIND_ROW,
    SHX_STATEMENT_READ_AUX,
    SHX_STATEMENT_READ_VECTOR,
    SHX_STATEMENT_COUNT_ROWS,
    SHX_STATEMENT_COUNT_ALL,
    SHX_STATEMENT_WALK_ROWS,
    SHX_STATEMENT_WALK_VECTORS,
    SHX_STATEMENT_WALK_AUX,
    SHX_STATEMENT_KINDS
} shx_statement_kind;

#define SHX_STATEMENT_IDLE 8 /* lent statements that are kept for the next borrower */

typedef struct shx_statements {
    sqlite3_stmt *kept[SHX_STATEMENT_KINDS];
    sqlite3_stmt *idle[SHX_STATEMENT_IDLE];
    char *texts[SHX_STATEMENT_KINDS]; /* of the kinds that were lent; NULL: never */
} shx_statements;

/* The table's own statement of a kind, for a caller that resets it before anybody else can want it. */
int shx_statement_get(struct shx_table *table, shx_statement_kind kind, sqlite3_stmt **ret_statement);

/* Steps a statement that returns no rows, and resets it. */
int shx_statement_run(sqlite3_stmt *statement);

/* A statement for a cursor, which keeps it while it is open: of a kind, or of any text (freed here, NULL is out of
** memory). */
int shx_statement_lend(struct shx_table *table, shx_statement_kind kind, sqlite3_stmt **ret_statement);
int shx_statement_lend_text(struct shx_table *table, char *text, sqlite3_stmt **ret_statement);
void shx_statement_give_back(struct shx_table *table, sqlite3_stmt *statement);

/* Finalizes all of them, as after a change of the table's name. */
void shx_statements_clear(struct shx_table *table);

/* Runs a statement once (text as above). */
int shx_statement_once(struct shx_table *table, char *text);

/* Ends a text under construction: NULL when memory ran out, "" when nothing was written. */
char *shx_statement_finish(sqlite3_str *text);

/* A list made of `count` copies of a fragment with one number from `first` on, such as ", c0, c1"; sqlite3_free. */
char *shx_statement_list(const char *fragment, int first, uint32_t count);

#endif
