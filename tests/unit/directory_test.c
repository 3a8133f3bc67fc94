/* What may happen to the directory and to the database: after each, answers are right at once, writes succeed, and
** after `rebuild` the index holds the present state again.
**
** Each case starts from a copy of one of three databases made once: `small` (never flushed), `large` (shards, two
** segments, tombstones, commits in the WAL), `other` (another table's index).
*/
#include "twin.h"

#include "segment.h"
#include "wal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CASE_DIM 8
#define CASE_LARGE_ROWS 4000 /* more than what is gone through without shards, whose limit is lowered here */
#define CASE_SMALL_ROWS 500
#define CASE_FLIPS 300
#define CASE_DAMAGES 2 /* random cuts and flipped bits for each file */

static fixture_directory case_place;
static fixture_random case_random;
static char case_small[400], case_large[400], case_other[400], case_work[400], case_directory[420];

static void case_make(const char *path, const char *options, int64_t rows) {
    twin_pair twin = twin_open(path, SHX_L2, CASE_DIM);
    twin_run(&twin, "PRAGMA synchronous=off");
    twin_create(&twin, options);
    twin_fill(&twin, &case_random, 1, rows);
    if (rows > CASE_SMALL_ROWS) {
        twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        twin_transaction(&twin, &case_random, 400, rows);
        twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        twin_require(twin_figure(&twin, "segments") == 2 && twin_figure(&twin, "tombstones") > 0);
    }
    for (int i = 0; i < 5; i++) twin_transaction(&twin, &case_random, 30, rows);
    twin_require(twin_figure(&twin, "delta_operations") > 0 && twin_state_is(&twin, "current"));
    twin_require_right(&twin, &case_random);
    twin_close(&twin);
}

static int case_set_up(void **state) {
    (void)state;
    case_random = fixture_seed("directory", 20260102);
    case_place = fixture_directory_make();
    snprintf(case_small, sizeof case_small, "%s/small.db", case_place.root);
    snprintf(case_large, sizeof case_large, "%s/large.db", case_place.root);
    snprintf(case_other, sizeof case_other, "%s/other.db", case_place.root);
    snprintf(case_work, sizeof case_work, "%s/work.db", case_place.root);
    snprintf(case_directory, sizeof case_directory, "%s-shardex", case_work);
    case_make(case_small, "", CASE_SMALL_ROWS);
    case_make(case_large, ", flush_rows=100000", CASE_LARGE_ROWS);
    case_make(case_other, ", flush_rows=100000", CASE_LARGE_ROWS);
    return 0;
}

static int case_tear_down(void **state) {
    (void)state;
    fixture_directory_remove(&case_place);
    return 0;
}

static void case_copy(const char *from) {
    twin_remove_database(case_work);
    twin_copy_database(from, case_work);
}

/* No fsync by SQLite: nothing here is about power. */
static twin_pair case_open(void) {
    twin_pair twin = twin_open(case_work, SHX_L2, CASE_DIM);
    twin_run(&twin, "PRAGMA synchronous=off");
    return twin;
}

/* Writes succeed, are seen at once, and `rebuild` ends with a current index; also for who opens it anew. Until then the
** integrity check reports what is damaged but has not been needed. */
static void case_heals(twin_pair *twin) {
    twin_transaction(twin, &case_random, 40, CASE_SMALL_ROWS);
    twin_require_right(twin, &case_random);
    int rc = twin_try(twin, "INSERT INTO t(t) VALUES('integrity-check')");
    twin_require(rc == SQLITE_OK || rc == SQLITE_CORRUPT_VTAB || rc == SQLITE_CORRUPT);
    twin_run(twin, "INSERT INTO t(t) VALUES('rebuild')");
    twin_require(twin_state_is(twin, "current"));
    twin_require_sound(twin);
    twin_transaction(twin, &case_random, 40, CASE_SMALL_ROWS);
    twin_require(twin_state_is(twin, "current"));
    twin_require_right(twin, &case_random);
    twin_close(twin);
    twin_pair again = case_open();
    twin_require(twin_state_is(&again, "current"));
    twin_require_right(&again, &case_random);
    twin_close(&again);
}

