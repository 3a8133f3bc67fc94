/* The checksums of a damaged file, made right again: a layer of the format at a time, the innermost first. */
#include "fuzz.h"

#include "../../ext/ring.h"

#include "segment.h"
#include "wal.h"

#include <string.h>

#define SEAL_TABLE 80
#define SEAL_ROW 32
#define SEAL_BASE_INFO 1     /* sections of a base (base.h), and bytes of a row of the second */
#define SEAL_BASE_SEGMENTS 4
#define SEAL_BASE_SEGMENT 40

/* A part of a file; no bytes where there is none. */
typedef struct seal_part {
    uint8_t *bytes;
    uint64_t size;
} seal_part;

/* ---- WAL files ---- */

/* The hashes of a record's bodies in its operations. */
static void seal_operations(const uint8_t *bodies, uint64_t left, seal_part operations, size_t vector_bytes) {
    for (uint64_t at = 0; at < operations.size; at += SHX_OPERATION_BYTES) {
        uint8_t *op = operations.bytes + at;
        if (op[0] != SHX_OP_INSERT && op[0] != SHX_OP_REPLACE) continue;
        uint32_t columns = shx_get32(op + 4);
        uint64_t size = shx_body_bytes(vector_bytes, columns);
        if (size > left) break;
        shx_put64(op + 16, shx_hash64(bodies, vector_bytes, 0));
        if (columns > 0) shx_put64(op + 24, shx_hash64(bodies + vector_bytes, columns, 0));
        bodies += size;
        left -= size;
    }
}

static void seal_record(uint8_t *record, uint64_t left, uint64_t offset, uint64_t id, size_t vector_bytes) {
    uint64_t count = shx_get64(record + 48), at = shx_get64(record + 64), bodies = shx_get64(record + 112);
    if (shx_span_fits(at, count, SHX_OPERATION_BYTES, left) && shx_span_fits(SHX_RECORD_BYTES, bodies, 1, at)) {
        seal_part operations = {record + at, count * SHX_OPERATION_BYTES};
        seal_operations(record + SHX_RECORD_BYTES, bodies, operations, vector_bytes);
        shx_put64(record + 88, shx_hash64(operations.bytes, operations.size, id));
    }
    shx_put64(record + 120, shx_hash64(record, 120, offset));
}

static void seal_records(fuzz_file *file, uint64_t id, size_t vector_bytes) {
    uint64_t offset = SHX_HEADER_BYTES, length;
    while (shx_span_fits(offset, SHX_RECORD_BYTES, 1, file->size)) {
        uint8_t *record = file->bytes + offset;
        length = shx_get64(record + 8);
        seal_record(record, file->size - offset, offset, id, vector_bytes);
        if (length < SHX_RECORD_BYTES || length % 64 != 0 || length > file->size - offset) break;
        offset += length;
    }
}

/* ---- containers ---- */

static uint32_t seal_count(const fuzz_file *file) {
    uint32_t count = file->size >= SEAL_TABLE + 8 ? shx_get32(file->bytes + 64) : 0;
    return count <= SHX_SECTIONS_MAX && SEAL_TABLE + SEAL_ROW * count + 8 <= file->size ? count : 0;
}

static seal_part seal_section(const fuzz_file *file, uint32_t id) {
    for (uint32_t i = 0; i < seal_count(file); i++) {
        const uint8_t *row = file->bytes + SEAL_TABLE + SEAL_ROW * i;
        uint64_t offset = shx_get64(row + 8), size = shx_get64(row + 16);
        if (shx_get32(row) == id && shx_span_fits(offset, size, 1, file->size)) {
            return (seal_part){file->bytes + offset, size};
        }
    }
    return (seal_part){NULL, 0};
}

/* Adds `count` elements of a part, from `first` on, to a hash; false when they are not there. */
static bool seal_add(seal_part part, uint64_t first, uint64_t count, uint64_t unit, uint64_t *hash) {
    uint64_t from;
    if (!part.bytes || !shx_mul(first, unit, &from) || !shx_span_fits(from, count, unit, part.size)) return false;
    *hash = shx_hash64(part.bytes + from, count * unit, *hash);
    return true;
}

