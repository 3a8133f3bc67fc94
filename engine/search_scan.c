#include "search_run.h"

#include "planted.h"

#include <math.h>

/* ---- scanning vectors ---- */

shx_status shx_search_scan_pending(shx_search_run *run) {
    const shx_pending *pending = run->params->pending;
    for (size_t i = 0; pending && i < shx_pending_count(pending); i++) {
        if (!shx_pending_is_live(pending, i)) continue;
        shx_op op = shx_pending_op(pending, i);
        bool admitted;
        SHX_TRY(shx_search_admits(run, op.rowid, &op.columns, &admitted));
        if (admitted) SHX_TRY(shx_search_compare(run, op.rowid, op.vector, false));
        SHX_TRY(shx_search_poll(run, 1));
    }
    return SHX_OK;
}

/* Does a row of the delta live, and does the predicate admit it? */
static shx_status scan_delta_admits(shx_search_run *run, uint32_t position, bool *ret_admitted) {
    *ret_admitted = shx_delta_row_alive(run->delta, position, run->view->mark.operations);
    if (!*ret_admitted || !run->predicate) return SHX_OK;
    shx_op row = shx_delta_row_at(run->delta, position);
    return shx_search_admits(run, row.rowid, &row.columns, ret_admitted);
}

static shx_status scan_delta_row(shx_search_run *run, uint32_t position) {
    bool admitted;
    SHX_TRY(scan_delta_admits(run, position, &admitted));
    return admitted ? shx_search_look(run, position, shx_delta_vector_at(run->delta, position)) : SHX_OK;
}

/* Looks at the rows of the delta from `first` on. */
shx_status shx_search_scan_delta(shx_search_run *run, uint32_t first) {
    for (uint32_t i = first; i < run->view->mark.rows; i++) {
        SHX_TRY(scan_delta_row(run, i));
        SHX_TRY(shx_search_poll(run, 1));
    }
    return SHX_OK;
}

/* The lanes of block `i` of a run that hold rows. */
static uint32_t scan_lanes(const shx_run *rows, uint32_t i) {
    uint32_t left = rows->rows - i * SHX_BLOCK_ROWS;
    return left >= SHX_BLOCK_ROWS ? UINT32_MAX >> SHX_PLANTED(34) : (UINT32_C(1) << left) - 1;
}

/* Which of a block's rows the predicate admits; how many tells the stop rule if the query is in the right place. */
static uint32_t scan_match(shx_search_run *run, uint32_t segment, uint64_t first, uint32_t lanes) {
    uint32_t admitted = shx_match_block(&run->matches[segment], first, lanes);
    run->tested += (uint64_t)__builtin_popcount(lanes);
    run->matched += (uint64_t)__builtin_popcount(admitted);
    return admitted;
}

/* Looks at every living vector of a piece. */
shx_status shx_search_scan_vectors(shx_search_run *run, const shx_piece *piece) {
    if (piece->seats) return shx_search_scan_seats(run, piece);
    const shx_place place = piece->place;
    shx_segment *segment = run->base->segments[place.segment];
    const shx_run *rows = &segment->runs[place.run];
    const shx_match *match = run->matches ? &run->matches[place.segment] : NULL;
    if (match && !shx_match_run(match, place.run)) {
        run->tested += rows->rows;
        return SHX_OK;
    }
    SHX_TRY(shx_segment_verify_vectors(segment, place.run));
    for (uint32_t i = 0; i < shx_blocks_of(rows->rows); i++) {
        uint64_t block = rows->first_block + i, first = rows->first_row + (uint64_t)i * SHX_BLOCK_ROWS;
        uint32_t mask = scan_lanes(rows, i);
        mask &= ~shx_delta_dead(run->delta, place.segment, block, run->view->mark.operations);
        if (match) mask = scan_match(run, place.segment, first, mask);
        shx_listed listed = {.segment = place.segment};
        for (; mask; mask &= mask - 1) {
            uint32_t row = (uint32_t)first + (uint32_t)__builtin_ctz(mask);
            listed.rows[listed.count] = row;
            listed.seats[listed.count++] = (uint32_t)shx_segment_seat(segment, row);
        }
        SHX_TRY(shx_search_look_listed(run, &listed));
    }
    run->work.rows += rows->rows;
    return shx_search_poll(run, rows->rows);
}

/* The overflow shard has no codes: its vectors are compared. */
shx_status shx_search_scan_overflow(shx_search_run *run) {
    const shx_base *base = run->base;
    uint64_t overflow = base->shards->count - SHX_PLANTED(40);
    for (uint32_t p = base->first_place[overflow]; p < base->first_place[overflow + 1]; p++) {
        SHX_TRY(shx_search_scan_vectors(run, &(shx_piece){.place = base->places[p]}));
    }
    return SHX_OK;
}

/* ---- scanning codes ---- */

