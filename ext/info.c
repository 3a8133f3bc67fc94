/* shardex_version()                      version and SIMD level
** shardex_info(table [, schema])         JSON
** shardex_recall(table [, k [, n]])      the share of the true k nearest that default searches find, over n rows of the
**                                        table taken at even distances; the row itself is excluded from both
** shardex_catch_up(table [, schema])     brings the index to the present state; 'current' or 'caught up'
**
** A table is named as `t` or `schema.t`.
*/
#include "info.h"

#include "../engine/kernels.h"
#include "../engine/shardex.h"
#include "catch_up.h"
#include "command.h"
#include "figures.h"
#include "knn.h"
#include "lookup.h"
#include "row.h"
#include "snapshot.h"
#include "statements.h"
#include "table.h"

#include <string.h>

#define INFO_RECALL_K 10
#define INFO_RECALL_SAMPLES 100

/* ---- finding a table ---- */

/* The table that the arguments of a function name; reports an error when there is none. */
static shx_table *info_table(sqlite3_context *context, sqlite3_value *name_value, sqlite3_value *schema_value) {
    shx_connection *connection = sqlite3_user_data(context);
    if (shx_connection_forked(connection)) {
        sqlite3_result_error(context, SHX_FORKED_MESSAGE, -1);
        return NULL;
    }
    shx_table *table = NULL;
    char *message = NULL;
    int rc = shx_lookup_table(connection, name_value, schema_value, &table, &message);
    if (rc == SQLITE_OK) return table;
    if (message) sqlite3_result_error(context, message, -1);
    sqlite3_result_error_code(context, rc);
    sqlite3_free(message);
    return NULL;
}

/* Reports a failure with the table's message. */
static void info_fail(sqlite3_context *context, shx_table *table, int rc) {
    if (table->base.zErrMsg) sqlite3_result_error(context, table->base.zErrMsg, -1);
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = NULL;
    sqlite3_result_error_code(context, rc);
}

/* ---- functions ---- */

static void info_version(sqlite3_context *context, int count, sqlite3_value **arguments) {
    (void)count, (void)arguments;
    char *text = sqlite3_mprintf("%s (%s)", SHARDEX_VERSION, shx_kernels_get()->name);
    if (text) {
        sqlite3_result_text(context, text, -1, sqlite3_free);
    } else {
        sqlite3_result_error_nomem(context);
    }
}

static void info_write_text(sqlite3_str *json, const char *name, const char *text) {
    sqlite3_str_appendf(json, ",\"%s\":\"", name);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') sqlite3_str_appendchar(json, 1, '\\');
        if (byte < 0x20) sqlite3_str_appendf(json, "\\u%04x", byte);
        if (byte >= 0x20) sqlite3_str_appendchar(json, 1, *text);
    }
    sqlite3_str_appendall(json, "\"");
}

static void info_write_hex(sqlite3_str *json, const char *name, const shx_id *id) {
    sqlite3_str_appendf(json, ",\"%s\":\"", name);
    for (size_t i = 0; i < sizeof id->bytes; i++) sqlite3_str_appendf(json, "%02x", id->bytes[i]);
    sqlite3_str_appendall(json, "\"");
}

static void info_write_figures(sqlite3_str *json, const shx_snapshot *snapshot) {
    shx_figure figures[SHX_FIGURES_MAX];
    uint32_t count = shx_figures_take(snapshot, figures);
    for (uint32_t i = 0; i < count; i++) {
        bool truth = strcmp(figures[i].name, "calibrated") == 0;
        if (truth) {
            sqlite3_str_appendf(json, ",\"calibrated\":%s", figures[i].value != 0 ? "true" : "false");
        } else if (!figures[i].text) {
            sqlite3_str_appendf(json, ",\"%s\":%.15g", figures[i].name, figures[i].value);
        } else {
            info_write_text(json, figures[i].name, figures[i].text);
        }
    }
}

static int info_count(shx_table *table, int64_t *ret_rows) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_COUNT_ALL, &statement);
    if (rc != SQLITE_OK) return rc;
    if (sqlite3_step(statement) == SQLITE_ROW) *ret_rows = sqlite3_column_int64(statement, 0);
    return sqlite3_reset(statement);
}

