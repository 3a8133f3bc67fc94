/* The ring of recent commits: against a list that forgets nothing, and against bytes that are no ring. */
#include "fixture.h"

#include "memory.h"
#include "ring.h"

#include <stdlib.h>
#include <string.h>

#define COMMITS 3000
#define TOUCHED_MAX 6000

/* What really happened. */
typedef struct history {
    shx_id commits[COMMITS + 1];
    int64_t *rowids[COMMITS + 1]; /* of the operations that lead to it */
    size_t counts[COMMITS + 1];
    size_t length;
} history;

static shx_id an_id(fixture_random *random) {
    shx_id id;
    for (size_t i = 0; i < sizeof id.bytes; i++) id.bytes[i] = (uint8_t)fixture_below(random, 256);
    return id;
}

static int64_t a_rowid(fixture_random *random) {
    static const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, 1};
    if (fixture_below(random, 20) == 0) return edges[fixture_below(random, 5)];
    return (int64_t)fixture_below(random, 1000) - 100;
}

static void fill(shx_pending *pending, fixture_random *random, history *past, size_t count) {
    static const shx_id no_digest;
    float vector[2] = {1, 2};
    shx_pending_truncate(pending, 0);
    int64_t *rowids = past->rowids[past->length] = calloc(count + 1, sizeof *rowids);
    for (size_t i = 0; i < count; i++) {
        shx_op op = {.kind = (shx_op_kind)(1 + fixture_below(random, 4)), .rowid = a_rowid(random)};
        if (op.kind == SHX_OP_INSERT || op.kind == SHX_OP_REPLACE) op.vector = vector;
        assert_ok(shx_pending_append(pending, &op, &no_digest));
        if (op.kind != SHX_OP_TOUCH) rowids[past->counts[past->length]++] = op.rowid;
    }
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Every commit that the ring knows, and what has changed since each, is as it was. */
static void check(const shx_ring *ring, const history *past) {
    static shx_id commits[SHX_RING_COMMITS];
    static int64_t expected[COMMITS * 8 + TOUCHED_MAX];
    size_t known = shx_ring_commits(ring, commits), gathered = 0;
    assert_true(known < past->length);
    for (size_t p = 0; p < known; p++) {
        size_t at = past->length - 2 - p, unique = 0, count;
        assert_memory_equal(&commits[p], &past->commits[at], sizeof(shx_id));
        for (size_t i = 0; i < past->counts[at + 1]; i++) expected[gathered++] = past->rowids[at + 1][i];
        if (p % 7 != 0 && p != known - 1) continue;
        qsort(expected, gathered, sizeof *expected, compare);
        int64_t *rowids;
        assert_ok(shx_ring_changes(ring, p, &rowids, &count));
        for (size_t i = 0; i < gathered; i++) {
            if (i > 0 && expected[i] == expected[i - 1]) continue;
            assert_true(unique < count && rowids[unique] == expected[i]);
            unique++;
        }
        assert_int_equal(unique, count);
        shx_free(rowids);
    }
    shx_ring copy;
    assert_true(shx_ring_load(ring->bytes, SHX_RING_BYTES, &ring->tip, &copy));
    assert_memory_equal(&copy, ring, sizeof copy);
    assert_memory_equal(&ring->tip, &past->commits[past->length - 1], sizeof(shx_id));
}

static void run(const char *name, uint64_t seed, size_t commits, size_t most) {
    fixture_random random = fixture_seed(name, seed);
    history *past = calloc(1, sizeof *past);
    shx_pending *pending;
    shx_ring ring;
    size_t longest = 0;
    static shx_id known[SHX_RING_COMMITS];
    assert_ok(shx_pending_create(2, &pending));
    past->commits[0] = an_id(&random);
    past->length = 1;
    shx_ring_start(&ring, &past->commits[0]);
    for (size_t i = 0; i < commits; i++) {
        fill(pending, &random, past, fixture_below(&random, most + 1));
        past->commits[past->length++] = an_id(&random);
        shx_ring_add(&ring, pending, &past->commits[past->length - 1]);
        if (i % 10 == 0 || i + 1 == commits) check(&ring, past);
        size_t count = shx_ring_commits(&ring, known);
        if (count > longest) longest = count;
    }
    assert_true(longest > SHX_RING_BYTES / 20 / (most + 1));
    for (size_t i = 0; i < past->length; i++) free(past->rowids[i]);
    free(past);
    shx_pending_destroy(pending);
}

static void many_small_commits(void **state) {
    (void)state;
    run("small", 1, COMMITS, 1);
}

static void commits_of_all_sizes(void **state) {
    (void)state;
    run("sizes", 2, 500, 60);
}

/* What does not fit leaves a ring that knows nothing before it, and goes on from there. */
static void a_commit_too_large(void **state) {
    (void)state;
    fixture_random random = fixture_seed("too large", 3);
    history *past = calloc(1, sizeof *past);
    shx_pending *pending;
    shx_ring ring;
    shx_id commits[SHX_RING_COMMITS];
    assert_ok(shx_pending_create(2, &pending));
    const size_t sizes[] = {1, 5, TOUCHED_MAX, 1, 1};
    const size_t known[] = {1, 2, 0, 1, 2};
    past->commits[past->length++] = an_id(&random);
    shx_ring_start(&ring, &past->commits[0]);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill(pending, &random, past, sizes[i]);
        past->commits[past->length++] = an_id(&random);
        shx_ring_add(&ring, pending, &past->commits[past->length - 1]);
        assert_int_equal(shx_ring_commits(&ring, commits), known[i]);
        check(&ring, past);
    }
    shx_ring before = ring; /* adding the same commit again changes nothing */
    shx_ring_add(&ring, pending, &ring.tip);
    assert_memory_equal(&ring, &before, sizeof ring);
    for (size_t i = 0; i < past->length; i++) free(past->rowids[i]);
    free(past);
    shx_pending_destroy(pending);
}

