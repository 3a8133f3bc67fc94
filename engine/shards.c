#include "shards.h"

#include "centroid_codes.h"
#include "memory.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(shx_factor_scale) == 16, "a factor scale is 16 bytes on disk");

enum shards_section {
    SHARDS_INFO = 1,
    SHARDS_IDS,
    SHARDS_OPEN,
    SHARDS_CENTROIDS,
    SHARDS_BLOCKS,
    SHARDS_PARENTS,
    SHARDS_PARENT_BLOCKS,
    SHARDS_PARENT_SCALES,
    SHARDS_PARENT_FIRST,
    SHARDS_MEMBERS,
    SHARDS_MEMBER_BLOCKS,
    SHARDS_TOPS,
    SHARDS_LINKS,
    SHARDS_UPPER,
    SHARDS_NODE_SCALES,
    SHARDS_NODE_BLOCKS,
    SHARDS_STEPS,
};

#define SHARDS_INFO_BYTES 64
#define SHARDS_SECTIONS_MAX 12 /* of one table */

const char *shx_route_way_name(shx_route_way way) {
    static const char *const names[SHX_ROUTE_WAYS] = {
        [SHX_ROUTE_FLAT] = "flat", [SHX_ROUTE_LEVELS] = "levels", [SHX_ROUTE_GRAPH] = "graph"};
    return names[way];
}

static shx_shards *shards_alloc(uint64_t file, uint32_t code_dim) {
    shx_shards *shards = shx_alloc_zero(1, sizeof *shards);
    if (!shards) return NULL;
    atomic_init(&shards->references, 1);
    shards->file = file;
    shards->code_dim = code_dim;
    shards->way = SHX_ROUTE_FLAT;
    return shards;
}

/* ---- centroids ---- */

/* The step with which the longest dimension becomes 127, rounded up to 16 significant bits. */
static float shards_step(const float *centroid, uint32_t code_dim) {
    float longest = 0;
    uint32_t bits;
    for (uint32_t d = 0; d < code_dim; d++) longest = fmaxf(longest, fabsf(centroid[d]));
    float step = longest / 127;
    memcpy(&bits, &step, sizeof bits);
    bits = (bits + 0xFF) & ~UINT32_C(0xFF);
    memcpy(&step, &bits, sizeof step);
    return step;
}

static int8_t shards_steps_of(float value, float step) { return (int8_t)(step > 0 ? lrintf(value / step) : 0); }

static void shards_narrow(const float *centroid, uint32_t code_dim, int8_t *ret_values, float *ret_step) {
    *ret_step = shards_step(centroid, code_dim);
    for (uint32_t d = 0; d < code_dim; d++) ret_values[d] = shards_steps_of(centroid[d], *ret_step);
}

void shx_centroid_round(float *centroid, uint32_t code_dim) {
    float step = shards_step(centroid, code_dim);
    for (uint32_t d = 0; d < code_dim; d++) centroid[d] = step * (float)shards_steps_of(centroid[d], step);
}

void shx_shards_centroid(const shx_shards *shards, uint64_t position, float *ret_centroid) {
    const int8_t *values = shards->centroids + position * shards->code_dim;
    for (uint32_t d = 0; d < shards->code_dim; d++) ret_centroid[d] = shards->steps[position] * (float)values[d];
}

float *shx_shards_centroids(const shx_shards *shards) {
    float *centroids = shx_alloc_aligned(shards->count, shards->code_dim * sizeof *centroids);
    for (uint64_t i = 0; centroids && i < shards->count; i++) {
        shx_shards_centroid(shards, i, centroids + i * shards->code_dim);
    }
    return centroids;
}

/* ---- making ---- */

/* Codes what a table holds: the centroids as they were rounded. */
static shx_status shards_code(shx_shards *shards, uint8_t *blocks) {
    float *centroids = shx_shards_centroids(shards);
    SHX_CHECK(centroids, SHX_NOMEM);
    const shx_centroids all = {centroids, shards->count, shards->code_dim};
    shx_status status = shx_centroid_codes(&all, NULL, all.count, NULL, &shards->scale, blocks);
    shx_free_aligned(centroids);
    return status;
}

