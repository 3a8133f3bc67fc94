/* The frame of all files: names, header, table of contents, and every way in which they can be wrong. */
#include "fixture.h"

#include "container.h"

#include <stdlib.h>
#include <string.h>

#define ID UINT64_C(0x2a)

static const shx_id uuid = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* Two checked sections, 5 and 70 bytes, an empty one, and one that is not checked. */
static const shx_section layout[] = {{.id = 1, .checked = true, .size = 5},
                                     {.id = 9, .checked = true, .size = 0},
                                     {.id = 4, .size = 100},
                                     {.id = 2, .checked = true, .size = 70}};

static void write_sample(shx_store *store) {
    shx_container_writer writer;
    uint8_t bytes[100];
    for (int i = 0; i < 100; i++) bytes[i] = (uint8_t)(i * 7);
    assert_ok(shx_container_create(store, SHX_FILE_SHARDS, &uuid, ID, layout, 4, &writer));
    shx_container_put(&writer, 2, 0, bytes, 70);
    shx_container_put(&writer, 4, 60, bytes + 60, 40);
    shx_container_put(&writer, 4, 0, bytes, 60);
    shx_container_put(&writer, 1, 0, "hello", 5);
    assert_ok(shx_container_finish(&writer));
}

static shx_status open_sample(void *store) {
    shx_container container;
    SHX_TRY(shx_container_open(store, SHX_FILE_SHARDS, &uuid, ID, &container));
    shx_container_close(&container);
    return SHX_OK;
}

static void names_there_and_back(void **state) {
    (void)state;
    char name[SHX_FILE_NAME_MAX];
    shx_file_name(SHX_FILE_SEGMENT, 0x2a, name);
    assert_string_equal(name, "segment-000000000000002a");
    for (int kind = SHX_FILE_WAL; kind <= SHX_FILE_BASE; kind++) {
        const uint64_t ids[] = {0, 1, 0x0123456789abcdef, UINT64_MAX};
        for (int i = 0; i < 4; i++) {
            shx_file_kind parsed;
            uint64_t id;
            shx_file_name((shx_file_kind)kind, ids[i], name);
            assert_true(shx_file_name_parse(name, &parsed, &id));
            assert_int_equal(parsed, kind);
            assert_true(id == ids[i]);
        }
    }
}

static void foreign_names_are_refused(void **state) {
    (void)state;
    const char *const names[] = {"",
                                 "lock",
                                 "wal",
                                 "wal-",
                                 "wal-1",
                                 "wal-00000000000000001",
                                 "wal-000000000000000A",
                                 "wal-000000000000000g",
                                 "wal-0000000000000001.tmp",
                                 "WAL-0000000000000001",
                                 "walx0000000000000001",
                                 " wal-0000000000000001",
                                 "segments-0000000000000001"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        shx_file_kind kind;
        uint64_t id;
        if (shx_file_name_parse(names[i], &kind, &id)) fail_msg("%s is taken for a file", names[i]);
    }
}

static void what_is_written_is_read(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    shx_container container;
    const void *bytes;
    write_sample(store);
    assert_ok(shx_container_open(store, SHX_FILE_SHARDS, &uuid, ID, &container));
    assert_ok(shx_container_section(&container, 1, 1, 5, &bytes));
    assert_memory_equal(bytes, "hello", 5);
    assert_ok(shx_container_section(&container, 4, 25, 4, &bytes));
    for (int i = 0; i < 100; i++) assert_int_equal(((const uint8_t *)bytes)[i], (uint8_t)(i * 7));
    assert_int_equal((uintptr_t)bytes % 64, 0);
    assert_ok(shx_container_section(&container, 9, 0, 16, &bytes));
    assert_int_equal(shx_container_section_size(&container, 2), 70);
    assert_int_equal(shx_container_section_size(&container, 3), 0);
    assert_status(shx_container_section(&container, 2, 71, 1, &bytes), SHX_CORRUPT);
    assert_status(shx_container_section(&container, 2, UINT64_MAX, 70, &bytes), SHX_CORRUPT);
    assert_status(shx_container_section(&container, 3, 0, 1, &bytes), SHX_CORRUPT);
    shx_container_close(&container);
    shx_store_close(store);
}

