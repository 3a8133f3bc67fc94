/* Build: clusters all postings of a rewrite anew: a new encoding (mean, bound of ip, rotation) and new shards.
**
** Hierarchical k-means on a sample, then two passes, streamed in batches, that put every posting into the nearest
** leaf among those of its nearest parents (cluster.h); between them the leaves move to the means of what they got.
** Then the leaves become shards.
** Points are made from the vectors whenever they are needed, so that memory is bounded by those of the clustering's
** first level.
*/
#ifndef SHX_BUILD_H
#define SHX_BUILD_H

#include "rewrite.h"

/* The rewrite holds postings and no shards; its encoding has metric and dim. Afterwards all postings have a place.
** `seed` makes the rotation and the sample: the same postings and seed give the same shards. */
shx_status shx_build_shards(shx_rewrite *rewrite, uint64_t seed);

#endif
