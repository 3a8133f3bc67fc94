/* kill -9 at random moments of a stream of transactions. After each, the table equals its ordinary twin, answers as a
** comparison of all rows does, passes both integrity checks and can be written on.
**
** A database lives through 20 kills, so that each child goes on from what the last one left. Where the kill falls:
** anywhere in the stream; in flush, optimize or rebuild; in a close (which may finish maintenance); in one of two
** processes that write at the same time. Acknowledged commits must be there, others may be: the child counts in shared
** memory and, within its transactions, in the table `progress`.
**
** Then a crowd: four processes at once, one of which is killed and replaced by another again and again, while the rest
** go on. Some write, some hold snapshots and look at them twice, some run commands, some copy the database.
**
** Some of the tables have shards: the engine's limits are lowered here (tests/meson.build).
**
** SHARDEX_CRASH_KILLS and SHARDEX_CROWD_KILLS set the numbers of kills (suite soak).
*/
#include "twin.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASH_KILLS 200
#define CRASH_LIFE 20 /* kills that one database lives through */
#define CRASH_ROWS_MAX 200
#define CRASH_CROWD 4 /* processes at once */
#define CRASH_CROWD_KILLS 100
#define CRASH_CROWD_LIFE 25
#define CRASH_CROWD_TRY 1000 /* µs between two tries for SQLite's lock, … */
#define CRASH_CROWD_TRIES 120000
#define CRASH_CROWD_PATIENCE 60000 /* … and between two looks at a crowd that is slow, and how many */
#define CRASH_PATIENCE_MS 3600000  /* how long a child waits for SQLite's lock: it is killed before */
#define CRASH_WAITS 10000          /* of 50 µs: how long the parent waits for a phase before it kills anyway */

typedef enum crash_phase { CRASH_STREAM, CRASH_COMMAND, CRASH_CLOSE, CRASH_PAIR, CRASH_PHASES } crash_phase;

static const char *const crash_phases[] = {"a commit", "a command", "a close", "a commit of two writers"};

/* What children tell their parent. */
typedef struct crash_board {
    _Atomic int phase;
    _Atomic int64_t started[CRASH_CROWD], acknowledged[CRASH_CROWD];
    _Atomic int64_t done[CRASH_CROWD]; /* works that processes of a place have finished */
} crash_board;

/* What a database is like. */
typedef struct crash_life {
    shx_metric metric;
    uint32_t dim;
    const char *options;
    int64_t preload; /* rows that are there and indexed before the first kill */
    int64_t ids;
} crash_life;

static const crash_life crash_lives[] = {
    {SHX_L2, 8, ", flush_rows=150", 0, 1200},
    {SHX_COSINE, 24, ", flush_rows=200, shard_size=32", 900, 2000},
    {SHX_IP, 12, ", flush_rows=64", 300, 900},
    {SHX_L2, 16, ", flush_rows=500, threads=2", 4000, 4800},
    {SHX_COSINE, 3, "", 0, 1500},
    {SHX_L2, 72, ", flush_rows=100, shard_size=40", 2000, 2400},
};

typedef struct crash_child {
    const char *path;
    const crash_life *life;
    crash_board *board;
    uint64_t seed;
    int number; /* its place among the processes */
    int work;   /* in the crowd: what it does, crash_works[work] */
    bool wal;
} crash_child;

/* Where the kills fell, and what the table was found like. */
typedef struct crash_tally {
    int kills[CRASH_PHASES], within[CRASH_PHASES], states[3];
} crash_tally;

/* ---- the child ---- */

static void crash_savepoint(twin_pair *twin, fixture_random *random, int64_t ids) {
    twin_run(twin, "SAVEPOINT one");
    for (uint64_t i = fixture_below(random, 20); i > 0; i--) twin_change(twin, random, ids);
    twin_run(twin, "SAVEPOINT two");
    for (uint64_t i = fixture_below(random, 10); i > 0; i--) twin_change(twin, random, ids);
    if (fixture_below(random, 2)) twin_run(twin, "ROLLBACK TO two");
    if (fixture_below(random, 2)) twin_run(twin, "RELEASE two");
    if (fixture_below(random, 2)) twin_run(twin, "ROLLBACK TO one");
    twin_run(twin, "RELEASE one");
}

