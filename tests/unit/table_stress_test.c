/* The twin test: random row operations on a shardex table and on an ordinary table, in the same statements' order and
** the same transactions, with savepoints, rollbacks, refused statements, maintenance, renames and reopening. The two
** must stay equal, and exact searches must equal sorting the twin by distance, row by row.
**
** SHARDEX_SEED=n repeats a run; SHARDEX_STEPS=n makes it longer.
*/
#include "host.h"

#include <math.h>

#define STRESS_STEPS 20000
#define STRESS_DIM 8
#define STRESS_IDS 600 /* rowids come from 1 … this, so that conflicts are common */

typedef struct stress {
    sqlite3 *db;
    char *path;
    uint64_t random, seed;
    int step, depth; /* open savepoints; the transaction itself is none */
    bool in_transaction;
} stress;

static uint32_t stress_pick(stress *run, uint32_t count) { return (uint32_t)(host_random(&run->random) % count); }

/* A vector as JSON, of small whole numbers, so that ties are common. */
static char *stress_vector(stress *run) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    for (int i = 0; i < STRESS_DIM; i++) {
        sqlite3_str_appendf(text, "%s%d", i ? "," : "[", (int)stress_pick(run, 7) - 3);
    }
    sqlite3_str_appendall(text, "]");
    return sqlite3_str_finish(text);
}

static void stress_fail(stress *run, const char *what, const char *detail) {
    fail_msg("seed %llu, step %d: %s: %s (%s)", (unsigned long long)run->seed, run->step, what, detail,
             sqlite3_errmsg(run->db));
}

/* The same statement on both tables; both must give the same code. Vectors are stored as BLOBs in the twin. */
static void stress_both(stress *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *on_twin = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    char *mark, *on_table = sqlite3_mprintf("%s", on_twin);
    while ((mark = strstr(on_table, "twin"))) memcpy(mark, "vect", 4);
    int rc = sqlite3_exec(run->db, on_table, NULL, NULL, NULL) & 0xff;
    bool still_open = !sqlite3_get_autocommit(run->db);
    if (run->in_transaction && !still_open) stress_fail(run, "the transaction ended", on_table);
    int twin_rc = sqlite3_exec(run->db, on_twin, NULL, NULL, NULL) & 0xff;
    if (rc != twin_rc) {
        char codes[64];
        snprintf(codes, sizeof codes, "table %d, twin %d", rc, twin_rc);
        stress_fail(run, codes, on_table);
    }
    sqlite3_free(on_twin);
    sqlite3_free(on_table);
}

static void stress_write(stress *run) {
    static const char *const conflicts[] = {"", "OR REPLACE", "OR IGNORE", "OR ABORT", "OR FAIL"};
    char *vector = stress_vector(run), *other = stress_vector(run);
    int id = 1 + (int)stress_pick(run, STRESS_IDS), second = 1 + (int)stress_pick(run, STRESS_IDS);
    int n = (int)stress_pick(run, 20);
    const char *conflict = conflicts[stress_pick(run, 5)];
    switch (stress_pick(run, 12)) {
    case 0:
    case 1:
    case 2:
        stress_both(run, "INSERT %s INTO twin(rowid, v, n, s, x) VALUES(%d, vec_f32('%s'), %d, 's%d', 'x%d')", conflict,
                    id, vector, n, n % 5, n);
        break;
    case 3: stress_both(run, "INSERT INTO twin(v, n, x) VALUES(vec_f32('%s'), %d, %d)", vector, n, n); break;
    case 4:
        stress_both(run,
                    "INSERT %s INTO twin(rowid, v, n) SELECT column1, vec_f32(column2), column3 FROM "
                    "(VALUES(%d, '%s', %d), (%d, '%s', %s))",
                    conflict, id, vector, n, second, other, stress_pick(run, 4) ? "7" : "NULL");
        break;
    case 5: stress_both(run, "UPDATE twin SET v = vec_f32('%s') WHERE rowid = %d", vector, id); break;
    case 6: stress_both(run, "UPDATE twin SET n = %d WHERE n = %d", n, (n + 1) % 20); break;
    case 7: stress_both(run, "UPDATE %s twin SET rowid = %d WHERE rowid = %d", conflict, id, second); break;
    case 8:
        stress_both(run, "UPDATE twin SET x = 'x' || rowid, s = NULL WHERE rowid BETWEEN %d AND %d", id, id + 5);
        break;
    case 9: stress_both(run, "DELETE FROM twin WHERE rowid = %d", id); break;
    case 10: stress_both(run, "DELETE FROM twin WHERE n = %d AND rowid < %d", n, id); break;
    default:
        stress_both(run, "UPDATE twin SET v = vec_f32('%s'), x = NULL WHERE rowid IN (%d, %d)", vector, id, second);
    }
    sqlite3_free(vector);
    sqlite3_free(other);
}

