/* A shards file of each way: opened, and routed through to the end. */
#include "fuzz.h"

#include "router.h"

#include <stdlib.h>

#define SHARDS_ID UINT64_C(6) /* as in unit/shards_test.c, which makes the golden files */
#define SHARDS_NAME "shards-0000000000000006"
#define SHARDS_CODE_DIM 64

static const shx_id shards_uuid = {{8}};

static void route(const shx_shards *table, fuzz_input *input) {
    shx_query *query;
    shx_router router = {0};
    uint8_t *given = calloc(table->count + 1, 1);
    fuzz_require(given && shx_query_create(SHARDS_CODE_DIM, &query) == SHX_OK);
    for (int q = 0; q < 2; q++) {
        for (int d = 0; d < SHARDS_CODE_DIM; d++) query->point[d] = (float)(int8_t)fuzz_number(input, 1) / 4;
        query->norm = 0;
        shx_query_tabulate(query);
        fuzz_require(shx_router_start(&router, table, NULL, query, q == 1) == SHX_OK);
        for (uint64_t i = 0; i < table->count; i++) given[i] = 0;
        uint64_t count = 0, open = 0;
        for (shx_route route; shx_router_next(&router, &route); count++) {
            fuzz_require(route.shard < table->count && !given[route.shard]);
            given[route.shard] = 1;
        }
        for (uint64_t i = 0; i < table->count; i++) open += q == 0 || table->open[i];
        fuzz_require(count == open);
    }
    shx_router_free(&router);
    shx_query_destroy(query);
    free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"shards.bin", "shards_levels.bin", "shards_graph.bin"};
    static fuzz_file golden[3];
    fuzz_input input = {data, size};
    fuzz_setup();
    for (int i = 0; i < 3 && !golden[i].bytes; i++) golden[i] = fuzz_golden(names[i]);
    bool sealed = fuzz_number(&input, 1) % 4 != 0;
    fuzz_file file = fuzz_edit(&golden[fuzz_number(&input, 1) % 3], &input);
    if (sealed) fuzz_seal(&file, SHX_FILE_SHARDS, &shards_uuid, SHARDS_ID, 0);
    shx_store *store = fuzz_store();
    fuzz_store_put(store, SHARDS_NAME, &file);
    shx_shards *table;
    shx_status status = shx_shards_open(store, &shards_uuid, SHARDS_ID, SHARDS_CODE_DIM, &table);
    fuzz_require(status == SHX_OK || status == SHX_CORRUPT);
    if (status == SHX_OK) {
        uint32_t position;
        for (uint64_t i = 0; i < table->count; i++) {
            fuzz_require(shx_shards_find(table, table->ids[i], &position) && position == i);
        }
        route(table, &input);
        shx_shards_release(table);
    }
    free(file.bytes);
    shx_store_close(store);
    fuzz_finish();
    return 0;
}
