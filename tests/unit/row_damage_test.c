/* Every bit of what the extension itself has written into the shadow tables of a small table, flipped one at a time.
**
** The database is the truth, so what is promised here is less than for the files beside it:
**
** - The state row: uuid, commit_id, operations and ring only say what the index knows. With any bit of them flipped all
**   answers are right, also where the directory lacks the last commits and the ring says what it lacks. An unknown
**   format is refused with a text by searches, changes and commands, and nothing is changed.
** - What a row holds (its vector, its columns) is what the database says: there is nothing to compare it with but its
**   fingerprint. The integrity check names the row whose fingerprint does not fit, whichever of the two was hit; every
**   other row stays as it is, every question ends with an answer or with an error about damage, and the row can be
**   replaced; then all is well.
**
** SHARDEX_DAMAGE_STATES=n tries about n bits of each value, 0 all of them; a failure says how to see it again.
*/
#include "damage_table.h"

#include "sim_fs.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_STATES 150    /* bits of each value that are tried usually */
#define ROWS_HEAL_EVERY 31 /* one state in so many is healed */
#define ROWS_BYTES_MAX 5000

static const char rows_options[] = ", router=flat";

static damage_table rows_table;

static int rows_set_up(void **state) {
    (void)state;
    damage_table_make(rows_options, &rows_table);
    return 0;
}

static int rows_tear_down(void **state) {
    (void)state;
    damage_table_free(&rows_table);
    return 0;
}

/* ---- values ---- */

/* Where a value stands. */
typedef struct rows_place {
    const char *table, *column;
    int64_t id;
} rows_place;

/* A value of a shadow table as bytes: a blob, a text, or a 64-bit integer. */
typedef struct rows_value {
    int type;
    size_t size;
    uint8_t bytes[ROWS_BYTES_MAX];
} rows_value;

/* `format` has two names in it. */
static sqlite3_stmt *rows_prepare(sqlite3 *db, const char *format, const char *first, const char *second) {
    sqlite3_stmt *statement;
    char *sql = sqlite3_mprintf(format, first, second);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) sim_fail("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_free(sql);
    return statement;
}

static void rows_read(sqlite3 *db, const rows_place *place, rows_value *ret_value) {
    sqlite3_stmt *statement = rows_prepare(db, "SELECT %s FROM %s WHERE id = ?1", place->column, place->table);
    sqlite3_bind_int64(statement, 1, place->id);
    if (sqlite3_step(statement) != SQLITE_ROW) sim_fail("%s has no row %lld", place->table, (long long)place->id);
    memset(ret_value, 0, sizeof *ret_value);
    ret_value->type = sqlite3_column_type(statement, 0);
    bool integer = ret_value->type == SQLITE_INTEGER;
    ret_value->size = integer ? 8 : (size_t)sqlite3_column_bytes(statement, 0);
    bool fits = ret_value->size > 0 && ret_value->size <= ROWS_BYTES_MAX;
    if (!fits) sim_fail("%s.%s is empty or too long", place->table, place->column);
    if (integer) shx_put64(ret_value->bytes, (uint64_t)sqlite3_column_int64(statement, 0));
    if (!integer) memcpy(ret_value->bytes, sqlite3_column_blob(statement, 0), ret_value->size);
    sqlite3_finalize(statement);
}

static void rows_write(sqlite3 *db, const rows_place *place, const rows_value *value) {
    sqlite3_stmt *statement = rows_prepare(db, "UPDATE %s SET %s = ?2 WHERE id = ?1", place->table, place->column);
    sqlite3_bind_int64(statement, 1, place->id);
    const void *bytes = value->bytes;
    if (value->type == SQLITE_INTEGER) sqlite3_bind_int64(statement, 2, (sqlite3_int64)shx_get64(bytes));
    if (value->type == SQLITE_BLOB) sqlite3_bind_blob(statement, 2, bytes, (int)value->size, SQLITE_STATIC);
    if (value->type == SQLITE_TEXT) sqlite3_bind_text(statement, 2, bytes, (int)value->size, SQLITE_STATIC);
    sqlite3_step(statement);
    if (sqlite3_finalize(statement) != SQLITE_OK) sim_fail("%s: %s", place->table, sqlite3_errmsg(db));
}

