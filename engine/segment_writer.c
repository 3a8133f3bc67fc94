/* Writing segments: runs are encoded in parallel; a run's codes are put together in memory and written with one call a
** section, its vectors in slices on the way. */
#include "segment.h"

#include "memory.h"
#include "rowid_order.h"

#include <string.h>

#define SEGMENT_SECTIONS 10        /* besides those of the columns */
#define SEGMENT_SLICE_BYTES 262144 /* of vectors that are written with one call */
#define SEGMENT_CHECK_ROWS 256     /* between two looks at the progress */
#define SEGMENT_CHECK_BLOCKS 64

/* Memory for one run while it is encoded; each thread keeps its own and makes it larger when it must. */
typedef struct segment_run_buffer {
    uint64_t rows; /* room */
    float *point;
    uint8_t *bits;
    shx_code *codes;
    uint8_t *blocks, *refine;
    float *factors;
    uint8_t *vectors; /* of one slice */
    int64_t *rowids;
    shx_fingerprint *fingerprints;
} segment_run_buffer;

typedef struct segment_writer {
    shx_container_writer out;
    const shx_segment_plan *plan;
    shx_columns_plan *columns;
    const uint32_t *seated; /* the row of each seat; NULL without a group */
    shx_run *runs;
    segment_run_buffer *buffers; /* one a thread */
    shx_progress *progress;
    size_t block_bytes, refine_bytes, factor_bytes; /* 0 when there are no codes */
    size_t vector_bytes;
    uint32_t slice_rows;
} segment_writer;

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
    uint32_t code_dim = writer->plan->encoding->code_dim;
    segment_run_buffer buffer = {
        .rows = rows,
        .point = shx_alloc_aligned(code_dim, sizeof(float)),
        .bits = shx_alloc(rows * (code_dim / 8)),
        .codes = shx_alloc(rows * sizeof(shx_code)),
        .blocks = shx_alloc_aligned(shx_blocks_of(rows), writer->block_bytes),
        .refine = shx_alloc(rows * writer->refine_bytes),
        .factors = shx_alloc(rows * writer->factor_bytes),
        .vectors = shx_alloc((uint64_t)writer->slice_rows * writer->vector_bytes),
        .rowids = shx_alloc(rows * sizeof(int64_t)),
        .fingerprints = shx_alloc(rows * sizeof(shx_fingerprint)),
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

/* Makes room for a run, and zeros what rows without a point leave as it is. */
static shx_status segment_buffer_prepare(const segment_writer *writer, uint64_t rows, segment_run_buffer *buffer) {
    if (rows > buffer->rows) {
        segment_run_buffer larger;
        SHX_TRY(segment_buffer_create(writer, rows + rows / 2, &larger));
        segment_buffer_free(buffer);
        *buffer = larger;
    }
    memset(buffer->bits, 0, rows * (writer->plan->encoding->code_dim / 8));
    memset(buffer->codes, 0, rows * sizeof(shx_code));
    memset(buffer->refine, 0, rows * writer->refine_bytes);
    memset(buffer->factors, 0, rows * writer->factor_bytes);
    return SHX_OK;
}

static shx_posting segment_posting(const segment_writer *writer, uint64_t number) {
    const shx_posting_source *postings = &writer->plan->postings;
    return postings->read(postings->context, number);
}

static void segment_encode_row(const segment_writer *writer, const shx_run_plan *plan, uint32_t i,
                               const shx_posting *posting, segment_run_buffer *buffer) {
    const shx_encoding *encoding = writer->plan->encoding;
    buffer->rowids[i] = posting->rowid;
    buffer->fingerprints[i] = posting->fingerprint;
    if (writer->block_bytes == 0 || !plan->centroid) return;
    if (!shx_encoding_point(encoding, posting->vector, false, buffer->point)) return;
    shx_code *code = &buffer->codes[i];
    shx_encode(buffer->point, plan->centroid, encoding->code_dim, buffer->bits + (size_t)i * (encoding->code_dim / 8),
               buffer->refine + i * writer->refine_bytes, code);
    float *factors = buffer->factors + (size_t)i * 3;
    factors[0] = code->refine_add;
    factors[1] = code->refine_mul;
    factors[2] = code->refine_error;
}

/* Encodes the rows of a run and writes their vectors on the way, a slice at a time, where they stand as the rows do. */
static shx_status segment_encode_run(segment_writer *writer, const shx_run_plan *plan, const shx_run *run,
                                     segment_run_buffer *buffer) {
    size_t vector_bytes = writer->vector_bytes;
    uint32_t held = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (i % SEGMENT_CHECK_ROWS == 0) SHX_TRY(shx_progress_check(writer->progress));
        shx_posting posting = segment_posting(writer, plan->first + i);
        segment_encode_row(writer, plan, i, &posting, buffer);
        if (writer->seated) continue;
        memcpy(buffer->vectors + held++ * vector_bytes, posting.vector, vector_bytes);
        if (held < writer->slice_rows && i + 1 < plan->count) continue;
        uint64_t first = run->first_row + i + 1 - held;
        shx_container_put(&writer->out, SHX_SEGMENT_VECTORS, first * vector_bytes, buffer->vectors,
                          held * vector_bytes);
        held = 0;
    }
    return SHX_OK;
}

