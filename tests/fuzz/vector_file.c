/* A file of vectors: any bytes as .npy and as .fvecs, every row read, and some again out of order.
**
** An input: the format (a byte), for .npy whether the frame is as it should be (a byte), then the file.
*/
#include "fuzz.h"

#include "vector_file.h"

#include "limits.h"

#include <stdlib.h>
#include <string.h>

static void read_rows(shx_vector_file *file) {
    const char *reason = NULL;
    uint8_t *vector = malloc(shx_element_bytes(file->element, file->dim) + 1);
    fuzz_require(vector != NULL);
    fuzz_require(file->count == 0 || (file->dim >= 1 && file->dim <= SHX_DIM_MAX));
    for (uint64_t i = 0; i < 2 * file->count; i++) {
        uint64_t row = i < file->count ? i : i * 7919 % file->count;
        shx_status status = shx_vector_file_read(file, row, vector, &reason);
        fuzz_require(status == SHX_OK || (status == SHX_CORRUPT && reason));
    }
    free(vector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    shx_vector_format format = fuzz_number(&input, 1) % 2 ? SHX_FORMAT_FVECS : SHX_FORMAT_NPY;
    bool framed = format == SHX_FORMAT_NPY && fuzz_number(&input, 1) % 4 != 0;
    fuzz_file bytes = {malloc(FUZZ_FILE_MAX), 0};
    fuzz_require(bytes.bytes != NULL);
    bytes.size = input.left < FUZZ_FILE_MAX - 10 ? input.left : FUZZ_FILE_MAX - 10;
    if (bytes.size > 0) memcpy(bytes.bytes + (framed ? 10 : 0), input.at, bytes.size);
    if (framed) { /* the header goes to the first line's end */
        const uint8_t *line = memchr(bytes.bytes + 10, '\n', bytes.size);
        memcpy(bytes.bytes, "\x93NUMPY\1\0", 8);
        shx_put16(bytes.bytes + 8, (uint16_t)(line ? line - bytes.bytes - 9 : 0));
        bytes.size += 10;
    }
    shx_store *store = fuzz_store();
    shx_file *file;
    shx_vector_file vectors;
    const char *reason = NULL;
    fuzz_store_put(store, "v", &bytes);
    fuzz_require(shx_file_open(store, "v", SHX_OPEN_READ, &file) == SHX_OK);
    shx_status status = shx_vector_file_open(file, format, &vectors, &reason);
    fuzz_require(status == SHX_OK || (status == SHX_CORRUPT && reason));
    if (status == SHX_OK) {
        read_rows(&vectors);
        shx_vector_file_close(&vectors);
    }
    free(bytes.bytes);
    shx_store_close(store);
    fuzz_finish();
    return 0;
}
