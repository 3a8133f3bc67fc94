#include "ring.h"

#include "../engine/memory.h"
#include "../engine/planted.h"
#include "../engine/rowid_order.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_ID_BYTES 16
#define RING_FIRST 18 /* where the entries begin */
#define RING_VARINT_MAX 10

/* One entry: a commit and where its rowids stand. */
typedef struct ring_entry {
    shx_id commit;
    uint64_t count;
    size_t rowids, end; /* offsets */
} ring_entry;

static size_t ring_used(const shx_ring *ring) { return (size_t)ring->bytes[0] | (size_t)ring->bytes[1] << 8; }

static void ring_set_used(shx_ring *ring, size_t used) {
    ring->bytes[0] = (uint8_t)used;
    ring->bytes[1] = (uint8_t)(used >> 8);
    memset(ring->bytes + used, 0, SHX_RING_ROOM - used);
}

static uint64_t ring_checksum(const shx_ring *ring) { return shx_hash64(ring->bytes, ring_used(ring), 0); }
static void ring_seal(shx_ring *ring) { shx_put64(ring->bytes + SHX_RING_ROOM, ring_checksum(ring)); }

/* ---- numbers ---- */

static size_t ring_put_varint(uint8_t *bytes, uint64_t value) {
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    return size;
}

/* Reads a varint at *at and moves behind it; false when it does not end before `end`. */
static bool ring_get_varint(const uint8_t *bytes, size_t end, size_t *at, uint64_t *ret_value) {
    uint64_t value = 0;
    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        *ret_value = value;
        return true;
    }
    return false;
}

/* Differences wrap around, so that any two rowids have one. */
static uint64_t ring_zigzag(uint64_t difference) { return difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0); }
static uint64_t ring_unzigzag(uint64_t coded) { return coded >> 1 ^ (coded & 1 ? UINT64_MAX : 0); }

/* ---- entries ---- */

/* Reads the entry at an offset, checking everything; false when it is none. */
static bool ring_read(const shx_ring *ring, size_t at, ring_entry *ret_entry) {
    size_t used = ring_used(ring);
    uint64_t ignored;
    ring_entry entry;
    if (used - at < RING_ID_BYTES) return false;
    memcpy(entry.commit.bytes, ring->bytes + at, RING_ID_BYTES);
    at += RING_ID_BYTES;
    if (!ring_get_varint(ring->bytes, used, &at, &entry.count)) return false;
    entry.rowids = at;
    for (uint64_t i = 0; i < entry.count; i++) {
        if (!ring_get_varint(ring->bytes, used, &at, &ignored)) return false;
    }
    entry.end = at;
    *ret_entry = entry;
    return true;
}

void shx_ring_start(shx_ring *ring, const shx_id *commit) {
    ring->tip = *commit;
    memcpy(ring->bytes + 2, commit->bytes, RING_ID_BYTES);
    ring_set_used(ring, RING_FIRST);
    ring_seal(ring);
}

bool shx_ring_load(const void *bytes, size_t size, const shx_id *tip, shx_ring *ret_ring) {
    if (!bytes || size != SHX_RING_BYTES) return false;
    memcpy(ret_ring->bytes, bytes, size);
    size_t used = ring_used(ret_ring);
    if (used < RING_FIRST || used > SHX_RING_ROOM) return false;
    if (shx_get64(ret_ring->bytes + SHX_RING_ROOM) != ring_checksum(ret_ring) && !SHX_PLANTED(53)) return false;
    memcpy(ret_ring->tip.bytes, ret_ring->bytes + 2, RING_ID_BYTES);
    ring_entry entry;
    for (size_t at = RING_FIRST; at < used; at = entry.end) {
        if (!ring_read(ret_ring, at, &entry)) return false;
        ret_ring->tip = entry.commit;
    }
    return shx_id_equal(&ret_ring->tip, tip) || SHX_PLANTED(31);
}

/* ---- adding ---- */