static void crash_transaction(twin_pair *twin, fixture_random *random, const crash_child *child) {
    crash_board *board = child->board;
    twin_run(twin, "BEGIN IMMEDIATE");
    for (uint64_t i = fixture_below(random, CRASH_ROWS_MAX) + 1; i > 0; i--) {
        twin_change(twin, random, child->life->ids);
        if (fixture_below(random, 40) == 0) crash_savepoint(twin, random, child->life->ids);
    }
    if (fixture_below(random, 10) == 0) {
        twin_run(twin, "ROLLBACK");
        return;
    }
    int64_t next = twin_number(twin, "SELECT commits + 1 FROM progress WHERE child = %d", child->number);
    twin_run(twin, "UPDATE progress SET commits = %lld WHERE child = %d", next, child->number);
    board->started[child->number] = next;
    twin_run(twin, "COMMIT");
    board->acknowledged[child->number] = next;
}

static void crash_command(twin_pair *twin, fixture_random *random, crash_board *board) {
    static const char *const commands[] = {"flush", "flush", "flush", "flush", "optimize", "rebuild"};
    board->phase = CRASH_COMMAND;
    twin_run(twin, "INSERT INTO t(t) VALUES(%Q)", commands[fixture_below(random, 6)]);
    board->phase = CRASH_STREAM;
}

/* Writes until it is killed. */
static void crash_run_child(const crash_child *child) {
    fixture_random random = {child->seed};
    for (;;) {
        twin_pair twin = twin_open(child->path, child->life->metric, child->life->dim);
        twin_require(sqlite3_busy_timeout(twin.db, CRASH_PATIENCE_MS) == SQLITE_OK); /* the lock may be the other's */
        twin_try(&twin, "PRAGMA journal_mode=%s", child->wal ? "wal" : "delete");
        twin_run(&twin, "PRAGMA synchronous=%s", fixture_below(&random, 4) ? "normal" : "off");
        for (uint64_t i = fixture_below(&random, 8) + 1; i > 0; i--) {
            crash_transaction(&twin, &random, child);
            if (fixture_below(&random, 6) == 0) crash_command(&twin, &random, child->board);
        }
        child->board->phase = CRASH_CLOSE;
        twin_close(&twin);
        child->board->phase = CRASH_STREAM;
    }
}

static pid_t crash_start(const crash_child *child) {
    pid_t process = twin_fork();
    if (process == 0) crash_run_child(child);
    return process;
}

/* ---- the parent ---- */

/* Chooses the moment: in this phase, or after so many commits, every other time in the middle of the next one. */
static void crash_await(crash_board *board, crash_phase phase, int64_t commits, fixture_random *random) {
    bool sharp = fixture_below(random, 2);
    for (int i = 0; i < CRASH_WAITS; i++) {
        bool committing = board->started[0] != board->acknowledged[0];
        bool far = board->acknowledged[0] >= commits && (!sharp || committing);
        if (phase == CRASH_COMMAND || phase == CRASH_CLOSE ? board->phase == (int)phase : far) break;
        usleep(50);
    }
    usleep((useconds_t)fixture_below(random, sharp ? 800 : 20000));
}

static void crash_kill(pid_t process) {
    int status = 0;
    twin_require(kill(process, SIGKILL) == 0);
    twin_require(waitpid(process, &status, 0) == process);
    twin_require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* else the child's own checks failed */
}

static void crash_make(const char *path, const crash_life *life, fixture_random *random) {
    twin_pair twin = twin_open(path, life->metric, life->dim);
    twin_create(&twin, life->options);
    twin_run(&twin, "CREATE TABLE progress(child INTEGER PRIMARY KEY, commits INTEGER);"
                    "INSERT INTO progress VALUES(0, 0), (1, 0), (2, 0), (3, 0)");
    if (life->preload > 0) {
        twin_fill(&twin, random, 1, life->preload);
        twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    }
    twin_close(&twin);
}

