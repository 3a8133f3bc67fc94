#include "statement.h"

#include "statements.h"
#include "table.h"

#include <assert.h>
#include <string.h>

char *shx_statement_finish(sqlite3_str *text) {
    int rc = sqlite3_str_errcode(text);
    char *finished = sqlite3_str_finish(text);
    return finished || rc != SQLITE_OK ? finished : sqlite3_mprintf("");
}

char *shx_statement_list(const char *fragment, int first, uint32_t count) {
    sqlite3_str *list = sqlite3_str_new(NULL);
    for (uint32_t i = 0; i < count; i++) sqlite3_str_appendf(list, fragment, first + (int)i);
    return shx_statement_finish(list);
}

/* Texts that hold nothing but schema and table. */
static const char *statement_format(shx_statement_kind kind) {
    switch (kind) {
    case SHX_STATEMENT_READ_STATE: return SHX_SQL_READ_STATE;
    case SHX_STATEMENT_READ_RING: return SHX_SQL_READ_RING;
    case SHX_STATEMENT_WRITE_STATE: return SHX_SQL_WRITE_STATE;
    case SHX_STATEMENT_MARK_STATE: return SHX_SQL_MARK_STATE;
    case SHX_STATEMENT_PUT_VECTOR: return SHX_SQL_PUT_VECTOR;
    case SHX_STATEMENT_DELETE_ROW: return SHX_SQL_DELETE_ROW;
    case SHX_STATEMENT_DELETE_AUX: return SHX_SQL_DELETE_AUX;
    case SHX_STATEMENT_DELETE_VECTOR: return SHX_SQL_DELETE_VECTOR;
    case SHX_STATEMENT_READ_VECTOR: return SHX_SQL_READ_VECTOR;
    case SHX_STATEMENT_FIND_ROW: return SHX_SQL_FIND_ROW;
    case SHX_STATEMENT_COUNT_ROWS: return SHX_SQL_COUNT_ROWS;
    case SHX_STATEMENT_COUNT_ALL: return SHX_SQL_COUNT_ALL;
    case SHX_STATEMENT_WALK_ROWS: return SHX_SQL_WALK_ROWS;
    case SHX_STATEMENT_WALK_VECTORS: return SHX_SQL_WALK_VECTORS;
    case SHX_STATEMENT_WALK_AUX: return SHX_SQL_WALK_AUX;
    default: return NULL;
    }
}

/* Texts that hold the table's columns as well. */
static char *statement_column_text(const shx_table *table, shx_statement_kind kind) {
    bool plain = kind != SHX_STATEMENT_PUT_AUX && kind != SHX_STATEMENT_READ_AUX;
    uint32_t count = plain ? table->declaration->plain_count : table->declaration->auxiliary_count;
    char *names = shx_statement_list(plain ? SHX_SQL_PLAIN_NAME : SHX_SQL_AUXILIARY_NAME, 0, count);
    char *slots = shx_statement_list(SHX_SQL_VALUE_SLOT, plain ? 4 : 2, count);
    char *text = NULL;
    if (names && slots) {
        switch (kind) {
        case SHX_STATEMENT_INSERT_ROW:
            text = sqlite3_mprintf(SHX_SQL_INSERT_ROW, table->schema, table->name, names, slots);
            break;
        case SHX_STATEMENT_PUT_ROW:
            text = sqlite3_mprintf(SHX_SQL_PUT_ROW, table->schema, table->name, names, slots);
            break;
        case SHX_STATEMENT_PUT_AUX:
            text = sqlite3_mprintf(SHX_SQL_PUT_AUX, table->schema, table->name, names, slots);
            break;
        case SHX_STATEMENT_READ_ROW: text = sqlite3_mprintf(SHX_SQL_READ_ROW, names, table->schema, table->name); break;
        case SHX_STATEMENT_READ_AUX: text = sqlite3_mprintf(SHX_SQL_READ_AUX, names, table->schema, table->name); break;
        default: assert(!"a kind without columns");
        }
    }
    sqlite3_free(names);
    sqlite3_free(slots);
    return text;
}

static char *statement_text(const shx_table *table, shx_statement_kind kind) {
    const char *format = statement_format(kind);
    return format ? sqlite3_mprintf(format, table->schema, table->name) : statement_column_text(table, kind);
}

static int statement_prepare(shx_table *table, const char *text, sqlite3_stmt **ret_statement) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v3(table->connection->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (rc == SQLITE_OK) *ret_statement = statement;
    return rc;
}

int shx_statement_get(shx_table *table, shx_statement_kind kind, sqlite3_stmt **ret_statement) {
    sqlite3_stmt **kept = &table->statements.kept[kind];
    if (!*kept) {
        char *text = statement_text(table, kind);
        int rc = text ? statement_prepare(table, text, kept) : SQLITE_NOMEM;
        sqlite3_free(text);
        if (rc != SQLITE_OK) return rc;
    }
    assert(!sqlite3_stmt_busy(*kept));
    *ret_statement = *kept;
    return SQLITE_OK;
}

int shx_statement_run(sqlite3_stmt *statement) {
    int rc = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset;
}

/* An idle statement of the text, or a new one. */
static int statement_lend(shx_table *table, const char *text, sqlite3_stmt **ret_statement) {
    for (int i = 0; i < SHX_STATEMENT_IDLE; i++) {
        sqlite3_stmt *idle = table->statements.idle[i];
        if (!idle || strcmp(sqlite3_sql(idle), text) != 0) continue;
        table->statements.idle[i] = NULL;
        *ret_statement = idle;
        return SQLITE_OK;
    }
    return statement_prepare(table, text, ret_statement);
}

int shx_statement_lend_text(shx_table *table, char *text, sqlite3_stmt **ret_statement) {
    if (!text) return SQLITE_NOMEM;
    int rc = statement_lend(table, text, ret_statement);
    sqlite3_free(text);
    return rc;
}

int shx_statement_lend(shx_table *table, shx_statement_kind kind, sqlite3_stmt **ret_statement) {
    char **text = &table->statements.texts[kind];
    if (!*text) *text = statement_text(table, kind);
    return *text ? statement_lend(table, *text, ret_statement) : SQLITE_NOMEM;
}

void shx_statement_give_back(shx_table *table, sqlite3_stmt *statement) {
    if (!statement) return;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    sqlite3_stmt **idle = table->statements.idle;
    size_t last = 0;
    while (last < SHX_STATEMENT_IDLE - 1 && idle[last]) last++;
    sqlite3_finalize(idle[last]); /* when all are taken, the one that was idle longest */
    memmove(idle + 1, idle, last * sizeof *idle);
    idle[0] = statement;
}

void shx_statements_clear(shx_table *table) {
    for (int i = 0; i < SHX_STATEMENT_KINDS; i++) sqlite3_finalize(table->statements.kept[i]);
    for (int i = 0; i < SHX_STATEMENT_IDLE; i++) sqlite3_finalize(table->statements.idle[i]);
    for (int i = 0; i < SHX_STATEMENT_KINDS; i++) sqlite3_free(table->statements.texts[i]);
    memset(&table->statements, 0, sizeof table->statements);
}

int shx_statement_once(shx_table *table, char *text) {
    if (!text) return SQLITE_NOMEM;
    int rc = sqlite3_exec(table->connection->db, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return rc;
}
