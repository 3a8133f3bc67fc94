/* Conditions of a query in the engine's terms: those that its scan can evaluate become ranges of values.
*/
#ifndef SHX_FILTER_SCAN_H
#define SHX_FILTER_SCAN_H

#include "sqlite_api.h"

#include "../engine/predicate.h"
#include "affinity.h"
#include "plan.h"

/* Adds `column compare value` to the predicate if it can say exactly that (*ret_taken). `affinity` is the column's,
** SHX_AFFINITY_INTEGER for the rowid. For SHX_COMPARE_IN there are several values, else one. Codes of SQLite. */
int shx_filter_scan(shx_predicate *predicate, uint32_t column, shx_affinity affinity, shx_compare compare,
                    sqlite3_value *const *values, uint64_t count, bool *ret_taken);

#endif
