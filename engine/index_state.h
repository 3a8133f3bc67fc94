/* The inside of an index and of a view, for the files of floor 4 only. */
#ifndef SHX_INDEX_STATE_H
#define SHX_INDEX_STATE_H

#include "catalog.h"
#include "delta.h"
#include "held.h"
#include "index.h"
#include "progress.h"

#include <pthread.h>

#define SHX_INDEX_DELTAS 4

struct shx_view {
    atomic_uint references;
    uint64_t epoch; /* of its index when it was resolved; 0 when it was made otherwise */
    shx_delta *delta;
    shx_delta_mark mark;
};

struct shx_index {
    struct shx_index *next; /* in the registry, under its mutex */
    unsigned references;    /* under the registry's mutex */
    int64_t process;        /* that made it: a forked child must leave it alone */
    shx_index_config config;
    char *directory; /* NULL: memory only */
    shx_store *store;

    pthread_mutex_t mutex; /* of everything below; never held while maintenance computes or a callback runs */
    shx_catalog catalog;
    shx_delta *deltas[SHX_INDEX_DELTAS]; /* the last ones used, newest first: snapshots may be of different age */
    shx_held *held;                      /* what connections keep */
    _Atomic(uint64_t) epoch;             /* from 1 on; counts what superseded views; written under the mutex */
    shx_base *recent;                    /* the base that was opened last: lends its files to the next one */
    uint64_t floor;                      /* bases of lower generations are not used (distrust, rebuild) */
    shx_wal_writer *writer;
    bool rotate;              /* the next record starts a new WAL file */
    bool collect_due;         /* a base was published or found: files may have become superfluous */
    _Atomic(shx_pool *) pool; /* of searches; set once, under the mutex */
    bool pool_tried;
    _Atomic(uint64_t) capped; /* searches that ended for having passed too many rows */
    shx_progress progress;    /* of the maintenance that this process is doing, without the mutex */
    uint64_t supplied;        /* operations in memory that stand in no file (shx_index_supply) */

    pthread_cond_t wake; /* of the keeper's thread (keeper.c) */
    pthread_t thread;
    bool thread_started, stopping, due, wrote;
    bool forsaken;    /* its table was dropped */
    shx_id committed; /* the newest commit of this process */
};

/* Bytes of one vector, wherever it is kept. */
static inline size_t shx_index_vector_bytes(const shx_index *index) {
    return shx_element_bytes(index->config.element, index->config.dim);
}

/* The space that its vectors are in. */
static inline shx_space shx_index_space(const shx_index *index) {
    return (shx_space){index->config.metric, index->config.element, index->config.dim};
}

/* Opens a base of the index, as shx_base_open does. */
static inline shx_status shx_index_open_base(const shx_index *index, uint64_t file, const shx_base *known,
                                             shx_base **ret_base) {
    const shx_space space = shx_index_space(index);
    return shx_base_open(index->store, &index->config.uuid, file, &space, known, ret_base);
}

/* Makes the view of a mark of a delta; both references are the caller's. */
shx_status shx_view_create(shx_delta *delta, const shx_delta_mark *mark, shx_view **ret_view);

/* Takes away the views that connections keep: something supersedes them (held.c). Call with the mutex held. */
void shx_held_take_all(shx_index *index);

/* Looks at the directory again. Call with the mutex held. */
shx_status shx_index_refresh(shx_index *index);

/* shx_index_view_until with the mutex held. */
shx_status shx_index_resolve(shx_index *index, const shx_id *commit, const shx_stop *stop, shx_view **ret_view);

/* The view of the first of some commits that resolves, with one look at the directory; *ret_position tells which. With
** `durable` only what every process can resolve counts. SHX_NOTFOUND when there is none. */
shx_status shx_index_nearest(shx_index *index, const shx_id *commits, size_t count, bool durable, size_t *ret_position,
                             shx_view **ret_view);

/* Takes a record (in any case) from `parent`, which resolves, to `commit` into memory only, and gives the view of
** `commit`. SHX_NOTFOUND when memory holds too many of them: somebody has to write the directory. */
shx_status shx_index_supply(shx_index *index, const shx_id *parent, const shx_id *commit, shx_wal_record *record,
                            shx_view **ret_view);

/* A file id that no file has. Call with the mutex held. */
uint64_t shx_index_new_id(shx_index *index);

/* A new base was published: views from now on start from it. */
void shx_index_adopt(shx_index *index);

/* Lets go of all files that this process has open without need: views from now on, and records, open them anew. Call
** with the mutex held. */
void shx_index_let_go(shx_index *index);

/* Opens (or continues) the WAL file to append to. Call with the mutex held. */
shx_status shx_index_writer(shx_index *index, shx_wal_writer **ret_writer);

/* Starts a record; in a new file when the one in use was removed. Call with the mutex held. */
shx_status shx_index_begin(shx_index *index, shx_wal_writer **ret_writer);

/* Starts a WAL file of a new id. Call with the mutex held. */
shx_status shx_index_new_wal(shx_index *index, shx_wal_writer **ret_writer);

/* May this index have work done by other threads? */
bool shx_index_may_thread(const shx_index *index);

/* Frees everything. The thread has ended and nobody uses the index. */
void shx_index_destroy(shx_index *index);

/* Makes an index without registering it. */
shx_status shx_index_create(const shx_index_config *config, shx_index **ret_index);

#endif
