/* The order of every row operation: check everything → reserve memory for the pending operation → write the shadow rows
** (narrow, auxiliary, vector) → append the operation. A single-row statement has no savepoint of its own, so what a
** failing write has left is undone here; where that fails too, the transaction is not allowed to commit.
*/
#include "write.h"

#include "column_value.h"
#include "command.h"
#include "meter.h"
#include "row.h"
#include "table.h"
#include "transaction.h"

#include <string.h>

/* One row operation. */
typedef struct write_operation {
    shx_table *table;
    sqlite3_value **given; /* the values of the declared schema's columns */
    bool update;
    shx_row before;   /* the row that an UPDATE or DELETE is about */
    shx_row replaced; /* the row that OR REPLACE removes */
    shx_row after;
    bool has_before, has_replaced, choose_rowid;
    unsigned parts; /* of `after` that differ from what is stored */
} write_operation;

static void write_clear(write_operation *operation) {
    shx_row_clear(operation->table, &operation->before);
    shx_row_clear(operation->table, &operation->replaced);
    shx_row_clear(operation->table, &operation->after);
}

/* ---- checking values ---- */

static bool write_unchanged(const write_operation *operation, sqlite3_value *value) {
    return operation->update && sqlite3_value_nochange(value);
}

/* A rowid as INTEGER PRIMARY KEY takes it. */
static int write_rowid(shx_table *table, sqlite3_value *value, int64_t *ret_rowid) {
    int type = sqlite3_value_numeric_type(value);
    double real = type == SQLITE_FLOAT ? sqlite3_value_double(value) : 0.5;
    bool whole = real >= -9223372036854775808.0 && real < 9223372036854775808.0 && (double)(int64_t)real == real;
    if (type != SQLITE_INTEGER && !whole) {
        return shx_table_error(table, SQLITE_MISMATCH,
                               "shardex: the rowid of table \"%s\" must be an integer, not %!.40s", table->name,
                               shx_column_words(value));
    }
    *ret_rowid = sqlite3_value_int64(value);
    return SQLITE_OK;
}

static int write_check_hidden(const write_operation *operation) {
    shx_table *table = operation->table;
    static const char *const names[] = {"distance", "k", "recall", "exact"};
    for (int i = 0; i < 4; i++) {
        sqlite3_value *value = operation->given[table->columns.distance + i];
        if (write_unchanged(operation, value) || sqlite3_value_type(value) == SQLITE_NULL) continue;
        return shx_table_error(table, SQLITE_ERROR, "A value was provided for the hidden \"%s\" column.", names[i]);
    }
    sqlite3_value *command = operation->given[table->columns.command];
    if (operation->update && !write_unchanged(operation, command) && sqlite3_value_type(command) != SQLITE_NULL) {
        return shx_table_error(table, SQLITE_ERROR, "shardex: commands are given by INSERT, not by UPDATE");
    }
    return SQLITE_OK;
}

static int write_vector(write_operation *operation, const shx_column *column, sqlite3_value *value) {
    shx_table *table = operation->table;
    const char *verb = operation->update ? "Updated" : "Inserted";
    char *message = NULL;
    int rc = shx_vector_read_as(value, table->declaration->element, &operation->after.vector, &message);
    shx_element other;
    if (rc != SQLITE_OK) {
        if (message && shx_vector_is_other(value, table->declaration->element, &other)) {
            shx_table_error(table, rc,
                            "%s vector for the \"%s\" column is expected to be of type %s, but a %s vector was "
                            "provided.",
                            verb, column->name, shx_element_name(table->declaration->element), shx_element_name(other));
        } else if (message) {
            shx_table_error(table, rc, "%s vector for the \"%s\" column is invalid: %s", verb, column->name, message);
        }
        sqlite3_free(message);
        return rc;
    }
    if (operation->after.vector.dim == table->declaration->dim) return SQLITE_OK;
    return shx_table_error(table, SQLITE_ERROR,
                           "Dimension mismatch for %s vector for the \"%s\" column. Expected %u dimensions but "
                           "received %u.%s",
                           operation->update ? "new updated" : "inserted", column->name, table->declaration->dim,
                           operation->after.vector.dim,
                           shx_vector_hint(value, &operation->after.vector, table->declaration->dim));
}

