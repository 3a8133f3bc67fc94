/* A map from 64-bit keys to positions in an array whose elements have these keys. They are looked up in the array,
** wherever that is: as long as positions come one by one from 0 on, and their keys ascend, they are found by halving it
** and take no memory. All others stand in a hash table (open addressing, linear probing, power-of-two capacity), 5 to
** 11 bytes each.
*/
#ifndef SHX_ROWMAP_H
#define SHX_ROWMAP_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise; free with shx_rowmap_free. */
typedef struct shx_rowmap {
    uint32_t ascending; /* positions below this are in the map, and their keys ascend */
    uint32_t *slots;    /* of the others: position + 1; 0 = empty */
    uint64_t capacity, used;
} shx_rowmap;

/* The array: what key the element at a position has. It must be the same in every call for a map. */
typedef struct shx_rowmap_keys {
    const void *array;
    int64_t (*key)(const void *array, uint32_t position);
} shx_rowmap_keys;

void shx_rowmap_free(shx_rowmap *map);

/* Forgets all keys and keeps the memory. */
void shx_rowmap_clear(shx_rowmap *map);

/* Makes room, so that the next `more` puts cannot fail. */
shx_status shx_rowmap_reserve(shx_rowmap *map, shx_rowmap_keys keys, uint64_t more);

/* The key of the element at `position` < UINT32_MAX, new or old, means this element from now on. */
shx_status shx_rowmap_put(shx_rowmap *map, shx_rowmap_keys keys, uint32_t position);

#define SHX_ROWMAP_NONE UINT32_MAX

/* Takes the put of `position` back, the latest one that was not taken back yet: its key means the element at `before`
** again, or nothing when that is SHX_ROWMAP_NONE. */
void shx_rowmap_undo(shx_rowmap *map, shx_rowmap_keys keys, uint32_t position, uint32_t before);

/* False when the key is not there. */
bool shx_rowmap_get(const shx_rowmap *map, shx_rowmap_keys keys, int64_t key, uint32_t *ret_position);

#endif
