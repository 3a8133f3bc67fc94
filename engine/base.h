/* A base names the segments, shards and tombstones that are one commit, and how their codes are to be read.
**
** FORMAT: a container (container.h) of kind SHX_FILE_BASE; all sections are checked when the file is opened:
**
**     id  section      size     content
**     1   INFO         192      see below
**     2   MEAN         4 × D    f32: the mean that code space is centred on
**     3   CALIBRATION  (fixed)  shx_calibration (calibration.h)
**     4   SEGMENTS     40 × g   for each segment: u64 file id, u64 rows, u64 blocks, u64 first word in TOMBSTONES
**                               or 2^64-1, u64 checksum of the file (shx_container_checksum)
**     5   TOMBSTONES   4 × w    u32 masks, one a block of a segment that has any: bit i = the posting in lane i is dead
**
** INFO: 0: 16 commit id · 16: u64 generation · 24: u64 first WAL file that may hold later records · 32: u64 live rows ·
** 40: u64 file id of the shards, 0 = none · 48: u64 encoding id · 56: u64 rotation seed · 64: u32 metric · 68: u32 dim
** · 72: u32 code dim · 76: f32 bound of ip · 80: u64 next shard id · 88: u64 rows when it was last clustered as a whole
** · 96: u64 rows when it was last calibrated · 104: u64 flushes, 112: merges, 120: splits, 128: builds so far, 136:
** operations since it was last calibrated · 144: u32 element type · 152: u64 checksum of the shards' file · the rest:
** zero.
**
** A base is valid if and only if its container is, every section has its size, all numbers are in range, segments are
** all different, all files that it names are valid and have these checksums, and every run of a segment lies in a shard
** of the table or in the overflow shard. Of several valid bases on a commit's path the one with the highest generation
** counts.
*/
#ifndef SHX_BASE_H
#define SHX_BASE_H

#include "calibration.h"
#include "quantizer.h"
#include "segment.h"
#include "shards.h"

#define SHX_SEGMENTS_MAX 64

/* A shard's postings are as far from a query as its centroid and their scatter together, on average. The nearest ones
** gain by scatter, too, so that the shards where neighbours are found first are those ordered by the distance and a
** part of the scatter: with 0.3, searches for 10 neighbours scan 10 to 30 % fewer rows of word vectors and text at
** recalls of 0.9 to 0.99, and 3 to 5 % of image descriptors; with 0.2 or 0.4, at most 4 % more than with 0.3. */
#define SHX_SCATTER_PART 0.3f

/* Where a run stands. */
typedef struct shx_place {
    uint32_t segment, run;
} shx_place;

/* The numbers that a base carries along. */
typedef struct shx_base_info {
    shx_id commit;
    uint64_t generation, wal_floor, live_rows, encoding_id, next_shard;
    uint64_t clustered_rows, calibrated_rows;
    uint64_t flushes, merges, splits, builds;
    uint64_t changes; /* operations since it was last calibrated */
} shx_base_info;

/* An open base, immutable. The base of an empty index has no segments, no shards and no encoding (encoding.code_dim
** = 0). */
typedef struct shx_base {
    atomic_uint references;
    uint64_t file; /* 0 for the empty base */
    shx_base_info info;
    shx_encoding encoding;
    shx_calibration calibration;
    shx_shards *shards; /* NULL when there is no encoding */
    uint32_t segment_count;
    shx_segment *segments[SHX_SEGMENTS_MAX];
    const uint32_t *dead[SHX_SEGMENTS_MAX]; /* per block, or NULL */
    uint32_t *first_place;                  /* shards->count + 2: shard s has places[first_place[s] … first_place[s+1]);
                                            ** the overflow shard's position is shards->count */
    shx_place *places;
    float *handicaps; /* per shard, for the router: SHX_SCATTER_PART of its scatter */
    shx_container container;
    shx_file *lock; /* the base's file, locked shared: nothing that it names is removed (collect.h) */
} shx_base;

/* A base of nothing: the genesis of an index. Its encoding has metric and dim, but no code dimension. */
shx_status shx_base_empty(const shx_id *genesis, const shx_space *space, shx_base **ret_base);

/* Opens a base and everything that it names, and takes a shared lock on its file. `known` (may be NULL) lends segments
** and shards that are open already. SHX_NOTFOUND when it is gone or about to be removed, SHX_CORRUPT when a part is
** damaged or of another space. */
shx_status shx_base_open(shx_store *store, const shx_id *uuid, uint64_t file, const shx_space *space,
                         const shx_base *known, shx_base **ret_base);
void shx_base_retain(shx_base *base);
void shx_base_release(shx_base *base);

/* The mean squared distance of a shard's postings and its centroid, by the shard's position; 0 where there are no
** codes. */
static inline float shx_base_scatter(const shx_base *base, uint32_t shard) {
    return base->handicaps[shard] / SHX_SCATTER_PART;
}

/* The share of the segments' rows that live, above 0. */
double shx_base_live_share(const shx_base *base);

/* The rows of a shard in all segments, dead ones included. */
uint32_t shx_base_shard_rows(const shx_base *base, uint64_t shard);

/* The run at a place. */
static inline const shx_run *shx_base_run(const shx_base *base, shx_place place) {
    return &base->segments[place.segment]->runs[place.run];
}

/* What a base file is written from. */
typedef struct shx_base_plan {
    shx_base_info info;
    const shx_encoding *encoding;
    const shx_calibration *calibration;
    uint64_t shards_file, shards_checksum;
    uint32_t segment_count;
    struct {
        uint64_t file, rows, blocks, checksum;
        const uint32_t *dead; /* one mask a block, or NULL */
    } segments[SHX_SEGMENTS_MAX];
} shx_base_plan;

/* Writes a base as the file `file`, synced: from then on all that it names counts. SHX_BUSY when the name exists. */
shx_status shx_base_write(shx_store *store, const shx_id *uuid, uint64_t file, const shx_base_plan *plan);

/* The ids of the files that a base names, without opening them: for the removal of files. */
typedef struct shx_base_names {
    shx_id commit;
    uint64_t generation, shards_file, wal_floor;
    uint32_t segment_count;
    uint64_t segments[SHX_SEGMENTS_MAX];
} shx_base_names;

/* SHX_NOTFOUND, SHX_CORRUPT: the file is not there, or no valid base of this index. */
shx_status shx_base_read_names(shx_store *store, const shx_id *uuid, uint64_t file, shx_base_names *ret_names);

#endif
