#include "maintain.h"

#include "build.h"
#include "calibrate.h"
#include "collect.h"
#include "index_state.h"
#include "limits.h"
#include "memory.h"
#include "notice.h"
#include "planted.h"
#include "rewrite.h"
#include "split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAINTAIN_MERGE_RATIO 2   /* a segment up to this many times what is being rewritten joins the rewrite */
#define MAINTAIN_SEGMENTS 8      /* more segments than this are never left */
#define MAINTAIN_DEAD_SHARE 4    /* a segment with 1/this of its rows dead is rewritten */
#define MAINTAIN_RECLUSTER 4     /* growth since the last clustering that calls for a new one */
#define MAINTAIN_RECLUSTER_MIN 2 /* times SHX_ROUTED_ROWS rows: fewer are as well split */
#define MAINTAIN_ROUTE_SAMPLE 64 /* queries that the ways of the router are tried with */
#define MAINTAIN_ROUTE_WANTED 64 /* shards that they ask for before calibration, … */
#define MAINTAIN_ROUTE_LEAST 16  /* … and after it no fewer: a way is chosen for harder queries as well … */
#define MAINTAIN_ROUTE_MOST 1024 /* … nor more: where searches scan so much, no way to the shards costs anything */
#define MAINTAIN_RECALIBRATE 10  /* operations on one in so many rows since the last calibration call for a new one */

/* One piece of maintenance, from a view to a published base. */
typedef struct maintain_job {
    shx_index *index;
    shx_view *view;
    const shx_base *base;
    shx_pool *pool;
    bool anew;                    /* cluster everything anew */
    bool taken[SHX_SEGMENTS_MAX]; /* segments that are rewritten */
    shx_rewrite rewrite;
    uint64_t segment_file, segment_blocks, segment_checksum, shards_file, shards_checksum;
    uint32_t *dead[SHX_SEGMENTS_MAX]; /* of segments that stay */
    shx_notice notice;
    shx_interrupted interrupted; /* the caller's, or NULL, and its context */
    void *context;
} maintain_job;

static uint64_t maintain_new_file(shx_index *index) {
    pthread_mutex_lock(&index->mutex);
    uint64_t id = shx_index_new_id(index);
    pthread_mutex_unlock(&index->mutex);
    return id;
}

/* ---- what to rewrite ---- */

static uint64_t maintain_dead_rows(const maintain_job *job, uint32_t segment) {
    uint64_t dead = 0;
    for (uint64_t b = 0; b < job->base->segments[segment]->block_count; b++) {
        dead += (uint64_t)__builtin_popcount(shx_delta_dead(job->view->delta, segment, b, job->view->mark.operations));
    }
    return dead;
}

/* The smallest segment that is not taken; false when all are. */
static bool maintain_smallest(const maintain_job *job, uint32_t *ret_segment) {
    bool found = false;
    for (uint32_t s = 0; s < job->base->segment_count; s++) {
        if (job->taken[s]) continue;
        bool smaller = !found || job->base->segments[s]->row_count < job->base->segments[*ret_segment]->row_count;
        if (smaller) *ret_segment = s;
        found = true;
    }
    return found;
}

static void maintain_choose(maintain_job *job) {
    const shx_base *base = job->base;
    uint64_t rows = job->view->mark.rows, live = job->view->mark.live_rows;
    uint32_t left = base->segment_count, s = 0;
    bool grown = live >= MAINTAIN_RECLUSTER * base->info.clustered_rows;
    if (live < MAINTAIN_RECLUSTER_MIN * SHX_ROUTED_ROWS) grown = false;
    if (!base->shards || base->shards->count == 0 || grown) job->anew = true;
    for (uint32_t i = 0; i < base->segment_count; i++) {
        bool worn = maintain_dead_rows(job, i) * MAINTAIN_DEAD_SHARE >= base->segments[i]->row_count;
        if (!job->anew && !worn) continue;
        job->taken[i] = true;
        rows += base->segments[i]->row_count;
        left--;
    }
    while (maintain_smallest(job, &s)) {
        bool near = base->segments[s]->row_count <= MAINTAIN_MERGE_RATIO * rows;
        if (!near && left < MAINTAIN_SEGMENTS) break;
        job->taken[s] = true;
        rows += base->segments[s]->row_count;
        left--;
    }
}

