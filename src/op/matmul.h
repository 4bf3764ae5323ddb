/* matmul.h: a dense layer's products by rows, for operators that do more with each row (dense_layer.c). */
#ifndef BLI_MATMUL_H
#define BLI_MATMUL_H

#include "op/kernels/product.h"
#include "op/op.h"

/* `batch` independent products [rows, depth] x [depth, columns]; the weight's strides w_k and w_n. */
typedef struct bli_dense {
    int64_t batch, rows, depth, columns;
    ptrdiff_t w_k, w_n;
    bool trans; /* the weight lies as [columns, depth] */
    bl_dtype type;
    const bli_kernels *kernels;
} bli_dense;

/* in[0] and in[1] as MatMul or Gemm take them. */
bli_dense bli_dense_of(const bli_call *c);

/* The rest is for a weight that is a matrix, in float32 or float64.  What prep holds first, and its size. */
size_t bli_dense_prep_size(const bli_call *c);
bl_status bli_dense_prepare(const bli_call *c, void *prep);
/* y = rows first .. first + rows - 1 of in[0], times the weight; finished (NULL: not) with in[2] as bias. */
void bli_dense_forward(const bli_dense *d, const bli_call *c, int64_t first, int64_t rows, const bli_finish *finish,
                       void *y);
/* dx = rows of dy times the weight transposed; finished (NULL: not). */
void bli_dense_data_gradient(const bli_dense *d, const bli_call *c, int64_t rows, const void *dy,
                             const bli_finish *finish, void *dx);
/* As bli_op.weight_grad, of input 1. */
bl_status bli_dense_weight_grad(const bli_call *c, int part, int parts);

#endif
