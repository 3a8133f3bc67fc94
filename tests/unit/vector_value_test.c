/* Vectors as SQL values, through SQL: the functions, their messages, random round trips, and random bytes as input. */
#include "../../ext/vector_value.h"

#include "../../engine/limits.h"
#include "../../ext/number.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sqlite3 *db;

static int open_database(void **state) {
    (void)state;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) return -1;
    return shx_vector_functions_register(db);
}

static int close_database(void **state) {
    (void)state;
    return sqlite3_close(db);
}

/* The single value of an expression as text (blobs in hex), or the error message. */
static void evaluate(const char *expression, char *text, size_t size) {
    char *sql =
        sqlite3_mprintf("SELECT CASE typeof(v) WHEN 'blob' THEN hex(v) ELSE v END FROM (SELECT %s AS v)", expression);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);
        snprintf(text, size, "%s", value ? value : "NULL");
    } else {
        snprintf(text, size, "%s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
}

#define JSON "JSON parsing error: "
#define START "JSON array parsing error: Input does not start with '[', found "
#define INPUT "Input must have type BLOB (compact format) or TEXT (JSON), found "

static const struct {
    const char *expression, *expected;
} cases[] = {
    /* values */
    {"vec_f32('[1]')", "0000803F"},
    {"vec_f32('[1,-2]')", "0000803F000000C0"},
    {"vec_f32(x'0000803f')", "0000803F"},
    {"vec_f32(vec_f32('[0.1]'))", "CDCCCC3D"},
    {"vec_f32(json('[1, 2]'))", "0000803F00000040"},
    {"vec_f32(json_array(1, 2.5))", "0000803F00002040"},
    {"typeof(vec_f32('[1]'))", "blob"},
    {"vec_to_json('[1, 2]')", "[1.000000,2.000000]"},
    {"vec_to_json(x'0000803f00000040')", "[1.000000,2.000000]"},
    {"vec_to_json(' \t\n\r[ 1 ,\n-2.5e0 ]\r ')", "[1.000000,-2.500000]"},
    {"vec_to_json('[+1, .5, 2., 007, 1E2, 1e-2, 0e9]')",
     "[1.000000,0.500000,2.000000,7.000000,100.000000,0.010000,0.000000]"},
    {"vec_f32('[3.4028234663852886e38,-3.40282350e38]')", "FFFF7F7FFFFF7FFF"},
    {"vec_f32('[1e-45]')", "01000000"},
    {"vec_f32('[1e-400]')", "00000000"},
    {"vec_f32('[-0.0]')", "00000080"},
    {"vec_f32('[16777217]')", "0000804B"},
    {"json_type(vec_to_json('[1]'))", "array"},
    {"json_array(vec_to_json('[1]'))", "[[1.000000]]"},
    {"vec_length('[1,2,3]')", "3"},
    {"vec_length(zeroblob(65535 * 4))", "65535"},
    {"vec_length(x'0000000000000000')", "2"},
    {"VEC_LENGTH('[1]')", "1"},
    /* distances */
    {"vec_distance_l2('[0,0]', '[3,4]')", "5.0"},
    {"vec_distance_L2(vec_f32('[1,1]'), '[1,1]')", "0.0"},
    {"vec_distance_cosine('[1,0]', '[0,2]')", "1.0"},
    {"vec_distance_cosine('[0,0]', '[0,2]')", "1.0"},
    {"vec_distance_cosine('[1,0]', '[-2,0]')", "2.0"},
    {"abs(vec_distance_cosine('[1.1, 1.0]','[1.2, 1.2]') - 0.001131898) < 1e-6", "1"},
    {"vec_distance_ip('[1,2]', '[3,4]')", "-11.0"},
    {"typeof(vec_distance_ip('[1]', '[1]'))", "real"},
    {"vec_distance_l2('[1,2]', '[1,2,3]')",
     "Vector dimension mistmatch. First vector has 2 dimensions, while the second has 3 dimensions."},
    {"vec_distance_ip(NULL, '[1]')", "Error reading 1st vector: " INPUT "NULL"},
    {"vec_distance_cosine('[1]', '[x]')", "Error reading 2nd vector: " JSON "expected a number, found \"x\" at byte 2"},
    /* types and sizes */
    {"vec_f32(NULL)", INPUT "NULL"},
    {"vec_length(1)", INPUT "INTEGER"},
    {"vec_to_json(1.5)", INPUT "FLOAT"},
    {"vec_f32(x'')", "zero-length vectors are not supported."},
    {"vec_f32('')", "zero-length vectors are not supported."},
    {"vec_f32('[]')", "zero-length vectors are not supported."},
    {"vec_f32('[ ] x')", "zero-length vectors are not supported."},
    {"vec_f32(x'6161616161')", "invalid float32 vector BLOB length. Must be divisible by 4, found 5"},
    {"vec_f32(zeroblob(65536 * 4))", "vector too large: found 65536 dimensions, expected at most 65535"},
    {"vec_f32('[' || replace(hex(zeroblob(32768)), '0', '0,') || '0]')",
     "vector too large: found more than 65535 dimensions, expected at most 65535"},
    {"vec_length('[' || substr(replace(hex(zeroblob(32768)), '0', '0,'), 3) || '1]')",
     "vector too large: found more than 65535 dimensions, expected at most 65535"},
    {"vec_length('[' || substr(replace(hex(zeroblob(32768)), '0', '0,'), 5) || '1]')", "65535"},
    /* numbers that are none */
    {"vec_f32('[1,NaN]')", "invalid float32 vector: element 1 is NaN, at byte 4"},
    {"vec_f32('[-Infinity]')", "invalid float32 vector: element 0 is Inf, at byte 2"},
    {"vec_f32('[1, 2, 1e39]')", "invalid float32 vector: element 2 is Inf, at byte 8"},
    {"vec_f32('[-1e999999999999999999999]')", "invalid float32 vector: element 0 is Inf, at byte 2"},
    {"vec_f32('[3.4028236e38]')", "invalid float32 vector: element 0 is Inf, at byte 2"},
    {"vec_f32(x'0000803f0000c07f')", "invalid float32 vector: element 1 is NaN"},
    {"vec_f32(x'000080ff')", "invalid float32 vector: element 0 is Inf"},
    /* text that is no array */
    {"vec_f32('1]')", START "\"1\" at byte 1"},
    {"vec_f32('  {}')", START "\"{\" at byte 3"},
    {"vec_f32('   ')", START "the end of the text at byte 4"},
    {"vec_f32(char(0xe9) || '[1]')", START "0xc3 at byte 1"},
    {"vec_f32('[')", JSON "expected a number, found the end of the text at byte 2"},
    {"vec_f32('[1')", JSON "expected \",\" or \"]\", found the end of the text at byte 3"},
    {"vec_f32('[1,')", JSON "expected a number, found the end of the text at byte 4"},
    {"vec_f32('[1,]')", JSON "expected a number, found \"]\" at byte 4"},
    {"vec_f32('[,1]')", JSON "expected a number, found \",\" at byte 2"},
    {"vec_f32('[1,,2]')", JSON "expected a number, found \",\" at byte 4"},
    {"vec_f32('[1 2]')", JSON "expected \",\" or \"]\", found \"2\" at byte 4"},
    {"vec_f32('[1.2.3]')", JSON "expected \",\" or \"]\", found \".\" at byte 5"},
    {"vec_f32('[1;2]')", JSON "expected \",\" or \"]\", found \";\" at byte 3"},
    {"vec_f32('[[1]]')", JSON "expected a number, found \"[\" at byte 2"},
    {"vec_f32('[\"1\"]')", JSON "expected a number, found \"\"\" at byte 2"},
    {"vec_f32('[null]')", JSON "expected a number, found \"n\" at byte 2"},
    {"vec_f32('[true]')", JSON "expected a number, found \"t\" at byte 2"},
    {"vec_f32('[-]')", JSON "expected a number, found \"-\" at byte 2"},
    {"vec_f32('[.]')", JSON "expected a number, found \".\" at byte 2"},
    {"vec_f32('[1e]')", JSON "expected \",\" or \"]\", found \"e\" at byte 3"},
    {"vec_f32('[0x10]')", JSON "expected \",\" or \"]\", found \"x\" at byte 3"},
    {"vec_f32('[1] [2]')", JSON "expected nothing after the array, found \"[\" at byte 5"},
    {"vec_f32('[1]' || char(0))", JSON "expected nothing after the array, found 0x00 at byte 4"},
    {"vec_f32('[1' || char(0) || ',2]')", JSON "expected \",\" or \"]\", found 0x00 at byte 3"},
    {"vec_f32('[1,' || char(0))", JSON "expected a number, found 0x00 at byte 4"},
};

static void check_cases(void) {
    char text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        evaluate(cases[i].expression, text, sizeof text);
        if (strcmp(text, cases[i].expected) != 0) print_error("of: %s\n", cases[i].expression);
        assert_string_equal(text, cases[i].expected);
    }
}

