/* Containers: the frame that all files of an index share, and the frame of the immutable ones.
**
** FORMAT of a file's header, 64 bytes, little-endian:
**
**     offset  size  meaning
**     0       8     magic "shardex\n"
**     8       4     format version, SHX_FORMAT_VERSION
**     12      4     kind of file (shx_file_kind)
**     16      16    uuid of the index
**     32      8     file id, as in the file's name
**     40      16    zero
**     56      8     XXH3-64 of the bytes 0 … 55
**
** WAL files go on in a way of their own (wal.h). Immutable files are containers:
**
**     64      4     number of sections n, at most SHX_SECTIONS_MAX
**     68      4     zero
**     72      8     size of the file, a multiple of 64
**     80      32×n  table of contents: u32 section id, u32 checked, u64 offset, u64 size, u64 checksum (XXH3-64 of the
**                   section, seeded with the file id; 0 where it is not checked or empty)
**     80+32n  8     XXH3-64 of the bytes 0 … 79+32n, seeded with the file id
**     …             the sections, in the order of the table, each at the next multiple of 64
**
** A container is valid if and only if: (1) the header's fields are as expected and its checksum matches; (2) the table
** fits the file and its checksum matches; (3) the file has the stated size; (4) the sections' ids are all different;
** (5) each section starts at a multiple of 64, at or after the end of what precedes it, and ends inside the file; (6)
** the checksum of every section marked as checked matches. Sections that are not marked are verified piece by piece by
** who owns them.
**
** Writer: sections first, in any order, header and table last: until then the file is not valid. A file is synced
** before anything names it. Where a file has large pages (SHX_LARGE_PAGE), zeros are written over each of them at once
** before anything in it: the page cache of file systems that can (Linux: xfs and btrfs, ext4 from 6.16 on) takes memory
** in pieces as large as the write that first comes to a place, and a mapping of such pieces is read with one entry of
** the processor's address cache instead of 512. Measured on 519,586 descriptors, whose search looks up some 300 places:
** 42 -> 36.5 us a query at recall 0.95, 73 -> 63 at 0.99. It costs one more copy of the file into the page cache.
**
** The table's checksum stands for the whole file: what it covers are checksums of the rest, or lead to them. So whoever
** names a file by id and checksum gets no other one, also where two copies of a directory went different ways under the
** same uuid and ids.
**
** | version | since | change |
** | 1       | 0.1.0 | first                                                |
** | 2       | 0.1.0 | filterable columns in WAL records and in segments    |
** | 3       | 0.1.0 | the factors of a block stand before its codes        |
** | 4       | 0.1.0 | bases name files by checksum, runs sum their rowids  |
** | 5       | 0.1.0 | calibrations: how theta grows under filters          |
** | 6       | 0.1.0 | runs know their scatter                              |
** | 7       | 0.1.0 | calibrations: the dimensions of directions           |
** | 8       | 0.1.0 | segments: vectors side by side by a key              |
*/
#ifndef SHX_CONTAINER_H
#define SHX_CONTAINER_H

#include "bytes.h"
#include "os.h"
#include "status.h"

#include <pthread.h>

#define SHX_FORMAT_VERSION 8
#define SHX_HEADER_BYTES 64
#define SHX_SECTIONS_MAX 32
#ifndef SHX_LARGE_PAGE
#define SHX_LARGE_PAGE (UINT64_C(1) << 21)
#endif

typedef enum shx_file_kind {
    SHX_FILE_WAL = 1,
    SHX_FILE_SEGMENT = 2,
    SHX_FILE_SHARDS = 3,
    SHX_FILE_BASE = 4,
} shx_file_kind;

#define SHX_FILE_NAME_MAX 32

/* Writes the name of a file, e.g. "segment-000000000000002a". */
void shx_file_name(shx_file_kind kind, uint64_t id, char ret_name[SHX_FILE_NAME_MAX]);

/* Reads a name back; false for foreign names. */
bool shx_file_name_parse(const char *name, shx_file_kind *ret_kind, uint64_t *ret_id);

