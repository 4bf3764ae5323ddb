/* integer.c: int<W>, uint<W> and affine<W>: W-bit codes whose scale and zero point belong to their use.
 *
 * value = scale * (code - zero_point).  affine is ONNX QuantizeLinear: it always saturates; unsigned by default.
 */
#include <stdio.h>

#include "num/family.h"

static bl_status parse_int(const bli_format_args *a, bl_format *f)
{
    BLI_TRY(bli_arg_count(a, 1, 3, "W,Q,O"));
    BLI_TRY(bli_arg_int(a, 0, "W (the width)", 1, 64, &f->bits));
    return bli_arg_modes(a, 1, f);
}

static bl_status parse_affine(const bli_format_args *a, bl_format *f)
{
    BLI_TRY(bli_arg_count(a, 1, 3, "W,signed,Q"));
    BLI_TRY(bli_arg_int(a, 0, "W (the width)", 1, 64, &f->bits));
    f->is_signed = a->count > 1 && bli_arg_is(a, 1, "signed");
    size_t modes = a->count > 1 && (f->is_signed || bli_arg_is(a, 1, "unsigned")) ? 2 : 1;
    if (a->count > modes + 1)
        return bli_arg_fail(a, a->count - 1, "nothing more: affine<W>, affine<W,signed> or affine<W,signed,Q>");
    return bli_arg_modes(a, modes, f);
}

static int print_int(const bl_format *f, char *buf, size_t size)
{
    char modes[40];
    bli_print_modes(f, BL_RND_CONV, BL_SAT, modes, sizeof modes);
    return snprintf(buf, size, "%sint<%d%s>", f->is_signed ? "" : "u", f->bits, modes);
}

static int print_affine(const bl_format *f, char *buf, size_t size)
{
    bool comma = f->rounding != BL_RND_CONV;
    return snprintf(buf, size, "affine<%d%s%s%s>", f->bits, f->is_signed ? ",signed" : "", comma ? "," : "",
                    comma ? bli_rounding_name(f->rounding) : "");
}

static bl_status check_int(bl_context *ctx, const bl_format *f)
{
    if (f->bits < 1 || f->bits > 64)
        return bli_fail(ctx, BL_BAD_VALUE, "int: W is %d, expected 1 to 64", f->bits);
    if (f->overflow == BL_INF)
        return bli_fail(ctx, BL_BAD_VALUE, "int: overflow INF is for float kinds");
    if (f->overflow == BL_WRAP_SM && !f->is_signed)
        return bli_fail(ctx, BL_BAD_VALUE, "uint: overflow WRAP_SM needs a sign");
    return BL_OK;
}

static bl_status check_affine(bl_context *ctx, const bl_format *f)
{
    if (f->overflow != BL_SAT)
        return bli_fail(ctx, BL_BAD_VALUE, "affine: overflow is always SAT");
    return check_int(ctx, f);
}

static int unit_exp(const bl_format *f)
{
    (void)f;
    return 0;
}

static void bounds(const bl_format *f, double *least, double *greatest)
{
    *least = bli_wide_to_double(bli_code_least(f));
    *greatest = bli_wide_to_double(bli_code_greatest(f));
}

#define CODES                                                                                                          \
    .unit_exp = unit_exp, .bounds = bounds, .has_step = true, .has_zero = true, .quantize = bli_codes_quantize,        \
    .encode = bli_codes_encode, .decode = bli_codes_decode, .facts = bli_codes_facts

const bli_family bli_family_int = {
    .listing =
        {"int", "int<W> uint<W> int<W,Q,O>",
         "integer codes with a scale (1, a number, a power of two, learned); Q and O default to RND_CONV and SAT",
         true},
    .parse = parse_int,
    .print = print_int,
    .check = check_int,
    CODES,
};

const bli_family bli_family_affine = {
    .listing = {"affine", "affine<W> affine<W,signed> affine<W,signed,Q>",
                "integer codes with a real scale and a zero point, as ONNX QuantizeLinear; saturates", true},
    .parse = parse_affine,
    .print = print_affine,
    .check = check_affine,
    CODES,
};
