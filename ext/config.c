#include "config.h"

#include "location.h"

#include <stddef.h>

static void config_set_or_get(sqlite3_context *context, int count, sqlite3_value **arguments) {
    const char *name = (const char *)sqlite3_value_text(arguments[0]);
    if (!name || sqlite3_stricmp(name, "any_vfs") != 0) {
        char *message = sqlite3_mprintf("shardex_config: unknown setting '%s', expected 'any_vfs'", name ? name : "");
        sqlite3_result_error(context, message ? message : "out of memory", -1);
        sqlite3_free(message);
        return;
    }
    if (count > 1) {
        int value = sqlite3_value_int(arguments[1]);
        if (sqlite3_value_numeric_type(arguments[1]) != SQLITE_INTEGER || (value != 0 && value != 1)) {
            sqlite3_result_error(context, "shardex_config: 'any_vfs' is 0 or 1", -1);
            return;
        }
        shx_location_allow_any(value);
    }
    sqlite3_result_int(context, shx_location_any_allowed());
}

int shx_config_register(sqlite3 *db) {
    int rc = SQLITE_OK;
    for (int count = 1; count <= 2 && rc == SQLITE_OK; count++) {
        rc = sqlite3_create_function_v2(db, "shardex_config", count, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
                                        config_set_or_get, NULL, NULL, NULL);
    }
    return rc;
}
