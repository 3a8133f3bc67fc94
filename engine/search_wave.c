#include "search_run.h"

#include "memory.h"
#include "prefetch.h"

#include <string.h>

#define WAVE_CHUNK 16    /* pieces that one thread takes at a time */
#define WAVE_TOGETHER 64 /* pieces that are worth waking threads for: about 0.1 ms */
#define WAVE_PREFETCH_BYTES 4096

/* A wave on its way through the threads. */
typedef struct wave_job {
    const shx_search_run *run;
    const shx_piece *pieces;
    shx_search_scan *scan;
} wave_job;

/* Seats go on where the piece before ends: they come by themselves. */
static void wave_prefetch(const shx_search_run *run, const shx_piece *piece, shx_search_scan *scan) {
    if (piece->seats) return;
    const shx_segment *segment = run->base->segments[piece->place.segment];
    const shx_run *rows = &segment->runs[piece->place.run];
    if (scan == shx_search_scan_vectors) {
        if (segment->group) return;
        shx_prefetch_later(shx_segment_vector_in(segment, rows->first_row), rows->rows * segment->vector_bytes,
                           WAVE_PREFETCH_BYTES);
        return;
    }
    shx_prefetch_later(segment->blocks + rows->first_block * segment->block_bytes,
                       shx_blocks_of(rows->rows) * segment->block_bytes, WAVE_PREFETCH_BYTES);
}

/* One chunk, by a run of its own: it shares what is only read and finds candidates into its thread's list. */
static shx_status wave_scan_chunk(void *context, uint64_t first, uint64_t end, unsigned thread) {
    const wave_job *job = context;
    shx_search_run lane = *job->run;
    shx_chunk *chunk = &lane.scratch->chunks[first / WAVE_CHUNK];
    lane.apart = true;
    lane.asks = thread == 0; /* the others stop when it does */
    lane.found = &lane.scratch->lanes[thread];
    lane.work = (shx_search_work){0};
    lane.survivor_count = 0;
    lane.tested = lane.matched = 0;
    *chunk = (shx_chunk){.lane = thread, .first = lane.found->count};
    SHX_TRY(shx_search_poll(&lane, SHX_WAVE_ROWS));
    for (uint64_t i = first; i < end; i++) {
        if (i + 1 < end) wave_prefetch(&lane, &job->pieces[i + 1], job->scan);
        SHX_TRY(job->scan(&lane, &job->pieces[i]));
    }
    SHX_TRY(shx_search_settle(&lane, lane.survivor_count));
    chunk->count = lane.found->count - chunk->first;
    chunk->work = lane.work;
    chunk->tested = lane.tested;
    chunk->matched = lane.matched;
    return SHX_OK;
}

/* Takes in what the chunks have found, in their order: so it does not matter which thread did which. */
static shx_status wave_merge(shx_search_run *run, uint64_t chunks) {
    const shx_search_scratch *scratch = run->scratch;
    for (uint64_t i = 0; i < chunks; i++) {
        const shx_chunk *chunk = &scratch->chunks[i];
        run->work.rows += chunk->work.rows;
        run->work.refined += chunk->work.refined;
        run->tested += chunk->tested;
        run->matched += chunk->matched;
        for (uint64_t c = 0; c < chunk->count; c++) {
            SHX_TRY(shx_search_take(run, &scratch->lanes[chunk->lane].items[chunk->first + c]));
        }
    }
    return SHX_OK;
}

static shx_status wave_prepare(shx_search_scratch *scratch, uint64_t chunks, unsigned threads) {
    SHX_TRY(shx_grow((void **)&scratch->chunks, &scratch->chunk_capacity, chunks, sizeof *scratch->chunks));
    SHX_TRY(shx_grow_zero((void **)&scratch->lanes, &scratch->lane_capacity, threads, sizeof *scratch->lanes));
    for (uint64_t i = 0; i < scratch->lane_capacity; i++) scratch->lanes[i].count = 0;
    return SHX_OK;
}

shx_status shx_search_wave(shx_search_run *run, const shx_piece *pieces, uint64_t count, shx_search_scan *scan) {
    shx_index *index = run->params->index;
    shx_pool *pool = index && count >= WAVE_TOGETHER ? shx_index_pool(index) : NULL;
    uint64_t chunks = (count + WAVE_CHUNK - 1) / WAVE_CHUNK;
    wave_job job = {run, pieces, scan};
    SHX_TRY(wave_prepare(run->scratch, chunks, shx_pool_threads(pool)));
    SHX_TRY(shx_pool_run(pool, count, WAVE_CHUNK, wave_scan_chunk, &job));
    SHX_TRY(wave_merge(run, chunks));
    return shx_search_poll(run, SHX_WAVE_ROWS);
}
