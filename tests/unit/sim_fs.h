/* The simulated file system: one in the process, in memory, under SQLite's VFS (sim_vfs.h) and under the engine's store
** (sim_store.h). It logs the persistent operations of both in one order, counts all calls, and fails those it is told
** to.
**
** What processes see is sim_fs_now. What a disk holds after power loss follows from the image that was loaded and the
** log (sim_power.h). One thread.
*/
#ifndef SHX_TEST_SIM_FS_H
#define SHX_TEST_SIM_FS_H

#include "sim_image.h"

/* What a call comes to. */
typedef enum sim_result {
    SIM_OK,
    SIM_MISSING, /* no such file */
    SIM_EXISTS,
    SIM_EIO,
    SIM_ENOSPC,
    SIM_EMFILE,
} sim_result;

/* The calls that fail. A write that runs short writes the first half and then fails with `error`. */
typedef struct sim_fault {
    uint64_t nth; /* 1 is the next call of these origins; 0: none fails */
    bool forever; /* that one and all after it */
    bool of[SIM_ORIGINS];
    bool short_writes;
    sim_result error;
} sim_fault;

/* Starts over with what an image holds, which stays the caller's. No file may be open; locks and the log are empty. */
void sim_fs_load(const sim_image *image);

/* A test has failed: files that are open stay so for ever. */
void sim_fs_abandon(void);

/* Ends the simulation and frees everything. */
void sim_fs_end(void);

/* What processes see. */
sim_image *sim_fs_now(void);

/* What was done since the image was loaded. Taking it leaves an empty one. */
const sim_log *sim_fs_log(void);
sim_log sim_fs_take_log(void);

/* COMMITs that were given and that returned, for the operations that follow. */
void sim_fs_note_commits(int64_t started, int64_t acknowledged);

/* Replaces the plan; calls are counted from here on. */
void sim_fs_plan(const sim_fault *fault);
uint64_t sim_fs_calls(sim_origin origin);

/* How many calls failed by plan since the last plan, of these origins. */
uint64_t sim_fs_failures(sim_origin origin);

/* While paused, calls are neither counted nor failed: for what a test does on its own behalf. */
void sim_fs_pause(bool paused);

/* How many files are open. */
uint64_t sim_fs_open_files(void);

/* ---- calls ---- */

/* Opens a file: makes it when there is none and `create`; SIM_EXISTS when there is one and `exclusive`. A path of NULL
** makes a nameless file, of which nothing persists. */
sim_result sim_fs_open(sim_origin origin, const char *path, bool create, bool exclusive, uint32_t *ret_inode,
                       bool *ret_created);
void sim_fs_close(uint32_t inode);
sim_result sim_fs_read(sim_origin origin, uint32_t inode, uint64_t offset, void *bytes, uint64_t size,
                       uint64_t *ret_size);
sim_result sim_fs_write(sim_origin origin, uint32_t inode, uint64_t offset, const void *bytes, uint64_t size);
sim_result sim_fs_truncate(sim_origin origin, uint32_t inode, uint64_t size);
sim_result sim_fs_sync(sim_origin origin, uint32_t inode);
sim_result sim_fs_sync_directory(sim_origin origin, const char *path);
sim_result sim_fs_size(sim_origin origin, uint32_t inode, uint64_t *ret_size);
sim_result sim_fs_remove(sim_origin origin, const char *path);
sim_result sim_fs_make_directory(sim_origin origin, const char *path); /* SIM_OK when it is there */
bool sim_fs_exists(const char *path);
bool sim_fs_is_removed(uint32_t inode);

/* Counts a call that does nothing here, and says whether it fails. */
sim_result sim_fs_call(sim_origin origin);

/* The names directly in a directory, in no order; false when there is no such directory. */
typedef bool (*sim_fs_visit)(void *context, const char *path);
bool sim_fs_list(const char *directory, sim_fs_visit visit, void *context);

/* ---- locks of a file; they end with the last of its open files ---- */

#define SIM_SHM_LOCKS 8

typedef struct sim_locks {
    uint32_t shared; /* SQLite's locks on a database file */
    bool reserved, pending, exclusive;
    uint32_t store_shared; /* flock */
    bool store_exclusive;
    int shm[SIM_SHM_LOCKS]; /* connections that share it, -1: exclusive */
    uint32_t shm_users, shm_count;
    void **shm_regions;
} sim_locks;

sim_locks *sim_fs_locks(uint32_t inode);

#endif
