#include "index.h"

#include "index_state.h"
#include "limits.h"
#include "memory.h"
#include "planted.h"
#include "spill.h"

#include <stdatomic.h>
#include <string.h>

#define INDEX_SUPPLIED_MAX 20000 /* operations in memory only: they are scanned by every query, and lost with it */
#define INDEX_NAME_TRIES 100     /* other processes may take a few ids between a look at the directory and a new file */

/* ---- life ---- */

static void index_drop_deltas(shx_index *index) {
    shx_held_take_all(index);
    for (int i = 0; i < SHX_INDEX_DELTAS; i++) {
        shx_delta_release(index->deltas[i]);
        index->deltas[i] = NULL;
    }
    index->supplied = 0;
}

static shx_status index_open_store(shx_index *index) {
    if (!index->config.directory) return shx_store_open_heap(&index->store);
    size_t size = strlen(index->config.directory) + 1;
    index->directory = shx_alloc(size);
    SHX_CHECK(index->directory, SHX_NOMEM);
    memcpy(index->directory, index->config.directory, size);
    index->config.directory = index->directory;
    return shx_store_open(index->directory, &index->store);
}

shx_status shx_index_create(const shx_index_config *config, shx_index **ret_index) {
    SHX_CHECK(config->dim >= 1 && config->dim <= SHX_DIM_MAX, SHX_MISUSE);
    SHX_CHECK(shx_metric_fits(config->metric, config->element), SHX_MISUSE);
    SHX_CHECK(config->element != SHX_BIT || config->dim % 8 == 0, SHX_MISUSE);
    shx_index *index = shx_alloc_zero(1, sizeof *index);
    SHX_CHECK(index, SHX_NOMEM);
    index->config = *config;
    index->process = shx_process();
    if (index->config.flush_rows == 0) index->config.flush_rows = SHX_FLUSH_ROWS;
    atomic_init(&index->epoch, 1);
    pthread_mutex_init(&index->mutex, NULL);
    pthread_cond_init(&index->wake, NULL);
    shx_status status = index_open_store(index);
    if (status != SHX_OK) {
        shx_index_destroy(index);
        return status;
    }
    *ret_index = index;
    return SHX_OK;
}

void shx_index_destroy(shx_index *index) {
    if (!index) return;
    shx_pool_destroy(atomic_load(&index->pool));
    index_drop_deltas(index);
    shx_base_release(index->recent);
    shx_wal_writer_close(index->writer);
    shx_catalog_free(&index->catalog);
    shx_store_close(index->store);
    pthread_cond_destroy(&index->wake);
    pthread_mutex_destroy(&index->mutex);
    shx_free(index->directory);
    shx_free(index);
}

/* ---- views ---- */

shx_status shx_view_create(shx_delta *delta, const shx_delta_mark *mark, shx_view **ret_view) {
    shx_view *view = shx_alloc_zero(1, sizeof *view);
    SHX_CHECK(view, SHX_NOMEM);
    atomic_init(&view->references, 1);
    shx_delta_retain(delta);
    view->delta = delta;
    view->mark = *mark;
    *ret_view = view;
    return SHX_OK;
}

void shx_view_release(shx_view *view) {
    if (!view || atomic_fetch_sub(&view->references, 1) > 1) return;
    shx_delta_release(view->delta);
    shx_free(view);
}

uint64_t shx_view_rows(const shx_view *view) { return view->mark.live_rows; }
shx_id shx_view_commit(const shx_view *view) { return view->mark.commit; }

/* ---- resolving a commit id ---- */

/* Puts a delta first; the last one goes. */
static void index_push_delta(shx_index *index, shx_delta *delta) {
    if (index->deltas[SHX_INDEX_DELTAS - 1]) shx_held_take_all(index);
    shx_delta_release(index->deltas[SHX_INDEX_DELTAS - 1]);
    memmove(index->deltas + 1, index->deltas, (SHX_INDEX_DELTAS - 1) * sizeof *index->deltas);
    index->deltas[0] = delta;
}

/* Moves the delta whose last commit is `tip` to the front; false when there is none. */
static bool index_use_tip(shx_index *index, const shx_id *tip) {
    for (int i = 0; i < SHX_INDEX_DELTAS && index->deltas[i]; i++) {
        shx_delta *delta = index->deltas[i];
        if (!shx_id_equal(&shx_delta_tip(delta)->commit, tip)) continue;
        memmove(index->deltas + 1, index->deltas, (size_t)i * sizeof *index->deltas);
        index->deltas[0] = delta;
        return true;
    }
    return false;
}

