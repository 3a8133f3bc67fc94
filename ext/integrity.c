#include "integrity.h"

#include "../engine/maintain.h"
#include "row.h"
#include "snapshot.h"
#include "state_row.h"

#include <string.h>

#define INTEGRITY_LINES 10000 /* problems that are written down: a damaged table may have millions */

typedef struct integrity_walk {
    shx_table *table;
    sqlite3_str *text; /* a line for each problem */
    uint64_t problems;
    sqlite3_stmt *rows, *others;
    bool on_row, on_other; /* the statements stand on a row */
} integrity_walk;

static void integrity_note(integrity_walk *walk, const char *format, ...) {
    va_list arguments;
    if (++walk->problems > INTEGRITY_LINES) return;
    if (walk->problems > 1) sqlite3_str_appendchar(walk->text, 1, '\n');
    va_start(arguments, format);
    sqlite3_str_vappendf(walk->text, format, arguments);
    va_end(arguments);
}

static void integrity_step_row(integrity_walk *walk) { walk->on_row = sqlite3_step(walk->rows) == SQLITE_ROW; }
static void integrity_step_other(integrity_walk *walk) { walk->on_other = sqlite3_step(walk->others) == SQLITE_ROW; }

static void integrity_compare_vector(integrity_walk *walk, int64_t rowid) {
    size_t size = shx_declaration_vector_bytes(walk->table->declaration);
    const void *vector = sqlite3_column_blob(walk->others, 1);
    if (!vector || (size_t)sqlite3_column_bytes(walk->others, 1) != size) {
        integrity_note(walk, "the vector of row %lld has %d bytes, expected %d", rowid,
                       sqlite3_column_bytes(walk->others, 1), (int)size);
    } else if (shx_hash64(vector, size, 0) != (uint64_t)sqlite3_column_int64(walk->rows, 1)) {
        integrity_note(walk, "the vector of row %lld does not fit its hash", rowid);
    }
}

/* Both statements go up by rowid: reports what one of them lacks. */
static void integrity_merge(integrity_walk *walk, const char *what, bool vectors) {
    integrity_step_row(walk);
    integrity_step_other(walk);
    while (walk->on_row || walk->on_other) {
        int64_t row = walk->on_row ? sqlite3_column_int64(walk->rows, 0) : INT64_MAX;
        int64_t other = walk->on_other ? sqlite3_column_int64(walk->others, 0) : INT64_MAX;
        bool both = walk->on_row && walk->on_other && row == other;
        bool row_first = both || !walk->on_other || (walk->on_row && row < other);
        if (both && vectors) integrity_compare_vector(walk, row);
        if (!both && row_first) integrity_note(walk, "row %lld has no %s", row, what);
        if (!both && !row_first) integrity_note(walk, "%s %lld have no row", what, other);
        if (row_first) integrity_step_row(walk);
        if (both || !row_first) integrity_step_other(walk);
    }
}

static int integrity_tables(integrity_walk *walk, shx_statement_kind kind, const char *what) {
    shx_table *table = walk->table;
    int rc = shx_statement_lend(table, SHX_STATEMENT_WALK_ROWS, &walk->rows);
    if (rc == SQLITE_OK) rc = shx_statement_lend(table, kind, &walk->others);
    if (rc == SQLITE_OK) {
        integrity_merge(walk, what, kind == SHX_STATEMENT_WALK_VECTORS);
        rc = sqlite3_reset(walk->rows);
        int other = sqlite3_reset(walk->others);
        if (rc == SQLITE_OK) rc = other;
    }
    shx_statement_give_back(table, walk->rows);
    shx_statement_give_back(table, walk->others);
    walk->rows = walk->others = NULL;
    return rc;
}

/* A posting of the index, in ascending rowid order, against walk->rows. */
static shx_status integrity_visit(void *context, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                                  const void *vector) {
    integrity_walk *walk = context;
    (void)vector;
    while (walk->on_row && sqlite3_column_int64(walk->rows, 0) < rowid) {
        integrity_note(walk, "the index lacks row %lld", sqlite3_column_int64(walk->rows, 0));
        integrity_step_row(walk);
    }
    if (!walk->on_row || sqlite3_column_int64(walk->rows, 0) != rowid) {
        integrity_note(walk, "the index has row %lld, the table has not", rowid);
        return SHX_OK;
    }
    if ((uint64_t)sqlite3_column_int64(walk->rows, 1) != vector_hash ||
        (uint64_t)sqlite3_column_int64(walk->rows, 2) != column_hash) {
        integrity_note(walk, "row %lld differs between index and table", rowid);
    }
    integrity_step_row(walk);
    return SHX_OK;
}

static void integrity_report(void *context, const char *problem) { integrity_note(context, "%s", problem); }

/* What a walk through the directory came to. */
static int integrity_ended(integrity_walk *walk, shx_status status) {
    if (status != SHX_CORRUPT && status != SHX_IO) return shx_result_code(status);
    integrity_note(walk, "the index cannot be read: %s", shx_status_text(status));
    return SQLITE_OK;
}

/* A directory that is behind, or that has something older to fall back on, may be so for damage. */
static int integrity_files(integrity_walk *walk, const shx_snapshot *snapshot) {
    shx_stop stop = shx_connection_stop(walk->table->connection);
    const shx_view *checked = snapshot->pending || snapshot->reconciled ? NULL : snapshot->view;
    return integrity_ended(walk, shx_maintain_check_files(snapshot->state->index, &snapshot->commit, checked,
                                                          integrity_report, walk, &stop));
}

