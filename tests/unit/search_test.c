/* Searches against brute force: the exact mode row for row and bit for bit, the default mode by its recall; filters,
** own uncommitted changes, older views, interrupts, damage. */
#include "fixture.h"

#include "index_state.h"
#include "limits.h"
#include "rotation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const shx_metric metrics[] = {SHX_L2, SHX_COSINE, SHX_IP};

static void search(shx_view *view, const shx_search_params *params, shx_topk *ret_hits) {
    shx_search_scratch *scratch;
    assert_ok(shx_search_scratch_create(&scratch));
    assert_ok(shx_search(view, params, scratch, ret_hits));
    shx_search_scratch_destroy(scratch);
}

/* ---- the exact mode ---- */

/* Vectors of every awkward kind among ordinary ones. */
static float *awkward(fixture_random *random, uint64_t count, uint32_t dim) {
    float *vectors = fixture_clustered(random, count, dim, 30);
    for (uint64_t i = 0; i < count; i++) {
        float *vector = vectors + i * dim;
        switch (fixture_below(random, 40)) {
        case 0: memset(vector, 0, dim * sizeof(float)); break;
        case 1: memcpy(vector, vectors + fixture_below(random, count) * dim, dim * sizeof(float)); break;
        case 2: vector[fixture_below(random, dim)] = 3.4e38f; break;
        case 3:
            for (uint32_t d = 0; d < dim; d++) vector[d] *= 1e18f;
            break;
        case 4:
            for (uint32_t d = 0; d < dim; d++) vector[d] *= 1e-30f;
            break;
        case 5:
            for (uint32_t d = 0; d < dim; d++) vector[d] *= 100; /* beyond the bound of ip */
            break;
        case 6: vector[0] = -0.0f; break;
        default: break;
        }
    }
    return vectors;
}

/* In the delta, in segments, in both, and through codes (long vectors, over SHX_EXACT_ROWS rows), few rows, half of
** them, nearly all and more than there are: always the brute force's answer. */
static void exact_is_brute_force(void **state) {
    (void)state;
    const uint32_t dims[] = {1, 17, 272, 64};
    for (int m = 0; m < 3; m++) {
        for (size_t d = 0; d < 4; d++) {
            uint64_t rows = d == 2 ? SHX_EXACT_ROWS + 1000 : 1200;
            uint32_t dim = dims[d];
            fixture_random random = fixture_seed("exact", 10 * d + (uint64_t)m);
            fixture_table table = fixture_table_make(metrics[m], dim, rows);
            float *vectors = awkward(&random, rows + 60, dim), *queries = vectors + rows * dim;
            const uint64_t ks[] = {1, 10, 100, rows / 2, rows - rows / 4, rows + 5};
            fixture_open(&table, NULL, NULL);
            for (int part = 0; part < 3; part++) {
                uint64_t first = rows * (uint64_t)part / 3, end = rows * (uint64_t)(part + 1) / 3;
                fixture_put_many(&table, first, end - first, vectors + first * dim);
                for (uint64_t slot = 0; slot < first; slot += 7) {
                    if (table.alive[slot]) fixture_delete(&table, slot);
                }
                fixture_commit(&table);
                fixture_assert_exact(&table, queries, 20, 10);
                if (part < 2) fixture_flush(&table);
                for (int k = 0; k < 6; k++) fixture_assert_exact(&table, queries + (uint64_t)k * 10 * dim, 5, ks[k]);
                fixture_assert_exact(&table, vectors, 20, 10); /* queries that are there */
            }
            fixture_optimize(&table);
            fixture_assert_exact(&table, queries, 60, 10);
            free(vectors);
            fixture_table_free(&table);
        }
    }
}

#define DECEIVED_DIM 272 /* so that the exact mode goes by codes; in code space as many */
#define DECEIVED 20

