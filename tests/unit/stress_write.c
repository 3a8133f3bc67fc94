#include "stress.h"

/* Around the edges of types; every column takes them by its own affinity. */
static const char *const stress_values[] = {"0",    "1",    "-1",          "5",      "5.0",     "2.5",
                                            "'5'",  "'7 '", "'abc'",       "''",     "x'35'",   "NULL",
                                            "NULL", "1e18", "'2019-12-1'", "'s1'",   "-0.0",    "9007199254740993",
                                            "x''",  "'Ab'", "'ab'",        "1e-300", "x'00ff'", "zeroblob(20)"};

char *stress_vector(stress *run) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    uint64_t centre = stress_pick(run, 12); /* few centres, small whole numbers: clusters, and distances that tie */
    sqlite3_str_appendf(text, "%s(%s", run->element->function, run->element->bits ? "x'" : "'[");
    uint32_t count = run->element->bits ? run->dim / 8 : run->dim;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t of_centre = centre * 1000 + i, number = host_random(&of_centre);
        if (run->element->bits) {
            sqlite3_str_appendf(text, "%02x", (unsigned)((number & 0xff) ^ (1u << stress_pick(run, 12) & 0xff)));
        } else {
            int value = (int)(number % 41) - 20 + (int)stress_pick(run, 7) - 3;
            sqlite3_str_appendf(text, "%s%d", i ? "," : "", value);
        }
    }
    sqlite3_str_appendf(text, "%s)", run->element->bits ? "'" : "]'");
    return sqlite3_str_finish(text);
}

/* (rowid, v, n, s, r, u, b, x) */
static char *stress_row(stress *run, int id, const char *n) {
    char *vector = stress_vector(run);
    const char *r = STRESS_CHOOSE(run, stress_values), *u = STRESS_CHOOSE(run, stress_values);
    char *row = sqlite3_mprintf("(%d, %s, %s, 's%u', %s, %s, %s, 'x%d')", id, vector, n, stress_pick(run, 8), r, u,
                                STRESS_CHOOSE(run, stress_values), id % 30);
    sqlite3_free(vector);
    return row;
}

#define STRESS_INTO "INTO @(#, v, n, s, r, u, b, x)"

void stress_fill(stress *run, int first, int count) {
    for (int done = 0; done < count; done += 50) {
        sqlite3_str *rows = sqlite3_str_new(NULL);
        for (int i = done; i < count && i < done + 50; i++) {
            char number[16];
            snprintf(number, sizeof number, "%u", stress_pick(run, 20));
            char *row = stress_row(run, first + i, number);
            sqlite3_str_appendf(rows, "%s%s", i > done ? ", " : "", row);
            sqlite3_free(row);
        }
        char *list = sqlite3_str_finish(rows);
        stress_both(run, "INSERT OR REPLACE " STRESS_INTO " VALUES %s", list);
        sqlite3_free(list);
    }
}

static void stress_insert(stress *run, const char *conflict, int id, int second) {
    char number[16];
    snprintf(number, sizeof number, "%u", stress_pick(run, 20));
    char *row = stress_row(run, id, number), *other = stress_row(run, second, stress_pick(run, 4) ? "7" : "NULL");
    char *vector = stress_vector(run);
    int from = 1 + (int)stress_pick(run, (uint32_t)run->ids);
    switch (stress_pick(run, 8)) {
    case 0: stress_both(run, "INSERT INTO @(v, n, x) VALUES(%s, %s, 'new')", vector, number); break;
    case 1: stress_both(run, "INSERT %s " STRESS_INTO " VALUES %s, %s", conflict, row, other); break;
    case 2: /* reads the twin: the same rows for both */
        stress_both(run,
                    "INSERT %s " STRESS_INTO " SELECT 1 + (# * 7 + %d) %% %d, %s(v), n, s, r, u, b, x FROM "
                    "(SELECT * FROM twin WHERE # BETWEEN %d AND %d)",
                    conflict, id, run->ids, run->element->function, from, from + 30);
        break;
    default: stress_both(run, "INSERT %s " STRESS_INTO " VALUES %s", conflict, row);
    }
    sqlite3_free(vector);
    sqlite3_free(row);
    sqlite3_free(other);
}

static void stress_update(stress *run, const char *conflict, int id, int second) {
    static const char *const columns[] = {"s", "r", "u", "b", "x"};
    char *vector = stress_vector(run);
    int n = (int)stress_pick(run, 20);
    switch (stress_pick(run, 8)) {
    case 0:
    case 1: stress_both(run, "UPDATE @ SET v = %s WHERE # = %d", vector, id); break;
    case 2: stress_both(run, "UPDATE @ SET n = %d WHERE n = %d AND # < %d", n, (n + 1) % 20, id); break;
    case 3: stress_both(run, "UPDATE %s @ SET # = %d WHERE # = %d", conflict, id, second); break;
    case 4: stress_both(run, "UPDATE @ SET x = 'x' || #, s = NULL WHERE # BETWEEN %d AND %d", id, id + 5); break;
    case 5: stress_both(run, "UPDATE @ SET v = %s, x = NULL WHERE # IN (%d, %d)", vector, id, second); break;
    case 6: stress_both(run, "UPDATE @ SET n = NULL WHERE # = %d", id); break;
    default:
        stress_both(run, "UPDATE @ SET %s = %s WHERE # BETWEEN %d AND %d", STRESS_CHOOSE(run, columns),
                    STRESS_CHOOSE(run, stress_values), id, id + 3);
    }
    sqlite3_free(vector);
}

static void stress_delete(stress *run, int id, int second) {
    switch (stress_pick(run, 16)) {
    case 0: stress_both(run, "DELETE FROM @ WHERE n = %d AND # < %d", id % 20, second); break;
    case 1: stress_both(run, "DELETE FROM @ WHERE # BETWEEN %d AND %d", id, id + 60); break;
    case 2: stress_both(run, "DELETE FROM @ WHERE s = 's%d' AND # > %d", id % 8, second); break;
    case 3: stress_both(run, "DELETE FROM @ WHERE r IS NULL AND u > 1 AND # > %d", second); break;
    default: stress_both(run, "DELETE FROM @ WHERE # = %d", id);
    }
}

void stress_write(stress *run) {
    static const char *const conflicts[] = {"OR REPLACE", "OR REPLACE", "OR IGNORE",  "",
                                            "OR ABORT",   "OR FAIL",    "OR REPLACE", "OR ROLLBACK"};
    int id = 1 + (int)stress_pick(run, (uint32_t)run->ids), second = 1 + (int)stress_pick(run, (uint32_t)run->ids);
    const char *conflict = STRESS_CHOOSE(run, conflicts);
    uint32_t kind = stress_pick(run, 100);
    if (kind < 50) {
        stress_insert(run, conflict, id, second);
    } else if (kind < 80) {
        stress_update(run, conflict, id, second);
    } else {
        stress_delete(run, id, second);
    }
    if (stress_pick(run, 400) == 0) stress_fill(run, id, 40 + (int)stress_pick(run, 200)); /* past flush_rows at once */
}
