/* Hosts of every kind: processes that fork, VFS that encrypt, databases opened in unusual ways. */
#include "story.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- files ---- */

/* How many files and directories there are below a path, itself included. */
static int count_files(const char *path) {
    char *command = sqlite3_mprintf("find '%q' 2>/dev/null | wc -l", path);
    FILE *pipe = popen(command, "r");
    int count = -1;
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    sqlite3_free(command);
    return count;
}

static int count_in_directory(const story *tale) {
    char *path = sqlite3_mprintf("%s-shardex", tale->path);
    int count = count_files(path);
    sqlite3_free(path);
    return count;
}

static sqlite3 *open_with(const char *path, int flags, const char *vfs) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_URI, vfs), SQLITE_OK);
    assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
    return db;
}

#define READ_WRITE (SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)

/* Makes `tale->path` anew, without a table. */
static void start_over(story *tale) {
    host_close(tale->db);
    char *command =
        sqlite3_mprintf("rm -rf '%q' '%q-shardex' '%q-wal' '%q-shm'", tale->path, tale->path, tale->path, tale->path);
    assert_int_equal(system(command), 0);
    sqlite3_free(command);
    tale->db = NULL;
}

#define CREATE_T "CREATE VIRTUAL TABLE t USING shardex(v float[2], n INTEGER, s TEXT, +x TEXT)"

/* ---- fork ---- */

/* In a forked child nothing may be asserted; a number tells where it failed. */
#define CHILD_REQUIRE(condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition)) _exit(__LINE__ % 200 + 1);                                                                   \
    } while (0)

static bool child_is_refused(sqlite3 *db, const char *sql) {
    char *message = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
    return rc != SQLITE_OK && message && strstr(message, "opened before fork");
}

/* The parent's connection serves nothing and closes; one of its own works. */
static void child_lives(sqlite3 *db, const char *path) {
    CHILD_REQUIRE(child_is_refused(db, "SELECT rowid FROM t WHERE v MATCH '[1,1]' AND k = 3"));
    CHILD_REQUIRE(child_is_refused(db, "SELECT count(*) FROM t"));
    CHILD_REQUIRE(child_is_refused(db, "INSERT INTO t(v) VALUES('[1,1]')"));
    CHILD_REQUIRE(child_is_refused(db, "INSERT INTO t(t) VALUES('flush')"));
    CHILD_REQUIRE(child_is_refused(db, "DELETE FROM t"));
    CHILD_REQUIRE(host_try(db, "DROP TABLE t") == SQLITE_MISUSE); /* SQLite passes no text on */
    CHILD_REQUIRE(child_is_refused(db, "ALTER TABLE t RENAME TO u"));
    CHILD_REQUIRE(child_is_refused(db, "CREATE VIRTUAL TABLE u USING shardex(v float[2])"));
    CHILD_REQUIRE(child_is_refused(db, "SELECT shardex_info('t')"));
    CHILD_REQUIRE(child_is_refused(db, "SELECT * FROM shardex_stats('t')"));
    CHILD_REQUIRE(child_is_refused(db, "SELECT * FROM shardex_shards('t')"));
    CHILD_REQUIRE(sqlite3_close(db) == SQLITE_OK);
    sqlite3 *own;
    CHILD_REQUIRE(sqlite3_open(path, &own) == SQLITE_OK && sqlite3_shardex_init(own, NULL, NULL) == SQLITE_OK);
    CHILD_REQUIRE(sqlite3_exec(own, "INSERT INTO t(rowid, v) VALUES(100001, '[-1,0]')", NULL, NULL, NULL) == SQLITE_OK);
    char *rows = host_rows(own, "SELECT rowid FROM t WHERE v MATCH '[-2,0]' AND k = 1");
    CHILD_REQUIRE(strcmp(rows, "100001") == 0);
    sqlite3_free(rows);
    CHILD_REQUIRE(sqlite3_close(own) == SQLITE_OK);
    _exit(0);
}

static void wait_for_child(pid_t child) {
    int status;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) fail_msg("the child ended with status %x", (unsigned)status);
}

