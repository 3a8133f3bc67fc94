/* The nearest rows of one query, one by one: with a known number of them, or nearest first until nobody asks any more.
*/
#ifndef SHX_KNN_H
#define SHX_KNN_H

#include "../engine/search.h"
#include "filter.h"
#include "vector_value.h"

#define SHX_KNN_ALL UINT64_MAX

/* What a query asks for. */
typedef struct shx_knn_wish {
    uint64_t count; /* rows; SHX_KNN_ALL: until nobody asks any more */
    double recall;  /* 0: the table's default */
    bool exact;
    bool sorted; /* the order of distances must hold */
} shx_knn_wish;

/* How a search goes about it. */
typedef enum shx_knn_manner {
    SHX_KNN_COUNTED, /* k rows, as near as the wish says, and no more */
    SHX_KNN_ROUGH,   /* k rows near the query, of which the caller may want more later */
    SHX_KNN_TRUE,    /* the true k nearest; the caller may want more later */
} shx_knn_manner;

typedef struct shx_knn {
    shx_table *table;
    shx_vector query;
    void *room; /* for a query, kept from one to the next; query.data may point to it */
    uint64_t room_bytes;
    shx_filter filter;
    shx_knn_wish wish;
    shx_search_scratch *scratch;
    shx_topk hits;
    uint64_t position; /* of the next hit */
    uint64_t round;    /* how many rows the last round asked for; 0 before the first */
    bool complete;     /* there are no rows beyond the hits */
    uint64_t counted;  /* rows that satisfied everything so far */
    bool any;          /* a hit was passed: the next round goes on behind it */
    shx_hit passed;
    bool was_rough;    /* the last round */
    int64_t *returned; /* rows that rough rounds gave out, ascending */
    uint64_t returned_count, returned_capacity;
} shx_knn;

/* The next row; *ret_found false at the end. The filter must be finished, query and wish set, the rest zero. */
int shx_knn_next(shx_knn *knn, shx_hit *ret_hit, bool *ret_found);

/* Sets the query to a vector whose bytes are copied, if all its elements are finite: *ret_taken. */
int shx_knn_take_query(shx_knn *knn, const void *bytes, shx_element element, uint32_t dim, bool *ret_taken);

/* Ends the query; scratch and memory of the hits are kept for the next one. */
void shx_knn_end(shx_knn *knn);
void shx_knn_free(shx_knn *knn);

/* One search: fills knn->hits with the k nearest that satisfy the filter, or, where all rows have to be compared anyway
** and the caller may want more, with all of them (knn->complete). */
int shx_knn_search(shx_knn *knn, uint64_t k, shx_knn_manner manner);

#endif
