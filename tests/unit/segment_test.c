/* Segments: layout, look-ups, and what each wrong byte leads to. */
#include "fixture.h"

#include "match.h"
#include "memory.h"
#include "segment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIM 3
#define COLUMNS 2
#define CODE_DIM 64
#define ID UINT64_C(9)
#define NAME "segment-0000000000000009"

static uint64_t file_checksum; /* of the file that was written last */
static const shx_id uuid = {{5}};
static const float mean[CODE_DIM] = {0.5f, -0.25f, 1};
static const shx_encoding encoding = {SHX_L2, SHX_FLOAT32, DIM, CODE_DIM, 77, 0, mean};

/* Two overflow rows, 35 rows of shard 2 (two blocks), 4 of shard 7; rowids in no order. */
#define ROWS 41
static const uint64_t shards[] = {SHX_SHARD_OVERFLOW, 2, 7};
static const uint32_t run_rows[] = {2, 35, 4};

static float vectors[ROWS][DIM];
static int64_t rowids[ROWS];
static float centroids[2][CODE_DIM];

/* Packed columns of a row: a number (of some rows null or real), and a text (of some rows a blob). */
static uint8_t packed[ROWS][32];

static shx_value column_of_row(int i, int column) {
    static const char *const texts[] = {"", "b", "ba"};
    if (column == 1) {
        const char *text = texts[i % 3];
        shx_value_type type = i % 4 ? SHX_VALUE_TEXT : SHX_VALUE_BLOB;
        return (shx_value){.type = type, .size = (uint32_t)strlen(text), .is.bytes = (const uint8_t *)text};
    }
    if (i % 7 == 6) return (shx_value){.type = SHX_VALUE_NULL};
    if (i % 7 == 5) return shx_value_of_real(i + 0.5);
    return (shx_value){.type = SHX_VALUE_INTEGER, .is.integer = i % 5 - 2};
}

static shx_packed pack_row(int i) {
    uint32_t size = 0;
    for (int column = 0; column < COLUMNS; column++) {
        shx_value value = column_of_row(i, column);
        shx_value_put(&value, packed[i] + size);
        size += (uint32_t)shx_value_size(&value);
    }
    assert_true(size <= sizeof packed[i]);
    return (shx_packed){packed[i], size};
}

static shx_posting read_posting(const void *context, uint64_t number) { return ((const shx_posting *)context)[number]; }

static uint32_t sample_group; /* of the samples that are made from now on */

static shx_store *make_sample(void) {
    shx_store *store = fixture_prepared_heap();
    shx_posting postings[ROWS];
    shx_run_plan runs[3];
    for (int i = 0; i < ROWS; i++) {
        rowids[i] = (i * 29) % ROWS * 10 - 100;
        for (int d = 0; d < DIM; d++) vectors[i][d] = (float)((i * 7 + d * 3) % 11) / 4;
        postings[i] = (shx_posting){.rowid = rowids[i],
                                    .vector = vectors[i],
                                    .fingerprint = {shx_hash64(vectors[i], sizeof vectors[i], 0), 1000u + (unsigned)i},
                                    .columns = pack_row(i)};
    }
    assert_true(shx_encoding_point(&encoding, vectors[5], false, centroids[0]));
    assert_true(shx_encoding_point(&encoding, vectors[39], false, centroids[1]));
    uint64_t first = 0;
    for (int r = 0; r < 3; r++) {
        runs[r] = (shx_run_plan){shards[r], r ? centroids[r - 1] : NULL, first, run_rows[r]};
        first += run_rows[r];
    }
    const shx_segment_plan plan = {&encoding, 3, COLUMNS, sample_group, 3, runs, {postings, read_posting}, ROWS};
    assert_ok(shx_segment_write(store, &uuid, ID, &plan, NULL, &file_checksum));
    return store;
}

static shx_segment *open_sample(shx_store *store) {
    shx_segment *segment;
    assert_ok(shx_segment_open(store, &uuid, ID, &encoding, &segment));
    return segment;
}