/* How many threads of this process, beside the one that asks, are not asleep, as the kernel tells. */
static int count_awake(void) {
    int awake = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[300], name[32], state = 'S';
        if (task->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", task->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue; /* it has ended */
        awake += fscanf(file, "%*d (%31[^)]) %c", name, &state) == 2 && state != 'S';
        fclose(file);
    }
    if (tasks) closedir(tasks);
    return awake - 1;
}

/* Until the others have been found asleep again and again, which nobody is who works. */
static void wait_for_sleep(void) {
    for (int looks = 0; looks < 40; looks++) {
        if (count_awake() > 0) looks = 0;
        usleep(5000);
    }
}

/* With so many rows the parent has a thread that maintains the index; a child has not. The thread has done its work and
** sleeps: a sanitizer's allocator, unlike the C library's, stays locked in the child if a thread was in it. */
static void a_forked_child_is_refused(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 21000);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    wait_for_sleep();
    pid_t child = fork();
    if (child == 0) child_lives(tale->db, tale->path);
    wait_for_child(child);
    host_expect(tale->db, "SELECT group_concat(rowid) FROM t WHERE v MATCH '[-2,0]' AND k = 3", "100001,1,2");
    host_run(tale->db, "DELETE FROM t WHERE rowid > 50; INSERT INTO t(t) VALUES('flush')");
    check_anew(tale, "t");
}

/* A write transaction that was open at the fork is the parent's alone. */
static void a_child_ends_no_transaction(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 50);
    host_run(tale->db, "BEGIN; DELETE FROM t WHERE rowid = 7; SAVEPOINT a; DELETE FROM t WHERE rowid = 8");
    pid_t child = fork();
    if (child == 0) {
        CHILD_REQUIRE(child_is_refused(tale->db, "INSERT INTO t(v) VALUES('[1,1]')"));
        CHILD_REQUIRE(child_is_refused(tale->db, "SELECT rowid FROM t WHERE v MATCH '[1,1]' AND k = 3"));
        _exit(0);
    }
    wait_for_child(child);
    host_run(tale->db, "ROLLBACK TO a; COMMIT");
    host_expect(tale->db, "SELECT count(*), min(rowid = 8) FROM t WHERE rowid BETWEEN 7 AND 8", "1|1");
    check_anew(tale, "t");
}

/* ---- VFS ---- */

/* A VFS that stores database files XORed, as an encrypting one does. Registered under the name "unix" it is what a
** codec inside the pager looks like from outside: the bytes of the header, when read by themselves, are not plain. */
typedef struct veil_file {
    sqlite3_file base;
    sqlite3_file *real;
    bool veiled;
} veil_file;

#define VEIL_KEY 0x5a
#define VEIL_HEADER 100 /* reads up to this size are raw */

static sqlite3_vfs veil_vfs;
static sqlite3_vfs *veil_real_vfs;

