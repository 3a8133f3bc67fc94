#include "lookup.h"

#include "statement.h"
#include "statements.h"

#include <stdbool.h>
#include <string.h>

/* Without a schema: temp, then main, then the attached ones, as SQLite does. */
static int lookup_search(shx_connection *connection, const char *name, shx_table **ret_table) {
    sqlite3_stmt *databases = NULL;
    int found = shx_table_find(connection, "temp", name, ret_table);
    if (found != SQLITE_ERROR) return found;
    int rc = sqlite3_prepare_v2(connection->db, SHX_SQL_LIST_DATABASES, -1, &databases, NULL);
    while (rc == SQLITE_OK && found == SQLITE_ERROR && sqlite3_step(databases) == SQLITE_ROW) {
        const char *schema = (const char *)sqlite3_column_text(databases, 1);
        if (schema) found = shx_table_find(connection, schema, name, ret_table);
    }
    sqlite3_finalize(databases);
    return rc == SQLITE_OK ? found : rc;
}

static int lookup_find(shx_connection *connection, const char *name, const char *schema, shx_table **ret_table) {
    if (schema) return shx_table_find(connection, schema, name, ret_table);
    const char *point = strchr(name, '.');
    int rc = lookup_search(connection, name, ret_table);
    if (rc != SQLITE_ERROR || !point) return rc;
    char *prefix = sqlite3_mprintf("%.*s", (int)(point - name), name);
    rc = prefix ? shx_table_find(connection, prefix, point + 1, ret_table) : SQLITE_NOMEM;
    sqlite3_free(prefix);
    return rc;
}

int shx_lookup_table(shx_connection *connection, sqlite3_value *name_value, sqlite3_value *schema_value,
                     shx_table **ret_table, char **ret_message) {
    const char *name = (const char *)sqlite3_value_text(name_value);
    const char *schema = schema_value ? (const char *)sqlite3_value_text(schema_value) : NULL;
    int rc = SQLITE_ERROR;
    shx_connection_settle_new(connection);
    if (name && (schema || !schema_value)) rc = lookup_find(connection, name, schema, ret_table);
    if (rc == SQLITE_OK) return rc;
    bool none = rc == SQLITE_ERROR; /* else it could not be seen whether there is one */
    *ret_message = none ? sqlite3_mprintf("shardex: there is no shardex table \"%s\"", name ? name : "")
                        : sqlite3_mprintf("shardex: table \"%s\": %s", name, sqlite3_errstr(rc));
    return *ret_message ? rc : SQLITE_NOMEM;
}

int shx_lookup_hold(shx_table *table, sqlite3_stmt **ret_held) {
    int rc = shx_statement_lend(table, SHX_STATEMENT_READ_STATE, ret_held);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    int step = sqlite3_step(*ret_held);
    if (step == SQLITE_ROW) return SQLITE_OK;
    rc = sqlite3_reset(*ret_held);
    return shx_table_failed(table, step == SQLITE_DONE ? SQLITE_CORRUPT_VTAB : rc);
}

/* The failure's message is the table's, which gives it away. */
static int lookup_show(shx_table *table, int (*take)(const shx_snapshot *snapshot, void *context), void *context,
                       char **ret_message) {
    sqlite3_stmt *held = NULL;
    shx_snapshot snapshot = {0};
    int rc = shx_lookup_hold(table, &held);
    if (rc == SQLITE_OK) rc = shx_snapshot_open(table, &snapshot);
    if (rc == SQLITE_OK) rc = take(&snapshot, context);
    shx_snapshot_close(&snapshot);
    shx_statement_give_back(table, held);
    if (rc == SQLITE_OK) return rc;
    *ret_message = table->base.zErrMsg;
    table->base.zErrMsg = NULL;
    return rc;
}

int shx_lookup_visit(shx_connection *connection, sqlite3_value *name, sqlite3_value *schema,
                     int (*take)(const shx_snapshot *snapshot, void *context), void *context, char **ret_message) {
    shx_table *table = NULL;
    if (shx_connection_forked(connection)) {
        *ret_message = sqlite3_mprintf(SHX_FORKED_MESSAGE);
        return SQLITE_MISUSE;
    }
    int rc = shx_lookup_table(connection, name, schema, &table, ret_message);
    return rc == SQLITE_OK ? lookup_show(table, take, context, ret_message) : rc;
}
