/* Status codes of the engine, and the two macros that pass them on.
**
** Three failures, three treatments: a programmer's error is an assert; bytes from disk are SHX_CORRUPT, never an
** assert; a caller's bad argument is SHX_MISUSE with the state unchanged.
*/
#ifndef SHX_STATUS_H
#define SHX_STATUS_H

typedef enum shx_status {
    SHX_OK = 0,
    SHX_NOMEM = -1,     /* an allocation failed */
    SHX_IO = -2,        /* the operating system refused to read, write, map, sync or lock */
    SHX_FULL = -3,      /* no space left on the device, or a quota is used up */
    SHX_CORRUPT = -4,   /* bytes in a file contradict their checksum or the format */
    SHX_MISUSE = -5,    /* the caller's argument is out of its stated range; nothing was changed */
    SHX_NOTFOUND = -6,  /* a file, commit id or row is not there */
    SHX_BUSY = -7,      /* somebody else holds the lock */
    SHX_INTERRUPT = -8, /* the caller's interrupt callback asked to stop */
    SHX_READONLY = -9,  /* the directory may not be written */
    SHX_ABORT = -10,    /* a callback of the caller failed; the caller knows why */
} shx_status;

/* A short English text for a status, never NULL. */
const char *shx_status_text(shx_status status);

/* Every detection of damage returns through here, so that one breakpoint or test counter sees them all.
** Always returns SHX_CORRUPT. `what` is kept, so it must be a literal. */
shx_status shx_corrupt(const char *what);

/* How many times shx_corrupt was called in this process, and the last text it was given ("" before the first). */
unsigned long shx_corrupt_count(void);
const char *shx_corrupt_last(void);

/* Returns from the enclosing function with the status of `expr` unless it is SHX_OK. */
#define SHX_TRY(expr)                                                                                                  \
    do {                                                                                                               \
        shx_status shx_try_status_ = (expr);                                                                           \
        if (shx_try_status_ != SHX_OK) return shx_try_status_;                                                         \
    } while (0)

/* Returns `status` from the enclosing function unless `cond` holds. */
#define SHX_CHECK(cond, status)                                                                                        \
    do {                                                                                                               \
        if (!(cond)) return (status);                                                                                  \
    } while (0)

#endif
