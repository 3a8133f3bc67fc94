/* The declaration of a table: a table of statements with what they mean or the exact message, mutated statements, and
** allocations that fail one after another. */
#include "declare_text.h"

#include "memory.h"
#include "sqlite_api.h"

#include <stdio.h>


/* "4 l2; a:vector:float b:plain:text! ; recall=0.9 …": the options only where they are not the defaults. */
static void describe(const shx_declaration *declaration, char *text, size_t size) {
    static const char *const roles[] = {"vector", "plain", "aux", "key"};
    size_t at = (size_t)snprintf(text, size, "%u %s%s%s;", declaration->dim, shx_metric_name(declaration->metric),
                                 declaration->element == SHX_FLOAT32 ? "" : " ",
                                 declaration->element == SHX_FLOAT32 ? "" : shx_element_name(declaration->element));
    for (uint32_t i = 0; i < declaration->column_count; i++) {
        const shx_column *column = &declaration->columns[i];
        at += (size_t)snprintf(text + at, size - at, " %s:%s:%s%s", column->name, roles[column->role], column->type,
                               column->not_null ? "!" : "");
    }
    if (declaration->recall != 0.95) at += (size_t)snprintf(text + at, size - at, " recall=%g", declaration->recall);
    if (declaration->shard_size) at += (size_t)snprintf(text + at, size - at, " shard=%u", declaration->shard_size);
    if (declaration->flush_rows) at += (size_t)snprintf(text + at, size - at, " flush=%u", declaration->flush_rows);
    if (declaration->threads) at += (size_t)snprintf(text + at, size - at, " threads=%u", declaration->threads);
    if (declaration->memory_only) at += (size_t)snprintf(text + at, size - at, " memory");
    const shx_routing_wish *routing = &declaration->routing;
    if (routing->way) {
        at += (size_t)snprintf(text + at, size - at, " %s", shx_route_way_name((shx_route_way)routing->way));
    }
    if (routing->m || routing->ef) snprintf(text + at, size - at, " m=%u ef=%u", routing->m, routing->ef);
}

#define E "shardex: column \"e\": "
#define OPTION(name) "shardex: option \"" name "\": "
#define COLUMN(name) "shardex: column \"" name "\": "
#define CLAUSES "expected NOT NULL, PRIMARY KEY (each once) or the end"
#define VECTOR_CLAUSES "expected distance_metric=…, INDEXED BY …, NOT NULL (each once) or the end"
#define TYPES                                                                                                          \
    "expected an SQL type such as INTEGER, REAL, TEXT, BLOB, NUMERIC, BOOLEAN or DATE, or a vector such as float[384]"
#define ELEMENTS "expected float (also f32), f16, bf16, int8 (also i8) or bit"
#define DIM(text) E "dimension " text ", expected 1 to 65535"

