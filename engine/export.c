#include "export.h"

#include "index_state.h"
#include "memory.h"

#define EXPORT_PIECE (UINT64_C(1) << 20)

/* A WAL file and how much of it is needed. */
typedef struct export_log {
    uint64_t file, end;
} export_log;

static shx_status export_bytes(shx_file *file, const uint8_t *bytes, uint64_t size, const shx_stop *stop) {
    for (uint64_t done = 0; done < size; done += EXPORT_PIECE) {
        SHX_CHECK(!shx_stop_wanted(stop), SHX_INTERRUPT);
        uint64_t piece = size - done < EXPORT_PIECE ? size - done : EXPORT_PIECE;
        SHX_TRY(shx_file_write(file, done, bytes + done, piece));
    }
    return shx_file_sync(file);
}

static shx_status export_file(shx_store *to, shx_file_kind kind, uint64_t id, const shx_map *map,
                              const shx_stop *stop) {
    shx_file *file;
    SHX_TRY(shx_file_open_id(to, kind, id, SHX_OPEN_CREATE, &file));
    shx_status status = export_bytes(file, map->bytes, map->size, stop);
    shx_file_close(file);
    return status;
}

static shx_status export_log_file(shx_index *index, const export_log *log, shx_store *to, const shx_stop *stop) {
    shx_file *file;
    shx_map map;
    SHX_TRY(shx_file_open_id(index->store, SHX_FILE_WAL, log->file, SHX_OPEN_READ, &file));
    shx_status status = shx_file_map(file, 0, log->end, &map);
    shx_file_close(file);
    SHX_TRY(status);
    status = export_file(to, SHX_FILE_WAL, log->file, &map, stop);
    shx_map_release(&map);
    return status;
}

/* Which WAL files hold the records from the base to the view. Call with the mutex held. */
static shx_status export_find_logs(const shx_index *index, const shx_view *view, export_log *logs, uint64_t *count) {
    const shx_delta *delta = view->delta;
    for (uint64_t i = 1; i < delta->mark_count && delta->marks[i].operations <= view->mark.operations; i++) {
        const shx_wal_entry *entry = shx_catalog_find(&index->catalog, &delta->marks[i].commit);
        SHX_CHECK(entry, SHX_NOTFOUND);
        uint64_t at = 0, end = entry->offset + entry->length;
        while (at < *count && logs[at].file != entry->file) at++;
        if (at == *count) logs[(*count)++] = (export_log){.file = entry->file};
        if (logs[at].end < end) logs[at].end = end;
        if (shx_id_equal(&delta->marks[i].commit, &view->mark.commit)) break;
    }
    return SHX_OK;
}

static shx_status export_logs(shx_index *index, const shx_view *view, shx_store *to, const shx_stop *stop) {
    uint64_t count = 0;
    pthread_mutex_lock(&index->mutex);
    export_log *logs = shx_alloc_zero(index->catalog.file_count + 1, sizeof *logs);
    shx_status status = logs ? export_find_logs(index, view, logs, &count) : SHX_NOMEM;
    pthread_mutex_unlock(&index->mutex);
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) status = export_log_file(index, &logs[i], to, stop);
    shx_free(logs);
    return status;
}

/* An immutable file from its mapping; its header says how it is called. */
static shx_status export_container(shx_store *to, const shx_container *container, const shx_stop *stop) {
    const uint8_t *header = container->map.bytes;
    return export_file(to, (shx_file_kind)shx_get32(header + 12), shx_get64(header + 32), &container->map, stop);
}

shx_status shx_index_export(shx_index *index, const shx_view *view, shx_store *to, const shx_stop *stop) {
    const shx_base *base = view->delta->base;
    SHX_TRY(export_logs(index, view, to, stop));
    for (uint32_t i = 0; i < base->segment_count; i++) {
        SHX_TRY(export_container(to, &base->segments[i]->container, stop));
    }
    if (base->shards) SHX_TRY(export_container(to, &base->shards->container, stop));
    SHX_TRY(shx_store_sync(to));
    if (base->file != 0) SHX_TRY(export_container(to, &base->container, stop));
    return shx_store_sync(to);
}
