#include "cluster_split.h"

#include "cluster.h"
#include "kernels.h"
#include "memory.h"
#include "random.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define CLUSTER_SPLIT_ITERATIONS 8
#define CLUSTER_CHECK_ROWS 1024 /* between two looks at the progress */

/* Halving the range of projections so often leaves the median alone between the two ends, or as good as alone. */
#define CLUSTER_SPLIT_HALVINGS 60

/* Scratch for splitting up to as many rows as it was made for. */
typedef struct divide_work {
    const shx_kernels *kernels;
    size_t dim;
    float *centroid[2]; /* both in one block */
    double *sums;       /* 2 × dim */
    double *projection; /* of each row on the line through the centroids */
    uint8_t *side;      /* of each row: 0 or 1 */
    const float **sorted;
    shx_progress *progress;
    shx_status status; /* SHX_INTERRUPT: results mean nothing any more */
} divide_work;

static void divide_free(divide_work *work) {
    shx_free_aligned(work->centroid[0]);
    shx_free(work->sums);
    shx_free(work->projection);
    shx_free(work->side);
    shx_free(work->sorted);
}

static shx_status divide_alloc(divide_work *work, const shx_float_rows *rows, shx_progress *progress) {
    uint64_t count = rows->count;
    size_t dim = rows->dim;
    *work = (divide_work){.kernels = shx_kernels_get(), .dim = dim, .progress = progress};
    work->centroid[0] = shx_alloc_aligned(2 * dim, sizeof *work->centroid[0]);
    work->centroid[1] = work->centroid[0] ? work->centroid[0] + dim : NULL;
    work->sums = shx_alloc(2 * dim * sizeof *work->sums);
    work->projection = shx_alloc(count * sizeof *work->projection);
    work->side = shx_alloc(count);
    work->sorted = shx_alloc(count * sizeof *work->sorted);
    if (work->centroid[0] && work->sums && work->projection && work->side && work->sorted) return SHX_OK;
    divide_free(work);
    return SHX_NOMEM;
}

/* Starts from a random row and the first different one after another random place; false when there is none. */
static bool divide_start(divide_work *work, const float *const *rows, uint64_t count, uint64_t seed) {
    const float *one = rows[shx_random_below(&seed, count)];
    uint64_t at = shx_random_below(&seed, count);
    for (uint64_t tried = 0; tried < count; tried++, at = at + 1 < count ? at + 1 : 0) {
        if (!(work->kernels->code_l2_squared(one, rows[at], work->dim) > 0)) continue;
        memcpy(work->centroid[0], one, work->dim * sizeof *one);
        memcpy(work->centroid[1], rows[at], work->dim * sizeof *one);
        return true;
    }
    return false;
}

/* Gives each row to the nearer centroid. Returns how many went to the second (0 when interrupted); *ret_moved: whether
** any changed sides. */
static uint64_t divide_label(divide_work *work, const float *const *rows, uint64_t count, bool *ret_moved) {
    uint64_t second = 0;
    bool moved = false;
    for (uint64_t i = 0; i < count; i++) {
        if (i % CLUSTER_CHECK_ROWS == 0) work->status = shx_progress_check(work->progress);
        if (work->status != SHX_OK) return 0;
        float near = work->kernels->code_l2_squared(rows[i], work->centroid[0], work->dim);
        uint8_t side = work->kernels->code_l2_squared(rows[i], work->centroid[1], work->dim) < near;
        moved |= side != work->side[i];
        work->side[i] = side;
        second += side;
    }
    *ret_moved = moved;
    return second;
}

static void divide_move_centroids(divide_work *work, const float *const *rows, uint64_t count, uint64_t second) {
    memset(work->sums, 0, 2 * work->dim * sizeof *work->sums);
    for (uint64_t i = 0; i < count; i++) {
        double *sums = work->sums + work->side[i] * work->dim;
        for (size_t d = 0; d < work->dim; d++) sums[d] += rows[i][d];
    }
    const double scale[2] = {1.0 / (double)(count - second), 1.0 / (double)second};
    for (size_t side = 0; side < 2; side++) {
        for (size_t d = 0; d < work->dim; d++) {
            work->centroid[side][d] = (float)(work->sums[side * work->dim + d] * scale[side]);
        }
    }
}

/* 2-means. Returns how many rows are on the second side; 0 when the rows are identical. */
static uint64_t divide_two_means(divide_work *work, const float *const *rows, uint64_t count, uint64_t seed) {
    if (!divide_start(work, rows, count, seed)) return 0;
    memset(work->side, 0, count);
    bool moved = true;
    uint64_t second = divide_label(work, rows, count, &moved);
    for (int i = 0; i < CLUSTER_SPLIT_ITERATIONS && moved && second > 0 && second < count; i++) {
        divide_move_centroids(work, rows, count, second);
        second = divide_label(work, rows, count, &moved);
    }
    return second < count ? second : 0;
}

static uint64_t divide_count_above(const divide_work *work, uint64_t count, double cut) {
    uint64_t above = 0;
    for (uint64_t i = 0; i < count; i++) above += work->projection[i] > cut;
    return above;
}

/* The share of the smaller side: what balance is measured by. */
static uint64_t divide_smaller(uint64_t count, uint64_t second) {
    return second < count - second ? second : count - second;
}

