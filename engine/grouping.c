#include "grouping.h"

#include <assert.h>
#include <string.h>

void shx_group(const uint32_t *labels, uint64_t count, uint32_t groups, uint32_t *ret_order, uint32_t *ret_first) {
    assert(count <= UINT32_MAX);
    memset(ret_first, 0, (groups + (uint64_t)1) * sizeof *ret_first);
    for (uint64_t i = 0; i < count; i++) ret_first[labels[i] + 1]++;
    for (uint32_t g = 0; g < groups; g++) ret_first[g + 1] += ret_first[g];
    for (uint64_t i = 0; i < count; i++) ret_order[ret_first[labels[i]]++] = (uint32_t)i;
    /* Each start has moved to the end of its group: to the start of the next one. */
    memmove(ret_first + 1, ret_first, groups * sizeof *ret_first);
    ret_first[0] = 0;
    assert(ret_first[groups] == count);
}
