/* binary.c: QKeras' binary and stochastic_binary, bernoulli, and XNOR-Net's weights.
 *
 * binary: sign(x) (0 -> +1), or 0 and 1 with use_01, times alpha: 1, a number, or the least-squares scale of each
 * channel (auto; auto_po2 rounds it to a power of two).  Gradient: 1, and without alpha that of tanh, as QKeras has it.
 * use_stochastic_rounding perturbs x before the sign while training.
 * stochastic_binary, bernoulli: +1 (else -1, 0) with probability sigmoid(temperature * x / deviation); in evaluation
 * what binary gives.  QKeras' bernoulli draws in evaluation too; ours then takes the likelier value.  Gradient: 1.
 * xnor (arXiv:1603.05279): sign(w) * mean |w| per output channel; gradient dy * (1/n + mean |w| * [|w| <= 1]).
 * A parameter of rank 1 is one channel (QKeras' auto would give each element its own scale, which quantizes nothing).
 */
#include "op/quantizer/qkeras.h"

#include <string.h>

typedef struct binary {
    int64_t use_01, perturb, real;
    double temperature;
    bli_alpha alpha;
    bli_sigmoid sigmoid;
    bool stochastic; /* draws the sign itself */
} binary;

static const bli_attr_spec binary_options[] = {{"use_01", BL_ATTR_INT, false},
                                               {"alpha", BL_ATTR_STRING, false},
                                               {"use_stochastic_rounding", BL_ATTR_INT, false},
                                               {"scale_axis", BL_ATTR_INT, false},
                                               {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec stochastic_options[] = {
    {"alpha", BL_ATTR_STRING, false},   {"temperature", BL_ATTR_FLOAT, false}, {"use_real_sigmoid", BL_ATTR_INT, false},
    {"scale_axis", BL_ATTR_INT, false}, {"sigmoid", BL_ATTR_STRING, false},    {NULL, BL_ATTR_INT, false}};

static bl_status parse(bl_context *ctx, const bl_node *n, bli_quant_spec *s, binary *o)
{
    s->own = o;
    BLI_TRY(bli_alpha_parse(ctx, n, &o->alpha));
    if (bli_alpha_auto(&o->alpha) || o->perturb)
        BLI_TRY(bli_alpha_channels(ctx, n, s));
    return BL_OK;
}

static bl_status binary_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    binary *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    BLI_TRY(bli_option_int(ctx, n, "use_01", 0, 0, 1, &o->use_01));
    BLI_TRY(bli_option_int(ctx, n, "use_stochastic_rounding", 0, 0, 1, &o->perturb));
    return parse(ctx, n, s, o);
}

static bl_status stochastic_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    binary *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    o->stochastic = true;
    o->use_01 = s->quantizer == &bli_quantizer_bernoulli;
    BLI_TRY(bli_option_int(ctx, n, "use_real_sigmoid", 1, 0, 1, &o->real));
    BLI_TRY(bli_sigmoid_option(ctx, n, &o->sigmoid));
    if (o->real)
        o->sigmoid = BLI_SIGMOID_REAL;
    o->temperature = (double)(float)bl_node_float(n, "temperature", 6);
    if (!(o->temperature > 0) || isinf(o->temperature))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute temperature: %g is not above zero", o->temperature);
    return parse(ctx, n, s, o);
}

/* ---- codes and scales ----------------------------------------------------------------------------------------- */
static double code_of(const binary *o, double x)
{
    return 1 - (x < 0) * (o->use_01 ? 1 : 2); /* signs are random: no branch */
}

static double code_at(const void *own, double x, double scale, size_t i)
{
    (void)scale, (void)i;
    return code_of(own, x);
}

static void resolve(const bli_call *c, const binary *o, bli_channels *ch)
{
    if (bli_alpha_auto(&o->alpha)) {
        bli_least_squares(&c->in[0], ch, code_at, o, o->alpha.kind == BLI_ALPHA_AUTO_PO2);
        return;
    }
    for (size_t k = 0; k < ch->groups.count; k++)
        ch->scale[k] = o->alpha.value;
}

