/* The power fails at every persistent operation (sim_crash.h): of what was not synced any part may be there. */
#include "sim_crash.h"

static void test_power_loss_at_every_operation(void **state) {
    (void)state;
    sim_crash_all(&(sim_crash_plan){.crash = SIM_CUT,
                                    .seeds = 6,
                                    .steps = 40,
                                    .cuts = 5,
                                    .all_every = 8,
                                    .deeper_every = 16,
                                    .least = 100000});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_loss_at_every_operation),
    };
    sim_setup();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sim_teardown();
    return failed;
}
