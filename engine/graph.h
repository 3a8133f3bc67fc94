/* The graph: a hierarchical navigable small world over centroids (Malkov & Yashunin, "Efficient and robust approximate
** nearest neighbor search using HNSW graphs", 2018).
**
** A node is a row of a table of centroids, or absent. Every node is on layer 0, with up to 2 m links there; one in m
** is on layer 1 as well, one in m² on layer 2 …, with up to m links on each. The layer comes from a hash of the node's
** key, so the same table gives the same graph.
**
** The neighbours of a node on layer 0 are coded about it, like the postings of one run: one block kernel bounds the
** distances of 32 of them, and only those that may matter are measured (as in SymphonyQG, SIGMOD 2025).
*/
#ifndef SHX_GRAPH_H
#define SHX_GRAPH_H

#include "kernels.h"
#include "status.h"

#include <stdbool.h>
#include <stdint.h>

#define SHX_GRAPH_M_MIN 4
#define SHX_GRAPH_M_MAX 64
#define SHX_GRAPH_M 16       /* default: 2 m links fill one block */
#define SHX_GRAPH_EF 100     /* default beam of an insertion */
#define SHX_GRAPH_TOP_MAX 15 /* the highest layer */
#define SHX_GRAPH_ABSENT 255 /* in tops */
#define SHX_GRAPH_NONE UINT32_MAX

/* A graph to search. Pointers into a mapped file or into `memory`. */
typedef struct shx_graph {
    uint64_t count; /* rows of the table */
    uint32_t code_dim, m;
    uint32_t entry;                 /* a node of the highest layer, or SHX_GRAPH_NONE when there is none */
    uint64_t upper_count;           /* elements of upper */
    const uint8_t *tops;            /* per node: its highest layer, or SHX_GRAPH_ABSENT */
    const uint32_t *links;          /* 2 m per node: its neighbours on layer 0, then SHX_GRAPH_NONE */
    const uint32_t *upper;          /* per node in order, top × m: the neighbours on layers 1 … top, likewise */
    const shx_factor_scale *scales; /* per node */
    const uint8_t *blocks;          /* per node: scan codes of its neighbours, in shx_blocks_of(2 m) blocks */
    uint32_t *upper_at;             /* per node: where its part of upper starts; owned */
    void *memory;
} shx_graph;

/* The neighbours of a node that is on this layer; *ret_most: how many there may be. */
static inline const uint32_t *shx_graph_links(const shx_graph *graph, uint32_t node, uint32_t layer,
                                              uint32_t *ret_most) {
    *ret_most = layer == 0 ? 2 * graph->m : graph->m;
    if (layer == 0) return graph->links + (uint64_t)node * 2 * graph->m;
    return graph->upper + graph->upper_at[node] + (uint64_t)(layer - 1) * graph->m;
}

/* Checks what stands in a file (count, code_dim, m, entry, upper_count and all arrays set and of the right size) and
** finds upper_at: every link leads to another node that is on its layer, every node of the table is present, and the
** entry is on the highest layer. A graph that is checked can be walked without bounds. */
shx_status shx_graph_check(shx_graph *graph);
void shx_graph_free(shx_graph *graph);

#endif
