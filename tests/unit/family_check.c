#include "family.h"

#include <sys/stat.h>

static const char *const family_all[] = {"main", "other", "temp"};

bool family_excuses(family *run, family_member *at, const char *rows) {
    const char *message = strchr(rows, '!');
    if (!message) return false;
    if (strstr(message, "roll the transaction back")) {
        run->sums.asked++;
        family_do(run, at, "ROLLBACK");
        return true;
    }
    return strstr(message, "is locked");
}

char *family_names(family *run, family_member *at, const char *schema) {
    char *sql =
        sqlite3_mprintf("SELECT name FROM %s.sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL%%' ORDER BY name", schema);
    char *names = host_rows(at->db, sql);
    bool excused = family_excuses(run, at, names);
    if (!excused && *names == '!') family_fail(run, "the schema of %s: %s", schema, names);
    sqlite3_free(sql);
    if (!excused) return names;
    sqlite3_free(names);
    return NULL;
}

/* Two texts of rows that must be one. False when a lock was in the way. */
static bool family_same(family *run, family_member *at, char *mine, char *truth, family_table table) {
    bool excused = family_excuses(run, at, mine) || family_excuses(run, at, truth);
    size_t i = 0;
    while (mine[i] && mine[i] == truth[i]) i++;
    if (!excused && (mine[i] || truth[i])) {
        size_t from = i < 40 ? 0 : i - 40;
        family_fail(run, "connection %d, %s.%s\n    has   %.300s\n    twin  %.300s", (int)(at - run->members),
                    table.schema, table.name, mine + from, truth + from);
    }
    sqlite3_free(mine);
    sqlite3_free(truth);
    return !excused;
}

static char *family_read(family_member *at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments), *rows = host_rows(at->db, sql);
    va_end(arguments);
    sqlite3_free(sql);
    return rows;
}

static bool family_compare_table(family *run, family_member *at, family_table table) {
    static const char *const conditions[] = {"1", "1", "n = 1", "n BETWEEN 1 AND 3"};
    static const char *const modes[] = {"", " AND exact = 1"};
    static const int counts[] = {1, 4, 10, 1000};
    const char *format = "SELECT rowid, hex(v), n, x FROM %s.%s%s ORDER BY rowid", *s = table.schema, *t = table.name;
    char *mine = family_read(at, format, s, "", t), *truth = family_read(at, format, s, "z", t);
    if (!family_same(run, at, mine, truth, table)) return false;
    int a = (int)family_pick(run, 12) - 4, b = (int)family_pick(run, 20) - 10, k = FAMILY_CHOOSE(run, counts);
    const char *condition = FAMILY_CHOOSE(run, conditions);
    mine = family_read(at, "SELECT rowid, distance FROM %s.%s WHERE v MATCH '[%d,%d,2]' AND k = %d AND %s%s", s, t, a,
                       b, k, condition, FAMILY_CHOOSE(run, modes));
    truth = family_read(at,
                        "SELECT rowid, vec_distance_l2(v, '[%d,%d,2]') AS d FROM %s.z%s WHERE %s "
                        "ORDER BY d, rowid LIMIT %d",
                        a, b, s, t, condition, k);
    return family_same(run, at, mine, truth, table);
}

/* ---- directories ---- */

void family_forget_directories(family *run) {
    for (int i = 0; i < FAMILY_DIRECTORIES; i++) {
        sqlite3_free(run->directories[i]);
        run->directories[i] = NULL;
    }
}

/* The directory of a table that lives does not go. */
static void family_check_directory(family *run, family_member *at, family_table table) {
    bool other = strcmp(table.schema, "other") == 0;
    if (!run->paths[other] || family_changes(at) || strcmp(table.schema, "temp") == 0) return;
    char *uuid = family_read(at, "SELECT lower(hex(uuid)) FROM %s.%s_state", table.schema, table.name);
    char *path = sqlite3_mprintf("%s-shardex/%s", run->paths[other], uuid);
    struct stat status;
    bool there = !strchr(uuid, '!') && stat(path, &status) == 0, known = false;
    for (int i = 0; i < FAMILY_DIRECTORIES; i++) {
        known |= run->directories[i] && strcmp(run->directories[i], path) == 0;
    }
    if (known && !there) family_fail(run, "%s.%s lives, but %s went", table.schema, table.name, path);
    sqlite3_free(uuid);
    if (there && !known) {
        char **place = &run->directories[family_pick(run, FAMILY_DIRECTORIES)];
        sqlite3_free(*place);
        *place = path;
    } else {
        sqlite3_free(path);
    }
}

/* ---- all tables ---- */

static void family_compare_schema(family *run, family_member *at, const char *schema, bool last) {
    family_table table = {.schema = schema};
    char *names = family_names(run, at, schema);
    if (!names) return;
    char *twins = family_read(at,
                              "SELECT substr(name, 2) FROM %s.sqlite_schema WHERE name LIKE 'z_' "
                              "AND sql LIKE 'CREATE TABLE%%' ORDER BY name",
                              schema);
    bool same = family_same(run, at, sqlite3_mprintf("%s", names), twins, table);
    for (size_t i = 0; same && i < strlen(names); i += 2) {
        table.name[0] = names[i];
        same = family_compare_table(run, at, table);
        family_check_directory(run, at, table);
        if (last) family_do(run, at, "INSERT INTO %s.%s(%s) VALUES('integrity-check')", schema, table.name, table.name);
    }
    if (last && !same) family_fail(run, "%s is locked, but nobody else is there", schema);
    sqlite3_free(names);
}

void family_compare(family *run, family_member *at) {
    for (size_t i = 0; i < sizeof family_all / sizeof *family_all; i++) {
        family_compare_schema(run, at, family_all[i], false);
    }
}

void family_compare_last(family *run, family_member *at) {
    for (size_t i = 0; i < sizeof family_all / sizeof *family_all; i++) {
        family_compare_schema(run, at, family_all[i], true);
        char *sound = family_read(at, "PRAGMA %s.integrity_check", family_all[i]);
        if (strcmp(sound, "ok") != 0) family_fail(run, "%s: %s", family_all[i], sound);
        sqlite3_free(sound);
    }
}
