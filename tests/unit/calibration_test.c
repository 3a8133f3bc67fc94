/* Stop rules: the defaults, interpolation between what was measured, tables that make no sense, when it is measured
** again, and the bytes that l1 is measured by. */
#include "fixture.h"

#include "calibrate_bytes.h"
#include "calibrate_trace.h"
#include "calibration.h"
#include "index_state.h"
#include "kernels.h"
#include "limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void defaults_are_valid_and_widen(void **state) {
    (void)state;
    shx_calibration calibration;
    shx_calibration_default(&calibration);
    assert_true(shx_calibration_valid(&calibration));
    assert_int_equal(calibration.fitted, 0);
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 1; r < SHX_CALIBRATION_RECALLS; r++) {
            assert_true(calibration.first[k][r].theta > calibration.first[k][r - 1].theta);
            assert_true(calibration.kth[k][r].theta > calibration.kth[k][r - 1].theta);
        }
    }
}

/* Each field in turn holds something that no fit gives. */
static void nonsense_is_refused(void **state) {
    (void)state;
    shx_calibration good, bad;
    shx_calibration_default(&good);
    const double never[] = {NAN, INFINITY, -INFINITY};
    size_t cells = SHX_CALIBRATION_KS * SHX_CALIBRATION_RECALLS;
    for (size_t i = 0; i < cells; i++) {
        for (int n = 0; n < 3; n++) {
            bad = good;
            (&bad.mean_rows[0][0])[i] = never[n];
            assert_false(shx_calibration_valid(&bad));
            bad = good;
            (&bad.first[0][0])[i].beta = never[n];
            assert_false(shx_calibration_valid(&bad));
            bad = good;
            (&bad.first[0][0])[i].theta = never[n];
            assert_false(shx_calibration_valid(&bad));
            bad = good;
            (&bad.kth[0][0])[i].beta = never[n];
            assert_false(shx_calibration_valid(&bad));
            bad = good;
            (&bad.kth[0][0])[i].theta = never[n];
            assert_false(shx_calibration_valid(&bad));
            bad = good;
            (&bad.growth[0][0])[i] = never[n];
            assert_false(shx_calibration_valid(&bad));
        }
        bad = good;
        (&bad.first[0][0])[i].beta = -0.1;
        assert_false(shx_calibration_valid(&bad));
        bad = good;
        (&bad.kth[0][0])[i].beta = 8.5;
        assert_false(shx_calibration_valid(&bad));
        bad = good;
        (&bad.growth[0][0])[i] = -0.01;
        assert_false(shx_calibration_valid(&bad));
        bad = good;
        (&bad.mean_rows[0][0])[i] = -1;
        assert_false(shx_calibration_valid(&bad));
    }
}

/* A table whose theta tells where it was read: 100 × k's row + the recall's column. */
static shx_calibration numbered(void) {
    shx_calibration calibration;
    shx_calibration_default(&calibration);
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            calibration.first[k][r] = (shx_stop_rule){.beta = 1, .theta = 100 * k + r};
            calibration.kth[k][r] = (shx_stop_rule){.beta = 2, .theta = 1000 + 100 * k + r};
            calibration.growth[k][r] = 10 * k + r;
            calibration.mean_rows[k][r] = 1000 * (k + 1) + r;
        }
    }
    return calibration;
}

static void rules_are_interpolated(void **state) {
    (void)state;
    const shx_calibration calibration = numbered();
    shx_stop_plan plan;
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) { /* what was measured is met exactly */
            shx_stop_plan_make(&calibration, shx_calibration_ks[k], shx_calibration_recalls[r], &plan);
            assert_true(fabs(plan.first.theta - (100 * k + r)) < 1e-6);
            assert_true(fabs(plan.kth.theta - (1000 + 100 * k + r)) < 1e-6);
            assert_true(fabs(plan.growth - (10 * k + r)) < 1e-6);
            assert_true(plan.first.beta == 1 && plan.kth.beta == 2 && !plan.exhaustive);
        }
    }
    double before = -1;
    for (double recall = 0.5; recall < 0.9995; recall += 0.0005) { /* and between it goes up */
        shx_stop_plan_make(&calibration, 10, recall, &plan);
        assert_true(plan.first.theta >= before);
        before = plan.first.theta;
    }
    before = -1;
    for (uint64_t k = 1; k < 5000; k = k * 5 / 4 + 1) {
        shx_stop_plan_make(&calibration, k, 0.95, &plan);
        assert_true(plan.first.theta > before);
        before = plan.first.theta;
    }
}

