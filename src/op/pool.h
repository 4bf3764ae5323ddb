/* pool.h: the geometry of a sliding window over one or two spatial dimensions. */
#ifndef BLI_OP_POOL_H
#define BLI_OP_POOL_H

#include "op/infer.h"

enum { BLI_POOL_DIMS = 2 };

/* One-dimensional pools are two-dimensional ones with a first axis of 1. */
typedef struct bli_pool {
    int64_t in[BLI_POOL_DIMS], out[BLI_POOL_DIMS];
    int64_t kernel[BLI_POOL_DIMS], stride[BLI_POOL_DIMS], dilation[BLI_POOL_DIMS];
    int64_t before[BLI_POOL_DIMS], after[BLI_POOL_DIMS]; /* padding */
    int64_t images, channels;
    bool count_padding; /* averages divide by the padded window */
} bli_pool;

/* Where taps of output position o along axis d begin and end: indices k of the kernel that fall on the input. */
static inline void bli_pool_taps(const bli_pool *p, int d, int64_t o, int64_t *first, int64_t *last)
{
    const int64_t at = o * p->stride[d] - p->before[d], step = p->dilation[d];
    *first = at < 0 ? (-at + step - 1) / step : 0;
    const int64_t fit = p->in[d] - at > 0 ? (p->in[d] - at + step - 1) / step : 0;
    *last = fit < p->kernel[d] ? fit : p->kernel[d];
}

/* How many taps of position o lie on the input or its padding (a window rounded up may hang over both). */
static inline int64_t bli_pool_padded(const bli_pool *p, int d, int64_t o)
{
    const int64_t room = p->in[d] + p->before[d] + p->after[d] - o * p->stride[d], step = p->dilation[d];
    const int64_t fit = (room + step - 1) / step;
    return fit < p->kernel[d] ? fit : p->kernel[d];
}

/* 2 x 2 windows side by side, the pool of most networks. */
bool bli_pool_is_halving(const bli_pool *p);
/* From a node and its input shape; first says that channels are axis 1. */
bl_status bli_pool_parse(bl_context *ctx, const bl_node *n, const bl_shape *x, bool first, bli_pool *out);

#endif
