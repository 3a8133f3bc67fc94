/* Reading is strict: the whole text must be one JSON array of numbers. Only the numbers themselves may also be written
** as sqlite-vec allows it (`+1`, `.5`, `1.`). Where sqlite-vec has a message for a fault, ours begins with the same
** words; elements are counted from 0 as there, bytes from 1.
*/
#include "vector_value.h"

#include "../engine/limits.h"
#include "number.h"

#include <math.h>
#include <string.h>

#define VALUE_SUBTYPE_BIT 224 /* of sqlite-vec */
#define VALUE_SUBTYPE_INT8 225

/* The text being read and the vector being filled. */
typedef struct value_reader {
    const char *text;
    size_t size, at;
    float *floats; /* with room for `capacity` */
    uint32_t dim, capacity;
    char **message;
} value_reader;

void shx_vector_clear(shx_vector *vector) {
    sqlite3_free(vector->floats);
    *vector = (shx_vector){0};
}

/* Stores a message made by sqlite3_mprintf. */
static int value_fail(char **ret_message, char *message) {
    if (!message) return SQLITE_NOMEM;
    *ret_message = message;
    return SQLITE_ERROR;
}

static int value_fail_empty(char **ret_message) {
    return value_fail(ret_message, sqlite3_mprintf("zero-length vectors are not supported."));
}

static int value_fail_size(char **ret_message, uint64_t dim) {
    return value_fail(ret_message, sqlite3_mprintf("vector too large: found %s%llu dimensions, expected at most %d",
                                                   dim > SHX_DIM_MAX ? "" : "more than ", dim, SHX_DIM_MAX));
}

static const char *value_type_name(int type) {
    switch (type) {
    case SQLITE_INTEGER: return "INTEGER";
    case SQLITE_FLOAT: return "REAL";
    case SQLITE_TEXT: return "TEXT";
    case SQLITE_BLOB: return "BLOB";
    default: return "NULL";
    }
}

/* ---- JSON ---- */

/* `PROBLEM, found "x" at byte n`. */
static int value_fail_json(const value_reader *reader, const char *problem) {
    unsigned long long position = (unsigned long long)reader->at + 1;
    if (reader->at >= reader->size) {
        return value_fail(reader->message,
                          sqlite3_mprintf("%s, found the end of the text at byte %llu", problem, position));
    }
    unsigned char byte = (unsigned char)reader->text[reader->at];
    const char *format = byte > ' ' && byte < 0x7f ? "%s, found \"%c\" at byte %llu" : "%s, found 0x%02x at byte %llu";
    return value_fail(reader->message, sqlite3_mprintf(format, problem, byte, position));
}

