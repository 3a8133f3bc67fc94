#include "kernels.h"

#include "kernels_levels.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if SHX_HAVE_AVX2
#include <cpuid.h>

/* The CPU must know AVX2, and the operating system must save the upper halves of the registers. */
static bool kernels_detect_avx2(void) {
    unsigned a, b, c, d, state_low, state_high;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    if (!(c & bit_OSXSAVE) || !(c & bit_AVX)) return false;
    __asm__ volatile("xgetbv" : "=a"(state_low), "=d"(state_high) : "c"(0));
    if ((state_low & 6) != 6) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}
#else
static bool kernels_detect_avx2(void) { return false; }
#endif

static _Atomic(const shx_kernels *) kernels_current;
static atomic_int kernels_cap_level = SHX_SIMD_AVX2;

/* What SHARDEX_SIMD allows; an unknown word caps nothing. */
static int kernels_environment_level(void) {
    const char *word = getenv("SHARDEX_SIMD");
    return word && strcmp(word, shx_kernels_scalar.name) == 0 ? SHX_SIMD_SCALAR : SHX_SIMD_AVX2;
}

static const shx_kernels *kernels_choose(void) {
    int level = atomic_load(&kernels_cap_level), environment = kernels_environment_level();
    if (environment < level) level = environment;
    const shx_kernels *kernels = NULL;
    for (; !kernels; level--) kernels = shx_kernels_at((shx_simd_level)level);
    atomic_store(&kernels_current, kernels);
    return kernels;
}

const shx_kernels *shx_kernels_get(void) {
    const shx_kernels *kernels = atomic_load_explicit(&kernels_current, memory_order_acquire);
    return kernels ? kernels : kernels_choose();
}

const shx_kernels *shx_kernels_at(shx_simd_level level) {
    switch (level) {
    case SHX_SIMD_SCALAR: return &shx_kernels_scalar;
    case SHX_SIMD_AVX2: return kernels_detect_avx2() ? &shx_kernels_avx2 : NULL;
    }
    return NULL;
}

void shx_kernels_cap(shx_simd_level level) {
    atomic_store(&kernels_cap_level, level);
    kernels_choose();
}
