/* Files of vectors that others have written: what is read from good ones, and that of any other nothing is. */
#include "fixture.h"

#include "vector_file.h"

#include "bytes.h"
#include "limits.h"
#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1u << 22)

static shx_store *store;
static uint8_t bytes[FILE_MAX];
static size_t size;

static int set_up(void **state) {
    (void)state;
    if (shx_store_open_heap(&store) != SHX_OK) return -1;
    return shx_store_prepare(store) == SHX_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    shx_store_close(store);
    return 0;
}

static void put(const void *from, size_t count) {
    assert_true(size + count <= FILE_MAX);
    memcpy(bytes + size, from, count);
    size += count;
}

/* The frame and the header of a .npy file of a version. */
static void put_header(int version, const char *text) {
    uint8_t frame[12] = {0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0};
    size = 0;
    if (version == 1) {
        shx_put16(frame + 8, (uint16_t)strlen(text));
    } else {
        shx_put32(frame + 8, (uint32_t)strlen(text));
    }
    put(frame, version == 1 ? 10 : 12);
    put(text, strlen(text));
}

/* Opens a file of the first `length` of the bytes. */
static shx_status open_length(shx_vector_format format, size_t length, shx_vector_file *ret_file,
                              const char **ret_reason) {
    shx_file *file;
    (void)shx_store_remove(store, "v");
    assert_int_equal(shx_file_open(store, "v", SHX_OPEN_CREATE, &file), SHX_OK);
    assert_int_equal(shx_file_write(file, 0, bytes, length), SHX_OK);
    *ret_reason = NULL;
    return shx_vector_file_open(file, format, ret_file, ret_reason);
}

static void open_good(shx_vector_format format, shx_vector_file *ret_file) {
    const char *reason;
    if (open_length(format, size, ret_file, &reason) != SHX_OK) fail_msg("%s", reason);
}

static void check_bad(shx_vector_format format, const char *expected) {
    shx_vector_file file;
    const char *reason;
    assert_int_equal(open_length(format, size, &file, &reason), SHX_CORRUPT);
    assert_non_null(reason);
    assert_string_equal(reason, expected);
}

/* ---- good files ---- */

static void npy_of_every_type(void **state) {
    static const struct {
        const char *name;
        size_t number;
        shx_element element;
    } types[] = {{"<f4", 4, SHX_FLOAT32}, {"<f2", 2, SHX_FLOAT16}, {"<f8", 8, SHX_FLOAT32}, {"|i1", 1, SHX_INT8}};
    (void)state;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        char text[128];
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (5, 3), }   \n", types[t].name);
        for (int version = 1; version <= 3; version++) {
            put_header(version, text);
            for (int i = 0; i < 15; i++) {
                double number = i - 7;
                uint8_t encoded[8];
                memcpy(encoded, &number, sizeof number);
                if (types[t].number < 8) assert_true(shx_element_encode(types[t].element, number, encoded));
                put(encoded, types[t].number);
            }
            shx_vector_file file;
            open_good(SHX_FORMAT_NPY, &file);
            assert_true(file.count == 5 && file.dim == 3 && file.element == types[t].element);
            for (int row = 4; row >= 0; row--) {
                uint8_t vector[12];
                float floats[3];
                const char *reason = NULL;
                assert_int_equal(shx_vector_file_read(&file, (uint64_t)row, vector, &reason), SHX_OK);
                shx_element_decode(file.element, vector, 3, floats);
                for (int i = 0; i < 3; i++) assert_true(floats[i] == (float)(3 * row + i - 7));
            }
            shx_vector_file_close(&file);
        }
    }
}

/* As other writers may spell it. */
static void npy_spellings(void **state) {
    static const char *const texts[] = {
        "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 2), }",
        "{\"shape\":(2,2),\"descr\":\"|i1\",\"fortran_order\":False}",
        "  { 'shape' : ( 2 , 2 , ) ,\n'fortran_order' : False , 'descr' : '|i1' } \n",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (0002, 2)}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        shx_vector_file file;
        put_header(1, texts[i]);
        put("\1\2\3\4", 4);
        open_good(SHX_FORMAT_NPY, &file);
        assert_true(file.count == 2 && file.dim == 2);
        shx_vector_file_close(&file);
    }
}