static shx_status just_open(void *store) {
    shx_segment *segment;
    SHX_TRY(shx_segment_open(store, &uuid, ID, &encoding, &segment));
    shx_segment_release(segment);
    return SHX_OK;
}

static shx_status open_and_check(void *store) {
    shx_segment *segment;
    SHX_TRY(shx_segment_open(store, &uuid, ID, &encoding, &segment));
    shx_status status = shx_segment_check(segment, NULL);
    shx_segment_release(segment);
    return status;
}

/* The row's columns come out as they went in. */
static void check_columns(const shx_segment *segment, uint64_t row) {
    const shx_posting posting = {.from = &segment->columns, .from_row = row};
    shx_packed written = pack_row((int)row), found, expected;
    for (uint32_t column = 0; column < COLUMNS; column++) {
        assert_ok(shx_columns_verify(&segment->columns, column));
        assert_ok(shx_posting_column(&posting, column, &found));
        assert_true(shx_packed_find(&written, column, &expected));
        assert_int_equal(found.size, expected.size);
        assert_memory_equal(found.bytes, expected.bytes, found.size);
    }
    assert_status(shx_posting_column(&posting, COLUMNS, &found), SHX_CORRUPT);
    assert_status(shx_columns_verify(&segment->columns, COLUMNS), SHX_CORRUPT);
}

static void rows_are_found(void **state) {
    (void)state;
    shx_store *store = make_sample();
    shx_segment *segment = open_sample(store);
    assert_ok(shx_segment_check(segment, NULL));
    assert_int_equal(segment->row_count, ROWS);
    assert_int_equal(segment->block_count, 4);
    assert_int_equal(segment->run_count, 3);
    for (uint64_t i = 0; i < ROWS; i++) {
        uint64_t row;
        const void *vector;
        assert_true(shx_segment_find(segment, rowids[i], &row));
        assert_int_equal(row, i);
        assert_ok(shx_segment_vector(segment, row, &vector));
        assert_memory_equal(vector, vectors[i], sizeof vectors[i]);
        assert_int_equal(segment->fingerprints[row].column_hash, 1000 + i);
        check_columns(segment, i);
        uint32_t run = i < 2 ? 0 : i < 37 ? 1 : 2;
        assert_int_equal(shx_segment_run_of(segment, i), run);
        const uint64_t slot[] = {i, 32 + i - 2, 96 + i - 37};
        assert_int_equal(shx_segment_slot(segment, i), slot[run]);
        assert_false(shx_segment_find(segment, rowids[i] + 1, &row));
    }
    uint64_t row;
    assert_false(shx_segment_find(segment, INT64_MIN, &row));
    assert_false(shx_segment_find(segment, INT64_MAX, &row));
    shx_segment_retain(segment);
    shx_segment_release(segment);
    shx_segment_release(segment);
    shx_segment_release(NULL);
    shx_store_close(store);
}

/* Different values: null, -2 … 2, the real ones of the rows 5, 12, 19, 26, 33 and 40; three texts and three blobs. */
#define NUMBERS 12
#define TEXTS 6

