#include "cursor.h"

#include "column_value.h"
#include "knn.h"
#include "statements.h"
#include "table.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define CURSOR_SPARE_HITS 16384  /* searches for more leave their memory to one cursor of a connection only, … */
#define CURSOR_LARGE_HITS 524288 /* … and for more than that to none */

/* The shadow tables from which a cursor reads the columns of its row. */
typedef enum cursor_source {
    CURSOR_NARROW,
    CURSOR_AUXILIARY,
    CURSOR_VECTOR,
    CURSOR_SOURCES,
} cursor_source;

typedef struct shx_cursor {
    sqlite3_vtab_cursor base;
    bool nearest, end;
    int64_t rowid;
    double distance;
    shx_knn knn;                           /* nearest: the search; its filter serves scans as well */
    sqlite3_stmt *rows;                    /* otherwise: the scan, standing on the row */
    sqlite3_stmt *readers[CURSOR_SOURCES]; /* by rowid; standing on the row when `placed` */
    bool placed[CURSOR_SOURCES];
    bool has_k;
    int64_t k;
    shx_plan_read plan;
} shx_cursor;

static shx_table *cursor_table(const shx_cursor *cursor) { return (shx_table *)cursor->base.pVtab; }

/* A closed cursor, or a new one. */
int shx_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **ret_cursor) {
    shx_connection *connection = ((shx_table *)vtab)->connection;
    shx_cursor *cursor;
    if (connection->spare_count > 0) {
        cursor = connection->spares[--connection->spare_count];
    } else {
        cursor = sqlite3_malloc64(sizeof *cursor);
        if (!cursor) return SQLITE_NOMEM;
        memset(cursor, 0, sizeof *cursor);
    }
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

void shx_cursor_free(shx_cursor *cursor) {
    shx_knn_free(&cursor->knn);
    shx_plan_read_free(&cursor->plan);
    sqlite3_free(cursor);
}

/* Leaves the present row. */
static void cursor_leave_row(shx_cursor *cursor) {
    for (int i = 0; i < CURSOR_SOURCES; i++) {
        if (cursor->placed[i]) sqlite3_reset(cursor->readers[i]);
        cursor->placed[i] = false;
    }
}

/* Back to before xFilter. */
static void cursor_rewind(shx_cursor *cursor) {
    cursor_leave_row(cursor);
    shx_statement_give_back(cursor_table(cursor), cursor->rows);
    cursor->rows = NULL;
    shx_knn_end(&cursor->knn);
    cursor->knn.wish = (shx_knn_wish){.count = SHX_KNN_ALL};
    cursor->nearest = cursor->has_k = false;
    cursor->end = true;
}

/* Whether a closed cursor, with all its memory, is to wait for the next statement. */
static bool cursor_is_spare(const shx_connection *connection, const shx_cursor *cursor) {
    if (connection->spare_count == SHX_SPARES || cursor->knn.hits.capacity > CURSOR_LARGE_HITS) return false;
    if (cursor->knn.hits.capacity <= CURSOR_SPARE_HITS) return true;
    for (int i = 0; i < connection->spare_count; i++) {
        if (connection->spares[i]->knn.hits.capacity > CURSOR_SPARE_HITS) return false;
    }
    return true;
}

int shx_cursor_close(sqlite3_vtab_cursor *vtab_cursor) {
    shx_cursor *cursor = (shx_cursor *)vtab_cursor;
    shx_connection *connection = cursor_table(cursor)->connection;
    cursor_rewind(cursor);
    for (int i = 0; i < CURSOR_SOURCES; i++) {
        shx_statement_give_back(cursor_table(cursor), cursor->readers[i]);
        cursor->readers[i] = NULL;
    }
    if (cursor_is_spare(connection, cursor)) {
        connection->spares[connection->spare_count++] = cursor;
    } else {
        shx_cursor_free(cursor);
    }
    return SQLITE_OK;
}

/* ---- arguments ---- */

/* Says what is wrong with the vector of a query; `message` may be NULL. */
static void cursor_refuse(shx_table *table, sqlite3_value *argument, int rc, const char *message) {
    const shx_declaration *declaration = table->declaration;
    const char *name = declaration->columns[declaration->vector_column].name;
    shx_element other;
    if (message && shx_vector_is_other(argument, declaration->element, &other)) {
        shx_table_error(table, rc,
                        "Query vector for the \"%s\" column is expected to be of type %s, but a %s vector was "
                        "provided.",
                        name, shx_element_name(declaration->element), shx_element_name(other));
    } else if (message) {
        shx_table_error(table, rc, "Query vector on the \"%s\" column is invalid: %s", name, message);
    }
}

static int cursor_match(shx_cursor *cursor, sqlite3_value *argument) {
    shx_table *table = cursor_table(cursor);
    const shx_declaration *declaration = table->declaration;
    const char *name = declaration->columns[declaration->vector_column].name;
    char *message = NULL;
    bool taken = false;
    int rc = SQLITE_OK;
    if (shx_vector_stands(argument, declaration->element, declaration->dim)) {
        const void *bytes = sqlite3_value_blob(argument);
        if (!bytes) return SQLITE_NOMEM;
        rc = shx_knn_take_query(&cursor->knn, bytes, declaration->element, declaration->dim, &taken);
    }
    if (taken || rc != SQLITE_OK) return rc;
    rc = shx_vector_read_as(argument, declaration->element, &cursor->knn.query, &message);
    if (rc != SQLITE_OK) {
        cursor_refuse(table, argument, rc, message);
        sqlite3_free(message);
        return rc;
    }
    if (cursor->knn.query.dim == declaration->dim) return SQLITE_OK;
    return shx_table_error(table, SQLITE_ERROR,
                           "Dimension mismatch for query vector for the \"%s\" column. Expected %u dimensions but "
                           "received %u.%s",
                           name, declaration->dim, cursor->knn.query.dim,
                           shx_vector_hint(argument, &cursor->knn.query, declaration->dim));
}

/* Sets the number of rows to the smaller of what it is and `count`. */
static void cursor_lower_count(shx_cursor *cursor, uint64_t count) {
    if (count < cursor->knn.wish.count) cursor->knn.wish.count = count;
}

static int cursor_k(shx_cursor *cursor, sqlite3_value *argument) {
    shx_table *table = cursor_table(cursor);
    int type = sqlite3_value_numeric_type(argument);
    bool whole = type == SQLITE_INTEGER;
    if (type == SQLITE_FLOAT) {
        double real = sqlite3_value_double(argument);
        whole = real == floor(real) && fabs(real) < 9e18;
    }
    if (!whole) {
        return shx_table_error(table, SQLITE_ERROR, "shardex: k must be an integer, not %!.40s",
                               shx_column_words(argument));
    }
    cursor->k = sqlite3_value_int64(argument);
    cursor->has_k = true;
    if (cursor->k < 0) {
        return shx_table_error(table, SQLITE_ERROR, "k value in knn queries must be greater than or equal to 0.");
    }
    cursor_lower_count(cursor, (uint64_t)cursor->k);
    return SQLITE_OK;
}

static int cursor_recall(shx_cursor *cursor, sqlite3_value *argument) {
    int type = sqlite3_value_numeric_type(argument);
    double recall = sqlite3_value_double(argument);
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    if (!number || !(recall > 0 && recall <= 1)) {
        return shx_table_error(cursor_table(cursor), SQLITE_ERROR,
                               "shardex: recall must be a number greater than 0 and at most 1, not %!.40s",
                               shx_column_words(argument));
    }
    cursor->knn.wish.recall = recall;
    return SQLITE_OK;
}

static int cursor_exact(shx_cursor *cursor, sqlite3_value *argument) {
    int type = sqlite3_value_numeric_type(argument);
    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) {
        return shx_table_error(cursor_table(cursor), SQLITE_ERROR, "shardex: exact must be 0 or 1, not %!.40s",
                               shx_column_words(argument));
    }
    cursor->knn.wish.exact = sqlite3_value_double(argument) != 0;
    return SQLITE_OK;
}

