/* batchnorm.h: what a batch normalisation is in evaluation. */
#ifndef BLI_OP_BATCHNORM_H
#define BLI_OP_BATCHNORM_H

#include "op/op.h"

/* y = scale x + offset per channel, from a node's constant inputs 1 to 4 (gamma, beta, mean, variance), in double as
 * the kernel computes them before it rounds each to the carrier; on the grids of scale_format and offset_format if the
 * node has them. */
BL_MUST_CHECK bl_status bli_batchnorm_affine(bl_context *ctx, const bl_node *n, const bl_tensor inputs[4],
                                             double *scale, double *offset);

#endif
