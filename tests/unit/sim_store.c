#include "sim_store.h"

#include "bytes.h"
#include "sim_fs.h"

#include <stdlib.h>
#include <string.h>

typedef struct sim_store {
    shx_store base;
    char path[];
} sim_store;

typedef struct sim_store_file {
    shx_file base;
    uint32_t inode;
    bool writable, shared, exclusive;
} sim_store_file;

static const shx_store_ops sim_store_ops;

static shx_status sim_store_status(sim_result result) {
    switch (result) {
    case SIM_OK: return SHX_OK;
    case SIM_MISSING: return SHX_NOTFOUND;
    case SIM_EXISTS: return SHX_BUSY;
    case SIM_ENOSPC: return SHX_FULL;
    case SIM_EIO:
    case SIM_EMFILE: break;
    }
    return SHX_IO;
}

/* ---- the store ---- */

static void sim_store_close(shx_store *base) { free(base); }

/* The parent directory is made first, as on a real disk. */
static shx_status sim_store_prepare(shx_store *base) {
    sim_store *store = (sim_store *)base;
    sim_result result = sim_fs_call(SIM_STORE);
    if (result == SIM_OK && !sim_fs_exists(store->path)) {
        result = sim_fs_make_directory(SIM_STORE, sim_path(sim_parent(sim_name(store->path))));
        if (result == SIM_OK) result = sim_fs_make_directory(SIM_STORE, store->path);
    }
    return sim_store_status(result);
}

typedef struct sim_store_listing {
    shx_store_visit visit;
    void *context;
    shx_status status;
} sim_store_listing;

static bool sim_store_visit(void *context, const char *path) {
    sim_store_listing *listing = context;
    listing->status = listing->visit(listing->context, strrchr(path, '/') + 1);
    return listing->status == SHX_OK;
}

static shx_status sim_store_list(shx_store *base, shx_store_visit visit, void *context) {
    SHX_TRY(sim_store_status(sim_fs_call(SIM_STORE)));
    sim_store_listing listing = {visit, context, SHX_OK};
    bool found = sim_fs_list(((sim_store *)base)->path, sim_store_visit, &listing);
    return found ? listing.status : SHX_NOTFOUND;
}

/* The path of a file; free it. */
static char *sim_store_path(const shx_store *base, const char *name) {
    const char *directory = ((const sim_store *)base)->path;
    size_t length = strlen(directory), name_length = strlen(name);
    char *path = sim_alloc(length + name_length + 2);
    memcpy(path, directory, length);
    path[length] = '/';
    memcpy(path + length + 1, name, name_length + 1);
    return path;
}

static shx_status sim_store_remove(shx_store *base, const char *name) {
    char *path = sim_store_path(base, name);
    sim_result result = sim_fs_remove(SIM_STORE, path);
    free(path);
    return sim_store_status(result);
}

static shx_status sim_store_sync(shx_store *base) {
    uint32_t name = sim_name(((sim_store *)base)->path), parent = sim_parent(name);
    sim_result result = sim_fs_sync_directory(SIM_STORE, sim_path(name));
    if (result == SIM_OK) result = sim_fs_sync_directory(SIM_STORE, sim_path(parent));
    if (result == SIM_OK) (void)sim_fs_sync_directory(SIM_STORE, sim_path(sim_parent(parent))); /* as on a real disk */
    return sim_store_status(result);
}

static shx_status sim_store_open_file(shx_store *base, const char *name, shx_open_mode mode, shx_file **ret_file) {
    uint32_t inode;
    bool created, create = mode == SHX_OPEN_CREATE;
    char *path = sim_store_path(base, name);
    sim_result result = sim_fs_open(SIM_STORE, path, create, create, &inode, &created);
    free(path);
    SHX_TRY(sim_store_status(result));
    sim_store_file *file = sim_alloc(sizeof *file);
    *file = (sim_store_file){{&sim_store_ops}, inode, mode != SHX_OPEN_READ, false, false};
    *ret_file = &file->base;
    return SHX_OK;
}

/* ---- files ---- */

static void sim_store_unlock(sim_store_file *file) {
    sim_locks *locks = sim_fs_locks(file->inode);
    if (file->shared) locks->store_shared--;
    if (file->exclusive) locks->store_exclusive = false;
    file->shared = file->exclusive = false;
}

static void sim_store_file_close(shx_file *base) {
    sim_store_file *file = (sim_store_file *)base;
    sim_store_unlock(file);
    sim_fs_close(file->inode);
    free(file);
}

static shx_status sim_store_file_size(shx_file *base, uint64_t *ret_size) {
    uint32_t inode = ((sim_store_file *)base)->inode;
    uint64_t size;
    SHX_TRY(sim_store_status(sim_fs_size(SIM_STORE, inode, &size)));
    SHX_CHECK(!sim_fs_is_removed(inode), SHX_NOTFOUND);
    *ret_size = size;
    return SHX_OK;
}

