/* spell_words.c: a number format in QONNX's and ONNX's words.
 *
 * QONNX's Quant computes round(clip(x / scale + zero)) with the rounding of its name, in float32, so it can say what
 * saturates and rounds to even, down, to zero, or to nearest with ties to zero (ceil(|x| - 1/2) is exact below 2^22).
 * Its HALF_UP adds 1/2 first: wrong for 0.49999997, so it serves only where x lies on a grid that rules this out.
 * The rest is ONNX's own operators, each step exact in float32.  With t = x / step, r = Round(t) and d = t - r, which
 * is exact and lies in [-1/2, 1/2]:
 *
 *     [d = 1/2]  = Relu(Floor(d + d))          ties to plus infinity:  r + [d = 1/2]
 *     [d = -1/2] = Relu(Floor(-d + -d))        ties to minus infinity: r - [d = -1/2]
 *     away from and to zero: the same for |t|, times Sign(t)
 *
 * Wrapping: k - 2^W Floor(k / 2^W), from [0, 2^W) into the signed range by one more such step; t is first clipped to
 * 2^(24 + W), beyond which every float is a multiple of 2^W.  WRAP_SM repeats after 2^(W + 1) codes and is a triangle:
 * r up to 2^(W - 1) - 1, falling from there, rising again from r = 3 2^(W - 1) on, so with r = k modulo 2^(W + 1)
 *
 *     Max(Min(r, 2^W - 1 - r), r - 2^(W + 1))
 */
#include <math.h>
#include <string.h>

#include "pass/spell.h"

enum {
    MOST_BITS = 24,     /* codes are exact in float32, and so are their halves wherever there are any */
    MOST_HALF_DOWN = 22 /* QONNX's own word subtracts first */
};

static void code_ends(const bl_format *f, int bits, double *least, double *greatest)
{
    *greatest = ldexp(1, bits - (f->is_signed ? 1 : 0)) - 1;
    *least = f->is_signed ? (f->overflow == BL_SAT_SYM ? -*greatest : -*greatest - 1) : 0;
}

static int clip(bli_chain *c, const char *word, int x, double least, double greatest)
{
    int low = bli_chain_number(c, "least", least), high = bli_chain_number(c, "most", greatest);
    return bli_chain_node(c, word, "Clip", x, low, high);
}

/* ---- QONNX's words ------------------------------------------------------------------------------------------ */

static const char *quant_mode(const bl_format *f, bool near_ties_exact)
{
    switch (f->rounding) {
    case BL_RND_CONV:
    case BL_STOCHASTIC: /* in evaluation it rounds to nearest even */
        return "ROUND";
    case BL_TRN:
        return "FLOOR";
    case BL_TRN_ZERO:
        return "DOWN";
    case BL_RND_ZERO:
        return f->bits <= MOST_HALF_DOWN ? "HALF_DOWN" : NULL;
    case BL_RND_INF:
        return near_ties_exact ? "HALF_UP" : NULL;
    case BL_RND: /* below zero an unsigned format clips anyway */
        return near_ties_exact && !f->is_signed ? "HALF_UP" : NULL;
    default:
        return NULL;
    }
}

static int quant(bli_chain *c, int x, const bli_spelling *s, const char *mode)
{
    const bl_attr attrs[] = {{"signed", BL_ATTR_INT, 1, {.i = s->format.is_signed}},
                             {"narrow", BL_ATTR_INT, 1, {.i = s->format.is_signed && s->format.overflow == BL_SAT_SYM}},
                             {"rounding_mode", BL_ATTR_STRING, 1, {.s = mode}}};
    const int inputs[] = {x, bli_chain_tensor(c, "scale", &s->shape, s->step), bli_chain_number(c, "zero_point", 0),
                          bli_chain_number(c, "bits", s->format.bits)};
    return bli_chain_quant(c, "Quant", inputs, 4, attrs, 3);
}

static int bipolar(bli_chain *c, int x, const bli_spelling *s)
{
    const int inputs[] = {x, bli_chain_tensor(c, "scale", &s->shape, s->step)};
    return bli_chain_quant(c, "BipolarQuant", inputs, 2, NULL, 0);
}

