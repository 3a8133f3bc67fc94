/* Element types: every level's conversions and integer kernels against plain arithmetic, rounding to the nearest value,
** and the distances of all types and metrics against sums in long double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "distance.h"
#include "element.h"
#include "kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIM_MAX 65535

static const uint32_t DIMS[] = {1, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1023, 1024, 1025, 3000};
#define DIM_COUNT (sizeof DIMS / sizeof *DIMS)

static uint64_t random_state = 77;

static uint32_t random_u32(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

/* By the definition of the formats: sign, exponent, mantissa. */
static double value_of_half(shx_element element, uint16_t half) {
    int mantissa_bits = element == SHX_FLOAT16 ? 10 : 7, exponent_bits = 15 - mantissa_bits;
    int bias = (1 << (exponent_bits - 1)) - 1, top = (1 << exponent_bits) - 1;
    int exponent = half >> mantissa_bits & top, mantissa = half & ((1 << mantissa_bits) - 1);
    double sign = half & 0x8000 ? -1 : 1;
    if (exponent == top) return mantissa ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

static void check_all_halves(const shx_kernels *kernels, shx_element element) {
    static uint16_t halves[65536 + 1];
    static float floats[65536];
    uint8_t *unaligned = (uint8_t *)halves + 1;
    for (uint32_t i = 0; i < 65536; i++) memcpy(unaligned + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    for (size_t count = 65536 - 9; count <= 65536; count++) {
        memset(floats, 0xA5, sizeof floats);
        (element == SHX_FLOAT16 ? kernels->decode_float16 : kernels->decode_bfloat16)(unaligned, count, floats);
        for (uint32_t i = 0; i < count; i++) {
            double value = value_of_half(element, (uint16_t)i);
            assert_true(isnan(value) ? isnan(floats[i]) : (double)floats[i] == value);
            assert_int_equal(signbit(floats[i]) != 0, i >> 15);
        }
        for (size_t i = count; i < 65536; i++) assert_true(((uint8_t *)&floats[i])[0] == 0xA5);
    }
}

static void halves_are_converted_exactly(void **state) {
    (void)state;
    for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
        const shx_kernels *kernels = shx_kernels_at((shx_simd_level)level);
        if (!kernels) continue;
        check_all_halves(kernels, SHX_FLOAT16);
        check_all_halves(kernels, SHX_BFLOAT16);
    }
}

/* Every finite half comes back as itself, and what lies between two halves becomes the nearer one, a tie the even one.
*/
static void check_rounding(shx_element element, uint16_t infinity) {
    for (uint16_t half = 0; half < infinity; half++) {
        double low = value_of_half(element, half), high = value_of_half(element, (uint16_t)(half + 1));
        uint16_t got;
        assert_true(shx_element_encode(element, low, &got) && got == half);
        assert_true(shx_element_encode(element, -low, &got) && got == (half | 0x8000));
        if (half + 1 == infinity) continue;
        double middle = (low + high) / 2, below = nextafterf((float)middle, 0);
        double above = nextafterf((float)middle, INFINITY);
        if (!((double)(float)middle == middle)) continue; /* beneath the floats themselves */
        assert_true(shx_element_encode(element, middle, &got) && got == (half & 1 ? half + 1 : half));
        assert_true(shx_element_encode(element, below, &got) && got == half);
        assert_true(shx_element_encode(element, above, &got) && got == half + 1);
    }
}

static void numbers_become_the_nearest_half(void **state) {
    (void)state;
    uint16_t got = 0x1234;
    check_rounding(SHX_FLOAT16, 0x7c00);
    check_rounding(SHX_BFLOAT16, 0x7f80);
    assert_true(shx_element_encode(SHX_FLOAT16, 65519, &got) && got == 0x7bff);
    const double beyond[] = {65520, -65520, 1e30, INFINITY, -INFINITY, NAN};
    got = 0x1234;
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        assert_false(shx_element_encode(SHX_FLOAT16, beyond[i], &got));
        if (i > 2) assert_false(shx_element_encode(SHX_BFLOAT16, beyond[i], &got));
    }
    assert_false(shx_element_encode(SHX_BFLOAT16, 3.4e38, &got));
    assert_int_equal(got, 0x1234);
}

