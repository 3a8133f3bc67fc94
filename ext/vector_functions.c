/* The SQL functions on vectors, with the names and messages of sqlite-vec. All are pure. */
#include "vector_value.h"

#include "../engine/distance.h"
#include "statements.h"

#include <string.h>

/* What the header at hand does not know cannot be asked of the library either. */
#ifdef SQLITE_RESULT_SUBTYPE
#define FUNCTIONS_RESULT_SUBTYPE SQLITE_RESULT_SUBTYPE
#else
#define FUNCTIONS_RESULT_SUBTYPE 0
#endif
#define FUNCTIONS_FLAGS (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS | SQLITE_SUBTYPE)

/* Ends the function with the failure of shx_vector_read_as; takes the message. `which` is "" or names the argument. */
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

static bool functions_read(sqlite3_context *context, sqlite3_value *value, shx_element element, const char *which,
                           shx_vector *ret_vector) {
    char *message = NULL;
    int rc = shx_vector_read_as(value, element, ret_vector, &message);
    if (rc != SQLITE_OK) functions_fail(context, rc, which, message);
    return rc == SQLITE_OK;
}

/* Gives the vector away as the result. */
static void functions_result(sqlite3_context *context, shx_vector *vector) {
    sqlite3_result_blob64(context, vector->data, shx_vector_bytes(vector), sqlite3_free);
    sqlite3_result_subtype(context, shx_vector_subtype(vector->element));
}

/* vec_f32 and its like: the element type is the function's. */
static void functions_make(sqlite3_context *context, int count, sqlite3_value **values) {
    const shx_element *element = sqlite3_user_data(context);
    shx_vector vector;
    (void)count;
    if (functions_read(context, values[0], *element, "", &vector)) functions_result(context, &vector);
}

static void functions_to_json(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!functions_read(context, values[0], shx_vector_element(values[0]), "", &vector)) return;
    char *json = shx_vector_json(&vector);
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
    if (!functions_read(context, values[0], shx_vector_element(values[0]), "", &vector)) return;
    sqlite3_result_int64(context, vector.dim);
    shx_vector_clear(&vector);
}

static void functions_type(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!functions_read(context, values[0], shx_vector_element(values[0]), "", &vector)) return;
    sqlite3_result_text(context, shx_element_name(vector.element), -1, SQLITE_STATIC);
    shx_vector_clear(&vector);
}

/* ---- distances ---- */

static char *functions_mismatch(shx_metric metric, const shx_vector *a, const shx_vector *b) {
    if (a->element != b->element) {
        return sqlite3_mprintf("Vector type mismatch. First vector has type %s, while the second has type %s.",
                               shx_element_name(a->element), shx_element_name(b->element));
    }
    if (a->dim != b->dim) {
        return sqlite3_mprintf("Vector dimension mismatch. First vector has %u dimensions, while the second has %u "
                               "dimensions.",
                               a->dim, b->dim);
    }
    return sqlite3_mprintf("Cannot calculate %s distance between two %s vectors.", shx_metric_name(metric),
                           shx_element_name(a->element));
}

static void functions_measure(sqlite3_context *context, const shx_vector *a, const shx_vector *b) {
    const shx_metric *metric = sqlite3_user_data(context);
    if (a->element == b->element && a->dim == b->dim && shx_metric_fits(*metric, a->element)) {
        double distance = shx_distance(*metric, a->element, a->data, b->data, a->dim);
        if (*metric == SHX_L1 && a->element == SHX_INT8) {
            sqlite3_result_int64(context, (sqlite3_int64)distance); /* as sqlite-vec */
        } else {
            sqlite3_result_double(context, distance);
        }
        return;
    }
    char *message = functions_mismatch(*metric, a, b);
    functions_fail(context, message ? SQLITE_ERROR : SQLITE_NOMEM, "", message);
}

/* JSON text is read as a vector of the other one's type. */
static void functions_distance(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector a, b;
    (void)count;
    shx_element first = shx_vector_element(values[0]), second = shx_vector_element(values[1]);
    if (sqlite3_value_type(values[0]) == SQLITE_TEXT) first = second;
    if (sqlite3_value_type(values[1]) == SQLITE_TEXT) second = first;
    if (!functions_read(context, values[0], first, "Error reading 1st vector: ", &a)) return;
    if (functions_read(context, values[1], second, "Error reading 2nd vector: ", &b)) {
        functions_measure(context, &a, &b);
        shx_vector_clear(&b);
    }
    shx_vector_clear(&a);
}

/* ---- quantizing ---- */

/* From [-1, 1] in 255 steps, as sqlite-vec does it: the step is a float, the rest is cut off towards zero. */
static int8_t functions_unit_to_int8(float number) {
    const float step = 2.0f / 255;
    double level = (double)(number + 1.0f) / (double)step - 128;
    if (level < INT8_MIN) return INT8_MIN;
    return level > INT8_MAX ? INT8_MAX : (int8_t)level;
}

