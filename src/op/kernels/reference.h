/* reference.h: dense layers and convolutions as plain loops over their definitions.
 *
 * They are what the fast kernels are tested against, and the path for sums that pass 2^53 steps: with steps (the step
 * exponents of x, w and bias) every product is added as a 128-bit integer, and the total is rounded to the carrier
 * once. Without, sums are taken in double.
 */
#ifndef BLI_REFERENCE_H
#define BLI_REFERENCE_H

#include "bitlathe/tensor.h"

/* y[r][n] = bias[n] + sum_k x[r * x_row + k] w[k * w_k + n * w_n]; bias may be NULL. */
typedef struct bli_reference_dense {
    bl_dtype type;
    const int *steps; /* NULL, or of x, w, bias */
    const void *x, *w, *bias;
    void *y;
    int64_t rows, depth, columns, w_k, w_n;
} bli_reference_dense;
void bli_reference_dense_run(const bli_reference_dense *d);

/* What a 2-D convolution is.  x [images][height][width][channels], y [images][out_height][out_width][units],
 * w [units][channels / groups][kernel_height][kernel_width]. */
typedef struct bli_conv_shape {
    int64_t channels, units, groups;
    int64_t size[2], out[2], kernel[2], stride[2], dilation[2], pad[2]; /* height, width; pad: above, left */
} bli_conv_shape;

typedef struct bli_reference_conv {
    bl_dtype type;
    const int *steps;
    const bli_conv_shape *shape;
    int64_t images;
    const void *x, *w, *bias;
    void *y;
} bli_reference_conv;
void bli_reference_conv_run(const bli_reference_conv *c);
/* The same sum turned round: x (of size `size`) gathers from y (of size `out`) every product that conv would make of
 * it; c->y is read, x written.  Forward of a transposed convolution, and the data gradient of a convolution. */
void bli_reference_conv_data(const bli_reference_conv *c, void *x);
/* dw[u][ch][kh][kw] = sum over images and pixels of x dy; c->y is dy. */
void bli_reference_conv_weight(const bli_reference_conv *c, void *dw);

#endif
