/* pass_range.c: where a format lets a gradient pass, as an interval.
 *
 * A format that saturates clips what lies beyond two numbers.  They are found by bisection over the floats with the
 * reference quantizer: positive floats are ordered as their bits.  Formats that wrap pass everywhere or have no
 * interval; they are not for this file.
 */
#include <math.h>
#include <string.h>

#include "op/quantizer/families.h"

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static bool clips(const bl_format *f, double scale, float x)
{
    bool clipped;
    (void)bli_quantize_reference_f32(f, scale, 0, false, 0, x, &clipped);
    return clipped;
}

/* The greatest magnitude of this sign that is not clipped. */
static float greatest_passing(const bl_format *f, double scale, float sign)
{
    uint32_t lo = 0, hi = 0x7f800000;
    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (clips(f, scale, copysignf(float_of(mid), sign)))
            hi = mid;
        else
            lo = mid;
    }
    return copysignf(float_of(lo), sign);
}

bool bli_pass_range(const bli_quant_spec *s, float *least, float *most)
{
    const bl_format *f = &s->format;
    if (s->quantizer != &bli_quantizer_ste || bli_quant_needs_scale(s) || s->scale_rule != BLI_SCALE_NUMBER ||
        s->zero_point != 0 || s->start != 0 || f->rounding == BL_STOCHASTIC)
        return false;
    *most = (float)s->scale;
    *least = -*most;
    if (f->kind == BL_FORMAT_BINARY)
        return true;
    if ((f->kind != BL_FORMAT_FIXED && f->kind != BL_FORMAT_INT) ||
        (f->overflow != BL_SAT && f->overflow != BL_SAT_SYM))
        return false;
    *most = greatest_passing(f, s->scale, 1);
    *least = greatest_passing(f, s->scale, -1);
    return true;
}
