/* A store for tests: passes everything on to another store, counts the calls, and fails those it is told to.
**
** The wrapper does not own the inner store: closing it (as an index does at its end) leaves the inner one as it is, so
** a test can wrap it again and look at what a crash would have left. Plans are shared by all threads.
*/
#ifndef SHX_FAULTY_STORE_H
#define SHX_FAULTY_STORE_H

#include "os.h"

/* Mutating calls are prepare, remove, sync, opening with SHX_OPEN_CREATE, file_write and file_sync. Closing a store or
** file and releasing a mapping are never counted and never fail. */
typedef enum faulty_kind {
    FAULTY_ANY,
    FAULTY_MUTATING,
} faulty_kind;

typedef struct faulty_plan {
    faulty_kind kind;
    uint64_t nth; /* 1 is the next call of this kind; 0: nothing fails */
    shx_status status;
    bool forever; /* that call and all of this kind after it */
    bool torn;    /* a failing file_write writes the first half of its bytes before it fails */
} faulty_plan;

/* Wraps `inner`, which must stay open until the wrapper and all files opened through it are closed. */
shx_status faulty_store_wrap(shx_store *inner, shx_store **ret_store);

/* Replaces the plan; calls are counted from here on. */
void faulty_store_plan(shx_store *store, const faulty_plan *plan);

/* How many calls of a kind there were since the last plan (or since wrapping), and how many of them failed by plan. */
uint64_t faulty_store_calls(shx_store *store, faulty_kind kind);
uint64_t faulty_store_failures(shx_store *store);

#endif
