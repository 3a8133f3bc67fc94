#include "connection.h"

#include "../engine/memory.h"
#include "../engine/os.h"
#include "../engine/planted.h"
#include "../engine/preserve.h"
#include "config.h"
#include "cursor.h"
#include "drop.h"
#include "location.h"
#include "owner.h"
#include "state_row.h"
#include "statements.h"

#include <assert.h>
#include <string.h>

shx_connection *shx_connection_create(sqlite3 *db) {
    shx_connection *connection = sqlite3_malloc64(sizeof *connection);
    if (!connection) return NULL;
    memset(connection, 0, sizeof *connection);
    connection->db = db;
    connection->process = shx_process();
    return connection;
}

/* A connection that wrote leaves the directory as far as it has brought the index itself, for everybody: what it only
** has in memory would have to be found again by each process. Reading alone creates no file. */
static void connection_preserve(const shx_state *state) {
    if (!state->wrote || state->dropped || !state->directory || state->process != shx_process()) return;
    (void)shx_index_preserve(state->index, state->comparison.view);
}

static void connection_free_state(shx_state *state) {
    if (!state) return;
    connection_preserve(state);
    sqlite3_free(state->load);
    shx_state_forget_comparison(state);
    shx_pending_destroy(state->pending);
    shx_held_close(&state->held);
    shx_index_release(state->index);
    shx_free(state->savepoints);
    sqlite3_free(state->schema);
    sqlite3_free(state->name);
    sqlite3_free(state->database);
    sqlite3_free(state->file);
    sqlite3_free(state->vfs);
    sqlite3_free(state->directory);
    sqlite3_free(state);
}

/* Where another connection of this process has found that the table is gone, but could not remove what this one has
** open. */
static void connection_note_forsaken(shx_connection *connection) {
    for (shx_state *state = connection->states; state; state = state->next) {
        if (state->tables > 0 || !shx_index_is_forsaken(state->index)) continue;
        state->dropped = true;
        shx_drops_note(connection, state);
    }
}

/* An index that no table has any more is left as it is: what is due for it is not worth doing. */
static void connection_leave_state(const shx_connection *connection, shx_state *state) {
    if (shx_drops_has(connection, state->directory)) shx_index_forsake(state->index);
    connection_free_state(state);
}

void shx_connection_destroy(void *context) {
    shx_connection *connection = context;
    if (!connection) return;
    assert(!connection->tables);
    connection_note_forsaken(connection);
    shx_drops_look(connection, true);
    while (connection->states) {
        shx_state *state = connection->states;
        connection->states = state->next;
        connection_leave_state(connection, state);
    }
    shx_drops_remove(connection);
    shx_drops_forget(connection);
    while (connection->spare_count > 0) shx_cursor_free(connection->spares[--connection->spare_count]);
    sqlite3_finalize(connection->probe);
    sqlite3_free(connection);
}

/* Beside the database, or, when the process keeps directories elsewhere, in
** `<there>/<name of the database file>-<hash of its path>-shardex/<uuid in hex>`. */
char *shx_connection_directory(const char *file, const shx_id *uuid) {
    char hex[2 * sizeof uuid->bytes + 1];
    for (size_t i = 0; i < sizeof uuid->bytes; i++) sqlite3_snprintf(3, hex + 2 * i, "%02x", uuid->bytes[i]);
    char *elsewhere = shx_config_get(SHX_CONFIG_DIRECTORY), *directory = NULL;
    if (elsewhere && elsewhere[0] == '\0') directory = sqlite3_mprintf("%s-shardex/%s", file, hex);
    if (elsewhere && elsewhere[0] != '\0') {
        const char *name = strrchr(file, '/');
        directory = sqlite3_mprintf("%s/%s-%016llx-shardex/%s", elsewhere, name ? name + 1 : file,
                                    shx_hash64(file, strlen(file), 0), hex);
    }
    sqlite3_free(elsewhere);
    return directory;
}

