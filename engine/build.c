#include "build.h"

#include "cluster.h"
#include "limits.h"
#include "memory.h"
#include "rotation.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUILD_SAMPLE_BYTES (UINT64_C(256) << 20) /* of points in the sample, which are read as they are needed */
#define BUILD_SAMPLE_PER_SHARD 64
#define BUILD_SURVEY_ROWS 100000
#define BUILD_PART 1024
#define BUILD_PROBES 6
#define BUILD_BATCH 1024

/* Row i of `wanted` rows spread evenly over the postings. */
static const void *build_sample_vector(const shx_rewrite *rewrite, uint64_t i, uint64_t wanted) {
    return shx_rewrite_vector(rewrite, i * rewrite->count / wanted);
}

/* ---- norms and mean ---- */

/* What is known of rows spread evenly, `wanted` of them: each one's norm, and sums of lifted vectors in parts of
** BUILD_PART rows, which are added up in order, however many threads there are. */
typedef struct build_survey {
    const shx_rewrite *rewrite;
    uint64_t wanted;
    double *norms;
    double *sums; /* code_dim a part */
    uint64_t *found;
} build_survey;

static shx_status build_survey_norms(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const build_survey *survey = context;
    for (uint64_t i = first; i < end; i++) {
        const void *vector = build_sample_vector(survey->rewrite, i, survey->wanted);
        survey->norms[i] = sqrt(shx_norm2(survey->rewrite->encoding.element, vector, survey->rewrite->encoding.dim));
    }
    return SHX_OK;
}

static shx_status build_survey_sums(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const build_survey *survey = context;
    const shx_encoding *encoding = &survey->rewrite->encoding;
    uint64_t part = first / BUILD_PART;
    double *sums = survey->sums + part * encoding->code_dim;
    float *lifted = shx_alloc(encoding->code_dim * sizeof *lifted);
    SHX_CHECK(lifted, SHX_NOMEM);
    for (uint64_t i = first; i < end; i++) {
        const void *vector = build_sample_vector(survey->rewrite, i, survey->wanted);
        if (!shx_encoding_lift(encoding, vector, false, lifted)) continue;
        survey->found[part]++;
        for (uint32_t d = 0; d < encoding->code_dim; d++) sums[d] += lifted[d];
    }
    shx_free(lifted);
    return SHX_OK;
}

static int build_compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The 99.9th percentile of the norms; all of few rows. Longer vectors go to the overflow shard. */
static shx_status build_fit_ip_bound(shx_rewrite *rewrite) {
    shx_encoding *encoding = &rewrite->encoding;
    if (encoding->metric != SHX_IP) return SHX_OK;
    uint64_t wanted = rewrite->count < BUILD_SURVEY_ROWS ? rewrite->count : BUILD_SURVEY_ROWS;
    build_survey survey = {.rewrite = rewrite, .wanted = wanted};
    survey.norms = shx_alloc_zero(wanted, sizeof *survey.norms);
    SHX_CHECK(survey.norms, SHX_NOMEM);
    shx_status status = shx_pool_run(rewrite->pool, wanted, BUILD_PART, build_survey_norms, &survey);
    if (status == SHX_OK) {
        qsort(survey.norms, wanted, sizeof *survey.norms, build_compare_doubles);
        double bound = wanted ? survey.norms[wanted - 1 - wanted / 1000] * 1.000001 : 1;
        encoding->ip_bound = bound > 0 && bound < 1e15 ? (float)bound : 1;
    }
    shx_free(survey.norms);
    return status;
}

static void build_take_mean(const build_survey *survey, float *ret_mean) {
    uint64_t parts = (survey->wanted + BUILD_PART - 1) / BUILD_PART, found = 0;
    uint32_t code_dim = survey->rewrite->encoding.code_dim;
    for (uint64_t part = 0; part < parts; part++) found += survey->found[part];
    for (uint32_t d = 0; found && d < code_dim; d++) {
        double sum = 0;
        for (uint64_t part = 0; part < parts; part++) sum += survey->sums[part * code_dim + d];
        ret_mean[d] = fabs(sum / (double)found) < 1e30 ? (float)(sum / (double)found) : 0;
    }
}

