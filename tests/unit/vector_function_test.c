/* The functions on vectors that compute new ones (vec_add, vec_sub, vec_normalize, vec_slice, vec_sum, vec_avg), and
** vec_each, vec_version and vec_debug, through SQL: values, messages, sizes, memory that runs out. What vectors look
** like as values is vector_value_test's matter, and whether sqlite-vec gives the same is vector_peer_test's.
*/
#include "../../ext/vector_value.h"

#include "../../engine/shardex.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sqlite3 *db;

static int open_database(void **state) {
    (void)state;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) return -1;
    return sqlite3_shardex_init(db, NULL, NULL);
}

static int close_database(void **state) {
    (void)state;
    return sqlite3_close(db);
}

/* The only value of a query as text, or the error message. */
static void evaluate(const char *query, char *text, size_t size) {
    sqlite3_stmt *statement = NULL;
    bool row =
        sqlite3_prepare_v2(db, query, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
    const char *value = row ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errmsg(db);
    snprintf(text, size, "%s", value ? value : "NULL");
    sqlite3_finalize(statement);
}

#define JSON(expression) "SELECT vec_to_json(" expression ")"
#define INPUT "Input must have type BLOB (compact format) or TEXT (JSON), found "
#define GROUP(values) " FROM (SELECT column1 AS v FROM (VALUES " values "))"

static const struct {
    const char *query, *expected;
} cases[] = {
    /* sums */
    {JSON("vec_add('[1,2]', '[3,-4.5]')"), "[4.000000,-2.500000]"},
    {JSON("vec_sub('[1,2]', '[3,-4.5]')"), "[-2.000000,6.500000]"},
    {"SELECT vec_type(vec_add(vec_f16('[1]'), '[2]')) || vec_to_json(vec_sub(vec_bf16('[1]'), '[2]'))",
     "float16[-1.000000]"},
    {JSON("vec_add(vec_int8('[100,-100,1]'), vec_int8('[100,-100,2]'))"), "[-56,56,3]"},
    {JSON("vec_sub(vec_int8('[-128,127]'), '[127,-128]')"), "[1,-1]"},
    {JSON("vec_add('[3e38]', '[3e38]')"), "invalid float32 vector: element 0 is Inf"},
    {JSON("vec_sub(vec_f16('[0,-65504]'), vec_f16('[0,65504]'))"), "invalid float16 vector: element 1 is Inf"},
    {JSON("vec_add(vec_bit(x'01'), vec_bit(x'02'))"), "Cannot add two bitvectors together."},
    {JSON("vec_sub(vec_bit(x'01'), vec_bit(x'02'))"), "Cannot subtract two bitvectors together."},
    {JSON("vec_add('[1]', '[1,2]')"),
     "Vector dimension mistmatch. First vector has 1 dimensions, while the second has 2 dimensions."},
    {JSON("vec_sub(vec_f32('[1]'), vec_int8('[1]'))"),
     "Vector type mistmatch. First vector has type float32, while the second has type int8."},
    {JSON("vec_add(NULL, '[1]')"), "Error reading 1st vector: " INPUT "NULL"},
    {JSON("vec_sub('[1]', 2)"), "Error reading 2nd vector: " INPUT "INTEGER"},
    {JSON("vec_add('', '[1]')"), "Error reading 1st vector: zero-length vectors are not supported."},
    /* length 1 */
    {JSON("vec_normalize('[3,-4]')"), "[0.600000,-0.800000]"},
    {JSON("vec_normalize('[3e38,4e37]')"), "[0.991228,0.132164]"},
    {"SELECT vec_distance_l2(vec_normalize('[1e-45,0]'), '[1,0]')", "0.0"},
    {JSON("vec_normalize('[0,0]')"), "[0.000000,0.000000]"},
    {"SELECT vec_type(vec_normalize(vec_bf16('[3,4]')))", "bfloat16"},
    {JSON("vec_normalize(vec_int8('[3,4]'))"), "only float32 vectors are supported when normalizing"},
    {JSON("vec_normalize(vec_bit(x'ff'))"), "only float32 vectors are supported when normalizing"},
    {JSON("vec_normalize(NULL)"), INPUT "NULL"},
    /* slices */
    {JSON("vec_slice('[1,2,3]', 0, 3)"), "[1.000000,2.000000,3.000000]"},
    {JSON("vec_slice('[1,2,3]', 1, 2)"), "[2.000000]"},
    {JSON("vec_slice(vec_int8('[1,2,3]'), '1', 3.9)"), "[2,3]"},
    {JSON("vec_slice(vec_f16('[1,2,3]'), 2, 3)"), "[3.000000]"},
    {"SELECT hex(vec_slice(vec_bit(x'010203'), 8, 24))", "0203"},
    {JSON("vec_slice('[1,2,3]', -1, 2)"), "slice 'start' index must be a postive number."},
    {JSON("vec_slice('[1,2,3]', 1, -9223372036854775808)"), "slice 'end' index must be a postive number."},
    {JSON("vec_slice('[1,2,3]', 4, 2)"), "slice 'start' index is greater than the number of dimensions"},
    {JSON("vec_slice('[1,2,3]', 0, 4294967297)"), "slice 'end' index is greater than the number of dimensions"},
    {JSON("vec_slice('[1,2,3]', 2, 1)"), "slice 'start' index is greater than 'end' index"},
    {JSON("vec_slice('[1,2,3]', 3, 3)"),
     "slice 'start' index is equal to the 'end' index, vectors must have non-zero length"},
    {JSON("vec_slice('[1,2,3]', NULL, NULL)"),
     "slice 'start' index is equal to the 'end' index, vectors must have non-zero length"},
    {JSON("vec_slice(vec_bit(x'0102'), 7, 16)"), "start index must be divisible by 8."},
    {JSON("vec_slice(vec_bit(x'0102'), 0, 15)"), "end index must be divisible by 8."},
    {JSON("vec_slice('[]', 0, 1)"), "zero-length vectors are not supported."},
    /* aggregates */
    {"SELECT vec_to_json(vec_sum(v)) || vec_to_json(vec_avg(v))" GROUP("('[1,2]'), (NULL), ('[3,5]')"),
     "[4.000000,7.000000][2.000000,3.500000]"},
    {"SELECT vec_type(vec_avg(vec_int8(v))) || vec_to_json(vec_sum(vec_int8(v)))" GROUP("('[100]'), ('[101]')"),
     "float32[201.000000]"},
    {"SELECT vec_type(vec_sum(vec_f16(v))) || vec_to_json(vec_avg(vec_bf16(v)))" GROUP("('[1]'), ('[2]')"),
     "float16[1.500000]"},
    {"SELECT vec_avg(v) = vec_f32('[3e38]')" GROUP("('[3e38]'), ('[3e38]')"), "1"},
    {"SELECT vec_sum(v)" GROUP("('[3e38]'), ('[3e38]')"), "invalid float32 vector: element 0 is Inf"},
    {"SELECT vec_avg(v)" GROUP("(NULL)"), "NULL"},
    {"SELECT vec_sum(v)" GROUP("('[1]')") " WHERE 0", "NULL"},
    {"SELECT group_concat(j) FROM (SELECT vec_to_json(vec_sum(v)) AS j" GROUP(
         "('[1]'), ('[2]'), ('[1,2]')") " GROUP BY vec_length(v))",
     "[3.000000],[1.000000,2.000000]"},
    {"SELECT vec_sum(v)" GROUP("('[1]'), ('[1,2]')"),
     "Vector dimension mismatch. The vectors before have 1 dimensions, while this one has 2 dimensions."},
    {"SELECT vec_avg(iif(v, vec_f16('[1]'), vec_f32('[1]')))" GROUP("(1), (0)"),
     "Vector type mismatch. The vectors before have type float16, while this one has type float32."},
    {"SELECT vec_avg(vec_bit(v))" GROUP("(x'01')"), "Cannot add bitvectors together."},
    {"SELECT vec_sum(v)" GROUP("('[1]'), ('[x]')"), "JSON parsing error: expected a number, found \"x\" at byte 2"},
    {"SELECT vec_sum(v) OVER ()" GROUP("('[1]')"), "vec_sum() may not be used as a window function"},
    /* vec_each */
    {"SELECT group_concat(rowid || ':' || value || ':' || typeof(value)) FROM vec_each('[1.5,2]')",
     "0:1.5:real,1:2.0:real"},
    {"SELECT group_concat(value || typeof(value)) FROM vec_each(vec_int8('[-1,2]'))", "-1integer,2integer"},
    {"SELECT group_concat(value, '') FROM vec_each(vec_bit(x'0180'))", "0000000110000000"},
    {"SELECT group_concat(value) FROM vec_each(vec_f16('[0.1,2]'))", "0.0999755859375,2.0"},
    {"SELECT group_concat(j.value || '/' || e.value) FROM json_each('[[1,2],[3]]') AS j, vec_each(j.value) AS e",
     "[1,2]/1.0,[1,2]/2.0,[3]/3.0"},
    {"SELECT count(*) FROM vec_each('[1,2,3]') AS a LEFT JOIN vec_each('[1,3]') AS b USING (value)", "3"},
    {"SELECT value FROM vec_each WHERE vector = '[7]'", "7.0"},
    {"SELECT vector FROM vec_each('[7]')", "NULL"},
    {"SELECT * FROM vec_each", "vec_each needs a vector: vec_each(v)"},
    {"SELECT * FROM vec_each(NULL)", INPUT "NULL"},
    {"SELECT * FROM vec_each('[1,')", "JSON parsing error: expected a number, found the end of the text at byte 4"},
    {"UPDATE vec_each SET value = 1", "table vec_each may not be modified"},
    /* versions */
    {"SELECT vec_version() LIKE 'v0.1.9 (shardex %'", "1"},
    {"SELECT (length(vec_debug()) - length(replace(vec_debug(), char(10), ''))) || substr(vec_debug(), 1, 17)",
     "3Version: v0.1.9 ("},
    /* sizes */
    {"SELECT vec_length(vec_add(zeroblob(65535 * 4), zeroblob(65535 * 4)))", "65535"},
    {"SELECT vec_length(vec_slice(zeroblob(65535 * 4), 1, 65535))", "65534"},
    {"SELECT vec_length(vec_normalize(zeroblob(65535 * 4)))", "65535"},
    {"SELECT vec_length(vec_avg(v))" GROUP("(zeroblob(65535 * 4)), (zeroblob(65535 * 4))"), "65535"},
    {"SELECT sum(value) || ' ' || count(*) FROM vec_each(zeroblob(65535 * 4))", "0.0 65535"},
};

static void test_expressions(void **state) {
    char text[1024];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        evaluate(cases[i].query, text, sizeof text);
        if (strcmp(text, cases[i].expected) != 0) print_error("of: %s\n", cases[i].query);
        assert_string_equal(text, cases[i].expected);
    }
}

