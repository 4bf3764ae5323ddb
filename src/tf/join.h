/* join.h: nodes that one kernel does together: found by join.c, run by join_run.c. */
#ifndef BLI_TF_JOIN_H
#define BLI_TF_JOIN_H

#include "tf/eight_op.h"
#include "tf/session_impl.h"

enum { BLI_JOIN_STAGES = 8, BLI_JOIN_PARTS = 12, BLI_JOIN_CHANNELS = 1 << 16 };

typedef enum bli_join_kind {
    BLI_JOIN_BIAS, /* bytes and a vector, from here ... */
    BLI_JOIN_ADD,
    BLI_JOIN_MUL,  /* ... to here */
    BLI_JOIN_CONV, /* starts a chain: sums of products, from here ... */
    BLI_JOIN_MATMUL,
    BLI_JOIN_DEPTH,    /* ... to here; DepthwiseConv2dNative of codes as floats */
    BLI_JOIN_QUANTIZE, /* starts a chain: floats to bytes */
} bli_join_kind;

/* Sums (or floats), what brings them to bytes, an activation. */
typedef struct bli_join_stage {
    bli_join_kind kind;
    size_t
        sum;  /* the node whose inputs these are: x, with, x's range, with's range; DepthwiseConv2dNative; QuantizeV2 */
    size_t x; /* the node whose first input is x */
    size_t range, lift, factors, narrow,
        relu; /* SIZE_MAX: none.  range: RequantizationRange, or Min of a QuantizeV2; lift: the AddV2 that adds a vector
                 of int32 to the sums; factors: the Mul of the sums, as floats, with a vector, before that */
    size_t parts[BLI_JOIN_PARTS];
    bool early;    /* others read the range of a product's sums: it comes in the product's own turn */
    int num_parts; /* nodes in the order in which they run; the last one has the result */
} bli_join_stage;

typedef struct bli_join_memory bli_join_memory;

struct bli_tf_join {
    int num;
    bli_join_stage stages[BLI_JOIN_STAGES];
    bli_eight_how how;       /* QUANTIZE */
    void *kept;              /* of a depthwise convolution's filter */
    bli_join_memory *memory; /* join_run.c's; NULL at first */
};

static inline bool bli_join_is_product(const bli_join_stage *g)
{
    return g->kind >= BLI_JOIN_CONV && g->kind <= BLI_JOIN_DEPTH;
}
/* Of DEPTH: the AddV2 that takes the zero point away. */
static inline size_t bli_join_centred(const bli_join_stage *g)
{
    return g->parts[1];
}
static inline size_t bli_join_end(const bli_join_stage *g)
{
    return g->parts[g->num_parts - 1];
}
static inline const bli_tf_array *bli_join_value(const bli_tf_session *s, const bli_tf_spot *p, int input)
{
    return &s->spots[p->in[input].spot].out[p->in[input].port];
}

#endif
