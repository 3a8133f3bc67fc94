/* A rewrite: the postings that are to become one new segment, and the shards that they go to. Maintenance fills it
** (from the delta and from segments), clustering and splitting assign shards, and the result is written as files.
**
** Used by one thread; the pool works inside its functions.
*/
#ifndef SHX_REWRITE_H
#define SHX_REWRITE_H

#include "index_state.h"
#include "pool.h"
#include "shards.h"

/* Values of shx_rewrite.place besides positions in the list of shards. */
#define SHX_PLACE_OVERFLOW (UINT32_MAX - 1)
#define SHX_PLACE_NONE UINT32_MAX

/* One posting, where it stands in the view: in a segment of its base, or in its delta. */
typedef struct shx_rewrite_source {
    uint32_t segment, row;
} shx_rewrite_source;

#define SHX_REWRITE_DELTA UINT32_MAX /* in place of a segment */

typedef struct shx_rewrite {
    shx_pool *pool;
    const shx_view *view; /* which outlives the rewrite */
    uint32_t shard_size, columns, group; /* of the segment (segment.h) */
    shx_encoding encoding; /* mean: owned by `mean` below or by a base that outlives the rewrite */
    float *mean;
    uint64_t encoding_id;

    shx_rewrite_source *sources;
    uint32_t *place; /* where each posting goes: a position in the list of shards */
    uint64_t count, source_capacity, place_capacity;

    uint64_t *ids; /* the list of shards, ascending by id */
    uint8_t *open;
    float *centroids;
    uint64_t shard_count, id_capacity, open_capacity, centroid_capacity;
    uint64_t next_shard, splits;
} shx_rewrite;

void shx_rewrite_free(shx_rewrite *rewrite);

/* Posting `number`, and its vector; borrowed from the view. */
shx_posting shx_rewrite_posting(const shx_rewrite *rewrite, uint64_t number);
const void *shx_rewrite_vector(const shx_rewrite *rewrite, uint64_t number);

/* Makes room for `count` postings in all: else room doubles as they come. */
shx_status shx_rewrite_reserve(shx_rewrite *rewrite, uint64_t count);

/* The postings are written, and their places looked at: gives their memory back; `count` stays. */
void shx_rewrite_drop_postings(shx_rewrite *rewrite);

/* Appends a shard: open, with the next id; *ret_place is its position. */
shx_status shx_rewrite_add_shard(shx_rewrite *rewrite, const float *centroid, uint32_t *ret_place);

/* Takes over the shards of a base. The list must be empty. */
shx_status shx_rewrite_take_shards(shx_rewrite *rewrite, const shx_base *base);

/* Appends the living postings of the delta of the view, and of one segment of its base. Those of shards that are open
** keep their place when `keep_places`; the others get SHX_PLACE_NONE. */
shx_status shx_rewrite_take_delta(shx_rewrite *rewrite);
shx_status shx_rewrite_take_segment(shx_rewrite *rewrite, uint32_t segment, bool keep_places);

/* Postings ordered by place: order[first[p] … first[p+1]) are those of place p < `places`; overflow stands at p =
** `places`. Both arrays are the caller's (shx_free). All postings must have a place. */
shx_status shx_rewrite_group(const shx_rewrite *rewrite, uint64_t places, uint32_t **ret_order, uint32_t **ret_first);

/* Writes the segment file `file`; *ret_blocks: its number of blocks; *ret_checksum: as shx_container_checksum. */
shx_status shx_rewrite_write(shx_rewrite *rewrite, shx_store *store, const shx_id *uuid, uint64_t file,
                             uint64_t *ret_blocks, uint64_t *ret_checksum);

/* The table of the shards that `used` marks (one byte a shard of the list), in memory. */
shx_status shx_rewrite_table(const shx_rewrite *rewrite, const uint8_t *used, shx_shards **ret_shards);

#endif
