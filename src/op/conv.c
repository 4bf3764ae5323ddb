/* conv.c: Conv and ConvTranspose.
 *
 * Both run on channels-last pictures (domain qonnx.custom_op.channels_last); plain ONNX's channels-first ones only have
 * shapes, because passes rewrite them.  ConvTranspose is the data gradient of a convolution as an operator of its own:
 * its forward is that convolution's data sweep, and so on.  The weight gradient is taken slice by slice: convolution
 * weights are small against the activations, so adding up partial gradients is cheap.
 */
#include "op/conv_attrs.h"
#include "op/convolve.h"
#include "op/products.h"

static bool is_transposed(const bl_node *n)
{
    return n->type[4] != '\0'; /* "Conv" or "ConvTranspose" */
}

static bl_status infer(bli_infer *i)
{
    return bli_conv_infer(i, is_transposed(i->node));
}

static bl_status setup(bl_context *ctx, const bl_graph *g, const bl_node *n, bli_arena *arena, const void **state)
{
    const bl_value *x = bl_graph_value(g, n->inputs[0]), *w = bl_graph_value(g, n->inputs[1]);
    const bli_convolve *plan;
    bli_conv_shape s;
    bl_shape y;
    BLI_TRY(bli_conv_parse(ctx, n, &x->shape, &w->shape, is_transposed(n), &s, &y));
    BLI_TRY(bli_convolve_create(arena, &s, &plan));
    *state = plan;
    return BL_OK;
}

static bli_convolve_call call_of(const bli_call *c)
{
    return (bli_convolve_call){
        .plan = c->state,
        .kernels = bli_kernels_get(c->isa, c->in[1].type),
        .type = c->in[1].type,
        .images = c->in[0].shape.dim[0],
        .scratch = c->scratch,
    };
}

static size_t scratch(const bli_call *c)
{
    const bli_convolve_call v = call_of(c);
    return bli_convolve_scratch_bytes(&v);
}

/* Weights packed for forward, and behind them for the input's gradient where it is wanted. */
static size_t prep_size(const bli_call *c)
{
    const bli_convolve_call v = call_of(c);
    const bool t = is_transposed(c->node);
    return bli_convolve_packed_bytes(&v, t) + (c->grad_in[0].data ? bli_convolve_packed_bytes(&v, !t) : 0);
}

static bl_status prepare(const bli_call *c, void *prep)
{
    const bli_convolve_call v = call_of(c);
    const bool t = is_transposed(c->node);
    bli_convolve_pack(&v, t, c->in[1].data, prep);
    if (c->grad_in[0].data)
        bli_convolve_pack(&v, !t, c->in[1].data, (char *)prep + bli_convolve_packed_bytes(&v, t));
    return BL_OK;
}

static void forward_wide(const bli_call *c, const bli_convolve_call *v)
{
    const bool t = is_transposed(c->node);
    const bli_reference_conv r = {
        .type = v->type,
        .steps = c->wide_steps,
        .shape = &v->plan->shape,
        .images = v->images,
        .x = c->in[0].data,
        .w = c->in[1].data,
        .bias = c->in[2].data,
        .y = t ? c->in[0].data : c->out[0].data,
    };
    if (t)
        bli_reference_conv_data(&r, c->out[0].data);
    else
        bli_reference_conv_run(&r);
}

static bl_status forward(const bli_call *c)
{
    const bli_convolve_call v = call_of(c);
    if (c->wide_steps)
        forward_wide(c, &v);
    else
        bli_convolve_sweep(&v, is_transposed(c->node), c->in[0].data, c->prep, c->in[2].data, c->out[0].data);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    const bli_convolve_call v = call_of(c);
    const bool t = is_transposed(c->node);
    const void *x = c->in[0].data, *dy = c->grad_out[0].data;
    if (c->grad_in[0].data)
        bli_convolve_sweep(&v, !t, dy, (const char *)c->prep + bli_convolve_packed_bytes(&v, t), NULL,
                           c->grad_in[0].data);
    if (c->grad_in[1].data)
        bli_convolve_weight(&v, t ? dy : x, t ? x : dy, c->grad_in[1].data);
    if (c->grad_in[2].data) {
        const int64_t units = c->in[2].shape.dim[0];
        v.kernels->column_sums(dy, bl_shape_count(&c->grad_out[0].shape) / units, units, c->grad_in[2].data);
    }
    return BL_OK;
}

/* Each output sums over the weights of its unit; at the borders some terms are missing. */
static void range(bli_range_call *r)
{
    bli_conv_shape v;
    bl_shape y;
    if (bli_conv_parse(r->ctx, r->node, &r->in[0]->shape, &r->in[1]->shape, is_transposed(r->node), &v, &y) != BL_OK)
        return;
    const int64_t taps = v.kernel[0] * v.kernel[1], depth = v.channels / v.groups, width = v.units / v.groups;
    bli_sum_shape s = {.terms = depth * taps,
                       .outputs = v.units,
                       .group = v.units,
                       .inner = depth * taps,
                       .output_step = depth * taps,
                       .padded = true};
    if (is_transposed(r->node))
        s = (bli_sum_shape){.terms = width * taps,
                            .outputs = v.channels,
                            .group = depth,
                            .inner = taps,
                            .group_step = width * depth * taps,
                            .output_step = taps,
                            .term_step = depth * taps,
                            .padded = true};
    bli_range_sum(r, &s);
}

#define CONV_KERNELS                                                                                                   \
    .flags = BLI_OP_NEEDS_IN, .forward = forward, .backward = backward, .range = range, .setup = setup,                \
    .scratch = scratch, .prep_size = prep_size, .prepare = prepare, .weight_input = 1

const bli_op bli_op_conv_last = {
    .schema = {"Conv", BLI_DOMAIN_LAST, 2, 3, 1, bli_conv_attrs, infer,
               "convolution of channels-last pictures, 1-D or 2-D"},
    CONV_KERNELS,
};
const bli_op bli_op_conv_transpose_last = {
    .schema = {"ConvTranspose", BLI_DOMAIN_LAST, 2, 3, 1, bli_conv_transpose_attrs, infer,
               "transposed convolution of channels-last pictures, 1-D or 2-D"},
    CONV_KERNELS,
};
const bli_op bli_op_conv = {
    .schema = {"Conv", BLI_DOMAIN_ONNX, 2, 3, 1, bli_conv_attrs, infer,
               "convolution, channels first: rewritten before it runs"},
};
const bli_op bli_op_conv_transpose = {
    .schema = {"ConvTranspose", BLI_DOMAIN_ONNX, 2, 3, 1, bli_conv_transpose_attrs, infer,
               "transposed convolution, channels first: rewritten before it runs"},
};