static int integrity_view(integrity_walk *walk, shx_snapshot *snapshot) {
    shx_table *table = walk->table;
    int rc = shx_statement_lend(table, SHX_STATEMENT_WALK_ROWS, &walk->rows);
    if (rc != SQLITE_OK) return rc;
    integrity_step_row(walk);
    shx_stop stop = shx_connection_stop(table->connection);
    shx_status status = shx_view_each(snapshot->view, integrity_visit, walk, &stop);
    while (status == SHX_OK && walk->on_row) {
        integrity_note(walk, "the index lacks row %lld", sqlite3_column_int64(walk->rows, 0));
        integrity_step_row(walk);
    }
    rc = sqlite3_reset(walk->rows);
    shx_statement_give_back(table, walk->rows);
    walk->rows = NULL;
    if (rc == SQLITE_OK) rc = integrity_ended(walk, status); /* what is damaged, the next one tells */
    if (rc != SQLITE_OK) return rc;
    status = shx_maintain_check(snapshot->state->index, snapshot->view, integrity_report, walk, &stop);
    return integrity_ended(walk, status);
}

static int integrity_index(integrity_walk *walk) {
    shx_snapshot snapshot;
    int rc = shx_snapshot_open(walk->table, &snapshot);
    if (rc != SQLITE_OK) return rc;
    if (snapshot.view && !snapshot.pending && !snapshot.reconciled) rc = integrity_view(walk, &snapshot);
    if (rc == SQLITE_OK) rc = integrity_files(walk, &snapshot);
    shx_snapshot_close(&snapshot);
    return rc;
}

/* What a state row must be beyond what reading it has shown. */
static int integrity_state(integrity_walk *walk) {
    shx_state_row row;
    int rc = shx_state_row_open(walk->table, &row);
    if (rc == SQLITE_OK && row.operations < 0)
        integrity_note(walk, "the state row counts %lld operations", row.operations);
    return rc;
}

/* The plain columns of one row against their hash. */
static int integrity_columns_of(integrity_walk *walk, int64_t rowid, uint64_t column_hash) {
    shx_row row;
    int rc = shx_row_read_columns(walk->table, rowid, &row);
    if (rc == SQLITE_OK && shx_hash64(row.columns.bytes, row.columns.size, 0) != column_hash)
        integrity_note(walk, "the columns of row %lld do not fit their hash", rowid);
    shx_row_clear(walk->table, &row);
    if (rc != SQLITE_NOTFOUND) return rc;
    integrity_note(walk, "row %lld is not found by its id", rowid);
    return SQLITE_OK;
}

static int integrity_columns(integrity_walk *walk) {
    int rc = shx_statement_lend(walk->table, SHX_STATEMENT_WALK_ROWS, &walk->rows);
    while (rc == SQLITE_OK && sqlite3_step(walk->rows) == SQLITE_ROW) {
        rc = integrity_columns_of(walk, sqlite3_column_int64(walk->rows, 0),
                                  (uint64_t)sqlite3_column_int64(walk->rows, 2));
    }
    int reset = walk->rows ? sqlite3_reset(walk->rows) : SQLITE_OK;
    shx_statement_give_back(walk->table, walk->rows);
    walk->rows = NULL;
    return rc == SQLITE_OK ? reset : rc;
}

static int integrity_all(integrity_walk *walk) {
    int rc = integrity_state(walk);
    if (rc == SQLITE_OK) rc = integrity_tables(walk, SHX_STATEMENT_WALK_VECTORS, "vector");
    if (rc == SQLITE_OK && walk->table->declaration->auxiliary_count > 0) {
        rc = integrity_tables(walk, SHX_STATEMENT_WALK_AUX, "auxiliary columns");
    }
    if (rc == SQLITE_OK) rc = integrity_columns(walk);
    return rc == SQLITE_OK ? integrity_index(walk) : rc;
}

/* Ends the list of problems; NULL when there are none, or no memory. */
static char *integrity_finish(integrity_walk *walk) {
    if (walk->problems > INTEGRITY_LINES) {
        sqlite3_str_appendf(walk->text, "\n… and %lld more", (sqlite3_int64)(walk->problems - INTEGRITY_LINES));
    }
    return sqlite3_str_finish(walk->text);
}

int shx_integrity_check(shx_table *table) {
    integrity_walk walk = {.table = table, .text = sqlite3_str_new(table->connection->db)};
    int rc = integrity_all(&walk);
    char *text = integrity_finish(&walk);
    if (rc == SQLITE_OK && walk.problems > 0) {
        rc = shx_table_error(table, SQLITE_CORRUPT_VTAB, "shardex: table \"%s\" has %lld problem%s:\n%s", table->name,
                             (sqlite3_int64)walk.problems, walk.problems == 1 ? "" : "s", text ? text : "");
    }
    sqlite3_free(text);
    return rc;
}

int shx_integrity_pragma(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **ret_message) {
    (void)schema, (void)name;
    shx_table *table = (shx_table *)vtab;
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    integrity_walk walk = {.table = table, .text = sqlite3_str_new(table->connection->db)};
    bool quick = flags & 1;
    int rc = quick ? integrity_state(&walk) : integrity_all(&walk);
    bool damage = (rc & 0xff) == SQLITE_CORRUPT || rc == SQLITE_ERROR; /* the second: a shadow table is missing */
    if (damage) {
        integrity_note(&walk, "%s", table->base.zErrMsg ? table->base.zErrMsg : sqlite3_errmsg(table->connection->db));
        rc = SQLITE_OK;
    }
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = NULL;
    char *text = integrity_finish(&walk);
    if (rc == SQLITE_OK && walk.problems > 0) {
        *ret_message = sqlite3_mprintf("shardex table %s.%s:\n%s", table->schema, table->name, text ? text : "");
        if (!*ret_message) rc = SQLITE_NOMEM;
    }
    sqlite3_free(text);
    return rc;
}