/* The delta that holds a commit, and its mark. */
static const shx_delta_mark *index_find_mark(const shx_index *index, const shx_id *commit, shx_delta **ret_delta) {
    for (int i = 0; i < SHX_INDEX_DELTAS && index->deltas[i]; i++) {
        const shx_delta_mark *mark = shx_delta_find(index->deltas[i], commit);
        if (!mark) continue;
        *ret_delta = index->deltas[i];
        return mark;
    }
    return NULL;
}

/* A base that was not there before may be a better start for views than what is in memory. */
shx_status shx_index_refresh(shx_index *index) {
    uint64_t generation = shx_catalog_generation(&index->catalog);
    SHX_TRY(shx_catalog_refresh(&index->catalog, index->store, &index->config.uuid, shx_index_vector_bytes(index)));
    if (shx_catalog_generation(&index->catalog) > generation) {
        index->collect_due = true;
        index_drop_deltas(index);
    }
    return SHX_OK;
}

uint64_t shx_index_new_id(shx_index *index) { return ++index->catalog.last_id; }

static bool index_is_named(const shx_base *base, const shx_base_names *names) {
    return shx_id_equal(&base->info.commit, &names->commit) && base->info.generation == names->generation;
}

/* Opens the base of a file that the catalog knows. A damaged one is remembered as such. Where another copy of the
** directory has taken its place, or its id was given a second time, the file holds another base by now: the catalog
** learns which, and it is SHX_NOTFOUND. */
static shx_status index_open_known(shx_index *index, shx_catalog_base *known, shx_base **ret_base) {
    shx_base *base;
    shx_status status = shx_index_open_base(index, known->file, index->recent, &base);
    if (status == SHX_OK && !index_is_named(base, &known->names)) {
        shx_base_release(base);
        status = shx_base_read_names(index->store, &index->config.uuid, known->file, &known->names);
        SHX_CHECK(status != SHX_OK, SHX_NOTFOUND);
    }
    if (status == SHX_CORRUPT || status == SHX_NOTFOUND) known->damaged = true;
    if (status == SHX_OK) *ret_base = base;
    return status;
}

/* Opens a base and starts a delta on it. */
static shx_status index_start_from(shx_index *index, shx_catalog_base *known) {
    shx_base *base;
    shx_delta *delta;
    SHX_TRY(index_open_known(index, known, &base));
    shx_base_release(index->recent);
    index->recent = base;
    SHX_TRY(shx_delta_create(base, &delta));
    index_push_delta(index, delta);
    return SHX_OK;
}

static shx_status index_start_empty(shx_index *index) {
    shx_base *base;
    shx_delta *delta;
    const shx_space space = shx_index_space(index);
    SHX_TRY(shx_base_empty(&index->config.genesis, &space, &base));
    shx_status status = shx_delta_create(base, &delta);
    shx_base_release(base);
    if (status == SHX_OK) index_push_delta(index, delta);
    return status;
}

/* The records that lead to a commit, the last one first. */
typedef struct index_path {
    shx_wal_entry *entries;
    uint64_t count, capacity;
} index_path;

/* Walks back from a commit to something to start from, collecting the path, and puts the delta that starts there
** first. */
static shx_status index_walk(shx_index *index, const shx_id *commit, index_path *path) {
    shx_id id = *commit;
    path->count = 0;
    for (;;) {
        bool at_tip = index_use_tip(index, &id);
        shx_catalog_base *base = shx_catalog_best_base(&index->catalog, &id, index->floor);
        if (base && (!at_tip || base->names.generation > index->deltas[0]->base->info.generation)) {
            shx_status status = index_start_from(index, base);
            if (status != SHX_CORRUPT && status != SHX_NOTFOUND) return status;
            continue;
        }
        if (at_tip) return SHX_OK;
        if (shx_id_equal(&id, &index->config.genesis)) return index_start_empty(index);
        const shx_wal_entry *entry = shx_catalog_find(&index->catalog, &id);
        SHX_CHECK(entry && path->count < index->catalog.entry_count, SHX_NOTFOUND);
        SHX_TRY(shx_grow((void **)&path->entries, &path->capacity, path->count + 1, sizeof *path->entries));
        path->entries[path->count++] = *entry;
        id = entry->parent;
    }
}

