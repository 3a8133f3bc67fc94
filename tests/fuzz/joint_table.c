#include "joint_table.h"

#include "../unit/sim_vfs.h"

#include "index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOINT_DIRECTORY JOINT_DATABASE "-shardex/"
#define JOINT_SPILL_BYTES 250 /* of a transaction in memory: a few rows */
#define JOINT_FIRST_ROWS 110
#define JOINT_FORGOTTEN 36 /* times that many changes, in one transaction, are more than a ring holds */

/* Limits are low here (meson.build): the first is all exact, the others are coded, routed and calibrated. */
static const joint_kind joint_kinds[JOINT_KINDS] = {
    {"v float[2]", {"", ""}, "", "vec_f32", "l2", "DELETE", 2, false, false},
    {"v float[16] distance_metric=cosine", {"", "PARTITION KEY"}, "", "vec_f32", "cosine", "WAL", 16, false, true},
    {"v int8[64] distance_metric=ip", {"", ""}, ", router=levels", "vec_int8", "ip", "DELETE", 64, false, false},
    {"v bit[64]", {"", "DOCUMENT KEY"}, "", "vec_bit", "hamming", "WAL", 64, true, true},
    {"v f16[16] distance_metric=l1", {"", ""}, ", router=graph", "vec_f16", "l1", "WAL", 16, false, false},
    {"v bf16[20]", {"", "PARTITION KEY"}, ", router=graph, recall=0.9", "vec_bf16", "l2", "DELETE", 20, false, true},
};

/* ---- SQL ---- */

/* Small numbers that all element types have, in clusters, some of them twice. */
static void joint_put_vector(sqlite3_str *sql, const joint_kind *kind, uint64_t number) {
    sqlite3_str_appendf(sql, "%s(%s", kind->function, kind->bits ? "x'" : "'[");
    for (uint32_t d = 0; d < (kind->bits ? kind->dim / 8 : kind->dim); d++) {
        uint64_t value = (number * 7 + d * (number % 5 + 1)) % 11 + number % 3 * 10;
        if (kind->bits) {
            sqlite3_str_appendf(sql, "%02x", (int)(value * 13 % 256));
        } else {
            sqlite3_str_appendf(sql, "%s%d", d > 0 ? "," : "", (int)value - 4);
        }
    }
    sqlite3_str_appendf(sql, "%s)", kind->bits ? "'" : "]'");
}

char *joint_sql(const joint_kind *kind, const char *template, bool truth, uint64_t vector, uint64_t first,
                uint64_t second) {
    static const char shadow[] = "(SELECT id, vector AS v, c0 AS n, c1 AS s, c2 AS r, c3 AS p, a0 AS x "
                                 "FROM main.t_rows JOIN main.t_vectors USING(id) JOIN main.t_aux USING(id))";
    sqlite3_str *sql = sqlite3_str_new(NULL);
    for (const char *at = template; *at; at++) {
        switch (*at) {
        case '!': sqlite3_str_appendall(sql, shadow); break;
        case '@': sqlite3_str_appendall(sql, truth ? shadow : "main.t"); break;
        case '#': sqlite3_str_appendall(sql, truth ? "id" : "rowid"); break;
        case '&': sqlite3_str_appendall(sql, kind->function); break;
        case '~': joint_put_vector(sql, kind, vector); break;
        case '$': sqlite3_str_appendf(sql, "%d", (int)first); break;
        case '^': sqlite3_str_appendf(sql, "%d", (int)second); break;
        default: sqlite3_str_appendchar(sql, 1, *at);
        }
    }
    return sqlite3_str_finish(sql);
}

/* ---- changes ---- */

static const char *const joint_changes[] = {
    "INSERT INTO @(#, v, n, s, r, p, x) VALUES($, ~, ^ % 7, 's' || ^ % 5, ^ / 4.0, ^ % 3, 'x' || ^)",
    "INSERT OR REPLACE INTO @(#, v, n, s, r, p, x) VALUES($, ~, ^ % 7, 's' || ^ % 5, ^ / 4.0, ^ % 3, 'x' || ^)",
    "INSERT OR IGNORE INTO @(#, v, n, p) VALUES($, ~, NULL, ^ % 9)",
    "INSERT INTO @(v, n, s, r, p) VALUES(~, $ * ^, NULL, -^, NULL)",
    "UPDATE @ SET v = ~ WHERE # = $",
    "UPDATE @ SET n = ^, s = NULL WHERE # BETWEEN $ AND $ + 3",
    "UPDATE @ SET p = ^ % 3 WHERE # = $",
    "UPDATE @ SET x = 'y' || ^ WHERE n = ^ % 7",
    "UPDATE OR REPLACE @ SET # = ^ WHERE # = $",
    "UPDATE @ SET v = ~, r = ^ WHERE p = ^ % 3 AND # > $",
    "DELETE FROM @ WHERE # = $",
    "DELETE FROM @ WHERE n = ^ % 7",
    "DELETE FROM @ WHERE s = 's' || ^ % 5 AND # < $",
    "DELETE FROM @ WHERE p IS ^ % 3 AND r > $ / 8.0",
    "INSERT OR REPLACE INTO @(#, v, n, s, r, p, x) SELECT id + ^, &(v), n, s, r, p, x FROM ! WHERE id >= $ LIMIT 20",
};

