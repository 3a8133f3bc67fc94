/* The SQL functions on vectors, with the names and messages of sqlite-vec. All are pure. */
#include "vector_argument.h"

#include "../engine/distance.h"
#include "../engine/kernels.h"
#include "../engine/shardex.h"
#include "statements.h"
#include "vector_aggregate.h"
#include "vector_math.h"

#include <string.h>

/* What the header at hand does not know cannot be asked of the library either. */
#ifdef SQLITE_RESULT_SUBTYPE
#define FUNCTIONS_RESULT_SUBTYPE SQLITE_RESULT_SUBTYPE
#else
#define FUNCTIONS_RESULT_SUBTYPE 0
#endif
#define FUNCTIONS_FLAGS (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS | SQLITE_SUBTYPE)

/* vec_f32 and its like: the element type is the function's. */
static void functions_make(sqlite3_context *context, int count, sqlite3_value **values) {
    const shx_element *element = sqlite3_user_data(context);
    int type = sqlite3_value_type(values[0]);
    shx_vector vector;
    (void)count;
    if (type != SQLITE_BLOB && type != SQLITE_TEXT && (*element == SHX_INT8 || *element == SHX_BIT)) {
        const char *what = *element == SHX_BIT ? "Unknown type for bitvector." : "Unknown type for int8 vector.";
        sqlite3_result_error(context, what, -1); /* sqlite-vec's texts */
        return;
    }
    if (shx_vector_argument_as(context, values[0], *element, &vector)) shx_vector_result(context, &vector);
}

static void functions_to_json(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!shx_vector_argument(context, values[0], &vector)) return;
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
    if (!shx_vector_argument(context, values[0], &vector)) return;
    sqlite3_result_int64(context, vector.dim);
    shx_vector_clear(&vector);
}

static void functions_type(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!shx_vector_argument(context, values[0], &vector)) return;
    sqlite3_result_text(context, shx_element_name(vector.element), -1, SQLITE_STATIC);
    shx_vector_clear(&vector);
}

/* ---- distances ---- */

/* sqlite-vec's texts: "L2" and "bitvectors". */
static void functions_refuse_metric(sqlite3_context *context, shx_metric metric, shx_element element) {
    const char *name = metric == SHX_L2 ? "L2" : metric == SHX_L1 ? "L1" : shx_metric_name(metric);
    bool bits = element == SHX_BIT;
    shx_vector_refuse(context,
                      sqlite3_mprintf("Cannot calculate %s distance between two %s%s.", name,
                                      bits ? "bitvectors" : shx_element_name(element), bits ? "" : " vectors"));
}

static void functions_distance(sqlite3_context *context, int count, sqlite3_value **values) {
    const shx_metric *metric = sqlite3_user_data(context);
    shx_vector_pair pair;
    (void)count;
    if (!shx_vector_arguments(context, values, &pair)) return;
    shx_element element = pair.a.element;
    if (!shx_metric_fits(*metric, element)) {
        functions_refuse_metric(context, *metric, element);
    } else {
        double distance = shx_distance(*metric, element, pair.a.data, pair.b.data, pair.a.dim);
        if (*metric == SHX_L1 && element == SHX_INT8) {
            sqlite3_result_int64(context, (sqlite3_int64)distance); /* as sqlite-vec */
        } else {
            sqlite3_result_double(context, distance);
        }
    }
    shx_vector_pair_clear(&pair);
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
    if (!shx_vector_argument_as(context, values[0], SHX_FLOAT32, &from)) return;
    shx_vector to;
    const float *numbers = from.data;
    if (shx_vector_make(context, SHX_INT8, from.dim, &to)) {
        for (uint32_t i = 0; i < from.dim; i++) ((int8_t *)to.data)[i] = functions_unit_to_int8(numbers[i]);
        shx_vector_result(context, &to);
    }
    shx_vector_clear(&from);
}

