/* Connections of fuzz targets: with the extension, in memory, and kept from doing what no input may ask for.
*/
#ifndef SHX_TEST_FUZZ_SQL_H
#define SHX_TEST_FUZZ_SQL_H

#include "../../ext/sqlite_api.h"

#include "fuzz.h"

/* Opens a database, with limits: no other files, settings of the process or of memory, loaded extensions; a number of
** steps (fuzz_sql_steps); sizes. */
sqlite3 *fuzz_sql_open(const char *path);

/* Rolls back and closes. */
void fuzz_sql_close(sqlite3 *db);

/* Gives a connection its steps anew: about a tenth of a second of SQLite's own work. */
void fuzz_sql_steps(void);

/* Runs SQL that an input made up, statement by statement, whatever becomes of each. */
void fuzz_sql_run(sqlite3 *db, const char *sql);

/* Runs the harness's own SQL, to which nothing is denied, with its steps anew; the code that came of it. */
int fuzz_sql_try(sqlite3 *db, const char *sql);

/* Runs the harness's own SQL, which must work. */
void fuzz_sql_must(sqlite3 *db, const char *sql);

/* Binds a value that the input describes: a byte, modulo 5: null, integer (1 to 8 bytes), real, text, blob. */
void fuzz_sql_bind(sqlite3_stmt *statement, int parameter, fuzz_input *input);

/* Makes a table `t` of ten rows or so; and does something to it, or asks it something: every way in has its number. */
void fuzz_sql_make_table(sqlite3 *db);
void fuzz_sql_battery(sqlite3 *db, uint64_t which);

/* Judges a result code: some say that the extension or the harness lost its way. */
void fuzz_sql_judge(sqlite3 *db, int rc, const char *sql);

#endif