static void numbers_become_int8_or_not(void **state) {
    (void)state;
    int8_t got;
    for (int i = -128; i <= 127; i++) assert_true(shx_element_encode(SHX_INT8, i, &got) && got == i);
    const double not [] = {-129, 128, 0.5, -0.001, 1e300, INFINITY, NAN};
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++) assert_false(shx_element_encode(SHX_INT8, not [i], &got));
}

static void infinite_elements_are_found(void **state) {
    (void)state;
    uint32_t at = 99;
    const float floats[] = {1, -3e38f, -INFINITY};
    const uint16_t halves[] = {0x7bff, 0xfbff, 0x7c01}, brains[] = {0x7f7f, 0xff80};
    assert_true(shx_element_find_infinite(SHX_FLOAT32, floats, 3, &at) && at == 2);
    assert_true(shx_element_find_infinite(SHX_FLOAT16, halves, 3, &at) && at == 2);
    assert_false(shx_element_find_infinite(SHX_FLOAT16, halves, 2, &at));
    assert_true(shx_element_find_infinite(SHX_BFLOAT16, brains, 2, &at) && at == 1);
    assert_false(shx_element_find_infinite(SHX_INT8, floats, 12, &at));
    assert_false(shx_element_find_infinite(SHX_BIT, floats, 96, &at));
}

/* At every place, in vectors that do and do not end with a whole register. */
static void an_infinite_element_is_found_anywhere(void **state) {
    (void)state;
    float floats[70];
    uint16_t halves[70];
    for (uint32_t dim = 1; dim <= 70; dim++) {
        for (uint32_t i = 0; i < dim; i++) {
            uint32_t at = 99;
            memset(floats, 0x7f, sizeof floats); /* a large number; what follows the vector is none */
            memset(halves, 0x7b, sizeof halves);
            for (uint32_t behind = dim; behind < 70; behind++) floats[behind] = NAN, halves[behind] = 0x7f81;
            assert_false(shx_element_find_infinite(SHX_FLOAT32, floats, dim, &at));
            assert_false(shx_element_find_infinite(SHX_FLOAT16, halves, dim, &at));
            assert_false(shx_element_find_infinite(SHX_BFLOAT16, halves, dim, &at));
            floats[i] = i % 2 ? INFINITY : NAN;
            halves[i] = 0xff80;
            assert_true(shx_element_find_infinite(SHX_FLOAT32, floats, dim, &at) && at == i);
            assert_true(shx_element_find_infinite(SHX_FLOAT16, halves, dim, &at) && at == i);
            assert_true(shx_element_find_infinite(SHX_BFLOAT16, halves, dim, &at) && at == i);
        }
    }
}

static void check_integers(const shx_kernels *kernels, const int8_t *a, const int8_t *b, uint32_t dim) {
    int64_t l2 = 0, dot = 0, l1 = 0;
    uint32_t bits = 0;
    for (uint32_t i = 0; i < dim; i++) {
        l2 += (a[i] - b[i]) * (a[i] - b[i]);
        dot += a[i] * b[i];
        l1 += abs(a[i] - b[i]);
        for (int bit = 0; bit < 8; bit++) bits += (a[i] >> bit & 1) != (b[i] >> bit & 1);
    }
    assert_true(kernels->int8_l2_squared(a, b, dim) == l2);
    assert_true(kernels->int8_dot(a, b, dim) == dot);
    assert_true(kernels->int8_l1(a, b, dim) == l1);
    assert_int_equal(kernels->hamming((const uint8_t *)a, (const uint8_t *)b, dim), bits);
}

/* With rows on both sides of those that kernels take together. */
static void check_rows(const shx_kernels *kernels, const int8_t *a, uint32_t dim) {
    enum { ROWS = 7 };
    static int8_t rows[ROWS * 300];
    int32_t sums[ROWS + 1];
    if (dim > sizeof rows / ROWS) return;
    for (size_t i = 0; i < sizeof rows; i++) rows[i] = (int8_t)random_u32();
    for (size_t count = 0; count <= ROWS; count++) {
        memset(sums, 0x55, sizeof sums);
        kernels->int8_l1_rows(a, rows, dim, count, sums);
        for (size_t r = 0; r < count; r++) assert_int_equal(sums[r], kernels->int8_l1(a, rows + r * dim, dim));
        assert_int_equal(sums[count], 0x55555555);
    }
}

