/* minifloat.c: float<eEmM>, bfloat16, float16: sign, E exponent bits, M mantissa bits, gradual underflow.
 *
 * IEEE: the topmost exponent holds infinities and NaNs (e5m2, float16, bfloat16).  NaN only: all ones is NaN, the rest
 * of the topmost exponent are numbers (OCP's e4m3).  None: every pattern is a number (OCP's e3m2, e2m3, e2m1).
 * Overflow SAT gives the greatest number, also for infinities; INF gives what IEEE 754 and OCP call the non-saturating
 * result.  Sources: OCP 8-bit Floating Point Specification 1.0, OCP Microscaling Formats 1.0.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/family.h"

static const char *const special_names[] = {
    [BL_SPECIAL_IEEE] = "ieee", [BL_SPECIAL_NAN_ONLY] = "nan", [BL_SPECIAL_NONE] = "finite"};

/* The rule that goes with a shape unless the text says otherwise. */
static bl_float_special usual_special(int e, int m)
{
    static const struct {
        int e, m;
        bl_float_special special;
    } ocp[] = {{4, 3, BL_SPECIAL_NAN_ONLY}, {3, 2, BL_SPECIAL_NONE}, {2, 3, BL_SPECIAL_NONE}, {2, 1, BL_SPECIAL_NONE}};
    for (size_t i = 0; i < BLI_COUNT(ocp); i++)
        if (ocp[i].e == e && ocp[i].m == m)
            return ocp[i].special;
    return m > 0 ? BL_SPECIAL_IEEE : BL_SPECIAL_NONE;
}

bool bli_float_shape(const char *s, bl_format *f)
{
    int e, m, used = 0;
    if (sscanf(s, "e%2dm%2d%n", &e, &m, &used) != 2 || s[used] != '\0' || strspn(s, "em0123456789") != strlen(s))
        return false;
    if (e < 2 || e > 11 || m < 0 || m > 30 || 1 + e + m > 32)
        return false;
    f->exponent_bits = e;
    f->mantissa_bits = m;
    f->bits = 1 + e + m;
    f->special = usual_special(e, m);
    return true;
}

static bool parse_special(const bli_format_args *a, size_t i, bl_format *f)
{
    for (int s = BL_SPECIAL_IEEE; s <= BL_SPECIAL_NONE; s++)
        if (bli_arg_is(a, i, special_names[s])) {
            f->special = (bl_float_special)s;
            return true;
        }
    return false;
}

static bl_status parse(const bli_format_args *a, bl_format *f)
{
    bool shaped = f->exponent_bits != 0; /* bfloat16 and float16 come with theirs */
    BLI_TRY(bli_arg_count(a, shaped ? 0 : 1, shaped ? 3 : 4, shaped ? "Q,O" : "eEmM,Q,O"));
    if (!shaped && !bli_float_shape(a->arg[0], f))
        return bli_arg_fail(a, 0, "eEmM with E 2 to 11, M 0 to 30, at most 32 bits, such as e4m3");
    bli_format_args modes = *a;
    if (a->count > 0 && parse_special(a, a->count - 1, f))
        modes.count--;
    if (modes.count > (shaped ? 2u : 3u))
        return bli_arg_fail(a, a->count - 1, "ieee, nan or finite");
    return bli_arg_modes(&modes, shaped ? 0 : 1, f);
}

static int print(const bl_format *f, char *buf, size_t size)
{
    bool ieee_way = f->special == BL_SPECIAL_IEEE && f->rounding == BL_RND_CONV && f->overflow == BL_INF;
    if (ieee_way && f->exponent_bits == 8 && f->mantissa_bits == 7)
        return snprintf(buf, size, "bfloat16");
    if (ieee_way && f->exponent_bits == 5 && f->mantissa_bits == 10)
        return snprintf(buf, size, "float16");
    char modes[40];
    bool usual = f->special == usual_special(f->exponent_bits, f->mantissa_bits);
    bli_print_modes(f, BL_RND_CONV, BL_SAT, modes, sizeof modes);
    return snprintf(buf, size, "float<e%dm%d%s%s%s>", f->exponent_bits, f->mantissa_bits, modes, usual ? "" : ",",
                    usual ? "" : special_names[f->special]);
}

static bl_status check(bl_context *ctx, const bl_format *f)
{
    int e = f->exponent_bits, m = f->mantissa_bits;
    if (e < 2 || e > 11 || m < 0 || m > 30 || e + m > 31)
        return bli_fail(ctx, BL_BAD_VALUE, "float: e%dm%d, expected E 2 to 11, M 0 to 30, at most 32 bits", e, m);
    if (f->bits != 1 + e + m || !f->is_signed)
        return bli_fail(ctx, BL_BAD_VALUE, "float<e%dm%d>: expected %d bits with a sign", e, m, 1 + e + m);
    if (f->special < BL_SPECIAL_IEEE || f->special > BL_SPECIAL_NONE || (f->special == BL_SPECIAL_IEEE && m == 0))
        return bli_fail(ctx, BL_BAD_VALUE, "float<e%dm%d>: infinities and NaNs need a mantissa", e, m);
    if (e == 11 && f->special != BL_SPECIAL_IEEE)
        return bli_fail(ctx, BL_BAD_VALUE, "float<e11m%d>: numbers above a double's, expected ieee", m);
    if (f->overflow != BL_SAT && f->overflow != BL_INF)
        return bli_fail(ctx, BL_BAD_VALUE, "float<e%dm%d>: overflow is %s, expected SAT or INF", e, m,
                        bli_overflow_name(f->overflow));
    if (f->overflow == BL_INF && f->special == BL_SPECIAL_NONE)
        return bli_fail(ctx, BL_BAD_VALUE, "float<e%dm%d,finite>: has neither infinity nor NaN for overflow INF", e, m);
    return BL_OK;
}

