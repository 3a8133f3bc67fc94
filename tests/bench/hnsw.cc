// hnsw build|query SET_FOLDER WORK_FOLDER: hnswlib called directly (M 16, efConstruction 200), the yardstick for
// graphs. Builds with all processors; cosine is inner product on vectors of unit length, as hnswlib's users do it.
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include <hnswlib/hnswlib.h>

#include "measure.h"

namespace {

const char *const NAME = "hnswlib";
typedef hnswlib::HierarchicalNSW<float> graph_type;

struct session {
    dataset set;
    graph_type *graph;
    std::vector<float> query;
};

hnswlib::SpaceInterface<float> *make_space(const dataset &set) {
    if (set.cosine) return new hnswlib::InnerProductSpace(set.dimensions);
    return new hnswlib::L2Space(set.dimensions);
}

void prepare(const dataset &set, const float *vector, std::vector<float> &prepared) {
    prepared.assign(vector, vector + set.dimensions);
    if (!set.cosine) return;
    double squares = 0;
    for (float x : prepared) squares += double(x) * x;
    for (float &x : prepared) x = float(x / std::sqrt(squares));
}

void insert_rows(session &run) {
    std::atomic<size_t> next(0);
    auto worker = [&] {
        std::vector<float> vector;
        for (size_t row; (row = next++) < run.set.row_count;) {
            prepare(run.set, run.set.base + row * run.set.dimensions, vector);
            run.graph->addPoint(vector.data(), row + 1);
            if (row % 16384 == 0) dataset_forget(&run.set);
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::thread::hardware_concurrency(); i++) threads.emplace_back(worker);
    for (auto &thread : threads) thread.join();
}

void build(session &run, const char *path) {
    stopwatch start = stopwatch_start();
    run.graph = new graph_type(make_space(run.set), run.set.row_count, 16, 200);
    insert_rows(run);
    double insert_seconds = wall_seconds() - start.wall;
    run.graph->saveIndex(path);
    print_build(NAME, &run.set, insert_seconds, start);
}

size_t answer(void *context, const float *query, int64_t *ret_rows) {
    session &run = *static_cast<session *>(context);
    prepare(run.set, query, run.query);
    auto found = run.graph->searchKnn(run.query.data(), ANSWERS);
    size_t count = found.size();
    for (size_t i = count; i > 0; found.pop()) ret_rows[--i] = int64_t(found.top().second);
    return count;
}

void query(session &run, const char *path) {
    int64_t rows[ANSWERS];
    double start = wall_seconds();
    run.graph = new graph_type(make_space(run.set), path);
    answer(&run, run.set.queries, rows);
    print_fact(NAME, "first answer ms", 1e3 * (wall_seconds() - start));
    for (size_t ef : {10, 20, 40, 80, 120, 200, 400, 800, 1600}) {
        run.graph->setEf(ef);
        measure_setting(NAME, ("ef " + std::to_string(ef)).c_str(), &run.set, answer, &run);
    }
    print_serving(NAME);
}

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 4) fail("usage: hnsw build|query SET_FOLDER WORK_FOLDER");
    char path[PATH_SIZE];
    session run;
    bool building = std::string(arguments[1]) == "build";
    dataset_open(&run.set, arguments[2], !building);
    (building ? build : query)(run, path_in(path, arguments[3], "bench.hnsw"));
    return 0;
}
