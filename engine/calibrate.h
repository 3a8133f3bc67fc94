/* Calibrating: measures, on a sample of the table's own postings, where the true neighbours lie in the order of the
** shards, and fits the stop rules of calibration.h to it: for each k and recall the (beta, theta) that scan the fewest
** rows.
*/
#ifndef SHX_CALIBRATE_H
#define SHX_CALIBRATE_H

#include "index.h"
#include "pool.h"

#include "calibration.h"

/* Fits to the base of a view (its delta is left out of account). The sample is spread evenly over the base's rows. */
shx_status shx_calibrate(shx_view *view, shx_pool *pool, shx_calibration *ret_calibration);

#endif
