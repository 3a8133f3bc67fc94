#include "ulid.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ULID_BYTES 16
#define ULID_TIME_BYTES 6 /* big-endian, as all of it */
#define ULID_LETTERS 26
#define ULID_EPOCH 210866760000000 /* 1970, in milliseconds of the Julian day */

static const char ulid_letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* ---- text ---- */

/* Five bits a letter, the first of which stands for the upper three. */
static void ulid_write(const uint8_t ulid[ULID_BYTES], char ret_text[ULID_LETTERS + 1]) {
    for (int i = 0; i < ULID_LETTERS; i++) {
        unsigned value = 0;
        for (int bit = 5 * i - 2; bit < 5 * i + 3; bit++) {
            value = value << 1 | (bit >= 0 ? ulid[bit / 8] >> (7 - bit % 8) & 1u : 0);
        }
        ret_text[i] = ulid_letters[value];
    }
    ret_text[ULID_LETTERS] = '\0';
}

static bool ulid_read(const char *text, size_t size, uint8_t ret_ulid[ULID_BYTES]) {
    if (size != ULID_LETTERS) return false;
    memset(ret_ulid, 0, ULID_BYTES);
    for (int i = 0; i < ULID_LETTERS; i++) {
        char letter = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 'a' + 'A') : text[i];
        const char *found = letter ? strchr(ulid_letters, letter) : NULL;
        if (!found || (i == 0 && found - ulid_letters > 7)) return false;
        for (int bit = 5 * i - 2; bit < 5 * i + 3; bit++) {
            if (bit >= 0)
                ret_ulid[bit / 8] |= (uint8_t)(((found - ulid_letters) >> (5 * i + 2 - bit) & 1) << (7 - bit % 8));
        }
    }
    return true;
}

/* ---- time ---- */

static uint64_t ulid_time(const uint8_t ulid[ULID_BYTES]) {
    uint64_t time = 0;
    for (int i = 0; i < ULID_TIME_BYTES; i++) time = time << 8 | ulid[i];
    return time;
}

/* Milliseconds since 1970, by the clock that SQLite's own functions of time go by. 0 where there is none. */
static uint64_t ulid_now(void) {
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_int64 now = 0;
    double days = 0;
    if (vfs && vfs->iVersion >= 2 && vfs->xCurrentTimeInt64) {
        if (vfs->xCurrentTimeInt64(vfs, &now) != SQLITE_OK) now = 0;
    } else if (vfs && vfs->xCurrentTime(vfs, &days) == SQLITE_OK) {
        now = (sqlite3_int64)(days * 86400000);
    }
    return now > ULID_EPOCH ? (uint64_t)(now - ULID_EPOCH) : 0;
}

/* ---- functions ---- */

/* The one after `last`, which is the connection's; it may count up into the time. */
static void ulid_next(uint8_t last[ULID_BYTES]) {
    uint64_t now = ulid_now();
    if (now > ulid_time(last)) {
        for (int i = 0; i < ULID_TIME_BYTES; i++) last[i] = (uint8_t)(now >> 8 * (ULID_TIME_BYTES - 1 - i));
        sqlite3_randomness(ULID_BYTES - ULID_TIME_BYTES, last + ULID_TIME_BYTES);
        return;
    }
    for (int i = ULID_BYTES - 1; i >= 0 && ++last[i] == 0; i--) {
    }
}

static void ulid_function(sqlite3_context *context, int count, sqlite3_value **values) {
    uint8_t *last = sqlite3_user_data(context);
    char text[ULID_LETTERS + 1];
    (void)count, (void)values;
    ulid_next(last);
    ulid_write(last, text);
    sqlite3_result_text(context, text, ULID_LETTERS, SQLITE_TRANSIENT);
}

static void ulid_time_function(sqlite3_context *context, int count, sqlite3_value **values) {
    uint8_t ulid[ULID_BYTES];
    (void)count;
    int type = sqlite3_value_type(values[0]);
    if (type == SQLITE_NULL) return;
    const void *bytes = type == SQLITE_BLOB ? sqlite3_value_blob(values[0]) : sqlite3_value_text(values[0]);
    size_t size = (size_t)sqlite3_value_bytes(values[0]);
    bool good = bytes && (type == SQLITE_BLOB ? size == ULID_BYTES : ulid_read(bytes, size, ulid));
    if (!good) {
        sqlite3_result_error(context, "shardex_ulid_time: expected a ULID, 26 letters and digits or a BLOB of 16 bytes",
                             -1);
        return;
    }
    if (type == SQLITE_BLOB) memcpy(ulid, bytes, ULID_BYTES);
    sqlite3_result_double(context, (double)ulid_time(ulid) / 1000);
}

int shx_ulid_register(sqlite3 *db) {
    uint8_t *last = sqlite3_malloc64(ULID_BYTES);
    if (!last) return SQLITE_NOMEM;
    memset(last, 0, ULID_BYTES);
    int rc = sqlite3_create_function_v2(db, "shardex_ulid", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, last, ulid_function,
                                        NULL, NULL, sqlite3_free);
    if (rc != SQLITE_OK) return rc;
    return sqlite3_create_function_v2(db, "shardex_ulid_time", 1, SQLITE_UTF8 | SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC,
                                      NULL, ulid_time_function, NULL, NULL, NULL);
}
