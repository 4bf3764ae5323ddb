/* data_files.c: small data files for tests.  Written byte by byte from the formats' definitions, so that a reader's
 * mistake cannot hide in shared code.
 */
#include "support/data_files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "support/folder.h"

uint32_t next_random(uint32_t *seed)
{
    uint64_t z = *seed += 0x9e3779b9u;
    z = (z ^ (z >> 16)) * 0x85ebca6bu;
    z = (uint32_t)(z ^ (z >> 13)) * (uint64_t)0xc2b2ae35u;
    return (uint32_t)(z ^ (z >> 16));
}

void make_folder(const char *path)
{
    mkdir(path, 0777);
}

static const struct {
    bl_dtype type;
    uint8_t code;
} idx_codes[] = {{BL_U8, 8}, {BL_I8, 9}, {BL_I16, 11}, {BL_I32, 12}, {BL_F32, 13}, {BL_F64, 14}};

static uint64_t bits_of(bl_dtype type, double v)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    float f = (float)v;
    switch (type) {
    case BL_F64:
        memcpy(&wide, &v, sizeof wide);
        return wide;
    case BL_F32:
        memcpy(&narrow, &f, sizeof narrow);
        return narrow;
    default:
        return (uint64_t)(int64_t)v;
    }
}

static size_t put_big_endian(uint8_t *at, uint64_t bits, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(bits >> (8 * (size - 1 - i)));
    return size;
}

void put_idx(const char *path, bl_dtype type, const bl_shape *shape, const double *values, bool packed)
{
    size_t count = (size_t)bl_shape_count(shape), size = bl_dtype_size(type);
    uint8_t *bytes = malloc(4 + 4 * (size_t)shape->rank + count * size), *at = bytes;
    at += put_big_endian(at, 0, 2);
    for (size_t i = 0; i < sizeof idx_codes / sizeof idx_codes[0]; i++)
        if (idx_codes[i].type == type)
            at += put_big_endian(at, idx_codes[i].code, 1);
    at += put_big_endian(at, (uint64_t)shape->rank, 1);
    for (int i = 0; i < shape->rank; i++)
        at += put_big_endian(at, (uint64_t)shape->dim[i], 4);
    for (size_t i = 0; i < count; i++)
        at += put_big_endian(at, bits_of(type, values[i]), size);
    if (packed) {
        gzFile f = gzopen(path, "wb");
        gzwrite(f, bytes, (unsigned)(at - bytes));
        gzclose(f);
    } else {
        put_file(path, bytes, (size_t)(at - bytes));
    }
    free(bytes);
}