static void seal_vectors(const fuzz_file *file, size_t vector_bytes) {
    seal_part vectors = seal_section(file, SHX_SEGMENT_VECTORS),
              fingerprints = seal_section(file, SHX_SEGMENT_FINGERPRINTS),
              seats = seal_section(file, SHX_SEGMENT_SEATS);
    uint64_t count = fingerprints.size / sizeof(shx_fingerprint);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t seat = i < seats.size / 4 ? shx_get32(seats.bytes + 4 * i) : i;
        if ((seat + 1) * vector_bytes > vectors.size) continue;
        uint64_t hash = shx_hash64(vectors.bytes + seat * vector_bytes, vector_bytes, 0);
        shx_put64(fingerprints.bytes + i * sizeof(shx_fingerprint), hash);
    }
}

static void seal_columns(const fuzz_file *file, uint64_t rows, uint64_t id) {
    seal_part entries = seal_section(file, SHX_COLUMN_ENTRIES), values = seal_section(file, SHX_COLUMN_VALUES);
    for (uint64_t i = 0; i < entries.size / sizeof(shx_column_entry); i++) {
        shx_column_entry entry;
        uint8_t *at = entries.bytes + i * sizeof entry;
        memcpy(&entry, at, sizeof entry);
        uint64_t hash = id, elements = (uint64_t)entry.distinct + 1;
        bool whole = seal_add(seal_section(file, SHX_COLUMN_STARTS), entry.first, elements, 4, &hash) &&
                     seal_add(seal_section(file, SHX_COLUMN_OFFSETS), entry.first, elements, 8, &hash) &&
                     seal_add(values, entry.values_at, entry.values_size, 1, &hash) &&
                     seal_add(seal_section(file, SHX_COLUMN_BY_VALUE), i * rows, rows, 4, &hash);
        if (whole) shx_put64(at + offsetof(shx_column_entry, checksum), hash);
    }
}

/* The columns' parts of a run's hash. */
static bool seal_add_ids(const fuzz_file *file, const shx_run *run, uint64_t rows, uint64_t *hash) {
    uint64_t columns = seal_section(file, SHX_COLUMN_ENTRIES).size / sizeof(shx_column_entry);
    for (uint64_t c = 0; c < columns; c++) {
        if (!seal_add(seal_section(file, SHX_COLUMN_IDS), c * rows + run->first_row, run->rows, 4, hash)) return false;
    }
    return true;
}

static void seal_runs(const fuzz_file *file, uint64_t rows, uint32_t code_dim, uint64_t id) {
    seal_part runs = seal_section(file, SHX_SEGMENT_RUNS), blocks = seal_section(file, SHX_SEGMENT_BLOCKS);
    bool coded = blocks.size > 0;
    for (uint64_t i = 0; i < runs.size / sizeof(shx_run); i++) {
        shx_run run;
        memcpy(&run, runs.bytes + i * sizeof run, sizeof run);
        uint64_t hash = id, block_bytes = coded ? shx_block_bytes(code_dim) : 0;
        bool whole = seal_add(blocks, run.first_block, shx_blocks_of(run.rows), block_bytes, &hash) &&
                     seal_add(seal_section(file, SHX_SEGMENT_REFINE), run.first_row, run.rows,
                              coded ? shx_refine_bytes(code_dim) : 0, &hash) &&
                     seal_add(seal_section(file, SHX_SEGMENT_FACTORS), run.first_row, run.rows,
                              coded ? SHX_SEGMENT_FACTOR_BYTES : 0, &hash) &&
                     seal_add(seal_section(file, SHX_SEGMENT_ROWIDS), run.first_row, run.rows, 8, &hash) &&
                     seal_add(seal_section(file, SHX_SEGMENT_FINGERPRINTS), run.first_row, run.rows, 16, &hash) &&
                     seal_add_ids(file, &run, rows, &hash);
        if (whole) shx_put64(runs.bytes + i * sizeof run + offsetof(shx_run, checksum), hash);
        uint64_t rowids = id;
        whole = seal_add(seal_section(file, SHX_SEGMENT_ROWIDS), run.first_row, run.rows, 8, &rowids);
        if (whole) shx_put64(runs.bytes + i * sizeof run + offsetof(shx_run, rowids_checksum), rowids);
    }
}

