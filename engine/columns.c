#include "columns.h"

#include "memory.h"
#include "planted.h"

#include <assert.h>

static_assert(sizeof(shx_column_entry) == 64, "a column's entry is 64 bytes on disk");
static_assert(offsetof(shx_column_entry, distinct) == 32, "the number of values stands at 32");
static_assert(sizeof(shx_zone) == 8, "a zone is 8 bytes on disk");

static shx_status columns_check_entries(const shx_columns *columns, uint64_t *ret_starts, uint64_t *ret_values) {
    uint64_t starts = 0, values = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        const shx_column_entry *entry = &columns->entries[i];
        SHX_CHECK(entry->first == starts && entry->values_at == values, shx_corrupt("column"));
        SHX_CHECK(entry->distinct <= columns->rows, shx_corrupt("column"));
        starts += (uint64_t)entry->distinct + 1;
        SHX_CHECK(shx_add(values, entry->values_size, &values), shx_corrupt("column"));
    }
    *ret_starts = starts;
    *ret_values = values;
    return SHX_OK;
}

static shx_status columns_find_sections(const shx_container *container, shx_columns *columns) {
    uint64_t cells, zones, starts = 0, size = 0;
    const void *entries, *ids, *zone, *start, *offsets, *values, *by_value;
    bool fits = shx_mul(columns->rows, columns->count, &cells) && shx_mul(columns->runs, columns->count, &zones);
    SHX_CHECK(fits, shx_corrupt("column count"));
    SHX_TRY(shx_container_section(container, SHX_COLUMN_ENTRIES, columns->count, sizeof(shx_column_entry), &entries));
    columns->entries = entries;
    SHX_TRY(columns_check_entries(columns, &starts, &size));
    SHX_TRY(shx_container_section(container, SHX_COLUMN_IDS, cells, sizeof(uint32_t), &ids));
    SHX_TRY(shx_container_section(container, SHX_COLUMN_ZONES, zones, sizeof(shx_zone), &zone));
    SHX_TRY(shx_container_section(container, SHX_COLUMN_STARTS, starts, sizeof(uint32_t), &start));
    SHX_TRY(shx_container_section(container, SHX_COLUMN_OFFSETS, starts, sizeof(uint64_t), &offsets));
    SHX_TRY(shx_container_section(container, SHX_COLUMN_VALUES, size, 1, &values));
    SHX_TRY(shx_container_section(container, SHX_COLUMN_BY_VALUE, cells, sizeof(uint32_t), &by_value));
    columns->ids = ids;
    columns->zones = zone;
    columns->starts = start;
    columns->offsets = offsets;
    columns->values = values;
    columns->by_value = by_value;
    return SHX_OK;
}

shx_status shx_columns_open(const shx_container *container, uint64_t id, uint32_t count, uint64_t rows, uint32_t runs,
                            shx_columns *ret_columns) {
    *ret_columns = (shx_columns){.count = count, .runs = runs, .rows = rows, .id = id};
    SHX_TRY(columns_find_sections(container, ret_columns));
    ret_columns->verified = shx_alloc_zero(count, sizeof *ret_columns->verified);
    return ret_columns->verified ? SHX_OK : SHX_NOMEM;
}

void shx_columns_free(shx_columns *columns) { shx_free((void *)columns->verified); }

/* ---- verifying ---- */

uint64_t shx_columns_checksum(const shx_column_entry *entry, const shx_column_parts *parts, uint64_t rows,
                              uint64_t id) {
    uint64_t elements = (uint64_t)entry->distinct + 1;
    uint64_t hash = shx_hash64(parts->starts, elements * sizeof *parts->starts, id);
    hash = shx_hash64(parts->offsets, elements * sizeof *parts->offsets, hash);
    hash = shx_hash64(parts->values, entry->values_size, hash);
    return shx_hash64(parts->by_value, rows * sizeof *parts->by_value, hash);
}

static shx_column_parts columns_parts(const shx_columns *columns, uint32_t column) {
    const shx_column_entry *entry = &columns->entries[column];
    return (shx_column_parts){.starts = columns->starts + entry->first,
                              .offsets = columns->offsets + entry->first,
                              .values = columns->values + entry->values_at,
                              .by_value = columns->by_value + column * columns->rows};
}

