#include "table.h"

#include "../engine/memory.h"
#include "affinity.h"
#include "drop.h"
#include "state_row.h"
#include "statements.h"
#include "transaction.h"

#include <stdarg.h>
#include <string.h>

static const char *const TABLE_SHADOWS[] = {"state", "rows", "vectors", "aux"};

int shx_table_error(shx_table *table, int rc, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    return rc;
}

int shx_table_enter(shx_table *table) {
    if (!shx_connection_forked(table->connection)) return SQLITE_OK;
    return shx_table_error(table, SQLITE_MISUSE, "%s", SHX_FORKED_MESSAGE);
}

int shx_table_failed(shx_table *table, int rc) {
    if (table->base.zErrMsg) return rc;
    bool own = (sqlite3_errcode(table->connection->db) & 0xff) == (rc & 0xff);
    const char *text = own ? sqlite3_errmsg(table->connection->db) : sqlite3_errstr(rc);
    return shx_table_error(table, rc, "shardex: table \"%s\": %s", table->name, text);
}

void shx_table_use(shx_table *table, shx_state *state) {
    if (state) state->tables++;
    if (table->state) table->state->tables--;
    table->state = state;
}

int shx_table_find(shx_connection *connection, const char *schema, const char *name, shx_table **ret_table) {
    char *text = sqlite3_mprintf(SHX_SQL_TOUCH_TABLE, schema, name);
    sqlite3_stmt *touch = NULL;
    int rc = text ? sqlite3_prepare_v2(connection->db, text, -1, &touch, NULL) : SQLITE_NOMEM;
    sqlite3_finalize(touch);
    sqlite3_free(text);
    if (rc != SQLITE_OK) return (rc & 0xff) == SQLITE_ERROR ? SQLITE_ERROR : rc;
    for (shx_table *table = connection->tables; table; table = table->next) {
        if (sqlite3_stricmp(table->schema, schema) != 0 || sqlite3_stricmp(table->name, name) != 0) continue;
        *ret_table = table;
        return SQLITE_OK;
    }
    return SQLITE_ERROR;
}

static void table_free(shx_table *table) {
    if (!table) return;
    shx_statements_clear(table);
    shx_table_use(table, NULL);
    shx_declaration_destroy(table->declaration);
    shx_free(table->slots);
    sqlite3_free(table->schema);
    sqlite3_free(table->name);
    sqlite3_free(table->base.zErrMsg);
    sqlite3_free(table);
}

/* Numbers the columns within their roles. */
static shx_status table_number_slots(shx_table *table) {
    uint32_t count = table->declaration->column_count, plain = 0, auxiliary = 0;
    table->slots = shx_alloc_zero(count, sizeof *table->slots);
    SHX_CHECK(table->slots, SHX_NOMEM);
    for (uint32_t i = 0; i < count; i++) {
        if (table->declaration->columns[i].role == SHX_COLUMN_PLAIN) table->slots[i] = plain++;
        if (table->declaration->columns[i].role == SHX_COLUMN_AUXILIARY) table->slots[i] = auxiliary++;
    }
    return SHX_OK;
}

static int table_declare(shx_table *table, int argument_count, const char *const *arguments, char **ret_message) {
    char *message = NULL;
    shx_status status = shx_declare(table->name, argument_count, arguments, &table->declaration, &message);
    if (status != SHX_OK) {
        if (message) *ret_message = sqlite3_mprintf("%s", message);
        shx_free(message);
        return shx_result_code(status);
    }
    char *text = shx_declaration_schema(table->declaration, table->name);
    if (!text || table_number_slots(table) != SHX_OK) {
        shx_free(text);
        return SQLITE_NOMEM;
    }
    table->columns = shx_declaration_columns(table->declaration);
    int rc = sqlite3_declare_vtab(table->connection->db, text);
    shx_free(text);
    if (rc != SQLITE_OK) *ret_message = sqlite3_mprintf("shardex: %s", sqlite3_errmsg(table->connection->db));
    return rc;
}

