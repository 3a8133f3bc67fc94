#include "memory.h"

#include "bytes.h"

#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

static void *memory_libc_alloc(uint64_t size) { return size <= SIZE_MAX ? malloc(size ? (size_t)size : 1) : NULL; }

static void *memory_libc_resize(void *block, uint64_t size) {
    return size <= SIZE_MAX ? realloc(block, size ? (size_t)size : 1) : NULL;
}

static shx_allocator memory_allocator = {memory_libc_alloc, memory_libc_resize, free};

void shx_memory_use(const shx_allocator *allocator) { memory_allocator = *allocator; }

void *shx_alloc(uint64_t size) { return memory_allocator.alloc(size ? size : 1); }

void *shx_alloc_zero(uint64_t count, uint64_t size) {
    uint64_t total;
    if (!shx_mul(count, size, &total)) return NULL;
    void *block = shx_alloc(total);
    if (block) memset(block, 0, (size_t)total);
    return block;
}

/* The address that the allocator gave stands just before the aligned block. */
void *shx_alloc_aligned(uint64_t count, uint64_t size) {
    uint64_t total;
    if (!shx_mul(count, size, &total) || !shx_add(total, 64 + sizeof(void *), &total)) return NULL;
    uint8_t *block = shx_alloc(total);
    if (!block) return NULL;
    uintptr_t start = ((uintptr_t)block + sizeof(void *) + 63) & ~(uintptr_t)63;
    ((void **)start)[-1] = block;
    return (void *)start;
}

void shx_free_aligned(void *block) {
    if (block) shx_free(((void **)block)[-1]);
}

shx_status shx_grow(void **block, uint64_t *capacity, uint64_t needed, uint64_t size) {
    if (needed <= *capacity) return SHX_OK;
    uint64_t wanted = *capacity ? *capacity * 2 : 16, total;
    if (wanted < needed) wanted = needed;
    SHX_CHECK(shx_mul(wanted, size, &total), SHX_NOMEM);
    void *grown = memory_allocator.resize(*block, total);
    SHX_CHECK(grown, SHX_NOMEM);
    *block = grown;
    *capacity = wanted;
    return SHX_OK;
}

shx_status shx_grow_zero(void **block, uint64_t *capacity, uint64_t needed, uint64_t size) {
    uint64_t before = *capacity;
    SHX_TRY(shx_grow(block, capacity, needed, size));
    if (*capacity > before) memset((char *)*block + before * size, 0, (*capacity - before) * size);
    return SHX_OK;
}

void shx_free(void *block) {
    if (block) memory_allocator.release(block);
}

void shx_memory_trim(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
