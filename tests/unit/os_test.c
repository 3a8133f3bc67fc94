/* Both stores through the same tests. */
#include "store_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void nothing_is_there_before_prepare(void **state) {
    fixture *test = *state;
    bool seen[256];
    assert_int_equal(shx_store_list(test->store, test_note_name, seen), SHX_NOTFOUND);
    assert_int_equal(test_try_open(test->store, "a", SHX_OPEN_READ), SHX_NOTFOUND);
    assert_int_equal(test_try_open(test->store, "a", SHX_OPEN_CREATE), SHX_NOTFOUND);
    assert_int_equal(shx_store_remove(test->store, "a"), SHX_NOTFOUND);
    assert_int_equal(shx_store_sync(test->store), SHX_NOTFOUND);
    assert_int_equal(shx_store_prepare(test->store), SHX_OK);
    assert_int_equal(shx_store_prepare(test->store), SHX_OK);
    assert_listing(test->store, "");
    assert_int_equal(shx_store_sync(test->store), SHX_OK);
}

static void files_are_created_listed_and_removed(void **state) {
    shx_store *store = prepared(state);
    for (const char *name = "abcdefghijklmnopqrstuvwxyz"; *name; name++) test_create(store, (char[]){*name, 0});
    assert_listing(store, "abcdefghijklmnopqrstuvwxyz");
    for (const char *name = "bcdefghijklmnopqrstuvwxy"; *name; name++) {
        assert_int_equal(shx_store_remove(store, (char[]){*name, 0}), SHX_OK);
    }
    assert_listing(store, "az");
    assert_int_equal(shx_store_remove(store, "b"), SHX_NOTFOUND);
    assert_int_equal(test_try_open(store, "b", SHX_OPEN_READ), SHX_NOTFOUND);
    assert_int_equal(test_try_open(store, "b", SHX_OPEN_APPEND), SHX_NOTFOUND);
    assert_int_equal(test_try_open(store, "a", SHX_OPEN_CREATE), SHX_BUSY);
    assert_int_equal(test_try_open(store, "a", SHX_OPEN_APPEND), SHX_OK);
    assert_int_equal(shx_store_sync(store), SHX_OK);
}

