/* commits EXTENSION FOLDER: what a commit costs, beside the same insert into a plain table with a blob.
**
** Three databases in WAL mode take turns, a round each: a shardex table; `t(id INTEGER PRIMARY KEY, v BLOB)`; and the
** floor, what a shardex table writes to the database (narrow row, vector, state row) done by hand with ordinary tables.
** A line gives medians of the rounds, in microseconds a row, and two ratios of plain to shardex (1: as fast): of the
** wall time, which is what a user sees, and of the CPU time, user and system, which can be compared on a busy machine.
** A round is long enough to hold checkpoints of every database. `bulk` inserts its rows in one transaction.
**
** With synchronous=FULL a commit waits for the disk once, so the ratio of the wall times depends on how long an fsync
** takes: the line says what one of 4 KB costs. Some disks only seem to take it; so the same is measured again with
** files whose fsync takes a quarter of a millisecond or a whole one more, in all three databases. (On a busy machine
** whoever slept in an fsync has to wait for his turn, often 4 ms: `chrt -f 50` measures the disk instead.)
**
** Ledger of the commit path: driver.c.
*/
#include <sqlite3.h>

#include "measure.h"

enum { ROUNDS = 7, ENGINES = 3, DIMENSIONS_MAX = 768, SYNCS = 201, PAGE_BYTES = 4096 };

/* What is measured. */
typedef struct {
    const char *name;
    int dimensions;
    const char *synchronous;
    int rows, rounds; /* rows of a round */
    int bulk;         /* a round is one transaction */
    unsigned delay;   /* microseconds that an fsync takes more */
    double at_least;  /* the ratio that is asked for; 0: none */
} commit_trial;

static const commit_trial TRIALS[] = {
    {"commit 768-d NORMAL", 768, "NORMAL", 1500, ROUNDS, 0, 0, 0.5},
    {"commit 128-d NORMAL", 128, "NORMAL", 2000, ROUNDS, 0, 0, 0.35},
    {"commit 16-d NORMAL", 16, "NORMAL", 2000, ROUNDS, 0, 0, 0.35},
    {"commit 768-d FULL", 768, "FULL", 200, ROUNDS, 0, 0, 0.9},
    {"commit 128-d FULL", 128, "FULL", 200, ROUNDS, 0, 0, 0.9},
    {"commit 768-d FULL + .25 ms", 768, "FULL", 200, ROUNDS, 0, 250, 0.9},
    {"commit 128-d FULL + .25 ms", 128, "FULL", 200, ROUNDS, 0, 250, 0.9},
    {"commit 768-d FULL + 1 ms", 768, "FULL", 200, ROUNDS, 0, 1000, 0.9},
    {"commit 128-d FULL + 1 ms", 128, "FULL", 200, ROUNDS, 0, 1000, 0.9},
    {"bulk 768-d", 768, "NORMAL", 4000, 3, 1, 0, 0},
    {"bulk 128-d", 128, "NORMAL", 4000, 3, 1, 0, 0},
};

typedef struct {
    const char *name;
    const char *create; /* %d: dimensions */
    const char *insert; /* ?1 rowid, ?2 vector */
} commit_engine;

/* The floor's trigger writes what a shardex table writes, after the vector. */
static const commit_engine COMMIT_ENGINES[ENGINES] = {
    {"shardex", "CREATE VIRTUAL TABLE t USING shardex(id INTEGER PRIMARY KEY, v float[%d])",
     "INSERT INTO t(id, v) VALUES (?1, ?2)"},
    {"plain", "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)", "INSERT INTO t(id, v) VALUES (?1, ?2)"},
    {"floor",
     "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB);"
     "CREATE TABLE rows(id INTEGER PRIMARY KEY, vector_hash INTEGER NOT NULL, column_hash INTEGER NOT NULL);"
     "CREATE TABLE state(id INTEGER PRIMARY KEY, commit_id BLOB NOT NULL);"
     "INSERT INTO state VALUES (1, zeroblob(16));"
     "CREATE TRIGGER floor AFTER INSERT ON t BEGIN INSERT INTO rows VALUES (new.id, 8070450532247928832 + new.id, "
     "8070450532247928832); UPDATE state SET commit_id = CAST(8070450532247928832 + new.id AS BLOB) WHERE id = 1; END",
     "INSERT INTO t(id, v) VALUES (?1, ?2)"},
};

typedef struct {
    sqlite3 *db;
    sqlite3_stmt *insert;
    sqlite3_int64 rowid;
    double wall[ROUNDS], cpu[ROUNDS];
} commit_side;

static void need_ok(const commit_side *side, int rc) {
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) fail(sqlite3_errmsg(side->db));
}

static void run(const commit_side *side, const char *sql) {
    need_ok(side, sqlite3_exec(side->db, sql, NULL, NULL, NULL));
}

/* ---- the VFS "slow": the system's own, whose files take longer for an fsync ---- */

/* The methods of a kind of file. The files stay the system's: they get the copy. */
typedef struct {
    sqlite3_io_methods copy; /* first: what a file points to */
    const sqlite3_io_methods *real;
} slow_kind;

static sqlite3_vfs slow_vfs, *slow_real;
static unsigned slow_delay; /* microseconds, of the trial that is measured */
static slow_kind slow_kinds[4];

static int slow_sync(sqlite3_file *file, int flags) {
    int rc = ((const slow_kind *)file->pMethods)->real->xSync(file, flags);
    usleep(slow_delay);
    return rc;
}

