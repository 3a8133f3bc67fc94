/* Walks over a whole view: every posting, and every checksum and invariant behind it (maintain.h). */
#include "maintain.h"

#include "index_state.h"
#include "memory.h"

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

/* The byte that a pass sorts by; negative rowids come first. */
static inline uint32_t inspect_digit(const inspect_entry *entry, int byte) {
    return ((uint64_t)entry->rowid >> 8 * byte & 0xff) ^ (byte == 7 ? 0x80 : 0);
}

/* One pass of a radix sort by byte `byte` of the rowid, stable; *ret_moved false when all entries have the same one. */
static shx_status inspect_sort_pass(const inspect_entry *from, inspect_entry *to, uint64_t count, int byte,
                                    const shx_stop *stop, bool *ret_moved) {
    uint64_t starts[256] = {0}, sum = 0;
    SHX_CHECK(!shx_stop_wanted(stop), SHX_INTERRUPT);
    for (uint64_t i = 0; i < count; i++) starts[inspect_digit(&from[i], byte)]++;
    for (int b = 0; b < 256; b++) {
        if (starts[b] == count) return SHX_OK;
        uint64_t size = starts[b];
        starts[b] = sum;
        sum += size;
    }
    for (uint64_t i = 0; i < count; i++) {
        SHX_CHECK(i % INSPECT_CHECK_ROWS != 0 || !shx_stop_wanted(stop), SHX_INTERRUPT);
        to[starts[inspect_digit(&from[i], byte)]++] = from[i];
    }
    *ret_moved = true;
    return SHX_OK;
}

/* Puts entries in the order of rowids: neighbours in a table share most bytes, so few passes are made. Frees one of
** the two arrays and gives the other; both are the caller's still after SHX_INTERRUPT. */
static shx_status inspect_sort(inspect_entry **entries, inspect_entry **scratch, uint64_t count,
                               const shx_stop *stop) {
    for (int byte = 0; byte < 8 && count > 0; byte++) {
        bool moved = false;
        SHX_TRY(inspect_sort_pass(*entries, *scratch, count, byte, stop, &moved));
        if (!moved) continue;
        inspect_entry *sorted = *scratch;
        *scratch = *entries;
        *entries = sorted;
    }
    shx_free(*scratch);
    *scratch = NULL;
    return SHX_OK;
}

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

static shx_status inspect_list(const shx_view *view, const shx_stop *stop, inspect_entry **ret_entries,
                               uint64_t *ret_count) {
    const shx_base *base = view->delta->base;
    uint64_t most = view->mark.rows, count = 0;
    for (uint32_t s = 0; s < base->segment_count; s++) most += base->segments[s]->row_count;
    inspect_entry *entries = shx_alloc(most * sizeof *entries + 1), *scratch = NULL;
    SHX_CHECK(entries, SHX_NOMEM);
    shx_status status = SHX_OK;
    for (uint32_t s = 0; status == SHX_OK && s < base->segment_count; s++) {
        status = inspect_list_segment(view, s, stop, entries, &count);
    }
    for (uint32_t i = 0; status == SHX_OK && i < view->mark.rows; i++) {
        if (!shx_delta_row_alive(view->delta, i, view->mark.operations)) continue;
        entries[count++] = (inspect_entry){shx_delta_rowid_at(view->delta, i), INSPECT_DELTA, i};
    }
    if (status == SHX_OK) scratch = shx_alloc(count * sizeof *scratch + 1);
    if (status == SHX_OK && !scratch) status = SHX_NOMEM;
    if (status == SHX_OK) status = inspect_sort(&entries, &scratch, count, stop);
    if (status != SHX_OK) {
        shx_free(entries);
        shx_free(scratch);
        return status;
    }
    *ret_entries = entries;
    *ret_count = count;
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
    inspect_entry *entries;
    uint64_t count;
    SHX_TRY(inspect_list(view, stop, &entries, &count));
    shx_status status = SHX_OK;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) {
        if (i % INSPECT_CHECK_VISITS == 0 && shx_stop_wanted(stop)) status = SHX_INTERRUPT;
        if (status == SHX_OK) status = inspect_visit(view, &entries[i], visit, context);
    }
    shx_free(entries);
    return status;
}

static void inspect_report(shx_report report, void *context, const char *what, uint64_t number, const char *detail) {
    char text[200];
    snprintf(text, sizeof text, "%s %llu: %s", what, (unsigned long long)number, detail);
    report(context, text);
}

static shx_status inspect_check_rows(shx_view *view, shx_report report, void *context, const shx_stop *stop) {
    inspect_entry *entries;
    uint64_t count, twice = 0;
    shx_status status = inspect_list(view, stop, &entries, &count);
    if (status != SHX_OK) return status == SHX_CORRUPT ? SHX_OK : status;
    for (uint64_t i = 1; i < count; i++) twice += entries[i].rowid == entries[i - 1].rowid;
    if (twice)
        inspect_report(report, context, "postings that are there twice", twice, "a rowid has two living postings");
    if (count != view->mark.live_rows) inspect_report(report, context, "row count", view->mark.live_rows, "is wrong");
    shx_free(entries);
    return SHX_OK;
}

/* The files as they are now: the base and all that it names are opened anew, as another process would. That the base
** itself is gone is no damage: a directory may be removed at any time. */
static shx_status inspect_check_files(shx_index *index, const shx_base *base, shx_report report, void *context) {
    shx_base_names names;
    shx_base *fresh = NULL;
    if (base->file == 0) return SHX_OK;
    shx_status status = shx_base_read_names(index->store, &index->config.uuid, base->file, &names);
    if (status == SHX_NOTFOUND) return SHX_OK;
    if (status == SHX_OK) {
        status = shx_base_open(index->store, &index->config.uuid, base->file, index->config.metric,
                               index->config.element, index->config.dim, NULL, &fresh);
    }
    shx_base_release(fresh);
    if (status == SHX_OK || status == SHX_NOMEM) return status;
    const char *detail = status == SHX_CORRUPT ? shx_corrupt_last() : shx_status_text(status);
    inspect_report(report, context, "base", base->file, detail);
    return SHX_OK;
}

/* Where the record of the view's commit number `position` stands in the WAL; *ret_more: there may be a further one. One
** that this process does not know of is not missed. */
static bool inspect_find_record(shx_index *index, const shx_view *view, uint64_t position, shx_wal_entry *ret_entry,
                                bool *ret_more) {
    const shx_delta *delta = view->delta;
    const shx_wal_entry *entry = NULL;
    pthread_mutex_lock(&index->mutex); /* commits are added to the delta meanwhile */
    *ret_more = position < delta->mark_count && delta->marks[position].operations <= view->mark.operations;
    if (*ret_more) entry = shx_catalog_find(&index->catalog, &delta->marks[position].commit);
    if (entry) *ret_entry = *entry;
    pthread_mutex_unlock(&index->mutex);
    return entry != NULL;
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
    for (uint32_t s = 0; s < base->segment_count; s++) {
        shx_status status = shx_segment_check(base->segments[s], stop);
        if (status == SHX_INTERRUPT) return status;
        if (status == SHX_OK) continue;
        inspect_report(report, context, "segment", base->segments[s]->id, shx_corrupt_last());
    }
    SHX_TRY(inspect_check_files(index, base, report, context));
    SHX_TRY(inspect_check_wal(index, view, report, context, stop));
    return inspect_check_rows(view, report, context, stop);
}