/* What the refine code of a posting misses of it, in code space, and the length of what it stands for. */
static double refine_error(const shx_base *base, const shx_segment *segment, uint64_t row, float *ret_error) {
    float point[DECEIVED_DIM], centroid[DECEIVED_DIM];
    uint8_t bits[DECEIVED_DIM / 8], refine[DECEIVED_DIM];
    uint32_t position;
    double residual2 = 0;
    shx_code code;
    assert_true(shx_shards_find(base->shards, segment->runs[shx_segment_run_of(segment, row)].shard, &position));
    shx_shards_centroid(base->shards, position, centroid);
    assert_true(shx_encoding_point(&base->encoding, shx_segment_vector_at(segment, row), false, point));
    shx_encode(point, centroid, DECEIVED_DIM, bits, refine, &code);
    for (uint32_t d = 0; d < DECEIVED_DIM; d++) {
        int nibble = d < DECEIVED_DIM / 2 ? refine[d] & 15 : refine[d - DECEIVED_DIM / 2] >> 4;
        double level = 16 * (bits[d / 8] >> d % 8 & 1) + nibble - 15.5;
        double residual = (double)point[d] - (double)centroid[d];
        ret_error[d] = (float)(residual + (double)code.refine_mul / 2 * level);
        residual2 += residual * residual;
    }
    return sqrt(residual2);
}

/* Puts a query and a decoy beside a row: the query where the row's code errs by all that it can, so that by any
** probable bound the decoy is nearer, which it is not. */
static void deceive(fixture_random *random, const shx_base *base, uint64_t row, float *ret_query, float *ret_decoy) {
    const shx_segment *segment = base->segments[0];
    const float *vector = shx_segment_vector_at(segment, row);
    float error[DECEIVED_DIM], axis[DECEIVED_DIM], *way = fixture_gaussian(random, 1, DECEIVED_DIM);
    double away = refine_error(base, segment, row, error) / 2, error2 = 0, way2 = 0;
    for (uint32_t d = 0; d < DECEIVED_DIM; d++) error2 += (double)error[d] * error[d];
    for (uint32_t d = 0; d < DECEIVED_DIM; d++) way2 += (double)way[d] * way[d];
    for (uint32_t d = 0; d < DECEIVED_DIM; d++) {
        double along = 0; /* the rotation is undone axis by axis */
        memset(axis, 0, sizeof axis);
        axis[d] = 1;
        shx_rotate(axis, DECEIVED_DIM, base->encoding.seed);
        for (uint32_t i = 0; i < DECEIVED_DIM; i++) along += (double)axis[i] * error[i];
        ret_query[d] = (float)(vector[d] + away * along / sqrt(error2));
        ret_decoy[d] = (float)(ret_query[d] + 1.0005 * away * way[d] / sqrt(way2));
    }
    free(way);
}

/* Probable bounds would do for random data; here they do not. */
static void exact_is_not_deceived(void **state) {
    (void)state;
    const uint64_t rows = SHX_EXACT_ROWS + 100;
    fixture_random random = fixture_seed("deceived", 20261121);
    fixture_table table = fixture_table_make(SHX_L2, DECEIVED_DIM, rows + DECEIVED);
    float *vectors = fixture_gaussian(&random, rows + 2 * DECEIVED, DECEIVED_DIM);
    float *queries = vectors + rows * DECEIVED_DIM, *decoys = queries + DECEIVED * DECEIVED_DIM;
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, rows, vectors);
    fixture_commit(&table);
    fixture_optimize(&table);
    shx_view *view = fixture_view(&table);
    const shx_base *base = view->delta->base;
    assert_int_equal(base->encoding.code_dim, DECEIVED_DIM);
    for (uint64_t i = 0; i < DECEIVED; i++) {
        deceive(&random, base, i * rows / DECEIVED, queries + i * DECEIVED_DIM, decoys + i * DECEIVED_DIM);
    }
    shx_view_release(view);
    fixture_put_many(&table, rows, DECEIVED, decoys);
    fixture_commit(&table);
    fixture_assert_exact(&table, queries, DECEIVED, 1);
    free(vectors);
    fixture_table_free(&table);
}

