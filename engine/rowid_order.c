#include "rowid_order.h"

#include "memory.h"

#include <string.h>

#define ROWID_ORDER_CHECK (1u << 16) /* elements between two questions whether to stop */

typedef struct rowid_order_source {
    const uint8_t *elements;
    size_t stride;
    uint64_t count;
    const shx_stop *stop;
} rowid_order_source;

/* A rowid as a number that compares as it does. */
static inline uint64_t rowid_order_key(const rowid_order_source *from, uint64_t position) {
    int64_t rowid;
    memcpy(&rowid, from->elements + position * from->stride, sizeof rowid);
    return (uint64_t)rowid ^ UINT64_C(1) << 63;
}

static inline bool rowid_order_stops(const rowid_order_source *from, uint64_t at) {
    return at % ROWID_ORDER_CHECK == 0 && shx_stop_wanted(from->stop);
}

/* How many elements have each value of each byte. */
static shx_status rowid_order_count(const rowid_order_source *from, uint32_t counts[8][256]) {
    for (uint64_t i = 0; i < from->count; i++) {
        SHX_CHECK(!rowid_order_stops(from, i), SHX_INTERRUPT);
        uint64_t key = rowid_order_key(from, i);
        for (int byte = 0; byte < 8; byte++) counts[byte][key >> 8 * byte & 255]++;
    }
    return SHX_OK;
}

static bool rowid_order_differs(const rowid_order_source *from, const uint32_t counts[256]) {
    uint32_t most = 0;
    for (int value = 0; value < 256; value++) {
        if (counts[value] > most) most = counts[value];
    }
    return most < from->count;
}

/* One stable pass, by a byte that differs. */
static shx_status rowid_order_pass(const rowid_order_source *from, const uint32_t counts[256], int byte,
                                   const uint32_t *order, uint32_t *ret_order) {
    uint32_t next[256], sum = 0;
    for (int value = 0; value < 256; value++) {
        next[value] = sum;
        sum += counts[value];
    }
    for (uint64_t i = 0; i < from->count; i++) {
        SHX_CHECK(!rowid_order_stops(from, i), SHX_INTERRUPT);
        ret_order[next[rowid_order_key(from, order[i]) >> 8 * byte & 255]++] = order[i];
    }
    return SHX_OK;
}

/* Sorts *order, in turns with *other. */
static shx_status rowid_order_sort(const rowid_order_source *from, uint32_t **order, uint32_t **other) {
    uint32_t counts[8][256] = {{0}};
    SHX_TRY(rowid_order_count(from, counts));
    for (int byte = 0; byte < 8; byte++) {
        if (!rowid_order_differs(from, counts[byte])) continue;
        SHX_TRY(rowid_order_pass(from, counts[byte], byte, *order, *other));
        uint32_t *sorted = *other;
        *other = *order;
        *order = sorted;
    }
    return SHX_OK;
}

shx_status shx_rowid_order(const void *elements, size_t stride, uint64_t count, const shx_stop *stop,
                           uint32_t **ret_order) {
    const rowid_order_source from = {elements, stride, count, stop};
    SHX_CHECK(count < UINT32_MAX, SHX_FULL);
    uint32_t *order = shx_alloc(count * sizeof *order + 1), *other = shx_alloc(count * sizeof *other + 1);
    shx_status status = order && other ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) order[i] = (uint32_t)i;
    if (status == SHX_OK) status = rowid_order_sort(&from, &order, &other);
    shx_free(other);
    if (status != SHX_OK) {
        shx_free(order);
        return status;
    }
    *ret_order = order;
    return SHX_OK;
}

int shx_rowid_compare(const void *a, const void *b) {
    int64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
}
