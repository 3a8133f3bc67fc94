#include "bytes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t shx_hash64(const void *bytes, uint64_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, (size_t)size, seed);
}

shx_id shx_hash128(const void *bytes, uint64_t size) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, (size_t)size));
    shx_id id;
    memcpy(id.bytes, canonical.digest, sizeof id.bytes);
    return id;
}
