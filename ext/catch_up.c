#include "catch_up.h"

#include "../engine/memory.h"
#include "../engine/os.h"
#include "../engine/planted.h"
#include "../engine/reconcile.h"
#include "location.h"
#include "row.h"
#include "state_row.h"

#include <string.h>

#define CATCH_UP_READER_MIN 1000     /* a reader takes this many changes into memory … */
#define CATCH_UP_READER_SHARE 10     /* … or one row in ten, when that is more … */
#define CATCH_UP_READER_MAX 20000    /* … but no more than this */
#define CATCH_UP_WRITER_NS 50000000  /* a writer compares for so long, under SQLite's write lock … */
#define CATCH_UP_WRITER_FREE 10000   /* … once it has seen so many rows, … */
#define CATCH_UP_WRITER_ROWS 200000  /* … and does not begin with a table that is larger than this */
#define CATCH_UP_MEMORY_ROWS 50000   /* larger tables are not compared for an index in memory */
#define CATCH_UP_WAIT_MAX 1024       /* write transactions between attempts that keep failing */
#define CATCH_UP_INTERRUPT_ROWS 1024 /* a power of two */

/* One comparison. `limit`: changes after which it is given up; `deadline`: when it is (shx_clock), 0: never. */
typedef struct catch_up_walk {
    shx_table *table;
    shx_reconcile *reconcile;
    sqlite3_stmt *rows;
    void *vector;
    uint64_t limit, seen, deadline;
} catch_up_walk;

static int catch_up_count(shx_table *table, int64_t limit, int64_t *ret_count) {
    sqlite3_stmt *statement;
    int rc = shx_statement_get(table, SHX_STATEMENT_COUNT_ROWS, &statement);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(statement, 1, limit);
    if (sqlite3_step(statement) == SQLITE_ROW) *ret_count = sqlite3_column_int64(statement, 0);
    return sqlite3_reset(statement);
}

/* Hands vector and columns of a row to the comparison. */
static int catch_up_content(catch_up_walk *walk, int64_t rowid, shx_status *ret_status) {
    sqlite3_stmt *statement;
    shx_row row;
    int rc = shx_row_read_columns(walk->table, rowid, &row);
    if (rc == SQLITE_OK) rc = shx_statement_get(walk->table, SHX_STATEMENT_READ_VECTOR, &statement);
    if (rc != SQLITE_OK) {
        shx_row_clear(walk->table, &row);
        return rc == SQLITE_NOTFOUND ? SQLITE_CORRUPT_VTAB : rc; /* ids that are none: the table is not ours any more */
    }
    sqlite3_bind_int64(statement, 1, rowid);
    size_t size = shx_declaration_vector_bytes(walk->table->declaration);
    int step = sqlite3_step(statement);
    const void *vector = step == SQLITE_ROW ? sqlite3_column_blob(statement, 0) : NULL;
    if (vector && (size_t)sqlite3_column_bytes(statement, 0) == size) {
        memcpy(walk->vector, vector, size);
        *ret_status = shx_reconcile_content(walk->reconcile, walk->vector, &row.columns);
    } else if (step == SQLITE_ROW || step == SQLITE_DONE) {
        rc = shx_table_error(walk->table, SQLITE_CORRUPT_VTAB, "shardex: table \"%s\" has no valid vector for row %lld",
                             walk->table->name, rowid);
    }
    int reset = sqlite3_reset(statement);
    shx_row_clear(walk->table, &row);
    return rc == SQLITE_OK ? reset : rc;
}

static bool catch_up_is_late(const catch_up_walk *walk) {
    return walk->deadline && walk->seen > CATCH_UP_WRITER_FREE && shx_clock() > walk->deadline;
}

