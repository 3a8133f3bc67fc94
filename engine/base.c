#include "base.h"

#include "memory.h"
#include "planted.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(shx_calibration) == 40 + 8 * 6 * SHX_CALIBRATION_KS * SHX_CALIBRATION_RECALLS,
              "a calibration is made of 8-byte fields");

enum base_section { BASE_INFO = 1, BASE_MEAN, BASE_CALIBRATION, BASE_SEGMENTS, BASE_TOMBSTONES };

#define BASE_INFO_BYTES 192
#define BASE_SEGMENT_BYTES 40
#define BASE_NO_TOMBSTONES UINT64_MAX

/* ---- writing ---- */

static void base_put_info(const shx_base_plan *plan, uint8_t bytes[BASE_INFO_BYTES]) {
    const shx_base_info *info = &plan->info;
    const shx_encoding *encoding = plan->encoding;
    memset(bytes, 0, BASE_INFO_BYTES);
    memcpy(bytes, info->commit.bytes, 16);
    shx_put64(bytes + 16, info->generation);
    shx_put64(bytes + 24, info->wal_floor);
    shx_put64(bytes + 32, info->live_rows);
    shx_put64(bytes + 40, plan->shards_file);
    shx_put64(bytes + 48, info->encoding_id);
    shx_put64(bytes + 56, encoding->seed);
    shx_put32(bytes + 64, encoding->metric);
    shx_put32(bytes + 68, encoding->dim);
    shx_put32(bytes + 72, encoding->code_dim);
    memcpy(bytes + 76, &encoding->ip_bound, sizeof encoding->ip_bound);
    shx_put32(bytes + 144, encoding->element);
    shx_put64(bytes + 152, plan->shards_checksum);
    const uint64_t numbers[] = {info->next_shard, info->clustered_rows, info->calibrated_rows, info->flushes,
                                info->merges,     info->splits,         info->builds,          info->changes};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) shx_put64(bytes + 80 + 8 * i, numbers[i]);
}

static void base_put_segments(shx_container_writer *out, const shx_base_plan *plan) {
    uint8_t rows[SHX_SEGMENTS_MAX * BASE_SEGMENT_BYTES];
    uint64_t word = 0;
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        uint8_t *row = rows + (size_t)i * BASE_SEGMENT_BYTES;
        bool any = plan->segments[i].dead != NULL;
        shx_put64(row, plan->segments[i].file);
        shx_put64(row + 8, plan->segments[i].rows);
        shx_put64(row + 16, plan->segments[i].blocks);
        shx_put64(row + 24, any ? word : BASE_NO_TOMBSTONES);
        shx_put64(row + 32, plan->segments[i].checksum);
        if (!any) continue;
        word += plan->segments[i].blocks;
    }
    shx_container_put(out, BASE_SEGMENTS, 0, rows, (uint64_t)plan->segment_count * BASE_SEGMENT_BYTES);
}

/* Masks of all segments that have any, one after the other, as one piece: the section is checked as a whole. */
static shx_status base_put_tombstones(shx_container_writer *out, const shx_base_plan *plan, uint64_t words) {
    uint32_t *masks = shx_alloc_zero(words, sizeof *masks);
    SHX_CHECK(masks, SHX_NOMEM);
    uint64_t word = 0;
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        if (!plan->segments[i].dead) continue;
        memcpy(masks + word, plan->segments[i].dead, plan->segments[i].blocks * sizeof *masks);
        word += plan->segments[i].blocks;
    }
    shx_container_put(out, BASE_TOMBSTONES, 0, masks, words * sizeof *masks);
    shx_free(masks);
    return SHX_OK;
}

