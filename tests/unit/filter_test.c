/* Filters against an ordinary twin: values of all types in columns of all affinities, conditions of all kinds, with
** flush, merge, savepoint and reconcile in between. Vectors are of small whole numbers, so that distances tie and are
** the same on both sides.
**
** SHARDEX_SEED=n repeats a run.
*/
#include "host.h"

#define FILTER_DIM 4
#define FILTER_COLUMNS 5

typedef struct filter_run {
    sqlite3 *db;
    uint64_t random, seed;
    int rows, step;
    bool saved; /* a savepoint is open */
} filter_run;

static const char *const filter_columns[FILTER_COLUMNS] = {"i", "r", "n", "t", "b"};

/* Around every edge: of types, of 2^53 and 2^63, of prefixes, of bytes that are no text. */
static const char *const filter_numbers[] = {"0",
                                             "1",
                                             "-1",
                                             "5",
                                             "5.0",
                                             "2.5",
                                             "-0.0",
                                             "'5'",
                                             "'5.0'",
                                             "' 7'",
                                             "7",
                                             "9007199254740992",
                                             "9007199254740993",
                                             "9007199254740992.0",
                                             "-9007199254740993",
                                             "9223372036854775807",
                                             "-9223372036854775808",
                                             "9223372036854775808.0",
                                             "1e300",
                                             "-1e300",
                                             "'9007199254740993'",
                                             "'abc'",
                                             "''",
                                             "x'35'",
                                             "NULL",
                                             "NULL"};
static const char *const filter_texts[] = {"''",       "'a'",       "'ab'",    "'abc'", "'abd'",
                                           "'Ab'",     "'b'",       "'10'",    "'9'",   "'9.0'",
                                           "'2019-1'", "'2019-12'", "'2020'",  "'é'",   "'ab' || char(0) || 'c'",
                                           "char(0)",  "'z'",       "x'6162'", "x''",   "x'ff'",
                                           "NULL",     "NULL"};
static const char *const filter_blobs[] = {"x''", "x'00'", "x'0001'", "x'6162'", "x'ff'", "zeroblob(40)", "NULL"};
static const char *const filter_compares[] = {"=", "!=", "<", "<=", ">", ">=", "IS", "IS NOT"};

#define FILTER_PICK(run, list) (list)[filter_pick(run, sizeof(list) / sizeof *(list))]

static uint32_t filter_pick(filter_run *run, uint32_t count) { return (uint32_t)(host_random(&run->random) % count); }

static const char *filter_literal(filter_run *run, int column) {
    if (column < 3) return FILTER_PICK(run, filter_numbers);
    return column == 3 ? FILTER_PICK(run, filter_texts) : FILTER_PICK(run, filter_blobs);
}

static char *filter_vector(filter_run *run) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    for (int i = 0; i < FILTER_DIM; i++) {
        sqlite3_str_appendf(text, "%s%d", i ? "," : "[", (int)filter_pick(run, 9) - 4);
    }
    sqlite3_str_appendall(text, "]");
    return sqlite3_str_finish(text);
}

/* The same statement on both tables. */
static void filter_both(filter_run *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    host_run(run->db, "%s", sql);
    for (char *mark; (mark = strstr(sql, "vect"));) memcpy(mark, "twin", 4);
    host_run(run->db, "%s", sql);
    sqlite3_free(sql);
}

static void filter_put(filter_run *run, int rowid) {
    char *vector = filter_vector(run);
    bool plain = filter_pick(run, 3) == 0; /* few different values beside the strange ones */
    char number[20];
    snprintf(number, sizeof number, "%d", (int)filter_pick(run, 40));
    filter_both(run,
                "INSERT OR REPLACE INTO vect(rowid, v, i, r, n, t, b) VALUES(%d, vec_f32('%s'), %s, %s, %s, %s, %s)",
                rowid, vector, plain ? number : filter_literal(run, 0), plain ? number : filter_literal(run, 1),
                filter_literal(run, 2), filter_literal(run, 3), filter_literal(run, 4));
    sqlite3_free(vector);
}

static void filter_change(filter_run *run) {
    int id = 1 + (int)filter_pick(run, (uint32_t)run->rows), column = (int)filter_pick(run, FILTER_COLUMNS);
    switch (filter_pick(run, 4)) {
    case 0: filter_both(run, "DELETE FROM vect WHERE rowid = %d", id); break;
    case 1:
        filter_both(run, "UPDATE vect SET %s = %s WHERE rowid BETWEEN %d AND %d", filter_columns[column],
                    filter_literal(run, column), id, id + 4);
        break;
    default: filter_put(run, id);
    }
}

static void filter_maintain(filter_run *run) {
    switch (filter_pick(run, 12)) {
    case 0:
        if (!run->saved) host_run(run->db, "SAVEPOINT s");
        run->saved = true;
        break;
    case 1:
    case 2:
        if (run->saved) host_run(run->db, filter_pick(run, 2) ? "ROLLBACK TO s; RELEASE s" : "RELEASE s");
        run->saved = false;
        break;
    case 3:
        if (!run->saved) host_run(run->db, "INSERT INTO vect(vect) VALUES('flush')");
        break;
    case 4:
        if (!run->saved && filter_pick(run, 4) == 0) host_run(run->db, "INSERT INTO vect(vect) VALUES('optimize')");
        break;
    case 5:
        if (!run->saved && filter_pick(run, 4) == 0) host_run(run->db, "INSERT INTO vect(vect) VALUES('rebuild')");
        break;
    default: break;
    }
}