static void info_write(sqlite3_str *json, const shx_table *table, const shx_snapshot *snapshot, int64_t rows) {
    const shx_state *state = snapshot->state;
    sqlite3_str_appendf(json, "{\"dimension\":%u,\"rows\":%lld,\"uncommitted\":%lld", table->declaration->dim, rows,
                        (sqlite3_int64)(snapshot->pending ? shx_pending_count(snapshot->pending) : 0));
    info_write_text(json, "element", shx_element_name(table->declaration->element));
    info_write_text(json, "metric", shx_metric_name(table->declaration->metric));
    sqlite3_str_appendf(json, ",\"recall\":%.4g", table->declaration->recall);
    info_write_hex(json, "commit", &snapshot->commit);
    bool current = shx_snapshot_is_current(snapshot);
    info_write_text(json, "state", current ? "current" : snapshot->view ? "reconciled" : "behind");
    info_write_text(json, "directory", state->directory ? state->directory : "memory");
    info_write_figures(json, snapshot);
    info_write_text(json, "sqlite", sqlite3_libversion());
    info_write_text(json, "simd", shx_kernels_get()->name);
    sqlite3_str_appendall(json, "}");
}

static void info_info(sqlite3_context *context, int count, sqlite3_value **arguments) {
    shx_table *table = info_table(context, arguments[0], count > 1 ? arguments[1] : NULL);
    if (!table) return;
    sqlite3_stmt *held = NULL;
    shx_snapshot snapshot = {0};
    int64_t rows = 0;
    int rc = shx_lookup_hold(table, &held);
    if (rc == SQLITE_OK) rc = shx_snapshot_open(table, &snapshot);
    if (rc == SQLITE_OK) rc = info_count(table, &rows);
    if (rc == SQLITE_OK) {
        sqlite3_str *json = sqlite3_str_new(NULL);
        info_write(json, table, &snapshot, rows);
        rc = sqlite3_str_errcode(json);
        sqlite3_result_text(context, sqlite3_str_finish(json), -1, sqlite3_free);
        sqlite3_result_subtype(context, SHX_SUBTYPE_JSON);
    }
    shx_snapshot_close(&snapshot);
    shx_statement_give_back(table, held);
    if (rc != SQLITE_OK) info_fail(context, table, rc);
}

/* ---- recall ---- */

/* Copies the first k hits but the row itself. */
static uint64_t info_others(const shx_topk *hits, uint64_t k, int64_t self, shx_hit *ret_hits) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < hits->count && count < k; i++) {
        if (hits->hits[i].rowid != self) ret_hits[count++] = hits->hits[i];
    }
    return count;
}

/* Searches once for a row's vector, and once exactly; adds up how many were wanted and how many of them were found. */
static int info_probe(shx_knn *knn, int64_t rowid, uint64_t k, shx_hit *truth, uint64_t *found, uint64_t *wanted) {
    shx_vector_clear(&knn->query);
    int rc = shx_row_read_vector(knn->table, rowid, &knn->query);
    if (rc != SQLITE_OK) return rc;
    knn->wish.exact = true;
    rc = shx_knn_search(knn, k + 1, SHX_KNN_COUNTED);
    if (rc != SQLITE_OK) return rc;
    uint64_t true_count = info_others(&knn->hits, k, rowid, truth);
    if (true_count == 0) return SQLITE_OK;
    double farthest = truth[true_count - 1].distance;
    knn->wish.exact = false;
    rc = shx_knn_search(knn, k + 1, SHX_KNN_COUNTED);
    if (rc != SQLITE_OK) return rc;
    uint64_t got = info_others(&knn->hits, k, rowid, truth);
    *wanted += true_count;
    for (uint64_t i = 0; i < got; i++) *found += truth[i].distance <= farthest;
    return SQLITE_OK;
}

/* Every `step`-th row is a query. */
static int info_measure(shx_knn *knn, uint64_t k, int64_t step, shx_hit *truth, double *ret_recall) {
    shx_table *table = knn->table;
    sqlite3_stmt *rows = NULL;
    int rc = shx_statement_lend(table, SHX_STATEMENT_WALK_ROWS, &rows);
    uint64_t found = 0, wanted = 0;
    for (int64_t i = 0; rc == SQLITE_OK && sqlite3_step(rows) == SQLITE_ROW; i++) {
        if (i % step != 0) continue;
        rc = shx_connection_interrupted(table->connection)
                 ? SQLITE_INTERRUPT
                 : info_probe(knn, sqlite3_column_int64(rows, 0), k, truth, &found, &wanted);
    }
    if (rc == SQLITE_OK) rc = sqlite3_reset(rows);
    shx_statement_give_back(table, rows);
    *ret_recall = wanted > 0 ? (double)found / (double)wanted : 1.0;
    return rc;
}

