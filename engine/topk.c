#include "topk.h"

#include "memory.h"

#include <assert.h>
#include <math.h>
#include <string.h>

bool shx_hit_before(const shx_hit *a, const shx_hit *b) {
    return a->distance < b->distance || (a->distance == b->distance && a->rowid < b->rowid);
}

void shx_topk_reset(shx_topk *topk, uint64_t k) {
    topk->count = 0;
    topk->k = k;
}

void shx_topk_free(shx_topk *topk) {
    shx_free(topk->hits);
    memset(topk, 0, sizeof *topk);
}

double shx_topk_worst(const shx_topk *topk) {
    if (topk->k == 0) return -(double)INFINITY;
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

shx_status shx_topk_insert(shx_topk *topk, double distance, int64_t rowid) {
    assert(topk->count <= topk->k);
    shx_hit hit = {distance, rowid};
    if (topk->k == 0 || isnan(distance)) return SHX_OK;
    if (topk->count < topk->k) {
        SHX_TRY(shx_grow((void **)&topk->hits, &topk->capacity, topk->count + 1, sizeof hit));
        topk_rise(topk->hits, topk->count++, hit);
    } else if (shx_hit_before(&hit, &topk->hits[0])) {
        topk_sink(topk->hits, topk->count, hit);
    }
    return SHX_OK;
}

void shx_topk_sort(shx_topk *topk) {
    for (uint64_t left = topk->count; left > 1; left--) {
        shx_hit worst = topk->hits[0];
        topk_sink(topk->hits, left - 1, topk->hits[left - 1]);
        topk->hits[left - 1] = worst;
    }
}
