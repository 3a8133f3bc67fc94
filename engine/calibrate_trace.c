#include "calibrate_trace.h"

#include "limits.h"
#include "memory.h"
#include "prefetch.h"
#include "router.h"

#include <math.h>
#include <string.h>

#define TRACE_EPSILON 2.4f  /* wider than any that is tried: what it loses is 0.2 % of the postings at the threshold */
#define TRACE_SIGMAS 3      /* of the refined bounds, as searches have it */
#define TRACE_ALL 12        /* nearest of all rows that are kept: k is 10 at most … */
#define TRACE_VAGUE_SHARE 0.5 /* of what the nearest ones' distances span: about 1 where chance orders them */
#define TRACE_FREE_SHARDS 2 /* shards that a search always probes */
#define TRACE_SURVIVORS 256
#define TRACE_PREFETCH_BYTES 4096
#define TRACE_CHECK_SHARDS 64 /* between two looks at the progress */
#define TRACE_NEVER UINT32_MAX /* the position of a shard that a walk does not come to */
#define TRACE_DIMENSION_MOST 4096
#define TRACE_DIMENSION_STEPS 4 /* halvings of the range of its logarithm; the rest is interpolated */
#define TRACE_DIMENSION_EACH 32 /* of the nearest shards each counts by itself; of so many times more, one for each … */
#define TRACE_NEAR_SHARE 0.25 /* of the rows: more are not near */

/* A posting that passed the scan codes and waits for its refine code. */
typedef struct trace_survivor {
    uint64_t row;
    float estimate2, deviation, ip;
    unsigned level;
} trace_survivor;

struct shx_trace_walker {
    const shx_base *base;
    const shx_trace_bytes *bytes;
    shx_progress *progress;
    bool compares;      /* survivors by their vectors */
    double bytes_scale; /* from the square of the bytes' distance to the one in code space */
    const shx_kernels *kernels;
    shx_query *query;
    shx_router router;
    uint32_t *shard_rows; /* per shard of the table: rows in all segments */
    shx_route *routes;
    double live_share;
    trace_survivor survivors[TRACE_SURVIVORS];
    uint32_t survivor_count;
};

/* Where a walk stands. */
typedef struct trace_walk {
    shx_trace_walker *walker;
    shx_trace *trace;
    const void *vector;  /* of the query, and what it takes to compare it */
    double scale, norm;
    uint32_t *positions; /* of all shards, when it goes together with others */
    uint32_t position;
    float distance2; /* of the present shard's centroid */
    float spread;    /* of the estimates by its scan codes (quantizer.h) */
} trace_walk;

void shx_trace_free(shx_trace *trace) {
    shx_free(trace->rank);
    trace->rank = trace->log_order2 = trace->log_rank = NULL;
}

shx_status shx_trace_walker_create(const shx_base *base, const shx_trace_bytes *bytes, bool compares,
                                   shx_progress *progress, shx_trace_walker **ret_walker) {
    uint64_t shards = base->shards->count;
    shx_trace_walker *walker = shx_alloc_zero(1, sizeof *walker);
    SHX_CHECK(walker, SHX_NOMEM);
    walker->base = base;
    walker->bytes = bytes;
    walker->compares = compares;
    walker->progress = progress;
    if (bytes->vectors) walker->bytes_scale = shx_distance_to_code(&base->encoding, 0, bytes->unit);
    walker->kernels = shx_kernels_get();
    walker->live_share = shx_base_live_share(base);
    walker->shard_rows = shx_alloc_zero(shards + 1, sizeof *walker->shard_rows);
    walker->routes = shx_alloc_zero(shards + 1, sizeof *walker->routes);
    shx_status status = shx_query_create(base->encoding.code_dim, &walker->query);
    if (status == SHX_OK && !(walker->shard_rows && walker->routes)) status = SHX_NOMEM;
    if (status != SHX_OK) {
        shx_trace_walker_destroy(walker);
        return status;
    }
    for (uint64_t shard = 0; shard < shards; shard++) walker->shard_rows[shard] = shx_base_shard_rows(base, shard);
    *ret_walker = walker;
    return SHX_OK;
}