/* One piece of memory, the widest alignment first: blocks, centroids, ids, steps, open. */
shx_status shx_shards_create(uint32_t code_dim, uint64_t count, const uint64_t *ids, const uint8_t *open,
                             const float *centroids, shx_shards **ret_shards) {
    SHX_CHECK(count < UINT32_MAX, SHX_FULL);
    uint64_t block_bytes = (uint64_t)shx_blocks_of(count) * shx_block_bytes(code_dim);
    uint64_t centroid_bytes = shx_align(count * code_dim, 64), id_bytes = count * sizeof *ids;
    uint64_t step_bytes = count * sizeof(float);
    shx_shards *shards = shards_alloc(0, code_dim);
    uint8_t *memory = shx_alloc_aligned(1, block_bytes + centroid_bytes + id_bytes + step_bytes + count);
    if (!shards || !memory) {
        shx_free(shards);
        shx_free_aligned(memory);
        return SHX_NOMEM;
    }
    shards->count = count;
    shards->memory = memory;
    shards->blocks = memory;
    int8_t *values = (int8_t *)memory + block_bytes;
    float *steps = (float *)(void *)(memory + block_bytes + centroid_bytes + id_bytes);
    for (uint64_t i = 0; i < count; i++) {
        shards_narrow(centroids + i * code_dim, code_dim, values + i * code_dim, &steps[i]);
    }
    shards->centroids = values;
    shards->steps = steps;
    shards->ids = memcpy(memory + block_bytes + centroid_bytes, ids, id_bytes);
    shards->open = memcpy(memory + block_bytes + centroid_bytes + id_bytes + step_bytes, open, count);
    shx_status status = shards_code(shards, memory);
    if (status != SHX_OK) {
        shx_shards_release(shards);
        return status;
    }
    *ret_shards = shards;
    return SHX_OK;
}

/* ---- writing ---- */

/* A section and what goes into it. */
typedef struct shards_piece {
    uint32_t id;
    const void *bytes;
    uint64_t size;
} shards_piece;

static uint32_t shards_list_levels(const shx_shards *shards, shards_piece *pieces) {
    const shx_levels *levels = &shards->levels;
    uint64_t parents = levels->parent_count, block_bytes = shx_block_bytes(shards->code_dim);
    const shards_piece all[] = {
        {SHARDS_PARENTS, levels->parents, parents * shards->code_dim * sizeof(float)},
        {SHARDS_PARENT_BLOCKS, levels->parent_blocks, shx_blocks_of(parents) * block_bytes},
        {SHARDS_PARENT_SCALES, levels->scales, (parents + 1) * sizeof *levels->scales},
        {SHARDS_PARENT_FIRST, levels->first, (parents + 1) * sizeof *levels->first},
        {SHARDS_MEMBERS, levels->members, shards->count * sizeof *levels->members},
        {SHARDS_MEMBER_BLOCKS, levels->blocks, shx_levels_blocks(levels) * block_bytes},
    };
    memcpy(pieces, all, sizeof all);
    return sizeof all / sizeof *all;
}

static uint32_t shards_list_graph(const shx_shards *shards, shards_piece *pieces) {
    const shx_graph *graph = &shards->graph;
    uint64_t node_bytes = shx_blocks_of(2 * graph->m) * shx_block_bytes(shards->code_dim);
    const shards_piece all[] = {
        {SHARDS_TOPS, graph->tops, shards->count},
        {SHARDS_LINKS, graph->links, shards->count * 2 * graph->m * sizeof *graph->links},
        {SHARDS_UPPER, graph->upper, graph->upper_count * sizeof *graph->upper},
        {SHARDS_NODE_SCALES, graph->scales, shards->count * sizeof *graph->scales},
        {SHARDS_NODE_BLOCKS, graph->blocks, shards->count * node_bytes},
    };
    memcpy(pieces, all, sizeof all);
    return sizeof all / sizeof *all;
}

static uint32_t shards_list(const shx_shards *shards, const uint8_t info[SHARDS_INFO_BYTES], shards_piece *pieces) {
    const shards_piece all[] = {
        {SHARDS_INFO, info, SHARDS_INFO_BYTES},
        {SHARDS_IDS, shards->ids, shards->count * sizeof *shards->ids},
        {SHARDS_OPEN, shards->open, shards->count},
        {SHARDS_CENTROIDS, shards->centroids, shards->count * shards->code_dim},
        {SHARDS_BLOCKS, shards->blocks, shx_blocks_of(shards->count) * shx_block_bytes(shards->code_dim)},
        {SHARDS_STEPS, shards->steps, shards->count * sizeof *shards->steps},
    };
    uint32_t count = sizeof all / sizeof *all;
    memcpy(pieces, all, sizeof all);
    if (shards->way == SHX_ROUTE_LEVELS) count += shards_list_levels(shards, pieces + count);
    if (shards->way == SHX_ROUTE_GRAPH) count += shards_list_graph(shards, pieces + count);
    return count;
}

