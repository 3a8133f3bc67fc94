/* Clustering: quality against brute force and flat k-means, sizes, degenerate inputs, determinism. */
#include "cluster.h"

#include "byte_panels.h"
#include "kernels.h"
#include "kmeans.h"
#include "memory.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIM 32

static uint64_t test_random_state;

static float test_uniform(void) { return (float)(shx_random_next(&test_random_state) >> 40) / (float)(1 << 24); }

static float test_normal(void) {
    float sum = 0;
    for (int i = 0; i < 12; i++) sum += test_uniform();
    return sum - 6;
}

/* `count` points around `blobs` random centres; blobs = 0: one round cloud. */
static float *test_points(uint64_t count, uint32_t blobs, float spread, uint64_t seed) {
    test_random_state = seed;
    float *points = shx_alloc_aligned(count * DIM, sizeof *points);
    float *centres = shx_alloc((blobs + 1) * DIM * sizeof *centres);
    assert_non_null(points);
    assert_non_null(centres);
    for (uint32_t i = 0; i < (blobs + 1) * DIM; i++) centres[i] = blobs ? test_normal() : 0;
    for (uint64_t i = 0; i < count; i++) {
        const float *centre = centres + (blobs ? shx_random_below(&test_random_state, blobs) : 0) * DIM;
        for (size_t d = 0; d < DIM; d++) points[i * DIM + d] = centre[d] + spread * test_normal();
    }
    shx_free(centres);
    return points;
}

static double test_distance2(const float *a, const float *b) { return shx_kernels_get()->l2_squared(a, b, DIM); }

/* The nearest of `count` centroids by brute force, and its squared distance. */
static uint32_t test_nearest(const float *point, const float *centroids, uint32_t count, double *ret_distance2) {
    uint32_t best = 0;
    double best_distance2 = INFINITY;
    for (uint32_t c = 0; c < count; c++) {
        double distance2 = test_distance2(point, centroids + c * DIM);
        if (distance2 < best_distance2) {
            best_distance2 = distance2;
            best = c;
        }
    }
    *ret_distance2 = best_distance2;
    return best;
}

typedef struct assignment {
    uint32_t *leaf;
    float *distance2;
} assignment;

static assignment test_assign(const shx_clusters *clusters, const float *points, uint64_t count, uint32_t probes) {
    assignment made = {shx_alloc(count * sizeof(uint32_t)), shx_alloc(count * sizeof(float))};
    float *scratch = shx_alloc(shx_cluster_scratch_floats(clusters) * sizeof *scratch);
    assert_non_null(made.leaf);
    assert_non_null(made.distance2);
    assert_non_null(scratch);
    shx_cluster_assign(clusters, points, count, probes, scratch, made.leaf);
    for (uint64_t i = 0; i < count; i++) {
        made.distance2[i] = (float)test_distance2(points + i * DIM, clusters->leaves + made.leaf[i] * DIM);
    }
    shx_free(scratch);
    return made;
}

static void test_assignment_free(assignment *made) {
    shx_free(made->leaf);
    shx_free(made->distance2);
}

/* Every centroid stands in its lane, rounded to its step; lanes without one lose against all. */
static void check_panels(const uint8_t *panels, const float *centroids, uint32_t count, const float *origin) {
    for (uint32_t c = 0; c < shx_panel_lanes(count); c++) {
        const shx_byte_panel *panel = (const void *)(panels + c / 16 * shx_byte_panel_bytes(DIM));
        uint32_t lane = c % 16;
        float step = panel->scales[lane] / -2;
        assert_true(c < count ? isfinite(panel->norms[lane]) : isinf(panel->norms[lane]) && panel->norms[lane] > 0);
        for (size_t d = 0; c < count && d < DIM; d++) {
            float rounded = step * (float)panel->bytes[d / 4 * 64 + lane * 4 + d % 4];
            assert_true(fabsf(rounded - (centroids[c * DIM + d] - origin[d])) <= 0.501f * step);
        }
    }
}

