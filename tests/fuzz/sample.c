#include "sample.h"

#include "maintain.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_DIM_MAX 64

/* ---- rows ---- */

void sample_vector(const shx_index_config *config, uint64_t row, void *ret_vector) {
    size_t size = shx_element_bytes(config->element, 1 + (config->element == SHX_BIT ? 7 : 0));
    uint8_t *at = ret_vector;
    for (uint32_t d = 0; d < config->dim; d++) {
        int value = (int)(row * 7 + d * (row % 5 + 1)) % 11 - 4 + (int)(row % 3) * 10;
        if (config->element != SHX_BIT) {
            fuzz_require(shx_element_encode(config->element, value, at + d * size));
        } else {
            at[d / 8] = (uint8_t)((d % 8 == 0 ? 0 : at[d / 8]) | (value & 1) << d % 8);
        }
    }
}

void sample_put(const shx_index_config *config, uint64_t row, shx_op_kind kind, shx_pending *pending) {
    uint8_t vector[SAMPLE_DIM_MAX * sizeof(float)], columns[32], *at = columns;
    char text[8] = "abcdefg";
    const shx_value values[2] = {{.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)row % 5},
                                 {.type = SHX_VALUE_TEXT, .size = row % 8, .is.bytes = (const uint8_t *)text}};
    for (int i = 0; i < 2; i++) {
        shx_value_put(&values[i], at);
        at += shx_value_size(&values[i]);
    }
    shx_op op = {.kind = kind, .rowid = (int64_t)row};
    if (kind == SHX_OP_INSERT || kind == SHX_OP_REPLACE) {
        sample_vector(config, row, vector);
        op.vector = vector;
        op.vector_hash = shx_hash64(vector, shx_element_bytes(config->element, config->dim), 0);
        op.columns = (shx_packed){columns, (uint32_t)(at - columns)};
        op.column_hash = shx_hash64(columns, op.columns.size, 0);
    }
    const uint64_t content[] = {(uint64_t)kind, row};
    shx_id digest = shx_hash128(content, sizeof content);
    fuzz_require(shx_pending_append(pending, &op, &digest) == SHX_OK);
}

/* A transaction: rows [first, end) come, every ninth below them goes. */
static void sample_commit(sample *made, shx_index *index, uint64_t first, uint64_t end) {
    shx_pending *pending;
    fuzz_require(shx_pending_create(shx_index_vector_bytes(index), &pending) == SHX_OK);
    for (uint64_t row = first; row < end; row++) sample_put(&made->config, row, SHX_OP_INSERT, pending);
    for (uint64_t row = first % 4; row < first; row += 9) sample_put(&made->config, row, SHX_OP_DELETE, pending);
    shx_id commit = shx_pending_commit_id(pending, &made->tip);
    fuzz_require(shx_index_append(index, &made->tip, &commit, pending) == SHX_OK);
    made->tip = commit;
    shx_pending_destroy(pending);
}

/* ---- making ---- */

static shx_status sample_visit(void *context, const char *name) {
    sample *made = context;
    sample_file *file = &made->files[made->count];
    if (!shx_file_name_parse(name, &file->kind, &file->id)) return SHX_OK;
    fuzz_require(++made->count < SAMPLE_FILES_MAX);
    memcpy(file->name, name, strlen(name) + 1);
    return SHX_OK;
}

static int sample_compare(const void *a, const void *b) {
    return strcmp(((const sample_file *)a)->name, ((const sample_file *)b)->name);
}

static void sample_read(sample *made, shx_store *store) {
    fuzz_require(shx_store_list(store, sample_visit, made) == SHX_OK);
    qsort(made->files, made->count, sizeof *made->files, sample_compare);
    for (uint64_t i = 0; i < made->count; i++) {
        shx_file *handle;
        fuzz_file *content = &made->files[i].content;
        fuzz_require(shx_file_open(store, made->files[i].name, SHX_OPEN_READ, &handle) == SHX_OK);
        fuzz_require(shx_file_size(handle, &content->size) == SHX_OK && content->size <= FUZZ_FILE_MAX);
        content->bytes = malloc(FUZZ_FILE_MAX);
        fuzz_require(content->bytes && shx_file_read(handle, 0, content->bytes, content->size) == SHX_OK);
        shx_file_close(handle);
    }
}

