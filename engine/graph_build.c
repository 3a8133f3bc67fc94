#include "graph_build.h"

#include "bytes.h"
#include "heap.h"
#include "memory.h"
#include "quantizer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* More candidates than a node can have: its own neighbours and those of lost ones, the nearest of them. */
#define GRAPH_CANDIDATES_MAX 512

#define GRAPH_JOIN_PASSES 8 /* a pass may cut off what another link held */

struct shx_graph_builder {
    shx_centroids centroids;
    uint32_t m, ef, entry;
    uint8_t *tops;
    uint32_t *links;
    uint32_t *upper_at; /* a deleted node's part of upper is left unused until the graph is finished */
    uint32_t *upper;
    uint64_t upper_count, upper_capacity;

    uint32_t *visited;  /* per node: the last visit (of a beam or a repair) that met it */
    uint32_t visits;
    uint64_t *frontier; /* keys to expand, nearest on top */
    uint64_t *beam;     /* complements of the ef nearest keys, the farthest on top */
    uint64_t frontier_count, frontier_capacity, beam_count;
};

/* ---- small parts ---- */

/* How many neighbours a node may have on a layer. */
static uint32_t graph_most(const shx_graph_builder *builder, uint32_t layer) {
    return layer == 0 ? 2 * builder->m : builder->m;
}

static uint32_t *graph_list(const shx_graph_builder *builder, uint32_t node, uint32_t layer, uint32_t *ret_most) {
    *ret_most = graph_most(builder, layer);
    if (layer == 0) return builder->links + (uint64_t)node * 2 * builder->m;
    return builder->upper + builder->upper_at[node] + (uint64_t)(layer - 1) * builder->m;
}

static const float *graph_point(const shx_graph_builder *builder, uint32_t node) {
    return shx_centroid_at(&builder->centroids, node);
}

static float graph_distance2(const shx_graph_builder *builder, uint32_t a, uint32_t b) {
    uint32_t code_dim = builder->centroids.code_dim;
    return shx_kernels_get()->code_l2_squared(graph_point(builder, a), graph_point(builder, b), code_dim);
}

static uint64_t graph_key(const shx_graph_builder *builder, uint32_t from, uint32_t node) {
    return shx_heap_key(graph_distance2(builder, from, node), node);
}

bool shx_graph_builder_has(const shx_graph_builder *builder, uint32_t node) {
    return builder->tops[node] != SHX_GRAPH_ABSENT;
}