static void test_expressions(void **state) {
    (void)state;
    assert_true(sizeof cases / sizeof *cases >= 40);
    check_cases();
}

/* A comma for the decimal point, where the system has such a locale. */
static void test_locale_does_not_matter(void **state) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "pt_BR.UTF-8", "ru_RU.UTF-8"};
    const char *set = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names && !set; i++) set = setlocale(LC_ALL, names[i]);
    if (!set) skip();
    check_cases();
    double value = 0;
    assert_int_equal(shx_number_read("0.1000000000000000055511151231257827", 36, &value), 36);
    assert_true(value == 1e-1);
    setlocale(LC_ALL, "C");
}

static uint64_t random_state;

static void set_random_seed(uint64_t seed) { random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1; }

static uint32_t next_random(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 32);
}

/* Every number text is read as strtod reads it in the C locale. */
static void test_numbers_as_strtod(void **state) {
    static const char *const hard[] = {
        "9007199254740993",
        "9007199254740992.9999999999999999",
        "9007199254740993.00000000000000000000000001",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "1e22",
        "1e23",
        "8.5e-22",
        "123456789012345678e-22",
        "0.000000000000000000000000000000000000000000001e45",
        "1e400",
        "1e-400",
        "-1e400",
        "00000000000000000000000000000000001",
        "1000000000000000000000000000000000000",
        "5e-324",
        "0e999999999999999999",
    };
    (void)state;
    char text[64];
    double value, expected;
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        expected = strtod(hard[i], NULL);
        assert_int_equal(shx_number_read(hard[i], strlen(hard[i]), &value), strlen(hard[i]));
        if (memcmp(&value, &expected, sizeof value) != 0) fail_msg("%s: %a, expected %a", hard[i], value, expected);
    }
    for (uint32_t seed = 1; seed <= 100000; seed++) {
        set_random_seed(seed);
        uint64_t bits = (uint64_t)next_random() << 32 | next_random();
        memcpy(&expected, &bits, sizeof expected);
        if (!isfinite(expected)) continue;
        if (seed % 2) expected = ldexp(expected, -ilogb(expected) + (int)(next_random() % 40) - 20);
        int size = snprintf(text, sizeof text, "%.*g", (int)(1 + next_random() % 25), expected);
        expected = strtod(text, NULL);
        assert_int_equal(shx_number_read(text, (size_t)size, &value), size);
        if (memcmp(&value, &expected, sizeof value) != 0) fail_msg("seed %u: %s: %a", seed, text, value);
    }
}

