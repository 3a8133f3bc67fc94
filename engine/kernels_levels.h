/* What the kernel files share and nobody else needs: the table of each level, and the target region macros.
**
** Code between SHX_TARGET_AVX2 and SHX_TARGET_END may use AVX2 instructions; everything else in the engine is compiled
** for the baseline. FMA is left out on purpose: twins must agree bit for bit.
*/
#ifndef SHX_KERNELS_LEVELS_H
#define SHX_KERNELS_LEVELS_H

#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define SHX_HAVE_AVX2 1
#else
#define SHX_HAVE_AVX2 0
#endif

#if defined(__clang__)
#define SHX_TARGET_AVX2 _Pragma("clang attribute push(__attribute__((target(\"avx2\"))), apply_to = function)")
#define SHX_TARGET_END _Pragma("clang attribute pop")
#else
#define SHX_TARGET_AVX2 _Pragma("GCC push_options") _Pragma("GCC target(\"avx2\")")
#define SHX_TARGET_END _Pragma("GCC pop_options")
#endif

/* u16 sums of table bytes hold this many code dimensions: 1024/4 tables × 255 = 65280. */
#define SHX_SCAN_CHUNK 1024

extern const shx_kernels shx_kernels_scalar;

/* All members NULL on machines that are not x86-64. */
extern const shx_kernels shx_kernels_avx2;

#endif
