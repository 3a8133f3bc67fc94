#include "figures.h"

#include "../engine/progress.h"

#include <assert.h>

static void figures_add(shx_figure *figures, uint32_t *count, shx_figure figure) {
    assert(*count < SHX_FIGURES_MAX);
    figures[(*count)++] = figure;
}

static void figures_of_index(const shx_snapshot *snapshot, shx_figure *figures, uint32_t *count) {
    shx_index_stats stats;
    shx_index_stats_get(snapshot->state->index, snapshot->view, &stats);
    const struct {
        const char *name, *unit;
        uint64_t value;
    } all[] = {
        {"indexed_rows", "rows", stats.rows},
        {"delta_rows", "rows", stats.delta_rows},
        {"delta_operations", "operations", stats.delta_operations},
        {"segments", "files", stats.segments},
        {"segment_rows", "rows", stats.segment_rows},
        {"tombstones", "rows", stats.tombstones},
        {"shards", "shards", stats.shards},
        {"closed_shards", "shards", stats.closed_shards},
        {"wal_files", "files", stats.wal_files},
        {"wal_bytes", "bytes", stats.wal_bytes},
        {"segment_bytes", "bytes", stats.segment_bytes},
        {"code_bytes", "bytes", stats.code_bytes},
        {"refine_bytes", "bytes", stats.refine_bytes},
        {"id_bytes", "bytes", stats.id_bytes},
        {"directory_bytes", "bytes", stats.directory_bytes},
        {"vector_bytes", "bytes", stats.vector_bytes},
        {"anonymous_bytes", "bytes", stats.anonymous_bytes},
        {"base_bytes", "bytes", stats.base_bytes},
        {"generation", "", stats.generation},
        {"flushes", "", stats.flushes},
        {"merges", "", stats.merges},
        {"splits", "", stats.splits},
        {"builds", "", stats.builds},
        {"code_dimension", "dimensions", stats.code_dim},
        {"router_spread", "shards", stats.router_spread},
        {"router_bytes", "bytes", stats.router_bytes},
        {"calibrated", "", stats.calibrated},
        {"capped_searches", "searches", stats.capped},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        figures_add(figures, count, (shx_figure){all[i].name, all[i].unit, (double)all[i].value, NULL});
    }
    const char *router = stats.router ? shx_route_way_name(stats.router) : "none";
    figures_add(figures, count, (shx_figure){"router", "", 0, router});
}

static void figures_of_progress(const shx_snapshot *snapshot, shx_figure *figures, uint32_t *count) {
    shx_progress_figures progress = shx_index_progress(snapshot->state->index);
    const char *phase = progress.phase ? progress.phase : "idle";
    figures_add(figures, count, (shx_figure){"progress_phase", "", 0, phase});
    figures_add(figures, count, (shx_figure){"progress_done", "", (double)progress.done, NULL});
    figures_add(figures, count, (shx_figure){"progress_total", "", (double)progress.total, NULL});
    figures_add(figures, count, (shx_figure){"progress_rate", "per second", progress.rate, NULL});
    figures_add(figures, count, (shx_figure){"progress_remaining", "seconds", progress.remaining, NULL});
}

uint32_t shx_figures_take(const shx_snapshot *snapshot, shx_figure ret_figures[SHX_FIGURES_MAX]) {
    uint32_t count = 0;
    if (snapshot->view) figures_of_index(snapshot, ret_figures, &count);
    figures_of_progress(snapshot, ret_figures, &count);
    return count;
}
