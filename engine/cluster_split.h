/* Splitting rows in two, and again, until the parts are small or many enough. The public shx_cluster_split (cluster.h)
** and the training both stand on it.
*/
#ifndef SHX_CLUSTER_SPLIT_H
#define SHX_CLUSTER_SPLIT_H

#include "kmeans.h"
#include "progress.h"
#include "status.h"

#include <stdbool.h>
#include <stdint.h>

/* Rows [first, first + count) of the array that was divided. */
typedef struct shx_part {
    uint64_t first, count;
    bool whole; /* no two different rows: it cannot be split */
} shx_part;

/* All parts, in memory of the caller with room for `most`. */
typedef struct shx_parts {
    shx_part *items;
    uint32_t count, most;
} shx_parts;

/* Divides the rows (reordering them) by splitting the largest part in two while it has more than `size_max` rows and
** there are fewer than parts->most. At least one part, none empty. Identical rows stay together. SHX_INTERRUPT when the
** progress (NULL: none) says so: then parts->count is as it was. */
shx_status shx_cluster_divide(const shx_float_rows *rows, uint64_t size_max, uint64_t seed, shx_progress *progress,
                              shx_parts *parts);

#endif
