/* Rows of the shadow tables as wholes: reading, writing, and the hashes that stand for them.
*/
#ifndef SHX_ROW_H
#define SHX_ROW_H

#include "../engine/value.h"
#include "table.h"
#include "vector_value.h"

/* The shadow tables that a row is spread over. */
typedef enum shx_row_part {
    SHX_ROW_NARROW = 1,
    SHX_ROW_AUXILIARY = 2,
    SHX_ROW_VECTOR = 4,
    SHX_ROW_ALL = 7,
} shx_row_part;

typedef struct shx_row {
    int64_t rowid;
    uint64_t vector_hash, column_hash;
    sqlite3_value **values; /* the plain columns, then the auxiliary ones */
    bool owns_values;       /* the values themselves; the array is always owned */
    shx_vector vector;      /* owned; data NULL when it was not read */
    shx_packed columns;     /* owned; the plain ones as the index gets them, once the fingerprint is known */
} shx_row;

/* Allocates the array of values, all NULL. */
int shx_row_init(shx_table *table, shx_row *ret_row);
void shx_row_clear(const shx_table *table, shx_row *row);

/* Reads a row, with its vector if `with_vector`. SQLITE_NOTFOUND when there is none. The row must be cleared in any
** case. */
int shx_row_read(shx_table *table, int64_t rowid, bool with_vector, shx_row *ret_row);
int shx_row_read_vector(shx_table *table, int64_t rowid, shx_vector *ret_vector);

/* Writes the narrow part of a new row. With `choose_rowid` SQLite chooses the id, which is noted in the row.
** SQLITE_CONSTRAINT when there is a row with this id: then nothing has changed. */
int shx_row_insert(shx_table *table, shx_row *row, bool choose_rowid);

/* Writes parts over what is there. */
int shx_row_put(shx_table *table, const shx_row *row, unsigned parts);
int shx_row_delete(shx_table *table, int64_t rowid, unsigned parts);

/* Reads the plain columns of a row and packs them. The row must be cleared in any case. */
int shx_row_read_columns(shx_table *table, int64_t rowid, shx_row *ret_row);

/* Packs the plain columns and sets both hashes of the row's fingerprint; the vector must be known. */
int shx_row_fingerprint(const shx_table *table, shx_row *row);

/* The digest of an operation: everything that it stores. A deletion has the rowid only; the vector counts when it is
** known. */
int shx_row_digest(const shx_table *table, shx_op_kind kind, const shx_row *row, shx_id *ret_digest);

#endif
