#include "progress.h"

#include "os.h"
#include "planted.h"

bool shx_stop_wanted(const shx_stop *stop) { return stop && stop->wanted && stop->wanted(stop->context); }

void shx_progress_open(shx_progress *progress, shx_interrupted interrupted, void *context) {
    progress->owner = pthread_self();
    progress->interrupted = interrupted;
    progress->context = context;
    atomic_store(&progress->stopped, false);
}

void shx_progress_close(shx_progress *progress) {
    atomic_store(&progress->phase, SHX_PHASE_NONE);
    progress->interrupted = NULL;
}

void shx_progress_begin(shx_progress *progress, shx_phase phase, uint64_t total) {
    if (!progress) return;
    atomic_store(&progress->done, 0);
    atomic_store(&progress->total, total);
    atomic_store(&progress->begun, shx_clock());
    atomic_store(&progress->phase, phase);
}

void shx_progress_add(shx_progress *progress, uint64_t count) {
    if (progress) atomic_fetch_add_explicit(&progress->done, count, memory_order_relaxed);
}

shx_status shx_progress_check(shx_progress *progress) {
    if (!progress) return SHX_OK;
    if (progress->interrupted && pthread_equal(progress->owner, pthread_self())) {
        if (progress->interrupted(progress->context) && !SHX_PLANTED(48)) atomic_store(&progress->stopped, true);
    }
    return atomic_load_explicit(&progress->stopped, memory_order_relaxed) ? SHX_INTERRUPT : SHX_OK;
}

static bool progress_ends(void *progress) { return shx_progress_check(progress) != SHX_OK; }

shx_stop shx_progress_stop(shx_progress *progress) { return (shx_stop){progress_ends, progress}; }

shx_progress_figures shx_progress_figures_of(uint64_t phase, uint64_t done, uint64_t total, uint64_t begun) {
    static const char *const phases[] = {
        [SHX_PHASE_NONE] = NULL,
        [SHX_PHASE_COLLECTING] = "collecting",
        [SHX_PHASE_SAMPLING] = "sampling",
        [SHX_PHASE_CLUSTERING] = "clustering",
        [SHX_PHASE_ASSIGNING] = "assigning",
        [SHX_PHASE_SPLITTING] = "splitting",
        [SHX_PHASE_WRITING] = "writing",
        [SHX_PHASE_CALIBRATING] = "calibrating",
    };
    if (phase == SHX_PHASE_NONE || phase >= sizeof phases / sizeof *phases) return (shx_progress_figures){0};
    shx_progress_figures figures = {.phase = phases[phase], .done = done < total ? done : total, .total = total};
    uint64_t now = shx_clock();
    if (now > begun) figures.rate = (double)figures.done / ((double)(now - begun) / 1e9);
    if (figures.rate > 0) figures.remaining = (double)(figures.total - figures.done) / figures.rate;
    return figures;
}

shx_progress_figures shx_progress_look(shx_progress *progress) {
    return shx_progress_figures_of((uint64_t)atomic_load(&progress->phase), atomic_load(&progress->done),
                                   atomic_load(&progress->total), atomic_load(&progress->begun));
}
