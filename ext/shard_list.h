/* shardex_segments(table [, schema]): a row for each segment, (segment, file, rows, dead, shards, bytes), `file` being
** NULL in memory; shardex_shards(table [, schema]): a row for each shard, (shard, open, rows, dead, segments, scatter).
** What the columns are stands in engine/layout.h. There is no row where the index cannot be seen (it lies behind) or
** has nothing but rows since the last flush.
*/
#ifndef SHX_SHARD_LIST_H
#define SHX_SHARD_LIST_H

#include "connection.h"

/* Registers what is said above; a code of SQLite. */
int shx_shard_list_register(shx_connection *connection);

#endif
