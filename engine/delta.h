/* The delta: what was committed since a base, in memory. An append-only log of operations with marks at each commit, so
** that views of any of its commits can be read while later ones are added.
**
** One writer at a time (the index, under its mutex), any number of readers without a lock: a reader holds a limit (a
** number of operations) and ignores what came later. Rows are never moved. A posting carries the number of the
** operation that killed it, in the delta as well as in the base's segments, and is dead for a view if and only if that
** number is within its limit.
*/
#ifndef SHX_DELTA_H
#define SHX_DELTA_H

#include "base.h"
#include "delta_codes.h"
#include "pending.h"
#include "rowmap.h"
#include "wal.h"

#include <stdatomic.h>

/* Where a posting of the delta stands: in a record, which is mapped or a copy in the heap. */
typedef struct shx_delta_place {
    const uint8_t *operation, *body;
} shx_delta_place;

/* A commit and where it stands: everything before these numbers belongs to it. */
typedef struct shx_delta_mark {
    shx_id commit;
    uint32_t operations; /* the limit of its views */
    uint32_t rows;
    uint64_t live_rows; /* of base and delta together */
} shx_delta_mark;

/* The dead postings of one segment of the base. */
typedef struct shx_dead {
    atomic_uint *mask;           /* one bit a lane, one word a block; NULL: none */
    _Atomic(atomic_uint *) when; /* per slot, as shx_delta.killed; NULL or 0: dead in the base already */
} shx_dead;

typedef struct shx_delta {
    atomic_uint references;
    shx_base *base;
    size_t vector_bytes;
    shx_delta_place *chunks[SHX_DELTA_CHUNKS];
    _Atomic(atomic_uint *) killed[SHX_DELTA_CHUNKS]; /* per posting 0: alive, else 1 + the position of the operation
                                                     ** that killed it; NULL: all of the chunk are alive */
    shx_delta_codes codes;
    uint32_t operation_count, row_count;
    uint64_t live_rows;
    shx_delta_mark *marks; /* ascending; the first one is the base itself */
    uint64_t mark_count, mark_capacity;
    shx_rowmap latest;  /* rowid → row of the delta */
    shx_rowmap commits; /* first 8 bytes of a commit id → mark */
    shx_dead dead[SHX_SEGMENTS_MAX];
    shx_wal_record *records; /* owners of the vectors */
    uint64_t record_count, record_capacity;
} shx_delta;

/* An empty delta over a base, of which it takes a reference. */
shx_status shx_delta_create(shx_base *base, shx_delta **ret_delta);
void shx_delta_retain(shx_delta *delta);
void shx_delta_release(shx_delta *delta);

/* Applies a record as the commit after the last mark and takes the record over (also on failure). After a failure
** the delta holds a part of the record beyond the last mark and must be dropped for new views; those that exist stay
** right. SHX_INTERRUPT when `stop` (may be NULL) has ended it. */
shx_status shx_delta_apply(shx_delta *delta, shx_wal_record *record, const shx_id *commit, const shx_stop *stop);

/* The mark of a commit; NULL when it is not here. */
const shx_delta_mark *shx_delta_find(const shx_delta *delta, const shx_id *commit);

/* The last mark. */
const shx_delta_mark *shx_delta_tip(const shx_delta *delta);

/* How much of the heap the delta has taken, without the records that are its vectors' owners. For its writer, as are
** the marks above. */
uint64_t shx_delta_bytes(const shx_delta *delta);

static inline const shx_delta_place *shx_delta_place_of(const shx_delta *delta, uint32_t position) {
    uint32_t offset, chunk = shx_delta_chunk(position, &offset);
    return &delta->chunks[chunk][offset];
}

/* Row `position` of the delta, as the operation that put it; and parts of it. */
static inline shx_op shx_delta_row_at(const shx_delta *delta, uint32_t position) {
    const shx_delta_place *place = shx_delta_place_of(delta, position);
    return shx_wal_operation(place->operation, place->body, delta->vector_bytes);
}

static inline const void *shx_delta_vector_at(const shx_delta *delta, uint32_t position) {
    return shx_delta_place_of(delta, position)->body;
}

static inline int64_t shx_delta_rowid_at(const shx_delta *delta, uint32_t position) {
    return shx_wal_rowid(shx_delta_place_of(delta, position)->operation);
}

static inline bool shx_delta_row_alive(const shx_delta *delta, uint32_t position, uint32_t limit) {
    uint32_t offset, chunk = shx_delta_chunk(position, &offset);
    const atomic_uint *numbers = atomic_load_explicit(&delta->killed[chunk], memory_order_acquire);
    uint32_t killed = numbers ? atomic_load_explicit(&numbers[offset], memory_order_acquire) : 0;
    return killed == 0 || killed > limit;
}

/* Whether no posting of a segment of the base is dead, for any limit that the caller may have. */
static inline bool shx_delta_all_alive(const shx_delta *delta, uint32_t segment) {
    return !delta->base->dead[segment] && !atomic_load_explicit(&delta->dead[segment].when, memory_order_acquire);
}

/* Which lanes of a block of a segment of the base are dead for a limit. */
static inline uint32_t shx_delta_dead(const shx_delta *delta, uint32_t segment, uint64_t block, uint32_t limit) {
    const shx_dead *dead = &delta->dead[segment];
    uint32_t mask = dead->mask ? atomic_load_explicit(&dead->mask[block], memory_order_acquire) : 0;
    if (mask == 0) return 0;
    atomic_uint *when = atomic_load_explicit(&dead->when, memory_order_acquire);
    if (!when) return mask;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        uint32_t killed = atomic_load_explicit(&when[block * SHX_BLOCK_ROWS + lane], memory_order_relaxed);
        if (killed > limit) mask &= ~(UINT32_C(1) << lane);
    }
    return mask;
}

#endif
