#include "rotation.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define ROTATION_ROUNDS 4

/* splitmix64 (Steele, Lea, Flood, 2014): 64 sign bits a step. */
static uint64_t rotation_next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Flips the sign of each of 16 floats whose bit is set. */
static void rotation_flip16(float *at, uint32_t bits) {
    static const uint32_t bit[16] = {1u << 0, 1u << 1, 1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
                                     1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15};
    for (int i = 0; i < 16; i++) {
        uint32_t word;
        memcpy(&word, at + i, sizeof word);
        word ^= (bits & bit[i]) ? 0x80000000u : 0;
        memcpy(at + i, &word, sizeof word);
    }
}

static void rotation_flip(float *point, size_t dim, uint64_t *state) {
    uint64_t bits = 0;
    for (size_t i = 0; i < dim; i += 16) {
        bits = i % 64 == 0 ? rotation_next(state) : bits >> 16;
        rotation_flip16(point + i, (uint32_t)(bits & 0xFFFF));
    }
}

/* (x, y) becomes (x+y, x-y) for `count` pairs, a multiple of 8. Inner loops of constant length become vectors. */
static inline void rotation_butterfly(float *restrict x, float *restrict y, size_t count) {
    for (size_t i = 0; i < count; i += 8) {
        for (size_t j = i; j < i + 8; j++) {
            float sum = x[j] + y[j], difference = x[j] - y[j];
            x[j] = sum;
            y[j] = difference;
        }
    }
}

/* Two strides of the fast transform in one pass over `stride` (a multiple of 4) quadruples. */
static inline void rotation_quad(float *restrict x, float *restrict y, float *restrict z, float *restrict w,
                                 size_t stride) {
    for (size_t i = 0; i < stride; i += 4) {
        for (size_t j = i; j < i + 4; j++) {
            float a = x[j] + y[j], b = x[j] - y[j], c = z[j] + w[j], d = z[j] - w[j];
            x[j] = a + c;
            y[j] = b + d;
            z[j] = a - c;
            w[j] = b - d;
        }
    }
}

/* The transform of four neighbours, scaled: the two shortest strides. */
static inline void rotation_four(float *at, float scale) {
    float a = at[0] + at[1], b = at[0] - at[1], c = at[2] + at[3], d = at[2] - at[3];
    at[0] = (a + c) * scale;
    at[1] = (b + d) * scale;
    at[2] = (a - c) * scale;
    at[3] = (b - d) * scale;
}

static void rotation_hadamard(float *point, size_t size) {
    float scale = 1.0f / sqrtf((float)size);
    for (size_t i = 0; i < size; i += 4) rotation_four(point + i, scale);
    size_t stride = 4;
    for (; stride * 4 <= size; stride *= 4) {
        for (size_t i = 0; i < size; i += 4 * stride) {
            float *at = point + i;
            rotation_quad(at, at + stride, at + 2 * stride, at + 3 * stride, stride);
        }
    }
    if (stride < size) rotation_butterfly(point, point + stride, stride);
}

static void rotation_scale(float *point, size_t dim, float scale) {
    for (size_t i = 0; i < dim; i += 16) {
        for (size_t j = i; j < i + 16; j++) point[j] *= scale;
    }
}

void shx_rotate(float *point, size_t dim, uint64_t seed) {
    assert(dim >= 16 && dim % 16 == 0);
    size_t size = 16;
    while (size * 2 <= dim) size *= 2;
    uint64_t state = seed;
    for (int round = 0; round < ROTATION_ROUNDS; round++) {
        rotation_flip(point, dim, &state);
        rotation_hadamard(round % 2 == 0 ? point : point + dim - size, size);
        if (size == dim) continue;
        rotation_butterfly(point, point + dim / 2, dim / 2);
        rotation_scale(point, dim, 0.70710678118654752f);
    }
}
