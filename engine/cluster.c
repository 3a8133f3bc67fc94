/* Training, from top to bottom: level 1 finds about sqrt(K) parents on a sample of the sample; every point joins its
** nearest parent; level 2 clusters the points of each parent by themselves; what is still too large is split. In memory
** are the points of level 1, and then those of one parent a thread.
*/
#include "cluster.h"

#include "byte_panels.h"
#include "cluster_split.h"
#include "grouping.h"
#include "kernels.h"
#include "kmeans.h"
#include "memory.h"
#include "random.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* More iterations and more points change the centroids by a few per cent at most (SuperKMeans' measurements). */
#define CLUSTER_PARENT_ITERATIONS 6
#define CLUSTER_LEAF_ITERATIONS 5
#define CLUSTER_ROWS_PER_PARENT 256
#define CLUSTER_CHECK_POINTS 256 /* read between two looks at the progress */
#define CLUSTER_BATCH (SHX_TILE_ROWS * 64) /* points that a thread labels at once */

/* A leaf over this many times the target is split again. */
#define CLUSTER_LEAF_EXCESS 1.34

/* The leaves found under one parent. */
typedef struct cluster_family {
    float *leaves;
    uint64_t capacity; /* in leaves */
    uint32_t count;
} cluster_family;

typedef struct cluster_training {
    const shx_cluster_points *points;
    uint32_t *rows;  /* numbers of the points: in order, and by parent after level 1 */
    uint32_t *label; /* the nearest parent of rows[i] before that */
    uint64_t count;
    size_t dim;
    uint32_t leaf_points;
    uint64_t seed;
    shx_pool *pool;
    uint32_t parent_count;
    float *parents;
    uint32_t *first; /* the rows of parent p are [first[p], first[p + 1]) */
    cluster_family *families;
} cluster_training;

/* How many clusters of `size` points `count` points make, at least 1. */
static uint32_t cluster_wanted(uint64_t count, uint64_t size) {
    uint64_t wanted = (count + size / 2) / size;
    return wanted < 1 ? 1 : wanted > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)wanted;
}

/* ---- points ---- */

/* Some points in memory. */
typedef struct cluster_loaded {
    float *points;
    shx_float_rows rows;
} cluster_loaded;

static void cluster_unload(cluster_loaded *loaded) {
    shx_free_aligned(loaded->points);
    shx_free(loaded->rows.at);
}

static shx_status cluster_load(const cluster_training *training, const uint32_t *rows, uint64_t count,
                               cluster_loaded *ret_loaded) {
    cluster_loaded loaded = {.points = shx_alloc_aligned(count * training->dim, sizeof *loaded.points),
                             .rows = {shx_alloc(count * sizeof *loaded.rows.at), count, training->dim}};
    if (!loaded.points || !loaded.rows.at) {
        cluster_unload(&loaded);
        return SHX_NOMEM;
    }
    shx_status status = SHX_OK;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) {
        if (i % CLUSTER_CHECK_POINTS == 0) status = shx_progress_check(shx_pool_progress(training->pool));
        float *point = loaded.points + i * training->dim;
        training->points->read(training->points->context, rows[i], point);
        loaded.rows.at[i] = point;
    }
    if (status != SHX_OK) {
        cluster_unload(&loaded);
        return status;
    }
    *ret_loaded = loaded;
    return SHX_OK;
}

/* ---- level 1 ---- */

/* Chooses `wanted` of the rows, in their order. */
static void cluster_sample(const cluster_training *training, uint64_t wanted, uint32_t *ret_rows) {
    shx_sampler sampler = {training->seed, training->count, wanted};
    for (uint64_t i = 0, taken = 0; taken < wanted; i++) {
        if (shx_sampler_takes(&sampler)) ret_rows[taken++] = training->rows[i];
    }
}

