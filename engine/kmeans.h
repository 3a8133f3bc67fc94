/* Flat k-means over rows that stay where they are: the caller's array of their addresses is sorted by cluster, and
** nothing else moves. Deterministic in its arguments; the number of threads does not matter.
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

#define SHX_TILE_ROWS 6 /* rows that a kernel compares with a panel at once */

/* Centroids as kernels.dot_panel wants them: interleaved by 16, in whole panels. Owned; free with shx_panels_free. */
typedef struct shx_panels {
    size_t dim;
    uint32_t count;
    float *lanes; /* shx_panel_lanes(count) × dim */
    float *norms; /* squared, of each lane; +infinity where there is no centroid */
} shx_panels;

/* Makes room for `count` centroids. After SHX_NOMEM there is nothing to free. */
shx_status shx_panels_create(uint32_t count, size_t dim, shx_panels *ret_panels);
void shx_panels_free(shx_panels *panels);
void shx_panels_fill(shx_panels *panels, const float *centroids);

/* The nearest centroid of each of `count` rows; of those as near the first. */
void shx_panels_label(const shx_panels *panels, const float *const *rows, uint64_t count, uint32_t *ret_labels);

/* Rows of `dim` floats by their addresses, `count` < 2^32 of them; both borrowed. */
typedef struct shx_float_rows {
    const float **at;
    uint64_t count;
    size_t dim;
} shx_float_rows;

/* Writes the mean of `count` > 0 rows; `sums` is scratch of `dim` doubles. */
void shx_rows_mean(const float *const *rows, uint64_t count, size_t dim, double *sums, float *ret_mean);

/* Chooses `wanted` ≤ `count` different rows, in their order. */
void shx_rows_sample(const float *const *rows, uint64_t count, uint64_t wanted, uint64_t seed, const float **ret_rows);

/* Finds k (1 … count) centroids by Lloyd iterations from random rows: ret_centroids is k × dim. Reorders the rows. A
** centroid that loses all rows stays where it is. */
shx_status shx_kmeans_train(const shx_float_rows *rows, uint32_t k, unsigned iterations, uint64_t seed, shx_pool *pool,
                            float *ret_centroids);

/* Sorts the rows by their nearest of k centroids: those of centroid c become rows->at[ret_first[c] … ret_first[c + 1]);
** ret_first has k + 1 elements. */
shx_status shx_kmeans_group(const shx_float_rows *rows, const float *centroids, uint32_t k, shx_pool *pool,
                            uint32_t *ret_first);

#endif