/* Takes one declared column of the new row from what was given, or from the row before. */
static int write_column(write_operation *operation, uint32_t position) {
    shx_table *table = operation->table;
    const shx_column *column = &table->declaration->columns[position];
    sqlite3_value *value = operation->given[table->columns.first + (int)position];
    bool unchanged = write_unchanged(operation, value);
    if (column->role == SHX_COLUMN_KEY) return SQLITE_OK;
    if (column->role == SHX_COLUMN_VECTOR) {
        if (unchanged) return SQLITE_OK;
        operation->parts |= SHX_ROW_VECTOR | SHX_ROW_NARROW;
        return write_vector(operation, column, value);
    }
    bool plain = column->role == SHX_COLUMN_PLAIN;
    uint32_t slot = table->slots[position] + (plain ? 0 : table->declaration->plain_count);
    operation->after.values[slot] = unchanged ? operation->before.values[slot] : value;
    if (!unchanged) operation->parts |= plain ? SHX_ROW_NARROW : SHX_ROW_AUXILIARY;
    if (!column->not_null || sqlite3_value_type(operation->after.values[slot]) != SQLITE_NULL) return SQLITE_OK;
    return shx_table_error(table, SQLITE_CONSTRAINT_NOTNULL, "NOT NULL constraint failed: %s.%s", table->name,
                           column->name);
}

static int write_columns(write_operation *operation) {
    int rc = shx_row_init(operation->table, &operation->after);
    if (rc == SQLITE_OK) rc = write_check_hidden(operation);
    for (uint32_t i = 0; i < operation->table->declaration->column_count && rc == SQLITE_OK; i++) {
        rc = write_column(operation, i);
    }
    return rc;
}

static bool write_moves(const write_operation *operation) {
    return operation->has_before && operation->before.rowid != operation->after.rowid;
}

/* Is there a row with the new rowid already? Then OR REPLACE removes it, and everything else is a constraint
** failure. */
static int write_check_unique(write_operation *operation) {
    shx_table *table = operation->table;
    int rc = shx_row_read(table, operation->after.rowid, false, &operation->replaced);
    if (rc == SQLITE_NOTFOUND) return SQLITE_OK;
    if (rc != SQLITE_OK) return shx_table_failed(table, shx_internal_code(rc));
    if (sqlite3_vtab_on_conflict(table->connection->db) == SQLITE_REPLACE) {
        operation->has_replaced = true;
        return SQLITE_OK;
    }
    int32_t key = table->declaration->key_column;
    return shx_table_error(table, key < 0 ? SQLITE_CONSTRAINT_ROWID : SQLITE_CONSTRAINT_PRIMARYKEY,
                           "UNIQUE constraint failed: %s.%s", table->name,
                           key < 0 ? "rowid" : table->declaration->columns[key].name);
}

/* ---- shadow tables ---- */

/* Undoing a failed change has failed too, or not. */
static void write_undone(shx_table *table, int rc) {
    if (rc != SQLITE_OK) table->state->broken = true;
}

/* Writes parts of `after` over `before`. NULL: there is no such row, or this gives SQLITE_CONSTRAINT. On failure
** everything is as it was. */
static int write_put(shx_table *table, shx_row *after, unsigned parts, shx_row *before, bool choose_rowid) {
    for (unsigned part = SHX_ROW_NARROW, done = 0; part <= SHX_ROW_VECTOR; part <<= 1) {
        if (!(parts & part)) continue;
        bool insert = !before && part == SHX_ROW_NARROW;
        int rc = insert ? shx_row_insert(table, after, choose_rowid) : shx_row_put(table, after, part);
        if (rc != SQLITE_OK) { /* the vector comes last: it need not be put back */
            write_undone(table, before ? shx_row_put(table, before, done) : shx_row_delete(table, after->rowid, done));
            return rc;
        }
        done |= part;
    }
    return SQLITE_OK;
}

static int write_remove(shx_table *table, shx_row *before) {
    for (unsigned part = SHX_ROW_NARROW, done = 0; part <= SHX_ROW_VECTOR; part <<= 1) {
        int rc = shx_row_delete(table, before->rowid, part);
        if (rc != SQLITE_OK) {
            write_undone(table, shx_row_put(table, before, done));
            return rc;
        }
        done |= part;
    }
    return SQLITE_OK;
}

/* ---- operations ---- */

static int write_append(shx_table *table, shx_op_kind kind, const shx_row *row) {
    shx_op op = {.kind = kind, .rowid = row->rowid};
    if (kind == SHX_OP_INSERT || kind == SHX_OP_REPLACE) {
        op.vector_hash = row->vector_hash;
        op.column_hash = row->column_hash;
        op.vector = row->vector.data;
        op.columns = row->columns;
    }
    shx_id digest;
    int rc = shx_row_digest(table, kind, row, &digest);
    if (rc == SQLITE_OK) rc = shx_result_code(shx_pending_append(table->state->pending, &op, &digest));
    return rc;
}

