/* Deltas: views of every commit while later ones are applied, and operations that should not be there. */
#include "fixture.h"

#include "delta.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define DIM 2

static const shx_id genesis = {{1}};

static shx_delta *empty_delta(void) {
    shx_base *base;
    shx_delta *delta;
    assert_ok(shx_base_empty(&genesis, &(shx_space){SHX_L2, SHX_FLOAT32, DIM}, &base));
    assert_ok(shx_delta_create(base, &delta));
    shx_base_release(base);
    return delta;
}

static shx_id commit_of(uint64_t number) {
    shx_id id = {{2}};
    shx_put64(id.bytes + 1, number);
    return id;
}

/* One operation of a test: '+' inserts, '=' replaces, '-' deletes, '.' touches. */
typedef struct step {
    char kind;
    int64_t rowid;
} step;

static shx_wal_record make_record(const step *steps, uint64_t count) {
    uint64_t vector_bytes = (count * DIM * sizeof(float) + 63) / 64 * 64, put = 0;
    uint8_t *bytes = shx_alloc_aligned(vector_bytes + count * SHX_OPERATION_BYTES + 64, 1);
    assert_non_null(bytes);
    for (uint64_t i = 0; i < count; i++) {
        const char *kinds = "+=-.";
        float vector[DIM] = {(float)steps[i].rowid, (float)i};
        shx_op op = {.kind = (shx_op_kind)(strchr(kinds, steps[i].kind) - kinds + 1), .rowid = steps[i].rowid};
        if (op.kind <= SHX_OP_REPLACE) memcpy(bytes + sizeof vector * put++, vector, sizeof vector);
        shx_wal_put_operation(&op, bytes + vector_bytes + i * SHX_OPERATION_BYTES);
    }
    return (shx_wal_record){.operation_count = count,
                            .operations = bytes + vector_bytes,
                            .bodies = bytes,
                            .vector_bytes = DIM * sizeof(float),
                            .copy = bytes};
}

static void apply(shx_delta *delta, const step *steps, uint64_t count, uint64_t number) {
    shx_wal_record record = make_record(steps, count);
    shx_id commit = commit_of(number);
    assert_ok(shx_delta_apply(delta, &record, &commit, NULL));
}

/* The living rows of the delta at a mark, in order of position. */
static uint64_t living(const shx_delta *delta, const shx_delta_mark *mark, int64_t *rowids) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < mark->rows; i++) {
        if (shx_delta_row_alive(delta, i, mark->operations)) rowids[count++] = shx_delta_rowid_at(delta, i);
    }
    return count;
}

static void assert_living(const shx_delta *delta, uint64_t number, const int64_t *expected, uint64_t count) {
    int64_t rowids[64];
    shx_id commit = number ? commit_of(number) : genesis;
    const shx_delta_mark *mark = shx_delta_find(delta, &commit);
    assert_non_null(mark);
    assert_int_equal(living(delta, mark, rowids), count);
    assert_int_equal(mark->live_rows, count);
    assert_memory_equal(rowids, expected, count * sizeof *rowids);
}

static void marks_show_their_own_state(void **state) {
    (void)state;
    shx_delta *delta = empty_delta();
    apply(delta, (step[]){{'+', 1}, {'+', 2}, {'+', 3}}, 3, 1);
    apply(delta, (step[]){{'-', 2}, {'=', 1}, {'.', 3}}, 3, 2);
    apply(delta, (step[]){{'+', 2}, {'-', 3}, {'+', 9}, {'-', 9}}, 4, 3);
    apply(delta, NULL, 0, 4);
    assert_living(delta, 0, NULL, 0);
    assert_living(delta, 1, (int64_t[]){1, 2, 3}, 3);
    assert_living(delta, 2, (int64_t[]){3, 1}, 2);
    assert_living(delta, 3, (int64_t[]){1, 2}, 2);
    assert_living(delta, 4, (int64_t[]){1, 2}, 2);
    shx_id unknown = commit_of(5);
    assert_null(shx_delta_find(delta, &unknown));
    shx_id tip = commit_of(4);
    assert_memory_equal(&shx_delta_tip(delta)->commit, &tip, sizeof tip);
    shx_delta_retain(delta);
    shx_delta_release(delta);
    shx_delta_release(delta);
    shx_delta_release(NULL);
}

