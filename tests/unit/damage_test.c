/* A whole directory with one thing wrong: a bit of any file, a file cut off anywhere, a file gone. Opening, resolving,
** searching, checking and reconciling give an error or right answers: never a crash, never a wrong row. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define DIM 3
#define SLOTS 60
#define QUERIES 3

/* What is right: the rows of the newest commit. */
typedef struct truth {
    fixture_table table;
    uint64_t digest;
    shx_topk nearest[QUERIES];
    float queries[QUERIES][DIM];
} truth;

/* A base with two segments and tombstones, an older base, and records beyond. */
static shx_store *make_sample(truth *right, uint64_t seed) {
    fixture_random random = {seed};
    shx_store *store = fixture_heap();
    memset(right, 0, sizeof *right);
    right->table = fixture_table_make(SHX_L2, DIM, SLOTS);
    fixture_table *table = &right->table;
    float *vectors = fixture_gaussian(&random, SLOTS, DIM);
    fixture_open(table, store, NULL);
    fixture_put_many(table, 0, 40, vectors);
    fixture_commit(table);
    fixture_flush(table);
    fixture_put_many(table, 40, 3, vectors);
    fixture_delete(table, 5);
    fixture_commit(table);
    fixture_flush(table);
    fixture_put_many(table, 43, 4, vectors + 12 * DIM);
    fixture_delete(table, 41);
    fixture_delete(table, 6);
    fixture_commit(table);
    fixture_close(table);
    right->digest = fixture_model_digest(table);
    for (int q = 0; q < QUERIES; q++) {
        memcpy(right->queries[q], vectors + (uint64_t)(q + 20) * DIM, sizeof right->queries[q]);
        fixture_brute_force(table, right->queries[q], 5, &right->nearest[q]);
    }
    free(vectors);
    return store;
}

static void free_sample(truth *right, shx_store *store) {
    for (int q = 0; q < QUERIES; q++) shx_topk_free(&right->nearest[q]);
    fixture_table_free(&right->table);
    shx_store_close(store);
}

static bool is_error(shx_status status) {
    return status == SHX_CORRUPT || status == SHX_NOTFOUND || status == SHX_IO || status == SHX_BUSY;
}

static void count_problem(void *context, const char *problem) {
    (void)problem;
    ++*(uint64_t *)context;
}