/* The layout at the top of container.h, byte for byte. */
static void the_file_is_as_documented(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    uint64_t size;
    write_sample(store);
    uint8_t *bytes = fixture_read_file(store, "shards-000000000000002a", &size);
    assert_memory_equal(bytes, "shardex\n", 8);
    assert_int_equal(shx_get32(bytes + 8), SHX_FORMAT_VERSION);
    assert_int_equal(shx_get32(bytes + 12), SHX_FILE_SHARDS);
    assert_memory_equal(bytes + 16, uuid.bytes, 16);
    assert_int_equal(shx_get64(bytes + 32), ID);
    assert_true(shx_get64(bytes + 40) == 0 && shx_get64(bytes + 48) == 0);
    assert_true(shx_get64(bytes + 56) == shx_hash64(bytes, 56, 0));
    assert_int_equal(shx_get32(bytes + 64), 4);
    assert_int_equal(shx_get32(bytes + 68), 0);
    assert_int_equal(shx_get64(bytes + 72), size);
    assert_int_equal(size % 64, 0);
    uint64_t end = 80 + 4 * 32 + 8;
    for (uint64_t i = 0; i < 4; i++) {
        const uint8_t *row = bytes + 80 + 32 * i;
        uint64_t offset = (end + 63) / 64 * 64;
        assert_int_equal(shx_get32(row), layout[i].id);
        assert_int_equal(shx_get32(row + 4), layout[i].checked);
        assert_int_equal(shx_get64(row + 8), offset);
        assert_int_equal(shx_get64(row + 16), layout[i].size);
        uint64_t expected = layout[i].checked && layout[i].size ? shx_hash64(bytes + offset, layout[i].size, ID) : 0;
        assert_true(shx_get64(row + 24) == expected);
        end = offset + layout[i].size;
    }
    assert_true(shx_get64(bytes + 80 + 4 * 32) == shx_hash64(bytes, 80 + 4 * 32, ID));
    fixture_assert_golden("container.bin", bytes, size);
    free(bytes);
    shx_store_close(store);
}

static void every_field_is_judged(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    write_sample(store);
    const uint64_t toc = 80, row = 32;
    const fixture_damage table[] = {
        {"magic", 0, 'S', 1, true, "file header"},
        {"version", 8, SHX_FORMAT_VERSION + 1, 4, true, "file header"},
        {"version", 8, 0, 4, true, "file header"},
        {"kind", 12, SHX_FILE_BASE, 4, true, "file header"},
        {"uuid", 16, 99, 1, true, "file header"},
        {"uuid", 31, 99, 1, true, "file header"},
        {"file id", 32, ID + 1, 8, true, "file header"},
        {"zero", 40, 1, 8, true, "file header"},
        {"zero", 48, 1, 8, true, "file header"},
        {"header checksum", 56, 1, 8, false, "file header"},
        {"section count", 64, 5, 4, false, "table of contents"},
        {"section count", 64, 3, 4, false, "table of contents"},
        {"section count", 64, 33, 4, true, "section count"},
        {"section count", 64, UINT32_MAX, 4, true, "section count"},
        {"section count", 64, 30, 4, true, "section count"},
        {"zero", 68, 1, 4, false, "table of contents"},
        {"file size", 72, 64, 8, true, "file size"},
        {"file size", 72, UINT64_MAX, 8, true, "file size"},
        {"file size", 72, 1, 1, false, "table of contents"},
        {"table checksum", 80 + 4 * 32, 1, 8, false, "table of contents"},
        {"section id", toc, 9, 4, true, "section twice"},
        {"section id", toc + row, 2, 4, true, "section twice"},
        {"section id", toc + 2 * row, 44, 4, false, "table of contents"},
        {"offset", toc + 8, 0, 8, true, "section offset"},
        {"offset", toc + 8, 64, 8, true, "section offset"},
        {"offset", toc + 8, 257, 8, true, "section offset"},
        {"offset before the one before", toc + 3 * row + 8, 256, 8, true, "section offset"},
        {"offset", toc + 8, UINT64_MAX - 63, 8, true, "section size"},
        {"size", toc + 16, UINT64_MAX, 8, true, "section size"},
        {"size", toc + 3 * row + 16, 129, 8, true, "section size"},
        {"size over the next one", toc + 16, 129, 8, true, "section offset"},
        {"checksum", toc + 24, 1, 8, false, "table of contents"},
        {"content", 256, 'j', 1, false, "section checksum"},
        {"content of the last", 256 + 64 + 128 + 69, 99, 1, false, "section checksum"},
        {"content that is not checked", 256 + 64 + 1, 99, 1, false, NULL},
    };
    fixture_assert_damages(store, "shards-000000000000002a", table, sizeof table / sizeof *table, open_sample, store);
    shx_store_close(store);
}

