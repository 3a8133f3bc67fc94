/* The CREATE TABLE text that tells SQLite the columns of a table, and their positions.
**
** Without a declared key the first column is a visible one named rowid, as in sqlite-vec: `SELECT *` shows it first,
** and `INSERT INTO t VALUES (1, …)` takes the id first. For a virtual table SQLite keeps the words INTEGER PRIMARY KEY
** only for PRAGMA table_info: the column, and a declared key likewise, is an ordinary column of number `rowid` below,
** and a column's name goes before SQLite's own meaning of rowid. NOT NULL lets it ask for min(rowid) by an order, as it
** does for max(rowid). Therefore
**
**     xColumn      is asked for it and answers the row's id
**     xBestIndex   sees constraints on it under that number, and under -1 when written as _rowid_ or oid (and under -1
**                  for rowid when the declared key has another name)
**     xUpdate      gets the id of an INSERT in argv[2 + rowid], NULL when not given; in argv[1] when it was inserted as
**                  _rowid_ or oid; both must be looked at. An UPDATE has the old id in argv[0] and again in argv[1] (or
**                  a new one there after SET _rowid_ =), and the new value of the column in argv[2 + rowid]
**
** The vector is declared as BLOB: "float" would be REAL affinity. Types of other columns stand as written, since SQLite
** applies the affinity of the declared column when it compares. Only types that the grammar knows get here, so none can
** hold the word HIDDEN.
*/
#include "declare.h"

#include "../engine/memory.h"

#include <assert.h>
#include <string.h>

/* A text under construction. After a failed allocation it swallows the rest. */
typedef struct schema_text {
    char *text;
    uint64_t length, capacity;
    bool failed;
} schema_text;

static void schema_append(schema_text *schema, const char *text, size_t size) {
    void *block = schema->text;
    if (schema->failed || shx_grow(&block, &schema->capacity, schema->length + size + 1, 1) != SHX_OK) {
        schema->failed = true;
        return;
    }
    schema->text = block;
    memcpy(schema->text + schema->length, text, size);
    schema->length += size;
    schema->text[schema->length] = '\0';
}

static void schema_write(schema_text *schema, const char *text) { schema_append(schema, text, strlen(text)); }

/* The name in double quotes, each inner one doubled. */
static void schema_name(schema_text *schema, const char *name) {
    schema_write(schema, "\"");
    for (const char *quote; (quote = strchr(name, '"')); name = quote + 1) {
        schema_append(schema, name, (size_t)(quote - name) + 1);
        schema_write(schema, "\"");
    }
    schema_write(schema, name);
    schema_write(schema, "\"");
}

static void schema_column(schema_text *schema, const shx_column *column) {
    schema_name(schema, column->name);
    schema_write(schema, " ");
    switch (column->role) {
    case SHX_COLUMN_VECTOR: schema_write(schema, "BLOB"); break;
    case SHX_COLUMN_KEY: schema_write(schema, "INTEGER PRIMARY KEY"); break;
    case SHX_COLUMN_PLAIN:
    case SHX_COLUMN_AUXILIARY: schema_write(schema, column->type); break;
    }
    if (column->not_null || column->role == SHX_COLUMN_KEY) schema_write(schema, " NOT NULL");
    schema_write(schema, ", ");
}

char *shx_declaration_schema(const shx_declaration *declaration, const char *table) {
    schema_text schema = {0};
    schema_write(&schema, "CREATE TABLE x(");
    if (declaration->key_column < 0) schema_write(&schema, "\"rowid\" INTEGER PRIMARY KEY NOT NULL, ");
    for (uint32_t i = 0; i < declaration->column_count; i++) schema_column(&schema, &declaration->columns[i]);
    schema_name(&schema, table);
    schema_write(&schema, " HIDDEN, \"distance\" REAL HIDDEN, \"k\" INTEGER HIDDEN, \"recall\" REAL HIDDEN, "
                          "\"exact\" INTEGER HIDDEN)");
    if (!schema.failed) return schema.text;
    shx_free(schema.text);
    return NULL;
}

shx_schema_columns shx_declaration_columns(const shx_declaration *declaration) {
    shx_schema_columns at;
    at.first = declaration->key_column < 0 ? 1 : 0;
    at.rowid = declaration->key_column < 0 ? 0 : declaration->key_column;
    at.command = at.first + (int)declaration->column_count;
    at.distance = at.command + 1;
    at.k = at.command + 2;
    at.recall = at.command + 3;
    at.exact = at.command + 4;
    at.count = at.command + 5;
    assert(at.rowid < at.command);
    return at;
}
