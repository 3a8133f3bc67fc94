#include "match.h"

#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <string.h>

#define MATCH_RANGES_FEW 4   /* compared one by one; more make a bitmap */
#define MATCH_SAMPLE_ROWS 64 /* looked at to estimate */

/* ---- preparing ---- */

/* The number of rowids that do not stand behind the cut. */
static uint32_t match_seek_rowid(const shx_segment *segment, const shx_cut *cut) {
    uint32_t low = 0, high = (uint32_t)segment->row_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        shx_value rowid = {.type = SHX_VALUE_INTEGER, .is.integer = segment->rowids[segment->order[middle]]};
        if (shx_cut_passed(cut, &rowid)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static shx_status match_seek(const shx_segment *segment, uint32_t column, const shx_cut *cut, uint32_t *ret_id) {
    if (column != SHX_COLUMN_ROWID) return shx_columns_seek(&segment->columns, column, cut, ret_id);
    *ret_id = match_seek_rowid(segment, cut);
    return SHX_OK;
}

static shx_status match_make_bitmap(shx_match_condition *condition, uint32_t distinct) {
    uint64_t bytes = distinct / 8 + 1;
    SHX_TRY(shx_grow((void **)&condition->bitmap, &condition->bitmap_bytes, bytes, 1));
    memset(condition->bitmap, 0, bytes);
    for (uint64_t i = 0; i < condition->count; i++) {
        for (uint32_t id = condition->ranges[i].low; id < condition->ranges[i].high; id++) {
            condition->bitmap[id / 8] |= (uint8_t)(1 << id % 8);
        }
    }
    condition->mapped = true;
    return SHX_OK;
}

/* Turns the condition's ranges of values into ranges of ids; empty ones are left out. */
static shx_status match_make_ranges(const shx_segment *segment, const shx_condition *from,
                                    shx_match_condition *condition) {
    SHX_TRY(shx_grow((void **)&condition->ranges, &condition->range_capacity, from->count, sizeof *condition->ranges));
    for (uint64_t i = 0; i < from->count; i++) {
        shx_id_range range = {0};
        SHX_TRY(match_seek(segment, from->column, &from->ranges[i].low, &range.low));
        SHX_TRY(match_seek(segment, from->column, &from->ranges[i].high, &range.high));
        if (range.low >= range.high) continue;
        condition->ranges[condition->count++] = range;
        const uint32_t *starts = condition->starts;
        condition->rows += starts ? starts[range.high] - starts[range.low] : range.high - range.low;
    }
    return SHX_OK;
}

static shx_status match_make_condition(const shx_segment *segment, const shx_condition *from,
                                       shx_match_condition *condition) {
    const shx_columns *columns = &segment->columns;
    *condition = (shx_match_condition){.order = segment->order,
                                       .ranges = condition->ranges,
                                       .range_capacity = condition->range_capacity,
                                       .bitmap = condition->bitmap,
                                       .bitmap_bytes = condition->bitmap_bytes};
    if (from->column == SHX_COLUMN_ROWID) {
        SHX_TRY(shx_segment_verify_rowids(segment));
        return match_make_ranges(segment, from, condition);
    }
    SHX_TRY(shx_columns_verify(columns, from->column));
    const shx_column_entry *entry = &columns->entries[from->column];
    condition->ids = columns->ids + from->column * columns->rows;
    condition->zones = columns->zones + (uint64_t)from->column * columns->runs;
    condition->starts = columns->starts + entry->first;
    condition->order = columns->by_value + from->column * columns->rows;
    condition->seated = segment->group == from->column + 1;
    SHX_TRY(match_make_ranges(segment, from, condition));
    return condition->count > MATCH_RANGES_FEW ? match_make_bitmap(condition, entry->distinct) : SHX_OK;
}

/* Empty, with room for `count` conditions. */
static shx_status match_start(const shx_segment *segment, const shx_predicate *predicate, shx_match *match) {
    SHX_TRY(shx_grow_zero((void **)&match->conditions, &match->capacity, predicate->count, sizeof *match->conditions));
    *match = (shx_match){.segment = segment,
                         .predicate = predicate,
                         .conditions = match->conditions,
                         .capacity = match->capacity,
                         .rows = segment->row_count};
    return SHX_OK;
}

shx_status shx_match_make(const shx_segment *segment, const shx_predicate *predicate, shx_match *match) {
    SHX_TRY(match_start(segment, predicate, match));
    for (uint64_t i = 0; i < predicate->count; i++) {
        shx_match_condition *condition = &match->conditions[match->count++];
        SHX_TRY(match_make_condition(segment, &predicate->conditions[i], condition));
        bool narrower = !match->narrowest || condition->rows < match->narrowest->rows;
        if (narrower) match->narrowest = condition;
        if (condition->rows < match->rows) match->rows = condition->rows;
    }
    match->by_rowids = predicate->restricted && (!match->narrowest || predicate->rowid_count < match->rows);
    if (match->by_rowids) SHX_TRY(shx_segment_verify_rowids(segment));
    if (match->by_rowids && predicate->rowid_count < match->rows) match->rows = predicate->rowid_count;
    match->certain = match->count == (match->by_rowids ? 0 : 1) && (match->by_rowids || !predicate->restricted);
    return SHX_OK;
}

void shx_match_free(shx_match *match) {
    for (uint64_t i = 0; i < match->capacity; i++) {
        shx_free(match->conditions[i].ranges);
        shx_free(match->conditions[i].bitmap);
    }
    shx_free(match->conditions);
    *match = (shx_match){0};
}

/* ---- testing ---- */

static bool match_zone(const shx_match_condition *condition, const shx_zone *zone) {
    for (uint64_t i = 0; i < condition->count; i++) {
        if (condition->ranges[i].low + SHX_PLANTED(37) > zone->highest) return false;
        if (condition->ranges[i].high > zone->lowest) return true;
    }
    return false;
}

bool shx_match_run(const shx_match *match, uint32_t run) {
    for (uint64_t i = 0; i < match->count; i++) {
        const shx_match_condition *condition = &match->conditions[i];
        if (condition->count == 0) return false;
        if (condition->zones && !match_zone(condition, &condition->zones[run])) return false;
    }
    return true;
}

/* One range, all 32 rows: a loop that compilers make wide. */
static uint32_t match_range_block(const uint32_t *ids, shx_id_range range) {
    uint32_t mask = 0, width = range.high - range.low;
    for (int i = 0; i < SHX_BLOCK_ROWS; i++) mask |= (uint32_t)(ids[i] - range.low < width) << i;
    return mask;
}

static bool match_id(const shx_match_condition *condition, uint32_t id) {
    if (condition->mapped) {
        uint32_t end = condition->ranges[condition->count - 1].high;
        return id < end && (condition->bitmap[id / 8] >> id % 8 & 1);
    }
    bool found = false;
    for (uint64_t i = 0; i < condition->count; i++) {
        found |= id >= condition->ranges[i].low && id < condition->ranges[i].high;
    }
    return found;
}

static bool match_rowid(const shx_segment *segment, const shx_match_condition *condition, int64_t rowid) {
    for (uint64_t i = 0; i < condition->count; i++) {
        int64_t lowest = segment->rowids[segment->order[condition->ranges[i].low]];
        int64_t highest = segment->rowids[segment->order[condition->ranges[i].high - 1]];
        if (rowid >= lowest && rowid <= highest) return true;
    }
    return false;
}

static bool match_condition_row(const shx_match *match, const shx_match_condition *condition, uint64_t row) {
    return condition->ids ? match_id(condition, condition->ids[row])
                          : match_rowid(match->segment, condition, match->segment->rowids[row]);
}

static uint32_t match_condition_block(const shx_match *match, const shx_match_condition *condition, uint64_t first,
                                      uint32_t lanes) {
    uint32_t mask = 0;
    bool whole = condition->ids && !condition->mapped && first + SHX_BLOCK_ROWS <= match->segment->row_count;
    if (whole) {
        for (uint64_t i = 0; i < condition->count; i++) {
            mask |= match_range_block(condition->ids + first, condition->ranges[i]);
        }
        return mask & lanes;
    }
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        mask |= (uint32_t)match_condition_row(match, condition, first + lane) << lane;
    }
    return mask;
}

uint32_t shx_match_block(const shx_match *match, uint64_t first, uint32_t lanes) {
    for (uint64_t i = 0; i < match->count && lanes; i++) {
        lanes = match_condition_block(match, &match->conditions[i], first, lanes);
    }
    if (!match->predicate->restricted) return lanes;
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        bool named = shx_predicate_names(match->predicate, match->segment->rowids[first + lane]);
        if (!named) lanes &= ~(UINT32_C(1) << lane);
    }
    return lanes;
}

