#include "rowmap.h"

#include "memory.h"

#include <string.h>

void shx_rowmap_free(shx_rowmap *map) {
    shx_free(map->keys);
    shx_free(map->values);
    memset(map, 0, sizeof *map);
}

void shx_rowmap_clear(shx_rowmap *map) {
    if (map->capacity) memset(map->values, 0, map->capacity * sizeof *map->values);
    map->count = 0;
}

/* The slot of a key, or the empty slot where it would go (Fibonacci hashing with a xor-shift for clustered rowids). */
static uint64_t rowmap_slot(const shx_rowmap *map, int64_t key) {
    uint64_t hash = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t slot = (hash ^ (hash >> 32)) & (map->capacity - 1);
    while (map->values[slot] != 0 && map->keys[slot] != key) slot = (slot + 1) & (map->capacity - 1);
    return slot;
}

static shx_status rowmap_resize(shx_rowmap *map, uint64_t capacity) {
    shx_rowmap grown = {.keys = shx_alloc(capacity * sizeof(int64_t)),
                        .values = shx_alloc_zero(capacity, sizeof(uint32_t)),
                        .capacity = capacity,
                        .count = map->count};
    if (!grown.keys || !grown.values) {
        shx_rowmap_free(&grown);
        return SHX_NOMEM;
    }
    for (uint64_t i = 0; i < map->capacity; i++) {
        if (map->values[i] == 0) continue;
        uint64_t slot = rowmap_slot(&grown, map->keys[i]);
        grown.keys[slot] = map->keys[i];
        grown.values[slot] = map->values[i];
    }
    shx_rowmap_free(map);
    *map = grown;
    return SHX_OK;
}

shx_status shx_rowmap_reserve(shx_rowmap *map, uint64_t more) {
    uint64_t capacity = map->capacity ? map->capacity : 64;
    while ((map->count + more) * 4 > capacity * 3) capacity *= 2;
    return capacity == map->capacity ? SHX_OK : rowmap_resize(map, capacity);
}

shx_status shx_rowmap_put(shx_rowmap *map, int64_t key, uint32_t value) {
    SHX_TRY(shx_rowmap_reserve(map, 1));
    uint64_t slot = rowmap_slot(map, key);
    if (map->values[slot] == 0) map->count++;
    map->keys[slot] = key;
    map->values[slot] = value + 1;
    return SHX_OK;
}

bool shx_rowmap_get(const shx_rowmap *map, int64_t key, uint32_t *ret_value) {
    if (map->count == 0) return false;
    uint64_t slot = rowmap_slot(map, key);
    if (map->values[slot] == 0) return false;
    *ret_value = map->values[slot] - 1;
    return true;
}
