/* What every program of the benchmark shares, in the common part of C and C++: data sets, clocks, memory, results.
**
** A data set is a folder: base.f32 and queries.f32 (flat float32, row after row), shape ("dimensions metric", metric l2
** or cosine), truth.i32 (for each query the numbers of its TRUTH_DEPTH nearest rows, nearest first; see truth.c).
**
** Programs print CSV lines to stdout, one fact a line, which table.py gathers:
**     fact,ENGINE,NAME,VALUE                              about building, opening, serving
**     query,ENGINE,SETTING,RECALL,CPU_QPS,WALL_QPS,P50,P99
** CPU_QPS counts the CPU time of the whole process, the medians of several passes; P50 and P99 are wall time in
** microseconds. Engines build in one process and answer in another, which opens what the first has left on disk.
**
** Rows are named by row number + 1 in every engine. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TRUTH_DEPTH = 100, ANSWERS = 10, PATH_SIZE = 4096 };

typedef struct {
    size_t dimensions;
    int cosine;
    size_t row_count;
    size_t query_count;
    const float *base;
    const float *queries;
    const int32_t *truth;
} dataset;

static inline void fail(const char *message) {
    fprintf(stderr, "bench: %s\n", message);
    exit(1);
}

static inline void *need(void *pointer) {
    if (pointer == NULL) fail("out of memory, or a file is missing");
    return pointer;
}

/* splitmix64: the same numbers from a state on every machine. */
static inline uint64_t random_bits(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline char *path_in(char *path, const char *folder, const char *name) {
    snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return path;
}

static inline const void *dataset_map(const char *folder, const char *name, size_t *ret_size) {
    char path[PATH_SIZE];
    struct stat status;
    int file = open(path_in(path, folder, name), O_RDONLY);
    if (file < 0 || fstat(file, &status) != 0) {
        fprintf(stderr, "bench: cannot open %s\n", path);
        exit(1);
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) fail("cannot map a file of the data set");
    close(file);
    *ret_size = (size_t)status.st_size;
    return data;
}

static inline void dataset_open(dataset *set, const char *folder, int with_truth) {
    char path[PATH_SIZE], metric[16];
    size_t size;
    FILE *shape = (FILE *)need(fopen(path_in(path, folder, "shape"), "r"));
    if (fscanf(shape, "%zu %15s", &set->dimensions, metric) != 2 || set->dimensions == 0)
        fail("shape must hold: dimensions metric");
    fclose(shape);
    set->cosine = strcmp(metric, "cosine") == 0;
    set->base = (const float *)dataset_map(folder, "base.f32", &size);
    set->row_count = size / (set->dimensions * sizeof(float));
    set->queries = (const float *)dataset_map(folder, "queries.f32", &size);
    set->query_count = size / (set->dimensions * sizeof(float));
    set->truth = with_truth ? (const int32_t *)dataset_map(folder, "truth.i32", &size) : NULL;
    if (with_truth && size != set->query_count * TRUTH_DEPTH * sizeof(int32_t))
        fail("truth.i32 does not belong to queries.f32");
}

static inline double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline double wall_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }

static inline double cpu_seconds(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

/* A field of /proc/self/status in MB: VmHWM (peak of everything resident), RssAnon (what is the process's own now). */
static inline double memory_mb(const char *field) {
    char line[256];
    double kilobytes = 0;
    size_t length = strlen(field);
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, field, length) == 0 && line[length] == ':') kilobytes = atof(line + length + 1);
    }
    if (status != NULL) fclose(status);
    return kilobytes / 1024;
}

/* Gives the pages of the base back, so that they do not count as memory of the engine. */
static inline void dataset_forget(const dataset *set) {
    madvise((void *)set->base, set->row_count * set->dimensions * sizeof(float), MADV_DONTNEED);
}

static inline void print_fact(const char *engine, const char *name, double value) {
    printf("fact,%s,%s,%.6g\n", engine, name, value);
    fflush(stdout);
}

/* What a program measures while it builds. */
typedef struct {
    double wall;
    double cpu;
} stopwatch;