static void functions_quantize_int8(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector from;
    const char *how = (const char *)sqlite3_value_text(values[1]);
    (void)count;
    if (!how || sqlite3_stricmp(how, "unit") != 0) {
        sqlite3_result_error(context, "2nd argument to vec_quantize_int8() must be 'unit'.", -1);
        return;
    }
    if (!functions_read(context, values[0], SHX_FLOAT32, "", &from)) return;
    shx_vector to = {sqlite3_malloc64(from.dim), SHX_INT8, from.dim};
    const float *numbers = from.data;
    int8_t *levels = to.data;
    for (uint32_t i = 0; to.data && i < from.dim; i++) levels[i] = functions_unit_to_int8(numbers[i]);
    shx_vector_clear(&from);
    if (to.data) {
        functions_result(context, &to);
    } else {
        sqlite3_result_error_nomem(context);
    }
}

/* A bit is set where the number is positive. */
static void functions_quantize_binary(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector from;
    (void)count;
    shx_element element = shx_vector_element(values[0]) == SHX_INT8 ? SHX_INT8 : SHX_FLOAT32;
    if (!functions_read(context, values[0], element, "", &from)) return;
    if (from.dim % 8 != 0) {
        sqlite3_result_error(context, "Binary quantization requires vectors with a length divisible by 8", -1);
        shx_vector_clear(&from);
        return;
    }
    shx_vector to = {sqlite3_malloc64(from.dim / 8), SHX_BIT, from.dim};
    uint8_t *bits = to.data;
    if (bits) memset(bits, 0, from.dim / 8);
    for (uint32_t i = 0; bits && i < from.dim; i++) {
        bool set = element == SHX_INT8 ? ((const int8_t *)from.data)[i] > 0 : ((const float *)from.data)[i] > 0;
        bits[i / 8] |= (uint8_t)(set << i % 8);
    }
    shx_vector_clear(&from);
    if (bits) {
        functions_result(context, &to);
    } else {
        sqlite3_result_error_nomem(context);
    }
}

/* ---- registering ---- */

static const shx_metric functions_metrics[] = {SHX_L2, SHX_COSINE, SHX_IP, SHX_L1, SHX_HAMMING};
static const shx_element functions_elements[] = {SHX_FLOAT32, SHX_FLOAT16, SHX_BFLOAT16, SHX_INT8, SHX_BIT};

static const struct {
    const char *name;
    int argument_count, more_flags;
    void (*call)(sqlite3_context *context, int count, sqlite3_value **values);
    const void *data;
} functions_all[] = {
    {"vec_f32", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[0]},
    {"vec_f16", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[1]},
    {"vec_bf16", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[2]},
    {"vec_int8", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[3]},
    {"vec_bit", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[4]},
    {"vec_to_json", 1, FUNCTIONS_RESULT_SUBTYPE, functions_to_json, NULL},
    {"vec_length", 1, 0, functions_length, NULL},
    {"vec_type", 1, 0, functions_type, NULL},
    {"vec_quantize_int8", 2, FUNCTIONS_RESULT_SUBTYPE, functions_quantize_int8, NULL},
    {"vec_quantize_binary", 1, FUNCTIONS_RESULT_SUBTYPE, functions_quantize_binary, NULL},
    {"vec_distance_l2", 2, 0, functions_distance, &functions_metrics[0]},
    {"vec_distance_cosine", 2, 0, functions_distance, &functions_metrics[1]},
    {"vec_distance_ip", 2, 0, functions_distance, &functions_metrics[2]},
    {"vec_distance_l1", 2, 0, functions_distance, &functions_metrics[3]},
    {"vec_distance_hamming", 2, 0, functions_distance, &functions_metrics[4]},
};

_Static_assert(sizeof functions_all / sizeof *functions_all <= 32, "a bit for each");

/* The functions that the connection has already, a bit for each. Libraries built without the pragma have none that they
** could tell of: then all are registered. */
static int functions_present(sqlite3 *db, uint32_t *ret_present) {
    uint32_t present = 0;
    sqlite3_stmt *known = NULL;
    int rc = sqlite3_prepare_v2(db, SHX_SQL_VECTOR_FUNCTIONS, -1, &known, NULL);
    if (rc == SQLITE_NOMEM) return rc;
    while (known && sqlite3_step(known) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(known, 0);
        int arguments = sqlite3_column_int(known, 4);
        for (size_t i = 0; name && i < sizeof functions_all / sizeof *functions_all; i++) {
            bool fits = arguments < 0 || arguments == functions_all[i].argument_count;
            if (fits && sqlite3_stricmp(functions_all[i].name, name) == 0) present |= UINT32_C(1) << i;
        }
    }
    rc = sqlite3_finalize(known);
    *ret_present = present;
    return (rc & 0xff) == SQLITE_NOMEM ? rc : SQLITE_OK;
}

int shx_vector_functions_register(sqlite3 *db) {
    uint32_t present;
    int rc = functions_present(db, &present);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof functions_all / sizeof *functions_all; i++) {
        if (present >> i & 1) continue;
        rc = sqlite3_create_function_v2(db, functions_all[i].name, functions_all[i].argument_count,
                                        FUNCTIONS_FLAGS | functions_all[i].more_flags, (void *)functions_all[i].data,
                                        functions_all[i].call, NULL, NULL, NULL);
    }
    return rc;
}