static void odd_requests(void **state) {
    (void)state;
    const shx_calibration calibration = numbered();
    shx_stop_plan plan, usual;
    shx_stop_plan_make(&calibration, 10, 0.95, &usual);
    const double unset[] = {0, -1, 1.5, NAN, INFINITY};
    for (int i = 0; i < 5; i++) {
        shx_stop_plan_make(&calibration, 10, unset[i], &plan);
        assert_memory_equal(&plan.first, &usual.first, sizeof plan.first);
    }
    const double everything[] = {1, 0.9999, 0.99951};
    for (int i = 0; i < 3; i++) {
        shx_stop_plan_make(&calibration, 10, everything[i], &plan);
        assert_true(plan.exhaustive && plan.epsilon >= 3.3f);
    }
    shx_stop_plan_make(&calibration, 10, 0.01, &plan);
    assert_true(fabs(plan.first.theta - 100) < 1e-6);
    const uint64_t ks[] = {0, 1, UINT64_MAX};
    for (int i = 0; i < 3; i++) {
        shx_stop_plan_make(&calibration, ks[i], 0.95, &plan);
        assert_true(isfinite(plan.first.theta) && isfinite(plan.kth.theta) && plan.row_cap > 0);
    }
}

static void far_queries_go_farther(void **state) {
    (void)state;
    shx_calibration calibration = numbered();
    shx_stop_plan usual, plan;
    shx_stop_plan_make(&calibration, 10, 0.9, &usual);
    plan = usual;
    shx_stop_plan_reach(&calibration, 1e9, &plan); /* nobody knows what is usual */
    assert_memory_equal(&plan, &usual, sizeof plan);
    calibration.usual2 = 4;
    for (double nearest2 = 0; nearest2 <= 4; nearest2++) {
        shx_stop_plan_reach(&calibration, nearest2, &plan);
        assert_memory_equal(&plan, &usual, sizeof plan);
    }
    shx_stop_plan_reach(&calibration, 8, &plan);
    assert_true(fabs(plan.first.theta - (usual.first.theta + 3 * usual.first.beta * log(2))) < 1e-9);
    assert_true(plan.first.beta == usual.first.beta && plan.kth.theta == usual.kth.theta);
    const double never[] = {NAN, INFINITY, -1};
    for (int i = 0; i < 3; i++) {
        calibration.usual2 = never[i];
        assert_false(shx_calibration_valid(&calibration));
        calibration.usual2 = 4;
        for (int quartile = 0; quartile < 2; quartile++) {
            calibration.dimensions[quartile] = never[i];
            assert_false(shx_calibration_valid(&calibration));
            calibration.dimensions[quartile] = 0;
        }
    }
}

/* Against postings that are drawn by the law, and at its ends. */
static void shares_are_those_of_random_directions(void **state) {
    (void)state;
    enum { DIM = 40, DRAWN = 20000 };
    const float distance2 = 5, scatter = 2, limits2[] = {4, 5.5f, 6, 7, 8, 10};
    fixture_random random = fixture_seed("directions", 3);
    uint32_t within[6] = {0};
    for (int i = 0; i < DRAWN; i++) { /* one coordinate of a random direction: it leads away from the query */
        double first = fixture_gauss(&random), square = first * first;
        for (int d = 1; d < DIM; d++) {
            double coordinate = fixture_gauss(&random);
            square += coordinate * coordinate;
        }
        double cosine = first / sqrt(square), drawn2 = distance2 + scatter + 2 * sqrt(distance2 * scatter) * cosine;
        for (int l = 0; l < 6; l++) within[l] += drawn2 <= limits2[l];
    }
    for (int l = 0; l < 6; l++) {
        double share = shx_share_within(DIM, distance2, scatter, limits2[l]);
        assert_true(fabs(share - (double)within[l] / DRAWN) < 0.015);
    }
    assert_true(shx_share_within(DIM, distance2, 0, 5) == 1 && shx_share_within(DIM, distance2, 0, 4.9f) == 0);
    assert_true(shx_share_within(DIM, 0, scatter, 2) == 1 && shx_share_within(DIM, 0, scatter, 1.9f) == 0);
}

