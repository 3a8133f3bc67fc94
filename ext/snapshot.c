#include "snapshot.h"

#include "../engine/planted.h"
#include "catch_up.h"
#include "state_row.h"
#include "transaction.h"

#include <string.h>

/* Notes what a comparison for the snapshot's commit came to; `view` is taken over. */
static void snapshot_remember(shx_snapshot *snapshot, shx_view *view) {
    shx_state *state = snapshot->state;
    shx_state_forget_comparison(state);
    state->comparison = (shx_comparison){true, snapshot->commit, view};
    if (view) return;
    sqlite3_log(SQLITE_NOTICE,
                "shardex: the index in %s-shardex does not hold the present state of a table; queries "
                "search the database until a writer, 'rebuild' or shardex_catch_up has caught up",
                state->file[0] ? state->file : ":memory:");
}

/* The index does not have the commit: compares it with the database, once per commit. */
static int snapshot_compare(shx_table *table, shx_snapshot *snapshot) {
    shx_view *view = NULL;
    int rc;
    if (!snapshot->state->directory) { /* nobody else can bring it up to date, and no file is touched */
        rc = shx_catch_up_memory(table, &snapshot->commit);
        if (rc == SQLITE_OK && shx_held_view(&snapshot->state->held, &snapshot->commit, NULL, &view) == SHX_OK) {
            snapshot->view = view;
            return SQLITE_OK;
        }
        if (rc == SQLITE_OK) rc = SQLITE_NOTFOUND;
    } else {
        rc = shx_catch_up_private(table, &snapshot->commit, &view);
    }
    if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND) return rc;
    snapshot_remember(snapshot, view);
    return SQLITE_OK;
}

static int snapshot_resolve(shx_table *table, shx_snapshot *snapshot) {
    shx_state *state = snapshot->state;
    shx_stop stop = shx_connection_stop(table->connection);
    shx_status status = shx_held_view(&state->held, &snapshot->commit, &stop, &snapshot->view);
    if (status == SHX_NOMEM || status == SHX_INTERRUPT) return shx_result_code(status);
    if (status == SHX_OK) return SQLITE_OK;
    if (!state->comparison.known || !shx_id_equal(&state->comparison.commit, &snapshot->commit)) {
        if (snapshot->pending) return SQLITE_OK; /* the database already shows more than this commit */
        int rc = shx_catch_up_ring(table, &snapshot->commit, !state->directory || SHX_PLANTED(32), &status);
        if (rc != SQLITE_OK || status == SHX_NOMEM) return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
        if (status == SHX_OK) status = shx_held_view(&state->held, &snapshot->commit, NULL, &snapshot->view);
        if (status == SHX_OK) return SQLITE_OK;
        rc = snapshot_compare(table, snapshot);
        if (rc != SQLITE_OK || snapshot->view) return rc;
    }
    snapshot->view = state->comparison.view;
    snapshot->reconciled = snapshot->view != NULL;
    return SQLITE_OK;
}

int shx_snapshot_name(shx_table *table, shx_snapshot *ret_snapshot) {
    shx_snapshot snapshot = {.state = table->state};
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    bool overlaid = snapshot.state && snapshot.state->writing && snapshot.state->joined > 0;
    if (!overlaid) {
        shx_state_row row;
        int rc = shx_state_row_look(table, &row);
        if (rc != SQLITE_OK) return rc;
        snapshot.state = table->state;
        overlaid = shx_transaction_overlays(table, &row);
        snapshot.commit = SHX_PLANTED(15) ? snapshot.state->synced_commit : row.commit;
        snapshot.nameless = row.operations != 0; /* commit_id is not the name of what is there */
    }
    if (overlaid) {
        int rc = shx_transaction_check(table);
        if (rc != SQLITE_OK) return rc;
        snapshot.commit = snapshot.state->parent;
        if (shx_pending_count(snapshot.state->pending) > 0) snapshot.pending = snapshot.state->pending;
        snapshot.nameless = false;
    }
    *ret_snapshot = snapshot;
    return SQLITE_OK;
}

int shx_snapshot_open(shx_table *table, shx_snapshot *ret_snapshot) {
    shx_snapshot snapshot;
    int rc = shx_snapshot_name(table, &snapshot);
    if (rc != SQLITE_OK) return rc;
    bool whole = !snapshot.pending || shx_pending_is_whole(snapshot.pending); /* else the database has to be asked */
    if (!snapshot.nameless && whole) rc = snapshot_resolve(table, &snapshot);
    if (rc == SQLITE_OK) *ret_snapshot = snapshot;
    return rc;
}

bool shx_snapshot_is_current(const shx_snapshot *snapshot) {
    return snapshot->view && !snapshot->reconciled && shx_index_is_durable(snapshot->state->index, &snapshot->commit);
}

void shx_snapshot_close(shx_snapshot *snapshot) {
    if (snapshot->view && !snapshot->reconciled) shx_held_return(&snapshot->state->held, snapshot->view);
    memset(snapshot, 0, sizeof *snapshot);
}

void shx_snapshot_distrust(shx_snapshot *snapshot, shx_status status) {
    shx_state *state = snapshot->state;
    shx_state_log(state, status, "is damaged");
    shx_index_distrust(state->index);
    shx_snapshot_close(snapshot);
    shx_state_forget_comparison(state);
}
