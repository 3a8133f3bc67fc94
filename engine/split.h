/* Split: keeps the shards of a rewrite in shape when they are not clustered anew. Postings without a place are routed,
** those from a region that has no shards get some of their own, shards that hold too many are split by k-means, the
** neighbourhood of a split is checked, sparse shards are folded into others.
**
** The checks are those of LIRE (SPFresh, SOSP 2023): after a split of shard o, (a) a posting of o that was nearer to
** o's centroid than it is to its new one may belong to a neighbour, (b) a posting of a neighbour that is nearer to a
** new centroid than to its own belongs there. A centroid never moves: o is closed, its parts are new shards.
*/
#ifndef SHX_SPLIT_H
#define SHX_SPLIT_H

#include "rewrite.h"

/* `table`: the shards that the rewrite took over from its base, for routing. `whole`: the rewrite holds all postings
** of all shards, so that sparse ones may be folded. Afterwards all postings have a place in an open shard. */
shx_status shx_split_shards(shx_rewrite *rewrite, const shx_shards *table, bool whole);

#endif