void shx_trace_walker_destroy(shx_trace_walker *walker) {
    if (!walker) return;
    shx_query_destroy(walker->query);
    shx_router_free(&walker->router);
    shx_free(walker->shard_rows);
    shx_free(walker->routes);
    shx_free(walker);
}

/* ---- the lists ---- */

static float trace_worst(const shx_trace_list *list) {
    return list->count < list->most ? INFINITY : list->items[list->count - 1].distance2;
}

const uint32_t shx_trace_ks[SHX_TRACE_KS] = {1, 2, 10, 12};

static void trace_insert(shx_trace_list *list, const shx_trace_posting *posting) {
    float met2[SHX_TRACE_KS];
    if (!(posting->distance2 < trace_worst(list))) return;
    for (int i = 0; i < SHX_TRACE_KS; i++) {
        met2[i] = list->count < shx_trace_ks[i] ? INFINITY : list->items[shx_trace_ks[i] - 1].upper2;
    }
    uint32_t at = list->count < list->most ? list->count++ : list->count - 1;
    for (; at > 0 && list->items[at - 1].distance2 > posting->distance2; at--) list->items[at] = list->items[at - 1];
    list->items[at] = *posting;
    memcpy(list->items[at].met2, met2, sizeof met2);
}

/* A posting of a block of a level belongs to the lists up to it. */
static void trace_offer(shx_trace *trace, const shx_trace_posting *posting, unsigned level) {
    for (unsigned i = 0; i <= level; i++) trace_insert(&trace->lists[i], posting);
}

/* ---- going through rows ---- */

/* The smallest set that a block belongs to; evenly: the golden ratio's multiples. */
static unsigned trace_level(uint64_t block) {
    uint32_t place = (uint32_t)(block * 0x9E3779B1u);
    if (place >= UINT32_MAX / SHX_TRACE_SHARE) return SHX_TRACE_ALL;
    return place >= UINT32_MAX / SHX_TRACE_SHARE / SHX_TRACE_SHARE ? SHX_TRACE_SOME : SHX_TRACE_FEW;
}

/* The lanes of block `i` of a run that hold living rows other than the query itself. */
static uint32_t trace_lanes(const trace_walk *walk, shx_place place, uint32_t i) {
    const shx_base *base = walk->walker->base;
    const shx_run *rows = &base->segments[place.segment]->runs[place.run];
    uint32_t left = rows->rows - i * SHX_BLOCK_ROWS;
    uint32_t lanes = left >= SHX_BLOCK_ROWS ? UINT32_MAX : (UINT32_C(1) << left) - 1;
    if (base->dead[place.segment]) lanes &= ~base->dead[place.segment][rows->first_block + i];
    uint64_t own = walk->trace->row - (rows->first_row + (uint64_t)i * SHX_BLOCK_ROWS);
    if (walk->trace->segment == place.segment && own < SHX_BLOCK_ROWS) lanes &= ~(UINT32_C(1) << own);
    return lanes;
}

static float trace_compare(const trace_walk *walk, const void *vector) {
    const shx_trace_walker *walker = walk->walker;
    const shx_encoding *encoding = &walker->base->encoding;
    double distance =
        shx_distance_from(encoding->metric, encoding->element, walk->vector, walk->scale, vector, encoding->dim);
    return (float)shx_distance_to_code(encoding, walk->norm, distance);
}

static void trace_refine(trace_walk *walk, const shx_segment *segment) {
    shx_trace_walker *walker = walk->walker;
    for (uint32_t i = 0; i < walker->survivor_count; i++) {
        const trace_survivor *survivor = &walker->survivors[i];
        shx_estimate refined =
            shx_query_refine(walker->query, walker->kernels, segment->refine + survivor->row * segment->refine_bytes,
                             segment->factors + survivor->row * 3, walk->distance2, survivor->ip);
        float worst2 = trace_worst(&walk->trace->lists[survivor->level]); /* of its lists this one reaches farthest */
        float distance2 = refined.distance2;
        if (walker->compares) {
            if (!(distance2 - TRACE_SIGMAS * refined.deviation < worst2)) continue;
            distance2 = trace_compare(walk, shx_segment_vector_at(segment, survivor->row));
        }
        if (!(distance2 < worst2)) continue;
        shx_trace_posting posting = {.distance2 = distance2,
                                     .upper2 = refined.distance2 + TRACE_SIGMAS * refined.deviation,
                                     .estimate2 = survivor->estimate2,
                                     .deviation = survivor->deviation,
                                     .position = walk->position};
        trace_offer(walk->trace, &posting, survivor->level);
    }
    walker->survivor_count = 0;
}

