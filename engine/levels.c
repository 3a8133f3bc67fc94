#include "levels.h"

#include "grouping.h"
#include "kmeans.h"
#include "limits.h"
#include "memory.h"
#include "quantizer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define LEVELS_ITERATIONS 6
#define LEVELS_SAMPLE 64 /* centroids a parent is trained on */

void shx_levels_free(shx_levels *levels) {
    shx_free_aligned(levels->memory);
    shx_free(levels->first_block);
    memset(levels, 0, sizeof *levels);
}

static shx_status levels_count_blocks(shx_levels *levels) {
    levels->first_block = shx_alloc_zero((uint64_t)levels->parent_count + 1, sizeof *levels->first_block);
    SHX_CHECK(levels->first_block, SHX_NOMEM);
    for (uint32_t p = 0; p < levels->parent_count; p++) {
        levels->first_block[p + 1] = levels->first_block[p] + shx_blocks_of(levels->first[p + 1] - levels->first[p]);
    }
    return SHX_OK;
}

uint64_t shx_levels_blocks(const shx_levels *levels) { return levels->first_block[levels->parent_count]; }

/* ---- coding ---- */

typedef struct levels_coding {
    const shx_levels *levels;
    const shx_centroids *centroids;
    shx_factor_scale *scales;
    uint8_t *blocks;
} levels_coding;

static shx_status levels_code(void *context, uint64_t begin, uint64_t end, unsigned thread) {
    (void)thread;
    const levels_coding *coding = context;
    const shx_levels *levels = coding->levels;
    uint32_t code_dim = coding->centroids->code_dim;
    for (uint64_t p = begin; p < end; p++) {
        uint32_t first = levels->first[p], count = levels->first[p + 1] - first;
        SHX_TRY(shx_centroid_codes(coding->centroids, levels->members + first, count, levels->parents + p * code_dim,
                                   &coding->scales[p + 1],
                                   coding->blocks + levels->first_block[p] * shx_block_bytes(code_dim)));
    }
    return SHX_OK;
}

/* Lays out one piece of memory, the widest alignment first: member blocks, parent blocks, parents, scales, first,
** members; fills it from parent_of (per shard) and codes everything. */
static shx_status levels_make(const shx_centroids *parents, const uint32_t *parent_of, const shx_centroids *centroids,
                              shx_pool *pool, shx_levels *ret_levels) {
    uint64_t count = centroids->count;
    uint32_t parent_count = (uint32_t)parents->count, code_dim = centroids->code_dim;
    uint64_t most_blocks = shx_blocks_of(count) + (uint64_t)parent_count, block_bytes = shx_block_bytes(code_dim);
    uint64_t parent_block_bytes = shx_blocks_of(parent_count) * block_bytes;
    uint64_t parent_bytes = (uint64_t)parent_count * code_dim * sizeof(float);
    uint64_t scale_bytes = ((uint64_t)parent_count + 1) * sizeof(shx_factor_scale);
    uint64_t first_bytes = ((uint64_t)parent_count + 1) * sizeof(uint32_t);
    uint8_t *memory = shx_alloc_aligned(1, most_blocks * block_bytes + parent_block_bytes + parent_bytes + scale_bytes +
                                               first_bytes + count * sizeof(uint32_t));
    SHX_CHECK(memory, SHX_NOMEM);
    uint8_t *parent_blocks = memory + most_blocks * block_bytes, *parent_rows = parent_blocks + parent_block_bytes;
    shx_factor_scale *scales = (shx_factor_scale *)(void *)(parent_rows + parent_bytes);
    uint32_t *first = (uint32_t *)(void *)((uint8_t *)scales + scale_bytes), *members = first + parent_count + 1;
    shx_levels levels = {.parent_count = parent_count,
                         .parents = memcpy(parent_rows, parents->floats, parent_bytes),
                         .parent_blocks = parent_blocks,
                         .scales = scales,
                         .first = first,
                         .members = members,
                         .blocks = memory,
                         .memory = memory};
    levels_coding coding = {&levels, centroids, scales, memory};
    const shx_stop stop = shx_progress_stop(shx_pool_progress(pool));
    shx_status status = shx_group(parent_of, count, parent_count, &stop, members, first);
    if (status == SHX_OK) status = levels_count_blocks(&levels);
    if (status == SHX_OK) status = shx_centroid_codes(parents, NULL, parent_count, NULL, &scales[0], parent_blocks);
    if (status == SHX_OK) status = shx_pool_run(pool, parent_count, 1, levels_code, &coding);
    if (status == SHX_OK) {
        *ret_levels = levels;
    } else {
        shx_levels_free(&levels);
    }
    return status;
}

/* ---- making ---- */

static shx_status levels_train(const shx_float_rows *rows, uint32_t parent_count, uint64_t seed, shx_pool *pool,
                               float *parents) {
    uint64_t wanted = (uint64_t)parent_count * LEVELS_SAMPLE;
    if (wanted >= rows->count) return shx_kmeans_train(rows, parent_count, LEVELS_ITERATIONS, seed, pool, parents);
    const shx_float_rows sample = {shx_alloc_zero(wanted, sizeof *sample.at), wanted, rows->dim};
    SHX_CHECK(sample.at, SHX_NOMEM);
    shx_rows_sample((const float *const *)rows->at, rows->count, wanted, seed, sample.at);
    shx_status status = shx_kmeans_train(&sample, parent_count, LEVELS_ITERATIONS, seed, pool, parents);
    shx_free(sample.at);
    return status;
}

