/* Pending: the operations of one write transaction that is not committed yet, in order.
**
** Owned by one connection and used in its thread only. Searches see it as an overlay (search.h); at xSync it becomes
** one WAL record and one commit id; a rollback to a savepoint truncates it, which cannot fail.
**
** A posting's body (vector and columns) is laid out as the WAL has it. Operations and bodies stand in the heap; of a
** transaction that is too large for it they move to files of its own (spill.h) and are used in place there, mapped.
** What stays in the heap for each operation is its place in a map of rowids: 5 to 11 bytes.
*/
#ifndef SHX_PENDING_H
#define SHX_PENDING_H

#include "bytes.h"
#include "os.h"
#include "status.h"
#include "value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum shx_op_kind {
    SHX_OP_INSERT = 1,  /* a posting with a rowid that no posting has */
    SHX_OP_REPLACE = 2, /* a posting that takes the place of the one with its rowid (vector or columns new) */
    SHX_OP_DELETE = 3,  /* the posting with this rowid goes */
    SHX_OP_TOUCH = 4,   /* only columns outside the index changed: a new commit id, nothing to index */
} shx_op_kind;

/* One row operation as the index sees it. */
typedef struct shx_op {
    shx_op_kind kind;
    int64_t rowid;
    uint64_t vector_hash, column_hash; /* the posting's fingerprint (INSERT, REPLACE), else 0 */
    const void *vector;                /* as stored (INSERT, REPLACE), else NULL */
    shx_packed columns;                /* the filterable ones (INSERT, REPLACE), else none */
} shx_op;

/* A posting's body: its vector, its columns, and zeros up to a multiple of SHX_BODY_ALIGN, so that the elements of
** each vector are aligned. */
#define SHX_BODY_ALIGN 4

static inline uint64_t shx_body_bytes(size_t vector_bytes, uint64_t column_bytes) {
    return shx_align(vector_bytes + column_bytes, SHX_BODY_ALIGN);
}

/* Lays the body of an operation that has a vector out at `at`; gives its size. */
uint64_t shx_body_put(const shx_op *op, size_t vector_bytes, uint8_t *at);

typedef struct shx_pending shx_pending;

/* `vector_bytes`: of one vector (shx_element_bytes). */
shx_status shx_pending_create(size_t vector_bytes, shx_pending **ret_pending);
void shx_pending_destroy(shx_pending *pending);

/* Makes sure that the next shx_pending_append, with at most `column_bytes` of columns, cannot fail: call it before the
** first shadow write of a row operation. */
shx_status shx_pending_reserve(shx_pending *pending, uint64_t column_bytes);

/* Appends an operation (vector and columns are copied) with its digest: the XXH3-128 of everything the operation
** stores (kind, rowid, every column with type tag and length, vector bytes), which the caller computes. */
shx_status shx_pending_append(shx_pending *pending, const shx_op *op, const shx_id *digest);

/* How many operations there are; and back to an earlier count, in time proportional to what is dropped. */
size_t shx_pending_count(const shx_pending *pending);
void shx_pending_truncate(shx_pending *pending, size_t count);

/* Vector and columns stay where they are until the next change of the list. */
shx_op shx_pending_op(const shx_pending *pending, size_t position);

/* How many postings the operations hold that are still alive (neither deleted nor replaced by a later one). */
size_t shx_pending_live(const shx_pending *pending);

/* True when some operation (INSERT, REPLACE, DELETE) concerns this rowid: then committed postings with it are
** hidden. */
bool shx_pending_hides(const shx_pending *pending, int64_t rowid);

/* True when the operation at `position` put a posting that is still alive. */
bool shx_pending_is_live(const shx_pending *pending, size_t position);

/* How many bytes of bodies stand in the heap, and with the operations there; in the spill, from the first body on; and
** how many operations do. */
uint64_t shx_pending_held(const shx_pending *pending);
uint64_t shx_pending_heap(const shx_pending *pending);
uint64_t shx_pending_spilled(const shx_pending *pending);
size_t shx_pending_spilled_count(const shx_pending *pending);

/* Bodies from byte `at` of them all on, or operations from `first` on, as many as stand in one piece, wherever it is;
** false behind the last one. An operation is SHX_PENDING_OP_BYTES of nobody's concern. */
#define SHX_PENDING_OP_BYTES 56
bool shx_pending_bodies(const shx_pending *pending, uint64_t at, const uint8_t **ret_bytes, uint64_t *ret_size);
bool shx_pending_operations(const shx_pending *pending, size_t first, const uint8_t **ret_bytes, uint64_t *ret_size);

/* Bodies that come from now on stand in a piece of their own: those before can be settled without them. */
void shx_pending_seal(shx_pending *pending);

/* The first operations, as many as `operations` holds, stand there now, and the bodies from byte `at` on, up to the
** end or to one behind a seal, in `bodies` (both taken over; none: size 0), where they are used from now on. `at`:
** where the heap's start, or 0 for all of them. The operations are those of these bodies and of all before. On failure
** (SHX_NOMEM) nothing has changed, and the maps are still the caller's. */
shx_status shx_pending_settle(shx_pending *pending, uint64_t at, const shx_map *bodies, const shx_map *operations);

/* No room for the bodies: all are dropped, and those that come are not kept, until the list is empty again. What the
** operations are is still known, their postings are to be looked up in the database. */
void shx_pending_drop_bodies(shx_pending *pending);
bool shx_pending_is_whole(const shx_pending *pending);

/* What the bodies' spill is to whoever made it; `release` is called when the list is empty again, when the bodies are
** dropped, and when another one is attached. Before bodies are given back `rest` is called, and then nobody else may
** look at any. */
void shx_pending_attach(shx_pending *pending, void *spill, void (*rest)(void *spill), void (*release)(void *spill));
void *shx_pending_spill(const shx_pending *pending);

/* The commit id of parent + these operations: XXH3-128 of the parent's id and the digests in order. With no
** operation it is the parent's id. */
shx_id shx_pending_commit_id(const shx_pending *pending, const shx_id *parent);

#endif
