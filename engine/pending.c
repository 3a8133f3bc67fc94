#include "pending.h"

#include "memory.h"
#include "planted.h"
#include "rowmap.h"

#include <assert.h>
#include <string.h>

/* Bodies live in pieces that are never moved, since operations point into them. */
#define PENDING_PIECE_BYTES (1u << 20)

/* More bytes than this that are freed at once go back to the system: a load must not leave its size behind. */
#define PENDING_TRIM_BYTES (UINT64_C(64) << 20)
#define PENDING_KEEP_OPERATIONS 100000 /* memory for so many is kept for the next transaction */

typedef struct pending_piece {
    uint8_t *bytes;
    uint64_t used, size;
} pending_piece;

/* A part of the spill: bodies from byte `at` of them all on. Of the last part only what lies before `spilled` is
** alive. */
typedef struct pending_part {
    shx_map map;
    uint64_t at;
} pending_part;

struct shx_pending {
    size_t vector_bytes;
    shx_op *ops;
    uint64_t op_capacity;
    shx_id *digests;
    uint64_t digest_capacity;
    size_t count, live;
    pending_piece *pieces; /* only the last ones may be empty */
    uint64_t piece_count, piece_capacity;
    uint64_t held; /* bytes used in pieces */
    pending_part *parts;
    uint64_t part_count, part_capacity;
    uint64_t spilled; /* bytes of bodies that stand in parts */
    bool dropped;     /* there was no room for the bodies */
    void *spill;
    void (*release)(void *spill);
    shx_rowmap latest; /* rowid → position of the last INSERT, REPLACE or DELETE */
};

uint64_t shx_body_put(const shx_op *op, size_t vector_bytes, uint8_t *at) {
    uint64_t size = shx_body_bytes(vector_bytes, op->columns.size), used = vector_bytes + op->columns.size;
    memcpy(at, op->vector, vector_bytes);
    if (op->columns.size) memcpy(at + vector_bytes, op->columns.bytes, op->columns.size);
    memset(at + used, 0, size - used);
    return size;
}

shx_status shx_pending_create(size_t vector_bytes, shx_pending **ret_pending) {
    shx_pending *pending = shx_alloc_zero(1, sizeof *pending);
    SHX_CHECK(pending, SHX_NOMEM);
    pending->vector_bytes = vector_bytes;
    *ret_pending = pending;
    return SHX_OK;
}

/* ---- bodies in the heap ---- */

static void pending_free_pieces(shx_pending *pending, uint64_t keep) {
    uint64_t freed = 0;
    while (pending->piece_count > keep) {
        pending_piece *piece = &pending->pieces[--pending->piece_count];
        pending->held -= piece->used;
        freed += piece->size;
        shx_free_aligned(piece->bytes);
    }
    if (freed > PENDING_TRIM_BYTES) shx_memory_trim();
}

static shx_status pending_reserve_body(shx_pending *pending, uint64_t size) {
    pending_piece *last = pending->piece_count ? &pending->pieces[pending->piece_count - 1] : NULL;
    if (last && last->size - last->used >= size) return SHX_OK;
    if (last && last->used == 0) pending_free_pieces(pending, pending->piece_count - 1);
    SHX_TRY(shx_grow((void **)&pending->pieces, &pending->piece_capacity, pending->piece_count + 1,
                     sizeof *pending->pieces));
    uint64_t room = size > PENDING_PIECE_BYTES ? size : PENDING_PIECE_BYTES;
    uint8_t *bytes = shx_alloc_aligned(room, 1);
    SHX_CHECK(bytes, SHX_NOMEM);
    pending->pieces[pending->piece_count++] = (pending_piece){.bytes = bytes, .size = room};
    return SHX_OK;
}

static bool pending_is_in(const void *from, const uint8_t *bytes, uint64_t size) {
    return (uintptr_t)from >= (uintptr_t)bytes && (uintptr_t)from < (uintptr_t)(bytes + size);
}

/* Gives the pieces back from the body at `from` on; false when that is in no piece, and then all are given back. */
static bool pending_cut_pieces(shx_pending *pending, const uint8_t *from) {
    uint64_t keep = pending->piece_count;
    while (keep > 0 && !pending_is_in(from, pending->pieces[keep - 1].bytes, pending->pieces[keep - 1].used)) keep--;
    pending_free_pieces(pending, keep);
    if (keep == 0) return false;
    pending_piece *last = &pending->pieces[keep - 1];
    pending->held -= last->used;
    last->used = (uint64_t)(from - last->bytes);
    pending->held += last->used;
    return true;
}

uint64_t shx_pending_held(const shx_pending *pending) { return pending->held; }