/* The whole of it for the database at case_work. */
static void case_judge(void) {
    twin_pair twin = case_open();
    twin_require_right(&twin, &case_random);
    case_heals(&twin);
}

/* ---- the directory as a whole ---- */

static void test_deleted_while_closed(void **state) {
    (void)state;
    const char *const sources[] = {case_small, case_large};
    for (int i = 0; i < 2; i++) {
        case_copy(sources[i]);
        twin_remove(case_directory);
        twin_pair twin = case_open();
        twin_require_right(&twin, &case_random);
        twin_require(access(case_directory, F_OK) != 0); /* reading by itself creates nothing */
        case_heals(&twin);
    }
}

static void test_deleted_while_open(void **state) {
    (void)state;
    const char *const sources[] = {case_small, case_large};
    for (int i = 0; i < 2; i++) {
        case_copy(sources[i]);
        twin_pair one = case_open(), two = case_open();
        twin_require_right(&one, &case_random);
        twin_remove(case_directory);
        twin_require_right(&one, &case_random);
        twin_require_right(&two, &case_random);
        for (int round = 0; round < 3; round++) {
            twin_transaction(&two, &case_random, 60, CASE_SMALL_ROWS);
            twin_require_right(&one, &case_random);
            twin_remove(case_directory);
            twin_transaction(&one, &case_random, 10, CASE_SMALL_ROWS);
            twin_require_right(&two, &case_random);
            twin_require_right(&one, &case_random);
        }
        twin_close(&one);
        case_heals(&two);
    }
}

static void test_replaced_by_an_older_copy(void **state) {
    (void)state;
    char older[500];
    snprintf(older, sizeof older, "%s/older", case_place.root);
    for (int reopened = 0; reopened < 2; reopened++) {
        case_copy(case_large);
        twin_copy(case_directory, older);
        twin_pair twin = case_open();
        for (int i = 0; i < 4; i++) twin_transaction(&twin, &case_random, 100, CASE_LARGE_ROWS);
        twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        for (int i = 0; i < 4; i++) twin_transaction(&twin, &case_random, 100, CASE_LARGE_ROWS);
        if (reopened) twin_close(&twin);
        twin_copy(older, case_directory);
        if (reopened) twin = case_open();
        twin_require_right(&twin, &case_random);
        case_heals(&twin);
    }
}

static void test_replaced_by_a_very_old_copy(void **state) {
    (void)state;
    case_copy(case_large);
    twin_pair twin = case_open();
    twin_run(&twin, "UPDATE t SET v = vec_f32('[1,2,3,4,5,6,7,8]') WHERE rowid %% 2");
    twin_run(&twin, "UPDATE twin SET v = vec_f32('[1,2,3,4,5,6,7,8]') WHERE id %% 2");
    twin_run(&twin, "DELETE FROM t WHERE rowid %% 7 = 0; DELETE FROM twin WHERE id %% 7 = 0");
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    twin_close(&twin);
    char from[500];
    snprintf(from, sizeof from, "%s-shardex", case_large);
    twin_copy(from, case_directory);
    case_judge();
}

/* The directory of another table: under its own name it is not looked at; under ours its files are foreign. */
static void test_replaced_by_another_tables(void **state) {
    (void)state;
    char from[500];
    snprintf(from, sizeof from, "%s-shardex", case_other);
    case_copy(case_large);
    twin_files own = twin_find_files(case_work, ""), foreign = twin_find_files(case_other, "");
    twin_require(own.count > 0 && foreign.count > 0);
    twin_copy(from, case_directory);
    case_judge();
    case_copy(case_large);
    char own_folder[600], foreign_folder[600];
    snprintf(own_folder, sizeof own_folder, "%s", own.paths[0]);
    snprintf(foreign_folder, sizeof foreign_folder, "%s", foreign.paths[0]);
    *strrchr(own_folder, '/') = *strrchr(foreign_folder, '/') = '\0';
    twin_copy(foreign_folder, own_folder);
    case_judge();
}

