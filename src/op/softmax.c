/* softmax.c: Softmax over the last axis, exp(x - max) over its sum. */
#include "num/functions.h"
#include "op/infer.h"

#define REAL_TEMPLATE "op/softmax.inc"
#include "op/real.h"

static bl_status infer_softmax(bli_infer *i)
{
    int axis;
    BLI_TRY(bli_infer_real(i, 0));
    const bl_shape *x = &i->in[0]->shape;
    BLI_TRY(bli_infer_axis(i, "attribute axis", bl_node_int(i->node, "axis", -1), x->rank, &axis));
    BLI_TRY(bli_infer_not_batch(i, x, axis, "attribute axis"));
    if (axis != x->rank - 1)
        return bli_fail(i->ctx, BL_UNSUPPORTED, "attribute axis: %d is not the last axis, %d", axis, x->rank - 1);
    return bli_infer_same(i);
}

static size_t classes(const bl_tensor *t)
{
    return (size_t)t->shape.dim[t->shape.rank - 1];
}

static bl_status forward(const bli_call *c)
{
    const size_t n = classes(&c->in[0]);
    if (n > 0)
        BLI_REAL_CALL(c->in[0].type, softmax, c->in[0].data, c->out[0].data, bli_count(&c->in[0]) / n, n);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    const size_t n = classes(&c->out[0]);
    if (n > 0 && c->grad_in[0].data)
        BLI_REAL_CALL(c->out[0].type, softmax_back, c->out[0].data, c->grad_out[0].data, c->grad_in[0].data,
                      bli_count(&c->out[0]) / n, n);
    return BL_OK;
}

static const bli_attr_spec attrs[] = {{"axis", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};
const bli_op bli_op_softmax = {
    .schema = {"Softmax", BLI_DOMAIN_ONNX, 1, 1, 1, attrs, infer_softmax, "exp(x) over its sum along the last axis"},
    .flags = BLI_OP_NEEDS_OUT,
    .forward = forward,
    .backward = backward,
};
