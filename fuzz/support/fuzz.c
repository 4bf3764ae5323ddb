/* fuzz.c: bytes as a file in memory. */
#include "support/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "property does not hold: %s\n", what);
    abort();
}

const char *fuzz_path(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    fuzz_check(fd >= 0 && ftruncate(fd, 0) == 0, "a file in memory");
    fuzz_check(pwrite(fd, data, size, 0) == (ssize_t)size, "all bytes written");
    return path;
}

enum { CHUNK = 12, SIGNATURE = 8 }; /* of a PNG */

static uint32_t crc(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    }
    return ~c;
}

void fuzz_png_sums(uint8_t *p, size_t size)
{
    size_t at = SIGNATURE;
    while (at + CHUNK <= size) {
        size_t n = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        if (n > size - at - CHUNK)
            return;
        uint32_t c = crc(p + at + 4, n + 4);
        for (int k = 0; k < 4; k++)
            p[at + 8 + n + (size_t)k] = (uint8_t)(c >> (24 - 8 * k));
        at += n + CHUNK;
    }
}
