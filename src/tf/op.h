/* op.h: what an operator of a TensorFlow graph is: one entry of a table, for inference, folding and running alike.
 *
 * infer says types and shapes of the outputs from what is known of the inputs; run, called when all inputs are known,
 * finds outputs of those types and shapes allocated and fills them.  So a shape rule stands in one place, and an
 * operator never sees inputs that its infer did not accept.  Neither trusts the node: attributes, types, ranks and
 * sizes are checked in infer.  Messages say what is wrong with the input; the caller puts the node's name in front.
 */
#ifndef BLI_TF_OP_H
#define BLI_TF_OP_H

#include "base/cpu.h"
#include "bitlathe/tensor.h"
#include "model/graphdef.h"

/* One element of a tensor of strings. */
typedef struct bli_tf_bytes {
    const uint8_t *data;
    size_t size;
} bli_tf_bytes;

typedef struct bli_tf_arg {
    int dtype;      /* BLI_DT_INVALID: not known */
    bl_shape shape; /* rank -1, dim -1: not known */
    void *data;     /* NULL: not known */
    bool constant;  /* the same at every run */
    bool ours;      /* the data may be read BLI_ALIGN bytes beyond its end */
} bli_tf_arg;

typedef struct bli_tf_site bli_tf_site;
typedef struct bli_tf_call {
    bl_context *ctx;
    const bli_tf_node *node;
    bli_tf_store *store; /* of the graph */
    const bli_tf_arg *in;
    bli_tf_arg *out;
    int num_in, num_out;
    bli_tf_site *site; /* of run: where the node keeps what it made of its constants */
} bli_tf_call;

/* Products of bytes, of any rows, and in tiles (exec/kernels/kernels.h). */
typedef struct bli_eight_products {
    const struct bli_exec_kernels *rows, *tiles;
    bool looked;
} bli_eight_products;

/* What a node keeps between runs. */
struct bli_tf_site {
    bli_arena *arena; /* lives as long as the session */
    void *kept;       /* NULL at first */
    int64_t runs;     /* of the node, before this one */
    bli_isa isa;
    void (*print)(void *user, const char *line); /* NULL: nowhere */
    void *user;
    void *scratch; /* grows; the same for all nodes of a session */
    size_t scratch_bytes;
    bli_eight_products products; /* eight_conv.c's, which finds them */
};
/* At least so many bytes, aligned, not cleared; valid until the node returns. */
BL_MUST_CHECK bl_status bli_tf_scratch(const bli_tf_call *c, size_t bytes, void **out);

typedef bl_status (*bli_tf_rule)(bli_tf_call *c);
typedef struct bli_tf_op {
    const char *name;
    int min_in, max_in; /* data inputs; max_in -1: no limit */
    int outputs;        /* 0: as many as attribute `counts` says, or as its list is long */
    const char *counts;
    bli_tf_rule infer, run; /* run NULL: output 0 is input `alias` under the inferred shape */
    int alias;
    bool stateful; /* never folded: random, printing, fed */
} bli_tf_op;

/* NULL: no such operator. */
const bli_tf_op *bli_tf_op_find(const char *name);
/* Fails for a wrong number of inputs, and for an attribute `counts` that is out of bounds. */
BL_MUST_CHECK bl_status bli_tf_op_outputs(bl_context *ctx, const bli_tf_op *op, const bli_tf_node *n, int num_in,
                                          int *num_out);

/* op->infer, and what holds for all operators: strings go only where bytes are decoded, and sizes are such that no
 * stride of a tensor overflows, even where it has no elements. */
BL_MUST_CHECK bl_status bli_tf_op_infer(const bli_tf_op *op, bli_tf_call *c);
BL_MUST_CHECK bl_status bli_tf_check_shape(bl_context *ctx, const bl_shape *s);

/* A family's table. */
typedef struct bli_tf_family {
    const bli_tf_op *ops;
    size_t count;
} bli_tf_family;

/* ---- what rules share ------------------------------------------------------------------------------------------ */
enum { BLI_TF_MAX_PORTS = 4096 };
#define BLI_TF_UNKNOWN_SHAPE ((bl_shape){.rank = -1})
/* A tensor of the runtime is at most so large. */
#define BLI_TF_MAX_BYTES ((size_t)1 << 31)

bl_dtype bli_tf_store_type(int dtype); /* BL_DTYPE_COUNT: one that the runtime does not compute with */
static inline bool bli_tf_known(const bl_shape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 0)
            return false;
    return s->rank >= 0;
}
static inline int64_t bli_tf_count(const bli_tf_arg *a)
{
    return bl_shape_count(&a->shape);
}
/* "input 1 has shape [3, 4], expected ..." */
bl_status bli_tf_refuse(const bli_tf_call *c, int input, const char *expected);
BL_MUST_CHECK bl_status bli_tf_need_type(const bli_tf_call *c, int input, int dtype);
BL_MUST_CHECK bl_status bli_tf_need_rank(const bli_tf_call *c, int input, int rank); /* an unknown rank will do */
BL_MUST_CHECK bl_status bli_tf_same_type(const bli_tf_call *c, int a, int b);
/* The numbers of an int32 or int64 input of rank 0 or 1; *known false: not known yet, *count -1 or its length. */
BL_MUST_CHECK bl_status bli_tf_ints(const bli_tf_call *c, int input, int64_t v[BL_MAX_RANK], int *count, bool *known);
BL_MUST_CHECK bl_status bli_tf_scalar_int(const bli_tf_call *c, int input, int64_t *v, bool *known);
BL_MUST_CHECK bl_status bli_tf_scalar_float(const bli_tf_call *c, int input, float *v, bool *known);
/* An axis within -rank .. rank - 1, made positive. */
BL_MUST_CHECK bl_status bli_tf_axis(const bli_tf_call *c, int64_t axis, int rank, int *out);
/* a with dimensions that only b knows; fails where both know and differ. */
BL_MUST_CHECK bl_status bli_tf_merge(const bli_tf_call *c, int input, const bl_shape *b, bl_shape *a);
/* The shape of a proto: too many dimensions are refused. */
BL_MUST_CHECK bl_status bli_tf_shape_of(bl_context *ctx, const bli_tf_shape *proto, bl_shape *out);
/* Output 0 is like input 0. */
bl_status bli_tf_infer_same(bli_tf_call *c);
bl_status bli_tf_infer_nothing(bli_tf_call *c); /* no outputs */
bl_status bli_tf_run_nothing(bli_tf_call *c);

/* Laid out by hand: the formatter changes its mind about such lists at every run. */
/* clang-format off */
#define BLI_TF_FAMILY_LIST(X)                                                                                          \
    X(source) X(shape) X(move) X(slice) X(pad) X(index) X(binary) X(unary) X(reduce) X(matmul) X(conv) X(norm)         \
    X(pool) X(resize) X(crop) X(reverse) X(picture) X(audio) X(flow) X(array) X(list) X(call) X(eight)                 \
    X(eight_product) X(eight_more) X(print)
/* clang-format on */
#define BLI_TF_FAMILY_DECLARE(name) extern const bli_tf_family bli_tf_family_##name;
BLI_TF_FAMILY_LIST(BLI_TF_FAMILY_DECLARE)
#undef BLI_TF_FAMILY_DECLARE

#endif
