/* A whole directory: base, shards, segments and WAL, any of them edited. The index resolves the newest commit, searches
** in every way, checks, appends, flushes, re-clusters, and is rebuilt.
**
** An input: sample (a byte), edits (sample.h), then steps, a byte each and what they need.
*/
#include "sample.h"

#include "maintain.h"
#include "reconcile.h"

#include <stdlib.h>

typedef struct directory {
    const sample *from;
    shx_index *index;
    shx_view *view; /* NULL: the commit does not resolve */
    shx_id tip;
    uint64_t next_row;
    bool flushed; /* that is slow: once an input */
} directory;

/* What may come of a damaged directory. */
static bool is_expected(shx_status status) {
    return status == SHX_OK || status == SHX_CORRUPT || status == SHX_NOTFOUND || status == SHX_IO ||
           status == SHX_BUSY || status == SHX_FULL;
}

static void look(directory *at) {
    shx_view_release(at->view);
    at->view = NULL;
    shx_view *view;
    shx_status status = shx_index_view(at->index, &at->tip, &view);
    fuzz_require(is_expected(status));
    if (status == SHX_OK) at->view = view;
}

static void search(directory *at, fuzz_input *input) {
    const shx_index_config *config = &at->from->config;
    uint64_t how = fuzz_number(input, 1), row = fuzz_number(input, 1), k = fuzz_number(input, 1) % 80;
    float vector[64];
    shx_predicate predicate = {0};
    shx_search_scratch *scratch;
    shx_topk hits = {0};
    if (!at->view) return;
    sample_vector(config, row, vector);
    shx_search_params params = {.query = vector, .k = k, .exact = how & 1, .index = at->index};
    params.recall = how & 2 ? 1 : 0.5;
    params.within = how & 4;
    params.radius = (double)fuzz_number(input, 1) / 4;
    if (how & 8) {
        shx_value value = {.type = SHX_VALUE_INTEGER, .is.integer = (int64_t)row % 5};
        shx_range range = {shx_cut_before(value), how & 16 ? shx_cut_end() : shx_cut_after(value)};
        fuzz_require(shx_predicate_add(&predicate, how & 32 ? SHX_COLUMN_ROWID : how >> 6 & 1, &range, 1) == SHX_OK);
        params.predicate = &predicate;
    }
    fuzz_require(shx_search_scratch_create(&scratch) == SHX_OK);
    shx_status status = shx_search(at->view, &params, scratch, &hits);
    fuzz_require(is_expected(status));
    if (status == SHX_OK) {
        fuzz_require(hits.count <= k);
        for (uint64_t i = 1; i < hits.count; i++) fuzz_require(shx_hit_before(&hits.hits[i - 1], &hits.hits[i]));
    }
    shx_search_scratch_destroy(scratch);
    shx_topk_free(&hits);
    shx_predicate_clear(&predicate);
}

static void count_problem(void *context, const char *problem) { *(uint64_t *)context += problem[0] != 0; }

static shx_status visit_row(void *context, int64_t rowid, uint64_t vector_hash, uint64_t column_hash,
                            const void *vector) {
    (void)rowid, (void)vector_hash, (void)column_hash, (void)vector;
    ++*(uint64_t *)context;
    return SHX_OK;
}

static void inspect(directory *at) {
    uint64_t problems = 0, rows = 0;
    shx_index_stats stats;
    if (!at->view) return;
    fuzz_require(is_expected(shx_maintain_check(at->index, at->view, count_problem, &problems, NULL)));
    fuzz_require(is_expected(shx_view_each(at->view, visit_row, &rows, NULL)));
    shx_index_stats_get(at->index, at->view, &stats);
}

static void append(directory *at, fuzz_input *input) {
    shx_pending *pending;
    fuzz_require(shx_pending_create(shx_index_vector_bytes(at->index), &pending) == SHX_OK);
    for (uint64_t count = fuzz_number(input, 1) % 16 + 1; count > 0; count--) {
        sample_put(&at->from->config, at->next_row++, SHX_OP_INSERT, pending);
    }
    sample_put(&at->from->config, fuzz_number(input, 1), SHX_OP_DELETE, pending);
    shx_id commit = shx_pending_commit_id(pending, &at->tip);
    shx_status status = shx_index_append(at->index, &at->tip, &commit, pending);
    fuzz_require(is_expected(status));
    at->tip = commit;
    shx_index_committed(at->index, &at->tip);
    shx_pending_destroy(pending);
    look(at);
}

static void flush(directory *at, fuzz_input *input) {
    bool optimizes = fuzz_number(input, 1) % 2;
    if (at->flushed) return;
    at->flushed = true;
    shx_status status = optimizes ? shx_maintain_optimize(at->index, &at->tip, NULL, NULL)
                                  : shx_maintain_flush(at->index, &at->tip, NULL, NULL);
    fuzz_require(is_expected(status));
    look(at);
}

/* Some rows are as the index may have them, some are not. */
static void reconcile(directory *at, fuzz_input *input) {
    const shx_index_config *config = &at->from->config;
    bool from_nothing = fuzz_number(input, 1) % 2;
    uint8_t vector[64 * sizeof(float)], column[] = {SHX_VALUE_NULL, SHX_VALUE_NULL};
    const shx_packed columns = {column, sizeof column};
    shx_reconcile *work;
    if (from_nothing) shx_index_distrust(at->index);
    if (!is_expected(shx_reconcile_open(at->index, from_nothing, true, NULL, &work))) abort();
    shx_status status = SHX_OK;
    for (uint64_t row = 0; row < SAMPLE_ROWS && status == SHX_OK; row++) {
        bool wanted;
        sample_vector(config, row, vector);
        uint64_t hash = shx_hash64(vector, shx_index_vector_bytes(at->index), 0);
        uint64_t column_hash = row % 9 ? row : shx_hash64(columns.bytes, columns.size, 0);
        status = shx_reconcile_row(work, (int64_t)row, hash, column_hash, &wanted);
        if (status == SHX_OK && wanted) status = shx_reconcile_content(work, vector, &columns);
    }
    at->tip.bytes[15]++;
    if (status == SHX_OK) status = shx_reconcile_publish(work, &at->tip);
    fuzz_require(is_expected(status));
    shx_reconcile_close(work);
    look(at);
}

static void maintain(directory *at, fuzz_input *input) {
    (void)input;
    shx_index_confirm(at->index, &at->tip);
    look(at);
}

static void step(directory *at, fuzz_input *input) {
    static void (*const others[])(directory *, fuzz_input *) = {append, append, append, reconcile, maintain, flush};
    uint64_t which = fuzz_number(input, 1) % 32;
    if (which < 20) {
        search(at, input);
    } else if (which < 26) {
        inspect(at);
    } else {
        others[which - 26](at, input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    fuzz_setup();
    directory at = {.from = sample_get(fuzz_number(&input, 1)), .next_row = SAMPLE_ROWS};
    at.index = sample_open(at.from, sample_edit(at.from, &input));
    at.tip = at.from->tip;
    look(&at);
    for (int left = 12; left > 0 && input.left > 0; left--) step(&at, &input);
    shx_view_release(at.view);
    shx_index_destroy(at.index);
    fuzz_finish();
    return 0;
}
