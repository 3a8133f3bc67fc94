/* The SQL functions on vectors, with the names and messages of sqlite-vec. All are pure. */
#include "vector_value.h"

#include "../engine/quantizer.h"

#include <string.h>

/* What the header at hand does not know cannot be asked of the library either. */
#ifdef SQLITE_RESULT_SUBTYPE
#define FUNCTIONS_RESULT_SUBTYPE SQLITE_RESULT_SUBTYPE
#else
#define FUNCTIONS_RESULT_SUBTYPE 0
#endif
#define FUNCTIONS_FLAGS (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS | SQLITE_SUBTYPE)

/* Ends the function with the failure of shx_vector_read; takes the message. `which` is "" or names the argument. */
static void functions_fail(sqlite3_context *context, int rc, const char *which, char *message) {
    char *text = rc == SQLITE_NOMEM ? NULL : sqlite3_mprintf("%s%s", which, message);
    if (text) {
        sqlite3_result_error(context, text, -1);
    } else {
        sqlite3_result_error_nomem(context);
    }
    sqlite3_free(text);
    sqlite3_free(message);
}

static bool functions_read(sqlite3_context *context, sqlite3_value *value, const char *which, shx_vector *ret_vector) {
    char *message = NULL;
    int rc = shx_vector_read(value, ret_vector, &message);
    if (rc != SQLITE_OK) functions_fail(context, rc, which, message);
    return rc == SQLITE_OK;
}

static void functions_f32(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!functions_read(context, values[0], "", &vector)) return;
    sqlite3_result_blob64(context, vector.floats, (sqlite3_uint64)vector.dim * sizeof(float), sqlite3_free);
    sqlite3_result_subtype(context, SHX_SUBTYPE_FLOAT32);
}

static void functions_to_json(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!functions_read(context, values[0], "", &vector)) return;
    char *json = shx_vector_json(vector.floats, vector.dim);
    shx_vector_clear(&vector);
    if (!json) {
        sqlite3_result_error_nomem(context);
        return;
    }
    sqlite3_result_text(context, json, -1, sqlite3_free);
    sqlite3_result_subtype(context, SHX_SUBTYPE_JSON);
}

static void functions_length(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!functions_read(context, values[0], "", &vector)) return;
    sqlite3_result_int64(context, vector.dim);
    shx_vector_clear(&vector);
}

static void functions_measure(sqlite3_context *context, const shx_vector *a, const shx_vector *b) {
    const shx_metric *metric = sqlite3_user_data(context);
    if (a->dim == b->dim) {
        sqlite3_result_double(context, shx_distance(*metric, a->floats, b->floats, a->dim));
        return;
    }
    char *message =
        sqlite3_mprintf("Vector dimension mismatch. First vector has %u dimensions, while the second has %u "
                        "dimensions.",
                        a->dim, b->dim);
    functions_fail(context, message ? SQLITE_ERROR : SQLITE_NOMEM, "", message);
}

static void functions_distance(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector a, b;
    (void)count;
    if (!functions_read(context, values[0], "Error reading 1st vector: ", &a)) return;
    if (functions_read(context, values[1], "Error reading 2nd vector: ", &b)) {
        functions_measure(context, &a, &b);
        shx_vector_clear(&b);
    }
    shx_vector_clear(&a);
}

static const shx_metric functions_l2 = SHX_L2, functions_cosine = SHX_COSINE, functions_ip = SHX_IP;

static const struct {
    const char *name;
    int argument_count, more_flags;
    void (*call)(sqlite3_context *context, int count, sqlite3_value **values);
    const shx_metric *metric;
} functions_all[] = {
    {"vec_f32", 1, FUNCTIONS_RESULT_SUBTYPE, functions_f32, NULL},
    {"vec_to_json", 1, FUNCTIONS_RESULT_SUBTYPE, functions_to_json, NULL},
    {"vec_length", 1, 0, functions_length, NULL},
    {"vec_distance_l2", 2, 0, functions_distance, &functions_l2},
    {"vec_distance_cosine", 2, 0, functions_distance, &functions_cosine},
    {"vec_distance_ip", 2, 0, functions_distance, &functions_ip},
};

/* Whether the connection has the function already. */
static bool functions_present(sqlite3_stmt *probe, const char *name, int argument_count) {
    if (!probe) return false;
    sqlite3_bind_text(probe, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int(probe, 2, argument_count);
    bool present = sqlite3_step(probe) == SQLITE_ROW;
    sqlite3_reset(probe);
    return present;
}

int shx_vector_functions_register(sqlite3 *db) {
    static const char sql[] = "SELECT 1 FROM pragma_function_list WHERE name = ?1 COLLATE NOCASE AND narg IN (?2, -1)";
    sqlite3_stmt *probe = NULL; /* stays NULL in libraries built without that pragma: then all are registered */
    int rc = sqlite3_prepare_v2(db, sql, -1, &probe, NULL);
    if (rc == SQLITE_NOMEM) return rc;
    rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof functions_all / sizeof *functions_all; i++) {
        if (functions_present(probe, functions_all[i].name, functions_all[i].argument_count)) continue;
        rc = sqlite3_create_function_v2(db, functions_all[i].name, functions_all[i].argument_count,
                                        FUNCTIONS_FLAGS | functions_all[i].more_flags, (void *)functions_all[i].metric,
                                        functions_all[i].call, NULL, NULL, NULL);
    }
    sqlite3_finalize(probe);
    return rc;
}
