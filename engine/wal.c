#include "wal.h"

#include "memory.h"
#include "planted.h"

#include <string.h>

/* Up to this size a record is copied when it is loaded: a mapping costs more, and there is a limit to their number. */
#define WAL_COPY_BYTES (1u << 20)

static const uint8_t wal_magic[8] = {'r', 'e', 'c', 'o', 'r', 'd', 0, 2};

/* The length of a record, or false when it overflows. */
static bool wal_layout(const shx_wal_entry *entry, uint64_t *ret_operations_at, uint64_t *ret_length) {
    uint64_t operation_bytes, at, length;
    if (!shx_mul(entry->operation_count, SHX_OPERATION_BYTES, &operation_bytes)) return false;
    if (!shx_add(entry->body_bytes, SHX_RECORD_BYTES + 63, &at)) return false;
    at &= ~UINT64_C(63);
    if (!shx_add(at, operation_bytes, &length) || !shx_add(length, 63, &length)) return false;
    *ret_operations_at = at;
    *ret_length = length & ~UINT64_C(63);
    return true;
}

/* ---- reading ---- */

shx_status shx_wal_header_check(const uint8_t bytes[SHX_RECORD_BYTES], uint64_t file, uint64_t offset, uint64_t size,
                                size_t vector_bytes, shx_wal_entry *ret_entry) {
    SHX_CHECK(memcmp(bytes, wal_magic, sizeof wal_magic) == 0, shx_corrupt("record magic"));
    SHX_CHECK(shx_get64(bytes + 120) == shx_hash64(bytes, 120, offset) || SHX_PLANTED(1), shx_corrupt("record header"));
    shx_wal_entry entry = {.file = file,
                           .offset = offset,
                           .length = shx_get64(bytes + 8),
                           .operation_count = shx_get64(bytes + 48),
                           .vector_count = shx_get64(bytes + 56),
                           .body_bytes = shx_get64(bytes + 112)};
    memcpy(entry.commit.bytes, bytes + 16, 16);
    memcpy(entry.parent.bytes, bytes + 32, 16);
    uint64_t operations_at, length;
    SHX_CHECK(entry.vector_count <= entry.operation_count && entry.operation_count < UINT32_MAX, shx_corrupt("counts"));
    SHX_CHECK(shx_span_fits(0, entry.vector_count, vector_bytes, entry.body_bytes), shx_corrupt("record length"));
    SHX_CHECK(wal_layout(&entry, &operations_at, &length), shx_corrupt("record length"));
    SHX_CHECK(entry.length == length && shx_get64(bytes + 64) == operations_at, shx_corrupt("record length"));
    SHX_CHECK(shx_span_fits(offset, length, 1, size), shx_corrupt("record beyond the file"));
    *ret_entry = entry;
    return SHX_OK;
}

/* Reads the header at the extent's end; SHX_NOTFOUND when no valid record stands there. */
static shx_status wal_scan_one(shx_file *file, size_t vector_bytes, const shx_wal_extent *extent,
                               shx_wal_entry *ret_entry) {
    uint8_t bytes[SHX_RECORD_BYTES];
    SHX_CHECK(shx_span_fits(extent->end, SHX_RECORD_BYTES, 1, extent->size), SHX_NOTFOUND);
    SHX_TRY(shx_file_read(file, extent->end, bytes, sizeof bytes));
    bool unwritten = memcmp(bytes, wal_magic, sizeof wal_magic) != 0; /* no damage that anybody should hear of */
    SHX_CHECK(!unwritten, SHX_NOTFOUND);
    shx_status status = shx_wal_header_check(bytes, extent->file, extent->end, extent->size, vector_bytes, ret_entry);
    return status == SHX_OK ? SHX_OK : SHX_NOTFOUND;
}

