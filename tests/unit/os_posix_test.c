/* What only a store of a real directory has: modes, owners, links, descriptors, other processes. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
