#include "kmeans.h"

#include "bytes.h"
#include "grouping.h"
#include "memory.h"
#include "random.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Rows that a thread takes at once: whole tiles, enough work to forget the hand-over. */
#define KMEANS_CHUNK_ROWS (SHX_TILE_ROWS * 64)

/* One clustering: the rows, sorted by cluster again and again, and the centroids in both layouts. */
typedef struct kmeans_work {
    const float **rows, **sorted;
    uint32_t *label; /* of rows[i] */
    uint32_t *order; /* of the rows by label */
    uint32_t *first; /* k + 1 */
    uint64_t count;
    size_t dim;
    uint32_t k;
    float *centroids;
    shx_panels panels;
    double *sums; /* dim of each thread */
} kmeans_work;

/* ---- panels ---- */

size_t shx_panel_lanes(uint32_t count) { return (size_t)shx_align(count, 16); }

static float kmeans_norm2(const float *centroid, size_t dim) {
    double sum = 0;
    for (size_t d = 0; d < dim; d++) sum += (double)centroid[d] * centroid[d];
    return (float)sum;
}

shx_status shx_panels_create(uint32_t count, size_t dim, shx_panels *ret_panels) {
    size_t lanes = shx_panel_lanes(count);
    shx_panels panels = {.dim = dim, .count = count};
    panels.lanes = shx_alloc_aligned(lanes * dim, sizeof *panels.lanes);
    panels.norms = shx_alloc_aligned(lanes, sizeof *panels.norms);
    if (!panels.lanes || !panels.norms) {
        shx_panels_free(&panels);
        return SHX_NOMEM;
    }
    *ret_panels = panels;
    return SHX_OK;
}

void shx_panels_free(shx_panels *panels) {
    shx_free_aligned(panels->lanes);
    shx_free_aligned(panels->norms);
    panels->lanes = panels->norms = NULL;
}

void shx_panels_fill(shx_panels *panels, const float *centroids) {
    size_t lanes = shx_panel_lanes(panels->count), dim = panels->dim;
    memset(panels->lanes, 0, lanes * dim * sizeof *panels->lanes);
    for (size_t c = 0; c < lanes; c++) {
        panels->norms[c] = c < panels->count ? kmeans_norm2(centroids + c * dim, dim) : INFINITY;
        float *lane = panels->lanes + c / 16 * 16 * dim + c % 16;
        for (size_t d = 0; c < panels->count && d < dim; d++) lane[d * 16] = centroids[c * dim + d];
    }
}

/* Labels a tile of rows (1 … 6) by the lowest score, |centroid|² - 2 <centroid, row>. */
static void kmeans_label_tile(const shx_panels *panels, const float *const *row, size_t rows, uint32_t *ret_labels) {
    const shx_kernels *kernels = shx_kernels_get();
    float dots[SHX_TILE_ROWS * 16], lowest[SHX_TILE_ROWS];
    for (size_t r = 0; r < rows; r++) {
        lowest[r] = INFINITY;
        ret_labels[r] = 0;
    }
    for (uint32_t panel = 0; panel < panels->count; panel += 16) {
        kernels->dot_panel(row, rows, panels->lanes + panel * panels->dim, panels->dim, dots);
        uint32_t end = panels->count < panel + 16 ? panels->count : panel + 16;
        for (size_t r = 0; r < rows; r++) {
            for (uint32_t c = panel; c < end; c++) {
                float score = panels->norms[c] - 2 * dots[r * 16 + c - panel];
                if (!(score < lowest[r])) continue;
                lowest[r] = score;
                ret_labels[r] = c;
            }
        }
    }
}

void shx_panels_label(const shx_panels *panels, const float *const *rows, uint64_t count, uint32_t *ret_labels) {
    for (uint64_t i = 0; i < count; i += SHX_TILE_ROWS) {
        size_t tile = count - i < SHX_TILE_ROWS ? (size_t)(count - i) : SHX_TILE_ROWS;
        kmeans_label_tile(panels, rows + i, tile, ret_labels + i);
    }
}

/* ---- rows ---- */

void shx_rows_mean(const float *const *rows, uint64_t count, size_t dim, double *sums, float *ret_mean) {
    assert(count > 0);
    memset(sums, 0, dim * sizeof *sums);
    for (uint64_t i = 0; i < count; i++) {
        for (size_t d = 0; d < dim; d++) sums[d] += rows[i][d];
    }
    for (size_t d = 0; d < dim; d++) ret_mean[d] = (float)(sums[d] / (double)count);
}