shx_status shx_base_write(shx_store *store, const shx_id *uuid, uint64_t file, const shx_base_plan *plan) {
    SHX_CHECK(plan->segment_count <= SHX_SEGMENTS_MAX, SHX_MISUSE);
    uint64_t words = 0, mean_bytes = plan->encoding->code_dim * sizeof(float);
    for (uint32_t i = 0; i < plan->segment_count; i++) words += plan->segments[i].dead ? plan->segments[i].blocks : 0;
    const shx_section sections[] = {
        {.id = BASE_INFO, .checked = true, .size = BASE_INFO_BYTES},
        {.id = BASE_MEAN, .checked = true, .size = mean_bytes},
        {.id = BASE_CALIBRATION, .checked = true, .size = sizeof(shx_calibration)},
        {.id = BASE_SEGMENTS, .checked = true, .size = (uint64_t)plan->segment_count * BASE_SEGMENT_BYTES},
        {.id = BASE_TOMBSTONES, .checked = true, .size = words * sizeof(uint32_t)},
    };
    uint8_t info[BASE_INFO_BYTES];
    shx_container_writer out;
    SHX_TRY(shx_container_create(store, SHX_FILE_BASE, uuid, file, sections, sizeof sections / sizeof *sections, &out));
    base_put_info(plan, info);
    shx_container_put(&out, BASE_INFO, 0, info, sizeof info);
    shx_container_put(&out, BASE_MEAN, 0, plan->encoding->mean, mean_bytes);
    shx_container_put(&out, BASE_CALIBRATION, 0, plan->calibration, sizeof *plan->calibration);
    base_put_segments(&out, plan);
    shx_status status = base_put_tombstones(&out, plan, words);
    if (status == SHX_OK) return shx_container_finish(&out);
    shx_container_abandon(&out);
    return status;
}

/* ---- reading ---- */

/* A file that a base names. Where two copies of a directory went different ways, both have files of one id. */
typedef struct base_file {
    uint64_t id, checksum;
} base_file;

static bool base_is_file(const shx_container *container, base_file file) {
    return shx_container_checksum(container) == file.checksum || SHX_PLANTED(51);
}

/* The encoding has metric, element and dim already, which the file must agree with. */
static shx_status base_read_info(shx_base *base, base_file *ret_shards) {
    shx_encoding *encoding = &base->encoding;
    const void *at;
    SHX_TRY(shx_container_section(&base->container, BASE_INFO, 1, BASE_INFO_BYTES, &at));
    const uint8_t *bytes = at;
    shx_base_info *info = &base->info;
    memcpy(info->commit.bytes, bytes, 16);
    info->generation = shx_get64(bytes + 16);
    info->wal_floor = shx_get64(bytes + 24);
    info->live_rows = shx_get64(bytes + 32);
    info->encoding_id = shx_get64(bytes + 48);
    uint64_t *const numbers[] = {&info->next_shard, &info->clustered_rows, &info->calibrated_rows, &info->flushes,
                                 &info->merges,     &info->splits,         &info->builds,          &info->changes};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) *numbers[i] = shx_get64(bytes + 80 + 8 * i);
    encoding->code_dim = shx_code_dim(encoding->metric, encoding->dim);
    encoding->seed = shx_get64(bytes + 56);
    memcpy(&encoding->ip_bound, bytes + 76, sizeof encoding->ip_bound);
    bool same = shx_get32(bytes + 64) == (uint32_t)encoding->metric && shx_get32(bytes + 68) == encoding->dim &&
                shx_get32(bytes + 72) == encoding->code_dim && shx_get32(bytes + 144) == (uint32_t)encoding->element;
    SHX_CHECK(same, shx_corrupt("base of another kind of vectors"));
    SHX_CHECK(isfinite(encoding->ip_bound) && encoding->ip_bound >= 0, shx_corrupt("bound of ip"));
    *ret_shards = (base_file){shx_get64(bytes + 40), shx_get64(bytes + 152)};
    return SHX_OK;
}