/* What is too large to be a vector is refused for its size, before any of its bytes are made. */
static void test_huge_blobs_are_refused(void **state) {
    static const char *const calls[] = {"vec_f32(?1)",
                                        "vec_add(?1, ?1)",
                                        "vec_sub('[1]', ?1)",
                                        "vec_length(?1)",
                                        "vec_slice(?1, 0, 1)",
                                        "vec_normalize(?1)",
                                        "vec_bit(?1)",
                                        "vec_to_json(?1)",
                                        "vec_distance_l2(?1, ?1)",
                                        "vec_quantize_binary(?1)",
                                        "vec_sum(?1)",
                                        "vec_avg(?1)",
                                        "(SELECT count(*) FROM vec_each(?1))"};
    char query[256];
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        sqlite3_stmt *statement;
        snprintf(query, sizeof query, "SELECT %s", calls[i]);
        assert_int_equal(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
        sqlite3_bind_zeroblob(statement, 1, 1000000000);
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + (1 << 20));
        int rc = sqlite3_step(statement);
        sqlite3_hard_heap_limit64(0);
        assert_int_equal(rc, SQLITE_ERROR);
        if (!strstr(sqlite3_errmsg(db), "vector too large: found ")) fail_msg("%s: %s", query, sqlite3_errmsg(db));
        sqlite3_finalize(statement);
    }
}

