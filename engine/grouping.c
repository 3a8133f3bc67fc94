#include "grouping.h"

#include <assert.h>
#include <string.h>

#define GROUP_CHECK_LABELS (1u << 16) /* between two questions whether to stop */

static inline bool group_stops(const shx_stop *stop, uint64_t at) {
    return at % GROUP_CHECK_LABELS == 0 && shx_stop_wanted(stop);
}

static inline uint32_t group_of(uint32_t label, uint32_t groups) { return label < groups ? label : groups - 1; }

shx_status shx_group(const uint32_t *labels, uint64_t count, uint32_t groups, const shx_stop *stop, uint32_t *ret_order,
                     uint32_t *ret_first) {
    assert(count <= UINT32_MAX && groups > 0);
    memset(ret_first, 0, (groups + (uint64_t)1) * sizeof *ret_first);
    for (uint64_t i = 0; i < count; i++) {
        SHX_CHECK(!group_stops(stop, i), SHX_INTERRUPT);
        ret_first[group_of(labels[i], groups) + 1]++;
    }
    for (uint32_t g = 0; g < groups; g++) ret_first[g + 1] += ret_first[g];
    for (uint64_t i = 0; i < count; i++) {
        SHX_CHECK(!group_stops(stop, i), SHX_INTERRUPT);
        ret_order[ret_first[group_of(labels[i], groups)]++] = (uint32_t)i;
    }
    /* Each start has moved to the end of its group: to the start of the next one. */
    memmove(ret_first + 1, ret_first, groups * sizeof *ret_first);
    ret_first[0] = 0;
    assert(ret_first[groups] == count);
    return SHX_OK;
}
