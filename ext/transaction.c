/* The rules of SQLite that this file is made of (each was read in its source and seen in experiments):
**
** - xCommit and xRollback prove nothing about what is on disk; the state row does. They only drop caches.
** - COMMIT may fail with BUSY after xSync; the transaction goes on, more operations may come, and xSync comes again.
** - A savepoint opened before the first write is not announced (only the innermost one is, when we join), ROLLBACK TO
**   the outermost one comes as number -1, a number may be announced twice, and xRollbackTo may come for a savepoint
**   whose announcement stopped at another table's failure. Hence a stack of (number, length), and `empty_until`:
**   savepoints up to that number were open when there were no operations yet.
** - Own statements inside xUpdate or xDestroy may announce savepoints of their own, which come and go within.
** - ALTER TABLE RENAME leaves the old object in the transaction beside a new one; both get all callbacks. Hence the
**   transaction belongs to the state, and every callback may come more than once.
** - After xDestroy nothing arrives any more, and ROLLBACK TO may bring the table back. Hence each announced savepoint
**   first notes the number of operations in the state row: it goes back together with the rows that it counts, and
**   tells a state without objects (an orphan) how many of its pending operations still stand. Meanwhile savepoints come
**   and go unannounced: once the table is used again, what was noted about them is worth nothing, and a rollback to any
**   of them reads the row once more (`adopted_until`; the one announced when we join is the innermost). Should such a
**   transaction commit before the table was used again, the row keeps that number, and with it the news that commit_id
**   is not its name: readers answer from the database, the next writer gives it an id made of all fingerprints.
** - When another table's xRollbackTo fails, SQLite has taken the rows back and tells nobody behind it, and the
**   transaction stays open (vtab.c, sqlite3VtabSavepoint; vdbe.c, OP_Savepoint). Hence the first operation behind a
**   savepoint is noted in the state row as well: where the row is not as it was left, something was undone of which we
**   do not know, and the transaction can only be rolled back.
*/
#include "transaction.h"

#include "../engine/memory.h"
#include "../engine/planted.h"
#include "catch_up.h"
#include "meter.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* Forgets the transaction. Cannot fail, allocates nothing. */
static void transaction_end(shx_state *state) {
    shx_meter_end_load(state);
    if (!SHX_PLANTED(13)) shx_pending_truncate(state->pending, 0);
    state->savepoint_count = 0;
    state->empty_until = state->adopted_until = -1;
    state->writing = state->prepared = state->synced = state->broken = false;
    state->watched = state->unmarked = false;
}

static void transaction_set_mark(shx_state *state, const shx_id *commit, uint64_t operations) {
    state->mark = (shx_mark){*commit, operations};
}

/* Also where it is a number that nobody has written: what is damaged stays as it is. */
static bool transaction_left_it_so(const shx_state *state, const shx_state_row *row) {
    return (uint64_t)row->operations == state->mark.operations && shx_id_equal(&row->commit, &state->mark.commit);
}

/* Could the row be one that the state's transaction has left, as opposed to somebody else's later? */
static bool transaction_matches(const shx_state *state, const shx_state_row *row) {
    bool ours = shx_id_equal(&row->commit, &state->parent) ||
                (state->synced && shx_id_equal(&row->commit, &state->synced_commit));
    return ours && row->operations >= 0 && (uint64_t)row->operations <= shx_pending_count(state->pending);
}

/* SQLite counts this up with every commit of its own, and for what others have committed when a transaction begins. */
static uint32_t transaction_version(const shx_table *table) {
    uint32_t version = 0;
    (void)sqlite3_file_control(table->connection->db, table->schema, SQLITE_FCNTL_DATA_VERSION, &version);
    return version;
}

/* An orphan was used again: is its transaction still under way, and how much of it stands? One that was committed may
** leave the same state row. */
static void transaction_adopt(shx_table *table, const shx_state_row *row) {
    shx_state *state = table->state;
    if (sqlite3_txn_state(table->connection->db, table->schema) != SQLITE_TXN_WRITE ||
        state->version != transaction_version(table) || !transaction_matches(state, row)) {
        transaction_end(state);
        return;
    }
    if (row->operations > 0 || shx_id_equal(&row->commit, &state->parent)) {
        shx_pending_truncate(state->pending, (size_t)row->operations);
    }
    state->savepoint_count = 0;
    state->empty_until = -1;
    state->adopted_until = INT_MAX;
    transaction_set_mark(state, &row->commit, (uint64_t)row->operations);
    state->watched = state->unmarked = true;
}

