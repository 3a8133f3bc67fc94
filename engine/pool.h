/* Threads: how ours are started, and a parallel loop.
**
** A pool of n threads runs one loop at a time, the caller being one of the n. Loops are cut into chunks that threads
** take in turn, so uneven chunks balance. A pool of 1 runs everything in the caller. Results must not depend on which
** thread ran which chunk: builds are deterministic.
*/
#ifndef SHX_POOL_H
#define SHX_POOL_H

#include "progress.h"
#include "status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a thread, to be joined by the caller. It blocks all signals: the host's handlers run on the host's own
** threads. False where the system gives no thread. */
bool shx_thread_start(void *(*run)(void *argument), void *argument, pthread_t *ret_thread);

/* From now on this process starts no thread of ours: what threads would do is done by those who call. */
void shx_threads_forbid(void);

typedef struct shx_pool shx_pool;

/* Does the items [first, end) of a loop on thread `thread` (0 … threads-1, 0 being the caller's; for per-thread
** scratch). A status other than SHX_OK stops the loop; the first one is returned. */
typedef shx_status (*shx_pool_work)(void *context, uint64_t first, uint64_t end, unsigned thread);

/* Starts a pool. threads = 0 means all processors that the process may use. Where threads cannot be started the pool is
** smaller, at least the caller. */
shx_status shx_pool_create(unsigned threads, shx_pool **ret_pool);

/* Ends the threads; NULL is allowed. */
void shx_pool_destroy(shx_pool *pool);

/* How many threads a loop may run on, the caller's included; 1 for NULL. */
unsigned shx_pool_threads(const shx_pool *pool);

/* From now on every loop of the pool, nested ones included, checks this progress before each chunk (NULL: none any
** more) and ends with SHX_INTERRUPT when it says so. Not while a loop runs. */
void shx_pool_watch(shx_pool *pool, shx_progress *progress);

/* What the pool watches; NULL is allowed and watches nothing. */
shx_progress *shx_pool_progress(const shx_pool *pool);

/* Runs `work` over [0, count) in chunks of `chunk` > 0 items. Chunks before a failing one are always run, and the error
** of the lowest failing one is returned. A NULL pool runs in the caller; so does one that is busy with another loop, be
** it another caller's or the one that this call is made from (each loop counts its threads from 0). */
shx_status shx_pool_run(shx_pool *pool, uint64_t count, uint64_t chunk, shx_pool_work work, void *context);

#endif
