/* What tests of the index share: random data with a printed seed, the demo words, directories that clean up after
** themselves, and a table: an index together with a plain model of what must be in it.
**
** Everything here asserts by itself (cmocka), so tests read as what they do.
*/
#ifndef SHX_TEST_FIXTURE_H
#define SHX_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "faulty_store.h"
#include "index_state.h"
#include "maintain.h"
#include "reconcile.h"
#include "search.h"

#define assert_ok(call) fixture_assert_status((call), SHX_OK, #call, __FILE__, __LINE__)
#define assert_status(call, expected) fixture_assert_status((call), (expected), #call, __FILE__, __LINE__)

void fixture_assert_status(shx_status status, shx_status expected, const char *what, const char *file, int line);

/* ---- stopping ---- */

/* Counts how often it is asked whether to stop; at question number `at` it says so (0: never). */
typedef struct fixture_asked {
    uint64_t count, at;
} fixture_asked;

shx_stop fixture_stop(fixture_asked *asked);

/* ---- chance ---- */

/* The state of a random sequence. A test starts it with fixture_seed, which prints the seed; the variable
** SHARDEX_TEST_SEED replaces the default. */
typedef struct fixture_random {
    uint64_t state;
} fixture_random;

fixture_random fixture_seed(const char *test, uint64_t default_seed);
uint64_t fixture_next(fixture_random *random);
uint64_t fixture_below(fixture_random *random, uint64_t limit);
double fixture_unit(fixture_random *random);
double fixture_gauss(fixture_random *random);

/* ---- memory ---- */

/* From now on the engine's allocations are counted, on all threads; how many there were. Call it before any. */
void fixture_count_allocations(void);
uint64_t fixture_allocations(void);

/* ---- vectors ---- */

/* `count` vectors of `dim` floats; free with free(). Clusters: heavy-tailed in size (Zipf) and in width (log-normal).
** */
float *fixture_gaussian(fixture_random *random, uint64_t count, uint32_t dim);
float *fixture_clustered(fixture_random *random, uint64_t count, uint32_t dim, uint32_t clusters);

#define FIXTURE_WORDS 20000
#define FIXTURE_WORDS_DIM 100

/* The vectors of sql/demo/words-20k.npy. */
float *fixture_words(void);

/* ---- places ---- */

/* A new directory under the system's temporary one, and an index's directory in it; removed by
** fixture_directory_remove. */
typedef struct fixture_directory {
    char root[256];
    char path[320]; /* root/test.db-shardex/uuid */
} fixture_directory;

fixture_directory fixture_directory_make(void);
void fixture_directory_remove(fixture_directory *directory);

/* Removes a file or a folder with all that is inside; of a link, the link alone. */
void fixture_remove_tree(const char *path);

/* A store in memory, and one whose directory is there already; the caller's. */
shx_store *fixture_heap(void);
shx_store *fixture_prepared_heap(void);

/* A whole file of a store (free with free()); writing one replaces it. */
uint8_t *fixture_read_file(shx_store *store, const char *name, uint64_t *ret_size);
void fixture_write_file(shx_store *store, const char *name, const uint8_t *bytes, uint64_t size);

/* The names of a store's files, sorted. */
#define FIXTURE_NAMES_MAX 256
typedef struct fixture_names {
    uint64_t count;
    char names[FIXTURE_NAMES_MAX][48];
} fixture_names;

fixture_names fixture_list(shx_store *store);

/* How many files of a kind there are. */
uint64_t fixture_count_files(shx_store *store, shx_file_kind kind);

/* Compares bytes with tests/golden/<name>; with SHARDEX_GOLDEN_WRITE set it writes the file instead. */
void fixture_assert_golden(const char *name, const uint8_t *bytes, uint64_t size);

/* One row of a corruption table: `width` bytes at `offset` become `value`, and opening says `expected` (the text given
** to shx_corrupt; NULL: all is well). Where only the checksums would speak otherwise, `sealed` makes them right again,
** so that what they cover is judged by itself. */
typedef struct fixture_damage {
    const char *field;
    uint64_t offset, value;
    unsigned width;
    bool sealed;
    const char *expected;
} fixture_damage;

