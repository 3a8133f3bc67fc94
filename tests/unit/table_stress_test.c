/* Lives of random tables beside ordinary twins (stress.h), with an engine whose limits are so low that small tables
** have shards, codes and routers, and split, merge and calibrate them.
**
** SHARDEX_LIVES=n lives more of them (suite soak); SHARDEX_SEED=n lives one alone, SHARDEX_STEPS=n only so far: the
** shortest prefix that still fails is found by halving it.
*/
#include "stress.h"

#define STRESS_LIVES 40
#define STRESS_STEPS 2500
#define STRESS_FIRST_SEED 1000

/* Lives that every run repeats, and how far: the first, and each that once found a bug. */
static const struct {
    uint64_t seed;
    int steps;
} stress_replays[] = {
    {1, 500}, {1285, 943}, {1348, 2219}, {1059, 2438}, {1071, 372}, {1365, 147},
};

static uint64_t stress_number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

/* One of four lives is in memory. */
static void stress_live_anywhere(uint64_t seed, int steps) {
    char *folder = host_make_folder();
    stress_live(seed, steps, seed % 4 ? folder : NULL);
    host_remove_folder(folder);
}

static void tables_equal_their_twins(void **context) {
    (void)context;
    uint64_t lives = stress_number("SHARDEX_LIVES", STRESS_LIVES), only = stress_number("SHARDEX_SEED", 0);
    uint64_t first = stress_number("SHARDEX_FIRST_SEED", STRESS_FIRST_SEED);
    int steps = (int)stress_number("SHARDEX_STEPS", STRESS_STEPS);
    for (uint64_t i = 0; i < (only ? 1 : lives); i++) stress_live_anywhere(only ? only : first + i, steps);
}

static void lives_again(void **context) {
    (void)context;
    if (stress_number("SHARDEX_SEED", 0)) return;
    for (size_t i = 0; i < sizeof stress_replays / sizeof *stress_replays; i++) {
        stress_live_anywhere(stress_replays[i].seed, stress_replays[i].steps);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_again),
        cmocka_unit_test(tables_equal_their_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
