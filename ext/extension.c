/* The entry point: registers the module and the functions on a connection. */
#include "sqlite_api.h"

#include "../engine/memory.h"
#include "../engine/shardex.h"
#include "best_index.h"
#include "connection.h"
#include "cursor.h"
#include "info.h"
#include "table.h"
#include "transaction.h"
#include "vector_value.h"
#include "write.h"

#include <stdbool.h>

#define EXTENSION_OLDEST_SQLITE 3038000 /* sqlite3_vtab_in, LIMIT as a constraint */

#ifndef SQLITE_CORE
const sqlite3_api_routines *sqlite3_api;
#endif

static const sqlite3_module EXTENSION_MODULE = {
    .iVersion = 3,
    .xCreate = shx_table_create,
    .xConnect = shx_table_connect,
    .xBestIndex = shx_best_index,
    .xDisconnect = shx_table_disconnect,
    .xDestroy = shx_table_destroy,
    .xOpen = shx_cursor_open,
    .xClose = shx_cursor_close,
    .xFilter = shx_cursor_filter,
    .xNext = shx_cursor_next,
    .xEof = shx_cursor_eof,
    .xColumn = shx_cursor_column,
    .xRowid = shx_cursor_rowid,
    .xUpdate = shx_write_update,
    .xBegin = shx_transaction_begin,
    .xSync = shx_transaction_sync,
    .xCommit = shx_transaction_commit,
    .xRollback = shx_transaction_rollback,
    .xRename = shx_table_rename,
    .xSavepoint = shx_transaction_savepoint,
    .xRelease = shx_transaction_release,
    .xRollbackTo = shx_transaction_rollback_to,
    .xShadowName = shx_table_is_shadow,
};

static void *extension_alloc(uint64_t size) { return sqlite3_malloc64(size > 0 ? size : 1); }
static void *extension_resize(void *block, uint64_t size) { return sqlite3_realloc64(block, size > 0 ? size : 1); }
static void extension_release(void *block) { sqlite3_free(block); }

/* Once per process, before the engine has allocated anything: SQLite's memory limits hold for it too. */
static void extension_use_memory(void) {
    static const shx_allocator allocator = {extension_alloc, extension_resize, extension_release};
    static bool used;
    sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
    sqlite3_mutex_enter(mutex);
    if (!used) shx_memory_use(&allocator);
    used = true;
    sqlite3_mutex_leave(mutex);
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int sqlite3_shardex_init(sqlite3 *db, char **error_message, const sqlite3_api_routines *api) {
#ifdef SQLITE_CORE
    (void)api;
#else
    sqlite3_api = api;
#endif
    if (sqlite3_libversion_number() < EXTENSION_OLDEST_SQLITE) {
        if (error_message) {
            *error_message = sqlite3_mprintf("shardex needs SQLite 3.38 or later, this is %s", sqlite3_libversion());
        }
        return SQLITE_ERROR;
    }
    extension_use_memory();
    shx_connection *connection = shx_connection_create(db);
    if (!connection) return SQLITE_NOMEM;
    int rc = sqlite3_create_module_v2(db, "shardex", &EXTENSION_MODULE, connection, shx_connection_destroy);
    if (rc == SQLITE_OK) rc = shx_info_register(connection);
    if (rc == SQLITE_OK) rc = shx_vector_functions_register(db);
    if (rc != SQLITE_OK) return rc;
#ifdef SQLITE_CORE
    return SQLITE_OK;
#else
    return SQLITE_OK_LOAD_PERMANENTLY; /* threads and mappings outlive the connection */
#endif
}
