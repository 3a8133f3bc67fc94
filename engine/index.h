/* The index: one directory (or memory) and everything that is known about it in this process.
**
** Connections of one process share one index per directory through a registry. The database is the truth: callers read
** the commit id from the database's state row and ask for the view of that id; whatever cannot be resolved is the
** caller's to answer from the database (search there, or reconcile.h).
**
** Thread safety: all functions may be called from any thread. A view is immutable and may be used by several threads.
** Nothing here calls back into SQLite, and no lock is held while a caller's callback runs.
** After fork a child must call nothing for an index that its parent opened, except shx_index_release and
** shx_view_release, which then touch neither files nor locks; what it opens itself is its own.
*/
#ifndef SHX_INDEX_H
#define SHX_INDEX_H

#include "bytes.h"
#include "pending.h"
#include "pool.h"
#include "progress.h"
#include "quantizer.h"
#include "routing.h"
#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* What an index is, fixed when its table is created. The files depend on all but the last four: of those who share an
** index in a process the first one's hold. */
typedef struct shx_index_config {
    const char *directory; /* absolute path `<database>-shardex/<uuid>`, or NULL: memory only, never shared */
    shx_id uuid;
    shx_id genesis; /* the commit id of the empty table */
    shx_metric metric;
    shx_element element;
    uint32_t dim;
    uint32_t columns;         /* filterable ones; every posting comes with so many values */
    uint32_t group;           /* 1 + the one whose values' vectors stand side by side; 0: none */
    uint32_t shard_size;      /* postings per shard to aim at, 0 = by the rows (maintain.h) */
    uint32_t flush_rows;      /* operations in the delta that call for a flush, 0 = default */
    uint32_t threads;         /* for builds, 0 = all processors */
    shx_routing_wish routing; /* how shards are found */
} shx_index_config;

typedef struct shx_index shx_index;
typedef struct shx_view shx_view;

/* Opens the index or finds it in the registry; counts a reference. Touches nothing on disk: a missing directory is an
** empty one. SHX_MISUSE when an index with this directory is open with another uuid, space, columns or group. */
shx_status shx_index_acquire(const shx_index_config *config, shx_index **ret_index);

/* Gives a reference back; NULL is allowed. The last one of a process that wrote finishes the maintenance that its own
** writes call for (which may take seconds after a bulk load), ends the background thread and closes everything. */
void shx_index_release(shx_index *index);

/* No table has the index any more: nothing is due for it, now or at the last release. Whoever shares it can ask whether
** that was said. */
void shx_index_forsake(shx_index *index);
bool shx_index_is_forsaken(shx_index *index);

/* The view of a commit id, with a reference that the caller gives back. SHX_NOTFOUND when the directory cannot
** produce it (missing, older, foreign, or a WAL record lost); SHX_CORRUPT or SHX_IO when it is damaged: answer from
** the database. */
shx_status shx_index_view(shx_index *index, const shx_id *commit, shx_view **ret_view);

/* The same, and SHX_INTERRUPT when `stop` (may be NULL) has ended it: after a large transaction much has to be read. */
shx_status shx_index_view_until(shx_index *index, const shx_id *commit, const shx_stop *stop, shx_view **ret_view);
void shx_view_release(shx_view *view);

/* How many postings the view holds, and its commit id. */
uint64_t shx_view_rows(const shx_view *view);
shx_id shx_view_commit(const shx_view *view);

/* Can every process resolve this commit, which this one can? Not if a part of it was only taken into memory here
** (reconcile.h). */
bool shx_index_is_durable(shx_index *index, const shx_id *commit);

/* Call it between the operations of a transaction: moves what is too large for memory to the directory (spill.h). Where
** that fails the bodies are dropped, which needs no other care than queries that look into the database; the status is
** for the log. */
shx_status shx_index_spill(shx_index *index, shx_pending *pending);

/* How many bytes of bodies a transaction may have in memory, of this process; 0: SHX_SPILL_BYTES. For tests. */
void shx_index_spill_at(uint64_t bytes);

/* xSync: appends one record "from parent, these operations lead to commit" to the WAL. Idempotent for the same commit.
** A failure leaves the index behind and must not fail the transaction; it is for the log. */
shx_status shx_index_append(shx_index *index, const shx_id *parent, const shx_id *commit, shx_pending *pending);

/* xCommit: the record of this id is (very likely) the table's state now. Takes it into memory and starts background
** maintenance when it is due. Never fails. */
void shx_index_committed(shx_index *index, const shx_id *commit);

/* A write transaction has read the view's commit from the state row: if its tail is over 4 × flush_rows by now, which
** the background should not have let happen, it is flushed before it grows, unless `stop` ends that. The first shards
** are not built here. Never fails. */
void shx_index_relieve(shx_index *index, const shx_view *view, const shx_stop *stop);

/* May there be files to remove? Then shx_index_confirm is worth its price. */
bool shx_index_collects(shx_index *index);

/* A write transaction has read this id from the state row, and it was made durable since: no power cut undoes it, and
** files that neither it nor the state before it needs may be removed. Never fails. */
void shx_index_confirm(shx_index *index, const shx_id *commit);

/* A file of the index turned out to be damaged while it was used: forget what is in memory, so that views of this
** process no longer resolve until a rebuild publishes a new base. */
void shx_index_distrust(shx_index *index);

/* Whether this process does maintenance in threads of its own (it does unless told otherwise). Without them what is due
** waits for shx_index_step or the last release: so a simulation runs the same way every time. */
void shx_index_use_threads(bool wanted);

/* Does in the caller's thread one round of what the threads of the open indexes would do; true when there was any. */
bool shx_index_step(void);

/* The threads that long searches share: as many as the configuration says, started when they are first asked for. NULL
** where the caller's is the only one: the configuration says so, the process wants no others or is a forked one, or
** they could not be had. Owned by the index. */
shx_pool *shx_index_pool(shx_index *index);

/* How far the maintenance of the index is, in whichever thread of this process, or in another process that has been at
** it for a second (notice.h). */
shx_progress_figures shx_index_progress(shx_index *index);

/* Figures for statistics. */
typedef struct shx_index_stats {
    uint64_t rows, delta_rows, delta_operations, segments, segment_rows, tombstones, shards, closed_shards, wal_files,
        wal_bytes, segment_bytes, base_bytes, generation, flushes, merges, splits, builds;
    uint64_t code_dim;
    shx_route_way router;                 /* 0 without shards */
    uint64_t router_spread, router_bytes; /* beside the centroids and their codes */
    /* Mapped, by what it is for: scan codes; refine codes and their factors; rowids and fingerprints; runs, shards and
    ** bases; vectors. And on the heap: an estimate of the delta. */
    uint64_t code_bytes, refine_bytes, id_bytes, directory_bytes, vector_bytes, anonymous_bytes;
    bool calibrated;
    uint64_t capped; /* searches of this process that ended for having passed 64 times the usual rows */
    bool in_memory;
} shx_index_stats;

/* The figures as of a view. */
void shx_index_stats_get(shx_index *index, const shx_view *view, shx_index_stats *ret_stats);

#endif
