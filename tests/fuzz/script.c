/* SQL scripts, whatever they say, against a table in memory. */
#include "sql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    char *text = fuzz_text(&input);
    sqlite3 *db = fuzz_sql_open(":memory:");
    fuzz_sql_make_table(db);
    fuzz_sql_steps();
    fuzz_sql_run(db, text);
    fuzz_sql_close(db);
    free(text);
    fuzz_finish();
    return 0;
}
