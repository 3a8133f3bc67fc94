/* Clustering: hierarchical k-means over points of the code space (two levels on a sample, then one assignment pass over
** the leaves of the nearest parents).
**
** Pure computation, deterministic in its arguments (the number of threads does not matter). Points are rows of `dim`
** floats, dim a multiple of 16.
*/
#ifndef SHX_CLUSTER_H
#define SHX_CLUSTER_H

#include "pool.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

/* Leaf centroids grouped under parents. */
typedef struct shx_clusters {
    size_t dim;
    uint32_t parent_count, leaf_count;
    float *parents;       /* parent_count × dim */
    float *leaves;        /* leaf_count × dim, grouped by parent */
    uint32_t *first_leaf; /* parent_count + 1: the leaves of parent p are [first_leaf[p], first_leaf[p+1]) */
    void *parent_panels;  /* the same centroids as bytes (byte_panels.h) */
    void *leaf_panels;    /* those of parent p, about it, from panel first_panel[p] on */
    uint32_t *first_panel;
} shx_clusters;

/* The points of a sample (1 … 2^32 - 1) and where they come from: `read` writes one, `dim` floats; from several threads
** at once, several times each. So a sample need not be in memory. */
typedef struct shx_cluster_points {
    const void *context;
    void (*read)(const void *context, uint64_t row, float *ret_point);
    uint64_t count;
    size_t dim;
} shx_cluster_points;

/* Trains on a sample so that a leaf holds about leaf_points of them (≥ 1). Empty
** leaves are dropped; leaves far over the target are split again, so that there are 10 to 40 % more of them than
** count / leaf_points (measured). Identical points may share an oversized leaf. SHX_MISUSE for an argument out of
** range. */
shx_status shx_cluster_train(const shx_cluster_points *points, uint32_t leaf_points, uint64_t seed, shx_pool *pool,
                             shx_clusters **ret_clusters);
void shx_clusters_destroy(shx_clusters *clusters);

/* The caller has moved leaves: makes what is kept of them for the kernels anew. */
void shx_clusters_follow(shx_clusters *clusters);

/* The nearest leaf of each of `count` points among the leaves of its `probes` nearest parents; nearest as far as bytes
** tell (byte_panels.h). Runs in the caller's thread; call it from a pool with a range of points each, the larger the
** faster (up to a thousand). `scratch` is allocated memory of shx_cluster_scratch_floats(clusters) floats. */
size_t shx_cluster_scratch_floats(const shx_clusters *clusters);
void shx_cluster_assign(const shx_clusters *clusters, const float *points, uint64_t count, uint32_t probes,
                        float *scratch, uint32_t *ret_leaf);

/* The parts that points are split into, in memory of the caller. */
typedef struct shx_cluster_parts {
    uint32_t most;    /* asked for, ≥ 2 */
    uint32_t count;   /* parts made, none of them empty: 1 when all points are identical */
    float *centroids; /* most × dim: of the parts */
    uint32_t *part;   /* of each point */
} shx_cluster_parts;

/* Splits `count` points by k-means. Identical points stay together; otherwise the smaller side of each cut in two is at
** least a quarter, or as much as the median gives. SHX_INTERRUPT when the progress (NULL: none) says so, SHX_MISUSE for
** an argument out of range; on failure parts->count is as it was. */
shx_status shx_cluster_split(const float *points, uint32_t count, size_t dim, uint64_t seed, shx_progress *progress,
                             shx_cluster_parts *parts);

#endif
