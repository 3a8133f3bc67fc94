/* The nearest leaf of many points, by bytes. Rows are taken in blocks; the (row, probed parent) pairs of a block are
** sorted by parent, so that the rows which probe the same parent meet its leaves in tiles, one pass over the panels for
** six rows.
*/
#include "cluster.h"

#include "byte_panels.h"
#include "grouping.h"
#include "kmeans.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Rows in a block, and pairs: enough that the rows of each parent fill tiles, little enough for the cache. */
#define ASSIGN_BLOCK_ROWS (SHX_TILE_ROWS * 171)
#define ASSIGN_BLOCK_PAIRS (SHX_TILE_ROWS * ASSIGN_BLOCK_ROWS)

/* The caller's scratch, cut up. */
typedef struct assign_work {
    const shx_kernels *kernels;
    const shx_clusters *clusters;
    uint32_t probes;
    size_t block_rows; /* rows in a block, a multiple of the tile */
    float *scores;     /* of a tile of rows × the parents, or the leaves of one (whole panels) */
    float *best;       /* of each row of the block */
    float *steps;      /* of each row of the block, … */
    uint8_t *bytes;    /* … which are `dim` bytes each */
    uint32_t *probed;  /* block_rows × probes parents: the pairs */
    float *distance2;  /* of each pair */
    uint32_t *sorted;  /* the pairs, by parent */
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
    return SHX_TILE_ROWS * assign_lanes(clusters) + ASSIGN_BLOCK_ROWS * (2 + clusters->dim / 4) +
           3 * assign_pairs(clusters) + clusters->parent_count + 1;
}

static assign_work assign_begin(const shx_clusters *clusters, uint32_t probes, float *scratch) {
    size_t pairs = assign_pairs(clusters);
    assign_work work = {.kernels = shx_kernels_get(), .clusters = clusters};
    work.probes = probes < 1 ? 1 : probes > clusters->parent_count ? clusters->parent_count : probes;
    work.block_rows = pairs / work.probes / SHX_TILE_ROWS * SHX_TILE_ROWS;
    if (work.block_rows > ASSIGN_BLOCK_ROWS) work.block_rows = ASSIGN_BLOCK_ROWS;
    work.scores = scratch;
    work.best = work.scores + SHX_TILE_ROWS * assign_lanes(clusters);
    work.steps = work.best + ASSIGN_BLOCK_ROWS;
    work.bytes = (uint8_t *)(work.steps + ASSIGN_BLOCK_ROWS);
    work.probed = (uint32_t *)(work.steps + ASSIGN_BLOCK_ROWS * (1 + clusters->dim / 4));
    work.distance2 = (float *)(work.probed + pairs);
    work.sorted = (uint32_t *)(work.distance2 + pairs);
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

/* Finds the parents that the rows of a tile, from `first` on, probe, and how far they are: exactly, since leaves of
** different parents are compared by it. */
static void assign_probe(assign_work *work, const float *points, size_t first, const assign_tile *tile) {
    const shx_clusters *clusters = work->clusters;
    size_t lanes = shx_panel_lanes(clusters->parent_count), dim = clusters->dim;
    assign_score(work, tile, clusters->parent_panels, clusters->parent_count);
    for (size_t r = 0; r < tile->rows; r++) {
        const float *point = points + (first + r) * dim;
        uint32_t *probed = work->probed + (first + r) * work->probes;
        float *distance2 = work->distance2 + (first + r) * work->probes;
        assign_choose(work->scores + r * lanes, clusters->parent_count, work->probes, probed);
        for (uint32_t i = 0; i < work->probes; i++) {
            distance2[i] = work->kernels->code_l2_squared(point, clusters->parents + probed[i] * dim, dim);
        }
    }
}

static void assign_add_row(const assign_work *work, size_t row, assign_tile *tile) {
    tile->row[tile->rows] = work->bytes + row * work->clusters->dim;
    tile->step[tile->rows++] = work->steps[row];
}

/* Compares the rows that probe `parent` with its leaves. */
static void assign_visit(assign_work *work, uint32_t parent, uint32_t *ret_leaf) {
    const shx_clusters *clusters = work->clusters;
    const uint8_t *panels = clusters->leaf_panels;
    panels += clusters->first_panel[parent] * shx_byte_panel_bytes(clusters->dim);
    uint32_t first = clusters->first_leaf[parent], count = clusters->first_leaf[parent + 1] - first;
    uint32_t end = work->first[parent + 1];
    size_t lanes = shx_panel_lanes(count);
    for (uint32_t i = work->first[parent]; i < end; i += SHX_TILE_ROWS) {
        assign_tile tile = {.rows = 0};
        for (uint32_t j = i; j < end && j < i + SHX_TILE_ROWS; j++) {
            assign_add_row(work, work->sorted[j] / work->probes, &tile);
        }
        assign_score(work, &tile, panels, count);
        for (size_t r = 0; r < tile.rows; r++) {
            const float *scores = work->scores + r * lanes;
            size_t lowest = work->kernels->lowest(scores, lanes);
            uint32_t pair = work->sorted[i + r], row = pair / work->probes;
            float distance2 = work->distance2[pair] + scores[lowest];
            if (!(distance2 < work->best[row])) continue;
            work->best[row] = distance2;
            ret_leaf[row] = first + (uint32_t)lowest;
        }
    }
}

static void assign_block(assign_work *work, const float *points, size_t rows, uint32_t *ret_leaf) {
    const shx_clusters *clusters = work->clusters;
    size_t dim = clusters->dim;
    for (size_t first = 0; first < rows; first += SHX_TILE_ROWS) {
        assign_tile tile = {.rows = 0};
        for (size_t i = first; i < rows && i < first + SHX_TILE_ROWS; i++) {
            work->steps[i] = shx_byte_row(points + i * dim, dim, work->bytes + i * dim);
            assign_add_row(work, i, &tile);
        }
        assign_probe(work, points, first, &tile);
    }
    for (size_t i = 0; i < rows; i++) {
        work->best[i] = INFINITY;
        ret_leaf[i] = clusters->first_leaf[work->probed[i * work->probes]];
    }
    (void)shx_group(work->probed, rows * work->probes, clusters->parent_count, NULL, work->sorted, work->first);
    for (uint32_t p = 0; p < clusters->parent_count; p++) assign_visit(work, p, ret_leaf);
}

void shx_cluster_assign(const shx_clusters *clusters, const float *points, uint64_t count, uint32_t probes,
                        float *scratch, uint32_t *ret_leaf) {
    assign_work work = assign_begin(clusters, probes, scratch);
    for (uint64_t i = 0; i < count; i += work.block_rows) {
        size_t rows = count - i < work.block_rows ? (size_t)(count - i) : work.block_rows;
        assign_block(&work, points + i * clusters->dim, rows, ret_leaf + i);
    }
}
