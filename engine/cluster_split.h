/* Splitting rows in two, and again, until the parts are small or many enough. The public shx_cluster_split (cluster.h)
** and the training both stand on it.
*/
#ifndef SHX_CLUSTER_SPLIT_H
#define SHX_CLUSTER_SPLIT_H

#include "progress.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows [first, first + count) of the array that was divided. */
typedef struct shx_part {
    uint64_t first, count;
    bool whole; /* no two different rows: it cannot be split */
} shx_part;

/* Divides the rows (reordering them) by splitting the largest part in two while it has more than `size_max` rows and
** there are fewer than `parts_max`. ret_parts has room for parts_max; at least one part, none empty. Identical rows
** stay together. Checks the progress (NULL: none) now and then. */
shx_status shx_cluster_divide(const float **rows, uint64_t count, size_t dim, uint64_t size_max, uint32_t parts_max,
                              uint64_t seed, shx_progress *progress, shx_part *ret_parts,
                              uint32_t *ret_part_count);

#endif
