#include "graph.h"

#include "memory.h"
#include "quantizer.h"

#include <assert.h>
#include <string.h>

static_assert(SHX_GRAPH_TOP_MAX < SHX_GRAPH_ABSENT, "a layer is told from an absent node");

void shx_graph_free(shx_graph *graph) {
    shx_free_aligned(graph->memory);
    shx_free(graph->upper_at);
    memset(graph, 0, sizeof *graph);
}

static shx_status graph_check_layers(shx_graph *graph) {
    uint64_t at = 0;
    uint8_t highest = 0;
    for (uint64_t i = 0; i < graph->count; i++) {
        SHX_CHECK(graph->tops[i] <= SHX_GRAPH_TOP_MAX, shx_corrupt("layer of a node"));
        graph->upper_at[i] = (uint32_t)at;
        at += (uint64_t)graph->tops[i] * graph->m;
        SHX_CHECK(at <= graph->upper_count, shx_corrupt("upper links"));
        if (graph->tops[i] > highest) highest = graph->tops[i];
    }
    SHX_CHECK(at == graph->upper_count, shx_corrupt("upper links"));
    bool any = graph->count > 0;
    bool entered =
        any ? graph->entry < graph->count && graph->tops[graph->entry] == highest : graph->entry == SHX_GRAPH_NONE;
    return entered ? SHX_OK : shx_corrupt("entry of the graph");
}

static shx_status graph_check_links(const shx_graph *graph, uint32_t node, uint32_t layer) {
    uint32_t most;
    const uint32_t *links = shx_graph_links(graph, node, layer, &most);
    bool ended = false;
    for (uint32_t i = 0; i < most; i++) {
        if (links[i] == SHX_GRAPH_NONE) {
            ended = true;
            continue;
        }
        bool good = !ended && links[i] < graph->count && links[i] != node && graph->tops[links[i]] >= layer;
        SHX_CHECK(good, shx_corrupt("link of a node"));
    }
    return SHX_OK;
}

shx_status shx_graph_check(shx_graph *graph) {
    SHX_CHECK(graph->m >= SHX_GRAPH_M_MIN && graph->m <= SHX_GRAPH_M_MAX, shx_corrupt("m of the graph"));
    SHX_CHECK(graph->upper_count < UINT32_MAX, shx_corrupt("upper links"));
    graph->upper_at = shx_alloc_zero(graph->count, sizeof *graph->upper_at);
    SHX_CHECK(graph->upper_at, SHX_NOMEM);
    SHX_TRY(graph_check_layers(graph));
    for (uint32_t i = 0; i < graph->count; i++) {
        for (uint32_t layer = 0; layer <= graph->tops[i]; layer++) SHX_TRY(graph_check_links(graph, i, layer));
        SHX_CHECK(shx_factor_scale_usable(&graph->scales[i]), shx_corrupt("scale of a node"));
    }
    return SHX_OK;
}
