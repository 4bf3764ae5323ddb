/* conv_attrs.h: what Conv and ConvTranspose nodes say, checked. */
#ifndef BLI_CONV_ATTRS_H
#define BLI_CONV_ATTRS_H

#include "op/kernels/reference.h"
#include "op/op.h"

/* Shapes come in as x (batch first, channels last or second) and w (two numbers, then the kernel).  For Conv, s->size
 * is x's picture and s->out the output's; for ConvTranspose (transposed) the other way round: s is the convolution
 * whose data gradient the node computes.  One-dimensional pictures get height 1.  y: the node's output shape. */
bl_status bli_conv_parse(bl_context *ctx, const bl_node *n, const bl_shape *x, const bl_shape *w, bool transposed,
                         bli_conv_shape *s, bl_shape *y);
/* Types, the bias, and bli_conv_parse. */
bl_status bli_conv_infer(bli_infer *i, bool transposed);

extern const bli_attr_spec bli_conv_attrs[], bli_conv_transpose_attrs[];

#endif
