/* xBestIndex: between SQLite's description of a query and the planner.
*/
#ifndef SHX_BEST_INDEX_H
#define SHX_BEST_INDEX_H

#include "sqlite_api.h"

/* Module method xBestIndex. */
int shx_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);

#endif
