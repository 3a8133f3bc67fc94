/* Fetching ahead: asks for memory that will be read soon, line by line, so that its latency passes meanwhile. */
#ifndef SHX_PREFETCH_H
#define SHX_PREFETCH_H

#include <stddef.h>

/* Asks for `bytes` bytes, but no more than `most`: past that the processor follows by itself. */
static inline void shx_prefetch(const void *memory, size_t bytes, size_t most) {
    const char *at = memory;
    for (size_t i = 0; i < bytes && i < most; i += 64) __builtin_prefetch(at + i);
}

/* The same for what is only read after other work: into the second-level cache, past the first. */
static inline void shx_prefetch_later(const void *memory, size_t bytes, size_t most) {
    const char *at = memory;
    for (size_t i = 0; i < bytes && i < most; i += 64) __builtin_prefetch(at + i, 0, 2);
}

#endif
