/* A map from 64-bit keys to 32-bit values: open addressing, linear probing, power-of-two capacity. */
#ifndef SHX_ROWMAP_H
#define SHX_ROWMAP_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise; free with shx_rowmap_free. */
typedef struct shx_rowmap {
    int64_t *keys;
    uint32_t *values; /* value + 1; 0 = empty slot */
    uint64_t capacity, count;
} shx_rowmap;

void shx_rowmap_free(shx_rowmap *map);

/* Forgets all keys and keeps the memory. */
void shx_rowmap_clear(shx_rowmap *map);

/* Makes room, so that the next `more` puts cannot fail. */
shx_status shx_rowmap_reserve(shx_rowmap *map, uint64_t more);

/* Sets the value of a key, new or old. value < UINT32_MAX. */
shx_status shx_rowmap_put(shx_rowmap *map, int64_t key, uint32_t value);

/* False when the key is not there. */
bool shx_rowmap_get(const shx_rowmap *map, int64_t key, uint32_t *ret_value);

#endif
