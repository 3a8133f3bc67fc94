#include "sim_table.h"

#include "sim_fs.h"
#include "sim_vfs.h"
#include "topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int sqlite3_shardex_init(sqlite3 *db, char **error_message, const void *api);

const char *const sim_mode_names[SIM_MODES] = {"delete", "truncate", "wal-full", "wal-normal"};

sim_shape sim_shape_make(uint64_t seed, sim_mode mode) {
    static const uint32_t dims[] = {4, 8, 4, 20};
    static const int pages[] = {1024, 512, 4096, 2048}, checkpoints[] = {10, 30, 100, 1000};
    static const shx_metric metrics[] = {SHX_L2, SHX_L2, SHX_COSINE, SHX_IP};
    fixture_random random = {seed * SIM_MODES + mode};
    sim_shape shape = {.seed = seed, .mode = mode, .ids = 30 + (int64_t)fixture_below(&random, 60)};
    shape.metric = metrics[fixture_below(&random, 4)];
    shape.dim = dims[fixture_below(&random, 4)];
    shape.page_bytes = pages[fixture_below(&random, 4)];
    shape.sector_bytes = fixture_below(&random, 2) ? 512 : 4096;
    shape.checkpoint_pages = checkpoints[fixture_below(&random, 4)];
    shape.fresh = fixture_below(&random, 3) == 0;
    return shape;
}

/* ---- failing ---- */

static char sim_noted[512];

void sim_note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim_noted, sizeof sim_noted, format, arguments);
    va_end(arguments);
}

void sim_fail(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_error("%s\n    to see it again: %s\n", text, sim_noted);
    sim_fs_abandon();
    _fail(__FILE__, __LINE__);
    abort();
}

/* ---- a connection ---- */

typedef enum sim_text {
    SIM_TEXT_PUT,
    SIM_TEXT_INSERT,
    SIM_TEXT_MOVE,
    SIM_TEXT_NOTE,
    SIM_TEXT_RANGE,
    SIM_TEXT_CLEAR,
    SIM_TEXT_COPY,
    SIM_TEXT_DELETE,
    SIM_TEXT_ROWS,
    SIM_TEXT_NEAREST,
    SIM_TEXT_FILTERED,
    SIM_TEXT_COUNT,
} sim_text;

/* ?1 is a rowid, ?2 a vector, ?3 a number. %s is the table's name and the name of its rowid. */
static const char *const sim_texts[] = {
    [SIM_TEXT_PUT] = "INSERT OR REPLACE INTO %1$s(%2$s, v, n, s) VALUES(?1, ?2, ?3, iif(?3 % 3, 's' || ?3, NULL))",
    [SIM_TEXT_INSERT] = "INSERT OR IGNORE INTO %1$s(%2$s, v, n, s) VALUES(?1, ?2, ?3, 'new')",
    [SIM_TEXT_MOVE] = "UPDATE %1$s SET v = ?2 WHERE %2$s = ?1",
    [SIM_TEXT_NOTE] = "UPDATE %1$s SET n = ?3, s = 'noted' WHERE %2$s = ?1",
    [SIM_TEXT_RANGE] = "UPDATE %1$s SET n = n + 1 WHERE %2$s BETWEEN ?1 AND ?1 + 5",
    [SIM_TEXT_CLEAR] = "DELETE FROM %1$s WHERE %2$s BETWEEN ?1 AND ?1 + 3 OR n % 99 = ?1",
    [SIM_TEXT_COPY] = "INSERT OR IGNORE INTO %1$s(%2$s, v, n) SELECT id + ?1, v, n FROM twin WHERE id < 12",
    [SIM_TEXT_DELETE] = "DELETE FROM %1$s WHERE %2$s = ?1",
    [SIM_TEXT_ROWS] = "SELECT %2$s, v, n, s FROM %1$s ORDER BY %2$s",
    [SIM_TEXT_NEAREST] = "SELECT rowid, distance FROM t WHERE v MATCH ?2 AND k = ?1",
    [SIM_TEXT_FILTERED] = "SELECT rowid, distance FROM t WHERE v MATCH ?2 AND k = ?1 AND n < ?3",
};
_Static_assert(2 * SIM_TEXT_COUNT <= SIM_TEXTS, "a statement for each text and table");

/* Puts names into a text: its marks are %1$s and %2$s. */
static void sim_table_fill_in(const char *text, const char *name, const char *rowid, char *to) {
    while (*text) {
        const char *word = strncmp(text, "%1$s", 4) == 0 ? name : strncmp(text, "%2$s", 4) == 0 ? rowid : NULL;
        if (!word) {
            *to++ = *text++;
            continue;
        }
        to += strlen(strcpy(to, word));
        text += 4;
    }
    *to = '\0';
}

