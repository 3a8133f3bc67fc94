#include "topk.h"

#include "memory.h"
#include "order.h"
#include "planted.h"

#include <assert.h>
#include <math.h>
#include <string.h>

bool shx_hit_before(const shx_hit *a, const shx_hit *b) {
    if (SHX_PLANTED(36) && a->distance == b->distance) return a->rowid > b->rowid;
    return a->distance < b->distance || (a->distance == b->distance && a->rowid < b->rowid);
}

#define TOPK_MANY 128     /* hits that are sorted by buckets … */
#define TOPK_BUCKET_HITS 4 /* … of so many on average */
#define TOPK_PIECE 65536   /* hits that are sorted between two questions whether to stop */

void shx_topk_reset(shx_topk *topk, uint64_t k) {
    topk->count = 0;
    topk->k = k;
    topk->worst = (shx_hit){(double)INFINITY, INT64_MAX};
}

void shx_topk_free(shx_topk *topk) {
    shx_free(topk->hits);
    memset(topk, 0, sizeof *topk);
}

double shx_topk_worst(const shx_topk *topk) {
    if (topk->k == 0) return -(double)INFINITY;
    if (topk->k > SHX_TOPK_HEAP) return topk->worst.distance;
    return topk->count < topk->k ? (double)INFINITY : topk->hits[0].distance;
}

/* Puts `hit` into the hole at `at` and moves it up to where it belongs. */
static void topk_rise(shx_hit *hits, uint64_t at, shx_hit hit) {
    while (at > 0) {
        uint64_t above = (at - 1) / 2;
        if (!shx_hit_before(&hits[above], &hit)) break;
        hits[at] = hits[above];
        at = above;
    }
    hits[at] = hit;
}

/* Puts `hit` into the hole at the top of a heap of `count` and moves it down to where it belongs. */
static void topk_sink(shx_hit *hits, uint64_t count, shx_hit hit) {
    uint64_t at = 0;
    for (uint64_t below = 1; below < count; below = 2 * at + 1) {
        if (below + 1 < count && shx_hit_before(&hits[below], &hits[below + 1])) below++;
        if (!shx_hit_before(&hit, &hits[below])) break;
        hits[at] = hits[below];
        at = below;
    }
    hits[at] = hit;
}

SHX_DEFINE_ORDER(topk_hits, shx_hit, shx_hit_before)

/* Keeps the best k, and notes the worst of them. */
static void topk_select(shx_topk *topk) {
    if (topk->count > topk->k) topk_hits_select(topk->hits, topk->count, topk->k);
    topk->count = topk->k;
    topk->worst = topk->hits[0];
    for (uint64_t i = 1; i < topk->k; i++) {
        if (shx_hit_before(&topk->worst, &topk->hits[i])) topk->worst = topk->hits[i];
    }
}

static shx_status topk_collect(shx_topk *topk, const shx_hit *hit) {
    if (topk->count >= topk->k && !shx_hit_before(hit, &topk->worst)) return SHX_OK;
    SHX_TRY(shx_grow((void **)&topk->hits, &topk->capacity, topk->count + 1, sizeof *hit));
    topk->hits[topk->count++] = *hit;
    if (topk->count == topk->k || topk->count / 2 >= topk->k) topk_select(topk);
    return SHX_OK;
}

shx_status shx_topk_insert(shx_topk *topk, double distance, int64_t rowid) {
    shx_hit hit = {distance, rowid};
    if (topk->k == 0 || isnan(distance)) return SHX_OK;
    if (topk->k > SHX_TOPK_HEAP) return topk_collect(topk, &hit);
    assert(topk->count <= topk->k);
    if (topk->count < topk->k) {
        SHX_TRY(shx_grow((void **)&topk->hits, &topk->capacity, topk->count + 1, sizeof hit));
        topk_rise(topk->hits, topk->count++, hit);
    } else if (shx_hit_before(&hit, &topk->hits[0])) {
        topk_sink(topk->hits, topk->count, hit);
    }
    return SHX_OK;
}

/* Buckets of equal width from the lowest distance on, by which hits are sorted. */
typedef struct topk_spread {
    double lowest, width;
    uint64_t buckets;
} topk_spread;

/* Ascends with the distance. */
static uint64_t topk_bucket(const topk_spread *spread, double distance) {
    uint64_t bucket = (uint64_t)((distance - spread->lowest) / spread->width);
    return bucket < spread->buckets ? bucket : spread->buckets - 1;
}

