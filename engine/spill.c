#include "spill.h"

#include "memory.h"
#include "pool.h"

#include <assert.h>

/* Bodies on their way: pieces of the heap, which stay as they are meanwhile. */
typedef struct spill_piece {
    const uint8_t *bytes;
    uint64_t size;
} spill_piece;

typedef struct spill_batch {
    uint64_t at, size; /* of all bodies */
    size_t operations; /* so many stand in front of what follows */
    spill_piece *pieces;
    uint64_t piece_count, piece_capacity;
    bool under_way, threaded;
    pthread_t thread;
    shx_status status; /* of the writing, once it has ended */
} spill_batch;

typedef struct spill_file {
    shx_store *store;
    shx_wal_writer *writer; /* of the bodies */
    shx_file *operations;
    int64_t process; /* a forked child leaves the parent's file alone */
    bool finished, threads;
    spill_batch batch;
} spill_file;

/* ---- bodies under way ---- */

static void *spill_write(void *context) {
    spill_file *spill = context;
    spill_batch *batch = &spill->batch;
    uint64_t at = batch->at;
    batch->status = SHX_OK;
    for (uint64_t i = 0; batch->status == SHX_OK && i < batch->piece_count; i++) {
        batch->status = shx_wal_write_bodies(spill->writer, at, batch->pieces[i].bytes, batch->pieces[i].size);
        at += batch->pieces[i].size;
    }
    return NULL;
}

/* Takes what has to be written from the list, the bodies from byte `at` on. */
static shx_status spill_gather(spill_batch *batch, shx_pending *pending, uint64_t at) {
    spill_piece piece;
    shx_pending_seal(pending);
    batch->at = at;
    batch->piece_count = batch->size = 0;
    batch->operations = shx_pending_count(pending);
    while (shx_pending_bodies(pending, at + batch->size, &piece.bytes, &piece.size)) {
        SHX_TRY(shx_grow((void **)&batch->pieces, &batch->piece_capacity, batch->piece_count + 1, sizeof piece));
        batch->pieces[batch->piece_count++] = piece;
        batch->size += piece.size;
    }
    return SHX_OK;
}

/* Begins to write the bodies from byte `at` on: in a thread, which leaves this one to go on, or here. */
static shx_status spill_begin(spill_file *spill, shx_pending *pending, uint64_t at, bool in_thread) {
    spill_batch *batch = &spill->batch;
    assert(!batch->under_way);
    SHX_TRY(shx_wal_begin(spill->writer));
    SHX_TRY(spill_gather(batch, pending, at));
    bool wanted = in_thread && spill->threads && batch->size > 0;
    batch->threaded = wanted && shx_thread_start(spill_write, spill, &batch->thread);
    if (!batch->threaded) (void)spill_write(spill);
    batch->under_way = true;
    return SHX_OK;
}

/* Waits until the bodies are written, and forgets that they are. In a forked child nobody writes. */
static void spill_rest(void *context) {
    spill_file *spill = context;
    spill_batch *batch = &spill->batch;
    if (batch->under_way && batch->threaded && spill->process == shx_process()) pthread_join(batch->thread, NULL);
    batch->under_way = false;
}

/* Writes the operations from `first` on, those of the batch, and maps all up to there. */
static shx_status spill_move_operations(const spill_file *spill, const shx_pending *pending, size_t first,
                                        shx_map *ret_map) {
    uint64_t at = (uint64_t)first * SHX_PENDING_OP_BYTES, size;
    uint64_t end = (uint64_t)spill->batch.operations * SHX_PENDING_OP_BYTES;
    const uint8_t *bytes;
    for (; at < end && shx_pending_operations(pending, (size_t)(at / SHX_PENDING_OP_BYTES), &bytes, &size);
         at += size) {
        if (size > end - at) size = end - at;
        SHX_TRY(shx_file_write(spill->operations, at, bytes, size));
    }
    return shx_file_map(spill->operations, 0, at, ret_map);
}