/* ---- rewriting ---- */

static bool maintain_takes_all(const maintain_job *job) {
    for (uint32_t s = 0; s < job->base->segment_count; s++) {
        if (!job->taken[s]) return false;
    }
    return true;
}

static shx_status maintain_reserve(maintain_job *job) {
    uint64_t rows = job->view->mark.rows;
    for (uint32_t s = 0; s < job->base->segment_count; s++) {
        if (job->taken[s]) rows += job->base->segments[s]->row_count;
    }
    return shx_rewrite_reserve(&job->rewrite, rows);
}

/* Measured with 128 and 256 at recalls of 0.95 and 0.99, us: 1M generated ones of 128 dimensions 119 to 94 and 316 to
** 242, 520,000 descriptors 44 to 42 and 75 to 70, 340,000 words 66 as before and 136 to 130, 318,000 texts 102 to 120
** (they need twice the rows then) and 842 to 684. */
uint32_t shx_maintain_shard_size(uint64_t rows) {
    double size = SHX_SHARD_TARGET * sqrt((double)rows / SHX_SHARD_ROWS);
    if (!(size > SHX_SHARD_TARGET)) return SHX_SHARD_TARGET;
    return size < SHX_SHARD_MOST ? (uint32_t)size : SHX_SHARD_MOST;
}

static shx_status maintain_collect_postings(maintain_job *job) {
    shx_rewrite *rewrite = &job->rewrite;
    const shx_base *base = job->base;
    rewrite->pool = job->pool;
    rewrite->view = job->view;
    rewrite->shard_size = job->index->config.shard_size;
    if (rewrite->shard_size == 0) rewrite->shard_size = shx_maintain_shard_size(job->view->mark.live_rows);
    rewrite->columns = job->index->config.columns;
    rewrite->group = job->index->config.group;
    rewrite->encoding = base->encoding;
    rewrite->encoding_id = base->info.encoding_id;
    rewrite->next_shard = base->info.next_shard;
    SHX_TRY(maintain_reserve(job));
    if (!job->anew) SHX_TRY(shx_rewrite_take_shards(rewrite, base));
    shx_progress_begin(&job->index->progress, SHX_PHASE_COLLECTING, job->view->mark.live_rows);
    for (uint32_t s = 0; s < base->segment_count; s++) {
        if (!job->taken[s]) continue;
        SHX_TRY(shx_rewrite_take_segment(rewrite, s, !job->anew));
    }
    return shx_rewrite_take_delta(rewrite);
}

static shx_status maintain_assign_shards(maintain_job *job) {
    shx_rewrite *rewrite = &job->rewrite;
    if (!job->anew) return shx_split_shards(rewrite, job->base->shards, maintain_takes_all(job));
    uint64_t seed = shx_get64(job->index->config.genesis.bytes) + job->base->info.builds;
    rewrite->encoding_id = job->base->info.encoding_id + 1;
    return shx_build_shards(rewrite, seed);
}

/* Shards that hold postings of the new segment, or of one that stays. */
static void maintain_mark_used_shards(const maintain_job *job, uint8_t *used) {
    const shx_rewrite *rewrite = &job->rewrite;
    for (uint64_t i = 0; i < rewrite->count; i++) {
        if (rewrite->place[i] != SHX_PLACE_OVERFLOW) used[rewrite->place[i]] = 1;
    }
    for (uint32_t s = 0; s < job->base->segment_count; s++) {
        if (job->taken[s]) continue;
        const shx_segment *segment = job->base->segments[s];
        for (uint32_t r = 0; r < segment->run_count; r++) {
            uint32_t position;
            if (shx_shards_find(job->base->shards, segment->runs[r].shard, &position)) used[position] = 1;
        }
    }
}

/* ---- routing ---- */