bool shx_match_row(const shx_match *match, uint64_t row) {
    for (uint64_t i = 0; i < match->count; i++) {
        if (!match_condition_row(match, &match->conditions[i], row)) return false;
    }
    return shx_predicate_names(match->predicate, match->segment->rowids[row]);
}

/* ---- listing ---- */

static bool match_next_rowid(const shx_match *match, shx_match_walk *walk, uint64_t *ret_row) {
    const shx_predicate *predicate = match->predicate;
    while (walk->position < predicate->rowid_count) {
        if (shx_segment_find(match->segment, predicate->rowids[walk->position++], ret_row)) return true;
    }
    return false;
}

/* Where the rows of a condition's range stand in its order. */
static void match_stretch(const shx_match_condition *condition, uint64_t number, uint64_t *ret_first,
                          uint64_t *ret_end) {
    const shx_id_range *range = &condition->ranges[number];
    *ret_first = condition->starts ? condition->starts[range->low] : range->low;
    *ret_end = condition->starts ? condition->starts[range->high] : range->high;
}

bool shx_match_seats(const shx_match *match, uint64_t number, uint64_t *ret_first, uint64_t *ret_end) {
    assert(shx_match_is_seated(match));
    if (number == match->narrowest->count) return false;
    match_stretch(match->narrowest, number, ret_first, ret_end);
    return true;
}

