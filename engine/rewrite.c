#include "rewrite.h"

#include "grouping.h"
#include "limits.h"
#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <string.h>

#define REWRITE_CHECK_ROWS 65536 /* between two looks at the progress */

void shx_rewrite_drop_postings(shx_rewrite *rewrite) {
    shx_free(rewrite->sources);
    shx_free(rewrite->place);
    rewrite->sources = NULL;
    rewrite->place = NULL;
    rewrite->source_capacity = rewrite->place_capacity = 0;
}

void shx_rewrite_free(shx_rewrite *rewrite) {
    shx_free(rewrite->mean);
    shx_rewrite_drop_postings(rewrite);
    shx_free(rewrite->ids);
    shx_free(rewrite->open);
    shx_free(rewrite->centroids);
    memset(rewrite, 0, sizeof *rewrite);
}

shx_status shx_rewrite_reserve(shx_rewrite *rewrite, uint64_t count) {
    SHX_CHECK(count < SHX_PLACE_OVERFLOW, SHX_FULL);
    SHX_TRY(shx_grow((void **)&rewrite->sources, &rewrite->source_capacity, count, sizeof *rewrite->sources));
    return shx_grow((void **)&rewrite->place, &rewrite->place_capacity, count, sizeof *rewrite->place);
}

const void *shx_rewrite_vector(const shx_rewrite *rewrite, uint64_t number) {
    const shx_rewrite_source *source = &rewrite->sources[number];
    const shx_delta *delta = rewrite->view->delta;
    if (source->segment == SHX_REWRITE_DELTA) return shx_delta_vector_at(delta, source->row);
    return shx_segment_vector_at(delta->base->segments[source->segment], source->row);
}

shx_posting shx_rewrite_posting(const shx_rewrite *rewrite, uint64_t number) {
    const shx_rewrite_source *source = &rewrite->sources[number];
    const shx_delta *delta = rewrite->view->delta;
    if (source->segment == SHX_REWRITE_DELTA) {
        shx_op row = shx_delta_row_at(delta, source->row);
        return (shx_posting){.rowid = row.rowid,
                             .vector = row.vector,
                             .fingerprint = {row.vector_hash, row.column_hash},
                             .columns = row.columns};
    }
    const shx_segment *from = delta->base->segments[source->segment];
    return (shx_posting){.rowid = from->rowids[source->row],
                         .vector = shx_segment_vector_at(from, source->row),
                         .fingerprint = from->fingerprints[source->row],
                         .from = &from->columns,
                         .from_row = source->row};
}

static shx_status rewrite_add(shx_rewrite *rewrite, uint32_t segment, uint32_t row, uint32_t place) {
    SHX_TRY(shx_rewrite_reserve(rewrite, rewrite->count + 1));
    rewrite->sources[rewrite->count] = (shx_rewrite_source){segment, row};
    rewrite->place[rewrite->count++] = place;
    return SHX_OK;
}

static shx_status rewrite_put_shard(shx_rewrite *rewrite, uint64_t id, uint8_t open, const float *centroid) {
    uint64_t place = rewrite->shard_count, needed = place + 1;
    uint32_t code_dim = rewrite->encoding.code_dim;
    size_t centroid_bytes = code_dim * sizeof *centroid;
    SHX_CHECK(needed < SHX_PLACE_OVERFLOW, SHX_FULL);
    SHX_TRY(shx_grow((void **)&rewrite->ids, &rewrite->id_capacity, needed, sizeof id));
    SHX_TRY(shx_grow((void **)&rewrite->open, &rewrite->open_capacity, needed, sizeof open));
    SHX_TRY(shx_grow((void **)&rewrite->centroids, &rewrite->centroid_capacity, needed, centroid_bytes));
    rewrite->ids[place] = id;
    rewrite->open[place] = open;
    memcpy(rewrite->centroids + place * code_dim, centroid, centroid_bytes);
    shx_centroid_round(rewrite->centroids + place * code_dim, code_dim);
    rewrite->shard_count = needed;
    return SHX_OK;
}

