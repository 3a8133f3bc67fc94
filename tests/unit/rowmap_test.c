/* The map of rowids against a plain array. */
#include "fixture.h"

#include "rowmap.h"

#include <stdlib.h>

static void extreme_keys_and_values(void **state) {
    (void)state;
    const int64_t keys[] = {INT64_MIN, -1, 0, 1, INT64_MAX, INT64_C(1) << 32, -(INT64_C(1) << 32)};
    const uint32_t count = sizeof keys / sizeof *keys;
    shx_rowmap map = {0};
    uint32_t value = 77;
    assert_false(shx_rowmap_get(&map, 0, &value));
    for (uint32_t i = 0; i < count; i++) assert_ok(shx_rowmap_put(&map, keys[i], UINT32_MAX - 1 - i));
    for (uint32_t i = 0; i < count; i++) {
        assert_true(shx_rowmap_get(&map, keys[i], &value));
        assert_int_equal(value, UINT32_MAX - 1 - i);
    }
    assert_int_equal(map.count, count);
    value = 77;
    assert_false(shx_rowmap_get(&map, 2, &value));
    assert_int_equal(value, 77);
    shx_rowmap_free(&map);
    assert_false(shx_rowmap_get(&map, 0, &value));
}

static void a_put_replaces(void **state) {
    (void)state;
    shx_rowmap map = {0};
    uint32_t value;
    assert_ok(shx_rowmap_put(&map, 5, 1));
    assert_ok(shx_rowmap_put(&map, 5, 2));
    assert_int_equal(map.count, 1);
    assert_true(shx_rowmap_get(&map, 5, &value));
    assert_int_equal(value, 2);
    shx_rowmap_free(&map);
}

static void clearing_forgets_and_keeps_memory(void **state) {
    (void)state;
    shx_rowmap map = {0};
    uint32_t value;
    shx_rowmap_clear(&map);
    for (int64_t i = 0; i < 1000; i++) assert_ok(shx_rowmap_put(&map, i, (uint32_t)i));
    uint64_t capacity = map.capacity;
    shx_rowmap_clear(&map);
    assert_int_equal(map.count, 0);
    assert_int_equal(map.capacity, capacity);
    for (int64_t i = 0; i < 1000; i++) assert_false(shx_rowmap_get(&map, i, &value));
    assert_ok(shx_rowmap_put(&map, 3, 4));
    assert_true(shx_rowmap_get(&map, 3, &value));
    shx_rowmap_free(&map);
}

static void reserved_puts_do_not_allocate(void **state) {
    (void)state;
    shx_rowmap map = {0};
    assert_ok(shx_rowmap_put(&map, 1, 1));
    assert_ok(shx_rowmap_reserve(&map, 5000));
    const int64_t *keys = map.keys;
    for (int64_t i = 10; i < 5010; i++) assert_ok(shx_rowmap_put(&map, i * 4096, 1));
    assert_ptr_equal(map.keys, keys);
    shx_rowmap_free(&map);
}

/* Rowids in steps are what tables have; a bad hash would pile them up. */
static void strides_do_not_pile_up(void **state) {
    (void)state;
    for (int shift = 0; shift < 56; shift += 5) {
        shx_rowmap map = {0};
        uint32_t value;
        for (int64_t i = 0; i < 4000; i++)
            assert_ok(shx_rowmap_put(&map, (int64_t)((uint64_t)i << shift), (uint32_t)i));
        for (int64_t i = 0; i < 4000; i++) {
            bool first = ((uint64_t)i << shift >> shift) == (uint64_t)i;
            assert_true(shx_rowmap_get(&map, (int64_t)((uint64_t)i << shift), &value));
            if (first && shift < 52) assert_int_equal(value, i);
        }
        shx_rowmap_free(&map);
    }
}

#define MODEL_KEYS 3000

static void as_a_plain_array(void **state) {
    (void)state;
    fixture_random random = fixture_seed("rowmap", 11);
    static uint32_t model[MODEL_KEYS]; /* value + 1 */
    shx_rowmap map = {0};
    uint64_t count = 0;
    for (int step = 0; step < 60000; step++) {
        uint64_t key = fixture_below(&random, MODEL_KEYS), value;
        int64_t rowid = (int64_t)(key * UINT64_C(0x100000001)) - 99;
        if (fixture_below(&random, 3) == 0) {
            value = fixture_below(&random, UINT32_MAX);
            assert_ok(shx_rowmap_put(&map, rowid, (uint32_t)value));
            count += model[key] == 0;
            model[key] = (uint32_t)value + 1;
        }
        uint32_t found = 0;
        assert_int_equal(shx_rowmap_get(&map, rowid, &found), model[key] != 0);
        if (model[key]) assert_int_equal(found, model[key] - 1);
        assert_int_equal(map.count, count);
    }
    shx_rowmap_free(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extreme_keys_and_values),
        cmocka_unit_test(a_put_replaces),
        cmocka_unit_test(clearing_forgets_and_keeps_memory),
        cmocka_unit_test(reserved_puts_do_not_allocate),
        cmocka_unit_test(strides_do_not_pile_up),
        cmocka_unit_test(as_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
