#include "shard_list.h"

#include "../engine/container.h"
#include "../engine/layout.h"
#include "../engine/memory.h"
#include "lookup.h"
#include "statements.h"
#include "table_function.h"

typedef struct shard_list {
    shx_rows rows;
    shx_segment_layout *segments; /* of shardex_segments */
    shx_shard_layout *shards;     /* of shardex_shards */
    bool in_memory;
} shard_list;

static int list_take_segments(const shx_snapshot *snapshot, void *context) {
    shard_list *list = context;
    uint64_t count = 0;
    list->in_memory = !snapshot->state->directory;
    shx_status status = snapshot->view ? shx_layout_segments(snapshot->view, &list->segments, &count) : SHX_OK;
    list->rows.count = (sqlite3_int64)count;
    return shx_result_code(status);
}

static int list_take_shards(const shx_snapshot *snapshot, void *context) {
    shard_list *list = context;
    uint64_t count = 0;
    shx_status status = snapshot->view ? shx_layout_shards(snapshot->view, &list->shards, &count) : SHX_OK;
    list->rows.count = (sqlite3_int64)count;
    return shx_result_code(status);
}

static int list_begin_segments(shx_rows *rows, sqlite3_value *const *arguments, char **ret_message) {
    return shx_lookup_visit(rows->owner, arguments[0], arguments[1], list_take_segments, rows, ret_message);
}

static int list_begin_shards(shx_rows *rows, sqlite3_value *const *arguments, char **ret_message) {
    return shx_lookup_visit(rows->owner, arguments[0], arguments[1], list_take_shards, rows, ret_message);
}

static int list_segment(shx_rows *rows, sqlite3_context *context, int column, char **ret_message) {
    const shard_list *list = (const shard_list *)rows;
    const shx_segment_layout *segment = &list->segments[rows->at];
    char name[SHX_FILE_NAME_MAX];
    (void)ret_message;
    switch (column) {
    case 0: sqlite3_result_int64(context, (sqlite3_int64)segment->id); break;
    case 1:
        if (list->in_memory) break;
        shx_file_name(SHX_FILE_SEGMENT, segment->id, name);
        sqlite3_result_text(context, name, -1, SQLITE_TRANSIENT);
        break;
    case 2: sqlite3_result_int64(context, (sqlite3_int64)segment->rows); break;
    case 3: sqlite3_result_int64(context, (sqlite3_int64)segment->dead); break;
    case 4: sqlite3_result_int64(context, segment->shards); break;
    case 5: sqlite3_result_int64(context, (sqlite3_int64)segment->bytes); break;
    }
    return SQLITE_OK;
}

static int list_shard(shx_rows *rows, sqlite3_context *context, int column, char **ret_message) {
    const shx_shard_layout *shard = &((const shard_list *)rows)->shards[rows->at];
    (void)ret_message;
    switch (column) {
    case 0: sqlite3_result_int64(context, (sqlite3_int64)shard->id); break;
    case 1: sqlite3_result_int(context, shard->open); break;
    case 2: sqlite3_result_int64(context, (sqlite3_int64)shard->rows); break;
    case 3: sqlite3_result_int64(context, (sqlite3_int64)shard->dead); break;
    case 4: sqlite3_result_int64(context, shard->segments); break;
    case 5: sqlite3_result_double(context, shard->scatter); break;
    }
    return SQLITE_OK;
}

static void list_end(shx_rows *rows) {
    shx_free(((shard_list *)rows)->segments);
    shx_free(((shard_list *)rows)->shards);
}

static const shx_table_function LIST_SEGMENTS = {
    .name = "shardex_segments",
    .declaration = SHX_SQL_DECLARE_SEGMENTS,
    .needs = "the name of a table: shardex_segments('t')",
    .columns = 6,
    .arguments = 2,
    .rows = 8,
    .size = sizeof(shard_list),
    .begin = list_begin_segments,
    .column = list_segment,
    .end = list_end,
};

static const shx_table_function LIST_SHARDS = {
    .name = "shardex_shards",
    .declaration = SHX_SQL_DECLARE_SHARDS,
    .needs = "the name of a table: shardex_shards('t')",
    .columns = 6,
    .arguments = 2,
    .rows = 1000,
    .size = sizeof(shard_list),
    .begin = list_begin_shards,
    .column = list_shard,
    .end = list_end,
};

int shx_shard_list_register(shx_connection *connection) {
    int rc = shx_table_function_register(connection->db, &LIST_SEGMENTS, connection);
    return rc == SQLITE_OK ? shx_table_function_register(connection->db, &LIST_SHARDS, connection) : rc;
}
