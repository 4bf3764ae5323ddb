/* broadcast.h: two tensors met element by element, as NumPy and TensorFlow stretch them. */
#ifndef BLI_TF_BROADCAST_H
#define BLI_TF_BROADCAST_H

#include "tf/op.h"

/* Loops over the result: the innermost dimension's steps of a and b are 0 or 1. */
typedef struct bli_tf_spread {
    int rank; /* at least 1 */
    int64_t dim[BL_MAX_RANK], a[BL_MAX_RANK], b[BL_MAX_RANK];
} bli_tf_spread;

/* The shape of inputs a and b together. */
BL_MUST_CHECK bl_status bli_tf_spread_shape(const bli_tf_call *c, int a, int b, bl_shape *out);
/* Of known shapes that fit; out is theirs together. */
bli_tf_spread bli_tf_spread_make(const bl_shape *a, const bl_shape *b, const bl_shape *out);

/* n elements: out[i] of a[i * step_a] and b[i * step_b]. */
typedef void (*bli_tf_pair_fn)(const void *a, int64_t step_a, const void *b, int64_t step_b, int64_t n, void *out);
void bli_tf_spread_run(const bli_tf_spread *s, bli_tf_pair_fn fn, const void *a, size_t size_a, const void *b,
                       size_t size_b, void *out, size_t size_out);

#endif
