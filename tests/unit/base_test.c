/* Bases: what they name, and every way in which that can be wrong. */
#include "fixture.h"

#include "base.h"
#include "memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIM 3
#define CODE_DIM 64
#define FILE_ID UINT64_C(20)
#define NAME "base-0000000000000014"

static const shx_space space = {SHX_L2, SHX_FLOAT32, DIM};
static const shx_id uuid = {{5}};
static const float mean[CODE_DIM] = {0.5f, -0.25f, 1};
static const shx_encoding encoding = {SHX_L2, SHX_FLOAT32, DIM, CODE_DIM, 77, 0, mean};

static shx_posting read_posting(const void *context, uint64_t number) { return ((const shx_posting *)context)[number]; }

/* A segment of two overflow rows and `rows` rows of a shard; returns its checksum. */
static uint64_t write_segment(shx_store *store, uint64_t id, uint64_t shard, uint32_t rows) {
    uint64_t checksum;
    float vector[DIM] = {1, 2, 3}, centroid[CODE_DIM] = {0};
    shx_posting postings[100];
    assert_true(rows + 2 <= 100);
    for (uint32_t i = 0; i < rows + 2; i++) {
        postings[i] = (shx_posting){.rowid = (int64_t)(id * 1000 + i),
                                    .vector = vector,
                                    .fingerprint = {shx_hash64(vector, sizeof vector, 0), i}};
    }
    const shx_run_plan runs[] = {{SHX_SHARD_OVERFLOW, NULL, 0, 2}, {shard, centroid, 2, rows}};
    const shx_segment_plan plan = {&encoding, 4, 0, 0, 2, runs, {postings, read_posting}, rows + 2};
    assert_ok(shx_segment_write(store, &uuid, id, &plan, NULL, &checksum));
    return checksum;
}

/* Two segments (3 and 2 blocks, the first with tombstones; the second has rows of shard `shard`) and a table of the
** shards 2, 3, 4. */
static shx_store *make_sample_with(uint64_t shard) {
    shx_store *store = fixture_prepared_heap();
    shx_shards *table;
    shx_calibration calibration;
    const uint64_t ids[] = {2, 3, 4};
    const uint8_t open[] = {1, 0, 1};
    const uint32_t dead[] = {2, 0, 1};
    float centroids[3 * CODE_DIM];
    for (int i = 0; i < 3 * CODE_DIM; i++) centroids[i] = (float)(i % 5);
    uint64_t first = write_segment(store, 10, 2, 33), second = write_segment(store, 11, shard, 5), table_checksum;
    assert_ok(shx_shards_create(CODE_DIM, 3, ids, open, centroids, &table));
    assert_ok(shx_shards_write(store, &uuid, 12, table, &table_checksum));
    shx_shards_release(table);
    memset(&calibration, 0, sizeof calibration);
    calibration.fitted = 1;
    calibration.sample_size = 5;
    calibration.first[2][1].theta = 1.5;
    shx_base_plan plan = {.info = {.commit = {{9, 9}},
                                   .generation = 3,
                                   .wal_floor = 2,
                                   .live_rows = 40,
                                   .encoding_id = 4,
                                   .next_shard = 5,
                                   .clustered_rows = 30,
                                   .calibrated_rows = 31,
                                   .flushes = 6,
                                   .merges = 7,
                                   .splits = 8,
                                   .builds = 9},
                          .encoding = &encoding,
                          .calibration = &calibration,
                          .shards_file = 12,
                          .shards_checksum = table_checksum,
                          .segment_count = 2,
                          .segments = {{10, 35, 3, first, dead}, {11, 7, 2, second, NULL}}};
    assert_ok(shx_base_write(store, &uuid, FILE_ID, &plan));
    return store;
}

static shx_store *make_sample(void) { return make_sample_with(4); }

static shx_status just_open(void *store) {
    shx_base *base;
    SHX_TRY(shx_base_open(store, &uuid, FILE_ID, &space, NULL, &base));
    shx_base_release(base);
    return SHX_OK;
}

