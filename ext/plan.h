/* The planner: which of a query's constraints a cursor takes over, and how it then goes about it. Pure.
**
** A plan travels from xBestIndex to xFilter as text that EXPLAIN QUERY PLAN shows:
**
**     knn match k limit offset recall exact distance<= rowid-in c0= c2>= a1like
**     │   └ terms: each takes one argument of xFilter, in this order
**     └ way: knn     the k nearest (k or LIMIT is known)
**            stream  nearest first, until SQLite has had enough
**            point   one row by rowid
**            range   rows in rowid order, from here to there
**            filter  rows in rowid order, those that satisfy conditions
**            scan    all rows in rowid order
**
** A last word `desc` says that the rows are to come in descending rowid order, `sorted` that SQLite relies on the
** order of distances.
*/
#ifndef SHX_PLAN_H
#define SHX_PLAN_H

#include "../engine/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a constraint is about. */
typedef enum shx_subject {
    SHX_SUBJECT_MATCH, /* the vector column, by MATCH */
    SHX_SUBJECT_K,
    SHX_SUBJECT_LIMIT,
    SHX_SUBJECT_OFFSET,
    SHX_SUBJECT_RECALL,
    SHX_SUBJECT_EXACT,
    SHX_SUBJECT_DISTANCE,
    SHX_SUBJECT_ROWID,
    SHX_SUBJECT_PLAIN,
    SHX_SUBJECT_AUXILIARY,
    SHX_SUBJECT_OTHER, /* nothing that a cursor could take over */
} shx_subject;

/* The operator; for MATCH, LIMIT and OFFSET it is SHX_COMPARE_EQ. */
typedef enum shx_compare {
    SHX_COMPARE_EQ,
    SHX_COMPARE_NE,
    SHX_COMPARE_LT,
    SHX_COMPARE_LT_OR_BLOB, /* LT, or the column holds a blob */
    SHX_COMPARE_LE,
    SHX_COMPARE_GT,
    SHX_COMPARE_GE,
    SHX_COMPARE_IS,
    SHX_COMPARE_IS_NOT,
    SHX_COMPARE_IS_NULL,
    SHX_COMPARE_NOT_NULL,
    SHX_COMPARE_LIKE,
    SHX_COMPARE_GLOB,
    SHX_COMPARE_IN, /* all values at once */
    SHX_COMPARE_OTHER,
} shx_compare;

/* The operator in SQL. */
const char *shx_compare_sql(shx_compare compare);

typedef struct shx_constraint {
    shx_subject subject;
    uint32_t slot; /* of a plain or auxiliary column */
    shx_compare compare;
    bool usable;  /* the right side is known when the cursor starts */
    bool binary;  /* compared byte by byte: with the collation BINARY */
    bool clear;   /* the comparison can mean but one thing (filter.c), and the predicate has it */
    bool literal; /* the right side stands in the query, as a number or text */
    bool is_in;   /* it is one value of an IN list: `compare` is EQ, and IN on request */
} shx_constraint;

typedef enum shx_order {
    SHX_ORDER_NONE,
    SHX_ORDER_DISTANCE, /* ascending */
    SHX_ORDER_ROWID,
    SHX_ORDER_ROWID_DESC,
    SHX_ORDER_OTHER,
} shx_order;

typedef struct shx_plan_request {
    const shx_constraint *constraints;
    int count;
    shx_order order;
    double k; /* how many rows k or LIMIT asks for, when known, else 0 */
} shx_plan_request;

/* What becomes of one constraint. */
typedef struct shx_plan_use {
    int argument; /* position among xFilter's arguments from 1 on; 0: not taken over */
    bool omit;    /* SQLite need not check it again */
    bool all;     /* an IN list is taken as a whole */
} shx_plan_use;

#define SHX_PLAN_TEXT_MAX 1024 /* conditions beyond it are left to SQLite */

typedef struct shx_plan {
    char text[SHX_PLAN_TEXT_MAX];
    bool ordered; /* rows come in the order that was asked for */
    bool unique;  /* at most one row */
    double cost, rows;
} shx_plan;

typedef enum shx_verdict {
    SHX_PLAN_OK,
    SHX_PLAN_IMPOSSIBLE, /* not with these usable constraints: another join order is needed */
    SHX_PLAN_ERROR,      /* the query makes no sense: *ret_message */
} shx_verdict;

/* Plans. `uses` has one element per constraint. */
shx_verdict shx_plan_make(const shx_plan_request *request, shx_plan_use *uses, shx_plan *ret_plan,
                          const char **ret_message);

typedef enum shx_way {
    SHX_WAY_KNN,
    SHX_WAY_STREAM,
    SHX_WAY_POINT,
    SHX_WAY_RANGE,
    SHX_WAY_FILTER,
    SHX_WAY_SCAN,
} shx_way;

typedef struct shx_term {
    shx_subject subject;
    uint32_t slot;
    shx_compare compare;
} shx_term;

/* A plan as a cursor takes it up. Starts as zeros. */
typedef struct shx_plan_read {
    char *text; /* that it was read from; NULL: none */
    shx_way way;
    shx_order order;
    shx_term *terms;
    uint64_t text_bytes, count, capacity; /* with room for so much text, and so many terms */
} shx_plan_read;

/* Reads a whole plan, unless it is the one that was read last. SHX_MISUSE when the text is none. */
shx_status shx_plan_read_all(shx_plan_read *plan, const char *text);
void shx_plan_read_free(shx_plan_read *plan);

/* Reads the head of a plan's text; *text is advanced to the terms. False when it is none. */
bool shx_plan_read_way(const char **text, shx_way *ret_way);

/* Reads the next term; false at the end. The words about the order end the terms and set *ret_order. */
bool shx_plan_read_term(const char **text, shx_term *ret_term, shx_order *ret_order);

#endif