static void test_no_directory_possible(void **state) {
    (void)state;
    const char *const sources[] = {case_small, case_large};
    for (int i = 0; i < 2; i++) {
        case_copy(sources[i]);
        twin_remove(case_directory);
        int file = open(case_directory, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        twin_require(file >= 0 && close(file) == 0);
        twin_pair twin = case_open();
        twin_require_right(&twin, &case_random);
        for (int round = 0; round < 5; round++) {
            twin_transaction(&twin, &case_random, 60, CASE_SMALL_ROWS);
            twin_require_right(&twin, &case_random);
        }
        twin_require(twin_try(&twin, "INSERT INTO t(t) VALUES('rebuild')") != SQLITE_OK);
        twin_require_right(&twin, &case_random);
        twin_close(&twin);
        twin_pair again = case_open();
        twin_require_right(&again, &case_random);
        twin_remove(case_directory);
        case_heals(&again);
    }
}

/* Root may write anywhere: then another user does this, if there is one who can come here. */
static void case_read_only_child(void *context) {
    (void)context;
    bool able = geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
    if (!able || access(case_work, R_OK | W_OK) != 0) {
        print_message("             skipped the read-only directory: %s\n", strerror(errno));
        return;
    }
    twin_pair twin = case_open();
    twin_require_right(&twin, &case_random);
    for (int round = 0; round < 3; round++) {
        twin_transaction(&twin, &case_random, 50, CASE_SMALL_ROWS);
        twin_require_right(&twin, &case_random);
    }
    twin_require(twin_try(&twin, "INSERT INTO t(t) VALUES('rebuild')") != SQLITE_OK);
    twin_require_right(&twin, &case_random);
    twin_close(&twin);
}

/* Gives everybody the rights `mode` on the files of the index, and `mode` with x on its directories. */
static void case_chmod(mode_t mode) {
    twin_files files = twin_find_files(case_work, "");
    char folder[600];
    for (int i = 0; i < files.count; i++) {
        snprintf(folder, sizeof folder, "%s", files.paths[i]);
        *strrchr(folder, '/') = '\0';
        twin_require(chmod(files.paths[i], mode) == 0);
    }
    twin_require(chmod(folder, mode | 0111) == 0 && chmod(case_directory, mode | 0111) == 0);
}

static void test_read_only_directory(void **state) {
    (void)state;
    const char *const sources[] = {case_small, case_large};
    for (int i = 0; i < 2; i++) {
        case_copy(sources[i]);
        twin_require(chmod(case_place.root, 0777) == 0 && chmod(case_work, 0666) == 0);
        case_chmod(0444);
        twin_in_child(case_read_only_child, NULL);
        case_chmod(0666);
        case_judge();
    }
}

static void test_symlink_is_refused(void **state) {
    (void)state;
    char target[500];
    snprintf(target, sizeof target, "%s/target", case_place.root);
    case_copy(case_large);
    twin_copy(case_directory, target);
    twin_remove(case_directory);
    twin_require(symlink(target, case_directory) == 0);
    twin_pair twin = case_open();
    twin_require_right(&twin, &case_random);
    twin_require(!twin_state_is(&twin, "current"));
    twin_transaction(&twin, &case_random, 60, CASE_SMALL_ROWS);
    twin_require_right(&twin, &case_random);
    twin_require(twin_try(&twin, "INSERT INTO t(t) VALUES('rebuild')") != SQLITE_OK);
    twin_close(&twin);
    twin_require(unlink(case_directory) == 0);
    twin_remove(target);
    case_judge();
}

/* ---- single files ---- */

static const char *const case_kinds[] = {"wal", "base", "segment", "shards"};
#define CASE_KINDS (sizeof case_kinds / sizeof *case_kinds)

static uint64_t case_file_size(const char *path) {
    struct stat info;
    twin_require(stat(path, &info) == 0);
    return (uint64_t)info.st_size;
}

static void case_flip_bit(const char *path) {
    uint64_t at = fixture_below(&case_random, case_file_size(path));
    int file = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;
    twin_require(file >= 0 && pread(file, &byte, 1, (off_t)at) == 1);
    byte ^= (uint8_t)(1 << fixture_below(&case_random, 8));
    twin_require(pwrite(file, &byte, 1, (off_t)at) == 1 && close(file) == 0);
}

/* What is done to a file. */
typedef enum case_damage { CASE_DELETE, CASE_EMPTY, CASE_CUT, CASE_FLIP, CASE_ZERO, CASE_GROW, CASE_SORTS } case_damage;

static void case_do_damage(const char *path, case_damage damage) {
    static const uint8_t zeros[4096];
    uint64_t size = case_file_size(path);
    int file = open(path, O_RDWR | O_CLOEXEC);
    twin_require(file >= 0);
    if (damage == CASE_DELETE) twin_require(unlink(path) == 0);
    if (damage == CASE_EMPTY) twin_require(ftruncate(file, 0) == 0);
    if (damage == CASE_CUT) twin_require(ftruncate(file, (off_t)fixture_below(&case_random, size)) == 0);
    if (damage == CASE_ZERO) {
        off_t at = (off_t)fixture_below(&case_random, size) / 512 * 512;
        size_t length = size - (uint64_t)at < 512 ? (size_t)(size - (uint64_t)at) : 512;
        twin_require(pwrite(file, zeros, length, at) == (ssize_t)length);
    }
    if (damage == CASE_GROW) twin_require(pwrite(file, zeros, 777, (off_t)size) == 777);
    close(file);
    if (damage == CASE_FLIP) case_flip_bit(path);
}

/* A few queries: twin_require_right is too thorough for some hundred cases. */
static void case_glance(twin_pair *twin) {
    twin_model model = twin_model_read(twin);
    twin_require_answers(twin, &model, &case_random, 4, 10, TWIN_RECALL);
    twin_model_free(&model);
}

/* Damages one file of a copy of `source` and judges; mostly without healing, which takes a while. */
static void case_damage_one(const char *source, const char *kind, int file, case_damage damage, bool heal) {
    case_copy(source);
    twin_files files = twin_find_files(case_work, kind);
    case_do_damage(files.paths[file], damage);
    twin_pair twin = case_open();
    case_glance(&twin);
    if (heal) {
        case_heals(&twin);
        return;
    }
    twin_transaction(&twin, &case_random, 20, CASE_SMALL_ROWS);
    case_glance(&twin);
    twin_close(&twin);
}

static void test_damaged_files(void **state) {
    (void)state;
    for (size_t k = 0; k < CASE_KINDS; k++) {
        int count = twin_find_files(case_large, case_kinds[k]).count;
        assert_true(count > 0);
        for (int file = 0; file < count; file++) {
            for (int damage = 0; damage < CASE_SORTS; damage++) {
                int times = damage == CASE_CUT || damage == CASE_FLIP ? CASE_DAMAGES : 1;
                for (int i = 0; i < times; i++) {
                    bool heal = file == 0 && i == 0 && (damage == CASE_DELETE || damage == CASE_FLIP);
                    case_damage_one(case_large, case_kinds[k], file, (case_damage)damage, heal);
                }
            }
        }
    }
    for (int damage = 0; damage < CASE_SORTS; damage++)
        case_damage_one(case_small, "wal", 0, (case_damage)damage, true);
}

/* Flips some bits of a file between two places, and nothing else. */
static void case_flip_between(const char *path, uint64_t begin, uint64_t end) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    twin_require(file >= 0 && begin < end && end <= case_file_size(path));
    for (int i = 0; i < CASE_FLIPS; i++) {
        off_t at = (off_t)(begin + fixture_below(&case_random, end - begin));
        uint8_t byte;
        twin_require(pread(file, &byte, 1, at) == 1);
        byte ^= (uint8_t)(1 << fixture_below(&case_random, 8));
        twin_require(pwrite(file, &byte, 1, at) == 1);
    }
    close(file);
}