/* The second column, by the table at the top of columns.h. */
static void columns_are_as_documented(const uint8_t *bytes) {
    const uint8_t *entry = bytes + fixture_section(bytes, SHX_COLUMN_ENTRIES) + 64;
    assert_int_equal(shx_get64(entry), NUMBERS + 1);
    assert_int_equal(shx_get64(entry + 8), NUMBERS * 9 - 8);
    assert_int_equal(shx_get64(entry + 16), TEXTS * 5 + 6);
    assert_int_equal(shx_get32(entry + 32), TEXTS);
    const uint8_t *starts = bytes + fixture_section(bytes, SHX_COLUMN_STARTS) + (NUMBERS + 1) * 4;
    const uint8_t *offsets = bytes + fixture_section(bytes, SHX_COLUMN_OFFSETS) + (NUMBERS + 1) * 8;
    const uint8_t *values = bytes + fixture_section(bytes, SHX_COLUMN_VALUES) + NUMBERS * 9 - 8;
    const uint8_t *by_value = bytes + fixture_section(bytes, SHX_COLUMN_BY_VALUE) + ROWS * 4;
    const uint8_t expected[] = {3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 'b', 3, 2, 0, 0, 0, 'b', 'a', 4, 0, 0, 0, 0};
    assert_memory_equal(values, expected, sizeof expected);
    assert_int_equal(shx_get64(offsets + 8), 5);
    assert_int_equal(shx_get32(starts), 0);
    assert_int_equal(shx_get32(starts + TEXTS * 4), ROWS);
    uint64_t hash = shx_hash64(starts, (TEXTS + 1) * 4, ID);
    hash = shx_hash64(offsets, (TEXTS + 1) * 8, hash);
    hash = shx_hash64(values, TEXTS * 5 + 6, hash);
    assert_true(shx_get64(entry + 24) == shx_hash64(by_value, ROWS * 4, hash));
    const uint8_t *zone = bytes + fixture_section(bytes, SHX_COLUMN_ZONES) + 3 * 8;
    const uint8_t *ids = bytes + fixture_section(bytes, SHX_COLUMN_IDS) + ROWS * 4;
    assert_int_equal(shx_get32(zone), 1); /* rows 0 and 1: the empty blob, and "b" */
    assert_int_equal(shx_get32(zone + 4), 3);
    assert_int_equal(shx_get32(ids), 3);
    assert_int_equal(shx_get32(ids + 4), 1);
    assert_int_equal(shx_get32(by_value), 3); /* of the empty text: rows 3, 6, 9 … */
    assert_int_equal(shx_get32(by_value + 4), 6);
}

/* The mean squared distance of rows to a centroid. */
static float scatter_of(int first, int count, const float *centroid) {
    double sum = 0;
    float *point = shx_alloc_aligned(CODE_DIM, sizeof *point);
    assert_non_null(point);
    for (int i = first; i < first + count; i++) {
        assert_true(shx_encoding_point(&encoding, vectors[i], false, point));
        for (int d = 0; d < CODE_DIM; d++) sum += ((double)point[d] - centroid[d]) * ((double)point[d] - centroid[d]);
    }
    shx_free_aligned(point);
    return (float)(sum / count);
}

