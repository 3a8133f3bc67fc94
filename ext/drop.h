/* The directories of dropped tables, which go once it is certain that nothing brings the table back.
**
** Behind xDestroy SQLite tells a virtual table nothing: neither that the DROP was committed nor that it was undone, and
** when a connection closes none of its own statements can run. So the database is asked, as everywhere, by a connection
** that is opened for the moment: through the name that the directory goes by, it sees the newest committed state and no
** more. While a table there names the index, or that cannot be told, nothing is removed. Nor is it while anybody uses
** the directory (shx_collect_folder), in this process or another: a later look, or the command gc, comes back to it.
**
** A power cut must not bring the table back either, so its end is made durable first. (With journal_mode=TRUNCATE and
** synchronous=NORMAL it may still do so: then the table has lost its directory, and gets another one.)
*/
#ifndef SHX_DROP_H
#define SHX_DROP_H

#include "connection.h"

/* Remembers that the table of this state was dropped, in a transaction that is under way. Without memory for it the
** directory is left to gc. */
void shx_drops_note(shx_connection *connection, const shx_state *state);

/* Finds out of which of them no table is left. `closing`: the connection runs no statements any more, and what locks
** the database is waited for a little. */
void shx_drops_look(shx_connection *connection, bool closing);

/* Is it certain that no table has this directory any more (NULL: none has)? */
bool shx_drops_has(const shx_connection *connection, const char *directory);

/* Removes the directories of those, as far as nobody uses them: states first let go of theirs. */
void shx_drops_remove(shx_connection *connection);

/* Frees what is remembered. */
void shx_drops_forget(shx_connection *connection);

#endif
