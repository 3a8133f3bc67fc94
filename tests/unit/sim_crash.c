#include "sim_crash.h"

#include "base.h"
#include "sim_copy.h"
#include "sim_fs.h"
#include "sim_store.h"

#include <stdlib.h>
#include <string.h>

#define CRASH_DEPTH_MAX 3
#define CRASH_CACHE (1u << 17) /* disks of one workload, a power of two */
#define CRASH_CHECK_EVERY 8       /* disks of which one is checked by the integrity check as well */

/* What was done, from which disk, and which rows it led to. */
typedef struct crash_record {
    sim_image start;
    sim_log log;
    sim_run run;
} crash_record;

typedef struct crash_tally {
    uint64_t workloads, operations, states, distinct; /* the same disk is opened once */
    uint64_t deeper[2];                               /* second and third crashes, not counted above */
    uint64_t reopened_behind;                         /* found without an index for their commit */
    uint64_t kinds[SIM_STEP_KINDS];                   /* steps by sim_step_kind */
    uint64_t bases;                                   /* bases whose files were durable when they were named */
    uint64_t removals;                                /* files that went when nothing could need them any more */
    uint64_t copies;                                  /* disks with a copy that a backup had made */
} crash_tally;

typedef struct crash_known {
    uint64_t disk, digest;
} crash_known;

typedef struct crash_walk {
    const sim_crash_plan *plan;
    sim_shape shape;
    crash_tally *tally;
    crash_known *known; /* by the disk's hash */
    uint64_t known_count;
    bool copied;    /* the disk that was looked at last has a copy of the database, */
    uint64_t copy;  /* with rows of this hash */
    char path[256]; /* how the state at hand was come to */
} crash_walk;

static void crash_record_free(crash_record *record) {
    sim_image_free(&record->start);
    sim_log_free(&record->log);
    sim_run_free(&record->run);
}

/* SHARDEX_SIM_STATE names one state: only that one is looked at. */
static bool crash_wanted(const char *path) {
    const char *wanted = sim_variable("SHARDEX_SIM_STATE");
    return !wanted || strncmp(path, wanted, strlen(path)) == 0;
}

static void crash_note(const crash_walk *walk) {
    sim_note("SHARDEX_SIM_SEED=%llu SHARDEX_SIM_MODE=%s SHARDEX_SIM_STATE=%s", (unsigned long long)walk->shape.seed,
             sim_mode_names[walk->shape.mode], walk->path);
}

/* ---- looking at a disk ---- */

static void crash_need_no_files(void) {
    const sim_log *log = sim_fs_log();
    for (uint64_t i = 0; i < log->count; i++) {
        if (log->ops[i].origin == SIM_STORE) sim_fail("reading has changed a file of the index");
    }
}

static bool crash_is_behind(sim_table *table) {
    sqlite3_stmt *info = NULL;
    bool behind = false;
    static const char sql[] = "SELECT json_extract(shardex_info('t'), '$.state')";
    if (sqlite3_prepare_v2(table->db, sql, -1, &info, NULL) == SQLITE_OK && sqlite3_step(info) == SQLITE_ROW) {
        behind = strcmp((const char *)sqlite3_column_text(info, 0), "current") != 0;
    }
    sqlite3_finalize(info);
    return behind;
}

static void crash_write_on(sim_run *run, fixture_random *random) {
    static const char *const commands[] = {"INSERT INTO t(t) VALUES('flush')", "INSERT INTO t(t) VALUES('optimize')",
                                           "INSERT INTO t(t) VALUES('reconcile')", "INSERT INTO t(t) VALUES('gc')"};
    int rc = sim_run_transaction(run, random, fixture_below(random, 3) + 1);
    if (rc != SQLITE_OK) sim_fail("the next transaction: %d %s", rc, sqlite3_errmsg(run->one.db));
    uint64_t next = sim_table_exists(&run->one) ? fixture_below(random, 24) : UINT64_MAX;
    if (next < 4) rc = sim_table_run(&run->one, commands[next]);
    if (rc != SQLITE_OK) sim_fail("'%s': %d %s", commands[next], rc, sqlite3_errmsg(run->one.db));
    if (next == 4) shx_index_step();
    (void)sim_table_judge(&run->one, random, 1);
    bool wrote = run->digests[run->acknowledged] != run->digests[0];
    if (wrote && fixture_below(random, 8) == 0 && crash_is_behind(&run->one))
        sim_fail("a writer leaves the index behind");
}

