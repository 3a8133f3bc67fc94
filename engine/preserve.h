/* Preserving: what this process has brought up to date in memory only (reconcile.h) is written for everybody.
**
** A record says "from commit P, these operations lead to commit C", which stays true whatever has become of the table
** since: no look at the database is needed, and no lock that anybody waits for.
*/
#ifndef SHX_PRESERVE_H
#define SHX_PRESERVE_H

#include "index.h"

/* Writes the records that stand in no file yet: those that lead to the view (of any origin; NULL: none), and those that
** the process was supplied with. Fails with the directory's status, and is as good as not called then. */
shx_status shx_index_preserve(shx_index *index, const shx_view *view);

#endif
