/* The twin: a shardex table `t` and an ordinary table `twin` that gets the same rows in the same transactions.
** Whatever happens to files and processes, SQLite keeps the ordinary one right; it says what `t` must hold and answer.
**
** Used by tests that kill, delete and damage. They do much in child processes, where cmocka's assertions are of no use:
** all of this asserts through twin_require, which ends a child with a message and a status that its parent reports.
*/
#ifndef SHX_TEST_TWIN_H
#define SHX_TEST_TWIN_H

#include "fixture.h"

#include <sqlite3.h>
#include <sys/types.h>

#define twin_require(condition) twin_require_at((condition), #condition, __FILE__, __LINE__)

void twin_require_at(bool condition, const char *what, const char *file, int line);

/* ---- a connection ---- */

#define TWIN_STATEMENTS 96

/* A connection, and what its tables look like. `schema` is "main" unless the test attaches something. */
typedef struct twin_pair {
    sqlite3 *db;
    const char *schema;
    shx_metric metric;
    uint32_t dim;
    uint32_t cached;
    char *texts[TWIN_STATEMENTS];
    sqlite3_stmt *statements[TWIN_STATEMENTS];
} twin_pair;

/* Opens a database with the extension; a path of NULL leaves it to the caller to set `db`. */
twin_pair twin_open(const char *path, shx_metric metric, uint32_t dim);
void twin_close(twin_pair *twin);

/* Registers the extension on a connection that was opened elsewhere. */
void twin_register(sqlite3 *db);

/* Creates both tables; `options` ("" or ", flush_rows=300") end the declaration. */
void twin_create(twin_pair *twin, const char *options);

/* SQL, a format of sqlite3_mprintf: must work; may fail (returns the code); a single number; a single text (the
** caller's, by sqlite3_free). */
void twin_run(twin_pair *twin, const char *format, ...);
int twin_try(twin_pair *twin, const char *format, ...);
int64_t twin_number(twin_pair *twin, const char *format, ...);
char *twin_text(twin_pair *twin, const char *format, ...);

/* The state in shardex_info: does it say this ("current", "reconciled", "behind")? */
bool twin_state_is(twin_pair *twin, const char *state);

/* A figure of shardex_info. */
int64_t twin_figure(twin_pair *twin, const char *name);

/* ---- writing both tables ---- */

/* A vector near one of 40 centres; now and then a coarse one (so that distances tie), a zero one. */
void twin_vector(fixture_random *random, uint32_t dim, float *vector);

void twin_put(twin_pair *twin, int64_t rowid, const float *vector, int64_t number);
void twin_delete(twin_pair *twin, int64_t rowid);

/* One random change: insert, replace, new vector, new column, delete, or a statement over several rows. Rowids from 1
** to `ids`, and a little beyond. */
void twin_change(twin_pair *twin, fixture_random *random, int64_t ids);

/* `count` rows with rowids from `first` on, in one transaction. */
void twin_fill(twin_pair *twin, fixture_random *random, int64_t first, int64_t count);

/* `count` random changes in one transaction. */
void twin_transaction(twin_pair *twin, fixture_random *random, int count, int64_t ids);

/* ---- judging ---- */

/* The rows that a table must have, in the order of rowids. */
typedef struct twin_model {
    uint64_t count;
    int64_t *rowids;
    float *vectors;
} twin_model;

twin_model twin_model_read(twin_pair *twin);
void twin_model_free(twin_model *model);

/* The k nearest rows by comparing all. */
void twin_model_search(const twin_model *model, shx_metric metric, uint32_t dim, const float *query, uint64_t k,
                       shx_topk *ret_hits);

/* `t` answers a k-NN query with `extra` ("AND exact = 1"): rowids and distances in the order they came. */
void twin_search(twin_pair *twin, const float *query, uint64_t k, const char *extra, shx_topk *ret_hits);

/* Every row of `t` equals that of `twin`, and there are no others. */
void twin_require_rows(twin_pair *twin);

/* exact = 1 gives the brute force's answer row by row for some queries; the default mode gives exact distances of rows
** that exist, each once, in order, and finds a share of at least `recall` of the true neighbours: these queries do, or
** (recall < 1) hundreds more on average. */
#define TWIN_RECALL 0.9 /* for a target of 0.95 and k = 10 */
void twin_require_answers(twin_pair *twin, const twin_model *model, fixture_random *random, int queries, uint64_t k,
                          double recall);

/* Rows and answers at once. */
void twin_require_right(twin_pair *twin, fixture_random *random);

/* PRAGMA integrity_check and the table's own. */
void twin_require_sound(twin_pair *twin);

/* ---- processes ---- */

/* Runs `body` in a child process and requires that it ends well. Nothing may be open in this process. */
void twin_in_child(void (*body)(void *context), void *context);

/* Forks; returns 0 in the child, which must end with twin_child_done, and where twin_require ends the process. */
pid_t twin_fork(void);
void twin_child_done(void);

/* Waits for a child that ends by itself. */
void twin_wait(pid_t child);

/* ---- files ---- */

/* Copies a file or a tree; nothing happens when there is none. The target is replaced. */
void twin_copy(const char *from, const char *to);
void twin_remove(const char *path);

/* A database file together with its -wal, -journal and directory. */
void twin_copy_database(const char *from, const char *to);
void twin_remove_database(const char *path);

/* The paths of an index's files whose name begins with `prefix`, e.g. "segment". */
#define TWIN_FILES_MAX 64
typedef struct twin_files {
    int count;
    char paths[TWIN_FILES_MAX][512];
} twin_files;

twin_files twin_find_files(const char *database, const char *prefix);
uint64_t twin_directory_bytes(const char *database);

#endif
