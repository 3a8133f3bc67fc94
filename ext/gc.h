/* The command `gc`: removes what lies beside a database and belongs to nothing in it.
*/
#ifndef SHX_GC_H
#define SHX_GC_H

#include "table.h"

/* Removes the directories of indexes that no table of the database has (of tables that were dropped, or whose creation
** was rolled back). Runs in a write transaction of its own, which is what makes it safe: nobody creates a table
** meanwhile, and what is committed has been made durable, so that no power cut brings a table back. */
int shx_gc_run(shx_table *table);

#endif
