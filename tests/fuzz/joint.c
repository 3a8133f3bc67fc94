/* All at once: a database file, the directory beside it, and SQL.
**
** An input: whether checksums of the directory's files are made right (three of four times); how many times a file is
** edited (a byte, modulo 6), for each which file, the database first, and its edits (fuzz.h); then steps, a byte each:
** a statement of the battery, or the connection is opened anew, or SQL that stands in the input up to a zero byte.
** One edit in one file of the directory, with its checksums as they are, must not show: then answers are compared with
** what the database says.
*/
#include "sql.h"

#include "../unit/sim_fs.h"
#include "../unit/sim_vfs.h"

#include <stdlib.h>
#include <string.h>

#define JOINT_FOLDER "/sim"
#define JOINT_DATABASE JOINT_FOLDER "/test.db"
#define JOINT_FILES_MAX 16
#define JOINT_VECTOR_BYTES (2 * sizeof(float))

static sim_image joint_image;
static char joint_paths[JOINT_FILES_MAX][128]; /* the database first, the others in order */
static uint64_t joint_count;

/* ---- files of the simulated disk ---- */

static fuzz_file read_path(const char *path) {
    fuzz_file file = {.bytes = malloc(FUZZ_FILE_MAX)};
    uint32_t inode = sim_image_find(sim_fs_now(), sim_name(path));
    fuzz_require(file.bytes && inode != SIM_NONE);
    file.size = sim_image_read(sim_fs_now(), inode, 0, file.bytes, FUZZ_FILE_MAX);
    return file;
}

static void write_path(const char *path, const fuzz_file *file) {
    uint32_t inode;
    bool created;
    fuzz_require(sim_fs_open(SIM_STORE, path, false, false, &inode, &created) == SIM_OK);
    fuzz_require(sim_fs_truncate(SIM_STORE, inode, 0) == SIM_OK);
    if (file->size > 0) fuzz_require(sim_fs_write(SIM_STORE, inode, 0, file->bytes, file->size) == SIM_OK);
    sim_fs_close(inode);
}

static bool visit_path(void *context, const char *path) {
    (void)context;
    if (sim_image_is_directory(sim_fs_now(), sim_image_find(sim_fs_now(), sim_name(path)))) {
        char folder[128];
        strcpy(folder, path);
        return sim_fs_list(folder, visit_path, NULL);
    }
    fuzz_require(joint_count < JOINT_FILES_MAX && strlen(path) < sizeof joint_paths[0]);
    strcpy(joint_paths[joint_count++], path);
    return true;
}

/* "…/test.db" stands before "…/test.db-shardex/…". */
static int compare_paths(const void *a, const void *b) { return strcmp(a, b); }

static void make_disk(void) {
    sim_image nothing = {0};
    sim_fs_load(&nothing);
    sim_vfs_seed(0);
    fuzz_require(sim_fs_make_directory(SIM_STORE, JOINT_FOLDER) == SIM_OK);
    sqlite3 *db;
    fuzz_require(sqlite3_open(JOINT_DATABASE, &db) == SQLITE_OK);
    fuzz_sql_must(db, "PRAGMA page_size = 1024; CREATE TABLE other(x)");
    fuzz_require(sqlite3_close(db) == SQLITE_OK);
    db = fuzz_sql_open(JOINT_DATABASE);
    fuzz_sql_make_table(db);
    fuzz_sql_must(db, "INSERT INTO t(t) VALUES('flush'); INSERT INTO t(v, n) VALUES('[4,4]', 7);"
                      "DELETE FROM t WHERE rowid = 3");
    fuzz_sql_close(db);
    fuzz_require(sim_fs_list(JOINT_FOLDER, visit_path, NULL));
    qsort(joint_paths, joint_count, sizeof joint_paths[0], compare_paths);
    fuzz_require(joint_count >= 4 && strcmp(joint_paths[0], JOINT_DATABASE) == 0);
    sim_image_copy(sim_fs_now(), &joint_image);
    sim_image_prune(&joint_image);
}

/* ---- an input ---- */

