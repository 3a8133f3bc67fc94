/* The bounded heap against a sort of everything. */
#include "topk.h"

#include "memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t test_state;

static uint64_t test_next(void) {
    test_state = test_state * 6364136223846793005u + 1442695040888963407u;
    return test_state >> 33;
}

static int test_compare(const void *a, const void *b) {
    return shx_hit_before(a, b) ? -1 : shx_hit_before(b, a) ? 1 : 0;
}

/* Few different distances make many ties; rowids are a permutation. */
static size_t test_hits(shx_hit *hits, size_t count, uint64_t distances) {
    static const double odd[] = {INFINITY, -INFINITY, 0.0, -0.0, 1e-320};
    for (size_t i = 0; i < count; i++) {
        uint64_t kind = test_next() % 40;
        hits[i].distance = kind < 5 ? odd[kind] : (double)(test_next() % distances) / 8;
        hits[i].rowid = (int64_t)(i * 7919 % count) - (int64_t)count / 2;
    }
    return count;
}

static void the_best_k_come_out_in_order(void **state) {
    (void)state;
    static shx_hit hits[500];
    shx_topk topk = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        test_state = seed;
        size_t count = test_hits(hits, 1 + test_next() % 500, seed % 3 ? 20 : 1000000);
        uint64_t k = seed % 5 == 0 ? 1 : 1 + test_next() % 600;
        shx_topk_reset(&topk, k);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(shx_topk_insert(&topk, hits[i].distance, hits[i].rowid), SHX_OK);
            assert_int_equal(shx_topk_insert(&topk, (double)NAN, hits[i].rowid), SHX_OK);
        }
        qsort(hits, count, sizeof *hits, test_compare);
        uint64_t expected = k < count ? k : count;
        double worst = k <= count ? hits[k - 1].distance : (double)INFINITY;
        assert_true(k <= SHX_TOPK_HEAP ? shx_topk_worst(&topk) == worst : shx_topk_worst(&topk) >= worst);
        shx_topk_sort(&topk, NULL);
        if (topk.count != expected) fail_msg("seed %u: wrong count", (unsigned)seed);
        for (uint64_t i = 0; i < expected; i++) {
            bool same = topk.hits[i].distance == hits[i].distance && topk.hits[i].rowid == hits[i].rowid;
            if (!same) fail_msg("seed %u: hit %u differs", (unsigned)seed, (unsigned)i);
        }
    }
    shx_topk_free(&topk);
    assert_null(topk.hits);
}

static void ties_break_by_rowid(void **state) {
    (void)state;
    shx_topk topk = {0};
    shx_topk_reset(&topk, 3);
    const int64_t rowids[] = {5, INT64_MAX, -1, INT64_MIN, 4};
    for (size_t i = 0; i < 5; i++) assert_int_equal(shx_topk_insert(&topk, i % 2 ? 0.0 : -0.0, rowids[i]), SHX_OK);
    shx_topk_sort(&topk, NULL);
    assert_int_equal(topk.count, 3);
    assert_true(topk.hits[0].rowid == INT64_MIN && topk.hits[1].rowid == -1 && topk.hits[2].rowid == 4);
    shx_topk_free(&topk);
}

/* Sorted, reversed, equal and organ-pipe input is what partitions come out badly on; powers of two, and infinity, what
** buckets do. */
static void large_k_of_any_input(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    shx_hit *hits = malloc(COUNT * sizeof *hits);
    shx_topk topk = {0};
    for (uint64_t kind = 0; kind < 7; kind++) {
        for (uint64_t k = 129; k < 2 * COUNT; k = k * 5 + 1) {
            shx_topk_reset(&topk, k);
            for (int64_t i = 0; i < COUNT; i++) {
                int64_t any = (int64_t)(test_next() % 999);
                int64_t value = (int64_t[]){i, -i, 7, i < COUNT / 2 ? i : COUNT - i, any, 0, 0}[kind];
                double distance = kind < 5 ? (double)value : kind == 5 || any < 900 ? ldexp(1, (int)any) : INFINITY;
                hits[i] = (shx_hit){distance, i * 7919 % COUNT};
                assert_int_equal(shx_topk_insert(&topk, hits[i].distance, hits[i].rowid), SHX_OK);
            }
            qsort(hits, COUNT, sizeof *hits, test_compare);
            shx_topk_sort(&topk, NULL);
            assert_int_equal(topk.count, k < COUNT ? k : COUNT);
            assert_memory_equal(topk.hits, hits, topk.count * sizeof *hits);
        }
    }
    shx_topk_free(&topk);
    free(hits);
}

