/* quantize.c: bl_quantize and its kin: the definition, and the choice of a loop that equals it.
 *
 * The definition (bli_quantize_reference_*): v = x / scale in the carrier, or exactly for a power of two; the family
 * rounds v and then overflows it; y = that times scale.  The loops are chosen in quantize_body.h.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "num/family.h"
#include "num/kernels.h"

/* STOCHASTIC without random bits is nearest: the kind's own nearest where it knows only one. */
static bl_format without_draw(const bl_format *f, bool draw)
{
    bl_format plain = *f;
    if (f->rounding == BL_STOCHASTIC && !draw)
        plain.rounding = f->kind == BL_FORMAT_BINARY || f->kind == BL_FORMAT_PO2 ? BL_RND : BL_RND_CONV;
    return plain;
}

/* ---- the definition ----------------------------------------------------------------------------------------- */
/* x times a power of two; what would vanish keeps its sign and its being next to zero. */
static double scaled(double x, int exponent)
{
    double v = ldexp(x, exponent);
    return fabs(v) < DBL_MIN && ldexp(v, -exponent) != x ? copysign(DBL_MIN, x) : v;
}

/* Binary and po2 look at the sign of x even where the quotient vanishes. */
static double quotient(const bl_format *f, double x, double v)
{
    return v == 0 && x != 0 && (f->kind == BL_FORMAT_BINARY || f->kind == BL_FORMAT_PO2) ? x : v;
}

static double in_units(const bl_format *given, int64_t zero, bool draw, uint32_t random, double v, bool *clipped)
{
    bool ignored;
    bl_format f = without_draw(given, draw);
    bli_draw d = {zero, random, clipped != NULL ? clipped : &ignored};
    return bli_family_of(&f)->quantize(&f, v, &d);
}

float bli_quantize_reference_f32(const bl_format *f, double scale, int64_t zero, bool draw, uint32_t random, float x,
                                 bool *clipped)
{
    int exponent, unit = bli_family_of(f)->unit_exp(f);
    if (f->kind == BL_FORMAT_FLOAT32) {
        if (clipped != NULL)
            *clipped = false;
        return x;
    }
    if (frexp(scale, &exponent) == 0.5) {
        exponent += unit - 1;
        double q = in_units(f, zero, draw, random, scaled((double)x, -exponent), clipped);
        return bli_double_to_float_cut(ldexp(q, exponent));
    }
    float s = (float)ldexp((double)(float)scale, unit), v = x / s;
    double q = in_units(f, zero, draw, random, quotient(f, (double)x, (double)v), clipped);
    return bli_double_to_float_cut(q) * s;
}

double bli_quantize_reference_f64(const bl_format *f, double scale, int64_t zero, bool draw, uint32_t random, double x,
                                  bool *clipped)
{
    int exponent, unit = bli_family_of(f)->unit_exp(f);
    if (frexp(scale, &exponent) == 0.5 || f->kind == BL_FORMAT_FLOAT32) {
        exponent = f->kind == BL_FORMAT_FLOAT32 ? 0 : exponent + unit - 1;
        return ldexp(in_units(f, zero, draw, random, scaled(x, -exponent), clipped), exponent);
    }
    double s = ldexp(scale, unit);
    return in_units(f, zero, draw, random, quotient(f, x, x / s), clipped) * s;
}

/* ---- both real types ---------------------------------------------------------------------------------------- */
static void copy_f32(const float *x, float *y, size_t n)
{
    if (x != y)
        memcpy(y, x, n * sizeof *y);
}
static void copy_f64(const double *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (double)(float)x[i];
}

/* bli_double_to_float_cut without a branch: one less in the bits of a float is one step toward zero. */
static inline float cut_f32(double v)
{
    float f = (float)v;
    bool over = fabs((double)f) > fabs(v) && v - v == 0;
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    b -= over;
    memcpy(&f, &b, sizeof f);
    return f;
}

/* Through the double loops, where the scale is a power of two and so every step is exact. */
static void wider_f32(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                      const float *x, float *y, size_t n, bli_isa isa)
{
    enum { CHUNK = 256 };
    double wide[CHUNK];
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;
        for (size_t j = 0; j < m; j++)
            wide[j] = (double)x[i + j];
        bli_quantize_f64(f, scale, zero, rng, first + i, wide, wide, m, isa);
        for (size_t j = 0; j < m; j++)
            y[i + j] = cut_f32(wide[j]);
    }
}
static void wider_f64(const bl_format *f, double scale, int64_t zero, const bli_stream *rng, uint64_t first,
                      const double *x, double *y, size_t n, bli_isa isa)
{
    (void)f, (void)scale, (void)zero, (void)rng, (void)first, (void)x, (void)y, (void)n, (void)isa; /* never planned */
}

