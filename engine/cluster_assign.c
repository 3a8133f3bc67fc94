/* The nearest leaf of many points, by bytes. Rows are taken in blocks; the (row, probed parent) pairs of a block are
** sorted by parent, so that the rows which probe the same parent meet its leaves in tiles, one pass over the panels for
** six rows.
*/
#include "cluster.h"

#include "byte_panels.h"
#include "kmeans.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Pairs in a block: enough that the rows of each parent fill tiles, little enough for the cache. */
#define ASSIGN_BLOCK_PAIRS 4096

/* The caller's scratch, cut up. */
typedef struct assign_work {
    const shx_kernels *kernels;
    const shx_clusters *clusters;
    uint32_t probes;
    size_t block_rows; /* rows in a block, a multiple of the tile */
    float *scores;     /* of a tile of rows × the parents, or the leaves of one (whole panels) */
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

/* The most centroids that a tile is compared with at once, in whole panels. */
static size_t assign_lanes(const shx_clusters *clusters) {
    uint32_t most = clusters->parent_count;
    for (uint32_t p = 0; p < clusters->parent_count; p++) {
        uint32_t leaves = clusters->first_leaf[p + 1] - clusters->first_leaf[p];
        if (leaves > most) most = leaves;
    }
    return shx_panel_lanes(most);
}

size_t shx_cluster_scratch_floats(const shx_clusters *clusters) {
    static_assert(sizeof(float) == sizeof(uint32_t), "scratch holds both");
    return SHX_TILE_ROWS * assign_lanes(clusters) + 3 * assign_pairs(clusters) +
           clusters->parent_count + 1;
}

static assign_work assign_begin(const shx_clusters *clusters, uint32_t probes, float *scratch) {
    size_t pairs = assign_pairs(clusters);
    assign_work work = {.kernels = shx_kernels_get(), .clusters = clusters};
    work.probes = probes < 1 ? 1 : probes > clusters->parent_count ? clusters->parent_count : probes;
    work.block_rows = pairs / work.probes / SHX_TILE_ROWS * SHX_TILE_ROWS;
    work.scores = scratch;
    work.best = work.scores + SHX_TILE_ROWS * assign_lanes(clusters);
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

/* Up to six rows that are compared with the same panels. */
typedef struct assign_tile {
    const uint8_t *row[SHX_TILE_ROWS];
    float step[SHX_TILE_ROWS];
    size_t rows;
} assign_tile;

/* Scores a tile against `count` centroids of whole panels: rows of shx_panel_lanes(count) scores. */
static void assign_score(const assign_work *work, const assign_tile *tile, const uint8_t *panels, uint32_t count) {
    size_t lanes = shx_panel_lanes(count), dim = work->clusters->dim;
    for (size_t first = 0; first < lanes; first += 16, panels += shx_byte_panel_bytes(dim)) {
        work->kernels->score_panel(tile->row, tile->step, tile->rows, (const void *)panels, dim, work->scores + first,
                                   lanes);
    }
}

/* Finds the parents that a tile of rows probes. */
static void assign_probe(assign_work *work, const assign_tile *tile, uint32_t *ret_probed) {
    const shx_clusters *clusters = work->clusters;
    size_t lanes = shx_panel_lanes(clusters->parent_count);
    assign_score(work, tile, clusters->parent_panels, clusters->parent_count);
    for (size_t r = 0; r < tile->rows; r++) {
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
static void assign_visit(assign_work *work, const uint8_t *rows, const float *steps, uint32_t parent,
                         uint32_t *ret_leaf) {
    const shx_clusters *clusters = work->clusters;
    size_t panel_bytes = shx_byte_panel_bytes(clusters->dim);
    const uint8_t *panels = (const uint8_t *)clusters->leaf_panels + clusters->first_panel[parent] * panel_bytes;
    uint32_t first = clusters->first_leaf[parent], count = clusters->first_leaf[parent + 1] - first;
    size_t lanes = shx_panel_lanes(count);
    for (uint32_t i = work->first[parent]; i < work->first[parent + 1]; i += SHX_TILE_ROWS) {
        const uint32_t *at = work->sorted + i;
        uint32_t left = work->first[parent + 1] - i;
        assign_tile tile = {.rows = left < SHX_TILE_ROWS ? left : SHX_TILE_ROWS};
        for (size_t r = 0; r < tile.rows; r++) {
            tile.row[r] = rows + at[r] * clusters->dim;
            tile.step[r] = steps[at[r]];
        }
        assign_score(work, &tile, panels, count);
        for (size_t r = 0; r < tile.rows; r++) {
            const float *scores = work->scores + r * lanes;
            size_t lowest = work->kernels->lowest(scores, lanes);
            if (!(scores[lowest] < work->best[at[r]])) continue;
            work->best[at[r]] = scores[lowest];
            ret_leaf[at[r]] = first + (uint32_t)lowest;
        }
    }
}

static void assign_block(assign_work *work, const uint8_t *rows, const float *steps, size_t count,
                         uint32_t *ret_leaf) {
    const shx_clusters *clusters = work->clusters;
    for (size_t i = 0; i < count; i += SHX_TILE_ROWS) {
        assign_tile tile = {.rows = count - i < SHX_TILE_ROWS ? count - i : SHX_TILE_ROWS};
        for (size_t r = 0; r < tile.rows; r++) {
            tile.row[r] = rows + (i + r) * clusters->dim;
            tile.step[r] = steps[i + r];
        }
        assign_probe(work, &tile, work->probed + i * work->probes);
    }
    for (size_t i = 0; i < count; i++) {
        work->best[i] = INFINITY;
        ret_leaf[i] = clusters->first_leaf[work->probed[i * work->probes]];
    }
    assign_sort(work, count);
    for (uint32_t p = 0; p < clusters->parent_count; p++) assign_visit(work, rows, steps, p, ret_leaf);
}

void shx_cluster_assign(const shx_clusters *clusters, const uint8_t *rows, const float *steps, uint64_t count,
                        uint32_t probes, float *scratch, uint32_t *ret_leaf) {
    assign_work work = assign_begin(clusters, probes, scratch);
    for (uint64_t i = 0; i < count; i += work.block_rows) {
        size_t block = count - i < work.block_rows ? (size_t)(count - i) : work.block_rows;
        assign_block(&work, rows + i * clusters->dim, steps + i, block, ret_leaf + i);
    }
}
