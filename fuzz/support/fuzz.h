/* fuzz.h: what fuzz targets share: bytes as a file, since readers of files take paths. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "bitlathe/bitlathe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path under which these bytes can be read until the next call: a file in memory, with no name on any disk. */
const char *fuzz_path(const uint8_t *data, size_t size);

/* Ends the process with a report when a property does not hold. */
void fuzz_check(bool holds, const char *what);

/* Puts the sums of a PNG's chunks right: with wrong ones hardly an input would get past them. */
void fuzz_png_sums(uint8_t *data, size_t size);

#endif