static shx_status base_read_encoding(shx_base *base) {
    const void *mean, *calibration;
    SHX_TRY(shx_container_section(&base->container, BASE_MEAN, base->encoding.code_dim, sizeof(float), &mean));
    SHX_TRY(shx_container_section(&base->container, BASE_CALIBRATION, 1, sizeof(shx_calibration), &calibration));
    base->encoding.mean = mean;
    for (uint32_t i = 0; i < base->encoding.code_dim; i++) {
        SHX_CHECK(isfinite(base->encoding.mean[i]), shx_corrupt("mean"));
    }
    memcpy(&base->calibration, calibration, sizeof base->calibration);
    return shx_calibration_valid(&base->calibration) ? SHX_OK : shx_corrupt("calibration");
}

static shx_status base_open_shards(shx_base *base, shx_store *store, const shx_id *uuid, base_file file,
                                   const shx_base *known) {
    bool lends = known && known->shards && known->shards->file == file.id &&
                 known->encoding.code_dim == base->encoding.code_dim && base_is_file(&known->shards->container, file);
    if (lends) {
        base->shards = known->shards;
        shx_shards_retain(base->shards);
    } else {
        SHX_TRY(shx_shards_open(store, uuid, file.id, base->encoding.code_dim, &base->shards));
    }
    return base_is_file(&base->shards->container, file) ? SHX_OK : shx_corrupt("other shards");
}

static shx_status base_open_segment(shx_base *base, shx_store *store, const shx_id *uuid, base_file file,
                                    const shx_base *known) {
    shx_segment **segment = &base->segments[base->segment_count];
    for (uint32_t i = 0; i < base->segment_count; i++) {
        SHX_CHECK(base->segments[i]->id != file.id, shx_corrupt("segment twice"));
    }
    for (uint32_t i = 0; known && i < known->segment_count && !*segment; i++) {
        const shx_segment *other = known->segments[i];
        if (other->id == file.id && base_is_file(&other->container, file)) *segment = known->segments[i];
    }
    if (*segment) {
        shx_segment_retain(*segment);
    } else {
        SHX_TRY(shx_segment_open(store, uuid, file.id, &base->encoding, segment));
    }
    base->segment_count++;
    return base_is_file(&(*segment)->container, file) ? SHX_OK : shx_corrupt("another segment");
}

static shx_status base_open_segments(shx_base *base, shx_store *store, const shx_id *uuid, const shx_base *known) {
    uint64_t bytes = shx_container_section_size(&base->container, BASE_SEGMENTS);
    uint64_t words = shx_container_section_size(&base->container, BASE_TOMBSTONES) / sizeof(uint32_t);
    uint64_t count = bytes / BASE_SEGMENT_BYTES;
    const void *table, *masks;
    SHX_CHECK(count <= SHX_SEGMENTS_MAX, shx_corrupt("segment count"));
    SHX_TRY(shx_container_section(&base->container, BASE_SEGMENTS, count, BASE_SEGMENT_BYTES, &table));
    SHX_TRY(shx_container_section(&base->container, BASE_TOMBSTONES, words, sizeof(uint32_t), &masks));
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *row = (const uint8_t *)table + i * BASE_SEGMENT_BYTES;
        SHX_TRY(base_open_segment(base, store, uuid, (base_file){shx_get64(row), shx_get64(row + 32)}, known));
        const shx_segment *segment = base->segments[i];
        SHX_CHECK(segment->row_count == shx_get64(row + 8) && segment->block_count == shx_get64(row + 16),
                  shx_corrupt("segment of another size"));
        SHX_CHECK(segment->encoding_id == base->info.encoding_id, shx_corrupt("segment of another encoding"));
        uint64_t word = shx_get64(row + 24);
        if (word == BASE_NO_TOMBSTONES) continue;
        SHX_CHECK(shx_span_fits(word, segment->block_count, 1, words), shx_corrupt("tombstones"));
        base->dead[i] = (const uint32_t *)masks + word;
    }
    return SHX_OK;
}

