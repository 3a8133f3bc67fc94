/* What the fuzz targets share. A target is one file with an LLVMFuzzerTestOneInput: libFuzzer calls it with inputs that
** it invents (run.sh), replay.c with those of corpus/<target>/, which the normal test run repeats.
**
** An input is a byte string that is read from front to end; where it ends early, zeros follow. Files are not given as
** such but as edits of a good one: so they stay what they are when the format changes, and most of them get past the
** first checks. Nothing touches the disk.
**
** Limits of any one input: no crash, no report of a sanitizer, no leak; FUZZ_MEMORY_MAX bytes; a second (run.sh).
*/
#ifndef SHX_TEST_FUZZ_H
#define SHX_TEST_FUZZ_H

#include "bytes.h"
#include "container.h"
#include "os.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_MEMORY_MAX (UINT64_C(256) << 20)
#define FUZZ_FILE_MAX 65536 /* bytes of an edited file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process unless it holds: what must be true whatever the input is. */
#define fuzz_require(condition) fuzz_require_at((condition), #condition, __FILE__, __LINE__)
void fuzz_require_at(bool condition, const char *what, const char *file, int line);

/* Once a process: SQLite, its files and the engine's stores in memory (sim_fs.h), no threads of the engine's own. */
void fuzz_setup(void);

/* After each input: everything is closed, and no more memory was taken than allowed. */
void fuzz_finish(void);

/* ---- reading an input ---- */

typedef struct fuzz_input {
    const uint8_t *at;
    size_t left;
} fuzz_input;

/* A number of 1 to 8 bytes, little-endian. */
uint64_t fuzz_number(fuzz_input *input, unsigned width);

/* The next bytes, up to `most` of them. */
const uint8_t *fuzz_bytes(fuzz_input *input, size_t most, size_t *ret_size);

/* The bytes up to the next one that is 0, which is skipped, as a text of its own (free). */
char *fuzz_text(fuzz_input *input);

/* ---- files ---- */

typedef struct fuzz_file {
    uint8_t *bytes;
    uint64_t size;
} fuzz_file;

/* tests/golden/<name>; free the bytes. */
fuzz_file fuzz_golden(const char *name);

/* A copy (free its bytes) with one edit after the other, as many as a number at the start of the input says. An edit is
** a byte, modulo 6, and
**
**     0  u16 at, u8 n, then 1 + n % 32 bytes: they take the place of those at `at`
**     1  u16 at, u8 which: a number of 1, 2, 4 or 8 bytes becomes one that is at the edge of something
**     2  u16 at, i8 by: `by` is added to the number of 4 bytes
**     3  u16 from, u16 at, u16 n: n bytes are copied
**     4  u16 size: the file is cut or grown by zeros
**     5  u16 n, then n bytes: they are the file
**
** Positions beyond the end wrap around. */
fuzz_file fuzz_edit(const fuzz_file *file, fuzz_input *input);

/* The same with those edits only that bring no bytes of the input's (1 to 4): an input that
** was bred to get past comparisons can write a checksum that it saw, but not by these. */
fuzz_file fuzz_damage(const fuzz_file *file, fuzz_input *input);

/* Makes all checksums of a file of this kind right, those inside sections and records included, as far as it is laid
** out so that they can be found; header and size too. Then only structure and values are left to judge. */
void fuzz_seal(fuzz_file *file, shx_file_kind kind, const shx_id *uuid, uint64_t id, size_t vector_bytes);

/* Makes a base name the file `named`, a segment or a table of shards, by the checksum that it has now. */
void fuzz_seal_base(fuzz_file *base, uint64_t base_id, const fuzz_file *named, shx_file_kind kind, uint64_t id);

/* Makes the checksum of a ring (ring.h) right. */
void fuzz_seal_ring(uint8_t *bytes, uint64_t size);

/* An empty directory, and a store of it (close it). */
shx_store *fuzz_store(void);
void fuzz_store_put(shx_store *store, const char *name, const fuzz_file *file);

#endif
