/* The nearest leaf of many points. Rows are taken in blocks; the (row, probed parent) pairs of a block are sorted by
** parent, so that the rows which probe the same parent meet its leaves in tiles, one pass over the panels for six rows.
*/
#include "cluster.h"

#include "kernels.h"
#include "kmeans.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Pairs in a block: enough that the rows of each parent fill tiles, little enough for the cache. */
#define ASSIGN_BLOCK_PAIRS 4096

/* The caller's scratch, cut up. */
typedef struct assign_work {
    const shx_kernels *kernels;
    const shx_clusters *clusters;
    uint32_t probes;
    size_t block_rows; /* rows in a block, a multiple of the tile */
    float *scores;     /* of a tile of rows × the parents (whole panels) */
    float *best;       /* of each row of the block */
    uint32_t *probed;  /* block_rows × probes parents */
    uint32_t *sorted;  /* the rows of the pairs, by parent */
    uint32_t *first;   /* parent_count + 1 */
} assign_work;

/* However many parents are probed, a tile of rows fits. */
static size_t assign_pairs(const shx_clusters *clusters) {
    size_t tile = (size_t)SHX_TILE_ROWS * clusters->parent_count;
    return tile > ASSIGN_BLOCK_PAIRS ? tile : ASSIGN_BLOCK_PAIRS;
}

size_t shx_cluster_scratch_floats(const shx_clusters *clusters) {
    static_assert(sizeof(float) == sizeof(uint32_t), "scratch holds both");
    return SHX_TILE_ROWS * shx_panel_lanes(clusters->parent_count) + 3 * assign_pairs(clusters) +
           clusters->parent_count + 1;
}

static assign_work assign_begin(const shx_clusters *clusters, uint32_t probes, float *scratch) {
    size_t pairs = assign_pairs(clusters);
    assign_work work = {.kernels = shx_kernels_get(), .clusters = clusters};
    work.probes = probes < 1 ? 1 : probes > clusters->parent_count ? clusters->parent_count : probes;
    work.block_rows = pairs / work.probes / SHX_TILE_ROWS * SHX_TILE_ROWS;
    work.scores = scratch;
    work.best = work.scores + SHX_TILE_ROWS * shx_panel_lanes(clusters->parent_count);
    work.probed = (uint32_t *)(work.best + pairs);
    work.sorted = work.probed + pairs;
    work.first = work.sorted + pairs;
    assert(work.block_rows >= SHX_TILE_ROWS);
    return work;
}

/* Chooses the `probes` parents of the lowest scores, in order. */
static void assign_choose(const float *scores, uint32_t parent_count, uint32_t probes, uint32_t *ret_probed) {
    uint32_t chosen = 0;
    for (uint32_t p = 0; p < parent_count; p++) {
        if (chosen == probes && !(scores[p] < scores[ret_probed[chosen - 1]])) continue;
        uint32_t at = chosen < probes ? chosen++ : probes - 1;
        for (; at > 0 && scores[p] < scores[ret_probed[at - 1]]; at--) ret_probed[at] = ret_probed[at - 1];
        ret_probed[at] = p;
    }
}

/* Finds the parents that a tile of rows probes. */
static void assign_probe(assign_work *work, const float *const *row, size_t rows, uint32_t *ret_probed) {
    const shx_clusters *clusters = work->clusters;
    size_t lanes = shx_panel_lanes(clusters->parent_count);
    float dots[SHX_TILE_ROWS * 16];
    for (size_t panel = 0; panel < lanes; panel += 16) {
        work->kernels->dot_panel(row, rows, clusters->parent_panels + panel * clusters->dim, clusters->dim, dots);
        for (size_t r = 0; r < rows; r++) {
            float *score = work->scores + r * lanes + panel;
            for (size_t j = 0; j < 16; j++) score[j] = clusters->parent_norms[panel + j] - 2 * dots[r * 16 + j];
        }
    }
    for (size_t r = 0; r < rows; r++) {
        assign_choose(work->scores + r * lanes, clusters->parent_count, work->probes, ret_probed + r * work->probes);
    }
}

