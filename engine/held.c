/* Who has the pointer has the view: user and index take it by an exchange. The user puts it back before he looks at the
** index's epoch, the index raises the epoch before it takes what it finds: so at least one of them sees that a view is
** superseded.
*/
#include "held.h"

#include "index_state.h"

#include <assert.h>

void shx_held_open(shx_held *held, shx_index *index) {
    assert(!held->index);
    held->index = index;
    atomic_init(&held->view, NULL);
    pthread_mutex_lock(&index->mutex);
    held->next = index->held;
    index->held = held;
    pthread_mutex_unlock(&index->mutex);
}

static void held_unlink(shx_held *held) {
    shx_held **link = &held->index->held;
    pthread_mutex_lock(&held->index->mutex);
    while (*link != held) link = &(*link)->next;
    *link = held->next;
    pthread_mutex_unlock(&held->index->mutex);
}

void shx_held_close(shx_held *held) {
    if (!held->index) return;
    if (held->index->process == shx_process()) held_unlink(held); /* else the parent's: its lock may be nobody's */
    shx_view_release(atomic_exchange(&held->view, NULL));
    held->index = NULL;
}

shx_status shx_held_view(shx_held *held, const shx_id *commit, const shx_stop *stop, shx_view **ret_view) {
    shx_view *view = atomic_exchange(&held->view, NULL);
    if (view && shx_id_equal(&view->mark.commit, commit)) {
        *ret_view = view;
        return SHX_OK;
    }
    shx_view_release(view);
    return shx_index_view_until(held->index, commit, stop, ret_view);
}

void shx_held_return(shx_held *held, shx_view *view) {
    if (!view) return;
    uint64_t epoch = view->epoch;
    shx_view_release(atomic_exchange(&held->view, view));
    if (epoch == atomic_load(&held->index->epoch)) return;
    shx_view_release(atomic_exchange(&held->view, NULL));
}

void shx_held_take_all(shx_index *index) {
    atomic_fetch_add(&index->epoch, 1);
    for (shx_held *held = index->held; held; held = held->next) {
        shx_view_release(atomic_exchange(&held->view, NULL));
    }
}
