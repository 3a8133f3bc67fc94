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
    }
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
    enum { DIM = 24, ROWS = 900 }; /* so few that every row tells the range */
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
    assert_ok(shx_trace_walk(walker, NULL, false, &trace));
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