static int graph_compare_keys(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* ---- life ---- */

shx_status shx_graph_builder_create(const shx_centroids *centroids, uint32_t m, uint32_t ef,
                                    shx_graph_builder **ret_builder) {
    uint64_t count = centroids->count;
    assert(m >= SHX_GRAPH_M_MIN && m <= SHX_GRAPH_M_MAX && ef > 0 && count < SHX_GRAPH_NONE);
    shx_graph_builder *builder = shx_alloc_zero(1, sizeof *builder);
    SHX_CHECK(builder, SHX_NOMEM);
    *builder = (shx_graph_builder){
        .centroids = *centroids, .m = m, .ef = ef > 2 * m ? ef : 2 * m, .entry = SHX_GRAPH_NONE};
    builder->tops = shx_alloc(count);
    builder->links = shx_alloc(count * 2 * m * sizeof *builder->links);
    builder->upper_at = shx_alloc_zero(count, sizeof *builder->upper_at);
    builder->visited = shx_alloc_zero(count, sizeof *builder->visited);
    builder->beam = shx_alloc_zero((uint64_t)builder->ef + 1, sizeof *builder->beam);
    if (!builder->tops || !builder->links || !builder->upper_at || !builder->visited || !builder->beam) {
        shx_graph_builder_destroy(builder);
        return SHX_NOMEM;
    }
    memset(builder->tops, SHX_GRAPH_ABSENT, count);
    memset(builder->links, 0xff, count * 2 * m * sizeof *builder->links);
    *ret_builder = builder;
    return SHX_OK;
}

void shx_graph_builder_destroy(shx_graph_builder *builder) {
    if (!builder) return;
    shx_free(builder->tops);
    shx_free(builder->links);
    shx_free(builder->upper_at);
    shx_free(builder->upper);
    shx_free(builder->visited);
    shx_free(builder->frontier);
    shx_free(builder->beam);
    shx_free(builder);
}

/* Makes a node present, without links. */
static shx_status graph_appear(shx_graph_builder *builder, uint32_t node, uint8_t top) {
    uint64_t needed = builder->upper_count + (uint64_t)top * builder->m;
    SHX_CHECK(needed < UINT32_MAX, SHX_FULL);
    SHX_TRY(shx_grow((void **)&builder->upper, &builder->upper_capacity, needed, sizeof *builder->upper));
    builder->upper_at[node] = (uint32_t)builder->upper_count;
    if (top > 0) memset(builder->upper + builder->upper_count, 0xff, (size_t)top * builder->m * sizeof(uint32_t));
    builder->upper_count = needed;
    builder->tops[node] = top;
    return SHX_OK;
}

/* ---- searching while building ---- */

/* The nearest node to `node` that a greedy walk from `from` on one layer finds. */
static uint32_t graph_walk(const shx_graph_builder *builder, uint32_t node, uint32_t from, uint32_t layer) {
    uint64_t best = graph_key(builder, node, from);
    for (uint64_t before = best + 1; before != best;) {
        uint32_t most;
        const uint32_t *list = graph_list(builder, (uint32_t)best, layer, &most);
        before = best;
        for (uint32_t i = 0; i < most && list[i] != SHX_GRAPH_NONE; i++) {
            uint64_t key = list[i] == node ? UINT64_MAX : graph_key(builder, node, list[i]);
            if (key < best) best = key;
        }
    }
    return (uint32_t)best;
}

static shx_status graph_meet(shx_graph_builder *builder, uint32_t node, uint32_t met) {
    if (builder->visited[met] == builder->visits) return SHX_OK;
    builder->visited[met] = builder->visits;
    uint64_t key = graph_key(builder, node, met);
    if (builder->beam_count == builder->ef && key > ~builder->beam[0]) return SHX_OK;
    SHX_TRY(shx_grow((void **)&builder->frontier, &builder->frontier_capacity, builder->frontier_count + 1,
                     sizeof *builder->frontier));
    shx_heap_push(builder->frontier, &builder->frontier_count, key);
    shx_heap_push(builder->beam, &builder->beam_count, ~key);
    if (builder->beam_count > builder->ef) shx_heap_pop(builder->beam, &builder->beam_count);
    return SHX_OK;
}

/* Forgets which nodes were met, but for `node`. */
static void graph_start_visit(shx_graph_builder *builder, uint32_t node) {
    if (++builder->visits == 0) {
        memset(builder->visited, 0, builder->centroids.count * sizeof *builder->visited);
        builder->visits = 1;
    }
    builder->visited[node] = builder->visits;
}

/* Fills builder->beam with the nodes near `node` on a layer, as keys sorted from the nearest on. */
static shx_status graph_search_layer(shx_graph_builder *builder, uint32_t node, uint32_t from, uint32_t layer) {
    builder->beam_count = builder->frontier_count = 0;
    graph_start_visit(builder, node);
    SHX_TRY(graph_meet(builder, node, from));
    while (builder->frontier_count > 0) {
        uint64_t key = shx_heap_pop(builder->frontier, &builder->frontier_count);
        if (builder->beam_count == builder->ef && key > ~builder->beam[0]) break;
        uint32_t most;
        const uint32_t *list = graph_list(builder, (uint32_t)key, layer, &most);
        for (uint32_t i = 0; i < most && list[i] != SHX_GRAPH_NONE; i++) SHX_TRY(graph_meet(builder, node, list[i]));
    }
    for (uint64_t i = 0; i < builder->beam_count; i++) builder->beam[i] = ~builder->beam[i];
    qsort(builder->beam, builder->beam_count, sizeof *builder->beam, graph_compare_keys);
    return SHX_OK;
}

/* ---- neighbours ---- */

/* A candidate is hidden by one chosen before that is nearer to it than the node is, or that stands at the same point:
** a crowd of equal centroids must not take all places. */
static bool graph_hidden(const shx_graph_builder *builder, uint64_t key, const uint32_t *list, uint32_t chosen) {
    for (uint32_t i = 0; i < chosen; i++) {
        float distance2 = graph_distance2(builder, (uint32_t)key, list[i]);
        if (distance2 == 0 || distance2 < shx_heap_distance(key)) return true;
    }
    return false;
}

/* Chooses up to `wanted` of `count` candidates (sorted keys, seen from one node) that are not hidden; on layer 0 the
** nearest of the others fill the places that are left of these. The rest of the list stays empty. */
static void graph_choose(const shx_graph_builder *builder, const uint64_t *keys, uint32_t count, uint32_t wanted,
                         uint32_t layer, uint32_t *list) {
    uint32_t chosen = 0, passed_count = 0, passed[2 * SHX_GRAPH_M_MAX];
    for (uint32_t i = 0; i < count && chosen < wanted; i++) {
        uint32_t candidate = (uint32_t)keys[i];
        if (!graph_hidden(builder, keys[i], list, chosen)) {
            list[chosen++] = candidate;
        } else if (passed_count < 2 * SHX_GRAPH_M_MAX) {
            passed[passed_count++] = candidate;
        }
    }
    for (uint32_t i = 0; layer == 0 && i < passed_count && chosen < wanted; i++) list[chosen++] = passed[i];
    for (uint32_t i = chosen; i < graph_most(builder, layer); i++) list[i] = SHX_GRAPH_NONE;
}

/* Adds `other` to the neighbours of `node`; of a full list the best stay. */
static void graph_link(shx_graph_builder *builder, uint32_t node, uint32_t other, uint32_t layer) {
    uint64_t keys[2 * SHX_GRAPH_M_MAX + 1];
    uint32_t most, count = 0;
    uint32_t *list = graph_list(builder, node, layer, &most);
    while (count < most && list[count] != SHX_GRAPH_NONE) {
        if (list[count++] == other) return;
    }
    if (count < most) {
        list[count] = other;
        return;
    }
    for (uint32_t i = 0; i < count; i++) keys[i] = graph_key(builder, node, list[i]);
    keys[count++] = graph_key(builder, node, other);
    qsort(keys, count, sizeof *keys, graph_compare_keys);
    graph_choose(builder, keys, count, most, layer, list);
}

/* One in m nodes is on layer 1, one in m² on layer 2 … */
static uint8_t graph_top_of(const shx_graph_builder *builder, uint64_t key) {
    uint8_t bytes[sizeof key], top = 0;
    shx_put64(bytes, key);
    for (uint64_t rest = shx_hash64(bytes, sizeof bytes, builder->m); rest % builder->m == 0; rest /= builder->m) {
        if (++top == SHX_GRAPH_TOP_MAX) break;
    }
    return top;
}

static shx_status graph_connect(shx_graph_builder *builder, uint32_t node, uint8_t top) {
    uint32_t nearest = builder->entry, highest = builder->tops[nearest];
    for (uint32_t layer = highest; layer > top; layer--) nearest = graph_walk(builder, node, nearest, layer);
    for (uint32_t above = (highest < top ? highest : top) + 1; above > 0; above--) {
        uint32_t layer = above - 1, most;
        SHX_TRY(graph_search_layer(builder, node, nearest, layer));
        if (builder->beam_count == 0) continue;
        nearest = (uint32_t)builder->beam[0];
        uint32_t *list = graph_list(builder, node, layer, &most);
        graph_choose(builder, builder->beam, (uint32_t)builder->beam_count, builder->m, layer, list);
        for (uint32_t i = 0; i < most && list[i] != SHX_GRAPH_NONE; i++) graph_link(builder, list[i], node, layer);
    }
    return SHX_OK;
}

shx_status shx_graph_builder_insert(shx_graph_builder *builder, uint32_t node, uint64_t key) {
    assert(node < builder->centroids.count && !shx_graph_builder_has(builder, node));
    uint8_t top = graph_top_of(builder, key);
    SHX_TRY(graph_appear(builder, node, top));
    bool first = builder->entry == SHX_GRAPH_NONE;
    if (!first) SHX_TRY(graph_connect(builder, node, top));
    if (first || top > builder->tops[builder->entry]) builder->entry = node;
    return SHX_OK;
}

/* ---- deleting ---- */

/* Chooses new neighbours for a node that loses some: among those that stay and the lost ones' own. */
static shx_status graph_repair(shx_graph_builder *builder, const uint8_t *gone, uint32_t node, uint32_t layer) {
    uint64_t keys[GRAPH_CANDIDATES_MAX];
    uint32_t most, count = 0, lost = 0;
    uint32_t *list = graph_list(builder, node, layer, &most);
    graph_start_visit(builder, node);
    for (uint32_t i = 0; i < most && list[i] != SHX_GRAPH_NONE; i++) {
        builder->visited[list[i]] = builder->visits;
        lost += gone[list[i]];
        if (!gone[list[i]]) keys[count++] = graph_key(builder, node, list[i]);
    }
    if (lost == 0) return SHX_OK;
    for (uint32_t i = 0; i < most && list[i] != SHX_GRAPH_NONE; i++) {
        uint32_t reach;
        const uint32_t *others = graph_list(builder, list[i], layer, &reach);
        for (uint32_t j = 0; gone[list[i]] && j < reach && others[j] != SHX_GRAPH_NONE; j++) {
            if (gone[others[j]] || builder->visited[others[j]] == builder->visits) continue;
            if (count == GRAPH_CANDIDATES_MAX) break;
            builder->visited[others[j]] = builder->visits;
            keys[count++] = graph_key(builder, node, others[j]);
        }
    }
    qsort(keys, count, sizeof *keys, graph_compare_keys);
    graph_choose(builder, keys, count, most, layer, list);
    return SHX_OK;
}

/* A living node of the highest layer. */
static void graph_find_entry(shx_graph_builder *builder) {
    builder->entry = SHX_GRAPH_NONE;
    for (uint32_t i = 0; i < builder->centroids.count; i++) {
        if (!shx_graph_builder_has(builder, i)) continue;
        bool higher = builder->entry == SHX_GRAPH_NONE || builder->tops[i] > builder->tops[builder->entry];
        if (higher) builder->entry = i;
    }
}

/* Nodes whose whole neighbourhood went look for a new one. */
static shx_status graph_reconnect(shx_graph_builder *builder) {
    for (uint32_t i = 0; builder->entry != SHX_GRAPH_NONE && i < builder->centroids.count; i++) {
        if (!shx_graph_builder_has(builder, i) || i == builder->entry) continue;
        uint32_t most;
        if (graph_list(builder, i, 0, &most)[0] == SHX_GRAPH_NONE) {
            SHX_TRY(graph_connect(builder, i, builder->tops[i]));
        }
    }
    return SHX_OK;
}

shx_status shx_graph_builder_delete(shx_graph_builder *builder, const uint8_t *gone) {
    for (uint32_t i = 0; i < builder->centroids.count; i++) {
        if (!shx_graph_builder_has(builder, i) || gone[i]) continue;
        for (uint32_t layer = 0; layer <= builder->tops[i]; layer++) SHX_TRY(graph_repair(builder, gone, i, layer));
    }
    for (uint32_t i = 0; i < builder->centroids.count; i++) {
        if (!gone[i] || !shx_graph_builder_has(builder, i)) continue;
        builder->tops[i] = SHX_GRAPH_ABSENT;
        memset(builder->links + (uint64_t)i * 2 * builder->m, 0xff, 2 * builder->m * sizeof *builder->links);
    }
    if (builder->entry != SHX_GRAPH_NONE && !shx_graph_builder_has(builder, builder->entry)) graph_find_entry(builder);
    return graph_reconnect(builder);
}

/* ---- following another table ---- */

/* The nodes of a graph with their links, in its own numbering. */
static shx_status graph_copy(const shx_graph *graph, shx_graph_builder *builder) {
    for (uint32_t i = 0; i < graph->count; i++) SHX_TRY(graph_appear(builder, i, graph->tops[i]));
    memcpy(builder->links, graph->links, graph->count * 2 * graph->m * sizeof *graph->links);
    if (graph->upper_count) memcpy(builder->upper, graph->upper, graph->upper_count * sizeof *graph->upper);
    builder->entry = graph->entry;
    return SHX_OK;
}

/* The same nodes under other numbers. */
static shx_status graph_renumber(const shx_graph_builder *from, const uint32_t *number, shx_graph_builder *builder) {
    for (uint32_t i = 0; i < from->centroids.count; i++) {
        if (!shx_graph_builder_has(from, i)) continue;
        SHX_TRY(graph_appear(builder, number[i], from->tops[i]));
        for (uint32_t layer = 0; layer <= from->tops[i]; layer++) {
            uint32_t most;
            const uint32_t *old = graph_list(from, i, layer, &most);
            uint32_t *list = graph_list(builder, number[i], layer, &most);
            for (uint32_t j = 0; j < most && old[j] != SHX_GRAPH_NONE; j++) list[j] = number[old[j]];
        }
    }
    builder->entry = from->entry == SHX_GRAPH_NONE ? SHX_GRAPH_NONE : number[from->entry];
    return SHX_OK;
}

shx_status shx_graph_builder_follow(const shx_graph *graph, const shx_centroids *centroids, const uint32_t *to,
                                    uint32_t ef, const shx_centroids *new_centroids, shx_graph_builder **ret_builder) {
    assert(centroids->count == graph->count);
    shx_graph_builder *before = NULL, *builder = NULL;
    uint8_t *gone = shx_alloc_zero(graph->count, 1);
    shx_status status = gone ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < graph->count; i++) gone[i] = to[i] == SHX_GRAPH_NONE;
    if (status == SHX_OK) status = shx_graph_builder_create(centroids, graph->m, ef, &before);
    if (status == SHX_OK) status = graph_copy(graph, before);
    if (status == SHX_OK) status = shx_graph_builder_delete(before, gone);
    if (status == SHX_OK) status = shx_graph_builder_create(new_centroids, graph->m, ef, &builder);
    if (status == SHX_OK) status = graph_renumber(before, to, builder);
    shx_graph_builder_destroy(before);
    shx_free(gone);
    if (status == SHX_OK) {
        *ret_builder = builder;
    } else {
        shx_graph_builder_destroy(builder);
    }
    return status;
}