/* The base in front proves damaged when a row is looked for in its segments: there may be an older one. False when it
** is none of the catalog's. */
static bool index_doubt_base(shx_index *index) {
    uint64_t file = index->deltas[0]->base->file;
    for (uint64_t i = 0; i < index->catalog.base_count; i++) {
        shx_catalog_base *base = &index->catalog.bases[i];
        if (base->file != file || base->damaged) continue;
        base->damaged = true;
        return true;
    }
    return false;
}

/* Applies a path to the delta in front. A record that proves damaged is forgotten, which *ret_again says: another
** one of its commit may do. */
static shx_status index_apply(shx_index *index, const index_path *path, const shx_stop *stop, bool *ret_again) {
    for (uint64_t i = path->count; i-- > 0;) {
        shx_wal_record record;
        const shx_wal_entry *entry = &path->entries[i];
        bool kept = index->writer && shx_wal_take_image(index->writer, entry, &record);
        shx_status status = SHX_OK;
        if (!kept) status = shx_wal_load(index->store, entry, shx_index_vector_bytes(index), stop, &record);
        *ret_again = status == SHX_CORRUPT && shx_catalog_forget(&index->catalog, entry) == SHX_OK;
        if (status == SHX_OK) {
            status = shx_delta_apply(index->deltas[0], &record, &entry->commit, stop);
            *ret_again = status == SHX_CORRUPT && index_doubt_base(index);
        }
        if (status != SHX_OK) {
            index_drop_deltas(index);
            return status;
        }
    }
    return SHX_OK;
}

static shx_status index_try_resolve(shx_index *index, const shx_id *commit, const shx_stop *stop) {
    index_path path = {0};
    shx_status status;
    bool again;
    do {
        again = false;
        status = index_walk(index, commit, &path);
        if (status == SHX_OK) status = index_apply(index, &path, stop, &again);
    } while (again);
    shx_free(path.entries);
    return status;
}

/* What is in memory first; then what is known of the directory. */
static shx_status index_resolve_known(shx_index *index, const shx_id *commit, const shx_stop *stop,
                                      shx_view **ret_view) {
    shx_delta *delta = NULL;
    const shx_delta_mark *mark = index_find_mark(index, commit, &delta);
    if (!mark) {
        SHX_TRY(index_try_resolve(index, commit, stop));
        mark = index_find_mark(index, commit, &delta);
        SHX_CHECK(mark, SHX_NOTFOUND);
    }
    return shx_view_create(delta, SHX_PLANTED(28) ? shx_delta_tip(delta) : mark, ret_view);
}

/* At last another look at the directory. */
shx_status shx_index_resolve(shx_index *index, const shx_id *commit, const shx_stop *stop, shx_view **ret_view) {
    shx_status status = index_resolve_known(index, commit, stop, ret_view);
    if (status == SHX_OK || status == SHX_NOMEM || status == SHX_INTERRUPT) return status;
    SHX_TRY(shx_index_refresh(index));
    return index_resolve_known(index, commit, stop, ret_view);
}

shx_status shx_index_view(shx_index *index, const shx_id *commit, shx_view **ret_view) {
    return shx_index_view_until(index, commit, NULL, ret_view);
}

shx_status shx_index_view_until(shx_index *index, const shx_id *commit, const shx_stop *stop, shx_view **ret_view) {
    pthread_mutex_lock(&index->mutex);
    shx_status status = shx_index_resolve(index, commit, stop, ret_view);
    if (status == SHX_OK) (*ret_view)->epoch = atomic_load(&index->epoch);
    pthread_mutex_unlock(&index->mutex);
    return status;
}

/* ---- what stands in no file ---- */

/* Do records lead from a base, or from nothing, to this commit? */
static bool index_is_durable(shx_index *index, const shx_id *commit) {
    if (index->supplied == 0) return true;
    shx_id id = *commit;
    for (uint64_t steps = 0; steps <= index->catalog.entry_count; steps++) {
        if (shx_id_equal(&id, &index->config.genesis)) return true;
        if (shx_catalog_best_base(&index->catalog, &id, index->floor)) return true;
        const shx_wal_entry *entry = shx_catalog_find(&index->catalog, &id);
        if (!entry) return false;
        id = entry->parent;
    }
    return false;
}

