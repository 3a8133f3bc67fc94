/* Predicates and what they mean in segments: the same rows whether told one by one or by blocks, lists and zones; and
** the recall of searches under them.
*/
#include "fixture.h"

#include "match.h"
#include "predicate.h"

#include <stdlib.h>
#include <string.h>

#define DIM 4
#define SLOTS 3000
#define COLUMNS 2

/* Values of a few sorts, so that ranges, ties and types all occur. */
static shx_value random_value(fixture_random *random) {
    static const char *const texts[] = {"", "a", "ab", "abc", "b"};
    const char *text = texts[fixture_below(random, 5)];
    switch (fixture_below(random, 6)) {
    case 0: return (shx_value){.type = SHX_VALUE_NULL};
    case 1: return shx_value_of_real((double)fixture_below(random, 40) / 4 - 3);
    case 2:
    case 3: {
        shx_value_type type = fixture_below(random, 3) ? SHX_VALUE_TEXT : SHX_VALUE_BLOB;
        return (shx_value){.type = type, .size = (uint32_t)strlen(text), .is.bytes = (const uint8_t *)text};
    }
    default: return (shx_value){.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)fixture_below(random, 200) - 50};
    }
}

/* A table whose postings carry columns: `packed` holds those of each slot. */
typedef struct column_table {
    fixture_table table;
    uint8_t (*packed)[64];
    uint32_t *sizes;
} column_table;

static void put(column_table *columns, uint64_t slot, const float *vector, const shx_value *values) {
    fixture_table *table = &columns->table;
    uint32_t size = 0;
    for (int c = 0; c < COLUMNS; c++) {
        shx_value_put(&values[c], columns->packed[slot] + size);
        size += (uint32_t)shx_value_size(&values[c]);
    }
    columns->sizes[slot] = size;
    uint32_t bytes = table->config.dim * (uint32_t)sizeof(float);
    shx_op op = {.kind = SHX_OP_INSERT,
                 .rowid = (int64_t)slot + FIXTURE_FIRST_ROWID,
                 .vector_hash = shx_hash64(vector, bytes, 0),
                 .column_hash = shx_hash64(columns->packed[slot], size, 0),
                 .vector = vector,
                 .columns = {columns->packed[slot], size}};
    shx_id digest = shx_hash128(&op.rowid, sizeof op.rowid);
    assert_ok(shx_pending_append(table->pending, &op, &digest));
    table->alive[slot] = 1;
    table->live++;
    table->columns[slot] = op.column_hash;
    memcpy(table->vectors + slot * table->config.dim, vector, bytes);
}

static column_table make_table(shx_metric metric, uint32_t dim, uint64_t slots) {
    column_table columns = {.table = fixture_table_make(metric, dim, slots),
                            .packed = calloc(slots, sizeof *columns.packed),
                            .sizes = calloc(slots, sizeof *columns.sizes)};
    assert_true(columns.packed && columns.sizes);
    columns.table.config.columns = COLUMNS;
    fixture_open(&columns.table, NULL, NULL);
    return columns;
}

static void free_table(column_table *columns) {
    free(columns->packed);
    free(columns->sizes);
    fixture_table_free(&columns->table);
}

static shx_packed packed_of(const column_table *columns, int64_t rowid) {
    uint64_t slot = (uint64_t)(rowid - FIXTURE_FIRST_ROWID);
    return (shx_packed){columns->packed[slot], columns->sizes[slot]};
}

/* One to six ranges on a column or the rowid. */
static void add_condition(fixture_random *random, shx_predicate *predicate) {
    uint64_t choice = fixture_below(random, 5), count = fixture_below(random, 3) ? 1 : 1 + fixture_below(random, 6);
    uint32_t column = choice == 4 ? SHX_COLUMN_ROWID : (uint32_t)(choice % 2);
    shx_range ranges[6];
    for (uint64_t i = 0; i < count; i++) {
        shx_value low = random_value(random), high = random_value(random);
        if (column == SHX_COLUMN_ROWID) {
            low = (shx_value){.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)fixture_below(random, SLOTS) - 100};
            high = shx_value_of_real((double)low.is.integer + (double)fixture_below(random, 900) + 0.5);
        }
        ranges[i].low = fixture_below(random, 2) ? shx_cut_before(low) : shx_cut_after(low);
        ranges[i].high = fixture_below(random, 4) ? shx_cut_after(high) : shx_cut_end();
    }
    assert_ok(shx_predicate_add(predicate, column, ranges, count));
}

