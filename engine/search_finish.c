#include "search_run.h"

#include <math.h>
#include <stdlib.h>

static int finish_compare_candidates(const void *a, const void *b) {
    float x = ((const shx_candidate *)a)->lower, y = ((const shx_candidate *)b)->lower;
    return x < y ? -1 : x > y;
}

static const float *finish_vector_of(const shx_search_run *run, const shx_candidate *candidate) {
    if (candidate->segment == SHX_SEARCH_DELTA) return shx_delta_row_at(run->delta, candidate->row)->vector;
    const shx_segment *segment = run->base->segments[candidate->segment];
    return segment->vectors + (uint64_t)candidate->row * segment->dim;
}

/* Only candidates whose lower bound is within the final threshold can be answers. */
static void finish_prune(shx_search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < scratch->candidate_count; i++) {
        if (scratch->candidates[i].lower <= run->threshold) scratch->candidates[kept++] = scratch->candidates[i];
    }
    scratch->candidate_count = kept;
    if (kept > 1) qsort(scratch->candidates, kept, sizeof *scratch->candidates, finish_compare_candidates);
    for (uint64_t i = 0; i < kept && i < 32; i++) __builtin_prefetch(finish_vector_of(run, &scratch->candidates[i]));
}

static shx_status finish_verify_one(shx_search_run *run, const shx_candidate *candidate) {
    const shx_encoding *encoding = &run->base->encoding;
    const float *vector = finish_vector_of(run, candidate);
    if (candidate->segment != SHX_SEARCH_DELTA) {
        SHX_TRY(shx_segment_vector(run->base->segments[candidate->segment], candidate->row, &vector));
    }
    double distance = shx_distance(encoding->metric, run->params->query, vector, encoding->dim);
    run->scratch->work.verified++;
    return shx_topk_insert(run->hits, distance, shx_search_rowid_of(run, candidate));
}

/* Compares candidates exactly, nearest lower bound first, until no further one can be among the k nearest. */
shx_status shx_search_verify(shx_search_run *run) {
    shx_search_scratch *scratch = run->scratch;
    finish_prune(run);
    for (uint64_t i = 0; i < scratch->candidate_count; i++) {
        double worst = shx_topk_worst(run->hits);
        double worst2 = shx_distance_to_code(&run->base->encoding, scratch->query->norm, worst);
        if (scratch->candidates[i].lower > worst2 + (double)shx_search_slack(run, (float)worst2)) break;
        SHX_TRY(finish_verify_one(run, &scratch->candidates[i]));
    }
    return SHX_OK;
}
