/* A random orthogonal transform in O(D log D): four rounds of random sign flips and fast Hadamard transforms over the
** first and the last 2^floor(log2 D) dimensions in turn, each followed (when D is no power of two) by a butterfly
** between the two halves (Kac's walk; as in the RaBitQ library's FhtKacRotator). Orthonormal to float accuracy,
** deterministic in (seed, dim) on every machine.
*/
#ifndef SHX_ROTATION_H
#define SHX_ROTATION_H

#include <stddef.h>
#include <stdint.h>

/* Rotates `dim` floats (a multiple of 16, at least 16) in place. */
void shx_rotate(float *point, size_t dim, uint64_t seed);

#endif