/* Opens and removes the file of a kind and an id, as shx_file_open and shx_store_remove do by name. */
shx_status shx_file_open_id(shx_store *store, shx_file_kind kind, uint64_t id, shx_open_mode mode, shx_file **ret_file);
shx_status shx_file_remove_id(shx_store *store, shx_file_kind kind, uint64_t id);

/* Encodes and validates the common header. */
void shx_header_put(uint8_t bytes[SHX_HEADER_BYTES], shx_file_kind kind, const shx_id *uuid, uint64_t id);
shx_status shx_header_check(const uint8_t bytes[SHX_HEADER_BYTES], shx_file_kind kind, const shx_id *uuid, uint64_t id);

/* One row of the table of contents. Writers fill id, checked and size. */
typedef struct shx_section {
    uint32_t id;
    bool checked;
    uint64_t offset, size, checksum;
} shx_section;

/* A container being written. Errors stick: later calls are no-ops and shx_container_finish returns the first one.
** Threads may call shx_container_put at the same time. */
typedef struct shx_container_writer {
    shx_file *file;
    pthread_mutex_t mutex;
    shx_status status;
    shx_file_kind kind;
    shx_id uuid;
    uint64_t id, size;
    uint64_t checksum; /* of the table of contents, once finished */
    uint32_t count;
    shx_section sections[SHX_SECTIONS_MAX];
    uint64_t written[SHX_SECTIONS_MAX];
    uint64_t sent[SHX_SECTIONS_MAX]; /* bytes that are on their way to the disk */
    uint8_t *laid; /* per large page of the file: it was written whole, as zeros */
    uint64_t pages; /* whole ones in the file */
    uint8_t *zeros; /* a large page of them; NULL when there is none in the file */
} shx_container_writer;

/* Creates the file and lays out the sections. SHX_BUSY when the name exists. */
shx_status shx_container_create(shx_store *store, shx_file_kind kind, const shx_id *uuid, uint64_t id,
                                const shx_section *sections, uint32_t count, shx_container_writer *ret_writer);

/* Writes `size` bytes at `offset` of a section. A checked section is written whole, in one call; anything else, like
** bytes outside a section, is SHX_MISUSE. */
void shx_container_put(shx_container_writer *writer, uint32_t section_id, uint64_t offset, const void *bytes,
                       uint64_t size);

/* Maps a section of more than 0 bytes that has been written. */
shx_status shx_container_map(shx_container_writer *writer, uint32_t section_id, shx_map *ret_map);

/* Checks that exactly the declared bytes were written, writes header and table, syncs, closes. */
shx_status shx_container_finish(shx_container_writer *writer);

/* Closes without finishing: the file stays invalid. For error paths instead of shx_container_finish. */
void shx_container_abandon(shx_container_writer *writer);

/* A validated container, mapped. */
typedef struct shx_container {
    shx_map map;
    uint32_t count;
    shx_section sections[SHX_SECTIONS_MAX];
} shx_container;

/* Opens, maps and validates; SHX_NOTFOUND, SHX_CORRUPT, SHX_IO. */
shx_status shx_container_open(shx_store *store, shx_file_kind kind, const shx_id *uuid, uint64_t id,
                              shx_container *ret_container);
void shx_container_close(shx_container *container);

/* Validates container->map, a whole file in memory, and finds its sections (shx_container_open on bytes of any origin:
** for tests and fuzzing). */
shx_status shx_container_check(shx_container *container, shx_file_kind kind, const shx_id *uuid, uint64_t id);

/* The bytes of a section that must hold exactly count × size bytes; SHX_CORRUPT otherwise. */
shx_status shx_container_section(const shx_container *container, uint32_t section_id, uint64_t count, uint64_t size,
                                 const void **ret_bytes);

/* The checksum of the table of contents, which stands for the whole file. */
uint64_t shx_container_checksum(const shx_container *container);

/* The size of a section, 0 when there is none. */
uint64_t shx_container_section_size(const shx_container *container, uint32_t section_id);

#endif