static void another_identity_is_refused(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    shx_container container;
    shx_id other = uuid;
    other.bytes[7] ^= 1;
    write_sample(store);
    assert_status(shx_container_open(store, SHX_FILE_SHARDS, &other, ID, &container), SHX_CORRUPT);
    assert_status(shx_container_open(store, SHX_FILE_BASE, &uuid, ID, &container), SHX_NOTFOUND);
    uint64_t size;
    uint8_t *bytes = fixture_read_file(store, "shards-000000000000002a", &size);
    fixture_write_file(store, "shards-000000000000002b", bytes, size); /* a file under another's name */
    fixture_write_file(store, "base-000000000000002a", bytes, size);
    fixture_write_file(store, "shards-000000000000002c", bytes, 0);
    assert_status(shx_container_open(store, SHX_FILE_SHARDS, &uuid, ID + 1, &container), SHX_CORRUPT);
    assert_status(shx_container_open(store, SHX_FILE_BASE, &uuid, ID, &container), SHX_CORRUPT);
    assert_status(shx_container_open(store, SHX_FILE_SHARDS, &uuid, ID + 2, &container), SHX_CORRUPT);
    free(bytes);
    shx_store_close(store);
}

/* A file is valid with all its bytes and all its bits, or not at all; only unchecked content and padding may differ. */
static void every_truncation_and_every_bit(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    shx_container container = {0};
    uint64_t size;
    write_sample(store);
    uint8_t *bytes = fixture_read_file(store, "shards-000000000000002a", &size);
    for (uint64_t length = 0; length < size; length++) {
        uint8_t *cut = malloc(length + 1); /* of its own, so that a sanitizer sees every read beyond */
        memcpy(cut, bytes, length);
        container.map = (shx_map){.bytes = cut, .size = length};
        assert_status(shx_container_check(&container, SHX_FILE_SHARDS, &uuid, ID), SHX_CORRUPT);
        free(cut);
    }
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        uint64_t at = bit / 8;
        bytes[at] ^= (uint8_t)(1 << bit % 8);
        container.map = (shx_map){.bytes = bytes, .size = size};
        shx_status status = shx_container_check(&container, SHX_FILE_SHARDS, &uuid, ID);
        bool covered = at < 80 + 4 * 32 + 8 || (at >= 256 && at < 261) || (at >= 448 && at < 518);
        assert_status(status, covered ? SHX_CORRUPT : SHX_OK);
        bytes[at] ^= (uint8_t)(1 << bit % 8);
    }
    free(bytes);
    shx_store_close(store);
}

static void the_writer_checks_itself(void **state) {
    (void)state;
    shx_store *store = fixture_prepared_heap();
    shx_container_writer writer;
    shx_section many[SHX_SECTIONS_MAX + 1] = {{0}};
    assert_status(shx_container_create(store, SHX_FILE_BASE, &uuid, 1, many, SHX_SECTIONS_MAX + 1, &writer),
                  SHX_MISUSE);
    assert_ok(shx_container_create(store, SHX_FILE_BASE, &uuid, 1, layout, 4, &writer)); /* too little */
    shx_container_put(&writer, 1, 0, "hello", 5);
    assert_status(shx_container_finish(&writer), SHX_MISUSE);
    assert_ok(shx_container_create(store, SHX_FILE_BASE, &uuid, 2, layout, 1, &writer)); /* too much */
    shx_container_put(&writer, 1, 0, "hello!", 6);
    shx_container_put(&writer, 1, 0, "hello", 5);
    assert_status(shx_container_finish(&writer), SHX_MISUSE);
    assert_ok(shx_container_create(store, SHX_FILE_BASE, &uuid, 3, layout, 1, &writer)); /* no such section */
    shx_container_put(&writer, 7, 0, "hello", 5);
    assert_status(shx_container_finish(&writer), SHX_MISUSE);
    assert_ok(shx_container_create(store, SHX_FILE_BASE, &uuid, 4, layout, 1, &writer)); /* checked, in two parts */
    shx_container_put(&writer, 1, 0, "he", 2);
    shx_container_put(&writer, 1, 2, "llo", 3);
    assert_status(shx_container_finish(&writer), SHX_MISUSE);
    assert_ok(shx_container_create(store, SHX_FILE_BASE, &uuid, 5, layout, 1, &writer));
    shx_container_abandon(&writer);
    for (uint64_t id = 1; id <= 5; id++) {
        shx_container container;
        assert_status(shx_container_open(store, SHX_FILE_BASE, &uuid, id, &container), SHX_CORRUPT);
        assert_status(shx_container_create(store, SHX_FILE_BASE, &uuid, id, layout, 1, &writer), SHX_BUSY);
    }
    shx_store_close(store);
}

