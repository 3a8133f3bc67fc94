#include "calibrate.h"

#include "calibrate_fit.h"
#include "index_state.h"
#include "limits.h"
#include "memory.h"

#include <math.h>

#define CALIBRATE_PILOTS 36       /* queries that go through the whole table; the others go as far … */
#define CALIBRATE_NEAR_SHARE 0.99 /* … as nearly all neighbours of these lie: from this share … */
#define CALIBRATE_FAR_SHARE 0.998 /* … to this one, and as far again */
#define CALIBRATE_FAR_LEAST 0.15
#define CALIBRATE_QUERIES_MIN 300
#define CALIBRATE_PASSES 120        /* all queries together go through so many times the table's rows, … */
#define CALIBRATE_PASSES_SMALL 30   /* … in small tables, that are built in less time a row, so many … */
#define CALIBRATE_PASS_ROWS 2500    /* … and one more for each of these, … */
#define CALIBRATE_UNCODED_SHARE 0.5 /* where vectors are compared, a pass takes longer */
#define CALIBRATE_QUERIES_SMALL 30  /* … though never more than these and one for so many rows, … */
#define CALIBRATE_MORE_ROWS 500
#define CALIBRATE_QUERY_ROWS 1000   /* … but for so many rows there is one query, up to the least */
#define CALIBRATE_TOGETHER 20       /* that walk one behind the other or side by side; of pilots … */
#define CALIBRATE_TOGETHER_PILOTS 12
#define CALIBRATE_ORDER_EVERY 4     /* of so many queries one keeps the order of its shards */
#define CALIBRATE_VAGUE_SHARE 0.05  /* of the pilots that codes do not tell the order of their neighbours */

typedef struct calibrate_work {
    const shx_base *base;
    shx_trace_bytes bytes;
    shx_trace *traces;
    uint64_t count, capacity, pilots; /* the latter come first */
    shx_stop_rule wide;        /* of the others */
    const shx_stop_rule *stop; /* NULL: the pilots are on their way */
    bool compares;             /* vectors, where they have codes */
    shx_progress *progress;
} calibrate_work;

static shx_status calibrate_walk(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const calibrate_work *work = context;
    shx_trace_walker *walker;
    SHX_TRY(shx_trace_walker_create(work->base, &work->bytes, work->compares, work->progress, &walker));
    for (uint64_t i = first; i < end; i++) {
        work->traces[i].keeps_order = !work->stop || i % CALIBRATE_ORDER_EVERY == 0;
    }
    shx_status status = shx_trace_walk(walker, work->stop, work->traces + first, end - first);
    shx_progress_add(work->progress, end - first);
    shx_trace_walker_destroy(walker);
    return status;
}

static bool calibrate_is_dead(const shx_base *base, uint32_t segment, uint64_t row) {
    if (!base->dead[segment]) return false;
    uint64_t slot = shx_segment_slot(base->segments[segment], row);
    return base->dead[segment][slot / SHX_BLOCK_ROWS] >> (slot % SHX_BLOCK_ROWS) & 1;
}

/* Writes living rows, spread evenly over all segments from `start` of the first step on; returns how many. */
static uint64_t calibrate_spread(const shx_base *base, uint64_t wanted, double start, shx_trace *traces) {
    uint64_t total = 0, count = 0;
    for (uint32_t s = 0; s < base->segment_count; s++) total += base->segments[s]->row_count;
    if (wanted > total) wanted = total;
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t row = (uint64_t)(((double)i + start) / (double)wanted * (double)total);
        uint32_t s = 0;
        while (row >= base->segments[s]->row_count) row -= base->segments[s++]->row_count;
        if (!calibrate_is_dead(base, s, row)) traces[count++] = (shx_trace){.segment = s, .row = row};
    }
    return count;
}

/* A rule under which next to no neighbour is missed, from what the pilots have found. */
static shx_status calibrate_widen(calibrate_work *work, uint64_t pilots) {
    shx_stop_rule near;
    SHX_TRY(shx_fit_wide(work->traces, pilots, CALIBRATE_NEAR_SHARE, &near));
    SHX_TRY(shx_fit_wide(work->traces, pilots, CALIBRATE_FAR_SHARE, &work->wide));
    work->wide.theta += fmax(work->wide.theta - near.theta, CALIBRATE_FAR_LEAST);
    return SHX_OK;
}

