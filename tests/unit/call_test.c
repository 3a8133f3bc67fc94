/* The system's calls under the store of a real directory and under the pool: which are made (a simulated file system
** sees those of the seam, not these), and what comes of those that fail, are interrupted, or do a part.
*/
#include "calls.h"

#include "fixture.h"
#include "os.h"
#include "pool.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The test itself makes the real ones. */
#undef fsync
#undef flock
#undef openat
#undef pread
#undef pwrite
#undef mmap
#undef pthread_create

typedef enum call_kind {
    CALL_FSYNC,
    CALL_FLOCK,
    CALL_OPENAT,
    CALL_PREAD,
    CALL_PWRITE,
    CALL_MMAP,
    CALL_THREAD,
    CALLS,
} call_kind;

#define CALLS_SYNCED 8

/* What is counted, and which calls fail: of one kind, from the `from`-th on, `times` of them, with `error`. */
static struct {
    unsigned made[CALLS];
    call_kind kind;
    unsigned from, times;
    int error;
    size_t most; /* bytes that a call reads or writes; 0: all */
    ino_t synced[CALLS_SYNCED];
} calls;

static void calls_plan(call_kind kind, unsigned from, unsigned times, int error) {
    memset(&calls, 0, sizeof calls);
    calls.kind = kind, calls.from = from, calls.times = times, calls.error = error;
}

static void calls_count(void) { calls_plan(CALLS, 0, 0, 0); }

static bool calls_fail(call_kind kind) {
    unsigned number = ++calls.made[kind];
    bool fails = kind == calls.kind && number >= calls.from && number - calls.from < calls.times;
    if (fails) errno = calls.error;
    return fails;
}

int calls_fsync(int fd) {
    struct stat info;
    if (calls_fail(CALL_FSYNC)) return -1;
    assert_true(calls.made[CALL_FSYNC] <= CALLS_SYNCED && fstat(fd, &info) == 0);
    calls.synced[calls.made[CALL_FSYNC] - 1] = info.st_ino;
    return fsync(fd);
}

int calls_flock(int fd, int operation) { return calls_fail(CALL_FLOCK) ? -1 : flock(fd, operation); }

int calls_openat(int directory, const char *name, int flags, mode_t mode) {
    return calls_fail(CALL_OPENAT) ? -1 : openat(directory, name, flags, mode);
}

static size_t calls_part(size_t size) { return calls.most && calls.most < size ? calls.most : size; }

ssize_t calls_pread(int fd, void *bytes, size_t size, off_t offset) {
    return calls_fail(CALL_PREAD) ? -1 : pread(fd, bytes, calls_part(size), offset);
}

ssize_t calls_pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    return calls_fail(CALL_PWRITE) ? -1 : pwrite(fd, bytes, calls_part(size), offset);
}

void *calls_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    return calls_fail(CALL_MMAP) ? MAP_FAILED : mmap(address, size, protection, flags, fd, offset);
}

int calls_thread(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *argument), void *argument) {
    return calls_fail(CALL_THREAD) ? calls.error : pthread_create(thread, attributes, run, argument);
}

/* ---- a directory ---- */

typedef struct call_place {
    fixture_directory directory;
    shx_store *store;
} call_place;

static int set_up(void **state) {
    call_place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    calls_count();
    place->directory = fixture_directory_make();
    assert_ok(shx_store_open_posix(place->directory.path, &place->store));
    assert_ok(shx_store_prepare(place->store));
    *state = place;
    return 0;
}

static int tear_down(void **state) {
    call_place *place = *state;
    calls_count();
    shx_store_close(place->store);
    fixture_directory_remove(&place->directory);
    free(place);
    return 0;
}

static shx_file *call_create(const call_place *place, const char *name) {
    shx_file *file = NULL;
    assert_ok(shx_file_open(place->store, name, SHX_OPEN_CREATE, &file));
    return file;
}

