#include "value.h"

#include "bytes.h"

#include <assert.h>
#include <math.h>

#define VALUE_TWO_63 9223372036854775808.0

shx_value shx_value_of_real(double real) {
    if (isnan(real)) return (shx_value){.type = SHX_VALUE_NULL};
    bool whole = real >= -VALUE_TWO_63 && real < VALUE_TWO_63 && (double)(int64_t)real == real;
    if (whole) return (shx_value){.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)real};
    return (shx_value){.type = SHX_VALUE_REAL, .is.real = real};
}

/* ---- order ---- */

static int value_rank(const shx_value *value) {
    static const int ranks[] = {[SHX_VALUE_NULL] = 0, [SHX_VALUE_INTEGER] = 1, [SHX_VALUE_REAL] = 1,
                                [SHX_VALUE_TEXT] = 2, [SHX_VALUE_BLOB] = 3,    [SHX_VALUE_END] = 4};
    return ranks[value->type];
}

/* The real number has a fraction or is beyond all integers, so they are never equal. */
static int value_compare_mixed(int64_t integer, double real) {
    if (real >= VALUE_TWO_63) return -1;
    if (real < -VALUE_TWO_63) return 1;
    int64_t whole = (int64_t)real;
    if (integer != whole) return integer < whole ? -1 : 1;
    return (double)whole < real ? -1 : 1;
}

static int value_compare_numbers(const shx_value *a, const shx_value *b) {
    if (a->type == SHX_VALUE_INTEGER && b->type == SHX_VALUE_INTEGER) {
        return a->is.integer < b->is.integer ? -1 : a->is.integer > b->is.integer;
    }
    if (a->type == SHX_VALUE_INTEGER) return value_compare_mixed(a->is.integer, b->is.real);
    if (b->type == SHX_VALUE_INTEGER) return -value_compare_mixed(b->is.integer, a->is.real);
    return a->is.real < b->is.real ? -1 : a->is.real > b->is.real;
}

int shx_value_compare(const shx_value *a, const shx_value *b) {
    int rank = value_rank(a), other = value_rank(b);
    if (rank != other) return rank < other ? -1 : 1;
    if (rank == 1) return value_compare_numbers(a, b);
    if (rank != 2 && rank != 3) return 0;
    uint32_t common = a->size < b->size ? a->size : b->size;
    int order = common ? memcmp(a->is.bytes, b->is.bytes, common) : 0;
    return order ? order : a->size < b->size ? -1 : a->size > b->size;
}

/* ---- bytes ---- */

uint64_t shx_value_size(const shx_value *value) {
    switch (value->type) {
    case SHX_VALUE_INTEGER:
    case SHX_VALUE_REAL: return 9;
    case SHX_VALUE_TEXT:
    case SHX_VALUE_BLOB: return 5 + (uint64_t)value->size;
    default: return 1;
    }
}

void shx_value_put(const shx_value *value, uint8_t *at) {
    assert(value->type != SHX_VALUE_END);
    *at = (uint8_t)value->type;
    if (value->type == SHX_VALUE_INTEGER) {
        shx_put64(at + 1, (uint64_t)value->is.integer);
    } else if (value->type == SHX_VALUE_REAL) {
        memcpy(at + 1, &value->is.real, sizeof value->is.real);
    } else if (value->type != SHX_VALUE_NULL) {
        shx_put32(at + 1, value->size);
        if (value->size) memcpy(at + 5, value->is.bytes, value->size);
    }
}

/* The size of the value at `at`, 0 when there is none. */
static uint64_t value_measure(const uint8_t *at, const uint8_t *end) {
    uint64_t left = (uint64_t)(end - at), size = 0;
    if (left == 0) return 0;
    if (*at == SHX_VALUE_INTEGER || *at == SHX_VALUE_REAL) size = 9;
    if (*at == SHX_VALUE_NULL) size = 1;
    if ((*at == SHX_VALUE_TEXT || *at == SHX_VALUE_BLOB) && left >= 5) size = 5 + (uint64_t)shx_get32(at + 1);
    return size <= left ? size : 0;
}

bool shx_value_read(const uint8_t **at, const uint8_t *end, shx_value *ret_value) {
    const uint8_t *from = *at;
    uint64_t size = value_measure(from, end);
    if (size == 0) return false;
    shx_value value = {.type = (shx_value_type)*from};
    if (value.type == SHX_VALUE_INTEGER) {
        value.is.integer = (int64_t)shx_get64(from + 1);
    } else if (value.type == SHX_VALUE_REAL) {
        memcpy(&value.is.real, from + 1, sizeof value.is.real);
        if (isnan(value.is.real)) return false;
    } else if (value.type != SHX_VALUE_NULL) {
        value.size = shx_get32(from + 1);
        value.is.bytes = from + 5;
    }
    *at = from + size;
    *ret_value = value;
    return true;
}

bool shx_packed_find(const shx_packed *packed, uint32_t column, shx_packed *ret_bytes) {
    const uint8_t *at = packed->bytes, *end = packed->size ? at + packed->size : at;
    for (uint32_t i = 0;; i++) {
        uint64_t size = at ? value_measure(at, end) : 0;
        if (size == 0) return false;
        if (i == column) {
            *ret_bytes = (shx_packed){at, (uint32_t)size};
            return true;
        }
        at += size;
    }
}

bool shx_packed_check(const shx_packed *packed, uint32_t *ret_count) {
    const uint8_t *at = packed->bytes, *end = packed->size ? at + packed->size : at;
    uint32_t count = 0;
    shx_value value;
    for (; at != end; count++) {
        if (!shx_value_read(&at, end, &value)) return false;
    }
    *ret_count = count;
    return true;
}
