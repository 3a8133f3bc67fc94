#include "state_row.h"

#include "affinity.h"
#include "location.h"
#include "statements.h"

#include <string.h>

#define STATE_ROW_REST 100 /* bytes of a state row without its ring, at most */

static bool state_row_id(sqlite3_stmt *statement, int column, shx_id *ret_id) {
    if (sqlite3_column_type(statement, column) != SQLITE_BLOB) return false;
    const void *bytes = sqlite3_column_blob(statement, column);
    if (!bytes || sqlite3_column_bytes(statement, column) != (int)sizeof ret_id->bytes) return false;
    memcpy(ret_id->bytes, bytes, sizeof ret_id->bytes);
    return true;
}

static int state_row_decode(shx_table *table, sqlite3_stmt *statement, shx_state_row *ret_row) {
    int64_t format = sqlite3_column_int64(statement, 2);
    if (format != SHX_STATE_FORMAT) {
        return shx_table_error(table, SQLITE_ERROR, "shardex: table \"%s\" has format %lld, this version knows %d",
                               table->name, format, SHX_STATE_FORMAT);
    }
    if (!state_row_id(statement, 0, &ret_row->uuid) || !state_row_id(statement, 1, &ret_row->commit)) {
        return shx_table_error(table, SQLITE_CORRUPT_VTAB, "shardex: the state row of table \"%s\" is damaged",
                               table->name);
    }
    ret_row->operations = sqlite3_column_int64(statement, 3);
    return SQLITE_OK;
}

/* Without setting a message when there is no such table. */
static int state_row_try(shx_table *table, shx_state_row *ret_row) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_READ_STATE, &statement);
    if (rc != SQLITE_OK) return rc;
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW) rc = state_row_decode(table, statement, ret_row);
    int reset = sqlite3_reset(statement);
    if (step == SQLITE_ROW) return rc;
    return step == SQLITE_DONE ? SQLITE_CORRUPT_VTAB : reset;
}

int shx_state_row_read(shx_table *table, shx_state_row *ret_row) {
    int rc = state_row_try(table, ret_row);
    if (rc == SQLITE_CORRUPT_VTAB && !table->base.zErrMsg) {
        return shx_table_error(table, rc, "shardex: table \"%s\" has lost its state row", table->name);
    }
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}

static int state_row_use(shx_table *table, const shx_state_row *row) {
    shx_state *state;
    if (table->state && shx_id_equal(&table->state->uuid, &row->uuid)) return SQLITE_OK;
    int rc =
        shx_connection_state(table->connection, table->schema, table->name, &row->uuid, table->declaration, &state);
    if (rc != SQLITE_OK) {
        return shx_table_error(table, rc, "shardex: the index of \"%s\" cannot be opened: %s", table->name,
                               sqlite3_errstr(rc));
    }
    shx_table_use(table, state);
    return SQLITE_OK;
}

int shx_state_row_open(shx_table *table, shx_state_row *ret_row) {
    shx_state_row row;
    int rc = shx_state_row_read(table, &row);
    if (rc == SQLITE_OK) rc = state_row_use(table, &row);
    if (rc == SQLITE_OK) *ret_row = row;
    return rc;
}

/* The number that SQLite counts up whenever it drops pages from its cache because others changed them, and with every
** commit of its own: with the same number the row would come from the same page. It says nothing about changes of a
** transaction that is under way, so there must be none, and about the snapshot only while one is open. Each file counts
** for itself, and sqlite3_deserialize gives the schema another one while statements live on, at the same address maybe:
** a file with a name of its own never takes another's place so, and the others' numbers are worth nothing. */
static bool state_row_version(const shx_table *table, uint32_t *ret_version) {
    sqlite3 *db = table->connection->db;
    return shx_location_database(db, table->schema)[0] == '/' &&
           sqlite3_file_control(db, table->schema, SQLITE_FCNTL_DATA_VERSION, ret_version) == SQLITE_OK;
}

int shx_state_row_look(shx_table *table, shx_state_row *ret_row) {
    uint32_t version = 0;
    bool reading = sqlite3_txn_state(table->connection->db, table->schema) == SQLITE_TXN_READ;
    bool versioned = reading && state_row_version(table, &version);
    int rc = SQLITE_OK;
    if (!versioned || !table->knows || version != table->known_version) {
        rc = shx_state_row_read(table, &table->known);
        table->knows = versioned && rc == SQLITE_OK;
        table->known_version = version;
    }
    if (rc == SQLITE_OK) rc = state_row_use(table, &table->known);
    if (rc == SQLITE_OK) *ret_row = table->known;
    return rc;
}

/* Without BEGIN the transaction is this statement's, which has not written yet. */
int shx_state_row_begin(shx_table *table, shx_state_row *ret_row) {
    uint32_t version = 0;
    bool fresh = sqlite3_get_autocommit(table->connection->db) && !(table->state && table->state->writing);
    fresh = fresh && table->knows && state_row_version(table, &version);
    if (fresh && version == table->known_version) {
        int rc = state_row_use(table, &table->known);
        if (rc == SQLITE_OK) *ret_row = table->known;
        return rc;
    }
    table->knows = false;
    return shx_state_row_open(table, ret_row);
}

void shx_state_row_syncing(shx_table *table) {
    uint32_t version = 0;
    table->next_version = state_row_version(table, &version) ? version + 1 : 0;
}

/* With a shared cache others may have committed by now: then the number is a higher one. */
void shx_state_row_committed(shx_table *table, const shx_id *commit) {
    table->known = (shx_state_row){.uuid = table->state->uuid, .commit = *commit};
    table->knows = state_row_version(table, &table->known_version) && table->known_version == table->next_version;
}

