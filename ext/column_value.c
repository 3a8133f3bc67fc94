#include "column_value.h"

#include <stddef.h>

/* Text that looks like a number becomes one, and a number in a TEXT column text: on a copy, since the value is not
** ours to change. */
static int column_convert(sqlite3_value *value, shx_affinity affinity, sqlite3_value **ret_copy) {
    int type = sqlite3_value_type(value);
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    bool to_text = number && affinity == SHX_AFFINITY_TEXT;
    bool to_number = type == SQLITE_TEXT && affinity >= SHX_AFFINITY_NUMERIC;
    if (!to_text && !to_number) return SQLITE_OK;
    sqlite3_value *copy = sqlite3_value_dup(value);
    if (!copy) return SQLITE_NOMEM;
    *ret_copy = copy;
    if (to_number) (void)sqlite3_value_numeric_type(copy);
    return SQLITE_OK;
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
