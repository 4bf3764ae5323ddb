/* resize.h: pictures in another size, as TensorFlow's ResizeBilinear and ResizeNearestNeighbor make them. */
#ifndef BLI_TF_RESIZE_H
#define BLI_TF_RESIZE_H

#include "tf/op.h"

typedef struct bli_tf_resize {
    bool align, half; /* align_corners, half_pixel_centers; neither: the legacy rule */
} bli_tf_resize;

/* x float [n][h][w][c] to y float [n][size][c]; every step in float, TensorFlow's bits. */
BL_MUST_CHECK bl_status bli_tf_resize_bilinear(const bli_tf_call *c, const bli_tf_resize *how, const bl_shape *shape,
                                               const float *x, const int64_t size[2], float *y);

#endif
