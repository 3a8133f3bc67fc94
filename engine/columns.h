/* The filterable columns of a segment. Each has a dictionary of its own: the values that occur, each once, in order;
** a row holds the number of its value, the id. So a condition on a column is a few ranges of ids, whatever the types.
**
** FORMAT: sections of a segment (segment.h) of n rows in r runs, with c columns of which one has d different values;
** s = the sum of d + 1 over all columns. What belongs to a column stands together, in the order of the columns:
**
**     id  section    size       checked  content
**     10  COLUMNS    64 × c     open     shx_column_entry
**     11  IDS        4 × n × c  run      u32 id of each row
**     12  ZONES      8 × r × c  open     u32 lowest and u32 highest id of each run
**     13  STARTS     4 × s      column   u32 number of rows with a lower id; the last one is n
**     14  OFFSETS    8 × s      column   u64 offset of each value in the column's part of VALUES; the last one is its
**                                        size
**     15  VALUES     …          column   the values (value.h), ascending
**     16  BY_VALUE   4 × n × c  column   u32 rows, ascending by (id, row)
**
** A column's checksum is XXH3-64 chained over its STARTS, OFFSETS, VALUES and BY_VALUE bytes, seeded with the file id.
**
** Columns are valid if and only if: (1) the sections have these sizes, and the entries name consecutive parts of them;
** (2) a column's checksum matches, STARTS and OFFSETS ascend and end as stated, rows are below n: tested when a process
** first uses the column; (3) ids are below d: covered by the runs' checksums, and bounds are checked where an id leads
** somewhere.
*/
#ifndef SHX_COLUMNS_H
#define SHX_COLUMNS_H

#include "container.h"
#include "pool.h"
#include "predicate.h"

#include <stdatomic.h>

/* The sections' ids. */
typedef enum shx_column_section {
    SHX_COLUMN_ENTRIES = 10,
    SHX_COLUMN_IDS,
    SHX_COLUMN_ZONES,
    SHX_COLUMN_STARTS,
    SHX_COLUMN_OFFSETS,
    SHX_COLUMN_VALUES,
    SHX_COLUMN_BY_VALUE,
} shx_column_section;

#define SHX_COLUMNS_SECTIONS 7

/* One column, as it stands in the file. */
typedef struct shx_column_entry {
    uint64_t first;                  /* of its elements in STARTS and OFFSETS */
    uint64_t values_at, values_size; /* its part of VALUES */
    uint64_t checksum;
    uint32_t distinct; /* values */
    uint32_t zero[7];
} shx_column_entry;

typedef struct shx_zone {
    uint32_t lowest, highest;
} shx_zone;

/* The columns of an open segment. The pointers lead into the mapping. */
typedef struct shx_columns {
    uint32_t count, runs;
    uint64_t rows, id; /* of the segment */
    const shx_column_entry *entries;
    const uint32_t *ids;
    const shx_zone *zones;
    const uint32_t *starts;
    const uint64_t *offsets;
    const uint8_t *values;
    const uint32_t *by_value;
    atomic_uchar *verified; /* per column: tested in this process */
} shx_columns;

/* Finds the sections of `count` columns; (1) above. Free after use, in any case. */
shx_status shx_columns_open(const shx_container *container, uint64_t id, uint32_t count, uint64_t rows, uint32_t runs,
                            shx_columns *ret_columns);
void shx_columns_free(shx_columns *columns);

/* Tests a column, unless this process did already; (2) above. SHX_CORRUPT also when there is no such column. */
shx_status shx_columns_verify(const shx_columns *columns, uint32_t column);

/* Tests all columns, and that values ascend. */
shx_status shx_columns_check(const shx_columns *columns);

/* The value with an id of a verified column, as bytes; SHX_CORRUPT when there is none. */
shx_status shx_columns_value(const shx_columns *columns, uint32_t column, uint32_t id, shx_packed *ret_bytes);

/* The lowest id of a verified column whose value stands behind the cut; `distinct` when there is none. */
shx_status shx_columns_seek(const shx_columns *columns, uint32_t column, const shx_cut *cut, uint32_t *ret_id);

/* What the checksum of a column covers: its parts of these sections. */
typedef struct shx_column_parts {
    const uint32_t *starts;
    const uint64_t *offsets;
    const uint8_t *values;
    const uint32_t *by_value;
} shx_column_parts;

/* The checksum of a column of `rows` rows, in a segment file `id`. */
uint64_t shx_columns_checksum(const shx_column_entry *entry, const shx_column_parts *parts, uint64_t rows, uint64_t id);

/* ---- writing ---- */

/* Columns in the making. */
typedef struct shx_columns_plan shx_columns_plan;

/* Gives the bytes of a row's value, which stay until the plan is written. Called by several threads. */
typedef shx_status (*shx_columns_source)(const void *context, uint64_t row, uint32_t column, shx_packed *ret_bytes);

/* Gathers, sorts and lays out the values of all rows, a column a thread; ends with SHX_INTERRUPT when the progress of
** the pool says so. */
shx_status shx_columns_plan_make(uint32_t count, uint64_t rows, shx_columns_source source, const void *context,
                                 shx_pool *pool, shx_columns_plan **ret_plan);
void shx_columns_plan_free(shx_columns_plan *plan);

/* All rows in the order of a column, as BY_VALUE has them. */
const uint32_t *shx_columns_plan_order(const shx_columns_plan *plan, uint32_t column);

/* The sections that the plan needs; it has `runs` runs. */
void shx_columns_sections(const shx_columns_plan *plan, uint32_t runs, shx_section ret_sections[SHX_COLUMNS_SECTIONS]);

/* Writes everything but ids. `first_rows` has the first row of each run, and the number of rows behind them. */
shx_status shx_columns_write(const shx_columns_plan *plan, const uint64_t *first_rows, uint32_t runs,
                             shx_container_writer *out);

/* Writes the ids of `count` rows from `first` on and returns their hash, seeded with `hash`: a run's part. */
uint64_t shx_columns_write_ids(const shx_columns_plan *plan, uint64_t first, uint64_t count, uint64_t hash,
                               shx_container_writer *out);

/* The same hash for an open segment. */
uint64_t shx_columns_hash_ids(const shx_columns *columns, uint64_t first, uint64_t count, uint64_t hash);

#endif