/* The table of sections at the top of segment.h. */
static void the_file_is_as_documented(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const struct {
        uint64_t size;
        bool checked;
    } sections[] = {{64, true},
                    {3 * 64, true},
                    {4 * shx_block_bytes(CODE_DIM), false},
                    {ROWS * shx_refine_bytes(CODE_DIM), false},
                    {ROWS * 12, false},
                    {ROWS * DIM * 4, false},
                    {ROWS * 8, false},
                    {ROWS * 16, false},
                    {ROWS * 4, true},
                    {0, true}, /* seats */
                    {COLUMNS * 64, true},
                    {COLUMNS * ROWS * 4, false},
                    {COLUMNS * 3 * 8, true},
                    {(NUMBERS + 1 + TEXTS + 1) * 4, false},
                    {(NUMBERS + 1 + TEXTS + 1) * 8, false},
                    {NUMBERS * 9 - 8 + TEXTS * 5 + 2 * (0 + 1 + 2), false},
                    {COLUMNS * ROWS * 4, false}};
    assert_int_equal(shx_get32(bytes + 64), 17);
    for (uint32_t i = 0; i < 17; i++) {
        const uint8_t *row = bytes + 80 + 32 * i;
        assert_int_equal(shx_get32(row), i < 9 ? i + 1 : i == 9 ? SHX_SEGMENT_SEATS : i);
        assert_int_equal(shx_get32(row + 4), sections[i].checked);
        assert_int_equal(shx_get64(row + 16), sections[i].size);
    }
    const uint8_t *info = bytes + fixture_section(bytes, SHX_SEGMENT_INFO);
    assert_int_equal(shx_get64(info), ROWS);
    assert_int_equal(shx_get64(info + 8), 4);
    assert_int_equal(shx_get32(info + 16), 3);
    assert_int_equal(shx_get32(info + 20), DIM);
    assert_int_equal(shx_get32(info + 24), CODE_DIM);
    assert_int_equal(shx_get32(info + 28), SHX_L2);
    assert_int_equal(shx_get64(info + 32), 3);
    assert_int_equal(shx_get32(info + 48), COLUMNS);
    assert_int_equal(shx_get32(info + 52), 0);
    const uint8_t *run = bytes + fixture_section(bytes, SHX_SEGMENT_RUNS) + 64;
    assert_int_equal(shx_get64(run), 2);
    assert_int_equal(shx_get64(run + 8), 2);
    assert_int_equal(shx_get32(run + 16), 35);
    assert_int_equal(shx_get32(run + 20), 1);
    float scatter;
    memcpy(&scatter, run + 56, sizeof scatter);
    assert_true(fabsf(scatter - scatter_of(2, 35, centroids[0])) <= 1e-5f * scatter);
    uint64_t hash = ID; /* of the run: each hash seeds the next */
    const uint32_t parts[] = {SHX_SEGMENT_BLOCKS, SHX_SEGMENT_REFINE, SHX_SEGMENT_FACTORS, SHX_SEGMENT_ROWIDS,
                              SHX_SEGMENT_FINGERPRINTS};
    const uint64_t units[] = {shx_block_bytes(CODE_DIM), shx_refine_bytes(CODE_DIM), 12, 8, 16};
    for (int p = 0; p < 5; p++) {
        uint64_t first = p == 0 ? 1 : 2, count = p == 0 ? 2 : 35;
        hash = shx_hash64(bytes + fixture_section(bytes, parts[p]) + first * units[p], count * units[p], hash);
    }
    for (int c = 0; c < COLUMNS; c++) {
        hash = shx_hash64(bytes + fixture_section(bytes, SHX_COLUMN_IDS) + (c * ROWS + 2) * 4, 35 * 4, hash);
    }
    assert_true(shx_get64(run + 40) == hash);
    uint64_t rowids_at = fixture_section(bytes, SHX_SEGMENT_ROWIDS) + 2 * 8;
    assert_true(shx_get64(run + 48) == shx_hash64(bytes + rowids_at, 35 * 8, ID));
    columns_are_as_documented(bytes);
    fixture_assert_golden("segment.bin", bytes, size);
    free(bytes);
    shx_store_close(store);
}

