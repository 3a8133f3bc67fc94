/* Values of filterable columns, in the order of SQLite: null, numbers by what they are worth, text, blobs, the latter
** two byte by byte (the collation BINARY).
**
** FORMAT of a value: u8 type, numbered as SQLite does, then
**
**     1  integer   i64
**     2  real      f64
**     3  text      u32 size, bytes
**     4  blob      u32 size, bytes
**     5  null      nothing
**
** A real number that is a whole number of 64 bits is written as an integer: two values are equal to SQLite if and only
** if their bytes are equal. A posting's columns are packed: one value after the other.
*/
#ifndef SHX_VALUE_H
#define SHX_VALUE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum shx_value_type {
    SHX_VALUE_INTEGER = 1,
    SHX_VALUE_REAL = 2,
    SHX_VALUE_TEXT = 3,
    SHX_VALUE_BLOB = 4,
    SHX_VALUE_NULL = 5,
    SHX_VALUE_END = 6, /* behind all others; in cuts only, never written */
} shx_value_type;

typedef struct shx_value {
    shx_value_type type;
    uint32_t size; /* of text and blobs */
    union {
        int64_t integer;
        double real;
        const uint8_t *bytes; /* borrowed */
    } is;
} shx_value;

/* The packed columns of a posting; borrowed. No columns: NULL, 0. */
typedef struct shx_packed {
    const uint8_t *bytes;
    uint32_t size;
} shx_packed;

/* A number as it is written: whole ones as integers, NaN as null. */
shx_value shx_value_of_real(double real);

/* Below 0, 0 or above 0, as a stands before, with or behind b. Numbers must be as shx_value_of_real makes them. */
int shx_value_compare(const shx_value *a, const shx_value *b);

/* The size of a value when it is written, and writing it. */
uint64_t shx_value_size(const shx_value *value);
void shx_value_put(const shx_value *value, uint8_t *at);

/* Reads the value at *at, which ends before `end`, and moves *at behind it; false when there is none. */
bool shx_value_read(const uint8_t **at, const uint8_t *end, shx_value *ret_value);

/* The bytes of column `column` of packed columns; false when it is not there. */
bool shx_packed_find(const shx_packed *packed, uint32_t column, shx_packed *ret_bytes);

/* Whether there is nothing but whole values; *ret_count: how many. */
bool shx_packed_check(const shx_packed *packed, uint32_t *ret_count);

#endif