/* ---- joining ---- */

/* What is reached from the entry on layer 0, and how often each node is linked to. */
typedef struct graph_reach {
    uint8_t *seen;
    uint32_t *stack, *links;
} graph_reach;

static void graph_flood(const shx_graph_builder *builder, uint32_t from, graph_reach *reach) {
    uint64_t depth = 0;
    reach->seen[from] = 1;
    reach->stack[depth++] = from;
    while (depth > 0) {
        uint32_t most, node = reach->stack[--depth];
        const uint32_t *list = graph_list(builder, node, 0, &most);
        for (uint32_t i = 0; i < most && list[i] != SHX_GRAPH_NONE; i++) {
            reach->links[list[i]]++;
            if (reach->seen[list[i]]) continue;
            reach->seen[list[i]] = 1;
            reach->stack[depth++] = list[i];
        }
    }
}

/* Links `node` from `host`, in a free place or in the place of a node that is linked to from elsewhere. */
static bool graph_adopt(shx_graph_builder *builder, uint32_t host, uint32_t node, graph_reach *reach) {
    uint32_t most;
    uint32_t *list = graph_list(builder, host, 0, &most);
    for (uint32_t i = most; i-- > 0;) {
        bool empty = list[i] == SHX_GRAPH_NONE && (i == 0 || list[i - 1] != SHX_GRAPH_NONE);
        if (!empty && (list[i] == SHX_GRAPH_NONE || reach->links[list[i]] < 2)) continue;
        if (!empty) reach->links[list[i]]--;
        list[i] = node;
        reach->links[node]++;
        return true;
    }
    return false;
}

