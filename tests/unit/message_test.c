/* What is said when something fails: the cause and no other, in the place where it failed and nowhere else.
*/
#include "story.h"

/* The functions that look at a table. */
static const char *const looks[] = {
    "SELECT shardex_info('t')",
    "SELECT shardex_recall('t')",
    "SELECT shardex_catch_up('t')",
    "SELECT * FROM shardex_stats('t')",
    "SELECT count(*) FROM t",
};
enum { LOOKS = sizeof looks / sizeof *looks };

static sqlite3 *lock_out(const story *tale) {
    sqlite3 *other = host_open(tale->path);
    host_run(other, "BEGIN EXCLUSIVE");
    return other;
}

/* It is neither damaged nor without the table, whether the schema was read before or not. */
static void a_locked_database_is_locked(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 20);
    for (int i = 0; i < LOOKS; i++) host_run(tale->db, "%s", looks[i]);
    for (int fresh = 0; fresh < 2; fresh++) {
        for (int i = 0; i < LOOKS; i++) {
            sqlite3 *db = fresh ? host_open(tale->path) : tale->db;
            sqlite3 *other = lock_out(tale);
            host_refuse(db, SQLITE_BUSY, looks[i], "locked");
            host_run(other, "ROLLBACK");
            host_close(other);
            host_run(db, "%s", looks[i]);
            if (fresh) host_close(db);
        }
    }
    check_anew(tale, "t");
}

/* A table that is none is refused by its name, in whichever words it is asked for. */
static void a_table_that_is_not_there(void **context) {
    story *tale = *context;
    host_run(tale->db, "CREATE TABLE plain(x)");
    static const char *const names[] = {"none", "plain", "main.none", "other.t", "", ".", "t.t", "it''s"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *info = sqlite3_mprintf("SELECT shardex_info('%s')", names[i]);
        char *stats = sqlite3_mprintf("SELECT * FROM shardex_stats('%s')", names[i]);
        host_refuse(tale->db, SQLITE_ERROR, info, "there is no shardex table");
        host_refuse(tale->db, SQLITE_ERROR, stats, "there is no shardex table");
        sqlite3_free(info);
        sqlite3_free(stats);
    }
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_info(NULL)", "there is no shardex table \"\"");
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_info('t', NULL)", "there is no shardex table \"t\"");
}

/* Of a damaged table shardex_stats says what is wrong, and nothing of it is left for who fails next. */
static void a_message_is_given_away(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 20);
    host_run(tale->db, "UPDATE t_state SET format = 99");
    host_refuse(tale->db, SQLITE_ERROR, "SELECT * FROM shardex_stats('t')", "has format 99");
    host_refuse(tale->db, SQLITE_ERROR, "SELECT shardex_info('t')", "has format 99");
    host_run(tale->db, "UPDATE t_state SET format = 1");
    host_refuse(tale->db, SQLITE_ERROR, "SELECT rowid FROM t WHERE v MATCH '[1]' AND k = 1", "Dimension mismatch");
    sqlite3 *other = lock_out(tale);
    host_refuse(tale->db, SQLITE_BUSY, "SELECT count(*) FROM t", "locked");
    host_close(other);
    check_anew(tale, "t");
}

/* A host may allow statements hardly any parameters: what cannot be done so is refused, and ends. */
static void few_parameters(void **context) {
    story *tale = *context;
    fill(tale->db, "t", 1, 20);
    for (int limit = 0; limit < 12; limit++) {
        sqlite3_limit(tale->db, SQLITE_LIMIT_VARIABLE_NUMBER, limit);
        char *found = NULL;
        int rc = sqlite3_exec(tale->db,
                              "SELECT rowid FROM t WHERE v MATCH '[0,0]' AND k = 9 AND n IN (1, 2) AND s IN "
                              "('s1', 's2', 's3', 's4', 's5') AND x IN ('x1', 'x2', 'x4')",
                              NULL, NULL, &found);
        if (rc != SQLITE_OK) assert_non_null(strstr(found, "variable"));
        assert_true(rc == SQLITE_OK || limit < 8);
        sqlite3_free(found);
    }
    sqlite3_limit(tale->db, SQLITE_LIMIT_VARIABLE_NUMBER, 32766);
    check_anew(tale, "t");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STORY(a_locked_database_is_locked),
        STORY(a_table_that_is_not_there),
        STORY(a_message_is_given_away),
        STORY(few_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
