/* The declaration of a table: what stands between the parentheses of CREATE VIRTUAL TABLE … USING shardex( … ).
**
** Pure: text in, structure or message out; no database. The grammar stands on top of declare.c, how messages read in
** words.h, what the schema means to the callbacks of a virtual table on top of declare_schema.c.
*/
#ifndef SHX_DECLARE_H
#define SHX_DECLARE_H

#include "../engine/quantizer.h"
#include "../engine/routing.h"
#include "../engine/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum shx_column_role {
    SHX_COLUMN_VECTOR,    /* the embedding; exactly one */
    SHX_COLUMN_PLAIN,     /* usable in filters; in the narrow shadow table */
    SHX_COLUMN_AUXILIARY, /* `+name`: stored, never filtered in the scan; in its own shadow table */
    SHX_COLUMN_KEY,       /* `name INTEGER PRIMARY KEY`: another name for the rowid */
} shx_column_role;

typedef struct shx_column {
    char *name; /* unquoted */
    char *type; /* the SQL type as written, "" when none; for the vector its element type */
    shx_column_role role;
    bool not_null;
} shx_column;

typedef struct shx_declaration {
    shx_column *columns; /* in the order of the statement */
    uint32_t column_count;
    uint32_t vector_column; /* position of the vector in columns */
    int32_t key_column;     /* position of the primary key, -1 when there is none */
    uint32_t plain_count, auxiliary_count;
    uint32_t group; /* 1 + which plain column is the first partition or document key; 0: none is */
    shx_element element;
    uint32_t dim;
    shx_metric metric;
    double recall;       /* option recall=, default 0.95 */
    uint32_t shard_size; /* options, 0 = default */
    uint32_t flush_rows;
    uint32_t threads;
    bool memory_only;
    shx_routing_wish routing; /* router=, graph_m=, graph_ef= */
} shx_declaration;

/* Parses the arguments of xCreate/xConnect (argv[3] …). `table` is the table's own name (a column may not have it). On
** SHX_MISUSE *ret_message is a text (shx_free) that says what was read, what was expected and where. */
shx_status shx_declare(const char *table, int argument_count, const char *const *arguments,
                       shx_declaration **ret_declaration, char **ret_message);

/* May the table be renamed to `table`? Else SHX_MISUSE and a message as above. */
shx_status shx_declaration_rename(const shx_declaration *declaration, const char *table, char **ret_message);
void shx_declaration_destroy(shx_declaration *declaration);

/* Bytes of one vector. */
static inline size_t shx_declaration_vector_bytes(const shx_declaration *declaration) {
    return shx_element_bytes(declaration->element, declaration->dim);
}

/* The CREATE TABLE text for sqlite3_declare_vtab: `rowid` unless there is a key, the columns in order, then hidden: the
** table's name (commands), distance, k, recall, exact. NULL when out of memory; shx_free. */
char *shx_declaration_schema(const shx_declaration *declaration, const char *table);

/* Positions in that schema. Without a key, column 0 is a visible column named rowid. */
typedef struct shx_schema_columns {
    int first; /* of declaration->columns[0] */
    int rowid; /* the rowid column or the key */
    int command, distance, k, recall, exact, count;
} shx_schema_columns;

shx_schema_columns shx_declaration_columns(const shx_declaration *declaration);

#endif
