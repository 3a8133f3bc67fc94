/* router_bench DIM COUNT [WANTED [WAYS]]: the ways of the router on COUNT clustered centroids of DIM code dimensions:
** CPU time a query, the share of the WANTED nearest shards that is given first, what was counted, and the cost that
** routing.c puts on it. WAYS: digits of shx_route_way, all by default. */
#include "routing.h"
#include "router.h"

#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUERIES 100
#define ROUNDS 5

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double gauss(uint64_t *state) {
    double u = (double)((shx_random_next(state) >> 11) + 1) * 0x1p-53,
           v = (double)(shx_random_next(state) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* Points of a low-dimensional manifold in clusters: a random linear image of `inner` dimensions with a little noise. */
static void fill(float *points, uint64_t count, uint32_t dim, uint64_t seed) {
    enum { INNER = 16, CLUSTERS = 200 };
    uint64_t fixed = 7, state = seed;
    float *map = malloc((size_t)INNER * dim * sizeof *map),
          *middles = malloc((size_t)CLUSTERS * INNER * sizeof *middles);
    for (uint32_t i = 0; i < INNER * dim; i++) map[i] = (float)gauss(&fixed);
    for (uint32_t i = 0; i < CLUSTERS * INNER; i++) middles[i] = (float)gauss(&fixed);
    for (uint64_t i = 0; i < count; i++) {
        float *point = points + i * dim, inner[INNER];
        const float *middle = middles + shx_random_below(&state, CLUSTERS) * INNER;
        for (int j = 0; j < INNER; j++) inner[j] = middle[j] + 0.6f * (float)gauss(&state);
        for (uint32_t d = 0; d < dim; d++) {
            point[d] = 0.3f * (float)gauss(&state);
            for (int j = 0; j < INNER; j++) point[d] += map[(size_t)j * dim + d] * inner[j];
        }
    }
    free(map);
    free(middles);
}

static void measure(const shx_shards *shards, const shx_routing_sample *sample) {
    shx_query *query;
    shx_router router = {0};
    shx_ranking_work sum = {0};
    shx_routing_figures figures = {0};
    double best = INFINITY, *times = calloc(sample->count, sizeof *times);
    if (shx_query_create(shards->code_dim, &query) != SHX_OK) exit(1);
    for (int round = 0; round < ROUNDS; round++) {
        double total = 0;
        sum = (shx_ranking_work){0};
        for (uint64_t q = 0; q < sample->count; q++) {
            shx_route route;
            memcpy(query->point, sample->points + q * shards->code_dim, shards->code_dim * sizeof(float));
            shx_query_tabulate(query);
            double start = seconds();
            if (shx_router_start(&router, shards, NULL, query, false) != SHX_OK) exit(1);
            for (uint64_t i = 0; i < sample->wanted && shx_router_next(&router, &route); i++) continue;
            total += seconds() - start;
            shx_ranking_work work = shx_router_work(&router);
            sum.codes += work.codes, sum.measured += work.measured, sum.bundles += work.bundles;
        }
        if (total < best) best = total;
    }
    if (shx_routing_measure(shards, sample, &figures) != SHX_OK) exit(1);
    double n = (double)sample->count;
    printf(
        "%4u %8llu %-6s spread %4u  share %.4f  %7.1f us  counted %7.1f us  codes %8.0f measured %6.0f bundles %5.0f\n",
        shards->code_dim, (unsigned long long)shards->count, shx_route_way_name(shards->way), shards->spread,
        figures.share, best / n * 1e6, figures.cost / 1e3, (double)sum.codes / n, (double)sum.measured / n,
        (double)sum.bundles / n);
    fflush(stdout);
    free(times);
    shx_router_free(&router);
    shx_query_destroy(query);
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: router_bench DIM COUNT [WANTED [WAYS]]\n"), 1;
    uint32_t dim = (uint32_t)atoi(argv[1]);
    uint64_t count = strtoull(argv[2], NULL, 10);
    const char *ways = argc > 4 ? argv[4] : "123";
    float *centroids = malloc(count * dim * sizeof *centroids),
          *queries = malloc((size_t)QUERIES * dim * sizeof *queries);
    uint64_t *ids = malloc(count * sizeof *ids);
    uint8_t *open = malloc(count);
    shx_shards *shards;
    fill(centroids, count, dim, 1);
    fill(queries, QUERIES, dim, 2);
    for (uint64_t i = 0; i < count; i++) ids[i] = i + 2, open[i] = 1;
    if (shx_shards_create(dim, count, ids, open, centroids, &shards) != SHX_OK) return 1;
    free(centroids);
    const shx_routing_sample sample = {queries, QUERIES, argc > 3 ? strtoull(argv[3], NULL, 10) : 50};
    const shx_routing_wish wish = {0};
    for (; *ways; ways++) {
        double start = seconds();
        if (shx_routing_set(shards, (shx_route_way)(*ways - '0'), &wish, 1, NULL) != SHX_OK) return 1;
        double made = seconds() - start;
        for (int i = 0; i < (*ways == '1' ? 1 : 5); i++, shards->spread *= 2) measure(shards, &sample);
        printf("     made in %.2f s\n", made);
    }
    shx_shards_release(shards);
    free(queries), free(ids), free(open);
    return 0;
}
