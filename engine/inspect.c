/* Walks over a whole view: every posting, and every checksum and invariant behind it (maintain.h). */
#include "maintain.h"

#include "index_state.h"
#include "memory.h"
#include "rowid_order.h"

#include <stdio.h>

/* One living posting and where it stands: a row of a segment, or of the delta (segment = INSPECT_DELTA). */
typedef struct inspect_entry {
    int64_t rowid;
    uint32_t segment, row;
} inspect_entry;

#define INSPECT_DELTA UINT32_MAX
#define INSPECT_CHECK_ROWS (1u << 16) /* passed between two questions whether to stop */
#define INSPECT_CHECK_RUNS 64
#define INSPECT_CHECK_VISITS 4096

static shx_status inspect_list_segment(const shx_view *view, uint32_t segment, const shx_stop *stop,
                                       inspect_entry *entries, uint64_t *count) {
    shx_segment *from = view->delta->base->segments[segment];
    for (uint32_t r = 0; r < from->run_count; r++) {
        SHX_CHECK(r % INSPECT_CHECK_RUNS != 0 || !shx_stop_wanted(stop), SHX_INTERRUPT);
        const shx_run *run = &from->runs[r];
        SHX_TRY(shx_segment_verify_run(from, r));
        for (uint32_t i = 0; i < run->rows; i++) {
            uint64_t block = run->first_block + i / SHX_BLOCK_ROWS, row = run->first_row + i;
            uint32_t dead = shx_delta_dead(view->delta, segment, block, view->mark.operations);
            if (dead >> (i % SHX_BLOCK_ROWS) & 1) continue;
            entries[(*count)++] = (inspect_entry){from->rowids[row], segment, (uint32_t)row};
        }
    }
    return SHX_OK;
}

static shx_status inspect_list_delta(const shx_view *view, const shx_stop *stop, inspect_entry *entries,
                                     uint64_t *count) {
    for (uint32_t i = 0; i < view->mark.rows; i++) {
        SHX_CHECK(i % INSPECT_CHECK_ROWS != 0 || !shx_stop_wanted(stop), SHX_INTERRUPT);
        if (!shx_delta_row_alive(view->delta, i, view->mark.operations)) continue;
        entries[(*count)++] = (inspect_entry){shx_delta_rowid_at(view->delta, i), INSPECT_DELTA, i};
    }
    return SHX_OK;
}

/* All living postings and their order by rowid; both are the caller's. */
typedef struct inspect_rows {
    inspect_entry *entries;
    uint32_t *order;
    uint64_t count;
} inspect_rows;

static void inspect_free(inspect_rows *rows) {
    shx_free(rows->entries);
    shx_free(rows->order);
}

static shx_status inspect_list(const shx_view *view, const shx_stop *stop, inspect_rows *ret_rows) {
    const shx_base *base = view->delta->base;
    uint64_t most = view->mark.rows;
    for (uint32_t s = 0; s < base->segment_count; s++) most += base->segments[s]->row_count;
    inspect_rows rows = {.entries = shx_alloc(most * sizeof *rows.entries + 1)};
    SHX_CHECK(rows.entries, SHX_NOMEM);
    shx_status status = SHX_OK;
    for (uint32_t s = 0; status == SHX_OK && s < base->segment_count; s++) {
        status = inspect_list_segment(view, s, stop, rows.entries, &rows.count);
    }
    if (status == SHX_OK) status = inspect_list_delta(view, stop, rows.entries, &rows.count);
    if (status == SHX_OK) {
        status = shx_rowid_order(rows.entries, sizeof *rows.entries, rows.count, stop, &rows.order);
    }
    if (status != SHX_OK) {
        inspect_free(&rows);
        return status;
    }
    *ret_rows = rows;
    return SHX_OK;
}

static shx_status inspect_visit(const shx_view *view, const inspect_entry *entry, shx_row_visit visit, void *context) {
    if (entry->segment == INSPECT_DELTA) {
        shx_op row = shx_delta_row_at(view->delta, entry->row);
        return visit(context, row.rowid, row.vector_hash, row.column_hash, row.vector);
    }
    const shx_segment *segment = view->delta->base->segments[entry->segment];
    const shx_fingerprint *fingerprint = &segment->fingerprints[entry->row];
    return visit(context, entry->rowid, fingerprint->vector_hash, fingerprint->column_hash,
                 shx_segment_vector_at(segment, entry->row));
}

