/* The write-ahead log: records "from commit P, these operations lead to commit C". Records form a tree; which branch is
** the table's history only the database's state row can tell. A transaction that did not commit is a dead branch.
**
** FORMAT of a WAL file: the common header (container.h), then records, each at a multiple of 64 and right after the one
** before. FORMAT of a record, offsets within it:
**
**     offset  size    meaning
**     0       8       magic "record\0\2"
**     8       8       length of the record, a multiple of 64
**     16      16      C, its own commit id
**     32      16      P, its parent's commit id
**     48      8       number of operations n
**     56      8       number of vectors m ≤ n (one for each INSERT and REPLACE, in their order)
**     64      8       offset of the operations, 128 + size of the bodies, rounded up to a multiple of 64
**     72      16      zero
**     88      8       XXH3-64 of the operations' bytes, seeded with the file id
**     96      16      zero
**     112     8       size of the bodies
**     120     8       XXH3-64 of the bytes 0 … 119, seeded with the record's offset in the file
**     128     …       m bodies, one for each INSERT and REPLACE: the vector in its element type (element.h), columns,
**                     packed (value.h), and zeros up to a multiple of 4
**     …       32 × n  operations: u8 kind, 3 zero bytes, u32 size of its columns, i64 rowid, u64 hash of the vector,
**                     u64 hash of the columns
**
** Bodies stand first and by themselves, so that those of a transaction which is too large for memory are written as
** they come (spill.h); what has to be known of all of them follows.
**
** A record is valid if and only if: (1) magic and header checksum match; (2) its length is what n and the size of the
** bodies make it, and ends inside the file; (3) the checksum of the operations matches, kinds are known, m of them
** have bodies, which fill their space, and columns consist of whole values; (4) every vector, and the columns where
** there are any, match their operation's hashes. (1) and (2) are tested when the file is scanned, (3) and (4) when it
** is loaded.
**
** Writer: the record's body first, its header last, never over what is there; a process appends only to a file that it
** holds the exclusive lock of and whose records are valid to the end, else it starts a new file. Reader: scans to the
** first invalid record, and comes back there when the file has grown: a bad tail is never taken for final.
*/
#ifndef SHX_WAL_H
#define SHX_WAL_H

#include "container.h"
#include "os.h"
#include "pending.h"
#include "progress.h"

#include <stdbool.h>

#define SHX_RECORD_BYTES 128
#define SHX_OPERATION_BYTES 32

/* Where a record stands and what its header says. */
typedef struct shx_wal_entry {
    shx_id commit, parent;
    uint64_t file, offset, length;
    uint64_t operation_count, vector_count, body_bytes;
} shx_wal_entry;

/* How far a WAL file is known. */
typedef struct shx_wal_extent {
    uint64_t file;
    uint64_t end;  /* of the records known; 0: nothing is */
    uint64_t size; /* of the file: more than `end` means a bad or unfinished tail */
} shx_wal_extent;

typedef shx_status (*shx_wal_visit)(void *context, const shx_wal_entry *entry);

/* Visits the records of a WAL file behind the extent and widens it up to the last valid one; a visit that does not
** return SHX_OK ends that and is what is returned. SHX_CORRUPT when the header is not that of this file. */
shx_status shx_wal_scan(shx_store *store, const shx_id *uuid, size_t vector_bytes, shx_wal_extent *extent,
                        shx_wal_visit visit, void *context);

/* Decodes a record header of a file of `size` bytes; SHX_CORRUPT unless it is valid ((1) and (2) above). */
shx_status shx_wal_header_check(const uint8_t bytes[SHX_RECORD_BYTES], uint64_t file, uint64_t offset, uint64_t size,
                                size_t vector_bytes, shx_wal_entry *ret_entry);

/* A loaded record: operations decoded one by one, vectors in place. */
typedef struct shx_wal_record {
    uint64_t operation_count;
    const uint8_t *operations;
    const uint8_t *bodies;
    size_t vector_bytes;
    shx_map map;   /* owner of the bytes, or */
    uint8_t *copy; /* owner of the bytes (shx_free_aligned) */
} shx_wal_record;