static float segment_scatter(const shx_code *codes, uint32_t rows) {
    double sum = 0;
    for (uint32_t i = 0; i < rows; i++) sum += codes[i].distance2;
    return (float)(sum / rows);
}

static shx_status segment_pack_run(const segment_writer *writer, uint32_t rows, segment_run_buffer *buffer,
                                   shx_run *run) {
    uint32_t code_dim = writer->plan->encoding->code_dim;
    if (writer->block_bytes == 0) return SHX_OK;
    run->scatter = segment_scatter(buffer->codes, rows);
    shx_factor_scale_fit(buffer->codes, rows, &run->scale);
    for (uint32_t block = 0; block < shx_blocks_of(rows); block++) {
        if (block % SEGMENT_CHECK_BLOCKS == 0) SHX_TRY(shx_progress_check(writer->progress));
        uint32_t first = block * SHX_BLOCK_ROWS;
        uint32_t count = rows - first < SHX_BLOCK_ROWS ? rows - first : SHX_BLOCK_ROWS;
        shx_block_pack(buffer->bits + (size_t)first * (code_dim / 8), buffer->codes + first, count, code_dim,
                       &run->scale, buffer->blocks + block * writer->block_bytes);
    }
    return SHX_OK;
}

static uint64_t segment_buffer_checksum(const segment_writer *writer, const segment_run_buffer *buffer, uint64_t rows) {
    uint64_t hash = writer->out.id;
    hash = shx_hash64(buffer->blocks, shx_blocks_of(rows) * writer->block_bytes, hash);
    hash = shx_hash64(buffer->refine, rows * writer->refine_bytes, hash);
    hash = shx_hash64(buffer->factors, rows * writer->factor_bytes, hash);
    hash = shx_hash64(buffer->rowids, rows * sizeof(int64_t), hash);
    return shx_hash64(buffer->fingerprints, rows * sizeof(shx_fingerprint), hash);
}

static void segment_put_run(segment_writer *writer, const shx_run *run, const segment_run_buffer *buffer) {
    uint64_t row = run->first_row, rows = run->rows;
    shx_container_writer *out = &writer->out;
    shx_container_put(out, SHX_SEGMENT_BLOCKS, run->first_block * writer->block_bytes, buffer->blocks,
                      shx_blocks_of(rows) * writer->block_bytes);
    shx_container_put(out, SHX_SEGMENT_REFINE, row * writer->refine_bytes, buffer->refine, rows * writer->refine_bytes);
    shx_container_put(out, SHX_SEGMENT_FACTORS, row * writer->factor_bytes, buffer->factors,
                      rows * writer->factor_bytes);
    shx_container_put(out, SHX_SEGMENT_ROWIDS, row * sizeof(int64_t), buffer->rowids, rows * sizeof(int64_t));
    shx_container_put(out, SHX_SEGMENT_FINGERPRINTS, row * sizeof(shx_fingerprint), buffer->fingerprints,
                      rows * sizeof(shx_fingerprint));
}

