/* The schema of a declaration, judged by SQLite: the columns as it understands them, their positions, and what a module
** gets for the rowid column. */
#include "declare_text.h"

#include "memory.h"
#include "sqlite_api.h"

#include <stdio.h>

/* A module without rows that declares what shx_declaration_schema says and notes what xUpdate and xBestIndex get. */
typedef struct probe {
    sqlite3_vtab base;
    shx_schema_columns at;
} probe;

static struct {
    int count;             /* of the arguments of xUpdate */
    sqlite3_int64 new_id;  /* argument 1, -1 when NULL */
    sqlite3_int64 column;  /* the value for the rowid column, -1 when NULL */
    int constraint_column; /* of the last xBestIndex */
} seen;

static int probe_connect(sqlite3 *db, void *aux, int count, const char *const *arguments, sqlite3_vtab **ret_table,
                         char **ret_error) {
    (void)aux;
    shx_declaration *declaration = NULL;
    char *message = NULL;
    if (shx_declare(arguments[2], count - 3, arguments + 3, &declaration, &message) != SHX_OK) {
        *ret_error = sqlite3_mprintf("%s", message);
        shx_free(message);
        return SQLITE_ERROR;
    }
    char *schema = shx_declaration_schema(declaration, arguments[2]);
    int rc = sqlite3_declare_vtab(db, schema);
    probe *table = sqlite3_malloc(sizeof *table);
    *table = (probe){.at = shx_declaration_columns(declaration)};
    shx_free(schema);
    shx_declaration_destroy(declaration);
    *ret_table = &table->base;
    return rc;
}

static int probe_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

static int probe_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    seen.constraint_column = info->nConstraint ? info->aConstraint[0].iColumn : -2;
    return SQLITE_OK;
}

/* One row, of id 7, whose every column is 7. */
static int probe_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor) {
    (void)table;
    *ret_cursor = sqlite3_malloc(sizeof **ret_cursor + sizeof(int));
    return SQLITE_OK;
}

static int probe_close(sqlite3_vtab_cursor *cursor) {
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int probe_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int count, sqlite3_value **values) {
    (void)number, (void)text, (void)count, (void)values;
    *(int *)(cursor + 1) = 0;
    return SQLITE_OK;
}

static int probe_next(sqlite3_vtab_cursor *cursor) {
    ++*(int *)(cursor + 1);
    return SQLITE_OK;
}

static int probe_eof(sqlite3_vtab_cursor *cursor) { return *(int *)(cursor + 1) > 0; }

static int probe_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    (void)cursor, (void)column;
    sqlite3_result_int(context, 7);
    return SQLITE_OK;
}

static int probe_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret_id) {
    (void)cursor;
    *ret_id = 7;
    return SQLITE_OK;
}

static sqlite3_int64 id_of(sqlite3_value *value) {
    return sqlite3_value_type(value) == SQLITE_NULL ? -1 : sqlite3_value_int64(value);
}

static int probe_update(sqlite3_vtab *table, int count, sqlite3_value **values, sqlite3_int64 *ret_id) {
    seen.count = count;
    if (count > 1) {
        seen.new_id = id_of(values[1]);
        seen.column = id_of(values[2 + ((probe *)table)->at.rowid]);
        *ret_id = 7;
    }
    return SQLITE_OK;
}

static const sqlite3_module probe_module = {
    .xCreate = probe_connect,
    .xConnect = probe_connect,
    .xBestIndex = probe_best_index,
    .xDisconnect = probe_disconnect,
    .xDestroy = probe_disconnect,
    .xOpen = probe_open,
    .xClose = probe_close,
    .xFilter = probe_filter,
    .xNext = probe_next,
    .xEof = probe_eof,
    .xColumn = probe_column,
    .xRowid = probe_rowid,
    .xUpdate = probe_update,
};

static sqlite3 *open_probe(const char *statement) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_create_module(db, "shardex", &probe_module, NULL), SQLITE_OK);
    int rc = sqlite3_exec(db, statement, NULL, NULL, NULL);
    if (rc != SQLITE_OK) print_error("%s: %s\n", statement, sqlite3_errmsg(db));
    assert_int_equal(rc, SQLITE_OK);
    return db;
}

static void run(sqlite3 *db, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
}

/* "name type pk hidden|…" of all columns, as SQLite understood them. */
static void check_columns(sqlite3 *db, const char *table, const char *expected) {
    sqlite3_stmt *statement;
    char text[1024];
    size_t at = 0;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT name, type, pk, hidden, \"notnull\" FROM pragma_table_xinfo(?1)",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        at += (size_t)snprintf(
            text + at, sizeof text - at, "%s%s:%s%s%s%s", at ? " " : "",
            (const char *)sqlite3_column_text(statement, 0), (const char *)sqlite3_column_text(statement, 1),
            sqlite3_column_int(statement, 2) ? ":pk" : "", sqlite3_column_int(statement, 3) ? ":hidden" : "",
            sqlite3_column_int(statement, 4) ? "!" : "");
    }
    sqlite3_finalize(statement);
    assert_string_equal(text, expected);
}

