#include "stress.h"

#define STRESS_DEPTH 6
#define STRESS_RECALL 0.85 /* means of few queries over small tables: far below the target is wrong */

static const stress_element stress_elements[] = {
    {"float", "vec_f32", false}, {"float", "vec_f32", false}, {"float", "vec_f32", false}, {"f16", "vec_f16", false},
    {"bf16", "vec_bf16", false}, {"int8", "vec_int8", false}, {"bit", "vec_bit", true},
};

uint32_t stress_pick(stress *run, uint32_t count) { return (uint32_t)(host_random(&run->random) % count); }

void stress_fail(stress *run, sqlite3 *db, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    fail_msg("%s connection: %s\n    (%s)\n    again: SHARDEX_SEED=%llu SHARDEX_STEPS=%d",
             db == run->db ? "the writing" : "the reading", text, sqlite3_errmsg(db), (unsigned long long)run->seed,
             run->step + 1);
}

/* ---- both tables ---- */

void stress_peer_end(stress *run) {
    if (run->peer_reads) host_run(run->peer, "COMMIT");
    run->peer_reads = false;
}

/* The first statement of a text; *ret_tail is what follows it. */
static int stress_try_one(stress *run, const char *sql, const char **ret_tail) {
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(run->db, sql, -1, &statement, ret_tail);
    while (rc == SQLITE_OK && statement && sqlite3_step(statement) == SQLITE_ROW) continue;
    int finalized = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? finalized : rc;
}

static int stress_try_list(stress *run, const char *format, va_list arguments) {
    char *sql = sqlite3_vmprintf(format, arguments);
    int rc = SQLITE_OK;
    for (const char *at = sql, *tail = sql; rc == SQLITE_OK && *at; at = tail) {
        rc = stress_try_one(run, at, &tail);
        if (rc != SQLITE_BUSY || !run->peer_reads) continue;
        stress_peer_end(run); /* its snapshot is in the way of a rollback journal */
        rc = stress_try_one(run, at, &tail);
    }
    sqlite3_free(sql);
    return rc;
}

int stress_try(stress *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int rc = stress_try_list(run, format, arguments);
    va_end(arguments);
    return rc;
}

void stress_do(stress *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int rc = stress_try_list(run, format, arguments);
    va_end(arguments);
    if (rc != SQLITE_OK) stress_fail(run, run->db, "code %d: %s", rc, format);
}

static char *stress_on_table(stress *run, const char *text, const char *table) {
    sqlite3_str *sql = sqlite3_str_new(NULL);
    for (; *text; text++) {
        if (*text == '@' || *text == '#') {
            sqlite3_str_appendall(sql, *text == '@' ? table : run->key);
        } else {
            sqlite3_str_appendchar(sql, 1, *text);
        }
    }
    return sqlite3_str_finish(sql);
}

void stress_both(stress *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    char *on_table = stress_on_table(run, text, "vect"), *on_twin = stress_on_table(run, text, "twin");
    int rc = stress_try(run, "%s", on_table) & 0xff;
    if (run->in_transaction && sqlite3_get_autocommit(run->db)) {
        if (!strstr(text, "OR ROLLBACK")) stress_fail(run, run->db, "the transaction ended: %s", on_table);
        run->in_transaction = false; /* and what the twin had got in it is gone as well */
        run->depth = 0;
    } else {
        int twin_rc = stress_try(run, "%s", on_twin) & 0xff;
        if (rc != twin_rc) stress_fail(run, run->db, "code %d, and %d for the twin: %s", rc, twin_rc, on_table);
    }
    sqlite3_free(on_table);
    sqlite3_free(on_twin);
    sqlite3_free(text);
}

/* ---- connections ---- */

static sqlite3 *stress_connect(stress *run, bool attached) {
    sqlite3 *db = host_open(run->path && !attached ? run->path : ":memory:");
    if (attached) host_run(db, "ATTACH '%s' AS other", run->path);
    host_run(db, "PRAGMA synchronous = OFF; PRAGMA cache_size = %d", stress_pick(run, 3) ? 200 : 5);
    return db;
}

static void stress_open(stress *run) {
    bool attached = run->path && stress_pick(run, 4) == 0;
    run->db = stress_connect(run, attached);
    run->schema = attached ? "other" : "main";
}

static void stress_peer_close(stress *run) {
    stress_peer_end(run);
    if (run->peer) host_close(run->peer);
    run->peer = NULL;
}

static void stress_end_transaction(stress *run, bool commit) {
    if (run->in_transaction) stress_do(run, commit ? "COMMIT" : "ROLLBACK");
    run->in_transaction = false;
    run->depth = 0;
}

