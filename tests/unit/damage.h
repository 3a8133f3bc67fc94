/* The ways in which a file can be damaged, each with its states: every bit flipped, every length, every block zeroed,
** moved or from elsewhere. A state is a number; the same number gives the same bytes.
**
** Memory comes from malloc. Nothing here knows what is in a file.
*/
#ifndef SHX_TEST_DAMAGE_H
#define SHX_TEST_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct damage_bytes {
    uint8_t *bytes;
    uint64_t size;
} damage_bytes;

typedef enum damage_kind {
    DAMAGE_BIT,     /* each bit flipped */
    DAMAGE_CUT,     /* each shorter length */
    DAMAGE_GROW,    /* zeros, ones, or its own first bytes behind the end, as many as the block has */
    DAMAGE_ZERO,    /* each block zeroed */
    DAMAGE_SWAP,    /* each pair of blocks swapped */
    DAMAGE_COPY,    /* each block over each other */
    DAMAGE_REPEAT,  /* each block there twice, what follows moved on */
    DAMAGE_LOSE,    /* each block gone, what follows moved up */
    DAMAGE_FOREIGN, /* each block as it is in another file */
    DAMAGE_REPLACE, /* another file's bytes */
} damage_kind;

typedef struct damage_way {
    const char *name;
    damage_kind kind;
    uint64_t block; /* bytes; 1 where there are none */
} damage_way;

#define DAMAGE_WAYS 25
extern const damage_way damage_ways[DAMAGE_WAYS];

/* How many states there are; `others` are the files that DAMAGE_FOREIGN and DAMAGE_REPLACE take from. */
uint64_t damage_states(const damage_way *way, const damage_bytes *file, uint64_t other_count);

/* The file in one of these states; free the bytes. False when that would be the file as it is. */
bool damage_make(const damage_way *way, uint64_t state, const damage_bytes *file, const damage_bytes *others,
                 damage_bytes *ret_file);

/* States to try, out of `count`, when only about `wanted` are (0: all): the first one, and how far it is to the next.
** The step is odd, so that all bits of a byte have their turn. */
uint64_t damage_step(uint64_t count, uint64_t wanted);

#endif