/* Gives the table object another name (NULL: there was no memory for it), for its statements only. */
static int state_row_rename(shx_table *table, const char *name) {
    char *copy = name ? sqlite3_mprintf("%s", name) : NULL;
    if (!copy) return SQLITE_NOMEM;
    shx_statements_clear(table);
    sqlite3_free(table->name);
    table->name = copy;
    return SQLITE_OK;
}

/* Goes through every table that could be a state row of this schema. */
static int state_row_search(shx_table *table, shx_state_row *ret_row) {
    sqlite3_stmt *names = NULL;
    int rc = shx_statement_lend_text(table, sqlite3_mprintf(SHX_SQL_FIND_STATES, table->schema), &names);
    if (rc != SQLITE_OK) return rc;
    bool found = false;
    while (rc == SQLITE_OK && !found && sqlite3_step(names) == SQLITE_ROW) {
        rc = state_row_rename(table, (const char *)sqlite3_column_text(names, 0));
        shx_state_row row;
        if (rc == SQLITE_OK && state_row_try(table, &row) == SQLITE_OK &&
            shx_id_equal(&row.uuid, &table->state->uuid)) {
            *ret_row = row;
            found = true;
        }
    }
    sqlite3_finalize(names);
    if (rc != SQLITE_OK) return rc;
    return found ? SQLITE_OK : SQLITE_NOTFOUND;
}

int shx_state_row_locate(shx_table *table, shx_state_row *ret_row) {
    shx_state_row row;
    int rc = state_row_try(table, &row);
    if (rc == SQLITE_OK && shx_id_equal(&row.uuid, &table->state->uuid)) {
        *ret_row = row;
        return SQLITE_OK;
    }
    if (rc != SQLITE_OK && rc != SQLITE_ERROR) return rc;
    return state_row_search(table, ret_row);
}

static int state_row_bind_id(sqlite3_stmt *statement, int slot, const shx_id *id) {
    return sqlite3_bind_blob(statement, slot, id->bytes, sizeof id->bytes, SQLITE_STATIC);
}

/* A host that limits the length of values to less than a page has no ring. */
static int state_row_bind_ring(sqlite3_stmt *statement, int slot, const shx_ring *ring) {
    int limit = sqlite3_limit(sqlite3_db_handle(statement), SQLITE_LIMIT_LENGTH, -1);
    if (limit < (int)sizeof ring->bytes + STATE_ROW_REST) return sqlite3_bind_zeroblob(statement, slot, 0);
    return sqlite3_bind_blob(statement, slot, ring->bytes, sizeof ring->bytes, SQLITE_STATIC);
}

int shx_state_row_insert(shx_table *table, const shx_id *uuid, const shx_id *commit) {
    sqlite3_stmt *statement;
    shx_ring ring;
    shx_ring_start(&ring, commit);
    char *text = sqlite3_mprintf(SHX_SQL_INSERT_STATE, table->schema, table->name);
    int rc = shx_statement_lend_text(table, text, &statement);
    if (rc != SQLITE_OK) return rc;
    rc = state_row_bind_id(statement, 1, uuid);
    if (rc == SQLITE_OK) rc = state_row_bind_id(statement, 2, commit);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 3, SHX_STATE_FORMAT);
    if (rc == SQLITE_OK) rc = state_row_bind_ring(statement, 4, &ring);
    if (rc == SQLITE_OK) rc = shx_statement_run(statement);
    sqlite3_finalize(statement);
    return rc;
}

int shx_state_row_write(shx_table *table, const shx_ring *ring) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_WRITE_STATE, &statement);
    if (rc == SQLITE_OK) rc = state_row_bind_id(statement, 1, &ring->tip);
    if (rc == SQLITE_OK) rc = state_row_bind_ring(statement, 2, ring);
    if (rc == SQLITE_OK) rc = state_row_bind_id(statement, 3, &table->state->uuid);
    if (rc != SQLITE_OK) return rc;
    rc = shx_statement_run(statement);
    sqlite3_clear_bindings(statement); /* what was bound is not ours for longer */
    if (rc != SQLITE_OK) return shx_internal_code(rc);
    return sqlite3_changes(table->connection->db) == 1 ? SQLITE_OK : SQLITE_NOTFOUND;
}

int shx_state_row_ring(shx_table *table, const shx_id *commit, shx_ring *ret_ring) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_READ_RING, &statement);
    if (rc != SQLITE_OK) return rc;
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    const void *bytes = found ? sqlite3_column_blob(statement, 0) : NULL;
    size_t size = found ? (size_t)sqlite3_column_bytes(statement, 0) : 0;
    if (!shx_ring_load(bytes, size, commit, ret_ring)) shx_ring_start(ret_ring, commit);
    rc = sqlite3_reset(statement);
    return rc == SQLITE_TOOBIG ? SQLITE_OK : rc; /* it was written under another limit */
}

int shx_state_row_mark(shx_table *table, size_t operations) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_MARK_STATE, &statement);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 1, (int64_t)operations);
    return rc == SQLITE_OK ? shx_internal_code(shx_statement_run(statement)) : rc;
}

int shx_state_genesis(const shx_declaration *declaration, shx_id *ret_genesis) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "shardex %d metric %d element %d dim %u", SHX_STATE_FORMAT, (int)declaration->metric,
                        (int)declaration->element, declaration->dim);
    for (uint32_t i = 0; i < declaration->column_count; i++) {
        const shx_column *column = &declaration->columns[i];
        sqlite3_str_appendf(text, ", %w %d %s", column->name, (int)column->role, shx_affinity_name(column->type));
    }
    int rc = sqlite3_str_errcode(text);
    if (rc == SQLITE_OK) *ret_genesis = shx_hash128(sqlite3_str_value(text), (uint64_t)sqlite3_str_length(text));
    sqlite3_free(sqlite3_str_finish(text));
    return rc;
}