/* Saturating minifloats; FloatQuant's own greatest value knows no infinities, so ours is given. */
static int float_quant(bli_chain *c, int x, const bli_spelling *s)
{
    const bl_format *f = &s->format;
    double least, greatest;
    bl_format_bounds(f, &least, &greatest);
    const bl_attr attrs[] = {{"rounding_mode", BL_ATTR_STRING, 1, {.s = "ROUND"}},
                             {"has_inf", BL_ATTR_INT, 1, {.i = f->special == BL_SPECIAL_IEEE}},
                             {"has_nan", BL_ATTR_INT, 1, {.i = f->special != BL_SPECIAL_NONE}},
                             {"has_subnormal", BL_ATTR_INT, 1, {.i = 1}},
                             {"saturation", BL_ATTR_INT, 1, {.i = 1}}};
    const int inputs[] = {x,
                          bli_chain_tensor(c, "scale", &s->shape, s->step),
                          bli_chain_number(c, "exponent_bits", f->exponent_bits),
                          bli_chain_number(c, "mantissa_bits", f->mantissa_bits),
                          bli_chain_number(c, "exponent_bias", ldexp(1, f->exponent_bits - 1) - 1),
                          bli_chain_number(c, "max_val", greatest)};
    return bli_chain_quant(c, "FloatQuant", inputs, 6, attrs, 5);
}

static bool integer_coded(const bl_format *f)
{
    return f->kind == BL_FORMAT_FIXED || f->kind == BL_FORMAT_INT || f->kind == BL_FORMAT_AFFINE ||
           f->kind == BL_FORMAT_TERNARY;
}

static bool quant_fits(const bli_spelling *s)
{
    const bl_format *f = &s->format;
    bool one_signed_bit = f->bits == 1 && f->is_signed; /* QONNX takes that for a sign */
    return integer_coded(f) && s->zero == 0 && !s->bits && !one_signed_bit && f->bits - f->is_signed <= 24 &&
           (f->overflow == BL_SAT || f->overflow == BL_SAT_SYM);
}

int bli_spell_weight(bli_chain *c, int x, const bli_spelling *s)
{
    bli_spelling any = *s;
    if (s->format.kind == BL_FORMAT_BINARY)
        return bipolar(c, x, s);
    if (s->format.kind == BL_FORMAT_FLOAT)
        return float_quant(c, x, s);
    if (integer_coded(&s->format) && s->format.overflow != BL_SAT_SYM)
        any.format.overflow = BL_SAT; /* on the grid no word of overflow matters, nor one of rounding */
    return quant_fits(&any) ? quant(c, x, &any, "ROUND") : -1;
}

/* ---- ONNX's words ------------------------------------------------------------------------------------------- */

/* 1 where d = 1/2, else 0, for d in [-1/2, 1/2]. */
static int is_half(bli_chain *c, int d)
{
    int twice = bli_chain_node(c, "twice", "Add", d, d, -1);
    return bli_chain_node(c, "tie", "Relu", bli_chain_node(c, "whole", "Floor", twice, -1, -1), -1, -1);
}

/* Nearest, ties up (or down) along the number line. */
static int nearest(bli_chain *c, int t, bool up)
{
    int r = bli_chain_node(c, "even", "Round", t, -1, -1);
    int d = up ? bli_chain_node(c, "rest", "Sub", t, r, -1) : bli_chain_node(c, "rest", "Sub", r, t, -1);
    return bli_chain_node(c, "nearest", up ? "Add" : "Sub", r, is_half(c, d), -1);
}