static void check_structure(const shx_clusters *clusters, uint64_t count) {
    assert_int_equal(clusters->dim, DIM);
    assert_in_range(clusters->parent_count, 1, count);
    assert_in_range(clusters->leaf_count, clusters->parent_count, count);
    assert_int_equal(clusters->first_leaf[0], 0);
    assert_int_equal(clusters->first_leaf[clusters->parent_count], clusters->leaf_count);
    for (uint32_t p = 0; p < clusters->parent_count; p++) {
        assert_true(clusters->first_leaf[p] < clusters->first_leaf[p + 1]);
    }
    const float zero[DIM] = {0};
    check_panels(clusters->parent_panels, clusters->parents, clusters->parent_count, zero);
    for (uint32_t p = 0; p < clusters->parent_count; p++) {
        const uint8_t *panels = clusters->leaf_panels;
        uint32_t first = clusters->first_leaf[p];
        check_panels(panels + clusters->first_panel[p] * shx_byte_panel_bytes(DIM), clusters->leaves + first * DIM,
                     clusters->first_leaf[p + 1] - first, clusters->parents + p * DIM);
    }
}

static void test_read_point(const void *context, uint64_t row, float *ret_point) {
    memcpy(ret_point, (const float *)context + row * DIM, DIM * sizeof *ret_point);
}

/* Points that stand in memory. */
static shx_status test_try_train(const float *points, uint64_t count, size_t dim, uint32_t leaf_points, uint64_t seed,
                                 shx_pool *pool, shx_clusters **ret_clusters) {
    const shx_cluster_points from = {points, test_read_point, count, dim};
    return shx_cluster_train(&from, leaf_points, seed, pool, ret_clusters);
}

static shx_clusters *test_train(const float *points, uint64_t count, uint32_t leaf_points, shx_pool *pool) {
    shx_clusters *clusters = NULL;
    assert_int_equal(test_try_train(points, count, DIM, leaf_points, 7, pool, &clusters), SHX_OK);
    assert_non_null(clusters);
    check_structure(clusters, count);
    return clusters;
}

/* How far rounding to bytes can move a vector: half a step in each dimension. */
static double test_rounding(const float *vector, double levels) {
    double largest = 0;
    for (size_t d = 0; d < DIM; d++) {
        if (fabs((double)vector[d]) > largest) largest = fabs((double)vector[d]);
    }
    return 0.501 * largest / levels * sqrt(DIM);
}

/* Is leaf `a` of a point as near as leaf `b`, but for the rounding of all three? */
static bool test_is_as_near(const shx_clusters *clusters, const float *point, uint32_t a, uint32_t b) {
    const float *one = clusters->leaves + a * DIM, *other = clusters->leaves + b * DIM;
    double slack = 2 * test_rounding(point, 63) + test_rounding(one, 127) + test_rounding(other, 127);
    return sqrt(test_distance2(point, one)) <= sqrt(test_distance2(point, other)) + slack + 1e-4;
}

/* Compares the assignment with brute force over all leaves; returns the share of points in their nearest leaf. */
static double test_share_nearest(const shx_clusters *clusters, const float *points, uint64_t count, uint32_t probes) {
    assignment made = test_assign(clusters, points, count, probes);
    uint64_t hits = 0;
    for (uint64_t i = 0; i < count; i++) {
        double truth;
        uint32_t nearest = test_nearest(points + i * DIM, clusters->leaves, clusters->leaf_count, &truth);
        bool as_near = test_is_as_near(clusters, points + i * DIM, made.leaf[i], nearest);
        assert_true(as_near || probes < clusters->parent_count);
        if (made.distance2[i] <= truth + 1e-4 * (1 + truth)) hits++;
    }
    test_assignment_free(&made);
    return (double)hits / (double)count;
}

static void six_probes_find_the_nearest_leaf_of_clustered_points(void **state) {
    (void)state;
    float *points = test_points(12000, 80, 0.5f, 11);
    shx_clusters *clusters = test_train(points, 12000, 40, NULL);
    double share = test_share_nearest(clusters, points, 12000, 6);
    print_message("nearest leaf found: %.4f of %u leaves, %u parents\n", share, clusters->leaf_count,
                  clusters->parent_count);
    assert_true(share >= 0.9);
    shx_clusters_destroy(clusters);
    shx_free_aligned(points);
}

static void all_probes_find_the_nearest_leaf_of_every_point(void **state) {
    (void)state;
    float *points = test_points(3000, 0, 1, 12);
    shx_clusters *clusters = test_train(points, 3000, 10, NULL);
    assert_true(clusters->parent_count > 6);
    double share = test_share_nearest(clusters, points, 3000, UINT32_MAX);
    print_message("of one round cloud, nearest leaf found: %.4f\n", share);
    assert_true(share >= 0.97); /* the others have one that is as near but for rounding */
    assert_true(test_share_nearest(clusters, points, 997, clusters->parent_count) >= 0.97);
    assert_true(test_share_nearest(clusters, points, 3000, 0) > 0.2); /* as one probe */
    shx_clusters_destroy(clusters);
    shx_free_aligned(points);
}

