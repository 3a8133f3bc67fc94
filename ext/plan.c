#include "plan.h"

#include "../engine/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody knows the size of the table when a query is planned; what counts is the order of the costs.
**
** Only a search can compute MATCH, and an OR must not be split into one for each of its sides: SQLite plans them with
** MATCH (from 3.41 on; before without), but runs them without it. So every way without MATCH costs more than a search,
** and searches cost the same and promise as many rows whatever their conditions: then one is less than two, even beside
** the cost of sorting the rows, which SQLite takes to be the same for either. A single row that another table names,
** and nothing else, is the exception: joins with a small table would go through all rows instead.
*/
#define PLAN_ROWS 100000.0
#define PLAN_ROW_COST 1e14
#define PLAN_POINT_COST 1e12
#define PLAN_KNN_COST 1e3 /* joined to a small table, one search is less than one for each of its rows */
#define PLAN_STREAM_COST 8.0
#define PLAN_KNN_DEFAULT 10.0

#define PLAN_DESCENDING "desc"
#define PLAN_SORTED "sorted"
#define PLAN_WORD_MAX 24 /* of one term with its space */

static const char *const PLAN_WAYS[] = {"knn", "stream", "point", "range", "filter", "scan"};
static const char *const PLAN_SUBJECTS[] = {"match", "k", "limit", "offset", "recall", "exact", "distance", "rowid"};

/* Operators as the plan's text and as SQL spell them, and the share of rows that is expected to satisfy them. */
typedef struct plan_operator {
    const char *word, *sql;
    double share;
} plan_operator;

static const plan_operator PLAN_OPERATORS[] = {
    [SHX_COMPARE_EQ] = {"=", "=", 0.05},         [SHX_COMPARE_NE] = {"!=", "<>", 0.9},
    [SHX_COMPARE_LT] = {"<", "<", 0.4},          [SHX_COMPARE_LE] = {"<=", "<=", 0.4},
    [SHX_COMPARE_GT] = {">", ">", 0.4},          [SHX_COMPARE_GE] = {">=", ">=", 0.4},
    [SHX_COMPARE_IS] = {"is", "IS", 0.05},       [SHX_COMPARE_IS_NOT] = {"isnot", "IS NOT", 0.9},
    [SHX_COMPARE_IS_NULL] = {"null", "IS", 0.1}, [SHX_COMPARE_NOT_NULL] = {"notnull", "IS NOT", 0.9},
    [SHX_COMPARE_LIKE] = {"like", "LIKE", 0.2},  [SHX_COMPARE_GLOB] = {"glob", "GLOB", 0.2},
    [SHX_COMPARE_IN] = {"-in", "IN", 0.2},       [SHX_COMPARE_LT_OR_BLOB] = {"<or-blob", "<", 0.4},
};

#define PLAN_OPERATOR_COUNT (sizeof PLAN_OPERATORS / sizeof *PLAN_OPERATORS)

const char *shx_compare_sql(shx_compare compare) {
    assert(compare < PLAN_OPERATOR_COUNT);
    return PLAN_OPERATORS[compare].sql;
}

/* ---- making ---- */

/* A plan in the making. */
typedef struct plan_draft {
    const shx_plan_request *request;
    shx_plan_use *uses;
    shx_plan *plan;
    size_t length;
    int arguments;
} plan_draft;

/* Appends a word; false when it does not fit. */
static bool plan_write(plan_draft *draft, const char *word) {
    size_t room = SHX_PLAN_TEXT_MAX - draft->length;
    int size = snprintf(draft->plan->text + draft->length, room, "%s%s", draft->length ? " " : "", word);
    if (size < 0 || (size_t)size >= room) {
        draft->plan->text[draft->length] = '\0';
        return false;
    }
    draft->length += (size_t)size;
    return true;
}

static bool plan_is_column(shx_subject subject) {
    return subject == SHX_SUBJECT_PLAIN || subject == SHX_SUBJECT_AUXILIARY;
}

/* Takes a constraint over; with `all` an IN list as a whole. */
static bool plan_take(plan_draft *draft, int position, bool omit, bool all) {
    const shx_constraint *constraint = &draft->request->constraints[position];
    const plan_operator *operation = &PLAN_OPERATORS[all ? SHX_COMPARE_IN : constraint->compare];
    char word[48];
    if (plan_is_column(constraint->subject)) {
        snprintf(word, sizeof word, "%c%u%s", constraint->subject == SHX_SUBJECT_PLAIN ? 'c' : 'a', constraint->slot,
                 operation->word);
    } else {
        bool compared = constraint->subject == SHX_SUBJECT_DISTANCE || constraint->subject == SHX_SUBJECT_ROWID;
        snprintf(word, sizeof word, "%s%s", PLAN_SUBJECTS[constraint->subject], compared ? operation->word : "");
    }
    if (!plan_write(draft, word)) return false;
    draft->uses[position] = (shx_plan_use){++draft->arguments, omit, all};
    return true;
}