static char *filter_condition(filter_run *run) {
    int column = (int)filter_pick(run, FILTER_COLUMNS), id = (int)filter_pick(run, (uint32_t)run->rows);
    const char *name = filter_columns[column];
    switch (filter_pick(run, 9)) {
    case 0: return sqlite3_mprintf("rowid > %d", id);
    case 1: return sqlite3_mprintf("rowid IN (%d, %d, %d)", id, id + 3, id / 2);
    case 2: return sqlite3_mprintf("%s IS %sNULL", name, filter_pick(run, 2) ? "NOT " : "");
    case 3:
        return sqlite3_mprintf("%s BETWEEN %s AND %s", name, filter_literal(run, column), filter_literal(run, column));
    case 4:
        return sqlite3_mprintf("%s IN (%s, %s, %s)", name, filter_literal(run, column), filter_literal(run, column),
                               filter_literal(run, column));
    case 5: {
        static const char *const patterns[] = {"LIKE '2019-%'", "LIKE 'ab%'", "GLOB 'a*'",
                                               "GLOB 'ab*'",    "LIKE '%'",   "GLOB '2019-1?'"};
        return sqlite3_mprintf("t %s", FILTER_PICK(run, patterns));
    }
    case 6: return sqlite3_mprintf("i IN (SELECT value FROM json_each('[1,3,5,7,9,11,13,15,17,19,21,23,25]'))");
    default: return sqlite3_mprintf("%s %s %s", name, FILTER_PICK(run, filter_compares), filter_literal(run, column));
    }
}

/* Rows in the order of (distance, rowid): of the table by MATCH, of the twin by sorting. */
static void filter_query(filter_run *run) {
    char *vector = filter_vector(run), *where = sqlite3_mprintf("1");
    uint32_t conditions = 1 + filter_pick(run, 3), k = filter_pick(run, 4) ? 10 : 1 + filter_pick(run, 60);
    for (uint32_t i = 0; i < conditions; i++) {
        char *condition = filter_condition(run);
        where = sqlite3_mprintf("%z AND %s", where, condition);
        sqlite3_free(condition);
    }
    const char *end = filter_pick(run, 3) ? "" : " AND exact = 1";
    char *mine =
        sqlite3_mprintf("SELECT rowid FROM vect WHERE v MATCH vec_f32('%s') AND k = %u AND recall = 1%s AND %s "
                        "ORDER BY distance, rowid",
                        vector, k, end, where);
    char *truth = sqlite3_mprintf("SELECT rowid FROM twin WHERE %s ORDER BY vec_distance_l2(v, vec_f32('%s')), rowid "
                                  "LIMIT %u",
                                  where, vector, k);
    char *left = host_rows(run->db, mine), *right = host_rows(run->db, truth);
    if (strcmp(left, right) != 0) {
        fail_msg("seed %llu, step %d: %s\n    gave     %s\n    expected %s", (unsigned long long)run->seed, run->step,
                 mine, left, right);
    }
    sqlite3_free(left);
    sqlite3_free(right);
    sqlite3_free(mine);
    sqlite3_free(truth);
    sqlite3_free(where);
    sqlite3_free(vector);
}

static void filter_go(int rows, int steps, const char *path) {
    const char *seed = getenv("SHARDEX_SEED");
    filter_run run = {.db = host_open(path), .seed = seed ? strtoull(seed, NULL, 10) : 20260711, .rows = rows};
    run.random = run.seed + (uint64_t)rows;
    print_message("             seed %llu\n", (unsigned long long)run.seed);
    host_run(run.db,
             "PRAGMA synchronous = off;"
             "CREATE VIRTUAL TABLE vect USING shardex(v float[4], i integer, r real, n numeric, t text, b blob);"
             "CREATE TABLE twin(v, i integer, r real, n numeric, t text, b blob); BEGIN");
    for (int i = 1; i <= rows; i++) filter_put(&run, i);
    host_run(run.db, "COMMIT; INSERT INTO vect(vect) VALUES('flush')");
    for (run.step = 0; run.step < steps; run.step++) {
        if (filter_pick(&run, 2)) filter_change(&run);
        filter_maintain(&run);
        filter_query(&run);
    }
    if (run.saved) host_run(run.db, "RELEASE s");
    host_run(run.db, "INSERT INTO vect(vect) VALUES('integrity-check')");
    host_close(run.db);
}

static void few_rows(void **state) {
    (void)state;
    filter_go(700, 1500, ":memory:");
}

/* So many that codes are scanned. */
static void many_rows(void **state) {
    (void)state;
    filter_go(6500, 250, ":memory:");
}

/* Without its directory, a database is compared with an index that lacks the last changes: they come with columns. */
static void reconciled_rows(void **state) {
    (void)state;
    char *folder = host_make_folder(), *path = sqlite3_mprintf("%s/t.db", folder);
    filter_go(300, 100, path);
    host_remove_folder(sqlite3_mprintf("%s-shardex", path));
    filter_run run = {.db = host_open(path), .seed = 3, .random = 3, .rows = 300};
    for (run.step = 0; run.step < 200; run.step++) {
        if (run.step == 100) host_run(run.db, "INSERT INTO vect(vect) VALUES('reconcile')");
        if (run.step > 50 && filter_pick(&run, 2)) filter_change(&run);
        filter_query(&run);
    }
    host_close(run.db);
    sqlite3_free(path);
    host_remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_rows),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(reconciled_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
