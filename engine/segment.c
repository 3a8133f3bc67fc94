#include "segment.h"

#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <string.h>

#define SEGMENT_CHECK_RUNS 64 /* runs, and vectors, between two questions whether to stop */
#define SEGMENT_CHECK_VECTORS 256
#define SEGMENT_SCATTER_MAX 1e36f /* as of factors (shx_factor_scale_usable) */

static_assert(sizeof(shx_run) == 64, "a run is 64 bytes on disk");
static_assert(offsetof(shx_run, checksum) == 40, "a run's checksum stands at 40");
static_assert(offsetof(shx_run, rowids_checksum) == 48, "the checksum of its rowids stands at 48");
static_assert(sizeof(shx_fingerprint) == 16, "a fingerprint is 16 bytes on disk");

/* ---- reading ---- */

static shx_status segment_read_info(shx_segment *segment, const shx_encoding *encoding) {
    const void *bytes;
    SHX_TRY(shx_container_section(&segment->container, SHX_SEGMENT_INFO, 1, SHX_SEGMENT_INFO_BYTES, &bytes));
    const uint8_t *info = bytes;
    segment->row_count = shx_get64(info);
    segment->block_count = shx_get64(info + 8);
    segment->run_count = shx_get32(info + 16);
    segment->code_dim = shx_get32(info + 24);
    segment->encoding_id = shx_get64(info + 32);
    segment->columns.count = shx_get32(info + 48);
    segment->group = shx_get32(info + 52);
    SHX_CHECK(segment->group <= segment->columns.count, shx_corrupt("group"));
    SHX_CHECK(segment->row_count < UINT32_MAX && segment->block_count <= segment->row_count, shx_corrupt("row count"));
    SHX_CHECK(shx_get32(info + 20) == encoding->dim && segment->code_dim == encoding->code_dim,
              shx_corrupt("dimension"));
    SHX_CHECK(shx_get32(info + 28) == (uint32_t)encoding->metric, shx_corrupt("metric"));
    SHX_CHECK(shx_get32(info + 40) == (uint32_t)encoding->element, shx_corrupt("element type"));
    segment->vector_bytes = shx_encoding_vector_bytes(encoding);
    if (!shx_encoding_coded(encoding)) return SHX_OK;
    segment->block_bytes = shx_block_bytes(segment->code_dim);
    segment->refine_bytes = shx_refine_bytes(segment->code_dim);
    segment->factor_bytes = SHX_SEGMENT_FACTOR_BYTES;
    return SHX_OK;
}

static shx_status segment_find_sections(shx_segment *segment) {
    const shx_container *container = &segment->container;
    uint64_t n = segment->row_count;
    const void *runs, *blocks, *refine, *factors, *vectors, *rowids, *fingerprints, *order, *seats;
    uint64_t seat_count = segment->group ? n : 0;
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_RUNS, segment->run_count, sizeof(shx_run), &runs));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_BLOCKS, segment->block_count, segment->block_bytes, &blocks));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_REFINE, n, segment->refine_bytes, &refine));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_FACTORS, n, segment->factor_bytes, &factors));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_VECTORS, n, segment->vector_bytes, &vectors));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_ROWIDS, n, sizeof(int64_t), &rowids));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_FINGERPRINTS, n, sizeof(shx_fingerprint), &fingerprints));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_ORDER, n, sizeof(uint32_t), &order));
    SHX_TRY(shx_container_section(container, SHX_SEGMENT_SEATS, seat_count, sizeof(uint32_t), &seats));
    segment->runs = runs;
    segment->blocks = blocks;
    segment->refine = refine;
    segment->factors = factors;
    segment->vectors = vectors;
    segment->rowids = rowids;
    segment->fingerprints = fingerprints;
    segment->order = order;
    segment->seats = segment->group ? seats : NULL;
    return SHX_OK;
}

static shx_status segment_check_runs(const shx_segment *segment) {
    uint64_t row = 0, block = 0, shard = 0;
    for (uint32_t i = 0; i < segment->run_count; i++) {
        const shx_run *run = &segment->runs[i];
        SHX_CHECK(run->shard > shard, shx_corrupt("order of runs"));
        SHX_CHECK(run->rows > 0 && run->first_row == row && run->first_block == block, shx_corrupt("run"));
        SHX_CHECK(shx_factor_scale_usable(&run->scale), shx_corrupt("scale of a run"));
        SHX_CHECK(run->scatter >= 0 && run->scatter <= SEGMENT_SCATTER_MAX, shx_corrupt("scatter of a run"));
        row += run->rows;
        block += shx_blocks_of(run->rows);
        shard = run->shard;
    }
    SHX_CHECK(row == segment->row_count && block == segment->block_count, shx_corrupt("runs do not cover the rows"));
    for (uint64_t i = 0; i < segment->row_count; i++) {
        SHX_CHECK(segment->order[i] < segment->row_count, shx_corrupt("row order"));
        SHX_CHECK(shx_segment_seat(segment, i) < segment->row_count, shx_corrupt("seat"));
    }
    return SHX_OK;
}