/* Can a cursor evaluate this condition? */
static bool plan_evaluable(const shx_constraint *constraint) {
    if (!constraint->usable || constraint->compare == SHX_COMPARE_OTHER) return false;
    bool range = constraint->compare >= SHX_COMPARE_LT && constraint->compare <= SHX_COMPARE_GE;
    switch (constraint->subject) {
    case SHX_SUBJECT_DISTANCE: return range;
    case SHX_SUBJECT_ROWID: return true;
    case SHX_SUBJECT_PLAIN:
    case SHX_SUBJECT_AUXILIARY: return constraint->binary;
    default: return false;
    }
}

static int plan_find(const shx_plan_request *request, shx_subject subject) {
    for (int i = 0; i < request->count; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        if (constraint->subject == subject && constraint->usable && constraint->compare == SHX_COMPARE_EQ) return i;
    }
    return -1;
}

/* Does SQLite check more than the condition says? It hands (a, b) < (x, y) in as a <= x, without a word. */
static bool plan_is_checked(const shx_constraint *constraint) {
    return constraint->compare == SHX_COMPARE_LE || constraint->compare == SHX_COMPARE_GE ||
           constraint->compare == SHX_COMPARE_LT_OR_BLOB;
}

/* May LIMIT end the search? Only when nothing is checked after it and the order is ours. */
static bool plan_limit_counts(const shx_plan_request *request) {
    if (request->order != SHX_ORDER_NONE && request->order != SHX_ORDER_DISTANCE) return false;
    if (request->count * PLAN_WORD_MAX > SHX_PLAN_TEXT_MAX - PLAN_WORD_MAX) return false; /* not all may fit */
    for (int i = 0; i < request->count; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        if (!constraint->usable) return false;
        if (constraint->subject <= SHX_SUBJECT_EXACT && constraint->compare == SHX_COMPARE_EQ) continue;
        if (plan_is_checked(constraint) || !plan_evaluable(constraint)) return false;
    }
    return true;
}

static bool plan_is_parameter(const shx_constraint *constraint) {
    return constraint->subject == SHX_SUBJECT_K || constraint->subject == SHX_SUBJECT_RECALL ||
           constraint->subject == SHX_SUBJECT_EXACT;
}

/* A parameter of the search that is only compared: it has no value, and no row would come. */
static bool plan_parameter_compared(const shx_plan_request *request) {
    bool given[SHX_SUBJECT_OTHER + 1] = {false}, compared = false;
    for (int i = 0; i < request->count; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        given[constraint->subject] |= constraint->compare == SHX_COMPARE_EQ;
    }
    for (int i = 0; i < request->count; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        compared |= plan_is_parameter(constraint) && !given[constraint->subject];
    }
    return compared;
}

static shx_verdict plan_check_match(const shx_plan_request *request, const char **ret_message) {
    int matches = 0;
    bool hidden = false;
    for (int i = 0; i < request->count; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        bool match = constraint->subject == SHX_SUBJECT_MATCH;
        if (match && !constraint->usable) return SHX_PLAN_IMPOSSIBLE;
        if (match) matches++;
        hidden |= constraint->compare == SHX_COMPARE_EQ && plan_is_parameter(constraint);
    }
    bool compared = matches == 1 && plan_parameter_compared(request);
    if ((matches == 1 && !compared) || (matches == 0 && !hidden)) return SHX_PLAN_OK;
    *ret_message = matches > 1 ? "shardex: only one MATCH is allowed in a query on a table"
                   : compared  ? "shardex: k, recall and exact are given by =, as in k = 10"
                               : "shardex: k, recall and exact need a MATCH on the vector column";
    return SHX_PLAN_ERROR;
}

/* A parameter of the search that is there but not usable yet (k = column of a table that comes later). */
static bool plan_parameter_missing(const shx_plan_request *request) {
    for (int i = 0; i < request->count; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        if (plan_is_parameter(constraint) && constraint->compare == SHX_COMPARE_EQ && !constraint->usable) return true;
    }
    return false;
}

/* Will a search give out no row that fails the condition? */
static bool plan_is_kept(const shx_constraint *constraint) {
    bool pattern = constraint->compare == SHX_COMPARE_LIKE || constraint->compare == SHX_COMPARE_GLOB;
    return constraint->subject == SHX_SUBJECT_PLAIN && constraint->clear && !pattern;
}

/* Takes over all conditions that can be evaluated. */
static void plan_take_conditions(plan_draft *draft) {
    for (int i = 0; i < draft->request->count; i++) {
        const shx_constraint *constraint = &draft->request->constraints[i];
        bool about_rows = constraint->subject == SHX_SUBJECT_ROWID || plan_is_column(constraint->subject);
        bool distance = constraint->subject == SHX_SUBJECT_DISTANCE;
        if (draft->uses[i].argument || !plan_evaluable(constraint) || !(about_rows || distance)) continue;
        plan_take(draft, i, plan_is_kept(constraint), constraint->is_in);
    }
}

