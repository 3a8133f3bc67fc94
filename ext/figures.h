/* The figures of a table: what shardex_info and shardex_stats tell.
**
** Of the index, as the reader's snapshot sees it; absent where there is no index to see:
**
**     indexed_rows        rows in the index
**     delta_rows          rows that came since the last flush, dead ones among them
**     delta_operations    changes since the last flush
**     segments            segment files in use
**     segment_rows        rows in them, dead ones among them
**     tombstones          dead rows in them
**     shards              shards that take rows
**     closed_shards       shards that were split or folded and are only emptied
**     wal_files           files of the write-ahead log that this process knows of
**     wal_bytes           their size
**     segment_bytes       size of the segments, mapped
**     code_bytes          of that: scan codes
**     refine_bytes        refine codes and their factors
**     id_bytes            rowids, fingerprints and the order of the rowids
**     directory_bytes     what leads to rows: runs in the segments, base_bytes
**     vector_bytes        vectors
**     anonymous_bytes     memory of the changes since the last flush, an estimate
**     base_bytes          size of the base and of its table of shards, mapped
**     generation          number of the base; each flush or optimize makes one or two
**     flushes             how often the delta went into segments
**     merges              segments whose rows were written into a new one
**     splits              shards that were split
**     builds              how often everything was clustered anew
**     code_dimension      dimensions of the codes; 0 before the first build
**     router              way to the shards: flat, levels or graph; none before the first build
**     router_spread       how much wider than what is asked for it looks
**     router_bytes        what it needs besides the centroids and their codes
**     calibrated          1 when the recall was measured on the table's own rows
**     capped_searches     searches of this process that gave up after 64 times the usual rows
**
** Of work under way, in this process or another:
**
**     progress_phase      what is being done; idle when nothing is
**     progress_done       units of it that are done
**     progress_total      units in all
**     progress_rate       units a second
**     progress_remaining  seconds to the end of the phase; 0 while it cannot be told
*/
#ifndef SHX_FIGURES_H
#define SHX_FIGURES_H

#include "snapshot.h"

#define SHX_FIGURES_MAX 48

typedef struct shx_figure {
    const char *name;
    const char *unit; /* "" when it is none */
    double value;
    const char *text; /* instead of a value, or NULL */
} shx_figure;

/* Fills the figures in and returns how many there are; of the index only when the snapshot has a view. */
uint32_t shx_figures_take(const shx_snapshot *snapshot, shx_figure ret_figures[SHX_FIGURES_MAX]);

#endif
