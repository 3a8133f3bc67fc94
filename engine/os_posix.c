/* The store over a real directory.
**
** Nothing is kept open between calls: every operation opens the directory anew, so that a directory that was removed
** and made again is found, and several threads share a store without a lock.
*/
#include "os.h"

#include "bytes.h"
#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(off_t) == sizeof(uint64_t), "files are larger than 2 GB: build with _FILE_OFFSET_BITS=64");

typedef struct os_posix_store {
    shx_store base;
    const char *child; /* the last component of the path, behind the NUL of its parent */
    char parent[];
} os_posix_store;

typedef struct os_posix_file {
    shx_file base;
    int fd;
    uint64_t reach; /* up to here the process may write */
} os_posix_file;

#define OS_POSIX_REACH (1u << 20) /* written between two looks at the limit */

/* Who may use what is created: the database file's own mode and owner decide. */
typedef struct os_posix_access {
    mode_t mode;
    bool chown;
    uid_t user;
    gid_t group;
} os_posix_access;

static const char os_posix_suffix[] = "-shardex";

static const shx_store_ops os_posix_ops;

static shx_status os_posix_error(int error) {
    switch (error) {
    case ENOENT: return SHX_NOTFOUND;
    case ENOSPC:
    case EDQUOT: return SHX_FULL;
    case EROFS:
    case EACCES:
    case EPERM: return SHX_READONLY;
    case ENOMEM: return SHX_NOMEM;
    default: return SHX_IO;
    }
}

/* openat that never gives 0, 1 or 2: a library that prints to stderr must not print into a segment. */
static int os_posix_openat(int directory, const char *name, int flags, mode_t mode) {
    int fd;
    do fd = openat(directory, name, flags | O_CLOEXEC | O_NOCTTY, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 || fd > 2) return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, 3), error = errno;
    close(fd);
    errno = error;
    return above;
}

/* ---- directories ---- */

static bool os_posix_beside_database(const char *parent) {
    size_t length = strlen(parent), suffix = sizeof os_posix_suffix - 1;
    return length > suffix && memcmp(parent + length - suffix, os_posix_suffix, suffix + 1) == 0;
}

/* Anybody who may write beside a database could plant a link under the name of our directory: refused. A directory
** that the administrator chose may be reached through one. */
static int os_posix_open_parent(const os_posix_store *store) {
    int flags = O_RDONLY | O_DIRECTORY | (os_posix_beside_database(store->parent) ? O_NOFOLLOW : 0);
    return os_posix_openat(AT_FDCWD, store->parent, flags, 0);
}

static shx_status os_posix_open_directory(const os_posix_store *store, int *ret_fd) {
    int parent = os_posix_open_parent(store);
    SHX_CHECK(parent >= 0, os_posix_error(errno));
    int fd = os_posix_openat(parent, store->child, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0), error = errno;
    close(parent);
    SHX_CHECK(fd >= 0, os_posix_error(error));
    *ret_fd = fd;
    return SHX_OK;
}

/* The directory's access follows from the database file's, class by class: readers may list and enter, writers may
** write. Without a database file beside it the directory is private. */
static shx_status os_posix_directory_access(const os_posix_store *store, os_posix_access *ret_access) {
    *ret_access = (os_posix_access){.mode = 0700};
    if (!os_posix_beside_database(store->parent)) return SHX_OK;
    size_t end = strlen(store->parent) - (sizeof os_posix_suffix - 1);
    char *database = shx_alloc(end + 1);
    SHX_CHECK(database, SHX_NOMEM);
    memcpy(database, store->parent, end);
    database[end] = '\0';
    struct stat info;
    if (stat(database, &info) == 0 && S_ISREG(info.st_mode)) {
        mode_t readers = info.st_mode & 0444, writers = info.st_mode & 0222;
        *ret_access = (os_posix_access){readers | readers >> 2 | writers, geteuid() == 0, info.st_uid, info.st_gid};
    }
    shx_free(database);
    return SHX_OK;
}