/* LIMIT and OFFSET as SQLite understands them: a negative limit is none, a negative offset is 0. It counts both itself;
** where it may drop some of the rows, they do not end the search. */
static void cursor_limit(shx_cursor *cursor, int64_t limit, int64_t offset) {
    if (limit < 0 || cursor->knn.filter.loose) return;
    cursor_lower_count(cursor, (uint64_t)limit + (offset > 0 ? (uint64_t)offset : 0));
}

/* Reads the plan's terms with their arguments into filter and wish. */
static int cursor_read_terms(shx_cursor *cursor, sqlite3_value **arguments, int count) {
    int64_t limit = -1, offset = 0;
    int rc = SQLITE_OK;
    if (cursor->plan.count > (uint64_t)count) return SQLITE_INTERNAL;
    for (uint64_t i = 0; rc == SQLITE_OK && i < cursor->plan.count; i++) {
        const shx_term *term = &cursor->plan.terms[i];
        switch (term->subject) {
        case SHX_SUBJECT_MATCH: rc = cursor_match(cursor, arguments[i]); break;
        case SHX_SUBJECT_K: rc = cursor_k(cursor, arguments[i]); break;
        case SHX_SUBJECT_LIMIT: limit = sqlite3_value_int64(arguments[i]); break;
        case SHX_SUBJECT_OFFSET: offset = sqlite3_value_int64(arguments[i]); break;
        case SHX_SUBJECT_RECALL: rc = cursor_recall(cursor, arguments[i]); break;
        case SHX_SUBJECT_EXACT: rc = cursor_exact(cursor, arguments[i]); break;
        default: rc = shx_filter_add(&cursor->knn.filter, term, arguments[i]); break;
        }
    }
    cursor_limit(cursor, limit, offset);
    return rc;
}

