/* convolve_impl.h: what the files of convolve share. */
#ifndef BLI_CONVOLVE_IMPL_H
#define BLI_CONVOLVE_IMPL_H

#include "op/convolve.h"

/* Kernels work on rows of the picture from left to right: index 0 of their loops is the width. */
enum { HEIGHT, WIDTH };

static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline size_t bli_round_up(size_t bytes)
{
    return (bytes + BLI_ALIGN - 1) / BLI_ALIGN * BLI_ALIGN;
}

/* Elements of one source image as the sweep along rows sees it: with its borders where it needs a copy. */
int64_t bli_sweep_image(const bli_sweep *s);
/* Bytes of the padded copy of one image, 0 if none is needed; fills the inside of one whose borders are zero. */
size_t bli_sweep_copy_bytes(const bli_convolve_call *c, const bli_sweep *s);
void bli_sweep_copy(const bli_convolve_call *c, const bli_sweep *s, const void *image, void *padded);

/* Taps across are packed from right to left, the order in which they meet dy from left to right. */
static inline int64_t bli_data_tap(const bli_conv_shape *s, int64_t kh, int64_t kw)
{
    return kh * s->kernel[WIDTH] + s->kernel[WIDTH] - 1 - kw;
}

#endif
