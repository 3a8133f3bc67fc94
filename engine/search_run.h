/* The inside of a search, for the files that make it: search.c chooses shards, search_scan.c goes through their rows,
** search_gather.c keeps what may be an answer, search_wave.c has that done on all threads, search_finish.c compares
** exactly.
*/
#ifndef SHX_SEARCH_RUN_H
#define SHX_SEARCH_RUN_H

#include "index_state.h"
#include "match.h"
#include "near.h"
#include "router.h"
#include "search.h"
#include "smallest.h"

/* A posting that may be among the k nearest, with bounds of its squared distance in code space. */
typedef struct shx_candidate {
    float lower, upper;
    uint32_t segment, row; /* of the base, or SHX_SEARCH_DELTA and a row of the delta */
} shx_candidate;

#define SHX_SEARCH_DELTA UINT32_MAX

/* A posting that passed the scan codes and waits for its refine code, which was asked for when it came. The lower bound
** of the candidate is that of the scan code. */
typedef struct shx_survivor {
    shx_candidate candidate;
    float distance2, ip; /* of its run's centroid, and from the scan code */
} shx_survivor;

#define SHX_SEARCH_SURVIVORS 128

/* The shard of an admitted row, as the query sees it (search_away.c). */
typedef struct shx_glimpse {
    float order2, distance2, scatter;
} shx_glimpse;

#define SHX_GLIMPSES 512

typedef struct shx_candidates {
    shx_candidate *items;
    uint64_t count, capacity;
} shx_candidates;

/* A run to be scanned, and the squared distance of its centroid. Or, where `seats` is not 0, so many vectors in a row;
** place.run is the first one's seat. */
typedef struct shx_piece {
    shx_place place;
    float distance2;
    uint32_t seats;
} shx_piece;

/* Rows of one segment that are to be looked at, and where their vectors stand. */
typedef struct shx_listed {
    uint32_t segment, count;
    uint32_t rows[SHX_BLOCK_ROWS], seats[SHX_BLOCK_ROWS];
} shx_listed;

/* What a chunk of a wave has found: items [first, first + count) of a thread's list. */
typedef struct shx_chunk {
    uint32_t lane;
    uint64_t first, count;
    shx_search_work work;
    uint64_t tested, matched; /* as of the run */
} shx_chunk;

struct shx_search_scratch {
    shx_query *query;
    shx_router router;
    shx_candidates found;
    shx_piece *pieces;
    uint64_t piece_count, piece_capacity;
    shx_chunk *chunks;
    uint64_t chunk_capacity;
    shx_candidates *lanes; /* one a thread */
    uint64_t lane_capacity;
    shx_smallest uppers; /* of bounds: the threshold */
    shx_match *matches;  /* of a predicate with segments */
    uint64_t match_capacity;
    shx_glimpse glimpses[SHX_GLIMPSES]; /* ascending by order2 */
    uint64_t glimpse_count;
    shx_search_work work;
};

/* One search. */
typedef struct shx_search_run {
    shx_view *view;
    const shx_base *base;
    const shx_delta *delta;
    const shx_search_params *params;
    shx_search_scratch *scratch;
    shx_candidates *found;
    bool apart; /* part of a wave: what is found is judged later, against a threshold that stands meanwhile */
    bool asks;  /* in the caller's thread, which alone may ask whether to stop */
    shx_search_work work;
    const shx_kernels *kernels;
    shx_topk *hits;
    shx_stop_plan plan;
    shx_stop_limit limit; /* of plan.first */
    bool coded;        /* postings have codes */
    bool exact;        /* bounds are certain ones, and everything is refined */
    float sigmas;      /* of the refined bounds, unless exact */
    float norm;        /* |query| in code space */
    double query_norm; /* |query| of the user's vector */
    double scale;      /* shx_scale of it, where its distances need it */
    shx_near near;     /* for scans of vectors */
    bool looks;        /* `near` is prepared */
    bool trusted;      /* all vectors were tested against their fingerprints */
    float threshold;   /* squared distance in code space that is surely enough for the k nearest */
    double live_share;
    shx_survivor survivors[SHX_SEARCH_SURVIVORS];
    uint32_t survivor_count, survivors_before; /* all, and those from before the present shard */
    uint64_t asked, accepted, since_poll;
    const shx_predicate *predicate; /* NULL: none */
    shx_match *matches;             /* what it means in each segment; NULL without */
    double admitted;                /* rows of segments, as estimated */
    bool listed;                    /* so few that they are compared one by one */
    bool every_block;               /* so few that every block that holds one is scanned */
    double share;                   /* of segments' rows that are admitted, as estimated; above 0 */
    uint64_t tested, matched;       /* rows gone through, and those of them that the predicate admits */
    bool away;                      /* the query lies away from what is admitted: search_away.c has its rule */
    double away_dimensions[2];      /* of shx_share_within */
    float away_limit2;              /* shards beyond it hold too little to be worth it, as things stood … */
    uint64_t away_until;            /* … and as they stand until so many shards were probed */
} shx_search_run;

