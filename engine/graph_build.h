/* Making and changing a graph (graph.h): insert, delete, renumber, and code it for searching.
**
** Insertion is that of the paper: a greedy way down, a beam of `ef` on each layer, neighbours chosen so that no two of
** them are nearer to each other than to the node; the places that are left on layer 0 are filled with the nearest of
** those passed over, since a block costs the same full or not. Deletion repairs in one pass: a node that loses
** neighbours chooses again among the rest and the neighbours of the lost ones (as FreshDiskANN does).
*/
#ifndef SHX_GRAPH_BUILD_H
#define SHX_GRAPH_BUILD_H

#include "centroid_codes.h"
#include "graph.h"
#include "pool.h"

typedef struct shx_graph_builder shx_graph_builder;

/* A graph without nodes over centroids, which must outlive the builder. m: SHX_GRAPH_M_MIN … SHX_GRAPH_M_MAX. */
shx_status shx_graph_builder_create(const shx_centroids *centroids, uint32_t m, uint32_t ef,
                                    shx_graph_builder **ret_builder);

/* The nodes of a graph, moved to another table: to[i] is the new position of node i, or SHX_GRAPH_NONE: it is deleted.
** The others keep their order. `centroids` are those of the graph, `new_centroids` those of the new table. */
shx_status shx_graph_builder_follow(const shx_graph *graph, const shx_centroids *centroids, const uint32_t *to,
                                    uint32_t ef, const shx_centroids *new_centroids, shx_graph_builder **ret_builder);
void shx_graph_builder_destroy(shx_graph_builder *builder);

/* Whether a node is present. */
bool shx_graph_builder_has(const shx_graph_builder *builder, uint32_t node);

/* Inserts an absent node. The key decides on its layer. */
shx_status shx_graph_builder_insert(shx_graph_builder *builder, uint32_t node, uint64_t key);

/* Deletes the present nodes that `gone` marks (one byte a node). */
shx_status shx_graph_builder_delete(shx_graph_builder *builder, const uint8_t *gone);

/* Links what cannot be reached from the entry along layer 0 (islands of equal centroids, what deletions cut off) from
** the nearest node that can. Due before finishing. */
shx_status shx_graph_builder_join(shx_graph_builder *builder);

/* The finished graph, coded and checked. All nodes must be present; the builder stays as it is. */
shx_status shx_graph_builder_finish(const shx_graph_builder *builder, shx_pool *pool, shx_graph *ret_graph);

#endif
