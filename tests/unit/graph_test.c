/* The graph: what must hold of it after every step of a storm of insertions and deletions, and that it stays one. */
#include "fixture.h"

#include "graph_build.h"

#include <stdlib.h>
#include <string.h>

#define DIM 64

/* The share of nodes that a walk along layer 0 from the entry reaches. */
static double reachable(const shx_graph *graph) {
    uint32_t *stack = calloc(graph->count + 1, sizeof *stack);
    uint8_t *seen = calloc(graph->count + 1, 1);
    uint64_t depth = 0, found = 0;
    if (graph->entry != SHX_GRAPH_NONE) {
        stack[depth++] = graph->entry;
        seen[graph->entry] = 1;
    }
    while (depth > 0) {
        uint32_t node = stack[--depth], most;
        const uint32_t *links = shx_graph_links(graph, node, 0, &most);
        found++;
        for (uint32_t i = 0; i < most && links[i] != SHX_GRAPH_NONE; i++) {
            if (!seen[links[i]]) stack[depth++] = links[i];
            seen[links[i]] = 1;
        }
    }
    free(stack);
    free(seen);
    return graph->count ? (double)found / (double)graph->count : 1;
}

static void assert_no_link_twice(const shx_graph *graph) {
    for (uint32_t node = 0; node < graph->count; node++) {
        for (uint32_t layer = 0; layer <= graph->tops[node]; layer++) {
            uint32_t most;
            const uint32_t *links = shx_graph_links(graph, node, layer, &most);
            for (uint32_t i = 0; i < most && links[i] != SHX_GRAPH_NONE; i++) {
                for (uint32_t j = 0; j < i; j++) assert_true(links[i] != links[j]);
            }
        }
    }
}

static shx_graph_builder *whole(const float *points, uint64_t count, uint32_t m, uint32_t ef) {
    shx_graph_builder *builder;
    assert_ok(shx_graph_builder_create(&(shx_centroids){points, count, DIM}, m, ef, &builder));
    for (uint32_t i = 0; i < count; i++) {
        assert_false(shx_graph_builder_has(builder, i));
        assert_ok(shx_graph_builder_insert(builder, i, i * 7 + 1));
        assert_true(shx_graph_builder_has(builder, i));
    }
    assert_ok(shx_graph_builder_join(builder));
    return builder;
}

static void graphs_of_every_size(void **state) {
    (void)state;
    fixture_random random = fixture_seed("graph", 1);
    const uint64_t counts[] = {0, 1, 2, 9, 31, 32, 33, 1000};
    const uint32_t ms[] = {4, 16, 17, 64};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) {
            float *points = fixture_clustered(&random, counts[c] + 1, DIM, 10);
            shx_graph_builder *builder = whole(points, counts[c], ms[i], 40),
                              *again = whole(points, counts[c], ms[i], 40);
            shx_graph graph, twin;
            assert_ok(shx_graph_builder_finish(builder, NULL, &graph));
            assert_ok(shx_graph_builder_finish(again, NULL, &twin));
            assert_no_link_twice(&graph);
            assert_true(reachable(&graph) == 1);
            assert_memory_equal(graph.links, twin.links, counts[c] * 2 * ms[i] * sizeof *graph.links);
            assert_memory_equal(graph.tops, twin.tops, counts[c]);
            assert_int_equal(graph.entry, twin.entry);
            shx_graph_free(&graph);
            shx_graph_free(&twin);
            shx_graph_builder_destroy(builder);
            shx_graph_builder_destroy(again);
            free(points);
        }
    }
}

/* Half of the nodes go and come again, in random portions, also all of them; then the graph is whole and sound. */
static void storms(void **state) {
    (void)state;
    enum { COUNT = 800 };
    fixture_random random = fixture_seed("storm", 2);
    float *points = fixture_clustered(&random, COUNT, DIM, 12);
    for (uint64_t i = 0; i < 100; i++) memcpy(points + i * DIM, points, DIM * sizeof(float));
    shx_graph_builder *builder = whole(points, COUNT, 6, 32);
    for (int round = 0; round < 30; round++) {
        uint8_t gone[COUNT];
        uint64_t chance = round == 10 ? 100 : 1 + fixture_below(&random, 60);
        for (int i = 0; i < COUNT; i++) gone[i] = fixture_below(&random, 100) < chance;
        assert_ok(shx_graph_builder_delete(builder, gone));
        for (uint32_t i = 0; i < COUNT; i++) assert_true(shx_graph_builder_has(builder, i) == !gone[i]);
        if (round % 2) assert_ok(shx_graph_builder_delete(builder, gone)); /* absent ones stay absent */
        uint32_t start = (uint32_t)fixture_below(&random, COUNT);
        for (uint32_t j = 0; j < COUNT; j++) {
            uint32_t i = (start + j) % COUNT;
            if (gone[i]) assert_ok(shx_graph_builder_insert(builder, i, i * 7 + 1));
        }
        shx_graph graph;
        assert_ok(shx_graph_builder_join(builder));
        assert_ok(shx_graph_builder_finish(builder, NULL, &graph));
        assert_no_link_twice(&graph);
        if (reachable(&graph) < 1) fail_msg("round %d: %f of the graph is reachable", round, reachable(&graph));
        shx_graph_free(&graph);
    }
    shx_graph_builder_destroy(builder);
    free(points);
}

/* A graph moved to a table with other numbers keeps its nodes; the others are absent until they are inserted. */
static void another_table(void **state) {
    (void)state;
    enum { COUNT = 300, MORE = 40 };
    fixture_random random = fixture_seed("another table", 3);
    float *points = fixture_gaussian(&random, COUNT + MORE, DIM), *moved = malloc(sizeof(float) * (COUNT + MORE) * DIM);
    shx_graph_builder *builder = whole(points, COUNT, 8, 40), *next;
    shx_graph graph, after;
    uint32_t to[COUNT], kept = 0;
    assert_ok(shx_graph_builder_finish(builder, NULL, &graph));
    for (uint32_t i = 0; i < COUNT; i++) {
        to[i] = i % 4 == 1 ? SHX_GRAPH_NONE : kept++;
        if (to[i] != SHX_GRAPH_NONE) memcpy(moved + to[i] * DIM, points + i * DIM, DIM * sizeof(float));
    }
    memcpy(moved + kept * DIM, points + COUNT * DIM, MORE * DIM * sizeof(float));
    const shx_centroids all = {points, COUNT, DIM}, others = {moved, kept + MORE, DIM};
    assert_ok(shx_graph_builder_follow(&graph, &all, to, 40, &others, &next));
    for (uint32_t i = 0; i < kept + MORE; i++) {
        assert_true(shx_graph_builder_has(next, i) == (i < kept));
        if (i >= kept) assert_ok(shx_graph_builder_insert(next, i, i * 7 + 1));
    }
    assert_ok(shx_graph_builder_join(next));
    assert_ok(shx_graph_builder_finish(next, NULL, &after));
    assert_no_link_twice(&after);
    assert_true(reachable(&after) == 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (to[i] != SHX_GRAPH_NONE) assert_int_equal(after.tops[to[i]], graph.tops[i]);
    }
    shx_graph_free(&graph);
    shx_graph_free(&after);
    shx_graph_builder_destroy(builder);
    shx_graph_builder_destroy(next);
    free(points);
    free(moved);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_of_every_size),
        cmocka_unit_test(storms),
        cmocka_unit_test(another_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
