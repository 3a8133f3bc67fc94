/* Where the rows of a view stand: its segments, and the shards in them. For people who want to see it; nothing that
** searches asks here. Rows of the delta are in neither.
*/
#ifndef SHX_LAYOUT_H
#define SHX_LAYOUT_H

#include "index.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct shx_segment_layout {
    uint64_t id;         /* of the file (container.h) */
    uint64_t rows, dead; /* those that were deleted or superseded are among the rows */
    uint32_t shards;
    uint64_t bytes; /* of the file */
} shx_segment_layout;

typedef struct shx_shard_layout {
    uint64_t id;
    bool open; /* takes rows; else it is only emptied */
    uint64_t rows, dead;
    uint32_t segments; /* that have rows of it */
    double scatter;    /* the mean squared distance of its rows and its centroid; 0 where there are no codes */
} shx_shard_layout;

/* The segments of a view, oldest first as its base names them; shx_free. */
shx_status shx_layout_segments(const shx_view *view, shx_segment_layout **ret_segments, uint64_t *ret_count);

/* The shards of a view, ascending by id; shx_free. The overflow shard is among them when it has rows. */
shx_status shx_layout_shards(const shx_view *view, shx_shard_layout **ret_shards, uint64_t *ret_count);

#endif
