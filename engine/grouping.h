/* Grouping: things that have a label each, put in the order of their labels; those of one label keep theirs (a counting
** sort).
*/
#ifndef SHX_GROUPING_H
#define SHX_GROUPING_H

#include "progress.h"
#include "status.h"

#include <stdint.h>

/* Numbers 0 … count - 1 (count < 2^32) by label: those of group g < groups become ret_order[ret_first[g] …
** ret_first[g + 1]). Labels from groups - 1 on are all of the last group. ret_order has `count` elements, ret_first
** groups + 1. SHX_INTERRUPT when `stop` (may be NULL) says so, which is the only failure; what was written is void
** then. */
shx_status shx_group(const uint32_t *labels, uint64_t count, uint32_t groups, const shx_stop *stop, uint32_t *ret_order,
                     uint32_t *ret_first);

#endif