/* A posting of a block passed: its estimate by the scan code is from the ip that scan_block computed, that of the
** survivor is sharpened. */
static void trace_survive(trace_walk *walk, const shx_segment *segment, const shx_run *run, const uint8_t *block,
                          uint32_t lane, float ip, trace_survivor survivor) {
    shx_trace_walker *walker = walk->walker;
    uint16_t add = shx_get16(block + 2 * lane), mul = shx_get16(block + 2 * (SHX_BLOCK_ROWS + lane));
    float factor = run->scale.mul_min + run->scale.mul_step * (float)mul;
    survivor.estimate2 = run->scale.add_min + run->scale.add_step * (float)add + walk->distance2 +
                         factor * (ip - walker->query->sum / 2);
    survivor.deviation = fabsf(factor) * walk->spread;
    walker->survivors[walker->survivor_count++] = survivor;
    shx_prefetch(segment->refine + survivor.row * segment->refine_bytes, segment->refine_bytes, TRACE_PREFETCH_BYTES);
    __builtin_prefetch(segment->factors + survivor.row * 3);
}

static shx_status trace_scan_codes(trace_walk *walk, shx_place place) {
    shx_trace_walker *walker = walk->walker;
    shx_segment *segment = walker->base->segments[place.segment];
    const shx_run *run = &segment->runs[place.run];
    shx_bound bound;
    float ip[SHX_BLOCK_ROWS], sharp[SHX_BLOCK_ROWS];
    SHX_TRY(shx_segment_verify_run(segment, place.run));
    shx_query_bound(walker->query, &run->scale, walk->distance2, TRACE_EPSILON, INFINITY, &bound);
    shx_query_head(walker->query, TRACE_EPSILON + 1, &bound);
    walk->spread = (float)shx_scan_deviation(walker->query, walk->distance2);
    for (uint32_t i = 0; i < shx_blocks_of(run->rows); i++) {
        uint64_t number = run->first_block + i, first = run->first_row + (uint64_t)i * SHX_BLOCK_ROWS;
        const uint8_t *block = segment->blocks + number * segment->block_bytes;
        unsigned level = trace_level(number);
        bound.threshold = trace_worst(&walk->trace->lists[level]);
        uint32_t mask =
            walker->kernels->scan_block(block, walker->query->lut, segment->code_dim, &run->scale, &bound, ip);
        mask &= mask ? trace_lanes(walk, place, i) : 0;
        if (mask) {
            memcpy(sharp, ip, sizeof sharp);
            shx_query_sharpen_block(walker->query, walker->kernels, block, sharp);
        }
        for (; mask; mask &= mask - 1) {
            uint32_t lane = (uint32_t)__builtin_ctz(mask);
            trace_survivor survivor = {.row = first + lane, .ip = sharp[lane], .level = level};
            trace_survive(walk, segment, run, block, lane, ip[lane], survivor);
        }
        bool open = bound.threshold == INFINITY;
        if (open || walker->survivor_count + SHX_BLOCK_ROWS > TRACE_SURVIVORS) trace_refine(walk, segment);
    }
    trace_refine(walk, segment);
    return SHX_OK;
}

