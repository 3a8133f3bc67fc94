// ivf build|query SET_FOLDER WORK_FOLDER: faiss called directly, inverted lists (4 x sqrt(rows) of them) with the full
// vectors, the yardstick for lists. Builds with all processors, answers with one; cosine is inner product on unit length.
#include <cmath>
#include <string>
#include <vector>

#include <omp.h>

#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/index_io.h>

#include "measure.h"

namespace {

const char *const NAME = "faiss-IVF";
const size_t BATCH = 16384;

struct session {
    dataset set;
    faiss::IndexIVF *index;
    std::vector<float> query;
};

void prepare(const dataset &set, const float *vectors, size_t count, std::vector<float> &prepared) {
    prepared.assign(vectors, vectors + count * set.dimensions);
    if (!set.cosine) return;
    for (size_t row = 0; row < count; row++) {
        float *vector = prepared.data() + row * set.dimensions;
        double squares = 0;
        for (size_t i = 0; i < set.dimensions; i++) squares += double(vector[i]) * vector[i];
        for (size_t i = 0; i < set.dimensions; i++) vector[i] = float(vector[i] / std::sqrt(squares));
    }
}

// Trains on 64 rows a list, spread over the whole base.
void train(session &run, size_t lists) {
    size_t wanted = std::min(64 * lists, run.set.row_count);
    std::vector<float> sample, row;
    for (size_t i = 0; i < wanted; i++) {
        size_t from = i * run.set.row_count / wanted;
        prepare(run.set, run.set.base + from * run.set.dimensions, 1, row);
        sample.insert(sample.end(), row.begin(), row.end());
    }
    dataset_forget(&run.set);
    run.index->train(faiss::Index::idx_t(wanted), sample.data());
}

void insert_rows(session &run) {
    std::vector<float> rows;
    std::vector<faiss::Index::idx_t> ids;
    for (size_t row = 0; row < run.set.row_count; row += BATCH) {
        size_t count = std::min(BATCH, run.set.row_count - row);
        prepare(run.set, run.set.base + row * run.set.dimensions, count, rows);
        ids.clear();
        for (size_t i = 0; i < count; i++) ids.push_back(faiss::Index::idx_t(row + i + 1));
        run.index->add_with_ids(faiss::Index::idx_t(count), rows.data(), ids.data());
        dataset_forget(&run.set);
    }
}

void build(session &run, const char *path) {
    stopwatch start = stopwatch_start();
    size_t lists = size_t(4 * std::sqrt(double(run.set.row_count)));
    faiss::MetricType metric = run.set.cosine ? faiss::METRIC_INNER_PRODUCT : faiss::METRIC_L2;
    run.index =
        new faiss::IndexIVFFlat(new faiss::IndexFlat(run.set.dimensions, metric), run.set.dimensions, lists, metric);
    run.index->cp.max_points_per_centroid = 64;
    train(run, lists);
    insert_rows(run);
    double insert_seconds = wall_seconds() - start.wall;
    faiss::write_index(run.index, path);
    print_build(NAME, &run.set, insert_seconds, start);
}

size_t answer(void *context, const float *query, int64_t *ret_rows) {
    session &run = *static_cast<session *>(context);
    float distances[ANSWERS];
    prepare(run.set, query, 1, run.query);
    run.index->search(1, run.query.data(), ANSWERS, distances, ret_rows);
    return ANSWERS;
}

void query(session &run, const char *path) {
    int64_t rows[ANSWERS];
    omp_set_num_threads(1);
    double start = wall_seconds();
    run.index = dynamic_cast<faiss::IndexIVF *>(faiss::read_index(path));
    answer(&run, run.set.queries, rows);
    print_fact(NAME, "first answer ms", 1e3 * (wall_seconds() - start));
    for (size_t probes : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}) {
        run.index->nprobe = probes;
        measure_setting(NAME, ("nprobe " + std::to_string(probes)).c_str(), &run.set, answer, &run);
    }
    print_serving(NAME);
}

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 4) fail("usage: ivf build|query SET_FOLDER WORK_FOLDER");
    char path[PATH_SIZE];
    session run;
    bool building = std::string(arguments[1]) == "build";
    dataset_open(&run.set, arguments[2], !building);
    (building ? build : query)(run, path_in(path, arguments[3], "bench.ivf"));
    return 0;
}