void shx_rows_sample(const float *const *rows, uint64_t count, uint64_t wanted, uint64_t seed, const float **ret_rows) {
    assert(wanted <= count);
    shx_sampler sampler = {seed, count, wanted};
    for (uint64_t i = 0, taken = 0; taken < wanted; i++) {
        if (shx_sampler_takes(&sampler)) ret_rows[taken++] = rows[i];
    }
}

/* ---- Lloyd ---- */

static void kmeans_free(kmeans_work *work) {
    shx_free(work->sorted);
    shx_free(work->label);
    shx_free(work->order);
    shx_free(work->sums);
    shx_panels_free(&work->panels);
}

/* Allocates what a clustering needs beside what its caller gave. */
static shx_status kmeans_alloc(kmeans_work *work, unsigned threads) {
    work->sorted = shx_alloc(work->count * sizeof *work->sorted);
    work->label = shx_alloc(work->count * sizeof *work->label);
    work->order = shx_alloc(work->count * sizeof *work->order);
    work->sums = shx_alloc(threads * work->dim * sizeof *work->sums);
    shx_status status = work->sorted && work->label && work->order && work->sums ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) status = shx_panels_create(work->k, work->dim, &work->panels);
    if (status != SHX_OK) kmeans_free(work);
    return status;
}

static shx_status kmeans_label_rows(void *context, uint64_t first, uint64_t end, unsigned thread) {
    kmeans_work *work = context;
    (void)thread;
    shx_panels_label(&work->panels, (const float *const *)work->rows + first, end - first, work->label + first);
    return SHX_OK;
}

static shx_status kmeans_sort(kmeans_work *work, const shx_stop *stop) {
    SHX_TRY(shx_group(work->label, work->count, work->k, stop, work->order, work->first));
    for (uint64_t i = 0; i < work->count; i++) work->sorted[i] = work->rows[work->order[i]];
    memcpy(work->rows, work->sorted, work->count * sizeof *work->rows);
    return SHX_OK;
}

static shx_status kmeans_group(kmeans_work *work, shx_pool *pool) {
    shx_panels_fill(&work->panels, work->centroids);
    SHX_TRY(shx_pool_run(pool, work->count, KMEANS_CHUNK_ROWS, kmeans_label_rows, work));
    const shx_stop stop = shx_progress_stop(shx_pool_progress(pool));
    return kmeans_sort(work, &stop);
}

static shx_status kmeans_move_centroids(void *context, uint64_t first, uint64_t end, unsigned thread) {
    kmeans_work *work = context;
    for (uint64_t c = first; c < end; c++) {
        uint32_t from = work->first[c], to = work->first[c + 1];
        if (from == to) continue;
        shx_rows_mean((const float *const *)work->rows + from, to - from, work->dim, work->sums + thread * work->dim,
                      work->centroids + c * work->dim);
    }
    return SHX_OK;
}

static void kmeans_start(kmeans_work *work, uint64_t seed) {
    const float **chosen = work->sorted;
    shx_rows_sample((const float *const *)work->rows, work->count, work->k, seed, chosen);
    for (uint32_t c = 0; c < work->k; c++) {
        memcpy(work->centroids + c * work->dim, chosen[c], work->dim * sizeof(float));
    }
}

shx_status shx_kmeans_train(const shx_float_rows *rows, uint32_t k, unsigned iterations, uint64_t seed, shx_pool *pool,
                            float *ret_centroids) {
    assert(k >= 1 && k <= rows->count);
    kmeans_work work = {.rows = rows->at, .count = rows->count, .dim = rows->dim, .k = k};
    work.centroids = ret_centroids;
    work.first = shx_alloc((k + (uint64_t)1) * sizeof *work.first);
    SHX_CHECK(work.first, SHX_NOMEM);
    shx_status status = kmeans_alloc(&work, shx_pool_threads(pool));
    if (status != SHX_OK) goto cleanup;
    kmeans_start(&work, seed);
    for (unsigned i = 0; status == SHX_OK && i < iterations; i++) {
        status = kmeans_group(&work, pool);
        if (status == SHX_OK) status = shx_pool_run(pool, k, 1, kmeans_move_centroids, &work);
    }
    kmeans_free(&work);
cleanup:
    shx_free(work.first);
    return status;
}

shx_status shx_kmeans_group(const shx_float_rows *rows, const float *centroids, uint32_t k, shx_pool *pool,
                            uint32_t *ret_first) {
    kmeans_work work = {.rows = rows->at, .count = rows->count, .dim = rows->dim, .k = k};
    work.centroids = (float *)centroids; /* read only: no centroid is moved here */
    work.first = ret_first;
    SHX_TRY(kmeans_alloc(&work, 1));
    shx_status status = kmeans_group(&work, pool);
    kmeans_free(&work);
    return status;
}
