/* Byte panels: centroids as bytes, interleaved by 16, and points as rows of bytes, for kernels.score_panel: where many
** points look for the nearest of many centroids, bytes are four times as fast as floats.
**
** A centroid is rounded to -127 … 127 times a step of its own, a point to -63 … 63 times one of its own, held as 1 …
** 127 (two products of bytes then fit 16 bits). Either moves by up to half a step in each dimension, about 1 % of its
** length, in a direction that has nothing to do with any other: of two centroids the nearer one is found unless they
** are as good as equally far.
*/
#ifndef SHX_BYTE_PANELS_H
#define SHX_BYTE_PANELS_H

#include "kernels.h"

/* Bytes of the panels of `count` centroids of `dim` (a multiple of 16) dimensions, and of one panel. */
size_t shx_byte_panels_bytes(uint32_t count, size_t dim);
static inline size_t shx_byte_panel_bytes(size_t dim) { return sizeof(shx_byte_panel) + 16 * dim; }

/* Fills the panels of `count` centroids; a lane without a centroid has the score +infinity. A score
** is the squared distance less that of the point from the origin. */
void shx_byte_panels_fill(const float *centroids, uint32_t count, size_t dim, void *ret_panels);

/* Rounds a point: ret_row is `dim` bytes. Returns the row's step. No score is NaN, whatever the numbers are. */
float shx_byte_row(const float *point, size_t dim, uint8_t *ret_row);

#endif
