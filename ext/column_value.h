/* What a filterable column holds after its affinity was applied, in the engine's terms. The index gets values as
** SQLite stores and reads them, not as they were given: '5' in an INTEGER column is the number 5.
*/
#ifndef SHX_COLUMN_VALUE_H
#define SHX_COLUMN_VALUE_H

#include "sqlite_api.h"

#include "../engine/value.h"
#include "affinity.h"

/* Applies the affinity to a value. Text and blobs are borrowed from the value, or from *ret_copy, which is the caller's
** (sqlite3_value_free; NULL when none was needed). Codes of SQLite. */
int shx_column_value(sqlite3_value *value, shx_affinity affinity, sqlite3_value **ret_copy, shx_value *ret_value);

/* The value in a message: its text, or what it is. Valid as the value is. */
const char *shx_column_words(sqlite3_value *value);

#endif
