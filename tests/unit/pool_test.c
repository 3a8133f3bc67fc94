/* The parallel loop: every item once, errors, nesting, several callers. */
#include "pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS_MAX 1000
#define FAILURES_MAX 4

typedef struct test_loop {
    atomic_uint visits[ITEMS_MAX];
    atomic_uint wrong;
    uint64_t count, chunk;
    unsigned threads;
    struct {
        uint64_t item;
        shx_status status;
    } failures[FAILURES_MAX];
    shx_pool *nested;
} test_loop;

static shx_status test_add_one(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    atomic_fetch_add((atomic_ullong *)context, end - first);
    return SHX_OK;
}

/* Later items are more work, so chunks are uneven. */
static shx_status test_visit(void *context, uint64_t first, uint64_t end, unsigned thread) {
    test_loop *loop = context;
    uint64_t most = first + loop->chunk < loop->count ? first + loop->chunk : loop->count;
    if (first % loop->chunk != 0 || end != most || thread >= loop->threads) atomic_fetch_add(&loop->wrong, 1);
    shx_status status = SHX_OK;
    for (uint64_t i = first; i < end; i++) {
        for (volatile uint64_t spin = 0; spin < i * 20; spin++) {
        }
        atomic_fetch_add(&loop->visits[i], 1);
        for (size_t f = 0; f < FAILURES_MAX; f++) {
            bool fails = loop->failures[f].status != SHX_OK && loop->failures[f].item == i;
            if (fails && status == SHX_OK) status = loop->failures[f].status;
        }
    }
    if (loop->nested) {
        atomic_ullong sum = 0;
        shx_status inner = shx_pool_run(loop->nested, 100, 7, test_add_one, &sum);
        if (inner != SHX_OK || sum != 100) atomic_fetch_add(&loop->wrong, 1);
    }
    return status;
}

static shx_pool *test_pool(unsigned threads) {
    shx_pool *pool = NULL;
    assert_int_equal(shx_pool_create(threads, &pool), SHX_OK);
    assert_int_equal(shx_pool_threads(pool), threads);
    return pool;
}

static test_loop *test_loop_of(shx_pool *pool, uint64_t count, uint64_t chunk) {
    static test_loop loop;
    memset(&loop, 0, sizeof loop);
    loop.count = count;
    loop.chunk = chunk;
    loop.threads = shx_pool_threads(pool);
    return &loop;
}

static void every_item_is_done_once(void **state) {
    (void)state;
    const uint64_t counts[] = {0, 1, 2, 7, 64, 1000}, chunks[] = {1, 3, 64, 2000, UINT64_MAX};
    for (unsigned threads = 0; threads <= 4; threads++) {
        shx_pool *pool = threads ? test_pool(threads) : NULL;
        for (size_t c = 0; c < 6; c++) {
            for (size_t k = 0; k < 5; k++) {
                test_loop *loop = test_loop_of(pool, counts[c], chunks[k] < UINT64_MAX ? chunks[k] : UINT64_MAX / 2);
                assert_int_equal(shx_pool_run(pool, loop->count, loop->chunk, test_visit, loop), SHX_OK);
                assert_int_equal(loop->wrong, 0);
                for (uint64_t i = 0; i < ITEMS_MAX; i++) assert_int_equal(loop->visits[i], i < counts[c] ? 1 : 0);
            }
        }
        shx_pool_destroy(pool);
    }
}

/* Whatever the threads do, the error is that of the first failing chunk, and what comes before it is done. */
static void the_first_error_wins(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        shx_pool *pool = test_pool(threads);
        for (unsigned round = 0; round < 50; round++) {
            test_loop *loop = test_loop_of(pool, 400, 1 + round % 9);
            uint64_t item = 20 + round * 3;
            loop->failures[0].item = item + 40;
            loop->failures[0].status = SHX_IO;
            loop->failures[1].item = item;
            loop->failures[1].status = SHX_FULL;
            loop->failures[2].item = item + 9; /* in a later chunk, whatever the chunk */
            loop->failures[2].status = SHX_CORRUPT;
            assert_int_equal(shx_pool_run(pool, loop->count, loop->chunk, test_visit, loop), SHX_FULL);
            for (uint64_t i = 0; i < item; i++) assert_int_equal(loop->visits[i], 1);
            if (threads == 1) assert_int_equal(loop->visits[399], 0);
            loop = test_loop_of(pool, 50, 3);
            assert_int_equal(shx_pool_run(pool, loop->count, loop->chunk, test_visit, loop), SHX_OK);
        }
        shx_pool_destroy(pool);
    }
}

static void a_loop_may_run_loops(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        shx_pool *pool = test_pool(threads);
        test_loop *loop = test_loop_of(pool, 100, 2);
        loop->nested = pool;
        assert_int_equal(shx_pool_run(pool, loop->count, loop->chunk, test_visit, loop), SHX_OK);
        assert_int_equal(loop->wrong, 0);
        shx_pool_destroy(pool);
    }
}

static void *test_caller(void *pool) {
    uintptr_t wrong = 0;
    for (int i = 0; i < 200; i++) {
        atomic_ullong sum = 0;
        wrong += shx_pool_run(pool, 1000, 10, test_add_one, &sum) != SHX_OK || sum != 1000;
    }
    return (void *)wrong;
}

static void several_threads_share_a_pool(void **state) {
    (void)state;
    shx_pool *pool = test_pool(3);
    pthread_t callers[3];
    for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_create(&callers[i], NULL, test_caller, pool), 0);
    for (size_t i = 0; i < 3; i++) {
        void *wrong = pool;
        assert_int_equal(pthread_join(callers[i], &wrong), 0);
        assert_null(wrong);
    }
    shx_pool_destroy(pool);
}

static void the_number_of_threads_is_bounded(void **state) {
    (void)state;
    shx_pool *pool = NULL;
    assert_int_equal(shx_pool_create(0, &pool), SHX_OK);
    assert_in_range(shx_pool_threads(pool), 1, 256);
    shx_pool_destroy(pool);
    assert_int_equal(shx_pool_create(100000, &pool), SHX_OK);
    assert_in_range(shx_pool_threads(pool), 1, 256);
    shx_pool_destroy(pool);
    shx_pool_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(the_first_error_wins),
        cmocka_unit_test(a_loop_may_run_loops),
        cmocka_unit_test(several_threads_share_a_pool),
        cmocka_unit_test(the_number_of_threads_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