/* The umask may have cut the mode, and root's files must stay usable for the database's owner. Where the file system
** refuses, the object stays as private as it is. */
static void os_posix_grant(int fd, const os_posix_access *access) {
    int refused = fchmod(fd, access->mode);
    if (access->chown) refused |= fchown(fd, access->user, access->group);
    (void)refused;
}

/* Makes one directory unless it is there, and gives it its access. */
static shx_status os_posix_make(int at, const char *name, const os_posix_access *access) {
    if (mkdirat(at, name, access->mode) != 0) return errno == EEXIST ? SHX_OK : os_posix_error(errno);
    int fd = os_posix_openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    SHX_CHECK(fd >= 0, os_posix_error(errno));
    os_posix_grant(fd, access);
    close(fd);
    return SHX_OK;
}

static shx_status os_posix_prepare(shx_store *base) {
    os_posix_store *store = (os_posix_store *)base;
    int fd = -1;
    shx_status status = os_posix_open_directory(store, &fd);
    if (status == SHX_OK) close(fd);
    if (status != SHX_NOTFOUND) return status;
    os_posix_access access;
    SHX_TRY(os_posix_directory_access(store, &access));
    SHX_TRY(os_posix_make(AT_FDCWD, store->parent, &access));
    int parent = os_posix_open_parent(store);
    SHX_CHECK(parent >= 0, os_posix_error(errno));
    status = os_posix_make(parent, store->child, &access);
    close(parent);
    SHX_TRY(status);
    SHX_TRY(os_posix_open_directory(store, &fd)); /* what was there already may be no directory */
    close(fd);
    return SHX_OK;
}

/* Whether an entry is of a kind (S_IFREG, S_IFDIR); the links . and .. are of none. */
static bool os_posix_is(DIR *directory, const struct dirent *entry, mode_t kind) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) return false;
    if (entry->d_type != DT_UNKNOWN) return (mode_t)DTTOIF(entry->d_type) == kind;
    struct stat info;
    return fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && (info.st_mode & S_IFMT) == kind;
}

/* Visits the entries of one kind in an open directory, which is closed. */
static shx_status os_posix_visit(int fd, mode_t kind, shx_store_visit visit, void *context) {
    DIR *directory = fdopendir(fd);
    if (!directory) {
        close(fd);
        return SHX_NOMEM;
    }
    shx_status status = SHX_OK;
    while (status == SHX_OK) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry && errno != 0) status = SHX_IO;
        if (!entry) break;
        if (os_posix_is(directory, entry, kind)) status = visit(context, entry->d_name);
    }
    closedir(directory);
    return status;
}

static shx_status os_posix_list(shx_store *base, shx_store_visit visit, void *context) {
    int fd = -1;
    SHX_TRY(os_posix_open_directory((os_posix_store *)base, &fd));
    return os_posix_visit(fd, S_IFREG, visit, context);
}

static shx_status os_posix_list_folders(const char *folder, shx_store_visit visit, void *context) {
    int fd = os_posix_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    SHX_CHECK(fd >= 0, errno == ELOOP || errno == ENOTDIR ? SHX_NOTFOUND : os_posix_error(errno));
    return os_posix_visit(fd, S_IFDIR, visit, context);
}

static shx_status os_posix_remove_folder(const char *folder) {
    if (rmdir(folder) == 0) return SHX_OK;
    return errno == ENOTEMPTY || errno == EEXIST ? SHX_BUSY : os_posix_error(errno);
}

static shx_status os_posix_remove(shx_store *base, const char *name) {
    int fd = -1;
    SHX_TRY(os_posix_open_directory((os_posix_store *)base, &fd));
    shx_status status = unlinkat(fd, name, 0) == 0 ? SHX_OK : os_posix_error(errno);
    close(fd);
    return status;
}

/* After a failure the kernel may have dropped the pages: it is reported and never tried again. */
static shx_status os_posix_fsync(int fd) {
    int result;
    do result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result == 0 ? SHX_OK : os_posix_error(errno);
}

