#include "owner.h"

#include "statements.h"

int shx_owner_is(sqlite3 *db, const char *schema, const char *name, const shx_id *uuid, bool *ret_is) {
    sqlite3_stmt *statement = NULL;
    char *text = sqlite3_mprintf(SHX_SQL_NAMES_INDEX, schema, name);
    int rc = text ? sqlite3_prepare_v2(db, text, -1, &statement, NULL) : SQLITE_NOMEM;
    sqlite3_free(text);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_blob(statement, 1, uuid->bytes, sizeof uuid->bytes, SQLITE_STATIC);
        bool is = rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
        int finished = sqlite3_finalize(statement);
        if (rc == SQLITE_OK) rc = finished;
        if (rc == SQLITE_OK) *ret_is = is;
    }
    if (rc == SQLITE_ERROR) *ret_is = false; /* no such table */
    return rc == SQLITE_ERROR ? SQLITE_OK : rc;
}

int shx_owner_exists(sqlite3 *db, const char *schema, const shx_id *uuid, bool *ret_exists) {
    sqlite3_stmt *names = NULL;
    char *text = sqlite3_mprintf(SHX_SQL_FIND_STATES, schema);
    int rc = text ? sqlite3_prepare_v2(db, text, -1, &names, NULL) : SQLITE_NOMEM;
    sqlite3_free(text);
    bool exists = false;
    while (rc == SQLITE_OK && !exists && sqlite3_step(names) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(names, 0);
        rc = name ? shx_owner_is(db, schema, name, uuid, &exists) : SQLITE_NOMEM;
    }
    int finished = sqlite3_finalize(names);
    if (rc == SQLITE_OK) rc = finished;
    if (rc == SQLITE_OK) *ret_exists = exists;
    return rc;
}
