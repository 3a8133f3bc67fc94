#include "spill.h"

#include "memory.h"

typedef struct spill_file {
    shx_store *store;
    shx_wal_writer *writer;
    int64_t process; /* a forked child leaves the parent's file alone */
    bool finished;
} spill_file;

static void spill_release(void *context) {
    spill_file *spill = context;
    if (spill->process != shx_process()) return;
    if (!spill->finished) {
        char name[SHX_FILE_NAME_MAX];
        shx_file_name(SHX_FILE_WAL, shx_wal_writer_file(spill->writer), name);
        (void)shx_store_remove(spill->store, name);
    }
    shx_wal_writer_close(spill->writer);
    shx_free(spill);
}

/* Copies all bodies, those in a finished spill too. */
static shx_status spill_copy(const shx_pending *pending, shx_wal_writer *writer, shx_map *ret_map) {
    uint64_t size = 0;
    SHX_TRY(shx_wal_begin(writer));
    for (size_t i = 0; i < shx_pending_count(pending); i++) {
        const shx_op *op = shx_pending_op(pending, i);
        if (op->vector) SHX_TRY(shx_wal_put(writer, op));
    }
    SHX_TRY(shx_wal_flush(writer, &size));
    return shx_wal_map_bodies(writer, 0, size, ret_map);
}

shx_status shx_spill_start(shx_pending *pending, shx_store *store, shx_wal_writer *writer) {
    spill_file *spill = shx_alloc_zero(1, sizeof *spill);
    if (!spill) {
        shx_wal_writer_close(writer);
        return SHX_NOMEM;
    }
    *spill = (spill_file){.store = store, .writer = writer, .process = shx_process()};
    shx_map map = {0};
    shx_status status = spill_copy(pending, writer, &map);
    if (status == SHX_OK) status = shx_pending_settle_all(pending, &map);
    if (status == SHX_OK) {
        shx_pending_attach(pending, spill, spill_release);
    } else {
        shx_map_release(&map);
        spill_release(spill);
    }
    return status;
}

bool shx_spill_is_open(const shx_pending *pending) {
    const spill_file *spill = shx_pending_spill(pending);
    return spill && !spill->finished;
}

shx_status shx_spill_move(shx_pending *pending) {
    spill_file *spill = shx_pending_spill(pending);
    uint64_t start = shx_pending_spilled(pending), at = start, size;
    const uint8_t *bytes;
    if (shx_pending_held(pending) == 0) return SHX_OK;
    SHX_TRY(shx_wal_begin(spill->writer));
    for (uint64_t i = 0; shx_pending_piece(pending, i, &bytes, &size); i++) {
        SHX_TRY(shx_wal_write_bodies(spill->writer, at, bytes, size));
        at += size;
    }
    shx_map map;
    SHX_TRY(shx_wal_map_bodies(spill->writer, start, at - start, &map));
    shx_status status = shx_pending_settle(pending, &map);
    if (status != SHX_OK) shx_map_release(&map);
    return status;
}

shx_status shx_spill_finish(shx_pending *pending, const shx_id *commit, const shx_id *parent,
                            shx_wal_entry *ret_entry) {
    spill_file *spill = shx_pending_spill(pending);
    SHX_TRY(shx_spill_move(pending));
    SHX_TRY(shx_wal_begin(spill->writer));
    for (size_t i = 0; i < shx_pending_count(pending); i++) {
        SHX_TRY(shx_wal_note(spill->writer, shx_pending_op(pending, i)));
    }
    SHX_TRY(shx_wal_finish(spill->writer, commit, parent, ret_entry));
    spill->finished = true;
    return SHX_OK;
}
