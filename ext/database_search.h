/* Exact search in the database itself: for commits that the index cannot show, and for few rows.
*/
#ifndef SHX_DATABASE_SEARCH_H
#define SHX_DATABASE_SEARCH_H

#include "../engine/topk.h"
#include "filter.h"

/* Fills ret_hits with the k nearest of all rows that satisfy the filter, sorted. */
int shx_database_search(shx_filter *filter, const void *query, uint64_t k, shx_topk *ret_hits);

/* The same by reading the vectors of the filter's set of rowids one by one. */
int shx_database_search_set(shx_filter *filter, const void *query, uint64_t k, shx_topk *ret_hits);

#endif
