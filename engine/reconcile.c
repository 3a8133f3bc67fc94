#include "reconcile.h"

#include "index_state.h"
#include "maintain.h"
#include "memory.h"
#include "planted.h"

#include <stdatomic.h>
#include <string.h>

#define RECONCILE_BASE_TRIES 10
#define RECONCILE_PART (1u << 20) /* differences in one record: until it ends each takes 32 bytes of memory */

/* What the index has: a posting's rowid and fingerprint, in the order of rowids. */
typedef struct reconcile_known {
    int64_t rowid;
    shx_fingerprint fingerprint;
} reconcile_known;

struct shx_reconcile {
    shx_index *index;
    shx_view *start;        /* what it starts from: a base without a delta, unless `since` */
    shx_pending *pending;   /* private, or since: the differences */
    shx_wal_writer *writer; /* durable: where they go */
    shx_id parent;          /* of the record that is being written, … */
    uint64_t part;          /* … and the differences in it */
    reconcile_known *known;
    uint64_t known_count, known_capacity, next;
    uint64_t changes;
    bool durable, from_nothing;
    bool since;  /* it starts anywhere and is given what has changed since */
    bool wanted; /* a vector is awaited, for: */
    shx_op op;
};

static shx_status reconcile_note(void *context, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                                 const void *vector) {
    shx_reconcile *reconcile = context;
    (void)vector;
    SHX_TRY(shx_grow((void **)&reconcile->known, &reconcile->known_capacity, reconcile->known_count + 1,
                     sizeof *reconcile->known));
    reconcile->known[reconcile->known_count++] = (reconcile_known){rowid, {vector_hash, column_hash}};
    return SHX_OK;
}

static shx_status reconcile_empty_view(shx_index *index, shx_view **ret_view) {
    shx_base *base = NULL;
    shx_delta *delta = NULL;
    const shx_space space = shx_index_space(index);
    shx_status status = shx_base_empty(&index->config.genesis, &space, &base);
    if (status == SHX_OK) status = shx_delta_create(base, &delta);
    if (status == SHX_OK) status = shx_view_create(delta, shx_delta_tip(delta), ret_view);
    shx_delta_release(delta);
    shx_base_release(base);
    return status;
}

static void reconcile_newest_base(const shx_index *index, shx_id *ret_commit) {
    uint64_t generation = 0;
    for (uint64_t i = 0; i < index->catalog.base_count; i++) {
        const shx_catalog_base *base = &index->catalog.bases[i];
        if (base->damaged || base->names.generation < index->floor || base->names.generation <= generation) continue;
        generation = base->names.generation;
        *ret_commit = base->names.commit;
    }
}

/* The newest base, without what the WAL may know beyond it: the record that is to be made must have a parent that
** everybody can resolve, and the fewer sources the better when something is wrong already. A base that proves
** damaged on the way leaves its commit to an older one and the WAL; then the next one is tried. */
static shx_status reconcile_newest_view(shx_index *index, shx_view **ret_view) {
    for (int tries = 0; tries < RECONCILE_BASE_TRIES; tries++) {
        shx_id commit = index->config.genesis;
        shx_view *view;
        pthread_mutex_lock(&index->mutex);
        shx_status status = shx_index_refresh(index);
        reconcile_newest_base(index, &commit);
        pthread_mutex_unlock(&index->mutex);
        SHX_TRY(status);
        SHX_TRY(shx_index_view(index, &commit, &view));
        if (view->mark.operations == 0) {
            *ret_view = view;
            return SHX_OK;
        }
        shx_view_release(view);
    }
    return SHX_NOTFOUND;
}

static shx_status reconcile_start(shx_reconcile *reconcile, const shx_stop *stop) {
    shx_status status = SHX_NOTFOUND;
    if (!reconcile->from_nothing) status = reconcile_newest_view(reconcile->index, &reconcile->start);
    if (status == SHX_OK) {
        status = shx_view_each(reconcile->start, reconcile_note, reconcile, stop);
        if (status == SHX_OK || status == SHX_NOMEM || status == SHX_INTERRUPT) return status;
        shx_view_release(reconcile->start);
        reconcile->start = NULL;
        reconcile->known_count = 0;
    }
    return status == SHX_NOMEM ? status : reconcile_empty_view(reconcile->index, &reconcile->start);
}

/* A record of this size is long in the writing, and other connections of the process may commit meanwhile: it gets a
** WAL file of its own. */
static shx_status reconcile_start_writer(shx_reconcile *reconcile) {
    shx_index *index = reconcile->index;
    pthread_mutex_lock(&index->mutex);
    shx_status status = shx_store_prepare(index->store);
    if (status == SHX_OK) status = shx_index_refresh(index);
    if (status == SHX_OK) status = shx_index_new_wal(index, &reconcile->writer);
    pthread_mutex_unlock(&index->mutex);
    reconcile->parent = reconcile->start->mark.commit;
    return status == SHX_OK ? shx_wal_begin(reconcile->writer) : status;
}