/* Before and after the damage was met, the integrity check names the file. */
static void case_judge_check(twin_pair *twin, const char *name) {
    int rc = twin_try(twin, "INSERT INTO t(t) VALUES('integrity-check')");
    if ((rc & 0xff) != SQLITE_CORRUPT || !strstr(sqlite3_errmsg(twin->db), name)) {
        fail_msg("%s is damaged, integrity-check: %d %s", name, rc, sqlite3_errmsg(twin->db));
    }
}

static void case_judge_reading(const char *name) {
    twin_pair twin = case_open();
    case_judge_check(&twin, name);
    twin_require_right(&twin, &case_random);
    case_judge_check(&twin, name);
    twin_close(&twin);
}

/* Each section by itself in every segment: what else is damaged must not be what gives it away. */
static void test_damaged_sections_of_segments(void **state) {
    (void)state;
    for (uint32_t section = SHX_SEGMENT_INFO; section <= SHX_COLUMN_BY_VALUE; section++) {
        case_copy(case_large);
        twin_files files = twin_find_files(case_work, "segment");
        for (int i = 0; i < files.count; i++) {
            uint8_t head[80 + 32 * SHX_SECTIONS_MAX];
            int file = open(files.paths[i], O_RDONLY | O_CLOEXEC);
            twin_require(file >= 0 && read(file, head, sizeof head) == (ssize_t)sizeof head);
            close(file);
            for (uint32_t s = 0; s < shx_get32(head + 64); s++) {
                const uint8_t *entry = head + 80 + 32 * (size_t)s;
                uint64_t begin = shx_get64(entry + 8);
                if (shx_get32(entry) != section) continue;
                case_flip_between(files.paths[i], begin, begin + shx_get64(entry + 16));
            }
        }
        case_judge_reading("segment ");
    }
}

