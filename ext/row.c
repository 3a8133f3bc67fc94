/* What is hashed for commit ids: each value as
**
**     type tag (SQLITE_INTEGER … SQLITE_NULL)   1 byte
**     length                                     8 bytes
**     bytes                                      integer and real: 8, little-endian; text: UTF-8; blob; null: none
**
** An operation: kind, 1 byte; rowid, 8 bytes; plain columns; auxiliary columns; the vector's bytes. The fingerprint's
** column hash is that of the plain columns as they are packed for the index (column_value.h).
*/
#include "row.h"

#include "../engine/planted.h"
#include "column_value.h"

#include <assert.h>
#include <string.h>

static uint32_t row_value_count(const shx_table *table) {
    return table->declaration->plain_count + table->declaration->auxiliary_count;
}

int shx_row_init(shx_table *table, shx_row *ret_row) {
    size_t size = (row_value_count(table) + 1) * sizeof(sqlite3_value *);
    memset(ret_row, 0, sizeof *ret_row);
    ret_row->values = sqlite3_malloc64(size);
    if (!ret_row->values) return SQLITE_NOMEM;
    memset(ret_row->values, 0, size);
    return SQLITE_OK;
}

void shx_row_clear(const shx_table *table, shx_row *row) {
    if (row->owns_values && row->values) {
        for (uint32_t i = 0; i < row_value_count(table); i++) sqlite3_value_free(row->values[i]);
    }
    sqlite3_free(row->values);
    shx_vector_clear(&row->vector);
    sqlite3_free((void *)(uintptr_t)row->columns.bytes);
    memset(row, 0, sizeof *row);
}

/* Copies `count` columns of a statement, from `column` on, into the row's values from `at` on. */
static int row_copy_values(sqlite3_stmt *statement, int column, uint32_t count, shx_row *row, uint32_t at) {
    for (uint32_t i = 0; i < count; i++) {
        row->values[at + i] = sqlite3_value_dup(sqlite3_column_value(statement, column + (int)i));
        if (!row->values[at + i]) return SQLITE_NOMEM;
    }
    return SQLITE_OK;
}

static int row_read_narrow(shx_table *table, shx_row *row) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_READ_ROW, &statement);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(statement, 1, row->rowid);
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        row->vector_hash = (uint64_t)sqlite3_column_int64(statement, 0);
        row->column_hash = (uint64_t)sqlite3_column_int64(statement, 1);
        rc = row_copy_values(statement, 2, table->declaration->plain_count, row, 0);
    }
    int reset = sqlite3_reset(statement);
    if (step == SQLITE_DONE) return SQLITE_NOTFOUND;
    return rc == SQLITE_OK ? reset : rc;
}

static int row_read_aux(shx_table *table, shx_row *row) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_READ_AUX, &statement);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(statement, 1, row->rowid);
    int step = sqlite3_step(statement);
    uint32_t plain = table->declaration->plain_count;
    if (step == SQLITE_ROW) rc = row_copy_values(statement, 1, table->declaration->auxiliary_count, row, plain);
    int reset = sqlite3_reset(statement);
    if (step == SQLITE_DONE) return SQLITE_CORRUPT_VTAB;
    return rc == SQLITE_OK ? reset : rc;
}

int shx_row_read_vector(shx_table *table, int64_t rowid, shx_vector *ret_vector) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_READ_VECTOR, &statement);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(statement, 1, rowid);
    const shx_declaration *declaration = table->declaration;
    size_t size = shx_declaration_vector_bytes(declaration);
    int step = sqlite3_step(statement);
    const void *bytes = step == SQLITE_ROW ? sqlite3_column_blob(statement, 0) : NULL;
    if (bytes && (size_t)sqlite3_column_bytes(statement, 0) == size) {
        void *data = sqlite3_malloc64(size);
        if (data) {
            memcpy(data, bytes, size);
            *ret_vector = (shx_vector){data, declaration->element, declaration->dim};
        } else {
            rc = SQLITE_NOMEM;
        }
    } else if (step == SQLITE_ROW || step == SQLITE_DONE) {
        rc = SQLITE_CORRUPT_VTAB;
    }
    int reset = sqlite3_reset(statement);
    return rc == SQLITE_OK ? reset : rc;
}

int shx_row_read(shx_table *table, int64_t rowid, bool with_vector, shx_row *ret_row) {
    int rc = shx_row_init(table, ret_row);
    if (rc != SQLITE_OK) return rc;
    ret_row->rowid = rowid;
    ret_row->owns_values = true;
    rc = row_read_narrow(table, ret_row);
    if (rc == SQLITE_OK && table->declaration->auxiliary_count > 0) rc = row_read_aux(table, ret_row);
    if (rc == SQLITE_OK && with_vector) rc = shx_row_read_vector(table, rowid, &ret_row->vector);
    return rc;
}

static int row_bind_values(sqlite3_stmt *statement, int slot, sqlite3_value **values, uint32_t count) {
    int rc = SQLITE_OK;
    for (uint32_t i = 0; i < count && rc == SQLITE_OK; i++) {
        rc = values[i] ? sqlite3_bind_value(statement, slot + (int)i, values[i])
                       : sqlite3_bind_null(statement, slot + (int)i);
    }
    return rc;
}

