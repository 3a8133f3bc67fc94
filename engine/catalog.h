/* The catalog: what stands in an index's directory, as far as this process has looked: WAL records and bases.
**
** Not thread safe: belongs to the index and is used under its mutex.
*/
#ifndef SHX_CATALOG_H
#define SHX_CATALOG_H

#include "base.h"
#include "rowmap.h"
#include "wal.h"

typedef struct shx_catalog_file {
    shx_wal_extent extent;
    bool present; /* seen by the last refresh */
} shx_catalog_file;

typedef struct shx_catalog_base {
    uint64_t file;
    shx_base_names names;
    bool present, damaged;
} shx_catalog_base;

/* Zero-initialise; free with shx_catalog_free. */
typedef struct shx_catalog {
    shx_wal_entry *entries;
    uint64_t entry_count, entry_capacity;
    shx_rowmap by_commit; /* first 8 bytes of a commit id → its newest entry */
    shx_catalog_file *files;
    uint64_t file_count, file_capacity;
    shx_catalog_base *bases;
    uint64_t base_count, base_capacity;
    uint64_t *segments, *shards; /* ids of these files, as of the last refresh */
    uint64_t segment_count, segment_capacity, shards_count, shards_capacity;
    uint64_t last_id; /* the highest file id ever seen */
} shx_catalog;

void shx_catalog_free(shx_catalog *catalog);

/* Lists the directory and scans what is new in it. A missing directory is an empty one. Foreign and unreadable files
** are passed over. SHX_NOMEM, or why there is no list. */
shx_status shx_catalog_refresh(shx_catalog *catalog, shx_store *store, const shx_id *uuid, size_t vector_bytes);

/* Adds a record that this process has just written, and moves its file's end behind it. SHX_NOMEM. */
shx_status shx_catalog_add(shx_catalog *catalog, const shx_wal_entry *entry);

/* The newest record of a commit id; NULL when none is known. */
const shx_wal_entry *shx_catalog_find(const shx_catalog *catalog, const shx_id *commit);

/* A record turned out to be unusable: an older one of its commit takes its place, if there is one. `entry` may be a
** copy. SHX_NOMEM. */
shx_status shx_catalog_forget(shx_catalog *catalog, const shx_wal_entry *entry);

/* The base of a commit with the highest generation ≥ floor that is not known to be damaged; NULL when there is none. */
shx_catalog_base *shx_catalog_best_base(shx_catalog *catalog, const shx_id *commit, uint64_t floor);

/* The base from which the records lead to a commit, the newest of that commit, whether it is damaged or not; NULL when
** there is none. */
const shx_catalog_base *shx_catalog_due_base(const shx_catalog *catalog, const shx_id *commit);

/* The highest generation of all bases, 0 without any. */
uint64_t shx_catalog_generation(const shx_catalog *catalog);

/* The highest WAL file that the commit of a base stands in, 0 without any. */
uint64_t shx_catalog_wal_floor(const shx_catalog *catalog);

/* The newest WAL file, NULL when there is none. */
const shx_catalog_file *shx_catalog_newest_file(const shx_catalog *catalog);

#endif
