/* All at once: a database file, the directory beside it, and SQL.
**
** An input: which table (a byte; joint_table.h); whether edits get past checksums (of a byte's values one in two); the
** stage of the database and that of the directory (a byte); how many files are changed (a byte, modulo 6) and how
** (change_file); then steps, a byte each and what they need (step).
**
** The directory may be lost, old, of another history, or damaged in any way that its checksums find, and its disk may
** fail: then every answer is compared with a brute force over the shadow tables (joint_truth.c). Where the directory
** was made to deceive, with checksums that are right, or the database itself was changed, nothing may break; after a
** rebuild the directory's answers count again.
*/
#include "joint_table.h"

#include "../unit/sim_vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOINT_COPY JOINT_FOLDER "/copy.db"

/* How far answers are to be trusted. */
typedef enum joint_trust {
    JOINT_HOSTILE, /* the directory was made to deceive */
    JOINT_RIGHT,   /* it is lost or damaged, or its disk fails: answers are right */
    JOINT_WHOLE,   /* it is as the engine left it: integrity-check finds nothing */
} joint_trust;

typedef struct joint_run {
    const joint_table *table;
    sqlite3 *db, *peer; /* the second one reads; NULL when there is none */
    joint_trust trust;
    bool edited;   /* the database was: nothing is compared any more */
    bool in_place; /* the table is as it was declared */
    bool copied;
} joint_run;

static bool is_judged(const joint_run *run) { return run->trust != JOINT_HOSTILE && !run->edited && run->in_place; }

/* ---- files ---- */

static fuzz_file read_path(const char *path) {
    fuzz_file file = {.bytes = malloc(FUZZ_FILE_MAX)};
    uint32_t inode = sim_image_find(sim_fs_now(), sim_name(path));
    fuzz_require(file.bytes != NULL);
    if (inode != SIM_NONE) file.size = sim_image_read(sim_fs_now(), inode, 0, file.bytes, FUZZ_FILE_MAX);
    return file;
}

/* The bases must name what was edited. */
static void seal_bases(const joint_disk *disk, const fuzz_file *named, shx_file_kind kind, uint64_t id) {
    for (uint64_t i = 1; i < disk->count; i++) {
        shx_file_kind base_kind;
        uint64_t base_id;
        const char *name = strrchr(disk->paths[i], '/') + 1;
        if (!shx_file_name_parse(name, &base_kind, &base_id) || base_kind != SHX_FILE_BASE) continue;
        fuzz_file base = read_path(disk->paths[i]);
        if (base.size >= SHX_HEADER_BYTES) fuzz_seal_base(&base, base_id, named, kind, id);
        joint_put(disk->paths[i], &base);
        free(base.bytes);
    }
}

static void seal(const joint_run *run, const joint_disk *disk, uint64_t which, fuzz_file *file) {
    shx_file_kind kind;
    uint64_t id;
    shx_id uuid;
    const fuzz_file *good = &disk->files[which];
    if (!shx_file_name_parse(strrchr(disk->paths[which], '/') + 1, &kind, &id) || good->size < SHX_HEADER_BYTES) return;
    memcpy(uuid.bytes, good->bytes + 16, sizeof uuid.bytes);
    fuzz_seal(file, kind, &uuid, id, run->table->vector_bytes);
    if (kind == SHX_FILE_SEGMENT || kind == SHX_FILE_SHARDS) seal_bases(disk, file, kind, id);
}

/* One file: it is lost, another one's bytes are in its place, or it is edited. The database comes first. */
static void change_file(joint_run *run, const joint_disk *disk, bool sealed, fuzz_input *input) {
    uint64_t which = fuzz_number(input, 1) % disk->count, how = fuzz_number(input, 1);
    const char *path = disk->paths[which];
    if (how >= 248) {
        if (sim_fs_exists(path)) fuzz_require(sim_fs_remove(SIM_STORE, path) == SIM_OK);
    } else if (how >= 240) {
        const joint_disk *from = &run->table->disks[fuzz_number(input, 1) % JOINT_STAGES];
        joint_put(path, &from->files[fuzz_number(input, 1) % from->count]);
    } else {
        fuzz_file before = read_path(path), after = sealed ? fuzz_edit(&before, input) : fuzz_damage(&before, input);
        if (sealed && which != 0) seal(run, disk, which, &after);
        joint_put(path, &after);
        free(before.bytes);
        free(after.bytes);
    }
    run->trust = sealed ? JOINT_HOSTILE : run->trust == JOINT_WHOLE ? JOINT_RIGHT : run->trust;
    run->edited = run->edited || which == 0;
}

