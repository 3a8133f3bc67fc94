/* Calibration: when a search may stop, fitted to the table itself for the recall that the user asks for.
**
** Shards are visited in the order of their centroids' distance with the shards' handicaps (router.h). The search stops
** before the first shard whose score is above theta:
**
**     score = ln(d²_c / d²_ref) + beta × ln(1 + rank),      rank = rows passed × live share / SHX_SHARD_TARGET
**
** where d²_c is the distance of query and centroid with the handicap and d²_ref either the one of the first shard (form
** FIRST, for searches without a filter) or the distance of the k-th best posting so far (form KTH, which widens by
** itself under filters). Theta of the form KTH is that of searches without a filter, plus growth × ln(1 / share of the
** rows that the filter admits). Filtered rows count as passed; the share of dead ones in all segments is taken off,
** since an update leaves a dead row beside the living one. So neither segments nor changes make a rank mean something
** else. Of the rules tried on real data this one scans the fewest rows.
**
** A query that lies away from all that a filter admits has neighbours that no row has: its rule is another one
** (search_away.c).
**
** Queries were rows here. One that is farther from the first shard than 95 % of them has neighbours in more shards than
** they: for it theta of the form FIRST grows by 3 beta × ln(its distance / theirs). Queries that are unlike the rows in
** other ways, between clusters for one, find fewer than they ask for.
**
** FORMAT (section CALIBRATION of a base): the struct below, little-endian, 8-byte fields only.
*/
#ifndef SHX_CALIBRATION_H
#define SHX_CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

#define SHX_CALIBRATION_KS 3
#define SHX_CALIBRATION_RECALLS 8

#define SHX_RECALL_EXHAUSTIVE 0.9995 /* above it a search leaves nothing out */

typedef struct shx_stop_rule {
    double beta, theta;
} shx_stop_rule;

typedef struct shx_calibration {
    uint64_t fitted;                                               /* 0: nothing was measured yet, the defaults hold */
    uint64_t sample_size;                                          /* queries it was fitted on */
    double usual2;                                                 /* d²_c of the first shard to 95 % of them, or 0 */
    double dimensions[2]; /* of shx_share_within: what a quarter of them falls below and exceeds; 0: not known */
    double mean_rows[SHX_CALIBRATION_KS][SHX_CALIBRATION_RECALLS]; /* rows a search scans on average */
    shx_stop_rule first[SHX_CALIBRATION_KS][SHX_CALIBRATION_RECALLS];
    shx_stop_rule kth[SHX_CALIBRATION_KS][SHX_CALIBRATION_RECALLS]; /* as without a filter … */
    double growth[SHX_CALIBRATION_KS][SHX_CALIBRATION_RECALLS];     /* … and by what its theta grows under one */
} shx_calibration;

/* The k and the recalls of the tables' rows and columns. */
extern const uint32_t shx_calibration_ks[SHX_CALIBRATION_KS];
extern const double shx_calibration_recalls[SHX_CALIBRATION_RECALLS];

/* What is used before anything was measured: wide. */
void shx_calibration_default(shx_calibration *ret_calibration);

/* False when some number is not finite or out of range. */
bool shx_calibration_valid(const shx_calibration *calibration);

/* How one search is to be run. */
typedef struct shx_stop_plan {
    shx_stop_rule first, kth; /* interpolated in log k and in recall */
    double recall;            /* that is asked for */
    double growth;            /* of kth.theta when a filter admits one row in e */
    float epsilon;            /* standard deviations below an estimate that count as its lower bound */
    double row_cap;           /* rows after which to give up */
    bool exhaustive;          /* recall 1: never stop */
} shx_stop_plan;

/* The epsilon of a plan: the same for all recalls of a range. */
float shx_calibration_epsilon(const shx_calibration *calibration, double recall);

/* The plan for a k and a recall, between those that were fitted; a recall out of (0, 1] counts as 0.95. */
void shx_stop_plan_make(const shx_calibration *calibration, uint64_t k, double recall, shx_stop_plan *ret_plan);

/* Widens the plan for a query that is so far from the first shard, if that is farther than usual. */
void shx_stop_plan_reach(const shx_calibration *calibration, double nearest2, shx_stop_plan *plan);

/* The share of a shard's postings to expect within a squared distance of a query, from which its centroid is distance2
** away: a posting at a distance s from the centroid is at d² = d²_c + s² + 2 d_c s × cosine, and cosines are spread as
** those of random directions in so many dimensions, normally with a variance of 1 / dimension. `scatter` is the mean of
** s². (Quake, Mohoney et al. 2025, estimates its recall from such caps of spheres.) */
double shx_share_within(double dimension, float distance2, float scatter, float limit2);

/* True when the search may stop before the shard at distance2. `reference2` is the d²_ref of the rule's form. */
bool shx_stop_rule_holds(const shx_stop_rule *rule, double distance2, double reference2, double rank);

/* The squared distance at which a rule holds, for a reference that stays and a rank that grows. Starts as zeros. */
typedef struct shx_stop_limit {
    double rank, distance2; /* the distance at this rank; 0: none was computed yet */
} shx_stop_limit;

/* shx_stop_rule_holds, up to rounding, without a logarithm in most cases: the distance falls with the rank, and never
** below its tangent. */
bool shx_stop_limit_holds(shx_stop_limit *limit, const shx_stop_rule *rule, double distance2, double reference2,
                          double rank);

#endif
