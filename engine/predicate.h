/* Predicates: which postings a query admits, by their filterable columns and rowids. Every condition on one column
** (=, !=, <, BETWEEN, IN, IS NULL, a prefix …) comes down to ranges in the order of values; a predicate is the
** conjunction of conditions, one a column.
*/
#ifndef SHX_PREDICATE_H
#define SHX_PREDICATE_H

#include "status.h"
#include "value.h"

#define SHX_COLUMN_ROWID UINT32_MAX /* in place of a column's number: the rowid */

/* A place between values: right before a value, or right after it. */
typedef struct shx_cut {
    shx_value value;
    bool after;
} shx_cut;

/* The values from one cut to another. */
typedef struct shx_range {
    shx_cut low, high;
} shx_range;

/* One column's condition: its value lies in one of the ranges, which ascend and do not overlap. */
typedef struct shx_condition {
    uint32_t column;
    shx_range *ranges;
    uint64_t count, capacity;
} shx_condition;

typedef struct shx_predicate_text shx_predicate_text;

typedef struct shx_predicate {
    shx_condition *conditions;
    uint64_t count, capacity;
    bool restricted; /* only these rowids: ascending, each once, borrowed */
    const int64_t *rowids;
    uint64_t rowid_count;
    shx_predicate_text *texts; /* owner of the values' bytes */
    shx_range *added, *common; /* ranges on their way into a condition */
    uint64_t added_capacity, common_capacity;
} shx_predicate;

/* Starts as zeros, which admits everything. A reset leads back to that but keeps the memory. */
void shx_predicate_reset(shx_predicate *predicate);
void shx_predicate_clear(shx_predicate *predicate);

/* Whether it admits everything. */
bool shx_predicate_is_empty(const shx_predicate *predicate);

/* Adds the condition that the column's value lies in one of `count` ranges, in any order; all is copied. */
shx_status shx_predicate_add(shx_predicate *predicate, uint32_t column, const shx_range *ranges, uint64_t count);

/* Before or after a value; before and behind all values. */
shx_cut shx_cut_before(shx_value value);
shx_cut shx_cut_after(shx_value value);
shx_cut shx_cut_start(void);
shx_cut shx_cut_end(void);

/* True when the value stands behind the cut. */
bool shx_cut_passed(const shx_cut *cut, const shx_value *value);

/* Whether the predicate names the rowid, when it is restricted. */
bool shx_predicate_names(const shx_predicate *predicate, int64_t rowid);

/* Does it admit a posting with these columns? SHX_CORRUPT when they lack one. */
shx_status shx_predicate_test(const shx_predicate *predicate, int64_t rowid, const shx_packed *columns,
                              bool *ret_admitted);

#endif