static sqlite3_file *veil_real(sqlite3_file *file) { return ((veil_file *)file)->real; }
static int veil_close(sqlite3_file *file) {
    int rc = veil_real(file)->pMethods->xClose(veil_real(file));
    free(veil_real(file));
    return rc;
}
static void veil_turn(const void *from, void *to, int size) {
    for (int i = 0; i < size; i++) ((unsigned char *)to)[i] = ((const unsigned char *)from)[i] ^ VEIL_KEY;
}
static int veil_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at) {
    int rc = veil_real(file)->pMethods->xRead(veil_real(file), bytes, size, at);
    if (rc == SQLITE_OK && ((veil_file *)file)->veiled && size > VEIL_HEADER) veil_turn(bytes, bytes, size);
    return rc;
}
static int veil_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at) {
    if (!((veil_file *)file)->veiled) return veil_real(file)->pMethods->xWrite(veil_real(file), bytes, size, at);
    void *turned = malloc((size_t)size);
    assert_non_null(turned);
    veil_turn(bytes, turned, size);
    int rc = veil_real(file)->pMethods->xWrite(veil_real(file), turned, size, at);
    free(turned);
    return rc;
}
static int veil_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return veil_real(file)->pMethods->xTruncate(veil_real(file), size);
}
static int veil_sync(sqlite3_file *file, int flags) { return veil_real(file)->pMethods->xSync(veil_real(file), flags); }
static int veil_size(sqlite3_file *file, sqlite3_int64 *size) {
    return veil_real(file)->pMethods->xFileSize(veil_real(file), size);
}
static int veil_lock(sqlite3_file *file, int kind) { return veil_real(file)->pMethods->xLock(veil_real(file), kind); }
static int veil_unlock(sqlite3_file *file, int kind) {
    return veil_real(file)->pMethods->xUnlock(veil_real(file), kind);
}
static int veil_reserved(sqlite3_file *file, int *reserved) {
    return veil_real(file)->pMethods->xCheckReservedLock(veil_real(file), reserved);
}
static int veil_control(sqlite3_file *file, int operation, void *argument) {
    if (operation == SQLITE_FCNTL_VFSNAME) {
        *(char **)argument = sqlite3_mprintf("%s", veil_vfs.zName);
        return SQLITE_OK;
    }
    return veil_real(file)->pMethods->xFileControl(veil_real(file), operation, argument);
}
static int veil_sector(sqlite3_file *file) { return veil_real(file)->pMethods->xSectorSize(veil_real(file)); }
static int veil_traits(sqlite3_file *file) {
    return veil_real(file)->pMethods->xDeviceCharacteristics(veil_real(file));
}

static const sqlite3_io_methods VEIL_METHODS = {
    1,         veil_close,  veil_read,     veil_write,   veil_truncate, veil_sync,   veil_size,
    veil_lock, veil_unlock, veil_reserved, veil_control, veil_sector,   veil_traits, NULL,
    NULL,      NULL,        NULL,          NULL,         NULL,
};

static int veil_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    veil_file *veil = (veil_file *)file;
    (void)vfs;
    veil->real = calloc(1, (size_t)veil_real_vfs->szOsFile);
    assert_non_null(veil->real);
    int rc = veil_real_vfs->xOpen(veil_real_vfs, name, veil->real, flags, out);
    file->pMethods = rc == SQLITE_OK ? &VEIL_METHODS : NULL;
    veil->veiled = flags & SQLITE_OPEN_MAIN_DB;
    if (rc != SQLITE_OK) free(veil->real);
    return rc;
}

static void veil_register(const char *name) {
    veil_real_vfs = sqlite3_vfs_find("unix");
    veil_vfs = *veil_real_vfs;
    veil_vfs.pNext = NULL;
    veil_vfs.zName = name;
    veil_vfs.szOsFile = (int)sizeof(veil_file);
    veil_vfs.xOpen = veil_open;
    assert_int_equal(sqlite3_vfs_register(&veil_vfs, 1), SQLITE_OK);
    assert_ptr_equal(sqlite3_vfs_find(name), &veil_vfs);
}

static void veil_withdraw(void) {
    sqlite3_vfs_unregister(&veil_vfs);
    sqlite3_vfs_register(veil_real_vfs, 1);
}

static void check_in_memory(sqlite3 *db) {
    fill(db, "t", 1, 40);
    check(db, "t");
    host_run(db, "DELETE FROM t WHERE n = 1; INSERT INTO t(t) VALUES('optimize')");
    check(db, "t");
    host_expect(db, "SELECT shardex_info('t') ->> '$.directory'", "memory");
}

/* Neither a name that is not SQLite's nor a familiar one over a file that is not plain gets a directory. */
static void a_database_that_may_be_encrypted_has_no_directory(void **context) {
    story *tale = *context;
    static const char *const names[] = {"cipher", "unix-cipher", "unix"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        start_over(tale);
        veil_register(names[i]);
        tale->db = open_with(tale->path, READ_WRITE, names[i]);
        host_run(tale->db, "CREATE TABLE plain(x); INSERT INTO plain VALUES(1)");
        host_run(tale->db, CREATE_T);
        check_in_memory(tale->db);
        host_close(tale->db);
        tale->db = open_with(tale->path, READ_WRITE, names[i]);
        check(tale->db, "t");
        assert_int_equal(count_in_directory(tale), 0);
        host_close(tale->db);
        tale->db = open_with(":memory:", READ_WRITE, NULL);
        veil_withdraw();
    }
}

