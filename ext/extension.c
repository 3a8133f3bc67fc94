/* The entry point: registers the module and the functions on a connection. */
#include "sqlite_api.h"

#include "../engine/memory.h"
#include "../engine/pool.h"
#include "../engine/shardex.h"
#include "backup.h"
#include "best_index.h"
#include "config.h"
#include "connection.h"
#include "cursor.h"
#include "info.h"
#include "integrity.h"
#include "shard_list.h"
#include "stats.h"
#include "table.h"
#include "transaction.h"
#include "ulid.h"
#include "vector_each.h"
#include "vector_reader.h"
#include "vector_value.h"
#include "write.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

#define EXTENSION_OLDEST_SQLITE 3038000 /* sqlite3_vtab_in, LIMIT as a constraint */

#ifndef SQLITE_CORE
const sqlite3_api_routines *sqlite3_api;
#endif

/* xIntegrity came with version 4 of the structure (SQLite 3.44). Older headers do not have it: there it stands behind
** the structure that they know, where a newer host finds it. Older hosts do not look. */
typedef struct extension_module {
    sqlite3_module methods;
#if SQLITE_VERSION_NUMBER < 3044000
    int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
#endif
} extension_module;

static const extension_module EXTENSION_MODULE = {
    .methods.iVersion = 4,
    .methods.xCreate = shx_table_create,
    .methods.xConnect = shx_table_connect,
    .methods.xBestIndex = shx_best_index,
    .methods.xDisconnect = shx_table_disconnect,
    .methods.xDestroy = shx_table_destroy,
    .methods.xOpen = shx_cursor_open,
    .methods.xClose = shx_cursor_close,
    .methods.xFilter = shx_cursor_filter,
    .methods.xNext = shx_cursor_next,
    .methods.xEof = shx_cursor_eof,
    .methods.xColumn = shx_cursor_column,
    .methods.xRowid = shx_cursor_rowid,
    .methods.xUpdate = shx_write_update,
    .methods.xBegin = shx_transaction_begin,
    .methods.xSync = shx_transaction_sync,
    .methods.xCommit = shx_transaction_commit,
    .methods.xRollback = shx_transaction_rollback,
    .methods.xRename = shx_table_rename,
    .methods.xSavepoint = shx_transaction_savepoint,
    .methods.xRelease = shx_transaction_release,
    .methods.xRollbackTo = shx_transaction_rollback_to,
    .methods.xShadowName = shx_table_is_shadow,
#if SQLITE_VERSION_NUMBER < 3044000
    .xIntegrity = shx_integrity_pragma,
#else
    .methods.xIntegrity = shx_integrity_pragma,
#endif
};
static_assert(sizeof(sqlite3_module) % sizeof(void *) == 0, "xIntegrity stands right behind the older structure");

static void *extension_alloc(uint64_t size) { return sqlite3_malloc64(size > 0 ? size : 1); }
static void *extension_resize(void *block, uint64_t size) { return sqlite3_realloc64(block, size > 0 ? size : 1); }
static void extension_release(void *block) { sqlite3_free(block); }

/* Our threads allocate through SQLite, whose allocator has a mutex. A fork must not find it locked by one of them: in
** the child there would be nobody to unlock it, and the child's first use of SQLite would wait forever. */
static void extension_before_fork(void) { sqlite3_mutex_enter(sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_MEM)); }
static void extension_after_fork(void) { sqlite3_mutex_leave(sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_MEM)); }

/* SQLite's allocator is for one thread where SQLite was built without mutexes (then there are no functions for them
** either) or told to use none (then all are the same one, which does nothing). */
static bool extension_has_mutexes(void) {
    if (sqlite3_threadsafe() == 0) return false;
    sqlite3_mutex *one = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST), *other = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST);
    bool real = !one || one != other;
    sqlite3_mutex_free(one);
    sqlite3_mutex_free(other);
    return real;
}

/* Once per process, before the engine has allocated anything: SQLite's memory limits hold for it too. */
static void extension_use_memory(void) {
    static const shx_allocator allocator = {extension_alloc, extension_resize, extension_release};
    shx_memory_use(&allocator);
    if (!extension_has_mutexes()) {
        shx_threads_forbid();
    } else {
        (void)pthread_atfork(extension_before_fork, extension_after_fork, extension_after_fork);
    }
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
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, extension_use_memory);
    shx_connection *connection = shx_connection_create(db);
    if (!connection) return SQLITE_NOMEM;
    int rc = sqlite3_create_module_v2(db, "shardex", &EXTENSION_MODULE.methods, connection, shx_connection_destroy);
    if (rc == SQLITE_OK) rc = shx_info_register(connection);
    if (rc == SQLITE_OK) rc = shx_backup_register(connection);
    if (rc == SQLITE_OK) rc = shx_stats_register(connection);
    if (rc == SQLITE_OK) rc = shx_shard_list_register(connection);
    if (rc == SQLITE_OK) rc = shx_config_register(db);
    if (rc == SQLITE_OK) rc = shx_ulid_register(db);
    if (rc == SQLITE_OK) rc = shx_vector_functions_register(db);
    if (rc == SQLITE_OK) rc = shx_vector_each_register(db);
    if (rc == SQLITE_OK) rc = shx_vector_reader_register(db);
    if (rc != SQLITE_OK) return rc;
#ifdef SQLITE_CORE
    return SQLITE_OK;
#else
    return SQLITE_OK_LOAD_PERMANENTLY; /* threads and mappings outlive the connection */
#endif
}