/* A sample has admitted rows only, each once, and all of them when there is room for more. */
static void assert_samples(const shx_match *match, uint64_t admitted_rows) {
    uint64_t sizes[] = {0, 1, 7, 64, match->rows + 1};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t *rows = calloc(sizes[s] + 1, sizeof *rows);
        uint8_t *seen = calloc(match->segment->row_count, 1);
        uint64_t count = shx_match_sample(match, sizes[s], rows);
        assert_true(rows && seen && count <= sizes[s]);
        for (uint64_t i = 0; i < count; i++) assert_true(shx_match_row(match, rows[i]) && !seen[rows[i]]++);
        if (sizes[s] > match->rows) assert_int_equal(count, admitted_rows);
        free(rows);
        free(seen);
    }
}

/* Every row of a segment: told alone, in its block, by its run's zone and in the list, as the predicate tells it. */
static void compare_match(const column_table *columns, shx_segment *segment, const shx_predicate *predicate) {
    shx_match match = {0};
    assert_ok(shx_match_make(segment, predicate, &match));
    uint8_t *listed = calloc(segment->row_count, 1);
    shx_match_walk walk = {0};
    uint32_t rows[7], seats[7];
    uint64_t row, admitted_rows = 0, listed_rows = 0;
    for (uint32_t came; (came = shx_match_next(&match, &walk, 7, rows, seats)) > 0; listed_rows += came) {
        assert_true(came <= 7);
        for (uint32_t i = 0; i < came; i++) {
            assert_int_equal(seats[i], shx_segment_seat(segment, rows[i]));
            listed[rows[i]]++;
        }
    }
    for (uint32_t r = 0; r < segment->run_count; r++) {
        const shx_run *run = &segment->runs[r];
        assert_ok(shx_segment_verify_run(segment, r));
        for (uint32_t i = 0; i < run->rows; i++) {
            uint32_t first = i / SHX_BLOCK_ROWS * SHX_BLOCK_ROWS, left = run->rows - first;
            uint32_t lanes = left >= 32 ? UINT32_MAX : (UINT32_C(1) << left) - 1;
            row = run->first_row + i;
            shx_packed packed = packed_of(columns, segment->rowids[row]);
            bool admitted;
            assert_ok(shx_predicate_test(predicate, segment->rowids[row], &packed, &admitted));
            assert_int_equal(shx_match_row(&match, row), admitted);
            assert_int_equal(shx_match_block(&match, run->first_row + first, lanes) >> (i - first) & 1, admitted);
            if (admitted) assert_true(shx_match_run(&match, r));
            assert_true(listed[row] <= 1 && (listed[row] || !admitted));
            admitted_rows += admitted;
        }
    }
    assert_true(admitted_rows <= match.rows && listed_rows <= match.rows);
    assert_true(shx_match_estimate(&match) <= (double)match.rows);
    assert_samples(&match, admitted_rows);
    free(listed);
    shx_match_free(&match);
}

static void assert_run_holds(const column_table *columns, shx_segment *segment, uint32_t run, uint64_t row,
                             uint32_t column) {
    shx_packed packed = packed_of(columns, segment->rowids[row]), bytes;
    shx_predicate predicate = {0};
    shx_value value;
    shx_match match = {0};
    assert_true(shx_packed_find(&packed, column, &bytes));
    const uint8_t *at = bytes.bytes;
    assert_true(shx_value_read(&at, at + bytes.size, &value));
    assert_ok(shx_predicate_add(&predicate, column, &(shx_range){shx_cut_before(value), shx_cut_after(value)}, 1));
    assert_ok(shx_match_make(segment, &predicate, &match));
    assert_true(shx_match_run(&match, run));
    shx_match_free(&match);
    shx_predicate_clear(&predicate);
}

/* Asks for the lowest and the highest value of every run alone. */
static void assert_zones_hold_their_ends(const column_table *columns, shx_segment *segment) {
    for (uint32_t c = 0; c < COLUMNS; c++) {
        for (uint32_t r = 0; r < segment->run_count; r++) {
            const shx_run *run = &segment->runs[r];
            const uint32_t *ids = segment->columns.ids + c * segment->row_count;
            uint64_t lowest = run->first_row, highest = lowest;
            for (uint64_t row = run->first_row; row < run->first_row + run->rows; row++) {
                if (ids[row] < ids[lowest]) lowest = row;
                if (ids[row] > ids[highest]) highest = row;
            }
            assert_run_holds(columns, segment, r, lowest, c);
            assert_run_holds(columns, segment, r, highest, c);
        }
    }
}

