#include "family.h"

#define FAMILY_IDS 60
#define FAMILY_DEPTH 5

static const char *const family_schemas[] = {"main", "main", "main", "other", "temp"};

/* A table that is there; one of them every other time, as much must come together. */
static bool family_choose(family *run, family_member *at, family_table *ret_table) {
    bool first = family_pick(run, 2);
    family_table table = {.schema = first ? "main" : FAMILY_CHOOSE(run, family_schemas)};
    char *names = family_names(run, at, table.schema);
    size_t count = names ? (strlen(names) + 1) / 2 : 0;
    if (count > 0) table.name[0] = names[first ? 0 : 2 * family_pick(run, (uint32_t)count)];
    sqlite3_free(names);
    if (count > 0) *ret_table = table;
    return count > 0;
}

/* ---- rows ---- */

/* What follows the table's name; sqlite3_free. */
static char *family_rows(family *run, const char **ret_verb) {
    int id = 1 + (int)family_pick(run, FAMILY_IDS), n = (int)family_pick(run, 5), a = (int)family_pick(run, 20) - 10;
    *ret_verb = family_pick(run, 4) ? "INSERT OR REPLACE INTO" : "UPDATE";
    uint32_t kind = family_pick(run, 8);
    if (kind == 0) *ret_verb = "DELETE FROM";
    if (**ret_verb == 'D') return sqlite3_mprintf("WHERE rowid BETWEEN %d AND %d", id, id + a % 4);
    if (**ret_verb == 'U' && kind < 3) return sqlite3_mprintf("SET n = n + 1, x = 'u' WHERE n = %d", n);
    if (**ret_verb == 'U' && kind < 5) return sqlite3_mprintf("SET x = NULL WHERE rowid > %d", id);
    if (**ret_verb == 'U') return sqlite3_mprintf("SET v = vec_f32('[%d,%d,%d]') WHERE rowid = %d", a, n, id, id);
    return sqlite3_mprintf("(rowid, v, n, x) SELECT value, vec_f32('[' || (value %% 7) || ',%d,%d]'), %d, 'x' || value "
                           "FROM (WITH RECURSIVE g(value) AS (SELECT %d UNION ALL SELECT value + 1 FROM g "
                           "WHERE value < %d) SELECT value FROM g)",
                           a, n, n, id, kind < 6 ? id : id + (int)family_pick(run, kind < 7 ? 5 : 90));
}

/* The same to a table and its twin, or to neither. */
static void family_write_to(family *run, family_member *at, family_table table) {
    bool guarded = !family_changes(at) || family_pick(run, 2);
    if (guarded && family_try(run, at, "SAVEPOINT w") != SQLITE_OK) return;
    const char *verb;
    char *rest = family_rows(run, &verb);
    int rc = family_try(run, at, "%s %s.%s %s", verb, table.schema, table.name, rest);
    bool written = rc == SQLITE_OK && family_changes(at);
    if (written) rc = family_do(run, at, "%s %s.z%s %s", verb, table.schema, table.name, rest);
    sqlite3_free(rest);
    if (!family_changes(at)) return; /* what fails may roll back everything */
    if (rc != SQLITE_OK && guarded) family_do(run, at, "ROLLBACK TO w");
    /* What is interrupted at its very end has worked, for SQLite, and says that it was interrupted. */
    if (rc != SQLITE_OK && !guarded && (written || rc == SQLITE_INTERRUPT)) family_do(run, at, "ROLLBACK");
    if (guarded && family_changes(at)) family_try(run, at, "RELEASE w");
}

void family_write(family *run, family_member *at) {
    family_table table;
    if (family_choose(run, at, &table)) family_write_to(run, at, table);
}

/* ---- tables ---- */

static int family_make(family *run, family_member *at, family_table table) {
    static const char *const options[] = {"", "", ", flush_rows=64", ", flush_rows=128, shard_size=32"};
    int rc = family_try(run, at, "CREATE VIRTUAL TABLE %s.%s USING shardex(v float[3], n INTEGER, +x TEXT%s)",
                        table.schema, table.name, FAMILY_CHOOSE(run, options));
    if (rc != SQLITE_OK) return rc;
    return family_try(run, at, "CREATE TABLE %s.z%s(rowid INTEGER PRIMARY KEY, v BLOB, n INTEGER, x TEXT)",
                      table.schema, table.name);
}

static int family_drop(family *run, family_member *at, family_table table) {
    int rc = family_try(run, at, "DROP TABLE %s.%s", table.schema, table.name);
    return rc == SQLITE_OK ? family_try(run, at, "DROP TABLE %s.z%s", table.schema, table.name) : rc;
}