static shx_status build_fit_mean(shx_rewrite *rewrite) {
    shx_encoding *encoding = &rewrite->encoding;
    uint64_t wanted = rewrite->count < BUILD_SURVEY_ROWS ? rewrite->count : BUILD_SURVEY_ROWS;
    uint64_t parts = (wanted + BUILD_PART - 1) / BUILD_PART;
    build_survey survey = {.rewrite = rewrite, .wanted = wanted};
    rewrite->mean = shx_alloc_zero(encoding->code_dim, sizeof(float));
    survey.sums = shx_alloc_zero(parts, encoding->code_dim * sizeof *survey.sums);
    survey.found = shx_alloc_zero(parts, sizeof *survey.found);
    shx_status status = rewrite->mean && survey.sums && survey.found ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) status = shx_pool_run(rewrite->pool, wanted, BUILD_PART, build_survey_sums, &survey);
    if (status == SHX_OK) build_take_mean(&survey, rewrite->mean);
    encoding->mean = rewrite->mean;
    shx_free(survey.sums);
    shx_free(survey.found);
    return status;
}

/* ---- the sample ---- */

typedef struct build_sample {
    const shx_rewrite *rewrite;
    uint64_t *rows; /* numbers of the rows of the sample, in the end those that have a point */
    uint64_t wanted;
} build_sample;

static shx_status build_sample_rows(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const build_sample *sample = context;
    const shx_encoding *encoding = &sample->rewrite->encoding;
    float *point = shx_alloc_aligned(encoding->code_dim, sizeof *point);
    SHX_CHECK(point, SHX_NOMEM);
    for (uint64_t i = first; i < end; i++) {
        const void *vector = build_sample_vector(sample->rewrite, i, sample->wanted);
        sample->rows[i] = shx_encoding_center(encoding, vector, false, point) ? i : UINT64_MAX;
    }
    shx_free_aligned(point);
    shx_progress_add(shx_pool_progress(sample->rewrite->pool), end - first);
    return SHX_OK;
}

/* Moves the rows that have a point together; returns how many there are. */
static uint64_t build_compact_sample(build_sample *sample) {
    uint64_t kept = 0;
    for (uint64_t i = 0; i < sample->wanted; i++) {
        if (sample->rows[i] != UINT64_MAX) sample->rows[kept++] = sample->rows[i];
    }
    return kept;
}

static void build_read_point(const void *context, uint64_t row, float *ret_point) {
    const build_sample *sample = context;
    const void *vector = build_sample_vector(sample->rewrite, sample->rows[row], sample->wanted);
    bool found = shx_encoding_center(&sample->rewrite->encoding, vector, false, ret_point);
    assert(found);
    (void)found;
}

static uint64_t build_sample_size(const shx_rewrite *rewrite) {
    uint64_t shards = rewrite->count / rewrite->shard_size + 1, wanted = shards * BUILD_SAMPLE_PER_SHARD;
    uint64_t most = BUILD_SAMPLE_BYTES / (rewrite->encoding.code_dim * sizeof(float));
    if (wanted > most) wanted = most;
    return wanted < rewrite->count ? wanted : rewrite->count;
}

