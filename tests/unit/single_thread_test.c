/* A host that told SQLite to use no mutexes has an allocator for one thread: then there are no others. */
#include "story.h"

#include <dirent.h>

static int count_threads(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks) return 1; /* another system */
    for (struct dirent *task; (task = readdir(tasks));) count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void there_is_one_thread(void **context) {
    story *tale = *context;
    host_run(tale->db, "CREATE VIRTUAL TABLE u USING shardex(v int8[16], threads=4, flush_rows=1000)");
    host_run(tale->db, "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 24000) "
                       "INSERT INTO u(rowid, v) SELECT i, vec_int8(printf('[%%d,%%d,%%d,%%d,0,0,0,0,0,0,0,0,0,0,0,0]', "
                       "i %% 101, i %% 103, i %% 107, i %% 109)) FROM i");
    assert_int_equal(count_threads(), 1);
    host_run(tale->db, "INSERT INTO u(u) VALUES('optimize'); DELETE FROM u WHERE rowid %% 7 = 0");
    host_expect(tale->db, "SELECT count(*) FROM u WHERE v MATCH (SELECT v FROM u WHERE rowid = 5) AND k = 30000",
                "20572");
    host_expect(tale->db, "SELECT rowid FROM u WHERE v MATCH (SELECT v FROM u WHERE rowid = 12345) AND k = 1", "12345");
    host_run(tale->db, "INSERT INTO u(u) VALUES('flush'); INSERT INTO u(u) VALUES('integrity-check')");
    assert_int_equal(count_threads(), 1);
    check_anew(tale, "t");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(there_is_one_thread),
    };
    if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
