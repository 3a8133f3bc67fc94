#include "wal.h"

#include "memory.h"

#include <string.h>

/* Up to this size a record is copied when it is loaded: a mapping costs more, and there is a limit to their number. */
#define WAL_COPY_BYTES (1u << 20)

static const uint8_t wal_magic[8] = {'r', 'e', 'c', 'o', 'r', 'd', 0, 1};

/* The length of a record, or false when it overflows. */
static bool wal_layout(const shx_wal_entry *entry, size_t vector_bytes, uint64_t *ret_operations_at,
                       uint64_t *ret_length) {
    uint64_t all_vector_bytes, operation_bytes, at, length;
    if (!shx_mul(entry->vector_count, vector_bytes, &all_vector_bytes)) return false;
    if (!shx_mul(entry->operation_count, SHX_OPERATION_BYTES, &operation_bytes)) return false;
    if (!shx_add(all_vector_bytes, SHX_RECORD_BYTES + 63, &at)) return false;
    at &= ~UINT64_C(63);
    if (!shx_add(at, operation_bytes, &length) || !shx_add(length, entry->column_bytes, &length)) return false;
    if (!shx_add(length, 63, &length)) return false;
    *ret_operations_at = at;
    *ret_length = length & ~UINT64_C(63);
    return true;
}

/* ---- reading ---- */

shx_status shx_wal_header_check(const uint8_t bytes[SHX_RECORD_BYTES], uint64_t file, uint64_t offset, uint64_t size,
                                size_t vector_bytes, shx_wal_entry *ret_entry) {
    SHX_CHECK(memcmp(bytes, wal_magic, sizeof wal_magic) == 0, shx_corrupt("record magic"));
    SHX_CHECK(shx_get64(bytes + 120) == shx_hash64(bytes, 120, offset), shx_corrupt("record header"));
    shx_wal_entry entry = {.file = file,
                           .offset = offset,
                           .length = shx_get64(bytes + 8),
                           .operation_count = shx_get64(bytes + 48),
                           .vector_count = shx_get64(bytes + 56),
                           .column_bytes = shx_get64(bytes + 112)};
    memcpy(entry.commit.bytes, bytes + 16, 16);
    memcpy(entry.parent.bytes, bytes + 32, 16);
    uint64_t operations_at, length;
    SHX_CHECK(entry.vector_count <= entry.operation_count && entry.operation_count < UINT32_MAX, shx_corrupt("counts"));
    SHX_CHECK(wal_layout(&entry, vector_bytes, &operations_at, &length), shx_corrupt("record length"));
    SHX_CHECK(entry.length == length && shx_get64(bytes + 64) == operations_at, shx_corrupt("record length"));
    SHX_CHECK(shx_span_fits(offset, length, 1, size), shx_corrupt("record beyond the file"));
    *ret_entry = entry;
    return SHX_OK;
}

/* Reads the header at *offset and visits it; SHX_NOTFOUND at the end of what is valid. */
static shx_status wal_scan_one(shx_file *handle, uint64_t file, uint64_t size, size_t vector_bytes, uint64_t *offset,
                               shx_wal_visit visit, void *context) {
    uint8_t bytes[SHX_RECORD_BYTES];
    shx_wal_entry entry;
    SHX_CHECK(shx_span_fits(*offset, SHX_RECORD_BYTES, 1, size), SHX_NOTFOUND);
    SHX_TRY(shx_file_read(handle, *offset, bytes, sizeof bytes));
    bool unwritten = memcmp(bytes, wal_magic, sizeof wal_magic) != 0;
    SHX_CHECK(!unwritten, SHX_NOTFOUND);
    SHX_CHECK(shx_wal_header_check(bytes, file, *offset, size, vector_bytes, &entry) == SHX_OK, SHX_NOTFOUND);
    SHX_TRY(visit(context, &entry));
    *offset += entry.length;
    return SHX_OK;
}

