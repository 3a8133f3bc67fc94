/* The order of rowids against the C library's sort, and that it stops wherever it is told to. */
#include "fixture.h"

#include "memory.h"
#include "rowid_order.h"

#include <stdlib.h>

/* An element as others have them: something else behind its rowid. */
typedef struct element {
    int64_t rowid;
    uint32_t number;
} element;

static int element_compare(const void *a, const void *b) {
    const element *x = a, *y = b;
    if (x->rowid != y->rowid) return x->rowid < y->rowid ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Rowids as tables have them: neighbours, spread over everything, few different ones, negative ones too. */
static int64_t element_rowid(fixture_random *random, int way, uint32_t i, uint32_t count) {
    int64_t any = (int64_t)fixture_next(random);
    if (way == 0) return (int64_t)count - (int64_t)i;
    if (way == 1) return any;
    if (way == 2) return any % 3;
    return way == 3 ? INT64_MIN + (any & 1) * INT64_MAX : any >> 40;
}

static element *elements_make(fixture_random *random, int way, uint32_t count) {
    element *elements = calloc(count + 1, sizeof *elements);
    assert_non_null(elements);
    for (uint32_t i = 0; i < count; i++) elements[i] = (element){element_rowid(random, way, i, count), i};
    return elements;
}

static void as_the_c_library_sorts(void **state) {
    (void)state;
    fixture_random random = fixture_seed("rowid order", 3);
    const uint32_t counts[] = {0, 1, 2, 255, 256, 257, 5000};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int way = 0; way < 5; way++) {
            uint32_t count = counts[c], *order;
            element *elements = elements_make(&random, way, count);
            assert_ok(shx_rowid_order(elements, sizeof *elements, count, NULL, &order));
            element *sorted = calloc(count + 1, sizeof *sorted);
            for (uint32_t i = 0; i < count; i++) sorted[i] = elements[i];
            qsort(sorted, count, sizeof *sorted, element_compare);
            for (uint32_t i = 0; i < count; i++) assert_int_equal(order[i], sorted[i].number);
            shx_free(order);
            free(sorted);
            free(elements);
        }
    }
    uint32_t *none = NULL;
    assert_status(shx_rowid_order(NULL, sizeof(element), UINT32_MAX, NULL, &none), SHX_FULL);
    assert_null(none);
}

static void it_asks_and_stops(void **state) {
    (void)state;
    fixture_random random = fixture_seed("rowid order stopped", 4);
    enum { COUNT = 300000, STEP = 65536, PASSES = 1 + 8 };
    element *elements = elements_make(&random, 1, COUNT);
    uint32_t *order = NULL;
    fixture_asked all = {0}, some;
    const shx_stop never = fixture_stop(&all), stop = fixture_stop(&some);
    assert_ok(shx_rowid_order(elements, sizeof *elements, COUNT, &never, &order));
    assert_true(all.count >= (uint64_t)PASSES * (COUNT / STEP));
    shx_free(order);
    order = NULL;
    for (uint64_t at = 1; at <= all.count; at += 1 + fixture_below(&random, 4)) {
        some = (fixture_asked){.at = at};
        assert_status(shx_rowid_order(elements, sizeof *elements, COUNT, &stop, &order), SHX_INTERRUPT);
        assert_int_equal(some.count, at);
        assert_null(order);
    }
    free(elements);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_c_library_sorts),
        cmocka_unit_test(it_asks_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
