/* Queries of all shapes against an ordinary twin: LIMIT and OFFSET, k, other orders, groups, DISTINCT, windows, joins
** and subqueries, over conditions that a cursor evaluates, that SQLite evaluates, and that both do, joined by AND and
** OR, on columns of all affinities, with values of those of another table. What SQLite tells a table about them differs
** from version to version; the answers must not. Vectors are of small whole numbers, so that distances tie and are the
** same on both sides.
**
** SHARDEX_SEED=n repeats a run, SHARDEX_WORLDS=n lets it go through more databases, each with a seed one higher.
*/
#include "host.h"

#define SHAPE_ROWS 150
#define SHAPE_WORLDS 4
#define SHAPE_QUERIES 700 /* of one world */
#define SHAPE_DIGITS 8
#define SHAPE_TEXT 160 /* bytes of a value in SQL */

typedef struct shape_value {
    char sql[SHAPE_TEXT];
} shape_value;

typedef struct shape_run {
    sqlite3 *db;
    uint64_t random, seed;
    const char *distance;          /* the function */
    char digits[SHAPE_DIGITS][40]; /* texts that look like numbers, longer than a double is exact */
    bool searched;                 /* by MATCH: there are distances */
    bool joined;                   /* the other table is there as o */
    bool clear;                    /* only what a cursor evaluates, without a doubt about what it means */
    int step;
} shape_run;

static const char *const shape_values[] = {"0",
                                           "1",
                                           "3",
                                           "5",
                                           "2.5",
                                           "-1",
                                           "-0.0",
                                           "5.0",
                                           "1e300",
                                           "9e999",
                                           "9007199254740993",
                                           "9007199254740992.0",
                                           "9223372036854775807",
                                           "-9223372036854775808",
                                           "9223372036854775808.0",
                                           "0.30000000000000004",
                                           "NULL",
                                           "NULL",
                                           "'x'",
                                           "'7'",
                                           "' 7'",
                                           "'5.0'",
                                           "'+5'",
                                           "'1e'",
                                           "''",
                                           "'!'",
                                           "'ab'",
                                           "'abc'",
                                           "'B'",
                                           "'9.0'",
                                           "'10'",
                                           "'2019-1'",
                                           "'-0.0'",
                                           "'9007199254740993'",
                                           "'9223372036854775808'",
                                           "'é'",
                                           "char(0x1f600)",
                                           "char(0xfffd)",
                                           "x'61'",
                                           "x'6162'",
                                           "x''",
                                           "x'ff'",
                                           "x'35'",
                                           "'9135.50694648228'",
                                           "'288233734486.83400526e229'",
                                           "CAST(3 AS TEXT)"};
static const char *const shape_plain_values[] = {"'x'", "'7'",   "''",       "'ab'",    "'abc'",         "'B'",
                                                 "'é'", "x'61'", "'2019-1'", "x'6162'", "char(0x1f600)", "'10'"};
static const char *const shape_bounds[] = {"0",     "1",     "2.5",  "4",     "'3'",
                                           "'far'", "x'00'", "NULL", "1e300", "(SELECT 5)"};
static const char *const shape_rowids[] = {"7",   "40", "'90'", "12.0", "3.5", "NULL", "'x'", "9223372036854775807",
                                           "1e19"};
static const char *const shape_names[] = {"i", "r", "n", "s", "b", "y", "a"};
static const char *const shape_compares[] = {"=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"};
static const char *const shape_patterns[] = {"LIKE 'ab%'",   "GLOB 'a*'",     "GLOB 'ab*'",     "LIKE '%'",
                                             "GLOB '*'",     "LIKE '2019-%'", "GLOB '2019-1?'", "LIKE '9%'",
                                             "GLOB x'612a'", "LIKE 7",        "GLOB '5*'"};
static const char *const shape_limits[] = {"",
                                           " LIMIT 3",
                                           " LIMIT 5 OFFSET 2",
                                           " LIMIT -1 OFFSET 4",
                                           " LIMIT 0",
                                           " LIMIT 9223372036854775807 OFFSET 1",
                                           " LIMIT (SELECT 2) OFFSET -3"};
static const char *const shape_orders[] = {"t.distance, t.rowid", "t.distance DESC, t.rowid", "t.rowid DESC",
                                           "t.s, t.rowid",        "-t.distance, t.rowid",     "t.distance, t.rowid"};
static const char *const shape_distances[] = {"l2", "ip", "l1"};
static const char *const shape_encodings[] = {"UTF-8", "UTF-16le", "UTF-16be"};

