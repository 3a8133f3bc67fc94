#include "sim_fs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What is known of a file beyond its content. */
typedef struct sim_file_state {
    uint32_t open;
    bool nameless; /* not logged */
    sim_locks locks;
} sim_file_state;

static struct {
    sim_image now;
    sim_log log;
    sim_file_state *files; /* by inode */
    uint32_t file_count, file_capacity;
    uint64_t open;
    sim_fault fault;
    bool paused;
    uint64_t calls[SIM_ORIGINS], planned, failures[SIM_ORIGINS];
    int64_t started, acknowledged;
} sim;

/* ---- life ---- */

static void sim_free_locks(sim_locks *locks) {
    for (uint32_t i = 0; i < locks->shm_count; i++) free(locks->shm_regions[i]);
    free(locks->shm_regions);
    *locks = (sim_locks){0};
}

static void sim_clear(void) {
    if (sim.open != 0) abort(); /* somebody has lost a file */
    for (uint32_t i = 0; i < sim.file_count; i++) sim_free_locks(&sim.files[i].locks);
    sim.file_count = 0;
    sim_image_free(&sim.now);
    sim_log_free(&sim.log);
    sim.fault = (sim_fault){0};
    memset(sim.calls, 0, sizeof sim.calls);
    memset(sim.failures, 0, sizeof sim.failures);
    sim.started = sim.acknowledged = 0;
    sim.planned = 0;
}

/* Makes room for the state of an inode. */
static sim_file_state *sim_file(uint32_t inode) {
    if (inode >= sim.file_capacity) {
        sim.file_capacity = inode + inode / 2 + 32;
        sim.files = sim_resize(sim.files, sim.file_capacity * sizeof *sim.files);
    }
    while (sim.file_count <= inode) sim.files[sim.file_count++] = (sim_file_state){0};
    return &sim.files[inode];
}

void sim_fs_load(const sim_image *image) {
    sim_clear();
    sim_image_copy(image, &sim.now);
}

void sim_fs_abandon(void) { sim.open = 0; }

void sim_fs_end(void) {
    sim_clear();
    free(sim.files);
    sim.files = NULL;
    sim.file_capacity = 0;
    sim_names_clear();
}

sim_image *sim_fs_now(void) { return &sim.now; }
const sim_log *sim_fs_log(void) { return &sim.log; }

sim_log sim_fs_take_log(void) {
    sim_log log = sim.log;
    sim.log = (sim_log){0};
    return log;
}

void sim_fs_note_commits(int64_t started, int64_t acknowledged) {
    sim.started = started;
    sim.acknowledged = acknowledged;
}

void sim_fs_plan(const sim_fault *fault) {
    sim.fault = *fault;
    sim.planned = 0;
    memset(sim.calls, 0, sizeof sim.calls);
    memset(sim.failures, 0, sizeof sim.failures);
}

uint64_t sim_fs_calls(sim_origin origin) { return sim.calls[origin]; }
uint64_t sim_fs_failures(sim_origin origin) { return sim.failures[origin]; }
void sim_fs_pause(bool paused) { sim.paused = paused; }
uint64_t sim_fs_open_files(void) { return sim.open; }
sim_locks *sim_fs_locks(uint32_t inode) { return &sim_file(inode)->locks; }

/* ---- the log and faults ---- */

static void sim_do(const sim_op *op) {
    sim_image_apply(&sim.now, op);
    if (op->inode != SIM_NONE && sim_file(op->inode)->nameless) return;
    if (sim.log.count == sim.log.capacity) {
        sim.log.capacity = 2 * sim.log.capacity + 64;
        sim.log.ops = sim_resize(sim.log.ops, sim.log.capacity * sizeof *sim.log.ops);
    }
    sim_op *logged = &sim.log.ops[sim.log.count++];
    *logged = *op;
    logged->started = sim.started;
    logged->acknowledged = sim.acknowledged;
    if (!op->bytes) return;
    logged->bytes = sim_alloc(op->size);
    memcpy(logged->bytes, op->bytes, (size_t)op->size);
}

sim_result sim_fs_call(sim_origin origin) {
    if (sim.paused) return SIM_OK;
    sim.calls[origin]++;
    if (sim.fault.nth == 0 || !sim.fault.of[origin]) return SIM_OK;
    sim.planned++;
    if (sim.planned != sim.fault.nth && !(sim.fault.forever && sim.planned > sim.fault.nth)) return SIM_OK;
    sim.failures[origin]++;
    return sim.fault.error;
}

/* ---- calls ---- */

