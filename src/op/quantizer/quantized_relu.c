/* quantized_relu.c: QKeras' quantized_relu.
 *
 * Plain: ufixed<bits, integer> with ties to even, saturating.  With a negative slope (a power of two) one bit is the
 * sign, and negative values lie on the slope.  use_sigmoid rounds 2 sigmoid(x / 2^integer) - 1 instead of x.
 * Gradient: that of relu (leaky with a slope), and none above the greatest value (is_quantized_clip, the default),
 * above relu_upper_bound, or nowhere, in that order of precedence. QKeras rounds stochastically to halves of a step
 * here and keeps a relu_upper_bound that lies between two values; ours rounds to the step and takes the bound's next
 * value below.
 */
#include "op/quantizer/qkeras.h"

typedef struct relu_options {
    int64_t bits, integer, use_sigmoid, stochastic, clip;
    double slope, bound; /* bound: infinity when absent */
    bli_sigmoid sigmoid;
    bool plain; /* the format says it all */
    bl_format format;
    double m, m_i, step, pass; /* 2^(bits without sign), 2^integer; gradient up to pass */
} relu_options;

static const bli_attr_spec options[] = {{"bits", BL_ATTR_INT, false},
                                        {"integer", BL_ATTR_INT, false},
                                        {"use_sigmoid", BL_ATTR_INT, false},
                                        {"negative_slope", BL_ATTR_FLOAT, false},
                                        {"use_stochastic_rounding", BL_ATTR_INT, false},
                                        {"relu_upper_bound", BL_ATTR_FLOAT, false},
                                        {"is_quantized_clip", BL_ATTR_INT, false},
                                        {"sigmoid", BL_ATTR_STRING, false},
                                        {NULL, BL_ATTR_INT, false}};

static bl_status parse(bl_context *ctx, const bl_node *n, relu_options *o)
{
    BLI_TRY(bli_option_int(ctx, n, "bits", 8, 1, 32, &o->bits));
    BLI_TRY(bli_option_int(ctx, n, "integer", 0, -32, 32, &o->integer));
    BLI_TRY(bli_option_int(ctx, n, "use_sigmoid", 0, 0, 1, &o->use_sigmoid));
    BLI_TRY(bli_option_int(ctx, n, "use_stochastic_rounding", 0, 0, 1, &o->stochastic));
    BLI_TRY(bli_option_int(ctx, n, "is_quantized_clip", 1, 0, 1, &o->clip));
    BLI_TRY(bli_slope_option(ctx, n, &o->slope));
    BLI_TRY(bli_sigmoid_option(ctx, n, &o->sigmoid));
    o->bound = bl_node_float(n, "relu_upper_bound", INFINITY);
    if (!(o->bound > 0))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute relu_upper_bound: %g is not above zero", o->bound);
    if (o->slope != 0 && o->bits < 2)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute bits: a negative slope needs at least 2");
    return BL_OK;
}

static bl_status relu_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    relu_options *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    s->own = o;
    BLI_TRY(parse(ctx, n, o));
    int magnitude = (int)o->bits - (o->slope != 0);
    o->m = ldexp(1, magnitude);
    o->m_i = ldexp(1, (int)o->integer);
    o->step = o->m_i / o->m;
    o->pass = o->clip ? o->m_i - o->step : (double)(float)o->bound;
    o->bound = o->clip ? INFINITY : floor((double)(float)o->bound / o->step) * o->step;
    o->plain = o->slope == 0 && !o->use_sigmoid && isinf(o->bound);
    o->format = (bl_format){.kind = BL_FORMAT_FIXED,
                            .bits = (int)o->bits,
                            .integer = (int)o->integer,
                            .rounding = o->stochastic ? BL_STOCHASTIC : BL_RND_CONV,
                            .overflow = BL_SAT};
    return BL_OK;
}

static double clip(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static double value(const relu_options *o, const bli_draws *d, bl_dtype t, size_t i, double x)
{
    double y, below = 0, unit = 1 / (o->slope * o->m);
    if (o->use_sigmoid) {
        double p = bli_sigmoid_value(o->sigmoid, x / o->m_i, t) * o->m;
        y = clip(2 * (bli_draws_round(d, i, p) / o->m) - 1, 0, 1 - 1 / o->m);
        if (o->slope > 0)
            below = clip(2 * (bli_draws_round(d, i, p * o->slope) * unit) - 1, -1, 0);
    } else {
        double p = x * o->m / o->m_i;
        y = clip(bli_draws_round(d, i, p) / o->m, 0, 1 - 1 / o->m);
        if (o->slope > 0)
            below = clip(bli_draws_round(d, i, p * o->slope) * unit, -1, 0);
    }
    return fmin(o->m_i * y + o->m_i * o->slope * below, o->bound) + 0.0;
}

static bl_status relu_forward(const bli_call *c, const bli_quant_spec *s)
{
    const relu_options *o = s->own;
    bli_draws d = bli_draws_make(c, s, o->stochastic);
    size_t n = bli_tensor_count(&c->in[0]);
    const bli_stream *rng = d.draw ? &d.stream : NULL;
    if (o->plain && c->in[0].type == BL_F64) {
        bli_quantize_f64(&o->format, 1, 0, rng, d.first, c->in[0].data, c->out[0].data, n, c->isa);
        return BL_OK;
    }
    if (o->plain) {
        bli_quantize_f32(&o->format, 1, 0, rng, d.first, c->in[0].data, c->out[0].data, n, c->isa);
        return BL_OK;
    }
    for (size_t i = 0; i < n; i++) {
        double x = bli_value_get(&c->in[0], i);
        bli_value_set(&c->out[0], i, isnan(x) ? 0 : value(o, &d, c->in[0].type, i, x));
    }
    return BL_OK;
}

static bl_status relu_backward(const bli_call *c, const bli_quant_spec *s)
{
    const relu_options *o = s->own;
    if (c->grad_in[0].data)
        bli_relu_gradient(c, o->slope, o->pass);
    return BL_OK;
}

static bl_status relu_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    const relu_options *o = s->own;
    (void)c;
    *scale = o->slope > 0 ? fmin(o->step, o->slope * o->m_i) : o->step;
    return BL_OK;
}

static void relu_range(bli_range_call *r, const bli_quant_spec *s)
{
    const relu_options *o = s->own;
    int e;
    double step;
    (void)relu_scales(NULL, s, &step);
    if (o->use_sigmoid)
        step *= o->slope > 0 ? o->slope : 1;
    (void)frexp(step, &e);
    r->range_out[0] = (bli_range){true, e - 1, -o->slope * o->m_i, fmin(o->m_i - o->step, o->bound)};
}

const bli_quantizer bli_quantizer_quantized_relu = {
    .name = "quantized_relu",
    .help = "relu into unsigned fixed point; leaky with a power-of-two slope",
    .source = BLI_QKERAS,
    .attrs = options,
    .setup = relu_setup,
    .forward = relu_forward,
    .backward = relu_backward,
    .range = relu_range,
    .scales = relu_scales,
};