bool shx_transaction_overlays(shx_table *table, const shx_state_row *row) {
    shx_state *state = table->state;
    if (state->writing && state->joined == 0) transaction_adopt(table, row);
    return state->writing;
}

/* The ring of the transaction's parent: the one that this connection wrote last, if nobody else has written since. */
static int transaction_take_ring(shx_table *table, bool named) {
    shx_state *state = table->state;
    if (shx_id_equal(&state->synced_ring.tip, &state->parent)) {
        state->ring = state->synced_ring;
    } else if (!named) {
        shx_ring_start(&state->ring, &state->parent);
    } else if (!shx_id_equal(&state->ring.tip, &state->parent)) {
        return shx_state_row_ring(table, &state->parent, &state->ring);
    }
    return SQLITE_OK;
}

static int transaction_enter(shx_table *table) {
    shx_state_row row;
    int rc = shx_state_row_begin(table, &row);
    if (rc != SQLITE_OK) return rc;
    shx_state *state = table->state;
    if (!shx_transaction_overlays(table, &row)) {
        shx_id parent = row.commit;
        if (row.operations != 0) rc = shx_catch_up_identify(table, &row.commit, &parent);
        if (rc != SQLITE_OK) return shx_table_failed(table, rc);
        transaction_end(state);
        state->parent = parent;
        state->version = transaction_version(table);
        rc = transaction_take_ring(table, row.operations == 0);
        if (rc != SQLITE_OK) return shx_table_failed(table, rc);
        state->writing = true;
        transaction_set_mark(state, &row.commit, (uint64_t)row.operations);
        state->first_mark = state->mark;
    }
    table->joined = true;
    table->announced = -1;
    state->joined++;
    return SQLITE_OK;
}

int shx_transaction_begin(sqlite3_vtab *vtab) {
    shx_table *table = (shx_table *)vtab;
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    return table->joined ? SQLITE_OK : transaction_enter(table);
}

int shx_transaction_join(shx_table *table) { return transaction_enter(table); }

void shx_transaction_leave(shx_table *table) {
    if (!table->joined) return;
    table->joined = false;
    shx_state *state = table->state;
    if (--state->joined == 0 && shx_pending_count(state->pending) == 0) transaction_end(state);
}

/* Reads the state row while savepoints that SQLite announces are the statement's. SQLITE_NOTFOUND: the table's creation
** was rolled back. */
static int transaction_locate(shx_table *table, shx_state_row *ret_row) {
    table->state->busy = true;
    int rc = shx_state_row_locate(table, ret_row);
    table->state->busy = false;
    return rc;
}

/* Notes in the state row how many operations there are, or will be at once. */
static int transaction_mark(shx_table *table, uint64_t operations) {
    shx_state *state = table->state;
    shx_state_row row;
    int rc = transaction_locate(table, &row);
    if (rc == SQLITE_NOTFOUND) return SQLITE_OK;
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    if (!transaction_left_it_so(state, &row)) state->broken = true;
    int changes = sqlite3_total_changes(table->connection->db);
    state->busy = true;
    rc = shx_state_row_mark(table, operations);
    state->busy = false;
    /* SQLite asks a progress handler once more when a statement is over: then it is interrupted, and was done. */
    bool done = rc == SQLITE_OK || sqlite3_total_changes(table->connection->db) != changes;
    if (done) state->mark.operations = operations;
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}

int shx_transaction_prepare(shx_table *table) {
    shx_state *state = table->state;
    assert(table->joined && state->writing);
    int rc = state->prepared ? SQLITE_OK : shx_catch_up_writer(table);
    if (rc == SQLITE_OK && state->unmarked) rc = transaction_mark(table, shx_pending_count(state->pending) + 1);
    if (rc != SQLITE_OK) return rc;
    state->prepared = true;
    state->unmarked = false;
    return SQLITE_OK;
}

int shx_transaction_check(shx_table *table) {
    shx_state *state = table->state;
    if (state->watched && !state->broken && !state->busy) {
        shx_state_row row;
        int rc = transaction_locate(table, &row);
        if (rc == SQLITE_NOTFOUND) return SQLITE_OK;
        if (rc != SQLITE_OK) return shx_table_failed(table, rc);
        if (!transaction_left_it_so(state, &row)) state->broken = true;
    }
    if (!state->broken) return SQLITE_OK;
    return shx_table_error(
        table, SQLITE_ABORT,
        "shardex: a change of \"%s\" was not undone, or undone unannounced: roll the transaction back", table->name);
}

