/* quantized_tanh.c: QKeras' quantized_tanh and quantized_sigmoid.
 *
 * y = clip(round(p(x) * m) / m, low, 1 - 1 / m), m = 2^(bits - 1) for tanh and 2^bits for the sigmoid, ties to even.
 * p is the real function, or (the default) the internal sigmoid s: hard clip(x/2 + 1/2), smooth clip(3x/16 + 1/2) or
 * real; tanh is then 2 s(x) - 1.  Gradient: p's own, and none where the clip was at work.
 */
#include "num/functions.h"
#include "op/quantizer/qkeras.h"

typedef struct squash {
    int64_t bits, stochastic, symmetric, real;
    bli_sigmoid sigmoid;
    double m, lo, hi;
} squash;

static const bli_attr_spec tanh_options[] = {
    {"bits", BL_ATTR_INT, false},       {"use_stochastic_rounding", BL_ATTR_INT, false},
    {"symmetric", BL_ATTR_INT, false},  {"use_real_tanh", BL_ATTR_INT, false},
    {"sigmoid", BL_ATTR_STRING, false}, {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec sigmoid_options[] = {{"bits", BL_ATTR_INT, false},
                                                {"symmetric", BL_ATTR_INT, false},
                                                {"use_real_sigmoid", BL_ATTR_INT, false},
                                                {"use_stochastic_rounding", BL_ATTR_INT, false},
                                                {"sigmoid", BL_ATTR_STRING, false},
                                                {NULL, BL_ATTR_INT, false}};

static bl_status parse(bl_context *ctx, const bl_node *n, bli_arena *arena, const char *real, int sign,
                       bli_quant_spec *s)
{
    squash *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    s->own = o;
    BLI_TRY(bli_option_int(ctx, n, "bits", 8, 1, 22, &o->bits));
    BLI_TRY(bli_option_int(ctx, n, "use_stochastic_rounding", 0, 0, 1, &o->stochastic));
    BLI_TRY(bli_option_int(ctx, n, "symmetric", 0, 0, 1, &o->symmetric));
    BLI_TRY(bli_option_int(ctx, n, real, 0, 0, 1, &o->real));
    BLI_TRY(bli_sigmoid_option(ctx, n, &o->sigmoid));
    o->m = ldexp(1, (int)o->bits - sign);
    o->lo = (sign ? -1 : 0) + (double)o->symmetric / o->m;
    o->hi = 1 - 1 / o->m;
    return BL_OK;
}

static bl_status tanh_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    return parse(ctx, n, arena, "use_real_tanh", 1, s);
}

static bl_status sigmoid_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    return parse(ctx, n, arena, "use_real_sigmoid", 0, s);
}

/* ---- p and its slope ------------------------------------------------------------------------------------------ */
static double tanh_value(const squash *o, double x, bl_dtype t)
{
    if (o->real)
        return bli_carry(t, bli_fn_tanh(x));
    return bli_carry(t, 2 * bli_sigmoid_value(o->sigmoid, x, t) - 1);
}

static double tanh_slope(const squash *o, double x, bl_dtype t)
{
    double y = tanh_value(o, x, t);
    return o->real ? bli_carry(t, 1 - y * y) : 2 * bli_sigmoid_slope(o->sigmoid, x, t);
}

static double sigmoid_value(const squash *o, double x, bl_dtype t)
{
    return bli_sigmoid_value(o->real ? BLI_SIGMOID_REAL : o->sigmoid, x, t);
}

static double sigmoid_slope(const squash *o, double x, bl_dtype t)
{
    return bli_sigmoid_slope(o->real ? BLI_SIGMOID_REAL : o->sigmoid, x, t);
}

typedef double (*curve)(const squash *o, double x, bl_dtype t);

/* ---- both ----------------------------------------------------------------------------------------------------- */
static double rounded(const squash *o, const bli_draws *d, size_t i, double p)
{
    return bli_draws_round(d, i, p * o->m) / o->m;
}

static bl_status forward(const bli_call *c, const bli_quant_spec *s, curve p)
{
    const squash *o = s->own;
    bli_draws d = bli_draws_make(c, s, o->stochastic);
    bl_dtype t = c->in[0].type;
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++) {
        double x = bli_value_get(&c->in[0], i), y = rounded(o, &d, i, p(o, isnan(x) ? 0 : x, t));
        bli_value_set(&c->out[0], i, fmin(fmax(y, o->lo), o->hi) + 0.0);
    }
    return BL_OK;
}

static bl_status backward(const bli_call *c, const bli_quant_spec *s, curve p, curve slope)
{
    const squash *o = s->own;
    bli_draws d = bli_draws_make(c, s, o->stochastic);
    bl_dtype t = c->in[0].type;
    size_t n = c->grad_in[0].data ? bli_tensor_count(&c->in[0]) : 0;
    for (size_t i = 0; i < n; i++) {
        double x = bli_value_get(&c->in[0], i), y = rounded(o, &d, i, p(o, x, t));
        double dy = bli_value_get(&c->grad_out[0], i);
        bli_value_set(&c->grad_in[0], i, y >= o->lo && y <= o->hi ? dy * slope(o, x, t) : 0);
    }
    return BL_OK;
}

static bl_status tanh_forward(const bli_call *c, const bli_quant_spec *s)
{
    return forward(c, s, tanh_value);
}

static bl_status tanh_backward(const bli_call *c, const bli_quant_spec *s)
{
    return backward(c, s, tanh_value, tanh_slope);
}

static bl_status sigmoid_forward(const bli_call *c, const bli_quant_spec *s)
{
    return forward(c, s, sigmoid_value);
}

static bl_status sigmoid_backward(const bli_call *c, const bli_quant_spec *s)
{
    return backward(c, s, sigmoid_value, sigmoid_slope);
}

static bl_status squash_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    const squash *o = s->own;
    (void)c;
    *scale = 1 / o->m;
    return BL_OK;
}

static void squash_range(bli_range_call *r, const bli_quant_spec *s)
{
    const squash *o = s->own;
    int e;
    (void)frexp(1 / o->m, &e);
    r->range_out[0] = (bli_range){true, e - 1, o->lo, o->hi};
}

const bli_quantizer bli_quantizer_quantized_tanh = {
    .name = "quantized_tanh",
    .help = "tanh into signed fixed point of [-1, 1)",
    .source = BLI_QKERAS,
    .attrs = tanh_options,
    .setup = tanh_setup,
    .forward = tanh_forward,
    .backward = tanh_backward,
    .range = squash_range,
    .scales = squash_scales,
};

const bli_quantizer bli_quantizer_quantized_sigmoid = {
    .name = "quantized_sigmoid",
    .help = "sigmoid into unsigned fixed point of [0, 1)",
    .source = BLI_QKERAS,
    .attrs = sigmoid_options,
    .setup = sigmoid_setup,
    .forward = sigmoid_forward,
    .backward = sigmoid_backward,
    .range = squash_range,
    .scales = squash_scales,
};
