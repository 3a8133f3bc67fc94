/* The shards of a base: ids, centroids, and whether a shard still takes postings. Immutable; a split or a fold makes a
** new table. Shared by bases that have the same shards.
**
** FORMAT: a container (container.h) of kind SHX_FILE_SHARDS; s shards, D = code dimension:
**
**     id  section    size                              content (all sections are checked when the file is opened)
**     1   INFO       64                                u64 shards, u32 code dim, u32 way (shx_route_way),
**                                                      shx_factor_scale of BLOCKS, u32 spread, u32 changed, u32 p
**                                                      parents, u32 m, u32 entry, u32 zero, u64 u upper links
**     2   IDS        8 × s                             u64 shard ids, ascending, ≥ SHX_SHARD_FIRST
**     3   OPEN       s                                 u8: 1 open (takes postings), 0 closed (only drained)
**     4   CENTROIDS  D × s                             i8, in code space: dimension d is step × value
**     5   BLOCKS     shx_block_bytes(D) × ceil(s/32)   scan codes of the centroids about the origin, for the router
**     17  STEPS      4 × s                             f32 ≥ 0, one for each centroid
**
** The way LEVELS (levels.h) has these as well:
**
**     6   PARENTS         4 × D × p                        f32
**     7   PARENT_BLOCKS   shx_block_bytes(D) × ceil(p/32)  scan codes of the parents about the origin
**     8   PARENT_SCALES   16 × (p + 1)                     shx_factor_scale of PARENT_BLOCKS, then of each parent's
**     9   PARENT_FIRST    4 × (p + 1)                      u32: the shards under parent i are MEMBERS[first[i] …
**                                                          first[i + 1])
**     10  MEMBERS         4 × s                            u32 positions
**     11  MEMBER_BLOCKS   shx_block_bytes(D) × blocks      scan codes of each parent's shards about it, in whole blocks
**
** and the way GRAPH (graph.h) has these:
**
**     12  TOPS            s                                u8: the highest layer of each node
**     13  LINKS           8 × m × s                        u32: 2 m neighbours on layer 0, then 2^32-1
**     14  UPPER           4 × u                            u32: for each node, for each layer from 1 to its highest: m
**                                                          neighbours, likewise
**     15  NODE_SCALES     16 × s                           shx_factor_scale of each node's blocks
**     16  NODE_BLOCKS     shx_block_bytes(D) × ceil(2m/32) × s   scan codes of each node's neighbours about it
**
** A table is valid if and only if its container is, every section has the size above, ids ascend, every centroid is
** finite, and what its way needs is as levels.h and graph.h say.
** The overflow shard (segment.h) has no centroid and does not appear here.
**
** A centroid is where shx_centroid_round puts it: rounded before anything is coded about it, it costs a query a quarter
** of the memory traffic of floats (at 768 dimensions measuring centroids was a fifth of a query) and no error at all.
*/
#ifndef SHX_SHARDS_H
#define SHX_SHARDS_H

#include "container.h"
#include "graph.h"
#include "levels.h"
#include "quantizer.h"

#include <stdatomic.h>

/* How the router finds the shards near a query (router.h). Values stand in files. */
typedef enum shx_route_way {
    SHX_ROUTE_FLAT = 1,
    SHX_ROUTE_LEVELS = 2,
    SHX_ROUTE_GRAPH = 3,
} shx_route_way;

#define SHX_ROUTE_WAYS 4          /* more than any value */
#define SHX_ROUTE_SPREAD_MAX 1024 /* of shx_shards.spread */

/* "flat", "levels" or "graph". */
const char *shx_route_way_name(shx_route_way way);

typedef struct shx_shards {
    atomic_uint references;
    uint64_t file; /* its file id, 0 while it is in memory only */
    uint64_t count;
    uint32_t code_dim;
    shx_factor_scale scale;
    const uint64_t *ids;
    const uint8_t *open;
    const int8_t *centroids;
    const float *steps;
    const uint8_t *blocks;
    shx_route_way way;
    uint32_t spread;   /* how much wider than what is asked for the way looks: see router.h */
    uint32_t changed;  /* shards that came or went since the way was chosen */
    shx_levels levels; /* of the way LEVELS, else empty */
    shx_graph graph;   /* of the way GRAPH, else empty */
    void *memory;      /* owner of ids to blocks, or */
    shx_container container;
} shx_shards;

/* Moves a centroid to where a table can hold it: in each dimension -127 … 127 times a step of its own. The step has 16
** significant bits, so that the products are exact, and a rounded centroid stays where it is. */
void shx_centroid_round(float *centroid, uint32_t code_dim);

/* A table in memory of `count` shards, ascending by id, with the way FLAT; everything is copied, the
** centroids rounded. */
shx_status shx_shards_create(uint32_t code_dim, uint64_t count, const uint64_t *ids, const uint8_t *open,
                             const float *centroids, shx_shards **ret_shards);

/* Writes a table as the file `file`. *ret_checksum: as shx_container_checksum. */
shx_status shx_shards_write(shx_store *store, const shx_id *uuid, uint64_t file, const shx_shards *shards,
                            uint64_t *ret_checksum);

/* Opens and validates a table; one reference. SHX_NOTFOUND, SHX_CORRUPT, also when it is of another code dimension. */
shx_status shx_shards_open(shx_store *store, const shx_id *uuid, uint64_t file, uint32_t code_dim,
                           shx_shards **ret_shards);
void shx_shards_retain(shx_shards *shards);
void shx_shards_release(shx_shards *shards);

/* Bytes of what the way needs beside the centroids and their codes. */
uint64_t shx_shards_way_bytes(const shx_shards *shards);

/* Writes the centroid at a position as floats: ret_centroid is code_dim long. */
void shx_shards_centroid(const shx_shards *shards, uint64_t position, float *ret_centroid);

/* All centroids as floats, for work that compares them with each other; shx_free_aligned. NULL: no memory. */
float *shx_shards_centroids(const shx_shards *shards);

/* The position of a shard id in the table; false when it is not there. */
bool shx_shards_find(const shx_shards *shards, uint64_t id, uint32_t *ret_position);

#endif
