/* Both stores through the same tests, then what only a real directory has, then the faulty store. */
#include "fixture.h"

#include "faulty_store.h"
#include "memory.h"
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* One store under test. A posix one lives in a fresh temporary folder, beside a database file. */
typedef struct fixture {
    shx_store *store;
    fixture_directory place; /* root: "" for the heap store */
    char database[270], parent[280], path[290];
} fixture;

static void test_touch(const char *path, mode_t mode) {
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int set_up_heap(void **state) {
    fixture *test = calloc(1, sizeof *test);
    *state = test;
    return shx_store_open_heap(&test->store) == SHX_OK ? 0 : -1;
}

static int set_up_posix(void **state) {
    fixture *test = calloc(1, sizeof *test);
    *state = test;
    test->place = fixture_directory_make();
    snprintf(test->database, sizeof test->database, "%s/my.db", test->place.root);
    snprintf(test->parent, sizeof test->parent, "%s-shardex", test->database);
    snprintf(test->path, sizeof test->path, "%s/uuid", test->parent);
    test_touch(test->database, 0644);
    return shx_store_open_posix(test->path, &test->store) == SHX_OK ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *test = *state;
    shx_store_close(test->store);
    if (test->place.root[0]) fixture_directory_remove(&test->place);
    free(test);
    return 0;
}

static shx_store *prepared(void **state) {
    fixture *test = *state;
    assert_int_equal(shx_store_prepare(test->store), SHX_OK);
    return test->store;
}

static shx_file *test_open(shx_store *store, const char *name, shx_open_mode mode) {
    shx_file *file = NULL;
    assert_int_equal(shx_file_open(store, name, mode, &file), SHX_OK);
    assert_non_null(file);
    return file;
}

static shx_status test_try_open(shx_store *store, const char *name, shx_open_mode mode) {
    shx_file *file = NULL;
    shx_status status = shx_file_open(store, name, mode, &file);
    assert_int_equal(file != NULL, status == SHX_OK);
    shx_file_close(file);
    return status;
}

static void test_create(shx_store *store, const char *name) { shx_file_close(test_open(store, name, SHX_OPEN_CREATE)); }

/* Names are one letter each: a listing is a set of letters. */
static shx_status test_note_name(void *context, const char *name) {
    assert_int_equal(strlen(name), 1);
    ((bool *)context)[(uint8_t)name[0]] = true;
    return SHX_OK;
}

static void assert_listing(shx_store *store, const char *names) {
    bool seen[256] = {false};
    assert_int_equal(shx_store_list(store, test_note_name, seen), SHX_OK);
    size_t count = 0;
    for (size_t i = 0; i < 256; i++) count += seen[i];
    assert_int_equal(count, strlen(names));
    for (; *names; names++) assert_true(seen[(uint8_t)*names]);
}

/* ---- both stores ---- */

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

/* ---- a real directory ---- */

static mode_t test_mode(const char *path) {
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    return info.st_mode & 07777;
}

static void opening_touches_nothing(void **state) {
    fixture *test = *state;
    assert_int_equal(access(test->parent, F_OK), -1);
    assert_int_equal(test_try_open(test->store, "a", SHX_OPEN_CREATE), SHX_NOTFOUND);
    assert_int_equal(access(test->parent, F_OK), -1);
}

static void only_two_components_are_made(void **state) {
    fixture *test = *state;
    char path[300];
    snprintf(path, sizeof path, "%s/no/my.db-shardex/uuid", test->place.root);
    shx_store *store = NULL;
    assert_int_equal(shx_store_open_posix(path, &store), SHX_OK);
    assert_int_equal(shx_store_prepare(store), SHX_NOTFOUND);
    shx_store_close(store);
    snprintf(path, sizeof path, "%s/no", test->place.root);
    assert_int_equal(access(path, F_OK), -1);
}

static void paths_must_be_absolute_and_deep_enough(void **state) {
    (void)state;
    const char *paths[] = {"", "a", "a/b", "/", "/a", "/a/", "/a/b/"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        shx_store *store = NULL;
        assert_int_equal(shx_store_open_posix(paths[i], &store), SHX_MISUSE);
        assert_null(store);
    }
}

static void modes_follow_the_database(void **state) {
    fixture *test = *state;
    const struct {
        mode_t database, directory, file;
    } cases[] = {{0600, 0700, 0600}, {0640, 0750, 0640}, {0664, 0775, 0664}, {0666, 0777, 0666}, {0644, 0755, 0644}};
    char file[300];
    snprintf(file, sizeof file, "%s/a", test->path);
    mode_t before = umask(077); /* a narrower umask changes nothing, as with SQLite's own files */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(chmod(test->database, cases[i].database), 0);
        assert_int_equal(shx_store_prepare(test->store), SHX_OK);
        test_create(test->store, "a");
        assert_int_equal(test_mode(test->parent), cases[i].directory);
        assert_int_equal(test_mode(test->path), cases[i].directory);
        assert_int_equal(test_mode(file), cases[i].file);
        fixture_remove_tree(test->parent);
    }
    umask(before);
    assert_int_equal(unlink(test->database), 0);
    assert_int_equal(shx_store_prepare(test->store), SHX_OK);
    assert_int_equal(test_mode(test->parent), 0700);
    assert_int_equal(test_mode(test->path), 0700);
}