static shx_status sim_store_file_read(shx_file *base, uint64_t offset, void *bytes, uint64_t size) {
    uint64_t got;
    SHX_TRY(sim_store_status(sim_fs_read(SIM_STORE, ((sim_store_file *)base)->inode, offset, bytes, size, &got)));
    return got == size ? SHX_OK : shx_corrupt("a file ends within a read");
}

static shx_status sim_store_file_write(shx_file *base, uint64_t offset, const void *bytes, uint64_t size) {
    sim_store_file *file = (sim_store_file *)base;
    SHX_CHECK(file->writable, SHX_IO);
    return sim_store_status(sim_fs_write(SIM_STORE, file->inode, offset, bytes, size));
}

static shx_status sim_store_file_sync(shx_file *base) {
    return sim_store_status(sim_fs_sync(SIM_STORE, ((sim_store_file *)base)->inode));
}

static shx_status sim_store_file_lock(shx_file *base, bool exclusive) {
    sim_store_file *file = (sim_store_file *)base;
    SHX_TRY(sim_store_status(sim_fs_call(SIM_STORE)));
    sim_store_unlock(file);
    sim_locks *locks = sim_fs_locks(file->inode);
    SHX_CHECK(!locks->store_exclusive && !(exclusive && locks->store_shared > 0), SHX_BUSY);
    file->exclusive = exclusive;
    file->shared = !exclusive;
    if (exclusive) locks->store_exclusive = true;
    if (!exclusive) locks->store_shared++;
    return SHX_OK;
}

/* A copy: what is mapped is never written again. */
static shx_status sim_store_file_map(shx_file *base, uint64_t offset, uint64_t size, shx_map *ret_map) {
    uint32_t inode = ((sim_store_file *)base)->inode;
    SHX_TRY(sim_store_status(sim_fs_call(SIM_STORE)));
    if (!shx_span_fits(offset, size, 1, sim_image_size(sim_fs_now(), inode))) {
        return shx_corrupt("a mapping lies past the end of its file");
    }
    uint8_t *bytes = aligned_alloc(64, (size_t)(size + 63) / 64 * 64);
    if (!bytes) abort();
    sim_image_read(sim_fs_now(), inode, offset, bytes, size);
    *ret_map = (shx_map){bytes, size, bytes, size, &sim_store_ops};
    return SHX_OK;
}

static void sim_store_map_release(shx_map *map) { free(map->owner); }

static const shx_store_ops sim_store_ops = {
    .close = sim_store_close,
    .prepare = sim_store_prepare,
    .list = sim_store_list,
    .remove = sim_store_remove,
    .sync = sim_store_sync,
    .open = sim_store_open_file,
    .file_close = sim_store_file_close,
    .file_size = sim_store_file_size,
    .file_read = sim_store_file_read,
    .file_write = sim_store_file_write,
    .file_sync = sim_store_file_sync,
    .file_lock = sim_store_file_lock,
    .file_map = sim_store_file_map,
    .map_release = sim_store_map_release,
};

shx_status sim_store_open(const char *path, shx_store **ret_store) {
    size_t length = strlen(path);
    sim_store *store = sim_alloc(sizeof *store + length + 1);
    store->base.ops = &sim_store_ops;
    memcpy(store->path, path, length + 1);
    *ret_store = &store->base;
    return SHX_OK;
}

/* ---- folders ---- */

static bool sim_store_visit_folder(void *context, const char *path) {
    uint32_t inode = sim_image_find(sim_fs_now(), sim_name(path));
    return !sim_image_is_directory(sim_fs_now(), inode) || sim_store_visit(context, path);
}

static shx_status sim_store_list_folders(const char *folder, shx_store_visit visit, void *context) {
    SHX_TRY(sim_store_status(sim_fs_call(SIM_STORE)));
    sim_store_listing listing = {visit, context, SHX_OK};
    return sim_fs_list(folder, sim_store_visit_folder, &listing) ? listing.status : SHX_NOTFOUND;
}

static bool sim_store_stop(void *context, const char *path) {
    (void)path;
    *(bool *)context = true;
    return false;
}

static shx_status sim_store_remove_folder(const char *folder) {
    bool full = false;
    (void)sim_fs_list(folder, sim_store_stop, &full);
    return full ? SHX_BUSY : sim_store_status(sim_fs_remove(SIM_STORE, folder));
}

static shx_status sim_store_sync_beside(const char *file) {
    return sim_store_status(sim_fs_sync_directory(SIM_STORE, sim_path(sim_parent(sim_name(file)))));
}

static const shx_folder_ops sim_store_folders = {sim_store_list_folders, sim_store_remove_folder,
                                                 sim_store_sync_beside};

void sim_store_use(void) {
    shx_store_use(sim_store_open);
    shx_folder_use(&sim_store_folders);
}