/* Twice as far out as the clusters: without the reach, 0.69. */
static void queries_unlike_the_rows(void **state) {
    (void)state;
    enum { DIM = 24, ROWS = 20000, QUERIES = 1000 };
    fixture_random random = fixture_seed("unlike the rows", 5);
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_clustered(&random, ROWS, DIM, 400), *queries = calloc(QUERIES, DIM * sizeof(float));
    assert_non_null(queries);
    for (uint64_t i = 0; i < QUERIES * DIM; i++) queries[i] = (float)(2 * fixture_gauss(&random));
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    double recall = fixture_recall(&table, queries, QUERIES, 10, 0.9);
    if (recall < 0.89) fail_msg("recall %.4f", recall);
    free(vectors);
    free(queries);
    fixture_table_free(&table);
}

/* One row in twelve comes later, from a region that had no rows when it was calibrated, and only these are asked for.
** Without shards of their own there: 0.70 of 0.95. */
static void a_region_that_is_new(void **state) {
    (void)state;
    enum { DIM = 32, BEFORE = 13750, NEW = 1250, QUERIES = 300 };
    const double asked[] = {0.95, 0.99};
    fixture_random random = fixture_seed("a new region", 29);
    fixture_table table = fixture_table_make(SHX_L2, DIM, BEFORE + NEW);
    float *vectors = calloc(BEFORE + NEW + QUERIES, DIM * sizeof(float));
    assert_non_null(vectors);
    for (uint64_t i = 0; i < (BEFORE + NEW + QUERIES) * DIM; i++) {
        bool moved = i >= BEFORE * DIM && i % DIM == 0;
        vectors[i] = (float)(fixture_gauss(&random) + (moved ? 9 : 0));
    }
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, BEFORE, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    fixture_put_many(&table, BEFORE, NEW, vectors + BEFORE * DIM);
    fixture_commit(&table);
    fixture_flush(&table);
    shx_view *view = fixture_view(&table);
    assert_int_equal(view->delta->base->info.calibrated_rows, BEFORE);
    shx_view_release(view);
    for (size_t r = 0; r < sizeof asked / sizeof *asked; r++) {
        double found = fixture_recall(&table, vectors + (BEFORE + NEW) * DIM, QUERIES, 10, asked[r]);
        if (!(found >= asked[r] - 0.01)) fail_msg("%.2f: %.4f", asked[r], found);
    }
    free(vectors);
    fixture_table_free(&table);
}

/* Gives the rows in the order of their groups; a row is in the group of the nearest of `groups` rows. ret_starts: the
** first row of each group, and the end. */
static float *ordered_by_group(const float *vectors, uint32_t rows, uint32_t dim, uint32_t groups,
                               uint32_t *ret_starts) {
    float *ordered = malloc((size_t)rows * dim * sizeof *ordered);
    uint32_t *group = malloc(rows * sizeof *group), count = 0;
    assert_true(ordered && group);
    for (uint32_t row = 0; row < rows; row++) {
        double best = INFINITY;
        for (uint32_t g = 0; g < groups; g++) {
            const float *pivot = vectors + (size_t)(rows / groups * g) * dim;
            double distance = shx_distance(SHX_L2, SHX_FLOAT32, pivot, vectors + (size_t)row * dim, dim);
            if (distance < best) group[row] = g;
            best = fmin(best, distance);
        }
    }
    for (uint32_t g = 0; g <= groups; g++) {
        ret_starts[g] = count;
        for (uint32_t row = 0; row < rows; row++) {
            if (group[row] != g) continue;
            memcpy(ordered + (size_t)count++ * dim, vectors + (size_t)row * dim, dim * sizeof *ordered);
        }
    }
    free(group);
    return ordered;
}

