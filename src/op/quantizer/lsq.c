/* lsq.c: learned step size, Esser et al., "Learned step size quantization", arXiv:1902.08153.
 *
 * vhat = round(clip(v / s, -Q_N, Q_P)) * s.  Equation 3 is the gradient of s, equation 5 that of v; section 2.2 scales
 * the former by g = 1 / sqrt(N * Q_P), N the number of weights, or of features of an activation.
 */
#include <math.h>

#include "op/quantizer/families.h"

static bl_status lsq_setup(bl_context *ctx, const bl_node *n, bli_arena *arena, bli_quant_spec *s)
{
    (void)n, (void)arena;
    if (!bli_integer_coded(&s->format) || s->format.kind == BL_FORMAT_AFFINE)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute format: expected an int, uint, fixed or ufixed format");
    if (s->format.overflow != BL_SAT && s->format.overflow != BL_SAT_SYM)
        return bli_fail(ctx, BL_BAD_VALUE, "attribute format: it must saturate (SAT or SAT_SYM)");
    return BL_OK;
}

static double gradient_scale(const bli_call *c, const bli_quant_spec *s)
{
    double lo, hi;
    bli_code_bounds(&s->format, &lo, &hi);
    const bl_shape *x = &c->in[0].shape;
    double n = 1;
    for (int d = s->batched ? 1 : 0; d < x->rank; d++)
        n *= (double)x->dim[d];
    n /= (double)bli_tensor_count(&c->in[1]);
    return n > 0 ? 1 / sqrt(n * fmax(hi, 1)) : 1;
}

static bl_status lsq_backward(const bli_call *c, const bli_quant_spec *s)
{
    return bli_grid_backward_strict(c, s, gradient_scale(c, s));
}

const bli_quantizer bli_quantizer_lsq = {
    .name = "lsq",
    .help = "learned step size",
    .source = "arXiv:1902.08153",
    .has_scale = true,
    .needs_format = true,
    .setup = lsq_setup,
    .forward = bli_grid_forward,
    .backward = lsq_backward,
    .scratch = bli_grid_scratch,
    .scales = bli_grid_scales,
    .codes = bli_grid_codes,
    .init_scale = bli_grid_init_scale,
};