static int rounded(bli_chain *c, int t, bl_rounding q)
{
    int magnitude = -1;
    switch (q) {
    case BL_RND_CONV:
    case BL_STOCHASTIC:
        return bli_chain_node(c, "code", "Round", t, -1, -1);
    case BL_TRN:
        return bli_chain_node(c, "code", "Floor", t, -1, -1);
    case BL_RND:
    case BL_RND_MIN_INF:
        return nearest(c, t, q == BL_RND);
    case BL_TRN_ZERO:
        magnitude = bli_chain_node(c, "floor", "Floor", bli_chain_node(c, "abs", "Abs", t, -1, -1), -1, -1);
        break;
    case BL_RND_INF:
    case BL_RND_ZERO:
        magnitude = nearest(c, bli_chain_node(c, "abs", "Abs", t, -1, -1), q == BL_RND_INF);
        break;
    case BL_ROUNDING_COUNT:
        return -1;
    }
    return bli_chain_node(c, "code", "Mul", magnitude, bli_chain_node(c, "sign", "Sign", t, -1, -1), -1);
}

int bli_spell_rounded(bli_chain *c, int t, bl_rounding q)
{
    return rounded(c, t, q);
}

/* k - m Floor(k / m): exact, since k is an integer of at most 24 bits times a power of two. */
static int remainder_of(bli_chain *c, int k, double m, double inverse)
{
    int q = bli_chain_node(c, "turns", "Floor",
                           bli_chain_node(c, "part", "Mul", k, bli_chain_number(c, "by", inverse), -1), -1, -1);
    return bli_chain_node(c, "wrapped", "Sub", k,
                          bli_chain_node(c, "full", "Mul", q, bli_chain_number(c, "turn", m), -1), -1);
}

static int wrap(bli_chain *c, int k, const bl_format *f)
{
    double m = ldexp(1, f->bits);
    k = remainder_of(c, k, m, 1 / m);
    return f->is_signed ? remainder_of(c, k, m, 2 / m) : k;
}

static int fold(bli_chain *c, int k, const bl_format *f)
{
    double m = ldexp(1, f->bits), period = 2 * m;
    int r = remainder_of(c, k, period, 1 / period);
    int falling = bli_chain_node(c, "falling", "Sub", bli_chain_number(c, "top", m - 1), r, -1);
    int rising = bli_chain_node(c, "rising", "Sub", r, bli_chain_number(c, "turn", period), -1);
    return bli_chain_node(c, "folded", "Max", bli_chain_node(c, "lower", "Min", r, falling, -1), rising, -1);
}

/* k inside the range, 0 outside of it: clipped, times 1 or 0. */
static int zero_outside(bli_chain *c, int k, double least, double greatest)
{
    int inside = clip(c, "clipped", k, least, greatest);
    int over = bli_chain_node(c, "over", "Abs", bli_chain_node(c, "excess", "Sub", k, inside, -1), -1, -1);
    int out = clip(c, "outside", over, 0, 1);
    int keep = bli_chain_node(c, "inside", "Sub", bli_chain_number(c, "one", 1), out, -1);
    return bli_chain_node(c, "kept", "Mul", inside, keep, -1);
}

static int plain(bli_chain *c, int x, const bli_spelling *s)
{
    const bl_format *f = &s->format;
    double least, greatest, beyond = ldexp(1, 24 + f->bits + (f->overflow == BL_WRAP_SM));
    code_ends(f, f->bits, &least, &greatest);
    int step = bli_chain_tensor(c, "step", &s->shape, s->step);
    int t = bli_chain_node(c, "scaled", "Div", x, step, -1), k;
    if (f->overflow == BL_SAT || f->overflow == BL_SAT_SYM) {
        k = rounded(c, clip(c, "clipped", t, least - s->zero, greatest - s->zero), f->rounding);
    } else {
        k = rounded(c, clip(c, "finite", t, -beyond, beyond), f->rounding);
        k = f->overflow == BL_WRAP      ? wrap(c, k, f)
            : f->overflow == BL_WRAP_SM ? fold(c, k, f)
                                        : zero_outside(c, k, least, greatest);
    }
    return bli_chain_node(c, "quant", "Mul", k, step, -1);
}

