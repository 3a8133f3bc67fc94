#include "damage.h"

#include <stdlib.h>
#include <string.h>

#define DAMAGE_FILLINGS 3 /* of what grows: zeros, ones, the file's own */

const damage_way damage_ways[DAMAGE_WAYS] = {
    {"bit", DAMAGE_BIT, 1},
    {"cut", DAMAGE_CUT, 1},
    {"grow 1", DAMAGE_GROW, 1},
    {"grow 64", DAMAGE_GROW, 64},
    {"grow 4096", DAMAGE_GROW, 4096},
    {"zero 64", DAMAGE_ZERO, 64},
    {"zero 512", DAMAGE_ZERO, 512},
    {"zero 4096", DAMAGE_ZERO, 4096},
    {"swap 64", DAMAGE_SWAP, 64},
    {"swap 512", DAMAGE_SWAP, 512},
    {"swap 4096", DAMAGE_SWAP, 4096},
    {"copy 64", DAMAGE_COPY, 64},
    {"copy 512", DAMAGE_COPY, 512},
    {"copy 4096", DAMAGE_COPY, 4096},
    {"repeat 64", DAMAGE_REPEAT, 64},
    {"repeat 512", DAMAGE_REPEAT, 512},
    {"repeat 4096", DAMAGE_REPEAT, 4096},
    {"lose 64", DAMAGE_LOSE, 64},
    {"lose 512", DAMAGE_LOSE, 512},
    {"lose 4096", DAMAGE_LOSE, 4096},
    {"foreign 8", DAMAGE_FOREIGN, 8},
    {"foreign 64", DAMAGE_FOREIGN, 64},
    {"foreign 512", DAMAGE_FOREIGN, 512},
    {"foreign 4096", DAMAGE_FOREIGN, 4096},
    {"replace", DAMAGE_REPLACE, 1},
};

/* ---- counting ---- */

static uint64_t damage_blocks(const damage_way *way, const damage_bytes *file) {
    return (file->size + way->block - 1) / way->block;
}

/* Only whole blocks have others of their size. */
static uint64_t damage_whole_blocks(const damage_way *way, const damage_bytes *file) { return file->size / way->block; }

uint64_t damage_states(const damage_way *way, const damage_bytes *file, uint64_t other_count) {
    uint64_t blocks = damage_blocks(way, file), whole = damage_whole_blocks(way, file);
    switch (way->kind) {
    case DAMAGE_BIT: return file->size * 8;
    case DAMAGE_CUT: return file->size;
    case DAMAGE_GROW: return DAMAGE_FILLINGS;
    case DAMAGE_ZERO: return blocks;
    case DAMAGE_SWAP: return whole > 0 ? whole * (whole - 1) / 2 : 0;
    case DAMAGE_COPY: return whole > 0 ? whole * (whole - 1) : 0;
    case DAMAGE_REPEAT:
    case DAMAGE_LOSE: return blocks;
    case DAMAGE_FOREIGN: return blocks * other_count;
    case DAMAGE_REPLACE: return other_count;
    }
    return 0;
}

uint64_t damage_step(uint64_t count, uint64_t wanted) {
    uint64_t step = wanted > 0 ? count / wanted : 1;
    return step > 1 ? step | 1 : 1;
}

/* ---- making ---- */

static damage_bytes damage_room(uint64_t size) {
    damage_bytes room = {malloc(size + 1), size};
    if (!room.bytes) abort();
    memset(room.bytes, 0, size);
    return room;
}

/* A block of the file: where it begins, and how many bytes of it there are. */
typedef struct damage_span {
    uint64_t at, size;
} damage_span;

static damage_span damage_block(const damage_way *way, const damage_bytes *file, uint64_t number) {
    damage_span span = {number * way->block, way->block};
    if (span.size > file->size - span.at) span.size = file->size - span.at;
    return span;
}

/* The file with `size` bytes from `at` on replaced by `count` others. */
static damage_bytes damage_splice(const damage_bytes *file, damage_span span, const uint8_t *bytes, uint64_t count) {
    damage_bytes made = damage_room(file->size - span.size + count);
    uint64_t rest = span.at + span.size;
    memcpy(made.bytes, file->bytes, span.at);
    if (count > 0) memcpy(made.bytes + span.at, bytes, count);
    memcpy(made.bytes + span.at + count, file->bytes + rest, file->size - rest);
    return made;
}