/* The next byte that is not white space, '\0' at the end (and for a NUL in the text, which fits nowhere). */
static char value_peek(value_reader *reader) {
    for (; reader->at < reader->size; reader->at++) {
        char c = reader->text[reader->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return c;
    }
    return '\0';
}

static bool value_at_word(const value_reader *reader, const char *word) {
    size_t sign = reader->text[reader->at] == '-' || reader->text[reader->at] == '+', size = strlen(word);
    if (reader->size - reader->at < sign + size) return false;
    return sqlite3_strnicmp(reader->text + reader->at + sign, word, (int)size) == 0;
}

static int value_fail_element(const value_reader *reader, const char *what) {
    return value_fail(reader->message, sqlite3_mprintf("invalid float32 vector: element %u is %s, at byte %llu",
                                                       reader->dim, what, (unsigned long long)reader->at + 1));
}

static int value_read_element(value_reader *reader) {
    double number = 0;
    value_peek(reader);
    size_t used = shx_number_read(reader->text + reader->at, reader->size - reader->at, &number);
    if (used == 0 && reader->at < reader->size) {
        if (value_at_word(reader, "nan")) return value_fail_element(reader, "NaN");
        if (value_at_word(reader, "inf")) return value_fail_element(reader, "Inf");
    }
    if (used == 0) return value_fail_json(reader, "JSON parsing error: expected a number");
    float value = (float)number;
    if (!isfinite(value)) return value_fail_element(reader, "Inf");
    if (reader->dim == reader->capacity) return value_fail_size(reader->message, reader->dim);
    reader->floats[reader->dim++] = value;
    reader->at += used;
    return SQLITE_OK;
}

/* Everything after the `[`. */
static int value_read_elements(value_reader *reader) {
    if (value_peek(reader) == ']') return value_fail_empty(reader->message);
    for (;;) {
        int rc = value_read_element(reader);
        if (rc != SQLITE_OK) return rc;
        char next = value_peek(reader);
        if (next != ',' && next != ']') return value_fail_json(reader, "JSON parsing error: expected \",\" or \"]\"");
        reader->at++;
        if (next == ']') break;
    }
    value_peek(reader);
    if (reader->at == reader->size) return SQLITE_OK;
    return value_fail_json(reader, "JSON parsing error: expected nothing after the array");
}

/* How many elements there can be: one more than commas. */
static uint32_t value_count(const value_reader *reader) {
    uint32_t count = 1;
    const char *at = reader->text, *end = at + reader->size;
    for (; count < SHX_DIM_MAX && (at = memchr(at, ',', (size_t)(end - at))); at++) count++;
    return count;
}

static int value_read_json(sqlite3_value *value, shx_vector *ret_vector, char **ret_message) {
    value_reader reader = {.message = ret_message};
    reader.text = (const char *)sqlite3_value_text(value);
    reader.size = (size_t)sqlite3_value_bytes(value);
    if (!reader.text) return SQLITE_NOMEM;
    if (reader.size == 0) return value_fail_empty(ret_message);
    if (value_peek(&reader) != '[') {
        return value_fail_json(&reader, "JSON array parsing error: Input does not start with '['");
    }
    reader.at++;
    reader.capacity = value_count(&reader);
    reader.floats = sqlite3_malloc64((sqlite3_uint64)reader.capacity * sizeof(float));
    if (!reader.floats) return SQLITE_NOMEM;
    int rc = value_read_elements(&reader);
    if (rc == SQLITE_OK) {
        *ret_vector = (shx_vector){reader.floats, reader.dim};
    } else {
        sqlite3_free(reader.floats);
    }
    return rc;
}

/* ---- BLOBs ---- */

static int value_check_finite(const float *floats, uint32_t dim, char **ret_message) {
    for (uint32_t i = 0; i < dim; i++) {
        if (isfinite(floats[i])) continue;
        return value_fail(ret_message, sqlite3_mprintf("invalid float32 vector: element %u is %s", i,
                                                       isnan(floats[i]) ? "NaN" : "Inf"));
    }
    return SQLITE_OK;
}

static int value_read_blob(sqlite3_value *value, shx_vector *ret_vector, char **ret_message) {
    unsigned subtype = sqlite3_value_subtype(value);
    if (subtype == VALUE_SUBTYPE_BIT || subtype == VALUE_SUBTYPE_INT8) {
        return value_fail(ret_message,
                          sqlite3_mprintf("expected a vector of type float32, but a vector of type %s was provided.",
                                          subtype == VALUE_SUBTYPE_BIT ? "bit" : "int8"));
    }
    const void *bytes = sqlite3_value_blob(value);
    size_t size = (size_t)sqlite3_value_bytes(value);
    if (size == 0) return value_fail_empty(ret_message);
    if (!bytes) return SQLITE_NOMEM;
    if (size % sizeof(float)) {
        return value_fail(
            ret_message,
            sqlite3_mprintf("invalid float32 vector BLOB length. Must be divisible by 4, found %d", (int)size));
    }
    if (size / sizeof(float) > SHX_DIM_MAX) return value_fail_size(ret_message, size / sizeof(float));
    float *floats = sqlite3_malloc64(size);
    if (!floats) return SQLITE_NOMEM;
    memcpy(floats, bytes, size);
    int rc = value_check_finite(floats, (uint32_t)(size / sizeof(float)), ret_message);
    if (rc == SQLITE_OK) {
        *ret_vector = (shx_vector){floats, (uint32_t)(size / sizeof(float))};
    } else {
        sqlite3_free(floats);
    }
    return rc;
}

int shx_vector_read(sqlite3_value *value, shx_vector *ret_vector, char **ret_message) {
    int type = sqlite3_value_type(value);
    if (type == SQLITE_BLOB) return value_read_blob(value, ret_vector, ret_message);
    if (type == SQLITE_TEXT) return value_read_json(value, ret_vector, ret_message);
    return value_fail(
        ret_message,
        sqlite3_mprintf("Input must have type BLOB (compact format) or TEXT (JSON), found %s", value_type_name(type)));
}

char *shx_vector_json(const float *floats, uint32_t dim) {
    sqlite3_str *json = sqlite3_str_new(NULL);
    for (uint32_t i = 0; i < dim; i++) sqlite3_str_appendf(json, "%c%f", i ? ',' : '[', (double)floats[i]);
    sqlite3_str_appendall(json, dim ? "]" : "[]");
    return sqlite3_str_finish(json);
}
