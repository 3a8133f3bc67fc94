#include "family.h"

uint32_t family_pick(family *run, uint32_t count) { return (uint32_t)(host_random(&run->random) % count); }

bool family_changes(const family_member *at) { return !sqlite3_get_autocommit(at->db); }

void family_fail(family *run, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    for (uint64_t i = 0; i < FAMILY_PAST; i++) {
        const char *past = run->past[(run->sums.statements + i) % FAMILY_PAST];
        if (past) print_message("    %s\n", past);
    }
    fail_msg("%s\n    again: SHARDEX_SEED=%llu SHARDEX_STEPS=%d", text, (unsigned long long)run->seed, run->step + 1);
}

/* ---- statements ---- */

static int family_count_down(void *context) {
    family *run = context;
    return run->steps_left-- <= 0;
}

static int family_refuse(void *context) { return ((family *)context)->veto; }

static void family_remember(family *run, const family_member *at, const char *sql, const char *message) {
    char **past = &run->past[run->sums.statements++ % FAMILY_PAST];
    sqlite3_free(*past);
    *past = sqlite3_mprintf("%d %s%.260s%s%s", (int)(at - run->members), family_changes(at) ? "… " : "", sql,
                            message ? "  -- " : "", message ? message : "");
}

/* The code of a statement that failed is one that it may have. */
static void family_judge(family *run, family_member *at, int rc, const char *message) {
    bool vetoed = rc == SQLITE_CONSTRAINT_COMMITHOOK || (rc == SQLITE_CONSTRAINT && run->veto);
    run->sums.interrupted += (rc & 0xff) == SQLITE_INTERRUPT;
    run->sums.refused += vetoed || (rc & 0xff) == SQLITE_BUSY;
    if (vetoed || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED || (rc & 0xff) == SQLITE_INTERRUPT) return;
    if (strstr(message, "no such savepoint")) return; /* its end was interrupted, and had worked */
    if (!strstr(message, "roll the transaction back")) family_fail(run, "code %d: %s", rc, message);
    run->sums.asked++;
    if (family_changes(at)) family_do(run, at, "ROLLBACK");
}

static int family_run(family *run, family_member *at, const char *format, va_list arguments) {
    char *sql = sqlite3_vmprintf(format, arguments), *message = NULL;
    int rc = sqlite3_exec(at->db, sql, NULL, NULL, &message);
    sqlite3_progress_handler(at->db, 0, NULL, NULL);
    family_remember(run, at, sql, message);
    if (rc != SQLITE_OK) family_judge(run, at, rc, message ? message : "");
    if (!family_changes(at)) at->depth = 0;
    run->veto = false;
    sqlite3_free(message);
    sqlite3_free(sql);
    return rc;
}

int family_try(family *run, family_member *at, const char *format, ...) {
    va_list arguments;
    run->steps_left = (int)family_pick(run, family_pick(run, 3) ? 40 : 1500);
    if (family_pick(run, *format == 'S' ? 4 : 10) == 0) sqlite3_progress_handler(at->db, 1, family_count_down, run);
    run->veto = family_pick(run, 40) == 0;
    va_start(arguments, format);
    int rc = family_run(run, at, format, arguments);
    va_end(arguments);
    return rc;
}

int family_do(family *run, family_member *at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int rc = family_run(run, at, format, arguments);
    va_end(arguments);
    return rc;
}

/* ---- connections ---- */

static void family_end_transaction(family *run, family_member *at) {
    if (family_changes(at) && family_pick(run, 2)) family_do(run, at, "COMMIT");
    if (family_changes(at)) family_do(run, at, "ROLLBACK");
}

static void family_open(family *run, family_member *at) {
    at->db = host_open(run->paths[0] ? run->paths[0] : ":memory:");
    host_run(at->db, "ATTACH '%s' AS other", run->paths[1] ? run->paths[1] : ":memory:");
    family_do(run, at, "PRAGMA synchronous = OFF; PRAGMA other.synchronous = OFF; PRAGMA cache_size = %d",
              family_pick(run, 3) ? 200 : 5);
    sqlite3_commit_hook(at->db, family_refuse, run);
    family_create(run, at, (family_table){.schema = "temp", .name = "w"});
    family_end_transaction(run, at); /* in case that an end was interrupted */
}

static void family_close(family *run, family_member *at) {
    family_remember(run, at, "(closes)", NULL);
    host_close(at->db);
    at->db = NULL;
    at->depth = 0;
}

