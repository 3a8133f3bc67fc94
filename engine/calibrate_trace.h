/* A trace: one query's way through the shards in their order, and which of the nearest postings it met where. Any stop
** rule, any k up to SHX_TRACE_NEAR and any width of the bounds can be tried on it without searching again.
**
** Nearest postings are kept of three sets: of all rows, of one block in eight, taken evenly, and of one of these in
** eight. The nearest 12 of the second stand for the nearest 100 of all (a random part of them is as good for a share as
** all are), and the second is to the first what a filter leaves that admits one row in eight; so is the third to the
** second.
**
** Distances are those of the refine codes: a neighbour that changes places with another as near lies in a shard as
** near. So nothing is compared exactly, and no vector is read, but where there are no codes; there, l1 is that of bytes
** (calibrate_bytes.h). But where neighbours are nearer to each other than codes tell, as copies with small differences
** are, whom the codes take for near are those that a search finds: there, vectors must be compared.
*/
#ifndef SHX_CALIBRATE_TRACE_H
#define SHX_CALIBRATE_TRACE_H

#include "base.h"
#include "calibrate_bytes.h"
#include "calibration.h"

#define SHX_TRACE_NEAR 16
#define SHX_TRACE_SHARE 8

enum { SHX_TRACE_ALL, SHX_TRACE_SOME, SHX_TRACE_FEW, SHX_TRACE_LISTS };

/* How many are asked for where a threshold is noted. */
#define SHX_TRACE_KS 4
extern const uint32_t shx_trace_ks[SHX_TRACE_KS]; /* 1, 2, 10, 12 */

/* A posting near the query, by squared distances in code space. */
typedef struct shx_trace_posting {
    float distance2, upper2;    /* as refined or compared, and what a search takes for certain */
    float estimate2, deviation; /* by its scan code */
    float met2[SHX_TRACE_KS];   /* the thresholds that it met when it was refined; infinite while there were fewer */
    uint32_t position;          /* of its shard in the query's order */
    float log_order2, log_rank; /* of that shard, as in the trace */
} shx_trace_posting;

/* The nearest ones, ascending by distance. */
typedef struct shx_trace_list {
    uint32_t count, most;
    shx_trace_posting items[SHX_TRACE_NEAR];
} shx_trace_list;

/* One trace. `segment` and `row` name the posting that is the query; it does not meet itself. These and `keeps_order`
** are the caller's. */
typedef struct shx_trace {
    uint32_t segment;
    uint64_t row;
    bool keeps_order;
    bool usable; /* the query has a point in code space */
    shx_trace_list lists[SHX_TRACE_LISTS];
    float log_nearest2; /* of the first shard's order2, had the query not been among the rows */
    uint64_t rows;      /* gone through */
    double dimension;   /* of shx_share_within that tells how many are near; 0 unless it came to all shards */
    uint32_t depth;     /* of the order, as far as it is kept; 0: it is not */
    float *rank;        /* the rows before each of its shards / SHX_SHARD_TARGET; owned, with the next two behind it */
    float *log_order2;  /* of the shards in order, never falling */
    float *log_rank;    /* log1p */
} shx_trace;

void shx_trace_free(shx_trace *trace);

/* Memory for walks over one base, reused. Bytes (empty: there are none) and progress (NULL: none) are borrowed. With
** `compares` the vectors of postings tell their distances, not their codes. */
typedef struct shx_trace_walker shx_trace_walker;

shx_status shx_trace_walker_create(const shx_base *base, const shx_trace_bytes *bytes, bool compares,
                                   shx_progress *progress, shx_trace_walker **ret_walker);
void shx_trace_walker_destroy(shx_trace_walker *walker);

/* Of a walk by codes: are its neighbours nearer to each other than codes tell? */
bool shx_trace_is_vague(const shx_trace *trace);

/* So many walks, each until the rule (form FIRST) holds; over all shards without one. Sets everything that is not the
** caller's. SHX_INTERRUPT when the progress says so, SHX_CORRUPT when a segment proves damaged. */
shx_status shx_trace_walk(shx_trace_walker *walker, const shx_stop_rule *stop, shx_trace *traces, uint64_t count);

#endif