/* The vectors of the largest record: nearly all rows of the small table. */
static void test_damaged_vectors_of_the_log(void **state) {
    (void)state;
    case_copy(case_small);
    twin_files files = twin_find_files(case_work, "wal");
    uint64_t begin = SHX_HEADER_BYTES + SHX_RECORD_BYTES;
    int largest = 0;
    for (int i = 1; i < files.count; i++) {
        if (case_file_size(files.paths[i]) > case_file_size(files.paths[largest])) largest = i;
    }
    case_flip_between(files.paths[largest], begin, begin + (uint64_t)CASE_SMALL_ROWS * CASE_DIM * sizeof(float));
    case_judge();
}

/* ---- no room ---- */

/* Changes vectors in place: the database keeps its size, the WAL beside it grows. */
static void case_fill_the_disk(twin_pair *twin) {
    for (int round = 0; round < 60; round++) {
        twin_run(twin, "BEGIN IMMEDIATE");
        for (int i = 0; i < 100; i++) {
            float vector[CASE_DIM];
            twin_vector(&case_random, CASE_DIM, vector);
            twin_put(twin, (int64_t)fixture_below(&case_random, CASE_SMALL_ROWS) + 1, vector, round);
        }
        twin_run(twin, "COMMIT");
        if (round % 10 == 9) twin_require_right(twin, &case_random);
        if (round % 20 == 19) twin_try(twin, "INSERT INTO t(t) VALUES('flush')");
    }
    twin_require_right(twin, &case_random);
    twin_run(twin, "DELETE FROM t WHERE rowid < 50; DELETE FROM twin WHERE id < 50");
    twin_require_right(twin, &case_random);
}

static void case_limited_child(void *context) {
    (void)context;
    twin_pair twin = case_open();
    twin_run(&twin, "PRAGMA synchronous=off");
    uint64_t room = case_file_size(case_work) + (200 << 10);
    struct rlimit limit = {room, room};
    signal(SIGXFSZ, SIG_IGN);
    twin_require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    case_fill_the_disk(&twin);
    twin_close(&twin);
}

static void test_files_cannot_grow(void **state) {
    (void)state;
    case_copy(case_small);
    twin_in_child(case_limited_child, NULL);
    case_judge();
}

/* Mounting is for who may: in a mount namespace of its own. */
static bool case_mount(void) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    return mount("shardex-test", case_directory, "tmpfs", 0, "size=256k") == 0;
}

static void case_full_child(void *context) {
    (void)context;
    if (!case_mount()) {
        print_message("             skipped the file system without room: %s\n", strerror(errno));
        return;
    }
    twin_pair twin = case_open();
    case_fill_the_disk(&twin);
    twin_require(twin_try(&twin, "INSERT INTO t(t) VALUES('rebuild')") != SQLITE_IOERR);
    twin_require_right(&twin, &case_random);
    twin_close(&twin);
}