/* The next rows of the narrowest condition's order, and where they stand in it. */
static uint32_t match_next_ordered(const shx_match *match, shx_match_walk *walk, uint32_t most, uint32_t *ret_rows,
                                   uint64_t *ret_first) {
    const shx_match_condition *condition = match->narrowest;
    while (walk->position == walk->end) {
        if (!condition || walk->range == condition->count) return 0;
        match_stretch(condition, walk->range++, &walk->position, &walk->end);
    }
    uint64_t left = walk->end - walk->position;
    uint32_t count = left < most ? (uint32_t)left : most;
    memcpy(ret_rows, condition->order + walk->position, count * sizeof *ret_rows);
    *ret_first = walk->position;
    walk->position += count;
    return count;
}

uint32_t shx_match_next(const shx_match *match, shx_match_walk *walk, uint32_t most, uint32_t *ret_rows,
                        uint32_t *ret_seats) {
    uint32_t count = 0;
    uint64_t row, first = 0;
    while (match->by_rowids && count < most && match_next_rowid(match, walk, &row)) ret_rows[count++] = (uint32_t)row;
    if (!match->by_rowids) count = match_next_ordered(match, walk, most, ret_rows, &first);
    bool seated = shx_match_is_seated(match);
    for (uint32_t i = 0; i < count; i++) {
        ret_seats[i] = seated ? (uint32_t)first + i : (uint32_t)shx_segment_seat(match->segment, ret_rows[i]);
    }
    return count;
}

/* Of the rowids that the predicate names, up to `most` that are in the segment. */
static uint64_t match_spread_rowids(const shx_match *match, uint64_t most, uint32_t *ret_rows) {
    const shx_predicate *predicate = match->predicate;
    uint64_t count = 0, step = predicate->rowid_count / most + 1, row;
    for (uint64_t i = step / 2; i < predicate->rowid_count; i += step) {
        if (shx_segment_find(match->segment, predicate->rowids[i], &row)) ret_rows[count++] = (uint32_t)row;
    }
    return count;
}

/* Up to `most` of the rows that the walk comes to, evenly spread. */
static uint64_t match_spread(const shx_match *match, uint64_t most, uint32_t *ret_rows) {
    const shx_match_condition *condition = match->narrowest;
    if (match->rows == 0 || most == 0) return 0;
    if (match->by_rowids) return match_spread_rowids(match, most, ret_rows);
    uint64_t count = 0, step = match->rows / most + 1, next = step / 2, passed = 0;
    for (uint64_t i = 0; condition && i < condition->count; i++) {
        uint64_t from, end;
        match_stretch(condition, i, &from, &end);
        for (; next < passed + (end - from); next += step) {
            ret_rows[count++] = condition->order[from + (next - passed)];
        }
        passed += end - from;
    }
    return count;
}

uint64_t shx_match_sample(const shx_match *match, uint64_t most, uint32_t *ret_rows) {
    uint64_t looked = match_spread(match, most, ret_rows), count = 0;
    for (uint64_t i = 0; i < looked; i++) {
        uint32_t row = ret_rows[i];
        if (shx_match_row(match, row)) ret_rows[count++] = row;
    }
    return count;
}

double shx_match_estimate(const shx_match *match) {
    uint32_t rows[MATCH_SAMPLE_ROWS];
    bool alone = match->count < 2 && !match->predicate->restricted;
    if (alone || match->by_rowids || match->rows == 0) return (double)match->rows;
    uint64_t looked = match_spread(match, MATCH_SAMPLE_ROWS, rows), found = 0;
    for (uint64_t i = 0; i < looked; i++) found += shx_match_row(match, rows[i]);
    return looked ? (double)match->rows * ((double)found + 0.5) / ((double)looked + 1) : (double)match->rows;
}