static shx_status build_train(const shx_rewrite *rewrite, uint64_t seed, shx_clusters **ret_clusters) {
    build_sample sample = {.rewrite = rewrite, .wanted = build_sample_size(rewrite)};
    sample.rows = shx_alloc(sample.wanted * sizeof *sample.rows);
    shx_status status = sample.rows ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) {
        shx_progress_begin(shx_pool_progress(rewrite->pool), SHX_PHASE_SAMPLING, sample.wanted);
        status = shx_pool_run(rewrite->pool, sample.wanted, BUILD_BATCH, build_sample_rows, &sample);
    }
    uint64_t count = status == SHX_OK ? build_compact_sample(&sample) : 0;
    if (count > 0) {
        shx_progress_begin(shx_pool_progress(rewrite->pool), SHX_PHASE_CLUSTERING, count);
        uint64_t leaf = sample.wanted * rewrite->shard_size / rewrite->count;
        const shx_cluster_points points = {&sample, build_read_point, count, rewrite->encoding.code_dim};
        status = shx_cluster_train(&points, leaf ? (uint32_t)leaf : 1, seed, rewrite->pool, ret_clusters);
    }
    shx_free(sample.rows);
    return status;
}

/* ---- assignment ---- */

typedef struct build_assignment {
    shx_rewrite *rewrite;
    const shx_clusters *clusters; /* NULL: no vector has a point */
} build_assignment;

static void build_assign_batch(const build_assignment *assignment, uint64_t first, uint64_t end, float *points,
                               float *scratch) {
    shx_rewrite *rewrite = assignment->rewrite;
    uint32_t code_dim = rewrite->encoding.code_dim, leaf[BUILD_BATCH];
    uint64_t rows[BUILD_BATCH], count = 0;
    for (uint64_t i = first; i < end; i++) {
        rewrite->place[i] = SHX_PLACE_OVERFLOW;
        const void *vector = shx_rewrite_vector(rewrite, i);
        if (!assignment->clusters) continue;
        if (shx_encoding_center(&rewrite->encoding, vector, false, points + count * code_dim)) rows[count++] = i;
    }
    if (count == 0) return;
    shx_cluster_assign(assignment->clusters, points, count, BUILD_PROBES, scratch, leaf);
    for (uint64_t i = 0; i < count; i++) rewrite->place[rows[i]] = leaf[i];
}

static shx_status build_assign_rows(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const build_assignment *assignment = context;
    uint32_t code_dim = assignment->rewrite->encoding.code_dim;
    shx_progress *progress = shx_pool_progress(assignment->rewrite->pool);
    size_t floats = assignment->clusters ? shx_cluster_scratch_floats(assignment->clusters) : 1;
    float *points = shx_alloc_aligned(BUILD_BATCH, code_dim * sizeof(float));
    float *scratch = shx_alloc_aligned(floats, sizeof *scratch);
    shx_status status = points && scratch ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = first; status == SHX_OK && i < end; i += BUILD_BATCH) {
        uint64_t batch_end = i + BUILD_BATCH < end ? i + BUILD_BATCH : end;
        build_assign_batch(assignment, i, batch_end, points, scratch);
        shx_progress_add(progress, batch_end - i);
        status = shx_progress_check(progress);
    }
    shx_free_aligned(points);
    shx_free_aligned(scratch);
    return status;
}

static shx_status build_assign(shx_rewrite *rewrite, const shx_clusters *clusters) {
    build_assignment assignment = {rewrite, clusters};
    shx_progress_begin(shx_pool_progress(rewrite->pool), SHX_PHASE_ASSIGNING, rewrite->count);
    return shx_pool_run(rewrite->pool, rewrite->count, 4 * BUILD_BATCH, build_assign_rows, &assignment);
}

/* ---- settling ---- */

/* The rows of leaf l are order[first[l] … first[l + 1]). */
typedef struct build_settling {
    const shx_rewrite *rewrite;
    shx_clusters *clusters;
    uint32_t *order, *first;
} build_settling;

