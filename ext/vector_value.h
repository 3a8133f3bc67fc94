/* Vectors as SQL values: BLOBs of little-endian float32 and JSON arrays, in and out.
*/
#ifndef SHX_VECTOR_VALUE_H
#define SHX_VECTOR_VALUE_H

#include "sqlite_api.h"

#include <stdbool.h>
#include <stdint.h>

#define SHX_SUBTYPE_FLOAT32 223 /* as sqlite-vec: marks the result of vec_f32 */
#define SHX_SUBTYPE_JSON 74     /* as SQLite's JSON functions */

/* A vector read from an SQL value. `floats` is owned by this object (aligned, sqlite3_malloc64). */
typedef struct shx_vector {
    float *floats;
    uint32_t dim;
} shx_vector;

void shx_vector_clear(shx_vector *vector);

/* Reads a vector; SQLITE_OK, SQLITE_NOMEM, or SQLITE_ERROR with *ret_message (sqlite3_mprintf) that says what was read
** and what was expected: type, length not divisible by 4, JSON with the position of the fault (1-based byte), NaN or
** Inf with the element's position (from 0), zero length, more than SHX_DIM_MAX. Locale does not matter. */
int shx_vector_read(sqlite3_value *value, shx_vector *ret_vector, char **ret_message);

/* JSON text of a vector as sqlite-vec prints it, "[1.000000,2.000000]"; sqlite3_free. NULL when out of memory. */
char *shx_vector_json(const float *floats, uint32_t dim);

/* Registers vec_f32, vec_to_json, vec_length, vec_distance_l2, _cosine, _ip (vector_functions.c), each only where the
** connection has no function of that name and argument count yet. */
int shx_vector_functions_register(sqlite3 *db);

#endif
