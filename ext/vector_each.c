#include "vector_each.h"

#include "statements.h"
#include "table_function.h"
#include "vector_value.h"

typedef struct each_rows {
    shx_rows rows;
    shx_vector vector;
} each_rows;

static int each_begin(shx_rows *rows, sqlite3_value *const *arguments, char **ret_message) {
    each_rows *each = (each_rows *)rows;
    int rc = shx_vector_read_as(arguments[0], shx_vector_element(arguments[0]), &each->vector, ret_message);
    rows->count = each->vector.dim;
    return rc;
}

static int each_column(shx_rows *rows, sqlite3_context *context, int column, char **ret_message) {
    const shx_vector *vector = &((each_rows *)rows)->vector;
    uint32_t at = (uint32_t)rows->at;
    (void)column, (void)ret_message;
    if (vector->element == SHX_BIT) {
        sqlite3_result_int(context, (int)shx_vector_number(vector, at ^ 7)); /* the mirrored place in its byte */
    } else if (vector->element == SHX_INT8) {
        sqlite3_result_int(context, (int)shx_vector_number(vector, at));
    } else {
        sqlite3_result_double(context, (double)shx_vector_number(vector, at));
    }
    return SQLITE_OK;
}

static void each_end(shx_rows *rows) { shx_vector_clear(&((each_rows *)rows)->vector); }

static const shx_table_function EACH_FUNCTION = {
    .name = "vec_each",
    .declaration = SHX_SQL_DECLARE_EACH,
    .needs = "a vector: vec_each(v)",
    .columns = 1,
    .arguments = 1,
    .innocuous = true,
    .rows = 1000,
    .size = sizeof(each_rows),
    .begin = each_begin,
    .column = each_column,
    .end = each_end,
};

int shx_vector_each_register(sqlite3 *db) {
    sqlite3_stmt *known = NULL;
    bool present = false;
    int rc = sqlite3_prepare_v2(db, SHX_SQL_MODULES, -1, &known, NULL);
    if (rc == SQLITE_NOMEM) return rc;
    while (known && !present && sqlite3_step(known) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(known, 0);
        present = name && sqlite3_stricmp(name, EACH_FUNCTION.name) == 0;
    }
    rc = sqlite3_finalize(known);
    if ((rc & 0xff) == SQLITE_NOMEM) return rc;
    return present ? SQLITE_OK : shx_table_function_register(db, &EACH_FUNCTION, NULL);
}
