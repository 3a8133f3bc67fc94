#include "location.h"

#include "../engine/os.h"

#include <stdatomic.h>
#include <string.h>

#define LOCATION_HEADER_BYTES 100
#define LOCATION_RESERVED 20 /* where the header says how many bytes of a page are not SQLite's */

static atomic_bool location_any;

void shx_location_allow_any(bool allowed) { atomic_store(&location_any, allowed); }

/* SQLITE_OK, SQLITE_NOTFOUND when it is none of SQLite's own, SQLITE_NOMEM. */
static int location_vfs_known(sqlite3 *db, const char *schema) {
    static const char *const known[] = {"unix",       "unix-excl", "unix-dotfile", "unix-namedsem", "unix-posix",
                                        "unix-flock", "unix-nfs",  "unix-afp",     "unix-proxy"};
    char *name = NULL;
    bool found = false;
    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_VFSNAME, &name) != SQLITE_OK) return SQLITE_NOTFOUND;
    if (!name) return SQLITE_NOMEM;
    for (size_t i = 0; !found && i < sizeof known / sizeof *known; i++) found = strcmp(name, known[i]) == 0;
    sqlite3_free(name);
    return found ? SQLITE_OK : SQLITE_NOTFOUND;
}

/* The bytes on disk, below any codec of the pager (SEE, SQLCipher), read through SQLite's own descriptor: to open the
** file again and close it would drop SQLite's locks. A build with a codec may leave the header readable, but keeps
** bytes of each page for itself. Nothing can be seen yet in an empty file, nor in one whose later pages were spilled by
** the transaction that makes it: there the header is a hole of zeros. SQLITE_OK, SQLITE_NOTFOUND when it is not plain,
** or why it cannot be read. */
static int location_plain(sqlite3 *db, const char *schema) {
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    bool codec = sqlite3_compileoption_used("HAS_CODEC");
    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return SQLITE_NOTFOUND;
    if (!file || !file->pMethods) return SQLITE_NOTFOUND;
    int rc = file->pMethods->xFileSize(file, &size);
    if (rc != SQLITE_OK) return rc;
    if (size == 0) return codec ? SQLITE_NOTFOUND : SQLITE_OK;
    static const unsigned char unwritten[LOCATION_HEADER_BYTES];
    unsigned char header[LOCATION_HEADER_BYTES];
    rc = file->pMethods->xRead(file, header, sizeof header, 0);
    if (rc != SQLITE_OK) return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_NOTFOUND : rc;
    bool plain = memcmp(header, "SQLite format 3", 16) == 0 && !(codec && header[LOCATION_RESERVED] != 0);
    if (memcmp(header, unwritten, sizeof header) == 0) plain = !codec;
    return plain ? SQLITE_OK : SQLITE_NOTFOUND;
}

const char *shx_location_database(sqlite3 *db, const char *schema) {
    const char *file = sqlite3_db_filename(db, schema);
    return file ? file : "";
}

int shx_location_file(sqlite3 *db, const char *schema, const char **ret_file) {
    const char *file = sqlite3_db_filename(db, schema);
    bool shared = file && file[0] == '/' && !sqlite3_uri_boolean(file, "nolock", 0);
    int rc = shared ? SQLITE_OK : SQLITE_NOTFOUND;
    bool any = atomic_load(&location_any);
    if (rc == SQLITE_OK && !any) rc = location_vfs_known(db, schema);
    if (rc == SQLITE_OK && !any) rc = location_plain(db, schema);
    if (rc != SQLITE_OK && rc != SQLITE_NOTFOUND) return rc;
    *ret_file = rc == SQLITE_OK ? file : "";
    return SQLITE_OK;
}

const char *shx_location_vfs(sqlite3 *db, const char *schema) {
    sqlite3_vfs *vfs = NULL;
    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_VFS_POINTER, &vfs) != SQLITE_OK) vfs = NULL;
    return vfs ? vfs->zName : "";
}

/* With a write-ahead log a commit is as durable as that; with a rollback journal it is when the journal's end is: when
** its name is gone for good, or its truncated or zeroed head is on disk. */
bool shx_location_make_durable(sqlite3 *db, const char *schema, const char *file) {
    sqlite3_file *journal = NULL;
    int rc = sqlite3_file_control(db, schema, SQLITE_FCNTL_JOURNAL_POINTER, &journal);
    if (rc == SQLITE_OK && journal && journal->pMethods) rc = journal->pMethods->xSync(journal, SQLITE_SYNC_NORMAL);
    return rc == SQLITE_OK && shx_sync_beside(file) == SHX_OK;
}
