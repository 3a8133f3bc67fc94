/* The scan and refine codes of a delta's postings, about the origin of code space (the mean of all postings): one run
** without a shard, since a delta is too small to be worth routing. Codes come in whole blocks of 32 postings; the last
** few are not coded.
**
** Same threads as the delta: one writer, readers without a lock. A block is complete before the count of coded rows
** says so.
*/
#ifndef SHX_DELTA_CODES_H
#define SHX_DELTA_CODES_H

#include "quantizer.h"

#include <stdatomic.h>

#define SHX_DELTA_CHUNKS 24
#define SHX_DELTA_FIRST_CHUNK 1024 /* rows; each chunk is twice as large as the one before */

/* One block and what belongs to it. */
typedef struct shx_delta_block {
    shx_factor_scale scale;
    uint32_t pointless; /* lanes whose vectors have no point: they have no code and are always compared */
    float factors[SHX_BLOCK_ROWS][3];
    const uint8_t *codes;  /* shx_block_bytes, 64-byte aligned */
    const uint8_t *refine; /* 32 × shx_refine_bytes */
} shx_delta_block;

/* Zero-initialise; free with shx_delta_codes_free. */
typedef struct shx_delta_codes {
    const shx_encoding *encoding; /* NULL or without a code dimension: nothing is coded */
    shx_delta_block *chunks[SHX_DELTA_CHUNKS];
    uint8_t *bytes[SHX_DELTA_CHUNKS];
    float *origin, *point;
    atomic_uint coded_rows; /* a multiple of 32 */
} shx_delta_codes;

/* Row `position`'s chunk, and where in it. Chunk c starts at row FIRST × (2^c - 1). */
static inline uint32_t shx_delta_chunk(uint32_t position, uint32_t *ret_offset) {
    uint32_t chunk = 31 - (uint32_t)__builtin_clz(position / SHX_DELTA_FIRST_CHUNK + 1);
    *ret_offset = position - SHX_DELTA_FIRST_CHUNK * ((UINT32_C(1) << chunk) - 1);
    return chunk;
}

void shx_delta_codes_free(shx_delta_codes *codes);

/* How much of the heap they have taken. */
uint64_t shx_delta_codes_bytes(const shx_delta_codes *codes);

/* Codes the next block: 32 vectors, those of the rows [coded_rows, coded_rows + 32). */
shx_status shx_delta_codes_append(shx_delta_codes *codes, const void *const vectors[SHX_BLOCK_ROWS]);

/* The block that holds a coded row. */
static inline const shx_delta_block *shx_delta_codes_block(const shx_delta_codes *codes, uint32_t row) {
    uint32_t offset, chunk = shx_delta_chunk(row, &offset);
    return &codes->chunks[chunk][offset / SHX_BLOCK_ROWS];
}

#endif