/* By their bytes: l1 distances of `count` rows in a row, as squares in code space. */
static void trace_compare_bytes(const trace_walk *walk, uint32_t segment, uint64_t first, uint32_t count,
                                float ret_distances2[SHX_BLOCK_ROWS]) {
    const shx_trace_bytes *bytes = walk->walker->bytes;
    const int8_t *own = shx_trace_bytes_at(bytes, walk->trace->segment, walk->trace->row);
    const int8_t *others = shx_trace_bytes_at(bytes, segment, first);
    float scale = (float)walk->walker->bytes_scale;
    int32_t sums[SHX_BLOCK_ROWS];
    walk->walker->kernels->int8_l1_rows(own, others, bytes->stride, count, sums);
    for (uint32_t i = 0; i < count; i++) ret_distances2[i] = (float)sums[i] * (float)sums[i] * scale;
}

static void trace_compare_vectors(const trace_walk *walk, const shx_segment *segment, uint64_t first, uint32_t count,
                                  float ret_distances2[SHX_BLOCK_ROWS]) {
    for (uint32_t i = 0; i < count; i++) {
        ret_distances2[i] = trace_compare(walk, shx_segment_vector_at(segment, first + i));
    }
}

static void trace_compare_bits(const trace_walk *walk, const shx_segment *segment, uint64_t first, uint32_t count,
                               float ret_distances2[SHX_BLOCK_ROWS]) {
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *vector = shx_segment_vector_at(segment, first + i);
        ret_distances2[i] = (float)walk->walker->kernels->hamming(walk->vector, vector, segment->vector_bytes);
    }
}

/* The living ones of a block's lanes that are near enough for a list. */
static void trace_offer_block(const trace_walk *walk, uint32_t lanes, const float *distances2, uint32_t count,
                              unsigned level) {
    uint32_t near[SHX_BLOCK_ROWS];
    float worst2 = trace_worst(&walk->trace->lists[level]); /* of its lists, the one that reaches farthest */
    size_t near_count = walk->walker->kernels->within(distances2, count, -INFINITY, worst2, near);
    for (size_t i = 0; i < near_count; i++) {
        float distance2 = distances2[near[i]];
        shx_trace_posting posting = {
            .distance2 = distance2, .upper2 = distance2, .estimate2 = distance2, .position = walk->position};
        if (lanes >> near[i] & 1) trace_offer(walk->trace, &posting, level);
    }
}

/* The overflow shard of a small table is a single block, and under ip its rows are everybody's neighbours: they are
** taken row by row. */
static void trace_offer_overflow(const trace_walk *walk, uint32_t lanes, const float *distances2, uint32_t count,
                                 uint64_t first_row) {
    for (unsigned level = 0; level < SHX_TRACE_LISTS; level++) {
        uint32_t those = 0;
        for (uint32_t i = 0; i < count; i++) those |= (uint32_t)(trace_level(first_row + i) == level) << i;
        trace_offer_block(walk, lanes & those, distances2, count, level);
    }
}

/* One block of a run by its vectors. */
static void trace_scan_block(const trace_walk *walk, shx_place place, uint32_t i) {
    const shx_base *base = walk->walker->base;
    const shx_segment *segment = base->segments[place.segment];
    const shx_run *run = &segment->runs[place.run];
    uint32_t left = run->rows - i * SHX_BLOCK_ROWS, count = left < SHX_BLOCK_ROWS ? left : SHX_BLOCK_ROWS;
    uint64_t first = run->first_row + (uint64_t)i * SHX_BLOCK_ROWS;
    float distances2[SHX_BLOCK_ROWS];
    if (walk->walker->bytes->vectors) {
        trace_compare_bytes(walk, place.segment, first, count, distances2);
    } else if (base->encoding.metric == SHX_HAMMING) {
        trace_compare_bits(walk, segment, first, count, distances2);
    } else {
        trace_compare_vectors(walk, segment, first, count, distances2);
    }
    uint32_t lanes = trace_lanes(walk, place, i);
    if (shx_encoding_coded(&base->encoding)) {
        trace_offer_overflow(walk, lanes, distances2, count, first);
    } else {
        trace_offer_block(walk, lanes, distances2, count, trace_level(run->first_block + i));
    }
}

