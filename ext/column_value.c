#include "column_value.h"

#include "number.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static bool column_is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The whole number that the text is made of; false when there is anything else, or it is too large. */
static bool column_integer(const char *text, size_t size, int64_t *ret_integer) {
    bool negative = text[0] == '-';
    uint64_t number = 0, limit = (uint64_t)INT64_MAX + negative;
    for (size_t i = text[0] == '-' || text[0] == '+'; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (number > (limit - digit) / 10) return false;
        number = 10 * number + digit;
    }
    *ret_integer = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

/* Text that looks like a number is one in a numeric column, namely the one that SQLite takes it for: that is not always
** the nearest, and differs between versions. (sqlite3_value_numeric_type would tell what looks like a number, but newer
** versions of SQLite read through a null pointer there when the value is a copy made by sqlite3_value_dup.) */
static bool column_read_number(sqlite3_value *value, shx_value *ret_value) {
    const char *text = (const char *)sqlite3_value_text(value);
    size_t size = text ? (size_t)sqlite3_value_bytes(value) : 0;
    while (size > 0 && column_is_space(*text)) text++, size--;
    while (size > 0 && column_is_space(text[size - 1])) size--;
    double real;
    int64_t integer;
    if (size == 0 || shx_number_read(text, size, &real) != size) return false;
    if (column_integer(text, size, &integer)) {
        *ret_value = (shx_value){.type = SHX_VALUE_INTEGER, .is.integer = integer};
    } else {
        *ret_value = shx_value_of_real(sqlite3_value_double(value));
    }
    return true;
}

/* A number in a TEXT column becomes text: on a copy, since the value is not ours to change. */
static int column_convert(sqlite3_value *value, shx_affinity affinity, sqlite3_value **ret_copy) {
    int type = sqlite3_value_type(value);
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    if (!number || affinity != SHX_AFFINITY_TEXT) return SQLITE_OK;
    *ret_copy = sqlite3_value_dup(value);
    return *ret_copy ? SQLITE_OK : SQLITE_NOMEM;
}

static int column_bytes(sqlite3_value *value, shx_value *ret_value) {
    bool text = ret_value->type == SHX_VALUE_TEXT;
    const void *bytes = text ? (const void *)sqlite3_value_text(value) : sqlite3_value_blob(value);
    int size = sqlite3_value_bytes(value);
    if (!bytes && (text || size > 0)) return SQLITE_NOMEM;
    ret_value->is.bytes = bytes;
    ret_value->size = (uint32_t)size;
    return SQLITE_OK;
}

int shx_column_value(sqlite3_value *value, shx_affinity affinity, sqlite3_value **ret_copy, shx_value *ret_value) {
    *ret_copy = NULL;
    bool numeric = affinity >= SHX_AFFINITY_NUMERIC && sqlite3_value_type(value) == SQLITE_TEXT;
    if (numeric && column_read_number(value, ret_value)) {
        if (affinity == SHX_AFFINITY_REAL && ret_value->type == SHX_VALUE_INTEGER)
            *ret_value = shx_value_of_real((double)ret_value->is.integer);
        return SQLITE_OK;
    }
    int rc = column_convert(value, affinity, ret_copy);
    if (rc != SQLITE_OK) return rc;
    if (*ret_copy) value = *ret_copy;
    int type = sqlite3_value_type(value);
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    if (number && affinity == SHX_AFFINITY_TEXT) type = SQLITE_TEXT;
    *ret_value = (shx_value){.type = (shx_value_type)type};
    if (type == SQLITE_FLOAT || (type == SQLITE_INTEGER && affinity == SHX_AFFINITY_REAL)) {
        *ret_value = shx_value_of_real(sqlite3_value_double(value));
    } else if (type == SQLITE_INTEGER) {
        ret_value->is.integer = sqlite3_value_int64(value);
    } else if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
        rc = column_bytes(value, ret_value);
    }
    return rc;
}

const char *shx_column_words(sqlite3_value *value) {
    int type = sqlite3_value_type(value);
    if (type == SQLITE_NULL) return "NULL";
    if (type == SQLITE_BLOB) return "a BLOB";
    const char *text = (const char *)sqlite3_value_text(value);
    return text ? text : "";
}