/* A width for each element or channel: Min and Max with tensors; fixed<W,I> changes its step with W. */
static int by_width(bli_chain *c, int x, const bli_spelling *s)
{
    int64_t count = bl_shape_count(&s->bits->shape);
    bl_tensor ends[3];
    bl_context *ctx = bl_graph_context(c->g);
    memset(ends, 0, sizeof ends);
    for (int i = 0; i < 3 && c->status == BL_OK; i++)
        c->status = bl_tensor_create(ctx, BL_F32, &s->bits->shape, &ends[i]);
    for (int64_t i = 0; c->status == BL_OK && i < count; i++) {
        bl_format f = s->format;
        double least, greatest;
        f.bits = (int)((const float *)s->bits->data)[i];
        code_ends(&f, f.bits, &least, &greatest);
        ((float *)ends[0].data)[i] = (float)least;
        ((float *)ends[1].data)[i] = (float)greatest;
        ((float *)ends[2].data)[i] = (float)((double)s->step[0] / bl_format_step(&s->format) * bl_format_step(&f));
    }
    int y = -1;
    if (c->status == BL_OK) {
        int step = bli_chain_tensor(c, "step", &ends[2].shape, ends[2].data);
        int t = bli_chain_node(c, "scaled", "Div", x, step, -1);
        t = bli_chain_node(c, "above", "Max", t, bli_chain_tensor(c, "least", &ends[0].shape, ends[0].data), -1);
        t = bli_chain_node(c, "between", "Min", t, bli_chain_tensor(c, "most", &ends[1].shape, ends[1].data), -1);
        y = bli_chain_node(c, "quant", "Mul", rounded(c, t, s->format.rounding), step, -1);
    }
    for (int i = 0; i < 3; i++)
        bl_tensor_free(ctx, &ends[i]);
    return y;
}

static int most_bits(const bli_spelling *s)
{
    double most = s->format.bits;
    if (!s->bits)
        return s->format.bits;
    most = 0;
    for (int64_t i = 0; i < bl_shape_count(&s->bits->shape); i++)
        most = fmax(most, (double)((const float *)s->bits->data)[i]);
    return (int)most;
}

/* What stands in the way, and what would not. */
static const char *missing(const bli_spelling *s)
{
    const bl_format *f = &s->format;
    const bool saturates = f->overflow == BL_SAT || f->overflow == BL_SAT_SYM;
    if (!integer_coded(f))
        return "no standard operator says this format; use one of at most 256 values, or a float up to float<e7m8> "
               "that saturates and rounds to even";
    if (f->overflow >= BL_OVERFLOW_COUNT)
        return "no standard operator says this overflow; use WRAP, SAT, SAT_ZERO, SAT_SYM or WRAP_SM";
    if (f->overflow == BL_WRAP_SM && most_bits(s) >= MOST_BITS)
        return "float32 operators count no further than 2^24; with WRAP_SM use at most 23 bits";
    if (most_bits(s) > MOST_BITS)
        return "float32 operators count no further than 2^24; use at most 24 bits, or a step that is a power of two";
    if (s->bits && !saturates)
        return "a width for each element goes with saturation; use SAT or SAT_SYM";
    if (s->zero != 0 && !saturates)
        return "a zero point goes with saturation; use SAT or SAT_SYM";
    if (s->bits && (s->steps != 1 || s->zero != 0))
        return "a width for each element goes with one scale and no zero point";
    return NULL;
}

int bli_spell_activation(bli_chain *c, int x, const bli_spelling *s, const char **why)
{
    const bl_format *f = &s->format;
    *why = NULL;
    if (f->kind == BL_FORMAT_BINARY)
        return bipolar(c, x, s);
    if (f->kind == BL_FORMAT_FLOAT && f->overflow == BL_SAT && f->rounding == BL_RND_CONV && f->mantissa_bits <= 8 &&
        f->exponent_bits <= 7) {
        double least, greatest; /* FloatQuant makes infinities NaN: ours saturate */
        bl_format_bounds(f, &least, &greatest);
        double scale = (double)s->step[0];
        return s->steps == 1 ? float_quant(c, clip(c, "clipped", x, least * scale, greatest * scale), s) : -1;
    }
    const char *mode = quant_fits(s) ? quant_mode(f, s->near_ties_exact) : NULL;
    if (mode)
        return quant(c, x, s, mode);
    *why = missing(s);
    if (*why)
        return -1;
    return s->bits ? by_width(c, x, s) : plain(c, x, s);
}
