/* weights.h: weights of few bits in a graph: which dimensions of a constant are a layer's output channels, and the
 * standard operators that make floats of packed codes again.
 */
#ifndef BLI_TF_WEIGHTS_H
#define BLI_TF_WEIGHTS_H

#include "tf/low_bits.h"
#include "tf/transform.h"

/* The dimensions first .. last - 1 number the channels; first == last: there are none. */
typedef struct bli_tg_channels {
    int first, last;
    bool symmetric;                /* as many codes below zero as above */
    const struct bli_tf_node *one; /* the QuantizeV2 that gives all channels one range; NULL: none does */
} bli_tg_channels;

/* For each node of the graph that is a Const (the others have none), what the first layer says that reads it, perhaps
 * through Identity nodes or what quantize_nodes made of it: Conv2D and its like the last dimension,
 * DepthwiseConv2dNative the last two, MatMul the one that stays.  Weights of which quantize_nodes(per_channel=true)
 * makes codes are symmetric, as those are.  In the store. */
BL_MUST_CHECK bl_status bli_tg_find_channels(const bli_tf_graph *g, bli_tg_channels **out);

/* Names and shared constants of one run of the pass. */
typedef struct bli_tg_unpacker {
    const bli_tg_job *job;
    bli_tf_graph *out;
    const char *prefix; /* of all names made, which no other node has */
    size_t count;       /* weights so far */
    int bits;
    const char *shifts, *mask, *bytes, *axis, *flat, *start; /* NULL: not made yet */
} bli_tg_unpacker;
BL_MUST_CHECK bl_status bli_tg_unpacker_init(bli_tg_unpacker *u, const bli_tg_job *job, const bli_tf_graph *in,
                                             int bits, bli_tf_graph *out);
/* Adds to u->out the packed codes of n's tensor t (finite floats) and what unpacks them, ending in a node of n's name.
 * A channel whose range is no float is BL_BAD_VALUE. */
BL_MUST_CHECK bl_status bli_tg_unpack_weights(bli_tg_unpacker *u, const bli_tf_node *n, const bli_tf_tensor *t,
                                              bli_tg_channels channels);

#endif
