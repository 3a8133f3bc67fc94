/* A heap of (distance, name) keys, the smallest on top. A heap with the largest on top holds the keys' complements. */
#ifndef SHX_HEAP_H
#define SHX_HEAP_H

#include <stdint.h>
#include <string.h>

/* Distances are not negative, so their bits order as they do; equal ones order by name. */
static inline uint64_t shx_heap_key(float distance2, uint32_t name) {
    uint32_t bits;
    memcpy(&bits, &distance2, sizeof bits);
    return (uint64_t)bits << 32 | name;
}

static inline float shx_heap_distance(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    float distance2;
    memcpy(&distance2, &bits, sizeof distance2);
    return distance2;
}

/* Adds a key; the caller has made room. */
static inline void shx_heap_push(uint64_t *heap, uint64_t *count, uint64_t key) {
    uint64_t i = (*count)++;
    for (; i > 0 && heap[(i - 1) / 2] > key; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = key;
}

/* Takes the top of a heap that is not empty. */
static inline uint64_t shx_heap_pop(uint64_t *heap, uint64_t *count) {
    uint64_t top = heap[0], key = heap[--*count], i = 0;
    for (uint64_t child = 1; child < *count; child = 2 * i + 1) {
        if (child + 1 < *count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= key) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = key;
    return top;
}

#endif
