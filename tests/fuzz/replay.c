/* Runs a target over the inputs of a corpus: replay FOLDER CHANGES. Each is run as it is, cut off at several lengths,
** and with bytes changed, so that a few seeds say something; every change is the same in every run. All inputs together
** have about so many CHANGES, so that a corpus that grows does not take longer.
*/
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_INPUT_MAX (1 << 16)
#define REPLAY_CHANGES 60 /* of an input, at most */

static uint64_t replay_state = 1;

static uint64_t replay_random(uint64_t limit) {
    uint64_t z = (replay_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % limit;
}

/* In a block of its own, so that a sanitizer sees a read beyond its end. */
static void replay_one(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size + (size == 0));
    fuzz_require(copy != NULL);
    if (size > 0) memcpy(copy, bytes, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay_changed(uint8_t *bytes, size_t size, int changes) {
    for (int i = 0; i < changes && size > 0; i++) {
        size_t at = replay_random(size);
        uint8_t was = bytes[at];
        bytes[at] = (uint8_t)replay_random(256);
        replay_one(bytes, i % 4 == 3 ? replay_random(size) : size);
        if (i % 8 != 7) bytes[at] = was; /* some changes stay */
    }
}

static void replay_file(const char *path, int changes) {
    static uint8_t bytes[REPLAY_INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    replay_one(bytes, size);
    replay_changed(bytes, size, changes);
}

static int replay_is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: %s FOLDER CHANGES\n", arguments[0]);
        return 2;
    }
    struct dirent **entries;
    int files = scandir(arguments[1], &entries, replay_is_visible, alphasort);
    if (files <= 0) {
        fprintf(stderr, "%s: no inputs\n", arguments[1]);
        return 1;
    }
    int changes = atoi(arguments[2]) / files < REPLAY_CHANGES ? atoi(arguments[2]) / files : REPLAY_CHANGES;
    for (int i = 0; i < files; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", arguments[1], entries[i]->d_name);
        printf("%s\n", path);
        fflush(stdout); /* so that the one that ends the process is the last line */
        replay_file(path, changes);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
