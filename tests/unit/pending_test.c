/* The operations of one transaction: what hides what, savepoints, and commit ids. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static shx_id digest_of(const shx_op *op) {
    uint64_t content[3] = {op->kind, (uint64_t)op->rowid, op->vector_hash};
    return shx_hash128(content, sizeof content);
}

static void append(shx_pending *pending, shx_op_kind kind, int64_t rowid, const float *vector) {
    shx_op op = {.kind = kind, .rowid = rowid, .vector_hash = (uint64_t)rowid * 3, .column_hash = 4, .vector = vector};
    shx_id digest = digest_of(&op);
    assert_ok(shx_pending_append(pending, &op, &digest));
}

static void operations_hide_and_live(void **state) {
    (void)state;
    shx_pending *pending;
    float vector[3] = {1, 2, 3};
    assert_ok(shx_pending_create(3 * sizeof(float), &pending));
    assert_false(shx_pending_hides(pending, 1));
    append(pending, SHX_OP_INSERT, 1, vector);
    append(pending, SHX_OP_REPLACE, 1, vector);
    append(pending, SHX_OP_DELETE, 2, NULL);
    append(pending, SHX_OP_TOUCH, 3, NULL);
    append(pending, SHX_OP_INSERT, 4, vector);
    append(pending, SHX_OP_DELETE, 4, NULL);
    append(pending, SHX_OP_TOUCH, 1, NULL);
    assert_int_equal(shx_pending_count(pending), 7);
    assert_int_equal(shx_pending_live(pending), 1);
    const bool hidden[] = {false, true, true, false, true};
    for (int64_t rowid = 0; rowid < 5; rowid++) assert_int_equal(shx_pending_hides(pending, rowid), hidden[rowid]);
    const bool live[] = {false, true, false, false, false, false, false};
    for (size_t i = 0; i < 7; i++) assert_int_equal(shx_pending_is_live(pending, i), live[i]);
    shx_pending_destroy(pending);
    shx_pending_destroy(NULL);
}

static void vectors_are_copied_and_stay(void **state) {
    (void)state;
    enum { DIM = 5000, ROWS = 300 }; /* several slabs */
    shx_pending *pending;
    float *vector = calloc(DIM, sizeof *vector);
    assert_ok(shx_pending_create(DIM * sizeof(float), &pending));
    for (int i = 0; i < ROWS; i++) {
        vector[0] = (float)i;
        vector[DIM - 1] = (float)-i;
        append(pending, SHX_OP_INSERT, i, vector);
    }
    const float *first = shx_pending_op(pending, 0).vector;
    for (int i = 0; i < ROWS; i++) {
        shx_op op = shx_pending_op(pending, (size_t)i);
        assert_true(((const float *)op.vector)[0] == (float)i && ((const float *)op.vector)[DIM - 1] == (float)-i &&
                    op.rowid == i);
    }
    assert_ptr_equal(first, shx_pending_op(pending, 0).vector);
    shx_pending_destroy(pending);
    free(vector);
}

static void a_truncation_brings_back_what_was_hidden(void **state) {
    (void)state;
    shx_pending *pending;
    float a = 1, b = 2;
    assert_ok(shx_pending_create(1 * sizeof(float), &pending));
    append(pending, SHX_OP_INSERT, 1, &a);
    append(pending, SHX_OP_DELETE, 1, NULL);
    append(pending, SHX_OP_INSERT, 1, &b);
    append(pending, SHX_OP_DELETE, 9, NULL);
    shx_pending_truncate(pending, 9); /* beyond the end: nothing */
    assert_int_equal(shx_pending_count(pending), 4);
    shx_pending_truncate(pending, 3);
    assert_false(shx_pending_hides(pending, 9));
    assert_true(shx_pending_is_live(pending, 2));
    shx_pending_truncate(pending, 2);
    assert_int_equal(shx_pending_live(pending), 0);
    assert_true(shx_pending_hides(pending, 1));
    shx_pending_truncate(pending, 1);
    assert_int_equal(shx_pending_live(pending), 1);
    assert_true(shx_pending_is_live(pending, 0) && *(const float *)shx_pending_op(pending, 0).vector == a);
    append(pending, SHX_OP_INSERT, 2, &b);
    assert_true(*(const float *)shx_pending_op(pending, 1).vector == b &&
                *(const float *)shx_pending_op(pending, 0).vector == a);
    shx_pending_destroy(pending);
}