static void ties_break_by_rowid(void **state) {
    (void)state;
    for (int m = 0; m < 3; m++) {
        enum { DIM = 8, ROWS = 6000 };
        fixture_table table = fixture_table_make(metrics[m], DIM, ROWS);
        fixture_random random = fixture_seed("ties", (uint64_t)m);
        float *vectors = fixture_gaussian(&random, ROWS, DIM);
        for (uint64_t i = 0; i < ROWS; i++) { /* 40 different vectors */
            if (i >= 40) memcpy(vectors + i * DIM, vectors + i % 40 * DIM, DIM * sizeof(float));
        }
        fixture_open(&table, NULL, NULL);
        fixture_put_many(&table, 0, ROWS, vectors);
        fixture_commit(&table);
        fixture_flush(&table);
        fixture_assert_exact(&table, vectors, 10, 200);
        shx_view *view = fixture_view(&table);
        shx_topk hits = {0}, expected = {0};
        for (uint64_t q = 0; q < 10; q++) { /* identical codes too: none of equal ones may be passed over */
            shx_search_params params = {.query = vectors + q * DIM, .k = 20, .recall = 1};
            search(view, &params, &hits);
            fixture_brute_force(&table, params.query, 20, &expected);
            fixture_assert_hits_equal(&hits, &expected);
        }
        shx_topk_free(&hits);
        shx_topk_free(&expected);
        shx_view_release(view);
        free(vectors);
        fixture_table_free(&table);
    }
}

static void small_and_odd_requests(void **state) {
    (void)state;
    fixture_table table = fixture_table_make(SHX_L2, 2, 10);
    float query[2] = {0, 0}, far[2] = {3e38f, -3e38f};
    shx_topk hits = {0};
    fixture_open(&table, NULL, NULL);
    shx_view *view = fixture_view(&table);
    shx_search_params params = {.query = query, .k = 10};
    search(view, &params, &hits);
    assert_int_equal(hits.count, 0);
    shx_view_release(view);
    fixture_put(&table, 0, query);
    fixture_put(&table, 1, far);
    fixture_commit(&table);
    view = fixture_view(&table);
    params.k = 0;
    search(view, &params, &hits);
    assert_int_equal(hits.count, 0);
    params.k = UINT64_MAX / 2;
    search(view, &params, &hits);
    assert_int_equal(hits.count, 2);
    assert_true(hits.hits[0].distance == 0 && isfinite(hits.hits[1].distance));
    params.query = far;
    search(view, &params, &hits);
    assert_true(hits.hits[0].rowid == FIXTURE_FIRST_ROWID + 1 && hits.hits[0].distance == 0);
    shx_view_release(view);
    shx_topk_free(&hits);
    fixture_table_free(&table);
}

/* ---- recall ---- */

#define HELD_OUT 1000

static void the_words(void **state) {
    (void)state;
    float *words = fixture_words();
    fixture_table table = fixture_table_make(SHX_COSINE, FIXTURE_WORDS_DIM, FIXTURE_WORDS);
    fixture_open(&table, NULL, NULL);
    uint64_t step = FIXTURE_WORDS / HELD_OUT, slot = 0;
    float *queries = malloc(HELD_OUT * FIXTURE_WORDS_DIM * sizeof *queries);
    for (uint64_t i = 0; i < FIXTURE_WORDS; i++) {
        const float *word = words + i * FIXTURE_WORDS_DIM;
        if (i % step == 0) {
            memcpy(queries + i / step * FIXTURE_WORDS_DIM, word, FIXTURE_WORDS_DIM * sizeof *queries);
        } else {
            fixture_put(&table, slot++, word);
        }
    }
    fixture_commit(&table);
    fixture_flush(&table);
    double recall = fixture_recall(&table, queries, HELD_OUT, 10, 0);
    print_message("             recall@10 of the words: %.4f\n", recall);
    assert_true(recall >= 0.95);
    assert_true(fixture_recall(&table, queries, 200, 1, 0) >= 0.95);
    fixture_assert_exact(&table, queries, 20, 10);
    free(words);
    free(queries);
    fixture_table_free(&table);
}

