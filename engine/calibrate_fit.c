#include "calibrate_fit.h"

#include "limits.h"
#include "memory.h"
#include "order.h"

#include <math.h>

#define FIT_FREE_SHARDS 2    /* shards that a search always probes */
#define FIT_NARROWER 0.85f /* so bounds are judged: a threshold is a little lower than a trace says */
#define FIT_WIDE_BETA 0.3
#define FIT_HIGH_RECALL 0.975
#define FIT_HIGHEST_RECALL 0.99
#define FIT_FEW_QUERIES 40 /* so many would need twice the margin: their scatter is not well known either */
#define FIT_USUAL 0.95       /* of the queries are nearer than what is far */
#define FIT_FEW_MISSES 6   /* queries that may miss one: fewer do not tell how far they lie */

static const double fit_betas[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0};

#define FIT_BETAS (sizeof fit_betas / sizeof *fit_betas)
#define FIT_SURE_QUERIES 300 /* fewer do not tell one beta from the next: every other is tried */

typedef enum fit_name {
    FIT_FIRST_1,
    FIT_FIRST_10,
    FIT_FIRST_100,
    FIT_KTH_1,
    FIT_KTH_10,
    FIT_KTH_100,
    FIT_EIGHTH_1,
    FIT_EIGHTH_10,
    FIT_EIGHTH_100,
    FIT_VIEWS
} fit_name;

/* What a rule is fitted on: the nearest so many of a list. One neighbour a query are few: for k = 1 the second nearest
** counts as well, where no threshold depends on k. */
typedef struct fit_view {
    bool kth;
    int list;
    uint32_t nearest;
    fit_name leader; /* the one that chooses the beta */
} fit_view;

/* What is fitted on the nearest 12 of one block in eight holds for 100 of all. An EIGHTH is what a filter leaves that
** admits one row in eight; it chooses the beta for all that filters use. One neighbour a query tells too little to
** choose by: k = 1 follows k = 10. */
static const fit_view fit_views[FIT_VIEWS] = {
    [FIT_FIRST_1] = {false, SHX_TRACE_ALL, 2, FIT_FIRST_10},
    [FIT_FIRST_10] = {false, SHX_TRACE_ALL, 10, FIT_FIRST_10},
    [FIT_FIRST_100] = {false, SHX_TRACE_SOME, 12, FIT_FIRST_100},
    [FIT_KTH_1] = {true, SHX_TRACE_ALL, 1, FIT_EIGHTH_10},
    [FIT_KTH_10] = {true, SHX_TRACE_ALL, 10, FIT_EIGHTH_10},
    [FIT_KTH_100] = {true, SHX_TRACE_SOME, 12, FIT_EIGHTH_10},
    [FIT_EIGHTH_1] = {true, SHX_TRACE_SOME, 1, FIT_EIGHTH_10},
    [FIT_EIGHTH_10] = {true, SHX_TRACE_SOME, 10, FIT_EIGHTH_10},
    [FIT_EIGHTH_100] = {true, SHX_TRACE_FEW, 12, FIT_EIGHTH_10},
};

/* One neighbour of one query: its shard is probed if theta is at least offset + beta × log_rank, and the neighbour is
** lost all the same if the bounds are narrower than `sigmas`. */
typedef struct fit_item {
    float offset, log_rank, sigmas;
    float wide; /* theta of the widest rule that finds it */
    uint32_t trace;
} fit_item;

/* What theta must be for an item to be probed, under the beta in hand, and how wide the bounds. */
typedef struct fit_need {
    float theta, sigmas;
} fit_need;

typedef struct fit_sample {
    const shx_trace *traces;
    uint64_t trace_count;
    const fit_view *view;
    fit_item *items; /* those of one query after the other */
    uint64_t count, queries;
    fit_need *needs;  /* of each item */
    fit_need *sorted; /* the lowest theta first, from … */
    uint64_t low;     /* … here on; those before have lower ones, in any order */
    double beta;
} fit_sample;

static inline bool fit_float_before(const float *a, const float *b) { return *a < *b; }

SHX_DEFINE_ORDER(fit_floats, float, fit_float_before)

static inline bool fit_need_before(const fit_need *a, const fit_need *b) { return a->theta < b->theta; }

SHX_DEFINE_ORDER(fit_needs, fit_need, fit_need_before)

/* ---- items ---- */