static void a_commit_id_is_its_operations(void **state) {
    (void)state;
    shx_pending *one, *other;
    shx_id parent = {{1, 2, 3}}, elsewhere = {{1, 2, 4}};
    float vector = 5;
    assert_ok(shx_pending_create(1 * sizeof(float), &one));
    assert_ok(shx_pending_create(1 * sizeof(float), &other));
    shx_id none = shx_pending_commit_id(one, &parent);
    assert_memory_equal(&none, &parent, sizeof none);
    append(one, SHX_OP_INSERT, 1, &vector);
    shx_id first = shx_pending_commit_id(one, &parent);
    append(one, SHX_OP_DELETE, 2, NULL);
    append(other, SHX_OP_INSERT, 1, &vector);
    append(other, SHX_OP_INSERT, 7, &vector);
    shx_pending_truncate(other, 1);
    append(other, SHX_OP_DELETE, 2, NULL);
    shx_id a = shx_pending_commit_id(one, &parent), b = shx_pending_commit_id(other, &parent);
    assert_memory_equal(&a, &b, sizeof a); /* what was rolled back leaves no trace */
    b = shx_pending_commit_id(one, &elsewhere);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &first, sizeof a);
    shx_pending_truncate(other, 0);
    append(other, SHX_OP_DELETE, 2, NULL);
    append(other, SHX_OP_INSERT, 1, &vector);
    b = shx_pending_commit_id(other, &parent);
    assert_memory_not_equal(&a, &b, sizeof a); /* the order counts */
    shx_pending_destroy(one);
    shx_pending_destroy(other);
}

/* Documented in pending.h: folded pairwise, the parent first. */
static void a_commit_id_folds_pairwise(void **state) {
    (void)state;
    shx_pending *pending;
    shx_id parent = {{42}};
    assert_ok(shx_pending_create(1 * sizeof(float), &pending));
    append(pending, SHX_OP_DELETE, 1, NULL);
    append(pending, SHX_OP_DELETE, 2, NULL);
    shx_id pair[2] = {parent};
    for (size_t i = 0; i < 2; i++) {
        shx_op op = shx_pending_op(pending, i);
        pair[1] = digest_of(&op);
        pair[0] = shx_hash128(pair, sizeof pair);
    }
    shx_id commit = shx_pending_commit_id(pending, &parent);
    assert_memory_equal(&commit, &pair[0], sizeof commit);
    shx_pending_destroy(pending);
}

#define MODEL_ROWS 40
#define MODEL_OPS 400

/* The last operation of each rowid among the first `count`, or -1. */
static int last_of(const shx_pending *pending, size_t count, int64_t rowid) {
    int last = -1;
    for (size_t i = 0; i < count; i++) {
        shx_op op = shx_pending_op(pending, i);
        if (op.rowid == rowid && op.kind != SHX_OP_TOUCH) last = (int)i;
    }
    return last;
}

static void check_against_its_list(const shx_pending *pending) {
    size_t count = shx_pending_count(pending), live = 0;
    for (int64_t rowid = 0; rowid < MODEL_ROWS; rowid++) {
        assert_int_equal(shx_pending_hides(pending, rowid), last_of(pending, count, rowid) >= 0);
    }
    for (size_t i = 0; i < count; i++) {
        shx_op op = shx_pending_op(pending, i);
        bool is_live = op.vector && last_of(pending, count, op.rowid) == (int)i;
        assert_int_equal(shx_pending_is_live(pending, i), is_live);
        live += is_live;
        if (op.vector) assert_true(((const float *)op.vector)[0] == (float)op.rowid);
    }
    assert_int_equal(shx_pending_live(pending), live);
}

static void random_operations_and_rollbacks(void **state) {
    (void)state;
    fixture_random random = fixture_seed("pending", 5);
    shx_pending *pending;
    assert_ok(shx_pending_create(1 * sizeof(float), &pending));
    for (int step = 0; step < MODEL_OPS; step++) {
        int64_t rowid = (int64_t)fixture_below(&random, MODEL_ROWS);
        float vector = (float)rowid;
        shx_op_kind kind = (shx_op_kind)(SHX_OP_INSERT + fixture_below(&random, 4));
        append(pending, kind, rowid, kind <= SHX_OP_REPLACE ? &vector : NULL);
        if (fixture_below(&random, 8) == 0) {
            shx_pending_truncate(pending, fixture_below(&random, shx_pending_count(pending) + 1));
        }
        if (step % 7 == 0) check_against_its_list(pending);
    }
    shx_pending_destroy(pending);
}

