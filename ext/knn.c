/* Streaming. SQLite before 3.41 does not tell a virtual table about LIMIT when there is a MATCH, and no version tells
** it about conditions that only SQLite can evaluate; so a search without k gives out rows nearest first, in rounds of
** growing k. The first rounds are rough (they keep to the wished recall, and mostly they are all that is wanted), the
** others true. When a true round follows, rows that the rough ones have missed are given out late if nobody relies on
** the order; otherwise they are left out, which is what a recall below 1 means. With recall 1, exact, or a range of
** distances all rounds are true; a radius needs but one.
*/
#include "knn.h"

#include "../engine/memory.h"
#include "../engine/rowid_order.h"
#include "database_search.h"
#include "snapshot.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KNN_ROUND_FIRST 32
#define KNN_ROUND_GROWTH 8
#define KNN_ROUGH_MAX 256   /* rounds of more rows are true */
#define KNN_SMALL_SET 2000  /* so many rows are compared one by one … */
#define KNN_SMALL_FACTOR 32 /* … or so many times k */
#define KNN_CHECKS_MIN 2000 /* tests by row in one search … */
#define KNN_CHECKS_SHARE 16 /* … or one row in so many; then all rows that satisfy the conditions are listed at once */
#define KNN_CHECKS_TRIAL 256 /* after so many it is foreseen whether the rest will do */

/* The conditions of a query as the engine asks for them. */
typedef struct knn_gate {
    shx_filter *filter;
    uint64_t k;
    uint64_t checks, checks_max, accepted;
    bool exhausted;
    int rc;
} knn_gate;

/* Are there more tests to come than are allowed? Foreseen from the share of rows that were accepted. */
static bool knn_gate_is_exhausted(const knn_gate *gate) {
    if (gate->checks >= gate->checks_max) return true;
    if (gate->checks != KNN_CHECKS_TRIAL || gate->accepted >= gate->k) return false;
    return (double)gate->k * KNN_CHECKS_TRIAL > (double)gate->checks_max * (double)(gate->accepted + 1);
}

static int knn_accept(void *context, int64_t rowid) {
    knn_gate *gate = context;
    if (knn_gate_is_exhausted(gate)) {
        gate->exhausted = true;
        return -1;
    }
    bool accepted;
    gate->rc = shx_filter_test(gate->filter, rowid, &accepted);
    gate->checks++;
    gate->accepted += accepted;
    return gate->rc == SQLITE_OK ? accepted : -1;
}

static bool knn_set_is_small(const shx_knn *knn, uint64_t k) {
    if (!knn->filter.restricted) return false;
    uint64_t count = knn->filter.named.count;
    return count <= KNN_SMALL_SET || count / KNN_SMALL_FACTOR <= k;
}

/* Compares all rows of the filter's set: exact and complete. */
static int knn_search_set(shx_knn *knn, uint64_t k) {
    knn->complete = true;
    return shx_database_search_set(&knn->filter, knn->query.data, k, &knn->hits);
}

static int knn_search_database(shx_knn *knn, uint64_t k) {
    knn->complete = true;
    return shx_database_search(&knn->filter, knn->query.data, k, &knn->hits);
}

/* One pass of the engine's search through a view. */
static shx_status knn_pass(shx_knn *knn, const shx_snapshot *snapshot, uint64_t k, bool exact, knn_gate *gate) {
    shx_search_params params = {
        .query = knn->query.data,
        .k = k,
        .recall = knn->wish.recall > 0 ? knn->wish.recall : knn->table->declaration->recall,
        .exact = exact,
        .within = knn->filter.below < (double)INFINITY,
        .radius = knn->filter.below,
        .predicate = &knn->filter.predicate,
        .accept = knn->filter.beyond ? knn_accept : NULL,
        .accept_context = gate,
        .interrupted = shx_connection_interrupted,
        .interrupted_context = knn->table->connection,
        .pending = snapshot->pending,
        .index = snapshot->state->index,
    };
    return shx_search(snapshot->view, &params, knn->scratch, &knn->hits);
}

