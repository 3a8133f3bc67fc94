#include "database_search.h"

#include "../engine/memory.h"
#include "statements.h"

#include <string.h>

#define DATABASE_INTERRUPT_ROWS 256 /* a power of two */

/* Compares the vector in a column of a statement with the query. It is copied first: SQLite's may be unaligned. */
static int database_compare(shx_table *table, sqlite3_stmt *statement, int column, int64_t rowid, const void *query,
                            void *copy, shx_topk *hits) {
    const shx_declaration *declaration = table->declaration;
    size_t size = shx_declaration_vector_bytes(declaration);
    const void *vector = sqlite3_column_blob(statement, column);
    if (!vector || (size_t)sqlite3_column_bytes(statement, column) != size) {
        return shx_table_error(table, SQLITE_CORRUPT_VTAB, "shardex: table \"%s\" has no valid vector for row %lld",
                               table->name, rowid);
    }
    memcpy(copy, vector, size);
    double distance = shx_distance(declaration->metric, declaration->element, query, copy, declaration->dim);
    return shx_result_code(shx_topk_insert(hits, distance, rowid));
}

static bool database_stop(shx_table *table, uint64_t *seen) {
    return ((*seen)++ & (DATABASE_INTERRUPT_ROWS - 1)) == DATABASE_INTERRUPT_ROWS - 1 &&
           shx_connection_interrupted(table->connection);
}

static int database_sort(shx_table *table, shx_topk *hits) {
    shx_stop stop = shx_connection_stop(table->connection);
    return shx_result_code(shx_topk_sort(hits, &stop));
}

/* A scan of all rows, in the order of their ids. */
static int database_scan(shx_filter *filter, sqlite3_stmt *rows, const void *query, void *copy, shx_topk *hits) {
    shx_table *table = filter->table;
    uint64_t seen = 0, at = 0;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && sqlite3_step(rows) == SQLITE_ROW) {
        int64_t rowid = sqlite3_column_int64(rows, 0);
        if (database_stop(table, &seen)) return SQLITE_INTERRUPT;
        if (filter->restricted) {
            while (at < filter->named.count && filter->named.rowids[at] < rowid) at++;
            if (at == filter->named.count) break;
            if (filter->named.rowids[at] != rowid) continue;
        }
        rc = database_compare(table, rows, 1, rowid, query, copy, hits);
    }
    return rc;
}

int shx_database_search(shx_filter *filter, const void *query, uint64_t k, shx_topk *ret_hits) {
    shx_table *table = filter->table;
    shx_topk_reset(ret_hits, k);
    int rc = shx_filter_write(filter);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    void *copy = shx_alloc_aligned(shx_declaration_vector_bytes(table->declaration), 1);
    if (!copy) return SQLITE_NOMEM;
    bool all = !filter->where;
    char *text = all ? sqlite3_mprintf(SHX_SQL_WALK_VECTORS, table->schema, table->name)
                     : sqlite3_mprintf(SHX_SQL_SCAN_VECTORS, table->schema, table->name, table->schema, table->name,
                                       shx_filter_where(filter));
    sqlite3_stmt *rows = NULL;
    rc = shx_statement_lend_text(table, text, &rows);
    if (rc == SQLITE_OK) rc = shx_filter_bind(filter, rows);
    if (rc == SQLITE_OK) rc = database_scan(filter, rows, query, copy, ret_hits);
    if (rc == SQLITE_OK) rc = sqlite3_reset(rows);
    shx_statement_give_back(table, rows);
    shx_free_aligned(copy);
    if (rc == SQLITE_OK) rc = database_sort(table, ret_hits);
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}

/* One row of the set, if it is there and satisfies the rest. */
static int database_look_up(shx_filter *filter, sqlite3_stmt *reader, int64_t rowid, const void *query, void *copy,
                            shx_topk *hits) {
    bool accepted;
    int rc = shx_filter_test(filter, rowid, &accepted);
    if (rc != SQLITE_OK || !accepted) return rc;
    sqlite3_bind_int64(reader, 1, rowid);
    if (sqlite3_step(reader) == SQLITE_ROW) {
        rc = database_compare(filter->table, reader, 0, rowid, query, copy, hits);
    }
    int reset = sqlite3_reset(reader);
    return rc == SQLITE_OK ? reset : rc;
}

int shx_database_search_set(shx_filter *filter, const void *query, uint64_t k, shx_topk *ret_hits) {
    shx_table *table = filter->table;
    shx_topk_reset(ret_hits, k);
    void *copy = shx_alloc_aligned(shx_declaration_vector_bytes(table->declaration), 1);
    if (!copy) return SQLITE_NOMEM;
    sqlite3_stmt *reader = NULL;
    int rc = shx_statement_lend(table, SHX_STATEMENT_READ_VECTOR, &reader);
    uint64_t seen = 0;
    for (uint64_t i = 0; i < filter->named.count && rc == SQLITE_OK; i++) {
        rc = database_stop(table, &seen)
                 ? SQLITE_INTERRUPT
                 : database_look_up(filter, reader, filter->named.rowids[i], query, copy, ret_hits);
    }
    shx_statement_give_back(table, reader);
    shx_free_aligned(copy);
    if (rc == SQLITE_OK) rc = database_sort(table, ret_hits);
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}