/* Whatever call fails: the first error comes back, and the file is not valid. */
static void failing_stores(void **state) {
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        shx_store *inner = fixture_prepared_heap(), *store;
        shx_container_writer writer;
        assert_ok(faulty_store_wrap(inner, &store));
        faulty_plan plan = {.kind = FAULTY_ANY, .nth = nth, .status = SHX_FULL, .torn = nth % 2};
        faulty_store_plan(store, &plan);
        shx_status status = shx_container_create(store, SHX_FILE_SHARDS, &uuid, ID, layout, 1, &writer);
        if (status == SHX_OK) {
            shx_container_put(&writer, 1, 0, "hello", 5);
            shx_container_put(&writer, 1, 0, "", 0);
            status = shx_container_finish(&writer);
        }
        uint64_t failures = faulty_store_failures(store);
        assert_int_equal(status, failures ? SHX_FULL : SHX_OK);
        shx_store_close(store);
        shx_status opened = open_sample(inner); /* only a failed sync at the very end leaves a whole file */
        assert_true(status == SHX_OK ? opened == SHX_OK : opened != SHX_OK || nth > 4);
        shx_store_close(inner);
        if (failures == 0) break;
    }
}

/* Zeros go before what is written to a large page, never over it: pieces are put in an order that jumps about, and
** reach over the ends of pages. */
static void large_pages_keep_what_is_written(void **state) {
    (void)state;
    enum { PIECES = 211, PIECE = 30011 };
    const shx_section sections[] = {{.id = 1, .checked = true, .size = 3 * SHX_LARGE_PAGE / 2},
                                    {.id = 2, .size = (uint64_t)PIECES * PIECE}};
    shx_store *store = fixture_prepared_heap();
    shx_container_writer writer;
    shx_container container;
    const void *read;
    uint8_t *bytes = malloc(sections[1].size);
    assert_non_null(bytes);
    assert_true(sections[1].size > 3 * SHX_LARGE_PAGE && sections[0].size < sections[1].size);
    for (uint64_t i = 0; i < sections[1].size; i++) bytes[i] = (uint8_t)(1 + i % 251);
    assert_ok(shx_container_create(store, SHX_FILE_SEGMENT, &uuid, ID, sections, 2, &writer));
    for (uint64_t i = 0; i < PIECES; i++) {
        uint64_t at = i * 97 % PIECES * PIECE;
        if (i == PIECES / 2) shx_container_put(&writer, 1, 0, bytes, sections[0].size);
        shx_container_put(&writer, 2, at, bytes + at, PIECE);
    }
    assert_ok(shx_container_finish(&writer));
    assert_ok(shx_container_open(store, SHX_FILE_SEGMENT, &uuid, ID, &container));
    assert_ok(shx_container_section(&container, 1, 1, sections[0].size, &read));
    assert_memory_equal(read, bytes, sections[0].size);
    assert_ok(shx_container_section(&container, 2, PIECES, PIECE, &read));
    assert_memory_equal(read, bytes, sections[1].size);
    shx_container_close(&container);
    shx_store_close(store);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_there_and_back),
        cmocka_unit_test(foreign_names_are_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_file_is_as_documented),
        cmocka_unit_test(every_field_is_judged),
        cmocka_unit_test(another_identity_is_refused),
        cmocka_unit_test(every_truncation_and_every_bit),
        cmocka_unit_test(the_writer_checks_itself),
        cmocka_unit_test(failing_stores),
        cmocka_unit_test(large_pages_keep_what_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
