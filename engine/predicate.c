#include "predicate.h"

#include "memory.h"
#include "planted.h"

#include <stdlib.h>
#include <string.h>

#define PREDICATE_TEXT_BYTES 256 /* of bytes that are owned together, at least */

struct shx_predicate_text {
    shx_predicate_text *next;
    uint64_t used, capacity;
    uint8_t bytes[];
};

void shx_predicate_reset(shx_predicate *predicate) {
    for (shx_predicate_text *text = predicate->texts; text; text = text->next) text->used = 0;
    predicate->count = predicate->rowid_count = 0;
    predicate->restricted = false;
    predicate->rowids = NULL;
}

void shx_predicate_clear(shx_predicate *predicate) {
    for (uint64_t i = 0; i < predicate->capacity; i++) shx_free(predicate->conditions[i].ranges);
    shx_free(predicate->conditions);
    shx_free(predicate->added);
    shx_free(predicate->common);
    while (predicate->texts) {
        shx_predicate_text *next = predicate->texts->next;
        shx_free(predicate->texts);
        predicate->texts = next;
    }
    memset(predicate, 0, sizeof *predicate);
}

bool shx_predicate_is_empty(const shx_predicate *predicate) { return predicate->count == 0 && !predicate->restricted; }

/* ---- cuts ---- */

shx_cut shx_cut_before(shx_value value) { return (shx_cut){value, false}; }
shx_cut shx_cut_after(shx_value value) { return (shx_cut){value, true}; }
shx_cut shx_cut_start(void) { return (shx_cut){{.type = SHX_VALUE_NULL}, false}; }
shx_cut shx_cut_end(void) { return (shx_cut){{.type = SHX_VALUE_END}, false}; }

bool shx_cut_passed(const shx_cut *cut, const shx_value *value) {
    int order = shx_value_compare(value, &cut->value);
    return order > 0 || (order == 0 && (!cut->after || SHX_PLANTED(42)));
}

static int predicate_compare_cuts(const shx_cut *a, const shx_cut *b) {
    int order = shx_value_compare(&a->value, &b->value);
    return order ? order : (int)a->after - (int)b->after;
}

static int predicate_compare_ranges(const void *a, const void *b) {
    return predicate_compare_cuts(&((const shx_range *)a)->low, &((const shx_range *)b)->low);
}

/* ---- conditions ---- */

/* Room for `size` bytes that stay until the predicate is reset. */
static shx_status predicate_take_bytes(shx_predicate *predicate, uint64_t size, uint8_t **ret_bytes) {
    shx_predicate_text *text = predicate->texts;
    while (text && text->capacity - text->used < size) text = text->next;
    if (!text) {
        uint64_t capacity = size < PREDICATE_TEXT_BYTES ? PREDICATE_TEXT_BYTES : size;
        text = shx_alloc(sizeof *text + capacity);
        SHX_CHECK(text, SHX_NOMEM);
        *text = (shx_predicate_text){.next = predicate->texts, .capacity = capacity};
        predicate->texts = text;
    }
    *ret_bytes = text->bytes + text->used;
    text->used += size;
    return SHX_OK;
}

static shx_status predicate_own(shx_predicate *predicate, shx_value *value) {
    uint8_t *bytes;
    if ((value->type != SHX_VALUE_TEXT && value->type != SHX_VALUE_BLOB) || value->size == 0) return SHX_OK;
    SHX_TRY(predicate_take_bytes(predicate, value->size, &bytes));
    memcpy(bytes, value->is.bytes, value->size);
    value->is.bytes = bytes;
    return SHX_OK;
}

/* Ascending, without empty ranges, and with those that touch joined; returns how many are left. */
static uint64_t predicate_tidy(shx_range *ranges, uint64_t count) {
    uint64_t kept = 0;
    if (count > 1) qsort(ranges, count, sizeof *ranges, predicate_compare_ranges);
    for (uint64_t i = 0; i < count; i++) {
        if (predicate_compare_cuts(&ranges[i].low, &ranges[i].high) >= 0) continue;
        shx_range *last = kept > 0 ? &ranges[kept - 1] : NULL;
        if (!last || predicate_compare_cuts(&ranges[i].low, &last->high) > 0) {
            ranges[kept++] = ranges[i];
        } else if (predicate_compare_cuts(&ranges[i].high, &last->high) > 0) {
            last->high = ranges[i].high;
        }
    }
    return kept;
}