/* More digits than are kept: a halfway case followed by zeros is a tie, by one digit more it is not. */
static void test_numbers_of_many_digits(void **state) {
    static char text[3000];
    static const char *const ends[] = {"", "1", "0"};
    (void)state;
    for (size_t zeros = 0; zeros < 2500; zeros += 83) {
        for (size_t i = 0; i < 3; i++) {
            int head = snprintf(text, sizeof text, "9007199254740993.");
            memset(text + head, '0', zeros);
            int tail = snprintf(text + (size_t)head + zeros, 8, "%s", ends[i]);
            double value, expected = strtod(text, NULL);
            assert_int_equal(shx_number_read(text, (size_t)head + zeros + (size_t)tail, &value),
                             (size_t)head + zeros + (size_t)tail);
            assert_true(value == expected);
            assert_true(value == (i == 1 ? 9007199254740994.0 : 9007199254740992.0));
        }
    }
}

static void test_number_ends(void **state) {
    static const struct {
        const char *text;
        size_t used;
    } ends[] = {{"", 0},      {"-", 0},   {"+.", 0},   {"e5", 0},    {"x", 0},  {"1", 1},   {"1,", 1},
                {"1.", 2},    {".5", 2},  {"1..2", 2}, {"1.2.3", 3}, {"1e", 1}, {"1e+", 1}, {"1e+2", 4},
                {"1E-2x", 4}, {"-1 ", 2}, {"--1", 0},  {"1e2e3", 3}, {"0x1", 1}};
    double value;
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        value = 42;
        assert_int_equal(shx_number_read(ends[i].text, strlen(ends[i].text), &value), ends[i].used);
        if (ends[i].used == 0) assert_true(value == 42);
    }
    assert_int_equal(shx_number_read("123", 2, &value), 2);
    assert_true(value == 12);
}