static void info_recall(sqlite3_context *context, int count, sqlite3_value **arguments) {
    shx_table *table = info_table(context, arguments[0], NULL);
    if (!table) return;
    int64_t k = count > 1 ? sqlite3_value_int64(arguments[1]) : INFO_RECALL_K;
    int64_t samples = count > 2 ? sqlite3_value_int64(arguments[2]) : INFO_RECALL_SAMPLES;
    if (k < 1 || k > 1000000 || samples < 1) {
        sqlite3_result_error(context, "shardex_recall: k must be 1 to 1000000 and samples at least 1", -1);
        return;
    }
    shx_knn knn = {.table = table, .wish = {.count = SHX_KNN_ALL}};
    shx_hit *truth = sqlite3_malloc64((uint64_t)k * sizeof *truth);
    sqlite3_stmt *held = NULL;
    int64_t rows = 0;
    double recall = 1;
    shx_filter_init(&knn.filter, table, true);
    int rc = truth ? SQLITE_OK : SQLITE_NOMEM;
    if (rc == SQLITE_OK) rc = shx_lookup_hold(table, &held);
    if (rc == SQLITE_OK) rc = info_count(table, &rows);
    int64_t step = rows / samples + (rows % samples != 0);
    if (rc == SQLITE_OK && step > 0) rc = info_measure(&knn, (uint64_t)k, step, truth, &recall);
    shx_statement_give_back(table, held);
    shx_knn_free(&knn);
    sqlite3_free(truth);
    if (rc != SQLITE_OK) {
        info_fail(context, table, rc);
    } else if (rows > 1) {
        sqlite3_result_double(context, recall);
    }
}

/* ---- catching up ---- */

static int info_bring_up(shx_table *table, const char **ret_text) {
    shx_snapshot snapshot;
    int rc = shx_snapshot_name(table, &snapshot);
    if (rc != SQLITE_OK) return rc;
    *ret_text = "current";
    if (shx_catch_up_is_current(table, &snapshot.commit) && !snapshot.nameless) return SQLITE_OK;
    if (snapshot.pending) return shx_table_error(table, SQLITE_ERROR, "shardex: commit first");
    if (snapshot.nameless) {
        return shx_table_error(table, SQLITE_ERROR, "shardex: the state of \"%s\" has no name before the next change",
                               table->name);
    }
    *ret_text = "caught up";
    shx_status status;
    rc = shx_command_catch_up(table, &snapshot.commit, &status);
    if (rc != SQLITE_OK || status == SHX_OK) return rc;
    return shx_table_error(table, shx_result_code(status),
                           "shardex: the index of \"%s\" could not be brought up to date: %s", table->name,
                           shx_status_text(status));
}

static void info_catch_up(sqlite3_context *context, int count, sqlite3_value **arguments) {
    shx_table *table = info_table(context, arguments[0], count > 1 ? arguments[1] : NULL);
    if (!table) return;
    sqlite3_stmt *held = NULL;
    const char *text = "";
    int rc = shx_lookup_hold(table, &held);
    if (rc == SQLITE_OK) rc = info_bring_up(table, &text);
    shx_statement_give_back(table, held);
    if (rc != SQLITE_OK) {
        info_fail(context, table, rc);
    } else {
        sqlite3_result_text(context, text, -1, SQLITE_STATIC);
    }
}

int shx_info_register(shx_connection *connection) {
    const struct {
        const char *name;
        int least, most, flags;
        void (*function)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"shardex_version", 0, 0, SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC, info_version},
        {"shardex_info", 1, 2, SQLITE_DIRECTONLY, info_info},
        {"shardex_recall", 1, 3, SQLITE_DIRECTONLY, info_recall},
        {"shardex_catch_up", 1, 2, SQLITE_DIRECTONLY, info_catch_up},
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        for (int count = functions[i].least; count <= functions[i].most && rc == SQLITE_OK; count++) {
            rc = sqlite3_create_function_v2(connection->db, functions[i].name, count, SQLITE_UTF8 | functions[i].flags,
                                            connection, functions[i].function, NULL, NULL, NULL);
        }
    }
    return rc;
}