/* What two conditions have in common; `ret_ranges` has room for the sum of their counts. */
static uint64_t predicate_intersect(const shx_condition *a, const shx_condition *b, shx_range *ret_ranges) {
    uint64_t i = 0, j = 0, count = 0;
    while (i < a->count && j < b->count) {
        const shx_range *x = &a->ranges[i], *y = &b->ranges[j];
        shx_range common = {predicate_compare_cuts(&x->low, &y->low) > 0 ? x->low : y->low,
                            predicate_compare_cuts(&x->high, &y->high) < 0 ? x->high : y->high};
        if (predicate_compare_cuts(&common.low, &common.high) < 0) ret_ranges[count++] = common;
        if (predicate_compare_cuts(&x->high, &y->high) < 0) {
            i++;
        } else {
            j++;
        }
    }
    return count;
}

static shx_status predicate_set_ranges(shx_condition *condition, const shx_range *ranges, uint64_t count) {
    SHX_TRY(shx_grow((void **)&condition->ranges, &condition->capacity, count, sizeof *ranges));
    for (uint64_t i = 0; i < count; i++) condition->ranges[i] = ranges[i];
    condition->count = count;
    return SHX_OK;
}

/* A condition that admits nothing yet, behind the others; it counts when it has its ranges. */
static shx_status predicate_make_room(shx_predicate *predicate, uint32_t column) {
    SHX_TRY(shx_grow_zero((void **)&predicate->conditions, &predicate->capacity, predicate->count + 1,
                          sizeof *predicate->conditions));
    predicate->conditions[predicate->count].column = column;
    return SHX_OK;
}

static shx_status predicate_narrow(shx_predicate *predicate, shx_condition *condition, const shx_condition *by) {
    uint64_t most = condition->count + by->count;
    SHX_TRY(shx_grow((void **)&predicate->common, &predicate->common_capacity, most, sizeof *predicate->common));
    return predicate_set_ranges(condition, predicate->common, predicate_intersect(condition, by, predicate->common));
}

shx_status shx_predicate_add(shx_predicate *predicate, uint32_t column, const shx_range *ranges, uint64_t count) {
    SHX_TRY(shx_grow((void **)&predicate->added, &predicate->added_capacity, count, sizeof *ranges));
    for (uint64_t i = 0; i < count; i++) {
        predicate->added[i] = ranges[i];
        SHX_TRY(predicate_own(predicate, &predicate->added[i].low.value));
        SHX_TRY(predicate_own(predicate, &predicate->added[i].high.value));
    }
    shx_condition added = {.column = column, .ranges = predicate->added};
    added.count = predicate_tidy(predicate->added, count);
    uint64_t at = 0;
    while (at < predicate->count && predicate->conditions[at].column != column) at++;
    if (at < predicate->count) return predicate_narrow(predicate, &predicate->conditions[at], &added);
    SHX_TRY(predicate_make_room(predicate, column));
    SHX_TRY(predicate_set_ranges(&predicate->conditions[at], added.ranges, added.count));
    predicate->count++;
    return SHX_OK;
}

/* ---- testing ---- */

static bool predicate_condition_admits(const shx_condition *condition, const shx_value *value) {
    uint64_t low = 0, high = condition->count; /* ranges before `low` start before the value */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (shx_cut_passed(&condition->ranges[middle].low, value)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && !shx_cut_passed(&condition->ranges[low - 1].high, value);
}

bool shx_predicate_names(const shx_predicate *predicate, int64_t rowid) {
    uint64_t low = 0, high = predicate->rowid_count;
    if (!predicate->restricted) return true;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (predicate->rowids[middle] < rowid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < predicate->rowid_count && predicate->rowids[low] == rowid;
}

shx_status shx_predicate_test(const shx_predicate *predicate, int64_t rowid, const shx_packed *columns,
                              bool *ret_admitted) {
    bool admitted = shx_predicate_names(predicate, rowid);
    for (uint64_t i = 0; admitted && i < predicate->count; i++) {
        const shx_condition *condition = &predicate->conditions[i];
        shx_value value = {.type = SHX_VALUE_INTEGER, .is.integer = rowid};
        if (condition->column != SHX_COLUMN_ROWID) {
            shx_packed bytes;
            SHX_CHECK(shx_packed_find(columns, condition->column, &bytes), shx_corrupt("columns"));
            const uint8_t *at = bytes.bytes;
            SHX_CHECK(shx_value_read(&at, at + bytes.size, &value), shx_corrupt("columns"));
        }
        admitted = predicate_condition_admits(condition, &value);
    }
    *ret_admitted = admitted;
    return SHX_OK;
}