static void make_disk(joint_run *run, fuzz_input *input) {
    bool sealed = fuzz_number(input, 1) % 2;
    uint64_t stages = fuzz_number(input, 1);
    joint_stage database = (joint_stage)(stages % JOINT_STAGES), directory = database;
    if (stages / 4 % 4 == 3) directory = (joint_stage)(stages / 16 % JOINT_STAGES);
    joint_disk_load(run->table, database, directory);
    if (database != directory) run->trust = JOINT_RIGHT;
    for (uint64_t times = fuzz_number(input, 1) % 6; times > 0; times--) {
        change_file(run, &run->table->disks[directory], sealed, input);
    }
}

/* ---- steps ---- */

static sqlite3 *connect(void) {
    int on;
    sqlite3 *db = fuzz_sql_open(JOINT_DATABASE);
    /* Plain SQL does not reach the shadow tables: they are the truth. */
    fuzz_require(sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on) == SQLITE_OK);
    return db;
}

static void run_compare(joint_run *run, fuzz_input *input) {
    joint_compare(run->table, run->db, input, is_judged(run));
}

static void run_write(joint_run *run, fuzz_input *input) {
    joint_write(run->table, run->db, input, is_judged(run));
}

/* What changes no row: transactions, and what is done to the whole table. */
static void run_control(joint_run *run, fuzz_input *input) {
    static const char *const controls[] = {
        "BEGIN", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "SAVEPOINT b", "ROLLBACK TO b", "RELEASE b", "COMMIT",
        "ROLLBACK", "INSERT INTO t(t) VALUES('flush')", "INSERT INTO t(t) VALUES('optimize')",
        "INSERT INTO t(t) VALUES('reconcile')", "INSERT INTO t(t) VALUES('gc')", "INSERT INTO t(t) VALUES('purge')",
        "SELECT shardex_catch_up('t')", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t",
        "SELECT shardex_info('t'), shardex_recall('t', 3, 5); SELECT * FROM shardex_segments('t'), shardex_shards('t')",
        "SELECT * FROM shardex_stats('t')",
        "SELECT a.rowid, b.rowid FROM t a JOIN t b ON b.v MATCH a.v AND b.k = 3 WHERE a.rowid < 9",
        "SELECT t, k, recall, exact FROM t WHERE v MATCH (SELECT v FROM t LIMIT 1) AND k = 3 AND recall = 0.8",
        "CREATE VIRTUAL TABLE u USING shardex(w float[2]); INSERT INTO u(w) VALUES('[1,2]')", "DROP TABLE u",
        "INSERT INTO t(t) VALUES('integrity-check')", "INSERT INTO t(t) VALUES('rebuild')",
        "SAVEPOINT c; DROP TABLE t; ROLLBACK TO c; RELEASE c", "SAVEPOINT c; DROP TABLE t; ROLLBACK TO c"};
    uint64_t which = fuzz_number(input, 1) % (sizeof controls / sizeof *controls);
    const char *sql = controls[which];
    int rc = fuzz_sql_try(run->db, sql) & 0xff;
    bool open = !sqlite3_get_autocommit(run->db);
    bool checks = strstr(sql, "integrity"), fair = rc == SQLITE_OK || rc == SQLITE_INTERRUPT || rc == SQLITE_BUSY;
    if (strstr(sql, "rebuild") && rc == SQLITE_OK && !open && !run->peer) run->trust = JOINT_WHOLE;
    if (checks && (run->trust < JOINT_WHOLE || open)) fair = true;
    if (!checks) fair = rc != SQLITE_CORRUPT && rc != SQLITE_NOTADB && rc != SQLITE_CONSTRAINT;
    if (is_judged(run) && !fair) fprintf(stderr, "%s\n%d: %s\n", sql, rc, sqlite3_errmsg(run->db));
    fuzz_require(fair || !is_judged(run));
}

/* SQL that is not the harness's own may do anything to the table, and to the transaction. */
static void note_schema(joint_run *run) { run->in_place = joint_table_is_in_place(run->table, run->db); }

static void run_battery(joint_run *run, fuzz_input *input) {
    fuzz_sql_battery(run->db, fuzz_number(input, 1));
    note_schema(run);
}

