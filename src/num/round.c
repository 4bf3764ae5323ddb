/* round.c: rounding and overflow on integer codes, written from their definitions, in exact integer arithmetic.
 *
 * This is the reference that every kernel must equal bit by bit.  A real number is whole + fraction in sign and
 * magnitude; rounding decides whether the magnitude grows by one; overflow then maps the integer into W bits.  It
 * does not try to be fast.
 */
#include <float.h>
#include <math.h>

#include "num/family.h"

/* What a rounding rule looks at. */
typedef struct split {
    bool negative, odd;
    bool rest;         /* the fraction is not zero */
    int against_half;  /* fraction compared with one half: -1, 0, +1 */
    uint32_t fraction; /* the fraction's first 31 bits */
    uint32_t random;
} split;

static bool up_trn(const split *s)
{
    return s->negative && s->rest;
}
static bool up_trn_zero(const split *s)
{
    (void)s;
    return false;
}
static bool up_rnd(const split *s)
{
    return s->against_half > 0 || (s->against_half == 0 && !s->negative);
}
static bool up_rnd_zero(const split *s)
{
    return s->against_half > 0;
}
static bool up_rnd_inf(const split *s)
{
    return s->against_half >= 0;
}
static bool up_rnd_min_inf(const split *s)
{
    return s->against_half > 0 || (s->against_half == 0 && s->negative);
}
static bool up_rnd_conv(const split *s)
{
    return s->against_half > 0 || (s->against_half == 0 && s->odd);
}
static bool up_stochastic(const split *s)
{
    return s->random >> 1 < s->fraction;
}

/* Whether the magnitude grows by one. */
static bool (*const grows[BL_ROUNDING_COUNT])(const split *) = {
    [BL_TRN] = up_trn,           [BL_TRN_ZERO] = up_trn_zero,     [BL_RND] = up_rnd,
    [BL_RND_ZERO] = up_rnd_zero, [BL_RND_INF] = up_rnd_inf,       [BL_RND_MIN_INF] = up_rnd_min_inf,
    [BL_RND_CONV] = up_rnd_conv, [BL_STOCHASTIC] = up_stochastic,
};

bli_wide bli_round_reference(double v, bl_rounding q, uint32_t random)
{
    double magnitude = fabs(v);
    if (magnitude >= 0x1p120)
        return v < 0 ? -((bli_wide)1 << 120) : (bli_wide)1 << 120;
    double floor_part = floor(magnitude), fraction = magnitude - floor_part; /* both exact */
    bli_wide whole = (bli_wide)floor_part;
    split s = {v<0, (whole & 1) != 0, fraction> 0, (fraction > 0.5) - (fraction < 0.5), (uint32_t)(fraction * 0x1p31),
               random};
    whole += grows[q](&s);
    return v < 0 ? -whole : whole;
}

bli_wide bli_code_least(const bl_format *f)
{
    if (!f->is_signed)
        return 0;
    return -((bli_wide)1 << (f->bits - 1)) + (f->overflow == BL_SAT_SYM);
}

bli_wide bli_code_greatest(const bl_format *f)
{
    return ((bli_wide)1 << (f->bits - f->is_signed)) - 1;
}

/* The low W bits, sign-extended when signed. */
static bli_wide low_bits(const bl_format *f, bli_wide code)
{
    bli_wide modulus = (bli_wide)1 << f->bits, low = code & (modulus - 1);
    return f->is_signed && low >> (f->bits - 1) != 0 ? low - modulus : low;
}

static bli_wide saturate(const bl_format *f, bli_wide code)
{
    bli_wide least = bli_code_least(f), greatest = bli_code_greatest(f);
    return code < least ? least : code > greatest ? greatest : code;
}

/* The least significant deleted bit becomes the sign; where that differs from the top remaining bit, all remaining
 * bits are inverted. */
static bli_wide wrap_sign_magnitude(const bl_format *f, bli_wide code)
{
    int sign = (int)(code >> f->bits & 1), top = (int)(code >> (f->bits - 1) & 1);
    return low_bits(f, sign == top ? code : ~code);
}

bli_wide bli_overflow_reference(const bl_format *f, bli_wide code)
{
    switch (f->overflow) {
    case BL_WRAP:
        return low_bits(f, code);
    case BL_WRAP_SM:
        return wrap_sign_magnitude(f, code);
    case BL_SAT_ZERO:
        return saturate(f, code) == code ? code : 0;
    default:
        return saturate(f, code);
    }
}

double bli_wide_to_double(bli_wide v)
{
    bli_wide magnitude = v < 0 ? -v : v;
    int shift = 0;
    for (; magnitude >> shift >= (bli_wide)1 << 53; shift++)
        ;
    double d = ldexp((double)(int64_t)(magnitude >> shift), shift);
    return v < 0 ? -d : d;
}

float bli_double_to_float_cut(double v)
{
    float f = (float)v;
    return isinf(v) || fabs((double)f) <= fabs(v) ? f : nextafterf(f, 0.0f);
}

/* NaN has no code near it, and an infinity none to wrap to: both stand for the real 0. */
static bli_wide code_of_special(const bl_format *f, double v, int64_t zero)
{
    bool ends = f->overflow == BL_SAT || f->overflow == BL_SAT_SYM;
    if (isinf(v) && ends)
        return v < 0 ? bli_code_least(f) : bli_code_greatest(f);
    return saturate(f, zero);
}

double bli_codes_quantize(const bl_format *f, double v, const bli_draw *d)
{
    if (!isfinite(v)) {
        *d->clipped = true;
        return bli_wide_to_double(code_of_special(f, v, d->zero) - d->zero);
    }
    bli_wide code = bli_round_reference(v, f->rounding, d->random) + d->zero;
    bli_wide kept = bli_overflow_reference(f, code);
    *d->clipped = kept != code;
    return bli_wide_to_double(kept - d->zero);
}

bool bli_codes_encode(const bl_format *f, double v, int64_t zero, int64_t *code)
{
    if (!(fabs(v) <= 0x1p65) || v != floor(v))
        return false;
    bli_wide c = (bli_wide)v + zero;
    *code = (int64_t)c;
    return saturate(f, c) == c;
}

bool bli_codes_decode(const bl_format *f, int64_t code, int64_t zero, double *v)
{
    bli_wide c = f->is_signed || f->bits < 64 ? (bli_wide)code : (bli_wide)(uint64_t)code;
    *v = bli_wide_to_double(c - zero);
    return saturate(f, c) == c;
}

/* Bits of the longest magnitude between the ends, low zeros not counted. */
static int longest(bli_wide least, bli_wide greatest)
{
    bli_wide a = least < 0 ? -least : least, b = greatest < 0 ? -greatest : greatest;
    /* -2^(W-1) alone is one bit long: the next one inwards is what counts */
    bli_wide most = (a - (least < 0 && a > b)) > b ? a - 1 : b;
    int bits = 1;
    for (; most >> bits != 0; bits++)
        ;
    return bits;
}

void bli_codes_facts(const bl_format *f, int64_t zero, bli_grid_facts *facts)
{
    bli_wide least = bli_code_least(f) - zero, greatest = bli_code_greatest(f) - zero;
    facts->on_grid = true;
    facts->least_code = bli_wide_to_double(least);
    facts->greatest_code = bli_wide_to_double(greatest);
    facts->significand_bits = longest(least, greatest);
}
