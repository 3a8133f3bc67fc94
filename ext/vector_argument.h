/* Vectors as the arguments and the results of SQL functions. What fails has given the function its error already. */
#ifndef SHX_VECTOR_ARGUMENT_H
#define SHX_VECTOR_ARGUMENT_H

#include "vector_value.h"

/* Ends the function with a message (sqlite3_mprintf), which is taken; NULL: memory ran out. */
void shx_vector_refuse(sqlite3_context *context, char *message);

/* Reads an argument as a vector of the type that it says it has, or of a given one (shx_vector_read_as); the vector is
** the caller's to clear. */
bool shx_vector_argument(sqlite3_context *context, sqlite3_value *value, shx_vector *ret_vector);
bool shx_vector_argument_as(sqlite3_context *context, sqlite3_value *value, shx_element element,
                            shx_vector *ret_vector);

typedef struct shx_vector_pair {
    shx_vector a, b;
} shx_vector_pair;

/* Reads two arguments that must be vectors of one type and dimension. JSON text is read as a vector of the other one's
** type, unless that has no such form (bits). */
bool shx_vector_arguments(sqlite3_context *context, sqlite3_value **values, shx_vector_pair *ret_pair);
void shx_vector_pair_clear(shx_vector_pair *pair);

/* A vector to be filled in as the result; memory ran out when it is false. */
bool shx_vector_make(sqlite3_context *context, shx_element element, uint32_t dim, shx_vector *ret_vector);

/* Stores a number as an element of a vector of floating-point numbers; false, with an error, when it overflows. */
bool shx_vector_put(sqlite3_context *context, shx_vector *vector, uint32_t position, double number);

/* Gives the vector away as the result, marked with its type. */
void shx_vector_result(sqlite3_context *context, shx_vector *vector);

#endif
