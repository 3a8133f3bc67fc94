#include "filter_scan.h"

#include "../engine/memory.h"
#include "column_value.h"

#include <string.h>

#define SCAN_PREFIX_MAX 256
#define SCAN_FEW 4 /* values of a comparison or a list that need no memory of their own */

static shx_value scan_null(void) { return (shx_value){.type = SHX_VALUE_NULL}; }
static shx_value scan_empty_blob(void) { return (shx_value){.type = SHX_VALUE_BLOB}; }

/* The values that stand to `value` as the operator says; null stands to nothing, except for IS. Returns the number of
** ranges. */
static uint64_t scan_ranges(shx_compare compare, shx_value value, shx_range ranges[2]) {
    shx_cut before = shx_cut_before(value), after = shx_cut_after(value), end = shx_cut_end();
    shx_cut first = shx_cut_after(scan_null());
    bool about_null = compare == SHX_COMPARE_IS || compare == SHX_COMPARE_IS_NOT;
    if (value.type == SHX_VALUE_NULL && !about_null) return 0;
    switch (compare) {
    case SHX_COMPARE_EQ:
    case SHX_COMPARE_IN:
    case SHX_COMPARE_IS: ranges[0] = (shx_range){before, after}; return 1;
    case SHX_COMPARE_LT: ranges[0] = (shx_range){first, before}; return 1;
    case SHX_COMPARE_LT_OR_BLOB:
        ranges[0] = (shx_range){first, before};
        ranges[1] = (shx_range){shx_cut_before(scan_empty_blob()), end};
        return 2;
    case SHX_COMPARE_LE: ranges[0] = (shx_range){first, after}; return 1;
    case SHX_COMPARE_GT: ranges[0] = (shx_range){after, end}; return 1;
    case SHX_COMPARE_GE: ranges[0] = (shx_range){before, end}; return 1;
    case SHX_COMPARE_NE:
    case SHX_COMPARE_IS_NOT:
        ranges[0] = (shx_range){compare == SHX_COMPARE_NE ? first : shx_cut_start(), before};
        ranges[1] = (shx_range){after, end};
        return 2;
    default: return 0;
    }
}

/* The length of the text that a pattern asks for at the start, if it asks for nothing else; -1 when it does. LIKE takes
** letters of both cases for the same, so it may have none; beyond ASCII nothing is certain. */
static int scan_prefix(const char *pattern, int size, bool glob) {
    if (size < 1 || size > SCAN_PREFIX_MAX || pattern[size - 1] != (glob ? '*' : '%')) return -1;
    for (int i = 0; i < size - 1; i++) {
        unsigned char c = (unsigned char)pattern[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == 0 || c >= 0x7f || (glob ? strchr("*?[", c) != NULL : letter || c == '%' || c == '_')) return -1;
    }
    return size - 1;
}

/* `column LIKE 'text%'`: from the text to the next one that does not start with it, and the blobs that read so, unless
** SQLite was built to pass them over. */
static int scan_add_prefix(shx_predicate *predicate, uint32_t column, sqlite3_value *value, bool glob,
                           bool *ret_taken) {
    const char *pattern = (const char *)sqlite3_value_text(value);
    if (!pattern) return SQLITE_NOMEM;
    int size = scan_prefix(pattern, sqlite3_value_bytes(value), glob);
    if (size < 0) return SQLITE_OK;
    uint8_t low[SCAN_PREFIX_MAX], high[SCAN_PREFIX_MAX];
    memcpy(low, pattern, (size_t)size);
    memcpy(high, pattern, (size_t)size);
    if (size > 0) high[size - 1]++;
    shx_value text = {.type = SHX_VALUE_TEXT, .size = (uint32_t)size, .is.bytes = low}, text_end = text;
    shx_value blob = {.type = SHX_VALUE_BLOB, .size = (uint32_t)size, .is.bytes = low}, blob_end = blob;
    shx_cut blobs_start = shx_cut_before(scan_empty_blob());
    text_end.is.bytes = blob_end.is.bytes = high;
    const shx_range prefix[] = {{shx_cut_before(text), shx_cut_before(text_end)},
                                {shx_cut_before(blob), shx_cut_before(blob_end)}};
    const shx_range all[] = {{shx_cut_before(text), blobs_start}, {blobs_start, shx_cut_end()}};
    bool blobs = !sqlite3_compileoption_used("LIKE_DOESNT_MATCH_BLOBS");
    *ret_taken = true;
    shx_status status = shx_predicate_add(predicate, column, size > 0 ? prefix : all, blobs ? 2 : 1);
    return status == SHX_OK ? SQLITE_OK : SQLITE_NOMEM;
}

static int scan_add_values(shx_predicate *predicate, const shx_column_condition *condition) {
    uint64_t count = condition->count;
    /* The right side of a comparison becomes a number, but no real one. */
    bool real = condition->affinity == SHX_AFFINITY_REAL;
    shx_affinity affinity = real ? SHX_AFFINITY_NUMERIC : condition->affinity;
    shx_range few[2 * SCAN_FEW], *ranges = count <= SCAN_FEW ? few : shx_alloc_zero(2 * count, sizeof *ranges);
    sqlite3_value *few_copies[SCAN_FEW] = {NULL};
    sqlite3_value **copies = count <= SCAN_FEW ? few_copies : shx_alloc_zero(count, sizeof *copies);
    uint64_t range_count = 0;
    int rc = ranges && copies ? SQLITE_OK : SQLITE_NOMEM;
    for (uint64_t i = 0; i < count && rc == SQLITE_OK; i++) {
        shx_value value;
        rc = shx_column_value(condition->values[i], affinity, &copies[i], &value);
        if (rc == SQLITE_OK) range_count += scan_ranges(condition->compare, value, ranges + range_count);
    }
    if (rc == SQLITE_OK && shx_predicate_add(predicate, condition->column, ranges, range_count) != SHX_OK) {
        rc = SQLITE_NOMEM;
    }
    for (uint64_t i = 0; copies && i < count; i++) sqlite3_value_free(copies[i]);
    if (copies != few_copies) shx_free(copies);
    if (ranges != few) shx_free(ranges);
    return rc;
}

int shx_filter_scan(shx_predicate *predicate, const shx_column_condition *condition, bool *ret_taken) {
    uint32_t column = condition->column;
    shx_affinity affinity = condition->affinity;
    shx_compare compare = condition->compare;
    sqlite3_value *value = condition->count > 0 ? condition->values[0] : NULL; /* a list may be empty */
    shx_range null = {shx_cut_start(), shx_cut_after(scan_null())};
    shx_range others = {shx_cut_after(scan_null()), shx_cut_end()};
    *ret_taken = false;
    switch (compare) {
    case SHX_COMPARE_OTHER: return SQLITE_OK;
    case SHX_COMPARE_LIKE:
    case SHX_COMPARE_GLOB:
        if (affinity != SHX_AFFINITY_TEXT || sqlite3_value_type(value) != SQLITE_TEXT) return SQLITE_OK;
        return scan_add_prefix(predicate, column, value, compare == SHX_COMPARE_GLOB, ret_taken);
    case SHX_COMPARE_IS_NULL:
    case SHX_COMPARE_NOT_NULL:
        *ret_taken = true;
        return shx_predicate_add(predicate, column, compare == SHX_COMPARE_IS_NULL ? &null : &others, 1) == SHX_OK
                   ? SQLITE_OK
                   : SQLITE_NOMEM;
    default: break;
    }
    *ret_taken = true;
    return scan_add_values(predicate, condition);
}
