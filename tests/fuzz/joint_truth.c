/* Answers of the joint target beside a brute force over the shadow tables. */
#include "joint_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRUTH_ROWS_MAX 4096

typedef struct truth_hit {
    int64_t rowid;
    double distance;
} truth_hit;

typedef struct truth_hits {
    truth_hit at[TRUTH_ROWS_MAX];
    int count;
    int rc; /* SQLITE_DONE when all came */
} truth_hits;

/* What may be asked beside the neighbours: for the scan; and, the last ones, for SQLite behind it, which has all rows
** to choose from in a stream only. */
static const char *const truth_conditions[] = {
    "1",
    "n = $ % 7",
    "n BETWEEN $ % 7 AND ^ AND s <> 's1'",
    "n IS NULL",
    "n IN (1, $, 5) AND # > ^",
    "s IS NULL",
    "s = 's' || $ % 5",
    "s IN ('s1', 's4', 'none') AND # > $",
    "s GLOB 's[0-2]*' AND r < ^",
    "s GLOB 's*' AND n < ^",
    "s LIKE '%' AND # < $",
    "x IN (WITH RECURSIVE i(i) AS (VALUES($) UNION ALL SELECT i + 2 FROM i WHERE i < 90) SELECT 'x' || i FROM i)",
    "# IN ($, ^, 7, 62, 80) AND x LIKE 'x%'",
    "p = $ % 3",
    "p IN ($ % 3, ^ % 3) AND n > 1",
    "p IS NOT $ % 3",
    "p > $ % 3 AND x LIKE 'x1%'",
    "r > $ / 4.0",
    "r IS NOT NULL AND # <= $",
    "# IN ($, ^, 7, 62, 80)",
    "# BETWEEN $ AND $ + ^",
    "# IN (SELECT id FROM main.t_rows WHERE c0 % 3 = $ % 3)",
    "distance > $ / 8.0",
    "distance >= $ / 16.0 AND distance < ^",
    "distance < $ / 8.0 AND n < ^",
    "(n = $ % 7 OR s = 's1' OR x = 'x' || ^)",
    "x LIKE '%5' AND length(s) < 3",
    "# % 7 < $ % 7",
};

#define TRUTH_AFTERTHOUGHTS 3
#define TRUTH_CONDITIONS (sizeof truth_conditions / sizeof *truth_conditions)

/* How neighbours are asked for; the first ones give the true ones. Streams go on until LIMIT is met. */
static const char *const truth_modes[] = {" AND exact = 1", "stream", "", " AND recall = 0.5", " AND recall = 0.99",
                                          " AND recall = 1", "rough stream"};

#define TRUTH_MODES (sizeof truth_modes / sizeof *truth_modes)

/* Nothing that lies in the directory may bring these about; locks and the limits of the harness may. */
static bool truth_is_late(int rc) {
    return rc == SQLITE_INTERRUPT || rc == SQLITE_BUSY || rc == SQLITE_LOCKED || rc == SQLITE_NOMEM ||
           rc == SQLITE_TOOBIG;
}

static void truth_read(sqlite3 *db, const char *sql, truth_hits *ret_hits) {
    sqlite3_stmt *statement = NULL;
    fuzz_sql_steps();
    ret_hits->count = 0;
    ret_hits->rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    while (ret_hits->rc == SQLITE_OK && (ret_hits->rc = sqlite3_step(statement)) == SQLITE_ROW) {
        ret_hits->rc = ret_hits->count < TRUTH_ROWS_MAX ? SQLITE_OK : SQLITE_TOOBIG;
        if (ret_hits->rc != SQLITE_OK) break;
        ret_hits->at[ret_hits->count].rowid = sqlite3_column_int64(statement, 0);
        ret_hits->at[ret_hits->count++].distance = sqlite3_column_double(statement, 1);
    }
    ret_hits->rc &= 0xff;
    fuzz_sql_judge(db, ret_hits->rc, sql);
    sqlite3_finalize(statement);
}

static void truth_fail(sqlite3 *db, const char *mine, const char *truth, const truth_hits *found,
                       const truth_hits *expected) {
    fprintf(stderr, "%s\n%s\ncodes %d and %d (%s), %d rows and %d\n", mine, truth, found->rc, expected->rc,
            sqlite3_errmsg(db), found->count, expected->count);
    for (int i = 0; i < found->count && i < 20; i++) {
        fprintf(stderr, "    %lld at %.17g\n", (long long)found->at[i].rowid, found->at[i].distance);
    }
    for (int i = 0; i < expected->count && i < 20; i++) {
        fprintf(stderr, "        truth: %lld at %.17g\n", (long long)expected->at[i].rowid, expected->at[i].distance);
    }
    abort();
}

