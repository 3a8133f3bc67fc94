/* The write-ahead log: records as documented, and what is left of them after every kind of damage. */
#include "fixture.h"

#include "memory.h"
#include "wal.h"

#include <stdlib.h>
#include <string.h>

#define FILE_ID UINT64_C(5)
#define FILE_NAME "wal-0000000000000005"
#define DIM 3

static const shx_id uuid = {{0xaa, 0xbb}};

/* Blocks that the engine has and has not given back. */
static int64_t blocks;

static void *counted_alloc(uint64_t size) {
    blocks++;
    return malloc(size);
}

static void *counted_resize(void *block, uint64_t size) {
    blocks += !block;
    return realloc(block, size);
}

static void counted_release(void *block) {
    blocks--;
    free(block);
}

static shx_id commit_of(uint8_t number) { return (shx_id){{0xc0, number}}; }

typedef struct found {
    uint64_t count;
    shx_wal_entry entries[16];
} found;

static shx_status visit(void *context, const shx_wal_entry *entry) {
    found *all = context;
    assert_true(all->count < 16);
    all->entries[all->count++] = *entry;
    return SHX_OK;
}

static found scan(shx_store *store, uint32_t dim) {
    found all = {0};
    shx_wal_extent extent = {.file = FILE_ID};
    assert_ok(shx_wal_scan(store, &uuid, dim * sizeof(float), &extent, visit, &all));
    return all;
}

static shx_status go_on(shx_store *store, uint64_t file, uint64_t end, size_t vector_bytes, shx_wal_writer **writer) {
    const shx_wal_extent extent = {.file = file, .end = end};
    return shx_wal_continue(store, &extent, vector_bytes, writer);
}

static shx_op put_op(int64_t rowid, const float *vector, uint32_t dim) {
    return (shx_op){.kind = SHX_OP_INSERT,
                    .rowid = rowid,
                    .vector_hash = shx_hash64(vector, dim * sizeof(float), 0),
                    .column_hash = 1234,
                    .vector = vector};
}

/* Packed columns: the integer 258, and the text "ab" with a null behind it. */
static const uint8_t number_column[9] = {SHX_VALUE_INTEGER, 2, 1};
static const uint8_t text_column[8] = {SHX_VALUE_TEXT, 2, 0, 0, 0, 'a', 'b', SHX_VALUE_NULL};

/* With vectors of 12 bytes: 12 + 9 and 12 + 8, rounded up to 4, and one without columns. */
#define BODY_BYTES (24 + 20 + 12)

/* Two inserts, a replacement, a deletion and a touch; columns in the inserts. */
static shx_wal_entry write_record(shx_wal_writer *writer, uint8_t number) {
    const float vectors[3][DIM] = {{1, 2, 3}, {4, 5, 6}, {(float)number, 8, 9}};
    shx_wal_entry entry;
    shx_id commit = commit_of(number), parent = commit_of((uint8_t)(number - 1));
    assert_ok(shx_wal_begin(writer));
    shx_op ops[5] = {put_op(number, vectors[0], DIM),
                     put_op(-5, vectors[1], DIM),
                     {.kind = SHX_OP_DELETE, .rowid = INT64_MIN},
                     put_op(INT64_MAX, vectors[2], DIM),
                     {.kind = SHX_OP_TOUCH, .rowid = 8}};
    ops[3].kind = SHX_OP_REPLACE;
    ops[0].columns = (shx_packed){number_column, sizeof number_column};
    ops[1].columns = (shx_packed){text_column, sizeof text_column};
    for (int i = 0; i < 2; i++) ops[i].column_hash = shx_hash64(ops[i].columns.bytes, ops[i].columns.size, 0);
    for (int i = 0; i < 5; i++) assert_ok(shx_wal_put(writer, &ops[i]));
    assert_ok(shx_wal_finish(writer, &commit, &parent, &entry));
    return entry;
}

