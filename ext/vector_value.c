/* Reading is strict: the whole text must be one JSON array of numbers. Only the numbers themselves may also be written
** as sqlite-vec allows it (`+1`, `.5`, `1.`). Where sqlite-vec has a message for a fault, ours begins with the same
** words; elements are counted from 0 as there, bytes from 1.
*/
#include "vector_value.h"

#include "../engine/limits.h"
#include "number.h"

#include <math.h>
#include <string.h>

/* The text being read and the vector being filled. */
typedef struct value_reader {
    const char *text;
    size_t size, at;
    shx_element element;
    size_t element_bytes;
    uint8_t *data; /* with room for `capacity` elements */
    uint32_t dim, capacity;
    char **message;
} value_reader;

void shx_vector_clear(shx_vector *vector) {
    sqlite3_free(vector->data);
    *vector = (shx_vector){0};
}

static const struct {
    shx_element element;
    unsigned subtype;
} value_subtypes[] = {
    {SHX_FLOAT32, SHX_SUBTYPE_FLOAT32}, {SHX_BIT, SHX_SUBTYPE_BIT},           {SHX_INT8, SHX_SUBTYPE_INT8},
    {SHX_FLOAT16, SHX_SUBTYPE_FLOAT16}, {SHX_BFLOAT16, SHX_SUBTYPE_BFLOAT16},
};

#define VALUE_SUBTYPES (sizeof value_subtypes / sizeof *value_subtypes)

unsigned shx_vector_subtype(shx_element element) {
    for (size_t i = 0; i < VALUE_SUBTYPES; i++) {
        if (value_subtypes[i].element == element) return value_subtypes[i].subtype;
    }
    return 0;
}

/* Whether a subtype marks a vector, and of what. */
static bool value_marked(unsigned subtype, shx_element *ret_element) {
    for (size_t i = 0; i < VALUE_SUBTYPES; i++) {
        if (value_subtypes[i].subtype != subtype) continue;
        *ret_element = value_subtypes[i].element;
        return true;
    }
    return false;
}

