/* The store in memory: for databases that have no file, and for tests.
**
** A file (os_heap_node) holds one counted block of bytes. Growing past the block's capacity moves the file to a new
** block of at least twice the size; mappings hold a count on the block they were made from and never move. A file lives
** as long as its name or an open handle does. It behaves as os_posix.c does, locks included.
*/
#include "os.h"

#include "bytes.h"
#include "memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Mapped sections are used in place, so the bytes start where SIMD code and the posix store would have them. */
typedef struct os_heap_block {
    atomic_uint references;
    uint64_t capacity;
    uint8_t *bytes;
} os_heap_block;

typedef struct os_heap_node {
    atomic_uint references; /* one of the name, one of each open file */
    pthread_mutex_t mutex;  /* guards what follows */
    os_heap_block *block;   /* NULL while the file is empty */
    uint64_t size;
    unsigned shared_locks;
    bool exclusive_lock;
    bool removed;
    char name[]; /* never changes */
} os_heap_node;

typedef enum os_heap_held { OS_HEAP_UNLOCKED, OS_HEAP_SHARED, OS_HEAP_EXCLUSIVE } os_heap_held;

typedef struct os_heap_file {
    shx_file base;
    os_heap_node *node;
    bool writable;
    os_heap_held held;
} os_heap_file;

typedef struct os_heap_store {
    shx_store base;
    pthread_mutex_t mutex; /* guards what follows */
    os_heap_node **nodes;
    uint64_t count, capacity;
    bool prepared;
} os_heap_store;

static const shx_store_ops os_heap_ops;

/* ---- blocks and nodes ---- */

static os_heap_block *os_heap_block_create(uint64_t capacity) {
    os_heap_block *block = shx_alloc(sizeof *block);
    if (!block) return NULL;
    block->bytes = shx_alloc_aligned(capacity, 1);
    if (!block->bytes) {
        shx_free(block);
        return NULL;
    }
    block->capacity = capacity;
    atomic_init(&block->references, 1);
    return block;
}

static void os_heap_block_drop(os_heap_block *block) {
    if (!block || atomic_fetch_sub(&block->references, 1) != 1) return;
    shx_free_aligned(block->bytes);
    shx_free(block);
}

static os_heap_node *os_heap_node_create(const char *name) {
    size_t length = strlen(name);
    os_heap_node *node = shx_alloc_zero(1, sizeof *node + length + 1);
    if (!node) return NULL;
    node->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    memcpy(node->name, name, length + 1);
    atomic_init(&node->references, 1);
    return node;
}

static void os_heap_node_drop(os_heap_node *node) {
    if (atomic_fetch_sub(&node->references, 1) != 1) return;
    os_heap_block_drop(node->block);
    pthread_mutex_destroy(&node->mutex);
    shx_free(node);
}

/* Makes room for `size` bytes; what lies between the old size and the new one reads as zeros, as in a sparse file. */
static shx_status os_heap_node_grow(os_heap_node *node, uint64_t size) {
    if (size <= node->size) return SHX_OK;
    if (!node->block || size > node->block->capacity) {
        uint64_t capacity = node->block ? node->block->capacity : 2048;
        while (capacity < size) capacity *= 2;
        os_heap_block *block = os_heap_block_create(capacity);
        SHX_CHECK(block, SHX_NOMEM);
        if (node->block) memcpy(block->bytes, node->block->bytes, (size_t)node->size);
        os_heap_block_drop(node->block);
        node->block = block;
    }
    memset(node->block->bytes + node->size, 0, (size_t)(size - node->size));
    node->size = size;
    return SHX_OK;
}

/* ---- directory ---- */

/* The index of a name, or the number of files when there is none. */
static uint64_t os_heap_find(const os_heap_store *store, const char *name) {
    uint64_t at = 0;
    while (at < store->count && strcmp(store->nodes[at]->name, name) != 0) at++;
    return at;
}

static shx_status os_heap_prepare(shx_store *base) {
    os_heap_store *store = (os_heap_store *)base;
    pthread_mutex_lock(&store->mutex);
    store->prepared = true;
    pthread_mutex_unlock(&store->mutex);
    return SHX_OK;
}

