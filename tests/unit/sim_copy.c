#include "sim_copy.h"

#include "sim_fs.h"
#include "sim_run.h"

#include <string.h>

#define SIM_COPY SIM_DIRECTORY "/copy.db"

/* The one whose path is longest. */
const char *sim_copy_left(void) {
    const sim_image *now = sim_fs_now();
    const char *deepest = NULL;
    for (uint32_t i = 0; i < now->entry_count; i++) {
        const char *path = sim_path(now->entries[i].name);
        if (strncmp(path, SIM_COPY, strlen(SIM_COPY)) != 0) continue;
        if (!deepest || strlen(path) > strlen(deepest)) deepest = path;
    }
    return deepest;
}

static void sim_copy_remove(void) {
    const char *path;
    sim_pause(true);
    while ((path = sim_copy_left()) != NULL) {
        if (sim_image_is_directory(sim_fs_now(), sim_image_find(sim_fs_now(), sim_name(path)))) {
            (void)sim_fs_sync_directory(SIM_SQLITE, path);
        }
        (void)sim_fs_remove(SIM_SQLITE, path);
    }
    (void)sim_fs_sync_directory(SIM_SQLITE, SIM_DIRECTORY);
    sim_pause(false);
}

bool sim_copy_judge(const sim_shape *shape, fixture_random *random, uint64_t *ret_digest) {
    sim_table copy;
    if (!sim_fs_exists(SIM_COPY)) return false;
    int rc = sim_table_open_file(shape, SIM_COPY, &copy);
    if (rc != SQLITE_OK) sim_fail("the copy cannot be opened: %d", rc);
    sim_table_sound(&copy);
    bool made = sim_table_exists(&copy);
    if (made) *ret_digest = sim_table_judge(&copy, random, 1);
    sim_table_close(&copy);
    return made;
}

int sim_copy_step(sim_table *table, fixture_random *random) {
    uint64_t own = 0, copied = 0;
    if (sim_copy_left()) sim_copy_remove(); /* of a step that failed */
    int rc = sim_table_run(table, "SELECT shardex_backup('" SIM_COPY "')");
    if (rc != SQLITE_OK) return rc;
    sim_pause(true);
    rc = sim_table_digest(table, &own);
    if (!sim_copy_judge(table->shape, random, &copied) || own != copied) sim_fail("the copy has other rows");
    sim_pause(false);
    sim_copy_remove();
    return rc;
}