bli_float_layout bli_float_layout_of(const bl_format *f)
{
    int bias = (1 << (f->exponent_bits - 1)) - 1, top = (1 << f->exponent_bits) - 1 - bias;
    bli_float_layout l = {.bias = bias, .least_exp = 1 - bias, .has_nan = f->special != BL_SPECIAL_NONE};
    int cut = 1; /* mantissa steps below the next power of two */
    l.greatest_exp = top;
    if (f->special == BL_SPECIAL_IEEE) {
        l.has_inf = true;
        l.greatest_exp = top - 1;
    } else if (f->special == BL_SPECIAL_NAN_ONLY) {
        cut = f->mantissa_bits > 0 ? 2 : 1;
        l.greatest_exp = f->mantissa_bits > 0 ? top : top - 1;
    }
    l.greatest = ldexp(2 - ldexp(cut, -f->mantissa_bits), l.greatest_exp);
    return l;
}

static void bounds(const bl_format *f, double *least, double *greatest)
{
    *greatest = bli_float_layout_of(f).greatest;
    *least = -*greatest;
}

static int unit_exp(const bl_format *f)
{
    (void)f;
    return 0;
}

static double overflowed(const bl_format *f, const bli_float_layout *l, double v)
{
    if (f->overflow != BL_INF)
        return copysign(l->greatest, v);
    return l->has_inf ? copysign(HUGE_VAL, v) : (double)NAN;
}

static double quantize(const bl_format *f, double v, const bli_draw *d)
{
    bli_float_layout l = bli_float_layout_of(f);
    *d->clipped = !isfinite(v);
    if (isnan(v))
        return l.has_nan ? (double)NAN : l.greatest;
    if (isinf(v))
        return overflowed(f, &l, v);
    int exponent = v == 0 || ilogb(v) < l.least_exp ? l.least_exp : ilogb(v);
    int ulp = exponent - f->mantissa_bits;
    bli_wide steps = bli_round_reference(ldexp(v, -ulp), f->rounding, d->random);
    double magnitude = fabs(ldexp((double)(int64_t)steps, ulp));
    *d->clipped = magnitude > l.greatest;
    return *d->clipped ? overflowed(f, &l, v) : copysign(magnitude, v);
}

static bool encode(const bl_format *f, double v, int64_t zero, int64_t *code)
{
    (void)zero;
    bli_float_layout l = bli_float_layout_of(f);
    int m = f->mantissa_bits;
    int64_t sign = (int64_t)(signbit(v) != 0) << (f->bits - 1), top = ((int64_t)1 << f->exponent_bits) - 1;
    if (isnan(v)) { /* one NaN: quiet; all ones where there is only one */
        int64_t payload = f->special == BL_SPECIAL_IEEE ? (int64_t)1 << (m - 1) : ((int64_t)1 << m) - 1;
        *code = top << m | payload;
        return l.has_nan;
    }
    if (isinf(v)) {
        *code = sign | top << m;
        return l.has_inf;
    }
    double magnitude = fabs(v);
    int exponent = magnitude == 0 || ilogb(v) < l.least_exp ? l.least_exp : ilogb(v);
    double steps = ldexp(magnitude, m - exponent); /* below 2^m: subnormal */
    if (magnitude > l.greatest || steps != floor(steps))
        return false;
    *code = sign | ((int64_t)(exponent - l.least_exp) * ((int64_t)1 << m) + (int64_t)steps);
    return true;
}

static bool decode(const bl_format *f, int64_t code, int64_t zero, double *v)
{
    (void)zero;
    bli_float_layout l = bli_float_layout_of(f);
    int m = f->mantissa_bits, top = (1 << f->exponent_bits) - 1;
    if (code < 0 || code >> f->bits != 0)
        return false;
    int64_t mantissa = code & (((int64_t)1 << m) - 1);
    int field = (int)(code >> m) & top;
    double sign = code >> (f->bits - 1) != 0 ? -1 : 1;
    if (f->special == BL_SPECIAL_IEEE && field == top)
        *v = mantissa != 0 ? (double)NAN : sign * HUGE_VAL;
    else if (f->special == BL_SPECIAL_NAN_ONLY && field == top && mantissa == ((int64_t)1 << m) - 1)
        *v = NAN;
    else if (field == 0)
        *v = sign * ldexp((double)mantissa, l.least_exp - m);
    else
        *v = sign * ldexp((double)(mantissa + ((int64_t)1 << m)), field - l.bias - m);
    return true;
}

static void facts(const bl_format *f, int64_t zero, bli_grid_facts *out)
{
    (void)zero;
    bli_float_layout l = bli_float_layout_of(f);
    out->on_grid = f->bits <= 8 && f->overflow == BL_SAT;
    out->step_exp = l.least_exp - f->mantissa_bits;
    out->greatest_code = ldexp(l.greatest, -out->step_exp);
    out->least_code = -out->greatest_code;
    out->significand_bits = f->mantissa_bits + 1;
}

const bli_family bli_family_float = {
    .listing =
        {"float", "float<eEmM> float<eEmM,Q,O> bfloat16 float16",
         "minifloats up to 32 bits; Q and O default to RND_CONV and SAT (bfloat16, float16: INF); lowers up to 8 "
         "bits with SAT",
         true},
    .parse = parse,
    .print = print,
    .check = check,
    .bounds = bounds,
    .unit_exp = unit_exp,
    .quantize = quantize,
    .encode = encode,
    .decode = decode,
    .facts = facts,
};