/* Deletions of what is not there, twice, or before it comes: nothing happens. */
static void operations_on_nothing(void **state) {
    (void)state;
    shx_delta *delta = empty_delta();
    apply(delta, (step[]){{'-', 7}, {'-', INT64_MIN}, {'=', 7}, {'-', 7}, {'-', 7}, {'.', 8}}, 6, 1);
    assert_living(delta, 1, NULL, 0);
    apply(delta, (step[]){{'+', 7}}, 1, 2);
    assert_living(delta, 2, (int64_t[]){7}, 1);
    shx_delta_release(delta);
}

static void many_rows_over_many_chunks(void **state) {
    (void)state;
    enum { ROWS = 20000 };
    shx_delta *delta = empty_delta();
    step *steps = malloc(ROWS * sizeof *steps);
    for (int64_t i = 0; i < ROWS; i++) steps[i] = (step){'+', i};
    apply(delta, steps, ROWS, 1);
    const shx_delta_place *first = shx_delta_place_of(delta, 0);
    for (int64_t i = 0; i < ROWS; i++) steps[i] = (step){i % 2 ? '-' : '=', i};
    apply(delta, steps, ROWS, 2);
    assert_ptr_equal(first, shx_delta_place_of(delta, 0)); /* rows are never moved */
    shx_id one = commit_of(1), two = commit_of(2);
    int64_t *rowids = malloc(2 * ROWS * sizeof *rowids);
    assert_int_equal(living(delta, shx_delta_find(delta, &one), rowids), ROWS);
    for (int64_t i = 0; i < ROWS; i++) assert_int_equal(rowids[i], i);
    assert_int_equal(living(delta, shx_delta_find(delta, &two), rowids), ROWS / 2);
    for (int64_t i = 0; i < ROWS / 2; i++) assert_int_equal(rowids[i], 2 * i);
    for (uint32_t i = 0; i < ROWS; i++) assert_true(*(const float *)shx_delta_vector_at(delta, i) == (float)i);
    free(rowids);
    free(steps);
    shx_delta_release(delta);
}

/* More operations than numbers for them: refused, and views that exist stay right. */
static void too_many_operations(void **state) {
    (void)state;
    shx_delta *delta = empty_delta();
    apply(delta, (step[]){{'+', 1}}, 1, 1);
    shx_wal_record record = make_record((step[]){{'+', 2}, {'+', 3}}, 2);
    shx_id commit = commit_of(2);
    delta->operation_count = UINT32_MAX - 2;
    assert_status(shx_delta_apply(delta, &record, &commit, NULL), SHX_FULL);
    assert_null(shx_delta_find(delta, &commit));
    assert_living(delta, 1, (int64_t[]){1}, 1);
    shx_delta_release(delta);
}

/* ---- over segments ---- */

/* A table whose first 200 slots stand in a segment, the view of its tip, and slot 0's place. */
static shx_view *flushed_view(fixture_table *table) {
    float vector[DIM] = {0};
    *table = fixture_table_make(SHX_L2, DIM, 300);
    fixture_open(table, NULL, NULL);
    for (uint64_t slot = 0; slot < 200; slot++) {
        vector[0] = (float)slot;
        fixture_put(table, slot, vector);
    }
    fixture_commit(table);
    fixture_flush(table);
    return fixture_view(table);
}

