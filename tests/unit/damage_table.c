#include "damage_table.h"

#include "sim_fs.h"
#include "sim_vfs.h"

#include "index.h"

#include <stdlib.h>
#include <string.h>

#define DAMAGE_SPILL_BYTES 250 /* of a transaction in memory: a few rows */

int sqlite3_shardex_init(sqlite3 *db, char **error_message, const void *api);

/* ---- connections ---- */

sqlite3 *damage_open_plain(void) {
    sqlite3 *db;
    if (sqlite3_open(SIM_DATABASE, &db) != SQLITE_OK) sim_fail("the database cannot be opened");
    return db;
}

sqlite3 *damage_open(void) {
    char *message = NULL;
    sqlite3 *db = damage_open_plain();
    int rc = sqlite3_shardex_init(db, &message, NULL);
    if (rc != SQLITE_OK) sim_fail("the extension: %d", rc);
    return db;
}

void damage_close(sqlite3 *db) {
    if (sqlite3_close(db) != SQLITE_OK) sim_fail("close: %s", sqlite3_errmsg(db));
}

void damage_run(sqlite3 *db, const char *sql) {
    char *message = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
    if (rc != SQLITE_OK) sim_fail("%s: %d %s", sql, rc, message ? message : "");
}

int64_t damage_number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) sim_fail("%s: %s", sql, sqlite3_errmsg(db));
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* ---- the disk ---- */

/* Each life has its own chance: what is made twice is not the same. */
void damage_load_image(const sim_image *image) {
    static uint64_t life;
    sim_fs_load(image);
    sim_vfs_seed(++life);
}

void damage_load(const damage_disk *disk) { damage_load_image(&disk->image); }

void damage_put(const char *path, const damage_bytes *file) {
    uint32_t inode;
    bool created;
    if (!file) {
        if (sim_fs_remove(SIM_STORE, path) != SIM_OK) sim_fail("%s cannot be removed", path);
        return;
    }
    bool done = sim_fs_open(SIM_STORE, path, true, false, &inode, &created) == SIM_OK &&
                sim_fs_truncate(SIM_STORE, inode, 0) == SIM_OK &&
                (file->size == 0 || sim_fs_write(SIM_STORE, inode, 0, file->bytes, file->size) == SIM_OK);
    if (!done) sim_fail("%s cannot be written", path);
    sim_fs_close(inode);
}

static bool damage_visit(void *context, const char *path) {
    damage_disk *disk = context;
    uint32_t inode = sim_image_find(sim_fs_now(), sim_name(path));
    if (sim_image_is_directory(sim_fs_now(), inode)) {
        char folder[DAMAGE_PATH_MAX];
        snprintf(folder, sizeof folder, "%s", path);
        return sim_fs_list(folder, damage_visit, disk);
    }
    if (!strstr(path, "-shardex/")) return true;
    if (disk->count == DAMAGE_FILES_MAX || strlen(path) >= DAMAGE_PATH_MAX) sim_fail("too many files");
    strcpy(disk->paths[disk->count++], path);
    return true;
}

static int damage_compare_paths(const void *a, const void *b) { return strcmp(a, b); }

/* Keeps the disk as it is. */
static void damage_keep(damage_disk *ret_disk) {
    memset(ret_disk, 0, sizeof *ret_disk);
    sim_image_copy(sim_fs_now(), &ret_disk->image);
    sim_image_prune(&ret_disk->image);
    if (!sim_fs_list(SIM_DIRECTORY, damage_visit, ret_disk)) sim_fail("there is no folder");
    qsort(ret_disk->paths, ret_disk->count, sizeof ret_disk->paths[0], damage_compare_paths);
    for (uint32_t i = 0; i < ret_disk->count; i++) {
        uint32_t inode = sim_image_find(sim_fs_now(), sim_name(ret_disk->paths[i]));
        damage_bytes *file = &ret_disk->files[i];
        file->size = sim_image_size(sim_fs_now(), inode);
        file->bytes = sim_alloc(file->size + 1);
        sim_image_read(sim_fs_now(), inode, 0, file->bytes, file->size);
    }
}

