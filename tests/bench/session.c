/* session.h describes it. */
#include "session.h"

#include <math.h>
#include <stdarg.h>

/* Row of the base that stands for a group. */
static size_t pivot_of(const session *run, size_t group) {
    uint64_t state = group + 1;
    return random_bits(&state) % run->set.row_count;
}

uint16_t session_group_of(const session *run, const float *vector) {
    size_t dimensions = run->set.dimensions, best = 0;
    float least = INFINITY;
    for (size_t group = 0; group < MODES_GROUPS; group++) {
        const float *pivot = run->set.base + pivot_of(run, group) * dimensions;
        float product = 0, square = 0;
        for (size_t i = 0; i < dimensions; i++) {
            product += vector[i] * pivot[i];
            square += pivot[i] * pivot[i];
        }
        float distance = run->set.cosine ? -product / sqrtf(square) : square - 2 * product;
        if (distance < least) {
            least = distance;
            best = group;
        }
    }
    return (uint16_t)best;
}

session session_of(const char *extension, const char *set_folder, const char *work_folder) {
    session run = {.extension = extension, .folder = work_folder};
    dataset_open(&run.set, set_folder, 0);
    return run;
}

void session_draw_columns(session *run) {
    if (run->groups != NULL) return;
    run->randoms = need(malloc(run->set.row_count * sizeof *run->randoms));
    run->groups = need(malloc(run->set.row_count * sizeof *run->groups));
    for (size_t row = 0; row < run->set.row_count; row++)
        run->groups[row] = session_group_of(run, run->set.base + row * run->set.dimensions);
    uint64_t state = 4711;
    for (size_t row = 0; row < run->set.row_count; row++) {
        run->randoms[row] = (uint16_t)(random_bits(&state) % MODES_RANDOM);
    }
}

void session_need(sqlite3 *db, int rc) {
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
    fprintf(stderr, "bench: %s\n", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    exit(1);
}

void session_run(sqlite3 *db, const char *format, ...) {
    char sql[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(sql, sizeof sql, format, values);
    va_end(values);
    session_need(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

sqlite3_stmt *session_prepare(sqlite3 *db, const char *format, ...) {
    char sql[1024];
    sqlite3_stmt *statement = NULL;
    va_list values;
    va_start(values, format);
    vsnprintf(sql, sizeof sql, format, values);
    va_end(values);
    session_need(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    return statement;
}

sqlite3 *session_open(const session *run, const char *name, const char *extension) {
    char path[PATH_SIZE];
    sqlite3 *db = NULL;
    session_need(db, sqlite3_open(path_in(path, run->folder, name), &db));
    session_need(db, sqlite3_enable_load_extension(db, 1));
    session_need(db, sqlite3_load_extension(db, extension, NULL, NULL));
    session_run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    return db;
}

void session_bind_vector(const session *run, sqlite3_stmt *statement, const float *vector) {
    int size = (int)(run->set.dimensions * sizeof(float)), at = sqlite3_bind_parameter_index(statement, "?1");
    session_need(sqlite3_db_handle(statement), sqlite3_bind_blob(statement, at, vector, size, SQLITE_STATIC));
}

size_t session_rows(sqlite3_stmt *statement, size_t room, int64_t *ret_rows) {
    size_t count = 0;
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t row = sqlite3_column_int64(statement, 0);
        if (count++ < room) ret_rows[count - 1] = row;
    }
    session_need(sqlite3_db_handle(statement), rc);
    session_need(sqlite3_db_handle(statement), sqlite3_reset(statement));
    return count;
}

void session_fill(const session *run, sqlite3 *db, const char *insert, size_t rows) {
    int size = (int)(run->set.dimensions * sizeof(float));
    sqlite3_stmt *statement = session_prepare(db, "%s", insert);
    session_run(db, "BEGIN");
    for (size_t row = 0; row < rows; row++) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)row + 1);
        sqlite3_bind_blob(statement, 2, run->set.base + row * run->set.dimensions, size, SQLITE_STATIC);
        if (run->groups != NULL && sqlite3_bind_parameter_count(statement) == 4) {
            sqlite3_bind_int(statement, 3, run->randoms[row]);
            sqlite3_bind_int(statement, 4, run->groups[row]);
        }
        session_need(db, sqlite3_step(statement));
        session_need(db, sqlite3_reset(statement));
    }
    sqlite3_finalize(statement);
    session_run(db, "COMMIT");
}

int session_has(sqlite3 *db, const char *table) {
    return sqlite3_table_column_metadata(db, NULL, table, NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* Whether the table is there, of this set and complete. */
static int modes_complete(const session *run) {
    sqlite3_stmt *statement = NULL;
    int64_t rows = -1;
    if (sqlite3_prepare_v2(run->db, "SELECT count(*) FROM " MODES_TABLE, -1, &statement, NULL) == SQLITE_OK)
        session_rows(statement, 1, &rows);
    sqlite3_finalize(statement);
    return rows == (int64_t)run->set.row_count;
}

void session_open_modes(session *run) {
    run->db = session_open(run, "modes.db", run->extension);
    if (modes_complete(run)) return;
    session_draw_columns(run);
    session_run(run->db, "DROP TABLE IF EXISTS " MODES_TABLE);
    session_run(run->db,
                "CREATE VIRTUAL TABLE " MODES_TABLE " USING shardex(v float[%zu] distance_metric=%s, "
                "r integer, g integer)",
                run->set.dimensions, run->set.cosine ? "cosine" : "l2");
    session_fill(run, run->db, "INSERT INTO " MODES_TABLE "(rowid, v, r, g) VALUES (?1, ?2, ?3, ?4)",
                 run->set.row_count);
    session_run(run->db, "INSERT INTO " MODES_TABLE "(" MODES_TABLE ") VALUES ('optimize')");
}

double session_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return percentile(values, count, 0.5);
}