/* Moves a leaf to the mean of its rows, all of which have a point; `sum` and `point` are scratch. */
static shx_status build_settle_leaf(const build_settling *settling, uint64_t leaf, double *sum, float *point) {
    const shx_rewrite *rewrite = settling->rewrite;
    size_t dim = settling->clusters->dim;
    float *centroid = settling->clusters->leaves + leaf * dim;
    uint32_t first = settling->first[leaf], end = settling->first[leaf + 1];
    if (first == end) return SHX_OK;
    memset(sum, 0, dim * sizeof *sum);
    for (uint32_t i = first; i < end; i++) {
        if (i % BUILD_BATCH == 0) SHX_TRY(shx_progress_check(shx_pool_progress(rewrite->pool)));
        shx_encoding_center(&rewrite->encoding, shx_rewrite_vector(rewrite, settling->order[i]), false, point);
        for (size_t d = 0; d < dim; d++) sum[d] += point[d];
    }
    for (size_t d = 0; d < dim; d++) centroid[d] = (float)(sum[d] / (double)(end - first));
    return SHX_OK;
}

static shx_status build_settle_leaves(void *context, uint64_t first, uint64_t end, unsigned thread) {
    (void)thread;
    const build_settling *settling = context;
    double *sum = shx_alloc(settling->clusters->dim * sizeof *sum);
    float *point = shx_alloc_aligned(settling->clusters->dim, sizeof *point);
    shx_status status = sum && point ? SHX_OK : SHX_NOMEM;
    for (uint64_t leaf = first; status == SHX_OK && leaf < end; leaf++) {
        status = build_settle_leaf(settling, leaf, sum, point);
    }
    shx_free(sum);
    shx_free_aligned(point);
    return status;
}

/* A step of Lloyd's algorithm over all rows. The leaves were trained on a sample, in which some have few rows: where
** they had 27 of 128, queries scan half as many rows as without this step. */
static shx_status build_settle(const shx_rewrite *rewrite, shx_clusters *clusters) {
    build_settling settling = {.rewrite = rewrite, .clusters = clusters};
    SHX_TRY(shx_rewrite_group(rewrite, clusters->leaf_count, &settling.order, &settling.first));
    shx_status status = shx_pool_run(rewrite->pool, clusters->leaf_count, 4, build_settle_leaves, &settling);
    shx_free(settling.order);
    shx_free(settling.first);
    if (status == SHX_OK) shx_clusters_follow(clusters);
    return status;
}

/* The leaves become shards: they are rotated now, which is what makes them centroids of the code space. */
static shx_status build_add_shards(shx_rewrite *rewrite, const shx_clusters *clusters) {
    size_t dim = clusters->dim;
    float *point = shx_alloc_aligned(dim, sizeof *point);
    shx_status status = point ? SHX_OK : SHX_NOMEM;
    for (uint32_t i = 0; status == SHX_OK && i < clusters->leaf_count; i++) {
        uint32_t place;
        memcpy(point, clusters->leaves + i * dim, dim * sizeof *point);
        shx_rotate(point, dim, rewrite->encoding.seed);
        status = shx_rewrite_add_shard(rewrite, point, &place);
        assert(status != SHX_OK || place == i);
    }
    shx_free_aligned(point);
    return status;
}

/* Places are numbers of leaves at first, and of shards in the end: the list of shards is empty till then. */
static shx_status build_place(shx_rewrite *rewrite, shx_clusters *clusters) {
    assert(rewrite->shard_count == 0);
    SHX_TRY(build_assign(rewrite, clusters));
    if (!clusters) return SHX_OK;
    SHX_TRY(build_settle(rewrite, clusters));
    SHX_TRY(build_assign(rewrite, clusters));
    return build_add_shards(rewrite, clusters);
}

shx_status shx_build_shards(shx_rewrite *rewrite, uint64_t seed) {
    shx_encoding *encoding = &rewrite->encoding;
    encoding->code_dim = shx_code_dim(encoding->metric, encoding->dim);
    encoding->seed = seed;
    SHX_TRY(build_fit_ip_bound(rewrite));
    SHX_TRY(build_fit_mean(rewrite));
    SHX_TRY(shx_progress_check(shx_pool_progress(rewrite->pool)));
    shx_clusters *clusters = NULL;
    if (rewrite->count > 0) SHX_TRY(build_train(rewrite, seed, &clusters));
    shx_status status = build_place(rewrite, clusters);
    shx_clusters_destroy(clusters);
    return status;
}