shx_status shx_wal_scan(shx_store *store, const shx_id *uuid, size_t vector_bytes, shx_wal_extent *extent,
                        shx_wal_visit visit, void *context) {
    uint8_t header[SHX_HEADER_BYTES];
    shx_file *file;
    shx_wal_entry entry;
    SHX_TRY(shx_file_open_id(store, SHX_FILE_WAL, extent->file, SHX_OPEN_READ, &file));
    extent->size = 0;
    shx_status status = shx_file_size(file, &extent->size);
    if (status == SHX_OK && extent->end == 0) {
        status = shx_file_read(file, 0, header, sizeof header);
        if (status == SHX_OK) status = shx_header_check(header, SHX_FILE_WAL, uuid, extent->file);
        if (status == SHX_OK) extent->end = SHX_HEADER_BYTES;
    }
    while (status == SHX_OK) {
        status = wal_scan_one(file, vector_bytes, extent, &entry);
        if (status == SHX_OK) status = visit(context, &entry);
        if (status == SHX_OK) extent->end += entry.length;
    }
    shx_file_close(file);
    return status == SHX_NOTFOUND ? SHX_OK : status;
}

static shx_status wal_fetch(shx_store *store, const shx_wal_entry *entry, shx_wal_record *record,
                            const uint8_t **ret_bytes) {
    shx_file *handle;
    SHX_TRY(shx_file_open_id(store, SHX_FILE_WAL, entry->file, SHX_OPEN_READ, &handle));
    shx_status status;
    if (entry->length <= WAL_COPY_BYTES) {
        record->copy = shx_alloc_aligned(entry->length, 1);
        status = record->copy ? shx_file_read(handle, entry->offset, record->copy, entry->length) : SHX_NOMEM;
        *ret_bytes = record->copy;
    } else {
        status = shx_file_map(handle, entry->offset, entry->length, &record->map);
        *ret_bytes = record->map.bytes;
    }
    shx_file_close(handle);
    return status;
}

/* `bytes`: those of the record, from its header on. */
static void wal_place_parts(shx_wal_record *record, const uint8_t *bytes) {
    record->bodies = bytes + SHX_RECORD_BYTES;
    record->operations = bytes + shx_get64(bytes + 64);
}

static bool wal_has_body(const uint8_t *operation) {
    return operation[0] == SHX_OP_INSERT || operation[0] == SHX_OP_REPLACE;
}

/* The body at `body`, of which `room` bytes are there, is that of the operation. */
static shx_status wal_check_posting(const uint8_t *operation, const uint8_t *body, uint64_t room, size_t vector_bytes) {
    shx_packed columns = {body + vector_bytes, shx_get32(operation + 4)};
    uint32_t count;
    SHX_CHECK(shx_body_bytes(vector_bytes, columns.size) <= room, shx_corrupt("columns"));
    bool whole = shx_hash64(body, vector_bytes, 0) == shx_get64(operation + 16) || SHX_PLANTED(3);
    SHX_CHECK(whole, shx_corrupt("vector"));
    SHX_CHECK(shx_packed_check(&columns, &count), shx_corrupt("columns"));
    if (columns.size == 0) return SHX_OK;
    bool same = shx_hash64(columns.bytes, columns.size, 0) == shx_get64(operation + 24);
    return same ? SHX_OK : shx_corrupt("columns");
}

#define WAL_CHECK_BYTES (1u << 20) /* tested between two questions whether to stop */

static shx_status wal_check_body(const shx_wal_record *record, const shx_wal_entry *entry, const shx_stop *stop) {
    uint64_t vectors = 0, at = 0, asked = 0;
    for (uint64_t i = 0; i < record->operation_count; i++) {
        const uint8_t *operation = record->operations + i * SHX_OPERATION_BYTES;
        SHX_CHECK(operation[0] >= SHX_OP_INSERT && operation[0] <= SHX_OP_TOUCH, shx_corrupt("operation kind"));
        if (!wal_has_body(operation)) {
            SHX_CHECK(shx_get32(operation + 4) == 0, shx_corrupt("columns"));
            continue;
        }
        SHX_CHECK(vectors++ < entry->vector_count, shx_corrupt("vector count"));
        SHX_TRY(wal_check_posting(operation, record->bodies + at, entry->body_bytes - at, record->vector_bytes));
        at += shx_body_bytes(record->vector_bytes, shx_get32(operation + 4));
        if (at - asked < WAL_CHECK_BYTES) continue;
        asked = at;
        SHX_CHECK(!shx_stop_wanted(stop), SHX_INTERRUPT);
    }
    SHX_CHECK(vectors == entry->vector_count, shx_corrupt("vector count"));
    return at == entry->body_bytes ? SHX_OK : shx_corrupt("bodies");
}