shx_status shx_view_each(shx_view *view, shx_row_visit visit, void *context, const shx_stop *stop) {
    inspect_rows rows;
    SHX_TRY(inspect_list(view, stop, &rows));
    shx_status status = SHX_OK;
    for (uint64_t i = 0; status == SHX_OK && i < rows.count; i++) {
        if (i % INSPECT_CHECK_VISITS == 0 && shx_stop_wanted(stop)) status = SHX_INTERRUPT;
        if (status == SHX_OK) status = inspect_visit(view, &rows.entries[rows.order[i]], visit, context);
    }
    inspect_free(&rows);
    return status;
}

static void inspect_report(shx_report report, void *context, const char *what, uint64_t number, const char *detail) {
    char text[200];
    snprintf(text, sizeof text, "%s %llu: %s", what, (unsigned long long)number, detail);
    report(context, text);
}

static shx_status inspect_check_rows(shx_view *view, shx_report report, void *context, const shx_stop *stop) {
    inspect_rows rows;
    uint64_t twice = 0;
    shx_status status = inspect_list(view, stop, &rows);
    if (status != SHX_OK) return status == SHX_CORRUPT ? SHX_OK : status;
    for (uint64_t i = 1; i < rows.count; i++) {
        twice += rows.entries[rows.order[i]].rowid == rows.entries[rows.order[i - 1]].rowid;
    }
    if (twice)
        inspect_report(report, context, "postings that are there twice", twice, "a rowid has two living postings");
    if (rows.count != view->mark.live_rows) {
        inspect_report(report, context, "row count", view->mark.live_rows, "is wrong");
    }
    inspect_free(&rows);
    return SHX_OK;
}

/* ---- the files as they are now ---- */

typedef struct inspect_files {
    shx_index *index;
    shx_report report;
    void *context;
    bool held; /* by a view */
} inspect_files;

/* A file that a base names, by itself. True when there is something wrong with it. That it is gone is damage for who
** has the base open, which keeps it from being removed (files->held). */
static bool inspect_check_file(const inspect_files *files, uint64_t base, shx_file_kind kind, uint64_t id) {
    shx_container container;
    shx_status status = shx_container_open(files->index->store, kind, &files->index->config.uuid, id, &container);
    if (status == SHX_OK) shx_container_close(&container);
    if (status == SHX_OK || status == SHX_NOMEM) return false;
    if (status == SHX_NOTFOUND && !files->held) return true;
    char text[200];
    const char *detail = status == SHX_CORRUPT ? shx_corrupt_last() : shx_status_text(status);
    snprintf(text, sizeof text, "%s %llu, which base %llu names: %s", kind == SHX_FILE_SHARDS ? "shards" : "segment",
             (unsigned long long)id, (unsigned long long)base, detail);
    files->report(files->context, text);
    return true;
}

/* A base that does not open: which of its files is it? That the base itself is gone is no damage: a directory may be
** removed at any time. */
static shx_status inspect_blame(const inspect_files *files, uint64_t file, shx_status failure) {
    shx_base_names names;
    bool found = false;
    const char *detail = failure == SHX_CORRUPT ? shx_corrupt_last() : shx_status_text(failure);
    shx_status status = shx_base_read_names(files->index->store, &files->index->config.uuid, file, &names);
    if (status == SHX_NOTFOUND || status == SHX_NOMEM) return status == SHX_NOMEM ? status : SHX_OK;
    for (uint32_t i = 0; status == SHX_OK && i < names.segment_count; i++) {
        found |= inspect_check_file(files, file, SHX_FILE_SEGMENT, names.segments[i]);
    }
    if (status == SHX_OK && names.shards_file != 0) {
        found |= inspect_check_file(files, file, SHX_FILE_SHARDS, names.shards_file);
    }
    if (!found) inspect_report(files->report, files->context, "base", file, detail);
    return SHX_OK;
}

/* Opens a base and all that it names anew, as another process would; NULL when that fails, which is reported. */
static shx_status inspect_open_base(const inspect_files *files, uint64_t file, shx_base **ret_base) {
    shx_base *fresh = NULL;
    shx_status status = shx_index_open_base(files->index, file, NULL, &fresh);
    if (status == SHX_NOMEM) return status;
    if (status != SHX_OK) SHX_TRY(inspect_blame(files, file, status));
    *ret_base = fresh;
    return SHX_OK;
}