/* Points of postings of the rewrite, taken at even distances. */
static uint64_t maintain_sample_points(const maintain_job *job, float *points) {
    const shx_rewrite *rewrite = &job->rewrite;
    uint64_t wanted = rewrite->count < MAINTAIN_ROUTE_SAMPLE ? rewrite->count : MAINTAIN_ROUTE_SAMPLE, found = 0;
    for (uint64_t i = 0; i < wanted; i++) {
        const void *vector = shx_rewrite_vector(rewrite, i * rewrite->count / wanted);
        found += shx_encoding_point(&rewrite->encoding, vector, true, points + found * rewrite->encoding.code_dim);
    }
    return found;
}

/* How many shards a search for 10 neighbours at the usual recall has needed, on average. */
static uint64_t maintain_wanted_shards(const maintain_job *job) {
    const shx_calibration *calibration = &job->base->calibration;
    if (job->anew || !calibration->fitted) return MAINTAIN_ROUTE_WANTED;
    double rows = 0;
    for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
        if (shx_calibration_recalls[r] <= 0.95) rows = calibration->mean_rows[1][r];
    }
    double shards = rows / job->rewrite.shard_size;
    if (!(shards > MAINTAIN_ROUTE_LEAST)) return MAINTAIN_ROUTE_LEAST;
    return shards < MAINTAIN_ROUTE_MOST ? (uint64_t)shards : MAINTAIN_ROUTE_MOST;
}

/* The way of the table before is kept up while few shards change; else it is chosen again. */
static shx_status maintain_route(maintain_job *job, shx_shards *shards) {
    const shx_routing_wish *wish = &job->index->config.routing;
    uint64_t seed = shx_get64(job->index->config.genesis.bytes) + job->base->info.builds;
    bool followed = false;
    if (!job->anew) SHX_TRY(shx_routing_follow(shards, job->base->shards, wish, job->pool, &followed));
    if (followed) return SHX_OK;
    float *points = shx_alloc_aligned(MAINTAIN_ROUTE_SAMPLE + 1, shards->code_dim * sizeof *points);
    SHX_CHECK(points, SHX_NOMEM);
    const shx_routing_sample sample = {points, maintain_sample_points(job, points), maintain_wanted_shards(job)};
    shx_status status = shx_routing_choose(shards, wish, &sample, seed, job->pool);
    shx_free_aligned(points);
    return status;
}

static shx_status maintain_write_shards(maintain_job *job) {
    shx_index *index = job->index;
    uint8_t *used = shx_alloc_zero(job->rewrite.shard_count, 1);
    SHX_CHECK(used, SHX_NOMEM);
    shx_shards *shards = NULL;
    maintain_mark_used_shards(job, used);
    shx_status status = shx_rewrite_table(&job->rewrite, used, &shards);
    if (status == SHX_OK) status = maintain_route(job, shards);
    if (status == SHX_OK) {
        job->shards_file = maintain_new_file(index);
        status = shx_shards_write(index->store, &index->config.uuid, job->shards_file, shards, &job->shards_checksum);
    }
    shx_shards_release(shards);
    shx_free(used);
    return status;
}

/* The tombstones of the segments that stay, as of the view. */
static shx_status maintain_copy_tombstones(maintain_job *job) {
    for (uint32_t s = 0; s < job->base->segment_count; s++) {
        if (job->taken[s] || maintain_dead_rows(job, s) == 0 || SHX_PLANTED(25)) continue;
        uint64_t blocks = job->base->segments[s]->block_count;
        job->dead[s] = shx_alloc_zero(blocks, sizeof *job->dead[s]);
        SHX_CHECK(job->dead[s], SHX_NOMEM);
        for (uint64_t b = 0; b < blocks; b++) {
            job->dead[s][b] = shx_delta_dead(job->view->delta, s, b, job->view->mark.operations);
        }
    }
    return SHX_OK;
}

static shx_status maintain_rewrite(maintain_job *job) {
    shx_index *index = job->index;
    SHX_TRY(maintain_collect_postings(job));
    SHX_TRY(shx_progress_check(&job->index->progress));
    SHX_TRY(maintain_assign_shards(job));
    SHX_TRY(shx_progress_check(&job->index->progress));
    if (job->rewrite.count > 0) {
        job->segment_file = maintain_new_file(index);
        SHX_TRY(shx_rewrite_write(&job->rewrite, index->store, &index->config.uuid, job->segment_file,
                                  &job->segment_blocks, &job->segment_checksum));
    }
    SHX_TRY(maintain_write_shards(job));
    shx_rewrite_drop_postings(&job->rewrite);
    return maintain_copy_tombstones(job);
}