/* The recall of queries that ask for rows [low, high) alone; adds the rows that they go through. */
static double recall_among(fixture_table *table, const float *queries, uint64_t count, uint32_t low, uint32_t high,
                           double recall, uint64_t *rows) {
    shx_view *view = fixture_view(table);
    shx_search_scratch *scratch;
    shx_topk hits = {0}, exact = {0};
    shx_predicate predicate = {0};
    shx_value first = {.type = SHX_VALUE_INTEGER, .is.integer = FIXTURE_FIRST_ROWID + (int64_t)low};
    shx_value end = {.type = SHX_VALUE_INTEGER, .is.integer = FIXTURE_FIRST_ROWID + (int64_t)high};
    shx_range range = {shx_cut_before(first), shx_cut_before(end)};
    uint64_t found = 0, wanted = 0;
    assert_ok(shx_search_scratch_create(&scratch));
    assert_ok(shx_predicate_add(&predicate, SHX_COLUMN_ROWID, &range, 1));
    for (uint64_t q = 0; q < count; q++) {
        shx_search_params params = {
            .query = queries + q * table->config.dim, .k = 10, .exact = true, .predicate = &predicate};
        assert_ok(shx_search(view, &params, scratch, &exact));
        params.exact = false;
        params.recall = recall;
        assert_ok(shx_search(view, &params, scratch, &hits));
        *rows += shx_search_last_work(scratch).rows;
        for (uint64_t i = 0; i < hits.count; i++) {
            assert_true(hits.hits[i].rowid >= first.is.integer && hits.hits[i].rowid < end.is.integer);
            found += hits.hits[i].distance <= exact.hits[exact.count - 1].distance;
        }
        wanted += exact.count;
    }
    shx_view_release(view);
    shx_predicate_clear(&predicate);
    shx_topk_free(&hits);
    shx_topk_free(&exact);
    shx_search_scratch_destroy(scratch);
    assert_true(wanted > 0);
    return (double)found / (double)wanted;
}

/* Groups are regions of the space; who asks for those at the other end of the list finds none of them nearby. */
static void queries_away_from_what_is_admitted(void **state) {
    (void)state;
    enum { DIM = 32, ROWS = 40000, GROUPS = 40, TOGETHER = 6, EACH = 20 };
    const double asked[] = {0.8, 0.9, 0.95, 0.99};
    fixture_random random = fixture_seed("away", 17);
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_clustered(&random, ROWS, DIM, 300);
    uint32_t starts[GROUPS + 1];
    float *ordered = ordered_by_group(vectors, ROWS, DIM, GROUPS, starts);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS, ordered);
    fixture_commit(&table);
    fixture_flush(&table);
    for (size_t r = 0; r < sizeof asked / sizeof *asked; r++) {
        double sum = 0;
        uint32_t regions = 0;
        uint64_t rows = 0;
        for (uint32_t g = 0; g + TOGETHER <= GROUPS; g++) {
            uint32_t low = starts[g], high = starts[g + TOGETHER], like = (g + GROUPS / 2) % GROUPS;
            if (high - low < 3000 || starts[like + 1] - starts[like] < EACH) continue; /* few rows are all looked at */
            sum += recall_among(&table, ordered + (size_t)starts[like] * DIM, EACH, low, high, asked[r], &rows);
            regions++;
        }
        assert_true(regions > 10);
        double found = sum / regions, most = asked[r] < 0.99 ? 0.5 * ROWS : 0.75 * ROWS;
        if (!(found >= asked[r] - (asked[r] < 0.99 ? 0.01 : 0.003))) fail_msg("%.2f: %.4f", asked[r], found);
        assert_true((double)rows / (regions * EACH) < most); /* and by leaving something out */
    }
    free(vectors);
    free(ordered);
    fixture_table_free(&table);
}

