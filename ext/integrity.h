/* The integrity check: shadow tables against each other and against their hashes, the index against them, and the
** index's files in themselves. All problems are reported, each as a line of text (no more than ten thousand).
*/
#ifndef SHX_INTEGRITY_H
#define SHX_INTEGRITY_H

#include "table.h"

/* The command: SQLITE_OK when all is well, SQLITE_CORRUPT_VTAB with a message that lists the problems. The index is
** compared only when the transaction has no uncommitted changes and the index holds the present state: a missing or
** late index is no damage. */
int shx_integrity_check(shx_table *table);

/* The module method xIntegrity (SQLite 3.44), behind PRAGMA integrity_check: as above, the problems in *ret_message.
** PRAGMA quick_check (bit 0 of `flags`) looks at the state row only. */
int shx_integrity_pragma(sqlite3_vtab *vtab, const char *schema, const char *name, int flags, char **ret_message);

#endif