static int family_rename(family *run, family_member *at, family_table *table, char name) {
    int rc = family_try(run, at, "ALTER TABLE %s.%s RENAME TO %c", table->schema, table->name, name);
    if (rc != SQLITE_OK) return rc;
    rc = family_try(run, at, "ALTER TABLE %s.z%s RENAME TO z%c", table->schema, table->name, name);
    table->name[0] = name;
    return rc;
}

/* One of three names that is free, or 0. */
static char family_free_name(family *run, family_member *at, const char *schema) {
    char *names = family_names(run, at, schema), name = "tuw"[family_pick(run, 3)];
    if (!names || strchr(names, name)) name = 0;
    sqlite3_free(names);
    return name;
}

/* Between a savepoint and its end; says what is left of the table that was changed. SQLITE_DONE: to be undone. */
static int family_change_one(family *run, family_member *at, family_table *table, bool *ret_lives) {
    char name = family_free_name(run, at, table->schema);
    uint32_t kind = family_pick(run, 15);
    *ret_lives = kind >= 2;
    if (kind >= 9) {
        int rc = family_try(run, at, "DROP TABLE %s.%s", table->schema, table->name);
        return rc == SQLITE_OK ? SQLITE_DONE : rc;
    }
    if (kind >= 6 && name) return family_rename(run, at, table, name);
    if (kind < 2 && name) { /* in the place of one that went, perhaps */
        table->name[0] = name;
        *ret_lives = true;
        return family_make(run, at, *table);
    }
    int rc = family_drop(run, at, *table);
    return rc == SQLITE_OK && *ret_lives ? family_make(run, at, *table) : rc;
}

void family_change_tables(family *run, family_member *at) {
    family_table table;
    bool lives;
    if (!family_choose(run, at, &table)) {
        table = (family_table){.schema = FAMILY_CHOOSE(run, family_schemas), .name = "t"};
        if (family_free_name(run, at, table.schema) == 't') family_create(run, at, table);
        return;
    }
    if (family_try(run, at, "SAVEPOINT d") != SQLITE_OK || !family_changes(at)) return;
    if (family_pick(run, 4) == 0) family_write_to(run, at, table);
    if (!family_changes(at)) return;
    int rc = family_change_one(run, at, &table, &lives);
    if (rc == SQLITE_OK && lives && family_changes(at) && family_pick(run, 2)) family_write_to(run, at, table);
    if (family_changes(at) && (rc != SQLITE_OK || family_pick(run, 2))) rc = family_do(run, at, "ROLLBACK TO d");
    if (family_changes(at) && rc == SQLITE_OK && family_pick(run, 2)) family_compare(run, at);
    if (family_changes(at) && (family_pick(run, 4) || at->depth == 0)) family_try(run, at, "RELEASE d");
}

void family_create(family *run, family_member *at, family_table table) {
    if (family_try(run, at, "SAVEPOINT c") != SQLITE_OK || !family_changes(at)) return;
    int rc = family_make(run, at, table);
    if (rc != SQLITE_OK && family_changes(at)) family_do(run, at, "ROLLBACK TO c");
    if (family_changes(at)) family_try(run, at, "RELEASE c");
}

/* ---- the transaction ---- */

/* Beside somebody who reads, perhaps: with a rollback journal it is busy then, and may be tried again later. */
static void family_commit(family *run, family_member *at) {
    family_member *peer = run->count > 1 ? &run->members[at == run->members] : NULL;
    bool beside = peer && !family_changes(peer) && family_pick(run, 3);
    if (beside) family_do(run, peer, "BEGIN; SELECT count(*) FROM main.sqlite_schema");
    family_try(run, at, "COMMIT");
    if (beside && family_pick(run, 4)) family_do(run, peer, "COMMIT");
}

void family_transact(family *run, family_member *at) {
    static const char *const begins[] = {"BEGIN", "BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s0"};
    uint32_t kind = family_pick(run, 12);
    if (!family_changes(at)) {
        const char *begin = FAMILY_CHOOSE(run, begins);
        if (family_try(run, at, "%s", begin) == SQLITE_OK) at->depth = *begin == 'S';
    } else if (kind < 3) {
        family_commit(run, at);
    } else if (kind < 4) {
        family_do(run, at, "ROLLBACK");
    } else if (kind < 7 && at->depth < FAMILY_DEPTH) {
        if (family_try(run, at, "SAVEPOINT s%d", at->depth) == SQLITE_OK) at->depth++;
    } else if (at->depth > 0) {
        int depth = (int)family_pick(run, (uint32_t)at->depth);
        bool undo = kind < 10;
        int rc = family_try(run, at, undo ? "ROLLBACK TO s%d" : "RELEASE s%d", depth);
        if (rc == SQLITE_OK && family_changes(at)) at->depth = depth + undo;
    }
}