/* Opens what is left, judges it, writes on. Adds one to the count of the state it was found in. */
static void crash_check(const crash_child *child, fixture_random *random, int states[3]) {
    static const char *const names[] = {"current", "reconciled", "behind"};
    const crash_life *life = child->life;
    twin_pair twin = twin_open(child->path, life->metric, life->dim);
    for (int i = 0; i < CRASH_CROWD; i++) {
        int64_t commits = twin_number(&twin, "SELECT commits FROM progress WHERE child = %d", i);
        twin_require(commits >= child->board->acknowledged[i] && commits <= child->board->started[i]);
    }
    char *state = twin_text(&twin, "SELECT json_extract(shardex_info('t'), '$.state')");
    for (int i = 0; i < 3; i++) states[i] += strcmp(state, names[i]) == 0;
    sqlite3_free(state);
    twin_require_right(&twin, random);
    twin_require_sound(&twin);
    twin_transaction(&twin, random, 30, life->ids);
    if (fixture_below(random, 4) == 0) twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    twin_require_right(&twin, random);
    twin_close(&twin);
}

static void crash_end_life(const char *path, const crash_life *life, fixture_random *random) {
    twin_pair twin = twin_open(path, life->metric, life->dim);
    twin_run(&twin, "INSERT INTO t(t) VALUES('rebuild')");
    twin_require_right(&twin, random);
    twin_require_sound(&twin);
    twin_require(twin_state_is(&twin, "current"));
    twin_close(&twin);
    twin_remove_database(path);
}

/* Was the child still at what it was to be killed in? */
static bool crash_within(crash_board *board, crash_phase phase) {
    bool committing = board->started[0] != board->acknowledged[0] || board->started[1] != board->acknowledged[1];
    return phase == CRASH_COMMAND || phase == CRASH_CLOSE ? board->phase == (int)phase : committing;
}

static void crash_once(crash_child *child, crash_phase phase, fixture_random *random, crash_tally *tally) {
    pid_t other = 0;
    crash_board *board = child->board;
    child->seed = fixture_next(random);
    child->number = 0;
    board->phase = CRASH_STREAM;
    int64_t commits = board->acknowledged[0] + (int64_t)fixture_below(random, 5);
    pid_t process = crash_start(child);
    if (phase == CRASH_PAIR) {
        child->seed = fixture_next(random);
        child->number = 1;
        other = crash_start(child);
    }
    crash_await(board, phase, commits, random);
    crash_kill(process);
    if (other) usleep((useconds_t)fixture_below(random, 20000)); /* it goes on beside the dead one */
    if (other) crash_kill(other);
    tally->kills[phase]++;
    tally->within[phase] += crash_within(board, phase);
    crash_check(child, random, tally->states);
}