static void damage_disk_free(damage_disk *disk) {
    for (uint32_t i = 0; i < disk->count; i++) free(disk->files[i].bytes);
    sim_image_free(&disk->image);
}

/* ---- questions ---- */

/* The vector of row i. */
#define DAMAGE_NUMBERS "i * 7919 % 101 / 10.0, i * 6007 % 97 / 10.0, i * 5003 % 89 / 9.0, i * 4001 % 83 / 8.0"

/* What the table is asked, and the same of its twin. */
static const struct {
    const char *own, *twin;
} damage_asks[DAMAGE_ASKS] = {
    {"SELECT rowid, distance FROM t WHERE v MATCH '[3,1,4,1]' AND k = 6 AND exact = 1",
     "SELECT id, vec_distance_l2(v, '[3,1,4,1]') AS d FROM twin ORDER BY d, id LIMIT 6"},
    {"SELECT rowid, distance FROM t WHERE v MATCH '[8,7,2,6]' AND k = 4",
     "SELECT id, vec_distance_l2(v, '[8,7,2,6]') AS d FROM twin ORDER BY d, id LIMIT 4"},
    {"SELECT rowid, distance, x FROM t WHERE v MATCH '[1,5,9,2]' AND k = 5 AND n BETWEEN 2 AND 4 AND s > 's2'",
     "SELECT id, vec_distance_l2(v, '[1,5,9,2]') AS d, x FROM twin WHERE n BETWEEN 2 AND 4 AND s > 's2' "
     "ORDER BY d, id LIMIT 5"},
    {"SELECT rowid FROM t WHERE v MATCH '[6,6,6,6]' AND k = 9 AND rowid IN (3, 9, 18, 20, 27, 40, 45, 77, 119, 160)",
     "SELECT id FROM twin WHERE id IN (3, 9, 18, 20, 27, 40, 45, 77, 119, 160) "
     "ORDER BY vec_distance_l2(v, '[6,6,6,6]'), id LIMIT 9"},
    {"SELECT rowid FROM t WHERE v MATCH '[4,2,2,4]' AND k = 9 AND rowid BETWEEN 90 AND 110",
     "SELECT id FROM twin WHERE id BETWEEN 90 AND 110 ORDER BY vec_distance_l2(v, '[4,2,2,4]'), id LIMIT 9"},
    {"SELECT n, s, x, v FROM t WHERE rowid = 20", "SELECT n, s, x, v FROM twin WHERE id = 20"},
    {"SELECT count(*) FROM t", "SELECT count(*) FROM twin"},
    {"SELECT count(*), sum(n), min(rowid) FROM t WHERE n > 3",
     "SELECT count(*), sum(n), min(id) FROM twin WHERE n > 3"},
    {"SELECT rowid FROM t WHERE v MATCH '[0,2,8,5]' AND k = 1000 AND exact = 1",
     "SELECT id FROM twin ORDER BY vec_distance_l2(v, '[0,2,8,5]'), id"},
    /* How many found rows are not as they should be, where rows were deleted and moved: looks at few shards only. */
    {"WITH q(v) AS (SELECT vec_f32(printf('[%g,%g,%g,%g]', " DAMAGE_NUMBERS ")) FROM (SELECT column1 AS i FROM "
     "(VALUES(9),(45),(99),(76),(77),(78),(79)))) SELECT count(*) FROM q JOIN t ON t.v MATCH q.v AND k = 1 AND "
     "recall = 0.5 LEFT JOIN twin ON id = t.rowid WHERE id IS NULL OR vec_distance_l2(twin.v, q.v) <> distance",
     "SELECT 0"},
};

/* A hash of the rows that a query gives. */
static uint64_t damage_answer(sqlite3 *db, const char *sql, const char *when) {
    sqlite3_stmt *statement;
    uint64_t hash = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    while (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            int type = sqlite3_column_type(statement, i);
            const void *bytes = sqlite3_column_blob(statement, i);
            hash = shx_hash64(bytes, (uint64_t)sqlite3_column_bytes(statement, i), hash + (uint64_t)type);
        }
        hash++;
    }
    if (rc == SQLITE_OK) rc = sqlite3_finalize(statement);
    if (rc != SQLITE_OK) sim_fail("%s: %s: %d %s", when, sql, rc, sqlite3_errmsg(db));
    return hash;
}

