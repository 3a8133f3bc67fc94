/* Byte panels: centroids as bytes, interleaved by 16, and points as rows of bytes, for kernels.score_panel: where many
** points look for the nearest of many centroids, bytes are four times as fast as floats.
**
** A centroid, less an origin near it, is rounded to -127 … 127 times a step of its own; a point to -63 … 63 times one
** of its own, held as 1 … 127 (two products of bytes then fit 16 bits). A point moves by about 1.5 % of its length, in
** a direction that has nothing to do with where centroids lie: the nearest one is found unless others are as good as
** equally far. What that costs, as a sum of squared distances against the exact one, in clusters whose radius is 1/10,
** 1/20 and 1/50 of the distance between them: 0.1, 0.6 and 4 % at 32 dimensions, 0, 0.2 and 2 % at 128; about a common
** origin, centroids would make that twice as much.
*/
#ifndef SHX_BYTE_PANELS_H
#define SHX_BYTE_PANELS_H

#include "kernels.h"

/* Bytes of the panels of `count` centroids of `dim` (a multiple of 16) dimensions, and of one panel. */
size_t shx_byte_panels_bytes(uint32_t count, size_t dim);
static inline size_t shx_byte_panel_bytes(size_t dim) { return sizeof(shx_byte_panel) + 16 * dim; }

/* Fills the panels of `count` centroids; a lane without a centroid has the score +infinity. They are rounded about the
** origin, a vector that is near them or NULL for zero, so that near centroids are told apart. A score is the squared
** distance from the centroid less that from the origin. */
void shx_byte_panels_fill(const float *centroids, uint32_t count, size_t dim, const float *origin, void *ret_panels);

/* Rounds a point: ret_row is `dim` bytes. Returns the row's step. No score is NaN, whatever the numbers are. */
float shx_byte_row(const float *point, size_t dim, uint8_t *ret_row);

#endif