static void a_rule_holds_from_some_distance_on(void **state) {
    (void)state;
    const shx_stop_rule rule = {.beta = 0.5, .theta = 1};
    assert_false(shx_stop_rule_holds(&rule, 1, 1, 0));
    assert_false(shx_stop_rule_holds(&rule, exp(0.99), 1, 0));
    assert_true(shx_stop_rule_holds(&rule, exp(1.01), 1, 0));
    assert_true(shx_stop_rule_holds(&rule, 1, 1, exp(2.1))); /* many rows passed */
    assert_false(shx_stop_rule_holds(&rule, 0, 1, 3));       /* nothing is nearer than 0 */
    assert_false(shx_stop_rule_holds(&rule, 0, 0, 1000));
    assert_false(shx_stop_rule_holds(&rule, 1, 0, 0));      /* a reference of 0 tells nothing */
    for (double rank = 0, before = 0; rank < 100; rank++) { /* once it holds it goes on to hold */
        bool holds = shx_stop_rule_holds(&rule, 2, 1, rank);
        assert_true(holds >= (before != 0));
        before = holds;
    }
}

/* The limit says what the rule says, wherever rounding does not decide. */
static void a_limit_stands_for_its_rule(void **state) {
    (void)state;
    for (int beta = 0; beta <= 8; beta++) {
        const shx_stop_rule rule = {.beta = beta * 0.25, .theta = 3 - 0.5 * beta};
        for (double reference2 = 0; reference2 < 4; reference2++) {
            shx_stop_limit limit = {0};
            double rank = 0, far = 0;
            for (int step = 0; step < 400; step++) {
                rank += step % 7 * 0.3;
                double wanted = exp(rule.theta - rule.beta * log1p(rank)) * reference2, near = wanted * 0.999;
                assert_true(shx_stop_limit_holds(&limit, &rule, near, reference2, rank) ==
                            shx_stop_rule_holds(&rule, near, reference2, rank));
                far = wanted * (1.001 + step % 5);
                assert_true(shx_stop_limit_holds(&limit, &rule, far, reference2, rank) ==
                            shx_stop_rule_holds(&rule, far, reference2, rank));
            }
            assert_true(shx_stop_limit_holds(&limit, &rule, far, reference2, 0) ==
                        shx_stop_rule_holds(&rule, far, reference2, 0)); /* a rank that falls */
        }
    }
}

/* Rows [first, end) of a table, and a flush; gives what is known of calibration then. */
static shx_base_info put_and_flush(fixture_table *table, uint64_t first, uint64_t end, const float *vectors,
                                   shx_calibration *ret_calibration) {
    fixture_put_many(table, first, end - first, vectors + first * table->config.dim);
    fixture_commit(table);
    fixture_flush(table);
    shx_view *view = fixture_view(table);
    shx_base_info info = view->delta->base->info;
    *ret_calibration = view->delta->base->calibration;
    shx_view_release(view);
    return info;
}

