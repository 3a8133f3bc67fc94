/* What shardex is measured beside where a pass over everything is the best anybody can do: float32 vectors in memory,
** one pass of products that the compiler vectorises, a selection, a sort. One thread; no code, no filter, no SQL. */
#ifndef BENCH_PLAIN_H
#define BENCH_PLAIN_H

#include "measure.h"

typedef struct {
    size_t dimensions, row_count;
    int cosine;
    float *vectors; /* a copy; of unit length for cosine */
    float *squares; /* |vector|², for l2 */
} plain_rows;

typedef struct {
    float distance; /* cosine: 1 - cos; l2: the distance's square */
    uint32_t row;
} plain_hit;

/* Copies the first `row_count` rows of a set. Freed with plain_free. */
plain_rows plain_take(const dataset *set, size_t row_count);
void plain_free(plain_rows *rows);

/* The k nearest of the rows that `admitted` marks (NULL: of all), by (distance, row), in ret_hits, which has room for
** row_count hits; returns how many. */
size_t plain_search(const plain_rows *rows, const float *query, const uint8_t *admitted, size_t k, plain_hit *ret_hits);

/* All rows nearer than a distance (as SQL gives it), nearest first; room and result as above. */
size_t plain_within(const plain_rows *rows, const float *query, double radius, plain_hit *ret_hits);

#endif