bool shx_index_is_durable(shx_index *index, const shx_id *commit) {
    pthread_mutex_lock(&index->mutex);
    bool durable = index_is_durable(index, commit);
    pthread_mutex_unlock(&index->mutex);
    return durable;
}

static shx_status index_nearest(shx_index *index, const shx_id *commits, size_t count, bool durable,
                                size_t *ret_position, shx_view **ret_view) {
    shx_status status = shx_index_refresh(index);
    if (status == SHX_NOMEM) return status;
    for (size_t i = 0; i < count; i++) {
        if (durable && !index_is_durable(index, &commits[i])) continue;
        status = index_resolve_known(index, &commits[i], NULL, ret_view);
        if (status == SHX_NOMEM) return status;
        if (status != SHX_OK) continue;
        *ret_position = i;
        return SHX_OK;
    }
    return SHX_NOTFOUND;
}

shx_status shx_index_nearest(shx_index *index, const shx_id *commits, size_t count, bool durable, size_t *ret_position,
                             shx_view **ret_view) {
    pthread_mutex_lock(&index->mutex);
    shx_status status = index_nearest(index, commits, count, durable, ret_position, ret_view);
    pthread_mutex_unlock(&index->mutex);
    return status;
}

/* Puts the record behind its parent, which becomes the end of the delta in front. */
static shx_status index_supply(shx_index *index, const shx_id *parent, const shx_id *commit, shx_wal_record *record) {
    uint64_t operations = record->operation_count;
    shx_delta *delta;
    shx_status status = index_find_mark(index, commit, &delta) ? SHX_BUSY : index_try_resolve(index, parent, NULL);
    if (status == SHX_OK && index->supplied + operations > INDEX_SUPPLIED_MAX) status = SHX_NOTFOUND;
    if (status != SHX_OK) {
        shx_wal_record_close(record);
        return status == SHX_BUSY ? SHX_OK : status; /* another connection was faster */
    }
    status = shx_delta_apply(index->deltas[0], record, commit, NULL);
    if (status == SHX_OK) {
        index->supplied += operations + 1;
    } else {
        index_drop_deltas(index);
    }
    return status;
}

shx_status shx_index_supply(shx_index *index, const shx_id *parent, const shx_id *commit, shx_wal_record *record,
                            shx_view **ret_view) {
    pthread_mutex_lock(&index->mutex);
    shx_status status = index_supply(index, parent, commit, record);
    if (status == SHX_OK) status = index_resolve_known(index, commit, NULL, ret_view);
    pthread_mutex_unlock(&index->mutex);
    return status;
}

void shx_index_adopt(shx_index *index) {
    pthread_mutex_lock(&index->mutex);
    (void)shx_index_refresh(index);
    index_drop_deltas(index);
    index->rotate = true;
    index->collect_due = true;
    pthread_mutex_unlock(&index->mutex);
}

void shx_index_distrust(shx_index *index) {
    pthread_mutex_lock(&index->mutex);
    (void)shx_index_refresh(index);
    index->floor = shx_catalog_generation(&index->catalog) + 1;
    index_drop_deltas(index);
    shx_base_release(index->recent);
    index->recent = NULL;
    pthread_mutex_unlock(&index->mutex);
}

void shx_index_let_go(shx_index *index) {
    index_drop_deltas(index);
    shx_base_release(index->recent);
    index->recent = NULL;
    shx_wal_writer_close(index->writer);
    index->writer = NULL;
}

/* ---- appending ---- */

shx_status shx_index_new_wal(shx_index *index, shx_wal_writer **ret_writer) {
    shx_status status = SHX_BUSY;
    for (int tries = 0; status == SHX_BUSY && tries < INDEX_NAME_TRIES; tries++) {
        status = shx_wal_create(index->store, &index->config.uuid, shx_index_new_id(index),
                                shx_index_vector_bytes(index), ret_writer);
    }
    return status;
}

/* A file that a base has taken records over from is left to be removed, or processes that live for one flush would make
** it grow forever. */
static bool index_may_continue(const shx_index *index, const shx_catalog_file *file) {
    return file->extent.end >= SHX_HEADER_BYTES && file->extent.file > shx_catalog_wal_floor(&index->catalog);
}