static shx_status columns_check_parts(const shx_columns *columns, const shx_column_entry *entry,
                                      const shx_column_parts *parts) {
    const uint32_t *starts = parts->starts;
    const uint64_t *offsets = parts->offsets;
    SHX_CHECK(starts[0] == 0 && starts[entry->distinct] == columns->rows, shx_corrupt("starts of a column"));
    SHX_CHECK(offsets[0] == 0 && offsets[entry->distinct] == entry->values_size, shx_corrupt("offsets of a column"));
    for (uint32_t i = 0; i < entry->distinct; i++) {
        SHX_CHECK(starts[i] < starts[i + 1], shx_corrupt("starts of a column"));
        SHX_CHECK(offsets[i] < offsets[i + 1], shx_corrupt("offsets of a column"));
    }
    for (uint64_t i = 0; i < columns->rows; i++) {
        SHX_CHECK(parts->by_value[i] < columns->rows, shx_corrupt("rows of a column"));
    }
    return SHX_OK;
}

shx_status shx_columns_verify(const shx_columns *columns, uint32_t column) {
    SHX_CHECK(column < columns->count, shx_corrupt("missing column"));
    if (atomic_load_explicit(&columns->verified[column], memory_order_relaxed)) return SHX_OK;
    const shx_column_entry *entry = &columns->entries[column];
    const shx_column_parts parts = columns_parts(columns, column);
    uint64_t checksum = shx_columns_checksum(entry, &parts, columns->rows, columns->id);
    SHX_CHECK(checksum == entry->checksum || SHX_PLANTED(8), shx_corrupt("column checksum"));
    SHX_TRY(columns_check_parts(columns, entry, &parts));
    atomic_store_explicit(&columns->verified[column], 1, memory_order_relaxed);
    return SHX_OK;
}

static shx_status columns_read_value(const shx_columns *columns, uint32_t column, uint32_t id, shx_value *ret_value) {
    shx_packed bytes = {0};
    SHX_TRY(shx_columns_value(columns, column, id, &bytes));
    const uint8_t *at = bytes.bytes, *end = at + bytes.size;
    SHX_CHECK(shx_value_read(&at, end, ret_value) && at == end, shx_corrupt("value"));
    return SHX_OK;
}

shx_status shx_columns_check(const shx_columns *columns) {
    for (uint32_t column = 0; column < columns->count; column++) {
        SHX_TRY(shx_columns_verify(columns, column));
        shx_value before, value;
        for (uint32_t id = 0; id < columns->entries[column].distinct; id++) {
            SHX_TRY(columns_read_value(columns, column, id, &value));
            SHX_CHECK(id == 0 || shx_value_compare(&before, &value) < 0, shx_corrupt("order of values"));
            before = value;
        }
        for (uint64_t row = 0; row < columns->rows; row++) {
            bool known = columns->ids[column * columns->rows + row] < columns->entries[column].distinct;
            SHX_CHECK(known, shx_corrupt("id of a value"));
        }
    }
    return SHX_OK;
}

/* ---- look-ups ---- */

shx_status shx_columns_value(const shx_columns *columns, uint32_t column, uint32_t id, shx_packed *ret_bytes) {
    const shx_column_entry *entry = &columns->entries[column];
    SHX_CHECK(id < entry->distinct, shx_corrupt("id of a value"));
    const uint64_t *offsets = columns->offsets + entry->first + id;
    uint64_t size = offsets[1] - offsets[0];
    SHX_CHECK(size <= UINT32_MAX, shx_corrupt("size of a value"));
    *ret_bytes = (shx_packed){columns->values + entry->values_at + offsets[0], (uint32_t)size};
    return SHX_OK;
}

shx_status shx_columns_seek(const shx_columns *columns, uint32_t column, const shx_cut *cut, uint32_t *ret_id) {
    uint32_t low = 0, high = columns->entries[column].distinct;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        shx_value value;
        SHX_TRY(columns_read_value(columns, column, middle, &value));
        if (shx_cut_passed(cut, &value)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_id = low;
    return SHX_OK;
}

uint64_t shx_columns_hash_ids(const shx_columns *columns, uint64_t first, uint64_t count, uint64_t hash) {
    for (uint32_t column = 0; column < columns->count; column++) {
        hash = shx_hash64(columns->ids + column * columns->rows + first, count * sizeof(uint32_t), hash);
    }
    return hash;
}
