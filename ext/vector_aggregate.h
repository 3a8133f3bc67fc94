/* The aggregates vec_sum and vec_avg: of the vectors of a group, dimension by dimension. NULLs are skipped; of no
** vector at all the result is NULL. All must have one dimension and one type, which is the result's too; but that of
** int8 is float32, and bits have none. Added up in double: the result depends on the order of the rows by its last
** digits only. A sum that overflows is an error.
*/
#ifndef SHX_VECTOR_AGGREGATE_H
#define SHX_VECTOR_AGGREGATE_H

#include "sqlite_api.h"

/* Their callbacks, to be registered. */
void shx_vector_aggregate_step(sqlite3_context *context, int count, sqlite3_value **values);
void shx_vector_sum_final(sqlite3_context *context);
void shx_vector_avg_final(sqlite3_context *context);

#endif