/* Writes the new row and notes the operation. `before`: the row that it takes the place of. */
static int write_store(write_operation *operation, shx_op_kind kind, unsigned parts, shx_row *before) {
    shx_table *table = operation->table;
    shx_row *after = &operation->after;
    int rc = shx_result_code(shx_pending_reserve(table->state->pending, after->columns.size));
    if (rc == SQLITE_OK) rc = write_put(table, after, parts, before, operation->choose_rowid);
    if (rc != SQLITE_OK) return rc;
    rc = write_append(table, kind, after);
    if (rc != SQLITE_OK) table->state->broken = true; /* out of memory for a digest */
    return rc;
}

static int write_delete(shx_table *table, shx_row *before) {
    int rc = shx_result_code(shx_pending_reserve(table->state->pending, 0));
    if (rc == SQLITE_OK) rc = write_remove(table, before);
    if (rc != SQLITE_OK) return rc;
    rc = write_append(table, SHX_OP_DELETE, before);
    if (rc != SQLITE_OK) table->state->broken = true;
    return rc;
}

/* A row that gets another rowid: one goes, one comes, or none of both. */
static int write_move(write_operation *operation) {
    shx_table *table = operation->table;
    size_t count = shx_pending_count(table->state->pending);
    int rc = write_delete(table, &operation->before);
    if (rc != SQLITE_OK) return rc;
    shx_row *replaced = operation->has_replaced ? &operation->replaced : NULL;
    rc = write_store(operation, replaced ? SHX_OP_REPLACE : SHX_OP_INSERT, SHX_ROW_ALL, replaced);
    if (rc == SQLITE_OK) return rc;
    write_undone(table, shx_row_put(table, &operation->before, SHX_ROW_ALL));
    shx_pending_truncate(table->state->pending, count);
    return rc;
}

/* Everything is checked: makes the change. */
static int write_apply(write_operation *operation) {
    if (write_moves(operation)) return write_move(operation);
    if (!operation->has_before) {
        shx_row *replaced = operation->has_replaced ? &operation->replaced : NULL;
        return write_store(operation, replaced ? SHX_OP_REPLACE : SHX_OP_INSERT, SHX_ROW_ALL, replaced);
    }
    bool indexed = operation->parts & (SHX_ROW_NARROW | SHX_ROW_VECTOR);
    return write_store(operation, indexed ? SHX_OP_REPLACE : SHX_OP_TOUCH, operation->parts, &operation->before);
}

/* Takes over the vector that an UPDATE left alone, when the index or another rowid needs it. */
static int write_keep_vector(write_operation *operation) {
    shx_row *after = &operation->after;
    bool moves = write_moves(operation);
    if (moves && !operation->before.vector.data) {
        int rc = shx_row_read_vector(operation->table, operation->before.rowid, &operation->before.vector);
        if (rc != SQLITE_OK) return rc;
    }
    if (after->vector.data || (!moves && !(operation->parts & SHX_ROW_NARROW))) return SQLITE_OK;
    return shx_row_read_vector(operation->table, operation->before.rowid, &after->vector);
}

/* A new row is written without a look for one of its rowid: writing it tells. */
static int write_finish(write_operation *operation) {
    shx_table *table = operation->table;
    int rc = write_moves(operation) ? write_check_unique(operation) : SQLITE_OK;
    if (rc != SQLITE_OK) return rc;
    if (operation->has_before) rc = write_keep_vector(operation);
    if (rc == SQLITE_OK && operation->after.vector.data) rc = shx_row_fingerprint(table, &operation->after);
    if (rc == SQLITE_OK) rc = write_apply(operation);
    if (rc == SQLITE_CONSTRAINT && !operation->has_before) {
        rc = write_check_unique(operation);
        if (rc != SQLITE_OK) return rc;
        rc = write_apply(operation);
    }
    return rc == SQLITE_OK ? rc : shx_table_failed(table, shx_internal_code(rc));
}

static int write_insert(write_operation *operation, sqlite3_value *hidden_rowid, int64_t *ret_rowid) {
    shx_table *table = operation->table;
    int rc = write_columns(operation);
    if (rc != SQLITE_OK) return rc;
    sqlite3_value *id = operation->given[table->columns.rowid];
    if (sqlite3_value_type(id) == SQLITE_NULL) id = hidden_rowid;
    operation->choose_rowid = sqlite3_value_type(id) == SQLITE_NULL;
    if (!operation->choose_rowid) rc = write_rowid(table, id, &operation->after.rowid);
    if (rc == SQLITE_OK) rc = write_finish(operation);
    if (rc == SQLITE_OK) *ret_rowid = operation->after.rowid;
    return rc;
}

