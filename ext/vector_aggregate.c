#include "vector_aggregate.h"

#include "vector_argument.h"

#include <string.h>

/* What SQLite keeps for each group; zeros at first. */
typedef struct vector_group {
    double *sums; /* sqlite3_malloc64; NULL before the first vector */
    shx_element element;
    uint32_t dim;
    sqlite3_int64 count;
} vector_group;

/* The group takes after its first vector. */
static bool group_begin(sqlite3_context *context, vector_group *group, const shx_vector *vector) {
    if (vector->element == SHX_BIT) {
        sqlite3_result_error(context, "Cannot add bitvectors together.", -1);
        return false;
    }
    size_t size = vector->dim * sizeof *group->sums;
    double *sums = sqlite3_malloc64(size);
    if (!sums) {
        sqlite3_result_error_nomem(context);
        return false;
    }
    memset(sums, 0, size);
    *group = (vector_group){sums, vector->element, vector->dim, 0};
    return true;
}

static bool group_takes(sqlite3_context *context, const vector_group *group, const shx_vector *vector) {
    if (vector->element != group->element) {
        shx_vector_refuse(context,
                          sqlite3_mprintf("Vector type mismatch. The vectors before have type %s, while this "
                                          "one has type %s.",
                                          shx_element_name(group->element), shx_element_name(vector->element)));
    } else if (vector->dim != group->dim) {
        shx_vector_refuse(context, sqlite3_mprintf("Vector dimension mismatch. The vectors before have %u dimensions, "
                                                   "while this one has %u dimensions.",
                                                   group->dim, vector->dim));
    } else {
        return true;
    }
    return false;
}

/* JSON text is read as a vector of the type of those before it. */
void shx_vector_aggregate_step(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    int type = sqlite3_value_type(values[0]);
    if (type == SQLITE_NULL) return;
    vector_group *group = sqlite3_aggregate_context(context, sizeof *group);
    if (!group) {
        sqlite3_result_error_nomem(context);
        return;
    }
    shx_element element = type == SQLITE_TEXT && group->sums ? group->element : shx_vector_element(values[0]);
    if (!shx_vector_argument_as(context, values[0], element, &vector)) return;
    if (group->sums ? group_takes(context, group, &vector) : group_begin(context, group, &vector)) {
        for (uint32_t i = 0; i < vector.dim; i++) group->sums[i] += (double)shx_vector_number(&vector, i);
        group->count++;
    }
    shx_vector_clear(&vector);
}

/* The sums divided by a number. */
static void group_result(sqlite3_context *context, const vector_group *group, double divisor) {
    shx_vector result;
    shx_element element = group->element == SHX_INT8 ? SHX_FLOAT32 : group->element;
    if (!shx_vector_make(context, element, group->dim, &result)) return;
    for (uint32_t i = 0; i < group->dim; i++) {
        if (shx_vector_put(context, &result, i, group->sums[i] / divisor)) continue;
        shx_vector_clear(&result);
        return;
    }
    shx_vector_result(context, &result);
}

static void group_end(sqlite3_context *context, bool average) {
    vector_group *group = sqlite3_aggregate_context(context, 0);
    if (!group || !group->sums) return;
    if (group->count > 0) group_result(context, group, average ? (double)group->count : 1);
    sqlite3_free(group->sums);
    group->sums = NULL;
}

void shx_vector_sum_final(sqlite3_context *context) { group_end(context, false); }
void shx_vector_avg_final(sqlite3_context *context) { group_end(context, true); }
