/* Searches under a predicate. By how many rows it admits:
**
**     up to max(2,000, 32 k), or    those rows are listed and looked at
**     2 %, but at most 8,000
**     up to 2 %, at most 20,000     all blocks that hold one are scanned, in the order of the shards; none is left out
**     more                          the ordinary search, whose stop rule takes account of the share that is admitted
**
** A query that lies far from all that is admitted is the hard case: shards near to it hold nothing. The first two ways
** do not depend on where the admitted rows lie; the third has a rule of its own for it (search_away.c), and, where
** nothing is calibrated, counts rows as passed only as far as they hold admitted ones in the usual share.
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
#define FILTER_AHEAD SHX_BLOCK_ROWS /* rows whose vectors are asked for before the first of them is compared */

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
    shx_search_scratch *scratch = run->scratch;
    if (!predicate || shx_predicate_is_empty(predicate)) return SHX_OK;
    uint64_t total = 0;
    run->predicate = predicate;
    SHX_TRY(shx_grow_zero((void **)&scratch->matches, &scratch->match_capacity, base->segment_count,
                          sizeof *scratch->matches));
    run->matches = scratch->matches;
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

shx_status shx_search_admits(const shx_search_run *run, int64_t rowid, const shx_packed *columns, bool *ret_admitted) {
    *ret_admitted = true;
    return run->predicate ? shx_predicate_test(run->predicate, rowid, columns, ret_admitted) : SHX_OK;
}

/* Rows of one segment that wait to be looked at, while their vectors come. */
typedef struct filter_list {
    shx_listed listed;
    const shx_match *match; /* NULL: all rows are admitted */
    bool all_alive;         /* in the segment */
    bool untested;          /* there is a vector that was not tested against its fingerprint */
} filter_list;

/* Whether a row is alive and admitted; its run is verified before anything of it is read. */
static shx_status filter_admit_row(const shx_search_run *run, const filter_list *list, uint64_t row, uint64_t seat,
                                   bool *ret_admitted) {
    uint32_t number = list->listed.segment;
    shx_segment *segment = run->base->segments[number];
    *ret_admitted = false;
    if (!list->all_alive) {
        uint64_t slot = shx_segment_slot(segment, row);
        uint32_t dead = shx_delta_dead(run->delta, number, slot / SHX_BLOCK_ROWS, run->view->mark.operations);
        if (dead >> (slot % SHX_BLOCK_ROWS) & 1) return SHX_OK;
    }
    if (list->match && !shx_segment_seat_is_verified(segment, seat)) {
        SHX_TRY(shx_segment_verify_run(segment, shx_segment_run_of(segment, row)));
    }
    *ret_admitted = !list->match || shx_match_row(list->match, row);
    return SHX_OK;
}

/* Asks for the vectors of the rows from `first` on, and for what else is read where they were not tested. Those that
** stand side by side come by themselves. */
static void filter_fetch(const shx_segment *segment, bool apart, uint32_t first, filter_list *list) {
    const shx_listed *listed = &list->listed;
    uint32_t count = listed->count - first;
    if (!apart && (count == 0 || shx_segment_seats_are_verified(segment, listed->seats[first], count))) return;
    for (uint32_t i = first; i < listed->count; i++) {
        uint32_t seat = listed->seats[i];
        if (apart) shx_prefetch(shx_segment_vector_in(segment, seat), segment->vector_bytes, FILTER_PREFETCH_BYTES);
        if (shx_segment_seat_is_verified(segment, seat)) continue;
        __builtin_prefetch(&segment->fingerprints[listed->rows[i]]);
        list->untested = true;
    }
}

/* Of the `came` rows behind those that wait, those that are admitted wait, too. `apart`: their vectors do not stand
** side by side. */
static shx_status filter_list_add(const shx_search_run *run, uint32_t came, bool apart, filter_list *list) {
    shx_listed *listed = &list->listed;
    uint32_t first = listed->count, end = first + came;
    bool all = !list->match && list->all_alive;
    for (uint32_t i = first; i < end && !all; i++) {
        bool admitted;
        SHX_TRY(filter_admit_row(run, list, listed->rows[i], listed->seats[i], &admitted));
        listed->rows[listed->count] = listed->rows[i];
        listed->seats[listed->count] = listed->seats[i];
        listed->count += admitted;
    }
    if (all) listed->count = end;
    filter_fetch(run->base->segments[listed->segment], apart || !all, first, list);
    return SHX_OK;
}

static shx_status filter_look(shx_search_run *run, filter_list *list) {
    shx_listed *listed = &list->listed;
    shx_segment *segment = run->base->segments[listed->segment];
    for (uint32_t i = 0; i < listed->count && list->untested; i++) {
        const void *vector;
        SHX_TRY(shx_segment_vector(segment, listed->rows[i], &vector));
    }
    SHX_TRY(shx_search_look_listed(run, listed));
    run->work.rows += listed->count;
    listed->count = 0;
    list->untested = false;
    return SHX_OK;
}

static filter_list filter_list_of(const shx_search_run *run, uint32_t number, const shx_match *match) {
    return (filter_list){
        .listed = {.segment = number}, .match = match, .all_alive = shx_delta_all_alive(run->delta, number)};
}

/* Of the rows that the walk comes to, the other conditions may leave next to none: each one counts. */
static shx_status filter_look_at_segment(shx_search_run *run, uint32_t number) {
    const shx_match *match = &run->matches[number];
    filter_list list = filter_list_of(run, number, match->certain ? NULL : match);
    shx_listed *listed = &list.listed;
    bool apart = !shx_match_is_seated(match);
    shx_match_walk walk = {0};
    for (;;) {
        uint32_t room = FILTER_AHEAD - listed->count;
        uint32_t came = shx_match_next(match, &walk, room, listed->rows + listed->count, listed->seats + listed->count);
        if (came == 0) return filter_look(run, &list);
        SHX_TRY(shx_search_poll(run, came));
        SHX_TRY(filter_list_add(run, came, apart, &list));
        if (listed->count == FILTER_AHEAD) SHX_TRY(filter_look(run, &list));
    }
}

shx_status shx_search_scan_listed(shx_search_run *run) {
    run->work.exhaustive = run->trusted = true;
    for (uint32_t s = 0; s < run->base->segment_count; s++) SHX_TRY(filter_look_at_segment(run, s));
    return SHX_OK;
}

shx_status shx_search_scan_seats(shx_search_run *run, const shx_piece *piece) {
    uint32_t number = piece->place.segment;
    shx_segment *segment = run->base->segments[number];
    const shx_match *match = run->matches ? &run->matches[number] : NULL;
    if (match && match->certain && shx_match_is_seated(match)) match = NULL; /* the pieces are what it admits */
    filter_list list = filter_list_of(run, number, match);
    shx_listed *listed = &list.listed;
    const uint32_t *rows = shx_segment_seated_rows(segment);
    for (uint32_t seat = piece->place.run, end = seat + piece->seats; seat < end;) {
        uint32_t came = 0;
        for (; came < FILTER_AHEAD && seat < end; came++, seat++) {
            listed->rows[came] = rows[seat];
            listed->seats[came] = seat;
        }
        SHX_TRY(filter_list_add(run, came, false, &list));
        SHX_TRY(filter_look(run, &list));
    }
    return shx_search_poll(run, piece->seats);
}