/* Sorts the pairs of `rows` rows by parent: a counting sort. */
static void assign_sort(assign_work *work, size_t rows) {
    uint32_t parent_count = work->clusters->parent_count, *first = work->first;
    memset(first, 0, (parent_count + (size_t)1) * sizeof *first);
    for (size_t i = 0; i < rows * work->probes; i++) first[work->probed[i] + 1]++;
    for (uint32_t p = 0; p < parent_count; p++) first[p + 1] += first[p];
    for (size_t i = 0; i < rows * work->probes; i++) {
        work->sorted[first[work->probed[i]]++] = (uint32_t)(i / work->probes);
    }
    memmove(first + 1, first, parent_count * sizeof *first);
    first[0] = 0;
}

/* Compares the rows that probe `parent` with its leaves. */
static void assign_visit(assign_work *work, const float *points, uint32_t parent, uint32_t *ret_leaf) {
    const shx_clusters *clusters = work->clusters;
    for (uint32_t i = work->first[parent]; i < work->first[parent + 1]; i += SHX_TILE_ROWS) {
        const uint32_t *at = work->sorted + i;
        uint32_t left = work->first[parent + 1] - i, rows = left < SHX_TILE_ROWS ? left : SHX_TILE_ROWS;
        const float *row[SHX_TILE_ROWS] = {NULL};
        shx_nearest nearest = {{0}, {0}};
        for (uint32_t r = 0; r < rows; r++) {
            row[r] = points + at[r] * clusters->dim;
            nearest.score[r] = work->best[at[r]];
            nearest.label[r] = ret_leaf[at[r]];
        }
        shx_panel_nearest(work->kernels, row, rows, clusters->leaf_panels, clusters->leaf_norms, clusters->dim,
                          clusters->first_leaf[parent], clusters->first_leaf[parent + 1], &nearest);
        for (uint32_t r = 0; r < rows; r++) {
            work->best[at[r]] = nearest.score[r];
            ret_leaf[at[r]] = nearest.label[r];
        }
    }
}

static void assign_block(assign_work *work, const float *points, size_t rows, uint32_t *ret_leaf) {
    const shx_clusters *clusters = work->clusters;
    for (size_t i = 0; i < rows; i += SHX_TILE_ROWS) {
        size_t tile = rows - i < SHX_TILE_ROWS ? rows - i : SHX_TILE_ROWS;
        const float *row[SHX_TILE_ROWS] = {NULL};
        for (size_t r = 0; r < tile; r++) row[r] = points + (i + r) * clusters->dim;
        assign_probe(work, row, tile, work->probed + i * work->probes);
    }
    for (size_t i = 0; i < rows; i++) {
        work->best[i] = INFINITY;
        ret_leaf[i] = clusters->first_leaf[work->probed[i * work->probes]];
    }
    assign_sort(work, rows);
    for (uint32_t p = 0; p < clusters->parent_count; p++) assign_visit(work, points, p, ret_leaf);
}

void shx_cluster_assign(const shx_clusters *clusters, const float *points, uint64_t count, uint32_t probes,
                        float *scratch, uint32_t *ret_leaf, float *ret_distance2) {
    assign_work work = assign_begin(clusters, probes, scratch);
    for (uint64_t i = 0; i < count; i += work.block_rows) {
        size_t rows = count - i < work.block_rows ? (size_t)(count - i) : work.block_rows;
        assign_block(&work, points + i * clusters->dim, rows, ret_leaf + i);
    }
    for (uint64_t i = 0; ret_distance2 && i < count; i++) {
        const float *leaf = clusters->leaves + ret_leaf[i] * clusters->dim;
        ret_distance2[i] = work.kernels->code_l2_squared(points + i * clusters->dim, leaf, clusters->dim);
    }
}