/* One pass: every node that was not reached is linked from the nearest one that was and has a place for it. */
static shx_status graph_join_pass(shx_graph_builder *builder, graph_reach *reach, bool *ret_whole) {
    memset(reach->seen, 0, builder->centroids.count);
    memset(reach->links, 0, builder->centroids.count * sizeof *reach->links);
    graph_flood(builder, builder->entry, reach);
    *ret_whole = true;
    for (uint32_t node = 0; node < builder->centroids.count; node++) {
        if (reach->seen[node] || !shx_graph_builder_has(builder, node)) continue;
        uint32_t from = builder->entry;
        for (uint32_t layer = builder->tops[from]; layer > 0; layer--) from = graph_walk(builder, node, from, layer);
        *ret_whole = false;
        if (!reach->seen[from]) from = builder->entry;
        SHX_TRY(graph_search_layer(builder, node, from, 0));
        for (uint64_t i = 0; i < builder->beam_count; i++) {
            uint32_t host = (uint32_t)builder->beam[i];
            if (!reach->seen[host] || !graph_adopt(builder, host, node, reach)) continue;
            graph_flood(builder, node, reach);
            break;
        }
    }
    return SHX_OK;
}

shx_status shx_graph_builder_join(shx_graph_builder *builder) {
    if (builder->entry == SHX_GRAPH_NONE) return SHX_OK;
    graph_reach reach = {.seen = shx_alloc_zero(builder->centroids.count, 1),
                         .stack = shx_alloc_zero(builder->centroids.count, sizeof *reach.stack),
                         .links = shx_alloc_zero(builder->centroids.count, sizeof *reach.links)};
    shx_status status = reach.seen && reach.stack && reach.links ? SHX_OK : SHX_NOMEM;
    bool whole = false;
    for (int pass = 0; status == SHX_OK && !whole && pass < GRAPH_JOIN_PASSES; pass++) {
        status = graph_join_pass(builder, &reach, &whole);
    }
    shx_free(reach.seen);
    shx_free(reach.stack);
    shx_free(reach.links);
    return status;
}