/* How many rows a search with k or LIMIT gives. */
static double plan_wanted(const shx_plan_request *request) {
    if (!(request->k > 0)) return PLAN_KNN_DEFAULT;
    return request->k < PLAN_ROWS ? request->k : PLAN_ROWS;
}

/* Does something that the query does not spell out, such as another table's column, name the row? With another
** condition it could be the side of an OR. */
static bool plan_is_named(const shx_plan_request *request) {
    int row = plan_find(request, SHX_SUBJECT_ROWID);
    for (int i = 0; i < request->count; i++) {
        if (i != row && request->constraints[i].subject >= SHX_SUBJECT_DISTANCE) return false;
    }
    return row >= 0 && !request->constraints[row].is_in && !request->constraints[row].literal;
}

static void plan_nearest(plan_draft *draft) {
    const shx_plan_request *request = draft->request;
    shx_plan *plan = draft->plan;
    int k = plan_find(request, SHX_SUBJECT_K), limit = plan_find(request, SHX_SUBJECT_LIMIT);
    if (!plan_limit_counts(request)) limit = -1;
    bool knn = k >= 0 || limit >= 0;
    plan_write(draft, PLAN_WAYS[knn ? SHX_WAY_KNN : SHX_WAY_STREAM]);
    plan_take(draft, plan_find(request, SHX_SUBJECT_MATCH), true, false);
    if (k >= 0) plan_take(draft, k, true, false);
    if (limit >= 0) plan_take(draft, limit, false, false);
    int offset = plan_find(request, SHX_SUBJECT_OFFSET);
    if (limit >= 0 && offset >= 0) plan_take(draft, offset, false, false);
    for (shx_subject subject = SHX_SUBJECT_RECALL; subject <= SHX_SUBJECT_EXACT; subject++) {
        int position = plan_find(request, subject);
        if (position >= 0) plan_take(draft, position, true, false);
    }
    plan_take_conditions(draft);
    plan->rows = knn ? plan_wanted(request) : plan_is_named(request) ? 1 : PLAN_ROWS;
    plan->cost = knn ? PLAN_KNN_COST : PLAN_STREAM_COST;
    plan->ordered = request->order == SHX_ORDER_DISTANCE && plan_write(draft, PLAN_SORTED);
}

static void plan_rows(plan_draft *draft) {
    const shx_plan_request *request = draft->request;
    shx_plan *plan = draft->plan;
    int point = plan_find(request, SHX_SUBJECT_ROWID);
    shx_way way = point >= 0 ? SHX_WAY_POINT : SHX_WAY_SCAN;
    for (int i = 0; i < request->count && point < 0; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        if (!plan_evaluable(constraint) || constraint->subject == SHX_SUBJECT_DISTANCE) continue;
        bool from_to = constraint->compare >= SHX_COMPARE_LT && constraint->compare <= SHX_COMPARE_GE;
        if (constraint->subject == SHX_SUBJECT_ROWID && from_to) {
            way = SHX_WAY_RANGE;
        } else if (way == SHX_WAY_SCAN) {
            way = SHX_WAY_FILTER;
        }
    }
    plan_write(draft, PLAN_WAYS[way]);
    double share = 1;
    for (int i = 0; i < request->count; i++) {
        const shx_constraint *constraint = &request->constraints[i];
        bool about_rows = constraint->subject == SHX_SUBJECT_ROWID || plan_is_column(constraint->subject);
        if (!about_rows || !plan_evaluable(constraint)) continue;
        bool all = constraint->is_in && constraint->subject != SHX_SUBJECT_ROWID; /* rowids: a point each */
        if (!plan_take(draft, i, false, all)) continue;
        share *= PLAN_OPERATORS[constraint->compare].share;
    }
    bool descending = request->order == SHX_ORDER_ROWID_DESC;
    plan->ordered = (descending && plan_write(draft, PLAN_DESCENDING)) || request->order == SHX_ORDER_ROWID;
    plan->unique = way == SHX_WAY_POINT;
    plan->rows = plan->unique ? 1 : PLAN_ROWS * share;
    double read = PLAN_ROWS * (way == SHX_WAY_RANGE ? 0.5 : 1);
    plan->cost = plan->unique ? PLAN_POINT_COST : (read + plan->rows) * PLAN_ROW_COST;
}

