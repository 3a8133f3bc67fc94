/* The figures of a table: what shardex_info and shardex_stats tell.
*/
#ifndef SHX_FIGURES_H
#define SHX_FIGURES_H

#include "snapshot.h"

#define SHX_FIGURES_MAX 48

typedef struct shx_figure {
    const char *name;
    const char *unit; /* "" when it is none */
    double value;
    const char *text; /* instead of a value, or NULL */
} shx_figure;

/* Fills the figures in and returns how many there are; of the index only when the snapshot has a view. */
uint32_t shx_figures_take(const shx_snapshot *snapshot, shx_figure ret_figures[SHX_FIGURES_MAX]);

#endif