#define SHAPE_PICK(run, list) (list)[shape_random(run, sizeof(list) / sizeof *(list))]

static uint32_t shape_random(shape_run *run, uint32_t count) { return (uint32_t)(host_random(&run->random) % count); }

/* ---- values ---- */

/* A number of many digits, as text. */
static void shape_make_digits(shape_run *run, char *digits, size_t room) {
    uint32_t whole = shape_random(run, 100000), shift = shape_random(run, 3);
    uint64_t rest = host_random(&run->random) >> shape_random(run, 60);
    int exponent = (int)shape_random(run, 500) - 250;
    if (shift == 0) snprintf(digits, room, "'%u.%llu'", whole, (unsigned long long)rest);
    if (shift == 1) snprintf(digits, room, "'%u%llu'", whole, (unsigned long long)rest);
    if (shift == 2) snprintf(digits, room, "'%u.%llue%d'", whole, (unsigned long long)rest, exponent);
}

static const char *shape_literal(shape_run *run) {
    uint32_t kind = shape_random(run, 8);
    if (run->clear) return SHAPE_PICK(run, shape_plain_values);
    return kind == 0 ? run->digits[shape_random(run, SHAPE_DIGITS)] : SHAPE_PICK(run, shape_values);
}

/* A literal, or a value that has the affinity of another table's column. */
static shape_value shape_operand(shape_run *run) {
    shape_value value;
    const char *name = shape_names[shape_random(run, 6)];
    uint32_t kind = run->clear ? 9 : shape_random(run, 10), row = 1 + shape_random(run, 12);
    if (kind == 0) {
        snprintf(value.sql, SHAPE_TEXT, "(SELECT x.%s FROM other x WHERE x.rowid = %u)", name, row);
    } else if (kind == 1) {
        snprintf(value.sql, SHAPE_TEXT, "(SELECT x.%s FROM other x WHERE x.rowid = t.i)", name);
    } else if (kind == 2) {
        snprintf(value.sql, SHAPE_TEXT, "(SELECT max(x.%s) FROM other x WHERE x.rowid < %u)", name, row);
    } else if (kind < 6 && run->joined) {
        snprintf(value.sql, SHAPE_TEXT, "o.%s", name);
    } else {
        snprintf(value.sql, SHAPE_TEXT, "%s", shape_literal(run));
    }
    return value;
}

/* ---- conditions ---- */

static char *shape_about_rows(shape_run *run) {
    if (shape_random(run, 2)) {
        return sqlite3_mprintf("t.rowid IN (%s, %s, 8)", SHAPE_PICK(run, shape_rowids), SHAPE_PICK(run, shape_rowids));
    }
    return sqlite3_mprintf("t.rowid %s %s", SHAPE_PICK(run, shape_compares), SHAPE_PICK(run, shape_rowids));
}

static char *shape_about_distances(shape_run *run) {
    const char *first = SHAPE_PICK(run, shape_bounds), *second = SHAPE_PICK(run, shape_bounds);
    if (!run->searched || run->clear) return shape_about_rows(run);
    if (shape_random(run, 2)) return sqlite3_mprintf("t.distance BETWEEN %s AND %s", first, second);
    return sqlite3_mprintf("t.distance %s %s", SHAPE_PICK(run, shape_compares), first);
}

/* What SQLite evaluates itself, at least in part. */
static char *shape_beyond(shape_run *run, const char *column) {
    shape_value first = shape_operand(run), second = shape_operand(run);
    const char *other = shape_names[shape_random(run, 7)], *compare = shape_random(run, 2) ? ">" : "<=";
    switch (shape_random(run, 10)) {
    case 0: return sqlite3_mprintf("(t.i, t.rowid) %s (2, 40)", compare);
    case 1: return sqlite3_mprintf("(t.%s, t.%s) %s (%s, %s)", column, other, compare, first.sql, second.sql);
    case 2: /* SQLite itself compares other columns of a virtual table, in a list of rows, without affinity */
        return sqlite3_mprintf("(t.%s, t.i) IN (SELECT %s, i FROM other)", shape_names[shape_random(run, 3)],
                               shape_names[shape_random(run, 6)]);
    case 3: return sqlite3_mprintf("t.s = %s COLLATE NOCASE", first.sql);
    case 4: return sqlite3_mprintf("t.%s %s t.%s", column, SHAPE_PICK(run, shape_compares), other);
    case 5: return sqlite3_mprintf("EXISTS (SELECT 1 FROM other x WHERE x.%s = t.%s)", "n", column);
    case 6: return sqlite3_mprintf("%s %s t.%s", first.sql, SHAPE_PICK(run, shape_compares), column);
    case 7: return sqlite3_mprintf("t.%s NOT IN (%s, %s)", column, first.sql, second.sql);
    case 8: return sqlite3_mprintf("t.%s NOT %s", column, SHAPE_PICK(run, shape_patterns));
    default: return sqlite3_mprintf("+t.%s %s %s", column, SHAPE_PICK(run, shape_compares), first.sql);
    }
}