void damage_ask(sqlite3 *db, const uint64_t answers[DAMAGE_ASKS], uint64_t first, const char *when) {
    for (uint64_t i = first; i < first + DAMAGE_ASKS; i++) {
        const char *sql = damage_asks[i % DAMAGE_ASKS].own;
        uint64_t answer = damage_answer(db, sql, when);
        if (answer != answers[i % DAMAGE_ASKS]) sim_fail("%s: another answer: %s", when, sql);
    }
}

static void damage_note_answers(sqlite3 *db, uint64_t ret_answers[DAMAGE_ASKS]) {
    for (int i = 0; i < DAMAGE_ASKS; i++) ret_answers[i] = damage_answer(db, damage_asks[i].twin, "twin");
}

/* ---- a life ---- */

/* Runs SQL for the table or for its twin: @t stands for the name, @id for that of the rowid. */
static void damage_one(sqlite3 *db, const char *sql, bool twin) {
    static const char *const names[2][2] = {{"t", "rowid"}, {"twin", "id"}};
    char text[1024], *to = text;
    for (const char *at = sql; *at;) {
        bool table = strncmp(at, "@t", 2) == 0, id = strncmp(at, "@id", 3) == 0;
        if (!table && !id) {
            *to++ = *at++;
            continue;
        }
        to += strlen(strcpy(to, names[twin][id]));
        at += id ? 3 : 2;
    }
    *to = '\0';
    damage_run(db, text);
}

static void damage_both(sqlite3 *db, const char *sql) {
    damage_one(db, sql, false);
    damage_one(db, sql, true);
}

/* Rows `first` … `last`; `salt` makes them others. */
static void damage_fill(sqlite3 *db, int first, int last, int salt) {
    char *sql = sqlite3_mprintf(
        "WITH RECURSIVE r(r) AS (VALUES(%d) UNION ALL SELECT r + 1 FROM r WHERE r < %d) INSERT OR REPLACE INTO "
        "@t(@id, v, n, s, x) SELECT r, vec_f32(printf('[%%g,%%g,%%g,%%g]', %s)), r %% 7, "
        "iif(r %% 5, 's' || r %% 11, NULL), 'x' || r FROM (SELECT r, r + 1000 * %d AS i FROM r)",
        first, last, DAMAGE_NUMBERS, salt);
    damage_both(db, sql);
    sqlite3_free(sql);
}

/* The commit that a table goes on with. */
static void damage_write(sqlite3 *db) {
    static const char *const changes[] = {
        "INSERT INTO @t(@id, v, n, s, x) VALUES(900, vec_f32('[3,1,4,2]'), 3, 's4', 'new')",
        "DELETE FROM @t WHERE @id IN (18, 155)",
        "UPDATE @t SET v = vec_f32('[8,7,2,5]'), n = 4 WHERE @id = 20",
        "UPDATE @t SET s = 's9' WHERE @id IN (27, 150)",
    };
    damage_run(db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) damage_both(db, changes[i]);
    damage_run(db, "COMMIT");
}

static void damage_begin(const char *options) {
    char sql[512];
    sim_image nothing = {0};
    sim_op folder = {.kind = SIM_MAKE_DIRECTORY, .inode = 0, .name = sim_name(SIM_DIRECTORY)};
    sim_image_apply(&nothing, &folder);
    damage_load_image(&nothing);
    sim_image_free(&nothing);
    sqlite3 *db = damage_open();
    snprintf(sql, sizeof sql,
             "PRAGMA page_size = 1024; CREATE VIRTUAL TABLE t USING shardex(v float[4], n integer, s text, +x text, "
             "shard_size=32, flush_rows=10000, threads=1%s);"
             "CREATE TABLE twin(id INTEGER PRIMARY KEY, v BLOB, n INTEGER, s TEXT, x TEXT)",
             options);
    damage_run(db, sql);
    damage_fill(db, 1, 120, 0);
    damage_run(db, "INSERT INTO t(t) VALUES('flush')");
    damage_fill(db, 121, 123, 0);
    damage_close(db);
}