static void seal(uint8_t bytes[SHX_RING_BYTES]) {
    size_t used = (size_t)bytes[0] | (size_t)bytes[1] << 8;
    if (used <= SHX_RING_ROOM) shx_put64(bytes + SHX_RING_ROOM, shx_hash64(bytes, used, 0));
}

/* Whatever stands in a state row is refused or read within its bounds; what is damaged is refused. */
static void bytes_that_are_no_ring(void **state) {
    (void)state;
    fixture_random random = fixture_seed("no ring", 4);
    history *past = calloc(1, sizeof *past);
    shx_pending *pending;
    shx_ring ring, loaded;
    shx_id commits[SHX_RING_COMMITS];
    assert_ok(shx_pending_create(2, &pending));
    past->commits[past->length++] = an_id(&random);
    shx_ring_start(&ring, &past->commits[0]);
    for (int i = 0; i < 300; i++) {
        free(past->rowids[past->length]);
        past->counts[past->length] = 0;
        fill(pending, &random, past, fixture_below(&random, 9));
        shx_id next = an_id(&random);
        shx_ring_add(&ring, pending, &next);
    }
    assert_false(shx_ring_load(NULL, 0, &ring.tip, &loaded));
    assert_false(shx_ring_load(ring.bytes, SHX_RING_BYTES - 1, &ring.tip, &loaded));
    assert_false(shx_ring_load(ring.bytes, SHX_RING_BYTES, &past->commits[0], &loaded));
    int accepted = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[SHX_RING_BYTES];
        memcpy(bytes, ring.bytes, sizeof bytes);
        for (uint64_t flips = 1 + fixture_below(&random, 4); flips > 0; flips--) {
            uint64_t at =
                fixture_below(&random, 4) == 0 ? fixture_below(&random, 20) : fixture_below(&random, sizeof bytes);
            bytes[at] ^= (uint8_t)(1 << fixture_below(&random, 8));
        }
        if (shx_ring_load(bytes, sizeof bytes, &ring.tip, &loaded)) { /* only what is not in use was hit, or nothing */
            assert_memory_equal(bytes, ring.bytes, (size_t)bytes[0] | (size_t)bytes[1] << 8);
        }
        seal(bytes);
        if (!shx_ring_load(bytes, sizeof bytes, &ring.tip, &loaded)) continue;
        size_t known = shx_ring_commits(&loaded, commits), count;
        int64_t *rowids;
        for (size_t p = 0; p < known; p += 50) {
            assert_ok(shx_ring_changes(&loaded, p, &rowids, &count));
            shx_free(rowids);
        }
        shx_ring_add(&loaded, pending, &past->commits[0]);
        accepted++;
    }
    assert_true(accepted > 0 && accepted < 20000);
    free(past->rowids[past->length]);
    free(past);
    shx_pending_destroy(pending);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_small_commits),
        cmocka_unit_test(commits_of_all_sizes),
        cmocka_unit_test(a_commit_too_large),
        cmocka_unit_test(bytes_that_are_no_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
