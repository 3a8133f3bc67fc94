/* Writing segments: runs are encoded in parallel, each put together in memory and written with one call a section. */
#include "segment.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct segment_writer {
    shx_container_writer out;
    const shx_encoding *encoding;
    const shx_run_plan *plans;
    const shx_posting *postings;
    shx_run *runs;
    size_t block_bytes, refine_bytes;
} segment_writer;

/* Memory for one run while it is encoded. */
typedef struct segment_run_buffer {
    float *point;
    uint8_t *bits;
    shx_code *codes;
    uint8_t *blocks, *refine;
    float *factors, *vectors;
    int64_t *rowids;
    shx_fingerprint *fingerprints;
} segment_run_buffer;

static void segment_buffer_free(segment_run_buffer *buffer) {
    shx_free_aligned(buffer->point);
    shx_free(buffer->bits);
    shx_free(buffer->codes);
    shx_free_aligned(buffer->blocks);
    shx_free(buffer->refine);
    shx_free(buffer->factors);
    shx_free(buffer->vectors);
    shx_free(buffer->rowids);
    shx_free(buffer->fingerprints);
}

static shx_status segment_buffer_create(const segment_writer *writer, uint64_t rows, segment_run_buffer *ret_buffer) {
    uint32_t code_dim = writer->encoding->code_dim;
    segment_run_buffer buffer = {
        .point = shx_alloc_aligned(code_dim, sizeof(float)),
        .bits = shx_alloc_zero(rows, code_dim / 8),
        .codes = shx_alloc_zero(rows, sizeof(shx_code)),
        .blocks = shx_alloc_aligned(shx_blocks_of(rows), writer->block_bytes),
        .refine = shx_alloc_zero(rows, writer->refine_bytes),
        .factors = shx_alloc_zero(rows, SHX_SEGMENT_FACTOR_BYTES),
        .vectors = shx_alloc_zero(rows, writer->encoding->dim * sizeof(float)),
        .rowids = shx_alloc_zero(rows, sizeof(int64_t)),
        .fingerprints = shx_alloc_zero(rows, sizeof(shx_fingerprint)),
    };
    bool complete = buffer.point && buffer.bits && buffer.codes && buffer.blocks && buffer.refine && buffer.factors &&
                    buffer.vectors && buffer.rowids && buffer.fingerprints;
    if (!complete) {
        segment_buffer_free(&buffer);
        return SHX_NOMEM;
    }
    *ret_buffer = buffer;
    return SHX_OK;
}

static void segment_encode_row(const segment_writer *writer, const shx_run_plan *plan, uint32_t i,
                               segment_run_buffer *buffer) {
    const shx_encoding *encoding = writer->encoding;
    const shx_posting *posting = &writer->postings[plan->first + i];
    memcpy(buffer->vectors + (size_t)i * encoding->dim, posting->vector, encoding->dim * sizeof(float));
    buffer->rowids[i] = posting->rowid;
    buffer->fingerprints[i] = posting->fingerprint;
    if (!plan->centroid || !shx_encoding_point(encoding, posting->vector, false, buffer->point)) return;
    shx_code *code = &buffer->codes[i];
    shx_encode(buffer->point, plan->centroid, encoding->code_dim, buffer->bits + (size_t)i * (encoding->code_dim / 8),
               buffer->refine + i * writer->refine_bytes, code);
    float *factors = buffer->factors + (size_t)i * 3;
    factors[0] = code->refine_add;
    factors[1] = code->refine_mul;
    factors[2] = code->refine_error;
}

static void segment_pack_run(const segment_writer *writer, uint32_t rows, segment_run_buffer *buffer, shx_run *run) {
    uint32_t code_dim = writer->encoding->code_dim;
    shx_factor_scale_fit(buffer->codes, rows, &run->scale);
    for (uint32_t block = 0; block < shx_blocks_of(rows); block++) {
        uint32_t first = block * SHX_BLOCK_ROWS;
        uint32_t count = rows - first < SHX_BLOCK_ROWS ? rows - first : SHX_BLOCK_ROWS;
        shx_block_pack(buffer->bits + (size_t)first * (code_dim / 8), buffer->codes + first, count, code_dim,
                       &run->scale, buffer->blocks + block * writer->block_bytes);
    }
}