/* ---- publishing ---- */

static void maintain_plan_info(maintain_job *job, shx_base_info *info) {
    shx_index *index = job->index;
    const shx_base_info *before = &job->base->info;
    *info = *before;
    info->commit = job->view->mark.commit;
    info->live_rows = job->view->mark.live_rows;
    info->encoding_id = job->rewrite.encoding_id;
    info->next_shard = job->rewrite.next_shard;
    info->splits += job->rewrite.splits;
    info->flushes += job->view->mark.operations > 0;
    info->changes += job->view->mark.operations;
    for (uint32_t s = 0; s < job->base->segment_count; s++) info->merges += job->taken[s];
    if (job->anew) {
        info->clustered_rows = job->rewrite.count;
        info->calibrated_rows = info->changes = 0;
        info->builds++;
    }
    pthread_mutex_lock(&index->mutex);
    (void)shx_index_refresh(index);
    info->generation = shx_catalog_generation(&index->catalog) + 1;
    const shx_wal_entry *entry = shx_catalog_find(&index->catalog, &info->commit);
    info->wal_floor = entry ? entry->file : before->wal_floor;
    pthread_mutex_unlock(&index->mutex);
}

static void maintain_plan_segments(const maintain_job *job, shx_base_plan *plan) {
    for (uint32_t s = 0; s < job->base->segment_count; s++) {
        if (job->taken[s]) continue;
        const shx_segment *segment = job->base->segments[s];
        uint32_t i = plan->segment_count++;
        plan->segments[i].file = segment->id;
        plan->segments[i].rows = segment->row_count;
        plan->segments[i].blocks = segment->block_count;
        plan->segments[i].checksum = shx_container_checksum(&segment->container);
        plan->segments[i].dead = job->dead[s];
    }
    if (job->segment_file == 0) return;
    uint32_t i = plan->segment_count++;
    plan->segments[i].file = job->segment_file;
    plan->segments[i].rows = job->rewrite.count;
    plan->segments[i].blocks = job->segment_blocks;
    plan->segments[i].checksum = job->segment_checksum;
    plan->segments[i].dead = NULL;
}

static bool maintain_wants_calibration(const shx_base_info *info) {
    if (info->live_rows < SHX_ROUTED_ROWS) return false;
    return info->calibrated_rows == 0 || info->changes * MAINTAIN_RECALIBRATE > info->live_rows;
}

/* Calibrates on a base object of its own: the published one is in other threads' hands. */
static shx_status maintain_calibrate(const maintain_job *job, uint64_t file, shx_calibration *ret_calibration) {
    shx_index *index = job->index;
    shx_base *base = NULL;
    shx_delta *delta = NULL;
    shx_view *view = NULL;
    shx_status status = shx_index_open_base(index, file, job->base, &base);
    if (status == SHX_OK) status = shx_delta_create(base, &delta);
    if (status == SHX_OK) status = shx_view_create(delta, shx_delta_tip(delta), &view);
    if (status == SHX_OK) status = shx_calibrate(view, job->pool, ret_calibration);
    shx_view_release(view);
    shx_delta_release(delta);
    shx_base_release(base);
    return status;
}

static shx_status maintain_write_base(maintain_job *job, const shx_base_plan *plan, uint64_t *ret_file) {
    shx_index *index = job->index;
    uint64_t file = maintain_new_file(index);
    if (!SHX_PLANTED(19)) SHX_TRY(shx_store_sync(index->store));
    SHX_TRY(shx_base_write(index->store, &index->config.uuid, file, plan));
    SHX_TRY(shx_store_sync(index->store));
    shx_index_adopt(index);
    *ret_file = file;
    return SHX_OK;
}

