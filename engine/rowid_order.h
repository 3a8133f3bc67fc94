/* The ascending order of rowids.
*/
#ifndef SHX_ROWID_ORDER_H
#define SHX_ROWID_ORDER_H

#include "progress.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

/* The positions of `count` < UINT32_MAX elements of `stride` bytes, each of which begins with its rowid (int64_t), in
** ascending order of these, equal ones as they stand. A radix sort from the lowest byte up, which passes over bytes
** that all have in common: neighbours in a table share most. *ret_order is the caller's (shx_free). SHX_NOMEM,
** SHX_INTERRUPT when `stop` (may be NULL) says so, SHX_FULL when there are more. */
shx_status shx_rowid_order(const void *elements, size_t stride, uint64_t count, const shx_stop *stop,
                           uint32_t **ret_order);

/* The same order of two rowids (int64_t), for qsort and bsearch. */
int shx_rowid_compare(const void *a, const void *b);

#endif