static void test_kill_at_random_moments(void **state) {
    (void)state;
    fixture_random random = fixture_seed("crash", 20260101);
    const char *given = getenv("SHARDEX_CRASH_KILLS");
    int kills = given ? atoi(given) : CRASH_KILLS;
    crash_tally tally = {0};
    fixture_directory directory = fixture_directory_make();
    char path[512];
    snprintf(path, sizeof path, "%s/crash.db", directory.root);
    crash_child child = {.path = path};
    child.board = mmap(NULL, sizeof *child.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(child.board != MAP_FAILED);
    for (int i = 0; i < kills; i++) {
        int life = i / CRASH_LIFE;
        child.life = &crash_lives[(size_t)life % (sizeof crash_lives / sizeof *crash_lives)];
        if (i % CRASH_LIFE == 0) {
            memset(child.board, 0, sizeof *child.board);
            crash_make(path, child.life, &random);
        }
        crash_phase phase = (crash_phase)fixture_below(&random, CRASH_PHASES);
        child.wal = i % 2;
        crash_once(&child, phase, &random, &tally);
        if ((i + 1) % CRASH_LIFE == 0 || i + 1 == kills) crash_end_life(path, child.life, &random);
    }
    for (int i = 0; i < CRASH_PHASES; i++) {
        print_message("             %d kills for: %s, %d fell within\n", tally.kills[i], crash_phases[i],
                      tally.within[i]);
    }
    print_message("             found current %d, reconciled %d, behind %d\n", tally.states[0], tally.states[1],
                  tally.states[2]);
    munmap(child.board, sizeof *child.board);
    fixture_directory_remove(&directory);
}

/* ---- the crowd ---- */

static const crash_life crash_crowd_lives[] = {
    {SHX_L2, 8, ", flush_rows=64, shard_size=32", 500, 900},
    {SHX_COSINE, 24, ", flush_rows=100, shard_size=32, router=levels", 1500, 2000},
    {SHX_IP, 16, ", flush_rows=64, threads=2", 0, 700},
    {SHX_L2, 18, ", flush_rows=200, shard_size=40, router=graph", 2000, 2400},
};

/* SQLite's locks are not fair: who comes back at once finds the lock before those who sleep between two tries, and one
** process that runs commands without a pause keeps all others out for as long as it lives. So whoever has finished a
** work pauses, and whoever waits tries again within that pause. A lock that nobody gives back is found all the same. */
static int crash_crowd_wait(void *nothing, int tries) {
    (void)nothing;
    usleep(CRASH_CROWD_TRY);
    return tries < CRASH_CROWD_TRIES;
}

static twin_pair crash_crowd_open(const crash_child *child) {
    twin_pair twin = twin_open(child->path, child->life->metric, child->life->dim);
    twin_require(sqlite3_busy_handler(twin.db, crash_crowd_wait, NULL) == SQLITE_OK);
    return twin;
}

static void crash_crowd_write(twin_pair *twin, fixture_random *random, const crash_child *child) {
    crash_transaction(twin, random, child);
}

/* What a snapshot holds, it holds while others write, flush and remove. */
static void crash_crowd_read(twin_pair *twin, fixture_random *random, const crash_child *child) {
    (void)child;
    twin_run(twin, "BEGIN");
    int64_t rows = twin_number(twin, "SELECT count(*) FROM twin");
    if (fixture_below(random, 2)) twin_require_right(twin, random);
    usleep((useconds_t)fixture_below(random, 60000));
    twin_require(twin_number(twin, "SELECT count(*) FROM t") == rows);
    twin_require_right(twin, random);
    twin_run(twin, "COMMIT");
}

static void crash_crowd_command(twin_pair *twin, fixture_random *random, const crash_child *child) {
    static const char *const commands[] = {"flush", "flush", "gc", "optimize", "reconcile", "rebuild"};
    (void)child;
    uint64_t which = fixture_below(random, 9);
    if (which < 6) {
        twin_run(twin, "INSERT INTO t(t) VALUES(%Q)", commands[which]);
    } else if (which == 6) {
        twin_require_sound(twin);
    } else {
        twin_run(twin, "SELECT shardex_catch_up('t')");
    }
}

static void crash_crowd_copy(twin_pair *twin, fixture_random *random, const crash_child *child) {
    char *path = sqlite3_mprintf("%s.copy-%d", child->path, child->number);
    twin_remove_database(path); /* what a process that was killed has left */
    if (fixture_below(random, 4)) {
        twin_run(twin, "SELECT shardex_backup(%Q)", path);
    } else {
        twin_run(twin, "VACUUM INTO %Q", path);
    }
    twin_pair copy = twin_open(path, twin->metric, twin->dim);
    twin_require_right(&copy, random);
    twin_require_sound(&copy);
    twin_close(&copy);
    twin_remove_database(path);
    sqlite3_free(path);
}

typedef void (*crash_work)(twin_pair *twin, fixture_random *random, const crash_child *child);
static const crash_work crash_works[] = {crash_crowd_write, crash_crowd_write, crash_crowd_read, crash_crowd_command,
                                         crash_crowd_copy};
#define CRASH_WORKS (sizeof crash_works / sizeof *crash_works)

/* Works until it is killed; now and then with a new connection, whose close finishes maintenance. */
static void crash_crowd_child(const crash_child *child) {
    fixture_random random = {child->seed};
    for (;;) {
        twin_pair twin = crash_crowd_open(child);
        twin_run(&twin, "PRAGMA synchronous=%s", fixture_below(&random, 4) ? "off" : "normal");
        for (uint64_t i = fixture_below(&random, 8) + 1; i > 0; i--) {
            crash_works[child->work](&twin, &random, child);
            child->board->done[child->number]++;
            usleep(2000 + (useconds_t)fixture_below(&random, 10000));
        }
        twin_close(&twin);
    }
}

/* While others work: one snapshot, in which everything is right and every acknowledged commit is there. */
static void crash_crowd_check(const crash_child *child, fixture_random *random) {
    int64_t acknowledged[CRASH_CROWD];
    for (int i = 0; i < CRASH_CROWD; i++) acknowledged[i] = child->board->acknowledged[i];
    twin_pair twin = crash_crowd_open(child);
    twin_run(&twin, "BEGIN");
    for (int i = 0; i < CRASH_CROWD; i++) {
        int64_t commits = twin_number(&twin, "SELECT commits FROM progress WHERE child = %d", i);
        twin_require(commits >= acknowledged[i] && commits <= child->board->started[i]);
    }
    twin_require_right(&twin, random);
    twin_run(&twin, "COMMIT");
    if (fixture_below(random, 3) == 0) twin_require_sound(&twin);
    if (fixture_below(random, 3) == 0) twin_transaction(&twin, random, 20, child->life->ids);
    twin_close(&twin);
}

/* A process in this place, with some work; in the first two places it writes. */
static pid_t crash_crowd_start(crash_child *child, int place, fixture_random *random) {
    child->number = place;
    child->seed = fixture_next(random);
    child->work = place < 2 ? 0 : (int)fixture_below(random, CRASH_WORKS);
    pid_t process = twin_fork();
    if (process == 0) prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
    if (process == 0) crash_crowd_child(child);
    return process;
}

static int64_t crash_crowd_works(const crash_board *board) {
    int64_t works = 0;
    for (int i = 0; i < CRASH_CROWD; i++) works += board->done[i];
    return works;
}

/* However slow the machine is, works are finished between kills. */
static void crash_crowd_await(const crash_board *board, int64_t works) {
    for (int i = 0; i < CRASH_CROWD_PATIENCE && crash_crowd_works(board) < works; i++) usleep(CRASH_CROWD_TRY);
}

/* One database, and so many kills. */
static void crash_crowd_live(crash_child *child, int kills, fixture_random *random, int64_t *works) {
    pid_t crowd[CRASH_CROWD];
    memset(child->board, 0, sizeof *child->board);
    crash_make(child->path, child->life, random);
    twin_pair twin = twin_open(child->path, child->life->metric, child->life->dim);
    twin_run(&twin, "PRAGMA journal_mode=%s", child->wal ? "wal" : "delete");
    twin_close(&twin);
    for (int i = 0; i < CRASH_CROWD; i++) crowd[i] = crash_crowd_start(child, i, random);
    for (int i = 0; i < kills; i++) {
        usleep((useconds_t)fixture_below(random, 80000));
        crash_crowd_await(child->board, i + 2);
        int place = (int)fixture_below(random, CRASH_CROWD);
        crash_kill(crowd[place]);
        if (fixture_below(random, 2) == 0) crash_crowd_check(child, random);
        crowd[place] = crash_crowd_start(child, place, random);
    }
    for (int i = 0; i < CRASH_CROWD; i++) crash_kill(crowd[i]);
    *works += crash_crowd_works(child->board);
    crash_crowd_check(child, random);
    crash_end_life(child->path, child->life, random);
    for (int i = 0; i < CRASH_CROWD; i++) {
        char *copy = sqlite3_mprintf("%s.copy-%d", child->path, i);
        twin_remove_database(copy);
        sqlite3_free(copy);
    }
}

static void test_kill_in_a_crowd(void **state) {
    (void)state;
    fixture_random random = fixture_seed("crowd", 20260102);
    const char *given = getenv("SHARDEX_CROWD_KILLS");
    int kills = given ? atoi(given) : CRASH_CROWD_KILLS;
    int64_t works = 0;
    fixture_directory directory = fixture_directory_make();
    char path[512];
    snprintf(path, sizeof path, "%s/crowd.db", directory.root);
    crash_child child = {.path = path};
    child.board = mmap(NULL, sizeof *child.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(child.board != MAP_FAILED);
    for (int life = 0; life * CRASH_CROWD_LIFE < kills; life++) {
        int left = kills - life * CRASH_CROWD_LIFE;
        child.life = &crash_crowd_lives[(size_t)life % (sizeof crash_crowd_lives / sizeof *crash_crowd_lives)];
        child.wal = (life / 4 + life) % 2;
        crash_crowd_live(&child, left < CRASH_CROWD_LIFE ? left : CRASH_CROWD_LIFE, &random, &works);
    }
    print_message("             %d kills beside three others; %lld works were finished\n", kills, (long long)works);
    assert_true(works > kills);
    munmap(child.board, sizeof *child.board);
    fixture_directory_remove(&directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_at_random_moments),
        cmocka_unit_test(test_kill_in_a_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
