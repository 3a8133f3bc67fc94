/* plain.h as a virtual table: what SQL takes at the least, however quick the search is.
**
**     SELECT rowid, distance FROM plain_table(?1, ?2)      the ?2 nearest to the vector ?1
**     SELECT rowid, distance FROM plain_table(?1, ?2, 1)   those at a distance of at most ?2
**     SELECT rowid, distance FROM plain_table(?1, ?2, 2)   as many rows as ?2 says of those that the last one found:
**                                                          nothing is searched, which leaves SQLite's own part
*/
#ifndef BENCH_PLAIN_TABLE_H
#define BENCH_PLAIN_TABLE_H

#include <sqlite3.h>

#include "plain.h"

/* What the table searches; set it before each query. `hits` has room for all rows. */
typedef struct {
    const plain_rows *rows;
    plain_hit *hits;
} plain_source;

/* Adds the table to a connection; `source` must outlive it. */
void plain_table_add(sqlite3 *db, const plain_source *source);

#endif
