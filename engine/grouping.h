/* Grouping: things that have a label each, put in the order of their labels; those of one label keep theirs (a counting
** sort).
*/
#ifndef SHX_GROUPING_H
#define SHX_GROUPING_H

#include <stdint.h>

/* Numbers 0 … count - 1 (count < 2^32) by label: those with label g < groups become ret_order[ret_first[g] …
** ret_first[g + 1]). ret_order has `count` elements, ret_first groups + 1. */
void shx_group(const uint32_t *labels, uint64_t count, uint32_t groups, uint32_t *ret_order, uint32_t *ret_first);

#endif