/* The index of a detached database may still be at work; then rm meets files that come while others go. */
static void stress_remove(const char *path) {
    char *command =
        sqlite3_mprintf("rm -rf '%s' '%s-wal' '%s-shm' '%s-journal' '%s-shardex' 2>&1", path, path, path, path, path);
    int tries = 0;
    while (system(command) != 0) assert_true(++tries < 1000);
    sqlite3_free(command);
}

static void stress_reopen(stress *run) {
    if (!run->path) return;
    stress_end_transaction(run, stress_pick(run, 2));
    if (stress_pick(run, 2)) stress_peer_close(run);
    stress_peer_end(run);
    host_close(run->db);
    if (!run->peer && stress_pick(run, 6) == 0) { /* the directory may go at any time */
        char *command = sqlite3_mprintf("rm -rf '%s-shardex'", run->path);
        assert_int_equal(system(command), 0);
        sqlite3_free(command);
    }
    stress_open(run);
}

/* The second connection: it comes and goes, holds a snapshot, looks, changes places with the writer. */
static void stress_meet_peer(stress *run) {
    if (!run->path || run->alone) return;
    if (!run->peer && run->in_transaction) return; /* which may have locked everybody out */
    if (!run->peer) run->peer = stress_connect(run, stress_pick(run, 4) == 0);
    switch (stress_pick(run, 12)) {
    case 0: stress_peer_close(run); break;
    case 1:
    case 2:
    case 3:
        if (run->peer_reads) break;
        host_run(run->peer, "BEGIN");
        run->peer_reads = host_try(run->peer, "SELECT count(*) FROM twin") == SQLITE_OK;
        if (!run->peer_reads) host_run(run->peer, "ROLLBACK");
        break;
    case 4: stress_peer_end(run); break;
    case 5:
        if (run->in_transaction) break;
        stress_peer_end(run);
        sqlite3 *db = run->db;
        run->db = run->peer;
        run->peer = db;
        run->schema = sqlite3_db_filename(run->db, "other") ? "other" : "main";
        break;
    case 6: (void)stress_check_rows(run, run->peer); break;
    default: stress_check_search(run, run->peer);
    }
}

/* ---- what stands around the rows ---- */

static void stress_transact(stress *run) {
    switch (stress_pick(run, 6)) {
    case 0:
        if (!run->in_transaction) stress_do(run, stress_pick(run, 2) ? "BEGIN" : "BEGIN IMMEDIATE");
        run->in_transaction = true;
        break;
    case 1: stress_end_transaction(run, stress_pick(run, 3)); break;
    case 2:
    case 3:
        if (run->in_transaction && run->depth < STRESS_DEPTH) stress_do(run, "SAVEPOINT s%d", run->depth++);
        break;
    case 4:
        if (run->depth == 0) break;
        run->depth = (int)stress_pick(run, (uint32_t)run->depth);
        stress_do(run, "RELEASE s%d", run->depth);
        break;
    default:
        if (run->depth == 0) break;
        run->depth = 1 + (int)stress_pick(run, (uint32_t)run->depth);
        stress_do(run, "ROLLBACK TO s%d", run->depth - 1);
    }
}

static void stress_set(stress *run) {
    static const char *const settings[] = {
        "journal_mode = wal",       "journal_mode = delete", "journal_mode = truncate", "journal_mode = persist",
        "journal_mode = memory",    "cache_size = 5",        "cache_size = 500",        "synchronous = normal",
        "synchronous = off",        "wal_checkpoint",        "incremental_vacuum(9)",   "secure_delete = 1",
        "wal_checkpoint(TRUNCATE)", "mmap_size = 1000000",   "journal_mode = wal",      "mmap_size = 0",
    };
    if (run->in_transaction) return;
    if (run->path && !run->alone && stress_pick(run, 10) == 0) {
        stress_peer_close(run);
        stress_do(run, "PRAGMA %s.locking_mode = EXCLUSIVE", run->schema);
        run->alone = true;
    } else if (run->alone && stress_pick(run, 3) == 0) {
        host_close(run->db);
        run->alone = false;
        stress_open(run);
    } else {
        (void)stress_try(run, "PRAGMA %s.%s", run->schema, STRESS_CHOOSE(run, settings)); /* a reader may forbid it */
    }
}