static shx_status cluster_find_parents(cluster_training *training, uint32_t k) {
    uint64_t wanted = (uint64_t)k * CLUSTER_ROWS_PER_PARENT;
    if (wanted > training->count) wanted = training->count;
    uint32_t *rows = shx_alloc(wanted * sizeof *rows);
    SHX_CHECK(rows, SHX_NOMEM);
    cluster_loaded sample;
    cluster_sample(training, wanted, rows);
    shx_status status = cluster_load(training, rows, wanted, &sample);
    shx_free(rows);
    SHX_TRY(status);
    status = shx_kmeans_train(&sample.rows, k, CLUSTER_PARENT_ITERATIONS, training->seed + 1, training->pool,
                              training->parents);
    cluster_unload(&sample);
    return status;
}

/* The parents as the kernels want them. */
typedef struct cluster_grouping {
    cluster_training *training;
    shx_panels panels;
} cluster_grouping;

static shx_status cluster_label(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const cluster_grouping *grouping = context;
    cluster_training *training = grouping->training;
    for (uint64_t i = first; i < end; i += CLUSTER_BATCH) {
        uint64_t count = end - i < CLUSTER_BATCH ? end - i : CLUSTER_BATCH;
        cluster_loaded batch;
        SHX_TRY(cluster_load(training, training->rows + i, count, &batch));
        shx_panels_label(&grouping->panels, batch.rows.at, count, training->label + i);
        cluster_unload(&batch);
    }
    return SHX_OK;
}

/* Every point joins its nearest parent. */
static shx_status cluster_group(cluster_training *training, uint32_t k) {
    cluster_grouping grouping = {.training = training};
    training->label = shx_alloc(training->count * sizeof *training->label);
    shx_status status = training->label ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) status = shx_panels_create(k, training->dim, &grouping.panels);
    if (status == SHX_OK) {
        shx_panels_fill(&grouping.panels, training->parents);
        status = shx_pool_run(training->pool, training->count, CLUSTER_BATCH, cluster_label, &grouping);
    }
    if (status == SHX_OK) {
        const shx_stop stop = shx_progress_stop(shx_pool_progress(training->pool));
        status = shx_group(training->label, training->count, k, &stop, training->rows, training->first);
    }
    shx_panels_free(&grouping.panels);
    return status;
}

/* Parents without points are dropped. */
static void cluster_drop_empty_parents(cluster_training *training) {
    uint32_t kept = 0;
    for (uint32_t p = 0; p < training->parent_count; p++) {
        uint32_t end = training->first[p + 1];
        if (end == training->first[p]) continue;
        memmove(training->parents + kept * training->dim, training->parents + p * training->dim,
                training->dim * sizeof(float));
        training->first[++kept] = end;
    }
    training->parent_count = kept;
    assert(kept >= 1 && training->first[kept] == training->count);
}

static shx_status cluster_train_parents(cluster_training *training) {
    uint32_t k = cluster_wanted(training->count, training->leaf_points);
    k = (uint32_t)lround(sqrt(k));
    training->parents = shx_alloc_aligned(k * training->dim, sizeof *training->parents);
    training->first = shx_alloc((k + (uint64_t)1) * sizeof *training->first);
    SHX_CHECK(training->parents && training->first, SHX_NOMEM);
    SHX_TRY(cluster_find_parents(training, k));
    SHX_TRY(cluster_group(training, k));
    training->parent_count = k;
    cluster_drop_empty_parents(training);
    return SHX_OK;
}

/* ---- level 2 ---- */

/* Adds the mean of each part of `rows` to the family. */
static shx_status cluster_add_leaves(cluster_family *family, const shx_float_rows *rows, const shx_parts *parts,
                                     double *sums) {
    size_t dim = rows->dim;
    SHX_TRY(shx_grow((void **)&family->leaves, &family->capacity, family->count + (uint64_t)parts->count,
                     dim * sizeof *family->leaves));
    for (uint32_t i = 0; i < parts->count; i++) {
        const shx_part *part = &parts->items[i];
        float *leaf = family->leaves + family->count++ * dim;
        shx_rows_mean((const float *const *)rows->at + part->first, part->count, dim, sums, leaf);
    }
    return SHX_OK;
}

/* Into how many parts so many points may be split: twice as many as they should make, since parts are uneven. */
static uint32_t cluster_parts_most(const cluster_training *training, uint64_t count) {
    return 2 * cluster_wanted(count, training->leaf_points) + 2;
}

