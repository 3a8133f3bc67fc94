/* The integrity check: shadow tables against each other, the index against them, and the index's files in themselves.
*/
#ifndef SHX_INTEGRITY_H
#define SHX_INTEGRITY_H

#include "table.h"

/* SQLITE_OK when all is well, SQLITE_CORRUPT_VTAB with a message that names the first few problems. The index is
** compared only when the transaction has no uncommitted changes and the index holds the present state: a missing or
** late index is no damage. */
int shx_integrity_check(shx_table *table);

#endif