shx_status shx_reconcile_open(shx_index *index, bool from_nothing, bool durable, const shx_stop *stop,
                              shx_reconcile **ret_reconcile) {
    shx_reconcile *reconcile = shx_alloc_zero(1, sizeof *reconcile);
    SHX_CHECK(reconcile, SHX_NOMEM);
    reconcile->index = index;
    reconcile->durable = durable;
    reconcile->from_nothing = from_nothing;
    shx_status status = reconcile_start(reconcile, stop);
    if (status == SHX_OK && durable) status = reconcile_start_writer(reconcile);
    if (status == SHX_OK && !durable) status = shx_pending_create(shx_index_vector_bytes(index), &reconcile->pending);
    if (status != SHX_OK) {
        shx_reconcile_close(reconcile);
        return status;
    }
    *ret_reconcile = reconcile;
    return SHX_OK;
}

shx_status shx_reconcile_open_since(shx_index *index, const shx_id *commits, size_t count, bool durable,
                                    size_t *ret_position, shx_reconcile **ret_reconcile) {
    shx_reconcile *reconcile = shx_alloc_zero(1, sizeof *reconcile);
    SHX_CHECK(reconcile, SHX_NOMEM);
    reconcile->index = index;
    reconcile->durable = durable;
    reconcile->since = true;
    shx_status status = shx_index_nearest(index, commits, count, durable, ret_position, &reconcile->start);
    if (status == SHX_OK) status = shx_pending_create(shx_index_vector_bytes(index), &reconcile->pending);
    if (status != SHX_OK) {
        shx_reconcile_close(reconcile);
        return status;
    }
    *ret_reconcile = reconcile;
    return SHX_OK;
}

void shx_reconcile_close(shx_reconcile *reconcile) {
    if (!reconcile) return;
    if (reconcile->writer) { /* the one record that its file was to hold did not come to be */
        (void)shx_file_remove_id(reconcile->index->store, SHX_FILE_WAL, shx_wal_writer_file(reconcile->writer));
    }
    shx_view_release(reconcile->start);
    shx_pending_destroy(reconcile->pending);
    shx_wal_writer_close(reconcile->writer);
    shx_free(reconcile->known);
    shx_free(reconcile);
}

static atomic_uint_fast64_t reconcile_part = RECONCILE_PART;

void shx_reconcile_part_at(uint64_t differences) {
    atomic_store(&reconcile_part, differences ? differences : RECONCILE_PART);
}

/* Ends a record, at a commit that no database has and no other reconcile leads to; the next one goes on from there. */
static shx_status reconcile_end_part(shx_reconcile *reconcile) {
    const struct {
        shx_id parent;
        uint64_t file;
    } from = {reconcile->parent, shx_wal_writer_file(reconcile->writer)};
    shx_id commit = shx_hash128(&from, sizeof from);
    shx_wal_entry entry;
    SHX_TRY(shx_wal_finish(reconcile->writer, &commit, &reconcile->parent, &entry));
    reconcile->parent = commit;
    reconcile->part = 0;
    return shx_wal_begin(reconcile->writer);
}

static shx_status reconcile_put(shx_reconcile *reconcile, const shx_op *op) {
    static const shx_id no_digest;
    reconcile->changes++;
    if (reconcile->pending) return shx_pending_append(reconcile->pending, op, &no_digest);
    SHX_TRY(shx_wal_put(reconcile->writer, op));
    return ++reconcile->part < atomic_load(&reconcile_part) ? SHX_OK : reconcile_end_part(reconcile);
}

/* Postings that the index has and the database has not, up to a rowid. */
static shx_status reconcile_delete_before(shx_reconcile *reconcile, bool all, int64_t rowid) {
    while (reconcile->next < reconcile->known_count) {
        int64_t known = reconcile->known[reconcile->next].rowid;
        if (!all && known >= rowid) break;
        shx_op op = {.kind = SHX_OP_DELETE, .rowid = known};
        if (!SHX_PLANTED(27)) SHX_TRY(reconcile_put(reconcile, &op));
        reconcile->next++;
    }
    return SHX_OK;
}

shx_status shx_reconcile_row(shx_reconcile *reconcile, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                             bool *ret_wanted) {
    SHX_CHECK(!reconcile->wanted, SHX_MISUSE);
    SHX_TRY(reconcile_delete_before(reconcile, false, rowid));
    bool there = reconcile->next < reconcile->known_count && reconcile->known[reconcile->next].rowid == rowid;
    bool same = false;
    if (there) {
        const shx_fingerprint *known = &reconcile->known[reconcile->next++].fingerprint;
        same = known->vector_hash == vector_hash && (known->column_hash == column_hash || SHX_PLANTED(26));
    }
    reconcile->op = (shx_op){.kind = there || reconcile->since ? SHX_OP_REPLACE : SHX_OP_INSERT,
                             .rowid = rowid,
                             .vector_hash = vector_hash,
                             .column_hash = column_hash};
    reconcile->wanted = !same;
    *ret_wanted = !same;
    return SHX_OK;
}

