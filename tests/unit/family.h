/* Several tables of two connections: in two databases and the temporary one tables are made, dropped, renamed and made
** again, beside twins (z<name>) in the same schema, which get the same in the same transactions. COMMIT is busy now and
** then, and goes on later or not at all; statements are interrupted at any step, a hook refuses commits, savepoints
** undo tables that went and came.
**
** One number, the seed, makes one life (family_test.c). What each connection sees is compared with the twins whenever
** its transaction has ended, and now and then within.
*/
#ifndef SHX_TEST_FAMILY_H
#define SHX_TEST_FAMILY_H

#include "host.h"

#define FAMILY_PAST 60
#define FAMILY_DIRECTORIES 64

/* A connection. */
typedef struct family_member {
    sqlite3 *db;
    int depth; /* savepoints known to be open */
} family_member;

/* A table: of a schema, and with a name of one letter. */
typedef struct family_table {
    const char *schema;
    char name[2];
} family_table;

/* What happened in lives. */
typedef struct family_sums {
    uint64_t statements, interrupted;
    uint64_t refused; /* by locks and by the hook */
    uint64_t asked;   /* tables asked for a ROLLBACK, as an undone DROP had taken them out of it */
} family_sums;

/* A life. */
typedef struct family {
    uint64_t seed, random;
    int step;
    char *paths[2]; /* of main and other; NULL: in memory, of one connection */
    family_member members[2];
    int count;      /* of members */
    int steps_left; /* of the running statement, until it is interrupted */
    bool veto;      /* the commit hook says no */
    unsigned char *image;
    sqlite3_int64 image_size;              /* of main, in memory */
    char *directories[FAMILY_DIRECTORIES]; /* were there, of tables that lived */
    char *past[FAMILY_PAST];               /* the last statements */
    family_sums sums;
} family;

/* Lives `steps` operations; in a folder, or (NULL) in memory. Adds to the sums. */
void family_live(uint64_t seed, int steps, const char *folder, family_sums *sums);

/* ---- between the files of the family ---- */

uint32_t family_pick(family *run, uint32_t count);
#define FAMILY_CHOOSE(run, list) (list)[family_pick((run), sizeof(list) / sizeof *(list))]

/* Ends the test with the last statements, the seed, the operation and this text. */
void family_fail(family *run, const char *format, ...);

/* SQL that may be interrupted, refused or locked out; its code. Any other error fails the test. A table that asks for a
** ROLLBACK gets it. */
int family_try(family *run, family_member *at, const char *format, ...);

/* The same, neither interrupted nor refused. */
int family_do(family *run, family_member *at, const char *format, ...);

/* Is a transaction open? */
bool family_changes(const family_member *at);

/* The names of a schema's shardex tables, by ' '; sqlite3_free. NULL when a lock is in the way. */
char *family_names(family *run, family_member *at, const char *schema);

/* One operation (family_change.c): on rows, tables, the transaction. */
void family_write(family *run, family_member *at);
void family_change_tables(family *run, family_member *at);
void family_transact(family *run, family_member *at);
void family_create(family *run, family_member *at, family_table table);

/* Compares all tables with their twins (family_check.c), and the directories of those that live with what was there. */
void family_compare(family *run, family_member *at);

/* Everything, soundness as well, when nobody else is there. */
void family_compare_last(family *run, family_member *at);
void family_forget_directories(family *run);

/* What a statement says that a lock is in the way of, or a table that asks for a ROLLBACK, which it gets. */
bool family_excuses(family *run, family_member *at, const char *rows);

#endif