/* Flat k-means by brute force, ten iterations: what the hierarchy is measured against. */
static double flat_inertia(const float *points, uint64_t count, uint32_t k) {
    float *centroids = shx_alloc(k * DIM * sizeof *centroids);
    double *sums = shx_alloc(k * DIM * sizeof *sums), inertia = 0;
    uint64_t *sizes = shx_alloc(k * sizeof *sizes);
    for (uint32_t c = 0; c < k; c++) {
        memcpy(centroids + c * DIM, points + count * c / k * DIM, DIM * sizeof *centroids);
    }
    for (int iteration = 0; iteration <= 10; iteration++) {
        memset(sums, 0, k * DIM * sizeof *sums);
        memset(sizes, 0, k * sizeof *sizes);
        inertia = 0;
        for (uint64_t i = 0; i < count; i++) {
            double distance2;
            uint32_t c = test_nearest(points + i * DIM, centroids, k, &distance2);
            inertia += distance2;
            sizes[c]++;
            for (size_t d = 0; d < DIM; d++) sums[c * DIM + d] += points[i * DIM + d];
        }
        for (uint32_t c = 0; c < k; c++) {
            for (size_t d = 0; sizes[c] && d < DIM; d++) {
                centroids[c * DIM + d] = (float)(sums[c * DIM + d] / (double)sizes[c]);
            }
        }
    }
    shx_free(sizes);
    shx_free(sums);
    shx_free(centroids);
    return inertia;
}

static void inertia_is_close_to_flat_kmeans(void **state) {
    (void)state;
    const uint32_t blobs[] = {0, 30};
    for (size_t i = 0; i < 2; i++) {
        float *points = test_points(4000, blobs[i], 1, 13);
        shx_clusters *clusters = test_train(points, 4000, 40, NULL);
        assignment made = test_assign(clusters, points, 4000, 6);
        double inertia = 0;
        for (size_t j = 0; j < 4000; j++) inertia += made.distance2[j];
        double flat = flat_inertia(points, 4000, clusters->leaf_count);
        print_message("inertia against flat k-means: %.3f (%u leaves)\n", inertia / flat, clusters->leaf_count);
        assert_true(inertia <= 1.1 * flat);
        test_assignment_free(&made);
        shx_clusters_destroy(clusters);
        shx_free_aligned(points);
    }
}

/* Rounding is relative to how far clusters are apart; inside of them leaves are told apart all the same. */
static void tight_clusters_are_divided(void **state) {
    (void)state;
    float *points = test_points(6000, 20, 0.05f, 22);
    shx_clusters *clusters = test_train(points, 6000, 40, NULL);
    assignment made = test_assign(clusters, points, 6000, 6);
    double inertia = 0, exact = 0;
    for (size_t i = 0; i < 6000; i++) {
        double distance2;
        test_nearest(points + i * DIM, clusters->leaves, clusters->leaf_count, &distance2);
        inertia += made.distance2[i];
        exact += distance2;
    }
    print_message("tight clusters, inertia against exact assignment: %.4f\n", inertia / exact);
    assert_true(clusters->leaf_count > 5 * 20);
    assert_true(inertia <= 1.01 * exact);
    test_assignment_free(&made);
    shx_clusters_destroy(clusters);
    shx_free_aligned(points);
}

static void leaves_are_of_similar_size(void **state) {
    (void)state;
    const uint32_t blobs[] = {0, 50};
    for (size_t i = 0; i < 2; i++) {
        float *points = test_points(20000, blobs[i], 0.7f, 14);
        shx_clusters *clusters = test_train(points, 20000, 64, NULL);
        assignment made = test_assign(clusters, points, 20000, 6);
        uint32_t *sizes = shx_alloc_zero(clusters->leaf_count, sizeof *sizes), largest = 0, empty = 0;
        for (size_t j = 0; j < 20000; j++) sizes[made.leaf[j]]++;
        for (uint32_t c = 0; c < clusters->leaf_count; c++) {
            if (sizes[c] > largest) largest = sizes[c];
            empty += sizes[c] == 0;
        }
        print_message("leaves: %u, largest %u, empty after reassignment %u\n", clusters->leaf_count, largest, empty);
        assert_in_range(largest, 64, 3 * 64);
        assert_true(empty * 50 <= clusters->leaf_count);
        assert_in_range(clusters->leaf_count, 20000 / 96, 20000 / 32);
        shx_free(sizes);
        test_assignment_free(&made);
        shx_clusters_destroy(clusters);
        shx_free_aligned(points);
    }
}

