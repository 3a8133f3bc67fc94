/* Export: copies all that a view is made of into another, empty store, where the same commit id then resolves.
*/
#ifndef SHX_EXPORT_H
#define SHX_EXPORT_H

#include "index.h"
#include "os.h"

/* Copies the base of `view` (a view of `index`), what it names, and the WAL files up to the view's record. Everything
** is synced, the base comes last. Writers and maintenance go on meanwhile: immutable files are copied from the view's
** own mappings, which outlive their names; only the WAL is read by name, first.
** SHX_NOTFOUND, SHX_CORRUPT or SHX_IO: the files behind the view are not all to be had (any more); SHX_BUSY: `to` holds
** files of these names; SHX_FULL, SHX_READONLY; SHX_INTERRUPT when `stop` (may be NULL) ended it. What was written is
** left. */
shx_status shx_index_export(shx_index *index, const shx_view *view, shx_store *to, const shx_stop *stop);

#endif
