#include "vector_file.h"

#include "bytes.h"
#include "limits.h"
#include "memory.h"

#include <assert.h>
#include <string.h>

#define VFILE_HEADER_MAX 65536 /* of a .npy file; NumPy itself reads no more than 10,000 bytes */
#define VFILE_BLOCK_BYTES (1u << 16)

static shx_status vfile_fail(const char **ret_reason, const char *reason) {
    *ret_reason = reason;
    return shx_corrupt(reason);
}

/* ---- .npy: the literal ---- */

typedef struct npy_header {
    const char *at, *end;
    bool has_type, has_order, has_shape;
    shx_vector_file *file; /* that is filled in */
} npy_header;

static void npy_skip_space(npy_header *header) {
    while (header->at < header->end && strchr(" \t\r\n", *header->at) && *header->at) header->at++;
}

/* Takes a word or symbol, and space before it. */
static bool npy_take(npy_header *header, const char *word) {
    size_t size = strlen(word);
    npy_skip_space(header);
    if ((size_t)(header->end - header->at) < size || memcmp(header->at, word, size) != 0) return false;
    header->at += size;
    return true;
}

/* Takes a string in single or double quotes, without escapes; ret_text has room for `capacity` bytes. */
static bool npy_take_string(npy_header *header, char *ret_text, size_t capacity) {
    npy_skip_space(header);
    if (header->at == header->end || (*header->at != '\'' && *header->at != '"')) return false;
    const char *start = header->at + 1;
    const char *stop = memchr(start, *header->at, (size_t)(header->end - start));
    size_t size = stop ? (size_t)(stop - start) : 0;
    if (!stop || size >= capacity) return false;
    memcpy(ret_text, start, size);
    ret_text[size] = '\0';
    header->at = stop + 1;
    return true;
}

static bool npy_take_number(npy_header *header, uint64_t *ret_number) {
    uint64_t number = 0;
    npy_skip_space(header);
    const char *start = header->at;
    for (; header->at < header->end && *header->at >= '0' && *header->at <= '9'; header->at++) {
        if (!shx_mul(number, 10, &number) || !shx_add(number, (uint64_t)(*header->at - '0'), &number)) return false;
    }
    *ret_number = number;
    return header->at > start;
}

static shx_status npy_read_type(npy_header *header, const char **ret_reason) {
    static const struct {
        const char *name;
        shx_element element;
        bool doubles;
    } types[] = {
        {"<f4", SHX_FLOAT32, false}, {"<f2", SHX_FLOAT16, false}, {"<f8", SHX_FLOAT32, true}, {"|i1", SHX_INT8, false}};
    char name[16];
    if (!npy_take_string(header, name, sizeof name)) return vfile_fail(ret_reason, "its element type cannot be read");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(name, types[i].name) != 0) continue;
        header->file->element = types[i].element;
        header->file->doubles = types[i].doubles;
        header->has_type = true;
        return SHX_OK;
    }
    return vfile_fail(ret_reason, "its element type is none of '<f4', '<f2', '<f8' and '|i1'");
}

static shx_status npy_read_shape(npy_header *header, const char **ret_reason) {
    uint64_t dim = 0;
    bool two = npy_take(header, "(") && npy_take_number(header, &header->file->count) && npy_take(header, ",") &&
               npy_take_number(header, &dim);
    if (two) (void)npy_take(header, ",");
    if (!two || !npy_take(header, ")")) return vfile_fail(ret_reason, "its shape is not (rows, numbers in a row)");
    if (dim == 0 || dim > SHX_DIM_MAX) return vfile_fail(ret_reason, "its rows are not of 1 to 65535 numbers");
    header->file->dim = (uint32_t)dim;
    header->has_shape = true;
    return SHX_OK;
}

static shx_status npy_read_entry(npy_header *header, const char **ret_reason) {
    char key[32];
    if (!npy_take_string(header, key, sizeof key) || !npy_take(header, ":")) {
        return vfile_fail(ret_reason, "its header cannot be read");
    }
    if (strcmp(key, "descr") == 0 && !header->has_type) return npy_read_type(header, ret_reason);
    if (strcmp(key, "shape") == 0 && !header->has_shape) return npy_read_shape(header, ret_reason);
    if (strcmp(key, "fortran_order") != 0 || header->has_order) {
        return vfile_fail(ret_reason, "its header has a key twice, or one that is not known");
    }
    header->has_order = true;
    if (npy_take(header, "False")) return SHX_OK;
    return vfile_fail(ret_reason, "its array is not in C order");
}

static shx_status npy_read_literal(npy_header *header, const char **ret_reason) {
    bool more = npy_take(header, "{");
    while (more && !npy_take(header, "}")) {
        SHX_TRY(npy_read_entry(header, ret_reason));
        more = npy_take(header, ",");
        if (more) continue;
        more = npy_take(header, "}");
        break;
    }
    npy_skip_space(header);
    bool whole = more && header->at == header->end;
    if (whole && header->has_type && header->has_order && header->has_shape) return SHX_OK;
    return vfile_fail(ret_reason, "its header cannot be read");
}

/* ---- headers ---- */

