/* batchnorm.h: batch normalisation as what it is in evaluation, an affine function per channel. */
#ifndef BLI_OP_BATCHNORM_H
#define BLI_OP_BATCHNORM_H

#include "op/op.h"

/* y = x * scale[c] + offset[c] from gamma, beta, mean and variance (carrier type, n channels each), computed in double.
 * The evaluation kernel and the folding pass both take these. */
void bli_batchnorm_affine(bl_dtype type, const void *gamma, const void *beta, const void *mean, const void *variance,
                          double epsilon, size_t n, double *scale, double *offset);

#endif
