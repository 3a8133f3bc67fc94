/* Fitting: from traces (calibrate_trace.h) to the stop rules of calibration.h. For each k and recall the (beta, theta)
** that scan the fewest rows; form FIRST on all rows, form KTH as a filter meets it.
*/
#ifndef SHX_CALIBRATE_FIT_H
#define SHX_CALIBRATE_FIT_H

#include "calibrate_trace.h"
#include "pool.h"

/* The rule of form FIRST under which, for every k, a share of the neighbours of these traces is found. */
shx_status shx_fit_wide(const shx_trace *traces, uint64_t count, double share, shx_stop_rule *ret_rule);

/* Mean rows that walks under a rule of form FIRST go through; of traces that keep their order. */
double shx_fit_rows(const shx_trace *traces, uint64_t count, const shx_stop_rule *rule);

/* Fits all rules and mean_rows. The first `pilots` traces go through everything, the others as far as `wide`: which
** part of the neighbours lies beyond it, the pilots tell. */
shx_status shx_fit_calibration(const shx_trace *traces, uint64_t count, uint64_t pilots, const shx_stop_rule *wide,
                               shx_pool *pool, shx_calibration *ret_calibration);

#endif