static void rows_of_segments_die_at_their_operation(void **state) {
    (void)state;
    fixture_table table;
    shx_view *view = flushed_view(&table);
    uint64_t digest = fixture_view_digest(view, DIM);
    shx_delta *delta;
    assert_ok(shx_delta_create(view->delta->base, &delta));
    const int64_t r = FIXTURE_FIRST_ROWID;
    apply(delta, (step[]){{'-', r + 1}, {'=', r + 2}, {'-', r + 3}, {'+', r + 3}}, 4, 1);
    apply(delta, (step[]){{'-', r + 2}, {'-', r + 3}, {'-', r + 4}}, 3, 2);
    const uint64_t expected[] = {200, 199, 196};
    for (uint64_t number = 0; number < 3; number++) {
        shx_id commit = number ? commit_of(number) : table.tip;
        shx_view *at;
        assert_ok(shx_view_create(delta, shx_delta_find(delta, &commit), &at));
        assert_int_equal(shx_view_rows(at), expected[number]);
        if (number == 0) assert_true(fixture_view_digest(at, DIM) == digest);
        shx_view_release(at);
    }
    shx_view_release(view);
    shx_delta_release(delta);
    fixture_table_free(&table);
}

static void count_report(void *context, const char *problem) {
    (void)problem;
    ++*(uint64_t *)context;
}

/* An INSERT of a rowid that is there breaks the rule; the check says so, and later deletions get rid of both. */
static void an_insert_of_what_is_there(void **state) {
    (void)state;
    fixture_table table;
    shx_view *view = flushed_view(&table), *at;
    shx_delta *delta;
    uint64_t problems = 0;
    assert_ok(shx_delta_create(view->delta->base, &delta));
    const int64_t r = FIXTURE_FIRST_ROWID + 50;
    apply(delta, (step[]){{'+', r}}, 1, 1);
    assert_ok(shx_view_create(delta, shx_delta_tip(delta), &at));
    assert_ok(shx_maintain_check(table.index, at, count_report, &problems, NULL));
    assert_int_equal(problems, 1);
    shx_view_release(at);
    apply(delta, (step[]){{'-', r}, {'-', r}}, 2, 2);
    assert_ok(shx_view_create(delta, shx_delta_tip(delta), &at));
    assert_int_equal(shx_view_rows(at), 199);
    problems = 0;
    assert_ok(shx_maintain_check(table.index, at, count_report, &problems, NULL));
    assert_int_equal(problems, 0);
    shx_view_release(at);
    shx_view_release(view);
    shx_delta_release(delta);
    fixture_table_free(&table);
}

/* ---- readers without a lock ---- */

typedef struct reader {
    shx_delta *delta;
    shx_delta_mark mark;
    uint64_t wrong;
} reader;

static void *read_again_and_again(void *context) {
    reader *self = context;
    int64_t rowids[64];
    for (int round = 0; round < 20000; round++) {
        self->wrong += living(self->delta, &self->mark, rowids) != 3 || rowids[0] != 1 || rowids[2] != 3;
    }
    return NULL;
}

static void readers_while_commits_are_applied(void **state) {
    (void)state;
    shx_delta *delta = empty_delta();
    apply(delta, (step[]){{'+', 1}, {'+', 2}, {'+', 3}}, 3, 1);
    reader self = {.delta = delta, .mark = *shx_delta_tip(delta)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_again_and_again, &self), 0);
    for (uint64_t number = 2; number < 3000; number++) {
        int64_t rowid = (int64_t)(number % 3) + 1;
        apply(delta, (step[]){{'=', rowid}, {'-', rowid}, {'+', rowid}, {'=', (int64_t)number + 10}}, 4, number);
    }
    pthread_join(thread, NULL);
    assert_int_equal(self.wrong, 0);
    shx_delta_release(delta);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_show_their_own_state),
        cmocka_unit_test(operations_on_nothing),
        cmocka_unit_test(many_rows_over_many_chunks),
        cmocka_unit_test(too_many_operations),
        cmocka_unit_test(rows_of_segments_die_at_their_operation),
        cmocka_unit_test(an_insert_of_what_is_there),
        cmocka_unit_test(readers_while_commits_are_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