static uint64_t segment_buffer_checksum(const segment_writer *writer, const segment_run_buffer *buffer, uint64_t rows) {
    uint64_t hash = writer->out.id;
    hash = shx_hash64(buffer->blocks, shx_blocks_of(rows) * writer->block_bytes, hash);
    hash = shx_hash64(buffer->refine, rows * writer->refine_bytes, hash);
    hash = shx_hash64(buffer->factors, rows * SHX_SEGMENT_FACTOR_BYTES, hash);
    hash = shx_hash64(buffer->rowids, rows * sizeof(int64_t), hash);
    return shx_hash64(buffer->fingerprints, rows * sizeof(shx_fingerprint), hash);
}

static void segment_put_run(segment_writer *writer, const shx_run *run, const segment_run_buffer *buffer) {
    uint64_t row = run->first_row, rows = run->rows;
    size_t vector_bytes = writer->encoding->dim * sizeof(float);
    shx_container_writer *out = &writer->out;
    shx_container_put(out, SHX_SEGMENT_BLOCKS, run->first_block * writer->block_bytes, buffer->blocks,
                      shx_blocks_of(rows) * writer->block_bytes);
    shx_container_put(out, SHX_SEGMENT_REFINE, row * writer->refine_bytes, buffer->refine, rows * writer->refine_bytes);
    shx_container_put(out, SHX_SEGMENT_FACTORS, row * SHX_SEGMENT_FACTOR_BYTES, buffer->factors,
                      rows * SHX_SEGMENT_FACTOR_BYTES);
    shx_container_put(out, SHX_SEGMENT_VECTORS, row * vector_bytes, buffer->vectors, rows * vector_bytes);
    shx_container_put(out, SHX_SEGMENT_ROWIDS, row * sizeof(int64_t), buffer->rowids, rows * sizeof(int64_t));
    shx_container_put(out, SHX_SEGMENT_FINGERPRINTS, row * sizeof(shx_fingerprint), buffer->fingerprints,
                      rows * sizeof(shx_fingerprint));
}

static shx_status segment_write_runs(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    segment_writer *writer = context;
    for (uint64_t i = first; i < end; i++) {
        const shx_run_plan *plan = &writer->plans[i];
        shx_run *run = &writer->runs[i];
        segment_run_buffer buffer;
        SHX_TRY(segment_buffer_create(writer, plan->count, &buffer));
        for (uint32_t row = 0; row < plan->count; row++) segment_encode_row(writer, plan, row, &buffer);
        segment_pack_run(writer, plan->count, &buffer, run);
        run->checksum = segment_buffer_checksum(writer, &buffer, plan->count);
        segment_put_run(writer, run, &buffer);
        segment_buffer_free(&buffer);
    }
    return SHX_OK;
}

typedef struct segment_order_entry {
    int64_t rowid;
    uint32_t row;
} segment_order_entry;

static int segment_compare_order(const void *a, const void *b) {
    int64_t x = ((const segment_order_entry *)a)->rowid, y = ((const segment_order_entry *)b)->rowid;
    return x < y ? -1 : x > y;
}

static shx_status segment_put_order(segment_writer *writer, uint64_t count) {
    segment_order_entry *entries = shx_alloc_zero(count, sizeof *entries);
    uint32_t *order = shx_alloc_zero(count, sizeof *order);
    if (entries && order) {
        for (uint64_t i = 0; i < count; i++) entries[i] = (segment_order_entry){writer->postings[i].rowid, (uint32_t)i};
        qsort(entries, count, sizeof *entries, segment_compare_order);
        for (uint64_t i = 0; i < count; i++) order[i] = entries[i].row;
        shx_container_put(&writer->out, SHX_SEGMENT_ORDER, 0, order, count * sizeof *order);
    }
    shx_status status = entries && order ? SHX_OK : SHX_NOMEM;
    shx_free(entries);
    shx_free(order);
    return status;
}