static void check_record(shx_store *store, const shx_wal_entry *entry, uint8_t number) {
    shx_wal_record record;
    shx_wal_cursor at = {0};
    assert_ok(shx_wal_load(store, entry, DIM * sizeof(float), NULL, &record));
    assert_int_equal(record.operation_count, 5);
    const shx_op_kind kinds[] = {SHX_OP_INSERT, SHX_OP_INSERT, SHX_OP_DELETE, SHX_OP_REPLACE, SHX_OP_TOUCH};
    const int64_t rowids[] = {number, -5, INT64_MIN, INT64_MAX, 8};
    const float first[] = {1, 4, 0, (float)number, 0};
    for (uint64_t i = 0; i < 5; i++) {
        shx_op op = shx_wal_next(&record, &at);
        assert_int_equal(op.kind, kinds[i]);
        assert_true(op.rowid == rowids[i]);
        assert_int_equal(op.vector != NULL, first[i] != 0);
        if (op.columns.size == 0) assert_int_equal(op.column_hash, first[i] != 0 ? 1234 : 0);
        if (op.vector) assert_true(((const float *)op.vector)[0] == first[i]);
        assert_int_equal(op.columns.size, i == 0 ? sizeof number_column : i == 1 ? sizeof text_column : 0);
        if (i == 0) assert_memory_equal(op.columns.bytes, number_column, sizeof number_column);
        if (i == 1) assert_memory_equal(op.columns.bytes, text_column, sizeof text_column);
    }
    assert_int_equal(at.body, BODY_BYTES);
    shx_wal_record_close(&record);
}

/* A file of three records. */
static shx_store *make_sample(void) {
    shx_store *store = fixture_prepared_heap();
    shx_wal_writer *writer;
    assert_ok(shx_wal_create(store, &uuid, FILE_ID, DIM * sizeof(float), &writer));
    assert_int_equal(shx_wal_writer_file(writer), FILE_ID);
    for (uint8_t number = 1; number <= 3; number++) {
        shx_wal_entry entry = write_record(writer, number);
        assert_int_equal(shx_wal_writer_end(writer), entry.offset + entry.length);
    }
    shx_wal_writer_close(writer);
    return store;
}

static void records_there_and_back(void **state) {
    (void)state;
    shx_store *store = make_sample();
    found all = scan(store, DIM);
    assert_int_equal(all.count, 3);
    for (uint8_t i = 0; i < 3; i++) {
        shx_id commit = commit_of((uint8_t)(i + 1)), parent = commit_of(i);
        assert_memory_equal(&all.entries[i].commit, &commit, 16);
        assert_memory_equal(&all.entries[i].parent, &parent, 16);
        assert_int_equal(all.entries[i].operation_count, 5);
        assert_int_equal(all.entries[i].vector_count, 3);
        check_record(store, &all.entries[i], (uint8_t)(i + 1));
    }
    shx_store_close(store);
}