/* Arguments separated by |, and the meaning or the message. */
static const struct {
    const char *statement, *expected;
} cases[] = {
    /* vectors */
    {"e float[4]", "4 l2; e:vector:float"},
    {"e f32[1]", "1 l2; e:vector:f32"},
    {"e f16[4]", "4 l2 float16; e:vector:f16"},
    {"e BF16[4] distance_metric=cosine", "4 cosine bfloat16; e:vector:BF16"},
    {"e int8[4] distance_metric=l1", "4 l1 int8; e:vector:int8"},
    {"e i8[4] distance_metric=IP not null", "4 ip int8; e:vector:i8!"},
    {"e bit[65528]", "65528 hamming bit; e:vector:bit"},
    {"e bit[8] distance_metric=hamming", "8 hamming bit; e:vector:bit"},
    {"e FLOAT32[65535]", "65535 l2; e:vector:FLOAT32"},
    {"  e\tFloat [ 007 ]\n", "7 l2; e:vector:Float"},
    {"e float[4] distance_metric=cosine", "4 cosine; e:vector:float"},
    {"e float[4] DISTANCE_METRIC = IP", "4 ip; e:vector:float"},
    {"e float[4]distance_metric=l2", "4 l2; e:vector:float"},
    {"e float[4] not null", "4 l2; e:vector:float!"},
    {"e float[4] indexed by flat()", "4 l2; e:vector:float"},
    {"e float[4] distance_metric=l2 indexed by rescore(quantizer=bit, oversample=(8))", "4 l2; e:vector:float"},
    {"e float[4] INDEXED BY diskann(neighbor_quantizer=binary, n_neighbors=72) distance_metric=ip not null",
     "4 ip; e:vector:float!"},
    {"e float[4] indexed by ivf", "4 l2; e:vector:float"},
    {"e /* the */ float[4] -- end", "4 l2; e:vector:float"},
    /* names */
    {"\"my \"\"e\"\"\" float[4]", "4 l2; my \"e\":vector:float"},
    {"[my e] float[4]", "4 l2; my e:vector:float"},
    {"`e``1`float[4]", "4 l2; e`1:vector:float"},
    {"größe float[4]|年 integer|_x$1 text", "4 l2; größe:vector:float 年:plain:integer _x$1:plain:text"},
    {"\"🦀 = 1\" float[4]|\"select\" text", "4 l2; 🦀 = 1:vector:float select:plain:text"},
    {"e float[4]|partition text|indexed int|time time", "4 l2; e:vector:float partition:plain:text indexed:plain:int "
                                                        "time:plain:time"},
    {"e float[4]|a text partition key|b integer not null Document Key",
     "4 l2; e:vector:float a:plain:text b:plain:integer!"},
    /* plain columns, auxiliary columns, the key */
    {"e float[4]|a|b text|c varchar ( 20 ) not null|d double  precision|f decimal(10 , 5)",
     "4 l2; e:vector:float a:plain: b:plain:text c:plain:varchar(20)! d:plain:double precision "
     "f:plain:decimal(10,5)"},
    {"e float[4]|a UNSIGNED BIG INT|b not null|c native character(70)|d f64|g bool|h int8",
     "4 l2; e:vector:float a:plain:UNSIGNED BIG INT b:plain:! c:plain:native character(70) d:plain:f64 g:plain:bool "
     "h:plain:int8"},
    {"e float[4]|+a|+ b blob|+\"c d\" varchar(3)", "4 l2; e:vector:float a:aux: b:aux:blob c d:aux:varchar(3)"},
    {"id integer primary key|e float[4]", "4 l2; id:key:integer e:vector:float"},
    {"e float[4]|id INT not null Primary Key", "4 l2; e:vector:float id:key:INT!"},
    {"rowid integer primary key not null|e float[4]", "4 l2; rowid:key:integer! e:vector:float"},
    {"e float[4]|a json /* x */ not -- y\n null", "4 l2; e:vector:float a:plain:json!"},
    /* options */
    {"e float[4]|recall=0.99|shard_size = 64|FLUSH_ROWS=1000|threads=2|memory_only=1|chunk_size=1024",
     "4 l2; e:vector:float recall=0.99 shard=64 flush=1000 threads=2 memory"},
    {"recall = '.5'|threads=\"0\"|memory_only=0|e float[4]", "4 l2; e:vector:float recall=0.5"},
    {"router=Levels|graph_m=4|e float[4]", "4 l2; e:vector:float levels m=4 ef=0"},
    {"router='graph'|e float[4]|graph_m=64|graph_ef=200", "4 l2; e:vector:float graph m=64 ef=200"},
    {"router=auto|e float[4]", "4 l2; e:vector:float"},
    {"router=flat|e float[4]", "4 l2; e:vector:float flat"},
    {"recall=1|e float[4]", "4 l2; e:vector:float recall=1"},
    {"e float[4]|threads integer|content text", "4 l2; e:vector:float threads:plain:integer content:plain:text"},

    /* dimensions */
    {"e float[0]", DIM("0 is out of range")},
    {"e float[65536]", DIM("65536 is out of range")},
    {"e float[99999999999999999999]", DIM("99999999999999999999 is out of range")},
    {"e float[-3]", DIM("-3 is out of range")},
    {"e float[]", DIM("\"\" is not a whole number")},
    {"e float[ many ]", DIM("\"many\" is not a whole number")},
    {"e float[4.5]", DIM("\"4.5\" is not a whole number")},
    {"e float[4x]", DIM("\"4x\" is not a whole number")},
    {"e float[4", E "the dimension is not closed, expected \"]\""},
    /* element types and metrics */
    {"e float16[4]", E "element type \"float16\" is unknown, " ELEMENTS},
    {"e double[4]|a f16", E "element type \"double\" is unknown, " ELEMENTS},
    {"e bit[12]", E "dimension 12 of a bit vector, expected a multiple of 8"},
    {"e bit[8] distance_metric=l2", E "distance_metric l2 does not go with bit vectors, expected hamming"},
    {"e int8[8] distance_metric=hamming",
     E "distance_metric hamming does not go with int8 vectors, expected l2, cosine, ip or l1"},
    {"e text[4]", E "element type \"text\" is unknown, " ELEMENTS},
    {"e [4]", E "found \"[\", expected an element type before it, as in float[384]"},
    {"e float[4] distance_metric=hamming",
     E "distance_metric hamming does not go with float32 vectors, expected l2, cosine, ip or l1"},
    {"e float[4] distance_metric=dot", E "distance_metric \"dot\" is unknown, expected l2, cosine, ip, l1 or hamming"},
    {"e float[4] distance_metric=", E "found the end, expected distance_metric l2, cosine, ip, l1 or hamming"},
    {"e float[4] distance_metric cosine", E "found \"cosine\", expected \"=\" after distance_metric"},
    {"e float[4] distance_metric=l2 distance_metric=ip", E "found \"distance_metric\", " VECTOR_CLAUSES},
    {"e float[4] junk", E "found \"junk\", " VECTOR_CLAUSES},
    {"e float[4] primary key", E "found \"primary\", " VECTOR_CLAUSES},
    {"e float[4] indexed by hnsw(m=16)", E "found \"hnsw\", expected flat, rescore, diskann or ivf after INDEXED BY"},
    {"e float[4] indexed by flat((1)", E "found the end, expected \")\" after the index's parameters"},
    {"e float[4]|f float[8]",
     COLUMN("f") "a second vector column is not supported in this version, expected only \"e\""},
    {"+e float[4]", E "found a vector after \"+\", expected an auxiliary column such as +title TEXT"},
    {"a text", "shardex: table \"t\": no vector column, expected one such as embedding float[384]"},
    /* other columns */
    {"e float[4]|a foo", COLUMN("a") "unknown type \"foo\", " TYPES},
    {"e float[4]|a bit", COLUMN("a") "unknown type \"bit\", " TYPES},
    {"e float[4]|a unsigned", COLUMN("a") "unknown type \"unsigned\", " TYPES},
    {"e float[4]|a text hidden", COLUMN("a") "found \"hidden\", " CLAUSES},
    {"e float[4]|a text default 'x'", COLUMN("a") "found \"default\", " CLAUSES},
    {"e float[4]|a integer \"x y\"", COLUMN("a") "found \"x y\", " CLAUSES},
    {"e float[4]|a text not null not null", COLUMN("a") "found \"not\", " CLAUSES},
    {"e float[4]|a 5", COLUMN("a") "found \"5\", " CLAUSES},
    {"e float[4]|a varchar(", COLUMN("a") "found the end, expected a size such as (20) or (10,5)"},
    {"e float[4]|a varchar(20", COLUMN("a") "found the end, expected \")\" after the size of the type"},
    {"e float[4]|a varchar(2x)", COLUMN("a") "size \"2x\" is not a whole number, expected 0 to 2147483647"},
    {"e float[4]|+a text not null", COLUMN("a") "found \"not\", expected the end of the auxiliary column"},
    {"e float[4]|id text primary key",
     COLUMN("id") "a primary key of type \"text\" is not supported in this version, expected INTEGER PRIMARY KEY"},
    {"e float[4]|id primary key",
     COLUMN("id") "a primary key of type \"\" is not supported in this version, expected INTEGER PRIMARY KEY"},
    {"e float[4]|a integer primary key|b integer primary key", COLUMN("b") "a second primary key, expected only \"a\""},
    {"e float[4]|a text partition key document key",
     COLUMN("a") "\"document key\" is not supported in this version, expected INTEGER PRIMARY KEY or no key"},
    {"e float[4]|a integer partition key primary key",
     COLUMN("a") "\"primary key\" is not supported in this version, expected INTEGER PRIMARY KEY or no key"},
    {"e float[4]|a integer primary key partition key",
     COLUMN("a") "\"partition key\" is not supported in this version, expected INTEGER PRIMARY KEY or no key"},
    {"e float[4]|a real TIME key",
     COLUMN("a") "\"TIME key\" is not supported in this version, expected INTEGER PRIMARY KEY or no key"},
    /* names that cannot be */
    {"e float[4]|a text|A integer",
     COLUMN("A") "a second column of this name (case does not matter), expected another"},
    {"e float[4]|+E", COLUMN("E") "a second column of this name (case does not matter), expected another"},
    {"e float[4]|Distance real", COLUMN("Distance") "the name is that of a hidden column, expected another"},
    {"k float[4]", COLUMN("k") "the name is that of a hidden column, expected another"},
    {"e float[4]|recall", COLUMN("recall") "the name is that of a hidden column, expected another"},
    {"e float[4]|+exact", COLUMN("exact") "the name is that of a hidden column, expected another"},
    {"e float[4]|per_document int",
     COLUMN("per_document") "the name is that of a hidden column of a later version, expected another"},
    {"e float[4]|rowid integer",
     COLUMN("rowid") "the name means the row's id, expected another or INTEGER PRIMARY KEY"},
    {"e float[4]|_ROWID_ text",
     COLUMN("_ROWID_") "the name means the row's id, expected another or INTEGER PRIMARY KEY"},
    {"oid float[4]", COLUMN("oid") "the name means the row's id, expected another or INTEGER PRIMARY KEY"},
    {"e float[4]|\"T\" text",
     COLUMN("T") "the name is that of the table, which the column for commands has, expected another"},
    {"e float[4]|\"\" text", COLUMN("") "the name is empty, expected at least one character"},
    /* arguments that are neither */
    {"e float[4]|", "shardex: argument 2: empty, expected a column or an option"},
    {" /* nothing */ |e float[4]", "shardex: argument 1: empty, expected a column or an option"},
    {"e float[4]|'a' text", "shardex: argument 2: found \"'a'\", expected a name"},
    {"4 float[4]", "shardex: argument 1: found \"4\", expected a name"},
    {"\"e float[4]", "shardex: argument 1: found \"\"\", expected a name"},
    {"[e float", "shardex: argument 1: found \"[\", expected a name"},
    {"+", "shardex: argument 1: found the end, expected a name"},
    {"e float[4]|= 3", "shardex: argument 2: found \"=\", expected a name"},
    /* options that cannot be */
    {"e float[4]|foo=1",
     OPTION("foo") "unknown, expected recall, "
     "shard_size, flush_rows, threads, memory_only, router, graph_m, graph_ef or chunk_size"},
    {"e float[4]|content='docs'",
     OPTION("content") "not supported in this version, expected the vectors in the table itself"},
    {"e float[4]|content_rowid=id",
     OPTION("content_rowid") "not supported in this version, expected the vectors in the table itself"},
    {"e float[4]|recall=0", OPTION("recall") "0 is out of range, expected more than 0 and at most 1"},
    {"e float[4]|recall=95", OPTION("recall") "95 is out of range, expected more than 0 and at most 1"},
    {"e float[4]|recall=high", OPTION("recall") "\"high\" is not a number, expected more than 0 and at most 1"},
    {"e float[4]|recall=0.9 0.8", OPTION("recall") "\"0.9 0.8\" is not a number, expected more than 0 and at most 1"},
    {"e float[4]|recall=0.9|RECALL=0.8", OPTION("RECALL") "given twice, expected once"},
    {"e float[4]|shard_size=31", OPTION("shard_size") "31 is out of range, expected 32 to 65536"},
    {"e float[4]|shard_size=65537", OPTION("shard_size") "65537 is out of range, expected 32 to 65536"},
    {"e float[4]|flush_rows=63", OPTION("flush_rows") "63 is out of range, expected 64 to 2147483647"},
    {"e float[4]|threads=", OPTION("threads") "\"\" is not a whole number, expected 0 to 1024"},
    {"e float[4]|threads=1025", OPTION("threads") "1025 is out of range, expected 0 to 1024"},
    {"e float[4]|memory_only=yes", OPTION("memory_only") "\"yes\" is not a whole number, expected 0 to 1"},
    {"e float[4]|router=round", OPTION("router") "\"round\" is unknown, expected auto, flat, levels or graph"},
    {"e float[4]|graph_m=3", OPTION("graph_m") "3 is out of range, expected 4 to 64"},
    {"e float[4]|graph_ef=7", OPTION("graph_ef") "7 is out of range, expected 8 to 4096"},
    {"e float[4]|router=auto|router=flat", OPTION("router") "given twice, expected once"},
    {"e float[4]|chunk_size=0", OPTION("chunk_size") "0 is out of range, expected 1 to 2147483647"},
};

