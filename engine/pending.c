#include "pending.h"

#include "memory.h"
#include "rowmap.h"

#include <assert.h>
#include <string.h>

/* Vectors live in slabs that are never moved, since operations point into them. */
#define PENDING_SLAB_BYTES (1u << 20)

/* More slabs than this that are freed at once go back to the system: a load must not leave its size behind. */
#define PENDING_TRIM_SLABS 64

/* A block that packed columns are copied into; never moved, since operations point into it. */
typedef struct pending_text {
    struct pending_text *before;
    uint64_t used, size;
    uint8_t bytes[];
} pending_text;

#define PENDING_TEXT_BYTES (1u << 16)

struct shx_pending {
    size_t vector_bytes;
    shx_op *ops;
    uint64_t op_capacity;
    shx_id *digests;
    uint64_t digest_capacity;
    size_t count, live;
    uint8_t **slabs;
    uint64_t slab_capacity;
    size_t slab_count;   /* slabs allocated */
    size_t vector_count; /* vectors in use, in slab order */
    size_t vectors_per_slab;
    pending_text *texts; /* packed columns, the newest first */
    shx_rowmap latest;   /* rowid → position of the last INSERT, REPLACE or DELETE */
};

shx_status shx_pending_create(size_t vector_bytes, shx_pending **ret_pending) {
    shx_pending *pending = shx_alloc_zero(1, sizeof *pending);
    SHX_CHECK(pending, SHX_NOMEM);
    pending->vector_bytes = vector_bytes;
    pending->vectors_per_slab = vector_bytes < PENDING_SLAB_BYTES ? PENDING_SLAB_BYTES / vector_bytes : 1;
    *ret_pending = pending;
    return SHX_OK;
}

static void pending_free_slabs(shx_pending *pending, size_t keep) {
    bool much = pending->slab_count > keep + PENDING_TRIM_SLABS;
    while (pending->slab_count > keep) shx_free_aligned(pending->slabs[--pending->slab_count]);
    if (much) shx_memory_trim();
}

static bool pending_text_holds(const pending_text *text, const uint8_t *bytes) {
    return (uintptr_t)bytes >= (uintptr_t)text->bytes && (uintptr_t)bytes < (uintptr_t)(text->bytes + text->size);
}

/* Frees what was taken from `from` on; NULL: everything. */
static void pending_free_texts(shx_pending *pending, const uint8_t *from) {
    while (pending->texts && !(from && pending_text_holds(pending->texts, from))) {
        pending_text *before = pending->texts->before;
        shx_free(pending->texts);
        pending->texts = before;
    }
    if (pending->texts) pending->texts->used = (uint64_t)(from - pending->texts->bytes);
}

/* The columns of the operations from `count` on are given back. */
static void pending_rewind_texts(shx_pending *pending, size_t count) {
    while (count < pending->count && pending->ops[count].columns.size == 0) count++;
    if (count < pending->count) pending_free_texts(pending, pending->ops[count].columns.bytes);
}

void shx_pending_destroy(shx_pending *pending) {
    if (!pending) return;
    pending_free_slabs(pending, 0);
    pending_free_texts(pending, NULL);
    shx_free(pending->slabs);
    shx_free(pending->ops);
    shx_free(pending->digests);
    shx_rowmap_free(&pending->latest);
    shx_free(pending);
}

static shx_status pending_reserve_text(shx_pending *pending, uint64_t size) {
    pending_text *text = pending->texts;
    if (text ? text->size - text->used >= size : size == 0) return SHX_OK;
    uint64_t room = size > PENDING_TEXT_BYTES ? size : PENDING_TEXT_BYTES;
    text = shx_alloc(sizeof *text + room);
    SHX_CHECK(text, SHX_NOMEM);
    *text = (pending_text){.before = pending->texts, .size = room};
    pending->texts = text;
    return SHX_OK;
}

shx_status shx_pending_reserve(shx_pending *pending, uint64_t column_bytes) {
    SHX_TRY(pending_reserve_text(pending, column_bytes));
    SHX_CHECK(pending->count < UINT32_MAX - 1, SHX_FULL);
    SHX_TRY(shx_grow((void **)&pending->ops, &pending->op_capacity, pending->count + 1, sizeof *pending->ops));
    SHX_TRY(shx_grow((void **)&pending->digests, &pending->digest_capacity, pending->count + 1, sizeof(shx_id)));
    SHX_TRY(shx_rowmap_reserve(&pending->latest, 1));
    if (pending->vector_count < pending->slab_count * pending->vectors_per_slab) return SHX_OK;
    SHX_TRY(shx_grow((void **)&pending->slabs, &pending->slab_capacity, pending->slab_count + 1, sizeof(uint8_t *)));
    uint8_t *slab = shx_alloc_aligned(pending->vectors_per_slab, pending->vector_bytes);
    SHX_CHECK(slab, SHX_NOMEM);
    pending->slabs[pending->slab_count++] = slab;
    return SHX_OK;
}

static bool pending_holds_vector(const shx_op *op) { return op->kind == SHX_OP_INSERT || op->kind == SHX_OP_REPLACE; }

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

/* Cannot fail after a reserve. */
static shx_packed pending_copy_columns(shx_pending *pending, const shx_packed *columns) {
    if (columns->size == 0) return (shx_packed){0};
    pending_text *text = pending->texts;
    uint8_t *bytes = text->bytes + text->used;
    memcpy(bytes, columns->bytes, columns->size);
    text->used += columns->size;
    return (shx_packed){bytes, columns->size};
}

shx_status shx_pending_append(shx_pending *pending, const shx_op *op, const shx_id *digest) {
    SHX_TRY(shx_pending_reserve(pending, op->columns.size));
    shx_op copy = *op;
    if (pending_holds_vector(op)) {
        size_t slab = pending->vector_count / pending->vectors_per_slab;
        size_t place = pending->vector_count % pending->vectors_per_slab;
        uint8_t *vector = pending->slabs[slab] + place * pending->vector_bytes;
        memcpy(vector, op->vector, pending->vector_bytes);
        copy.vector = vector;
        pending->vector_count++;
        copy.columns = pending_copy_columns(pending, &op->columns);
    }
    pending->ops[pending->count] = copy;
    pending->digests[pending->count] = *digest;
    pending_note(pending, pending->count++);
    return SHX_OK;
}

size_t shx_pending_count(const shx_pending *pending) { return pending->count; }

/* What the dropped operations hid comes to light again, so the map is built anew from what stays. */
void shx_pending_truncate(shx_pending *pending, size_t count) {
    if (count >= pending->count) return;
    pending_rewind_texts(pending, count);
    pending->count = count;
    pending->live = 0;
    pending->vector_count = 0;
    shx_rowmap_clear(&pending->latest);
    for (size_t i = 0; i < count; i++) {
        pending_note(pending, i);
        if (pending_holds_vector(&pending->ops[i])) pending->vector_count++;
    }
    pending_free_slabs(pending, pending->vector_count / pending->vectors_per_slab + 1);
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
    shx_id pair[2] = {*parent};
    for (size_t i = 0; i < pending->count; i++) {
        pair[1] = pending->digests[i];
        pair[0] = shx_hash128(pair, sizeof pair);
    }
    return pair[0];
}