static char *shape_simple(shape_run *run) {
    const char *column = SHAPE_PICK(run, shape_names), *from = shape_names[shape_random(run, 6)];
    shape_value first = shape_operand(run), second = shape_operand(run), third = shape_operand(run);
    /* beside GLOB, < lets blobs pass, and k counts them */
    const char *compared = run->clear && strcmp(column, "s") == 0 ? "a" : column;
    switch (shape_random(run, 12)) {
    case 0: return shape_about_rows(run);
    case 1: return shape_about_distances(run);
    case 2:
    case 3:
        if (!run->clear) return shape_beyond(run, column);
        return sqlite3_mprintf("t.%s IN (SELECT %s FROM other)", shape_names[shape_random(run, 3)], from);
    case 4: return sqlite3_mprintf("t.%s IN (%s, %s, %s)", column, first.sql, second.sql, third.sql);
    case 5:
        if (run->clear) column = shape_names[shape_random(run, 3)];
        return sqlite3_mprintf("t.%s IN (SELECT %s FROM other)", column, from);
    case 6: return sqlite3_mprintf("t.%s BETWEEN %s AND %s", compared, first.sql, second.sql);
    case 7: return sqlite3_mprintf("t.%s %s", run->clear ? "s" : column, SHAPE_PICK(run, shape_patterns));
    case 8: return sqlite3_mprintf("t.%s IS %sNULL", column, shape_random(run, 2) ? "NOT " : "");
    default: return sqlite3_mprintf("t.%s %s %s", compared, SHAPE_PICK(run, shape_compares), first.sql);
    }
}

static char *shape_condition(shape_run *run) {
    char *first = shape_simple(run), *second = shape_simple(run), *third = shape_simple(run), *text;
    switch (run->clear ? shape_random(run, 2) : shape_random(run, 7)) {
    case 0: text = sqlite3_mprintf("%s", first); break;
    case 1: text = sqlite3_mprintf("%s AND %s", first, second); break;
    case 2: text = sqlite3_mprintf("%s AND %s AND %s", first, second, third); break;
    case 3: text = sqlite3_mprintf("(%s OR %s)", first, second); break;
    case 4: text = sqlite3_mprintf("(%s OR %s) AND %s", first, second, third); break;
    case 5: text = sqlite3_mprintf("(%s OR %s AND NOT (%s))", first, second, third); break;
    default: text = sqlite3_mprintf("NOT (%s) AND %s", first, second); break;
    }
    sqlite3_free(first);
    sqlite3_free(second);
    sqlite3_free(third);
    return text;
}

/* ---- queries ---- */

typedef enum shape_kind {
    SHAPE_NEAREST,
    SHAPE_ORDERED,
    SHAPE_GROUPED,
    SHAPE_DISTINCT,
    SHAPE_COUNTED,
    SHAPE_WINDOWS,
    SHAPE_JOINED, /* from here to SHAPE_K the conditions see the other table */
    SHAPE_LEFT_JOINED,
    SHAPE_CORRELATED,
    SHAPE_K,
    SHAPE_UNSEARCHED,
    SHAPE_KINDS,
} shape_kind;

typedef struct shape_query {
    shape_kind kind;
    const char *order, *limit;
    char *match, *condition, *join;
    int k;
} shape_query;