/* Cosine: zero vectors, at distance 1, are looked at only by those who find too little within it. */
static void zeros_cost_nothing(void **state) {
    (void)state;
    enum { DIM = 16, ROWS = 14000, ZEROS = 8000, QUERIES = 50 };
    uint64_t rows = 0;
    fixture_random random = fixture_seed("zeros", 11);
    fixture_table table = fixture_table_make(SHX_COSINE, DIM, ROWS + ZEROS);
    float *vectors = fixture_clustered(&random, ROWS + ZEROS, DIM, 100);
    for (uint64_t i = 0; i < ROWS * DIM; i++) vectors[i] = vectors[i] / 4 + 3;
    memset(vectors + ROWS * DIM, 0, ZEROS * DIM * sizeof *vectors);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS + ZEROS, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    shx_view *view = fixture_view(&table);
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    for (uint64_t q = 0; q < QUERIES; q++) {
        float *query = vectors + q * 31 * DIM;
        shx_search_params params = {.query = query, .k = 10, .recall = 0.95};
        assert_ok(shx_search(view, &params, scratch, &hits));
        assert_true(hits.count == 10 && hits.hits[9].distance < 0.5);
        rows += shx_search_last_work(scratch).rows;
        for (int d = 0; d < DIM; d++) query[d] = -query[d];
        assert_ok(shx_search(view, &params, scratch, &hits));
        for (uint64_t i = 0; i < 10; i++) assert_true(hits.hits[i].distance == 1);
        assert_true(hits.hits[0].rowid == FIXTURE_FIRST_ROWID + ROWS);
    }
    assert_true(rows < QUERIES * ZEROS / 2);
    fixture_assert_exact(&table, vectors, 20, 10);
    assert_true(fixture_recall(&table, vectors + 5000 * DIM, 500, 10, 0.95) >= 0.93);
    shx_topk_free(&hits);
    shx_search_scratch_destroy(scratch);
    shx_view_release(view);
    free(vectors);
    fixture_table_free(&table);
}

/* Sanitizers take ten times as long for a distance: the recall of many rows is for the ordinary run. */
#if defined(__SANITIZE_ADDRESS__)
#define LARGE_ROWS 24000
#else
#define LARGE_ROWS 60000
#endif

/* A search that never meets its rule ends at 64 times the usual rows, and is counted. */
static void assert_capped(fixture_table *table, shx_view *view, const float *query) {
    shx_calibration *calibration = &view->delta->base->calibration, before = *calibration;
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    shx_index_stats stats;
    assert_ok(shx_search_scratch_create(&scratch));
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            calibration->first[k][r].theta = 1e6;
            calibration->mean_rows[k][r] = 1;
        }
    }
    shx_search_params params = {.query = query, .k = 10, .index = table->index};
    assert_ok(shx_search(view, &params, scratch, &hits));
    assert_true(shx_search_last_work(scratch).capped && hits.count == 10);
    assert_true(shx_search_last_work(scratch).rows < LARGE_ROWS);
    *calibration = before;
    assert_ok(shx_search(view, &params, scratch, &hits));
    assert_false(shx_search_last_work(scratch).capped);
    shx_index_stats_get(table->index, view, &stats);
    assert_int_equal(stats.capped, 1);
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
}

