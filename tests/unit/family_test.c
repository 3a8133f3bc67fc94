/* Lives of several tables and connections (family.h).
**
** SHARDEX_LIVES=n lives more of them (suite soak); SHARDEX_SEED=n lives one alone, SHARDEX_STEPS=n only so far;
** SHARDEX_FIRST_SEED=n begins elsewhere.
*/
#include "family.h"

#define FAMILY_LIVES 40
#define FAMILY_STEPS 250
#define FAMILY_FIRST_SEED 1

static uint64_t family_number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

static void all_tables_equal_their_twins(void **context) {
    (void)context;
    uint64_t lives = family_number("SHARDEX_LIVES", FAMILY_LIVES), only = family_number("SHARDEX_SEED", 0);
    uint64_t first = only ? only : family_number("SHARDEX_FIRST_SEED", FAMILY_FIRST_SEED);
    family_sums sums = {0};
    int steps = (int)family_number("SHARDEX_STEPS", FAMILY_STEPS);
    if (only) lives = 1;
    for (uint64_t seed = first; seed < first + lives; seed++) {
        char *folder = host_make_folder();
        family_live(seed, steps, seed % 5 ? folder : NULL, &sums);
        host_remove_folder(folder);
    }
    print_message("%llu lives from seed %llu on: %llu statements, %llu of them interrupted, %llu refused; "
                  "tables asked for a ROLLBACK %llu times\n",
                  (unsigned long long)lives, (unsigned long long)first, (unsigned long long)sums.statements,
                  (unsigned long long)sums.interrupted, (unsigned long long)sums.refused,
                  (unsigned long long)sums.asked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_tables_equal_their_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
