/* data_files.h: small data files for tests, and random numbers to fill them. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "bitlathe/tensor.h"

/* A stream of 32-bit numbers; the seed is its state. */
uint32_t next_random(uint32_t *seed);

/* An IDX file of the six types it knows; values in row-major order, converted to the type. */
void put_idx(const char *path, bl_dtype type, const bl_shape *shape, const double *values, bool packed);

/* The folder at path, if it is not there yet. */
void make_folder(const char *path);

#endif
