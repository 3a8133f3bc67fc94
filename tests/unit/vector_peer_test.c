/* The functions on vectors beside those of sqlite-vec itself: random calls, right and wrong ones, on a connection with
** either; both must give the same value, of the same type and subtype, or the same error. What is meant to differ
** stands in a table, and is seen to differ. And tables, declared alike but for one word: the same statements must have
** the same results. SHARDEX_PEERS names the folder where the benchmark keeps its peers; without sqlite-vec in it that
** part is skipped, and only our side of the table of differences is checked.
*/
#include "../../ext/sqlite_api.h"

#include "../../engine/shardex.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
static void __lsan_disable(void) {}
static void __lsan_enable(void) {}
#endif

#define PEER_CALLS 20000

static sqlite3 *ours, *theirs; /* theirs: NULL where it is not installed */

static void peer_subtype(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_int(context, (int)sqlite3_value_subtype(values[0]));
}

static sqlite3 *peer_open(void) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_create_function(db, "subtype_of", 1, SQLITE_UTF8, NULL, peer_subtype, NULL, NULL);
    return db;
}

static char peer_path[1024]; /* of sqlite-vec */

static int peer_load(sqlite3 *db) {
    char *message = NULL;
    sqlite3_enable_load_extension(db, 1);
    if (sqlite3_load_extension(db, peer_path, NULL, &message) == SQLITE_OK) return 0;
    print_error("%s\n", message);
    return -1;
}

static int peer_set_up(void **state) {
    char pattern[1024];
    const char *folder = getenv("SHARDEX_PEERS");
    glob_t found = {0};
    (void)state;
    ours = peer_open();
    if (sqlite3_shardex_init(ours, NULL, NULL) != SQLITE_OK) return -1;
    snprintf(pattern, sizeof pattern, "%s/sqlite-vec-*/vec0.[sd]*", folder ? folder : "");
    int rc = 0;
    if (folder && glob(pattern, 0, NULL, &found) == 0) {
        snprintf(peer_path, sizeof peer_path, "%s", found.gl_pathv[0]);
        theirs = peer_open();
        rc = peer_load(theirs);
    }
    if (!theirs) print_message("sqlite-vec is not installed: not compared with it\n");
    globfree(&found);
    return rc;
}

static int peer_tear_down(void **state) {
    (void)state;
    sqlite3_close(theirs);
    return sqlite3_close(ours);
}

/* ---- what a call comes to ---- */

#define PEER_BYTES 4096

typedef struct peer_answer {
    int rc, type, subtype, size;
    uint8_t bytes[PEER_BYTES]; /* of a blob, a text or an error */
    double number;
} peer_answer;

static void peer_keep(peer_answer *answer, const void *bytes, int size) {
    answer->size = size < PEER_BYTES ? size : PEER_BYTES - 1;
    if (answer->size > 0) memcpy(answer->bytes, bytes, (size_t)answer->size);
    answer->bytes[answer->size] = '\0';
}

/* What sqlite-vec leaks is its own affair. */
static peer_answer peer_ask(sqlite3 *db, const char *call) {
    peer_answer answer = {0};
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT %s, subtype_of(%s)", call, call);
    if (db == theirs) __lsan_disable();
    answer.rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (answer.rc == SQLITE_OK) answer.rc = sqlite3_step(statement);
    if (answer.rc == SQLITE_ROW) {
        answer.type = sqlite3_column_type(statement, 0);
        answer.number = sqlite3_column_double(statement, 0);
        answer.subtype = sqlite3_column_int(statement, 1);
        const void *bytes = sqlite3_column_blob(statement, 0);
        peer_keep(&answer, bytes, sqlite3_column_bytes(statement, 0));
    } else {
        peer_keep(&answer, sqlite3_errmsg(db), (int)strlen(sqlite3_errmsg(db)));
    }
    sqlite3_finalize(statement);
    if (db == theirs) __lsan_enable();
    sqlite3_free(sql);
    return answer;
}

/* ---- the same? ---- */

/* They compute lengths and distances in float arithmetic, we in double. */
static bool peer_near(double a, double b) { return fabs(a - b) <= 1e-5 * fmax(1, fmax(fabs(a), fabs(b))); }

