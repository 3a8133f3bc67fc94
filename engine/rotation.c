#include "rotation.h"

#include "kernels.h"
#include "limits.h"

#include <assert.h>

#define ROTATION_ROUNDS 4
#define ROTATION_DIM_MAX (SHX_DIM_MAX + 1)

/* splitmix64 (Steele, Lea, Flood, 2014): 64 sign bits a step. */
static uint64_t rotation_next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void shx_rotate(float *point, size_t dim, uint64_t seed) {
    assert(dim >= 16 && dim % 16 == 0 && dim <= ROTATION_DIM_MAX);
    const shx_kernels *kernels = shx_kernels_get();
    uint64_t signs[ROTATION_DIM_MAX / 64], state = seed;
    size_t size = 16;
    while (size * 2 <= dim) size *= 2;
    for (int round = 0; round < ROTATION_ROUNDS; round++) {
        for (size_t i = 0; i < dim; i += 64) signs[i / 64] = rotation_next(&state);
        kernels->rotate_round(point, dim, round % 2 == 0 ? 0 : dim - size, size, signs);
    }
}
