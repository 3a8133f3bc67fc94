/* Limits and defaults of the engine, each with its reason. */
#ifndef SHX_LIMITS_H
#define SHX_LIMITS_H

#define SHX_DIM_MAX 65535     /* 256 KiB a vector, well under SQLite's row limit */
#define SHX_BLOCK_ROWS 32     /* postings in one fast-scan block: one register of 32 byte lanes */
#define SHX_CODE_DIM_UNIT 16  /* code dimensions are a multiple of it: 4 table look-ups, 64 bytes of block */
#define SHX_CODE_DIM_MIN 64   /* fewer would leave too few bits for the error of an estimate to average out */
#define SHX_SHARD_TARGET 128  /* postings in a shard of a small table, and what ranks are counted in */
#define SHX_SHARD_MOST 512    /* postings in a shard of a large one: */
#define SHX_SHARD_ROWS 250000 /* from here on they grow with the root of the rows (maintain.h) */
#define SHX_FLUSH_ROWS 8192   /* operations in the delta that call for a flush */
#define SHX_SPILL_BYTES (UINT64_C(32) << 20) /* of vectors and columns that a transaction may have in memory */

/* A test may lower these, so that small tables have all that large ones have. */
#ifndef SHX_EXACT_ROWS
#define SHX_EXACT_ROWS 5000 /* up to here every answer is exact: a scan of the vectors takes less than a routing */
#endif
#ifndef SHX_ROUTED_ROWS
#define SHX_ROUTED_ROWS 10000 /* up to here all codes are scanned; from here on shards are built and chosen */
#endif
#ifndef SHX_CALIBRATE_QUERIES
#define SHX_CALIBRATE_QUERIES 1000 /* searches that a calibration measures: a share of 0.99 is 0.003 wide then */
#endif

#define SHX_SHARD_OVERFLOW 1      /* the shard of vectors without a point in code space: always scanned, exactly */
#define SHX_SHARD_FIRST 2         /* the first id of an ordinary shard */
#define SHX_SHARD_NONE UINT32_MAX /* no position in a shard table */

#endif