/* ---- moving to a spill ---- */

static int maps_open;

static void release_map(shx_map *map) {
    maps_open--;
    free(map->owner);
}

static shx_map take_map(uint8_t *bytes, uint64_t size) {
    static const shx_store_ops ops = {.map_release = release_map};
    maps_open++;
    return (shx_map){bytes, size, bytes, size, &ops};
}

/* Where a list may be cut into what is settled and what is not: behind so many operations and bytes of bodies. */
typedef struct seal {
    size_t operations;
    uint64_t bodies;
} seal;

static seal make_seal(shx_pending *pending) {
    shx_pending_seal(pending);
    return (seal){shx_pending_count(pending), shx_pending_spilled(pending) + shx_pending_held(pending)};
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Operations up to the seal, and bodies from the heap's on, or all of them, stand elsewhere from now on. */
static void settle_until(shx_pending *pending, bool all, seal until) {
    uint64_t from = all ? 0 : shx_pending_spilled(pending), at = from, size;
    uint64_t end = until.operations * SHX_PENDING_OP_BYTES;
    uint8_t *bodies = malloc(until.bodies - from + 1), *operations = malloc(end + 1);
    const uint8_t *bytes;
    assert_non_null(bodies);
    assert_non_null(operations);
    for (; at < until.bodies && shx_pending_bodies(pending, at, &bytes, &size); at += size) {
        assert_true(size <= until.bodies - at);
        memcpy(bodies + (at - from), bytes, size);
    }
    shx_map body_map = at > from ? take_map(bodies, at - from) : (shx_map){0};
    if (at == from) free(bodies);
    for (at = 0; at < end && shx_pending_operations(pending, at / SHX_PENDING_OP_BYTES, &bytes, &size); at += size) {
        size = least(size, end - at);
        memcpy(operations + at, bytes, size);
    }
    shx_map operation_map = take_map(operations, at);
    assert_ok(shx_pending_settle(pending, from, &body_map, &operation_map));
    assert_int_equal(shx_pending_spilled(pending), until.bodies);
    assert_int_equal(shx_pending_spilled_count(pending), until.operations);
}

static void settle(shx_pending *pending, bool all) {
    settle_until(pending, all, make_seal(pending));
    assert_int_equal(shx_pending_heap(pending), 0);
}

/* Twins: one of them moves out of the heap now and then, at different places, all of it or what was there a while ago,
** and is cut back before and after. */
static void what_has_moved_stays_the_same(void **state) {
    (void)state;
    fixture_random random = fixture_seed("pending settled", 6);
    shx_pending *pair[2];
    shx_id parent = {{7}};
    bool sealed = false;
    seal until = {0};
    for (int p = 0; p < 2; p++) assert_ok(shx_pending_create(1 * sizeof(float), &pair[p]));
    for (int step = 0; step < 4 * MODEL_OPS; step++) {
        int64_t rowid = (int64_t)fixture_below(&random, MODEL_ROWS);
        float vector = (float)rowid;
        shx_op_kind kind = (shx_op_kind)(SHX_OP_INSERT + fixture_below(&random, 4));
        size_t count = fixture_below(&random, shx_pending_count(pair[0]) + 1);
        bool cut = fixture_below(&random, 12) == 0, all = fixture_below(&random, 3) == 0;
        for (int p = 0; p < 2; p++) append(pair[p], kind, rowid, kind <= SHX_OP_REPLACE ? &vector : NULL);
        if (sealed && fixture_below(&random, 5) == 0) {
            settle_until(pair[1], all, until);
            sealed = false;
        } else if (fixture_below(&random, 10) == 0) {
            settle(pair[1], all);
            sealed = false;
        } else if (!sealed) {
            until = make_seal(pair[1]);
            sealed = true;
        }
        if (cut && count < until.operations) sealed = false;
        for (int p = 0; cut && p < 2; p++) shx_pending_truncate(pair[p], count);
        shx_id a = shx_pending_commit_id(pair[0], &parent), b = shx_pending_commit_id(pair[1], &parent);
        assert_memory_equal(&a, &b, sizeof a);
        if (step % 7 == 0) check_against_its_list(pair[1]);
    }
    assert_true(maps_open > 0);
    for (int p = 0; p < 2; p++) shx_pending_destroy(pair[p]);
    assert_int_equal(maps_open, 0);
}

/* Bodies that could not be kept: the operations are still known, also those that had moved. */
static void dropped_bodies_leave_their_operations(void **state) {
    (void)state;
    shx_pending *pending;
    float vector = 3;
    assert_ok(shx_pending_create(1 * sizeof(float), &pending));
    append(pending, SHX_OP_INSERT, 1, &vector);
    settle(pending, true);
    append(pending, SHX_OP_INSERT, 2, &vector);
    shx_pending_drop_bodies(pending);
    append(pending, SHX_OP_REPLACE, 1, &vector);
    assert_false(shx_pending_is_whole(pending));
    for (size_t i = 0; i < 3; i++) assert_null(shx_pending_op(pending, i).vector);
    assert_int_equal(shx_pending_live(pending), 2);
    shx_pending_truncate(pending, 1);
    assert_true(shx_pending_is_live(pending, 0) && !shx_pending_hides(pending, 2));
    shx_pending_truncate(pending, 0);
    assert_true(shx_pending_is_whole(pending));
    append(pending, SHX_OP_INSERT, 1, &vector);
    assert_true(*(const float *)shx_pending_op(pending, 0).vector == vector);
    shx_pending_destroy(pending);
    assert_int_equal(maps_open, 0);
}

static void release_mapped(shx_map *map) { assert_int_equal(munmap(map->owner, map->size), 0); }

/* All operations of a list stand in pages that can be made unreadable. */
static uint8_t *settle_in_pages(shx_pending *pending, size_t size) {
    static const shx_store_ops ops = {.map_release = release_mapped};
    const uint8_t *bytes;
    uint64_t held;
    uint8_t *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED && shx_pending_operations(pending, 0, &bytes, &held) && held == size);
    memcpy(pages, bytes, size);
    shx_map operations = {pages, size, pages, size, &ops}, bodies = {0};
    assert_ok(shx_pending_settle(pending, 0, &bodies, &operations));
    return pages;
}

