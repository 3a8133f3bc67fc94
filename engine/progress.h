/* Progress of long work: how far it is, for anybody who looks, and whether it shall stop, for the work itself.
**
** One thread owns a piece of work: the one that opened it. Its caller's callback (interruption, and drawing if it
** likes) is called on that thread only; the threads that help learn from a flag that the owner was told to stop. The
** figures are read by any thread at any time and may be a moment old or, between two phases, not fit together.
*/
#ifndef SHX_PROGRESS_H
#define SHX_PROGRESS_H

#include "status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Asked now and then in long work: true = stop with SHX_INTERRUPT. */
typedef bool (*shx_interrupted)(void *context);

/* The same with its context, for work that shows no progress. */
typedef struct shx_stop {
    shx_interrupted wanted; /* NULL = never */
    void *context;
} shx_stop;

/* Asks whether to stop; `stop` may be NULL. */
bool shx_stop_wanted(const shx_stop *stop);

typedef enum shx_phase {
    SHX_PHASE_NONE, /* nothing is under way */
    SHX_PHASE_COLLECTING,
    SHX_PHASE_SAMPLING,
    SHX_PHASE_CLUSTERING,
    SHX_PHASE_ASSIGNING,
    SHX_PHASE_SPLITTING,
    SHX_PHASE_WRITING,
    SHX_PHASE_CALIBRATING,
} shx_phase;

/* Zero is a progress that nobody has opened: checks pass, figures say that nothing is under way. */
typedef struct shx_progress {
    atomic_int phase;
    atomic_ullong done, total; /* rows, or what the phase is counted in */
    atomic_ullong begun;       /* the phase, by shx_clock */
    atomic_bool stopped;
    pthread_t owner;
    shx_interrupted interrupted; /* NULL = never */
    void *context;
} shx_progress;

/* Begins and ends a piece of work in this thread, which becomes the owner. */
void shx_progress_open(shx_progress *progress, shx_interrupted interrupted, void *context);
void shx_progress_close(shx_progress *progress);

/* Begins a phase of `total` units. */
void shx_progress_begin(shx_progress *progress, shx_phase phase, uint64_t total);

/* Counts units as done. */
void shx_progress_add(shx_progress *progress, uint64_t count);

/* Asks whether to go on: SHX_OK or SHX_INTERRUPT, and once SHX_INTERRUPT always. To be called, on whichever thread,
** after at most about a tenth of the 50 ms within which an interruption must be answered. NULL is allowed. */
shx_status shx_progress_check(shx_progress *progress);

/* The same question for work that is told by a stop; NULL is allowed. */
shx_stop shx_progress_stop(shx_progress *progress);

/* A look at it. */
typedef struct shx_progress_figures {
    const char *phase; /* an English participle; NULL when nothing is under way */
    uint64_t done, total;
    double rate;      /* units a second in this phase; 0 = not known yet */
    double remaining; /* seconds to the end of this phase; 0 = not known yet */
} shx_progress_figures;

/* On whichever thread. */
shx_progress_figures shx_progress_look(shx_progress *progress);

/* The same of figures that come from elsewhere (any values are allowed). */
shx_progress_figures shx_progress_figures_of(uint64_t phase, uint64_t done, uint64_t total, uint64_t begun);

#endif
