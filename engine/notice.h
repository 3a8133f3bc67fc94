/* The notice: what the holder of the maintenance lock is doing, written in the lock's own file for other processes.
**
** It only informs: whoever maintains writes it twice a second from the first second on, nobody syncs it, and a reader
** takes no lock. A notice that is damaged, half-written, or older than a few seconds (its writer died) says nothing.
**
** The file's first 56 bytes, little-endian; times are nanoseconds of the monotonic clock, which all processes share:
**
**   0 magic "shxnote\1"   8 phase (shx_phase)   16 done   24 total   32 begun: when the phase began
**   40 written: when the notice was   48 hash of bytes 0 to 47
*/
#ifndef SHX_NOTICE_H
#define SHX_NOTICE_H

#include "os.h"
#include "progress.h"

#include <stdbool.h>

/* Of one piece of work, by the thread that owns its progress. */
typedef struct shx_notice {
    shx_file *file; /* not owned */
    shx_progress *progress;
    uint64_t due; /* when it is to be written next */
    bool stands;  /* something was written */
} shx_notice;

/* Begins: nothing is written yet, as most work ends within a second. */
void shx_notice_open(shx_notice *notice, shx_file *file, shx_progress *progress);

/* Writes how far the work is, if it is time to. Cheap enough for every question of shx_interrupted. A failure to write
** is nobody's business. */
void shx_notice_renew(shx_notice *notice);

/* Ends: a notice that stands is taken down. */
void shx_notice_close(shx_notice *notice);

/* What the notice in a file tells; all zero when it tells nothing. */
shx_progress_figures shx_notice_read(shx_file *file);

#endif