/* The record is the one that was scanned: the file may have been written over since. */
static bool wal_same(const shx_wal_entry *found, const shx_wal_entry *entry) {
    return shx_id_equal(&found->commit, &entry->commit) && shx_id_equal(&found->parent, &entry->parent) &&
           found->operation_count == entry->operation_count && found->vector_count == entry->vector_count &&
           found->body_bytes == entry->body_bytes;
}

shx_status shx_wal_load(shx_store *store, const shx_wal_entry *entry, size_t vector_bytes, const shx_stop *stop,
                        shx_wal_record *ret_record) {
    shx_wal_record record = {.operation_count = entry->operation_count, .vector_bytes = vector_bytes};
    const uint8_t *bytes = NULL;
    shx_wal_entry found;
    shx_status status = wal_fetch(store, entry, &record, &bytes);
    if (status == SHX_OK) {
        status = shx_wal_header_check(bytes, entry->file, entry->offset, entry->offset + entry->length, vector_bytes,
                                      &found);
    }
    if (status == SHX_OK && !wal_same(&found, entry)) status = shx_corrupt("record changed");
    if (status == SHX_OK) {
        wal_place_parts(&record, bytes);
        uint64_t size = found.operation_count * SHX_OPERATION_BYTES;
        if (shx_hash64(record.operations, size, found.file) != shx_get64(bytes + 88) && !SHX_PLANTED(2)) {
            status = shx_corrupt("operations");
        }
    }
    if (status == SHX_OK) status = wal_check_body(&record, entry, stop);
    if (status == SHX_OK) {
        *ret_record = record;
    } else if (!SHX_PLANTED(45)) {
        shx_wal_record_close(&record);
    }
    return status;
}

void shx_wal_record_close(shx_wal_record *record) {
    shx_map_release(&record->map);
    shx_free_aligned(record->copy);
    record->copy = NULL;
}

shx_op shx_wal_next(const shx_wal_record *record, shx_wal_cursor *cursor) {
    const uint8_t *operation = record->operations + cursor->operation++ * SHX_OPERATION_BYTES;
    shx_op op = shx_wal_operation(operation, record->bodies + cursor->body, record->vector_bytes);
    if (op.vector) cursor->body += shx_body_bytes(record->vector_bytes, op.columns.size);
    return op;
}

/* ---- writing ---- */

#define WAL_BUFFER_BYTES (1u << 18)

struct shx_wal_writer {
    shx_file *file;
    uint64_t id, end; /* where the next record goes */
    size_t vector_bytes;
    uint64_t operation_count, vector_count;
    uint8_t *operations; /* of the record being written, those that are not written yet */
    uint64_t operation_capacity, operations_written;
    uint8_t *buffer; /* bytes of bodies that are not written yet */
    uint64_t buffered, written;
    uint64_t file_size; /* when the record was begun */
    uint8_t *image; /* the record written last, if it was small: whoever needs it next has it without reading */
    shx_wal_entry image_entry;
};

static shx_status wal_writer_create(shx_file *file, uint64_t id, uint64_t end, size_t vector_bytes,
                                    shx_wal_writer **ret_writer) {
    shx_wal_writer *writer = shx_alloc_zero(1, sizeof *writer);
    uint8_t *buffer = shx_alloc(WAL_BUFFER_BYTES);
    if (!writer || !buffer) {
        shx_free(writer);
        shx_free(buffer);
        return SHX_NOMEM;
    }
    *writer = (shx_wal_writer){.file = file, .id = id, .end = end, .vector_bytes = vector_bytes, .buffer = buffer};
    *ret_writer = writer;
    return SHX_OK;
}