/* What is asked of `table t`; `match` is the condition that makes it a search. */
static char *shape_ask(const shape_query *query, const char *table, const char *match) {
    const char *condition = query->condition, *limit = query->limit;
    switch (query->kind) {
    case SHAPE_NEAREST:
    case SHAPE_K:
        return sqlite3_mprintf("SELECT t.rowid, t.distance FROM %s t WHERE %s AND %s ORDER BY t.distance, t.rowid%s",
                               table, match, condition, limit);
    case SHAPE_ORDERED:
        return sqlite3_mprintf("SELECT t.rowid, t.distance, t.a FROM %s t WHERE %s AND %s ORDER BY %s%s", table, match,
                               condition, query->order, limit);
    case SHAPE_GROUPED:
        return sqlite3_mprintf("SELECT t.s, count(*), min(t.distance), max(t.rowid) FROM %s t WHERE %s AND %s "
                               "GROUP BY t.s ORDER BY t.s%s",
                               table, match, condition, limit);
    case SHAPE_DISTINCT:
        return sqlite3_mprintf("SELECT DISTINCT t.i FROM %s t WHERE %s AND %s ORDER BY t.i%s", table, match, condition,
                               limit);
    case SHAPE_WINDOWS:
        return sqlite3_mprintf("SELECT t.rowid, row_number() OVER (ORDER BY t.distance, t.rowid), "
                               "count(*) OVER (PARTITION BY t.r) FROM %s t WHERE %s AND %s ORDER BY 2%s",
                               table, match, condition, limit);
    case SHAPE_JOINED:
        return sqlite3_mprintf("SELECT t.rowid, o.rowid FROM %s t %s WHERE %s AND %s "
                               "ORDER BY t.distance, t.rowid, o.rowid%s",
                               table, query->join, match, condition, limit);
    case SHAPE_LEFT_JOINED:
        return sqlite3_mprintf("SELECT o.rowid, t.rowid FROM other o LEFT JOIN %s t ON %s AND %s ORDER BY 1, 2%s",
                               table, match, condition, limit);
    case SHAPE_CORRELATED:
        return sqlite3_mprintf("SELECT o.rowid, (SELECT group_concat(id) FROM (SELECT t.rowid AS id FROM %s t "
                               "WHERE %s AND %s ORDER BY t.distance, t.rowid%s)) FROM other o ORDER BY 1",
                               table, match, condition, limit);
    case SHAPE_UNSEARCHED:
        return sqlite3_mprintf(
            "SELECT t.rowid, quote(t.i), quote(t.r), quote(t.n), quote(t.s), quote(t.b), quote(t.y), "
            "quote(t.a) FROM %s t WHERE %s ORDER BY t.rowid%s",
            table, condition, limit);
    default:
        return sqlite3_mprintf("SELECT count(*), sum(id) FROM (SELECT t.rowid AS id FROM %s t WHERE %s AND %s)", table,
                               match, condition);
    }
}

static char *shape_join(shape_run *run) {
    static const char *const joins[] = {"JOIN", "LEFT JOIN", "CROSS JOIN"};
    const char *join = SHAPE_PICK(run, joins), *from = shape_names[shape_random(run, 6)];
    const char *compare = shape_random(run, 2) ? "=" : SHAPE_PICK(run, shape_compares);
    switch (shape_random(run, 6)) {
    case 0: return sqlite3_mprintf("%s other o ON o.i = t.rowid", join);
    case 1: return sqlite3_mprintf("%s other o ON o.n < t.distance", join);
    default: return sqlite3_mprintf("%s other o ON o.%s %s t.%s", join, from, compare, SHAPE_PICK(run, shape_names));
    }
}

static void shape_compare_rows(shape_run *run, const char *mine, const char *truth) {
    char *left = host_rows(run->db, mine), *right = host_rows(run->db, truth);
    if (strcmp(left, right) != 0) {
        fail_msg("seed %llu, step %d: %s\n    gave     %s\n    expected %s", (unsigned long long)run->seed, run->step,
                 mine, left, right);
    }
    sqlite3_free(left);
    sqlite3_free(right);
}

static void shape_compare(shape_run *run) {
    shape_query query = {.kind = (shape_kind)shape_random(run, SHAPE_KINDS), .k = (int)shape_random(run, 60)};
    int x = (int)shape_random(run, 13) - 6, y = (int)shape_random(run, 13) - 6;
    bool with_k = query.kind == SHAPE_K;
    run->joined = query.kind >= SHAPE_JOINED && query.kind < SHAPE_K;
    run->searched = query.kind != SHAPE_UNSEARCHED;
    run->clear = with_k;
    query.limit = with_k ? "" : SHAPE_PICK(run, shape_limits);
    query.order = SHAPE_PICK(run, shape_orders);
    query.condition = shape_condition(run);
    query.join = shape_join(run);
    char *match = sqlite3_mprintf("t.v MATCH '[%d, %d]'%s", x, y, shape_random(run, 2) ? " AND t.recall = 1" : "");
    if (with_k) match = sqlite3_mprintf("%z AND t.k = %d", match, query.k);
    char *limit = sqlite3_mprintf(" LIMIT %d", query.k), *mine = shape_ask(&query, "vect", match);
    if (with_k) query.limit = limit;
    char *truth = shape_ask(&query, "twin", "1");
    if (run->searched)
        host_run(run->db, "UPDATE twin SET distance = vec_distance_%s(v, '[%d, %d]')", run->distance, x, y);
    shape_compare_rows(run, mine, truth);
    char *texts[] = {mine, truth, limit, match, query.join, query.condition};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) sqlite3_free(texts[i]);
}

