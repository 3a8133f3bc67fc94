#include "vector_reader.h"

#include "../engine/vector_file.h"
#include "connection.h"
#include "statements.h"
#include "table_function.h"
#include "vector_argument.h"

#include <string.h>

typedef struct vector_reader {
    shx_rows rows;
    shx_vector_file file;
    char *path; /* sqlite3_free */
} vector_reader;

static int reader_fail(const vector_reader *reader, shx_status status, const char *reason, char **ret_message) {
    if (status == SHX_NOMEM) return SQLITE_NOMEM;
    if (status == SHX_NOTFOUND) reason = "there is no such file";
    if (status == SHX_READONLY) reason = "it may not be read";
    *ret_message = sqlite3_mprintf("shardex: '%s': %s", reader->path, reason ? reason : shx_status_text(status));
    return *ret_message ? SQLITE_ERROR : SQLITE_NOMEM;
}

static int reader_open(vector_reader *reader, sqlite3_value *path, shx_vector_format format, char **ret_message) {
    const char *text = (const char *)sqlite3_value_text(path), *reason = NULL;
    if (!text || strlen(text) != (size_t)sqlite3_value_bytes(path)) {
        *ret_message = sqlite3_mprintf("shardex: expected the path of a file");
        return SQLITE_ERROR;
    }
    reader->path = sqlite3_mprintf("%s", text);
    if (!reader->path) return SQLITE_NOMEM;
    shx_file *file = NULL;
    shx_status status = shx_file_open_path(text, &file);
    if (status == SHX_IO) reason = "it is no regular file, or a symbolic link";
    if (status == SHX_OK) status = shx_vector_file_open(file, format, &reader->file, &reason);
    if (status != SHX_OK) return reader_fail(reader, status, reason, ret_message);
    reader->rows.count = (sqlite3_int64)reader->file.count;
    return SQLITE_OK;
}

static int reader_open_npy(shx_rows *rows, sqlite3_value *const *arguments, char **ret_message) {
    return reader_open((vector_reader *)rows, arguments[0], SHX_FORMAT_NPY, ret_message);
}

static int reader_open_fvecs(shx_rows *rows, sqlite3_value *const *arguments, char **ret_message) {
    return reader_open((vector_reader *)rows, arguments[0], SHX_FORMAT_FVECS, ret_message);
}

static int reader_column(shx_rows *rows, sqlite3_context *context, int column, char **ret_message) {
    vector_reader *reader = (vector_reader *)rows;
    const char *reason = NULL;
    shx_vector vector;
    (void)column;
    if (!shx_vector_make(context, reader->file.element, reader->file.dim, &vector)) return SQLITE_NOMEM;
    shx_status status = shx_vector_file_read(&reader->file, (uint64_t)rows->at, vector.data, &reason);
    if (status == SHX_OK) {
        shx_vector_result(context, &vector);
        return SQLITE_OK;
    }
    shx_vector_clear(&vector);
    return reader_fail(reader, status, reason, ret_message);
}

static void reader_close(shx_rows *rows) {
    vector_reader *reader = (vector_reader *)rows;
    shx_vector_file_close(&reader->file);
    sqlite3_free(reader->path);
}

static const shx_table_function READER_NPY = {
    .name = "shardex_npy",
    .declaration = SHX_SQL_DECLARE_READER,
    .needs = "the path of a file: shardex_npy('vectors.npy')",
    .columns = 1,
    .arguments = 1,
    .rows = 100000,
    .size = sizeof(vector_reader),
    .begin = reader_open_npy,
    .column = reader_column,
    .end = reader_close,
};

static const shx_table_function READER_FVECS = {
    .name = "shardex_fvecs",
    .declaration = SHX_SQL_DECLARE_READER,
    .needs = "the path of a file: shardex_fvecs('vectors.fvecs')",
    .columns = 1,
    .arguments = 1,
    .rows = 100000,
    .size = sizeof(vector_reader),
    .begin = reader_open_fvecs,
    .column = reader_column,
    .end = reader_close,
};

int shx_vector_reader_register(sqlite3 *db) {
    int rc = shx_table_function_register(db, &READER_NPY, NULL);
    return rc == SQLITE_OK ? shx_table_function_register(db, &READER_FVECS, NULL) : rc;
}