/* Searches the view; with too many tests by row, lists the rows that satisfy the conditions and starts again. */
static int knn_search_view(shx_knn *knn, shx_snapshot *snapshot, uint64_t k, shx_knn_manner manner,
                           shx_status *ret_status) {
    bool exact = knn->wish.exact || manner == SHX_KNN_TRUE;
    uint64_t rows = shx_view_rows(snapshot->view);
    knn_gate gate = {.filter = &knn->filter, .k = k, .checks_max = rows / KNN_CHECKS_SHARE};
    if (gate.checks_max < KNN_CHECKS_MIN) gate.checks_max = KNN_CHECKS_MIN;
    if (knn->filter.listed) gate.checks_max = 0;
    shx_status status = knn_pass(knn, snapshot, k, exact, &gate);
    if (status == SHX_ABORT && gate.exhausted) {
        int rc = shx_filter_select(&knn->filter);
        if (rc != SQLITE_OK) return rc;
        if (knn_set_is_small(knn, k)) {
            *ret_status = SHX_OK;
            return knn_search_set(knn, manner == SHX_KNN_COUNTED ? k : SHX_KNN_ALL);
        }
        status = knn_pass(knn, snapshot, k, exact, &gate);
    }
    *ret_status = status;
    return gate.rc;
}

int shx_knn_take_query(shx_knn *knn, const void *bytes, shx_element element, uint32_t dim, bool *ret_taken) {
    uint64_t size = shx_element_bytes(element, dim);
    uint32_t position;
    if (shx_grow(&knn->room, &knn->room_bytes, size, 1) != SHX_OK) return SQLITE_NOMEM;
    memcpy(knn->room, bytes, size);
    *ret_taken = !shx_element_find_infinite(element, knn->room, dim, &position);
    if (*ret_taken) knn->query = (shx_vector){knn->room, element, dim};
    return SQLITE_OK;
}

int shx_knn_search(shx_knn *knn, uint64_t k, shx_knn_manner manner) {
    uint64_t keep = manner == SHX_KNN_COUNTED ? k : SHX_KNN_ALL;
    knn->complete = false;
    if (knn->filter.beyond && knn_set_is_small(knn, k)) return knn_search_set(knn, keep);
    if (!knn->scratch && shx_search_scratch_create(&knn->scratch) != SHX_OK) return SQLITE_NOMEM;
    shx_snapshot snapshot;
    int rc = shx_snapshot_open(knn->table, &snapshot);
    if (rc != SQLITE_OK) return rc;
    shx_status status = SHX_NOTFOUND;
    if (snapshot.view) rc = knn_search_view(knn, &snapshot, k, manner, &status);
    if (status == SHX_CORRUPT || status == SHX_IO) shx_snapshot_distrust(&snapshot, status);
    shx_snapshot_close(&snapshot);
    if (rc != SQLITE_OK) return shx_table_failed(knn->table, rc);
    bool useless = status == SHX_NOTFOUND || status == SHX_CORRUPT || status == SHX_IO;
    if (useless) return knn_set_is_small(knn, k) ? knn_search_set(knn, keep) : knn_search_database(knn, keep);
    if (status != SHX_OK) return shx_table_failed(knn->table, shx_result_code(status));
    bool all_seen = manner == SHX_KNN_TRUE || shx_search_last_work(knn->scratch).exhaustive;
    if (knn->hits.count < k && all_seen) knn->complete = true;
    return SQLITE_OK;
}

/* ---- rounds ---- */

/* Notes the hits of a rough round, all of which have been given out. */
static int knn_note_returned(shx_knn *knn) {
    void *block = knn->returned;
    uint64_t count = knn->returned_count + knn->hits.count;
    if (shx_grow(&block, &knn->returned_capacity, count, sizeof *knn->returned) != SHX_OK) return SQLITE_NOMEM;
    knn->returned = block;
    for (uint64_t i = 0; i < knn->hits.count; i++) knn->returned[knn->returned_count++] = knn->hits.hits[i].rowid;
    qsort(knn->returned, knn->returned_count, sizeof *knn->returned, shx_rowid_compare);
    return SQLITE_OK;
}

