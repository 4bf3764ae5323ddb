/* tensor.h: dense row-major arrays, and the npy and npz files that hold them. */
#ifndef BITLATHE_TENSOR_H
#define BITLATHE_TENSOR_H

#include "bitlathe/base.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* X(NAME, C type, npy descriptor, ONNX TensorProto.DataType) */
#define BL_DTYPE_LIST(X)                                                                                               \
    X(F32, float, "<f4", 1)                                                                                            \
    X(F64, double, "<f8", 11)                                                                                          \
    X(I8, int8_t, "|i1", 3)                                                                                            \
    X(U8, uint8_t, "|u1", 2)                                                                                           \
    X(I16, int16_t, "<i2", 5)                                                                                          \
    X(U16, uint16_t, "<u2", 4)                                                                                         \
    X(I32, int32_t, "<i4", 6)                                                                                          \
    X(U32, uint32_t, "<u4", 12)                                                                                        \
    X(I64, int64_t, "<i8", 7)                                                                                          \
    X(U64, uint64_t, "<u8", 13)                                                                                        \
    X(BOOL, uint8_t, "|b1", 9)
typedef enum bl_dtype {
#define BL_DTYPE_ENUM(name, ctype, npy, onnx) BL_##name,
    BL_DTYPE_LIST(BL_DTYPE_ENUM)
#undef BL_DTYPE_ENUM
        BL_DTYPE_COUNT
} bl_dtype;
size_t bl_dtype_size(bl_dtype t);
const char *bl_dtype_name(bl_dtype t);

enum { BL_MAX_RANK = 8 };

/* dim[i] < 0 means "not known until run time": in a graph, the batch. */
typedef struct bl_shape {
    int rank;
    int64_t dim[BL_MAX_RANK];
} bl_shape;

/* Elements of a fully known shape; -1 if a dimension is unknown or the product overflows.  Rank 0 has one. */
int64_t bl_shape_count(const bl_shape *s);
bool bl_shape_equal(const bl_shape *a, const bl_shape *b);
/* "[60000, 28, 28]"; unknown dimensions print as "N".  As snprintf. */
size_t bl_shape_print(const bl_shape *s, char *buf, size_t size);

/* Row-major, contiguous.  Who owns data is said where a tensor is handed over. */
typedef struct bl_tensor {
    bl_dtype type;
    bl_shape shape;
    void *data;
} bl_tensor;

/* A zeroed tensor from the context's allocator; free with bl_tensor_free. */
BL_MUST_CHECK bl_status bl_tensor_create(bl_context *ctx, bl_dtype type, const bl_shape *shape, bl_tensor *out);
void bl_tensor_free(bl_context *ctx, bl_tensor *t); /* data NULL is fine */

/* npy (NumPy format 1.0, 2.0, 3.0; little-endian; C order; Fortran order is transposed on reading). */
BL_MUST_CHECK bl_status bl_npy_read(bl_context *ctx, const char *path, bl_tensor *out);
BL_MUST_CHECK bl_status bl_npy_write(bl_context *ctx, const char *path, const bl_tensor *t);

/* npz: a zip of named npy members (stored or deflated).  An archive in memory, in the file's order. */
typedef struct bl_npz bl_npz;
BL_MUST_CHECK bl_status bl_npz_read(bl_context *ctx, const char *path, bl_npz **out);
void bl_npz_free(bl_npz *z);
size_t bl_npz_count(const bl_npz *z);
const char *bl_npz_name(const bl_npz *z, size_t i); /* without ".npy" */
const bl_tensor *bl_npz_tensor(const bl_npz *z, size_t i);
const bl_tensor *bl_npz_find(const bl_npz *z, const char *name); /* NULL if absent */

typedef struct bl_npz_entry {
    const char *name;
    bl_tensor tensor;
} bl_npz_entry;
/* Same entries, same bytes: stored uncompressed with fixed dates.  Written atomically. */
BL_MUST_CHECK bl_status bl_npz_write(bl_context *ctx, const char *path, const bl_npz_entry *entries, size_t count);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