static int connection_acquire(shx_state *state, const shx_declaration *declaration) {
    shx_index_config config = {
        .uuid = state->uuid,
        .metric = declaration->metric,
        .element = declaration->element,
        .dim = declaration->dim,
        .columns = declaration->plain_count,
        .group = declaration->group,
        .shard_size = declaration->shard_size,
        .flush_rows = declaration->flush_rows,
        .threads = declaration->threads,
        .routing = declaration->routing,
    };
    int rc = shx_state_genesis(declaration, &config.genesis);
    if (rc != SQLITE_OK) return rc;
    if (state->file[0] && !declaration->memory_only) {
        state->directory = shx_connection_directory(state->file, &state->uuid);
        if (!state->directory) return SQLITE_NOMEM;
        config.directory = state->directory;
    }
    shx_status status = shx_index_acquire(&config, &state->index);
    if (status == SHX_MISUSE && state->directory) { /* the same uuid with another shape: a foreign directory */
        shx_state_log(state, status, "is open for a table of another shape");
        sqlite3_free(state->directory);
        state->directory = NULL;
        config.directory = NULL;
        status = shx_index_acquire(&config, &state->index);
    }
    if (status == SHX_OK) shx_held_open(&state->held, state->index);
    return shx_result_code(status);
}

static int connection_make_state(shx_connection *connection, const char *schema, const char *name, const shx_id *uuid,
                                 const shx_declaration *declaration, shx_state **ret_state) {
    shx_state *state = sqlite3_malloc64(sizeof *state);
    if (!state) return SQLITE_NOMEM;
    memset(state, 0, sizeof *state);
    state->uuid = *uuid;
    state->process = connection->process;
    state->metric = declaration->metric;
    state->element = declaration->element;
    state->dim = declaration->dim;
    state->schema = sqlite3_mprintf("%s", schema);
    state->name = sqlite3_mprintf("%s", name);
    state->database = sqlite3_mprintf("%s", shx_location_database(connection->db, schema));
    const char *file = "";
    int rc = shx_location_file(connection->db, schema, &file);
    state->file = sqlite3_mprintf("%s", file);
    state->vfs = sqlite3_mprintf("%s", shx_location_vfs(connection->db, schema));
    bool complete = state->schema && state->name && state->database && state->file && state->vfs;
    if (rc == SQLITE_OK && !complete) rc = SQLITE_NOMEM;
    if (rc == SQLITE_OK)
        rc = shx_result_code(shx_pending_create(shx_declaration_vector_bytes(declaration), &state->pending));
    if (rc == SQLITE_OK) rc = connection_acquire(state, declaration);
    if (rc != SQLITE_OK) {
        connection_free_state(state);
        return rc;
    }
    state->next = connection->states;
    connection->states = state;
    *ret_state = state;
    return SQLITE_OK;
}

/* Does its schema still mean the database that it was made for? Where that may have a directory is no sign of it: what
** can be seen of a file changes while it is made. */
static bool connection_attached(const shx_connection *connection, const shx_state *state) {
    if (sqlite3_db_readonly(connection->db, state->schema) < 0) return false; /* there is no such schema */
    return strcmp(state->database, shx_location_database(connection->db, state->schema)) == 0;
}

/* Does this state describe such a table, in the file that the schema means now? */
static bool connection_state_fits(shx_connection *connection, const shx_state *state,
                                  const shx_declaration *declaration) {
    return state->dim == declaration->dim && state->element == declaration->element &&
           state->metric == declaration->metric && connection_attached(connection, state);
}

/* The state with this index that the table `name` used last; with `renamed`, one of a table that is there no more under
** the name that it had, and which is `name` now. NULL: there is none. */
static int connection_find_state(shx_connection *connection, const char *schema, const char *name, const shx_id *uuid,
                                 const shx_declaration *declaration, bool renamed, shx_state **ret_state) {
    shx_state *state = connection->states;
    for (; state; state = state->next) {
        if (!shx_id_equal(&state->uuid, uuid) || sqlite3_stricmp(state->schema, schema) != 0) continue;
        if (!connection_state_fits(connection, state, declaration)) continue;
        if (!renamed && sqlite3_stricmp(state->name, name) == 0) break;
        bool taken = true;
        int rc = renamed ? shx_owner_is(connection->db, schema, state->name, uuid, &taken) : SQLITE_OK;
        if (rc != SQLITE_OK) return rc;
        if (!taken) break;
    }
    *ret_state = state;
    return SQLITE_OK;
}

static int connection_rename_state(shx_state *state, const char *name) {
    char *copy = sqlite3_mprintf("%s", name);
    if (!copy) return SQLITE_NOMEM;
    sqlite3_free(state->name);
    state->name = copy;
    return SQLITE_OK;
}

int shx_connection_state(shx_connection *connection, const char *schema, const char *name, const shx_id *uuid,
                         const shx_declaration *declaration, shx_state **ret_state) {
    shx_state *state = NULL;
    int rc = connection_find_state(connection, schema, name, uuid, declaration, false, &state);
    if (rc == SQLITE_OK && !state) {
        rc = connection_find_state(connection, schema, name, uuid, declaration, true, &state);
        if (rc == SQLITE_OK && state) rc = connection_rename_state(state, name);
    }
    if (rc != SQLITE_OK) return rc;
    if (!state) return connection_make_state(connection, schema, name, uuid, declaration, ret_state);
    state->dropped = false;
    *ret_state = state;
    return SQLITE_OK;
}