/* The segments of a base, but for those that `seen` (may be NULL) has as well. */
static shx_status inspect_check_segments(const inspect_files *files, const shx_base *base, const shx_base *seen,
                                         const shx_stop *stop) {
    for (uint32_t s = 0; s < base->segment_count; s++) {
        uint64_t id = base->segments[s]->id;
        uint32_t i = 0;
        while (seen && i < seen->segment_count && seen->segments[i]->id != id) i++;
        if (seen && i < seen->segment_count) continue;
        shx_status status = shx_segment_check(base->segments[s], stop);
        if (status == SHX_INTERRUPT) return status;
        if (status != SHX_OK) inspect_report(files->report, files->context, "segment", id, shx_corrupt_last());
    }
    return SHX_OK;
}

shx_status shx_maintain_check_files(shx_index *index, const shx_id *commit, const shx_view *view, shx_report report,
                                    void *context, const shx_stop *stop) {
    inspect_files files = {index, report, context, false};
    const shx_base *seen = view ? view->delta->base : NULL;
    shx_base *fresh = NULL;
    pthread_mutex_lock(&index->mutex);
    shx_status status = shx_index_refresh(index);
    const shx_catalog_base *due = shx_catalog_due_base(&index->catalog, commit);
    uint64_t file = due ? due->file : 0;
    pthread_mutex_unlock(&index->mutex);
    if (status == SHX_NOMEM) return status;
    if (file == 0 || (seen && seen->file == file)) return SHX_OK;
    SHX_TRY(inspect_open_base(&files, file, &fresh));
    status = fresh ? inspect_check_segments(&files, fresh, seen, stop) : SHX_OK;
    shx_base_release(fresh);
    return status;
}

/* ---- a view ---- */

/* Where the record of the view's commit number `position` stands in the WAL; *ret_more: there may be a further one. One
** that this process does not know of is not missed, and one that does not lead there from the commit before was not
** used: what a power loss has torn was compared with the database instead. */
static bool inspect_find_record(shx_index *index, const shx_view *view, uint64_t position, shx_wal_entry *ret_entry,
                                bool *ret_more) {
    const shx_delta *delta = view->delta;
    const shx_wal_entry *entry = NULL;
    pthread_mutex_lock(&index->mutex); /* commits are added to the delta meanwhile */
    *ret_more = position < delta->mark_count && delta->marks[position].operations <= view->mark.operations;
    if (*ret_more) entry = shx_catalog_find(&index->catalog, &delta->marks[position].commit);
    bool used = entry && shx_id_equal(&entry->parent, &delta->marks[position - 1].commit);
    if (used) *ret_entry = *entry;
    pthread_mutex_unlock(&index->mutex);
    return used;
}

static shx_status inspect_check_wal(shx_index *index, const shx_view *view, shx_report report, void *context,
                                    const shx_stop *stop) {
    bool more = true;
    for (uint64_t i = 1; more; i++) {
        SHX_CHECK(!shx_stop_wanted(stop), SHX_INTERRUPT);
        shx_wal_entry entry;
        shx_wal_record record;
        if (!inspect_find_record(index, view, i, &entry, &more)) continue;
        shx_status status = shx_wal_load(index->store, &entry, shx_index_vector_bytes(index), stop, &record);
        if (status == SHX_OK) shx_wal_record_close(&record);
        if (status == SHX_NOMEM || status == SHX_INTERRUPT) return status;
        if (status == SHX_OK || status == SHX_NOTFOUND) continue;
        const char *detail = status == SHX_CORRUPT ? shx_corrupt_last() : shx_status_text(status);
        inspect_report(report, context, "WAL file", entry.file, detail);
    }
    return SHX_OK;
}

shx_status shx_maintain_check(shx_index *index, shx_view *view, shx_report report, void *context,
                              const shx_stop *stop) {
    const shx_base *base = view->delta->base;
    inspect_files files = {index, report, context, true};
    shx_base *fresh = NULL;
    SHX_TRY(inspect_check_segments(&files, base, NULL, stop));
    if (base->file != 0) SHX_TRY(inspect_open_base(&files, base->file, &fresh));
    shx_base_release(fresh);
    SHX_TRY(inspect_check_wal(index, view, report, context, stop));
    return inspect_check_rows(view, report, context, stop);
}