/* binary's stochastic rounding: x in units of 2 min(max |x|, 1), to eighths up or down. */
static double perturbed(const bli_draws *d, size_t i, double x, double greatest, bl_dtype t)
{
    double f = 2 * fmin(greatest, 1), v = f > 0 ? bli_carry(t, x / f) * 8 : 0;
    double r = bli_draws_round(d, i, v);
    if (r == 0)
        return bli_draws_unit(&d->second, d->first + i) < 0.5 ? -1 : 1;
    return r;
}

static double drawn(const binary *o, const bli_draws *d, size_t i, double x, double deviation, bl_dtype t)
{
    double at = bli_carry(t, bli_carry(t, o->temperature * x) / deviation);
    double p = bli_sigmoid_value(o->sigmoid, at, t), r = bli_draws_unit(&d->stream, d->first + i);
    return p >= r ? 1 : o->use_01 ? 0 : -1;
}

/* What the draws need of the data: deviations (alpha auto) or greatest magnitudes into ch->old. */
static void measure(const bli_call *c, const binary *o, bli_channels *ch)
{
    if (o->perturb)
        bli_channels_max(&c->in[0], &ch->groups, ch->old);
    else if (bli_alpha_auto(&o->alpha))
        bli_channels_deviation(&c->in[0], ch);
    for (size_t k = 0; k < ch->groups.count; k++) {
        if (!o->perturb && bli_alpha_auto(&o->alpha))
            ch->old[k] = bli_carry(c->in[0].type, ch->old[k] + BLI_QKERAS_EPSILON);
        else if (!o->perturb)
            ch->old[k] = 1;
    }
}

static double code_in_training(const binary *o, const bli_draws *d, size_t i, double x, double measured, bl_dtype t)
{
    if (isnan(x))
        return 1;
    if (o->stochastic)
        return drawn(o, d, i, x, measured, t);
    return code_of(o, perturbed(d, i, x, measured, t));
}

static bl_status binary_forward(const bli_call *c, const bli_quant_spec *s)
{
    const binary *o = s->own;
    bli_channels ch = bli_channels_place(c, s);
    resolve(c, o, &ch);
    bli_draws d = bli_draws_make(c, s, o->stochastic || o->perturb);
    if (!d.draw) {
        if (!bli_alpha_auto(&o->alpha))
            ch.groups = (bli_groups){1, 1}; /* all scales are equal */
        bli_channels_sign(c, &ch, o->use_01 ? 0 : -1);
        return BL_OK;
    }
    measure(c, o, &ch);
    size_t n = bli_tensor_count(&c->in[0]);
    bli_group_walk walk = bli_group_first(&ch.groups);
    for (size_t i = 0; i < n; i++) {
        size_t k = bli_group_next(&walk);
        double x = bli_value_get(&c->in[0], i);
        double q = code_in_training(o, &d, i, x, ch.old[k], c->in[0].type);
        bli_value_set(&c->out[0], i, ch.scale[k] * q);
    }
    return BL_OK;
}

static bl_status binary_backward(const bli_call *c, const bli_quant_spec *s)
{
    const binary *o = s->own;
    if (!c->grad_in[0].data)
        return BL_OK;
    if (o->alpha.kind == BLI_ALPHA_NONE && !o->stochastic)
        bli_tanh_gradient(c);
    else
        bli_pass_gradient(&c->grad_out[0], &c->grad_in[0]);
    return BL_OK;
}

static bl_status binary_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    bli_channels ch = bli_channels_place(c, s);
    resolve(c, s->own, &ch);
    bli_channels_store(c, s, &ch, scale);
    return BL_OK;
}

static bool binary_codes(const bli_quant_spec *s, bli_code_ends *ends)
{
    const binary *o = s->own;
    *ends = (bli_code_ends){o->use_01 ? 0 : -1, 1, 1};
    return true;
}

static bool binary_whole(const bli_quant_spec *s)
{
    const binary *o = s->own;
    return bli_alpha_auto(&o->alpha) || o->perturb;
}

static void binary_range(bli_range_call *r, const bli_quant_spec *s)
{
    const binary *o = s->own;
    int e;
    if (!bli_alpha_auto(&o->alpha) && frexp(o->alpha.value, &e) == 0.5)
        r->range_out[0] = (bli_range){true, e - 1, o->use_01 ? 0 : -o->alpha.value, o->alpha.value};
}

