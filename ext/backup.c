#include "backup.h"

#include "../engine/export.h"
#include "../engine/memory.h"
#include "../engine/shardex.h"
#include "location.h"
#include "snapshot.h"
#include "statements.h"
#include "table.h"

#include <stdarg.h>
#include <string.h>

#define BACKUP_PAGES 1000 /* copied between two looks whether to stop */

/* Where the copy of an index goes. */
typedef struct backup_place {
    shx_id uuid;
    bool ours; /* nothing was there before */
} backup_place;

typedef struct backup_job {
    shx_connection *connection;
    const char *schema;
    sqlite3_vfs *vfs; /* of the database, and so of the copy */
    char *path;       /* of the copy: all of it; sqlite3_free */
    sqlite3_stmt *held;
    bool created;
    backup_place *places; /* shx_free */
    uint64_t place_count, place_capacity;
    char *message; /* of a failure; sqlite3_free */
} backup_job;

static int backup_error(backup_job *job, int rc, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sqlite3_free(job->message);
    job->message = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    return rc;
}

/* ---- before ---- */

static int backup_check_source(backup_job *job) {
    sqlite3 *db = job->connection->db;
    if (!sqlite3_db_filename(db, job->schema) && sqlite3_txn_state(db, job->schema) < 0) {
        return backup_error(job, SQLITE_ERROR, "shardex_backup: there is no database \"%s\"", job->schema);
    }
    const char *file = "";
    int rc = shx_location_file(db, job->schema, &file);
    if (rc != SQLITE_OK) return backup_error(job, rc, "shardex_backup: %s", sqlite3_errstr(rc));
    if (!file[0]) {
        return backup_error(job, SQLITE_ERROR,
                            "shardex_backup: database \"%s\" has no directory beside it (in memory, without locks or "
                            "encrypted): use VACUUM INTO",
                            job->schema);
    }
    if (sqlite3_txn_state(db, job->schema) == SQLITE_TXN_WRITE) {
        return backup_error(job, SQLITE_ERROR, "shardex_backup: commit the changes of \"%s\" first", job->schema);
    }
    return sqlite3_file_control(db, job->schema, SQLITE_FCNTL_VFS_POINTER, &job->vfs);
}

/* The full path of the copy; SQLite takes other connections' view of "the same file" from it. */
static int backup_find_path(backup_job *job, const char *name) {
    int size = job->vfs->mxPathname + 1;
    job->path = sqlite3_malloc64((sqlite3_uint64)size);
    if (!job->path) return SQLITE_NOMEM;
    int rc = job->vfs->xFullPathname(job->vfs, name, size, job->path) & 0xff;
    if (rc == SQLITE_OK && job->path[0] == '/') return rc;
    return backup_error(job, SQLITE_CANTOPEN, "shardex_backup: '%s' is no path for a file", name);
}

/* Creates the file of the copy, empty. That it must not exist is for the operating system to say: nothing comes between
** a look and the creation. */
static int backup_create(backup_job *job) {
    int flags = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE, out = 0;
    int exists = 0;
    job->vfs->xAccess(job->vfs, job->path, SQLITE_ACCESS_EXISTS, &exists);
    if (exists) return backup_error(job, SQLITE_CANTOPEN, "shardex_backup: '%s' exists already", job->path);
    const char *name = sqlite3_create_filename(job->path, "", "", 0, NULL);
    sqlite3_file *file = sqlite3_malloc64((sqlite3_uint64)job->vfs->szOsFile);
    int rc = name && file ? SQLITE_OK : SQLITE_NOMEM;
    if (rc == SQLITE_OK) {
        memset(file, 0, (size_t)job->vfs->szOsFile);
        rc = job->vfs->xOpen(job->vfs, name, file, flags, &out);
        job->created = rc == SQLITE_OK;
        if (file->pMethods) file->pMethods->xClose(file);
        if (rc != SQLITE_OK) {
            backup_error(job, rc, "shardex_backup: '%s' cannot be created: %s", job->path, sqlite3_errstr(rc));
        }
    }
    sqlite3_free(file);
    sqlite3_free_filename((void *)(uintptr_t)name); /* const or not, by version */
    return rc;
}

/* Everything until the statement is reset sees one state of the database. */
static int backup_hold(backup_job *job) {
    sqlite3 *db = job->connection->db;
    char *text = sqlite3_mprintf(SHX_SQL_HOLD_READ, job->schema);
    int rc = text ? sqlite3_prepare_v2(db, text, -1, &job->held, NULL) : SQLITE_NOMEM;
    sqlite3_free(text);
    if (rc == SQLITE_OK && sqlite3_step(job->held) != SQLITE_ROW) rc = sqlite3_reset(job->held);
    return rc == SQLITE_OK ? rc : backup_error(job, rc, "shardex_backup: %s", sqlite3_errmsg(db));
}