static void test_full_disk(void **state) {
    (void)state;
    case_copy(case_small);
    twin_in_child(case_full_child, NULL);
    case_judge();
}

/* ---- the database goes elsewhere, or comes from there ---- */

static void case_backup(sqlite3 *to, sqlite3 *from) {
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    twin_require(backup && sqlite3_backup_step(backup, -1) == SQLITE_DONE);
    twin_require(sqlite3_backup_finish(backup) == SQLITE_OK);
}

/* The database becomes what it was some commits ago; the directory stays. */
static void test_restored_from_a_backup(void **state) {
    (void)state;
    static const char *const ways[] = {"VACUUM INTO '%q'", ".backup"};
    const char *const sources[] = {case_small, case_large};
    char copy[500];
    snprintf(copy, sizeof copy, "%s/backup.db", case_place.root);
    for (int i = 0; i < 4; i++) {
        case_copy(sources[i / 2]);
        twin_pair twin = case_open(), backup = twin_open(NULL, SHX_L2, CASE_DIM);
        if (i % 2 == 0) twin_run(&twin, ways[0], copy);
        if (i % 2 == 1) {
            twin_require(sqlite3_open(copy, &backup.db) == SQLITE_OK);
            case_backup(backup.db, twin.db);
            sqlite3_close(backup.db);
        }
        for (int round = 0; round < 3; round++) twin_transaction(&twin, &case_random, 100, CASE_SMALL_ROWS);
        if (i / 2) twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        twin_transaction(&twin, &case_random, 100, CASE_SMALL_ROWS);
        twin_close(&twin);
        twin_copy(copy, case_work);
        twin_remove(copy);
        case_judge();
    }
}

/* The copy of the file alone has no directory; both live on and go different ways under one uuid. */
static void test_copy_of_the_file_alone(void **state) {
    (void)state;
    char copy[500];
    snprintf(copy, sizeof copy, "%s/copy.db", case_place.root);
    case_copy(case_large);
    twin_copy(case_work, copy);
    twin_pair one = case_open(), two = twin_open(copy, SHX_L2, CASE_DIM);
    for (int round = 0; round < 3; round++) {
        twin_require_right(&two, &case_random);
        twin_transaction(&one, &case_random, 50, CASE_SMALL_ROWS);
        twin_transaction(&two, &case_random, 50, CASE_SMALL_ROWS);
        twin_require_right(&one, &case_random);
    }
    twin_close(&two);
    case_heals(&one);
    char directory[520];
    snprintf(directory, sizeof directory, "%s-shardex", copy);
    twin_copy(directory, case_directory); /* the diverged directory under the other database */
    twin_remove_database(copy);
    case_judge();
}

static void test_backup_into_the_open_database(void **state) {
    (void)state;
    const char *const sources[] = {case_other, case_small, case_large};
    for (int i = 0; i < 3; i++) {
        case_copy(case_large);
        twin_pair twin = case_open(), source = twin_open(sources[i], SHX_L2, CASE_DIM);
        twin_transaction(&twin, &case_random, 50, CASE_SMALL_ROWS);
        twin_require_right(&twin, &case_random);
        case_backup(twin.db, source.db);
        twin_close(&source);
        twin_require_right(&twin, &case_random);
        case_heals(&twin);
    }
}

static void test_deserialized(void **state) {
    (void)state;
    const char *const sources[] = {case_small, case_large};
    for (int i = 0; i < 2; i++) {
        case_copy(sources[i]);
        twin_pair twin = case_open(), copy = twin_open(":memory:", SHX_L2, CASE_DIM);
        sqlite3_int64 size = 0;
        unsigned char *bytes = sqlite3_serialize(twin.db, "main", &size, 0);
        twin_require(bytes != NULL);
        twin_close(&twin);
        int flags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE;
        twin_require(sqlite3_deserialize(copy.db, "main", bytes, size, size, (unsigned)flags) == SQLITE_OK);
        twin_require_right(&copy, &case_random);
        for (int round = 0; round < 3; round++) {
            twin_transaction(&copy, &case_random, 50, CASE_SMALL_ROWS);
            twin_require_right(&copy, &case_random);
        }
        twin_run(&copy, "INSERT INTO t(t) VALUES('rebuild')");
        twin_require(twin_state_is(&copy, "current"));
        twin_require_right(&copy, &case_random);
        twin_require_sound(&copy);
        twin_close(&copy);
        case_judge();
    }
}

