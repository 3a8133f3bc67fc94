#include "kmeans.h"

#include "bytes.h"
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
    const shx_kernels *kernels;
    const float **rows, **sorted;
    uint32_t *label; /* of rows[i] */
    uint64_t *first; /* k + 1 */
    uint64_t count;
    size_t dim;
    uint32_t k;
    float *centroids, *panels, *norms;
    double *sums; /* dim of each thread */
} kmeans_work;

/* --- panels --- */

size_t shx_panel_lanes(uint32_t count) { return (size_t)shx_align(count, 16); }

static float kmeans_norm2(const float *centroid, size_t dim) {
    double sum = 0;
    for (size_t d = 0; d < dim; d++) sum += (double)centroid[d] * centroid[d];
    return (float)sum;
}

void shx_panel_fill(const float *centroids, uint32_t count, size_t dim, float *ret_panels, float *ret_norms) {
    size_t lanes = shx_panel_lanes(count);
    memset(ret_panels, 0, lanes * dim * sizeof *ret_panels);
    for (size_t c = 0; c < lanes; c++) {
        ret_norms[c] = c < count ? kmeans_norm2(centroids + c * dim, dim) : INFINITY;
        float *lane = ret_panels + c / 16 * 16 * dim + c % 16;
        for (size_t d = 0; c < count && d < dim; d++) lane[d * 16] = centroids[c * dim + d];
    }
}

void shx_panel_nearest(const shx_kernels *kernels, const float *const *row, size_t rows, const float *panels,
                       const float *norms, size_t dim, uint32_t begin, uint32_t end, shx_nearest *nearest) {
    assert(rows >= 1 && rows <= SHX_TILE_ROWS);
    float dots[SHX_TILE_ROWS * 16];
    for (uint32_t panel = begin / 16 * 16; panel < end; panel += 16) {
        kernels->dot_panel(row, rows, panels + panel * dim, dim, dots);
        uint32_t from = begin > panel ? begin : panel, to = end < panel + 16 ? end : panel + 16;
        for (size_t r = 0; r < rows; r++) {
            for (uint32_t c = from; c < to; c++) {
                float score = norms[c] - 2 * dots[r * 16 + c - panel];
                if (!(score < nearest->score[r])) continue;
                nearest->score[r] = score;
                nearest->label[r] = c;
            }
        }
    }
}

/* --- rows --- */

void shx_rows_mean(const float *const *rows, uint64_t count, size_t dim, double *sums, float *ret_mean) {
    assert(count > 0);
    memset(sums, 0, dim * sizeof *sums);
    for (uint64_t i = 0; i < count; i++) {
        for (size_t d = 0; d < dim; d++) sums[d] += rows[i][d];
    }
    for (size_t d = 0; d < dim; d++) ret_mean[d] = (float)(sums[d] / (double)count);
}

/* Each row is taken with probability (still wanted) / (still to come): Knuth's algorithm S. */
void shx_rows_sample(const float *const *rows, uint64_t count, uint64_t wanted, uint64_t seed, const float **ret_rows) {
    assert(wanted <= count);
    uint64_t taken = 0;
    for (uint64_t i = 0; taken < wanted; i++) {
        if (shx_random_below(&seed, count - i) < wanted - taken) ret_rows[taken++] = rows[i];
    }
}

/* --- Lloyd --- */

static void kmeans_free(kmeans_work *work) {
    shx_free(work->sorted);
    shx_free(work->label);
    shx_free(work->sums);
    shx_free_aligned(work->panels);
    shx_free_aligned(work->norms);
}

/* Allocates what a clustering needs beside what its caller gave. */
static shx_status kmeans_alloc(kmeans_work *work, unsigned threads) {
    size_t lanes = shx_panel_lanes(work->k);
    work->sorted = shx_alloc(work->count * sizeof *work->sorted);
    work->label = shx_alloc(work->count * sizeof *work->label);
    work->sums = shx_alloc(threads * work->dim * sizeof *work->sums);
    work->panels = shx_alloc_aligned(lanes * work->dim, sizeof *work->panels);
    work->norms = shx_alloc_aligned(lanes, sizeof *work->norms);
    if (work->sorted && work->label && work->sums && work->panels && work->norms) return SHX_OK;
    kmeans_free(work);
    return SHX_NOMEM;
}

static shx_status kmeans_label_rows(void *context, uint64_t first, uint64_t end, unsigned thread) {
    kmeans_work *work = context;
    (void)thread;
    for (uint64_t i = first; i < end; i += SHX_TILE_ROWS) {
        size_t rows = end - i < SHX_TILE_ROWS ? (size_t)(end - i) : SHX_TILE_ROWS;
        shx_nearest nearest = {{0}, {0}};
        for (size_t r = 0; r < rows; r++) nearest.score[r] = INFINITY;
        shx_panel_nearest(work->kernels, (const float *const *)work->rows + i, rows, work->panels, work->norms,
                          work->dim, 0, work->k, &nearest);
        memcpy(work->label + i, nearest.label, rows * sizeof *nearest.label);
    }
    return SHX_OK;
}

/* A stable counting sort of the rows by label. */
static void kmeans_sort(kmeans_work *work) {
    uint64_t *first = work->first;
    memset(first, 0, (work->k + (size_t)1) * sizeof *first);
    for (uint64_t i = 0; i < work->count; i++) first[work->label[i] + 1]++;
    for (uint32_t c = 0; c < work->k; c++) first[c + 1] += first[c];
    for (uint64_t i = 0; i < work->count; i++) work->sorted[first[work->label[i]]++] = work->rows[i];
    memmove(first + 1, first, work->k * sizeof *first);
    first[0] = 0;
    memcpy(work->rows, work->sorted, work->count * sizeof *work->rows);
    assert(first[work->k] == work->count);
}

static shx_status kmeans_group(kmeans_work *work, shx_pool *pool) {
    shx_panel_fill(work->centroids, work->k, work->dim, work->panels, work->norms);
    SHX_TRY(shx_pool_run(pool, work->count, KMEANS_CHUNK_ROWS, kmeans_label_rows, work));
    kmeans_sort(work);
    return SHX_OK;
}

static shx_status kmeans_move_centroids(void *context, uint64_t first, uint64_t end, unsigned thread) {
    kmeans_work *work = context;
    for (uint64_t c = first; c < end; c++) {
        uint64_t from = work->first[c], to = work->first[c + 1];
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

shx_status shx_kmeans_train(const float **rows, uint64_t count, size_t dim, uint32_t k, unsigned iterations,
                            uint64_t seed, shx_pool *pool, float *ret_centroids) {
    assert(k >= 1 && k <= count);
    kmeans_work work = {.kernels = shx_kernels_get(), .rows = rows, .count = count, .dim = dim, .k = k};
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

shx_status shx_kmeans_group(const float **rows, uint64_t count, size_t dim, const float *centroids, uint32_t k,
                            shx_pool *pool, uint64_t *ret_first) {
    kmeans_work work = {.kernels = shx_kernels_get(), .rows = rows, .count = count, .dim = dim, .k = k};
    work.centroids = (float *)centroids; /* read only: no centroid is moved here */
    work.first = ret_first;
    SHX_TRY(kmeans_alloc(&work, 1));
    shx_status status = kmeans_group(&work, pool);
    kmeans_free(&work);
    return status;
}
