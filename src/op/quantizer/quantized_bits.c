/* quantized_bits.c: QKeras' quantized_bits.
 *
 * Without alpha: fixed<bits, integer + keep_negative> with ties to even, saturating (symmetric if asked); one bit is
 * the sign.  A number alpha multiplies that.  alpha auto and auto_po2 put 2^(bits-1) - 1 symmetric levels on a scale
 * from the data, one per channel.  Gradient: the identity, as QKeras has it (x + stop_gradient(q - x) clips nothing).
 */
#include "op/quantizer/qkeras.h"

typedef struct bits_options {
    int64_t bits, integer, symmetric, keep_negative, stochastic;
    bli_alpha alpha;
    double half;      /* auto: the greatest code */
    bl_format format; /* without auto */
    bool sign;        /* one bit: the sign */
} bits_options;

static const bli_attr_spec options[] = {
    {"bits", BL_ATTR_INT, false},       {"integer", BL_ATTR_INT, false},
    {"symmetric", BL_ATTR_INT, false},  {"keep_negative", BL_ATTR_INT, false},
    {"alpha", BL_ATTR_STRING, false},   {"use_stochastic_rounding", BL_ATTR_INT, false},
    {"scale_axis", BL_ATTR_INT, false}, {NULL, BL_ATTR_INT, false}};

static bl_status parse(bl_context *ctx, const bl_node *n, bits_options *o)
{
    BLI_TRY(bli_option_int(ctx, n, "bits", 8, 1, 32, &o->bits));
    BLI_TRY(bli_option_int(ctx, n, "integer", 0, -32, 32, &o->integer));
    BLI_TRY(bli_option_int(ctx, n, "symmetric", 0, 0, 1, &o->symmetric));
    BLI_TRY(bli_option_int(ctx, n, "keep_negative", 1, 0, 1, &o->keep_negative));
    BLI_TRY(bli_option_int(ctx, n, "use_stochastic_rounding", 0, 0, 1, &o->stochastic));
    return bli_alpha_parse(ctx, n, &o->alpha);
}

static bl_status bits_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    bits_options *o = bli_arena_alloc(arena, sizeof(*o));
    if (!o)
        return BL_NO_MEMORY;
    s->own = o;
    BLI_TRY(parse(ctx, n, o));
    o->half = ldexp(1, (int)o->bits - 1) - 1;
    o->sign = o->bits - o->keep_negative == 0;
    o->format = (bl_format){.kind = BL_FORMAT_FIXED,
                            .is_signed = o->keep_negative,
                            .bits = (int)o->bits,
                            .integer = (int)(o->integer + o->keep_negative),
                            .rounding = o->stochastic ? BL_STOCHASTIC : BL_RND_CONV,
                            .overflow = o->symmetric && o->keep_negative ? BL_SAT_SYM : BL_SAT};
    if (!bli_alpha_auto(&o->alpha))
        return BL_OK;
    if (o->bits < 2 || o->bits > 24)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute bits: %d, but alpha auto needs 2 to 24", (int)o->bits);
    return bli_alpha_channels(ctx, n, s);
}

/* ---- alpha from the data -------------------------------------------------------------------------------------- */
typedef struct auto_code {
    double half; /* greatest code */
    bl_dtype t;
} auto_code;

/* z: floor(|x| / scale + 0.5) up to half, with x's sign. */
static double code_at(const void *own, double x, double scale, size_t i)
{
    const auto_code *o = own;
    (void)i;
    double v = scale > 0 ? bli_carry(o->t, bli_carry(o->t, fabs(x) / scale) + 0.5) : 0;
    v = v < o->half ? (double)(int64_t)v : v == v ? o->half : 0; /* the floor of what is not negative; NaN: 0 */
    return copysign(v, x);
}

/* Scales into ch->scale; the codes belong to ch->old.  QKeras divides x by 2^integer first, which only matters where
 * its epsilon comes in. */
static auto_code resolve(const bli_call *c, const bits_options *o, bli_channels *ch)
{
    bl_dtype t = c->in[0].type;
    double m_i = ldexp(1, (int)o->integer);
    auto_code a = {o->half, t};
    bli_channels_max(&c->in[0], &ch->groups, ch->scale);
    for (size_t k = 0; k < ch->groups.count; k++) {
        ch->scale[k] = bli_carry(t, 2 * ch->scale[k] / (2 * o->half));
        if (o->alpha.kind == BLI_ALPHA_AUTO_PO2)
            ch->scale[k] = bli_qkeras_po2(ch->scale[k] / m_i, t) * m_i;
        ch->old[k] = ch->scale[k];
    }
    for (int turn = 0; o->alpha.kind == BLI_ALPHA_AUTO_PO2 && turn < 5; turn++) {
        for (size_t k = 0; k < ch->groups.count; k++)
            ch->old[k] = ch->scale[k];
        bli_least_squares(&c->in[0], ch, code_at, &a, false);
        for (size_t k = 0; k < ch->groups.count; k++)
            ch->scale[k] = bli_qkeras_po2(ch->scale[k] / m_i, t) * m_i;
    }
    return a;
}