static void files_of_no_vectors(void **state) {
    shx_vector_file file;
    (void)state;
    put_header(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 65535), }");
    open_good(SHX_FORMAT_NPY, &file);
    assert_true(file.count == 0);
    shx_vector_file_close(&file);
    size = 0;
    open_good(SHX_FORMAT_FVECS, &file);
    assert_true(file.count == 0);
    shx_vector_file_close(&file);
}

static void put_fvecs(uint32_t dim, uint32_t rows) {
    size = 0;
    for (uint32_t row = 0; row < rows; row++) {
        put(&dim, sizeof dim);
        for (uint32_t i = 0; i < dim; i++) put(&(float){(float)(row * 1000 + i)}, sizeof(float));
    }
}

/* Rows of every size, in an order that leads from block to block and back. */
static void fvecs_of_any_size(void **state) {
    static const uint32_t sizes[][2] = {{1, 20000}, {2, 1}, {100, 1000}, {4095, 9}, {4096, 9}, {16384, 3}, {65535, 3}};
    static float vector[SHX_DIM_MAX];
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t dim = sizes[s][0], rows = sizes[s][1];
        shx_vector_file file;
        put_fvecs(dim, rows);
        open_good(SHX_FORMAT_FVECS, &file);
        assert_true(file.count == rows && file.dim == dim && file.element == SHX_FLOAT32);
        for (uint32_t step = 0, row = 0; step < 2 * rows; step++, row = step < rows ? step : (row + 7919) % rows) {
            const char *reason = NULL;
            assert_int_equal(shx_vector_file_read(&file, row, vector, &reason), SHX_OK);
            for (uint32_t i = 0; i < dim; i += dim / 3 + 1) assert_true(vector[i] == (float)(row * 1000 + i));
        }
        shx_vector_file_close(&file);
    }
}

/* ---- others ---- */

#define NPY(type, order, shape) "{'descr': '" type "', 'fortran_order': " order ", 'shape': " shape ", }"

static void bad_headers(void **state) {
    static const char HEADER[] = "its header cannot be read", SHAPE[] = "its shape is not (rows, numbers in a row)";
    static const char TYPE[] = "its element type is none of '<f4', '<f2', '<f8' and '|i1'";
    static const char ROWS[] = "its rows are not of 1 to 65535 numbers",
                      SIZE[] = "its size is not what its header says";
    static const char KEY[] = "its header has a key twice, or one that is not known";
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", HEADER},
        {"{", HEADER},
        {"{}", HEADER},
        {"[]", HEADER},
        {"{'descr': '|i1', 'fortran_order': False}", HEADER},
        {"{'descr': '|i1', 'shape': (2, 2)}", HEADER},
        {"{'fortran_order': False, 'shape': (2, 2)}", HEADER},
        {NPY("|i1", "False", "(2, 2)") "x", HEADER},
        {"{'descr': '|i1' 'fortran_order': False, 'shape': (2, 2)}", HEADER},
        {"{'descr: '|i1', 'fortran_order': False, 'shape': (2, 2)}", HEADER},
        {"{'descr', '|i1', 'fortran_order': False, 'shape': (2, 2)}", HEADER},
        {"{'descr': '|i1', 'descr': '|i1', 'fortran_order': False, 'shape': (2, 2)}", KEY},
        {"{'descr': '|i1', 'fortran_order': False, 'fortran_order': False, 'shape': (2, 2)}", KEY},
        {"{'descr': '|i1', 'fortran_order': False, 'shape': (2, 2), 'shape': (2, 2)}", KEY},
        {"{'colour': 'red', 'descr': '|i1', 'fortran_order': False, 'shape': (2, 2)}", KEY},
        {"{'a key that is longer than any that is known': 1}", HEADER},
        {NPY("|i1", "True", "(2, 2)"), "its array is not in C order"},
        {NPY("|i1", "0", "(2, 2)"), "its array is not in C order"},
        {NPY(">f4", "False", "(2, 2)"), TYPE},
        {NPY("<i8", "False", "(2, 2)"), TYPE},
        {NPY("|u1", "False", "(2, 2)"), TYPE},
        {NPY("", "False", "(2, 2)"), TYPE},
        {NPY("a type that is long", "False", "(2, 2)"), "its element type cannot be read"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 2)}", "its element type cannot be read"},
        {NPY("|i1", "False", "()"), SHAPE},
        {NPY("|i1", "False", "(4,)"), SHAPE},
        {NPY("|i1", "False", "(2, 2, 2)"), SHAPE},
        {NPY("|i1", "False", "(-2, 2)"), SHAPE},
        {NPY("|i1", "False", "(2, 2"), SHAPE},
        {NPY("|i1", "False", "(, 2)"), SHAPE},
        {NPY("|i1", "False", "(18446744073709551616, 2)"), SHAPE},
        {NPY("|i1", "False", "(99999999999999999999999999, 2)"), SHAPE},
        {NPY("|i1", "False", "(4, 0)"), ROWS},
        {NPY("|i1", "False", "(1, 65536)"), ROWS},
        {NPY("|i1", "False", "(1, 4294967297)"), ROWS},
        {NPY("|i1", "False", "(2, 1)"), SIZE},
        {NPY("|i1", "False", "(3, 2)"), SIZE},
        {NPY("<f8", "False", "(18446744073709551615, 65535)"), SIZE},
        {NPY("<f8", "False", "(2305843009213693952, 1)"), SIZE}, /* × 8 is 2^64 */
        {NPY("|i1", "False", "(18446744073709551615, 1)"), SIZE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_header(1, cases[i].text);
        put("\1\2\3\4", 4);
        check_bad(SHX_FORMAT_NPY, cases[i].reason);
    }
}