/* ---- going on ---- */

static int cursor_start_scan(shx_cursor *cursor, shx_order order) {
    shx_table *table = cursor_table(cursor);
    int rc = shx_filter_write(&cursor->knn.filter);
    if (rc != SQLITE_OK) return rc;
    char *names = shx_statement_list(SHX_SQL_PLAIN_NAME, 0, table->declaration->plain_count);
    if (!names) return SQLITE_NOMEM;
    char *text = sqlite3_mprintf(SHX_SQL_SCAN_ROWS, names, table->schema, table->name,
                                 shx_filter_where(&cursor->knn.filter),
                                 order == SHX_ORDER_ROWID_DESC ? SHX_SQL_ORDER_DOWN : SHX_SQL_ORDER_UP);
    sqlite3_free(names);
    rc = shx_statement_lend_text(table, text, &cursor->rows);
    return rc == SQLITE_OK ? shx_filter_bind(&cursor->knn.filter, cursor->rows) : rc;
}

static int cursor_step_scan(shx_cursor *cursor) {
    int step = sqlite3_step(cursor->rows);
    cursor->end = step != SQLITE_ROW;
    if (!cursor->end) cursor->rowid = sqlite3_column_int64(cursor->rows, 0);
    return cursor->end ? sqlite3_reset(cursor->rows) : SQLITE_OK;
}

static int cursor_step_knn(shx_cursor *cursor) {
    shx_hit hit;
    bool found;
    int rc = shx_knn_next(&cursor->knn, &hit, &found);
    cursor->end = rc != SQLITE_OK || !found;
    if (cursor->end) return rc;
    cursor->rowid = hit.rowid;
    cursor->distance = hit.distance;
    return SQLITE_OK;
}

static int cursor_step(shx_cursor *cursor) {
    int rc = cursor->nearest ? cursor_step_knn(cursor) : cursor_step_scan(cursor);
    return rc == SQLITE_OK ? rc : shx_table_failed(cursor_table(cursor), rc);
}

int shx_cursor_filter(sqlite3_vtab_cursor *vtab_cursor, int number, const char *text, int argument_count,
                      sqlite3_value **arguments) {
    (void)number;
    shx_cursor *cursor = (shx_cursor *)vtab_cursor;
    shx_table *table = cursor_table(cursor);
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    cursor_rewind(cursor);
    shx_connection_settle_new(table->connection);
    shx_status status = text ? shx_plan_read_all(&cursor->plan, text) : SHX_MISUSE;
    if (status != SHX_OK) return status == SHX_NOMEM ? SQLITE_NOMEM : SQLITE_INTERNAL;
    shx_way way = cursor->plan.way;
    shx_order order = cursor->plan.order;
    cursor->nearest = way == SHX_WAY_KNN || way == SHX_WAY_STREAM;
    cursor->knn.table = table;
    shx_filter_init(&cursor->knn.filter, table, cursor->nearest);
    int rc = cursor_read_terms(cursor, arguments, argument_count);
    cursor->knn.wish.sorted = order == SHX_ORDER_DISTANCE;
    if (rc == SQLITE_OK && !cursor->nearest) rc = cursor_start_scan(cursor, order);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    rc = cursor_step(cursor);
    if (rc == SQLITE_OK && !cursor->knn.complete) rc = shx_filter_write(&cursor->knn.filter); /* for later rounds */
    shx_filter_forget_late(&cursor->knn.filter);
    return rc;
}

