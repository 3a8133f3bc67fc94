#include "pending.h"

#include "memory.h"
#include "planted.h"
#include "rowmap.h"

#include <assert.h>
#include <string.h>

#define PENDING_PIECE_BYTES (1u << 20)

/* More bytes than this that are freed at once go back to the system: a load must not leave its size behind. */
#define PENDING_TRIM_BYTES (UINT64_C(64) << 20)
#define PENDING_KEEP_OPERATIONS 100000 /* memory for so many is kept for the next transaction */
#define PENDING_KEEP_SLOTS 262144      /* of the map of their rowids */

/* One operation as it is kept, in the heap or in the spill. */
typedef struct pending_op {
    int64_t rowid;
    uint64_t vector_hash, column_hash;
    uint64_t body : 56; /* where it stands among all bodies, one after the other; PENDING_NO_BODY: it has none */
    uint64_t kind : 8;
    shx_id digest;
    uint32_t column_bytes;
    uint32_t before; /* the position of the last one on the same rowid before it, or SHX_ROWMAP_NONE */
} pending_op;

#define PENDING_NO_BODY ((UINT64_C(1) << 56) - 1)

static_assert(sizeof(pending_op) == SHX_PENDING_OP_BYTES, "the spill is an array of them");

/* Bodies from byte `at` of them all on, as far as the next piece or the end: in the heap, or a mapped part of the
** spill. They are never moved while they are in the heap, since searches point into them. */
typedef struct pending_piece {
    const uint8_t *bytes;
    uint64_t at, size;
    uint8_t *heap; /* the same bytes, or NULL and: */
    shx_map map;
} pending_piece;