static void every_field_is_judged(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t entry = fixture_section(bytes, SHX_COLUMN_ENTRIES) + 64,
                   zone = fixture_section(bytes, SHX_COLUMN_ZONES);
    const uint64_t info = fixture_section(bytes, SHX_SEGMENT_INFO), runs = fixture_section(bytes, SHX_SEGMENT_RUNS),
                   order = fixture_section(bytes, SHX_SEGMENT_ORDER), run = runs + 64;
    free(bytes);
    const fixture_damage table[] = {
        {"rows", info, ROWS + 1, 8, true, "section size"},
        {"rows", info, 0, 8, true, "row count"},
        {"rows", info, UINT32_MAX, 8, true, "row count"},
        {"rows", info, UINT64_MAX, 8, true, "row count"},
        {"blocks", info + 8, 5, 8, true, "section size"},
        {"blocks", info + 8, ROWS + 1, 8, true, "row count"},
        {"blocks", info + 8, UINT64_MAX, 8, true, "row count"},
        {"runs", info + 16, 2, 4, true, "section size"},
        {"runs", info + 16, UINT32_MAX, 4, true, "section size"},
        {"dim", info + 20, 4, 4, true, "dimension"},
        {"code dim", info + 24, 80, 4, true, "dimension"},
        {"metric", info + 28, SHX_IP, 4, true, "metric"},
        {"info without its checksum", info + 40, 1, 1, false, "section checksum"},
        {"shard of a run", run, 1, 8, true, "order of runs"},
        {"shard of a run", run, 7, 8, true, "order of runs"},
        {"shard of a run", runs, 0, 8, true, "order of runs"},
        {"first row", run + 8, 3, 8, true, "run"},
        {"first row", runs + 8, 1, 8, true, "run"},
        {"first row", run + 8, UINT64_MAX, 8, true, "run"},
        {"rows of a run", run + 16, 0, 4, true, "run"},
        {"rows of a run", run + 16, 34, 4, true, "run"},
        {"rows of a run", run + 16, UINT32_MAX, 4, true, "run"},
        {"rows of the last run", run + 64 + 16, 3, 4, true, "runs do not cover the rows"},
        {"rows of the last run", run + 64 + 16, UINT32_MAX, 4, true, "runs do not cover the rows"},
        {"add", run + 24, UINT32_C(0x7fc00000), 4, true, "scale of a run"},      /* NaN */
        {"add step", run + 28, UINT32_C(0x7a000000), 4, true, "scale of a run"}, /* 1.7e35, times 65535 */
        {"mul", run + 32, UINT32_C(0xff800000), 4, true, "scale of a run"},      /* -infinity */
        {"scatter", run + 56, UINT32_C(0x7fc00000), 4, true, "scatter of a run"}, /* NaN */
        {"scatter", run + 56, UINT32_C(0xbf800000), 4, true, "scatter of a run"}, /* -1 */
        {"scatter", run + 56, UINT32_C(0x7f7fffff), 4, true, "scatter of a run"}, /* 3.4e38 */
        {"first block", run + 20, 2, 4, true, "run"},
        {"first block", run + 20, UINT32_MAX, 4, true, "run"},
        {"order", order, ROWS, 4, true, "row order"},
        {"order", order + 4 * (ROWS - 1), UINT32_MAX, 4, true, "row order"},
        {"order without its checksum", order, 1, 1, false, "section checksum"},
        {"columns", info + 48, 1, 4, true, "section size"},
        {"columns", info + 48, UINT32_MAX, 4, true, "section size"},
        {"first element of a column", entry, NUMBERS, 8, true, "column"},
        {"first element of a column", entry, UINT64_MAX, 8, true, "column"},
        {"values of a column", entry + 8, 0, 8, true, "column"},
        {"size of a column's values", entry + 16, UINT64_MAX, 8, true, "column"},
        {"size of a column's values", entry + 16, 1, 8, true, "section size"},
        {"different values", entry + 32, ROWS + 1, 4, true, "column"},
        {"different values", entry + 32, TEXTS + 1, 4, true, "section size"},
        {"zone without its checksum", zone, 9, 1, false, "section checksum"},
    };
    fixture_assert_damages(store, NAME, table, sizeof table / sizeof *table, just_open, store);
    shx_store_close(store);
}

/* Of another run, too: who looks for a row passes by rows of all runs. */
static void a_wrong_rowid_is_found_before_rows_are_looked_for(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size, row, hidden = 0;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t at = fixture_section(bytes, SHX_SEGMENT_ROWIDS), order = fixture_section(bytes, SHX_SEGMENT_ORDER);
    shx_segment *segment = open_sample(store);
    assert_ok(shx_segment_verify_rowids(segment));
    assert_ok(shx_segment_verify_rowids(segment));
    shx_segment_release(segment);
    uint32_t middle = shx_get32(bytes + order + 4 * (ROWS / 2)); /* every search begins there */
    shx_put64(bytes + at + 8 * middle, (uint64_t)INT64_MAX);
    fixture_write_file(store, NAME, bytes, size);
    segment = open_sample(store);
    for (uint64_t i = 0; i < ROWS; i++) hidden += !shx_segment_find(segment, rowids[i], &row);
    assert_true(hidden > 1);
    assert_status(shx_segment_verify_rowids(segment), SHX_CORRUPT);
    assert_status(shx_segment_verify_rowids(segment), SHX_CORRUPT);
    shx_value zero = {.type = SHX_VALUE_INTEGER};
    shx_range above = {shx_cut_after(zero), shx_cut_end()};
    shx_predicate predicate = {0};
    shx_match match = {0};
    assert_ok(shx_predicate_add(&predicate, SHX_COLUMN_ROWID, &above, 1));
    assert_status(shx_match_make(segment, &predicate, &match), SHX_CORRUPT);
    shx_match_free(&match);
    shx_predicate_clear(&predicate);
    shx_segment_release(segment);
    free(bytes);
    shx_store_close(store);
}

