/* quantized_po2.c: QKeras' quantized_po2 and quantized_relu_po2.
 *
 * y = sign(x) * 2^clip(round(log2 |x|)): the exponent is rounded, so that the border between 2^e and 2^(e+1) is
 * sqrt(2) * 2^e; below epsilon (1e-7) it is the least.  max_value caps |x| before the logarithm (and, up to 1, frees
 * the exponent's sign bit); quadratic_approximation rounds the logarithm of sqrt |x| and doubles it; log2_rounding is
 * "rnd" or "floor"; a stochastic exponent keeps the mean.  There is no zero.  Gradient: quantized_po2 the identity,
 * quantized_relu_po2 that of relu (leaky with a slope) up to max_value.
 * QKeras takes float32 logarithms, which near a border fall on either side; here the border is exact, and an exact tie
 * (quadratic, x = 2^odd) goes to the even exponent.  Exponents stay within those of normal float32 numbers.
 */
#include "op/quantizer/qkeras.h"

#include <string.h>

enum { LEAST_EXPONENT = -126, GREATEST_EXPONENT = 127 };

typedef struct po2 {
    int64_t bits, stochastic, quadratic;
    double max_value; /* infinity when absent */
    double slope;
    bool floors;
    double least, greatest; /* exponents */
} po2;

static const bli_attr_spec po2_options[] = {{"bits", BL_ATTR_INT, false},
                                            {"max_value", BL_ATTR_FLOAT, false},
                                            {"use_stochastic_rounding", BL_ATTR_INT, false},
                                            {"quadratic_approximation", BL_ATTR_INT, false},
                                            {"log2_rounding", BL_ATTR_STRING, false},
                                            {NULL, BL_ATTR_INT, false}};
static const bli_attr_spec relu_options[] = {{"bits", BL_ATTR_INT, false},
                                             {"max_value", BL_ATTR_FLOAT, false},
                                             {"negative_slope", BL_ATTR_FLOAT, false},
                                             {"use_stochastic_rounding", BL_ATTR_INT, false},
                                             {"quadratic_approximation", BL_ATTR_INT, false},
                                             {"log2_rounding", BL_ATTR_STRING, false},
                                             {NULL, BL_ATTR_INT, false}};

static bl_status parse(bl_context *ctx, const bl_node *n, po2 *o, int sign)
{
    BLI_TRY(bli_option_int(ctx, n, "bits", 8, 1 + sign, 12, &o->bits));
    BLI_TRY(bli_option_int(ctx, n, "use_stochastic_rounding", 0, 0, 1, &o->stochastic));
    BLI_TRY(bli_option_int(ctx, n, "quadratic_approximation", 0, 0, 1, &o->quadratic));
    BLI_TRY(bli_slope_option(ctx, n, &o->slope));
    o->max_value = (double)(float)bl_node_float(n, "max_value", INFINITY);
    if (!(o->max_value > 0))
        return bli_fail(ctx, BL_BAD_VALUE, "attribute max_value: %g is not above zero", o->max_value);
    const char *rounding = bl_node_string(n, "log2_rounding", "rnd");
    o->floors = strcmp(rounding, "floor") == 0;
    if (!o->floors && strcmp(rounding, "rnd") != 0)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute log2_rounding: '%s' is neither rnd nor floor", rounding);
    int exponent_bits = (int)o->bits - sign - (o->max_value > 1);
    if (exponent_bits < 0)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute bits: %d leave none for the exponent", (int)o->bits);
    o->least = -ldexp(1, exponent_bits);
    o->greatest = ldexp(1, exponent_bits) - 1;
    if (o->quadratic)
        o->greatest = 2 * floor(o->greatest / 2);
    return BL_OK;
}

static bl_status setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s, int sign)
{
    po2 *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    s->own = o;
    return parse(ctx, n, o, sign);
}

static bl_status po2_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    return setup(ctx, n, arena, s, 1);
}

static bl_status relu_po2_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    return setup(ctx, n, arena, s, 0);
}

/* round(log2(sqrt v)): log2 v is e + f with 0 <= f < 1; borders are at odd e, f = 0, where the even half wins. */
static double half_exponent(double v)
{
    int e;
    double m = frexp(v, &e);
    e--; /* v = 2m * 2^e, 1 <= 2m < 2 */
    double half = e / 2.0;
    return e % 2 == 0 ? half : m == 0.5 ? nearbyint(half) : ceil(half);
}

static double floor_exponent(double v)
{
    int e;
    (void)frexp(v, &e);
    return e - 1;
}

