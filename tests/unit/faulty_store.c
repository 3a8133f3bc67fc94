#include "faulty_store.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* Its own memory comes from malloc, so that tests which fail allocations hit the code under test only. */

/* Outlives the store while files are open. */
typedef struct faulty_state {
    pthread_mutex_t mutex; /* guards what follows */
    unsigned references;
    faulty_plan plan;
    uint64_t calls[2]; /* by faulty_kind */
    uint64_t failures;
} faulty_state;

typedef struct faulty_store {
    shx_store base;
    shx_store *inner;
    faulty_state *state;
} faulty_store;

typedef struct faulty_file {
    shx_file base;
    shx_file *inner;
    faulty_state *state;
} faulty_file;

static const shx_store_ops faulty_ops;

static void faulty_drop(faulty_state *state) {
    pthread_mutex_lock(&state->mutex);
    bool last = --state->references == 0;
    pthread_mutex_unlock(&state->mutex);
    if (last) free(state);
}

/* Counts a call; says how it must end. */
static shx_status faulty_count(faulty_state *state, faulty_kind kind, bool *ret_torn) {
    shx_status status = SHX_OK;
    pthread_mutex_lock(&state->mutex);
    state->calls[FAULTY_ANY]++;
    if (kind == FAULTY_MUTATING) state->calls[FAULTY_MUTATING]++;
    const faulty_plan *plan = &state->plan;
    if (plan->nth != 0 && (plan->kind == FAULTY_ANY || kind == FAULTY_MUTATING)) {
        uint64_t call = state->calls[plan->kind];
        if (call == plan->nth || (plan->forever && call > plan->nth)) status = plan->status;
    }
    if (status != SHX_OK) state->failures++;
    *ret_torn = status != SHX_OK && plan->torn;
    pthread_mutex_unlock(&state->mutex);
    return status;
}

static shx_status faulty_call(faulty_state *state, faulty_kind kind) {
    bool torn;
    return faulty_count(state, kind, &torn);
}

/* ---- the store ---- */

static void faulty_close(shx_store *base) {
    faulty_store *store = (faulty_store *)base;
    faulty_drop(store->state);
    free(store);
}

static shx_status faulty_prepare(shx_store *base) {
    faulty_store *store = (faulty_store *)base;
    SHX_TRY(faulty_call(store->state, FAULTY_MUTATING));
    return shx_store_prepare(store->inner);
}

static shx_status faulty_list(shx_store *base, shx_store_visit visit, void *context) {
    faulty_store *store = (faulty_store *)base;
    SHX_TRY(faulty_call(store->state, FAULTY_ANY));
    return shx_store_list(store->inner, visit, context);
}

static shx_status faulty_remove(shx_store *base, const char *name) {
    faulty_store *store = (faulty_store *)base;
    SHX_TRY(faulty_call(store->state, FAULTY_MUTATING));
    return shx_store_remove(store->inner, name);
}

static shx_status faulty_sync(shx_store *base) {
    faulty_store *store = (faulty_store *)base;
    SHX_TRY(faulty_call(store->state, FAULTY_MUTATING));
    return shx_store_sync(store->inner);
}

static shx_status faulty_open(shx_store *base, const char *name, shx_open_mode mode, shx_file **ret_file) {
    faulty_store *store = (faulty_store *)base;
    SHX_TRY(faulty_call(store->state, mode == SHX_OPEN_CREATE ? FAULTY_MUTATING : FAULTY_ANY));
    faulty_file *file = malloc(sizeof *file);
    SHX_CHECK(file, SHX_NOMEM);
    shx_status status = shx_file_open(store->inner, name, mode, &file->inner);
    if (status != SHX_OK) {
        free(file);
        return status;
    }
    file->base.ops = &faulty_ops;
    file->state = store->state;
    pthread_mutex_lock(&file->state->mutex);
    file->state->references++;
    pthread_mutex_unlock(&file->state->mutex);
    *ret_file = &file->base;
    return SHX_OK;
}

/* ---- files ---- */

static void faulty_file_close(shx_file *base) {
    faulty_file *file = (faulty_file *)base;
    shx_file_close(file->inner);
    faulty_drop(file->state);
    free(file);
}