/* The row on which walk->rows stands. */
static int catch_up_row(catch_up_walk *walk, shx_status *ret_status) {
    if ((walk->seen++ & (CATCH_UP_INTERRUPT_ROWS - 1)) == 0) {
        if (shx_connection_interrupted(walk->table->connection)) return SQLITE_INTERRUPT;
        if (catch_up_is_late(walk)) *ret_status = SHX_BUSY;
        if (*ret_status != SHX_OK) return SQLITE_OK;
    }
    int64_t rowid = sqlite3_column_int64(walk->rows, 0);
    bool wanted = false;
    *ret_status = shx_reconcile_row(walk->reconcile, rowid, (uint64_t)sqlite3_column_int64(walk->rows, 1),
                                    (uint64_t)sqlite3_column_int64(walk->rows, 2), &wanted);
    if (*ret_status != SHX_OK || !wanted) return SQLITE_OK;
    int rc = catch_up_content(walk, rowid, ret_status);
    if (rc == SQLITE_OK && *ret_status == SHX_OK && shx_reconcile_changes(walk->reconcile) > walk->limit) {
        *ret_status = SHX_NOTFOUND;
    }
    return rc;
}

/* Goes through all rows. The result code is the database's, *ret_status the index's. */
static int catch_up_run(catch_up_walk *walk, shx_status *ret_status) {
    walk->vector = shx_alloc_aligned(shx_declaration_vector_bytes(walk->table->declaration), 1);
    if (!walk->vector) return SQLITE_NOMEM;
    int rc = shx_statement_lend(walk->table, SHX_STATEMENT_WALK_ROWS, &walk->rows);
    bool more = rc == SQLITE_OK;
    while (more && rc == SQLITE_OK && *ret_status == SHX_OK) {
        more = sqlite3_step(walk->rows) == SQLITE_ROW;
        if (more) rc = catch_up_row(walk, ret_status);
    }
    if (rc == SQLITE_OK && walk->rows) rc = sqlite3_reset(walk->rows);
    shx_statement_give_back(walk->table, walk->rows);
    shx_free_aligned(walk->vector);
    return rc;
}

/* ---- from the ring ---- */

/* Hands in one row that may have changed. */
static int catch_up_changed(catch_up_walk *walk, int64_t rowid, shx_status *ret_status) {
    int rc = shx_statement_get(walk->table, SHX_STATEMENT_FIND_ROW, &walk->rows);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(walk->rows, 1, rowid);
    int step = sqlite3_step(walk->rows);
    if (step == SQLITE_ROW) rc = catch_up_row(walk, ret_status);
    if (step == SQLITE_DONE) *ret_status = shx_reconcile_gone(walk->reconcile, rowid);
    int reset = sqlite3_reset(walk->rows);
    return rc == SQLITE_OK ? reset : rc;
}

static int catch_up_changes(catch_up_walk *walk, const shx_ring *ring, size_t position, shx_status *ret_status) {
    int64_t *rowids = NULL;
    size_t count = 0;
    int rc = SQLITE_OK;
    walk->vector = shx_alloc_aligned(shx_declaration_vector_bytes(walk->table->declaration), 1);
    shx_status status = walk->vector ? shx_ring_changes(ring, position, &rowids, &count) : SHX_NOMEM;
    for (size_t i = 0; i < count && rc == SQLITE_OK && status == SHX_OK; i++) {
        rc = catch_up_changed(walk, rowids[i], &status);
    }
    shx_free(rowids);
    shx_free_aligned(walk->vector);
    *ret_status = status;
    return rc;
}

int shx_catch_up_ring(shx_table *table, const shx_id *commit, bool durable, shx_status *ret_status) {
    shx_ring ring;
    shx_id commits[SHX_RING_COMMITS];
    size_t position;
    int rc = shx_state_row_ring(table, commit, &ring);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    catch_up_walk walk = {.table = table, .limit = UINT64_MAX};
    shx_view *view = NULL;
    shx_status status = shx_reconcile_open_since(table->state->index, commits, shx_ring_commits(&ring, commits),
                                                 durable, &position, &walk.reconcile);
    if (status == SHX_OK) rc = catch_up_changes(&walk, &ring, position, &status);
    if (rc == SQLITE_OK && status == SHX_OK) {
        status =
            durable ? shx_reconcile_publish(walk.reconcile, commit) : shx_reconcile_view(walk.reconcile, commit, &view);
    }
    shx_view_release(view);
    shx_reconcile_close(walk.reconcile);
    *ret_status = status;
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}

