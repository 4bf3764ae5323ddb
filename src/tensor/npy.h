/* npy.h (internal): npy in memory.  Format: numpy.lib.format, versions 1.0, 2.0 and 3.0. */
#ifndef BLI_NPY_H
#define BLI_NPY_H

#include "base/reader.h"
#include "bitlathe/tensor.h"

typedef struct bli_npy_header {
    bl_dtype type;
    bl_shape shape;
    bool big_endian; /* elements of several bytes, most significant first */
    bool fortran;    /* first dimension runs fastest */
    size_t data_bytes;
} bli_npy_header;

/* Longer headers are refused; NumPy's own are 128 bytes. */
enum { BLI_NPY_HEADER_CEILING = 1 << 16 };
/* Files of more bytes are refused. */
#define BLI_NPY_CEILING ((size_t)16 << 30)

/* Parses magic and header; r then stands at the first element.  Whether data_bytes are there is not checked. */
BL_MUST_CHECK bl_status bli_npy_header_read(bl_context *ctx, bli_reader *r, bli_npy_header *out);

/* A whole npy in a block from bli_alloc: the tensor takes it over (no second copy, unless in Fortran order), or it is
 * freed. */
BL_MUST_CHECK bl_status bli_npy_adopt(bl_context *ctx, char *block, size_t size, bl_tensor *out);

/* The header that goes in front of t's bytes, a multiple of 64 bytes long; returns its length. */
enum { BLI_NPY_HEADER_ROOM = 320 };
size_t bli_npy_header_print(const bl_tensor *t, char header[BLI_NPY_HEADER_ROOM]);

/* t can be written: a known type, a known shape, bytes that exist.  *bytes is their number. */
BL_MUST_CHECK bl_status bli_npy_check(bl_context *ctx, const bl_tensor *t, size_t *bytes);

#endif