static ino_t call_inode(const char *format, ...) {
    char path[400];
    struct stat info;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

/* How many descriptors there are: those of a call that fails must be closed. */
static unsigned call_descriptors(void) {
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++) count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* ---- syncs ---- */

/* Power loss takes what was not synced by the system's own call: of a file its content; of names the directory, its
** parent, and the folder that the parent is in. */
static void what_is_synced(void **state) {
    const call_place *place = *state;
    const char *path = place->directory.path, *root = place->directory.root;
    shx_file *file = call_create(place, "a");
    assert_ok(shx_file_write(file, 0, "abc", 3));
    calls_count();
    assert_ok(shx_file_sync(file));
    assert_int_equal(calls.made[CALL_FSYNC], 1);
    assert_int_equal(calls.synced[0], call_inode("%s/a", path));
    shx_file_close(file);
    calls_count();
    assert_ok(shx_store_sync(place->store));
    assert_int_equal(calls.made[CALL_FSYNC], 3);
    assert_int_equal(calls.synced[0], call_inode("%s", path));
    assert_int_equal(calls.synced[1], call_inode("%s/..", path));
    assert_int_equal(calls.synced[2], call_inode("%s", root));
    calls_count();
    char database[300];
    snprintf(database, sizeof database, "%s/test.db-journal", root);
    assert_ok(shx_sync_beside(database));
    assert_int_equal(calls.made[CALL_FSYNC], 1);
    assert_int_equal(calls.synced[0], call_inode("%s", root));
}

/* After a failure the system may have dropped what it could not write, and calls the file synced if asked again: so it
** is not asked again, and the failure is told. */
static void a_failed_sync_is_told_and_not_repeated(void **state) {
    const call_place *place = *state;
    static const struct {
        int error;
        shx_status status;
    } cases[] = {{EIO, SHX_IO}, {ENOSPC, SHX_FULL}, {EDQUOT, SHX_FULL}, {EROFS, SHX_READONLY}};
    shx_file *file = call_create(place, "a");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        calls_plan(CALL_FSYNC, 1, 1, cases[i].error);
        assert_status(shx_file_sync(file), cases[i].status);
        assert_int_equal(calls.made[CALL_FSYNC], 1);
        for (unsigned nth = 1; nth <= 2; nth++) {
            ino_t failed = call_inode(nth == 1 ? "%s" : "%s/..", place->directory.path);
            calls_plan(CALL_FSYNC, nth, 1, cases[i].error);
            assert_status(shx_store_sync(place->store), cases[i].status);
            for (size_t s = 0; s < CALLS_SYNCED; s++) assert_true(calls.synced[s] != failed);
        }
    }
    shx_file_close(file);
}

static void an_interrupted_sync_is_repeated(void **state) {
    const call_place *place = *state;
    shx_file *file = call_create(place, "a");
    calls_plan(CALL_FSYNC, 1, 3, EINTR);
    assert_ok(shx_file_sync(file));
    assert_int_equal(calls.made[CALL_FSYNC], 4);
    shx_file_close(file);
    calls_plan(CALL_FSYNC, 1, 3, EINTR);
    assert_ok(shx_store_sync(place->store));
    assert_int_equal(calls.made[CALL_FSYNC], 6);
}

/* Some file systems sync no directories: nothing can be done about it, and files must be synced all the same. */
static void directories_that_cannot_be_synced(void **state) {
    const call_place *place = *state;
    shx_file *file = call_create(place, "a");
    calls_plan(CALL_FSYNC, 1, 3, EINVAL);
    assert_ok(shx_store_sync(place->store));
    assert_int_equal(calls.made[CALL_FSYNC], 3);
    calls_plan(CALL_FSYNC, 1, 1, EINVAL);
    assert_status(shx_file_sync(file), SHX_IO);
    shx_file_close(file);
}

/* ---- other calls ---- */

/* Creates, locks, writes, reads, maps and closes a file; the first status that is not SHX_OK. */
static shx_status call_use(const call_place *place, const char *name) {
    static const char text[] = "what is written in parts is read in parts";
    char back[sizeof text] = "";
    shx_map map = {0};
    shx_file *file = NULL;
    SHX_TRY(shx_file_open(place->store, name, SHX_OPEN_CREATE, &file));
    shx_status status = shx_file_lock(file, true);
    if (status == SHX_OK) status = shx_file_write(file, 5, text, sizeof text);
    if (status == SHX_OK) status = shx_file_read(file, 5, back, sizeof back);
    if (status == SHX_OK) assert_string_equal(back, text);
    if (status == SHX_OK) status = shx_file_map(file, 5, sizeof text, &map);
    if (status == SHX_OK) assert_memory_equal(map.bytes, text, sizeof text);
    shx_map_release(&map);
    shx_file_close(file);
    return status;
}