static bool peer_near_floats(const peer_answer *a, const peer_answer *b) {
    for (int i = 0; i + 4 <= a->size; i += 4) {
        float x, y;
        memcpy(&x, a->bytes + i, 4);
        memcpy(&y, b->bytes + i, 4);
        if (!peer_near((double)x, (double)y)) return false;
    }
    return true;
}

static bool peer_begins(const peer_answer *answer, const char *text) {
    return strncmp((const char *)answer->bytes, text, strlen(text)) == 0;
}

/* Ours may say more than theirs, behind the same words. */
static bool peer_same_error(const peer_answer *us, const peer_answer *them) {
    size_t size = strlen((const char *)them->bytes);
    if (size > 0 && them->bytes[size - 1] == '.') size--;
    return strcmp((const char *)them->bytes, "SQL logic error") == 0 || /* all that vec_each says */
           peer_begins(them, "JSON parsing error") ||                   /* ours says which number is at fault */
           peer_begins(them, "Error reading 1st vector: JSON") || peer_begins(them, "Error reading 2nd vector: JSON") ||
           strncmp((const char *)us->bytes, (const char *)them->bytes, size) == 0;
}

static bool peer_same(const peer_answer *us, const peer_answer *them, bool rounded) {
    if (peer_begins(us, "expected a vector of type ")) return true; /* see the table: what is one is no other */
    if (us->rc != them->rc) return false;
    if (us->rc != SQLITE_ROW) return peer_same_error(us, them);
    if (us->type != them->type || us->subtype != them->subtype) return false;
    if (us->type == SQLITE_FLOAT) return peer_near(us->number, them->number);
    if (us->size != them->size) return false;
    return rounded ? peer_near_floats(us, them) : memcmp(us->bytes, them->bytes, (size_t)us->size) == 0;
}

static void peer_check(sqlite3 *db, const char *call, const char *expected);

/* Both in one connection, in either order: the functions are sqlite-vec's, and each has its tables. */
static void side_by_side(void **state) {
    (void)state;
    if (!theirs) skip();
    __lsan_disable();
    for (int first = 0; first < 2; first++) {
        sqlite3 *db = peer_open();
        if (first == 0) assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
        assert_int_equal(peer_load(db), 0);
        if (first == 1) assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
        peer_check(db, "vec_version()", "v0.1.9");
        peer_check(db, "(SELECT group_concat(value) FROM vec_each('[1,2]'))", "1.0,2.0");
        peer_check(db, "vec_avg('[1,2]')", "0000803F00000040");
        const char *sql =
            "CREATE VIRTUAL TABLE a USING shardex(v float[2]); CREATE VIRTUAL TABLE b USING vec0(v float[2]);"
            "INSERT INTO b(rowid, v) VALUES(1, '[1,2]'), (2, '[3,4]'); INSERT INTO a(rowid, v) SELECT * FROM b";
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        peer_check(db,
                   "(SELECT a.rowid || b.rowid FROM a, b WHERE a.v MATCH '[3,3]' AND a.k = 1 AND b.v MATCH '[1,1]' AND "
                   "b.k = 1)",
                   "21");
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
    }    __lsan_enable();
}

/* ---- random calls ---- */

static uint64_t peer_state;

static uint32_t peer_random(uint32_t limit) {
    peer_state = peer_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(peer_state >> 33) % limit;
}

static void peer_write_array(sqlite3_str *sql, uint32_t dim, bool whole) {
    for (uint32_t i = 0; i < dim; i++) {
        sqlite3_str_appendall(sql, i ? "," : "[");
        if (whole) {
            sqlite3_str_appendf(sql, "%d", (int)peer_random(256) - 128);
        } else {
            sqlite3_str_appendf(sql, "%.6g", ((double)peer_random(2000001) - 1e6) / (peer_random(2) ? 1e6 : 1e3));
        }
    }
    sqlite3_str_appendall(sql, dim ? "]" : "[]");
}

static void peer_write_bytes(sqlite3_str *sql, uint32_t bytes) {
    sqlite3_str_appendall(sql, "x'");
    for (uint32_t i = 0; i < bytes; i++) sqlite3_str_appendf(sql, "%02x", peer_random(256));
    sqlite3_str_appendall(sql, "'");
}

/* Floats as the bytes that they are. */
static void peer_write_floats(sqlite3_str *sql, uint32_t dim) {
    sqlite3_str_appendall(sql, "x'");
    for (uint32_t i = 0; i < dim; i++)
        sqlite3_str_appendf(sql, "%02x%02x%02x%02x", peer_random(256), peer_random(256), peer_random(256),
                            0x3e | (peer_random(2) << 7));
    sqlite3_str_appendall(sql, "'");
}