/* Shards are chosen and calibrated: what is promised is kept, and not by scanning everything. */
static void clustered_rows(void **state) {
    (void)state;
    enum { DIM = 24 };
    for (int m = 0; m < 3; m++) {
        fixture_random random = fixture_seed("clustered", 20 + (uint64_t)m);
        fixture_table table = fixture_table_make(metrics[m], DIM, LARGE_ROWS);
        float *vectors = fixture_clustered(&random, LARGE_ROWS + HELD_OUT, DIM, 500);
        const float *queries = vectors + (uint64_t)LARGE_ROWS * DIM;
        fixture_open(&table, NULL, NULL);
        fixture_put_many(&table, 0, LARGE_ROWS, vectors);
        fixture_commit(&table);
        fixture_flush(&table);
        shx_view *view = fixture_view(&table);
        shx_index_stats stats;
        shx_index_stats_get(table.index, view, &stats);
        assert_true(stats.calibrated && stats.shards > 100);
        const double recalls[] = {0, 0.8, 0.99, 1};
        const double floors[] = {0.94, 0.78, 0.985, 0.999}; /* what a standard error or two leaves */
        for (int r = 0; r < 4; r++) {
            uint64_t count = recalls[r] < 1 ? HELD_OUT : 200;
            double recall = fixture_recall(&table, queries, count, 10, recalls[r]);
            print_message("             metric %d, asked %.2f: %.4f\n", (int)metrics[m], recalls[r], recall);
            if (recall < floors[r]) fail_msg("a recall of %.4f where %.2f was asked for", recall, recalls[r]);
        }
        shx_search_scratch *scratch;
        shx_topk hits = {0};
        shx_search_params params = {.query = queries, .k = 10};
        assert_ok(shx_search_scratch_create(&scratch));
        assert_ok(shx_search(view, &params, scratch, &hits));
        assert_true(shx_search_last_work(scratch).rows < LARGE_ROWS / 2);
        shx_search_scratch_destroy(scratch);
        shx_topk_free(&hits);
        assert_capped(&table, view, queries);
        shx_view_release(view);
        fixture_assert_exact(&table, queries, 5, 10);
        free(vectors);
        fixture_table_free(&table);
    }
}

/* ---- a radius ---- */

/* All rows within it, or the k nearest of them; the radius is the distance of some row, which belongs. */
static void check_radius(fixture_table *table, const float *query, uint64_t rank) {
    shx_topk hits = {0}, expected = {0};
    shx_view *view = fixture_view(table);
    fixture_brute_force(table, query, table->live, &expected);
    uint64_t within = rank;
    double radius = expected.hits[rank - 1].distance;
    while (within < expected.count && expected.hits[within].distance <= radius) within++;
    shx_search_params params = {.query = query, .k = UINT64_MAX - 1, .exact = true, .within = true, .radius = radius};
    search(view, &params, &hits);
    expected.count = within;
    fixture_assert_hits_equal(&hits, &expected);
    params.k = expected.count = within < 10 ? within : 10;
    search(view, &params, &hits);
    fixture_assert_hits_equal(&hits, &expected);
    params.radius = nextafter(expected.hits[0].distance, -(double)INFINITY);
    search(view, &params, &hits);
    assert_int_equal(hits.count, 0);
    shx_view_release(view);
    shx_topk_free(&hits);
    shx_topk_free(&expected);
}

static void a_radius_bounds_the_answer(void **state) {
    (void)state;
    for (int m = 0; m < 3; m++) {
        for (int large = 0; large < 2; large++) {
            uint64_t rows = large ? SHX_EXACT_ROWS + 200 : 700;
            uint32_t dim = large ? 272 : 9;
            fixture_random random = fixture_seed("radius", 10 + (uint64_t)m);
            fixture_table table = fixture_table_make(metrics[m], dim, rows);
            float *vectors = awkward(&random, rows + 6, dim);
            fixture_open(&table, NULL, NULL);
            fixture_put_many(&table, 0, rows, vectors);
            fixture_commit(&table);
            for (int flushed = 0; flushed < 2; flushed++) {
                for (uint64_t q = 0; q < 6; q++) check_radius(&table, vectors + (rows + q) * dim, 1 + q * 17);
                if (!flushed) fixture_flush(&table);
            }
            free(vectors);
            fixture_table_free(&table);
        }
    }
}

/* ---- filters ---- */

typedef struct filter {
    int64_t modulus, rest;
    uint64_t calls;
    uint8_t *asked; /* by slot: never twice */
    int64_t stop;   /* the call that fails */
} filter;

