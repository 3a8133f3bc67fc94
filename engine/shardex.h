/* shardex: vector search that lives inside SQLite. The public interface.
**
** Applications load the extension (`.load ./shardex`, sqlite3_load_extension) or link it statically and call
** sqlite3_shardex_init through sqlite3_auto_extension. Everything else is SQL.
*/
#ifndef SHARDEX_H
#define SHARDEX_H

#define SHARDEX_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;
struct sqlite3_api_routines;

/* Registers the module `shardex` and its functions on one connection.
** On failure returns an SQLite error code and sets *error_message to a text from sqlite3_mprintf. */
int sqlite3_shardex_init(struct sqlite3 *db, char **error_message, const struct sqlite3_api_routines *api);

#ifdef __cplusplus
}
#endif
#endif
