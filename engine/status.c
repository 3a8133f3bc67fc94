#include "status.h"

#include <stdatomic.h>

static atomic_ulong status_corrupt_count;
static _Atomic(const char *) status_corrupt_last;

const char *shx_status_text(shx_status status) {
    switch (status) {
    case SHX_OK: return "ok";
    case SHX_NOMEM: return "out of memory";
    case SHX_IO: return "input/output error";
    case SHX_FULL: return "no space left";
    case SHX_CORRUPT: return "damaged file";
    case SHX_MISUSE: return "argument out of range";
    case SHX_NOTFOUND: return "not found";
    case SHX_BUSY: return "locked by somebody else";
    case SHX_INTERRUPT: return "interrupted";
    case SHX_READONLY: return "read-only directory";
    case SHX_ABORT: return "stopped by the caller";
    }
    return "unknown status";
}

shx_status shx_corrupt(const char *what) {
    atomic_store(&status_corrupt_last, what);
    atomic_fetch_add(&status_corrupt_count, 1);
    return SHX_CORRUPT;
}

unsigned long shx_corrupt_count(void) { return atomic_load(&status_corrupt_count); }

const char *shx_corrupt_last(void) {
    const char *last = atomic_load(&status_corrupt_last);
    return last ? last : "";
}
