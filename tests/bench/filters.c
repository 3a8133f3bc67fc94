/* filters SHARDEX SQLITE_VEC SET_FOLDER WORK_FOLDER: queries under conditions, k = 10, recall 0.95, one thread.
**
** Conditions: a random half of the rows, 10, 1 and 0.1 % of them; the rows of the query's own group (about 1 %, all of
** them near) and of the group of another query (as many, most of them far). Recall is counted among the admitted rows,
** against one pass over them (plain.h). sqlite-vec, which is exact, gets the same WHERE on metadata columns; it is
** asked few queries. Queries/s by CPU time. */
#include "session.h"

enum { FILTER_QUERIES = 200, FILTER_FEW = 5, FILTERS = 6, K = 10 };

typedef struct {
    const char *name;
    const char *where; /* ?2 */
    int below;         /* r < this; 0: g = a group */
    size_t other;      /* the group is that of the query so many further on */
} filter;

static const filter ALL_FILTERS[FILTERS] = {
    {"random 50 %", "r < ?2", 500, 0}, {"random 10 %", "r < ?2", 100, 0}, {"random 1 %", "r < ?2", 10, 0},
    {"random 0.1 %", "r < ?2", 1, 0},  {"own group", "g = ?2", 0, 0},     {"another's group", "g = ?2", 0, 1},
};

typedef struct {
    session run;
    size_t query_count;
    plain_rows rows;
    int64_t (*truth)[K]; /* of the filter in hand */
    size_t *truth_counts;
    double share;
} filter_bench;

static int filter_value(const filter_bench *bench, const filter *asked, size_t query) {
    const dataset *set = &bench->run.set;
    size_t like = (query + asked->other) % set->query_count;
    return asked->below ? asked->below : session_group_of(&bench->run, set->queries + like * set->dimensions);
}

static void find_truth(filter_bench *bench, const filter *asked) {
    const dataset *set = &bench->run.set;
    uint8_t *admitted = need(malloc(set->row_count));
    plain_hit *hits = need(malloc((set->row_count + 1) * sizeof *hits));
    size_t sum = 0;
    for (size_t query = 0; query < bench->query_count; query++) {
        int value = filter_value(bench, asked, query);
        for (size_t row = 0; row < set->row_count; row++) {
            admitted[row] = asked->below ? bench->run.randoms[row] < value : bench->run.groups[row] == value;
            sum += admitted[row];
        }
        size_t count = plain_search(&bench->rows, set->queries + query * set->dimensions, admitted, K, hits);
        bench->truth_counts[query] = count;
        for (size_t i = 0; i < count; i++) bench->truth[query][i] = hits[i].row + 1;
    }
    bench->share = 100.0 * (double)sum / (double)set->row_count / (double)bench->query_count;
    free(admitted);
    free(hits);
}

/* One pass over the first `queries`: the seconds of CPU a query; adds to the counters of recall. */
static double filter_pass(const filter_bench *bench, sqlite3_stmt *statement, const filter *asked, size_t queries,
                          size_t *found, size_t *wanted) {
    const dataset *set = &bench->run.set;
    double seconds = 0;
    for (size_t query = 0; query < queries; query++) {
        int64_t rows[K];
        session_bind_vector(&bench->run, statement, set->queries + query * set->dimensions);
        sqlite3_bind_int(statement, 2, filter_value(bench, asked, query));
        double start = cpu_seconds();
        size_t count = session_rows(statement, K, rows);
        seconds += cpu_seconds() - start;
        *wanted += bench->truth_counts[query];
        for (size_t i = 0; i < count && i < K; i++) {
            for (size_t j = 0; j < bench->truth_counts[query]; j++) *found += rows[i] == bench->truth[query][j];
        }
    }
    return seconds / (double)queries;
}

static double filter_measure(const filter_bench *bench, sqlite3 *db, const filter *asked, size_t queries, int rounds,
                             double *ret_recall) {
    sqlite3_stmt *statement = session_prepare(
        db, "SELECT rowid, distance FROM " MODES_TABLE " WHERE v MATCH ?1 AND k = 10 AND %s", asked->where);
    double seconds[ROUNDS];
    size_t found = 0, wanted = 0;
    if (rounds > 1) filter_pass(bench, statement, asked, queries, &found, &wanted); /* warms up */
    found = wanted = 0;
    for (int i = 0; i < rounds; i++) seconds[i] = filter_pass(bench, statement, asked, queries, &found, &wanted);
    sqlite3_finalize(statement);
    *ret_recall = wanted ? (double)found / (double)wanted : 1;
    return 1 / session_median(seconds, (size_t)rounds);
}

/* sqlite-vec's table of the same rows, or NULL where the extension is missing. */
static sqlite3 *open_peer(const filter_bench *bench, const char *extension) {
    const dataset *set = &bench->run.set;
    if (*extension == 0) return NULL;
    sqlite3 *db = session_open(&bench->run, "filters-peer.db", extension);
    if (session_has(db, MODES_TABLE)) return db;
    session_run(db,
                "CREATE VIRTUAL TABLE " MODES_TABLE " USING vec0(v float[%zu] distance_metric=%s, r integer, "
                "g integer)",
                set->dimensions, set->cosine ? "cosine" : "L2");
    session_fill(&bench->run, db, "INSERT INTO " MODES_TABLE "(rowid, v, r, g) VALUES (?1, ?2, ?3, ?4)",
                 set->row_count);
    return db;
}

static void print_filter(filter_bench *bench, const filter *asked, sqlite3 *peer) {
    double recall, peer_recall;
    find_truth(bench, asked);
    double rate = filter_measure(bench, bench->run.db, asked, bench->query_count, ROUNDS, &recall);
    printf("%-16s %9.2f %12.4f %10.0f", asked->name, bench->share, recall, rate);
    if (peer != NULL) {
        double peer_rate = filter_measure(bench, peer, asked, FILTER_FEW, 1, &peer_recall);
        printf(" %12.4f %10.1f %8.0f", peer_recall, peer_rate, rate / peer_rate);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 5) fail("usage: filters SHARDEX SQLITE_VEC SET_FOLDER WORK_FOLDER");
    filter_bench bench = {.run = session_of(arguments[1], arguments[3], arguments[4])};
    const dataset *set = &bench.run.set;
    bench.query_count = set->query_count < FILTER_QUERIES ? set->query_count : FILTER_QUERIES;
    if (bench.query_count < FILTER_FEW) fail("too few queries");
    bench.truth = need(malloc(bench.query_count * sizeof *bench.truth));
    bench.truth_counts = need(malloc(bench.query_count * sizeof *bench.truth_counts));
    session_draw_columns(&bench.run);
    bench.rows = plain_take(set, set->row_count);
    session_open_modes(&bench.run);
    sqlite3 *peer = open_peer(&bench, arguments[2]);
    printf("%-16s %9s %12s %10s %12s %10s %8s\n", "filter", "rows, %", "recall", "queries/s",
           "sqlite-vec:", "queries/s", "ratio");
    for (size_t i = 0; i < FILTERS; i++) print_filter(&bench, ALL_FILTERS + i, peer);
    sqlite3_close(peer);
    return sqlite3_close(bench.run.db) != SQLITE_OK;
}
