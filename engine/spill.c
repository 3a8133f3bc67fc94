#include "spill.h"

#include "memory.h"

typedef struct spill_file {
    shx_store *store;
    shx_wal_writer *writer; /* of the bodies */
    shx_file *operations;
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
    shx_file_close(spill->operations);
    shx_wal_writer_close(spill->writer);
    shx_free(spill);
}

/* Writes the bodies from byte `at` on and maps them; nothing where there are none. */
static shx_status spill_move_bodies(const spill_file *spill, const shx_pending *pending, uint64_t at,
                                    shx_map *ret_map) {
    uint64_t end = at, size;
    const uint8_t *bytes;
    for (; shx_pending_bodies(pending, end, &bytes, &size); end += size) {
        SHX_TRY(shx_wal_write_bodies(spill->writer, end, bytes, size));
    }
    return end > at ? shx_wal_map_bodies(spill->writer, at, end - at, ret_map) : SHX_OK;
}

/* Writes the operations from `first` on and maps them all. */
static shx_status spill_move_operations(const spill_file *spill, const shx_pending *pending, size_t first,
                                        shx_map *ret_map) {
    uint64_t at = (uint64_t)first * SHX_PENDING_OP_BYTES, size;
    const uint8_t *bytes;
    for (; shx_pending_operations(pending, (size_t)(at / SHX_PENDING_OP_BYTES), &bytes, &size); at += size) {
        SHX_TRY(shx_file_write(spill->operations, at, bytes, size));
    }
    return shx_file_map(spill->operations, 0, at, ret_map);
}

static shx_status spill_move(const spill_file *spill, shx_pending *pending, uint64_t at, size_t first) {
    shx_map bodies = {0}, operations = {0};
    SHX_TRY(shx_wal_begin(spill->writer));
    shx_status status = spill_move_bodies(spill, pending, at, &bodies);
    if (status == SHX_OK) status = spill_move_operations(spill, pending, first, &operations);
    if (status == SHX_OK) status = shx_pending_settle(pending, at, &bodies, &operations);
    if (status != SHX_OK) {
        shx_map_release(&bodies);
        shx_map_release(&operations);
    }
    return status;
}

shx_status shx_spill_start(shx_pending *pending, shx_store *store, shx_wal_writer *writer, shx_file *operations) {
    spill_file *spill = shx_alloc_zero(1, sizeof *spill);
    if (!spill) {
        shx_file_close(operations);
        shx_wal_writer_close(writer);
        return SHX_NOMEM;
    }
    *spill = (spill_file){.store = store, .writer = writer, .operations = operations, .process = shx_process()};
    shx_status status = spill_move(spill, pending, 0, 0);
    if (status == SHX_OK) {
        shx_pending_attach(pending, spill, spill_release);
    } else {
        spill_release(spill);
    }
    return status;
}

bool shx_spill_is_open(const shx_pending *pending) {
    const spill_file *spill = shx_pending_spill(pending);
    return spill && !spill->finished;
}

shx_status shx_spill_move(shx_pending *pending) {
    if (shx_pending_heap(pending) == 0) return SHX_OK;
    return spill_move(shx_pending_spill(pending), pending, shx_pending_spilled(pending),
                      shx_pending_spilled_count(pending));
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