shx_status shx_index_writer(shx_index *index, shx_wal_writer **ret_writer) {
    if (index->writer && index->rotate) {
        shx_wal_writer_close(index->writer);
        index->writer = NULL;
    }
    if (!index->writer) {
        SHX_TRY(shx_store_prepare(index->store));
        SHX_TRY(shx_index_refresh(index));
        const shx_catalog_file *newest = shx_catalog_newest_file(&index->catalog);
        shx_status status = SHX_BUSY;
        if (newest && !index->rotate && index_may_continue(index, newest)) {
            size_t vector_bytes = shx_index_vector_bytes(index);
            status = shx_wal_continue(index->store, &newest->extent, vector_bytes, &index->writer);
        }
        if (status == SHX_BUSY || status == SHX_NOTFOUND) status = shx_index_new_wal(index, &index->writer);
        SHX_TRY(status);
    }
    index->rotate = false;
    *ret_writer = index->writer;
    return SHX_OK;
}

shx_status shx_index_begin(shx_index *index, shx_wal_writer **ret_writer) {
    SHX_TRY(shx_index_writer(index, ret_writer));
    shx_status status = shx_wal_begin(*ret_writer);
    if (status != SHX_NOTFOUND) return status;
    index->rotate = true;
    SHX_TRY(shx_index_writer(index, ret_writer));
    return shx_wal_begin(*ret_writer);
}

static shx_status index_write(shx_index *index, const shx_id *parent, const shx_id *commit, shx_pending *pending,
                              shx_wal_entry *ret_entry) {
    shx_wal_writer *writer;
    SHX_CHECK(shx_pending_is_whole(pending), SHX_FULL);
    if (shx_spill_is_open(pending)) return shx_spill_finish(pending, commit, parent, ret_entry);
    SHX_TRY(shx_index_begin(index, &writer));
    for (size_t i = 0; i < shx_pending_count(pending); i++) {
        shx_op op = shx_pending_op(pending, i);
        SHX_TRY(shx_wal_put(writer, &op));
    }
    return shx_wal_finish(writer, commit, parent, ret_entry);
}

static shx_status index_append(shx_index *index, const shx_id *parent, const shx_id *commit, shx_pending *pending) {
    shx_wal_entry entry;
    if (shx_id_equal(commit, parent)) return SHX_OK;
    const shx_wal_entry *known = shx_catalog_find(&index->catalog, commit);
    if (known && shx_id_equal(&known->parent, parent)) return SHX_OK;
    SHX_TRY(index_write(index, parent, commit, pending, &entry));
    return shx_catalog_add(&index->catalog, &entry);
}

shx_status shx_index_append(shx_index *index, const shx_id *parent, const shx_id *commit, shx_pending *pending) {
    pthread_mutex_lock(&index->mutex);
    shx_status status = index_append(index, parent, commit, pending);
    if (status != SHX_OK) index->rotate = true;
    pthread_mutex_unlock(&index->mutex);
    return status;
}

/* ---- transactions too large for memory ---- */

static atomic_uint_fast64_t index_spill_bytes = SHX_SPILL_BYTES;

void shx_index_spill_at(uint64_t bytes) { atomic_store(&index_spill_bytes, bytes ? bytes : SHX_SPILL_BYTES); }

/* A file whose name is removed at once. */
static shx_status index_nameless(shx_index *index, shx_file **ret_file) {
    shx_status status = SHX_BUSY;
    uint64_t id = 0;
    shx_file *file;
    for (int tries = 0; status == SHX_BUSY && tries < INDEX_NAME_TRIES; tries++) {
        id = shx_index_new_id(index);
        status = shx_file_open_id(index->store, SHX_FILE_WAL, id, SHX_OPEN_CREATE, &file);
    }
    SHX_TRY(status);
    status = shx_file_remove_id(index->store, SHX_FILE_WAL, id);
    if (status == SHX_OK) {
        *ret_file = file;
    } else {
        shx_file_close(file);
    }
    return status;
}

static shx_status index_spill_files(shx_index *index, shx_wal_writer **ret_writer, shx_file **ret_operations) {
    shx_file *operations = NULL;
    pthread_mutex_lock(&index->mutex);
    shx_status status = shx_store_prepare(index->store);
    if (status == SHX_OK) status = shx_index_refresh(index);
    if (status == SHX_OK) status = index_nameless(index, &operations);
    if (status == SHX_OK) status = shx_index_new_wal(index, ret_writer);
    pthread_mutex_unlock(&index->mutex);
    if (status == SHX_OK) {
        *ret_operations = operations;
    } else if (operations) {
        shx_file_close(operations);
    }
    return status;
}