/* ---- directories ---- */

static shx_status backup_discard(void *store, const char *name) { return shx_store_remove(store, name); }
static shx_status backup_meet(void *store, const char *name) {
    (void)store, (void)name;
    return SHX_BUSY;
}

/* Opens the place of a copied index, which must be empty: from now on what is there is ours. */
static shx_status backup_prepare(backup_job *job, const shx_id *uuid, shx_store *to) {
    void *places = job->places;
    SHX_TRY(shx_grow(&places, &job->place_capacity, job->place_count + 1, sizeof *job->places));
    job->places = places;
    backup_place *place = &job->places[job->place_count++];
    *place = (backup_place){.uuid = *uuid};
    SHX_TRY(shx_store_prepare(to));
    SHX_TRY(shx_store_list(to, backup_meet, NULL));
    place->ours = true;
    return SHX_OK;
}

static int backup_report(backup_job *job, const char *path, shx_status status) {
    switch (status) {
    case SHX_BUSY:
        return backup_error(job, SQLITE_CANTOPEN, "shardex_backup: '%s' holds files of an earlier copy: remove it",
                            path);
    case SHX_FULL:
    case SHX_READONLY:
        return backup_error(job, shx_result_code(status), "shardex_backup: '%s': %s", path, shx_status_text(status));
    case SHX_NOMEM:
    case SHX_INTERRUPT: return shx_result_code(status);
    default: return SQLITE_OK;
    }
}

/* What could not be copied whole is left to be built in the copy; no room in the new place ends the backup. */
static int backup_export(backup_job *job, const shx_snapshot *snapshot) {
    char *path = shx_connection_directory(job->path, &snapshot->state->uuid);
    shx_store *to = NULL;
    shx_status status = path ? shx_store_open(path, &to) : SHX_NOMEM;
    if (status == SHX_OK) status = backup_prepare(job, &snapshot->state->uuid, to);
    if (status == SHX_OK) {
        shx_stop stop = shx_connection_stop(job->connection);
        status = shx_index_export(snapshot->state->index, snapshot->view, to, &stop);
        if (status != SHX_OK) (void)shx_store_list(to, backup_discard, to);
    }
    int rc = backup_report(job, path, status);
    shx_store_close(to);
    sqlite3_free(path);
    return rc;
}

static int backup_index(backup_job *job, shx_table *table) {
    shx_snapshot snapshot;
    int rc = shx_snapshot_open(table, &snapshot);
    if (rc != SQLITE_OK) { /* a damaged table is copied as it is */
        sqlite3_free(table->base.zErrMsg);
        table->base.zErrMsg = NULL;
        return rc == SQLITE_NOMEM || rc == SQLITE_INTERRUPT ? rc : SQLITE_OK;
    }
    if (snapshot.view && !snapshot.reconciled && snapshot.state->directory) rc = backup_export(job, &snapshot);
    shx_snapshot_close(&snapshot);
    return rc;
}

/* Calls `visit` for each virtual table of the database. */
static int backup_each_table(backup_job *job, int (*visit)(backup_job *job, const char *name, void *context),
                             void *context) {
    sqlite3_stmt *names = NULL;
    char *text = sqlite3_mprintf(SHX_SQL_LIST_VIRTUAL_TABLES, job->schema);
    int rc = text ? sqlite3_prepare_v2(job->connection->db, text, -1, &names, NULL) : SQLITE_NOMEM;
    sqlite3_free(text);
    while (rc == SQLITE_OK && sqlite3_step(names) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(names, 0);
        if (name) rc = visit(job, name, context);
    }
    int finalized = sqlite3_finalize(names);
    return rc == SQLITE_OK ? finalized : rc;
}

/* Of other virtual tables there is none. Without memory the statement that called us fails in any case. */
static int backup_find_table(backup_job *job, const char *name, shx_table **ret_table) {
    int rc = shx_table_find(job->connection, job->schema, name, ret_table);
    return rc == SQLITE_NOMEM || rc == SQLITE_INTERRUPT ? rc : SQLITE_OK;
}

static int backup_visit_index(backup_job *job, const char *name, void *context) {
    (void)context;
    shx_table *table = NULL;
    int rc = backup_find_table(job, name, &table);
    return table ? backup_index(job, table) : rc;
}

/* ---- pages ---- */

static int backup_copy_pages(backup_job *job, sqlite3 *to) {
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", job->connection->db, job->schema);
    if (!backup) return sqlite3_errcode(to);
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK) {
        rc = shx_connection_interrupted(job->connection) ? SQLITE_INTERRUPT : sqlite3_backup_step(backup, BACKUP_PAGES);
    }
    int finished = sqlite3_backup_finish(backup);
    return rc == SQLITE_DONE ? finished : rc;
}