static void check_case(const char *statement, const char *expected) {
    char text[1024];
    shx_declaration *declaration = NULL;
    char *message = NULL;
    shx_status status = declare("t", statement, &declaration, &message);
    if (status == SHX_OK) {
        describe(declaration, text, sizeof text);
        assert_null(message);
    } else {
        assert_int_equal(status, SHX_MISUSE);
        assert_null(declaration);
        snprintf(text, sizeof text, "%s", message);
    }
    if (strcmp(text, expected) != 0) print_error("of: %s\n", statement);
    assert_string_equal(text, expected);
    shx_declaration_destroy(declaration);
    shx_free(message);
}

static void test_statements(void **state) {
    (void)state;
    assert_true(sizeof cases / sizeof *cases >= 60);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(cases[i].statement, cases[i].expected);
}

static void test_table_names(void **state) {
    static const char *const names[] = {"k", "Distance", "RECALL", "exact", "per_document", "rowid", "oid", "_rowid_"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        shx_declaration *declaration = NULL;
        char *message = NULL;
        assert_int_equal(declare(names[i], "e float[4]", &declaration, &message), SHX_MISUSE);
        assert_non_null(strstr(message, names[i]));
        assert_memory_equal(message, "shardex: table \"", 16);
        shx_free(message);
    }
}

