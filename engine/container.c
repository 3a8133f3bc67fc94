#include "container.h"

#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONTAINER_TABLE 80
#define CONTAINER_ROW 32
#define CONTAINER_SEND_BYTES (UINT64_C(16) << 20) /* of a section that are sent to the disk at a time, … */
#define CONTAINER_SEND_LAG (UINT64_C(8) << 20)    /* … so many behind what is written: threads are some runs apart */

static const char container_magic[8] = {'s', 'h', 'a', 'r', 'd', 'e', 'x', '\n'};

static const char *const container_kind_names[] = {NULL, "wal", "segment", "shards", "base"};

void shx_file_name(shx_file_kind kind, uint64_t id, char ret_name[SHX_FILE_NAME_MAX]) {
    snprintf(ret_name, SHX_FILE_NAME_MAX, "%s-%016" PRIx64, container_kind_names[kind], id);
}

bool shx_file_name_parse(const char *name, shx_file_kind *ret_kind, uint64_t *ret_id) {
    for (int kind = SHX_FILE_WAL; kind <= SHX_FILE_BASE; kind++) {
        size_t length = strlen(container_kind_names[kind]);
        if (strncmp(name, container_kind_names[kind], length) != 0 || name[length] != '-') continue;
        const char *digits = name + length + 1;
        if (strlen(digits) != 16 || strspn(digits, "0123456789abcdef") != 16) return false;
        uint64_t id = 0;
        for (int i = 0; i < 16; i++)
            id = id * 16 + (uint64_t)(digits[i] <= '9' ? digits[i] - '0' : digits[i] - 'a' + 10);
        *ret_kind = (shx_file_kind)kind;
        *ret_id = id;
        return true;
    }
    return false;
}

shx_status shx_file_open_id(shx_store *store, shx_file_kind kind, uint64_t id, shx_open_mode mode,
                            shx_file **ret_file) {
    char name[SHX_FILE_NAME_MAX];
    shx_file_name(kind, id, name);
    return shx_file_open(store, name, mode, ret_file);
}

shx_status shx_file_remove_id(shx_store *store, shx_file_kind kind, uint64_t id) {
    char name[SHX_FILE_NAME_MAX];
    shx_file_name(kind, id, name);
    return shx_store_remove(store, name);
}

void shx_header_put(uint8_t bytes[SHX_HEADER_BYTES], shx_file_kind kind, const shx_id *uuid, uint64_t id) {
    memset(bytes, 0, SHX_HEADER_BYTES);
    memcpy(bytes, container_magic, sizeof container_magic);
    shx_put32(bytes + 8, SHX_FORMAT_VERSION);
    shx_put32(bytes + 12, kind);
    memcpy(bytes + 16, uuid->bytes, sizeof uuid->bytes);
    shx_put64(bytes + 32, id);
    shx_put64(bytes + 56, shx_hash64(bytes, 56, 0));
}

shx_status shx_header_check(const uint8_t bytes[SHX_HEADER_BYTES], shx_file_kind kind, const shx_id *uuid,
                            uint64_t id) {
    uint8_t expected[SHX_HEADER_BYTES];
    shx_header_put(expected, kind, uuid, id);
    return memcmp(bytes, expected, SHX_HEADER_BYTES) == 0 ? SHX_OK : shx_corrupt("file header");
}

/* ---- writing ---- */

static uint64_t container_table_bytes(uint32_t count) { return CONTAINER_TABLE + (uint64_t)count * CONTAINER_ROW + 8; }

/* Notes which large pages are laid; without memory for that none are. */
static void container_prepare_pages(shx_container_writer *writer) {
    uint64_t pages = writer->size / SHX_LARGE_PAGE;
    if (pages == 0) return;
    writer->laid = shx_alloc_zero(pages, 1);
    writer->zeros = shx_alloc_zero(SHX_LARGE_PAGE, 1);
    if (writer->laid && writer->zeros) writer->pages = pages;
}

/* Lays the large pages that a write is about to touch and none before it has. */
static shx_status container_lay_pages(shx_container_writer *writer, uint64_t offset, uint64_t size) {
    for (uint64_t i = offset / SHX_LARGE_PAGE; i < writer->pages && i * SHX_LARGE_PAGE < offset + size; i++) {
        if (writer->laid[i]) continue;
        SHX_TRY(shx_file_write(writer->file, i * SHX_LARGE_PAGE, writer->zeros, SHX_LARGE_PAGE));
        writer->laid[i] = 1;
    }
    return SHX_OK;
}

static shx_status container_write(shx_container_writer *writer, uint64_t offset, const void *bytes, uint64_t size) {
    SHX_TRY(container_lay_pages(writer, offset, size));
    return shx_file_write(writer->file, offset, bytes, size);
}