/* One connection comes anew; while the other is not there either, directories may go. */
static void family_reopen(family *run, family_member *at) {
    family_member *peer = &run->members[at == run->members];
    family_close(run, at);
    family_end_transaction(run, peer); /* which may have locked everybody out */
    if (family_pick(run, 6) == 0) {
        family_close(run, peer);
        char *command = sqlite3_mprintf("rm -rf '%s-shardex'", run->paths[family_pick(run, 2)]);
        assert_int_equal(system(command), 0);
        sqlite3_free(command);
        family_forget_directories(run);
        family_open(run, peer);
    }
    family_open(run, at);
}

/* In memory: main is copied, or the copy put in its place, once or until it has the address that it had before. */
static void family_exchange(family *run, family_member *at) {
    if (family_changes(at)) return;
    for (uint32_t i = run->image ? family_pick(run, 4) : 0; i > 0; i--) {
        unsigned char *bytes = sqlite3_malloc64((sqlite3_uint64)run->image_size);
        assert_non_null(bytes);
        memcpy(bytes, run->image, (size_t)run->image_size);
        unsigned flags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE;
        int rc = sqlite3_deserialize(at->db, "main", bytes, run->image_size, run->image_size, flags);
        if (rc != SQLITE_OK) family_fail(run, "code %d of sqlite3_deserialize", rc);
        family_remember(run, at, "(deserialize)", NULL);
    }
    if (!run->image || family_pick(run, 5) == 0) {
        sqlite3_free(run->image);
        run->image = sqlite3_serialize(at->db, "main", &run->image_size, 0);
        family_remember(run, at, "(serialize)", NULL);
    }
}

/* ---- a life ---- */

static void family_command(family *run, family_member *at) {
    static const char *const commands[] = {"flush", "flush", "integrity-check", "reconcile", "gc", "rebuild"};
    static const char *const schemas[] = {"main", "other"};
    const char *schema = FAMILY_CHOOSE(run, schemas);
    char *names = family_names(run, at, schema);
    if (names && *names && !family_changes(at)) {
        family_try(run, at, "INSERT INTO %s.%c(%c) VALUES('%s')", schema, *names, *names, FAMILY_CHOOSE(run, commands));
    }
    sqlite3_free(names);
}

static void family_step(family *run, family_member *at) {
    bool changed = family_changes(at);
    uint32_t kind = family_pick(run, 100);
    if (kind < 35) {
        family_write(run, at);
    } else if (kind < 70) {
        family_transact(run, at);
    } else if (kind < 88) {
        family_change_tables(run, at);
    } else if (kind < 93) {
        family_compare(run, at);
    } else if (kind < 95) {
        family_command(run, at);
    } else if (!run->paths[0]) {
        family_exchange(run, at);
    } else if (kind < 96) {
        family_reopen(run, at);
    } else {
        family_write(run, at);
    }
    if (!family_changes(at) && (changed || kind >= 70)) family_compare(run, at);
}

static void family_end(family *run) {
    for (int i = 0; i < run->count; i++) {
        family_member *at = &run->members[i];
        family_end_transaction(run, at);
        family_compare(run, at);
        if (i + 1 < run->count) family_close(run, at);
    }
    family_member *last = &run->members[run->count - 1];
    family_compare_last(run, last);
    family_close(run, last);
    if (!run->paths[0]) return;
    family_open(run, last);
    family_compare_last(run, last);
    family_close(run, last);
}

void family_live(uint64_t seed, int steps, const char *folder, family_sums *sums) {
    static const char *const journals[] = {"wal", "delete", "truncate", "persist", "memory", "delete"};
    family run = {.seed = seed, .random = seed, .count = folder ? 2 : 1};
    for (int i = 0; folder && i < 2; i++) run.paths[i] = sqlite3_mprintf("%s/%c.db", folder, 'a' + i);
    family_member *first = &run.members[0];
    family_open(&run, first);
    const char *journal = FAMILY_CHOOSE(&run, journals);
    family_do(&run, first, "PRAGMA main.journal_mode = %s; PRAGMA other.journal_mode = %s", journal, journal);
    family_create(&run, first, (family_table){.schema = "main", .name = "t"});
    family_create(&run, first, (family_table){.schema = "main", .name = "u"});
    family_create(&run, first, (family_table){.schema = "other", .name = "t"});
    family_end_transaction(&run, first);
    if (run.count > 1) family_open(&run, &run.members[1]);
    for (run.step = 0; run.step < steps; run.step++) {
        int turn = run.count > 1 && family_pick(&run, 3) == 0;
        family_step(&run, &run.members[turn]);
    }
    family_end(&run);
    family_forget_directories(&run);
    for (int i = 0; i < FAMILY_PAST; i++) sqlite3_free(run.past[i]);
    for (int i = 0; i < 2; i++) sqlite3_free(run.paths[i]);
    sqlite3_free(run.image);
    sums->statements += run.sums.statements;
    sums->interrupted += run.sums.interrupted;
    sums->refused += run.sums.refused;
    sums->asked += run.sums.asked;
}
