#include "collect.h"

#include "index_state.h"
#include "memory.h"
#include "notice.h"
#include "planted.h"

#include <string.h>

#define COLLECT_LOCK_NAME "lock"

static shx_status collect_lock(shx_store *store, shx_file **ret_lock) {
    shx_file *file;
    shx_status status = shx_file_open(store, COLLECT_LOCK_NAME, SHX_OPEN_CREATE, &file);
    if (status == SHX_BUSY) status = shx_file_open(store, COLLECT_LOCK_NAME, SHX_OPEN_APPEND, &file);
    SHX_TRY(status);
    status = shx_file_lock(file, true);
    if (status != SHX_OK) {
        shx_file_close(file);
        return status;
    }
    *ret_lock = file;
    return SHX_OK;
}

shx_status shx_maintenance_lock(shx_index *index, shx_file **ret_lock) { return collect_lock(index->store, ret_lock); }

shx_progress_figures shx_index_progress(shx_index *index) {
    shx_progress_figures figures = shx_progress_look(&index->progress);
    shx_file *file;
    if (figures.phase || shx_file_open(index->store, COLLECT_LOCK_NAME, SHX_OPEN_READ, &file) != SHX_OK) return figures;
    figures = shx_notice_read(file);
    shx_file_close(file);
    return figures;
}

/* What must stay. `held`: one for each base of the catalog, whether somebody has it open. */
typedef struct collect_keep {
    const shx_catalog_base *newest, *previous;
    bool *held;
    uint64_t wal_floor; /* the lowest WAL file on the path from `previous` to the confirmed commit */
} collect_keep;

static bool collect_names(const shx_catalog_base *base, shx_file_kind kind, uint64_t id) {
    if (kind == SHX_FILE_BASE) return base->file == id;
    if (kind == SHX_FILE_SHARDS) return base->names.shards_file == id;
    for (uint32_t i = 0; i < base->names.segment_count; i++) {
        if (base->names.segments[i] == id) return true;
    }
    return false;
}

static const shx_catalog_base *collect_base_of(const shx_catalog *catalog, uint64_t file) {
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        if (catalog->bases[i].file == file) return &catalog->bases[i];
    }
    return NULL;
}

/* Walks back from the commit through its records, past the newest base to an older one on the same path, and notes that
** one and the lowest WAL file on the way. Where the path breaks off before any older base, what the newest base needs
** is all that is known to be needed. */
static void collect_walk(shx_catalog *catalog, const shx_id *commit, collect_keep *keep) {
    shx_id id = *commit;
    bool passed = false;
    for (uint64_t steps = 0; steps <= catalog->entry_count; steps++) {
        if (shx_id_equal(&id, &keep->newest->names.commit)) passed = true;
        const shx_catalog_base *base = passed ? shx_catalog_best_base(catalog, &id, 0) : NULL;
        if (base && base != keep->newest && base->names.generation < keep->newest->names.generation) {
            keep->previous = base;
            return;
        }
        const shx_wal_entry *entry = shx_catalog_find(catalog, &id);
        if (!entry) return;
        if (entry->file < keep->wal_floor) keep->wal_floor = entry->file;
        id = entry->parent;
    }
}

/* A WAL file that some process is appending to is locked and stays. */
static void collect_remove_wal(shx_index *index, uint64_t id) {
    shx_file *file;
    if (shx_file_open_id(index->store, SHX_FILE_WAL, id, SHX_OPEN_APPEND, &file) != SHX_OK) return;
    if (shx_file_lock(file, true) == SHX_OK) (void)shx_file_remove_id(index->store, SHX_FILE_WAL, id);
    shx_file_close(file);
}

/* A base that somebody has open is locked, and stays. */
static bool collect_remove_base(shx_index *index, uint64_t id) {
    shx_file *file;
    if (shx_file_open_id(index->store, SHX_FILE_BASE, id, SHX_OPEN_READ, &file) != SHX_OK) return true;
    bool held = shx_file_lock(file, true) == SHX_BUSY;
    if (!held) (void)shx_file_remove_id(index->store, SHX_FILE_BASE, id);
    shx_file_close(file);
    return !held;
}

static void collect_sweep_bases(shx_index *index, const collect_keep *keep) {
    const shx_catalog *catalog = &index->catalog;
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        const shx_catalog_base *base = &catalog->bases[i];
        keep->held[i] = base == keep->newest || base == keep->previous || !collect_remove_base(index, base->file);
    }
}

static bool collect_needs(const shx_catalog *catalog, const collect_keep *keep, shx_file_kind kind, uint64_t id) {
    for (uint64_t i = 0; i < catalog->base_count; i++) {
        if (keep->held[i] && collect_names(&catalog->bases[i], kind, id)) return true;
    }
    return false;
}

