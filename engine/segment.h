/* Segments: immutable mapped files of postings, grouped by shard. The model is a column store: codes, ids and vectors
** stand in sections of their own, in the same row order.
**
** FORMAT: a container (container.h) of kind SHX_FILE_SEGMENT; n rows in r runs and b blocks; D = code dimension:
**
**     id  section       size                   checked  content
**     1   INFO          64                     open     u64 rows, u64 blocks, u32 runs, u32 dim, u32 code dim,
**                                                       u32 metric, u64 encoding id, u32 element type, 4 zero,
**                                                       u32 columns, u32 group, 8 zero
**     2   RUNS          64 × r                 open     shx_run, ascending by shard
**     3   BLOCKS        shx_block_bytes(D) × b  run     scan codes and factors, 32 rows a block (quantizer.h)
**     4   REFINE        shx_refine_bytes(D) × n run     refine codes
**     5   FACTORS       12 × n                 run      f32 refine add, mul, error
**     6   VECTORS       size of a vector × n   vector   the vectors in their element type (element.h),
**                                                       seat by seat
**     7   ROWIDS        8 × n                  run      i64
**     8   FINGERPRINTS  16 × n                 run      u64 hash of the vector, u64 hash of the filterable columns
**     9   ORDER         4 × n                  open     u32 row numbers, ascending by rowid
**     10… 16            (columns.h)                     the filterable columns
**     17  SEATS         4 × n or 0             open     u32 seat of each row's vector
**
** BLOCKS, REFINE and FACTORS are empty where the encoding has no codes (shx_encoding_coded).
**
** A seat is where a row's vector stands in VECTORS. Group 0: the row's own number, and SEATS is empty. Group g: VECTORS
** are in the order of column g - 1 (its BY_VALUE is the row of each seat), so that those of one value stand side by
** side: to compare 340 rows that lie apart takes 55 us where memory is cold, and 15 in a row.
**
** A run is the rows [first_row, first_row + rows) in the blocks [first_block, first_block + ceil(rows / 32)): row
** first_row + i is lane i mod 32 of block first_block + i / 32. Its checksum is XXH3-64 chained over its BLOCKS,
** REFINE, FACTORS, ROWIDS and FINGERPRINTS bytes, and the IDS of each column (each hash seeds the next, the first one
** is seeded with the file id). The checksum of its rowids is XXH3-64 of its ROWIDS bytes, seeded with the file id.
**
** A segment is valid if and only if: (1) its container is; (2) every section has exactly the size above; (3) rows <
** 2^32; (4) the runs cover the rows and the blocks in order, without gap or overlap, their shards ascend, and scales
** and scatters are numbers of a size that squared distances may have; (5) ORDER holds numbers below n and the rowids
** along it ascend strictly; (6) each run's checksum matches, tested when a process first touches the run, and those of
** all rowids, tested before a row is first looked for; (7) each vector matches its fingerprint, tested when it first
** becomes a finalist in a process; (8) its columns are valid (columns.h); (9) seats are below n, and those of the rows
** along BY_VALUE of the group's column are 0, 1, 2 …. The order in (5) and in (9) is tested by shx_segment_check;
** look-ups are safe without it.
**
** Codes are made anew from the vectors whenever a segment is written, also by merges (1 to 2 µs a row at 128
** dimensions): copying sign bits and requantising factors with a margin would save that, and cost a second encoder and
** bounds that widen from merge to merge.
*/
#ifndef SHX_SEGMENT_H
#define SHX_SEGMENT_H

#include "columns.h"
#include "container.h"
#include "os.h"
#include "pool.h"
#include "quantizer.h"

#include <stdatomic.h>

typedef enum shx_segment_section {
    SHX_SEGMENT_INFO = 1,
    SHX_SEGMENT_RUNS,
    SHX_SEGMENT_BLOCKS,
    SHX_SEGMENT_REFINE,
    SHX_SEGMENT_FACTORS,
    SHX_SEGMENT_VECTORS,
    SHX_SEGMENT_ROWIDS,
    SHX_SEGMENT_FINGERPRINTS,
    SHX_SEGMENT_ORDER,
    SHX_SEGMENT_SEATS = 17,
} shx_segment_section;

#define SHX_SEGMENT_INFO_BYTES 64
#define SHX_SEGMENT_FACTOR_BYTES 12
#define SHX_SEGMENT_STRIDE 128 /* rows between those whose run is known at once */

/* One run, as it stands in the file. */
typedef struct shx_run {
    uint64_t shard;
    uint64_t first_row;
    uint32_t rows;
    uint32_t first_block;
    shx_factor_scale scale;
    uint64_t checksum;
    uint64_t rowids_checksum;
    float scatter; /* mean squared distance of posting and centroid; 0 where there are no codes */
    uint32_t zero;
} shx_run;

typedef struct shx_fingerprint {
    uint64_t vector_hash, column_hash;
} shx_fingerprint;

/* A posting on its way into a segment; vector and columns are borrowed. The columns are packed, or those of a row of
** another segment, all of which are verified. */
typedef struct shx_posting {
    int64_t rowid;
    const void *vector;
    shx_fingerprint fingerprint;
    shx_packed columns;
    const shx_columns *from; /* NULL: packed */
    uint64_t from_row;
} shx_posting;