bool shx_pending_piece(const shx_pending *pending, uint64_t position, const uint8_t **ret_bytes, uint64_t *ret_size) {
    if (position >= pending->piece_count) return false;
    *ret_bytes = pending->pieces[position].bytes;
    *ret_size = pending->pieces[position].used;
    return true;
}

/* ---- bodies in the spill ---- */

static void pending_free_parts(shx_pending *pending) {
    while (pending->part_count) shx_map_release(&pending->parts[--pending->part_count].map);
    pending->spilled = 0;
}

/* Gives the parts back from the body at `from` on, which is in one of them. */
static void pending_cut_parts(shx_pending *pending, const uint8_t *from) {
    for (; pending->part_count; shx_map_release(&pending->parts[--pending->part_count].map)) {
        const pending_part *last = &pending->parts[pending->part_count - 1];
        if (!pending_is_in(from, last->map.bytes, last->map.size)) continue;
        pending->spilled = last->at + (uint64_t)(from - last->map.bytes);
        return;
    }
    pending->spilled = 0;
}

static void pending_release_spill(shx_pending *pending) {
    if (pending->release) pending->release(pending->spill);
    pending->spill = NULL;
    pending->release = NULL;
}

uint64_t shx_pending_spilled(const shx_pending *pending) { return pending->spilled; }

static bool pending_holds_vector(const shx_op *op) { return op->kind == SHX_OP_INSERT || op->kind == SHX_OP_REPLACE; }

/* Points the last operations at their bodies, which end with the map. */
static void pending_point_into(shx_pending *pending, const shx_map *map) {
    const uint8_t *at = map->bytes + map->size;
    for (size_t i = pending->count; i-- > 0 && at > map->bytes;) {
        shx_op *op = &pending->ops[i];
        if (!pending_holds_vector(op)) continue;
        at -= shx_body_bytes(pending->vector_bytes, op->columns.size);
        op->vector = at;
        if (op->columns.size) op->columns.bytes = at + pending->vector_bytes;
    }
    assert(at == map->bytes);
}

static shx_status pending_add_part(shx_pending *pending, const shx_map *map) {
    SHX_TRY(
        shx_grow((void **)&pending->parts, &pending->part_capacity, pending->part_count + 1, sizeof *pending->parts));
    pending->parts[pending->part_count] = (pending_part){*map, pending->spilled};
    return SHX_OK;
}

shx_status shx_pending_settle(shx_pending *pending, const shx_map *map) {
    assert(map->size == pending->held);
    SHX_TRY(pending_add_part(pending, map));
    pending->part_count++;
    pending->spilled += map->size;
    pending_point_into(pending, map);
    pending_free_pieces(pending, 0);
    return SHX_OK;
}

shx_status shx_pending_settle_all(shx_pending *pending, const shx_map *map) {
    assert(map->size == pending->spilled + pending->held);
    SHX_TRY(pending_add_part(pending, map));
    pending_point_into(pending, map);
    pending_part part = {*map, 0};
    pending_free_parts(pending);
    pending->parts[pending->part_count++] = part;
    pending->spilled = map->size;
    pending_free_pieces(pending, 0);
    return SHX_OK;
}

void shx_pending_drop_bodies(shx_pending *pending) {
    pending->dropped = true;
    for (size_t i = 0; i < pending->count; i++) {
        pending->ops[i].vector = NULL;
        pending->ops[i].columns = (shx_packed){0};
    }
    pending_free_pieces(pending, 0);
    pending_free_parts(pending);
    pending_release_spill(pending);
}

bool shx_pending_is_whole(const shx_pending *pending) { return !pending->dropped; }

void shx_pending_attach(shx_pending *pending, void *spill, void (*release)(void *spill)) {
    pending_release_spill(pending);
    pending->spill = spill;
    pending->release = release;
}

void *shx_pending_spill(const shx_pending *pending) { return pending->spill; }

/* ---- operations ---- */

static void pending_free_operations(shx_pending *pending) {
    shx_free(pending->ops);
    shx_free(pending->digests);
    pending->ops = NULL;
    pending->digests = NULL;
    pending->op_capacity = pending->digest_capacity = 0;
    shx_rowmap_free(&pending->latest);
}

void shx_pending_destroy(shx_pending *pending) {
    if (!pending) return;
    pending_free_pieces(pending, 0);
    pending_free_parts(pending);
    pending_release_spill(pending);
    shx_free(pending->pieces);
    shx_free(pending->parts);
    pending_free_operations(pending);
    shx_free(pending);
}