/* Projects the rows on the main axis, the line through the centroids, and finds by halving the two neighbouring values
** between which the median lies. Equal projections, so identical rows, never part. Returns how many rows lie above the
** better cut of the two. */
static uint64_t divide_median(divide_work *work, const float *const *rows, uint64_t count, double *ret_cut) {
    float *axis = work->centroid[1];
    for (size_t d = 0; d < work->dim; d++) axis[d] -= work->centroid[0][d];
    double low = INFINITY, high = -INFINITY;
    for (uint64_t i = 0; i < count; i++) {
        double at = work->projection[i] = work->kernels->dot(rows[i], axis, work->dim);
        if (at < low) low = at;
        if (at > high) high = at;
    }
    for (int i = 0; i < CLUSTER_SPLIT_HALVINGS; i++) {
        double middle = low + (high - low) / 2;
        if (divide_count_above(work, count, middle) * 2 > count)
            low = middle;
        else
            high = middle;
    }
    uint64_t above_low = divide_count_above(work, count, low), above_high = divide_count_above(work, count, high);
    bool use_low = divide_smaller(count, above_low) > divide_smaller(count, above_high);
    *ret_cut = use_low ? low : high;
    return use_low ? above_low : above_high;
}

/* Splits rows in two, those of the second side last; returns how many these are, 0 when the rows are identical. A side
** of less than a quarter is not accepted if cutting at the median is more even. */
static uint64_t divide_rows(divide_work *work, const float **rows, uint64_t count, uint64_t seed) {
    uint64_t second = divide_two_means(work, (const float *const *)rows, count, seed);
    if (second == 0) return 0;
    if (divide_smaller(count, second) < count / 4) {
        double cut;
        uint64_t above = divide_median(work, (const float *const *)rows, count, &cut);
        if (divide_smaller(count, above) > divide_smaller(count, second)) {
            for (uint64_t i = 0; i < count; i++) work->side[i] = work->projection[i] > cut;
            second = above;
        }
    }
    uint64_t at[2] = {0, count - second};
    for (uint64_t i = 0; i < count; i++) work->sorted[at[work->side[i]]++] = rows[i];
    assert(at[0] == count - second && at[1] == count);
    memcpy(rows, work->sorted, count * sizeof *rows);
    return second;
}

/* The largest part that can still be split; NULL when there is none. */
static shx_part *divide_largest(const shx_parts *parts) {
    shx_part *largest = NULL;
    for (uint32_t i = 0; i < parts->count; i++) {
        shx_part *part = &parts->items[i];
        if (!part->whole && (!largest || part->count > largest->count)) largest = part;
    }
    return largest;
}

shx_status shx_cluster_divide(const shx_float_rows *rows, uint64_t size_max, uint64_t seed, shx_progress *progress,
                              shx_parts *parts) {
    assert(rows->count >= 1 && size_max >= 1 && parts->most >= 1);
    divide_work work = {0};
    if (rows->count > size_max) SHX_TRY(divide_alloc(&work, rows, progress));
    shx_parts made = {parts->items, 1, parts->most};
    made.items[0] = (shx_part){0, rows->count, false};
    while (made.count < made.most) {
        shx_part *largest = divide_largest(&made);
        if (!largest || largest->count <= size_max) break;
        uint64_t second = divide_rows(&work, rows->at + largest->first, largest->count, shx_random_next(&seed));
        if (work.status != SHX_OK) break;
        largest->whole = second == 0;
        if (largest->whole) continue;
        largest->count -= second;
        made.items[made.count++] = (shx_part){largest->first + largest->count, second, false};
    }
    divide_free(&work);
    if (work.status == SHX_OK) *parts = made;
    return work.status;
}

/* Writes the centroid of each part, and to each point the number of its part. */
static shx_status divide_describe(const float *points, const shx_float_rows *rows, const shx_parts *parts,
                                  shx_cluster_parts *described) {
    size_t dim = rows->dim;
    double *sums = shx_alloc(dim * sizeof *sums);
    SHX_CHECK(sums, SHX_NOMEM);
    for (uint32_t p = 0; p < parts->count; p++) {
        const shx_part *part = &parts->items[p];
        const float *const *row = (const float *const *)rows->at + part->first;
        shx_rows_mean(row, part->count, dim, sums, described->centroids + p * dim);
        for (uint64_t i = 0; i < part->count; i++) described->part[(size_t)(row[i] - points) / dim] = p;
    }
    shx_free(sums);
    described->count = parts->count;
    return SHX_OK;
}

shx_status shx_cluster_split(const float *points, uint32_t count, size_t dim, uint64_t seed, shx_progress *progress,
                             shx_cluster_parts *parts) {
    SHX_CHECK(count >= 1 && parts->most >= 2 && dim >= 16 && dim % 16 == 0, SHX_MISUSE);
    const shx_float_rows rows = {shx_alloc(count * sizeof *rows.at), count, dim};
    shx_parts made = {.items = shx_alloc(parts->most * sizeof *made.items), .most = parts->most};
    shx_status status = rows.at && made.items ? SHX_OK : SHX_NOMEM;
    if (status != SHX_OK) goto cleanup;
    for (uint32_t i = 0; i < count; i++) rows.at[i] = points + i * dim;
    status = shx_cluster_divide(&rows, 1, seed, progress, &made);
    if (status == SHX_OK) status = divide_describe(points, &rows, &made, parts);
cleanup:
    shx_free(made.items);
    shx_free(rows.at);
    return status;
}
