/* Levels: the shards of a table under parents, k-means centroids of their centroids (about as many as each has shards).
** A query opens the nearest parents and ranks the shards under them.
**
** The shards under a parent are coded about it, like the postings of one run: the bounds are tighter than about the
** origin. Parents that gained or lost shards keep their place; after many changes they are made anew (routing.h).
*/
#ifndef SHX_LEVELS_H
#define SHX_LEVELS_H

#include "centroid_codes.h"
#include "kernels.h"
#include "pool.h"
#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* Pointers into a mapped file or into `memory`. */
typedef struct shx_levels {
    uint32_t parent_count;
    const float *parents;           /* parent_count × code_dim */
    const uint8_t *parent_blocks;   /* scan codes of the parents about the origin */
    const shx_factor_scale *scales; /* of the parents' blocks, then one for each parent */
    const uint32_t *first;   /* parent_count + 1: the shards under parent p are members[first[p] … first[p+1]) */
    const uint32_t *members; /* every position of the table once */
    const uint8_t *blocks;   /* scan codes of the members, each parent's in whole blocks */
    uint64_t *first_block;   /* parent_count + 1, counted from `first`; owned */
    void *memory;
} shx_levels;

/* Sorts centroids, at least one, under new parents. */
shx_status shx_levels_create(const shx_centroids *centroids, uint64_t seed, shx_pool *pool, shx_levels *ret_levels);

/* The same parents for another table: from[i] is the position in the old one of what now stands at i, or
** SHX_SHARD_NONE; those go under their nearest parent. */
shx_status shx_levels_follow(const shx_levels *before, const uint32_t *from, const shx_centroids *centroids,
                             shx_pool *pool, shx_levels *ret_levels);

/* Checks what stands in a file (all arrays set and of the right size) for a table of `count` shards, and counts
** first_block. */
shx_status shx_levels_check(shx_levels *levels, uint64_t count, uint32_t code_dim);
void shx_levels_free(shx_levels *levels);

/* How many blocks the members have. */
uint64_t shx_levels_blocks(const shx_levels *levels);

#endif