/* Publishes the base as soon as it can serve, and again when it is calibrated. */
static shx_status maintain_publish(maintain_job *job) {
    shx_calibration calibration = job->base->calibration;
    shx_base_plan plan = {.encoding = &job->rewrite.encoding, .calibration = &calibration};
    uint64_t file;
    maintain_plan_info(job, &plan.info);
    plan.shards_file = job->shards_file;
    plan.shards_checksum = job->shards_checksum;
    maintain_plan_segments(job, &plan);
    if (job->anew || !calibration.fitted) shx_calibration_default(&calibration);
    SHX_TRY(maintain_write_base(job, &plan, &file));
    if (!maintain_wants_calibration(&plan.info)) return SHX_OK;
    SHX_TRY(shx_progress_check(&job->index->progress));
    SHX_TRY(maintain_calibrate(job, file, &calibration));
    plan.info.calibrated_rows = plan.info.live_rows;
    plan.info.changes = 0;
    plan.info.generation++;
    return maintain_write_base(job, &plan, &file);
}

/* ---- entry points ---- */

/* Is everything in one segment that was clustered and calibrated as it is? Then there is nothing to optimize: a bulk
** load followed by 'optimize' is built once, by whoever comes first. */
static bool maintain_is_optimal(const maintain_job *job) {
    const shx_base_info *info = &job->base->info;
    if (job->view->mark.operations > 0 || job->base->segment_count != 1) return false;
    return maintain_dead_rows(job, 0) == 0 && info->changes == 0 && info->clustered_rows == info->live_rows &&
           info->live_rows == job->base->segments[0]->row_count && !maintain_wants_calibration(info);
}

static void maintain_free(maintain_job *job) {
    for (uint32_t s = 0; s < SHX_SEGMENTS_MAX; s++) shx_free(job->dead[s]);
    shx_rewrite_free(&job->rewrite);
    shx_pool_destroy(job->pool);
    shx_view_release(job->view);
}

/* The newest base on the commit's path is what the job starts from, and stays the newest: nobody else may publish. */
static shx_status maintain_look(shx_index *index, const shx_id *commit, shx_view **ret_view) {
    pthread_mutex_lock(&index->mutex);
    shx_status status = shx_index_refresh(index);
    if (status == SHX_OK) status = shx_index_resolve(index, commit, NULL, ret_view);
    pthread_mutex_unlock(&index->mutex);
    return status;
}

/* What the progress asks. */
static bool maintain_ask(void *context) {
    maintain_job *job = context;
    shx_notice_renew(&job->notice);
    return job->interrupted && job->interrupted(job->context);
}

/* The files of a job that failed belong to nobody; the next one who collects removes them. */
static shx_status maintain_run(maintain_job *job, const shx_id *commit) {
    shx_index *index = job->index;
    shx_file *lock = NULL;
    bool asked = job->anew;
    SHX_TRY(shx_store_prepare(index->store));
    SHX_TRY(shx_maintenance_lock(index, &lock));
    shx_progress_open(&index->progress, maintain_ask, job); /* the lock's holder is alone */
    shx_notice_open(&job->notice, lock, &index->progress);
    shx_status status = maintain_look(index, commit, &job->view);
    if (status == SHX_OK) {
        job->base = job->view->delta->base;
        maintain_choose(job);
        status = shx_pool_create(index->config.threads, &job->pool);
    }
    if (status == SHX_OK) shx_pool_watch(job->pool, &index->progress);
    bool idle = status == SHX_OK && (asked ? maintain_is_optimal(job) : job->view->mark.operations == 0);
    if (status == SHX_OK && !idle) status = maintain_rewrite(job);
    if (status == SHX_OK && !idle) status = maintain_publish(job);
    maintain_free(job);
    shx_progress_close(&index->progress);
    shx_notice_close(&job->notice);
    if (!SHX_PLANTED(23)) shx_file_close(lock);
    return status;
}

shx_status shx_maintain_flush(shx_index *index, const shx_id *commit, shx_interrupted interrupted, void *context) {
    maintain_job job = {.index = index, .interrupted = interrupted, .context = context};
    return maintain_run(&job, commit);
}

shx_status shx_maintain_optimize(shx_index *index, const shx_id *commit, shx_interrupted interrupted, void *context) {
    maintain_job job = {.index = index, .anew = true, .interrupted = interrupted, .context = context};
    return maintain_run(&job, commit);
}
