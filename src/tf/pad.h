/* pad.h: borders, for the pads and for the convolutions that have them inside. */
#ifndef BLI_TF_PAD_H
#define BLI_TF_PAD_H

#include "tf/op.h"

/* Two numbers for each of rank dimensions. */
BL_MUST_CHECK bl_status bli_tf_read_pads(const bli_tf_call *c, int input, int rank, int64_t pads[BL_MAX_RANK][2],
                                         bool *known);
void bli_tf_padded(const bl_shape *s, int64_t pads[BL_MAX_RANK][2], bool known, bl_shape *out);
/* Attribute mode: 1 for REFLECT (the edge itself is not repeated), 0 for SYMMETRIC. */
BL_MUST_CHECK bl_status bli_tf_mirror_edge(const bli_tf_call *c, int64_t *edge);
BL_MUST_CHECK bl_status bli_tf_check_mirror(const bli_tf_call *c, const bl_shape *in, int64_t pads[BL_MAX_RANK][2],
                                            int64_t edge);
void bli_tf_mirror(const bl_shape *in, const bl_shape *out, int64_t pads[BL_MAX_RANK][2], int64_t edge,
                   const void *from, void *to, size_t size);

#endif
