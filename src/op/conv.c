/* conv.c: Conv and ConvTranspose.
 *
 * Both run on channels-last pictures (domain qonnx.custom_op.channels_last); plain ONNX's channels-first ones only have
 * shapes, because passes rewrite them.  ConvTranspose is the data gradient of a convolution as an operator of its own:
 * its forward is that convolution's data sweep, and so on.  The weight gradient is taken slice by slice: convolution
 * weights are small against the activations, so adding up partial gradients is cheap.
 */
#include "op/conv_attrs.h"
#include "op/convolve.h"
#include "op/lower.h"
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

/* ---- lowering ----------------------------------------------------------------------------------------------- */
/* One-dimensional pictures are a row here and rows of one pixel in the program: axis of the parsed geometry for the
 * program's axis d. */
static int axis_at(const bl_shape *x, int d)
{
    return x->rank == 3 ? 1 - d : d;
}

/* [M, C / groups, kH, kW] as [M, kH, kW, C / groups], or the kernel of the transposed convolution turned round. */
static int64_t *program_weight(bli_lower_call *c, const bli_conv_shape *s, bool t, const int64_t *w)
{
    const int64_t depth = s->channels / s->groups, width = s->units / s->groups;
    const int64_t units = t ? s->channels : s->units, inputs = t ? width : depth, kh = s->kernel[0], kw = s->kernel[1];
    int64_t *to = bli_lower_numbers(c, units * inputs * kh * kw, 0), *at = to;
    for (int64_t m = 0; to && m < units; m++)
        for (int64_t h = 0; h < kh; h++)
            for (int64_t v = 0; v < kw; v++)
                for (int64_t k = 0; k < inputs; k++)
                    *at++ =
                        t ? w[((m / depth * width + k) * depth + m % depth) * kh * kw + (kh - 1 - h) * kw + kw - 1 - v]
                          : w[(m * depth + k) * kh * kw + h * kw + v];
    return to;
}

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bli_window window_of(const bli_conv_shape *s, const bl_shape *x, bool t)
{
    bli_window w = {.groups = (int)s->groups, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    for (int d = 0; d < x->rank - 2; d++) {
        const int a = axis_at(x, d);
        const int64_t reach = s->dilation[a] * (s->kernel[a] - 1) + 1;
        w.kernel[d] = (int)s->kernel[a];
        w.dilation[d] = (int)s->dilation[a];
        if (t)
            continue;
        w.stride[d] = (int)s->stride[a];
        w.pad[d] = (int)s->pad[a];
        w.pad[2 + d] = (int)at_least((s->out[a] - 1) * s->stride[a] + reach - s->size[a] - s->pad[a], 0);
    }
    return w;
}

/* Where pixel j of the spread picture comes from along axis a; -1: a zero. */
static int64_t spread_from(const bli_conv_shape *s, int a, int64_t j)
{
    const int64_t at = j - (s->kernel[a] - 1) * s->dilation[a] + s->pad[a];
    return at >= 0 && at % s->stride[a] == 0 && at / s->stride[a] < s->out[a] ? at / s->stride[a] : -1;
}

/* A transposed convolution is a convolution over its input with zeros between and around the pixels. */
static bl_status spread(bli_lower_call *c, const bli_conv_shape *s, const bl_shape *x, int *wire)
{
    const int64_t h = s->size[0] + s->dilation[0] * (s->kernel[0] - 1), n = s->units,
                  w = s->size[1] + s->dilation[1] * (s->kernel[1] - 1);
    int64_t *index = bli_lower_numbers(c, h * w * n, -1);
    if (!index)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            const int64_t from = spread_from(s, 0, i), across = spread_from(s, 1, j);
            for (int64_t k = 0; k < n && from >= 0 && across >= 0; k++)
                index[(i * w + j) * n + k] = (from * s->out[1] + across) * n + k;
        }
    const bl_shape shape = x->rank == 3 ? (bl_shape){2, {w, n}} : (bl_shape){3, {h, w, n}};
    const bli_prim_op op = {.kind = BLI_PRIM_GATHER, .num_in = 1, .in = {*wire}, .index = index};
    return bli_lower_add(c, &op, "spread", &shape, bli_builder_wire(c->b, *wire)->exp, wire);
}

static bl_status lower(bli_lower_call *c)
{
    const bool t = is_transposed(c->node);
    const bl_shape *x = &c->in[0]->shape;
    bli_conv_shape s;
    bl_shape y;
    bli_lower_sum sum;
    if (!c->known[1].data)
        return bli_lower_refuse(c, "the weight is computed; a convolution needs a constant one");
    BLI_TRY(bli_conv_parse(c->ctx, c->node, x, &c->in[1]->shape, t, &s, &y));
    const int64_t units = t ? s.channels : s.units;
    BLI_TRY(bli_lower_products(c, &c->known[1], c->bias.data ? &c->bias : &c->known[2], units, &sum));
    int wire = c->x[0].wire;
    if (t)
        BLI_TRY(spread(c, &s, x, &wire));
    bli_prim_op op = {.kind = BLI_PRIM_CONV,
                      .num_in = 1,
                      .in = {wire},
                      .window = window_of(&s, x, t),
                      .channels = units,
                      .weight = program_weight(c, &s, t, sum.weight),
                      .bias = sum.bias};
    return op.weight ? bli_lower_add(c, &op, NULL, NULL, sum.exp, &c->y[0].wire) : BL_NO_MEMORY;
}

#define CONV_KERNELS                                                                                                   \
    .flags = BLI_OP_NEEDS_IN, .forward = forward, .backward = backward, .range = range, .setup = setup,                \
    .scratch = scratch, .prep_size = prep_size, .prepare = prepare, .weight_input = 1, .lower = lower

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