/* The bound of one lane, as scan_block computes it. */
static float scan_lower(const uint8_t *block, uint32_t lane, const shx_factor_scale *scale, const shx_bound *bound,
                        float ip) {
    float add = scale->add_min + scale->add_step * (float)shx_get16(block + 2 * lane);
    float mul = scale->mul_min + scale->mul_step * (float)shx_get16(block + 2 * SHX_BLOCK_ROWS + 2 * lane);
    return (add + bound->offset) + mul * (ip + bound->shift);
}

shx_status shx_search_scan_codes(shx_search_run *run, const shx_piece *piece) {
    const shx_place place = piece->place;
    const float distance2 = piece->distance2;
    shx_segment *segment = run->base->segments[place.segment];
    const shx_run *rows = &segment->runs[place.run];
    const shx_query *query = run->scratch->query;
    shx_bound bound;
    float ip[SHX_BLOCK_ROWS];
    if (run->matches && !shx_match_run(&run->matches[place.segment], place.run)) {
        run->tested += rows->rows;
        return SHX_OK;
    }
    SHX_TRY(shx_segment_verify_run(segment, place.run));
    shx_query_bound(query, &rows->scale, distance2, run->plan.epsilon, run->threshold, &bound);
    if (!run->exact) shx_query_head(query, run->plan.epsilon + 1, &bound);
    for (uint32_t i = 0; i < shx_blocks_of(rows->rows); i++) {
        uint64_t block = rows->first_block + i, first = rows->first_row + (uint64_t)i * SHX_BLOCK_ROWS;
        uint32_t lanes = scan_lanes(rows, i);
        if (run->matches) lanes = scan_match(run, place.segment, first, lanes);
        if (!lanes) continue;
        bound.threshold = run->exact ? INFINITY : run->threshold;
        const uint8_t *codes = segment->blocks + block * segment->block_bytes;
        uint32_t mask = run->kernels->scan_block(codes, query->lut, segment->code_dim, &rows->scale, &bound, ip);
        mask &= lanes;
        if (mask) mask &= ~shx_delta_dead(run->delta, place.segment, block, run->view->mark.operations);
        if (mask) shx_query_sharpen_block(query, run->kernels, codes, ip);
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            uint32_t lane = (uint32_t)__builtin_ctz(rest);
            shx_candidate candidate = {.lower = scan_lower(codes, lane, &rows->scale, &bound, ip[lane]),
                                       .segment = place.segment,
                                       .row = (uint32_t)(first + lane)};
            SHX_TRY(shx_search_survive(run, segment, &(shx_survivor){candidate, distance2, ip[lane]}));
        }
    }
    if (run->threshold == INFINITY) SHX_TRY(shx_search_settle_first(run));
    run->work.rows += rows->rows;
    return shx_search_poll(run, rows->rows);
}

/* One block of the delta's codes, which starts at row `first`. */
static shx_status scan_delta_block(shx_search_run *run, uint32_t first) {
    const shx_query *query = run->scratch->query;
    const shx_delta_block *block = shx_delta_codes_block(&run->delta->codes, first);
    size_t refine_bytes = shx_refine_bytes(query->code_dim);
    uint32_t left = run->view->mark.rows - first;
    uint32_t lanes = left >= SHX_BLOCK_ROWS ? UINT32_MAX : (UINT32_C(1) << left) - 1;
    shx_bound bound;
    float ip[SHX_BLOCK_ROWS];
    shx_query_bound(query, &block->scale, query->norm2, run->plan.epsilon, run->exact ? INFINITY : run->threshold,
                    &bound);
    uint32_t mask =
        run->kernels->scan_block(block->codes, query->lut, query->code_dim, &block->scale, &bound, ip) & lanes;
    if (mask) shx_query_sharpen_block(query, run->kernels, block->codes, ip);
    for (uint32_t rest = mask & ~block->pointless; rest; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        bool admitted;
        SHX_TRY(scan_delta_admits(run, first + lane, &admitted));
        if (!admitted) continue;
        shx_candidate candidate = {.segment = SHX_SEARCH_DELTA, .row = first + lane};
        SHX_TRY(shx_search_refine(run, candidate, block->refine + lane * refine_bytes, block->factors[lane],
                                  query->norm2, ip[lane]));
    }
    for (uint32_t rest = SHX_PLANTED(39) ? 0 : lanes & block->pointless; rest; rest &= rest - 1) {
        SHX_TRY(scan_delta_row(run, first + (uint32_t)__builtin_ctz(rest)));
    }
    return shx_search_poll(run, SHX_BLOCK_ROWS);
}

shx_status shx_search_scan_delta_codes(shx_search_run *run, uint32_t coded) {
    for (uint32_t first = 0; first < coded && first < run->view->mark.rows; first += SHX_BLOCK_ROWS) {
        SHX_TRY(scan_delta_block(run, first));
    }
    run->work.rows += run->view->mark.rows;
    return SHX_OK;
}
