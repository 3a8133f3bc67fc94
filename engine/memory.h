/* Allocation: the one place where the engine gets memory.
**
** ext/ points it at sqlite3_malloc64 so that SQLite's limits count; tests point it at allocators that fail.
** Blocks are aligned to 16 bytes at least; shx_alloc_aligned gives 64 for what kernels read.
*/
#ifndef SHX_MEMORY_H
#define SHX_MEMORY_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct shx_allocator {
    void *(*alloc)(uint64_t size);
    void *(*resize)(void *block, uint64_t size);
    void (*release)(void *block);
} shx_allocator;

/* Replaces the allocator of the process. Call before anything was allocated (or when all of it is freed). */
void shx_memory_use(const shx_allocator *allocator);

/* Uninitialised memory, or NULL. A size of 0 gives a block that can be freed. */
void *shx_alloc(uint64_t size);

/* Memory of `count` × `size` zero bytes, or NULL (also when the product overflows). */
void *shx_alloc_zero(uint64_t count, uint64_t size);

/* Uninitialised memory of `count` × `size` bytes at a 64-byte boundary, or NULL. Free with shx_free_aligned. */
void *shx_alloc_aligned(uint64_t count, uint64_t size);
void shx_free_aligned(void *block);

/* Grows *block (an array of elements of `size` bytes, NULL at first) so that it holds at least `needed` elements;
** doubles, and updates *capacity. On SHX_NOMEM nothing is changed. */
shx_status shx_grow(void **block, uint64_t *capacity, uint64_t needed, uint64_t size);

/* The same; the elements that are new are zero, those that were there keep what they hold. */
shx_status shx_grow_zero(void **block, uint64_t *capacity, uint64_t needed, uint64_t size);

/* Gives what was freed back to the system, where the C library knows how: after much was freed at once, which it
** would otherwise keep. */
void shx_memory_trim(void);

/* Frees a block of shx_alloc, shx_alloc_zero or shx_grow; NULL is allowed. */
void shx_free(void *block);

#endif