static void check_same(const shx_clusters *a, const shx_clusters *b) {
    assert_int_equal(a->parent_count, b->parent_count);
    assert_int_equal(a->leaf_count, b->leaf_count);
    assert_memory_equal(a->parents, b->parents, a->parent_count * DIM * sizeof(float));
    assert_memory_equal(a->leaves, b->leaves, a->leaf_count * DIM * sizeof(float));
    assert_memory_equal(a->first_leaf, b->first_leaf, (a->parent_count + 1) * sizeof(uint32_t));
    assert_memory_equal(a->parent_panels, b->parent_panels, shx_byte_panels_bytes(a->parent_count, DIM));
    assert_memory_equal(a->first_panel, b->first_panel, a->parent_count * sizeof(uint32_t));
}

static void the_number_of_threads_changes_nothing(void **state) {
    (void)state;
    float *points = test_points(9000, 40, 0.8f, 15);
    shx_clusters *alone = test_train(points, 9000, 32, NULL);
    for (unsigned threads = 1; threads <= 4; threads++) {
        shx_pool *pool = NULL;
        assert_int_equal(shx_pool_create(threads, &pool), SHX_OK);
        shx_clusters *together = test_train(points, 9000, 32, pool);
        check_same(alone, together);
        shx_clusters_destroy(together);
        shx_pool_destroy(pool);
    }
    shx_clusters_destroy(alone);
    shx_free_aligned(points);
}

static void the_simd_level_changes_nothing(void **state) {
    (void)state;
    shx_simd_level best = shx_kernels_get()->level;
    float *points = test_points(3000, 10, 0.8f, 16);
    shx_clusters *wide = test_train(points, 3000, 20, NULL);
    shx_kernels_cap(SHX_SIMD_SCALAR);
    shx_clusters *scalar = test_train(points, 3000, 20, NULL);
    shx_kernels_cap(best);
    check_same(wide, scalar);
    shx_clusters_destroy(scalar);
    shx_clusters_destroy(wide);
    shx_free_aligned(points);
}

static void an_assignment_does_not_depend_on_its_range(void **state) {
    (void)state;
    float *points = test_points(5000, 40, 0.8f, 17);
    shx_clusters *clusters = test_train(points, 5000, 32, NULL);
    assignment whole = test_assign(clusters, points, 5000, 4);
    for (uint64_t first = 0, step = 1; first < 5000; first += step, step = step * 2 + 1) {
        uint64_t count = first + step < 5000 ? step : 5000 - first;
        assignment part = test_assign(clusters, points + first * DIM, count, 4);
        assert_memory_equal(part.leaf, whole.leaf + first, count * sizeof *part.leaf);
        assert_memory_equal(part.distance2, whole.distance2 + first, count * sizeof *part.distance2);
        test_assignment_free(&part);
    }
    test_assignment_free(&whole);
    shx_clusters_destroy(clusters);
    shx_free_aligned(points);
}

static void identical_points_make_one_leaf(void **state) {
    (void)state;
    float *points = test_points(1, 0, 1, 18);
    float *same = shx_alloc_aligned(1000 * DIM, sizeof *same);
    for (size_t i = 0; i < 1000; i++) memcpy(same + i * DIM, points, DIM * sizeof *same);
    shx_clusters *clusters = test_train(same, 1000, 10, NULL);
    assert_int_equal(clusters->leaf_count, 1);
    for (size_t d = 0; d < DIM; d++) assert_true(fabsf(clusters->leaves[d] - points[d]) <= 1e-6f * fabsf(points[d]));
    shx_clusters_destroy(clusters);
    shx_free_aligned(same);
    shx_free_aligned(points);
}

/* Three quarters of the points are one point: it keeps a leaf of its own, the others are clustered as ever. */
static void duplicates_stay_together(void **state) {
    (void)state;
    float *points = test_points(2000, 0, 1, 19);
    for (size_t i = 500; i < 2000; i++) memcpy(points + i * DIM, points, DIM * sizeof *points);
    shx_clusters *clusters = test_train(points, 2000, 20, NULL);
    assignment made = test_assign(clusters, points, 2000, 6);
    for (size_t i = 500; i < 2000; i++) assert_int_equal(made.leaf[i], made.leaf[0]);
    assert_in_range(clusters->leaf_count, 15, 200);
    test_assignment_free(&made);
    shx_clusters_destroy(clusters);
    shx_free_aligned(points);
}