/* Opens the disk, judges it and writes on; what that did can crash in its turn. Returns the digest that was found. */
static uint64_t crash_check(crash_walk *walk, const sim_image *disk, uint64_t chance, crash_record *ret_record) {
    fixture_random random = {chance};
    crash_record *record = ret_record;
    sim_image_copy(disk, &record->start);
    sim_run_start(&walk->shape, disk, chance, &record->run);
    sim_table_sound(&record->run.one);
    if (chance % CRASH_CHECK_EVERY == 0) sim_table_check(&record->run.one);
    uint64_t found = sim_table_judge(&record->run.one, &random, 2);
    walk->copied = sim_copy_judge(&walk->shape, &random, &walk->copy);
    crash_need_no_files();
    if (fixture_below(&random, 16) == 0) walk->tally->reopened_behind += crash_is_behind(&record->run.one);
    crash_write_on(&record->run, &random);
    sim_run_close(&record->run);
    record->log = sim_fs_take_log();
    return found;
}

/* The first commit that must be there at this point. */
static int64_t crash_floor(const sim_replay *replay, const crash_walk *walk, int64_t floor) {
    if (replay->at == 0) return 0;
    const sim_op *last = &replay->log->ops[replay->at - 1];
    int64_t acknowledged =
        replay->at < replay->log->count ? replay->log->ops[replay->at].acknowledged : last->acknowledged;
    if (walk->plan->crash == SIM_KILLED) return acknowledged;
    if (walk->shape.mode == SIM_TRUNCATE_JOURNAL || walk->shape.mode == SIM_WAL_FULL) return acknowledged;
    /* The removal of a journal is durable with the next sync of its directory, frames with the next sync of the WAL. */
    bool synced = walk->shape.mode == SIM_DELETE
                      ? last->kind == SIM_SYNC_DIRECTORY && last->name == sim_name(SIM_DIRECTORY)
                      : last->kind == SIM_SYNC && last->inode == sim_image_find(&replay->now, sim_name(SIM_WAL));
    return synced ? last->acknowledged : floor;
}

static void crash_explore(crash_walk *walk, const crash_record *record, uint64_t chance, int depth);

/* Has this disk been looked at? Then only the commit is compared. */
static crash_known *crash_lookup(crash_walk *walk, uint64_t disk) {
    uint64_t at = disk;
    while (walk->known[at & (CRASH_CACHE - 1)].disk != 0 && walk->known[at & (CRASH_CACHE - 1)].disk != disk) at++;
    return &walk->known[at & (CRASH_CACHE - 1)];
}

/* One state: `low` to `high` are the commits that may be there. The disk is taken over. */
static void crash_state(crash_walk *walk, const crash_record *record, sim_image *disk, int64_t low, int64_t high,
                        uint64_t chance, int depth) {
    crash_note(walk);
    crash_known *known = NULL;
    uint64_t hash = 0, found;
    if (depth == 1 && walk->known_count < CRASH_CACHE / 2) {
        hash = sim_image_hash(disk) | 1;
        known = crash_lookup(walk, hash);
        walk->tally->states++;
    }
    if (known && known->disk) {
        found = known->digest;
    } else {
        crash_record next = {0};
        found = crash_check(walk, disk, chance, &next);
        if (walk->copied && depth == 1) {
            walk->tally->copies++;
            if (sim_run_find(&record->run, walk->copy, 0, high) < 0) sim_fail("a copy has the rows of no commit");
        }
        if (depth == 1) walk->tally->distinct++;
        if (known) {
            *known = (crash_known){hash, found};
            walk->known_count++;
        }
        crash_explore(walk, &next, chance, depth + 1);
        crash_record_free(&next);
        crash_note(walk);
    }
    if (sim_run_find(&record->run, found, low, high) < 0) {
        sim_fail("the rows are those of commit %lld, not of one from %lld to %lld",
                 (long long)sim_run_find(&record->run, found, 0, record->run.started), (long long)low, (long long)high);
    }
    sim_image_free(disk);
}