/* A copy must hold the same rows and answer alike. */
static void stress_copy(stress *run) {
    if (!run->path || run->in_transaction) return;
    char *path = sqlite3_mprintf("%s/copy.db", run->folder);
    if (stress_pick(run, 2)) {
        stress_do(run, "VACUUM %s INTO '%s'", run->schema, path);
    } else {
        stress_do(run, "SELECT shardex_backup('%s', '%s')", path, run->schema);
    }
    sqlite3 *copy = host_open(path);
    assert_true(stress_check_rows(run, copy));
    stress_check_search(run, copy);
    host_close(copy);
    stress_remove(path);
    sqlite3_free(path);
}

/* Another database comes, gets a table with some of the rows in one transaction with a change here, and goes. */
static void stress_attach(stress *run) {
    if (run->in_transaction) return;
    char *path = run->path ? sqlite3_mprintf("%s/more.db", run->folder) : sqlite3_mprintf(":memory:");
    const char *end = stress_pick(run, 2) ? "COMMIT" : "ROLLBACK";
    stress_do(run, "ATTACH '%s' AS more", path);
    stress_do(run, "CREATE VIRTUAL TABLE more.guest USING shardex(v %s[%u] distance_metric=%s, n INTEGER)",
              run->element->declared, run->dim, run->metric);
    stress_do(run, "BEGIN; INSERT INTO guest SELECT %s, %s(v), n FROM twin WHERE n < 9", run->key,
              run->element->function);
    run->in_transaction = true;
    stress_both(run, "UPDATE @ SET n = n + 1 WHERE # < 100");
    if (run->in_transaction) stress_do(run, end);
    run->in_transaction = false;
    bool committed = strcmp(end, "COMMIT") == 0;
    char *count = host_rows(run->db, "SELECT count(*) FROM guest WHERE v IS NOT NULL");
    if ((strcmp(count, "0") == 0) == committed && committed) {
        char *there = host_rows(run->db, "SELECT count(*) FROM twin WHERE n < 9");
        if (strcmp(there, "0") != 0) stress_fail(run, run->db, "the attached table is empty");
        sqlite3_free(there);
    }
    if (!committed && strcmp(count, "0") != 0) stress_fail(run, run->db, "the attached table has %s rows", count);
    sqlite3_free(count);
    stress_do(run, "DETACH more");
    if (run->path) stress_remove(path);
    sqlite3_free(path);
}

static void stress_command(stress *run) {
    static const char *const commands[] = {"flush", "flush",     "flush", "flush",           "flush",    "flush",
                                           "flush", "reconcile", "gc",    "integrity-check", "optimize", "rebuild"};
    const char *command = STRESS_CHOOSE(run, commands);
    int rc = stress_try(run, "INSERT INTO vect(vect) VALUES('%s')", command);
    bool refused = rc == SQLITE_ERROR && run->in_transaction; /* most work on what is committed */
    if (rc != SQLITE_OK && !refused) stress_fail(run, run->db, "code %d: '%s'", rc, command);
}

/* Schema changes, some undone. */
static void stress_schema(stress *run) {
    switch (stress_pick(run, 6)) {
    case 0: stress_do(run, "SAVEPOINT d; DROP TABLE vect; ROLLBACK TO d; RELEASE d"); break;
    case 1:
        stress_do(run, "SAVEPOINT d; ALTER TABLE vect RENAME TO moved; DELETE FROM moved WHERE rowid < 50; "
                       "ROLLBACK TO d; RELEASE d");
        break;
    case 2:
        if (!run->in_transaction) stress_do(run, "VACUUM %s", run->schema);
        break;
    case 3: stress_do(run, "CREATE TABLE %s.plain(a); DROP TABLE %s.plain", run->schema, run->schema); break;
    default: stress_do(run, "ALTER TABLE vect RENAME TO moved; ALTER TABLE moved RENAME TO vect");
    }
}

