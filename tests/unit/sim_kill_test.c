/* The process is killed at every persistent operation (sim_crash.h): what it has written is there, nothing else. */
#include "sim_crash.h"

static void test_kill_at_every_operation(void **state) {
    (void)state;
    sim_crash_all(&(sim_crash_plan){.crash = SIM_KILLED, .seeds = 6, .steps = 40, .deeper_every = 8, .least = 15000});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_at_every_operation),
    };
    sim_setup();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sim_teardown();
    return failed;
}