/* The crash `variant` at the point that the replay has reached. */
static void crash_at(crash_walk *walk, const crash_record *record, const sim_replay *replay, uint64_t variant,
                     int64_t low, int depth) {
    char path[sizeof walk->path];
    memcpy(path, walk->path, sizeof path);
    size_t length = strlen(path);
    snprintf(walk->path + length, sizeof walk->path - length, "%s%llu.%llu", depth > 1 ? "-" : "",
             (unsigned long long)replay->at, (unsigned long long)variant);
    if (crash_wanted(walk->path)) {
        sim_image disk;
        if (walk->plan->crash == SIM_KILLED) {
            sim_replay_killed(replay, &disk);
        } else {
            sim_replay_cut(replay, variant, &disk);
        }
        int64_t high = replay->at < replay->log->count ? replay->log->ops[replay->at].started : record->run.started;
        uint64_t parts[4] = {walk->shape.seed, replay->at, variant, (uint64_t)depth};
        crash_state(walk, record, &disk, low, high, shx_hash64(parts, sizeof parts, walk->shape.mode), depth);
    }
    memcpy(walk->path, path, sizeof path);
}

/* Sometimes, a crash within what followed a crash. */
static void crash_explore(crash_walk *walk, const crash_record *record, uint64_t chance, int depth) {
    fixture_random random = {chance ^ 0x5ca1ab1e};
    bool named = sim_variable("SHARDEX_SIM_STATE") != NULL;
    if (depth > CRASH_DEPTH_MAX || (fixture_below(&random, walk->plan->deeper_every) && !named)) return;
    if (record->log.count == 0) return;
    uint64_t at = fixture_below(&random, record->log.count) + 1, variant = fixture_next(&random) >> 8;
    int64_t low = 0;
    sim_replay replay;
    sim_replay_open(&record->start, &record->log, &replay);
    while (replay.at < at) {
        sim_replay_step(&replay);
        low = crash_floor(&replay, walk, low);
    }
    if (walk->plan->crash == SIM_CUT && replay.pending_count <= 3) variant &= 7;
    walk->tally->deeper[depth - 2]++;
    crash_at(walk, record, &replay, variant, low, depth);
    sim_replay_close(&replay);
}

/* ---- what a base names was durable before ---- */

/* What was not durable when a base was begun. */
typedef struct crash_base {
    uint32_t inode, *files, *names;
    uint32_t count;
} crash_base;

static void crash_base_begin(const sim_replay *replay, uint32_t inode, crash_base *base) {
    base->inode = inode;
    base->count = 0;
    base->files = sim_resize(base->files, replay->pending_count * sizeof *base->files);
    base->names = sim_resize(base->names, replay->pending_count * sizeof *base->names);
    for (uint32_t i = 0; i < replay->pending_count; i++) {
        const sim_op *op = &replay->log->ops[replay->pending[i]];
        base->files[base->count] = op->inode;
        base->names[base->count++] = op->name;
    }
}

static void crash_base_need(const crash_base *base, const sim_replay *replay, const char *directory, shx_file_kind kind,
                            uint64_t id) {
    char name[SHX_FILE_NAME_MAX], path[256];
    shx_file_name(kind, id, name);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    uint32_t number = sim_name(path), inode = sim_image_find(&replay->now, number);
    for (uint32_t i = 0; i < base->count; i++) {
        uint32_t lost = base->names[i];
        bool above = lost != SIM_NONE && (lost == sim_parent(number) || lost == sim_parent(sim_parent(number)));
        if (above) sim_fail("a base names %s in a directory whose name is not durable", name);
        if (base->files[i] == inode || lost == number) sim_fail("a base names %s, which is not durable", name);
    }
}