static void tiny_inputs_are_clustered(void **state) {
    (void)state;
    float *points = test_points(40, 0, 1, 20);
    for (uint64_t count = 1; count <= 40; count++) {
        for (uint32_t leaf_points = 1; leaf_points <= 64; leaf_points *= 4) {
            shx_clusters *clusters = test_train(points, count, leaf_points, NULL);
            if (leaf_points == 1) assert_true(test_share_nearest(clusters, points, count, 64) == 1.0);
            if (leaf_points >= count) assert_int_equal(clusters->leaf_count, 1);
            shx_clusters_destroy(clusters);
        }
    }
    shx_free_aligned(points);
}

static void not_a_number_does_no_harm(void **state) {
    (void)state;
    float *points = test_points(500, 0, 1, 21);
    for (size_t i = 0; i < 500; i += 7) points[i * DIM + i % DIM] = i % 2 ? NAN : INFINITY;
    shx_clusters *clusters = NULL;
    assert_int_equal(test_try_train(points, 500, DIM, 10, 1, NULL, &clusters), SHX_OK);
    assignment made = test_assign(clusters, points, 500, 3);
    for (size_t i = 0; i < 500; i++) assert_true(made.leaf[i] < clusters->leaf_count);
    test_assignment_free(&made);
    shx_clusters_destroy(clusters);
    shx_free_aligned(points);
}

static void arguments_out_of_range_are_refused(void **state) {
    (void)state;
    float points[2 * DIM] = {0}, centroids[2 * DIM];
    uint32_t part[2];
    shx_cluster_parts parts = {1, 99, centroids, part};
    shx_clusters *clusters = NULL;
    assert_int_equal(test_try_train(points, 0, DIM, 10, 1, NULL, &clusters), SHX_MISUSE);
    assert_int_equal(test_try_train(points, 2, DIM, 0, 1, NULL, &clusters), SHX_MISUSE);
    assert_int_equal(test_try_train(points, 2, 17, 10, 1, NULL, &clusters), SHX_MISUSE);
    assert_null(clusters);
    assert_int_equal(shx_cluster_split(points, 2, DIM, 1, NULL, &parts), SHX_MISUSE);
    parts.most = 2;
    assert_int_equal(shx_cluster_split(points, 0, DIM, 1, NULL, &parts), SHX_MISUSE);
    assert_int_equal(parts.count, 99);
}

/* ---- splitting ---- */

/* Splits and checks that the parts are numbered from 0, none is empty, and centroids are the means. */
static uint32_t test_split(const float *points, uint32_t count, uint32_t parts, uint32_t *ret_part) {
    float *centroids = shx_alloc(parts * DIM * sizeof *centroids);
    shx_cluster_parts split = {parts, 0, centroids, ret_part};
    assert_int_equal(shx_cluster_split(points, count, DIM, 5, NULL, &split), SHX_OK);
    uint32_t made = split.count;
    assert_in_range(made, 1, parts);
    for (uint32_t p = 0; p < made; p++) {
        double mean[DIM] = {0};
        uint32_t size = 0;
        for (uint32_t i = 0; i < count; i++) {
            assert_true(ret_part[i] < made);
            if (ret_part[i] != p) continue;
            size++;
            for (size_t d = 0; d < DIM; d++) mean[d] += points[i * DIM + d];
        }
        assert_true(size > 0);
        for (size_t d = 0; d < DIM; d++) assert_true(fabs(centroids[p * DIM + d] - mean[d] / size) < 1e-5);
    }
    shx_free(centroids);
    return made;
}

static void a_split_separates_two_blobs(void **state) {
    (void)state;
    float *points = test_points(200, 0, 0.1f, 22);
    for (size_t i = 0; i < 80; i++) points[i * DIM] += 5;
    uint32_t part[200];
    assert_int_equal(test_split(points, 200, 2, part), 2);
    for (size_t i = 0; i < 200; i++) assert_int_equal(part[i] == part[0], i < 80);
    shx_free_aligned(points);
}