static void a_directory_beside_an_unknown_vfs_is_a_setting(void **context) {
    story *tale = *context;
    start_over(tale);
    veil_register("cipher");
    tale->db = open_with(tale->path, READ_WRITE, "cipher");
    host_expect(tale->db, "SELECT shardex_config('any_vfs'), shardex_config('ANY_VFS', 1), shardex_config('any_vfs')",
                "0|1|1");
    host_run(tale->db, CREATE_T);
    fill(tale->db, "t", 1, 40);
    check(tale->db, "t");
    assert_true(count_in_directory(tale) > 2);
    host_expect(tale->db, "SELECT shardex_config('any_vfs', 0)", "0");
    host_close(tale->db);
    tale->db = open_with(tale->path, READ_WRITE, "cipher");
    host_run(tale->db, "DELETE FROM t");
    check_in_memory(tale->db);
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_config('colour')", "unknown setting 'colour', expected");
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_config(NULL, 1)", "unknown setting ''");
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_config('any_vfs', 2)", "is 0 or 1");
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_config('any_vfs', 'yes')", "is 0 or 1");
    host_close(tale->db);
    tale->db = open_with(":memory:", READ_WRITE, NULL);
    veil_withdraw();
}

static void sqlites_own_vfs_have_a_directory(void **context) {
    story *tale = *context;
    static const char *const names[] = {"unix", "unix-excl", "unix-dotfile"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        start_over(tale);
        tale->db = open_with(tale->path, READ_WRITE, names[i]);
        host_run(tale->db, CREATE_T);
        fill(tale->db, "t", 1, 40);
        check(tale->db, "t");
        assert_true(count_in_directory(tale) > 2);
    }
    start_over(tale);
    tale->db = open_with(tale->path, READ_WRITE, "unix-none"); /* no locks: nobody knows who writes */
    host_run(tale->db, CREATE_T);
    check_in_memory(tale->db);
    assert_int_equal(count_in_directory(tale), 0);
}

/* The process keeps directories in another place; the databases there may have the same name. */
static void directories_in_another_place(void **context) {
    story *tale = *context;
    char *place = sqlite3_mprintf("%s/place", tale->folder), *path = sqlite3_mprintf("%s/inner/table.db", tale->folder);
    char *inner = sqlite3_mprintf("%s/inner", tale->folder), *copy = sqlite3_mprintf("%s/copy.db", tale->folder);
    assert_true(mkdir(place, 0700) == 0 && mkdir(inner, 0700) == 0);
    start_over(tale);
    tale->db = host_open(tale->path);
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_config('directory', 'place')", "is an absolute path, or ''");
    host_run(tale->db, "SELECT shardex_config('directory', %Q)", place);
    host_expect(tale->db, "SELECT shardex_config('directory')", place);
    sqlite3 *other = host_open(path);
    sqlite3 *both[] = {tale->db, other};
    for (int i = 0; i < 2; i++) {
        host_run(both[i], CREATE_T "; CREATE VIRTUAL TABLE u USING shardex(v float[2])");
        fill(both[i], "t", 1, 30 + i);
        host_run(both[i], "INSERT INTO u(v) VALUES('[1,2]'); INSERT INTO t(t) VALUES('flush')");
        check(both[i], "t");
        host_expect(both[i], "SELECT shardex_info('t') ->> '$.directory' GLOB shardex_config('directory') || '/*'",
                    "1");
    }
    host_run(tale->db, "SELECT shardex_backup(%Q)", copy);
    host_close(other);
    check_anew(tale, "t");
    assert_int_equal(count_in_directory(tale), 0);
    int files = count_files(place);
    host_run(tale->db, "DROP TABLE u");
    host_close(tale->db);
    tale->db = host_open(tale->path);
    host_run(tale->db, "INSERT INTO t(t) VALUES('gc')");
    assert_true(count_files(place) < files);
    other = host_open(copy);
    check(other, "t");
    host_close(other);
    other = host_open(path);
    check(other, "t");
    host_expect(other, "SELECT count(*) FROM u WHERE v MATCH '[1,2]' AND k = 3", "1");
    host_close(other);
    host_run(tale->db, "SELECT shardex_config('directory', '%q/nowhere')", tale->folder);
    host_close(tale->db);
    tale->db = host_open(tale->path); /* there is no such folder: right all the same, and nothing is made */
    fill(tale->db, "t", 31, 60);
    host_expect(tale->db, "SELECT rowid FROM t WHERE v MATCH '[55,0]' AND k = 1", "55");
    assert_int_equal(count_in_directory(tale), 0);
    host_expect(tale->db, "SELECT shardex_config('directory', '')", "");
    host_close(tale->db);
    tale->db = host_open(tale->path);
    host_run(tale->db, "INSERT INTO t(t) VALUES('rebuild')");
    check_anew(tale, "t");
    assert_true(count_in_directory(tale) > 2);
    sqlite3_free(place), sqlite3_free(path), sqlite3_free(inner), sqlite3_free(copy);
}

