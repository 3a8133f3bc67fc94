/* Files of vectors that others have written, for bulk loads: read row by row, front to back or in any order.
**
** .npy (NumPy): the bytes 0x93 "NUMPY", u8 major, u8 minor; the length of the header, u16 in version 1, u32 in 2 and
** 3; the header, a Python literal such as {'descr': '<f4', 'fortran_order': False, 'shape': (1000, 384), }; the array.
** It is read if and only if it has two dimensions (rows, numbers), is in C order, little-endian, of float32 ('<f4'),
** float16 ('<f2'), float64 ('<f8', read as float32) or int8 ('|i1'), and the file has the size that follows.
**
** .fvecs (the sets of TEXMEX): for each vector an i32 number of dimensions, then so many f32; all vectors of a file
** have the same.
**
** Nothing in a file is believed: every count is checked against the file's size, and no more than a block of rows is
** in memory. A file that shrinks while it is read is an error and no more, since it is not mapped.
*/
#ifndef SHX_VECTOR_FILE_H
#define SHX_VECTOR_FILE_H

#include "element.h"
#include "os.h"

typedef enum shx_vector_format {
    SHX_FORMAT_NPY,
    SHX_FORMAT_FVECS,
} shx_vector_format;

/* An open file. Zero-initialise; free with shx_vector_file_close. */
typedef struct shx_vector_file {
    shx_file *file;
    shx_vector_format format;
    shx_element element; /* of the vectors that are given */
    uint32_t dim;        /* 1 … SHX_DIM_MAX; 0 in a file of no vectors */
    bool doubles;        /* the numbers are float64 */
    uint64_t count;
    uint64_t first, stride; /* the bytes before the first row, and of a row */
    uint8_t *block;         /* rows that were read together */
    uint64_t block_first, block_rows, block_capacity;
} shx_vector_file;

/* Reads the header; takes the file over in any case. SHX_CORRUPT, with *ret_reason (a literal), when the file is none
** of the kind. */
shx_status shx_vector_file_open(shx_file *file, shx_vector_format format, shx_vector_file *ret_file,
                                const char **ret_reason);
void shx_vector_file_close(shx_vector_file *file);

/* Writes row `number` < count to ret_vector, which has room for `dim` elements. float32 and float16 may be NaN or
** infinite: they are for who takes them to judge. SHX_CORRUPT as above. */
shx_status shx_vector_file_read(shx_vector_file *file, uint64_t number, void *ret_vector, const char **ret_reason);

#endif