/* Tries bits of one value: `judge` gets the disk with one of them flipped. */
typedef void (*rows_judge)(const rows_place *place, const rows_value *right, uint64_t bit);

static uint64_t rows_each_bit(const rows_place *place, const char *name, rows_judge judge) {
    rows_value right;
    sqlite3 *db;
    uint64_t tried = 0;
    const char *only = sim_variable("SHARDEX_DAMAGE_ONLY");
    sim_image start = {0};
    sim_image_copy(sim_fs_now(), &start);
    db = damage_open_plain();
    rows_read(db, place, &right);
    damage_close(db);
    uint64_t count = right.size * 8, step = damage_step(count, sim_number("SHARDEX_DAMAGE_STATES", ROWS_STATES));
    for (uint64_t bit = 0; bit < count; bit += step) {
        char note[128];
        snprintf(note, sizeof note, "%s.%s.%s.%lld.%llu", name, place->table, place->column, (long long)place->id,
                 (unsigned long long)bit);
        if (only && strncmp(only, note, strlen(only)) != 0) continue;
        sim_note("SHARDEX_DAMAGE_ONLY=%s SHARDEX_DAMAGE_STATES=0", note);
        damage_load_image(&start);
        rows_value wrong = right;
        wrong.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        db = damage_open_plain();
        rows_write(db, place, &wrong);
        damage_close(db);
        judge(place, &right, bit);
        tried++;
    }
    sim_image_free(&start);
    return tried;
}

/* ---- the state row ---- */

static void rows_judge_state(const rows_place *place, const rows_value *right, uint64_t bit) {
    (void)place, (void)right;
    damage_live(&rows_table, bit, bit % ROWS_HEAL_EVERY == 0 ? DAMAGE_HEALED : DAMAGE_WRITTEN);
}

/* The directory without the newest records: what leads from there to the state is told by the ring. */
static void rows_fall_behind(void) {
    const damage_disk *disk = &rows_table.now;
    damage_load(disk);
    damage_put(disk->paths[disk->count - 1], NULL);
    sqlite3 *db = damage_open();
    damage_ask(db, rows_table.before, 0, "behind");
    damage_close(db);
    damage_load(disk);
    damage_put(disk->paths[disk->count - 1], NULL);
}

static void any_bit_of_the_state_row(void **state) {
    (void)state;
    static const char *const columns[] = {"uuid", "commit_id", "operations", "ring"};
    uint64_t tried = 0;
    for (int behind = 0; behind < 2; behind++) {
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            if (behind) rows_fall_behind();
            if (!behind) damage_load(&rows_table.now);
            const rows_place place = {"t_state", columns[c], 1};
            tried += rows_each_bit(&place, behind ? "behind" : "now", rows_judge_state);
        }
    }
    print_message("             %llu bits, noticed in %llu\n", (unsigned long long)tried,
                  (unsigned long long)rows_table.noticed);
}

static void rows_judge_format(const rows_place *place, const rows_value *right, uint64_t bit) {
    static const char *const statements[] = {"DELETE FROM t WHERE rowid = 20",
                                             "SELECT rowid FROM t WHERE v MATCH '[1,2,3,4]' AND k = 2",
                                             "INSERT INTO t(t) VALUES('rebuild')"};
    (void)bit;
    sqlite3 *db = damage_open();
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        int rc = sqlite3_exec(db, statements[i], NULL, NULL, NULL);
        const char *message = sqlite3_errmsg(db);
        if (rc != SQLITE_ERROR || !strstr(message, "format")) sim_fail("%s: %d %s", statements[i], rc, message);
    }
    rows_write(db, place, right);
    damage_ask(db, rows_table.before, 0, "with its own format again");
    damage_close(db);
}

