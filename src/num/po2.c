/* po2.c: po2<W> (sign and power of two) and upo2<W> (power of two).
 *
 * n exponent bits (W-1 with a sign, W without) give the exponents -2^(n-1) .. 2^(n-1) - 1.  There is no zero: 0 and
 * NaN become +the least magnitude, and so does every negative number in upo2.  RND takes the nearest exponent (the
 * magnitude grows above sqrt(2) times a power of two), TRN_ZERO the one below, STOCHASTIC one of both so that the mean
 * is the number itself.  The code has the sign on top and the exponent, biased by 2^(n-1), below.
 */
#include <math.h>
#include <stdio.h>

#include "num/family.h"

static int exponent_bits(const bl_format *f)
{
    return f->bits - f->is_signed;
}
static int least_exp(const bl_format *f)
{
    return -(1 << (exponent_bits(f) - 1));
}
static int greatest_exp(const bl_format *f)
{
    return (1 << (exponent_bits(f) - 1)) - 1;
}

static bl_status parse(const bli_format_args *a, bl_format *f)
{
    BLI_TRY(bli_arg_count(a, 1, 2, "W,Q"));
    BLI_TRY(bli_arg_int(a, 0, "W (the width)", 1 + f->is_signed, 8 + f->is_signed, &f->bits));
    return bli_arg_modes(a, 1, f);
}

static int print(const bl_format *f, char *buf, size_t size)
{
    bool comma = f->rounding != BL_RND;
    return snprintf(buf, size, "%spo2<%d%s%s>", f->is_signed ? "" : "u", f->bits, comma ? "," : "",
                    comma ? bli_rounding_name(f->rounding) : "");
}

static bl_status check(bl_context *ctx, const bl_format *f)
{
    int n = exponent_bits(f);
    if (n < 1 || n > 8)
        return bli_fail(ctx, BL_BAD_VALUE, "po2: W is %d, expected %d to %d", f->bits, 1 + f->is_signed,
                        8 + f->is_signed);
    if (f->rounding != BL_RND && f->rounding != BL_TRN_ZERO && f->rounding != BL_STOCHASTIC)
        return bli_fail(ctx, BL_BAD_VALUE, "po2: rounding is %s, expected RND, TRN_ZERO or STOCHASTIC",
                        bli_rounding_name(f->rounding));
    if (f->overflow != BL_SAT)
        return bli_fail(ctx, BL_BAD_VALUE, "po2: overflow is always SAT");
    return BL_OK;
}

static void bounds(const bl_format *f, double *least, double *greatest)
{
    *greatest = ldexp(1, greatest_exp(f));
    *least = f->is_signed ? -*greatest : ldexp(1, least_exp(f));
}

static int unit_exp(const bl_format *f)
{
    (void)f;
    return 0;
}

/* mantissa in [1, 2): whether the next power of two is taken. */
static bool grows(const bl_format *f, double mantissa, uint32_t random)
{
    bli_wide m = (bli_wide)(mantissa * 0x1p52); /* exact */
    if (f->rounding == BL_RND)
        return m * m > (bli_wide)1 << 105;
    return f->rounding == BL_STOCHASTIC && random >> 1 < (uint32_t)((mantissa - 1) * 0x1p31);
}

static double quantize(const bl_format *f, double v, const bli_draw *d)
{
    *d->clipped = isnan(v) || isinf(v) || (v < 0 && !f->is_signed);
    if (isnan(v) || v == 0 || (v < 0 && !f->is_signed))
        return ldexp(1, least_exp(f));
    if (isinf(v))
        return copysign(ldexp(1, greatest_exp(f)), v);
    int exponent;
    double mantissa = 2 * frexp(fabs(v), &exponent);
    exponent -= 1;
    exponent += grows(f, mantissa, d->random);
    if (exponent > greatest_exp(f)) {
        exponent = greatest_exp(f);
        *d->clipped = true;
    }
    if (exponent < least_exp(f))
        exponent = least_exp(f);
    return copysign(ldexp(1, exponent), v);
}

static bool encode(const bl_format *f, double v, int64_t zero, int64_t *code)
{
    (void)zero;
    int exponent;
    if (!isfinite(v) || fabs(frexp(v, &exponent)) != 0.5 || (v < 0 && !f->is_signed))
        return false;
    exponent -= 1;
    *code = (int64_t)(v < 0) << exponent_bits(f) | (exponent - least_exp(f));
    return exponent >= least_exp(f) && exponent <= greatest_exp(f);
}

static bool decode(const bl_format *f, int64_t code, int64_t zero, double *v)
{
    (void)zero;
    int n = exponent_bits(f);
    if (code < 0 || code >> f->bits != 0)
        return false;
    *v = ldexp(code >> n != 0 ? -1 : 1, (int)(code & ((1 << n) - 1)) + least_exp(f));
    return true;
}

static void facts(const bl_format *f, int64_t zero, bli_grid_facts *out)
{
    (void)zero;
    out->on_grid = true;
    out->step_exp = least_exp(f);
    out->greatest_code = ldexp(1, greatest_exp(f) - least_exp(f));
    out->least_code = f->is_signed ? -out->greatest_code : 1;
    out->significand_bits = 1;
}

const bli_family bli_family_po2 = {
    .listing = {"po2", "po2<W> upo2<W> po2<W,Q>",
                "sign and power of two; Q is RND (nearest exponent), TRN_ZERO or STOCHASTIC", true},
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
