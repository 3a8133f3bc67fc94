/* What a simulated disk holds: names and contents, in pages that copies share until one of them writes.
**
** An image is a value: copying one costs a few hundred reference counts. It is changed by operations, the same ones
** that a file system logs (sim_fs.h), so a disk as power loss leaves it is a start plus those operations that survived.
**
** Nothing here is thread-safe, and all memory comes from malloc: tests that fail allocations hit the code under test
** only.
*/
#ifndef SHX_TEST_SIM_IMAGE_H
#define SHX_TEST_SIM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_NONE UINT32_MAX

/* ---- names ---- */

/* The number of an absolute path; the path of a number; the number of the directory that it lies in. Names live until
** sim_names_clear. */
uint32_t sim_name(const char *path);
const char *sim_path(uint32_t name);
uint32_t sim_parent(uint32_t name);
void sim_names_clear(void);

/* ---- operations ---- */

typedef enum sim_kind {
    SIM_CREATE,         /* `name` means `inode` from now on */
    SIM_MAKE_DIRECTORY, /* the same, a directory */
    SIM_REMOVE,         /* `name` means nothing any more */
    SIM_WRITE,          /* `size` bytes at `offset` of `inode` */
    SIM_TRUNCATE,       /* `inode` is `size` bytes long */
    SIM_SYNC,           /* what was done to `inode` is durable */
    SIM_SYNC_DIRECTORY, /* what was done to names in the directory `name` is durable */
} sim_kind;

typedef enum sim_origin { SIM_SQLITE, SIM_STORE, SIM_ORIGINS } sim_origin;

/* One persistent operation. */
typedef struct sim_op {
    sim_kind kind;
    sim_origin origin; /* who asked for it: SQLite, or the engine's store */
    uint32_t inode, name;
    uint64_t offset, size;
    uint8_t *bytes;                /* of a write */
    int64_t started, acknowledged; /* COMMITs that had been given, and that had returned, when it was done */
} sim_op;

typedef struct sim_log {
    sim_op *ops;
    uint64_t count, capacity;
} sim_log;

void sim_log_free(sim_log *log);

/* ---- images ---- */

typedef struct sim_content sim_content;

typedef struct sim_entry {
    uint32_t name, inode;
} sim_entry;

typedef struct sim_image {
    sim_content **inodes; /* NULL: nothing is known of it */
    uint32_t inode_count, inode_capacity;
    sim_entry *entries;
    uint32_t entry_count, entry_capacity;
} sim_image;

void sim_image_copy(const sim_image *from, sim_image *ret_image);
void sim_image_free(sim_image *image);

/* Forgets contents without a name, and names whose directory has none: what is left can be reached. */
void sim_image_prune(sim_image *image);

/* A hash of all names and contents; equal for equal disks, whatever their inode numbers. */
uint64_t sim_image_hash(sim_image *image);

/* Applies an operation; syncs change nothing. */
void sim_image_apply(sim_image *image, const sim_op *op);

/* Applies the bytes [from, end) of a write. */
void sim_image_write(sim_image *image, uint32_t inode, uint64_t offset, const uint8_t *bytes, uint64_t size);

/* The inode of a name, SIM_NONE when there is none. */
uint32_t sim_image_find(const sim_image *image, uint32_t name);
uint64_t sim_image_size(const sim_image *image, uint32_t inode);
bool sim_image_is_directory(const sim_image *image, uint32_t inode);

/* Copies what lies inside the file; returns how many bytes that is. */
uint64_t sim_image_read(const sim_image *image, uint32_t inode, uint64_t offset, uint8_t *bytes, uint64_t size);

/* malloc and realloc that end the process instead of returning NULL. */
void *sim_alloc(uint64_t size);
void *sim_resize(void *block, uint64_t size);

#endif