/* What is no vector: of all types and sizes, and faults that they see as well. */
static const char *const peer_wrong[] = {"NULL",       "1",
                                         "2.5",        "''",
                                         "x''",        "x'010203'",
                                         "'[]'",       "' '",
                                         "'abc'",      "'1,2'",
                                         "'[a]'",      "vec_bit('')",
                                         "'{}'",       "vec_int8(NULL)",
                                         "vec_f32(7)", "vec_bit(NULL)",
                                         "vec_bit(1)", "vec_int8(x'')",
                                         "json('{}')"};

enum peer_kind { PEER_TEXT, PEER_FLOATS, PEER_F32, PEER_INT8, PEER_BIT, PEER_KINDS };

static void peer_write_vector(sqlite3_str *sql, enum peer_kind kind, uint32_t dim) {
    static const char *const begins[] = {"'", "", "vec_f32('", "vec_int8('", "vec_bit("};
    static const char *const ends[] = {"'", "", "')", "')", ")"};
    sqlite3_str_appendall(sql, begins[kind]);
    if (kind == PEER_FLOATS) peer_write_floats(sql, dim);
    if (kind == PEER_BIT) peer_write_bytes(sql, dim);
    if (kind != PEER_FLOATS && kind != PEER_BIT) peer_write_array(sql, dim, kind == PEER_INT8);
    sqlite3_str_appendall(sql, ends[kind]);
}

/* An argument: mostly a vector of the wanted kind and size. */
static void peer_write_argument(sqlite3_str *sql, enum peer_kind *kind, uint32_t *dim) {
    if (peer_random(12) == 0) {
        sqlite3_str_appendall(sql, peer_wrong[peer_random(sizeof peer_wrong / sizeof *peer_wrong)]);
        return;
    }
    if (peer_random(12) == 0) *dim = 1 + peer_random(12);
    /* Text beside int8 or bits is what they refuse and we read: see the table. */
    if (peer_random(12) == 0) *kind = *kind >= PEER_INT8 ? PEER_F32 + peer_random(3) : peer_random(PEER_INT8);
    peer_write_vector(sql, *kind, *dim);
}

static const struct {
    const char *name;
    int vectors, numbers; /* arguments */
    bool rounded;
} peer_functions[] = {
    {"vec_f32(", 1, 0, false},
    {"vec_int8(", 1, 0, false},
    {"vec_bit(", 1, 0, false},
    {"vec_length(", 1, 0, false},
    {"vec_type(", 1, 0, false},
    {"vec_to_json(", 1, 0, false},
    {"vec_quantize_binary(", 1, 0, false},
    {"vec_normalize(", 1, 0, true},
    {"vec_add(", 2, 0, false},
    {"vec_sub(", 2, 0, false},
    {"vec_slice(", 1, 2, false},
    {"vec_distance_l2(", 2, 0, false},
    {"vec_distance_l1(", 2, 0, false},
    {"vec_distance_cosine(", 2, 0, false},
    {"vec_distance_hamming(", 2, 0, false},
    {"(SELECT group_concat(rowid || typeof(value) || value) FROM vec_each(", 1, 0, false},
};

#define PEER_FUNCTIONS (sizeof peer_functions / sizeof *peer_functions)

static char *peer_write_call(size_t function) {
    sqlite3_str *sql = sqlite3_str_new(NULL);
    enum peer_kind kind = peer_random(PEER_KINDS);
    uint32_t dim = 1 + peer_random(12);
    sqlite3_str_appendall(sql, peer_functions[function].name);
    for (int i = 0; i < peer_functions[function].vectors; i++) {
        if (i > 0) sqlite3_str_appendall(sql, ", ");
        peer_write_argument(sql, &kind, &dim);
    }
    for (int i = 0; i < peer_functions[function].numbers; i++) {
        sqlite3_str_appendf(sql, ", %d",
                            (int)(peer_random(3) ? 8 * peer_random(14) : peer_random(16)) - 2 * !peer_random(9));
    }
    sqlite3_str_appendall(sql, peer_functions[function].name[0] == '(' ? "))" : ")");
    return sqlite3_str_finish(sql);
}