static int accept_some(void *context, int64_t rowid) {
    filter *asked = context;
    int64_t slot = rowid - FIXTURE_FIRST_ROWID;
    assert_false(asked->asked[slot]);
    asked->asked[slot] = 1;
    asked->calls++;
    if (asked->stop && (int64_t)asked->calls == asked->stop) return -1;
    return slot % asked->modulus == asked->rest;
}

static void brute_force_filtered(const fixture_table *table, const filter *wanted, const float *query, uint64_t k,
                                 shx_topk *ret_hits) {
    uint32_t dim = table->config.dim;
    shx_topk_reset(ret_hits, k);
    for (uint64_t slot = 0; slot < table->capacity; slot++) {
        if (!table->alive[slot] || (int64_t)slot % wanted->modulus != wanted->rest) continue;
        double distance = shx_distance(table->config.metric, SHX_FLOAT32, query, table->vectors + slot * dim, dim);
        assert_ok(shx_topk_insert(ret_hits, distance, (int64_t)slot + FIXTURE_FIRST_ROWID));
    }
    shx_topk_sort(ret_hits, NULL);
}

/* A filter decides on each posting once; the exact mode stays exact, the default keeps its recall. */
static void filters(void **state) {
    (void)state;
    enum { DIM = 16, ROWS = 24000, QUERIES = 40 };
    fixture_random random = fixture_seed("filters", 30);
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_clustered(&random, ROWS + QUERIES, DIM, 100);
    const float *queries = vectors + (uint64_t)ROWS * DIM;
    uint8_t *asked = malloc(ROWS);
    shx_topk hits = {0}, expected = {0};
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS - 500, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    fixture_put_many(&table, ROWS - 500, 500, vectors + (ROWS - 500) * DIM);
    for (uint64_t slot = 0; slot < ROWS; slot += 11) fixture_delete(&table, slot);
    fixture_commit(&table);
    shx_view *view = fixture_view(&table);
    const int64_t moduli[] = {1, 2, 10, 100, 2000, 50000};
    for (size_t f = 0; f < sizeof moduli / sizeof *moduli; f++) {
        uint64_t found = 0, wanted = 0;
        for (uint64_t q = 0; q < QUERIES; q++) {
            for (int exact = 0; exact < 2; exact++) {
                filter some = {.modulus = moduli[f], .rest = moduli[f] - 1, .asked = asked};
                shx_search_params params = {.query = queries + q * DIM,
                                            .k = 10,
                                            .exact = exact,
                                            .accept = accept_some,
                                            .accept_context = &some};
                memset(asked, 0, ROWS);
                search(view, &params, &hits);
                brute_force_filtered(&table, &some, params.query, 10, &expected);
                if (exact) fixture_assert_hits_equal(&hits, &expected);
                for (uint64_t i = 0; i < hits.count; i++) {
                    int64_t slot = hits.hits[i].rowid - FIXTURE_FIRST_ROWID;
                    assert_true(table.alive[slot] && slot % some.modulus == some.rest);
                    if (!exact) found += hits.hits[i].distance <= expected.hits[expected.count - 1].distance;
                }
                wanted += exact ? expected.count : 0;
            }
        }
        double recall = wanted ? (double)found / (double)wanted : 1;
        if (recall < 0.93) fail_msg("every %lldth row: recall %.3f", (long long)moduli[f], recall);
    }
    filter stops = {.modulus = 2, .asked = asked, .stop = 5};
    shx_search_params params = {.query = queries, .k = 10, .accept = accept_some, .accept_context = &stops};
    shx_search_scratch *scratch;
    memset(asked, 0, ROWS);
    assert_ok(shx_search_scratch_create(&scratch));
    assert_status(shx_search(view, &params, scratch, &hits), SHX_ABORT);
    assert_int_equal(stops.calls, 5);
    params.accept = NULL;
    assert_ok(shx_search(view, &params, scratch, &hits)); /* and the scratch is good for the next one */
    assert_int_equal(hits.count, 10);
    shx_search_scratch_destroy(scratch);
    shx_view_release(view);
    shx_topk_free(&hits);
    shx_topk_free(&expected);
    free(asked);
    free(vectors);
    fixture_table_free(&table);
}

