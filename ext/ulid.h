/* ULIDs: 128-bit ids that sort by the time they were made, as 26 letters and digits (Crockford's base 32), 10 of the
** time in milliseconds since 1970 and 16 of chance. See github.com/ulid/spec.
**
** shardex_ulid() is a new one, above all others of this connection: in the same millisecond, or where the clock went
** back, it is the last one plus 1. shardex_ulid_time(ulid) is its time in seconds since 1970, to the millisecond, for
** datetime(…, 'unixepoch'); it takes the text, in either case of letters, or the 16 bytes as a BLOB. NULL gives NULL,
** anything else is an error.
*/
#ifndef SHX_ULID_H
#define SHX_ULID_H

#include "sqlite_api.h"

/* Registers what is said above; a code of SQLite. */
int shx_ulid_register(sqlite3 *db);

#endif
