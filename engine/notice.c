#include "notice.h"

#include "bytes.h"

#define NOTICE_SIZE 56
#define NOTICE_FIRST 1000000000u /* nanoseconds of work before there is a notice */
#define NOTICE_EVERY 500000000u
#define NOTICE_STALE (10 * (uint64_t)NOTICE_EVERY)

static const char notice_magic[8] = {'s', 'h', 'x', 'n', 'o', 't', 'e', 1};

void shx_notice_open(shx_notice *notice, shx_file *file, shx_progress *progress) {
    *notice = (shx_notice){.file = file, .progress = progress, .due = shx_clock() + NOTICE_FIRST};
}

void shx_notice_renew(shx_notice *notice) {
    uint64_t now = shx_clock();
    uint8_t bytes[NOTICE_SIZE] = {0};
    if (now < notice->due) return;
    notice->due = now + NOTICE_EVERY;
    memcpy(bytes, notice_magic, sizeof notice_magic);
    shx_put32(bytes + 8, (uint32_t)atomic_load(&notice->progress->phase));
    shx_put64(bytes + 16, atomic_load(&notice->progress->done));
    shx_put64(bytes + 24, atomic_load(&notice->progress->total));
    shx_put64(bytes + 32, atomic_load(&notice->progress->begun));
    shx_put64(bytes + 40, now);
    shx_put64(bytes + 48, shx_hash64(bytes, 48, 0));
    notice->stands |= shx_file_write(notice->file, 0, bytes, sizeof bytes) == SHX_OK;
}

void shx_notice_close(shx_notice *notice) {
    uint8_t bytes[NOTICE_SIZE] = {0};
    if (notice->stands) (void)shx_file_write(notice->file, 0, bytes, sizeof bytes);
}

shx_progress_figures shx_notice_read(shx_file *file) {
    uint8_t bytes[NOTICE_SIZE];
    uint64_t size, now = shx_clock();
    shx_progress_figures nothing = {0};
    if (shx_file_size(file, &size) != SHX_OK || size < NOTICE_SIZE) return nothing;
    if (shx_file_read(file, 0, bytes, sizeof bytes) != SHX_OK) return nothing;
    if (memcmp(bytes, notice_magic, sizeof notice_magic) != 0) return nothing;
    if (shx_get64(bytes + 48) != shx_hash64(bytes, 48, 0)) return nothing;
    uint64_t written = shx_get64(bytes + 40);
    if (written > now || now - written > NOTICE_STALE) return nothing; /* of a dead process, or before a restart */
    return shx_progress_figures_of(shx_get32(bytes + 8), shx_get64(bytes + 16), shx_get64(bytes + 24),
                                   shx_get64(bytes + 32));
}