/* ---- own changes, and older views ---- */

/* Uncommitted rows are found, rows that they replace or delete are not: as if it were committed. */
static void pending_lies_over_the_view(void **state) {
    (void)state;
    enum { DIM = 6 };
    const uint64_t sizes[] = {300, SHX_EXACT_ROWS + 1500};
    for (int s = 0; s < 2; s++) {
        uint64_t rows = sizes[s];
        fixture_random random = fixture_seed("pending", 40 + (uint64_t)s);
        fixture_table table = fixture_table_make(SHX_L2, DIM, rows + 200);
        float *vectors = fixture_gaussian(&random, rows + 200, DIM);
        shx_topk hits = {0}, expected = {0};
        fixture_open(&table, NULL, NULL);
        fixture_put_many(&table, 0, rows, vectors);
        fixture_commit(&table);
        fixture_flush(&table);
        fixture_put_many(&table, 0, 40, vectors + 40 * DIM);
        fixture_commit(&table);
        shx_view *view = fixture_view(&table);
        for (int step = 0; step < 400; step++) {
            uint64_t slot = fixture_below(&random, rows + 200);
            if (table.alive[slot] && fixture_below(&random, 2)) {
                fixture_delete(&table, slot);
            } else {
                fixture_put(&table, slot, vectors + fixture_below(&random, rows) * DIM);
            }
            if (step % 10) continue;
            shx_search_params params = {
                .query = vectors + fixture_below(&random, rows) * DIM, .k = 15, .pending = table.pending};
            fixture_brute_force(&table, params.query, 15, &expected);
            params.exact = true;
            search(view, &params, &hits);
            fixture_assert_hits_equal(&hits, &expected);
            params.exact = false;
            params.recall = 1;
            search(view, &params, &hits);
            fixture_assert_hits_equal(&hits, &expected);
        }
        shx_view_release(view);
        shx_topk_free(&hits);
        shx_topk_free(&expected);
        free(vectors);
        fixture_table_free(&table);
    }
}

#define OLD_VIEWS 8

/* A view gives the same answers after later commits, flushes and optimizations, whatever they did to its rows. */
static void older_views_keep_their_answers(void **state) {
    (void)state;
    enum { DIM = 8, ROWS = 6500, K = 12, QUERIES = 4 };
    fixture_random random = fixture_seed("older views", 50);
    fixture_table table = fixture_table_make(SHX_COSINE, DIM, ROWS);
    float *vectors = fixture_gaussian(&random, ROWS, DIM);
    shx_view *views[OLD_VIEWS];
    shx_topk expected[OLD_VIEWS][QUERIES] = {{{0}}}, hits = {0};
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS, vectors);
    fixture_commit(&table);
    for (int v = 0; v < OLD_VIEWS; v++) {
        for (int i = 0; i < 300; i++) {
            uint64_t slot = fixture_below(&random, ROWS);
            if (table.alive[slot] && fixture_below(&random, 2)) {
                fixture_delete(&table, slot);
            } else {
                fixture_put(&table, slot, vectors + fixture_below(&random, ROWS) * DIM);
            }
        }
        fixture_commit(&table);
        if (v % 3 == 1) fixture_flush(&table);
        views[v] = fixture_view(&table);
        for (uint64_t q = 0; q < QUERIES; q++) fixture_brute_force(&table, vectors + q * DIM, K, &expected[v][q]);
        if (v == 5) fixture_optimize(&table);
        shx_index_confirm(table.index, &table.tip);
        for (int old = 0; old <= v; old++) {
            for (uint64_t q = 0; q < QUERIES; q++) {
                shx_search_params params = {.query = vectors + q * DIM, .k = K, .exact = true};
                search(views[old], &params, &hits);
                fixture_assert_hits_equal(&hits, &expected[old][q]);
                params.exact = false;
                params.recall = 1;
                search(views[old], &params, &hits);
                fixture_assert_hits_equal(&hits, &expected[old][q]);
            }
        }
    }
    for (int v = 0; v < OLD_VIEWS; v++) {
        for (int q = 0; q < QUERIES; q++) shx_topk_free(&expected[v][q]);
        shx_view_release(views[v]);
    }
    shx_topk_free(&hits);
    free(vectors);
    fixture_table_free(&table);
}

