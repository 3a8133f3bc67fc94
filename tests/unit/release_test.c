/* What a statement has locked is free when it has ended, however it ended: no statement of ours stays open behind it
** (design: every internal statement is reset before returning). In a rollback journal a reader that is left open keeps
** every writer out; so after each statement of one connection, another gets the exclusive lock at once.
*/
#include "twin.h"

#define RELEASE_DIM 8
#define RELEASE_ROWS 2500
#define RELEASE_IDS 2800

static fixture_directory release_place;
static fixture_random release_random;
static char release_path[512];

/* Vectors of the queries are those of rows. */
#define RELEASE_NEAR "SELECT rowid, distance FROM t WHERE v MATCH (SELECT v FROM twin LIMIT 1) AND k = 10"

static const char *const release_statements[] = {
    RELEASE_NEAR,
    RELEASE_NEAR " AND n > 3",
    RELEASE_NEAR " AND rowid IN (SELECT id FROM twin WHERE n > 2)",
    RELEASE_NEAR " LIMIT 1",
    "SELECT count(*) FROM t",
    "SELECT v, n, s FROM t WHERE rowid = (SELECT max(id) FROM twin)",
    "SELECT shardex_info('t')",
    "SELECT shardex_recall('t', 5, 5)",
    "SELECT shardex_catch_up('t')",
    "INSERT INTO t(t) VALUES('flush')",
    "INSERT INTO t(t) VALUES('optimize')",
    "INSERT INTO t(t) VALUES('gc')",
    "INSERT INTO t(t) VALUES('purge')",
    "INSERT INTO t(t) VALUES('reconcile')",
    "INSERT INTO t(t) VALUES('integrity-check')",
    "INSERT INTO t(t) VALUES('rebuild')",
    "INSERT INTO t(t) VALUES('no such command')",
    "UPDATE t SET n = n WHERE rowid = (SELECT max(id) FROM twin)",
    "BEGIN IMMEDIATE; UPDATE t SET n = 2 WHERE rowid = (SELECT max(id) FROM twin); ROLLBACK",
    "BEGIN; SELECT count(*) FROM t; COMMIT",
};
#define RELEASE_STATEMENTS (sizeof release_statements / sizeof *release_statements)

/* A connection that does not wait. */
static twin_pair release_open(void) {
    twin_pair twin = twin_open(release_path, SHX_L2, RELEASE_DIM);
    assert_int_equal(sqlite3_busy_timeout(twin.db, 0), SQLITE_OK);
    twin_run(&twin, "PRAGMA journal_mode=delete; PRAGMA synchronous=off");
    return twin;
}

static void release_make(void) {
    twin_pair twin = twin_open(release_path, SHX_L2, RELEASE_DIM);
    twin_create(&twin, ", flush_rows=100, shard_size=32");
    twin_fill(&twin, &release_random, 1, RELEASE_ROWS);
    twin_run(&twin, "INSERT INTO t(t) VALUES('flush')");
    twin_transaction(&twin, &release_random, 30, RELEASE_IDS);
    twin_close(&twin);
}

static int release_set_up(void **state) {
    (void)state;
    release_random = fixture_seed("release", 20260401);
    release_place = fixture_directory_make();
    snprintf(release_path, sizeof release_path, "%s/release.db", release_place.root);
    release_make();
    return 0;
}

static int release_tear_down(void **state) {
    (void)state;
    fixture_directory_remove(&release_place);
    return 0;
}

/* Can this connection have the database for itself? */
static void release_require_free(twin_pair *other, const char *after) {
    int rc = twin_try(other, "BEGIN EXCLUSIVE");
    if (rc != SQLITE_OK) fail_msg("still locked (%d) after: %s", rc, after);
    twin_run(other, "COMMIT");
}

static void test_free_after_a_statement(void **state) {
    (void)state;
    twin_pair one = release_open(), two = release_open();
    for (size_t i = 0; i < RELEASE_STATEMENTS; i++) {
        twin_try(&one, "%s", release_statements[i]);
        release_require_free(&two, release_statements[i]);
        twin_transaction(&two, &release_random, 10, RELEASE_IDS); /* the next one finds the file changed */
    }
    twin_require_sound(&one);
    release_require_free(&two, "integrity checks");
    twin_close(&one);
    twin_close(&two);
}

/* A query of which one row was taken, whose statement is kept. */
static void test_free_after_a_reset(void **state) {
    (void)state;
    twin_pair one = release_open(), two = release_open();
    for (size_t i = 0; i < 6; i++) {
        sqlite3_stmt *statement = NULL;
        assert_int_equal(sqlite3_prepare_v2(one.db, release_statements[i], -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_int_equal(twin_try(&two, "BEGIN EXCLUSIVE"), SQLITE_BUSY);
        sqlite3_reset(statement);
        release_require_free(&two, release_statements[i]);
        sqlite3_finalize(statement);
    }
    twin_close(&one);
    twin_close(&two);
}

/* Nothing works while another holds the database; nothing of what was tried holds it afterwards. */
static void test_free_after_a_refusal(void **state) {
    (void)state;
    twin_pair one = release_open(), two = release_open();
    twin_transaction(&one, &release_random, 5, RELEASE_IDS);
    for (size_t i = 0; i < RELEASE_STATEMENTS; i++) {
        twin_run(&two, "BEGIN EXCLUSIVE");
        assert_int_not_equal(twin_try(&one, "%s", release_statements[i]), SQLITE_OK);
        twin_try(&one, "ROLLBACK"); /* of the lists that begin a transaction */
        twin_run(&two, "COMMIT");
        release_require_free(&two, release_statements[i]);
        twin_run(&two, "BEGIN IMMEDIATE");
        assert_int_equal(twin_try(&one, "BEGIN IMMEDIATE"), SQLITE_BUSY);
        twin_try(&one, "%s", release_statements[i]);
        twin_try(&one, "ROLLBACK");
        twin_change(&two, &release_random, RELEASE_IDS);
        twin_run(&two, "COMMIT");
        release_require_free(&two, release_statements[i]);
    }
    twin_require_right(&one, &release_random);
    twin_close(&one);
    twin_close(&two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_after_a_statement),
        cmocka_unit_test(test_free_after_a_reset),
        cmocka_unit_test(test_free_after_a_refusal),
    };
    return cmocka_run_group_tests(tests, release_set_up, release_tear_down);
}
