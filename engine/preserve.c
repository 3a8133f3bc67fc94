#include "preserve.h"

#include "index_state.h"

/* Is a commit to be had from what stands in files? */
static bool preserve_is_there(shx_index *index, const shx_id *commit) {
    if (shx_id_equal(commit, &index->config.genesis)) return true;
    return shx_catalog_best_base(&index->catalog, commit, index->floor) || shx_catalog_find(&index->catalog, commit);
}

static shx_status preserve_record(shx_index *index, const shx_wal_record *record, const shx_id *parent,
                                  const shx_id *commit) {
    shx_wal_writer *writer;
    shx_wal_entry entry;
    shx_wal_cursor cursor = {0};
    SHX_TRY(shx_index_begin(index, &writer));
    while (cursor.operation < record->operation_count) {
        shx_op op = shx_wal_next(record, &cursor);
        SHX_TRY(shx_wal_put(writer, &op));
    }
    SHX_TRY(shx_wal_finish(writer, commit, parent, &entry));
    return shx_catalog_add(&index->catalog, &entry);
}

/* Each record leads from one mark to the next, the first one from a base: where that is gone, nobody could use them. */
static shx_status preserve_delta(shx_index *index, const shx_delta *delta) {
    for (uint64_t m = 1; m < delta->mark_count; m++) {
        const shx_id *parent = &delta->marks[m - 1].commit, *commit = &delta->marks[m].commit;
        if (!preserve_is_there(index, parent)) break;
        if (!preserve_is_there(index, commit)) SHX_TRY(preserve_record(index, &delta->records[m - 1], parent, commit));
    }
    return SHX_OK;
}

static shx_status preserve_all(shx_index *index, const shx_view *view) {
    SHX_TRY(shx_index_refresh(index));
    if (view) SHX_TRY(preserve_delta(index, view->delta));
    for (int i = 0; index->supplied > 0 && i < SHX_INDEX_DELTAS && index->deltas[i]; i++) {
        SHX_TRY(preserve_delta(index, index->deltas[i]));
    }
    return SHX_OK;
}

shx_status shx_index_preserve(shx_index *index, const shx_view *view) {
    pthread_mutex_lock(&index->mutex);
    bool any = view || index->supplied > 0;
    shx_status status = any ? preserve_all(index, view) : SHX_OK;
    if (status != SHX_OK) index->rotate = true;
    pthread_mutex_unlock(&index->mutex);
    return status;
}