int shx_cursor_next(sqlite3_vtab_cursor *vtab_cursor) {
    shx_cursor *cursor = (shx_cursor *)vtab_cursor;
    cursor_leave_row(cursor);
    return cursor_step(cursor);
}

int shx_cursor_eof(sqlite3_vtab_cursor *vtab_cursor) { return ((shx_cursor *)vtab_cursor)->end; }

int shx_cursor_rowid(sqlite3_vtab_cursor *vtab_cursor, sqlite3_int64 *ret_rowid) {
    *ret_rowid = ((shx_cursor *)vtab_cursor)->rowid;
    return SQLITE_OK;
}

/* ---- columns ---- */

/* Places a reader on the cursor's row. */
static int cursor_read(shx_cursor *cursor, cursor_source source, sqlite3_stmt **ret_reader) {
    static const shx_statement_kind kinds[] = {SHX_STATEMENT_READ_ROW, SHX_STATEMENT_READ_AUX,
                                               SHX_STATEMENT_READ_VECTOR};
    shx_table *table = cursor_table(cursor);
    if (!cursor->readers[source]) {
        int rc = shx_statement_lend(table, kinds[source], &cursor->readers[source]);
        if (rc != SQLITE_OK) return rc;
    }
    sqlite3_stmt *reader = cursor->readers[source];
    if (!cursor->placed[source]) {
        sqlite3_bind_int64(reader, 1, cursor->rowid);
        int step = sqlite3_step(reader);
        if (step != SQLITE_ROW) {
            int rc = sqlite3_reset(reader);
            if (step != SQLITE_DONE) return rc;
            return shx_table_error(table, SQLITE_ABORT, "shardex: row %lld of table \"%s\" went away during the query",
                                   cursor->rowid, table->name);
        }
        cursor->placed[source] = true;
    }
    *ret_reader = reader;
    return SQLITE_OK;
}

static int cursor_declared_column(shx_cursor *cursor, sqlite3_context *context, uint32_t position) {
    shx_table *table = cursor_table(cursor);
    shx_column_role role = table->declaration->columns[position].role;
    int slot = (int)table->slots[position];
    if (role == SHX_COLUMN_PLAIN && cursor->rows) {
        sqlite3_result_value(context, sqlite3_column_value(cursor->rows, 1 + slot));
        return SQLITE_OK;
    }
    cursor_source source = role == SHX_COLUMN_PLAIN    ? CURSOR_NARROW
                           : role == SHX_COLUMN_VECTOR ? CURSOR_VECTOR
                                                       : CURSOR_AUXILIARY;
    static const int first[] = {2, 1, 0}; /* where a source's columns begin */
    sqlite3_stmt *reader = NULL;
    int rc = cursor_read(cursor, source, &reader);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    int column = first[source] + (role == SHX_COLUMN_VECTOR ? 0 : slot);
    sqlite3_result_value(context, sqlite3_column_value(reader, column));
    if (role == SHX_COLUMN_VECTOR) sqlite3_result_subtype(context, shx_vector_subtype(table->declaration->element));
    return SQLITE_OK;
}

int shx_cursor_column(sqlite3_vtab_cursor *vtab_cursor, sqlite3_context *context, int column) {
    shx_cursor *cursor = (shx_cursor *)vtab_cursor;
    const shx_schema_columns *columns = &cursor_table(cursor)->columns;
    if (sqlite3_vtab_nochange(context)) return SQLITE_OK;
    if (column == columns->rowid) {
        sqlite3_result_int64(context, cursor->rowid);
    } else if (column == columns->distance) {
        if (cursor->nearest) sqlite3_result_double(context, cursor->distance);
    } else if (column == columns->k) {
        if (cursor->has_k) sqlite3_result_int64(context, cursor->k);
    } else if (column == columns->recall) {
        if (cursor->knn.wish.recall > 0) sqlite3_result_double(context, cursor->knn.wish.recall);
    } else if (column == columns->exact) {
        if (cursor->nearest) sqlite3_result_int(context, cursor->knn.wish.exact);
    } else if (column >= columns->first && column < columns->command) {
        return cursor_declared_column(cursor, context, (uint32_t)(column - columns->first));
    }
    return SQLITE_OK;
}