shx_status shx_wal_continue(shx_store *store, const shx_wal_extent *extent, size_t vector_bytes,
                            shx_wal_writer **ret_writer) {
    uint64_t size = 0;
    shx_file *handle;
    SHX_TRY(shx_file_open_id(store, SHX_FILE_WAL, extent->file, SHX_OPEN_APPEND, &handle));
    shx_status status = shx_file_lock(handle, true);
    if (status == SHX_OK) status = shx_file_size(handle, &size);
    if (status == SHX_OK && size != extent->end && !SHX_PLANTED(17)) status = SHX_BUSY;
    if (status == SHX_OK) status = wal_writer_create(handle, extent->file, extent->end, vector_bytes, ret_writer);
    if (status != SHX_OK) shx_file_close(handle);
    return status;
}

shx_status shx_wal_create(shx_store *store, const shx_id *uuid, uint64_t file, size_t vector_bytes,
                          shx_wal_writer **ret_writer) {
    uint8_t header[SHX_HEADER_BYTES];
    shx_file *handle;
    SHX_TRY(shx_file_open_id(store, SHX_FILE_WAL, file, SHX_OPEN_CREATE, &handle));
    shx_header_put(header, SHX_FILE_WAL, uuid, file);
    shx_status status = shx_file_lock(handle, true);
    if (status == SHX_OK) status = shx_file_write(handle, 0, header, sizeof header);
    if (status == SHX_OK) status = wal_writer_create(handle, file, SHX_HEADER_BYTES, vector_bytes, ret_writer);
    if (status != SHX_OK) shx_file_close(handle);
    return status;
}

void shx_wal_writer_close(shx_wal_writer *writer) {
    if (!writer) return;
    shx_file_close(writer->file);
    shx_free_aligned(writer->image);
    shx_free(writer->operations);
    shx_free(writer->buffer);
    shx_free(writer);
}

uint64_t shx_wal_writer_file(const shx_wal_writer *writer) { return writer->id; }
uint64_t shx_wal_writer_end(const shx_wal_writer *writer) { return writer->end; }

shx_status shx_wal_begin(shx_wal_writer *writer) {
    SHX_TRY(shx_file_size(writer->file, &writer->file_size));
    SHX_CHECK(writer->file_size >= writer->end, SHX_NOTFOUND);
    writer->operation_count = writer->vector_count = writer->buffered = writer->written = 0;
    writer->operations_written = 0;
    return SHX_OK;
}

shx_status shx_wal_write_bodies(shx_wal_writer *writer, uint64_t at, const uint8_t *bytes, uint64_t size) {
    return shx_file_write(writer->file, writer->end + SHX_RECORD_BYTES + at, bytes, size);
}

shx_status shx_wal_map_bodies(shx_wal_writer *writer, uint64_t at, uint64_t size, shx_map *ret_map) {
    return shx_file_map(writer->file, writer->end + SHX_RECORD_BYTES + at, size, ret_map);
}

static shx_status wal_flush_bodies(shx_wal_writer *writer) {
    SHX_TRY(shx_wal_write_bodies(writer, writer->written, writer->buffer, writer->buffered));
    writer->written += writer->buffered;
    writer->buffered = 0;
    return SHX_OK;
}

static shx_status wal_put_bytes(shx_wal_writer *writer, const void *bytes, uint64_t size) {
    if (writer->buffered + size > WAL_BUFFER_BYTES) SHX_TRY(wal_flush_bodies(writer));
    if (size > WAL_BUFFER_BYTES) {
        SHX_TRY(shx_wal_write_bodies(writer, writer->written, bytes, size));
        writer->written += size;
    } else if (size > 0) {
        memcpy(writer->buffer + writer->buffered, bytes, size);
        writer->buffered += size;
    }
    return SHX_OK;
}

static shx_status wal_put_body(shx_wal_writer *writer, const shx_op *op) {
    static const uint8_t zeros[SHX_BODY_ALIGN];
    uint64_t used = writer->vector_bytes + op->columns.size;
    SHX_TRY(wal_put_bytes(writer, op->vector, writer->vector_bytes));
    SHX_TRY(wal_put_bytes(writer, op->columns.bytes, op->columns.size));
    return wal_put_bytes(writer, zeros, shx_body_bytes(writer->vector_bytes, op->columns.size) - used);
}

