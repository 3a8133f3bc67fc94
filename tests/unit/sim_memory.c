/* The allocator of SQLite, and through it of the engine: counts, and fails as it is told to (sim_run.h). */
#include "sim_run.h"

#include "sim_fs.h"

#include <stdlib.h>
#include <string.h>

static struct {
    uint64_t nth, calls, failures;
    int64_t blocks;
    bool forever, paused;
} sim_memory;

void sim_pause(bool paused) {
    sim_memory.paused = paused;
    sim_fs_pause(paused);
}

void sim_memory_plan(uint64_t nth, bool forever) {
    sim_memory.nth = nth;
    sim_memory.forever = forever;
    sim_memory.calls = sim_memory.failures = 0;
}

uint64_t sim_memory_calls(void) { return sim_memory.calls; }
uint64_t sim_memory_failures(void) { return sim_memory.failures; }
int64_t sim_memory_blocks(void) { return sim_memory.blocks; }

static bool sim_memory_fails(void) {
    if (sim_memory.paused) return false;
    uint64_t call = ++sim_memory.calls;
    if (sim_memory.nth == 0) return false;
    if (call != sim_memory.nth && !(sim_memory.forever && call > sim_memory.nth)) return false;
    sim_memory.failures++;
    return true;
}

/* The size stands before the block, which is aligned to 16 bytes. */
#define SIM_MEMORY_LEAD 16

/* Freed blocks wait in lists by size, which is faster than malloc; a sanitizer is to see every one. */
#if defined(__SANITIZE_ADDRESS__)
#define SIM_MEMORY_KEPT 0
#else
#define SIM_MEMORY_KEPT 8192
#endif
#define SIM_MEMORY_STEP 16

static void *sim_memory_free_lists[SIM_MEMORY_KEPT / SIM_MEMORY_STEP + 1];

static int sim_memory_round(int size) { return (size + SIM_MEMORY_STEP - 1) & ~(SIM_MEMORY_STEP - 1); }

static void *sim_memory_take(int size) {
    void **list = &sim_memory_free_lists[size <= SIM_MEMORY_KEPT ? size / SIM_MEMORY_STEP : 0];
    uint8_t *block = size <= SIM_MEMORY_KEPT ? *list : NULL;
    if (block) {
        memcpy(list, block + SIM_MEMORY_LEAD, sizeof *list);
    } else {
        block = malloc((size_t)size + SIM_MEMORY_LEAD);
        if (!block) return NULL;
    }
    *(int *)(void *)block = size;
    sim_memory.blocks++;
    return block + SIM_MEMORY_LEAD;
}

static void *sim_memory_alloc(int size) {
    return sim_memory_fails() ? NULL : sim_memory_take(size > 0 ? sim_memory_round(size) : SIM_MEMORY_STEP);
}

static int sim_memory_size(void *block) { return block ? *(int *)(void *)((uint8_t *)block - SIM_MEMORY_LEAD) : 0; }

static void sim_memory_free(void *block) {
    if (!block) return;
    int size = sim_memory_size(block);
    sim_memory.blocks--;
    if (size > SIM_MEMORY_KEPT) {
        free((uint8_t *)block - SIM_MEMORY_LEAD);
        return;
    }
    void **list = &sim_memory_free_lists[size / SIM_MEMORY_STEP];
    memcpy(block, list, sizeof *list);
    *list = (uint8_t *)block - SIM_MEMORY_LEAD;
}

static void *sim_memory_resize(void *block, int size) {
    if (sim_memory_fails()) return NULL;
    int former = sim_memory_size(block), wanted = sim_memory_round(size);
    if (wanted == former) return block;
    void *grown = sim_memory_take(wanted);
    if (!grown) return NULL;
    memcpy(grown, block, (size_t)(wanted < former ? wanted : former));
    sim_memory_free(block);
    return grown;
}

static int sim_memory_init(void *context) {
    (void)context;
    return SQLITE_OK;
}

static void sim_memory_shutdown(void *context) { (void)context; }

void sim_memory_use(void) {
    static const sqlite3_mem_methods methods = {
        sim_memory_alloc, sim_memory_free, sim_memory_resize,   sim_memory_size,
        sim_memory_round, sim_memory_init, sim_memory_shutdown, NULL,
    };
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK) abort();
    if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK) abort();
    if (sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK) abort();
}
