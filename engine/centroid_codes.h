/* Scan codes of centroids: centroids are coded about a centre like the postings of one run, so that one block kernel
** gives a lower bound for 32 of them. The centre is the origin (all shards of a table, the parents), a parent (its
** shards) or a shard (its neighbours in the graph).
*/
#ifndef SHX_CENTROID_CODES_H
#define SHX_CENTROID_CODES_H

#include "kernels.h"
#include "status.h"

#include <stdbool.h>

/* Centroids as floats, one after the other; borrowed. */
typedef struct shx_centroids {
    const float *floats; /* count × code_dim */
    uint64_t count;
    uint32_t code_dim;
} shx_centroids;

/* One of them: code_dim floats. */
static inline const float *shx_centroid_at(const shx_centroids *centroids, uint64_t position) {
    return centroids->floats + position * centroids->code_dim;
}

/* Codes `count` centroids about `center` (NULL: the origin): the i-th is members[i], or i when members is NULL.
** ret_blocks: shx_blocks_of(count) blocks. */
shx_status shx_centroid_codes(const shx_centroids *centroids, const uint32_t *members, uint64_t count,
                              const float *center, shx_factor_scale *ret_scale, uint8_t *ret_blocks);

/* Whether a coordinate of a centroid from a file can be one: no coordinate of a point is over 1e15 (quantizer.h). The
** distance to a farther one would be no number, and a shard without a bound is never found. */
bool shx_centroid_usable(float coordinate);

#endif