/* The row that an UPDATE or DELETE names: it was there when SQLite looked. */
static int write_read_before(write_operation *operation, sqlite3_value *rowid) {
    int rc = shx_row_read(operation->table, sqlite3_value_int64(rowid), false, &operation->before);
    operation->has_before = rc == SQLITE_OK;
    return rc == SQLITE_OK || rc == SQLITE_NOTFOUND ? rc : shx_table_failed(operation->table, shx_internal_code(rc));
}

static int write_change(write_operation *operation, sqlite3_value *old_rowid, sqlite3_value *new_rowid) {
    shx_table *table = operation->table;
    int rc = write_read_before(operation, old_rowid);
    if (rc == SQLITE_NOTFOUND) return SQLITE_OK;
    if (rc == SQLITE_OK) rc = write_columns(operation);
    if (rc != SQLITE_OK) return rc;
    operation->after.vector_hash = operation->before.vector_hash;
    operation->after.column_hash = operation->before.column_hash;
    sqlite3_value *id = operation->given[table->columns.rowid];
    rc = write_rowid(table, write_unchanged(operation, id) ? new_rowid : id, &operation->after.rowid);
    return rc == SQLITE_OK ? write_finish(operation) : rc;
}

static int write_dispatch(shx_table *table, int argument_count, sqlite3_value **arguments, sqlite3_int64 *ret_rowid) {
    write_operation operation = {.table = table, .given = arguments + 2};
    int rc;
    if (argument_count == 1) {
        rc = write_read_before(&operation, arguments[0]);
        if (rc == SQLITE_OK) {
            rc = write_delete(table, &operation.before);
            if (rc != SQLITE_OK) shx_table_failed(table, rc = shx_internal_code(rc));
        } else if (rc == SQLITE_NOTFOUND) {
            rc = SQLITE_OK;
        }
    } else if (sqlite3_value_type(arguments[0]) == SQLITE_NULL) {
        int64_t rowid = 0;
        rc = write_insert(&operation, arguments[1], &rowid);
        if (rc == SQLITE_OK) *ret_rowid = rowid;
    } else {
        operation.update = true;
        rc = write_change(&operation, arguments[0], arguments[1]);
    }
    write_clear(&operation);
    return rc;
}

/* `INSERT INTO t(t) VALUES('optimize')` */
static bool write_is_command(const shx_table *table, int argument_count, sqlite3_value **arguments) {
    return argument_count > 1 && sqlite3_value_type(arguments[0]) == SQLITE_NULL &&
           sqlite3_value_type(arguments[2 + table->columns.command]) != SQLITE_NULL;
}

/* A large transaction is not kept in memory; where the directory has no room for it either the index falls behind. */
static void write_spill(shx_state *state) {
    shx_status status = shx_index_spill(state->index, state->pending);
    if (status != SHX_OK) shx_state_log(state, status, "has no room for a large transaction");
}

/* A function of the statement has run ROLLBACK, and SQLite goes on with the statement if that had written nothing yet:
** what it writes then is in the cache alone, and would become part of the next transaction unannounced. */
static int write_without_transaction(shx_table *table) {
    return shx_table_error(table, SQLITE_ABORT_ROLLBACK,
                           "shardex: the transaction was rolled back while this statement was changing \"%s\"",
                           table->name);
}

int shx_write_update(sqlite3_vtab *vtab, int argument_count, sqlite3_value **arguments, sqlite3_int64 *ret_rowid) {
    shx_table *table = (shx_table *)vtab;
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    if (!table->joined || !table->state->writing) return write_without_transaction(table);
    sqlite3 *db = table->connection->db;
    sqlite3_int64 last = sqlite3_last_insert_rowid(db);
    if (write_is_command(table, argument_count, arguments)) {
        int rc = shx_command_run(table, arguments[2 + table->columns.command]);
        sqlite3_set_last_insert_rowid(db, last);
        *ret_rowid = last;
        return rc;
    }
    int rc = shx_transaction_prepare(table);
    if (rc != SQLITE_OK) return shx_table_failed(table, shx_internal_code(rc));
    table->state->busy = true;
    rc = write_dispatch(table, argument_count, arguments, ret_rowid);
    table->state->busy = false;
    if (rc == SQLITE_OK) {
        write_spill(table->state);
        shx_meter_load(table);
    }
    sqlite3_set_last_insert_rowid(db, last); /* of an INSERT SQLite sets it itself */
    return rc;
}
