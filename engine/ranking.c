#include "ranking.h"

#include "heap.h"
#include "memory.h"
#include "order.h"
#include "prefetch.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define RANKING_EPSILON 1.0f /* standard deviations below its estimate at which a centroid is expected */
#define RANKING_AHEAD 6      /* centroids that are fetched before they are measured */
#define RANKING_PREFETCH_BYTES 1024
#define RANKING_SAMPLE 64    /* bounds that a cut is estimated from, at least */
#define RANKING_RANK 4       /* and as many as put it at this rank among them */

void shx_ranking_free(shx_ranking *ranking) {
    shx_free(ranking->bounds);
    shx_free(ranking->names);
    shx_free(ranking->waiting);
    shx_free(ranking->ready);
    shx_free(ranking->picked);
    memset(ranking, 0, sizeof *ranking);
}

/* A block writes 32 bounds, whatever it holds. */
shx_status shx_ranking_start(shx_ranking *ranking, const shx_query *query, shx_ranked ranked, uint64_t most,
                             uint64_t wanted) {
    uint64_t room = most + SHX_BLOCK_ROWS;
    SHX_TRY(shx_grow((void **)&ranking->bounds, &ranking->bound_capacity, room, sizeof *ranking->bounds));
    SHX_TRY(shx_grow((void **)&ranking->names, &ranking->name_capacity, room, sizeof *ranking->names));
    SHX_TRY(shx_grow((void **)&ranking->waiting, &ranking->waiting_capacity, room, sizeof *ranking->waiting));
    SHX_TRY(shx_grow((void **)&ranking->ready, &ranking->ready_capacity, room, sizeof *ranking->ready));
    SHX_TRY(shx_grow((void **)&ranking->picked, &ranking->picked_capacity, room, sizeof *ranking->picked));
    ranking->query = query;
    ranking->kernels = shx_kernels_get();
    ranking->ranked = ranked;
    ranking->count = ranking->fresh = ranking->left = 0;
    ranking->waiting_count = ranking->ready_count = ranking->given = 0;
    ranking->wanted = wanted;
    ranking->cut = -INFINITY;
    ranking->work = (shx_ranking_work){0};
    return SHX_OK;
}

static void ranking_handicap(shx_ranking *ranking, const uint32_t *members, uint64_t count) {
    const float *handicaps = ranking->ranked.handicaps;
    float *bounds = ranking->bounds + ranking->count;
    if (!handicaps) return;
    if (!members) ranking->kernels->add(handicaps, count, bounds);
    for (uint64_t i = 0; members && i < count; i++) bounds[i] += handicaps[members[i]];
}

void shx_ranking_scan(shx_ranking *ranking, const uint8_t *blocks, const shx_factor_scale *scale, float distance2,
                      const uint32_t *members, uint64_t count) {
    const shx_query *query = ranking->query;
    size_t block_bytes = shx_block_bytes(query->code_dim);
    shx_bound bound;
    shx_query_bound(query, scale, distance2, RANKING_EPSILON, INFINITY, &bound);
    for (uint64_t first = 0; first < count; first += SHX_BLOCK_ROWS) {
        ranking->kernels->bound_block(blocks + first / SHX_BLOCK_ROWS * block_bytes, query->lut, query->code_dim, scale,
                                      &bound, ranking->bounds + ranking->count + first);
    }
    assert(members || ranking->count == 0);
    ranking_handicap(ranking, members, count);
    ranking->named = members != NULL;
    if (members) memcpy(ranking->names + ranking->count, members, count * sizeof *members);
    ranking->count += count;
    ranking->left += count;
    ranking->work.codes += count;
}

void shx_ranking_drop(shx_ranking *ranking, uint64_t entry) {
    ranking->bounds[entry] = NAN;
    ranking->left--;
}

float shx_ranking_measure(shx_ranking *ranking, uint32_t name) {
    const shx_query *query = ranking->query;
    const shx_ranked *ranked = &ranking->ranked;
    const shx_kernels *kernels = ranking->kernels;
    uint64_t first = (uint64_t)name * query->code_dim;
    ranking->work.measured++;
    if (ranked->wide) return kernels->code_l2_squared(query->point, ranked->wide + first, query->code_dim);
    return kernels->centroid_l2_squared(query->point, ranked->narrow + first, ranked->steps[name], query->code_dim) +
           shx_ranking_handicap(ranking, name);
}

void shx_ranking_prefetch(const shx_ranking *ranking, uint32_t name) {
    const shx_ranked *ranked = &ranking->ranked;
    size_t dim = ranking->query->code_dim;
    if (ranked->wide) {
        shx_prefetch(ranked->wide + name * dim, dim * sizeof(float), RANKING_PREFETCH_BYTES);
    } else {
        shx_prefetch(ranked->narrow + name * dim, dim, RANKING_PREFETCH_BYTES);
    }
}