/* Splits the groups of a parent's rows that are too large and adds the leaves of all that are not empty. */
static shx_status cluster_make_leaves(const cluster_training *training, cluster_family *family,
                                      const shx_float_rows *rows, const uint32_t *first, uint32_t k, uint64_t seed) {
    uint64_t size_max = (uint64_t)(training->leaf_points * CLUSTER_LEAF_EXCESS);
    uint32_t most = cluster_parts_most(training, rows->count);
    shx_parts parts = {.items = shx_alloc(most * sizeof *parts.items)};
    double *sums = shx_alloc(rows->dim * sizeof *sums);
    shx_status status = parts.items && sums ? SHX_OK : SHX_NOMEM;
    for (uint32_t c = 0; status == SHX_OK && c < k; c++) {
        const shx_float_rows group = {rows->at + first[c], first[c + 1] - first[c], rows->dim};
        if (group.count == 0) continue;
        parts.most = cluster_parts_most(training, group.count);
        status = shx_cluster_divide(&group, size_max, seed + c, shx_pool_progress(training->pool), &parts);
        if (status == SHX_OK) status = cluster_add_leaves(family, &group, &parts, sums);
    }
    shx_free(sums);
    shx_free(parts.items);
    return status;
}

static shx_status cluster_train_family(const cluster_training *training, uint32_t parent) {
    uint32_t count = training->first[parent + 1] - training->first[parent];
    cluster_loaded points;
    SHX_TRY(cluster_load(training, training->rows + training->first[parent], count, &points));
    uint32_t k = cluster_wanted(count, training->leaf_points);
    uint64_t seed = training->seed + 2 + parent;
    seed = shx_random_next(&seed);
    float *centroids = shx_alloc_aligned(k * training->dim, sizeof *centroids);
    uint32_t *first = shx_alloc((k + (uint64_t)1) * sizeof *first);
    shx_status status = centroids && first ? SHX_OK : SHX_NOMEM;
    if (status != SHX_OK) goto cleanup;
    status = shx_kmeans_train(&points.rows, k, CLUSTER_LEAF_ITERATIONS, seed, training->pool, centroids);
    if (status == SHX_OK) status = shx_kmeans_group(&points.rows, centroids, k, training->pool, first);
    if (status == SHX_OK) {
        status = cluster_make_leaves(training, &training->families[parent], &points.rows, first, k, seed);
    }
cleanup:
    shx_free(first);
    shx_free_aligned(centroids);
    cluster_unload(&points);
    return status;
}

static shx_status cluster_train_families(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const cluster_training *training = context;
    for (uint64_t p = first; p < end; p++) {
        SHX_TRY(cluster_train_family(training, (uint32_t)p));
        shx_progress_add(shx_pool_progress(training->pool), training->first[p + 1] - training->first[p]);
    }
    return SHX_OK;
}

/* ---- the result ---- */

/* Copies the families one after the other. */
static shx_status cluster_collect_leaves(const cluster_training *training, shx_clusters *clusters) {
    uint64_t total = 0;
    for (uint32_t p = 0; p < training->parent_count; p++) total += training->families[p].count;
    SHX_CHECK(total <= UINT32_MAX, SHX_MISUSE);
    clusters->leaves = shx_alloc_aligned(total * training->dim, sizeof *clusters->leaves);
    clusters->first_leaf = shx_alloc((training->parent_count + (uint64_t)1) * sizeof *clusters->first_leaf);
    SHX_CHECK(clusters->leaves && clusters->first_leaf, SHX_NOMEM);
    for (uint32_t p = 0; p < training->parent_count; p++) {
        const cluster_family *family = &training->families[p];
        assert(family->count >= 1);
        clusters->first_leaf[p] = clusters->leaf_count;
        memcpy(clusters->leaves + clusters->leaf_count * training->dim, family->leaves,
               family->count * training->dim * sizeof *clusters->leaves);
        clusters->leaf_count += family->count;
    }
    clusters->first_leaf[training->parent_count] = clusters->leaf_count;
    return SHX_OK;
}

