/* eight_depth.h: depthwise convolutions of bytes: sums of (x - zero) w, of each channel by itself, by rows of the
 * result.
 *
 * Graphs have no operator for it: they convolve floats, the codes less their zero point.  These are whole numbers, and
 * so are the sums, below 2^24; whoever adds them has the same bits.
 */
#ifndef BLI_TF_EIGHT_DEPTH_H
#define BLI_TF_EIGHT_DEPTH_H

#include "tf/kernels/loops.h"
#include "tf/window.h"

typedef struct bli_eight_depth {
    const bli_tf_loops *loops;
    bli_tf_window w;
    const float *filter; /* [kernel height][width][channel] */
    int zero;
    bool copies; /* the picture, into one with a border */
    int64_t height, width;
    ptrdiff_t *offset; /* of each tap, in bytes */
    float *start;      /* of each channel: what takes the zero point out */
    const uint8_t *picture;
    uint8_t *copy;
} bli_eight_depth;

/* The filter is constant: the node keeps what it is about at its site.  In the session's scratch, until its next use.
 * *fine false: zero or filter are no codes that floats sum exactly. */
BL_MUST_CHECK bl_status bli_eight_depth_start(const bli_tf_call *c, const bli_tf_window *w, const float *filter,
                                              float zero, bli_eight_depth *d, bool *fine);
void bli_eight_depth_picture(bli_eight_depth *d, const uint8_t *x);
void bli_eight_depth_rows(const bli_eight_depth *d, int64_t first, int64_t rows, int32_t *y);

#endif
