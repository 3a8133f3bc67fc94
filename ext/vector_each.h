/* The table function vec_each(vector): a row for each dimension, with the rowid from 0 and the value: REAL of
** floating-point numbers, INTEGER of int8 and of bits. Those come with the highest bit of a byte first, as from
** sqlite-vec, whose vec_to_json has the lowest one first, as ours.
*/
#ifndef SHX_VECTOR_EACH_H
#define SHX_VECTOR_EACH_H

#include "sqlite_api.h"

/* Registers it where the connection has no module of that name yet. */
int shx_vector_each_register(sqlite3 *db);

#endif
