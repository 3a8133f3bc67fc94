/* The faulty store, over both kinds. */
#include "store_fixture.h"

#include "faulty_store.h"

typedef struct faulty_run {
    shx_status status;
    int step; /* the last that was tried */
} faulty_run;

/* prepare, create, write, sync, size, read, map, remove: 8 calls, 5 of them mutating. Stops at the first that fails. */
static faulty_run test_eight_calls(shx_store *store) {
    shx_file *file = NULL;
    shx_map map = {0};
    uint64_t size;
    char bytes[8];
    faulty_run run = {SHX_OK, 0};
    while (run.status == SHX_OK && run.step < 8) {
        switch (++run.step) {
        case 1: run.status = shx_store_prepare(store); break;
        case 2: run.status = shx_file_open(store, "a", SHX_OPEN_CREATE, &file); break;
        case 3: run.status = shx_file_write(file, 0, "12345678", 8); break;
        case 4: run.status = shx_file_sync(file); break;
        case 5: run.status = shx_file_size(file, &size); break;
        case 6: run.status = shx_file_read(file, 0, bytes, 8); break;
        case 7: run.status = shx_file_map(file, 0, 8, &map); break;
        default: run.status = shx_store_remove(store, "a"); break;
        }
    }
    shx_map_release(&map);
    shx_file_close(file);
    return run;
}

static void the_faulty_store_counts_calls(void **state) {
    fixture *test = *state;
    shx_store *faulty = NULL;
    assert_int_equal(faulty_store_wrap(test->store, &faulty), SHX_OK);
    assert_int_equal(test_eight_calls(faulty).status, SHX_OK);
    assert_int_equal(faulty_store_calls(faulty, FAULTY_ANY), 8);
    assert_int_equal(faulty_store_calls(faulty, FAULTY_MUTATING), 5);
    assert_int_equal(faulty_store_failures(faulty), 0);
    shx_store_close(faulty);
    assert_listing(test->store, "");
}

static void the_faulty_store_fails_the_nth_call(void **state) {
    shx_store *inner = prepared(state), *faulty = NULL;
    const int mutating[] = {1, 2, 3, 4, 8};
    assert_int_equal(faulty_store_wrap(inner, &faulty), SHX_OK);
    for (int round = 0; round < 4 * 9; round++) {
        faulty_kind kind = round & 1 ? FAULTY_MUTATING : FAULTY_ANY;
        bool forever = round & 2;
        int nth = 1 + round / 4;
        faulty_store_plan(faulty, &(faulty_plan){kind, (uint64_t)nth, SHX_FULL, forever, false});
        faulty_run run = test_eight_calls(faulty);
        if (nth <= (kind == FAULTY_ANY ? 8 : 5)) {
            assert_int_equal(run.status, SHX_FULL);
            assert_int_equal(run.step, kind == FAULTY_ANY ? nth : mutating[nth - 1]);
            assert_int_equal(shx_store_sync(faulty), forever ? SHX_FULL : SHX_OK);
            assert_int_equal(faulty_store_failures(faulty), forever ? 2 : 1);
        } else {
            assert_int_equal(run.status, SHX_OK);
            assert_int_equal(faulty_store_failures(faulty), 0);
        }
        (void)shx_store_remove(inner, "a");
    }
    shx_store_close(faulty);
}

static void a_torn_write_leaves_its_first_half(void **state) {
    shx_store *inner = prepared(state), *faulty = NULL;
    assert_int_equal(faulty_store_wrap(inner, &faulty), SHX_OK);
    shx_file *file = test_open(faulty, "a", SHX_OPEN_CREATE);
    faulty_store_plan(faulty, &(faulty_plan){FAULTY_MUTATING, 2, SHX_IO, false, true});
    shx_store_close(faulty); /* files go on, plan and all */
    uint64_t size = 0;
    assert_int_equal(shx_file_write(file, 0, "1234", 4), SHX_OK);
    assert_int_equal(shx_file_write(file, 4, "5678", 4), SHX_IO);
    assert_int_equal(shx_file_size(file, &size), SHX_OK);
    assert_int_equal(size, 6);
    assert_int_equal(shx_file_write(file, 4, "5678", 4), SHX_OK);
    shx_file_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(the_faulty_store_counts_calls),
        ON_BOTH(the_faulty_store_fails_the_nth_call),
        ON_BOTH(a_torn_write_leaves_its_first_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