static bool search_all(const truth *right, shx_view *view) {
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    bool whole = true;
    assert_ok(shx_search_scratch_create(&scratch));
    for (int q = 0; q < QUERIES; q++) {
        shx_search_params params = {.query = right->queries[q], .k = 5, .exact = q == 0};
        shx_status status = shx_search(view, &params, scratch, &hits);
        if (status == SHX_OK) {
            fixture_assert_hits_equal(&hits, &right->nearest[q]);
        } else {
            assert_true(is_error(status));
            whole = false;
        }
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    return whole;
}

static shx_status visit_nothing(void *context, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                                const void *vector) {
    (void)context, (void)rowid, (void)vector_hash, (void)column_hash, (void)vector;
    return SHX_OK;
}

/* Reads everything, and says whether all of it was right (else something said that it is not). */
static bool read_all(truth *right, shx_store *store) {
    fixture_table *table = &right->table;
    shx_index *index = fixture_index_on(&table->config, store);
    shx_view *view;
    uint64_t problems = 0;
    bool whole = false;
    shx_status status = shx_index_view(index, &table->tip, &view);
    if (status == SHX_OK) {
        whole = search_all(right, view);
        assert_ok(shx_maintain_check(index, view, count_problem, &problems, NULL));
        if (problems == 0) assert_true(fixture_view_digest(view, DIM) == right->digest);
        status = shx_view_each(view, visit_nothing, NULL, NULL);
        assert_true(status == SHX_OK || is_error(status));
        whole = whole && problems == 0;
        shx_view_release(view);
    } else {
        assert_true(is_error(status));
    }
    shx_index_destroy(index);
    return whole;
}

/* What the product does about damage: distrust, reconcile from nothing, and all is well. */
static void repair(truth *right, shx_store *store) {
    fixture_table *table = &right->table;
    fixture_open(table, store, NULL);
    shx_index_distrust(table->index);
    assert_ok(fixture_reconcile(table, true, NULL, NULL));
    fixture_assert_same(table);
    fixture_flush(table);
    fixture_assert_same(table);
    fixture_close(table);
}

/* A repair adds files and removes none: what it added goes again. */
static void restore(shx_store *store, const fixture_names *names) {
    fixture_names now = fixture_list(store);
    for (uint64_t i = 0; i < now.count; i++) {
        bool old = false;
        for (uint64_t n = 0; n < names->count; n++) old = old || strcmp(names->names[n], now.names[i]) == 0;
        if (!old) assert_ok(shx_store_remove(store, now.names[i]));
    }
}

typedef void (*damager)(truth *right, shx_store *store, const char *name, uint8_t *bytes, uint64_t size);

static void each_file(uint64_t seed, damager damage) {
    truth right;
    shx_store *store = make_sample(&right, seed);
    fixture_names names = fixture_list(store);
    assert_true(read_all(&right, store));
    uint64_t files = 0;
    for (uint64_t i = 0; i < names.count; i++) {
        uint64_t size, id;
        shx_file_kind kind;
        if (!shx_file_name_parse(names.names[i], &kind, &id)) continue;
        uint8_t *bytes = fixture_read_file(store, names.names[i], &size);
        damage(&right, store, names.names[i], bytes, size);
        fixture_write_file(store, names.names[i], bytes, size);
        restore(store, &names);
        free(bytes);
        files++;
    }
    assert_true(files >= 6);
    assert_true(read_all(&right, store));
    free_sample(&right, store);
}

static void flip_bits(truth *right, shx_store *store, const char *name, uint8_t *bytes, uint64_t size) {
    uint64_t found = 0;
    for (uint64_t at = 0; at < size; at++) {
        int bit = (int)(at * 5 % 8); /* one bit of each byte; the formats' own tests take them all */
        bytes[at] ^= (uint8_t)(1 << bit);
        fixture_write_file(store, name, bytes, size);
        if (!read_all(right, store) && found++ % 200 == 0) repair(right, store);
        bytes[at] ^= (uint8_t)(1 << bit);
    }
}

static void any_bit(void **state) {
    (void)state;
    each_file(1, flip_bits);
}

static void cut_off(truth *right, shx_store *store, const char *name, uint8_t *bytes, uint64_t size) {
    for (uint64_t length = 0; length < size; length += 5) {
        fixture_write_file(store, name, bytes, length);
        (void)read_all(right, store);
        if (length % 1000 == 0) repair(right, store);
    }
}

static void any_length(void **state) {
    (void)state;
    each_file(2, cut_off);
}

static void fill(truth *right, shx_store *store, const char *name, uint8_t *bytes, uint64_t size) {
    uint8_t *bad = malloc(size + 5000);
    for (int what = 0; what < 3; what++) { /* zeros and ones from some byte on, and garbage behind the end */
        for (uint64_t from = 0; from < size; from += 97) {
            memcpy(bad, bytes, size);
            memset(bad + (what == 2 ? size : from), what == 1 ? 0xff : 0, what == 2 ? 5000 - from % 64 : size - from);
            fixture_write_file(store, name, bad, what == 2 ? size + 5000 - from % 64 : size);
            (void)read_all(right, store);
        }
    }
    free(bad);
}

static void blocks_of_zeros_and_ones(void **state) {
    (void)state;
    each_file(3, fill);
}

static void lose(truth *right, shx_store *store, const char *name, uint8_t *bytes, uint64_t size) {
    (void)bytes, (void)size;
    assert_ok(shx_store_remove(store, name));
    (void)read_all(right, store);
    repair(right, store);
}

static void any_file_gone(void **state) {
    (void)state;
    each_file(4, lose);
}

/* Two files change places. */
static void files_swapped(void **state) {
    (void)state;
    truth right;
    shx_store *store = make_sample(&right, 5);
    fixture_names names = fixture_list(store);
    for (uint64_t a = 0; a < names.count; a++) {
        for (uint64_t b = a + 1; b < names.count; b++) {
            uint64_t size_a, size_b;
            uint8_t *bytes_a = fixture_read_file(store, names.names[a], &size_a);
            uint8_t *bytes_b = fixture_read_file(store, names.names[b], &size_b);
            fixture_write_file(store, names.names[a], bytes_b, size_b);
            fixture_write_file(store, names.names[b], bytes_a, size_a);
            (void)read_all(&right, store);
            fixture_write_file(store, names.names[a], bytes_a, size_a);
            fixture_write_file(store, names.names[b], bytes_b, size_b);
            free(bytes_a);
            free(bytes_b);
        }
    }
    assert_true(read_all(&right, store));
    free_sample(&right, store);
}

/* ---- through codes ---- */

/* Large enough for searches to go through shards and codes: each either answers as without the damage, or says so. */
static void codes_of_a_larger_table(void **state) {
    (void)state;
    enum { ROWS = 6000, WIDE = 10, FLIPS = 250 };
    fixture_random random = fixture_seed("damaged codes", 6);
    fixture_table table = fixture_table_make(SHX_COSINE, WIDE, ROWS);
    float *vectors = fixture_clustered(&random, ROWS, WIDE, 40);
    shx_store *store = fixture_heap();
    shx_search_scratch *scratch;
    shx_topk hits = {0}, expected = {0};
    uint64_t refused = 0, answered = 0;
    assert_ok(shx_search_scratch_create(&scratch));
    fixture_open(&table, store, NULL);
    fixture_put_many(&table, 0, ROWS, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    shx_index_confirm(table.index, &table.tip);
    shx_view *good = fixture_view(&table);
    fixture_names names = fixture_list(store);
    for (int flip = 0; flip < FLIPS; flip++) {
        const char *name = names.names[fixture_below(&random, names.count)];
        if (flip % 2) name = "segment-0000000000000002";
        uint64_t size;
        uint8_t *bytes = fixture_read_file(store, name, &size), *bad = fixture_read_file(store, name, &size);
        if (size > 0) bad[fixture_below(&random, size)] ^= (uint8_t)(1 + fixture_below(&random, 255));
        fixture_write_file(store, name, bad, size);
        shx_index *index = fixture_index_on(&table.config, store);
        shx_view *view;
        bool opened = shx_index_view(index, &table.tip, &view) == SHX_OK;
        for (int q = 0; opened && q < 10; q++) {
            shx_search_params params = {.query = vectors + fixture_below(&random, ROWS) * WIDE, .k = 10};
            shx_status status = shx_search(view, &params, scratch, &hits);
            assert_true(status == SHX_OK || status == SHX_CORRUPT);
            refused += status != SHX_OK;
            if (status != SHX_OK) continue;
            answered++;
            assert_ok(shx_search(good, &params, scratch, &expected));
            fixture_assert_hits_equal(&hits, &expected);
        }
        if (opened) shx_view_release(view);
        shx_index_destroy(index);
        fixture_write_file(store, name, bytes, size);
        free(bytes);
        free(bad);
    }
    assert_true(refused > 20 && answered > 20);
    shx_view_release(good);
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    shx_topk_free(&expected);
    free(vectors);
    fixture_table_free(&table);
    shx_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bit),       cmocka_unit_test(any_length),    cmocka_unit_test(blocks_of_zeros_and_ones),
        cmocka_unit_test(any_file_gone), cmocka_unit_test(files_swapped), cmocka_unit_test(codes_of_a_larger_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