/* Without success the copy is as right, and slower until its first writer. */
static int backup_visit_copy(backup_job *job, const char *name, void *copy) {
    shx_table *table = NULL;
    int rc = backup_find_table(job, name, &table);
    if (!table) return rc;
    char *text = sqlite3_mprintf(SHX_SQL_CATCH_UP_TABLE, name);
    if (text) (void)sqlite3_exec(copy, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return SQLITE_OK;
}

static int backup_copy_database(backup_job *job) {
    sqlite3 *copy = NULL;
    int rc = sqlite3_open_v2(job->path, &copy, SQLITE_OPEN_READWRITE, job->vfs->zName);
    if (rc == SQLITE_OK) rc = backup_copy_pages(job, copy);
    if (rc != SQLITE_OK) {
        const char *detail = sqlite3_errcode(copy) == SQLITE_OK ? sqlite3_errstr(rc) : sqlite3_errmsg(copy);
        backup_error(job, rc, "shardex_backup: '%s': %s", job->path, detail);
    }
#ifdef SQLITE_CORE
    const sqlite3_api_routines *api = NULL;
#else
    const sqlite3_api_routines *api = sqlite3_api;
#endif
    int ready = rc == SQLITE_OK ? sqlite3_shardex_init(copy, NULL, api) : SQLITE_ERROR;
    if (ready == SQLITE_OK || ready == SQLITE_OK_LOAD_PERMANENTLY) {
        rc = backup_each_table(job, backup_visit_copy, copy);
    }
    sqlite3_close(copy);
    return rc;
}

/* ---- all of it ---- */

/* Without SQL: it may have been interrupted, and is so until the statement ends that called us. Folders go when they
** are empty. */
static void backup_remove_index(backup_job *job, const backup_place *place) {
    char *path = shx_connection_directory(job->path, &place->uuid);
    shx_store *store = NULL;
    if (!path) return;
    if (place->ours && shx_store_open(path, &store) == SHX_OK) (void)shx_store_list(store, backup_discard, store);
    shx_store_close(store);
    (void)shx_folder_remove(path);
    *strrchr(path, '/') = '\0';
    (void)shx_folder_remove(path);
    sqlite3_free(path);
}

/* SQLite leaves a journal where even the way back failed. */
static void backup_remove(backup_job *job) {
    for (uint64_t i = 0; i < job->place_count; i++) backup_remove_index(job, &job->places[i]);
    job->vfs->xDelete(job->vfs, job->path, 0);
    char *journal = sqlite3_mprintf("%s-journal", job->path);
    if (journal) job->vfs->xDelete(job->vfs, journal, 0);
    sqlite3_free(journal);
}

static int backup_run(backup_job *job, const char *name) {
    int rc = backup_check_source(job);
    if (rc == SQLITE_OK) rc = backup_find_path(job, name);
    if (rc == SQLITE_OK) rc = backup_hold(job);
    if (rc == SQLITE_OK) rc = backup_create(job);
    if (rc == SQLITE_OK) rc = backup_each_table(job, backup_visit_index, NULL);
    if (rc == SQLITE_OK) rc = backup_copy_database(job);
    if (rc != SQLITE_OK && job->created) backup_remove(job);
    sqlite3_finalize(job->held);
    shx_free(job->places);
    return rc;
}

static void backup_function(sqlite3_context *context, int count, sqlite3_value **arguments) {
    backup_job job = {.connection = sqlite3_user_data(context), .schema = "main"};
    const char *name = (const char *)sqlite3_value_text(arguments[0]);
    if (count > 1) job.schema = (const char *)sqlite3_value_text(arguments[1]);
    if (shx_connection_forked(job.connection)) {
        sqlite3_result_error(context, SHX_FORKED_MESSAGE, -1);
        return;
    }
    if (!name || !name[0] || !job.schema) {
        sqlite3_result_error(context, "shardex_backup: expected the name of a file, and perhaps of a database", -1);
        return;
    }
    int rc = backup_run(&job, name);
    if (rc != SQLITE_OK) {
        if (job.message) sqlite3_result_error(context, job.message, -1);
        sqlite3_result_error_code(context, rc);
    } else {
        sqlite3_result_text(context, job.path, -1, sqlite3_free); /* to copy it could fail, with all done */
        job.path = NULL;
    }
    sqlite3_free(job.message);
    sqlite3_free(job.path);
}

int shx_backup_register(shx_connection *connection) {
    int rc = SQLITE_OK;
    for (int count = 1; count <= 2 && rc == SQLITE_OK; count++) {
        rc = sqlite3_create_function_v2(connection->db, "shardex_backup", count, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                        connection, backup_function, NULL, NULL, NULL);
    }
    return rc;
}