static void bad_frames(void **state) {
    (void)state;
    put_header(1, NPY("|i1", "False", "(1, 1)"));
    put("\1", 1);
    bytes[0] = 0x92;
    check_bad(SHX_FORMAT_NPY, "it is no .npy file");
    bytes[0] = 0x93;
    for (int version = 0; version < 256; version = version ? version * 4 : 4) {
        bytes[6] = (uint8_t)version;
        check_bad(SHX_FORMAT_NPY, "its version of the format is not known");
    }
    put_header(2, NPY("|i1", "False", "(1, 1)"));
    shx_put32(bytes + 8, UINT32_MAX);
    check_bad(SHX_FORMAT_NPY, "its header does not fit");
    shx_put32(bytes + 8, (uint32_t)size - 11);
    check_bad(SHX_FORMAT_NPY, "its header does not fit");
    size = 0;
    check_bad(SHX_FORMAT_NPY, "it is no .npy file");
}

static void bad_fvecs(void **state) {
    shx_vector_file file;
    const char *reason;
    float vector[2];
    (void)state;
    for (uint32_t wrong = 0; wrong < 3; wrong++) {
        put_fvecs(2, 3);
        shx_put32(bytes, wrong == 0 ? 0 : wrong == 1 ? 65536 : UINT32_MAX);
        check_bad(SHX_FORMAT_FVECS, "it is no .fvecs file: its first vector is not of 1 to 65535 numbers");
    }
    put_fvecs(2, 3);
    for (size_t length = 1; length < size; length++) {
        if (length % 12 == 0) continue;
        assert_int_equal(open_length(SHX_FORMAT_FVECS, length, &file, &reason), SHX_CORRUPT);
        assert_non_null(reason);
    }
    shx_put32(bytes + 12, 1);
    open_good(SHX_FORMAT_FVECS, &file);
    assert_int_equal(shx_vector_file_read(&file, 0, vector, &reason), SHX_OK);
    assert_int_equal(shx_vector_file_read(&file, 1, vector, &reason), SHX_CORRUPT);
    assert_string_equal(reason, "its vectors are not all of one size");
    assert_int_equal(shx_vector_file_read(&file, 2, vector, &reason), SHX_OK);
    shx_vector_file_close(&file);
}

static void npy_of_any_length(void **state) {
    shx_vector_file file;
    const char *reason;
    (void)state;
    put_header(1, NPY("<f2", "False", "(3, 2)"));
    put("\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    for (size_t length = 0; length < size; length++) {
        assert_int_equal(open_length(SHX_FORMAT_NPY, length, &file, &reason), SHX_CORRUPT);
        assert_non_null(reason);
    }
}