/* Mostly the row is where it was: then writing it tells so. Else it is looked for, and what has not changed is not
** written. No second attempt after any other failure: it may have rolled the whole transaction back, and then the row
** would name what is not there. */
static int transaction_write_row(shx_table *table) {
    shx_state *state = table->state;
    int rc = SQLITE_NOTFOUND;
    if (shx_pending_count(state->pending) > 0) rc = shx_state_row_write(table, &state->synced_ring);
    if (rc == SQLITE_OK) return rc;
    if (rc != SQLITE_NOTFOUND && rc != SQLITE_ERROR) return shx_table_failed(table, rc);
    shx_state_row row;
    rc = shx_state_row_locate(table, &row);
    if (rc == SQLITE_NOTFOUND) return SQLITE_OK; /* its creation was rolled back */
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    if (shx_id_equal(&row.commit, &state->synced_commit) && row.operations == 0) return SQLITE_OK;
    rc = shx_state_row_write(table, &state->synced_ring);
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}

/* The name of what the transaction leads to, into WAL and state row. May come several times, with more operations. */
static int transaction_sync(shx_table *table) {
    shx_state *state = table->state;
    shx_id commit = shx_pending_commit_id(state->pending, &state->parent);
    if (shx_pending_count(state->pending) > 0) {
        shx_status status = shx_index_append(state->index, &state->parent, &commit, state->pending);
        if (status != SHX_OK) shx_state_log(state, status, "missed a commit");
    }
    state->synced = true;
    state->synced_commit = commit;
    state->synced_ring = state->ring;
    shx_ring_add(&state->synced_ring, state->pending, &commit);
    int rc = transaction_write_row(table);
    if (rc == SQLITE_OK) transaction_set_mark(state, &commit, 0);
    if (rc == SQLITE_OK) state->unmarked = state->watched;
    return rc;
}

int shx_transaction_sync(sqlite3_vtab *vtab) {
    shx_table *table = (shx_table *)vtab;
    if (!table->joined || !table->state->writing) return SQLITE_OK;
    if (table->state->synced && SHX_PLANTED(12)) return SQLITE_OK;
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    int rc = shx_transaction_check(table);
    if (rc != SQLITE_OK) return rc;
    table->state->busy = true;
    rc = transaction_sync(table);
    table->state->busy = false;
    shx_state_row_syncing(table);
    return rc;
}

static void transaction_finish(shx_table *table, bool committed) {
    if (!table->joined) return;
    shx_state *state = table->state;
    table->joined = false;
    state->joined--;
    if (!state->writing) return;
    bool here = !shx_connection_forked(table->connection);
    bool published = committed && here && state->synced && shx_pending_count(state->pending) > 0;
    table->knows = false;
    transaction_end(state); /* first, since what it leaves to the index takes memory as well */
    if (!published) return;
    state->wrote = true;
    shx_index_committed(state->index, &state->synced_commit);
    shx_state_row_committed(table, &state->synced_commit);
}

int shx_transaction_commit(sqlite3_vtab *vtab) {
    transaction_finish((shx_table *)vtab, true);
    shx_connection_settle_new(((shx_table *)vtab)->connection);
    return SQLITE_OK;
}

int shx_transaction_rollback(sqlite3_vtab *vtab) {
    transaction_finish((shx_table *)vtab, false);
    return SQLITE_OK;
}

/* Drops the notes about savepoints from `number` on. */
static void transaction_drop_savepoints(shx_state *state, int number) {
    uint64_t kept = 0;
    for (uint64_t i = 0; i < state->savepoint_count; i++) {
        if (state->savepoints[i].number < number) state->savepoints[kept++] = state->savepoints[i];
    }
    state->savepoint_count = kept;
    if (state->empty_until >= number) state->empty_until = number - 1;
    if (state->adopted_until >= number) state->adopted_until = number - 1;
}

/* May the number of operations be noted? Not that there are none, beside a commit_id that was found not to be the name
** of what is there: should the transaction end without us, the row would say that it is. */
static bool transaction_names(const shx_state *state) {
    return shx_pending_count(state->pending) > 0 || shx_id_equal(&state->mark.commit, &state->parent);
}

