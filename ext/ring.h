/* The ring: the recent commits of a table and the rowids that each of them changed. It stands in the state row, so it
** goes wherever the database goes. Whoever has any of these states and the database can make the record that leads from
** it to the present one, in time proportional to the change: a replica that receives pages, a process whose directory
** missed some commits, a directory that lost its last records with the power.
**
** Its content depends on nothing but the operations (no clock, no chance, no setting of the database).
**
** FORMAT, SHX_RING_BYTES bytes whatever it holds, so that writing it never moves the row within its page:
**
**     offset  size  meaning
**     0       2     u16: how many bytes are in use, at least 18
**     2       16    the oldest commit it knows
**     18      …     for each later commit: its id, 16 bytes; how many rowids it changed, a varint; each of them as the
**                   difference to the one before it (to 0), zigzag, a varint
**     …       …     zeros
**     3832    8     XXH3-64 of the bytes in use: a rowid that is missing would leave its row as it was in the index
**
** Varints: 7 bits a byte, low bits first, 0x80 means more. A commit that changed more rowids than fit starts it anew.
*/
#ifndef SHX_RING_H
#define SHX_RING_H

#include "../engine/bytes.h"
#include "../engine/pending.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With the rest of the row less than what fits a leaf page of 4096 bytes: the page that every commit writes anyway. */
#define SHX_RING_BYTES 3840

#define SHX_RING_ROOM (SHX_RING_BYTES - 8) /* before the checksum */

/* No more commits than this fit. */
#define SHX_RING_COMMITS ((SHX_RING_ROOM - 18) / 17 + 1)

typedef struct shx_ring {
    shx_id tip; /* the newest commit it knows */
    uint8_t bytes[SHX_RING_BYTES];
} shx_ring;

/* A ring that knows this commit and nothing before it. */
void shx_ring_start(shx_ring *ring, const shx_id *commit);

/* Takes over what a state row holds, untrusted bytes; false unless they are a ring that ends with `tip`. */
bool shx_ring_load(const void *bytes, size_t size, const shx_id *tip, shx_ring *ret_ring);

/* Adds the commit that these operations lead to; the oldest ones make room. */
void shx_ring_add(shx_ring *ring, const shx_pending *pending, const shx_id *commit);

/* The commits before the newest one, the youngest first; returns how many. */
size_t shx_ring_commits(const shx_ring *ring, shx_id ret_commits[SHX_RING_COMMITS]);

/* The rowids that changed since the commit at `position` of shx_ring_commits: ascending, each once. The caller frees
** them (shx_free). SHX_NOMEM. */
shx_status shx_ring_changes(const shx_ring *ring, size_t position, int64_t **ret_rowids, size_t *ret_count);

#endif