static shx_status index_spill(shx_index *index, shx_pending *pending) {
    shx_wal_writer *writer;
    shx_file *operations;
    SHX_TRY(index_spill_files(index, &writer, &operations));
    return shx_spill_start(pending, index->store, writer, operations, shx_index_may_thread(index));
}

shx_status shx_index_spill(shx_index *index, shx_pending *pending) {
    if (!index->directory || !shx_pending_is_whole(pending)) return SHX_OK;
    uint64_t most = atomic_load(&index_spill_bytes);
    bool open = shx_spill_is_open(pending);
    if (open ? shx_spill_waiting(pending) < most / 2 : shx_pending_heap(pending) < most) return SHX_OK;
    shx_status status = open ? shx_spill_advance(pending) : index_spill(index, pending);
    if (status != SHX_OK) shx_pending_drop_bodies(pending);
    return status;
}

/* ---- figures ---- */

static void index_stats_of_segment(const shx_segment *segment, shx_index_stats *stats) {
    const shx_container *container = &segment->container;
    stats->segment_rows += segment->row_count;
    stats->segment_bytes += container->map.size;
    stats->code_bytes += shx_container_section_size(container, SHX_SEGMENT_BLOCKS);
    stats->refine_bytes += shx_container_section_size(container, SHX_SEGMENT_REFINE);
    stats->refine_bytes += shx_container_section_size(container, SHX_SEGMENT_FACTORS);
    stats->id_bytes += shx_container_section_size(container, SHX_SEGMENT_ROWIDS);
    stats->id_bytes += shx_container_section_size(container, SHX_SEGMENT_FINGERPRINTS);
    stats->id_bytes += shx_container_section_size(container, SHX_SEGMENT_ORDER);
    stats->id_bytes += shx_container_section_size(container, SHX_SEGMENT_SEATS);
    stats->directory_bytes += shx_container_section_size(container, SHX_SEGMENT_RUNS);
    stats->vector_bytes += shx_container_section_size(container, SHX_SEGMENT_VECTORS);
}

static void index_stats_of_base(const shx_base *base, shx_index_stats *stats) {
    for (uint32_t i = 0; i < base->segment_count; i++) index_stats_of_segment(base->segments[i], stats);
    stats->segments = base->segment_count;
    stats->base_bytes = base->container.map.size;
    stats->generation = base->info.generation;
    stats->flushes = base->info.flushes;
    stats->merges = base->info.merges;
    stats->splits = base->info.splits;
    stats->builds = base->info.builds;
    stats->code_dim = base->encoding.code_dim;
    stats->calibrated = base->calibration.fitted != 0;
    if (!base->shards) return;
    stats->base_bytes += base->shards->container.map.size;
    stats->router = base->shards->way;
    stats->router_spread = base->shards->spread;
    stats->router_bytes = shx_shards_way_bytes(base->shards);
    for (uint64_t i = 0; i < base->shards->count; i++) {
        if (base->shards->open[i]) {
            stats->shards++;
        } else {
            stats->closed_shards++;
        }
    }
}

void shx_index_stats_get(shx_index *index, const shx_view *view, shx_index_stats *ret_stats) {
    shx_index_stats stats = {.rows = view->mark.live_rows,
                             .delta_rows = view->mark.rows,
                             .delta_operations = view->mark.operations,
                             .capped = atomic_load(&index->capped),
                             .in_memory = index->directory == NULL};
    index_stats_of_base(view->delta->base, &stats);
    uint64_t alive = 0;
    stats.directory_bytes += stats.base_bytes;
    for (uint32_t i = 0; i < view->mark.rows; i++) {
        alive += shx_delta_row_alive(view->delta, i, view->mark.operations);
    }
    stats.tombstones = stats.segment_rows + alive - stats.rows;
    pthread_mutex_lock(&index->mutex); /* commits are added to the delta meanwhile */
    stats.anonymous_bytes = shx_delta_bytes(view->delta);
    stats.wal_files = index->catalog.file_count;
    for (uint64_t i = 0; i < index->catalog.file_count; i++) stats.wal_bytes += index->catalog.files[i].extent.end;
    pthread_mutex_unlock(&index->mutex);
    *ret_stats = stats;
}
