/* A segment file: opened, checked, every row read and looked up, its columns under predicates. */
#include "fuzz.h"

#include "match.h"

#include <stdlib.h>

#define SEGMENT_ID UINT64_C(9) /* as in unit/segment_test.c, which makes the golden file */
#define SEGMENT_NAME "segment-0000000000000009"
#define SEGMENT_DIM 3
#define SEGMENT_CODE_DIM 64

static const shx_id segment_uuid = {{5}};

/* Runs that are not verified have not been seen. */
static void read_rows(shx_segment *segment) {
    uint64_t sum = 0;
    for (uint64_t row = 0; row < segment->row_count; row++) {
        const void *vector;
        uint64_t found;
        uint32_t run = shx_segment_run_of(segment, row);
        if (shx_segment_verify_run(segment, run) != SHX_OK) continue;
        fuzz_require(shx_segment_slot(segment, row) < segment->block_count * 32);
        (void)shx_segment_find(segment, segment->rowids[row], &found);
        if (shx_segment_vector(segment, row, &vector) == SHX_OK) {
            sum = shx_hash64(vector, segment->vector_bytes, sum);
        }
        for (uint32_t c = 0; c < segment->columns.count; c++) {
            const shx_posting posting = {.from = &segment->columns, .from_row = row};
            shx_packed bytes;
            if (shx_columns_verify(&segment->columns, c) != SHX_OK) continue;
            if (shx_posting_column(&posting, c, &bytes) == SHX_OK) sum = shx_hash64(bytes.bytes, bytes.size, sum);
        }
    }
    for (uint32_t run = 0; run < segment->run_count; run++) (void)shx_segment_verify_vectors(segment, run);
}

/* Whichever way they are told, the same rows match. */
static void match_rows(shx_segment *segment, const shx_predicate *predicate) {
    shx_match match = {0};
    if (shx_match_make(segment, predicate, &match) != SHX_OK) {
        shx_match_free(&match);
        return;
    }
    bool sound = shx_segment_check(segment, NULL) == SHX_OK;
    uint64_t admitted = 0, walked = 0;
    for (uint32_t r = 0; r < segment->run_count; r++) {
        const shx_run *run = &segment->runs[r];
        if (shx_segment_verify_run(segment, r) != SHX_OK) continue;
        (void)shx_match_run(&match, r);
        for (uint32_t i = 0; i < run->rows; i += 32) {
            uint32_t count = run->rows - i < 32 ? run->rows - i : 32;
            uint32_t lanes = shx_match_block(&match, run->first_row + i, UINT32_MAX >> (32 - count));
            for (uint32_t lane = 0; lane < count; lane++) {
                bool alone = shx_match_row(&match, run->first_row + i + lane);
                fuzz_require(alone == (lanes >> lane & 1));
                admitted += alone;
            }
        }
    }
    shx_match_walk walk = {0};
    uint32_t rows[5], seats[5];
    for (uint32_t came; match.narrowest && (came = shx_match_next(&match, &walk, 5, rows, seats)) > 0; walked += came) {
        for (uint32_t i = 0; i < came; i++) fuzz_require(rows[i] < segment->row_count && seats[i] < segment->row_count);
        fuzz_require(walked <= segment->row_count);
    }
    (void)shx_match_estimate(&match);
    if (sound) fuzz_require(admitted <= segment->row_count);
    shx_match_free(&match);
}

static void match(shx_segment *segment, fuzz_input *input) {
    shx_predicate predicate = {0};
    for (uint64_t conditions = fuzz_number(input, 1) % 4; conditions > 0; conditions--) {
        uint32_t column = (uint32_t)fuzz_number(input, 1) % 3;
        int64_t low = (int8_t)fuzz_number(input, 1), wide = (int64_t)fuzz_number(input, 1) % 8;
        shx_value from = {.type = SHX_VALUE_INTEGER, .is.integer = low};
        shx_value to = {.type = SHX_VALUE_INTEGER, .is.integer = low + wide};
        shx_range range = {shx_cut_before(from), wide == 7 ? shx_cut_end() : shx_cut_after(to)};
        if (column == 2) column = SHX_COLUMN_ROWID;
        fuzz_require(shx_predicate_add(&predicate, column, &range, 1) == SHX_OK);
    }
    match_rows(segment, &predicate);
    shx_predicate_clear(&predicate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file golden[2]; /* the other one has seats */
    static const float mean[SEGMENT_CODE_DIM];
    const shx_encoding encoding = {
        .metric = SHX_L2, .dim = SEGMENT_DIM, .code_dim = SEGMENT_CODE_DIM, .seed = 7, .mean = mean};
    fuzz_input input = {data, size};
    fuzz_setup();
    if (!golden[0].bytes) golden[0] = fuzz_golden("segment.bin");
    if (!golden[1].bytes) golden[1] = fuzz_golden("segment_seats.bin");
    uint64_t choice = fuzz_number(&input, 1);
    bool sealed = choice % 4 != 0;
    fuzz_file file = fuzz_edit(&golden[choice / 4 % 2], &input);
    if (sealed) fuzz_seal(&file, SHX_FILE_SEGMENT, &segment_uuid, SEGMENT_ID, SEGMENT_DIM * sizeof(float));
    shx_store *store = fuzz_store();
    fuzz_store_put(store, SEGMENT_NAME, &file);
    shx_segment *segment;
    shx_status status = shx_segment_open(store, &segment_uuid, SEGMENT_ID, &encoding, &segment);
    fuzz_require(status == SHX_OK || status == SHX_CORRUPT);
    if (status == SHX_OK) {
        match(segment, &input);
        read_rows(segment);
        (void)shx_segment_check(segment, NULL);
        shx_segment_release(segment);
    }
    free(file.bytes);
    shx_store_close(store);
    fuzz_finish();
    return 0;
}
