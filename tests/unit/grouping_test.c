/* Grouping against a plain sort, labels beyond the last group among them, and that it stops wherever it is told to. */
#include "fixture.h"

#include "grouping.h"

#include <stdlib.h>

typedef struct labelled {
    uint32_t label, number;
} labelled;

static int labelled_compare(const void *a, const void *b) {
    const labelled *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void as_a_stable_sort(void **state) {
    (void)state;
    fixture_random random = fixture_seed("grouping", 3);
    const uint32_t counts[] = {0, 1, 2, 500, 5000}, group_counts[] = {1, 2, 7, 600};
    for (size_t c = 0; c < 5 * 4; c++) {
        uint32_t count = counts[c / 4], groups = group_counts[c % 4];
        uint32_t *labels = calloc(count + 1, sizeof *labels), *order = calloc(count + 1, sizeof *order);
        uint32_t *first = calloc(groups + 1, sizeof *first);
        labelled *sorted = calloc(count + 1, sizeof *sorted);
        assert_true(labels && order && first && sorted);
        for (uint32_t i = 0; i < count; i++) {
            bool beyond = fixture_below(&random, 10) == 0;
            labels[i] = beyond ? UINT32_MAX - (uint32_t)fixture_below(&random, 3) : fixture_below(&random, groups);
            sorted[i] = (labelled){labels[i] < groups ? labels[i] : groups - 1, i};
        }
        qsort(sorted, count, sizeof *sorted, labelled_compare);
        assert_ok(shx_group(labels, count, groups, NULL, order, first));
        for (uint32_t g = 0, i = 0; g < groups; g++) {
            assert_int_equal(first[g], i);
            for (; i < count && sorted[i].label == g; i++) assert_int_equal(order[i], sorted[i].number);
            assert_int_equal(first[g + 1], i);
        }
        free(labels);
        free(order);
        free(first);
        free(sorted);
    }
}

static void it_asks_and_stops(void **state) {
    (void)state;
    enum { COUNT = 300000, GROUPS = 10, PASSES = 2, STEP = 65536 };
    uint32_t *labels = calloc(COUNT, sizeof *labels), *order = calloc(COUNT, sizeof *order), first[GROUPS + 1];
    fixture_asked all = {0}, some;
    const shx_stop never = fixture_stop(&all), stop = fixture_stop(&some);
    assert_true(labels && order);
    for (uint32_t i = 0; i < COUNT; i++) labels[i] = i % GROUPS;
    assert_ok(shx_group(labels, COUNT, GROUPS, &never, order, first));
    assert_true(all.count >= (uint64_t)PASSES * (COUNT / STEP));
    for (uint64_t at = 1; at <= all.count; at++) {
        some = (fixture_asked){.at = at};
        assert_status(shx_group(labels, COUNT, GROUPS, &stop, order, first), SHX_INTERRUPT);
        assert_int_equal(some.count, at);
    }
    free(labels);
    free(order);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_stable_sort),
        cmocka_unit_test(it_asks_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