static void run_text(joint_run *run, fuzz_input *input) {
    char *text = fuzz_text(input);
    fuzz_sql_steps();
    fuzz_sql_run(run->db, text);
    free(text);
    note_schema(run);
}

static void run_rows(joint_run *run, fuzz_input *input) {
    (void)input;
    joint_compare_rows(run->table, run->db, is_judged(run));
}

/* A reader, whose snapshot gets old. */
static void run_peer(joint_run *run, fuzz_input *input) {
    uint64_t what = fuzz_number(input, 1);
    if (!run->peer) run->peer = connect();
    if (what % 8 == 0) {
        fuzz_sql_close(run->peer);
        run->peer = NULL;
        return;
    }
    if (what % 8 == 1) (void)fuzz_sql_try(run->peer, sqlite3_get_autocommit(run->peer) ? "BEGIN" : "COMMIT");
    bool judged = is_judged(run) && joint_table_is_in_place(run->table, run->peer);
    if (what % 8 == 2) joint_compare_rows(run->table, run->peer, judged);
    if (what % 8 > 2) joint_compare(run->table, run->peer, input, judged);
}

/* A call of the store fails, once or from then on, or none any more: not the transactions' business. */
static void run_fault(joint_run *run, fuzz_input *input) {
    static const sim_result errors[] = {SIM_EIO, SIM_ENOSPC, SIM_EMFILE};
    uint64_t nth = fuzz_number(input, 1), how = fuzz_number(input, 1);
    sim_fault fault = {.nth = nth, .of[SIM_STORE] = true, .forever = how & 1, .short_writes = how & 2};
    fault.error = errors[how / 4 % 3];
    sim_fs_plan(&fault);
    if (nth > 0 && run->trust == JOINT_WHOLE) run->trust = JOINT_RIGHT;
}

static void close_all(joint_run *run) {
    if (run->peer) fuzz_sql_close(run->peer);
    fuzz_sql_close(run->db);
    run->db = run->peer = NULL;
    sim_fs_plan(&(sim_fault){0});
}

/* Anew, and now and then something happens to the directory in between. */
static void run_reopen(joint_run *run, fuzz_input *input) {
    uint64_t times = fuzz_number(input, 1) % 4;
    close_all(run);
    joint_disk disk = {0};
    if (times > 1) joint_disk_keep(&disk);
    for (; times > 1 && disk.count > 0; times--) change_file(run, &disk, false, input);
    joint_disk_free(&disk);
    run->db = connect();
    note_schema(run);
}

static void run_backup(joint_run *run, fuzz_input *input) {
    if (run->copied) return;
    run->copied = true;
    if (fuzz_sql_try(run->db, "SELECT shardex_backup('" JOINT_COPY "')") != SQLITE_OK) return;
    sqlite3 *copy = fuzz_sql_open(JOINT_COPY);
    joint_compare(run->table, copy, input, is_judged(run));
    joint_compare_rows(run->table, copy, is_judged(run));
    int rc = fuzz_sql_try(copy, "INSERT INTO t(t) VALUES('integrity-check')");
    if (run->trust == JOINT_WHOLE && is_judged(run)) fuzz_require(rc == SQLITE_OK || rc == SQLITE_INTERRUPT);
    fuzz_sql_close(copy);
}

static void step(joint_run *run, fuzz_input *input) {
    static void (*const others[])(joint_run *, fuzz_input *) = {run_reopen, run_peer,   run_fault, run_battery,
                                                                run_text,   run_backup, run_rows,  run_rows};
    uint64_t which = fuzz_number(input, 1) % 48;
    if (which < 16) {
        run_compare(run, input);
    } else if (which < 28) {
        run_write(run, input);
    } else if (which < 40) {
        run_control(run, input);
    } else {
        others[which - 40](run, input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    joint_run run = {.table = joint_table_get(fuzz_number(&input, 1)), .trust = JOINT_WHOLE};
    make_disk(&run, &input);
    sim_vfs_seed(1);
    run.db = connect();
    note_schema(&run);
    for (int i = 0; i < 24 && input.left > 0; i++) step(&run, &input);
    close_all(&run);
    fuzz_require((uint64_t)sqlite3_memory_highwater(1) <= FUZZ_MEMORY_MAX && sim_fs_open_files() == 0);
    return 0;
}
