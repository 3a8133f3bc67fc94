#include "config.h"

#include "location.h"

#include <stdbool.h>
#include <pthread.h>
#include <string.h>

/* Long enough for a path; a setting is never freed, so that no order of ending a process can hurt. */
#define CONFIG_VALUE_SIZE 4096

typedef struct config_entry {
    const char *name;
    const char *expected; /* completes "… is" */
    bool (*accepts)(const char *value);
    char value[CONFIG_VALUE_SIZE];
    bool whole; /* the value is a whole number */
} config_entry;

static bool config_accepts_flag(const char *value) { return strcmp(value, "0") == 0 || strcmp(value, "1") == 0; }

static bool config_accepts_directory(const char *value) { return value[0] == '\0' || value[0] == '/'; }

static bool config_accepts_progress(const char *value) {
    return strcmp(value, "auto") == 0 || strcmp(value, "on") == 0 || strcmp(value, "off") == 0;
}

static config_entry config_entries[SHX_CONFIG_KEYS] = {
    [SHX_CONFIG_ANY_VFS] = {"any_vfs", "0 or 1", config_accepts_flag, "0", true},
    [SHX_CONFIG_DIRECTORY] = {"directory", "an absolute path, or '' for beside the database", config_accepts_directory,
                              "", false},
    [SHX_CONFIG_PROGRESS] = {"progress", "'auto', 'on' or 'off'", config_accepts_progress, "auto", false},
};

static pthread_mutex_t config_mutex = PTHREAD_MUTEX_INITIALIZER; /* SQLite may have none (extension.c) */

char *shx_config_get(shx_config_key key) {
    pthread_mutex_lock(&config_mutex);
    char *value = sqlite3_mprintf("%s", config_entries[key].value);
    pthread_mutex_unlock(&config_mutex);
    return value;
}

static void config_refuse(sqlite3_context *context, char *message) {
    if (message) {
        sqlite3_result_error(context, message, -1);
    } else {
        sqlite3_result_error_nomem(context);
    }
    sqlite3_free(message);
}

static void config_refuse_key(sqlite3_context *context, const char *name) {
    sqlite3_str *known = sqlite3_str_new(NULL);
    for (int key = 0; key < SHX_CONFIG_KEYS; key++) {
        sqlite3_str_appendf(known, "%s'%s'", key == 0 ? "" : ", ", config_entries[key].name);
    }
    char *list = sqlite3_str_finish(known);
    config_refuse(context, sqlite3_mprintf("shardex_config: unknown setting '%s', expected one of %s", name ? name : "",
                                           list ? list : ""));
    sqlite3_free(list);
}

static void config_function(sqlite3_context *context, int count, sqlite3_value **arguments) {
    const char *name = (const char *)sqlite3_value_text(arguments[0]);
    int key = 0;
    while (key < SHX_CONFIG_KEYS && !(name && sqlite3_stricmp(name, config_entries[key].name) == 0)) key++;
    if (key == SHX_CONFIG_KEYS) {
        config_refuse_key(context, name);
        return;
    }
    config_entry *entry = &config_entries[key];
    const char *value = count > 1 ? (const char *)sqlite3_value_text(arguments[1]) : NULL;
    if (count > 1 && !(value && strlen(value) < CONFIG_VALUE_SIZE && entry->accepts(value))) {
        config_refuse(context, sqlite3_mprintf("shardex_config: '%s' is %s, not '%s'", entry->name,
                                               entry->expected, value ? value : "NULL"));
        return;
    }
    if (value) {
        pthread_mutex_lock(&config_mutex);
        sqlite3_snprintf(CONFIG_VALUE_SIZE, entry->value, "%s", value);
        pthread_mutex_unlock(&config_mutex);
        if (key == SHX_CONFIG_ANY_VFS) shx_location_allow_any(value[0] == '1');
    }
    char *present = shx_config_get((shx_config_key)key);
    if (!present) {
        sqlite3_result_error_nomem(context);
    } else if (entry->whole) {
        sqlite3_result_int(context, present[0] - '0');
        sqlite3_free(present);
    } else {
        sqlite3_result_text(context, present, -1, sqlite3_free);
    }
}

int shx_config_register(sqlite3 *db) {
    int rc = SQLITE_OK;
    for (int count = 1; count <= 2 && rc == SQLITE_OK; count++) {
        rc = sqlite3_create_function_v2(db, "shardex_config", count, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
                                        config_function, NULL, NULL, NULL);
    }
    return rc;
}