static void rows_blocks_and_lists_agree(void **state) {
    (void)state;
    fixture_random random = fixture_seed("match", 20260713);
    column_table columns = make_table(SHX_L2, DIM, SLOTS);
    float *vectors = fixture_gaussian(&random, SLOTS, DIM);
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        const shx_value values[COLUMNS] = {random_value(&random), random_value(&random)};
        put(&columns, slot, vectors + slot * DIM, values);
    }
    fixture_commit(&columns.table);
    fixture_flush(&columns.table);
    shx_view *view = fixture_view(&columns.table);
    shx_segment *segment = view->delta->base->segments[0];
    assert_ok(shx_segment_check(segment, NULL));
    for (int round = 0; round < 150; round++) {
        shx_predicate predicate = {0};
        int64_t rowids[] = {-99, -5, 0, 17, 1000, 2500, 99999};
        uint64_t conditions = 1 + fixture_below(&random, 3);
        for (uint64_t i = 0; i < conditions; i++) add_condition(&random, &predicate);
        if (round % 5 == 0) {
            predicate.restricted = true;
            predicate.rowids = rowids;
            predicate.rowid_count = sizeof rowids / sizeof *rowids;
        }
        compare_match(&columns, segment, &predicate);
        shx_predicate_clear(&predicate);
    }
    assert_zones_hold_their_ends(&columns, segment);
    shx_view_release(view);
    free(vectors);
    free_table(&columns);
}

/* The share of the true k nearest admitted rows that are found, by distance. */
static double recall_under(column_table *columns, shx_view *view, const shx_predicate *predicate, uint64_t k,
                           double recall) {
    const fixture_table *table = &columns->table;
    uint32_t dim = table->config.dim;
    shx_search_scratch *scratch;
    shx_topk hits = {0}, truth = {0};
    uint64_t found = 0, wanted = 0;
    assert_ok(shx_search_scratch_create(&scratch));
    for (uint64_t q = 0; q < table->capacity; q += table->capacity / 60) {
        const float *query = table->vectors + q * dim;
        shx_search_params params = {.query = query, .k = k, .recall = recall, .predicate = predicate};
        assert_ok(shx_search(view, &params, scratch, &hits));
        shx_topk_reset(&truth, k);
        for (uint64_t slot = 0; slot < table->capacity; slot++) {
            bool admitted;
            int64_t rowid = (int64_t)slot + FIXTURE_FIRST_ROWID;
            shx_packed packed = packed_of(columns, rowid);
            assert_ok(shx_predicate_test(predicate, rowid, &packed, &admitted));
            if (!admitted) continue;
            double distance = shx_distance(table->config.metric, SHX_FLOAT32, query, table->vectors + slot * dim, dim);
            assert_ok(shx_topk_insert(&truth, distance, rowid));
        }
        shx_topk_sort(&truth, NULL);
        wanted += truth.count;
        for (uint64_t i = 0; i < hits.count; i++)
            found += hits.hits[i].distance <= truth.hits[truth.count - 1].distance;
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    shx_topk_free(&truth);
    return (double)found / (double)wanted;
}

/* Words with a random column, and one that depends on the vector. */
static void recall_holds_under_filters(void **state) {
    (void)state;
    fixture_random random = fixture_seed("recall under filters", 20260714);
    column_table columns = make_table(SHX_COSINE, FIXTURE_WORDS_DIM, FIXTURE_WORDS);
    float *words = fixture_words();
    for (uint64_t slot = 0; slot < FIXTURE_WORDS; slot++) {
        const float *word = words + slot * FIXTURE_WORDS_DIM;
        const shx_value values[COLUMNS] = {
            {.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)fixture_below(&random, 1000)},
            shx_value_of_real(
                shx_distance(SHX_COSINE, SHX_FLOAT32, word, words + 777 * FIXTURE_WORDS_DIM, FIXTURE_WORDS_DIM))};
        put(&columns, slot, word, values);
    }
    fixture_commit(&columns.table);
    fixture_flush(&columns.table);
    shx_view *view = fixture_view(&columns.table);
    const struct {
        uint32_t column;
        double below;
    } filters[] = {{0, 500}, {0, 150}, {0, 10}, {1, 0.9}, {1, 0.75}};
    for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
        shx_predicate predicate = {0};
        const shx_range range = {shx_cut_start(), shx_cut_before(shx_value_of_real(filters[f].below))};
        assert_ok(shx_predicate_add(&predicate, filters[f].column, &range, 1));
        const double targets[] = {0.9, 0.99};
        for (int t = 0; t < 2; t++) {
            double reached = recall_under(&columns, view, &predicate, 10, targets[t]);
            print_message("             column %u below %g: %.3f for %.2f\n", filters[f].column, filters[f].below,
                          reached, targets[t]);
            assert_true(reached >= targets[t] - (t ? 0.01 : 0.02)); /* 600 neighbours: a standard deviation aside */
        }
        shx_predicate_clear(&predicate);
    }
    shx_view_release(view);
    free(words);
    free_table(&columns);
}