static void stress_transact(stress *run) {
    switch (stress_pick(run, 6)) {
    case 0:
        if (!run->in_transaction) host_run(run->db, "BEGIN");
        run->in_transaction = true;
        break;
    case 1:
        if (run->in_transaction) host_run(run->db, stress_pick(run, 3) ? "COMMIT" : "ROLLBACK");
        run->in_transaction = false;
        run->depth = 0;
        break;
    case 2:
    case 3:
        if (run->in_transaction && run->depth < 6) host_run(run->db, "SAVEPOINT s%d", run->depth++);
        break;
    case 4:
        if (run->depth == 0) break;
        run->depth = (int)stress_pick(run, (uint32_t)run->depth);
        host_run(run->db, "RELEASE s%d", run->depth);
        break;
    default:
        if (run->depth == 0) break;
        run->depth = 1 + (int)stress_pick(run, (uint32_t)run->depth);
        host_run(run->db, "ROLLBACK TO s%d", run->depth - 1);
    }
}

static void stress_compare(stress *run, const char *left, const char *right) {
    char *mine = host_rows(run->db, left), *truth = host_rows(run->db, right);
    if (strcmp(mine, truth) != 0) {
        fail_msg("seed %llu, step %d: %s\n    gave     %s\n    expected %s", (unsigned long long)run->seed, run->step,
                 left, mine, truth);
    }
    sqlite3_free(mine);
    sqlite3_free(truth);
}

static void stress_check_tables(stress *run) {
    stress_compare(run, "SELECT rowid, hex(v), n, s, x FROM vect ORDER BY rowid",
                   "SELECT rowid, hex(v), n, s, x FROM twin ORDER BY rowid");
    stress_compare(run, "SELECT count(*), sum(n) FROM vect WHERE n > 3 AND s IS NOT NULL",
                   "SELECT count(*), sum(n) FROM twin WHERE n > 3 AND s IS NOT NULL");
}

/* An exact search with a random condition, against the sorted twin. */
static void stress_check_search(stress *run) {
    static const char *const conditions[] = {
        "1",
        "n = 3",
        "n BETWEEN 2 AND 9 AND s <> 's1'",
        "rowid IN (SELECT rowid FROM twin WHERE n % 3 = 0)",
        "s IS NULL",
        "x LIKE 'x1%'",
        "n IN (1, 2, 5) AND rowid > 50",
        "distance > 4",
        "distance >= 3 AND distance < 6",
    };
    char *vector = stress_vector(run);
    const char *condition = conditions[stress_pick(run, sizeof conditions / sizeof *conditions)];
    int k = (int)stress_pick(run, 40);
    char *mine = sqlite3_mprintf("SELECT rowid, distance FROM vect WHERE v MATCH '%s' AND k = %d AND exact = 1 AND %s",
                                 vector, k, condition);
    char *truth =
        sqlite3_mprintf("SELECT * FROM (SELECT rowid, vec_distance_l2(v, '%s') AS distance, n, s, x FROM twin) "
                        "WHERE %s ORDER BY distance, rowid LIMIT %d",
                        vector, condition, k);
    char *narrow = sqlite3_mprintf("SELECT rowid, distance FROM (%s)", truth);
    stress_compare(run, mine, narrow);
    sqlite3_free(mine);
    sqlite3_free(narrow);
    sqlite3_free(truth);
    mine = sqlite3_mprintf(
        "SELECT rowid, distance FROM vect WHERE v MATCH '%s' AND (n = 3 OR s = 's1' OR %s) AND exact = 1 "
        "ORDER BY distance LIMIT %d OFFSET 3",
        vector, condition, k);
    narrow =
        sqlite3_mprintf("SELECT rowid, distance FROM (SELECT rowid, vec_distance_l2(v, '%s') AS distance, n, s, x FROM "
                        "twin) WHERE n = 3 OR s = 's1' OR %s ORDER BY distance, rowid LIMIT %d OFFSET 3",
                        vector, condition, k);
    stress_compare(run, mine, narrow);
    sqlite3_free(mine);
    sqlite3_free(narrow);
    sqlite3_free(vector);
}