shx_element shx_vector_element(sqlite3_value *value) {
    shx_element element = SHX_FLOAT32;
    if (sqlite3_value_type(value) == SQLITE_BLOB) value_marked(sqlite3_value_subtype(value), &element);
    return element;
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

/* As sqlite-vec names them. */
static const char *value_type_name(int type) {
    switch (type) {
    case SQLITE_INTEGER: return "INTEGER";
    case SQLITE_FLOAT: return "FLOAT";
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
    return value_fail(reader->message, sqlite3_mprintf("invalid %s vector: element %u is %s, at byte %llu",
                                                       shx_element_name(reader->element), reader->dim, what,
                                                       (unsigned long long)reader->at + 1));
}

/* A number that the element type does not hold. */
static int value_fail_number(const value_reader *reader, double number) {
    if (reader->element != SHX_INT8) return value_fail_element(reader, "Inf");
    char *what = sqlite3_mprintf("%!.15g, expected a whole number from -128 to 127", number);
    int rc = what ? value_fail_element(reader, what) : SQLITE_NOMEM;
    sqlite3_free(what);
    return rc;
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
    uint32_t number_bytes;
    bool held = shx_element_encode(reader->element, number, &number_bytes);
    if (!held) return value_fail_number(reader, number);
    if (reader->dim == reader->capacity) return value_fail_size(reader->message, reader->dim);
    memcpy(reader->data + reader->dim++ * reader->element_bytes, &number_bytes, reader->element_bytes);
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

static int value_read_json(sqlite3_value *value, shx_element element, shx_vector *ret_vector, char **ret_message) {
    value_reader reader = {.message = ret_message, .element = element, .element_bytes = shx_element_bytes(element, 1)};
    if (element == SHX_BIT) {
        return value_fail(ret_message, sqlite3_mprintf("Unknown type for bitvector. Expected a BLOB, found TEXT"));
    }
    reader.text = (const char *)sqlite3_value_text(value);
    reader.size = (size_t)sqlite3_value_bytes(value);
    if (!reader.text) return SQLITE_NOMEM;
    if (reader.size == 0) return value_fail_empty(ret_message);
    if (value_peek(&reader) != '[') {
        return value_fail_json(&reader, "JSON array parsing error: Input does not start with '['");
    }
    reader.at++;
    reader.capacity = value_count(&reader);
    reader.data = sqlite3_malloc64((sqlite3_uint64)reader.capacity * reader.element_bytes);
    if (!reader.data) return SQLITE_NOMEM;
    int rc = value_read_elements(&reader);
    if (rc == SQLITE_OK) {
        *ret_vector = (shx_vector){reader.data, element, reader.dim};
    } else {
        sqlite3_free(reader.data);
    }
    return rc;
}

/* ---- BLOBs ---- */

/* The element at `position` is NaN or infinite; `as` is the type that it was to become. */
static int value_fail_infinite(const shx_vector *vector, uint32_t position, shx_element as, char **ret_message) {
    float value;
    const uint8_t *at = vector->data;
    shx_element_decode(vector->element, at + position * shx_element_bytes(vector->element, 1), 1, &value);
    return value_fail(ret_message, sqlite3_mprintf("invalid %s vector: element %u is %s", shx_element_name(as),
                                                   position, isnan(value) ? "NaN" : "Inf"));
}

/* Takes the bytes as they are. */
static int value_read_bytes(sqlite3_value *value, shx_element element, shx_vector *ret_vector, char **ret_message) {
    size_t size = (size_t)sqlite3_value_bytes(value); /* first: zeroblob(1e9) takes no memory before its bytes are */
    size_t unit = element == SHX_BIT ? 1 : shx_element_bytes(element, 1);
    uint32_t position;
    if (size == 0) return value_fail_empty(ret_message);
    if (size % unit) {
        return value_fail(ret_message,
                          sqlite3_mprintf("invalid %s vector BLOB length. Must be divisible by %d, found %d",
                                          shx_element_name(element), (int)unit, (int)size));
    }
    uint64_t dim = element == SHX_BIT ? (uint64_t)size * 8 : size / unit;
    if (dim > SHX_DIM_MAX) return value_fail_size(ret_message, dim);
    const void *bytes = sqlite3_value_blob(value);
    if (!bytes) return SQLITE_NOMEM;
    shx_vector vector = {sqlite3_malloc64(size), element, (uint32_t)dim};
    if (!vector.data) return SQLITE_NOMEM;
    memcpy(vector.data, bytes, size);
    if (!shx_element_find_infinite(element, vector.data, vector.dim, &position)) {
        *ret_vector = vector;
        return SQLITE_OK;
    }
    int rc = value_fail_infinite(&vector, position, element, ret_message);
    shx_vector_clear(&vector);
    return rc;
}

static bool value_is_floating(shx_element element) { return element != SHX_INT8 && element != SHX_BIT; }

/* From one floating-point type to another. */
static int value_convert(const shx_vector *from, shx_element element, shx_vector *ret_vector, char **ret_message) {
    size_t from_bytes = shx_element_bytes(from->element, 1), to_bytes = shx_element_bytes(element, 1);
    shx_vector vector = {sqlite3_malloc64(from->dim * to_bytes), element, from->dim};
    if (!vector.data) return SQLITE_NOMEM;
    for (uint32_t i = 0; i < from->dim; i++) {
        float number;
        shx_element_decode(from->element, (const uint8_t *)from->data + i * from_bytes, 1, &number);
        if (shx_element_encode(element, (double)number, (uint8_t *)vector.data + i * to_bytes)) continue;
        shx_vector_clear(&vector);
        return value_fail(ret_message, sqlite3_mprintf("invalid %s vector: element %u is Inf, from %s %!.9g",
                                                       shx_element_name(element), i, shx_element_name(from->element),
                                                       (double)number));
    }
    *ret_vector = vector;
    return SQLITE_OK;
}

bool shx_vector_is_other(sqlite3_value *value, shx_element element, shx_element *ret_other) {
    shx_element marked = element;
    if (sqlite3_value_type(value) == SQLITE_BLOB) value_marked(sqlite3_value_subtype(value), &marked);
    if (marked == element || (value_is_floating(element) && value_is_floating(marked))) return false;
    *ret_other = marked;
    return true;
}

static int value_read_blob(sqlite3_value *value, shx_element element, shx_vector *ret_vector, char **ret_message) {
    shx_element marked = element;
    value_marked(sqlite3_value_subtype(value), &marked);
    if (marked == element) return value_read_bytes(value, element, ret_vector, ret_message);
    if (shx_vector_is_other(value, element, &marked)) {
        return value_fail(ret_message,
                          sqlite3_mprintf("expected a vector of type %s, but a vector of type %s was provided.",
                                          shx_element_name(element), shx_element_name(marked)));
    }
    shx_vector vector;
    int rc = value_read_bytes(value, marked, &vector, ret_message);
    if (rc != SQLITE_OK) return rc;
    rc = value_convert(&vector, element, ret_vector, ret_message);
    shx_vector_clear(&vector);
    return rc;
}

int shx_vector_read_as(sqlite3_value *value, shx_element element, shx_vector *ret_vector, char **ret_message) {
    int type = sqlite3_value_type(value);
    if (type == SQLITE_BLOB) return value_read_blob(value, element, ret_vector, ret_message);
    if (type == SQLITE_TEXT) return value_read_json(value, element, ret_vector, ret_message);
    return value_fail(
        ret_message,
        sqlite3_mprintf("Input must have type BLOB (compact format) or TEXT (JSON), found %s", value_type_name(type)));
}

bool shx_vector_stands(sqlite3_value *value, shx_element element, uint32_t dim) {
    shx_element marked = element;
    if (sqlite3_value_type(value) != SQLITE_BLOB) return false;
    value_marked(sqlite3_value_subtype(value), &marked);
    return marked == element && (size_t)sqlite3_value_bytes(value) == shx_element_bytes(element, dim);
}

const char *shx_vector_hint(sqlite3_value *value, const shx_vector *vector, uint32_t expected) {
    static const char *const hints[] = {[2] = " Are its numbers twice as wide as the column's?",
                                        [4] = " Are its numbers four times as wide as the column's?",
                                        [8] = " Are its numbers eight times as wide as the column's?"};
    bool wider = sqlite3_value_type(value) == SQLITE_BLOB && vector->element != SHX_BIT && vector->dim % expected == 0;
    uint32_t times = wider ? vector->dim / expected : 0;
    return times < sizeof hints / sizeof *hints && hints[times] ? hints[times] : "";
}

float shx_vector_number(const shx_vector *vector, uint32_t position) {
    const uint8_t *data = vector->data;
    if (vector->element == SHX_BIT) return (float)(data[position / 8] >> position % 8 & 1);
    float number = 0;
    shx_element_decode(vector->element, data + position * shx_element_bytes(vector->element, 1), 1, &number);
    return number;
}

char *shx_vector_json(const shx_vector *vector) {
    sqlite3_str *json = sqlite3_str_new(NULL);
    for (uint32_t i = 0; i < vector->dim; i++) {
        sqlite3_str_appendf(json, value_is_floating(vector->element) ? "%c%f" : "%c%.0f", i ? ',' : '[',
                            (double)shx_vector_number(vector, i));
    }
    sqlite3_str_appendall(json, vector->dim ? "]" : "[]");
    return sqlite3_str_finish(json);
}