shx_status shx_reconcile_gone(shx_reconcile *reconcile, int64_t rowid) {
    SHX_CHECK(reconcile->since && !reconcile->wanted, SHX_MISUSE);
    shx_op op = {.kind = SHX_OP_DELETE, .rowid = rowid};
    return reconcile_put(reconcile, &op);
}

/* The hash is taken anew: a vector that does not match what the database says of it must not make the record
** unreadable. */
shx_status shx_reconcile_content(shx_reconcile *reconcile, const void *vector, const shx_packed *columns) {
    SHX_CHECK(reconcile->wanted, SHX_MISUSE);
    reconcile->wanted = false;
    reconcile->op.vector = vector;
    reconcile->op.columns = *columns;
    reconcile->op.vector_hash = shx_hash64(vector, shx_index_vector_bytes(reconcile->index), 0);
    if (columns->size) reconcile->op.column_hash = shx_hash64(columns->bytes, columns->size, 0);
    return reconcile_put(reconcile, &reconcile->op);
}

uint64_t shx_reconcile_known(const shx_reconcile *reconcile) { return reconcile->known_count; }

uint64_t shx_reconcile_changes(const shx_reconcile *reconcile) { return reconcile->changes; }

/* ---- results ---- */

/* The differences in the form of a loaded record. */
static shx_status reconcile_record(const shx_reconcile *reconcile, shx_wal_record *ret_record) {
    const shx_pending *pending = reconcile->pending;
    uint64_t count = shx_pending_count(pending), operations_at = shx_align(shx_pending_held(pending), 64);
    size_t size = shx_index_vector_bytes(reconcile->index);
    uint8_t *bytes = shx_alloc_aligned(operations_at + count * SHX_OPERATION_BYTES + 1, 1);
    SHX_CHECK(bytes, SHX_NOMEM);
    uint8_t *body = bytes;
    for (uint64_t i = 0; i < count; i++) {
        shx_op op = shx_pending_op(pending, i);
        shx_wal_put_operation(&op, bytes + operations_at + i * SHX_OPERATION_BYTES);
        if (op.vector) body += shx_body_put(&op, size, body);
    }
    *ret_record = (shx_wal_record){.operation_count = count,
                                   .operations = bytes + operations_at,
                                   .bodies = bytes,
                                   .vector_bytes = size,
                                   .copy = bytes};
    return SHX_OK;
}

static shx_status reconcile_supply(const shx_reconcile *reconcile, const shx_id *commit, shx_view **ret_view) {
    shx_wal_record record;
    SHX_TRY(reconcile_record(reconcile, &record));
    return shx_index_supply(reconcile->index, &reconcile->start->mark.commit, commit, &record, ret_view);
}

shx_status shx_reconcile_view(shx_reconcile *reconcile, const shx_id *commit, shx_view **ret_view) {
    SHX_CHECK(!reconcile->durable && !reconcile->wanted, SHX_MISUSE);
    shx_delta *delta;
    shx_wal_record record;
    if (reconcile->since) return reconcile_supply(reconcile, commit, ret_view);
    SHX_TRY(reconcile_delete_before(reconcile, true, 0));
    SHX_TRY(shx_delta_create(reconcile->start->delta->base, &delta));
    shx_status status = reconcile_record(reconcile, &record);
    if (status == SHX_OK) status = shx_delta_apply(delta, &record, commit, NULL);
    if (status == SHX_OK) status = shx_view_create(delta, shx_delta_tip(delta), ret_view);
    shx_delta_release(delta);
    return status;
}

/* A rebuild must not be outshone by the older bases that it replaces. */
shx_status shx_reconcile_publish(shx_reconcile *reconcile, const shx_id *commit) {
    SHX_CHECK(reconcile->durable && !reconcile->wanted, SHX_MISUSE);
    shx_index *index = reconcile->index;
    if (reconcile->since) {
        return shx_index_append(index, &reconcile->start->mark.commit, commit, reconcile->pending);
    }
    shx_wal_entry entry;
    SHX_TRY(reconcile_delete_before(reconcile, true, 0));
    SHX_TRY(shx_wal_finish(reconcile->writer, commit, &reconcile->parent, &entry));
    shx_wal_writer_close(reconcile->writer);
    reconcile->writer = NULL;
    if (reconcile->from_nothing) shx_index_distrust(index);
    pthread_mutex_lock(&index->mutex);
    shx_status status = shx_index_refresh(index);
    if (status == SHX_OK && !shx_catalog_find(&index->catalog, commit))
        status = shx_catalog_add(&index->catalog, &entry);
    index->rotate = true;
    pthread_mutex_unlock(&index->mutex);
    shx_view *view;
    if (status == SHX_OK) status = shx_index_view(index, commit, &view);
    if (status == SHX_OK) shx_view_release(view);
    return status;
}
