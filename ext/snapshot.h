/* What a query sees: the commit that the state row names, as a view of the index, and own uncommitted changes over it.
*/
#ifndef SHX_SNAPSHOT_H
#define SHX_SNAPSHOT_H

#include "table.h"

typedef struct shx_snapshot {
    shx_state *state;
    shx_id commit;
    shx_view *view; /* NULL: the index cannot tell, the database has to be searched */
    const shx_pending *pending;
    bool nameless;   /* commit is not the name of what the database shows (transaction.c) */
    bool reconciled; /* the view was made by comparing everything, and is the state's */
} shx_snapshot;

/* What there is to see, without a view of it: nothing to close. */
int shx_snapshot_name(shx_table *table, shx_snapshot *ret_snapshot);

/* The same with a view of it, if the index can tell. After a failure there is nothing to close. */
int shx_snapshot_open(shx_table *table, shx_snapshot *ret_snapshot);

/* Of zeros, too. */
void shx_snapshot_close(shx_snapshot *snapshot);

/* Does the directory hold what the snapshot shows? */
bool shx_snapshot_is_current(const shx_snapshot *snapshot);

/* A file behind the view was found damaged: no more views from it until it is rebuilt. */
void shx_snapshot_distrust(shx_snapshot *snapshot, shx_status status);

#endif