static damage_bytes damage_grow(const damage_way *way, uint64_t filling, const damage_bytes *file) {
    damage_bytes made = damage_room(file->size + way->block);
    memcpy(made.bytes, file->bytes, file->size);
    uint64_t own = way->block < file->size ? way->block : file->size;
    if (filling == 1) memset(made.bytes + file->size, 0xff, way->block);
    if (filling == 2) memcpy(made.bytes + file->size, file->bytes, own);
    return made;
}

/* State number i of the pairs (0, 1), (0, 2), (1, 2), (0, 3) … */
static damage_bytes damage_swap(const damage_way *way, uint64_t state, const damage_bytes *file) {
    uint64_t high = 1;
    while (state >= high) state -= high++;
    damage_span a = damage_block(way, file, state), b = damage_block(way, file, high);
    damage_bytes made = damage_splice(file, a, file->bytes + b.at, b.size);
    memcpy(made.bytes + b.at, file->bytes + a.at, a.size);
    return made;
}

static damage_bytes damage_copy(const damage_way *way, uint64_t state, const damage_bytes *file) {
    uint64_t whole = damage_whole_blocks(way, file), from = state / (whole - 1), to = state % (whole - 1);
    damage_span source = damage_block(way, file, from), target = damage_block(way, file, to + (to >= from));
    return damage_splice(file, target, file->bytes + source.at, source.size);
}

static damage_bytes damage_repeat(const damage_way *way, uint64_t state, const damage_bytes *file) {
    damage_span span = damage_block(way, file, state);
    return damage_splice(file, (damage_span){span.at, 0}, file->bytes + span.at, span.size);
}

/* What the other file does not have stays. */
static damage_bytes damage_foreign(const damage_way *way, uint64_t state, const damage_bytes *file,
                                   const damage_bytes *others) {
    uint64_t blocks = damage_blocks(way, file);
    const damage_bytes *other = &others[state / blocks];
    damage_span span = damage_block(way, file, state % blocks);
    if (span.at >= other->size) span.size = 0;
    if (span.size > 0 && span.size > other->size - span.at) span.size = other->size - span.at;
    return damage_splice(file, span, span.size > 0 ? other->bytes + span.at : NULL, span.size);
}

static damage_bytes damage_do(const damage_way *way, uint64_t state, const damage_bytes *file,
                              const damage_bytes *others) {
    damage_span all = {0, file->size};
    damage_bytes made;
    switch (way->kind) {
    case DAMAGE_BIT:
        made = damage_splice(file, all, file->bytes, file->size);
        made.bytes[state / 8] ^= (uint8_t)(1 << state % 8);
        return made;
    case DAMAGE_CUT: return damage_splice(file, all, file->bytes, state);
    case DAMAGE_GROW: return damage_grow(way, state, file);
    case DAMAGE_ZERO:
        made = damage_splice(file, all, file->bytes, file->size);
        memset(made.bytes + state * way->block, 0, damage_block(way, file, state).size);
        return made;
    case DAMAGE_SWAP: return damage_swap(way, state, file);
    case DAMAGE_COPY: return damage_copy(way, state, file);
    case DAMAGE_REPEAT: return damage_repeat(way, state, file);
    case DAMAGE_LOSE: return damage_splice(file, damage_block(way, file, state), NULL, 0);
    case DAMAGE_FOREIGN: return damage_foreign(way, state, file, others);
    case DAMAGE_REPLACE: return damage_splice(file, all, others[state].bytes, others[state].size);
    }
    abort();
}

bool damage_make(const damage_way *way, uint64_t state, const damage_bytes *file, const damage_bytes *others,
                 damage_bytes *ret_file) {
    damage_bytes made = damage_do(way, state, file, others);
    bool same = made.size == file->size && (made.size == 0 || memcmp(made.bytes, file->bytes, made.size) == 0);
    if (same) {
        free(made.bytes);
        return false;
    }
    *ret_file = made;
    return true;
}