/* Memory for the centroids as bytes: the leaves of a parent start a panel. */
static shx_status cluster_make_panels(shx_clusters *clusters) {
    uint64_t panels = 0;
    clusters->first_panel = shx_alloc(clusters->parent_count * sizeof *clusters->first_panel);
    SHX_CHECK(clusters->first_panel, SHX_NOMEM);
    for (uint32_t p = 0; p < clusters->parent_count; p++) {
        clusters->first_panel[p] = (uint32_t)panels;
        panels += shx_panel_lanes(clusters->first_leaf[p + 1] - clusters->first_leaf[p]) / 16;
    }
    clusters->leaf_panels = shx_alloc_aligned(panels, shx_byte_panel_bytes(clusters->dim));
    clusters->parent_panels = shx_alloc_aligned(shx_byte_panels_bytes(clusters->parent_count, clusters->dim), 1);
    return clusters->leaf_panels && clusters->parent_panels ? SHX_OK : SHX_NOMEM;
}

static shx_status cluster_fill(cluster_training *training, shx_clusters *clusters) {
    SHX_TRY(cluster_collect_leaves(training, clusters));
    clusters->dim = training->dim;
    clusters->parent_count = training->parent_count;
    clusters->parents = training->parents;
    training->parents = NULL;
    SHX_TRY(cluster_make_panels(clusters));
    shx_byte_panels_fill(clusters->parents, clusters->parent_count, clusters->dim, NULL, clusters->parent_panels);
    shx_clusters_follow(clusters);
    return SHX_OK;
}

void shx_clusters_follow(shx_clusters *clusters) {
    for (uint32_t p = 0; p < clusters->parent_count; p++) {
        uint32_t first = clusters->first_leaf[p], count = clusters->first_leaf[p + 1] - first;
        uint8_t *panels = clusters->leaf_panels;
        shx_byte_panels_fill(clusters->leaves + first * clusters->dim, count, clusters->dim,
                             clusters->parents + p * clusters->dim,
                             panels + clusters->first_panel[p] * shx_byte_panel_bytes(clusters->dim));
    }
}

static void cluster_free_training(cluster_training *training) {
    for (uint32_t p = 0; training->families && p < training->parent_count; p++) shx_free(training->families[p].leaves);
    shx_free(training->families);
    shx_free(training->first);
    shx_free_aligned(training->parents);
    shx_free(training->rows);
    shx_free(training->label);
}

static shx_status cluster_train(cluster_training *training, shx_clusters *clusters) {
    training->rows = shx_alloc(training->count * sizeof *training->rows);
    SHX_CHECK(training->rows, SHX_NOMEM);
    for (uint64_t i = 0; i < training->count; i++) training->rows[i] = (uint32_t)i;
    SHX_TRY(cluster_train_parents(training));
    training->families = shx_alloc_zero(training->parent_count, sizeof *training->families);
    SHX_CHECK(training->families, SHX_NOMEM);
    SHX_TRY(shx_pool_run(training->pool, training->parent_count, 1, cluster_train_families, training));
    return cluster_fill(training, clusters);
}

shx_status shx_cluster_train(const shx_cluster_points *points, uint32_t leaf_points, uint64_t seed, shx_pool *pool,
                             shx_clusters **ret_clusters) {
    uint64_t count = points->count;
    size_t dim = points->dim;
    SHX_CHECK(count >= 1 && count <= UINT32_MAX && leaf_points >= 1 && dim >= 16 && dim % 16 == 0, SHX_MISUSE);
    cluster_training training = {
        .points = points, .count = count, .dim = dim, .leaf_points = leaf_points, .seed = seed, .pool = pool};
    shx_clusters *clusters = shx_alloc_zero(1, sizeof *clusters);
    SHX_CHECK(clusters, SHX_NOMEM);
    shx_status status = cluster_train(&training, clusters);
    cluster_free_training(&training);
    if (status == SHX_OK)
        *ret_clusters = clusters;
    else
        shx_clusters_destroy(clusters);
    return status;
}

void shx_clusters_destroy(shx_clusters *clusters) {
    if (!clusters) return;
    shx_free_aligned(clusters->parents);
    shx_free_aligned(clusters->leaves);
    shx_free(clusters->first_leaf);
    shx_free_aligned(clusters->parent_panels);
    shx_free_aligned(clusters->leaf_panels);
    shx_free(clusters->first_panel);
    shx_free(clusters);
}