bool shx_connection_changes(const shx_connection *connection, const char *schema) {
    return sqlite3_txn_state(connection->db, schema) == SQLITE_TXN_WRITE;
}

/* `dropped`: also states whose table was dropped, as far as that cannot be undone by a ROLLBACK TO. */
static void connection_reap(shx_connection *connection, bool dropped) {
    for (shx_state **link = &connection->states; *link;) {
        shx_state *state = *link;
        bool unused = state->tables == 0 && state->joined == 0;
        bool over = dropped && state->dropped && !shx_connection_changes(connection, state->schema);
        if (unused && (over || !connection_attached(connection, state))) {
            *link = state->next;
            connection_leave_state(connection, state);
        } else {
            link = &state->next;
        }
    }
}

void shx_connection_reap(shx_connection *connection) { connection_reap(connection, false); }

void shx_connection_settle(shx_connection *connection) {
    connection_note_forsaken(connection);
    shx_drops_look(connection, false);
    connection_reap(connection, true);
    shx_drops_remove(connection);
}

void shx_state_forget_comparison(shx_state *state) {
    shx_view_release(state->comparison.view);
    memset(&state->comparison, 0, sizeof state->comparison);
}

void shx_state_log(shx_state *state, shx_status status, const char *what) {
    if (state->logged == status) return;
    state->logged = status;
    sqlite3_log(SQLITE_NOTICE, "shardex: the index of %s %s: %s; answers come from the database until it catches up",
                state->file[0] ? state->file : "a database in memory", what, shx_status_text(status));
}

int shx_connection_utf8(shx_connection *connection, bool *ret_utf8) {
    sqlite3_stmt *statement = NULL;
    int rc = SQLITE_OK;
    if (!connection->text_known) {
        rc = sqlite3_prepare_v2(connection->db, SHX_SQL_LETTER, -1, &statement, NULL);
        if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
            connection->text_utf8 = sqlite3_column_bytes(statement, 0) == 1;
            connection->text_known = true;
        }
        int finished = sqlite3_finalize(statement);
        if (rc == SQLITE_OK) rc = finished;
    }
    if (rc == SQLITE_OK) *ret_utf8 = connection->text_utf8;
    return rc;
}

bool shx_connection_forked(const shx_connection *connection) {
    return connection->process != shx_process() && !SHX_PLANTED(46);
}

bool shx_connection_interrupted(void *context) {
    shx_connection *connection = context;
#if SQLITE_VERSION_NUMBER >= 3041000
    if (sqlite3_libversion_number() >= 3041000) return sqlite3_is_interrupted(connection->db);
#endif
    sqlite3_stmt **probe = &connection->probe;
    int rc = SQLITE_OK;
    if (!*probe) rc = sqlite3_prepare_v3(connection->db, SHX_SQL_PROBE, -1, SQLITE_PREPARE_PERSISTENT, probe, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(*probe);
    sqlite3_reset(*probe);
    if (!connection->tables) { /* no xDisconnect comes to do so, and sqlite3_close wants all statements gone */
        sqlite3_finalize(*probe);
        *probe = NULL;
    }
    return rc == SQLITE_INTERRUPT; /* which may well come of preparing it */
}

shx_stop shx_connection_stop(shx_connection *connection) { return (shx_stop){shx_connection_interrupted, connection}; }

int shx_result_code(shx_status status) {
    switch (status) {
    case SHX_OK: return SQLITE_OK;
    case SHX_NOMEM: return SQLITE_NOMEM;
    case SHX_IO: return SQLITE_IOERR;
    case SHX_FULL: return SQLITE_FULL;
    case SHX_CORRUPT: return SQLITE_CORRUPT_VTAB;
    case SHX_MISUSE: return SQLITE_ERROR;
    case SHX_NOTFOUND: return SQLITE_ERROR;
    case SHX_BUSY: return SQLITE_BUSY;
    case SHX_INTERRUPT: return SQLITE_INTERRUPT;
    case SHX_READONLY: return SQLITE_READONLY;
    case SHX_ABORT: return SQLITE_ABORT;
    }
    return SQLITE_ERROR;
}

int shx_internal_code(int rc) { return (rc & 0xff) == SQLITE_CONSTRAINT ? SQLITE_CORRUPT_VTAB : rc; }