/* Some file systems sync no directories. */
static shx_status os_posix_fsync_directory(int fd) {
    shx_status status = os_posix_fsync(fd);
    return status != SHX_OK && errno == EINVAL ? SHX_OK : status;
}

/* Syncs the directory that holds a file or a folder, given by its absolute path. */
static shx_status os_posix_sync_above(const char *path) {
    size_t length = (size_t)(strrchr(path, '/') - path);
    char *above = shx_alloc(length + 2);
    SHX_CHECK(above, SHX_NOMEM);
    memcpy(above, path, length + 1);
    above[length ? length : 1] = '\0';
    int fd = os_posix_openat(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
    shx_status status = fd >= 0 ? os_posix_fsync_directory(fd) : os_posix_error(errno);
    if (fd >= 0) close(fd);
    shx_free(above);
    return status;
}

static shx_status os_posix_sync_beside(const char *file) {
    SHX_CHECK(file[0] == '/', SHX_MISUSE);
    return os_posix_sync_above(file);
}

const shx_folder_ops shx_folder_posix = {os_posix_list_folders, os_posix_remove_folder, os_posix_sync_beside};

static shx_status os_posix_sync(shx_store *base) {
    const os_posix_store *store = (os_posix_store *)base;
    int fd = -1;
    SHX_TRY(os_posix_open_directory(store, &fd));
    shx_status status = os_posix_fsync_directory(fd);
    close(fd);
    SHX_TRY(status);
    int parent = os_posix_open_parent(store);
    SHX_CHECK(parent >= 0, os_posix_error(errno));
    status = os_posix_fsync_directory(parent);
    close(parent);
    (void)os_posix_sync_above(store->parent); /* SQLite's files are there: its to sync, and may be closed to us */
    return status;
}

/* ---- files ---- */

/* What is asked of an open file. Not its times, where that can be said: Linux gives a file whose times somebody has
** read an exact time with the next write, and so a changed inode with each commit. On ext4 without a journal the fsync
** of SQLite's log waits for that, as both inodes stand in one block. */
typedef struct os_posix_facts {
    uint64_t size, names;
    bool regular;
} os_posix_facts;

static bool os_posix_inspect(int fd, os_posix_facts *ret_facts) {
#ifdef STATX_SIZE
    const unsigned mask = STATX_SIZE | STATX_NLINK | STATX_TYPE;
    struct statx few;
    if (statx(fd, "", AT_EMPTY_PATH, mask, &few) == 0 && (few.stx_mask & mask) == mask) {
        *ret_facts = (os_posix_facts){few.stx_size, few.stx_nlink, S_ISREG(few.stx_mode)};
        return true;
    }
#endif
    struct stat info;
    if (fstat(fd, &info) != 0) return false;
    *ret_facts = (os_posix_facts){(uint64_t)info.st_size, (uint64_t)info.st_nlink, S_ISREG(info.st_mode)};
    return true;
}

/* A file is as open to group and others as its directory. */
static void os_posix_grant_file(int directory, int fd) {
    struct stat info;
    if (fstat(directory, &info) != 0) return;
    os_posix_access access = {info.st_mode & 0666, geteuid() == 0, info.st_uid, info.st_gid};
    os_posix_grant(fd, &access);
}

/* O_NONBLOCK keeps a FIFO under one of our names from hanging the process; regular files ignore it. */
static shx_status os_posix_open_fd(int directory, const char *name, shx_open_mode mode, int *ret_fd) {
    int flags = (SHX_PLANTED(47) ? 0 : O_NOFOLLOW) | O_NONBLOCK | (mode == SHX_OPEN_READ ? O_RDONLY : O_RDWR);
    if (mode == SHX_OPEN_CREATE) flags |= O_CREAT | O_EXCL;
    int fd = os_posix_openat(directory, name, flags, 0600);
    if (fd < 0) return errno == EEXIST ? SHX_BUSY : os_posix_error(errno);
    os_posix_facts facts;
    if (!os_posix_inspect(fd, &facts) || !facts.regular) {
        close(fd);
        return SHX_IO;
    }
    if (mode == SHX_OPEN_CREATE) os_posix_grant_file(directory, fd);
    *ret_fd = fd;
    return SHX_OK;
}

/* `directory` may be AT_FDCWD for SHX_OPEN_READ. */
static shx_status os_posix_open_at(int directory, const char *name, shx_open_mode mode, shx_file **ret_file) {
    os_posix_file *file = shx_alloc(sizeof *file);
    shx_status status = file ? os_posix_open_fd(directory, name, mode, &file->fd) : SHX_NOMEM;
    if (status != SHX_OK) {
        shx_free(file);
        return status;
    }
    file->base.ops = &os_posix_ops;
    file->reach = 0;
    *ret_file = &file->base;
    return SHX_OK;
}

static shx_status os_posix_open(shx_store *base, const char *name, shx_open_mode mode, shx_file **ret_file) {
    int directory = -1;
    SHX_TRY(os_posix_open_directory((os_posix_store *)base, &directory));
    shx_status status = os_posix_open_at(directory, name, mode, ret_file);
    close(directory);
    return status;
}

shx_status shx_file_open_path(const char *path, shx_file **ret_file) {
    return os_posix_open_at(AT_FDCWD, path, SHX_OPEN_READ, ret_file);
}

static void os_posix_file_close(shx_file *base) {
    os_posix_file *file = (os_posix_file *)base;
    close(file->fd);
    shx_free(file);
}

static shx_status os_posix_file_size(shx_file *base, uint64_t *ret_size) {
    os_posix_facts facts;
    SHX_CHECK(os_posix_inspect(((os_posix_file *)base)->fd, &facts), SHX_IO);
    SHX_CHECK(facts.names > 0, SHX_NOTFOUND);
    *ret_size = facts.size;
    return SHX_OK;
}

static shx_status os_posix_file_read(shx_file *base, uint64_t offset, void *bytes, uint64_t size) {
    int fd = ((os_posix_file *)base)->fd;
    if (!shx_span_fits(offset, size, 1, INT64_MAX)) return shx_corrupt("a read lies past the end of its file");
    for (uint64_t done = 0; done < size;) {
        ssize_t got = pread(fd, (uint8_t *)bytes + done, (size_t)(size - done), (off_t)(offset + done));
        if (got == 0) return shx_corrupt("a file ends within a read");
        if (got < 0 && errno != EINTR) return os_posix_error(errno);
        if (got > 0) done += (uint64_t)got;
    }
    return SHX_OK;
}

/* Whoever writes past the limit of the process (RLIMIT_FSIZE) is sent SIGXFSZ, which ends a host that did not expect
** it: of a file that only makes queries fast. So the limit is asked for first. */
static shx_status os_posix_may_reach(os_posix_file *file, uint64_t end) {
    struct rlimit limit;
    if (end <= file->reach) return SHX_OK;
    file->reach = end + OS_POSIX_REACH;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || file->reach <= limit.rlim_cur) {
        return SHX_OK;
    }
    file->reach = limit.rlim_cur;
    return end <= limit.rlim_cur ? SHX_OK : SHX_FULL;
}