/* Many values, each once and in no order: they stand sorted in the segment, and each row with its own. */
static void thousands_of_values(void **state) {
    (void)state;
    enum { MANY = 12000 };
    fixture_random random = fixture_seed("thousands of values", 5);
    column_table columns = make_table(SHX_L2, DIM, MANY);
    float *vectors = fixture_gaussian(&random, MANY, DIM);
    for (uint64_t slot = 0; slot < MANY; slot++) {
        const shx_value values[COLUMNS] = {{.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)(slot * 7919 % MANY)},
                                           random_value(&random)};
        put(&columns, slot, vectors + slot * DIM, values);
    }
    fixture_commit(&columns.table);
    fixture_flush(&columns.table);
    shx_view *view = fixture_view(&columns.table);
    shx_segment *segment = view->delta->base->segments[0];
    assert_ok(shx_segment_check(segment, NULL)); /* that values ascend, too */
    assert_int_equal(segment->columns.entries[0].distinct, MANY);
    for (uint64_t row = 0; row < MANY; row++) {
        shx_packed own = packed_of(&columns, segment->rowids[row]), there, expected;
        for (uint32_t c = 0; c < COLUMNS; c++) {
            uint32_t id = segment->columns.ids[c * segment->columns.rows + row];
            assert_ok(shx_columns_value(&segment->columns, c, id, &there));
            assert_true(shx_packed_find(&own, c, &expected));
            assert_true(there.size == expected.size && memcmp(there.bytes, expected.bytes, there.size) == 0);
        }
    }
    shx_view_release(view);
    free(vectors);
    free_table(&columns);
}

static bool count_question(void *context) {
    ++*(uint64_t *)context;
    return false;
}

/* Conditions each of which admits half of the rows, and both together none: the search goes through those of one and
** asks on the way whether to stop. */
static void rows_that_are_not_admitted_are_gone_through_too(void **state) {
    (void)state;
    enum { MANY = 30000 };
    fixture_random random = fixture_seed("not admitted", 4);
    column_table columns = make_table(SHX_L2, DIM, MANY);
    float *vectors = fixture_gaussian(&random, MANY, DIM);
    for (uint64_t slot = 0; slot < MANY; slot++) {
        const shx_value half = {.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)slot % 2};
        put(&columns, slot, vectors + slot * DIM, (const shx_value[COLUMNS]){half, half});
    }
    fixture_commit(&columns.table);
    fixture_flush(&columns.table);
    shx_view *view = fixture_view(&columns.table);
    shx_predicate predicate = {0};
    for (int c = 0; c < COLUMNS; c++) {
        shx_value value = {.type = SHX_VALUE_INTEGER, .is.integer = c};
        const shx_range range = {shx_cut_before(value), shx_cut_after(value)};
        assert_ok(shx_predicate_add(&predicate, (uint32_t)c, &range, 1));
    }
    uint64_t asked = 0;
    shx_search_params params = {.query = vectors,
                                .k = 10,
                                .predicate = &predicate,
                                .interrupted = count_question,
                                .interrupted_context = &asked};
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    assert_ok(shx_search(view, &params, scratch, &hits));
    assert_int_equal(hits.count, 0);
    assert_true(asked >= MANY / 2 / 4096);
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    shx_predicate_clear(&predicate);
    shx_view_release(view);
    free(vectors);
    free_table(&columns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_blocks_and_lists_agree),
        cmocka_unit_test(recall_holds_under_filters),
        cmocka_unit_test(thousands_of_values),
        cmocka_unit_test(rows_that_are_not_admitted_are_gone_through_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