/* A rollback to a savepoint takes as long as what it undoes: it does not even look at what stays. `stays` operations do
** on ascending rowids, `times` after each other on each of the others, which may also be touched. */
static void check_what_stays_is_not_read(size_t stays, int times) {
    size_t size = 2 * stays * SHX_PENDING_OP_BYTES, kept = stays * SHX_PENDING_OP_BYTES;
    shx_pending *pending;
    assert_ok(shx_pending_create(1 * sizeof(float), &pending));
    for (size_t i = 0; i < stays; i++) append(pending, SHX_OP_DELETE, (int64_t)i, NULL);
    for (size_t i = 0; i < stays; i++) {
        bool touch = times > 1 && i % 3 == 0;
        append(pending, touch ? SHX_OP_TOUCH : SHX_OP_DELETE, (int64_t)(stays + i / (size_t)times), NULL);
    }
    uint8_t *pages = settle_in_pages(pending, size);
    assert_int_equal(mprotect(pages, kept, PROT_NONE), 0);
    shx_pending_truncate(pending, stays + stays / 2);
    shx_pending_truncate(pending, stays);
    assert_int_equal(mprotect(pages, kept, PROT_READ), 0);
    assert_int_equal(shx_pending_count(pending), stays);
    assert_true(shx_pending_hides(pending, (int64_t)stays - 1) && !shx_pending_hides(pending, (int64_t)stays));
    shx_pending_destroy(pending);
}

static void a_truncation_does_not_look_at_what_stays(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE); /* so that operations end where pages do */
    check_what_stays_is_not_read(page, 1);
    check_what_stays_is_not_read(page, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_hide_and_live),
        cmocka_unit_test(vectors_are_copied_and_stay),
        cmocka_unit_test(a_truncation_brings_back_what_was_hidden),
        cmocka_unit_test(a_commit_id_is_its_operations),
        cmocka_unit_test(a_commit_id_folds_pairwise),
        cmocka_unit_test(random_operations_and_rollbacks),
        cmocka_unit_test(what_has_moved_stays_the_same),
        cmocka_unit_test(dropped_bodies_leave_their_operations),
        cmocka_unit_test(a_truncation_does_not_look_at_what_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
