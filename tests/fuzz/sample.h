/* Samples: directories of small indexes, made by the engine itself when a process first asks for them. Each has a base
** with two segments and tombstones, an older base, and a WAL record beyond.
*/
#ifndef SHX_TEST_FUZZ_SAMPLE_H
#define SHX_TEST_FUZZ_SAMPLE_H

#include "fuzz.h"

#include "index_state.h"

#define SAMPLE_FILES_MAX 16
#define SAMPLE_COUNT 5
#define SAMPLE_ROWS 60

typedef struct sample_file {
    char name[SHX_FILE_NAME_MAX];
    shx_file_kind kind;
    uint64_t id;
    fuzz_file content;
} sample_file;

typedef struct sample {
    shx_index_config config;
    shx_id tip;
    uint64_t count;
    sample_file files[SAMPLE_FILES_MAX];
} sample;

/* Sample `number` % SAMPLE_COUNT: metrics, element types and ways of the router differ. */
const sample *sample_get(uint64_t number);

/* Puts the sample's files into a new store, after edits. An input says: whether checksums are made right (three of four
** times), how many times a file is edited, and for each which one and how. The caller's store. */
shx_store *sample_edit(const sample *from, fuzz_input *input);

/* An index on the store, which it closes in the end (shx_index_destroy). */
shx_index *sample_open(const sample *from, shx_store *store);

/* The vector of a row; and the transaction that puts rows, ready for shx_index_append. */
void sample_vector(const shx_index_config *config, uint64_t row, void *ret_vector);
void sample_put(const shx_index_config *config, uint64_t row, shx_op_kind kind, shx_pending *pending);

#endif