/* Removes the hits that were given out already, or that would break the order. */
static void knn_drop_returned(shx_knn *knn, bool in_order) {
    uint64_t kept = 0;
    for (uint64_t i = 0; i < knn->hits.count; i++) {
        const shx_hit *hit = &knn->hits.hits[i];
        if (in_order && knn->any && !shx_hit_before(&knn->passed, hit)) continue;
        if (knn->returned_count > 0 &&
            bsearch(&hit->rowid, knn->returned, knn->returned_count, sizeof hit->rowid, shx_rowid_compare)) {
            continue;
        }
        knn->hits.hits[kept++] = *hit;
    }
    knn->hits.count = kept;
}

/* The manner of the next round, and how many rows it asks for. */
static shx_knn_manner knn_next_round(shx_knn *knn) {
    bool range = knn->filter.above > -(double)INFINITY || knn->filter.below < (double)INFINITY;
    if (knn->wish.count != SHX_KNN_ALL && !(knn->filter.above > -(double)INFINITY)) {
        knn->round = knn->wish.count;
        return SHX_KNN_COUNTED;
    }
    if (knn->filter.below < (double)INFINITY) { /* one round: the radius bounds it */
        knn->round = SHX_KNN_ALL - 1;
        return SHX_KNN_TRUE;
    }
    bool huge = knn->round > SHX_KNN_ALL / KNN_ROUND_GROWTH;
    knn->round = knn->round == 0 ? KNN_ROUND_FIRST : huge ? SHX_KNN_ALL - 1 : knn->round * KNN_ROUND_GROWTH;
    double recall = knn->wish.recall > 0 ? knn->wish.recall : knn->table->declaration->recall;
    bool rough = !range && !knn->wish.exact && recall < 1 && knn->round <= KNN_ROUGH_MAX;
    return rough ? SHX_KNN_ROUGH : SHX_KNN_TRUE;
}

/* Makes sure that there is a hit at knn->position, if there is another one at all. Not a part of what every row goes
** through. */
__attribute__((noinline)) static int knn_refill(shx_knn *knn) {
    while (knn->position >= knn->hits.count && !knn->complete) {
        if (knn->was_rough) {
            int noted = knn_note_returned(knn);
            if (noted != SQLITE_OK) return noted;
        }
        bool after_rough = knn->was_rough;
        shx_knn_manner manner = knn_next_round(knn);
        int rc = shx_knn_search(knn, knn->round, manner);
        if (rc != SQLITE_OK) return rc;
        knn->was_rough = manner == SHX_KNN_ROUGH && !knn->complete;
        if (manner == SHX_KNN_COUNTED) knn->complete = true;
        knn_drop_returned(knn, knn->wish.sorted || !after_rough);
        knn->position = 0;
    }
    return SQLITE_OK;
}

/* Where a distance lies: before, within or behind the range that the query asks for. */
static int knn_side(const shx_filter *filter, double distance) {
    if (distance < filter->above || (distance == filter->above && !filter->above_equal)) return -1;
    return distance > filter->below || (distance == filter->below && !filter->below_equal);
}

int shx_knn_next(shx_knn *knn, shx_hit *ret_hit, bool *ret_found) {
    *ret_found = false;
    if (knn->filter.nothing) return SQLITE_OK;
    while (knn->counted < knn->wish.count) {
        if (knn->position >= knn->hits.count) {
            int rc = knn_refill(knn);
            if (rc != SQLITE_OK || knn->position >= knn->hits.count) return rc;
        }
        knn->passed = knn->hits.hits[knn->position++];
        knn->any = true;
        int side = knn_side(&knn->filter, knn->passed.distance);
        if (side > 0) return SQLITE_OK;
        if (side < 0) continue;
        knn->counted++;
        *ret_hit = knn->passed;
        *ret_found = true;
        return SQLITE_OK;
    }
    return SQLITE_OK;
}

void shx_knn_end(shx_knn *knn) {
    if (knn->query.data == knn->room) knn->query.data = NULL;
    shx_vector_clear(&knn->query);
    shx_filter_clear(&knn->filter);
    knn->hits.count = 0;
    knn->position = knn->round = knn->counted = knn->returned_count = 0;
    knn->complete = knn->any = knn->was_rough = false;
}

void shx_knn_free(shx_knn *knn) {
    shx_knn_end(knn);
    shx_filter_free(&knn->filter);
    shx_search_scratch_destroy(knn->scratch);
    shx_topk_free(&knn->hits);
    shx_free(knn->room);
    shx_free(knn->returned);
    memset(knn, 0, sizeof *knn);
}
