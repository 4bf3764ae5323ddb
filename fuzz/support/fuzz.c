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