static void collect_sweep(shx_index *index, const collect_keep *keep) {
    const shx_catalog *catalog = &index->catalog;
    collect_sweep_bases(index, keep);
    const struct {
        shx_file_kind kind;
        const uint64_t *ids;
        uint64_t count;
    } lists[] = {{SHX_FILE_SEGMENT, catalog->segments, catalog->segment_count},
                 {SHX_FILE_SHARDS, catalog->shards, catalog->shards_count}};
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        for (uint64_t i = 0; i < lists[l].count; i++) {
            uint64_t id = lists[l].ids[i];
            if (collect_needs(catalog, keep, lists[l].kind, id)) continue;
            (void)shx_file_remove_id(index->store, lists[l].kind, id);
        }
    }
    for (uint64_t i = 0; i < catalog->file_count; i++) {
        uint64_t id = catalog->files[i].extent.file;
        bool own = index->writer && shx_wal_writer_file(index->writer) == id;
        if ((id < keep->wal_floor || SHX_PLANTED(21)) && !own) collect_remove_wal(index, id);
    }
}

static void collect_run(shx_index *index, const shx_id *commit) {
    shx_view *view;
    if (shx_index_refresh(index) != SHX_OK) return;
    if (shx_index_resolve(index, commit, NULL, &view) != SHX_OK) return;
    uint64_t file = view->delta->base->file;
    shx_view_release(view);
    collect_keep keep = {.newest = collect_base_of(&index->catalog, file), .wal_floor = UINT64_MAX};
    if (!keep.newest) return;
    keep.held = shx_alloc_zero(index->catalog.base_count, sizeof *keep.held);
    if (!keep.held) return;
    collect_walk(&index->catalog, commit, &keep);
    if (keep.wal_floor > keep.newest->names.wal_floor) keep.wal_floor = keep.newest->names.wal_floor;
    collect_sweep(index, &keep);
    shx_free(keep.held);
    (void)shx_index_refresh(index);
    index->collect_due = false;
}

bool shx_index_collects(shx_index *index) {
    pthread_mutex_lock(&index->mutex);
    bool due = index->collect_due;
    pthread_mutex_unlock(&index->mutex);
    return due;
}

void shx_index_confirm(shx_index *index, const shx_id *commit) {
    pthread_mutex_lock(&index->mutex);
    shx_file *lock;
    if (index->collect_due && shx_maintenance_lock(index, &lock) == SHX_OK) {
        collect_run(index, commit);
        shx_file_close(lock);
    }
    pthread_mutex_unlock(&index->mutex);
}

/* ---- everything but one base ---- */

/* Is nothing left beside the base that was kept? */
static bool collect_is_pure(const shx_catalog *catalog) {
    if (catalog->base_count != 1 || catalog->file_count > 0 || catalog->shards_count > 1) return false;
    return catalog->segment_count == catalog->bases[0].names.segment_count;
}

static shx_status collect_purge(shx_index *index, const shx_id *commit) {
    SHX_TRY(shx_index_refresh(index));
    shx_index_let_go(index);
    collect_keep keep = {.newest = shx_catalog_best_base(&index->catalog, commit, index->floor),
                         .wal_floor = UINT64_MAX};
    SHX_CHECK(keep.newest, SHX_NOTFOUND);
    keep.held = shx_alloc_zero(index->catalog.base_count, sizeof *keep.held);
    SHX_CHECK(keep.held, SHX_NOMEM);
    collect_sweep(index, &keep);
    shx_free(keep.held);
    SHX_TRY(shx_index_refresh(index));
    return collect_is_pure(&index->catalog) ? SHX_OK : SHX_BUSY;
}

shx_status shx_index_purge(shx_index *index, const shx_id *commit) {
    pthread_mutex_lock(&index->mutex);
    shx_file *lock = NULL;
    shx_status status = shx_maintenance_lock(index, &lock);
    if (status == SHX_OK) {
        status = collect_purge(index, commit);
        shx_file_close(lock);
    }
    pthread_mutex_unlock(&index->mutex);
    return status;
}

/* ---- a whole directory ---- */

/* One look at the files: whether somebody uses one of them, or (remove) to remove them. */
typedef struct collect_folder {
    shx_store *store;
    bool remove;
} collect_folder;

static shx_status collect_visit_folder(void *context, const char *name) {
    const collect_folder *folder = context;
    shx_file_kind kind;
    uint64_t id;
    if (folder->remove) return shx_store_remove(folder->store, name);
    if (!shx_file_name_parse(name, &kind, &id)) return SHX_OK;
    if (kind != SHX_FILE_WAL && kind != SHX_FILE_BASE) return SHX_OK;
    shx_file *file;
    SHX_TRY(shx_file_open(folder->store, name, SHX_OPEN_READ, &file));
    shx_status status = shx_file_lock(file, true);
    shx_file_close(file);
    return status;
}

shx_status shx_collect_folder(const char *directory) {
    collect_folder folder = {0};
    shx_file *lock = NULL;
    SHX_TRY(shx_store_open(directory, &folder.store));
    shx_status status = collect_lock(folder.store, &lock);
    if (status == SHX_OK) status = shx_store_list(folder.store, collect_visit_folder, &folder);
    folder.remove = true;
    if (status == SHX_OK) status = shx_store_list(folder.store, collect_visit_folder, &folder);
    if (lock) shx_file_close(lock);
    shx_store_close(folder.store);
    return status == SHX_OK ? shx_folder_remove(directory) : status;
}