static void seal_segment(const fuzz_file *file, uint64_t id, size_t vector_bytes) {
    seal_part info = seal_section(file, SHX_SEGMENT_INFO);
    if (info.size < SHX_SEGMENT_INFO_BYTES) return;
    uint64_t rows = shx_get64(info.bytes);
    uint32_t code_dim = shx_get32(info.bytes + 24);
    seal_vectors(file, vector_bytes);
    seal_columns(file, rows, id);
    if (code_dim % 64 == 0 && code_dim <= 65536) seal_runs(file, rows, code_dim, id);
}

static void seal_container(fuzz_file *file, uint64_t id) {
    uint32_t count = seal_count(file);
    uint64_t covered = SEAL_TABLE + SEAL_ROW * count;
    if (covered + 8 > file->size) return;
    shx_put64(file->bytes + 72, file->size);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *row = file->bytes + SEAL_TABLE + SEAL_ROW * i;
        uint64_t offset = shx_get64(row + 8), size = shx_get64(row + 16);
        if (shx_get32(row + 4) == 0 || size == 0 || !shx_span_fits(offset, size, 1, file->size)) continue;
        shx_put64(row + 24, shx_hash64(file->bytes + offset, size, id));
    }
    shx_put64(file->bytes + covered, shx_hash64(file->bytes, covered, id));
}

/* ---- bases ---- */

static uint64_t seal_checksum(const fuzz_file *file) {
    uint64_t at = SEAL_TABLE + SEAL_ROW * seal_count(file);
    return at + 8 <= file->size ? shx_get64(file->bytes + at) : 0;
}

/* What a base says of one file, at `id_at` and `checksum_at` of a part of it. */
static void seal_name(seal_part part, uint64_t id_at, uint64_t checksum_at, uint64_t id, uint64_t checksum) {
    if (checksum_at + 8 > part.size || shx_get64(part.bytes + id_at) != id) return;
    shx_put64(part.bytes + checksum_at, checksum);
}

void fuzz_seal_base(fuzz_file *base, uint64_t base_id, const fuzz_file *named, shx_file_kind kind, uint64_t id) {
    seal_part info = seal_section(base, SEAL_BASE_INFO), segments = seal_section(base, SEAL_BASE_SEGMENTS);
    uint64_t checksum = seal_checksum(named);
    if (kind == SHX_FILE_SHARDS) seal_name(info, 40, 152, id, checksum);
    for (uint64_t at = 0; kind == SHX_FILE_SEGMENT && at < segments.size; at += SEAL_BASE_SEGMENT) {
        seal_name(segments, at, at + 32, id, checksum);
    }
    seal_container(base, base_id);
}

void fuzz_seal(fuzz_file *file, shx_file_kind kind, const shx_id *uuid, uint64_t id, size_t vector_bytes) {
    if (file->size < SHX_HEADER_BYTES) return;
    shx_header_put(file->bytes, kind, uuid, id);
    if (kind == SHX_FILE_WAL) seal_records(file, id, vector_bytes);
    if (kind == SHX_FILE_SEGMENT) seal_segment(file, id, vector_bytes);
    if (kind != SHX_FILE_WAL) seal_container(file, id);
}

void fuzz_seal_ring(uint8_t *bytes, uint64_t size) {
    if (size != SHX_RING_BYTES) return;
    uint64_t used = (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8;
    if (used <= SHX_RING_ROOM) shx_put64(bytes + SHX_RING_ROOM, shx_hash64(bytes, used, 0));
}