static void interrupted_calls_are_repeated(void **state) {
    const call_place *place = *state;
    static const call_kind kinds[] = {CALL_FLOCK, CALL_OPENAT, CALL_PREAD, CALL_PWRITE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        calls_plan(kinds[i], 1, 4, EINTR);
        assert_ok(call_use(place, name));
        assert_true(calls.made[kinds[i]] > 4);
    }
}

static void parts_are_put_together(void **state) {
    const call_place *place = *state;
    for (size_t most = 1; most < 8; most++) {
        char name[2] = {(char)('a' + most), '\0'};
        calls_count();
        calls.most = most;
        assert_ok(call_use(place, name));
        assert_true(calls.made[CALL_PREAD] > 1 && calls.made[CALL_PWRITE] > 1);
    }
}

/* A part that was written, and then no more room. */
static void a_part_is_not_the_whole(void **state) {
    const call_place *place = *state;
    calls_plan(CALL_PWRITE, 3, UINT32_MAX, ENOSPC);
    calls.most = 2;
    assert_status(call_use(place, "a"), SHX_FULL);
    calls_plan(CALL_PREAD, 3, UINT32_MAX, EIO);
    calls.most = 2;
    assert_status(call_use(place, "b"), SHX_IO);
}

/* Each call fails in each way; it is told as what it is, nothing stays open, and the next try works. */
static void failing_calls(void **state) {
    const call_place *place = *state;
    static const struct {
        call_kind kind;
        int error;
        shx_status status;
    } cases[] = {
        {CALL_FLOCK, EWOULDBLOCK, SHX_BUSY}, {CALL_FLOCK, ENOLCK, SHX_IO},       {CALL_OPENAT, EMFILE, SHX_IO},
        {CALL_OPENAT, ENFILE, SHX_IO},       {CALL_OPENAT, ENOMEM, SHX_NOMEM},   {CALL_OPENAT, EROFS, SHX_READONLY},
        {CALL_OPENAT, ENOSPC, SHX_FULL},     {CALL_PREAD, EIO, SHX_IO},          {CALL_PWRITE, EIO, SHX_IO},
        {CALL_PWRITE, EDQUOT, SHX_FULL},     {CALL_PWRITE, EROFS, SHX_READONLY}, {CALL_MMAP, ENOMEM, SHX_NOMEM},
        {CALL_MMAP, ENODEV, SHX_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned before = call_descriptors(), made = 1;
        for (unsigned nth = 1; nth <= made; nth++) {
            calls_plan(cases[i].kind, nth, 1, cases[i].error);
            assert_status(call_use(place, "a"), cases[i].status);
            assert_int_equal(call_descriptors(), before);
            calls_count();
            (void)shx_store_remove(place->store, "a"); /* if it came so far */
            calls_count();
            assert_ok(call_use(place, "a"));
            made = calls.made[cases[i].kind];
            assert_ok(shx_store_remove(place->store, "a"));
        }
    }
}

/* ---- threads ---- */

static shx_status call_add(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    atomic_fetch_add((atomic_ullong *)context, end - first);
    return SHX_OK;
}

/* A process may have no more threads: a pool has as many as there are, if only the caller's. */
static void threads_that_do_not_start(void **state) {
    (void)state;
    for (unsigned nth = 1; nth <= 4; nth++) {
        shx_pool *pool = NULL;
        atomic_ullong sum = 0;
        calls_plan(CALL_THREAD, nth, 1, EAGAIN);
        assert_ok(shx_pool_create(4, &pool));
        assert_int_equal(shx_pool_threads(pool), nth);
        assert_ok(shx_pool_run(pool, 1000, 7, call_add, &sum));
        assert_int_equal(sum, 1000);
        shx_pool_destroy(pool);
    }
}

#define IN_A_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(what_is_synced),
        IN_A_DIRECTORY(a_failed_sync_is_told_and_not_repeated),
        IN_A_DIRECTORY(an_interrupted_sync_is_repeated),
        IN_A_DIRECTORY(directories_that_cannot_be_synced),
        IN_A_DIRECTORY(interrupted_calls_are_repeated),
        IN_A_DIRECTORY(parts_are_put_together),
        IN_A_DIRECTORY(a_part_is_not_the_whole),
        IN_A_DIRECTORY(failing_calls),
        cmocka_unit_test(threads_that_do_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