/* What is noted beside the file: what was tested, and where runs begin. The runs cover the rows. */
static shx_status segment_make_notes(shx_segment *segment) {
    uint64_t rows = segment->row_count, parts = (rows + SHX_SEGMENT_STRIDE - 1) / SHX_SEGMENT_STRIDE;
    segment->verified = shx_alloc_zero((uint64_t)segment->run_count + 1, sizeof *segment->verified);
    segment->verified_seat = shx_alloc_zero(rows / 8 + 1, sizeof *segment->verified_seat);
    segment->first_run = shx_alloc_zero(parts, sizeof *segment->first_run);
    SHX_CHECK(segment->verified && segment->verified_seat && segment->first_run, SHX_NOMEM);
    uint32_t run = 0;
    for (uint64_t part = 0; part < parts; part++) {
        uint64_t row = part * SHX_SEGMENT_STRIDE;
        while (row - segment->runs[run].first_row >= segment->runs[run].rows) run++;
        segment->first_run[part] = run;
    }
    return SHX_OK;
}

shx_status shx_segment_open(shx_store *store, const shx_id *uuid, uint64_t id, const shx_encoding *encoding,
                            shx_segment **ret_segment) {
    shx_segment *segment = shx_alloc_zero(1, sizeof *segment);
    SHX_CHECK(segment, SHX_NOMEM);
    atomic_init(&segment->references, 1);
    segment->id = id;
    shx_status status = shx_container_open(store, SHX_FILE_SEGMENT, uuid, id, &segment->container);
    if (status == SHX_OK) status = segment_read_info(segment, encoding);
    if (status == SHX_OK) status = segment_find_sections(segment);
    if (status == SHX_OK) status = segment_check_runs(segment);
    if (status == SHX_OK) {
        status = shx_columns_open(&segment->container, id, segment->columns.count, segment->row_count,
                                  segment->run_count, &segment->columns);
    }
    if (status == SHX_OK) status = segment_make_notes(segment);
    if (status != SHX_OK) {
        shx_segment_release(segment);
        return status;
    }
    *ret_segment = segment;
    return SHX_OK;
}

void shx_segment_retain(shx_segment *segment) { atomic_fetch_add(&segment->references, 1); }

void shx_segment_release(shx_segment *segment) {
    if (!segment || atomic_fetch_sub(&segment->references, 1) > 1) return;
    shx_columns_free(&segment->columns);
    shx_container_close(&segment->container);
    shx_free((void *)segment->verified);
    shx_free((void *)segment->verified_seat);
    shx_free(segment->first_run);
    shx_free(segment);
}

static uint64_t segment_run_checksum(const shx_segment *segment, const shx_run *run) {
    uint64_t row = run->first_row, rows = run->rows, blocks = shx_blocks_of(rows);
    uint64_t hash = segment->id;
    hash = shx_hash64(segment->blocks + run->first_block * segment->block_bytes, blocks * segment->block_bytes, hash);
    hash = shx_hash64(segment->refine + row * segment->refine_bytes, rows * segment->refine_bytes, hash);
    hash =
        shx_hash64((const uint8_t *)segment->factors + row * segment->factor_bytes, rows * segment->factor_bytes, hash);
    hash = shx_hash64(segment->rowids + row, rows * sizeof(int64_t), hash);
    hash = shx_hash64(segment->fingerprints + row, rows * sizeof(shx_fingerprint), hash);
    return shx_columns_hash_ids(&segment->columns, row, rows, hash);
}

#define SEGMENT_RUN_VERIFIED 1
#define SEGMENT_VECTORS_VERIFIED 2
#define SEGMENT_ROWIDS_VERIFIED 4 /* of all runs */

static bool segment_is_verified(const shx_segment *segment, uint32_t run, unsigned char what) {
    return (atomic_load_explicit(&segment->verified[run], memory_order_relaxed) & what) != 0;
}

shx_status shx_segment_verify_run(shx_segment *segment, uint32_t run) {
    if (segment_is_verified(segment, run, SEGMENT_RUN_VERIFIED)) return SHX_OK;
    uint64_t checksum = segment_run_checksum(segment, &segment->runs[run]);
    SHX_CHECK(checksum == segment->runs[run].checksum || SHX_PLANTED(6), shx_corrupt("run checksum"));
    atomic_fetch_or_explicit(&segment->verified[run], SEGMENT_RUN_VERIFIED, memory_order_relaxed);
    return SHX_OK;
}