static void integer_kernels_are_exact(void **state) {
    (void)state;
    static int8_t a[DIM_MAX + 16], b[DIM_MAX + 16];
    for (int fill = 0; fill < 3; fill++) {
        for (size_t i = 0; i < sizeof a; i++) {
            a[i] = fill == 0 ? (int8_t)random_u32() : INT8_MIN;
            b[i] = fill == 0 ? (int8_t)random_u32() : fill == 1 ? INT8_MAX : INT8_MIN;
        }
        for (int level = SHX_SIMD_SCALAR; level <= SHX_SIMD_HIGHEST; level++) {
            const shx_kernels *kernels = shx_kernels_at((shx_simd_level)level);
            for (size_t k = 0; kernels && k < DIM_COUNT; k++) check_integers(kernels, a + k % 5, b + k % 3, DIMS[k]);
            for (size_t k = 0; kernels && k < DIM_COUNT; k++) check_rows(kernels, a + k % 5, DIMS[k]);
            if (kernels) check_integers(kernels, a + 1, b + 2, DIM_MAX);
        }
    }
}

static void l1_agrees_bit_for_bit(void **state) {
    (void)state;
    static float a[4096], b[4096];
    for (size_t i = 0; i < 4096; i++) {
        a[i] = (float)(int32_t)random_u32() * 0x1p-31f;
        b[i] = (float)(int32_t)random_u32() * 0x1p-29f;
    }
    for (size_t k = 0; k < DIM_COUNT; k++) {
        double scalar = shx_kernels_at(SHX_SIMD_SCALAR)->l1(a + 1, b + 2, DIMS[k]);
        long double sum = 0;
        for (uint32_t i = 0; i < DIMS[k]; i++) sum += fabsl((long double)a[i + 1] - b[i + 2]);
        assert_true(fabsl(scalar - sum) <= sum * (DIMS[k] + 2) * 0x1p-53L);
        for (int level = SHX_SIMD_SCALAR + 1; level <= SHX_SIMD_HIGHEST; level++) {
            const shx_kernels *wide = shx_kernels_at((shx_simd_level)level);
            if (wide) assert_true(wide->l1(a + 1, b + 2, DIMS[k]) == scalar);
        }
    }
    for (size_t i = 0; i < 4096; i++) a[i] = 3e38f, b[i] = -3e38f;
    assert_true(fabs(shx_distance(SHX_L1, SHX_FLOAT32, a, b, 4096) / (4096 * 6e38) - 1) < 1e-6);
}

/* ---- distances ---- */

static long double element_at(shx_element element, const void *vector, uint32_t i) {
    switch (element) {
    case SHX_FLOAT32: return ((const float *)vector)[i];
    case SHX_INT8: return ((const int8_t *)vector)[i];
    case SHX_BIT: return ((const uint8_t *)vector)[i / 8] >> i % 8 & 1;
    default: return value_of_half(element, ((const uint16_t *)vector)[i]);
    }
}

static long double plain_distance(shx_metric metric, shx_element element, const void *a, const void *b, uint32_t dim) {
    long double l2 = 0, l1 = 0, dot = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < dim; i++) {
        long double x = element_at(element, a, i), y = element_at(element, b, i);
        l2 += (x - y) * (x - y);
        l1 += fabsl(x - y);
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    switch (metric) {
    case SHX_L2: return sqrtl(l2);
    case SHX_IP: return -dot;
    case SHX_COSINE: return aa > 0 && bb > 0 ? 1 - dot / sqrtl(aa * bb) : 1;
    default: return l1;
    }
}

static void fill_vector(shx_element element, uint8_t *vector, uint32_t dim) {
    for (uint32_t i = 0; i < dim; i++) {
        double number = (double)(int32_t)random_u32() * 0x1p-31;
        if (element == SHX_BIT) {
            vector[i / 8] = (uint8_t)random_u32();
        } else {
            if (element == SHX_INT8) number = floor(number * 127);
            assert_true(shx_element_encode(element, number, vector + i * shx_element_bytes(element, 1)));
        }
    }
}

