#include "location.h"

#include <stdatomic.h>
#include <string.h>

#define LOCATION_HEADER_BYTES 100
#define LOCATION_RESERVED 20 /* where the header says how many bytes of a page are not SQLite's */

static atomic_bool location_any;

void shx_location_allow_any(bool allowed) { atomic_store(&location_any, allowed); }

static bool location_vfs_known(sqlite3 *db, const char *schema) {
    static const char *const known[] = {"unix",       "unix-excl", "unix-dotfile", "unix-namedsem", "unix-posix",
                                        "unix-flock", "unix-nfs",  "unix-afp",     "unix-proxy"};
    char *name = NULL;
    bool found = false;
    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_VFSNAME, &name) != SQLITE_OK) name = NULL;
    for (size_t i = 0; name && !found && i < sizeof known / sizeof *known; i++) found = strcmp(name, known[i]) == 0;
    sqlite3_free(name);
    return found;
}

/* The bytes on disk, below any codec of the pager (SEE, SQLCipher), read through SQLite's own descriptor: to open the
** file again and close it would drop SQLite's locks. A build with a codec may leave the header readable, but keeps
** bytes of each page for itself. Nothing can be seen yet in an empty file, nor in one whose later pages were spilled by
** the transaction that makes it: there the header is a hole of zeros. */
static bool location_plain(sqlite3 *db, const char *schema) {
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    bool codec = sqlite3_compileoption_used("HAS_CODEC");
    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return false;
    if (!file || !file->pMethods || file->pMethods->xFileSize(file, &size) != SQLITE_OK) return false;
    if (size == 0) return !codec;
    static const unsigned char unwritten[LOCATION_HEADER_BYTES];
    unsigned char header[LOCATION_HEADER_BYTES];
    if (file->pMethods->xRead(file, header, sizeof header, 0) != SQLITE_OK) return false;
    if (memcmp(header, unwritten, sizeof header) == 0) return !codec;
    return memcmp(header, "SQLite format 3", 16) == 0 && !(codec && header[LOCATION_RESERVED] != 0);
}

const char *shx_location_database(sqlite3 *db, const char *schema) {
    const char *file = sqlite3_db_filename(db, schema);
    return file ? file : "";
}

const char *shx_location_file(sqlite3 *db, const char *schema) {
    const char *file = sqlite3_db_filename(db, schema);
    if (!file || file[0] != '/' || sqlite3_uri_boolean(file, "nolock", 0)) return "";
    if (atomic_load(&location_any)) return file;
    return location_vfs_known(db, schema) && location_plain(db, schema) ? file : "";
}
