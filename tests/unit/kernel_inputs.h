/* What tests of kernels share: random inputs with room at any offset, the tables of all levels, guarded outputs. */
#ifndef SHX_TEST_KERNEL_INPUTS_H
#define SHX_TEST_KERNEL_INPUTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "kernels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIM_MAX 65536
#define GUARD 0xA5

static uint64_t random_state = 20240817;

static inline uint32_t random_u32(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) * 2 + (uint32_t)(random_state >> 63);
}

static inline float random_float(void) { return (float)(random_u32() & 0xFFFFFF) / 8388608.0f - 1.0f; }

/* Room for the largest input at any offset. */
typedef struct inputs {
    float *a, *b;
    uint8_t *bytes, *lut;
    int8_t *low, *high;
} inputs;

static inline int setup(void **state) {
    inputs *in = calloc(1, sizeof *in);
    size_t bytes = DIM_MAX * 4 + 256;
    in->a = malloc(bytes * 4);
    in->b = malloc(bytes * 4);
    in->bytes = malloc(bytes);
    in->lut = malloc(bytes);
    in->low = malloc(bytes);
    in->high = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        in->a[i] = random_float();
        in->b[i] = random_float() * 3;
        in->bytes[i] = (uint8_t)random_u32();
        in->lut[i] = (uint8_t)random_u32();
        in->low[i] = (int8_t)((int)(random_u32() % 255) - 127);
        in->high[i] = (int8_t)((int)(random_u32() % 255) - 127);
    }
    *state = in;
    return 0;
}

static inline int teardown(void **state) {
    inputs *in = *state;
    free(in->a);
    free(in->b);
    free(in->bytes);
    free(in->lut);
    free(in->low);
    free(in->high);
    free(in);
    return 0;
}

/* NULL when this machine lacks the level. */
static inline const shx_kernels *table_at(int level) { return shx_kernels_at((shx_simd_level)level); }

static inline void assert_guard(const void *at, size_t size) {
    for (size_t i = 0; i < size; i++) assert_int_equal(((const uint8_t *)at)[i], GUARD);
}

#endif