static void test_counts_and_positions(void **state) {
    (void)state;
    shx_declaration *declaration = NULL;
    char *message = NULL;
    assert_int_equal(declare("t", "a text|+x|e float[3]|b|id int primary key|+y|+z", &declaration, &message), SHX_OK);
    assert_int_equal(declaration->vector_column, 2);
    assert_int_equal(declaration->key_column, 4);
    assert_int_equal(declaration->plain_count, 2);
    assert_int_equal(declaration->auxiliary_count, 3);
    shx_declaration_destroy(declaration);
}

/* ---- anything as input ---- */

static uint64_t random_state;

static uint32_t next_random(uint32_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % below;
}

/* Statements of the table with bytes replaced and removed: each is accepted or refused with a message, and what is
** accepted has a schema that SQLite accepts. */
static void test_mutated_statements(void **state) {
    static const char bytes[] = "[]\"`'()=+-,/*\n |0a9.\xc3\xff$e_";
    (void)state;
    uint32_t accepted = 0;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (uint32_t seed = 1; seed <= 20000; seed++) {
        random_state = seed;
        char text[512];
        size_t size =
            (size_t)snprintf(text, sizeof text, "%s", cases[next_random(sizeof cases / sizeof *cases)].statement);
        for (uint32_t edits = 1 + next_random(3); edits && size; edits--) {
            size_t at = next_random((uint32_t)size);
            if (next_random(3)) {
                text[at] = bytes[next_random(sizeof bytes - 1)];
            } else {
                memmove(text + at, text + at + 1, size - at);
                size--;
            }
        }
        shx_declaration *declaration = NULL;
        char *message = NULL;
        shx_status status = declare("t", text, &declaration, &message);
        if ((status == SHX_OK) == !declaration || (status == SHX_MISUSE) == !message) fail_msg("seed %u", seed);
        if (status == SHX_OK) {
            char *schema = shx_declaration_schema(declaration, "t");
            accepted++;
            sqlite3_stmt *create;
            if (sqlite3_prepare_v2(db, schema, -1, &create, NULL) != SQLITE_OK) {
                fail_msg("seed %u: %s: %s", seed, schema, sqlite3_errmsg(db));
            }
            sqlite3_finalize(create);
            shx_free(schema);
        }
        shx_declaration_destroy(declaration);
        shx_free(message);
    }
    assert_true(accepted > 100);
    sqlite3_close(db);
}