shx_status shx_container_create(shx_store *store, shx_file_kind kind, const shx_id *uuid, uint64_t id,
                                const shx_section *sections, uint32_t count, shx_container_writer *ret_writer) {
    SHX_CHECK(count <= SHX_SECTIONS_MAX, SHX_MISUSE);
    shx_container_writer writer = {.kind = kind, .uuid = *uuid, .id = id, .count = count};
    uint64_t offset = container_table_bytes(count);
    for (uint32_t i = 0; i < count; i++) {
        writer.sections[i] = sections[i];
        writer.sections[i].offset = shx_align(offset, 64);
        offset = writer.sections[i].offset + sections[i].size;
    }
    writer.size = shx_align(offset, 64);
    SHX_TRY(shx_file_open_id(store, kind, id, SHX_OPEN_CREATE, &writer.file));
    container_prepare_pages(&writer);
    *ret_writer = writer;
    pthread_mutex_init(&ret_writer->mutex, NULL);
    return SHX_OK;
}

static uint32_t container_find(const shx_section *sections, uint32_t count, uint32_t id) {
    uint32_t i = 0;
    while (i < count && sections[i].id != id) i++;
    return i;
}

/* Large sections are written from their start on: the disk need not wait for the end. */
static void container_send(shx_container_writer *writer, uint32_t i) {
    if (writer->written[i] < writer->sent[i] + CONTAINER_SEND_BYTES + CONTAINER_SEND_LAG) return;
    shx_file_send(writer->file, writer->sections[i].offset + writer->sent[i], CONTAINER_SEND_BYTES);
    writer->sent[i] += CONTAINER_SEND_BYTES;
}

static shx_status container_put_part(shx_container_writer *writer, uint32_t i, uint64_t offset, const void *bytes,
                                     uint64_t size) {
    shx_section *section = &writer->sections[i];
    if (section->checked) section->checksum = shx_hash64(bytes, size, writer->id);
    writer->written[i] += size;
    SHX_TRY(container_write(writer, section->offset + offset, bytes, size));
    container_send(writer, i);
    return SHX_OK;
}

void shx_container_put(shx_container_writer *writer, uint32_t section_id, uint64_t offset, const void *bytes,
                       uint64_t size) {
    if (size == 0) return;
    pthread_mutex_lock(&writer->mutex);
    uint32_t i = container_find(writer->sections, writer->count, section_id);
    if (writer->status == SHX_OK) {
        bool fits = i < writer->count && shx_span_fits(offset, size, 1, writer->sections[i].size) &&
                    (!writer->sections[i].checked || size == writer->sections[i].size);
        writer->status = fits ? container_put_part(writer, i, offset, bytes, size) : SHX_MISUSE;
    }
    pthread_mutex_unlock(&writer->mutex);
}

shx_status shx_container_map(shx_container_writer *writer, uint32_t section_id, shx_map *ret_map) {
    uint32_t i = container_find(writer->sections, writer->count, section_id);
    assert(i < writer->count);
    const shx_section *section = &writer->sections[i];
    SHX_TRY(writer->status);
    return shx_file_map(writer->file, section->offset, section->size, ret_map);
}

static shx_status container_put_table(shx_container_writer *writer) {
    uint8_t bytes[CONTAINER_TABLE + SHX_SECTIONS_MAX * CONTAINER_ROW + 8] = {0};
    shx_header_put(bytes, writer->kind, &writer->uuid, writer->id);
    shx_put32(bytes + 64, writer->count);
    shx_put64(bytes + 72, writer->size);
    for (uint32_t i = 0; i < writer->count; i++) {
        const shx_section *section = &writer->sections[i];
        SHX_CHECK(writer->written[i] == section->size, SHX_MISUSE);
        uint8_t *row = bytes + CONTAINER_TABLE + (uint64_t)i * CONTAINER_ROW;
        shx_put32(row, section->id);
        shx_put32(row + 4, section->checked);
        shx_put64(row + 8, section->offset);
        shx_put64(row + 16, section->size);
        shx_put64(row + 24, section->checksum);
    }
    uint64_t covered = container_table_bytes(writer->count) - 8;
    writer->checksum = shx_hash64(bytes, covered, writer->id);
    shx_put64(bytes + covered, writer->checksum);
    return container_write(writer, 0, bytes, covered + 8);
}

/* The file ends at a multiple of 64, so that its last section is padded too. */
static shx_status container_pad(shx_container_writer *writer) {
    uint64_t size;
    SHX_TRY(shx_file_size(writer->file, &size));
    static const uint8_t zeros[64];
    if (size < writer->size) SHX_TRY(container_write(writer, writer->size - 1, zeros, 1));
    return SHX_OK;
}