/* The threshold of a search for so many when it comes to a position: infinite until there are enough. What the list
** does not hold is no nearer than its farthest. */
static float fit_threshold2(const shx_trace_list *list, uint32_t position, uint32_t nearest) {
    float uppers[SHX_TRACE_NEAR];
    uint32_t count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i].position < position) uppers[count++] = list->items[i].upper2;
    }
    fit_floats_sort(uppers, count);
    if (count >= nearest) return uppers[nearest - 1];
    return list->count == list->most ? list->items[list->count - 1].upper2 : INFINITY;
}

/* The threshold of a search for so many that a posting met. */
static float fit_met2(const shx_trace_posting *posting, uint32_t nearest) {
    int i = 0;
    while (shx_trace_ks[i] != nearest) i++;
    return posting->met2[i];
}

static void fit_add_item(fit_sample *sample, uint32_t number, const shx_trace_list *list, uint32_t i) {
    const fit_view *view = sample->view;
    const shx_trace_posting *posting = &list->items[i];
    float met2 = fit_met2(posting, view->nearest), log_nearest2 = sample->traces[number].log_nearest2;
    float log_reference2 = view->kth ? logf(fit_threshold2(list, posting->position, view->nearest)) : log_nearest2;
    fit_item *item = &sample->items[sample->count++];
    bool free = posting->position < FIT_FREE_SHARDS || !isfinite(log_reference2);
    *item = (fit_item){.offset = free ? -INFINITY : posting->log_order2 - log_reference2,
                       .log_rank = posting->log_rank,
                       .sigmas = posting->estimate2 > met2 ? (posting->estimate2 - met2) / posting->deviation : 0,
                       .wide = posting->log_order2 - log_nearest2 + (float)FIT_WIDE_BETA * posting->log_rank,
                       .trace = number};
}

static const shx_trace_list *fit_list(const fit_view *view, const shx_trace *trace) {
    return &trace->lists[view->list];
}

static shx_status fit_sample_make(fit_sample *sample) {
    uint64_t most = sample->trace_count * sample->view->nearest;
    sample->items = shx_alloc_zero(most, sizeof *sample->items);
    sample->needs = shx_alloc_zero(most, sizeof *sample->needs);
    sample->sorted = shx_alloc_zero(most, sizeof *sample->sorted);
    SHX_CHECK(sample->items && sample->needs && sample->sorted, SHX_NOMEM);
    for (uint64_t t = 0; t < sample->trace_count; t++) {
        if (!sample->traces[t].usable) continue;
        const shx_trace_list *list = fit_list(sample->view, &sample->traces[t]);
        for (uint32_t i = 0; i < list->count && i < sample->view->nearest; i++) {
            fit_add_item(sample, (uint32_t)t, list, i);
        }
        sample->queries += list->count > 0;
    }
    return SHX_OK;
}

static void fit_sample_free(fit_sample *sample) {
    shx_free(sample->items);
    shx_free(sample->needs);
    shx_free(sample->sorted);
}

/* ---- one beta ---- */

/* No share below the lowest recall is asked for: so many need no order. */
static void fit_try(fit_sample *sample, double beta) {
    sample->beta = beta;
    sample->low = (uint64_t)(shx_calibration_recalls[0] * (double)sample->count);
    if (sample->low > 0) sample->low--;
    for (uint64_t i = 0; i < sample->count; i++) {
        const fit_item *item = &sample->items[i];
        sample->needs[i] = (fit_need){item->offset + (float)beta * item->log_rank, item->sigmas};
        sample->sorted[i] = sample->needs[i];
    }
    fit_needs_select(sample->sorted, sample->count, sample->low);
    fit_needs_sort(sample->sorted + sample->low, sample->count - sample->low);
}

/* The theta that finds a share of the neighbours with bounds so wide. Those that the bounds lose mostly lie in far
** shards, where a search that leaves some out does not come to: so the two are counted together. */
static double fit_theta(const fit_sample *sample, double share, float epsilon) {
    if (sample->count == 0) return 0;
    double wanted = fmax(ceil(share * (double)sample->count), 1);
    uint64_t i = sample->low, found = 0;
    for (uint64_t lower = 0; lower < i; lower++) found += sample->sorted[lower].sigmas <= epsilon;
    for (; i + 1 < sample->count; i++) {
        found += sample->sorted[i].sigmas <= epsilon;
        if ((double)found >= wanted) break;
    }
    return isfinite(sample->sorted[i].theta) ? sample->sorted[i].theta : 0;
}

