/* What is drawn on stderr while something long runs: on a pseudo-terminal, into a pipe, and nothing when it is off; and
** sqlite3_interrupt in the middle of an optimize, through a callback of the progress itself. */
#include "host.h"

#include "../../ext/connection.h"

#include "index.h"

#include <fcntl.h>
#include <pthread.h>

#define SEEN_MAX 1000000
#define ROWS 30000

/* Reads everything that arrives at a descriptor until its other end is closed. */
typedef struct reader {
    int from;
    size_t size;
    char text[SEEN_MAX];
} reader;

static reader seen;

static void *reader_main(void *context) {
    reader *reading = context;
    for (;;) {
        ssize_t got = read(reading->from, reading->text + reading->size, SEEN_MAX - 1 - reading->size);
        if (got <= 0) break; /* a terminal whose other side is closed gives an error */
        reading->size += (size_t)got;
    }
    reading->text[reading->size] = '\0';
    return NULL;
}

static void make_ends(bool terminal, int *ret_from, int *ret_to) {
    int ends[2];
    if (!terminal) {
        assert_int_equal(pipe(ends), 0);
        *ret_from = ends[0];
        *ret_to = ends[1];
        return;
    }
    *ret_from = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(*ret_from >= 0 && grantpt(*ret_from) == 0 && unlockpt(*ret_from) == 0);
    *ret_to = open(ptsname(*ret_from), O_RDWR | O_NOCTTY);
    assert_true(*ret_to >= 0);
}

/* Loads and builds a table with stderr led to a terminal or a pipe; what was drawn is in seen.text. */
static void draw(const char *setting, bool terminal) {
    int to, before = dup(STDERR_FILENO);
    pthread_t thread;
    memset(&seen, 0, sizeof seen);
    make_ends(terminal, &seen.from, &to);
    assert_true(before >= 0 && dup2(to, STDERR_FILENO) == STDERR_FILENO);
    close(to);
    assert_int_equal(pthread_create(&thread, NULL, reader_main, &seen), 0);
    sqlite3 *db = host_open(":memory:");
    host_run(db, "SELECT shardex_config('progress', %Q)", setting);
    host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[4])");
    host_run(db,
             "WITH RECURSIVE i(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM i WHERE i < %d)"
             " INSERT INTO t(rowid, v) SELECT i, json_array(i %% 71, i %% 73, i %% 79, i %% 83) FROM i",
             ROWS);
    host_run(db, "INSERT INTO t(t) VALUES ('rebuild')");
    host_run(db, "SELECT shardex_config('progress', 'auto')");
    host_close(db);
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    close(before);
    pthread_join(thread, NULL);
    close(seen.from);
}

static void nothing_is_drawn_when_nobody_looks(void **state) {
    (void)state;
    draw("auto", false);
    assert_int_equal(seen.size, 0);
    draw("off", true);
    assert_int_equal(seen.size, 0);
}

/* Into a pipe: lines, at least one a phase. */
static void lines_are_drawn_when_asked_for(void **state) {
    (void)state;
    draw("on", false);
    assert_non_null(strstr(seen.text, "shardex: rebuild t: sampling ["));
    assert_non_null(strstr(seen.text, "shardex: rebuild t: clustering ["));
    assert_non_null(strstr(seen.text, "shardex: rebuild t: assigning ["));
    assert_non_null(strstr(seen.text, "shardex: rebuild t: writing ["));
    assert_non_null(strstr(seen.text, "% of 30000"));
    assert_non_null(strstr(seen.text, "shardex: loading t: "));
    assert_null(strchr(seen.text, '\r'));
    assert_int_equal(seen.text[seen.size - 1], '\n');
}

/* On a terminal: one line that is written over, and erased in the end. */
static void a_terminal_gets_one_line(void **state) {
    (void)state;
    draw("on", true);
    const char *erase = "\r\033[K";
    assert_non_null(strstr(seen.text, "\rshardex: rebuild t: "));
    assert_non_null(strstr(seen.text, "\033[K"));
    assert_null(strchr(seen.text, '\n'));
    assert_true(seen.size > strlen(erase) && strcmp(seen.text + seen.size - strlen(erase), erase) == 0);
}

/* ---- interrupting ---- */

static int interrupt_now(void *context) {
    int *left = context;
    return (*left)-- <= 0;
}

/* A progress handler interrupts the probe statement, and so whatever asks it; sqlite3_interrupt does the same. */
static void commands_are_interrupted(void **state) {
    (void)state;
    sqlite3 *db = host_open(":memory:");
    host_run(db, "CREATE VIRTUAL TABLE t USING shardex(v float[4])");
    host_run(db,
             "WITH RECURSIVE i(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM i WHERE i < 3000)"
             " INSERT INTO t(rowid, v) SELECT i, json_array(i %% 71, i %% 73, i %% 79, i %% 83) FROM i");
    const char *const commands[] = {"flush", "rebuild", "reconcile", "optimize", "integrity-check"};
    for (int c = 0; c < 5; c++) {
        int left = 3;
        sqlite3_progress_handler(db, 1, interrupt_now, &left);
        assert_int_equal(host_try(db, "INSERT INTO t(t) VALUES (%Q)", commands[c]) & 0xff, SQLITE_INTERRUPT);
        sqlite3_progress_handler(db, 0, NULL, NULL);
        host_run(db, "INSERT INTO t(t) VALUES ('integrity-check')");
    }
    host_close(db);
}

/* Where the probe is not prepared yet, that fails because of the interrupt: which tells of it. */
static void an_interrupt_before_the_first_question(void **state) {
    (void)state;
    sqlite3 *db = host_open(":memory:");
    sqlite3_stmt *running;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT 1 UNION ALL SELECT 2", -1, &running, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(running), SQLITE_ROW);
    shx_connection *connection = shx_connection_create(db);
    assert_false(shx_connection_interrupted(connection));
    shx_connection_destroy(connection);
    connection = shx_connection_create(db);
    sqlite3_interrupt(db);
    for (int i = 0; i < 3; i++) assert_true(shx_connection_interrupted(connection));
    sqlite3_finalize(running); /* with the last statement the interrupt ends */
    assert_false(shx_connection_interrupted(connection));
    shx_connection_destroy(connection);
    host_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_drawn_when_nobody_looks), cmocka_unit_test(lines_are_drawn_when_asked_for),
        cmocka_unit_test(a_terminal_gets_one_line),
        cmocka_unit_test(commands_are_interrupted),
        cmocka_unit_test(an_interrupt_before_the_first_question),
    };
    shx_index_use_threads(false); /* what is due, the commands do */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