static void test_attached(void **state) {
    (void)state;
    char copy[500];
    snprintf(copy, sizeof copy, "%s/attached.db", case_place.root);
    case_copy(case_large);
    twin_copy_database(case_large, copy);
    twin_pair twin = case_open();
    twin_run(&twin, "ATTACH %Q AS two; ATTACH %Q AS three", copy, case_small);
    for (int round = 0; round < 4; round++) {
        static const char *const schemas[] = {"main", "two", "three"};
        twin_run(&twin, "BEGIN");
        for (int i = 0; i < 3; i++) {
            twin.schema = schemas[i];
            for (int c = 0; c < 20; c++) twin_change(&twin, &case_random, CASE_SMALL_ROWS);
            twin_require_right(&twin, &case_random);
        }
        twin_run(&twin, round % 2 ? "ROLLBACK" : "COMMIT");
        for (int i = 0; i < 3; i++) {
            twin.schema = schemas[i];
            twin_require_right(&twin, &case_random);
        }
    }
    twin.schema = "main";
    twin_close(&twin);
    case_judge();
    twin_remove_database(copy);
}

/* ---- several processes ---- */

/* A process that takes turns with others. */
typedef struct case_player {
    int wait_for, wake; /* pipes */
    uint64_t seed;
    const char *mode;
} case_player;

static void case_play(void *context) {
    const case_player *player = context;
    fixture_random random = {player->seed};
    twin_pair twin = case_open();
    twin_try(&twin, "PRAGMA journal_mode=%s", player->mode);
    char token;
    while (read(player->wait_for, &token, 1) == 1 && token > 0) {
        twin_require_right(&twin, &random);
        twin_transaction(&twin, &random, (int)fixture_below(&random, 150) + 1, CASE_SMALL_ROWS);
        twin_require_right(&twin, &random);
        if (fixture_below(&random, 3) == 0) twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
        if (fixture_below(&random, 8) == 0) twin_run(&twin, "INSERT INTO t(t) VALUES('optimize')");
        token--;
        twin_require(write(player->wake, &token, 1) == 1);
    }
    token = 0;
    (void)!write(player->wake, &token, 1);
    twin_require_sound(&twin);
    twin_close(&twin);
}

static void test_two_processes_in_turn(void **state) {
    (void)state;
    static const char *const modes[] = {"wal", "delete"};
    for (int i = 0; i < 2; i++) {
        int a[2], b[2];
        char turns = 14;
        case_copy(i ? case_large : case_small);
        twin_require(pipe(a) == 0 && pipe(b) == 0);
        case_player one = {a[0], b[1], fixture_next(&case_random), modes[i]};
        case_player two = {b[0], a[1], fixture_next(&case_random), modes[i]};
        pid_t first = twin_fork();
        if (first == 0) {
            case_play(&one);
            twin_child_done();
        }
        pid_t second = twin_fork();
        if (second == 0) {
            case_play(&two);
            twin_child_done();
        }
        twin_require(write(a[1], &turns, 1) == 1);
        twin_wait(first);
        twin_wait(second);
        for (int end = 0; end < 2; end++) {
            close(a[end]);
            close(b[end]);
        }
        case_judge();
    }
}