/* Every row of shard 2 and 4 is as far from its centroid, which is the origin; shard 3 has no rows. */
static void check_handicaps(const shx_base *base) {
    float vector[DIM] = {1, 2, 3}, distance2 = 0, *point = shx_alloc_aligned(CODE_DIM, sizeof *point);
    assert_true(point && shx_encoding_point(&encoding, vector, false, point));
    for (int d = 0; d < CODE_DIM; d++) distance2 += point[d] * point[d];
    shx_free_aligned(point);
    assert_true(distance2 > 1 && base->handicaps[1] == 0);
    assert_true(fabsf(base->handicaps[0] - 0.3f * distance2) < 1e-4f * distance2);
    assert_true(fabsf(base->handicaps[2] - 0.3f * distance2) < 1e-4f * distance2);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    shx_store *store = make_sample();
    shx_base *base, *again;
    assert_ok(shx_base_open(store, &uuid, FILE_ID, &space, NULL, &base));
    const shx_base_info *info = &base->info;
    assert_true(info->commit.bytes[0] == 9 && info->generation == 3 && info->wal_floor == 2 && info->live_rows == 40);
    assert_true(info->encoding_id == 4 && info->next_shard == 5 && info->clustered_rows == 30);
    assert_true(info->calibrated_rows == 31 && info->flushes == 6 && info->merges == 7 && info->splits == 8);
    assert_true(info->builds == 9 && base->calibration.first[2][1].theta == 1.5 && base->calibration.fitted == 1);
    assert_true(base->encoding.seed == 77 && base->encoding.mean[2] == 1 && base->encoding.code_dim == CODE_DIM);
    assert_int_equal(base->segment_count, 2);
    assert_true(base->dead[0][0] == 2 && base->dead[0][2] == 1 && base->dead[1] == NULL);
    const uint32_t first_place[] = {0, 1, 1, 2, 4}; /* shards 2, 3, 4, then overflow */
    assert_memory_equal(base->first_place, first_place, sizeof first_place);
    assert_true(base->places[0].segment == 0 && base->places[1].segment == 1 && base->places[1].run == 1);
    assert_true(base->places[2].segment == 0 && base->places[3].segment == 1 && base->places[3].run == 0);
    check_handicaps(base);
    assert_ok(
        shx_base_open(store, &uuid, FILE_ID, &space, base, &again)); /* lends what is open already */
    assert_ptr_equal(again->segments[0], base->segments[0]);
    assert_ptr_equal(again->shards, base->shards);
    shx_base_release(base);
    assert_ok(shx_segment_check(again->segments[1], NULL));
    shx_base_release(again);
    shx_base_release(NULL);
    shx_base_names names;
    assert_ok(shx_base_read_names(store, &uuid, FILE_ID, &names));
    assert_true(names.generation == 3 && names.shards_file == 12 && names.wal_floor == 2 && names.segment_count == 2);
    assert_true(names.segments[0] == 10 && names.segments[1] == 11 && names.commit.bytes[1] == 9);
    shx_store_close(store);
}

/* INFO and SEGMENTS as at the top of base.h. */
static void the_file_is_as_documented(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t sizes[] = {192, 4 * CODE_DIM, sizeof(shx_calibration), 2 * 40, 3 * 4};
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(shx_get32(bytes + 80 + 32 * i), i + 1);
        assert_int_equal(shx_get32(bytes + 80 + 32 * i + 4), 1);
        assert_int_equal(shx_get64(bytes + 80 + 32 * i + 16), sizes[i]);
    }
    const uint8_t *info = bytes + fixture_section(bytes, 1);
    const struct {
        int offset;
        uint64_t value;
    } numbers[] = {{16, 3},  {24, 2},  {32, 40}, {40, 12}, {48, 4},  {56, 77}, {80, 5}, {88, 30},
                   {96, 31}, {104, 6}, {112, 7}, {120, 8}, {128, 9}, {136, 0}, {160, 0}, {184, 0}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_int_equal(shx_get64(info + numbers[i].offset), numbers[i].value);
    }
    assert_true(info[0] == 9 && info[1] == 9 && info[2] == 0);
    assert_int_equal(shx_get32(info + 64), SHX_L2);
    assert_int_equal(shx_get32(info + 68), DIM);
    assert_int_equal(shx_get32(info + 72), CODE_DIM);
    assert_int_equal(shx_get32(info + 76), 0);
    const uint8_t *segments = bytes + fixture_section(bytes, 4);
    const uint64_t rows[] = {10, 35, 3, 0, 0, 11, 7, 2, UINT64_MAX, 0};
    const char *const named[] = {"segment-000000000000000a", "segment-000000000000000b", "shards-000000000000000c"};
    const uint8_t *const checksums[] = {segments + 32, segments + 72, info + 152};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i % 5 < 4) assert_int_equal(shx_get64(segments + 8 * i), rows[i]);
    }
    for (int i = 0; i < 3; i++) {
        uint64_t file_size;
        uint8_t *file = fixture_read_file(store, named[i], &file_size);
        assert_int_equal(shx_get64(checksums[i]), shx_get64(file + 80 + 32 * shx_get32(file + 64)));
        free(file);
    }
    fixture_assert_golden("base.bin", bytes, size);
    free(bytes);
    shx_store_close(store);
}

