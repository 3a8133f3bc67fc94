/* guard build|CASE EXTENSION FOLDER: the fixed searches whose instructions guard.py counts.
**
** `build` writes FOLDER/guard.db, the same tables on every machine: vectors in overlapping groups, from a seeded
** generator that uses integers and single additions only. A case answers its queries once, so that checksums have been
** verified and memory taken, and then again inside guard_answer_all, which is what is counted. */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_QUERIES = 100, GUARD_GROUPS = 300, GUARD_DIMENSIONS_MAX = 768, GUARD_PATH = 4096 };

typedef struct {
    const char *name;
    const char *create; /* NULL: the table above has it already */
    const char *query;  /* ?1 vector */
    int dimensions;
    int rows;
} guard_case;

#define GUARD_COLUMNS "WHERE v MATCH ?1 AND k = 10"

static const guard_case CASES[] = {
    {"shards", "CREATE VIRTUAL TABLE shards USING shardex(v float[96], c integer, threads=1)",
     "SELECT rowid, distance FROM shards " GUARD_COLUMNS, 96, 30000},
    {"filter", NULL, "SELECT rowid, distance FROM shards " GUARD_COLUMNS " AND c = 7", 96, 30000},
    {"codes", "CREATE VIRTUAL TABLE codes USING shardex(v float[768] distance_metric=cosine, c integer, threads=1)",
     "SELECT rowid, distance FROM codes " GUARD_COLUMNS, 768, 6000},
    {"rows", "CREATE VIRTUAL TABLE rows USING shardex(v float[128], c integer, threads=1)",
     "SELECT rowid, distance FROM rows " GUARD_COLUMNS, 128, 1000},
};

typedef struct {
    sqlite3 *db;
    float *queries; /* GUARD_QUERIES vectors */
    const guard_case *guarded;
} guard_run;

static uint64_t random_state = 20240229;

static void need_ok(guard_run *run, int rc) {
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
    fprintf(stderr, "guard: %s\n", run->db ? sqlite3_errmsg(run->db) : sqlite3_errstr(rc));
    exit(1);
}

/* splitmix64 */
static uint64_t random_bits(void) {
    uint64_t x = random_state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The sum of four numbers of 16 bits, about normal with a standard deviation of 0.29 around 0. */
static float about_normal(void) {
    uint64_t bits = random_bits();
    int sum = (int)(bits & 0xffff) + (int)(bits >> 16 & 0xffff) + (int)(bits >> 32 & 0xffff) + (int)(bits >> 48);
    return (float)(sum - 2 * 0xffff) / (2 * 0xffff);
}

static float *draw_centres(int dimensions) {
    float *centres = malloc(sizeof(float) * GUARD_GROUPS * (size_t)dimensions);
    if (centres == NULL) exit(1);
    for (int i = 0; i < GUARD_GROUPS * dimensions; i++) centres[i] = about_normal() * 0.7f;
    return centres;
}

static void draw_vector(const float *centres, int dimensions, float *vector) {
    const float *centre = centres + random_bits() % GUARD_GROUPS * (size_t)dimensions;
    for (int i = 0; i < dimensions; i++) vector[i] = centre[i] + about_normal();
}

static void fill(guard_run *run, const guard_case *guarded, const float *centres) {
    char sql[256];
    float vector[GUARD_DIMENSIONS_MAX];
    sqlite3_stmt *insert = NULL;
    need_ok(run, sqlite3_exec(run->db, guarded->create, NULL, NULL, NULL));
    snprintf(sql, sizeof sql, "INSERT INTO %s(rowid, v, c) VALUES (?1, ?2, ?1 %% 100)", guarded->name);
    need_ok(run, sqlite3_prepare_v2(run->db, sql, -1, &insert, NULL));
    need_ok(run, sqlite3_exec(run->db, "BEGIN", NULL, NULL, NULL));
    for (int row = 1; row <= guarded->rows; row++) {
        draw_vector(centres, guarded->dimensions, vector);
        need_ok(run, sqlite3_bind_int(insert, 1, row));
        need_ok(run, sqlite3_bind_blob(insert, 2, vector, guarded->dimensions * (int)sizeof(float), SQLITE_STATIC));
        need_ok(run, sqlite3_step(insert));
        need_ok(run, sqlite3_reset(insert));
    }
    need_ok(run, sqlite3_finalize(insert));
    need_ok(run, sqlite3_exec(run->db, "COMMIT", NULL, NULL, NULL));
    snprintf(sql, sizeof sql, "INSERT INTO %s(%s) VALUES ('optimize')", guarded->name, guarded->name);
    need_ok(run, sqlite3_exec(run->db, sql, NULL, NULL, NULL));
}

/* Draws every case's vectors in the order of the list; writes them down, or keeps the queries of the case in hand. */
static void draw_all(guard_run *run) {
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const guard_case *guarded = CASES + i;
        size_t dimensions = (size_t)guarded->dimensions;
        random_state = 1000 * i + dimensions;
        float *centres = draw_centres(guarded->dimensions);
        if (run->guarded == NULL && guarded->create != NULL) fill(run, guarded, centres);
        for (size_t query = 0; run->guarded == guarded && query < GUARD_QUERIES; query++)
            draw_vector(centres, guarded->dimensions, run->queries + query * dimensions);
        free(centres);
    }
}