/* ---- by comparing everything ---- */

/* Begins to compare. That the statement was interrupted is its result, not a fault of the directory. */
static int catch_up_open(catch_up_walk *walk, bool from_nothing, bool durable, shx_status *ret_status) {
    shx_stop stop = shx_connection_stop(walk->table->connection);
    *ret_status = shx_reconcile_open(walk->table->state->index, from_nothing, durable, &stop, &walk->reconcile);
    return *ret_status == SHX_INTERRUPT ? SQLITE_INTERRUPT : SQLITE_OK;
}

/* Everything was compared, which may have taken long: says so, and why, in the log of the application. */
static void catch_up_report(const catch_up_walk *walk, bool durable) {
    const shx_state *state = walk->table->state;
    unsigned long long known = shx_reconcile_known(walk->reconcile);
    if (!state->directory) return;
    sqlite3_log(SQLITE_NOTICE,
                "shardex: compared table \"%s\" of %s with its index, as the directory did not hold its present state "
                "but one of %llu rows: %llu rows read, %llu changes, %s",
                walk->table->name, state->file, known, (unsigned long long)walk->seen,
                (unsigned long long)shx_reconcile_changes(walk->reconcile),
                durable ? "written for all" : "known to this connection");
}

int shx_catch_up_private(shx_table *table, const shx_id *commit, shx_view **ret_view) {
    int64_t rows = 0;
    int rc = catch_up_count(table, (int64_t)CATCH_UP_READER_MAX * CATCH_UP_READER_SHARE, &rows);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    uint64_t limit = (uint64_t)rows / CATCH_UP_READER_SHARE;
    if (limit < CATCH_UP_READER_MIN) limit = CATCH_UP_READER_MIN;
    catch_up_walk walk = {.table = table, .limit = limit};
    shx_view *view = NULL;
    shx_status status;
    rc = catch_up_open(&walk, false, false, &status);
    if (status == SHX_OK) rc = catch_up_run(&walk, &status);
    if (rc == SQLITE_OK && status == SHX_OK && shx_reconcile_changes(walk.reconcile) > limit) status = SHX_NOTFOUND;
    if (rc == SQLITE_OK && status == SHX_OK) status = shx_reconcile_view(walk.reconcile, commit, &view);
    if (rc == SQLITE_OK && status == SHX_OK) catch_up_report(&walk, false);
    shx_reconcile_close(walk.reconcile);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    if (status == SHX_NOMEM) return SQLITE_NOMEM;
    if (status != SHX_OK) return SQLITE_NOTFOUND;
    *ret_view = view;
    return SQLITE_OK;
}

/* `deadline`: as of a walk. */
static int catch_up_publish(shx_table *table, const shx_id *commit, bool from_nothing, uint64_t deadline,
                            shx_status *ret_status) {
    catch_up_walk walk = {.table = table, .limit = UINT64_MAX, .deadline = deadline};
    shx_status status;
    int rc = catch_up_open(&walk, from_nothing, true, &status);
    if (status == SHX_OK) rc = catch_up_run(&walk, &status);
    if (rc == SQLITE_OK && status == SHX_OK) status = shx_reconcile_publish(walk.reconcile, commit);
    if (rc == SQLITE_OK && status == SHX_OK && !from_nothing) catch_up_report(&walk, true);
    shx_reconcile_close(walk.reconcile);
    *ret_status = status;
    return rc == SQLITE_OK ? rc : shx_table_failed(table, rc);
}

int shx_catch_up_durable(shx_table *table, const shx_id *commit, bool from_nothing, shx_status *ret_status) {
    return catch_up_publish(table, commit, from_nothing, 0, ret_status);
}

int shx_catch_up_memory(shx_table *table, const shx_id *commit) {
    int64_t rows = 0;
    int rc = catch_up_count(table, CATCH_UP_MEMORY_ROWS + 1, &rows);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    shx_status status;
    return rows <= CATCH_UP_MEMORY_ROWS ? shx_catch_up_durable(table, commit, false, &status) : SQLITE_OK;
}

