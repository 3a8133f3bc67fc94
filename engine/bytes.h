/* Little-endian bytes, checked arithmetic, alignment and hashes: what every file format is made of. */
#ifndef SHX_BYTES_H
#define SHX_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Formats are little-endian and mapped files are used in place, so a big-endian host cannot run the engine. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "shardex maps little-endian files in place and needs a little-endian host"
#endif

/* Numbers in files: little-endian, at any address. */
static inline void shx_put16(void *at, uint16_t value) { memcpy(at, &value, sizeof value); }
static inline void shx_put32(void *at, uint32_t value) { memcpy(at, &value, sizeof value); }
static inline void shx_put64(void *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static inline uint16_t shx_get16(const void *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t shx_get32(const void *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t shx_get64(const void *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* a + b and a × b; false (and *ret_value untouched) when the result does not fit. */
static inline bool shx_add(uint64_t a, uint64_t b, uint64_t *ret_value) {
    if (a > UINT64_MAX - b) return false;
    *ret_value = a + b;
    return true;
}

static inline bool shx_mul(uint64_t a, uint64_t b, uint64_t *ret_value) {
    if (b != 0 && a > UINT64_MAX / b) return false;
    *ret_value = a * b;
    return true;
}

/* True when `count` elements of `size` bytes from `offset` on lie inside a buffer of `total` bytes. */
static inline bool shx_span_fits(uint64_t offset, uint64_t count, uint64_t size, uint64_t total) {
    uint64_t length, end;
    return shx_mul(count, size, &length) && shx_add(offset, length, &end) && end <= total;
}

/* `value` rounded up to a multiple of `unit`, a power of two. The caller knows that it cannot overflow. */
static inline uint64_t shx_align(uint64_t value, uint64_t unit) { return (value + unit - 1) & ~(unit - 1); }

/* A 128-bit identity: of a commit (the hash of the parent's id and of the operations) or of an index (uuid). */
typedef struct shx_id {
    uint8_t bytes[16];
} shx_id;

static inline bool shx_id_equal(const shx_id *a, const shx_id *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* XXH3 of `size` bytes: 64 bits, seeded; and 128 bits as an id. See xxhash.com; used against accidents, not
** attackers. */
uint64_t shx_hash64(const void *bytes, uint64_t size, uint64_t seed);
shx_id shx_hash128(const void *bytes, uint64_t size);

#endif
