/* The keeper: the registry of open indexes, and the thread of each that does maintenance in the background (index.h).
**
** The thread starts with the first commit of this process that calls for maintenance. It never touches SQLite: it knows
** commit ids, and a base is valid for its commit whatever becomes of it.
*/
#include "index.h"

#include "index_state.h"
#include "limits.h"
#include "maintain.h"

#include <stdatomic.h>
#include <string.h>

#define KEEPER_TAIL_MAX 4   /* times flush_rows: a writer flushes before it adds to such a tail */
#define KEEPER_TAIL_CLOSE 2 /* and so does the last release of a process that wrote */

static pthread_mutex_t keeper_registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static shx_index *keeper_registry;
static atomic_bool keeper_threads = true;
static pthread_once_t keeper_once = PTHREAD_ONCE_INIT;

/* After fork: the parent's indexes have no threads here, and their mutexes may be held by nobody. What the child opens
** itself starts from nothing. */
static void keeper_forked(void) {
    keeper_registry = NULL;
    pthread_mutex_init(&keeper_registry_mutex, NULL);
}

static void keeper_watch_fork(void) { (void)pthread_atfork(NULL, NULL, keeper_forked); }

/* ---- what is due ---- */

/* The first shards are built from SHX_ROUTED_ROWS rows on; after that the delta is flushed when it is large. */
static bool keeper_flush_due(const shx_index *index, const shx_view *view, uint64_t factor) {
    const shx_delta_mark *mark = &view->mark;
    if (mark->operations == 0) return false;
    if (!view->delta->base->shards) return mark->live_rows >= SHX_ROUTED_ROWS;
    return mark->operations >= factor * index->config.flush_rows;
}

/* Whether the newest commit of this process calls for a flush. */
static bool keeper_commit_due(shx_index *index, const shx_id *commit, uint64_t factor) {
    shx_view *view;
    if (shx_index_view(index, commit, &view) != SHX_OK) return false;
    bool due = keeper_flush_due(index, view, factor);
    shx_view_release(view);
    return due;
}

/* One round of due work. Call with the mutex held, which is given back meanwhile. */
static void keeper_round(shx_index *index) {
    index->due = false;
    shx_id commit = index->committed;
    pthread_mutex_unlock(&index->mutex);
    bool flushed = shx_maintain_flush(index, &commit, NULL, NULL) == SHX_OK;
    pthread_mutex_lock(&index->mutex);
    shx_id newest = index->committed; /* commits may have piled up meanwhile */
    pthread_mutex_unlock(&index->mutex);
    bool more = flushed && keeper_commit_due(index, &newest, 1);
    pthread_mutex_lock(&index->mutex);
    index->due = index->due || more;
}

static void *keeper_main(void *context) {
    shx_index *index = context;
    pthread_mutex_lock(&index->mutex);
    while (!index->stopping) {
        if (index->due) {
            keeper_round(index);
        } else {
            pthread_cond_wait(&index->wake, &index->mutex);
        }
    }
    pthread_mutex_unlock(&index->mutex);
    return NULL;
}

/* Without a thread (the process may have no more, or want none) the last release does the work. Call with the mutex
** held. */
static void keeper_wake(shx_index *index) {
    index->due = true;
    if (!index->thread_started && atomic_load(&keeper_threads)) {
        index->thread_started = shx_thread_start(keeper_main, index, &index->thread);
    }
    pthread_cond_signal(&index->wake);
}

void shx_index_use_threads(bool wanted) { atomic_store(&keeper_threads, wanted); }

bool shx_index_may_thread(const shx_index *index) {
    return index->process == shx_process() && atomic_load(&keeper_threads) && index->config.threads != 1;
}

shx_pool *shx_index_pool(shx_index *index) {
    shx_pool *pool = atomic_load_explicit(&index->pool, memory_order_acquire);
    if (index->process != shx_process() || !atomic_load(&keeper_threads)) return NULL;
    if (pool || index->config.threads == 1) return pool;
    pthread_mutex_lock(&index->mutex);
    pool = atomic_load(&index->pool);
    if (!index->pool_tried && shx_pool_create(index->config.threads, &pool) == SHX_OK) {
        atomic_store_explicit(&index->pool, pool, memory_order_release);
    }
    index->pool_tried = true;
    pthread_mutex_unlock(&index->mutex);
    return pool;
}

