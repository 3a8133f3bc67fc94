#include "centroid_codes.h"

#include "memory.h"
#include "quantizer.h"

#include <math.h>

shx_status shx_centroid_codes(const shx_centroids *centroids, const uint32_t *members, uint64_t count,
                              const float *center, shx_factor_scale *ret_scale, uint8_t *ret_blocks) {
    uint32_t code_dim = centroids->code_dim;
    size_t bit_bytes = code_dim / 8;
    float *origin = shx_alloc_zero(code_dim, sizeof *origin);
    uint8_t *bits = shx_alloc_zero(count, bit_bytes), *refine = shx_alloc(shx_refine_bytes(code_dim));
    shx_code *codes = shx_alloc_zero(count, sizeof *codes);
    shx_status status = origin && bits && refine && codes ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < count; i++) {
        const float *centroid = shx_centroid_at(centroids, members ? members[i] : i);
        shx_encode(centroid, center ? center : origin, code_dim, bits + i * bit_bytes, refine, &codes[i]);
    }
    if (status == SHX_OK) shx_factor_scale_fit(codes, count, ret_scale);
    for (uint64_t first = 0; status == SHX_OK && first < count; first += SHX_BLOCK_ROWS) {
        uint64_t rows = count - first < SHX_BLOCK_ROWS ? count - first : SHX_BLOCK_ROWS;
        shx_block_pack(bits + first * bit_bytes, codes + first, rows, code_dim, ret_scale,
                       ret_blocks + first / SHX_BLOCK_ROWS * shx_block_bytes(code_dim));
    }
    shx_free(origin);
    shx_free(bits);
    shx_free(refine);
    shx_free(codes);
    return status;
}

/* Ten times what a coordinate can be, so that rounding never looks like damage. */
#define CENTROID_COORDINATE_MAX 1e16f

bool shx_centroid_usable(float coordinate) { return fabsf(coordinate) <= CENTROID_COORDINATE_MAX; }
