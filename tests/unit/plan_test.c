/* The planner: a table of queries with the plan that each must get, and texts that are none. */
#include "../../ext/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CONSTRAINTS_MAX 8

#define MATCH                                                                                                          \
    { .subject = SHX_SUBJECT_MATCH, .usable = true }
#define MATCH_LATER                                                                                                    \
    { .subject = SHX_SUBJECT_MATCH }
#define K                                                                                                              \
    { .subject = SHX_SUBJECT_K, .usable = true }
#define LIMIT                                                                                                          \
    { .subject = SHX_SUBJECT_LIMIT, .usable = true }
#define OFFSET                                                                                                         \
    { .subject = SHX_SUBJECT_OFFSET, .usable = true }
#define PARAMETER(s)                                                                                                   \
    { .subject = SHX_SUBJECT_##s, .usable = true }
#define ROWID(op)                                                                                                      \
    { .subject = SHX_SUBJECT_ROWID, .compare = SHX_COMPARE_##op, .usable = true }
#define DISTANCE(op)                                                                                                   \
    { .subject = SHX_SUBJECT_DISTANCE, .compare = SHX_COMPARE_##op, .usable = true }
#define PLAIN(n, op)                                                                                                   \
    { .subject = SHX_SUBJECT_PLAIN, .slot = n, .compare = SHX_COMPARE_##op, .usable = true, .binary = true }
#define PLAIN_IN(n)                                                                                                    \
    { .subject = SHX_SUBJECT_PLAIN, .slot = n, .usable = true, .binary = true, .is_in = true }
#define PLAIN_NOCASE(n)                                                                                                \
    { .subject = SHX_SUBJECT_PLAIN, .slot = n, .usable = true }
#define PLAIN_LATER(n)                                                                                                 \
    { .subject = SHX_SUBJECT_PLAIN, .slot = n, .binary = true }
#define AUX(n, op)                                                                                                     \
    { .subject = SHX_SUBJECT_AUXILIARY, .slot = n, .compare = SHX_COMPARE_##op, .usable = true, .binary = true }
#define ROWID_IN                                                                                                       \
    { .subject = SHX_SUBJECT_ROWID, .usable = true, .is_in = true }
#define OTHER                                                                                                          \
    { .subject = SHX_SUBJECT_OTHER, .compare = SHX_COMPARE_OTHER, .usable = true }

typedef struct plan_case {
    const char *expected; /* the plan's text; "impossible"; or "!part of the message" */
    shx_order order;
    int count;
    shx_constraint constraints[CONSTRAINTS_MAX];
    bool ordered;
} plan_case;

static const plan_case CASES[] = {
    {"scan", SHX_ORDER_NONE, 0, {{0}}, false},
    {"scan", SHX_ORDER_ROWID, 0, {{0}}, true},
    {"scan desc", SHX_ORDER_ROWID_DESC, 0, {{0}}, true},
    {"scan", SHX_ORDER_OTHER, 0, {{0}}, false},
    {"point rowid=", SHX_ORDER_NONE, 1, {ROWID(EQ)}, false},
    {"filter c1<or-blob c1glob", SHX_ORDER_NONE, 2, {PLAIN(1, LT_OR_BLOB), PLAIN(1, GLOB)}, false},
    {"stream match c1<or-blob sorted", SHX_ORDER_DISTANCE, 3, {MATCH, LIMIT, PLAIN(1, LT_OR_BLOB)}, true},
    {"point rowid=", SHX_ORDER_NONE, 1, {ROWID_IN}, false},
    {"point c0> rowid=", SHX_ORDER_NONE, 2, {PLAIN(0, GT), ROWID(EQ)}, false},
    {"range rowid> rowid<= desc", SHX_ORDER_ROWID_DESC, 2, {ROWID(GT), ROWID(LE)}, true},
    {"filter c0= c12like a1notnull c3-in",
     SHX_ORDER_NONE,
     4,
     {PLAIN(0, EQ), PLAIN(12, LIKE), AUX(1, NOT_NULL), PLAIN_IN(3)},
     false},
    {"scan", SHX_ORDER_NONE, 3, {PLAIN_NOCASE(0), OTHER, PLAIN_LATER(1)}, false},
    {"scan", SHX_ORDER_NONE, 1, {DISTANCE(LT)}, false},
    {"scan", SHX_ORDER_NONE, 2, {LIMIT, OFFSET}, false},
    {"knn match k", SHX_ORDER_NONE, 2, {MATCH, K}, false},
    {"knn match k sorted", SHX_ORDER_DISTANCE, 2, {K, MATCH}, true},
    {"knn match k", SHX_ORDER_ROWID, 2, {K, MATCH}, false},
    {"knn match limit sorted", SHX_ORDER_DISTANCE, 2, {MATCH, LIMIT}, true},
    {"knn match limit offset", SHX_ORDER_NONE, 3, {MATCH, LIMIT, OFFSET}, false},
    {"knn match k limit offset recall exact distance< rowid-in",
     SHX_ORDER_NONE,
     8,
     {MATCH, K, LIMIT, OFFSET, PARAMETER(RECALL), PARAMETER(EXACT), DISTANCE(LT), ROWID_IN},
     false},
    {"stream match", SHX_ORDER_NONE, 1, {MATCH}, false},
    {"stream match sorted", SHX_ORDER_DISTANCE, 1, {MATCH}, true},
    /* LIMIT must not end a search when something is left for SQLite to check, or another order is wanted */
    {"stream match", SHX_ORDER_OTHER, 2, {MATCH, LIMIT}, false},
    {"stream match", SHX_ORDER_NONE, 3, {MATCH, LIMIT, OTHER}, false},
    {"stream match", SHX_ORDER_NONE, 3, {MATCH, LIMIT, PLAIN_NOCASE(0)}, false},
    {"stream match", SHX_ORDER_NONE, 4, {MATCH, LIMIT, OFFSET, PLAIN_LATER(0)}, false},
    {"stream match distance>", SHX_ORDER_NONE, 4, {MATCH, LIMIT, DISTANCE(GT), DISTANCE(EQ)}, false},
    /* … which may be the rest of a row value behind <= and >= */
    {"stream match c0<=", SHX_ORDER_NONE, 3, {MATCH, LIMIT, PLAIN(0, LE)}, false},
    {"stream match rowid>=", SHX_ORDER_NONE, 4, {MATCH, LIMIT, OFFSET, ROWID(GE)}, false},
    {"knn match k distance<=", SHX_ORDER_NONE, 4, {MATCH, K, LIMIT, DISTANCE(LE)}, false},
    {"knn match k", SHX_ORDER_NONE, 3, {MATCH, K, OTHER}, false},
    {"impossible", SHX_ORDER_NONE, 2, {MATCH_LATER, K}, false},
    {"impossible", SHX_ORDER_NONE, 2, {MATCH, {.subject = SHX_SUBJECT_K}}, false},
    {"!given by =",
     SHX_ORDER_NONE,
     2,
     {MATCH, {.subject = SHX_SUBJECT_K, .compare = SHX_COMPARE_LE, .usable = true}},
     false},
    {"!given by =",
     SHX_ORDER_NONE,
     3,
     {MATCH, K, {.subject = SHX_SUBJECT_RECALL, .compare = SHX_COMPARE_IS, .usable = true}},
     false},
    {"knn match k",
     SHX_ORDER_NONE,
     3,
     {MATCH, K, {.subject = SHX_SUBJECT_K, .compare = SHX_COMPARE_GT, .usable = true}},
     false},
    {"!only one MATCH", SHX_ORDER_NONE, 3, {MATCH, K, MATCH}, false},
    {"!need a MATCH", SHX_ORDER_NONE, 1, {K}, false},
    {"!need a MATCH", SHX_ORDER_NONE, 1, {PARAMETER(EXACT)}, false},
};

static void check_case(const plan_case *wanted, int number) {
    shx_plan_request request = {wanted->constraints, wanted->count, wanted->order, 0};
    shx_plan_use uses[CONSTRAINTS_MAX];
    shx_plan plan;
    const char *message = "";
    switch (shx_plan_make(&request, uses, &plan, &message)) {
    case SHX_PLAN_IMPOSSIBLE: assert_string_equal(wanted->expected, "impossible"); return;
    case SHX_PLAN_ERROR:
        assert_int_equal(wanted->expected[0], '!');
        assert_non_null(strstr(message, wanted->expected + 1));
        return;
    case SHX_PLAN_OK: break;
    }
    if (strcmp(plan.text, wanted->expected) != 0) {
        fail_msg("case %d: \"%s\", expected \"%s\"", number, plan.text, wanted->expected);
    }
    if (plan.ordered != wanted->ordered) fail_msg("case %d: ordered is %d", number, plan.ordered);
}

static void queries_get_the_plan_they_should(void **context) {
    (void)context;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) check_case(&CASES[i], (int)i);
}

/* Arguments are numbered in the order of the words. */
static void words_and_arguments_agree(void **context) {
    (void)context;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        shx_plan_request request = {CASES[i].constraints, CASES[i].count, CASES[i].order, 0};
        shx_plan_use uses[CONSTRAINTS_MAX];
        shx_plan plan;
        const char *message;
        if (shx_plan_make(&request, uses, &plan, &message) != SHX_PLAN_OK) continue;
        const char *text = plan.text;
        shx_way way;
        assert_true(shx_plan_read_way(&text, &way));
        shx_term term;
        shx_order order = SHX_ORDER_NONE;
        int argument = 0;
        while (shx_plan_read_term(&text, &term, &order)) {
            argument++;
            int position = 0;
            while (position < request.count && uses[position].argument != argument) position++;
            assert_true(position < request.count);
            assert_int_equal(term.subject, request.constraints[position].subject);
            assert_int_equal(term.slot, request.constraints[position].slot);
            if (!uses[position].all) assert_int_equal(term.compare, request.constraints[position].compare);
            if (uses[position].all) assert_int_equal(term.compare, SHX_COMPARE_IN);
        }
        assert_string_equal(text, "");
        for (int j = 0; j < request.count; j++) assert_true(uses[j].argument <= argument);
        if (plan.ordered && request.order != SHX_ORDER_ROWID) assert_int_equal(order, request.order);
    }
}

static void every_operator_survives_the_text(void **context) {
    (void)context;
    for (int compare = SHX_COMPARE_EQ; compare < SHX_COMPARE_IN; compare++) {
        shx_constraint constraint = PLAIN(4000000000u, EQ);
        constraint.compare = (shx_compare)compare;
        shx_plan_request request = {&constraint, 1, SHX_ORDER_NONE, 0};
        shx_plan_use use;
        shx_plan plan;
        const char *message, *text = plan.text;
        assert_int_equal(shx_plan_make(&request, &use, &plan, &message), SHX_PLAN_OK);
        shx_way way;
        shx_term term;
        shx_order order;
        assert_true(shx_plan_read_way(&text, &way));
        assert_int_equal(way, SHX_WAY_FILTER);
        assert_true(shx_plan_read_term(&text, &term, &order));
        assert_int_equal(term.compare, compare);
        assert_int_equal(term.slot, 4000000000u);
    }
}

/* More conditions than the text has room for: the rest is left to SQLite, and then LIMIT must not count. */
static void too_many_conditions_are_left_to_sqlite(void **context) {
    (void)context;
    enum { MANY = 300 };
    shx_constraint constraints[MANY] = {MATCH, LIMIT};
    for (int i = 2; i < MANY; i++) constraints[i] = (shx_constraint)PLAIN((uint32_t)i, IS_NOT);
    shx_plan_use uses[MANY];
    shx_plan_request request = {constraints, MANY, SHX_ORDER_NONE, 0};
    shx_plan plan;
    const char *message, *text = plan.text;
    assert_int_equal(shx_plan_make(&request, uses, &plan, &message), SHX_PLAN_OK);
    shx_way way;
    assert_true(shx_plan_read_way(&text, &way));
    assert_int_equal(way, SHX_WAY_STREAM);
    assert_int_equal(uses[1].argument, 0);
    assert_int_equal(uses[MANY - 1].argument, 0);
    assert_true(uses[2].argument > 0);
}

/* Where there is but one reading: what a search keeps to need not be checked again. */
static void clear_conditions_are_not_checked_twice(void **context) {
    (void)context;
    shx_constraint constraints[] = {MATCH, K, PLAIN(0, EQ), PLAIN(1, EQ), PLAIN_IN(0), PLAIN(0, LIKE), AUX(0, EQ)};
    enum { COUNT = sizeof constraints / sizeof *constraints };
    shx_plan_use uses[COUNT];
    shx_plan_request request = {constraints, COUNT, SHX_ORDER_NONE, 0};
    shx_plan plan;
    const char *message;
    for (int i = 2; i < COUNT; i++) constraints[i].clear = i != 3;
    assert_int_equal(shx_plan_make(&request, uses, &plan, &message), SHX_PLAN_OK);
    assert_string_equal(plan.text, "knn match k c0= c1= c0-in c0like a0=");
    for (int i = 2; i < COUNT; i++) assert_int_equal(uses[i].omit, i == 2 || i == 4);
}

static void foreign_texts_are_refused(void **context) {
    (void)context;
    static const char *const texts[] = {"", "knnx", "kn", "0", "points", "match", " knn"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = texts[i];
        shx_way way;
        assert_false(shx_plan_read_way(&text, &way));
    }
    static const char *const terms[] = {" c=", " c1", " c1=x", " b1=", " rowid~", " matched", " c1descending"};
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        const char *text = terms[i];
        shx_term term;
        shx_order order;
        assert_false(shx_plan_read_term(&text, &term, &order));
    }
}

static void a_match_costs_less_than_any_way_around_it(void **context) {
    (void)context;
    shx_constraint match[] = {MATCH}, point[] = {ROWID(EQ)};
    shx_plan_use use;
    shx_plan with, without;
    const char *message;
    shx_plan_request request = {match, 1, SHX_ORDER_NONE, 0};
    assert_int_equal(shx_plan_make(&request, &use, &with, &message), SHX_PLAN_OK);
    request.constraints = point;
    assert_int_equal(shx_plan_make(&request, &use, &without, &message), SHX_PLAN_OK);
    assert_true(with.cost < without.cost);
    assert_true(without.unique);
}

static shx_plan planned(const shx_constraint *constraints, int count) {
    shx_plan_request request = {constraints, count, SHX_ORDER_NONE, 0};
    shx_plan_use uses[CONSTRAINTS_MAX];
    const char *message;
    shx_plan plan;
    assert_int_equal(shx_plan_make(&request, uses, &plan, &message), SHX_PLAN_OK);
    return plan;
}

/* SQLite takes an OR for the sum of its sides: one search must be less than two, in cost and in rows. (Beside an OR it
** tells nothing about LIMIT.) */
static void an_or_is_not_split_into_searches(void **context) {
    (void)context;
    const shx_constraint literal = {.subject = SHX_SUBJECT_ROWID, .usable = true, .literal = true};
    const shx_constraint sides[] = {PLAIN(0, EQ), PLAIN(3, GT), AUX(1, NOT_NULL), ROWID_IN,      ROWID(LT),
                                    literal,      DISTANCE(LT), OTHER,            PLAIN_LATER(0)};
    const shx_constraint searches[][2] = {{MATCH}, {MATCH, K}, {MATCH, PLAIN(7, LIKE)}};
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        int count = i == 0 ? 1 : 2;
        shx_plan one = planned(searches[i], count);
        for (size_t j = 0; j < sizeof sides / sizeof *sides; j++) {
            shx_constraint side[3] = {sides[j], searches[i][0], searches[i][1]};
            shx_plan part = planned(side, count + 1);
            assert_true(2 * part.cost > one.cost && 2 * part.rows > one.rows);
        }
    }
}

/* Of two tables the one that names rows of the other comes first; of the k nearest there is one search, not one for
** each row of a small table: it must cost more than going through that once. */
static void joins_come_out_right(void **context) {
    (void)context;
    const shx_constraint named[] = {MATCH, ROWID(EQ)}, nearest[] = {MATCH, K};
    const shx_constraint side_of_an_or[] = {PLAIN(0, GT), ROWID(EQ), MATCH};
    assert_true(planned(named, 2).rows == 1 && planned(named, 1).rows > 1);
    assert_true(planned(side_of_an_or, 3).rows == planned(named, 1).rows);
    shx_plan knn = planned(nearest, 2);
    assert_true(knn.cost > 10 * knn.rows);
    /* SQLite takes a table that it knows nothing about for one of a million rows: it shall look up as many */
    assert_true(1048576 * planned(named + 1, 1).cost < planned(named, 0).cost);
}

/* k may be any number; rows are reported as an integer. */
static void a_huge_k_is_only_a_number(void **context) {
    (void)context;
    const shx_constraint match[] = {MATCH, K};
    const double numbers[] = {1e300, 9.3e18, -1, 0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        shx_plan_request request = {match, 2, SHX_ORDER_NONE, numbers[i]};
        shx_plan_use uses[2];
        const char *message;
        shx_plan plan;
        assert_int_equal(shx_plan_make(&request, uses, &plan, &message), SHX_PLAN_OK);
        assert_true(plan.rows >= 1 && plan.rows < 1e9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_get_the_plan_they_should), cmocka_unit_test(words_and_arguments_agree),
        cmocka_unit_test(every_operator_survives_the_text), cmocka_unit_test(too_many_conditions_are_left_to_sqlite),
        cmocka_unit_test(clear_conditions_are_not_checked_twice),
        cmocka_unit_test(foreign_texts_are_refused),        cmocka_unit_test(a_match_costs_less_than_any_way_around_it),
        cmocka_unit_test(an_or_is_not_split_into_searches), cmocka_unit_test(joins_come_out_right),
        cmocka_unit_test(a_huge_k_is_only_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