/* An open segment. The pointers lead into the mapping. */
typedef struct shx_segment {
    atomic_uint references;
    uint64_t id, encoding_id;
    uint64_t row_count, block_count;
    uint32_t run_count, code_dim;
    uint32_t group; /* 1 + the column by which vectors are ordered; 0: as rows are */
    size_t block_bytes, refine_bytes, factor_bytes, vector_bytes;
    const shx_run *runs;
    const uint8_t *blocks;
    const uint8_t *refine;
    const float *factors; /* 3 a row */
    const uint8_t *vectors;
    const uint32_t *seats; /* NULL without a group */
    const int64_t *rowids;
    const shx_fingerprint *fingerprints;
    const uint32_t *order;
    shx_columns columns;
    atomic_uchar *verified;     /* per run: 1: its checksum was tested in this process, 2: its vectors were; behind the
                                ** last run: all rowids were */
    atomic_uchar *verified_seat; /* a bit a vector: it was tested in this process, and the run of its row */
    uint32_t *first_run;        /* of each SHX_SEGMENT_STRIDE rows: the run that holds the first one */
    shx_container container;
} shx_segment;

/* Opens and validates (everything marked `open` above). One reference. */
shx_status shx_segment_open(shx_store *store, const shx_id *uuid, uint64_t id, const shx_encoding *encoding,
                            shx_segment **ret_segment);
void shx_segment_retain(shx_segment *segment);
void shx_segment_release(shx_segment *segment);

/* Tests a run's checksum unless this process did already. Call before its codes or ids are used. */
shx_status shx_segment_verify_run(shx_segment *segment, uint32_t run);

/* Tests all vectors of a run against their fingerprints unless this process did already. Call before a scan of the
** vectors. */
shx_status shx_segment_verify_vectors(shx_segment *segment, uint32_t run);

/* Tests all rowids unless this process did already. Call before a row is looked for: a wrong rowid in one run hides
** rows of others, and a row that was deleted and is not found comes back to life. */
shx_status shx_segment_verify_rowids(const shx_segment *segment);

/* Where the vector of a row stands. */
static inline uint64_t shx_segment_seat(const shx_segment *segment, uint64_t row) {
    return segment->seats ? segment->seats[row] : row;
}

/* The rows of all seats, where there is a group, whose column must be verified. */
static inline const uint32_t *shx_segment_seated_rows(const shx_segment *segment) {
    return segment->columns.by_value + (segment->group - 1) * segment->columns.rows;
}

/* The vector of a row, and of a seat, untested. */
static inline const void *shx_segment_vector_in(const shx_segment *segment, uint64_t seat) {
    return segment->vectors + seat * segment->vector_bytes;
}

static inline const void *shx_segment_vector_at(const shx_segment *segment, uint64_t row) {
    return shx_segment_vector_in(segment, shx_segment_seat(segment, row));
}

/* Was the vector in a seat, with the run that its row lies in, tested in this process? */
static inline bool shx_segment_seat_is_verified(const shx_segment *segment, uint64_t seat) {
    return atomic_load_explicit(&segment->verified_seat[seat / 8], memory_order_relaxed) >> seat % 8 & 1;
}

/* Were all of up to 32 in a row? */
static inline bool shx_segment_seats_are_verified(const shx_segment *segment, uint64_t first, uint32_t count) {
    uint64_t bits = 0;
    for (uint64_t byte = first / 8; byte <= (first + count - 1) / 8; byte++) {
        uint64_t those = atomic_load_explicit(&segment->verified_seat[byte], memory_order_relaxed);
        bits |= those << (byte - first / 8) * 8;
    }
    uint64_t wanted = ((UINT64_C(1) << count) - 1) << first % 8;
    return (bits & wanted) == wanted;
}

/* The vector of a row, tested against its fingerprint, as its run is, unless this process did already. */
shx_status shx_segment_vector(shx_segment *segment, uint64_t row, const void **ret_vector);

/* The row with this rowid, of a segment whose rowids are verified; false when there is none. */
bool shx_segment_find(const shx_segment *segment, int64_t rowid, uint64_t *ret_row);

/* The run that holds a row, and the row's slot: block × 32 + lane. */
uint32_t shx_segment_run_of(const shx_segment *segment, uint64_t row);
uint64_t shx_segment_slot(const shx_segment *segment, uint64_t row);

/* Verifies everything, rule by rule; SHX_CORRUPT at the first fault. */
shx_status shx_segment_check(shx_segment *segment, const shx_stop *stop);

/* Where the postings of a segment come from: `read` gives one, of any number, from several threads at once and several
** times each. So they need not be in memory. */
typedef struct shx_posting_source {
    const void *context;
    shx_posting (*read)(const void *context, uint64_t number);
} shx_posting_source;

/* What a run is made of: postings [first, first + count) of the segment's. `centroid` in code space; NULL for the
** overflow shard. */
typedef struct shx_run_plan {
    uint64_t shard;
    const float *centroid;
    uint64_t first;
    uint32_t count;
} shx_run_plan;

/* What a segment file is written from. */
typedef struct shx_segment_plan {
    const shx_encoding *encoding;
    uint64_t encoding_id;
    uint32_t columns; /* filterable ones, of which every posting has a value */
    uint32_t group;   /* 1 + the column whose values' vectors stand side by side; 0: none */
    uint32_t run_count;
    const shx_run_plan *runs; /* ascending by shard; they cover the postings in order */
    shx_posting_source postings;
    uint64_t posting_count;
} shx_segment_plan;

/* The bytes of a posting's column; SHX_CORRUPT when it is not there. */
shx_status shx_posting_column(const shx_posting *posting, uint32_t column, shx_packed *ret_bytes);

/* Writes a segment file, encoding on the pool's threads. The file is synced; on failure it stays invalid.
** *ret_checksum: as shx_container_checksum. */
shx_status shx_segment_write(shx_store *store, const shx_id *uuid, uint64_t id, const shx_segment_plan *plan,
                             shx_pool *pool, uint64_t *ret_checksum);

#endif