/* ---- interrupts and damage ---- */

/* The search ends at whichever question is answered so, and only there. */
static void ends_at_any_question(shx_view *view, shx_search_params params, shx_search_scratch *scratch) {
    shx_topk hits = {0};
    fixture_asked asked = {.at = 0};
    shx_stop stop = fixture_stop(&asked);
    params.interrupted = stop.wanted;
    params.interrupted_context = stop.context;
    do {
        asked.at++;
        asked.count = 0;
        shx_status status = shx_search(view, &params, scratch, &hits);
        assert_status(status, asked.count < asked.at ? SHX_OK : SHX_INTERRUPT);
    } while (asked.count >= asked.at);
    assert_true(asked.at > 2);
    shx_topk_free(&hits);
}

static void interrupts(void **state) {
    (void)state;
    enum { DIM = 4, ROWS = 30000 };
    fixture_random random = fixture_seed("interrupts", 60);
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_gaussian(&random, ROWS, DIM);
    shx_topk hits = {0};
    shx_search_scratch *scratch;
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS, vectors);
    fixture_commit(&table);
    assert_ok(shx_search_scratch_create(&scratch));
    for (int flushed = 0; flushed < 2; flushed++) {
        shx_view *view = fixture_view(&table);
        shx_search_params params = {.query = vectors, .k = ROWS, .recall = 1};
        ends_at_any_question(view, params, scratch);
        params.k = 3;
        assert_ok(shx_search(view, &params, scratch, &hits));
        assert_true(hits.count == 3 && hits.hits[0].rowid == FIXTURE_FIRST_ROWID);
        shx_view_release(view);
        fixture_flush(&table);
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    free(vectors);
    fixture_table_free(&table);
}

/* One scratch for views of different dimension and state. */
static void a_scratch_fits_every_view(void **state) {
    (void)state;
    fixture_random random = fixture_seed("scratch", 61);
    shx_search_scratch *scratch;
    shx_topk hits = {0}, expected = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    for (int round = 0; round < 6; round++) {
        uint32_t dim = round % 2 ? 300 : 5;
        fixture_table table = fixture_table_make(metrics[round % 3], dim, 5200);
        float *vectors = fixture_gaussian(&random, 5200, dim);
        fixture_open(&table, NULL, NULL);
        fixture_put_many(&table, 0, 5200, vectors);
        fixture_commit(&table);
        if (round > 1) fixture_flush(&table);
        shx_view *view = fixture_view(&table);
        shx_search_params params = {.query = vectors, .k = 4, .recall = 1};
        assert_ok(shx_search(view, &params, scratch, &hits));
        fixture_brute_force(&table, vectors, 4, &expected);
        fixture_assert_hits_equal(&hits, &expected);
        shx_view_release(view);
        free(vectors);
        fixture_table_free(&table);
    }
    shx_topk_free(&hits);
    shx_topk_free(&expected);
    shx_search_scratch_destroy(scratch);
    shx_search_scratch_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_cost_nothing),
        cmocka_unit_test(exact_is_brute_force),
        cmocka_unit_test(exact_is_not_deceived),
        cmocka_unit_test(ties_break_by_rowid),
        cmocka_unit_test(small_and_odd_requests),
        cmocka_unit_test(the_words),
        cmocka_unit_test(clustered_rows),
        cmocka_unit_test(a_radius_bounds_the_answer),
        cmocka_unit_test(filters),
        cmocka_unit_test(pending_lies_over_the_view),
        cmocka_unit_test(older_views_keep_their_answers),
        cmocka_unit_test(interrupts),
        cmocka_unit_test(a_scratch_fits_every_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