static shx_status segment_write_runs(void *context, uint64_t first, uint64_t end, unsigned thread) {
    segment_writer *writer = context;
    segment_run_buffer *buffer = &writer->buffers[thread];
    for (uint64_t i = first; i < end; i++) {
        const shx_run_plan *plan = &writer->plan->runs[i];
        shx_run *run = &writer->runs[i];
        SHX_TRY(segment_buffer_prepare(writer, plan->count, buffer));
        SHX_TRY(segment_encode_run(writer, plan, run, buffer));
        SHX_TRY(segment_pack_run(writer, plan->count, buffer, run));
        uint64_t checksum = segment_buffer_checksum(writer, buffer, plan->count);
        run->checksum = shx_columns_write_ids(writer->columns, run->first_row, run->rows, checksum, &writer->out);
        run->rowids_checksum = shx_hash64(buffer->rowids, run->rows * sizeof(int64_t), writer->out.id);
        segment_put_run(writer, run, buffer);
        shx_progress_add(writer->progress, plan->count);
    }
    return SHX_OK;
}

/* Writes the vectors of seats [first, end), a slice. */
static shx_status segment_write_seats(void *context, uint64_t first, uint64_t end, unsigned thread) {
    segment_writer *writer = context;
    size_t vector_bytes = writer->vector_bytes;
    SHX_TRY(shx_progress_check(writer->progress));
    for (uint64_t seat = first; seat < end; seat++) {
        shx_posting posting = segment_posting(writer, writer->seated[seat]);
        memcpy(writer->buffers[thread].vectors + (seat - first) * vector_bytes, posting.vector, vector_bytes);
    }
    shx_container_put(&writer->out, SHX_SEGMENT_VECTORS, first * vector_bytes, writer->buffers[thread].vectors,
                      (end - first) * vector_bytes);
    return SHX_OK;
}

/* Where there is a group, the vectors are written in its order, and their seats. */
static shx_status segment_put_seats(segment_writer *writer, shx_pool *pool) {
    uint64_t rows = writer->plan->posting_count;
    if (!writer->seated || rows == 0) return SHX_OK;
    for (unsigned i = 0; i < shx_pool_threads(pool); i++) {
        if (!writer->buffers[i].vectors) SHX_TRY(segment_buffer_prepare(writer, 1, &writer->buffers[i]));
    }
    SHX_TRY(shx_pool_run(pool, rows, writer->slice_rows, segment_write_seats, writer));
    uint32_t *seats = shx_alloc_zero(rows, sizeof *seats);
    SHX_CHECK(seats, SHX_NOMEM);
    for (uint64_t seat = 0; seat < rows; seat++) seats[writer->seated[seat]] = (uint32_t)seat;
    shx_container_put(&writer->out, SHX_SEGMENT_SEATS, 0, seats, rows * sizeof *seats);
    shx_free(seats);
    return SHX_OK;
}

/* The rowids are read where they have just been written. */
static shx_status segment_put_order(segment_writer *writer, uint64_t count) {
    shx_map map;
    if (count == 0) return SHX_OK;
    SHX_TRY(shx_container_map(&writer->out, SHX_SEGMENT_ROWIDS, &map));
    shx_stop stop = shx_progress_stop(writer->progress);
    uint32_t *order = NULL;
    shx_status status = shx_rowid_order(map.bytes, sizeof(int64_t), count, &stop, &order);
    shx_map_release(&map);
    if (status == SHX_OK) shx_container_put(&writer->out, SHX_SEGMENT_ORDER, 0, order, count * sizeof *order);
    shx_free(order);
    return status;
}