struct shx_pending {
    size_t vector_bytes;
    size_t count, live;
    shx_map spilled_ops; /* the first ones */
    size_t spilled_count;
    pending_op *ops; /* those that follow */
    uint64_t op_capacity;
    pending_piece *pieces; /* the first part_count are parts of the spill; only the last one may be empty */
    uint64_t piece_count, piece_capacity, part_count;
    uint64_t body_bytes, spilled; /* of all bodies, and how many of these stand in parts */
    bool dropped;                 /* there was no room for the bodies */
    void *spill;
    void (*rest)(void *spill), (*release)(void *spill);
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

/* ---- the list ---- */

static const pending_op *pending_at(const shx_pending *pending, size_t position) {
    if (position >= pending->spilled_count) return &pending->ops[position - pending->spilled_count];
    return (const pending_op *)(const void *)pending->spilled_ops.bytes + position;
}

static int64_t pending_key(const void *pending, uint32_t position) { return pending_at(pending, position)->rowid; }

static shx_rowmap_keys pending_keys(const shx_pending *pending) { return (shx_rowmap_keys){pending, pending_key}; }

static bool pending_holds_vector(uint32_t kind) { return kind == SHX_OP_INSERT || kind == SHX_OP_REPLACE; }

/* ---- bodies ---- */

/* Takes the pieces from `first` to `end` out. */
static void pending_take_pieces(shx_pending *pending, uint64_t first, uint64_t end) {
    uint64_t freed = 0;
    for (uint64_t i = first; i < end; i++) {
        pending_piece *piece = &pending->pieces[i];
        if (piece->heap) freed += piece->size;
        shx_free_aligned(piece->heap);
        shx_map_release(&piece->map);
    }
    if (end < pending->piece_count) {
        memmove(pending->pieces + first, pending->pieces + end, (pending->piece_count - end) * sizeof *pending->pieces);
    }
    pending->piece_count -= end - first;
    if (pending->part_count > first) pending->part_count = first;
    if (freed > PENDING_TRIM_BYTES) shx_memory_trim();
}

static void pending_free_pieces(shx_pending *pending, uint64_t keep) {
    if (pending->piece_count > keep) pending_take_pieces(pending, keep, pending->piece_count);
}

static shx_status pending_reserve_body(shx_pending *pending, uint64_t size) {
    bool any = pending->piece_count > pending->part_count;
    const pending_piece *last = any ? &pending->pieces[pending->piece_count - 1] : NULL;
    if (last && last->at + last->size - pending->body_bytes >= size) return SHX_OK;
    if (last && last->at == pending->body_bytes) pending_free_pieces(pending, pending->piece_count - 1);
    SHX_TRY(shx_grow((void **)&pending->pieces, &pending->piece_capacity, pending->piece_count + 1,
                     sizeof *pending->pieces));
    uint64_t room = size > PENDING_PIECE_BYTES ? size : PENDING_PIECE_BYTES;
    uint8_t *bytes = shx_alloc_aligned(room, 1);
    SHX_CHECK(bytes, SHX_NOMEM);
    pending->pieces[pending->piece_count++] =
        (pending_piece){.bytes = bytes, .at = pending->body_bytes, .size = room, .heap = bytes};
    return SHX_OK;
}

/* The number of the piece that holds byte `at` of all bodies. */
static uint64_t pending_find_piece(const shx_pending *pending, uint64_t at) {
    uint64_t low = 0, high = pending->piece_count;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (pending->pieces[middle].at <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

bool shx_pending_bodies(const shx_pending *pending, uint64_t at, const uint8_t **ret_bytes, uint64_t *ret_size) {
    if (at >= pending->body_bytes) return false;
    uint64_t number = pending_find_piece(pending, at);
    const pending_piece *piece = &pending->pieces[number];
    bool last = number + 1 == pending->piece_count;
    *ret_bytes = piece->bytes + (at - piece->at);
    *ret_size = (last ? pending->body_bytes : pending->pieces[number + 1].at) - at;
    return true;
}

/* Gives the bodies back from byte `at` on, where one starts. A piece of the heap that is empty then waits for more. */
static void pending_cut_pieces(shx_pending *pending, uint64_t at) {
    uint64_t number = pending_find_piece(pending, at);
    bool heap = number >= pending->part_count;
    pending_free_pieces(pending, heap || pending->pieces[number].at < at ? number + 1 : number);
    pending->body_bytes = at;
    if (pending->spilled > at) pending->spilled = at;
}

uint64_t shx_pending_held(const shx_pending *pending) { return pending->body_bytes - pending->spilled; }
uint64_t shx_pending_spilled(const shx_pending *pending) { return pending->spilled; }

/* ---- the spill ---- */

uint64_t shx_pending_heap(const shx_pending *pending) {
    return shx_pending_held(pending) + (pending->count - pending->spilled_count) * sizeof(pending_op);
}

size_t shx_pending_spilled_count(const shx_pending *pending) { return pending->spilled_count; }

bool shx_pending_operations(const shx_pending *pending, size_t first, const uint8_t **ret_bytes, uint64_t *ret_size) {
    if (first >= pending->count) return false;
    size_t end = first < pending->spilled_count ? pending->spilled_count : pending->count;
    *ret_bytes = (const uint8_t *)pending_at(pending, first);
    *ret_size = (end - first) * sizeof(pending_op);
    return true;
}

/* The first piece behind byte `end` of all bodies, where one begins or all end. */
static uint64_t pending_piece_behind(const shx_pending *pending, uint64_t end) {
    uint64_t number = 0;
    while (number < pending->piece_count && pending->pieces[number].at < end) number++;
    assert(number == pending->piece_count ? end == pending->body_bytes : pending->pieces[number].at == end);
    return number;
}

/* The first `count` operations stand in a map from now on. */
static void pending_settle_operations(shx_pending *pending, size_t count, const shx_map *operations) {
    pending_op *kept = pending->ops;
    if (kept && count < pending->count) {
        memmove(kept, kept + (count - pending->spilled_count), (pending->count - count) * sizeof *kept);
    }
    shx_map_release(&pending->spilled_ops);
    pending->spilled_ops = *operations;
    pending->spilled_count = count;
}

void shx_pending_seal(shx_pending *pending) {
    if (pending->piece_count == pending->part_count) return;
    pending_piece *last = &pending->pieces[pending->piece_count - 1];
    if (last->at < pending->body_bytes) last->size = pending->body_bytes - last->at;
}

shx_status shx_pending_settle(shx_pending *pending, uint64_t at, const shx_map *bodies, const shx_map *operations) {
    uint64_t first = at == 0 ? 0 : pending->part_count, end = at + bodies->size;
    size_t count = (size_t)(operations->size / sizeof(pending_op));
    assert((at == 0 || at == pending->spilled) && end <= pending->body_bytes);
    assert(count >= pending->spilled_count && count <= pending->count);
    SHX_TRY(shx_grow((void **)&pending->pieces, &pending->piece_capacity, pending->piece_count + 1,
                     sizeof *pending->pieces));
    pending_take_pieces(pending, first, pending_piece_behind(pending, end));
    if (bodies->size > 0) {
        pending_piece *place = pending->pieces + first;
        memmove(place + 1, place, (pending->piece_count - first) * sizeof *place);
        *place = (pending_piece){.bytes = bodies->bytes, .at = at, .size = bodies->size, .map = *bodies};
        pending->piece_count++;
    }
    pending->part_count = first + (bodies->size > 0);
    pending->spilled = end;
    pending_settle_operations(pending, count, operations);
    return SHX_OK;
}

/* Whoever looks at the bodies beside us stops that: they are about to go. */
static void pending_rest_spill(const shx_pending *pending) {
    if (pending->rest) pending->rest(pending->spill);
}

static void pending_release_spill(shx_pending *pending) {
    if (pending->release) pending->release(pending->spill);
    pending->spill = NULL;
    pending->rest = pending->release = NULL;
}

void shx_pending_drop_bodies(shx_pending *pending) {
    pending_rest_spill(pending);
    pending->dropped = true;
    pending_free_pieces(pending, 0);
    pending->body_bytes = pending->spilled = 0;
    pending_release_spill(pending);
}

bool shx_pending_is_whole(const shx_pending *pending) { return !pending->dropped; }

void shx_pending_attach(shx_pending *pending, void *spill, void (*rest)(void *spill), void (*release)(void *spill)) {
    pending_release_spill(pending);
    pending->spill = spill;
    pending->rest = rest;
    pending->release = release;
}

void *shx_pending_spill(const shx_pending *pending) { return pending->spill; }

/* ---- operations ---- */

static void pending_free_operations(shx_pending *pending) {
    shx_free(pending->ops);
    pending->ops = NULL;
    pending->op_capacity = 0;
    shx_rowmap_free(&pending->latest);
}

void shx_pending_destroy(shx_pending *pending) {
    if (!pending) return;
    pending_rest_spill(pending);
    pending_free_pieces(pending, 0);
    shx_map_release(&pending->spilled_ops);
    pending_release_spill(pending);
    shx_free(pending->pieces);
    pending_free_operations(pending);
    shx_free(pending);
}

shx_status shx_pending_reserve(shx_pending *pending, uint64_t column_bytes) {
    size_t kept = pending->count - pending->spilled_count;
    SHX_CHECK(pending->count < UINT32_MAX - 1, SHX_FULL);
    SHX_TRY(shx_grow((void **)&pending->ops, &pending->op_capacity, kept + 1, sizeof *pending->ops));
    SHX_TRY(shx_rowmap_reserve(&pending->latest, pending_keys(pending), 1));
    if (pending->dropped) return SHX_OK;
    return pending_reserve_body(pending, shx_body_bytes(pending->vector_bytes, column_bytes));
}

/* Notes the operation at the end as the last one of its rowid and keeps `live` right. Cannot fail after a reserve. */
static void pending_note(shx_pending *pending, pending_op *op) {
    if (op->kind == SHX_OP_TOUCH) return;
    uint32_t before;
    if (shx_rowmap_get(&pending->latest, pending_keys(pending), op->rowid, &before)) {
        op->before = before;
        if (pending_holds_vector(pending_at(pending, before)->kind)) pending->live--;
    }
    if (pending_holds_vector(op->kind)) pending->live++;
    shx_status status = shx_rowmap_put(&pending->latest, pending_keys(pending), (uint32_t)pending->count);
    assert(status == SHX_OK);
    (void)status;
}

/* The reverse: what it hid comes to light again. */
static void pending_undo(shx_pending *pending, size_t position) {
    const pending_op *op = pending_at(pending, position);
    if (op->kind == SHX_OP_TOUCH) return;
    bool again = op->before != SHX_ROWMAP_NONE && pending_holds_vector(pending_at(pending, op->before)->kind);
    if (pending_holds_vector(op->kind)) pending->live--;
    if (again) pending->live++;
    shx_rowmap_undo(&pending->latest, pending_keys(pending), (uint32_t)position, op->before);
}

/* Copies a body; gives its place among all bodies. Cannot fail after a reserve. */
static uint64_t pending_copy_body(shx_pending *pending, const shx_op *op) {
    const pending_piece *piece = &pending->pieces[pending->piece_count - 1];
    uint64_t at = pending->body_bytes;
    pending->body_bytes += shx_body_put(op, pending->vector_bytes, piece->heap + (at - piece->at));
    return at;
}

shx_status shx_pending_append(shx_pending *pending, const shx_op *op, const shx_id *digest) {
    SHX_TRY(shx_pending_reserve(pending, op->columns.size));
    bool bodied = pending_holds_vector(op->kind) && !pending->dropped;
    pending_op *kept = &pending->ops[pending->count - pending->spilled_count];
    *kept = (pending_op){.rowid = op->rowid,
                         .vector_hash = op->vector_hash,
                         .column_hash = op->column_hash,
                         .body = bodied ? pending_copy_body(pending, op) & PENDING_NO_BODY : PENDING_NO_BODY,
                         .kind = (uint8_t)op->kind,
                         .digest = *digest,
                         .column_bytes = bodied ? op->columns.size : 0,
                         .before = SHX_ROWMAP_NONE};
    pending_note(pending, kept);
    pending->count++;
    return SHX_OK;
}

size_t shx_pending_count(const shx_pending *pending) { return pending->count; }

/* The bodies of the operations from `count` on are given back. */
static void pending_cut_bodies(shx_pending *pending, size_t count) {
    while (count < pending->count && pending_at(pending, count)->body == PENDING_NO_BODY) count++;
    if (count < pending->count && !pending->dropped) pending_cut_pieces(pending, pending_at(pending, count)->body);
}

static void pending_empty(shx_pending *pending) {
    pending_free_pieces(pending, pending->part_count ? 0 : 1);
    shx_map_release(&pending->spilled_ops);
    pending_release_spill(pending);
    pending->dropped = false;
    if (pending->op_capacity <= PENDING_KEEP_OPERATIONS && pending->latest.capacity <= PENDING_KEEP_SLOTS) return;
    pending_free_operations(pending);
    shx_memory_trim();
}

/* Looks at the dropped operations only, however many stay. */
void shx_pending_truncate(shx_pending *pending, size_t count) {
    if (count >= pending->count) return;
    pending_rest_spill(pending);
    pending_cut_bodies(pending, count);
    if (count == 0) {
        shx_rowmap_clear(&pending->latest);
        pending->live = 0;
    }
    for (size_t i = pending->count; count > 0 && i > count; i--) pending_undo(pending, i - 1);
    pending->count = count;
    if (count < pending->spilled_count) pending->spilled_count = count;
    if (count == 0) pending_empty(pending);
}

shx_op shx_pending_op(const shx_pending *pending, size_t position) {
    assert(position < pending->count);
    const pending_op *kept = pending_at(pending, position);
    shx_op op = {.kind = (shx_op_kind)kept->kind,
                 .rowid = kept->rowid,
                 .vector_hash = kept->vector_hash,
                 .column_hash = kept->column_hash};
    if (kept->body == PENDING_NO_BODY || pending->dropped) return op;
    const pending_piece *piece = &pending->pieces[pending_find_piece(pending, kept->body)];
    const uint8_t *body = piece->bytes + (kept->body - piece->at);
    op.vector = body;
    if (kept->column_bytes) op.columns = (shx_packed){body + pending->vector_bytes, kept->column_bytes};
    return op;
}

size_t shx_pending_live(const shx_pending *pending) { return pending->live; }

bool shx_pending_hides(const shx_pending *pending, int64_t rowid) {
    uint32_t position;
    return shx_rowmap_get(&pending->latest, pending_keys(pending), rowid, &position);
}

bool shx_pending_is_live(const shx_pending *pending, size_t position) {
    assert(position < pending->count);
    const pending_op *op = pending_at(pending, position);
    uint32_t last;
    return pending_holds_vector(op->kind) &&
           shx_rowmap_get(&pending->latest, pending_keys(pending), op->rowid, &last) && last == position;
}

/* The chain is folded pairwise, parent first: id = H(id, digest), so nothing has to be laid out in one piece. */
shx_id shx_pending_commit_id(const shx_pending *pending, const shx_id *parent) {
    shx_id pair[2] = {SHX_PLANTED(16) ? (shx_id){{0}} : *parent};
    for (size_t i = 0; i < pending->count; i++) {
        pair[1] = pending_at(pending, i)->digest;
        pair[0] = shx_hash128(pair, sizeof pair);
    }
    return pair[0];
}
