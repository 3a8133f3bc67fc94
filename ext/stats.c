#include "stats.h"

#include "figures.h"
#include "lookup.h"
#include "statement.h"
#include "statements.h"
#include "table.h"

#include <string.h>

enum { STATS_NAME, STATS_VALUE, STATS_UNIT, STATS_TABLE, STATS_SCHEMA };

typedef struct stats_table {
    sqlite3_vtab base;
    shx_connection *connection;
} stats_table;

typedef struct stats_cursor {
    sqlite3_vtab_cursor base;
    shx_figure figures[SHX_FIGURES_MAX];
    uint32_t count, at;
} stats_cursor;

static int stats_connect(sqlite3 *db, void *connection, int argument_count, const char *const *arguments,
                         sqlite3_vtab **ret_table, char **ret_message) {
    (void)argument_count, (void)arguments, (void)ret_message;
    int rc = sqlite3_declare_vtab(db, SHX_SQL_DECLARE_STATS);
    if (rc != SQLITE_OK) return rc;
    sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    stats_table *table = sqlite3_malloc64(sizeof *table);
    if (!table) return SQLITE_NOMEM;
    memset(table, 0, sizeof *table);
    table->connection = connection;
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int stats_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

/* The arguments arrive as equalities on the hidden columns; idxNum says which are there. */
static int stats_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    int given[2] = {-1, -1};
    for (int i = 0; i < info->nConstraint; i++) {
        int column = info->aConstraint[i].iColumn;
        if (column < STATS_TABLE || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
        given[column - STATS_TABLE] = i;
    }
    if (given[0] < 0) {
        sqlite3_free(vtab->zErrMsg);
        vtab->zErrMsg = sqlite3_mprintf("shardex_stats needs the name of a table: shardex_stats('t')");
        return SQLITE_ERROR;
    }
    for (int i = 0, argument = 1; i < 2; i++) {
        if (given[i] < 0) continue;
        info->aConstraintUsage[given[i]].argvIndex = argument++;
        info->aConstraintUsage[given[i]].omit = 1;
    }
    info->idxNum = given[1] >= 0;
    info->estimatedCost = SHX_FIGURES_MAX;
    info->estimatedRows = SHX_FIGURES_MAX;
    return SQLITE_OK;
}

static int stats_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **ret_cursor) {
    (void)vtab;
    stats_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
    if (!cursor) return SQLITE_NOMEM;
    memset(cursor, 0, sizeof *cursor);
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int stats_close(sqlite3_vtab_cursor *cursor) {
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* The failure's message is the table's, which gives it away. */
static int stats_take(stats_cursor *cursor, shx_table *table, char **ret_message) {
    sqlite3_stmt *held = NULL;
    shx_snapshot snapshot = {0};
    int rc = shx_lookup_hold(table, &held);
    if (rc == SQLITE_OK) rc = shx_snapshot_open(table, &snapshot);
    if (rc == SQLITE_OK) cursor->count = shx_figures_take(&snapshot, cursor->figures);
    shx_snapshot_close(&snapshot);
    shx_statement_give_back(table, held);
    if (rc == SQLITE_OK) return rc;
    *ret_message = table->base.zErrMsg;
    table->base.zErrMsg = NULL;
    return rc;
}

static int stats_filter(sqlite3_vtab_cursor *base, int with_schema, const char *text, int argument_count,
                        sqlite3_value **arguments) {
    (void)text, (void)argument_count;
    stats_cursor *cursor = (stats_cursor *)base;
    stats_table *stats = (stats_table *)base->pVtab;
    shx_table *table = NULL;
    char *message = NULL;
    cursor->at = cursor->count = 0;
    int rc = shx_lookup_table(stats->connection, arguments[0], with_schema ? arguments[1] : NULL, &table, &message);
    if (rc == SQLITE_OK) rc = stats_take(cursor, table, &message);
    if (rc == SQLITE_OK) return rc;
    sqlite3_free(base->pVtab->zErrMsg);
    base->pVtab->zErrMsg = message;
    return rc;
}

static int stats_next(sqlite3_vtab_cursor *base) {
    ((stats_cursor *)base)->at++;
    return SQLITE_OK;
}

static int stats_eof(sqlite3_vtab_cursor *base) {
    stats_cursor *cursor = (stats_cursor *)base;
    return cursor->at >= cursor->count;
}

static int stats_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    stats_cursor *cursor = (stats_cursor *)base;
    const shx_figure *figure = &cursor->figures[cursor->at];
    if (column == STATS_NAME) sqlite3_result_text(context, figure->name, -1, SQLITE_STATIC);
    if (column == STATS_UNIT) sqlite3_result_text(context, figure->unit, -1, SQLITE_STATIC);
    if (column != STATS_VALUE) return SQLITE_OK;
    if (figure->text) {
        sqlite3_result_text(context, figure->text, -1, SQLITE_STATIC);
    } else if (figure->value < 1e15 && (double)(sqlite3_int64)figure->value == figure->value) {
        sqlite3_result_int64(context, (sqlite3_int64)figure->value);
    } else {
        sqlite3_result_double(context, figure->value);
    }
    return SQLITE_OK;
}

static int stats_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    *ret_rowid = ((stats_cursor *)base)->at;
    return SQLITE_OK;
}

/* Without xCreate it exists in every schema without being created. */
static const sqlite3_module STATS_MODULE = {
    .xConnect = stats_connect,
    .xBestIndex = stats_best_index,
    .xDisconnect = stats_disconnect,
    .xOpen = stats_open,
    .xClose = stats_close,
    .xFilter = stats_filter,
    .xNext = stats_next,
    .xEof = stats_eof,
    .xColumn = stats_column,
    .xRowid = stats_rowid,
};

int shx_stats_register(shx_connection *connection) {
    return sqlite3_create_module_v2(connection->db, "shardex_stats", &STATS_MODULE, connection, NULL);
}