/* The position of a run's shard in the table; the overflow shard's is behind the last one. */
static shx_status base_position(const shx_base *base, const shx_run *run, uint32_t *ret_position) {
    if (run->shard == SHX_SHARD_OVERFLOW) {
        *ret_position = (uint32_t)base->shards->count;
        return SHX_OK;
    }
    return shx_shards_find(base->shards, run->shard, ret_position) ? SHX_OK : shx_corrupt("run of an unknown shard");
}

static shx_status base_count_runs(shx_base *base, uint64_t *ret_total) {
    uint32_t position;
    *ret_total = 0;
    for (uint32_t s = 0; s < base->segment_count; s++) {
        const shx_segment *segment = base->segments[s];
        for (uint32_t r = 0; r < segment->run_count; r++) {
            SHX_TRY(base_position(base, &segment->runs[r], &position));
            base->first_place[position + 1]++;
        }
        *ret_total += segment->run_count;
    }
    for (uint64_t p = 0; p <= base->shards->count; p++) base->first_place[p + 1] += base->first_place[p];
    return SHX_OK;
}

/* Where the runs of each shard are: counted first, then filled in. */
static shx_status base_place_runs(shx_base *base) {
    uint64_t total, positions = base->shards->count + 2;
    base->first_place = shx_alloc_zero(positions, sizeof *base->first_place);
    SHX_CHECK(base->first_place, SHX_NOMEM);
    SHX_TRY(base_count_runs(base, &total));
    base->places = shx_alloc_zero(total, sizeof *base->places);
    uint32_t *next = shx_alloc_zero(positions, sizeof *next);
    shx_status status = base->places && next ? SHX_OK : SHX_NOMEM;
    if (status == SHX_OK) memcpy(next, base->first_place, positions * sizeof *next);
    for (uint32_t s = 0; s < base->segment_count && status == SHX_OK; s++) {
        for (uint32_t r = 0; r < base->segments[s]->run_count && status == SHX_OK; r++) {
            uint32_t position = 0;
            status = base_position(base, &base->segments[s]->runs[r], &position);
            if (status == SHX_OK) base->places[next[position]++] = (shx_place){s, r};
        }
    }
    shx_free(next);
    return status;
}

static shx_status base_set_handicaps(shx_base *base) {
    uint64_t shards = base->shards->count;
    base->handicaps = shx_alloc_zero(shards + 1, sizeof *base->handicaps);
    SHX_CHECK(base->handicaps, SHX_NOMEM);
    for (uint64_t shard = 0; shard < shards; shard++) {
        double scatter = 0, rows = shx_base_shard_rows(base, shard);
        for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
            const shx_run *run = shx_base_run(base, base->places[p]);
            scatter += (double)run->rows * run->scatter;
        }
        if (rows > 0) base->handicaps[shard] = (float)(SHX_SCATTER_PART * scatter / rows);
    }
    return SHX_OK;
}

static shx_status base_load(shx_base *base, shx_store *store, const shx_id *uuid, const shx_base *known) {
    base_file shards = {0};
    SHX_TRY(shx_container_open(store, SHX_FILE_BASE, uuid, base->file, &base->container));
    SHX_TRY(base_read_info(base, &shards));
    SHX_TRY(base_read_encoding(base));
    SHX_TRY(base_open_shards(base, store, uuid, shards, known));
    SHX_TRY(base_open_segments(base, store, uuid, known));
    SHX_TRY(base_place_runs(base));
    return base_set_handicaps(base);
}

static shx_base *base_create(uint64_t file) {
    shx_base *base = shx_alloc_zero(1, sizeof *base);
    if (!base) return NULL;
    atomic_init(&base->references, 1);
    base->file = file;
    return base;
}

/* What is known of an encoding before there is one. */
static shx_encoding base_encoding(const shx_space *space) {
    return (shx_encoding){.metric = space->metric, .element = space->element, .dim = space->dim};
}