/* A bit is set where the number is positive. */
static void functions_quantize_binary(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector from;
    (void)count;
    shx_element element = shx_vector_element(values[0]) == SHX_INT8 ? SHX_INT8 : SHX_FLOAT32;
    if (!shx_vector_argument_as(context, values[0], element, &from)) return;
    if (from.dim % 8 != 0) {
        sqlite3_result_error(context, "Binary quantization requires vectors with a length divisible by 8", -1);
        shx_vector_clear(&from);
        return;
    }
    shx_vector to;
    if (shx_vector_make(context, SHX_BIT, from.dim, &to)) {
        uint8_t *bits = to.data;
        memset(bits, 0, from.dim / 8);
        for (uint32_t i = 0; i < from.dim; i++) bits[i / 8] |= (uint8_t)((shx_vector_number(&from, i) > 0) << i % 8);
        shx_vector_result(context, &to);
    }
    shx_vector_clear(&from);
}

/* ---- versions ---- */

#define FUNCTIONS_VERSION "v0.1.9 (shardex " SHARDEX_VERSION ")"

static void functions_version(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count, (void)values;
    sqlite3_result_text(context, FUNCTIONS_VERSION, -1, SQLITE_STATIC);
}

/* Four lines, as sqlite-vec; without a date, so that one source gives one program. */
static void functions_debug(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count, (void)values;
    char *text =
        sqlite3_mprintf("Version: " FUNCTIONS_VERSION "\nSQLite: %s\nCompiler: " __VERSION__ "\nBuild flags: %s",
                        sqlite3_libversion(), shx_kernels_get()->name);
    if (text) {
        sqlite3_result_text(context, text, -1, sqlite3_free);
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
    void (*final)(sqlite3_context *context); /* of an aggregate, whose step is `call` */
} functions_all[] = {
    {"vec_f32", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[0], NULL},
    {"vec_f16", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[1], NULL},
    {"vec_bf16", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[2], NULL},
    {"vec_int8", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[3], NULL},
    {"vec_bit", 1, FUNCTIONS_RESULT_SUBTYPE, functions_make, &functions_elements[4], NULL},
    {"vec_to_json", 1, FUNCTIONS_RESULT_SUBTYPE, functions_to_json, NULL, NULL},
    {"vec_length", 1, 0, functions_length, NULL, NULL},
    {"vec_type", 1, 0, functions_type, NULL, NULL},
    {"vec_quantize_int8", 2, FUNCTIONS_RESULT_SUBTYPE, functions_quantize_int8, NULL, NULL},
    {"vec_quantize_binary", 1, FUNCTIONS_RESULT_SUBTYPE, functions_quantize_binary, NULL, NULL},
    {"vec_add", 2, FUNCTIONS_RESULT_SUBTYPE, shx_vector_add, NULL, NULL},
    {"vec_sub", 2, FUNCTIONS_RESULT_SUBTYPE, shx_vector_sub, NULL, NULL},
    {"vec_normalize", 1, FUNCTIONS_RESULT_SUBTYPE, shx_vector_normalize, NULL, NULL},
    {"vec_slice", 3, FUNCTIONS_RESULT_SUBTYPE, shx_vector_slice, NULL, NULL},
    {"vec_sum", 1, FUNCTIONS_RESULT_SUBTYPE, shx_vector_aggregate_step, NULL, shx_vector_sum_final},
    {"vec_avg", 1, FUNCTIONS_RESULT_SUBTYPE, shx_vector_aggregate_step, NULL, shx_vector_avg_final},
    {"vec_version", 0, 0, functions_version, NULL, NULL},
    {"vec_debug", 0, 0, functions_debug, NULL, NULL},
    {"vec_distance_l2", 2, 0, functions_distance, &functions_metrics[0], NULL},
    {"vec_distance_cosine", 2, 0, functions_distance, &functions_metrics[1], NULL},
    {"vec_distance_ip", 2, 0, functions_distance, &functions_metrics[2], NULL},
    {"vec_distance_l1", 2, 0, functions_distance, &functions_metrics[3], NULL},
    {"vec_distance_hamming", 2, 0, functions_distance, &functions_metrics[4], NULL},
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
        bool aggregate = functions_all[i].final != NULL;
        rc = sqlite3_create_function_v2(db, functions_all[i].name, functions_all[i].argument_count,
                                        FUNCTIONS_FLAGS | functions_all[i].more_flags, (void *)functions_all[i].data,
                                        aggregate ? NULL : functions_all[i].call,
                                        aggregate ? functions_all[i].call : NULL, functions_all[i].final, NULL);
    }
    return rc;
}