/* Found when the run is touched or the segment is checked, not when it is opened. */
static void what_is_checked_later(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t order = fixture_section(bytes, SHX_SEGMENT_ORDER),
                   rowid = fixture_section(bytes, SHX_SEGMENT_ROWIDS) + 8,
                   runs = fixture_section(bytes, SHX_SEGMENT_RUNS);
    const fixture_damage table[] = {
        {"scan code", fixture_section(bytes, SHX_SEGMENT_BLOCKS) + 700, 0x5555, 2, false, "run checksum"},
        {"refine code", fixture_section(bytes, SHX_SEGMENT_REFINE) + 100, 0x5555, 2, false, "run checksum"},
        {"factors", fixture_section(bytes, SHX_SEGMENT_FACTORS) + 40, UINT32_MAX, 4, false, "run checksum"},
        {"vector", fixture_section(bytes, SHX_SEGMENT_VECTORS) + 40, UINT32_MAX, 4, false, "vector"},
        {"rowid", rowid, 3, 8, false, "run checksum"},
        {"fingerprint", fixture_section(bytes, SHX_SEGMENT_FINGERPRINTS) + 60, 3, 8, false, "run checksum"},
        {"checksum", runs + 64 + 40, 3, 8, true, "run checksum"},
        {"checksum of rowids", runs + 64 + 48, 3, 8, true, "rowids"},
        {"scale", runs + 64 + 24, 0, 1, true, NULL}, /* only the table's checksum covers it */
        {"order of rowids", order, shx_get32(bytes + order + 4), 4, true, "order of rowids"},
        {"id", fixture_section(bytes, SHX_COLUMN_IDS) + 4 * ROWS + 12, 5, 1, false, "run checksum"},
        {"start", fixture_section(bytes, SHX_COLUMN_STARTS) + 8, 0x55, 1, false, "column checksum"},
        {"offset", fixture_section(bytes, SHX_COLUMN_OFFSETS) + 8, 0x55, 1, false, "column checksum"},
        {"value", fixture_section(bytes, SHX_COLUMN_VALUES) + 3, 0x55, 1, false, "column checksum"},
        {"row by value", fixture_section(bytes, SHX_COLUMN_BY_VALUE) + 4, 0x55, 1, false, "column checksum"},
        {"checksum of a column", fixture_section(bytes, SHX_COLUMN_ENTRIES) + 24, 1, 8, true, "column checksum"},
    };
    free(bytes);
    fixture_assert_damages(store, NAME, table, sizeof table / sizeof *table, open_and_check, store);
    shx_store_close(store);
}

static void runs_and_vectors_are_verified_alone(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    bytes[fixture_section(bytes, SHX_SEGMENT_VECTORS) + 12 * 5] ^= 1;     /* row 5, of the second run */
    bytes[fixture_section(bytes, SHX_SEGMENT_REFINE) + 32 * 38 + 3] ^= 1; /* row 38, of the third */
    fixture_write_file(store, NAME, bytes, size);
    free(bytes);
    shx_segment *segment = open_sample(store);
    const void *vector;
    for (int twice = 0; twice < 2; twice++) { /* what was verified once is not forgotten, what failed fails again */
        assert_ok(shx_segment_verify_run(segment, 0));
        assert_ok(shx_segment_verify_run(segment, 1));
        assert_status(shx_segment_verify_run(segment, 2), SHX_CORRUPT);
        assert_ok(shx_segment_verify_vectors(segment, 0));
        assert_status(shx_segment_verify_vectors(segment, 1), SHX_CORRUPT);
        assert_status(shx_segment_verify_vectors(segment, 2), SHX_CORRUPT);
    }
    assert_status(shx_segment_vector(segment, 5, &vector), SHX_CORRUPT);
    assert_ok(shx_segment_vector(segment, 6, &vector));
    shx_segment_release(segment);
    shx_store_close(store);
}

