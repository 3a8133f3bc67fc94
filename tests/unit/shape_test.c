/* Queries of all shapes against an ordinary twin: LIMIT and OFFSET, other orders, groups, DISTINCT and joins, over
** conditions that a cursor evaluates, that SQLite evaluates, and that both do, joined by AND and OR. What SQLite tells
** a table about them differs from version to version; the answers must not. Vectors are of small whole numbers, so that
** distances tie and are the same on both sides.
**
** SHARDEX_SEED=n repeats a run.
*/
#include "host.h"

#define SHAPE_ROWS 150
#define SHAPE_QUERIES 1500

typedef struct shape_run {
    sqlite3 *db;
    uint64_t random, seed;
} shape_run;

static const char *const shape_values[] = {
    "0",   "1",    "3",   "5",     "2.5",  "-1",    "1e300",           "NULL",       "'x'",
    "'7'", "'ab'", "'B'", "'9.0'", "'10'", "x'61'", "CAST(3 AS TEXT)", "(SELECT 2)", "(SELECT min(y) FROM other)"};
static const char *const shape_bounds[] = {"0",     "1",     "2.5",  "4",     "'3'",
                                           "'far'", "x'00'", "NULL", "1e300", "(SELECT 5)"};
static const char *const shape_rowids[] = {"7",   "40", "'90'", "12.0", "3.5", "NULL", "'x'", "9223372036854775807",
                                           "1e19"};
static const char *const shape_columns[] = {"t.i", "t.r", "t.s", "t.a"};
static const char *const shape_compares[] = {"=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"};
static const char *const shape_limits[] = {"",
                                           " LIMIT 3",
                                           " LIMIT 5 OFFSET 2",
                                           " LIMIT -1 OFFSET 4",
                                           " LIMIT 0",
                                           " LIMIT 9223372036854775807 OFFSET 1",
                                           " LIMIT (SELECT 2) OFFSET -3"};
static const char *const shape_orders[] = {"t.distance, t.rowid", "t.distance DESC, t.rowid", "t.rowid DESC",
                                           "t.s, t.rowid",        "-t.distance, t.rowid",     "t.distance, t.rowid"};
static const char *const shape_joins[] = {"JOIN other o ON o.x = t.i", "LEFT JOIN other o ON o.y = t.s",
                                          "JOIN other o ON o.x = t.rowid", "JOIN other o ON o.x < t.distance",
                                          "CROSS JOIN other o ON o.y > t.r"};

#define SHAPE_PICK(run, list) (list)[shape_random(run, sizeof(list) / sizeof *(list))]

static uint32_t shape_random(shape_run *run, uint32_t count) { return (uint32_t)(host_random(&run->random) % count); }

static char *shape_simple(shape_run *run) {
    const char *column = SHAPE_PICK(run, shape_columns);
    switch (shape_random(run, 9)) {
    case 0: return sqlite3_mprintf("t.rowid %s %s", SHAPE_PICK(run, shape_compares), SHAPE_PICK(run, shape_rowids));
    case 1:
        return sqlite3_mprintf("t.rowid IN (%s, %s, 8)", SHAPE_PICK(run, shape_rowids), SHAPE_PICK(run, shape_rowids));
    case 2: return sqlite3_mprintf("t.distance %s %s", SHAPE_PICK(run, shape_compares), SHAPE_PICK(run, shape_bounds));
    case 3:
        return sqlite3_mprintf("t.distance BETWEEN %s AND %s", SHAPE_PICK(run, shape_bounds),
                               SHAPE_PICK(run, shape_bounds));
    case 4: return sqlite3_mprintf("(t.i, t.rowid) %s (2, 40)", shape_random(run, 2) ? ">" : "<=");
    case 5:
        return sqlite3_mprintf("%s IN (%s, %s)", column, SHAPE_PICK(run, shape_values), SHAPE_PICK(run, shape_values));
    case 6: return sqlite3_mprintf("t.s = %s COLLATE NOCASE", SHAPE_PICK(run, shape_values));
    default: return sqlite3_mprintf("%s %s %s", column, SHAPE_PICK(run, shape_compares), SHAPE_PICK(run, shape_values));
    }
}

static char *shape_condition(shape_run *run) {
    char *first = shape_simple(run), *second = shape_simple(run), *third = shape_simple(run), *text;
    switch (shape_random(run, 5)) {
    case 0: text = sqlite3_mprintf("%s", first); break;
    case 1: text = sqlite3_mprintf("%s AND %s", first, second); break;
    case 2: text = sqlite3_mprintf("(%s OR %s)", first, second); break;
    case 3: text = sqlite3_mprintf("(%s OR %s) AND %s", first, second, third); break;
    default: text = sqlite3_mprintf("NOT (%s) AND %s", first, second); break;
    }
    sqlite3_free(first);
    sqlite3_free(second);
    sqlite3_free(third);
    return text;
}