/* ---- integrity ---- */

/* Where SQLite asks (3.44 and later) it hears of every problem; quick_check looks at the state row only. */
static void pragma_integrity_check_asks_us(void **context) {
    story *tale = *context;
    bool asks = sqlite3_libversion_number() >= 3044000;
    fill(tale->db, "t", 1, 30);
    host_run(tale->db, "INSERT INTO t(t) VALUES('flush')");
    host_expect(tale->db, "PRAGMA integrity_check", "ok");
    host_run(tale->db, "UPDATE t_rows SET c0 = 77 WHERE id IN (3, 5); DELETE FROM t_vectors WHERE id = 7");
    host_expect(tale->db, "PRAGMA quick_check", "ok");
    host_expect(tale->db, "PRAGMA integrity_check",
                asks ? "shardex table main.t:\nrow 7 has no vector\nthe columns of row 3 do not fit their hash\n"
                       "the columns of row 5 do not fit their hash"
                     : "ok");
    host_refuse(tale->db, SQLITE_CORRUPT, "INSERT INTO t(t) VALUES('integrity-check')", "has 3 problems:\nrow 7");
    host_run(tale->db, "UPDATE t_state SET uuid = x'00'");
    host_expect(tale->db, "PRAGMA quick_check",
                asks ? "shardex table main.t:\nshardex: the state row of table \"t\" is damaged" : "ok");
}

/* ---- main ---- */

/* ---- loading ---- */

static void answer_42(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count, (void)values;
    sqlite3_result_int(context, 42);
}

/* To load the extension is not to look into the database: it may be locked, or no database before it gets a key. And
** functions of another extension stay. */
static void loading_looks_at_no_file(void **context) {
    story *tale = *context;
    const char garbage[4096] = "no database, as far as one can see";
    for (int i = 0; i < 2; i++) {
        host_run(tale->db, "BEGIN EXCLUSIVE");
        sqlite3 *db;
        char *path = sqlite3_mprintf("%s%s", tale->path, i ? "-other" : "");
        FILE *file = i ? fopen(path, "w") : NULL;
        assert_true(!i || (file && fwrite(garbage, sizeof garbage, 1, file) == 1 && fclose(file) == 0));
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_create_function(db, "VEC_length", 1, SQLITE_UTF8, NULL, answer_42, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_shardex_init(db, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_txn_state(db, NULL), SQLITE_TXN_NONE);
        host_run(tale->db, "COMMIT");
        host_expect(db, "SELECT vec_length('[1]') || vec_type('[1]')", "42float32");
        host_close(db);
        sqlite3_free(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(loading_looks_at_no_file),
        STORY(a_forked_child_is_refused),
        STORY(a_child_ends_no_transaction),
        STORY(a_database_that_may_be_encrypted_has_no_directory),
        STORY(a_directory_beside_an_unknown_vfs_is_a_setting),
        STORY(sqlites_own_vfs_have_a_directory),
        STORY(directories_in_another_place),
        STORY(pragma_integrity_check_asks_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