static void forward_auto(const bli_call *c, const bli_quant_spec *s)
{
    const bits_options *o = s->own;
    bli_channels ch = bli_channels_place(c, s);
    auto_code a = resolve(c, o, &ch);
    size_t n = bli_tensor_count(&c->in[0]);
    bli_group_walk walk = bli_group_first(&ch.groups);
    for (size_t i = 0; i < n; i++) {
        size_t k = bli_group_next(&walk);
        bli_value_set(&c->out[0], i, ch.scale[k] * code_at(&a, bli_value_get(&c->in[0], i), ch.old[k], i) + 0.0);
    }
}

/* ---- fixed scale ----------------------------------------------------------------------------------------------- */
static void forward_sign(const bli_call *c, double alpha)
{
    size_t n = bli_tensor_count(&c->in[0]);
    for (size_t i = 0; i < n; i++)
        bli_value_set(&c->out[0], i, bli_value_get(&c->in[0], i) < 0 ? -alpha : alpha);
}

static bl_status bits_forward(const bli_call *c, const bli_quant_spec *s)
{
    const bits_options *o = s->own;
    size_t n = bli_tensor_count(&c->in[0]);
    if (bli_alpha_auto(&o->alpha)) {
        forward_auto(c, s);
        return BL_OK;
    }
    if (o->sign) {
        forward_sign(c, o->alpha.value);
        return BL_OK;
    }
    bli_stream stream = bli_quant_stream(c);
    const bli_stream *rng = o->stochastic && c->training ? &stream : NULL;
    uint64_t first = bli_quant_first(c, s);
    if (c->in[0].type == BL_F64)
        bli_quantize_f64(&o->format, 1, 0, rng, first, c->in[0].data, c->out[0].data, n, c->isa);
    else
        bli_quantize_f32(&o->format, 1, 0, rng, first, c->in[0].data, c->out[0].data, n, c->isa);
    for (size_t i = 0; o->alpha.value != 1 && i < n; i++)
        bli_value_set(&c->out[0], i, o->alpha.value * bli_value_get(&c->out[0], i));
    return BL_OK;
}

static bl_status bits_backward(const bli_call *c, const bli_quant_spec *s)
{
    (void)s;
    if (c->grad_in[0].data)
        bli_pass_gradient(&c->grad_out[0], &c->grad_in[0]);
    return BL_OK;
}

static size_t bits_scratch(const bli_call *c, const bli_quant_spec *s)
{
    const bits_options *o = s->own;
    return bli_alpha_auto(&o->alpha) ? bli_channels_scratch(c, s) : 0;
}

static bool bits_whole(const bli_quant_spec *s)
{
    const bits_options *o = s->own;
    return bli_alpha_auto(&o->alpha);
}

/* Steps between the values. */
static bl_status bits_scales(const bli_call *c, const bli_quant_spec *s, double *scale)
{
    const bits_options *o = s->own;
    if (!bli_alpha_auto(&o->alpha)) {
        *scale = o->alpha.value * (o->sign ? 1 : bl_format_step(&o->format));
        return BL_OK;
    }
    bli_channels ch = bli_channels_place(c, s);
    (void)resolve(c, o, &ch);
    bli_channels_store(c, s, &ch, scale);
    return BL_OK;
}

static bool bits_codes(const bli_quant_spec *s, bli_code_ends *ends)
{
    const bits_options *o = s->own;
    *ends = (bli_code_ends){o->sign ? -1 : -o->half, o->sign ? 1 : o->half, 1};
    if (!bli_alpha_auto(&o->alpha) && !o->sign)
        bli_code_bounds(&o->format, &ends->least, &ends->greatest);
    return true;
}

static void bits_range(bli_range_call *r, const bli_quant_spec *s)
{
    const bits_options *o = s->own;
    static const bl_format sign = {.kind = BL_FORMAT_BINARY, .is_signed = true, .bits = 1};
    if (!bli_alpha_auto(&o->alpha))
        bli_format_range(r, o->sign ? &sign : &o->format, o->alpha.value, 0);
}

const bli_quantizer bli_quantizer_quantized_bits = {
    .name = "quantized_bits",
    .help = "fixed point with a scale: none, a number, or from the data (auto, auto_po2)",
    .source = BLI_QKERAS,
    .attrs = options,
    .setup = bits_setup,
    .forward = bits_forward,
    .backward = bits_backward,
    .range = bits_range,
    .scratch = bits_scratch,
    .whole_tensor = bits_whole,
    .scales = bits_scales,
    .codes = bits_codes,
};
