/* `shardex_backup(file [, schema])`: a copy of a database together with the directory beside it, both as of one moment,
** while others go on writing. Gives the full path of the copy.
**
** One read transaction is held from the first index to the last page. The copy's indexes are current when it is opened;
** one that is not current in the original, or whose files cannot be copied, is brought up to date in the copy.
*/
#ifndef SHX_BACKUP_H
#define SHX_BACKUP_H

#include "connection.h"

/* Registers what is said above; a code of SQLite. */
int shx_backup_register(shx_connection *connection);

#endif
