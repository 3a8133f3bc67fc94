/* A WAL file: scanned, every record loaded and walked. */
#include "fuzz.h"

#include "wal.h"

#include <stdlib.h>

#define WAL_ID UINT64_C(5) /* as in unit/wal_test.c, which makes the golden file */
#define WAL_NAME "wal-0000000000000005"
#define WAL_VECTOR_BYTES (3 * sizeof(float))

static const shx_id wal_uuid = {{0xaa, 0xbb}};

static void walk_record(const shx_wal_record *record) {
    shx_wal_cursor at = {0};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < record->operation_count; i++) {
        shx_op op = shx_wal_next(record, &at);
        uint32_t values;
        fuzz_require(shx_packed_check(&op.columns, &values));
        sum = shx_hash64(op.columns.bytes, op.columns.size, sum);
        if (op.vector) {
            fuzz_require(shx_hash64(op.vector, WAL_VECTOR_BYTES, 0) == op.vector_hash);
        }
    }
}

static shx_status load_record(void *context, const shx_wal_entry *entry) {
    shx_wal_record record;
    shx_status status = shx_wal_load(context, entry, WAL_VECTOR_BYTES, NULL, &record);
    if (status == SHX_OK) {
        walk_record(&record);
        shx_wal_record_close(&record);
    }
    fuzz_require(status == SHX_OK || status == SHX_CORRUPT);
    return SHX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file golden;
    fuzz_input input = {data, size};
    fuzz_setup();
    if (!golden.bytes) golden = fuzz_golden("wal.bin");
    bool sealed = fuzz_number(&input, 1) % 4 != 0;
    fuzz_file file = fuzz_edit(&golden, &input);
    if (sealed) fuzz_seal(&file, SHX_FILE_WAL, &wal_uuid, WAL_ID, WAL_VECTOR_BYTES);
    shx_store *store = fuzz_store();
    fuzz_store_put(store, WAL_NAME, &file);
    shx_wal_extent extent = {.file = WAL_ID};
    shx_status status = shx_wal_scan(store, &wal_uuid, WAL_VECTOR_BYTES, &extent, load_record, store);
    fuzz_require(status == SHX_OK || status == SHX_CORRUPT);
    fuzz_require(extent.end <= file.size);
    shx_wal_writer *writer;
    if (status == SHX_OK && shx_wal_continue(store, &extent, WAL_VECTOR_BYTES, &writer) == SHX_OK) {
        shx_wal_writer_close(writer);
    }
    free(file.bytes);
    shx_store_close(store);
    fuzz_finish();
    return 0;
}