static void shards_put_info(const shx_shards *shards, uint8_t info[SHARDS_INFO_BYTES]) {
    memset(info, 0, SHARDS_INFO_BYTES);
    shx_put64(info, shards->count);
    shx_put32(info + 8, shards->code_dim);
    shx_put32(info + 12, shards->way);
    memcpy(info + 16, &shards->scale, sizeof shards->scale);
    shx_put32(info + 32, shards->spread);
    shx_put32(info + 36, shards->changed);
    shx_put32(info + 40, shards->levels.parent_count);
    shx_put32(info + 44, shards->graph.m);
    shx_put32(info + 48, shards->graph.entry);
    shx_put64(info + 56, shards->graph.upper_count);
}

shx_status shx_shards_write(shx_store *store, const shx_id *uuid, uint64_t file, const shx_shards *shards,
                            uint64_t *ret_checksum) {
    uint8_t info[SHARDS_INFO_BYTES];
    shards_piece pieces[SHARDS_SECTIONS_MAX];
    shx_section sections[SHARDS_SECTIONS_MAX] = {{0}};
    shx_container_writer out;
    shards_put_info(shards, info);
    uint32_t count = shards_list(shards, info, pieces);
    for (uint32_t i = 0; i < count; i++) {
        sections[i] = (shx_section){.id = pieces[i].id, .checked = true, .size = pieces[i].size};
    }
    SHX_TRY(shx_container_create(store, SHX_FILE_SHARDS, uuid, file, sections, count, &out));
    for (uint32_t i = 0; i < count; i++) shx_container_put(&out, pieces[i].id, 0, pieces[i].bytes, pieces[i].size);
    SHX_TRY(shx_container_finish(&out));
    *ret_checksum = out.checksum;
    return SHX_OK;
}

uint64_t shx_shards_way_bytes(const shx_shards *shards) {
    shards_piece pieces[SHARDS_SECTIONS_MAX];
    uint64_t bytes = 0;
    uint32_t count = 0;
    if (shards->way == SHX_ROUTE_LEVELS) count = shards_list_levels(shards, pieces);
    if (shards->way == SHX_ROUTE_GRAPH) count = shards_list_graph(shards, pieces);
    for (uint32_t i = 0; i < count; i++) bytes += pieces[i].size;
    return bytes;
}

/* ---- reading ---- */

/* The blocks of the members are counted from `first`, which is checked before they are used. */
static shx_status shards_read_levels(const shx_container *container, const uint8_t *info, shx_shards *shards) {
    shx_levels *levels = &shards->levels;
    uint64_t parents = shx_get32(info + 40), block_bytes = shx_block_bytes(shards->code_dim);
    const void *rows, *parent_blocks, *scales, *first, *members, *blocks;
    SHX_CHECK(parents <= shards->count && (parents > 0 || shards->count == 0), shx_corrupt("parent count"));
    SHX_TRY(shx_container_section(container, SHARDS_PARENTS, parents, shards->code_dim * sizeof(float), &rows));
    SHX_TRY(
        shx_container_section(container, SHARDS_PARENT_BLOCKS, shx_blocks_of(parents), block_bytes, &parent_blocks));
    SHX_TRY(shx_container_section(container, SHARDS_PARENT_SCALES, parents + 1, sizeof *levels->scales, &scales));
    SHX_TRY(shx_container_section(container, SHARDS_PARENT_FIRST, parents + 1, sizeof *levels->first, &first));
    SHX_TRY(shx_container_section(container, SHARDS_MEMBERS, shards->count, sizeof *levels->members, &members));
    levels->parent_count = (uint32_t)parents;
    levels->parents = rows;
    levels->parent_blocks = parent_blocks;
    levels->scales = scales;
    levels->first = first;
    levels->members = members;
    SHX_TRY(shx_levels_check(levels, shards->count, shards->code_dim));
    SHX_TRY(shx_container_section(container, SHARDS_MEMBER_BLOCKS, shx_levels_blocks(levels), block_bytes, &blocks));
    levels->blocks = blocks;
    return SHX_OK;
}

static shx_status shards_read_graph(const shx_container *container, const uint8_t *info, shx_shards *shards) {
    shx_graph *graph = &shards->graph;
    const void *tops, *links, *upper, *scales, *blocks;
    *graph = (shx_graph){.count = shards->count,
                         .code_dim = shards->code_dim,
                         .m = shx_get32(info + 44),
                         .entry = shx_get32(info + 48),
                         .upper_count = shx_get64(info + 56)};
    SHX_CHECK(graph->m <= SHX_GRAPH_M_MAX, shx_corrupt("m of the graph"));
    SHX_TRY(shx_container_section(container, SHARDS_TOPS, graph->count, 1, &tops));
    SHX_TRY(shx_container_section(container, SHARDS_LINKS, graph->count * 2 * graph->m, sizeof *graph->links, &links));
    SHX_TRY(shx_container_section(container, SHARDS_UPPER, graph->upper_count, sizeof *graph->upper, &upper));
    SHX_TRY(shx_container_section(container, SHARDS_NODE_SCALES, graph->count, sizeof *graph->scales, &scales));
    SHX_TRY(shx_container_section(container, SHARDS_NODE_BLOCKS, graph->count * shx_blocks_of(2 * graph->m),
                                  shx_block_bytes(graph->code_dim), &blocks));
    graph->tops = tops;
    graph->links = links;
    graph->upper = upper;
    graph->scales = scales;
    graph->blocks = blocks;
    return shx_graph_check(graph);
}

