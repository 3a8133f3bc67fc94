/* What stands between the parentheses of CREATE VIRTUAL TABLE: parsed as arguments that the input separates by lines,
** and as SQL, where a table that comes to be gets a row, is read, and goes again.
*/
#include "sql.h"

#include "../../ext/declare.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 64

static void parse(char *text) {
    const char *arguments[ARGUMENTS_MAX];
    int count = 0;
    for (char *line = text; line && count < ARGUMENTS_MAX;) {
        char *end = strchr(line, '\n');
        if (end) *end = 0;
        arguments[count++] = line;
        line = end ? end + 1 : NULL;
    }
    shx_declaration *declaration = NULL;
    char *message = NULL;
    shx_status status = shx_declare("t", count, arguments, &declaration, &message);
    if (status == SHX_OK) {
        char *schema = shx_declaration_schema(declaration, "t");
        fuzz_require(schema && shx_declaration_vector_bytes(declaration) > 0);
        fuzz_require(shx_declaration_columns(declaration).count > (int)declaration->column_count);
        shx_free(schema);
        shx_declaration_destroy(declaration);
    } else {
        fuzz_require(status == SHX_MISUSE && message && message[0]);
        shx_free(message);
    }
}

static void create(const char *text) {
    sqlite3 *db = fuzz_sql_open(":memory:");
    char *sql = sqlite3_mprintf("CREATE VIRTUAL TABLE t USING shardex(%s)", text);
    fuzz_sql_run(db, sql);
    fuzz_sql_run(db, "INSERT INTO t DEFAULT VALUES; SELECT * FROM t; SELECT shardex_info('t');"
                     "INSERT INTO t(t) VALUES('integrity-check'); ALTER TABLE t RENAME TO u; DROP TABLE u");
    sqlite3_free(sql);
    fuzz_sql_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    char *text = fuzz_text(&input);
    create(text);
    parse(text);
    free(text);
    fuzz_finish();
    return 0;
}