static void a_split_is_balanced(void **state) {
    (void)state;
    float *points = test_points(300, 0, 1, 23);
    for (size_t d = 0; d < DIM; d++) points[d] = 1000; /* 2-means would put this one alone */
    uint32_t part[300];
    for (uint32_t parts = 2; parts <= 7; parts++) {
        assert_int_equal(test_split(points, 300, parts, part), parts);
        uint32_t sizes[7] = {0};
        for (size_t i = 0; i < 300; i++) sizes[part[i]]++;
        for (uint32_t p = 0; p < parts; p++) assert_in_range(sizes[p], 300 / parts / 4, 300 * 3 / parts);
    }
    shx_free_aligned(points);
}

static void identical_points_are_not_split(void **state) {
    (void)state;
    float points[50 * DIM];
    for (size_t i = 0; i < 50 * DIM; i++) points[i] = (float)(i % DIM);
    uint32_t part[50];
    for (uint32_t count = 1; count <= 50; count += 7) assert_int_equal(test_split(points, count, 4, part), 1);
}

/* 99 copies and one other point: the copies stay together although the split is uneven. */
static void a_split_keeps_copies_together(void **state) {
    (void)state;
    float points[100 * DIM] = {0};
    points[42 * DIM] = 1;
    uint32_t part[100];
    assert_int_equal(test_split(points, 100, 3, part), 2);
    for (size_t i = 0; i < 100; i++) assert_int_equal(part[i] == part[42], i == 42);
}

static void more_parts_than_points_are_compacted(void **state) {
    (void)state;
    float *points = test_points(5, 0, 1, 24);
    uint32_t part[5];
    assert_int_equal(test_split(points, 5, 9, part), 5);
    shx_free_aligned(points);
}

/* ---- memory ---- */

static uint64_t test_allocations_left;

static void *test_alloc(uint64_t size) { return test_allocations_left-- > 0 ? test_malloc(size) : NULL; }
static void *test_resize(void *block, uint64_t size) {
    return test_allocations_left-- > 0 ? test_realloc(block, size) : NULL;
}
static void test_release(void *block) { test_free(block); }

/* Fails the first, the second … allocation until all succeed; cmocka's allocator reports what leaks. */
static void a_failed_allocation_leaks_nothing(void **state) {
    (void)state;
    static float points[300 * DIM];
    test_random_state = 25;
    for (size_t i = 0; i < 300 * DIM; i++) points[i] = test_normal();
    shx_allocator failing = {test_alloc, test_resize, test_release};
    shx_memory_use(&failing);
    shx_status status = SHX_NOMEM;
    for (uint64_t allowed = 0; status != SHX_OK; allowed++) {
        test_allocations_left = allowed;
        shx_clusters *clusters = NULL;
        status = test_try_train(points, 300, DIM, 20, 1, NULL, &clusters);
        if (status == SHX_OK)
            shx_clusters_destroy(clusters);
        else
            assert_int_equal(status, SHX_NOMEM);
        if (status != SHX_OK) assert_null(clusters);
    }
    uint32_t part[300];
    float centroids[2 * DIM];
    shx_cluster_parts parts = {2, 0, centroids, part};
    status = SHX_NOMEM;
    for (uint64_t allowed = 0; status != SHX_OK; allowed++) {
        test_allocations_left = allowed;
        status = shx_cluster_split(points, 300, DIM, 1, NULL, &parts);
        if (status != SHX_OK) assert_int_equal(parts.count, 0);
    }
    assert_int_equal(parts.count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(six_probes_find_the_nearest_leaf_of_clustered_points),
        cmocka_unit_test(all_probes_find_the_nearest_leaf_of_every_point),
        cmocka_unit_test(inertia_is_close_to_flat_kmeans),
        cmocka_unit_test(tight_clusters_are_divided),
        cmocka_unit_test(leaves_are_of_similar_size),
        cmocka_unit_test(the_number_of_threads_changes_nothing),
        cmocka_unit_test(the_simd_level_changes_nothing),
        cmocka_unit_test(an_assignment_does_not_depend_on_its_range),
        cmocka_unit_test(identical_points_make_one_leaf),
        cmocka_unit_test(duplicates_stay_together),
        cmocka_unit_test(tiny_inputs_are_clustered),
        cmocka_unit_test(not_a_number_does_no_harm),
        cmocka_unit_test(arguments_out_of_range_are_refused),
        cmocka_unit_test(a_split_separates_two_blobs),
        cmocka_unit_test(a_split_is_balanced),
        cmocka_unit_test(identical_points_are_not_split),
        cmocka_unit_test(a_split_keeps_copies_together),
        cmocka_unit_test(more_parts_than_points_are_compacted),
        cmocka_unit_test(a_failed_allocation_leaks_nothing), /* last: it replaces the allocator */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
