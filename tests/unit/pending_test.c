/* The operations of one transaction: what hides what, savepoints, and commit ids. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_hide_and_live),
        cmocka_unit_test(vectors_are_copied_and_stay),
        cmocka_unit_test(a_truncation_brings_back_what_was_hidden),
        cmocka_unit_test(a_commit_id_is_its_operations),
        cmocka_unit_test(a_commit_id_folds_pairwise),
        cmocka_unit_test(random_operations_and_rollbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
