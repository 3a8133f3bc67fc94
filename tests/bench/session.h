/* What the benchmark's modes share: databases, statements, medians, and the table that most of them ask.
**
** That table, MODES_TABLE in WORK_FOLDER/modes.db, has all rows of a set and two columns: `r`, a random number below
** MODES_RANDOM, and `g`, which of MODES_GROUPS rows drawn at random is nearest. It is built once and found again. */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <sqlite3.h>

#include "plain.h"

#define MODES_TABLE "t"

enum { MODES_RANDOM = 1000, MODES_GROUPS = 100, ROUNDS = 5 };

typedef struct {
    dataset set;
    const char *extension;
    const char *folder;
    sqlite3 *db;
    uint16_t *randoms; /* r of each row, once they are drawn */
    uint16_t *groups;  /* g of each row */
} session;

/* Opens the set; no database yet. */
session session_of(const char *extension, const char *set_folder, const char *work_folder);

/* Draws r and g of all rows, the same in every process. */
void session_draw_columns(session *run);

/* Opens WORK_FOLDER/NAME with an extension loaded. */
sqlite3 *session_open(const session *run, const char *name, const char *extension);

/* Opens modes.db, builds its table if it is not complete. */
void session_open_modes(session *run);

/* Inserts the first `rows` rows in a transaction, through a statement with parameters ?1 rowid, ?2 vector, and, if the
** columns are drawn, ?3 r, ?4 g. */
void session_fill(const session *run, sqlite3 *db, const char *insert, size_t rows);

/* The group that a vector belongs to, by one of the set's own rows. */
uint16_t session_group_of(const session *run, const float *vector);

/* Whether a database has a table of that name. */
int session_has(sqlite3 *db, const char *table);

/* Stops with the database's message unless all is well. */
void session_need(sqlite3 *db, int rc);
void session_run(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
sqlite3_stmt *session_prepare(sqlite3 *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
void session_bind_vector(const session *run, sqlite3_stmt *statement, const float *vector);

/* Steps to the end and resets; writes up to `room` rowids (column 0) and returns how many rows there were. */
size_t session_rows(sqlite3_stmt *statement, size_t room, int64_t *ret_rows);

/* The median of a few numbers; sorts them. */
double session_median(double *values, size_t count);

#endif
