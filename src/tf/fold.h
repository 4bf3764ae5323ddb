/* fold.h: what the two transforms share that fold a batch normalisation into the layer before. */
#ifndef BLI_TF_FOLD_H
#define BLI_TF_FOLD_H

#include "tf/transform.h"

#define BLI_TG_CONVS "Conv2D|DepthwiseConv2dNative"

/* A layer with constant weights: conv(x, Const). */
typedef struct bli_tg_layer {
    const bli_tf_node *node, *x, *weights;
    bli_tf_tensor w;
    size_t columns; /* of the output's channels, which run fastest in the weights */
} bli_tg_layer;
BL_MUST_CHECK bl_status bli_tg_layer_of(const bli_tg_found *f, const bli_tg_match *m, bli_tg_layer *out);
/* Adds weights times scale (one number a column) under that name, the layer's input, and the layer under its new name.
 */
BL_MUST_CHECK bl_status bli_tg_layer_scaled(const bli_tg_found *f, const bli_tg_layer *l, const float *scale,
                                            const char *weights_name, const char *name, bli_tf_graph *out);

#endif
