/* Commands: INSERT INTO t(t) VALUES('optimize').
*/
#ifndef SHX_COMMAND_H
#define SHX_COMMAND_H

#include "table.h"

/* Runs a command given as a value. They act on the committed state from which the transaction started. */
int shx_command_run(shx_table *table, sqlite3_value *command);

/* Brings the directory up to the newest committed state; *ret_status says how the directory took it. */
int shx_command_catch_up(shx_table *table, const shx_id *commit, shx_status *ret_status);

#endif
