/* window.h: a window that slides over a picture, as convolutions and pools of TensorFlow describe it. */
#ifndef BLI_TF_WINDOW_H
#define BLI_TF_WINDOW_H

#include "tf/op.h"

/* Index 0 is the height, 1 the width. */
typedef struct bli_tf_window {
    bool nchw;
    int64_t images, channels, size[2]; /* -1: not known */
    int64_t kernel[2], stride[2], dilation[2], pad[2], pad_after[2], out[2];
    int64_t channel_kernel, channel_stride; /* pools: ksize and stride of batch and channels must be 1 */
} bli_tf_window;

/* The picture, input `input`, by attribute data_format. */
BL_MUST_CHECK bl_status bli_tf_window_picture(const bli_tf_call *c, int input, bli_tf_window *w);
/* strides and dilations. */
BL_MUST_CHECK bl_status bli_tf_window_steps(const bli_tf_call *c, bli_tf_window *w);
/* Pads and the result's size, by attribute padding, once kernel and steps are known. */
BL_MUST_CHECK bl_status bli_tf_window_pads(const bli_tf_call *c, bli_tf_window *w);
/* A list attribute of four numbers in the order of data_format: those of batch and channels must be 1. */
BL_MUST_CHECK bl_status bli_tf_window_pair(const bli_tf_call *c, const char *attr, bool required, bool nchw,
                                           int64_t v[2]);
bl_shape bli_tf_window_shape(const bli_tf_window *w, int64_t channels);
/* The part of the kernel that lies inside the picture for result i of axis d: first and count. */
static inline int64_t bli_tf_window_inside(const bli_tf_window *w, int d, int64_t i, int64_t *first)
{
    const int64_t from = i * w->stride[d] - w->pad[d];
    int64_t a = from < 0 ? 0 : from, b = from + w->kernel[d];
    b = b > w->size[d] ? w->size[d] : b;
    *first = a;
    return b > a ? b - a : 0;
}

/* Channels to the end, or back: x [n][c][pixels] <-> y [n][pixels][c]. */
void bli_tf_channels_last(const void *x, int64_t n, int64_t channels, int64_t pixels, size_t element, void *y);
void bli_tf_channels_first(const void *x, int64_t n, int64_t channels, int64_t pixels, size_t element, void *y);

#endif