static void segment_put_info(segment_writer *writer, uint64_t rows, uint64_t blocks, uint32_t runs,
                             uint64_t encoding_id) {
    uint8_t info[SHX_SEGMENT_INFO_BYTES] = {0};
    shx_put64(info, rows);
    shx_put64(info + 8, blocks);
    shx_put32(info + 16, runs);
    shx_put32(info + 20, writer->encoding->dim);
    shx_put32(info + 24, writer->encoding->code_dim);
    shx_put32(info + 28, writer->encoding->metric);
    shx_put64(info + 32, encoding_id);
    shx_container_put(&writer->out, SHX_SEGMENT_INFO, 0, info, sizeof info);
}

/* Gives each run its place; returns the number of blocks. */
static uint64_t segment_lay_out(shx_run *runs, const shx_run_plan *plans, uint32_t count) {
    uint64_t row = 0, block = 0;
    for (uint32_t i = 0; i < count; i++) {
        runs[i] = (shx_run){
            .shard = plans[i].shard, .first_row = row, .rows = plans[i].count, .first_block = (uint32_t)block};
        row += plans[i].count;
        block += shx_blocks_of(plans[i].count);
    }
    return block;
}

static shx_status segment_create(segment_writer *writer, shx_store *store, const shx_id *uuid, uint64_t id,
                                 uint32_t runs, uint64_t rows, uint64_t blocks) {
    const shx_section sections[] = {
        {.id = SHX_SEGMENT_INFO, .checked = true, .size = SHX_SEGMENT_INFO_BYTES},
        {.id = SHX_SEGMENT_RUNS, .checked = true, .size = runs * sizeof(shx_run)},
        {.id = SHX_SEGMENT_BLOCKS, .size = blocks * writer->block_bytes},
        {.id = SHX_SEGMENT_REFINE, .size = rows * writer->refine_bytes},
        {.id = SHX_SEGMENT_FACTORS, .size = rows * SHX_SEGMENT_FACTOR_BYTES},
        {.id = SHX_SEGMENT_VECTORS, .size = rows * writer->encoding->dim * sizeof(float)},
        {.id = SHX_SEGMENT_ROWIDS, .size = rows * sizeof(int64_t)},
        {.id = SHX_SEGMENT_FINGERPRINTS, .size = rows * sizeof(shx_fingerprint)},
        {.id = SHX_SEGMENT_ORDER, .checked = true, .size = rows * sizeof(uint32_t)},
    };
    return shx_container_create(store, SHX_FILE_SEGMENT, uuid, id, sections, sizeof sections / sizeof *sections,
                                &writer->out);
}

shx_status shx_segment_write(shx_store *store, const shx_id *uuid, uint64_t id, const shx_encoding *encoding,
                             uint64_t encoding_id, const shx_run_plan *plans, uint32_t plan_count,
                             const shx_posting *postings, uint64_t posting_count, shx_pool *pool) {
    SHX_CHECK(posting_count < UINT32_MAX, SHX_FULL);
    segment_writer writer = {.encoding = encoding,
                             .plans = plans,
                             .postings = postings,
                             .block_bytes = shx_block_bytes(encoding->code_dim),
                             .refine_bytes = shx_refine_bytes(encoding->code_dim)};
    writer.runs = shx_alloc_zero(plan_count, sizeof *writer.runs);
    SHX_CHECK(writer.runs, SHX_NOMEM);
    uint64_t blocks = segment_lay_out(writer.runs, plans, plan_count);
    shx_status status = segment_create(&writer, store, uuid, id, plan_count, posting_count, blocks);
    if (status == SHX_OK) {
        segment_put_info(&writer, posting_count, blocks, plan_count, encoding_id);
        status = shx_pool_run(pool, plan_count, 16, segment_write_runs, &writer);
        if (status == SHX_OK) status = segment_put_order(&writer, posting_count);
        shx_container_put(&writer.out, SHX_SEGMENT_RUNS, 0, writer.runs, plan_count * sizeof(shx_run));
        if (status == SHX_OK) {
            status = shx_container_finish(&writer.out);
        } else {
            shx_container_abandon(&writer.out);
        }
    }
    shx_free(writer.runs);
    return status;
}
