#include "delta.h"

#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <string.h>

#define DELTA_CHECK_OPERATIONS 8192 /* between two questions whether to stop */

/* From so many bytes of codes on no more rows are coded: a commit may be of any size, and the rest is compared exactly
** until the flush that is due by then. */
#define DELTA_CODES_BYTES (UINT64_C(64) << 20)

static int64_t delta_commit_key(const shx_id *commit) { return (int64_t)shx_get64(commit->bytes); }

static int64_t delta_mark_key(const void *delta, uint32_t position) {
    return delta_commit_key(&((const shx_delta *)delta)->marks[position].commit);
}

static int64_t delta_row_key(const void *delta, uint32_t position) { return shx_delta_rowid_at(delta, position); }

static shx_rowmap_keys delta_mark_keys(const shx_delta *delta) { return (shx_rowmap_keys){delta, delta_mark_key}; }
static shx_rowmap_keys delta_row_keys(const shx_delta *delta) { return (shx_rowmap_keys){delta, delta_row_key}; }

static shx_status delta_mark(shx_delta *delta, const shx_id *commit) {
    SHX_TRY(shx_grow((void **)&delta->marks, &delta->mark_capacity, delta->mark_count + 1, sizeof *delta->marks));
    delta->marks[delta->mark_count] = (shx_delta_mark){.commit = *commit,
                                                       .operations = delta->operation_count,
                                                       .rows = delta->row_count,
                                                       .live_rows = delta->live_rows};
    SHX_TRY(shx_rowmap_put(&delta->commits, delta_mark_keys(delta), (uint32_t)delta->mark_count));
    delta->mark_count++;
    return SHX_OK;
}

/* Masks of every segment start as the base's tombstones; they exist from the start, since readers take no lock. */
static shx_status delta_copy_tombstones(shx_delta *delta) {
    for (uint32_t s = 0; s < delta->base->segment_count; s++) {
        uint64_t blocks = delta->base->segments[s]->block_count;
        delta->dead[s].mask = shx_alloc_zero(blocks, sizeof(atomic_uint));
        SHX_CHECK(delta->dead[s].mask, SHX_NOMEM);
        for (uint64_t b = 0; delta->base->dead[s] && b < blocks; b++) {
            atomic_init(&delta->dead[s].mask[b], delta->base->dead[s][b]);
        }
    }
    return SHX_OK;
}

shx_status shx_delta_create(shx_base *base, shx_delta **ret_delta) {
    shx_delta *delta = shx_alloc_zero(1, sizeof *delta);
    SHX_CHECK(delta, SHX_NOMEM);
    atomic_init(&delta->references, 1);
    delta->base = base;
    shx_base_retain(base);
    delta->live_rows = base->info.live_rows;
    delta->codes.encoding = &base->encoding;
    delta->vector_bytes = shx_encoding_vector_bytes(&base->encoding);
    shx_status status = delta_copy_tombstones(delta);
    if (status == SHX_OK) status = delta_mark(delta, &base->info.commit);
    if (status != SHX_OK) {
        shx_delta_release(delta);
        return status;
    }
    *ret_delta = delta;
    return SHX_OK;
}

void shx_delta_retain(shx_delta *delta) { atomic_fetch_add(&delta->references, 1); }

void shx_delta_release(shx_delta *delta) {
    if (!delta || atomic_fetch_sub(&delta->references, 1) > 1) return;
    for (int c = 0; c < SHX_DELTA_CHUNKS; c++) {
        shx_free(delta->chunks[c]);
        shx_free((void *)atomic_load(&delta->killed[c]));
    }
    for (int s = 0; s < SHX_SEGMENTS_MAX; s++) {
        shx_free((void *)delta->dead[s].mask);
        shx_free((void *)atomic_load(&delta->dead[s].when));
    }
    for (uint64_t i = 0; i < delta->record_count; i++) shx_wal_record_close(&delta->records[i]);
    shx_delta_codes_free(&delta->codes);
    shx_free(delta->records);
    shx_free(delta->marks);
    shx_rowmap_free(&delta->latest);
    shx_rowmap_free(&delta->commits);
    shx_base_release(delta->base);
    shx_free(delta);
}

