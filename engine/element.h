/* Element types: what the numbers of a vector are, and how many bytes they take wherever a vector is kept (shadow
** tables, WAL, pending, delta, segments).
**
**     float32    4 bytes   IEEE binary32
**     float16    2 bytes   IEEE binary16
**     bfloat16   2 bytes   the upper half of a binary32
**     int8       1 byte    -128 … 127
**     bit        1/8 byte  dimension i is bit i % 8 of byte i / 8; dimensions come in multiples of 8
**
** All little-endian. Vectors are not aligned to more than one byte, except those of float32 (4 bytes).
*/
#ifndef SHX_ELEMENT_H
#define SHX_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers stand in files. */
typedef enum shx_element {
    SHX_FLOAT32 = 0,
    SHX_FLOAT16 = 1,
    SHX_BFLOAT16 = 2,
    SHX_INT8 = 3,
    SHX_BIT = 4,
} shx_element;

/* Bytes of one vector. */
size_t shx_element_bytes(shx_element element, uint32_t dim);

/* "float32", "float16", "bfloat16", "int8" or "bit". */
const char *shx_element_name(shx_element element);

/* The values as floats, exactly; a bit counts as ±1/2, so that squared Euclidean distance is Hamming distance. */
void shx_element_decode(shx_element element, const void *vector, uint32_t dim, float *ret_floats);

/* The value nearest to a number (ties to even); bytes of one element go to ret_element. False when there is none:
** beyond the type's range, not finite, or not whole in the case of int8. A double is rounded once to float32, and from
** there to the narrower types. Not for bits. */
bool shx_element_encode(shx_element element, double number, void *ret_element);

/* The first element that is not finite; false when all are. */
bool shx_element_find_infinite(shx_element element, const void *vector, uint32_t dim, uint32_t *ret_position);

#endif