/* Vectors without codes, or without a point in code space: each block is read once for all walks. */
static shx_status trace_scan_vectors(const shx_base *base, uint64_t shard, trace_walk *const *walks, uint64_t count) {
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        shx_place place = base->places[p];
        shx_segment *segment = base->segments[place.segment];
        if (!walks[0]->walker->bytes->vectors) SHX_TRY(shx_segment_verify_vectors(segment, place.run));
        for (uint32_t i = 0; i < shx_blocks_of(segment->runs[place.run].rows); i++) {
            for (uint64_t w = 0; w < count; w++) trace_scan_block(walks[w], place, i);
        }
    }
    return SHX_OK;
}

/* ---- the way ---- */

/* A row has drawn its shard's centroid towards itself, as no query from elsewhere has: without it, the centroid of the
** other n - 1 rows would be n / (n - 1) times as far. */
static float trace_nearest2(const trace_walk *walk, uint32_t count) {
    const shx_trace_walker *walker = walk->walker;
    const shx_base *base = walker->base;
    const shx_segment *segment = base->segments[walk->trace->segment];
    uint32_t own, first = walker->routes[0].shard;
    float nearest2 = walker->routes[0].order2;
    uint64_t shard = segment->runs[shx_segment_run_of(segment, walk->trace->row)].shard;
    if (!shx_shards_find(base->shards, shard, &own) || own != first) return nearest2;
    float rows = (float)walker->shard_rows[first];
    if (rows > 1) nearest2 += walker->routes[0].distance2 * ((rows / (rows - 1)) * (rows / (rows - 1)) - 1);
    return count > 1 && walker->routes[1].order2 < nearest2 ? walker->routes[1].order2 : nearest2;
}

/* Asks for the codes of the shard that comes next. */
static void trace_prefetch(const shx_base *base, uint32_t shard) {
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        const shx_segment *segment = base->segments[base->places[p].segment];
        const shx_run *run = &segment->runs[base->places[p].run];
        shx_prefetch_later(segment->blocks + run->first_block * segment->block_bytes,
                           shx_blocks_of(run->rows) * segment->block_bytes, TRACE_PREFETCH_BYTES);
    }
}

/* Goes to the next shard, whose route is known: scans it, or notes the place for later. */
static shx_status trace_enter(trace_walk *walk, const shx_route *route, uint32_t position) {
    const shx_base *base = walk->walker->base;
    walk->position = position;
    walk->distance2 = route->distance2;
    walk->trace->rows += walk->walker->shard_rows[route->shard];
    if (walk->positions) {
        walk->positions[route->shard] = position;
        return SHX_OK;
    }
    for (uint32_t p = base->first_place[route->shard]; p < base->first_place[route->shard + 1]; p++) {
        SHX_TRY(trace_scan_codes(walk, base->places[p]));
    }
    return SHX_OK;
}

/* Goes through the shards in order; sets rows and depth. */
static shx_status trace_go(trace_walk *walk, const shx_stop_rule *stop) {
    shx_trace_walker *walker = walk->walker;
    shx_trace *trace = walk->trace;
    const shx_base *base = walker->base;
    shx_stop_limit limit = {0};
    bool more = true;
    float nearest2 = 0;
    SHX_TRY(shx_router_start(&walker->router, base->shards, base->handicaps, walker->query, false));
    if (!shx_router_next(&walker->router, &walker->routes[0])) return SHX_OK;
    if (!walk->positions) shx_query_sharpen(walker->query, walker->routes[0].distance2);
    for (uint32_t p = 0; more; p++) {
        if (p % TRACE_CHECK_SHARDS == 0) SHX_TRY(shx_progress_check(walker->progress));
        more = shx_router_next(&walker->router, &walker->routes[p + 1]);
        if (more && !walk->positions) trace_prefetch(base, walker->routes[p + 1].shard);
        if (p == 0) nearest2 = trace_nearest2(walk, 1 + more);
        double rank = (double)trace->rows * walker->live_share / SHX_SHARD_TARGET;
        trace->depth = p + 1;
        float order2 = walker->routes[p].order2;
        if (p >= TRACE_FREE_SHARDS && stop && shx_stop_limit_holds(&limit, stop, order2, nearest2, rank)) break;
        SHX_TRY(trace_enter(walk, &walker->routes[p], p));
    }
    trace->log_nearest2 = logf(nearest2);
    return SHX_OK;
}