static void every_field_is_judged(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    const uint64_t info = fixture_section(bytes, 1), means = fixture_section(bytes, 2),
                   calibration = fixture_section(bytes, 3), segments = fixture_section(bytes, 4);
    free(bytes);
    const uint64_t nan = UINT64_C(0x7ff8000000000000);
    const fixture_damage table[] = {
        {"metric", info + 64, SHX_COSINE, 4, true, "base of another kind of vectors"},
        {"dim", info + 68, 4, 4, true, "base of another kind of vectors"},
        {"code dim", info + 72, 80, 4, true, "base of another kind of vectors"},
        {"bound of ip", info + 76, 0x7f800000, 4, true, "bound of ip"},
        {"bound of ip", info + 76, 0xbf800000, 4, true, "bound of ip"},
        {"mean", means, 0x7fc00000, 4, true, "mean"},
        {"mean", means + 4 * (CODE_DIM - 1), 0xff800000, 4, true, "mean"},
        {"calibration", calibration + 16, nan, 8, true, "calibration"},
        {"calibration", calibration + 16 + 24 * 8, nan, 8, true, "calibration"},
        {"segment twice", segments + 40, 10, 8, true, "segment twice"},
        {"segment's rows", segments + 8, 34, 8, true, "segment of another size"},
        {"segment's blocks", segments + 16, 2, 8, true, "segment of another size"},
        {"tombstones", segments + 24, 1, 8, true, "tombstones"},
        {"tombstones", segments + 24, UINT64_MAX - 1, 8, true, "tombstones"},
        {"tombstones", segments + 40 + 24, 2, 8, true, "tombstones"},
        {"tombstones of the other", segments + 40 + 24, 1, 8, true, NULL},
        {"number without its checksum", info + 32, 41, 1, false, "section checksum"},
    };
    fixture_assert_damages(store, NAME, table, sizeof table / sizeof *table, just_open, store);
    const struct {
        const char *name;
        uint64_t offset;
    } missing[] = {{"shards", info + 40}, {"segment", segments}, {"segment", segments + 40}};
    for (int i = 0; i < 3; i++) {
        bytes = fixture_read_file(store, NAME, &size);
        uint8_t *changed = malloc(size);
        memcpy(changed, bytes, size);
        shx_put64(changed + missing[i].offset, 999);
        fixture_seal(changed, size);
        fixture_write_file(store, NAME, changed, size);
        assert_status(just_open(store), SHX_NOTFOUND);
        fixture_write_file(store, NAME, bytes, size);
        free(bytes);
        free(changed);
    }
    shx_store_close(store);
}

/* A run of a shard that the table does not know has no centroid to be searched by. */
static void runs_of_unknown_shards(void **state) {
    (void)state;
    shx_store *store = make_sample_with(7);
    assert_status(just_open(store), SHX_CORRUPT);
    assert_string_equal(shx_corrupt_last(), "run of an unknown shard");
    shx_store_close(store);
}

