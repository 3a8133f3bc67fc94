/* The virtual table object: one for each table of a connection, made and thrown away by SQLite as it pleases.
*/
#ifndef SHX_TABLE_H
#define SHX_TABLE_H

#include "sqlite_api.h"

#include "connection.h"
#include "declare.h"
#include "statement.h"

/* What a table's state row says. */
typedef struct shx_state_row {
    shx_id uuid, commit;
    int64_t operations; /* of a transaction that is under way; see transaction.c */
} shx_state_row;

typedef struct shx_table {
    sqlite3_vtab base;
    struct shx_table *next; /* of the connection's tables */
    shx_connection *connection;
    char *schema, *name;
    shx_declaration *declaration;
    shx_schema_columns columns;
    uint32_t *slots; /* of declaration->columns[i] within its role: c0, c1, … or a0, a1, … */
    shx_statements statements;
    shx_state_row known;       /* the state row of … */
    uint32_t known_version;    /* … this version of the database's content (state_row.c) */
    bool knows;                /* is there any? */
    uint32_t next_version;     /* the one that the commit under way leads to, if it is the only one */
    shx_state *state;          /* NULL until the table was used */
    bool joined;               /* takes part in the write transaction of its state */
    int announced;             /* the innermost savepoint that it was told of; -1: none */
} shx_table;

/* Module methods. */
int shx_table_create(sqlite3 *db, void *connection, int argument_count, const char *const *arguments,
                     sqlite3_vtab **ret_table, char **ret_message);
int shx_table_connect(sqlite3 *db, void *connection, int argument_count, const char *const *arguments,
                      sqlite3_vtab **ret_table, char **ret_message);
int shx_table_disconnect(sqlite3_vtab *vtab);
int shx_table_destroy(sqlite3_vtab *vtab);
int shx_table_rename(sqlite3_vtab *vtab, const char *name);
int shx_table_is_shadow(const char *suffix);

/* The shardex table of this name, connected if need be; the newest when ALTER TABLE RENAME has left an older one. An
** SQLite result code: SQLITE_ERROR when there is none, another when that could not be seen. */
int shx_table_find(shx_connection *connection, const char *schema, const char *name, shx_table **ret_table);

/* Makes `state` the table's. */
void shx_table_use(shx_table *table, shx_state *state);

/* Sets the table's error message (a format of sqlite3_mprintf) and returns rc. */
int shx_table_error(shx_table *table, int rc, const char *format, ...);

/* The same with the connection's present message, for a failure of an own statement; a message that is there stays. */
int shx_table_failed(shx_table *table, int rc);

/* SQLITE_MISUSE with a message in a forked child, else SQLITE_OK: first thing in every method that does something. */
int shx_table_enter(shx_table *table);

#endif
