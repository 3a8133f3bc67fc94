/* What a predicate means in one segment: ranges of ids for each condition, from which the rows that it admits can be
** counted, listed, or told block by block.
*/
#ifndef SHX_MATCH_H
#define SHX_MATCH_H

#include "segment.h"

/* Ids [low, high) of a column, or positions in the order of rowids. */
typedef struct shx_id_range {
    uint32_t low, high;
} shx_id_range;

/* One condition. Its memory, and that of the whole, is used again. */
typedef struct shx_match_condition {
    const uint32_t *ids;    /* of the column; NULL: rowids */
    const shx_zone *zones;  /* of the column's runs */
    const uint32_t *starts; /* rows with lower ids, NULL: positions are rows' */
    const uint32_t *order;  /* rows by id, or by rowid */
    shx_id_range *ranges;   /* ascending */
    uint64_t count, rows;   /* ranges, and rows that lie in them, dead ones included */
    bool seated;            /* the order is that of the seats, too */
    bool mapped;            /* there are many ranges: `bitmap` has the ids that lie in some range */
    uint8_t *bitmap;
    uint64_t range_capacity, bitmap_bytes;
} shx_match_condition;

typedef struct shx_match {
    const shx_segment *segment;
    const shx_predicate *predicate;
    shx_match_condition *conditions;
    uint64_t count, capacity;
    const shx_match_condition *narrowest; /* NULL without conditions */
    bool by_rowids;                       /* a restriction of the predicate is narrower still */
    bool certain;                         /* all rows that the walk comes to are admitted */
    uint64_t rows;                        /* no more than so many are admitted */
} shx_match;

/* Prepares; SHX_CORRUPT when a column is damaged. The match is zeros at first, later what it was made for before; free
** it in any case. Segment and predicate must outlive its use. */
shx_status shx_match_make(const shx_segment *segment, const shx_predicate *predicate, shx_match *match);
void shx_match_free(shx_match *match);

/* Do the vectors of the rows that the walk comes to stand side by side? */
static inline bool shx_match_is_seated(const shx_match *match) {
    return !match->by_rowids && match->narrowest && match->narrowest->seated;
}

/* False when no row of the run is admitted, by the zones. */
bool shx_match_run(const shx_match *match, uint32_t run);

/* Which of `count` ≤ 32 rows from `first` on are admitted, of those in `lanes`. The run must be verified. */
uint32_t shx_match_block(const shx_match *match, uint64_t first, uint32_t lanes);

/* Whether one row is. The run must be verified. */
bool shx_match_row(const shx_match *match, uint64_t row);

/* Walks the rows of the narrowest condition: the next ones, whether the others admit them or not, and the seats of
** their vectors. At the start the walk is zeros. */
typedef struct shx_match_walk {
    uint64_t range, position, end;
} shx_match_walk;

/* Returns how many, `most` at the most; 0 at the end. */
uint32_t shx_match_next(const shx_match *match, shx_match_walk *walk, uint32_t most, uint32_t *ret_rows,
                        uint32_t *ret_seats);

/* Up to `most` of the rows that are admitted, evenly spread over those that the walk comes to; returns how many. */
uint64_t shx_match_sample(const shx_match *match, uint64_t most, uint32_t *ret_rows);

/* Stretch `number` of the seats of the rows that the walk comes to, where they stand side by side; false: there are no
** more. */
bool shx_match_seats(const shx_match *match, uint64_t number, uint64_t *ret_first, uint64_t *ret_end);

/* An estimate of how many rows are admitted, by looking at a few evenly spread ones of the narrowest condition. */
double shx_match_estimate(const shx_match *match);

#endif