/* The share of the pilots' neighbours that walks under a rule do not come to. */
static double fit_beyond(const fit_sample *sample, uint64_t pilots, const shx_stop_rule *wide) {
    const double log_slack = 1e-5;
    uint64_t count = 0, beyond = 0;
    for (uint64_t i = 0; i < sample->count && sample->items[i].trace < pilots; i++) {
        const fit_item *item = &sample->items[i];
        count++;
        beyond += item->wide > wide->theta + log_slack;
    }
    return count > 0 ? (double)beyond / (double)count : 0;
}

/* The standard error of the recall that a theta promises: neighbours of one query are found or missed together, so it
** is the queries that count. */
static double fit_error(const fit_sample *sample, double theta, float epsilon) {
    double sum = 0, squares = 0, queries = (double)sample->queries;
    for (uint64_t i = 0; i < sample->count;) {
        uint32_t trace = sample->items[i].trace, wanted = 0, found = 0;
        for (; i < sample->count && sample->items[i].trace == trace; i++, wanted++) {
            found += (sample->needs[i].theta <= theta) & (sample->needs[i].sigmas <= epsilon);
        }
        double share = (double)found / wanted;
        sum += share;
        squares += share * share;
    }
    double mean = sum / queries, variance = squares / queries - mean * mean;
    return variance > 0 ? sqrt(variance / queries) : 0;
}

/* The theta for a recall: a standard error more, so that it holds for other queries than these (half of one where what
** may be missed is small, else a part where queries are few), and what no walk comes to. */
static double fit_safe_theta(const fit_sample *sample, double recall, double beyond, float epsilon) {
    if (sample->queries == 0) return 0;
    double kept = 1 - beyond, theta = fit_theta(sample, fmin(recall / kept, 1), epsilon);
    double error = fit_error(sample, theta, epsilon);
    error *= recall > FIT_HIGH_RECALL ? 1.5 : 1 + FIT_FEW_QUERIES / (double)sample->queries;
    return fit_theta(sample, fmin((recall + error) / kept, 1), epsilon);
}

/* Rows that a walk goes through when it stops above theta; d²_ref is the one at its end. */
static double fit_trace_rows(const shx_trace *trace, float log_reference2, double beta, double theta) {
    uint32_t low = 0, high = trace->depth;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        double score = trace->log_order2[middle] - log_reference2 + beta * trace->log_rank[middle];
        if (score <= theta) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (double)trace->rank[low < trace->depth ? low : trace->depth - 1] * SHX_SHARD_TARGET;
}

double shx_fit_rows(const shx_trace *traces, uint64_t count, const shx_stop_rule *rule) {
    double total = 0;
    uint64_t kept = 0;
    for (uint64_t t = 0; t < count; t++) {
        if (!traces[t].usable || traces[t].depth == 0) continue;
        total += fit_trace_rows(&traces[t], traces[t].log_nearest2, rule->beta, rule->theta);
        kept++;
    }
    return kept > 0 ? total / (double)kept : 0;
}

static double fit_mean_rows(const fit_sample *sample, double theta) {
    if (!sample->view->kth) {
        return shx_fit_rows(sample->traces, sample->trace_count, &(shx_stop_rule){sample->beta, theta});
    }
    double total = 0;
    uint64_t kept = 0;
    for (uint64_t t = 0; t < sample->trace_count; t++) {
        const shx_trace *trace = &sample->traces[t];
        const shx_trace_list *list = fit_list(sample->view, trace);
        if (!trace->usable || trace->depth == 0 || list->count < sample->view->nearest) continue;
        float log_reference2 = logf(list->items[sample->view->nearest - 1].upper2);
        total += fit_trace_rows(trace, log_reference2, sample->beta, theta);
        kept++;
    }
    return kept > 0 ? total / (double)kept : 0;
}

/* ---- all betas ---- */

/* What each beta would need and cost, as far as somebody asks. */
typedef struct fit_menu {
    double theta[FIT_BETAS][SHX_CALIBRATION_RECALLS];
    double rows[FIT_BETAS][SHX_CALIBRATION_RECALLS];
    size_t step;                            /* one beta in so many is tried */
    size_t chosen[SHX_CALIBRATION_RECALLS]; /* by a leader: betas */
} fit_menu;