/* A reader stays at an old snapshot while everything below it is flushed, optimized and collected. */
static void test_reader_in_an_old_snapshot(void **state) {
    (void)state;
    for (int early = 0; early < 2; early++) {
        case_copy(case_large);
        twin_pair writer = case_open();
        twin_run(&writer, "PRAGMA journal_mode=wal");
        twin_pair reader = case_open();
        twin_run(&reader, "BEGIN");
        twin_number(&reader, "SELECT count(*) FROM twin");
        if (early) twin_require_right(&reader, &case_random); /* it has its view before the writer starts */
        for (int round = 0; round < 4; round++) {
            for (int i = 0; i < 5; i++) twin_transaction(&writer, &case_random, 80, CASE_LARGE_ROWS);
            twin_run(&writer, "INSERT INTO t(t) VALUES(%Q)", round % 2 ? "optimize" : "flush");
            twin_transaction(&writer, &case_random, 10, CASE_LARGE_ROWS);
            twin_require_right(&writer, &case_random);
            twin_require_right(&reader, &case_random);
        }
        twin_run(&reader, "COMMIT");
        twin_require_right(&reader, &case_random);
        twin_close(&reader);
        case_heals(&writer);
    }
}

/* The same with the reader in another process, whose index is another object. */
static void case_old_reader(void *context) {
    const case_player *player = context;
    twin_pair reader = case_open();
    char token = 1;
    twin_run(&reader, "BEGIN");
    twin_number(&reader, "SELECT count(*) FROM twin");
    do {
        twin_require(write(player->wake, &token, 1) == 1 && read(player->wait_for, &token, 1) == 1);
        twin_require_right(&reader, &case_random);
    } while (token > 0);
    twin_run(&reader, "COMMIT");
    twin_require_right(&reader, &case_random);
    twin_close(&reader);
}

static void case_busy_writer(const case_player *player) {
    char token = 0;
    twin_require(read(player->wait_for, &token, 1) == 1);
    twin_pair writer = case_open();
    for (char round = 3; round >= 0; round--) {
        for (int i = 0; i < 5; i++) twin_transaction(&writer, &case_random, 80, CASE_LARGE_ROWS);
        twin_run(&writer, "INSERT INTO t(t) VALUES(%Q)", round % 2 ? "optimize" : "flush");
        twin_transaction(&writer, &case_random, 10, CASE_LARGE_ROWS);
        twin_require(write(player->wake, &round, 1) == 1);
        if (round > 0) twin_require(read(player->wait_for, &token, 1) == 1);
    }
    twin_require_right(&writer, &case_random);
    twin_close(&writer);
}

static void test_reader_of_another_process_in_an_old_snapshot(void **state) {
    (void)state;
    int a[2], b[2];
    case_copy(case_large);
    twin_pair twin = case_open();
    twin_run(&twin, "PRAGMA journal_mode=wal");
    twin_close(&twin);
    twin_require(pipe(a) == 0 && pipe(b) == 0);
    pid_t reader = twin_fork();
    if (reader == 0) {
        case_player player = {a[0], b[1], 0, "wal"};
        case_old_reader(&player);
        twin_child_done();
    }
    case_player player = {b[0], a[1], 0, "wal"};
    case_busy_writer(&player);
    twin_wait(reader);
    for (int end = 0; end < 2; end++) {
        close(a[end]);
        close(b[end]);
    }
    case_judge();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deleted_while_closed),
        cmocka_unit_test(test_deleted_while_open),
        cmocka_unit_test(test_replaced_by_an_older_copy),
        cmocka_unit_test(test_replaced_by_a_very_old_copy),
        cmocka_unit_test(test_replaced_by_another_tables),
        cmocka_unit_test(test_no_directory_possible),
        cmocka_unit_test(test_read_only_directory),
        cmocka_unit_test(test_symlink_is_refused),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_damaged_sections_of_segments),
        cmocka_unit_test(test_damaged_vectors_of_the_log),
        cmocka_unit_test(test_files_cannot_grow),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_restored_from_a_backup),
        cmocka_unit_test(test_copy_of_the_file_alone),
        cmocka_unit_test(test_backup_into_the_open_database),
        cmocka_unit_test(test_deserialized),
        cmocka_unit_test(test_attached),
        cmocka_unit_test(test_two_processes_in_turn),
        cmocka_unit_test(test_reader_in_an_old_snapshot),
        cmocka_unit_test(test_reader_of_another_process_in_an_old_snapshot),
    };
    return cmocka_run_group_tests(tests, case_set_up, case_tear_down);
}
