/* mx.c: mx<elem,K>: blocks of K elements that share a power-of-two scale (OCP Microscaling Formats 1.0).
 *
 * The shared scale is 2^(floor(log2 max|x|) - emax), emax the exponent of the element's greatest number, kept within
 * E8M0's 2^-127 .. 2^127.  Elements always saturate: with e4m3 and e5m2 the last eighth below a power of two does. With
 * UP the scale is the next power of two there, so that nothing does (arXiv:2506.08027 trains so).  Blocks run along the
 * last axis and start anew in each row; the last one of a row may be short.  Infinite and NaN elements take no part in
 * choosing the scale.  Integer elements intW are fixed<W,2> with the symmetric range: int8 is MXINT8.  The block loops
 * are in mx_body.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/family.h"

enum { E8M0_LEAST = -127, E8M0_GREATEST = 127, E8M0_BIAS = 127, E8M0_NAN = 255 };

static bool parse_element(const char *s, bl_format *f)
{
    int used = 0;
    if (bli_float_shape(s, f))
        return true;
    return sscanf(s, "int%2d%n", &f->bits, &used) == 1 && s[used] == '\0' && f->bits >= 2 && f->bits <= 24;
}

static bl_status parse(const bli_format_args *a, bl_format *f)
{
    BLI_TRY(bli_arg_count(a, 2, 4, "elem,K,Q,UP"));
    if (!parse_element(a->arg[0], f))
        return bli_arg_fail(a, 0, "an element eEmM or intW, such as e4m3, e2m1, int8");
    if (f->exponent_bits == 0)
        f->overflow = BL_SAT_SYM;
    BLI_TRY(bli_arg_int(a, 1, "K (elements of a block)", 1, 65536, &f->block));
    if (a->count > 3 && strcmp(a->arg[3], "UP") != 0)
        return bli_arg_fail(a, 3, "UP (the scale covers the block's greatest), or nothing");
    f->covers = a->count > 3;
    bli_format_args modes = *a;
    modes.count = a->count > 3 ? 3 : a->count;
    return bli_arg_modes(&modes, 2, f);
}

static int print(const bl_format *f, char *buf, size_t size)
{
    bool comma = f->covers || f->rounding != BL_RND_CONV;
    const char *q = comma ? bli_rounding_name(f->rounding) : "", *separator = comma ? "," : "";
    const char *up = f->covers ? ",UP" : "";
    if (f->exponent_bits == 0)
        return snprintf(buf, size, "mx<int%d,%d%s%s%s>", f->bits, f->block, separator, q, up);
    return snprintf(buf, size, "mx<e%dm%d,%d%s%s%s>", f->exponent_bits, f->mantissa_bits, f->block, separator, q, up);
}

bl_format bli_mx_element(const bl_format *f)
{
    bl_format e = *f;
    e.kind = f->exponent_bits == 0 ? BL_FORMAT_FIXED : BL_FORMAT_FLOAT;
    e.integer = f->exponent_bits == 0 ? 2 : 0;
    e.block = 0;
    e.covers = false;
    return e;
}

static bl_status check(bl_context *ctx, const bl_format *f)
{
    if (f->block < 1 || f->block > 65536)
        return bli_fail(ctx, BL_BAD_VALUE, "mx: K is %d, expected 1 to 65536", f->block);
    if (f->overflow != (f->exponent_bits == 0 ? BL_SAT_SYM : BL_SAT))
        return bli_fail(ctx, BL_BAD_VALUE, "mx: elements saturate: overflow SAT for floats, SAT_SYM for intW");
    if (f->exponent_bits == 0 && (f->bits < 2 || f->bits > 24 || !f->is_signed))
        return bli_fail(ctx, BL_BAD_VALUE, "mx: element int%d, expected a sign and 2 to 24 bits", f->bits);
    if (f->exponent_bits > 7)
        return bli_fail(ctx, BL_BAD_VALUE, "mx: element e%dm%d, expected at most 7 exponent bits", f->exponent_bits,
                        f->mantissa_bits);
    bl_format element = bli_mx_element(f);
    return bli_within(ctx, bli_family_of(&element)->check(ctx, &element), "mx element");
}

static int greatest_exp(const bl_format *f)
{
    return f->exponent_bits == 0 ? 0 : bli_float_layout_of(f).greatest_exp;
}

double bli_mx_lead(const bl_format *f)
{
    double least, greatest;
    const bl_format element = bli_mx_element(f);
    bli_family_of(&element)->bounds(&element, &least, &greatest);
    return f->covers ? ldexp(greatest, -greatest_exp(f)) : 2;
}

int bli_mx_exponent(const bl_format *f, double m)
{
    int e = m > 0 ? ilogb(m) - greatest_exp(f) : E8M0_LEAST;
    e += m > 0 && ldexp(m, -ilogb(m)) > bli_mx_lead(f);
    return e < E8M0_LEAST ? E8M0_LEAST : e > E8M0_GREATEST ? E8M0_GREATEST : e;
}

static void bounds(const bl_format *f, double *least, double *greatest)
{
    bl_format element = bli_mx_element(f);
    bli_family_of(&element)->bounds(&element, least, greatest);
    *least = ldexp(*least, E8M0_GREATEST);
    *greatest = ldexp(*greatest, E8M0_GREATEST);
}

static int unit_exp(const bl_format *f)
{
    (void)f;
    return 0;
}

/* A value's code says its own exponent: encoding a block needs its greatest magnitude, so codes.c does that. */
static bool decode(const bl_format *f, int64_t code, int64_t zero, double *v)
{
    bl_format element = bli_mx_element(f);
    int64_t shared = code >> f->bits, low = code & (((int64_t)1 << f->bits) - 1);
    if (code < 0 || shared > E8M0_NAN)
        return false;
    if (element.kind == BL_FORMAT_FIXED && low >> (f->bits - 1) != 0)
        low -= (int64_t)1 << f->bits;
    if (!bli_family_of(&element)->decode(&element, low, zero, v))
        return false;
    int unit = bli_family_of(&element)->unit_exp(&element);
    *v = shared == E8M0_NAN ? (double)NAN : ldexp(*v, (int)shared - E8M0_BIAS + unit);
    return true;
}

static void facts(const bl_format *f, int64_t zero, bli_grid_facts *out)
{
    (void)zero;
    out->on_grid = false;
    out->significand_bits = f->exponent_bits == 0 ? f->bits - 1 : f->mantissa_bits + 1;
}

const bli_family bli_family_mx = {
    .listing =
        {"mx", "mx<elem,K> mx<elem,K,Q> mx<elem,K,Q,UP>",
         "blocks of K elements (e4m3, e5m2, e3m2, e2m3, e2m1, int8, ...) with a shared power-of-two scale (OCP MX); "
         "weights lower",
         true},
    .parse = parse,
    .print = print,
    .check = check,
    .bounds = bounds,
    .unit_exp = unit_exp,
    .decode = decode,
    .facts = facts,
};