/* The layout at the top of wal.h, byte for byte. */
static void the_file_is_as_documented(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *file = fixture_read_file(store, FILE_NAME, &size), *record = file + 64;
    assert_memory_equal(record, "record\0\2", 8);
    uint64_t operations_at = 128 + (BODY_BYTES + 63) / 64 * 64, length = (operations_at + 5 * 32 + 63) / 64 * 64;
    assert_int_equal(shx_get64(record + 8), length);
    assert_int_equal(size, 64 + 3 * length);
    shx_id commit = commit_of(1), parent = commit_of(0);
    assert_memory_equal(record + 16, &commit, 16);
    assert_memory_equal(record + 32, &parent, 16);
    assert_int_equal(shx_get64(record + 48), 5);
    assert_int_equal(shx_get64(record + 56), 3);
    assert_int_equal(shx_get64(record + 64), operations_at);
    assert_int_equal(shx_get64(record + 112), BODY_BYTES);
    assert_memory_equal(record + 128 + 12, number_column, sizeof number_column);
    assert_memory_equal(record + 128 + 24 + 12, text_column, sizeof text_column);
    for (int at = 72; at < 112; at += 8) {
        if (at != 88) assert_true(shx_get64(record + at) == 0);
    }
    assert_true(shx_get64(record + 88) == shx_hash64(record + operations_at, 5 * 32, FILE_ID));
    assert_true(shx_get64(record + 120) == shx_hash64(record, 120, 64));
    const float *vectors = (const float *)(const void *)(record + 128);
    assert_true(vectors[0] == 1 && vectors[6] == 4 && vectors[13] == 9);
    for (int at = 128 + 21; at < 128 + 24; at++) assert_int_equal(record[at], 0);
    const uint8_t *op = record + operations_at + 32;
    assert_int_equal(op[0], SHX_OP_INSERT);
    for (int i = 1; i < 4; i++) assert_int_equal(op[i], 0);
    assert_int_equal(shx_get32(op + 4), sizeof text_column);
    assert_true((int64_t)shx_get64(op + 8) == -5);
    assert_true(shx_get64(op + 16) == shx_hash64(vectors + 6, 12, 0));
    assert_true(shx_get64(op + 24) == shx_hash64(text_column, sizeof text_column, 0));
    fixture_assert_golden("wal.bin", file, size);
    free(file);
    shx_store_close(store);
}

/* Copied, buffered, and mapped: around each size where the code takes another way. */
static void records_of_every_size(void **state) {
    (void)state;
    const struct {
        uint32_t dim;
        uint64_t rows;
    } sizes[] = {{1, 0}, {1, 1}, {16, 1}, {64, 1000}, {64, 1023}, {64, 1024}, {64, 1025}, {64, 5000}, {65535, 7}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t dim = sizes[s].dim;
        shx_store *store = fixture_prepared_heap();
        shx_wal_writer *writer;
        shx_wal_entry entry;
        shx_wal_record record;
        shx_id commit = commit_of(1), parent = commit_of(0);
        float *vector = calloc(dim, sizeof *vector);
        assert_ok(shx_wal_create(store, &uuid, FILE_ID, dim * sizeof(float), &writer));
        assert_ok(shx_wal_begin(writer));
        for (uint64_t i = 0; i < sizes[s].rows; i++) {
            vector[i % dim] += 1;
            shx_op op = put_op((int64_t)i, vector, dim);
            assert_ok(shx_wal_put(writer, &op));
        }
        assert_ok(shx_wal_finish(writer, &commit, &parent, &entry));
        shx_wal_writer_close(writer);
        assert_int_equal(scan(store, dim).count, 1);
        assert_ok(shx_wal_load(store, &entry, dim * sizeof(float), NULL, &record));
        memset(vector, 0, dim * sizeof *vector);
        shx_wal_cursor at = {0};
        for (uint64_t i = 0; i < sizes[s].rows; i++) {
            vector[i % dim] += 1;
            shx_op op = shx_wal_next(&record, &at);
            assert_memory_equal(op.vector, vector, dim * sizeof *vector);
        }
        shx_wal_record_close(&record);
        free(vector);
        shx_store_close(store);
    }
}

static void seal_record(uint8_t *file, uint64_t offset) {
    shx_put64(file + offset + 120, shx_hash64(file + offset, 120, offset));
}