static void distances_match_plain_arithmetic(void **state) {
    (void)state;
    static uint8_t a[3000 * 4], b[3000 * 4];
    for (int element = SHX_FLOAT32; element <= SHX_BIT; element++) {
        for (int metric = SHX_L2; metric <= SHX_HAMMING; metric++) {
            if (!shx_metric_fits((shx_metric)metric, (shx_element)element)) continue;
            for (size_t k = 0; k < DIM_COUNT; k++) {
                uint32_t dim = element == SHX_BIT ? DIMS[k] * 8 : DIMS[k];
                fill_vector((shx_element)element, a, dim);
                fill_vector((shx_element)element, b, dim);
                long double plain = plain_distance((shx_metric)metric, (shx_element)element, a, b, dim);
                double got = shx_distance((shx_metric)metric, (shx_element)element, a, b, dim);
                long double size = metric == SHX_IP ? dim * (element == SHX_INT8 ? 16384.0L : 1) : 2 + fabsl(plain);
                assert_true(fabsl(got - plain) <= size * (dim + 4) * 0x1p-52L);
                if (element >= SHX_INT8 && metric != SHX_L2 && metric != SHX_COSINE) assert_true(got == plain);
                double self = shx_distance((shx_metric)metric, (shx_element)element, a, a, dim);
                if (metric != SHX_IP) assert_true(self <= 1e-15 || shx_norm2((shx_element)element, a, dim) == 0);
            }
        }
    }
}

/* Vectors that differ by a little of much: 1 - cos keeps its digits. */
static void int8_cosine_loses_no_digits(void **state) {
    (void)state;
    static int8_t a[DIM_MAX], b[DIM_MAX], zero[DIM_MAX];
    for (uint32_t i = 0; i < DIM_MAX; i++) a[i] = b[i] = (int8_t)(i % 2 ? 127 : -128);
    b[7]--;
    long double dot = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < DIM_MAX; i++) dot += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
    long double norms = sqrtl(aa) * sqrtl(bb), true_distance = (aa * bb - dot * dot) / (norms * (norms + dot));
    double got = shx_distance(SHX_COSINE, SHX_INT8, a, b, DIM_MAX);
    assert_true(got > 0 && fabsl(got / true_distance - 1) < 1e-7L);
    assert_true(shx_distance(SHX_COSINE, SHX_INT8, a, a, DIM_MAX) == 0);
    assert_true(shx_distance(SHX_COSINE, SHX_INT8, a, zero, DIM_MAX) == 1);
}

/* The inner product of nothing in common is 0, which people read, and not -0. */
static void orthogonal_vectors_have_no_negative_zero(void **state) {
    (void)state;
    for (int element = SHX_FLOAT32; element <= SHX_INT8; element++) {
        uint8_t a[2 * sizeof(float)] = {0}, b[sizeof a] = {0};
        size_t size = shx_element_bytes((shx_element)element, 1);
        assert_true(shx_element_encode((shx_element)element, 3, a));
        assert_true(shx_element_encode((shx_element)element, -5, b + size));
        assert_true(!signbit(shx_distance(SHX_IP, (shx_element)element, a, b, 2)));
    }
}

static void sizes_and_names(void **state) {
    (void)state;
    assert_int_equal(shx_element_bytes(SHX_FLOAT32, 65535), 262140);
    assert_int_equal(shx_element_bytes(SHX_FLOAT16, 3), 6);
    assert_int_equal(shx_element_bytes(SHX_BFLOAT16, 3), 6);
    assert_int_equal(shx_element_bytes(SHX_INT8, 3), 3);
    assert_int_equal(shx_element_bytes(SHX_BIT, 1024), 128);
    assert_string_equal(shx_element_name(SHX_BIT), "bit");
    assert_string_equal(shx_metric_name(SHX_HAMMING), "hamming");
    const uint8_t bits[] = {0x81, 0x02};
    float floats[16];
    shx_element_decode(SHX_BIT, bits, 16, floats);
    for (int i = 0; i < 16; i++) assert_true(floats[i] == (i == 0 || i == 7 || i == 9 ? 0.5f : -0.5f));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_are_converted_exactly),
        cmocka_unit_test(numbers_become_the_nearest_half),
        cmocka_unit_test(numbers_become_int8_or_not),
        cmocka_unit_test(infinite_elements_are_found),
        cmocka_unit_test(an_infinite_element_is_found_anywhere),
        cmocka_unit_test(integer_kernels_are_exact),
        cmocka_unit_test(l1_agrees_bit_for_bit),
        cmocka_unit_test(distances_match_plain_arithmetic),
        cmocka_unit_test(int8_cosine_loses_no_digits),
        cmocka_unit_test(orthogonal_vectors_have_no_negative_zero),
        cmocka_unit_test(sizes_and_names),
    };
    print_message("seed %llu\n", (unsigned long long)random_state);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