/* ---- finishing ---- */

typedef struct graph_coding {
    const shx_graph *graph;
    const shx_centroids *centroids;
    shx_factor_scale *scales;
    uint8_t *blocks;
} graph_coding;

static shx_status graph_code(void *context, uint64_t begin, uint64_t end, unsigned thread) {
    (void)thread;
    const graph_coding *coding = context;
    const shx_graph *graph = coding->graph;
    uint64_t node_bytes = shx_blocks_of(2 * graph->m) * shx_block_bytes(graph->code_dim);
    for (uint64_t node = begin; node < end; node++) {
        const uint32_t *links = graph->links + node * 2 * graph->m;
        uint32_t count = 0;
        while (count < 2 * graph->m && links[count] != SHX_GRAPH_NONE) count++;
        memset(coding->blocks + node * node_bytes, 0, node_bytes);
        SHX_TRY(shx_centroid_codes(coding->centroids, links, count, shx_centroid_at(coding->centroids, node),
                                   &coding->scales[node], coding->blocks + node * node_bytes));
    }
    return SHX_OK;
}

/* Upper lists in the order of the nodes. */
static void graph_copy_upper(const shx_graph_builder *builder, uint32_t *upper) {
    uint64_t at = 0;
    for (uint64_t i = 0; i < builder->centroids.count; i++) {
        uint64_t size = (uint64_t)builder->tops[i] * builder->m;
        if (size) memcpy(upper + at, builder->upper + builder->upper_at[i], size * sizeof *upper);
        at += size;
    }
}

