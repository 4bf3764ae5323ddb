/* quantize.c: operator Quantize, which hands each call to its node's quantizer (op/quantizer.h).
 *
 * What belongs to every quantizer is here: attributes parsed once (setup), shapes, the delayed start.  Before step
 * `start` of a training y = x and dx = dy; evaluation always quantizes.
 */
#include "op/op.h"

#include <string.h>

#include "op/lower.h"
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

/* ---- lowering ------------------------------------------------------------------------------------------------ */
/* Per channel: the unit's exponent and the bits of the format. */
typedef struct lowered_format {
    bl_format f;
    int64_t channels, *unit, *bits;
    int finest; /* least unit */
} lowered_format;

/* Formats of integer codes with a constant power-of-two scale; other quantizers are left to their kernels. */
static bool plain_format(const bli_lower_call *c, const bli_quant_spec *s, int *scale_exp)
{
    const char *q = s->quantizer->name;
    if ((strcmp(q, "ste") != 0 && strcmp(q, "lsq") != 0) || !bli_integer_coded(&s->format) ||
        s->scale_rule != BLI_SCALE_NUMBER || bli_quant_needs_scale(s) || frexp(s->scale, scale_exp) != 0.5)
        return false;
    (*scale_exp)--;
    return c->node->num_inputs < 2 || c->node->inputs[1] < 0;
}

static bl_status format_of(bli_lower_call *c, const bli_quant_spec *s, int scale_exp, lowered_format *l)
{
    const bl_tensor *w = c->node->num_inputs > 2 && c->node->inputs[2] >= 0 ? &c->known[2] : NULL;
    const bl_shape *x = &c->in[0]->shape;
    const int64_t last = x->dim[x->rank - 1], count = w && w->data ? bl_shape_count(&w->shape) : 1;
    l->f = s->format;
    l->channels = count;
    if (w && (!w->data || (count != 1 && (count != last || w->shape.dim[w->shape.rank - 1] != count))))
        return bli_lower_refuse(c, "an activation's widths of its own per element; give one per channel or tensor");
    l->unit = bli_lower_numbers(c, count, 0);
    l->bits = bli_lower_numbers(c, count, 0);
    if (!l->unit || !l->bits)
        return BL_NO_MEMORY;
    l->finest = INT32_MAX;
    for (int64_t i = 0; i < count; i++) {
        l->bits[i] = w ? (int64_t)bli_width_value(w, (size_t)i) : s->format.bits;
        l->unit[i] = scale_exp + (s->format.kind == BL_FORMAT_FIXED ? s->format.integer - l->bits[i] : 0);
        l->finest = l->unit[i] < l->finest ? (int)l->unit[i] : l->finest;
    }
    return BL_OK;
}

static bl_status round_wire(bli_lower_call *c, const lowered_format *l, int *wire)
{
    const int exp = bli_builder_wire(c->b, *wire)->exp;
    int64_t *shift = bli_lower_numbers(c, l->channels, 0);
    bool any = false;
    if (!shift)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < l->channels; i++) {
        shift[i] = l->unit[i] - exp;
        any = any || shift[i] != 0;
        if (shift[i] > 62) /* all that is left is the sign: rounding a tiny value */
            c->declined = true;
        if (shift[i] < -62)
            return bli_fail(c->ctx, BL_LIMIT, "steps of 2^%d from values of steps 2^%d", (int)l->unit[i], exp);
    }
    if (!any || c->declined)
        return BL_OK;
    const bli_prim_op op = {.kind = BLI_PRIM_ROUND,
                            .num_in = 1,
                            .in = {*wire},
                            .channels = l->channels,
                            .shift = shift,
                            .rounding = l->f.rounding == BL_STOCHASTIC ? BL_RND_CONV : l->f.rounding};
    return bli_lower_add(c, &op, "round", NULL, l->finest, wire);
}

static bl_status offset_wire(bli_lower_call *c, int64_t offset, int *wire)
{
    const int64_t one = 1;
    const bli_prim_op op = {
        .kind = BLI_PRIM_AFFINE, .num_in = 1, .in = {*wire}, .channels = 1, .weight = &one, .bias = &offset};
    return offset == 0 ? BL_OK : bli_lower_add(c, &op, "zero", NULL, bli_builder_wire(c->b, *wire)->exp, wire);
}

static bl_status overflow_wire(bli_lower_call *c, const lowered_format *l, int *wire)
{
    const bli_span s = bli_wire_hull(bli_builder_wire(c->b, *wire));
    bool inside = true;
    for (int64_t i = 0; i < l->channels; i++) {
        bl_format f = l->f;
        double lo, hi;
        f.bits = (int)l->bits[i];
        bli_code_bounds(&f, &lo, &hi);
        inside = inside && (double)s.low >= lo && (double)s.high <= hi;
    }
    const bli_prim_op op = {.kind = BLI_PRIM_OVERFLOW,
                            .num_in = 1,
                            .in = {*wire},
                            .channels = l->channels,
                            .bits = l->bits,
                            .overflow = l->f.overflow,
                            .is_signed = l->f.is_signed};
    return inside ? BL_OK : bli_lower_add(c, &op, "overflow", NULL, bli_builder_wire(c->b, *wire)->exp, wire);
}

/* Channels of coarser units back on one grid. */
static bl_status common_grid(bli_lower_call *c, const lowered_format *l, int *wire)
{
    int64_t *shift = bli_lower_numbers(c, l->channels, 0);
    bool any = false;
    if (!shift)
        return BL_NO_MEMORY;
    for (int64_t i = 0; i < l->channels; i++) {
        shift[i] = l->finest - l->unit[i];
        any = any || shift[i] != 0;
        if (shift[i] < -62)
            return bli_fail(c->ctx, BL_LIMIT, "channels of steps 2^%d and 2^%d", l->finest, (int)l->unit[i]);
    }
    const bli_prim_op op = {
        .kind = BLI_PRIM_ROUND, .num_in = 1, .in = {*wire}, .channels = l->channels, .shift = shift};
    return any ? bli_lower_add(c, &op, "common", NULL, l->finest, wire) : BL_OK;
}

static bl_status lower(bli_lower_call *c)
{
    bli_quant_spec *s;
    int scale_exp, wire = c->x[0].wire;
    lowered_format l = {.finest = 0};
    BLI_TRY(bli_quant_spec_parse(c->ctx, c->node, true, c->arena, &s));
    c->declined = !plain_format(c, s, &scale_exp);
    if (c->declined)
        return BL_OK;
    BLI_TRY(format_of(c, s, scale_exp, &l));
    BLI_TRY(round_wire(c, &l, &wire));
    if (c->declined)
        return BL_OK;
    BLI_TRY(offset_wire(c, s->zero_point, &wire));
    BLI_TRY(overflow_wire(c, &l, &wire));
    BLI_TRY(offset_wire(c, -s->zero_point, &wire));
    BLI_TRY(common_grid(c, &l, &wire));
    c->y[0].wire = wire;
    return BL_OK;
}

const bli_op bli_op_quantize = {
    .schema = {.type = "Quantize",
               .domain = BLI_DOMAIN_OWN,
               .min_inputs = 1,
               .max_inputs = 3,
               .num_outputs = 1,
               .infer = infer,
               .help = "brings values into a number format, with a gradient for training"},
    .flags = BLI_OP_NEEDS_IN | BLI_OP_ELEMENTWISE,
    .forward = forward,
    .backward = backward,
    .range = range,
    .lower = lower,
    .setup = setup,
    .scratch = scratch,
    .same_for_all = same_for_all,
};
