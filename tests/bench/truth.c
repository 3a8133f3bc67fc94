/* truth FOLDER: the exact neighbours of every query, by brute force on all processors.
**
** Reads FOLDER/base.f32, queries.f32 and shape, writes truth.i32 (all described in measure.h); ties go by row number.
** Candidates are found in single precision, with spare ones, and ordered in double. */
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "measure.h"

enum { SPARE = 60, KEPT = TRUTH_DEPTH + SPARE, TILE_ROWS = 128, MOST_THREADS = 64 };

typedef struct {
    double distance;
    int32_t row;
} candidate;

typedef struct {
    const dataset *set;
    const float *base_scales; /* cosine: 1/|row| */
    int32_t *truth;
    size_t first_query;
    size_t end_query;
} work;

static float dot(const float *a, const float *b, size_t dimensions) {
    float sum = 0;
    for (size_t i = 0; i < dimensions; i++) sum += a[i] * b[i];
    return sum;
}

/* Not by norms and products, whose differences have no digits left where rows are near to each other and far from 0. */
static float squares(const float *a, const float *b, size_t dimensions) {
    float sum = 0;
    for (size_t i = 0; i < dimensions; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

static double exact_distance(const dataset *set, const float *a, const float *b) {
    double dot_ab = 0, dot_aa = 0, dot_bb = 0, squares = 0;
    for (size_t i = 0; i < set->dimensions; i++) {
        double difference = (double)a[i] - b[i];
        dot_ab += (double)a[i] * b[i];
        dot_aa += (double)a[i] * a[i];
        dot_bb += (double)b[i] * b[i];
        squares += difference * difference;
    }
    return set->cosine ? 1 - dot_ab / sqrt(dot_aa * dot_bb) : squares;
}

static void heap_sift(candidate *heap, candidate entry) {
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= KEPT) break;
        if (child + 1 < KEPT && heap[child + 1].distance > heap[child].distance) child++;
        if (heap[child].distance <= entry.distance) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
}

static void scan_tile(const work *job, size_t first_row, size_t end_row, const float *query, candidate *heap) {
    const dataset *set = job->set;
    for (size_t row = first_row; row < end_row; row++) {
        const float *vector = set->base + row * set->dimensions;
        float distance = set->cosine ? -dot(query, vector, set->dimensions) * job->base_scales[row]
                                     : squares(query, vector, set->dimensions);
        if (distance < heap[0].distance) heap_sift(heap, (candidate){distance, (int32_t)row});
    }
}

static int by_distance(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void finish_query(const work *job, size_t query, candidate *heap) {
    const dataset *set = job->set;
    for (size_t i = 0; i < KEPT; i++) {
        const float *row = set->base + (size_t)heap[i].row * set->dimensions;
        heap[i].distance = exact_distance(set, set->queries + query * set->dimensions, row);
    }
    qsort(heap, KEPT, sizeof *heap, by_distance);
    for (size_t i = 0; i < TRUTH_DEPTH; i++) job->truth[query * TRUTH_DEPTH + i] = heap[i].row;
}

static void *run(void *argument) {
    const work *job = argument;
    const dataset *set = job->set;
    size_t queries = job->end_query - job->first_query;
    candidate *heaps = need(malloc(queries * KEPT * sizeof *heaps));
    for (size_t i = 0; i < queries * KEPT; i++) heaps[i] = (candidate){HUGE_VAL, 0};
    for (size_t row = 0; row < set->row_count; row += TILE_ROWS) {
        size_t end_row = row + TILE_ROWS < set->row_count ? row + TILE_ROWS : set->row_count;
        for (size_t i = 0; i < queries; i++)
            scan_tile(job, row, end_row, set->queries + (job->first_query + i) * set->dimensions, heaps + i * KEPT);
    }
    for (size_t i = 0; i < queries; i++) finish_query(job, job->first_query + i, heaps + i * KEPT);
    free(heaps);
    return NULL;
}

static float *scales_of_base(const dataset *set) {
    float *scales = need(malloc(set->row_count * sizeof *scales));
    for (size_t row = 0; row < set->row_count; row++) {
        const float *vector = set->base + row * set->dimensions;
        scales[row] = 1 / sqrtf(dot(vector, vector, set->dimensions));
    }
    return scales;
}

int main(int argument_count, char **arguments) {
    if (argument_count != 2) fail("usage: truth FOLDER");
    dataset set;
    dataset_open(&set, arguments[1], 0);
    size_t size = set.query_count * TRUTH_DEPTH * sizeof(int32_t);
    int32_t *truth = need(malloc(size));
    const float *scales = set.cosine ? scales_of_base(&set) : NULL;
    long threads = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    pthread_t handles[MOST_THREADS];
    work jobs[MOST_THREADS];
    for (long i = 0; i < threads; i++) {
        jobs[i] = (work){&set, scales, truth, set.query_count * (size_t)i / (size_t)threads,
                         set.query_count * (size_t)(i + 1) / (size_t)threads};
        if (pthread_create(&handles[i], NULL, run, &jobs[i]) != 0) fail("cannot start a thread");
    }
    for (long i = 0; i < threads; i++) pthread_join(handles[i], NULL);
    char path[PATH_SIZE];
    FILE *file = (FILE *)need(fopen(path_in(path, arguments[1], "truth.i32"), "wb"));
    if (fwrite(truth, 1, size, file) != size || fclose(file) != 0) fail("cannot write truth.i32");
    return 0;
}
