#include "smallest.h"

#include "memory.h"
#include "order.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SMALLEST_HEAP 128        /* the largest k of a heap, … */
#define SMALLEST_HEAP_RELAXED 32 /* … where its thresholds are worth less */

void shx_smallest_reset(shx_smallest *smallest, uint64_t k) {
    smallest->count = 0;
    smallest->k = k;
    smallest->heap = k <= SMALLEST_HEAP;
    smallest->threshold = INFINITY;
}

void shx_smallest_relax(shx_smallest *smallest) {
    assert(smallest->count == 0);
    smallest->heap = smallest->k <= SMALLEST_HEAP_RELAXED;
}

void shx_smallest_free(shx_smallest *smallest) {
    shx_free(smallest->values);
    memset(smallest, 0, sizeof *smallest);
}

static inline bool smallest_before(const float *a, const float *b) { return *a < *b; }

SHX_DEFINE_ORDER(smallest_values, float, smallest_before)

/* Puts a value into the heap: at the end while there are fewer than k, else in the place of the largest. */
static void smallest_push(shx_smallest *smallest, float value) {
    float *values = smallest->values;
    uint64_t i = 0, k = smallest->k;
    if (smallest->count < k) {
        for (i = smallest->count++; i > 0 && values[(i - 1) / 2] < value; i = (i - 1) / 2) {
            values[i] = values[(i - 1) / 2];
        }
    } else {
        for (uint64_t child = 1; child < k; child = 2 * i + 1) {
            if (child + 1 < k && values[child + 1] > values[child]) child++;
            if (values[child] <= value) break;
            values[i] = values[child];
            i = child;
        }
    }
    values[i] = value;
    if (smallest->count == k) smallest->threshold = values[0];
}

void shx_smallest_settle(shx_smallest *smallest) {
    uint64_t k = smallest->k;
    if (smallest->heap || smallest->count < k) return;
    if (smallest->count > k) smallest_values_select(smallest->values, smallest->count, k);
    smallest->count = k;
    float largest = smallest->values[0];
    for (uint64_t i = 1; i < k; i++) largest = smallest->values[i] > largest ? smallest->values[i] : largest;
    smallest->threshold = largest;
}

shx_status shx_smallest_add(shx_smallest *smallest, float value) {
    if (!(value < smallest->threshold)) return SHX_OK;
    if (!smallest->heap || smallest->count < smallest->k) {
        SHX_TRY(shx_grow((void **)&smallest->values, &smallest->capacity, smallest->count + 1, sizeof value));
    }
    if (smallest->heap) {
        smallest_push(smallest, value);
        return SHX_OK;
    }
    smallest->values[smallest->count++] = value;
    if (smallest->count == smallest->k || smallest->count / 2 >= smallest->k) shx_smallest_settle(smallest);
    return SHX_OK;
}
