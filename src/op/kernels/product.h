/* product.h: the two sums of products that every dense and convolution layer is made of, and how weights are packed.
 *
 *   product   C[r][n] = bias[n] + sum_k A[r][k] B[k][n]       forward; gradient of the input
 *   outer     C[m][n] = sum_p A[p][m] B[p][n]                 gradient of the weights
 *
 * A convolution is a product whose sum runs over several spans of memory (one per kernel row or tap) and whose rows are
 * the output pixels.  B of a product is packed in panels of `lanes` columns, the last padded with zeros.
 *
 * Invariant: one element of C is one chain of multiply-adds in the order k = 0, 1, ... (p = 0, 1, ...), starting from
 * bias or 0 (from C when adding).  The order knows nothing of tiles, so a row's result is the same bits however the
 * rows were cut into calls.  All offsets and steps are counted in elements.
 */
#ifndef BLI_PRODUCT_H
#define BLI_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "bitlathe/tensor.h"

/* len consecutive elements of A from `a` on meet as many rows of B from row `b` on. */
typedef struct bli_stretch {
    ptrdiff_t a, b;
    int64_t len;
} bli_stretch;

/* What becomes of finished sums on their way to memory (float32 only).  Arrays of bytes lie as C does. */
typedef struct bli_finish {
    const uint8_t *keep; /* 0 for a sum where this is 0; NULL: the bias is added to the finished sum, and then, */
    bool codes;          /* where set, z = that becomes (v + far) - far, v = z cut to 0 .. most (of NaN 0) */
    float most, far;
    uint8_t *pass; /* NULL, or with codes: not 0 where 0 < z <= most */
} bli_finish;

/* Rows are three nested loops; the first is the one that register tiles run along. */
typedef struct bli_product {
    const void *a;
    const void *b; /* panels */
    const void *bias;
    void *c;
    int64_t rows[3];
    ptrdiff_t a_step[3], c_step[3];
    const bli_stretch *spans;
    int num_spans;
    ptrdiff_t panel; /* elements from one panel of B to the next */
    int64_t columns;
    const bli_finish *finish; /* NULL: sums start from bias and are stored as they are */
} bli_product;

/* Positions p are three nested loops, the first innermost. */
typedef struct bli_outer {
    const void *a, *b;
    void *c;
    int64_t positions[3];
    ptrdiff_t a_step[3], b_step[3];
    const ptrdiff_t *row_at; /* where row m is in A; NULL: m */
    int64_t rows, columns;
    ptrdiff_t c_step; /* from row to row of C; columns are contiguous */
    bool add;         /* C += instead of C = */
} bli_outer;

/* Packs one panel: its row r(k) = (k % inner) * inner_step + (k / inner) * outer_step gets, in lane i < columns,
 * src[i * column_step + k * row_step], and 0 in the lanes behind. */
typedef struct bli_pack {
    const void *src;
    void *panel;
    ptrdiff_t column_step, row_step;
    int64_t rows, columns;
    int64_t inner, inner_step, outer_step;
} bli_pack;

/* y[p][ch] = bias[ch] + sum_t x[p + a of span t][ch] w[b of span t][ch]: every channel its own filter, one span a tap.
 * w is packed [tap][channel]. */
typedef struct bli_depthwise {
    const void *x, *w, *bias;
    void *y;
    int64_t pixels[3];
    ptrdiff_t x_step[3], y_step[3];
    const bli_stretch *spans;
    int num_spans;
    int64_t channels;
} bli_depthwise;

typedef struct bli_kernels {
    int lanes; /* elements per vector, and columns per panel */
    void (*product)(const bli_product *p);
    void (*outer)(const bli_outer *o);
    void (*pack)(const bli_pack *p);
    void (*depthwise)(const bli_depthwise *d);
    /* dw[t][ch] (+)= sum_p x[p + a of span t][ch] y[p][ch], y being the gradient */
    void (*depthwise_grad)(const bli_depthwise *d, void *dw, bool add);
    /* dst[c][r] = src[r][c] */
    void (*transpose)(const void *src, int64_t rows, int64_t columns, void *dst);
    int64_t (*row_cost)(int64_t rows, int64_t columns); /* cycles, roughly, of one k for so many rows */
    /* y[r][n] = alpha y[r][n] + beta c[n c_step]; c may be NULL */
    void (*scale_add)(void *y, int64_t rows, int64_t columns, double alpha, const void *c, ptrdiff_t c_step,
                      double beta);
    /* sum[n] = sum_r y[r][n], in an order that depends on the number of rows only */
    void (*column_sums)(const void *y, int64_t rows, int64_t columns, void *sum);
} bli_kernels;

/* type is BL_F32 or BL_F64. */
const bli_kernels *bli_kernels_get(bli_isa isa, bl_dtype type);

/* A matrix B[k][n] at src[k * row_step + n * column_step] as panels; the elements they take. */
int64_t bli_panels_size(const bli_kernels *kernels, int64_t rows, int64_t columns);
void bli_panels_pack(const bli_kernels *kernels, bl_dtype type, const void *src, ptrdiff_t row_step,
                     ptrdiff_t column_step, int64_t rows, int64_t columns, void *panels);

/* Element i of an array of type t. */
static inline const void *bli_at(const void *p, bl_dtype t, ptrdiff_t i)
{
    return (const char *)p + i * (t == BL_F64 ? 8 : 4);
}
static inline void *bli_at_mut(void *p, bl_dtype t, ptrdiff_t i)
{
    return (char *)p + i * (t == BL_F64 ? 8 : 4);
}

#endif
