/* Everything that can be wrong with the files of a directory, one thing at a time, through SQL: each bit of each file
** flipped, each length, blocks zeroed, swapped, copied, doubled, lost, from another file; whole files from elsewhere,
** or gone. Always right answers, nothing lost, and `rebuild` heals.
**
** The engine's limits are lowered here, so that tables of 150 rows have shards, codes and every router.
**
** SHARDEX_DAMAGE_STATES=n tries about n states of each file and way, 0 all of them; SHARDEX_DAMAGE_ONLY=table.file.way
** those of one, and a failure says how to see it again. SHARDEX_DAMAGE_VERBOSE=1 counts them by file.
**
** Where all of thousands of states are tried, all are read, and one in eight is also written to (of the bits: one of
** each byte): what a writer makes of damage takes four fifths of the time and hardly depends on the bit.
*/
#include "damage_table.h"

#include "sim_fs.h"

#include <stdlib.h>
#include <string.h>

#define FILES_STATES 6      /* of each file and way that are tried usually */
#define FILES_HEAL_EVERY 5  /* one state in so many is healed */
#define FILES_HEAL_ALL 41   /* and where all states are tried: half the time goes into healing else */
#define FILES_MANY 4096     /* states of one file and way of which not all are written to */
#define FILES_WRITE_EVERY 8 /* of those */
#define FILES_OTHERS_MAX 8

static const char *const files_options[] = {", router=flat", ", router=levels", ", router=graph, graph_m=4"};
#define FILES_TABLES (sizeof files_options / sizeof *files_options)

/* ---- where other bytes come from ---- */

static const char *files_name(const char *path) { return strrchr(path, '/') + 1; }

static bool files_same_kind(const char *a, const char *b) {
    a = files_name(a), b = files_name(b);
    return strncmp(a, b, strcspn(a, "-")) == 0;
}

static void files_add_others(const damage_disk *disk, const char *path, bool same_name, damage_bytes *others,
                             uint64_t *count) {
    for (uint32_t i = 0; i < disk->count && *count < FILES_OTHERS_MAX; i++) {
        bool same = strcmp(files_name(disk->paths[i]), files_name(path)) == 0;
        if (same == same_name && files_same_kind(disk->paths[i], path)) others[(*count)++] = disk->files[i];
    }
}

/* The same file at another time, where the table went another way, of another table; and other files of its kind. */
static uint64_t files_others(const damage_table *table, const damage_disk *stranger, const char *path,
                             damage_bytes *others) {
    uint64_t count = 0;
    files_add_others(&table->older, path, true, others, &count);
    files_add_others(&table->parted, path, true, others, &count);
    files_add_others(stranger, path, true, others, &count);
    files_add_others(&table->now, path, false, others, &count);
    return count;
}

/* ---- states ---- */

typedef struct files_walk {
    damage_table table;
    uint32_t number; /* of the table */
    damage_disk stranger;
    uint64_t wanted, heal_every, write_every;
    uint64_t by_way[DAMAGE_WAYS];
} files_walk;

/* Another bit from byte to byte. */
static damage_depth files_depth(const files_walk *walk, uint64_t state) {
    if (state % walk->heal_every == 0) return DAMAGE_HEALED;
    return (state + state / walk->write_every) % walk->write_every == 0 ? DAMAGE_WRITTEN : DAMAGE_READ;
}

static void files_try(files_walk *walk, uint32_t file, uint32_t way, uint64_t state, const damage_bytes *others) {
    char note[128];
    damage_bytes damaged;
    const char *only = sim_variable("SHARDEX_DAMAGE_ONLY");
    snprintf(note, sizeof note, "%u.%u.%u.%llu", walk->number, file, way, (unsigned long long)state);
    if (only && strncmp(only, note, strlen(only)) != 0) return;
    if (!damage_make(&damage_ways[way], state, &walk->table.now.files[file], others, &damaged)) return;
    sim_note("SHARDEX_DAMAGE_ONLY=%s SHARDEX_DAMAGE_STATES=0 (%s, %s)", note,
             files_name(walk->table.now.paths[file]), damage_ways[way].name);
    damage_load(&walk->table.now);
    damage_put(walk->table.now.paths[file], &damaged);
    free(damaged.bytes);
    damage_live(&walk->table, state, files_depth(walk, state));
    walk->by_way[way]++;
}

static void files_damage(files_walk *walk, uint32_t file) {
    damage_bytes others[FILES_OTHERS_MAX];
    const damage_bytes *bytes = &walk->table.now.files[file];
    uint64_t other_count = files_others(&walk->table, &walk->stranger, walk->table.now.paths[file], others);
    for (uint32_t way = 0; way < DAMAGE_WAYS; way++) {
        uint64_t count = damage_states(&damage_ways[way], bytes, other_count);
        uint64_t step = damage_step(count, walk->wanted), first = step > 1 ? (file * 31 + way * 7) % step : 0;
        walk->write_every = step == 1 && count > FILES_MANY ? FILES_WRITE_EVERY : 1;
        for (uint64_t state = first; state < count; state += step) files_try(walk, file, way, state, others);
    }
}

static void files_lose(files_walk *walk, uint32_t file) {
    sim_note("table %u without its file %u", walk->number, file);
    damage_load(&walk->table.now);
    damage_put(walk->table.now.paths[file], NULL);
    damage_live(&walk->table, file, DAMAGE_HEALED);
}

static void files_report(const files_walk *walk) {
    print_message("             %s: %llu states of %u files, noticed in %llu\n", walk->table.options + 2,
                  (unsigned long long)walk->table.states, walk->table.now.count,
                  (unsigned long long)walk->table.noticed);
}

static void files_of_table(uint32_t number) {
    files_walk walk = {.number = number, .wanted = sim_number("SHARDEX_DAMAGE_STATES", FILES_STATES)};
    damage_table stranger;
    walk.heal_every = walk.wanted > 0 ? FILES_HEAL_EVERY : FILES_HEAL_ALL;
    damage_table_make(files_options[number], &stranger);
    walk.stranger = stranger.now;
    damage_table_make(files_options[number], &walk.table);
    for (uint32_t file = 0; file < walk.table.now.count; file++) {
        uint64_t states = walk.table.states, noticed = walk.table.noticed;
        files_damage(&walk, file);
        files_lose(&walk, file);
        if (sim_variable("SHARDEX_DAMAGE_VERBOSE")) {
            print_message("             %s, %llu bytes: %llu states, noticed in %llu\n",
                          files_name(walk.table.now.paths[file]), (unsigned long long)walk.table.now.files[file].size,
                          (unsigned long long)(walk.table.states - states),
                          (unsigned long long)(walk.table.noticed - noticed));
        }
    }
    files_report(&walk);
    assert_true(walk.table.noticed > 0);
    damage_table_free(&walk.table);
    damage_table_free(&stranger);
}

static void files_with_flat_shards(void **state) {
    (void)state;
    files_of_table(0);
}

static void files_with_levels(void **state) {
    (void)state;
    files_of_table(1);
}

static void files_with_a_graph(void **state) {
    (void)state;
    files_of_table(2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_with_flat_shards),
        cmocka_unit_test(files_with_levels),
        cmocka_unit_test(files_with_a_graph),
    };
    sim_setup();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sim_teardown();
    return failed;
}