/* Codes the last 32 rows, unless rows before them have no codes. */
static shx_status delta_code_block(shx_delta *delta) {
    const void *vectors[SHX_BLOCK_ROWS];
    if (atomic_load(&delta->codes.coded_rows) + SHX_BLOCK_ROWS != delta->row_count) return SHX_OK;
    if (shx_delta_codes_bytes(&delta->codes) >= DELTA_CODES_BYTES) return SHX_OK;
    for (uint32_t i = 0; i < SHX_BLOCK_ROWS; i++) {
        vectors[i] = shx_delta_vector_at(delta, delta->row_count - SHX_BLOCK_ROWS + i);
    }
    return shx_delta_codes_append(&delta->codes, vectors);
}

static uint64_t delta_chunk_rows(uint32_t chunk) { return (uint64_t)SHX_DELTA_FIRST_CHUNK << chunk; }

static shx_status delta_append_row(shx_delta *delta, const uint8_t *operation, const uint8_t *body) {
    uint32_t offset, chunk = shx_delta_chunk(delta->row_count, &offset);
    SHX_CHECK(chunk < SHX_DELTA_CHUNKS, SHX_FULL);
    if (!delta->chunks[chunk]) delta->chunks[chunk] = shx_alloc(delta_chunk_rows(chunk) * sizeof(shx_delta_place));
    SHX_CHECK(delta->chunks[chunk], SHX_NOMEM);
    delta->chunks[chunk][offset] = (shx_delta_place){operation, body};
    SHX_TRY(shx_rowmap_put(&delta->latest, delta_row_keys(delta), delta->row_count));
    delta->row_count++;
    delta->live_rows++;
    bool coded = delta->base->shards && shx_encoding_coded(&delta->base->encoding);
    return coded && delta->row_count % SHX_BLOCK_ROWS == 0 ? delta_code_block(delta) : SHX_OK;
}

/* Marks a row of the delta dead from now on. */
static shx_status delta_kill_row(shx_delta *delta, uint32_t position) {
    uint32_t offset, chunk = shx_delta_chunk(position, &offset);
    atomic_uint *killed = atomic_load(&delta->killed[chunk]);
    if (!killed) {
        killed = shx_alloc_zero(delta_chunk_rows(chunk), sizeof *killed);
        SHX_CHECK(killed, SHX_NOMEM);
        atomic_store_explicit(&delta->killed[chunk], killed, memory_order_release);
    }
    atomic_store_explicit(&killed[offset], delta->operation_count + 1, memory_order_release);
    return SHX_OK;
}

/* Marks a segment's slot dead from now on. The number goes in before the bit, so that a reader who sees the bit
** sees it. */
static shx_status delta_kill_slot(shx_delta *delta, uint32_t segment, uint64_t slot) {
    shx_dead *dead = &delta->dead[segment];
    atomic_uint *when = atomic_load(&dead->when);
    if (!when) {
        when = shx_alloc_zero(delta->base->segments[segment]->block_count * SHX_BLOCK_ROWS, sizeof *when);
        SHX_CHECK(when, SHX_NOMEM);
        atomic_store_explicit(&dead->when, when, memory_order_release);
    }
    atomic_store_explicit(&when[slot], delta->operation_count + 1, memory_order_relaxed);
    atomic_fetch_or_explicit(&dead->mask[slot / SHX_BLOCK_ROWS], UINT32_C(1) << (slot % SHX_BLOCK_ROWS),
                             memory_order_release);
    return SHX_OK;
}

static bool delta_slot_alive(const shx_delta *delta, uint32_t segment, uint64_t slot) {
    uint32_t mask = atomic_load(&delta->dead[segment].mask[slot / SHX_BLOCK_ROWS]);
    return (mask >> (slot % SHX_BLOCK_ROWS) & 1) == 0;
}

