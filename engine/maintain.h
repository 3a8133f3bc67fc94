/* Maintenance: flush, merge, split and re-clustering, each of which publishes a new base for a commit id.
**
** A base is valid for its commit forever, so maintenance never changes an answer, only its cost. One maintainer works
** on a directory at a time; SHX_BUSY says that another one does.
*/
#ifndef SHX_MAINTAIN_H
#define SHX_MAINTAIN_H

#include "index.h"
#include "search.h"

/* Puts everything up to `commit` into segments, routed to shards, whatever the size; merges and splits as due. */
shx_status shx_maintain_flush(shx_index *index, const shx_id *commit, shx_interrupted interrupted, void *context);

/* Re-clusters everything up to `commit` into one segment with a new encoding, and calibrates. */
shx_status shx_maintain_optimize(shx_index *index, const shx_id *commit, shx_interrupted interrupted, void *context);

/* How many postings a shard of a table of so many rows is to hold where the user names no size: SHX_SHARD_TARGET, from
** SHX_SHARD_ROWS on more. A search pays for every shard of the table, whose centroid it bounds, and for every row of
** the shards it probes; what costs least in all grows with the root of the rows. */
uint32_t shx_maintain_shard_size(uint64_t rows);

/* Verifies every checksum and structural invariant of the files behind a view; each problem is reported as one line of
** text. SHX_OK when the walk was completed, whatever it found; SHX_INTERRUPT when `stop` (may be NULL) ended it. */
typedef void (*shx_report)(void *context, const char *problem);
shx_status shx_maintain_check(shx_index *index, shx_view *view, shx_report report, void *context, const shx_stop *stop);

/* The part of it that needs no view, for directories that cannot give one: verifies the base from which `commit` should
** be reached, and all that it names. No damage is what may be left by a crash or removed by anybody: bases that cannot
** be read, the end of a WAL. `view` (may be NULL) was checked already, and with it what it shares with that base. */
shx_status shx_maintain_check_files(shx_index *index, const shx_id *commit, const shx_view *view, shx_report report,
                                    void *context, const shx_stop *stop);

/* Walks the live postings of a view (without pending) in ascending rowid order. `stop` as above. */
typedef shx_status (*shx_row_visit)(void *context, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                                    const void *vector);
shx_status shx_view_each(shx_view *view, shx_row_visit visit, void *context, const shx_stop *stop);

#endif