/* A bound that about `wanted` of the entries that are left are within: of a sample of them, the one whose rank in it is
** that share. The smaller the share, the larger the sample. */
static float ranking_choose_cut(const shx_ranking *ranking) {
    float smallest[RANKING_SAMPLE];
    uint64_t sampled = 0, kept = 0;
    if (ranking->left <= 2 * ranking->wanted) return INFINITY;
    uint64_t size = RANKING_RANK * ranking->left / ranking->wanted;
    if (size < RANKING_SAMPLE) size = RANKING_SAMPLE;
    if (size > ranking->count) size = ranking->count;
    uint64_t most = ranking->wanted * size / ranking->left + 2;
    if (most > RANKING_SAMPLE) most = RANKING_SAMPLE;
    uint64_t stride = ((ranking->count << 32) + size - 1) / size; /* in 2^-32: entry i × count / size */
    for (uint64_t taken = 0, place = 0; taken < size; taken++, place += stride) {
        uint64_t entry = place >> 32;
        float bound = ranking->bounds[entry];
        if (entry < ranking->fresh ? !(bound > ranking->cut) : isnan(bound)) continue;
        sampled++;
        if (kept == most && !(bound < smallest[kept - 1])) continue;
        uint64_t i = kept < most ? kept++ : kept - 1;
        for (; i > 0 && smallest[i - 1] > bound; i--) smallest[i] = smallest[i - 1];
        smallest[i] = bound;
    }
    uint64_t rank = ranking->wanted * sampled / ranking->left;
    float cut = rank < kept ? smallest[rank] : INFINITY;
    return cut > ranking->cut ? cut : ranking->cut;
}

static inline bool ranking_before(const uint64_t *a, const uint64_t *b) { return *a < *b; }

SHX_DEFINE_ORDER(ranking_keys, uint64_t, ranking_before)

static uint32_t ranking_name(const shx_ranking *ranking, uint64_t entry) {
    return ranking->named ? ranking->names[entry] : (uint32_t)entry;
}

/* Measures the entries from `first` on, `count` of them, whose bound is within (low, high]. No branch depends on what
** is measured, so that one distance is on its way while the next one begins. */
static void ranking_admit(shx_ranking *ranking, uint64_t first, uint64_t count, float low, float high) {
    uint64_t picked = ranking->kernels->within(ranking->bounds + first, count, low, high, ranking->picked);
    uint64_t *keys = ranking->waiting + ranking->waiting_count;
    for (uint64_t i = 0; i < picked && i < RANKING_AHEAD; i++) {
        shx_ranking_prefetch(ranking, ranking_name(ranking, first + ranking->picked[i]));
    }
    for (uint64_t i = 0; i < picked; i++) {
        if (i + RANKING_AHEAD < picked) {
            shx_ranking_prefetch(ranking, ranking_name(ranking, first + ranking->picked[i + RANKING_AHEAD]));
        }
        uint32_t name = ranking_name(ranking, first + ranking->picked[i]);
        keys[i] = shx_heap_key(shx_ranking_measure(ranking, name), name);
    }
    ranking->waiting_count += picked;
    ranking->left -= picked;
}

void shx_ranking_make_ready(shx_ranking *ranking) {
    uint64_t *waiting = ranking->waiting, *ready = ranking->ready, kept = 0, count = 0;
    assert(ranking->given == ranking->ready_count);
    if (ranking->cut >= 0) {
        uint64_t last = shx_heap_key(ranking->cut, UINT32_MAX);
        for (uint64_t i = 0; i < ranking->waiting_count; i++) {
            uint64_t key = waiting[i];
            ready[count] = waiting[kept] = key;
            count += key <= last;
            kept += key > last;
        }
        ranking->waiting_count = kept;
    }
    ranking_keys_sort(ready, count);
    ranking->ready_count = count;
    ranking->given = 0;
}

void shx_ranking_raise(shx_ranking *ranking, float limit) {
    float high = ranking_choose_cut(ranking);
    if (high > limit) high = limit > ranking->cut ? limit : ranking->cut;
    ranking_admit(ranking, 0, ranking->fresh, ranking->cut, high);
    ranking_admit(ranking, ranking->fresh, ranking->count - ranking->fresh, -INFINITY, high);
    ranking->fresh = ranking->count;
    ranking->cut = high;
    if (ranking->wanted < ranking->work.measured) ranking->wanted = ranking->work.measured;
    shx_ranking_make_ready(ranking);
}

bool shx_ranking_take(shx_ranking *ranking, float *ret_measured, uint32_t *ret_name) {
    if (ranking->given == ranking->ready_count) return false;
    uint64_t key = ranking->ready[ranking->given++];
    *ret_measured = shx_heap_distance(key);
    *ret_name = (uint32_t)key;
    return true;
}
