/* plain.h describes it. Compiled with -O3 -march=native -ffast-math, as somebody would who wanted speed. */
#include "plain.h"

#include <math.h>

static float dot(const float *a, const float *b, size_t dimensions) {
    float sum = 0;
    for (size_t i = 0; i < dimensions; i++) sum += a[i] * b[i];
    return sum;
}

static void normalise(float *vector, size_t dimensions) {
    float length = sqrtf(dot(vector, vector, dimensions));
    for (size_t i = 0; length > 0 && i < dimensions; i++) vector[i] /= length;
}

plain_rows plain_take(const dataset *set, size_t row_count) {
    size_t bytes = row_count * set->dimensions * sizeof(float);
    plain_rows rows = {.dimensions = set->dimensions, .row_count = row_count, .cosine = set->cosine};
    rows.vectors = need(malloc(bytes + 1));
    rows.squares = need(malloc(row_count * sizeof(float) + 1));
    memcpy(rows.vectors, set->base, bytes);
    for (size_t row = 0; row < row_count; row++) {
        float *vector = rows.vectors + row * set->dimensions;
        if (set->cosine) normalise(vector, set->dimensions);
        rows.squares[row] = dot(vector, vector, set->dimensions);
    }
    return rows;
}

void plain_free(plain_rows *rows) {
    free(rows->vectors);
    free(rows->squares);
}

static int before(plain_hit a, plain_hit b) {
    return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
}

static int compare_hits(const void *a, const void *b) {
    const plain_hit *x = a, *y = b;
    return before(*y, *x) - before(*x, *y);
}

/* Quickselect: the `count` first come to stand first, in any order. */
static void select_first(plain_hit *hits, size_t size, size_t count) {
    size_t low = 0, high = size;
    while (high - low > 1) {
        plain_hit pivot = hits[low + (high - low) / 2];
        size_t left = low, right = high - 1;
        for (;;) {
            while (before(hits[left], pivot)) left++;
            while (before(pivot, hits[right])) right--;
            if (left >= right) break;
            plain_hit swapped = hits[left];
            hits[left++] = hits[right];
            hits[right--] = swapped;
        }
        if (right + 1 == high) right--;
        if (count <= right + 1)
            high = right + 1;
        else
            low = right + 1;
    }
}

/* The distances of all rows that are admitted and nearer than `below`. */
static size_t scan(const plain_rows *rows, const float *query, const uint8_t *admitted, float below,
                   plain_hit *ret_hits) {
    size_t count = 0, dimensions = rows->dimensions;
    float *copy = need(malloc(dimensions * sizeof *copy));
    memcpy(copy, query, dimensions * sizeof *copy);
    if (rows->cosine) normalise(copy, dimensions);
    float square = dot(copy, copy, dimensions);
    for (size_t row = 0; row < rows->row_count; row++) {
        if (admitted != NULL && !admitted[row]) continue;
        float product = dot(copy, rows->vectors + row * dimensions, dimensions);
        float distance = rows->cosine ? 1 - product : square + rows->squares[row] - 2 * product;
        ret_hits[count] = (plain_hit){distance, (uint32_t)row};
        count += distance < below;
    }
    free(copy);
    return count;
}

size_t plain_search(const plain_rows *rows, const float *query, const uint8_t *admitted, size_t k,
                    plain_hit *ret_hits) {
    size_t count = scan(rows, query, admitted, 1e30f, ret_hits);
    if (k < count) select_first(ret_hits, count, k);
    if (k > count) k = count;
    qsort(ret_hits, k, sizeof *ret_hits, compare_hits);
    return k;
}

size_t plain_within(const plain_rows *rows, const float *query, double radius, plain_hit *ret_hits) {
    double below = rows->cosine ? radius : radius * radius;
    size_t count = scan(rows, query, NULL, (float)below, ret_hits);
    qsort(ret_hits, count, sizeof *ret_hits, compare_hits);
    return count;
}