/* Deals hits out into the buckets, in `dealt`; `starts` has room for one more than there are buckets. */
static void topk_deal(const shx_hit *hits, uint64_t count, const topk_spread *spread, uint32_t *starts,
                      shx_hit *dealt) {
    memset(starts, 0, (spread->buckets + 1) * sizeof *starts);
    for (uint64_t i = 0; i < count; i++) starts[topk_bucket(spread, hits[i].distance) + 1]++;
    for (uint64_t b = 0; b < spread->buckets; b++) starts[b + 1] += starts[b];
    for (uint64_t i = count; i-- > 0;) dealt[--starts[topk_bucket(spread, hits[i].distance) + 1]] = hits[i];
}

/* False where distances are not spread, or too many. */
static bool topk_find_spread(const shx_topk *topk, topk_spread *ret_spread) {
    uint64_t count = topk->count, buckets = count / TOPK_BUCKET_HITS;
    double lowest = topk->hits[0].distance, highest = lowest;
    for (uint64_t i = 1; i < count; i++) {
        double distance = topk->hits[i].distance;
        lowest = distance < lowest ? distance : lowest;
        highest = distance > highest ? distance : highest;
    }
    double width = (highest - lowest) / (double)buckets;
    *ret_spread = (topk_spread){lowest, width, buckets};
    return width > 0 && isfinite(width) && count <= UINT32_MAX;
}

/* Sorts half by half. */
static shx_status topk_sort_halves(shx_hit *hits, uint64_t count, const shx_stop *stop) {
    if (count <= TOPK_PIECE) {
        topk_hits_sort(hits, count);
        return SHX_OK;
    }
    SHX_CHECK(!shx_stop_wanted(stop), SHX_INTERRUPT);
    topk_hits_select(hits, count, count / 2);
    SHX_TRY(topk_sort_halves(hits, count / 2, stop));
    return topk_sort_halves(hits + count / 2, count - count / 2, stop);
}

/* Sorts bucket by bucket, as far as the `wanted` first hits go. Where distances are few, buckets are large. */
static shx_status topk_sort_buckets(shx_hit *dealt, uint64_t count, uint64_t wanted, const uint32_t *starts,
                                    uint64_t buckets, const shx_stop *stop) {
    uint64_t asked = 0;
    for (uint64_t b = 0; b < buckets && starts[b + 1] < wanted; b++) {
        uint64_t first = starts[b + 1], end = b + 1 < buckets ? starts[b + 2] : count;
        if (first >= asked) {
            SHX_CHECK(!shx_stop_wanted(stop), SHX_INTERRUPT);
            asked = first + TOPK_PIECE;
        }
        SHX_TRY(topk_sort_halves(dealt + first, end - first, stop));
    }
    return SHX_OK;
}

/* Sorts many hits by buckets of a few each, or, where there is no memory for it or distances are not spread, half by
** half. */
static shx_status topk_sort_many(shx_topk *topk, const shx_stop *stop) {
    uint64_t count = topk->count;
    topk_spread spread;
    if (!topk_find_spread(topk, &spread)) return topk_sort_halves(topk->hits, count, stop);
    uint64_t room = 2 * count + (spread.buckets + 1) * sizeof(uint32_t) / sizeof(shx_hit) + 1;
    if (shx_grow((void **)&topk->hits, &topk->capacity, room, sizeof *topk->hits) != SHX_OK) {
        return topk_sort_halves(topk->hits, count, stop);
    }
    shx_hit *hits = topk->hits, *dealt = hits + count;
    uint32_t *starts = (uint32_t *)(void *)(dealt + count);
    topk_deal(hits, count, &spread, starts, dealt);
    uint64_t wanted = count < topk->k ? count : topk->k;
    SHX_TRY(topk_sort_buckets(dealt, count, wanted, starts, spread.buckets, stop));
    memcpy(hits, dealt, wanted * sizeof *hits);
    return SHX_OK;
}

shx_status shx_topk_sort(shx_topk *topk, const shx_stop *stop) {
    if (topk->count >= TOPK_MANY) {
        SHX_TRY(topk_sort_many(topk, stop));
    } else {
        if (topk->count > topk->k) topk_select(topk);
        topk_hits_sort(topk->hits, topk->count);
    }
    if (topk->count > topk->k) topk->count = topk->k;
    return SHX_OK;
}
