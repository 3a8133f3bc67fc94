/* The notice that tells other processes what the maintainer does: written, read, renewed, taken down; and what is not
** one tells nothing. */
#include "fixture.h"

#include "bytes.h"
#include "maintain.h"
#include "notice.h"
#include "os.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

/* A clock of its own, so that no time has to pass, and none passes. */
static atomic_uint_fast64_t clock_now;

static uint64_t clock_read(void) { return atomic_load(&clock_now); }

static int clock_put_up(void **state) {
    (void)state;
    atomic_store(&clock_now, 100 * SECOND);
    shx_clock_use(clock_read);
    return 0;
}

static int clock_take_down(void **state) {
    (void)state;
    shx_clock_use(NULL);
    return 0;
}

/* A file of one "process", opened by a second one. */
typedef struct board {
    shx_store *store;
    shx_file *mine, *theirs;
} board;

static board board_make(void) {
    board made = {.store = fixture_prepared_heap()};
    assert_ok(shx_file_open(made.store, "lock", SHX_OPEN_CREATE, &made.mine));
    assert_ok(shx_file_open(made.store, "lock", SHX_OPEN_READ, &made.theirs));
    return made;
}

static void board_free(board *used) {
    shx_file_close(used->mine);
    shx_file_close(used->theirs);
    shx_store_close(used->store);
}

static void assert_silent(board *used) {
    shx_progress_figures figures = shx_notice_read(used->theirs);
    assert_null(figures.phase);
    assert_true(figures.done == 0 && figures.total == 0 && figures.rate == 0 && figures.remaining == 0);
}

static void a_notice_is_renewed_and_taken_down(void **state) {
    (void)state;
    board used = board_make();
    shx_progress progress = {0};
    shx_notice notice;
    shx_progress_open(&progress, NULL, NULL);
    shx_notice_open(&notice, used.mine, &progress);
    assert_silent(&used);
    for (int phase = SHX_PHASE_COLLECTING; phase <= SHX_PHASE_CALIBRATING; phase++) {
        shx_progress_begin(&progress, (shx_phase)phase, 100);
        shx_progress_add(&progress, (uint64_t)phase);
        atomic_fetch_add(&clock_now, SECOND);
        shx_notice_renew(&notice);
        shx_progress_figures told = shx_notice_read(used.theirs), known = shx_progress_look(&progress);
        assert_string_equal(told.phase, known.phase);
        assert_int_equal(told.done, phase);
        assert_int_equal(told.total, 100);
    }
    atomic_fetch_add(&clock_now, SECOND / 10); /* not yet time again */
    shx_progress_add(&progress, 50);
    shx_notice_renew(&notice);
    assert_int_equal(shx_notice_read(used.theirs).done, SHX_PHASE_CALIBRATING);
    shx_progress_close(&progress);
    shx_notice_close(&notice);
    assert_silent(&used);
    board_free(&used);
}

static void write_notice(board *used, uint64_t phase, uint64_t written) {
    uint8_t bytes[56] = {'s', 'h', 'x', 'n', 'o', 't', 'e', 1};
    shx_put64(bytes + 8, phase);
    shx_put64(bytes + 16, 70);
    shx_put64(bytes + 24, 30);
    shx_put64(bytes + 40, written);
    shx_put64(bytes + 48, shx_hash64(bytes, 48, 0));
    assert_ok(shx_file_write(used->mine, 0, bytes, sizeof bytes));
}

static void what_is_no_notice_tells_nothing(void **state) {
    (void)state;
    board used = board_make();
    uint64_t now = clock_read(), minute = 60 * SECOND;
    write_notice(&used, SHX_PHASE_WRITING, now);
    assert_int_equal(shx_notice_read(used.theirs).done, 30); /* more done than there is: all of it */
    write_notice(&used, SHX_PHASE_WRITING, now + minute);    /* before the machine was started again */
    assert_silent(&used);
    write_notice(&used, SHX_PHASE_WRITING, now - minute); /* its writer is dead */
    assert_silent(&used);
    write_notice(&used, SHX_PHASE_CALIBRATING + 1, now);
    assert_silent(&used);
    write_notice(&used, UINT64_MAX, now);
    assert_silent(&used);
    board_free(&used);
}

static void damaged_notices_tell_nothing(void **state) {
    (void)state;
    board used = board_make();
    uint8_t bytes[56];
    write_notice(&used, SHX_PHASE_WRITING, clock_read());
    assert_ok(shx_file_read(used.mine, 0, bytes, sizeof bytes));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        uint8_t damaged = bytes[bit / 8] ^ (uint8_t)(1u << bit % 8);
        assert_ok(shx_file_write(used.mine, bit / 8, &damaged, 1));
        assert_silent(&used);
        assert_ok(shx_file_write(used.mine, bit / 8, bytes + bit / 8, 1));
    }
    for (size_t size = 0; size < sizeof bytes; size++) {
        assert_ok(shx_store_remove(used.store, "lock"));
        board_free(&(board){.mine = used.mine, .theirs = used.theirs});
        assert_ok(shx_file_open(used.store, "lock", SHX_OPEN_CREATE, &used.mine));
        assert_ok(shx_file_open(used.store, "lock", SHX_OPEN_READ, &used.theirs));
        if (size > 0) assert_ok(shx_file_write(used.mine, 0, bytes, size));
        assert_silent(&used);
    }
    board_free(&used);
}

/* ---- between two indexes on one directory, as two processes have ---- */

typedef struct onlooker {
    shx_index *index;
    bool waited, seen;
} onlooker;

/* Lets pass the time after which there must be a notice, once. */
static bool look_on(void *context) {
    onlooker *looking = context;
    if (!looking->waited) atomic_fetch_add(&clock_now, 2 * SECOND);
    looking->waited = true;
    looking->seen |= shx_index_progress(looking->index).phase != NULL;
    return false;
}

static void another_process_sees_the_work(void **state) {
    (void)state;
    enum { DIM = 8, ROWS = 6000 };
    fixture_random random = fixture_seed("another process sees the work", 91);
    fixture_directory directory = fixture_directory_make();
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_gaussian(&random, ROWS, DIM);
    onlooker looking = {0};
    fixture_open(&table, NULL, directory.path);
    assert_ok(shx_index_create(&table.config, &looking.index));
    fixture_put_many(&table, 0, ROWS, vectors);
    fixture_commit(&table);
    assert_null(shx_index_progress(looking.index).phase);
    assert_ok(shx_maintain_optimize(table.index, &table.tip, look_on, &looking));
    assert_true(looking.seen);
    assert_null(shx_index_progress(looking.index).phase);
    shx_index_destroy(looking.index);
    free(vectors);
    fixture_table_free(&table);
    fixture_directory_remove(&directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notice_is_renewed_and_taken_down),
        cmocka_unit_test(what_is_no_notice_tells_nothing),
        cmocka_unit_test(damaged_notices_tell_nothing),
        cmocka_unit_test(another_process_sees_the_work),
    };
    return cmocka_run_group_tests(tests, clock_put_up, clock_take_down);
}
