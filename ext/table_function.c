#include "table_function.h"

#include <assert.h>
#include <string.h>

/* What a module of SQLite is registered with. */
typedef struct function_module {
    const shx_table_function *function;
    void *owner;
} function_module;

typedef struct function_table {
    sqlite3_vtab base;
    const shx_table_function *function;
    void *owner;
} function_table;

static const shx_table_function *function_of(const shx_rows *rows) {
    return ((const function_table *)rows->base.pVtab)->function;
}

/* A message takes the place of the one before. */
static int function_tell(sqlite3_vtab *table, int rc, char *message) {
    if (!message) return rc;
    sqlite3_free(table->zErrMsg);
    table->zErrMsg = message;
    return rc;
}

static int function_connect(sqlite3 *db, void *registered, int argument_count, const char *const *arguments,
                            sqlite3_vtab **ret_table, char **ret_message) {
    const function_module *module = registered;
    (void)argument_count, (void)arguments, (void)ret_message;
    int rc = sqlite3_declare_vtab(db, module->function->declaration);
    if (rc != SQLITE_OK) return rc;
    sqlite3_vtab_config(db, module->function->innocuous ? SQLITE_VTAB_INNOCUOUS : SQLITE_VTAB_DIRECTONLY);
    function_table *table = sqlite3_malloc64(sizeof *table);
    if (!table) return SQLITE_NOMEM;
    *table = (function_table){.function = module->function, .owner = module->owner};
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int function_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

/* idxNum tells which arguments are there, a bit for each. */
static int function_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    const shx_table_function *function = ((function_table *)table)->function;
    int given[SHX_TABLE_ARGUMENTS] = {-1, -1};
    for (int i = 0; i < info->nConstraint; i++) {
        int argument = info->aConstraint[i].iColumn - function->columns;
        if (argument < 0 || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
        given[argument] = i;
    }
    if (given[0] < 0) {
        return function_tell(table, SQLITE_ERROR, sqlite3_mprintf("%s needs %s", function->name, function->needs));
    }
    info->idxNum = 0;
    for (int i = 0, position = 1; i < function->arguments; i++) {
        if (given[i] < 0) continue;
        info->aConstraintUsage[given[i]].argvIndex = position++;
        info->aConstraintUsage[given[i]].omit = 1;
        info->idxNum |= 1 << i;
    }
    info->estimatedCost = (double)function->rows;
    info->estimatedRows = function->rows;
    return SQLITE_OK;
}

static int function_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor) {
    const function_table *table = (const function_table *)base;
    assert(table->function->arguments <= SHX_TABLE_ARGUMENTS && table->function->size >= sizeof(shx_rows));
    shx_rows *rows = sqlite3_malloc64(table->function->size);
    if (!rows) return SQLITE_NOMEM;
    memset(rows, 0, table->function->size);
    rows->owner = table->owner;
    *ret_cursor = &rows->base;
    return SQLITE_OK;
}

/* As function_open left it. */
static void function_clear(shx_rows *rows) {
    const shx_table_function *function = function_of(rows);
    if (function->end) function->end(rows);
    shx_rows kept = *rows;
    memset(rows, 0, function->size);
    rows->base = kept.base;
    rows->owner = kept.owner;
}

static int function_close(sqlite3_vtab_cursor *cursor) {
    function_clear((shx_rows *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int function_filter(sqlite3_vtab_cursor *cursor, int given, const char *text, int argument_count,
                           sqlite3_value **arguments) {
    shx_rows *rows = (shx_rows *)cursor;
    sqlite3_value *all[SHX_TABLE_ARGUMENTS] = {0};
    char *message = NULL;
    (void)text, (void)argument_count;
    for (int i = 0, position = 0; i < SHX_TABLE_ARGUMENTS; i++) {
        if (given >> i & 1) all[i] = arguments[position++];
    }
    function_clear(rows);
    int rc = function_of(rows)->begin(rows, all, &message);
    if (rc != SQLITE_OK) rows->count = 0;
    return function_tell(cursor->pVtab, rc, message);
}

static int function_next(sqlite3_vtab_cursor *cursor) {
    ((shx_rows *)cursor)->at++;
    return SQLITE_OK;
}

static int function_eof(sqlite3_vtab_cursor *cursor) {
    const shx_rows *rows = (const shx_rows *)cursor;
    return rows->at >= rows->count;
}

static int function_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    shx_rows *rows = (shx_rows *)cursor;
    char *message = NULL;
    if (column >= function_of(rows)->columns) return SQLITE_OK; /* arguments are not given back */
    int rc = function_of(rows)->column(rows, context, column, &message);
    if (message) sqlite3_result_error(context, message, -1);
    sqlite3_free(message);
    return rc;
}

static int function_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret_rowid) {
    *ret_rowid = ((const shx_rows *)cursor)->at;
    return SQLITE_OK;
}

/* Without xCreate it exists in every schema without being created. */
static const sqlite3_module FUNCTION_MODULE = {
    .xConnect = function_connect,
    .xBestIndex = function_best_index,
    .xDisconnect = function_disconnect,
    .xOpen = function_open,
    .xClose = function_close,
    .xFilter = function_filter,
    .xNext = function_next,
    .xEof = function_eof,
    .xColumn = function_column,
    .xRowid = function_rowid,
};

int shx_table_function_register(sqlite3 *db, const shx_table_function *function, void *owner) {
    function_module *module = sqlite3_malloc64(sizeof *module);
    if (!module) return SQLITE_NOMEM;
    *module = (function_module){function, owner};
    return sqlite3_create_module_v2(db, function->name, &FUNCTION_MODULE, module, sqlite3_free);
}