static void random_calls(void **state) {
    uint32_t answered = 0, refused = 0;
    (void)state;
    if (!theirs) skip();
    for (uint32_t seed = 1; seed <= PEER_CALLS; seed++) {
        peer_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        size_t function = seed % PEER_FUNCTIONS;
        char *call = peer_write_call(function);
        peer_answer us = peer_ask(ours, call), them = peer_ask(theirs, call);
        if (!peer_same(&us, &them, peer_functions[function].rounded)) {
            fail_msg("seed %u: %s\nours:   %d %d %d %s\ntheirs: %d %d %d %s", seed, call, us.rc, us.type, us.subtype,
                     us.bytes, them.rc, them.type, them.subtype, them.bytes);
        }
        if (them.rc == SQLITE_ROW) {
            answered++;
        } else {
            refused++;
        }
        sqlite3_free(call);
    }
    assert_true(answered > PEER_CALLS / 4 && refused > PEER_CALLS / 10);
}

/* ---- what differs, and is meant to ---- */

static const struct {
    const char *call, *ours, *theirs; /* values as text, blobs in hex; errors */
} peer_differences[] = {
    /* Text is read strictly: all of it is one array of numbers. */
    {"vec_to_json('[1')", "JSON parsing error: expected \",\" or \"]\", found the end of the text at byte 3",
     "[1.000000]"},
    {"vec_to_json('[1] x')", "JSON parsing error: expected nothing after the array, found \"x\" at byte 5",
     "[1.000000]"},
    /* NaN and infinities are no vectors, and do not become any. */
    {"vec_normalize('[0,0]')", "0000000000000000", NULL}, /* a NaN, which one is the processor's */
    {"vec_normalize('[3e38]')", "0000803F", "00000000"},
    {"vec_add('[3e38]', '[3e38]')", "invalid float32 vector: element 0 is Inf", "0000807F"},
    /* Text beside a vector of int8 is one too. */
    {"vec_add(vec_int8('[1]'), '[2]')", "03",
     "Vector type mistmatch. First vector has type int8, while the second has type float32."},
    /* The bytes of one type are not taken for another. */
    {"vec_bit(vec_f32('[1]'))", "expected a vector of type bit, but a vector of type float32 was provided.",
     "0000803F"},
    {"vec_int8(vec_bit(x'01'))", "expected a vector of type int8, but a vector of type bit was provided.", "01"},
    {"vec_slice('[1,2]', 0, 4294967297)", "slice 'end' index is greater than the number of dimensions", "0000803F"},
};

/* The value as text, blobs in hex, or the error. */
static void peer_check(sqlite3 *db, const char *call, const char *expected) {
    char *sql = sqlite3_mprintf("iif(typeof(%s) = 'blob', hex(%s), %s)", call, call, call);
    peer_answer answer = peer_ask(db, sql);
    if (strcmp((const char *)answer.bytes, expected) != 0) fail_msg("%s: %s", call, answer.bytes);
    sqlite3_free(sql);
}

static void differences(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof peer_differences / sizeof *peer_differences; i++) {
        peer_check(ours, peer_differences[i].call, peer_differences[i].ours);
        const char *other = peer_differences[i].theirs;
        if (theirs && other) peer_check(theirs, peer_differences[i].call, other);
    }
}

/* ---- tables: one word of the declaration differs ---- */

/* In the statements @ is a vector of the column's type, # the name of the key. */
static const struct {
    enum peer_kind kind;
    const char *key, *declaration; /* %s: the module */
} peer_tables[] = {
    {PEER_F32, "rowid",
     "CREATE VIRTUAL TABLE t USING %s(v float[8], n integer, s text, f float, b boolean, +x text, chunk_size=16)"},
    {PEER_TEXT, "rowid",
     "CREATE VIRTUAL TABLE t USING %s(v float[8] distance_metric=cosine, n int, s text, f double, b bool, +x text)"},
    {PEER_FLOATS, "rowid",
     "CREATE VIRTUAL TABLE t USING %s(v f32[8] distance_metric=L1, n integer, s text, f float, b boolean, +x text)"},
    {PEER_INT8, "rowid", "CREATE VIRTUAL TABLE t USING %s(v int8[8], n integer, s text, f float, b boolean, +x text)"},
    {PEER_BIT, "rowid", "CREATE VIRTUAL TABLE t USING %s(v bit[64], n integer, s text, f float, b boolean, +x text)"},
    {PEER_F32, "id",
     "CREATE VIRTUAL TABLE t USING %s(id integer primary key, v float[8], n integer, s text, f float, b "
     "boolean, +x text)"},
};