static inline stopwatch stopwatch_start(void) {
    stopwatch now = {wall_seconds(), cpu_seconds()};
    return now;
}

static inline void print_build(const char *engine, const dataset *set, double insert_seconds, stopwatch start) {
    print_fact(engine, "rows", (double)set->row_count);
    print_fact(engine, "insert rows/s", (double)set->row_count / insert_seconds);
    print_fact(engine, "build s", wall_seconds() - start.wall);
    print_fact(engine, "build CPU s", cpu_seconds() - start.cpu);
    dataset_forget(set);
    print_fact(engine, "build peak MB", memory_mb("VmHWM"));
}

static inline void print_serving(const char *engine) {
    print_fact(engine, "serve own MB", memory_mb("RssAnon"));
    print_fact(engine, "serve mapped MB", memory_mb("RssFile"));
}

/* Answers one query under the setting in hand: writes up to ANSWERS row numbers + 1, returns how many. */
typedef size_t answer_function(void *context, const float *query, int64_t *ret_rows);

enum { PASSES = 3, FEWEST_QUERIES = 30 };

/* A pass over the queries, cut short after so many seconds. */
static const double PASS_SECONDS = 12;

static inline int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double percentile(double *sorted, size_t count, double fraction) {
    return sorted[(size_t)(fraction * (double)(count - 1) + 0.5)];
}

static inline size_t count_found(const dataset *set, size_t query, const int64_t *rows, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < ANSWERS; j++) found += set->truth[query * TRUTH_DEPTH + j] + 1 == rows[i];
    }
    return found;
}

/* One pass: fills `latencies`, returns the number of queries answered. */
static inline size_t measure_pass(const dataset *set, answer_function *answer, void *context, double *latencies,
                                  size_t *ret_found) {
    int64_t rows[ANSWERS];
    double start = wall_seconds(), before = start;
    size_t query = 0;
    for (*ret_found = 0; query < set->query_count; query++) {
        if (query >= FEWEST_QUERIES && before - start > PASS_SECONDS) break;
        size_t count = answer(context, set->queries + query * set->dimensions, rows);
        double after = wall_seconds();
        latencies[query] = after - before;
        *ret_found += count_found(set, query, rows, count);
        before = after;
    }
    return query;
}

/* Measures one setting: a short pass to warm up, then PASSES passes (one, if they are cut short). */
static inline void measure_setting(const char *engine, const char *setting, const dataset *set, answer_function *answer,
                                   void *context) {
    double cpu_qps[PASSES], wall_qps[PASSES], p50[PASSES], p99[PASSES], recall = 0;
    double *latencies = (double *)need(malloc(set->query_count * sizeof(double)));
    int64_t rows[ANSWERS];
    size_t found, answered = set->query_count, passes = 0;
    for (size_t i = 0; i < FEWEST_QUERIES && i < set->query_count; i++)
        answer(context, set->queries + i * set->dimensions, rows);
    while (passes < PASSES && answered == set->query_count) {
        stopwatch start = stopwatch_start();
        answered = measure_pass(set, answer, context, latencies, &found);
        cpu_qps[passes] = (double)answered / (cpu_seconds() - start.cpu);
        wall_qps[passes] = (double)answered / (wall_seconds() - start.wall);
        recall = (double)found / (double)(answered * ANSWERS);
        qsort(latencies, answered, sizeof(double), compare_doubles);
        p50[passes] = 1e6 * percentile(latencies, answered, 0.50);
        p99[passes++] = 1e6 * percentile(latencies, answered, 0.99);
    }
    double *columns[] = {cpu_qps, wall_qps, p50, p99};
    printf("query,%s,%s,%.5f", engine, setting, recall);
    for (size_t i = 0; i < 4; i++) {
        qsort(columns[i], passes, sizeof(double), compare_doubles);
        printf(",%.6g", percentile(columns[i], passes, 0.5));
    }
    printf("\n");
    fflush(stdout);
    free(latencies);
}

#endif
