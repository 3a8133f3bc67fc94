#include "os.h"

#include <assert.h>
#include <string.h>

/* Names come from our own code and from listings, never with a path in them: a slash would leave the directory. */
static bool os_name_plain(const char *name) {
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static shx_store_opener os_opener = shx_store_open_posix;

void shx_store_use(shx_store_opener opener) { os_opener = opener; }

shx_status shx_store_open(const char *path, shx_store **ret_store) { return os_opener(path, ret_store); }

static const shx_folder_ops *os_folders = &shx_folder_posix;

void shx_folder_use(const shx_folder_ops *ops) { os_folders = ops; }

shx_status shx_folder_list(const char *folder, shx_store_visit visit, void *context) {
    return os_folders->list(folder, visit, context);
}

shx_status shx_folder_remove(const char *folder) { return os_folders->remove(folder); }

shx_status shx_sync_beside(const char *file) { return os_folders->sync_beside(file); }

static uint64_t (*os_clock)(void) = shx_clock_posix;

void shx_clock_use(uint64_t (*clock)(void)) { os_clock = clock ? clock : shx_clock_posix; }

uint64_t shx_clock(void) { return os_clock(); }

void shx_store_close(shx_store *store) {
    if (store) store->ops->close(store);
}

shx_status shx_store_prepare(shx_store *store) { return store->ops->prepare(store); }

shx_status shx_store_list(shx_store *store, shx_store_visit visit, void *context) {
    return store->ops->list(store, visit, context);
}

shx_status shx_store_remove(shx_store *store, const char *name) {
    SHX_CHECK(os_name_plain(name), SHX_MISUSE);
    return store->ops->remove(store, name);
}

shx_status shx_store_sync(shx_store *store) { return store->ops->sync(store); }

shx_status shx_file_open(shx_store *store, const char *name, shx_open_mode mode, shx_file **ret_file) {
    SHX_CHECK(os_name_plain(name), SHX_MISUSE);
    return store->ops->open(store, name, mode, ret_file);
}

void shx_file_close(shx_file *file) {
    if (file) file->ops->file_close(file);
}

shx_status shx_file_size(shx_file *file, uint64_t *ret_size) { return file->ops->file_size(file, ret_size); }

shx_status shx_file_read(shx_file *file, uint64_t offset, void *bytes, uint64_t size) {
    return size ? file->ops->file_read(file, offset, bytes, size) : SHX_OK;
}

shx_status shx_file_write(shx_file *file, uint64_t offset, const void *bytes, uint64_t size) {
    return size ? file->ops->file_write(file, offset, bytes, size) : SHX_OK;
}

shx_status shx_file_sync(shx_file *file) { return file->ops->file_sync(file); }

void shx_file_send(shx_file *file, uint64_t offset, uint64_t size) {
    if (file->ops->file_send) file->ops->file_send(file, offset, size);
}

shx_status shx_file_lock(shx_file *file, bool exclusive) { return file->ops->file_lock(file, exclusive); }

shx_status shx_file_map(shx_file *file, uint64_t offset, uint64_t size, shx_map *ret_map) {
    SHX_CHECK(size > 0, SHX_MISUSE);
    SHX_TRY(file->ops->file_map(file, offset, size, ret_map));
    assert(ret_map->bytes && ret_map->size == size && ret_map->ops);
    return SHX_OK;
}

void shx_map_release(shx_map *map) {
    if (map->ops) map->ops->map_release(map);
    memset(map, 0, sizeof *map);
}