/* Loads and fully validates a record, which must still be what `entry` says, unless `stop` (may be NULL) ends that.
** Small ones are copied to the heap, large ones mapped. */
shx_status shx_wal_load(shx_store *store, const shx_wal_entry *entry, size_t vector_bytes, const shx_stop *stop,
                        shx_wal_record *ret_record);
void shx_wal_record_close(shx_wal_record *record);

/* Where a walk over the operations of a record stands; starts as zeros. */
typedef struct shx_wal_cursor {
    uint64_t operation, body; /* a number, and an offset among the bodies */
} shx_wal_cursor;

/* The next operation of a loaded record, which must have one more. */
shx_op shx_wal_next(const shx_wal_record *record, shx_wal_cursor *cursor);

/* An operation as it stands in a loaded record, and its body, if it has one; and its rowid only. */
static inline int64_t shx_wal_rowid(const uint8_t *operation) { return (int64_t)shx_get64(operation + 8); }

static inline shx_op shx_wal_operation(const uint8_t *operation, const uint8_t *body, size_t vector_bytes) {
    shx_op op = {.kind = (shx_op_kind)operation[0],
                 .rowid = shx_wal_rowid(operation),
                 .vector_hash = shx_get64(operation + 16),
                 .column_hash = shx_get64(operation + 24)};
    if (op.kind != SHX_OP_INSERT && op.kind != SHX_OP_REPLACE) return op;
    op.vector = body;
    op.columns = (shx_packed){body + vector_bytes, shx_get32(operation + 4)};
    return op;
}

/* Encodes one operation, without its vector. */
void shx_wal_put_operation(const shx_op *op, uint8_t bytes[SHX_OPERATION_BYTES]);

/* A WAL file that this process appends to. */
typedef struct shx_wal_writer shx_wal_writer;

/* Continues a file that was scanned if it can be locked and is still valid to its end; SHX_BUSY otherwise. */
shx_status shx_wal_continue(shx_store *store, const shx_wal_extent *extent, size_t vector_bytes,
                            shx_wal_writer **ret_writer);

/* Starts the new file `file`, locked. SHX_BUSY when the name exists. */
shx_status shx_wal_create(shx_store *store, const shx_id *uuid, uint64_t file, size_t vector_bytes,
                          shx_wal_writer **ret_writer);
void shx_wal_writer_close(shx_wal_writer *writer);

/* The file's id, and where its last finished record ends. */
uint64_t shx_wal_writer_file(const shx_wal_writer *writer);
uint64_t shx_wal_writer_end(const shx_wal_writer *writer);

/* Hands over the record at `entry` if it is the one that this writer has just written, and small: as shx_wal_load,
** without reading. False otherwise. */
bool shx_wal_take_image(shx_wal_writer *writer, const shx_wal_entry *entry, shx_wal_record *ret_record);

/* Appends a record in three steps: vectors and operations as they come, the header at the end. Until shx_wal_finish
** nothing is valid; after a failure or shx_wal_begin again the unfinished bytes are overwritten, which nobody has
** read. */
shx_status shx_wal_begin(shx_wal_writer *writer); /* SHX_NOTFOUND: the file was removed meanwhile */
shx_status shx_wal_put(shx_wal_writer *writer, const shx_op *op);
shx_status shx_wal_finish(shx_wal_writer *writer, const shx_id *commit, const shx_id *parent, shx_wal_entry *ret_entry);

/* The same with bodies that are written before their operations are known to stay: `bytes` become those from `at` on,
** and stand in the map when that is made. At the end shx_wal_begin_operations says how many bytes of bodies stay, what
** was written behind them is dead; shx_wal_note adds the operations in their order, which need no memory, and
** shx_wal_finish the rest. */
shx_status shx_wal_write_bodies(shx_wal_writer *writer, uint64_t at, const uint8_t *bytes, uint64_t size);
shx_status shx_wal_map_bodies(shx_wal_writer *writer, uint64_t at, uint64_t size, shx_map *ret_map);
shx_status shx_wal_begin_operations(shx_wal_writer *writer, uint64_t body_bytes);
shx_status shx_wal_note(shx_wal_writer *writer, const shx_op *op);

#endif