shx_status shx_rewrite_add_shard(shx_rewrite *rewrite, const float *centroid, uint32_t *ret_place) {
    SHX_TRY(rewrite_put_shard(rewrite, rewrite->next_shard, 1, centroid));
    rewrite->next_shard++;
    *ret_place = (uint32_t)(rewrite->shard_count - 1);
    return SHX_OK;
}

shx_status shx_rewrite_take_shards(shx_rewrite *rewrite, const shx_base *base) {
    assert(rewrite->shard_count == 0);
    const shx_shards *shards = base->shards;
    float *centroid = shx_alloc(shards->code_dim * sizeof *centroid);
    shx_status status = centroid ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < shards->count; i++) {
        shx_shards_centroid(shards, i, centroid);
        status = rewrite_put_shard(rewrite, shards->ids[i], shards->open[i], centroid);
    }
    shx_free(centroid);
    return status;
}

shx_status shx_rewrite_take_delta(shx_rewrite *rewrite) {
    const shx_view *view = rewrite->view;
    for (uint32_t i = 0; i < view->mark.rows; i++) {
        if (i % REWRITE_CHECK_ROWS == 0) SHX_TRY(shx_progress_check(shx_pool_progress(rewrite->pool)));
        if (!shx_delta_row_alive(view->delta, i, view->mark.operations)) continue;
        SHX_TRY(rewrite_add(rewrite, SHX_REWRITE_DELTA, i, SHX_PLACE_NONE));
    }
    return SHX_OK;
}

static uint32_t rewrite_place_of(const shx_rewrite *rewrite, const shx_shards *shards, uint64_t shard, bool keep) {
    uint32_t position;
    if (!keep) return SHX_PLACE_NONE;
    if (shard == SHX_SHARD_OVERFLOW) return SHX_PLACE_OVERFLOW;
    bool known = shx_shards_find(shards, shard, &position);
    return known && rewrite->open[position] ? position : SHX_PLACE_NONE;
}

/* Everything is verified on the way: a rewrite must not carry damage into a file with fresh checksums. */
shx_status shx_rewrite_take_segment(shx_rewrite *rewrite, uint32_t segment, bool keep_places) {
    const shx_view *view = rewrite->view;
    const shx_base *base = view->delta->base;
    shx_segment *from = base->segments[segment];
    shx_progress *progress = shx_pool_progress(rewrite->pool);
    for (uint32_t c = 0; c < from->columns.count; c++) SHX_TRY(shx_columns_verify(&from->columns, c));
    for (uint32_t r = 0; r < from->run_count; r++) {
        const shx_run *run = &from->runs[r];
        uint32_t place = rewrite_place_of(rewrite, base->shards, run->shard, keep_places);
        SHX_TRY(shx_progress_check(progress));
        SHX_TRY(shx_segment_verify_vectors(from, r));
        shx_progress_add(progress, run->rows);
        for (uint32_t i = 0; i < run->rows; i++) {
            uint64_t block = run->first_block + i / SHX_BLOCK_ROWS;
            uint32_t dead = shx_delta_dead(view->delta, segment, block, view->mark.operations);
            if ((dead >> (i % SHX_BLOCK_ROWS) & 1) && !SHX_PLANTED(24)) continue;
            SHX_TRY(rewrite_add(rewrite, segment, (uint32_t)(run->first_row + i), place));
        }
    }
    return SHX_OK;
}

shx_status shx_rewrite_group(const shx_rewrite *rewrite, uint64_t places, uint32_t **ret_order, uint32_t **ret_first) {
    assert(places < SHX_PLACE_OVERFLOW);
    const shx_stop stop = shx_progress_stop(shx_pool_progress(rewrite->pool));
    uint32_t groups = (uint32_t)places + 1; /* overflow is behind all places */
    uint32_t *order = shx_alloc_zero(rewrite->count, sizeof *order);
    uint32_t *first = shx_alloc_zero((uint64_t)groups + 1, sizeof *first);
    shx_status status = order && first ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) status = shx_group(rewrite->place, rewrite->count, groups, &stop, order, first);
    if (status == SHX_OK) {
        *ret_order = order;
        *ret_first = first;
    } else {
        shx_free(order);
        shx_free(first);
    }
    return status;
}

