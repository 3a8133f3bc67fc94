/* Searches under a predicate. By how many rows it admits:
**
**     up to max(2,000, 32 k), or    those rows are listed and looked at
**     2 %, but at most 8,000
**     up to 2 %, at most 20,000     all blocks that hold one are scanned, in the order of the shards; none is left out
**     more                          the ordinary search, whose stop rule takes account of the share that is admitted
**
** A query that lies far from all that is admitted is the hard case: shards near to it hold nothing. The first two ways
** do not depend on where the admitted rows lie; in the third, rows count as passed only as far as they hold admitted
** ones in the usual share.
*/
#include "search_run.h"

#include "memory.h"
#include "prefetch.h"

#define FILTER_LISTED_ROWS 2000 /* compared exactly … */
#define FILTER_LISTED_FACTOR 32 /* … or so many times k */
#define FILTER_LISTED_SHARE 50  /* … or one row in so many, … */
#define FILTER_LISTED_MOST 8000 /* … but not more than this */
#define FILTER_SCANNED_SHARE 50 /* one row in so many: every block that holds one is scanned, … */
#define FILTER_SCANNED_MOST 20000
#define FILTER_PREFETCH_BYTES 512
#define FILTER_AHEAD 16 /* rows whose vectors are asked for before the first of them is compared */

/* So many rows are listed at most. */
static double filter_listed_most(uint64_t k, uint64_t rows) {
    double most = (double)rows / FILTER_LISTED_SHARE, by_k = FILTER_LISTED_FACTOR * (double)k;
    if (most > FILTER_LISTED_MOST) most = FILTER_LISTED_MOST;
    if (most < FILTER_LISTED_ROWS) most = FILTER_LISTED_ROWS;
    return most < by_k ? by_k : most;
}

shx_status shx_search_prepare_filter(shx_search_run *run) {
    const shx_predicate *predicate = run->params->predicate;
    const shx_base *base = run->base;
    if (!predicate || shx_predicate_is_empty(predicate)) return SHX_OK;
    uint64_t total = 0;
    run->predicate = predicate;
    run->matches = shx_alloc_zero(base->segment_count, sizeof *run->matches);
    SHX_CHECK(run->matches, SHX_NOMEM);
    for (uint32_t s = 0; s < base->segment_count; s++) {
        SHX_TRY(shx_match_make(base->segments[s], predicate, &run->matches[s]));
        run->admitted += shx_match_estimate(&run->matches[s]);
        total += base->segments[s]->row_count;
    }
    if (predicate->restricted && run->admitted > (double)predicate->rowid_count) {
        run->admitted = (double)predicate->rowid_count;
    }
    run->listed = run->admitted <= filter_listed_most(run->params->k, run->view->mark.live_rows);
    run->share = total > 0 ? (run->admitted + 1) / ((double)total + 1) : 1;
    run->every_block = run->admitted <= FILTER_SCANNED_MOST &&
                       run->admitted * FILTER_SCANNED_SHARE <= (double)run->view->mark.live_rows;
    return SHX_OK;
}

void shx_search_end_filter(shx_search_run *run) {
    for (uint32_t s = 0; run->matches && s < run->base->segment_count; s++) shx_match_free(&run->matches[s]);
    shx_free(run->matches);
}

shx_status shx_search_admits(const shx_search_run *run, int64_t rowid, const shx_packed *columns, bool *ret_admitted) {
    *ret_admitted = true;
    return run->predicate ? shx_predicate_test(run->predicate, rowid, columns, ret_admitted) : SHX_OK;
}

/* Where a walk over the rows of one segment stands: rows of one run often follow each other. */
typedef struct filter_walk {
    uint32_t segment, run;
    shx_match_walk rows;
    uint64_t listed[FILTER_AHEAD];
    uint32_t count;
} filter_walk;

/* Whether a row that the walk came to is alive and admitted; its run is verified on the way. */
static shx_status filter_admit_row(const shx_search_run *run, filter_walk *walk, uint64_t row, bool *ret_admitted) {
    shx_segment *segment = run->base->segments[walk->segment];
    const shx_run *rows = &segment->runs[walk->run];
    if (row - rows->first_row >= rows->rows) { /* unsigned: also when it lies before */
        walk->run = shx_segment_run_of(segment, row);
        rows = &segment->runs[walk->run];
    }
    SHX_TRY(shx_segment_verify_run(segment, walk->run));
    uint64_t in_run = row - rows->first_row, block = rows->first_block + in_run / SHX_BLOCK_ROWS;
    uint32_t dead = shx_delta_dead(run->delta, walk->segment, block, run->view->mark.operations);
    *ret_admitted = !(dead >> (in_run % SHX_BLOCK_ROWS) & 1) && shx_match_row(&run->matches[walk->segment], row);
    return SHX_OK;
}

static shx_status filter_look_at_listed(shx_search_run *run, filter_walk *walk) {
    shx_segment *segment = run->base->segments[walk->segment];
    for (uint32_t i = 0; i < walk->count; i++) {
        const void *vector;
        SHX_TRY(shx_segment_vector(segment, walk->listed[i], &vector));
        shx_candidate candidate = {.segment = walk->segment, .row = (uint32_t)walk->listed[i]};
        SHX_TRY(shx_search_look(run, candidate, vector));
    }
    run->work.rows += walk->count;
    uint32_t compared = walk->count;
    walk->count = 0;
    return shx_search_poll(run, compared);
}

static shx_status filter_look_at_segment(shx_search_run *run, uint32_t number) {
    shx_segment *segment = run->base->segments[number];
    filter_walk walk = {.segment = number};
    uint64_t row;
    while (shx_match_next(&run->matches[number], &walk.rows, &row)) {
        bool admitted = false;
        SHX_TRY(filter_admit_row(run, &walk, row, &admitted));
        if (!admitted) continue;
        shx_prefetch(shx_segment_vector_at(segment, row), segment->vector_bytes, FILTER_PREFETCH_BYTES);
        __builtin_prefetch(&segment->fingerprints[row]);
        walk.listed[walk.count++] = row;
        if (walk.count == FILTER_AHEAD) SHX_TRY(filter_look_at_listed(run, &walk));
    }
    return filter_look_at_listed(run, &walk);
}

shx_status shx_search_scan_listed(shx_search_run *run) {
    run->work.exhaustive = run->trusted = true;
    for (uint32_t s = 0; s < run->base->segment_count; s++) SHX_TRY(filter_look_at_segment(run, s));
    return SHX_OK;
}