/* What xCreate and xConnect have in common: the object. arguments[0 … 2]: module, schema, table. */
static int table_open(void *connection, int argument_count, const char *const *arguments, shx_table **ret_table,
                      char **ret_message) {
    if (shx_connection_forked(connection)) {
        *ret_message = sqlite3_mprintf("%s", SHX_FORKED_MESSAGE);
        return SQLITE_MISUSE;
    }
    shx_table *table = sqlite3_malloc64(sizeof *table);
    if (!table) return SQLITE_NOMEM;
    memset(table, 0, sizeof *table);
    table->connection = connection;
    table->schema = sqlite3_mprintf("%s", arguments[1]);
    table->name = sqlite3_mprintf("%s", arguments[2]);
    int rc = table->schema && table->name ? SQLITE_OK : SQLITE_NOMEM;
    if (rc == SQLITE_OK) rc = table_declare(table, argument_count - 3, arguments + 3, ret_message);
    if (rc == SQLITE_OK) rc = sqlite3_vtab_config(table->connection->db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    if (rc != SQLITE_OK) {
        table_free(table);
        return rc;
    }
    shx_connection_settle(connection);
    *ret_table = table;
    return SQLITE_OK;
}

static void table_list(shx_table *table, sqlite3_vtab **ret_table) {
    table->next = table->connection->tables;
    table->connection->tables = table;
    *ret_table = &table->base;
}

static void table_unlist(shx_table *table) {
    shx_table **link = &table->connection->tables;
    while (*link != table) link = &(*link)->next;
    *link = table->next;
    if (!table->connection->tables) { /* sqlite3_close wants all statements gone after the last xDisconnect */
        sqlite3_finalize(table->connection->probe);
        table->connection->probe = NULL;
    }
}

/* The definitions of the plain or auxiliary columns, for CREATE TABLE. */
static char *table_definitions(const shx_table *table, shx_column_role role) {
    sqlite3_str *list = sqlite3_str_new(NULL);
    for (uint32_t i = 0; i < table->declaration->column_count; i++) {
        const shx_column *column = &table->declaration->columns[i];
        if (column->role != role) continue;
        const char *fragment = role == SHX_COLUMN_PLAIN ? SHX_SQL_PLAIN_DEFINITION : SHX_SQL_AUXILIARY_DEFINITION;
        sqlite3_str_appendf(list, fragment, (int)table->slots[i], shx_affinity_name(column->type));
    }
    return shx_statement_finish(list);
}

static int table_create_shadow(shx_table *table, const char *format, shx_column_role role) {
    char *definitions = table_definitions(table, role);
    if (!definitions) return SQLITE_NOMEM;
    int rc = shx_statement_once(table, sqlite3_mprintf(format, table->schema, table->name, definitions));
    sqlite3_free(definitions);
    return rc;
}

static int table_create_state(shx_table *table) {
    shx_id uuid, genesis;
    int rc = shx_statement_once(table, sqlite3_mprintf(SHX_SQL_CREATE_STATE, table->schema, table->name));
    if (rc == SQLITE_OK) rc = shx_state_genesis(table->declaration, &genesis);
    if (rc != SQLITE_OK) return rc;
    sqlite3_randomness(sizeof uuid.bytes, uuid.bytes);
    return shx_state_row_insert(table, &uuid, &genesis);
}

/* The shadow tables and the state row, in the transaction of the CREATE statement. The row comes at once: the tables
** that follow are savepoints to one that had this name before, and was rolled back, and it looks for its row here. */
static int table_create_shadows(shx_table *table) {
    int rc = table_create_state(table);
    if (rc == SQLITE_OK) rc = table_create_shadow(table, SHX_SQL_CREATE_ROWS, SHX_COLUMN_PLAIN);
    if (rc == SQLITE_OK) {
        rc = shx_statement_once(table, sqlite3_mprintf(SHX_SQL_CREATE_VECTORS, table->schema, table->name));
    }
    if (rc != SQLITE_OK || table->declaration->auxiliary_count == 0) return rc;
    return table_create_shadow(table, SHX_SQL_CREATE_AUX, SHX_COLUMN_AUXILIARY);
}

int shx_table_create(sqlite3 *db, void *connection, int argument_count, const char *const *arguments,
                     sqlite3_vtab **ret_table, char **ret_message) {
    shx_table *table;
    int rc = table_open(connection, argument_count, arguments, &table, ret_message);
    if (rc != SQLITE_OK) return rc;
    sqlite3_int64 last = sqlite3_last_insert_rowid(db);
    rc = table_create_shadows(table);
    if (rc == SQLITE_OK) rc = shx_transaction_join(table);
    sqlite3_set_last_insert_rowid(db, last);
    if (rc != SQLITE_OK) {
        const char *message = table->base.zErrMsg ? table->base.zErrMsg : sqlite3_errmsg(db);
        *ret_message = sqlite3_mprintf("shardex: table \"%s\" cannot be created: %s", table->name, message);
        table_free(table);
        return rc;
    }
    table_list(table, ret_table);
    return SQLITE_OK;
}

int shx_table_connect(sqlite3 *db, void *connection, int argument_count, const char *const *arguments,
                      sqlite3_vtab **ret_table, char **ret_message) {
    (void)db;
    shx_table *table;
    int rc = table_open(connection, argument_count, arguments, &table, ret_message);
    if (rc == SQLITE_OK) table_list(table, ret_table);
    return rc;
}

static void table_disconnect(shx_table *table) {
    shx_transaction_leave(table); /* when SQLite ran out of memory right after xCreate */
    table_unlist(table);
    table_free(table);
}

/* The tables of a detached database are disconnected at the next statement, whatever that is: time to let go of their
** files. */
int shx_table_disconnect(sqlite3_vtab *vtab) {
    shx_connection *connection = ((shx_table *)vtab)->connection;
    table_disconnect((shx_table *)vtab);
    shx_connection_reap(connection);
    return SQLITE_OK;
}

/* Which index is it? A table whose state row does not tell, or may not be read, can be dropped all the same. After any
** other failure SQLite may have rolled the transaction back: then nothing more may be done in it. */
static int table_open_state(shx_table *table) {
    shx_state_row row;
    int rc = table->joined ? SQLITE_OK : shx_state_row_open(table, &row), kind = rc & 0xff;
    if (kind != SQLITE_ERROR && kind != SQLITE_CORRUPT && kind != SQLITE_AUTH) return rc;
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = NULL;
    return SQLITE_OK;
}

int shx_table_destroy(sqlite3_vtab *vtab) {
    shx_table *table = (shx_table *)vtab;
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    int opened = table_open_state(table);
    if (opened != SQLITE_OK) return opened;
    if (table->state) table->state->busy = true;
    shx_statements_clear(table);
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof TABLE_SHADOWS / sizeof *TABLE_SHADOWS && rc == SQLITE_OK; i++) {
        rc = shx_statement_once(table,
                                sqlite3_mprintf(SHX_SQL_DROP_SHADOW, table->schema, table->name, TABLE_SHADOWS[i]));
    }
    if (table->state) table->state->busy = false;
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    if (table->state) {
        table->state->dropped = true;
        shx_drops_note(table->connection, table->state);
    }
    table_disconnect(table); /* what is dropped may come back */
    return SQLITE_OK;
}

