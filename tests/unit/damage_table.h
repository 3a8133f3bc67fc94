/* Small tables in the simulated file system, each with everything that a directory may hold, and the judge of what
** becomes of them when something is damaged: every question is answered as the ordinary twin answers it, at once, after
** a commit, after `rebuild`, and for whoever opens the database later.
*/
#ifndef SHX_TEST_DAMAGE_TABLE_H
#define SHX_TEST_DAMAGE_TABLE_H

#include "damage.h"
#include "sim_run.h"

#define DAMAGE_ASKS 10
#define DAMAGE_FILES_MAX 64
#define DAMAGE_PATH_MAX 160

/* A disk: the database and its directory. */
typedef struct damage_disk {
    sim_image image;
    uint32_t count;
    char paths[DAMAGE_FILES_MAX][DAMAGE_PATH_MAX]; /* of the files of the index, in order */
    damage_bytes files[DAMAGE_FILES_MAX];
} damage_disk;

/* What is known of one table. */
typedef struct damage_table {
    const char *options;                /* of its declaration */
    damage_disk now, older, parted;     /* at the end; an earlier state; the same table where it went another way */
    uint64_t before[DAMAGE_ASKS];       /* hashes of the answers */
    uint64_t after[DAMAGE_ASKS];        /* and behind the commit of damage_write */
    uint64_t states, noticed;           /* tried so far; in how many of them somebody noticed */
    int64_t blocks;                     /* of memory, when everything is closed */
} damage_table;

void damage_table_make(const char *options, damage_table *ret_table);
void damage_table_free(damage_table *table);

/* ---- the disk ---- */

/* Loads a disk into the simulation; replaces, makes or (NULL) removes a file there. */
void damage_load(const damage_disk *disk);
void damage_load_image(const sim_image *image);
void damage_put(const char *path, const damage_bytes *file);

/* ---- connections ---- */

sqlite3 *damage_open(void);
sqlite3 *damage_open_plain(void); /* without the extension */
void damage_close(sqlite3 *db);
void damage_run(sqlite3 *db, const char *sql);
int64_t damage_number(sqlite3 *db, const char *sql);

/* ---- judging ---- */

/* All questions have these answers. They are asked from number `first` on: what one of them finds is no danger to those
** behind it. */
void damage_ask(sqlite3 *db, const uint64_t answers[DAMAGE_ASKS], uint64_t first, const char *when);

/* How far a life goes. */
typedef enum damage_depth {
    DAMAGE_READ,    /* all questions, and the integrity check */
    DAMAGE_WRITTEN, /* a commit on top, the questions again, and for whoever opens the database later */
    DAMAGE_HEALED,  /* `rebuild` in the end */
} damage_depth;

/* The life of a table whose disk was damaged, asked from question `first` on. */
void damage_live(damage_table *table, uint64_t first, damage_depth depth);

#endif