/* Are there such queries that vectors must be compared? */
static bool calibrate_is_vague(const shx_trace *traces, uint64_t count) {
    uint64_t vague = 0;
    for (uint64_t i = 0; i < count; i++) vague += shx_trace_is_vague(&traces[i]);
    return (double)vague > CALIBRATE_VAGUE_SHARE * (double)count;
}

/* How many queries there shall be besides the pilots. */
static uint64_t calibrate_query_count(const shx_base *base, double rows) {
    double live = (double)base->info.live_rows;
    double passes = fmin(CALIBRATE_PASSES, CALIBRATE_PASSES_SMALL + live / CALIBRATE_PASS_ROWS);
    double least = fmin(CALIBRATE_QUERIES_MIN, live / CALIBRATE_QUERY_ROWS);
    if (!shx_encoding_coded(&base->encoding)) {
        passes *= CALIBRATE_UNCODED_SHARE;
        least *= CALIBRATE_UNCODED_SHARE;
    }
    double count = rows > 0 ? passes * live / rows : 0;
    count = fmin(count, CALIBRATE_QUERIES_SMALL + live / CALIBRATE_MORE_ROWS);
    if (count >= SHX_CALIBRATE_QUERIES) return SHX_CALIBRATE_QUERIES;
    return (uint64_t)fmax(count, least);
}

/* The pilots go through everything; where codes do not tell the order of their neighbours, once more with vectors. */
static shx_status calibrate_send_pilots(calibrate_work *work, shx_pool *pool, uint64_t pilots) {
    shx_progress_begin(work->progress, SHX_PHASE_CALIBRATING, pilots);
    SHX_TRY(shx_pool_run(pool, pilots, CALIBRATE_TOGETHER_PILOTS, calibrate_walk, work));
    work->compares = shx_encoding_coded(&work->base->encoding) && calibrate_is_vague(work->traces, pilots);
    if (!work->compares) return SHX_OK;
    for (uint64_t i = 0; i < pilots; i++) shx_trace_free(&work->traces[i]);
    shx_progress_begin(work->progress, SHX_PHASE_CALIBRATING, pilots);
    return shx_pool_run(pool, pilots, CALIBRATE_TOGETHER_PILOTS, calibrate_walk, work);
}

/* The pilots, then the others: first they are chosen, then they walk. */
static shx_status calibrate_explore(calibrate_work *work, shx_pool *pool) {
    SHX_TRY(shx_grow_zero((void **)&work->traces, &work->capacity, CALIBRATE_PILOTS, sizeof *work->traces));
    uint64_t pilots = calibrate_spread(work->base, CALIBRATE_PILOTS, 0.5, work->traces);
    SHX_TRY(calibrate_send_pilots(work, pool, pilots));
    SHX_TRY(calibrate_widen(work, pilots));
    uint64_t wanted = calibrate_query_count(work->base, shx_fit_rows(work->traces, pilots, &work->wide));
    SHX_TRY(shx_grow_zero((void **)&work->traces, &work->capacity, pilots + wanted, sizeof *work->traces));
    uint64_t others = calibrate_spread(work->base, wanted, 0.25, work->traces + pilots);
    shx_progress_begin(work->progress, SHX_PHASE_CALIBRATING, others);
    calibrate_work rest = *work;
    rest.traces += pilots;
    rest.stop = &work->wide;
    work->count = pilots + others;
    work->pilots = pilots;
    return shx_pool_run(pool, others, CALIBRATE_TOGETHER, calibrate_walk, &rest);
}

shx_status shx_calibrate(shx_view *view, shx_pool *pool, shx_calibration *ret_calibration) {
    calibrate_work work = {.base = view->delta->base, .progress = shx_pool_progress(pool)};
    shx_calibration calibration;
    shx_calibration_default(&calibration);
    shx_status status = shx_trace_bytes_make(work.base, pool, &work.bytes);
    if (status == SHX_OK) status = calibrate_explore(&work, pool);
    calibration.fitted = 1;
    calibration.sample_size = work.count;
    if (status == SHX_OK) {
        status = shx_fit_calibration(work.traces, work.count, work.pilots, &work.wide, pool, &calibration);
    }
    for (uint64_t i = 0; i < work.capacity; i++) shx_trace_free(&work.traces[i]);
    shx_trace_bytes_free(&work.bytes);
    shx_free(work.traces);
    if (status == SHX_OK) *ret_calibration = calibration;
    return status;
}
