/* Allocations fail, SQLite's and the engine's (sim_fault.h). */
#include "sim_fault.h"

static void test_allocations_that_fail(void **state) {
    (void)state;
    sim_fault_all(
        &(sim_fault_plan){.faulty = SIM_FAULTY_MEMORY, .seeds = 6, .steps = 25, .every = 40, .least = 10000});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_that_fail),
    };
    sim_setup();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sim_teardown();
    return failed;
}
