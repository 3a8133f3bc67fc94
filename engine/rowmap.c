#include "rowmap.h"

#include "memory.h"

#include <string.h>

void shx_rowmap_free(shx_rowmap *map) {
    shx_free(map->slots);
    memset(map, 0, sizeof *map);
}

void shx_rowmap_clear(shx_rowmap *map) {
    if (map->capacity) memset(map->slots, 0, map->capacity * sizeof *map->slots);
    map->count = 0;
}

/* The slot of a key, or the empty slot where it would go (Fibonacci hashing with a xor-shift for clustered rowids). */
static uint64_t rowmap_slot(const shx_rowmap *map, shx_rowmap_keys keys, int64_t key) {
    uint64_t hash = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t slot = (hash ^ (hash >> 32)) & (map->capacity - 1);
    while (map->slots[slot] != 0 && keys.key(keys.array, map->slots[slot] - 1) != key) {
        slot = (slot + 1) & (map->capacity - 1);
    }
    return slot;
}

static shx_status rowmap_resize(shx_rowmap *map, shx_rowmap_keys keys, uint64_t capacity) {
    shx_rowmap grown = {
        .slots = shx_alloc_zero(capacity, sizeof *grown.slots), .capacity = capacity, .count = map->count};
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
    while ((map->count + more) * 4 > capacity * 3) capacity *= 2;
    return capacity == map->capacity ? SHX_OK : rowmap_resize(map, keys, capacity);
}

shx_status shx_rowmap_put(shx_rowmap *map, shx_rowmap_keys keys, uint32_t position) {
    SHX_TRY(shx_rowmap_reserve(map, keys, 1));
    uint64_t slot = rowmap_slot(map, keys, keys.key(keys.array, position));
    if (map->slots[slot] == 0) map->count++;
    map->slots[slot] = position + 1;
    return SHX_OK;
}

bool shx_rowmap_get(const shx_rowmap *map, shx_rowmap_keys keys, int64_t key, uint32_t *ret_position) {
    if (map->count == 0) return false;
    uint64_t slot = rowmap_slot(map, keys, key);
    if (map->slots[slot] == 0) return false;
    *ret_position = map->slots[slot] - 1;
    return true;
}
