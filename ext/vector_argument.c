#include "vector_argument.h"

void shx_vector_refuse(sqlite3_context *context, char *message) {
    if (message) {
        sqlite3_result_error(context, message, -1);
    } else {
        sqlite3_result_error_nomem(context);
    }
    sqlite3_free(message);
}

/* `which` is "" or names the argument. */
static bool argument_read(sqlite3_context *context, sqlite3_value *value, shx_element element, const char *which,
                          shx_vector *ret_vector) {
    char *message = NULL;
    int rc = shx_vector_read_as(value, element, ret_vector, &message);
    if (rc == SQLITE_OK) return true;
    shx_vector_refuse(context, rc == SQLITE_NOMEM ? NULL : sqlite3_mprintf("%s%s", which, message));
    sqlite3_free(message);
    return false;
}

bool shx_vector_argument_as(sqlite3_context *context, sqlite3_value *value, shx_element element,
                            shx_vector *ret_vector) {
    return argument_read(context, value, element, "", ret_vector);
}

bool shx_vector_argument(sqlite3_context *context, sqlite3_value *value, shx_vector *ret_vector) {
    return argument_read(context, value, shx_vector_element(value), "", ret_vector);
}

void shx_vector_pair_clear(shx_vector_pair *pair) {
    shx_vector_clear(&pair->a);
    shx_vector_clear(&pair->b);
}

/* sqlite-vec's texts, letter for letter. */
static bool argument_match(sqlite3_context *context, const shx_vector *a, const shx_vector *b) {
    if (a->element != b->element) {
        shx_vector_refuse(context, sqlite3_mprintf("Vector type mistmatch. First vector has type %s, while the second "
                                                   "has type %s.",
                                                   shx_element_name(a->element), shx_element_name(b->element)));
    } else if (a->dim != b->dim) {
        shx_vector_refuse(context, sqlite3_mprintf("Vector dimension mistmatch. First vector has %u dimensions, while "
                                                   "the second has %u dimensions.",
                                                   a->dim, b->dim));
    } else {
        return true;
    }
    return false;
}

bool shx_vector_arguments(sqlite3_context *context, sqlite3_value **values, shx_vector_pair *ret_pair) {
    shx_vector_pair pair = {0};
    shx_element first = shx_vector_element(values[0]), second = shx_vector_element(values[1]);
    if (sqlite3_value_type(values[0]) == SQLITE_TEXT && second != SHX_BIT) first = second;
    if (sqlite3_value_type(values[1]) == SQLITE_TEXT && first != SHX_BIT) second = first;
    if (argument_read(context, values[0], first, "Error reading 1st vector: ", &pair.a) &&
        argument_read(context, values[1], second, "Error reading 2nd vector: ", &pair.b) &&
        argument_match(context, &pair.a, &pair.b)) {
        *ret_pair = pair;
        return true;
    }
    shx_vector_pair_clear(&pair);
    return false;
}

bool shx_vector_make(sqlite3_context *context, shx_element element, uint32_t dim, shx_vector *ret_vector) {
    shx_vector vector = {sqlite3_malloc64(shx_element_bytes(element, dim)), element, dim};
    if (vector.data) {
        *ret_vector = vector;
        return true;
    }
    sqlite3_result_error_nomem(context);
    return false;
}

bool shx_vector_put(sqlite3_context *context, shx_vector *vector, uint32_t position, double number) {
    uint8_t *data = vector->data;
    size_t offset = position * shx_element_bytes(vector->element, 1);
    if (shx_element_encode(vector->element, number, data + offset)) return true;
    shx_vector_refuse(
        context, sqlite3_mprintf("invalid %s vector: element %u is Inf", shx_element_name(vector->element), position));
    return false;
}

void shx_vector_result(sqlite3_context *context, shx_vector *vector) {
    sqlite3_result_blob64(context, vector->data, shx_vector_bytes(vector), sqlite3_free);
    sqlite3_result_subtype(context, shx_vector_subtype(vector->element));
}