shx_status shx_wal_scan(shx_store *store, const shx_id *uuid, uint64_t file, size_t vector_bytes, uint64_t *end,
                        uint64_t *ret_size, shx_wal_visit visit, void *context) {
    char name[SHX_FILE_NAME_MAX];
    uint8_t header[SHX_HEADER_BYTES];
    uint64_t size = 0, offset = *end;
    shx_file *handle;
    shx_file_name(SHX_FILE_WAL, file, name);
    SHX_TRY(shx_file_open(store, name, SHX_OPEN_READ, &handle));
    shx_status status = shx_file_size(handle, &size);
    if (status == SHX_OK && offset == 0) {
        status = shx_file_read(handle, 0, header, sizeof header);
        if (status == SHX_OK) status = shx_header_check(header, SHX_FILE_WAL, uuid, file);
        if (status == SHX_OK) offset = SHX_HEADER_BYTES;
    }
    while (status == SHX_OK) status = wal_scan_one(handle, file, size, vector_bytes, &offset, visit, context);
    shx_file_close(handle);
    *end = offset;
    *ret_size = size;
    return status == SHX_NOTFOUND ? SHX_OK : status;
}

static shx_status wal_fetch(shx_store *store, const shx_wal_entry *entry, shx_wal_record *record,
                            const uint8_t **ret_bytes) {
    char name[SHX_FILE_NAME_MAX];
    shx_file *handle;
    shx_file_name(SHX_FILE_WAL, entry->file, name);
    SHX_TRY(shx_file_open(store, name, SHX_OPEN_READ, &handle));
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

static uint64_t wal_checksum(const uint8_t *operations, const uint8_t *columns, const shx_wal_entry *entry) {
    uint64_t hash = shx_hash64(operations, entry->operation_count * SHX_OPERATION_BYTES, entry->file);
    return shx_hash64(columns, entry->column_bytes, hash);
}

/* `bytes`: those of the record, from its header on. */
static void wal_place_parts(shx_wal_record *record, const uint8_t *bytes) {
    record->vectors = bytes + SHX_RECORD_BYTES;
    record->operations = bytes + shx_get64(bytes + 64);
    record->columns = record->operations + record->operation_count * SHX_OPERATION_BYTES;
}

static shx_status wal_check_body(const shx_wal_record *record, const shx_wal_entry *entry) {
    uint64_t vectors = 0, columns = 0;
    for (uint64_t i = 0; i < record->operation_count; i++) {
        const uint8_t *bytes = record->operations + i * SHX_OPERATION_BYTES;
        SHX_CHECK(bytes[0] >= SHX_OP_INSERT && bytes[0] <= SHX_OP_TOUCH, shx_corrupt("operation kind"));
        shx_packed packed = {record->columns + columns, shx_get32(bytes + 4)};
        uint32_t count;
        SHX_CHECK(packed.size <= entry->column_bytes - columns, shx_corrupt("columns"));
        SHX_CHECK(shx_packed_check(&packed, &count), shx_corrupt("columns"));
        columns += packed.size;
        if (bytes[0] != SHX_OP_INSERT && bytes[0] != SHX_OP_REPLACE) continue;
        SHX_CHECK(vectors < entry->vector_count, shx_corrupt("vector count"));
        const void *vector = record->vectors + vectors++ * record->vector_bytes;
        SHX_CHECK(shx_hash64(vector, record->vector_bytes, 0) == shx_get64(bytes + 16), shx_corrupt("vector"));
    }
    SHX_CHECK(columns == entry->column_bytes, shx_corrupt("columns"));
    return vectors == entry->vector_count ? SHX_OK : shx_corrupt("vector count");
}

shx_status shx_wal_load(shx_store *store, const shx_wal_entry *entry, size_t vector_bytes, shx_wal_record *ret_record) {
    shx_wal_record record = {.operation_count = entry->operation_count, .vector_bytes = vector_bytes};
    const uint8_t *bytes = NULL;
    shx_wal_entry found;
    shx_status status = wal_fetch(store, entry, &record, &bytes);
    if (status == SHX_OK) {
        status = shx_wal_header_check(bytes, entry->file, entry->offset, entry->offset + entry->length, vector_bytes,
                                      &found);
    }
    if (status == SHX_OK && !shx_id_equal(&found.commit, &entry->commit)) status = shx_corrupt("record changed");
    if (status == SHX_OK) {
        wal_place_parts(&record, bytes);
        if (wal_checksum(record.operations, record.columns, &found) != shx_get64(bytes + 88)) {
            status = shx_corrupt("operations");
        }
    }
    if (status == SHX_OK) status = wal_check_body(&record, entry);
    if (status == SHX_OK) {
        *ret_record = record;
    } else {
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
    const uint8_t *bytes = record->operations + cursor->operation++ * SHX_OPERATION_BYTES;
    shx_op op = {.kind = (shx_op_kind)bytes[0],
                 .rowid = (int64_t)shx_get64(bytes + 8),
                 .vector_hash = shx_get64(bytes + 16),
                 .column_hash = shx_get64(bytes + 24),
                 .columns = {record->columns + cursor->column, shx_get32(bytes + 4)}};
    cursor->column += op.columns.size;
    if (op.kind == SHX_OP_INSERT || op.kind == SHX_OP_REPLACE) {
        op.vector = record->vectors + cursor->vector++ * record->vector_bytes;
    }
    return op;
}

/* ---- writing ---- */

#define WAL_BUFFER_BYTES (1u << 18)

struct shx_wal_writer {
    shx_file *file;
    uint64_t id, end; /* where the next record goes */
    size_t vector_bytes;
    uint64_t operation_count, vector_count, column_bytes;
    uint8_t *operations, *columns; /* of the record being written */
    uint64_t operation_capacity, column_capacity;
    uint8_t *buffer; /* vector bytes that are not written yet */
    uint64_t buffered, written;
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

shx_status shx_wal_continue(shx_store *store, uint64_t file, uint64_t end, size_t vector_bytes,
                            shx_wal_writer **ret_writer) {
    char name[SHX_FILE_NAME_MAX];
    uint64_t size = 0;
    shx_file *handle;
    shx_file_name(SHX_FILE_WAL, file, name);
    SHX_TRY(shx_file_open(store, name, SHX_OPEN_APPEND, &handle));
    shx_status status = shx_file_lock(handle, true);
    if (status == SHX_OK) status = shx_file_size(handle, &size);
    if (status == SHX_OK && size != end) status = SHX_BUSY;
    if (status == SHX_OK) status = wal_writer_create(handle, file, end, vector_bytes, ret_writer);
    if (status != SHX_OK) shx_file_close(handle);
    return status;
}

shx_status shx_wal_create(shx_store *store, const shx_id *uuid, uint64_t file, size_t vector_bytes,
                          shx_wal_writer **ret_writer) {
    char name[SHX_FILE_NAME_MAX];
    uint8_t header[SHX_HEADER_BYTES];
    shx_file *handle;
    shx_file_name(SHX_FILE_WAL, file, name);
    SHX_TRY(shx_file_open(store, name, SHX_OPEN_CREATE, &handle));
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
    shx_free(writer->columns);
    shx_free(writer->buffer);
    shx_free(writer);
}

uint64_t shx_wal_writer_file(const shx_wal_writer *writer) { return writer->id; }
uint64_t shx_wal_writer_end(const shx_wal_writer *writer) { return writer->end; }

shx_status shx_wal_begin(shx_wal_writer *writer) {
    uint64_t size;
    SHX_TRY(shx_file_size(writer->file, &size));
    SHX_CHECK(size >= writer->end, SHX_NOTFOUND);
    writer->operation_count = writer->vector_count = writer->column_bytes = writer->buffered = writer->written = 0;
    return SHX_OK;
}

static shx_status wal_flush_vectors(shx_wal_writer *writer) {
    uint64_t at = writer->end + SHX_RECORD_BYTES + writer->written;
    SHX_TRY(shx_file_write(writer->file, at, writer->buffer, writer->buffered));
    writer->written += writer->buffered;
    writer->buffered = 0;
    return SHX_OK;
}

static shx_status wal_put_vector(shx_wal_writer *writer, const void *vector) {
    uint64_t size = writer->vector_bytes;
    if (writer->buffered + size > WAL_BUFFER_BYTES) SHX_TRY(wal_flush_vectors(writer));
    if (size > WAL_BUFFER_BYTES) {
        uint64_t at = writer->end + SHX_RECORD_BYTES + writer->written;
        SHX_TRY(shx_file_write(writer->file, at, vector, size));
        writer->written += size;
    } else {
        memcpy(writer->buffer + writer->buffered, vector, size);
        writer->buffered += size;
    }
    writer->vector_count++;
    return SHX_OK;
}

void shx_wal_put_operation(const shx_op *op, uint8_t bytes[SHX_OPERATION_BYTES]) {
    memset(bytes, 0, SHX_OPERATION_BYTES);
    bytes[0] = (uint8_t)op->kind;
    shx_put32(bytes + 4, op->columns.size);
    shx_put64(bytes + 8, (uint64_t)op->rowid);
    shx_put64(bytes + 16, op->vector_hash);
    shx_put64(bytes + 24, op->column_hash);
}

static shx_status wal_put_columns(shx_wal_writer *writer, const shx_packed *columns) {
    if (columns->size == 0) return SHX_OK;
    SHX_TRY(shx_grow((void **)&writer->columns, &writer->column_capacity, writer->column_bytes + columns->size, 1));
    memcpy(writer->columns + writer->column_bytes, columns->bytes, columns->size);
    writer->column_bytes += columns->size;
    return SHX_OK;
}

shx_status shx_wal_put(shx_wal_writer *writer, const shx_op *op) {
    SHX_TRY(shx_grow((void **)&writer->operations, &writer->operation_capacity, writer->operation_count + 1,
                     SHX_OPERATION_BYTES));
    if (op->vector) SHX_TRY(wal_put_vector(writer, op->vector));
    SHX_TRY(wal_put_columns(writer, &op->columns));
    shx_wal_put_operation(op, writer->operations + writer->operation_count++ * SHX_OPERATION_BYTES);
    return SHX_OK;
}

static void wal_put_header(const shx_wal_writer *writer, const shx_wal_entry *entry, uint64_t operations_at,
                           uint8_t bytes[SHX_RECORD_BYTES]) {
    memset(bytes, 0, SHX_RECORD_BYTES);
    memcpy(bytes, wal_magic, sizeof wal_magic);
    shx_put64(bytes + 8, entry->length);
    memcpy(bytes + 16, entry->commit.bytes, 16);
    memcpy(bytes + 32, entry->parent.bytes, 16);
    shx_put64(bytes + 48, entry->operation_count);
    shx_put64(bytes + 56, entry->vector_count);
    shx_put64(bytes + 64, operations_at);
    shx_put64(bytes + 88, wal_checksum(writer->operations, writer->columns, entry));
    shx_put64(bytes + 112, entry->column_bytes);
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

/* A small record goes out with one write; of a larger one the header is the last write. */
static shx_status wal_write_record(shx_wal_writer *writer, const shx_wal_entry *entry, uint64_t operations_at) {
    uint8_t header[SHX_RECORD_BYTES];
    wal_put_header(writer, entry, operations_at, header);
    uint64_t size = entry->operation_count * SHX_OPERATION_BYTES;
    if (writer->written == 0 && entry->length <= WAL_BUFFER_BYTES) {
        uint8_t *record = shx_alloc_aligned(entry->length, 1);
        SHX_CHECK(record, SHX_NOMEM);
        memset(record, 0, entry->length);
        memcpy(record, header, sizeof header);
        memcpy(record + SHX_RECORD_BYTES, writer->buffer, writer->buffered);
        if (size) memcpy(record + operations_at, writer->operations, size);
        if (entry->column_bytes) memcpy(record + operations_at + size, writer->columns, entry->column_bytes);
        shx_status status = shx_file_write(writer->file, entry->offset, record, entry->length);
        wal_keep_image(writer, status == SHX_OK ? entry : NULL, record);
        return status;
    }
    wal_keep_image(writer, NULL, NULL);
    static const uint8_t zeros[64];
    uint64_t used = operations_at + size + entry->column_bytes;
    SHX_TRY(wal_flush_vectors(writer));
    SHX_TRY(shx_file_write(writer->file, entry->offset + operations_at, writer->operations, size));
    SHX_TRY(shx_file_write(writer->file, entry->offset + operations_at + size, writer->columns, entry->column_bytes));
    SHX_TRY(shx_file_write(writer->file, entry->offset + used, zeros, entry->length - used));
    return shx_file_write(writer->file, entry->offset, header, sizeof header);
}

shx_status shx_wal_finish(shx_wal_writer *writer, const shx_id *commit, const shx_id *parent,
                          shx_wal_entry *ret_entry) {
    shx_wal_entry entry = {.commit = *commit,
                           .parent = *parent,
                           .file = writer->id,
                           .offset = writer->end,
                           .operation_count = writer->operation_count,
                           .vector_count = writer->vector_count,
                           .column_bytes = writer->column_bytes};
    uint64_t operations_at;
    SHX_CHECK(wal_layout(&entry, writer->vector_bytes, &operations_at, &entry.length), SHX_FULL);
    SHX_TRY(wal_write_record(writer, &entry, operations_at));
    writer->end += entry.length;
    *ret_entry = entry;
    return SHX_OK;
}