static void sample_make(sample *made) {
    shx_store *store = fuzz_store();
    shx_index *index = sample_open(made, store);
    made->tip = made->config.genesis;
    sample_commit(made, index, 0, 40);
    fuzz_require(shx_maintain_flush(index, &made->tip, NULL, NULL) == SHX_OK);
    sample_commit(made, index, 40, 50);
    fuzz_require(shx_maintain_flush(index, &made->tip, NULL, NULL) == SHX_OK);
    sample_commit(made, index, 50, SAMPLE_ROWS);
    sample_read(made, store);
    shx_index_destroy(index);
    fuzz_finish();
}

const sample *sample_get(uint64_t number) {
    static sample samples[SAMPLE_COUNT];
    static const struct {
        shx_metric metric;
        shx_element element;
        uint32_t dim, shard_size;
        shx_route_way way;
    } kinds[SAMPLE_COUNT] = {{SHX_L2, SHX_FLOAT32, 3, 0, SHX_ROUTE_FLAT},
                             {SHX_COSINE, SHX_FLOAT32, 16, 4, SHX_ROUTE_LEVELS},
                             {SHX_IP, SHX_INT8, 64, 4, SHX_ROUTE_GRAPH},
                             {SHX_HAMMING, SHX_BIT, 64, 8, SHX_ROUTE_FLAT},
                             {SHX_L1, SHX_FLOAT16, 16, 8, SHX_ROUTE_GRAPH}};
    sample *made = &samples[number % SAMPLE_COUNT];
    if (made->count > 0) return made;
    const uint64_t kind = number % SAMPLE_COUNT;
    made->config = (shx_index_config){.uuid = {{7}},
                                      .genesis = {{9}},
                                      .metric = kinds[kind].metric,
                                      .element = kinds[kind].element,
                                      .dim = kinds[kind].dim,
                                      .columns = 2,
                                      .shard_size = kinds[kind].shard_size,
                                      .threads = 1,
                                      .routing = {.way = kinds[kind].way}};
    sample_make(made);
    return made;
}

/* ---- using ---- */

/* The bases must name what was edited. */
static void sample_seal_bases(const sample *from, fuzz_file *files, bool *edited) {
    for (uint64_t i = 0; i < from->count; i++) {
        if (from->files[i].kind != SHX_FILE_BASE) continue;
        if (!edited[i]) {
            uint8_t *copy = malloc(FUZZ_FILE_MAX);
            fuzz_require(copy != NULL);
            memcpy(copy, files[i].bytes, files[i].size);
            files[i].bytes = copy;
            edited[i] = true;
        }
        for (uint64_t n = 0; n < from->count; n++) {
            if (!edited[n] || from->files[n].kind == SHX_FILE_BASE) continue;
            fuzz_seal_base(&files[i], from->files[i].id, &files[n], from->files[n].kind, from->files[n].id);
        }
    }
}

shx_store *sample_edit(const sample *from, fuzz_input *input) {
    fuzz_file files[SAMPLE_FILES_MAX];
    bool edited[SAMPLE_FILES_MAX] = {0};
    size_t vector_bytes = shx_element_bytes(from->config.element, from->config.dim);
    bool sealed = fuzz_number(input, 1) % 4 != 0;
    for (uint64_t i = 0; i < from->count; i++) files[i] = from->files[i].content;
    for (uint64_t times = fuzz_number(input, 1) % 8; times > 0; times--) {
        uint64_t i = fuzz_number(input, 1) % from->count;
        fuzz_file before = files[i];
        files[i] = fuzz_edit(&before, input);
        if (sealed) {
            fuzz_seal(&files[i], from->files[i].kind, &from->config.uuid, from->files[i].id, vector_bytes);
        }
        if (edited[i]) free(before.bytes);
        edited[i] = true;
    }
    if (sealed) sample_seal_bases(from, files, edited);
    shx_store *store = fuzz_store();
    for (uint64_t i = 0; i < from->count; i++) {
        fuzz_store_put(store, from->files[i].name, &files[i]);
        if (edited[i]) free(files[i].bytes);
    }
    return store;
}

shx_index *sample_open(const sample *from, shx_store *store) {
    shx_index *index;
    fuzz_require(shx_index_create(&from->config, &index) == SHX_OK);
    shx_store_close(index->store);
    index->store = store;
    return index;
}