static const char *const peer_statements[] = {
    "SELECT * FROM t",
    "SELECT vec_to_json(v), vec_type(v), vec_length(v), typeof(f), # FROM t WHERE # = 17",
    "SELECT #, distance, n, s, f, b, x FROM t WHERE v MATCH @ AND k = 10",
    "SELECT count(*), sum(#), min(distance), max(distance) FROM (SELECT #, distance FROM t WHERE v MATCH @ "
    "AND k = 500 ORDER BY distance)",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 0",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 7 AND n = 3",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 7 AND n != 3 AND f < 50.5 AND s > 's4'",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 7 AND n IN (1, 2) AND b = 1",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 7 AND s IN ('s1', 's5', 'none')",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 7 AND # IN (1, 5, 9, 13, 400)",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 7 AND n BETWEEN 2 AND 4",
    "SELECT # FROM t WHERE v MATCH @ AND k = -1",
    "SELECT # FROM t WHERE v MATCH NULL AND k = 1 AND length(@) > 0",
    "SELECT # FROM t WHERE v MATCH 5 AND k = 1 AND length(@) > 0",
    "SELECT count(*), sum(n), max(s), min(f) FROM t WHERE b = 0",
    "SELECT a.#, t.#, t.distance FROM (SELECT #, v FROM t WHERE # < 4) AS a, t "
    "WHERE t.v MATCH a.v AND t.k = 1",
    "INSERT INTO t(#, v, n, s, f, b, distance) VALUES(900, @, 1, 's', 1.5, 1, 5)",
    "INSERT INTO t(#, v, n, s, f, b, k) VALUES(900, @, 1, 's', 1.5, 1, 5)",
    "INSERT INTO t(#, v, n, s, f, b) VALUES(900, vec_slice(@, 0, 0), 1, 's', 1.5, 1)",
    "UPDATE t SET v = @ WHERE # IN (4, 8)",
    "UPDATE t SET n = 77 WHERE # IN (4, 8)",
    "UPDATE t SET s = 'changed' WHERE n = 77",
    "SELECT #, s, n FROM t WHERE n = 77",
    "DELETE FROM t WHERE # > 250 OR n = 2",
    "SELECT #, distance FROM t WHERE v MATCH @ AND k = 12",
    "SELECT count(*) FROM t",
};

/* Distances of bits and of small integers are often equal: which of those rows come last, and in which order, is
** anybody's choice. */
static bool peer_ties;

static bool peer_same_column(sqlite3_stmt *us, sqlite3_stmt *them, int column) {
    bool tied = peer_ties && strcmp(sqlite3_column_name(us, 1 % sqlite3_column_count(us)), "distance") == 0;
    if (tied && column != 1) return true;
    int type = sqlite3_column_type(us, column);
    if (type != sqlite3_column_type(them, column)) return false;
    if (type == SQLITE_FLOAT) return peer_near(sqlite3_column_double(us, column), sqlite3_column_double(them, column));
    const void *a = sqlite3_column_blob(us, column), *b = sqlite3_column_blob(them, column);
    int bytes = sqlite3_column_bytes(us, column);
    return bytes == sqlite3_column_bytes(them, column) && (bytes == 0 || memcmp(a, b, (size_t)bytes) == 0);
}

/* Runs a statement on both; every row and every column must be the same, and errors begin with the same words. */
static void peer_run_both(const char *sql) {
    sqlite3 *databases[2] = {ours, theirs};
    sqlite3_stmt *statements[2] = {0};
    int rcs[2];
    for (int i = 0; i < 2; i++) rcs[i] = sqlite3_prepare_v2(databases[i], sql, -1, &statements[i], NULL);
    while (rcs[0] == rcs[1] && (rcs[0] == SQLITE_OK || rcs[0] == SQLITE_ROW)) {
        for (int i = 0; i < 2; i++) rcs[i] = sqlite3_step(statements[i]);
        if (rcs[0] != SQLITE_ROW || rcs[1] != SQLITE_ROW) continue;
        for (int column = 0; column < sqlite3_column_count(statements[1]); column++) {
            if (peer_same_column(statements[0], statements[1], column)) continue;
            fail_msg("%s: column %d: %s, theirs %s", sql, column, sqlite3_column_text(statements[0], column),
                     sqlite3_column_text(statements[1], column));
        }
    }
    peer_answer us = {.rc = rcs[0]}, them = {.rc = rcs[1]};
    peer_keep(&us, sqlite3_errmsg(ours), (int)strlen(sqlite3_errmsg(ours)));
    peer_keep(&them, sqlite3_errmsg(theirs), (int)strlen(sqlite3_errmsg(theirs)));
    if (us.rc != them.rc || !peer_same_error(&us, &them)) {
        fail_msg("%s\nours:   %d %s\ntheirs: %d %s", sql, us.rc, us.bytes, them.rc, them.bytes);
    }
    for (int i = 0; i < 2; i++) sqlite3_finalize(statements[i]);
}