/* vec_f32(text of a vector) is the vector, bit for bit, when written with 9 digits. */
static void test_round_trip(void **state) {
    (void)state;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT vec_f32(?1), vec_f32(?2)", -1, &statement, NULL), SQLITE_OK);
    for (uint32_t seed = 1; seed <= 500; seed++) {
        set_random_seed(seed);
        uint32_t dim = 1 + next_random() % 300;
        float *floats = malloc(dim * sizeof *floats);
        char *json = malloc(dim * 32u + 8u);
        size_t at = 0;
        for (uint32_t i = 0; i < dim; i++) {
            do {
                uint32_t bits = next_random();
                memcpy(&floats[i], &bits, sizeof bits);
            } while (!isfinite(floats[i]));
            at += (size_t)sprintf(json + at, "%s%.9g", i ? "," : "[", (double)floats[i]);
        }
        at += (size_t)sprintf(json + at, "]");
        sqlite3_bind_text(statement, 1, json, (int)at, SQLITE_STATIC);
        sqlite3_bind_blob(statement, 2, floats, (int)(dim * sizeof *floats), SQLITE_STATIC);
        if (sqlite3_step(statement) != SQLITE_ROW) fail_msg("seed %u: %s", seed, sqlite3_errmsg(db));
        for (int column = 0; column < 2; column++) {
            const void *blob = sqlite3_column_blob(statement, column);
            assert_int_equal(sqlite3_column_bytes(statement, column), dim * sizeof *floats);
            if (memcmp(blob, floats, dim * sizeof *floats) != 0) fail_msg("seed %u, column %d", seed, column);
        }
        sqlite3_reset(statement);
        free(json);
        free(floats);
    }
    sqlite3_finalize(statement);
}

/* Random bytes, as text and as blob, and damaged JSON: a vector or an error, never anything else. */
static void test_random_bytes(void **state) {
    static const char alphabet[] = "[[[]],,,0123456789..eE+-- \n\tnaif\"";
    (void)state;
    sqlite3_stmt *statement;
    uint32_t accepted = 0, refused = 0;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT vec_to_json(?1), vec_distance_l2(?1, ?1)", -1, &statement, NULL),
                     SQLITE_OK);
    for (uint32_t seed = 1; seed <= 20000; seed++) {
        set_random_seed(seed);
        size_t size = next_random() % 60;
        char *bytes = malloc(size + 1); /* of the exact size, so that a read past the end is seen */
        bool plain = seed % 4 == 0;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = plain ? (char)next_random() : alphabet[next_random() % (sizeof alphabet - 1)];
            if (seed % 4 == 1) bytes[i] = "1,"[i % 2];
        }
        if (size > 2 && !plain) bytes[0] = '[', bytes[size - 1] = ']';
        if (seed % 8 == 1 && size > 3) bytes[1 + next_random() % (size - 2)] = (char)next_random();
        bytes[size] = '\0';
        if (seed % 3 == 0) {
            sqlite3_bind_blob(statement, 1, bytes, (int)size, SQLITE_STATIC);
        } else {
            sqlite3_bind_text(statement, 1, bytes, (int)size, SQLITE_STATIC);
        }
        int rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW) {
            accepted++;
            if (sqlite3_column_double(statement, 1) != 0) fail_msg("seed %u: a vector is away from itself", seed);
        } else {
            refused++;
            if (rc != SQLITE_ERROR || !*sqlite3_errmsg(db)) fail_msg("seed %u: %d", seed, rc);
        }
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
        free(bytes);
    }
    sqlite3_finalize(statement);
    assert_true(accepted > 1000 && refused > 1000);
}

/* ---- subtypes and registration ---- */

static void test_subtype_of(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_int(context, (int)sqlite3_value_subtype(values[0]));
}

static void test_as_bit(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_value(context, values[0]);
    sqlite3_result_subtype(context, (unsigned)(uintptr_t)sqlite3_user_data(context));
}

static void test_subtypes(void **state) {
    char text[256];
    (void)state;
    sqlite3_create_function(db, "subtype_of", 1, SQLITE_UTF8, NULL, test_subtype_of, NULL, NULL);
    sqlite3_create_function(db, "as_bit", 1, SQLITE_UTF8, (void *)224, test_as_bit, NULL, NULL);
    sqlite3_create_function(db, "as_int8", 1, SQLITE_UTF8, (void *)225, test_as_bit, NULL, NULL);
    evaluate("subtype_of(vec_f32('[1]'))", text, sizeof text);
    assert_string_equal(text, "223");
    evaluate("subtype_of(vec_to_json('[1]'))", text, sizeof text);
    assert_string_equal(text, "74");
    evaluate("vec_length(as_bit(x'00000000'))", text, sizeof text);
    assert_string_equal(text, "32");
    evaluate("vec_f32(as_bit(x'00000000'))", text, sizeof text);
    assert_string_equal(text, "expected a vector of type float32, but a vector of type bit was provided.");
    evaluate("vec_f32(as_int8(x'00000000'))", text, sizeof text);
    assert_string_equal(text, "expected a vector of type float32, but a vector of type int8 was provided.");
}

