#include "stats.h"

#include "figures.h"
#include "lookup.h"
#include "statements.h"
#include "table_function.h"

enum { STATS_NAME, STATS_VALUE, STATS_UNIT, STATS_COLUMNS };

typedef struct stats_rows {
    shx_rows rows;
    shx_figure figures[SHX_FIGURES_MAX];
} stats_rows;

static int stats_take(const shx_snapshot *snapshot, void *context) {
    stats_rows *stats = context;
    stats->rows.count = shx_figures_take(snapshot, stats->figures);
    return SQLITE_OK;
}

static int stats_begin(shx_rows *rows, sqlite3_value *const *arguments, char **ret_message) {
    return shx_lookup_visit(rows->owner, arguments[0], arguments[1], stats_take, rows, ret_message);
}

static int stats_column(shx_rows *rows, sqlite3_context *context, int column, char **ret_message) {
    const shx_figure *figure = &((stats_rows *)rows)->figures[rows->at];
    (void)ret_message;
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

static const shx_table_function STATS_FUNCTION = {
    .name = "shardex_stats",
    .declaration = SHX_SQL_DECLARE_STATS,
    .needs = "the name of a table: shardex_stats('t')",
    .columns = STATS_COLUMNS,
    .arguments = 2,
    .rows = SHX_FIGURES_MAX,
    .size = sizeof(stats_rows),
    .begin = stats_begin,
    .column = stats_column,
};

int shx_stats_register(shx_connection *connection) {
    return shx_table_function_register(connection->db, &STATS_FUNCTION, connection);
}