/* A field of the second record's header, sealed again or not: scanning ends before it. */
static void every_header_field_ends_the_scan(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *good = fixture_read_file(store, FILE_NAME, &size), *bad = malloc(size);
    uint64_t second = 64 + shx_get64(good + 64 + 8);
    const struct {
        const char *field;
        uint64_t offset, value;
        bool sealed;
        const char *expected;
    } table[] = {
        {"magic", 0, 0, true, "record magic"},
        {"length", 8, 64, true, "record length"},
        {"length", 8, UINT64_MAX - 63, true, "record length"},
        {"length", 8, 448, false, "record header"},
        {"commit", 16, 1, false, "record header"},
        {"parent", 32, 1, false, "record header"},
        {"operations", 48, 6, false, "record header"},
        {"operations", 48, 13, true, "record length"},
        {"operations", 48, 2, true, "counts"},
        {"operations", 48, UINT64_MAX, true, "counts"},
        {"operations", 48, UINT32_MAX, true, "counts"},
        {"operations", 48, UINT32_MAX - 1, true, "record length"},
        {"vectors", 56, 6, true, "counts"},
        {"vectors", 56, UINT64_MAX, true, "counts"},
        {"offset of operations", 64, 128, true, "record length"},
        {"offset of operations", 64, UINT64_MAX, true, "record length"},
        {"encoding", 72, 1, false, "record header"},
        {"codes", 80, 1, false, "record header"},
        {"operations' checksum", 88, 1, false, "record header"},
        {"parent's file", 96, 1, false, "record header"},
        {"parent's offset", 104, 1, false, "record header"},
        {"size of bodies", 112, 1, false, "record header"},
        {"size of bodies", 112, 35, true, "record length"},
        {"size of bodies", 112, BODY_BYTES + 64, true, "record length"},
        {"size of bodies", 112, UINT64_MAX, true, "record length"},
        {"checksum", 120, 1, false, "record header"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        shx_wal_entry entry;
        memcpy(bad, good, size);
        shx_put64(bad + second + table[i].offset, table[i].value);
        if (table[i].sealed) seal_record(bad, second);
        assert_status(shx_wal_header_check(bad + second, FILE_ID, second, size, DIM * sizeof(float), &entry),
                      SHX_CORRUPT);
        if (strcmp(shx_corrupt_last(), table[i].expected) != 0) {
            fail_msg("%s %zu: «%s» instead of «%s»", table[i].field, i, shx_corrupt_last(), table[i].expected);
        }
        fixture_write_file(store, FILE_NAME, bad, size);
        found all = scan(store, DIM);
        assert_int_equal(all.count, 1);
        check_record(store, &all.entries[0], 1);
    }
    free(good);
    free(bad);
    shx_store_close(store);
}

/* What the header's checksum does not cover is found when the record is loaded, of which then nothing is kept. */
static void every_body_field_fails_the_load(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *good = fixture_read_file(store, FILE_NAME, &size), *bad = malloc(size);
    found all = scan(store, DIM);
    const uint64_t first = 64, operations = first + shx_get64(good + first + 64);
    const struct {
        const char *field;
        uint64_t offset;
        uint8_t value;
        bool sealed;
        const char *expected;
    } table[] = {
        {"vector", first + 128, 0x55, false, "vector"},
        {"last vector", first + 128 + BODY_BYTES - 1, 0x55, false, "vector"},
        {"kind", operations, 9, false, "operations"},
        {"kind", operations, 0, true, "operation kind"},
        {"kind", operations, 5, true, "operation kind"},
        {"columns", first + 128 + 13, 9, false, "columns"},
        {"type of a column", first + 128 + 12, 6, true, "columns"},
        {"size of a text", first + 128 + 24 + 13, 200, true, "columns"},
        {"size of an operation's columns", operations + 4, 200, true, "columns"},
        {"size of an operation's columns", operations + 4, 8, true, "columns"},
        {"size of an operation's columns", operations + 3 * 32 + 4, 1, true, "columns"},
        {"columns of a deletion", operations + 2 * 32 + 4, 1, true, "columns"},
        {"kind: a vector less", operations + 32, SHX_OP_DELETE, true, "columns"},
        {"kind: a vector less at the end", operations + 3 * 32, SHX_OP_DELETE, true, "vector count"},
        {"kind: a vector more", operations + 4 * 32, SHX_OP_INSERT, true, "vector count"},
        {"rowid", operations + 8, 9, false, "operations"},
        {"hash", operations + 16, 9, false, "operations"},
        {"hash", operations + 16, 9, true, "vector"},
        {"columns", operations + 24, 9, false, "operations"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        shx_wal_record record;
        memcpy(bad, good, size);
        bad[table[i].offset] = table[i].value;
        if (table[i].sealed) {
            shx_put64(bad + first + 88, shx_hash64(bad + operations, 5 * 32, FILE_ID));
            seal_record(bad, first);
        }
        fixture_write_file(store, FILE_NAME, bad, size);
        assert_int_equal(scan(store, DIM).count, 3);
        int64_t before = blocks;
        assert_status(shx_wal_load(store, &all.entries[0], DIM * sizeof(float), NULL, &record), SHX_CORRUPT);
        assert_int_equal(blocks, before);
        if (strcmp(shx_corrupt_last(), table[i].expected) != 0) {
            fail_msg("%s %zu: «%s» instead of «%s»", table[i].field, i, shx_corrupt_last(), table[i].expected);
        }
        check_record(store, &all.entries[1], 2);
    }
    free(good);
    free(bad);
    shx_store_close(store);
}

/* Another record than was scanned, valid in itself, with the same commit: fewer operations, which stand so far behind
** that as many as were scanned would not fit in. */
static void a_record_that_was_written_over_is_refused(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size;
    uint8_t *file = fixture_read_file(store, FILE_NAME, &size);
    found all = scan(store, DIM);
    const uint64_t first = 64, operations_at = 320, length = all.entries[0].length;
    assert_int_equal(length, operations_at + 2 * SHX_OPERATION_BYTES);
    shx_put64(file + first + 48, 2);
    shx_put64(file + first + 56, 2);
    shx_put64(file + first + 64, operations_at);
    shx_put64(file + first + 112, operations_at - 128);
    shx_put64(file + first + 88, shx_hash64(file + first + operations_at, length - operations_at, FILE_ID));
    seal_record(file, first);
    fixture_write_file(store, FILE_NAME, file, size);
    assert_int_equal(scan(store, DIM).count, 3);
    shx_wal_record record;
    assert_status(shx_wal_load(store, &all.entries[0], DIM * sizeof(float), NULL, &record), SHX_CORRUPT);
    assert_string_equal(shx_corrupt_last(), "record changed");
    all.entries[1].parent.bytes[15]++; /* what a comparison with another state has written leads there from elsewhere */
    assert_status(shx_wal_load(store, &all.entries[1], DIM * sizeof(float), NULL, &record), SHX_CORRUPT);
    assert_string_equal(shx_corrupt_last(), "record changed");
    free(file);
    shx_store_close(store);
}

/* Of a damaged file only a prefix of its records is seen, and each is right or refused. */
static void check_what_is_left(shx_store *store, uint64_t *ret_usable) {
    found all = {0};
    shx_wal_extent extent = {.file = FILE_ID};
    *ret_usable = 0;
    if (shx_wal_scan(store, &uuid, DIM * sizeof(float), &extent, visit, &all) != SHX_OK) return;
    assert_true(all.count <= 3);
    for (uint64_t i = 0; i < all.count; i++) {
        shx_wal_record record;
        shx_id commit = commit_of((uint8_t)(i + 1));
        assert_memory_equal(&all.entries[i].commit, &commit, 16);
        shx_status status = shx_wal_load(store, &all.entries[i], DIM * sizeof(float), NULL, &record);
        if (status != SHX_OK) {
            assert_int_equal(status, SHX_CORRUPT);
            continue;
        }
        shx_wal_record_close(&record);
        check_record(store, &all.entries[i], (uint8_t)(i + 1));
        ++*ret_usable;
    }
}

static void every_truncation_and_every_bit(void **state) {
    (void)state;
    shx_store *store = make_sample();
    uint64_t size, usable, length;
    uint8_t *bytes = fixture_read_file(store, FILE_NAME, &size);
    length = shx_get64(bytes + 64 + 8);
    for (uint64_t cut = 0; cut < size; cut++) {
        fixture_write_file(store, FILE_NAME, bytes, cut);
        check_what_is_left(store, &usable);
        assert_int_equal(usable, cut < 64 ? 0 : (cut - 64) / length);
    }
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        fixture_write_file(store, FILE_NAME, bytes, size);
        check_what_is_left(store, &usable);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (bit / 8 < 64) assert_int_equal(usable, 0);
    }
    free(bytes);
    shx_store_close(store);
}

static void records_of_another_dimension_or_index(void **state) {
    (void)state;
    shx_store *store = make_sample();
    found all = {0};
    shx_wal_extent extent = {.file = FILE_ID};
    shx_wal_extent absent = {.file = FILE_ID + 1};
    shx_id other = uuid;
    other.bytes[15] = 1;
    assert_status(shx_wal_scan(store, &other, DIM * sizeof(float), &extent, visit, &all), SHX_CORRUPT);
    assert_int_equal(extent.end, 0);
    assert_int_equal(scan(store, 64).count, 0);
    assert_status(shx_wal_scan(store, &uuid, DIM * sizeof(float), &absent, visit, &all), SHX_NOTFOUND);
    shx_store_close(store);
}

static void a_scan_goes_on_where_it_ended(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    shx_wal_writer *writer;
    found all = {0};
    shx_wal_extent extent = {.file = FILE_ID};
    assert_ok(shx_wal_create(store, &uuid, FILE_ID, DIM * sizeof(float), &writer));
    for (uint8_t number = 1; number <= 4; number++) {
        assert_ok(shx_wal_scan(store, &uuid, DIM * sizeof(float), &extent, visit, &all));
        assert_int_equal(all.count, number - 1);
        assert_true(extent.end == extent.size && extent.end == shx_wal_writer_end(writer));
        write_record(writer, number);
    }
    shx_wal_writer_close(writer);
    shx_store_close(store);
}

static void a_writer_locks_its_file(void **state) {
    (void)state;
    shx_store *store = make_sample();
    shx_wal_writer *one, *other;
    found all = scan(store, DIM);
    uint64_t end = all.entries[2].offset + all.entries[2].length;
    assert_status(shx_wal_create(store, &uuid, FILE_ID, DIM * sizeof(float), &other), SHX_BUSY);
    assert_status(go_on(store, FILE_ID, all.entries[2].offset, DIM * sizeof(float), &other), SHX_BUSY);
    assert_status(go_on(store, FILE_ID + 1, end, DIM * sizeof(float), &other), SHX_NOTFOUND);
    assert_ok(go_on(store, FILE_ID, end, DIM * sizeof(float), &one));
    assert_status(go_on(store, FILE_ID, end, DIM * sizeof(float), &other), SHX_BUSY);
    write_record(one, 4);
    assert_status(go_on(store, FILE_ID, shx_wal_writer_end(one), DIM * sizeof(float), &other), SHX_BUSY);
    shx_wal_writer_close(one);
    shx_wal_writer_close(NULL);
    assert_int_equal(scan(store, DIM).count, 4);
    shx_store_close(store);
}

/* Begun, partly written and begun again: only what was finished is there, and a file with leftovers is not continued.
** */
static void an_unfinished_record_is_overwritten(void **state) {
    (void)state;
    enum { WIDE = 30000 };
    shx_store *store = fixture_prepared_heap();
    shx_wal_writer *writer, *other;
    shx_wal_entry entry;
    shx_id commit = commit_of(1), parent = commit_of(0);
    float *vector = calloc(WIDE, sizeof *vector);
    shx_wal_extent extent = {.file = FILE_ID};
    found all = {0};
    assert_ok(shx_wal_create(store, &uuid, FILE_ID, WIDE * sizeof(float), &writer));
    assert_ok(shx_wal_begin(writer));
    for (int i = 0; i < 9; i++) { /* more than the writer's buffer */
        vector[0] = (float)(i + 1);
        shx_op op = put_op(i, vector, WIDE);
        assert_ok(shx_wal_put(writer, &op));
    }
    assert_int_equal(scan(store, WIDE).count, 0);
    assert_ok(shx_wal_begin(writer));
    shx_op gone = {.kind = SHX_OP_DELETE, .rowid = 3};
    assert_ok(shx_wal_put(writer, &gone));
    assert_ok(shx_wal_finish(writer, &commit, &parent, &entry));
    assert_int_equal(entry.vector_count, 0);
    shx_wal_writer_close(writer);
    assert_ok(shx_wal_scan(store, &uuid, WIDE * sizeof(float), &extent, visit, &all));
    assert_true(all.count == 1 && extent.size > extent.end);
    assert_status(go_on(store, FILE_ID, extent.end, WIDE * sizeof(float), &other), SHX_BUSY);
    free(vector);
    shx_store_close(store);
}

/* Whichever call fails, torn or not: what was finished before stays, and nothing half is taken for a record. */
static void failing_stores(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth < 30; nth++) {
        shx_store *inner = fixture_prepared_heap(), *store;
        shx_wal_writer *writer = NULL;
        shx_wal_entry entry;
        shx_id commit = commit_of(2), parent = commit_of(1);
        uint64_t usable;
        float *vectors = calloc(90000, sizeof(float) * DIM);
        assert_ok(shx_wal_create(inner, &uuid, FILE_ID, DIM * sizeof(float), &writer));
        shx_wal_entry before = write_record(writer, 1);
        shx_wal_writer_close(writer);
        assert_ok(faulty_store_wrap(inner, &store));
        faulty_plan plan = {.kind = FAULTY_ANY, .nth = nth, .status = SHX_IO, .torn = true};
        faulty_store_plan(store, &plan);
        shx_status status =
            go_on(store, FILE_ID, before.offset + before.length, DIM * sizeof(float), &writer);
        if (status == SHX_OK) {
            status = shx_wal_begin(writer);
            for (uint64_t i = 0; status == SHX_OK && i < 90000; i++) {
                vectors[i * DIM] = (float)(i + 1);
                shx_op op = put_op((int64_t)i, vectors + i * DIM, DIM);
                status = shx_wal_put(writer, &op);
            }
            if (status == SHX_OK) status = shx_wal_finish(writer, &commit, &parent, &entry);
            shx_wal_writer_close(writer);
        }
        uint64_t failures = faulty_store_failures(store);
        assert_int_equal(status, failures ? SHX_IO : SHX_OK);
        shx_store_close(store);
        assert_int_equal(scan(inner, DIM).count, status == SHX_OK ? 2 : 1);
        if (status != SHX_OK) {
            check_what_is_left(inner, &usable);
            assert_int_equal(usable, 1);
        }
        free(vectors);
        shx_store_close(inner);
        if (failures == 0) return;
    }
    fail();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_there_and_back),
        cmocka_unit_test(the_file_is_as_documented),
        cmocka_unit_test(records_of_every_size),
        cmocka_unit_test(every_header_field_ends_the_scan),
        cmocka_unit_test(every_body_field_fails_the_load),
        cmocka_unit_test(a_record_that_was_written_over_is_refused),
        cmocka_unit_test(every_truncation_and_every_bit),
        cmocka_unit_test(records_of_another_dimension_or_index),
        cmocka_unit_test(a_scan_goes_on_where_it_ended),
        cmocka_unit_test(a_writer_locks_its_file),
        cmocka_unit_test(an_unfinished_record_is_overwritten),
        cmocka_unit_test(failing_stores),
    };
    shx_memory_use(&(shx_allocator){counted_alloc, counted_resize, counted_release});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
