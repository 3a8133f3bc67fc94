/* Conditions of a query in the engine's terms: those that its scan can evaluate become ranges of values.
*/
#ifndef SHX_FILTER_SCAN_H
#define SHX_FILTER_SCAN_H

#include "sqlite_api.h"

#include "../engine/predicate.h"
#include "affinity.h"
#include "plan.h"

/* `column compare value`, with all values of a list where it is SHX_COMPARE_IN. */
typedef struct shx_column_condition {
    uint32_t column;       /* or SHX_COLUMN_ROWID */
    shx_affinity affinity; /* the column's, SHX_AFFINITY_INTEGER for the rowid */
    shx_compare compare;
    sqlite3_value *const *values; /* borrowed */
    uint64_t count;
} shx_column_condition;

/* Adds a condition to the predicate if that can say exactly the same: *ret_taken. Codes of SQLite. */
int shx_filter_scan(shx_predicate *predicate, const shx_column_condition *condition, bool *ret_taken);

#endif