sim_result sim_fs_open(sim_origin origin, const char *path, bool create, bool exclusive, uint32_t *ret_inode,
                       bool *ret_created) {
    sim_result result = sim_fs_call(origin);
    if (result != SIM_OK) return result;
    uint32_t name = path ? sim_name(path) : SIM_NONE;
    uint32_t inode = path ? sim_image_find(&sim.now, name) : SIM_NONE;
    if (inode != SIM_NONE && exclusive) return SIM_EXISTS;
    if (inode == SIM_NONE && !create) return SIM_MISSING;
    if (path && sim_image_find(&sim.now, sim_parent(name)) == SIM_NONE) return SIM_MISSING;
    *ret_created = inode == SIM_NONE;
    if (inode == SIM_NONE) {
        inode = sim.now.inode_count;
        sim_file(inode)->nameless = !path;
        sim_op op = {.kind = path ? SIM_CREATE : SIM_TRUNCATE, .origin = origin, .inode = inode, .name = name};
        sim_do(&op);
    }
    if (sim_image_is_directory(&sim.now, inode)) return SIM_EIO;
    sim_file(inode)->open++;
    sim.open++;
    *ret_inode = inode;
    return SIM_OK;
}

void sim_fs_close(uint32_t inode) {
    sim_file_state *file = sim_file(inode);
    assert(file->open > 0);
    sim.open--;
    if (--file->open == 0) sim_free_locks(&file->locks);
}

sim_result sim_fs_read(sim_origin origin, uint32_t inode, uint64_t offset, void *bytes, uint64_t size,
                       uint64_t *ret_size) {
    sim_result result = sim_fs_call(origin);
    if (result == SIM_OK) *ret_size = sim_image_read(&sim.now, inode, offset, bytes, size);
    return result;
}

sim_result sim_fs_write(sim_origin origin, uint32_t inode, uint64_t offset, const void *bytes, uint64_t size) {
    sim_result result = sim_fs_call(origin);
    if (result != SIM_OK) size = sim.fault.short_writes ? size / 2 : 0;
    sim_op op = {SIM_WRITE, origin, inode, SIM_NONE, offset, size, (uint8_t *)(uintptr_t)bytes, 0, 0};
    if (size > 0) sim_do(&op);
    return result;
}

sim_result sim_fs_truncate(sim_origin origin, uint32_t inode, uint64_t size) {
    sim_result result = sim_fs_call(origin);
    sim_op op = {.kind = SIM_TRUNCATE, .origin = origin, .inode = inode, .name = SIM_NONE, .size = size};
    if (result == SIM_OK) sim_do(&op);
    return result;
}

sim_result sim_fs_sync(sim_origin origin, uint32_t inode) {
    sim_result result = sim_fs_call(origin);
    sim_op op = {.kind = SIM_SYNC, .origin = origin, .inode = inode, .name = SIM_NONE};
    if (result == SIM_OK) sim_do(&op);
    return result;
}

sim_result sim_fs_sync_directory(sim_origin origin, const char *path) {
    sim_result result = sim_fs_call(origin);
    if (result == SIM_OK && !sim_fs_exists(path)) result = SIM_MISSING;
    sim_op op = {.kind = SIM_SYNC_DIRECTORY, .origin = origin, .inode = SIM_NONE, .name = sim_name(path)};
    if (result == SIM_OK) sim_do(&op);
    return result;
}

sim_result sim_fs_size(sim_origin origin, uint32_t inode, uint64_t *ret_size) {
    sim_result result = sim_fs_call(origin);
    if (result == SIM_OK) *ret_size = sim_image_size(&sim.now, inode);
    return result;
}

sim_result sim_fs_remove(sim_origin origin, const char *path) {
    sim_result result = sim_fs_call(origin);
    if (result == SIM_OK && !sim_fs_exists(path)) result = SIM_MISSING;
    sim_op op = {.kind = SIM_REMOVE, .origin = origin, .inode = SIM_NONE, .name = sim_name(path)};
    if (result == SIM_OK) sim_do(&op);
    return result;
}

sim_result sim_fs_make_directory(sim_origin origin, const char *path) {
    sim_result result = sim_fs_call(origin);
    if (result != SIM_OK || sim_fs_exists(path)) return result;
    sim_op op = {.kind = SIM_MAKE_DIRECTORY, .origin = origin, .inode = sim.now.inode_count, .name = sim_name(path)};
    sim_do(&op);
    return SIM_OK;
}

bool sim_fs_exists(const char *path) { return sim_image_find(&sim.now, sim_name(path)) != SIM_NONE; }

bool sim_fs_is_removed(uint32_t inode) {
    for (uint32_t i = 0; i < sim.now.entry_count; i++) {
        if (sim.now.entries[i].inode == inode) return false;
    }
    return true;
}

bool sim_fs_list(const char *directory, sim_fs_visit visit, void *context) {
    uint32_t parent = sim_name(directory), count = 0;
    if (sim_image_find(&sim.now, parent) == SIM_NONE) return false;
    uint32_t *names = sim_alloc(sim.now.entry_count * sizeof *names);
    for (uint32_t i = 0; i < sim.now.entry_count; i++) {
        if (sim_parent(sim.now.entries[i].name) == parent) names[count++] = sim.now.entries[i].name;
    }
    bool more = true;
    for (uint32_t i = 0; more && i < count; i++) more = visit(context, sim_path(names[i]));
    free(names);
    return true;
}
