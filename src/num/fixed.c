/* fixed.c: fixed<W,I,Q,O> and ufixed: W-bit codes times 2^(I-W), the ap_fixed of hls4ml.
 *
 * I counts the bits before the binary point, the sign included; it may be negative or above W.
 */
#include <math.h>
#include <stdio.h>

#include "num/family.h"

enum { LEAST_I = -256, GREATEST_I = 256 };

static bl_status parse(const bli_format_args *a, bl_format *f)
{
    BLI_TRY(bli_arg_count(a, 2, 5, "W,I,Q,O"));
    BLI_TRY(bli_arg_int(a, 0, "W (the width)", 1, 64, &f->bits));
    BLI_TRY(bli_arg_int(a, 1, "I (the integer bits)", LEAST_I, GREATEST_I, &f->integer));
    if (a->count == 5 && !bli_arg_is(a, 4, "0")) /* ap_fixed's N */
        return bli_arg_fail(a, 4, "N (ap_fixed's saturation bits) to be 0");
    return bli_arg_modes(a, 2, f);
}

static int print(const bl_format *f, char *buf, size_t size)
{
    char modes[40];
    bli_print_modes(f, BL_TRN, BL_WRAP, modes, sizeof modes);
    return snprintf(buf, size, "%sfixed<%d,%d%s>", f->is_signed ? "" : "u", f->bits, f->integer, modes);
}

static bl_status check(bl_context *ctx, const bl_format *f)
{
    if (f->bits < 1 || f->bits > 64)
        return bli_fail(ctx, BL_BAD_VALUE, "fixed: W is %d, expected 1 to 64", f->bits);
    if (f->integer < LEAST_I || f->integer > GREATEST_I)
        return bli_fail(ctx, BL_BAD_VALUE, "fixed: I is %d, expected %d to %d", f->integer, LEAST_I, GREATEST_I);
    if (f->overflow == BL_INF)
        return bli_fail(ctx, BL_BAD_VALUE, "fixed: overflow INF is for float kinds");
    if (f->overflow == BL_WRAP_SM && !f->is_signed)
        return bli_fail(ctx, BL_BAD_VALUE, "ufixed: overflow WRAP_SM needs a sign");
    return BL_OK;
}

static int unit_exp(const bl_format *f)
{
    return f->integer - f->bits;
}

static void bounds(const bl_format *f, double *least, double *greatest)
{
    *least = ldexp(bli_wide_to_double(bli_code_least(f)), unit_exp(f));
    *greatest = ldexp(bli_wide_to_double(bli_code_greatest(f)), unit_exp(f));
}

const bli_family bli_family_fixed = {
    .listing = {"fixed", "fixed<W,I,Q,O> ufixed<W,I,Q,O>",
                "W-bit codes, I of them before the binary point (ap_fixed); Q and O default to TRN and WRAP", true},
    .parse = parse,
    .print = print,
    .check = check,
    .bounds = bounds,
    .unit_exp = unit_exp,
    .has_step = true,
    .quantize = bli_codes_quantize,
    .encode = bli_codes_encode,
    .decode = bli_codes_decode,
    .facts = bli_codes_facts,
};