/* Encodes a commit; 0 when it does not fit beside the oldest id. */
static size_t ring_encode(const shx_pending *pending, const shx_id *commit, uint8_t bytes[SHX_RING_BYTES]) {
    uint64_t count = 0, before = 0;
    for (size_t i = 0; i < shx_pending_count(pending); i++) count += shx_pending_op(pending, i).kind != SHX_OP_TOUCH;
    memcpy(bytes, commit->bytes, RING_ID_BYTES);
    size_t size = RING_ID_BYTES + ring_put_varint(bytes + RING_ID_BYTES, count);
    for (size_t i = 0; i < shx_pending_count(pending); i++) {
        shx_op op = shx_pending_op(pending, i);
        if (op.kind == SHX_OP_TOUCH) continue;
        if (size > SHX_RING_ROOM - RING_FIRST - RING_VARINT_MAX) return 0;
        size += ring_put_varint(bytes + size, ring_zigzag((uint64_t)op.rowid - before));
        before = (uint64_t)op.rowid;
    }
    return size;
}

/* Drops the oldest commits until there is room for `size` more bytes. */
static void ring_make_room(shx_ring *ring, size_t size) {
    size_t used = ring_used(ring), kept = RING_FIRST;
    ring_entry entry = {.commit = {{0}}};
    while (used - kept + RING_FIRST + size > SHX_RING_ROOM) {
        bool read = ring_read(ring, kept, &entry);
        assert(read);
        (void)read;
        kept = entry.end;
    }
    if (kept == RING_FIRST) return;
    memcpy(ring->bytes + 2, entry.commit.bytes, RING_ID_BYTES);
    memmove(ring->bytes + RING_FIRST, ring->bytes + kept, used - kept);
    ring_set_used(ring, used - kept + RING_FIRST);
}

void shx_ring_add(shx_ring *ring, const shx_pending *pending, const shx_id *commit) {
    uint8_t bytes[SHX_RING_BYTES];
    if (shx_id_equal(commit, &ring->tip)) return;
    size_t size = ring_encode(pending, commit, bytes);
    if (size == 0) {
        shx_ring_start(ring, commit);
        return;
    }
    ring_make_room(ring, size);
    size_t used = ring_used(ring);
    memcpy(ring->bytes + used, bytes, size);
    ring_set_used(ring, used + size);
    ring_seal(ring);
    ring->tip = *commit;
}

/* ---- reading ---- */

size_t shx_ring_commits(const shx_ring *ring, shx_id ret_commits[SHX_RING_COMMITS]) {
    size_t used = ring_used(ring), count = 0;
    if (used == RING_FIRST) return 0;
    memcpy(ret_commits[count++].bytes, ring->bytes + 2, RING_ID_BYTES);
    ring_entry entry;
    for (size_t at = RING_FIRST; ring_read(ring, at, &entry) && entry.end < used; at = entry.end) {
        ret_commits[count++] = entry.commit;
    }
    for (size_t i = 0; i < count / 2; i++) {
        shx_id swapped = ret_commits[i];
        ret_commits[i] = ret_commits[count - 1 - i];
        ret_commits[count - 1 - i] = swapped;
    }
    return count;
}

static size_t ring_unique(int64_t *rowids, size_t count) {
    size_t kept = 0;
    qsort(rowids, count, sizeof *rowids, shx_rowid_compare);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || rowids[kept - 1] != rowids[i]) rowids[kept++] = rowids[i];
    }
    return kept;
}

shx_status shx_ring_changes(const shx_ring *ring, size_t position, int64_t **ret_rowids, size_t *ret_count) {
    size_t used = ring_used(ring), entries = 0, count = 0, number = 0;
    int64_t *rowids = shx_alloc(SHX_RING_BYTES * sizeof *rowids); /* each takes a byte at least */
    SHX_CHECK(rowids, SHX_NOMEM);
    ring_entry entry;
    for (size_t at = RING_FIRST; at < used && ring_read(ring, at, &entry); at = entry.end) entries++;
    for (size_t at = RING_FIRST; at < used && ring_read(ring, at, &entry); at = entry.end) {
        if (number++ + position + 1 < entries) continue;
        uint64_t rowid = 0, coded = 0;
        for (size_t next = entry.rowids; next < entry.end && ring_get_varint(ring->bytes, entry.end, &next, &coded);) {
            rowid += ring_unzigzag(coded);
            rowids[count++] = (int64_t)rowid;
        }
    }
    *ret_rowids = rowids;
    *ret_count = ring_unique(rowids, count);
    return SHX_OK;
}
