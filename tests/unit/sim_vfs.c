#include "sim_vfs.h"

#include "bytes.h"
#include "sim_fs.h"

#include <stdlib.h>
#include <string.h>

#define SIM_VFS_NAME "simulated"
#define SIM_VFS_PATH_MAX 512

/* An open file, as SQLite has it. */
typedef struct sim_vfs_file {
    sqlite3_file base;
    uint32_t inode, name;
    int level; /* of SQLITE_LOCK_… */
    bool sync_directory, delete_on_close;
    bool shm;                          /* the shared memory is attached */
    uint8_t shm_shared, shm_exclusive; /* bits: locks held */
} sim_vfs_file;

static struct {
    uint64_t random;
    int sector_bytes, characteristics;
} sim_vfs = {0, 512, SQLITE_IOCAP_POWERSAFE_OVERWRITE};

static int sim_vfs_code(sim_result result, int otherwise) {
    if (result == SIM_OK) return SQLITE_OK;
    return result == SIM_ENOSPC ? SQLITE_FULL : otherwise;
}

/* The directory of a file; the text is shared. */
static const char *sim_vfs_directory(uint32_t name) { return sim_path(sim_parent(name)); }

/* ---- a file ---- */

static int sim_vfs_close(sqlite3_file *base) {
    sim_vfs_file *file = (sim_vfs_file *)base;
    base->pMethods->xUnlock(base, SQLITE_LOCK_NONE);
    if (file->shm) base->pMethods->xShmUnmap(base, 0);
    sim_fs_close(file->inode);
    if (file->delete_on_close && file->name != SIM_NONE) sim_fs_remove(SIM_SQLITE, sim_path(file->name));
    return SQLITE_OK;
}

static int sim_vfs_read(sqlite3_file *base, void *bytes, int size, sqlite3_int64 offset) {
    sim_vfs_file *file = (sim_vfs_file *)base;
    uint64_t got = 0;
    sim_result result = sim_fs_read(SIM_SQLITE, file->inode, (uint64_t)offset, bytes, (uint64_t)size, &got);
    if (result != SIM_OK) return SQLITE_IOERR_READ;
    if (got == (uint64_t)size) return SQLITE_OK;
    memset((uint8_t *)bytes + got, 0, (size_t)size - (size_t)got);
    return SQLITE_IOERR_SHORT_READ;
}

static int sim_vfs_write(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset) {
    sim_vfs_file *file = (sim_vfs_file *)base;
    sim_result result = sim_fs_write(SIM_SQLITE, file->inode, (uint64_t)offset, bytes, (uint64_t)size);
    return sim_vfs_code(result, SQLITE_IOERR_WRITE);
}

static int sim_vfs_truncate(sqlite3_file *base, sqlite3_int64 size) {
    sim_result result = sim_fs_truncate(SIM_SQLITE, ((sim_vfs_file *)base)->inode, (uint64_t)size);
    return result == SIM_OK ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int sim_vfs_sync(sqlite3_file *base, int flags) {
    (void)flags;
    sim_vfs_file *file = (sim_vfs_file *)base;
    if (sim_fs_sync(SIM_SQLITE, file->inode) != SIM_OK) return SQLITE_IOERR_FSYNC;
    if (!file->sync_directory) return SQLITE_OK;
    if (sim_fs_sync_directory(SIM_SQLITE, sim_vfs_directory(file->name)) != SIM_OK) return SQLITE_IOERR_DIR_FSYNC;
    file->sync_directory = false;
    return SQLITE_OK;
}

static int sim_vfs_size(sqlite3_file *base, sqlite3_int64 *ret_size) {
    uint64_t size;
    if (sim_fs_size(SIM_SQLITE, ((sim_vfs_file *)base)->inode, &size) != SIM_OK) return SQLITE_IOERR_FSTAT;
    *ret_size = (sqlite3_int64)size;
    return SQLITE_OK;
}

/* SHARED, RESERVED, PENDING on the way to EXCLUSIVE, as lockingv3.html has them. */
static int sim_vfs_lock(sqlite3_file *base, int level) {
    sim_vfs_file *file = (sim_vfs_file *)base;
    sim_locks *locks = sim_fs_locks(file->inode);
    if (file->level >= level) return SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED) {
        if (locks->pending || locks->exclusive) return SQLITE_BUSY;
        locks->shared++;
    } else if (level == SQLITE_LOCK_RESERVED) {
        if (locks->reserved || locks->pending) return SQLITE_BUSY;
        locks->reserved = true;
    } else {
        bool others = file->level < SQLITE_LOCK_RESERVED && locks->reserved;
        if (others || (file->level < SQLITE_LOCK_PENDING && locks->pending)) return SQLITE_BUSY;
        locks->pending = true;
        file->level = SQLITE_LOCK_PENDING;
        if (locks->shared > 1) return SQLITE_BUSY;
        locks->exclusive = true;
    }
    file->level = level;
    return SQLITE_OK;
}