shx_status shx_pending_reserve(shx_pending *pending, uint64_t column_bytes) {
    SHX_CHECK(pending->count < UINT32_MAX - 1, SHX_FULL);
    SHX_TRY(shx_grow((void **)&pending->ops, &pending->op_capacity, pending->count + 1, sizeof *pending->ops));
    SHX_TRY(shx_grow((void **)&pending->digests, &pending->digest_capacity, pending->count + 1, sizeof(shx_id)));
    SHX_TRY(shx_rowmap_reserve(&pending->latest, 1));
    if (pending->dropped) return SHX_OK;
    return pending_reserve_body(pending, shx_body_bytes(pending->vector_bytes, column_bytes));
}

/* Notes the operation at `position` as the last one of its rowid and keeps `live` right. Cannot fail after a
** reserve. */
static void pending_note(shx_pending *pending, size_t position) {
    const shx_op *op = &pending->ops[position];
    if (op->kind == SHX_OP_TOUCH) return;
    uint32_t before;
    if (shx_rowmap_get(&pending->latest, op->rowid, &before) && pending_holds_vector(&pending->ops[before])) {
        pending->live--;
    }
    if (pending_holds_vector(op)) pending->live++;
    shx_status status = shx_rowmap_put(&pending->latest, op->rowid, (uint32_t)position);
    assert(status == SHX_OK);
    (void)status;
}

/* Copies the body and points the operation at the copy. Cannot fail after a reserve. */
static void pending_copy_body(shx_pending *pending, shx_op *op) {
    pending_piece *piece = &pending->pieces[pending->piece_count - 1];
    uint8_t *at = piece->bytes + piece->used;
    uint64_t size = shx_body_put(op, pending->vector_bytes, at);
    piece->used += size;
    pending->held += size;
    op->vector = at;
    if (op->columns.size) op->columns.bytes = at + pending->vector_bytes;
}

shx_status shx_pending_append(shx_pending *pending, const shx_op *op, const shx_id *digest) {
    SHX_TRY(shx_pending_reserve(pending, op->columns.size));
    shx_op *copy = &pending->ops[pending->count];
    *copy = *op;
    if (pending_holds_vector(op) && !pending->dropped) {
        pending_copy_body(pending, copy);
    } else {
        copy->vector = NULL;
        copy->columns = (shx_packed){0};
    }
    pending->digests[pending->count] = *digest;
    pending_note(pending, pending->count++);
    return SHX_OK;
}

size_t shx_pending_count(const shx_pending *pending) { return pending->count; }

/* The bodies of the operations from `count` on are given back. */
static void pending_cut_bodies(shx_pending *pending, size_t count) {
    while (count < pending->count && !pending->ops[count].vector) count++;
    if (count == pending->count) return;
    const uint8_t *from = pending->ops[count].vector;
    if (!pending_cut_pieces(pending, from)) pending_cut_parts(pending, from);
}

static void pending_empty(shx_pending *pending) {
    pending_free_pieces(pending, 1);
    pending_free_parts(pending);
    pending_release_spill(pending);
    pending->dropped = false;
    if (pending->op_capacity <= PENDING_KEEP_OPERATIONS) return;
    pending_free_operations(pending);
    shx_memory_trim();
}

/* What the dropped operations hid comes to light again, so the map is built anew from what stays. */
void shx_pending_truncate(shx_pending *pending, size_t count) {
    if (count >= pending->count) return;
    pending_cut_bodies(pending, count);
    pending->count = count;
    pending->live = 0;
    shx_rowmap_clear(&pending->latest);
    for (size_t i = 0; i < count; i++) pending_note(pending, i);
    if (count == 0) pending_empty(pending);
}

const shx_op *shx_pending_op(const shx_pending *pending, size_t position) {
    assert(position < pending->count);
    return &pending->ops[position];
}

size_t shx_pending_live(const shx_pending *pending) { return pending->live; }

bool shx_pending_hides(const shx_pending *pending, int64_t rowid) {
    uint32_t position;
    return shx_rowmap_get(&pending->latest, rowid, &position);
}

bool shx_pending_is_live(const shx_pending *pending, size_t position) {
    const shx_op *op = shx_pending_op(pending, position);
    uint32_t last;
    return pending_holds_vector(op) && shx_rowmap_get(&pending->latest, op->rowid, &last) && last == position;
}

/* The chain is folded pairwise, parent first: id = H(id, digest), so nothing has to be laid out in one piece. */
shx_id shx_pending_commit_id(const shx_pending *pending, const shx_id *parent) {
    shx_id pair[2] = {SHX_PLANTED(16) ? (shx_id){{0}} : *parent};
    for (size_t i = 0; i < pending->count; i++) {
        pair[1] = pending->digests[i];
        pair[0] = shx_hash128(pair, sizeof pair);
    }
    return pair[0];
}