#define REAL        float
#define KERNELS     bli_num_kernels_f32_of
#define UINT        uint32_t
#define NAME(x)     x##_f32
#define SIGNIFICAND 24
#define BIAS        127
#define LEAST_ULP   (-90) /* steps finer than this leave room for quotients below the normal numbers */
#define REAL_LEAST  FLT_MIN
#define REAL_MOST   0x1p126f
#include "num/quantize_body.h"

#include "num/channels_body.h"
#include "num/mx_body.h"
#undef REAL
#undef KERNELS
#undef UINT
#undef NAME
#undef SIGNIFICAND
#undef BIAS
#undef LEAST_ULP
#undef REAL_LEAST
#undef REAL_MOST

#define REAL        double
#define KERNELS     bli_num_kernels_f64_of
#define UINT        uint64_t
#define NAME(x)     x##_f64
#define SIGNIFICAND 53
#define BIAS        1023
#define LEAST_ULP   (-900)
#define REAL_LEAST  DBL_MIN
#define REAL_MOST   0x1p1022
#include "num/quantize_body.h"

#include "num/channels_body.h"
#include "num/mx_body.h"

bool bli_code_loop_find(const bl_format *f, double scale, bli_code_loop *out)
{
    const plan_f32 p = plan_of_f32(f, scale, 0, NULL);
    *out = (bli_code_loop){p.codes, p.f.rounding, p.end};
    return p.path == CODES_f32 && !p.draw && !p.divide;
}

/* The same numbers as in codes_even of kernels_body.h. */
bli_even_codes bli_code_loop_even(const bli_code_loop *l)
{
    const bli_codes_f32 *k = &l->codes;
    const bool ok = l->rounding == BL_RND_CONV && l->end == BLI_END_CLAMP && k->step >= 0x1p-60f &&
                    k->step <= 0x1p60f && k->hi <= 0x1p21f;
    return (bli_even_codes){ok, k->hi * k->step, 0x1.8p23f * k->step};
}

/* ---- public ------------------------------------------------------------------------------------------------- */
static bl_status check_use(bl_context *ctx, const bl_format *f, const bl_grid *grid, bool f32)
{
    BLI_TRY(bli_format_check(ctx, f));
    return bli_grid_check(ctx, f, grid->scale, grid->zero_point, f32);
}

static bli_stream stream_of(const bl_random_key *key)
{
    return bli_stream_make(key->seed, key->step, key->name != NULL ? key->name : "");
}

bl_status bl_quantize(bl_context *ctx, const bl_format *f, const bl_grid *grid, const bl_random_key *key,
                      const float *x, float *y, size_t n)
{
    const bl_grid g = grid != NULL ? *grid : (bl_grid){1, 0};
    BLI_TRY(check_use(ctx, f, &g, true));
    bli_grid_facts facts = bli_format_facts(f, 1, 0);
    if ((f->kind == BL_FORMAT_FLOAT || f->kind == BL_FORMAT_MX) && !facts.fits_f32)
        return bli_fail(ctx, BL_BAD_VALUE, "float<e%dm%d> has values that float32 cannot carry: use float64",
                        f->exponent_bits, f->mantissa_bits);
    bli_stream s = key != NULL ? stream_of(key) : (bli_stream){0};
    bli_quantize_f32(f, g.scale, g.zero_point, key != NULL ? &s : NULL, 0, x, y, n, bli_cpu_isa());
    return BL_OK;
}

bl_status bl_quantize_f64(bl_context *ctx, const bl_format *f, const bl_grid *grid, const bl_random_key *key,
                          const double *x, double *y, size_t n)
{
    const bl_grid g = grid != NULL ? *grid : (bl_grid){1, 0};
    BLI_TRY(check_use(ctx, f, &g, false));
    bli_stream s = key != NULL ? stream_of(key) : (bli_stream){0};
    bli_quantize_f64(f, g.scale, g.zero_point, key != NULL ? &s : NULL, 0, x, y, n, bli_cpu_isa());
    return BL_OK;
}
