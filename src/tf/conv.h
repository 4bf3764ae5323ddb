/* conv.h: convolutions of floats, for the operators that are one and those that have one inside. */
#ifndef BLI_TF_CONV_H
#define BLI_TF_CONV_H

#include "tf/window.h"

typedef struct bli_tf_conv {
    bli_tf_window w;
    bool depthwise;
    int64_t units, depth; /* channels of the result; of the filter */
} bli_tf_conv;

/* Conv2D and DepthwiseConv2dNative, as far as types and shapes of c's inputs say. */
BL_MUST_CHECK bl_status bli_tf_conv_read(const bli_tf_call *c, bli_tf_conv *v);
/* Of a picture with so many channels and the filter in input `filter`. */
BL_MUST_CHECK bl_status bli_tf_conv_filter(const bli_tf_call *c, int filter, bool depthwise, bli_tf_conv *v);
/* x and y channels-last; bias may be NULL.  What the node's constant filter becomes is kept at its site. */
BL_MUST_CHECK bl_status bli_tf_conv_run(bli_tf_call *c, const bli_tf_conv *v, const bli_tf_arg *filter, const void *x,
                                        const void *bias, void *y);

#endif
