/* codes.c: between values on a format's grid and their integer view.
 *
 * A value is on the grid when decoding its code gives the value back, bit by bit, in one of the carriers.  An mx
 * value's code carries the block's shared exponent, which is found again from the block's greatest magnitude.
 */
#include <math.h>

#include "num/family.h"

static double to_units(double x, double scale, int unit)
{
    int exponent;
    if (frexp(scale, &exponent) == 0.5)
        return ldexp(x, -(exponent - 1 + unit));
    return rint(x / ldexp(scale, unit));
}

static double from_units(double v, double scale, int unit)
{
    return ldexp(v, unit) * scale;
}

static bl_status off_grid(bl_context *ctx, const bl_format *f, double x, size_t i)
{
    char text[64];
    bl_format_print(f, text, sizeof text);
    return bli_fail(ctx, BL_BAD_VALUE, "value %.17g at index %zu is not a value of %s", x, i, text);
}

static bl_status check_use(bl_context *ctx, const bl_format *f, const bl_grid *g)
{
    BLI_TRY(bli_format_check(ctx, f));
    BLI_TRY(bli_grid_check(ctx, f, g->scale, g->zero_point, false));
    if (bli_family_of(f)->decode == NULL)
        return bli_fail(ctx, BL_BAD_VALUE, "%s has no integer codes", bli_family_of(f)->listing.name);
    return BL_OK;
}

/* One value of a family that is no block.  Floats of scale that is no power of two are searched by their quotient. */
static bool encode_one(const bl_format *f, const bl_grid *g, double x, int64_t *code)
{
    const bli_family *family = bli_family_of(f);
    int unit = family->unit_exp(f), exponent;
    double back, v = to_units(x, g->scale, unit);
    bool power = frexp(g->scale, &exponent) == 0.5;
    if (!power && !family->has_step && f->kind != BL_FORMAT_BINARY)
        v = bli_quantize_reference_f64(f, 1, 0, false, 0, x / g->scale, NULL);
    if (!family->encode(f, v, g->zero_point, code) || !family->decode(f, *code, g->zero_point, &back))
        return false;
    if (isnan(x))
        return isnan(back);
    float carried = (float)back * (float)ldexp((double)(float)g->scale, unit); /* as the float32 kernels multiply */
    return from_units(back, g->scale, unit) == x || (double)carried == x;
}

static bl_status encode_block(bl_context *ctx, const bl_format *f, const bl_grid *g, const double *x, int64_t *codes,
                              size_t n, size_t first)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = isfinite(x[i]) && fabs(x[i]) > most ? fabs(x[i]) : most;
    const bl_format element = bli_mx_element(f);
    const int exponent = bli_mx_exponent(f, most / g->scale);
    const bl_grid block = {ldexp(g->scale, exponent), 0};
    const int64_t mask = ((int64_t)1 << f->bits) - 1;
    for (size_t i = 0; i < n; i++) {
        int64_t code;
        if (!encode_one(&element, &block, x[i], &code))
            return off_grid(ctx, f, x[i], first + i);
        codes[i] = (int64_t)(exponent + 127) << f->bits | (code & mask);
    }
    return BL_OK;
}

bl_status bl_encode(bl_context *ctx, const bl_format *f, const bl_grid *grid, const double *x, int64_t *codes, size_t n)
{
    const bl_grid g = grid != NULL ? *grid : (bl_grid){1, 0};
    BLI_TRY(check_use(ctx, f, &g));
    size_t block = f->kind == BL_FORMAT_MX ? (size_t)f->block : 1;
    for (size_t i = 0; i < n; i += block) {
        if (f->kind == BL_FORMAT_MX)
            BLI_TRY(encode_block(ctx, f, &g, x + i, codes + i, n - i < block ? n - i : block, i));
        else if (!encode_one(f, &g, x[i], codes + i))
            return off_grid(ctx, f, x[i], i);
    }
    return BL_OK;
}

bl_status bl_decode(bl_context *ctx, const bl_format *f, const bl_grid *grid, const int64_t *codes, double *x, size_t n)
{
    const bl_grid g = grid != NULL ? *grid : (bl_grid){1, 0};
    BLI_TRY(check_use(ctx, f, &g));
    const bli_family *family = bli_family_of(f);
    for (size_t i = 0; i < n; i++) {
        double v;
        if (!family->decode(f, codes[i], g.zero_point, &v))
            return bli_fail(ctx, BL_BAD_VALUE, "code %lld at index %zu is not a code of %s", (long long)codes[i], i,
                            family->listing.name);
        x[i] = from_units(v, g.scale, family->unit_exp(f));
    }
    return BL_OK;
}
