/* box.h: copying a box of elements between two arrays with any strides.
 *
 * Transpose, Slice, Concat and Split only move elements; each is one or more boxes, and its gradient is the same boxes
 * with the two sides exchanged.
 */
#ifndef BLI_OP_BOX_H
#define BLI_OP_BOX_H

#include "op/op.h"

typedef struct bli_box {
    int rank;
    int64_t dim[BL_MAX_RANK];
    int64_t from[BL_MAX_RANK], to[BL_MAX_RANK]; /* strides in elements, may be negative */
    int64_t from_at, to_at;
} bli_box;

/* A box of the whole of s, both sides with s's own strides. */
bli_box bli_box_of(const bl_shape *s);
/* Strides of a contiguous s. */
void bli_strides(const bl_shape *s, int64_t *stride);
bli_box bli_box_reversed(const bli_box *b);
void bli_box_copy(const bli_box *b, const void *from, void *to, size_t element_size);

#endif
