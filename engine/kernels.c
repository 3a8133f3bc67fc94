#include "kernels.h"

#include "kernels_levels.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if SHX_HAVE_X86
#include <cpuid.h>

/* The CPU must know all features (CPUID leaf 7, EBX and ECX), and the operating system must save all registers of
** `state`. */
static bool kernels_detect(unsigned features_b, unsigned features_c, unsigned state) {
    unsigned a, b, c, d, state_low, state_high;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    const unsigned wanted = bit_OSXSAVE | bit_AVX | bit_F16C | bit_POPCNT;
    if ((c & wanted) != wanted) return false;
    __asm__ volatile("xgetbv" : "=a"(state_low), "=d"(state_high) : "c"(0));
    if ((state_low & state) != state) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    return (b & features_b) == features_b && (c & features_c) == features_c;
}

/* XCR0: bits 1 and 2 are xmm and the upper halves of ymm, 5 to 7 the opmasks, the upper halves of zmm, and zmm16-31. */
static bool kernels_detect_avx2(void) { return kernels_detect(bit_AVX2, 0, 0x06); }

static bool kernels_detect_avx512(void) {
    const unsigned features = bit_AVX2 | bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    return kernels_detect(features, bit_AVX512VNNI, 0xE6);
}
#else
static bool kernels_detect_avx2(void) { return false; }
static bool kernels_detect_avx512(void) { return false; }
#endif

static const shx_kernels *const kernels_levels[] = {&shx_kernels_scalar, &shx_kernels_avx2, &shx_kernels_avx512,
                                                    &shx_kernels_neon};

static _Atomic(const shx_kernels *) kernels_current;
static atomic_int kernels_cap_level = SHX_SIMD_HIGHEST;

/* What SHARDEX_SIMD allows; an unknown word caps nothing. */
static int kernels_environment_level(void) {
    const char *word = getenv("SHARDEX_SIMD");
    for (int level = SHX_SIMD_SCALAR; word && level <= SHX_SIMD_HIGHEST; level++) {
        if (strcmp(word, kernels_levels[level]->name) == 0) return level;
    }
    return SHX_SIMD_HIGHEST;
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
    case SHX_SIMD_AVX512: return kernels_detect_avx512() ? &shx_kernels_avx512 : NULL;
    case SHX_SIMD_NEON: return SHX_HAVE_NEON ? &shx_kernels_neon : NULL;
    }
    return NULL;
}

void shx_kernels_cap(shx_simd_level level) {
    atomic_store(&kernels_cap_level, level);
    kernels_choose();
}

void shx_kernels_use(const shx_kernels *kernels) { atomic_store(&kernels_current, kernels); }
