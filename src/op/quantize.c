/* quantize.c: operator Quantize, which hands each call to its node's quantizer (op/quantizer.h).
 *
 * What belongs to every quantizer is here: attributes parsed once (setup), shapes, the delayed start.  Before step
 * `start` of a training y = x and dx = dy; evaluation always quantizes.
 */
#include "op/op.h"

#include <string.h>

#include "op/quantizer/families.h"

/* ---- shape and checks ---------------------------------------------------------------------------------------- */
static bl_status check_scale_shape(const bli_infer *i, const bli_quant_spec *s)
{
    const bl_shape *x = &i->in[0]->shape;
    const bl_value *scale = i->in[1];
    if (!bli_quant_needs_scale(s))
        return scale ? bli_fail(i->ctx, BL_BAD_MODEL, "input 1: quantizer %s with this scale takes no scale input",
                                s->quantizer->name)
                     : BL_OK;
    if (!scale)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 1: quantizer %s needs its learned scale here", s->quantizer->name);
    int64_t count = bl_shape_count(&scale->shape), groups = bli_quant_groups(s, x);
    if (scale->type != i->in[0]->type)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 1: the scale is %s, but x is %s", bl_dtype_name(scale->type),
                        bl_dtype_name(i->in[0]->type));
    if (count != 1 && count != groups)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 1: %lld scales, expected 1 or %lld", (long long)count,
                        (long long)groups);
    return BL_OK;
}

static bl_status check_bits_shape(const bli_infer *i, const bli_quant_spec *s)
{
    if (!i->in[2])
        return BL_OK;
    if (!s->has_format || !bli_integer_coded(&s->format))
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 2: widths are for fixed, int and affine formats");
    const bl_shape *x = &i->in[0]->shape, *bits = &i->in[2]->shape;
    bool ok = bits->rank <= x->rank;
    for (int d = 0; ok && d < bits->rank; d++) {
        int64_t b = bits->dim[bits->rank - 1 - d];
        ok = b == 1 || (b > 0 && b == x->dim[x->rank - 1 - d]);
    }
    char xs[64], bs[64];
    bl_shape_print(x, xs, sizeof xs);
    bl_shape_print(bits, bs, sizeof bs);
    return ok ? BL_OK : bli_fail(i->ctx, BL_BAD_MODEL, "input 2: widths %s do not broadcast to %s", bs, xs);
}

static bl_status check_axis(const bli_infer *i, const bli_quant_spec *s)
{
    const bl_shape *x = &i->in[0]->shape;
    if (s->granularity != BLI_PER_CHANNEL && !(s->has_format && s->format.kind == BL_FORMAT_MX))
        return BL_OK;
    int axis = s->axis < 0 ? s->axis + x->rank : s->axis;
    if (axis < 0 || axis >= x->rank)
        return bli_fail(i->ctx, BL_BAD_MODEL, "attribute axis: %d, but x has rank %d", s->axis, x->rank);
    if (s->batched && axis == 0)
        return bli_fail(
            i->ctx, BL_BAD_MODEL,
            "attribute axis: 0 is the batch, of which rows must not depend on each other; name another axis");
    return BL_OK;
}

static bool has_batch(const bl_value *x)
{
    return x->shape.rank > 0 && x->shape.dim[0] < 0;
}

static bl_status check(const bli_infer *i, bli_arena *arena)
{
    bli_quant_spec *s;
    BLI_TRY(bli_quant_spec_parse(i->ctx, i->node, has_batch(i->in[0]), arena, &s));
    BLI_TRY(check_axis(i, s));
    BLI_TRY(check_scale_shape(i, s));
    return check_bits_shape(i, s);
}

static bl_status infer(bli_infer *i)
{
    const bl_value *x = i->in[0];
    if (x->type != BL_F32 && x->type != BL_F64)
        return bli_fail(i->ctx, BL_BAD_MODEL, "input 0 is %s, expected a floating type", bl_dtype_name(x->type));
    bli_arena *arena;
    BLI_TRY(bli_arena_create(i->ctx, &arena));
    bl_status status = check(i, arena);
    bli_arena_destroy(arena);
    i->out_type[0] = x->type;
    i->out_shape[0] = x->shape;
    return status;
}

static bl_status setup(bl_context *ctx, const bl_graph *g, const bl_node *node, bli_arena *arena, const void **state)
{
    bli_quant_spec *s;
    BLI_TRY(bli_quant_spec_parse(ctx, node, has_batch(bl_graph_value(g, node->inputs[0])), arena, &s));
    *state = s;
    return BL_OK;
}

/* ---- kernels ------------------------------------------------------------------------------------------------- */
static bool started(const bli_call *c, const bli_quant_spec *s)
{
    return !c->training || c->step >= (uint64_t)s->start;
}

static bl_status forward(const bli_call *c)
{
    const bli_quant_spec *s = c->state;
    if (started(c, s))
        return s->quantizer->forward(c, s);
    bli_pass_gradient(&c->in[0], &c->out[0]);
    return BL_OK;
}

static bl_status backward(const bli_call *c)
{
    const bli_quant_spec *s = c->state;
    if (started(c, s))
        return s->quantizer->backward(c, s);
    if (c->grad_in[0].data)
        bli_pass_gradient(&c->grad_out[0], &c->grad_in[0]);
    if (c->grad_in[1].data)
        memset(c->grad_in[1].data, 0, bli_tensor_count(&c->grad_in[1]) * bl_dtype_size(c->grad_in[1].type));
    return BL_OK;
}

/* A format on a fixed grid from the first step on, without draws. */
static bool same_for_all(const bli_call *c)
{
    const bli_quant_spec *s = c->state;
    return s->quantizer == &bli_quantizer_ste && s->scale_rule == BLI_SCALE_NUMBER && !bli_quant_needs_scale(s) &&
           !c->in[2].data && s->start == 0 && s->format.rounding != BL_STOCHASTIC && s->format.kind != BL_FORMAT_MX;
}

static size_t scratch(const bli_call *c)
{
    const bli_quant_spec *s = c->state;
    return s->quantizer->scratch ? s->quantizer->scratch(c, s) : 0;
}

static void range(bli_range_call *r)
{
    bli_arena *arena;
    bli_quant_spec *s;
    r->status = bli_arena_create(r->ctx, &arena);
    if (r->status != BL_OK)
        return;
    r->status = bli_quant_spec_parse(r->ctx, r->node, has_batch(r->in[0]), arena, &s);
    if (r->status == BL_OK && s->quantizer->range)
        s->quantizer->range(r, s);
    bli_arena_destroy(arena);
}

const bli_op bli_op_quantize = {
    .schema = {.type = "Quantize",
               .domain = BLI_DOMAIN_OWN,
               .min_inputs = 1,
               .max_inputs = 3,
               .num_outputs = 1,
               .infer = infer,
               .help = "brings values into a number format, with a gradient for training"},
    .flags = BLI_OP_NEEDS_IN,
    .forward = forward,
    .backward = backward,
    .range = range,
    .setup = setup,
    .scratch = scratch,
    .same_for_all = same_for_all,
};
