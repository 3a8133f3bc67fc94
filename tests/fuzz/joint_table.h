/* Tables of the joint target: of every element type, metric and router, with keys and columns of all kinds, each on
** a simulated disk at three stages of its life; and what their answers are compared with, a brute force over the shadow
** tables of the same snapshot.
*/
#ifndef SHX_TEST_FUZZ_JOINT_TABLE_H
#define SHX_TEST_FUZZ_JOINT_TABLE_H

#include "sql.h"

#include "../unit/sim_fs.h"

#define JOINT_FOLDER "/sim"
#define JOINT_DATABASE JOINT_FOLDER "/test.db"
#define JOINT_FILES_MAX 24
#define JOINT_KINDS 6

/* A life, its first half, and another way in which that went on. */
typedef enum joint_stage { JOINT_NOW, JOINT_OLDER, JOINT_PARTED, JOINT_STAGES } joint_stage;

typedef struct joint_disk {
    sim_image image;
    uint64_t count;
    char paths[JOINT_FILES_MAX][128]; /* the database first, those of the directory in order */
    fuzz_file files[JOINT_FILES_MAX];
} joint_disk;

typedef struct joint_kind {
    const char *vector, *roles[2]; /* declarations of the vector, and of n and p behind their types */
    const char *options, *function, *metric, *journal;
    uint32_t dim;
    bool bits, forgets; /* the ring of recent commits (ring.h) does not reach back to the beginning */
} joint_kind;

typedef struct joint_table {
    const joint_kind *kind;
    size_t vector_bytes;
    char *schema; /* how the table was declared */
    joint_disk disks[JOINT_STAGES];
} joint_table;

/* Kind `number` % JOINT_KINDS, made when a process first asks for it. */
const joint_table *joint_table_get(uint64_t number);

/* Whether the database has the table as it was declared. */
bool joint_table_is_in_place(const joint_table *table, sqlite3 *db);

/* Puts the database of one stage and the directory of another onto the disk. */
void joint_disk_load(const joint_table *table, joint_stage database, joint_stage directory);

/* Keeps names and contents of the files that are on the disk now (joint_disk_free); and gives a file its content. */
void joint_disk_keep(joint_disk *disk);
void joint_disk_free(joint_disk *disk);
void joint_put(const char *path, const fuzz_file *file);

/* A template as SQL (sqlite3_free): ! is what the shadow tables say, @ the same with `truth`, else the table; # is the
** name of the rowid in @, & the function that makes vectors, ~ vector number `vector`, $ and ^ numbers. */
char *joint_sql(const joint_kind *kind, const char *template, bool truth, uint64_t vector, uint64_t first,
                uint64_t second);

/* Runs a query that the input describes, or those for all rows. With `judged` the answers must be those of the
** truth. */
void joint_compare(const joint_table *table, sqlite3 *db, fuzz_input *input, bool judged);
void joint_compare_rows(const joint_table *table, sqlite3 *db, bool judged);

/* One change of rows that the input describes. With `judged` nothing but a conflict or a lock may be in its way. */
void joint_write(const joint_table *table, sqlite3 *db, fuzz_input *input, bool judged);

#endif
