/* ternary.c: QKeras' ternary and stochastic_ternary.
 *
 * ternary: sign(x) where |x| >= threshold (0.33), else 0, times alpha.  alpha auto and auto_po2 find scale and dead
 * band together: start at 2/3 max |x|, then number_of_unrolls times codes from the scale, scale from the codes (least
 * squares). Gradient: 1, and without alpha that of tanh. stochastic_ternary (alpha auto or auto_po2): the mean of two
 * draws with the probabilities sigmoid(temperature * (x -+ scale / 2) / deviation); in evaluation ternary.
 */
#include "op/quantizer/qkeras.h"

typedef struct ternary {
    int64_t perturb, unrolls, real;
    double threshold, temperature;
    bli_alpha alpha;
    bli_sigmoid sigmoid;
    bool stochastic;
} ternary;

static const bli_attr_spec ternary_options[] = {{"alpha", BL_ATTR_STRING, false},
                                                {"threshold", BL_ATTR_FLOAT, false},
                                                {"use_stochastic_rounding", BL_ATTR_INT, false},
                                                {"number_of_unrolls", BL_ATTR_INT, false},
                                                {"scale_axis", BL_ATTR_INT, false},
                                                {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec stochastic_options[] = {
    {"alpha", BL_ATTR_STRING, false},          {"threshold", BL_ATTR_FLOAT, false},
    {"temperature", BL_ATTR_FLOAT, false},     {"use_real_sigmoid", BL_ATTR_INT, false},
    {"number_of_unrolls", BL_ATTR_INT, false}, {"scale_axis", BL_ATTR_INT, false},
    {"sigmoid", BL_ATTR_STRING, false},        {NULL, BL_ATTR_INT, false}};

static bl_status parse(bl_context *ctx, const bl_node *n, bli_quant_spec *s, ternary *o)
{
    s->own = o;
    BLI_TRY(bli_alpha_parse(ctx, n, &o->alpha));
    BLI_TRY(bli_option_int(ctx, n, "number_of_unrolls", 5, 1, 100, &o->unrolls));
    o->threshold = (double)(float)bl_node_float(n, "threshold", 0.33);
    if (!(o->threshold >= 0))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute threshold: %g is negative", o->threshold);
    if (!bli_alpha_auto(&o->alpha))
        return BL_OK;
    if (bl_node_attr(n, "threshold"))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute threshold: alpha auto finds its own");
    return bli_alpha_channels(ctx, n, s);
}

static bl_status ternary_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    ternary *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    BLI_TRY(bli_option_int(ctx, n, "use_stochastic_rounding", 0, 0, 1, &o->perturb));
    BLI_TRY(parse(ctx, n, s, o));
    if (o->perturb && !bli_alpha_auto(&o->alpha))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute use_stochastic_rounding: it needs alpha auto or auto_po2");
    return BL_OK;
}

static bl_status stochastic_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    ternary *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    o->stochastic = true;
    BLI_TRY(bli_option_int(ctx, n, "use_real_sigmoid", 1, 0, 1, &o->real));
    BLI_TRY(bli_sigmoid_option(ctx, n, &o->sigmoid));
    if (o->real)
        o->sigmoid = BLI_SIGMOID_REAL;
    o->temperature = (double)(float)bl_node_float(n, "temperature", 8);
    if (!(o->temperature > 0) || isinf(o->temperature))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute temperature: %g is not above zero", o->temperature);
    BLI_TRY(parse(ctx, n, s, o));
    if (!bli_alpha_auto(&o->alpha))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute alpha: it must be auto or auto_po2");
    return BL_OK;
}

/* ---- scales --------------------------------------------------------------------------------------------------- */
typedef struct coder {
    bl_dtype t;
    const bli_draws *draws; /* for use_stochastic_rounding */
    bool compares;          /* |x| >= scale / 2, else round(x / scale): they differ in ties only */
} coder;

/* Thirds of x / scale, up or down; half of the scale and more counts. */
static bool perturbed(const coder *o, double v, size_t i)
{
    return fabs(bli_draws_round(o->draws, i, bli_carry(o->t, v * 3))) >= 2;
}

static double code_at(const void *own, double x, double scale, size_t i)
{
    const coder *o = own;
    double v = bli_carry(o->t, x / scale);
    bool on = o->compares ? fabs(x) >= scale / 2 : o->draws->draw ? perturbed(o, v, i) : fabs(v) > 0.5;
    int band = on & (o->compares | (scale != 0));
    return ((x > 0) - (x < 0)) * band; /* signs are random: no branch */
}

/* The loop of scale and codes; codes belong to ch->old. */
static void resolve(const bli_call *c, const ternary *o, const coder *code, bli_channels *ch)
{
    bool po2 = o->alpha.kind == BLI_ALPHA_AUTO_PO2;
    bli_channels_max(&c->in[0], &ch->groups, ch->scale);
    for (size_t k = 0; k < ch->groups.count; k++) {
        ch->scale[k] = bli_carry(code->t, 2 * ch->scale[k] / 3);
        if (po2)
            ch->scale[k] = bli_qkeras_po2(ch->scale[k], code->t);
    }
    for (int64_t turn = 0; turn < o->unrolls; turn++) {
        for (size_t k = 0; k < ch->groups.count; k++)
            ch->old[k] = ch->scale[k];
        bli_least_squares(&c->in[0], ch, code_at, code, po2);
    }
}

/* ---- forward -------------------------------------------------------------------------------------------------- */
static void forward_number(const bli_call *c, const ternary *o)
{
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++) {
        double x = bli_value_get(&c->in[0], i);
        double y = fabs(x) >= o->threshold && x != 0 ? (x < 0 ? -o->alpha.value : o->alpha.value) : 0;
        bli_value_set(&c->out[0], i, y);
    }
}

