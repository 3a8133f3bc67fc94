/* Writing columns: the values of all rows are told apart by a hash table, those that occur are sorted. */
#include "columns.h"

#include "memory.h"
#include "order.h"

#include <string.h>

#define COLUMN_CHECK_ROWS 4096 /* or values, between two looks at the progress */

/* One column of a plan. */
typedef struct column_part {
    uint32_t *ids, *starts, *by_value;
    uint64_t *offsets;
    uint8_t *values;
    shx_column_entry entry;
} column_part;

struct shx_columns_plan {
    uint32_t count;
    uint64_t rows;
    shx_columns_source source;
    const void *context;
    shx_progress *progress;
    column_part *parts;
};

/* ---- the values that occur ---- */

/* A value and how many rows have it. */
typedef struct column_value {
    shx_value value;
    shx_packed bytes;
    uint64_t hash;
    uint32_t rows;
} column_value;

typedef const column_value *column_item;

typedef struct column_dictionary {
    column_value *values; /* in the order of appearance */
    uint64_t count, capacity;
    uint32_t *slots; /* 1 + the number of a value, 0: free */
    uint64_t slot_count;
    column_item *sorted, *merged; /* the values in order, and room for as many */
} column_dictionary;

static uint64_t column_slot(const column_dictionary *dictionary, uint64_t hash, const shx_packed *bytes) {
    uint64_t mask = dictionary->slot_count - 1, slot = hash & mask;
    for (; dictionary->slots[slot]; slot = (slot + 1) & mask) {
        const column_value *value = &dictionary->values[dictionary->slots[slot] - 1];
        bool equal = value->hash == hash && value->bytes.size == bytes->size &&
                     memcmp(value->bytes.bytes, bytes->bytes, bytes->size) == 0;
        if (equal) break;
    }
    return slot;
}

