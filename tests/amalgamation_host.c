/* A program with shardex linked in: prints the nearest posting of a table in memory. */
#include "shardex.h"

#include <sqlite3.h>
#include <stdio.h>

static int host_print(void *context, int count, char **values, char **names) {
    (void)context, (void)count, (void)names;
    printf("%s %s\n", values[0], values[1]);
    return 0;
}

int main(void) {
    sqlite3 *db = NULL;
    char *message = NULL;
    sqlite3_auto_extension((void (*)(void))sqlite3_shardex_init);
    int rc = sqlite3_open(":memory:", &db);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db,
                          "CREATE VIRTUAL TABLE t USING shardex(v float[2]);"
                          "INSERT INTO t(rowid, v) VALUES (1, '[0, 3]'), (2, '[0.5, 0]');"
                          "SELECT rowid, distance FROM t WHERE v MATCH '[0, 0]' ORDER BY distance LIMIT 1",
                          host_print, NULL, &message);
    }
    if (rc != SQLITE_OK) fprintf(stderr, "%s\n", message ? message : sqlite3_errmsg(db));
    sqlite3_free(message);
    sqlite3_close(db);
    return rc;
}
