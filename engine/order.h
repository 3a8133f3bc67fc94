/* Sorting and selecting in place, without allocating: qsort of the C library may allocate, and calls a function for
** each comparison.
**
** SHX_DEFINE_ORDER(prefix, type, before) defines for arrays of `type`, ordered by before(const type *, const type *):
**
**     prefix_sort(items, count)            orders them
**     prefix_select(items, count, wanted)  brings the first `wanted` ≤ count ones to the front, in any order
**
** Quicksort and quickselect (Hoare) with the median of three, insertion sort for the last few, and heap sort where the
** partitions come out badly (Musser, "Introspective sorting and selection algorithms", 1997): n log n at worst.
*/
#ifndef SHX_ORDER_H
#define SHX_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define SHX_ORDER_FEW 16

/* How many partitions a range may take before it goes to heap sort. */
static inline unsigned shx_order_patience(uint64_t count) {
    unsigned patience = 4;
    for (; count > 1; count /= 2) patience += 2;
    return patience;
}

#define SHX_DEFINE_ORDER(prefix, type, before)                                                                         \
    __attribute__((unused)) static void prefix##_insert_all(type *items, uint64_t count) {                             \
        for (uint64_t i = 1; i < count; i++) {                                                                         \
            type item = items[i];                                                                                      \
            uint64_t at = i;                                                                                           \
            for (; at > 0 && before(&item, &items[at - 1]); at--) items[at] = items[at - 1];                           \
            items[at] = item;                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    __attribute__((unused)) static void prefix##_settle(type *items, uint64_t count, uint64_t at) {                    \
        type item = items[at];                                                                                         \
        for (uint64_t below = 2 * at + 1; below < count; below = 2 * at + 1) {                                         \
            if (below + 1 < count && before(&items[below], &items[below + 1])) below++;                                \
            if (!before(&item, &items[below])) break;                                                                  \
            items[at] = items[below];                                                                                  \
            at = below;                                                                                                \
        }                                                                                                              \
        items[at] = item;                                                                                              \
    }                                                                                                                  \
    __attribute__((unused)) static void prefix##_heap_sort(type *items, uint64_t count) {                              \
        for (uint64_t at = count / 2; at-- > 0;) prefix##_settle(items, count, at);                                    \
        for (uint64_t left = count; left-- > 1;) {                                                                     \
            type last = items[0];                                                                                      \
            items[0] = items[left];                                                                                    \
            items[left] = last;                                                                                        \
            prefix##_settle(items, left, 0);                                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    /* Returns p: nothing in [0, p) comes after anything in [p, count), and neither is empty. count ≥ 3 */           \
    __attribute__((unused)) static uint64_t prefix##_partition(type *items, uint64_t count) {                          \
        const type *low = &items[0], *middle = &items[count / 2], *high = &items[count - 1];                           \
        bool up = before(low, middle), again = before(middle, high), over = before(low, high);                         \
        type pivot = up == again ? *middle : up == over ? *high : *low;                                                \
        uint64_t i = 0, j = count - 1;                                                                                 \
        for (;; i++, j--) {                                                                                            \
            while (before(&items[i], &pivot)) i++;                                                                     \
            while (before(&pivot, &items[j])) j--;                                                                     \
            if (i >= j) break;                                                                                         \
            type item = items[i];                                                                                      \
            items[i] = items[j];                                                                                       \
            items[j] = item;                                                                                           \
        }                                                                                                              \
        return i > 0 ? i : 1;                                                                                          \
    }                                                                                                                  \
    __attribute__((unused)) static void prefix##_sort_within(type *items, uint64_t count, unsigned patience) {         \
        while (count > SHX_ORDER_FEW) {                                                                                \
            if (patience-- == 0) {                                                                                     \
                prefix##_heap_sort(items, count);                                                                      \
                return;                                                                                                \
            }                                                                                                          \
            uint64_t part = prefix##_partition(items, count);                                                          \
            if (part < count - part) {                                                                                 \
                prefix##_sort_within(items, part, patience);                                                           \
                items += part;                                                                                         \
                count -= part;                                                                                         \
            } else {                                                                                                   \
                prefix##_sort_within(items + part, count - part, patience);                                            \
                count = part;                                                                                          \
            }                                                                                                          \
        }                                                                                                              \
        prefix##_insert_all(items, count);                                                                             \
    }                                                                                                                  \
    __attribute__((unused)) static void prefix##_sort(type *items, uint64_t count) {                                   \
        prefix##_sort_within(items, count, shx_order_patience(count));                                                 \
    }                                                                                                                  \
    __attribute__((unused)) static void prefix##_select(type *items, uint64_t count, uint64_t wanted) {                \
        unsigned patience = shx_order_patience(count);                                                                 \
        while (wanted > 0 && wanted < count && count > SHX_ORDER_FEW && patience-- > 0) {                              \
            uint64_t part = prefix##_partition(items, count);                                                          \
            if (wanted >= part) {                                                                                      \
                items += part;                                                                                         \
                count -= part;                                                                                         \
                wanted -= part;                                                                                        \
            } else {                                                                                                   \
                count = part;                                                                                          \
            }                                                                                                          \
        }                                                                                                              \
        if (wanted > 0 && wanted < count) prefix##_heap_sort(items, count);                                            \
    }

#endif