/* Two copies of a directory went different ways: their files have the same names, and are of the same shape. */
static void files_of_another_copy(void **state) {
    (void)state;
    shx_store *store = make_sample(), *copy = make_sample_with(3);
    static const char *const names[] = {"segment-000000000000000b", "shards-000000000000000c"};
    static const char *const texts[] = {"another segment", "other shards"};
    float centroids[2 * CODE_DIM] = {0.5f};
    const uint64_t ids[] = {2, 4};
    const uint8_t open[] = {1, 1};
    uint64_t checksum;
    shx_shards *table;
    shx_base *known, *base;
    assert_ok(shx_base_open(store, &uuid, FILE_ID, &space, NULL, &known));
    assert_ok(shx_base_open(copy, &uuid, FILE_ID, &space, known, &base)); /* what is lent is not of this copy */
    shx_base_release(known);
    shx_base_release(base);
    assert_ok(shx_store_remove(copy, names[1]));
    assert_ok(shx_shards_create(CODE_DIM, 2, ids, open, centroids, &table));
    assert_ok(shx_shards_write(copy, &uuid, 12, table, &checksum));
    shx_shards_release(table);
    for (int i = 0; i < 2; i++) {
        uint64_t size, other_size;
        uint8_t *bytes = fixture_read_file(store, names[i], &size);
        uint8_t *other = fixture_read_file(copy, names[i], &other_size);
        fixture_write_file(store, names[i], other, other_size);
        assert_status(just_open(store), SHX_CORRUPT);
        assert_string_equal(shx_corrupt_last(), texts[i]);
        fixture_write_file(store, names[i], bytes, size);
        free(bytes);
        free(other);
    }
    assert_ok(just_open(store));
    shx_store_close(copy);
    shx_store_close(store);
}

static void of_another_kind(void **state) {
    (void)state;
    shx_store *store = make_sample();
    shx_base *base;
    shx_id other = {{6}};
    const shx_space cosine = {SHX_COSINE, SHX_FLOAT32, DIM}, wider = {SHX_L2, SHX_FLOAT32, DIM + 1};
    assert_status(shx_base_open(store, &uuid, FILE_ID, &cosine, NULL, &base), SHX_CORRUPT);
    assert_status(shx_base_open(store, &uuid, FILE_ID, &wider, NULL, &base), SHX_CORRUPT);
    assert_status(shx_base_open(store, &other, FILE_ID, &space, NULL, &base), SHX_CORRUPT);
    assert_status(shx_base_open(store, &uuid, FILE_ID + 1, &space, NULL, &base), SHX_NOTFOUND);
    shx_base_plan plan = {.segment_count = SHX_SEGMENTS_MAX + 1};
    assert_status(shx_base_write(store, &uuid, 50, &plan), SHX_MISUSE);
    shx_store_close(store);
}

static void an_empty_base(void **state) {
    (void)state;
    shx_base *base;
    shx_id genesis = {{1, 2, 3}};
    assert_ok(shx_base_empty(&genesis, &(shx_space){SHX_IP, SHX_FLOAT32, 5}, &base));
    assert_true(base->file == 0 && base->segment_count == 0 && base->shards == NULL && base->info.live_rows == 0);
    assert_true(base->encoding.metric == SHX_IP && base->encoding.dim == 5 && base->encoding.code_dim == 0);
    assert_memory_equal(&base->info.commit, &genesis, sizeof genesis);
    shx_base_release(base);
}

/* All of a base is checked when it is opened: a wrong bit is found, or stands in padding. */
static void every_truncation_and_every_bit(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, NAME, &size);
    shx_base *good;
    shx_base_names names;
    assert_ok(shx_base_open(store, &uuid, FILE_ID, &space, NULL, &good));
    for (uint64_t cut = 0; cut < size; cut++) {
        fixture_write_file(store, NAME, bytes, cut);
        assert_status(just_open(store), SHX_CORRUPT);
        assert_status(shx_base_read_names(store, &uuid, FILE_ID, &names), SHX_CORRUPT);
    }
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        shx_base *found;
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        fixture_write_file(store, NAME, bytes, size);
        shx_status status = shx_base_open(store, &uuid, FILE_ID, &space, good, &found);
        if (status == SHX_OK) {
            assert_memory_equal(&found->info, &good->info, sizeof good->info);
            assert_memory_equal(found->encoding.mean, mean, sizeof mean);
            assert_memory_equal(&found->calibration, &good->calibration, sizeof good->calibration);
            assert_memory_equal(found->dead[0], good->dead[0], 12);
            shx_base_release(found);
        } else {
            assert_int_equal(status, SHX_CORRUPT);
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    shx_base_release(good);
    free(bytes);
    shx_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_file_is_as_documented),
        cmocka_unit_test(every_field_is_judged),
        cmocka_unit_test(runs_of_unknown_shards),
        cmocka_unit_test(files_of_another_copy),
        cmocka_unit_test(of_another_kind),
        cmocka_unit_test(an_empty_base),
        cmocka_unit_test(every_truncation_and_every_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
