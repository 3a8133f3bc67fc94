#include "fuzz.h"

#include "../unit/sim_fs.h"
#include "../unit/sim_store.h"
#include "../unit/sim_vfs.h"

#include "index.h"
#include "memory.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_require_at(bool condition, const char *what, const char *file, int line) {
    if (condition) return;
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

/* ---- the process ---- */

/* Through SQLite's allocator, which counts, as in the extension. */
static void *fuzz_alloc(uint64_t size) { return sqlite3_malloc64(size > 0 ? size : 1); }
static void *fuzz_resize(void *block, uint64_t size) { return sqlite3_realloc64(block, size > 0 ? size : 1); }
static void fuzz_release(void *block) { sqlite3_free(block); }

void fuzz_setup(void) {
    static const shx_allocator allocator = {fuzz_alloc, fuzz_resize, fuzz_release};
    static bool done;
    if (done) return;
    done = true;
    /* Each block malloc's own, so that a sanitizer sees where it ends. */
    fuzz_require(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
    fuzz_require(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 1) == SQLITE_OK);
    fuzz_require(sqlite3_initialize() == SQLITE_OK);
    shx_memory_use(&allocator);
    sim_vfs_register();
    sim_store_use();
    shx_index_use_threads(false);
}

void fuzz_finish(void) {
    fuzz_require((uint64_t)sqlite3_memory_highwater(1) <= FUZZ_MEMORY_MAX);
    fuzz_require(sim_fs_open_files() == 0);
    sim_fs_end();
}

/* ---- input ---- */

uint64_t fuzz_number(fuzz_input *input, unsigned width) {
    uint64_t value = 0;
    size_t size;
    const uint8_t *bytes = fuzz_bytes(input, width, &size);
    for (size_t i = 0; i < size; i++) value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

const uint8_t *fuzz_bytes(fuzz_input *input, size_t most, size_t *ret_size) {
    const uint8_t *bytes = input->at;
    *ret_size = most < input->left ? most : input->left;
    input->left -= *ret_size;
    if (*ret_size > 0) input->at += *ret_size;
    return bytes;
}

char *fuzz_text(fuzz_input *input) {
    size_t length = 0;
    while (length < input->left && input->at[length] != 0) length++;
    char *text = calloc(length + 1, 1);
    fuzz_require(text != NULL);
    if (length > 0) memcpy(text, input->at, length);
    (void)fuzz_bytes(input, length + 1, &length);
    return text;
}

/* ---- files ---- */

fuzz_file fuzz_golden(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", TESTS_SOURCE, name);
    fuzz_file file = {.bytes = malloc(FUZZ_FILE_MAX)};
    FILE *stream = fopen(path, "rb");
    fuzz_require(stream && file.bytes);
    file.size = fread(file.bytes, 1, FUZZ_FILE_MAX, stream);
    fclose(stream);
    return file;
}

static void fuzz_edit_bytes(fuzz_file *file, fuzz_input *input) {
    uint64_t at = fuzz_number(input, 2);
    size_t size;
    const uint8_t *bytes = fuzz_bytes(input, 1 + fuzz_number(input, 1) % 32, &size);
    for (size_t i = 0; i < size; i++) file->bytes[(at + i) % file->size] = bytes[i];
}

static void fuzz_edit_number(fuzz_file *file, fuzz_input *input) {
    const uint64_t edges[] = {0,          1,          2,         3,          31,        32,
                              33,         63,         64,        65,         127,       128,
                              255,        256,        65535,     65536,      INT32_MAX, UINT32_MAX,
                              0x80000000, 0x7fc00000, 0x7f800000, file->size, INT64_MAX, UINT64_MAX};
    uint64_t at = fuzz_number(input, 2), which = fuzz_number(input, 1);
    uint64_t value = edges[which % (sizeof edges / sizeof *edges)], width = UINT64_C(1) << (which / 64);
    for (uint64_t i = 0; i < width; i++) file->bytes[(at + i) % file->size] = (uint8_t)(value >> 8 * i);
}

static void fuzz_edit_add(fuzz_file *file, fuzz_input *input) {
    uint64_t at = fuzz_number(input, 2);
    int8_t by = (int8_t)fuzz_number(input, 1);
    uint32_t value = 0;
    for (uint64_t i = 0; i < 4; i++) value |= (uint32_t)file->bytes[(at + i) % file->size] << 8 * i;
    value += (uint32_t)by;
    for (uint64_t i = 0; i < 4; i++) file->bytes[(at + i) % file->size] = (uint8_t)(value >> 8 * i);
}

static void fuzz_edit_copy(fuzz_file *file, fuzz_input *input) {
    uint64_t from = fuzz_number(input, 2), at = fuzz_number(input, 2), size = fuzz_number(input, 2);
    for (uint64_t i = 0; i < size; i++) file->bytes[(at + i) % file->size] = file->bytes[(from + i) % file->size];
}

static void fuzz_edit_size(fuzz_file *file, fuzz_input *input) {
    uint64_t size = fuzz_number(input, 2);
    if (size > file->size) memset(file->bytes + file->size, 0, size - file->size);
    file->size = size;
}

static void fuzz_edit_whole(fuzz_file *file, fuzz_input *input) {
    size_t size;
    const uint8_t *bytes = fuzz_bytes(input, fuzz_number(input, 2), &size);
    if (size > 0) memcpy(file->bytes, bytes, size);
    file->size = size;
}

/* Edits of `kinds` kinds from `first` on. */
static fuzz_file fuzz_edit_by(const fuzz_file *file, fuzz_input *input, uint64_t first, uint64_t kinds) {
    static void (*const edits[])(fuzz_file *, fuzz_input *) = {fuzz_edit_bytes, fuzz_edit_number, fuzz_edit_add,
                                                               fuzz_edit_copy,  fuzz_edit_size,   fuzz_edit_whole};
    fuzz_file edited = {.bytes = malloc(FUZZ_FILE_MAX), .size = file->size};
    fuzz_require(edited.bytes != NULL);
    memcpy(edited.bytes, file->bytes, file->size);
    for (uint64_t left = fuzz_number(input, 1); left > 0 && input->left > 0; left--) {
        uint64_t kind = first + (fuzz_number(input, 1) + kinds - first) % kinds;
        if (edited.size > 0 || kind > 3) edits[kind](&edited, input);
    }
    return edited;
}

fuzz_file fuzz_edit(const fuzz_file *file, fuzz_input *input) { return fuzz_edit_by(file, input, 0, 6); }

fuzz_file fuzz_damage(const fuzz_file *file, fuzz_input *input) { return fuzz_edit_by(file, input, 1, 4); }

/* ---- stores ---- */

shx_store *fuzz_store(void) {
    shx_store *store;
    sim_image nothing = {0};
    sim_fs_load(&nothing);
    fuzz_require(sim_fs_make_directory(SIM_STORE, "/sim") == SIM_OK);
    fuzz_require(shx_store_open("/sim/test.db-shardex/index", &store) == SHX_OK);
    fuzz_require(shx_store_prepare(store) == SHX_OK);
    return store;
}

void fuzz_store_put(shx_store *store, const char *name, const fuzz_file *file) {
    shx_file *handle;
    (void)shx_store_remove(store, name);
    fuzz_require(shx_file_open(store, name, SHX_OPEN_CREATE, &handle) == SHX_OK);
    if (file->size > 0) fuzz_require(shx_file_write(handle, 0, file->bytes, file->size) == SHX_OK);
    shx_file_close(handle);
}
