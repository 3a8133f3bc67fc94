#include "command.h"

#include "../engine/collect.h"
#include "../engine/maintain.h"
#include "catch_up.h"
#include "gc.h"
#include "integrity.h"
#include "meter.h"

#include <string.h>

#define COMMAND_WAIT_MS 10
#define COMMAND_WAITS 60000 /* ten minutes for maintenance that is under way: it may be clustering millions of rows */

/* One kind of maintenance. */
typedef shx_status (*command_work)(shx_index *index, const shx_id *commit, shx_interrupted interrupted, void *context);

static int command_report(shx_table *table, const char *command, shx_status status) {
    if (status == SHX_OK) return SQLITE_OK;
    return shx_table_error(table, shx_result_code(status), "shardex: '%s' of table \"%s\" failed: %s", command,
                           table->name, shx_status_text(status));
}

/* Waits while another maintainer is at work. */
static shx_status command_maintain(shx_table *table, const char *command, command_work work) {
    shx_state *state = table->state;
    shx_status status = SHX_BUSY;
    shx_meter meter;
    shx_meter_open(&meter, table, command);
    for (int i = 0; i < COMMAND_WAITS && status == SHX_BUSY; i++) {
        if (i > 0) sqlite3_sleep(COMMAND_WAIT_MS);
        status = shx_meter_poll(&meter) ? SHX_INTERRUPT : work(state->index, &state->parent, shx_meter_poll, &meter);
    }
    shx_meter_close(&meter);
    return status;
}

static int command_need_committed(shx_table *table, const char *command) {
    if (shx_pending_count(table->state->pending) == 0) return SQLITE_OK;
    return shx_table_error(table, SQLITE_ERROR,
                           "shardex: '%s' works on what is committed: commit the changes of \"%s\" first", command,
                           table->name);
}

int shx_command_catch_up(shx_table *table, const shx_id *commit, shx_status *ret_status) {
    *ret_status = SHX_OK;
    if (shx_catch_up_is_current(table, commit)) return SQLITE_OK;
    int rc = shx_catch_up_ring(table, commit, true, ret_status);
    if (rc == SQLITE_OK && *ret_status != SHX_OK) rc = shx_catch_up_durable(table, commit, false, ret_status);
    shx_state_forget_comparison(table->state);
    return rc;
}

/* Brings the index to the committed state, then does the work. */
static int command_do(shx_table *table, const char *command, command_work work) {
    shx_view *view = NULL;
    shx_stop stop = shx_connection_stop(table->connection);
    shx_status status = shx_index_view_until(table->state->index, &table->state->parent, &stop, &view);
    shx_view_release(view);
    int rc = SQLITE_OK;
    if (status != SHX_OK && status != SHX_INTERRUPT) {
        rc = command_need_committed(table, command);
        if (rc == SQLITE_OK) rc = shx_command_catch_up(table, &table->state->parent, &status);
    }
    if (rc == SQLITE_OK && status == SHX_OK) status = command_maintain(table, command, work);
    return rc == SQLITE_OK ? command_report(table, command, status) : rc;
}

static int command_flush(shx_table *table) { return command_do(table, "flush", shx_maintain_flush); }

static int command_optimize(shx_table *table) {
    int rc = command_need_committed(table, "optimize");
    return rc == SQLITE_OK ? command_do(table, "optimize", shx_maintain_optimize) : rc;
}

/* What was deleted is in no file of the directory afterwards. Files that another process has open cannot go: it is not
** waited for. */
static int command_purge(shx_table *table) {
    int rc = command_need_committed(table, "purge");
    if (rc == SQLITE_OK) rc = command_do(table, "purge", shx_maintain_optimize);
    if (rc != SQLITE_OK || !table->state->directory) return rc;
    shx_state_forget_comparison(table->state);
    shx_status status = shx_catch_up_barrier(table) ? SHX_OK : SHX_IO;
    if (status == SHX_OK) status = shx_index_purge(table->state->index, &table->state->parent);
    return command_report(table, "purge", status);
}

static int command_compare(shx_table *table, const char *command, bool from_nothing) {
    int rc = command_need_committed(table, command);
    if (rc != SQLITE_OK) return rc;
    shx_status status;
    rc = shx_catch_up_durable(table, &table->state->parent, from_nothing, &status);
    shx_state_forget_comparison(table->state);
    return rc == SQLITE_OK ? command_report(table, command, status) : rc;
}

static int command_rebuild(shx_table *table) {
    int rc = command_compare(table, "rebuild", true);
    return rc == SQLITE_OK ? command_do(table, "rebuild", shx_maintain_optimize) : rc;
}

static int command_reconcile(shx_table *table) { return command_compare(table, "reconcile", false); }

typedef struct command_entry {
    const char *name;
    int (*run)(shx_table *table);
} command_entry;

static const command_entry COMMANDS[] = {
    {"flush", command_flush},         {"optimize", command_optimize},           {"rebuild", command_rebuild},
    {"reconcile", command_reconcile}, {"integrity-check", shx_integrity_check}, {"gc", shx_gc_run},
    {"purge", command_purge},
};

int shx_command_run(shx_table *table, sqlite3_value *command) {
    const char *name = (const char *)sqlite3_value_text(command);
    for (size_t i = 0; name && i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (sqlite3_stricmp(name, COMMANDS[i].name) != 0) continue;
        if (COMMANDS[i].run != shx_integrity_check) shx_catch_up_confirm(table); /* removes what would be checked */
        int rc = COMMANDS[i].run(table);
        return rc == SQLITE_OK ? rc : shx_table_failed(table, shx_internal_code(rc));
    }
    return shx_table_error(table, SQLITE_ERROR,
                           "unknown shardex command: '%s', expected 'flush', 'optimize', 'rebuild', 'reconcile', "
                           "'integrity-check', 'gc' or 'purge'",
                           name ? name : "");
}