/* Makes the checksums of a container right: of the header, of the checked sections that lie inside, of the table. */
void fixture_seal(uint8_t *bytes, uint64_t size);

/* Where the section with this id starts in a valid container. */
uint64_t fixture_section(const uint8_t *bytes, uint32_t section_id);

/* For each row of a table: damages the file `name`, calls `open` and judges; then puts the file back. */
typedef shx_status (*fixture_opener)(void *context);
void fixture_assert_damages(shx_store *store, const char *name, const fixture_damage *table, size_t count,
                            fixture_opener open, void *context);

/* ---- a table and its model ---- */

#define FIXTURE_FIRST_ROWID (-100) /* the rowid of slot 0: some are negative, one is 0 */

typedef struct fixture_table {
    shx_index_config config;
    shx_store *store; /* the store that the index was given; NULL: its own */
    shx_index *index;
    shx_pending *pending;
    shx_id tip;
    uint64_t capacity, live; /* slots; living rows */
    uint64_t version;        /* the last column hash given out */
    uint8_t *alive;
    uint64_t *columns;
    float *vectors;
} fixture_table;

/* A table without an index: metric, dim and room for `capacity` rows. */
fixture_table fixture_table_make(shx_metric metric, uint32_t dim, uint64_t capacity);
void fixture_table_free(fixture_table *table);

/* Gives it an index of its own on `store` (which stays the caller's: as another process on the same directory), on a
** directory, or, with both NULL, in memory. Close it to open it again elsewhere. */
void fixture_open(fixture_table *table, shx_store *store, const char *directory);
void fixture_close(fixture_table *table);

/* An index object on a store that stays the caller's. */
shx_index *fixture_index_on(const shx_index_config *config, shx_store *store);

/* Operations of the transaction at hand; the model changes at once. */
void fixture_put(fixture_table *table, uint64_t slot, const float *vector);
void fixture_delete(fixture_table *table, uint64_t slot);
void fixture_put_many(fixture_table *table, uint64_t first, uint64_t count, const float *vectors);

/* A random operation on one of the first `slots` slots: of three that hit a living row one deletes it. */
void fixture_change(fixture_table *table, fixture_random *random, uint64_t slots);

/* Commits it: id, record, memory. fixture_commit_status returns what the append said, and empties the transaction. */
void fixture_commit(fixture_table *table);
shx_status fixture_commit_status(fixture_table *table);

/* The view of the tip; the caller's. */
shx_view *fixture_view(fixture_table *table);

/* The figures of the index at the tip. */
shx_index_stats fixture_stats(fixture_table *table);

/* Flushes or optimizes up to the tip. */
void fixture_flush(fixture_table *table);
void fixture_optimize(fixture_table *table);

/* A hash over all rows in order: of the model, and of a view (whose vectors are checked against their hashes). */
uint64_t fixture_model_digest(const fixture_table *table);
uint64_t fixture_view_digest(shx_view *view, uint32_t dim);

/* The view of the tip holds exactly the model's rows, and shx_maintain_check finds nothing. */
void fixture_assert_same(fixture_table *table);

/* The k nearest of the model, by shx_distance and rowid. */
void fixture_brute_force(const fixture_table *table, const float *query, uint64_t k, shx_topk *ret_hits);

/* The exact search gives the brute force's answer for each of `count` queries. */
void fixture_assert_exact(fixture_table *table, const float *queries, uint64_t count, uint64_t k);
void fixture_assert_hits_equal(const shx_topk *hits, const shx_topk *expected);

/* The share of the true k nearest that searches of the tip with this target find, by distance. */
double fixture_recall(fixture_table *table, const float *queries, uint64_t count, uint64_t k, double recall);

/* Reconciles the index with the model: a private view (*ret_view) or, with NULL, a durable record for the tip. */
shx_status fixture_reconcile(fixture_table *table, bool from_nothing, shx_view **ret_view, uint64_t *ret_changes);

#endif