/* Renames one shadow table; one that does not exist (no auxiliary columns) is none of our business. */
static int table_rename_shadow(shx_table *table, const char *shadow, const char *name) {
    return shx_statement_once(table,
                              sqlite3_mprintf(SHX_SQL_RENAME_SHADOW, table->schema, table->name, shadow, name, shadow));
}

/* A table with a name that its columns do not allow could not even be dropped. */
static int table_check_name(shx_table *table, const char *name) {
    char *message = NULL;
    shx_status status = shx_declaration_rename(table->declaration, name, &message);
    int rc = status == SHX_MISUSE ? shx_table_error(table, SQLITE_ERROR, "%s", message) : shx_result_code(status);
    shx_free(message);
    return rc;
}

int shx_table_rename(sqlite3_vtab *vtab, const char *name) {
    shx_table *table = (shx_table *)vtab;
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    int checked = table_check_name(table, name);
    if (checked != SQLITE_OK) return checked;
    char *copy = sqlite3_mprintf("%s", name);
    if (!copy) return SQLITE_NOMEM;
    bool auxiliary = table->declaration->auxiliary_count > 0;
    if (table->state) table->state->busy = true;
    shx_statements_clear(table);
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof TABLE_SHADOWS / sizeof *TABLE_SHADOWS && rc == SQLITE_OK; i++) {
        bool present = auxiliary || strcmp(TABLE_SHADOWS[i], "aux") != 0;
        if (present) rc = table_rename_shadow(table, TABLE_SHADOWS[i], name);
    }
    if (table->state) table->state->busy = false;
    if (rc != SQLITE_OK) {
        sqlite3_free(copy);
        return shx_table_failed(table, rc);
    }
    sqlite3_free(table->name);
    table->name = copy;
    return SQLITE_OK;
}

int shx_table_is_shadow(const char *suffix) {
    for (size_t i = 0; i < sizeof TABLE_SHADOWS / sizeof *TABLE_SHADOWS; i++) {
        if (sqlite3_stricmp(suffix, TABLE_SHADOWS[i]) == 0) return 1;
    }
    return 0;
}