static void stress_upkeep(stress *run) {
    switch (stress_pick(run, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: stress_command(run); break;
    case 5:
    case 6:
    case 7: stress_set(run); break;
    case 8:
    case 9: stress_schema(run); break;
    case 10: stress_reopen(run); break;
    case 11:
        if (stress_pick(run, 3) == 0) stress_copy(run);
        break;
    case 12:
        if (stress_pick(run, 3) == 0) stress_attach(run);
        break;
    case 13:
        if (!run->in_transaction) stress_do(run, "SELECT shardex_catch_up('vect', '%s')", run->schema);
        break;
    default: stress_check_rows(run, run->db);
    }
}

/* ---- a life ---- */

static const char *stress_metric(stress *run) {
    static const char *const metrics[] = {"l2", "l2", "cosine", "ip", "l1"};
    return run->element->bits ? "hamming" : STRESS_CHOOSE(run, metrics);
}

static void stress_create(stress *run) {
    static const uint32_t dims[] = {1, 3, 4, 8, 16, 16, 24, 24, 33, 72};
    static const char *const texts[] = {"TEXT", "TEXT", "TEXT partition key", "TEXT document key"};
    static const char *const sizes[] = {"", ", flush_rows=64", ", flush_rows=64", ", flush_rows=200, shard_size=64"};
    static const char *const ways[] = {"", ", router=flat", ", router=levels", ", router=graph, graph_m=4"};
    static const char *const shards[] = {", shard_size=32", ", shard_size=40", ", threads=2"};
    run->element = &STRESS_CHOOSE(run, stress_elements);
    run->dim = run->element->bits ? 8 * (1 + stress_pick(run, 12)) : STRESS_CHOOSE(run, dims);
    run->metric = stress_metric(run);
    run->key = stress_pick(run, 3) ? "rowid" : "id";
    run->ids = 60 + (int)stress_pick(run, stress_pick(run, 2) ? 400 : 2400);
    const char *size = STRESS_CHOOSE(run, sizes);
    char *sql = sqlite3_mprintf("vect USING shardex(%sv %s[%u] distance_metric=%s, n INTEGER NOT NULL, s %s, r REAL, "
                                "u NUMERIC, b BLOB, +x TEXT%s%s%s)",
                                strcmp(run->key, "id") == 0 ? "id INTEGER PRIMARY KEY, " : "", run->element->declared,
                                run->dim, run->metric, STRESS_CHOOSE(run, texts), size,
                                strstr(size, "shard_size") ? "" : STRESS_CHOOSE(run, shards), STRESS_CHOOSE(run, ways));
    print_message("             seed %llu: %s, %d operations, %s\n", (unsigned long long)run->seed, sql, run->steps,
                  run->path ? "file" : "memory");
    if (stress_pick(run, 3) == 0) stress_do(run, "PRAGMA %s.auto_vacuum = incremental", run->schema);
    stress_do(run, "CREATE VIRTUAL TABLE %s.%s", run->schema, sql);
    stress_do(run,
              "CREATE TABLE %s.twin(%s INTEGER PRIMARY KEY, v BLOB, n INTEGER NOT NULL, s TEXT, r REAL, "
              "u NUMERIC, b BLOB, x TEXT)",
              run->schema, run->key);
    sqlite3_free(sql);
}

static void stress_step(stress *run) {
    uint32_t kind = stress_pick(run, 1000);
    if (kind < 620) {
        stress_write(run);
    } else if (kind < 800) {
        stress_transact(run);
    } else if (kind < 920) {
        stress_check_search(run, run->db);
    } else if (kind < 960) {
        stress_meet_peer(run);
    } else {
        stress_upkeep(run);
    }
}

static void stress_end(stress *run) {
    stress_end_transaction(run, true);
    stress_peer_close(run);
    (void)stress_check_rows(run, run->db);
    for (int i = 0; i < 5; i++) stress_check_search(run, run->db);
    stress_do(run, "INSERT INTO vect(vect) VALUES('integrity-check')");
    char *sql = sqlite3_mprintf("PRAGMA %s.integrity_check", run->schema), *sound = host_rows(run->db, sql);
    if (strcmp(sound, "ok") != 0) stress_fail(run, run->db, "%s", sound);
    if (run->wanted >= 300 && (double)run->found < STRESS_RECALL * (double)run->wanted) {
        stress_fail(run, run->db, "recall %.3f", (double)run->found / (double)run->wanted);
    }
    sqlite3_free(sound);
    sqlite3_free(sql);
    host_close(run->db);
    if (run->path) stress_remove(run->path);
}

void stress_live(uint64_t seed, int steps, const char *folder) {
    stress run = {.seed = seed, .random = seed, .steps = steps, .folder = folder};
    run.path = folder ? sqlite3_mprintf("%s/stress.db", folder) : NULL;
    run.truth = calloc(STRESS_ROWS_MAX, sizeof *run.truth);
    assert_non_null(run.truth);
    stress_open(&run);
    stress_create(&run);
    stress_do(&run, "BEGIN");
    run.in_transaction = true;
    stress_fill(&run, 1, (int)stress_pick(&run, (uint32_t)run.ids));
    stress_end_transaction(&run, true);
    for (run.step = 0; run.step < steps; run.step++) stress_step(&run);
    stress_end(&run);
    free(run.truth);
    sqlite3_free(run.path);
}