/* The order's distances, not yet their logarithms, and ranks. Distances never fall along it, as far as rules are
** concerned: who stopped has stopped. */
static shx_status trace_note_order(const shx_trace_walker *walker, shx_trace *trace) {
    float highest2 = 0;
    uint64_t rows = 0;
    uint64_t places = (uint64_t)trace->depth + 1;
    trace->rank = shx_alloc_zero(3 * places, sizeof(float));
    SHX_CHECK(trace->rank, SHX_NOMEM);
    trace->log_order2 = trace->rank + places;
    trace->log_rank = trace->log_order2 + places;
    for (uint32_t p = 0; p < trace->depth; p++) {
        if (walker->routes[p].order2 > highest2) highest2 = walker->routes[p].order2;
        trace->log_order2[p] = highest2;
        trace->rank[p] = (float)((double)rows * walker->live_share / SHX_SHARD_TARGET);
        rows += walker->shard_rows[walker->routes[p].shard];
    }
    return SHX_OK;
}

/* Logarithms of the order, as far as somebody will look at them: for the postings, and for all where it is kept. */
static void trace_settle(shx_trace *trace) {
    for (int l = 0; l < SHX_TRACE_LISTS; l++) {
        for (uint32_t i = 0; i < trace->lists[l].count; i++) {
            shx_trace_posting *posting = &trace->lists[l].items[i];
            posting->log_order2 = logf(trace->log_order2[posting->position]);
            posting->log_rank = log1pf(trace->rank[posting->position]);
        }
    }
    if (!trace->keeps_order) {
        shx_trace_free(trace);
        trace->depth = 0;
    }
    for (uint32_t p = 0; p < trace->depth; p++) {
        trace->log_order2[p] = logf(trace->log_order2[p]); /* -infinity at a centroid without handicap */
        trace->log_rank[p] = log1pf(trace->rank[p]);
    }
}

/* Postings to expect within a squared distance, at least one. Far shards, which are much like those beside them in the
** order, stand for some of these. */
static double trace_expect(const shx_trace_walker *walker, uint32_t shards, double dimension, float limit2) {
    double sum = 0;
    for (uint32_t p = 0; p < shards;) {
        const shx_route *route = &walker->routes[p];
        uint64_t rows = 0;
        uint32_t end = p + 1 + p / TRACE_DIMENSION_EACH;
        for (; p < end && p < shards; p++) rows += walker->shard_rows[walker->routes[p].shard];
        sum += (double)rows *
               shx_share_within(dimension, route->distance2, shx_base_scatter(walker->base, route->shard), limit2);
    }
    return fmax(sum * walker->live_share, 1);
}

/* The dimension by which as many postings are to be expected as there are as near as the farthest in the smallest set's
** list: some hundreds, so that it tells of the tail of distances and not of a handful of siblings. */
static double trace_dimension(const trace_walk *walk) {
    const shx_trace_list *list = &walk->trace->lists[SHX_TRACE_FEW];
    double wanted = (double)list->count * SHX_TRACE_SHARE * SHX_TRACE_SHARE;
    if (list->count < list->most || wanted > TRACE_NEAR_SHARE * (double)walk->trace->rows) return 0;
    float limit2 = list->items[list->count - 1].distance2;
    double low = 0, width = log(TRACE_DIMENSION_MOST), many = 0, few = 0;
    for (int step = 0; step < TRACE_DIMENSION_STEPS; step++) {
        width /= 2;
        double expected = trace_expect(walk->walker, walk->trace->depth, exp(low + width), limit2);
        if (expected > wanted) low += width;
        *(expected > wanted ? &many : &few) = expected;
    }
    if (many == 0 || few == 0) return exp(low + width / 2);
    return exp(low + width * log(many / wanted) / log(many / few));
}

