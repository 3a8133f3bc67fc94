/* Tables whose vectors stand side by side by a key (segment.h): whatever is asked, and by whichever way the search goes
** to the vectors, the answers are those of a pass over all rows.
*/
#include "fixture.h"

#include "predicate.h"

#include <stdlib.h>
#include <string.h>

#define DIM 20
#define SLOTS 18500
#define FIRST 17000 /* slots of the first flush, more than one wave of vectors … */
#define SECOND 18300 /* … and of both: the others stay in the delta */
#define COLUMNS 2
#define KEYS 40
#define QUERIES 3

/* Some keys are many times as frequent as others; the other column divides the rows evenly. */
static int64_t value_of(uint64_t slot, uint32_t column) {
    if (column == 1) return (int64_t)(slot * 13 % 100);
    uint64_t key = slot * 2654435761u % 1000;
    return (int64_t)(key * key * KEYS / 1000000);
}

static void put(fixture_table *table, uint64_t slot, const float *vector) {
    uint8_t packed[64];
    uint32_t size = 0;
    for (uint32_t c = 0; c < COLUMNS; c++) {
        shx_value value = {.type = SHX_VALUE_INTEGER, .is.integer = value_of(slot, c)};
        shx_value_put(&value, packed + size);
        size += (uint32_t)shx_value_size(&value);
    }
    shx_op op = {.kind = SHX_OP_INSERT,
                 .rowid = (int64_t)slot + FIXTURE_FIRST_ROWID,
                 .vector_hash = shx_hash64(vector, DIM * sizeof *vector, 0),
                 .column_hash = shx_hash64(packed, size, 0),
                 .vector = vector,
                 .columns = {packed, size}};
    shx_id digest = shx_hash128(&op.rowid, sizeof op.rowid);
    assert_ok(shx_pending_append(table->pending, &op, &digest));
    table->alive[slot] = 1;
    table->live++;
    table->columns[slot] = op.column_hash;
    memcpy(table->vectors + slot * DIM, vector, DIM * sizeof *vector);
}

static void put_many(fixture_table *table, uint64_t first, uint64_t end, const float *vectors) {
    for (uint64_t slot = first; slot < end; slot++) put(table, slot, vectors + slot * DIM);
    fixture_commit(table);
}

/* Two segments, dead rows in both, and rows of the delta. */
static fixture_table make_table(shx_metric metric, uint32_t group, const float *vectors) {
    fixture_table table = fixture_table_make(metric, DIM, SLOTS);
    table.config.columns = COLUMNS;
    table.config.group = group;
    fixture_open(&table, NULL, NULL);
    put_many(&table, 0, FIRST, vectors);
    fixture_flush(&table);
    put_many(&table, FIRST, SECOND, vectors);
    fixture_flush(&table);
    put_many(&table, SECOND, SLOTS, vectors);
    for (uint64_t slot = 3; slot < SLOTS; slot += 41) fixture_delete(&table, slot);
    fixture_commit(&table);
    return table;
}

/* What is asked: values of columns, low … high; none when high is below low. */
typedef struct question {
    int64_t low[COLUMNS], high[COLUMNS];
    uint64_t k;
    bool within;
} question;

static bool admits(const question *asked, uint64_t slot) {
    for (uint32_t c = 0; c < COLUMNS; c++) {
        int64_t value = value_of(slot, c);
        if (asked->low[c] <= asked->high[c] && (value < asked->low[c] || value > asked->high[c])) return false;
    }
    return true;
}

static void make_predicate(const question *asked, shx_predicate *ret_predicate) {
    for (uint32_t c = 0; c < COLUMNS; c++) {
        if (asked->low[c] > asked->high[c]) continue;
        shx_value low = {.type = SHX_VALUE_INTEGER, .is.integer = asked->low[c]}, high = low;
        high.is.integer = asked->high[c];
        assert_ok(shx_predicate_add(ret_predicate, c, &(shx_range){shx_cut_before(low), shx_cut_after(high)}, 1));
    }
}

static double distance_of(const fixture_table *table, const float *query, uint64_t slot) {
    return shx_distance(table->config.metric, SHX_FLOAT32, query, table->vectors + slot * DIM, DIM);
}

