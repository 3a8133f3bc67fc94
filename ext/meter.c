#include "meter.h"

#include "../engine/os.h"
#include "../engine/progress.h"
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define METER_PATIENCE 1.0 /* seconds before the first line on a terminal */
#define METER_PERIOD 0.1   /* and between two */
#define METER_CELLS 24
#define METER_LOAD_ROWS 4096 /* row operations between two looks at a load */

static double meter_now(void) {
    return (double)shx_clock() / 1e9;
}

void shx_meter_open(shx_meter *meter, shx_table *table, const char *what) {
    char *setting = shx_config_get(SHX_CONFIG_PROGRESS);
    bool on = setting && strcmp(setting, "on") == 0, off = setting && strcmp(setting, "off") == 0;
    sqlite3_free(setting);
    *meter = (shx_meter){.table = table, .what = what, .terminal = isatty(STDERR_FILENO) == 1};
    meter->wanted = on || (meter->terminal && !off);
    meter->started = meter_now();
    meter->next = on ? meter->started : meter->started + METER_PATIENCE;
}

void shx_meter_close(shx_meter *meter) {
    if (meter->drawn && meter->terminal) (void)fputs("\r\033[K", stderr);
    meter->wanted = meter->drawn = false;
}

/* One line, over the last one where that is possible. */
static void meter_draw(shx_meter *meter, const char *text) {
    (void)fprintf(stderr, meter->terminal ? "\r%s\033[K" : "%s\n", text);
    (void)fflush(stderr);
    meter->drawn = true;
    meter->next = meter_now() + METER_PERIOD;
}

static void meter_bar(double share, char ret_bar[METER_CELLS + 1]) {
    int full = (int)(share * METER_CELLS);
    memset(ret_bar, '.', METER_CELLS);
    memset(ret_bar, '#', (size_t)full);
    ret_bar[METER_CELLS] = '\0';
}

static void meter_draw_phase(shx_meter *meter, const shx_progress_figures *figures) {
    char bar[METER_CELLS + 1], text[400], rest[64] = "";
    double share = figures->total > 0 ? (double)figures->done / (double)figures->total : 0;
    meter_bar(share, bar);
    if (figures->rate > 0) {
        sqlite3_snprintf(sizeof rest, rest, ", %.0f/s, %.0f s left", figures->rate, figures->remaining);
    }
    sqlite3_snprintf(sizeof text, text, "shardex: %s %.100s: %s [%s] %3.0f %% of %llu%s", meter->what,
                     meter->table->name, figures->phase, bar, 100 * share, figures->total, rest);
    meter_draw(meter, text);
    meter->phase = figures->phase;
}

/* Off a terminal each phase is drawn at least once, so that a log tells what was done. */
bool shx_meter_poll(void *context) {
    shx_meter *meter = context;
    if (meter->wanted) {
        shx_progress_figures figures = shx_index_progress(meter->table->state->index);
        bool changed = !meter->terminal && figures.phase != meter->phase;
        if (figures.phase && (changed || meter_now() >= meter->next)) meter_draw_phase(meter, &figures);
    }
    return shx_connection_interrupted(meter->table->connection);
}

static void meter_draw_load(shx_meter *meter, uint64_t rows) {
    char text[300];
    double now = meter_now();
    if (now < meter->next) return;
    sqlite3_snprintf(sizeof text, text, "shardex: loading %.100s: %llu rows, %.0f/s", meter->table->name, rows,
                     (double)rows / (now - meter->started));
    meter_draw(meter, text);
}

/* The clock of a load starts with the first look, which is at METER_LOAD_ROWS rows. */
void shx_meter_load(shx_table *table) {
    shx_state *state = table->state;
    uint64_t rows = shx_pending_count(state->pending);
    if (rows == 0 || rows % METER_LOAD_ROWS != 0) return;
    if (!state->load) {
        state->load = sqlite3_malloc64(sizeof *state->load);
        if (!state->load) return; /* nothing but a drawing */
        shx_meter_open(state->load, table, "load");
        state->load_from = rows;
    }
    state->load->table = table;
    if (state->load->wanted && rows > state->load_from) meter_draw_load(state->load, rows - state->load_from);
}

void shx_meter_end_load(shx_state *state) {
    if (!state->load) return;
    shx_meter_close(state->load);
    sqlite3_free(state->load);
    state->load = NULL;
}