/* Writes the parent of each centroid from the groups of their rows, and drops parents without any; returns how many are
** left. */
static uint32_t levels_assign(const shx_centroids *centroids, const float *const *rows, const uint32_t *group,
                              uint32_t parent_count, float *parents, uint32_t *parent_of) {
    uint32_t kept = 0, code_dim = centroids->code_dim;
    for (uint32_t p = 0; p < parent_count; p++) {
        if (group[p] == group[p + 1]) continue;
        if (kept != p) {
            memcpy(parents + (uint64_t)kept * code_dim, parents + (uint64_t)p * code_dim, code_dim * sizeof *parents);
        }
        for (uint32_t i = group[p]; i < group[p + 1]; i++) {
            parent_of[(uint64_t)(rows[i] - centroids->floats) / code_dim] = kept;
        }
        kept++;
    }
    return kept;
}

shx_status shx_levels_create(const shx_centroids *centroids, uint64_t seed, shx_pool *pool, shx_levels *ret_levels) {
    uint64_t count = centroids->count;
    uint32_t code_dim = centroids->code_dim, parent_count = (uint32_t)sqrt((double)count);
    assert(count > 0);
    const shx_float_rows rows = {shx_alloc_zero(count, sizeof *rows.at), count, code_dim};
    float *parents = shx_alloc_aligned(parent_count, code_dim * sizeof *parents);
    uint32_t *group = shx_alloc_zero((uint64_t)parent_count + 1, sizeof *group);
    uint32_t *parent_of = shx_alloc_zero(count, sizeof *parent_of);
    shx_status status = rows.at && parents && group && parent_of ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) rows.at[i] = shx_centroid_at(centroids, i);
    if (status == SHX_OK) status = levels_train(&rows, parent_count, seed, pool, parents);
    if (status == SHX_OK) status = shx_kmeans_group(&rows, parents, parent_count, pool, group);
    if (status == SHX_OK) {
        const float *const *sorted = (const float *const *)rows.at;
        uint32_t kept = levels_assign(centroids, sorted, group, parent_count, parents, parent_of);
        const shx_centroids made = {parents, kept, code_dim};
        status = levels_make(&made, parent_of, centroids, pool, ret_levels);
    }
    shx_free(rows.at);
    shx_free_aligned(parents);
    shx_free(group);
    shx_free(parent_of);
    return status;
}

/* ---- following ---- */

static uint32_t levels_nearest_parent(const shx_levels *levels, const float *centroid, uint32_t code_dim) {
    const shx_kernels *kernels = shx_kernels_get();
    uint32_t best = 0;
    float best2 = INFINITY;
    for (uint32_t p = 0; p < levels->parent_count; p++) {
        float distance2 = kernels->code_l2_squared(centroid, levels->parents + (uint64_t)p * code_dim, code_dim);
        if (!(distance2 < best2)) continue;
        best = p;
        best2 = distance2;
    }
    return best;
}

/* The parent of each position of the old table. */
static uint32_t *levels_parents_of(const shx_levels *levels) {
    uint32_t *parent_of = shx_alloc_zero(levels->first[levels->parent_count], sizeof *parent_of);
    for (uint32_t p = 0; parent_of && p < levels->parent_count; p++) {
        for (uint32_t i = levels->first[p]; i < levels->first[p + 1]; i++) parent_of[levels->members[i]] = p;
    }
    return parent_of;
}

shx_status shx_levels_follow(const shx_levels *before, const uint32_t *from, const shx_centroids *centroids,
                             shx_pool *pool, shx_levels *ret_levels) {
    uint64_t count = centroids->count;
    uint32_t *old = levels_parents_of(before), *parent_of = shx_alloc_zero(count, sizeof *parent_of);
    shx_status status = old && parent_of ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) {
        if (from[i] != SHX_SHARD_NONE) {
            parent_of[i] = old[from[i]];
        } else {
            parent_of[i] = levels_nearest_parent(before, shx_centroid_at(centroids, i), centroids->code_dim);
            status = shx_progress_check(shx_pool_progress(pool));
        }
    }
    const shx_centroids parents = {before->parents, before->parent_count, centroids->code_dim};
    if (status == SHX_OK) status = levels_make(&parents, parent_of, centroids, pool, ret_levels);
    shx_free(old);
    shx_free(parent_of);
    return status;
}

/* ---- checking ---- */

static shx_status levels_check_members(const shx_levels *levels, uint64_t count) {
    uint8_t *seen = shx_alloc_zero(count, 1);
    SHX_CHECK(seen, SHX_NOMEM);
    shx_status status = SHX_OK;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) {
        uint32_t member = levels->members[i];
        if (member >= count || seen[member]) {
            status = shx_corrupt("shards under parents");
        } else {
            seen[member] = 1;
        }
    }
    shx_free(seen);
    return status;
}

shx_status shx_levels_check(shx_levels *levels, uint64_t count, uint32_t code_dim) {
    SHX_CHECK(levels->first[0] == 0 && levels->first[levels->parent_count] == count, shx_corrupt("first shards"));
    for (uint32_t p = 0; p < levels->parent_count; p++) {
        SHX_CHECK(levels->first[p] <= levels->first[p + 1], shx_corrupt("first shards"));
    }
    for (uint64_t i = 0; i < (uint64_t)levels->parent_count * code_dim; i++) {
        SHX_CHECK(shx_centroid_usable(levels->parents[i]), shx_corrupt("parent"));
    }
    for (uint64_t i = 0; i <= levels->parent_count; i++) {
        SHX_CHECK(shx_factor_scale_usable(&levels->scales[i]), shx_corrupt("scale of a parent"));
    }
    SHX_TRY(levels_check_members(levels, count));
    return levels_count_blocks(levels);
}
