#include "gc.h"

#include "../engine/collect.h"
#include "../engine/memory.h"
#include "../engine/os.h"
#include "catch_up.h"
#include "statements.h"

#include <string.h>

#define GC_NAME_LENGTH 32 /* a uuid in hex */

/* The uuids that the database names, as directories are called. */
typedef struct gc_sweep {
    shx_table *table;
    char *folder; /* that the directories of this database's indexes are in */
    char (*names)[GC_NAME_LENGTH + 1];
    uint64_t count, capacity;
} gc_sweep;

/* The uuid that a table named `<prefix>_state` holds, if it is one of ours. NULL: there was no memory for the name. */
static int gc_read_uuid(gc_sweep *sweep, const unsigned char *prefix) {
    shx_table *table = sweep->table;
    if (!prefix) return SQLITE_NOMEM;
    sqlite3_stmt *statement = NULL;
    char *text = sqlite3_mprintf(SHX_SQL_HEX_UUID, table->schema, prefix);
    int rc = shx_statement_lend_text(table, text, &statement);
    if (rc != SQLITE_OK) return rc == SQLITE_ERROR ? SQLITE_OK : rc; /* it has no such columns */
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == GC_NAME_LENGTH) {
        void *names = sweep->names;
        const unsigned char *name = sqlite3_column_text(statement, 0);
        if (name && shx_grow(&names, &sweep->capacity, sweep->count + 1, sizeof *sweep->names) == SHX_OK) {
            sweep->names = names;
            memcpy(sweep->names[sweep->count++], name, GC_NAME_LENGTH + 1);
        } else {
            rc = SQLITE_NOMEM;
        }
    }
    int finalized = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? finalized : rc;
}

/* Everything that could be the state of a table is looked at: a failure to read one ends it all. */
static int gc_read_names(gc_sweep *sweep) {
    shx_table *table = sweep->table;
    sqlite3_stmt *tables = NULL;
    int rc = shx_statement_lend_text(table, sqlite3_mprintf(SHX_SQL_FIND_STATES, table->schema), &tables);
    if (rc != SQLITE_OK) return rc;
    while (rc == SQLITE_OK && sqlite3_step(tables) == SQLITE_ROW) {
        rc = gc_read_uuid(sweep, sqlite3_column_text(tables, 0));
    }
    int finalized = sqlite3_finalize(tables);
    return rc == SQLITE_OK ? finalized : rc;
}

static shx_status gc_visit(void *context, const char *name) {
    const gc_sweep *sweep = context;
    if (strlen(name) != GC_NAME_LENGTH || strspn(name, "0123456789abcdef") != GC_NAME_LENGTH) return SHX_OK;
    for (uint64_t i = 0; i < sweep->count; i++) {
        if (strcmp(sweep->names[i], name) == 0) return SHX_OK;
    }
    char *directory = sqlite3_mprintf("%s/%s", sweep->folder, name);
    if (!directory) return SHX_NOMEM;
    shx_status status = shx_collect_folder(directory);
    sqlite3_free(directory);
    return status == SHX_BUSY || status == SHX_NOTFOUND ? SHX_OK : status; /* somebody uses it: another time */
}

int shx_gc_run(shx_table *table) {
    gc_sweep sweep = {.table = table};
    if (!sqlite3_get_autocommit(table->connection->db)) {
        return shx_table_error(table, SQLITE_ERROR, "shardex: 'gc' runs outside of transactions");
    }
    if (!table->state->file[0] || !shx_catch_up_barrier(table)) return SQLITE_OK;
    sweep.folder = shx_connection_directory(table->state->file, &table->state->uuid);
    if (sweep.folder) *strrchr(sweep.folder, '/') = '\0'; /* the table's own is one of them */
    int rc = sweep.folder ? gc_read_names(&sweep) : SQLITE_NOMEM;
    shx_status status = rc == SQLITE_OK ? shx_folder_list(sweep.folder, gc_visit, &sweep) : SHX_OK;
    sqlite3_free(sweep.folder);
    shx_free(sweep.names);
    if (rc != SQLITE_OK || status == SHX_OK || status == SHX_NOTFOUND) return rc;
    return shx_table_error(table, shx_result_code(status), "shardex: 'gc' failed: %s", shx_status_text(status));
}