/* Counts questions, and says yes to one. */
typedef struct test_patience {
    uint64_t asked, yes;
} test_patience;

static bool test_ask(void *context) {
    test_patience *patience = context;
    return ++patience->asked == patience->yes;
}

/* Of spread distances, by buckets; of equal ones, half by half; of two different ones, both. */
static void a_long_sort_can_be_stopped(void **state) {
    (void)state;
    enum { LONG = 400000, ASKED = 6 };
    shx_topk topk = {0};
    for (int64_t different = 0; different < 3; different++) {
        for (uint64_t yes = 0; yes <= ASKED; yes++) {
            test_patience patience = {.yes = yes};
            shx_topk_reset(&topk, LONG);
            for (int64_t i = 0; i < LONG; i++) {
                int64_t any = i * 7919 % LONG;
                double distance = different > 0 ? (double)(any % different) : (double)any;
                assert_int_equal(shx_topk_insert(&topk, distance, any), SHX_OK);
            }
            shx_status status = shx_topk_sort(&topk, &(shx_stop){test_ask, &patience});
            assert_int_equal(status, yes > 0 ? SHX_INTERRUPT : SHX_OK);
            if (yes > 0) assert_int_equal(patience.asked, yes);
            if (yes > 0) continue;
            assert_true(patience.asked >= ASKED);
            for (int64_t i = 1; i < LONG; i++) assert_true(shx_hit_before(&topk.hits[i - 1], &topk.hits[i]));
        }
    }
    shx_topk_free(&topk);
}

static void an_empty_heap_takes_nothing_or_anything(void **state) {
    (void)state;
    shx_topk topk = {0};
    shx_topk_reset(&topk, 0);
    assert_true(shx_topk_worst(&topk) == -(double)INFINITY);
    assert_int_equal(shx_topk_insert(&topk, -(double)INFINITY, 1), SHX_OK);
    assert_int_equal(topk.count, 0);
    shx_topk_sort(&topk, NULL);
    shx_topk_reset(&topk, UINT64_MAX);
    assert_true(shx_topk_worst(&topk) == (double)INFINITY);
    assert_int_equal(shx_topk_insert(&topk, (double)INFINITY, 1), SHX_OK);
    assert_int_equal(topk.count, 1);
    assert_true(topk.capacity < 100); /* memory grows with what is there, not with k */
    shx_topk_free(&topk);
}

static void *test_no_alloc(uint64_t size) { return (void)size, NULL; }
static void *test_no_resize(void *block, uint64_t size) { return (void)block, (void)size, NULL; }

static void a_failed_allocation_is_reported(void **state) {
    (void)state;
    enum { MANY = 3000 };
    shx_topk topk = {0}, many = {0};
    shx_topk_reset(&topk, 3);
    shx_topk_reset(&many, MANY);
    for (int64_t i = 0; i < MANY; i++) assert_int_equal(shx_topk_insert(&many, (double)(i * 7 % MANY), i), SHX_OK);
    shx_memory_use(&(shx_allocator){test_no_alloc, test_no_resize, free});
    assert_int_equal(shx_topk_insert(&topk, 1, 1), SHX_NOMEM);
    assert_int_equal(topk.count, 0);
    shx_topk_free(&topk);
    shx_topk_sort(&many, NULL); /* manages without */
    for (uint64_t i = 1; i < MANY; i++) assert_true(shx_hit_before(&many.hits[i - 1], &many.hits[i]));
    shx_topk_free(&many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_k_come_out_in_order), cmocka_unit_test(ties_break_by_rowid),
        cmocka_unit_test(large_k_of_any_input), cmocka_unit_test(a_long_sort_can_be_stopped),
        cmocka_unit_test(an_empty_heap_takes_nothing_or_anything),
        cmocka_unit_test(a_failed_allocation_is_reported), /* last: it replaces the allocator */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