static void go_through_all(const fixture_table *table, const question *asked, const float *query, shx_topk *ret_hits) {
    shx_topk_reset(ret_hits, asked->k);
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        if (!table->alive[slot] || !admits(asked, slot)) continue;
        assert_ok(shx_topk_insert(ret_hits, distance_of(table, query, slot), (int64_t)slot + FIXTURE_FIRST_ROWID));
    }
    assert_ok(shx_topk_sort(ret_hits, NULL));
}

/* Without `exact` some may be missing, but what is there is admitted and at its distance. */
static void check_found(const fixture_table *table, const question *asked, const float *query, const shx_topk *hits) {
    for (uint64_t i = 0; i < hits->count; i++) {
        uint64_t slot = (uint64_t)(hits->hits[i].rowid - FIXTURE_FIRST_ROWID);
        assert_true(slot < SLOTS && table->alive[slot] && admits(asked, slot));
        double distance = distance_of(table, query, slot);
        assert_memory_equal(&distance, &hits->hits[i].distance, sizeof distance);
    }
}

static void ask(fixture_table *table, shx_view *view, const question *asked, const float *query,
                shx_search_scratch *scratch) {
    shx_topk hits = {0}, expected = {0};
    shx_predicate predicate = {0};
    make_predicate(asked, &predicate);
    shx_search_params params = {
        .query = query, .k = asked->k, .exact = true, .predicate = &predicate, .index = table->index};
    go_through_all(table, asked, query, &expected);
    assert_true(expected.count > 0);
    if (asked->within) {
        params.within = true;
        params.radius = expected.hits[expected.count / 2].distance;
        while (expected.hits[expected.count - 1].distance > params.radius) expected.count--;
    }
    assert_ok(shx_search(view, &params, scratch, &hits));
    fixture_assert_hits_equal(&hits, &expected);
    params.exact = false;
    assert_ok(shx_search(view, &params, scratch, &hits));
    check_found(table, asked, query, &hits);
    shx_predicate_clear(&predicate);
    shx_topk_free(&hits);
    shx_topk_free(&expected);
}

static const question questions[] = {
    {{1, 1}, {0, 0}, 10, false},  {{1, 1}, {0, 0}, 3000, false},  {{1, 1}, {0, 0}, 200, true}, /* everything */
    {{17, 1}, {17, 0}, 10, false}, {{17, 1}, {17, 0}, 100, true},  {{0, 1}, {0, 0}, 500, false}, /* keys */
    {{2, 1}, {30, 0}, 10, false},  {{0, 5}, {20, 30}, 40, false},  {{17, 5}, {17, 80}, 10, false},
    {{1, 5}, {0, 60}, 10, false},  {{1, 5}, {0, 60}, 3000, false}, {{1, 7}, {0, 8}, 10, false}, /* another column */
};

static void check_table(shx_metric metric, uint32_t group) {
    fixture_random random = fixture_seed("seats", 20261121 + (uint64_t)metric);
    float *vectors = fixture_clustered(&random, SLOTS, DIM, 30), *queries = fixture_clustered(&random, QUERIES, DIM, 3);
    fixture_table table = make_table(metric, group, vectors);
    shx_view *view = fixture_view(&table);
    const shx_base *base = view->delta->base;
    assert_true(base->segment_count > 0 && base->segments[0]->group == group);
    shx_search_scratch *scratch;
    assert_ok(shx_search_scratch_create(&scratch));
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        for (int q = 0; q < QUERIES; q++) ask(&table, view, &questions[i], queries + q * DIM, scratch);
    }
    shx_search_scratch_destroy(scratch);
    shx_view_release(view);
    fixture_optimize(&table);
    fixture_assert_same(&table);
    fixture_table_free(&table);
    free(vectors);
    free(queries);
}

static void l2_by_the_first_column(void **state) {
    (void)state;
    check_table(SHX_L2, 1);
}

static void cosine_by_the_second_column(void **state) {
    (void)state;
    check_table(SHX_COSINE, 2);
}

static void ip_by_the_first_column(void **state) {
    (void)state;
    check_table(SHX_IP, 1);
}

static void l1_by_the_first_column(void **state) {
    (void)state;
    check_table(SHX_L1, 1);
}

static void cosine_without_a_key(void **state) {
    (void)state;
    check_table(SHX_COSINE, 0);
}


int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(l2_by_the_first_column), cmocka_unit_test(cosine_by_the_second_column),
        cmocka_unit_test(ip_by_the_first_column), cmocka_unit_test(l1_by_the_first_column),
        cmocka_unit_test(cosine_without_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