static shx_status column_grow_slots(column_dictionary *dictionary) {
    if (dictionary->slots && dictionary->count < dictionary->slot_count / 2) return SHX_OK;
    uint64_t slot_count = dictionary->slot_count ? dictionary->slot_count * 2 : 64;
    uint32_t *slots = shx_alloc_zero(slot_count, sizeof *slots);
    SHX_CHECK(slots, SHX_NOMEM);
    shx_free(dictionary->slots);
    dictionary->slots = slots;
    dictionary->slot_count = slot_count;
    for (uint64_t i = 0; i < dictionary->count; i++) {
        uint64_t slot = dictionary->values[i].hash & (slot_count - 1);
        while (slots[slot]) slot = (slot + 1) & (slot_count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    return SHX_OK;
}

static shx_status column_number(column_dictionary *dictionary, const shx_packed *bytes, uint32_t *ret_number) {
    SHX_TRY(column_grow_slots(dictionary));
    uint64_t hash = shx_hash64(bytes->bytes, bytes->size, 0), slot = column_slot(dictionary, hash, bytes);
    if (!dictionary->slots[slot]) {
        SHX_TRY(shx_grow((void **)&dictionary->values, &dictionary->capacity, dictionary->count + 1,
                         sizeof *dictionary->values));
        column_value value = {.bytes = *bytes, .hash = hash};
        const uint8_t *at = bytes->bytes;
        SHX_CHECK(shx_value_read(&at, at + bytes->size, &value.value), shx_corrupt("value"));
        dictionary->values[dictionary->count++] = value;
        dictionary->slots[slot] = (uint32_t)dictionary->count;
    }
    *ret_number = dictionary->slots[slot] - 1;
    dictionary->values[*ret_number].rows++;
    return SHX_OK;
}

/* ---- their order ---- */

static bool column_before(const column_item *a, const column_item *b) {
    return shx_value_compare(&(*a)->value, &(*b)->value) < 0;
}

SHX_DEFINE_ORDER(column_items, column_item, column_before)

/* Merges two sorted pieces, the second of which starts in the middle. */
static shx_status column_merge(const column_item *from, uint64_t middle, uint64_t count, column_item *to,
                               shx_progress *progress) {
    uint64_t left = 0, right = middle;
    for (uint64_t at = 0; at < count; at++) {
        if (at % COLUMN_CHECK_ROWS == 0) SHX_TRY(shx_progress_check(progress));
        bool take_right = left == middle || (right < count && column_before(&from[right], &from[left]));
        to[at] = take_right ? from[right++] : from[left++];
    }
    return SHX_OK;
}

/* In pieces, which are then merged by twos, so that even millions of values leave time to ask whether to go on. */
static shx_status column_sort(column_dictionary *dictionary, shx_progress *progress) {
    uint64_t count = dictionary->count;
    dictionary->sorted = shx_alloc(count * sizeof *dictionary->sorted);
    dictionary->merged = shx_alloc(count * sizeof *dictionary->merged);
    SHX_CHECK(dictionary->sorted && dictionary->merged, SHX_NOMEM);
    for (uint64_t i = 0; i < count; i++) dictionary->sorted[i] = &dictionary->values[i];
    for (uint64_t first = 0; first < count; first += COLUMN_CHECK_ROWS) {
        SHX_TRY(shx_progress_check(progress));
        uint64_t left = count - first, piece = left < COLUMN_CHECK_ROWS ? left : COLUMN_CHECK_ROWS;
        column_items_sort(dictionary->sorted + first, piece);
    }
    for (uint64_t size = COLUMN_CHECK_ROWS; size < count; size *= 2) {
        for (uint64_t first = 0; first < count; first += 2 * size) {
            uint64_t left = count - first, middle = left < size ? left : size, end = left < 2 * size ? left : 2 * size;
            SHX_TRY(column_merge(dictionary->sorted + first, middle, end, dictionary->merged + first, progress));
        }
        column_item *sorted = dictionary->merged;
        dictionary->merged = dictionary->sorted;
        dictionary->sorted = sorted;
    }
    return SHX_OK;
}

/* ---- one column ---- */

static shx_status column_allocate(column_part *part, const column_dictionary *dictionary, uint64_t rows) {
    uint64_t size = 0, distinct = dictionary->count;
    for (uint64_t i = 0; i < distinct; i++) size += dictionary->values[i].bytes.size;
    part->starts = shx_alloc_zero(distinct + 1, sizeof *part->starts);
    part->offsets = shx_alloc_zero(distinct + 1, sizeof *part->offsets);
    part->values = shx_alloc(size);
    part->by_value = shx_alloc_zero(rows, sizeof *part->by_value);
    part->entry.distinct = (uint32_t)distinct;
    part->entry.values_size = size;
    return part->starts && part->offsets && part->values && part->by_value ? SHX_OK : SHX_NOMEM;
}

/* The dictionary is sorted: lays the values out, and tells which id the one of a number has. */
static void column_lay_out_values(column_part *part, const column_dictionary *dictionary, uint32_t *id_of) {
    for (uint32_t id = 0; id < part->entry.distinct; id++) {
        const column_value *value = dictionary->sorted[id];
        id_of[value - dictionary->values] = id;
        memcpy(part->values + part->offsets[id], value->bytes.bytes, value->bytes.size);
        part->offsets[id + 1] = part->offsets[id] + value->bytes.size;
        part->starts[id + 1] = part->starts[id] + value->rows;
    }
}

/* Numbers in the rows become ids, and the rows are listed by them. */
static shx_status column_lay_out_rows(column_part *part, const shx_columns_plan *plan, const uint32_t *id_of) {
    for (uint64_t row = 0; row < plan->rows; row++) {
        if (row % COLUMN_CHECK_ROWS == 0) SHX_TRY(shx_progress_check(plan->progress));
        uint32_t id = id_of[part->ids[row]];
        part->ids[row] = id;
        part->by_value[part->starts[id]++] = (uint32_t)row;
    }
    for (uint32_t id = part->entry.distinct; id > 0; id--) part->starts[id] = part->starts[id - 1];
    part->starts[0] = 0;
    return SHX_OK;
}

static shx_status column_lay_out(column_part *part, const column_dictionary *dictionary, const shx_columns_plan *plan) {
    SHX_TRY(column_allocate(part, dictionary, plan->rows));
    uint32_t *id_of = shx_alloc_zero(dictionary->count, sizeof *id_of);
    SHX_CHECK(id_of, SHX_NOMEM);
    column_lay_out_values(part, dictionary, id_of);
    shx_status status = column_lay_out_rows(part, plan, id_of);
    shx_free(id_of);
    return status;
}

static shx_status column_make(const shx_columns_plan *plan, uint32_t column, column_dictionary *dictionary) {
    column_part *part = &plan->parts[column];
    part->ids = shx_alloc_zero(plan->rows, sizeof *part->ids);
    SHX_CHECK(part->ids, SHX_NOMEM);
    for (uint64_t row = 0; row < plan->rows; row++) {
        shx_packed bytes;
        if (row % COLUMN_CHECK_ROWS == 0) SHX_TRY(shx_progress_check(plan->progress));
        SHX_TRY(plan->source(plan->context, row, column, &bytes));
        SHX_TRY(column_number(dictionary, &bytes, &part->ids[row]));
    }
    SHX_TRY(column_sort(dictionary, plan->progress));
    return column_lay_out(part, dictionary, plan);
}

static shx_status columns_make(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    shx_status status = SHX_OK;
    for (uint64_t column = first; column < end && status == SHX_OK; column++) {
        column_dictionary dictionary = {0};
        status = column_make(context, (uint32_t)column, &dictionary);
        shx_free(dictionary.values);
        shx_free(dictionary.slots);
        shx_free(dictionary.sorted);
        shx_free(dictionary.merged);
    }
    return status;
}

/* ---- the plan ---- */

shx_status shx_columns_plan_make(uint32_t count, uint64_t rows, shx_columns_source source, const void *context,
                                 shx_pool *pool, shx_columns_plan **ret_plan) {
    shx_columns_plan *plan = shx_alloc_zero(1, sizeof *plan);
    SHX_CHECK(plan, SHX_NOMEM);
    *plan = (shx_columns_plan){
        .count = count, .rows = rows, .source = source, .context = context, .progress = shx_pool_progress(pool)};
    plan->parts = shx_alloc_zero(count, sizeof *plan->parts);
    shx_status status = plan->parts ? shx_pool_run(pool, count, 1, columns_make, plan) : SHX_NOMEM;
    uint64_t starts = 0, values = 0;
    for (uint32_t i = 0; i < count && status == SHX_OK; i++) {
        shx_column_entry *entry = &plan->parts[i].entry;
        entry->first = starts;
        entry->values_at = values;
        starts += (uint64_t)entry->distinct + 1;
        values += entry->values_size;
    }
    if (status != SHX_OK) {
        shx_columns_plan_free(plan);
        return status;
    }
    *ret_plan = plan;
    return SHX_OK;
}

void shx_columns_plan_free(shx_columns_plan *plan) {
    if (!plan) return;
    for (uint32_t i = 0; plan->parts && i < plan->count; i++) {
        shx_free(plan->parts[i].ids);
        shx_free(plan->parts[i].starts);
        shx_free(plan->parts[i].by_value);
        shx_free(plan->parts[i].offsets);
        shx_free(plan->parts[i].values);
    }
    shx_free(plan->parts);
    shx_free(plan);
}

const uint32_t *shx_columns_plan_order(const shx_columns_plan *plan, uint32_t column) {
    return plan->parts[column].by_value;
}

void shx_columns_sections(const shx_columns_plan *plan, uint32_t runs, shx_section ret_sections[SHX_COLUMNS_SECTIONS]) {
    uint64_t starts = 0, values = 0, cells = plan->rows * plan->count;
    for (uint32_t i = 0; i < plan->count; i++) {
        starts += (uint64_t)plan->parts[i].entry.distinct + 1;
        values += plan->parts[i].entry.values_size;
    }
    const uint64_t sizes[SHX_COLUMNS_SECTIONS] = {plan->count * sizeof(shx_column_entry),
                                                  cells * sizeof(uint32_t),
                                                  (uint64_t)runs * plan->count * sizeof(shx_zone),
                                                  starts * sizeof(uint32_t),
                                                  starts * sizeof(uint64_t),
                                                  values,
                                                  cells * sizeof(uint32_t)};
    for (uint32_t i = 0; i < SHX_COLUMNS_SECTIONS; i++) {
        uint32_t section = SHX_COLUMN_ENTRIES + i;
        bool checked = section == SHX_COLUMN_ENTRIES || section == SHX_COLUMN_ZONES;
        ret_sections[i] = (shx_section){.id = section, .checked = checked, .size = sizes[i]};
    }
}

/* ---- writing ---- */

static shx_zone column_zone(const column_part *part, uint64_t first, uint64_t end) {
    shx_zone zone = {UINT32_MAX, 0};
    for (uint64_t row = first; row < end; row++) {
        if (part->ids[row] < zone.lowest) zone.lowest = part->ids[row];
        if (part->ids[row] > zone.highest) zone.highest = part->ids[row];
    }
    return zone;
}

static void column_write(const shx_columns_plan *plan, uint32_t column, shx_container_writer *out) {
    column_part *part = &plan->parts[column];
    shx_column_entry *entry = &part->entry;
    uint64_t elements = (uint64_t)entry->distinct + 1, cells = plan->rows * sizeof(uint32_t);
    const shx_column_parts parts = {part->starts, part->offsets, part->values, part->by_value};
    entry->checksum = shx_columns_checksum(entry, &parts, plan->rows, out->id);
    shx_container_put(out, SHX_COLUMN_STARTS, entry->first * sizeof(uint32_t), part->starts,
                      elements * sizeof(uint32_t));
    shx_container_put(out, SHX_COLUMN_OFFSETS, entry->first * sizeof(uint64_t), part->offsets,
                      elements * sizeof(uint64_t));
    shx_container_put(out, SHX_COLUMN_VALUES, entry->values_at, part->values, entry->values_size);
    shx_container_put(out, SHX_COLUMN_BY_VALUE, column * cells, part->by_value, cells);
}

shx_status shx_columns_write(const shx_columns_plan *plan, const uint64_t *first_rows, uint32_t runs,
                             shx_container_writer *out) {
    shx_column_entry *entries = shx_alloc_zero(plan->count, sizeof *entries);
    shx_zone *zones = shx_alloc_zero((uint64_t)plan->count * runs, sizeof *zones);
    shx_status status = entries && zones ? SHX_OK : SHX_NOMEM;
    for (uint32_t column = 0; column < plan->count && status == SHX_OK; column++) {
        column_write(plan, column, out);
        entries[column] = plan->parts[column].entry;
        for (uint32_t r = 0; r < runs; r++) {
            zones[(uint64_t)column * runs + r] = column_zone(&plan->parts[column], first_rows[r], first_rows[r + 1]);
        }
    }
    if (status == SHX_OK) {
        shx_container_put(out, SHX_COLUMN_ENTRIES, 0, entries, plan->count * sizeof *entries);
        shx_container_put(out, SHX_COLUMN_ZONES, 0, zones, (uint64_t)plan->count * runs * sizeof *zones);
    }
    shx_free(entries);
    shx_free(zones);
    return status;
}

uint64_t shx_columns_write_ids(const shx_columns_plan *plan, uint64_t first, uint64_t count, uint64_t hash,
                               shx_container_writer *out) {
    for (uint32_t column = 0; column < plan->count; column++) {
        const uint32_t *ids = plan->parts[column].ids + first;
        uint64_t at = (column * plan->rows + first) * sizeof *ids;
        shx_container_put(out, SHX_COLUMN_IDS, at, ids, count * sizeof *ids);
        hash = shx_hash64(ids, count * sizeof *ids, hash);
    }
    return hash;
}
