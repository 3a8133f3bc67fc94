/* Vectors as SQL values: BLOBs of a vector's own bytes and JSON arrays, in and out.
**
** A BLOB's subtype says what its elements are; one without a subtype (bound by an application, read from a file, come
** through a sorter) is what the place where it stands expects: the column's type, or float32 in a function.
*/
#ifndef SHX_VECTOR_VALUE_H
#define SHX_VECTOR_VALUE_H

#include "../engine/element.h"
#include "sqlite_api.h"

#include <stdbool.h>
#include <stdint.h>

#define SHX_SUBTYPE_FLOAT32 223 /* as sqlite-vec: marks the results of vec_f32, vec_bit and vec_int8 */
#define SHX_SUBTYPE_BIT 224
#define SHX_SUBTYPE_INT8 225
#define SHX_SUBTYPE_FLOAT16 226 /* ours */
#define SHX_SUBTYPE_BFLOAT16 227
#define SHX_SUBTYPE_JSON 74 /* as SQLite's JSON functions */

/* A vector read from an SQL value. `data` is owned by this object (aligned, sqlite3_malloc64). */
typedef struct shx_vector {
    void *data;
    shx_element element;
    uint32_t dim;
} shx_vector;

void shx_vector_clear(shx_vector *vector);

static inline size_t shx_vector_bytes(const shx_vector *vector) {
    return shx_element_bytes(vector->element, vector->dim);
}

/* The subtype that marks vectors of an element type. */
unsigned shx_vector_subtype(shx_element element);

/* The element type that a value says it has: that of its subtype, float32 without one. */
shx_element shx_vector_element(sqlite3_value *value);

/* Reads a vector of a given element type; SQLITE_OK, SQLITE_NOMEM, or SQLITE_ERROR with *ret_message (sqlite3_mprintf)
** that says what was read and what was expected: type, length of a BLOB, JSON with the position of the fault (1-based
** byte), a number that the type does not hold (NaN, Inf or out of range) with the element's position (from 0), zero
** length, more than SHX_DIM_MAX. Floating-point types are converted into each other, rounded to nearest; bits have no
** JSON form. Locale does not matter. */
int shx_vector_read_as(sqlite3_value *value, shx_element element, shx_vector *ret_vector, char **ret_message);

/* Whether the value says that it is a vector of a type that cannot be read as this one; of which. */
bool shx_vector_is_other(sqlite3_value *value, shx_element element, shx_element *ret_other);

/* Whether the value is, as it stands, the bytes of a vector of this type and dimension. */
bool shx_vector_stands(sqlite3_value *value, shx_element element, uint32_t dim);

/* What may be the matter with a value that was read as a vector of more than the expected dimensions, to end a message
** with: a BLOB of numbers that are wider than the column's, such as doubles. "" when it is something else. */
const char *shx_vector_hint(sqlite3_value *value, const shx_vector *vector, uint32_t expected);

/* The number at a position of a vector; of bits 0 or 1, the lowest bit of a byte first. */
float shx_vector_number(const shx_vector *vector, uint32_t position);

/* JSON text of a vector as sqlite-vec prints it, "[1.000000,2.000000]", whole numbers for int8 and bits; sqlite3_free.
** NULL when out of memory. */
char *shx_vector_json(const shx_vector *vector);

/* Registers the vec_ functions (vector_functions.c), each only where the connection has no function of that name and
** argument count yet. */
int shx_vector_functions_register(sqlite3 *db);

#endif