static shx_status shards_read(shx_shards *shards, uint32_t code_dim) {
    const shx_container *container = &shards->container;
    const void *bytes, *ids, *open, *centroids, *steps, *blocks;
    SHX_TRY(shx_container_section(container, SHARDS_INFO, 1, SHARDS_INFO_BYTES, &bytes));
    const uint8_t *info = bytes;
    shards->count = shx_get64(info);
    SHX_CHECK(shx_get32(info + 8) == code_dim, shx_corrupt("dimension of the shards"));
    SHX_CHECK(shards->count < UINT32_MAX, shx_corrupt("shard count"));
    SHX_CHECK(shx_get32(info + 12) >= SHX_ROUTE_FLAT && shx_get32(info + 12) < SHX_ROUTE_WAYS,
              shx_corrupt("way of the router"));
    shards->way = (shx_route_way)shx_get32(info + 12);
    memcpy(&shards->scale, info + 16, sizeof shards->scale);
    shards->spread = shx_get32(info + 32);
    shards->changed = shx_get32(info + 36);
    SHX_CHECK(shards->spread <= SHX_ROUTE_SPREAD_MAX, shx_corrupt("spread of the router"));
    SHX_TRY(shx_container_section(container, SHARDS_IDS, shards->count, sizeof(uint64_t), &ids));
    SHX_TRY(shx_container_section(container, SHARDS_OPEN, shards->count, 1, &open));
    SHX_TRY(shx_container_section(container, SHARDS_CENTROIDS, shards->count, code_dim, &centroids));
    SHX_TRY(shx_container_section(container, SHARDS_STEPS, shards->count, sizeof(float), &steps));
    SHX_TRY(shx_container_section(container, SHARDS_BLOCKS, (uint64_t)shx_blocks_of(shards->count),
                                  shx_block_bytes(code_dim), &blocks));
    shards->ids = ids;
    shards->open = open;
    shards->centroids = centroids;
    shards->steps = steps;
    shards->blocks = blocks;
    if (shards->way == SHX_ROUTE_LEVELS) return shards_read_levels(container, info, shards);
    return shards->way == SHX_ROUTE_GRAPH ? shards_read_graph(container, info, shards) : SHX_OK;
}

static shx_status shards_check(const shx_shards *shards) {
    uint64_t previous = SHX_SHARD_FIRST - 1;
    SHX_CHECK(shx_factor_scale_usable(&shards->scale), shx_corrupt("scale of centroids"));
    for (uint64_t i = 0; i < shards->count; i++) {
        SHX_CHECK(shards->ids[i] > previous, shx_corrupt("order of shards"));
        previous = shards->ids[i];
    }
    for (uint64_t i = 0; i < shards->count; i++) {
        SHX_CHECK(shards->steps[i] >= 0 && shx_centroid_usable(shards->steps[i] * 128), shx_corrupt("centroid"));
    }
    return SHX_OK;
}

shx_status shx_shards_open(shx_store *store, const shx_id *uuid, uint64_t file, uint32_t code_dim,
                           shx_shards **ret_shards) {
    shx_shards *shards = shards_alloc(file, code_dim);
    SHX_CHECK(shards, SHX_NOMEM);
    shx_status status = shx_container_open(store, SHX_FILE_SHARDS, uuid, file, &shards->container);
    if (status == SHX_OK) status = shards_read(shards, code_dim);
    if (status == SHX_OK) status = shards_check(shards);
    if (status != SHX_OK) {
        shx_shards_release(shards);
        return status;
    }
    *ret_shards = shards;
    return SHX_OK;
}

void shx_shards_retain(shx_shards *shards) { atomic_fetch_add(&shards->references, 1); }

void shx_shards_release(shx_shards *shards) {
    if (!shards || atomic_fetch_sub(&shards->references, 1) > 1) return;
    shx_levels_free(&shards->levels);
    shx_graph_free(&shards->graph);
    shx_container_close(&shards->container);
    shx_free_aligned(shards->memory);
    shx_free(shards);
}

bool shx_shards_find(const shx_shards *shards, uint64_t id, uint32_t *ret_position) {
    uint64_t low = 0, high = shards->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (shards->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == shards->count || shards->ids[low] != id) return false;
    *ret_position = (uint32_t)low;
    return true;
}
