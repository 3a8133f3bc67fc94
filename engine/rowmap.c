#include "rowmap.h"

#include "memory.h"

#include <assert.h>
#include <string.h>

void shx_rowmap_free(shx_rowmap *map) {
    shx_free(map->slots);
    memset(map, 0, sizeof *map);
}

void shx_rowmap_clear(shx_rowmap *map) {
    if (map->used) memset(map->slots, 0, map->capacity * sizeof *map->slots);
    map->used = map->ascending = 0;
}

/* Where the search for a key begins (Fibonacci hashing with a xor-shift for clustered rowids). */
static uint64_t rowmap_home(const shx_rowmap *map, int64_t key) {
    uint64_t hash = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);
    return (hash ^ (hash >> 32)) & (map->capacity - 1);
}

/* The slot of a key, or the empty slot where it would go. */
static uint64_t rowmap_slot(const shx_rowmap *map, shx_rowmap_keys keys, int64_t key) {
    uint64_t slot = rowmap_home(map, key);
    while (map->slots[slot] != 0 && keys.key(keys.array, map->slots[slot] - 1) != key) {
        slot = (slot + 1) & (map->capacity - 1);
    }
    return slot;
}

static shx_status rowmap_resize(shx_rowmap *map, shx_rowmap_keys keys, uint64_t capacity) {
    shx_rowmap grown = {.ascending = map->ascending,
                        .slots = shx_alloc_zero(capacity, sizeof *grown.slots),
                        .capacity = capacity,
                        .used = map->used};
    SHX_CHECK(grown.slots, SHX_NOMEM);
    for (uint64_t i = 0; i < map->capacity; i++) {
        if (map->slots[i] == 0) continue;
        uint64_t slot = rowmap_slot(&grown, keys, keys.key(keys.array, map->slots[i] - 1));
        grown.slots[slot] = map->slots[i];
    }
    shx_rowmap_free(map);
    *map = grown;
    return SHX_OK;
}

shx_status shx_rowmap_reserve(shx_rowmap *map, shx_rowmap_keys keys, uint64_t more) {
    uint64_t capacity = map->capacity ? map->capacity : 64;
    while ((map->used + more) * 4 > capacity * 3) capacity *= 2;
    return capacity == map->capacity ? SHX_OK : rowmap_resize(map, keys, capacity);
}

/* Among the positions whose keys ascend. */
static bool rowmap_halve(const shx_rowmap *map, shx_rowmap_keys keys, int64_t key, uint32_t *ret_position) {
    uint32_t low = 0, high = map->ascending;
    if (high == 0 || key > keys.key(keys.array, high - 1)) return false;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (keys.key(keys.array, middle) <= key) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (keys.key(keys.array, low) != key) return false;
    *ret_position = low;
    return true;
}

shx_status shx_rowmap_put(shx_rowmap *map, shx_rowmap_keys keys, uint32_t position) {
    int64_t key = keys.key(keys.array, position);
    if (position == map->ascending && (position == 0 || key > keys.key(keys.array, position - 1))) {
        map->ascending++;
        return SHX_OK;
    }
    SHX_TRY(shx_rowmap_reserve(map, keys, 1));
    uint64_t slot = rowmap_slot(map, keys, key);
    if (map->slots[slot] == 0) map->used++;
    map->slots[slot] = position + 1;
    return SHX_OK;
}

/* Empties a slot. Whatever stands behind it and was looked for on the way across it moves up. */
static void rowmap_empty(shx_rowmap *map, shx_rowmap_keys keys, uint64_t slot) {
    uint64_t mask = map->capacity - 1;
    for (uint64_t next = (slot + 1) & mask; map->slots[next] != 0; next = (next + 1) & mask) {
        uint64_t home = rowmap_home(map, keys.key(keys.array, map->slots[next] - 1));
        if (((next - home) & mask) < ((next - slot) & mask)) continue;
        map->slots[slot] = map->slots[next];
        slot = next;
    }
    map->slots[slot] = 0;
    map->used--;
}

void shx_rowmap_undo(shx_rowmap *map, shx_rowmap_keys keys, uint32_t position, uint32_t before) {
    if (position < map->ascending) {
        assert(position + 1 == map->ascending && before == SHX_ROWMAP_NONE);
        map->ascending--;
        return;
    }
    uint64_t slot = rowmap_slot(map, keys, keys.key(keys.array, position));
    assert(map->slots[slot] == position + 1);
    if (before != SHX_ROWMAP_NONE && before >= map->ascending) {
        map->slots[slot] = before + 1;
    } else {
        rowmap_empty(map, keys, slot);
    }
}

bool shx_rowmap_get(const shx_rowmap *map, shx_rowmap_keys keys, int64_t key, uint32_t *ret_position) {
    uint64_t slot = map->used ? rowmap_slot(map, keys, key) : 0;
    if (map->used == 0 || map->slots[slot] == 0) return rowmap_halve(map, keys, key, ret_position);
    *ret_position = map->slots[slot] - 1;
    return true;
}