void joint_write(const joint_table *table, sqlite3 *db, fuzz_input *input, bool judged) {
    uint64_t which = fuzz_number(input, 1) % (sizeof joint_changes / sizeof *joint_changes);
    uint64_t vector = fuzz_number(input, 1), first = fuzz_number(input, 1), second = fuzz_number(input, 1);
    char *sql = joint_sql(table->kind, joint_changes[which], false, vector, first, second);
    int rc = fuzz_sql_try(db, sql) & 0xff;
    bool fair = rc == SQLITE_OK || rc == SQLITE_CONSTRAINT || rc == SQLITE_BUSY || rc == SQLITE_LOCKED ||
                rc == SQLITE_INTERRUPT;
    if (judged && !fair) fprintf(stderr, "%s\n%d: %s\n", sql, rc, sqlite3_errmsg(db));
    fuzz_require(fair || !judged);
    sqlite3_free(sql);
}

/* ---- making ---- */

/* Rows `first` to `last`; `salt` makes them others. */
static void joint_fill(const joint_kind *kind, sqlite3 *db, uint64_t first, uint64_t last, uint64_t salt) {
    for (uint64_t i = first; i <= last; i++) {
        char *sql = joint_sql(kind, joint_changes[1], false, i + 50 * salt, i, i + salt);
        fuzz_sql_must(db, sql);
        sqlite3_free(sql);
    }
}

static void joint_begin(const joint_kind *kind) {
    sqlite3 *db;
    sim_image nothing = {0};
    sim_fs_load(&nothing);
    sim_vfs_seed(0);
    fuzz_require(sim_fs_make_directory(SIM_STORE, JOINT_FOLDER) == SIM_OK);
    fuzz_require(sqlite3_open(JOINT_DATABASE, &db) == SQLITE_OK);
    fuzz_sql_must(db, "PRAGMA page_size = 512; CREATE TABLE other(x)");
    char *sql = sqlite3_mprintf("PRAGMA journal_mode = %s", kind->journal);
    fuzz_sql_must(db, sql);
    sqlite3_free(sql);
    fuzz_require(sqlite3_close(db) == SQLITE_OK);
    db = fuzz_sql_open(JOINT_DATABASE);
    sql = sqlite3_mprintf("CREATE VIRTUAL TABLE t USING shardex(%s, n INTEGER %s, s TEXT, r REAL, p INTEGER %s, "
                          "+x TEXT, shard_size=32, threads=1%s)",
                          kind->vector, kind->roles[0], kind->roles[1], kind->options);
    fuzz_sql_must(db, sql);
    sqlite3_free(sql);
    fuzz_sql_must(db, "BEGIN");
    joint_fill(kind, db, 1, JOINT_FIRST_ROWS, 0);
    for (int i = 0; kind->forgets && i < JOINT_FORGOTTEN; i++) {
        fuzz_sql_steps();
        fuzz_sql_must(db, i % 2 ? "UPDATE t SET r = r - 1" : "UPDATE t SET r = r + 1");
    }
    fuzz_sql_must(db, "COMMIT; INSERT INTO t(t) VALUES('flush')");
    joint_fill(kind, db, JOINT_FIRST_ROWS + 1, JOINT_FIRST_ROWS + 2, 0);
    fuzz_sql_close(db);
}

/* A second segment and tombstones in the first; then, in the log, what is small and what was spilled. */
static void joint_go_on(const joint_kind *kind, uint64_t salt) {
    sqlite3 *db = fuzz_sql_open(JOINT_DATABASE);
    fuzz_sql_must(db, "BEGIN");
    joint_fill(kind, db, 112, 122, salt);
    fuzz_sql_must(db, "DELETE FROM t WHERE rowid % 9 = 1; COMMIT; INSERT INTO t(t) VALUES('flush')");
    joint_fill(kind, db, 123, 124, salt);
    fuzz_sql_must(db, "DELETE FROM t WHERE rowid IN (9, 45, 116); UPDATE t SET n = n + 1 WHERE rowid IN (5, 120)");
    shx_index_spill_at(JOINT_SPILL_BYTES);
    fuzz_sql_must(db, "BEGIN");
    joint_fill(kind, db, 124, 134, salt);
    fuzz_sql_must(db, "DELETE FROM t WHERE rowid IN (3, 127); COMMIT");
    shx_index_spill_at(0);
    joint_fill(kind, db, 135, 135, salt);
    fuzz_sql_close(db);
}

