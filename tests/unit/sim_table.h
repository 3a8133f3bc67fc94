/* A shardex table `t` and its ordinary twin in a simulated database: what it looks like, connections to it, random
** changes of both tables at once, and the judge that compares them.
**
** Calls return SQLite's result codes, since most of them must be able to fail. What must never happen ends the test
** through sim_fail, which says how to see it again.
*/
#ifndef SHX_TEST_SIM_TABLE_H
#define SHX_TEST_SIM_TABLE_H

#include "fixture.h"

#include <sqlite3.h>

#define SIM_DIRECTORY "/sim"
#define SIM_DATABASE SIM_DIRECTORY "/test.db"
#define SIM_WAL SIM_DATABASE "-wal"

typedef enum sim_mode { SIM_DELETE, SIM_TRUNCATE_JOURNAL, SIM_WAL_FULL, SIM_WAL_NORMAL, SIM_MODES } sim_mode;
extern const char *const sim_mode_names[SIM_MODES];

/* What a simulated database is like; all of it follows from a seed and a mode. */
typedef struct sim_shape {
    uint64_t seed;
    sim_mode mode;
    shx_metric metric;
    uint32_t dim;
    int page_bytes, sector_bytes, checkpoint_pages;
    bool fresh;  /* there are no tables at first: the first step makes them */
    int64_t ids; /* rowids are from 1 to this, and a little beyond */
} sim_shape;

sim_shape sim_shape_make(uint64_t seed, sim_mode mode);

/* ---- failing ---- */

/* Says what is being looked at: printed by sim_fail, and enough to see it again. */
void sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the test. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- a connection ---- */

#define SIM_TEXTS 24

typedef struct sim_table {
    const sim_shape *shape;
    sqlite3 *db;
    sqlite3_stmt *statements[SIM_TEXTS]; /* made when they are used first */
} sim_table;

/* Opens a connection with the extension and the shape's settings. On failure nothing is open. */
int sim_table_open(const sim_shape *shape, sim_table *ret_table);
int sim_table_open_file(const sim_shape *shape, const char *path, sim_table *ret_table);
void sim_table_close(sim_table *table);

/* What must be said to a new database before anything is in it. */
int sim_table_format(sim_table *table);

/* Makes both tables, in the transaction at hand. */
int sim_table_create(sim_table *table);

/* Are they there? One without the other ends the test. */
bool sim_table_exists(sim_table *table);

/* Runs SQL that returns nothing. */
int sim_table_run(sim_table *table, const char *sql);

/* One random change of both tables: inserts, replacements, updates and deletions, of one row or of several. */
int sim_table_change(sim_table *table, fixture_random *random);

/* A vector that is near one of a few centres. */
void sim_table_vector(const sim_shape *shape, fixture_random *random, float *vector);

/* ---- judging ---- */

/* A hash of all rows of the twin; SQLite's code. */
int sim_table_digest(sim_table *table, uint64_t *ret_digest);

/* `t` must have the rows of its twin and answer `queries` queries as a comparison of all rows does. Returns the hash of
** the rows. */
uint64_t sim_table_judge(sim_table *table, fixture_random *random, int queries);

/* PRAGMA integrity_check must find nothing. */
void sim_table_sound(sim_table *table);

/* And neither must the own check of the table, which the pragma asks for from SQLite 3.44 on: no crash is damage. */
void sim_table_check(sim_table *table);

#endif
