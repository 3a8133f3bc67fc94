#include "stress.h"

/* The rows of one table. */
static char *stress_rows(stress *run, sqlite3 *db, const char *table, const char *format) {
    char *sql = sqlite3_mprintf(format, run->key, table, run->key);
    char *rows = host_rows(db, sql);
    sqlite3_free(sql);
    return rows;
}

static bool stress_locked(const char *rows) { return strstr(rows, "!database is locked") != NULL; }

static bool stress_same(stress *run, sqlite3 *db, const char *format) {
    char *mine = stress_rows(run, db, "vect", format), *truth = stress_rows(run, db, "twin", format);
    bool locked = stress_locked(mine) || stress_locked(truth);
    size_t at = 0;
    while (mine[at] && mine[at] == truth[at]) at++;
    if (!locked && (mine[at] || truth[at])) {
        size_t from = at < 60 ? 0 : at - 60;
        stress_fail(run, db, "%s:\n    vect …%.150s\n    twin …%.150s", format, mine + from, truth + from);
    }
    sqlite3_free(mine);
    sqlite3_free(truth);
    return !locked;
}

bool stress_check_rows(stress *run, sqlite3 *db) {
    return stress_same(run, db, "SELECT %s, hex(v), n, s, r, typeof(u), u, hex(b), typeof(b), x FROM %s ORDER BY %s") &&
           stress_same(run, db, "SELECT count(*), sum(n), max(%s) FROM %s WHERE n > 3 AND s IS NOT NULL");
}

/* The (rowid, distance) of a query; -1 when a lock was in the way. */
static int stress_read_hits(stress *run, sqlite3 *db, const char *sql, stress_hit *hits, int room) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL), count = 0;
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count == room) stress_fail(run, db, "more than %d rows: %s", room, sql);
        hits[count].rowid = sqlite3_column_int64(statement, 0);
        hits[count++].distance = sqlite3_column_double(statement, 1);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    if (rc == SQLITE_BUSY) return -1;
    if (rc != SQLITE_DONE) stress_fail(run, db, "code %d: %s", rc, sql);
    return count;
}

/* What may be asked beside the neighbours: each means the same over either table. */
static const char *const stress_conditions[] = {
    "1",
    "1",
    "n = 3",
    "n BETWEEN 2 AND 9 AND s <> 's1'",
    "# IN (SELECT # FROM twin WHERE n % 3 = 0)",
    "s IS NULL",
    "s = 's3'",
    "s IN ('s1', 's4', 'none') AND # > 30",
    "x LIKE 'x1%'",
    "n IN (1, 2, 5) AND # > 50",
    "# BETWEEN 40 AND 400",
    "r > 1",
    "r IS NOT NULL AND u <= 5",
    "u >= 'a'",
    "b > x'30'",
    "s GLOB 's[0-2]' AND r < 7",
    "distance > 4",
    "distance >= 3 AND distance < 60",
    "distance < 12 AND n < 10",
};

/* Not for the scan: SQLite looks at each row that the stream gives, until there are enough. */
static const char *const stress_afterthoughts[] = {
    "1",
    "(n = 3 OR s = 's1' OR x = 'x7')",
    "x LIKE '%5' AND length(b) < 3",
    "# % 7 < 3",
};

/* The text with # replaced by the key's name. */
static char *stress_with_key(stress *run, const char *text) {
    sqlite3_str *result = sqlite3_str_new(NULL);
    for (; *text; text++) {
        if (*text == '#') {
            sqlite3_str_appendall(result, run->key);
        } else {
            sqlite3_str_appendchar(result, 1, *text);
        }
    }
    return sqlite3_str_finish(result);
}

/* All of them, in order: a prefix of what was to come. */
static void stress_require_exact(stress *run, sqlite3 *db, const char *sql, int count, int expected) {
    for (int i = 0; i < count && i < expected; i++) {
        const stress_hit *hit = &run->hits[i], *true_hit = &run->truth[i];
        if (hit->rowid == true_hit->rowid && hit->distance == true_hit->distance) continue;
        stress_fail(run, db, "%s\n    place %d is row %lld at %.17g, not row %lld at %.17g", sql, i, hit->rowid,
                    hit->distance, true_hit->rowid, true_hit->distance);
    }
    if (count != expected) stress_fail(run, db, "%s\n    gave %d rows, not %d", sql, count, expected);
}

/* Rows that exist and pass, with their true distances, in order, none twice; enough of them are the nearest. */
static void stress_require_near(stress *run, sqlite3 *db, const char *sql, int count, int truth_count, int expected) {
    int at = 0;
    for (int i = 0; i < count; i++) { /* both are in the order (distance, rowid): a subsequence */
        while (at < truth_count && run->truth[at].rowid != run->hits[i].rowid) at++;
        if (at == truth_count || run->truth[at].distance != run->hits[i].distance) {
            stress_fail(run, db, "%s\n    place %d is row %lld at %.17g: gone, twice, out of order or wrong", sql, i,
                        run->hits[i].rowid, run->hits[i].distance);
        }
        run->found += run->hits[i].distance <= run->truth[expected - 1].distance;
    }
    run->wanted += (uint64_t)expected;
    if (count != expected) stress_fail(run, db, "%s\n    gave %d rows, not %d", sql, count, expected);
}

void stress_check_search(stress *run, sqlite3 *db) {
    static const char *const modes[] = {" AND exact = 1", " AND exact = 1", "", " AND recall = 0.99", "stream"};
    const char *mode = STRESS_CHOOSE(run, modes), *given = STRESS_CHOOSE(run, stress_conditions);
    int k = 1 + (int)stress_pick(run, stress_pick(run, 3) ? 12 : STRESS_K_MAX);
    bool stream = strcmp(mode, "stream") == 0, exact = stream || strcmp(mode, modes[0]) == 0;
    if (stream && stress_pick(run, 2)) given = STRESS_CHOOSE(run, stress_afterthoughts);
    char *vector = stress_vector(run), *condition = stress_with_key(run, given);
    char *mine = stream ? sqlite3_mprintf("SELECT %s, distance FROM vect WHERE v MATCH %s AND exact = 1 AND %s "
                                          "ORDER BY distance, %s LIMIT %d",
                                          run->key, vector, condition, run->key, k)
                        : sqlite3_mprintf("SELECT %s, distance FROM vect WHERE v MATCH %s AND k = %d%s AND %s",
                                          run->key, vector, k, mode, condition);
    char *truth = sqlite3_mprintf("SELECT %s, distance FROM (SELECT vec_distance_%s(%s(v), %s) AS distance, * FROM "
                                  "twin) WHERE %s ORDER BY distance, %s LIMIT %d",
                                  run->key, run->metric, run->element->function, vector, condition, run->key,
                                  exact ? k : STRESS_ROWS_MAX);
    int count = stress_read_hits(run, db, mine, run->hits, k);
    int true_count = count < 0 ? -1 : stress_read_hits(run, db, truth, run->truth, STRESS_ROWS_MAX);
    int expected = true_count < k ? true_count : k;
    if (true_count >= 0 && exact) stress_require_exact(run, db, mine, count, expected);
    if (true_count >= 0 && !exact) stress_require_near(run, db, mine, count, true_count, expected);
    sqlite3_free(truth);
    sqlite3_free(mine);
    sqlite3_free(condition);
    sqlite3_free(vector);
}