static int sim_table_statement(sim_table *table, sim_text text, bool twin, sqlite3_stmt **ret_statement) {
    sqlite3_stmt **statement = &table->statements[2 * text + twin];
    if (!*statement) {
        char sql[256];
        sim_table_fill_in(sim_texts[text], twin ? "twin" : "t", twin ? "id" : "rowid", sql);
        int rc = sqlite3_prepare_v3(table->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
        if (rc != SQLITE_OK) return rc;
    }
    *ret_statement = *statement;
    return SQLITE_OK;
}

int sim_table_run(sim_table *table, const char *sql) { return sqlite3_exec(table->db, sql, NULL, NULL, NULL); }

static int sim_table_settings(sim_table *table) {
    static const char *const synchronous[SIM_MODES] = {"full", "full", "full", "normal"};
    char sql[128];
    const sim_shape *shape = table->shape;
    snprintf(sql, sizeof sql, "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=%d", synchronous[shape->mode],
             shape->checkpoint_pages);
    int rc = sim_table_run(table, sql);
    /* Not kept in the file, as WAL is. */
    if (rc == SQLITE_OK && shape->mode == SIM_TRUNCATE_JOURNAL) {
        rc = sim_table_run(table, "PRAGMA journal_mode=truncate");
    }
    return rc;
}

int sim_table_open(const sim_shape *shape, sim_table *ret_table) {
    return sim_table_open_file(shape, SIM_DATABASE, ret_table);
}

int sim_table_open_file(const sim_shape *shape, const char *path, sim_table *ret_table) {
    sim_table table = {.shape = shape};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    char *message = NULL;
    sim_vfs_disk(shape->sector_bytes, SQLITE_IOCAP_POWERSAFE_OVERWRITE);
    int rc = sqlite3_open_v2(path, &table.db, flags, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_shardex_init(table.db, &message, NULL);
    if (rc == SQLITE_OK) rc = sim_table_settings(&table);
    sqlite3_free(message);
    if (rc != SQLITE_OK) {
        sqlite3_close(table.db);
        return rc;
    }
    *ret_table = table;
    return SQLITE_OK;
}

void sim_table_close(sim_table *table) {
    for (int i = 0; i < SIM_TEXTS; i++) sqlite3_finalize(table->statements[i]);
    if (sqlite3_close(table->db) != SQLITE_OK) sim_fail("close: %s", sqlite3_errmsg(table->db));
    memset(table, 0, sizeof *table);
}

static void sim_table_need(sim_table *table, int rc, const char *what) {
    if (rc != SQLITE_OK) sim_fail("%s: %d %s", what, sqlite3_extended_errcode(table->db), sqlite3_errmsg(table->db));
}

int sim_table_format(sim_table *table) {
    static const char *const journals[SIM_MODES] = {"delete", "truncate", "wal", "wal"};
    char sql[128];
    snprintf(sql, sizeof sql, "PRAGMA page_size=%d; PRAGMA journal_mode=%s", table->shape->page_bytes,
             journals[table->shape->mode]);
    return sim_table_run(table, sql);
}

int sim_table_create(sim_table *table) {
    static const char *const metrics[] = {[SHX_L2] = "l2", [SHX_COSINE] = "cosine", [SHX_IP] = "ip"};
    char sql[512];
    snprintf(sql, sizeof sql,
             "CREATE VIRTUAL TABLE t USING shardex(v float[%u] distance_metric=%s, n integer, +s text, flush_rows=64,"
             "shard_size=32, threads=1); CREATE TABLE twin(id INTEGER PRIMARY KEY, v BLOB, n INTEGER, s TEXT)",
             table->shape->dim, metrics[table->shape->metric]);
    return sim_table_run(table, sql);
}

bool sim_table_exists(sim_table *table) {
    sqlite3_stmt *count = NULL;
    static const char sql[] = "SELECT count(*) FROM sqlite_schema WHERE name IN ('t', 'twin')";
    sim_table_need(table, sqlite3_prepare_v2(table->db, sql, -1, &count, NULL), "the schema");
    int found = sqlite3_step(count) == SQLITE_ROW ? sqlite3_column_int(count, 0) : -1;
    sim_table_need(table, sqlite3_finalize(count), "the schema");
    if (found == 1) sim_fail("one of the tables is there without the other");
    return found == 2;
}

void sim_table_vector(const sim_shape *shape, fixture_random *random, float *vector) {
    uint64_t centre = fixture_below(random, 8), coarse = fixture_below(random, 6) == 0;
    bool zero = fixture_below(random, 60) == 0;
    for (uint32_t d = 0; d < shape->dim; d++) {
        double value = (double)((centre >> d % 3) & 1) * 3 - 1 + fixture_unit(random);
        vector[d] = (float)(zero ? 0 : coarse ? floor(value) : value);
    }
}

int sim_table_change(sim_table *table, fixture_random *random) {
    static const sim_text kinds[] = {SIM_TEXT_PUT,    SIM_TEXT_PUT,  SIM_TEXT_PUT,    SIM_TEXT_PUT,
                                     SIM_TEXT_INSERT, SIM_TEXT_MOVE, SIM_TEXT_NOTE,   SIM_TEXT_RANGE,
                                     SIM_TEXT_CLEAR,  SIM_TEXT_COPY, SIM_TEXT_DELETE, SIM_TEXT_DELETE};
    const sim_shape *shape = table->shape;
    float vector[64];
    sim_text kind = kinds[fixture_below(random, sizeof kinds / sizeof *kinds)];
    int64_t rowid = (int64_t)fixture_below(random, (uint64_t)shape->ids) + 1;
    int64_t number = (int64_t)fixture_below(random, 1000000);
    sim_table_vector(shape, random, vector);
    for (int twin = 0; twin < 2; twin++) {
        sqlite3_stmt *statement;
        int rc = sim_table_statement(table, kind, twin, &statement);
        if (rc != SQLITE_OK) return rc;
        int parameters = sqlite3_bind_parameter_count(statement);
        sqlite3_bind_int64(statement, 1, rowid);
        if (parameters > 1) {
            sqlite3_bind_blob(statement, 2, vector, (int)(shape->dim * sizeof *vector), SQLITE_STATIC);
        }
        if (parameters > 2) sqlite3_bind_int64(statement, 3, number);
        sqlite3_step(statement);
        rc = sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

/* ---- judging ---- */

static uint64_t sim_table_hash_row(sqlite3_stmt *row, uint64_t hash) {
    for (int i = 0; i < 4; i++) {
        int64_t head[3] = {(int64_t)hash, sqlite3_column_type(row, i), 0};
        if (head[1] == SQLITE_INTEGER) {
            head[2] = sqlite3_column_int64(row, i);
        } else if (head[1] != SQLITE_NULL) {
            const void *bytes = sqlite3_column_blob(row, i);
            head[2] = (int64_t)shx_hash64(bytes, (uint64_t)sqlite3_column_bytes(row, i), 0);
        }
        hash = shx_hash64(head, sizeof head, 0);
    }
    return hash;
}

int sim_table_digest(sim_table *table, uint64_t *ret_digest) {
    sqlite3_stmt *rows;
    uint64_t digest = 0;
    int rc = sim_table_statement(table, SIM_TEXT_ROWS, true, &rows);
    if (rc != SQLITE_OK) return rc;
    while (sqlite3_step(rows) == SQLITE_ROW) digest = sim_table_hash_row(rows, digest);
    *ret_digest = digest;
    return sqlite3_reset(rows);
}

/* The rows of the twin. */
typedef struct sim_rows {
    uint64_t count, capacity, digest;
    int64_t *rowids, *numbers; /* no number: INT64_MAX */
    float *vectors;
} sim_rows;

static void sim_table_keep_row(const sim_table *table, sqlite3_stmt *row, sim_rows *rows) {
    uint32_t dim = table->shape->dim;
    if (rows->count == rows->capacity) {
        rows->capacity = 2 * rows->capacity + 128;
        rows->rowids = sim_resize(rows->rowids, rows->capacity * sizeof *rows->rowids);
        rows->numbers = sim_resize(rows->numbers, rows->capacity * sizeof *rows->numbers);
        rows->vectors = sim_resize(rows->vectors, rows->capacity * dim * sizeof *rows->vectors);
    }
    if (sqlite3_column_bytes(row, 1) != (int)(dim * sizeof(float))) sim_fail("a row of the twin has no vector");
    bool numbered = sqlite3_column_type(row, 2) == SQLITE_INTEGER;
    rows->rowids[rows->count] = sqlite3_column_int64(row, 0);
    rows->numbers[rows->count] = numbered ? sqlite3_column_int64(row, 2) : INT64_MAX;
    memcpy(rows->vectors + rows->count * dim, sqlite3_column_blob(row, 1), dim * sizeof(float));
    rows->count++;
}

/* Reads the twin; `t` must have the same rows. */
static void sim_table_compare(sim_table *table, sim_rows *rows) {
    sqlite3_stmt *twin, *own;
    uint64_t digest = 0;
    sim_table_need(table, sim_table_statement(table, SIM_TEXT_ROWS, true, &twin), "the rows of the twin");
    sim_table_need(table, sim_table_statement(table, SIM_TEXT_ROWS, false, &own), "the rows of the table");
    while (sqlite3_step(twin) == SQLITE_ROW) {
        sim_table_keep_row(table, twin, rows);
        rows->digest = sim_table_hash_row(twin, rows->digest);
        if (sqlite3_step(own) != SQLITE_ROW) break;
        digest = sim_table_hash_row(own, digest);
        long long rowid = (long long)rows->rowids[rows->count - 1];
        if (digest != rows->digest) sim_fail("row %lld is not that of the twin", rowid);
    }
    if (digest == rows->digest && sqlite3_step(own) == SQLITE_ROW) sim_fail("the table has a row too many");
    sim_table_need(table, sqlite3_reset(own), "reading the table");
    sim_table_need(table, sqlite3_reset(twin), "reading the twin");
    if (digest != rows->digest) sim_fail("the table lacks row %lld", (long long)rows->rowids[rows->count - 1]);
}

static void sim_table_query(sim_table *table, const sim_rows *rows, fixture_random *random, shx_topk *topk) {
    const sim_shape *shape = table->shape;
    float query[64];
    int64_t k = (int64_t)fixture_below(random, 12) + 1, limit = (int64_t)fixture_below(random, 1000000);
    bool filtered = fixture_below(random, 4) == 0;
    sim_table_vector(shape, random, query);
    shx_topk_reset(topk, (uint64_t)k);
    for (uint64_t i = 0; i < rows->count; i++) {
        if (filtered && rows->numbers[i] >= limit) continue;
        double distance = shx_distance(shape->metric, SHX_FLOAT32, query, rows->vectors + i * shape->dim, shape->dim);
        if (shx_topk_insert(topk, distance, rows->rowids[i]) != SHX_OK) abort();
    }
    shx_topk_sort(topk, NULL);
    sqlite3_stmt *statement;
    sim_text text = filtered ? SIM_TEXT_FILTERED : SIM_TEXT_NEAREST;
    sim_table_need(table, sim_table_statement(table, text, false, &statement), "a query");
    sqlite3_bind_int64(statement, 1, k);
    sqlite3_bind_blob(statement, 2, query, (int)(shape->dim * sizeof *query), SQLITE_STATIC);
    if (filtered) sqlite3_bind_int64(statement, 3, limit);
    for (uint64_t i = 0; i < topk->count; i++) {
        if (sqlite3_step(statement) != SQLITE_ROW) {
            sim_table_need(table, sqlite3_reset(statement), "a query");
            sim_fail("a query has %llu answers, not %llu", (unsigned long long)i, (unsigned long long)topk->count);
        }
        long long rowid = sqlite3_column_int64(statement, 0), expected = (long long)topk->hits[i].rowid;
        if (rowid != expected || sqlite3_column_double(statement, 1) != topk->hits[i].distance) {
            sim_fail("answer %llu of a query is row %lld, not %lld", (unsigned long long)i, rowid, expected);
        }
    }
    if (sqlite3_step(statement) == SQLITE_ROW) sim_fail("a query has an answer too many");
    sim_table_need(table, sqlite3_reset(statement), "a query");
    sqlite3_clear_bindings(statement);
}

uint64_t sim_table_judge(sim_table *table, fixture_random *random, int queries) {
    sim_rows rows = {0};
    shx_topk topk = {0};
    if (table->shape->fresh && !sim_table_exists(table)) return 0;
    sim_table_need(table, sim_table_run(table, "SAVEPOINT judge"), "judging");
    sim_table_compare(table, &rows);
    for (int i = 0; i < queries; i++) sim_table_query(table, &rows, random, &topk);
    sim_table_need(table, sim_table_run(table, "RELEASE judge"), "judging");
    shx_topk_free(&topk);
    free(rows.rowids);
    free(rows.numbers);
    free(rows.vectors);
    return rows.digest;
}

void sim_table_sound(sim_table *table) {
    sqlite3_stmt *check = NULL;
    sim_table_need(table, sqlite3_prepare_v2(table->db, "PRAGMA integrity_check", -1, &check, NULL), "a check");
    while (sqlite3_step(check) == SQLITE_ROW) {
        const char *found = (const char *)sqlite3_column_text(check, 0);
        if (!found || strcmp(found, "ok") != 0) sim_fail("integrity_check: %s", found ? found : "");
    }
    sim_table_need(table, sqlite3_finalize(check), "a check");
}

void sim_table_check(sim_table *table) {
    if (!sim_table_exists(table)) return;
    sim_table_need(table, sim_table_run(table, "INSERT INTO t(t) VALUES('integrity-check')"), "a check of its files");
}
