/* The kernels that make codes, and rotations, against their scalar twins (bit for bit) and against the definition, with
** guarded outputs. */
#include "kernel_inputs.h"

#include <math.h>

static const size_t CODE_DIMS[] = {16, 48, 64, 80, 112, 128, 304, 768, 1024, 1040, 4096, 65536};
#define CODE_DIM_COUNT (sizeof CODE_DIMS / sizeof *CODE_DIMS)

/* A copy of `from` with a guard on both sides, turned by one round. */
static float *rotate_copy(const shx_kernels *kernels, const float *from, size_t dim, size_t first, size_t size,
                          const uint64_t *signs) {
    float *copy = malloc((dim + 16) * sizeof *copy);
    memset(copy, GUARD, (dim + 16) * sizeof *copy);
    memcpy(copy + 8, from, dim * sizeof *copy);
    kernels->rotate_round(copy + 8, dim, first, size, signs);
    assert_guard(copy, 8 * sizeof *copy);
    assert_guard(copy + 8 + dim, 8 * sizeof *copy);
    return copy;
}

static void check_rotation(const shx_kernels *wide, const float *point, size_t dim, const uint64_t *signs) {
    size_t size = 16;
    while (size * 2 <= dim) size *= 2;
    for (size_t first = 0; first <= dim - size; first += dim - size) {
        float *expected = rotate_copy(table_at(SHX_SIMD_SCALAR), point, dim, first, size, signs);
        float *actual = rotate_copy(wide, point, dim, first, size, signs);
        assert_memory_equal(actual + 8, expected + 8, dim * sizeof *actual);
        free(expected);
        free(actual);
        if (dim == size) break;
    }
}

static void rotations_agree_bit_for_bit(void **state) {
    inputs *in = *state;
    for (int level = SHX_SIMD_SCALAR + 1; level <= SHX_SIMD_HIGHEST; level++) {
        if (!table_at(level)) continue;
        for (size_t k = 0; k < CODE_DIM_COUNT; k++) {
            check_rotation(table_at(level), in->b + 3, CODE_DIMS[k], (const uint64_t *)(const void *)in->bytes);
        }
    }
}

/* The transform by its definition: component i of the result is Σ ±x[j], minus where i and j share an odd number of
** bits. */
static void rotations_are_hadamard_transforms(void **state) {
    inputs *in = *state;
    const uint64_t signs[1] = {0x0000000000005A3C};
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        if (!table_at(level)) continue;
        float *actual = rotate_copy(table_at(level), in->a, 32, 0, 32, signs);
        for (unsigned i = 0; i < 32; i++) {
            double sum = 0;
            for (unsigned j = 0; j < 32; j++) {
                double x = signs[0] >> j & 1 ? -(double)in->a[j] : (double)in->a[j];
                sum += __builtin_popcount(i & j) % 2 ? -x : x;
            }
            assert_true(fabs(actual[8 + i] - sum / sqrt(32)) < 1e-5);
        }
        free(actual);
    }
}

/* Both codes of one level: bits and sums, with guards behind them. */
typedef struct codes {
    uint8_t bits[65536 / 8 + 16], refine[65536 / 2 + 16];
    shx_code_sums scan_sums, refine_sums;
} codes;

static void encode_at(const shx_kernels *kernels, const float *point, const float *centroid, size_t dim,
                      double per_step, codes *ret) {
    memset(ret, GUARD, sizeof *ret);
    ret->scan_sums = kernels->scan_code(point, centroid, dim, ret->bits);
    ret->refine_sums = kernels->refine_code(point, centroid, dim, per_step, ret->refine);
    assert_guard(ret->bits + dim / 8, 16);
    assert_guard(ret->refine + dim / 2, 16);
}

/* Steps of 0 (no residual), ordinary ones, and one so fine that all components are clipped. */
static void codes_agree_bit_for_bit(void **state) {
    static const double per_step[] = {0, 3, 5.5, 1e30};
    inputs *in = *state;
    codes *expected = malloc(sizeof *expected), *actual = malloc(sizeof *actual);
    memcpy(in->a + 40, in->b + 40, 5 * sizeof *in->a); /* components without a residual */
    for (int level = SHX_SIMD_SCALAR + 1; level <= SHX_SIMD_HIGHEST; level++) {
        for (size_t k = 0; table_at(level) && k < CODE_DIM_COUNT; k++) {
            for (size_t i = 0; i < 4; i++) {
                encode_at(table_at(SHX_SIMD_SCALAR), in->a + i, in->b + i, CODE_DIMS[k], per_step[i], expected);
                encode_at(table_at(level), in->a + i, in->b + i, CODE_DIMS[k], per_step[i], actual);
                assert_memory_equal(actual, expected, sizeof *actual);
            }
        }
    }
    free(expected);
    free(actual);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations_agree_bit_for_bit),
        cmocka_unit_test(rotations_are_hadamard_transforms),
        cmocka_unit_test(codes_agree_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