static shx_status faulty_file_size(shx_file *base, uint64_t *ret_size) {
    faulty_file *file = (faulty_file *)base;
    SHX_TRY(faulty_call(file->state, FAULTY_ANY));
    return shx_file_size(file->inner, ret_size);
}

static shx_status faulty_file_read(shx_file *base, uint64_t offset, void *bytes, uint64_t size) {
    faulty_file *file = (faulty_file *)base;
    SHX_TRY(faulty_call(file->state, FAULTY_ANY));
    return shx_file_read(file->inner, offset, bytes, size);
}

static shx_status faulty_file_write(shx_file *base, uint64_t offset, const void *bytes, uint64_t size) {
    faulty_file *file = (faulty_file *)base;
    bool torn;
    shx_status status = faulty_count(file->state, FAULTY_MUTATING, &torn);
    if (status == SHX_OK) return shx_file_write(file->inner, offset, bytes, size);
    if (torn) (void)shx_file_write(file->inner, offset, bytes, size / 2);
    return status;
}

static shx_status faulty_file_sync(shx_file *base) {
    faulty_file *file = (faulty_file *)base;
    SHX_TRY(faulty_call(file->state, FAULTY_MUTATING));
    return shx_file_sync(file->inner);
}

static shx_status faulty_file_lock(shx_file *base, bool exclusive) {
    faulty_file *file = (faulty_file *)base;
    SHX_TRY(faulty_call(file->state, FAULTY_ANY));
    return shx_file_lock(file->inner, exclusive);
}

/* The mapping is the inner store's own, and is released there. */
static shx_status faulty_file_map(shx_file *base, uint64_t offset, uint64_t size, shx_map *ret_map) {
    faulty_file *file = (faulty_file *)base;
    SHX_TRY(faulty_call(file->state, FAULTY_ANY));
    return shx_file_map(file->inner, offset, size, ret_map);
}

static const shx_store_ops faulty_ops = {
    .close = faulty_close,
    .prepare = faulty_prepare,
    .list = faulty_list,
    .remove = faulty_remove,
    .sync = faulty_sync,
    .open = faulty_open,
    .file_close = faulty_file_close,
    .file_size = faulty_file_size,
    .file_read = faulty_file_read,
    .file_write = faulty_file_write,
    .file_sync = faulty_file_sync,
    .file_lock = faulty_file_lock,
    .file_map = faulty_file_map,
};

shx_status faulty_store_wrap(shx_store *inner, shx_store **ret_store) {
    faulty_store *store = calloc(1, sizeof *store);
    faulty_state *state = calloc(1, sizeof *state);
    if (!store || !state) {
        free(store);
        free(state);
        return SHX_NOMEM;
    }
    *state = (faulty_state){.mutex = PTHREAD_MUTEX_INITIALIZER, .references = 1};
    *store = (faulty_store){{&faulty_ops}, inner, state};
    *ret_store = &store->base;
    return SHX_OK;
}

void faulty_store_plan(shx_store *base, const faulty_plan *plan) {
    assert(base->ops == &faulty_ops);
    faulty_state *state = ((faulty_store *)base)->state;
    pthread_mutex_lock(&state->mutex);
    state->plan = *plan;
    state->calls[FAULTY_ANY] = state->calls[FAULTY_MUTATING] = state->failures = 0;
    pthread_mutex_unlock(&state->mutex);
}

uint64_t faulty_store_calls(shx_store *base, faulty_kind kind) {
    assert(base->ops == &faulty_ops);
    faulty_state *state = ((faulty_store *)base)->state;
    pthread_mutex_lock(&state->mutex);
    uint64_t calls = state->calls[kind];
    pthread_mutex_unlock(&state->mutex);
    return calls;
}

uint64_t faulty_store_failures(shx_store *base) {
    assert(base->ops == &faulty_ops);
    faulty_state *state = ((faulty_store *)base)->state;
    pthread_mutex_lock(&state->mutex);
    uint64_t failures = state->failures;
    pthread_mutex_unlock(&state->mutex);
    return failures;
}