/* Runs ascend by shard id: the overflow shard's id is lower than all others. */
static uint32_t rewrite_plan(const shx_rewrite *rewrite, const uint32_t *first, shx_run_plan *runs) {
    uint32_t count = 0;
    uint64_t row = 0;
    for (uint64_t i = 0; i <= rewrite->shard_count; i++) {
        uint64_t p = i == 0 ? rewrite->shard_count : i - 1;
        uint32_t rows = first[p + 1] - first[p];
        if (rows == 0) continue;
        bool overflow = p == rewrite->shard_count;
        runs[count++] =
            (shx_run_plan){.shard = overflow ? SHX_SHARD_OVERFLOW : rewrite->ids[p],
                           .centroid = overflow ? NULL : rewrite->centroids + p * rewrite->encoding.code_dim,
                           .first = row,
                           .count = rows};
        row += rows;
    }
    return count;
}

/* The postings in the order of the runs: those of the overflow shard, which stand last, come first. */
typedef struct rewrite_sorted {
    const shx_rewrite *rewrite;
    const uint32_t *order;
    uint64_t overflow; /* rows of the overflow shard */
} rewrite_sorted;

static shx_posting rewrite_read(const void *context, uint64_t number) {
    const rewrite_sorted *sorted = context;
    uint64_t others = sorted->rewrite->count - sorted->overflow;
    uint64_t at = number < sorted->overflow ? others + number : number - sorted->overflow;
    return shx_rewrite_posting(sorted->rewrite, sorted->order[at]);
}

shx_status shx_rewrite_write(shx_rewrite *rewrite, shx_store *store, const shx_id *uuid, uint64_t file,
                             uint64_t *ret_blocks, uint64_t *ret_checksum) {
    uint32_t *order, *first;
    SHX_TRY(shx_rewrite_group(rewrite, rewrite->shard_count, &order, &first));
    shx_run_plan *runs = shx_alloc_zero(rewrite->shard_count + 1, sizeof *runs);
    shx_status status = runs ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) {
        const rewrite_sorted sorted = {rewrite, order, rewrite->count - first[rewrite->shard_count]};
        const shx_segment_plan plan = {.encoding = &rewrite->encoding,
                                       .encoding_id = rewrite->encoding_id,
                                       .columns = rewrite->columns,
                                       .group = rewrite->group,
                                       .run_count = rewrite_plan(rewrite, first, runs),
                                       .runs = runs,
                                       .postings = {&sorted, rewrite_read},
                                       .posting_count = rewrite->count};
        uint64_t blocks = 0;
        for (uint32_t i = 0; i < plan.run_count; i++) blocks += shx_blocks_of(runs[i].count);
        status = shx_segment_write(store, uuid, file, &plan, rewrite->pool, ret_checksum);
        if (status == SHX_OK) *ret_blocks = blocks;
    }
    shx_free(order);
    shx_free(first);
    shx_free(runs);
    return status;
}

shx_status shx_rewrite_table(const shx_rewrite *rewrite, const uint8_t *used, shx_shards **ret_shards) {
    uint32_t code_dim = rewrite->encoding.code_dim;
    uint64_t count = 0;
    uint64_t *ids = shx_alloc_zero(rewrite->shard_count, sizeof *ids);
    uint8_t *open = shx_alloc_zero(rewrite->shard_count, 1);
    float *centroids = shx_alloc_zero(rewrite->shard_count, code_dim * sizeof(float));
    shx_status status = ids && open && centroids ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < rewrite->shard_count; i++) {
        if (!used[i]) continue;
        ids[count] = rewrite->ids[i];
        open[count] = rewrite->open[i];
        memcpy(centroids + count * code_dim, rewrite->centroids + i * code_dim, code_dim * sizeof(float));
        count++;
    }
    if (status == SHX_OK) status = shx_shards_create(code_dim, count, ids, open, centroids, ret_shards);
    shx_free(ids);
    shx_free(open);
    shx_free(centroids);
    return status;
}