static void root_leaves_files_to_the_owner(void **state) {
    fixture *test = *state;
    if (geteuid() != 0 || chown(test->database, 1234, 5678) != 0) skip(); /* a root of few users is none either */
    char file[300];
    snprintf(file, sizeof file, "%s/a", test->path);
    assert_int_equal(shx_store_prepare(test->store), SHX_OK);
    test_create(test->store, "a");
    const char *paths[] = {test->parent, test->path, file};
    for (size_t i = 0; i < 3; i++) {
        struct stat info;
        assert_int_equal(lstat(paths[i], &info), 0);
        assert_int_equal(info.st_uid, 1234);
        assert_int_equal(info.st_gid, 5678);
    }
}

static void links_in_place_of_directories_are_refused(void **state) {
    fixture *test = *state;
    char elsewhere[270], inside[280];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", test->place.root);
    snprintf(inside, sizeof inside, "%s/uuid", elsewhere);
    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(symlink(elsewhere, test->parent), 0);
    assert_int_equal(shx_store_prepare(test->store), SHX_IO);
    assert_int_equal(access(inside, F_OK), -1);
    assert_int_equal(unlink(test->parent), 0);
    assert_int_equal(mkdir(test->parent, 0700), 0);
    assert_int_equal(symlink(elsewhere, test->path), 0);
    assert_int_equal(shx_store_prepare(test->store), SHX_IO);
    assert_int_equal(test_try_open(test->store, "a", SHX_OPEN_CREATE), SHX_IO);
    bool seen[256];
    assert_int_equal(shx_store_list(test->store, test_note_name, seen), SHX_IO);
}

static void a_chosen_directory_may_be_a_link(void **state) {
    fixture *test = *state;
    char real[270], link[270], path[280];
    snprintf(real, sizeof real, "%s/real", test->place.root);
    snprintf(link, sizeof link, "%s/link", test->place.root);
    snprintf(path, sizeof path, "%s/uuid", link);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(symlink(real, link), 0);
    shx_store *store = NULL;
    assert_int_equal(shx_store_open_posix(path, &store), SHX_OK);
    assert_int_equal(shx_store_prepare(store), SHX_OK);
    test_create(store, "a");
    assert_listing(store, "a");
    shx_store_close(store);
}

static void files_in_place_of_directories_are_refused(void **state) {
    fixture *test = *state;
    test_touch(test->parent, 0600);
    assert_int_equal(shx_store_prepare(test->store), SHX_IO);
    assert_int_equal(test_try_open(test->store, "a", SHX_OPEN_READ), SHX_IO);
    assert_int_equal(unlink(test->parent), 0);
    assert_int_equal(mkdir(test->parent, 0700), 0);
    test_touch(test->path, 0600);
    assert_int_equal(shx_store_prepare(test->store), SHX_IO);
    assert_int_equal(test_try_open(test->store, "a", SHX_OPEN_CREATE), SHX_IO);
}

/* A link, a folder, a FIFO and a device under names of ours: not listed, not opened, and no hang. */
static void what_is_no_file_is_refused(void **state) {
    fixture *test = *state;
    shx_store *store = prepared(state);
    char path[300];
    test_create(store, "a");
    snprintf(path, sizeof path, "%s/l", test->path);
    assert_int_equal(symlink(test->database, path), 0);
    snprintf(path, sizeof path, "%s/d", test->path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/p", test->path);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/n", test->path);
    bool device = mknod(path, S_IFCHR | 0600, (dev_t)(1 << 8 | 3)) == 0; /* the null device; needs root */
    assert_listing(store, "a");
    for (const char *name = device ? "ldpn" : "ldp"; *name; name++) {
        char one[2] = {*name, 0};
        assert_int_not_equal(test_try_open(store, one, SHX_OPEN_READ), SHX_OK);
        assert_int_not_equal(test_try_open(store, one, SHX_OPEN_APPEND), SHX_OK);
        assert_int_equal(test_try_open(store, one, SHX_OPEN_CREATE), SHX_BUSY);
    }
}