bool shx_catch_up_is_current(shx_table *table, const shx_id *commit) {
    shx_view *view = NULL;
    shx_index *index = table->state->index;
    bool resolved = shx_index_view(index, commit, &view) == SHX_OK;
    shx_view_release(view);
    return resolved && shx_index_is_durable(index, commit);
}

/* Compares the database with the index for the parent of a write transaction, unless that keeps failing, or takes too
** long: then the index stays behind. */
static int catch_up_attempt(shx_table *table) {
    shx_state *state = table->state;
    uint64_t deadline = shx_clock() + CATCH_UP_WRITER_NS;
    if (state->catch_up_skip > 0) {
        state->catch_up_skip--;
        return SQLITE_OK;
    }
    int64_t rows = 0;
    int rc = catch_up_count(table, CATCH_UP_WRITER_ROWS + 1, &rows);
    if (rc != SQLITE_OK) return shx_table_failed(table, rc);
    shx_status status = SHX_BUSY;
    if (rows <= CATCH_UP_WRITER_ROWS) {
        rc = catch_up_publish(table, &state->parent, false, deadline, &status);
        if (rc != SQLITE_OK) return rc;
        if (status != SHX_OK) shx_state_log(state, status, "could not be brought up to date");
    }
    if (status == SHX_OK) {
        state->catch_up_wait = 0;
        state->logged = SHX_OK;
    } else {
        state->catch_up_wait = state->catch_up_wait ? 2 * state->catch_up_wait : 1;
        if (state->catch_up_wait > CATCH_UP_WAIT_MAX) state->catch_up_wait = CATCH_UP_WAIT_MAX;
        state->catch_up_skip = state->catch_up_wait;
    }
    return SQLITE_OK;
}

bool shx_catch_up_barrier(shx_table *table) {
    const shx_state *state = table->state;
    return !state->file[0] || shx_location_make_durable(table->connection->db, state->schema, state->file);
}

void shx_catch_up_confirm(shx_table *table) {
    shx_state *state = table->state;
    if (!shx_index_collects(state->index) || (!SHX_PLANTED(20) && !shx_catch_up_barrier(table))) return;
    shx_index_confirm(state->index, &state->parent);
}

int shx_catch_up_writer(shx_table *table) {
    shx_state *state = table->state;
    shx_catch_up_confirm(table);
    shx_view *view = NULL;
    shx_stop stop = shx_connection_stop(table->connection);
    shx_status status = shx_index_view_until(state->index, &state->parent, &stop, &view);
    bool current = status == SHX_OK && shx_index_is_durable(state->index, &state->parent);
    if (current) shx_index_relieve(state->index, view, &stop);
    shx_view_release(view);
    if (current) return SQLITE_OK;
    if (status == SHX_NOMEM || status == SHX_INTERRUPT) return shx_result_code(status);
    int rc = shx_catch_up_ring(table, &state->parent, true, &status);
    if (rc != SQLITE_OK || status == SHX_OK) return rc;
    return status == SHX_NOMEM ? SQLITE_NOMEM : catch_up_attempt(table);
}

int shx_catch_up_identify(shx_table *table, const shx_id *former, shx_id *ret_commit) {
    sqlite3_stmt *rows;
    int rc = shx_statement_lend(table, SHX_STATEMENT_WALK_ROWS, &rows);
    if (rc != SQLITE_OK) return rc;
    shx_id commit = *former;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        uint8_t link[sizeof commit.bytes + 24];
        memcpy(link, commit.bytes, sizeof commit.bytes);
        for (int i = 0; i < 3; i++) {
            shx_put64(link + sizeof commit.bytes + 8 * i, (uint64_t)sqlite3_column_int64(rows, i));
        }
        commit = shx_hash128(link, sizeof link);
    }
    rc = sqlite3_reset(rows);
    shx_statement_give_back(table, rows);
    if (rc == SQLITE_OK) *ret_commit = commit;
    return rc;
}
