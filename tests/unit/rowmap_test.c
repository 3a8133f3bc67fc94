/* The map of rowids against a plain array. */
#include "fixture.h"

#include "rowmap.h"

#include <stdlib.h>

/* The element at position i has the key keys[i modulo a number], times 2^shift, so that positions may be any. */
typedef struct key_array {
    const int64_t *keys; /* NULL: 0, 1, 2 … */
    uint32_t count;
    int shift;
} key_array;

static int64_t key_at(const void *array, uint32_t position) {
    const key_array *from = array;
    uint32_t i = position % from->count;
    return (int64_t)((uint64_t)(from->keys ? from->keys[i] : i) << from->shift);
}

static shx_rowmap_keys keys_of(const key_array *array) { return (shx_rowmap_keys){array, key_at}; }

static void extreme_keys_and_positions(void **state) {
    (void)state;
    const int64_t keys[] = {INT64_MIN, -1, 0, 1, INT64_MAX, INT64_C(1) << 32, -(INT64_C(1) << 32)};
    const uint32_t count = sizeof keys / sizeof *keys;
    const key_array array = {keys, count, 0};
    shx_rowmap map = {0};
    uint32_t position = 77;
    assert_false(shx_rowmap_get(&map, keys_of(&array), 0, &position));
    for (uint32_t i = 0; i < count; i++) assert_ok(shx_rowmap_put(&map, keys_of(&array), UINT32_MAX - 1 - i));
    for (uint32_t i = 0; i < count; i++) {
        assert_true(shx_rowmap_get(&map, keys_of(&array), key_at(&array, UINT32_MAX - 1 - i), &position));
        assert_int_equal(position, UINT32_MAX - 1 - i);
    }
    assert_int_equal(map.used, count);
    position = 77;
    assert_false(shx_rowmap_get(&map, keys_of(&array), 2, &position));
    assert_int_equal(position, 77);
    shx_rowmap_free(&map);
    assert_false(shx_rowmap_get(&map, keys_of(&array), 0, &position));
}

static void a_put_replaces(void **state) {
    (void)state;
    const key_array array = {.count = 10};
    shx_rowmap map = {0};
    uint32_t position;
    assert_ok(shx_rowmap_put(&map, keys_of(&array), 5));
    assert_ok(shx_rowmap_put(&map, keys_of(&array), 25));
    assert_int_equal(map.used, 1);
    assert_true(shx_rowmap_get(&map, keys_of(&array), 5, &position));
    assert_int_equal(position, 25);
    shx_rowmap_free(&map);
}

static void clearing_forgets_and_keeps_memory(void **state) {
    (void)state;
    const key_array array = {.count = 1000};
    shx_rowmap map = {0};
    uint32_t position;
    shx_rowmap_clear(&map);
    for (uint32_t i = 1000; i > 0; i--) assert_ok(shx_rowmap_put(&map, keys_of(&array), i - 1));
    uint64_t capacity = map.capacity;
    shx_rowmap_clear(&map);
    assert_int_equal(map.used, 0);
    assert_int_equal(map.capacity, capacity);
    for (int64_t i = 0; i < 1000; i++) assert_false(shx_rowmap_get(&map, keys_of(&array), i, &position));
    assert_ok(shx_rowmap_put(&map, keys_of(&array), 3));
    assert_true(shx_rowmap_get(&map, keys_of(&array), 3, &position));
    shx_rowmap_free(&map);
}

static void reserved_puts_do_not_allocate(void **state) {
    (void)state;
    const key_array array = {.count = 6000, .shift = 12};
    shx_rowmap map = {0};
    assert_ok(shx_rowmap_put(&map, keys_of(&array), 1));
    assert_ok(shx_rowmap_reserve(&map, keys_of(&array), 5000));
    const uint32_t *slots = map.slots;
    for (uint32_t i = 10; i < 5010; i++) assert_ok(shx_rowmap_put(&map, keys_of(&array), i));
    assert_ptr_equal(map.slots, slots);
    shx_rowmap_free(&map);
}

/* Rowids in steps are what tables have; a bad hash would pile them up. */
static void strides_do_not_pile_up(void **state) {
    (void)state;
    for (int shift = 0; shift < 56; shift += 5) {
        const key_array array = {.count = 4000, .shift = shift};
        shx_rowmap map = {0};
        uint32_t position;
        for (uint32_t i = 1; i < 4000; i++) assert_ok(shx_rowmap_put(&map, keys_of(&array), i));
        assert_ok(shx_rowmap_put(&map, keys_of(&array), 0));
        for (uint32_t i = 0; i < 4000; i++) {
            bool first = ((uint64_t)i << shift >> shift) == (uint64_t)i;
            assert_true(shx_rowmap_get(&map, keys_of(&array), key_at(&array, i), &position));
            if (first && shift < 52) assert_int_equal(position, i);
        }
        shx_rowmap_free(&map);
    }
}

#define MODEL_KEYS 3000