/* What is asked of `table t`; `match` is the condition that makes it a search. */
static char *shape_query(int shape, const char *table, const char *match, const char *join, const char *condition,
                         const char *order, const char *limit) {
    switch (shape) {
    case 0:
        return sqlite3_mprintf("SELECT t.rowid, t.distance FROM %s t WHERE %s AND %s ORDER BY t.distance, t.rowid%s",
                               table, match, condition, limit);
    case 1:
        return sqlite3_mprintf("SELECT t.rowid, t.distance, t.a FROM %s t WHERE %s AND %s ORDER BY %s%s", table, match,
                               condition, order, limit);
    case 2:
        return sqlite3_mprintf("SELECT t.s, count(*), min(t.distance), max(t.rowid) FROM %s t WHERE %s AND %s "
                               "GROUP BY t.s ORDER BY t.s%s",
                               table, match, condition, limit);
    case 3:
        return sqlite3_mprintf("SELECT DISTINCT t.i FROM %s t WHERE %s AND %s ORDER BY t.i%s", table, match, condition,
                               limit);
    case 4:
        return sqlite3_mprintf("SELECT t.rowid, o.rowid FROM %s t %s WHERE %s AND %s "
                               "ORDER BY t.distance, t.rowid, o.rowid%s",
                               table, join, match, condition, limit);
    default:
        return sqlite3_mprintf("SELECT count(*), sum(id) FROM (SELECT t.rowid AS id FROM %s t WHERE %s AND %s)", table,
                               match, condition);
    }
}

static void shape_compare(shape_run *run, int step) {
    int shape = (int)shape_random(run, 6), x = (int)shape_random(run, 13) - 6, y = (int)shape_random(run, 13) - 6;
    const char *join = SHAPE_PICK(run, shape_joins), *limit = SHAPE_PICK(run, shape_limits);
    const char *order = SHAPE_PICK(run, shape_orders), *mode = shape_random(run, 2) ? " AND t.recall = 1" : "";
    char *condition = shape_condition(run);
    char *match = sqlite3_mprintf("t.v MATCH '[%d, %d]'%s", x, y, mode);
    char *mine = shape_query(shape, "vect", match, join, condition, order, limit);
    char *truth = shape_query(shape, "twin", "1", join, condition, order, limit);
    host_run(run->db, "UPDATE twin SET distance = vec_distance_l2(v, '[%d, %d]')", x, y);
    char *left = host_rows(run->db, mine), *right = host_rows(run->db, truth);
    if (strcmp(left, right) != 0) {
        fail_msg("seed %llu, step %d: %s\n    gave     %s\n    expected %s", (unsigned long long)run->seed, step, mine,
                 left, right);
    }
    sqlite3_free(left);
    sqlite3_free(right);
    sqlite3_free(mine);
    sqlite3_free(truth);
    sqlite3_free(match);
    sqlite3_free(condition);
}

static void queries_of_all_shapes(void **context) {
    (void)context;
    const char *seed = getenv("SHARDEX_SEED");
    shape_run run = {.db = host_open(":memory:"), .seed = seed ? strtoull(seed, NULL, 10) : 20261121};
    run.random = run.seed;
    print_message("             seed %llu\n", (unsigned long long)run.seed);
    host_run(run.db, "CREATE VIRTUAL TABLE vect USING shardex(v float[2], i integer, r real, s text, +a text);"
                     "CREATE TABLE twin(v, i integer, r real, s text, a text, distance REAL);"
                     "CREATE TABLE other(x, y text);"
                     "INSERT INTO other VALUES(1, 'x'), (3, '7'), (2.5, 'ab'), ('5', NULL), (40, '10')");
    for (int i = 1; i <= SHAPE_ROWS; i++) {
        int x = (int)shape_random(&run, 13) - 6, y = (int)shape_random(&run, 13) - 6;
        host_run(run.db, "INSERT INTO twin(rowid, v, i, r, s, a) VALUES(%d, vec_f32('[%d, %d]'), %s, %s, %s, %s)", i, x,
                 y, SHAPE_PICK(&run, shape_values), SHAPE_PICK(&run, shape_values), SHAPE_PICK(&run, shape_values),
                 SHAPE_PICK(&run, shape_values));
    }
    host_run(run.db, "INSERT INTO vect(rowid, v, i, r, s, a) SELECT rowid, v, i, r, s, a FROM twin");
    for (int step = 0; step < SHAPE_QUERIES; step++) {
        if (step == SHAPE_QUERIES / 2) host_run(run.db, "INSERT INTO vect(vect) VALUES('flush'); ANALYZE");
        shape_compare(&run, step);
    }
    host_close(run.db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_of_all_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
