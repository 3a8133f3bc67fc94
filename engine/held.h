/* The view that a connection keeps from one query to the next: while the commit stays the same, queries take neither
** the index's mutex nor a count that other threads write. What is kept is known to the index, which takes it away as
** soon as something is published that supersedes it, so that no idle connection holds old files.
*/
#ifndef SHX_HELD_H
#define SHX_HELD_H

#include "index.h"

#include <stdatomic.h>

typedef struct shx_held {
    struct shx_held *next;    /* of the same index, under its mutex */
    shx_index *index;         /* NULL: not open */
    _Atomic(shx_view *) view; /* NULL: none, or in use */
} shx_held;

/* Begins to keep views of an index; `held` stays where it is until it is closed, before the index is released. */
void shx_held_open(shx_held *held, shx_index *index);
void shx_held_close(shx_held *held);

/* As shx_index_view, by way of the kept view. Give the view back with shx_held_return. */
shx_status shx_held_view(shx_held *held, const shx_id *commit, const shx_stop *stop, shx_view **ret_view);

/* Keeps a view (of any origin, NULL is allowed) for the next query; takes over the caller's reference. */
void shx_held_return(shx_held *held, shx_view *view);

#endif