/* The same random vectors in the place of each @. */
static char *peer_fill_in(const char *text, size_t table) {
    sqlite3_str *sql = sqlite3_str_new(NULL);
    for (; *text; text++) {
        if (*text == '@') {
            peer_write_vector(sql, peer_tables[table].kind, 8);
        } else if (*text == '#') {
            sqlite3_str_appendall(sql, peer_tables[table].key);
        } else {
            sqlite3_str_appendchar(sql, 1, *text);
        }
    }
    return sqlite3_str_finish(sql);
}

static void peer_fill_table(size_t table) {
    for (int row = 1; row <= 300; row++) {
        char *text = sqlite3_mprintf("INSERT INTO t(#, v, n, s, f, b, x) VALUES(%d, @, %d, 's%d', %d.5, %d, %s)", row,
                                     (int)peer_random(6), (int)peer_random(9), (int)peer_random(100),
                                     (int)peer_random(2), peer_random(3) ? "'text'" : "NULL");
        char *sql = peer_fill_in(text, table);
        peer_run_both(sql);
        sqlite3_free(text);
        sqlite3_free(sql);
    }
}

static void peer_try_table(size_t table, uint32_t seed) {
    enum peer_kind kind = peer_tables[table].kind;
    static const char *const modules[] = {"shardex", "vec0"};
    for (int i = 0; i < 2; i++) {
        char *sql = sqlite3_mprintf(peer_tables[table].declaration, modules[i]);
        assert_int_equal(sqlite3_exec(i == 0 ? ours : theirs, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_free(sql);
    }
    peer_state = seed * UINT64_C(0x9e3779b97f4a7c15);
    peer_ties = kind >= PEER_INT8;
    peer_fill_table(table);
    for (size_t i = 0; i < sizeof peer_statements / sizeof *peer_statements; i++) {
        if (kind >= PEER_INT8 && strstr(peer_statements[i], "UPDATE")) continue; /* theirs says they are floats */
        char *sql = peer_fill_in(peer_statements[i], table);
        peer_run_both(sql);
        sqlite3_free(sql);
    }
    peer_run_both("DROP TABLE t");
}

/* The same life of a table in both. */
static void tables(void **state) {
    (void)state;
    if (!theirs) skip();
    __lsan_disable();
    for (uint32_t seed = 1; seed <= 5; seed++) {
        for (size_t table = 0; table < sizeof peer_tables / sizeof *peer_tables; table++) peer_try_table(table, seed);
    }
    __lsan_enable();
}

/* Both have the same functions, with the same numbers of arguments; ours has more. */
static void all_names(void **state) {
    sqlite3_stmt *statement;
    int count = 0;
    (void)state;
    if (!theirs) skip();
    assert_int_equal(sqlite3_prepare_v2(theirs, "SELECT name, narg FROM pragma_function_list WHERE name GLOB 'vec_*'",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        char *call = sqlite3_mprintf("(SELECT count(*) FROM pragma_function_list WHERE name = %Q AND narg = %d)",
                                     sqlite3_column_text(statement, 0), sqlite3_column_int(statement, 1));
        peer_answer answer = peer_ask(ours, call);
        if (answer.number != 1) fail_msg("%s: %g", call, answer.number);
        sqlite3_free(call);
        count++;
    }
    sqlite3_finalize(statement);
    assert_true(count >= 18);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls), cmocka_unit_test(all_names),    cmocka_unit_test(differences),
        cmocka_unit_test(tables),       cmocka_unit_test(side_by_side),
    };
    return cmocka_run_group_tests(tests, peer_set_up, peer_tear_down);
}
