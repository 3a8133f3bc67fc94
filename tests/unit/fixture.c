#include "fixture.h"

#include "memory.h"

#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE_CHANGE_DIM_MAX 64

void fixture_assert_status(shx_status status, shx_status expected, const char *what, const char *file, int line) {
    if (status == expected) return;
    print_error("%s: %s (last damage: %s), not %s\n", what, shx_status_text(status), shx_corrupt_last(),
                shx_status_text(expected));
    _fail(file, line);
}

/* ---- stopping ---- */

static bool fixture_answer(void *context) {
    fixture_asked *asked = context;
    return ++asked->count == asked->at;
}

shx_stop fixture_stop(fixture_asked *asked) { return (shx_stop){fixture_answer, asked}; }

/* ---- chance ---- */

fixture_random fixture_seed(const char *test, uint64_t default_seed) {
    const char *given = getenv("SHARDEX_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : default_seed;
    print_message("             %s: seed %llu\n", test, (unsigned long long)seed);
    return (fixture_random){seed * 2 + 1};
}

/* splitmix64 */
uint64_t fixture_next(fixture_random *random) {
    uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t fixture_below(fixture_random *random, uint64_t limit) { return fixture_next(random) % limit; }

double fixture_unit(fixture_random *random) { return ((double)(fixture_next(random) >> 12) + 0.5) / 0x1p52; }

double fixture_gauss(fixture_random *random) {
    double length = sqrt(-2 * log(fixture_unit(random)));
    return length * cos(6.283185307179586 * fixture_unit(random));
}

/* ---- memory ---- */

static atomic_uint_fast64_t fixture_counted;

static void *fixture_alloc(uint64_t size) {
    atomic_fetch_add(&fixture_counted, 1);
    return malloc((size_t)size);
}

static void *fixture_resize(void *block, uint64_t size) {
    atomic_fetch_add(&fixture_counted, 1);
    return realloc(block, (size_t)size);
}

void fixture_count_allocations(void) { shx_memory_use(&(shx_allocator){fixture_alloc, fixture_resize, free}); }

uint64_t fixture_allocations(void) { return atomic_load(&fixture_counted); }

/* ---- vectors ---- */

float *fixture_gaussian(fixture_random *random, uint64_t count, uint32_t dim) {
    float *vectors = malloc(count * dim * sizeof *vectors);
    assert_non_null(vectors);
    for (uint64_t i = 0; i < count * dim; i++) vectors[i] = (float)fixture_gauss(random);
    return vectors;
}

float *fixture_clustered(fixture_random *random, uint64_t count, uint32_t dim, uint32_t clusters) {
    float *centers = fixture_gaussian(random, clusters, dim), *vectors = malloc(count * dim * sizeof *vectors);
    double *width = malloc(clusters * sizeof *width), *share = malloc(clusters * sizeof *share), total = 0;
    assert_true(vectors && width && share);
    for (uint32_t c = 0; c < clusters; c++) {
        width[c] = 0.3 * exp(0.7 * fixture_gauss(random));
        share[c] = total += 1.0 / (c + 1);
    }
    for (uint64_t i = 0; i < count; i++) {
        double place = fixture_unit(random) * total;
        uint32_t c = 0;
        while (c + 1 < clusters && share[c] < place) c++;
        for (uint32_t d = 0; d < dim; d++) {
            double offset = width[c] * fixture_gauss(random);
            vectors[i * dim + d] = (float)((double)centers[(uint64_t)c * dim + d] + offset);
        }
    }
    free(centers);
    free(width);
    free(share);
    return vectors;
}

static float fixture_half(uint16_t half) {
    int sign = half >> 15, exponent = half >> 10 & 31, mantissa = half & 1023;
    double value = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return (float)(sign ? -value : value);
}

float *fixture_words(void) {
    uint64_t count = (uint64_t)FIXTURE_WORDS * FIXTURE_WORDS_DIM;
    uint16_t *halves = malloc(count * sizeof *halves);
    float *words = malloc(count * sizeof *words);
    FILE *file = fopen(TESTS_SOURCE "/../sql/demo/words-20k.npy", "rb");
    assert_true(halves && words && file);
    assert_int_equal(fseek(file, 128, SEEK_SET), 0);
    assert_int_equal(fread(halves, sizeof *halves, count, file), count);
    fclose(file);
    for (uint64_t i = 0; i < count; i++) words[i] = fixture_half(halves[i]);
    free(halves);
    return words;
}

/* ---- places ---- */

fixture_directory fixture_directory_make(void) {
    fixture_directory directory;
    const char *given = getenv("TMPDIR"), *where = given && given[0] ? given : "/tmp";
    int length = snprintf(directory.root, sizeof directory.root, "%s/shardex-XXXXXX", where);
    assert_true(length > 0 && (size_t)length < sizeof directory.root);
    assert_non_null(mkdtemp(directory.root));
    snprintf(directory.path, sizeof directory.path, "%s/test.db-shardex/0123456789", directory.root);
    return directory;
}

void fixture_remove_tree(const char *path) {
    struct stat info;
    bool folder = lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
    DIR *listing = folder ? opendir(path) : NULL;
    if (!listing) {
        unlink(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(listing));) {
        char inner[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        fixture_remove_tree(inner);
    }
    closedir(listing);
    rmdir(path);
}

void fixture_directory_remove(fixture_directory *directory) { fixture_remove_tree(directory->root); }

shx_store *fixture_heap(void) {
    shx_store *store;
    assert_ok(shx_store_open_heap(&store));
    return store;
}

shx_store *fixture_prepared_heap(void) {
    shx_store *store = fixture_heap();
    assert_ok(shx_store_prepare(store));
    return store;
}

uint8_t *fixture_read_file(shx_store *store, const char *name, uint64_t *ret_size) {
    shx_file *file;
    assert_ok(shx_file_open(store, name, SHX_OPEN_READ, &file));
    assert_ok(shx_file_size(file, ret_size));
    uint8_t *bytes = malloc(*ret_size + 1);
    assert_non_null(bytes);
    if (*ret_size) assert_ok(shx_file_read(file, 0, bytes, *ret_size));
    shx_file_close(file);
    return bytes;
}

void fixture_write_file(shx_store *store, const char *name, const uint8_t *bytes, uint64_t size) {
    shx_file *file;
    (void)shx_store_remove(store, name);
    assert_ok(shx_file_open(store, name, SHX_OPEN_CREATE, &file));
    if (size) assert_ok(shx_file_write(file, 0, bytes, size));
    shx_file_close(file);
}

static shx_status fixture_visit_name(void *context, const char *name) {
    fixture_names *names = context;
    assert_true(names->count < FIXTURE_NAMES_MAX && strlen(name) < sizeof names->names[0]);
    strcpy(names->names[names->count++], name);
    return SHX_OK;
}

static int fixture_compare_names(const void *a, const void *b) { return strcmp(a, b); }

fixture_names fixture_list(shx_store *store) {
    fixture_names names = {0};
    shx_status status = shx_store_list(store, fixture_visit_name, &names);
    assert_true(status == SHX_OK || status == SHX_NOTFOUND);
    qsort(names.names, names.count, sizeof names.names[0], fixture_compare_names);
    return names;
}

uint64_t fixture_count_files(shx_store *store, shx_file_kind kind) {
    fixture_names names = fixture_list(store);
    uint64_t count = 0, id;
    shx_file_kind found;
    for (uint64_t i = 0; i < names.count; i++) {
        count += shx_file_name_parse(names.names[i], &found, &id) && found == kind;
    }
    return count;
}

void fixture_assert_golden(const char *name, const uint8_t *bytes, uint64_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", TESTS_SOURCE, name);
    bool writes = getenv("SHARDEX_GOLDEN_WRITE") != NULL;
    FILE *file = fopen(path, writes ? "wb" : "rb");
    if (!file) fail_msg("%s is missing", path);
    if (writes) {
        assert_int_equal(fwrite(bytes, 1, size, file), size);
    } else {
        uint8_t *expected = malloc(size + 1);
        assert_non_null(expected);
        assert_int_equal(fread(expected, 1, size + 1, file), size);
        for (uint64_t i = 0; i < size; i++) {
            if (expected[i] != bytes[i]) fail_msg("%s differs at byte %llu", name, (unsigned long long)i);
        }
        free(expected);
    }
    fclose(file);
}

/* ---- damage ---- */

void fixture_seal(uint8_t *bytes, uint64_t size) {
    assert_true(size >= 88);
    uint64_t id = shx_get64(bytes + 32), count = shx_get32(bytes + 64), covered = 80 + 32 * count;
    shx_put64(bytes + 56, shx_hash64(bytes, 56, 0));
    if (count > SHX_SECTIONS_MAX || covered + 8 > size) return;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *row = bytes + 80 + 32 * i;
        uint64_t offset = shx_get64(row + 8), length = shx_get64(row + 16);
        if (shx_get32(row + 4) == 0 || !shx_span_fits(offset, length, 1, size) || length == 0) continue;
        shx_put64(row + 24, shx_hash64(bytes + offset, length, id));
    }
    shx_put64(bytes + covered, shx_hash64(bytes, covered, id));
}

uint64_t fixture_section(const uint8_t *bytes, uint32_t section_id) {
    for (uint32_t i = 0; i < shx_get32(bytes + 64); i++) {
        if (shx_get32(bytes + 80 + 32 * i) == section_id) return shx_get64(bytes + 80 + 32 * i + 8);
    }
    fail_msg("no section %u", section_id);
    return 0;
}

static void fixture_judge(const fixture_damage *damage, shx_status status) {
    if (!damage->expected) {
        if (status != SHX_OK) fail_msg("%s: %s (%s)", damage->field, shx_status_text(status), shx_corrupt_last());
        return;
    }
    if (status != SHX_CORRUPT) fail_msg("%s: %s instead of damage", damage->field, shx_status_text(status));
    if (strcmp(shx_corrupt_last(), damage->expected) != 0) {
        fail_msg("%s: «%s» instead of «%s»", damage->field, shx_corrupt_last(), damage->expected);
    }
}

void fixture_assert_damages(shx_store *store, const char *name, const fixture_damage *table, size_t count,
                            fixture_opener open, void *context) {
    uint64_t size;
    uint8_t *good = fixture_read_file(store, name, &size), *bad = malloc(size);
    assert_non_null(bad);
    for (size_t i = 0; i < count; i++) {
        const fixture_damage *damage = &table[i];
        assert_true(damage->offset + damage->width <= size && damage->width <= 8);
        memcpy(bad, good, size);
        memcpy(bad + damage->offset, &damage->value, damage->width);
        if (damage->sealed) fixture_seal(bad, size);
        fixture_write_file(store, name, bad, size);
        fixture_judge(damage, open(context));
    }
    fixture_write_file(store, name, good, size);
    assert_ok(open(context));
    free(good);
    free(bad);
}

/* ---- a table and its model ---- */

fixture_table fixture_table_make(shx_metric metric, uint32_t dim, uint64_t capacity) {
    fixture_table table = {.config = {.metric = metric, .dim = dim, .threads = 1}, .capacity = capacity};
    table.config.uuid.bytes[0] = 7;
    table.config.genesis.bytes[0] = 9;
    table.tip = table.config.genesis;
    table.alive = calloc(capacity, 1);
    table.columns = calloc(capacity, sizeof *table.columns);
    table.vectors = malloc(capacity * dim * sizeof(float));
    assert_true(table.alive && table.columns && table.vectors);
    assert_ok(shx_pending_create(dim * sizeof(float), &table.pending));
    return table;
}

void fixture_table_free(fixture_table *table) {
    fixture_close(table);
    shx_pending_destroy(table->pending);
    free(table->alive);
    free(table->columns);
    free(table->vectors);
    memset(table, 0, sizeof *table);
}

/* A wrapper without a plan: the index closes it, and the store below stays. */
shx_index *fixture_index_on(const shx_index_config *config, shx_store *store) {
    shx_index *index;
    shx_index_config in_memory = *config;
    in_memory.directory = NULL;
    assert_ok(shx_index_create(&in_memory, &index));
    shx_store_close(index->store);
    assert_ok(faulty_store_wrap(store, &index->store));
    return index;
}

void fixture_open(fixture_table *table, shx_store *store, const char *directory) {
    assert_null(table->index);
    table->store = store;
    table->config.directory = directory;
    if (store) {
        table->index = fixture_index_on(&table->config, store);
    } else {
        assert_ok(shx_index_create(&table->config, &table->index));
    }
}

void fixture_close(fixture_table *table) {
    shx_index_destroy(table->index);
    table->index = NULL;
}

static void fixture_append(fixture_table *table, const shx_op *op) {
    uint64_t content[4] = {op->kind, (uint64_t)op->rowid, op->vector_hash, op->column_hash};
    shx_id digest = shx_hash128(content, sizeof content);
    assert_ok(shx_pending_append(table->pending, op, &digest));
}

void fixture_put(fixture_table *table, uint64_t slot, const float *vector) {
    uint32_t dim = table->config.dim;
    assert_true(slot < table->capacity);
    shx_op op = {.kind = table->alive[slot] ? SHX_OP_REPLACE : SHX_OP_INSERT,
                 .rowid = (int64_t)slot + FIXTURE_FIRST_ROWID,
                 .vector_hash = shx_hash64(vector, dim * sizeof(float), 0),
                 .column_hash = ++table->version,
                 .vector = vector};
    fixture_append(table, &op);
    table->live += !table->alive[slot];
    table->alive[slot] = 1;
    table->columns[slot] = op.column_hash;
    memmove(table->vectors + slot * dim, vector, dim * sizeof(float));
}

void fixture_delete(fixture_table *table, uint64_t slot) {
    assert_true(slot < table->capacity && table->alive[slot]);
    shx_op op = {.kind = SHX_OP_DELETE, .rowid = (int64_t)slot + FIXTURE_FIRST_ROWID};
    fixture_append(table, &op);
    table->alive[slot] = 0;
    table->live--;
}

void fixture_put_many(fixture_table *table, uint64_t first, uint64_t count, const float *vectors) {
    for (uint64_t i = 0; i < count; i++) fixture_put(table, first + i, vectors + i * table->config.dim);
}

void fixture_change(fixture_table *table, fixture_random *random, uint64_t slots) {
    float vector[FIXTURE_CHANGE_DIM_MAX];
    assert_true(table->config.dim <= FIXTURE_CHANGE_DIM_MAX);
    uint64_t slot = fixture_below(random, slots);
    for (uint32_t d = 0; d < table->config.dim; d++) vector[d] = (float)fixture_gauss(random);
    if (table->alive[slot] && fixture_below(random, 3) == 0) {
        fixture_delete(table, slot);
    } else {
        fixture_put(table, slot, vector);
    }
}

shx_status fixture_commit_status(fixture_table *table) {
    shx_id commit = shx_pending_commit_id(table->pending, &table->tip);
    shx_status status = shx_index_append(table->index, &table->tip, &commit, table->pending);
    table->tip = commit;
    shx_pending_truncate(table->pending, 0);
    return status;
}

void fixture_commit(fixture_table *table) {
    assert_ok(fixture_commit_status(table));
    shx_view_release(fixture_view(table));
}

shx_view *fixture_view(fixture_table *table) {
    shx_view *view = NULL;
    assert_ok(shx_index_view(table->index, &table->tip, &view));
    return view;
}

shx_index_stats fixture_stats(fixture_table *table) {
    shx_index_stats stats;
    shx_view *view = fixture_view(table);
    shx_index_stats_get(table->index, view, &stats);
    shx_view_release(view);
    return stats;
}

void fixture_flush(fixture_table *table) { assert_ok(shx_maintain_flush(table->index, &table->tip, NULL, NULL)); }

void fixture_optimize(fixture_table *table) { assert_ok(shx_maintain_optimize(table->index, &table->tip, NULL, NULL)); }

typedef struct fixture_digest {
    uint64_t hash, count;
    int64_t last;
    uint32_t dim;
} fixture_digest;

static void fixture_digest_row(fixture_digest *digest, int64_t rowid, uint64_t vector_hash, uint64_t column_hash) {
    uint64_t row[3] = {(uint64_t)rowid, vector_hash, column_hash};
    digest->hash = shx_hash64(row, sizeof row, digest->hash);
    digest->count++;
}

uint64_t fixture_model_digest(const fixture_table *table) {
    fixture_digest digest = {0};
    uint32_t dim = table->config.dim;
    for (uint64_t slot = 0; slot < table->capacity; slot++) {
        if (!table->alive[slot]) continue;
        uint64_t hash = shx_hash64(table->vectors + slot * dim, dim * sizeof(float), 0);
        fixture_digest_row(&digest, (int64_t)slot + FIXTURE_FIRST_ROWID, hash, table->columns[slot]);
    }
    return digest.hash;
}

static shx_status fixture_visit_row(void *context, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                                    const void *vector) {
    fixture_digest *digest = context;
    assert_true(digest->count == 0 || rowid > digest->last);
    assert_true(shx_hash64(vector, digest->dim * sizeof(float), 0) == vector_hash);
    digest->last = rowid;
    fixture_digest_row(digest, rowid, vector_hash, column_hash);
    return SHX_OK;
}

uint64_t fixture_view_digest(shx_view *view, uint32_t dim) {
    fixture_digest digest = {.dim = dim};
    assert_ok(shx_view_each(view, fixture_visit_row, &digest, NULL));
    assert_int_equal(digest.count, shx_view_rows(view));
    return digest.hash;
}

static void fixture_report(void *context, const char *problem) {
    (void)context;
    fail_msg("the check says: %s", problem);
}

void fixture_assert_same(fixture_table *table) {
    shx_view *view = fixture_view(table);
    assert_int_equal(shx_view_rows(view), table->live);
    assert_true(fixture_view_digest(view, table->config.dim) == fixture_model_digest(table));
    assert_ok(shx_maintain_check(table->index, view, fixture_report, NULL, NULL));
    shx_view_release(view);
}

void fixture_brute_force(const fixture_table *table, const float *query, uint64_t k, shx_topk *ret_hits) {
    uint32_t dim = table->config.dim;
    shx_topk_reset(ret_hits, k);
    for (uint64_t slot = 0; slot < table->capacity; slot++) {
        if (!table->alive[slot]) continue;
        double distance = shx_distance(table->config.metric, SHX_FLOAT32, query, table->vectors + slot * dim, dim);
        assert_ok(shx_topk_insert(ret_hits, distance, (int64_t)slot + FIXTURE_FIRST_ROWID));
    }
    shx_topk_sort(ret_hits, NULL);
}

void fixture_assert_hits_equal(const shx_topk *hits, const shx_topk *expected) {
    assert_int_equal(hits->count, expected->count);
    for (uint64_t i = 0; i < hits->count; i++) {
        const shx_hit *hit = &hits->hits[i], *wanted = &expected->hits[i];
        bool same = hit->rowid == wanted->rowid && memcmp(&hit->distance, &wanted->distance, sizeof(double)) == 0;
        if (same) continue;
        fail_msg("hit %llu is %lld at %.17g, not %lld at %.17g", (unsigned long long)i, (long long)hit->rowid,
                 hit->distance, (long long)wanted->rowid, wanted->distance);
    }
}

void fixture_assert_exact(fixture_table *table, const float *queries, uint64_t count, uint64_t k) {
    shx_view *view = fixture_view(table);
    shx_search_scratch *scratch;
    shx_topk hits = {0}, expected = {0};
    assert_ok(shx_search_scratch_create(&scratch));
    for (uint64_t q = 0; q < count; q++) {
        const float *query = queries + q * table->config.dim;
        shx_search_params params = {.query = query, .k = k, .exact = true};
        assert_ok(shx_search(view, &params, scratch, &hits));
        fixture_brute_force(table, query, k, &expected);
        fixture_assert_hits_equal(&hits, &expected);
    }
    shx_topk_free(&hits);
    shx_topk_free(&expected);
    shx_search_scratch_destroy(scratch);
    shx_view_release(view);
}

double fixture_recall(fixture_table *table, const float *queries, uint64_t count, uint64_t k, double recall) {
    shx_view *view = fixture_view(table);
    shx_search_scratch *scratch;
    shx_topk hits = {0}, exact = {0};
    uint64_t found = 0, wanted = 0;
    assert_ok(shx_search_scratch_create(&scratch));
    for (uint64_t q = 0; q < count; q++) {
        shx_search_params params = {.query = queries + q * table->config.dim, .k = k, .exact = true};
        assert_ok(shx_search(view, &params, scratch, &exact));
        params.exact = false;
        params.recall = recall;
        assert_ok(shx_search(view, &params, scratch, &hits));
        double worst = exact.count ? exact.hits[exact.count - 1].distance : 0;
        for (uint64_t i = 0; i < hits.count; i++) {
            const shx_hit *hit = &hits.hits[i];
            int64_t slot = hit->rowid - FIXTURE_FIRST_ROWID;
            assert_true(slot >= 0 && (uint64_t)slot < table->capacity && table->alive[slot]);
            found += hit->distance <= worst;
        }
        wanted += exact.count;
    }
    shx_view_release(view);
    shx_topk_free(&hits);
    shx_topk_free(&exact);
    shx_search_scratch_destroy(scratch);
    return wanted ? (double)found / (double)wanted : 1;
}

static const shx_packed no_columns;

static shx_status fixture_hand_in(const fixture_table *table, shx_reconcile *reconcile) {
    uint32_t dim = table->config.dim;
    for (uint64_t slot = 0; slot < table->capacity; slot++) {
        if (!table->alive[slot]) continue;
        const float *vector = table->vectors + slot * dim;
        uint64_t hash = shx_hash64(vector, dim * sizeof(float), 0);
        bool wanted = false;
        SHX_TRY(shx_reconcile_row(reconcile, (int64_t)slot + FIXTURE_FIRST_ROWID, hash, table->columns[slot], &wanted));
        if (wanted) SHX_TRY(shx_reconcile_content(reconcile, vector, &no_columns));
    }
    return SHX_OK;
}

shx_status fixture_reconcile(fixture_table *table, bool from_nothing, shx_view **ret_view, uint64_t *ret_changes) {
    shx_reconcile *reconcile;
    SHX_TRY(shx_reconcile_open(table->index, from_nothing, ret_view == NULL, NULL, &reconcile));
    shx_status status = fixture_hand_in(table, reconcile);
    if (status == SHX_OK) {
        status = ret_view ? shx_reconcile_view(reconcile, &table->tip, ret_view)
                          : shx_reconcile_publish(reconcile, &table->tip);
    }
    if (ret_changes) *ret_changes = shx_reconcile_changes(reconcile);
    shx_reconcile_close(reconcile);
    return status;
}
