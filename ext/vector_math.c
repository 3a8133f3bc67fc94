#include "vector_math.h"

#include "../engine/distance.h"
#include "vector_argument.h"

#include <string.h>

/* ---- sums ---- */

/* a + sign × b. The sum of two floats in double is rounded once: the result is theirs in float arithmetic. */
static bool math_combine(sqlite3_context *context, const shx_vector_pair *pair, int sign, shx_vector *sum) {
    for (uint32_t i = 0; i < sum->dim; i++) {
        double number = (double)shx_vector_number(&pair->a, i) + sign * (double)shx_vector_number(&pair->b, i);
        if (sum->element == SHX_INT8) {
            ((uint8_t *)sum->data)[i] = (uint8_t)(int)number;
        } else if (!shx_vector_put(context, sum, i, number)) {
            return false;
        }
    }
    return true;
}

static void math_sum(sqlite3_context *context, sqlite3_value **values, int sign) {
    shx_vector_pair pair;
    shx_vector sum;
    if (!shx_vector_arguments(context, values, &pair)) return;
    if (pair.a.element == SHX_BIT) {
        const char *what =
            sign > 0 ? "Cannot add two bitvectors together." : "Cannot subtract two bitvectors together.";
        sqlite3_result_error(context, what, -1);
    } else if (shx_vector_make(context, pair.a.element, pair.a.dim, &sum)) {
        if (math_combine(context, &pair, sign, &sum)) {
            shx_vector_result(context, &sum);
        } else {
            shx_vector_clear(&sum);
        }
    }
    shx_vector_pair_clear(&pair);
}

void shx_vector_add(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    math_sum(context, values, 1);
}

void shx_vector_sub(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    math_sum(context, values, -1);
}

/* ---- length 1 ---- */

void shx_vector_normalize(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector;
    (void)count;
    if (!shx_vector_argument(context, values[0], &vector)) return;
    if (vector.element == SHX_INT8 || vector.element == SHX_BIT) {
        sqlite3_result_error(context, "only float32 vectors are supported when normalizing", -1);
        shx_vector_clear(&vector);
        return;
    }
    double scale = shx_scale(vector.element, vector.data, vector.dim);
    bool held = true;
    for (uint32_t i = 0; held && i < vector.dim; i++) {
        held = shx_vector_put(context, &vector, i, scale * (double)shx_vector_number(&vector, i));
    }
    if (held) {
        shx_vector_result(context, &vector);
    } else {
        shx_vector_clear(&vector);
    }
}

/* ---- slices ---- */

/* What is wrong with the ends of a slice; NULL: nothing. The texts are sqlite-vec's, and so is the order in which they
** come. */
static const char *math_slice_fault(const shx_vector *vector, sqlite3_int64 start, sqlite3_int64 end) {
    if (start < 0) return "slice 'start' index must be a postive number.";
    if (end < 0) return "slice 'end' index must be a postive number.";
    if (start > vector->dim) return "slice 'start' index is greater than the number of dimensions";
    if (end > vector->dim) return "slice 'end' index is greater than the number of dimensions";
    if (start > end) return "slice 'start' index is greater than 'end' index";
    if (start == end) {
        return "slice 'start' index is equal to the 'end' index, vectors must have non-zero length";
    }
    if (vector->element != SHX_BIT) return NULL;
    if (start % 8 != 0) return "start index must be divisible by 8.";
    return end % 8 != 0 ? "end index must be divisible by 8." : NULL;
}

void shx_vector_slice(sqlite3_context *context, int count, sqlite3_value **values) {
    shx_vector vector, slice;
    (void)count;
    if (!shx_vector_argument(context, values[0], &vector)) return;
    sqlite3_int64 start = sqlite3_value_int64(values[1]), end = sqlite3_value_int64(values[2]);
    const char *fault = math_slice_fault(&vector, start, end);
    if (fault) {
        sqlite3_result_error(context, fault, -1);
    } else if (shx_vector_make(context, vector.element, (uint32_t)(end - start), &slice)) {
        const uint8_t *from = vector.data;
        memcpy(slice.data, from + shx_element_bytes(vector.element, (uint32_t)start), shx_vector_bytes(&slice));
        shx_vector_result(context, &slice);
    }
    shx_vector_clear(&vector);
}