shx_status shx_container_finish(shx_container_writer *writer) {
    if (writer->status == SHX_OK) writer->status = container_pad(writer);
    if (writer->status == SHX_OK) writer->status = container_put_table(writer);
    if (writer->status == SHX_OK && !SHX_PLANTED(18)) writer->status = shx_file_sync(writer->file);
    shx_status status = writer->status;
    shx_container_abandon(writer);
    return status;
}

void shx_container_abandon(shx_container_writer *writer) {
    shx_file_close(writer->file);
    shx_free(writer->laid);
    shx_free(writer->zeros);
    writer->file = NULL;
    writer->laid = writer->zeros = NULL;
    pthread_mutex_destroy(&writer->mutex);
}

/* ---- reading ---- */

static shx_status container_check_section(const uint8_t *bytes, uint64_t size, uint64_t id, uint64_t end,
                                          const shx_section *section) {
    SHX_CHECK(section->offset % 64 == 0 && section->offset >= end, shx_corrupt("section offset"));
    SHX_CHECK(shx_span_fits(section->offset, section->size, 1, size), shx_corrupt("section size"));
    if (section->checked && section->size > 0) {
        uint64_t checksum = shx_hash64(bytes + section->offset, section->size, id);
        SHX_CHECK(checksum == section->checksum || SHX_PLANTED(5), shx_corrupt("section checksum"));
    }
    return SHX_OK;
}

shx_status shx_container_check(shx_container *container, shx_file_kind kind, const shx_id *uuid, uint64_t id) {
    const uint8_t *bytes = container->map.bytes;
    uint64_t size = container->map.size;
    SHX_CHECK(size >= container_table_bytes(0), shx_corrupt("file size"));
    SHX_TRY(shx_header_check(bytes, kind, uuid, id));
    uint32_t count = shx_get32(bytes + 64);
    SHX_CHECK(count <= SHX_SECTIONS_MAX && container_table_bytes(count) <= size, shx_corrupt("section count"));
    uint64_t covered = container_table_bytes(count) - 8;
    bool whole = shx_get64(bytes + covered) == shx_hash64(bytes, covered, id) || SHX_PLANTED(4);
    SHX_CHECK(whole, shx_corrupt("table of contents"));
    SHX_CHECK(shx_get64(bytes + 72) == size, shx_corrupt("file size"));
    uint64_t end = covered + 8;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *row = bytes + CONTAINER_TABLE + (uint64_t)i * CONTAINER_ROW;
        shx_section section = {.id = shx_get32(row),
                               .checked = shx_get32(row + 4) != 0,
                               .offset = shx_get64(row + 8),
                               .size = shx_get64(row + 16),
                               .checksum = shx_get64(row + 24)};
        SHX_CHECK(container_find(container->sections, i, section.id) == i, shx_corrupt("section twice"));
        SHX_TRY(container_check_section(bytes, size, id, end, &section));
        end = section.offset + section.size;
        container->sections[i] = section;
    }
    container->count = count;
    return SHX_OK;
}

static shx_status container_map(shx_store *store, shx_file_kind kind, uint64_t id, shx_map *ret_map) {
    shx_file *file;
    SHX_TRY(shx_file_open_id(store, kind, id, SHX_OPEN_READ, &file));
    uint64_t size = 0;
    shx_status status = shx_file_size(file, &size);
    if (status == SHX_OK) status = size ? shx_file_map(file, 0, size, ret_map) : shx_corrupt("empty file");
    shx_file_close(file);
    return status;
}

shx_status shx_container_open(shx_store *store, shx_file_kind kind, const shx_id *uuid, uint64_t id,
                              shx_container *ret_container) {
    shx_container container = {0};
    SHX_TRY(container_map(store, kind, id, &container.map));
    shx_status status = shx_container_check(&container, kind, uuid, id);
    if (status != SHX_OK) {
        shx_container_close(&container);
        return status;
    }
    *ret_container = container;
    return SHX_OK;
}

void shx_container_close(shx_container *container) { shx_map_release(&container->map); }

uint64_t shx_container_checksum(const shx_container *container) {
    return shx_get64(container->map.bytes + container_table_bytes(container->count) - 8);
}

uint64_t shx_container_section_size(const shx_container *container, uint32_t section_id) {
    uint32_t i = container_find(container->sections, container->count, section_id);
    return i < container->count ? container->sections[i].size : 0;
}

shx_status shx_container_section(const shx_container *container, uint32_t section_id, uint64_t count, uint64_t size,
                                 const void **ret_bytes) {
    uint64_t bytes;
    uint32_t i = container_find(container->sections, container->count, section_id);
    SHX_CHECK(i < container->count, shx_corrupt("missing section"));
    SHX_CHECK(shx_mul(count, size, &bytes) && bytes == container->sections[i].size, shx_corrupt("section size"));
    *ret_bytes = container->map.bytes + container->sections[i].offset;
    return SHX_OK;
}
