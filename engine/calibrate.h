/* Calibrating: measures, on a sample of the table's own postings, where the true neighbours lie in the order of the
** shards, and fits the stop rules of calibration.h to it: for each k and recall the (beta, theta) that scan the fewest
** rows.
*/
#ifndef SHX_CALIBRATE_H
#define SHX_CALIBRATE_H

#include "calibration.h"
#include "index.h"
#include "pool.h"

/* Fits to the base of a view, which has shards (its delta is left out of account). The sample is spread evenly over the
** base's rows. Deterministic, whatever the number of threads. SHX_INTERRUPT when the pool's progress says so,
** SHX_CORRUPT when a segment proves damaged; then ret_calibration is as it was. */
shx_status shx_calibrate(shx_view *view, shx_pool *pool, shx_calibration *ret_calibration);

#endif