static void segment_put_info(segment_writer *writer, uint64_t blocks) {
    const shx_segment_plan *plan = writer->plan;
    uint8_t info[SHX_SEGMENT_INFO_BYTES] = {0};
    shx_put64(info, plan->posting_count);
    shx_put64(info + 8, blocks);
    shx_put32(info + 16, plan->run_count);
    shx_put32(info + 20, plan->encoding->dim);
    shx_put32(info + 24, plan->encoding->code_dim);
    shx_put32(info + 28, plan->encoding->metric);
    shx_put64(info + 32, plan->encoding_id);
    shx_put32(info + 40, plan->encoding->element);
    shx_put32(info + 48, plan->columns);
    shx_put32(info + 52, plan->group);
    shx_container_put(&writer->out, SHX_SEGMENT_INFO, 0, info, sizeof info);
}

/* Gives each run its place; returns the number of blocks. */
static uint64_t segment_lay_out(segment_writer *writer) {
    uint64_t row = 0, block = 0;
    for (uint32_t i = 0; i < writer->plan->run_count; i++) {
        const shx_run_plan *plan = &writer->plan->runs[i];
        writer->runs[i] =
            (shx_run){.shard = plan->shard, .first_row = row, .rows = plan->count, .first_block = (uint32_t)block};
        row += plan->count;
        block += shx_blocks_of(plan->count);
    }
    return block;
}

static shx_status segment_create(segment_writer *writer, shx_store *store, const shx_id *uuid, uint64_t id,
                                 uint64_t blocks) {
    uint64_t rows = writer->plan->posting_count, runs = writer->plan->run_count;
    shx_section sections[SEGMENT_SECTIONS + SHX_COLUMNS_SECTIONS] = {
        {.id = SHX_SEGMENT_INFO, .checked = true, .size = SHX_SEGMENT_INFO_BYTES},
        {.id = SHX_SEGMENT_RUNS, .checked = true, .size = runs * sizeof(shx_run)},
        {.id = SHX_SEGMENT_BLOCKS, .size = blocks * writer->block_bytes},
        {.id = SHX_SEGMENT_REFINE, .size = rows * writer->refine_bytes},
        {.id = SHX_SEGMENT_FACTORS, .size = rows * writer->factor_bytes},
        {.id = SHX_SEGMENT_VECTORS, .size = rows * writer->vector_bytes},
        {.id = SHX_SEGMENT_ROWIDS, .size = rows * sizeof(int64_t)},
        {.id = SHX_SEGMENT_FINGERPRINTS, .size = rows * sizeof(shx_fingerprint)},
        {.id = SHX_SEGMENT_ORDER, .checked = true, .size = rows * sizeof(uint32_t)},
        {.id = SHX_SEGMENT_SEATS, .checked = true, .size = writer->seated ? rows * sizeof(uint32_t) : 0},
    };
    shx_columns_sections(writer->columns, writer->plan->run_count, sections + SEGMENT_SECTIONS);
    return shx_container_create(store, SHX_FILE_SEGMENT, uuid, id, sections, sizeof sections / sizeof *sections,
                                &writer->out);
}

shx_status shx_posting_column(const shx_posting *posting, uint32_t column, shx_packed *ret_bytes) {
    const shx_columns *from = posting->from;
    if (!from) {
        return shx_packed_find(&posting->columns, column, ret_bytes) ? SHX_OK : shx_corrupt("missing column");
    }
    SHX_CHECK(column < from->count, shx_corrupt("missing column"));
    return shx_columns_value(from, column, from->ids[column * from->rows + posting->from_row], ret_bytes);
}

static shx_status segment_column(const void *context, uint64_t row, uint32_t column, shx_packed *ret_bytes) {
    const segment_writer *writer = context;
    shx_posting posting = segment_posting(writer, row);
    return shx_posting_column(&posting, column, ret_bytes);
}