/* In a child without standard streams: what it opens must not become one of them, and must close on exec. */
static int test_without_streams(fixture *test) {
    for (int fd = 0; fd < 3; fd++) close(fd);
    shx_file *file = NULL;
    if (shx_store_prepare(test->store) != SHX_OK) return 1;
    if (shx_file_open(test->store, "a", SHX_OPEN_CREATE, &file) != SHX_OK) return 2;
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) return 3;
    }
    bool closes_on_exec = false;
    for (int fd = 3; fd < 64; fd++) closes_on_exec |= fcntl(fd, F_GETFD) == FD_CLOEXEC;
    return closes_on_exec && shx_file_write(file, 0, "x", 1) == SHX_OK ? 0 : 4;
}

static void descriptors_avoid_the_standard_streams(void **state) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(test_without_streams(*state));
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}

static void a_child_is_another_process(void **state) {
    (void)state;
    int64_t here = shx_process();
    assert_int_equal(here, getpid());
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(shx_process() == getpid() && shx_process() != here ? 0 : 1);
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(shx_process(), here);
}

/* Root may write anywhere, so a child becomes somebody else who may read the directory and not write it; where there is
** such a user, and a way to the directory. */
#define NOBODY 77

static void a_directory_that_may_not_be_written_is_readonly(void **state) {
    fixture *test = *state;
    shx_store *store = prepared(state);
    test_create(store, "a");
    assert_int_equal(chmod(test->place.root, 0755), 0);
    assert_int_equal(chmod(test->path, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(NOBODY);
        if (access(test->path, R_OK) != 0) _exit(NOBODY);
        shx_file *file = NULL;
        bool seen[256] = {false};
        if (shx_store_prepare(store) != SHX_OK) _exit(2);
        if (shx_store_list(store, test_note_name, seen) != SHX_OK || !seen['a']) _exit(3);
        if (shx_file_open(store, "b", SHX_OPEN_CREATE, &file) != SHX_READONLY) _exit(4);
        _exit(shx_store_remove(store, "a") == SHX_READONLY ? 0 : 5);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(chmod(test->path, 0700), 0);
    if (WIFEXITED(result) && WEXITSTATUS(result) == NOBODY) skip();
    assert_int_equal(result, 0);
}

/* The lock must hold against other processes too, and end with them. */
static void locks_hold_between_processes(void **state) {
    shx_store *store = prepared(state);
    test_create(store, "a");
    shx_file *file = test_open(store, "a", SHX_OPEN_READ);
    assert_int_equal(shx_file_lock(file, true), SHX_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        shx_file *mine = NULL;
        if (shx_file_open(store, "a", SHX_OPEN_READ, &mine) != SHX_OK) _exit(1);
        _exit(shx_file_lock(mine, false) == SHX_BUSY ? 0 : 2);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    shx_file_close(file);
}

/* ---- the faulty store ---- */

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

#define ON_BOTH(test)                                                                                                  \
    {"heap: " #test, test, set_up_heap, tear_down, NULL}, { "posix: " #test, test, set_up_posix, tear_down, NULL }
#define ON_POSIX(test) cmocka_unit_test_setup_teardown(test, set_up_posix, tear_down)

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
        ON_POSIX(opening_touches_nothing),
        ON_POSIX(only_two_components_are_made),
        ON_POSIX(paths_must_be_absolute_and_deep_enough),
        ON_POSIX(modes_follow_the_database),
        ON_POSIX(root_leaves_files_to_the_owner),
        ON_POSIX(links_in_place_of_directories_are_refused),
        ON_POSIX(a_chosen_directory_may_be_a_link),
        ON_POSIX(files_in_place_of_directories_are_refused),
        ON_POSIX(what_is_no_file_is_refused),
        ON_POSIX(descriptors_avoid_the_standard_streams),
        cmocka_unit_test(a_child_is_another_process),
        ON_POSIX(a_directory_that_may_not_be_written_is_readonly),
        ON_POSIX(locks_hold_between_processes),
        ON_BOTH(the_faulty_store_counts_calls),
        ON_BOTH(the_faulty_store_fails_the_nth_call),
        ON_BOTH(a_torn_write_leaves_its_first_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