static void a_format_that_is_not_known(void **state) {
    (void)state;
    damage_load(&rows_table.now);
    assert_true(rows_each_bit(&(rows_place){"t_state", "format", 1}, "format", rows_judge_format) > 0);
}

/* ---- rows ---- */

/* The statements either work or say that something is damaged. */
static void rows_survive(sqlite3 *db) {
    static const char *const statements[] = {
        "SELECT rowid, distance, n, s, x FROM t WHERE v MATCH '[3,1,4,1]' AND k = 1000 AND exact = 1",
        "SELECT rowid FROM t WHERE v MATCH '[1,5,9,2]' AND k = 5 AND n BETWEEN 2 AND 4 AND s > 's2'",
        "SELECT * FROM t",
        "UPDATE t SET n = n WHERE rowid > 15",
        "INSERT INTO t(t) VALUES('reconcile')",
        "INSERT INTO t(t) VALUES('rebuild')",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        int rc = sqlite3_exec(db, statements[i], NULL, NULL, NULL);
        if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_CORRUPT) continue;
        sim_fail("%s: %d %s", statements[i], rc, sqlite3_errmsg(db));
    }
}

/* Without the damaged row all is well; what it made of the shards ends with `rebuild`. */
static void rows_replace(sqlite3 *db, int64_t id) {
    char sql[256];
    snprintf(sql, sizeof sql,
             "DELETE FROM t WHERE rowid = %lld; INSERT INTO t(rowid, v, n, s, x) SELECT * FROM twin WHERE id = %lld",
             (long long)id, (long long)id);
    damage_run(db, sql);
    damage_run(db, "INSERT INTO t(t) VALUES('integrity-check'); INSERT INTO t(t) VALUES('rebuild')");
    damage_ask(db, rows_table.before, 0, "the row replaced");
}

#define ROWS_EQUAL                                                                                                     \
    "SELECT count(*) FROM t JOIN twin ON id = t.rowid WHERE twin.v = t.v AND twin.n IS t.n AND twin.s IS t.s"

static void rows_judge_row(const rows_place *place, const rows_value *right, uint64_t bit) {
    char name[64];
    (void)right, (void)bit;
    snprintf(name, sizeof name, "row %lld ", (long long)place->id);
    sqlite3 *db = damage_open();
    int rc = sqlite3_exec(db, "INSERT INTO t(t) VALUES('integrity-check')", NULL, NULL, NULL);
    const char *message = sqlite3_errmsg(db);
    if ((rc & 0xff) != SQLITE_CORRUPT || !strstr(message, name)) sim_fail("integrity-check: %d %s", rc, message);
    int64_t count = damage_number(db, "SELECT count(*) FROM twin"), equal = damage_number(db, ROWS_EQUAL);
    if (equal < count - 1) sim_fail("%lld other rows differ", (long long)(count - 1 - equal));
    rows_survive(db);
    rows_replace(db, place->id);
    damage_close(db);
}

static void any_bit_of_a_row(void **state) {
    (void)state;
    static const int64_t ids[] = {22, 163}; /* of a segment; of the log */
    uint64_t tried = 0;
    for (int i = 0; i < 2; i++) {
        const rows_place places[] = {{"t_rows", "vector_hash", ids[i]}, {"t_rows", "column_hash", ids[i]},
                                     {"t_rows", "c0", ids[i]},          {"t_rows", "c1", ids[i]},
                                     {"t_vectors", "vector", ids[i]}};
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            damage_load(&rows_table.now);
            tried += rows_each_bit(&places[p], "row", rows_judge_row);
        }
    }
    print_message("             %llu bits\n", (unsigned long long)tried);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bit_of_the_state_row),
        cmocka_unit_test(a_format_that_is_not_known),
        cmocka_unit_test(any_bit_of_a_row),
    };
    sim_setup();
    int failed = cmocka_run_group_tests(tests, rows_set_up, rows_tear_down);
    sim_teardown();
    return failed;
}
