#include "lookup.h"

#include "statements.h"

#include <string.h>

/* Without a schema: temp, then main, then the attached ones, as SQLite does. */
static shx_table *lookup_search(shx_connection *connection, const char *name) {
    shx_table *table = shx_table_find(connection, "temp", name);
    sqlite3_stmt *databases = NULL;
    if (table || sqlite3_prepare_v2(connection->db, SHX_SQL_LIST_DATABASES, -1, &databases, NULL)) return table;
    while (!table && sqlite3_step(databases) == SQLITE_ROW) {
        const char *schema = (const char *)sqlite3_column_text(databases, 1);
        if (schema) table = shx_table_find(connection, schema, name);
    }
    sqlite3_finalize(databases);
    return table;
}

shx_table *shx_lookup_table(shx_connection *connection, const char *name, const char *schema) {
    if (!name) return NULL;
    if (schema) return shx_table_find(connection, schema, name);
    const char *point = strchr(name, '.');
    shx_table *table = lookup_search(connection, name);
    char *prefix = !table && point ? sqlite3_mprintf("%.*s", (int)(point - name), name) : NULL;
    if (prefix) table = shx_table_find(connection, prefix, point + 1);
    sqlite3_free(prefix);
    return table;
}

int shx_lookup_hold(shx_table *table, sqlite3_stmt **ret_held) {
    int rc = shx_statement_lend(table, SHX_STATEMENT_READ_STATE, ret_held);
    if (rc == SQLITE_OK && sqlite3_step(*ret_held) != SQLITE_ROW) rc = SQLITE_CORRUPT_VTAB;
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}
