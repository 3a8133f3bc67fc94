/* A store under test, in memory or a real directory, and what tests do with it. */
#ifndef SHX_TEST_STORE_FIXTURE_H
#define SHX_TEST_STORE_FIXTURE_H

#include "fixture.h"

#include "os.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One store under test. A posix one lives in a fresh temporary folder, beside a database file. */
typedef struct fixture {
    shx_store *store;
    fixture_directory place; /* root: "" for the heap store */
    char database[270], parent[280], path[290];
} fixture;

static inline void test_touch(const char *path, mode_t mode) {
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline int set_up_heap(void **state) {
    fixture *test = calloc(1, sizeof *test);
    *state = test;
    return shx_store_open_heap(&test->store) == SHX_OK ? 0 : -1;
}

static inline int set_up_posix(void **state) {
    fixture *test = calloc(1, sizeof *test);
    *state = test;
    test->place = fixture_directory_make();
    snprintf(test->database, sizeof test->database, "%s/my.db", test->place.root);
    snprintf(test->parent, sizeof test->parent, "%s-shardex", test->database);
    snprintf(test->path, sizeof test->path, "%s/uuid", test->parent);
    test_touch(test->database, 0644);
    return shx_store_open_posix(test->path, &test->store) == SHX_OK ? 0 : -1;
}

static inline int tear_down(void **state) {
    fixture *test = *state;
    shx_store_close(test->store);
    if (test->place.root[0]) fixture_directory_remove(&test->place);
    free(test);
    return 0;
}

static inline shx_store *prepared(void **state) {
    fixture *test = *state;
    assert_int_equal(shx_store_prepare(test->store), SHX_OK);
    return test->store;
}

static inline shx_file *test_open(shx_store *store, const char *name, shx_open_mode mode) {
    shx_file *file = NULL;
    assert_int_equal(shx_file_open(store, name, mode, &file), SHX_OK);
    assert_non_null(file);
    return file;
}

static inline shx_status test_try_open(shx_store *store, const char *name, shx_open_mode mode) {
    shx_file *file = NULL;
    shx_status status = shx_file_open(store, name, mode, &file);
    assert_int_equal(file != NULL, status == SHX_OK);
    shx_file_close(file);
    return status;
}

static inline void test_create(shx_store *store, const char *name) {
    shx_file_close(test_open(store, name, SHX_OPEN_CREATE));
}

/* Names are one letter each: a listing is a set of letters. */
static inline shx_status test_note_name(void *context, const char *name) {
    assert_int_equal(strlen(name), 1);
    ((bool *)context)[(uint8_t)name[0]] = true;
    return SHX_OK;
}

static inline void assert_listing(shx_store *store, const char *names) {
    bool seen[256] = {false};
    assert_int_equal(shx_store_list(store, test_note_name, seen), SHX_OK);
    size_t count = 0;
    for (size_t i = 0; i < 256; i++) count += seen[i];
    assert_int_equal(count, strlen(names));
    for (; *names; names++) assert_true(seen[(uint8_t)*names]);
}

#define ON_BOTH(test)                                                                                                  \
    {"heap: " #test, test, set_up_heap, tear_down, NULL}, { "posix: " #test, test, set_up_posix, tear_down, NULL }
#define ON_POSIX(test) cmocka_unit_test_setup_teardown(test, set_up_posix, tear_down)

#endif