static int sim_vfs_unlock(sqlite3_file *base, int level) {
    sim_vfs_file *file = (sim_vfs_file *)base;
    sim_locks *locks = sim_fs_locks(file->inode);
    if (file->level <= level) return SQLITE_OK;
    if (file->level == SQLITE_LOCK_EXCLUSIVE) locks->exclusive = false;
    if (file->level >= SQLITE_LOCK_PENDING) locks->pending = false;
    if (file->level >= SQLITE_LOCK_RESERVED) locks->reserved = false;
    if (level == SQLITE_LOCK_NONE && file->level >= SQLITE_LOCK_SHARED) locks->shared--;
    file->level = level;
    return SQLITE_OK;
}

static int sim_vfs_reserved(sqlite3_file *base, int *ret_reserved) {
    *ret_reserved = sim_fs_locks(((sim_vfs_file *)base)->inode)->reserved;
    return SQLITE_OK;
}

static int sim_vfs_control(sqlite3_file *base, int operation, void *argument) {
    if (operation == SQLITE_FCNTL_VFSNAME) {
        *(char **)argument = sqlite3_mprintf("unix"); /* for which it stands in: the extension trusts known ones only */
        return SQLITE_OK;
    }
    if (operation == SQLITE_FCNTL_HAS_MOVED) {
        *(int *)argument = sim_fs_is_removed(((sim_vfs_file *)base)->inode);
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int sim_vfs_sector(sqlite3_file *base) {
    (void)base;
    return sim_vfs.sector_bytes;
}

static int sim_vfs_characteristics(sqlite3_file *base) {
    (void)base;
    return sim_vfs.characteristics;
}

/* ---- shared memory ---- */

static int sim_vfs_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **ret_region) {
    sim_vfs_file *file = (sim_vfs_file *)base;
    sim_locks *locks = sim_fs_locks(file->inode);
    *ret_region = NULL;
    if (sim_fs_call(SIM_SQLITE) != SIM_OK) return SQLITE_IOERR_SHMMAP;
    if (!file->shm) locks->shm_users++;
    file->shm = true;
    if ((uint32_t)region >= locks->shm_count && !extend) return SQLITE_OK;
    while ((uint32_t)region >= locks->shm_count) {
        locks->shm_regions = sim_resize(locks->shm_regions, (locks->shm_count + 1) * sizeof(void *));
        void *bytes = sim_alloc((uint64_t)size);
        memset(bytes, 0, (size_t)size);
        locks->shm_regions[locks->shm_count++] = bytes;
    }
    *ret_region = locks->shm_regions[region];
    return SQLITE_OK;
}

static int sim_vfs_shm_unlock(sim_vfs_file *file, sim_locks *locks, int first, int count) {
    for (int i = first; i < first + count; i++) {
        uint8_t bit = (uint8_t)(1u << i);
        if (file->shm_exclusive & bit) locks->shm[i] = 0;
        if (file->shm_shared & bit) locks->shm[i]--;
        file->shm_exclusive &= (uint8_t)~bit;
        file->shm_shared &= (uint8_t)~bit;
    }
    return SQLITE_OK;
}

static int sim_vfs_shm_lock(sqlite3_file *base, int first, int count, int flags) {
    sim_vfs_file *file = (sim_vfs_file *)base;
    sim_locks *locks = sim_fs_locks(file->inode);
    if (flags & SQLITE_SHM_UNLOCK) return sim_vfs_shm_unlock(file, locks, first, count);
    bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
    for (int i = first; i < first + count; i++) {
        int others = locks->shm[i] - (file->shm_shared >> i & 1);
        if (exclusive ? locks->shm[i] < 0 || others > 0 : locks->shm[i] < 0) return SQLITE_BUSY;
    }
    for (int i = first; i < first + count; i++) {
        uint8_t bit = (uint8_t)(1u << i);
        if (exclusive) {
            locks->shm[i] = -1;
            file->shm_exclusive |= bit;
        } else if (!(file->shm_shared & bit)) {
            locks->shm[i]++;
            file->shm_shared |= bit;
        }
    }
    return SQLITE_OK;
}

static void sim_vfs_shm_barrier(sqlite3_file *base) { (void)base; }

/* The last one to leave takes the memory along: whoever comes next recovers the WAL. */
static int sim_vfs_shm_unmap(sqlite3_file *base, int delete_it) {
    (void)delete_it;
    sim_vfs_file *file = (sim_vfs_file *)base;
    sim_locks *locks = sim_fs_locks(file->inode);
    if (!file->shm) return SQLITE_OK;
    sim_vfs_shm_unlock(file, locks, 0, SIM_SHM_LOCKS);
    file->shm = false;
    if (--locks->shm_users > 0) return SQLITE_OK;
    for (uint32_t i = 0; i < locks->shm_count; i++) free(locks->shm_regions[i]);
    free(locks->shm_regions);
    locks->shm_regions = NULL;
    locks->shm_count = 0;
    return SQLITE_OK;
}

static const sqlite3_io_methods sim_vfs_methods = {
    .iVersion = 2,
    .xClose = sim_vfs_close,
    .xRead = sim_vfs_read,
    .xWrite = sim_vfs_write,
    .xTruncate = sim_vfs_truncate,
    .xSync = sim_vfs_sync,
    .xFileSize = sim_vfs_size,
    .xLock = sim_vfs_lock,
    .xUnlock = sim_vfs_unlock,
    .xCheckReservedLock = sim_vfs_reserved,
    .xFileControl = sim_vfs_control,
    .xSectorSize = sim_vfs_sector,
    .xDeviceCharacteristics = sim_vfs_characteristics,
    .xShmMap = sim_vfs_shm_map,
    .xShmLock = sim_vfs_shm_lock,
    .xShmBarrier = sim_vfs_shm_barrier,
    .xShmUnmap = sim_vfs_shm_unmap,
};

/* ---- the VFS ---- */

static int sim_vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *ret_flags) {
    (void)vfs;
    sim_vfs_file *file = (sim_vfs_file *)base;
    *file = (sim_vfs_file){.name = path ? sim_name(path) : SIM_NONE};
    bool created;
    sim_result result = sim_fs_open(SIM_SQLITE, path, flags & SQLITE_OPEN_CREATE, flags & SQLITE_OPEN_EXCLUSIVE,
                                    &file->inode, &created);
    if (result != SIM_OK) return SQLITE_CANTOPEN;
    int journals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    file->sync_directory = path && (flags & journals); /* new or not, as there */
    file->delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
    base->pMethods = &sim_vfs_methods;
    if (ret_flags) *ret_flags = flags;
    return SQLITE_OK;
}

