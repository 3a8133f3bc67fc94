/* plain_table.h describes it. */
#include "plain_table.h"

enum { PLAIN_DISTANCE, PLAIN_QUERY, PLAIN_COUNT, PLAIN_MANNER, PLAIN_COLUMNS };

enum { MANNER_NEAREST, MANNER_WITHIN, MANNER_READY };

typedef struct {
    sqlite3_vtab base;
    const plain_source *source;
} plain_table;

typedef struct {
    sqlite3_vtab_cursor base;
    const plain_hit *hits;
    size_t position, count;
} plain_cursor;

static int table_connect(sqlite3 *db, void *source, int count, const char *const *arguments, sqlite3_vtab **ret_table,
                         char **ret_message) {
    (void)count, (void)arguments, (void)ret_message;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(distance REAL, query HIDDEN, amount HIDDEN, manner HIDDEN)");
    if (rc != SQLITE_OK) return rc;
    plain_table *table = need(calloc(1, sizeof *table));
    table->source = source;
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *table) {
    free(table);
    return SQLITE_OK;
}

/* The arguments of the table in their order; an argument is missing only at the end. */
static int table_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    for (int i = 0; i < info->nConstraint; i++) {
        int column = info->aConstraint[i].iColumn;
        if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
        if (column < PLAIN_QUERY || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        info->aConstraintUsage[i].argvIndex = column;
        info->aConstraintUsage[i].omit = 1;
    }
    info->estimatedCost = 1;
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor) {
    (void)table;
    plain_cursor *cursor = need(calloc(1, sizeof *cursor));
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *cursor) {
    free(cursor);
    return SQLITE_OK;
}

static int table_filter(sqlite3_vtab_cursor *base, int number, const char *text, int count, sqlite3_value **arguments) {
    (void)number, (void)text;
    plain_cursor *cursor = (plain_cursor *)base;
    const plain_source *source = ((plain_table *)base->pVtab)->source;
    int manner = count == PLAIN_MANNER ? sqlite3_value_int(arguments[2]) : MANNER_NEAREST;
    if (count < 2) return SQLITE_ERROR;
    const float *query = sqlite3_value_blob(arguments[0]);
    size_t amount = (size_t)sqlite3_value_int64(arguments[1]);
    cursor->hits = source->hits;
    cursor->position = 0;
    cursor->count = manner == MANNER_READY ? amount
                    : manner == MANNER_WITHIN
                        ? plain_within(source->rows, query, sqlite3_value_double(arguments[1]), source->hits)
                        : plain_search(source->rows, query, NULL, amount, source->hits);
    return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *base) {
    ((plain_cursor *)base)->position++;
    return SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *base) {
    const plain_cursor *cursor = (const plain_cursor *)base;
    return cursor->position >= cursor->count;
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const plain_cursor *cursor = (const plain_cursor *)base;
    if (column == PLAIN_DISTANCE) sqlite3_result_double(context, cursor->hits[cursor->position].distance);
    return SQLITE_OK;
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    const plain_cursor *cursor = (const plain_cursor *)base;
    *ret_rowid = (sqlite3_int64)cursor->hits[cursor->position].row + 1;
    return SQLITE_OK;
}

static const sqlite3_module TABLE_MODULE = {.xConnect = table_connect,
                                            .xBestIndex = table_best_index,
                                            .xDisconnect = table_disconnect,
                                            .xOpen = table_open,
                                            .xClose = table_close,
                                            .xFilter = table_filter,
                                            .xNext = table_next,
                                            .xEof = table_eof,
                                            .xColumn = table_column,
                                            .xRowid = table_rowid};

void plain_table_add(sqlite3 *db, const plain_source *source) {
    if (sqlite3_create_module(db, "plain_table", &TABLE_MODULE, (void *)source) != SQLITE_OK)
        fail("no table for plain.h");
}