static void test_answer(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count, (void)values;
    sqlite3_result_int(context, 42);
}

static void test_registers_only_what_is_absent(void **state) {
    sqlite3 *kept = db;
    char text[256];
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_create_function(db, "vec_length", 1, SQLITE_UTF8, NULL, test_answer, NULL, NULL);
    sqlite3_create_function(db, "VEC_to_json", -1, SQLITE_UTF8, NULL, test_answer, NULL, NULL);
    sqlite3_create_function(db, "vec_distance_l2", 3, SQLITE_UTF8, NULL, test_answer, NULL, NULL);
    assert_int_equal(shx_vector_functions_register(db), SQLITE_OK);
    evaluate("vec_length('[1]') || ' ' || vec_to_json('[1]')", text, sizeof text);
    assert_string_equal(text, "42 42");
    evaluate("vec_distance_l2('[1]', '[3]') || ' ' || vec_distance_l2(1, 2, 3)", text, sizeof text);
    assert_string_equal(text, "2.0 42");
    assert_int_equal(shx_vector_functions_register(db), SQLITE_OK);
    sqlite3_close(db);
    db = kept;
}

/* In a schema that trusts nobody only INNOCUOUS functions may be used, and in an index only DETERMINISTIC ones. */
static void test_flags(void **state) {
    (void)state;
    char *message = NULL;
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_exec(db,
                 "CREATE TABLE items(v, n AS (vec_length(v)), j AS (vec_to_json(vec_f32(v))));"
                 "CREATE INDEX by_distance ON items(vec_distance_l2(v, '[0]'), vec_distance_cosine(v, '[0]'),"
                 "  vec_distance_ip(v, '[0]'));"
                 "INSERT INTO items VALUES ('[5]');"
                 "SELECT n, j FROM items",
                 NULL, NULL, &message);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
    if (message) fail_msg("%s", message);
}

static void test_errors_leak_nothing(void **state) {
    char text[256];
    (void)state;
    sqlite3_int64 used = sqlite3_memory_used();
    for (int i = 0; i < 1000; i++) {
        evaluate("vec_distance_l2('[1,2,3]', '[1,2]')", text, sizeof text);
        evaluate("vec_distance_l2('[1,2,3]', '[1,2')", text, sizeof text);
        evaluate("vec_f32('[1,2,x]')", text, sizeof text);
        evaluate("vec_to_json(vec_f32('[1,2]'))", text, sizeof text);
    }
    assert_true(sqlite3_memory_used() - used < 4096);
}

/* Under every limit of SQLite's memory a function gives its value or says that memory ran out. */
static void test_memory_runs_out(void **state) {
    (void)state;
    sqlite3_stmt *statement;
    int refused = 0;
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT vec_length(vec_f32(?1)) + vec_length(vec_to_json(?1)) + "
                                        "vec_distance_l2(?1, vec_f32(?1)) + coalesce(vec_distance_ip(?1, ?2), 0)",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_text(statement, 1, "[1,2,3,4,5,6,7,8,9]", -1, SQLITE_STATIC);
    for (int room = 0; room < 8192; room += 8) {
        sqlite3_bind_text(statement, 2, room % 16 ? "[1]" : "[1,2,3,4,5,6,7,8,9]", -1, SQLITE_STATIC);
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + room);
        int rc = sqlite3_step(statement);
        sqlite3_hard_heap_limit64(0);
        refused += rc == SQLITE_NOMEM;
        if (rc != SQLITE_NOMEM) assert_int_equal(rc, room % 16 ? SQLITE_ERROR : SQLITE_ROW);
        if (rc == SQLITE_ROW) assert_true(sqlite3_column_double(statement, 0) == 18 - 285);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    assert_true(refused > 0 && refused < 1024);
}

/* An empty vector has a text too, although none can be read. */
static void test_json_of_nothing(void **state) {
    (void)state;
    char *json = shx_vector_json(&(shx_vector){0});
    assert_string_equal(json, "[]");
    sqlite3_free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_locale_does_not_matter),
        cmocka_unit_test(test_numbers_as_strtod),
        cmocka_unit_test(test_numbers_of_many_digits),
        cmocka_unit_test(test_number_ends),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_subtypes),
        cmocka_unit_test(test_registers_only_what_is_absent),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_errors_leak_nothing),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_json_of_nothing),
    };
    return cmocka_run_group_tests(tests, open_database, close_database);
}