static shx_status os_posix_file_write(shx_file *base, uint64_t offset, const void *bytes, uint64_t size) {
    int fd = ((os_posix_file *)base)->fd;
    SHX_CHECK(shx_span_fits(offset, size, 1, INT64_MAX), SHX_MISUSE);
    SHX_TRY(os_posix_may_reach((os_posix_file *)base, offset + size));
    for (uint64_t done = 0; done < size;) {
        ssize_t put = pwrite(fd, (const uint8_t *)bytes + done, (size_t)(size - done), (off_t)(offset + done));
        if (put == 0) return SHX_IO;
        if (put < 0 && errno != EINTR) return os_posix_error(errno);
        if (put > 0) done += SHX_PLANTED(22) ? size : (uint64_t)put;
    }
    return SHX_OK;
}

static shx_status os_posix_file_sync(shx_file *base) { return os_posix_fsync(((os_posix_file *)base)->fd); }

/* What fails here is told by the fsync that follows. */
static void os_posix_file_send(shx_file *base, uint64_t offset, uint64_t size) {
#ifdef SYNC_FILE_RANGE_WRITE
    (void)sync_file_range(((os_posix_file *)base)->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
#else
    (void)base, (void)offset, (void)size;
#endif
}

static shx_status os_posix_file_lock(shx_file *base, bool exclusive) {
    int result;
    do result = flock(((os_posix_file *)base)->fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result == 0) return SHX_OK;
    return errno == EWOULDBLOCK ? SHX_BUSY : os_posix_error(errno);
}

static shx_status os_posix_file_map(shx_file *base, uint64_t offset, uint64_t size, shx_map *ret_map) {
    struct stat info;
    SHX_CHECK(fstat(((os_posix_file *)base)->fd, &info) == 0, SHX_IO);
    bool fits = shx_span_fits(offset, size, 1, (uint64_t)info.st_size);
    if (!fits) return shx_corrupt("a mapping lies past the end of its file");
    uint64_t lead = offset % (uint64_t)sysconf(_SC_PAGESIZE), total = lead + size;
    SHX_CHECK(total <= SIZE_MAX, SHX_NOMEM);
    int fd = ((os_posix_file *)base)->fd;
    void *start = mmap(NULL, (size_t)total, PROT_READ, MAP_SHARED, fd, (off_t)(offset - lead));
    SHX_CHECK(start != MAP_FAILED, os_posix_error(errno));
    *ret_map = (shx_map){(const uint8_t *)start + lead, size, start, total, &os_posix_ops};
    return SHX_OK;
}

static void os_posix_map_release(shx_map *map) {
    int result = munmap(map->owner, (size_t)map->owner_size);
    assert(result == 0);
    (void)result;
}

/* Asked for by every query and several times by a commit, so it is known until a fork. */
static atomic_int os_posix_process; /* 0: not known */
static pthread_once_t os_posix_once = PTHREAD_ONCE_INIT;
static bool os_posix_watching;

static void os_posix_forked(void) { atomic_store(&os_posix_process, 0); }
static void os_posix_watch_fork(void) { os_posix_watching = pthread_atfork(NULL, NULL, os_posix_forked) == 0; }

int64_t shx_process(void) {
    int process = atomic_load_explicit(&os_posix_process, memory_order_relaxed);
    if (process != 0) return process;
    pthread_once(&os_posix_once, os_posix_watch_fork);
    process = getpid();
    if (os_posix_watching) atomic_store(&os_posix_process, process);
    return process;
}

uint64_t shx_clock_posix(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- the store itself ---- */

static void os_posix_close(shx_store *base) { shx_free(base); }

static const shx_store_ops os_posix_ops = {
    .close = os_posix_close,
    .prepare = os_posix_prepare,
    .list = os_posix_list,
    .remove = os_posix_remove,
    .sync = os_posix_sync,
    .open = os_posix_open,
    .file_close = os_posix_file_close,
    .file_size = os_posix_file_size,
    .file_read = os_posix_file_read,
    .file_write = os_posix_file_write,
    .file_sync = os_posix_file_sync,
    .file_send = os_posix_file_send,
    .file_lock = os_posix_file_lock,
    .file_map = os_posix_file_map,
    .map_release = os_posix_map_release,
};

/* The path is cut at its last slash: one copy holds "parent\0child". */
shx_status shx_store_open_posix(const char *path, shx_store **ret_store) {
    const char *slash = strrchr(path, '/');
    SHX_CHECK(path[0] == '/' && slash != path && slash[1] != '\0', SHX_MISUSE);
    size_t length = strlen(path);
    os_posix_store *store = shx_alloc(sizeof *store + length + 1);
    SHX_CHECK(store, SHX_NOMEM);
    store->base.ops = &os_posix_ops;
    memcpy(store->parent, path, length + 1);
    store->parent[slash - path] = '\0';
    store->child = store->parent + (slash - path) + 1;
    *ret_store = &store->base;
    return SHX_OK;
}
