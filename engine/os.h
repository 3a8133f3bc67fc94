/* The operating system behind one seam: the directory of one index, its files, locks and mappings.
**
** A store is one flat directory of files. Two implementations: os_posix.c (a real directory) and os_heap.c (memory
** only, for `:memory:`, temporary and file-less databases). Tests wrap either in a faulty one (shx_store_ops is the
** seam).
**
** Rules every caller relies on: opening a store touches nothing on disk; nothing is created before shx_store_prepare;
** files are created exclusively, written with positioned writes only, mapped read-only; symlinks are refused; every
** descriptor is close-on-exec and never 0, 1 or 2.
** Thread safety: a store may be used by several threads at once; one shx_file by one thread at a time.
*/
#ifndef SHX_OS_H
#define SHX_OS_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct shx_store shx_store;
typedef struct shx_file shx_file;

/* A read-only view of a part of a file; stays valid after the file is closed or removed. */
typedef struct shx_map {
    const uint8_t *bytes; /* the first byte that was asked for */
    uint64_t size;        /* how many were asked for */
    void *owner;          /* the implementation's: what shx_map_release gives back */
    uint64_t owner_size;
    const struct shx_store_ops *ops;
} shx_map;

typedef enum shx_open_mode {
    SHX_OPEN_READ,   /* must exist */
    SHX_OPEN_APPEND, /* must exist; read and write */
    SHX_OPEN_CREATE, /* must not exist (SHX_BUSY if it does); read and write */
} shx_open_mode;

/* Called for every file name of a store, in no order; a status other than SHX_OK ends the listing and is returned. */
typedef shx_status (*shx_store_visit)(void *context, const char *name);

/* The seam: one table of functions per kind of store. A store and a file start with these members; the rest is the
** implementation's. */
typedef struct shx_store_ops {
    void (*close)(shx_store *store);
    shx_status (*prepare)(shx_store *store);
    shx_status (*list)(shx_store *store, shx_store_visit visit, void *context);
    shx_status (*remove)(shx_store *store, const char *name);
    shx_status (*sync)(shx_store *store);
    shx_status (*open)(shx_store *store, const char *name, shx_open_mode mode, shx_file **ret_file);
    void (*file_close)(shx_file *file);
    shx_status (*file_size)(shx_file *file, uint64_t *ret_size);
    shx_status (*file_read)(shx_file *file, uint64_t offset, void *bytes, uint64_t size);
    shx_status (*file_write)(shx_file *file, uint64_t offset, const void *bytes, uint64_t size);
    shx_status (*file_sync)(shx_file *file);
    void (*file_send)(shx_file *file, uint64_t offset, uint64_t size); /* may be NULL */
    shx_status (*file_lock)(shx_file *file, bool exclusive);
    shx_status (*file_map)(shx_file *file, uint64_t offset, uint64_t size, shx_map *ret_map);
    void (*map_release)(shx_map *map);
} shx_store_ops;

struct shx_store {
    const shx_store_ops *ops;
};

struct shx_file {
    const shx_store_ops *ops;
};

/* A store over the directory `path` (copied), which need not exist. SHX_MISUSE unless the path is absolute, has two
** components at least and does not end in a slash. */
shx_status shx_store_open_posix(const char *path, shx_store **ret_store);

/* Calls `visit` for the name of every directory in the directory `folder`, in no order; SHX_NOTFOUND when there is no
** such folder, or it is a symlink. */
shx_status shx_folder_list(const char *folder, shx_store_visit visit, void *context);

/* Removes a directory that is empty; SHX_BUSY when it is not. */
shx_status shx_folder_remove(const char *folder);

/* Makes names that were created and removed beside this file durable: fsync of the directory it is in. */
shx_status shx_sync_beside(const char *file);

/* What the three do: the system's, unless shx_folder_use has put others in their place, as shx_store_use does. */
typedef struct shx_folder_ops {
    shx_status (*list)(const char *folder, shx_store_visit visit, void *context);
    shx_status (*remove)(const char *folder);
    shx_status (*sync_beside)(const char *file);
} shx_folder_ops;
extern const shx_folder_ops shx_folder_posix;
void shx_folder_use(const shx_folder_ops *ops);

