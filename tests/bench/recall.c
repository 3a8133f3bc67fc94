/* recall SHARDEX SET_FOLDER WORK_FOLDER: the recall that is asked for against the recall that is found, on the set's
** held-out queries, for k = 1, 10 and 100, without a condition and under some, among the admitted rows.
**
** Conditions: a random 10 % and 1 % of the rows; five of the hundred groups (about 5 % in five cells, most of them far
** from the query); the query's own group and another query's (about 1 % in one cell, near and far). A miss ("!") is a
** share below asked - 0.01, from 0.99 on asked - 0.003, by more than the standard error of so many queries; any makes
** the exit status 1. The last line is what shardex_recall says of the table itself. */
#include "session.h"

#include <math.h>

enum { CONDITIONS = 6, RECALL_QUERIES = 1000, RECALL_FILTERED = 400, KS = 3, ASKED = 5, GROUPS_TOGETHER = 5 };

static const size_t ALL_KS[KS] = {1, 10, 100};
static const double ALL_ASKED[ASKED] = {0.80, 0.90, 0.95, 0.99, 0.999};

typedef struct {
    const char *name;
    const char *where; /* ?2; NULL: all rows */
    int below;         /* r < this */
    int together;      /* so many groups from a group on … */
    size_t other;      /* … that of the query so many further on */
} condition;

static const condition ALL_CONDITIONS[CONDITIONS] = {
    {"all", NULL, 0, 0, 0},
    {"random 10 %", "AND r < ?2", 100, 0, 0},
    {"random 1 %", "AND r < ?2", 10, 0, 0},
    {"five groups", "AND g >= ?2 AND g < ?2 + 5", 0, GROUPS_TOGETHER, 1},
    {"own group", "AND g = ?2", 0, 1, 0},
    {"another's group", "AND g = ?2", 0, 1, 1},
};

typedef struct {
    session run;
    plain_rows rows;
    size_t query_count; /* under the condition in hand, whose truth the next three are */
    int64_t (*truth)[TRUTH_DEPTH];
    size_t *truth_counts;
    int *values; /* of ?2 */
    double share;
    size_t misses;
} recall_bench;

static int value_of(const recall_bench *bench, const condition *asked, size_t query) {
    const dataset *set = &bench->run.set;
    size_t like = (query + asked->other) % set->query_count;
    if (asked->where == NULL || asked->below) return asked->below;
    int group = session_group_of(&bench->run, set->queries + like * set->dimensions);
    return group > MODES_GROUPS - asked->together ? MODES_GROUPS - asked->together : group;
}

static int admits(const recall_bench *bench, const condition *asked, int value, size_t row) {
    if (asked->where == NULL) return 1;
    if (asked->below) return bench->run.randoms[row] < value;
    return bench->run.groups[row] >= value && bench->run.groups[row] < value + asked->together;
}

static void find_truth(recall_bench *bench, const condition *asked) {
    const dataset *set = &bench->run.set;
    size_t most = asked->where ? RECALL_FILTERED : RECALL_QUERIES, sum = 0;
    uint8_t *admitted = need(malloc(set->row_count));
    plain_hit *hits = need(malloc((set->row_count + 1) * sizeof *hits));
    bench->query_count = set->query_count < most ? set->query_count : most;
    for (size_t query = 0; query < bench->query_count; query++) {
        int value = bench->values[query] = value_of(bench, asked, query);
        for (size_t row = 0; row < set->row_count; row++) {
            admitted[row] = (uint8_t)admits(bench, asked, value, row);
            sum += admitted[row];
        }
        const float *vector = set->queries + query * set->dimensions;
        size_t count = plain_search(&bench->rows, vector, asked->where ? admitted : NULL, TRUTH_DEPTH, hits);
        bench->truth_counts[query] = count;
        for (size_t i = 0; i < count; i++) bench->truth[query][i] = hits[i].row + 1;
    }
    bench->share = 100.0 * (double)sum / (double)set->row_count / (double)bench->query_count;
    free(admitted);
    free(hits);
}