static shx_status segment_put_columns(segment_writer *writer) {
    uint32_t runs = writer->plan->run_count;
    uint64_t *first_rows = shx_alloc_zero((uint64_t)runs + 1, sizeof *first_rows);
    SHX_CHECK(first_rows, SHX_NOMEM);
    for (uint32_t i = 0; i < runs; i++) first_rows[i] = writer->runs[i].first_row;
    first_rows[runs] = writer->plan->posting_count;
    shx_status status = shx_columns_write(writer->columns, first_rows, runs, &writer->out);
    shx_free(first_rows);
    return status;
}

/* The file is created: fills it. */
static shx_status segment_fill(segment_writer *writer, uint64_t blocks, shx_pool *pool) {
    const shx_segment_plan *plan = writer->plan;
    shx_progress_begin(writer->progress, SHX_PHASE_WRITING, plan->posting_count);
    segment_put_info(writer, blocks);
    SHX_TRY(shx_pool_run(pool, plan->run_count, 4, segment_write_runs, writer));
    SHX_TRY(segment_put_seats(writer, pool));
    SHX_TRY(segment_put_order(writer, plan->posting_count));
    SHX_TRY(segment_put_columns(writer));
    shx_container_put(&writer->out, SHX_SEGMENT_RUNS, 0, writer->runs, plan->run_count * sizeof(shx_run));
    return SHX_OK;
}

static shx_status segment_write_file(segment_writer *writer, shx_store *store, const shx_id *uuid, uint64_t id,
                                     shx_pool *pool) {
    const shx_segment_plan *plan = writer->plan;
    uint64_t blocks = segment_lay_out(writer);
    SHX_TRY(shx_columns_plan_make(plan->columns, plan->posting_count, segment_column, writer, pool, &writer->columns));
    if (plan->group) writer->seated = shx_columns_plan_order(writer->columns, plan->group - 1);
    SHX_TRY(segment_create(writer, store, uuid, id, blocks));
    shx_status status = segment_fill(writer, blocks, pool);
    if (status == SHX_OK) return shx_container_finish(&writer->out);
    shx_container_abandon(&writer->out);
    return status;
}

static void segment_size_rows(segment_writer *writer) {
    const shx_encoding *encoding = writer->plan->encoding;
    writer->vector_bytes = shx_encoding_vector_bytes(encoding);
    writer->slice_rows = (uint32_t)(SEGMENT_SLICE_BYTES / writer->vector_bytes);
    if (writer->slice_rows == 0) writer->slice_rows = 1;
    if (!shx_encoding_coded(encoding)) return;
    writer->block_bytes = shx_block_bytes(encoding->code_dim);
    writer->refine_bytes = shx_refine_bytes(encoding->code_dim);
    writer->factor_bytes = SHX_SEGMENT_FACTOR_BYTES;
}

shx_status shx_segment_write(shx_store *store, const shx_id *uuid, uint64_t id, const shx_segment_plan *plan,
                             shx_pool *pool, uint64_t *ret_checksum) {
    SHX_CHECK(plan->posting_count < UINT32_MAX, SHX_FULL);
    segment_writer writer = {.plan = plan, .progress = shx_pool_progress(pool)};
    unsigned threads = shx_pool_threads(pool);
    segment_size_rows(&writer);
    writer.runs = shx_alloc_zero(plan->run_count, sizeof *writer.runs);
    writer.buffers = shx_alloc_zero(threads, sizeof *writer.buffers);
    bool room = writer.runs && writer.buffers;
    shx_status status = room ? segment_write_file(&writer, store, uuid, id, pool) : SHX_NOMEM;
    if (status == SHX_OK) *ret_checksum = writer.out.checksum;
    for (unsigned i = 0; writer.buffers && i < threads; i++) segment_buffer_free(&writer.buffers[i]);
    shx_free(writer.buffers);
    shx_columns_plan_free(writer.columns);
    shx_free(writer.runs);
    return status;
}