/* An empty store in memory; it is not there before shx_store_prepare either. Mappings stay valid after it is closed. */
shx_status shx_store_open_heap(shx_store **ret_store);

/* Opens the store of a directory: shx_store_open_posix, unless shx_store_use has put another function in its place, as
** tests do that simulate a file system. It is of the process; call it while no store is open. */
typedef shx_status (*shx_store_opener)(const char *path, shx_store **ret_store);
shx_status shx_store_open(const char *path, shx_store **ret_store);
void shx_store_use(shx_store_opener opener);

/* Closes a store; NULL is allowed. Open files and mappings stay usable until they are closed. */
void shx_store_close(shx_store *store);

/* Makes the directory and its parent, nothing above. Beside a database file (the parent is `<database>-shardex`, which
** must then be no symlink) they are as open as that file is, class by class (readers may also enter), and root gives
** them to its owner; else they are private (0700). Files take after their directory. SHX_READONLY where that is not
** permitted, SHX_OK when the directory is there already. */
shx_status shx_store_prepare(shx_store *store);

/* Lists the regular files; the visitor may open and remove files. SHX_NOTFOUND when there is no directory. */
shx_status shx_store_list(shx_store *store, shx_store_visit visit, void *context);

/* Removes a file; SHX_NOTFOUND when it is not there. */
shx_status shx_store_remove(shx_store *store, const char *name);

/* Makes created and removed names durable, that of the directory and of its parent included. */
shx_status shx_store_sync(shx_store *store);

/* Opens a file; SHX_MISUSE when its name is empty, a dot or two, or holds a slash. */
shx_status shx_file_open(shx_store *store, const char *name, shx_open_mode mode, shx_file **ret_file);
void shx_file_close(shx_file *file);

/* Opens a file of the user's, wherever it is, to be read: relative paths are the process's. SHX_IO when it is no
** regular file, or a symlink. It is no part of any store; a simulated file system has none. */
shx_status shx_file_open_path(const char *path, shx_file **ret_file);

/* How long the file is; SHX_NOTFOUND when its name was removed meanwhile. */
shx_status shx_file_size(shx_file *file, uint64_t *ret_size);

/* Reads exactly `size` bytes; SHX_CORRUPT when the file ends before. */
shx_status shx_file_read(shx_file *file, uint64_t offset, void *bytes, uint64_t size);

/* Writes exactly `size` bytes (retrying short writes and EINTR); grows the file as needed. */
shx_status shx_file_write(shx_file *file, uint64_t offset, const void *bytes, uint64_t size);

/* Makes what was written to the file durable; its name needs shx_store_sync. */
shx_status shx_file_sync(shx_file *file);

/* These bytes, which were written, may go to the disk already, so that shx_file_sync has less to wait for. A hint on
** which nothing depends. */
void shx_file_send(shx_file *file, uint64_t offset, uint64_t size);

/* Takes a lock on the file without waiting (flock: it belongs to this open file, also within one process); SHX_BUSY
** when somebody else holds it. Asking again changes the kind; a change that ends in SHX_BUSY has lost the lock that was
** held. Closing the file gives it back. */
shx_status shx_file_lock(shx_file *file, bool exclusive);

/* Maps `size` > 0 bytes from any `offset`, also of a file whose name was removed; SHX_CORRUPT when the file ends before
** offset + size. */
shx_status shx_file_map(shx_file *file, uint64_t offset, uint64_t size, shx_map *ret_map);

/* Gives a mapping back and clears it; a cleared mapping is allowed. */
void shx_map_release(shx_map *map);

/* A clock in nanoseconds that only goes forward, the same for all processes; for budgets and what is told of progress,
** never for what is right. A test may put another one in its place (NULL: back to the system's). */
uint64_t shx_clock(void);
uint64_t shx_clock_posix(void);
void shx_clock_use(uint64_t (*clock)(void));

/* Which process this is: another number after fork(), where threads and locks of the parent are missing. A child
** that was not made by the C library, but by a bare system call, goes unnoticed. */
int64_t shx_process(void);

#endif
