#include "rotation.h"

#include "kernels.h"
#include "limits.h"
#include "random.h"

#include <assert.h>

#define ROTATION_ROUNDS 4
#define ROTATION_DIM_MAX (SHX_DIM_MAX + 1)

void shx_rotate(float *point, size_t dim, uint64_t seed) {
    assert(dim >= 16 && dim % 16 == 0 && dim <= ROTATION_DIM_MAX);
    const shx_kernels *kernels = shx_kernels_get();
    uint64_t signs[ROTATION_DIM_MAX / 64], state = seed;
    size_t size = 16;
    while (size * 2 <= dim) size *= 2;
    for (int round = 0; round < ROTATION_ROUNDS; round++) {
        for (size_t i = 0; i < dim; i += 64) signs[i / 64] = shx_random_next(&state);
        kernels->rotate_round(point, dim, round % 2 == 0 ? 0 : dim - size, size, signs);
    }
}
