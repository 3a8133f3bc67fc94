/* Random operations on a shardex table `vect` and on an ordinary table `twin`, in the same statements' order and the
** same transactions. Whatever SQL can do to a database happens between them: savepoints, rollbacks, refused statements,
** a second connection with an old snapshot, pragmas, VACUUM, ATTACH, RENAME, commands, copies, reopening.
**
** One number, the seed, makes one life of a database: its table (element type, metric, columns, options, router) and
** everything that happens to it. A failure prints the seed and the number of the operation, so that the same life can
** be lived again alone, and only so far (table_stress_test.c).
*/
#ifndef SHX_TEST_STRESS_H
#define SHX_TEST_STRESS_H

#include "host.h"

#define STRESS_ROWS_MAX 4000 /* in a table; the operations keep it well below */
#define STRESS_K_MAX 60

/* An element type: how a vector is written in SQL, and with which metrics it may be searched. */
typedef struct stress_element {
    const char *declared, *function;
    bool bits;
} stress_element;

typedef struct stress_hit {
    int64_t rowid;
    double distance;
} stress_hit;

/* A life. */
typedef struct stress {
    uint64_t seed, random;
    int step, steps;
    const char *folder; /* NULL: the database is in memory */
    char *path;
    sqlite3 *db;        /* writes */
    sqlite3 *peer;      /* reads; NULL when there is none */
    const char *schema; /* what the database is called in `db` */
    bool peer_reads;    /* its transaction is open */
    bool alone;         /* locking_mode is EXCLUSIVE */
    bool in_transaction;
    int depth; /* open savepoints; the transaction itself is none */

    const stress_element *element;
    const char *metric;
    uint32_t dim;
    const char *key; /* the name of the rowid's column */
    int ids;         /* rowids come from 1 to this, so that conflicts are common */
    uint64_t wanted, found;
    stress_hit *truth, hits[STRESS_K_MAX];
} stress;

/* Lives the first `steps` operations of a life. A folder of NULL: in memory. */
void stress_live(uint64_t seed, int steps, const char *folder);

/* ---- between the files of the stress ---- */

uint32_t stress_pick(stress *run, uint32_t count);
#define STRESS_CHOOSE(run, list) (list)[stress_pick((run), sizeof(list) / sizeof *(list))]

/* Ends the test with the seed, the operation, this text and the connection's message. */
void stress_fail(stress *run, sqlite3 *db, const char *format, ...);

/* A new vector as an SQL expression, e.g. vec_int8('[1,2]'); sqlite3_free. */
char *stress_vector(stress *run);

/* The same statement on both tables, which must give the same code: a format in which @ is the table, # the rowid. */
void stress_both(stress *run, const char *format, ...);

/* SQL that must work, on the writing connection; a reader that is in the way is sent away. */
void stress_do(stress *run, const char *format, ...);
int stress_try(stress *run, const char *format, ...);

void stress_peer_end(stress *run);

/* One operation on the rows (stress_write.c). */
void stress_write(stress *run);
void stress_fill(stress *run, int first, int count);

/* Compares (stress_check.c): all columns of all rows; nearest neighbours. False when a lock was in the way. */
bool stress_check_rows(stress *run, sqlite3 *db);
void stress_check_search(stress *run, sqlite3 *db);

#endif