static int allocations_left, allocations_live;

static void *failing_alloc(uint64_t size) {
    if (allocations_left-- <= 0) return NULL;
    allocations_live++;
    return malloc(size);
}

static void *failing_resize(void *block, uint64_t size) {
    if (allocations_left-- <= 0) return NULL;
    allocations_live += !block;
    return realloc(block, size);
}

static void counting_release(void *block) {
    allocations_live--;
    free(block);
}

/* True when the k-th allocation still failed. */
static bool fails_at(int k, const char *statement) {
    shx_declaration *declaration = NULL;
    char *message = NULL, *schema = NULL;
    allocations_left = k;
    shx_status status = declare("t", statement, &declaration, &message);
    if (status == SHX_OK) schema = shx_declaration_schema(declaration, "t");
    bool failed = status == SHX_NOMEM || (status == SHX_OK && !schema);
    if (status == SHX_NOMEM) assert_true(!declaration && !message);
    shx_free(schema);
    shx_free(message);
    shx_declaration_destroy(declaration);
    assert_int_equal(allocations_live, 0);
    return failed;
}

static void test_every_allocation_fails(void **state) {
    static const shx_allocator failing = {failing_alloc, failing_resize, counting_release};
    static const shx_allocator usual = {failing_alloc, failing_resize, free};
    static const char *const statements[] = {"a text|\"b c\"|e float[4]|+z blob|recall=0.9", "e float[0]", "foo=1"};
    (void)state;
    shx_memory_use(&failing);
    for (size_t i = 0; i < 3; i++) {
        int k = 0;
        while (fails_at(k, statements[i])) k++;
        assert_true(k > 1 && k < 100);
    }
    allocations_left = INT32_MAX;
    shx_memory_use(&usual);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_table_names),
        cmocka_unit_test(test_counts_and_positions),
        cmocka_unit_test(test_mutated_statements),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