shx_verdict shx_plan_make(const shx_plan_request *request, shx_plan_use *uses, shx_plan *ret_plan,
                          const char **ret_message) {
    memset(ret_plan, 0, sizeof *ret_plan);
    for (int i = 0; i < request->count; i++) uses[i] = (shx_plan_use){0, false, false};
    shx_verdict verdict = plan_check_match(request, ret_message);
    if (verdict != SHX_PLAN_OK) return verdict;
    plan_draft draft = {.request = request, .uses = uses, .plan = ret_plan};
    if (plan_find(request, SHX_SUBJECT_MATCH) < 0) {
        plan_rows(&draft);
    } else if (plan_parameter_missing(request)) {
        return SHX_PLAN_IMPOSSIBLE;
    } else {
        plan_nearest(&draft);
    }
    return SHX_PLAN_OK;
}

/* ---- reading ---- */

/* True, and *text behind it, when the text starts with `word`. */
static bool plan_skip(const char **text, const char *word) {
    size_t size = strlen(word);
    if (strncmp(*text, word, size) != 0) return false;
    *text += size;
    return true;
}

static bool plan_at_end(const char *text) { return *text == ' ' || *text == '\0'; }

bool shx_plan_read_way(const char **text, shx_way *ret_way) {
    for (int way = 0; way < (int)(sizeof PLAN_WAYS / sizeof *PLAN_WAYS); way++) {
        const char *rest = *text;
        if (!plan_skip(&rest, PLAN_WAYS[way]) || !plan_at_end(rest)) continue;
        *text = rest;
        *ret_way = (shx_way)way;
        return true;
    }
    return false;
}

/* The operator that makes up the rest of a word. */
static bool plan_read_operator(const char **text, shx_compare *ret_compare) {
    for (size_t i = 0; i < PLAN_OPERATOR_COUNT; i++) {
        const char *rest = *text;
        if (!plan_skip(&rest, PLAN_OPERATORS[i].word) || !plan_at_end(rest)) continue;
        *text = rest;
        *ret_compare = (shx_compare)i;
        return true;
    }
    return false;
}

static bool plan_read_column(const char **text, shx_term *ret_term) {
    const char *rest = *text;
    if (*rest != 'c' && *rest != 'a') return false;
    shx_subject subject = *rest == 'c' ? SHX_SUBJECT_PLAIN : SHX_SUBJECT_AUXILIARY;
    if (rest[1] < '0' || rest[1] > '9') return false;
    char *end;
    uint32_t slot = (uint32_t)strtoul(rest + 1, &end, 10);
    rest = end;
    shx_compare compare;
    if (!plan_read_operator(&rest, &compare)) return false;
    *text = rest;
    *ret_term = (shx_term){subject, slot, compare};
    return true;
}

/* The word about the order that ends a plan. */
static bool plan_read_order(const char **text, shx_order *ret_order) {
    const char *rest = *text;
    bool sorted = plan_skip(&rest, PLAN_SORTED), descending = !sorted && plan_skip(&rest, PLAN_DESCENDING);
    if (!(sorted || descending) || *rest != '\0') return false;
    *text = rest;
    *ret_order = sorted ? SHX_ORDER_DISTANCE : SHX_ORDER_ROWID_DESC;
    return true;
}

bool shx_plan_read_term(const char **text, shx_term *ret_term, shx_order *ret_order) {
    while (**text == ' ') (*text)++;
    if (**text == '\0' || plan_read_order(text, ret_order)) return false;
    for (int i = 0; i < (int)(sizeof PLAN_SUBJECTS / sizeof *PLAN_SUBJECTS); i++) {
        const char *rest = *text;
        if (!plan_skip(&rest, PLAN_SUBJECTS[i])) continue;
        shx_compare compare = SHX_COMPARE_EQ;
        if (!plan_at_end(rest) && !plan_read_operator(&rest, &compare)) continue;
        *text = rest;
        *ret_term = (shx_term){(shx_subject)i, 0, compare};
        return true;
    }
    return plan_read_column(text, ret_term);
}

shx_status shx_plan_read_all(shx_plan_read *plan, const char *text) {
    if (plan->text && strcmp(plan->text, text) == 0) return SHX_OK;
    size_t size = strlen(text) + 1;
    SHX_TRY(shx_grow((void **)&plan->text, &plan->text_bytes, size, 1));
    plan->text[0] = '\0'; /* until all is read: no plan */
    const char *rest = text;
    plan->count = 0;
    plan->order = SHX_ORDER_NONE;
    SHX_CHECK(shx_plan_read_way(&rest, &plan->way), SHX_MISUSE);
    for (shx_term term; shx_plan_read_term(&rest, &term, &plan->order);) {
        SHX_TRY(shx_grow((void **)&plan->terms, &plan->capacity, plan->count + 1, sizeof term));
        plan->terms[plan->count++] = term;
    }
    memcpy(plan->text, text, size);
    return SHX_OK;
}

void shx_plan_read_free(shx_plan_read *plan) {
    shx_free(plan->text);
    shx_free(plan->terms);
}