/* The beta that scans the fewest rows, not only for this recall but also for the ones beside it: to take the cheapest
** of several noisy thetas would be to prefer those that are too low. */
static size_t fit_choose_beta(const fit_menu *menu, int r) {
    double best = INFINITY;
    size_t chosen = 0;
    int low = r > 0 ? r - 1 : 0, high = r + 1 < SHX_CALIBRATION_RECALLS ? r + 1 : r;
    for (size_t b = 0; b < FIT_BETAS; b += menu->step) {
        double cost = 0;
        for (int i = low; i <= high; i++) cost += log1p(menu->rows[b][i]);
        if (cost >= best) continue;
        best = cost;
        chosen = b;
    }
    return chosen;
}

/* Only for the recalls for which the leader has chosen this beta; for all when it is NULL, since this one leads. */
static void fit_price(fit_sample *sample, const shx_calibration *calibration, double beyond, size_t beta,
                      const fit_menu *leader, fit_menu *menu) {
    fit_try(sample, fit_betas[beta]);
    for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
        if (leader && leader->chosen[r] != beta) continue;
        double recall = shx_calibration_recalls[r];
        float epsilon = shx_calibration_epsilon(calibration, recall);
        if (recall <= FIT_HIGH_RECALL) epsilon *= FIT_NARROWER;
        menu->theta[beta][r] = fit_safe_theta(sample, recall, beyond, epsilon);
        if (!leader || !sample->view->kth) menu->rows[beta][r] = fit_mean_rows(sample, menu->theta[beta][r]);
    }
}

/* From the menus to the rules of form FIRST. One neighbour a query tells too little of a high recall, too, nor do few
** queries: k = 1 has the theta of the next k, which is enough for the nearest one. */
static void fit_adopt_first(const fit_menu menus[FIT_VIEWS], uint64_t queries, shx_calibration *calibration) {
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        const fit_menu *menu = &menus[FIT_FIRST_1 + k], *steady = &menus[fit_views[FIT_FIRST_1 + k].leader];
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            size_t b = steady->chosen[r];
            double theta = menu->theta[b][r], most = steady->theta[b][r];
            double recall = shx_calibration_recalls[r];
            bool vague = recall > FIT_HIGHEST_RECALL || (1 - recall) * (double)queries < FIT_FEW_MISSES;
            if (vague || theta > most) theta = most;
            calibration->first[k][r] = (shx_stop_rule){fit_betas[b], theta};
            calibration->mean_rows[k][r] = menu->rows[b][r];
        }
    }
}

/* How theta grows from all rows to one in eight: as good as the same for all recalls, so that all but the highest, at
** which single queries decide, are taken together. One neighbour a query is too few: for k = 1 it is as for k = 10. */
static double fit_growth(const fit_menu menus[FIT_VIEWS], int k, const size_t betas[SHX_CALIBRATION_RECALLS]) {
    int steady = k > 0 ? k : 1, count = 0;
    double sum = 0;
    for (int r = 0; r < SHX_CALIBRATION_RECALLS && shx_calibration_recalls[r] < FIT_HIGH_RECALL; r++, count++) {
        sum += menus[FIT_EIGHTH_1 + steady].theta[betas[r]][r] - menus[FIT_KTH_1 + steady].theta[betas[r]][r];
    }
    return sum > 0 ? sum / count : 0;
}

/* And of form KTH. What all rows and the one in eight say of k = 1 tells more than either alone. */
static void fit_adopt_kth(const fit_menu menus[FIT_VIEWS], shx_calibration *calibration) {
    const size_t *betas = menus[FIT_EIGHTH_10].chosen;
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        double growth = fit_growth(menus, k, betas);
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            double theta = menus[FIT_KTH_1 + k].theta[betas[r]][r];
            if (k == 0) theta = (theta + menus[FIT_EIGHTH_1].theta[betas[r]][r] - growth) / 2;
            calibration->kth[k][r] = (shx_stop_rule){fit_betas[betas[r]], theta};
            calibration->growth[k][r] = growth / log(SHX_TRACE_SHARE);
        }
    }
}

