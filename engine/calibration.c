#include "calibration.h"

#include <math.h>
#include <string.h>

#define CALIBRATION_RECALL 0.95 /* where none that makes sense is asked for */

/* Standard deviations below an estimate that count as its bound where nothing may be left out: one posting in 30,000 is
** below that. */
#define CALIBRATION_EXHAUSTIVE_EPSILON 4

/* A search gives up after so many times the rows that those of the sample went through on average, and this many more,
** which a small table has in all. */
#define CALIBRATION_CAP_MEANS 64
#define CALIBRATION_CAP_LEAST 20000

#define CALIBRATION_FAR_GROWTH 3

const uint32_t shx_calibration_ks[SHX_CALIBRATION_KS] = {1, 10, 100};
const double shx_calibration_recalls[SHX_CALIBRATION_RECALLS] = {0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999};

void shx_calibration_default(shx_calibration *ret_calibration) {
    memset(ret_calibration, 0, sizeof *ret_calibration);
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            double width = -log(1 - shx_calibration_recalls[r]); /* 1.6 at 0.8 … 6.9 at 0.999 */
            ret_calibration->first[k][r] = (shx_stop_rule){.beta = 0.3, .theta = 1.2 + 0.25 * width};
            ret_calibration->kth[k][r] = (shx_stop_rule){.beta = 0.3, .theta = 1.2 + 0.25 * width};
            ret_calibration->growth[k][r] = 0.06;
        }
    }
}

static bool calibration_rule_valid(const shx_stop_rule *rule) {
    return isfinite(rule->beta) && isfinite(rule->theta) && rule->beta >= 0 && rule->beta <= 8;
}

bool shx_calibration_valid(const shx_calibration *calibration) {
    if (!(calibration->usual2 >= 0 && calibration->usual2 < 1e38)) return false;
    for (int i = 0; i < 2; i++) {
        if (!(calibration->dimensions[i] >= 0 && calibration->dimensions[i] < 1e9)) return false;
    }
    for (int k = 0; k < SHX_CALIBRATION_KS; k++) {
        for (int r = 0; r < SHX_CALIBRATION_RECALLS; r++) {
            if (!calibration_rule_valid(&calibration->first[k][r])) return false;
            if (!calibration_rule_valid(&calibration->kth[k][r])) return false;
            if (!(calibration->growth[k][r] >= 0 && calibration->growth[k][r] < 1e18)) return false;
            if (!(calibration->mean_rows[k][r] >= 0 && calibration->mean_rows[k][r] < 1e18)) return false;
        }
    }
    return true;
}

/* A position in a table: between `low` and `low + 1`, `part` of the way. */
typedef struct calibration_position {
    int low;
    double part;
} calibration_position;

static calibration_position calibration_locate_k(uint64_t k) {
    double place = log10(k < 1 ? 1.0 : (double)k);
    if (place >= SHX_CALIBRATION_KS - 1) return (calibration_position){SHX_CALIBRATION_KS - 2, 1};
    return (calibration_position){(int)place, place - (int)place};
}

/* Recalls are interpolated by the logarithm of what they may miss. */
static calibration_position calibration_locate_recall(double recall) {
    int low = 0;
    if (recall <= shx_calibration_recalls[0]) return (calibration_position){0, 0};
    while (low < SHX_CALIBRATION_RECALLS - 2 && recall > shx_calibration_recalls[low + 1]) low++;
    double left = log(1 - shx_calibration_recalls[low]), right = log(1 - shx_calibration_recalls[low + 1]);
    double part = (log(1 - recall) - left) / (right - left);
    return (calibration_position){low, part > 1 ? 1 : part};
}

static double calibration_mix(double a, double b, double part) { return a + (b - a) * part; }

static shx_stop_rule calibration_mix_rules(const shx_stop_rule *a, const shx_stop_rule *b, double part) {
    return (shx_stop_rule){calibration_mix(a->beta, b->beta, part), calibration_mix(a->theta, b->theta, part)};
}

static shx_stop_rule calibration_rule(const shx_stop_rule table[SHX_CALIBRATION_KS][SHX_CALIBRATION_RECALLS],
                                      calibration_position k, calibration_position recall) {
    shx_stop_rule lower = calibration_mix_rules(&table[k.low][recall.low], &table[k.low][recall.low + 1], recall.part);
    shx_stop_rule upper =
        calibration_mix_rules(&table[k.low + 1][recall.low], &table[k.low + 1][recall.low + 1], recall.part);
    return calibration_mix_rules(&lower, &upper, k.part);
}