static void stress_open(stress *run) {
    run->db = host_open(run->path ? run->path : ":memory:");
    host_run(run->db, "PRAGMA synchronous = OFF"); /* nothing crashes here */
}

static void stress_reopen(stress *run) {
    if (!run->path) return;
    if (run->in_transaction) host_run(run->db, stress_pick(run, 2) ? "COMMIT" : "ROLLBACK");
    run->in_transaction = false;
    run->depth = 0;
    host_close(run->db);
    if (stress_pick(run, 6) == 0) { /* the directory may go at any time */
        char *command = sqlite3_mprintf("rm -rf '%s-shardex'", run->path);
        assert_int_equal(system(command), 0);
        sqlite3_free(command);
    }
    stress_open(run);
}

static void stress_upkeep(stress *run) {
    static const char *const commands[] = {"flush", "optimize", "rebuild", "reconcile", "flush", "flush"};
    if (stress_pick(run, 12) == 0) {
        stress_reopen(run);
    } else if (stress_pick(run, 8) == 0) {
        host_run(run->db, "ALTER TABLE vect RENAME TO other; ALTER TABLE other RENAME TO vect");
    } else if (!run->in_transaction) {
        if (stress_pick(run, 10) == 0) host_run(run->db, "VACUUM");
        host_run(run->db, "INSERT INTO vect(vect) VALUES('%s')", commands[stress_pick(run, 6)]);
    }
    if (stress_pick(run, 6) == 0) host_run(run->db, "INSERT INTO vect(vect) VALUES('integrity-check')");
}

static void stress_run(const char *path, uint64_t seed, int steps) {
    stress run = {.path = path ? sqlite3_mprintf("%s", path) : NULL, .random = seed, .seed = seed};
    stress_open(&run);
    host_run(run.db, "CREATE VIRTUAL TABLE vect USING shardex(v float[%d], n INTEGER NOT NULL, s TEXT, +x TEXT)",
             STRESS_DIM);
    host_run(run.db, "CREATE TABLE twin(rowid INTEGER PRIMARY KEY, v BLOB, n INTEGER NOT NULL, s TEXT, x TEXT)");
    for (run.step = 0; run.step < steps; run.step++) {
        uint32_t kind = stress_pick(&run, 100);
        if (kind < 70) {
            stress_write(&run);
        } else if (kind < 88) {
            stress_transact(&run);
        } else if (kind < 97) {
            stress_check_search(&run);
        } else if (kind < 98) {
            stress_check_tables(&run);
        } else {
            stress_upkeep(&run);
        }
    }
    if (run.in_transaction) host_run(run.db, "COMMIT");
    stress_check_tables(&run);
    stress_check_search(&run);
    host_run(run.db, "INSERT INTO vect(vect) VALUES('integrity-check')");
    host_close(run.db);
    sqlite3_free(run.path);
}

static uint64_t stress_number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

static void memory_equals_twin(void **context) {
    (void)context;
    stress_run(NULL, stress_number("SHARDEX_SEED", 1), (int)stress_number("SHARDEX_STEPS", STRESS_STEPS) / 4);
}

static void file_equals_twin(void **context) {
    (void)context;
    char *folder = host_make_folder();
    char *path = sqlite3_mprintf("%s/stress.db", folder);
    stress_run(path, stress_number("SHARDEX_SEED", 2), (int)stress_number("SHARDEX_STEPS", STRESS_STEPS) * 3 / 4);
    sqlite3_free(path);
    host_remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_equals_twin),
        cmocka_unit_test(file_equals_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