/* ---- against plain loops ---- */

#define RANDOM_DIM 97

static uint64_t random_state;

static uint32_t next_random(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 32);
}

/* Floats of any size, but for those whose sum overflows. */
static void random_floats(float *floats, uint32_t dim) {
    for (uint32_t i = 0; i < dim; i++) {
        do {
            uint32_t bits = next_random();
            memcpy(&floats[i], &bits, sizeof bits);
        } while (!isfinite(floats[i]) || fabsf(floats[i]) > 1e38f);
    }
}

static void check_normalized(const float *vector, const float *normalized, uint32_t dim) {
    double norm2 = 0;
    for (uint32_t i = 0; i < dim; i++) norm2 += (double)vector[i] * (double)vector[i];
    for (uint32_t i = 0; i < dim; i++) {
        double expected = norm2 > 0 ? (double)vector[i] / sqrt(norm2) : 0;
        assert_true(fabs((double)normalized[i] - expected) <= fabs(expected) * 0x1p-23 + 0x1p-149);
    }
}

static void test_random_vectors(void **state) {
    float a[RANDOM_DIM], b[RANDOM_DIM];
    sqlite3_stmt *statement;
    (void)state;
    int rc = sqlite3_prepare_v2(db, "SELECT vec_add(?1, ?2), vec_sub(?1, ?2), vec_normalize(?1), vec_slice(?1, ?3, ?4)",
                                -1, &statement, NULL);
    assert_int_equal(rc, SQLITE_OK);
    for (uint32_t seed = 1; seed <= 300; seed++) {
        random_state = seed;
        uint32_t dim = 1 + next_random() % RANDOM_DIM, start = next_random() % dim;
        uint32_t end = start + 1 + next_random() % (dim - start);
        random_floats(a, dim);
        random_floats(b, dim);
        sqlite3_bind_blob(statement, 1, a, (int)(dim * sizeof *a), SQLITE_STATIC);
        sqlite3_bind_blob(statement, 2, b, (int)(dim * sizeof *b), SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, start);
        sqlite3_bind_int64(statement, 4, end);
        if (sqlite3_step(statement) != SQLITE_ROW) fail_msg("seed %u: %s", seed, sqlite3_errmsg(db));
        const float *sum = sqlite3_column_blob(statement, 0), *difference = sqlite3_column_blob(statement, 1);
        for (uint32_t i = 0; i < dim; i++) {
            if (sum[i] != a[i] + b[i] || difference[i] != a[i] - b[i]) fail_msg("seed %u, dimension %u", seed, i);
        }
        check_normalized(a, sqlite3_column_blob(statement, 2), dim);
        assert_int_equal(sqlite3_column_bytes(statement, 3), (end - start) * sizeof *a);
        assert_memory_equal(sqlite3_column_blob(statement, 3), a + start, (end - start) * sizeof *a);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
}

/* An average of many is right to the last digit of a float, in whatever order they come. */
static void test_averages(void **state) {
    char text[64];
    (void)state;
    evaluate("WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 20000) "
             "SELECT vec_to_json(vec_avg('[' || i || ',0.1]')) FROM (SELECT i FROM i ORDER BY i * 7919 % 20011)",
             text, sizeof text);
    assert_string_equal(text, "[10000.500000,0.100000]");
}

/* ---- surroundings ---- */

/* In a schema that trusts nobody only INNOCUOUS functions may be used, and in an index only DETERMINISTIC ones. */
static void test_flags(void **state) {
    char *message = NULL;
    (void)state;
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_exec(db,
                 "CREATE TABLE items(v, n AS (vec_normalize(v)), s AS (vec_slice(vec_add(v, v), 0, 1)));"
                 "CREATE INDEX by_sum ON items(vec_sub(v, '[1]'), vec_version(), vec_debug());"
                 "CREATE VIEW totals AS SELECT vec_sum(v) AS s, vec_avg(v) AS a FROM items;"
                 "CREATE VIEW numbers AS SELECT e.value FROM items, vec_each(v) AS e;"
                 "INSERT INTO items VALUES ('[5]');"
                 "SELECT n, s FROM items; SELECT * FROM totals; SELECT * FROM numbers",
                 NULL, NULL, &message);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
    if (message) fail_msg("%s", message);
}

/* shardex_stats reads tables: a view must not use it. */
static void test_views_read_no_tables(void **state) {
    char text[256];
    (void)state;
    sqlite3_exec(db, "CREATE VIEW figures AS SELECT * FROM shardex_stats('t')", NULL, NULL, NULL);
    evaluate("SELECT * FROM figures", text, sizeof text);
    assert_string_equal(text, "unsafe use of virtual table \"shardex_stats\"");
    sqlite3_exec(db, "DROP VIEW figures", NULL, NULL, NULL);
}

static void test_answer(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count, (void)values;
    sqlite3_result_int(context, 42);
}

static int test_refuse(sqlite3 *unused, void *registered, int count, const char *const *arguments,
                       sqlite3_vtab **ret_table, char **ret_message) {
    (void)unused, (void)registered, (void)count, (void)arguments, (void)ret_table, (void)ret_message;
    return SQLITE_ERROR;
}

static void test_registers_only_what_is_absent(void **state) {
    static const sqlite3_module other = {.xCreate = test_refuse}; /* of tables that are created */
    sqlite3 *kept = db;
    char text[256];
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_create_function(db, "vec_version", 0, SQLITE_UTF8, NULL, test_answer, NULL, NULL);
    sqlite3_create_function(db, "vec_add", 2, SQLITE_UTF8, NULL, test_answer, NULL, NULL);
    sqlite3_create_function(db, "vec_avg", -1, SQLITE_UTF8, NULL, test_answer, NULL, NULL);
    assert_int_equal(sqlite3_create_module(db, "VEC_EACH", &other, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
    evaluate("SELECT vec_version() || vec_add(1, 2) || vec_avg(3) || vec_to_json(vec_sub('[2]', '[1]'))", text,
             sizeof text);
    assert_string_equal(text, "424242[1.000000]");
    evaluate("SELECT * FROM vec_each('[1]')", text, sizeof text);
    assert_string_equal(text, "no such table: vec_each");
    sqlite3_close(db);
    db = kept;
}

/* Under every limit of SQLite's memory a function gives its value or says that memory ran out. */
static void test_memory_runs_out(void **state) {
    static const char *const queries[] = {
        "SELECT vec_length(vec_add(?1, vec_f32(?1))) + vec_length(vec_normalize(?1)) + vec_length(vec_slice(?1, 0, 2))",
        "SELECT vec_length(vec_avg(v)) FROM (SELECT ?1 AS v UNION ALL SELECT ?1)",
        "SELECT sum(value) FROM vec_each(?1)",
        "SELECT length(vec_debug()) > vec_length(vec_sub(?1, ?1))",
        "SELECT (SELECT count(*) FROM shardex_segments('t')) + count(*) FROM shardex_shards('t') WHERE ?1 IS NOT NULL",
        "SELECT count(*) FROM shardex_stats('t') WHERE name <> ?1",
        "SELECT shardex_ulid_time(shardex_ulid()) <> ?1",
    };
    (void)state;
    int rc = sqlite3_exec(db,
                          "CREATE VIRTUAL TABLE t USING shardex(v float[2]);"
                          "INSERT INTO t(v) WITH RECURSIVE i(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM i WHERE "
                          "i < 300) SELECT json_array(i, i % 7) FROM i; INSERT INTO t(t) VALUES('optimize')",
                          NULL, NULL, NULL);
    assert_int_equal(rc, SQLITE_OK);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        sqlite3_stmt *statement;
        int refused = 0, answered = 0;
        assert_int_equal(sqlite3_prepare_v2(db, queries[i], -1, &statement, NULL), SQLITE_OK);
        sqlite3_bind_text(statement, 1, "[1,2,3,4,5,6,7,8,9]", -1, SQLITE_STATIC);
        for (int room = 0; room < 16384; room += 8) {
            sqlite3_hard_heap_limit64(sqlite3_memory_used() + room);
            rc = sqlite3_step(statement);
            sqlite3_hard_heap_limit64(0);
            if (rc != SQLITE_NOMEM) assert_int_equal(rc, SQLITE_ROW);
            refused += rc == SQLITE_NOMEM;
            answered += rc == SQLITE_ROW;
            sqlite3_reset(statement);
        }
        sqlite3_finalize(statement);
        assert_true(refused > 0 && answered > 0);
    }
    assert_int_equal(sqlite3_exec(db, "DROP TABLE t", NULL, NULL, NULL), SQLITE_OK);
}

static void test_errors_leak_nothing(void **state) {
    char text[256];
    (void)state;
    sqlite3_int64 used = sqlite3_memory_used();
    for (int i = 0; i < 300; i++) {
        for (size_t c = 0; c < sizeof cases / sizeof *cases - 5; c++) evaluate(cases[c].query, text, sizeof text);
        if (i == 0) used = sqlite3_memory_used();
    }
    assert_true(sqlite3_memory_used() - used < 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_huge_blobs_are_refused),
        cmocka_unit_test(test_random_vectors),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_views_read_no_tables),
        cmocka_unit_test(test_registers_only_what_is_absent),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_errors_leak_nothing),
    };
    return cmocka_run_group_tests(tests, open_database, close_database);
}
