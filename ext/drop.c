#include "drop.h"

#include "../engine/collect.h"
#include "location.h"
#include "owner.h"

#include <string.h>

#define DROP_WAIT_MS 1000 /* for the lock of a database, when the connection closes */

typedef struct shx_drop {
    struct shx_drop *next;
    char *schema, *file, *vfs, *directory;
    shx_id uuid;
    bool gone; /* as of the last look: no table is left that names the index */
} shx_drop;

static void drop_free(shx_drop *drop) {
    sqlite3_free(drop->schema);
    sqlite3_free(drop->file);
    sqlite3_free(drop->vfs);
    sqlite3_free(drop->directory);
    sqlite3_free(drop);
}

void shx_drops_note(shx_connection *connection, const shx_state *state) {
    if (!state->directory) return;
    for (shx_drop *drop = connection->drops; drop; drop = drop->next) {
        if (strcmp(drop->directory, state->directory) == 0) return; /* and the first time was undone */
    }
    shx_drop *drop = sqlite3_malloc64(sizeof *drop);
    if (!drop) return;
    memset(drop, 0, sizeof *drop);
    drop->uuid = state->uuid;
    drop->schema = sqlite3_mprintf("%s", state->schema);
    drop->file = sqlite3_mprintf("%s", state->file);
    drop->vfs = sqlite3_mprintf("%s", state->vfs);
    drop->directory = sqlite3_mprintf("%s", state->directory);
    if (!drop->schema || !drop->file || !drop->vfs || !drop->directory) {
        drop_free(drop);
        return;
    }
    drop->next = connection->drops;
    connection->drops = drop;
    connection->drops_new = true;
}

/* The last connection to a database removes its write-ahead log. One that was there before is not ours to remove: with
** SQLITE_FCNTL_PERSIST_WAL it is meant to stay. */
static int drop_keep_log(const shx_drop *drop, sqlite3 *db) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(drop->vfs);
    char *path = sqlite3_mprintf("%s-wal", drop->file);
    int there = 0, rc = vfs && path ? vfs->xAccess(vfs, path, SQLITE_ACCESS_EXISTS, &there) : SQLITE_NOMEM;
    sqlite3_free(path);
    return rc == SQLITE_OK && there ? sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) : rc;
}

/* Asks the database as it is committed. */
static int drop_ask(const shx_drop *drop, int wait_ms, bool *ret_exists) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    sqlite3 *db = NULL;
    bool exists = false;
    int rc = sqlite3_open_v2(drop->file, &db, flags, drop->vfs);
    if (rc == SQLITE_OK) rc = drop_keep_log(drop, db);
    if (rc == SQLITE_OK) rc = sqlite3_busy_timeout(db, wait_ms);
    if (rc == SQLITE_OK) rc = shx_owner_exists(db, "main", &drop->uuid, &exists);
    if (rc == SQLITE_OK && !exists && !shx_location_make_durable(db, "main", drop->file)) rc = SQLITE_IOERR;
    sqlite3_close(db);
    if (rc == SQLITE_OK) *ret_exists = exists;
    return rc;
}

void shx_drops_look(shx_connection *connection, bool closing) {
    if (!connection->drops || shx_connection_forked(connection)) return;
    connection->drops_new = false;
    for (shx_drop **link = &connection->drops; *link;) {
        shx_drop *drop = *link;
        bool open = !closing && shx_connection_changes(connection, drop->schema), exists = false;
        int rc = open ? SQLITE_BUSY : drop_ask(drop, closing ? DROP_WAIT_MS : 0, &exists);
        drop->gone = rc == SQLITE_OK && !exists;
        connection->drops_new |= open;
        if (exists) { /* the DROP was undone */
            *link = drop->next;
            drop_free(drop);
        } else {
            link = &drop->next;
        }
    }
}

bool shx_drops_has(const shx_connection *connection, const char *directory) {
    const shx_drop *drop = directory ? connection->drops : NULL;
    while (drop && !(drop->gone && strcmp(drop->directory, directory) == 0)) drop = drop->next;
    return drop;
}

void shx_drops_remove(shx_connection *connection) {
    if (shx_connection_forked(connection)) return;
    for (shx_drop **link = &connection->drops; *link;) {
        shx_drop *drop = *link;
        shx_status status = drop->gone ? shx_collect_folder(drop->directory) : SHX_BUSY;
        if (status == SHX_OK || status == SHX_NOTFOUND) {
            *link = drop->next;
            drop_free(drop);
        } else {
            link = &drop->next;
        }
    }
}

void shx_drops_forget(shx_connection *connection) {
    while (connection->drops) {
        shx_drop *drop = connection->drops;
        connection->drops = drop->next;
        drop_free(drop);
    }
}