/* What would pass the limit on files is refused, and told. In a child: limits are the process's. */
static void a_write_past_the_limit_is_told(void **state) {
    shx_store *store = prepared(state);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {100, RLIM_INFINITY};
        uint8_t bytes[200] = {0};
        shx_file *file;
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(2);
        if (shx_file_open(store, "f", SHX_OPEN_CREATE, &file) != SHX_OK) _exit(2);
        bool told = shx_file_write(file, 0, bytes, 100) == SHX_OK && shx_file_write(file, 50, bytes, 200) != SHX_OK;
        shx_file_close(file);
        _exit(told ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void names_with_a_path_are_refused(void **state) {
    shx_store *store = prepared(state);
    const char *names[] = {"", ".", "..", "a/b", "/a", "../a", "a/"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(test_try_open(store, names[i], SHX_OPEN_CREATE), SHX_MISUSE);
        assert_int_equal(test_try_open(store, names[i], SHX_OPEN_READ), SHX_MISUSE);
        assert_int_equal(shx_store_remove(store, names[i]), SHX_MISUSE);
    }
    assert_listing(store, "");
}

static shx_status test_remove_visited(void *context, const char *name) {
    test_try_open(context, name, SHX_OPEN_READ);
    return shx_store_remove(context, name);
}

static shx_status test_stop(void *context, const char *name) {
    (void)name;
    ++*(int *)context;
    return SHX_INTERRUPT;
}

static void a_visitor_may_stop_and_may_remove(void **state) {
    shx_store *store = prepared(state);
    for (const char *name = "abcde"; *name; name++) test_create(store, (char[]){*name, 0});
    int visits = 0;
    assert_int_equal(shx_store_list(store, test_stop, &visits), SHX_INTERRUPT);
    assert_int_equal(visits, 1);
    assert_int_equal(shx_store_list(store, test_remove_visited, store), SHX_OK);
    assert_listing(store, "");
}

static void bytes_are_read_back(void **state) {
    shx_store *store = prepared(state);
    shx_file *file = test_open(store, "a", SHX_OPEN_CREATE);
    uint64_t size = 99;
    uint8_t bytes[16] = {0};
    assert_int_equal(shx_file_size(file, &size), SHX_OK);
    assert_int_equal(size, 0);
    assert_int_equal(shx_file_write(file, 0, "hello", 5), SHX_OK);
    assert_int_equal(shx_file_write(file, 10, "world", 5), SHX_OK);
    assert_int_equal(shx_file_write(file, 1, "E", 1), SHX_OK);
    assert_int_equal(shx_file_write(file, 100, "", 0), SHX_OK);
    assert_int_equal(shx_file_sync(file), SHX_OK);
    shx_file *reader = test_open(store, "a", SHX_OPEN_READ);
    assert_int_equal(shx_file_size(reader, &size), SHX_OK);
    assert_int_equal(size, 15);
    assert_int_equal(shx_file_read(reader, 0, bytes, 15), SHX_OK);
    assert_memory_equal(bytes, "hEllo\0\0\0\0\0world", 15);
    assert_int_equal(shx_file_read(reader, 14, bytes, 1), SHX_OK);
    assert_int_equal(bytes[0], 'd');
    assert_int_equal(shx_file_read(reader, 99, bytes, 0), SHX_OK);
    assert_int_equal(shx_file_write(reader, 0, "x", 1), SHX_IO);
    shx_file_close(file);
    shx_file_close(reader);
    shx_file_close(NULL);
}

static void what_lies_past_the_end_is_corrupt(void **state) {
    shx_file *file = test_open(prepared(state), "a", SHX_OPEN_CREATE);
    const uint64_t spans[][2] = {{0, 9}, {8, 1}, {7, 2}, {UINT64_MAX, 1}, {UINT64_MAX, 2}, {1, UINT64_MAX}, {4096, 1}};
    uint8_t bytes[16];
    assert_int_equal(shx_file_write(file, 0, "12345678", 8), SHX_OK);
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        unsigned long before = shx_corrupt_count();
        shx_map map = {0};
        assert_int_equal(shx_file_read(file, spans[i][0], bytes, spans[i][1]), SHX_CORRUPT);
        assert_int_equal(shx_file_map(file, spans[i][0], spans[i][1], &map), SHX_CORRUPT);
        assert_null(map.bytes);
        assert_int_equal(shx_corrupt_count(), before + 2);
    }
    assert_int_equal(shx_file_write(file, UINT64_MAX - 3, "12345678", 8), SHX_MISUSE);
    assert_int_equal(shx_file_write(file, INT64_MAX - 3, "12345678", 8), SHX_MISUSE);
    assert_int_equal(shx_file_map(file, 0, 0, &(shx_map){0}), SHX_MISUSE);
    shx_file_close(file);
}

/* Byte i of the big file of the next tests. */
static uint8_t test_byte(uint64_t i) { return (uint8_t)(i * 31 + i / 251); }

static void test_append(shx_file *file, uint64_t first, uint64_t end) {
    uint8_t *bytes = malloc(end - first);
    assert_non_null(bytes);
    for (uint64_t i = first; i < end; i++) bytes[i - first] = test_byte(i);
    assert_int_equal(shx_file_write(file, first, bytes, end - first), SHX_OK);
    free(bytes);
}

static void assert_map(const shx_map *map, uint64_t first) {
    for (uint64_t i = 0; i < map->size; i++) {
        if (map->bytes[i] != test_byte(first + i)) fail_msg("byte %lu differs", (unsigned long)(first + i));
    }
}

static void mappings_start_anywhere(void **state) {
    shx_file *file = test_open(prepared(state), "a", SHX_OPEN_CREATE);
    test_append(file, 0, 20000);
    const uint64_t spans[][2] = {{0, 1}, {0, 20000}, {1, 4096}, {4095, 2}, {4096, 4096}, {12345, 7655}, {19999, 1}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        shx_map map = {0};
        assert_int_equal(shx_file_map(file, spans[i][0], spans[i][1], &map), SHX_OK);
        assert_int_equal(map.size, spans[i][1]);
        assert_int_equal((uintptr_t)map.bytes % 64, spans[i][0] % 64); /* sections of 64 are used in place */
        assert_map(&map, spans[i][0]);
        shx_map_release(&map);
        assert_null(map.bytes);
        shx_map_release(&map);
    }
    shx_file_close(file);
}

static void a_mapping_survives_growth_removal_and_closing(void **state) {
    fixture *test = *state;
    shx_store *store = prepared(state);
    shx_file *file = test_open(store, "a", SHX_OPEN_CREATE);
    shx_map maps[30];
    uint64_t end = 0;
    for (size_t i = 0; i < 30; i++) {
        uint64_t first = end;
        end = end * 5 / 4 + 100;
        test_append(file, first, end);
        assert_int_equal(shx_file_map(file, i % 2 ? first : 0, i % 2 ? end - first : end, &maps[i]), SHX_OK);
    }
    assert_int_equal(shx_store_remove(store, "a"), SHX_OK);
    test_append(file, end, end + 1000); /* an open file outlives its name */
    test_create(store, "a");
    shx_store_close(store);
    test->store = NULL;
    uint8_t last;
    assert_int_equal(shx_file_read(file, end + 999, &last, 1), SHX_OK);
    assert_int_equal(last, test_byte(end + 999));
    shx_file_close(file);
    end = 0;
    for (size_t i = 0; i < 30; i++) {
        assert_map(&maps[i], i % 2 ? end : 0);
        end = end * 5 / 4 + 100;
        shx_map_release(&maps[i]);
    }
}

static void a_removed_name_can_be_created_again(void **state) {
    shx_store *store = prepared(state);
    shx_file *old = test_open(store, "a", SHX_OPEN_CREATE);
    assert_int_equal(shx_file_write(old, 0, "old", 3), SHX_OK);
    assert_int_equal(shx_store_remove(store, "a"), SHX_OK);
    shx_file *new = test_open(store, "a", SHX_OPEN_CREATE);
    uint64_t size = 9;
    assert_int_equal(shx_file_size(new, &size), SHX_OK);
    assert_int_equal(size, 0);
    assert_int_equal(shx_file_size(old, &size), SHX_NOTFOUND);
    char bytes[3];
    assert_int_equal(shx_file_read(old, 0, bytes, sizeof bytes), SHX_OK);
    assert_memory_equal(bytes, "old", sizeof bytes);
    assert_int_equal(shx_file_lock(old, true), SHX_OK); /* two files, two locks */
    assert_int_equal(shx_file_lock(new, true), SHX_OK);
    shx_file_close(old);
    shx_file_close(new);
}

static void locks_exclude_each_other(void **state) {
    shx_store *store = prepared(state);
    test_create(store, "a");
    shx_file *one = test_open(store, "a", SHX_OPEN_READ), *two = test_open(store, "a", SHX_OPEN_READ);
    shx_file *three = test_open(store, "a", SHX_OPEN_APPEND);
    assert_int_equal(shx_file_lock(one, true), SHX_OK);
    assert_int_equal(shx_file_lock(one, true), SHX_OK);
    assert_int_equal(shx_file_lock(two, true), SHX_BUSY);
    assert_int_equal(shx_file_lock(two, false), SHX_BUSY);
    assert_int_equal(shx_file_lock(one, false), SHX_OK); /* weakened */
    assert_int_equal(shx_file_lock(two, false), SHX_OK);
    assert_int_equal(shx_file_lock(three, true), SHX_BUSY);
    assert_int_equal(shx_file_lock(three, false), SHX_OK);
    assert_int_equal(shx_file_lock(three, true), SHX_BUSY); /* and the shared one is lost */
    shx_file_close(two);
    assert_int_equal(shx_file_lock(one, true), SHX_OK); /* strengthened: nobody else is left */
    assert_int_equal(shx_file_lock(three, false), SHX_BUSY);
    shx_file_close(one);
    assert_int_equal(shx_file_lock(three, true), SHX_OK);
    shx_file_close(three);
}

typedef struct shared_work {
    shx_store *store;
    unsigned number;
} shared_work;

/* Makes, fills, reads and removes files of its own, and fights for one name with the others. */
static void *test_use_store(void *argument) {
    const shared_work *work = argument;
    uintptr_t wrong = 0;
    for (unsigned i = 0; i < 200; i++) {
        shx_file *file = NULL, *common = NULL;
        char name[2] = {(char)('a' + work->number), 0}, byte = 0;
        wrong += shx_file_open(work->store, name, SHX_OPEN_CREATE, &file) != SHX_OK;
        wrong += !file || shx_file_write(file, i * 50, name, 1) != SHX_OK;
        wrong += !file || shx_file_read(file, i * 50, &byte, 1) != SHX_OK || byte != name[0];
        shx_file_close(file);
        wrong += shx_store_remove(work->store, name) != SHX_OK;
        shx_status status = shx_file_open(work->store, "z", SHX_OPEN_CREATE, &common);
        wrong += status != SHX_OK && status != SHX_BUSY;
        shx_file_close(common);
        wrong += status == SHX_OK && shx_store_remove(work->store, "z") != SHX_OK;
    }
    return (void *)wrong;
}

static void threads_share_a_store(void **state) {
    shx_store *store = prepared(state);
    pthread_t threads[3];
    shared_work work[3];
    for (unsigned i = 0; i < 3; i++) {
        work[i] = (shared_work){store, i};
        assert_int_equal(pthread_create(&threads[i], NULL, test_use_store, &work[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        void *wrong = store;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_listing(store, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(nothing_is_there_before_prepare),
        ON_BOTH(files_are_created_listed_and_removed),
        ON_BOTH(names_with_a_path_are_refused),
        ON_BOTH(a_visitor_may_stop_and_may_remove),
        ON_BOTH(bytes_are_read_back),
        ON_BOTH(what_lies_past_the_end_is_corrupt),
        ON_BOTH(mappings_start_anywhere),
        ON_BOTH(a_mapping_survives_growth_removal_and_closing),
        ON_BOTH(a_removed_name_can_be_created_again),
        ON_BOTH(locks_exclude_each_other),
        ON_BOTH(threads_share_a_store),
        ON_POSIX(a_write_past_the_limit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