static void as_a_plain_array(void **state) {
    (void)state;
    fixture_random random = fixture_seed("rowmap", 11);
    static uint32_t model[MODEL_KEYS]; /* position + 1 */
    static int64_t keys[MODEL_KEYS];
    for (int64_t i = 0; i < MODEL_KEYS; i++) keys[i] = i * INT64_C(0x100000001) - 99;
    const key_array array = {keys, MODEL_KEYS, 0};
    shx_rowmap map = {0};
    uint64_t count = 0;
    for (int step = 0; step < 60000; step++) {
        uint32_t key = (uint32_t)fixture_below(&random, MODEL_KEYS), found = 0;
        if (fixture_below(&random, 3) == 0) {
            uint32_t times = 1 + (uint32_t)fixture_below(&random, UINT32_MAX / MODEL_KEYS - 1);
            uint32_t position = key + times * MODEL_KEYS;
            assert_ok(shx_rowmap_put(&map, keys_of(&array), position));
            count += model[key] == 0;
            model[key] = position + 1;
        }
        assert_int_equal(shx_rowmap_get(&map, keys_of(&array), keys[key], &found), model[key] != 0);
        if (model[key]) assert_int_equal(found, model[key] - 1);
        assert_int_equal(map.used, count);
    }
    shx_rowmap_free(&map);
}

/* Keys that ascend take no memory, until one does not, or a position is left out; what is put again later counts. */
static void ascending_keys_take_no_memory(void **state) {
    (void)state;
    fixture_random random = fixture_seed("ascending", 12);
    for (int round = 0; round < 200; round++) {
        enum { KEYS = 300 };
        int64_t keys[2 * KEYS], key = INT64_MIN;
        uint32_t first = (uint32_t)fixture_below(&random, KEYS), skipped = (uint32_t)fixture_below(&random, 2);
        for (uint32_t i = 0; i < 2 * KEYS; i++) {
            if (i < first) key += 1 + (int64_t)fixture_below(&random, 3);
            keys[i] = i < first ? key : INT64_MIN + (int64_t)fixture_below(&random, 2 * KEYS);
        }
        const key_array array = {keys, 2 * KEYS, 0};
        shx_rowmap map = {0};
        for (uint32_t i = 0; i < 2 * KEYS; i++) {
            if (skipped && i == first) continue;
            assert_ok(shx_rowmap_put(&map, keys_of(&array), i));
            if (i < first) assert_true(map.used == 0 && map.capacity == 0);
            if (i % 37 > 0) continue;
            for (int64_t wanted = INT64_MIN; wanted < INT64_MIN + 3 * KEYS; wanted++) {
                uint32_t found = 0, last = UINT32_MAX;
                for (uint32_t p = 0; p <= i; p++) last = keys[p] == wanted && !(skipped && p == first) ? p : last;
                assert_int_equal(shx_rowmap_get(&map, keys_of(&array), wanted, &found), last != UINT32_MAX);
                if (last != UINT32_MAX) assert_int_equal(found, last);
            }
        }
        shx_rowmap_free(&map);
    }
}

/* Puts are taken back in reverse order, some of them, again and again: what is there is what a plain search finds. */
static void puts_are_taken_back(void **state) {
    (void)state;
    fixture_random random = fixture_seed("rowmap undo", 13);
    enum { PUTS = 400, KEYS = 150, ROUNDS = 60 };
    for (int round = 0; round < ROUNDS; round++) {
        int64_t keys[PUTS];
        uint32_t before[PUTS], count = 0, ascending = (uint32_t)fixture_below(&random, PUTS / 2);
        const key_array array = {keys, PUTS, 0};
        shx_rowmap map = {0};
        for (int cut = 0; cut < 8; cut++) {
            uint32_t grown = count + (uint32_t)fixture_below(&random, PUTS - count + 1);
            for (; count < grown; count++) {
                keys[count] = count < ascending ? 2 * count : (int64_t)fixture_below(&random, KEYS);
                before[count] = SHX_ROWMAP_NONE;
                uint32_t found;
                if (shx_rowmap_get(&map, keys_of(&array), keys[count], &found)) before[count] = found;
                assert_ok(shx_rowmap_put(&map, keys_of(&array), count));
            }
            for (uint32_t kept = (uint32_t)fixture_below(&random, count + 1); count > kept; count--) {
                shx_rowmap_undo(&map, keys_of(&array), count - 1, before[count - 1]);
            }
            for (int64_t key = 0; key < PUTS; key++) {
                uint32_t found = 0, last = UINT32_MAX;
                for (uint32_t p = 0; p < count; p++) last = keys[p] == key ? p : last;
                assert_int_equal(shx_rowmap_get(&map, keys_of(&array), key, &found), last != UINT32_MAX);
                if (last != UINT32_MAX) assert_int_equal(found, last);
            }
        }
        shx_rowmap_free(&map);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extreme_keys_and_positions),
        cmocka_unit_test(a_put_replaces),
        cmocka_unit_test(clearing_forgets_and_keeps_memory),
        cmocka_unit_test(reserved_puts_do_not_allocate),
        cmocka_unit_test(strides_do_not_pile_up),
        cmocka_unit_test(as_a_plain_array),
        cmocka_unit_test(ascending_keys_take_no_memory),
        cmocka_unit_test(puts_are_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