shx_status shx_segment_verify_rowids(const shx_segment *segment) {
    if (segment_is_verified(segment, segment->run_count, SEGMENT_ROWIDS_VERIFIED) || SHX_PLANTED(52)) return SHX_OK;
    for (uint32_t i = 0; i < segment->run_count; i++) {
        const shx_run *run = &segment->runs[i];
        uint64_t checksum = shx_hash64(segment->rowids + run->first_row, run->rows * sizeof(int64_t), segment->id);
        SHX_CHECK(checksum == run->rowids_checksum, shx_corrupt("rowids"));
    }
    atomic_store_explicit(&segment->verified[segment->run_count], SEGMENT_ROWIDS_VERIFIED, memory_order_relaxed);
    return SHX_OK;
}

static shx_status segment_test_vector(const shx_segment *segment, uint64_t row) {
    uint64_t hash = shx_hash64(shx_segment_vector_at(segment, row), segment->vector_bytes, 0);
    SHX_CHECK(hash == segment->fingerprints[row].vector_hash || SHX_PLANTED(7), shx_corrupt("vector"));
    return SHX_OK;
}

shx_status shx_segment_vector(shx_segment *segment, uint64_t row, const void **ret_vector) {
    uint64_t seat = shx_segment_seat(segment, row);
    if (!shx_segment_seat_is_verified(segment, seat)) {
        SHX_TRY(shx_segment_verify_run(segment, shx_segment_run_of(segment, row)));
        SHX_TRY(segment_test_vector(segment, row));
        atomic_fetch_or_explicit(&segment->verified_seat[seat / 8], (unsigned char)(1 << seat % 8),
                                 memory_order_relaxed);
    }
    *ret_vector = shx_segment_vector_in(segment, seat);
    return SHX_OK;
}

shx_status shx_segment_verify_vectors(shx_segment *segment, uint32_t run) {
    if (segment_is_verified(segment, run, SEGMENT_VECTORS_VERIFIED)) return SHX_OK;
    const void *vector;
    uint64_t first = segment->runs[run].first_row;
    SHX_TRY(shx_segment_verify_run(segment, run));
    for (uint64_t i = 0; i < segment->runs[run].rows; i++) SHX_TRY(shx_segment_vector(segment, first + i, &vector));
    atomic_fetch_or_explicit(&segment->verified[run], SEGMENT_VECTORS_VERIFIED, memory_order_relaxed);
    return SHX_OK;
}

bool shx_segment_find(const shx_segment *segment, int64_t rowid, uint64_t *ret_row) {
    uint64_t low = 0, high = segment->row_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (segment->rowids[segment->order[middle]] < rowid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == segment->row_count || segment->rowids[segment->order[low]] != rowid) return false;
    *ret_row = segment->order[low];
    return true;
}

uint32_t shx_segment_run_of(const shx_segment *segment, uint64_t row) {
    uint64_t part = row / SHX_SEGMENT_STRIDE;
    bool last = (part + 1) * SHX_SEGMENT_STRIDE >= segment->row_count;
    uint32_t low = segment->first_run[part], high = last ? segment->run_count : segment->first_run[part + 1] + 1;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->runs[middle].first_row <= row) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t shx_segment_slot(const shx_segment *segment, uint64_t row) {
    const shx_run *run = &segment->runs[shx_segment_run_of(segment, row)];
    return (uint64_t)run->first_block * SHX_BLOCK_ROWS + (row - run->first_row);
}

shx_status shx_segment_check(shx_segment *segment, const shx_stop *stop) {
    for (uint32_t i = 0; i < segment->run_count; i++) {
        SHX_CHECK(i % SEGMENT_CHECK_RUNS != 0 || !shx_stop_wanted(stop), SHX_INTERRUPT);
        uint64_t checksum = segment_run_checksum(segment, &segment->runs[i]);
        SHX_CHECK(checksum == segment->runs[i].checksum, shx_corrupt("run checksum"));
    }
    SHX_TRY(shx_segment_verify_rowids(segment));
    for (uint64_t i = 0; i < segment->row_count; i++) {
        SHX_CHECK(i % SEGMENT_CHECK_VECTORS != 0 || !shx_stop_wanted(stop), SHX_INTERRUPT);
        SHX_TRY(segment_test_vector(segment, i));
        bool ascends = i == 0 || segment->rowids[segment->order[i - 1]] < segment->rowids[segment->order[i]];
        SHX_CHECK(ascends, shx_corrupt("order of rowids"));
    }
    SHX_TRY(shx_columns_check(&segment->columns));
    for (uint64_t i = 0; segment->group && i < segment->row_count; i++) {
        SHX_CHECK(segment->seats[shx_segment_seated_rows(segment)[i]] == i, shx_corrupt("order of seats"));
    }
    return SHX_OK;
}
