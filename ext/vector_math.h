/* Arithmetic on vectors: the SQL functions vec_add, vec_sub, vec_normalize and vec_slice, with the results and the
** messages of sqlite-vec but for what it gives as NaN or Inf: a sum that overflows is an error, the normalised form of
** a zero vector is a zero vector, and no length overflows.
*/
#ifndef SHX_VECTOR_MATH_H
#define SHX_VECTOR_MATH_H

#include "sqlite_api.h"

/* The sum and the difference of two vectors of one type and dimension; of int8 modulo 256, as sqlite-vec. */
void shx_vector_add(sqlite3_context *context, int count, sqlite3_value **values);
void shx_vector_sub(sqlite3_context *context, int count, sqlite3_value **values);

/* The vector at length 1, computed in double. */
void shx_vector_normalize(sqlite3_context *context, int count, sqlite3_value **values);

/* The dimensions from `start` up to but not including `end`, both counted from 0; of bits whole bytes only. */
void shx_vector_slice(sqlite3_context *context, int count, sqlite3_value **values);

#endif