void shx_wal_put_operation(const shx_op *op, uint8_t bytes[SHX_OPERATION_BYTES]) {
    memset(bytes, 0, SHX_OPERATION_BYTES);
    bytes[0] = (uint8_t)op->kind;
    shx_put64(bytes + 8, (uint64_t)op->rowid);
    shx_put64(bytes + 16, op->vector_hash);
    shx_put64(bytes + 24, op->column_hash);
    if (wal_has_body(bytes)) shx_put32(bytes + 4, op->columns.size);
}

static shx_status wal_add_operation(shx_wal_writer *writer, const shx_op *op) {
    uint64_t held = writer->operation_count - writer->operations_written;
    SHX_TRY(shx_grow((void **)&writer->operations, &writer->operation_capacity, held + 1, SHX_OPERATION_BYTES));
    uint8_t *bytes = writer->operations + held * SHX_OPERATION_BYTES;
    shx_wal_put_operation(op, bytes);
    writer->operation_count++;
    writer->vector_count += wal_has_body(bytes);
    return SHX_OK;
}

shx_status shx_wal_put(shx_wal_writer *writer, const shx_op *op) {
    SHX_TRY(wal_add_operation(writer, op));
    return op->vector ? wal_put_body(writer, op) : SHX_OK;
}

/* Writes the operations that are not written yet, those of the record behind its bodies. */
static shx_status wal_flush_operations(shx_wal_writer *writer, uint64_t operations_at) {
    uint64_t held = writer->operation_count - writer->operations_written;
    uint64_t at = writer->end + operations_at + writer->operations_written * SHX_OPERATION_BYTES;
    SHX_TRY(shx_file_write(writer->file, at, writer->operations, held * SHX_OPERATION_BYTES));
    writer->operations_written = writer->operation_count;
    return SHX_OK;
}

shx_status shx_wal_begin_operations(shx_wal_writer *writer, uint64_t body_bytes) {
    SHX_TRY(shx_wal_begin(writer));
    writer->written = body_bytes;
    return SHX_OK;
}

shx_status shx_wal_note(shx_wal_writer *writer, const shx_op *op) {
    uint64_t held = writer->operation_count - writer->operations_written;
    if (held * SHX_OPERATION_BYTES >= WAL_BUFFER_BYTES) {
        SHX_TRY(wal_flush_operations(writer, shx_align(writer->written + SHX_RECORD_BYTES, 64)));
    }
    return wal_add_operation(writer, op);
}

/* Writes the operations that are not written yet, and takes the checksum of all; from the file, where others were
** written before. */
static shx_status wal_finish_operations(shx_wal_writer *writer, const shx_wal_entry *entry, uint64_t operations_at,
                                        uint64_t *ret_hash) {
    uint64_t size = entry->operation_count * SHX_OPERATION_BYTES;
    bool whole = writer->operations_written == 0;
    SHX_TRY(wal_flush_operations(writer, operations_at));
    if (whole) {
        *ret_hash = shx_hash64(writer->operations, size, entry->file);
        return SHX_OK;
    }
    shx_map map;
    SHX_TRY(shx_file_map(writer->file, entry->offset + operations_at, size, &map));
    *ret_hash = shx_hash64(map.bytes, size, entry->file);
    shx_map_release(&map);
    return SHX_OK;
}

static void wal_put_header(const shx_wal_entry *entry, uint64_t operations_at, uint64_t operations_hash,
                           uint8_t bytes[SHX_RECORD_BYTES]) {
    memset(bytes, 0, SHX_RECORD_BYTES);
    memcpy(bytes, wal_magic, sizeof wal_magic);
    shx_put64(bytes + 8, entry->length);
    memcpy(bytes + 16, entry->commit.bytes, 16);
    memcpy(bytes + 32, entry->parent.bytes, 16);
    shx_put64(bytes + 48, entry->operation_count);
    shx_put64(bytes + 56, entry->vector_count);
    shx_put64(bytes + 64, operations_at);
    shx_put64(bytes + 88, operations_hash);
    shx_put64(bytes + 112, entry->body_bytes);
    shx_put64(bytes + 120, shx_hash64(bytes, 120, entry->offset));
}