/* The bytes before the header and its length. */
static shx_status npy_read_frame(shx_file *file, uint64_t size, uint64_t *ret_at, uint64_t *ret_length,
                                 const char **ret_reason) {
    uint8_t frame[12] = {0};
    SHX_TRY(shx_file_read(file, 0, frame, size < sizeof frame ? size : sizeof frame));
    if (memcmp(frame, "\x93NUMPY", 6) != 0) return vfile_fail(ret_reason, "it is no .npy file");
    if (frame[6] < 1 || frame[6] > 3) return vfile_fail(ret_reason, "its version of the format is not known");
    *ret_at = frame[6] == 1 ? 10 : 12;
    *ret_length = frame[6] == 1 ? shx_get16(frame + 8) : shx_get32(frame + 8);
    if (*ret_length > VFILE_HEADER_MAX || !shx_span_fits(*ret_at, *ret_length, 1, size)) {
        return vfile_fail(ret_reason, "its header does not fit");
    }
    return SHX_OK;
}

static shx_status vfile_open_npy(shx_vector_file *file, uint64_t size, const char **ret_reason) {
    uint64_t at = 0, length = 0, end;
    SHX_TRY(npy_read_frame(file->file, size, &at, &length, ret_reason));
    char *text = shx_alloc(length);
    SHX_CHECK(text, SHX_NOMEM);
    npy_header header = {.at = text, .end = text + length, .file = file};
    shx_status status = shx_file_read(file->file, at, text, length);
    if (status == SHX_OK) status = npy_read_literal(&header, ret_reason);
    shx_free(text);
    SHX_TRY(status);
    file->first = at + length;
    file->stride = file->doubles ? UINT64_C(8) * file->dim : shx_element_bytes(file->element, file->dim);
    if (!shx_mul(file->count, file->stride, &end) || !shx_add(end, file->first, &end) || end != size) {
        return vfile_fail(ret_reason, "its size is not what its header says");
    }
    return SHX_OK;
}

static shx_status vfile_open_fvecs(shx_vector_file *file, uint64_t size, const char **ret_reason) {
    uint8_t bytes[4];
    file->element = SHX_FLOAT32;
    if (size == 0) return SHX_OK;
    if (size < sizeof bytes) return vfile_fail(ret_reason, "it is no .fvecs file");
    SHX_TRY(shx_file_read(file->file, 0, bytes, sizeof bytes));
    file->dim = shx_get32(bytes);
    if (file->dim == 0 || file->dim > SHX_DIM_MAX) {
        return vfile_fail(ret_reason, "it is no .fvecs file: its first vector is not of 1 to 65535 numbers");
    }
    file->stride = sizeof bytes + sizeof(float) * (uint64_t)file->dim;
    file->count = size / file->stride;
    if (size % file->stride == 0) return SHX_OK;
    return vfile_fail(ret_reason, "its size is no multiple of that of its first vector");
}

shx_status shx_vector_file_open(shx_file *file, shx_vector_format format, shx_vector_file *ret_file,
                                const char **ret_reason) {
    shx_vector_file opened = {.file = file, .format = format};
    uint64_t size = 0;
    shx_status status = shx_file_size(file, &size);
    if (status == SHX_OK && format == SHX_FORMAT_NPY) status = vfile_open_npy(&opened, size, ret_reason);
    if (status == SHX_OK && format == SHX_FORMAT_FVECS) status = vfile_open_fvecs(&opened, size, ret_reason);
    if (status == SHX_OK && opened.count > 0) {
        uint64_t rows = VFILE_BLOCK_BYTES / opened.stride + 1;
        opened.block_capacity = rows < opened.count ? rows : opened.count;
        opened.block = shx_alloc(opened.block_capacity * opened.stride);
        if (!opened.block) status = SHX_NOMEM;
    }
    if (status == SHX_OK) {
        *ret_file = opened;
    } else {
        shx_vector_file_close(&opened);
    }
    return status;
}

void shx_vector_file_close(shx_vector_file *file) {
    shx_file_close(file->file);
    shx_free(file->block);
    *file = (shx_vector_file){0};
}

/* ---- rows ---- */

/* Reads the block that begins with a row. */
static shx_status vfile_fill(shx_vector_file *file, uint64_t number) {
    uint64_t rest = file->count - number, rows = rest < file->block_capacity ? rest : file->block_capacity;
    file->block_rows = 0;
    SHX_TRY(shx_file_read(file->file, file->first + number * file->stride, file->block, rows * file->stride));
    file->block_first = number;
    file->block_rows = rows;
    return SHX_OK;
}

static shx_status vfile_narrow(const shx_vector_file *file, const uint8_t *row, float *ret_vector,
                               const char **ret_reason) {
    for (uint32_t i = 0; i < file->dim; i++) {
        double number;
        memcpy(&number, row + i * sizeof number, sizeof number);
        if (!shx_element_encode(SHX_FLOAT32, number, &ret_vector[i])) {
            return vfile_fail(ret_reason, "a number in it is NaN, infinite or too large for float32");
        }
    }
    return SHX_OK;
}

shx_status shx_vector_file_read(shx_vector_file *file, uint64_t number, void *ret_vector, const char **ret_reason) {
    assert(number < file->count);
    if (number < file->block_first || number - file->block_first >= file->block_rows) {
        shx_status status = vfile_fill(file, number);
        if (status == SHX_CORRUPT) *ret_reason = "it was cut off while it was read";
        SHX_TRY(status);
    }
    const uint8_t *row = file->block + (number - file->block_first) * file->stride;
    if (file->doubles) return vfile_narrow(file, row, ret_vector, ret_reason);
    if (file->format == SHX_FORMAT_FVECS) {
        if (shx_get32(row) != file->dim) return vfile_fail(ret_reason, "its vectors are not all of one size");
        row += sizeof(uint32_t);
    }
    memcpy(ret_vector, row, shx_element_bytes(file->element, file->dim));
    return SHX_OK;
}