static void answer(guard_run *run, sqlite3_stmt *statement, const float *query) {
    int rc, count = 0;
    need_ok(run, sqlite3_bind_blob(statement, 1, query, run->guarded->dimensions * (int)sizeof(float), SQLITE_STATIC));
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) count += sqlite3_column_int64(statement, 0) > 0;
    need_ok(run, rc);
    need_ok(run, sqlite3_reset(statement));
    if (count != 10) exit(1);
}

/* External, so that no compiler melts it into main: the counting begins and ends with it. */
void guard_answer_all(guard_run *run, sqlite3_stmt *statement);
void guard_answer_all(guard_run *run, sqlite3_stmt *statement) {
    size_t dimensions = (size_t)run->guarded->dimensions;
    for (size_t i = 0; i < GUARD_QUERIES; i++) answer(run, statement, run->queries + i * dimensions);
}

static void count(guard_run *run) {
    sqlite3_stmt *statement = NULL;
    need_ok(run, sqlite3_prepare_v2(run->db, run->guarded->query, -1, &statement, NULL));
    size_t dimensions = (size_t)run->guarded->dimensions;
    for (size_t i = 0; i < GUARD_QUERIES; i++) answer(run, statement, run->queries + i * dimensions);
    guard_answer_all(run, statement);
    need_ok(run, sqlite3_finalize(statement));
}

/* Prints the version with the SIMD level in use: "0.1 (avx2)". */
static void print_version(guard_run *run) {
    sqlite3_stmt *statement = NULL;
    need_ok(run, sqlite3_prepare_v2(run->db, "SELECT shardex_version()", -1, &statement, NULL));
    need_ok(run, sqlite3_step(statement));
    printf("%s\n", (const char *)sqlite3_column_text(statement, 0));
    need_ok(run, sqlite3_finalize(statement));
}

static int guard_usage(void) {
    fprintf(stderr, "usage: guard build|CASE EXTENSION FOLDER\n");
    return 2;
}

int main(int argument_count, char **arguments) {
    static float queries[GUARD_QUERIES * GUARD_DIMENSIONS_MAX];
    char path[GUARD_PATH];
    guard_run run = {.queries = queries};
    if (argument_count != 4) return guard_usage();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (strcmp(CASES[i].name, arguments[1]) == 0) run.guarded = CASES + i;
    }
    if (run.guarded == NULL && strcmp(arguments[1], "build") != 0) return guard_usage();
    snprintf(path, sizeof path, "%s/guard.db", arguments[3]);
    need_ok(&run, sqlite3_open(path, &run.db));
    need_ok(&run, sqlite3_enable_load_extension(run.db, 1));
    need_ok(&run, sqlite3_load_extension(run.db, arguments[2], NULL, NULL));
    draw_all(&run);
    if (run.guarded != NULL) count(&run);
    print_version(&run);
    need_ok(&run, sqlite3_close(run.db));
    return 0;
}