/* Its way, and what it finds where it goes alone. */
static shx_status trace_set_out(trace_walk *walk, const shx_stop_rule *stop) {
    shx_trace_walker *walker = walk->walker;
    const shx_base *base = walker->base;
    shx_trace *trace = walk->trace;
    for (int i = 0; i < SHX_TRACE_LISTS; i++) trace->lists[i] = (shx_trace_list){.most = SHX_TRACE_NEAR};
    trace->lists[SHX_TRACE_ALL].most = TRACE_ALL;
    trace->rows = trace->depth = 0;
    SHX_TRY(shx_segment_vector(base->segments[trace->segment], trace->row, &walk->vector));
    trace->usable = shx_query_set(walker->query, &base->encoding, walk->vector);
    if (!trace->usable) return SHX_OK;
    walk->scale = shx_scale(base->encoding.element, walk->vector, base->encoding.dim);
    walk->norm = walker->query->norm;
    /* The overflow shard is always found, at no cost; zero vectors, which cosine has there, are nobody's neighbours. */
    if (base->encoding.metric != SHX_COSINE) SHX_TRY(trace_scan_vectors(base, base->shards->count, &walk, 1));
    SHX_TRY(trace_go(walk, stop));
    trace->dimension = !stop && !walk->positions ? trace_dimension(walk) : 0;
    return trace_note_order(walker, trace);
}

/* Shard after shard, those walks that come to it. */
static shx_status trace_scan_together(const shx_trace_walker *walker, trace_walk *walks, trace_walk **those,
                                      uint64_t count) {
    for (uint64_t shard = 0; shard < walker->base->shards->count; shard++) {
        uint64_t coming = 0;
        if (shard % TRACE_CHECK_SHARDS == 0) SHX_TRY(shx_progress_check(walker->progress));
        for (uint64_t w = 0; w < count; w++) {
            if (walks[w].positions[shard] == TRACE_NEVER) continue;
            walks[w].position = walks[w].positions[shard];
            those[coming++] = &walks[w];
        }
        if (coming > 0) SHX_TRY(trace_scan_vectors(walker->base, shard, those, coming));
    }
    return SHX_OK;
}

/* Without codes rows are large, and what a walk finds does not depend on the order of its shards: all read a row when
** one does. */
static shx_status trace_walk_together(shx_trace_walker *walker, const shx_stop_rule *stop, shx_trace *traces,
                                      uint64_t count) {
    uint64_t shards = walker->base->shards->count;
    trace_walk *walks = shx_alloc_zero(count, sizeof *walks), **those = shx_alloc_zero(count, sizeof *those);
    uint32_t *positions = shx_alloc_zero(count * shards + 1, sizeof *positions);
    shx_status status = walks && those && positions ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < count * shards; i++) positions[i] = TRACE_NEVER;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) {
        walks[i] = (trace_walk){.walker = walker, .trace = &traces[i], .positions = positions + i * shards};
        status = trace_set_out(&walks[i], stop);
    }
    if (status == SHX_OK) status = trace_scan_together(walker, walks, those, count);
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) {
        if (traces[i].usable) trace_settle(&traces[i]);
    }
    shx_free(walks);
    shx_free(those);
    shx_free(positions);
    return status;
}

shx_status shx_trace_walk(shx_trace_walker *walker, const shx_stop_rule *stop, shx_trace *traces, uint64_t count) {
    if (!shx_encoding_coded(&walker->base->encoding)) return trace_walk_together(walker, stop, traces, count);
    for (uint64_t i = 0; i < count; i++) {
        trace_walk walk = {.walker = walker, .trace = &traces[i]};
        SHX_TRY(trace_set_out(&walk, stop));
        if (traces[i].usable) trace_settle(&traces[i]);
    }
    return SHX_OK;
}

bool shx_trace_is_vague(const shx_trace *trace) {
    const shx_trace_list *list = &trace->lists[SHX_TRACE_ALL];
    double deviations = 0;
    if (!trace->usable || list->count < 2) return false;
    for (uint32_t i = 0; i < list->count; i++) {
        deviations += (list->items[i].upper2 - list->items[i].distance2) / TRACE_SIGMAS;
    }
    float spread = list->items[list->count - 1].distance2 - list->items[0].distance2;
    return deviations / list->count > TRACE_VAGUE_SHARE * spread;
}
