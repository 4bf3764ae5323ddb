/* formats.c: the table of format families, and the questions that any format answers: text, bounds, step, facts. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "num/family.h"

static bl_status parse_float32(const bli_format_args *a, bl_format *f)
{
    (void)f;
    return bli_arg_count(a, 0, 0, "");
}

static int print_float32(const bl_format *f, char *buf, size_t size)
{
    (void)f;
    return snprintf(buf, size, "float32");
}

static bl_status check_float32(bl_context *ctx, const bl_format *f)
{
    (void)ctx, (void)f;
    return BL_OK;
}

static void bounds_float32(const bl_format *f, double *least, double *greatest)
{
    (void)f;
    *least = -(double)FLT_MAX;
    *greatest = (double)FLT_MAX;
}

static int unit_exp_float32(const bl_format *f)
{
    (void)f;
    return 0;
}

static double quantize_float32(const bl_format *f, double v, const bli_draw *d)
{
    (void)f;
    *d->clipped = false;
    return isnan(v) ? (double)NAN : (double)(float)v;
}

static void facts_float32(const bl_format *f, int64_t zero, bli_grid_facts *facts)
{
    (void)f, (void)zero;
    facts->on_grid = false;
    facts->significand_bits = 24;
}

const bli_family bli_family_float32 = {
    .listing = {"float32", "float32", "the carrier itself: ordinary training", false},
    .parse = parse_float32,
    .print = print_float32,
    .check = check_float32,
    .bounds = bounds_float32,
    .unit_exp = unit_exp_float32,
    .quantize = quantize_float32,
    .facts = facts_float32,
};

static const bli_family *const families[] = {
    [BL_FORMAT_FLOAT32] = &bli_family_float32, [BL_FORMAT_FIXED] = &bli_family_fixed,
    [BL_FORMAT_INT] = &bli_family_int,         [BL_FORMAT_AFFINE] = &bli_family_affine,
    [BL_FORMAT_BINARY] = &bli_family_binary,   [BL_FORMAT_TERNARY] = &bli_family_ternary,
    [BL_FORMAT_PO2] = &bli_family_po2,         [BL_FORMAT_FLOAT] = &bli_family_float,
    [BL_FORMAT_MX] = &bli_family_mx,
};

const bli_family *bli_family_of(const bl_format *f)
{
    return families[f->kind];
}

int bl_format_family_count(void)
{
    return (int)BLI_COUNT(families);
}

const bl_format_family *bl_format_family_at(int i)
{
    return i >= 0 && (size_t)i < BLI_COUNT(families) ? &families[i]->listing : NULL;
}

bl_status bli_format_check(bl_context *ctx, const bl_format *f)
{
    if ((size_t)f->kind >= BLI_COUNT(families))
        return bli_fail(ctx, BL_BAD_VALUE, "format: unknown kind %d", (int)f->kind);
    if ((unsigned)f->rounding >= BL_ROUNDING_COUNT || (unsigned)f->overflow >= BL_OVERFLOW_COUNT)
        return bli_fail(ctx, BL_BAD_VALUE, "format: rounding %d or overflow %d is not one of the list",
                        (int)f->rounding, (int)f->overflow);
    return families[f->kind]->check(ctx, f);
}

bl_status bli_grid_check(bl_context *ctx, const bl_format *f, double scale, int64_t zero, bool f32)
{
    const bli_family *family = bli_family_of(f);
    if (!(scale > 0) || isinf(scale))
        return bli_fail(ctx, BL_BAD_VALUE, "scale is %g, expected a positive number", scale);
    double step = f32 ? (double)(float)scale : scale;
    step = ldexp(step, family->unit_exp(f));
    double least = f32 ? (double)FLT_MIN : DBL_MIN, greatest = f32 ? (double)FLT_MAX : DBL_MAX;
    if (!(step >= least && step <= greatest))
        return bli_fail(ctx, BL_BAD_VALUE, "scale %g makes a step of %g, not a normal number of %s", scale, step,
                        f32 ? "float32" : "float64");
    if (zero != 0 && !family->has_zero)
        return bli_fail(ctx, BL_BAD_VALUE, "zero point is %lld, but %s has none", (long long)zero,
                        family->listing.name);
    if (zero > (int64_t)1 << 52 || zero < -((int64_t)1 << 52))
        return bli_fail(ctx, BL_BAD_VALUE, "zero point is %lld, expected within +-2^52", (long long)zero);
    return BL_OK;
}

size_t bl_format_print(const bl_format *f, char *buf, size_t size)
{
    int length = (size_t)f->kind < BLI_COUNT(families) ? families[f->kind]->print(f, buf, size)
                                                       : snprintf(buf, size, "(unknown format)");
    return length > 0 ? (size_t)length : 0;
}

bool bl_format_equal(const bl_format *a, const bl_format *b)
{
    return a->kind == b->kind && a->is_signed == b->is_signed && a->bits == b->bits && a->integer == b->integer &&
           a->rounding == b->rounding && a->overflow == b->overflow && a->exponent_bits == b->exponent_bits &&
           a->mantissa_bits == b->mantissa_bits && a->special == b->special && a->block == b->block &&
           a->covers == b->covers;
}

void bl_format_bounds(const bl_format *f, double *least, double *greatest)
{
    bli_family_of(f)->bounds(f, least, greatest);
}

double bl_format_step(const bl_format *f)
{
    const bli_family *family = bli_family_of(f);
    if (f->kind == BL_FORMAT_BINARY)
        return 2;
    return family->has_step ? ldexp(1, family->unit_exp(f)) : 0;
}

bli_grid_facts bli_format_facts(const bl_format *f, double scale, int64_t zero)
{
    const bli_family *family = bli_family_of(f);
    bli_grid_facts facts = {0};
    family->facts(f, zero, &facts);
    bool integers = family->has_step || f->kind == BL_FORMAT_BINARY;
    int exponent, unit = family->unit_exp(f);
    bool power = frexp(scale, &exponent) == 0.5;
    family->bounds(f, &facts.least, &facts.greatest);
    if (integers) {
        facts.least = ldexp(facts.least_code, unit);
        facts.greatest = ldexp(facts.greatest_code, unit);
    }
    facts.least *= scale;
    facts.greatest *= scale;
    facts.on_grid = facts.on_grid && power;
    facts.step_exp += unit + exponent - 1;
    int finest = facts.step_exp; /* exponent of the finest value's last bit */
    if (f->kind == BL_FORMAT_MX)
        finest = -126;
    if (f->kind == BL_FORMAT_FLOAT32)
        finest = -149;
    double most = fmax(fabs(facts.least), fabs(facts.greatest));
    facts.fits_f32 =
        facts.significand_bits <= 24 && finest >= -149 && (most <= (double)FLT_MAX || f->kind == BL_FORMAT_MX);
    return facts;
}