/* Kills the posting with this rowid, wherever it is; none is not an error. A row of the delta that is dead already does
** not speak for the segments. */
static shx_status delta_kill(shx_delta *delta, int64_t rowid) {
    uint32_t position;
    if (shx_rowmap_get(&delta->latest, delta_row_keys(delta), rowid, &position)) {
        if (shx_delta_row_alive(delta, position, UINT32_MAX) || SHX_PLANTED(30)) {
            delta->live_rows--;
            return delta_kill_row(delta, position);
        }
    }
    for (uint32_t s = 0; s < delta->base->segment_count; s++) {
        uint64_t row;
        SHX_TRY(shx_segment_verify_rowids(delta->base->segments[s]));
        if (!shx_segment_find(delta->base->segments[s], rowid, &row)) continue;
        uint64_t slot = shx_segment_slot(delta->base->segments[s], row);
        if (!delta_slot_alive(delta, s, slot)) continue;
        delta->live_rows--;
        return delta_kill_slot(delta, s, slot);
    }
    return SHX_OK;
}

static shx_status delta_apply_one(shx_delta *delta, const shx_wal_record *record, shx_wal_cursor *cursor) {
    const uint8_t *operation = record->operations + cursor->operation * SHX_OPERATION_BYTES;
    shx_op op = shx_wal_next(record, cursor);
    if (op.kind == SHX_OP_REPLACE || op.kind == SHX_OP_DELETE) SHX_TRY(delta_kill(delta, op.rowid));
    if (op.vector) SHX_TRY(delta_append_row(delta, operation, op.vector));
    delta->operation_count++;
    return SHX_OK;
}

shx_status shx_delta_apply(shx_delta *delta, shx_wal_record *record, const shx_id *commit, const shx_stop *stop) {
    shx_status status =
        shx_grow((void **)&delta->records, &delta->record_capacity, delta->record_count + 1, sizeof *delta->records);
    if (status != SHX_OK) {
        shx_wal_record_close(record);
        return status;
    }
    shx_wal_record *owned = &delta->records[delta->record_count++];
    *owned = *record;
    SHX_CHECK(delta->operation_count + owned->operation_count < UINT32_MAX, SHX_FULL);
    shx_wal_cursor cursor = {0};
    while (cursor.operation < owned->operation_count) {
        SHX_CHECK((cursor.operation + 1) % DELTA_CHECK_OPERATIONS != 0 || !shx_stop_wanted(stop), SHX_INTERRUPT);
        SHX_TRY(delta_apply_one(delta, owned, &cursor));
    }
    return delta_mark(delta, commit);
}

const shx_delta_mark *shx_delta_find(const shx_delta *delta, const shx_id *commit) {
    uint32_t position;
    if (!shx_rowmap_get(&delta->commits, delta_mark_keys(delta), delta_commit_key(commit), &position)) return NULL;
    const shx_delta_mark *mark = &delta->marks[position];
    return shx_id_equal(&mark->commit, commit) ? mark : NULL;
}

const shx_delta_mark *shx_delta_tip(const shx_delta *delta) { return &delta->marks[delta->mark_count - 1]; }

uint64_t shx_delta_bytes(const shx_delta *delta) {
    uint64_t bytes = shx_delta_codes_bytes(&delta->codes) + delta->mark_capacity * sizeof *delta->marks +
                     delta->record_capacity * sizeof *delta->records;
    bytes += (delta->latest.capacity + delta->commits.capacity) * sizeof(uint32_t);
    for (uint32_t c = 0; c < SHX_DELTA_CHUNKS; c++) {
        if (delta->chunks[c]) bytes += delta_chunk_rows(c) * sizeof(shx_delta_place);
        if (atomic_load(&delta->killed[c])) bytes += delta_chunk_rows(c) * sizeof(atomic_uint);
    }
    for (uint32_t s = 0; s < delta->base->segment_count; s++) {
        uint64_t blocks = delta->base->segments[s]->block_count;
        if (delta->dead[s].mask) bytes += blocks * sizeof *delta->dead[s].mask;
        if (atomic_load(&delta->dead[s].when)) bytes += blocks * SHX_BLOCK_ROWS * sizeof(atomic_uint);
    }
    return bytes;
}
