#include "layout.h"

#include "index_state.h"
#include "memory.h"

/* The dead rows of a run. */
static uint64_t layout_dead(const shx_view *view, uint32_t segment, const shx_run *run) {
    const shx_delta *delta = view->delta;
    uint64_t dead = 0;
    if (shx_delta_all_alive(delta, segment)) return 0;
    for (uint32_t row = 0; row < run->rows; row += SHX_BLOCK_ROWS) {
        uint64_t block = run->first_block + row / SHX_BLOCK_ROWS;
        dead += (uint64_t)__builtin_popcount(shx_delta_dead(delta, segment, block, view->mark.operations));
    }
    return dead;
}

shx_status shx_layout_segments(const shx_view *view, shx_segment_layout **ret_segments, uint64_t *ret_count) {
    const shx_base *base = view->delta->base;
    shx_segment_layout *segments = shx_alloc_zero(base->segment_count, sizeof *segments);
    SHX_CHECK(segments, SHX_NOMEM);
    for (uint32_t s = 0; s < base->segment_count; s++) {
        const shx_segment *segment = base->segments[s];
        segments[s] = (shx_segment_layout){.id = segment->id,
                                           .rows = segment->row_count,
                                           .shards = segment->run_count,
                                           .bytes = segment->container.map.size};
        for (uint32_t r = 0; r < segment->run_count; r++) segments[s].dead += layout_dead(view, s, &segment->runs[r]);
    }
    *ret_segments = segments;
    *ret_count = base->segment_count;
    return SHX_OK;
}

/* The shard at a position, of which the last one is the overflow shard. */
static shx_shard_layout layout_shard(const shx_view *view, uint32_t position) {
    const shx_base *base = view->delta->base;
    bool overflow = position == base->shards->count;
    shx_shard_layout shard = {.id = overflow ? SHX_SHARD_OVERFLOW : base->shards->ids[position],
                              .open = overflow || base->shards->open[position],
                              .scatter = overflow ? 0 : (double)shx_base_scatter(base, position)};
    for (uint32_t p = base->first_place[position]; p < base->first_place[position + 1]; p++) {
        const shx_run *run = shx_base_run(base, base->places[p]);
        shard.rows += run->rows;
        shard.dead += layout_dead(view, base->places[p].segment, run);
        shard.segments++;
    }
    return shard;
}

shx_status shx_layout_shards(const shx_view *view, shx_shard_layout **ret_shards, uint64_t *ret_count) {
    const shx_base *base = view->delta->base;
    uint64_t count = 0, most = base->shards ? base->shards->count + 1 : 0;
    shx_shard_layout *shards = shx_alloc_zero(most, sizeof *shards);
    SHX_CHECK(shards, SHX_NOMEM);
    if (most > 0) {
        shards[0] = layout_shard(view, (uint32_t)(most - 1));
        count = shards[0].rows > 0;
    }
    for (uint64_t i = 0; i + 1 < most; i++) shards[count++] = layout_shard(view, (uint32_t)i);
    *ret_shards = shards;
    *ret_count = count;
    return SHX_OK;
}