/* One piece of memory, the widest alignment first: blocks, scales, links, upper, tops. */
shx_status shx_graph_builder_finish(const shx_graph_builder *builder, shx_pool *pool, shx_graph *ret_graph) {
    uint64_t count = builder->centroids.count, link_count = count * 2 * builder->m, upper_count = 0;
    uint64_t block_bytes = count * shx_blocks_of(2 * builder->m) * shx_block_bytes(builder->centroids.code_dim);
    for (uint64_t i = 0; i < count; i++) {
        assert(shx_graph_builder_has(builder, (uint32_t)i));
        upper_count += (uint64_t)builder->tops[i] * builder->m;
    }
    uint8_t *memory = shx_alloc_aligned(1, block_bytes + count * sizeof(shx_factor_scale) +
                                               (link_count + upper_count) * sizeof(uint32_t) + count);
    SHX_CHECK(memory, SHX_NOMEM);
    shx_factor_scale *scales = (shx_factor_scale *)(void *)(memory + block_bytes);
    uint32_t *links = (uint32_t *)(void *)(scales + count), *upper = links + link_count;
    shx_graph graph = {.count = count,
                       .code_dim = builder->centroids.code_dim,
                       .m = builder->m,
                       .entry = builder->entry,
                       .upper_count = upper_count,
                       .links = memcpy(links, builder->links, link_count * sizeof *links),
                       .upper = upper,
                       .scales = scales,
                       .blocks = memory,
                       .memory = memory};
    graph.tops = memcpy(upper + upper_count, builder->tops, count);
    graph_copy_upper(builder, upper);
    graph_coding coding = {&graph, &builder->centroids, scales, memory};
    shx_status status = shx_pool_run(pool, count, 64, graph_code, &coding);
    if (status == SHX_OK) status = shx_graph_check(&graph);
    if (status == SHX_OK) {
        *ret_graph = graph;
    } else {
        shx_graph_free(&graph);
    }
    return status;
}