/* What is under way stands in the files from now on. */
static shx_status spill_complete(spill_file *spill, shx_pending *pending) {
    const spill_batch *batch = &spill->batch;
    shx_map bodies = {0}, operations = {0};
    if (!batch->under_way) return SHX_OK;
    spill_rest(spill);
    shx_status status = batch->status;
    if (status == SHX_OK && batch->size > 0) {
        status = shx_wal_map_bodies(spill->writer, batch->at, batch->size, &bodies);
    }
    size_t first = batch->at == 0 ? 0 : shx_pending_spilled_count(pending);
    if (status == SHX_OK) status = spill_move_operations(spill, pending, first, &operations);
    if (status == SHX_OK) status = shx_pending_settle(pending, batch->at, &bodies, &operations);
    if (status != SHX_OK) {
        shx_map_release(&bodies);
        shx_map_release(&operations);
    }
    return status;
}

/* ---- the spill ---- */

static void spill_release(void *context) {
    spill_file *spill = context;
    spill_rest(spill);
    if (spill->process != shx_process()) return;
    if (!spill->finished) (void)shx_file_remove_id(spill->store, SHX_FILE_WAL, shx_wal_writer_file(spill->writer));
    shx_file_close(spill->operations);
    shx_wal_writer_close(spill->writer);
    shx_free(spill->batch.pieces);
    shx_free(spill);
}

shx_status shx_spill_start(shx_pending *pending, shx_store *store, shx_wal_writer *writer, shx_file *operations,
                           bool threads) {
    spill_file *spill = shx_alloc_zero(1, sizeof *spill);
    if (!spill) {
        shx_file_close(operations);
        shx_wal_writer_close(writer);
        return SHX_NOMEM;
    }
    *spill = (spill_file){
        .store = store, .writer = writer, .operations = operations, .process = shx_process(), .threads = threads};
    shx_status status = spill_begin(spill, pending, 0, false);
    if (status == SHX_OK) status = spill_complete(spill, pending);
    if (status == SHX_OK) {
        shx_pending_attach(pending, spill, spill_rest, spill_release);
    } else {
        spill_release(spill);
    }
    return status;
}

bool shx_spill_is_open(const shx_pending *pending) {
    const spill_file *spill = shx_pending_spill(pending);
    return spill && !spill->finished;
}

uint64_t shx_spill_waiting(const shx_pending *pending) {
    const spill_file *spill = shx_pending_spill(pending);
    const spill_batch *batch = &spill->batch;
    if (!batch->under_way) return shx_pending_heap(pending);
    size_t operations = batch->operations - shx_pending_spilled_count(pending);
    return shx_pending_heap(pending) - batch->size - operations * SHX_PENDING_OP_BYTES;
}

shx_status shx_spill_advance(shx_pending *pending) {
    spill_file *spill = shx_pending_spill(pending);
    SHX_TRY(spill_complete(spill, pending));
    return spill_begin(spill, pending, shx_pending_spilled(pending), true);
}

shx_status shx_spill_move(shx_pending *pending) {
    spill_file *spill = shx_pending_spill(pending);
    SHX_TRY(spill_complete(spill, pending));
    if (shx_pending_heap(pending) == 0) return SHX_OK;
    SHX_TRY(spill_begin(spill, pending, shx_pending_spilled(pending), false));
    return spill_complete(spill, pending);
}

shx_status shx_spill_finish(shx_pending *pending, const shx_id *commit, const shx_id *parent,
                            shx_wal_entry *ret_entry) {
    spill_file *spill = shx_pending_spill(pending);
    SHX_TRY(shx_spill_move(pending));
    SHX_TRY(shx_wal_begin_operations(spill->writer, shx_pending_spilled(pending)));
    for (size_t i = 0; i < shx_pending_count(pending); i++) {
        shx_op op = shx_pending_op(pending, i);
        SHX_TRY(shx_wal_note(spill->writer, &op));
    }
    SHX_TRY(shx_wal_finish(spill->writer, commit, parent, ret_entry));
    spill->finished = true;
    return SHX_OK;
}
