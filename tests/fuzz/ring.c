/* A ring of recent commits (ring.h), raw, with its checksum right: loaded, listed, and grown by commits.
**
** An input: where the tip stands (2 bytes), whether all bytes are there (a byte), how many commits are added (a byte,
** modulo 40), for each how many rowids it changes and how far apart they are (a byte each), then the ring.
*/
#include "fuzz.h"

#include "../../ext/ring.h"

#include "memory.h"

#include <string.h>

static void check_ring(const shx_ring *ring) {
    static shx_id commits[SHX_RING_COMMITS];
    size_t count = shx_ring_commits(ring, commits);
    fuzz_require(count <= SHX_RING_COMMITS);
    for (size_t i = 0; i < count; i++) {
        int64_t *rowids = NULL;
        size_t changes = 0;
        shx_status status = shx_ring_changes(ring, i, &rowids, &changes);
        fuzz_require(status == SHX_OK);
        for (size_t c = 1; c < changes; c++) fuzz_require(rowids[c - 1] < rowids[c]);
        shx_free(rowids);
    }
}

/* One more commit: it is the tip, and what comes out of the ring goes into one again. */
static void grow(shx_ring *ring, uint64_t number, uint64_t changes, uint64_t apart) {
    shx_pending *pending;
    shx_ring again;
    const shx_id commit = {{1, 2, 3, (uint8_t)number}};
    fuzz_require(shx_pending_create(4, &pending) == SHX_OK);
    for (uint64_t i = 0; i < 8 * changes; i++) {
        shx_op op = {.kind = SHX_OP_DELETE, .rowid = (int64_t)(i << apart % 64)};
        fuzz_require(shx_pending_append(pending, &op, &commit) == SHX_OK);
    }
    shx_ring_add(ring, pending, &commit);
    fuzz_require(shx_ring_load(ring->bytes, sizeof ring->bytes, &commit, &again));
    shx_pending_destroy(pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    static uint8_t bytes[SHX_RING_BYTES];
    shx_ring ring;
    fuzz_setup();
    /* The last commit is the tip; where it stands only a ring that ends there is told by. */
    shx_id tip = {{0}};
    uint64_t tip_at = fuzz_number(&input, 2);
    bool whole = fuzz_number(&input, 1) % 8 != 0;
    memset(bytes, 0, sizeof bytes);
    size_t used, growth;
    const uint64_t commits = fuzz_number(&input, 1) % 40;
    const uint8_t *grown = fuzz_bytes(&input, 2 * commits, &growth);
    const uint8_t *content = fuzz_bytes(&input, sizeof bytes, &used);
    if (used > 0) memcpy(bytes, content, used);
    memcpy(tip.bytes, bytes + tip_at % (sizeof bytes - sizeof tip), sizeof tip);
    fuzz_seal_ring(bytes, sizeof bytes);
    if (shx_ring_load(bytes, whole ? sizeof bytes : used, &tip, &ring)) {
        check_ring(&ring);
        for (size_t i = 0; i + 1 < growth; i += 2) grow(&ring, i, grown[i], grown[i + 1]);
        check_ring(&ring);
    }
    fuzz_finish();
    return 0;
}
