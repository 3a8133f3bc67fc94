/* The state row, and shadow rows beside it, with values that somebody else wrote.
**
** An input: how many values are replaced (a byte, modulo 4), for each which column (a byte) and what (sql.h), or for
** the ring edits of the good one (fuzz.h); then which statements of the battery run, a byte each.
*/
#include "sql.h"

#include <stdlib.h>
#include <string.h>

static const char *const CHANGES[] = {
    "UPDATE t_state SET uuid = ?1",
    "UPDATE t_state SET commit_id = ?1",
    "UPDATE t_state SET format = ?1",
    "UPDATE t_state SET operations = ?1",
    "UPDATE t_state SET ring = ?1",
    "UPDATE t_state SET id = ?1",
    "INSERT OR REPLACE INTO t_state SELECT 1, uuid, commit_id, format, operations, ?1 FROM t_state",
    "UPDATE t_rows SET vector_hash = ?1 WHERE id = 2",
    "UPDATE t_rows SET column_hash = ?1 WHERE id = 3",
    "UPDATE t_rows SET c0 = ?1 WHERE id < 4",
    "UPDATE OR REPLACE t_rows SET id = ?1 WHERE id = 5",
    "UPDATE t_vectors SET vector = ?1 WHERE id IN (1, 4)",
    "UPDATE OR REPLACE t_vectors SET id = ?1 WHERE id = 6",
    "UPDATE t_aux SET a0 = ?1",
    "UPDATE OR REPLACE t_aux SET id = ?1 WHERE id = 7",
    "DELETE FROM t_rows WHERE id = ?1",
    "DELETE FROM t_vectors WHERE id = ?1",
    "DELETE FROM t_state WHERE uuid <> ?1",
};

/* The good ring with edits, in place of a value. */
static void bind_ring(sqlite3 *db, sqlite3_stmt *change, fuzz_input *input) {
    sqlite3_stmt *read;
    fuzz_require(sqlite3_prepare_v2(db, "SELECT ring FROM t_state", -1, &read, NULL) == SQLITE_OK);
    if (sqlite3_step(read) == SQLITE_ROW && sqlite3_column_bytes(read, 0) > 0) {
        fuzz_file ring = {malloc(FUZZ_FILE_MAX), (uint64_t)sqlite3_column_bytes(read, 0)};
        fuzz_require(ring.bytes && ring.size <= FUZZ_FILE_MAX);
        memcpy(ring.bytes, sqlite3_column_blob(read, 0), ring.size);
        fuzz_file edited = fuzz_edit(&ring, input);
        fuzz_seal_ring(edited.bytes, edited.size);
        sqlite3_bind_blob(change, 1, edited.bytes, (int)edited.size, SQLITE_TRANSIENT);
        free(edited.bytes);
        free(ring.bytes);
    }
    sqlite3_finalize(read);
}

static void change(sqlite3 *db, fuzz_input *input) {
    sqlite3_stmt *statement;
    size_t which = fuzz_number(input, 1) % (sizeof CHANGES / sizeof *CHANGES);
    if (sqlite3_prepare_v2(db, CHANGES[which], -1, &statement, NULL) != SQLITE_OK) return;
    if (strstr(CHANGES[which], "ring = ") && fuzz_number(input, 1) % 4) {
        bind_ring(db, statement, input);
    } else {
        fuzz_sql_bind(statement, 1, input);
    }
    (void)sqlite3_step(statement);
    sqlite3_finalize(statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    sqlite3 *db = fuzz_sql_open(":memory:");
    fuzz_sql_make_table(db);
    for (uint64_t changes = fuzz_number(&input, 1) % 4; changes > 0; changes--) change(db, &input);
    for (int i = 0; i < 8 && input.left > 0; i++) fuzz_sql_battery(db, fuzz_number(&input, 1));
    fuzz_sql_close(db);
    fuzz_finish();
    return 0;
}