/* The share of the true k nearest of one query that an answer holds. */
static double share_found(const recall_bench *bench, size_t query, size_t k, const int64_t *rows, size_t count) {
    size_t wanted = bench->truth_counts[query] < k ? bench->truth_counts[query] : k, found = 0;
    for (size_t i = 0; i < count && i < k; i++) {
        for (size_t j = 0; j < wanted; j++) found += rows[i] == bench->truth[query][j];
    }
    return wanted > 0 ? (double)found / (double)wanted : 1;
}

/* Prints what is found of `recall`, and counts it if it is a miss. */
static void print_found(recall_bench *bench, sqlite3_stmt *statement, size_t k, double recall) {
    const dataset *set = &bench->run.set;
    double sum = 0, squares = 0, queries = (double)bench->query_count;
    int64_t rows[TRUTH_DEPTH];
    for (size_t query = 0; query < bench->query_count; query++) {
        session_bind_vector(&bench->run, statement, set->queries + query * set->dimensions);
        if (sqlite3_bind_parameter_index(statement, "?2") > 0) sqlite3_bind_int(statement, 2, bench->values[query]);
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)k);
        sqlite3_bind_double(statement, 4, recall);
        double share = share_found(bench, query, k, rows, session_rows(statement, TRUTH_DEPTH, rows));
        sum += share;
        squares += share * share;
    }
    double found = sum / queries, error = sqrt(fmax(squares / queries - found * found, 0) / queries);
    int missed = found + error < recall - (recall >= 0.99 ? 0.003 : 0.01);
    printf(" %8.4f%c", found, missed ? '!' : ' ');
    bench->misses += (size_t)missed;
}

static void print_condition(recall_bench *bench, const condition *asked) {
    find_truth(bench, asked);
    sqlite3_stmt *statement =
        session_prepare(bench->run.db,
                        "SELECT rowid FROM " MODES_TABLE " WHERE v MATCH ?1 AND k = ?3 AND recall = ?4 %s "
                        "ORDER BY distance",
                        asked->where ? asked->where : "");
    for (size_t i = 0; i < KS; i++) {
        printf("%-16s %8.2f %5zu", asked->name, bench->share, ALL_KS[i]);
        for (size_t j = 0; j < ASKED; j++) print_found(bench, statement, ALL_KS[i], ALL_ASKED[j]);
        printf("\n");
        fflush(stdout);
    }
    sqlite3_finalize(statement);
}

static void print_own_report(const recall_bench *bench) {
    sqlite3_stmt *statement = session_prepare(bench->run.db, "SELECT shardex_recall('" MODES_TABLE "', 10, 500)");
    if (sqlite3_step(statement) == SQLITE_ROW) {
        printf("shardex_recall, k = 10, default recall of 0.95: %.4f\n", sqlite3_column_double(statement, 0));
    }
    sqlite3_finalize(statement);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 4) fail("usage: recall SHARDEX SET_FOLDER WORK_FOLDER");
    recall_bench bench = {.run = session_of(arguments[1], arguments[2], arguments[3])};
    bench.truth = need(malloc(RECALL_QUERIES * sizeof *bench.truth));
    bench.truth_counts = need(malloc(RECALL_QUERIES * sizeof *bench.truth_counts));
    bench.values = need(malloc(RECALL_QUERIES * sizeof *bench.values));
    session_draw_columns(&bench.run);
    bench.rows = plain_take(&bench.run.set, bench.run.set.row_count);
    session_open_modes(&bench.run);
    printf("%-16s %8s %5s", "condition", "rows, %", "k");
    for (size_t j = 0; j < ASKED; j++) printf(" %8.3f ", ALL_ASKED[j]);
    printf("\n");
    for (size_t i = 0; i < CONDITIONS; i++) print_condition(&bench, &ALL_CONDITIONS[i]);
    print_own_report(&bench);
    printf("misses: %zu of %d\n", bench.misses, CONDITIONS * KS * ASKED);
    session_need(bench.run.db, sqlite3_close(bench.run.db));
    return bench.misses > 0;
}
