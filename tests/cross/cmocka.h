/* As much of CMocka as the tests that tests/neon.sh builds for another architecture need, where the library itself is
** not at hand: a failed assertion says where and ends the program. */
#ifndef TESTS_CROSS_CMOCKA_H
#define TESTS_CROSS_CMOCKA_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test(test) {#test, test, NULL, NULL}
#define cmocka_unit_test_setup_teardown(test, setup, teardown) {#test, test, setup, teardown}
#define cmocka_run_group_tests(tests, setup, teardown) \
    cross_run(tests, sizeof(tests) / sizeof *(tests), setup, teardown)

#define assert_true(condition) cross_assert((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define assert_false(condition) assert_true(!(condition))
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) assert_true((uint64_t)(a) == (uint64_t)(b))
#define assert_int_not_equal(a, b) assert_true((uint64_t)(a) != (uint64_t)(b))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, size) assert_true(memcmp(a, b, size) == 0)
#define assert_in_range(value, low, high) \
    assert_true((uint64_t)(value) >= (uint64_t)(low) && (uint64_t)(value) <= (uint64_t)(high))
#define fail_msg(...) \
    (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), cross_assert(0, "fail_msg", __FILE__, __LINE__))
#define test_malloc malloc
#define test_realloc realloc
#define test_free free
#define print_error(...) fprintf(stderr, __VA_ARGS__)
#define print_message(...) printf(__VA_ARGS__)

static inline void cross_assert(int holds, const char *what, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    exit(1);
}

static inline int cross_run(const struct CMUnitTest *tests, size_t count, int (*setup)(void **state),
                            int (*teardown)(void **state)) {
    void *state = NULL;
    if (setup && setup(&state) != 0) return 1;
    for (size_t i = 0; i < count; i++) {
        void *own = state;
        if (tests[i].setup && tests[i].setup(&own) != 0) return 1;
        tests[i].test(&own);
        if (tests[i].teardown && tests[i].teardown(&own) != 0) return 1;
        printf("%s\n", tests[i].name);
    }
    return teardown ? teardown(&state) : 0;
}

#endif