static int slow_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags) {
    (void)vfs;
    int rc = slow_real->xOpen(slow_real, name, file, flags, ret_flags);
    if (rc != SQLITE_OK) return rc;
    slow_kind *kind = slow_kinds;
    while (kind->real && kind->real != file->pMethods) kind++;
    if (kind == slow_kinds + sizeof slow_kinds / sizeof *slow_kinds - 1) fail("too many kinds of files");
    kind->real = file->pMethods;
    kind->copy = *kind->real;
    kind->copy.xSync = slow_sync;
    file->pMethods = &kind->copy;
    return rc;
}

static void slow_register(void) {
    slow_real = need(sqlite3_vfs_find(NULL));
    slow_vfs = *slow_real;
    slow_vfs.zName = "slow";
    slow_vfs.xOpen = slow_open;
    if (sqlite3_vfs_register(&slow_vfs, 0) != SQLITE_OK) fail("the VFS cannot be registered");
}

/* ---- measuring ---- */

static commit_side side_open(const char *extension, const char *folder, const commit_engine *engine,
                             const commit_trial *trial) {
    char text[PATH_SIZE], name[64];
    commit_side made = {0};
    snprintf(name, sizeof name, "%s-%d.db", engine->name, (int)(trial - TRIALS));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    need_ok(&made, sqlite3_open_v2(path_in(text, folder, name), &made.db, flags, trial->delay > 0 ? "slow" : NULL));
    need_ok(&made, sqlite3_enable_load_extension(made.db, 1));
    need_ok(&made, sqlite3_load_extension(made.db, extension, NULL, NULL));
    snprintf(text, sizeof text, "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s", trial->synchronous);
    run(&made, text);
    snprintf(text, sizeof text, engine->create, trial->dimensions);
    run(&made, text);
    need_ok(&made, sqlite3_prepare_v2(made.db, engine->insert, -1, &made.insert, NULL));
    return made;
}

static void side_close(commit_side *side) {
    sqlite3_finalize(side->insert);
    need_ok(side, sqlite3_close(side->db));
}

static void random_vector(float *vector, int dimensions) {
    static uint64_t state = 88172645463325252u;
    for (int i = 0; i < dimensions; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        vector[i] = (float)(state >> 40) / (float)(1 << 24);
    }
}

/* One round of one side; its rates go to `round`, unless that is negative (to warm up). */
static void side_round(commit_side *side, const commit_trial *trial, int round) {
    float vector[DIMENSIONS_MAX];
    double wall = wall_seconds(), cpu = cpu_seconds();
    if (trial->bulk) run(side, "BEGIN");
    for (int i = 0; i < trial->rows; i++) {
        random_vector(vector, trial->dimensions);
        sqlite3_bind_int64(side->insert, 1, ++side->rowid);
        sqlite3_bind_blob(side->insert, 2, vector, trial->dimensions * (int)sizeof(float), SQLITE_STATIC);
        need_ok(side, sqlite3_step(side->insert));
        need_ok(side, sqlite3_reset(side->insert));
    }
    if (trial->bulk) run(side, "COMMIT");
    if (round < 0) return;
    side->wall[round] = (wall_seconds() - wall) / trial->rows;
    side->cpu[round] = (cpu_seconds() - cpu) / trial->rows;
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return values[count / 2];
}

/* What an fsync of one page takes that was written anew, in microseconds. */
static double measure_sync(const char *folder, unsigned delay) {
    static const char page[PAGE_BYTES];
    char path[PATH_SIZE];
    double times[SYNCS];
    int file = open(path_in(path, folder, "sync"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < SYNCS; i++) {
        if (pwrite(file, page, sizeof page, 0) != (ssize_t)sizeof page) fail("a page cannot be written");
        double start = wall_seconds();
        if (fdatasync(file) != 0) fail("fdatasync failed");
        if (delay > 0) usleep(delay);
        times[i] = 1e6 * (wall_seconds() - start);
    }
    close(file);
    return median(times, SYNCS);
}

static void measure_trial(const char *extension, const char *folder, const commit_trial *trial) {
    commit_side sides[ENGINES];
    double wall[ENGINES], cpu[ENGINES];
    slow_delay = trial->delay;
    for (int e = 0; e < ENGINES; e++) sides[e] = side_open(extension, folder, &COMMIT_ENGINES[e], trial);
    for (int round = -1; round < trial->rounds; round++) {
        for (int e = 0; e < ENGINES; e++) side_round(&sides[e], trial, round);
    }
    for (int e = 0; e < ENGINES; e++) {
        wall[e] = 1e6 * median(sides[e].wall, trial->rounds);
        cpu[e] = 1e6 * median(sides[e].cpu, trial->rounds);
        side_close(&sides[e]);
    }
    printf("%-26s %8.1f %8.1f %8.1f %6.2f %8.1f %8.1f %8.1f %6.2f", trial->name, wall[0], wall[2], wall[1],
           wall[1] / wall[0], cpu[0], cpu[2], cpu[1], cpu[1] / cpu[0]);
    if (trial->at_least > 0) printf("   at least %.2f", trial->at_least);
    if (strcmp(trial->synchronous, "FULL") == 0) printf(", fsync %.0f us", measure_sync(folder, trial->delay));
    printf("\n");
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count != 3) fail("usage: commits EXTENSION FOLDER");
    slow_register();
    printf("%-26s %8s %8s %8s %6s %8s %8s %8s %6s\n", "us a row", "wall", "floor", "plain", "ratio", "CPU", "floor",
           "plain", "ratio");
    for (size_t i = 0; i < sizeof TRIALS / sizeof *TRIALS; i++) measure_trial(arguments[1], arguments[2], &TRIALS[i]);
    return 0;
}
