/* The shards of a base: ids, centroids, and whether a shard still takes postings. Immutable; a split or a fold makes a
** new table. Shared by bases that have the same shards.
**
** FORMAT: a container (container.h) of kind SHX_FILE_SHARDS; s shards, D = code dimension:
**
**     id  section    size                              content (all sections are checked when the file is opened)
**     1   INFO       64                                u64 shards, u32 code dim, u32 zero, shx_factor_scale of
**                                                      BLOCKS, 32 zero
**     2   IDS        8 × s                             u64 shard ids, ascending, ≥ SHX_SHARD_FIRST
**     3   OPEN       s                                 u8: 1 open (takes postings), 0 closed (only drained)
**     4   CENTROIDS  4 × D × s                         f32, in code space
**     5   BLOCKS     shx_block_bytes(D) × ceil(s/32)   scan codes of the centroids about the origin, for the router
**
** A table is valid if and only if its container is, every section has the size above, ids ascend and every centroid is
** finite.
** The overflow shard (segment.h) has no centroid and does not appear here.
*/
#ifndef SHX_SHARDS_H
#define SHX_SHARDS_H

#include "container.h"
#include "quantizer.h"

#include <stdatomic.h>

typedef struct shx_shards {
    atomic_uint references;
    uint64_t file; /* its file id, 0 while it is in memory only */
    uint64_t count;
    uint32_t code_dim;
    shx_factor_scale scale;
    const uint64_t *ids;
    const uint8_t *open;
    const float *centroids;
    const uint8_t *blocks;
    void *memory; /* owner of the four, or */
    shx_container container;
} shx_shards;

/* A table in memory of `count` shards, ascending by id; everything is copied. */
shx_status shx_shards_create(uint32_t code_dim, uint64_t count, const uint64_t *ids, const uint8_t *open,
                             const float *centroids, shx_shards **ret_shards);

/* Writes a table as the file `file`. */
shx_status shx_shards_write(shx_store *store, const shx_id *uuid, uint64_t file, const shx_shards *shards);

shx_status shx_shards_open(shx_store *store, const shx_id *uuid, uint64_t file, uint32_t code_dim,
                           shx_shards **ret_shards);
void shx_shards_retain(shx_shards *shards);
void shx_shards_release(shx_shards *shards);

/* The position of a shard id in the table; false when it is not there. */
bool shx_shards_find(const shx_shards *shards, uint64_t id, uint32_t *ret_position);

#endif
