/* Flat k-means over rows that stay where they are: the caller's array of row pointers is sorted by cluster, and nothing
** else moves. Deterministic in its arguments; the number of threads does not matter.
*/
#ifndef SHX_KMEANS_H
#define SHX_KMEANS_H

#include "kernels.h"
#include "pool.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

/* `count` rounded up to whole panels of 16. */
size_t shx_panel_lanes(uint32_t count);

/* Interleaves `count` centroids by 16 for kernels.dot_panel: ret_panels is shx_panel_lanes(count) × dim floats,
** ret_norms shx_panel_lanes(count), +infinity where there is no centroid. */
void shx_panel_fill(const float *centroids, uint32_t count, size_t dim, float *ret_panels, float *ret_norms);

/* The state of the search for the nearest centroid of up to 6 rows; score = |centroid|² - 2 <centroid, row>. */
#define SHX_TILE_ROWS 6
typedef struct shx_nearest {
    float score[SHX_TILE_ROWS];
    uint32_t label[SHX_TILE_ROWS];
} shx_nearest;

/* Compares rows (1 … 6) with the centroids [begin, end); of equal scores the first stays. */
void shx_panel_nearest(const shx_kernels *kernels, const float *const *row, size_t rows, const float *panels,
                       const float *norms, size_t dim, uint32_t begin, uint32_t end, shx_nearest *nearest);

/* Writes the mean of `count` > 0 rows; `sums` is scratch of `dim` doubles. */
void shx_rows_mean(const float *const *rows, uint64_t count, size_t dim, double *sums, float *ret_mean);

/* Chooses `wanted` ≤ `count` different rows, in their order. */
void shx_rows_sample(const float *const *rows, uint64_t count, uint64_t wanted, uint64_t seed, const float **ret_rows);

/* Finds k (1 … count) centroids by Lloyd iterations from random rows: ret_centroids is k × dim. Reorders the rows. A
** centroid that loses all rows stays where it is. */
shx_status shx_kmeans_train(const float **rows, uint64_t count, size_t dim, uint32_t k, unsigned iterations,
                            uint64_t seed, shx_pool *pool, float *ret_centroids);

/* Sorts the rows by their nearest of k centroids: those of centroid c become rows[ret_first[c] … ret_first[c + 1]);
** ret_first has k + 1 elements. */
shx_status shx_kmeans_group(const float **rows, uint64_t count, size_t dim, const float *centroids, uint32_t k,
                            shx_pool *pool, uint64_t *ret_first);

#endif