/* The positions that shx_declaration_columns gives, against the names in the schema. */
static void check_positions(const char *table, const char *statement, const char *rowid, const char *first) {
    shx_declaration *declaration = NULL;
    char *message = NULL;
    assert_int_equal(declare(table, statement, &declaration, &message), SHX_OK);
    shx_schema_columns at = shx_declaration_columns(declaration);
    char *schema = shx_declaration_schema(declaration, table);
    sqlite3 *db;
    sqlite3_stmt *select;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    run(db, schema); /* as an ordinary table: HIDDEN is part of a type there, so that * shows all */
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM x", -1, &select, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_column_count(select), at.count);
    assert_string_equal(sqlite3_column_name(select, at.rowid), rowid);
    assert_string_equal(sqlite3_column_name(select, at.first), first);
    assert_string_equal(sqlite3_column_name(select, at.command), table);
    assert_string_equal(sqlite3_column_name(select, at.distance), "distance");
    assert_string_equal(sqlite3_column_name(select, at.k), "k");
    assert_string_equal(sqlite3_column_name(select, at.recall), "recall");
    assert_string_equal(sqlite3_column_name(select, at.exact), "exact");
    sqlite3_finalize(select);
    sqlite3_close(db);
    shx_free(schema);
    shx_declaration_destroy(declaration);
}

static void test_positions(void **state) {
    (void)state;
    check_positions("t", "e float[4]", "rowid", "e");
    check_positions("t", "a|+b|e float[4]|c text", "rowid", "a");
    check_positions("t", "id integer primary key|e float[4]", "id", "id");
    check_positions("t", "a|e float[4]|\"my id\" integer primary key|+z", "my id", "a");
    check_positions("quo\"te", "\"e\"\"[]`'\" float[4]|\"; drop table x\" text", "rowid", "e\"[]`'");
}

static void test_schema_in_sqlite(void **state) {
    (void)state;
    sqlite3 *db = open_probe("CREATE VIRTUAL TABLE \"n o\"\"t\" USING shardex("
                             "e float[4] distance_metric=cosine, \"na\"\"me\" varchar(20) not null, [x y], +z BLOB,"
                             "recall=0.9, été date)");
    check_columns(db, "n o\"t",
                  "rowid:INTEGER:pk! e:BLOB na\"me:varchar(20)! x y: z:BLOB été:date n o\"t::hidden "
                  "distance:REAL:hidden k:INTEGER:hidden recall:REAL:hidden exact:INTEGER:hidden");
    run(db, "CREATE VIRTUAL TABLE keyed USING shardex(a, id integer primary key, e float[4])");
    check_columns(db, "keyed",
                  "a: id:INTEGER:pk! e:BLOB keyed::hidden distance:REAL:hidden k:INTEGER:hidden "
                  "recall:REAL:hidden exact:INTEGER:hidden");
    sqlite3_close(db);
}

static void check_update(sqlite3 *db, const char *sql, sqlite3_int64 new_id, sqlite3_int64 column) {
    run(db, sql);
    assert_int_equal(seen.count, 2 + 8); /* rowid e a, and five hidden */
    assert_int_equal(seen.new_id, new_id);
    assert_int_equal(seen.column, column);
}

/* What the comment on top of declare_schema.c says about the rowid column. */
static void test_rowid_column(void **state) {
    (void)state;
    sqlite3 *db = open_probe("CREATE VIRTUAL TABLE t USING shardex(e float[4], a)");
    check_update(db, "INSERT INTO t VALUES (3, x'00', 1)", -1, 3);
    check_update(db, "INSERT INTO t(e, a) VALUES (x'00', 1)", -1, -1);
    check_update(db, "INSERT INTO t(rowid, e) VALUES (4, x'00')", -1, 4);
    check_update(db, "INSERT INTO t(_rowid_, e) VALUES (5, x'00')", 5, -1);
    check_update(db, "INSERT INTO t(oid, e) VALUES (6, x'00')", 6, -1);
    check_update(db, "INSERT INTO t(t) VALUES ('optimize')", -1, -1);
    check_update(db, "UPDATE t SET a = 2", 7, 7);
    check_update(db, "UPDATE t SET rowid = 8", 7, 8);
    check_update(db, "UPDATE t SET _rowid_ = 9", 9, 7);
    run(db, "SELECT * FROM t WHERE rowid = 7");
    assert_int_equal(seen.constraint_column, 0);
    run(db, "SELECT * FROM t WHERE _rowid_ = 7");
    assert_int_equal(seen.constraint_column, -1);
    run(db, "SELECT * FROM t WHERE oid = 7");
    assert_int_equal(seen.constraint_column, -1);
    run(db, "DELETE FROM t WHERE rowid = 7");
    assert_int_equal(seen.count, 1);
    run(db, "CREATE VIRTUAL TABLE keyed USING shardex(e float[4], id integer primary key)");
    run(db, "INSERT INTO keyed VALUES (x'00', 3)");
    assert_int_equal(seen.new_id, -1);
    assert_int_equal(seen.column, 3);
    run(db, "INSERT INTO keyed(rowid, e) VALUES (4, x'00')");
    assert_int_equal(seen.new_id, 4);
    assert_int_equal(seen.column, -1);
    run(db, "SELECT * FROM keyed WHERE rowid = 7");
    assert_int_equal(seen.constraint_column, -1);
    run(db, "SELECT * FROM keyed WHERE id = 7");
    assert_int_equal(seen.constraint_column, 1);
    sqlite3_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_schema_in_sqlite),
        cmocka_unit_test(test_rowid_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