/* ---- worlds ---- */

static void shape_put(shape_run *run, int rowid) {
    int x = (int)shape_random(run, 13) - 6, y = (int)shape_random(run, 13) - 6;
    char *values = sqlite3_mprintf("%d, vec_f32('[%d, %d]')", rowid, x, y);
    for (size_t i = 0; i < sizeof shape_names / sizeof *shape_names; i++) {
        bool few = i < 3 && shape_random(run, 3) == 0; /* few different values beside the strange ones */
        values = few ? sqlite3_mprintf("%z, %u", values, shape_random(run, 12))
                     : sqlite3_mprintf("%z, %s", values, shape_literal(run));
    }
    host_run(run->db, "INSERT OR REPLACE INTO vect(rowid, v, i, r, n, s, b, y, a) VALUES(%s)", values);
    host_run(run->db, "INSERT OR REPLACE INTO twin(rowid, v, i, r, n, s, b, y, a) VALUES(%s)", values);
    sqlite3_free(values);
}

static void shape_change(shape_run *run) {
    int rowid = 1 + (int)shape_random(run, SHAPE_ROWS);
    const char *column = SHAPE_PICK(run, shape_names);
    shape_value value = {"NULL"};
    switch (shape_random(run, 4)) {
    case 0:
        snprintf(value.sql, SHAPE_TEXT, "%s", shape_literal(run));
        host_run(run->db, "UPDATE vect SET %s = %s WHERE rowid BETWEEN %d AND %d", column, value.sql, rowid, rowid + 3);
        host_run(run->db, "UPDATE twin SET %s = %s WHERE rowid BETWEEN %d AND %d", column, value.sql, rowid, rowid + 3);
        break;
    case 1:
        host_run(run->db, "DELETE FROM vect WHERE rowid = %d; DELETE FROM twin WHERE rowid = %d", rowid, rowid);
        break;
    default: shape_put(run, rowid);
    }
}

static void shape_create(shape_run *run) {
    host_run(run->db, "PRAGMA encoding = '%s'", SHAPE_PICK(run, shape_encodings));
    host_run(run->db,
             "CREATE VIRTUAL TABLE vect USING shardex(v float[2] distance_metric=%s,"
             " i integer, r real, n numeric, s text, b blob, y, +a text);"
             "CREATE TABLE twin(v, i integer, r real, n numeric, s text, b blob, y, a text, distance REAL);"
             "CREATE TABLE other(i integer, r real, n numeric, s text, b blob, y)",
             run->distance);
    for (int i = 0; i < SHAPE_DIGITS; i++) shape_make_digits(run, run->digits[i], sizeof run->digits[i]);
    for (int i = 1; i <= SHAPE_ROWS; i++) shape_put(run, i);
    for (int i = 1; i <= 12; i++) {
        host_run(run->db, "INSERT INTO other VALUES(%s, %s, %s, %s, %s, %s)", shape_literal(run), shape_literal(run),
                 shape_literal(run), shape_literal(run), shape_literal(run), shape_literal(run));
    }
    /* text among numbers: the rule of comparison that differs (README) */
    host_run(run->db, "UPDATE other SET i = iif(typeof(i) = 'text', NULL, i), r = iif(typeof(r) = 'text', NULL, r),"
                      " n = iif(typeof(n) = 'text', NULL, n)");
}

static void shape_live(uint64_t seed, int queries) {
    shape_run run = {.db = host_open(":memory:"), .seed = seed, .random = seed};
    run.distance = SHAPE_PICK(&run, shape_distances);
    shape_create(&run);
    for (run.step = 0; run.step < queries; run.step++) {
        if (run.step == queries / 2) host_run(run.db, "INSERT INTO vect(vect) VALUES('flush'); ANALYZE");
        if (run.step % 8 == 0) shape_change(&run);
        shape_compare(&run);
    }
    host_run(run.db, "INSERT INTO vect(vect) VALUES('integrity-check')");
    host_close(run.db);
}

static void queries_of_all_shapes(void **context) {
    (void)context;
    const char *text = getenv("SHARDEX_SEED"), *worlds = getenv("SHARDEX_WORLDS");
    uint64_t seed = text ? strtoull(text, NULL, 10) : 20261121;
    print_message("             seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < (worlds ? atoi(worlds) : SHAPE_WORLDS); i++) shape_live(seed + (uint64_t)i, SHAPE_QUERIES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_of_all_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