/* Runs insert_row or put_row; the id is bound. */
static int row_run_narrow(const shx_table *table, const shx_row *row, sqlite3_stmt *statement) {
    int rc = sqlite3_bind_int64(statement, 2, (int64_t)row->vector_hash);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 3, (int64_t)row->column_hash);
    if (rc == SQLITE_OK) rc = row_bind_values(statement, 4, row->values, table->declaration->plain_count);
    return rc == SQLITE_OK ? shx_statement_run(statement) : rc;
}

int shx_row_insert(shx_table *table, shx_row *row, bool choose_rowid) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_INSERT_ROW, &statement);
    if (rc != SQLITE_OK) return rc;
    rc = choose_rowid ? sqlite3_bind_null(statement, 1) : sqlite3_bind_int64(statement, 1, row->rowid);
    if (rc == SQLITE_OK) rc = row_run_narrow(table, row, statement);
    if (rc != SQLITE_OK) return rc;
    if (sqlite3_changes(table->connection->db) == 0) return SQLITE_CONSTRAINT;
    if (choose_rowid) row->rowid = sqlite3_last_insert_rowid(table->connection->db);
    return SQLITE_OK;
}

static int row_put_narrow(shx_table *table, const shx_row *row) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_PUT_ROW, &statement);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 1, row->rowid);
    return rc == SQLITE_OK ? row_run_narrow(table, row, statement) : rc;
}

static int row_put_aux(shx_table *table, const shx_row *row) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_PUT_AUX, &statement);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 1, row->rowid);
    if (rc == SQLITE_OK) {
        rc = row_bind_values(statement, 2, row->values + table->declaration->plain_count,
                             table->declaration->auxiliary_count);
    }
    return rc == SQLITE_OK ? shx_statement_run(statement) : rc;
}

static int row_put_vector(shx_table *table, const shx_row *row) {
    sqlite3_stmt *statement;
    assert(row->vector.data);
    int rc = shx_statement_get(table, SHX_STATEMENT_PUT_VECTOR, &statement);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 1, row->rowid);
    uint64_t size = shx_vector_bytes(&row->vector);
    if (rc == SQLITE_OK) rc = sqlite3_bind_blob64(statement, 2, row->vector.data, size, SQLITE_STATIC);
    if (rc != SQLITE_OK) return rc;
    rc = shx_statement_run(statement);
    sqlite3_bind_null(statement, 2); /* the vector is not ours for longer */
    return rc;
}

int shx_row_put(shx_table *table, const shx_row *row, unsigned parts) {
    int rc = SQLITE_OK;
    if (parts & SHX_ROW_NARROW) rc = row_put_narrow(table, row);
    if (rc == SQLITE_OK && (parts & SHX_ROW_AUXILIARY) && table->declaration->auxiliary_count > 0) {
        rc = row_put_aux(table, row);
    }
    if (rc == SQLITE_OK && (parts & SHX_ROW_VECTOR)) rc = row_put_vector(table, row);
    return rc;
}

int shx_row_delete(shx_table *table, int64_t rowid, unsigned parts) {
    static const shx_statement_kind kinds[] = {SHX_STATEMENT_DELETE_ROW, SHX_STATEMENT_DELETE_AUX,
                                               SHX_STATEMENT_DELETE_VECTOR};
    int rc = SQLITE_OK;
    for (unsigned i = 0; i < 3 && rc == SQLITE_OK; i++) {
        if (!(parts & (1u << i))) continue;
        if (kinds[i] == SHX_STATEMENT_DELETE_AUX && table->declaration->auxiliary_count == 0) continue;
        sqlite3_stmt *statement;
        rc = shx_statement_get(table, kinds[i], &statement);
        if (rc == SQLITE_OK) rc = sqlite3_bind_int64(statement, 1, rowid);
        if (rc == SQLITE_OK) rc = shx_statement_run(statement);
    }
    return rc;
}

static void row_write_bytes(sqlite3_str *bytes, const void *from, size_t size) {
    if (size > 0) sqlite3_str_append(bytes, from, (int)size);
}

static int row_pack_value(sqlite3_str *bytes, sqlite3_value *value, shx_affinity affinity) {
    shx_value packed = {.type = SHX_VALUE_NULL};
    sqlite3_value *copy = NULL;
    uint8_t head[9];
    int rc = value ? shx_column_value(value, affinity, &copy, &packed) : SQLITE_OK;
    if (rc == SQLITE_OK) {
        bool variable = packed.type == SHX_VALUE_TEXT || packed.type == SHX_VALUE_BLOB;
        shx_value fixed = packed;
        if (variable) fixed.size = 0; /* the bytes follow without a detour */
        shx_value_put(&fixed, head);
        if (variable) shx_put32(head + 1, packed.size);
        row_write_bytes(bytes, head, (size_t)shx_value_size(&fixed));
        if (variable) row_write_bytes(bytes, packed.is.bytes, packed.size);
    }
    sqlite3_value_free(copy);
    return rc;
}