static double calibration_growth(const shx_calibration *calibration, calibration_position k,
                                 calibration_position recall) {
    const double *lower = &calibration->growth[k.low][recall.low], *upper = &calibration->growth[k.low + 1][recall.low];
    return calibration_mix(calibration_mix(lower[0], lower[1], recall.part),
                           calibration_mix(upper[0], upper[1], recall.part), k.part);
}

/* Tight bounds miss some neighbours (one-sided 14, 8, 4 and 2 % of those at the very threshold), which calibration
** makes up for by more shards; on words, descriptors and text that costs less than the refining that wide bounds call
** for: a row that passes costs as much as 30 that are scanned. Between two recalls of the table the wider bounds of the
** two count. Without a calibration they are wide, and above 0.999, which is not fitted, wider. */
float shx_calibration_epsilon(const shx_calibration *calibration, double recall) {
    if (recall > 0.999) return 3.2f;
    if (!calibration->fitted) return 2.6f;
    if (recall > 0.99) return 2.1f;
    if (recall > 0.97) return 1.7f;
    return recall > 0.95 ? 1.4f : 1.1f;
}

void shx_stop_plan_make(const shx_calibration *calibration, uint64_t k, double recall, shx_stop_plan *ret_plan) {
    if (!(recall > 0 && recall <= 1)) recall = CALIBRATION_RECALL;
    *ret_plan = (shx_stop_plan){.recall = recall, .row_cap = INFINITY};
    if (recall > SHX_RECALL_EXHAUSTIVE) {
        ret_plan->exhaustive = true;
        ret_plan->epsilon = CALIBRATION_EXHAUSTIVE_EPSILON;
        return;
    }
    calibration_position k_place = calibration_locate_k(k), recall_place = calibration_locate_recall(recall);
    ret_plan->epsilon = shx_calibration_epsilon(calibration, recall);
    ret_plan->first = calibration_rule(calibration->first, k_place, recall_place);
    ret_plan->kth = calibration_rule(calibration->kth, k_place, recall_place);
    ret_plan->growth = calibration_growth(calibration, k_place, recall_place);
    /* Beyond the largest k that was measured the true neighbours spread over more shards: a safety term. */
    double beyond = k > 100 ? log10((double)k / 100) : 0;
    ret_plan->first.theta += (0.2 + 0.17 * beyond) * beyond; /* as words call for at 300 and 1,000 */
    ret_plan->kth.theta += 0.1 * beyond;
    if (calibration->fitted && k <= 100) {
        double mean = calibration->mean_rows[k_place.low + (k_place.part > 0)][recall_place.low + 1];
        ret_plan->row_cap = CALIBRATION_CAP_MEANS * mean + CALIBRATION_CAP_LEAST;
    }
}

/* As rare words that are looked for among frequent ones call for: 0.90 and 0.95 come out as 0.91 and 0.95; without it,
** as 0.80 and 0.88. */
void shx_stop_plan_reach(const shx_calibration *calibration, double nearest2, shx_stop_plan *plan) {
    if (!(calibration->usual2 > 0 && nearest2 > calibration->usual2)) return;
    plan->first.theta += CALIBRATION_FAR_GROWTH * plan->first.beta * log(nearest2 / calibration->usual2);
}

double shx_share_within(double dimension, float distance2, float scatter, float limit2) {
    double missing = (double)distance2 + scatter - limit2, spread = sqrt((double)distance2 * scatter / dimension);
    if (!(spread > 0)) return missing <= 0;
    return erfc(missing / (sqrt(8) * spread)) / 2;
}

bool shx_stop_rule_holds(const shx_stop_rule *rule, double distance2, double reference2, double rank) {
    if (!(reference2 > 0)) return distance2 > 0 && rank > 16;
    return log(distance2 / reference2) + rule->beta * log1p(rank) > rule->theta;
}

/* At a rank r the distance is reference2 × e^theta × (1 + r)^-beta, and (1 + x)^-beta ≥ 1 - beta x. */
bool shx_stop_limit_holds(shx_stop_limit *limit, const shx_stop_rule *rule, double distance2, double reference2,
                          double rank) {
    if (!(reference2 > 0)) return shx_stop_rule_holds(rule, distance2, reference2, rank);
    double growth = (rank - limit->rank) / (1 + limit->rank);
    if (limit->distance2 > 0 && growth >= 0) {
        if (distance2 > limit->distance2) return true;
        if (distance2 < limit->distance2 * (1 - rule->beta * growth)) return false;
    }
    *limit = (shx_stop_limit){rank, reference2 * exp(rule->theta - rule->beta * log1p(rank))};
    return distance2 > limit->distance2;
}