/* ---- XNOR-Net ------------------------------------------------------------------------------------------------- */
static void mean_magnitudes(const bl_tensor *x, bli_channels *ch)
{
    const bli_groups *g = &ch->groups;
    size_t n = bli_tensor_count(x);
    double per = (double)n / (double)g->count;
    memset(ch->a, 0, g->count * sizeof(*ch->a));
    bli_group_walk walk = bli_group_first(g);
    for (size_t i = 0; i < n; i++)
        ch->a[bli_group_next(&walk)] += bli_finite_magnitude(bli_value_get(x, i));
    for (size_t k = 0; k < g->count; k++)
        ch->scale[k] = bli_carry(x->type, ch->a[k] / per);
}

static bl_status xnor_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    (void)arena;
    return bli_alpha_channels(ctx, n, s);
}

static bl_status xnor_forward(const bli_call *c, const bli_quant_spec *s)
{
    bli_channels ch = bli_channels_place(c, s);
    mean_magnitudes(&c->in[0], &ch);
    bli_channels_sign(c, &ch, -1);
    return BL_OK;
}

static bl_status xnor_backward(const bli_call *c, const bli_quant_spec *s)
{
    if (!c->grad_in[0].data)
        return BL_OK;
    bli_channels ch = bli_channels_place(c, s);
    mean_magnitudes(&c->in[0], &ch);
    size_t n = bli_tensor_count(&c->in[0]);
    double share = (double)ch.groups.count / (double)n;
    bli_group_walk walk = bli_group_first(&ch.groups);
    for (size_t i = 0; i < n; i++) {
        size_t group = bli_group_next(&walk);
        bool inside = fabs(bli_value_get(&c->in[0], i)) <= 1;
        double factor = share + (inside ? ch.scale[group] : 0);
        bli_value_set(&c->grad_in[0], i, bli_value_get(&c->grad_out[0], i) * factor);
    }
    return BL_OK;
}

static bl_status xnor_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    bli_channels ch = bli_channels_place(c, s);
    mean_magnitudes(&c->in[0], &ch);
    bli_channels_store(c, s, &ch, scale);
    return BL_OK;
}

static bool sign_codes(const bli_quant_spec *s, bli_code_ends *ends)
{
    (void)s;
    *ends = (bli_code_ends){-1, 1, 1};
    return true;
}

static bool always(const bli_quant_spec *s)
{
    (void)s;
    return true;
}

const bli_quantizer bli_quantizer_xnor = {
    .name = "xnor",
    .help = "sign times the mean magnitude of each output channel",
    .source = "arXiv:1603.05279",
    .setup = xnor_setup,
    .forward = xnor_forward,
    .backward = xnor_backward,
    .scratch = bli_channels_scratch,
    .whole_tensor = always,
    .scales = xnor_scales,
    .codes = sign_codes,
};

const bli_quantizer bli_quantizer_binary = {
    .name = "binary",
    .help = "sign with a scale: none, a number, or from the data",
    .source = BLI_QKERAS,
    .attrs = binary_options,
    .setup = binary_setup,
    .forward = binary_forward,
    .backward = binary_backward,
    .range = binary_range,
    .scratch = bli_channels_scratch,
    .whole_tensor = binary_whole,
    .scales = binary_scales,
    .codes = binary_codes,
};

const bli_quantizer bli_quantizer_stochastic_binary = {
    .name = "stochastic_binary",
    .help = "+1 with probability sigmoid(temperature x), else -1",
    .source = BLI_QKERAS,
    .attrs = stochastic_options,
    .setup = stochastic_setup,
    .forward = binary_forward,
    .backward = binary_backward,
    .range = binary_range,
    .scratch = bli_channels_scratch,
    .whole_tensor = binary_whole,
    .scales = binary_scales,
    .codes = binary_codes,
};

const bli_quantizer bli_quantizer_bernoulli = {
    .name = "bernoulli",
    .help = "1 with probability sigmoid(temperature x), else 0",
    .source = BLI_QKERAS,
    .attrs = stochastic_options,
    .setup = stochastic_setup,
    .forward = binary_forward,
    .backward = binary_backward,
    .range = binary_range,
    .scratch = bli_channels_scratch,
    .whole_tensor = binary_whole,
    .scales = binary_scales,
    .codes = binary_codes,
};