static int row_pack(const shx_table *table, shx_row *row) {
    const shx_declaration *declaration = table->declaration;
    if (declaration->plain_count == 0) return SQLITE_OK;
    sqlite3_str *bytes = sqlite3_str_new(NULL);
    int rc = SQLITE_OK;
    for (uint32_t i = 0; i < declaration->column_count && rc == SQLITE_OK; i++) {
        if (declaration->columns[i].role != SHX_COLUMN_PLAIN) continue;
        rc = row_pack_value(bytes, row->values[table->slots[i]], shx_affinity_of(declaration->columns[i].type));
    }
    if (rc == SQLITE_OK) rc = sqlite3_str_errcode(bytes);
    uint32_t size = (uint32_t)sqlite3_str_length(bytes);
    char *text = sqlite3_str_finish(bytes);
    if (rc != SQLITE_OK) {
        sqlite3_free(text);
        return rc;
    }
    sqlite3_free((void *)(uintptr_t)row->columns.bytes);
    row->columns = (shx_packed){(const uint8_t *)text, size};
    return SQLITE_OK;
}

int shx_row_fingerprint(const shx_table *table, shx_row *row) {
    row->vector_hash = shx_hash64(row->vector.data, shx_vector_bytes(&row->vector), 0);
    int rc = row_pack(table, row);
    if (rc == SQLITE_OK) row->column_hash = shx_hash64(row->columns.bytes, row->columns.size, 0);
    return rc;
}

int shx_row_read_columns(shx_table *table, int64_t rowid, shx_row *ret_row) {
    int rc = shx_row_init(table, ret_row);
    if (rc != SQLITE_OK) return rc;
    ret_row->rowid = rowid;
    ret_row->owns_values = true;
    rc = row_read_narrow(table, ret_row);
    return rc == SQLITE_OK ? row_pack(table, ret_row) : rc;
}

/* ---- digests ---- */

#define ROW_HEAD_BYTES 9      /* of an operation, and of a value */
#define ROW_DIGEST_BYTES 4096 /* what is hashed stands on the stack up to this size */

/* The bytes of a value behind its head; false when memory ran out. */
static bool row_value_bytes(sqlite3_value *value, uint8_t number[8], const void **ret_bytes, size_t *ret_size) {
    int type = value ? sqlite3_value_type(value) : SQLITE_NULL;
    *ret_bytes = number;
    *ret_size = type == SQLITE_NULL ? 0 : 8;
    if (type == SQLITE_INTEGER) shx_put64(number, (uint64_t)sqlite3_value_int64(value));
    if (type == SQLITE_FLOAT) {
        double real = sqlite3_value_double(value);
        memcpy(number, &real, sizeof real);
    }
    if (type != SQLITE_TEXT && type != SQLITE_BLOB) return true;
    *ret_bytes = type == SQLITE_TEXT ? (const void *)sqlite3_value_text(value) : sqlite3_value_blob(value);
    *ret_size = (size_t)sqlite3_value_bytes(value);
    return *ret_bytes || *ret_size == 0;
}

/* How many bytes of an operation are hashed; 0 when memory ran out. */
static size_t row_digest_size(const shx_row *row, uint32_t count) {
    size_t total = ROW_HEAD_BYTES + (row->vector.data ? shx_vector_bytes(&row->vector) : 0);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t number[8];
        const void *bytes;
        size_t size;
        if (!row_value_bytes(row->values[i], number, &bytes, &size)) return 0;
        total += ROW_HEAD_BYTES + size;
    }
    return total;
}

static void row_digest_values(const shx_row *row, uint32_t count, uint8_t *at) {
    for (uint32_t i = 0; i < count; i++) {
        uint8_t number[8];
        const void *bytes = NULL;
        size_t size = 0;
        (void)row_value_bytes(row->values[i], number, &bytes, &size);
        at[0] = (uint8_t)(row->values[i] ? sqlite3_value_type(row->values[i]) : SQLITE_NULL);
        shx_put64(at + 1, size);
        if (size > 0) memcpy(at + ROW_HEAD_BYTES, bytes, size);
        at += ROW_HEAD_BYTES + size;
    }
    if (row->vector.data) memcpy(at, row->vector.data, shx_vector_bytes(&row->vector));
}

int shx_row_digest(const shx_table *table, shx_op_kind kind, const shx_row *row, shx_id *ret_digest) {
    uint8_t few[ROW_DIGEST_BYTES];
    uint32_t count = SHX_PLANTED(50) ? table->declaration->plain_count : row_value_count(table);
    bool values = kind != SHX_OP_DELETE;
    size_t size = values ? row_digest_size(row, count) : ROW_HEAD_BYTES;
    uint8_t *bytes = size <= sizeof few ? few : sqlite3_malloc64(size);
    if (size == 0 || !bytes) return SQLITE_NOMEM;
    bytes[0] = (uint8_t)kind;
    shx_put64(bytes + 1, (uint64_t)row->rowid);
    if (values) row_digest_values(row, count, bytes + ROW_HEAD_BYTES);
    *ret_digest = shx_hash128(bytes, size);
    if (bytes != few) sqlite3_free(bytes);
    return SQLITE_OK;
}
