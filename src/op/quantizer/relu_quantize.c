/* relu_quantize.c: relu and a quantizer in one pass over the data.
 *
 * A format without negative values that saturates does relu's work by itself.  The gradient needs two comparisons: the
 * greatest z that the format does not clip is found once, by bisection over the floats with the reference quantizer.
 */
#include <float.h>
#include <string.h>

#include "op/quantizer/families.h"

enum { PIECE = 512 };

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static bool clips(const bl_format *f, double scale, float z)
{
    bool clipped;
    (void)bli_quantize_reference_f32(f, scale, 0, false, 0, z, &clipped);
    return clipped;
}

/* The greatest float >= 0 that is not clipped; positive floats are ordered as their bits. */
static float greatest_passing(const bl_format *f, double scale)
{
    uint32_t lo = 0, hi = 0x7f800000;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (clips(f, scale, float_of(mid)))
            hi = mid;
        else
            lo = mid;
    }
    return float_of(lo);
}

bli_relu_quantize bli_relu_quantize_init(const bli_quant_spec *s, bli_isa isa)
{
    const bl_format *f = &s->format;
    bli_relu_quantize r = {.format = *f, .scale = s->scale, .isa = isa};
    if (s->quantizer != &bli_quantizer_ste || bli_quant_needs_scale(s) || s->scale_rule != BLI_SCALE_NUMBER ||
        s->zero_point != 0 || s->start != 0)
        return r;
    if ((f->kind != BL_FORMAT_FIXED && f->kind != BL_FORMAT_INT) || f->rounding == BL_STOCHASTIC ||
        (f->overflow != BL_SAT && f->overflow != BL_SAT_SYM))
        return r;
    r.ok = true;
    r.hi = greatest_passing(f, s->scale);
    return r;
}

void bli_relu_quantize_f32(const bli_relu_quantize *r, const float *z, float *q, size_t n)
{
    if (!r->format.is_signed) {
        bli_quantize_f32(&r->format, r->scale, 0, NULL, 0, z, q, n, r->isa);
        return;
    }
    for (size_t at = 0; at < n; at += PIECE) {
        size_t end = n - at < PIECE ? n : at + PIECE;
        for (size_t i = at; i < end; i++)
            q[i] = z[i] > 0 ? z[i] : 0.0f;
        bli_quantize_f32(&r->format, r->scale, 0, NULL, 0, q + at, q + at, end - at, r->isa);
    }
}

void bli_relu_quantize_backward_f32(const bli_relu_quantize *r, const float *z, const float *dq, float *dz, size_t n)
{
    float hi = r->hi;
    for (size_t i = 0; i < n; i++) {
        float v = dq[i]; /* loaded in any case, so that the loop has no branch */
        dz[i] = ((z[i] > 0) & (z[i] <= hi)) ? v : 0.0f;
    }
}
