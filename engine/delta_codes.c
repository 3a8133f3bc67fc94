#include "delta_codes.h"

#include "bytes.h"
#include "memory.h"

#include <string.h>

void shx_delta_codes_free(shx_delta_codes *codes) {
    for (int c = 0; c < SHX_DELTA_CHUNKS; c++) {
        shx_free(codes->chunks[c]);
        shx_free_aligned(codes->bytes[c]);
    }
    shx_free(codes->origin);
    shx_free(codes->point);
}

static size_t delta_codes_stride(const shx_encoding *encoding) {
    size_t refine = SHX_BLOCK_ROWS * shx_refine_bytes(encoding->code_dim);
    return (size_t)shx_align(shx_block_bytes(encoding->code_dim), 64) + (size_t)shx_align(refine, 64);
}

static shx_status delta_codes_reserve(shx_delta_codes *codes, uint32_t chunk) {
    uint64_t blocks = ((uint64_t)SHX_DELTA_FIRST_CHUNK << chunk) / SHX_BLOCK_ROWS;
    uint32_t code_dim = codes->encoding->code_dim;
    SHX_CHECK(chunk < SHX_DELTA_CHUNKS, SHX_FULL);
    if (!codes->origin) codes->origin = shx_alloc_zero(code_dim, sizeof(float));
    if (!codes->point) codes->point = shx_alloc_zero(code_dim, sizeof(float));
    if (!codes->chunks[chunk]) codes->chunks[chunk] = shx_alloc_zero(blocks, sizeof(shx_delta_block));
    if (!codes->bytes[chunk]) codes->bytes[chunk] = shx_alloc_aligned(blocks, delta_codes_stride(codes->encoding));
    bool complete = codes->origin && codes->point && codes->chunks[chunk] && codes->bytes[chunk];
    return complete ? SHX_OK : SHX_NOMEM;
}

uint64_t shx_delta_codes_bytes(const shx_delta_codes *codes) {
    uint64_t bytes = 0;
    for (int c = 0; c < SHX_DELTA_CHUNKS; c++) {
        uint64_t blocks = ((uint64_t)SHX_DELTA_FIRST_CHUNK << c) / SHX_BLOCK_ROWS;
        if (codes->chunks[c]) bytes += blocks * sizeof(shx_delta_block);
        if (codes->bytes[c]) bytes += blocks * delta_codes_stride(codes->encoding);
    }
    return bytes;
}

static void delta_codes_encode(shx_delta_codes *codes, const void *const vectors[SHX_BLOCK_ROWS],
                               shx_delta_block *block, uint8_t *bits, uint8_t *code_bytes, uint8_t *refine) {
    const shx_encoding *encoding = codes->encoding;
    size_t bit_bytes = encoding->code_dim / 8, refine_bytes = shx_refine_bytes(encoding->code_dim);
    shx_code code[SHX_BLOCK_ROWS] = {{0}};
    block->pointless = 0;
    memset(refine, 0, SHX_BLOCK_ROWS * refine_bytes);
    for (uint32_t i = 0; i < SHX_BLOCK_ROWS; i++) {
        if (!shx_encoding_point(encoding, vectors[i], false, codes->point)) {
            block->pointless |= UINT32_C(1) << i;
            continue;
        }
        shx_encode(codes->point, codes->origin, encoding->code_dim, bits + i * bit_bytes, refine + i * refine_bytes,
                   &code[i]);
        const float factors[3] = {code[i].refine_add, code[i].refine_mul, code[i].refine_error};
        memcpy(block->factors[i], factors, sizeof factors);
    }
    shx_factor_scale_fit(code, SHX_BLOCK_ROWS, &block->scale);
    shx_block_pack(bits, code, SHX_BLOCK_ROWS, encoding->code_dim, &block->scale, code_bytes);
    block->codes = code_bytes;
    block->refine = refine;
}

shx_status shx_delta_codes_append(shx_delta_codes *codes, const void *const vectors[SHX_BLOCK_ROWS]) {
    uint32_t row = atomic_load_explicit(&codes->coded_rows, memory_order_relaxed);
    uint32_t offset, chunk = shx_delta_chunk(row, &offset), code_dim = codes->encoding->code_dim;
    SHX_TRY(delta_codes_reserve(codes, chunk));
    uint8_t *bits = shx_alloc_zero(SHX_BLOCK_ROWS, code_dim / 8);
    SHX_CHECK(bits, SHX_NOMEM);
    uint8_t *bytes = codes->bytes[chunk] + offset / SHX_BLOCK_ROWS * delta_codes_stride(codes->encoding);
    delta_codes_encode(codes, vectors, &codes->chunks[chunk][offset / SHX_BLOCK_ROWS], bits, bytes,
                       bytes + shx_align(shx_block_bytes(code_dim), 64));
    shx_free(bits);
    atomic_store_explicit(&codes->coded_rows, row + SHX_BLOCK_ROWS, memory_order_release);
    return SHX_OK;
}