/* From there on: a second segment with tombstones in the first, and in the log what is small, what replaces rows of
** segments, and what was spilled. `salt` tells the histories apart; all have files of the same names and sizes. */
static void damage_go_on(int salt) {
    sqlite3 *db = damage_open();
    damage_fill(db, 121, 140, salt);
    damage_both(db, "DELETE FROM @t WHERE @id % 9 = 1");
    damage_run(db, "INSERT INTO t(t) VALUES('flush')");
    damage_fill(db, 140, 141, salt);
    damage_both(db, "DELETE FROM @t WHERE @id IN (9, 45, 99, 130)");
    damage_fill(db, 76, 79, salt + 3);
    damage_both(db, "UPDATE @t SET n = n + 1 WHERE @id IN (5, 125)");
    shx_index_spill_at(DAMAGE_SPILL_BYTES);
    damage_run(db, "BEGIN");
    damage_fill(db, 142, 165, salt);
    damage_both(db, "DELETE FROM @t WHERE @id IN (3, 150)");
    damage_run(db, "COMMIT");
    shx_index_spill_at(0);
    damage_fill(db, 166, 167, salt);
    damage_close(db);
}

void damage_table_make(const char *options, damage_table *ret_table) {
    damage_table table = {.options = options};
    damage_begin(options);
    damage_keep(&table.older);
    damage_load(&table.older);
    damage_go_on(2);
    damage_keep(&table.parted);
    damage_load(&table.older);
    damage_go_on(1);
    damage_keep(&table.now);
    damage_load(&table.now);
    sqlite3 *db = damage_open();
    damage_note_answers(db, table.before);
    damage_ask(db, table.before, 0, "undamaged");
    damage_write(db);
    damage_note_answers(db, table.after);
    damage_ask(db, table.after, 0, "undamaged");
    damage_close(db);
    table.blocks = sim_memory_blocks();
    *ret_table = table;
}

void damage_table_free(damage_table *table) {
    damage_disk_free(&table->now);
    damage_disk_free(&table->older);
    damage_disk_free(&table->parted);
}

/* Has the table said that all is well? An integrity check may find what no question needed. */
static bool damage_is_sound(sqlite3 *db) {
    int rc = sqlite3_exec(db, "INSERT INTO t(t) VALUES('integrity-check')", NULL, NULL, NULL);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_CORRUPT) sim_fail("integrity-check: %d %s", rc, sqlite3_errmsg(db));
    return rc == SQLITE_OK;
}

static bool damage_is_current(sqlite3 *db) {
    return damage_number(db, "SELECT shardex_info('t') ->> '$.state' = 'current'") == 1;
}

static void damage_heal(const damage_table *table) {
    sqlite3 *db = damage_open();
    damage_run(db, "INSERT INTO t(t) VALUES('rebuild')");
    if (!damage_is_current(db) || !damage_is_sound(db)) sim_fail("not healed");
    damage_ask(db, table->after, 0, "healed");
    damage_close(db);
    db = damage_open();
    if (!damage_is_current(db)) sim_fail("healed, and not current for the next one");
    damage_ask(db, table->after, 0, "healed, for the next one");
    damage_close(db);
}

/* Somebody writes, and the next one reads. */
static void damage_go_on_living(const damage_table *table, sqlite3 *db, uint64_t first) {
    damage_write(db);
    damage_ask(db, table->after, first, "after a commit");
    damage_close(db);
    db = damage_open();
    damage_ask(db, table->after, first, "opened anew");
    damage_close(db);
}

void damage_live(damage_table *table, uint64_t first, damage_depth depth) {
    sqlite3 *db = damage_open();
    damage_ask(db, table->before, first, "at first");
    bool sound = damage_is_current(db) && damage_is_sound(db);
    if (depth == DAMAGE_READ) damage_close(db);
    if (depth >= DAMAGE_WRITTEN) damage_go_on_living(table, db, first);
    if (depth >= DAMAGE_HEALED) damage_heal(table);
    table->states++;
    table->noticed += !sound;
    if (sim_fs_open_files() > 0) sim_fail("%llu files stay open", (unsigned long long)sim_fs_open_files());
    int64_t lost = sim_memory_blocks() - table->blocks;
    if (lost != 0) sim_fail("%lld blocks of memory are lost", (long long)lost);
}