/* Keeps the bytes of the record that was just written (taken over), or forgets those of the one before. */
static void wal_keep_image(shx_wal_writer *writer, const shx_wal_entry *entry, uint8_t *bytes) {
    shx_free_aligned(writer->image);
    writer->image = entry ? bytes : NULL;
    if (entry) {
        writer->image_entry = *entry;
    } else {
        shx_free_aligned(bytes);
    }
}

bool shx_wal_take_image(shx_wal_writer *writer, const shx_wal_entry *entry, shx_wal_record *ret_record) {
    const shx_wal_entry *kept = &writer->image_entry;
    if (!writer->image || kept->file != entry->file || kept->offset != entry->offset) return false;
    *ret_record = (shx_wal_record){
        .operation_count = kept->operation_count, .vector_bytes = writer->vector_bytes, .copy = writer->image};
    wal_place_parts(ret_record, writer->image);
    writer->image = NULL;
    return true;
}

/* A small record goes out with one write. */
static shx_status wal_write_small(shx_wal_writer *writer, const shx_wal_entry *entry, uint64_t operations_at) {
    uint8_t *record = shx_alloc_aligned(entry->length, 1);
    SHX_CHECK(record, SHX_NOMEM);
    memset(record, 0, entry->length);
    memcpy(record + SHX_RECORD_BYTES, writer->buffer, writer->buffered);
    uint64_t size = entry->operation_count * SHX_OPERATION_BYTES;
    if (size) memcpy(record + operations_at, writer->operations, size);
    wal_put_header(entry, operations_at, shx_hash64(writer->operations, size, entry->file), record);
    shx_status status = shx_file_write(writer->file, entry->offset, record, entry->length);
    wal_keep_image(writer, status == SHX_OK ? entry : NULL, record);
    return status;
}

/* Of a larger record the header is the last write. */
static shx_status wal_write_large(shx_wal_writer *writer, const shx_wal_entry *entry, uint64_t operations_at) {
    static const uint8_t zeros[64];
    uint8_t header[SHX_RECORD_BYTES];
    uint64_t used = operations_at + entry->operation_count * SHX_OPERATION_BYTES, hash;
    wal_keep_image(writer, NULL, NULL);
    SHX_TRY(wal_flush_bodies(writer));
    SHX_TRY(wal_finish_operations(writer, entry, operations_at, &hash));
    SHX_TRY(shx_file_write(writer->file, entry->offset + used, zeros, entry->length - used));
    wal_put_header(entry, operations_at, hash, header);
    return shx_file_write(writer->file, entry->offset, header, SHX_RECORD_BYTES);
}

/* Where the file goes on behind the record there are dead bodies: zeros keep them from being taken for one. */
static shx_status wal_write_record(shx_wal_writer *writer, const shx_wal_entry *entry, uint64_t operations_at) {
    static const uint8_t zeros[SHX_RECORD_BYTES];
    uint64_t end = entry->offset + entry->length;
    if (writer->file_size > end) SHX_TRY(shx_file_write(writer->file, end, zeros, sizeof zeros));
    bool small = writer->written == 0 && entry->length <= WAL_BUFFER_BYTES;
    return (small ? wal_write_small : wal_write_large)(writer, entry, operations_at);
}

shx_status shx_wal_finish(shx_wal_writer *writer, const shx_id *commit, const shx_id *parent,
                          shx_wal_entry *ret_entry) {
    shx_wal_entry entry = {.commit = *commit,
                           .parent = *parent,
                           .file = writer->id,
                           .offset = writer->end,
                           .operation_count = writer->operation_count,
                           .vector_count = writer->vector_count,
                           .body_bytes = writer->written + writer->buffered};
    uint64_t operations_at;
    SHX_CHECK(wal_layout(&entry, &operations_at, &entry.length), SHX_FULL);
    SHX_TRY(wal_write_record(writer, &entry, operations_at));
    writer->end += entry.length;
    *ret_entry = entry;
    return SHX_OK;
}