static void doubles_that_are_no_floats(void **state) {
    static const double numbers[] = {NAN, INFINITY, -INFINITY, 1e39, -3.5e38};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        shx_vector_file file;
        const char *reason = NULL;
        float vector[1];
        put_header(1, NPY("<f8", "False", "(2, 1)"));
        put(&(double){1e-300}, sizeof(double));
        put(&numbers[i], sizeof(double));
        open_good(SHX_FORMAT_NPY, &file);
        assert_int_equal(shx_vector_file_read(&file, 0, vector, &reason), SHX_OK);
        assert_true(vector[0] == 0);
        assert_int_equal(shx_vector_file_read(&file, 1, vector, &reason), SHX_CORRUPT);
        assert_string_equal(reason, "a number in it is NaN, infinite or too large for float32");
        shx_vector_file_close(&file);
    }
}

static uint64_t allowed; /* allocations until they fail */

static void *scarce_alloc(uint64_t bytes_wanted) { return allowed-- > 0 ? malloc(bytes_wanted) : NULL; }
static void *scarce_resize(void *block, uint64_t bytes_wanted) { return realloc(block, bytes_wanted); }

static void memory_runs_out(void **state) {
    static const shx_allocator scarce = {scarce_alloc, scarce_resize, free};
    fixture_directory place = fixture_directory_make();
    char path[320];
    (void)state;
    snprintf(path, sizeof path, "%s/v.npy", place.root);
    put_header(1, NPY("<f4", "False", "(1, 2)"));
    put("\0\0\0\0\0\0\0\0", 8);
    FILE *writer = fopen(path, "wb");
    assert_non_null(writer);
    assert_int_equal(fwrite(bytes, 1, size, writer), size);
    fclose(writer);
    shx_memory_use(&scarce);
    for (uint64_t k = 0; k < 4; k++) {
        shx_file *file;
        shx_vector_file vectors;
        const char *reason = NULL;
        allowed = k;
        shx_status opened = shx_file_open_path(path, &file);
        if (opened == SHX_OK) opened = shx_vector_file_open(file, SHX_FORMAT_NPY, &vectors, &reason);
        assert_int_equal(opened, k < 3 ? SHX_NOMEM : SHX_OK);
        if (opened != SHX_OK) continue;
        shx_vector_file_close(&vectors);
    }
    fixture_directory_remove(&place);
}

/* Paths of the user's: regular files only, and not through a link. */
static void paths(void **state) {
    fixture_directory place = fixture_directory_make();
    char path[320], link[320];
    shx_file *file;
    (void)state;
    snprintf(path, sizeof path, "%s/v.fvecs", place.root);
    snprintf(link, sizeof link, "%s/link", place.root);
    assert_int_equal(shx_file_open_path(path, &file), SHX_NOTFOUND);
    assert_int_equal(shx_file_open_path(place.root, &file), SHX_IO);
    assert_int_equal(shx_file_open_path("/dev/null", &file), SHX_IO);
    FILE *writer = fopen(path, "wb");
    assert_non_null(writer);
    put_fvecs(3, 2);
    assert_int_equal(fwrite(bytes, 1, size, writer), size);
    fclose(writer);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(shx_file_open_path(link, &file), SHX_IO);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(mkfifo(link, 0600), 0);
    assert_int_equal(shx_file_open_path(link, &file), SHX_IO);
    assert_int_equal(shx_file_open_path(path, &file), SHX_OK);
    shx_vector_file vectors;
    const char *reason = NULL;
    float vector[3];
    assert_int_equal(shx_vector_file_open(file, SHX_FORMAT_FVECS, &vectors, &reason), SHX_OK);
    assert_int_equal(truncate(path, 16), 0); /* by somebody, before anything was read */
    assert_int_equal(shx_vector_file_read(&vectors, 1, vector, &reason), SHX_CORRUPT);
    assert_string_equal(reason, "it was cut off while it was read");
    shx_vector_file_close(&vectors);
    fixture_directory_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_of_every_type),
        cmocka_unit_test(npy_spellings),
        cmocka_unit_test(files_of_no_vectors),
        cmocka_unit_test(fvecs_of_any_size),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(bad_frames),
        cmocka_unit_test(bad_fvecs),
        cmocka_unit_test(npy_of_any_length),
        cmocka_unit_test(doubles_that_are_no_floats),
        cmocka_unit_test(paths),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
