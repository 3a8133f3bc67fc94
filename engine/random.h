/* Pseudo-random numbers: splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). The
** same numbers from the same state on every machine.
*/
#ifndef SHX_RANDOM_H
#define SHX_RANDOM_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* The next 64 bits. Any state will do to start with. */
static inline uint64_t shx_random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* A number below `bound` > 0. The bias of the remainder is below bound / 2^64: nothing that clustering could notice. */
static inline uint64_t shx_random_below(uint64_t *state, uint64_t bound) {
    assert(bound > 0);
    return shx_random_next(state) % bound;
}

/* Chooses `wanted` ≤ `left` of the things that pass by, each such choice as likely as any other: one is taken with
** probability (still wanted) / (still to come) (Knuth, "The Art of Computer Programming", 3.4.2, algorithm S). */
typedef struct shx_sampler {
    uint64_t state, left, wanted;
} shx_sampler;

/* Whether the next thing is taken. No more need to pass once `wanted` is 0. */
static inline bool shx_sampler_takes(shx_sampler *sampler) {
    bool taken = shx_random_below(&sampler->state, sampler->left--) < sampler->wanted;
    sampler->wanted -= taken;
    return taken;
}

#endif
