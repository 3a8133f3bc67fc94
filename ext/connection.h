/* What one database connection knows: its shardex tables, and for each index the write transaction that is under way.
**
** A state belongs to (connection, schema, uuid of the index), not to the sqlite3_vtab object: a schema change, VACUUM
** and ALTER TABLE RENAME swap that object, even in the middle of a transaction. It lives until the connection closes
** (or its database is detached, or its table is gone), so that a schema change does not close and reopen the index.
** Used in the connection's thread only.
*/
#ifndef SHX_CONNECTION_H
#define SHX_CONNECTION_H

#include "sqlite_api.h"

#include "../engine/held.h"
#include "../engine/index.h"
#include "../engine/pending.h"
#include "../engine/search.h"
#include "declare.h"
#include "ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shx_table;
struct shx_meter;
struct shx_cursor;
struct shx_drop;

/* What the state row says within a transaction. */
typedef struct shx_mark {
    shx_id commit;
    uint64_t operations;
} shx_mark;

/* How many operations there were when savepoint `number` was announced, and what the state row has said since. */
typedef struct shx_savepoint {
    int number;
    size_t length;
    shx_mark mark;
} shx_savepoint;

/* What a comparison of the index with the database came to, for one commit id. */
typedef struct shx_comparison {
    bool known;
    shx_id commit;
    shx_view *view; /* private to this connection; NULL: too different, answer from the database */
} shx_comparison;

typedef struct shx_state {
    struct shx_state *next;
    char *schema;
    char *name;      /* of the table, when it was used last: ALTER TABLE RENAME gives it another one */
    char *database;  /* the file of the schema; "" when it has none */
    char *file;      /* the same where a directory may stand beside it, else "": told once, when the state is made */
    char *vfs;       /* and how it is opened */
    char *directory; /* of the index; NULL: in memory */
    shx_id uuid;
    shx_metric metric;
    shx_element element;
    uint32_t dim;
    int64_t process; /* that opened the connection */
    shx_index *index;
    shx_held held;   /* the view of the last query */
    uint32_t tables; /* sqlite3_vtab objects that use it */
    bool dropped;

    bool writing;    /* a write transaction has begun: what follows is about it */
    bool prepared;   /* its first row operation has come */
    bool broken;     /* what is pending is not what the database holds: the transaction must not commit */
    bool watched;    /* there were savepoints: is the state row as it was left? */
    bool unmarked;   /* no operation has come since the last of them */
    shx_mark mark, first_mark; /* how the state row was left, and how it was found */
    bool busy;       /* own statements are running: savepoints that they cause are theirs */
    uint32_t joined; /* sqlite3_vtab objects that take part in it */
    shx_id parent;   /* the commit that it started from */
    uint32_t version; /* of the database's content when it began: commits count it up */
    shx_ring ring;   /* as of parent */
    bool synced;     /* the last xSync came to … */
    shx_id synced_commit;
    shx_ring synced_ring;
    shx_pending *pending;
    shx_savepoint *savepoints;
    uint64_t savepoint_count, savepoint_capacity;
    struct shx_meter *load; /* draws a large transaction; NULL: it is not large */
    uint64_t load_from;     /* how many operations there were when it began to */
    int empty_until;        /* savepoints up to this number were opened before the first operation */
    int adopted_until; /* savepoints up to this number came, and went, while there was no object to tell; -1: none */

    bool wrote; /* a write transaction was committed */
    shx_comparison comparison;
    uint32_t catch_up_skip, catch_up_wait; /* write transactions to go without an attempt; doubled by each failure */
    shx_status logged;                     /* the failure of the directory that was logged last */
} shx_state;

#define SHX_SPARES 4 /* cursors of one statement that find another one's memory waiting for them */

typedef struct shx_connection {
    sqlite3 *db;
    struct shx_cursor *spares[SHX_SPARES]; /* closed: SQLite closes a cursor whenever its statement has run */
    int spare_count;
    int64_t process; /* that opened it */
    shx_state *states;
    struct shx_table *tables;
    struct shx_drop *drops; /* tables dropped, whose directories are there yet */
    bool drops_new;         /* one of them was not looked at since its transaction ended */
    sqlite3_stmt *probe;    /* see shx_connection_interrupted */
    bool text_known, text_utf8; /* see shx_connection_utf8 */
} shx_connection;

/* What all tables and functions of a connection share; NULL when out of memory. SQLite destroys it, in the end. */
shx_connection *shx_connection_create(sqlite3 *db);
void shx_connection_destroy(void *connection);

/* The state of the table `name` with this index, made when there is none yet. Where two tables say that one index is
** theirs (somebody copied shadow rows, or chance repeated itself), each has a state of its own. Returns an SQLite
** result code. */
int shx_connection_state(shx_connection *connection, const char *schema, const char *name, const shx_id *uuid,
                         const shx_declaration *declaration, shx_state **ret_state);

/* Where the directory of an index of a database file is: `<database file>-shardex/<uuid in hex>`, or in the place where
** the process keeps them; sqlite3_free. */
char *shx_connection_directory(const char *file, const shx_id *uuid);

/* Lets go of states whose database is detached. */
void shx_connection_reap(shx_connection *connection);

/* Lets go of states whose table was dropped as well, and removes their directories (drop.h). Not while SQLite
** disconnects tables. Cannot fail. */
void shx_connection_settle(shx_connection *connection);

/* The same where it may cost no more than a look whether a table was dropped: when a query begins, or a commit is
** over. */
static inline void shx_connection_settle_new(shx_connection *connection) {
    if (connection->drops_new) shx_connection_settle(connection);
}

/* May what this connection sees of a schema be its own uncommitted changes? */
bool shx_connection_changes(const shx_connection *connection, const char *schema);

/* Lets go of what a full comparison with the database has found (shx_comparison). */
void shx_state_forget_comparison(shx_state *state);

/* Logs a failure of the index's directory, once until another kind of failure comes. */
void shx_state_log(shx_state *state, shx_status status, const char *what);

/* True when sqlite3_interrupt was called; a callback for the engine. */
bool shx_connection_interrupted(void *connection);
shx_stop shx_connection_stop(shx_connection *connection);

/* Whether the database keeps text as UTF-8. Else SQLite's collation BINARY orders it by the bytes of UTF-16, and only
** SQLite can tell what is less. An SQLite result code. */
int shx_connection_utf8(shx_connection *connection, bool *ret_utf8);

/* True in a child that was forked while the connection was open. Such a child may only close it: threads are missing,
** mutexes may be held by nobody, and SQLite's file locks are the parent's. */
bool shx_connection_forked(const shx_connection *connection);

#define SHX_FORKED_MESSAGE "shardex: this connection was opened before fork; open another one in the child"

/* The SQLite result code of an engine status. */
int shx_result_code(shx_status status);

/* A result code that is not a constraint failure: inside a row operation those would be taken for the user's. */
int shx_internal_code(int rc);

#endif