/* The base is complete: reads what it names. */
static void crash_base_end(crash_walk *walk, const crash_base *base, const sim_replay *replay, uint32_t name) {
    const char *path = sim_path(name), *directory = sim_path(sim_parent(name));
    shx_store *store;
    shx_id uuid;
    shx_base_names names;
    uint64_t id;
    shx_file_kind kind;
    for (int i = 0; i < 16; i++) {
        char digits[3] = {directory[strlen(directory) - 32 + 2 * (size_t)i],
                          directory[strlen(directory) - 31 + 2 * (size_t)i], 0};
        uuid.bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    sim_fs_load(&replay->now);
    if (!shx_file_name_parse(strrchr(path, '/') + 1, &kind, &id) || sim_store_open(directory, &store)) return;
    if (shx_base_read_names(store, &uuid, id, &names) == SHX_OK) {
        walk->tally->bases++;
        if (names.shards_file) crash_base_need(base, replay, directory, SHX_FILE_SHARDS, names.shards_file);
        for (uint32_t i = 0; i < names.segment_count; i++) {
            crash_base_need(base, replay, directory, SHX_FILE_SEGMENT, names.segments[i]);
        }
    }
    shx_store_close(store);
}

/* Looks at the operation that the replay has just done. */
static void crash_watch_bases(crash_walk *walk, const sim_replay *replay, crash_base *base) {
    const sim_op *op = &replay->log->ops[replay->at - 1];
    if (op->origin != SIM_STORE) return;
    if (op->kind == SIM_CREATE && strncmp(strrchr(sim_path(op->name), '/') + 1, "base", 4) == 0) {
        crash_base_begin(replay, op->inode, base);
    }
    if (op->kind != SIM_SYNC || op->inode != base->inode) return;
    for (uint32_t i = 0; i < replay->now.entry_count; i++) {
        if (replay->now.entries[i].inode == op->inode) crash_base_end(walk, base, replay, replay->now.entries[i].name);
    }
}

/* Does operation `at` remove a WAL file that has no record: what a transaction spilled before it was rolled back? */
static bool crash_drops_spill(const sim_log *log, uint64_t at) {
    const sim_op *removal = &log->ops[at];
    uint32_t inode = SIM_NONE;
    if (strncmp(strrchr(sim_path(removal->name), '/') + 1, "wal", 3) != 0) return false;
    for (uint64_t i = 0; i < at; i++) {
        const sim_op *op = &log->ops[i];
        if (op->kind == SIM_CREATE && op->name == removal->name) inode = op->inode;
    }
    for (uint64_t i = 0; i < at; i++) {
        const sim_op *op = &log->ops[i];
        uint64_t end = op->offset + op->size;
        if (op->kind != SIM_WRITE || op->inode != inode || op->offset > SHX_HEADER_BYTES) continue;
        if (end < SHX_HEADER_BYTES + 8) continue;
        if (memcmp(op->bytes + (SHX_HEADER_BYTES - op->offset), "record", 7) == 0) return false;
    }
    return inode != SIM_NONE;
}

/* A file goes when the commits that do without it are durable: commits up to `low` are. A writer confirms the state
** that it begins with, and what that state needs stays; its own commit, the last one, may still be lost. */
static void crash_watch_removal(crash_walk *walk, const sim_replay *replay, int64_t low) {
    const sim_op *op = &replay->log->ops[replay->at - 1];
    if (op->kind != SIM_REMOVE || op->origin != SIM_STORE) return;
    walk->tally->removals++;
    if (low + 1 >= op->acknowledged || crash_drops_spill(replay->log, replay->at - 1)) return;
    sim_fail("%s is removed while commit %lld may still be lost", sim_path(op->name), (long long)op->acknowledged);
}

/* ---- a workload ---- */

static void crash_record_workload(crash_walk *walk, crash_record *record) {
    sim_run_make(&walk->shape, &record->start);
    sim_run_start(&walk->shape, &record->start, 2, &record->run);
    sim_fs_note_commits(0, 0);
    for (int i = 0; i < walk->plan->steps; i++) {
        sim_note("SHARDEX_SIM_SEED=%llu SHARDEX_SIM_MODE=%s, step %d of the workload",
                 (unsigned long long)walk->shape.seed, sim_mode_names[walk->shape.mode], i);
        int rc = sim_run_step(&record->run, i);
        if (rc != SQLITE_OK) sim_fail("step %d: %d %s", i, rc, sqlite3_errmsg(record->run.one.db));
        walk->tally->kinds[sim_step_kind_of(&walk->shape, i)]++;
    }
    sim_run_close(&record->run);
    record->log = sim_fs_take_log();
}

static void crash_look(crash_walk *walk, const crash_record *record, const sim_replay *replay, int64_t low) {
    fixture_random random = {walk->shape.seed ^ replay->at << 32};
    if (fixture_below(&random, sim_number("SHARDEX_SIM_EVERY", 1))) return;
    if (walk->plan->crash == SIM_KILLED) {
        crash_at(walk, record, replay, 0, low, 1);
        return;
    }
    uint64_t subsets = replay->pending_count <= SIM_EXHAUSTIVE ? UINT64_C(1) << replay->pending_count : 0;
    if (fixture_below(&random, walk->plan->all_every) == 0 || subsets <= walk->plan->cuts) {
        for (uint64_t i = 0; i < subsets; i++) crash_at(walk, record, replay, i, low, 1);
    }
    for (uint64_t i = 0; i < walk->plan->cuts; i++) {
        crash_at(walk, record, replay, (UINT64_C(1) << SIM_EXHAUSTIVE) + i, low, 1);
    }
}

static void crash_run(void *context, uint64_t seed, sim_mode mode) {
    crash_walk *walk = context;
    crash_record record = {0};
    crash_base base = {.inode = SIM_NONE};
    int64_t low = 0;
    sim_replay replay;
    walk->shape = sim_shape_make(seed, mode);
    walk->known = calloc(CRASH_CACHE, sizeof *walk->known);
    walk->known_count = 0;
    crash_record_workload(walk, &record);
    sim_replay_open(&record.start, &record.log, &replay);
    while (replay.at < record.log.count) {
        sim_replay_step(&replay);
        low = crash_floor(&replay, walk, low);
        crash_watch_bases(walk, &replay, &base);
        crash_watch_removal(walk, &replay, low);
        crash_look(walk, &record, &replay, low);
    }
    walk->tally->workloads++;
    walk->tally->operations += record.log.count;
    sim_replay_close(&replay);
    crash_record_free(&record);
    free(base.files);
    free(base.names);
    free(walk->known);
    sim_fs_end();
}

static void crash_report(const crash_tally *tally) {
    static const char *const names[] = {"writes",         "loads",          "commands", "maintenance",
                                        "checkpoints",    "vacuums",        "reopens",  "readers",
                                        "second writers", "schema changes", "backups"};
    print_message(
        "             %llu workloads, %llu operations, %llu states (%llu disks), %llu second and %llu third "
        "crashes, %llu bases, %llu removals, "
        "%llu with a copy\n",
        (unsigned long long)tally->workloads, (unsigned long long)tally->operations, (unsigned long long)tally->states,
        (unsigned long long)tally->distinct, (unsigned long long)tally->deeper[0], (unsigned long long)tally->deeper[1],
        (unsigned long long)tally->bases, (unsigned long long)tally->removals, (unsigned long long)tally->copies);
    print_message("             steps:");
    for (int i = 0; i < SIM_STEP_KINDS; i++) print_message(" %llu %s", (unsigned long long)tally->kinds[i], names[i]);
    print_message("; sampled behind: %llu\n", (unsigned long long)tally->reopened_behind);
}

void sim_crash_all(const sim_crash_plan *plan) {
    crash_tally tally = {0};
    crash_walk walk = {.plan = plan, .tally = &tally};
    bool whole = sim_each_workload(plan->seeds, crash_run, &walk);
    crash_report(&tally);
    if (!whole) return;
    assert_true(tally.bases > 0 && tally.removals > 0); /* else this has shown less than it says */
    if (sim_is_usual()) assert_true(tally.distinct >= plan->least && tally.deeper[1] > 0);
    for (int i = 0; i < SIM_STEP_KINDS; i++) assert_true(tally.kinds[i] > 0);
}
