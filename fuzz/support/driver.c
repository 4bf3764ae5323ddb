/* driver.c: runs a fuzz target without libFuzzer: each seed of a folder, its beginnings, and copies with a few bytes
 * changed by a fixed sequence.  A quick test, not a search. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fuzz.h"

enum { CUTS = 40, CHANGES = 150 };

static uint8_t *read_seed(const char *folder, const char *name, size_t *size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    uint8_t *data = malloc(1 << 20);
    *size = data != NULL ? fread(data, 1, 1 << 20, f) : 0;
    fclose(f);
    return data;
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* The target gets its own copy of exactly `size` bytes, so that a sanitizer sees reads past the end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_changed(uint8_t *data, size_t size, uint64_t *state)
{
    for (int i = 0; i < CHANGES && size > 0; i++) {
        size_t at[3];
        uint8_t was[3];
        int n = 1 + i % 3;
        for (int k = 0; k < n; k++) {
            at[k] = next_random(state) % size;
            was[k] = data[at[k]];
            data[at[k]] = (uint8_t)(i % 2 == 0 ? next_random(state) : was[k] ^ 1u << i % 8);
        }
        run(data, size);
        for (int k = n - 1; k >= 0; k--)
            data[at[k]] = was[k];
    }
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    int seeds = 0;
    uint64_t state = 1;
    if (folder == NULL) {
        fprintf(stderr, "usage: %s FOLDER-OF-SEEDS\n", argv[0]);
        return 2;
    }
    run((const uint8_t *)"", 0);
    for (struct dirent *e; (e = readdir(folder)) != NULL;) {
        size_t size;
        uint8_t *data = e->d_name[0] == '.' ? NULL : read_seed(argv[1], e->d_name, &size);
        if (data == NULL)
            continue;
        seeds++;
        run(data, size);
        for (size_t i = 0; i < CUTS; i++)
            run(data, size * i / CUTS);
        run_changed(data, size, &state);
        free(data);
    }
    closedir(folder);
    printf("%d seeds\n", seeds);
    return seeds == 0;
}
