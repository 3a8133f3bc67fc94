#include "pool.h"

#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* More threads than any loop of ours can feed; it bounds what a wrong setting can start. */
#define POOL_THREADS_MAX 256

#define POOL_WAIT_NS 10000000

/* One loop. Chunks are taken in order and a chunk that was taken is always run: so all chunks before a failing one are
** run, and the error of the lowest failing chunk, the one returned, does not depend on the threads. */
typedef struct pool_loop {
    shx_pool_work work;
    void *context;
    uint64_t count, chunk, chunks;
    atomic_uint_fast64_t next;
    atomic_bool failed;
    shx_progress *progress;
    pthread_mutex_t *mutex; /* guards the two below; NULL without other threads */
    uint64_t error_chunk;
    shx_status error;
} pool_loop;

typedef struct pool_worker {
    shx_pool *pool;
    pthread_t thread;
    unsigned number;
} pool_worker;

struct shx_pool {
    unsigned threads;        /* started, the caller included */
    shx_progress *progress;  /* or NULL */
    pthread_mutex_t running; /* held by the caller whose loop it is */
    pthread_mutex_t mutex;   /* guards what follows */
    pthread_cond_t start, finished;
    pool_loop *loop; /* the present one */
    uint64_t turn;   /* counts the loops: a worker takes part once in each */
    unsigned busy;   /* workers not yet done with the present loop */
    bool ending;
    pool_worker workers[];
};

static void pool_fail(pool_loop *loop, uint64_t chunk, shx_status status) {
    if (loop->mutex) pthread_mutex_lock(loop->mutex);
    if (loop->error == SHX_OK || chunk < loop->error_chunk) {
        loop->error = status;
        loop->error_chunk = chunk;
    }
    if (loop->mutex) pthread_mutex_unlock(loop->mutex);
    atomic_store(&loop->failed, true);
}

static void pool_take_part(pool_loop *loop, unsigned thread) {
    while (!atomic_load(&loop->failed)) {
        if (shx_progress_check(loop->progress) != SHX_OK) {
            pool_fail(loop, loop->chunks, SHX_INTERRUPT);
            return;
        }
        uint64_t chunk = atomic_fetch_add(&loop->next, 1);
        if (chunk >= loop->chunks) return;
        uint64_t first = chunk * loop->chunk, left = loop->count - first;
        uint64_t end = first + (left < loop->chunk ? left : loop->chunk);
        shx_status status = loop->work(loop->context, first, end, thread);
        if (status != SHX_OK && !SHX_PLANTED(49)) pool_fail(loop, chunk, status);
    }
}

static void *pool_main(void *argument) {
    pool_worker *worker = argument;
    shx_pool *pool = worker->pool;
    uint64_t turn = 0;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->ending && pool->turn == turn) pthread_cond_wait(&pool->start, &pool->mutex);
        if (pool->ending) break;
        turn = pool->turn;
        pool_loop *loop = pool->loop;
        pthread_mutex_unlock(&pool->mutex);
        pool_take_part(loop, worker->number);
        pthread_mutex_lock(&pool->mutex);
        if (--pool->busy == 0) pthread_cond_signal(&pool->finished);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static unsigned pool_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

static atomic_bool pool_forbidden;

void shx_threads_forbid(void) { atomic_store(&pool_forbidden, true); }

/* A thread inherits the mask of the one that starts it. */
bool shx_thread_start(void *(*run)(void *argument), void *argument, pthread_t *ret_thread) {
    sigset_t all, before;
    if (atomic_load(&pool_forbidden)) return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(ret_thread, NULL, run, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void pool_start_workers(shx_pool *pool, unsigned threads) {
    for (unsigned number = 1; number < threads; number++) {
        pool_worker *worker = &pool->workers[number - 1];
        worker->pool = pool;
        worker->number = number;
        if (!shx_thread_start(pool_main, worker, &worker->thread)) break;
        pool->threads++;
    }
}

/* Waits go by a clock that nobody sets. */
static bool pool_make_condition(pthread_cond_t *ret_condition) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(ret_condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

shx_status shx_pool_create(unsigned threads, shx_pool **ret_pool) {
    if (threads == 0) threads = pool_processors();
    if (threads < 1) threads = 1;
    if (threads > POOL_THREADS_MAX) threads = POOL_THREADS_MAX;
    shx_pool *pool = shx_alloc_zero(1, sizeof *pool + (threads - 1) * sizeof pool->workers[0]);
    SHX_CHECK(pool, SHX_NOMEM);
    pool->running = pool->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool->start = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    if (!pool_make_condition(&pool->finished)) {
        shx_free(pool);
        return SHX_NOMEM;
    }
    pool->threads = 1;
    pool_start_workers(pool, threads);
    *ret_pool = pool;
    return SHX_OK;
}

void shx_pool_destroy(shx_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    assert(pool->busy == 0);
    pool->ending = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i + 1 < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->mutex);
    pthread_mutex_destroy(&pool->running);
    shx_free(pool);
}

unsigned shx_pool_threads(const shx_pool *pool) { return pool ? pool->threads : 1; }

void shx_pool_watch(shx_pool *pool, shx_progress *progress) { pool->progress = progress; }

shx_progress *shx_pool_progress(const shx_pool *pool) { return pool ? pool->progress : NULL; }

/* Waits a little for the other threads, and meanwhile asks whether they shall stop: only the caller may ask. */
static void pool_wait(shx_pool *pool, pool_loop *loop) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += POOL_WAIT_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&pool->finished, &pool->mutex, &until);
    pthread_mutex_unlock(&pool->mutex);
    if (shx_progress_check(loop->progress) != SHX_OK) pool_fail(loop, loop->chunks, SHX_INTERRUPT);
    pthread_mutex_lock(&pool->mutex);
}

/* Runs the loop on all threads. The caller holds pool->running. */
static void pool_run_together(shx_pool *pool, pool_loop *loop) {
    loop->mutex = &pool->mutex;
    pthread_mutex_lock(&pool->mutex);
    pool->loop = loop;
    pool->busy = pool->threads - 1;
    pool->turn++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);
    pool_take_part(loop, 0);
    pthread_mutex_lock(&pool->mutex);
    while (pool->busy > 0) pool_wait(pool, loop);
    pool->loop = NULL;
    pthread_mutex_unlock(&pool->mutex);
}

shx_status shx_pool_run(shx_pool *pool, uint64_t count, uint64_t chunk, shx_pool_work work, void *context) {
    assert(chunk > 0 && work);
    uint64_t chunks = count / chunk + (count % chunk != 0);
    pool_loop loop = {.work = work, .context = context, .count = count, .chunk = chunk, .chunks = chunks};
    loop.progress = shx_pool_progress(pool);
    bool together = pool && pool->threads > 1 && chunks > 1 && pthread_mutex_trylock(&pool->running) == 0;
    if (!together) {
        pool_take_part(&loop, 0);
        return loop.error;
    }
    pool_run_together(pool, &loop);
    pthread_mutex_unlock(&pool->running);
    return loop.error;
}