/* Files that are empty, as locks are, or have grown too large are left as they are. */
static bool joint_visit(void *context, const char *path) {
    joint_disk *disk = context;
    uint32_t inode = sim_image_find(sim_fs_now(), sim_name(path));
    if (sim_image_is_directory(sim_fs_now(), inode)) {
        char folder[128];
        strcpy(folder, path);
        return sim_fs_list(folder, joint_visit, disk);
    }
    bool ours = strcmp(path, JOINT_DATABASE) == 0 || strncmp(path, JOINT_DIRECTORY, strlen(JOINT_DIRECTORY)) == 0;
    uint64_t size = sim_image_size(sim_fs_now(), inode);
    if (!ours || size == 0 || size > FUZZ_FILE_MAX || disk->count == JOINT_FILES_MAX) return true;
    fuzz_require(strlen(path) < sizeof disk->paths[0]);
    strcpy(disk->paths[disk->count++], path);
    return true;
}

/* "…/test.db" stands before "…/test.db-shardex/…". */
static int joint_compare_paths(const void *a, const void *b) { return strcmp(a, b); }

void joint_disk_keep(joint_disk *disk) {
    fuzz_require(sim_fs_list(JOINT_FOLDER, joint_visit, disk));
    qsort(disk->paths, disk->count, sizeof disk->paths[0], joint_compare_paths);
    for (uint64_t i = 0; i < disk->count; i++) {
        uint32_t inode = sim_image_find(sim_fs_now(), sim_name(disk->paths[i]));
        fuzz_file *file = &disk->files[i];
        file->size = sim_image_size(sim_fs_now(), inode);
        file->bytes = malloc(FUZZ_FILE_MAX);
        fuzz_require(file->bytes != NULL);
        fuzz_require(sim_image_read(sim_fs_now(), inode, 0, file->bytes, file->size) == file->size);
    }
}

void joint_disk_free(joint_disk *disk) {
    for (uint64_t i = 0; i < disk->count; i++) free(disk->files[i].bytes);
    disk->count = 0;
}

static void joint_stage_keep(joint_table *table, joint_stage stage) {
    joint_disk *disk = &table->disks[stage];
    joint_disk_keep(disk);
    fuzz_require(disk->count >= 4 && strcmp(disk->paths[0], JOINT_DATABASE) == 0);
    sim_image_copy(sim_fs_now(), &disk->image);
    sim_image_prune(&disk->image);
}

/* NULL when there is no such table. */
static char *joint_schema(sqlite3 *db) {
    sqlite3_stmt *statement;
    char *schema = NULL;
    const char *sql = "SELECT substr(sql, instr(sql, 'USING')) FROM main.sqlite_schema WHERE name = 't'";
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) return NULL;
    if (sqlite3_step(statement) == SQLITE_ROW) schema = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return schema;
}

bool joint_table_is_in_place(const joint_table *table, sqlite3 *db) {
    fuzz_sql_steps();
    char *schema = joint_schema(db);
    bool same = schema && strcmp(schema, table->schema) == 0;
    sqlite3_free(schema);
    return same;
}

static void joint_table_make(joint_table *table) {
    const joint_kind *kind = table->kind;
    joint_begin(kind);
    joint_stage_keep(table, JOINT_OLDER);
    joint_go_on(kind, 1);
    joint_stage_keep(table, JOINT_NOW);
    sim_fs_load(&table->disks[JOINT_OLDER].image);
    sim_vfs_seed(1);
    joint_go_on(kind, 2);
    joint_stage_keep(table, JOINT_PARTED);
    sqlite3 *db = fuzz_sql_open(JOINT_DATABASE);
    table->schema = joint_schema(db);
    fuzz_sql_close(db);
}

const joint_table *joint_table_get(uint64_t number) {
    static joint_table tables[JOINT_KINDS];
    joint_table *table = &tables[number % JOINT_KINDS];
    if (table->kind) return table;
    static const size_t bytes[JOINT_KINDS] = {8, 64, 64, 8, 32, 40};
    table->kind = &joint_kinds[number % JOINT_KINDS];
    table->vector_bytes = bytes[number % JOINT_KINDS];
    joint_table_make(table);
    return table;
}

void joint_put(const char *path, const fuzz_file *file) {
    uint32_t inode;
    bool created;
    fuzz_require(sim_fs_open(SIM_STORE, path, true, false, &inode, &created) == SIM_OK);
    fuzz_require(sim_fs_truncate(SIM_STORE, inode, 0) == SIM_OK);
    if (file->size > 0) fuzz_require(sim_fs_write(SIM_STORE, inode, 0, file->bytes, file->size) == SIM_OK);
    sim_fs_close(inode);
}

void joint_disk_load(const joint_table *table, joint_stage database, joint_stage directory) {
    const joint_disk *disk = &table->disks[database], *other = &table->disks[directory];
    sim_fs_load(&disk->image);
    for (uint64_t i = 1; database != directory && i < disk->count; i++) {
        fuzz_require(sim_fs_remove(SIM_STORE, disk->paths[i]) == SIM_OK);
    }
    for (uint64_t i = 1; database != directory && i < other->count; i++) joint_put(other->paths[i], &other->files[i]);
}