/* The bases must name what was edited. */
static void seal_bases(const fuzz_file *named, shx_file_kind kind, uint64_t id) {
    for (uint64_t i = 1; i < joint_count; i++) {
        shx_file_kind base_kind;
        uint64_t base_id;
        const char *name = strrchr(joint_paths[i], '/') + 1;
        if (!shx_file_name_parse(name, &base_kind, &base_id) || base_kind != SHX_FILE_BASE) continue;
        fuzz_file base = read_path(joint_paths[i]);
        if (base.size >= SHX_HEADER_BYTES) fuzz_seal_base(&base, base_id, named, kind, id);
        write_path(joint_paths[i], &base);
        free(base.bytes);
    }
}

static void seal(const char *path, fuzz_file *file, const fuzz_file *before) {
    shx_file_kind kind;
    uint64_t id;
    shx_id uuid;
    if (!shx_file_name_parse(strrchr(path, '/') + 1, &kind, &id)) return;
    memcpy(uuid.bytes, before->bytes + 16, sizeof uuid.bytes);
    fuzz_seal(file, kind, &uuid, id, JOINT_VECTOR_BYTES);
    if (kind == SHX_FILE_SEGMENT || kind == SHX_FILE_SHARDS) seal_bases(file, kind, id);
}

/* True when nothing that was done may change an answer. */
static bool edit_disk(fuzz_input *input) {
    bool sealed = fuzz_number(input, 1) % 4 != 0, harmless = !sealed;
    uint64_t times = fuzz_number(input, 1) % 6;
    for (uint64_t i = 0; i < times; i++) {
        uint64_t which = fuzz_number(input, 1) % joint_count;
        harmless = harmless && times == 1 && which != 0 && input->left > 0 && input->at[0] == 1;
        fuzz_file before = read_path(joint_paths[which]);
        fuzz_file after = fuzz_edit(&before, input);
        if (sealed && which != 0 && before.size >= SHX_HEADER_BYTES) seal(joint_paths[which], &after, &before);
        write_path(joint_paths[which], &after);
        free(before.bytes);
        free(after.bytes);
    }
    return harmless || times == 0;
}

static char *rows_of(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    fuzz_require(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    int rc = sqlite3_step(statement);
    char *text = sqlite3_mprintf("%s", rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "failed");
    fuzz_require(sqlite3_finalize(statement) == SQLITE_OK);
    return text;
}

static void compare(sqlite3 *db, const char *query) {
    char *sql = sqlite3_mprintf("SELECT group_concat(rowid) FROM (SELECT rowid FROM t WHERE v MATCH %Q AND k = 6)",
                                query);
    char *twin = sqlite3_mprintf("SELECT group_concat(id) FROM (SELECT id FROM t_vectors "
                                 "ORDER BY vec_distance_l2(vector, %Q), id LIMIT 6)", query);
    char *found = rows_of(db, sql), *expected = rows_of(db, twin);
    fuzz_require(strcmp(found, expected) == 0);
    sqlite3_free(sql);
    sqlite3_free(twin);
    sqlite3_free(found);
    sqlite3_free(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    if (joint_count == 0) make_disk();
    sim_fs_load(&joint_image);
    sim_vfs_seed(1);
    bool harmless = edit_disk(&input);
    sqlite3 *db = fuzz_sql_open(JOINT_DATABASE);
    if (harmless) compare(db, "[3,2]");
    for (int i = 0; i < 10 && input.left > 0; i++) {
        uint64_t step = fuzz_number(&input, 1);
        if (step < 192) {
            fuzz_sql_battery(db, step);
        } else if (step < 224) {
            fuzz_sql_close(db);
            db = fuzz_sql_open(JOINT_DATABASE);
        } else {
            harmless = false;
            char *text = fuzz_text(&input);
            fuzz_sql_steps();
            fuzz_sql_run(db, text);
            free(text);
        }
        if (harmless && i == 0 && step % 23 < 6) compare(db, "[7,0]");
    }
    fuzz_sql_close(db);
    fuzz_require((uint64_t)sqlite3_memory_highwater(1) <= FUZZ_MEMORY_MAX && sim_fs_open_files() == 0);
    return 0;
}