shx_status shx_base_empty(const shx_id *genesis, const shx_space *space, shx_base **ret_base) {
    shx_base *base = base_create(0);
    SHX_CHECK(base, SHX_NOMEM);
    base->info.commit = *genesis;
    base->info.next_shard = SHX_SHARD_FIRST;
    base->encoding = base_encoding(space);
    *ret_base = base;
    return SHX_OK;
}

/* Locked before anything is read of it. Who removes files holds the exclusive lock: then the base is as good as gone.
** Where there are no locks to be had (a file system without them) it is used all the same: what is mapped stays. */
static shx_status base_lock(shx_base *base, shx_store *store) {
    SHX_TRY(shx_file_open_id(store, SHX_FILE_BASE, base->file, SHX_OPEN_READ, &base->lock));
    return shx_file_lock(base->lock, false) == SHX_BUSY ? SHX_NOTFOUND : SHX_OK;
}

shx_status shx_base_open(shx_store *store, const shx_id *uuid, uint64_t file, const shx_space *space,
                         const shx_base *known, shx_base **ret_base) {
    shx_base *base = base_create(file);
    SHX_CHECK(base, SHX_NOMEM);
    base->encoding = base_encoding(space);
    shx_status status = base_lock(base, store);
    if (status == SHX_OK) status = base_load(base, store, uuid, known);
    if (status != SHX_OK) {
        shx_base_release(base);
        return status;
    }
    *ret_base = base;
    return SHX_OK;
}

double shx_base_live_share(const shx_base *base) {
    uint64_t rows = 0;
    for (uint32_t i = 0; i < base->segment_count; i++) rows += base->segments[i]->row_count;
    bool some_dead = base->info.live_rows > 0 && base->info.live_rows < rows;
    return some_dead ? (double)base->info.live_rows / (double)rows : 1;
}

uint32_t shx_base_shard_rows(const shx_base *base, uint64_t shard) {
    uint32_t rows = 0;
    for (uint32_t p = base->first_place[shard]; p < base->first_place[shard + 1]; p++) {
        rows += shx_base_run(base, base->places[p])->rows;
    }
    return rows;
}

void shx_base_retain(shx_base *base) { atomic_fetch_add(&base->references, 1); }

void shx_base_release(shx_base *base) {
    if (!base || atomic_fetch_sub(&base->references, 1) > 1) return;
    for (uint32_t i = 0; i < base->segment_count; i++) shx_segment_release(base->segments[i]);
    shx_shards_release(base->shards);
    shx_free(base->first_place);
    shx_free(base->handicaps);
    shx_free(base->places);
    shx_container_close(&base->container);
    if (base->lock) shx_file_close(base->lock);
    shx_free(base);
}

shx_status shx_base_read_names(shx_store *store, const shx_id *uuid, uint64_t file, shx_base_names *ret_names) {
    shx_container container;
    const void *info, *table;
    SHX_TRY(shx_container_open(store, SHX_FILE_BASE, uuid, file, &container));
    uint64_t count = shx_container_section_size(&container, BASE_SEGMENTS) / BASE_SEGMENT_BYTES;
    shx_status status = shx_container_section(&container, BASE_INFO, 1, BASE_INFO_BYTES, &info);
    if (status == SHX_OK) {
        status = shx_container_section(&container, BASE_SEGMENTS, count, BASE_SEGMENT_BYTES, &table);
    }
    if (status == SHX_OK && count > SHX_SEGMENTS_MAX) status = shx_corrupt("segment count");
    if (status == SHX_OK) {
        const uint8_t *bytes = info;
        *ret_names = (shx_base_names){.generation = shx_get64(bytes + 16),
                                      .wal_floor = shx_get64(bytes + 24),
                                      .shards_file = shx_get64(bytes + 40),
                                      .segment_count = (uint32_t)count};
        memcpy(ret_names->commit.bytes, bytes, 16);
        for (uint64_t i = 0; i < count; i++) {
            ret_names->segments[i] = shx_get64((const uint8_t *)table + i * BASE_SEGMENT_BYTES);
        }
    }
    shx_container_close(&container);
    return status;
}