/* The squared distance of the first shard that 95 % of the queries are within, and the quartiles of the dimensions that
** are known; 0 when there are none. */
static shx_status fit_adopt_places(const shx_trace *traces, uint64_t count, shx_calibration *calibration) {
    float *logs = shx_alloc_zero(count, sizeof *logs), *dimensions = shx_alloc_zero(count, sizeof *dimensions);
    uint64_t kept = 0, known = 0;
    for (uint64_t t = 0; logs && dimensions && t < count; t++) {
        if (traces[t].usable) logs[kept++] = traces[t].log_nearest2;
        if (traces[t].usable && traces[t].dimension > 0) dimensions[known++] = (float)traces[t].dimension;
    }
    shx_status status = logs && dimensions ? SHX_OK : SHX_NOMEM;
    fit_floats_sort(logs, kept);
    fit_floats_sort(dimensions, known);
    calibration->usual2 = kept > 0 ? exp((double)logs[(uint64_t)(FIT_USUAL * (double)(kept - 1))]) : 0;
    calibration->dimensions[0] = known > 0 ? dimensions[known / 4] : 0;
    calibration->dimensions[1] = known > 0 ? dimensions[known - 1 - known / 4] : 0;
    shx_free(logs);
    shx_free(dimensions);
    return status;
}

typedef struct fit_work {
    const shx_trace *traces;
    uint64_t count, pilots;
    const shx_stop_rule *wide;
    shx_progress *progress;
    const shx_calibration *calibration;
    bool leading; /* the turn of those that choose */
    fit_menu menus[FIT_VIEWS];
} fit_work;

static bool fit_is_chosen(const fit_menu *leader, size_t beta) {
    for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
        if (leader->chosen[r] == beta) return true;
    }
    return false;
}

static shx_status fit_make_menu(fit_work *work, fit_name name) {
    const fit_view *view = &fit_views[name];
    fit_sample sample = {.traces = work->traces, .trace_count = work->count, .view = view};
    shx_status status = fit_sample_make(&sample);
    double beyond = status == SHX_OK ? fit_beyond(&sample, work->pilots, work->wide) : 0;
    const fit_menu *leader = work->leading ? NULL : &work->menus[view->leader];
    fit_menu *menu = &work->menus[name];
    menu->step = work->count < FIT_SURE_QUERIES ? 2 : 1;
    for (size_t b = 0; status == SHX_OK && b < FIT_BETAS; b += menu->step) {
        if (leader && !fit_is_chosen(leader, b)) continue;
        fit_price(&sample, work->calibration, beyond, b, leader, menu);
        status = shx_progress_check(work->progress);
    }
    for (int r = 0; !leader && r < SHX_CALIBRATION_RECALLS; r++) menu->chosen[r] = fit_choose_beta(menu, r);
    fit_sample_free(&sample);
    return status;
}

static shx_status fit_make_menus(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    fit_work *work = context;
    for (uint64_t i = first; i < end; i++) {
        fit_name name = (fit_name)i;
        if ((fit_views[name].leader == name) == work->leading) SHX_TRY(fit_make_menu(work, name));
    }
    return SHX_OK;
}

shx_status shx_fit_calibration(const shx_trace *traces, uint64_t count, uint64_t pilots, const shx_stop_rule *wide,
                               shx_pool *pool, shx_calibration *ret_calibration) {
    fit_work work = {.traces = traces,
                     .count = count,
                     .pilots = pilots,
                     .wide = wide,
                     .progress = shx_pool_progress(pool),
                     .calibration = ret_calibration,
                     .leading = true};
    SHX_TRY(shx_pool_run(pool, FIT_VIEWS, 1, fit_make_menus, &work));
    work.leading = false;
    SHX_TRY(shx_pool_run(pool, FIT_VIEWS, 1, fit_make_menus, &work));
    fit_adopt_first(work.menus, count, ret_calibration);
    fit_adopt_kth(work.menus, ret_calibration);
    return fit_adopt_places(traces, count, ret_calibration);
}

/* ---- the widest ---- */

shx_status shx_fit_wide(const shx_trace *traces, uint64_t count, double share, shx_stop_rule *ret_rule) {
    double theta = 0;
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        fit_sample sample = {.traces = traces, .trace_count = count, .view = &fit_views[FIT_FIRST_1 + k]};
        shx_status status = fit_sample_make(&sample);
        if (status == SHX_OK) {
            fit_try(&sample, FIT_WIDE_BETA);
            theta = fmax(theta, fit_theta(&sample, share, INFINITY));
        }
        fit_sample_free(&sample);
        SHX_TRY(status);
    }
    *ret_rule = (shx_stop_rule){FIT_WIDE_BETA, theta};
    return SHX_OK;
}
