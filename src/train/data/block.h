/* block.h (internal): rows of equal size and one element type, in memory or in place in a file. */
#ifndef BLI_TRAIN_BLOCK_H
#define BLI_TRAIN_BLOCK_H

#include "base/base.h"
#include "bitlathe/tensor.h"

/* What a byte b becomes: b * scale + offset where linear, else table[b]. */
typedef struct bli_byte_map {
    bool linear;
    float scale, offset;
    float table[256];
} bli_byte_map;
extern const bli_byte_map bli_byte_identity;

typedef void bli_gather_u8_fn(const uint8_t *data, size_t row_bytes, const uint32_t *rows, size_t n,
                              const bli_byte_map *map, float *x);
/* Rows of float32 as they are; false if not all are finite. */
typedef bool bli_gather_f32_fn(const uint8_t *data, size_t width, const uint32_t *rows, size_t n, float *x);

typedef struct bli_block {
    bl_dtype type;
    bool swapped; /* paged only: stored in the other byte order */
    uint64_t rows;
    size_t elements;     /* of a row */
    const uint8_t *data; /* NULL: the rows stand in file fd from offset on */
    int fd;
    uint64_t offset;
    const char *path; /* what messages call it */
    bli_gather_u8_fn *gather;
    bli_gather_f32_fn *gather_f32;
} bli_block;

/* A block in memory. */
bli_block bli_block_make(const char *path, bl_dtype type, uint64_t rows, size_t elements, const void *data);

/* Rows rows[0..n-1] (all below block->rows) as float32.  What float32 cannot hold is BL_BAD_FILE with row and column.
 */
BL_MUST_CHECK bl_status bli_block_read(bl_context *ctx, const bli_block *b, const uint32_t *rows, size_t n, float *x);
/* Elements first .. first+n-1 in stored order as double, whatever they are. */
BL_MUST_CHECK bl_status bli_block_doubles(bl_context *ctx, const bli_block *b, uint64_t first, size_t n, double *out);

/* Reverses the bytes of each element, in place. */
void bli_swap_elements(void *data, size_t count, size_t element_size);

/* Kernels: bytes to what a map makes of them, the next rows prefetched. */
bli_gather_u8_fn bli_gather_u8_generic, bli_gather_u8_avx2, bli_gather_u8_avx512;
bli_gather_f32_fn bli_gather_f32_generic, bli_gather_f32_avx2, bli_gather_f32_avx512;

#endif