/* The files of one moment, each with a reference, so that the visitor may open and remove files. */
static shx_status os_heap_snapshot(os_heap_store *store, os_heap_node ***ret_nodes, uint64_t *ret_count) {
    pthread_mutex_lock(&store->mutex);
    shx_status status = store->prepared ? SHX_OK : SHX_NOTFOUND;
    os_heap_node **nodes = status == SHX_OK ? shx_alloc(store->count * sizeof *nodes) : NULL;
    if (status == SHX_OK && !nodes) status = SHX_NOMEM;
    if (status == SHX_OK) {
        for (uint64_t i = 0; i < store->count; i++) {
            nodes[i] = store->nodes[i];
            atomic_fetch_add(&nodes[i]->references, 1);
        }
        *ret_nodes = nodes;
        *ret_count = store->count;
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static shx_status os_heap_list(shx_store *base, shx_store_visit visit, void *context) {
    os_heap_node **nodes = NULL;
    uint64_t count = 0;
    SHX_TRY(os_heap_snapshot((os_heap_store *)base, &nodes, &count));
    shx_status status = SHX_OK;
    for (uint64_t i = 0; i < count; i++) {
        if (status == SHX_OK) status = visit(context, nodes[i]->name);
        os_heap_node_drop(nodes[i]);
    }
    shx_free(nodes);
    return status;
}

static shx_status os_heap_remove(shx_store *base, const char *name) {
    os_heap_store *store = (os_heap_store *)base;
    pthread_mutex_lock(&store->mutex);
    uint64_t at = os_heap_find(store, name);
    os_heap_node *node = at < store->count ? store->nodes[at] : NULL;
    if (node) store->nodes[at] = store->nodes[--store->count];
    pthread_mutex_unlock(&store->mutex);
    SHX_CHECK(node, SHX_NOTFOUND);
    pthread_mutex_lock(&node->mutex);
    node->removed = true;
    pthread_mutex_unlock(&node->mutex);
    os_heap_node_drop(node);
    return SHX_OK;
}

static shx_status os_heap_sync(shx_store *base) {
    os_heap_store *store = (os_heap_store *)base;
    pthread_mutex_lock(&store->mutex);
    bool prepared = store->prepared;
    pthread_mutex_unlock(&store->mutex);
    return prepared ? SHX_OK : SHX_NOTFOUND;
}

/* Finds or makes the node of a file that is being opened. The store's mutex is held. */
static shx_status os_heap_open_node(os_heap_store *store, const char *name, shx_open_mode mode,
                                    os_heap_node **ret_node) {
    SHX_CHECK(store->prepared, SHX_NOTFOUND);
    uint64_t at = os_heap_find(store, name);
    if (mode == SHX_OPEN_CREATE) {
        SHX_CHECK(at == store->count, SHX_BUSY);
        SHX_TRY(shx_grow((void **)&store->nodes, &store->capacity, store->count + 1, sizeof *store->nodes));
        store->nodes[at] = os_heap_node_create(name);
        SHX_CHECK(store->nodes[at], SHX_NOMEM);
        store->count++;
    }
    SHX_CHECK(at < store->count, SHX_NOTFOUND);
    atomic_fetch_add(&store->nodes[at]->references, 1);
    *ret_node = store->nodes[at];
    return SHX_OK;
}

static shx_status os_heap_open(shx_store *base, const char *name, shx_open_mode mode, shx_file **ret_file) {
    os_heap_store *store = (os_heap_store *)base;
    os_heap_file *file = shx_alloc(sizeof *file);
    SHX_CHECK(file, SHX_NOMEM);
    *file = (os_heap_file){.base = {&os_heap_ops}, .writable = mode != SHX_OPEN_READ};
    pthread_mutex_lock(&store->mutex);
    shx_status status = os_heap_open_node(store, name, mode, &file->node);
    pthread_mutex_unlock(&store->mutex);
    if (status != SHX_OK) {
        shx_free(file);
        return status;
    }
    *ret_file = &file->base;
    return SHX_OK;
}

/* ---- files ---- */

static void os_heap_unlock(os_heap_file *file) {
    if (file->held == OS_HEAP_SHARED) file->node->shared_locks--;
    if (file->held == OS_HEAP_EXCLUSIVE) file->node->exclusive_lock = false;
    file->held = OS_HEAP_UNLOCKED;
}

static void os_heap_file_close(shx_file *base) {
    os_heap_file *file = (os_heap_file *)base;
    pthread_mutex_lock(&file->node->mutex);
    os_heap_unlock(file);
    pthread_mutex_unlock(&file->node->mutex);
    os_heap_node_drop(file->node);
    shx_free(file);
}

static shx_status os_heap_file_size(shx_file *base, uint64_t *ret_size) {
    os_heap_node *node = ((os_heap_file *)base)->node;
    pthread_mutex_lock(&node->mutex);
    bool removed = node->removed;
    if (!removed) *ret_size = node->size;
    pthread_mutex_unlock(&node->mutex);
    return removed ? SHX_NOTFOUND : SHX_OK;
}

static shx_status os_heap_file_read(shx_file *base, uint64_t offset, void *bytes, uint64_t size) {
    os_heap_node *node = ((os_heap_file *)base)->node;
    pthread_mutex_lock(&node->mutex);
    bool fits = shx_span_fits(offset, size, 1, node->size);
    if (fits) memcpy(bytes, node->block->bytes + offset, (size_t)size);
    pthread_mutex_unlock(&node->mutex);
    return fits ? SHX_OK : shx_corrupt("a read lies past the end of its file");
}

static shx_status os_heap_file_write(shx_file *base, uint64_t offset, const void *bytes, uint64_t size) {
    os_heap_file *file = (os_heap_file *)base;
    SHX_CHECK(file->writable, SHX_IO);
    SHX_CHECK(shx_span_fits(offset, size, 1, INT64_MAX), SHX_MISUSE);
    pthread_mutex_lock(&file->node->mutex);
    shx_status status = os_heap_node_grow(file->node, offset + size);
    if (status == SHX_OK) memcpy(file->node->block->bytes + offset, bytes, (size_t)size);
    pthread_mutex_unlock(&file->node->mutex);
    return status;
}

static shx_status os_heap_file_sync(shx_file *base) {
    (void)base;
    return SHX_OK;
}

/* Like flock: an open file holds one lock, asking again changes its kind, and a change that fails has lost it. */
static shx_status os_heap_file_lock(shx_file *base, bool exclusive) {
    os_heap_file *file = (os_heap_file *)base;
    os_heap_node *node = file->node;
    os_heap_held wanted = exclusive ? OS_HEAP_EXCLUSIVE : OS_HEAP_SHARED;
    if (file->held == wanted) return SHX_OK;
    pthread_mutex_lock(&node->mutex);
    os_heap_unlock(file);
    bool granted = !node->exclusive_lock && (!exclusive || node->shared_locks == 0);
    if (granted && exclusive) node->exclusive_lock = true;
    if (granted && !exclusive) node->shared_locks++;
    if (granted) file->held = wanted;
    pthread_mutex_unlock(&node->mutex);
    return granted ? SHX_OK : SHX_BUSY;
}

static shx_status os_heap_file_map(shx_file *base, uint64_t offset, uint64_t size, shx_map *ret_map) {
    os_heap_node *node = ((os_heap_file *)base)->node;
    pthread_mutex_lock(&node->mutex);
    bool fits = shx_span_fits(offset, size, 1, node->size);
    if (fits) {
        atomic_fetch_add(&node->block->references, 1);
        *ret_map = (shx_map){node->block->bytes + offset, size, node->block, node->block->capacity, &os_heap_ops};
    }
    pthread_mutex_unlock(&node->mutex);
    return fits ? SHX_OK : shx_corrupt("a mapping lies past the end of its file");
}

static void os_heap_map_release(shx_map *map) { os_heap_block_drop(map->owner); }

/* ---- the store itself ---- */

static void os_heap_close(shx_store *base) {
    os_heap_store *store = (os_heap_store *)base;
    for (uint64_t i = 0; i < store->count; i++) os_heap_node_drop(store->nodes[i]);
    shx_free(store->nodes);
    pthread_mutex_destroy(&store->mutex);
    shx_free(store);
}

static const shx_store_ops os_heap_ops = {
    .close = os_heap_close,
    .prepare = os_heap_prepare,
    .list = os_heap_list,
    .remove = os_heap_remove,
    .sync = os_heap_sync,
    .open = os_heap_open,
    .file_close = os_heap_file_close,
    .file_size = os_heap_file_size,
    .file_read = os_heap_file_read,
    .file_write = os_heap_file_write,
    .file_sync = os_heap_file_sync,
    .file_lock = os_heap_file_lock,
    .file_map = os_heap_file_map,
    .map_release = os_heap_map_release,
};

shx_status shx_store_open_heap(shx_store **ret_store) {
    os_heap_store *store = shx_alloc_zero(1, sizeof *store);
    SHX_CHECK(store, SHX_NOMEM);
    store->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    store->base.ops = &os_heap_ops;
    *ret_store = &store->base;
    return SHX_OK;
}