/* Between 2^e and 2^(e+1), up with the fraction's probability: the mean stays. */
static double drawn_exponent(const bli_draws *d, size_t i, double v)
{
    double e = floor_exponent(v), fraction = v / ldexp(1, (int)e) - 1;
    return bli_draws_unit(&d->stream, d->first + i) < fraction ? e + 1 : e;
}

static double exponent(const po2 *o, const bli_draws *d, size_t i, double magnitude)
{
    if (magnitude < BLI_QKERAS_EPSILON || isnan(magnitude))
        return fmax(o->least, LEAST_EXPONENT);
    double v = fmin(magnitude, o->max_value);
    if (isinf(v))
        v = ldexp(1, GREATEST_EXPONENT);
    double e;
    if (o->floors)
        e = o->quadratic ? floor(floor_exponent(v) / 2) : floor_exponent(v);
    else if (d->draw)
        e = drawn_exponent(d, i, o->quadratic ? sqrt(v) : v);
    else
        e = o->quadratic ? half_exponent(v) : bli_nearest_exponent(v);
    e = (o->quadratic ? 2 : 1) * fmin(fmax(e, o->least), o->greatest);
    return fmin(fmax(e, LEAST_EXPONENT), GREATEST_EXPONENT);
}

static bl_status po2_forward(const bli_call *c, const bli_quant_spec *s)
{
    const po2 *o = s->own;
    bli_draws d = bli_draws_make(c, s, o->stochastic && !o->floors);
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++) {
        double x = bli_value_get(&c->in[0], i), y = ldexp(1, (int)exponent(o, &d, i, fabs(x)));
        bli_value_set(&c->out[0], i, x < 0 ? -y : y);
    }
    return BL_OK;
}

static bl_status po2_backward(const bli_call *c, const bli_quant_spec *s)
{
    (void)s;
    if (c->grad_in[0].data)
        bli_pass_gradient(&c->grad_out[0], &c->grad_in[0]);
    return BL_OK;
}

static bl_status relu_po2_forward(const bli_call *c, const bli_quant_spec *s)
{
    const po2 *o = s->own;
    bli_draws d = bli_draws_make(c, s, o->stochastic && !o->floors);
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++) {
        double x = bli_value_get(&c->in[0], i);
        bool negative = x < 0 && o->slope > 0;
        double magnitude = negative ? -x * o->slope : x > 0 ? x : 0;
        double y = ldexp(1, (int)exponent(o, &d, i, magnitude));
        bli_value_set(&c->out[0], i, negative ? -y : y);
    }
    return BL_OK;
}

static bl_status relu_po2_backward(const bli_call *c, const bli_quant_spec *s)
{
    const po2 *o = s->own;
    if (c->grad_in[0].data)
        bli_relu_gradient(c, o->slope, o->max_value);
    return BL_OK;
}

/* On a grid while the exponents' span is one that a sum of products could hold. */
static void range(bli_range_call *r, const bli_quant_spec *s, bool negative)
{
    const po2 *o = s->own;
    double least = fmax((o->quadratic ? 2 : 1) * o->least, LEAST_EXPONENT);
    double greatest = fmin((o->quadratic ? 2 : 1) * o->greatest, GREATEST_EXPONENT);
    double top = ldexp(1, (int)greatest);
    if (greatest - least <= 64)
        r->range_out[0] = (bli_range){true, (int)least, negative ? -top : 0, top};
}

static void po2_range(bli_range_call *r, const bli_quant_spec *s)
{
    range(r, s, true);
}

static void relu_po2_range(bli_range_call *r, const bli_quant_spec *s)
{
    const po2 *o = s->own;
    range(r, s, o->slope > 0);
}

static bl_status po2_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    (void)c, (void)s;
    *scale = 1;
    return BL_OK;
}

const bli_quantizer bli_quantizer_quantized_po2 = {
    .name = "quantized_po2",
    .help = "sign and the nearest power of two",
    .source = BLI_QKERAS,
    .attrs = po2_options,
    .setup = po2_setup,
    .forward = po2_forward,
    .backward = po2_backward,
    .range = po2_range,
    .scales = po2_scales,
};

const bli_quantizer bli_quantizer_quantized_relu_po2 = {
    .name = "quantized_relu_po2",
    .help = "relu into powers of two",
    .source = BLI_QKERAS,
    .attrs = relu_options,
    .setup = relu_po2_setup,
    .forward = relu_po2_forward,
    .backward = relu_po2_backward,
    .range = relu_po2_range,
    .scales = po2_scales,
};