/* Whatever bit is wrong and wherever the file ends: an error, or exactly the rows that were written. */
static void every_truncation_and_many_bits(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    for (uint64_t cut = 0; cut < size; cut += 7) {
        fixture_write_file(store, NAME, bytes, cut);
        assert_status(just_open(store), SHX_CORRUPT);
    }
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        fixture_write_file(store, NAME, bytes, size);
        shx_segment *segment;
        if (open_and_check(store) == SHX_OK) {
            segment = open_sample(store);
            for (uint64_t i = 0; i < ROWS; i++) {
                const void *vector;
                assert_true(segment->rowids[i] == rowids[i]);
                assert_ok(shx_segment_vector(segment, i, &vector));
                assert_memory_equal(vector, vectors[i], sizeof vectors[i]);
                check_columns(segment, i);
            }
            shx_segment_release(segment);
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
    shx_store_close(store);
}

/* The same with vectors that stand by their second column. */
static void seats(void **state) {
    sample_group = 2;
    rows_are_found(state);
    every_truncation_and_many_bits(state);
    shx_store *store = make_sample();
    shx_segment *segment = open_sample(store);
    const uint32_t *ids = segment->columns.ids + segment->columns.rows, *rows = shx_segment_seated_rows(segment);
    for (uint64_t seat = 0; seat < ROWS; seat++) {
        assert_int_equal(shx_segment_seat(segment, rows[seat]), seat);
        assert_true(seat == 0 || ids[rows[seat - 1]] <= ids[rows[seat]]);
        assert_memory_equal(shx_segment_vector_in(segment, seat), vectors[rows[seat]], sizeof *vectors);
    }
    shx_segment_release(segment);
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    fixture_assert_golden("segment_seats.bin", bytes, size);
    free(bytes);
    shx_store_close(store);
    sample_group = 0;
}

static void seats_are_judged(void **state) {
    (void)state;
    sample_group = 2;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t group = fixture_section(bytes, SHX_SEGMENT_INFO) + 52;
    const uint64_t at = fixture_section(bytes, SHX_SEGMENT_SEATS), fifth = at + 4 * 5, like_it = at + 4 * 16;
    const fixture_damage table[] = {
        {"group", group, 0, 4, true, "section size"},
        {"group", group, COLUMNS + 1, 4, true, "group"},
        {"seat", at, ROWS, 4, true, "seat"},
        {"seat", at + 4 * (ROWS - 1), UINT32_MAX, 4, true, "seat"},
        {"seats without their checksum", at, 1, 1, false, "section checksum"},
    };
    fixture_assert_damages(store, NAME, table, sizeof table / sizeof *table, just_open, store);
    uint32_t seat = shx_get32(bytes + fifth);
    const fixture_damage checked[] = {{"seat", fifth, (seat + 1) % ROWS, 4, true, "vector"}};
    fixture_assert_damages(store, NAME, checked, 1, open_and_check, store);
    assert_memory_equal(vectors[5], vectors[16], sizeof *vectors); /* so only their order tells: */
    shx_put32(bytes + fifth, shx_get32(bytes + like_it));
    shx_put32(bytes + like_it, seat);
    fixture_seal(bytes, size);
    fixture_write_file(store, NAME, bytes, size);
    assert_status(open_and_check(store), SHX_CORRUPT);
    assert_string_equal(shx_corrupt_last(), "order of seats");
    free(bytes);
    shx_store_close(store);
    sample_group = 0;
}

static void an_empty_segment(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    shx_segment *segment;
    uint64_t row;
    const shx_segment_plan plan = {.encoding = &encoding, .encoding_id = 3};
    assert_ok(shx_segment_write(store, &uuid, ID, &plan, NULL, &file_checksum));
    segment = open_sample(store);
    assert_ok(shx_segment_check(segment, NULL));
    assert_int_equal(segment->row_count, 0);
    assert_false(shx_segment_find(segment, 0, &row));
    shx_segment_release(segment);
    shx_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(the_file_is_as_documented),
        cmocka_unit_test(every_field_is_judged),
        cmocka_unit_test(a_wrong_rowid_is_found_before_rows_are_looked_for),
        cmocka_unit_test(what_is_checked_later),
        cmocka_unit_test(runs_and_vectors_are_verified_alone),
        cmocka_unit_test(every_truncation_and_many_bits),
        cmocka_unit_test(seats),
        cmocka_unit_test(seats_are_judged),
        cmocka_unit_test(an_empty_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
