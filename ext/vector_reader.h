/* shardex_npy(path), shardex_fvecs(path): the vectors of a file that NumPy has written, or of a .fvecs file, as rows
** (vector), with the rowid from 0 (engine/vector_file.h). For bulk loads: INSERT INTO t(v) SELECT vector FROM …
**
** What reads files is for top-level SQL only, so that no schema can ask for it. The path is as the process would open
** it; symbolic links and what is no regular file are refused.
*/
#ifndef SHX_VECTOR_READER_H
#define SHX_VECTOR_READER_H

#include "sqlite_api.h"

/* Registers what is said above; a code of SQLite. */
int shx_vector_reader_register(sqlite3 *db);

#endif
