/* binary.c: binary {-1, +1} and ternary {-1, 0, +1}.
 *
 * binary is the sign, with 0 (and NaN) going to +1; STOCHASTIC goes up with probability (1 + x) / 2, x clipped to
 * [-1, 1] (BinaryConnect).  Its gradient passes where |x| <= 1.  ternary is int<2> without its least code.
 */
#include <math.h>
#include <stdio.h>

#include "num/family.h"

static bl_status parse_binary(const bli_format_args *a, bl_format *f)
{
    BLI_TRY(bli_arg_count(a, 0, 1, "Q"));
    f->bits = 1;
    return bli_arg_modes(a, 0, f);
}

static bl_status parse_ternary(const bli_format_args *a, bl_format *f)
{
    BLI_TRY(bli_arg_count(a, 0, 1, "Q"));
    f->bits = 2;
    return bli_arg_modes(a, 0, f);
}

static int print_word(const bl_format *f, const char *word, bl_rounding usual, char *buf, size_t size)
{
    if (f->rounding == usual)
        return snprintf(buf, size, "%s", word);
    return snprintf(buf, size, "%s<%s>", word, bli_rounding_name(f->rounding));
}

static int print_binary(const bl_format *f, char *buf, size_t size)
{
    return print_word(f, "binary", BL_RND, buf, size);
}

static int print_ternary(const bl_format *f, char *buf, size_t size)
{
    return print_word(f, "ternary", BL_RND_CONV, buf, size);
}

static bl_status check_binary(bl_context *ctx, const bl_format *f)
{
    if (f->bits != 1 || !f->is_signed || f->overflow != BL_SAT)
        return bli_fail(ctx, BL_BAD_VALUE, "binary: expected bits 1, signed, overflow SAT");
    if (f->rounding != BL_RND && f->rounding != BL_STOCHASTIC)
        return bli_fail(ctx, BL_BAD_VALUE, "binary: rounding is %s, expected RND or STOCHASTIC",
                        bli_rounding_name(f->rounding));
    return BL_OK;
}

static bl_status check_ternary(bl_context *ctx, const bl_format *f)
{
    if (f->bits != 2 || !f->is_signed || f->overflow != BL_SAT_SYM)
        return bli_fail(ctx, BL_BAD_VALUE, "ternary: expected bits 2, signed, overflow SAT_SYM");
    return BL_OK;
}

static int unit_exp(const bl_format *f)
{
    (void)f;
    return 0;
}

static void bounds(const bl_format *f, double *least, double *greatest)
{
    (void)f;
    *least = -1;
    *greatest = 1;
}

static double quantize_binary(const bl_format *f, double v, const bli_draw *d)
{
    *d->clipped = !(fabs(v) <= 1);
    if (f->rounding != BL_STOCHASTIC || !(fabs(v) < 1))
        return v < 0 ? -1 : 1;
    return d->random >> 1 < (uint32_t)((v + 1) * 0x1p30) ? 1 : -1;
}

static bool encode_binary(const bl_format *f, double v, int64_t zero, int64_t *code)
{
    (void)f, (void)zero;
    *code = v < 0 ? -1 : 1;
    return v == 1 || v == -1;
}

static bool decode_binary(const bl_format *f, int64_t code, int64_t zero, double *v)
{
    (void)f, (void)zero;
    *v = (double)code;
    return code == 1 || code == -1;
}

static void facts(const bl_format *f, int64_t zero, bli_grid_facts *out)
{
    (void)f, (void)zero;
    out->on_grid = true;
    out->least_code = -1;
    out->greatest_code = 1;
    out->significand_bits = 1;
}

const bli_family bli_family_binary = {
    .listing = {"binary", "binary binary<STOCHASTIC>", "-1 and +1; 0 becomes +1", true},
    .parse = parse_binary,
    .print = print_binary,
    .check = check_binary,
    .bounds = bounds,
    .unit_exp = unit_exp,
    .quantize = quantize_binary,
    .encode = encode_binary,
    .decode = decode_binary,
    .facts = facts,
};

const bli_family bli_family_ternary = {
    .listing = {"ternary", "ternary ternary<Q>", "-1, 0 and +1; Q defaults to RND_CONV: 0 up to one half", true},
    .parse = parse_ternary,
    .print = print_ternary,
    .check = check_ternary,
    .bounds = bounds,
    .unit_exp = unit_exp,
    .has_step = true,
    .quantize = bli_codes_quantize,
    .encode = bli_codes_encode,
    .decode = bli_codes_decode,
    .facts = facts,
};