static int sim_vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory) {
    (void)vfs;
    sim_result result = sim_fs_remove(SIM_SQLITE, path);
    if (result == SIM_MISSING) return SQLITE_IOERR_DELETE_NOENT;
    if (result != SIM_OK) return SQLITE_IOERR_DELETE;
    if (!sync_directory) return SQLITE_OK;
    result = sim_fs_sync_directory(SIM_SQLITE, sim_vfs_directory(sim_name(path)));
    return result == SIM_OK ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
}

/* As the unix VFS: an empty file does not exist. */
static int sim_vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret_there) {
    (void)vfs;
    if (sim_fs_call(SIM_SQLITE) != SIM_OK) return SQLITE_IOERR_ACCESS;
    uint32_t inode = sim_image_find(sim_fs_now(), sim_name(path));
    *ret_there = inode != SIM_NONE;
    if (inode != SIM_NONE && flags == SQLITE_ACCESS_EXISTS) *ret_there = sim_image_size(sim_fs_now(), inode) > 0;
    return SQLITE_OK;
}

static int sim_vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *ret_path) {
    (void)vfs;
    sqlite3_snprintf(size, ret_path, "%s", path);
    return SQLITE_OK;
}

static int sim_vfs_randomness(sqlite3_vfs *vfs, int size, char *bytes) {
    (void)vfs;
    for (int i = 0; i < size; i++) {
        sim_vfs.random = shx_hash64(&sim_vfs.random, sizeof sim_vfs.random, 1);
        bytes[i] = (char)sim_vfs.random;
    }
    return size;
}

static int sim_vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    return microseconds;
}

static int sim_vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *ret_milliseconds) {
    (void)vfs;
    *ret_milliseconds = INT64_C(212000000000000);
    return SQLITE_OK;
}

static int sim_vfs_julian(sqlite3_vfs *vfs, double *ret_days) {
    sqlite3_int64 milliseconds = 0;
    int rc = sim_vfs_time(vfs, &milliseconds);
    *ret_days = (double)milliseconds / 86400000.0;
    return rc;
}

static int sim_vfs_error(sqlite3_vfs *vfs, int size, char *text) {
    (void)vfs, (void)size, (void)text;
    return 0;
}

static sqlite3_vfs sim_vfs_object = {
    .iVersion = 2,
    .szOsFile = sizeof(sim_vfs_file),
    .mxPathname = SIM_VFS_PATH_MAX,
    .zName = SIM_VFS_NAME,
    .xOpen = sim_vfs_open,
    .xDelete = sim_vfs_delete,
    .xAccess = sim_vfs_access,
    .xFullPathname = sim_vfs_full_path,
    .xRandomness = sim_vfs_randomness,
    .xSleep = sim_vfs_sleep,
    .xCurrentTime = sim_vfs_julian,
    .xGetLastError = sim_vfs_error,
    .xCurrentTimeInt64 = sim_vfs_time,
};

void sim_vfs_register(void) {
    if (sqlite3_vfs_register(&sim_vfs_object, 1) != SQLITE_OK) abort();
}

void sim_vfs_unregister(void) { sqlite3_vfs_unregister(&sim_vfs_object); }

void sim_vfs_seed(uint64_t seed) {
    sim_vfs.random = seed;
    sqlite3_randomness(0, NULL);
}

void sim_vfs_disk(int sector_bytes, int characteristics) {
    sim_vfs.sector_bytes = sector_bytes;
    sim_vfs.characteristics = characteristics;
}