/* A few rows more change nothing; many, from elsewhere and of another shape, are measured, and found as promised. */
static void large_changes_are_measured(void **state) {
    (void)state;
    enum { DIM = 16, FIRST = 24000, FEW = 1000, MANY = 12000, HELD_OUT = 400 };
    const uint64_t rows = FIRST + FEW + MANY;
    fixture_random random = fixture_seed("large changes", 60);
    fixture_table table = fixture_table_make(SHX_L2, DIM, rows);
    float *vectors = fixture_clustered(&random, rows + HELD_OUT, DIM, 100);
    for (uint64_t i = (FIRST + FEW) * DIM; i < (rows + HELD_OUT) * DIM; i++) {
        vectors[i] = (float)(3 + fixture_gauss(&random));
    }
    shx_calibration first, few, many;
    fixture_open(&table, NULL, NULL);
    assert_int_equal(put_and_flush(&table, 0, FIRST, vectors, &first).calibrated_rows, FIRST);
    assert_int_equal(put_and_flush(&table, FIRST, FIRST + FEW, vectors, &few).calibrated_rows, FIRST);
    assert_memory_equal(&few, &first, sizeof first);
    shx_base_info info = put_and_flush(&table, FIRST + FEW, rows, vectors, &many);
    assert_true(info.calibrated_rows == rows && info.changes == 0 && info.clustered_rows == FIRST);
    assert_memory_not_equal(&many, &first, sizeof first);
    assert_true(many.fitted == 1 && shx_calibration_valid(&many));
    double new_rows = fixture_recall(&table, vectors + rows * DIM, HELD_OUT, 10, 0.95);
    double old_rows = fixture_recall(&table, vectors, HELD_OUT, 10, 0.95);
    print_message("             asked 0.95 after a change of a third: %.4f near new rows, %.4f near old ones\n",
                  new_rows, old_rows);
    assert_true(new_rows / 3 + old_rows * 2 / 3 >= 0.93);
    free(vectors);
    fixture_table_free(&table);
}

/* Bytes stand for l1 vectors up to rounding; a table with a number far beyond all others has none. */
static void bytes_stand_for_vectors(void **state) {
    (void)state;
    enum { DIM = 24, ROWS = 300 }; /* so few that every row tells the range */
    const shx_kernels *kernels = shx_kernels_get();
    for (int outlying = 0; outlying < 2; outlying++) {
        fixture_random random = fixture_seed("bytes", 70 + (uint64_t)outlying);
        fixture_table table = fixture_table_make(SHX_L1, DIM, ROWS);
        float *vectors = fixture_gaussian(&random, ROWS, DIM);
        if (outlying) vectors[5] = 1e30f;
        fixture_open(&table, NULL, NULL);
        fixture_put_many(&table, 0, ROWS, vectors);
        fixture_commit(&table);
        fixture_flush(&table);
        shx_view *view = fixture_view(&table);
        const shx_base *base = view->delta->base;
        shx_trace_bytes bytes;
        assert_int_equal(shx_trace_bytes_make(base, NULL, &bytes), SHX_OK);
        assert_int_equal(bytes.vectors != NULL, !outlying);
        for (uint64_t i = 1; bytes.vectors && i < base->segments[0]->row_count; i++) {
            const int8_t *a = shx_trace_bytes_at(&bytes, 0, i - 1), *b = shx_trace_bytes_at(&bytes, 0, i);
            double distance = shx_distance(SHX_L1, SHX_FLOAT32, shx_segment_vector_at(base->segments[0], i - 1),
                                           shx_segment_vector_at(base->segments[0], i), DIM);
            double rounded = bytes.unit * (double)kernels->int8_l1(a, b, DIM);
            assert_true(fabs(rounded - distance) <= bytes.unit * DIM * 1.001);
        }
        shx_trace_bytes_free(&bytes);
        shx_view_release(view);
        free(vectors);
        fixture_table_free(&table);
    }
}

static bool count_question(void *context) {
    ++*(uint64_t *)context;
    return false;
}

/* A query's way through everything may be long: it asks on the way. */
static void a_walk_asks(void **state) {
    (void)state;
    enum { DIM = 8, ROWS = 12000, SHARD = 32, STEP = 64 };
    fixture_random random = fixture_seed("walk", 72);
    fixture_table table = fixture_table_make(SHX_L2, DIM, ROWS);
    float *vectors = fixture_gaussian(&random, ROWS, DIM);
    table.config.shard_size = SHARD;
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, ROWS, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    shx_view *view = fixture_view(&table);
    const shx_base *base = view->delta->base;
    const shx_trace_bytes no_bytes = {0};
    shx_progress progress = {0};
    uint64_t asked = 0;
    shx_trace_walker *walker;
    shx_trace trace = {.row = 7};
    shx_progress_open(&progress, count_question, &asked);
    assert_ok(shx_trace_walker_create(base, &no_bytes, false, &progress, &walker));
    assert_ok(shx_trace_walk(walker, NULL, &trace, 1));
    assert_true(trace.rows == ROWS && asked >= base->shards->count / STEP && asked > 1);
    shx_trace_walker_destroy(walker);
    shx_trace_free(&trace);
    shx_view_release(view);
    free(vectors);
    fixture_table_free(&table);
}