void shx_index_committed(shx_index *index, const shx_id *commit) {
    shx_view *view = NULL;
    shx_status status = shx_index_view(index, commit, &view);
    bool due = status == SHX_OK && keeper_flush_due(index, view, 1);
    shx_view_release(view);
    pthread_mutex_lock(&index->mutex);
    index->committed = *commit;
    index->wrote = true;
    if (status != SHX_OK) index->rotate = true; /* the record cannot be read back: its file may be gone */
    if (due) keeper_wake(index);
    pthread_mutex_unlock(&index->mutex);
}

void shx_index_relieve(shx_index *index, const shx_view *view, const shx_stop *stop) {
    const uint64_t most = KEEPER_TAIL_MAX * (uint64_t)index->config.flush_rows;
    if (view->mark.operations < most || !view->delta->base->shards) return;
    shx_id commit = view->mark.commit;
    (void)shx_maintain_flush(index, &commit, stop->wanted, stop->context);
}

/* ---- the registry ---- */

static shx_index *keeper_find(const char *directory) {
    shx_index *index = keeper_registry;
    while (index && !(index->directory && strcmp(index->directory, directory) == 0)) index = index->next;
    return index;
}

static shx_status keeper_acquire(const shx_index_config *config, shx_index **ret_index) {
    shx_index *index = config->directory ? keeper_find(config->directory) : NULL;
    if (index) {
        bool same = index->config.metric == config->metric && index->config.element == config->element &&
                    index->config.dim == config->dim && index->config.columns == config->columns &&
                    index->config.group == config->group;
        SHX_CHECK(same && shx_id_equal(&index->config.uuid, &config->uuid), SHX_MISUSE);
    } else {
        SHX_TRY(shx_index_create(config, &index));
        index->next = keeper_registry;
        keeper_registry = index;
    }
    index->references++;
    *ret_index = index;
    return SHX_OK;
}

shx_status shx_index_acquire(const shx_index_config *config, shx_index **ret_index) {
    pthread_once(&keeper_once, keeper_watch_fork);
    pthread_mutex_lock(&keeper_registry_mutex);
    shx_status status = keeper_acquire(config, ret_index);
    pthread_mutex_unlock(&keeper_registry_mutex);
    return status;
}

bool shx_index_step(void) {
    bool any = false;
    pthread_mutex_lock(&keeper_registry_mutex);
    for (shx_index *index = keeper_registry; index; index = index->next) {
        pthread_mutex_lock(&index->mutex);
        any = any || index->due;
        if (index->due) keeper_round(index);
        pthread_mutex_unlock(&index->mutex);
    }
    pthread_mutex_unlock(&keeper_registry_mutex);
    return any;
}

void shx_index_forsake(shx_index *index) {
    if (!index || index->process != shx_process()) return;
    pthread_mutex_lock(&index->mutex);
    index->due = index->wrote = false;
    index->forsaken = true;
    pthread_mutex_unlock(&index->mutex);
}

bool shx_index_is_forsaken(shx_index *index) {
    if (index->process != shx_process()) return false;
    pthread_mutex_lock(&index->mutex);
    bool forsaken = index->forsaken;
    pthread_mutex_unlock(&index->mutex);
    return forsaken;
}

static void keeper_unlink(const shx_index *index) {
    shx_index **link = &keeper_registry;
    while (*link != index) link = &(*link)->next;
    *link = index->next;
}

static void keeper_stop_thread(shx_index *index) {
    if (!index->thread_started) return;
    pthread_mutex_lock(&index->mutex);
    index->stopping = true;
    pthread_cond_signal(&index->wake);
    pthread_mutex_unlock(&index->mutex);
    pthread_join(index->thread, NULL);
}

void shx_index_release(shx_index *index) {
    if (!index || index->process != shx_process()) return; /* the parent's: it stays as it is */
    pthread_mutex_lock(&keeper_registry_mutex);
    bool last = --index->references == 0;
    if (last) keeper_unlink(index);
    pthread_mutex_unlock(&keeper_registry_mutex);
    if (!last) return;
    keeper_stop_thread(index);
    if (index->wrote && index->directory && keeper_commit_due(index, &index->committed, KEEPER_TAIL_CLOSE)) {
        (void)shx_maintain_flush(index, &index->committed, NULL, NULL);
    }
    shx_index_destroy(index);
}