/* The first k of all, or as many of them in their order: each row is there, passes, and is as far away as it says. A
** rough stream may leave rows out for good, that would come too late. */
static bool truth_fits(const truth_hits *found, const truth_hits *all, int k, const char *mode) {
    bool exact = strcmp(mode, "stream") == 0 || strstr(mode, "exact"), rough = strcmp(mode, "rough stream") == 0;
    int expected = k < all->count ? k : all->count;
    int at = 0;
    for (int i = 0; i < found->count; i++, at++) {
        while (!exact && at < all->count && all->at[at].rowid != found->at[i].rowid) at++;
        if (at == all->count || all->at[at].rowid != found->at[i].rowid) return false;
        if (all->at[at].distance != found->at[i].distance) return false;
    }
    return found->count == expected || (rough && found->count < expected);
}

void joint_compare(const joint_table *table, sqlite3 *db, fuzz_input *input, bool judged) {
    static truth_hits found, all;
    uint64_t mode = fuzz_number(input, 1) % TRUTH_MODES, which = fuzz_number(input, 1);
    uint64_t vector = fuzz_number(input, 1), k = fuzz_number(input, 1) % 48;
    uint64_t first = fuzz_number(input, 1), second = fuzz_number(input, 1);
    bool stream = strstr(truth_modes[mode], "stream"), rough = strstr(truth_modes[mode], "rough");
    which %= TRUTH_CONDITIONS - (stream ? 0 : TRUTH_AFTERTHOUGHTS);
    char *text = stream ? sqlite3_mprintf("SELECT #, distance FROM @ WHERE v MATCH ~%s AND %s ORDER BY distance, # "
                                          "LIMIT %d", rough ? "" : truth_modes[0], truth_conditions[which], (int)k)
                        : sqlite3_mprintf("SELECT #, distance FROM @ WHERE v MATCH ~ AND k = %d%s AND %s", (int)k,
                                          truth_modes[mode], truth_conditions[which]);
    char *twin = sqlite3_mprintf("SELECT id, distance FROM (SELECT vec_distance_%s(&(v), ~) AS distance, * FROM @) "
                                 "WHERE %s ORDER BY distance, id", table->kind->metric, truth_conditions[which]);
    char *mine = joint_sql(table->kind, text, false, vector, first, second);
    char *truth = joint_sql(table->kind, twin, true, vector, first, second);
    truth_read(db, mine, &found);
    if (judged) truth_read(db, truth, &all);
    if (judged && !truth_is_late(found.rc) && !truth_is_late(all.rc)) {
        bool fits = found.rc == SQLITE_DONE && all.rc == SQLITE_DONE;
        fits = fits && truth_fits(&found, &all, (int)k, truth_modes[mode]);
        if (!fits) truth_fail(db, mine, truth, &found, &all);
    }
    sqlite3_free(truth);
    sqlite3_free(mine);
    sqlite3_free(twin);
    sqlite3_free(text);
}

/* All columns of all rows, how many there are, and what the table itself judges. */
void joint_compare_rows(const joint_table *table, sqlite3 *db, bool judged) {
    static truth_hits found, all;
    static const char *const queries[] = {
        "SELECT count(*), 0 FROM (SELECT #, v, n, s, r, p, x FROM @ EXCEPT SELECT id, v, n, s, r, p, x FROM !)",
        "SELECT #, n FROM @ ORDER BY #",
        "SELECT count(*), sum(n) FROM @ WHERE p = 1 AND r > 2",
        "SELECT count(*), total(length(v)) + total(length(x)) FROM @ WHERE # > 7 AND s IS NOT NULL",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        char *mine = joint_sql(table->kind, queries[i], false, 0, 0, 0);
        char *truth = joint_sql(table->kind, queries[i], true, 0, 0, 0);
        truth_read(db, mine, &found);
        if (judged) truth_read(db, truth, &all);
        bool late = !judged || truth_is_late(found.rc) || truth_is_late(all.rc);
        bool same = !late && found.rc == SQLITE_DONE && all.rc == SQLITE_DONE && found.count == all.count &&
                    memcmp(found.at, all.at, (size_t)all.count * sizeof *all.at) == 0;
        if (!late && !same) truth_fail(db, mine, truth, &found, &all);
        sqlite3_free(truth);
        sqlite3_free(mine);
    }
}