static void forward_auto(const bli_call *c, const bli_quant_spec *s)
{
    const ternary *o = s->own;
    bli_draws d = bli_draws_make(c, s, o->perturb);
    coder code = {c->in[0].type, &d, false};
    bli_channels ch = bli_channels_place(c, s);
    resolve(c, o, &code, &ch);
    size_t n = bli_tensor_count(&c->in[0]);
    bli_group_walk walk = bli_group_first(&ch.groups);
    for (size_t i = 0; i < n; i++) {
        size_t k = bli_group_next(&walk);
        double q = code_at(&code, bli_value_get(&c->in[0], i), ch.old[k], i);
        bli_value_set(&c->out[0], i, ch.scale[k] * q + 0.0);
    }
}

/* Two draws, at x - T and x + T in units of the deviation. */
static double drawn(const ternary *o, const bli_draws *d, size_t i, double x, double scale, double deviation,
                    bl_dtype t)
{
    double unit = bli_carry(t, deviation + BLI_QKERAS_EPSILON), v = bli_carry(t, x / unit);
    double threshold = bli_carry(t, scale / bli_carry(t, 2 * unit));
    double low = bli_sigmoid_value(o->sigmoid, bli_carry(t, o->temperature * bli_carry(t, v - threshold)), t);
    double high = bli_sigmoid_value(o->sigmoid, bli_carry(t, o->temperature * bli_carry(t, v + threshold)), t);
    int q0 = low >= bli_draws_unit(&d->stream, d->first + i) ? 1 : -1;
    int q1 = high >= bli_draws_unit(&d->second, d->first + i) ? 1 : -1;
    return (q0 + q1) / 2;
}

static void forward_drawn(const bli_call *c, const bli_quant_spec *s, const bli_draws *d)
{
    const ternary *o = s->own;
    coder code = {c->in[0].type, d, true};
    bli_channels ch = bli_channels_place(c, s);
    resolve(c, o, &code, &ch);
    bli_channels_deviation(&c->in[0], &ch);
    size_t n = bli_tensor_count(&c->in[0]);
    bli_group_walk walk = bli_group_first(&ch.groups);
    for (size_t i = 0; i < n; i++) {
        size_t k = bli_group_next(&walk);
        double x = bli_value_get(&c->in[0], i);
        double q = isnan(x) ? 0 : drawn(o, d, i, x, ch.scale[k], ch.old[k], code.t);
        bli_value_set(&c->out[0], i, ch.scale[k] * q + 0.0);
    }
}

static bl_status ternary_forward(const bli_call *c, const bli_quant_spec *s)
{
    const ternary *o = s->own;
    bli_draws d = bli_draws_make(c, s, o->stochastic);
    if (!bli_alpha_auto(&o->alpha))
        forward_number(c, o);
    else if (d.draw)
        forward_drawn(c, s, &d);
    else
        forward_auto(c, s);
    return BL_OK;
}

static bl_status ternary_backward(const bli_call *c, const bli_quant_spec *s)
{
    const ternary *o = s->own;
    if (!c->grad_in[0].data)
        return BL_OK;
    if (o->alpha.kind == BLI_ALPHA_NONE)
        bli_tanh_gradient(c);
    else
        bli_pass_gradient(&c->grad_out[0], &c->grad_in[0]);
    return BL_OK;
}

static size_t ternary_scratch(const bli_call *c, const bli_quant_spec *s)
{
    const ternary *o = s->own;
    return bli_alpha_auto(&o->alpha) ? bli_channels_scratch(c, s) : 0;
}

static bool ternary_whole(const bli_quant_spec *s)
{
    const ternary *o = s->own;
    return bli_alpha_auto(&o->alpha);
}

static bl_status ternary_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    const ternary *o = s->own;
    if (!bli_alpha_auto(&o->alpha)) {
        *scale = o->alpha.value;
        return BL_OK;
    }
    bli_draws d = bli_draws_make(c, s, o->perturb);
    coder code = {c->in[0].type, &d, o->stochastic && c->training};
    bli_channels ch = bli_channels_place(c, s);
    resolve(c, o, &code, &ch);
    bli_channels_store(c, s, &ch, scale);
    return BL_OK;
}

static bool ternary_codes(const bli_quant_spec *s, bli_code_ends *ends)
{
    (void)s;
    *ends = (bli_code_ends){-1, 1, 1};
    return true;
}

static void ternary_range(bli_range_call *r, const bli_quant_spec *s)
{
    const ternary *o = s->own;
    int e;
    if (!bli_alpha_auto(&o->alpha) && frexp(o->alpha.value, &e) == 0.5)
        r->range_out[0] = (bli_range){true, e - 1, -o->alpha.value, o->alpha.value};
}

const bli_quantizer bli_quantizer_ternary = {
    .name = "ternary",
    .help = "-1, 0, +1 with a dead band and a scale: none, a number, or from the data",
    .source = BLI_QKERAS,
    .attrs = ternary_options,
    .setup = ternary_setup,
    .forward = ternary_forward,
    .backward = ternary_backward,
    .range = ternary_range,
    .scratch = ternary_scratch,
    .whole_tensor = ternary_whole,
    .scales = ternary_scales,
    .codes = ternary_codes,
};

const bli_quantizer bli_quantizer_stochastic_ternary = {
    .name = "stochastic_ternary",
    .help = "-1, 0, +1 drawn from two sigmoids",
    .source = BLI_QKERAS,
    .attrs = stochastic_options,
    .setup = stochastic_setup,
    .forward = ternary_forward,
    .backward = ternary_backward,
    .range = ternary_range,
    .scratch = ternary_scratch,
    .whole_tensor = ternary_whole,
    .scales = ternary_scales,
    .codes = ternary_codes,
};