int shx_transaction_savepoint(sqlite3_vtab *vtab, int number) {
    shx_table *table = (shx_table *)vtab;
    shx_state *state = table->state;
    if (!table->joined || !state->writing) return SQLITE_OK;
    if (shx_table_enter(table) != SQLITE_OK) return SQLITE_MISUSE;
    void *savepoints = state->savepoints;
    if (shx_grow(&savepoints, &state->savepoint_capacity, state->savepoint_count + 1, sizeof(shx_savepoint))) {
        return SQLITE_NOMEM;
    }
    state->savepoints = savepoints;
    size_t length = shx_pending_count(state->pending);
    uint64_t operations = transaction_names(state) ? length : state->mark.operations;
    shx_mark mark = {state->mark.commit, state->busy ? state->mark.operations : operations};
    if (number <= table->announced) transaction_drop_savepoints(state, number); /* that one another table refused */
    table->announced = number;
    if (length == 0 || number > state->empty_until) { /* else it has been open since: another object joins */
        state->savepoints[state->savepoint_count++] = (shx_savepoint){number, length, mark};
    }
    if (length == 0 && number > state->empty_until) state->empty_until = number;
    if (state->adopted_until == INT_MAX) state->adopted_until = number;
    if (state->busy || SHX_PLANTED(14)) return SQLITE_OK;
    state->watched = state->unmarked = true;
    return operations == state->mark.operations ? SQLITE_OK : transaction_mark(table, operations);
}

int shx_transaction_release(sqlite3_vtab *vtab, int number) {
    shx_table *table = (shx_table *)vtab;
    if (table->joined && table->state->writing) transaction_drop_savepoints(table->state, number);
    if (table->announced >= number) table->announced = number - 1;
    return SQLITE_OK;
}

/* How many operations there were when savepoint `number` was opened. */
static size_t transaction_length_at(const shx_state *state, int number) {
    size_t length = shx_pending_count(state->pending);
    if (number < 0) return SHX_PLANTED(9) ? length : 0;
    bool noted = false;
    for (uint64_t i = 0; i < state->savepoint_count; i++) {
        const shx_savepoint *savepoint = &state->savepoints[i];
        if (savepoint->number >= number && savepoint->length < length) length = savepoint->length;
        noted |= savepoint->number == number;
    }
    return !noted && number <= state->empty_until && !SHX_PLANTED(10) ? 0 : length;
}

/* What the state row has said since savepoint `number` was opened: SQLite has taken it back to that. */
static void transaction_rewind_mark(shx_state *state, int number) {
    shx_mark mark = state->mark;
    bool noted = false;
    for (uint64_t i = state->savepoint_count; i > 0; i--) {
        if (state->savepoints[i - 1].number >= number) mark = state->savepoints[i - 1].mark;
        noted |= state->savepoints[i - 1].number == number;
    }
    state->mark = number < 0 || (!noted && number <= state->empty_until) ? state->first_mark : mark;
    state->unmarked = state->watched;
}

/* The same from the state row, which SQLite has taken back before it tells us; and what the row says. */
static bool transaction_length_in_row(shx_table *table, size_t *ret_length) {
    shx_state *state = table->state;
    shx_state_row row;
    int rc = transaction_locate(table, &row);
    if (rc == SQLITE_NOTFOUND) {
        *ret_length = 0;
        return true;
    }
    if (rc != SQLITE_OK || row.operations < 0) return false;
    transaction_set_mark(state, &row.commit, (uint64_t)row.operations);
    if (!transaction_matches(state, &row)) return false;
    if (row.operations == 0 && !shx_id_equal(&row.commit, &state->parent)) return false;
    *ret_length = (size_t)row.operations;
    return true;
}

int shx_transaction_rollback_to(sqlite3_vtab *vtab, int number) {
    shx_table *table = (shx_table *)vtab;
    shx_state *state = table->state;
    if (!table->joined || !state->writing) return SQLITE_OK;
    size_t length = 0;
    transaction_rewind_mark(state, number);
    bool noted = number < 0 || number > state->adopted_until;
    if (noted || !transaction_length_in_row(table, &length)) {
        length = transaction_length_at(state, number);
        if (!noted && shx_pending_count(state->pending) > 0) {
            length = shx_pending_count(state->pending);
            state->broken = true;
        }
    }
    if (!SHX_PLANTED(11)) shx_pending_truncate(state->pending, length);
    transaction_drop_savepoints(state, number + 1); /* savepoint `number` itself stays open */
    if (table->announced > number) table->announced = number;
    return SQLITE_OK;
}