/* Flushes them and asks the last `count` vectors, which are not rows: what is asked for is found, up to `slack`. */
static void require_found(const char *what, shx_metric metric, uint32_t dim, uint64_t rows, const float *vectors,
                          uint64_t count, uint64_t k, double slack) {
    const double recalls[] = {0.8, 0.9, 0.95, 0.99};
    fixture_table table = fixture_table_make(metric, dim, rows);
    fixture_open(&table, NULL, NULL);
    fixture_put_many(&table, 0, rows, vectors);
    fixture_commit(&table);
    fixture_flush(&table);
    for (int i = 0; i < 4; i++) {
        double found = fixture_recall(&table, vectors + rows * dim, count, k, recalls[i]);
        print_message("             %s: asked %.2f for %d, found %.4f\n", what, recalls[i], (int)k, found);
        if (found < recalls[i] - slack) fail_msg("%s: asked %.2f, found %.4f", what, recalls[i], found);
    }
    fixture_table_free(&table);
}

/* Rows that differ from each other by less than their codes tell: whom the codes take for near is found more easily
** than who is near. */
static void copies_are_told_apart(void **state) {
    (void)state;
    enum { DIM = 32, ROWS = 20000, COPIES = 500, HELD_OUT = 500 };
    fixture_random random = fixture_seed("copies", 73);
    float *vectors = fixture_gaussian(&random, ROWS + HELD_OUT, DIM);
    float *originals = fixture_gaussian(&random, ROWS / COPIES, DIM);
    for (uint64_t i = 0; i < ROWS + HELD_OUT; i++) {
        const float *original = originals + fixture_below(&random, ROWS / COPIES) * DIM;
        for (uint64_t d = 0; d < DIM; d++) vectors[i * DIM + d] = original[d] + 1e-3f * vectors[i * DIM + d];
    }
    require_found("copies", SHX_L2, DIM, ROWS, vectors, HELD_OUT, 10, 0.03);
    require_found("copies, cosine", SHX_COSINE, DIM, ROWS, vectors, HELD_OUT, 10, 0.03);
    free(originals);
    free(vectors);
}

/* Under ip the few rows of great norm, which every query compares, are among everybody's 100 nearest; as many of them
** as of others stand in the sample that this k is fitted on. */
static void great_norms_are_counted_once(void **state) {
    (void)state;
    enum { DIM = 32, ROWS = 20000, GREAT = 20, HELD_OUT = 500 };
    fixture_random random = fixture_seed("norms", 74);
    float *vectors = fixture_gaussian(&random, ROWS + HELD_OUT, DIM);
    for (uint64_t i = 0; i < ROWS; i += ROWS / GREAT) {
        for (uint64_t d = 0; d < DIM; d++) vectors[i * DIM + d] *= 20;
    }
    require_found("norms", SHX_IP, DIM, ROWS, vectors, HELD_OUT, 100, 0.03);
    free(vectors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_valid_and_widen),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(rules_are_interpolated),
        cmocka_unit_test(odd_requests),
        cmocka_unit_test(far_queries_go_farther),
        cmocka_unit_test(queries_unlike_the_rows),
        cmocka_unit_test(shares_are_those_of_random_directions),
        cmocka_unit_test(a_region_that_is_new),
        cmocka_unit_test(queries_away_from_what_is_admitted),
        cmocka_unit_test(a_rule_holds_from_some_distance_on),
        cmocka_unit_test(a_limit_stands_for_its_rule),
        cmocka_unit_test(large_changes_are_measured),
        cmocka_unit_test(bytes_stand_for_vectors),
        cmocka_unit_test(a_walk_asks),
        cmocka_unit_test(copies_are_told_apart),
        cmocka_unit_test(great_norms_are_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
