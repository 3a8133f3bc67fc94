#include "shards.h"

#include "memory.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(shx_factor_scale) == 16, "a factor scale is 16 bytes on disk");

enum shards_section { SHARDS_INFO = 1, SHARDS_IDS, SHARDS_OPEN, SHARDS_CENTROIDS, SHARDS_BLOCKS };

#define SHARDS_INFO_BYTES 64

static shx_shards *shards_alloc(uint64_t file, uint32_t code_dim) {
    shx_shards *shards = shx_alloc_zero(1, sizeof *shards);
    if (!shards) return NULL;
    atomic_init(&shards->references, 1);
    shards->file = file;
    shards->code_dim = code_dim;
    return shards;
}

/* ---- making ---- */

/* Centroids are coded like postings of one run about the origin, which is the mean of all postings. */
static shx_status shards_encode(shx_shards *shards, uint8_t *blocks) {
    uint32_t code_dim = shards->code_dim;
    float *origin = shx_alloc_zero(code_dim, sizeof *origin);
    uint8_t *bits = shx_alloc_zero(shards->count, code_dim / 8), *refine = shx_alloc(shx_refine_bytes(code_dim));
    shx_code *codes = shx_alloc_zero(shards->count, sizeof *codes);
    shx_status status = origin && bits && refine && codes ? SHX_OK : SHX_NOMEM;
    for (uint64_t i = 0; status == SHX_OK && i < shards->count; i++) {
        shx_encode(shards->centroids + i * code_dim, origin, code_dim, bits + i * (code_dim / 8), refine, &codes[i]);
    }
    if (status == SHX_OK) shx_factor_scale_fit(codes, shards->count, &shards->scale);
    for (uint64_t first = 0; status == SHX_OK && first < shards->count; first += SHX_BLOCK_ROWS) {
        uint64_t count = shards->count - first < SHX_BLOCK_ROWS ? shards->count - first : SHX_BLOCK_ROWS;
        shx_block_pack(bits + first * (code_dim / 8), codes + first, count, code_dim, &shards->scale,
                       blocks + first / SHX_BLOCK_ROWS * shx_block_bytes(code_dim));
    }
    shx_free(origin);
    shx_free(bits);
    shx_free(refine);
    shx_free(codes);
    return status;
}

/* One piece of memory, the widest alignment first: blocks, centroids, ids, open. */
shx_status shx_shards_create(uint32_t code_dim, uint64_t count, const uint64_t *ids, const uint8_t *open,
                             const float *centroids, shx_shards **ret_shards) {
    SHX_CHECK(count < UINT32_MAX, SHX_FULL);
    uint64_t block_bytes = (uint64_t)shx_blocks_of(count) * shx_block_bytes(code_dim);
    uint64_t centroid_bytes = shx_align(count * code_dim * sizeof(float), 64), id_bytes = count * sizeof *ids;
    shx_shards *shards = shards_alloc(0, code_dim);
    uint8_t *memory = shx_alloc_aligned(1, block_bytes + centroid_bytes + id_bytes + count);
    if (!shards || !memory) {
        shx_free(shards);
        shx_free_aligned(memory);
        return SHX_NOMEM;
    }
    shards->count = count;
    shards->memory = memory;
    shards->blocks = memory;
    shards->centroids = memcpy(memory + block_bytes, centroids, count * code_dim * sizeof(float));
    shards->ids = memcpy(memory + block_bytes + centroid_bytes, ids, id_bytes);
    shards->open = memcpy(memory + block_bytes + centroid_bytes + id_bytes, open, count);
    shx_status status = shards_encode(shards, memory);
    if (status != SHX_OK) {
        shx_shards_release(shards);
        return status;
    }
    *ret_shards = shards;
    return SHX_OK;
}

shx_status shx_shards_write(shx_store *store, const shx_id *uuid, uint64_t file, const shx_shards *shards) {
    uint64_t centroid_bytes = shards->count * shards->code_dim * sizeof(float);
    uint64_t block_bytes = (uint64_t)shx_blocks_of(shards->count) * shx_block_bytes(shards->code_dim);
    const shx_section sections[] = {
        {.id = SHARDS_INFO, .checked = true, .size = SHARDS_INFO_BYTES},
        {.id = SHARDS_IDS, .checked = true, .size = shards->count * sizeof *shards->ids},
        {.id = SHARDS_OPEN, .checked = true, .size = shards->count},
        {.id = SHARDS_CENTROIDS, .checked = true, .size = centroid_bytes},
        {.id = SHARDS_BLOCKS, .checked = true, .size = block_bytes},
    };
    uint8_t info[SHARDS_INFO_BYTES] = {0};
    shx_put64(info, shards->count);
    shx_put32(info + 8, shards->code_dim);
    memcpy(info + 16, &shards->scale, sizeof shards->scale);
    shx_container_writer out;
    SHX_TRY(
        shx_container_create(store, SHX_FILE_SHARDS, uuid, file, sections, sizeof sections / sizeof *sections, &out));
    shx_container_put(&out, SHARDS_INFO, 0, info, sizeof info);
    shx_container_put(&out, SHARDS_IDS, 0, shards->ids, shards->count * sizeof *shards->ids);
    shx_container_put(&out, SHARDS_OPEN, 0, shards->open, shards->count);
    shx_container_put(&out, SHARDS_CENTROIDS, 0, shards->centroids, centroid_bytes);
    shx_container_put(&out, SHARDS_BLOCKS, 0, shards->blocks, block_bytes);
    return shx_container_finish(&out);
}

/* ---- reading ---- */

static shx_status shards_read(shx_shards *shards, uint32_t code_dim) {
    const shx_container *container = &shards->container;
    const void *bytes, *ids, *open, *centroids, *blocks;
    SHX_TRY(shx_container_section(container, SHARDS_INFO, 1, SHARDS_INFO_BYTES, &bytes));
    const uint8_t *info = bytes;
    shards->count = shx_get64(info);
    SHX_CHECK(shx_get32(info + 8) == code_dim, shx_corrupt("dimension of the shards"));
    SHX_CHECK(shards->count < UINT32_MAX, shx_corrupt("shard count"));
    memcpy(&shards->scale, info + 16, sizeof shards->scale);
    SHX_TRY(shx_container_section(container, SHARDS_IDS, shards->count, sizeof(uint64_t), &ids));
    SHX_TRY(shx_container_section(container, SHARDS_OPEN, shards->count, 1, &open));
    SHX_TRY(shx_container_section(container, SHARDS_CENTROIDS, shards->count, code_dim * sizeof(float), &centroids));
    SHX_TRY(shx_container_section(container, SHARDS_BLOCKS, (uint64_t)shx_blocks_of(shards->count),
                                  shx_block_bytes(code_dim), &blocks));
    shards->ids = ids;
    shards->open = open;
    shards->centroids = centroids;
    shards->blocks = blocks;
    return SHX_OK;
}

static shx_status shards_check(const shx_shards *shards) {
    uint64_t previous = SHX_SHARD_FIRST - 1;
    for (uint64_t i = 0; i < shards->count; i++) {
        SHX_CHECK(shards->ids[i] > previous, shx_corrupt("order of shards"));
        previous = shards->ids[i];
    }
    for (uint64_t i = 0; i < shards->count * shards->code_dim; i++) {
        SHX_CHECK(isfinite(shards->centroids[i]), shx_corrupt("centroid"));
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