/* Outside the radius that was asked for? */
static inline bool shx_search_is_beyond(const shx_search_run *run, double distance) {
    return run->params->within && distance > run->params->radius;
}

/* ---- search_gather.c: what may be an answer ---- */

/* Counts rows that were gone through and asks now and then whether to stop, at once after SHX_WAVE_ROWS. */
shx_status shx_search_poll(shx_search_run *run, uint64_t rows);

/* Compares a vector exactly and takes it in if it belongs to the k nearest so far. */
shx_status shx_search_compare(shx_search_run *run, int64_t rowid, const void *vector, bool committed);

/* Looks at the vector of a row of the delta, or compares it exactly where a look does not tell. */
shx_status shx_search_look(shx_search_run *run, uint32_t row, const void *vector);

/* Looks at the vectors of rows of a segment; without looks they are compared exactly. */
shx_status shx_search_look_listed(shx_search_run *run, const shx_listed *listed);

/* Takes in a candidate if it may still be one of the k nearest and the filter accepts it. */
shx_status shx_search_take(shx_search_run *run, const shx_candidate *candidate);

/* Turns what is known exactly so far into upper bounds, so that the scan of codes starts with a threshold. */
shx_status shx_search_seed_uppers(shx_search_run *run);

/* What float arithmetic may add to the error of a squared distance. */
float shx_search_slack(const shx_search_run *run, float distance2);

/* The rowid of a candidate, wherever that stands. */
int64_t shx_search_rowid_of(const shx_search_run *run, const shx_candidate *candidate);

/* A posting that passed the scan codes: a candidate if its refine code says that it may be one of the k nearest.
** `refine` and `factors` are its codes. */
shx_status shx_search_refine(shx_search_run *run, shx_candidate candidate, const uint8_t *refine,
                             const float factors[3], float distance2, float ip);

/* Takes in a survivor and asks for its refine code, which takes longer to come than the next block to scan; but not
** while there is no threshold, when most survivors will not be refined. */
shx_status shx_search_survive(shx_search_run *run, const shx_segment *segment, const shx_survivor *survivor);

/* Refines those of the first `count` survivors that are still within the threshold; the others move up. */
shx_status shx_search_settle(shx_search_run *run, uint32_t count);

/* Finds a first threshold: refines the few nearest survivors by their scan codes, and leaves out whatever is beyond the
** threshold that they give. */
shx_status shx_search_settle_first(shx_search_run *run);

/* ---- search_filter.c: the predicate ---- */

/* Finds out what the predicate means and how the search goes about it. */
shx_status shx_search_prepare_filter(shx_search_run *run);

/* Does the predicate admit a posting with these columns? For postings outside segments. */
shx_status shx_search_admits(const shx_search_run *run, int64_t rowid, const shx_packed *columns, bool *ret_admitted);

/* Looks at the vectors of all rows of segments that are admitted, when they are few. */
shx_status shx_search_scan_listed(shx_search_run *run);

/* Looks at the vectors of a piece of seats. */
shx_status shx_search_scan_seats(shx_search_run *run, const shx_piece *piece);

/* ---- search_away.c: queries that lie away from what is admitted ---- */

/* Begins to judge by the rows that are admitted: draws some of them. */
void shx_search_go_away(shx_search_run *run);

/* Whether the search may stop before the shard at order2. Call when there is a threshold. */
bool shx_search_away_may_stop(shx_search_run *run, float order2);

/* ---- search_scan.c: going through rows ---- */

/* Compares the rows of the own transaction. */
shx_status shx_search_scan_pending(shx_search_run *run);

/* Compares the rows of the delta from `first` on. */
shx_status shx_search_scan_delta(shx_search_run *run, uint32_t first);

/* Scans the codes of the delta's first `coded` rows. */
shx_status shx_search_scan_delta_codes(shx_search_run *run, uint32_t coded);

/* Scans a piece: the codes of a run, or vectors, where the distance is of no interest. */
typedef shx_status shx_search_scan(shx_search_run *run, const shx_piece *piece);
shx_search_scan shx_search_scan_codes, shx_search_scan_vectors;

/* Compares the vectors of the overflow shard, which has no codes. */
shx_status shx_search_scan_overflow(shx_search_run *run);

/* ---- search_wave.c ---- */

#define SHX_WAVE_ROWS 16384 /* rows that are scanned in the caller's thread before waves begin, and a wave's at least */

/* Scans pieces on the threads of the index, against the threshold as it is at the start: so what is found does not
** depend on the number of threads. The longer a search goes on, the longer its waves may be: one of no more rows than
** were scanned before lets in little that a threshold of its own would not. */
shx_status shx_search_wave(shx_search_run *run, const shx_piece *pieces, uint64_t count, shx_search_scan *scan);

/* ---- search_finish.c ---- */

/* Compares candidates exactly: a few, nearest lower bound first, until no further one can be among the k nearest; many,
** or hardly more than k, as they were found: in the order in which they stand in memory, roughly. */
shx_status shx_search_verify(shx_search_run *run);

#endif
